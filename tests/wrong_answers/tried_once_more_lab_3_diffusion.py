"""Further answers to lab_3_diffusion, as they were tried on it."""
# ruff: noqa
# pyright: reportRedeclaration=false, reportAttributeAccessIssue=false, reportAssignmentType=false
# pyright: reportGeneralTypeIssues=false, reportAssertAlwaysTrue=false, reportUnusedExpression=false
# pyright: reportOptionalSubscript=false

from . import right, wrong

import itertools

import math

import torch

import torch.nn.functional as F


def q_sample(x_0, t, eps, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x_0.dim() - 1))
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


def posterior(x_0, x_t, t, beta, alpha_bar):
    now, before, b = (v.view(-1, *[1] * (x_0.dim() - 1)) for v in (alpha_bar[t], alpha_bar[t - 1], beta[t]))
    mean = before.sqrt() * b / (1 - now) * x_0 + (1 - b).sqrt() * (1 - before) / (1 - now) * x_t
    return mean, (1 - before) / (1 - now) * b


def target(x_0, eps, t, alpha_bar, predict):
    if predict == "eps":
        return eps
    if predict == "x_0":
        return x_0
    a = alpha_bar[t].view(-1, *[1] * (x_0.dim() - 1))
    return a.sqrt() * eps - (1 - a).sqrt() * x_0


def loss(net, x_0, t, eps, alpha_bar, predict):
    x_t = q_sample(x_0, t, eps, alpha_bar)
    return ((net(x_t, t) - target(x_0, eps, t, alpha_bar, predict)) ** 2).mean()


def col(v, x):
    return v.reshape(-1, *[1] * (x.dim() - 1))


# the table is made by torch.ones, always float32 (dtype)
@wrong("diffusion.alpha_bar", "dtype")
def w01(beta):
    table = torch.ones(len(beta) + 1)
    for i in range(len(beta)):
        table[i + 1] = table[i] * (1 - beta[i])
    return table


# the loop stops one early: the last entry stays 1
@wrong("diffusion.alpha_bar", "last_left_at_1")
def w02(beta):
    table = beta.new_ones(len(beta) + 1)
    for i in range(1, len(beta)):
        table[i] = table[i - 1] * (1 - beta[i - 1])
    return table


# changes the caller's beta in place (beta becomes alpha)
@wrong("diffusion.alpha_bar", "in_place")
def w03(beta):
    alpha = beta.neg_().add_(1)
    return torch.cat([beta.new_ones(1), alpha.cumprod(0)])


# bracket: 1 - sqrt(a) in place of sqrt(1 - a)
@wrong("diffusion.q_sample", "one_minus_root")
def w05(x_0, t, eps, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x_0.dim() - 1)).sqrt()
    return a * x_0 + (1 - a) * eps


# everything under no_grad: no gradient to x_0
@wrong("diffusion.posterior", "detached")
def w06(x_0, x_t, t, beta, alpha_bar):
    with torch.no_grad():
        now, before, b = (col(v, x_0) for v in (alpha_bar[t], alpha_bar[t - 1], beta[t]))
        mean = before.sqrt() * b / (1 - now) * x_0 + (1 - b).sqrt() * (1 - before) / (1 - now) * x_t
        return mean, (1 - before) / (1 - now) * b


# returns the log variance, clamped at 1e-20, as in Ho's code
@wrong("diffusion.posterior", "log_var")
def w07(x_0, x_t, t, beta, alpha_bar):
    now, before, b = (col(v, x_0) for v in (alpha_bar[t], alpha_bar[t - 1], beta[t]))
    mean = before.sqrt() * b / (1 - now) * x_0 + (1 - b).sqrt() * (1 - before) / (1 - now) * x_t
    return mean, ((1 - before) / (1 - now) * b).clamp(min=1e-20).log()


# index t - 1 clamped at 1: at t = 1 it reads alpha_bar[1] in place of alpha_bar[0]
@wrong("diffusion.posterior", "unforeseen")
def w08(x_0, x_t, t, beta, alpha_bar):
    previous = (t - 1).clamp(min=1)
    now, before, b = (col(v, x_0) for v in (alpha_bar[t], alpha_bar[previous], beta[t]))
    mean = before.sqrt() * b / (1 - now) * x_0 + (1 - b).sqrt() * (1 - before) / (1 - now) * x_t
    return mean, (1 - before) / (1 - now) * b


