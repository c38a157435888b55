"""The numbers that the exam asks for, each found in another way than its answer finds it: by quadrature, by autograd,
by entropies, or by running what the question says. test_teach_exam.py compares.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.distributions import Chi2, Normal, kl_divergence

from gencourse import checks
from genlib import diffusion, flows, gan

Found = dict[str, Any]
COMPUTED: dict[int, Callable[[], Found]] = {}


def question(n: int) -> Callable[[Callable[[], Found]], Callable[[], Found]]:
    def add(function: Callable[[], Found]) -> Callable[[], Found]:
        COMPUTED[n] = function
        return function

    return add


def own(name: str) -> Callable[..., Any]:
    """What an exercise of the labs should do."""
    return next(exercise.own for exercise in checks.exercises() if exercise.name == name)


def real(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def entropy(p: torch.Tensor) -> torch.Tensor:
    return torch.special.entr(p).sum()


def two_js(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """2 JS of shares of the same cells, by entropies."""
    return 2 * entropy((p + q) / 2) - entropy(p) - entropy(q)


def expected(f: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """E[f(ε)] with ε from N(0, 1), by Gauss–Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)
    return (torch.from_numpy(weights) * f(torch.from_numpy(nodes))).sum(-1) / math.sqrt(2 * math.pi)


@question(1)
def _() -> Found:
    a = torch.linspace(-2, 4, 6001, dtype=torch.float64)
    squared, absolute = (0.7 * (a + 1).abs() ** p + 0.3 * (a - 3).abs() ** p for p in (2, 1))
    found = {"mean": a[squared.argmin()], "variance": squared.min()}
    return found | {"median": a[absolute.argmin()], "cost": absolute.min()}


@question(2)
def _() -> Found:
    p, logits = real(0.5, 0.25, 0.25), torch.zeros(3, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, p), logits)
    return {"entropy": entropy(p), "slope": slope[0]}


@question(3)
def _() -> Found:
    q = Normal(real(1, -0.5), real(1, 0.5))
    return {"kl": kl_divergence(q, Normal(real(0), real(1))).sum()}


@question(5)
def _() -> Found:
    m = real(1).requires_grad_()
    (slope,) = torch.autograd.grad(expected(lambda eps: (m + eps) ** 2), m)
    draws = {"through": lambda eps: 2 * (1 + eps), "other": lambda eps: (1 + eps) ** 2 * eps}
    variance = {}
    for name, draw in draws.items():
        assert abs(expected(draw) - 2) < 1e-9
        variance[name] = expected(lambda eps, draw=draw: (draw(eps) - 2) ** 2)
    return {"slope": slope, **variance}


@question(6)
def _() -> Found:
    return {"mismatch": 12.1 - entropy(torch.full((1500,), 1 / 1500, dtype=torch.float64))}


@question(7)
def _() -> Found:
    p, made, D = real(0.75, 0.25), real(0.25, 0.75), torch.linspace(0.0001, 0.9999, 9999, dtype=torch.float64)
    value = p[:, None] * D.log() + made[:, None] * (1 - D).log()
    best = D[value.argmax(1)]
    return {"D": best[0], "logit": best[0].logit(), "V": value.amax(1).sum(), "JS": two_js(p, made) / 2}


@question(8)
def _() -> Found:
    p, made = real(0.5, 0.5), real(1, 0)
    bar = (p + made) / 2
    return {"js2": two_js(p, made), "seeking": 2 * (bar * (bar / p).log()).sum()}


@question(9)
def _() -> Found:
    places, found = torch.arange(40_000, dtype=torch.float64) / 10_000 + 0.00005, {}
    for name, theta in (("a", 0.4), ("b", 3.0)):
        p, made = ((places > left) & (places < left + 1) for left in (0.0, theta))
        p, made = (density.double() / 10_000 for density in (p, made))
        found |= {f"js2_{name}": two_js(p, made), f"W_{name}": (p.cumsum(0) - made.cumsum(0)).abs().sum() / 10_000}
    return found


@question(10)
def _() -> Found:
    motion = torch.tensor([[0, 0.5], [-0.5, -0.6]], dtype=torch.float64)
    eigenvalues = torch.linalg.eigvals(motion)
    later = torch.linalg.eigvals(torch.linalg.matrix_exp(5 * motion)).abs()
    step = torch.eye(2).double() + 0.2 * torch.tensor([[0, 0.5], [-0.5, 0]], dtype=torch.float64)
    grown = (torch.linalg.matrix_power(step, 100) @ real(0.6, 0.8)).norm()
    return {"real": eigenvalues.real[0], "imaginary": eigenvalues.imag.max(), "shrunk": later[0], "grown": grown}


