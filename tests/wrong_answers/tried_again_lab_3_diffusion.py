"""Further answers to lab_3_diffusion, as they were tried on it."""
# ruff: noqa
# pyright: reportRedeclaration=false, reportAttributeAccessIssue=false, reportAssignmentType=false
# pyright: reportGeneralTypeIssues=false, reportAssertAlwaysTrue=false, reportUnusedExpression=false
# pyright: reportOptionalSubscript=false

from . import right, wrong

import math

import torch

import torch.nn.functional as F


def col(v, x):
    return v.view(-1, *[1] * (x.dim() - 1))


def q(x_0, t, eps, alpha_bar):
    a = col(alpha_bar[t], x_0)
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


def post(x_0, x_t, t, beta, alpha_bar):
    now, before, b = col(alpha_bar[t], x_0), col(alpha_bar[t - 1], x_0), col(beta[t], x_0)
    mean = before.sqrt() * b / (1 - now) * x_0 + (1 - b).sqrt() * (1 - before) / (1 - now) * x_t
    return mean, (1 - before) / (1 - now) * b


def tgt(x_0, eps, t, alpha_bar, predict):
    if predict == "eps":
        return eps
    if predict == "x_0":
        return x_0
    a = col(alpha_bar[t], x_0)
    return a.sqrt() * eps - (1 - a).sqrt() * x_0


# roots kept: cumprod of sqrt(1 - beta)
@wrong("diffusion.alpha_bar", "rooted")
def _(beta):
    return torch.cat([torch.ones(1, dtype=beta.dtype), torch.sqrt(1 - beta).cumprod(0)])


# filled into torch.ones(T + 1): always float32
@wrong("diffusion.alpha_bar", "dtype")
def _(beta):
    out = torch.ones(len(beta) + 1)
    for i in range(len(beta)):
        out[i + 1] = out[i] * (1 - beta[i])
    return out


# beta changed in place (neg_, add_)
@wrong("diffusion.alpha_bar", "in_place")
def _(beta):
    alpha = beta.neg_().add_(1)
    return torch.cat([alpha.new_ones(1), alpha.cumprod(0)])


# power of each alpha: (1 - beta_t)^t instead of the product
@wrong("diffusion.alpha_bar", "last_step_repeated")
def _(beta):
    t = torch.arange(len(beta) + 1)
    alpha = torch.cat([beta.new_ones(1), 1 - beta])
    return alpha**t


# loop over python floats
@right("diffusion.alpha_bar")
def _(beta):
    out, p = [1.0], 1.0
    for b in beta.tolist():
        p *= 1 - b
        out.append(p)
    return torch.tensor(out, dtype=beta.dtype)


# exp of a cumulated log1p, with F.pad in front
@right("diffusion.alpha_bar")
def _(beta):
    return F.pad(torch.log1p(-beta).cumsum(0), (1, 0)).exp()


# noise factor 1 - sqrt(a) instead of sqrt(1 - a)
@wrong("diffusion.q_sample", "one_minus_root")
def _(x_0, t, eps, alpha_bar):
    a = col(alpha_bar[t], x_0).sqrt()
    return a * x_0 + (1 - a) * eps


# table read at t - 1
@wrong("diffusion.q_sample", "one_step_early")
def _(x_0, t, eps, alpha_bar):
    a = col(alpha_bar[t - 1], x_0)
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


# only adds noise, never shrinks x_0
@wrong("diffusion.q_sample", "not_shrunk")
def _(x_0, t, eps, alpha_bar):
    a = col(alpha_bar[t], x_0)
    return x_0 + (1 - a).sqrt() * eps


# addcmul on a movedim'd tensor
@right("diffusion.q_sample")
def _(x_0, t, eps, alpha_bar):
    a = alpha_bar.index_select(0, t)
    return (x_0.movedim(0, -1) * a.sqrt() + eps.movedim(0, -1) * (1 - a).sqrt()).movedim(-1, 0)


# vmap over examples
@right("diffusion.q_sample")
def _(x_0, t, eps, alpha_bar):
    def one(x, a, e):
        return a**0.5 * x + (1 - a) ** 0.5 * e

    return torch.vmap(one)(x_0, alpha_bar[t], eps)


