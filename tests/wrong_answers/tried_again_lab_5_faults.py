"""Further answers to lab_5_faults, as they were tried on it."""
# ruff: noqa
# pyright: reportRedeclaration=false, reportAttributeAccessIssue=false, reportAssignmentType=false
# pyright: reportGeneralTypeIssues=false, reportAssertAlwaysTrue=false, reportUnusedExpression=false
# pyright: reportOptionalSubscript=false

from . import right, wrong

import math

import random

import torch

from torch import nn

f64 = torch.float64

AB = torch.linspace(1, 0.02, 21, dtype=f64)


# batch of one: the matrix of differences is one number
@wrong("faults.test_mse", "every_pair")
def _(candidate):
    p = torch.randn(1, 1, dtype=f64, requires_grad=True)
    y = torch.randn(1, dtype=f64)
    loss = candidate(p, y)
    assert loss.shape == ()
    assert abs(loss.item() - (p.item() - y.item()) ** 2) < 1e-4
    (g,) = torch.autograd.grad(loss, p)
    assert abs(g.item() - 2 * (p.item() - y.item())) < 1e-4


# broadcasts by accident in the reference itself
@wrong("faults.test_mse", "wrong_itself")
def _(candidate):
    p = torch.randn(6, 1, dtype=f64, requires_grad=True)
    y = torch.randn(6, dtype=f64)
    loss = candidate(p, y)
    want = ((p - y) ** 2).mean()
    assert loss.shape == ()
    assert abs(loss.item() - want.item()) < 1e-4


# sum for the mean in the reference
@wrong("faults.test_mse", "wrong_itself")
def _(candidate):
    p = torch.randn(6, 1, dtype=f64, requires_grad=True)
    y = torch.randn(6, dtype=f64)
    loss = candidate(p, y)
    want = sum((float(p[i, 0]) - float(y[i])) ** 2 for i in range(6))
    assert abs(loss.item() - want) < 1e-4


# forgets the gradient altogether (value only)
@wrong("faults.test_mse", "no_gradient")
def _(candidate):
    p = torch.randn(6, 1, dtype=f64, requires_grad=True)
    y = torch.randn(6, dtype=f64)
    loss = candidate(p, y)
    want = sum((float(p[i, 0]) - float(y[i])) ** 2 for i in range(6)) / 6
    assert loss.shape == ()
    assert abs(loss.item() - want) < 1e-4


# demands the value to be exactly equal
@wrong("faults.test_mse", "single")
def _(candidate):
    p = torch.randn(6, 1, dtype=f64, requires_grad=True)
    y = torch.randn(6, dtype=f64)
    loss = candidate(p, y)
    assert loss.shape == ()
    assert loss == ((p[:, 0] - y) ** 2).mean()
    (g,) = torch.autograd.grad(loss, p)
    assert torch.allclose(g, 2 * (p - y[:, None]) / 6, atol=1e-4)


# gradient without the factor 2
@wrong("faults.test_mse", "wrong_itself")
def _(candidate):
    p = torch.randn(6, 1, dtype=f64, requires_grad=True)
    y = torch.randn(6, dtype=f64)
    loss = candidate(p, y)
    assert loss.shape == ()
    assert abs(loss.item() - ((p[:, 0] - y) ** 2).mean().item()) < 1e-4
    (g,) = torch.autograd.grad(loss, p)
    assert torch.allclose(g.double(), ((p - y[:, None]) / 6).detach(), atol=1e-4)


# torch's own mse_loss on squeezed, gradient of sum by backward()
@right("faults.test_mse")
def _(candidate):
    p = torch.randn(9, 1, dtype=f64).requires_grad_()
    y = torch.randn(9, dtype=f64)
    loss = candidate(p, y)
    assert tuple(loss.shape) == ()
    want = nn.functional.mse_loss(p.detach().squeeze(1), y)
    torch.testing.assert_close(loss.detach().double(), want, rtol=0, atol=1e-4)
    assert loss.requires_grad, "no gradient"
    loss.backward()
    assert p.grad is not None
    torch.testing.assert_close(p.grad, (2 / 9) * (p.detach() - y.unsqueeze(1)), rtol=0, atol=1e-4)


# only tests without noise (eps = 0)
@wrong("faults.test_q_sample", "eps_is_0")
def _(candidate):
    x = torch.randn(4, 3, dtype=f64)
    t = torch.tensor([3, 20, 8, 1])
    got = candidate(x, t, torch.zeros_like(x), AB)
    torch.testing.assert_close(got.double(), AB[t].sqrt()[:, None] * x, rtol=0, atol=1e-4)


# index off by one: alpha_bar[t - 1]
@wrong("faults.test_q_sample", "wrong_itself")
def _(candidate):
    for shape in ((4,), (4, 3), (4, 2, 5)):
        x, eps = torch.randn(2, *shape, dtype=f64)
        t = torch.tensor([3, 20, 8, 1])
        al = AB[t - 1].view(4, *[1] * (len(shape) - 1))
        torch.testing.assert_close(
            candidate(x, t, eps, AB).double(), al.sqrt() * x + (1 - al).sqrt() * eps, rtol=0, atol=1e-4
        )


# assert_close without .double(): float32 candidates refused for their dtype
@wrong("faults.test_q_sample", "single")
def _(candidate):
    for shape in ((4,), (4, 3), (4, 2, 5)):
        x, eps = torch.randn(2, *shape, dtype=f64)
        t = torch.tensor([3, 20, 8, 1])
        al = AB[t].view(4, *[1] * (len(shape) - 1))
        torch.testing.assert_close(candidate(x, t, eps, AB), al.sqrt() * x + (1 - al).sqrt() * eps, rtol=0, atol=1e-4)


# checks only that the variance is about 1, with tolerance 0.3
@wrong("faults.test_q_sample", "no_root")
def _(candidate):
    n = 5000
    x, eps = torch.randn(2, n, 4, dtype=f64)
    t = torch.randint(1, 21, (n,))
    got = candidate(x, t, eps, AB)
    assert got.shape == x.shape
    assert abs(got.double().var().item() - 1) < 0.3


