"""Further answers to lab_6_continuous_time, as they were tried on it."""
# ruff: noqa
# pyright: reportRedeclaration=false, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# pyright: reportCallIssue=false, reportArgumentType=false, reportReturnType=false

import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F

from . import wrong


def sp(a, x):
    return a.view(-1, *[1] * (x.dim() - 1))


def N(x):
    return torch.distributions.Normal(0.0, 1.0).log_prob(x).flatten(1).sum(1)


def heun(v, x, a, h):
    k = v(x, a)
    return x + h / 2 * (k + v(x + h * k, a + h))


def trap(v, d, x, p):
    tot = 0
    for a, b in itertools.pairwise(p.tolist()):
        y = heun(v, x, a, b - a)
        tot = tot + (b - a) / 2 * (d(x, a) + d(y, b))
        x = y
    return x, tot


# alpha_bar indexed with t+1 and sqrt signal mult
@wrong("continuous.score", "in_other_units")
def score(eps_hat, t, alpha_bar):
    return -eps_hat * sp(alpha_bar[t].sqrt(), eps_hat) / sp((1 - alpha_bar[t]).sqrt(), eps_hat)


# view (-1,1) only
@wrong("continuous.score", "along_another_axis")
def score(eps_hat, t, alpha_bar):
    return -eps_hat / (1 - alpha_bar[t]).sqrt().view(-1, 1)


# fixed view for images
@wrong("continuous.score", "shape")
def score(eps_hat, t, alpha_bar):
    return -eps_hat / (1 - alpha_bar[t]).sqrt().view(-1, 1, 1, 1)


# 1-alpha_bar^2
@wrong("continuous.score", "slip")
def score(eps_hat, t, alpha_bar):
    return -eps_hat / sp((1 - alpha_bar[t] ** 2).sqrt(), eps_hat)


# plus epsilon in denominators
@wrong("continuous.score", "unforeseen")
def score(eps_hat, t, alpha_bar):
    return -eps_hat / (sp((1 - alpha_bar[t]).sqrt(), eps_hat) + 0.001)


# squared norm normalised
@wrong("continuous.score", "ignores_t_alpha_bar")
def score(eps_hat, t, alpha_bar):
    return -eps_hat / eps_hat.flatten(1).norm(dim=1).view(-1, *[1] * (eps_hat.dim() - 1))


# cumprod of alpha_bar again
@wrong("continuous.score", "multiplied_again")
def score(eps_hat, t, alpha_bar):
    return -eps_hat / sp((1 - alpha_bar.cumprod(0)[t]).sqrt(), eps_hat)


# t is index alone; T - t
@wrong("continuous.score", "read_from_the_end")
def score(eps_hat, t, alpha_bar):
    return -eps_hat / sp((1 - alpha_bar[len(alpha_bar) - 1 - t]).sqrt(), eps_hat)


# 1 - sqrt under: sqrt(1)-sqrt(a)
@wrong("continuous.score", "one_minus_root")
def score(eps_hat, t, alpha_bar):
    return -eps_hat / (1 - sp(alpha_bar[t].sqrt(), eps_hat))


# divides by whole table
@wrong("continuous.score", "error")
def score(eps_hat, t, alpha_bar):
    return -eps_hat / (1 - alpha_bar).sqrt()


# sqrt(1-a) of numpy
@wrong("continuous.score", "type")
def score(eps_hat, t, alpha_bar):
    return -eps_hat.numpy() / np.sqrt(1 - alpha_bar[t].numpy()).reshape(-1, *[1] * (eps_hat.dim() - 1))


# power -3/2
@wrong("continuous.score", "divided_twice")
def score(eps_hat, t, alpha_bar):
    return -eps_hat * sp((1 - alpha_bar[t]) ** (-1.5), eps_hat)


# h/2 predictor with full mean of points (implicit?)
@wrong("continuous.heun_step", "points_averaged")
def heun_step(v, x, phi, h):
    k = v(x, phi)
    y = x + h * k
    return x + h * v((x + y) / 2, phi + h)