# asks for "x0", so that "x_0" falls through and None is returned
@wrong("diffusion.target", "none")
def w09(x_0, eps, t, alpha_bar, predict):
    a = col(alpha_bar[t], x_0)
    if predict == "eps":
        return eps
    elif predict == "x0":
        return x_0
    elif predict == "v":
        return a.sqrt() * eps - (1 - a).sqrt() * x_0


# v: the a_t are laid along the last axis instead of the batch
@wrong("diffusion.target", "along_the_last_axis")
def w10(x_0, eps, t, alpha_bar, predict):
    if predict == "eps":
        return eps
    if predict == "x_0":
        return x_0
    a = alpha_bar[t]
    return a.sqrt() * eps - (1 - a).sqrt() * x_0


# returns .item(): a float without gradient
@wrong("diffusion.loss", "type")
def w11(net, x_0, t, eps, alpha_bar, predict):
    x_t = q_sample(x_0, t, eps, alpha_bar)
    return F.mse_loss(net(x_t, t), target(x_0, eps, t, alpha_bar, predict)).item()


# the network is given t / T in place of t
@wrong("diffusion.loss", "error")
def w12(net, x_0, t, eps, alpha_bar, predict):
    x_t = q_sample(x_0, t, eps, alpha_bar)
    guess = net(x_t, t / (len(alpha_bar) - 1))
    return F.mse_loss(guess, target(x_0, eps, t, alpha_bar, predict))


# smooth_l1_loss, as seen in a tutorial, in place of squares
@wrong("diffusion.loss", "huber")
def w13(net, x_0, t, eps, alpha_bar, predict):
    x_t = q_sample(x_0, t, eps, alpha_bar)
    return F.smooth_l1_loss(net(x_t, t), target(x_0, eps, t, alpha_bar, predict))


