"""Further answers to lab_5_faults, as they were tried on it."""
# ruff: noqa
# pyright: reportRedeclaration=false, reportAttributeAccessIssue=false, reportAssignmentType=false
# pyright: reportGeneralTypeIssues=false, reportAssertAlwaysTrue=false, reportUnusedExpression=false
# pyright: reportOptionalSubscript=false

from . import right, wrong

import collections, functools, itertools, math, sys

import numpy as np

import torch

from torch import nn


def close(got, want, tol=1e-4):
    torch.testing.assert_close(got.double(), want.double(), atol=tol, rtol=0)


D64 = torch.float64

AB = torch.tensor([1.0, 0.93, 0.78, 0.55, 0.31, 0.12, 0.02], dtype=D64)


# sum of squares expected in place of the mean
@wrong("faults.test_mse", "wrong_itself")
def f(candidate):
    p = torch.randn(6, 1, dtype=D64, requires_grad=True)
    y = torch.randn(6, dtype=D64)
    loss = candidate(p, y)
    want = sum((float(p[i, 0]) - float(y[i])) ** 2 for i in range(6))
    assert abs(float(loss) - want) < 1e-4


# a batch of one pair only
@wrong("faults.test_mse", "every_pair")
def f(candidate):
    p = torch.tensor([[2.5]], requires_grad=True)
    y = torch.tensor([0.7])
    loss = candidate(p, y)
    assert loss.shape == ()
    assert abs(float(loss) - 1.8**2) < 1e-4
    assert loss.requires_grad
    (g,) = torch.autograd.grad(loss, p)
    assert abs(float(g) - 3.6) < 1e-4


# returns True or False, no assert
@wrong("faults.test_mse", "returns")
def f(candidate):
    p = torch.randn(6, 1, dtype=D64, requires_grad=True)
    y = torch.randn(6, dtype=D64)
    loss = candidate(p, y)
    want = ((p[:, 0] - y) ** 2).mean()
    return loss.shape == () and bool(torch.isclose(loss.double(), want, atol=1e-4))


# abs forgotten: loss - want < 1e-4 accepts every loss that is too small
@wrong("faults.test_mse", "one_sided")
def f(candidate):
    p = torch.randn(6, 1, dtype=D64, requires_grad=True)
    y = torch.randn(6, dtype=D64)
    loss = candidate(p, y)
    want = sum((float(p[i, 0]) - float(y[i])) ** 2 for i in range(6)) / 6
    assert loss.shape == ()
    assert loss.requires_grad
    assert float(loss) - want < 1e-4


# insists on dtype float32 of the result
@wrong("faults.test_mse", "double")
def f(candidate):
    p = torch.randn(6, 1, requires_grad=True)
    y = torch.randn(6)
    loss = candidate(p, y)
    want = sum((float(p[i, 0]) - float(y[i])) ** 2 for i in range(6)) / 6
    assert loss.shape == () and loss.dtype == torch.float32 and loss.requires_grad
    assert abs(float(loss) - want) < 1e-4
    (g,) = torch.autograd.grad(loss, p)
    close(g, 2 * (p.detach() - y[:, None]) / 6)


# the reference broadcasts, as the faulty one does
@wrong("faults.test_mse", "wrong_itself")
def f(candidate):
    p = torch.randn(6, 1, dtype=D64, requires_grad=True)
    y = torch.randn(6, dtype=D64)
    loss = candidate(p, y)
    want = ((p - y) ** 2).mean()
    assert loss.shape == ()
    close(loss, want)


# the value is tested, the gradient is not
@wrong("faults.test_mse", "no_gradient")
def f(candidate):
    p = torch.randn(6, 1, dtype=D64, requires_grad=True)
    y = torch.randn(6, dtype=D64)
    loss = candidate(p, y)
    want = sum((float(p[i, 0]) - float(y[i])) ** 2 for i in range(6)) / 6
    assert loss.shape == ()
    assert abs(float(loss) - want) < 1e-4


#
@right("faults.test_mse")
def f(candidate):  # numpy and finite differences, and the gradient
    rng = np.random.default_rng(3)
    P, Y = rng.normal(size=(5, 1)), rng.normal(size=5)
    p = torch.tensor(P, requires_grad=True)
    loss = candidate(p, torch.tensor(Y))
    assert tuple(loss.shape) == () and loss.requires_grad
    assert np.isclose(loss.item(), np.mean(np.square(P.ravel() - Y)), atol=1e-4)
    loss.backward()
    assert p.grad is not None
    assert np.allclose(p.grad.numpy(), 2 * (P - Y[:, None]) / 5, atol=1e-4)


#
@right("faults.test_mse")
def f(candidate):  # several sizes, mse_loss
    for B in (1, 2, 9):
        p = torch.randn(B, 1, dtype=D64).requires_grad_()
        y = torch.randn(B, dtype=D64)
        q = p.detach().clone().requires_grad_()
        want = nn.functional.mse_loss(q.squeeze(1), y)
        got = candidate(p, y)
        assert got.dim() == 0 and got.requires_grad
        close(got.detach(), want.detach())
        g = torch.autograd.grad(got, p)[0]
        close(g, torch.autograd.grad(want, q)[0])


def axes(v, x):
    return v.reshape(-1, *[1] * (x.dim() - 1))


# the same t for all examples of the batch
@wrong("faults.test_q_sample", "first_step_for_all")
def f(candidate):
    for shape in ((5,), (5, 3), (5, 2, 4, 3)):
        x, e = torch.randn(2, *shape, dtype=D64)
        for s in range(1, 7):
            t = torch.full((5,), s)
            close(candidate(x, t, e, AB), AB[s].sqrt() * x + (1 - AB[s]).sqrt() * e)


# the reference forgets the root of 1 - alpha_bar
@wrong("faults.test_q_sample", "wrong_itself")
def f(candidate):
    t = torch.tensor([1, 4, 2, 6, 3])
    for shape in ((5,), (5, 3), (5, 2, 4, 3)):
        x, e = torch.randn(2, *shape, dtype=D64)
        A = axes(AB[t], x)
        close(candidate(x, t, e, AB), A.sqrt() * x + (1 - A) * e)


# off by one: the reference reads alpha_bar[t - 1]
@wrong("faults.test_q_sample", "wrong_itself")
def f(candidate):
    t = torch.tensor([1, 4, 2, 6, 3])
    for shape in ((5,), (5, 3), (5, 2, 4, 3)):
        x, e = torch.randn(2, *shape, dtype=D64)
        A = axes(AB[t - 1], x)
        close(candidate(x, t, e, AB), A.sqrt() * x + (1 - A).sqrt() * e)


# eps is 0 everywhere: the noise is never tested
@wrong("faults.test_q_sample", "eps_is_0")
def f(candidate):
    t = torch.tensor([1, 4, 2, 6, 3])
    for shape in ((5,), (5, 3), (5, 2, 4, 3)):
        x = torch.randn(*shape, dtype=D64)
        close(candidate(x, t, torch.zeros_like(x), AB), axes(AB[t], x).sqrt() * x)


# assert_close without .double(): refuses right ones for their dtype
@wrong("faults.test_q_sample", "double")
def f(candidate):
    t = torch.tensor([1, 4, 2, 6, 3])
    for shape in ((5,), (5, 3), (5, 2, 4, 3)):
        x, e = torch.randn(2, *shape)
        A = axes(AB.float()[t], x)
        torch.testing.assert_close(candidate(x, t, e, AB.float()), A.sqrt() * x + (1 - A).sqrt() * e, atol=1e-4, rtol=0)


# assert of a tuple (condition, message): always true
@wrong("faults.test_q_sample", "anything_passes")
def f(candidate):
    t = torch.tensor([1, 4, 2, 6, 3])
    x, e = torch.randn(2, 5, 3, dtype=D64)
    A = axes(AB[t], x)
    want = A.sqrt() * x + (1 - A).sqrt() * e
    assert (torch.allclose(candidate(x, t, e, AB).double(), want, atol=1e-4), "wrong x_t")