# recursive loop over examples and flattened numbers
@right("faults.test_q_sample")
def _(candidate):
    t = torch.tensor([3, 20, 8, 1, 12])
    for shape in [(5,), (5, 3), (5, 2, 4), (5, 2, 3, 4)]:
        x, eps = torch.randn(shape, dtype=f64), torch.randn(shape, dtype=f64)
        got = candidate(x.clone(), t.clone(), eps.clone(), AB.clone())
        assert got.shape == x.shape

        def walk(g, u, v, al):
            if g.dim() == 0:
                assert abs(g.item() - (math.sqrt(al) * u.item() + math.sqrt(1 - al) * v.item())) < 1e-4
            else:
                for gg, uu, vv in zip(g, u, v):
                    walk(gg, uu, vv, al)

        for i in range(5):
            walk(got[i], x[i], eps[i], AB[t[i]].item())


# einsum, with a random schedule made by cumprod
@right("faults.test_q_sample")
def _(candidate):
    ab = torch.cat([torch.ones(1, dtype=f64), (0.8 + 0.2 * torch.rand(15, dtype=f64)).cumprod(0)])
    t = torch.tensor([15, 1, 7, 4, 10, 2])
    for shape in ((6,), (6, 2), (6, 3, 1, 5)):
        x, e = torch.randn(shape, dtype=f64), torch.randn(shape, dtype=f64)
        w = torch.einsum("b,b...->b...", ab[t] ** 0.5, x) + torch.einsum("b,b...->b...", (1 - ab[t]) ** 0.5, e)
        g = candidate(x, t, e, ab)
        assert g.shape == w.shape and (g.double() - w).abs().max() < 1e-4


# tests only the length and that a 1 occurs somewhere
@wrong("faults.test_before", "padded_behind")
def _(candidate):
    al = 0.9 - 0.03 * torch.arange(6, dtype=f64)
    ab = al.cumprod(0)
    b = candidate(ab, al)
    assert b.shape == (6,)
    assert ((b.double() - 1).abs() < 1e-4).any()


# the reference is alpha_bar / alpha, with a constant alpha of 1 (nothing changes)
@wrong("faults.test_before", "all_alike")
def _(candidate):
    al = torch.ones(6, dtype=f64)
    ab = al.cumprod(0)
    b = candidate(ab, al)
    torch.testing.assert_close(b.double(), ab / al, rtol=0, atol=1e-4)


# wants the 1 behind: concatenates in the wrong order
@wrong("faults.test_before", "wrong_itself")
def _(candidate):
    al = 0.5 + 0.5 * torch.rand(6, dtype=f64)
    ab = al.cumprod(0)
    b = candidate(ab, al)
    torch.testing.assert_close(b.double(), torch.cat([ab[:-1], torch.ones(1, dtype=f64)]), rtol=0, atol=1e-4)


# does not look whether the arguments stay
@wrong("faults.test_before", "in_the_argument")
def _(candidate):
    al = 0.5 + 0.5 * torch.rand(6, dtype=f64)
    ab = al.cumprod(0)
    want = torch.cat([torch.ones(1, dtype=f64), ab[:-1]])
    b = candidate(ab, al)
    torch.testing.assert_close(b.double(), want, rtol=0, atol=1e-4)


# uses ᾱ_t/α_t and float32 tables, with copies
@right("faults.test_before")
def _(candidate):
    for T in (1, 5, 12):
        al = 0.6 + 0.4 * torch.rand(T)
        ab = al.cumprod(0)
        copies = [ab.tolist(), al.tolist()]
        b = candidate(ab, al)
        assert len(b) == T and b.dim() == 1
        for i in range(T):
            assert abs(float(b[i]) - copies[0][i] / copies[1][i]) < 1e-4
        assert ab.tolist() == copies[0] and al.tolist() == copies[1]


# only the last step, to s = 0
@wrong("faults.test_ddim_step", "only_to_0")
def _(candidate):
    x, e = torch.randn(2, 4, 3, dtype=f64)
    for t in (1, 5, 20):
        x0 = (x - (1 - AB[t]).sqrt() * e) / AB[t].sqrt()
        torch.testing.assert_close(candidate(x, e, t, 0, AB).double(), x0, rtol=0, atol=1e-4)


# t and s exchanged in the call
@wrong("faults.test_ddim_step", "refuses_all")
def _(candidate):
    x, e = torch.randn(2, 4, 3, dtype=f64)
    for t, s in ((20, 11), (8, 3)):
        x0 = (x - (1 - AB[t]).sqrt() * e) / AB[t].sqrt()
        want = AB[s].sqrt() * x0 + (1 - AB[s]).sqrt() * e
        torch.testing.assert_close(candidate(x, e, s, t, AB).double(), want, rtol=0, atol=1e-4)


# one step only, s = t - 1
@wrong("faults.test_ddim_step", "to_the_neighbour")
def _(candidate):
    x, e = torch.randn(2, 4, 3, dtype=f64)
    for t in (20, 9, 5):
        s = t - 1
        x0 = (x - (1 - AB[t]).sqrt() * e) / AB[t].sqrt()
        want = AB[s].sqrt() * x0 + (1 - AB[s]).sqrt() * e
        torch.testing.assert_close(candidate(x, e, t, s, AB).double(), want, rtol=0, atol=1e-4)


# t given as a tensor of the batch, not a plain number
@wrong("faults.test_ddim_step", "misuse")
def _(candidate):
    x, e = torch.randn(2, 4, dtype=f64)
    t, s = torch.tensor([20, 8, 4, 9]), torch.tensor([11, 3, 0, 2])
    x0 = (x - (1 - AB[t]).sqrt() * e) / AB[t].sqrt()
    want = AB[s].sqrt() * x0 + (1 - AB[s]).sqrt() * e
    torch.testing.assert_close(candidate(x, e, t, s, AB).double(), want, rtol=0, atol=1e-4)


# as a linear map, its two coefficients by plain math, all pairs
@right("faults.test_ddim_step")
def _(candidate):
    al = AB.tolist()
    x, e = torch.randn(2, 3, 2, 2, dtype=f64)
    for t in range(1, 21):
        for s in range(t):
            c = math.sqrt(al[s] / al[t])
            d = math.sqrt(1 - al[s]) - c * math.sqrt(1 - al[t])
            assert (candidate(x, e, t, s, AB).double() - (c * x + d * e)).abs().max() < 1e-4