# returns the standard deviation for the variance
@wrong("diffusion.posterior", "deviation")
def _(x_0, x_t, t, beta, alpha_bar):
    mean, var = post(x_0, x_t, t, beta, alpha_bar)
    return mean, var.sqrt()


# sqrt(alpha_bar_t) where sqrt(alpha_t) belongs, in front of x_t
@wrong("diffusion.posterior", "bar_for_alpha")
def _(x_0, x_t, t, beta, alpha_bar):
    now, before, b = col(alpha_bar[t], x_0), col(alpha_bar[t - 1], x_0), col(beta[t], x_0)
    mean = (before.sqrt() * b * x_0 + now.sqrt() * (1 - before) * x_t) / (1 - now)
    return mean, b * (1 - before) / (1 - now)


# x_0 and x_t change places in the mean
@wrong("diffusion.posterior", "swapped")
def _(x_0, x_t, t, beta, alpha_bar):
    now, before, b = col(alpha_bar[t], x_0), col(alpha_bar[t - 1], x_0), col(beta[t], x_0)
    mean = (before.sqrt() * b * x_t + (1 - b).sqrt() * (1 - before) * x_0) / (1 - now)
    return mean, b * (1 - before) / (1 - now)


# previous step clamped to 1: (t - 1).clamp(min=1)
@wrong("diffusion.posterior", "unforeseen")
def _(x_0, x_t, t, beta, alpha_bar):
    now, before, b = (
        col(alpha_bar[t], x_0),
        col(alpha_bar[(t - 1).clamp(min=1)], x_0),
        col(beta[t], x_0),
    )
    mean = (before.sqrt() * b * x_0 + (1 - b).sqrt() * (1 - before) * x_t) / (1 - now)
    return mean, b * (1 - before) / (1 - now)


@wrong("diffusion.posterior", "detached")  # computed under no_grad
@torch.no_grad()
def _(x_0, x_t, t, beta, alpha_bar):
    return post(x_0, x_t, t, beta, alpha_bar)


# by precisions, the product of two Gaussians (t = 1 handled by where)
@right("diffusion.posterior")
def _(x_0, x_t, t, beta, alpha_bar):
    before, b = col(alpha_bar[t - 1], x_0), col(beta[t], x_0)
    v = 1 - before
    gain = v * (1 - b).sqrt() / (v * (1 - b) + b)
    prior = before.sqrt() * x_0
    mean = prior + gain * (x_t - (1 - b).sqrt() * prior)
    return mean, v * b / (v * (1 - b) + b)


# loop over examples, var of full shape
@right("diffusion.posterior")
def _(x_0, x_t, t, beta, alpha_bar):
    means, variances = [], []
    for i, k in enumerate(t.tolist()):
        a, p, b = alpha_bar[k], alpha_bar[k - 1], beta[k]
        means.append((p.sqrt() * b * x_0[i] + (1 - b).sqrt() * (1 - p) * x_t[i]) / (1 - a))
        variances.append(torch.full_like(x_0[i], float(b * (1 - p) / (1 - a))))
    return torch.stack(means), torch.stack(variances)


# v has the wrong sign
@wrong("diffusion.target", "v_turned")
def _(x_0, eps, t, alpha_bar, predict):
    a = col(alpha_bar[t], x_0)
    return {"eps": eps, "x_0": x_0, "v": (1 - a).sqrt() * x_0 - a.sqrt() * eps}[predict]


# v with x_0 and eps exchanged: sqrt(a) x_0 - sqrt(1 - a) eps
@wrong("diffusion.target", "v_exchanged")
def _(x_0, eps, t, alpha_bar, predict):
    a = col(alpha_bar[t], x_0)
    return {"eps": eps, "x_0": x_0, "v": a.sqrt() * x_0 - (1 - a).sqrt() * eps}[predict]


# v of flow matching: eps - x_0
@wrong("diffusion.target", "straight")
def _(x_0, eps, t, alpha_bar, predict):
    if predict == "v":
        return eps - x_0
    return eps if predict == "eps" else x_0


# only eps and v: 'x_0' falls through to v
@wrong("diffusion.target", "x_0_gives_v")
def _(x_0, eps, t, alpha_bar, predict):
    if predict == "eps":
        return eps
    a = col(alpha_bar[t], x_0)
    return a.sqrt() * eps - (1 - a).sqrt() * x_0