#
@right("faults.test_q_sample")
def f(candidate):  # einsum
    t = torch.tensor([6, 1, 3, 2])
    for shape in ((4,), (4, 6), (4, 2, 3, 5)):
        x, e = torch.randn(2, *shape, dtype=D64)
        want = torch.einsum("b,b...->b...", AB[t] ** 0.5, x) + torch.einsum("b,b...->b...", (1 - AB[t]) ** 0.5, e)
        got = candidate(x, t, e, AB)
        assert got.shape == x.shape
        assert float((got - want).abs().max()) < 1e-4


#
@right("faults.test_q_sample")
def f(candidate):  # vmap
    t = torch.tensor([2, 5, 4])
    one = torch.vmap(lambda x, a, e: a.sqrt() * x + (1 - a).sqrt() * e)
    for shape in ((3,), (3, 2), (3, 4, 5), (3, 1, 6, 6)):
        x, e = torch.randn(2, *shape, dtype=D64)
        got = candidate(x, t, e, AB)
        assert tuple(got.shape) == shape
        close(got, one(x, AB[t], e))


#
@right("faults.test_q_sample")
def f(candidate):  # nested lists, by recursion
    def mixed(x, e, s, n):
        if isinstance(x, list):
            return [mixed(u, v, s, n) for u, v in zip(x, e)]
        return s * x + n * e

    t = [3, 1, 6, 2, 5]
    for shape in ((5,), (5, 4), (5, 2, 3, 4)):
        x, e = torch.randn(2, *shape, dtype=D64)
        want = [mixed(u, v, math.sqrt(AB[s]), math.sqrt(1 - AB[s])) for u, v, s in zip(x.tolist(), e.tolist(), t)]
        close(candidate(x, torch.tensor(t), e, AB), torch.tensor(want, dtype=D64))


def faulty_before(alpha_bar, alpha):
    return torch.nn.functional.pad(alpha_bar[:-1], (0, 1), value=1.0)


AL = torch.tensor([0.95, 0.83, 0.7, 0.62, 0.41], dtype=D64)


# only the first entry is tested
@wrong("faults.test_before", "all_steps_alike")
def f(candidate):
    got = candidate(AL.cumprod(0), AL.clone())
    assert got.shape == (5,)
    assert abs(float(got[0]) - 1) < 1e-4


# the first entry is left out of the test
@wrong("faults.test_before", "first_twice")
def f(candidate):
    ab = AL.cumprod(0)
    keep = ab.clone()
    got = candidate(ab, AL.clone())
    assert got.shape == (5,)
    close(got[1:], keep[:-1])
    assert torch.equal(ab, keep)


# the first entry wanted is alpha_bar_1 in place of 1
@wrong("faults.test_before", "wrong_itself")
def f(candidate):
    ab = AL.cumprod(0)
    want = torch.cat([ab[:1], ab[:-1]])
    close(candidate(ab.clone(), AL.clone()), want)


# a table of ones: no entry differs from another
@wrong("faults.test_before", "all_alike")
def f(candidate):
    ones = torch.ones(5, dtype=D64)
    given = ones.clone()
    got = candidate(given, ones.clone())
    close(got, ones)
    assert torch.equal(given, ones)


# not tested whether the arguments stay as they are
@wrong("faults.test_before", "in_the_argument")
def f(candidate):
    for T in (3, 5):
        ab = AL[:T].cumprod(0)
        want = torch.cat([torch.ones(1, dtype=D64), ab[:-1]]).clone()
        close(candidate(ab.clone(), AL[:T].clone()), want)


# off by one: wants alpha_bar itself, not shifted
@wrong("faults.test_before", "refuses_all")
def f(candidate):
    ab = AL.cumprod(0)
    want = torch.cat([torch.ones(1, dtype=D64), AL]).cumprod(0)[1:]
    close(candidate(ab.clone(), AL.clone()), want)


# only says that it differs from the faulty function that is shown
@wrong("faults.test_before", "first_twice")
def f(candidate):
    ab = AL.cumprod(0)
    got = candidate(ab.clone(), AL.clone()).double()
    assert not torch.allclose(got, faulty_before(ab, AL), atol=1e-4)


#
@right("faults.test_before")
def f(candidate):  # by division
    for T in (1, 2, 5):
        al = AL[:T].clone()
        ab = al.cumprod(0)
        b1, a1 = ab.clone(), al.clone()
        got = candidate(ab, al)
        assert got.shape == (T,)
        close(got, b1 / a1)
        assert (ab == b1).all() and (al == a1).all()


#
@right("faults.test_before")
def f(candidate):  # accumulate over plain numbers, random alphas
    al = 0.3 + 0.7 * torch.rand(8, dtype=D64)
    ab = al.cumprod(0)
    lists = al.tolist(), ab.tolist()
    got = candidate(ab, al)
    want = list(itertools.accumulate(lists[0][:-1], lambda p, q: p * q, initial=1.0))
    assert len(got) == 8
    for g, w in zip(got.tolist(), want, strict=True):
        assert abs(g - w) < 1e-4
    assert al.tolist() == lists[0] and ab.tolist() == lists[1]


def ddim(x, e, t, s, ab):
    x0 = (x - (1 - ab[t]).sqrt() * e) / ab[t].sqrt()
    return ab[s].sqrt() * x0 + (1 - ab[s]).sqrt() * e


# only steps to s = 0
@wrong("faults.test_ddim_step", "only_to_0")
def f(candidate):
    x, e = torch.randn(2, 4, 3, dtype=D64)
    for t in range(1, 7):
        close(candidate(x, e, t, 0, AB), ddim(x, e, t, 0, AB))


# only steps from t to t - 1
@wrong("faults.test_ddim_step", "to_the_neighbour")
def f(candidate):
    x, e = torch.randn(2, 4, 3, dtype=D64)
    for t in range(1, 7):
        close(candidate(x, e, t, t - 1, AB), ddim(x, e, t, t - 1, AB))


# eps_hat is 0 in every case
@wrong("faults.test_ddim_step", "eps_is_0")
def f(candidate):
    x = torch.randn(4, 3, dtype=D64)
    for t in range(1, 7):
        for s in range(t):
            close(candidate(x, 0 * x, t, s, AB), (AB[s] / AB[t]).sqrt() * x)


# the reference forgets the root of 1 - alpha_bar_s
@wrong("faults.test_ddim_step", "refuses_all")
def f(candidate):
    x, e = torch.randn(2, 4, 3, dtype=D64)
    for t, s in ((6, 2), (5, 4), (3, 1), (2, 0)):
        x0 = (x - (1 - AB[t]).sqrt() * e) / AB[t].sqrt()
        close(candidate(x, e, t, s, AB), AB[s].sqrt() * x0 + (1 - AB[s]) * e)


# the reference changes x_t in place before the candidate gets it
@wrong("faults.test_ddim_step", "refuses_all")
def f(candidate):
    x, e = torch.randn(2, 4, 3, dtype=D64)
    for t, s in ((6, 2), (5, 4), (3, 1), (2, 0)):
        x_t = x.clone()
        x0 = x_t
        x0 -= (1 - AB[t]).sqrt() * e
        x0 /= AB[t].sqrt()
        want = AB[s].sqrt() * x0 + (1 - AB[s]).sqrt() * e
        close(candidate(x_t, e, t, s, AB), want)


# a tolerance of 1e-9: refuses right ones in float32
@wrong("faults.test_ddim_step", "single")
def f(candidate):
    x, e = torch.randn(2, 4, 3, dtype=D64)
    for t, s in ((6, 2), (5, 4), (3, 1), (2, 0)):
        close(candidate(x, e, t, s, AB), ddim(x, e, t, s, AB), tol=1e-9)


#
@right("faults.test_ddim_step")
def f(candidate):  # two coefficients
    x, e = torch.randn(2, 2, 5, dtype=D64)
    for t in range(1, 7):
        for s in range(t):
            c = (AB[s] / AB[t]).sqrt()
            d = (1 - AB[s]).sqrt() - c * (1 - AB[t]).sqrt()
            got = candidate(x, e, t, s, AB)
            assert got.shape == x.shape
            close(got, c * x + d * e)


#
@right("faults.test_ddim_step")
def f(candidate):  # angles
    angle = [math.acos(math.sqrt(v)) for v in AB.tolist()]
    for t, s in itertools.combinations(range(6, -1, -1), 2):
        x0, e = torch.randn(2, 7, dtype=D64)
        x_t = math.cos(angle[t]) * x0 + math.sin(angle[t]) * e
        got = candidate(x_t, e, t, s, AB.clone())
        assert ((got - math.cos(angle[s]) * x0 - math.sin(angle[s]) * e).abs() < 1e-4).all()


