"""Lab 3: more answers, of two hunts for mistakes that had no hint of their own."""
# ruff: noqa: F811, B905, RUF059, E731  (every answer has the name that the lab gives it)
# pyright: basic, reportRedeclaration=false, reportArgumentType=false, reportCallIssue=false

import itertools
import math

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

from . import right, wrong


def spread(v, x):
    return v.view(-1, *[1] * (x.dim() - 1))


def levels(x_0, t, beta, ab):
    return (spread(ab[t], x_0), spread(ab[t - 1], x_0), spread(beta[t], x_0))


def posterior_mean(now, bef, b, x_0, x_t):
    return bef.sqrt() * b / (1 - now) * x_0 + (1 - b).sqrt() * (1 - bef) / (1 - now) * x_t


def factors(x, t, ab):
    a = spread(ab[t], x)
    return (a.sqrt(), (1 - a).sqrt())


def noised(x, t, e, ab):
    s, n = factors(x, t, ab)
    return s * x + n * e


def goal(x, t, e, ab, p):
    s, n = factors(x, t, ab)
    return {"eps": e, "x_0": x, "v": s * e - n * x}[p]


def tables(x, t, z, beta, ab, f=None):
    return (spread(beta[t], x), spread(ab[t], x), spread((t > 1).to(x), x))


def steps_of(x, i):
    return torch.full((len(x),), i)


def guess(x, e, t, s, eta, ab):
    n, p = (spread(ab[t], x), spread(ab[s], x))
    x0 = (x - (1 - n).sqrt() * e) / n.sqrt()
    v = eta**2 * (1 - p) / (1 - n) * (1 - n / p)
    return (n, p, x0, v)


def both(x0, xt, t, beta, ab):
    n, p, b = (spread(ab[t], x0), spread(ab[t - 1], x0), spread(beta[t], x0))
    return (p.sqrt() * b / (1 - n) * x0 + (1 - b).sqrt() * (1 - p) / (1 - n) * xt, (1 - p) / (1 - n) * b)


def gaussians(x_0, x_t, t, h, beta, ab):
    m, v = both(x_0, x_t, t, beta, ab)
    q, _ = both(h, x_t, t, beta, ab)
    return (m, v, q, spread(beta[t], x_0))


summed = lambda k: k.flatten(1).sum(1)


@wrong("diffusion.alpha_bar", "logarithms")
def alpha_bar(beta):
    return torch.cat([beta.new_zeros(1), torch.log(1 - beta).cumsum(0)])


@wrong("diffusion.alpha_bar", "subtracted_too_late")
def alpha_bar(beta):
    return torch.cat([beta.new_ones(1), 1 - beta.cumprod(0)])


@wrong("diffusion.alpha_bar", "one_step_late")
def alpha_bar(beta):
    return torch.cat([beta.new_ones(2), (1 - beta).cumprod(0)[:-1]])


@wrong("diffusion.alpha_bar", "growing")
def alpha_bar(beta):
    return torch.cat([beta.new_ones(1), (1 + beta).cumprod(0)])


@wrong("diffusion.alpha_bar", "squared")
def alpha_bar(beta):
    return torch.cat([beta.new_ones(1), (1 - beta).cumprod(0)]) ** 2


@wrong("diffusion.alpha_bar", "beta_rooted")
def alpha_bar(beta):
    return torch.cat([beta.new_ones(1), (1 - beta.sqrt()).cumprod(0)])


@wrong("diffusion.alpha_bar", "last_step_repeated")
def alpha_bar(beta):
    t = torch.arange(1, len(beta) + 1)
    return torch.cat([beta.new_ones(1), (1 - beta) ** t])


@wrong("diffusion.alpha_bar", "averaged")
def alpha_bar(beta):
    n = torch.arange(1, len(beta) + 1)
    return torch.cat([beta.new_ones(1), (1 - beta).cumsum(0) / n])


@wrong("diffusion.alpha_bar", "first_skipped")
def alpha_bar(beta):
    a = torch.ones(len(beta) + 1, dtype=beta.dtype)
    for t in range(1, len(beta)):
        a[t] = a[t - 1] * (1 - beta[t])
    return a


@wrong("diffusion.alpha_bar", "left_turned")
def alpha_bar(beta):
    a = [beta.new_ones(())]
    for b in beta:
        a.append(1 - b * a[-1])
    return torch.stack(a)


@wrong("diffusion.alpha_bar", "first_is_alpha_1")
def alpha_bar(beta):
    return torch.cat([1 - beta[:1], (1 - beta).cumprod(0)])


@right("diffusion.alpha_bar")
def alpha_bar(beta):
    return F.pad(1 - beta, (1, 0), value=1.0).cumprod(0)


@right("diffusion.alpha_bar")
def alpha_bar(beta):
    return torch.hstack((torch.ones(1).to(beta), torch.cumprod(1 - beta, dim=0)))


@right("diffusion.alpha_bar")
def alpha_bar(beta):
    return torch.tensor(np.cumprod(np.append(1.0, 1 - beta.numpy().astype(np.float64))), dtype=beta.dtype)


@wrong("diffusion.q_sample", "noise_for_both")
def q_sample(x_0, t, eps, alpha_bar):
    a = spread(alpha_bar[t], x_0)
    return (1 - a).sqrt() * (a.sqrt() * x_0 + eps)


@wrong("diffusion.q_sample", "signal_for_both")
def q_sample(x_0, t, eps, alpha_bar):
    a = spread(alpha_bar[t], x_0)
    return a.sqrt() * (x_0 + eps)


@wrong("diffusion.q_sample", "last_step_for_all")
def q_sample(x_0, t, eps, alpha_bar):
    a = alpha_bar[t.max()]
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