# 'x_0' gives x_t, what the network is shown
@wrong("diffusion.target", "unforeseen")
def _(x_0, eps, t, alpha_bar, predict):
    a = col(alpha_bar[t], x_0)
    if predict == "x_0":
        return a.sqrt() * x_0 + (1 - a).sqrt() * eps
    if predict == "eps":
        return eps
    return a.sqrt() * eps - (1 - a).sqrt() * x_0


# v by the angle, cos and sin of acos(sqrt(a)), match statement
@right("diffusion.target")
def _(x_0, eps, t, alpha_bar, predict):
    match predict:
        case "eps":
            return eps.clone()
        case "x_0":
            return x_0.clone()
    phi = torch.atan2((1 - alpha_bar[t]).sqrt(), alpha_bar[t].sqrt())
    return torch.einsum("b,b...->b...", phi.cos(), eps) - torch.einsum("b,b...->b...", phi.sin(), x_0)


# sum over pixels, mean over the batch
@wrong("diffusion.loss", "summed_over_pixels")
def _(net, x_0, t, eps, alpha_bar, predict):
    d = net(q(x_0, t, eps, alpha_bar), t) - tgt(x_0, eps, t, alpha_bar, predict)
    return (d**2).flatten(1).sum(1).mean()


# norm without the square: mean of ||d||/sqrt(D)
@wrong("diffusion.loss", "unforeseen")
def _(net, x_0, t, eps, alpha_bar, predict):
    d = net(q(x_0, t, eps, alpha_bar), t) - tgt(x_0, eps, t, alpha_bar, predict)
    return (d**2).flatten(1).mean(1).sqrt().mean()


# always compares with eps
@wrong("diffusion.loss", "always_eps")
def _(net, x_0, t, eps, alpha_bar, predict):
    return F.mse_loss(net(q(x_0, t, eps, alpha_bar), t), eps)


# network is shown the clean x_0
@wrong("diffusion.loss", "shown_x_0")
def _(net, x_0, t, eps, alpha_bar, predict):
    return F.mse_loss(net(x_0, t), tgt(x_0, eps, t, alpha_bar, predict))


# network's answer detached: no gradient
@wrong("diffusion.loss", "detached")
def _(net, x_0, t, eps, alpha_bar, predict):
    return F.mse_loss(net(q(x_0, t, eps, alpha_bar), t).detach(), tgt(x_0, eps, t, alpha_bar, predict))


# dot product of the flat difference with itself
@right("diffusion.loss")
def _(net, x_0, t, eps, alpha_bar, predict):
    d = (tgt(x_0, eps, t, alpha_bar, predict) - net(q(x_0, t, eps, alpha_bar), t)).flatten()
    return d @ d / d.numel()


# from the log density of a unit Normal
@right("diffusion.loss")
def _(net, x_0, t, eps, alpha_bar, predict):
    want = tgt(x_0, eps, t, alpha_bar, predict)
    out = net(q(x_0, t, eps, alpha_bar), t)
    n = torch.distributions.Normal(out, torch.ones_like(out), validate_args=False)
    return (-2 * n.log_prob(want) - math.log(2 * math.pi)).mean()