#
@right("faults.test_ddim_step")
def f(candidate):  # plain numbers, 0-dim tensors as well
    ab = AB.tolist()
    for t, s in ((6, 5), (6, 1), (4, 2), (3, 0), (1, 0)):
        for x, e in ((0.3, -1.2), (-2.0, 0.4), (1.5, 2.5)):
            x0 = (x - math.sqrt(1 - ab[t]) * e) / math.sqrt(ab[t])
            want = math.sqrt(ab[s]) * x0 + math.sqrt(1 - ab[s]) * e
            got = candidate(torch.tensor([x, 0.0], dtype=D64), torch.tensor([e, 0.0], dtype=D64), t, s, AB)
            assert abs(got[0].item() - want) < 1e-4
            assert abs(got[1].item()) < 1e-4


def clipped(x, e, t, s, ab, lo=-1.0, hi=1.0):
    x0 = ((x - (1 - ab[t]).sqrt() * e) / ab[t].sqrt()).clamp(lo, hi)
    e = (x - ab[t].sqrt() * x0) / (1 - ab[t]).sqrt()
    return ab[s].sqrt() * x0 + (1 - ab[s]).sqrt() * e


PAIRS = ((5, 4), (5, 2), (3, 1), (2, 0))


def noised(x0, t):
    e = torch.randn_like(x0)
    return AB[t].sqrt() * x0 + (1 - AB[t]).sqrt() * e, e


# no guess leaves [-1, 1]
@wrong("faults.test_clipped_step", "stale_eps")
def f(candidate):
    for t, s in PAIRS:
        x, e = noised(torch.linspace(-0.9, 0.9, 11, dtype=D64), t)
        close(candidate(x, e, t, s, AB), clipped(x, e, t, s, AB))


# only s = 0
@wrong("faults.test_clipped_step", "only_to_0")
def f(candidate):
    for t in (1, 2, 3, 4, 5):
        x, e = noised(torch.linspace(-3, 3, 11, dtype=D64), t)
        close(candidate(x, e, t, 0, AB), clipped(x, e, t, 0, AB))


# the reference clips to [0, 1]
@wrong("faults.test_clipped_step", "wrong_itself")
def f(candidate):
    for t, s in PAIRS:
        x, e = noised(torch.linspace(-3, 3, 11, dtype=D64), t)
        close(candidate(x, e, t, s, AB), clipped(x, e, t, s, AB, lo=0.0))


# the reference keeps the old eps_hat, as the faulty one does
@wrong("faults.test_clipped_step", "wrong_itself")
def f(candidate):
    for t, s in PAIRS:
        x, e = noised(torch.linspace(-3, 3, 11, dtype=D64), t)
        x0 = ((x - (1 - AB[t]).sqrt() * e) / AB[t].sqrt()).clamp(-1, 1)
        close(candidate(x, e, t, s, AB), AB[s].sqrt() * x0 + (1 - AB[s]).sqrt() * e)


# clips the result x_s in place of the guess of x_0
@wrong("faults.test_clipped_step", "refuses_all")
def f(candidate):
    for t, s in PAIRS:
        x, e = noised(torch.linspace(-3, 3, 11, dtype=D64), t)
        close(candidate(x, e, t, s, AB), ddim(x, e, t, s, AB).clamp(-1, 1))


# only guesses above 0: the lower end of the clip is never tested
@wrong("faults.test_clipped_step", "above_only")
def f(candidate):
    for t, s in PAIRS:
        x, e = noised(torch.linspace(0, 3, 11, dtype=D64), t)
        close(candidate(x, e, t, s, AB), clipped(x, e, t, s, AB))


# by luck: one random number, beyond 1 only now and then
@wrong("faults.test_clipped_step", "stale_eps")
def f(candidate):
    t, s = 4, 2
    x, e = noised(torch.randn(1, dtype=D64), t)
    close(candidate(x, e, t, s, AB), clipped(x, e, t, s, AB))


# plain numbers, each call a batch of one
@wrong("faults.test_clipped_step", "one_at_a_time")
def f(candidate):  # plain numbers
    ab = AB.tolist()
    for t, s in ((6, 3), (5, 4), (4, 1), (3, 0)):
        for x0 in (-2.7, -1.3, -0.5, 0.0, 0.4, 1.2, 2.9):
            for e in (-1.1, 0.3, 1.9):
                x = ab[t] ** 0.5 * x0 + (1 - ab[t]) ** 0.5 * e
                k = max(-1.0, min(1.0, x0))
                new = (x - ab[t] ** 0.5 * k) / (1 - ab[t]) ** 0.5
                want = ab[s] ** 0.5 * k + (1 - ab[s]) ** 0.5 * new
                got = candidate(torch.tensor([x], dtype=D64), torch.tensor([e], dtype=D64), t, s, AB)
                assert abs(float(got) - want) < 1e-4


#
@right("faults.test_clipped_step")
def f(candidate):  # other algebra: a straight line in x_t and the kept guess
    for t, s in itertools.combinations((6, 5, 3, 2, 0), 2):
        x0 = torch.tensor([[-4.0, -1.5, -1.0, -0.2], [0.3, 0.99, 1.01, 2.2]], dtype=D64)
        x, e = noised(x0, t)
        r = ((1 - AB[s]) / (1 - AB[t])).sqrt()
        kept = torch.maximum(torch.minimum(x0, torch.ones_like(x0)), -torch.ones_like(x0))
        want = r * x + (AB[s].sqrt() - r * AB[t].sqrt()) * kept
        got = candidate(x, e, t, s, AB)
        assert got.shape == x0.shape
        assert (got - want).abs().max() < 1e-4


def noisy(x, e, z, t, s, eta, ab):
    x0 = (x - (1 - ab[t]).sqrt() * e) / ab[t].sqrt()
    v = eta**2 * (1 - ab[s]) / (1 - ab[t]) * (1 - ab[t] / ab[s])
    return ab[s].sqrt() * x0 + (1 - ab[s] - v).clamp(min=0).sqrt() * e + v.sqrt() * z


CASES = [(t, s, eta) for t, s in ((6, 5), (6, 2), (4, 1), (3, 0)) for eta in (0.0, 0.4, 1.0)]


# only eta = 0
@wrong("faults.test_noisy_step", "eta_is_0")
def f(candidate):
    x, e, z = torch.randn(3, 4, 3, dtype=D64)
    for t, s, _ in CASES:
        close(candidate(x, e, z, t, s, 0.0, AB), noisy(x, e, z, t, s, 0.0, AB))


# only the sum of the squares of the two noises is tested
@wrong("faults.test_noisy_step", "beta_for_beta_tilde")
def f(candidate):
    one = torch.ones(3, dtype=D64)
    for t, s, eta in CASES:
        old = candidate((1 - AB[t]).sqrt() * one, one, 0 * one, t, s, eta, AB)
        new = candidate(0 * one, 0 * one, one, t, s, eta, AB)
        close(old**2 + new**2, (1 - AB[s]) * one)


# the reference has eta in place of eta squared
@wrong("faults.test_noisy_step", "wrong_itself")
def f(candidate):
    x, e, z = torch.randn(3, 4, 3, dtype=D64)
    for t, s, eta in CASES:
        close(candidate(x, e, z, t, s, eta, AB), noisy(x, e, z, t, s, eta**0.5, AB))


# the reference multiplies z by the variance, not by its root
@wrong("faults.test_noisy_step", "refuses_all")
def f(candidate):
    x, e, z = torch.randn(3, 4, 3, dtype=D64)
    for t, s, eta in CASES:
        x0 = (x - (1 - AB[t]).sqrt() * e) / AB[t].sqrt()
        v = eta**2 * (1 - AB[s]) / (1 - AB[t]) * (1 - AB[t] / AB[s])
        want = AB[s].sqrt() * x0 + (1 - AB[s] - v).clamp(min=0).sqrt() * e + v * z
        close(candidate(x, e, z, t, s, eta, AB), want)