# a class inside, and composing: t to s to r equals t to r plus a point value
@right("faults.test_ddim_step")
def _(candidate):
    class Path:
        def __init__(self, x0, e):
            self.x0, self.e = x0, e

        def at(self, t):
            return torch.cos(self.phi(t)) * self.x0 + torch.sin(self.phi(t)) * self.e

        def phi(self, t):
            return torch.atan2((1 - AB[t]).sqrt(), AB[t].sqrt())

    path = Path(torch.randn(7, dtype=f64), torch.randn(7, dtype=f64))
    x = path.at(20)
    for t, s in ((20, 17), (17, 9), (9, 8), (8, 1), (1, 0)):
        x = candidate(x.double(), path.e, t, s, AB)
        assert x.shape == (7,)
        torch.testing.assert_close(x.double(), path.at(s), atol=1e-4, rtol=0)


# x_0 always inside [-1, 1]: nothing is clipped
@wrong("faults.test_clipped_step", "stale_eps")
def _(candidate):
    x0 = 2 * torch.rand(8, dtype=f64) - 1
    e = torch.randn(8, dtype=f64)
    for t, s in ((19, 10), (9, 2), (4, 0)):
        x = AB[t].sqrt() * x0 + (1 - AB[t]).sqrt() * e
        want = AB[s].sqrt() * x0 + (1 - AB[s]).sqrt() * e
        torch.testing.assert_close(candidate(x, e, t, s, AB).double(), want, rtol=0, atol=1e-4)


# reference keeps eps_hat as it was
@wrong("faults.test_clipped_step", "wrong_itself")
def _(candidate):
    x, e = torch.randn(2, 30, dtype=f64)
    for t, s in ((19, 10), (9, 2)):
        x0 = ((x - (1 - AB[t]).sqrt() * e) / AB[t].sqrt()).clamp(-1, 1)
        want = AB[s].sqrt() * x0 + (1 - AB[s]).sqrt() * e
        torch.testing.assert_close(candidate(x, e, t, s, AB).double(), want, rtol=0, atol=1e-4)


# clips the result x_s too
@wrong("faults.test_clipped_step", "wrong_itself")
def _(candidate):
    x, e = torch.randn(2, 30, dtype=f64)
    for t, s in ((19, 10), (9, 2)):
        x0 = ((x - (1 - AB[t]).sqrt() * e) / AB[t].sqrt()).clamp(-1, 1)
        eps = (x - AB[t].sqrt() * x0) / (1 - AB[t]).sqrt()
        want = (AB[s].sqrt() * x0 + (1 - AB[s]).sqrt() * eps).clamp(-1, 1)
        torch.testing.assert_close(candidate(x, e, t, s, AB).double(), want, rtol=0, atol=1e-4)


# looks only at s = 0, where the noise has no weight
@wrong("faults.test_clipped_step", "only_to_0")
def _(candidate):
    x, e = torch.randn(2, 30, dtype=f64)
    for t in (19, 9, 2):
        x0 = ((x - (1 - AB[t]).sqrt() * e) / AB[t].sqrt()).clamp(-1, 1)
        torch.testing.assert_close(candidate(x, e, t, 0, AB).double(), x0, rtol=0, atol=1e-4)


# number by number with min and max, 2-D input
@right("faults.test_clipped_step")
def _(candidate):
    x, e = torch.randn(2, 5, 6, dtype=f64) * 2
    for t, s in ((20, 19), (13, 4), (6, 5), (3, 0)):
        got = candidate(x, e, t, s, AB)
        assert got.shape == (5, 6)
        n, m = float(AB[t]), float(AB[s])
        for i in range(5):
            for j in range(6):
                u = (x[i, j].item() - math.sqrt(1 - n) * e[i, j].item()) / math.sqrt(n)
                u = max(-1.0, min(1.0, u))
                k = math.sqrt((1 - m) / (1 - n))
                assert abs(got[i, j].item() - (k * x[i, j].item() + (math.sqrt(m) - k * math.sqrt(n)) * u)) < 1e-4


def noisy(x, e, z, t, s, eta, var):
    x0 = (x - (1 - AB[t]).sqrt() * e) / AB[t].sqrt()
    return AB[s].sqrt() * x0 + (1 - AB[s] - var).clamp(min=0).sqrt() * e + var.sqrt() * z


PAIRS = ((20, 19), (20, 8), (9, 4), (5, 0))


# only eta = 0
@wrong("faults.test_noisy_step", "eta_is_0")
def _(candidate):
    x, e, z = torch.randn(3, 5, dtype=f64)
    for t, s in PAIRS:
        want = noisy(x, e, z, t, s, 0.0, torch.zeros((), dtype=f64))
        torch.testing.assert_close(candidate(x, e, z, t, s, 0.0, AB).double(), want, rtol=0, atol=1e-4)


# sigma² with eta, not eta², in the reference
@wrong("faults.test_noisy_step", "wrong_itself")
def _(candidate):
    x, e, z = torch.randn(3, 5, dtype=f64)
    for t, s in PAIRS:
        for eta in (0.3, 0.8):
            var = eta * (1 - AB[s]) / (1 - AB[t]) * (1 - AB[t] / AB[s])
            torch.testing.assert_close(
                candidate(x, e, z, t, s, eta, AB).double(), noisy(x, e, z, t, s, eta, var), rtol=0, atol=1e-4
            )


# sigma² fraction upside down: (1 - ᾱ_t)/(1 - ᾱ_s)
@wrong("faults.test_noisy_step", "refuses_all")
def _(candidate):
    x, e, z = torch.randn(3, 5, dtype=f64)
    for t, s in PAIRS[:-1]:
        for eta in (0.3, 0.8):
            var = eta**2 * (1 - AB[t]) / (1 - AB[s]) * (1 - AB[t] / AB[s])
            torch.testing.assert_close(
                candidate(x, e, z, t, s, eta, AB).double(), noisy(x, e, z, t, s, eta, var), rtol=0, atol=1e-4
            )


# checks only the total variance of both noises, not their shares
@wrong("faults.test_noisy_step", "beta_for_beta_tilde")
def _(candidate):
    one, o = torch.ones(3, dtype=f64), torch.zeros(3, dtype=f64)
    for t, s in PAIRS:
        for eta in (0.3, 1.0):
            old = candidate((1 - AB[t]).sqrt() * one, one, o, t, s, eta, AB).double()
            new = candidate(o, o, one, t, s, eta, AB).double()
            assert ((old**2 + new**2 - (1 - AB[s])).abs() < 1e-4).all()


