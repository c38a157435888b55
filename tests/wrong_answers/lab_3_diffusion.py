"""Lab 3: diffusion models."""
# ruff: noqa: F811  (every answer has the name that the lab gives it)
# pyright: reportRedeclaration=false

import itertools
import math

import numpy as np
import torch

from . import lab_3_more, right, wrong

__all__ = ["lab_3_more"]

# what other cells of the notebook hold
T = 200
noisy = torch.linspace(1, 0, T + 1, dtype=torch.float64)  # a table of ᾱ

# --- alpha_bar: wrong -----------------------------------------------------------------------------------------------


@wrong("diffusion.alpha_bar", "no_step_0")
def alpha_bar(beta):
    return torch.cumprod(1 - beta, 0)


@wrong("diffusion.alpha_bar", "no_last_step")
def alpha_bar(beta):
    table = torch.ones_like(beta)
    for t in range(1, len(beta)):
        table[t] = table[t - 1] * (1 - beta[t - 1])
    return table


@wrong("diffusion.alpha_bar", "beta_for_alpha")
def alpha_bar(beta):
    return torch.cat([torch.ones_like(beta[:1]), torch.cumprod(beta, 0)])


@wrong("diffusion.alpha_bar", "sum_for_product")
def alpha_bar(beta):
    return 1 - torch.cumsum(torch.cat([torch.zeros_like(beta[:1]), beta]), 0)


@wrong("diffusion.alpha_bar", "continuous_time")
def alpha_bar(beta):
    return torch.exp(-torch.cumsum(torch.cat([torch.zeros_like(beta[:1]), beta]), 0))


@wrong("diffusion.alpha_bar", "alpha_without_bar")
def alpha_bar(beta):
    return 1 - torch.cat([torch.zeros_like(beta[:1]), beta])


@wrong("diffusion.alpha_bar", "rooted")
def alpha_bar(beta):
    return torch.cumprod(torch.cat([torch.ones_like(beta[:1]), torch.sqrt(1 - beta)]), 0)


@wrong("diffusion.alpha_bar", "noise_for_signal")
def alpha_bar(beta):
    return 1 - torch.cumprod(torch.cat([torch.ones_like(beta[:1]), 1 - beta]), 0)


@wrong("diffusion.alpha_bar", "whole_product")  # the product up to T, as the lecture's notes have it
def alpha_bar(beta):
    table = torch.full((len(beta) + 1,), float(torch.prod(1 - beta)), dtype=beta.dtype)
    table[0] = 1
    return table


@wrong("diffusion.alpha_bar", "from_the_end")
def alpha_bar(beta):
    products = [(1 - beta[t:]).prod() for t in range(len(beta))]
    return torch.stack([torch.ones_like(products[0]), *products])


@wrong("diffusion.alpha_bar", "beta_0_is_1")
def alpha_bar(beta):
    return torch.cumprod(1 - torch.cat([torch.ones_like(beta[:1]), beta]), 0)


@wrong("diffusion.alpha_bar", "one_at_the_end")
def alpha_bar(beta):
    return torch.cat([torch.cumprod(1 - beta, 0), torch.ones_like(beta[:1])])


@wrong("diffusion.alpha_bar", "none")
def alpha_bar(beta):
    torch.cumprod(1 - beta, 0)


@wrong("diffusion.alpha_bar", "type")
def alpha_bar(beta):
    return np.concatenate([[1.0], np.cumprod(1 - beta.numpy())])


@wrong("diffusion.alpha_bar", "dtype")
def alpha_bar(beta):
    table = torch.ones(len(beta) + 1)
    table[1:] = torch.cumprod(1 - beta, 0)
    return table


@wrong("diffusion.alpha_bar", "rough")
def alpha_bar(beta):
    return torch.cumprod(torch.cat([torch.ones(1), 1 - beta.float()]), 0).double()


@wrong("diffusion.alpha_bar", "in_place")
def alpha_bar(beta):
    alpha = beta.mul_(-1).add_(1)
    return torch.cat([torch.ones_like(beta[:1]), torch.cumprod(alpha, 0)])


@wrong("diffusion.alpha_bar", "error")  # right for T = 1000 alone
def alpha_bar(beta):
    table = torch.ones(1001, dtype=beta.dtype)
    for t in range(1, 1001):
        table[t] = table[t - 1] * (1 - beta[t - 1])
    return table


@wrong("diffusion.alpha_bar", "shape")  # a table of its own, whatever beta is
def alpha_bar(beta):
    return torch.cumprod(1 - torch.linspace(0, 0.02, 1001, dtype=beta.dtype), 0)


@wrong("diffusion.alpha_bar", "zero_first")
def alpha_bar(beta):
    return torch.cat([beta.new_zeros(1), (1 - beta).cumprod(0)])


@wrong("diffusion.alpha_bar", "alphas_added")
def alpha_bar(beta):
    return torch.cat([beta.new_ones(1), torch.cumsum(1 - beta, 0)])


@wrong("diffusion.alpha_bar", "beta_squared")
def alpha_bar(beta):
    return torch.cat([beta.new_ones(1), (1 - beta**2).cumprod(0)])


@wrong("diffusion.alpha_bar", "last_alone")
def alpha_bar(beta):
    left = beta.new_ones(())
    for b in beta:
        left = left * (1 - b)
    return left


@wrong("diffusion.alpha_bar", "foreign")  # the notebook's T
def alpha_bar(beta):
    table = beta.new_ones(T + 1)
    for t in range(1, T + 1):
        table[t] = table[t - 1] * (1 - beta[t - 1])
    return table


@wrong("diffusion.alpha_bar", "foreign")  # a table that is there already
def alpha_bar(beta):
    return noisy.to(beta)


@wrong("diffusion.alpha_bar", "error")  # a number among tensors
def alpha_bar(beta):
    return torch.cat([1, (1 - beta).cumprod(0)])  # pyright: ignore[reportArgumentType]


@wrong("diffusion.alpha_bar", "type")
def alpha_bar(beta):
    left = [beta.new_tensor(1.0)]
    for b in beta:
        left.append(left[-1] * (1 - b))
    return left


@wrong("diffusion.alpha_bar", "endless")  # writes to place t, and never adds one
def alpha_bar(beta):
    left, t = [1.0], 0
    while len(left) <= len(beta):
        left[t] = left[t] * (1 - beta[t])
    return torch.stack(left)  # pyright: ignore[reportArgumentType]


@wrong("diffusion.alpha_bar", "dtype")  # always float64
def alpha_bar(beta):
    factors = itertools.accumulate(beta.tolist(), lambda left, b: left * (1 - b), initial=1.0)
    return torch.tensor(list(factors), dtype=torch.float64)


# --- alpha_bar: right -----------------------------------------------------------------------------------------------


@right("diffusion.alpha_bar")
def alpha_bar(beta):
    table = [beta.new_ones(())]
    for b in beta:
        table.append(table[-1] * (1 - b))
    return torch.stack(table)


@right("diffusion.alpha_bar")
def alpha_bar(beta):
    return torch.exp(torch.nn.functional.pad(torch.log1p(-beta).cumsum(0), (1, 0)))


@right("diffusion.alpha_bar")
def alpha_bar(beta):
    return torch.from_numpy(np.concatenate([[1.0], np.cumprod(1 - beta.numpy())])).to(beta)


@right("diffusion.alpha_bar")
def alpha_bar(beta):
    factors = itertools.accumulate(beta.tolist(), lambda left, b: left * (1 - b), initial=1.0)
    return torch.tensor(list(factors), dtype=torch.float64).to(beta.dtype)


@right("diffusion.alpha_bar")
def alpha_bar(beta):
    T = len(beta)
    so_far = torch.ones(T + 1, T, dtype=torch.bool).tril(-1)
    return torch.where(so_far, 1 - beta, 1.0).prod(1)


# --- q_sample: wrong ------------------------------------------------------------------------------------------------


def per_example(values, like):
    return values.reshape(-1, *[1] * (like.ndim - 1))


@wrong("diffusion.q_sample", "not_rooted")
def q_sample(x_0, t, eps, alpha_bar):
    a = per_example(alpha_bar[t], x_0)
    return a * x_0 + (1 - a) * eps


@wrong("diffusion.q_sample", "signal_not_rooted")
def q_sample(x_0, t, eps, alpha_bar):
    a = per_example(alpha_bar[t], x_0)
    return a * x_0 + (1 - a).sqrt() * eps


@wrong("diffusion.q_sample", "noise_not_rooted")
def q_sample(x_0, t, eps, alpha_bar):
    a = per_example(alpha_bar[t], x_0)
    return a.sqrt() * x_0 + (1 - a) * eps


@wrong("diffusion.q_sample", "one_minus_root")
def q_sample(x_0, t, eps, alpha_bar):
    a = per_example(alpha_bar[t], x_0).sqrt()
    return a * x_0 + (1 - a) * eps


@wrong("diffusion.q_sample", "not_shrunk")
def q_sample(x_0, t, eps, alpha_bar):
    return x_0 + (1 - per_example(alpha_bar[t], x_0)).sqrt() * eps


@wrong("diffusion.q_sample", "swapped")
def q_sample(x_0, t, eps, alpha_bar):
    a = per_example(alpha_bar[t], x_0)
    return (1 - a).sqrt() * x_0 + a.sqrt() * eps


@wrong("diffusion.q_sample", "noise_subtracted")
def q_sample(x_0, t, eps, alpha_bar):
    a = per_example(alpha_bar[t], x_0)
    return a.sqrt() * x_0 - (1 - a).sqrt() * eps


@wrong("diffusion.q_sample", "one_step_early")
def q_sample(x_0, t, eps, alpha_bar):
    a = per_example(alpha_bar[t - 1], x_0)
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


@wrong("diffusion.q_sample", "one_step_late")
def q_sample(x_0, t, eps, alpha_bar):
    a = per_example(alpha_bar[(t + 1).clamp(max=len(alpha_bar) - 1)], x_0)
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


@wrong("diffusion.q_sample", "first_step_for_all")
def q_sample(x_0, t, eps, alpha_bar):
    a = alpha_bar[t[0]]
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


@wrong("diffusion.q_sample", "along_the_last_axis")
def q_sample(x_0, t, eps, alpha_bar):
    return alpha_bar[t].sqrt() * x_0 + (1 - alpha_bar[t]).sqrt() * eps


@wrong("diffusion.q_sample", "batch_summed")
def q_sample(x_0, t, eps, alpha_bar):
    a = alpha_bar[t]
    return torch.einsum("b,b...->...", a.sqrt(), x_0) + torch.einsum("b,b...->...", (1 - a).sqrt(), eps)


@wrong("diffusion.q_sample", "mixing")
def q_sample(x_0, t, eps, alpha_bar):
    a = per_example(alpha_bar[t], x_0)
    x_0 = x_0 - x_0.mean(0)
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


@wrong("diffusion.q_sample", "shape")  # right for images alone
def q_sample(x_0, t, eps, alpha_bar):
    a = alpha_bar[t].view(-1, 1, 1, 1)
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


@wrong("diffusion.q_sample", "random")
def q_sample(x_0, t, eps, alpha_bar):
    a = per_example(alpha_bar[t], x_0)
    return a.sqrt() * x_0 + (1 - a).sqrt() * torch.randn_like(x_0)


@wrong("diffusion.q_sample", "ignores_t")
def q_sample(x_0, t, eps, alpha_bar):
    return alpha_bar[-1].sqrt() * x_0 + (1 - alpha_bar[-1]).sqrt() * eps


@wrong("diffusion.q_sample", "no_noise")
def q_sample(x_0, t, eps, alpha_bar):
    return per_example(alpha_bar[t], x_0).sqrt() * x_0


@wrong("diffusion.q_sample", "in_place")
def q_sample(x_0, t, eps, alpha_bar):
    a = per_example(alpha_bar[t], x_0)
    x_0 *= a.sqrt()
    return x_0 + (1 - a).sqrt() * eps


@wrong("diffusion.q_sample", "type")
def q_sample(x_0, t, eps, alpha_bar):
    a = per_example(alpha_bar[t], x_0)
    return (a.sqrt() * x_0 + (1 - a).sqrt() * eps).numpy()


@wrong("diffusion.q_sample", "dtype")
def q_sample(x_0, t, eps, alpha_bar):
    a = per_example(alpha_bar[t], x_0)
    return (a.sqrt() * x_0 + (1 - a).sqrt() * eps).float()


@wrong("diffusion.q_sample", "slip")
def q_sample(x_0, t, eps, alpha_bar):
    a = per_example(alpha_bar[t], x_0)
    return a.sqrt() * x_0 + (a - 1).sqrt() * eps


@wrong("diffusion.q_sample", "error")  # (B, 1) meets (B, C, H, W) by accident, and (B, 3, 5, 2) no more
def q_sample(x_0, t, eps, alpha_bar):
    a = torch.diag(alpha_bar[t])
    return a.sqrt() @ x_0.reshape(3, -1) + (1 - a).sqrt() @ eps


@wrong("diffusion.q_sample", "signature")
def q_sample(x, t, noise, alpha_bar):
    a = per_example(alpha_bar[t], x)
    return a.sqrt() * x + (1 - a).sqrt() * noise


@wrong("diffusion.q_sample", "clamped")  # pixels lie in [−1, 1]
def q_sample(x_0, t, eps, alpha_bar):
    a = per_example(alpha_bar[t], x_0)
    return (a.sqrt() * x_0 + (1 - a).sqrt() * eps).clamp(-1, 1)


@wrong("diffusion.q_sample", "multiplied_again")
def q_sample(x_0, t, eps, alpha_bar):
    a = per_example(alpha_bar.cumprod(0)[t], x_0)
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


@wrong("diffusion.q_sample", "one_step_alone")
def q_sample(x_0, t, eps, alpha_bar):
    a = per_example(alpha_bar[t] / alpha_bar[t - 1], x_0)
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


@wrong("diffusion.q_sample", "noise_squared")
def q_sample(x_0, t, eps, alpha_bar):
    a = per_example(alpha_bar[t], x_0)
    return a.sqrt() * x_0 + (1 - a) ** 2 * eps


@wrong("diffusion.q_sample", "foreign")  # the notebook's table
def q_sample(x_0, t, eps, alpha_bar):
    a = per_example(noisy[t], x_0)
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


@wrong("diffusion.q_sample", "shape")  # the two parts, side by side
def q_sample(x_0, t, eps, alpha_bar):
    a = per_example(alpha_bar[t], x_0)
    return torch.stack([a.sqrt() * x_0, (1 - a).sqrt() * eps])


