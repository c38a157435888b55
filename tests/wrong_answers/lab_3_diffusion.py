"""Lab 3: the forward chain."""
# ruff: noqa: F811  (every answer has the name that the lab gives it)
# pyright: reportRedeclaration=false

import itertools
import math

import numpy as np
import torch

from . import right, wrong

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
    return torch.from_numpy(np.concatenate([[1.0], np.cumprod(1 - beta.numpy())]))


@right("diffusion.alpha_bar")
def alpha_bar(beta):
    factors = itertools.accumulate(beta.tolist(), lambda left, b: left * (1 - b), initial=1.0)
    return torch.tensor(list(factors), dtype=torch.float64)


@right("diffusion.alpha_bar")
def alpha_bar(beta):
    T = len(beta)
    so_far = torch.ones(T + 1, T, dtype=torch.bool).tril(-1)
    return torch.where(so_far, 1 - beta, 1.0).prod(1)


# --- q_sample: wrong ------------------------------------------------------------------------------------------------


def per_example(values, like):
    return values.reshape(-1, *[1] * (like.ndim - 1))


@wrong("diffusion.q_sample", "signal_not_rooted")
def q_sample(x_0, t, eps, alpha_bar):
    a = per_example(alpha_bar[t], x_0)
    return a * x_0 + (1 - a) * eps


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


@wrong("diffusion.q_sample", "not_finite")
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
    return (flat + torch.diag(angle.sin()) @ eps.double().reshape(len(t), -1)).reshape(x_0.shape)


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