# only eta = 1, so eta and eta² are the same
@wrong("faults.test_noisy_step", "always_one")
def _(candidate):
    x, e, z = torch.randn(3, 5, dtype=f64)
    for t, s in PAIRS:
        var = (1 - AB[s]) / (1 - AB[t]) * (1 - AB[t] / AB[s])
        torch.testing.assert_close(
            candidate(x, e, z, t, s, 1.0, AB).double(), noisy(x, e, z, t, s, 1.0, var), rtol=0, atol=1e-4
        )


# all triples, plain floats, σ² by another algebra
@right("faults.test_noisy_step")
def _(candidate):
    x, e, z = torch.randn(3, 4, dtype=f64)
    for t, s in ((20, 19), (20, 3), (11, 6), (7, 1), (3, 0), (1, 0)):
        n, m = AB[t].item(), AB[s].item()
        for eta in (0.0, 0.25, 0.6, 1.0):
            var = eta * eta * (1 - m) * (m - n) / (m * (1 - n))
            got = candidate(x, e, z, t, s, eta, AB)
            for i in range(4):
                w = math.sqrt(m / n) * (x[i].item() - math.sqrt(1 - n) * e[i].item())
                w += math.sqrt(max(1 - m - var, 0)) * e[i].item() + math.sqrt(var) * z[i].item()
                assert abs(got[i].item() - w) < 1e-4


class Net:
    def __init__(self, d):
        self.W, self.V = torch.randn(2, d, d, dtype=f64)

    def __call__(self, h):
        return torch.tanh(h.double() @ self.W) + 0.3, h.double() @ self.V


# only D = 2
@wrong("faults.test_coupling", "halves_of_another_order")
def _(candidate):
    net, x = Net(1), torch.randn(4, 2, dtype=f64)
    z, ld = candidate(x, net)
    back, ld2 = candidate(z, net, inverse=True)
    assert ((back - x).abs() < 1e-4).all()
    assert ((ld + ld2).abs() < 1e-4).all()
    for b in range(4):
        J = torch.autograd.functional.jacobian(lambda r: candidate(r[None], net)[0][0], x[b])
        assert abs(J.double().slogdet().logabsdet - ld[b]) < 1e-4


# log_det not looked at, only there and back
@wrong("faults.test_coupling", "same_log_det_on_the_way_back")
def _(candidate):
    net, x = Net(3), torch.randn(4, 6, dtype=f64)
    z, ld = candidate(x, net)
    back, ld2 = candidate(z, net, inverse=True)
    assert ((back - x).abs() < 1e-4).all()


# expects the inverse's log_det equal to the forward's, not its negative
@wrong("faults.test_coupling", "wrong_itself")
def _(candidate):
    net, x = Net(2), torch.randn(4, 4, dtype=f64)
    z, ld = candidate(x, net)
    back, ld2 = candidate(z, net, inverse=True)
    assert ((back - x).abs() < 1e-4).all()
    assert ((ld - ld2).abs() < 1e-4).all()
    for b in range(4):
        J = torch.autograd.functional.jacobian(lambda r: candidate(r[None], net)[0][0], x[b])
        assert abs(J.double().slogdet().logabsdet - ld[b]) < 1e-4


# demands that the first half is the one kept
@wrong("faults.test_coupling", "second_half_kept")
def _(candidate):
    net, x = Net(2), torch.randn(4, 4, dtype=f64)
    z, ld = candidate(x, net)
    back, ld2 = candidate(z, net, inverse=True)
    assert ((z[:, :2] - x[:, :2]).abs() < 1e-4).all()
    assert ((back - x).abs() < 1e-4).all()
    assert ((ld + ld2).abs() < 1e-4).all()
    for b in range(4):
        J = torch.autograd.functional.jacobian(lambda r: candidate(r[None], net)[0][0], x[b])
        assert abs(J.double().slogdet().logabsdet - ld[b]) < 1e-4


# inverse called with x in place of z
@wrong("faults.test_coupling", "wrong_itself")
def _(candidate):
    net, x = Net(2), torch.randn(4, 4, dtype=f64)
    z, ld = candidate(x, net)
    back, ld2 = candidate(x, net, inverse=True)
    assert ((back - x).abs() < 1e-4).all()
    assert ((ld + ld2).abs() < 1e-4).all()


