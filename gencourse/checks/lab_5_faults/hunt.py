"""An exercise whose answer is a test: `test_…(candidate)` accepts right implementations, and refuses faulty ones.

It refuses by an AssertionError, and accepts by coming to its end. A faulty candidate may also fall over by itself; any
other exception is the test's own fault. All candidates look alike, so that a test can only call them.
"""

import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Generator

from gencourse.checks.answer import Answer, Wrong, said, students_line
from gencourse.checks.lab_5_faults import crude
from gencourse.checks.lab_5_faults.hints import (
    CRASHES,
    FALLS_OVER,
    FLAKY,
    MISUSE,
    NEVER_CALLS,
    REFUSES_ALL,
    REFUSES_RIGHT,
    RETURNS,
    SOMETIMES,
    WRONG_ITSELF,
)
from gencourse.checks.lab_5_faults.judged import Blind, Candidate, Verdict, judged
from gencourse.checks.slips import slips
from gencourse.checks.spec import Exercise, F, Mistake

ROUNDS = 8  # with other random numbers, in which each right candidate comes once
ROUNDS_OF_FAULTS = 2
TRIED = 200  # wrong ones, on a test that refuses every right one
EVEN_ROUNDS = 40  # as many of its numbers are still random
SECONDS = 2.0  # of its own, after which no further round begins
clock = time.process_time
ALARMS = 1  # wrong verdicts among all rounds that may be bad luck