# RK4
@wrong("continuous.heun_step", "four_slopes")
def heun_step(v, x, phi, h):
    a = v(x, phi)
    b = v(x + h / 2 * a, phi + h / 2)
    c = v(x + h / 2 * b, phi + h / 2)
    d = v(x + h * c, phi + h)
    return x + h / 6 * (a + 2 * b + 2 * c + d)


# Ralston
@wrong("continuous.heun_step", "unforeseen")
def heun_step(v, x, phi, h):
    a = v(x, phi)
    b = v(x + 2 * h / 3 * a, phi + 2 * h / 3)
    return x + h * (a / 4 + 3 * b / 4)


# average of Euler point and second euler point (2h)
@wrong("continuous.heun_step", "second_halved")
def heun_step(v, x, phi, h):
    a = x + h * v(x, phi)
    b = a + h * v(a, phi + h)
    return (a + b) / 2


# precedence: h*k1 + k2/2
@wrong("continuous.heun_step", "width_for_the_first")
def heun_step(v, x, phi, h):
    a = v(x, phi)
    b = v(x + h * a, phi + h)
    return x + h * a + b / 2


# abs(h)
@wrong("continuous.heun_step", "the_other_way")
def heun_step(v, x, phi, h):
    h = abs(h)
    a = v(x, phi)
    b = v(x + h * a, phi + h)
    return x + h / 2 * (a + b)


# phi*h
@wrong("continuous.heun_step", "unforeseen")
def heun_step(v, x, phi, h):
    a = v(x, phi)
    b = v(x + h * a, phi * h)
    return x + h / 2 * (a + b)


# geometric mean-like product
@wrong("continuous.heun_step", "unforeseen")
def heun_step(v, x, phi, h):
    a = v(x, phi)
    b = v(x + h * a, phi + h)
    return x + h * a * b


# iterates the corrector twice
@wrong("continuous.heun_step", "corrected_twice")
def heun_step(v, x, phi, h):
    a = v(x, phi)
    y = x + h * a
    for _ in range(2):
        y = x + h / 2 * (a + v(y, phi + h))
    return y


# k2 from v(h*a)
@wrong("continuous.heun_step", "slip")
def heun_step(v, x, phi, h):
    a = v(x, phi)
    b = v(h * a, phi + h)
    return x + h / 2 * (a + b)


# returns tuple
@wrong("continuous.heun_step", "type")
def heun_step(v, x, phi, h):
    a = v(x, phi)
    b = v(x + h * a, phi + h)
    return (x + h / 2 * (a + b), phi + h)


# phi as tensor (B,)
@wrong("continuous.heun_step", "error")
def heun_step(v, x, phi, h):
    p = torch.full((len(x),), phi)
    a = v(x, p)
    b = v(x + h * a, p + h)
    return x + h / 2 * (a + b)


# abs of h from noise, sign both wrong: -total and -0.5
@wrong("continuous.ode_log_prob", "all_turned")
def ode_log_prob(v, divergence, x_0, phis):
    x, t = trap(v, divergence, x_0, phis)
    return 0.5 * (x**2 + math.log(2 * math.pi)).flatten(1).sum(1) - t


# log(2 pi) -> log 2 * pi
@wrong("continuous.ode_log_prob", "constant_without_brackets")
def ode_log_prob(v, divergence, x_0, phis):
    x, t = trap(v, divergence, x_0, phis)
    return -0.5 * (x**2 + math.log(2) * math.pi).flatten(1).sum(1) + t


# total only len(phis)-1 average width
@wrong("continuous.ode_log_prob", "average_width")
def ode_log_prob(v, divergence, x_0, phis):
    x, t = (x_0, 0)
    h = float(phis[-1] - phis[0]) / (len(phis) - 1)
    for a, b in itertools.pairwise(phis.tolist()):
        y = heun(v, x, a, b - a)
        t = t + h / 2 * (divergence(x, a) + divergence(y, b))
        x = y
    return N(x) + t


# D as x_0.shape[1]
@wrong("continuous.ode_log_prob", "dimension_of_one_axis")
def ode_log_prob(v, divergence, x_0, phis):
    x, t = trap(v, divergence, x_0, phis)
    return -0.5 * (x**2).flatten(1).sum(1) - 0.5 * x_0.shape[1] * math.log(2 * math.pi) + t


