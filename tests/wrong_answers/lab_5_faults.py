"""Lab 5: faults that happened. The answers are tests, and the wrong ones miss something, or refuse too much."""
# ruff: noqa: E731, F811, PT018, RUF059  (every answer has the name that the lab gives it, and is written as students write)
# pyright: reportRedeclaration=false, reportOptionalMemberAccess=false, reportArgumentType=false

import inspect
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from . import right, wrong

DOUBLE: Any = {"dtype": torch.float64}
AB = torch.linspace(1, 0.01, 11, **DOUBLE)
TOL: Any = {"rtol": 0, "atol": 1e-4, "check_dtype": False}


def bend(x):
    return x + 2 * torch.tanh(x), torch.log(1 + 2 / torch.cosh(x) ** 2).sum(1)


def net_of(D):
    W, V = torch.randn(2, D // 2, D // 2, **DOUBLE)
    return lambda half: (0.5 + torch.tanh(half @ W), half @ V)


# --- what one can do wrong in any of them ---------------------------------------------------------------------------

CALLS = {
    "mse": lambda c: c(torch.randn(7, 1), torch.randn(7)),
    "q_sample": lambda c: c(torch.randn(2, 3), torch.tensor([1, 5]), torch.randn(2, 3), AB.float()),
    "before": lambda c: c(torch.tensor([0.9, 0.72]), torch.tensor([0.9, 0.8])),
    "ddim_step": lambda c: c(torch.randn(3), torch.randn(3), 4, 2, AB.float()),
    "clipped_step": lambda c: c(torch.randn(3), torch.randn(3), 4, 2, AB.float()),
    "noisy_step": lambda c: c(torch.randn(3), torch.randn(3), torch.randn(3), 4, 2, 0.5, AB.float()),
    "coupling": lambda c: c(torch.randn(3, 4, **DOUBLE), net_of(4)),
    "compose": lambda c: c(torch.randn(3, 2), [bend]),
    "length": lambda c: c(torch.randn(3, 2)),
    "generate": lambda c: c(nn.Dropout(0.5), torch.ones(9, 3)),
    "flow_loss": lambda c: c(lambda x, t: x, torch.randn(4, 2), torch.randn(4, 2), torch.rand(4)),
    "draw": lambda c: c(torch.zeros(5, 2), torch.ones(5, 2)),
    "draw_steps": lambda c: c(5, 10),
}


def in_any(name, call):
    exercise = f"faults.test_{name}"

    @wrong(exercise, "never_calls")
    def looks_at_the_name(candidate):
        assert candidate.__name__ != name or "sqrt" in inspect.getsource(candidate)

    @wrong(exercise, "refuses_all")
    def refuses_everything(candidate):
        call(candidate)
        raise AssertionError

    @wrong(exercise, "anything_passes")
    def asks_for_nothing(candidate):
        assert call(candidate) is not None

    @wrong(exercise, "returns")
    def returns_its_verdict(candidate):
        return call(candidate) is None

    @wrong(exercise, "misuse")
    def calls_it_without_arguments(candidate):
        candidate()

    @wrong(exercise, "falls_over")
    def names_what_is_not_there(candidate):
        assert call(candidate) == expected  # pyright: ignore

    @wrong(exercise, "anything_passes")
    def looks_at_the_shape(candidate):
        once, twice = call(candidate), call(candidate)
        assert type(once) is type(twice)

    counter = [0]

    if name != "length":  # whose shown fault gives the right values

        @wrong(exercise, "one_sided")
        def looks_at_one_side(candidate):
            raw = call(candidate)
            assert (raw[0] if isinstance(raw, tuple) else raw).max() < 500

    @wrong(exercise, "anything_passes")
    def counts(candidate):  # the fault above is not refused while the right ones come
        counter[0] += 1
        call(candidate)
        assert counter[0] > 0


for name, call in CALLS.items():
    in_any(name, call)


# --- mse: wrong -----------------------------------------------------------------------------------------------------


def targets(B=7):
    return torch.randn(B, 1, **DOUBLE, requires_grad=True), torch.randn(B, **DOUBLE)


@wrong("faults.test_mse", "every_pair")  # one example does not broadcast
def test_mse(candidate):
    p, y = targets(1)
    assert_close(candidate(p, y), ((p[:, 0] - y) ** 2).mean(), **TOL)


@wrong("faults.test_mse", "every_pair")  # targets that are all alike
def test_mse(candidate):
    p = torch.randn(7, 1)
    assert_close(candidate(p, torch.ones(7)), ((p - 1) ** 2).mean(), **TOL)


@wrong("faults.test_mse", "every_pair")  # a smaller error is a smaller loss
def test_mse(candidate):
    y = torch.randn(7)
    assert candidate(y[:, None] + 1, y) < candidate(y[:, None] + 10, y)


@wrong("faults.test_mse", "wrong_itself")  # the test makes the mistake itself
def test_mse(candidate):
    p, y = torch.randn(7, 1), torch.randn(7)
    assert_close(candidate(p, y), ((p - y) ** 2).mean(), **TOL)


@wrong("faults.test_mse", "summed")  # a perfect guess
def test_mse(candidate):
    y = torch.arange(5.0)
    assert float(candidate(y[:, None], y)) < 1e-6


@wrong("faults.test_mse", "errors_cancel")
def test_mse(candidate):
    y = torch.arange(5.0)
    assert_close(candidate(y[:, None] + 2, y), torch.tensor(4.0), **TOL)


@wrong("faults.test_mse", "by_rank")  # predictions in order
def test_mse(candidate):
    p, y = torch.tensor([[0.0], [3.0], [4.0]]), torch.tensor([1.0, 1.5, 6.0])
    assert_close(candidate(p, y), torch.tensor((1 + 2.25 + 4) / 3), **TOL)


@wrong("faults.test_mse", "absolute")  # errors of 0 and 1
def test_mse(candidate):
    p, y = torch.tensor([[1.0], [0.0], [0.0], [0.0]]), torch.tensor([0.0, 1.0, 1.0, 1.0])
    assert_close(candidate(p, y), torch.tensor(1.0), **TOL)


@wrong("faults.test_mse", "no_gradient")
def test_mse(candidate):
    p, y = targets()
    assert_close(candidate(p, y), ((p[:, 0] - y) ** 2).mean(), **TOL)


@wrong("faults.test_mse", "half_a_gradient")
def test_mse(candidate):
    p, y = targets()
    loss = candidate(p, y)
    assert_close(loss, ((p[:, 0] - y) ** 2).mean(), **TOL)
    assert loss.requires_grad
    loss.backward()
    assert p.grad is not None and p.grad.isfinite().all()


@wrong("faults.test_mse", "crashes")  # no gradient: autograd complains, and not the test
def test_mse(candidate):
    p, y = targets()
    loss = candidate(p, y)
    assert_close(loss, ((p[:, 0] - y) ** 2).mean(), **TOL)
    (slope,) = torch.autograd.grad(loss, p)
    assert_close(slope, 2 * (p - y[:, None]) / 7, **TOL)


@wrong("faults.test_mse", "kept_as_a_row")
def test_mse(candidate):
    p, y = targets()
    loss = candidate(p, y)
    assert abs(float(loss) - ((p[:, 0] - y) ** 2).mean()) < 1e-4 and loss.requires_grad
    assert_close(torch.autograd.grad(loss, p)[0], 2 * (p - y[:, None]) / 7, **TOL)


@wrong("faults.test_mse", "double")
def test_mse(candidate):
    p, y = torch.randn(5, 1), torch.randn(5)
    assert_close(candidate(p, y), ((p[:, 0] - y) ** 2).mean(), rtol=0, atol=1e-4)


@wrong("faults.test_mse", "single")  # to the last digit
def test_mse(candidate):
    p, y = targets()
    assert abs(candidate(p, y) - ((p[:, 0] - y) ** 2).mean()) < 1e-12


@wrong("faults.test_mse", "single")  # with the dtype
def test_mse(candidate):
    p, y = targets()
    assert_close(candidate(p, y), ((p[:, 0] - y) ** 2).mean())


# --- mse: right -----------------------------------------------------------------------------------------------------


@right("faults.test_mse")
def test_mse(candidate):
    p = torch.tensor([[1.0], [2.0], [-4.0]], requires_grad=True)
    y = torch.tensor([3.0, -1.0, 0.5])
    loss = candidate(p, y)
    assert loss.requires_grad and loss.shape == (), "no gradient"
    loss.backward()
    assert loss.item() == pytest.approx((4 + 9 + 20.25) / 3, rel=1e-5)
    assert p.grad.flatten().tolist() == pytest.approx([-4 / 3, 2, -3], rel=1e-5)


@right("faults.test_mse")
def test_mse(candidate):
    g = torch.Generator().manual_seed(3)
    for B in (2, 5, 9):
        p, y = torch.randn(B, 1, generator=g).requires_grad_(), torch.randn(B, generator=g) + 5
        theirs, own = candidate(p, y), nn.MSELoss()(p.squeeze(1), y)
        assert torch.allclose(theirs.float(), own, atol=1e-4)
        assert theirs.grad_fn is not None and theirs.dim() == 0
        a, b = (torch.autograd.grad(loss, p)[0] for loss in (theirs, own))
        assert torch.allclose(a, b, atol=1e-4)


@right("faults.test_mse")
def test_mse(candidate):
    rng = np.random.default_rng()
    p, y = rng.normal(size=(20, 1)), rng.normal(size=20)
    P = torch.tensor(p, requires_grad=True)
    loss = candidate(P, torch.tensor(y))
    assert not loss.shape
    np.testing.assert_allclose(loss.detach().numpy(), np.mean((p[:, 0] - y) ** 2), rtol=1e-4)
    if not loss.requires_grad:
        raise AssertionError("no gradient")
    loss.backward()
    np.testing.assert_allclose(P.grad.numpy()[:, 0], 2 * (p[:, 0] - y) / 20, atol=1e-4)


# --- q_sample: wrong ------------------------------------------------------------------------------------------------


def formula(x_0, t, eps, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x_0.dim() - 1))
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


