"""Lab 6: continuous time. The score, a step of Heun's, the density along the ODE, and straight paths."""
# ruff: noqa: F811, RUF059  (every answer has the name that the lab gives it, and is written as students write)
# pyright: reportRedeclaration=false, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false

import itertools
import math

import torch
from torch.nn import functional as F  # noqa: N812

from . import right, wrong


def spread(values, like):
    return values.reshape(-1, *[1] * (like.dim() - 1))


# --- score: wrong ---------------------------------------------------------------------------------------------------

DIVISORS = {
    "not_rooted": lambda a: 1 - a,
    "signal_for_noise": lambda a: a**0.5,
    "signal_not_rooted": lambda a: a,
    "along_the_noise": lambda a: -torch.sqrt(1 - a),
    "along_and_not_rooted": lambda a: -(1 - a),
    "multiplied": lambda a: 1 / torch.sqrt(1 - a),
    "noise_level_ignored": lambda a: torch.ones_like(a),
    "one_minus_root": lambda a: 1 - torch.sqrt(a),
    "rooted_twice": lambda a: torch.sqrt(1 - torch.sqrt(a)),
    "in_other_units": lambda a: torch.sqrt(1 / a - 1),
    "signal_in_the_divisor": lambda a: torch.sqrt(a) * torch.sqrt(1 - a),
    "plus_for_minus": lambda a: torch.sqrt(1 + a),
    "halved": lambda a: 2 * torch.sqrt(1 - a),
    "divided_twice": lambda a: (1 - a) * torch.sqrt(1 - a),
}


def divided(mistake, by):
    @wrong("continuous.score", mistake)
    def score(eps_hat, t, alpha_bar):
        return -eps_hat / spread(by(alpha_bar[t]), eps_hat)


for mistake, by in DIVISORS.items():
    divided(mistake, by)


@wrong("continuous.score", "one_step_early")
def score(eps_hat, t, alpha_bar):
    noise = (1 - alpha_bar[t - 1]) ** 0.5
    return -eps_hat / spread(noise, eps_hat)


@wrong("continuous.score", "one_step_early")  # a table without its entry 0, read from the end it has
def score(eps_hat, t, alpha_bar):
    table = torch.cat([alpha_bar[:1], alpha_bar[:-1]])
    return -eps_hat / spread((1 - table[t]).sqrt(), eps_hat)


@wrong("continuous.score", "one_step_late")
def score(eps_hat, t, alpha_bar):
    noise = (1 - alpha_bar[1:].index_select(0, t.clamp(max=len(alpha_bar) - 2))) ** 0.5
    return -eps_hat / spread(noise, eps_hat)


@wrong("continuous.score", "along_the_last_axis")
def score(eps_hat, t, alpha_bar):
    return -eps_hat / torch.sqrt(1 - alpha_bar[t])


@wrong("continuous.score", "one_step_for_all")
def score(eps_hat, t, alpha_bar):
    return -eps_hat / torch.sqrt(1 - alpha_bar[t[0]])


@wrong("continuous.score", "of_one_step")
def score(eps_hat, t, alpha_bar):
    beta = 1 - alpha_bar[t] / alpha_bar[t - 1]
    return -eps_hat / spread(beta.sqrt(), eps_hat)


@wrong("continuous.score", "in_place")
def score(eps_hat, t, alpha_bar):
    eps_hat /= -spread((1 - alpha_bar[t]).sqrt(), eps_hat)
    return eps_hat


@wrong("continuous.score", "none")
def score(eps_hat, t, alpha_bar):
    result = -eps_hat / spread((1 - alpha_bar[t]).sqrt(), eps_hat)  # noqa: F841


@wrong("continuous.score", "along_another_axis")
def score(eps_hat, t, alpha_bar):
    return -eps_hat / torch.sqrt(1 - alpha_bar[t])[:, None]


@wrong("continuous.score", "multiplied_again")
def score(eps_hat, t, alpha_bar):
    return -eps_hat / spread(torch.sqrt(1 - torch.cumprod(alpha_bar, 0))[t], eps_hat)


@wrong("continuous.score", "read_from_the_end")
def score(eps_hat, t, alpha_bar):
    return -eps_hat / spread(torch.sqrt(1 - alpha_bar[len(alpha_bar) - 1 - t]), eps_hat)


@wrong("continuous.score", "slip")
def score(eps_hat, t, alpha_bar):
    return -eps_hat / spread(torch.sqrt(1 - alpha_bar[t] ** 2), eps_hat)