# in-place total of an int; total starts 1
@wrong("continuous.ode_log_prob", "slip")
def ode_log_prob(v, divergence, x_0, phis):
    x, t = trap(v, divergence, x_0, phis)
    return N(x) + t + 1


# norm instead of square
@wrong("continuous.ode_log_prob", "length_not_squared")
def ode_log_prob(v, divergence, x_0, phis):
    x, t = trap(v, divergence, x_0, phis)
    return -0.5 * x.flatten(1).norm(dim=1) - 0.5 * x[0].numel() * math.log(2 * math.pi) + t


# mean of log p overall batch
@wrong("continuous.ode_log_prob", "mean_of_the_batch")
def ode_log_prob(v, divergence, x_0, phis):
    x, t = trap(v, divergence, x_0, phis)
    return (N(x) + t).mean()


# MultivariateNormal on non flat
@wrong("continuous.ode_log_prob", "error")
def ode_log_prob(v, divergence, x_0, phis):
    x, t = trap(v, divergence, x_0, phis)
    return (
        torch.distributions.MultivariateNormal(
            torch.zeros(x.shape[-1]).double(), torch.eye(x.shape[-1]).double()
        ).log_prob(x)
        + t
    )


# range(len(phis))
@wrong("continuous.ode_log_prob", "error")
def ode_log_prob(v, divergence, x_0, phis):
    x, t = (x_0, 0)
    for k in range(len(phis)):
        h = phis[k + 1] - phis[k]
        y = heun(v, x, phis[k], h)
        t = t + h / 2 * (divergence(x, phis[k]) + divergence(y, phis[k + 1]))
        x = y
    return N(x) + t


# step from 0 to phi, ie angle index k
@wrong("continuous.ode_log_prob", "told_the_number")
def ode_log_prob(v, divergence, x_0, phis):
    x, t = (x_0, 0)
    for k in range(len(phis) - 1):
        h = float(phis[k + 1] - phis[k])
        y = heun(v, x, k, h)
        t = t + h / 2 * (divergence(x, k) + divergence(y, k + 1))
        x = y
    return N(x) + t


# v added instead of divergence
@wrong("continuous.ode_log_prob", "velocity_for_divergence")
def ode_log_prob(v, divergence, x_0, phis):
    x, t = (x_0, 0)
    for a, b in itertools.pairwise(phis.tolist()):
        y = heun(v, x, a, b - a)
        t = t + (b - a) / 2 * (v(x, a) + v(y, b)).flatten(1).sum(1)
        x = y
    return N(x) + t


# midpoint for x
@wrong("continuous.ode_log_prob", "midpoint_for_x")
def ode_log_prob(v, divergence, x_0, phis):
    x, t = (x_0, 0)
    for a, b in itertools.pairwise(phis.tolist()):
        y = x + (b - a) * v(x + (b - a) / 2 * v(x, a), (a + b) / 2)
        t = t + (b - a) / 2 * (divergence(x, a) + divergence(y, b))
        x = y
    return N(x) + t


# s squared noise
@wrong("continuous.flow_matching_loss", "slip")
def flow_matching_loss(net, x_0, eps, s):
    z = sp(s, x_0)
    return F.mse_loss(net((1 - z) * x_0 + z**2 * eps, s), x_0 - eps)


# mse vs target with (B,1) mean: sums dims except
@wrong("continuous.flow_matching_loss", "summed_over_the_last_axis")
def flow_matching_loss(net, x_0, eps, s):
    z = sp(s, x_0)
    return ((net((1 - z) * x_0 + z * eps, s) - (x_0 - eps)) ** 2).sum(-1).mean()


# weighted loss by s
@wrong("continuous.flow_matching_loss", "weighted_by_s")
def flow_matching_loss(net, x_0, eps, s):
    z = sp(s, x_0)
    return (z * (net((1 - z) * x_0 + z * eps, s) - (x_0 - eps)) ** 2).mean()