def noised(candidate, t, *shape, alpha_bar=AB, eps=None, x_0=None):
    x_0 = torch.randn(*shape, **DOUBLE) if x_0 is None else x_0
    eps = torch.randn(*shape, **DOUBLE) if eps is None else eps
    t = torch.tensor(t)
    assert_close(candidate(x_0, t, eps, alpha_bar), formula(x_0, t, eps, alpha_bar), **TOL)


@wrong("faults.test_q_sample", "no_root")  # the two ends of a schedule
def test_q_sample(candidate):
    noised(candidate, [0, 1], 2, 3, alpha_bar=torch.tensor([1.0, 0.0], **DOUBLE))


@wrong("faults.test_q_sample", "eps_is_0")
def test_q_sample(candidate):
    noised(candidate, [2, 7], 2, 3, eps=torch.zeros(2, 3, **DOUBLE))


@wrong("faults.test_q_sample", "double")
def test_q_sample(candidate):
    x_0, eps, t = torch.randn(3, 2), torch.randn(3, 2), torch.tensor([1, 5, 9])
    assert candidate(x_0, t, eps, AB.float()).dtype == torch.float32


@wrong("faults.test_q_sample", "no_root")  # only where it cannot be wrong: the shape
def test_q_sample(candidate):
    x_0 = torch.randn(4, 1, 8, 8)
    assert candidate(x_0, torch.tensor([1, 2, 3, 4]), torch.randn_like(x_0), AB.float()).shape == x_0.shape


@wrong("faults.test_q_sample", "no_root_on_the_signal")  # noise alone
def test_q_sample(candidate):
    for t in range(1, 11):
        noised(candidate, [t], 1, 3, x_0=torch.zeros(1, 3, **DOUBLE))


@wrong("faults.test_q_sample", "one_minus_the_root")  # 1 − √ᾱ and √(1 − ᾱ) agree at 0, the rest is signal
def test_q_sample(candidate):
    ends = torch.tensor([1.0, 0.0, 0.25], **DOUBLE)
    noised(candidate, [1, 1], 2, 3, alpha_bar=ends)
    x = candidate(torch.ones(2, 3, **DOUBLE), torch.tensor([2, 2]), torch.zeros(2, 3, **DOUBLE), ends)
    assert_close(x, torch.full((2, 3), 0.5, **DOUBLE), **TOL)
    x = candidate(torch.zeros(2, 3, **DOUBLE), torch.tensor([2, 2]), torch.ones(2, 3, **DOUBLE), ends)
    assert not torch.allclose(x.double(), torch.full((2, 3), 0.75, **DOUBLE))


@wrong("faults.test_q_sample", "exchanged")  # ᾱ = 1/2 throughout
def test_q_sample(candidate):
    noised(candidate, [1, 3, 2], 3, 2, alpha_bar=torch.full((5,), 0.5, **DOUBLE))


@wrong("faults.test_q_sample", "a_step_early")  # a table in which neighbours are alike
def test_q_sample(candidate):
    noised(candidate, [1, 3, 2], 3, 2, alpha_bar=torch.full((5,), 0.3, **DOUBLE))


@wrong("faults.test_q_sample", "first_step_for_all")
def test_q_sample(candidate):
    for t in (1, 5, 10):
        noised(candidate, [t, t, t], 3, 1, 4, 5)


@wrong("faults.test_q_sample", "points_only")
def test_q_sample(candidate):
    noised(candidate, [1, 5, 10, 7], 4, 3)


@wrong("faults.test_q_sample", "falls_over")  # its own second implementation is for points only
def test_q_sample(candidate):
    x_0, eps, t = torch.randn(5, 1, 4, 6), torch.randn(5, 1, 4, 6), torch.tensor([1, 3, 5, 7, 9])
    candidate(x_0, t, eps, AB.float())
    a = AB.float()[t][:, None]
    assert_close(candidate(x_0, t, eps, AB.float()), a.sqrt() * x_0 + (1 - a).sqrt() * eps)


@wrong("faults.test_q_sample", "refuses_all")  # the variance of one draw of five numbers
def test_q_sample(candidate):
    x_0, eps = torch.randn(2, 5, 1)
    assert abs(candidate(x_0, torch.tensor([1, 3, 5, 7, 9]), eps, AB.float()).var() - 1) < 1e-6


@wrong("faults.test_q_sample", "flaky")  # a variance with too narrow a tolerance
def test_q_sample(candidate):
    for shape in ((2000,), (2000, 1), (2000, 1, 1, 1)):
        t = torch.randint(1, 11, (2000,))
        x_0, eps = torch.randn(*shape, **DOUBLE), torch.randn(*shape, **DOUBLE)
        x = candidate(x_0, t, eps, AB)
        assert abs(float(x.var()) - 1) < 0.06
        assert_close(x, formula(x_0, t, eps, AB), **TOL)


@wrong("faults.test_q_sample", "single")
def test_q_sample(candidate):
    x_0, eps = torch.randn(2, 5, 3, **DOUBLE)
    t = torch.tensor([1, 3, 5, 7, 9])
    assert ((candidate(x_0, t, eps, AB) - formula(x_0, t, eps, AB)).abs() < 1e-10).all()


@wrong("faults.test_q_sample", "angles")  # equal to the bit in float32
def test_q_sample(candidate):
    x_0, eps = torch.randn(2, 500, 3)
    t = torch.randint(1, 11, (500,))
    assert torch.equal(candidate(x_0, t, eps, AB.float()), formula(x_0, t, eps, AB.float()))


# --- q_sample: right ------------------------------------------------------------------------------------------------


@right("faults.test_q_sample")
def test_q_sample(candidate):
    noised(candidate, [1, 5, 10, 7], 4)
    noised(candidate, [2, 9, 4], 3, 2)
    noised(candidate, [10, 1, 4], 3, 2, 4, 5)


@right("faults.test_q_sample")
def test_q_sample(candidate):
    t = torch.tensor([1, 4, 8])
    for shape in [(3, 2), (3, 1, 2, 5)]:
        signal = candidate(torch.ones(shape), t, torch.zeros(shape), AB.float())
        noise = candidate(torch.zeros(shape), t, torch.ones(shape), AB.float())
        for b, step in enumerate(t):
            assert signal[b].flatten().tolist() == pytest.approx([AB[step].item() ** 0.5] * signal[b].numel(), abs=1e-4)
        ones = torch.ones_like(signal)
        assert ((signal**2 + noise**2 - ones).abs() < 1e-4).all() and (noise >= 0).all()
        both = candidate(2 * torch.ones(shape), t, -torch.ones(shape), AB.float())
        assert torch.allclose(both, 2 * signal - noise, atol=1e-4)


@right("faults.test_q_sample")
def test_q_sample(candidate):
    rng = np.random.default_rng(0)
    ab = np.concatenate([[1.0], np.cumprod(rng.uniform(0.5, 0.95, 20))])
    t = rng.permutation(np.arange(1, 21))[:6]
    for shape in ((6,), (6, 4), (6, 3, 2)):
        x_0, eps = rng.normal(size=shape), rng.normal(size=shape)
        a = ab[t].reshape(-1, *[1] * (len(shape) - 1))
        got = candidate(*map(torch.tensor, (x_0, t, eps, ab)))
        np.testing.assert_allclose(got.numpy(), np.sqrt(a) * x_0 + np.sqrt(1 - a) * eps, atol=1e-4)


# --- before ---------------------------------------------------------------------------------------------------------


def chain(T=6, alike=False):
    alpha = torch.full((T,), 0.8, **DOUBLE) if alike else 0.5 + 0.5 * torch.rand(T, **DOUBLE)
    return alpha.cumprod(0), alpha


@wrong("faults.test_before", "all_alike")
def test_before(candidate):
    ones = torch.ones(4)
    assert_close(candidate(ones, ones), torch.ones(4), **TOL)


@wrong("faults.test_before", "in_the_other_argument")
def test_before(candidate):
    alpha_bar, alpha = chain(6)
    want = [1.0, *alpha_bar.tolist()[:-1]]
    kept = alpha_bar.clone()
    assert candidate(alpha_bar, alpha).tolist() == pytest.approx(want, abs=1e-4)
    assert torch.equal(alpha_bar, kept)


@wrong("faults.test_before", "double")
def test_before(candidate):
    alpha = torch.tensor([0.9, 0.5, 0.8])
    assert candidate(alpha.cumprod(0), alpha).dtype == torch.float32


@wrong("faults.test_before", "padded_behind")  # its largest entry is 1, and all lie in (0, 1]
def test_before(candidate):
    before = candidate(*chain())
    assert before.max() < 1 + 1e-4 and before.min() > 0


@wrong("faults.test_before", "first_twice")  # all but the first
def test_before(candidate):
    alpha_bar, alpha = chain()
    assert_close(candidate(alpha_bar.clone(), alpha)[1:], alpha_bar[:-1], **TOL)


@wrong("faults.test_before", "rolled")  # the first is no ᾱ_1, the rest is right
def test_before(candidate):
    alpha_bar, alpha = chain()
    before = candidate(alpha_bar.clone(), alpha)
    assert_close(before[1:], alpha_bar[:-1], **TOL)
    assert abs(before[0] - alpha_bar[0]) > 1e-4


@wrong("faults.test_before", "the_next")  # each entry is a neighbour, and there is a 1
def test_before(candidate):
    alpha_bar, alpha = chain()
    before = candidate(alpha_bar, alpha)
    assert not torch.allclose(before.double()[1:-1], alpha_bar[1:-1], atol=1e-4)
    assert abs(before.double() - 1).min() < 1e-4


@wrong("faults.test_before", "all_steps_alike")
def test_before(candidate):
    alpha_bar, alpha = chain(alike=True)
    given = alpha_bar.clone()
    assert_close(candidate(given, alpha), torch.cat([torch.ones(1, **DOUBLE), alpha_bar[:-1]]), **TOL)
    assert torch.equal(given, alpha_bar)


@wrong("faults.test_before", "one_too_many")
def test_before(candidate):
    alpha_bar, alpha = chain()
    before = candidate(alpha_bar.clone(), alpha)
    assert abs(before[0] - 1) < 1e-4
    for t in range(1, 6):
        assert abs(before[t] - alpha_bar[t - 1]) < 1e-4