@wrong("diffusion.q_sample", "error")  # math, for one number
def q_sample(x_0, t, eps, alpha_bar):
    return math.sqrt(alpha_bar[t]) * x_0 + math.sqrt(1 - alpha_bar[t]) * eps


# --- q_sample: right ------------------------------------------------------------------------------------------------


@right("diffusion.q_sample")
def q_sample(x_0, t, eps, alpha_bar):
    a = alpha_bar[t]
    return torch.einsum("b,b...->b...", a.sqrt(), x_0) + torch.einsum("b,b...->b...", (1 - a).sqrt(), eps)


@right("diffusion.q_sample")
def q_sample(x_0, t, eps, alpha_bar):
    out = torch.empty_like(x_0)
    for i in range(len(x_0)):
        a = float(alpha_bar[t[i]])
        out[i] = math.sqrt(a) * x_0[i] + math.sqrt(1 - a) * eps[i]
    return out


@right("diffusion.q_sample")
def q_sample(x_0, t, eps, alpha_bar):
    a = alpha_bar[t]
    return (a.sqrt() * x_0.movedim(0, -1) + (1 - a).sqrt() * eps.movedim(0, -1)).movedim(-1, 0)


@right("diffusion.q_sample")
def q_sample(x_0, t, eps, alpha_bar):
    angle = torch.acos(alpha_bar.double()[t].sqrt())
    flat = torch.diag(angle.cos()) @ x_0.double().reshape(len(t), -1)
    return (flat + torch.diag(angle.sin()) @ eps.double().reshape(len(t), -1)).reshape(x_0.shape).to(x_0)


@right("diffusion.q_sample")
def q_sample(x_0, t, eps, alpha_bar):
    a = per_example(alpha_bar.numpy()[t.numpy()], x_0)
    return torch.from_numpy(np.sqrt(a) * x_0.numpy() + np.sqrt(1 - a) * eps.numpy())


@right("diffusion.q_sample")
def q_sample(x_0, t, eps, alpha_bar, check=False):
    one = torch.vmap(lambda x, a, e: a.sqrt() * x + (1 - a).sqrt() * e)
    return one(x_0, alpha_bar[t], eps).to(x_0.dtype)


# --- posterior: wrong -----------------------------------------------------------------------------------------------


def at(x_0, t, beta, alpha_bar):
    """β_t, α_t, ᾱ_t and ᾱ_{t−1}, shaped to multiply x_0."""
    b, now, before = (per_example(v, x_0) for v in (beta[t], alpha_bar[t], alpha_bar[t - 1]))
    return b, 1 - b, now, before


def mean_of(x_0, x_t, t, beta, alpha_bar):
    b, a, now, before = at(x_0, t, beta, alpha_bar)
    return (before.sqrt() * b * x_0 + a.sqrt() * (1 - before) * x_t) / (1 - now)


def var_of(x_0, t, beta, alpha_bar):
    b, _, now, before = at(x_0, t, beta, alpha_bar)
    return b * (1 - before) / (1 - now)


@wrong("diffusion.posterior", "swapped")
def posterior(x_0, x_t, t, beta, alpha_bar):
    b, a, now, before = at(x_0, t, beta, alpha_bar)
    mean = (before.sqrt() * b * x_t + a.sqrt() * (1 - before) * x_0) / (1 - now)
    return mean, b * (1 - before) / (1 - now)


@wrong("diffusion.posterior", "var_first")
def posterior(x_0, x_t, t, beta, alpha_bar):
    return var_of(x_0, t, beta, alpha_bar).expand(x_0.shape), mean_of(x_0, x_t, t, beta, alpha_bar)


@wrong("diffusion.posterior", "sign_turned")
def posterior(x_0, x_t, t, beta, alpha_bar):
    b, a, now, before = at(x_0, t, beta, alpha_bar)
    mean = (before.sqrt() * b * x_0 - a.sqrt() * (1 - before) * x_t) / (1 - now)
    return mean, b * (1 - before) / (1 - now)


@wrong("diffusion.posterior", "x_0_not_rooted")
def posterior(x_0, x_t, t, beta, alpha_bar):
    b, a, now, before = at(x_0, t, beta, alpha_bar)
    mean = (before * b * x_0 + a.sqrt() * (1 - before) * x_t) / (1 - now)
    return mean, b * (1 - before) / (1 - now)


@wrong("diffusion.posterior", "x_t_not_rooted")
def posterior(x_0, x_t, t, beta, alpha_bar):
    b, a, now, before = at(x_0, t, beta, alpha_bar)
    mean = (before.sqrt() * b * x_0 + a * (1 - before) * x_t) / (1 - now)
    return mean, b * (1 - before) / (1 - now)


@wrong("diffusion.posterior", "bar_for_alpha")
def posterior(x_0, x_t, t, beta, alpha_bar):
    b, _, now, before = at(x_0, t, beta, alpha_bar)
    mean = (before.sqrt() * b * x_0 + now.sqrt() * (1 - before) * x_t) / (1 - now)
    return mean, b * (1 - before) / (1 - now)


@wrong("diffusion.posterior", "x_0_one_step_late")
def posterior(x_0, x_t, t, beta, alpha_bar):
    b, a, now, before = at(x_0, t, beta, alpha_bar)
    mean = (now.sqrt() * b * x_0 + a.sqrt() * (1 - before) * x_t) / (1 - now)
    return mean, b * (1 - before) / (1 - now)


@wrong("diffusion.posterior", "not_normalised")
def posterior(x_0, x_t, t, beta, alpha_bar):
    b, a, now, before = at(x_0, t, beta, alpha_bar)
    return before.sqrt() * b * x_0 + a.sqrt() * (1 - before) * x_t, b * (1 - before) / (1 - now)


@wrong("diffusion.posterior", "one_step_early")
def posterior(x_0, x_t, t, beta, alpha_bar):
    return mean_of(x_0, x_t, t - 1, beta, alpha_bar), var_of(x_0, t - 1, beta, alpha_bar)


@wrong("diffusion.posterior", "beta_for_var")
def posterior(x_0, x_t, t, beta, alpha_bar):
    return mean_of(x_0, x_t, t, beta, alpha_bar), per_example(beta[t], x_0)


@wrong("diffusion.posterior", "deviation")
def posterior(x_0, x_t, t, beta, alpha_bar):
    return mean_of(x_0, x_t, t, beta, alpha_bar), var_of(x_0, t, beta, alpha_bar).sqrt()


@wrong("diffusion.posterior", "log_var")
def posterior(x_0, x_t, t, beta, alpha_bar):
    return mean_of(x_0, x_t, t, beta, alpha_bar), var_of(x_0, t, beta, alpha_bar).log()


@wrong("diffusion.posterior", "precision")
def posterior(x_0, x_t, t, beta, alpha_bar):
    b, a, _, before = at(x_0, t, beta, alpha_bar)
    return mean_of(x_0, x_t, t, beta, alpha_bar), a / b + 1 / (1 - before)


@wrong("diffusion.posterior", "ratio_turned")
def posterior(x_0, x_t, t, beta, alpha_bar):
    b, _, now, before = at(x_0, t, beta, alpha_bar)
    return mean_of(x_0, x_t, t, beta, alpha_bar), b * (1 - now) / (1 - before)


@wrong("diffusion.posterior", "var_without_axes")
def posterior(x_0, x_t, t, beta, alpha_bar):
    return mean_of(x_0, x_t, t, beta, alpha_bar), beta[t] * (1 - alpha_bar[t - 1]) / (1 - alpha_bar[t])


@wrong("diffusion.posterior", "along_the_last_axis")
def posterior(x_0, x_t, t, beta, alpha_bar):
    b, now, before = beta[t], alpha_bar[t], alpha_bar[t - 1]
    mean = (before.sqrt() * b * x_0 + (1 - b).sqrt() * (1 - before) * x_t) / (1 - now)
    return mean, b * (1 - before) / (1 - now)


@wrong("diffusion.posterior", "nan_at_t_1")
def posterior(x_0, x_t, t, beta, alpha_bar):
    b, a, _, before = at(x_0, t, beta, alpha_bar)
    var = 1 / (a / b + 1 / (1 - before))
    return var * (a.sqrt() / b * x_t + before.sqrt() / (1 - before) * x_0), var


@wrong("diffusion.posterior", "count")
def posterior(x_0, x_t, t, beta, alpha_bar):
    return mean_of(x_0, x_t, t, beta, alpha_bar)


@wrong("diffusion.posterior", "type")
def posterior(x_0, x_t, t, beta, alpha_bar):
    return mean_of(x_0, x_t, t, beta, alpha_bar), float(beta[t][0])


@wrong("diffusion.posterior", "detached")
def posterior(x_0, x_t, t, beta, alpha_bar):
    return mean_of(x_0.detach(), x_t, t, beta, alpha_bar), var_of(x_0, t, beta, alpha_bar)


@wrong("diffusion.posterior", "shape")
def posterior(x_0, x_t, t, beta, alpha_bar):
    b, now, before = (v.view(-1, 1, 1, 1) for v in (beta[t], alpha_bar[t], alpha_bar[t - 1]))
    mean = (before.sqrt() * b * x_0 + (1 - b).sqrt() * (1 - before) * x_t) / (1 - now)
    return mean, b * (1 - before) / (1 - now)


@wrong("diffusion.posterior", "mixing")
def posterior(x_0, x_t, t, beta, alpha_bar):
    return mean_of(x_0, x_t, t, beta, alpha_bar), var_of(x_0, t, beta, alpha_bar).mean(0, keepdim=True).expand_as(x_0)


@wrong("diffusion.posterior", "in_place")
def posterior(x_0, x_t, t, beta, alpha_bar):
    t -= 1
    before = per_example(alpha_bar[t], x_0)
    t += 1
    beta[0] = 1
    return mean_of(x_0, x_t, t, beta, alpha_bar), var_of(x_0, t, beta, alpha_bar) + 0 * before


@wrong("diffusion.posterior", "nan_at_t_1")  # 0/0
def posterior(x_0, x_t, t, beta, alpha_bar):
    var = var_of(x_0, t, beta, alpha_bar)
    return mean_of(x_0, x_t, t, beta, alpha_bar) * var / var, var


@wrong("diffusion.posterior", "unforeseen")  # never quite 0
def posterior(x_0, x_t, t, beta, alpha_bar):
    return mean_of(x_0, x_t, t, beta, alpha_bar), var_of(x_0, t, beta, alpha_bar).clamp(min=1e-3)


@wrong("diffusion.posterior", "beta_one_step_early")
def posterior(x_0, x_t, t, beta, alpha_bar):
    b, now, before = (per_example(v, x_0) for v in (beta[t - 1], alpha_bar[t], alpha_bar[t - 1]))
    mean = (before.sqrt() * b * x_0 + (1 - b).sqrt() * (1 - before) * x_t) / (1 - now)
    return mean, b * (1 - before) / (1 - now)


@wrong("diffusion.posterior", "beta_for_alpha")
def posterior(x_0, x_t, t, beta, alpha_bar):
    b, _, now, before = at(x_0, t, beta, alpha_bar)
    mean = (before.sqrt() * b * x_0 + b.sqrt() * (1 - before) * x_t) / (1 - now)
    return mean, var_of(x_0, t, beta, alpha_bar)


@wrong("diffusion.posterior", "parentheses")
def posterior(x_0, x_t, t, beta, alpha_bar):
    b, a, now, before = at(x_0, t, beta, alpha_bar)
    mean = before.sqrt() * b / 1 - now * x_0 + a.sqrt() * (1 - before) / (1 - now) * x_t
    return mean, b * (1 - before) / (1 - now)


@wrong("diffusion.posterior", "parentheses")
def posterior(x_0, x_t, t, beta, alpha_bar):
    b, _, now, before = at(x_0, t, beta, alpha_bar)
    return mean_of(x_0, x_t, t, beta, alpha_bar), 1 - before / 1 - now * b


@wrong("diffusion.posterior", "foreign")
def posterior(x_0, x_t, t, beta, alpha_bar):
    now, before = per_example(noisy[t], x_0), per_example(noisy[t - 1], x_0)
    b = 1 - now / before
    mean = (before.sqrt() * b * x_0 + (1 - b).sqrt() * (1 - before) * x_t) / (1 - now)
    return mean, b * (1 - before) / (1 - now)


@wrong("diffusion.posterior", "error")  # one `if` for all examples
def posterior(x_0, x_t, t, beta, alpha_bar):
    if t == 1:
        return x_0, torch.zeros_like(x_0)
    return mean_of(x_0, x_t, t, beta, alpha_bar), var_of(x_0, t, beta, alpha_bar)


@wrong("diffusion.posterior", "random")  # a draw, not its mean
def posterior(x_0, x_t, t, beta, alpha_bar):
    var = var_of(x_0, t, beta, alpha_bar)
    return mean_of(x_0, x_t, t, beta, alpha_bar) + var.sqrt() * torch.randn_like(x_0), var


# --- posterior: right -----------------------------------------------------------------------------------------------


@right("diffusion.posterior")  # the variance once for each example
def posterior(x_0, x_t, t, beta, alpha_bar):
    return mean_of(x_0, x_t, t, beta, alpha_bar), var_of(x_0, t, beta, alpha_bar)


@right("diffusion.posterior")  # precisions add up, weighted by what they vouch for
def posterior(x_0, x_t, t, beta, alpha_bar):
    b, a, _, before = at(x_0, t, beta, alpha_bar)
    first = per_example(t == 1, x_0)
    prior = torch.where(first, 1.0, 1 / torch.where(first, 1.0, 1 - before))
    var = 1 / (a / b + prior)
    mean = var * (a.sqrt() / b * x_t + before.sqrt() * prior * x_0)
    return torch.where(first, x_0, mean), torch.where(first, 0.0, var).expand(x_0.shape)


@right("diffusion.posterior")  # Kalman's: what was expected, corrected by what was not
def posterior(x_0, x_t, t, beta, alpha_bar):
    b, a, _, before = at(x_0, t, beta, alpha_bar)
    expected, spread = before.sqrt() * x_0, 1 - before
    gain = a.sqrt() * spread / (a * spread + b)
    return expected + gain * (x_t - a.sqrt() * expected), spread * (1 - gain * a.sqrt())