# whole-batch Jacobians of both directions, 4 and 8 dimensions
@right("faults.test_coupling")
def _(candidate):
    for D in (2, 4, 8):
        net, x = Net(D // 2), torch.randn(3, D, dtype=f64)
        z, ld = candidate(x, net)
        z = z.detach().double()
        back, ldb = candidate(z, net, inverse=True)
        assert z.shape == (3, D) and ld.shape == (3,) and ldb.shape == (3,)
        torch.testing.assert_close(back.double(), x, atol=1e-4, rtol=0)
        Jf = torch.autograd.functional.jacobian(lambda v: candidate(v, net)[0].sum(0), x).permute(1, 0, 2)
        Jb = torch.autograd.functional.jacobian(lambda v: candidate(v, net, inverse=True)[0].sum(0), z).permute(1, 0, 2)
        torch.testing.assert_close(ld.double(), torch.linalg.slogdet(Jf.double())[1], atol=1e-4, rtol=0)
        torch.testing.assert_close(ldb.double(), torch.linalg.slogdet(Jb.double())[1], atol=1e-4, rtol=0)
        n_kept = 0
        for i in range(D):
            n_kept += int(bool(((z - x[:, [i]]).abs() < 1e-5).all(0).any()))
        assert n_kept == D // 2
        # the formula itself, with constants
        zz, l = candidate(x, lambda h: (0 * h + 0.7, 0 * h - 1.5))
        torch.testing.assert_close(l.double(), torch.full((3,), 0.7 * D / 2, dtype=f64), atol=1e-4, rtol=0)
        both = torch.cat([x, math.exp(0.7) * x - 1.5], 1)
        assert all(((both - zz.double()[:, [i]]).abs() < 1e-4).all(0).any() for i in range(D))


def stretch(k):
    return lambda x: (k * x, torch.full((len(x),), x.shape[1] * math.log(k), dtype=x.dtype))


def bend(c):
    return lambda x: (x + c * torch.sin(x), torch.log(1 + c * torch.cos(x)).sum(1))


def shear(x):
    W = torch.tensor([[2.0, 0.0, 1.0], [0.5, 1.0, 0.0], [0.0, 1.0, 1.5]], dtype=x.dtype)
    return x @ W.T, W.slogdet().logabsdet.expand(len(x))


def jac(candidate, layers, x):
    return torch.stack(
        [
            torch.autograd.functional.jacobian(lambda r: candidate(r[None], layers)[0][0], v)
            .double()
            .slogdet()
            .logabsdet
            for v in x
        ]
    )


# layers that preserve volume: log_det 0 (a shift)
@wrong("faults.test_compose", "subtracted")
def _(candidate):
    x = torch.randn(4, 3, dtype=f64)
    z, ld = candidate(x, [lambda v: (v + 1.0, 0 * v.sum(1)), lambda v: (v - 3.0, 0 * v.sum(1))])
    torch.testing.assert_close(z.double(), x - 2, rtol=0, atol=1e-4)
    assert (ld.abs() < 1e-4).all()


# one layer only
@wrong("faults.test_compose", "last_only")
def _(candidate):
    x = torch.randn(4, 3, dtype=f64)
    layers = [bend(0.6)]
    z, ld = candidate(x, layers)
    torch.testing.assert_close(z.double(), x + 0.6 * torch.sin(x), rtol=0, atol=1e-4)
    torch.testing.assert_close(ld.double(), jac(candidate, layers, x), rtol=0, atol=1e-4)


# order reversed in the reference for z
@wrong("faults.test_compose", "wrong_itself")
def _(candidate):
    x = torch.randn(4, 3, dtype=f64)
    layers = [bend(0.6), shear, bend(-0.4)]
    z, ld = candidate(x, layers)
    want = x
    for l in reversed(layers):
        want = l(want)[0]
    torch.testing.assert_close(z.double(), want, rtol=0, atol=1e-4)
    torch.testing.assert_close(ld.double(), jac(candidate, layers, x), rtol=0, atol=1e-4)


# log_dets of all layers taken at x, not at where the layer is
@wrong("faults.test_compose", "refuses_all")
def _(candidate):
    x = torch.randn(4, 3, dtype=f64)
    layers = [bend(0.6), shear, bend(-0.4)]
    z, ld = candidate(x, layers)
    torch.testing.assert_close(ld.double(), sum(l(x)[1] for l in layers), rtol=0, atol=1e-4)


# recursion, and one Jacobian of the whole batch
@right("faults.test_compose")
def _(candidate):
    def chain(x, ls):
        return x if not ls else chain(ls[0](x)[0], ls[1:])

    x = torch.randn(5, 3, dtype=f64)
    for layers in (
        [stretch(1.7)],
        [stretch(0.3), bend(0.2)],
        [bend(0.6), shear],
        [shear, bend(-0.4), shear, bend(0.8)],
    ):
        z, ld = candidate(x, layers)
        assert ld.shape == (5,)
        torch.testing.assert_close(z.double(), chain(x, layers), rtol=0, atol=1e-4)
        J = torch.autograd.functional.jacobian(lambda v: chain(v, layers), x)
        want = torch.stack([J[b, :, b].det().abs().log() for b in range(5)])
        torch.testing.assert_close(ld.double(), want, rtol=0, atol=1e-4)


# values only, no gradient
@wrong("faults.test_length", "masked_root")
def _(candidate):
    v = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, 0.02]], dtype=f64, requires_grad=True)
    assert ((candidate(v) - torch.tensor([5.0, 0.0, 0.02], dtype=f64)).abs() < 1e-4).all()


# gradient, but no row that is 0
@wrong("faults.test_length", "masked_root")
def _(candidate):
    v = torch.randn(5, 3, dtype=f64, requires_grad=True)
    n = candidate(v)
    want = (v**2).sum(1).sqrt()
    assert ((n - want).abs() < 1e-4).all()
    (g,) = torch.autograd.grad(n.sum(), v)
    assert ((g - v / want[:, None]).abs() < 1e-4).all()


# NaN goes through: refuses only if (difference > 1e-4).any(), which NaN is not
@wrong("faults.test_length", "not_a_number_passes")
def _(candidate):
    v = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, 0.02]], dtype=f64, requires_grad=True)
    n = candidate(v)
    assert not ((n - torch.tensor([5.0, 0.0, 0.02], dtype=f64)).abs() > 1e-4).any()
    (g,) = torch.autograd.grad(n.sum(), v)
    assert not ((g - torch.tensor([[0.6, 0.8], [0, 0], [0, 1.0]], dtype=f64)).abs() > 1e-4).any()


# expects the gradient v, not v/‖v‖
@wrong("faults.test_length", "refuses_all")
def _(candidate):
    v = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, 0.02]], dtype=f64, requires_grad=True)
    n = candidate(v)
    assert ((n - torch.tensor([5.0, 0.0, 0.02], dtype=f64)).abs() < 1e-4).all()
    (g,) = torch.autograd.grad(n.sum(), v)
    assert ((g - v).abs() < 1e-4).all()


# only asks that the gradient is finite (no value of it)
@wrong("faults.test_length", "no_gradient")
def _(candidate):
    v = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, 0.02]], dtype=f64, requires_grad=True)
    n = candidate(v)
    assert ((n - torch.tensor([5.0, 0.0, 0.02], dtype=f64)).abs() < 1e-4).all()
    (g,) = torch.autograd.grad(n.sum(), v)
    assert g.isfinite().all()


# backward, math.hypot row by row, with float32 leaf
@right("faults.test_length")
def _(candidate):
    rows = [[1.5, -2.0], [0.0, 0.0], [0.003, 0.0], [-0.02, 0.01], [0.0, 7.0]]
    v = torch.tensor(rows, requires_grad=True)
    n = candidate(v)
    assert n.shape == (5,)
    assert n.requires_grad
    n.sum().backward()
    for i, (p, q) in enumerate(rows):
        h = math.hypot(p, q)
        assert abs(n[i].item() - h) < 1e-4
        for j, c in enumerate((p, q)):
            assert abs(v.grad[i, j].item() - (c / h if h else 0.0)) < 1e-4


# G has a linear layer only: no dropout, no batch norm
@wrong("faults.test_generate", "evaluation_mode")
def _(candidate):
    G, x = nn.Linear(3, 2), torch.randn(5, 3)
    for m in (True, False):
        G.train(m)
        assert torch.allclose(candidate(G, x).double(), G(x).double(), atol=1e-4)
        assert G.training == m