# draws own eps
@wrong("continuous.flow_matching_loss", "random")
def flow_matching_loss(net, x_0, eps, s):
    z = sp(s, x_0)
    eps = torch.randn_like(x_0)
    return F.mse_loss(net((1 - z) * x_0 + z * eps, s), x_0 - eps)


# s (B,1) view for 2-D only
@wrong("continuous.flow_matching_loss", "error")
def flow_matching_loss(net, x_0, eps, s):
    z = s[:, None]
    return F.mse_loss(net((1 - z) * x_0 + z * eps, s), x_0 - eps)


# no_grad
@wrong("continuous.flow_matching_loss", "detached")
def flow_matching_loss(net, x_0, eps, s):
    z = sp(s, x_0)
    with torch.no_grad():
        return F.mse_loss(net((1 - z) * x_0 + z * eps, s), x_0 - eps)


# target eps - x_s
@wrong("continuous.flow_matching_loss", "target_to_the_noise")
def flow_matching_loss(net, x_0, eps, s):
    z = sp(s, x_0)
    x = (1 - z) * x_0 + z * eps
    return F.mse_loss(net(x, s), eps - x)


# prediction plus x_s compared with x_0 (one step jump)
@wrong("continuous.flow_matching_loss", "compared_at_the_data")
def flow_matching_loss(net, x_0, eps, s):
    z = sp(s, x_0)
    x = (1 - z) * x_0 + z * eps
    return F.mse_loss(x + z * net(x, s), x_0)


# x_0 - s*eps
@wrong("continuous.flow_matching_loss", "slip")
def flow_matching_loss(net, x_0, eps, s):
    z = sp(s, x_0)
    return F.mse_loss(net((1 - z) * x_0 - z * eps, s), x_0 - eps)


# std not var: target.std
@wrong("continuous.flow_matching_loss", "variance_of_errors")
def flow_matching_loss(net, x_0, eps, s):
    z = sp(s, x_0)
    return (net((1 - z) * x_0 + z * eps, s) - (x_0 - eps)).var()


# max
@wrong("continuous.flow_matching_loss", "slip")
def flow_matching_loss(net, x_0, eps, s):
    z = sp(s, x_0)
    return ((net((1 - z) * x_0 + z * eps, s) - (x_0 - eps)) ** 2).max()


# args swapped in net
@wrong("continuous.flow_matching_loss", "error")
def flow_matching_loss(net, x_0, eps, s):
    z = sp(s, x_0)
    return F.mse_loss(net(s, (1 - z) * x_0 + z * eps), x_0 - eps)


# float(t) index list
@wrong("continuous.score", "error")
def score(eps_hat, t, alpha_bar):
    return -eps_hat / math.sqrt(1 - alpha_bar[t])


# gradient via autograd on quadratic of eps_hat
@wrong("continuous.score", "not_rooted")
def score(eps_hat, t, alpha_bar):
    e = eps_hat.clone().requires_grad_()
    l = -(e**2).sum() / 2
    return torch.autograd.grad(l, e)[0] / sp(1 - alpha_bar[t], e)


# unsqueeze(-1) once
@wrong("continuous.score", "along_another_axis")
def score(eps_hat, t, alpha_bar):
    return -eps_hat / (1 - alpha_bar[t]).sqrt().unsqueeze(-1)


# negative index sign -(eps/ -..)
@wrong("continuous.score", "along_the_noise")
def score(eps_hat, t, alpha_bar):
    return -(eps_hat / -sp((1 - alpha_bar[t]).sqrt(), eps_hat))


# subtract
@wrong("continuous.score", "unforeseen")
def score(eps_hat, t, alpha_bar):
    return -eps_hat - sp((1 - alpha_bar[t]).sqrt(), eps_hat)


# float32 cast
@wrong("continuous.score", "dtype")
def score(eps_hat, t, alpha_bar):
    return (-eps_hat / sp((1 - alpha_bar[t]).sqrt(), eps_hat)).float()


# mean over batch of alpha
@wrong("continuous.score", "ignores_t")
def score(eps_hat, t, alpha_bar):
    return -eps_hat / (1 - alpha_bar[t].mean()).sqrt()