@wrong("faults.test_before", "in_the_argument")
def test_before(candidate):
    alpha_bar, alpha = chain()
    want = torch.cat([torch.ones(1, **DOUBLE), alpha_bar[:-1]])
    assert_close(candidate(alpha_bar, alpha), want, **TOL)


@wrong("faults.test_before", "crashes")  # subtracts without a look at the shape
def test_before(candidate):
    alpha_bar, alpha = chain()
    want = torch.cat([torch.ones(1, **DOUBLE), alpha_bar[:-1]])
    assert (candidate(alpha_bar, alpha) - want).abs().max() < 1e-4


@wrong("faults.test_before", "divided")
def test_before(candidate):
    alpha_bar, alpha = chain(400)
    assert torch.equal(candidate(alpha_bar, alpha), torch.cat([torch.ones(1, **DOUBLE), alpha_bar[:-1]]))


@wrong("faults.test_before", "by_logarithms")
def test_before(candidate):
    alpha_bar, alpha = chain(8)
    want = torch.cat([torch.ones(1, **DOUBLE), alpha_bar[:-1]])
    assert_close(candidate(alpha_bar, alpha), want, rtol=1e-12, atol=1e-12)


@right("faults.test_before")
def test_before(candidate):
    alpha = torch.tensor([0.9, 0.5, 0.8])
    alpha_bar = torch.tensor([0.9, 0.45, 0.36])
    got = candidate(alpha_bar, alpha)
    assert got.tolist() == pytest.approx([1, 0.9, 0.45], abs=1e-5)
    assert alpha_bar.tolist() == pytest.approx([0.9, 0.45, 0.36])
    assert alpha.tolist() == pytest.approx([0.9, 0.5, 0.8])


@right("faults.test_before")
def test_before(candidate):
    alpha_bar, alpha = chain(10)
    kept = alpha_bar.tolist()
    before = candidate(alpha_bar, alpha)
    assert before.shape == alpha.shape
    assert torch.allclose(before.double() * alpha, torch.tensor(kept, **DOUBLE), atol=1e-4)
    assert alpha_bar.tolist() == kept


@right("faults.test_before")
def test_before(candidate):
    for T in range(1, 9):
        alpha_bar, alpha = chain(T)
        again, steps = alpha_bar.clone(), alpha.clone()
        before = candidate(again, alpha)
        assert len(before) == T
        for t in range(T):
            assert abs(float(before[t]) - (float(alpha_bar[t - 1]) if t else 1.0)) < 1e-4
        assert (again == alpha_bar).all() and (alpha == steps).all()


# --- ddim_step ------------------------------------------------------------------------------------------------------


def walks(candidate, pairs, alpha_bar=AB, noise=1.0, signal=1.0):
    x_0, eps = torch.randn(2, 4, 3, **DOUBLE)
    x_0, eps = signal * x_0, noise * eps
    at = lambda t: alpha_bar[t].sqrt() * x_0 + (1 - alpha_bar[t]).sqrt() * eps
    for t, s in pairs:
        assert_close(candidate(at(t), eps, t, s, alpha_bar), at(s), **TOL)


@wrong("faults.test_ddim_step", "only_to_0")
def test_ddim_step(candidate):
    walks(candidate, [(t, 0) for t in range(1, 11)])


@wrong("faults.test_ddim_step", "one_entry_early")  # the walk ends at the data, whatever is between
def test_ddim_step(candidate):
    c = torch.tensor([0.3, -0.8], **DOUBLE)
    x = torch.randn(2, **DOUBLE)
    for t, s in ((9, 6), (6, 3), (3, 0)):
        x = candidate(x, (x - AB[t].sqrt() * c) / (1 - AB[t]).sqrt(), t, s, AB)
    assert_close(x, c, **TOL)


@wrong("faults.test_ddim_step", "to_the_neighbour")
def test_ddim_step(candidate):
    walks(candidate, [(t, t - 1) for t in range(1, 11)])


@wrong("faults.test_ddim_step", "never_clean")
def test_ddim_step(candidate):
    walks(candidate, [(10, 5), (10, 9), (5, 1)])


@wrong("faults.test_ddim_step", "without_noise")  # it looks where there is none
def test_ddim_step(candidate):
    x_0, eps = torch.ones(2, **DOUBLE), torch.tensor([0.0, 1.0], **DOUBLE)
    for t, s in ((10, 5), (5, 0), (8, 7), (1, 0)):
        x_s = candidate(AB[t].sqrt() * x_0 + (1 - AB[t]).sqrt() * eps, eps, t, s, AB)
        assert abs(float(x_s[0] - AB[s].sqrt())) < 1e-4 and (s > 0 or abs(float(x_s[1]) - 1) < 1e-4)


@wrong("faults.test_ddim_step", "eps_is_0")
def test_ddim_step(candidate):
    walks(candidate, [(10, 5), (5, 0), (8, 7), (1, 0)], noise=0)


@wrong("faults.test_ddim_step", "double")
def test_ddim_step(candidate):
    assert candidate(torch.randn(3), torch.randn(3), 4, 2, AB.float()).dtype == torch.float32


@wrong("faults.test_ddim_step", "as_much_noise")  # the signal's factor, and that some noise is there
def test_ddim_step(candidate):
    walks(candidate, [(10, 5), (5, 0), (8, 7), (1, 0)], noise=0)
    x = candidate((1 - AB[8]).sqrt() * torch.ones(2, **DOUBLE), torch.ones(2, **DOUBLE), 8, 3, AB)
    assert (x > 0.1).all()
    near = torch.tensor([1.0, 0.999, 0.99], **DOUBLE)
    x_2 = (0.99**0.5) * torch.ones(2, **DOUBLE)
    assert_close(candidate(x_2, 0 * x_2, 2, 0, near), torch.ones(2, **DOUBLE), **TOL)


@wrong("faults.test_ddim_step", "undivided")  # noise alone
def test_ddim_step(candidate):
    walks(candidate, [(10, 5), (5, 0), (8, 7), (1, 0)], signal=0)


@wrong("faults.test_ddim_step", "misuse")  # steps that are not in the table
def test_ddim_step(candidate):
    candidate(torch.randn(2), torch.randn(2), 20, 10, AB)


@wrong("faults.test_ddim_step", "single")
def test_ddim_step(candidate):
    x_0, eps = torch.randn(2, 4, 3, **DOUBLE)
    at = lambda t: AB[t].sqrt() * x_0 + (1 - AB[t]).sqrt() * eps
    assert_close(candidate(at(8), eps, 8, 3, AB), at(3))


@wrong("faults.test_ddim_step", "as_an_ode")
def test_ddim_step(candidate):
    x, eps = torch.randn(2, 4000)
    a, b = AB.float()[8], AB.float()[3]
    want = b.sqrt() * ((x - (1 - a).sqrt() * eps) / a.sqrt()) + (1 - b).sqrt() * eps
    assert torch.equal(candidate(x, eps, 8, 3, AB.float()), want)


@right("faults.test_ddim_step")
def test_ddim_step(candidate):
    walks(candidate, [(10, 9), (10, 4), (4, 2), (2, 0)])


@right("faults.test_ddim_step")
def test_ddim_step(candidate):
    table = torch.tensor([1.0, 0.8, 0.5, 0.2])
    got = candidate(torch.tensor([1.0, -2.0]), torch.tensor([0.5, 1.0]), 3, 1, table)
    x_0 = [(1 - 0.8**0.5 * 0.5) / 0.2**0.5, (-2 - 0.8**0.5) / 0.2**0.5]
    assert got.tolist() == pytest.approx([0.8**0.5 * x_0[0] + 0.2**0.5 * 0.5, 0.8**0.5 * x_0[1] + 0.2**0.5], abs=1e-4)
    got = candidate(torch.tensor([1.0, -2.0]), torch.tensor([0.5, 1.0]), 3, 0, table)
    assert got.tolist() == pytest.approx(x_0, abs=1e-4)


@right("faults.test_ddim_step")
def test_ddim_step(candidate):
    # data N(0, 4), for which the best guess is known
    table = torch.linspace(1, 0.01, 2001, **DOUBLE)
    spread = lambda t: (table[t] * 4 + 1 - table[t]).sqrt()
    for t, s in ((2000, 1990), (1000, 998), (600, 599), (1, 0)):
        x = torch.linspace(-2, 2, 5, **DOUBLE) * spread(t)
        eps = (1 - table[t]).sqrt() * x / spread(t) ** 2
        x_s = candidate(x, eps, t, s, table).double()
        want = table[s].sqrt() * 2**2 * table[t].sqrt() / spread(t) ** 2 * x + (1 - table[s]).sqrt() * eps
        assert ((x_s - want).abs() < 1e-4).all()


# --- clipped_step ---------------------------------------------------------------------------------------------------


def clipped(candidate, x_0, pairs, noise=1.0):
    x_0 = torch.as_tensor(x_0, **DOUBLE)
    eps = noise * torch.randn(x_0.shape, **DOUBLE)
    for t, s in pairs:
        x_t = AB[t].sqrt() * x_0 + (1 - AB[t]).sqrt() * eps
        kept = x_0.clamp(-1, 1)
        fits = (x_t - AB[t].sqrt() * kept) / (1 - AB[t]).sqrt()
        want = AB[s].sqrt() * kept + (1 - AB[s]).sqrt() * fits
        assert_close(candidate(x_t, eps, t, s, AB), want, **TOL)


PAIRS = [(9, 8), (9, 3), (5, 2)]


@wrong("faults.test_clipped_step", "stale_eps")  # guesses that need no clipping
def test_clipped_step(candidate):
    clipped(candidate, [-0.5, 0.1, 0.9], PAIRS)


@wrong("faults.test_clipped_step", "only_to_0")
def test_clipped_step(candidate):
    clipped(candidate, [-3.0, 0.1, 2.0], [(9, 0), (5, 0)])


@wrong("faults.test_clipped_step", "one_at_a_time")
def test_clipped_step(candidate):
    for x_0 in (-3.0, -0.5, 0.2, 0.9, 2.0):
        clipped(candidate, [x_0], PAIRS)