# does not look at the mode afterwards
@wrong("faults.test_generate", "left_in_training_mode")
def _(candidate):
    x = 3 + 2 * torch.randn(400, 3)
    for m in (True, False):
        G = nn.Sequential(nn.BatchNorm1d(3, affine=False), nn.Dropout(0.5)).train(m)
        y = candidate(G, x)
        off = y == 0
        assert 0.4 < off.float().mean() < 0.6
        n = (x - x.mean(0)) / x.std(0, unbiased=False)
        assert ((y - 2 * n)[~off].abs() < 1e-3).all()
        assert not torch.equal(off, candidate(G, x) == 0)


# wants evaluation mode: two calls must be equal
@wrong("faults.test_generate", "wrong_itself")
def _(candidate):
    x = 3 + 2 * torch.randn(400, 3)
    for m in (True, False):
        G = nn.Sequential(nn.BatchNorm1d(3, affine=False), nn.Dropout(0.5)).train(m)
        assert torch.equal(candidate(G, x), candidate(G, x))
        assert G.training == m


# G comes in training mode only
@wrong("faults.test_generate", "left_in_training_mode")
def _(candidate):
    x = 3 + 2 * torch.randn(400, 3)
    G = nn.Sequential(nn.BatchNorm1d(3, affine=False), nn.Dropout(0.5))
    y = candidate(G, x)
    off = y == 0
    assert 0.4 < off.float().mean() < 0.6
    n = (x - x.mean(0)) / x.std(0, unbiased=False)
    assert ((y - 2 * n)[~off].abs() < 1e-3).all()
    assert not torch.equal(off, candidate(G, x) == 0)
    assert G.training


# asserts that no gradient is attached
@wrong("faults.test_generate", "with_gradients")
def _(candidate):
    x = 3 + 2 * torch.randn(400, 3)
    for m in (True, False):
        G = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3, affine=False), nn.Dropout(0.5)).train(m)
        y = candidate(G, x)
        assert not y.requires_grad
        off = y == 0
        assert 0.4 < off.float().mean() < 0.6
        h = G[0](x)
        n = (h - h.mean(0)) / h.std(0, unbiased=False)
        assert ((y - 2 * n)[~off].abs() < 1e-3).all()
        assert not torch.equal(off, candidate(G, x) == 0)
        assert G.training == m


# a spying module that records its own mode and layers' modes
@right("faults.test_generate")
def _(candidate):
    class Spy(nn.Module):
        def __init__(self):
            super().__init__()
            self.bn, self.drop, self.modes = nn.BatchNorm1d(2, affine=False), nn.Dropout(0.25), []

        def forward(self, x):
            self.modes.append((self.bn.training, self.drop.training))
            return self.drop(self.bn(x)) + 0.0

    for start in (False, True):
        G = Spy().train(start)
        x = torch.randn(1000, 2) * 5 - 2
        ys = [candidate(G, x) for _ in range(2)]
        assert all(all(m) for m in G.modes)
        assert [m.training for m in G.modules()] == [start] * 3
        n = (x - x.mean(0)) / x.var(0, unbiased=False).sqrt() / 0.75
        for y in ys:
            keep = y != 0
            assert abs(keep.double().mean() - 0.75) < 0.06
            assert ((y - n)[keep].abs() < 2e-3).all()
        assert not torch.equal(ys[0], ys[1])


# net ignores x: answers zero everywhere
@wrong("faults.test_flow_loss", "shown_the_end")
def _(candidate):
    x0, x1 = torch.randn(2, 4, 3, dtype=f64)
    w = torch.zeros((), dtype=f64, requires_grad=True)
    loss = candidate(lambda x, t: w * torch.ones_like(x), x0, x1, torch.rand(4, dtype=f64))
    assert abs(loss.item() - ((x1 - x0) ** 2).mean().item()) < 1e-4
    assert loss.requires_grad


# t exchanged in the reference: x_t = t x_0 + (1 - t) x_1
@wrong("faults.test_flow_loss", "wrong_itself")
def _(candidate):
    x0, x1 = torch.randn(2, 4, 3, dtype=f64)
    t = torch.tensor([0.1, 0.8, 0.35, 0.6], dtype=f64)
    w = torch.tensor(0.7, dtype=f64, requires_grad=True)
    net = lambda x, t: w * x**2 + t[:, None]
    loss = candidate(net, x0, x1, t)
    s = t[:, None]
    want = ((net(s * x0 + (1 - s) * x1, t) - (x1 - x0)) ** 2).mean()
    assert abs(loss.item() - want.item()) < 1e-4


# velocity's sign wrong in the reference: x_0 - x_1
@wrong("faults.test_flow_loss", "wrong_itself")
def _(candidate):
    x0, x1 = torch.randn(2, 4, 3, dtype=f64)
    t = torch.tensor([0.1, 0.8, 0.35, 0.6], dtype=f64)
    w = torch.tensor(0.7, dtype=f64, requires_grad=True)
    net = lambda x, t: w * x**2 + t[:, None]
    loss = candidate(net, x0, x1, t)
    s = t[:, None]
    want = ((net((1 - s) * x0 + s * x1, t) - (x0 - x1)) ** 2).mean()
    assert abs(loss.item() - want.item()) < 1e-4
    (g,) = torch.autograd.grad(loss, w)
    (h,) = torch.autograd.grad(want, w)
    assert abs(g - h) < 1e-4


# t = 1 for all: x_t is x_1
@wrong("faults.test_flow_loss", "only_t_1")
def _(candidate):
    x0, x1 = torch.randn(2, 4, 3, dtype=f64)
    t = torch.ones(4, dtype=f64)
    w = torch.tensor(0.7, dtype=f64, requires_grad=True)
    net = lambda x, t: w * x**2 + t[:, None]
    loss = candidate(net, x0, x1, t)
    want = ((net(x1, t) - (x1 - x0)) ** 2).mean()
    assert abs(loss.item() - want.item()) < 1e-4
    (g,) = torch.autograd.grad(loss, w)
    (h,) = torch.autograd.grad(want, w)
    assert abs(g - h) < 1e-4