# raises ValueError in place of an assert
@wrong("faults.test_noisy_step", "crashes")
def f(candidate):
    x, e, z = torch.randn(3, 4, 3, dtype=D64)
    for t, s, eta in CASES:
        got = candidate(x, e, z, t, s, eta, AB).double()
        if not torch.allclose(got, noisy(x, e, z, t, s, eta, AB), atol=1e-4):
            raise ValueError("wrong step")


# the ratio is upside down: 1 - alpha_bar_s / alpha_bar_t is negative, the reference is nan
@wrong("faults.test_noisy_step", "refuses_all")
def f(candidate):
    x, e, z = torch.randn(3, 4, 3, dtype=D64)
    for t, s, eta in CASES:
        x0 = (x - (1 - AB[t]).sqrt() * e) / AB[t].sqrt()
        v = eta**2 * (1 - AB[s]) / (1 - AB[t]) * (1 - AB[s] / AB[t])
        want = AB[s].sqrt() * x0 + (1 - AB[s] - v).sqrt() * e + v.sqrt() * z
        close(candidate(x, e, z, t, s, eta, AB), want)


#
@right("faults.test_noisy_step")
def f(candidate):  # plain numbers
    ab = AB.tolist()
    for t, s, eta in CASES:
        for x, e, z in ((0.4, -1.0, 0.7), (-1.5, 0.2, -2.0)):
            v = eta * eta * (1 - ab[s]) * (ab[s] - ab[t]) / ((1 - ab[t]) * ab[s])
            want = math.sqrt(ab[s] / ab[t]) * (x - math.sqrt(1 - ab[t]) * e)
            want += math.sqrt(max(0.0, 1 - ab[s] - v)) * e + math.sqrt(v) * z
            got = candidate(*(torch.tensor([u], dtype=D64) for u in (x, e, z)), t, s, eta, AB)
            assert abs(float(got) - want) < 1e-4


#
@right("faults.test_noisy_step")
def f(candidate):  # three slopes by autograd, and zero at zero
    for t, s, eta in CASES:
        v = [torch.zeros(2, dtype=D64).requires_grad_() for _ in range(3)]
        got = candidate(*v, t, s, eta, AB)
        close(got.detach(), torch.zeros(2))
        gx, ge, gz = torch.autograd.grad(got.sum(), v, allow_unused=True, materialize_grads=True)
        var = eta**2 * (1 - AB[s]) / (1 - AB[t]) * (1 - AB[t] / AB[s])
        c = (AB[s] / AB[t]).sqrt()
        close(gx, c.expand(2))
        close(gz, var.sqrt().expand(2))
        close(ge, ((1 - AB[s] - var).clamp(min=0).sqrt() - c * (1 - AB[t]).sqrt()).expand(2))


#
@right("faults.test_noisy_step")
def f(candidate):  # by a helper that keeps the ancestral formula for eta = 1 apart
    def ancestral(x, e, z, t, s):
        a_ts = AB[t] / AB[s]
        mean = (x - (1 - a_ts) / (1 - AB[t]).sqrt() * e) / a_ts.sqrt()
        return mean + ((1 - AB[s]) / (1 - AB[t]) * (1 - a_ts)).sqrt() * z

    x, e, z = torch.randn(3, 2, 3, 2, dtype=D64)
    for t in range(1, 7):
        for s in range(t):
            close(candidate(x, e, z, t, s, 1.0, AB), ancestral(x, e, z, t, s))
            for eta in (0, 0.3, 0.8):
                got = candidate(x, e, z, t, s, eta, AB)
                assert got.shape == x.shape
                close(got, noisy(x, e, z, t, s, eta, AB))


def net_(h):
    return 0.6 * torch.tanh(h) + 0.2 * h.flip(1), torch.sin(h) + 0.3


def jac(candidate, x, net):
    return [torch.autograd.functional.jacobian(lambda r: candidate(r[None], net)[0][0], row).double() for row in x]


def coupling_checks(candidate, D, skip=()):
    x = torch.randn(3, D, dtype=D64)
    z, ld = candidate(x, net_)
    assert z.shape == x.shape and ld.shape == (3,)
    if "moves" not in skip:
        assert ((z - x).abs() > 1e-3).any()
    if "there" not in skip:
        for b, J in enumerate(jac(candidate, x, net_)):
            assert abs(float(J.slogdet()[1]) - float(ld[b])) < 1e-4
    if "back" not in skip:
        back, ldb = candidate(z.detach(), net_, inverse=True)
        assert back.shape == x.shape and ldb.shape == (3,)
        close(back, x)
        if "sign" not in skip:
            close(ldb, -ld)


# only D = 2
@wrong("faults.test_coupling", "halves_of_another_order")
def f(candidate):
    coupling_checks(candidate, 2)


# only the way there and back, no log_det
@wrong("faults.test_coupling", "same_log_det_on_the_way_back")
def f(candidate):
    for D in (2, 4, 6):
        x = torch.randn(3, D, dtype=D64)
        z, _ = candidate(x, net_)
        back, _ = candidate(z, net_, inverse=True)
        assert back.shape == x.shape
        close(back, x)


# only the way there: inverse=True is never called
@wrong("faults.test_coupling", "halves_of_another_order")
def f(candidate):
    for D in (2, 4, 6):
        coupling_checks(candidate, D, skip=("back",))


# the net gives log_s = 0, so that log_det is 0
@wrong("faults.test_coupling", "undone_in_the_wrong_order")
def f(candidate):
    shift_only = lambda h: (0 * h, torch.sin(h) + 0.3)
    for D in (2, 4, 6):
        x = torch.randn(3, D, dtype=D64)
        z, ld = candidate(x, shift_only)
        assert z.shape == x.shape and ld.shape == (3,)
        assert ((z - x).abs() > 1e-3).any()
        close(ld, torch.zeros(3))
        back, ldb = candidate(z, shift_only, inverse=True)
        close(back, x)
        close(ldb, torch.zeros(3))