@right("diffusion.posterior")
def posterior(x_0, x_t, t, beta, alpha_bar):
    means, variances = [], []
    for x, noised, s in zip(x_0, x_t, t.tolist(), strict=True):
        b, now, before = float(beta[s]), float(alpha_bar[s]), float(alpha_bar[s - 1])
        means.append((math.sqrt(before) * b * x + math.sqrt(1 - b) * (1 - before) * noised) / (1 - now))
        variances.append(torch.full_like(x, b * (1 - before) / (1 - now)))
    return torch.stack(means), torch.stack(variances)


@right("diffusion.posterior")  # in float64, whatever came
def posterior(x_0, x_t, t, beta, alpha_bar):
    b, now, before = beta.double()[t], alpha_bar.double()[t], alpha_bar.double()[t - 1]
    of_x_0, of_x_t = before.sqrt() * b / (1 - now), (1 - b).sqrt() * (1 - before) / (1 - now)
    mean = torch.einsum("b,b...->b...", of_x_0, x_0.double()) + torch.einsum("b,b...->b...", of_x_t, x_t.double())
    return [mean.to(x_0.dtype), torch.einsum("b,b...->b...", b * (1 - before) / (1 - now), torch.ones_like(mean))]


# --- target: wrong --------------------------------------------------------------------------------------------------


def signal_noise(t, alpha_bar, like):
    a = per_example(alpha_bar[t], like)
    return a.sqrt(), (1 - a).sqrt()


def one_of(x_0, eps, predict, v):
    if predict == "eps":
        return eps
    return x_0 if predict == "x_0" else v


@wrong("diffusion.target", "exchanged")
def target(x_0, eps, t, alpha_bar, predict):
    signal, noise = signal_noise(t, alpha_bar, x_0)
    return {"x_0": eps, "eps": x_0, "v": signal * eps - noise * x_0}[predict]


@wrong("diffusion.target", "always_eps")
def target(x_0, eps, t, alpha_bar, predict):
    return eps


@wrong("diffusion.target", "x_t_for_v")
def target(x_0, eps, t, alpha_bar, predict):
    signal, noise = signal_noise(t, alpha_bar, x_0)
    return one_of(x_0, eps, predict, noise * eps + signal * x_0)


@wrong("diffusion.target", "swapped")
def target(x_0, eps, t, alpha_bar, predict):
    signal, noise = signal_noise(t, alpha_bar, x_0)
    return one_of(x_0, eps, predict, noise * eps - signal * x_0)


@wrong("diffusion.target", "v_turned")
def target(x_0, eps, t, alpha_bar, predict):
    signal, noise = signal_noise(t, alpha_bar, x_0)
    return one_of(x_0, eps, predict, noise * x_0 - signal * eps)


@wrong("diffusion.target", "added")
def target(x_0, eps, t, alpha_bar, predict):
    signal, noise = signal_noise(t, alpha_bar, x_0)
    return one_of(x_0, eps, predict, signal * eps + noise * x_0)


@wrong("diffusion.target", "not_rooted")
def target(x_0, eps, t, alpha_bar, predict):
    a = per_example(alpha_bar[t], x_0)
    return one_of(x_0, eps, predict, a * eps - (1 - a) * x_0)


@wrong("diffusion.target", "straight")
def target(x_0, eps, t, alpha_bar, predict):
    return one_of(x_0, eps, predict, eps - x_0)


@wrong("diffusion.target", "one_step_early")
def target(x_0, eps, t, alpha_bar, predict):
    signal, noise = signal_noise(t - 1, alpha_bar, x_0)
    return one_of(x_0, eps, predict, signal * eps - noise * x_0)


@wrong("diffusion.target", "along_the_last_axis")
def target(x_0, eps, t, alpha_bar, predict):
    a = alpha_bar[t]
    return one_of(x_0, eps, predict, a.sqrt() * eps - (1 - a).sqrt() * x_0)


@wrong("diffusion.target", "error")
def target(x_0, eps, t, alpha_bar, predict):
    return {"eps": eps, "x_0": x_0}[predict]


@wrong("diffusion.target", "none")
def target(x_0, eps, t, alpha_bar, predict):
    if predict == "eps":
        return eps
    if predict == "x0":
        return x_0


@wrong("diffusion.target", "shape")  # right for images alone
def target(x_0, eps, t, alpha_bar, predict):
    a = alpha_bar[t].view(-1, 1, 1, 1)
    return one_of(x_0, eps, predict, a.sqrt() * eps - (1 - a).sqrt() * x_0)


@wrong("diffusion.target", "always_v")  # a string is compared with a tensor
def target(x_0, eps, t, alpha_bar, predict):
    if predict is eps:
        return eps
    if predict is x_0:
        return x_0
    signal, noise = signal_noise(t, alpha_bar, x_0)
    return signal * eps - noise * x_0


@wrong("diffusion.target", "always_eps")  # `or` with a string that is always true
def target(x_0, eps, t, alpha_bar, predict):
    if predict == "x_0" or "eps":  # noqa: SIM222
        return eps
    signal, noise = signal_noise(t, alpha_bar, x_0)
    return signal * eps - noise * x_0


@wrong("diffusion.target", "one_minus_root")
def target(x_0, eps, t, alpha_bar, predict):
    signal, _ = signal_noise(t, alpha_bar, x_0)
    return one_of(x_0, eps, predict, signal * eps - (1 - signal) * x_0)


@wrong("diffusion.target", "foreign")
def target(x_0, eps, t, alpha_bar, predict):
    signal, noise = signal_noise(t, noisy, x_0)
    return one_of(x_0, eps, predict, signal * eps - noise * x_0)


@wrong("diffusion.target", "not_finite")  # a root over all of it
def target(x_0, eps, t, alpha_bar, predict):
    a = per_example(alpha_bar[t], x_0)
    return one_of(x_0, eps, predict, torch.sqrt(a * eps - (1 - a) * x_0))


@wrong("diffusion.target", "in_place")
def target(x_0, eps, t, alpha_bar, predict):
    signal, noise = signal_noise(t, alpha_bar, x_0)
    if predict == "v":
        eps *= signal
        return eps - noise * x_0
    return eps if predict == "eps" else x_0


@wrong("diffusion.target", "type")
def target(x_0, eps, t, alpha_bar, predict):
    return predict


# --- target: right --------------------------------------------------------------------------------------------------


@right("diffusion.target")
def target(x_0, eps, t, alpha_bar, predict):
    signal, noise = signal_noise(t, alpha_bar, x_0)
    return one_of(x_0, eps, predict, signal * eps - noise * x_0)


@right("diffusion.target")  # from x_t
def target(x_0, eps, t, alpha_bar, predict):
    signal, noise = signal_noise(t, alpha_bar, x_0)
    x_t = signal * x_0 + noise * eps
    return one_of(x_0, eps, predict, (signal * x_t - x_0) / noise)


@right("diffusion.target")
def target(x_0, eps, t, alpha_bar, predict):
    weights = {"eps": (0, 1), "x_0": (1, 0)}
    out = []
    for x, e, s in zip(x_0, eps, t.tolist(), strict=True):
        a = float(alpha_bar[s])
        of_x_0, of_eps = weights.get(predict, (-math.sqrt(1 - a), math.sqrt(a)))
        out.append(of_x_0 * x + of_eps * e)
    return torch.stack(out)


@right("diffusion.target")
def target(x_0, eps, t, alpha_bar, predict):
    if predict == "v":
        a = alpha_bar[t].sqrt()
        return torch.einsum("b,b...->b...", a, eps) - torch.einsum("b,b...->b...", (1 - a**2).sqrt(), x_0)
    return eps if predict == "eps" else x_0


# --- loss: wrong ----------------------------------------------------------------------------------------------------


def noised(x_0, t, eps, alpha_bar):
    signal, noise = signal_noise(t, alpha_bar, x_0)
    return signal * x_0 + noise * eps


def goal(x_0, t, eps, alpha_bar, predict):
    signal, noise = signal_noise(t, alpha_bar, x_0)
    return one_of(x_0, eps, predict, signal * eps - noise * x_0)


def apart(net, x_0, t, eps, alpha_bar, predict):
    return net(noised(x_0, t, eps, alpha_bar), t) - goal(x_0, t, eps, alpha_bar, predict)


@wrong("diffusion.loss", "summed")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return apart(net, x_0, t, eps, alpha_bar, predict).square().sum()


@wrong("diffusion.loss", "summed_over_pixels")  # the norm as it is written
def loss(net, x_0, t, eps, alpha_bar, predict):
    return apart(net, x_0, t, eps, alpha_bar, predict).square().flatten(1).sum(1).mean()


@wrong("diffusion.loss", "summed_over_batch")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return apart(net, x_0, t, eps, alpha_bar, predict).square().flatten(1).mean(1).sum()


@wrong("diffusion.loss", "for_each_example")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return apart(net, x_0, t, eps, alpha_bar, predict).square().flatten(1).mean(1)


@wrong("diffusion.loss", "for_each_pixel")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return apart(net, x_0, t, eps, alpha_bar, predict) ** 2


@wrong("diffusion.loss", "not_squared")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return apart(net, x_0, t, eps, alpha_bar, predict).mean()


@wrong("diffusion.loss", "absolute")
def loss(net, x_0, t, eps, alpha_bar, predict):
    wanted = goal(x_0, t, eps, alpha_bar, predict)
    return torch.nn.functional.l1_loss(net(noised(x_0, t, eps, alpha_bar), t), wanted)


@wrong("diffusion.loss", "rooted")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return apart(net, x_0, t, eps, alpha_bar, predict).square().mean().sqrt()


@wrong("diffusion.loss", "always_eps")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return torch.nn.functional.mse_loss(net(noised(x_0, t, eps, alpha_bar), t), eps)


@wrong("diffusion.loss", "shown_x_0")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return torch.nn.functional.mse_loss(net(x_0, t), goal(x_0, t, eps, alpha_bar, predict))


@wrong("diffusion.loss", "told_t_minus_1")
def loss(net, x_0, t, eps, alpha_bar, predict):
    wanted = goal(x_0, t, eps, alpha_bar, predict)
    return torch.nn.functional.mse_loss(net(noised(x_0, t, eps, alpha_bar), t - 1), wanted)


@wrong("diffusion.loss", "one_step_early")
def loss(net, x_0, t, eps, alpha_bar, predict):
    wanted = goal(x_0, t, eps, alpha_bar, predict)
    return torch.nn.functional.mse_loss(net(noised(x_0, t - 1, eps, alpha_bar), t), wanted)


@wrong("diffusion.loss", "detached")
def loss(net, x_0, t, eps, alpha_bar, predict):
    with torch.no_grad():
        return apart(net, x_0, t, eps, alpha_bar, predict).square().mean()


@wrong("diffusion.loss", "type")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return apart(net, x_0, t, eps, alpha_bar, predict).square().mean().item()


@wrong("diffusion.loss", "random")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return apart(net, x_0, t, torch.randn_like(x_0), alpha_bar, predict).square().mean()


@wrong("diffusion.loss", "error")  # t as a share of the whole
def loss(net, x_0, t, eps, alpha_bar, predict):
    wanted = goal(x_0, t, eps, alpha_bar, predict)
    return torch.nn.functional.mse_loss(net(noised(x_0, t, eps, alpha_bar), t / (len(alpha_bar) - 1)), wanted)


@wrong("diffusion.loss", "halved")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return (apart(net, x_0, t, eps, alpha_bar, predict) ** 2 / 2).mean()


@wrong("diffusion.loss", "squared_too_late")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return apart(net, x_0, t, eps, alpha_bar, predict).mean() ** 2


@wrong("diffusion.loss", "length")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return torch.linalg.vector_norm(apart(net, x_0, t, eps, alpha_bar, predict))


@wrong("diffusion.loss", "divided_by_64")  # the pixels of a digit
def loss(net, x_0, t, eps, alpha_bar, predict):
    return (apart(net, x_0, t, eps, alpha_bar, predict) ** 2).sum() / 64


@wrong("diffusion.loss", "always_x_0")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return ((net(noised(x_0, t, eps, alpha_bar), t) - x_0) ** 2).mean()


@wrong("diffusion.loss", "always_v")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return (apart(net, x_0, t, eps, alpha_bar, "v") ** 2).mean()


@wrong("diffusion.loss", "target_exchanged")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return ((net(noised(x_0, t, eps, alpha_bar), t) - goal(eps, t, x_0, alpha_bar, predict)) ** 2).mean()


@wrong("diffusion.loss", "net_not_asked")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return ((noised(x_0, t, eps, alpha_bar) - goal(x_0, t, eps, alpha_bar, predict)) ** 2).mean()


@wrong("diffusion.loss", "target_added")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return ((net(noised(x_0, t, eps, alpha_bar), t) + goal(x_0, t, eps, alpha_bar, predict)) ** 2).mean()


@wrong("diffusion.loss", "error")  # t comes second
def loss(net, x_0, t, eps, alpha_bar, predict):
    return ((net(t, noised(x_0, t, eps, alpha_bar)) - goal(x_0, t, eps, alpha_bar, predict)) ** 2).mean()


@wrong("diffusion.loss", "error")  # the net is not called
def loss(net, x_0, t, eps, alpha_bar, predict):
    return ((net - goal(x_0, t, eps, alpha_bar, predict)) ** 2).mean()


@wrong("diffusion.loss", "error")  # right for images alone
def loss(net, x_0, t, eps, alpha_bar, predict):
    return (apart(net, x_0, t, eps, alpha_bar, predict) ** 2).mean((1, 2, 3)).mean()


@wrong("diffusion.loss", "detached")  # a new tensor, which asks for gradients and has none
def loss(net, x_0, t, eps, alpha_bar, predict):
    value = (apart(net, x_0, t, eps, alpha_bar, predict) ** 2).mean()
    return value.detach().clone().requires_grad_()


@wrong("diffusion.loss", "shape")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return (apart(net, x_0, t, eps, alpha_bar, predict) ** 2).mean().reshape(1)


@wrong("diffusion.loss", "foreign")  # steps of its own, up to the notebook's T
def loss(net, x_0, t, eps, alpha_bar, predict):
    t = torch.randint(len(alpha_bar), T + 1, (len(x_0),))
    return (apart(net, x_0, t, eps, alpha_bar, predict) ** 2).mean()


# --- loss: right ----------------------------------------------------------------------------------------------------


@right("diffusion.loss")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return apart(net, x_0, t, eps, alpha_bar, predict).square().mean()