@dataclass(eq=False)
class Hunt(Exercise):
    """A test to be written. `right` and `fault` add candidates, the fault that the notebook shows first.

    `blind` adds what a test may ask for again and again, and never see some faults; `even` is a random one whose draws
    are spread out evenly.
    """

    rights: list[Candidate] = field(default_factory=list, init=False)
    faults: list[Candidate] = field(default_factory=list, init=False)
    blinds: list[Blind] = field(default_factory=list, init=False)
    even: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        self.called = self.name.rpartition("test_")[2]
        self.check(f"it accepts every right {self.called}", "")(self._rights_pass)
        self.check("it refuses the faulty one above", "")(self._shown_is_refused)
        self.check("it refuses the relatives of this fault, too", "")(self._relatives_are_refused)
        self.check("its verdicts do not depend on luck", "")(self._no_luck)

    def right(self, how: str, hint: str = "") -> Callable[[F], F]:
        """Add a right implementation. `hint` is for a test that refuses it for what it has of its own."""

        def add(function: F) -> F:
            self.rights.append(Candidate(function, f"a right {self.called}, {how}", hint))
            if hint:
                self.mistakes[function.__name__] = Mistake(hint, function)
            return function

        return add

    def fault(self, hint: str, second: str) -> Callable[[F], F]:
        """Add a faulty one. `hint` says which number would tell, `second` what is wrong with it."""

        def add(function: F) -> F:
            shown = "the one above" if not self.faults else "one that is not shown"
            self.faults.append(Candidate(function, f"a faulty {self.called}, {shown}", hint))
            self.mistakes[function.__name__] = Mistake(hint, function, second)
            return function

        return add

    def blind(self, hint: str, *faults: str) -> Callable[[F], F]:
        """Add a reason why these faults were accepted: the function says of one call whether it cannot show them."""

        def add(function: F) -> F:
            self.blinds.append(Blind(function.__name__, hint, function, faults))
            self.mistakes[function.__name__] = Mistake(hint, function)
            return function

        return add

    def complete(self) -> "Hunt":
        """All candidates are there: what is said after a pass counts them."""
        n, m = len(self.faults), len(self.rights)
        for name in ("anything_passes", "one_sided"):
            self.mistakes[name] = Mistake(getattr(crude, name.upper()), self.own)
        self.why = f"{n} of {n} faults caught, and none of {m} right ones refused. {self.why}"
        return self

    def _rights_pass(self, answer: Answer, g: Generator) -> None:
        for right in self.rights:
            verdict = judged(answer, right, _seed(g))
            if verdict.calls == 0 and (verdict.error is None or verdict.refused):
                answer.wrong("never_calls", NEVER_CALLS, expected="a call of candidate", got="none")
            if verdict.error is not None:
                self._too_narrow(answer, right, verdict, g)
                self._refuses(answer, right, verdict, g)

    def _too_narrow(self, answer: Answer, right: Candidate, verdict: Verdict, g: Generator) -> None:
        """Right draws are refused each time, those that are as even as none are not: its reference is right."""
        if self.even is None or not isinstance(verdict.error, AssertionError):
            return
        if not all(judged(answer, other, _seed(g)).refused for other in self.rights):
            return
        even = Candidate(self.even, f"{self.called}, spread out evenly")
        if any(judged(answer, even, _seed(g)).error is None for _ in range(EVEN_ROUNDS)):
            answer.args = (right,)
            got = f"all refused, at\n{students_line(verdict.error).text}".strip()
            answer.wrong("flaky", crude.TOO_NARROW, expected="no right one refused", got=got)

    def _refuses(self, answer: Answer, right: Candidate, verdict: Verdict, g: Generator) -> None:
        """Why a right one is refused, or the test falls over on it."""
        error = f"{type(verdict.error).__name__}: {said(verdict.error or Exception())}".strip()
        if not isinstance(verdict.error, AssertionError):
            mistake, hint = ("misuse", MISUSE) if verdict.refused else ("falls_over", FALLS_OVER)
            answer.wrong(mistake, hint, error=f"{error}\n{students_line(verdict.error or Exception()).text}".strip())
        error = f"{students_line(verdict.error).text}\n{error}".strip()  # a bare assert says nothing itself
        again = [judged(answer, right, _seed(g)).refused for _ in range(ROUNDS)]
        if sum(again) < ALARMS:
            return  # once in so many
        others = [judged(answer, other, _seed(g)).refused for other in self.rights]
        answer.args = (right,)
        if not all(again):
            got = f"this one refused in {1 + sum(again)} of {1 + len(again)} runs. {_first_lines(error)}"
            answer.wrong("flaky", FLAKY, expected="no right one refused", got=got)
        got = f"{sum(others)} of {len(others)} refused. {_first_lines(error)}"
        if all(others):
            wrong = self._taken_for_right(answer, g)
            mistake, hint = ("wrong_itself", f"{WRONG_ITSELF} {wrong}") if wrong else ("refuses_all", REFUSES_ALL)
            answer.args = (right,)
            answer.wrong(mistake, hint, expected="no right one refused", got=got)
        mistake = right.function.__name__ if right.hint else "refuses_right"
        answer.wrong(mistake, right.hint or REFUSES_RIGHT, expected="no right one refused", got=got)

    def _taken_for_right(self, answer: Answer, g: Generator) -> str:
        """What is wrong with the wrong one that the test accepts, while it refuses every right one; else empty."""
        known = (
            Candidate(fault.function, fault.title, self.mistakes[fault.function.__name__].second)
            for fault in self.faults
        )
        made = (Candidate(slip.function, "", slip.hint) for right in self.rights for slip in slips(right.function))
        for wrong in itertools.islice(itertools.chain(known, made), TRIED):
            verdict = judged(answer, wrong, _seed(g))
            if verdict.error is None and not any(judged(answer, wrong, _seed(g)).refused for _ in range(3)):
                return wrong.hint
        return ""

    def _shown_is_refused(self, answer: Answer, g: Generator) -> None:
        self._all_refused(answer, self.faults[:1], g)

    def _relatives_are_refused(self, answer: Answer, g: Generator) -> None:
        self._all_refused(answer, self.faults[1:], g)

    def _all_refused(self, answer: Answer, faults: list[Candidate], g: Generator) -> None:
        for fault in faults:
            verdict = judged(answer, fault, _seed(g))
            if verdict.refused:
                continue
            if verdict.error is not None:
                error = f"{type(verdict.error).__name__}: {said(verdict.error)}\n{students_line(verdict.error).text}"
                answer.wrong("crashes", CRASHES, error=error.strip())
            again = [judged(answer, fault, _seed(g)).refused for _ in range(ROUNDS)]
            if all(again):
                continue  # two numbers that happened to agree
            caught = sum(judged(answer, other, _seed(g)).refused for other in self.faults)
            answer.args = (fault,)
            counts = {"expected": f"{len(self.faults)} of {len(self.faults)} caught", "got": f"{caught} caught"}
            if sum(again) > ROUNDS // 2:
                got = f"this one accepted in {1 + ROUNDS - sum(again)} of {1 + ROUNDS} runs"
                answer.wrong("sometimes", SOMETIMES, expected="every faulty one refused", got=got)
            if not caught and verdict.returned is not None:
                answer.wrong("returns", RETURNS, **counts)
            self._general(answer, fault, verdict, not caught, counts, _seed(g))
            if any(again):
                counts["got"] += f"; this one accepted in {1 + ROUNDS - sum(again)} of {1 + ROUNDS} runs"
            answer.wrong(fault.function.__name__, fault.hint, **counts)

    def _general(self, answer: Answer, fault: Candidate, verdict: Verdict, none: bool, counts: Any, seed: int) -> None:
        """Why a fault is accepted, if it is a reason that has nothing to do with this fault alone."""
        right = self.rights[0].function

        def end(function: Callable[..., Any]) -> Verdict:
            try:
                return judged(answer, Candidate(function, self.called), seed)
            except Wrong as error:  # on such numbers it may never end
                return Verdict(error=error)

        absurd = [crude.moved(right, crude.FAR), crude.moved(right, -crude.FAR), crude.zero(right)]
        anything = none and all(end(function).error is None for function in absurd)
        not_a_number = end(crude.moved(right, math.nan)).error is None and all(end(f).refused for f in absurd[:2])
        blind = next((blind for blind in self.blinds if blind.explains(fault, verdict)), None)
        sides = [[end(crude.moved(right, by, i)) for by in (crude.FAR, -crude.FAR)] for i in (0, 1)]
        one_sided = any((a.refused and b.error is None) or (b.refused and a.error is None) for a, b in sides)
        answer.args = (fault,)
        if anything:
            answer.wrong("anything_passes", crude.ANYTHING_PASSES, **counts)
        if not_a_number:
            answer.wrong("not_a_number_passes", crude.NOT_A_NUMBER_PASSES, **counts)
        if blind is not None:
            answer.wrong(blind.name, blind.hint, **counts)
        if one_sided and crude.shows(right, fault.function, verdict.asked):
            answer.wrong("one_sided", crude.ONE_SIDED, **counts)

    def _no_luck(self, answer: Answer, g: Generator) -> None:
        """All again with other random numbers, and in an order that nobody can count on."""
        alarms, misses, rights, faults, end = [], [], 0, 0, clock() + SECONDS
        for turn in range(ROUNDS):
            both = [*self.rights, *(self.faults if turn < ROUNDS_OF_FAULTS else [])]
            for i in torch.randperm(len(both), generator=g).tolist():
                verdict = judged(answer, both[i], _seed(g))
                is_right = i < len(self.rights)
                rights, faults = rights + is_right, faults + (not is_right)
                if is_right and verdict.error is not None:
                    alarms.append(both[i])
                if not is_right and not verdict.refused:
                    misses.append(both[i])
            if clock() > end:
                break
        if len(alarms) > ALARMS:
            answer.args = (alarms[0],)
            answer.wrong(
                "flaky", FLAKY, expected="no right one refused", got=f"refused in {len(alarms)} of {rights} runs"
            )
        if len(misses) > ALARMS:
            answer.args = (misses[0],)
            got = f"accepted in {len(misses)} of {faults} runs"
            answer.wrong("sometimes", SOMETIMES, expected="every faulty one refused", got=got)


def _seed(g: Generator) -> int:
    return int(torch.randint(2**31, (), generator=g))


def _first_lines(text: str, lines: int = 4) -> str:
    kept = [line for line in text.splitlines() if line.strip()]
    return "\n".join([*kept[:lines], "…"] if len(kept) > lines else kept)