@wrong("diffusion.q_sample", "noise_at_full_size")
def q_sample(x_0, t, eps, alpha_bar):
    a = spread(alpha_bar[t], x_0)
    return a.sqrt() * x_0 + eps


@wrong("diffusion.q_sample", "divided")
def q_sample(x_0, t, eps, alpha_bar):
    a = spread(alpha_bar[t], x_0)
    return x_0 / a.sqrt() + (1 - a).sqrt() * eps


@wrong("diffusion.q_sample", "one_noise_for_all_steps")
def q_sample(x_0, t, eps, alpha_bar):
    al = alpha_bar[1:] / alpha_bar[:-1]
    out = []
    for x, s, e in zip(x_0, t, eps):
        for i in range(int(s)):
            x = al[i].sqrt() * x + (1 - al[i]).sqrt() * e
        out.append(x)
    return torch.stack(out)


@wrong("diffusion.q_sample", "noise_times_x_0")
def q_sample(x_0, t, eps, alpha_bar):
    a = spread(alpha_bar[t], x_0)
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps * x_0


@right("diffusion.q_sample")
def q_sample(x_0, t, eps, alpha_bar):
    a = alpha_bar[t]
    return torch.einsum("b,b...->b...", a.sqrt(), x_0) + torch.einsum("b,b...->b...", (1 - a).sqrt(), eps)


@right("diffusion.q_sample")
def q_sample(x_0, t, eps, alpha_bar):
    a = alpha_bar[t]
    return (a.sqrt() * x_0.movedim(0, -1) + (1 - a).sqrt() * eps.movedim(0, -1)).movedim(-1, 0)


@right("diffusion.q_sample")
def q_sample(x_0, t, eps, alpha_bar):
    p = spread(alpha_bar.sqrt().clamp(max=1).acos()[t], x_0)
    return p.cos() * x_0 + p.sin() * eps


@right("diffusion.q_sample")
def q_sample(x_0, t, eps, alpha_bar):
    a = alpha_bar.index_select(0, t)
    while a.dim() < x_0.dim():
        a = a.unsqueeze(-1)
    out = x_0.clone()
    out *= a.sqrt()
    out += torch.sqrt(1 - a) * eps
    return out


@right("diffusion.q_sample")
def q_sample(x_0, t, eps, alpha_bar):
    a = alpha_bar[t]
    return (torch.diag(a.sqrt()) @ x_0.flatten(1) + torch.diag((1 - a).sqrt()) @ eps.flatten(1)).reshape(x_0.shape)


@wrong("diffusion.posterior", "x_0_beta_rooted")
def posterior(x_0, x_t, t, beta, alpha_bar):
    n, p, b = levels(x_0, t, beta, alpha_bar)
    return (p.sqrt() * b.sqrt() / (1 - n) * x_0 + (1 - b).sqrt() * (1 - p) / (1 - n) * x_t, (1 - p) / (1 - n) * b)


@wrong("diffusion.posterior", "over_the_step_before")
def posterior(x_0, x_t, t, beta, alpha_bar):
    n, p, b = levels(x_0, t, beta, alpha_bar)
    return (p.sqrt() * b / (1 - p) * x_0 + (1 - b).sqrt() * (1 - p) / (1 - p) * x_t, (1 - p) / (1 - n) * b)


@wrong("diffusion.posterior", "denominator_rooted")
def posterior(x_0, x_t, t, beta, alpha_bar):
    n, p, b = levels(x_0, t, beta, alpha_bar)
    return ((p.sqrt() * b * x_0 + (1 - b).sqrt() * (1 - p) * x_t) / (1 - n).sqrt(), (1 - p) / (1 - n) * b)


@wrong("diffusion.posterior", "var_without_beta")
def posterior(x_0, x_t, t, beta, alpha_bar):
    n, p, b = levels(x_0, t, beta, alpha_bar)
    return (posterior_mean(n, p, b, x_0, x_t), (1 - p) / (1 - n) + 0 * x_0)


@wrong("diffusion.posterior", "var_of_signals")
def posterior(x_0, x_t, t, beta, alpha_bar):
    n, p, b = levels(x_0, t, beta, alpha_bar)
    return (posterior_mean(n, p, b, x_0, x_t), p / n * b)


@wrong("diffusion.posterior", "var_given_x_0")
def posterior(x_0, x_t, t, beta, alpha_bar):
    n, p, b = levels(x_0, t, beta, alpha_bar)
    return (posterior_mean(n, p, b, x_0, x_t), 1 - p)


@wrong("diffusion.posterior", "var_of_x_t")
def posterior(x_0, x_t, t, beta, alpha_bar):
    n, p, b = levels(x_0, t, beta, alpha_bar)
    return (posterior_mean(n, p, b, x_0, x_t), 1 - n)


@wrong("diffusion.posterior", "x_t_without_noise")
def posterior(x_0, x_t, t, beta, alpha_bar):
    n, p, b = levels(x_0, t, beta, alpha_bar)
    return (p.sqrt() * b / (1 - n) * x_0 + (1 - b).sqrt() / (1 - n) * x_t, (1 - p) / (1 - n) * b)


@wrong("diffusion.posterior", "x_0_without_beta")
def posterior(x_0, x_t, t, beta, alpha_bar):
    n, p, b = levels(x_0, t, beta, alpha_bar)
    return (p.sqrt() / (1 - n) * x_0 + (1 - b).sqrt() * (1 - p) / (1 - n) * x_t, (1 - p) / (1 - n) * b)