@right("diffusion.loss")
def loss(net, x_0, t, eps, alpha_bar, predict):
    wanted = goal(x_0, t, eps, alpha_bar, predict)
    return torch.nn.functional.mse_loss(net(noised(x_0, t, eps, alpha_bar), t), wanted)


@right("diffusion.loss")  # the mean of the examples' means, one by one
def loss(net, x_0, t, eps, alpha_bar, predict):
    errors = apart(net, x_0, t, eps, alpha_bar, predict)
    return sum((error * error).sum() / error.numel() for error in errors) / len(errors)


@right("diffusion.loss")
def loss(net, x_0, t, eps, alpha_bar, predict):
    flat = apart(net, x_0, t, eps, alpha_bar, predict).reshape(-1)
    return flat @ flat / len(flat)


@right("diffusion.loss")  # the norm as it is written, over D
def loss(net, x_0, t, eps, alpha_bar, predict):
    errors = apart(net, x_0, t, eps, alpha_bar, predict).flatten(1)
    return (errors.norm(dim=1) ** 2 / errors.shape[1]).mean()


# --- reverse_step: wrong --------------------------------------------------------------------------------------------


def back(x_t, t, eps_hat, beta, alpha_bar):
    """β_t, ᾱ_t, and the mean of the step back."""
    b, a = per_example(beta[t], x_t), per_example(alpha_bar[t], x_t)
    return b, a, (x_t - b / (1 - a).sqrt() * eps_hat) / (1 - b).sqrt()


def fresh(t, z):
    return torch.where(per_example(t, z) > 1, z, torch.zeros_like(z))


@wrong("diffusion.reverse_step", "noise_at_the_end")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, _, mean = back(x_t, t, eps_hat, beta, alpha_bar)
    return mean + b.sqrt() * z


@wrong("diffusion.reverse_step", "one_for_all")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, _, mean = back(x_t, t, eps_hat, beta, alpha_bar)
    return mean + b.sqrt() * z if t[0] > 1 else mean


@wrong("diffusion.reverse_step", "one_for_all")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, _, mean = back(x_t, t, eps_hat, beta, alpha_bar)
    return mean if (t == 1).any() else mean + b.sqrt() * z


@wrong("diffusion.reverse_step", "no_noise")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    return back(x_t, t, eps_hat, beta, alpha_bar)[2]


@wrong("diffusion.reverse_step", "noise_not_rooted")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, _, mean = back(x_t, t, eps_hat, beta, alpha_bar)
    return mean + b * fresh(t, z)


@wrong("diffusion.reverse_step", "beta_tilde_noise")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, mean = back(x_t, t, eps_hat, beta, alpha_bar)
    return mean + (b * (1 - per_example(alpha_bar[t - 1], x_t)) / (1 - a)).sqrt() * z


@wrong("diffusion.reverse_step", "noise_scaled")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, _ = back(x_t, t, eps_hat, beta, alpha_bar)
    return (x_t - b / (1 - a).sqrt() * eps_hat + b.sqrt() * fresh(t, z)) / (1 - b).sqrt()


@wrong("diffusion.reverse_step", "eps_added")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, _, mean = back(x_t, t, -eps_hat, beta, alpha_bar)
    return mean + b.sqrt() * fresh(t, z)


@wrong("diffusion.reverse_step", "denominator_not_rooted")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, _ = back(x_t, t, eps_hat, beta, alpha_bar)
    return (x_t - b / (1 - a) * eps_hat) / (1 - b).sqrt() + b.sqrt() * fresh(t, z)


@wrong("diffusion.reverse_step", "beta_rooted")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, _ = back(x_t, t, eps_hat, beta, alpha_bar)
    return (x_t - (b / (1 - a)).sqrt() * eps_hat) / (1 - b).sqrt() + b.sqrt() * fresh(t, z)


@wrong("diffusion.reverse_step", "not_scaled")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, _ = back(x_t, t, eps_hat, beta, alpha_bar)
    return x_t - b / (1 - a).sqrt() * eps_hat + b.sqrt() * fresh(t, z)


@wrong("diffusion.reverse_step", "shrunk_again")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, _ = back(x_t, t, eps_hat, beta, alpha_bar)
    return (1 - b).sqrt() * (x_t - b / (1 - a).sqrt() * eps_hat) + b.sqrt() * fresh(t, z)


@wrong("diffusion.reverse_step", "bar_for_alpha")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, _ = back(x_t, t, eps_hat, beta, alpha_bar)
    return (x_t - b / (1 - a).sqrt() * eps_hat) / a.sqrt() + b.sqrt() * fresh(t, z)


@wrong("diffusion.reverse_step", "all_the_way")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, _ = back(x_t, t, eps_hat, beta, alpha_bar)
    return (x_t - (1 - a).sqrt() * eps_hat) / a.sqrt() + b.sqrt() * fresh(t, z)


@wrong("diffusion.reverse_step", "one_step_early")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a = per_example(beta[t], x_t), per_example(alpha_bar[t - 1], x_t)
    return (x_t - b / (1 - a).sqrt() * eps_hat) / (1 - b).sqrt() + b.sqrt() * fresh(t, z)


@wrong("diffusion.reverse_step", "along_the_last_axis")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a = beta[t], alpha_bar[t]
    return (x_t - b / (1 - a).sqrt() * eps_hat) / (1 - b).sqrt() + b.sqrt() * z


@wrong("diffusion.reverse_step", "random")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, _, mean = back(x_t, t, eps_hat, beta, alpha_bar)
    return mean + b.sqrt() * fresh(t, torch.randn_like(x_t))


@wrong("diffusion.reverse_step", "in_place")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, _, mean = back(x_t, t, eps_hat, beta, alpha_bar)
    z[t == 1] = 0
    return mean.add_(b.sqrt() * z)


@wrong("diffusion.reverse_step", "tables_exchanged")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, _, mean = back(x_t, t, eps_hat, alpha_bar, beta)
    return mean + b.sqrt() * fresh(t, z)


@wrong("diffusion.reverse_step", "noises_exchanged")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, _, mean = back(x_t, t, z, beta, alpha_bar)
    return mean + b.sqrt() * fresh(t, eps_hat)


@wrong("diffusion.reverse_step", "clamped")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, _, mean = back(x_t, t, eps_hat, beta, alpha_bar)
    return mean.clamp(-1, 1) + b.sqrt() * fresh(t, z)


@wrong("diffusion.reverse_step", "parentheses")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, _ = back(x_t, t, eps_hat, beta, alpha_bar)
    return x_t - b / (1 - a).sqrt() * eps_hat / (1 - b).sqrt() + b.sqrt() * fresh(t, z)


@wrong("diffusion.reverse_step", "guess_not_scaled")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, _ = back(x_t, t, eps_hat, beta, alpha_bar)
    return x_t / (1 - b).sqrt() - b / (1 - a).sqrt() * eps_hat + b.sqrt() * fresh(t, z)


@wrong("diffusion.reverse_step", "noise_subtracted")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, _, mean = back(x_t, t, eps_hat, beta, alpha_bar)
    return mean - b.sqrt() * fresh(t, z)


@wrong("diffusion.reverse_step", "beta_for_alpha")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, _ = back(x_t, t, eps_hat, beta, alpha_bar)
    return (x_t - b / (1 - a).sqrt() * eps_hat) / b.sqrt() + b.sqrt() * fresh(t, z)


@wrong("diffusion.reverse_step", "tables_early")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, _, mean = back(x_t, t - 1, eps_hat, beta, alpha_bar)
    return mean + b.sqrt() * fresh(t, z)


@wrong("diffusion.reverse_step", "noise_at_the_end")  # the end is taken to be t = T
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, _, mean = back(x_t, t, eps_hat, beta, alpha_bar)
    return mean + per_example(t < 200, x_t) * b.sqrt() * z


@wrong("diffusion.reverse_step", "foreign")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, _, mean = back(x_t, t, eps_hat, beta, noisy)
    return mean + b.sqrt() * fresh(t, z)


@wrong("diffusion.reverse_step", "error")  # (B,) meets the last axis
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, _, mean = back(x_t, t, eps_hat, beta, alpha_bar)
    return mean + (t > 1) * b.sqrt() * z


@wrong("diffusion.reverse_step", "type")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, _, mean = back(x_t, t, eps_hat, beta, alpha_bar)
    return mean, b.sqrt() * fresh(t, z)


# --- reverse_step: right --------------------------------------------------------------------------------------------


@right("diffusion.reverse_step")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, _, mean = back(x_t, t, eps_hat, beta, alpha_bar)
    return mean + b.sqrt() * fresh(t, z)


@right("diffusion.reverse_step")  # by way of x_0 and the posterior
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    signal, noise = signal_noise(t, alpha_bar, x_t)
    x_0 = (x_t - noise * eps_hat) / signal
    return mean_of(x_0, x_t, t, beta, alpha_bar) + per_example(t > 1, x_t) * per_example(beta[t], x_t).sqrt() * z


@right("diffusion.reverse_step")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    out = torch.empty_like(x_t)
    for i, s in enumerate(t.tolist()):
        b, a = float(beta[s]), float(alpha_bar[s])
        out[i] = (x_t[i] - b / math.sqrt(1 - a) * eps_hat[i]) / math.sqrt(1 - b)
        if s > 1:
            out[i] += math.sqrt(b) * z[i]
    return out


@right("diffusion.reverse_step")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    beta, alpha_bar = beta.double(), alpha_bar.double()
    alpha = alpha_bar[t] / alpha_bar[t - 1]
    weights = torch.stack([alpha**-0.5, -(1 - alpha) * (alpha * (1 - alpha_bar[t])) ** -0.5, (t > 1) * beta[t].sqrt()])
    return torch.einsum("kb,kb...->b...", weights, torch.stack([x_t, eps_hat, z]).double()).to(x_t.dtype)


# --- ancestral: wrong -----------------------------------------------------------------------------------------------


def walk(net, step, x_T, z, way):
    x_ts = [x_T]
    for i in way:
        t = torch.full((len(x_T),), i)
        x_ts.append(step(x_ts[-1], t, net(x_ts[-1], t), z[i]))
    return x_ts


@wrong("diffusion.ancestral", "end_alone")
def ancestral(net, step, x_T, z):
    x = x_T
    for i in range(len(z) - 1, 0, -1):
        t = torch.full((len(x),), i)
        x = step(x, t, net(x, t), z[i])
    return x


@wrong("diffusion.ancestral", "start_missing")
def ancestral(net, step, x_T, z):
    return torch.stack(walk(net, step, x_T, z, range(len(z) - 1, 0, -1))[1:])


@wrong("diffusion.ancestral", "stops_early")
def ancestral(net, step, x_T, z):
    return torch.stack(walk(net, step, x_T, z, range(len(z) - 1, 1, -1)))


@wrong("diffusion.ancestral", "starts_late")
def ancestral(net, step, x_T, z):
    T = len(z) - 1
    return torch.stack(walk(net, step, x_T, z, reversed(range(1, T))))


@wrong("diffusion.ancestral", "x_0_first")
def ancestral(net, step, x_T, z):
    x_ts = [x_T]
    for i in range(len(z) - 1, 0, -1):
        t = torch.full((len(x_T),), i)
        x_ts.insert(0, step(x_ts[0], t, net(x_ts[0], t), z[i]))
    return torch.stack(x_ts)


@wrong("diffusion.ancestral", "upwards")
def ancestral(net, step, x_T, z):
    return torch.stack(walk(net, step, x_T, z, range(1, len(z))))


@wrong("diffusion.ancestral", "same_noise")
def ancestral(net, step, x_T, z):
    noise, x_ts = z[-1], [x_T]
    for i in range(len(z) - 1, 0, -1):
        t = torch.full((len(x_T),), i)
        x_ts.append(step(x_ts[-1], t, net(x_ts[-1], t), noise))
    return torch.stack(x_ts)


@wrong("diffusion.ancestral", "noise_early")
def ancestral(net, step, x_T, z):
    x_ts = [x_T]
    for i in range(len(z) - 1, 0, -1):
        t = torch.full((len(x_T),), i)
        x_ts.append(step(x_ts[-1], t, net(x_ts[-1], t), z[i - 1]))
    return torch.stack(x_ts)


@wrong("diffusion.ancestral", "noise_turned")
def ancestral(net, step, x_T, z):
    x_ts = [x_T]
    for i, noise in zip(range(len(z) - 1, 0, -1), z[1:], strict=True):
        t = torch.full((len(x_T),), i)
        x_ts.append(step(x_ts[-1], t, net(x_ts[-1], t), noise))
    return torch.stack(x_ts)


@wrong("diffusion.ancestral", "noise_from_0")
def ancestral(net, step, x_T, z):
    x_ts, T = [x_T], len(z) - 1
    for i in range(T):
        t = torch.full((len(x_T),), T - i)
        x_ts.append(step(x_ts[-1], t, net(x_ts[-1], t), z[i]))
    return torch.stack(x_ts)


@wrong("diffusion.ancestral", "net_sees_x_T")
def ancestral(net, step, x_T, z):
    x_ts = [x_T]
    for i in range(len(z) - 1, 0, -1):
        t = torch.full((len(x_T),), i)
        x_ts.append(step(x_ts[-1], t, net(x_T, t), z[i]))
    return torch.stack(x_ts)


@wrong("diffusion.ancestral", "always_from_x_T")
def ancestral(net, step, x_T, z):
    x_ts = [x_T]
    for i in range(len(z) - 1, 0, -1):
        t = torch.full((len(x_T),), i)
        x_ts.append(step(x_T, t, net(x_ts[-1], t), z[i]))
    return torch.stack(x_ts)


@wrong("diffusion.ancestral", "exchanged")
def ancestral(net, step, x_T, z):
    x_ts = [x_T]
    for i in range(len(z) - 1, 0, -1):
        t = torch.full((len(x_T),), i)
        x_ts.append(step(x_ts[-1], t, z[i], net(x_ts[-1], t)))
    return torch.stack(x_ts)


@wrong("diffusion.ancestral", "error")  # on to t = 0
def ancestral(net, step, x_T, z):
    return torch.stack(walk(net, step, x_T, z, range(len(z) - 1, -1, -1)))


@wrong("diffusion.ancestral", "error")  # t as a plain number
def ancestral(net, step, x_T, z):
    x_ts = [x_T]
    for t in range(len(z) - 1, 0, -1):
        x_ts.append(step(x_ts[-1], t, net(x_ts[-1], t), z[t]))
    return torch.stack(x_ts)