@wrong("continuous.score", "ignores_t_alpha_bar")
def score(eps_hat, t, alpha_bar):
    return -eps_hat / spread(eps_hat.flatten(1).norm(dim=1), eps_hat)


# --- score: right ---------------------------------------------------------------------------------------------------


@right("continuous.score")
def score(eps_hat, t, alpha_bar):
    return torch.stack([-e / math.sqrt(1 - float(alpha_bar[s])) for e, s in zip(eps_hat, t, strict=True)])


@right("continuous.score")
def score(eps_hat, t, alpha_bar):
    return torch.einsum("b...,b->b...", -eps_hat, torch.rsqrt(1 - alpha_bar[t]))


@right("continuous.score")
def score(eps_hat, t, alpha_bar):
    flat = eps_hat.reshape(len(eps_hat), -1)
    out = flat.clone()
    out /= -(1 - alpha_bar[t])[:, None].sqrt()
    return out.reshape(eps_hat.shape)


@right("continuous.score")
def score(eps_hat, t, alpha_bar):
    sigma = (1 - alpha_bar.double()).pow(0.5)[t]
    while sigma.dim() < eps_hat.dim():
        sigma = sigma.unsqueeze(-1)
    return eps_hat.double().neg() / sigma


# --- heun_step: wrong -----------------------------------------------------------------------------------------------


@wrong("continuous.heun_step", "euler")
def heun_step(v, x, phi, h):
    return x + v(x, phi) * h


@wrong("continuous.heun_step", "euler")  # the second slope is computed, and forgotten
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    k2 = v(x + h * k1, phi + h)
    return x + h * (k1 + k1) / 2 + 0 * k2


@wrong("continuous.heun_step", "midpoint")
def heun_step(v, x, phi, h):
    half = x + v(x, phi) * h / 2
    return x + v(half, phi + h / 2) * h


@wrong("continuous.heun_step", "far_end_only")
def heun_step(v, x, phi, h):
    x_new = x + h * v(x, phi)
    return x + h * v(x_new, phi + h)


@wrong("continuous.heun_step", "at_the_old_x")
def heun_step(v, x, phi, h):
    k1, k2 = v(x, phi), v(x, phi + h)
    return x + h * (k1 + k2) / 2


@wrong("continuous.heun_step", "at_the_old_angle")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    k2 = v(x + h * k1, phi)
    return x + h * (k1 + k2) / 2


@wrong("continuous.heun_step", "summed")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    k2 = v(x + h * k1, phi + h)
    return x + h * k1 + h * k2


@wrong("continuous.heun_step", "backwards")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    k2 = v(x + h * k1, phi + h)
    return x - h * (k1 + k2) / 2


@wrong("continuous.heun_step", "the_other_way")  # "towards the data", once more
def heun_step(v, x, phi, h):
    h = -h
    k1 = v(x, phi)
    k2 = v(x + h * k1, phi + h)
    return x + h * (k1 + k2) / 2


@wrong("continuous.heun_step", "x_the_other_way")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    return x + h * (k1 + v(x - h * k1, phi + h)) / 2


@wrong("continuous.heun_step", "phi_the_other_way")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    return x + h * (k1 + v(x + h * k1, phi - h)) / 2


@wrong("continuous.heun_step", "looks_back")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    return x + h * (k1 + v(x - h * k1, phi - h)) / 2


@wrong("continuous.heun_step", "half_way_and_averaged")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    k2 = v(x + h / 2 * k1, phi + h / 2)
    return x + h * (k1 + k2) / 2


@wrong("continuous.heun_step", "x_half_way")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    return x + h * (k1 + v(x + h * k1 / 2, phi + h)) / 2


@wrong("continuous.heun_step", "phi_half_way")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    return x + h * (k1 + v(x + h * k1, phi + h / 2)) / 2


@wrong("continuous.heun_step", "change_alone")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    return h * (k1 + v(x + h * k1, phi + h)) / 2


@wrong("continuous.heun_step", "slope_alone")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    return torch.stack([k1, v(x + h * k1, phi + h)]).mean(0)


@wrong("continuous.heun_step", "width_forgotten")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    return x + (k1 + v(x + h * k1, phi + h)) / 2


@wrong("continuous.heun_step", "width_forgotten_first")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    return x + h * (k1 + v(x + k1, phi + h)) / 2


@wrong("continuous.heun_step", "at_the_angle_h")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    return x + h * (k1 + v(x + h * k1, h)) / 2


@wrong("continuous.heun_step", "from_where_euler_ends")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    x = x + h * k1
    k2 = v(x, phi + h)
    return x + h * (k1 + k2) / 2


