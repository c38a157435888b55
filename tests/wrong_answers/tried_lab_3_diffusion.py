"""Further answers to lab_3_diffusion, as they were tried on it."""
# ruff: noqa
# pyright: reportRedeclaration=false, reportAttributeAccessIssue=false, reportAssignmentType=false
# pyright: reportGeneralTypeIssues=false, reportAssertAlwaysTrue=false, reportUnusedExpression=false
# pyright: reportOptionalSubscript=false

from . import right, wrong

import math, functools

import numpy as np

import torch

import torch.nn.functional as F


def per(v, x):
    return v.view(-1, *[1] * (x.dim() - 1))


def qs_(x_0, t, eps, ab):
    a = per(ab[t], x_0)
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


def tg_(x_0, eps, t, ab, predict):
    a = per(ab[t], x_0)
    return {"eps": eps, "x_0": x_0, "v": a.sqrt() * eps - (1 - a).sqrt() * x_0}[predict]


def po_(x_0, x_t, t, beta, ab):
    b, a, p = per(beta[t], x_0), per(ab[t], x_0), per(ab[t - 1], x_0)
    return p.sqrt() * b / (1 - a) * x_0 + (1 - b).sqrt() * (1 - p) / (1 - a) * x_t, (1 - p) / (1 - a) * b


AB = "alpha_bar"


# product of the betas, not of 1 - beta
@wrong("diffusion.alpha_bar", "beta_for_alpha")
def f(beta):
    return torch.cat([beta.new_ones(1), beta.cumprod(0)])


# 1 - cumsum(beta): sums for products
@wrong("diffusion.alpha_bar", "sum_for_product")
def f(beta):
    return torch.cat([beta.new_ones(1), 1 - beta.cumsum(0)])


# root of the product (the factor of the data, not of the variance)
@wrong("diffusion.alpha_bar", "rooted")
def f(beta):
    return torch.cat([beta.new_ones(1), (1 - beta).cumprod(0).sqrt()])


# list of Python floats, so float32 whatever beta's dtype is
@wrong("diffusion.alpha_bar", "dtype")
def f(beta):
    out = [1.0]
    for b in beta:
        out.append(out[-1] * (1 - float(b)))
    return torch.tensor(out)


# loop runs over T - 1 betas: last entry is never multiplied (stays 1)
@wrong("diffusion.alpha_bar", "first_skipped")
def f(beta):
    out = torch.ones(len(beta) + 1, dtype=beta.dtype)
    for t in range(1, len(beta)):
        out[t] = out[t - 1] * (1 - beta[t])
    return out


# beta changed in place to alpha
@wrong("diffusion.alpha_bar", "in_place")
def f(beta):
    alpha = beta.neg_().add_(1)
    return torch.cat([torch.ones(1, dtype=beta.dtype), torch.cumprod(alpha, 0)])


#
@right("diffusion.alpha_bar")
def f(beta):
    return torch.cat([beta.new_zeros(1), torch.log1p(-beta).cumsum(0)]).exp()


#
@right("diffusion.alpha_bar")
def f(beta):
    return torch.cumprod(1 - F.pad(beta, (1, 0)), dim=0)