@wrong("diffusion.ancestral", "type")  # a list
def ancestral(net, step, x_T, z):
    return walk(net, step, x_T, z, range(len(z) - 1, 0, -1))


@wrong("diffusion.ancestral", "random")
def ancestral(net, step, x_T, z):
    return torch.stack(walk(net, step, x_T, torch.randn_like(z), range(len(z) - 1, 0, -1)))


@wrong("diffusion.ancestral", "filled_by_t")
def ancestral(net, step, x_T, z):
    x_ts, x = torch.zeros_like(z), x_T
    x_ts[0] = x_T
    for i in range(len(z) - 1, 0, -1):
        t = torch.full((len(x_T),), i)
        x = step(x, t, net(x, t), z[i])
        x_ts[i] = x
    return x_ts


@wrong("diffusion.ancestral", "clamped")
def ancestral(net, step, x_T, z):
    return torch.stack(walk(net, lambda *args: step(*args).clamp(-1, 1), x_T, z, range(len(z) - 1, 0, -1)))


@wrong("diffusion.ancestral", "ignores_z")
def ancestral(net, step, x_T, z):
    return torch.stack(walk(net, step, x_T, torch.zeros_like(z), range(len(z) - 1, 0, -1)))


@wrong("diffusion.ancestral", "starts_at_z")  # starts at z[T]
def ancestral(net, step, x_T, z):
    return torch.stack(walk(net, step, z[-1], z, range(len(z) - 1, 0, -1)))


@wrong("diffusion.ancestral", "stops_early")  # the last x is made, and not collected
def ancestral(net, step, x_T, z):
    x, x_ts = x_T, []
    for i in range(len(z) - 1, 0, -1):
        x_ts.append(x)
        t = torch.full((len(x_T),), i)
        x = step(x, t, net(x, t), z[i])
    return torch.stack(x_ts)


@wrong("diffusion.ancestral", "foreign")  # the notebook's T
def ancestral(net, step, x_T, z):
    return walk(net, step, x_T, z, range(T, 0, -1))


@wrong("diffusion.ancestral", "error")  # 200 steps, as in the lab
def ancestral(net, step, x_T, z):
    return walk(net, step, x_T, z, range(200, 0, -1))


@wrong("diffusion.ancestral", "error")  # net(x_t, t)
def ancestral(net, step, x_T, z):
    return walk(lambda x_t, t: net(t, x_t), step, x_T, z, range(len(z) - 1, 0, -1))


@wrong("diffusion.ancestral", "error")  # step(x_t, eps_hat, t, z)
def ancestral(net, step, x_T, z):
    x_ts = [x_T]
    for i in range(len(z) - 1, 0, -1):
        t = torch.full((len(x_T),), i)
        x_ts.append(step(x_ts[-1], net(x_ts[-1], t), t, z[i]))
    return torch.stack(x_ts)


@wrong("diffusion.ancestral", "error")  # all of z at every step
def ancestral(net, step, x_T, z):
    return walk(net, lambda x_t, t, eps_hat, _: step(x_t, t, eps_hat, z), x_T, z, range(len(z) - 1, 0, -1))


@wrong("diffusion.ancestral", "error")  # a tensor for a counter
def ancestral(net, step, x_T, z):
    x_ts, t = [x_T], torch.full((len(x_T),), len(z) - 1)
    while t > 0:
        x_ts.append(step(x_ts[-1], t, net(x_ts[-1], t), z[t[0]]))
        t = t - 1
    return torch.stack(x_ts)


@wrong("diffusion.ancestral", "shape")  # the batch first
def ancestral(net, step, x_T, z):
    return torch.stack(walk(net, step, x_T, z, range(len(z) - 1, 0, -1)), dim=1)


@wrong("diffusion.ancestral", "endless")  # t stays T
def ancestral(net, step, x_T, z):
    x, t = x_T, torch.full((len(x_T),), len(z) - 1)
    while int(t[0]) > 0:
        x = step(x, t, net(x, t), z[t[0]])
    return torch.stack([x_T, x])


# --- ancestral: right -----------------------------------------------------------------------------------------------


@right("diffusion.ancestral")
def ancestral(net, step, x_T, z):
    return torch.stack(walk(net, step, x_T, z, range(len(z) - 1, 0, -1)))


@right("diffusion.ancestral")
def ancestral(net, step, x_T, z):
    x_ts, t = torch.empty_like(z), torch.full((len(x_T),), len(z) - 1)
    x_ts[0] = x_T
    for k, noise in enumerate(reversed(list(z[1:]))):
        x_ts[k + 1] = step(x_ts[k], t, net(x_ts[k], t), noise)
        t = t - 1
    return x_ts


@right("diffusion.ancestral")
def ancestral(net, step, x_T, z):
    def from_here(x, i):
        if i == 0:
            return [x]
        t = torch.ones(len(x), dtype=torch.int64) * i
        return [x, *from_here(step(x, t, net(x, t), z[i]), i - 1)]

    return torch.stack(from_here(x_T, len(z) - 1))


# --- ddim_steps: wrong ----------------------------------------------------------------------------------------------


@wrong("diffusion.ddim_steps", "from_T_minus_1")
def ddim_steps(T, n):
    return torch.linspace(T - 1, 0, n + 1).round().long()


@wrong("diffusion.ddim_steps", "ends_at_1")
def ddim_steps(T, n):
    return torch.linspace(T, 1, n + 1).round().long()


@wrong("diffusion.ddim_steps", "no_0")
def ddim_steps(T, n):
    return torch.linspace(T, 0, n + 1).round().long()[:-1]


@wrong("diffusion.ddim_steps", "no_T")
def ddim_steps(T, n):
    return torch.linspace(T, 0, n + 1).round().long()[1:]


@wrong("diffusion.ddim_steps", "n_points")
def ddim_steps(T, n):
    return torch.linspace(T, 0, n).round().long()


@wrong("diffusion.ddim_steps", "upwards")
def ddim_steps(T, n):
    return torch.linspace(0, T, n + 1).round().long()


@wrong("diffusion.ddim_steps", "cut")
def ddim_steps(T, n):
    return torch.linspace(T, 0, n + 1, dtype=torch.float64).long()


@wrong("diffusion.ddim_steps", "not_rounded")
def ddim_steps(T, n):
    return torch.linspace(T, 0, n + 1, dtype=torch.float64)


@wrong("diffusion.ddim_steps", "strides_from_T")
def ddim_steps(T, n):
    return T - (T // n) * torch.arange(n + 1)


@wrong("diffusion.ddim_steps", "strides_from_0")
def ddim_steps(T, n):
    return (torch.arange(n) * (T // n)).flip(0)


@wrong("diffusion.ddim_steps", "multiples_below_T")
def ddim_steps(T, n):
    return torch.tensor(list(range(0, T, T // n))[::-1])


@wrong("diffusion.ddim_steps", "quadratic")
def ddim_steps(T, n):
    return (T * torch.linspace(1, 0, n + 1) ** 2).round().long()


@wrong("diffusion.ddim_steps", "type")
def ddim_steps(T, n):
    return [round(T * (n - i) / n) for i in range(n + 1)]


@wrong("diffusion.ddim_steps", "ignores_T")  # right for a thousand
def ddim_steps(T, n):
    return torch.linspace(1000, 0, n + 1).round().long()


@wrong("diffusion.ddim_steps", "shape")  # right for fifty
def ddim_steps(T, n):
    return torch.linspace(T, 0, 51).round().long()


@wrong("diffusion.ddim_steps", "rounded_up")
def ddim_steps(T, n):
    return torch.tensor([T - i * T // n for i in range(n + 1)])


@wrong("diffusion.ddim_steps", "slip")  # T and n exchanged
def ddim_steps(T, n):
    return torch.linspace(n, 0, T + 1).round().long()


@wrong("diffusion.ddim_steps", "type")
def ddim_steps(T, n):
    return [round(T * (n - i) / n) for i in range(n + 1)]


@wrong("diffusion.ddim_steps", "endless")  # a stride that steps over 0
def ddim_steps(T, n):
    t = [T]
    while t[-1] != 0:
        t.append(t[-1] - round(T / n))
    return torch.tensor(t)


# --- ddim_steps: right ----------------------------------------------------------------------------------------------


@right("diffusion.ddim_steps")
def ddim_steps(T, n):
    return torch.linspace(T, 0, n + 1).round().long()


@right("diffusion.ddim_steps")
def ddim_steps(T, n):
    return torch.tensor([round(T * (n - i) / n) for i in range(n + 1)])


@right("diffusion.ddim_steps")
def ddim_steps(T, n):
    return torch.from_numpy(np.rint(np.linspace(T, 0, n + 1)).astype(np.int64))


@right("diffusion.ddim_steps")
def ddim_steps(T, n):
    return (torch.arange(n, -1, -1, dtype=torch.float64) / n * T + 0.5).floor()


# --- ddim_step: wrong -----------------------------------------------------------------------------------------------


def ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar):
    """The guess of x_0, ᾱ_s, and σ."""
    now, before = per_example(alpha_bar[t], x_t), per_example(alpha_bar[s], x_t)
    x_0 = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    return x_0, before, eta * ((1 - before) / (1 - now)).sqrt() * (1 - now / before).sqrt()


@wrong("diffusion.ddim_step", "direction_turned")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    s, t = t, s
    now, before = per_example(alpha_bar[t], x_t), per_example(alpha_bar[s], x_t)
    x_0 = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    return before.sqrt() * x_0 + (1 - before).sqrt() * eps_hat


@wrong("diffusion.ddim_step", "one_for_all")  # the first example decides for the batch
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, before, sigma = ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)
    if s[0] == 0:
        return x_0
    return before.sqrt() * x_0 + (1 - before - sigma**2).sqrt() * eps_hat + sigma * z


@wrong("diffusion.ddim_step", "all_the_way")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    return ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)[0]


@wrong("diffusion.ddim_step", "no_old_noise")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, before, sigma = ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return before.sqrt() * x_0 + sigma * z


@wrong("diffusion.ddim_step", "one_step_early")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, before, sigma = ddim_parts(x_t, eps_hat, t - 1, s - 1, eta, alpha_bar)
    return before.sqrt() * x_0 + (1 - before - sigma**2).sqrt() * eps_hat + sigma * z


@wrong("diffusion.ddim_step", "to_t_minus_1")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, before, sigma = ddim_parts(x_t, eps_hat, t, t - 1, eta, alpha_bar)
    return before.sqrt() * x_0 + (1 - before - sigma**2).sqrt() * eps_hat + sigma * z


@wrong("diffusion.ddim_step", "not_rooted")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    now, before = per_example(alpha_bar[t], x_t), per_example(alpha_bar[s], x_t)
    x_0 = (x_t - (1 - now) * eps_hat) / now
    variance = eta**2 * (1 - before) / (1 - now) * (1 - now / before)
    return before * x_0 + (1 - before - variance) * eps_hat + variance * z


@wrong("diffusion.ddim_step", "eps_added")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    now = per_example(alpha_bar[t], x_t)
    _, before, sigma = ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)
    x_0 = (x_t + (1 - now).sqrt() * eps_hat) / now.sqrt()
    return before.sqrt() * x_0 + (1 - before - sigma**2).sqrt() * eps_hat + sigma * z


@wrong("diffusion.ddim_step", "no_room")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, before, sigma = ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return before.sqrt() * x_0 + (1 - before).sqrt() * eps_hat + sigma * z


@wrong("diffusion.ddim_step", "deviations_subtracted")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, before, sigma = ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return before.sqrt() * x_0 + ((1 - before).sqrt() - sigma) * eps_hat + sigma * z


@wrong("diffusion.ddim_step", "noise_not_rooted")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, before, sigma = ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return before.sqrt() * x_0 + (1 - before - sigma**2).sqrt() * eps_hat + sigma**2 * z


@wrong("diffusion.ddim_step", "no_new_noise")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, before, sigma = ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return before.sqrt() * x_0 + (1 - before - sigma**2).sqrt() * eps_hat


@wrong("diffusion.ddim_step", "no_eta")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, before, _ = ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return before.sqrt() * x_0 + (1 - before).sqrt() * eps_hat


@wrong("diffusion.ddim_step", "eta_not_squared")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    now, before = per_example(alpha_bar[t], x_t), per_example(alpha_bar[s], x_t)
    x_0 = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    variance = eta * (1 - before) / (1 - now) * (1 - now / before)
    return before.sqrt() * x_0 + (1 - before - variance).sqrt() * eps_hat + variance.sqrt() * z


@wrong("diffusion.ddim_step", "ratio_turned")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    now, before = per_example(alpha_bar[t], x_t), per_example(alpha_bar[s], x_t)
    x_0 = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    variance = eta**2 * (1 - now) / (1 - before) * (1 - now / before)
    return before.sqrt() * x_0 + (1 - before - variance).sqrt() * eps_hat + variance.sqrt() * z


@wrong("diffusion.ddim_step", "sigma_of_one_step")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, before, _ = ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)
    _, _, sigma = ddim_parts(x_t, eps_hat, t, t - 1, eta, alpha_bar)
    return before.sqrt() * x_0 + (1 - before - sigma**2).sqrt() * eps_hat + sigma * z


@wrong("diffusion.ddim_step", "along_the_last_axis")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    now, before = alpha_bar[t], alpha_bar[s]
    sigma = eta * ((1 - before) / (1 - now) * (1 - now / before)).sqrt()
    x_0 = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    return before.sqrt() * x_0 + (1 - before - sigma**2).sqrt() * eps_hat + sigma * z


@wrong("diffusion.ddim_step", "random")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, before, sigma = ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return before.sqrt() * x_0 + (1 - before - sigma**2).sqrt() * eps_hat + sigma * torch.randn_like(z)


@wrong("diffusion.ddim_step", "not_finite")  # 0 and 0 again at s = 0
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, before, sigma = ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)
    left = (1 - before) * (1 - sigma**2 / (1 - before))
    return before.sqrt() * x_0 + left.sqrt() * eps_hat + sigma * z


@wrong("diffusion.ddim_step", "exchanged")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, before, sigma = ddim_parts(eps_hat, x_t, t, s, eta, alpha_bar)
    return before.sqrt() * x_0 + (1 - before - sigma**2).sqrt() * eps_hat + sigma * z


@wrong("diffusion.ddim_step", "noises_exchanged")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, before, sigma = ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return before.sqrt() * x_0 + (1 - before - sigma**2).sqrt() * z + sigma * eps_hat


@wrong("diffusion.ddim_step", "clamped")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, before, sigma = ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return before.sqrt() * x_0.clamp(-1, 1) + (1 - before - sigma**2).sqrt() * eps_hat + sigma * z


@wrong("diffusion.ddim_step", "room_added")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, before, sigma = ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return before.sqrt() * x_0 + (1 - before + sigma**2).sqrt() * eps_hat + sigma * z


@wrong("diffusion.ddim_step", "noise_of_t")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, before, sigma = ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)
    now = per_example(alpha_bar[t], x_t)
    return before.sqrt() * x_0 + (1 - now - sigma**2).sqrt() * eps_hat + sigma * z


@wrong("diffusion.ddim_step", "signal_of_t")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, before, sigma = ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)
    now = per_example(alpha_bar[t], x_t)
    return now.sqrt() * x_0 + (1 - before - sigma**2).sqrt() * eps_hat + sigma * z


