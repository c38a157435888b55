"""A table padded on the wrong side. Lecture 04 (11)."""

import torch
from torch import Tensor

from gencourse.checks.lab_5_faults.given import DOUBLE, SINGLE
from gencourse.checks.lab_5_faults.hunt import Hunt


def _own_test_before(candidate):
    for T in (4, 9):
        alpha = 0.5 + 0.5 * torch.rand(T, dtype=torch.float64)
        alpha_bar = alpha.cumprod(0)
        given, steps = alpha_bar.clone(), alpha.clone()
        before = candidate(given, steps)
        want = torch.tensor([1.0, *alpha_bar.tolist()[:-1]], dtype=torch.float64)
        torch.testing.assert_close(before.double(), want, rtol=0, atol=1e-4)
        assert torch.equal(given, alpha_bar)  # both tables are the caller's
        assert torch.equal(steps, alpha)


BEFORE = Hunt(
    "faults.test_before",
    _own_test_before,
    returns=["verdict"],
    second="Draw the α of a few steps, multiply them up, and write the table that should come back as a list: 1 first, "
    "then all of ᾱ but the last. Compare every entry, and look at both arguments afterwards.",
    why="Both ends of a table belong into its test: that is where tables are wrong.",
)


@BEFORE.fault(
    "What does the first entry say, of the step before the first? And the last?",
    "The 1 is put at the end, and nothing is moved: compare every entry with the one before it in ᾱ.",
)
def padded_behind(alpha_bar: Tensor, alpha: Tensor) -> Tensor:
    return torch.nn.functional.pad(alpha_bar[:-1], (0, 1), value=1.0)


@BEFORE.fault(
    "Before the first step no noise has come. Which number says so, and where does it stand?",
    "The first entry is ᾱ_1, and not 1.",
)
def first_twice(alpha_bar: Tensor, alpha: Tensor) -> Tensor:
    return torch.cat([alpha_bar[:1], alpha_bar[:-1]])


@BEFORE.fault(
    "Look at both ends: what stands before everything?",
    "The table is rolled: ᾱ_T stands first.",
)
def rolled(alpha_bar: Tensor, alpha: Tensor) -> Tensor:
    return alpha_bar.roll(1)


@BEFORE.fault(
    "Does each entry belong to the step before, or to the one after?",
    "It is moved the other way: ᾱ_{t+1}.",
)
def the_next(alpha_bar: Tensor, alpha: Tensor) -> Tensor:
    return torch.cat([alpha_bar[1:], alpha_bar.new_ones(1)])


@BEFORE.fault(
    "Do the entries in the middle belong to your ᾱ, if its steps are not all alike? Take α that differ.",
    "It takes all steps for alike: right if every α is the same.",
)
def all_steps_alike(alpha_bar: Tensor, alpha: Tensor) -> Tensor:
    return alpha_bar / alpha[0]


@BEFORE.fault(
    "How many entries should come back for T of them?",
    "It has T + 1 entries.",
)
def one_too_many(alpha_bar: Tensor, alpha: Tensor) -> Tensor:
    return torch.cat([alpha_bar.new_ones(1), alpha_bar])


@BEFORE.fault(
    "What comes back is right. Is what was given still what it was?",
    "It moves the entries of alpha_bar itself.",
)
def in_the_argument(alpha_bar: Tensor, alpha: Tensor) -> Tensor:
    alpha_bar[1:] = alpha_bar[:-1].clone()
    alpha_bar[0] = 1
    return alpha_bar


@BEFORE.fault(
    "Two tables are handed over. Are both afterwards what they were?",
    "It divides in place, and writes its answer over alpha.",
)
def in_the_other_argument(alpha_bar: Tensor, alpha: Tensor) -> Tensor:
    return alpha.reciprocal_().mul_(alpha_bar)


@BEFORE.blind(
    "In the tables that you hand over all entries are alike. How would you see that one of them stands elsewhere?",
    "padded_behind",
    "first_twice",
    "rolled",
)
def all_alike(alpha_bar: Tensor, alpha: Tensor) -> bool:
    return bool((alpha_bar == alpha_bar[0]).all())


@BEFORE.right("with torch.cat")
def joined(alpha_bar: Tensor, alpha: Tensor) -> Tensor:
    return torch.cat([alpha_bar.new_ones(1), alpha_bar[:-1]])


@BEFORE.right("padded in front")
def padded_in_front(alpha_bar: Tensor, alpha: Tensor) -> Tensor:
    return torch.nn.functional.pad(alpha_bar[:-1], (1, 0), value=1.0)


@BEFORE.right("divided: ᾱ_t/α_t", "This right one divides ᾱ_t by α_t, and rounds: not every digit is yours.")
def divided(alpha_bar: Tensor, alpha: Tensor) -> Tensor:
    return alpha_bar / alpha


@BEFORE.right("in float64", DOUBLE)
def double(alpha_bar: Tensor, alpha: Tensor) -> Tensor:
    return joined(alpha_bar.double(), alpha)


@BEFORE.right("in float32, by logarithms", SINGLE)
def by_logarithms(alpha_bar: Tensor, alpha: Tensor) -> Tensor:
    log = alpha.float().log()
    return (log.cumsum(0) - log).exp()