@wrong("continuous.heun_step", "summed")  # two whole steps
def heun_step(v, x, phi, h):
    x = x + h * v(x, phi)
    return x + h * v(x, phi + h)


@wrong("continuous.heun_step", "half_way_and_averaged")  # two half steps
def heun_step(v, x, phi, h):
    for k in range(2):
        x = x + h / 2 * v(x, phi + k * h / 2)
    return x


@wrong("continuous.heun_step", "half_of_euler")  # the mean of x and of where Euler's step ends
def heun_step(v, x, phi, h):
    return (x + (x + h * v(x, phi))) / 2


@wrong("continuous.heun_step", "halved_twice")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    mean = 0.5 * (k1 + v(x + h * k1, phi + h))
    return x + 0.5 * h * mean


@wrong("continuous.heun_step", "second_halved")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    return x + h * (k1 + v(x + h * k1, phi + h) / 2)


@wrong("continuous.heun_step", "subtracted")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    return x + h * (v(x + h * k1, phi + h) - k1) / 2


@wrong("continuous.heun_step", "rotated")
def heun_step(v, x, phi, h):
    return x * math.cos(h) + v(x, phi) * math.sin(h)


@wrong("continuous.heun_step", "asks_too_often")
def heun_step(v, x, phi, h):
    return x + h / 2 * (v(x, phi) + v(x + h * v(x, phi), phi + h))


@wrong("continuous.heun_step", "in_place")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    k2 = v(x + h * k1, phi + h)
    x += h * (k1 + k2) / 2
    return x


@wrong("continuous.heun_step", "error")  # x and phi in another order
def heun_step(v, x, phi, h):
    k1 = v(phi, x)
    return x + h * (k1 + v(phi + h, x + h * k1)) / 2


@wrong("continuous.heun_step", "points_averaged")
def heun_step(v, x, phi, h):
    there = x + h * v(x, phi)
    return x + h * v((x + there) / 2, phi + h)


@wrong("continuous.heun_step", "corrected_twice")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    there = x + h * k1
    for _ in range(2):
        there = x + h * (k1 + v(there, phi + h)) / 2
    return there


@wrong("continuous.heun_step", "four_slopes")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    k2 = v(x + h * k1 / 2, phi + h / 2)
    k3 = v(x + h * k2 / 2, phi + h / 2)
    k4 = v(x + h * k3, phi + h)
    return x + h * (k1 + 2 * k2 + 2 * k3 + k4) / 6


@wrong("continuous.heun_step", "width_for_the_first")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    k2 = v(x + h * k1, phi + h)
    return x + h * k1 + k2 / 2


@wrong("continuous.heun_step", "width_for_the_second")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    k2 = v(x + h * k1, phi + h)
    return x + k1 + k2 * h / 2


@wrong("continuous.heun_step", "the_other_way")  # the size of h is "the width"
def heun_step(v, x, phi, h):
    h = abs(h)
    k1 = v(x, phi)
    return x + h * (k1 + v(x + h * k1, phi + h)) / 2


@wrong("continuous.heun_step", "second_halved")  # two points averaged
def heun_step(v, x, phi, h):
    one = x + h * v(x, phi)
    two = one + h * v(one, phi + h)
    return (one + two) / 2


@wrong("continuous.heun_step", "both_at_the_far_angle")
def heun_step(v, x, phi, h):
    phi = phi + h
    k1 = v(x, phi)
    return x + h * (k1 + v(x + h * k1, phi)) / 2


@wrong("continuous.heun_step", "angles_exchanged")
def heun_step(v, x, phi, h):
    k1 = v(x, phi + h)
    return x + h * (k1 + v(x + h * k1, phi)) / 2


@wrong("continuous.heun_step", "first_halved")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    return x + h / 2 * k1 + v(x + h * k1, phi + h)


@wrong("continuous.heun_step", "unforeseen")  # the slopes extrapolated, as a method that remembers would
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    return x + h * (1.5 * v(x + h * k1, phi + h) - 0.5 * k1)


# --- heun_step: right -----------------------------------------------------------------------------------------------


@right("continuous.heun_step")
def heun_step(v, x, phi, h):
    k1 = v(x, phi)
    k2 = v(torch.add(x, k1, alpha=h), phi + h)
    return torch.lerp(x + h * k1, x + h * k2, 0.5)


@right("continuous.heun_step")
def heun_step(v, x, phi, h):
    x, slopes = x.clone(), [v(x, phi)]
    slopes.append(v(x + h * slopes[0], phi + h))
    for slope in slopes:
        x += h * slope / 2
    return x