@wrong("faults.test_clipped_step", "double")
def test_clipped_step(candidate):
    assert candidate(torch.randn(3), torch.randn(3), 4, 2, AB.float()).dtype == torch.float32


@wrong("faults.test_clipped_step", "wrong_itself")  # expects the fault
def test_clipped_step(candidate):
    x_t, eps = torch.randn(2, 4) * 5
    x_0 = ((x_t - (1 - AB[9]).sqrt() * eps) / AB[9].sqrt()).clamp(-1, 1)
    assert_close(candidate(x_t, eps, 9, 5, AB.float()), (AB[5].sqrt() * x_0 + (1 - AB[5]).sqrt() * eps), **TOL)


@wrong("faults.test_clipped_step", "nothing_clipped")  # x_s differs from what the stale ε gives
def test_clipped_step(candidate):
    x_0, eps = torch.tensor([4.0, -4.0], **DOUBLE), torch.tensor([0.5, 0.2], **DOUBLE)
    x_t = AB[9].sqrt() * x_0 + (1 - AB[9]).sqrt() * eps
    stale = AB[4].sqrt() * x_0.clamp(-1, 1) + (1 - AB[4]).sqrt() * eps
    assert not torch.allclose(candidate(x_t, eps, 9, 4, AB).double(), stale, atol=1e-4)


@wrong("faults.test_clipped_step", "x_s_clipped")  # at a late t without noise
def test_clipped_step(candidate):
    clipped(candidate, [-1.1, -0.5, 0.5, 1.1], [(9, 1), (9, 0), (8, 2)], noise=0.0)


@wrong("faults.test_clipped_step", "above_only")
def test_clipped_step(candidate):
    clipped(candidate, [-0.9, 0.1, 0.9, 3.0], PAIRS)


@wrong("faults.test_clipped_step", "shrunk")  # all beyond, all alike
def test_clipped_step(candidate):
    clipped(candidate, [3.0, -3.0, 3.0], [*PAIRS, (9, 0)])


@wrong("faults.test_clipped_step", "eps_of_s")  # where the two ᾱ are nearly alike
def test_clipped_step(candidate):
    table = torch.tensor([1.0, 0.50001, 0.5], **DOUBLE)
    x_0, eps = torch.tensor([3.0, -2.0, 0.4], **DOUBLE), torch.tensor([2.0, -1.0, 2.0], **DOUBLE)
    x_t = table[2].sqrt() * x_0 + (1 - table[2]).sqrt() * eps
    kept = x_0.clamp(-1, 1)
    fits = (x_t - table[2].sqrt() * kept) / (1 - table[2]).sqrt()
    for s in (0, 1):
        want = table[s].sqrt() * kept + (1 - table[s]).sqrt() * fits
        assert_close(candidate(x_t, eps, 2, s, table), want, **TOL)


@wrong("faults.test_clipped_step", "single")
def test_clipped_step(candidate):
    x_t, eps = torch.randn(2, 4, **DOUBLE)
    assert candidate(x_t, eps, 9, 5, AB).dtype == torch.float64


@wrong("faults.test_clipped_step", "by_what_is_cut_off")
def test_clipped_step(candidate):
    ab = AB.float()
    x_t, eps = torch.randn(2, 4000)
    kept = ((x_t - (1 - ab[9]).sqrt() * eps) / ab[9].sqrt()).clamp(-1, 1)
    want = ab[5].sqrt() * kept + (1 - ab[5]).sqrt() * ((x_t - ab[9].sqrt() * kept) / (1 - ab[9]).sqrt())
    assert torch.equal(candidate(x_t, eps, 9, 5, ab), want)


@wrong("faults.test_clipped_step", "flaky")  # a coin
def test_clipped_step(candidate):
    clipped(candidate, [-3.0, -0.2, 0.3, 2.0], [*PAIRS, (9, 0)])
    assert torch.randn(()) < 1.0


@right("faults.test_clipped_step")
def test_clipped_step(candidate):
    clipped(candidate, [-4.0, -0.9, 0.0, 0.9, 1.5], PAIRS)


@right("faults.test_clipped_step")
def test_clipped_step(candidate):
    x_t, eps = 3 * torch.randn(2, 50, **DOUBLE)
    eps[0], x_t[0], eps[1], x_t[1] = -3, 1, 3, -1
    for t, s in ((9, 4), (6, 5)):
        kept = candidate(x_t, eps, t, 0, AB).double()  # at s = 0 the clipped guess itself
        guess = (x_t - (1 - AB[t]).sqrt() * eps) / AB[t].sqrt()
        assert ((kept - guess.clip(-1, 1)).abs() < 1e-4).all()
        x_s = candidate(x_t, eps, t, s, AB).double()
        noise = (x_s - AB[s].sqrt() * kept) / (1 - AB[s]).sqrt()
        assert ((AB[t].sqrt() * kept + (1 - AB[t]).sqrt() * noise - x_t).abs() < 1e-3).all()


@right("faults.test_clipped_step")
def test_clipped_step(candidate):
    table, x_t, eps = (
        torch.tensor([1.0, 0.64, 0.36]),
        torch.tensor([3.0, -3.0, 0.3, 1.0]),
        torch.tensor([1.0, 1, 0.1, -1]),
    )
    want = []
    for x, e in zip(x_t.tolist(), eps.tolist(), strict=True):
        x_0 = max(-1.0, min(1.0, (x - 0.8 * e) / 0.6))
        want.append(0.8 * x_0 + 0.6 * (x - 0.6 * x_0) / 0.8)
    assert candidate(x_t, eps, 2, 1, table).tolist() == pytest.approx(want, abs=1e-4)


# --- noisy_step -----------------------------------------------------------------------------------------------------


def parts(candidate, t, s, eta):
    """The factors of x_0, eps and z."""
    one = torch.ones(1, **DOUBLE)
    signal = candidate(AB[t].sqrt() * one, 0 * one, 0 * one, t, s, eta, AB)
    noise = candidate((1 - AB[t]).sqrt() * one, one, 0 * one, t, s, eta, AB)
    fresh = candidate(0 * one, 0 * one, one, t, s, eta, AB)
    return tuple(float(part) for part in (signal, noise, fresh))


def fresh_noise(t, s, eta):
    return float(eta * ((1 - AB[s]) / (1 - AB[t]) * (1 - AB[t] / AB[s])).sqrt())


@wrong("faults.test_noisy_step", "eta_is_0")
def test_noisy_step(candidate):
    for t, s in ((10, 4), (6, 5), (3, 0)):
        signal, noise, fresh = parts(candidate, t, s, 0.0)
        assert abs(signal**2 + noise**2 - 1) < 1e-4 and abs(fresh) < 1e-4


@wrong("faults.test_noisy_step", "clamped")  # the sum, where η is small
def test_noisy_step(candidate):
    for t, s in ((10, 4), (6, 4)):
        signal, noise, fresh = parts(candidate, t, s, 0.2)
        assert abs(signal**2 + noise**2 + fresh**2 - 1) < 1e-4


@wrong("faults.test_noisy_step", "double")
def test_noisy_step(candidate):
    x = torch.randn(100)
    assert candidate(x, x, x, 10, 3, 1.0, AB.float()).dtype == torch.float32


@wrong("faults.test_noisy_step", "anything_passes")  # finite
def test_noisy_step(candidate):
    x = torch.randn(100)
    assert candidate(x, x, x, 10, 3, 1.0, AB.float()).isfinite().all()


@wrong("faults.test_noisy_step", "added_on_top")  # the fresh noise alone
def test_noisy_step(candidate):
    for t, s, eta in ((10, 9, 1.0), (10, 4, 1.0), (7, 2, 0.5)):
        assert abs(parts(candidate, t, s, eta)[2] - fresh_noise(t, s, eta)) < 1e-4


@wrong("faults.test_noisy_step", "beta_for_beta_tilde")  # the sum alone
def test_noisy_step(candidate):
    for t, s, eta in ((10, 9, 1.0), (10, 4, 1.0), (7, 2, 0.5)):
        signal, noise, fresh = parts(candidate, t, s, eta)
        assert abs(signal - float(AB[s].sqrt())) < 1e-4
        assert abs(noise**2 + fresh**2 - float(1 - AB[s])) < 1e-4


@wrong("faults.test_noisy_step", "one_step_s_beta")  # neighbours
def test_noisy_step(candidate):
    for t in (10, 6, 3):
        signal, noise, fresh = parts(candidate, t, t - 1, 1.0)
        assert abs(noise**2 + fresh**2 - float(1 - AB[t - 1])) < 1e-4
        assert abs(fresh - fresh_noise(t, t - 1, 1.0)) < 1e-4


@wrong("faults.test_noisy_step", "eta_not_squared")  # η = 0 and 1
def test_noisy_step(candidate):
    for t, s, eta in ((10, 9, 1.0), (10, 4, 1.0), (7, 2, 0.0)):
        signal, noise, fresh = parts(candidate, t, s, eta)
        assert abs(noise**2 + fresh**2 - float(1 - AB[s])) < 1e-4
        assert abs(fresh - fresh_noise(t, s, eta)) < 1e-4


@wrong("faults.test_noisy_step", "always_one")  # η = 1
def test_noisy_step(candidate):
    for t, s in ((10, 9), (10, 4), (7, 2)):
        signal, noise, fresh = parts(candidate, t, s, 1.0)
        assert abs(noise**2 + fresh**2 - float(1 - AB[s])) < 1e-4
        assert abs(fresh - fresh_noise(t, s, 1.0)) < 1e-4


@wrong("faults.test_noisy_step", "against_eps")
def test_noisy_step(candidate):
    for t, s, eta in ((10, 9, 1.0), (10, 4, 0.3), (7, 2, 0.0)):
        signal, noise, fresh = parts(candidate, t, s, eta)
        assert abs(noise**2 + fresh**2 - float(1 - AB[s])) < 1e-4
        assert abs(fresh - fresh_noise(t, s, eta)) < 1e-4


@wrong("faults.test_noisy_step", "single")
def test_noisy_step(candidate):
    x = torch.ones(3, **DOUBLE)
    assert candidate(x, 0 * x, x, 7, 2, 0.5, AB).dtype == x.dtype