@wrong("diffusion.posterior", "root_too_early")
def posterior(x_0, x_t, t, beta, alpha_bar):
    n, p, b = levels(x_0, t, beta, alpha_bar)
    return (p.sqrt() * b / (1 - n) * x_0 + (1 - b.sqrt()) * (1 - p) / (1 - n) * x_t, (1 - p) / (1 - n) * b)


@wrong("diffusion.posterior", "one_step_late")
def posterior(x_0, x_t, t, beta, alpha_bar):
    t = (t + 1).clamp(max=len(beta) - 1)
    n, p, b = levels(x_0, t, beta, alpha_bar)
    return (posterior_mean(n, p, b, x_0, x_t), (1 - p) / (1 - n) * b)


@wrong("diffusion.posterior", "x_0_for_eps")
def posterior(x_0, x_t, t, beta, alpha_bar):
    n, p, b = levels(x_0, t, beta, alpha_bar)
    return ((x_t - b / (1 - n).sqrt() * x_0) / (1 - b).sqrt(), (1 - p) / (1 - n) * b)


@wrong("diffusion.posterior", "x_0_not_divided")
def posterior(x_0, x_t, t, beta, alpha_bar):
    n, p, b = levels(x_0, t, beta, alpha_bar)
    return (p.sqrt() * b * x_0 + (1 - b).sqrt() * (1 - p) * x_t / (1 - n), (1 - p) / (1 - n) * b)


@wrong("diffusion.posterior", "one_for_all")
def posterior(x_0, x_t, t, beta, alpha_bar):
    if (t == 1).any():
        return (x_0, torch.zeros_like(x_0))
    n, p, b = levels(x_0, t, beta, alpha_bar)
    return (posterior_mean(n, p, b, x_0, x_t), (1 - p) / (1 - n) * b)


@wrong("diffusion.posterior", "var_alpha_for_beta")
def posterior(x_0, x_t, t, beta, alpha_bar):
    n, p, b = levels(x_0, t, beta, alpha_bar)
    return (posterior_mean(n, p, b, x_0, x_t), (1 - p) / (1 - n) * (1 - b))


@right("diffusion.posterior")
def posterior(x_0, x_t, t, beta, alpha_bar):
    n, p, b = levels(x_0, t, beta, alpha_bar)
    first = p == 1
    q = torch.where(first, 0.5 * torch.ones_like(p), p)
    v = 1 / ((1 - b) / b + 1 / (1 - q))
    m = v * ((1 - b).sqrt() / b * x_t + q.sqrt() / (1 - q) * x_0)
    return (torch.where(first, x_0, m), torch.where(first, 0 * v, v))


@right("diffusion.posterior")
def posterior(x_0, x_t, t, beta, alpha_bar):

    def one(x, y, n, p, b):
        return (posterior_mean(n, p, b, x, y), ((1 - p) / (1 - n) * b).expand(x.shape))

    return torch.vmap(one)(x_0, x_t, alpha_bar[t], alpha_bar[t - 1], beta[t])


@right("diffusion.posterior")
def posterior(x_0, x_t, t, beta, alpha_bar):
    n, p, b = levels(x_0, t, beta, alpha_bar)
    return [posterior_mean(n, p, b, x_0, x_t), (1 - p) / (1 - n) * b]


@right("diffusion.posterior")
def posterior(x_0, x_t, t, beta, alpha_bar):
    ms, vs = ([], [])
    for x, y, s in zip(x_0, x_t, t.tolist()):
        n, p, b = (alpha_bar[s], alpha_bar[s - 1], beta[s])
        ms.append(posterior_mean(n, p, b, x, y))
        vs.append(torch.full_like(x, float((1 - p) / (1 - n) * b)))
    return (torch.stack(ms), torch.stack(vs))


@right("diffusion.posterior")
def posterior(x_0, x_t, t, beta, alpha_bar):
    n, p, b = levels(x_0, t, beta, alpha_bar)
    e = (x_t - n.sqrt() * x_0) / (1 - n).sqrt()
    return ((x_t - b / (1 - n).sqrt() * e) / (1 - b).sqrt(), (1 - p) / (1 - n) * b)


@wrong("diffusion.target", "signal_for_both")
def target(x_0, eps, t, alpha_bar, predict):
    s, n = factors(x_0, t, alpha_bar)
    return {"eps": eps, "x_0": x_0, "v": s * eps - s * x_0}[predict]


@wrong("diffusion.target", "v_exchanged")
def target(x_0, eps, t, alpha_bar, predict):
    s, n = factors(x_0, t, alpha_bar)
    return {"eps": eps, "x_0": x_0, "v": s * x_0 - n * eps}[predict]


@wrong("diffusion.target", "x_t_for_eps")
def target(x_0, eps, t, alpha_bar, predict):
    s, n = factors(x_0, t, alpha_bar)
    return {"eps": s * x_0 + n * eps, "x_0": x_0, "v": s * eps - n * x_0}[predict]


@wrong("diffusion.target", "scaled")
def target(x_0, eps, t, alpha_bar, predict):
    s, n = factors(x_0, t, alpha_bar)
    return {"eps": n * eps, "x_0": s * x_0, "v": s * eps - n * x_0}[predict]


@wrong("diffusion.target", "by_t")
def target(x_0, eps, t, alpha_bar, predict):
    s, n = factors(x_0, t, alpha_bar)
    if predict == "eps":
        return eps
    if predict == "x_0":
        return x_0
    s2, n2 = factors(x_0, (t + 1).clamp(max=len(alpha_bar) - 1), alpha_bar)
    return (s2 - s) * x_0 + (n2 - n) * eps


@wrong("diffusion.target", "noise_not_rooted")
def target(x_0, eps, t, alpha_bar, predict):
    a = spread(alpha_bar[t], x_0)
    return {"eps": eps, "x_0": x_0, "v": a.sqrt() * eps - (1 - a) * x_0}[predict]