@right("continuous.heun_step")
def heun_step(v, x, phi, h):
    predicted = x + h * (before := v(x, phi))  # Euler, then corrected
    return predicted + 0.5 * h * (v(predicted, phi + h) - before)


@right("continuous.heun_step")
def heun_step(v, x, phi, h):
    angles = x.new_tensor([phi, phi + h])
    k1 = v(x, angles[0])
    return (x + (angles[1] - angles[0]) * torch.stack([k1, v(x + h * k1, angles[1])]).mean(0)).double()


# --- ode_log_prob: wrong --------------------------------------------------------------------------------------------


def heun(v, x, phi, h):
    k1 = v(x, phi)
    return x + h * (k1 + v(x + h * k1, phi + h)) / 2


def euler(v, x, phi, h):
    return x + h * v(x, phi)


def normal(x):
    return -(x**2) / 2 - math.log(2 * math.pi) / 2


def over_entries(values):
    return values.reshape(len(values), -1).sum(-1)


def mean_of_both(divergence, x, there, a, b):
    return (b - a) * (divergence(x, a) + divergence(there, b)) / 2


def path(v, divergence, x, phis, step=heun, part=mean_of_both):
    """x at the end, and the sum of what each step brings."""
    total = 0.0
    for a, b in itertools.pairwise(phis.tolist()):
        there = step(v, x, a, b - a)
        total = total + part(divergence, x, there, a, b)
        x = there
    return x, total


def ended(mistake, end):
    @wrong("continuous.ode_log_prob", mistake)
    def ode_log_prob(v, divergence, x_0, phis):
        x, total = path(v, divergence, x_0, phis)
        return end(x, total)


ENDS = {
    "divergence_subtracted": lambda x, total: over_entries(normal(x)) - total,
    "divergence_left_out": lambda x, total: over_entries(normal(x)),
    "base_left_out": lambda x, total: total,
    "no_constant": lambda x, total: total - over_entries(x**2) / 2,
    "constant_once": lambda x, total: total - over_entries(x**2) / 2 - math.log(2 * math.pi) / 2,
    "constant_not_halved": lambda x, total: total + over_entries(-(x**2) / 2 - math.log(2 * math.pi)),
    "constant_added": lambda x, total: total + over_entries(-(x**2) / 2 + math.log(2 * math.pi) / 2),
    "square_not_halved": lambda x, total: total + over_entries(-(x**2) - math.log(2 * math.pi) / 2),
    "base_turned": lambda x, total: total - over_entries(normal(x)),
    "all_turned": lambda x, total: -total - over_entries(normal(x)),
    "base_averaged": lambda x, total: normal(x).flatten(1).mean(1) + total,
    "base_not_summed": lambda x, total: normal(x) + spread(total, x),
    "base_of_the_batch": lambda x, total: normal(x).sum() + total,
    "one_for_all": lambda x, total: normal(x).sum() + total.sum(),
    "last_axis_only": lambda x, total: normal(x).sum(-1) + spread(total, x[..., 0]),
    "density": lambda x, total: torch.exp(over_entries(normal(x)) + total),
    "in_bits": lambda x, total: (over_entries(normal(x)) + total) / math.log(2),
    "divergences_summed": lambda x, total: over_entries(normal(x)) + 2 * total,
    "halved_twice": lambda x, total: over_entries(normal(x)) + 0.5 * total,
    "divergence_averaged": lambda x, total: over_entries(normal(x)) + total / x[0].numel(),
    "divergence_of_the_batch": lambda x, total: over_entries(normal(x)) + total.sum(),
    "divergence_mean_of_the_batch": lambda x, total: over_entries(normal(x)) + total.mean(),
    "mean_of_the_batch": lambda x, total: (over_entries(normal(x)) + total).mean(),
    "dimension_of_one_axis": lambda x, total: (
        total - over_entries(x**2) / 2 - x.shape[1] / 2 * math.log(2 * math.pi)
        if x.dim() > 2
        else over_entries(normal(x)) + total
    ),
    "constant_without_brackets": lambda x, total: total - over_entries(x**2 + math.log(2) * math.pi) / 2,
    "length_not_squared": lambda x, total: (
        total - over_entries(x**2).sqrt() / 2 - x[0].numel() / 2 * math.log(2 * math.pi)
    ),
    "divergence_times_dimension": lambda x, total: over_entries(normal(x)) + total * math.prod(x.shape[1:]),
}
for mistake, end in ENDS.items():
    ended(mistake, end)