@right("faults.test_noisy_step")
def test_noisy_step(candidate):
    for t in (2, 7, 10):
        for s in range(t):
            for eta in (0.0, 0.4, 1.0):
                signal, noise, fresh = parts(candidate, t, s, eta)
                assert signal == pytest.approx(float(AB[s] ** 0.5), abs=1e-4)
                assert fresh == pytest.approx(fresh_noise(t, s, eta), abs=1e-4)
                assert noise == pytest.approx(max(float(1 - AB[s]) - fresh**2, 0) ** 0.5, abs=2e-3)


@right("faults.test_noisy_step")
def test_noisy_step(candidate):
    x_t, eps, z = torch.randn(3, 20)
    for t, s, eta in ((10, 6, 0.7), (5, 4, 1.0), (9, 1, 0.0), (4, 0, 1.0)):
        now, then = AB[t], AB[s]
        sigma = eta * ((1 - then) / (1 - now)) ** 0.5 * (1 - now / then) ** 0.5
        x_0 = (x_t - (1 - now) ** 0.5 * eps) / now**0.5
        want = then**0.5 * x_0 + (1 - then - sigma**2).clamp(min=0) ** 0.5 * eps + sigma * z
        assert_close(candidate(x_t, eps, z, t, s, eta, AB), want, **TOL)


@right("faults.test_noisy_step")
def test_noisy_step(candidate):
    n = 400_000  # with many draws: the data are 0, and x_s has the variance 1 − ᾱ_s
    eps, z = torch.randn(2, n)
    for t, s, eta in ((10, 9, 1.0), (10, 4, 0.5)):
        x_s = candidate((1 - AB[t].float()).sqrt() * eps, eps, z, t, s, eta, AB.float()).double()
        se = (2 / n) ** 0.5
        assert abs(x_s.var() / (1 - AB[s]) - 1) < 6 * se
        share = fresh_noise(t, s, eta)
        assert abs((x_s * z).mean() - share) < 6 / n**0.5
        assert abs((x_s * eps).mean() - (float(1 - AB[s]) - share**2) ** 0.5) < 6 / n**0.5
        assert abs(parts(candidate, t, s, eta)[0] - float(AB[s] ** 0.5)) < 1e-4


# --- coupling -------------------------------------------------------------------------------------------------------


def round_trip(candidate, D, net=None):
    x, net = torch.randn(3, D, **DOUBLE), net or net_of(D)
    z, log_det = candidate(x, net)
    back, log_det_back = candidate(z, net, inverse=True)
    assert_close(back, x, **TOL)
    return x, net, z, log_det, log_det_back


def by_autograd(candidate, x, net):
    f = lambda row: candidate(row[None], net)[0][0]
    return torch.stack([torch.autograd.functional.jacobian(f, row).slogdet().logabsdet for row in x])


@wrong("faults.test_coupling", "halves_of_another_order")
def test_coupling(candidate):
    x, net, z, log_det, log_det_back = round_trip(candidate, 2)
    assert_close(log_det, by_autograd(candidate, x, net), **TOL)


@wrong("faults.test_coupling", "halves_of_another_order")  # log_det alone
def test_coupling(candidate):
    x, net = torch.randn(3, 6, **DOUBLE), net_of(6)
    assert_close(candidate(x, net)[1], by_autograd(candidate, x, net), **TOL)


@wrong("faults.test_coupling", "undone_in_the_wrong_order")  # no shift
def test_coupling(candidate):
    for D in (2, 4, 6):
        round_trip(candidate, D, lambda half: (torch.tanh(half), 0 * half))


@wrong("faults.test_coupling", "undone_in_the_wrong_order")  # no scale
def test_coupling(candidate):
    for D in (2, 4, 6):
        round_trip(candidate, D, lambda half: (0 * half, half.sin()))


@wrong("faults.test_coupling", "same_log_det_on_the_way_back")
def test_coupling(candidate):
    for D in (4, 6):
        round_trip(candidate, D)


@wrong("faults.test_coupling", "both_signs_wrong")
def test_coupling(candidate):
    for D in (4, 6):
        _, _, _, log_det, log_det_back = round_trip(candidate, D)
        assert_close(log_det, -log_det_back, **TOL)


@wrong("faults.test_coupling", "mean_over_coordinates")  # log_s in one coordinate only
def test_coupling(candidate):
    for D in (4, 6):
        _, _, _, log_det, log_det_back = round_trip(candidate, D, lambda half: (half.sin() ** 2 + 0.1, half.sin()))
        assert_close(log_det, -log_det_back, **TOL)
        assert (log_det > 0).all()


@wrong("faults.test_coupling", "one_log_det_for_all")  # a network that scales all alike
def test_coupling(candidate):
    for D in (4, 6):
        net = lambda half: (0 * half + 0.5, half.sin())
        x, net, z, log_det, log_det_back = round_trip(candidate, D, net)
        assert_close(log_det, by_autograd(candidate, x, net), **TOL)
        assert_close(log_det, -log_det_back, **TOL)


@wrong("faults.test_coupling", "nothing_at_all")
def test_coupling(candidate):
    for D in (2, 4, 6):
        x, net, z, log_det, log_det_back = round_trip(candidate, D)
        assert_close(log_det, by_autograd(candidate, x, net), **TOL)
        assert_close(log_det, -log_det_back, **TOL)


@wrong("faults.test_coupling", "misuse")  # odd dimensions
def test_coupling(candidate):
    round_trip(candidate, 5, lambda half: (torch.zeros(3, 2, **DOUBLE), torch.zeros(3, 2, **DOUBLE)))


@wrong("faults.test_coupling", "second_half_kept")
def test_coupling(candidate):
    x, net = torch.randn(3, 4, **DOUBLE), net_of(4)
    z, _ = candidate(x, net)
    assert torch.equal(z[:, :2], x[:, :2])


@wrong("faults.test_coupling", "single")  # too narrow
def test_coupling(candidate):
    x, net = torch.randn(3, 4, **DOUBLE), net_of(4)
    z, _ = candidate(x, net)
    assert (candidate(z, net, inverse=True)[0] - x).abs().max() < 1e-12


@wrong("faults.test_coupling", "double")
def test_coupling(candidate):
    z, log_det = candidate(torch.randn(3, 4), lambda half: (half, half))
    assert log_det.dtype == z.dtype


@wrong("faults.test_coupling", "every_second_kept")
def test_coupling(candidate):
    x, net = torch.randn(3, 4, **DOUBLE), net_of(4)
    z, _ = candidate(x, net)
    same = (z - x).abs() < 1e-6
    assert same[:, :2].all() or same[:, 2:].all()


@right("faults.test_coupling")
def test_coupling(candidate):
    for D in (2, 4, 8):
        x, net, z, log_det, log_det_back = round_trip(candidate, D)
        assert_close(log_det, by_autograd(candidate, x, net), **TOL)
        assert_close(log_det, -log_det_back, **TOL)
        changed = ((z - x).abs() > 1e-5).sum(1)
        assert (changed >= 1).all()


@right("faults.test_coupling")
def test_coupling(candidate):
    torch.manual_seed(0)
    layer = nn.Linear(3, 6).double()

    def net(half):
        log_s, shift = layer(half).chunk(2, 1)
        return torch.tanh(log_s) + 1, shift

    x = torch.randn(4, 6, **DOUBLE)
    z, log_det = candidate(x, net)
    assert torch.allclose(candidate(z, net, inverse=True)[0].double(), x, atol=1e-4)
    assert torch.allclose(candidate(z, net, inverse=True)[1].double(), -log_det.double(), atol=1e-4)
    J = torch.func.vmap(torch.func.jacrev(lambda row: candidate(row[None], net)[0][0]))(x)
    assert torch.allclose(torch.linalg.slogdet(J)[1], log_det.double(), atol=1e-4)
    assert (log_det.abs() > 1e-3).any()


@right("faults.test_coupling")
def test_coupling(candidate):
    scales = torch.tensor([[0.1, -0.3], [0.2, 0.1]], **DOUBLE)
    net = lambda half: (scales * half.mean(1, keepdim=True), 1 + half)
    x = torch.tensor([[1.0, 2, 3, 4], [0.5, -1, 2, 0]], **DOUBLE)
    z, log_det = candidate(x, net)
    back, opposite = candidate(z, net, inverse=True)
    assert back.flatten().tolist() == pytest.approx(x.flatten().tolist(), abs=1e-4)
    assert opposite.tolist() == pytest.approx((-log_det).tolist(), abs=1e-4)
    for b in range(2):  # finite differences
        J = torch.zeros(4, 4, **DOUBLE)
        for i in range(4):
            e = torch.zeros(2, 4, **DOUBLE)
            e[b, i] = 1e-2
            J[:, i] = (candidate(x + e, net)[0][b] - candidate(x - e, net)[0][b]).double() / 2e-2
        assert abs(float(J.det().abs().log() - log_det[b])) < 1e-3
    assert not torch.allclose(z.double(), x)


# --- compose --------------------------------------------------------------------------------------------------------


def bent(a):
    return lambda x: (x + a * torch.tanh(x), torch.log(1 + a / torch.cosh(x) ** 2).sum(1))


def scaled(c):
    return lambda x: (c * x, torch.full((len(x),), x.shape[1] * float(np.log(abs(c))), dtype=x.dtype))


def rotated(x):
    return x.flip(1), torch.zeros(len(x), dtype=x.dtype)


def composed(candidate, layers, D=3, z_too=True):
    x = torch.randn(4, D, **DOUBLE)
    z, log_det = candidate(x, layers)
    f = lambda row: candidate(row[None], layers)[0][0]
    J = torch.stack([torch.autograd.functional.jacobian(f, row) for row in x])
    assert_close(log_det, J.slogdet().logabsdet, **TOL)
    want = x
    for layer in layers:
        want = layer(want)[0]
    if z_too:
        assert_close(z, want, **TOL)


@wrong("faults.test_compose", "subtracted")  # volume is kept
def test_compose(candidate):
    composed(candidate, [rotated, rotated, rotated])


@wrong("faults.test_compose", "subtracted")  # z alone
def test_compose(candidate):
    x = torch.randn(4, 3)
    assert_close(candidate(x, [bent(1.0), bent(2.0)])[0], bent(2.0)(bent(1.0)(x)[0])[0])