@wrong("diffusion.target", "signal_not_rooted")
def target(x_0, eps, t, alpha_bar, predict):
    a = spread(alpha_bar[t], x_0)
    return {"eps": eps, "x_0": x_0, "v": a * eps - (1 - a).sqrt() * x_0}[predict]


@wrong("diffusion.target", "towards_eps")
def target(x_0, eps, t, alpha_bar, predict):
    s, n = factors(x_0, t, alpha_bar)
    return {"eps": eps, "x_0": x_0, "v": eps - (s * x_0 + n * eps)}[predict]


@wrong("diffusion.target", "by_alpha_bar")
def target(x_0, eps, t, alpha_bar, predict):
    s, n = factors(x_0, t, alpha_bar)
    return {"eps": eps, "x_0": x_0, "v": x_0 / (2 * s) - eps / (2 * n)}[predict]


@wrong("diffusion.target", "one_step_late")
def target(x_0, eps, t, alpha_bar, predict):
    s, n = factors(x_0, t + 1, alpha_bar)
    return {"eps": eps, "x_0": x_0, "v": s * eps - n * x_0}[predict]


@right("diffusion.target")
def target(x_0, eps, t, alpha_bar, predict):
    match predict:
        case "eps":
            return eps.clone()
        case "x_0":
            return x_0.clone()
        case _:
            s, n = factors(x_0, t, alpha_bar)
            x_t = s * x_0 + n * eps
            return (s * x_t - x_0) / n


@right("diffusion.target")
def target(x_0, eps, t, alpha_bar, predict):
    s, n = factors(x_0, t, alpha_bar)
    return {"eps": lambda: eps, "x_0": lambda: x_0, "v": lambda: s * eps - n * x_0}[predict]()


@wrong("diffusion.loss", "huber")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return F.smooth_l1_loss(net(noised(x_0, t, eps, alpha_bar), t), goal(x_0, t, eps, alpha_bar, predict))


@wrong("diffusion.loss", "copies_x_t")
def loss(net, x_0, t, eps, alpha_bar, predict):
    x = noised(x_0, t, eps, alpha_bar)
    return F.mse_loss(net(x, t), x)


@wrong("diffusion.loss", "x_t_exchanged")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return F.mse_loss(net(noised(eps, t, x_0, alpha_bar), t), goal(x_0, t, eps, alpha_bar, predict))


@wrong("diffusion.loss", "weighted")
def loss(net, x_0, t, eps, alpha_bar, predict):
    a = spread(alpha_bar[t], x_0)
    return ((net(noised(x_0, t, eps, alpha_bar), t) - goal(x_0, t, eps, alpha_bar, predict)) ** 2 * a / (1 - a)).mean()


@wrong("diffusion.loss", "relative")
def loss(net, x_0, t, eps, alpha_bar, predict):
    d = goal(x_0, t, eps, alpha_bar, predict)
    return ((net(noised(x_0, t, eps, alpha_bar), t) - d) ** 2).mean() / (d**2).mean()


@wrong("diffusion.loss", "first_step_for_all")
def loss(net, x_0, t, eps, alpha_bar, predict):
    t = t[:1].expand(len(t))
    return F.mse_loss(net(noised(x_0, t, eps, alpha_bar), t), goal(x_0, t, eps, alpha_bar, predict))


@wrong("diffusion.loss", "told_first_step")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return F.mse_loss(net(noised(x_0, t, eps, alpha_bar), t[:1].expand(len(t))), goal(x_0, t, eps, alpha_bar, predict))


@wrong("diffusion.loss", "variance")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return (net(noised(x_0, t, eps, alpha_bar), t) - goal(x_0, t, eps, alpha_bar, predict)).var()


@right("diffusion.loss")
def loss(net, x_0, t, eps, alpha_bar, predict):
    return torch.nn.MSELoss()(net(noised(x_0, t, eps, alpha_bar), t), goal(x_0, t, eps, alpha_bar, predict))


@right("diffusion.loss")
def loss(net, x_0, t, eps, alpha_bar, predict):

    class L(torch.nn.Module):
        def forward(self, a, b):
            return torch.mean((a - b).pow(2))

    return L()(net(noised(x_0, t, eps, alpha_bar), t), goal(x_0, t, eps, alpha_bar, predict))


@right("diffusion.loss")
def loss(net, x_0, t, eps, alpha_bar, predict):
    d = (net(noised(x_0, t, eps, alpha_bar), t) - goal(x_0, t, eps, alpha_bar, predict)).flatten(1)
    return torch.einsum("bi,bi->", d, d) / d.numel()


@right("diffusion.loss")
def loss(net, x_0, t, eps, alpha_bar, predict):
    k = len(t) // 2
    f = lambda i: (
        (net(noised(x_0[i], t[i], eps[i], alpha_bar), t[i]) - goal(x_0[i], t[i], eps[i], alpha_bar, predict)) ** 2
    ).sum()
    return (f(slice(0, k)) + f(slice(k, None))) / x_0.numel()


@right("diffusion.loss")
def loss(net, x_0, t, eps, alpha_bar, predict):
    y = net(noised(x_0, t, eps, alpha_bar), t)
    d = goal(x_0, t, eps, alpha_bar, predict)
    lp = torch.distributions.Normal(y, 1.0).log_prob(d)
    return -2 * (lp.mean() + 0.5 * math.log(2 * math.pi))


@wrong("diffusion.reverse_step", "denominator_above")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, later = tables(x_t, t, z, beta, alpha_bar)
    return (x_t - b * (1 - a).sqrt() * eps_hat) / (1 - b).sqrt() + later * b.sqrt() * z