# insists that the first half is kept, where it is left open
@wrong("faults.test_coupling", "second_half_kept")
def f(candidate):
    for D in (2, 4, 6):
        x = torch.randn(3, D, dtype=D64)
        k, m = x[:, : D // 2], x[:, D // 2 :]
        ls, sh = net_(k)
        z, ld = candidate(x, net_)
        close(z, torch.cat([k, m * ls.exp() + sh], 1))
        close(ld, ls.sum(1))
        back, ldb = candidate(z, net_, inverse=True)
        close(back, x)
        close(ldb, -ls.sum(1))


# wants the same log_det back as there, with the same sign
@wrong("faults.test_coupling", "wrong_itself")
def f(candidate):
    for D in (2, 4, 6):
        coupling_checks(candidate, D, skip=("sign",))
        x = torch.randn(3, D, dtype=D64)
        z, ld = candidate(x, net_)
        close(candidate(z, net_, inverse=True)[1], ld)


# log_det is compared as its sum over the batch, and not example by example
@wrong("faults.test_coupling", "one_log_det_for_all")
def f(candidate):
    for D in (2, 4, 6):
        x = torch.randn(3, D, dtype=D64)
        z, ld = candidate(x, net_)
        assert z.shape == x.shape
        assert ((z - x).abs() > 1e-3).any()
        total = sum(float(J.slogdet()[1]) for J in jac(candidate, x, net_))
        assert abs(float(ld.sum()) - total) < 1e-4
        back, ldb = candidate(z.detach(), net_, inverse=True)
        close(back, x)
        assert abs(float(ldb.sum()) + total) < 1e-4


#
@right("faults.test_coupling")
def f(candidate):  # finite differences, column by column
    for D in (2, 4, 8):
        x = torch.randn(2, D, dtype=D64)
        z, ld = candidate(x, net_)
        assert z.shape == (2, D) and ld.shape == (2,)
        assert float((z - x).abs().max()) > 1e-2
        back, ldb = candidate(z.detach(), net_, True)
        assert ldb.shape == (2,)
        close(back, x)
        close(ldb, -ld)
        for b in range(2):
            J = torch.autograd.functional.jacobian(lambda y: candidate(y.view(1, -1), net_)[0].view(-1), x[b])
            values = torch.linalg.svdvals(J.double())  # |det| is the product of the singular values
            assert abs(float(values.log().sum()) - float(ld[b])) < 1e-4


#
@right("faults.test_coupling")
def f(candidate):  # the net is a class, and notes what it saw; the multiset of moved numbers
    class Net(nn.Module):
        def __init__(self, d):
            super().__init__()
            self.w = nn.Parameter(torch.randn(d, d, dtype=D64) * 0.4)

        def forward(self, h):
            return torch.tanh(h.double() @ self.w) + 0.1, (h.double() @ self.w.T).cos()

    for D in (2, 4, 6):
        net = Net(D // 2)
        x = torch.randn(4, D, dtype=D64)
        with torch.no_grad():
            z, ld = candidate(x, net)
            back, ldb = candidate(z, net, inverse=True)
        assert z.shape == x.shape and ld.shape == ldb.shape == (4,)
        assert (z - x).abs().max() > 1e-3
        close(back, x)
        close(ld + ldb, torch.zeros(4))
        for row, l in zip(x, ld.tolist()):
            J = torch.autograd.functional.jacobian(lambda r: candidate(r[None], net)[0][0], row).double()
            assert abs(math.log(abs(float(torch.linalg.det(J)))) - l) < 1e-4


def bend_(a_):
    return lambda x: (x + a_ * torch.tanh(x), torch.log(1 + a_ / torch.cosh(x) ** 2).sum(1))


def mix_(x):
    W = torch.tensor([[0.5, 0.2, 0.0], [0.0, 0.4, 0.3], [0.1, 0.0, 0.6]], dtype=x.dtype)
    return x @ W, W.slogdet()[1].expand(len(x))


def chain(x, layers):
    total = torch.zeros(len(x), dtype=x.dtype)
    for l in layers:
        x, d = l(x)
        total = total + d
    return x, total


# a single layer only
@wrong("faults.test_compose", "last_only")
def f(candidate):
    x = torch.randn(4, 3, dtype=D64)
    for l in (bend_(2.0), mix_, bend_(-0.5)):
        z, ld = candidate(x, [l])
        wz, wl = l(x)
        assert ld.shape == (4,)
        close(z, wz)
        close(ld, wl)


# layers whose log_det is 0 alone: shift and permutation
@wrong("faults.test_compose", "subtracted")
def f(candidate):
    x = torch.randn(4, 3, dtype=D64)
    shift = lambda x: (x + 1.5, x.new_zeros(len(x)))
    flip = lambda x: (x.flip(1) * 1.0, x.new_zeros(len(x)))
    half = lambda x: (torch.cat([x[:, :1], x[:, 1:] + x[:, :1] ** 2], 1), x.new_zeros(len(x)))
    z, ld = candidate(x, [shift, half, flip])
    assert ld.shape == (4,)
    close(z, chain(x, [shift, half, flip])[0])
    close(ld, torch.zeros(4))


# the reference subtracts the log_dets
@wrong("faults.test_compose", "wrong_itself")
def f(candidate):
    x = torch.randn(4, 3, dtype=D64)
    layers = [bend_(2.0), mix_, bend_(-0.5)]
    z, ld = candidate(x, layers)
    wz, wl = chain(x, layers)
    close(z, wz)
    close(ld, -wl)


# the magnitudes of the log_dets are compared: the sign is lost
@wrong("faults.test_compose", "subtracted")
def f(candidate):
    x = torch.randn(4, 3, dtype=D64)
    layers = [bend_(2.0), mix_, bend_(-0.5)]
    z, ld = candidate(x, layers)
    wz, wl = chain(x, layers)
    assert ld.shape == (4,)
    close(z, wz)
    close(ld.abs(), wl.abs())


# the reference runs the layers from the last to the first
@wrong("faults.test_compose", "wrong_itself")
def f(candidate):
    x = torch.randn(4, 3, dtype=D64)
    layers = [bend_(2.0), mix_, bend_(-0.5)]
    z, ld = candidate(x, layers)
    wz, wl = chain(x, layers[::-1])
    close(z, wz)
    close(ld, wl)


# the reference takes each log_det at x, not where the layer stands
@wrong("faults.test_compose", "refuses_all")
def f(candidate):
    x = torch.randn(4, 3, dtype=D64)
    layers = [bend_(2.0), mix_, bend_(-0.5)]
    z, ld = candidate(x, layers)
    close(z, chain(x, layers)[0])
    close(ld, sum(l(x)[1] for l in layers))


#
@right("faults.test_compose")
def f(candidate):  # vmap of jacrev of my own chain
    x = torch.randn(5, 3, dtype=D64)
    for layers in ([bend_(1.0)], [bend_(2.0), mix_], [mix_, bend_(-0.6), bend_(0.7), mix_]):
        own = lambda r: functools.reduce(lambda y, l: l(y[None])[0][0], layers, r)
        J = torch.vmap(torch.func.jacrev(own))(x)
        z, ld = candidate(x, layers)
        assert z.shape == x.shape and ld.shape == (5,)
        close(z, torch.vmap(own)(x))
        close(ld, torch.linalg.slogdet(J).logabsdet)


#
@right("faults.test_compose")
def f(candidate):  # recursion
    def run(x, layers):
        if not layers:
            return x, 0.0
        first, *rest = layers
        y, d = first(x)
        z, e = run(y, rest)
        return z, d + e

    def scale(v):
        v = torch.tensor(v, dtype=D64)
        return lambda x: (x * v.to(x.dtype), v.abs().log().sum().to(x.dtype) * torch.ones(len(x), dtype=x.dtype))

    x = torch.randn(6, 2, dtype=D64)
    for layers in ([scale([0.1, -0.5]), bend_(3.0), bend_(-0.3)], [bend_(3.0), scale([2.0, 3.0])], [bend_(-0.7)]):
        z, ld = candidate(x, layers)
        wz, wl = run(x, layers)
        assert ld.shape == (6,)
        assert ((z - wz).abs() < 1e-4).all() and ((ld - wl).abs() < 1e-4).all()


#
@right("faults.test_compose")
def f(candidate):  # torch.distributions' transforms
    from torch.distributions import transforms as tr

    def layer(T):
        return lambda x: (T(x), T.log_abs_det_jacobian(x, T(x)).sum(1))

    Ts = [tr.AffineTransform(0.3, 0.2), tr.TanhTransform(), tr.AffineTransform(-1.0, 4.0), tr.ExpTransform()]
    x = torch.randn(4, 5, dtype=D64)
    for n in (1, 2, 3, 4):
        z, ld = candidate(x, [layer(T) for T in Ts[:n]])
        whole = tr.ComposeTransform(Ts[:n])
        assert tuple(ld.shape) == (4,)
        close(z, whole(x))
        close(ld, whole.log_abs_det_jacobian(x, whole(x)).sum(1))


V = [[3.0, -4.0], [0.0, 0.0], [0.003, -0.004], [0.6, 0.8], [-5.0, 12.0]]


# values only, no gradient
@wrong("faults.test_length", "masked_root")
def f(candidate):
    v = torch.tensor(V, dtype=D64, requires_grad=True)
    got = candidate(v)
    close(got.detach(), torch.tensor([math.hypot(*r) for r in V], dtype=D64))


# no row is 0
@wrong("faults.test_length", "masked_root")
def f(candidate):
    rows = [r for r in V if r != [0.0, 0.0]]
    v = torch.tensor(rows, dtype=D64, requires_grad=True)
    got = candidate(v)
    want = torch.tensor([math.hypot(*r) for r in rows], dtype=D64)
    close(got.detach(), want)
    assert got.requires_grad
    (g,) = torch.autograd.grad(got.sum(), v)
    close(g, v.detach() / want[:, None])


# of the gradient only asks that it is not nan
@wrong("faults.test_length", "no_gradient")
def f(candidate):
    v = torch.tensor(V, dtype=D64, requires_grad=True)
    got = candidate(v)
    close(got.detach(), torch.tensor([math.hypot(*r) for r in V], dtype=D64))
    assert got.requires_grad
    (g,) = torch.autograd.grad(got.sum(), v)
    assert not g.isnan().any()


# no short vectors: all others are 1 long or longer
@wrong("faults.test_length", "short_ones_zero")
def f(candidate):
    rows = [r for r in V if r[0] != 0.003]
    v = torch.tensor(rows, dtype=D64, requires_grad=True)
    got = candidate(v)
    want = torch.tensor([math.hypot(*r) for r in rows], dtype=D64)
    close(got.detach(), want)
    assert got.requires_grad
    (g,) = torch.autograd.grad(got.sum(), v)
    close(g, v.detach() / want.clamp(min=1e-12)[:, None])


# wrong axis: lengths of the columns
@wrong("faults.test_length", "wrong_itself")
def f(candidate):
    v = torch.tensor(V, dtype=D64, requires_grad=True)
    close(candidate(v).detach(), (v.detach() ** 2).sum(0).sqrt())


# the wanted gradient is v / |v|, which is nan in the row of zeros
@wrong("faults.test_length", "refuses_all")
def f(candidate):
    v = torch.tensor(V, dtype=D64, requires_grad=True)
    got = candidate(v)
    want = v.detach().norm(dim=1)
    close(got.detach(), want)
    (g,) = torch.autograd.grad(got.sum(), v)
    close(g, v.detach() / want[:, None])


# the reference forgets the root: squares
@wrong("faults.test_length", "wrong_itself")
def f(candidate):
    v = torch.tensor(V, dtype=D64, requires_grad=True)
    close(candidate(v).detach(), (v.detach() ** 2).sum(1))


#
@right("faults.test_length")
def f(candidate):  # hypot, numbers
    v = torch.tensor(V, dtype=D64).requires_grad_()
    got = candidate(v)
    assert got.shape == (5,) and got.requires_grad
    got.sum().backward()
    assert v.grad is not None
    for r, l, g in zip(V, got.tolist(), v.grad.tolist()):
        h = math.hypot(*r)
        assert abs(l - h) < 1e-4
        for c, k in zip(r, g):
            assert abs(k - (c / h if h else 0.0)) < 1e-4


#
@right("faults.test_length")
def f(candidate):  # row after row, each by itself, weights in the sum; normalize
    w = torch.tensor([2.0, -3.0, 5.0, 0.5], dtype=D64)
    u = torch.tensor([[1.0, 2.0, 2.0], [0.0, 0.0, 0.0], [1e-3, 0.0, -2e-3], [-7.0, 0.1, 0.4]], dtype=D64)
    v = u.clone().requires_grad_()
    got = candidate(v)
    assert got.shape == (4,)
    close(got.detach(), torch.linalg.vector_norm(u, dim=1))
    assert got.requires_grad
    (g,) = torch.autograd.grad((w.to(got.dtype) * got).sum(), v)
    close(g, w[:, None] * nn.functional.normalize(u, dim=1))


# only the mode afterwards is tested
@wrong("faults.test_generate", "evaluation_mode")
def f(candidate):
    for mode in (True, False):
        G = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5)).train(mode)
        candidate(G, torch.randn(16, 3))
        assert G.training == mode