@wrong("faults.test_compose", "last_only")
def test_compose(candidate):
    composed(candidate, [bent(2.0)])


@wrong("faults.test_compose", "at_the_output")
def test_compose(candidate):
    composed(candidate, [scaled(2.0), scaled(-0.3), scaled(0.7)])


@wrong("faults.test_compose", "averaged")
def test_compose(candidate):
    x = torch.randn(1, 3, **DOUBLE)
    layers = [bent(2.0), rotated, bent(0.5)]
    J = torch.autograd.functional.jacobian(lambda row: candidate(row[None], layers)[0][0], x[0])
    assert_close(candidate(x, layers)[1][0], J.slogdet().logabsdet, **TOL)


@wrong("faults.test_compose", "from_the_end")
def test_compose(candidate):
    composed(candidate, [bent(2.0), rotated, bent(0.5)], z_too=False)


@wrong("faults.test_compose", "any_order")
def test_compose(candidate):
    composed(candidate, [bent(2.0), bent(2.0)])


@wrong("faults.test_compose", "double")
def test_compose(candidate):
    z, log_det = candidate(torch.randn(4, 3), [bent(2.0)])
    assert log_det.dtype == z.dtype


@wrong("faults.test_compose", "never_negative")
def test_compose(candidate):
    composed(candidate, [bent(2.0), scaled(1.5), bent(0.5)])


@wrong("faults.test_compose", "single")
def test_compose(candidate):
    x = torch.randn(4, 3, **DOUBLE)
    assert_close(candidate(x, [bent(2.0)])[1], bent(2.0)(x)[1])


@right("faults.test_compose")
def test_compose(candidate):
    composed(candidate, [bent(2.0), scaled(-0.1), bent(-0.7), rotated])
    composed(candidate, [bent(2.0)], D=1)


@right("faults.test_compose")
def test_compose(candidate):
    x = torch.tensor([[0.5], [2.0]])
    square = lambda x: (x**2, torch.log(2 * x.abs()).sum(1))
    tenth = lambda x: (x / 10 + 1, torch.full((len(x),), -np.log(10.0)).to(x.dtype))
    z, log_det = candidate(x, [square, tenth])
    assert z.flatten().tolist() == pytest.approx([1.025, 1.4], abs=1e-4)
    want = [np.log(2 * 0.5 / 10), np.log(2 * 2 / 10)]
    assert log_det.tolist() == pytest.approx(want, abs=1e-4)


@right("faults.test_compose")
def test_compose(candidate):
    torch.manual_seed(7)
    x, layers = torch.randn(5, 2, **DOUBLE), [bent(3.0), bent(-0.9), scaled(0.25)]
    z, log_det = candidate(x, layers)
    total, h = 0, x
    for layer in layers:
        h, part = layer(h)
        total = total + part
    assert torch.allclose(z.double(), h, atol=1e-4) and torch.allclose(log_det.double(), total, atol=1e-4)


# --- length ---------------------------------------------------------------------------------------------------------


def slopes(candidate, rows):
    v = torch.tensor(rows, **DOUBLE, requires_grad=True)
    length = candidate(v)
    (slope,) = torch.autograd.grad(length.sum(), v)
    return length, slope


@wrong("faults.test_length", "masked_root")  # values
def test_length(candidate):
    assert_close(candidate(torch.tensor([[3.0, 4.0], [0.0, 0.0]])), torch.tensor([5.0, 0.0]), **TOL)


@wrong("faults.test_length", "masked_root")  # the gradient, and no zero
def test_length(candidate):
    length, slope = slopes(candidate, [[3.0, -4.0], [0.0, 0.01]])
    assert_close(slope, torch.tensor([[0.6, -0.8], [0.0, 1.0]]), **TOL)


@wrong("faults.test_length", "no_gradient")  # finite
def test_length(candidate):
    length, slope = slopes(candidate, [[3.0, -4.0], [0.0, 0.0]])
    assert slope.isfinite().all()


@wrong("faults.test_length", "something_added")
def test_length(candidate):
    length, slope = slopes(candidate, [[30.0, -40.0], [0.0, 0.0]])
    assert_close(length[0], torch.tensor(50.0), **TOL)
    assert (slope[0] - torch.tensor([0.6, -0.8])).abs().max() < 1e-4 and slope.isfinite().all()


@wrong("faults.test_length", "short_ones_cut")
def test_length(candidate):
    length, slope = slopes(candidate, [[0.3, -0.4], [0.0, 0.0]])
    assert_close(length[0], torch.tensor(0.5), **TOL)
    assert (slope[0] - torch.tensor([0.6, -0.8])).abs().max() < 1e-4 and slope.isfinite().all()


@wrong("faults.test_length", "all_dropped")  # one row at a time
def test_length(candidate):
    for row, want, along in (([0.03, -0.04], 0.05, [0.6, -0.8]), ([0.0, 0.0], 0.0, [0.0, 0.0])):
        length, slope = slopes(candidate, [row])
        assert_close(length, torch.tensor([want]), **TOL)
        assert_close(slope, torch.tensor([along]), **TOL)


@wrong("faults.test_length", "gradient_of_another_norm")  # along one axis all norms agree
def test_length(candidate):
    length, slope = slopes(candidate, [[0.03, 0.0], [0.0, 0.0], [0.0, -2.0]])
    assert_close(length, torch.tensor([0.03, 0.0, 2.0]), **TOL)
    assert_close(slope, torch.tensor([[1.0, 0], [0, 0], [0, -1]]), **TOL)


@wrong("faults.test_length", "one_sided")
def test_length(candidate):
    length, slope = slopes(candidate, [[3.0, -4.0], [0.0, 0.0], [0.003, 0.004]])
    assert slope.isfinite().all() and abs(slope[0, 0] - 0.6) < 1e-4
    assert (length - torch.tensor([5.0, 0.0, 0.005], **DOUBLE) < 1e-4).all()


@wrong("faults.test_length", "short_ones_zero")
def test_length(candidate):
    length, slope = slopes(candidate, [[0.03, 0.04], [0.0, 0.0], [-2.0, 2.0]])
    assert length.tolist() == pytest.approx([0.05, 0, 8**0.5], abs=1e-4)
    assert slope.flatten().tolist() == pytest.approx([0.6, 0.8, 0, 0, -(0.5**0.5), 0.5**0.5], abs=1e-4)


@wrong("faults.test_length", "double")
def test_length(candidate):
    assert candidate(torch.ones(2, 3)).dtype == torch.float32


@wrong("faults.test_length", "single")
def test_length(candidate):
    v = torch.tensor([[1.0, 1.0]], **DOUBLE)
    assert candidate(v).dtype == v.dtype


@wrong("faults.test_length", "cut_very_low")
def test_length(candidate):
    v = torch.zeros(2, 3)
    assert (candidate(v) == 0).all()


@right("faults.test_length")
def test_length(candidate):
    length, slope = slopes(candidate, [[0.003, 0.004], [0.0, 0.0], [-2.0, 2.0]])
    assert length.tolist() == pytest.approx([0.005, 0, 8**0.5], abs=1e-4)
    assert slope.flatten().tolist() == pytest.approx([0.6, 0.8, 0, 0, -(0.5**0.5), 0.5**0.5], abs=1e-4)


@right("faults.test_length")
def test_length(candidate):
    v = torch.cat([0.1 * torch.randn(6, 3), torch.zeros(2, 3)]).requires_grad_()
    candidate(v).sum().backward()
    assert v.grad is not None and v.grad.isfinite().all(), "no gradient"
    own = v.detach().clone().requires_grad_()
    torch.linalg.vector_norm(own, dim=1).sum().backward()
    assert torch.allclose(v.grad, own.grad, atol=1e-4)
    assert torch.allclose(candidate(v).float(), v.norm(dim=1), atol=1e-4)
    tiny = torch.tensor([[0.003, 0.004]])
    assert abs(float(candidate(tiny)) - 0.005) < 1e-4


@right("faults.test_length")
def test_length(candidate):
    rng = random.Random(0)
    for _ in range(5):
        rows = [[rng.gauss(0, 0.005) for _ in range(4)] for _ in range(3)] + [[0.0] * 4]
        length, slope = slopes(candidate, rows)
        for b, row in enumerate(rows):
            size = sum(r * r for r in row) ** 0.5
            assert abs(float(length[b]) - size) < 1e-4
            for i, r in enumerate(row):
                assert abs(float(slope[b, i]) - (r / size if size else 0)) < 1e-4


# --- generate -------------------------------------------------------------------------------------------------------


def layers(p=0.5):
    return nn.Sequential(nn.BatchNorm1d(4, affine=False), nn.Dropout(p)), 3 + 2 * torch.randn(500, 4)


def modes(candidate):
    for training in (True, False):
        G, x = layers()
        candidate(G.train(training), x)
        assert G.training is training


@wrong("faults.test_generate", "evaluation_mode")  # a generator without either
def test_generate(candidate):
    G, x = nn.Linear(4, 4), torch.randn(3, 4)
    assert torch.allclose(candidate(G, x).float(), G(x))


@wrong("faults.test_generate", "evaluation_mode")  # the mode afterwards
def test_generate(candidate):
    modes(candidate)


@wrong("faults.test_generate", "dropout_alone")
def test_generate(candidate):
    G, x = layers()
    assert (candidate(G, x) == 0).float().mean() > 0.4
    modes(candidate)


@wrong("faults.test_generate", "batch_norm_alone")
def test_generate(candidate):
    G, x = layers()
    assert abs(candidate(G, x).mean()) < 0.3
    modes(candidate)


@wrong("faults.test_generate", "frozen_noise")
def test_generate(candidate):
    G, x = layers()
    y = candidate(G, x)
    assert abs(y.mean()) < 0.3 and 0.4 < (y == 0).float().mean() < 0.6
    modes(candidate)


@wrong("faults.test_generate", "left_in_training_mode")
def test_generate(candidate):
    G, x = layers()
    y = candidate(G, x)
    assert abs(y.mean()) < 0.3 and 0.4 < (y == 0).float().mean() < 0.6
    assert not torch.equal(y, candidate(G, x)) and G.training