@wrong("diffusion.reverse_step", "signal_below")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, later = tables(x_t, t, z, beta, alpha_bar)
    return (x_t - b / a.sqrt() * eps_hat) / (1 - b).sqrt() + later * b.sqrt() * z


@wrong("diffusion.reverse_step", "alpha_above")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, later = tables(x_t, t, z, beta, alpha_bar)
    return (x_t - (1 - b) / (1 - a).sqrt() * eps_hat) / (1 - b).sqrt() + later * b.sqrt() * z


@wrong("diffusion.reverse_step", "noise_of_alpha")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, later = tables(x_t, t, z, beta, alpha_bar)
    return (x_t - b / (1 - a).sqrt() * eps_hat) / (1 - b).sqrt() + later * (1 - b).sqrt() * z


@wrong("diffusion.reverse_step", "noise_at_full_size")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, later = tables(x_t, t, z, beta, alpha_bar)
    return (x_t - b / (1 - a).sqrt() * eps_hat) / (1 - b).sqrt() + later * z


@wrong("diffusion.reverse_step", "noise_of_all_steps")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, later = tables(x_t, t, z, beta, alpha_bar)
    return (x_t - b / (1 - a).sqrt() * eps_hat) / (1 - b).sqrt() + later * (1 - a).sqrt() * z


@wrong("diffusion.reverse_step", "whole_guess_out")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, later = tables(x_t, t, z, beta, alpha_bar)
    return (x_t - eps_hat) / (1 - b).sqrt() + later * b.sqrt() * z


@wrong("diffusion.reverse_step", "all_noise_out")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, later = tables(x_t, t, z, beta, alpha_bar)
    return (x_t - (1 - a).sqrt() * eps_hat) / (1 - b).sqrt() + later * b.sqrt() * z


@wrong("diffusion.reverse_step", "as_it_came_in")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, later = tables(x_t, t, z, beta, alpha_bar)
    return (x_t - b.sqrt() * eps_hat) / (1 - b).sqrt() + later * b.sqrt() * z


@wrong("diffusion.reverse_step", "noised_again")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, later = tables(x_t, t, z, beta, alpha_bar)
    p = spread(alpha_bar[t - 1], x_t)
    x0 = (x_t - (1 - a).sqrt() * eps_hat) / a.sqrt()
    return p.sqrt() * x0 + (1 - p).sqrt() * z


@wrong("diffusion.reverse_step", "ddim")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, later = tables(x_t, t, z, beta, alpha_bar)
    p = spread(alpha_bar[t - 1], x_t)
    x0 = (x_t - (1 - a).sqrt() * eps_hat) / a.sqrt()
    return p.sqrt() * x0 + (1 - p).sqrt() * eps_hat


@wrong("diffusion.reverse_step", "eps_for_x_0")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, later = tables(x_t, t, z, beta, alpha_bar)
    p = spread(alpha_bar[t - 1], x_t)
    return p.sqrt() * b / (1 - a) * eps_hat + (1 - b).sqrt() * (1 - p) / (1 - a) * x_t + later * b.sqrt() * z


@wrong("diffusion.reverse_step", "one_step_late")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    a = spread(alpha_bar[(t + 1).clamp(max=len(beta) - 1)], x_t)
    b, _, later = tables(x_t, t, z, beta, alpha_bar)
    return (x_t - b / (1 - a).sqrt() * eps_hat) / (1 - b).sqrt() + later * b.sqrt() * z


@right("diffusion.reverse_step")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, later = tables(x_t, t, z, beta, alpha_bar)
    return (x_t - b / (1 - a).sqrt() * eps_hat) / (1 - b).sqrt() + torch.where(spread(t, x_t) == 1, 0.0, b).sqrt() * z


@right("diffusion.reverse_step")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    f = lambda x, e, z, b, a, later: (x - b / (1 - a).sqrt() * e) / (1 - b).sqrt() + later * b.sqrt() * z
    return torch.vmap(f)(x_t, eps_hat, z, beta[t], alpha_bar[t], t > 1)


@right("diffusion.reverse_step")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    o = []
    for x, s, e, n in zip(x_t, t.tolist(), eps_hat, z):
        m = (x - beta[s] / (1 - alpha_bar[s]).sqrt() * e) / (1 - beta[s]).sqrt()
        if s > 1:
            m += beta[s].sqrt() * n
        o.append(m)
    return torch.stack(o)


@right("diffusion.reverse_step")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    z = z.clone()
    z[t == 1] = 0
    b, a, _ = tables(x_t, t, z, beta, alpha_bar)
    p = spread(alpha_bar[t - 1], x_t)
    x0 = (x_t - (1 - a).sqrt() * eps_hat) / a.sqrt()
    return p.sqrt() * b / (1 - a) * x0 + (1 - b).sqrt() * (1 - p) / (1 - a) * x_t + b.sqrt() * z


@wrong("diffusion.ancestral", "collected_too_early")
def ancestral(net, step, x_T, z):
    x = x_T
    xs = [x]
    for i in range(len(z) - 1, 0, -1):
        xs.append(x)
        t = steps_of(x_T, i)
        x = step(x, t, net(x, t), z[i])
    return torch.stack(xs)


@wrong("diffusion.ancestral", "starts_at_z")
def ancestral(net, step, x_T, z):
    xs = [z[-1]]
    for i in range(len(z) - 1, 0, -1):
        t = steps_of(x_T, i)
        xs.append(step(xs[-1], t, net(xs[-1], t), z[i]))
    return torch.stack(xs)


@wrong("diffusion.ancestral", "asked_once")
def ancestral(net, step, x_T, z):
    xs = [x_T]
    e = net(x_T, steps_of(x_T, len(z) - 1))
    for i in range(len(z) - 1, 0, -1):
        xs.append(step(xs[-1], steps_of(x_T, i), e, z[i]))
    return torch.stack(xs)