def stepped(mistake, part=mean_of_both, step=heun):
    @wrong("continuous.ode_log_prob", mistake)
    def ode_log_prob(v, divergence, x_0, phis):
        x, total = path(v, divergence, x_0, phis, step, part)
        return over_entries(normal(x)) + total


PARTS = {
    "widths_left_out": lambda d, x, there, a, b: (d(x, a) + d(there, b)) / 2,
    "at_the_start": lambda d, x, there, a, b: (b - a) * d(x, a),
    "at_the_end": lambda d, x, there, a, b: (b - a) * d(there, b),
    "both_at_the_old_x": lambda d, x, there, a, b: (b - a) * (d(x, a) + d(x, b)) / 2,
    "both_at_the_new_x": lambda d, x, there, a, b: (b - a) * (d(there, a) + d(there, b)) / 2,
    "both_at_the_old_angle": lambda d, x, there, a, b: (b - a) * (d(x, a) + d(there, a)) / 2,
    "new_x_old_angle": lambda d, x, there, a, b: (b - a) * d(there, a),
    "in_the_middle": lambda d, x, there, a, b: (b - a) * d((x + there) / 2, (a + b) / 2),
}
for mistake, part in PARTS.items():
    stepped(mistake, part)
stepped("euler_for_x", step=euler)
stepped("euler_for_both", PARTS["at_the_start"], euler)
stepped("midpoint_for_x", step=lambda v, x, a, h: x + h * v(x + h / 2 * v(x, a), a + h / 2))
stepped("against_v", step=lambda v, x, a, h: x - (heun(v, x, a, h) - x))


@wrong("continuous.ode_log_prob", "base_at_the_data")
def ode_log_prob(v, divergence, x_0, phis):
    x, total = path(v, divergence, x_0, phis)
    return over_entries(normal(x_0)) + total


@wrong("continuous.ode_log_prob", "x_never_moves")
def ode_log_prob(v, divergence, x_0, phis):
    x, total = x_0, torch.zeros_like(x_0[:, 0].reshape(len(x_0), -1)[:, 0])
    for a, b in itertools.pairwise(phis.tolist()):
        total = total + (b - a) * (divergence(x, a) + divergence(x, b)) / 2
    return over_entries(normal(x)) + total


@wrong("continuous.ode_log_prob", "divergence_at_the_data")
def ode_log_prob(v, divergence, x_0, phis):
    x, total = x_0, 0
    for a, b in itertools.pairwise(phis.tolist()):
        total = total + (b - a) * (divergence(x_0, a) + divergence(x_0, b)) / 2
        x = heun(v, x, a, b - a)
    return over_entries(normal(x)) + total


@wrong("continuous.ode_log_prob", "the_other_way")
def ode_log_prob(v, divergence, x_0, phis):
    x, total = x_0, 0
    for k in range(len(phis) - 1, 0, -1):
        a, b = float(phis[k]), float(phis[k - 1])
        there = heun(v, x, a, b - a)
        total = total + (b - a) * (divergence(x, a) + divergence(there, b)) / 2
        x = there
    return over_entries(normal(x)) + total


@wrong("continuous.ode_log_prob", "last_step_missing")
def ode_log_prob(v, divergence, x_0, phis):
    x, total = x_0, 0
    for k in range(len(phis) - 2):
        a, b = float(phis[k]), float(phis[k + 1])
        there = heun(v, x, a, b - a)
        total = total + (b - a) * (divergence(x, a) + divergence(there, b)) / 2
        x = there
    return over_entries(normal(x)) + total


@wrong("continuous.ode_log_prob", "first_step_missing")
def ode_log_prob(v, divergence, x_0, phis):
    x, total = x_0, 0
    for k in range(1, len(phis) - 1):
        a, b = float(phis[k]), float(phis[k + 1])
        there = heun(v, x, a, b - a)
        total = total + (b - a) * (divergence(x, a) + divergence(there, b)) / 2
        x = there
    return over_entries(normal(x)) + total


@wrong("continuous.ode_log_prob", "even_widths")
def ode_log_prob(v, divergence, x_0, phis):
    h = phis[1] - phis[0]
    x, total = x_0, 0
    for a, b in itertools.pairwise(phis):
        there = heun(v, x, a, h)
        total = total + h * (divergence(x, a) + divergence(there, b)) / 2
        x = there
    return over_entries(normal(x)) + total