# log instead
@wrong("continuous.score", "unforeseen")
def score(eps_hat, t, alpha_bar):
    return -eps_hat * sp(torch.log(1 - alpha_bar[t]), eps_hat)


# sqrt of whole quotient
@wrong("continuous.score", "slip")
def score(eps_hat, t, alpha_bar):
    return -torch.sqrt(eps_hat / sp(1 - alpha_bar[t], eps_hat))


# times alpha: score of x_0
@wrong("continuous.score", "unforeseen")
def score(eps_hat, t, alpha_bar):
    return -eps_hat * sp(alpha_bar[t], eps_hat) / sp((1 - alpha_bar[t]).sqrt(), eps_hat)


# int division h//2
@wrong("continuous.heun_step", "unforeseen")
def heun_step(v, x, phi, h):
    a = v(x, phi)
    b = v(x + h * a, phi + h)
    return x + h // 2 * (a + b)


# 1/2*(..) without h in pred phi: v(x+h*a, phi) then phi+h first
@wrong("continuous.heun_step", "both_at_the_far_angle")
def heun_step(v, x, phi, h):
    a = v(x, phi + h)
    b = v(x + h * a, phi + h)
    return x + h / 2 * (a + b)


# both slopes exchanged: first at far angle, second at near
@wrong("continuous.heun_step", "angles_exchanged")
def heun_step(v, x, phi, h):
    a = v(x, phi + h)
    b = v(x + h * a, phi)
    return x + h / 2 * (a + b)


# leapfrog 2h
@wrong("continuous.heun_step", "unforeseen")
def heun_step(v, x, phi, h):
    a = v(x, phi)
    b = v(x + h * a, phi + h)
    return x + 2 * h * b - h * a


# extrapolated AB2 3/2,-1/2
@wrong("continuous.heun_step", "unforeseen")
def heun_step(v, x, phi, h):
    a = v(x, phi)
    b = v(x + h * a, phi + h)
    return x + h * (1.5 * b - 0.5 * a)


# no_return
@wrong("continuous.heun_step", "none")
def heun_step(v, x, phi, h):
    a = v(x, phi)
    b = v(x + h * a, phi + h)
    x = x + h / 2 * (a + b)


# x + h/2*a + b (precedence)
@wrong("continuous.heun_step", "first_halved")
def heun_step(v, x, phi, h):
    a = v(x, phi)
    b = v(x + h * a, phi + h)
    return x + h / 2 * a + b


# v.mean over batch
@wrong("continuous.heun_step", "mixing")
def heun_step(v, x, phi, h):
    a = v(x, phi)
    b = v(x + h * a, phi + h)
    return x + h * torch.stack([a, b]).mean()


# h in degrees cos/sin on Heun
@wrong("continuous.heun_step", "unforeseen")
def heun_step(v, x, phi, h):
    a = v(x, phi)
    y = math.cos(h) * x + math.sin(h) * a
    b = v(y, phi + h)
    return x + h / 2 * (a + b)


# calls v with keyword h
@wrong("continuous.heun_step", "error")
def heun_step(v, x, phi, h):
    a = v(x, phi, h)
    b = v(x + h * a, phi + h)
    return x + h / 2 * (a + b)


# uses pi/2 as end extra
@wrong("continuous.ode_log_prob", "unforeseen")
def ode_log_prob(v, divergence, x_0, phis):
    x, t = trap(v, divergence, x_0, torch.cat([phis, phis.new_tensor([math.pi / 2])]))
    return N(x) + t


# starts from 0
@wrong("continuous.ode_log_prob", "unforeseen")
def ode_log_prob(v, divergence, x_0, phis):
    x, t = trap(v, divergence, x_0, torch.cat([phis.new_tensor([0.0]), phis]))
    return N(x) + t


# det log: log(1+h div)
@wrong("continuous.ode_log_prob", "logarithm_of_the_step")
def ode_log_prob(v, divergence, x_0, phis):
    x, t = (x_0, 0)
    for a, b in itertools.pairwise(phis.tolist()):
        y = heun(v, x, a, b - a)
        t = t + torch.log(1 + (b - a) / 2 * (divergence(x, a) + divergence(y, b)))
        x = y
    return N(x) + t