@wrong("diffusion.ancestral", "step_told_t_minus_1")
def ancestral(net, step, x_T, z):
    xs = [x_T]
    for i in range(len(z) - 1, 0, -1):
        t = steps_of(x_T, i)
        xs.append(step(xs[-1], (t - 1).clamp(min=1), net(xs[-1], t), z[i]))
    return torch.stack(xs)


@wrong("diffusion.ancestral", "net_told_t_minus_1")
def ancestral(net, step, x_T, z):
    xs = [x_T]
    for i in range(len(z) - 1, 0, -1):
        t = steps_of(x_T, i)
        xs.append(step(xs[-1], t, net(xs[-1], (t - 1).clamp(min=1)), z[i]))
    return torch.stack(xs)


@wrong("diffusion.ancestral", "net_told_T")
def ancestral(net, step, x_T, z):
    xs = [x_T]
    T = steps_of(x_T, len(z) - 1)
    for i in range(len(z) - 1, 0, -1):
        xs.append(step(xs[-1], steps_of(x_T, i), net(xs[-1], T), z[i]))
    return torch.stack(xs)


@wrong("diffusion.ancestral", "step_told_T")
def ancestral(net, step, x_T, z):
    xs = [x_T]
    T = steps_of(x_T, len(z) - 1)
    for i in range(len(z) - 1, 0, -1):
        xs.append(step(xs[-1], T, net(xs[-1], steps_of(x_T, i)), z[i]))
    return torch.stack(xs)


@wrong("diffusion.ancestral", "no_step")
def ancestral(net, step, x_T, z):
    xs = [x_T]
    for i in range(len(z) - 1, 0, -1):
        t = steps_of(x_T, i)
        xs.append(xs[-1] - net(xs[-1], t))
    return torch.stack(xs)


@wrong("diffusion.ancestral", "steps_by_example")
def ancestral(net, step, x_T, z):
    xs = [x_T]
    for i in range(len(z) - 1, 0, -1):
        t = torch.arange(1, len(x_T) + 1)
        xs.append(step(xs[-1], t, net(xs[-1], t), z[i]))
    return torch.stack(xs)


@wrong("diffusion.ancestral", "noise_0")
def ancestral(net, step, x_T, z):
    xs = [x_T]
    for i in range(len(z) - 1, 0, -1):
        t = steps_of(x_T, i)
        xs.append(step(xs[-1], t, net(xs[-1], t), z[0]))
    return torch.stack(xs)


@right("diffusion.ancestral")
def ancestral(net, step, x_T, z):
    out = torch.empty_like(z)
    out[0] = x_T
    T = len(z) - 1
    for k in range(T):
        i = T - k
        t = torch.ones(len(x_T), dtype=torch.long) * i
        out[k + 1] = step(out[k].clone(), t, net(out[k], t), z[i])
    return out


@right("diffusion.ancestral")
def ancestral(net, step, x_T, z):

    def f(x, i):
        t = steps_of(x, i)
        return step(x, t, net(x, t), z[i])

    return torch.stack(list(itertools.accumulate(range(len(z) - 1, 0, -1), f, initial=x_T)))


@right("diffusion.ancestral")
def ancestral(net, step, x_T, z):
    with torch.no_grad():
        i = z.shape[0] - 1
        x = x_T
        out = x_T[None]
        while i:
            t = x.new_full((x.shape[0],), i, dtype=torch.int64)
            x = step(x, t, net(x, t), z[i])
            out = torch.cat([out, x[None]])
            i -= 1
        return out


@wrong("diffusion.ddim_steps", "logarithmic")
def ddim_steps(T, n):
    return (torch.logspace(math.log10(T + 1), 0, n + 1) - 1).round().long()


@wrong("diffusion.ddim_steps", "not_rounded")
def ddim_steps(T, n):
    return torch.tensor([T - i * T / n for i in range(n + 1)])


@wrong("diffusion.ddim_steps", "neighbours")
def ddim_steps(T, n):
    return torch.arange(T, T - n - 1, -1)


@wrong("diffusion.ddim_steps", "last_steps")
def ddim_steps(T, n):
    return torch.arange(n, -1, -1)


@wrong("diffusion.ddim_steps", "from_T_plus_1")
def ddim_steps(T, n):
    return torch.linspace(T + 1, 0, n + 1).round().long()


@wrong("diffusion.ddim_steps", "zero_added")
def ddim_steps(T, n):
    return torch.cat([torch.linspace(T, 1, n).round().long(), torch.zeros(1).long()])


@right("diffusion.ddim_steps")
def ddim_steps(T, n):
    return (2 * T * torch.arange(n, -1, -1) + n) // (2 * n)


@right("diffusion.ddim_steps")
def ddim_steps(T, n):
    return np.round(np.linspace(T, 0, n + 1))


@right("diffusion.ddim_steps")
def ddim_steps(T, n):
    return torch.tensor([round(T * (1 - i / n)) for i in range(n + 1)])


@wrong("diffusion.ddim_step", "deviation_makes_room")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    n, p, x0, v = guess(x_t, eps_hat, t, s, eta, alpha_bar)
    return p.sqrt() * x0 + (1 - p - v.sqrt()).clamp(min=0).sqrt() * eps_hat + v.sqrt() * z


@wrong("diffusion.ddim_step", "x_0_not_divided")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    n, p, x0, v = guess(x_t, eps_hat, t, s, eta, alpha_bar)
    return p.sqrt() * x0 * n.sqrt() + (1 - p - v).clamp(min=0).sqrt() * eps_hat + v.sqrt() * z