@wrong("continuous.ode_log_prob", "last_divergence_only")
def ode_log_prob(v, divergence, x_0, phis):
    x = x_0
    for a, b in itertools.pairwise(phis.tolist()):
        total = 0
        there = heun(v, x, a, b - a)
        total += (b - a) * (divergence(x, a) + divergence(there, b)) / 2
        x = there
    return over_entries(normal(x)) + total


@wrong("continuous.ode_log_prob", "one_step_only")
def ode_log_prob(v, divergence, x_0, phis):
    x, total = x_0, 0
    for a, b in itertools.pairwise(phis.tolist()):
        there = heun(v, x, a, b - a)
        total = total + (b - a) * (divergence(x, a) + divergence(there, b)) / 2
        x = there
        return over_entries(normal(x)) + total


@wrong("continuous.ode_log_prob", "base_in_every_step")
def ode_log_prob(v, divergence, x_0, phis):
    x, total = x_0, 0
    for a, b in itertools.pairwise(phis.tolist()):
        there = heun(v, x, a, b - a)
        total = total + (b - a) * (divergence(x, a) + divergence(there, b)) / 2
        x = there
        total = total + over_entries(normal(x))
    return total


@wrong("continuous.ode_log_prob", "error")  # all angles at once
def ode_log_prob(v, divergence, x_0, phis):
    return over_entries(normal(v(x_0, phis))) + divergence(x_0, phis)


@wrong("continuous.ode_log_prob", "average_width")
def ode_log_prob(v, divergence, x_0, phis):
    h = (phis[-1] - phis[0]) / (len(phis) - 1)
    x, total = path(v, divergence, x_0, phis, part=lambda d, x, there, a, b: h * (d(x, a) + d(there, b)) / 2)
    return over_entries(normal(x)) + total


@wrong("continuous.ode_log_prob", "told_the_number")
def ode_log_prob(v, divergence, x_0, phis):
    x, total = x_0, 0
    for k in range(len(phis) - 1):
        h = phis[k + 1] - phis[k]
        there = heun(v, x, k, h)
        total = total + h * (divergence(x, k) + divergence(there, k + 1)) / 2
        x = there
    return over_entries(normal(x)) + total


@wrong("continuous.ode_log_prob", "velocity_for_divergence")
def ode_log_prob(v, divergence, x_0, phis):
    x, total = path(v, lambda x, phi: over_entries(v(x, phi)), x_0, phis)
    return over_entries(normal(x)) + total


@wrong("continuous.ode_log_prob", "logarithm_of_the_step")
def ode_log_prob(v, divergence, x_0, phis):
    part = lambda d, x, there, a, b: torch.log1p(mean_of_both(d, x, there, a, b))  # noqa: E731
    x, total = path(v, divergence, x_0, phis, part=part)
    return over_entries(normal(x)) + total


@wrong("continuous.ode_log_prob", "base_of_both_ends")
def ode_log_prob(v, divergence, x_0, phis):
    x, total = path(v, divergence, x_0, phis)
    return over_entries(normal(x) - normal(x_0)) + total


@wrong("continuous.ode_log_prob", "unforeseen")  # the way begins at 0
def ode_log_prob(v, divergence, x_0, phis):
    x, total = path(v, divergence, x_0, torch.cat([0 * phis[:1], phis]))
    return over_entries(normal(x)) + total


# --- ode_log_prob: right --------------------------------------------------------------------------------------------


@right("continuous.ode_log_prob")
def ode_log_prob(v, divergence, x_0, phis):
    x, total = x_0, 0
    for a, b in itertools.pairwise(phis.tolist()):
        there = heun(v, x, a, b - a)
        total = total + torch.stack([divergence(x, a), divergence(there, b)]).mean(0) * (b - a)
        x = there
    return total + torch.distributions.Normal(0.0, 1.0).log_prob(x).flatten(1).sum(1)


@right("continuous.ode_log_prob")  # all divergences first, then the trapezoid rule for all of them
def ode_log_prob(v, divergence, x_0, phis):
    points, angles = [x_0.double()], phis.double().tolist()
    for a, b in itertools.pairwise(angles):
        points.append(heun(v, points[-1], a, b - a))
    rates = torch.stack([divergence(x, a) for x, a in zip(points, angles, strict=True)])
    x = points[-1].flatten(1)
    constant = x.shape[1] / 2 * math.log(2 * math.pi)
    return torch.trapezoid(rates, phis.double(), dim=0) - torch.einsum("bi,bi->b", x, x) / 2 - constant