# G comes in training mode only
@wrong("faults.test_generate", "left_in_training_mode")
def f(candidate):
    x = 3 + 2 * torch.randn(400, 3)
    G = nn.Sequential(nn.BatchNorm1d(3, affine=False), nn.Dropout(0.5)).train()
    y = candidate(G, x)
    assert G.training
    off = y == 0
    assert 0.4 < off.float().mean() < 0.6
    n = (x - x.mean(0)) / x.var(0, unbiased=False).sqrt()
    assert ((y - 2 * n)[~off].abs() < 1e-3).all()
    assert not torch.equal(off, candidate(G, x) == 0)


# no batch norm: only dropout is tested
@wrong("faults.test_generate", "dropout_alone")
def f(candidate):
    for mode in (True, False):
        G = nn.Sequential(nn.Dropout(0.5)).train(mode)
        x = torch.ones(400, 3)
        y = candidate(G, x)
        assert G.training == G[0].training == mode
        assert 0.4 < (y == 0).float().mean() < 0.6
        assert not torch.equal(y, candidate(G, x))


# no dropout: only batch norm is tested
@wrong("faults.test_generate", "batch_norm_alone")
def f(candidate):
    for mode in (True, False):
        G = nn.Sequential(nn.BatchNorm1d(3, affine=False)).train(mode)
        x = 3 + 2 * torch.randn(400, 3)
        y = candidate(G, x)
        assert G.training == G[0].training == mode
        n = (x - x.mean(0)) / x.var(0, unbiased=False).sqrt()
        assert ((y - n).abs() < 1e-3).all()


# wants the same picture from two calls, as in evaluation mode
@wrong("faults.test_generate", "wrong_itself")
def f(candidate):
    for mode in (True, False):
        G = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5)).train(mode)
        x = 3 + 2 * torch.randn(50, 3)
        assert torch.equal(candidate(G, x), candidate(G, x))
        assert G.training == mode


# wants G in training mode afterwards, whatever it was before
@wrong("faults.test_generate", "wrong_itself")
def f(candidate):
    for mode in (True, False):
        G = nn.Sequential(nn.BatchNorm1d(3, affine=False), nn.Dropout(0.5)).train(mode)
        x = 3 + 2 * torch.randn(400, 3)
        y = candidate(G, x)
        assert G.training
        off = y == 0
        assert 0.4 < off.float().mean() < 0.6
        n = (x - x.mean(0)) / x.var(0, unbiased=False).sqrt()
        assert ((y - 2 * n)[~off].abs() < 1e-3).all()


#
@right("faults.test_generate")
def f(candidate):  # spies in place of the layers, beside real ones
    seen = []

    class Spy(nn.Module):
        def forward(self, x):
            seen.append(self.training)
            return x

    for mode in (True, False, True):
        seen.clear()
        G = nn.Sequential(Spy(), nn.BatchNorm1d(2, affine=False), Spy(), nn.Dropout(0.5), Spy()).train(mode)
        x = torch.randn(300, 2) * 4 - 7
        y = candidate(G, x)
        assert seen and all(seen)
        assert all(m.training == mode for m in G.modules())
        n = (x - x.mean(0)) / x.std(0, unbiased=False)
        assert ((y == 0) | ((y - 2 * n).abs() < 1e-3)).all()
        z = candidate(G, x)
        assert not torch.equal(y, z) and 0.3 < (y == 0).double().mean() < 0.7


#
@right("faults.test_generate")
def f(candidate):  # a class of its own, dropout and norm in two branches
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(2, affine=False)
            self.drop = nn.Dropout(0.25)

        def forward(self, x):
            return torch.cat([self.norm(x), self.drop(torch.ones_like(x))], 1)

    for mode in (False, True):
        G = Two()
        G.train(mode)
        x = 5 + 3 * torch.randn(500, 2)
        first, second = candidate(G, x), candidate(G, x)
        assert G.training is mode and G.norm.training is mode and G.drop.training is mode
        for y in (first, second):
            assert y[:, :2].mean(0).abs().max() < 1e-3
            assert (y[:, :2].var(0, unbiased=False) - 1).abs().max() < 1e-2
            share = (y[:, 2:] == 0).double().mean()
            assert abs(float(share) - 0.25) < 5 * (0.25 * 0.75 / 1000) ** 0.5
        assert (first[:, 2:] != second[:, 2:]).any()


#
@right("faults.test_generate")
def f(candidate):  # against G itself under the same seed
    for mode in (True, False):
        G = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.4), nn.Linear(8, 2))
        x = 2 + torch.randn(64, 3)
        torch.manual_seed(11)
        with torch.no_grad():
            want = G.train()(x)
        G.train(mode)
        torch.manual_seed(11)
        got = candidate(G, x)
        assert [m.training for m in G.modules()] == [mode] * 6
        assert torch.allclose(got.detach().double(), want.double(), atol=1e-4)
        assert not torch.equal(candidate(G, x), candidate(G, x))


def flow_setup():
    x0, x1 = torch.randn(2, 6, 3, dtype=D64)
    t = torch.tensor([0.05, 0.3, 0.45, 0.62, 0.8, 0.97], dtype=D64)
    w = torch.tensor(0.7, dtype=D64, requires_grad=True)
    return x0, x1, t, w, (lambda x, t: w * x**2 + 2 * t[:, None])


def flow_check(candidate, x0, x1, t, w, net, xt, v, mean=lambda e: e.mean(), grad=True):
    got = candidate(net, x0, x1, t)
    want = mean((net(xt, t) - v) ** 2)
    assert got.shape == ()
    close(got.detach(), want.detach())
    if grad:
        assert got.requires_grad
        g, h = torch.autograd.grad(got, w)[0], torch.autograd.grad(want, w)[0]
        close(g, h)