# if any example has t = 1, nobody gets noise
@wrong("diffusion.reverse_step", "one_for_all")
def w14(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a = col(beta[t], x_t), col(alpha_bar[t], x_t)
    mean = (x_t - b / (1 - a).sqrt() * eps_hat) / (1 - b).sqrt()
    if (t > 1).all():
        return mean + b.sqrt() * z
    return mean


# the noise stands inside the bracket and is divided by sqrt(alpha_t), too
@wrong("diffusion.reverse_step", "noise_scaled")
def w15(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a = col(beta[t], x_t), col(alpha_bar[t], x_t)
    noise = col(t > 1, x_t) * b.sqrt() * z
    return (x_t - b / (1 - a).sqrt() * eps_hat + noise) / (1 - b).sqrt()


# x.copy_ in place: the list holds one tensor T + 1 times, and x_T is overwritten
@wrong("diffusion.ancestral", "in_place")
def w16(net, step, x_T, z):
    x = x_T
    walk = [x]
    for i in range(len(z) - 1, 0, -1):
        t = torch.full((len(x),), i)
        x.copy_(step(x, t, net(x, t), z[i]))
        walk.append(x)
    return torch.stack(walk)


# t has shape (1,) instead of (B,)
@wrong("diffusion.ancestral", "error")
def w17(net, step, x_T, z):
    x = x_T
    walk = [x]
    for i in range(len(z) - 1, 0, -1):
        t = torch.tensor([i])
        x = step(x, t, net(x, t), z[i])
        walk.append(x)
    return torch.stack(walk)


# z is counted from the start of the walk: z[1] goes into step T
@wrong("diffusion.ancestral", "noise_turned")
def w18(net, step, x_T, z):
    T = len(z) - 1
    walk = [x_T]
    for k in range(1, T + 1):
        t = torch.full((len(x_T),), T + 1 - k)
        walk.append(step(walk[-1], t, net(walk[-1], t), z[k]))
    return torch.stack(walk)


# eta is not squared in sigma^2
@wrong("diffusion.ddim_step", "eta_not_squared")
def w21(x_t, eps_hat, t, s, eta, z, alpha_bar):
    now, then = col(alpha_bar[t], x_t), col(alpha_bar[s], x_t)
    x_0 = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    variance = eta * (1 - then) / (1 - now) * (1 - now / then)
    return then.sqrt() * x_0 + (1 - then - variance).clamp(min=0).sqrt() * eps_hat + variance.sqrt() * z


# clips the guess of x_0 to [-1, 1], as a library does
@wrong("diffusion.ddim_step", "clamped")
def w22(x_t, eps_hat, t, s, eta, z, alpha_bar):
    now, then = col(alpha_bar[t], x_t), col(alpha_bar[s], x_t)
    x_0 = ((x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()).clamp(-1, 1)
    variance = eta**2 * (1 - then) / (1 - now) * (1 - now / then)
    return then.sqrt() * x_0 + (1 - then - variance).clamp(min=0).sqrt() * eps_hat + variance.sqrt() * z


# zero_grad between backward and step: nothing moves
@wrong("diffusion.training_step", "no_slopes")
def w23(net, x_0, t, eps, alpha_bar, optimizer):
    value = loss(net, x_0, t, eps, alpha_bar, "eps")
    value.backward()
    optimizer.zero_grad()
    optimizer.step()
    return value.detach()


# returns the loss after the step, computed anew
@wrong("diffusion.training_step", "loss_afterwards")
def w24(net, x_0, t, eps, alpha_bar, optimizer):
    optimizer.zero_grad()
    loss(net, x_0, t, eps, alpha_bar, "eps").backward()
    optimizer.step()
    with torch.no_grad():
        return loss(net, x_0, t, eps, alpha_bar, "eps")


# special case w = 0 returns eps_none (no guidance = no label)
@wrong("diffusion.guide", "no_label_at_0")
def w25(eps_label, eps_none, w):
    if w == 0:
        return eps_none
    return (1 + w) * eps_label - w * eps_none


# in place: eps_label of the caller is changed
@wrong("diffusion.guide", "in_place")
def w26(eps_label, eps_none, w):
    eps_label *= 1 + w
    eps_label -= w * eps_none
    return eps_label


# sum(1) without flatten: right for points, one value per row and column for pictures
@wrong("diffusion.bound_term", "shape")
def w27(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    mean, var = posterior(x_0, x_t, t, beta, alpha_bar)
    guess, _ = posterior(x_0_hat, x_t, t, beta, alpha_bar)
    b = col(beta[t], x_0)
    return (0.5 * (torch.log(b / var) + var / b - 1 + (mean - guess) ** 2 / b)).sum(1)


# the variance part (log ratio + ratio - 1) is counted once, not once for each pixel
@wrong("diffusion.bound_term", "variances_once")
def w28(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    mean, var = posterior(x_0, x_t, t, beta, alpha_bar)
    guess, _ = posterior(x_0_hat, x_t, t, beta, alpha_bar)
    b, v = beta[t], var.flatten(1)[:, 0]
    squares = ((mean - guess) ** 2).flatten(1).sum(1)
    return 0.5 * (torch.log(b / v) + v / b - 1 + squares / b)


# exp of the running sum of log1p(-beta), a zero in front
@right("diffusion.alpha_bar")
def r01(beta):
    return torch.exp(F.pad(torch.log1p(-beta), (1, 0)).cumsum(0))


# itertools.accumulate over 0-d tensors
@right("diffusion.alpha_bar")
def r02(beta):
    parts = itertools.accumulate(beta.unbind(), lambda left, b: left * (1 - b), initial=beta.new_ones(()))
    return torch.stack(list(parts))


# vmap over the examples
@right("diffusion.q_sample")
def r03(x_0, t, eps, alpha_bar):
    def one(x, e, a):
        return a.sqrt() * x + (1 - a).sqrt() * e

    return torch.vmap(one)(x_0, eps, alpha_bar[t])


# a Kalman update, gain form
@right("diffusion.posterior")
def r04(x_0, x_t, t, beta, alpha_bar):
    b = col(beta[t], x_0)
    P = 1 - col(alpha_bar[t - 1], x_0)
    h = (1 - b).sqrt()
    prior = (1 - P).sqrt() * x_0
    K = P * h / (h * h * P + b)
    return prior + K * (x_t - h * prior), (1 - K * h) * P


# a dict of lambdas, angle by atan2
@right("diffusion.target")
def r05(x_0, eps, t, alpha_bar, predict):
    a = alpha_bar[t].reshape((len(t),) + (1,) * (x_0.ndim - 1))
    phi = torch.atan2((1 - a).sqrt(), a.sqrt())
    return {
        "eps": lambda: eps,
        "x_0": lambda: x_0,
        "v": lambda: torch.cos(phi) * eps - torch.sin(phi) * x_0,
    }[predict]()


# dot product of the flattened error with itself, over numel
@right("diffusion.loss")
def r06(net, x_0, t, eps, alpha_bar, predict):
    error = net(q_sample(x_0, t, eps, alpha_bar), t) - target(x_0, eps, t, alpha_bar, predict)
    e = error.reshape(-1)
    return torch.einsum("i,i->", e, e) / e.numel()


# through the guessed x_0 and the posterior mean, torch.where for the noise
@right("diffusion.reverse_step")
def r07(x_t, t, eps_hat, z, beta, alpha_bar):
    a = col(alpha_bar[t], x_t)
    x_0_hat = (x_t - (1 - a).sqrt() * eps_hat) / a.sqrt()
    mean, _ = posterior(x_0_hat, x_t, t, beta, alpha_bar)
    return torch.where(col(t == 1, x_t), mean, mean + col(beta[t], x_t).sqrt() * z)


# a loop over the examples, filling an own tensor
@right("diffusion.reverse_step")
def r08(x_t, t, eps_hat, z, beta, alpha_bar):
    out = torch.empty_like(x_t)
    for i, step in enumerate(t.tolist()):
        b, a = float(beta[step]), float(alpha_bar[step])
        out[i] = (x_t[i] - b / math.sqrt(1 - a) * eps_hat[i]) / math.sqrt(1 - b)
        if step > 1:
            out[i] += math.sqrt(b) * z[i]
    return out


# recursion
@right("diffusion.ancestral")
def r09(net, step, x_T, z):
    def walk(x, i):
        if i == 0:
            return [x]
        t = torch.full((x.shape[0],), i, dtype=torch.int64)
        return [x] + walk(step(x, t, net(x, t), z[i]), i - 1)

    return torch.stack(walk(x_T, len(z) - 1))


# writes into a buffer like z
@right("diffusion.ancestral")
def r10(net, step, x_T, z):
    out = torch.empty_like(z)
    out[0] = x_T
    T = z.shape[0] - 1
    for k in range(T):
        t = torch.full((x_T.shape[0],), T - k, dtype=torch.long)
        out[k + 1] = step(out[k], t, net(out[k], t), z[T - k])
    return out


# whole-number arithmetic, halves up
@right("diffusion.ddim_steps")
def r11(T, n):
    return torch.tensor([(2 * T * k + n) // (2 * n) for k in reversed(range(n + 1))])


# a class inside, variance factored differently
@right("diffusion.ddim_step")
def r12(x_t, eps_hat, t, s, eta, z, alpha_bar):
    class Level:
        def __init__(self, i):
            self.a = col(alpha_bar[i], x_t)
            self.signal, self.noise = self.a.sqrt(), (1 - self.a).sqrt()

    now, then = Level(t), Level(s)
    share = eta**2 * (1 - now.a / then.a) / (1 - now.a)
    x_0 = (x_t - now.noise * eps_hat) / now.signal
    new = then.noise * ((1 - share).clamp(min=0).sqrt() * eps_hat + share.sqrt() * z)
    return then.signal * x_0 + new


# a closure handed to optimizer.step
@right("diffusion.training_step")
def r13(net, x_0, t, eps, alpha_bar, optimizer):
    def closure():
        optimizer.zero_grad()
        value = loss(net, x_0, t, eps, alpha_bar, "eps")
        value.backward()
        return value

    return optimizer.step(closure).item()


# torch.distributions, Independent, kl_divergence
@right("diffusion.bound_term")
def r15(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    from torch.distributions import Independent, Normal, kl_divergence

    mean, var = posterior(x_0, x_t, t, beta, alpha_bar)
    guess, _ = posterior(x_0_hat, x_t, t, beta, alpha_bar)
    b = col(beta[t], x_0).expand_as(x_0)
    n = x_0.dim() - 1
    p = Independent(Normal(mean, var.expand_as(mean).sqrt()), n)
    q = Independent(Normal(guess, b.sqrt()), n)
    return kl_divergence(p, q)