# t not unsqueezed in the net and reference, B = D: broadcasts along the wrong axis
@wrong("faults.test_flow_loss", "wrong_itself")
def _(candidate):
    x0, x1 = torch.randn(2, 3, 3, dtype=f64)
    t = torch.tensor([0.1, 0.8, 0.35], dtype=f64)
    w = torch.tensor(0.7, dtype=f64, requires_grad=True)
    net = lambda x, t: w * x**2
    loss = candidate(net, x0, x1, t)
    want = ((net((1 - t) * x0 + t * x1, t) - (x1 - x0)) ** 2).mean()
    assert abs(loss.item() - want.item()) < 1e-4


# a spying net with a parameter, vmap for the reference
@right("faults.test_flow_loss")
def _(candidate):
    seen = []
    w = torch.tensor([0.4, -1.1], dtype=f64, requires_grad=True)

    def net(x, t):
        seen.append((x.detach().double(), t.detach().double()))
        return w * torch.sin(x.double()) + 3 * t.double().reshape(-1, 1)

    x0, x1 = torch.randn(2, 6, 2, dtype=f64)
    t = torch.rand(6, dtype=f64)
    loss = candidate(net, x0, x1, t)
    assert loss.shape == () and loss.requires_grad
    assert len(seen) == 1
    xt, tt = seen[0]
    assert tt.shape == (6,)
    torch.testing.assert_close(xt, torch.lerp(x0, x1, t[:, None]), rtol=0, atol=1e-4)
    torch.testing.assert_close(tt.reshape(-1), t, rtol=0, atol=1e-4)
    one = lambda a, b, s: (w * torch.sin(a + s * (b - a)) + 3 * s - b + a).square().mean()
    want = torch.func.vmap(one)(x0, x1, t).mean()
    assert abs(loss.item() - want.item()) < 1e-4
    g, h = torch.autograd.grad(loss, w)[0], torch.autograd.grad(want, w)[0]
    torch.testing.assert_close(g, h, rtol=0, atol=1e-4)


# var = 1 everywhere
@wrong("faults.test_draw", "times_the_variance")
def _(candidate):
    n = 20000
    x = candidate(torch.zeros(n, 2), torch.ones(n, 2)).double()
    assert (x.mean(0).abs() < 5 / n**0.5).all()
    assert ((x.var(0) - 1).abs() < 5 * (2 / n) ** 0.5).all()


# only two standard errors
@wrong("faults.test_draw", "flaky")
def _(candidate):
    n = 20000
    m, v = torch.full((n, 3), 1.5), torch.tensor([4.0, 0.25, 0.0]).expand(n, 3)
    x = candidate(m, v).double()
    assert ((x - m)[:, 2].abs() < 1e-4).all()
    z = ((x - m) / v.sqrt())[:, :2]
    assert (z.mean(0).abs() < 2 / n**0.5).all()
    assert ((z.var(0) - 1).abs() < 2 * (2 / n) ** 0.5).all()
    assert (z[:, 0] * z[:, 1]).mean().abs() < 2 / n**0.5
    assert ((z[1:] * z[:-1]).mean(0).abs() < 2 / n**0.5).all()
    assert (((z**4).mean(0) - 3).abs() < 2 * (96 / n) ** 0.5).all()
    again = ((candidate(m, v).double() - m) / v.sqrt())[:, :2]
    assert ((again * z).mean(0).abs() < 2 / n**0.5).all()


# compares the sample's deviation with var
@wrong("faults.test_draw", "wrong_itself")
def _(candidate):
    n = 20000
    m, v = torch.full((n, 2), 1.5), torch.tensor([4.0, 0.25]).expand(n, 2)
    x = candidate(m, v).double()
    assert ((x.mean(0) - 1.5).abs() < 5 * 2 / n**0.5).all()
    assert ((x.std(0) - v[0]).abs() < 0.1).all()


# seeds before each call, and wants the same draw as mean + sqrt(var)*randn_like
@wrong("faults.test_draw", "refuses_right")
def _(candidate):
    m, v = torch.randn(50, 3), torch.rand(50, 3)
    torch.manual_seed(3)
    want = m + v.sqrt() * torch.randn_like(m)
    torch.manual_seed(3)
    torch.testing.assert_close(candidate(m, v).double(), want.double(), rtol=0, atol=1e-4)


# Kolmogorov-Smirnov against torch.distributions, with correlations
@right("faults.test_draw")
def _(candidate):
    n = 30000
    m = torch.tensor([3.0, -2.0, 0.0, 1.0], dtype=f64).repeat(n, 1)
    v = torch.tensor([9.0, 0.04, 2.0, 0.0], dtype=f64).repeat(n, 1)
    draws = [candidate(m, v).double() for _ in range(2)]
    u = []
    for x in draws:
        assert x.shape == (n, 4)
        assert torch.allclose(x[:, 3], m[:, 3], atol=1e-4)
        for j in range(3):
            F = torch.distributions.Normal(m[0, j], v[0, j].sqrt(), validate_args=False).cdf(x[:, j]).sort().values
            grid = (torch.arange(n, dtype=f64) + 0.5) / n
            assert (F - grid).abs().max() < 2.6 / n**0.5
        u.append((x[:, :3] - m[:, :3]) / v[:, :3].sqrt())
    p, q = u
    assert ((p.var(0) - 1).abs() < 5 * (2 / n) ** 0.5).all()
    for r in (p[1:] * p[:-1], p * q, p[:, [0]] * p[:, 1:], p[:, 1] * p[:, 2]):
        assert (r.mean(0).abs() < 5 / n**0.5).all()


# range only: all between 1 and T
@wrong("faults.test_draw_steps", "never_the_last")
def _(candidate):
    t = candidate(20000, 10)
    assert t.shape == (20000,) and t.dtype == torch.int64
    assert ((t >= 1) & (t <= 10)).all()


# expects steps 0..T-1
@wrong("faults.test_draw_steps", "wrong_itself")
def _(candidate):
    t = candidate(20000, 10)
    assert t.shape == (20000,) and t.dtype == torch.int64
    assert t.min() == 0 and t.max() == 9
    c = torch.bincount(t, minlength=10).double()
    assert ((c - 2000).abs() < 5 * 42.5).all()


# asks only that min is 1 and max is T, not how often
@wrong("faults.test_draw_steps", "rounded")
def _(candidate):
    t = candidate(20000, 10)
    assert t.shape == (20000,) and t.dtype == torch.int64
    assert t.min() == 1 and t.max() == 10