@question(12)
def _() -> Found:
    right, any_of_them = torch.eye(3).double(), torch.full((3,), 1 / 3).double()
    seeing = sum(two_js(one, any_of_them) for one in right) / 6
    following = sum(two_js(right[x], right[(x + 1) % 3]) for x in range(3)) / 6
    return {"blind": two_js(right.mean(0), any_of_them) / 2, "seeing": seeing, "next": following}


@question(13)
def _() -> Found:
    fakes, slopes = real(-5, 5).requires_grad_(), {}
    for name in ("minimax", "non_saturating"):
        slopes[name] = torch.autograd.grad(2 * gan.generator_loss(fakes, name), fakes)[0]
    found = {name: slope[0] for name, slope in slopes.items()}
    shares = {f"share_{name}": slope[0] / slope.sum() for name, slope in slopes.items()}
    return found | {"ratio": found["non_saturating"] / found["minimax"]} | shares


@question(14)
def _() -> Found:
    grid = torch.linspace(-3, 3, 1201, dtype=torch.float64)
    weight = Normal(0.0, 0.4).log_prob(grid).exp() * (grid[1] - grid[0])
    flat = (weight * grid.abs()).sum()
    sample = (weight[:, None] * weight * (grid[:, None] - grid).abs()).sum()
    return {"flat": flat, "sample": sample, "worse": 100 * (sample / flat - 1)}


@question(15)
def _() -> Found:
    def patch(*strides: int) -> tuple[int, int]:
        """How wide one logit sees, and how many are in a row."""
        convolutions = [torch.nn.Conv2d(1, 1, 4, stride, padding=1) for stride in strides]
        picture = torch.zeros(1, 1, 64, 64, requires_grad=True)
        for convolution in convolutions:
            torch.nn.init.ones_(convolution.weight)
        logits = torch.nn.Sequential(*convolutions)(picture)
        middle = logits.shape[-1] // 2
        (slope,) = torch.autograd.grad(logits[0, 0, middle, middle], picture)
        return int((slope[0, 0].sum(0) != 0).sum()), logits.shape[-1]

    wide, in_a_row = patch(2, 2, 1, 1)
    return {"patch": wide, "logits": in_a_row, "narrower": patch(2, 1, 1, 1)[0]}


@question(18)
def _() -> Found:
    volume = ((torch.arange(1_000_000, dtype=torch.float64) + 0.5) / 1_000_000) ** 3
    near = ((volume - 1 / 8).abs() < 0.002).double().mean() / 0.004
    return {"density": near, "above": (volume > 1 / 8).double().mean(), "uniform": 1 - 1 / 8}


@question(19)
def _() -> Found:
    def log_p(x: torch.Tensor) -> torch.Tensor:
        def f(x: torch.Tensor) -> torch.Tensor:
            return torch.stack([2 * x[0] + x[1], -1.5 * x[1]])

        jacobian = torch.autograd.functional.jacobian(f, x)
        assert isinstance(jacobian, torch.Tensor)
        return Normal(0.0, 1.0).log_prob(f(x)).sum() + jacobian.slogdet()[1]

    return {"p": log_p(real(0, 0)).exp(), "log_p": log_p(real(1, 0))}


@question(20)
def _() -> Found:
    scales = torch.linspace(1, 4, 301, dtype=torch.float64)[:, None]
    mean = 3 * (expected(lambda e: Normal(0.0, 1.0).log_prob(scales * e / 2)) + scales[:, 0].log())
    return {"c": scales[mean.argmax()], "gain": mean.max() - mean[0]}


@question(22)
def _() -> Found:
    draw = torch.Generator().manual_seed(0)
    layers = [flows.AffineCoupling(flows.masks.halves(8, swap=k % 2 == 1)).double() for k in range(3)]
    for layer in layers:
        for p in layer.parameters():
            p.data += 0.5 * torch.randn(p.shape, generator=draw, dtype=p.dtype)
    x, found = torch.randn(1, 8, generator=draw, dtype=torch.float64), {}
    for n, name in enumerate(("one", "two", "three"), start=1):
        chain = flows.Compose(layers[:n])
        jacobian = torch.autograd.functional.jacobian(lambda x, chain=chain: chain(x)[0], x)
        found[name] = (torch.as_tensor(jacobian).abs() > 1e-12).sum()
    return found


@question(23)
def _() -> Found:
    return {"variance": Chi2(real(64)).variance / 2**2}


@question(24)
def _() -> Found:
    bits = own("flows.bits_per_dim")
    log_p = torch.full((1, 1), 60.0, dtype=torch.float64)
    right = bits(log_p, 64, 17)
    return {"bits": right, "forgotten": bits(log_p, 64, 1), "rubbish": bits(log_p - math.log(2), 64, 17) - right}