# linspace instead of phis
@wrong("continuous.ode_log_prob", "unforeseen")
def ode_log_prob(v, divergence, x_0, phis):
    x, t = trap(v, divergence, x_0, torch.linspace(float(phis[0]), float(phis[-1]), len(phis)).double())
    return N(x) + t


# base of both ends
@wrong("continuous.ode_log_prob", "base_of_both_ends")
def ode_log_prob(v, divergence, x_0, phis):
    x, t = trap(v, divergence, x_0, phis)
    return N(x) - N(x_0) + t


# log base pdf as -x^2/2 * log2pi
@wrong("continuous.ode_log_prob", "unforeseen")
def ode_log_prob(v, divergence, x_0, phis):
    x, t = trap(v, divergence, x_0, phis)
    return (-(x**2) / 2 * math.log(2 * math.pi)).flatten(1).sum(1) + t


# sign of h in divergence: phi-after
@wrong("continuous.ode_log_prob", "slip")
def ode_log_prob(v, divergence, x_0, phis):
    x, t = (x_0, 0)
    for a, b in itertools.pairwise(phis.tolist()):
        h = a - b
        y = heun(v, x, a, h)
        t = t + h / 2 * (divergence(x, a) + divergence(y, b))
        x = y
    return N(x) + t


# divergence of heun mean via second at Euler old angle
@wrong("continuous.ode_log_prob", "unforeseen")
def ode_log_prob(v, divergence, x_0, phis):
    x, t = (x_0, 0)
    for a, b in itertools.pairwise(phis.tolist()):
        y = heun(v, x, a, b - a)
        t = t + (b - a) * divergence(x, b)
        x = y
    return N(x) + t


# sum over dim=1 for images only
@wrong("continuous.ode_log_prob", "error")
def ode_log_prob(v, divergence, x_0, phis):
    x, t = trap(v, divergence, x_0, phis)
    return torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(1) + t


# total in place on int list / trapz over phis dim wrong
@wrong("continuous.ode_log_prob", "widths_left_out")
def ode_log_prob(v, divergence, x_0, phis):
    xs = [x_0]
    for a, b in itertools.pairwise(phis.tolist()):
        xs.append(heun(v, xs[-1], a, b - a))
    d = torch.stack([divergence(x, a) for x, a in zip(xs, phis.tolist())], 1)
    return N(xs[-1]) + torch.trapezoid(d, dim=1)


# swap v, divergence
@wrong("continuous.ode_log_prob", "shape")
def ode_log_prob(v, divergence, x_0, phis):
    x, t = trap(divergence, v, x_0, phis)
    return N(x) + t


# zeros_like(x_0) total
@wrong("continuous.ode_log_prob", "shape")
def ode_log_prob(v, divergence, x_0, phis):
    x, t = trap(v, divergence, x_0, phis)
    tot = torch.zeros_like(x_0)
    tot = tot + t
    return N(x) + tot


# s in [0,1] used as 1+s
@wrong("continuous.flow_matching_loss", "slip")
def flow_matching_loss(net, x_0, eps, s):
    z = sp(s, x_0)
    return F.mse_loss(net((1 + z) * x_0 + z * eps, s), x_0 - eps)


# tells net x_0
@wrong("continuous.flow_matching_loss", "error")
def flow_matching_loss(net, x_0, eps, s):
    z = sp(s, x_0)
    return F.mse_loss(net((1 - z) * x_0 + z * eps, s * 1000), x_0 - eps)


# long t
@wrong("continuous.flow_matching_loss", "error")
def flow_matching_loss(net, x_0, eps, s):
    z = sp(s, x_0)
    return F.mse_loss(net((1 - z) * x_0 + z * eps, s.long()), x_0 - eps)


# net output negated (dx=-u ds)
@wrong("continuous.flow_matching_loss", "target_turned")
def flow_matching_loss(net, x_0, eps, s):
    z = sp(s, x_0)
    return F.mse_loss(-net((1 - z) * x_0 + z * eps, s), x_0 - eps)