@right("continuous.ode_log_prob")  # x and log p as one state, as genlib takes them
def ode_log_prob(v, divergence, x_0, phis):
    x, total = x_0.clone(), x_0.new_zeros(len(x_0))
    for a, b in zip(phis, phis[1:]):  # noqa: B905, RUF007
        h = b - a
        k1, d1 = v(x, a), divergence(x, a)
        k2, d2 = v(x + h * k1, b), divergence(x + h * k1, b)
        x += h / 2 * (k1 + k2)
        total += h / 2 * (d1 + d2)
    return total + over_entries(normal(x))


@right("continuous.ode_log_prob")  # one example after the other
def ode_log_prob(v, divergence, x_0, phis):
    found = []
    for b in range(len(x_0)):
        x, total = path(v, divergence, x_0[b : b + 1], phis)
        found.append(over_entries(normal(x)) + total)
    return torch.cat(found)


# --- flow_matching_loss: wrong --------------------------------------------------------------------------------------


def mixed(x_0, eps, s):
    return torch.lerp(x_0, eps, s.expand_as(x_0))


def built(mistake, shown=mixed, target=lambda x_0, eps, s: x_0 - eps, end=lambda error: error.pow(2).mean()):
    @wrong("continuous.flow_matching_loss", mistake)
    def flow_matching_loss(net, x_0, eps, s):
        wide = spread(s, x_0)
        return end(net(shown(x_0, eps, wide), s) - target(x_0, eps, wide))


TARGETS = {
    "target_turned": lambda x_0, eps, s: eps - x_0,
    "target_is_the_noise": lambda x_0, eps, s: eps,
    "target_is_the_data": lambda x_0, eps, s: x_0,
    "target_is_the_place": mixed,
    "target_is_what_is_left": lambda x_0, eps, s: s * (x_0 - eps),
    "target_is_what_is_done": lambda x_0, eps, s: (1 - s) * (x_0 - eps),
    "target_to_the_noise": lambda x_0, eps, s: (1 - s) * (eps - x_0),
    "target_added": lambda x_0, eps, s: x_0 + eps,
    "target_of_the_circle": lambda x_0, eps, s: (1 - s) * eps - s * x_0,
    "target_weighted": lambda x_0, eps, s: (1 - s) * x_0 - s * eps,
}
SHOWN = {
    "ends_exchanged": lambda x_0, eps, s: mixed(eps, x_0, s),
    "shown_the_data": lambda x_0, eps, s: x_0,
    "shown_the_noise": lambda x_0, eps, s: eps,
    "rooted_factors": lambda x_0, eps, s: torch.sqrt(1 - s) * x_0 + torch.sqrt(s) * eps,
    "on_the_circle": lambda x_0, eps, s: torch.cos(s * math.pi / 2) * x_0 + torch.sin(s * math.pi / 2) * eps,
    "squares_add_up": lambda x_0, eps, s: torch.sqrt(1 - s**2) * x_0 + s * eps,
    "data_not_scaled": lambda x_0, eps, s: x_0 + s * eps,
    "noise_not_scaled": lambda x_0, eps, s: (1 - s) * x_0 + eps,
    "away_from_the_noise": lambda x_0, eps, s: x_0 + s * (x_0 - eps),
}
LOSSES = {
    "summed": lambda error: error.pow(2).sum(),
    "summed_over_entries": lambda error: error.pow(2).flatten(1).sum(1).mean(),
    "summed_over_batch": lambda error: error.pow(2).sum(0).mean(),
    "for_each_example": lambda error: error.pow(2).flatten(1).mean(1),
    "for_each_entry": lambda error: error.pow(2),
    "not_squared": lambda error: error.mean(),
    "absolute": lambda error: error.abs().mean(),
    "rooted": lambda error: error.pow(2).mean().sqrt(),
    "halved": lambda error: 0.5 * error.pow(2).mean(),
    "squared_too_late": lambda error: error.mean().pow(2),
    "length": lambda error: error.norm(),
    "lengths_averaged": lambda error: error.flatten(1).norm(dim=1).mean(),
    "huber": lambda error: F.smooth_l1_loss(error, 0 * error),
    "summed_over_the_last_axis": lambda error: error.pow(2).sum(-1).mean(),
    "variance_of_errors": lambda error: error.var(),
    "variance_of_all": lambda error: error.pow(2).mean() - error.mean() ** 2,
    "detached": lambda error: error.detach().pow(2).mean(),
}
for mistake, target in TARGETS.items():
    built(mistake, target=target)
for mistake, shown in SHOWN.items():
    built(mistake, shown=shown)
for mistake, end in LOSSES.items():
    built(mistake, end=end)