#
@right("diffusion.alpha_bar")
def f(beta):
    # MENDED after the run (bug of mine): the first version recursed once per step, quadratic, and in
    # plain Python ended in RecursionError at T = 1000, so it was not right. Now halves.
    def rec(a):
        if len(a) <= 1:
            return a
        left, right = rec(a[: len(a) // 2]), rec(a[len(a) // 2 :])
        return torch.cat([left, left[-1] * right])

    return torch.cat([beta.new_ones(1), rec(1 - beta)])


Q = "q_sample"


# no roots at all
@wrong("diffusion.q_sample", "not_rooted")
def f(x_0, t, eps, alpha_bar):
    a = per(alpha_bar[t], x_0)
    return a * x_0 + (1 - a) * eps


# noise factor 1 - sqrt(ab) instead of sqrt(1 - ab)
@wrong("diffusion.q_sample", "one_minus_root")
def f(x_0, t, eps, alpha_bar):
    a = per(alpha_bar[t], x_0).sqrt()
    return a * x_0 + (1 - a) * eps


# table read at t - 1
@wrong("diffusion.q_sample", "one_step_early")
def f(x_0, t, eps, alpha_bar):
    a = per(alpha_bar[t - 1], x_0)
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


# hard-coded [:, None]: right for points, wrong for pictures
@wrong("diffusion.q_sample", "along_the_rows")
def f(x_0, t, eps, alpha_bar):
    a = alpha_bar[t][:, None]
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


# x_0 changed in place (mul_)
@wrong("diffusion.q_sample", "in_place")
def f(x_0, t, eps, alpha_bar):
    a = per(alpha_bar[t], x_0)
    x_0 *= a.sqrt()
    return x_0 + (1 - a).sqrt() * eps


# never shrinks the data: x_0 + sqrt(1 - ab) eps
@wrong("diffusion.q_sample", "not_shrunk")
def f(x_0, t, eps, alpha_bar):
    a = per(alpha_bar[t], x_0)
    return x_0 + (1 - a).sqrt() * eps


#
@right("diffusion.q_sample")
def f(x_0, t, eps, alpha_bar):
    return torch.einsum("b,b...->b...", alpha_bar[t].sqrt(), x_0) + torch.einsum(
        "b,b...->b...", (1 - alpha_bar[t]).sqrt(), eps
    )


#
@right("diffusion.q_sample")
def f(x_0, t, eps, alpha_bar):
    return (
        torch.vmap(
            lambda x, i, e: (
                (alpha_bar[i].sqrt() * x.T.T + (1 - alpha_bar[i]).sqrt() * e)
                if x.dim() == 2
                else alpha_bar[i].sqrt() * x + (1 - alpha_bar[i]).sqrt() * e
            )
        )(x_0, alpha_bar[t] * 0 + t, eps)
        if False
        else torch.stack(
            [
                torch.distributions.Normal(alpha_bar[i].sqrt() * x, (1 - alpha_bar[i]).sqrt()).mean
                + (1 - alpha_bar[i]).sqrt() * e
                for x, i, e in zip(x_0, t, eps)
            ]
        )
    )


#
@right("diffusion.q_sample")
def f(x_0, t, eps, alpha_bar):
    out = torch.empty_like(x_0)
    for i, step in enumerate(t.tolist()):
        a = alpha_bar[step].item()
        out[i] = math.sqrt(a) * x_0[i] + math.sqrt(1 - a) * eps[i]
    return out


P = "posterior"


# weights of x_0 and x_t exchanged
@wrong("diffusion.posterior", "swapped")
def f(x_0, x_t, t, beta, alpha_bar):
    return po_(x_t, x_0, t, beta, alpha_bar)


# standard deviation returned for the variance
@wrong("diffusion.posterior", "deviation")
def f(x_0, x_t, t, beta, alpha_bar):
    m, v = po_(x_0, x_t, t, beta, alpha_bar)
    return m, v.sqrt()


# sqrt(alpha_bar_t) where sqrt(alpha_t) belongs, before x_t
@wrong("diffusion.posterior", "bar_for_alpha")
def f(x_0, x_t, t, beta, alpha_bar):
    b, a, p = per(beta[t], x_0), per(alpha_bar[t], x_0), per(alpha_bar[t - 1], x_0)
    return p.sqrt() * b / (1 - a) * x_0 + a.sqrt() * (1 - p) / (1 - a) * x_t, (1 - p) / (1 - a) * b


# mean under torch.no_grad: no gradient reaches x_0
@wrong("diffusion.posterior", "detached")
def f(x_0, x_t, t, beta, alpha_bar):
    with torch.no_grad():
        return po_(x_0, x_t, t, beta, alpha_bar)


# variance beta_t instead of beta tilde
@wrong("diffusion.posterior", "beta_for_var")
def f(x_0, x_t, t, beta, alpha_bar):
    return po_(x_0, x_t, t, beta, alpha_bar)[0], per(beta[t], x_0)


# alpha_bar_{t-1} by dividing by the wrong alpha: alpha_bar[t] / (1 - beta[t-1])
@wrong("diffusion.posterior", "before_by_alpha_early")
def f(x_0, x_t, t, beta, alpha_bar):
    b, a = per(beta[t], x_0), per(alpha_bar[t], x_0)
    p = a / per(1 - beta[t - 1], x_0)
    return p.sqrt() * b / (1 - a) * x_0 + (1 - b).sqrt() * (1 - p) / (1 - a) * x_t, (1 - p) / (1 - a) * b


# variance fraction upside down (1-ab_t)/(1-ab_{t-1})
@wrong("diffusion.posterior", "ratio_turned")
def f(x_0, x_t, t, beta, alpha_bar):
    m, _ = po_(x_0, x_t, t, beta, alpha_bar)
    return m, (1 - per(alpha_bar[t], x_0)) / (1 - per(alpha_bar[t - 1], x_0)) * per(beta[t], x_0)


# the common divisor 1 - ab_t forgotten in the first term of the mean
@wrong("diffusion.posterior", "x_0_not_divided")
def f(x_0, x_t, t, beta, alpha_bar):
    b, a, p = per(beta[t], x_0), per(alpha_bar[t], x_0), per(alpha_bar[t - 1], x_0)
    return p.sqrt() * b * x_0 + (1 - b).sqrt() * (1 - p) / (1 - a) * x_t, (1 - p) / (1 - a) * b


#
@right("diffusion.posterior")
def f(x_0, x_t, t, beta, alpha_bar):
    b, p = per(beta[t], x_0), per(alpha_bar[t - 1], x_0)
    d = (1 - b) * (1 - p) + b
    return ((1 - p) * (1 - b).sqrt() * x_t + b * p.sqrt() * x_0) / d, ((1 - p) * b / d).expand_as(x_0)


#
@right("diffusion.posterior")
def f(x_0, x_t, t, beta, alpha_bar):
    b, a = per(beta[t], x_0), per(alpha_bar[t], x_0)
    eps = (x_t - a.sqrt() * x_0) / (1 - a).sqrt()
    var = b * (1 - per(alpha_bar[t - 1], x_0)) / (1 - a)
    return (x_t - b / (1 - a).sqrt() * eps) / (1 - b).sqrt(), var


#
@right("diffusion.posterior")
def f(x_0, x_t, t, beta, alpha_bar):
    ms, vs = [], []
    for x, y, i in zip(x_0, x_t, t):
        b, a, p = beta[i], alpha_bar[i], alpha_bar[i - 1]
        gain = (1 - p) * (1 - b).sqrt() / (1 - a)  # Kalman update
        prior = p.sqrt() * x
        ms.append(prior + gain * (y - (1 - b).sqrt() * prior))
        vs.append(torch.full_like(x, float((1 - gain * (1 - b).sqrt()) * (1 - p))))
    return torch.stack(ms), torch.stack(vs)


T_ = "target"


# v with a plus between the terms
@wrong("diffusion.target", "added")
def f(x_0, eps, t, alpha_bar, predict):
    if predict == "eps":
        return eps
    if predict == "x_0":
        return x_0
    a = per(alpha_bar[t], x_0)
    return a.sqrt() * eps + (1 - a).sqrt() * x_0


# v without roots
@wrong("diffusion.target", "not_rooted")
def f(x_0, eps, t, alpha_bar, predict):
    if predict == "eps":
        return eps
    if predict == "x_0":
        return x_0
    a = per(alpha_bar[t], x_0)
    return a * eps - (1 - a) * x_0


# misspelt 'x0': 'x_0' falls through to v
@wrong("diffusion.target", "x_0_gives_v")
def f(x_0, eps, t, alpha_bar, predict):
    if predict == "eps":
        return eps
    if predict == "x0":
        return x_0
    a = per(alpha_bar[t], x_0)
    return a.sqrt() * eps - (1 - a).sqrt() * x_0


# v for flow matching: eps - x_0
@wrong("diffusion.target", "straight")
def f(x_0, eps, t, alpha_bar, predict):
    return {"eps": eps, "x_0": x_0, "v": eps - x_0}[predict]


# the two roots exchanged in v: sqrt(1-ab) eps - sqrt(ab) x_0
@wrong("diffusion.target", "swapped")
def f(x_0, eps, t, alpha_bar, predict):
    if predict == "eps":
        return eps
    if predict == "x_0":
        return x_0
    a = per(alpha_bar[t], x_0)
    return (1 - a).sqrt() * eps - a.sqrt() * x_0


# eps and x_0 cases exchanged
@wrong("diffusion.target", "exchanged")
def f(x_0, eps, t, alpha_bar, predict):
    if predict == "eps":
        return x_0
    if predict == "x_0":
        return eps
    a = per(alpha_bar[t], x_0)
    return a.sqrt() * eps - (1 - a).sqrt() * x_0


#
@right("diffusion.target")
def f(x_0, eps, t, alpha_bar, predict):
    phi = per(alpha_bar[t].sqrt().acos(), x_0)
    match predict:
        case "eps":
            return eps
        case "x_0":
            return x_0
        case "v":
            return phi.cos() * eps - phi.sin() * x_0


#
@right("diffusion.target")
def f(x_0, eps, t, alpha_bar, predict):
    a = alpha_bar[t].reshape((len(t),) + (1,) * (x_0.ndim - 1))
    ways = dict(
        eps=lambda: eps,
        x_0=lambda: x_0,
        v=lambda: (a.sqrt() * (a.sqrt() * x_0 + (1 - a).sqrt() * eps) - x_0) / (1 - a).sqrt(),
    )
    return ways[predict]()


L = "loss"


# sum over pixels, mean over the batch
@wrong("diffusion.loss", "summed_over_pixels")
def f(net, x_0, t, eps, alpha_bar, predict):
    d = net(qs_(x_0, t, eps, alpha_bar), t) - tg_(x_0, eps, t, alpha_bar, predict)
    return (d**2).flatten(1).sum(1).mean()


# mean absolute error
@wrong("diffusion.loss", "absolute")
def f(net, x_0, t, eps, alpha_bar, predict):
    return (net(qs_(x_0, t, eps, alpha_bar), t) - tg_(x_0, eps, t, alpha_bar, predict)).abs().mean()


# one loss per example, mean over pixels only
@wrong("diffusion.loss", "for_each_example")
def f(net, x_0, t, eps, alpha_bar, predict):
    d = net(qs_(x_0, t, eps, alpha_bar), t) - tg_(x_0, eps, t, alpha_bar, predict)
    return (d**2).flatten(1).mean(1)


# root of the mean square
@wrong("diffusion.loss", "rooted")
def f(net, x_0, t, eps, alpha_bar, predict):
    return F.mse_loss(net(qs_(x_0, t, eps, alpha_bar), t), tg_(x_0, eps, t, alpha_bar, predict)).sqrt()


# target always eps, whatever predict says
@wrong("diffusion.loss", "always_eps")
def f(net, x_0, t, eps, alpha_bar, predict):
    return F.mse_loss(net(qs_(x_0, t, eps, alpha_bar), t), eps)


# net sees the clean x_0
@wrong("diffusion.loss", "shown_x_0")
def f(net, x_0, t, eps, alpha_bar, predict):
    return F.mse_loss(net(x_0, t), tg_(x_0, eps, t, alpha_bar, predict))


# net called under no_grad: nothing to learn from
@wrong("diffusion.loss", "detached")
def f(net, x_0, t, eps, alpha_bar, predict):
    with torch.no_grad():
        said = net(qs_(x_0, t, eps, alpha_bar), t)
    return F.mse_loss(said, tg_(x_0, eps, t, alpha_bar, predict))


# square of the mean difference: mean taken before the square
@wrong("diffusion.loss", "squared_too_late")
def f(net, x_0, t, eps, alpha_bar, predict):
    return (net(qs_(x_0, t, eps, alpha_bar), t) - tg_(x_0, eps, t, alpha_bar, predict)).mean() ** 2


#
@right("diffusion.loss")
def f(net, x_0, t, eps, alpha_bar, predict):
    class Case:
        def __init__(self):
            self.x_t, self.y = qs_(x_0, t, eps, alpha_bar), tg_(x_0, eps, t, alpha_bar, predict)

        def error(self):
            return torch.nn.MSELoss()(net(self.x_t, t), self.y)

    return Case().error()


#
@right("diffusion.loss")
def f(net, x_0, t, eps, alpha_bar, predict):
    total = 0.0
    for i in range(len(x_0)):
        one = slice(i, i + 1)
        d = net(qs_(x_0[one], t[one], eps[one], alpha_bar), t[one]) - tg_(
            x_0[one], eps[one], t[one], alpha_bar, predict
        )
        total = total + d.square().sum()
    return total / x_0.numel()


#
@right("diffusion.loss")
def f(net, x_0, t, eps, alpha_bar, predict):
    d = (net(qs_(x_0, t, eps, alpha_bar), t) - tg_(x_0, eps, t, alpha_bar, predict)).flatten()
    return torch.dot(d, d) / len(d)


R = "reverse_step"


# sigma = beta: root of the variance forgotten
@wrong("diffusion.reverse_step", "noise_not_rooted")
def f(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a = per(beta[t], x_t), per(alpha_bar[t], x_t)
    return (x_t - b / (1 - a).sqrt() * eps_hat) / (1 - b).sqrt() + per(t > 1, x_t) * b * z


# noise at t = 1 as well (mask t > 0)
@wrong("diffusion.reverse_step", "noise_at_the_end")
def f(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a = per(beta[t], x_t), per(alpha_bar[t], x_t)
    return (x_t - b / (1 - a).sqrt() * eps_hat) / (1 - b).sqrt() + per(t > 0, x_t) * b.sqrt() * z


# 1/sqrt(alpha_bar) for 1/sqrt(alpha) in front
@wrong("diffusion.reverse_step", "bar_for_alpha")
def f(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a = per(beta[t], x_t), per(alpha_bar[t], x_t)
    return (x_t - b / (1 - a).sqrt() * eps_hat) / a.sqrt() + per(t > 1, x_t) * b.sqrt() * z


# eps divided by 1 - alpha_bar, no root
@wrong("diffusion.reverse_step", "denominator_not_rooted")
def f(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a = per(beta[t], x_t), per(alpha_bar[t], x_t)
    return (x_t - b / (1 - a) * eps_hat) / (1 - b).sqrt() + per(t > 1, x_t) * b.sqrt() * z


# bracket forgotten: only x_t is divided by sqrt(alpha)
@wrong("diffusion.reverse_step", "guess_not_scaled")
def f(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a = per(beta[t], x_t), per(alpha_bar[t], x_t)
    return x_t / (1 - b).sqrt() - b / (1 - a).sqrt() * eps_hat + per(t > 1, x_t) * b.sqrt() * z


# beta tilde for the variance instead of beta
@wrong("diffusion.reverse_step", "beta_tilde_noise")
def f(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, p = per(beta[t], x_t), per(alpha_bar[t], x_t), per(alpha_bar[t - 1], x_t)
    return (x_t - b / (1 - a).sqrt() * eps_hat) / (1 - b).sqrt() + ((1 - p) / (1 - a) * b).sqrt() * z


# eps_hat added instead of taken off
@wrong("diffusion.reverse_step", "eps_added")
def f(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a = per(beta[t], x_t), per(alpha_bar[t], x_t)
    return (x_t + b / (1 - a).sqrt() * eps_hat) / (1 - b).sqrt() + per(t > 1, x_t) * b.sqrt() * z


# z inside the bracket, so divided by sqrt(alpha) too
@wrong("diffusion.reverse_step", "noise_scaled")
def f(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a = per(beta[t], x_t), per(alpha_bar[t], x_t)
    return (x_t - b / (1 - a).sqrt() * eps_hat + per(t > 1, x_t) * b.sqrt() * z) / (1 - b).sqrt()


#
@right("diffusion.reverse_step")
def f(x_t, t, eps_hat, z, beta, alpha_bar):
    z = z.clone()
    z[t == 1] = 0
    b, a = per(beta[t], x_t), per(alpha_bar[t], x_t)
    out = x_t.clone()
    out -= b * (1 - a).rsqrt() * eps_hat
    out /= (1 - b).sqrt()
    out += b.sqrt() * z
    return out


#
@right("diffusion.reverse_step")
def f(x_t, t, eps_hat, z, beta, alpha_bar):
    a = per(alpha_bar[t], x_t)
    x_0 = (x_t - (1 - a).sqrt() * eps_hat) / a.sqrt()
    mean, _ = po_(x_0, x_t, t, beta, alpha_bar)
    return torch.where(per(t, x_t) == 1, mean, mean + per(beta[t], x_t).sqrt() * z)


#
@right("diffusion.reverse_step")
def f(x_t, t, eps_hat, z, beta, alpha_bar):
    def one(x, i, e, n):
        al = 1 - beta[i]
        mean = al.pow(-0.5) * (x - (1 - al) * (1 - alpha_bar[i]).pow(-0.5) * e)
        return torch.distributions.Normal(mean, beta[i].sqrt()).mean + beta[i].sqrt() * n if i > 1 else mean

    return torch.stack([one(*args) for args in zip(x_t, t.tolist(), eps_hat, z)])


AN = "ancestral"


# noise z[i - 1] for step i
@wrong("diffusion.ancestral", "noise_early")
def f(net, step, x_T, z):
    xs = [x_T]
    for i in range(len(z) - 1, 0, -1):
        t = torch.full((len(x_T),), i)
        xs.append(step(xs[-1], t, net(xs[-1], t), z[i - 1]))
    return torch.stack(xs)


# one step too many: the loop goes down to t = 0
@wrong("diffusion.ancestral", "error")
def f(net, step, x_T, z):
    xs = [x_T]
    for i in range(len(z) - 1, -1, -1):
        t = torch.full((len(x_T),), i)
        xs.append(step(xs[-1], t, net(xs[-1], t), z[i]))
    return torch.stack(xs)


# loop ends at t = 2 (range stop 1)
@wrong("diffusion.ancestral", "stops_early")
def f(net, step, x_T, z):
    xs = [x_T]
    for i in range(len(z) - 1, 1, -1):
        t = torch.full((len(x_T),), i)
        xs.append(step(xs[-1], t, net(xs[-1], t), z[i]))
    return torch.stack(xs)


# walks upwards, t = 1 ... T
@wrong("diffusion.ancestral", "upwards")
def f(net, step, x_T, z):
    xs = [x_T]
    for i in range(1, len(z)):
        t = torch.full((len(x_T),), i)
        xs.append(step(xs[-1], t, net(xs[-1], t), z[i]))
    return torch.stack(xs)


# result turned round, x_0 first
@wrong("diffusion.ancestral", "x_0_first")
def f(net, step, x_T, z):
    xs = [x_T]
    for i in range(len(z) - 1, 0, -1):
        t = torch.full((len(x_T),), i)
        xs.append(step(xs[-1], t, net(xs[-1], t), z[i]))
    return torch.stack(xs[::-1])


# net always asked about x_T
@wrong("diffusion.ancestral", "net_sees_x_T")
def f(net, step, x_T, z):
    xs = [x_T]
    for i in range(len(z) - 1, 0, -1):
        t = torch.full((len(x_T),), i)
        xs.append(step(xs[-1], t, net(x_T, t), z[i]))
    return torch.stack(xs)


# T hard-coded to 200
@wrong("diffusion.ancestral", "error")
def f(net, step, x_T, z):
    xs = [x_T]
    for i in range(200, 0, -1):
        t = torch.full((len(x_T),), i)
        xs.append(step(xs[-1], t, net(xs[-1], t), z[i]))
    return torch.stack(xs)


# t handed over as a float tensor
@wrong("diffusion.ancestral", "error")
def f(net, step, x_T, z):
    xs = [x_T]
    for i in range(len(z) - 1, 0, -1):
        t = torch.ones(len(x_T)) * i
        xs.append(step(xs[-1], t, net(xs[-1], t), z[i]))
    return torch.stack(xs)


#
@right("diffusion.ancestral")
def f(net, step, x_T, z):
    def walk(x, i):
        if i == 0:
            return [x]
        t = x_T.new_full((x_T.shape[0],), i, dtype=torch.int64)
        return [x] + walk(step(x, t, net(x, t), z[i]), i - 1)

    return torch.stack(walk(x_T, z.shape[0] - 1))


#
@right("diffusion.ancestral")
def f(net, step, x_T, z):
    out = torch.zeros_like(z)
    out[0] = x_T
    T = len(z) - 1
    for k in range(T):
        t = torch.LongTensor([T - k] * len(x_T))
        out[k + 1] = step(out[k], t, net(out[k], t), z[T - k])
    return out


#
@right("diffusion.ancestral")
def f(net, step, x_T, z):
    import itertools

    def go(x, pair):
        i, n = pair
        t = torch.tensor(i).repeat(len(x))
        return step(x, t, net(x, t), n)

    pairs = [(i, z[i]) for i in reversed(range(1, len(z)))]
    return torch.cat([x.unsqueeze(0) for x in itertools.accumulate(pairs, go, initial=x_T)])


S = "ddim_steps"


# constant stride T // n: does not reach 0 evenly, then 0 is put at the end
@wrong("diffusion.ddim_steps", "strides_rounded")
def f(T, n):
    steps = [T - i * (T // n) for i in range(n + 1)]
    steps[-1] = 0
    return torch.tensor(steps)


# rounded up (ceil)
@wrong("diffusion.ddim_steps", "rounded_up")
def f(T, n):
    return torch.linspace(T, 0, n + 1).ceil().long()


#
@right("diffusion.ddim_steps")
def f(T, n):
    return torch.from_numpy(np.rint(np.linspace(0, T, n + 1))[::-1].astype(np.int32).copy())


D = "ddim_step"


def parts(x_t, eps_hat, t, s, eta, ab):
    a, b = per(ab[t], x_t), per(ab[s], x_t)
    return a, b, (x_t - (1 - a).sqrt() * eps_hat) / a.sqrt(), eta**2 * (1 - b) / (1 - a) * (1 - a / b)


# eta not squared in the variance
@wrong("diffusion.ddim_step", "eta_not_squared")
def f(x_t, eps_hat, t, s, eta, z, alpha_bar):
    a, b, x_0, _ = parts(x_t, eps_hat, t, s, 1, alpha_bar)
    v = eta * _
    return b.sqrt() * x_0 + (1 - b - v).clamp(min=0).sqrt() * eps_hat + v.sqrt() * z


# sigma^2 not taken off the old noise: sqrt(1 - ab_s) eps_hat
@wrong("diffusion.ddim_step", "no_room")
def f(x_t, eps_hat, t, s, eta, z, alpha_bar):
    a, b, x_0, v = parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return b.sqrt() * x_0 + (1 - b).sqrt() * eps_hat + v.sqrt() * z


# sigma^2 * z: root forgotten before z
@wrong("diffusion.ddim_step", "noise_not_rooted")
def f(x_t, eps_hat, t, s, eta, z, alpha_bar):
    a, b, x_0, v = parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return b.sqrt() * x_0 + (1 - b - v).clamp(min=0).sqrt() * eps_hat + v * z


# goes to t - 1 whatever s is
@wrong("diffusion.ddim_step", "to_t_minus_1")
def f(x_t, eps_hat, t, s, eta, z, alpha_bar):
    a, b, x_0, v = parts(x_t, eps_hat, t, t - 1, eta, alpha_bar)
    return b.sqrt() * x_0 + (1 - b - v).clamp(min=0).sqrt() * eps_hat + v.sqrt() * z


# x_t instead of the guessed x_0 in the first term
@wrong("diffusion.ddim_step", "slip")
def f(x_t, eps_hat, t, s, eta, z, alpha_bar):
    a, b, x_0, v = parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return b.sqrt() * x_t + (1 - b - v).clamp(min=0).sqrt() * eps_hat + v.sqrt() * z


# fraction in sigma^2 upside down: (1-ab_t)/(1-ab_s) guarded at s = 0
@wrong("diffusion.ddim_step", "ratio_turned")
def f(x_t, eps_hat, t, s, eta, z, alpha_bar):
    a, b, x_0, v = parts(x_t, eps_hat, t, s, eta, alpha_bar)
    v = torch.where(b == 1, torch.zeros_like(b), eta**2 * (1 - a) / (1 - b).clamp(min=1e-12) * (1 - a / b))
    return b.sqrt() * x_0 + (1 - b - v).clamp(min=0).sqrt() * eps_hat + v.sqrt() * z


# sqrt(1 - ab_s) - sigma instead of sqrt(1 - ab_s - sigma^2)
@wrong("diffusion.ddim_step", "deviations_subtracted")
def f(x_t, eps_hat, t, s, eta, z, alpha_bar):
    a, b, x_0, v = parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return b.sqrt() * x_0 + ((1 - b).sqrt() - v.sqrt()) * eps_hat + v.sqrt() * z


# guessed x_0 clamped to [-1, 1]
@wrong("diffusion.ddim_step", "clamped")
def f(x_t, eps_hat, t, s, eta, z, alpha_bar):
    a, b, x_0, v = parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return b.sqrt() * x_0.clamp(-1, 1) + (1 - b - v).clamp(min=0).sqrt() * eps_hat + v.sqrt() * z


#
@right("diffusion.ddim_step")
def f(x_t, eps_hat, t, s, eta, z, alpha_bar):
    a, b = per(alpha_bar[t], x_t), per(alpha_bar[s], x_t)
    sigma = eta * ((1 - b) / (1 - a) * (1 - a / b)).sqrt()
    old = (1 - b - sigma**2).relu().sqrt()
    return (b / a).sqrt() * x_t + (old - (b * (1 - a) / a).sqrt()) * eps_hat + sigma * z


#
@right("diffusion.ddim_step")
def f(x_t, eps_hat, t, s, eta, z, alpha_bar):
    out = []
    for x, e, i, j, n in zip(x_t, eps_hat, t.tolist(), s.tolist(), z):
        a, b = alpha_bar[i].item(), alpha_bar[j].item()
        sig2 = eta * eta * (1 - b) * (b - a) / (b * (1 - a))
        out.append(
            math.sqrt(b) * (x - math.sqrt(1 - a) * e) / math.sqrt(a)
            + math.sqrt(max(1 - b - sig2, 0)) * e
            + math.sqrt(sig2) * n
        )
    return torch.stack(out)


#
@right("diffusion.ddim_step")
def f(x_t, eps_hat, t, s, eta, z, alpha_bar):
    nd = x_t.dim() - 1
    a, b = (alpha_bar.index_select(0, i)[(...,) + (None,) * nd] for i in (t, s))
    w = eta * torch.sqrt((b - a) / (b * (1 - a)))  # share of new noise
    fresh = torch.sqrt((1 - w * w).clamp_min(0)) * eps_hat + w * z
    return (
        torch.lerp(
            torch.zeros_like(x_t), (x_t - torch.sqrt(1 - a) * eps_hat) / torch.sqrt(a), torch.sqrt(b).expand_as(x_t)
        )
        + torch.sqrt(1 - b) * fresh
    )


TS = "training_step"


def lo_(net, x_0, t, eps, ab):
    return ((net(qs_(x_0, t, eps, ab), t) - eps) ** 2).mean()


# optimizer.step() forgotten
@wrong("diffusion.training_step", "no_step")
def f(net, x_0, t, eps, alpha_bar, optimizer):
    v = lo_(net, x_0, t, eps, alpha_bar)
    optimizer.zero_grad()
    v.backward()
    return v.detach()


# loss returned with its history
@wrong("diffusion.training_step", "graph_kept")
def f(net, x_0, t, eps, alpha_bar, optimizer):
    v = lo_(net, x_0, t, eps, alpha_bar)
    optimizer.zero_grad()
    v.backward()
    optimizer.step()
    return v


# loss after the step returned
@wrong("diffusion.training_step", "loss_afterwards")
def f(net, x_0, t, eps, alpha_bar, optimizer):
    v = lo_(net, x_0, t, eps, alpha_bar)
    optimizer.zero_grad()
    v.backward()
    optimizer.step()
    return lo_(net, x_0, t, eps, alpha_bar).item()


# zero_grad at the end: what an earlier step left counts
@wrong("diffusion.training_step", "piled_up")
def f(net, x_0, t, eps, alpha_bar, optimizer):
    v = lo_(net, x_0, t, eps, alpha_bar)
    v.backward()
    optimizer.step()
    optimizer.zero_grad()
    return v.item()


# step before backward (with zero_grad first)
@wrong("diffusion.training_step", "no_slopes")
def f(net, x_0, t, eps, alpha_bar, optimizer):
    optimizer.zero_grad()
    v = lo_(net, x_0, t, eps, alpha_bar)
    optimizer.step()
    v.backward()
    return v.item()


# backward on the detached loss
@wrong("diffusion.training_step", "error")
def f(net, x_0, t, eps, alpha_bar, optimizer):
    v = lo_(net, x_0, t, eps, alpha_bar).detach()
    optimizer.zero_grad()
    v.backward()
    optimizer.step()
    return v


# fresh noise for the target, not the eps that made x_t
@wrong("diffusion.training_step", "noise_drawn")
def f(net, x_0, t, eps, alpha_bar, optimizer):
    v = F.mse_loss(net(qs_(x_0, t, eps, alpha_bar), t), torch.randn_like(eps))
    optimizer.zero_grad()
    v.backward()
    optimizer.step()
    return v.item()


# sum of squares instead of the mean
@wrong("diffusion.training_step", "summed")
def f(net, x_0, t, eps, alpha_bar, optimizer):
    v = F.mse_loss(net(qs_(x_0, t, eps, alpha_bar), t), eps, reduction="sum")
    optimizer.zero_grad()
    v.backward()
    optimizer.step()
    return v.item()


#
@right("diffusion.training_step")
def f(net, x_0, t, eps, alpha_bar, optimizer):
    v = lo_(net, x_0, t, eps, alpha_bar)
    ps = [p for group in optimizer.param_groups for p in group["params"]]
    for p, g in zip(ps, torch.autograd.grad(v, ps)):
        p.grad = g
    optimizer.step()
    return float(v)


#
@right("diffusion.training_step")
def f(net, x_0, t, eps, alpha_bar, optimizer):
    for p in net.parameters():
        p.grad = None
    v = lo_(net, x_0, t, eps, alpha_bar)
    v.backward()
    optimizer.step()
    return v.data.clone()


#
@right("diffusion.training_step")
def f(net, x_0, t, eps, alpha_bar, optimizer):
    optimizer.zero_grad(set_to_none=False)
    total = 0.0
    for i in range(len(x_0)):  # gradient accumulation, one example at a time
        one = slice(i, i + 1)
        v = lo_(net, x_0[one], t[one], eps[one], alpha_bar) / len(x_0)
        v.backward()
        total += v.item()
    optimizer.step()
    return total


G = "guide"


# scale convention of the libraries: none + w (label - none)
@wrong("diffusion.guide", "from_none")
def f(eps_label, eps_none, w):
    return eps_none + w * (eps_label - eps_none)


# label and none exchanged
@wrong("diffusion.guide", "exchanged")
def f(eps_label, eps_none, w):
    return (1 + w) * eps_none - w * eps_label


# eps_label changed in place
@wrong("diffusion.guide", "in_place")
def f(eps_label, eps_none, w):
    return eps_label.mul_(1 + w).sub_(w * eps_none)


#
@right("diffusion.guide")
def f(eps_label, eps_none, w):
    return torch.lerp(eps_none, eps_label, 1.0 + w)


B = "bound_term"


def kl_in(x_0, x_t, t, x_0_hat, beta, ab):
    m1, v1 = po_(x_0, x_t, t, beta, ab)
    m2, _ = po_(x_0_hat, x_t, t, beta, ab)
    return m1, v1, m2, per(beta[t], x_0)


# the divergence the other way round, KL(model || posterior)
@wrong("diffusion.bound_term", "turned")
def f(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m1, v1, m2, v2 = kl_in(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    return (0.5 * ((v1 / v2).log() + v2 / v1 - 1 + (m1 - m2) ** 2 / v1)).flatten(1).sum(1)


# summed over the batch too: one number
@wrong("diffusion.bound_term", "summed_over_batch")
def f(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m1, v1, m2, v2 = kl_in(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    return (0.5 * ((v2 / v1).log() + v1 / v2 - 1 + (m1 - m2) ** 2 / v2)).sum()


# factor 1/2 forgotten
@wrong("diffusion.bound_term", "no_half")
def f(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m1, v1, m2, v2 = kl_in(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    return ((v2 / v1).log() + v1 / v2 - 1 + (m1 - m2) ** 2 / v2).flatten(1).sum(1)


# both Gaussians with the variance beta tilde
@wrong("diffusion.bound_term", "beta_tilde_for_both")
def f(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m1, v1, m2, v2 = kl_in(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    return (0.5 * (m1 - m2) ** 2 / v1).flatten(1).sum(1)


# the part of the variances counted once, not for each pixel
@wrong("diffusion.bound_term", "variances_once")
def f(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m1, v1, m2, v2 = kl_in(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    return 0.5 * (((v2 / v1).log() + v1 / v2 - 1).flatten(1).sum(1) + ((m1 - m2) ** 2 / v2).flatten(1).sum(1))


# x_0 and x_0_hat compared themselves instead of the two means
@wrong("diffusion.bound_term", "x_0_compared")
def f(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m1, v1, m2, v2 = kl_in(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    return (0.5 * ((v2 / v1).log() + v1 / v2 - 1 + (x_0 - x_0_hat) ** 2 / v2)).flatten(1).sum(1)


#
@right("diffusion.bound_term")
def f(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m1, v1, m2, v2 = kl_in(x_0, x_t, t, x_0_hat, beta, alpha_bar)
    N = torch.distributions.Normal
    kl = torch.distributions.kl_divergence(N(m1, v1.sqrt().expand_as(m1)), N(m2, v2.sqrt().expand_as(m2)))
    return torch.einsum("bi->b", kl.reshape(len(x_0), -1))


#
@right("diffusion.bound_term")
def f(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    a, p, b = alpha_bar[t], alpha_bar[t - 1], beta[t]
    D = x_0[0].numel()
    r = (1 - p) / (1 - a)
    c = p * b / (1 - a) ** 2
    return 0.5 * (D * (r - 1 - r.log()) + c * (x_0 - x_0_hat).flatten(1).square().sum(1))
