"""Diffusion on whole numbers: against a distribution of two pixels whose conditionals are known."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genlib import data, train
from genlib.diffusion import MaskedDiffusion, Unmasking

JOINT = torch.tensor([[0.40, 0.05, 0.05], [0.02, 0.03, 0.15], [0.10, 0.18, 0.02]], dtype=torch.float64)  # p(a, b)
L = 3


class Known(nn.Module):
    """The logits that are right for two pixels, (B, 1, 1, 2): p(a | b), p(b | a), or the marginals."""

    channels = L + 1

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None) -> Tensor:
        a, b = x.argmax(1)[:, 0].unbind(1)  # L: masked
        whole = torch.cat([JOINT, JOINT.sum(0, keepdim=True)])  # rows a, and all of them
        whole = torch.cat([whole, whole.sum(1, keepdim=True)], dim=1)
        of_a, of_b = whole[:L].T[b], whole[:, :L][a]  # given the other one, or not
        logits = torch.stack([of_a, of_b], dim=2).log()[:, :, None]
        return torch.cat([logits, torch.zeros_like(logits[:, :1])], dim=1)


def known(T: int) -> MaskedDiffusion:
    return MaskedDiffusion(Known(), L, (1, 1, 2), T)


def pairs(n: int, seed: int = 0) -> Tensor:
    place = torch.multinomial(JOINT.flatten(), n, replacement=True, generator=torch.Generator().manual_seed(seed))
    return torch.stack([place // L, place % L], dim=1).view(n, 1, 1, 2)


def entropy(p: Tensor) -> float:
    return float(-torch.xlogy(p, p).sum())


@pytest.mark.parametrize(("T", "together"), [(1, 1.0), (2, 0.5), (1000, 0.001)])
def test_the_bound_is_the_entropy_and_what_is_lost_where_both_are_uncovered_at_once(T: int, together: float) -> None:
    """In one step both are drawn from their marginals, which costs their mutual information."""
    marginals = entropy(JOINT.sum(0)) + entropy(JOINT.sum(1))
    expected = entropy(JOINT) + together * (marginals - entropy(JOINT))
    bits = known(T).bits_per_dim(pairs(4000), generator=torch.Generator().manual_seed(1), draws=20)
    error = float(bits.std() / math.sqrt(4000))
    assert float(bits.mean()) == pytest.approx(expected / math.log(2) / 2, abs=4 * error)
    assert marginals - entropy(JOINT) > 0.2


@pytest.mark.parametrize("steps", [1, 2, None])
def test_samples_are_those_of_the_chain(steps: int | None) -> None:
    n, T = 20_000, 100
    x = known(T).sample(n, generator=torch.Generator().manual_seed(0), steps=steps)[:, 0, 0]
    at_once = 1 / (steps or T)
    product = JOINT.sum(1, keepdim=True) * JOINT.sum(0, keepdim=True)
    expected = (1 - at_once) * JOINT + at_once * product
    counts = torch.bincount(x[:, 0] * L + x[:, 1], minlength=9).double().view(L, L)
    chi_2 = ((counts - n * expected).square() / (n * expected)).sum()
    assert chi_2 < 42.7  # 8 degrees of freedom, one in a million


def test_a_pixel_is_masked_as_often_as_its_step_says() -> None:
    model, x_0 = known(10), pairs(4000)
    for t in (1, 5, 10):
        x_t = model._masked(x_0, torch.full((4000,), t), torch.Generator().manual_seed(0))
        hidden = x_t == L
        assert float(hidden.double().mean()) == pytest.approx(t / 10, abs=0.02)
        assert torch.equal(x_t[~hidden], x_0[~hidden])
        one, other = hidden[:, 0, 0].double().T
        assert float((one * other).mean()) == pytest.approx((t / 10) ** 2, abs=0.02)  # each by itself


def test_steps_are_spread_evenly() -> None:
    from genlib.diffusion.masked import spread

    t = spread(500, 1000, torch.Generator().manual_seed(0))
    assert t.sort().values.diff().unique().tolist() == [2]
    assert not torch.equal(t, t.sort().values)
    every = torch.cat([spread(1, 5, torch.Generator().manual_seed(k)) for k in range(4000)])
    assert (every.bincount(minlength=6)[1:] / 4000).tolist() == pytest.approx([0.2] * 5, abs=0.03)


def test_the_standard_error_holds_for_every_example_has_steps_of_its_own() -> None:
    found = [known(50).bits_per_dim(pairs(64), generator=torch.Generator().manual_seed(k), draws=4) for k in range(60)]
    means, claimed = torch.stack([bits.mean() for bits in found]), found[0].std() / math.sqrt(64)
    assert means.std() < 1.2 * claimed


def test_labels_that_are_vectors_are_hidden_row_by_row_and_half_precision_is_finite() -> None:
    from genlib.diffusion import DiT

    torch.manual_seed(0)
    seen = []

    class Diary(DiT):
        def forward(self, x_t: Tensor, t: Tensor, label: Any = None) -> Tensor:
            seen.append(label)
            return super().forward(x_t, t, label)

    model = MaskedDiffusion(Diary(18, 8, 1, 2, n_condition=3), 17, (1, 8, 8))
    x, c = torch.zeros(200, 1, 8, 8, dtype=torch.int64), torch.randn(200, 3)
    list(Unmasking(model, label_dropout=0.3).losses((x, c), torch.Generator().manual_seed(0)))
    hidden = seen[0].isnan()
    assert torch.equal(hidden.any(1), hidden.all(1))
    assert 0.2 < float(hidden.any(1).double().mean()) < 0.4
    half = MaskedDiffusion(DiT(18, 8, 1, 2), 17, (1, 8, 8)).half()
    assert half.bits_per_dim(x[:2], draws=20).isfinite().all()


def test_it_learns_the_digits_levels_and_keeps_to_them(tmp_path: Any) -> None:
    from genlib.diffusion import UNet

    def model() -> MaskedDiffusion:
        torch.manual_seed(0)
        net = UNet(18, width=8, mults=(1, 2), n_blocks=1, n_classes=10)
        return MaskedDiffusion(net, 17, (1, 8, 8))

    x, label = data.digits("train", integers=True)
    masked, held_out = model(), data.digits("test", integers=True)
    train.fit(Unmasking(masked, label_dropout=0.1), (x, label), steps=150, seed=0, progress=False)
    bits = masked.bits_per_dim(held_out.x[:100], held_out.label[:100], torch.Generator().manual_seed(0), draws=10)
    assert bits.mean() < 3.0  # a code that knows nothing needs log2 17 = 4.09
    drawn = masked.sample(5, 3, torch.Generator().manual_seed(0), steps=4)
    assert drawn.shape == (5, 1, 8, 8)
    assert drawn.dtype == torch.int64
    assert drawn.max() < 17
    train.save(masked, tmp_path / "masked.safetensors")
    again = train.load(model(), tmp_path / "masked.safetensors")
    assert torch.equal(again.sample(5, 3, torch.Generator().manual_seed(0), steps=4), drawn)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.bits_per_dim(torch.full((2, 1, 1, 2), 3)), "x_0: expected"),
        (lambda m: m.bits_per_dim(torch.zeros(2, 1, 1, 2)), "x_0: expected"),
        (lambda m: m.bits_per_dim(torch.zeros(2, 2, dtype=torch.int64)), "x_0: expected"),
        (lambda m: m.sample(2, steps=11), "steps: expected"),
        (lambda m: Unmasking(m).check(torch.full((2, 1, 1, 2), 5)), "batch: expected"),
        (lambda m: next(Unmasking(m).losses(torch.zeros(2, 1, 2, 2, dtype=torch.int64))), "batch: expected"),
        (lambda m: MaskedDiffusion(Known(), 5, (1, 1, 2)), "net: expected one of 6 channels"),
    ],
)
def test_what_does_not_fit_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(known(10))