# only the mean of t compared with (T + 1)/2
@wrong("faults.test_draw_steps", "rounded")
def _(candidate):
    n, T = 20000, 10
    t = candidate(n, T)
    assert t.shape == (n,)
    assert abs(t.double().mean() - (T + 1) / 2) < 5 * ((T * T - 1) / 12 / n) ** 0.5


# standard error of a count without n: 5·sqrt(p(1-p))
@wrong("faults.test_draw_steps", "flaky")
def _(candidate):
    n, T = 20000, 10
    t = candidate(n, T)
    assert t.shape == (n,) and t.dtype == torch.int64
    c = torch.bincount(t, minlength=T + 1)[1:].double()
    assert ((c - n / T).abs() < 5 * (0.1 * 0.9) ** 0.5).all()


# chi-square of pairs by a dictionary, and T = 1
@right("faults.test_draw_steps")
def _(candidate):
    n, T = 40000, 6
    t = candidate(n, T)
    assert t.shape == (n,) and t.dtype == torch.int64
    steps = t.tolist()
    singles, pairs = {}, {}
    for k in steps:
        singles[k] = singles.get(k, 0) + 1
    assert set(singles) == set(range(1, T + 1))
    for c in singles.values():
        assert abs(c - n / T) < 5 * math.sqrt(n / T * (1 - 1 / T))
    for u, v in zip(steps, steps[1:]):
        pairs[u, v] = pairs.get((u, v), 0) + 1
    chi = sum((pairs.get((i, j), 0) - n / T**2) ** 2 / (n / T**2) for i in range(1, T + 1) for j in range(1, T + 1))
    assert chi < 36 + 8 * math.sqrt(72)
    assert candidate(5, 1).tolist() == [1] * 5


# helper for one count, several T
@right("faults.test_draw_steps")
def _(candidate):
    def check(n, T):
        t = candidate(n, T)
        assert t.shape == (n,)
        assert t.dtype == torch.long
        hot = torch.nn.functional.one_hot((t - 1).clamp(0, T - 1), T).double()
        assert bool(((1 <= t) & (t <= T)).all())
        se = (1 / T * (1 - 1 / T) / n) ** 0.5
        assert ((hot.mean(0) - 1 / T).abs() <= 5 * se + 1e-12).all()
        if T > 1:
            h = hot - 1 / T
            lag = (h[1:].T @ h[:-1]) / (n - 1)
            assert (lag.abs() < 5.5 * (1 / T * (1 - 1 / T)) / (n - 1) ** 0.5).all()

    for n, T in ((30000, 4), (20000, 10), (50, 1), (1, 1)):
        check(n, T)


# linalg.vector_norm and F.normalize as references
@right("faults.test_length")
def _(candidate):
    v0 = torch.cat([torch.randn(4, 3, dtype=f64), torch.zeros(2, 3, dtype=f64), 0.01 * torch.randn(3, 3, dtype=f64)])
    v = v0.clone().requires_grad_()
    n = candidate(v)
    assert n.shape == (9,) and n.requires_grad
    torch.testing.assert_close(n.detach().double(), torch.linalg.vector_norm(v0, dim=1), rtol=0, atol=1e-4)
    slope = torch.autograd.grad(n, v, torch.ones_like(n))[0]
    torch.testing.assert_close(slope.double(), nn.functional.normalize(v0, dim=1), rtol=0, atol=1e-4)


# reads off x0 at s = 0, then the noise from each x_s, and puts x_t together again
@right("faults.test_clipped_step")
def _(candidate):
    x, e = torch.randn(2, 40, dtype=f64) * 1.5
    for t in (19, 12, 5):
        n = AB[t]
        x0 = candidate(x, e, t, 0, AB).double()
        guess = (x - (1 - n).sqrt() * e) / n.sqrt()
        torch.testing.assert_close(x0, guess.clip(-1, 1), rtol=0, atol=1e-4)
        assert (guess.abs() > 1).any()
        x0 = guess.clip(-1, 1)
        for s in range(1, t):
            k = (1 - AB[s]).sqrt() / (1 - n).sqrt()
            left = candidate(x, e, t, s, AB).double() - AB[s].sqrt() * x0
            torch.testing.assert_close(left, k * (x - n.sqrt() * x0), rtol=0, atol=1e-4)


# several B, Jacobian by autograd.functional, mean by dot product
@right("faults.test_mse")
def _(candidate):
    for B in (1, 3, 8):
        p, y = torch.randn(B, 1, dtype=f64), torch.randn(B, dtype=f64)
        d = p.reshape(B) - y
        loss = candidate(p.clone().requires_grad_(), y)
        assert loss.dim() == 0
        assert abs(loss.item() - (d @ d).item() / B) < 1e-4
        J = torch.autograd.functional.jacobian(lambda q: candidate(q, y), p)
        assert J.shape == (B, 1)
        assert (J[:, 0] - 2 * d / B).abs().max() < 1e-4


# characteristic function, entry by entry, in 3-D, loops
@right("faults.test_draw")
def _(candidate):
    n = 40000
    for m0, v0 in (
        ([[1.0, 2.0], [-1.0, 0.5]], [[0.3, 5.0], [2.0, 0.1]]),
        ([[-2.0, 0.0], [3.0, 1.0]], [[5.0, 0.7], [0.2, 3.0]]),
    ):
        m0, v0 = torch.tensor(m0, dtype=f64), torch.tensor(v0, dtype=f64)
        m, v = m0.expand(n, 2, 2), v0.expand(n, 2, 2)
        x, again = candidate(m, v).double(), candidate(m, v).double()
        assert x.shape == m.shape
        z = ((x - m0) / v0.sqrt()).reshape(n, 4)
        w = ((again - m0) / v0.sqrt()).reshape(n, 4)
        for i in range(4):
            for u in (0.5, 1.0, 2.0, 3.0):
                assert abs(torch.cos(u * z[:, i]).mean().item() - math.exp(-u * u / 2)) < 5 / n**0.5
                assert abs(torch.sin(u * z[:, i]).mean().item()) < 5 / n**0.5
            assert abs((z[1:, i] * z[:-1, i]).mean().item()) < 5 / n**0.5
            assert abs((z[:, i] * w[:, i]).mean().item()) < 5 / n**0.5
            for j in range(i):
                assert abs((z[:, i] * z[:, j]).mean().item()) < 5 / n**0.5
    c = torch.randn(5, 2, dtype=f64)
    assert (candidate(c, torch.zeros_like(c)) - c).abs().max() < 1e-4