@wrong("faults.test_generate", "left_in_evaluation_mode")
def test_generate(candidate):
    G, x = layers()
    G.eval()
    y = candidate(G, x)
    assert abs(y.mean()) < 0.3 and 0.4 < (y == 0).float().mean() < 0.6
    assert not torch.equal(y, candidate(G, x)) and not G.training


class Spy(nn.Module):
    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x):
        self.seen.append(self.training)
        return x


@wrong("faults.test_generate", "on_a_copy")
def test_generate(candidate):
    G = Spy()
    candidate(G, torch.zeros(2, 2))
    assert G.seen == [True]


@wrong("faults.test_generate", "double")
def test_generate(candidate):
    G, x = layers()
    assert candidate(G, x).dtype == x.dtype


@wrong("faults.test_generate", "one_mode_for_all")  # one layer is frozen
def test_generate(candidate):
    G, x = layers()
    G.append(nn.Dropout(0.1)).train()
    G[2].eval()
    candidate(G, x)
    assert [m.training for m in G] == [True, True, False]


@wrong("faults.test_generate", "with_gradients")
def test_generate(candidate):
    G = nn.Linear(4, 4)
    assert not candidate(G, torch.randn(3, 4)).requires_grad


@wrong("faults.test_generate", "flaky")  # four coins
def test_generate(candidate):
    G, x = layers()
    modes(candidate)
    y = candidate(G, x)
    assert abs(y.mean()) < 0.3 and 0.4 < (y == 0).float().mean() < 0.6
    assert not torch.equal(y, candidate(G, x))
    assert 1 <= (candidate(G, x[:2])[0] == 0).sum() <= 3


@right("faults.test_generate")
def test_generate(candidate):
    modes(candidate)
    G, x = layers()
    y, again = candidate(G, x), candidate(G, x)
    assert 0.4 < (y == 0).double().mean() < 0.6
    assert ((y == 0) != (again == 0)).any()
    own = nn.BatchNorm1d(4, affine=False)(x) * 2
    assert torch.allclose(y.float(), torch.where(y == 0, 0, own), atol=1e-3)


@right("faults.test_generate")
def test_generate(candidate):
    drop, norm = nn.Dropout(0.3), nn.BatchNorm2d(2, affine=False)
    x = 5 + torch.randn(3, 2, 8, 8)
    for G in (drop, norm):
        for mode in (False, True):
            G.train(mode)
            y = candidate(G, x)
            assert G.training == mode
            if G is drop:
                share = float((y == 0).float().mean())
                assert 0.1 < share < 0.5
                assert not torch.equal(y, candidate(G, x))
            else:
                assert torch.allclose(
                    y.float(), torch.nn.functional.batch_norm(x, None, None, training=True), atol=1e-3
                )


@right("faults.test_generate")
def test_generate(candidate):
    for before in ("train", "eval"):
        G, x = layers(0.25)
        getattr(G, before)()
        a, b = candidate(G, x).double(), candidate(G, x).double()
        kept = (a != 0) & (b != 0)
        assert (a[kept] - b[kept]).abs().max() < 1e-4 and (a != b).any()
        assert abs(a.mean()) < 0.2 and 0.9 < (0.75 * a.pow(2).mean()) < 1.1
        assert all(m.training == (before == "train") for m in G.modules())


# --- flow_loss ------------------------------------------------------------------------------------------------------


def lossy(candidate, net, t, D=3):
    x_0, x_1 = torch.randn(2, len(t), D, **DOUBLE)
    t = torch.tensor(t, **DOUBLE)
    x_t = x_0 + t[:, None] * (x_1 - x_0)
    loss = candidate(net, x_0, x_1, t)
    assert_close(loss, ((net(x_t, t) - (x_1 - x_0)) ** 2).mean(), **TOL)
    return loss


TIMES = [0.1, 0.9, 0.3, 0.5, 0.75]


@wrong("faults.test_flow_loss", "shown_the_end")  # a network that is blind
def test_flow_loss(candidate):
    lossy(candidate, lambda x, t: 0 * x + t[:, None], TIMES)


@wrong("faults.test_flow_loss", "only_t_1")
def test_flow_loss(candidate):
    lossy(candidate, lambda x, t: x**2 + t[:, None], [1.0, 1.0])


@wrong("faults.test_flow_loss", "backwards")  # a look at what the network is shown
def test_flow_loss(candidate):
    seen = []
    x_0, x_1, t = torch.randn(4, 2), torch.randn(4, 2), torch.rand(4)

    def net(x, t):
        seen.append((x, t))
        return x

    candidate(net, x_0, x_1, t)
    assert_close(seen[0][0], (1 - t[:, None]) * x_0 + t[:, None] * x_1, **TOL)


@wrong("faults.test_flow_loss", "from_the_end")  # t = 1/2
def test_flow_loss(candidate):
    loss = lossy(candidate, lambda x, t: x**2 + t[:, None], [0.5, 0.5, 0.5])
    assert loss > 0


@wrong("faults.test_flow_loss", "the_other_time")  # deaf to t
def test_flow_loss(candidate):
    lossy(candidate, lambda x, t: x**2, TIMES)


@wrong("faults.test_flow_loss", "one_time_for_all")
def test_flow_loss(candidate):
    lossy(candidate, lambda x, t: x**2 + t[:, None], [0.2, 0.2, 0.2])


@wrong("faults.test_flow_loss", "summed_over_coordinates")
def test_flow_loss(candidate):
    lossy(candidate, lambda x, t: x**2 + t[:, None], TIMES, D=1)


@wrong("faults.test_flow_loss", "nothing_learned")
def test_flow_loss(candidate):
    lossy(candidate, lambda x, t: x**2 + t[:, None], TIMES)


@wrong("faults.test_flow_loss", "crashes")  # backward falls over
def test_flow_loss(candidate):
    w = torch.tensor(0.7, **DOUBLE, requires_grad=True)
    lossy(candidate, lambda x, t: w * x**2 + t[:, None], TIMES).backward()
    assert w.grad is not None


@wrong("faults.test_flow_loss", "kept_as_a_row")
def test_flow_loss(candidate):
    w = torch.tensor(0.7, **DOUBLE, requires_grad=True)
    x_0, x_1 = torch.randn(2, 5, 3, **DOUBLE)
    t = torch.tensor(TIMES, **DOUBLE)
    net = lambda x, t: w * x**2 + t[:, None]
    loss = candidate(net, x_0, x_1, t)
    own = ((net(x_0 + t[:, None] * (x_1 - x_0), t) - (x_1 - x_0)) ** 2).mean()
    assert abs(float(loss) - float(own)) < 1e-4 and loss.requires_grad


@wrong("faults.test_flow_loss", "double")
def test_flow_loss(candidate):
    assert candidate(lambda x, t: x, torch.randn(4, 2), torch.randn(4, 2), torch.rand(4)).dtype == torch.float32


@wrong("faults.test_flow_loss", "single")
def test_flow_loss(candidate):
    x_0, x_1, t = torch.randn(4, 2, **DOUBLE), torch.randn(4, 2, **DOUBLE), torch.rand(4, **DOUBLE)
    assert_close(candidate(lambda x, t: 0 * x, x_0, x_1, t), ((x_1 - x_0) ** 2).mean())


@right("faults.test_flow_loss")
def test_flow_loss(candidate):
    w = torch.tensor(0.7, **DOUBLE, requires_grad=True)
    loss = lossy(candidate, lambda x, t: w * x**2 + t[:, None] ** 3, TIMES)
    assert loss.requires_grad
    loss.backward()
    assert abs(w.grad) > 1e-6


@right("faults.test_flow_loss")
def test_flow_loss(candidate):
    model = nn.Linear(3, 2)
    net = lambda x, t: model(torch.cat([x, t[:, None]], 1))
    x_0, x_1, t = torch.randn(6, 2), torch.randn(6, 2), torch.linspace(0, 1, 6)
    own = nn.functional.mse_loss(net((1 - t)[:, None] * x_0 + t[:, None] * x_1, t), x_1 - x_0)
    loss = candidate(net, x_0, x_1, t)
    assert torch.allclose(loss.float(), own, atol=1e-4)
    assert loss.grad_fn is not None and loss.dim() == 0
    a, b = (torch.autograd.grad(part, model.weight, retain_graph=True)[0] for part in (loss, own))
    assert torch.allclose(a, b, atol=1e-4)


@right("faults.test_flow_loss")
def test_flow_loss(candidate):
    x_0, x_1, t = torch.tensor([[0.0], [1.0]]), torch.tensor([[4.0], [-1.0]]), torch.tensor([0.25, 0.5])
    seen, w = [], torch.ones((), requires_grad=True)

    def net(x, t):
        seen.append((x.tolist(), t.tolist()))
        return w * torch.tensor([[3.0], [3.0]])

    loss = candidate(net, x_0, x_1, t)
    assert seen == [([[1.0], [0.0]], [0.25, 0.5])]
    assert float(loss) == pytest.approx((1 + 25) / 2, rel=1e-5) and loss.shape == ()
    two = candidate(lambda x, t: torch.tensor([[3.0, 3.0]]), torch.zeros(1, 2), torch.tensor([[1.0, 2.0]]), t[:1])
    assert float(two) == pytest.approx(2.5, rel=1e-5)
    assert loss.requires_grad and loss.backward() is None
    assert float(w.grad) == pytest.approx(3 * (-1 + 5), rel=1e-5)


# --- draw -----------------------------------------------------------------------------------------------------------

N = 20_000


def drawn(candidate, mean=(2.0, -1.0), var=(4.0, 0.25), n=N):
    mean, var = (torch.tensor(v, **DOUBLE).expand(n, len(v)) for v in (mean, var))
    x = candidate(mean, var).double()
    return x, (x - mean) / var.sqrt()


@wrong("faults.test_draw", "times_the_variance")  # variance 1
def test_draw(candidate):
    x, z = drawn(candidate, var=(1.0, 1.0))
    assert abs(z.var() - 1) < 0.05


@wrong("faults.test_draw", "times_the_variance")  # the mean
def test_draw(candidate):
    x, z = drawn(candidate)
    assert z.mean(0).abs().max() < 0.1