@wrong("diffusion.ddim_step", "noise_subtracted")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, before, sigma = ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return before.sqrt() * x_0 + (1 - before - sigma**2).sqrt() * eps_hat - sigma * z


@wrong("diffusion.ddim_step", "ignores_s")  # eight steps of 200, as in the lab
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, before, sigma = ddim_parts(x_t, eps_hat, t, t - 8, eta, alpha_bar)
    return before.sqrt() * x_0 + (1 - before - sigma**2).sqrt() * eps_hat + sigma * z


@wrong("diffusion.ddim_step", "foreign")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, before, sigma = ddim_parts(x_t, eps_hat, t, s, eta, noisy)
    return before.sqrt() * x_0 + (1 - before - sigma**2).sqrt() * eps_hat + sigma * z


@wrong("diffusion.ddim_step", "error")  # one `if` for all examples
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, before, sigma = ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)
    if s == 0:
        return x_0
    return before.sqrt() * x_0 + (1 - before - sigma**2).sqrt() * eps_hat + sigma * z


@wrong("diffusion.ddim_step", "shape")  # right for images alone
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    now, before = alpha_bar[t].view(-1, 1, 1, 1), alpha_bar[s].view(-1, 1, 1, 1)
    x_0 = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    var = eta**2 * (1 - before) / (1 - now) * (1 - now / before)
    return before.sqrt() * x_0 + (1 - before - var).clamp(min=0).sqrt() * eps_hat + var.sqrt() * z


@wrong("diffusion.ddim_step", "in_place")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    _, before, sigma = ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)
    now = per_example(alpha_bar[t], x_t)
    x_t -= (1 - now).sqrt() * eps_hat
    return (before / now).sqrt() * x_t + (1 - before - sigma**2).sqrt() * eps_hat + sigma * z


# --- ddim_step: right -----------------------------------------------------------------------------------------------


@right("diffusion.ddim_step")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, before, sigma = ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return before.sqrt() * x_0 + (1 - before - sigma**2).sqrt() * eps_hat + sigma * z


@right("diffusion.ddim_step")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    out = torch.zeros_like(x_t)
    for i in range(len(x_t)):
        now, before = float(alpha_bar[t[i]]), float(alpha_bar[s[i]])
        variance = eta**2 * (1 - before) / (1 - now) * (1 - now / before)
        x_0 = (x_t[i] - math.sqrt(1 - now) * eps_hat[i]) / math.sqrt(now)
        out[i] = math.sqrt(before) * x_0 + math.sqrt(1 - before - variance) * eps_hat[i] + math.sqrt(variance) * z[i]
    return out


@right("diffusion.ddim_step")  # how x_t is scaled, and how much noise is taken out of it
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    now, before = per_example(alpha_bar[t], x_t), per_example(alpha_bar[s], x_t)
    scale, variance = (before / now).sqrt(), eta**2 * (1 - before) / (1 - now) * (1 - now / before)
    return scale * x_t + ((1 - before - variance).sqrt() - scale * (1 - now).sqrt()) * eps_hat + variance.sqrt() * z


@right("diffusion.ddim_step")  # the angle of ᾱ
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    to, angle = alpha_bar[s].sqrt().acos(), alpha_bar[t].sqrt().acos()
    sigma = eta * to.sin() / angle.sin() * (1 - (angle.cos() / to.cos()) ** 2).sqrt()
    to, angle, sigma = (per_example(a, x_t) for a in (to, angle, sigma))
    x_0 = (x_t - angle.sin() * eps_hat) / angle.cos()
    return to.cos() * x_0 + (to.sin() ** 2 - sigma**2).clamp(min=0).sqrt() * eps_hat + sigma * z


# --- guide: wrong ---------------------------------------------------------------------------------------------------


@wrong("diffusion.guide", "from_none")
def guide(eps_label, eps_none, w):
    return torch.lerp(eps_none, eps_label, w)


@wrong("diffusion.guide", "from_none")
def guide(eps_label, eps_none, w):
    return w * eps_label - (w - 1) * eps_none


@wrong("diffusion.guide", "exchanged")
def guide(eps_label, eps_none, w):
    return eps_none + w * (eps_none - eps_label)


@wrong("diffusion.guide", "blended")
def guide(eps_label, eps_none, w):
    return (1 - w) * eps_label + w * eps_none


@wrong("diffusion.guide", "added")
def guide(eps_label, eps_none, w):
    return (1 + w) * eps_label + w * eps_none


@wrong("diffusion.guide", "not_normalised")
def guide(eps_label, eps_none, w):
    return eps_label - w * eps_none


@wrong("diffusion.guide", "difference_alone")
def guide(eps_label, eps_none, w):
    return (1 + w) * (eps_label - eps_none)


@wrong("diffusion.guide", "w_is_1")
def guide(eps_label, eps_none, w):
    return eps_label + (eps_label - eps_none)


@wrong("diffusion.guide", "no_guidance")
def guide(eps_label, eps_none, w):
    return eps_label


@wrong("diffusion.guide", "in_place")
def guide(eps_label, eps_none, w):
    eps_label *= 1 + w
    return eps_label - w * eps_none


@wrong("diffusion.guide", "parentheses")
def guide(eps_label, eps_none, w):
    return 1 + w * eps_label - w * eps_none


@wrong("diffusion.guide", "both_multiplied")
def guide(eps_label, eps_none, w):
    return (1 + w) * (eps_label - w * eps_none)


@wrong("diffusion.guide", "clamped")
def guide(eps_label, eps_none, w):
    return ((1 + w) * eps_label - w * eps_none).clamp(-1, 1)


@wrong("diffusion.guide", "both_subtracted")
def guide(eps_label, eps_none, w):
    return (1 - w) * eps_label - w * eps_none


@wrong("diffusion.guide", "normalised_by_both")  # weights that are "normalised"
def guide(eps_label, eps_none, w):
    return ((1 + w) * eps_label - w * eps_none) / (1 + 2 * w)


@wrong("diffusion.guide", "negative")
def guide(eps_label, eps_none, w):
    return w * eps_none - (1 + w) * eps_label


@wrong("diffusion.guide", "mixing")
def guide(eps_label, eps_none, w):
    return (1 + w) * eps_label - w * eps_none.mean(0)


@wrong("diffusion.guide", "type")
def guide(eps_label, eps_none, w):
    return (1 + w) * eps_label, -w * eps_none


@wrong("diffusion.guide", "dtype")
def guide(eps_label, eps_none, w):
    return ((1 + w) * eps_label - w * eps_none).float()


# --- guide: right ---------------------------------------------------------------------------------------------------


@right("diffusion.guide")
def guide(eps_label, eps_none, w):
    return (1 + w) * eps_label - w * eps_none


@right("diffusion.guide")
def guide(eps_label, eps_none, w):
    return eps_label + w * (eps_label - eps_none)


@right("diffusion.guide")
def guide(eps_label, eps_none, w):
    return torch.lerp(eps_none, eps_label, 1 + w)


@right("diffusion.guide")
def guide(eps_label, eps_none, w):
    weights = eps_label.new_tensor([1 + w, -w])
    return torch.einsum("k,k...->...", weights, torch.stack([eps_label, eps_none]))


# --- bound_term: wrong ----------------------------------------------------------------------------------------------


def two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    """Mean and variance of the posterior, and of the model's step."""
    of_model = mean_of(x_0_hat, x_t, t, beta, alpha_bar), per_example(beta[t], x_0)
    return mean_of(x_0, x_t, t, beta, alpha_bar), var_of(x_0, t, beta, alpha_bar), *of_model


def kl_of(mean_1, var_1, mean_2, var_2):
    return 0.5 * (torch.log(var_2 / var_1) + var_1 / var_2 - 1 + (mean_1 - mean_2) ** 2 / var_2)


@wrong("diffusion.bound_term", "mean_over_pixels")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    return kl_of(*two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)).flatten(1).mean(1)


@wrong("diffusion.bound_term", "summed_over_batch")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    return kl_of(*two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)).sum()


@wrong("diffusion.bound_term", "for_each_pixel")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    return kl_of(*two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar))


@wrong("diffusion.bound_term", "turned")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    mean_1, var_1, mean_2, var_2 = two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    return kl_of(mean_2, var_2, mean_1, var_1).flatten(1).sum(1)


@wrong("diffusion.bound_term", "in_bits")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    return kl_of(*two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)).flatten(1).sum(1) / math.log(2)


@wrong("diffusion.bound_term", "means_alone")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    mean_1, _, mean_2, var_2 = two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    return ((mean_1 - mean_2) ** 2 / (2 * var_2)).flatten(1).sum(1)


@wrong("diffusion.bound_term", "beta_tilde_for_both")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    mean_1, var_1, mean_2, _ = two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    return kl_of(mean_1, var_1, mean_2, var_1).flatten(1).sum(1)


@wrong("diffusion.bound_term", "no_half")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    return 2 * kl_of(*two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)).flatten(1).sum(1)


@wrong("diffusion.bound_term", "no_minus_1")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    return (kl_of(*two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)) + 0.5).flatten(1).sum(1)


@wrong("diffusion.bound_term", "log_turned")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    mean_1, var_1, mean_2, var_2 = two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    terms = 0.5 * (torch.log(var_1 / var_2) + var_1 / var_2 - 1 + (mean_1 - mean_2) ** 2 / var_2)
    return terms.flatten(1).sum(1)


@wrong("diffusion.bound_term", "variance_squared")  # torch's Normal takes a standard deviation
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    mean_1, var_1, mean_2, var_2 = two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    normal = torch.distributions.Normal
    return torch.distributions.kl_divergence(normal(mean_1, var_1), normal(mean_2, var_2)).flatten(1).sum(1)


@wrong("diffusion.bound_term", "x_0_compared")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    _, var_1, _, var_2 = two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    return kl_of(x_0, var_1, x_0_hat, var_2).flatten(1).sum(1)


@wrong("diffusion.bound_term", "one_step_early")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    return kl_of(*two_gaussians(x_0, x_t, t - 1, x_0_hat, beta, alpha_bar)).flatten(1).sum(1)


@wrong("diffusion.bound_term", "negative")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    return -kl_of(*two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)).flatten(1).sum(1)


@wrong("diffusion.bound_term", "distance_over_beta_tilde")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    mean_1, var_1, mean_2, var_2 = two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    nats = 0.5 * (torch.log(var_2 / var_1) + var_1 / var_2 - 1 + (mean_1 - mean_2) ** 2 / var_1)
    return nats.flatten(1).sum(1)


@wrong("diffusion.bound_term", "distance_not_squared")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    mean_1, var_1, mean_2, var_2 = two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    nats = 0.5 * (torch.log(var_2 / var_1) + var_1 / var_2 - 1 + (mean_1 - mean_2).abs() / var_2)
    return nats.flatten(1).sum(1)


@wrong("diffusion.bound_term", "variances_alone")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    _, var_1, _, var_2 = two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    nats = 0.5 * (torch.log(var_2 / var_1) + var_1 / var_2 - 1)
    return nats.expand_as(x_0).flatten(1).sum(1)


@wrong("diffusion.bound_term", "variances_once")  # one number for each example, and nobody spread it
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    mean_1, var_1, mean_2, var_2 = two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    spread = (torch.log(var_2 / var_1) + var_1 / var_2 - 1).reshape(len(x_0), -1)[:, 0]
    return 0.5 * (spread + ((mean_1 - mean_2) ** 2 / var_2).flatten(1).sum(1))


@wrong("diffusion.bound_term", "half_of_the_bracket")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    mean_1, var_1, mean_2, var_2 = two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    nats = 0.5 * (torch.log(var_2 / var_1) + var_1 / var_2 - 1) + (mean_1 - mean_2) ** 2 / var_2
    return nats.expand_as(x_0).flatten(1).sum(1)


@wrong("diffusion.bound_term", "mean_times_64")  # the pixels of a digit
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    return 64 * kl_of(*two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)).flatten(1).mean(1)


@wrong("diffusion.bound_term", "foreign")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    return kl_of(*two_gaussians(x_0, x_t, t, x_0_hat, beta, noisy)).flatten(1).sum(1)


@wrong("diffusion.bound_term", "error")  # right for images alone
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    return kl_of(*two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)).sum((1, 2, 3))


@wrong("diffusion.bound_term", "shape")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    return kl_of(*two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)).flatten(1).sum(1, keepdim=True)


@wrong("diffusion.bound_term", "factor")  # for each of 64 pixels
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    return kl_of(*two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)).flatten(1).sum(1) / 64


@wrong("diffusion.bound_term", "shape")  # one number for all
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    return float(kl_of(*two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)).flatten(1).sum(1).mean())


# --- bound_term: right ----------------------------------------------------------------------------------------------


@right("diffusion.bound_term")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    return kl_of(*two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)).flatten(1).sum(1)


@right("diffusion.bound_term")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    mean_1, var_1, mean_2, var_2 = two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    normal = torch.distributions.Normal
    kl = torch.distributions.kl_divergence(normal(mean_1, var_1.sqrt()), normal(mean_2, var_2.sqrt()))
    return torch.stack([row.sum() for row in kl])


@right("diffusion.bound_term")  # the constant apart, and the means' distance from that of x_0
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    b, now, before = beta[t], alpha_bar[t], alpha_bar[t - 1]
    ratio, dims = (1 - before) / (1 - now), x_0[0].numel()
    squared = (x_0 - x_0_hat).reshape(len(x_0), -1).square().sum(1)
    return 0.5 * (dims * (ratio - 1 - ratio.log()) + before * b / (1 - now) ** 2 * squared)