built("x_0_and_eps_exchanged", SHOWN["ends_exchanged"], TARGETS["target_turned"])
built("detached", end=lambda error: torch.tensor(error.pow(2).mean().item(), dtype=error.dtype, requires_grad=True))


@wrong("continuous.flow_matching_loss", "told_the_other_time")
def flow_matching_loss(net, x_0, eps, s):
    return F.mse_loss(net(mixed(x_0, eps, spread(s, x_0)), 1 - s), x_0 - eps)


@wrong("continuous.flow_matching_loss", "one_time_for_all")
def flow_matching_loss(net, x_0, eps, s):
    t = s[0]
    return F.mse_loss(net((1 - t) * x_0 + t * eps, t.expand(len(x_0))), x_0 - eps)


@wrong("continuous.flow_matching_loss", "one_time_in_x_s")
def flow_matching_loss(net, x_0, eps, s):
    t = s[0].item()
    return F.mse_loss(net((1 - t) * x_0 + t * eps, s), x_0 - eps)


@wrong("continuous.flow_matching_loss", "the_mean_time")
def flow_matching_loss(net, x_0, eps, s):
    t = s.mean()
    return F.mse_loss(net((1 - t) * x_0 + t * eps, s), x_0 - eps)


@wrong("continuous.flow_matching_loss", "along_the_last_axis")
def flow_matching_loss(net, x_0, eps, s):
    x_s = (1 - s) * x_0 + s * eps
    return F.mse_loss(net(x_s, s), x_0 - eps)


@wrong("continuous.flow_matching_loss", "net_not_asked")
def flow_matching_loss(net, x_0, eps, s):
    s = spread(s, x_0)
    return F.mse_loss((1 - s) * x_0 + s * eps, x_0 - eps)


@wrong("continuous.flow_matching_loss", "error")  # the net is told s in the shape of x_s
def flow_matching_loss(net, x_0, eps, s):
    s = spread(s, x_0)
    return F.mse_loss(net((1 - s) * x_0 + s * eps, s), x_0 - eps)


@wrong("continuous.flow_matching_loss", "random")
def flow_matching_loss(net, x_0, eps, s):
    s = torch.rand_like(s)
    return F.mse_loss(net(mixed(x_0, eps, spread(s, x_0)), s), x_0 - eps)


@wrong("continuous.flow_matching_loss", "weighted_by_s")
def flow_matching_loss(net, x_0, eps, s):
    error = net(mixed(x_0, eps, spread(s, x_0)), s) - x_0 + eps
    return (error**2).flatten(1).mean(1) @ s / len(s)


@wrong("continuous.flow_matching_loss", "weighted_by_1_minus_s")
def flow_matching_loss(net, x_0, eps, s):
    error = net(mixed(x_0, eps, spread(s, x_0)), s) - x_0 + eps
    return (error**2).flatten(1).mean(1) @ (1 - s) / len(s)


@wrong("continuous.flow_matching_loss", "compared_at_the_data")
def flow_matching_loss(net, x_0, eps, s):
    wide = spread(s, x_0)
    x_s = mixed(x_0, eps, wide)
    return F.mse_loss(x_s + wide * net(x_s, s), x_0)


# --- flow_matching_loss: right --------------------------------------------------------------------------------------


@right("continuous.flow_matching_loss")
def flow_matching_loss(net, x_0, eps, s):
    wide = spread(s, x_0)
    return F.mse_loss(net(x_0 + wide * (eps - x_0), s), x_0 - eps)


@right("continuous.flow_matching_loss")
def flow_matching_loss(net, x_0, eps, s):
    x_s = torch.stack([(1 - t) * x + t * e for x, e, t in zip(x_0, eps, s, strict=True)])
    u = net(x_s, s)
    total = 0
    for b in range(len(x_0)):
        total = total + ((u[b] - (x_0[b] - eps[b])) ** 2).mean() / len(x_0)
    return total


@right("continuous.flow_matching_loss")
def flow_matching_loss(net, x_0, eps, s):
    x_s = torch.einsum("b...,b->b...", x_0, 1 - s) + torch.einsum("b...,b->b...", eps, s)
    error = (net(x_s, s) + eps - x_0).flatten()
    return error @ error / error.numel()


@right("continuous.flow_matching_loss")
def flow_matching_loss(net, x_0, eps, s):
    x_s = mixed(x_0, eps, spread(s, x_0)).clone()
    x_s += 0
    return (net(x_s, s).double() - (x_0 - eps).double()).square().mean()