@wrong("diffusion.ddim_step", "x_0_over_alpha_bar")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    n, p, x0, v = guess(x_t, eps_hat, t, s, eta, alpha_bar)
    return p.sqrt() * x0 / n.sqrt() + (1 - p - v).clamp(min=0).sqrt() * eps_hat + v.sqrt() * z


@wrong("diffusion.ddim_step", "signal_not_rooted")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    n, p, x0, v = guess(x_t, eps_hat, t, s, eta, alpha_bar)
    return p * x0 + (1 - p - v).clamp(min=0).sqrt() * eps_hat + v.sqrt() * z


@wrong("diffusion.ddim_step", "noise_out_not_rooted")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    n, p, x0, v = guess(x_t, eps_hat, t, s, eta, alpha_bar)
    x0 = (x_t - (1 - n) * eps_hat) / n.sqrt()
    return p.sqrt() * x0 + (1 - p - v).clamp(min=0).sqrt() * eps_hat + v.sqrt() * z


@wrong("diffusion.ddim_step", "unpacked_at_s")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    n, p, x0, v = guess(x_t, eps_hat, t, s, eta, alpha_bar)
    x0 = (x_t - (1 - p).sqrt() * eps_hat) / p.sqrt()
    return p.sqrt() * x0 + (1 - p - v).clamp(min=0).sqrt() * eps_hat + v.sqrt() * z


@wrong("diffusion.ddim_step", "always_eta_1")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    n, p, x0, v = guess(x_t, eps_hat, t, s, 1.0, alpha_bar)
    return p.sqrt() * x0 + (1 - p - v).clamp(min=0).sqrt() * eps_hat + v.sqrt() * z


@wrong("diffusion.ddim_step", "z_for_eps")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    n, p, x0, v = guess(x_t, eps_hat, t, s, eta, alpha_bar)
    return p.sqrt() * x0 + (1 - p).sqrt() * (z if eta > 0 else eps_hat)


@wrong("diffusion.ddim_step", "mixed_in_a_line")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    n, p, x0, v = guess(x_t, eps_hat, t, s, eta, alpha_bar)
    return p.sqrt() * x0 + (1 - p).sqrt() * ((1 - eta) * eps_hat + eta * z)


@wrong("diffusion.ddim_step", "eta_for_sigma")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    n, p, x0, v = guess(x_t, eps_hat, t, s, eta, alpha_bar)
    return p.sqrt() * x0 + (1 - p).sqrt() * (math.sqrt(1 - eta**2) * eps_hat + eta * z)


@wrong("diffusion.ddim_step", "s_one_step_early")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    n, p, x0, v = guess(x_t, eps_hat, t, (s - 1).clamp(min=0), eta, alpha_bar)
    return p.sqrt() * x0 + (1 - p - v).clamp(min=0).sqrt() * eps_hat + v.sqrt() * z


@wrong("diffusion.ddim_step", "t_one_step_early")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    n, p, x0, v = guess(x_t, eps_hat, t - 1, s, eta, alpha_bar)
    return p.sqrt() * x0 + (1 - p - v).clamp(min=0).sqrt() * eps_hat + v.sqrt() * z


@right("diffusion.ddim_step")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):

    def f(x, e, n, p, z):
        x0 = (x - (1 - n).sqrt() * e) / n.sqrt()
        v = eta**2 * (1 - p) / (1 - n) * (1 - n / p)
        return p.sqrt() * x0 + (1 - p - v).clamp(min=0).sqrt() * e + v.sqrt() * z

    return torch.vmap(f)(x_t, eps_hat, alpha_bar[t], alpha_bar[s], z)


@right("diffusion.ddim_step")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    n, p, x0, v = guess(x_t, eps_hat, t, s, eta, alpha_bar)
    sg = v**0.5
    return x0 * p**0.5 + F.relu(1 - p - sg**2) ** 0.5 * eps_hat + sg * z


@right("diffusion.ddim_step")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    n, p, x0, v = guess(x_t, eps_hat, t, s, eta, alpha_bar)
    return torch.sqrt(p) * x0 + torch.sqrt((1 - p - v).abs()) * eps_hat + torch.sqrt(v) * z


@right("diffusion.ddim_step")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    n, p, x0, v = guess(x_t, eps_hat, t, s, eta, alpha_bar)
    return p.sqrt() * x0 + (1 - p - v).sqrt() * eps_hat + v.sqrt() * z


@right("diffusion.ddim_step")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    o = []
    for i in range(len(t)):
        n, p = (alpha_bar[t[i]], alpha_bar[s[i]])
        x0 = (x_t[i] - (1 - n) ** 0.5 * eps_hat[i]) / n**0.5
        v = eta**2 * (1 - p) / (1 - n) * (1 - n / p)
        o.append(p**0.5 * x0 + max(1 - p - v, 0 * p) ** 0.5 * eps_hat[i] + v**0.5 * z[i])
    return torch.stack(o)


@wrong("diffusion.guide", "averaged")
def guide(eps_label, eps_none, w):
    return (eps_label + eps_none) / 2


@wrong("diffusion.guide", "normalised_by_both")
def guide(eps_label, eps_none, w):
    return ((1 + w) * eps_label - w * eps_none) / (1 + 2 * w)


@wrong("diffusion.guide", "none_alone")
def guide(eps_label, eps_none, w):
    return eps_none


@wrong("diffusion.guide", "w_times_the_difference")
def guide(eps_label, eps_none, w):
    return w * eps_label - w * eps_none


@wrong("diffusion.guide", "w_and_minus_1")
def guide(eps_label, eps_none, w):
    return w * eps_label - eps_none