# --- found by a hunt ------------------------------------------------------------------------------------------------


@right("diffusion.ancestral")  # as the paper writes it: no noise in the last step
def ancestral(net, step, x_T, z):
    x_ts = [x_T]
    for i in range(len(z) - 1, 0, -1):
        t = torch.full((len(x_T),), i)
        noise = z[i] if i > 1 else torch.zeros_like(x_T)
        x_ts.append(step(x_ts[-1], t, net(x_ts[-1], t), noise))
    return torch.stack(x_ts)


@wrong("diffusion.ancestral", "shape")  # return stands inside the loop
def ancestral(net, step, x_T, z):
    x_ts = [x_T]
    for i in range(len(z) - 1, 0, -1):
        t = torch.full((len(x_T),), i)
        x_ts.append(step(x_ts[-1], t, net(x_ts[-1], t), z[i]))
        return torch.stack(x_ts)


@wrong("diffusion.guide", "no_guidance")  # for a small w
def guide(eps_label, eps_none, w):
    return (1 + w) * eps_label - w * eps_none if w > 1 else eps_label


@wrong("diffusion.q_sample", "dtype")  # float64, and so is everything behind it
def q_sample(x_0, t, eps, alpha_bar):
    bar = alpha_bar.double()[t].view(-1, *[1] * (x_0.dim() - 1))
    return bar.sqrt() * x_0 + (1 - bar).sqrt() * eps


@wrong("diffusion.q_sample", "error")  # t is no single number
def q_sample(x_0, t, eps, alpha_bar):
    for s in range(t):
        x_0 = (alpha_bar[s + 1] / alpha_bar[s]).sqrt() * x_0
    return x_0 + (1 - alpha_bar[t]).sqrt() * eps


def posterior_of(x_0, x_t, t, beta, alpha_bar):
    b, now, before = (table.view(-1, *[1] * (x_0.dim() - 1)) for table in (beta[t], alpha_bar[t], alpha_bar[t - 1]))
    mean = before.sqrt() * b / (1 - now) * x_0 + (1 - b).sqrt() * (1 - before) / (1 - now) * x_t
    return mean, (1 - before) / (1 - now) * b, b


@wrong("diffusion.bound_term", "along_the_batch")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    mean, tilde, b = posterior_of(x_0, x_t, t, beta, alpha_bar)
    own, _, _ = posterior_of(x_0_hat, x_t, t, beta, alpha_bar)
    return (0.5 * ((b / tilde).log() + tilde / b - 1 + (mean - own) ** 2 / b)).sum(0)


