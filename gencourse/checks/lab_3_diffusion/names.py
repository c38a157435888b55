"""Three names for what a net is asked for: which of them gets the answer of another."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from torch import Tensor

from gencourse.checks.answer import Answer, Wrong
from gencourse.checks.compare import at, difference, same, two_numbers
from gencourse.checks.spec import Exercise

WHAT = {"eps": "the noise", "x_0": "the data", "v": "the velocity"}
MIXED = "names_mixed"


def name_mistakes(exercise: Exercise, comes: str) -> None:
    """Mistakes that show in all three answers together; `comes` is what is said of the one that belongs elsewhere."""

    def recognised(*args: Any) -> NoReturn:
        raise NotImplementedError("recognised by `names_apart`, from all three answers")

    for asked, given in itertools.permutations(WHAT, 2):
        recognised.__name__ = f"{asked}_gives_{given}"
        exercise.mistake(
            f"{WHAT[given].capitalize()} {comes} where {WHAT[asked]} was asked for; the two other cases are right. Is "
            f'"{asked}" spelt as the docstring spells it, and does its case end before another one begins?'
        )(recognised)
    recognised.__name__ = MIXED
    exercise.mistake(
        "All are made rightly, and two or three come under each other's names: which case belongs to which name?"
    )(recognised)


def names_apart(answer: Answer, args: Sequence[Any], expected: Mapping[str, Tensor], tol: float = 1e-8) -> None:
    """Wrong, if a name gets exactly what another one asks for, and no two get the same by design."""
    said = {}
    for predict in expected:
        try:
            said[predict] = answer(*args, predict)
        except Wrong as wrong:
            if wrong.found.get("error", "").startswith(f"KeyError: {predict!r}"):
                wrong.found["hint"] = (
                    f'The name "{predict}" is not found among those that your code knows. Is it there, and is it spelt '
                    "as the docstring spells it?"
                )
            raise
    off = [predict for predict in expected if not same(said[predict], expected[predict], tol)]
    gives = {p: next((o for o in expected if o != p and same(said[p], expected[o], tol)), "") for p in off}
    mistake = MIXED if len(off) > 1 and sorted(off) == sorted(gives.values()) else ""
    if len(off) == 1 and gives[off[0]]:
        mistake = f"{off[0]}_gives_{gives[off[0]]}"
    if not mistake or (mistake == MIXED and "v" not in off and "exchanged" in answer.exercise.mistakes):
        return
    got = answer(*args, off[0])  # once more: it is what is shown
    apart = difference(expected[off[0]], got, tol)
    if apart is not None:
        name, (want, have) = at(answer.exercise.returns[0], apart.index), two_numbers(apart.expected, apart.got)
        hint = answer.exercise.mistakes[mistake].hint
        answer.wrong(mistake, hint, expected=f"{name} = {want}", got=f"{name} = {have}")