# circle data: sqrt(1-s^2)
@wrong("continuous.flow_matching_loss", "squares_add_up")
def flow_matching_loss(net, x_0, eps, s):
    z = sp(s, x_0)
    return F.mse_loss(net((1 - z**2).sqrt() * x_0 + z * eps, s), x_0 - eps)


# min-of reduction none, mean over last
@wrong("continuous.flow_matching_loss", "for_each_example")
def flow_matching_loss(net, x_0, eps, s):
    z = sp(s, x_0)
    return F.mse_loss(net((1 - z) * x_0 + z * eps, s), x_0 - eps, reduction="none").mean(-1)


# l2 sum/2
@wrong("continuous.flow_matching_loss", "target_added")
def flow_matching_loss(net, x_0, eps, s):
    z = sp(s, x_0)
    return ((net((1 - z) * x_0 + z * eps, s) - x_0 - eps) ** 2).mean()


# net twice average
@wrong("continuous.flow_matching_loss", "unforeseen")
def flow_matching_loss(net, x_0, eps, s):
    z = sp(s, x_0)
    x = (1 - z) * x_0 + z * eps
    return ((net(x, s).detach() - (x_0 - eps)) ** 2).mean() + 0 * net(x, s).sum()


# s view(-1,1,1,1) fixed
@wrong("continuous.flow_matching_loss", "error")
def flow_matching_loss(net, x_0, eps, s):
    z = s.view(-1, 1, 1, 1)
    x = (1 - z) * x_0 + z * eps
    return ((net(x, s) - (x_0 - eps)) ** 2).mean()


# item
@wrong("continuous.flow_matching_loss", "type")
def flow_matching_loss(net, x_0, eps, s):
    z = sp(s, x_0)
    x = (1 - z) * x_0 + z * eps
    return ((net(x, s) - (x_0 - eps)) ** 2).mean().item()


# (1-s)*x0 + eps*s with eps scaled std? plus sum over target per dim norm
@wrong("continuous.flow_matching_loss", "summed_over_entries")
def flow_matching_loss(net, x_0, eps, s):
    z = sp(s, x_0)
    x = (1 - z) * x_0 + z * eps
    return ((net(x, s) - (x_0 - eps)).flatten(1).norm(dim=1) ** 2).mean()


# cosine sim
@wrong("continuous.flow_matching_loss", "unforeseen")
def flow_matching_loss(net, x_0, eps, s):
    z = sp(s, x_0)
    x = (1 - z) * x_0 + z * eps
    return 1 - F.cosine_similarity(net(x, s).flatten(1), (x_0 - eps).flatten(1)).mean()


@wrong("continuous.ode_log_prob", "begins_again")
def ode_log_prob(v, divergence, x_0, phis):
    x, total = x_0, 0
    for a, b in itertools.pairwise(phis.tolist()):
        y = heun(v, x, a, b - a)
        total = total + (b - a) / 2 * (divergence(x, a) + divergence(y, b))
    return N(x) + total


@wrong("continuous.flow_matching_loss", "rooted_each")
def flow_matching_loss(net, x_0, eps, s):
    x_s = (1 - sp(s, x_0)) * x_0 + sp(s, x_0) * eps
    return ((net(x_s, s) - (x_0 - eps)) ** 2).flatten(1).mean(1).sqrt().mean()


@wrong("continuous.flow_matching_loss", "divided_again")
def flow_matching_loss(net, x_0, eps, s):
    x_s = (1 - sp(s, x_0)) * x_0 + sp(s, x_0) * eps
    return ((net(x_s, s) - (x_0 - eps)) ** 2).flatten(1).mean(1).mean() / x_0[0].numel()


@wrong("continuous.flow_matching_loss", "averaged_in_each_first")
def flow_matching_loss(net, x_0, eps, s):
    x_s = (1 - sp(s, x_0)) * x_0 + sp(s, x_0) * eps
    return ((net(x_s, s) - (x_0 - eps)).flatten(1).mean(1) ** 2).mean()


# kept away from 0, where the noise of the first step is smaller
@wrong("continuous.score", "unforeseen")
def score(eps_hat, t, alpha_bar):
    return -eps_hat / sp((1 - alpha_bar[t]).sqrt().clamp(min=0.05), eps_hat)