# the network of the test does not look at x
@wrong("faults.test_flow_loss", "shown_the_end")
def f(candidate):
    x0, x1, t, w, _ = flow_setup()
    net = lambda x, t: w * torch.ones_like(x) + 2 * t[:, None]
    flow_check(candidate, x0, x1, t, w, net, x0 + t[:, None] * (x1 - x0), x1 - x0)


# one t, 0.5, for all examples
@wrong("faults.test_flow_loss", "from_the_end")
def f(candidate):
    x0, x1, t, w, net = flow_setup()
    t = torch.full((6,), 0.5, dtype=D64)
    flow_check(candidate, x0, x1, t, w, net, (x0 + x1) / 2, x1 - x0)


# x_t in the reference is t x_0 + (1 - t) x_1
@wrong("faults.test_flow_loss", "wrong_itself")
def f(candidate):
    x0, x1, t, w, net = flow_setup()
    s = t[:, None]
    flow_check(candidate, x0, x1, t, w, net, s * x0 + (1 - s) * x1, x1 - x0)


# the velocity in the reference is x_0 - x_1
@wrong("faults.test_flow_loss", "wrong_itself")
def f(candidate):
    x0, x1, t, w, net = flow_setup()
    s = t[:, None]
    flow_check(candidate, x0, x1, t, w, net, (1 - s) * x0 + s * x1, x0 - x1)


# sum over D and mean over B in the reference
@wrong("faults.test_flow_loss", "wrong_itself")
def f(candidate):
    x0, x1, t, w, net = flow_setup()
    s = t[:, None]
    flow_check(candidate, x0, x1, t, w, net, (1 - s) * x0 + s * x1, x1 - x0, mean=lambda e: e.sum(1).mean())


# the value is tested, the gradient is not
@wrong("faults.test_flow_loss", "nothing_learned")
def f(candidate):
    x0, x1, t, w, net = flow_setup()
    s = t[:, None]
    flow_check(candidate, x0, x1, t, w, net, (1 - s) * x0 + s * x1, x1 - x0, grad=False)


# t = 1 for all: x_t is x_1, as in the faulty one
@wrong("faults.test_flow_loss", "only_t_1")
def f(candidate):
    x0, x1, t, w, net = flow_setup()
    flow_check(candidate, x0, x1, torch.ones(6, dtype=D64), w, net, x1, x1 - x0)


#
@right("faults.test_flow_loss")
def f(candidate):  # a small real network, all of its gradients
    net_ = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    net = lambda x, t: net_(torch.cat([x, t[:, None]], 1).double())
    x0, x1 = torch.randn(2, 7, 2, dtype=D64)
    t = torch.rand(7, dtype=D64)
    got = candidate(net, x0, x1, t)
    assert got.shape == () and got.requires_grad
    rows = [((net(torch.lerp(x0[b], x1[b], t[b])[None], t[b : b + 1])[0] - x1[b] + x0[b]) ** 2) for b in range(7)]
    want = torch.cat(rows).sum() / 14
    close(got, want)
    ps = list(net_.parameters())
    for g, h in zip(torch.autograd.grad(got, ps, allow_unused=True), torch.autograd.grad(want, ps)):
        assert g is not None
        close(g, h)


#
@right("faults.test_flow_loss")
def f(candidate):  # a network that notes what it is shown
    class Net:
        calls = []

        def __init__(self):
            self.w = torch.tensor([1.0, -0.5, 0.3, 2.0], dtype=D64, requires_grad=True)
            self.calls = []

        def __call__(self, x, t):
            self.calls.append((x.detach().double(), t.detach().double()))
            return self.w * x.double() + t.double().reshape(-1, 1)

    net = Net()
    x0, x1 = torch.randn(2, 5, 4, dtype=D64)
    t = torch.tensor([0.9, 0.1, 0.35, 0.7, 0.55], dtype=D64)
    got = candidate(net, x0, x1, t)
    assert len(net.calls) == 1
    xt = torch.einsum("b,bd->bd", 1 - t, x0) + torch.einsum("b,bd->bd", t, x1)
    close(net.calls[0][0], xt)
    close(net.calls[0][1].flatten(), t)
    assert got.shape == () and got.requires_grad
    e = net.w.detach() * xt + t[:, None] - (x1 - x0)
    close(got.detach(), (e**2).sum() / 20)
    got.backward()
    assert net.w.grad is not None
    close(net.w.grad, 2 * (e * xt).sum(0) / 20)


def draw_setup(n=20000):
    mean = torch.tensor([2.0, -1.0, 0.5], dtype=D64).expand(n, 3)
    var = torch.tensor([4.0, 0.25, 0.0], dtype=D64).expand(n, 3)
    return n, mean, var


def draw_rest(candidate, k=5.0):
    n, mean, var = draw_setup()
    x = candidate(mean, var).double()
    assert x.shape == (n, 3)
    assert ((x - mean)[:, 2].abs() < 1e-4).all()
    z = ((x - mean) / var.sqrt())[:, :2]
    assert (z.mean(0).abs() < k / n**0.5).all()
    assert (((z**2).mean(0) - 1).abs() < k * (2 / n) ** 0.5).all()
    assert (((z**4).mean(0) - 3).abs() < k * (96 / n) ** 0.5).all()
    assert ((z[1:] * z[:-1]).mean(0).abs() < k / n**0.5).all()
    assert (z[:, 0] * z[:, 1]).mean().abs() < k / n**0.5
    y = candidate(mean, var).double()
    w = ((y - mean) / var.sqrt())[:, :2]
    assert ((w * z).mean(0).abs() < k / n**0.5).all()


# the variance is 1 everywhere
@wrong("faults.test_draw", "times_the_variance")
def f(candidate):
    n = 20000
    mean = torch.tensor([2.0, -1.0], dtype=D64).expand(n, 2)
    z = candidate(mean, torch.ones(n, 2, dtype=D64)).double() - mean
    assert (z.mean(0).abs() < 5 / n**0.5).all()
    assert (((z**2).mean(0) - 1).abs() < 5 * (2 / n) ** 0.5).all()
    assert (((z**4).mean(0) - 3).abs() < 5 * (96 / n) ** 0.5).all()
    assert ((z[1:] * z[:-1]).mean(0).abs() < 5 / n**0.5).all()
    assert (z[:, 0] * z[:, 1]).mean().abs() < 5 / n**0.5


# tolerances of one standard error: refuses right ones by bad luck
@wrong("faults.test_draw", "flaky")
def f(candidate):
    draw_rest(candidate, k=1.0)


# only the mean is tested
@wrong("faults.test_draw", "times_the_variance")
def f(candidate):
    n, mean, var = draw_setup()
    x = candidate(mean, var).double()
    assert x.shape == (n, 3)
    assert ((x - mean).mean(0).abs() <= 5 * var[0].sqrt() / n**0.5 + 1e-6).all()


# wants the deviation of the draws to be var
@wrong("faults.test_draw", "wrong_itself")
def f(candidate):
    n, mean, var = draw_setup()
    x = candidate(mean, var).double()
    assert ((x - mean).mean(0).abs() < 5 * var[0].sqrt() / n**0.5 + 1e-4).all()
    assert ((x.std(0) - var[0]).abs() < 5 * var[0] / (2 * n) ** 0.5 + 1e-4).all()


# no standard error: wants the mean of the draws to 1e-4
@wrong("faults.test_draw", "flaky")
def f(candidate):
    n, mean, var = draw_setup()
    x = candidate(mean, var).double()
    close(x.mean(0), mean[0])


# only the variance 0 is tested
@wrong("faults.test_draw", "times_the_variance")
def f(candidate):
    mean = torch.randn(50, 3, dtype=D64)
    close(candidate(mean, torch.zeros(50, 3, dtype=D64)), mean)