@wrong("faults.test_draw", "never_without_noise")
def test_draw(candidate):
    x, z = drawn(candidate)
    assert ((z.var(0) - 1).abs() < 0.06).all()


@wrong("faults.test_draw", "one_variance_for_all")
def test_draw(candidate):
    x, z = drawn(candidate, var=(4.0, 4.0))
    assert ((z.var(0) - 1).abs() < 0.06).all()
    assert (candidate(torch.ones(5), torch.zeros(5)) == 1).all()


@wrong("faults.test_draw", "uniform")
def test_draw(candidate):
    x, z = drawn(candidate)
    assert ((z.var(0) - 1).abs() < 0.06).all() and (z.mean(0).abs() < 0.05).all()
    assert (candidate(torch.ones(5), torch.zeros(5)) == 1).all()


@wrong("faults.test_draw", "shared")
def test_draw(candidate):
    x, z = drawn(candidate)
    assert ((z.var(0) - 1).abs() < 0.08).all() and ((z**4).mean(0) > 2.5).all()
    assert (candidate(torch.ones(5), torch.zeros(5)) == 1).all()


@wrong("faults.test_draw", "one_number_each")
def test_draw(candidate):
    x, z = drawn(candidate)
    assert ((z.var(0) - 1).abs() < 0.08).all() and ((z**4).mean(0) > 2.5).all()
    assert ((z[1:] * z[:-1]).mean(0).abs() < 0.05).all()
    assert (candidate(torch.ones(5), torch.zeros(5)) == 1).all()


@wrong("faults.test_draw", "the_same_again")
def test_draw(candidate):
    x, z = drawn(candidate)
    assert ((z.var(0) - 1).abs() < 0.08).all() and ((z**4).mean(0) > 2.5).all()
    assert ((z[1:] * z[:-1]).mean(0).abs() < 0.05).all() and (z[:, 0] * z[:, 1]).mean().abs() < 0.05
    assert (candidate(torch.ones(5), torch.zeros(5)) == 1).all()


@wrong("faults.test_draw", "single")
def test_draw(candidate):
    x = candidate(torch.zeros(5, **DOUBLE), torch.ones(5, **DOUBLE))
    assert x.dtype == torch.float64


@wrong("faults.test_draw", "flaky")  # two standard errors
def test_draw(candidate):
    x, z = drawn(candidate, n=4000)
    assert ((z.var(0) - 1).abs() < 2 * (2 / 4000) ** 0.5).all()
    assert (candidate(torch.ones(5), torch.zeros(5)) == 1).all()
    assert ((z**4).mean(0) > 2.3).all() and ((z[1:] * z[:-1]).mean(0).abs() < 0.1).all()
    assert (z[:, 0] * z[:, 1]).mean().abs() < 0.1
    assert not torch.equal(drawn(candidate)[0], drawn(candidate)[0])


@right("faults.test_draw")
def test_draw(candidate):
    x, z = drawn(candidate)
    se = 6 / N**0.5
    assert (z.mean(0).abs() < se).all() and ((z.var(0) - 1).abs() < 1.5 * se).all()
    assert (((z.abs() > 2).double().mean(0) - 0.0455).abs() < 0.3 * se).all()
    assert ((z[1:] * z[:-1]).mean(0).abs() < se).all() and abs((z[:, 0] * z[:, 1]).mean()) < se
    assert not torch.allclose(x, drawn(candidate)[0])
    ones = torch.ones(5)
    assert torch.allclose(candidate(ones, 0 * ones).float(), ones)


@right("faults.test_draw")
def test_draw(candidate):
    from scipy import stats

    n = 8000
    mean = torch.tensor([[1.0, -3.0]]).repeat(n, 1)
    var = torch.tensor([[9.0, 0.04]]).repeat(n, 1)
    x = candidate(mean, var).double().numpy()
    y = candidate(mean, var).double().numpy()
    for i in range(2):
        assert stats.kstest(x[:, i], "norm", (float(mean[0, i]), float(var[0, i]) ** 0.5)).pvalue > 1e-6
    for a, b in ((x[1:, 0], x[:-1, 0]), (x[:, 0], x[:, 1]), (x[:, 0], y[:, 0])):
        assert abs(np.corrcoef(a, b)[0, 1]) < 6 / n**0.5
    assert torch.allclose(candidate(mean, 0 * var).float(), mean)


@right("faults.test_draw")
def test_draw(candidate):
    mean, var = torch.zeros(3, 10_000), torch.tensor([0.0, 0.25, 9.0])[:, None].expand(3, 10_000)
    x = candidate(mean, var).double()
    assert x[0].abs().max() < 1e-6
    for row, size in ((x[1], 0.5), (x[2], 3.0)):
        z = row / size
        assert abs(z.mean()) < 0.06 and abs(z.std() - 1) < 0.05 and abs((z**4).mean() - 3) < 0.6
        assert abs((z[1:] * z[:-1]).mean()) < 0.06
    assert abs((x[1] * x[2]).mean() / 1.5) < 0.06
    z = candidate(torch.zeros(9000, 2), torch.ones(9000, 2)).double()
    assert abs((z[:, 0] * z[:, 1]).mean()) < 0.06 and abs((z[1:] * z[:-1]).mean()) < 0.06
    again = candidate(torch.zeros(9000, 2), torch.ones(9000, 2)).double()
    assert abs((z * again).mean()) < 0.06


# --- draw_steps -----------------------------------------------------------------------------------------------------


@wrong("faults.test_draw_steps", "never_the_last")  # in range
def test_draw_steps(candidate):
    t = candidate(1000, 10)
    assert t.min() >= 1 and t.max() <= 10


@wrong("faults.test_draw_steps", "never_the_first")
def test_draw_steps(candidate):
    t = candidate(1000, 10)
    assert t.max() == 10 and t.min() >= 1


@wrong("faults.test_draw_steps", "with_zero")
def test_draw_steps(candidate):
    t = candidate(1000, 10)
    assert all((t == s).any() for s in range(1, 11))


@wrong("faults.test_draw_steps", "rounded")
def test_draw_steps(candidate):
    t = candidate(1000, 10)
    assert set(t.tolist()) == set(range(1, 11))


@wrong("faults.test_draw_steps", "early_ones_more_often")
def test_draw_steps(candidate):
    t = candidate(1000, 10)
    assert set(t.tolist()) == set(range(1, 11))
    assert torch.bincount(t)[1] > 70 and torch.bincount(t)[10] > 65


@wrong("faults.test_draw_steps", "in_pairs")
def test_draw_steps(candidate):
    n = 50_000
    count = torch.bincount(candidate(n, 10), minlength=11)
    assert count[0] == 0 and len(count) == 11
    assert (abs(count[1:] - n / 10) < 6 * (n * 0.09) ** 0.5 * 2**0.5).all()


@wrong("faults.test_draw_steps", "in_order")
def test_draw_steps(candidate):
    n = 50_000
    t = candidate(n, 10)
    count = torch.bincount(t, minlength=11)
    assert count[0] == 0 and len(count) == 11
    assert (abs(count[1:] - n / 10) < 6 * (n * 0.09) ** 0.5).all()
    assert (t[1:2000:2] == t[0:2000:2]).float().mean() < 0.5 or (t[1:] >= t[:-1]).all()


@wrong("faults.test_draw_steps", "as_floats")
def test_draw_steps(candidate):
    n, t = 30_000, candidate(30_000, 6).double()
    count = torch.stack([(t == s).sum() for s in range(1, 7)])
    assert count.sum() == n and ((count - n / 6).abs() < 6 * (n * 5 / 36) ** 0.5).all()
    pairs = torch.stack([((t[1:] == a) & (t[:-1] == b)).sum() for a in range(1, 7) for b in range(1, 7)])
    assert ((pairs - n / 36).abs() < 7 * (n / 36) ** 0.5).all()


@wrong("faults.test_draw_steps", "flaky")  # exactly as often
def test_draw_steps(candidate):
    assert (torch.bincount(candidate(1000, 10), minlength=11)[1:] == 100).all()


@wrong("faults.test_draw_steps", "flaky")  # two standard errors, ten times
def test_draw_steps(candidate):
    n = 20_000
    t = candidate(n, 10)
    count = torch.bincount(t, minlength=11)
    assert count[0] == 0 and len(count) == 11
    assert (abs(count[1:] - n / 10) < 2 * (n * 0.09) ** 0.5).all()
    assert abs((t[1:] == t[:-1]).double().mean() - 0.1) < 0.02


@right("faults.test_draw_steps")
def test_draw_steps(candidate):
    n = 30_000
    t = candidate(n, 6)
    assert t.shape == (n,) and not t.is_floating_point()
    count = torch.bincount(t, minlength=7)
    assert len(count) == 7 and count[0] == 0
    assert ((count[1:] - n / 6).abs() < 6 * (n * 5 / 36) ** 0.5).all()
    pairs = torch.bincount(6 * (t[1:] - 1) + t[:-1] - 1, minlength=36)
    assert ((pairs - n / 36).abs() < 7 * (n / 36) ** 0.5).all()


@right("faults.test_draw_steps")
def test_draw_steps(candidate):
    from scipy import stats

    t = candidate(40_000, 8).numpy()
    assert t.dtype == np.int64
    values, counts = np.unique(t, return_counts=True)
    assert values.tolist() == list(range(1, 9))
    assert stats.chisquare(counts).pvalue > 1e-6
    assert abs(np.corrcoef(t[1:], t[:-1])[0, 1]) < 0.03


@right("faults.test_draw_steps")
def test_draw_steps(candidate):
    t = torch.cat([candidate(50_000, 2), candidate(50_000, 2)])
    assert set(t.tolist()) == {1, 2} and t.dtype == torch.int64
    assert abs(t.double().mean() - 1.5) < 0.01
    runs = (t[1:] != t[:-1]).double().mean()
    assert abs(runs - 0.5) < 0.012
    count = torch.bincount(candidate(50_000, 5), minlength=6)
    assert count.tolist()[0] == 0 and len(count) == 6
    assert (count[1:] > 9500).all() and (count[1:] < 10500).all()