@wrong("diffusion.ddim_steps", "multiples_below_T")
def ddim_steps(T, n):
    return torch.arange(n, -1, -1) * (T // n)


@wrong("diffusion.ddim_steps", "strides_rounded")
def ddim_steps(T, n):
    return torch.tensor([T - i * round(T / n) for i in range(n)] + [0])


def guess_and_levels(x_t, eps_hat, t, s, alpha_bar):
    now, before = (alpha_bar[i].view(-1, *[1] * (x_t.dim() - 1)) for i in (t, s))
    return (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt(), now, before


@wrong("diffusion.ddim_step", "second_ratio_missing")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, now, before = guess_and_levels(x_t, eps_hat, t, s, alpha_bar)
    sigma_2 = eta**2 * (1 - before) / (1 - now)
    return before.sqrt() * x_0 + (1 - before - sigma_2).clamp(min=0).sqrt() * eps_hat + sigma_2.sqrt() * z


@wrong("diffusion.ddim_step", "first_ratio_missing")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, now, before = guess_and_levels(x_t, eps_hat, t, s, alpha_bar)
    sigma_2 = eta**2 * (1 - now / before)
    return before.sqrt() * x_0 + (1 - before - sigma_2).clamp(min=0).sqrt() * eps_hat + sigma_2.sqrt() * z


@wrong("diffusion.ddim_step", "second_ratio_missing")  # and no clamp
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, now, before = guess_and_levels(x_t, eps_hat, t, s, alpha_bar)
    sigma_2 = eta**2 * (1 - before) / (1 - now)
    return before.sqrt() * x_0 + (1 - before - sigma_2).sqrt() * eps_hat + sigma_2.sqrt() * z


@wrong("diffusion.ddim_step", "no_room_left")  # a root of a negative number
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, now, before = guess_and_levels(x_t, eps_hat, t, s, alpha_bar)
    sigma_2 = eta**2 * (1 - before) / (1 - now) * (1 - before / now)
    return before.sqrt() * x_0 + (1 - before - sigma_2).sqrt() * eps_hat + sigma_2.sqrt() * z


# --- what two readers met -------------------------------------------------------------------------------------------


@wrong("diffusion.q_sample", "error")
def q_sample(x_0, t, eps, alpha_bar):
    a = alpha_bar[int(t)]
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


@wrong("diffusion.q_sample", "along_the_rows")  # right for points
def q_sample(x_0, t, eps, alpha_bar):
    a = alpha_bar[t].view(-1, 1)
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


@wrong("diffusion.q_sample", "squared_again")
def q_sample(x_0, t, eps, alpha_bar):
    a = per_example(alpha_bar[t], x_0)
    return a * x_0 + torch.sqrt(1 - a**2) * eps


@right("diffusion.q_sample")
def q_sample(x_0, t, eps, alpha_bar):
    a = alpha_bar[t][:, None]
    return (a.sqrt() * x_0.flatten(1) + (1 - a).sqrt() * eps.flatten(1)).view_as(x_0)


@right("diffusion.q_sample")
def q_sample(x_0, t, eps, alpha_bar):
    return torch.vmap(lambda x, a, e: a.sqrt() * x + (1 - a).sqrt() * e)(x_0, alpha_bar[t], eps)


@wrong("diffusion.posterior", "nan_gradient")  # 0 times infinity, in the branch not taken
def posterior(x_0, x_t, t, beta, alpha_bar):
    b, _, _, before = at(x_0, t, beta, alpha_bar)
    first = before == 1
    var = torch.where(first, torch.zeros_like(b), 1 / ((1 - b) / b + 1 / (1 - before)))
    mean = var * ((1 - b).sqrt() / b * x_t + before.sqrt() / (1 - before) * x_0)
    return torch.where(first, x_0, mean), var


@wrong("diffusion.posterior", "no_roots")
def posterior(x_0, x_t, t, beta, alpha_bar):
    b, a, now, before = at(x_0, t, beta, alpha_bar)
    mean = before * b / (1 - now) * x_0 + a * (1 - before) / (1 - now) * x_t
    return mean, (1 - before) / (1 - now) * b


@wrong("diffusion.posterior", "slip")  # var, (B, 1, ..., 1), comes first
def posterior(x_0, x_t, t, beta, alpha_bar):
    return var_of(x_0, t, beta, alpha_bar), mean_of(x_0, x_t, t, beta, alpha_bar)


@wrong("diffusion.loss", "lengths_averaged")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return torch.linalg.vector_norm(apart(net, x_0, t, eps, alpha_bar, predict).flatten(1), dim=1).mean()


@wrong("diffusion.loss", "in_eps")
def loss(net, x_0, t, eps, alpha_bar, predict):
    x_t, a = noised(x_0, t, eps, alpha_bar), per_example(alpha_bar[t], x_0)
    said = net(x_t, t)
    if predict == "x_0":
        said = (x_t - a.sqrt() * said) / (1 - a).sqrt()
    if predict == "v":
        said = (1 - a).sqrt() * x_t + a.sqrt() * said
    return ((said - eps) ** 2).mean()


@right("diffusion.loss")  # the net is asked about one example at a time
def loss(net, x_0, t, eps, alpha_bar, predict):
    x_t, wanted = noised(x_0, t, eps, alpha_bar), goal(x_0, t, eps, alpha_bar, predict)
    each = [((net(x_t[i : i + 1], t[i : i + 1]) - wanted[i : i + 1]) ** 2).mean() for i in range(len(t))]
    return torch.stack(each).mean()


@right("diffusion.loss")
def loss(net, x_0, t, eps, alpha_bar, predict):
    def one(x, s, w):
        return (net(x[None], s[None])[0] - w).square().mean()

    return torch.vmap(one)(noised(x_0, t, eps, alpha_bar), t, goal(x_0, t, eps, alpha_bar, predict)).mean()


@wrong("diffusion.reverse_step", "x_0_clamped")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    a, b = per_example(alpha_bar[t], x_t), per_example(beta[t], x_t)
    x_0 = ((x_t - (1 - a).sqrt() * eps_hat) / a.sqrt()).clip(-1, 1)
    return mean_of(x_0, x_t, t, beta, alpha_bar) + per_example(t > 1, x_t) * b.sqrt() * z


@wrong("diffusion.reverse_step", "alpha_not_rooted")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    a, b = per_example(alpha_bar[t], x_t), per_example(beta[t], x_t)
    return (x_t - b / (1 - a).sqrt() * eps_hat) / (1 - b) + per_example(t > 1, x_t) * b.sqrt() * z


@wrong("diffusion.reverse_step", "beta_early")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    a, b = per_example(alpha_bar[t], x_t), per_example(beta[t - 1], x_t)
    return (x_t - b / (1 - a).sqrt() * eps_hat) / (1 - b).sqrt() + per_example(t > 1, x_t) * b.sqrt() * z


@wrong("diffusion.ddim_step", "eta_on_z_alone")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, now, then = guess_and_levels(x_t, eps_hat, t, s, alpha_bar)
    variance = (1 - then) / (1 - now) * (1 - now / then)
    return then.sqrt() * x_0 + (1 - then - variance).clamp(min=0).sqrt() * eps_hat + eta * variance.sqrt() * z


@wrong("diffusion.ddim_step", "eta_twice")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, now, then = guess_and_levels(x_t, eps_hat, t, s, alpha_bar)
    sigma = eta * ((1 - then) / (1 - now) * (1 - now / then)).sqrt()
    return then.sqrt() * x_0 + (1 - then - sigma**2).clamp(min=0).sqrt() * eps_hat + eta * sigma * z


@right("diffusion.bound_term")  # no gradients are asked for
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    terms = kl_of(*two_gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)).numpy()
    return terms.reshape(len(terms), -1).sum(-1)


@right("diffusion.ddim_steps")
def ddim_steps(T, n):
    return np.rint(np.linspace(T, 0, n + 1)).astype(int)


# --- training_step: wrong -------------------------------------------------------------------------------------------


def simple(net, x_0, t, eps, alpha_bar):
    return (net(noised(x_0, t, eps, alpha_bar), t) - eps).square().mean()


def stepped(optimizer, value):
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value.detach()


@wrong("diffusion.training_step", "piled_up")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    value = simple(net, x_0, t, eps, alpha_bar)
    value.backward()
    optimizer.step()
    return value.item()


@wrong("diffusion.training_step", "piled_up")  # emptied after the step
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    value = simple(net, x_0, t, eps, alpha_bar)
    value.backward()
    optimizer.step()
    optimizer.zero_grad()
    return value.item()


@wrong("diffusion.training_step", "no_slopes")  # emptied before the step
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    value = simple(net, x_0, t, eps, alpha_bar)
    value.backward()
    optimizer.zero_grad()
    optimizer.step()
    return value.detach()


@wrong("diffusion.training_step", "no_slopes")  # no backward
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    optimizer.zero_grad()
    value = simple(net, x_0, t, eps, alpha_bar)
    optimizer.step()
    return value.detach()


@wrong("diffusion.training_step", "no_step")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    optimizer.zero_grad()
    value = simple(net, x_0, t, eps, alpha_bar)
    value.backward()
    return value.item()


@wrong("diffusion.training_step", "no_step")  # exercise 5 once more
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    with torch.no_grad():
        return simple(net, x_0, t, eps, alpha_bar)


@wrong("diffusion.training_step", "step_first")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    optimizer.step()
    optimizer.zero_grad()
    value = simple(net, x_0, t, eps, alpha_bar)
    value.backward()
    return value.item()


@wrong("diffusion.training_step", "step_first")  # the loss comes before, its slopes after
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    value = simple(net, x_0, t, eps, alpha_bar)
    optimizer.step()
    optimizer.zero_grad()
    value.backward()
    return value.item()


@wrong("diffusion.training_step", "uphill")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    return -stepped(optimizer, -simple(net, x_0, t, eps, alpha_bar))


@wrong("diffusion.training_step", "loss_negated")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    return stepped(optimizer, -simple(net, x_0, t, eps, alpha_bar))


@wrong("diffusion.training_step", "summed")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    return stepped(optimizer, (net(noised(x_0, t, eps, alpha_bar), t) - eps).pow(2).sum())


@wrong("diffusion.training_step", "summed_over_pixels")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    return stepped(optimizer, (net(noised(x_0, t, eps, alpha_bar), t) - eps).pow(2).flatten(1).sum(1).mean())


@wrong("diffusion.training_step", "summed_over_batch")  # gradients are gathered example by example
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    optimizer.zero_grad()
    total = 0.0
    for i in range(len(x_0)):
        one = slice(i, i + 1)
        value = simple(net, x_0[one], t[one], eps[one], alpha_bar)
        value.backward()
        total += value.item()
    optimizer.step()
    return total


@wrong("diffusion.training_step", "summed_backward")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    squares = (net(noised(x_0, t, eps, alpha_bar), t) - eps) ** 2
    stepped(optimizer, squares.sum())
    return squares.mean().item()


@wrong("diffusion.training_step", "sum_returned")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    squares = (net(noised(x_0, t, eps, alpha_bar), t) - eps) ** 2
    stepped(optimizer, squares.mean())
    return squares.sum().item()


@wrong("diffusion.training_step", "halved")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    return stepped(optimizer, 0.5 * simple(net, x_0, t, eps, alpha_bar))


@wrong("diffusion.training_step", "absolute")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    return stepped(optimizer, torch.nn.functional.l1_loss(net(noised(x_0, t, eps, alpha_bar), t), eps))


@wrong("diffusion.training_step", "rooted")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    return stepped(optimizer, simple(net, x_0, t, eps, alpha_bar).sqrt())


@wrong("diffusion.training_step", "target_x_0")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    return stepped(optimizer, torch.nn.functional.mse_loss(net(noised(x_0, t, eps, alpha_bar), t), x_0))


@wrong("diffusion.training_step", "target_v")  # as the digits have it
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    return stepped(optimizer, apart(net, x_0, t, eps, alpha_bar, "v").square().mean())


@wrong("diffusion.training_step", "target_x_t")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    x_t = noised(x_0, t, eps, alpha_bar)
    return stepped(optimizer, (net(x_t, t) - x_t).square().mean())


@wrong("diffusion.training_step", "target_scaled")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    signal, _ = signal_noise(t, alpha_bar, x_0)
    x_t = noised(x_0, t, eps, alpha_bar)
    return stepped(optimizer, (net(x_t, t) - (x_t - signal * x_0)).square().mean())


@wrong("diffusion.training_step", "shown_x_0")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    return stepped(optimizer, (net(x_0, t) - eps).square().mean())


@wrong("diffusion.training_step", "exchanged")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    return stepped(optimizer, (net(noised(eps, t, x_0, alpha_bar), t) - eps).square().mean())


@wrong("diffusion.training_step", "no_roots")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    a = per_example(alpha_bar[t], x_0)
    return stepped(optimizer, (net(a * x_0 + (1 - a) * eps, t) - eps).square().mean())


@wrong("diffusion.training_step", "not_shrunk")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    _, noise = signal_noise(t, alpha_bar, x_0)
    return stepped(optimizer, (net(x_0 + noise * eps, t) - eps).square().mean())


@wrong("diffusion.training_step", "told_t_minus_1")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    return stepped(optimizer, (net(noised(x_0, t, eps, alpha_bar), t - 1) - eps).square().mean())


@wrong("diffusion.training_step", "one_step_early")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    return stepped(optimizer, (net(noised(x_0, t - 1, eps, alpha_bar), t) - eps).square().mean())


@wrong("diffusion.training_step", "first_step_for_all")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    t = torch.full_like(t, int(t[0]))
    return stepped(optimizer, simple(net, x_0, t, eps, alpha_bar))


@wrong("diffusion.training_step", "noise_drawn")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    return stepped(optimizer, simple(net, x_0, t, torch.randn_like(x_0), alpha_bar))


@wrong("diffusion.training_step", "noise_drawn")  # two noises: one in x_t, one for a target
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    x_t = noised(x_0, t, torch.randn_like(x_0), alpha_bar)
    return stepped(optimizer, (net(x_t, t) - eps).square().mean())


@wrong("diffusion.training_step", "steps_drawn")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    t = torch.randint(1, len(alpha_bar), (len(x_0),))
    return stepped(optimizer, simple(net, x_0, t, eps, alpha_bar))


@wrong("diffusion.training_step", "loss_afterwards")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    stepped(optimizer, simple(net, x_0, t, eps, alpha_bar))
    return simple(net, x_0, t, eps, alpha_bar).item()


@wrong("diffusion.training_step", "two_steps")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    first, _ = (stepped(optimizer, simple(net, x_0, t, eps, alpha_bar)) for _ in range(2))
    return first


@wrong("diffusion.training_step", "stepped_twice")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    value = stepped(optimizer, simple(net, x_0, t, eps, alpha_bar))
    optimizer.step()
    return value


@wrong("diffusion.training_step", "step_for_each")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    values = []
    for i in range(len(x_0)):
        one = slice(i, i + 1)
        values.append(stepped(optimizer, simple(net, x_0[one], t[one], eps[one], alpha_bar)))
    return torch.stack(values).mean()


@wrong("diffusion.training_step", "own_line")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    value = simple(net, x_0, t, eps, alpha_bar)
    slopes = torch.autograd.grad(value, list(net.parameters()))
    with torch.no_grad():
        for weight, slope in zip(net.parameters(), slopes, strict=True):
            weight -= optimizer.param_groups[0]["lr"] * slope
    return value.item()


@wrong("diffusion.training_step", "another_optimizer")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    return stepped(optimizer, simple(net, x_0, t, eps, alpha_bar))


@wrong("diffusion.training_step", "clipped")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    optimizer.zero_grad()
    value = simple(net, x_0, t, eps, alpha_bar)
    value.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    return value.item()


@wrong("diffusion.training_step", "graph_kept")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    value = simple(net, x_0, t, eps, alpha_bar)
    stepped(optimizer, value)
    return value


@wrong("diffusion.training_step", "none")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    stepped(optimizer, simple(net, x_0, t, eps, alpha_bar))


@wrong("diffusion.training_step", "error")  # cut off before the slopes are asked for
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    value = (net(noised(x_0, t, eps, alpha_bar), t).detach() - eps).square().mean()
    return stepped(optimizer, value)


@wrong("diffusion.training_step", "error")  # t is forgotten
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    return stepped(optimizer, (net(noised(x_0, t, eps, alpha_bar)) - eps).square().mean())


@wrong("diffusion.training_step", "error")  # t as a share of the whole
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    return stepped(optimizer, (net(noised(x_0, t, eps, alpha_bar), t / len(alpha_bar)) - eps).square().mean())


@wrong("diffusion.training_step", "error")  # one slope asked for each example
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    return stepped(optimizer, (net(noised(x_0, t, eps, alpha_bar), t) - eps).square().flatten(1).mean(1))


@wrong("diffusion.training_step", "in_place")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    signal, noise = signal_noise(t, alpha_bar, x_0)
    x_0 *= signal
    x_0 += noise * eps
    return stepped(optimizer, (net(x_0, t) - eps).square().mean())


@wrong("diffusion.training_step", "foreign")  # the notebook's table
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    return stepped(optimizer, simple(net, x_0, t, eps, noisy))


@wrong("diffusion.training_step", "type")  # several things at once
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    x_t = noised(x_0, t, eps, alpha_bar)
    return stepped(optimizer, simple(net, x_0, t, eps, alpha_bar)), x_t


# --- training_step: right -------------------------------------------------------------------------------------------


@right("diffusion.training_step")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    return stepped(optimizer, simple(net, x_0, t, eps, alpha_bar))


@right("diffusion.training_step")  # emptied at first, a plain number at last
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    net.zero_grad()
    value = torch.nn.functional.mse_loss(net(noised(x_0, t, eps, alpha_bar), t), eps)
    value.backward()
    optimizer.step()
    optimizer.zero_grad()
    return value.item()


@right("diffusion.training_step")  # the slopes are written where the optimizer looks for them
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    value = simple(net, x_0, t, eps, alpha_bar)
    weights = list(net.parameters())
    for weight, slope in zip(weights, torch.autograd.grad(value, weights), strict=True):
        weight.grad = slope
    optimizer.step()
    return value.detach()


@right("diffusion.training_step")  # the optimizer asks for the loss itself
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    def value():
        optimizer.zero_grad()
        error = simple(net, x_0, t, eps, alpha_bar)
        error.backward()
        return error

    return optimizer.step(value).detach()


@right("diffusion.training_step")  # one example after another, one step for all
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    optimizer.zero_grad(set_to_none=False)
    total = 0.0
    for i in range(len(x_0)):
        one = slice(i, i + 1)
        value = simple(net, x_0[one], t[one], eps[one], alpha_bar) / len(x_0)
        value.backward()
        total += value.item()
    optimizer.step()
    return np.float64(total)


@right("diffusion.training_step")  # in the plain words of the equation, loops and all
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    optimizer.zero_grad()
    signal, noise = zip(*((alpha_bar[i].sqrt(), (1 - alpha_bar[i]).sqrt()) for i in t), strict=True)
    x_t = torch.stack([a * x + b * e for a, b, x, e in zip(signal, noise, x_0, eps, strict=True)])
    errors = (net(x_t, t) - eps).flatten()
    value = errors @ errors / len(errors)
    value.backward()
    optimizer.step()
    return value.item()


# --- one name gets the answer of another ----------------------------------------------------------------------------


def renamed(names, mistake):
    """Answers to exercises 4 and 5, in which each name stands for the one that `names` has beside it."""

    @wrong("diffusion.target", mistake)
    def target(x_0, eps, t, alpha_bar, predict):
        signal, noise = signal_noise(t, alpha_bar, x_0)
        return one_of(x_0, eps, names(predict), signal * eps - noise * x_0)

    @wrong("diffusion.loss", mistake if mistake != "exchanged" else "names_mixed")
    def loss(net, x_0, t, eps, alpha_bar, predict):
        return apart(net, x_0, t, eps, alpha_bar, names(predict)).square().mean()


for asked, given in itertools.permutations(("eps", "x_0", "v"), 2):
    renamed(lambda name, asked=asked, given=given: given if name == asked else name, f"{asked}_gives_{given}")
for order, mistake in {
    ("x_0", "eps", "v"): "exchanged",
    ("v", "x_0", "eps"): "names_mixed",
    ("eps", "v", "x_0"): "names_mixed",
    ("x_0", "v", "eps"): "names_mixed",
    ("v", "eps", "x_0"): "names_mixed",
}.items():
    renamed(lambda name, order=order: order[("eps", "x_0", "v").index(name)], mistake)
for one in ("eps", "x_0", "v"):
    renamed(lambda name, one=one: one, f"always_{one}")


@wrong("diffusion.target", "x_0_gives_v")  # a misspelt name
def target(x_0, eps, t, alpha_bar, predict):
    if predict == "eps":
        return eps
    if predict == "x0":
        return x_0
    signal, noise = signal_noise(t, alpha_bar, x_0)
    return signal * eps - noise * x_0


@wrong("diffusion.target", "error")  # misspelt where nothing else is found
def target(x_0, eps, t, alpha_bar, predict):
    signal, noise = signal_noise(t, alpha_bar, x_0)
    return {"eps": eps, "x0": x_0, "v": signal * eps - noise * x_0}[predict]


# --- levels of noise that are read or made wrongly --------------------------------------------------------------------


def misread(mistake, levels):
    """Answers to exercise 3 and to the bound; `levels` makes ᾱ_t and ᾱ_{t−1} from i ↦ α_i, i ↦ ᾱ_i and t."""

    def back(x_0, x_t, t, beta, alpha_bar):
        def entries(table):
            return lambda i: per_example(table[i.clamp(max=len(table) - 1)], x_0)

        now, before = levels(entries(1 - beta), entries(alpha_bar), t)
        b = per_example(beta[t], x_0)
        mean = (before.sqrt() * b * x_0 + (1 - b).sqrt() * (1 - before) * x_t) / (1 - now)
        return mean, b * (1 - before) / (1 - now), b

    @wrong("diffusion.posterior", mistake)
    def posterior(x_0, x_t, t, beta, alpha_bar):
        return back(x_0, x_t, t, beta, alpha_bar)[:2]

    @wrong("diffusion.bound_term", mistake)
    def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
        mean, var, b = back(x_0, x_t, t, beta, alpha_bar)
        own, _, _ = back(x_0_hat, x_t, t, beta, alpha_bar)
        return kl_of(mean, var, own, b).flatten(1).sum(1)


misread("before_by_alpha_early", lambda a, bar, t: (bar(t), bar(t) / a(t - 1)))
misread("before_by_alpha_late", lambda a, bar, t: (bar(t), bar(t) / a(t + 1)))
misread("before_multiplied", lambda a, bar, t: (bar(t), bar(t) * a(t)))
misread("before_by_beta", lambda a, bar, t: (bar(t), bar(t) / (1 - a(t))))
misread("before_by_root", lambda a, bar, t: (bar(t), bar(t) / a(t).sqrt()))
misread("before_is_now", lambda a, bar, t: (bar(t), bar(t)))
misread("before_is_later", lambda a, bar, t: (bar(t), bar(t + 1)))
misread("now_is_before", lambda a, bar, t: (bar(t - 1), bar(t - 1)))
misread("bars_exchanged", lambda a, bar, t: (bar(t - 1), bar(t)))
misread("now_by_beta", lambda a, bar, t: (bar(t - 1) * (1 - a(t)), bar(t - 1)))
misread("now_by_alpha_early", lambda a, bar, t: (bar(t - 1) * a(t - 1), bar(t - 1)))


# --- ddim_steps: not rounded, or strides of one whole number ----------------------------------------------------------


@wrong("diffusion.ddim_steps", "not_rounded")
def ddim_steps(T, n):
    return torch.linspace(T, 0, n + 1)


@wrong("diffusion.ddim_steps", "not_rounded")  # to one decimal
def ddim_steps(T, n):
    return torch.linspace(T, 0, n + 1).round(decimals=1)


@wrong("diffusion.ddim_steps", "not_rounded")
def ddim_steps(T, n):
    return np.arange(n, -1, -1) * T / n


@wrong("diffusion.ddim_steps", "stride_whole")  # −T // n is rounded away from 0
def ddim_steps(T, n):
    return torch.arange(T, -1, -T // n)


@wrong("diffusion.ddim_steps", "stride_whole")
def ddim_steps(T, n):
    return torch.tensor([*range(T, 0, -T // n), 0])


@wrong("diffusion.ddim_steps", "stride_whole")  # one too many
def ddim_steps(T, n):
    return torch.tensor([*range(T, 0, -(T // n)), 0])


@wrong("diffusion.ddim_steps", "stride_whole")  # below 0
def ddim_steps(T, n):
    return T - torch.arange(n + 1) * math.ceil(T / n)


@wrong("diffusion.ddim_steps", "stride_whole")
def ddim_steps(T, n):
    return torch.arange(0, T + 1, math.ceil(T / n)).flip(0)


@wrong("diffusion.ancestral", "error")  # 200 steps, and the noise is read first
def ancestral(net, step, x_T, z):
    x_ts = [x_T]
    for i in range(200, 0, -1):
        noise, t = z[i], torch.full((len(x_T),), i)
        x_ts.append(step(x_ts[-1], t, net(x_ts[-1], t), noise))
    return torch.stack(x_ts)


@wrong("diffusion.ddim_step", "ratio_turned")  # with a way out at s = 0, and none below it
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x_0, now, then = guess_and_levels(x_t, eps_hat, t, s, alpha_bar)
    variance = (1 - now) / (1 - then).clamp(min=1e-12) * (1 - now / then)
    sigma = eta * torch.where(then == 1, 0 * then, variance).sqrt()
    return then.sqrt() * x_0 + (1 - then - sigma**2).clamp(min=0).sqrt() * eps_hat + sigma * z


@wrong("diffusion.guide", "no_label_at_0")
def guide(eps_label, eps_none, w):
    return eps_none if w == 0 else (1 + w) * eps_label - w * eps_none


@wrong("diffusion.alpha_bar", "last_left_at_1")
def alpha_bar(beta):
    table = beta.new_ones(len(beta) + 1)
    for t in range(1, len(beta)):
        table[t] = table[t - 1] * (1 - beta[t - 1])
    return table