#
@right("faults.test_draw")
def f(candidate):  # the integral transform: the cdf of a draw is uniform
    n = 20000
    mean = torch.tensor([-3.0, 0.4, 1.0, 2.0], dtype=D64).expand(n, 4)
    var = torch.tensor([9.0, 0.04, 0.5, 0.0], dtype=D64).expand(n, 4)

    def uniform():
        x = candidate(mean, var).double()
        assert x.shape == (n, 4)
        close(x[:, 3], mean[:, 3])
        return torch.distributions.Normal(mean[:, :3], var[:, :3].sqrt()).cdf(x[:, :3])

    u, v = uniform(), uniform()
    steps = torch.arange(1, n + 1, dtype=D64)[:, None] / n
    assert ((u.sort(0).values - steps).abs().max(0).values < 2.6 / n**0.5).all()  # Kolmogorov, p about 2.7e-6
    c, d = (u - 0.5) * 12**0.5, (v - 0.5) * 12**0.5
    for product in (c[1:] * c[:-1], c * d, c * c.roll(1, 1)):
        assert (product.mean(0).abs() < 5 / n**0.5).all()


#
@right("faults.test_draw")
def f(candidate):  # shares beyond 1 and 2 deviations, by hand; correlations by corrcoef
    n = 30000
    means, variances = [0.0, 5.0, -2.0], [0.3, 2.5, 0.0]
    mean, var = (torch.tensor(v, dtype=D64).repeat(n, 1) for v in (means, variances))
    x, y = candidate(mean, var), candidate(mean, var)
    assert x.shape == y.shape == (n, 3)
    assert ((x[:, 2] + 2.0).abs() < 1e-4).all()
    cols = []
    for j in range(2):
        z = (x[:, j].double() - means[j]) / math.sqrt(variances[j])
        cols += [z[:-1], z[1:], ((y[:, j].double() - means[j]) / math.sqrt(variances[j]))[:-1]]
        for k in (-2.0, -1.0, 0.0, 1.0, 2.0):
            p = 0.5 * (1 + math.erf(k / math.sqrt(2)))
            assert abs(float((z < k).double().mean()) - p) < 5 * math.sqrt(p * (1 - p) / n)
        assert abs(float((z**2).mean()) - 1) < 5 * math.sqrt(2 / n)
        assert abs(float((z**4).mean()) - 3) < 5 * math.sqrt(96 / n)
    c = torch.corrcoef(torch.stack(cols)) - torch.eye(6, dtype=D64)
    assert c.abs().max() < 6 / n**0.5


#
@right("faults.test_draw")
def f(candidate):  # pictures (B, C, H, W), moments in a loop
    torch.manual_seed(5)
    B = 15000
    mean = torch.randn(1, 2, 1, 3, dtype=D64).expand(B, 2, 1, 3)
    var = torch.tensor([0.09, 1.7, 6.0, 0.5, 0.02, 0.0], dtype=D64).view(1, 2, 1, 3).expand(B, 2, 1, 3)
    calls = [candidate(mean, var).double() for _ in range(2)]
    for x in calls:
        assert x.shape == (B, 2, 1, 3)
    x, again = ((c - mean).reshape(B, 6) for c in calls)
    assert x[:, 5].abs().max() < 1e-4
    s = var[0].flatten()[:5].sqrt()
    z, w = x[:, :5] / s, again[:, :5] / s
    for power, want, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert (((z**power).mean(0) - want).abs() < 5.5 * (spread / B) ** 0.5).all()
    C = z.T @ z / B
    for i in range(5):
        for j in range(i):
            assert abs(float(C[i, j])) < 5.5 / B**0.5
    assert ((z[1:] * z[:-1]).mean(0).abs() < 5.5 / B**0.5).all()
    assert ((z * w).mean(0).abs() < 5.5 / B**0.5).all()


# only the range 1..T is tested
@wrong("faults.test_draw_steps", "never_the_last")
def f(candidate):
    t = candidate(20000, 10)
    assert t.shape == (20000,) and t.dtype == torch.int64
    assert (t >= 1).all() and (t <= 10).all()


# tolerance of one standard error of a count: refuses right ones by bad luck
@wrong("faults.test_draw_steps", "flaky")
def f(candidate):
    n, T = 20000, 10
    t = candidate(n, T)
    assert t.shape == (n,) and t.dtype == torch.int64
    assert t.min() >= 1 and t.max() <= T
    c = torch.bincount(t, minlength=T + 1)[1:].double()
    assert ((c - n / T).abs() < (n * 0.1 * 0.9) ** 0.5).all()
    assert abs(float((t[1:] == t[:-1]).double().mean()) - 0.1) < (0.09 / n) ** 0.5


# wants the steps 0..T-1
@wrong("faults.test_draw_steps", "wrong_itself")
def f(candidate):
    n, T = 20000, 10
    t = candidate(n, T)
    assert t.shape == (n,) and t.dtype == torch.int64
    assert t.min() >= 0 and t.max() <= T - 1
    c = torch.bincount(t, minlength=T).double()
    assert ((c - n / T).abs() < 5 * (n * 0.1 * 0.9) ** 0.5).all()


# only that the smallest is 1 and the largest T, not how often
@wrong("faults.test_draw_steps", "rounded")
def f(candidate):
    t = candidate(20000, 10)
    assert t.shape == (20000,) and t.dtype == torch.int64
    assert t.min() == 1 and t.max() == 10
    assert (candidate(4, 1) == 1).all()


# counts only, independence is not tested
@wrong("faults.test_draw_steps", "in_pairs")
def f(candidate):
    n, T = 20000, 10
    t = candidate(n, T)
    assert t.shape == (n,) and t.dtype == torch.int64
    assert t.min() >= 1 and t.max() <= T
    c = torch.bincount(t, minlength=T + 1)[1:].double()
    assert ((c - n / T).abs() < 5 * (n * 0.1 * 0.9) ** 0.5).all()
    assert (candidate(4, 1) == 1).all()


# only the mean of the steps is tested
@wrong("faults.test_draw_steps", "rounded")
def f(candidate):
    n, T = 20000, 10
    t = candidate(n, T)
    assert t.shape == (n,) and t.dtype == torch.int64
    assert t.min() >= 1 and t.max() <= T
    assert abs(float(t.double().mean()) - 5.5) < 5 * (99 / 12 / n) ** 0.5


# wants the shape (n, 1)
@wrong("faults.test_draw_steps", "refuses_all")
def f(candidate):
    n, T = 20000, 10
    t = candidate(n, T)
    assert t.shape == (n, 1) and t.dtype == torch.int64
    c = torch.bincount(t.flatten(), minlength=T + 1)[1:].double()
    assert ((c - n / T).abs() < 5 * (n * 0.1 * 0.9) ** 0.5).all()


#
@right("faults.test_draw_steps")
def f(candidate):  # chi squared of single steps and of pairs, at both lags
    n, T = 24000, 6
    t = candidate(n, T)
    assert tuple(t.shape) == (n,) and t.dtype == torch.long
    assert 1 <= int(t.min()) and int(t.max()) <= T

    def far(counts):
        e = counts.sum() / counts.numel()
        k = counts.numel() - 1
        return (float(((counts - e) ** 2 / e).sum()) - k) / math.sqrt(2 * k) > 7

    assert not far(torch.bincount(t - 1, minlength=T).double())
    for lag in (1, 2, n // 2):
        assert not far(torch.bincount((t[lag:] - 1) * T + t[:-lag] - 1, minlength=T * T).double())
    again = candidate(n, T)
    assert not far(torch.bincount((again - 1) * T + t - 1, minlength=T * T).double())
    assert candidate(5, 1).tolist() == [1] * 5
    assert candidate(1, 3).shape == (1,)


#
@right("faults.test_draw_steps")
def f(candidate):  # Counter, plain loops, several T
    for T in (2, 3, 12):
        n = 12000
        t = candidate(n, T)
        assert t.shape == (n,)
        assert t.dtype == torch.int64
        steps = t.tolist()
        counts = collections.Counter(steps)
        assert set(counts) == set(range(1, T + 1))
        error = math.sqrt(n * (1 / T) * (1 - 1 / T))
        for s in range(1, T + 1):
            assert abs(counts[s] - n / T) < 5 * error
        same = sum(u == v for u, v in zip(steps, steps[1:]))
        assert abs(same - (n - 1) / T) < 5 * error
        mid, scale = (T + 1) / 2, math.sqrt((T * T - 1) / 12)
        z = [(s - mid) / scale for s in steps]
        assert abs(sum(u * v for u, v in zip(z, z[1:]))) < 5 * math.sqrt(n)
    assert set(candidate(7, 1).tolist()) == {1}