@question(25)
def _() -> Found:
    u = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    density = torch.where(u < 0.5, 0.8, 0.2).double()
    both = (density[:, None] + density) / 2
    assert 1 < -both.log2().mean() < -density.log2().mean()  # (c)
    return {"code": -density.mean().log2(), "bound": -density.log2().mean()}


@question(26)
def _() -> Found:
    u, w = real(1, -1), real(0.5, 1)

    def log_det(x: torch.Tensor) -> torch.Tensor:
        jacobian = torch.autograd.functional.jacobian(lambda x: x + u * torch.tanh(w @ x), x)
        return torch.as_tensor(jacobian).slogdet()[1]

    return {"log_det": log_det(real(0, 0)), "far": log_det(100 * w)}


CHAIN = diffusion.Schedule(real(0.1, 0.2, 0.5))
ONE, THREE = torch.ones(1, 1, dtype=torch.float64), torch.tensor([3])


@question(28)
def _() -> Found:
    mean, deviation = CHAIN.q_sample(2 * ONE, THREE, 0 * ONE), CHAIN.q_sample(0 * ONE, THREE, ONE)
    variance = 0.25
    for beta in (0.1, 0.2, 0.5):
        variance = (1 - beta) * variance + beta
    of_noise = deviation**2
    signal = CHAIN.q_sample(ONE, THREE, 0 * ONE) ** 2
    return {"alpha_bar": signal, "mean": mean, "variance": of_noise, "snr": signal / of_noise, "of_data": variance}


@question(29)
def _() -> Found:
    mean, variance = CHAIN.q_posterior(2 * ONE, ONE, THREE)
    return {"variance": variance, "mean": mean}


@question(32)
def _() -> Found:
    beta = torch.linspace(1e-4, 0.02, 100, dtype=torch.float64)
    estimate = torch.exp(-beta.sum())
    assert abs(diffusion.Schedule(beta).alpha_bar[-1] / estimate - 1) < 0.01
    return {"estimate": estimate}


@question(33)
def _() -> Found:
    chain, t, eps = diffusion.Schedule(real(0.64)), torch.tensor([1]), 0.5 * ONE
    found = {name: chain.convert(eps, ONE, t, "eps", name) for name in ("x_0", "v", "score")}
    off = chain.convert(eps + 0.1, ONE, t, "eps", "x_0")
    return found | {"error": (off - found["x_0"]).abs()}


@question(34)
def _() -> Found:
    step, table = own("diffusion.ddim_step"), real(1, 0.64, 0.36)
    t, s = torch.tensor([2]), torch.tensor([1])
    x_s = step(ONE, 0.5 * ONE, t, s, 0.0, 0 * ONE, table)
    sigma = step(0 * ONE, 0 * ONE, t, s, 1.0, ONE, table)
    left = step(0.8 * ONE, ONE, t, s, 1.0, 0 * ONE, table)  # x_t is noise alone, so the guess of x_0 is 0
    return {"x_s": x_s, "sigma": sigma, "left": left}


@question(35)
def _() -> Found:
    nats = kl_divergence(Normal(real(0), real(0.5).sqrt()), Normal(real(0), real(1)))
    before = torch.linspace(-20, 20, 80_001, dtype=torch.float64)  # x_{t−1}; its variance is 0.8 · 4 + 0.2
    step = Normal(0.9**0.5 * before, 0.1**0.5).log_prob(real(0.7))
    p = (step + Normal(0.0, 3.4**0.5).log_prob(before)).softmax(0)
    return {"nats": nats, "bits": nats / math.log(2), "exact": p @ before**2 - (p @ before) ** 2}


@question(36)
def _() -> Found:
    r = real(0.2, 0.8)
    guided = own("diffusion.guide")(0.4 * ONE, 0.1 * ONE, 2.0)
    return {"guided": guided, "after": r.mean() ** 2, "before": (r**2).mean()}


@question(37)
def _() -> Found:
    def velocity(x_t: float, t: float) -> torch.Tensor:
        x = real(-1, 1)
        z = (x_t - t * x) / (1 - t)
        weight = Normal(0.0, 1.0).log_prob(z).softmax(0)  # of each x, given x_t
        return (weight * (x - z)).sum()

    return {"a": velocity(0.3, 0.0), "b": velocity(0.0, 0.5), "c": velocity(0.5, 0.5)}


@question(40)
def _() -> Found:
    def share(extreme: int) -> torch.Tensor:
        told = iter([1.0] + [2.0] * extreme + [0.0] * (199 - extreme))
        orders = torch.arange(2).expand(199, 2)
        return own("one_truth.p_value")(ONE, ONE, orders, lambda a, b: real(next(told))[0])

    return {"p_value": share(7), "smallest": share(0)}