# noise at t = 1 too
@wrong("diffusion.reverse_step", "noise_at_the_end")
def _(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a = col(beta[t], x_t), col(alpha_bar[t], x_t)
    return (x_t - b / (1 - a).sqrt() * eps_hat) / (1 - b).sqrt() + b.sqrt() * z


# noise left out for the whole batch if any example has t = 1
@wrong("diffusion.reverse_step", "one_for_all")
def _(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a = col(beta[t], x_t), col(alpha_bar[t], x_t)
    x = (x_t - b / (1 - a).sqrt() * eps_hat) / (1 - b).sqrt()
    if (t == 1).any():
        return x
    return x + b.sqrt() * z


# noise inside the bracket: divided by sqrt(alpha) too
@wrong("diffusion.reverse_step", "noise_scaled")
def _(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a = col(beta[t], x_t), col(alpha_bar[t], x_t)
    return (x_t - b / (1 - a).sqrt() * eps_hat + col(t > 1, x_t) * b.sqrt() * z) / (1 - b).sqrt()


# sqrt(1 - beta) for sqrt(1 - alpha_bar) under the noise guess
@wrong("diffusion.reverse_step", "ignores_alpha_bar")
def _(x_t, t, eps_hat, z, beta, alpha_bar):
    b = col(beta[t], x_t)
    return (x_t - b / (1 - b).sqrt() * eps_hat) / (1 - b).sqrt() + col(t > 1, x_t) * b.sqrt() * z


# sigma^2 is the posterior's variance, not beta
@wrong("diffusion.reverse_step", "beta_tilde_noise")
def _(x_t, t, eps_hat, z, beta, alpha_bar):
    b, a, p = col(beta[t], x_t), col(alpha_bar[t], x_t), col(alpha_bar[t - 1], x_t)
    return (x_t - b / (1 - a).sqrt() * eps_hat) / (1 - b).sqrt() + (b * (1 - p) / (1 - a)).sqrt() * z


# by way of x_0_hat and the posterior mean
@right("diffusion.reverse_step")
def _(x_t, t, eps_hat, z, beta, alpha_bar):
    a = col(alpha_bar[t], x_t)
    mean, _ = post((x_t - (1 - a).sqrt() * eps_hat) / a.sqrt(), x_t, t, beta, alpha_bar)
    noise = col(beta[t], x_t).sqrt() * z
    return torch.where(col(t, x_t) == 1, mean, mean + noise)


# in place on an own copy, masked indexing
@right("diffusion.reverse_step")
def _(x_t, t, eps_hat, z, beta, alpha_bar):
    x = x_t.clone()
    x -= col(beta[t] * (1 - alpha_bar[t]).rsqrt(), x_t) * eps_hat
    x *= col((1 - beta[t]).rsqrt(), x_t)
    m = t > 1
    x[m] += col(beta[t[m]].sqrt(), x_t) * z[m]
    return x


# network always sees x_T
@wrong("diffusion.ancestral", "net_sees_x_T")
def _(net, step, x_T, z):
    x, xs = x_T, [x_T]
    for i in range(len(z) - 1, 0, -1):
        t = torch.full((len(x_T),), i)
        x = step(x, t, net(x_T, t), z[i])
        xs.append(x)
    return torch.stack(xs)


# walk stored by step: x_0 first, x_T last
@wrong("diffusion.ancestral", "x_0_first")
def _(net, step, x_T, z):
    out = torch.zeros_like(z)
    out[-1] = x_T
    for i in range(len(z) - 1, 0, -1):
        t = torch.full((len(x_T),), i)
        out[i - 1] = step(out[i], t, net(out[i], t), z[i])
    return out


# one buffer overwritten: every entry of the walk is the last x
@wrong("diffusion.ancestral", "unforeseen")
def _(net, step, x_T, z):
    x, xs = x_T.clone(), []
    xs.append(x)
    for i in range(len(z) - 1, 0, -1):
        t = torch.full((len(x_T),), i)
        x.copy_(step(x, t, net(x, t), z[i]))
        xs.append(x)
    return torch.stack(xs)


# recursion
@right("diffusion.ancestral")
def _(net, step, x_T, z):
    def walk(x, i):
        if i == 0:
            return [x]
        t = torch.tensor([i] * x.shape[0])
        return [x] + walk(step(x, t, net(x, t), z[i]), i - 1)

    return torch.stack(walk(x_T, z.shape[0] - 1))


# cut off instead of rounded
@wrong("diffusion.ddim_steps", "cut")
def _(T, n):
    return torch.linspace(T, 0, n + 1).long()


# integer arithmetic, half up
@right("diffusion.ddim_steps")
def _(T, n):
    return torch.tensor([(2 * T * k + n) // (2 * n) for k in range(n, -1, -1)])


def ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar):
    now, then = col(alpha_bar[t], x_t), col(alpha_bar[s], x_t)
    x_0 = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    variance = eta**2 * (1 - then) / (1 - now) * (1 - now / then)
    return now, then, x_0, variance


# direction keeps sqrt(1 - then): sigma^2 not subtracted
@wrong("diffusion.ddim_step", "no_room")
def _(x_t, eps_hat, t, s, eta, z, alpha_bar):
    now, then, x_0, v = ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return then.sqrt() * x_0 + (1 - then).sqrt() * eps_hat + v.sqrt() * z


# eta not squared in the variance
@wrong("diffusion.ddim_step", "eta_not_squared")
def _(x_t, eps_hat, t, s, eta, z, alpha_bar):
    now, then, x_0, _ = ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)
    v = eta * (1 - then) / (1 - now) * (1 - now / then)
    return then.sqrt() * x_0 + (1 - then - v).clamp(min=0).sqrt() * eps_hat + v.sqrt() * z


# guess of x_0 clamped to [-1, 1]
@wrong("diffusion.ddim_step", "clamped")
def _(x_t, eps_hat, t, s, eta, z, alpha_bar):
    now, then, x_0, v = ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return then.sqrt() * x_0.clamp(-1, 1) + (1 - then - v).clamp(min=0).sqrt() * eps_hat + v.sqrt() * z


# s ignored: one step back, to t - 1
@wrong("diffusion.ddim_step", "to_t_minus_1")
def _(x_t, eps_hat, t, s, eta, z, alpha_bar):
    now, then, x_0, v = ddim_parts(x_t, eps_hat, t, t - 1, eta, alpha_bar)
    return then.sqrt() * x_0 + (1 - then - v).clamp(min=0).sqrt() * eps_hat + v.sqrt() * z


# roots subtracted: sqrt(1 - then) - sigma in front of eps_hat
@wrong("diffusion.ddim_step", "deviations_subtracted")
def _(x_t, eps_hat, t, s, eta, z, alpha_bar):
    now, then, x_0, v = ddim_parts(x_t, eps_hat, t, s, eta, alpha_bar)
    return then.sqrt() * x_0 + ((1 - then).sqrt() - v.sqrt()) * eps_hat + v.sqrt() * z


# class inside, sigma as a product of roots
@right("diffusion.ddim_step")
def _(x_t, eps_hat, t, s, eta, z, alpha_bar):
    class At:
        def __init__(self, step):
            a = col(alpha_bar.gather(0, step), x_t)
            self.signal, self.noise = torch.sqrt(a), torch.sqrt(1 - a)

    now, then = At(t), At(s)
    sigma = eta * then.noise / now.noise * torch.sqrt(1 - (now.signal / then.signal) ** 2)
    keep = torch.sqrt(torch.relu(then.noise**2 - sigma**2))
    return then.signal / now.signal * (x_t - now.noise * eps_hat) + keep * eps_hat + sigma * z


# loop over examples with math.sqrt
@right("diffusion.ddim_step")
def _(x_t, eps_hat, t, s, eta, z, alpha_bar):
    table, rows = alpha_bar.tolist(), []
    for x, e, i, j, n in zip(x_t, eps_hat, t.tolist(), s.tolist(), z):
        a, b = table[i], table[j]
        v = eta * eta * (1 - b) / (1 - a) * (1 - a / b)
        x_0 = (x - math.sqrt(1 - a) * e) / math.sqrt(a)
        rows.append(math.sqrt(b) * x_0 + math.sqrt(max(0.0, 1 - b - v)) * e + math.sqrt(v) * n)
    return torch.stack(rows)


# zero_grad between backward and step
@wrong("diffusion.training_step", "no_slopes")
def _(net, x_0, t, eps, alpha_bar, optimizer):
    value = F.mse_loss(net(q(x_0, t, eps, alpha_bar), t), eps)
    value.backward()
    optimizer.zero_grad()
    optimizer.step()
    return value.detach()


# zero_grad only after the step: earlier gradients count
@wrong("diffusion.training_step", "piled_up")
def _(net, x_0, t, eps, alpha_bar, optimizer):
    value = F.mse_loss(net(q(x_0, t, eps, alpha_bar), t), eps)
    value.backward()
    optimizer.step()
    optimizer.zero_grad()
    return value.item()


# returns the loss with its history
@wrong("diffusion.training_step", "graph_kept")
def _(net, x_0, t, eps, alpha_bar, optimizer):
    value = F.mse_loss(net(q(x_0, t, eps, alpha_bar), t), eps)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value


# returns the loss after the step
@wrong("diffusion.training_step", "loss_afterwards")
def _(net, x_0, t, eps, alpha_bar, optimizer):
    x_t = q(x_0, t, eps, alpha_bar)
    optimizer.zero_grad()
    F.mse_loss(net(x_t, t), eps).backward()
    optimizer.step()
    with torch.no_grad():
        return F.mse_loss(net(x_t, t), eps)


# own update: p -= 0.01 grad, optimizer.step never called
@wrong("diffusion.training_step", "another_optimizer")
def _(net, x_0, t, eps, alpha_bar, optimizer):
    value = F.mse_loss(net(q(x_0, t, eps, alpha_bar), t), eps)
    optimizer.zero_grad()
    value.backward()
    with torch.no_grad():
        for group in optimizer.param_groups:
            for p in group["params"]:
                p -= 0.01 * p.grad
    return value.detach()


# torch.autograd.grad, then put into .grad by hand
@right("diffusion.training_step")
def _(net, x_0, t, eps, alpha_bar, optimizer):
    value = (net(q(x_0, t, eps, alpha_bar), t) - eps).pow(2).mean()
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    for p, g in zip(weights, torch.autograd.grad(value, weights)):
        p.grad = g
    optimizer.step()
    return float(value)


# grads set to None by hand, backward on the per-example losses
@right("diffusion.training_step")
def _(net, x_0, t, eps, alpha_bar, optimizer):
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.grad = None
    each = ((net(q(x_0, t, eps, alpha_bar), t) - eps) ** 2).flatten(1).mean(1)
    each.backward(torch.full_like(each, 1 / len(each)))
    optimizer.step()
    return each.detach().mean()


# the 1 forgotten: w label - w none
@wrong("diffusion.guide", "w_times_the_difference")
def _(eps_label, eps_none, w):
    return w * (eps_label - eps_none)


# changes eps_label in place
@wrong("diffusion.guide", "in_place")
def _(eps_label, eps_none, w):
    eps_label += w * (eps_label - eps_none)
    return eps_label


# torch.lerp from none to label with weight 1 + w
@right("diffusion.guide")
def _(eps_label, eps_none, w):
    return torch.lerp(eps_none, eps_label, 1.0 + float(w))


# constants counted once per example, not once per pixel
@wrong("diffusion.bound_term", "variances_once")
def _(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m, v = post(x_0, x_t, t, beta, alpha_bar)
    g, _ = post(x_0_hat, x_t, t, beta, alpha_bar)
    b = beta[t]
    v = v.flatten()
    return 0.5 * (torch.log(b / v) + v / b - 1 + ((m - g) ** 2).flatten(1).sum(1) / b)


# mean over the pixels
@wrong("diffusion.bound_term", "mean_over_pixels")
def _(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m, v = post(x_0, x_t, t, beta, alpha_bar)
    g, _ = post(x_0_hat, x_t, t, beta, alpha_bar)
    b = col(beta[t], x_0)
    return (0.5 * (torch.log(b / v) + v / b - 1 + (m - g) ** 2 / b)).flatten(1).mean(1)


# means taken to be x_0 and x_0_hat themselves
@wrong("diffusion.bound_term", "x_0_compared")
def _(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    _, v = post(x_0, x_t, t, beta, alpha_bar)
    b = col(beta[t], x_0)
    return (0.5 * (torch.log(b / v) + v / b - 1 + (x_0 - x_0_hat) ** 2 / b)).flatten(1).sum(1)


# KL the other way round: KL(model || posterior)
@wrong("diffusion.bound_term", "turned")
def _(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    m, v = post(x_0, x_t, t, beta, alpha_bar)
    g, _ = post(x_0_hat, x_t, t, beta, alpha_bar)
    b = col(beta[t], x_0)
    return (0.5 * (torch.log(v / b) + b / v - 1 + (m - g) ** 2 / v)).flatten(1).sum(1)


# torch.distributions.kl_divergence
@right("diffusion.bound_term")
def _(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    N = torch.distributions.Normal
    m, v = post(x_0, x_t, t, beta, alpha_bar)
    g, _ = post(x_0_hat, x_t, t, beta, alpha_bar)
    kl = torch.distributions.kl_divergence(N(m, v.sqrt().expand_as(m)), N(g, col(beta[t], x_0).sqrt().expand_as(g)))
    return kl.reshape(len(t), -1).sum(-1)


# closed form of the difference of the means, D times the constants
@right("diffusion.bound_term")
def _(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    a, p, b = alpha_bar[t], alpha_bar[t - 1], beta[t]
    r = (1 - p) / (1 - a)
    D = x_0[0].numel()
    squares = torch.stack([(u - w).pow(2).sum() for u, w in zip(x_0, x_0_hat)])
    return D / 2 * (r - 1 - r.log()) + p * b / (2 * (1 - a) ** 2) * squares