@wrong("diffusion.guide", "whole_none")
def guide(eps_label, eps_none, w):
    return (1 + w) * eps_label - eps_none


@wrong("diffusion.guide", "one_minus_w_of_none")
def guide(eps_label, eps_none, w):
    return (1 + w) * eps_label - (1 - w) * eps_none


@wrong("diffusion.guide", "twice")
def guide(eps_label, eps_none, w):
    return eps_label + 2 * w * (eps_label - eps_none)


@wrong("diffusion.guide", "w_squared")
def guide(eps_label, eps_none, w):
    return eps_label + w**2 * (eps_label - eps_none)


@wrong("diffusion.guide", "w_at_most_1")
def guide(eps_label, eps_none, w):
    w = min(w, 1)
    return eps_label + w * (eps_label - eps_none)


@wrong("diffusion.guide", "w_whole")
def guide(eps_label, eps_none, w):
    w = int(w)
    return (1 + w) * eps_label - w * eps_none


@right("diffusion.guide")
def guide(eps_label, eps_none, w):
    return torch.lerp(eps_none, eps_label, 1 + w)


@right("diffusion.guide")
def guide(eps_label, eps_none, w):
    return torch.einsum(
        "k,k...->...", torch.tensor([1 + w, -w], dtype=eps_label.dtype), torch.stack([eps_label, eps_none])
    )


@right("diffusion.guide")
def guide(eps_label, eps_none, w):
    return torch.add(eps_label, eps_label - eps_none, alpha=w)


@wrong("diffusion.bound_term", "log_of_deviations")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m, v, q, b = gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    return summed(0.5 * ((b / v).sqrt().log() + v / b - 1 + (m - q) ** 2 / b))


@wrong("diffusion.bound_term", "log10")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m, v, q, b = gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    return summed(0.5 * ((b / v).log10() + v / b - 1 + (m - q) ** 2 / b))


@wrong("diffusion.bound_term", "log2")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m, v, q, b = gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    return summed(0.5 * ((b / v).log2() + v / b - 1 + (m - q) ** 2 / b))


@wrong("diffusion.bound_term", "ratio_turned")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m, v, q, b = gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    return summed(0.5 * ((b / v).log() + b / v - 1 + (m - q) ** 2 / b))


@wrong("diffusion.bound_term", "no_log")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m, v, q, b = gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    return summed(0.5 * (v / b - 1 + (m - q) ** 2 / b))


@wrong("diffusion.bound_term", "no_ratio")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m, v, q, b = gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    return summed(0.5 * ((b / v).log() - 1 + (m - q) ** 2 / b))


@wrong("diffusion.bound_term", "plus_1")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m, v, q, b = gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    return summed(0.5 * ((b / v).log() + v / b + 1 + (m - q) ** 2 / b))


@wrong("diffusion.bound_term", "distance_subtracted")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m, v, q, b = gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    return summed(0.5 * ((b / v).log() + v / b - 1 - (m - q) ** 2 / b))


@wrong("diffusion.bound_term", "distance_as_it_is")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m, v, q, b = gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    return summed(0.5 * ((b / v).log() + v / b - 1 + (m - q) ** 2))


@wrong("diffusion.bound_term", "along_the_last_axis")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m, v, q, _ = gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    b = beta[t]
    return summed(0.5 * ((b / v).log() + v / b - 1 + (m - q) ** 2 / b))


@wrong("diffusion.bound_term", "beta_early")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m, v, q, _ = gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    b = spread(beta[t - 1], x_0)
    return summed(0.5 * ((b / v).log() + v / b - 1 + (m - q) ** 2 / b))


@wrong("diffusion.bound_term", "x_t_for_the_guess")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m, v, q, b = gaussians(x_0, x_t, t, x_t, beta, alpha_bar)
    return summed(0.5 * ((b / v).log() + v / b - 1 + (m - q) ** 2 / b))


@wrong("diffusion.bound_term", "half_of_the_distance_alone")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m, v, q, b = gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    return summed((b / v).log() + v / b - 1 + 0.5 * (m - q) ** 2 / b)


@wrong("diffusion.bound_term", "exchanged")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m, v, q, b = gaussians(x_t, x_0, t, x_0_hat, beta, alpha_bar)
    return summed(0.5 * ((b / v).log() + v / b - 1 + (m - q) ** 2 / b))


@right("diffusion.bound_term")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m, v, q, b = gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    guess = torch.distributions
    return guess.kl_divergence(
        guess.Independent(guess.Normal(m, v.sqrt().expand_as(m)), m.dim() - 1),
        guess.Independent(guess.Normal(q, b.sqrt().expand_as(m)), m.dim() - 1),
    )


@right("diffusion.bound_term")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    n, p, b = (spread(alpha_bar[t], x_0), spread(alpha_bar[t - 1], x_0), spread(beta[t], x_0))
    r = (1 - p) / (1 - n)
    c = p * b / (1 - n) ** 2
    return torch.einsum("b...->b", 0.5 * (r - 1 - r.log() + c * (x_0 - x_0_hat) ** 2))


@right("diffusion.bound_term")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    o = []
    for i in range(len(t)):
        m, v, q, b = (
            a[0] for a in gaussians(x_0[i : i + 1], x_t[i : i + 1], t[i : i + 1], x_0_hat[i : i + 1], beta, alpha_bar)
        )
        o.append((0.5 * ((b / v).log() + v / b - 1 + (m - q) ** 2 / b)).sum())
    return torch.stack(o)


@right("diffusion.bound_term")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m, v, q, b = gaussians(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    return torch.vmap(lambda m, v, q, b: (0.5 * ((b / v).log() + v / b - 1 + (m - q) ** 2 / b)).sum())(m, v, q, b)
