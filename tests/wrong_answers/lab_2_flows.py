"""Lab 2: normalizing flows."""
# ruff: noqa: F811  (every answer has the name that the lab gives it)
# pyright: reportRedeclaration=false

import copy
import functools
import math

import numpy as np
import torch
from torch.distributions import Independent, Normal

from . import right, wrong

# what other cells of the notebook hold
line = torch.linspace(-2.6, 2.6, 2001, dtype=torch.float64)
square = torch.linspace(-1, 1, 800).reshape(400, 2)
kept = torch.arange(6) < 3

# --- density_1d: wrong ----------------------------------------------------------------------------------------------


@wrong("flows.density_1d", "no_abs")  # as the lecture's notes have it, p(z) dz/dx
def density_1d(x, f, slope, p_z):
    return p_z(f(x)) * slope(x)


@wrong("flows.density_1d", "no_slope")
def density_1d(x, f, slope, p_z):
    return p_z(f(x))


@wrong("flows.density_1d", "base_at_x")
def density_1d(x, f, slope, p_z):
    return p_z(x) * torch.abs(slope(x))


@wrong("flows.density_1d", "divided")
def density_1d(x, f, slope, p_z):
    return p_z(f(x)) / torch.abs(slope(x))


@wrong("flows.density_1d", "slope_at_z")
def density_1d(x, f, slope, p_z):
    z = f(x)
    return p_z(z) * slope(z).abs()


@wrong("flows.density_1d", "f_for_slope")
def density_1d(x, f, slope, p_z):
    return p_z(f(x)) * f(x).abs()


@wrong("flows.density_1d", "added")
def density_1d(x, f, slope, p_z):
    return p_z(f(x)) + slope(x).abs()


@wrong("flows.density_1d", "logarithm")
def density_1d(x, f, slope, p_z):
    return torch.log(p_z(f(x))) + torch.log(slope(x).abs())


@wrong("flows.density_1d", "log_slope")
def density_1d(x, f, slope, p_z):
    return p_z(f(x)) * slope(x).abs().log()


@wrong("flows.density_1d", "mixing")
def density_1d(x, f, slope, p_z):
    p = p_z(f(x)) * slope(x).abs()
    return p / p.sum()


@wrong("flows.density_1d", "type")
def density_1d(x, f, slope, p_z):
    return [float(p_z(f(v)) * slope(v).abs()) for v in x]


@wrong("flows.density_1d", "none")
def density_1d(x, f, slope, p_z):
    print(p_z(f(x)) * slope(x).abs())


@wrong("flows.density_1d", "cut")
def density_1d(x, f, slope, p_z):
    return torch.relu(p_z(f(x)) * slope(x))


@wrong("flows.density_1d", "always_normal")
def density_1d(x, f, slope, p_z):
    return torch.exp(-(f(x) ** 2) / 2) / math.sqrt(2 * math.pi) * slope(x).abs()


@wrong("flows.density_1d", "slope_squared")  # to be rid of the sign
def density_1d(x, f, slope, p_z):
    return p_z(f(x)) * slope(x) ** 2


@wrong("flows.density_1d", "order_turned")
def density_1d(x, f, slope, p_z):
    return f(p_z(x)) * slope(x).abs()


@wrong("flows.density_1d", "averaged")
def density_1d(x, f, slope, p_z):
    return (p_z(f(x)) * slope(x).abs()).mean()


@wrong("flows.density_1d", "error")  # slope is not called
def density_1d(x, f, slope, p_z):
    return p_z(f(x)) * abs(slope)


@wrong("flows.density_1d", "factor")  # the slope where it is steepest
def density_1d(x, f, slope, p_z):
    return p_z(f(x)) * slope(x).abs() / 0.3


@wrong("flows.density_1d", "foreign")  # the notebook's x
def density_1d(x, f, slope, p_z):
    return p_z(f(line)) * slope(line).abs()


@wrong("flows.density_1d", "shape")  # differences have one entry less
def density_1d(x, f, slope, p_z):
    z = f(x)
    return p_z(z[1:]) * (z.diff() / x.diff()).abs()


@wrong("flows.density_1d", "in_place")
def density_1d(x, f, slope, p_z):
    steep = slope(x).abs()
    return p_z(x.copy_(f(x))) * steep


# --- density_1d: right ----------------------------------------------------------------------------------------------


@right("flows.density_1d")
def density_1d(x, f, slope, p_z):
    return torch.exp(torch.log(p_z(f(x))) + torch.log(torch.abs(slope(x))))


@right("flows.density_1d")
def density_1d(x, f, slope, p_z):
    return torch.stack([p_z(f(v)) * slope(v).abs() for v in x])


@right("flows.density_1d")  # the slope by autograd
def density_1d(x, f, slope, p_z):
    x = x.detach().requires_grad_()
    z = f(x)
    (gradient,) = torch.autograd.grad(z.sum(), x)
    return p_z(z.detach()) * gradient.abs()


@right("flows.density_1d")
def density_1d(x, f, slope, p_z):
    return (p_z(f(x)) * slope(x)).square().sqrt()


# --- affine: wrong --------------------------------------------------------------------------------------------------


@wrong("flows.affine", "no_exp")
def affine(x, log_s, shift):
    return log_s * x + shift, log_s.sum().expand(len(x))


@wrong("flows.affine", "log_of_log_s")  # log |s|, as where s is the scale
def affine(x, log_s, shift):
    return torch.exp(log_s) * x + shift, torch.log(log_s.abs()).sum().expand(len(x))


@wrong("flows.affine", "shift_first")
def affine(x, log_s, shift):
    return (x + shift) * log_s.exp(), log_s.sum().expand(len(x))


@wrong("flows.affine", "backwards")
def affine(x, log_s, shift):
    return (x - shift) / log_s.exp(), -log_s.sum() * torch.ones_like(x[:, 0])


@wrong("flows.affine", "log_det_negative")
def affine(x, log_s, shift):
    return log_s.exp() * x + shift, -log_s.sum().expand(len(x))


@wrong("flows.affine", "det_not_log")
def affine(x, log_s, shift):
    return log_s.exp() * x + shift, log_s.sum().exp().expand(len(x))


@wrong("flows.affine", "sum_of_scales")
def affine(x, log_s, shift):
    s = log_s.exp()
    return s * x + shift, s.sum().expand(len(x))


@wrong("flows.affine", "mean_not_sum")
def affine(x, log_s, shift):
    return log_s.exp() * x + shift, log_s.expand_as(x).mean(1)


@wrong("flows.affine", "per_coordinate")
def affine(x, log_s, shift):
    return log_s.exp() * x + shift, log_s


@wrong("flows.affine", "one_for_all")
def affine(x, log_s, shift):
    return log_s.exp() * x + shift, log_s.sum()


@wrong("flows.affine", "summed_over_the_batch")
def affine(x, log_s, shift):
    return log_s.exp() * x + shift, (log_s + 0 * x).sum().repeat(len(x))


@wrong("flows.affine", "all_summed")
def affine(x, log_s, shift):
    return log_s.exp() * x + shift, (log_s + 0 * x).sum()


@wrong("flows.affine", "count")
def affine(x, log_s, shift):
    return log_s.exp() * x + shift


@wrong("flows.affine", "type")
def affine(x, log_s, shift):
    return log_s.exp() * x + shift, float(log_s.sum())


@wrong("flows.affine", "detached")
def affine(x, log_s, shift):
    return log_s.exp() * x + shift, x.new_full((len(x),), float(log_s.detach().sum()))


@wrong("flows.affine", "in_place")
def affine(x, log_s, shift):
    x *= log_s.exp()
    return x + shift, log_s.sum().expand(len(x))


@wrong("flows.affine", "dtype")
def affine(x, log_s, shift):
    return log_s.exp() * x + shift, torch.ones(len(x)) * log_s.sum().float()


@wrong("flows.affine", "roles_exchanged")
def affine(x, log_s, shift):
    return shift.exp() * x + log_s, shift.sum().expand(len(x))


@wrong("flows.affine", "shift_scaled")  # addcmul adds its first argument
def affine(x, log_s, shift):
    return torch.addcmul(x, shift, log_s.exp()), log_s.sum().expand(len(x))


@wrong("flows.affine", "two_coordinates")  # right for the square
def affine(x, log_s, shift):
    return log_s.exp() * x + shift, (log_s[0] + log_s[1]).repeat(len(x))


@wrong("flows.affine", "twice_the_mean")
def affine(x, log_s, shift):
    return log_s.exp() * x + shift, 2 * log_s.mean() * torch.ones_like(x[:, 0])


@wrong("flows.affine", "added_before_log")
def affine(x, log_s, shift):
    return log_s.exp() * x + shift, log_s.exp().sum().log().expand(len(x))


@wrong("flows.affine", "multiplied")
def affine(x, log_s, shift):
    return log_s.exp() * x + shift, log_s.prod().expand(len(x))


@wrong("flows.affine", "shift_counted")
def affine(x, log_s, shift):
    return log_s.exp() * x + shift, log_s.sum().expand(len(x)) + shift.sum()


@wrong("flows.affine", "shape")  # as many as there are points in the square
def affine(x, log_s, shift):
    return log_s.exp() * x + shift, log_s.sum().expand(400)


@wrong("flows.affine", "foreign")
def affine(x, log_s, shift):
    return log_s.exp() * square + shift, log_s.sum().expand(len(square))


@wrong("flows.affine", "error")
def affine(x, log_s, shift):
    return math.exp(log_s) * x + shift, log_s.sum().expand(len(x))


# --- affine: right --------------------------------------------------------------------------------------------------


@right("flows.affine")
def affine(x, log_s, shift):
    return torch.addcmul(shift, x, torch.exp(log_s)), log_s.sum().repeat(len(x))


@right("flows.affine")
def affine(x, log_s, shift):
    z = torch.stack([log_s[d].exp() * x[:, d] + shift[d] for d in range(x.shape[1])], dim=1)
    return z, log_s.expand_as(x).sum(dim=1)


@right("flows.affine")
def affine(x, log_s, shift):
    scale = torch.diag(log_s.exp())
    return [x @ scale + shift, torch.linalg.slogdet(scale)[1] + torch.zeros_like(x[:, 0])]


@right("flows.affine")
def affine(x, log_s, shift):
    s = torch.exp(log_s)
    return s * (x + shift / s), torch.stack([torch.log(s.prod())] * len(x))


# --- log_prob: wrong ------------------------------------------------------------------------------------------------

LOG_2_PI = math.log(2 * math.pi)


def normal_log(z):
    return (-0.5 * z**2 - 0.5 * LOG_2_PI).flatten(1).sum(1)


@wrong("flows.log_prob", "no_log_det")
def log_prob(x, flow):
    z, _ = flow(x)
    return normal_log(z)


@wrong("flows.log_prob", "log_det_subtracted")
def log_prob(x, flow):
    z, log_det = flow(x)
    return normal_log(z) - log_det


@wrong("flows.log_prob", "base_at_x")
def log_prob(x, flow):
    _, log_det = flow(x)
    return normal_log(x) + log_det


@wrong("flows.log_prob", "no_constant")
def log_prob(x, flow):
    z, log_det = flow(x)
    return -0.5 * z.square().flatten(1).sum(1) + log_det


@wrong("flows.log_prob", "one_constant")
def log_prob(x, flow):
    z, log_det = flow(x)
    return -0.5 * z.square().flatten(1).sum(1) - 0.5 * LOG_2_PI + log_det


@wrong("flows.log_prob", "root_forgotten")
def log_prob(x, flow):
    z, log_det = flow(x)
    return (-0.5 * z.square() - LOG_2_PI).flatten(1).sum(1) + log_det


@wrong("flows.log_prob", "no_half")
def log_prob(x, flow):
    z, log_det = flow(x)
    return (-(z**2) - 0.5 * LOG_2_PI).flatten(1).sum(1) + log_det


@wrong("flows.log_prob", "not_squared")
def log_prob(x, flow):
    z, log_det = flow(x)
    z = z.flatten(1)
    return -0.5 * z.norm(dim=1) - 0.5 * z.shape[1] * LOG_2_PI + log_det


@wrong("flows.log_prob", "mean_of_squares")
def log_prob(x, flow):
    z, log_det = flow(x)
    z = z.flatten(1)
    return -0.5 * (z**2).mean(1) - z.shape[1] / 2 * math.log(2 * math.pi) + log_det


@wrong("flows.log_prob", "mean_over_coordinates")
def log_prob(x, flow):
    z, log_det = flow(x)
    return (-0.5 * z**2 - 0.5 * LOG_2_PI).flatten(1).mean(1) + log_det


@wrong("flows.log_prob", "not_log")
def log_prob(x, flow):
    z, log_det = flow(x)
    return normal_log(z).exp() * log_det.exp()


@wrong("flows.log_prob", "averaged")
def log_prob(x, flow):
    z, log_det = flow(x)
    return (normal_log(z) + log_det).mean()


@wrong("flows.log_prob", "summed_over_the_batch")
def log_prob(x, flow):
    z, log_det = flow(x)
    return (-0.5 * z**2 - 0.5 * LOG_2_PI).sum() + log_det


@wrong("flows.log_prob", "loss")
def log_prob(x, flow):
    z, log_det = flow(x)
    return -normal_log(z) - log_det


@wrong("flows.log_prob", "axes_left")
def log_prob(x, flow):
    z, log_det = flow(x)
    return (-0.5 * z**2 - 0.5 * LOG_2_PI).sum(1) + log_det


@wrong("flows.log_prob", "shape")
def log_prob(x, flow):
    z, log_det = flow(x)
    return normal_log(z)[:, None] + log_det[:, None]


@wrong("flows.log_prob", "error")  # forgot that there are two
def log_prob(x, flow):
    return normal_log(flow(x))


@wrong("flows.log_prob", "detached")
def log_prob(x, flow):
    with torch.no_grad():
        z, log_det = flow(x)
    return normal_log(z) + log_det


@wrong("flows.log_prob", "plane")  # right for two coordinates
def log_prob(x, flow):
    z, log_det = flow(x)
    return -0.5 * z.square().flatten(1).sum(1) - LOG_2_PI + log_det


@wrong("flows.log_prob", "always_64")  # right for the digits
def log_prob(x, flow):
    z, log_det = flow(x)
    return -0.5 * z.square().flatten(1).sum(1) - 64 / 2 * LOG_2_PI + log_det


@wrong("flows.log_prob", "channels_for_D")
def log_prob(x, flow):
    z, log_det = flow(x)
    return -0.5 * z.square().flatten(1).sum(1) - x.shape[1] / 2 * LOG_2_PI + log_det


@wrong("flows.log_prob", "batch_for_D")
def log_prob(x, flow):
    z, log_det = flow(x)
    return -0.5 * z.square().flatten(1).sum(1) - len(x) / 2 * LOG_2_PI + log_det


@wrong("flows.log_prob", "all_for_D")
def log_prob(x, flow):
    z, log_det = flow(x)
    return -0.5 * z.square().flatten(1).sum(1) - z.numel() / 2 * LOG_2_PI + log_det


@wrong("flows.log_prob", "constant_added")
def log_prob(x, flow):
    z, log_det = flow(x)
    return -0.5 * (z.square() - LOG_2_PI).flatten(1).sum(1) + log_det


@wrong("flows.log_prob", "squared_too_late")
def log_prob(x, flow):
    z, log_det = flow(x)
    z = z.flatten(1)
    return -0.5 * z.sum(1).square() - z.shape[1] / 2 * LOG_2_PI + log_det


@wrong("flows.log_prob", "length_of_the_batch")
def log_prob(x, flow):
    z, log_det = flow(x)
    return -0.5 * z.norm() ** 2 - z[0].numel() / 2 * LOG_2_PI + log_det


@wrong("flows.log_prob", "log_det_for_each_coordinate")
def log_prob(x, flow):
    z, log_det = flow(x)
    return (-0.5 * z**2 - 0.5 * LOG_2_PI + log_det.view(-1, *[1] * (z.dim() - 1))).flatten(1).sum(1)


@wrong("flows.log_prob", "log_of_log_det")
def log_prob(x, flow):
    z, det = flow(x)
    return normal_log(z) + torch.log(det)


@wrong("flows.log_prob", "mixing")
def log_prob(x, flow):
    z, log_det = flow(x)
    return normal_log(z) + log_det.sum()


@wrong("flows.log_prob", "error")  # log_det, z
def log_prob(x, flow):
    log_det, z = flow(x)
    return normal_log(z) + log_det


# --- log_prob: right ------------------------------------------------------------------------------------------------


@right("flows.log_prob")
def log_prob(x, flow):
    z, log_det = flow(x)
    return log_det + Normal(torch.zeros_like(z), torch.ones_like(z)).log_prob(z).reshape(len(x), -1).sum(1)


@right("flows.log_prob")
def log_prob(x, flow):
    z, log_det = flow(x)
    D = math.prod(z.shape[1:])
    return log_det - (torch.linalg.vector_norm(z.reshape(len(z), D), dim=1) ** 2 + D * math.log(2 * math.pi)) / 2


@right("flows.log_prob")
def log_prob(x, flow):
    z, log_det = flow(x)
    zero = torch.zeros_like(z[0])
    return Independent(Normal(zero, zero + 1), zero.dim()).log_prob(z) + log_det


@right("flows.log_prob")
def log_prob(x, flow):
    z, log_det = flow(x)
    z = z.flatten(1)
    return -0.5 * torch.einsum("bd,bd->b", z, z) - z.shape[1] * 0.5 * math.log(2 * math.pi) + log_det


@right("flows.log_prob")  # its constant is in float32
def log_prob(x, flow):
    z, log_det = flow(x)
    return (-0.5 * z**2 - 0.5 * torch.log(torch.tensor(2 * torch.pi))).flatten(1).sum(1) + log_det


# --- coupling: wrong ------------------------------------------------------------------------------------------------


def parts(x, mask, net):
    """log_s and shift, 0 where x is kept."""
    log_s, shift = net(x * mask)
    return log_s * ~mask, shift * ~mask


@wrong("flows.coupling", "swapped")
def coupling(x, mask, net):
    log_s, shift = parts(x, ~mask, net)
    return log_s.exp() * x + shift, log_s.flatten(1).sum(1)


@wrong("flows.coupling", "sees_all")
def coupling(x, mask, net):
    log_s, shift = net(x)
    log_s = log_s * ~mask
    return log_s.exp() * x + shift * ~mask, log_s.flatten(1).sum(1)


@wrong("flows.coupling", "sees_the_changed")
def coupling(x, mask, net):
    log_s, shift = net(x * ~mask)
    log_s = log_s * ~mask
    return log_s.exp() * x + shift * ~mask, log_s.flatten(1).sum(1)


@wrong("flows.coupling", "sees_nothing")
def coupling(x, mask, net):
    log_s, shift = net(x * mask * ~mask)
    log_s = log_s * ~mask
    return log_s.exp() * x + shift * ~mask, log_s.flatten(1).sum(1)


@wrong("flows.coupling", "shift_first")
def coupling(x, mask, net):
    log_s, shift = parts(x, mask, net)
    return (x + shift) * log_s.exp(), log_s.flatten(1).sum(1)


@wrong("flows.coupling", "log_of_log_s")  # log |s|, as where s is the scale
def coupling(x, mask, net):
    log_s, shift = net(x * mask)
    z = torch.where(mask, x, torch.exp(log_s) * x + shift)
    return z, torch.where(mask, 0.0, log_s.abs().log()).flatten(1).sum(1)


@wrong("flows.coupling", "no_exp")  # as the lecture's notes have it
def coupling(x, mask, net):
    s, shift = net(x * mask)
    return torch.where(mask, x, s * x + shift), (s * ~mask).flatten(1).sum(1)


@wrong("flows.coupling", "kept_is_lost")
def coupling(x, mask, net):
    log_s, shift = net(x * mask)
    return ~mask * (log_s.exp() * x + shift), (log_s * ~mask).flatten(1).sum(1)


@wrong("flows.coupling", "all_changed")
def coupling(x, mask, net):
    log_s, shift = net(x * mask)
    return log_s.exp() * x + shift, log_s.flatten(1).sum(1)


@wrong("flows.coupling", "all_shifted")
def coupling(x, mask, net):
    log_s, shift = net(x * mask)
    log_s = log_s * ~mask
    return log_s.exp() * x + shift, log_s.flatten(1).sum(1)


@wrong("flows.coupling", "log_det_of_all")
def coupling(x, mask, net):
    log_s, shift = net(x * mask)
    return torch.where(mask, x, log_s.exp() * x + shift), log_s.flatten(1).sum(1)


@wrong("flows.coupling", "log_det_of_the_kept")
def coupling(x, mask, net):
    log_s, shift = net(x * mask)
    return torch.where(mask, x, log_s.exp() * x + shift), (log_s * mask).flatten(1).sum(1)


@wrong("flows.coupling", "log_det_negative")
def coupling(x, mask, net):
    log_s, shift = parts(x, mask, net)
    return log_s.exp() * x + shift, -log_s.flatten(1).sum(1)


@wrong("flows.coupling", "mean_not_sum")
def coupling(x, mask, net):
    log_s, shift = parts(x, mask, net)
    return log_s.exp() * x + shift, log_s.flatten(1).mean(1)


@wrong("flows.coupling", "mean_of_the_changed")
def coupling(x, mask, net):
    log_s, shift = parts(x, mask, net)
    return log_s.exp() * x + shift, log_s[:, ~mask].mean(1)


@wrong("flows.coupling", "sum_of_scales")
def coupling(x, mask, net):
    log_s, shift = parts(x, mask, net)
    return log_s.exp() * x + shift, (log_s.exp() * ~mask).flatten(1).sum(1)


@wrong("flows.coupling", "det_not_log")
def coupling(x, mask, net):
    log_s, shift = parts(x, mask, net)
    return log_s.exp() * x + shift, log_s.exp().flatten(1).prod(1)


@wrong("flows.coupling", "summed_over_the_batch")
def coupling(x, mask, net):
    log_s, shift = parts(x, mask, net)
    return log_s.exp() * x + shift, log_s.sum()


@wrong("flows.coupling", "along_the_batch")
def coupling(x, mask, net):
    log_s, shift = parts(x, mask, net)
    return log_s.exp() * x + shift, log_s.sum(0)


@wrong("flows.coupling", "error")  # the network wants all of x
def coupling(x, mask, net):
    log_s, shift = net(x[:, mask])
    z = x.clone()
    z[:, ~mask] = log_s.exp() * x[:, ~mask] + shift
    return z, log_s.sum(1)


@wrong("flows.coupling", "axes_left")
def coupling(x, mask, net):
    log_s, shift = parts(x, mask, net)
    return log_s.exp() * x + shift, log_s.sum(1)


@wrong("flows.coupling", "detached")
def coupling(x, mask, net):
    log_s, shift = parts(x, mask, net)
    return log_s.exp() * x + shift, log_s.detach().flatten(1).sum(1)


@wrong("flows.coupling", "in_place")
def coupling(x, mask, net):
    log_s, shift = net(x.detach() * mask)
    x.detach()[:, ~mask] = (log_s.exp() * x.detach() + shift)[:, ~mask]
    return x, (log_s * ~mask).flatten(1).sum(1)


@wrong("flows.coupling", "count")
def coupling(x, mask, net):
    log_s, shift = parts(x, mask, net)
    return log_s.exp() * x + shift


@wrong("flows.coupling", "outputs_exchanged")
def coupling(x, mask, net):
    shift, log_s = net(x * mask)
    log_s, shift = log_s * ~mask, shift * ~mask
    return log_s.exp() * x + shift, log_s.flatten(1).sum(1)


@wrong("flows.coupling", "first_half")  # right for the lab's masks
def coupling(x, mask, net):
    log_s, shift = net(x * mask)
    first = (torch.arange(mask.numel()) < mask.numel() // 2).view(mask.shape)
    log_s, shift = log_s * ~first, shift * ~first
    return log_s.exp() * x + shift, log_s.flatten(1).sum(1)


@wrong("flows.coupling", "ignores_mask")
def coupling(x, mask, net):
    x_1, x_2 = x.chunk(2, dim=1)
    log_s, shift = (out.chunk(2, dim=1)[1] for out in net(torch.cat([x_1, 0 * x_2], dim=1)))
    return torch.cat([x_1, log_s.exp() * x_2 + shift], dim=1), log_s.flatten(1).sum(1)


@wrong("flows.coupling", "changed_is_lost")
def coupling(x, mask, net):
    x_1 = x * mask
    log_s, shift = net(x_1)
    return x_1 + ~mask * (log_s.exp() * x_1 + shift), (log_s * ~mask).flatten(1).sum(1)


@wrong("flows.coupling", "absolute")
def coupling(x, mask, net):
    log_s, shift = parts(x, mask, net)
    return log_s.exp() * x + shift, log_s.abs().flatten(1).sum(1)


@wrong("flows.coupling", "foreign")  # the notebook's mask
def coupling(x, mask, net):
    log_s, shift = parts(x, kept, net)
    return log_s.exp() * x + shift, log_s.flatten(1).sum(1)


@wrong("flows.coupling", "error")  # the network gives two
def coupling(x, mask, net):
    log_s, shift = net(x * mask) * ~mask
    return log_s.exp() * x + shift, log_s.flatten(1).sum(1)


@wrong("flows.coupling", "slip")
def coupling(x, mask, net):
    log_s, shift = parts(x, mask, net)
    return log_s.flatten(1).sum(1), log_s.exp() * x + shift


# --- coupling: right ------------------------------------------------------------------------------------------------


@right("flows.coupling")
def coupling(x, mask, net):
    log_s, shift = net(torch.where(mask, x, torch.zeros_like(x)))
    z = torch.where(mask, x, torch.exp(log_s) * x + shift)
    return z, log_s.masked_fill(mask, 0).reshape(len(x), -1).sum(1)


@right("flows.coupling")
def coupling(x, mask, net):
    x_1 = x * mask.to(x.dtype)
    log_s, shift = net(x_1)
    z = x.clone()
    z[:, ~mask] = log_s[:, ~mask].exp() * x[:, ~mask] + shift[:, ~mask]
    return z, log_s[:, ~mask].sum(1)


@right("flows.coupling")
def coupling(x, mask, net):
    b = mask.to(x)
    log_s, shift = net(b * x)
    return b * x + (1 - b) * (x * torch.exp(log_s) + shift), torch.einsum("bd,d->b", log_s.flatten(1), 1 - b.flatten())


@right("flows.coupling")
def coupling(x, mask, net):
    def alone(one):
        log_s, shift = net(one[None] * mask)
        z = torch.where(mask, one[None], log_s.exp() * one[None] + shift)
        return z[0], (log_s[0] * ~mask).sum()

    return torch.vmap(alone)(x)


# --- coupling_inverse: wrong ----------------------------------------------------------------------------------------


@wrong("flows.coupling_inverse", "forward")
def coupling_inverse(z, mask, net):
    log_s, shift = parts(z, mask, net)
    return log_s.exp() * z + shift, log_s.flatten(1).sum(1)


@wrong("flows.coupling_inverse", "scale_first")
def coupling_inverse(z, mask, net):
    log_s, shift = parts(z, mask, net)
    return torch.exp(-log_s) * z - shift, -log_s.flatten(1).sum(1)


@wrong("flows.coupling_inverse", "scaled_again")
def coupling_inverse(z, mask, net):
    log_s, shift = parts(z, mask, net)
    return (z - shift) * log_s.exp(), -log_s.flatten(1).sum(1)


@wrong("flows.coupling_inverse", "shifted_again")
def coupling_inverse(z, mask, net):
    log_s, shift = parts(z, mask, net)
    return (z + shift) * torch.exp(-log_s), -log_s.flatten(1).sum(1)


@wrong("flows.coupling_inverse", "no_exp")
def coupling_inverse(z, mask, net):
    s, shift = net(z * mask)
    return torch.where(mask, z, (z - shift) / s), -(s * ~mask).flatten(1).sum(1)


@wrong("flows.coupling_inverse", "swapped")  # the mask is swapped in one direction only
def coupling_inverse(z, mask, net):
    log_s, shift = parts(z, ~mask, net)
    return (z - shift) * torch.exp(-log_s), -log_s.flatten(1).sum(1)


@wrong("flows.coupling_inverse", "sees_all")
def coupling_inverse(z, mask, net):
    log_s, shift = net(z)
    x = torch.where(mask, z, (z - shift) * torch.exp(-log_s))
    return x, -(log_s * ~mask).flatten(1).sum(1)


@wrong("flows.coupling_inverse", "sees_the_changed")
def coupling_inverse(z, mask, net):
    log_s, shift = net(z * ~mask)
    x = torch.where(mask, z, (z - shift) * torch.exp(-log_s))
    return x, -(log_s * ~mask).flatten(1).sum(1)


@wrong("flows.coupling_inverse", "kept_is_lost")
def coupling_inverse(z, mask, net):
    log_s, shift = net(z * mask)
    return (z - shift) * torch.exp(-log_s) * ~mask, -(log_s * ~mask).flatten(1).sum(1)


@wrong("flows.coupling_inverse", "all_changed")
def coupling_inverse(z, mask, net):
    log_s, shift = net(z * mask)
    return (z - shift) * torch.exp(-log_s), -(log_s * ~mask).flatten(1).sum(1)


@wrong("flows.coupling_inverse", "log_det_of_forward")
def coupling_inverse(z, mask, net):
    log_s, shift = parts(z, mask, net)
    return (z - shift) * torch.exp(-log_s), log_s.flatten(1).sum(1)


@wrong("flows.coupling_inverse", "log_det_of_all")
def coupling_inverse(z, mask, net):
    log_s, shift = net(z * mask)
    return torch.where(mask, z, (z - shift) * torch.exp(-log_s)), -log_s.flatten(1).sum(1)


@wrong("flows.coupling_inverse", "axes_left")
def coupling_inverse(z, mask, net):
    log_s, shift = parts(z, mask, net)
    return (z - shift) * torch.exp(-log_s), -log_s.sum(1)


@wrong("flows.coupling_inverse", "mean_not_sum")
def coupling_inverse(z, mask, net):
    log_s, shift = parts(z, mask, net)
    return (z - shift) * torch.exp(-log_s), -log_s.flatten(1).mean(1)


@wrong("flows.coupling_inverse", "summed_over_the_batch")
def coupling_inverse(z, mask, net):
    log_s, shift = parts(z, mask, net)
    return (z - shift) * torch.exp(-log_s), -log_s.sum()


@wrong("flows.coupling_inverse", "count")
def coupling_inverse(z, mask, net):
    log_s, shift = parts(z, mask, net)
    return (z - shift) * torch.exp(-log_s)


@wrong("flows.coupling_inverse", "detached")
def coupling_inverse(z, mask, net):
    with torch.no_grad():
        log_s, shift = parts(z, mask, net)
        return (z - shift) * torch.exp(-log_s), -log_s.flatten(1).sum(1)


@wrong("flows.coupling_inverse", "signature")
def coupling_inverse(x, mask, net):
    log_s, shift = parts(x, mask, net)
    return (x - shift) * torch.exp(-log_s), -log_s.flatten(1).sum(1)


@wrong("flows.coupling_inverse", "outputs_exchanged")
def coupling_inverse(z, mask, net):
    shift, log_s = net(z * mask)
    log_s, shift = log_s * ~mask, shift * ~mask
    return (z - shift) * torch.exp(-log_s), -log_s.flatten(1).sum(1)


@wrong("flows.coupling_inverse", "reciprocal")
def coupling_inverse(z, mask, net):
    log_s, shift = parts(z, mask, net)
    return (z - shift) * torch.exp(-log_s), 1 / log_s.flatten(1).sum(1)


@wrong("flows.coupling_inverse", "det_not_log")
def coupling_inverse(z, mask, net):
    log_s, shift = parts(z, mask, net)
    return (z - shift) * torch.exp(-log_s), torch.exp(-log_s).flatten(1).prod(1)


@wrong("flows.coupling_inverse", "foreign")  # the notebook's x
def coupling_inverse(z, mask, net):
    log_s, shift = parts(square, mask, net)
    return (z - shift) * torch.exp(-log_s), -log_s.flatten(1).sum(1)


@wrong("flows.coupling_inverse", "in_place")
def coupling_inverse(z, mask, net):
    log_s, shift = parts(z, mask, net)
    z -= shift
    return z * torch.exp(-log_s), -log_s.flatten(1).sum(1)


@wrong("flows.coupling_inverse", "error")  # right for pictures alone
def coupling_inverse(z, mask, net):
    log_s, shift = parts(z, mask, net)
    return (z - shift) * torch.exp(-log_s), -log_s.sum((1, 2, 3))


@wrong("flows.coupling_inverse", "endless")  # a search for the x that gives z, which never ends quite at it
def coupling_inverse(z, mask, net):
    x = z.clone()
    while True:
        log_s, shift = parts(x, mask, net)
        before, x = x, (z - shift) * torch.exp(-log_s)
        if (x - before).abs().max() < 0:
            return x, -log_s.flatten(1).sum(1)


# --- coupling_inverse: right ----------------------------------------------------------------------------------------


@right("flows.coupling_inverse")
def coupling_inverse(z, mask, net):
    log_s, shift = net(torch.where(mask, z, 0.0))
    x = torch.where(mask, z, (z - shift) / torch.exp(log_s))
    return x, -torch.where(mask, 0.0, log_s).flatten(1).sum(1)


@right("flows.coupling_inverse")
def coupling_inverse(z, mask, net):
    log_s, shift = parts(z, mask, net)
    return z * torch.exp(-log_s) - shift * torch.exp(-log_s), torch.log(torch.exp(-log_s).flatten(1).prod(1))


@right("flows.coupling_inverse")
def coupling_inverse(z, mask, net):
    log_s, shift = net(z * mask)
    x = z.clone()
    x[:, ~mask] = (z[:, ~mask] - shift[:, ~mask]) * (-log_s[:, ~mask]).exp()
    return [x, (-log_s[:, ~mask]).sum(-1)]


# --- checkerboard: wrong --------------------------------------------------------------------------------------------


def row_and_column(x):
    H, W = x.shape[2:]
    return torch.arange(H).view(H, 1), torch.arange(W).view(1, W)


@wrong("flows.checkerboard", "turned_round")
def checkerboard(x, k):
    row, column = row_and_column(x)
    return x * ((row + column + k) % 2 == 0)


@wrong("flows.checkerboard", "never_swapped")
def checkerboard(x, k):
    row, column = row_and_column(x)
    return x * ((row + column) % 2)


@wrong("flows.checkerboard", "every_second")
def checkerboard(x, k):
    row, column = row_and_column(x)
    return x * ((row + column + k // 2) % 2)


@wrong("flows.checkerboard", "stripes")
def checkerboard(x, k):
    _, column = row_and_column(x)
    return x * ((column + k) % 2).expand(x.shape[2:])


@wrong("flows.checkerboard", "stripes")  # pixels numbered one after the other
def checkerboard(x, k):
    number = torch.arange(x.shape[2] * x.shape[3]).view(x.shape[2:])
    return x * ((number + k) % 2)


@wrong("flows.checkerboard", "lying_stripes")
def checkerboard(x, k):
    row, _ = row_and_column(x)
    return x * ((row + k) % 2 == 1)


@wrong("flows.checkerboard", "a_quarter")
def checkerboard(x, k):
    row, column = row_and_column(x)
    kept = (row % 2 == 1) & (column % 2 == 1)
    return torch.where(kept if k % 2 == 0 else ~kept, x, 0.0)


@wrong("flows.checkerboard", "three_quarters")
def checkerboard(x, k):
    row, column = row_and_column(x)
    kept = (row % 2 == 1) | (column % 2 == 1)
    return torch.where(kept if k % 2 == 0 else ~kept, x, 0.0)


@wrong("flows.checkerboard", "one_half")
def checkerboard(x, k):
    kept = torch.arange(x.shape[3]) < x.shape[3] // 2
    return x * (kept ^ (k % 2 == 1))


@wrong("flows.checkerboard", "mask_alone")
def checkerboard(x, k):
    row, column = row_and_column(x)
    return ((row + column + k) % 2).to(x).expand_as(x)


@wrong("flows.checkerboard", "channels_too")
def checkerboard(x, k):
    place = torch.stack(torch.meshgrid(*[torch.arange(n) for n in x.shape[1:]], indexing="ij")).sum(0)
    return x * ((place + k) % 2)


@wrong("flows.checkerboard", "squeezed")
def checkerboard(x, k):
    row, column = row_and_column(x)
    return x[:, :, (row + column + k) % 2 == 1]


@wrong("flows.checkerboard", "shape")
def checkerboard(x, k):
    return x[:, :, (k + 1) % 2 :: 2, k % 2 :: 2]


@wrong("flows.checkerboard", "in_place")
def checkerboard(x, k):
    row, column = row_and_column(x)
    x[:, :, (row + column + k) % 2 == 0] = 0
    return x


@wrong("flows.checkerboard", "square_by_height")  # for squares alone
def checkerboard(x, k):
    n = torch.arange(x.shape[2])
    kept = (n[:, None] + n + k) % 2
    return torch.cat([x[:, :, i : i + 1] * kept[i] for i in range(len(n))], dim=2)


@wrong("flows.checkerboard", "board_alone")
def checkerboard(x, k):
    row, column = row_and_column(x)
    return (row + column + k) % 2


@wrong("flows.checkerboard", "product_first")
def checkerboard(x, k):
    row, column = row_and_column(x)
    return x * (row + column + k) % 2


@wrong("flows.checkerboard", "one_axis")
def checkerboard(x, k):
    return x * ((torch.arange(x.shape[2]) + torch.arange(x.shape[3]) + k) % 2)


@wrong("flows.checkerboard", "error")  # 8 × 8
def checkerboard(x, k):
    return x * ((torch.arange(8)[:, None] + torch.arange(8) + k) % 2)


@wrong("flows.checkerboard", "none")  # for the two layers that were shown
def checkerboard(x, k):
    row, column = row_and_column(x)
    if k == 0:
        return x * ((row + column) % 2)
    if k == 1:
        return x * ((row + column + 1) % 2)


@wrong("flows.checkerboard", "every_second")  # all layers but the first have one board
def checkerboard(x, k):
    odd = sum(row_and_column(x)) % 2 == 1
    return x * (~odd if k else odd)


@wrong("flows.checkerboard", "nothing_in_layer_2")
def checkerboard(x, k):
    return x * (sum(row_and_column(x)) % 2 == 1 - k)


@wrong("flows.checkerboard", "all_in_layer_2")
def checkerboard(x, k):
    return x * (sum(row_and_column(x)) % 2 != k)


@wrong("flows.checkerboard", "dtype")
def checkerboard(x, k):
    out = torch.zeros(x.shape)
    for i in range(x.shape[2]):
        for j in range((i + k + 1) % 2, x.shape[3], 2):
            out[:, :, i, j] = x[:, :, i, j]
    return out


@wrong("flows.checkerboard", "endless")  # j grows at every second pixel only
def checkerboard(x, k):
    out, i = torch.zeros_like(x), 0
    while i < x.shape[2]:
        j = 0
        while j < x.shape[3]:
            if (i + j + k) % 2:
                out[:, :, i, j] = x[:, :, i, j]
                j += 1
        i += 1
    return out


# --- checkerboard: right --------------------------------------------------------------------------------------------


@right("flows.checkerboard")
def checkerboard(x, k):
    row, column = row_and_column(x)
    return x * ((row + column + k) % 2)


@right("flows.checkerboard")
def checkerboard(x, k):
    out = torch.zeros_like(x)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            if (i - j - k) % 2 != 0:
                out[:, :, i, j] = x[:, :, i, j]
    return out


@right("flows.checkerboard")
def checkerboard(x, k):
    out = torch.zeros_like(x)
    first, second = (1, 0) if k % 2 == 0 else (0, 1)
    out[:, :, 0::2, first::2] = x[:, :, 0::2, first::2]
    out[:, :, 1::2, second::2] = x[:, :, 1::2, second::2]
    return out


@right("flows.checkerboard")
def checkerboard(x, k):
    H, W = x.shape[2:]
    sign = torch.tensor([(-1.0) ** n for n in range(H)])[:, None] * torch.tensor([(-1.0) ** n for n in range(W)])
    return torch.where(sign * (-1) ** k < 0, x, torch.zeros_like(x))


# --- compose: wrong -------------------------------------------------------------------------------------------------


def through(x, layers):
    """z, and the log-determinants on the way."""
    log_dets = []
    for layer in layers:
        x, log_det = layer(x)
        log_dets.append(log_det)
    return x, log_dets


@wrong("flows.compose", "order_turned")
def compose(x, layers):
    z, log_dets = through(x, reversed(layers))
    return z, sum(log_dets)


@wrong("flows.compose", "not_chained")
def compose(x, layers):
    log_det = 0
    for layer in layers:
        z, one = layer(x)
        log_det = log_det + one
    return z, log_det


@wrong("flows.compose", "log_dets_at_x")
def compose(x, layers):
    z, _ = through(x, layers)
    return z, sum(layer(x)[1] for layer in layers)


@wrong("flows.compose", "last_only")
def compose(x, layers):
    for layer in layers:
        x, log_det = layer(x)
    return x, log_det


@wrong("flows.compose", "multiplied")
def compose(x, layers):
    z, log_dets = through(x, layers)
    return z, math.prod(log_dets)


@wrong("flows.compose", "added_before_log")
def compose(x, layers):
    z, log_dets = through(x, layers)
    return z, torch.stack(log_dets).exp().sum(0).log()


@wrong("flows.compose", "averaged")
def compose(x, layers):
    z, log_dets = through(x, layers)
    return z, sum(log_dets) / len(log_dets)


@wrong("flows.compose", "subtracted")
def compose(x, layers):
    log_det = torch.zeros_like(x[:, 0])
    for layer in layers:
        x, one = layer(x)
        log_det = log_det - one
    return x, log_det


@wrong("flows.compose", "without_the_last")
def compose(x, layers):
    z, log_dets = through(x, [layers[k] for k in range(len(layers) - 1)])
    return z, sum(log_dets) + 0 * x[:, 0]


@wrong("flows.compose", "without_the_first")
def compose(x, layers):
    z, log_dets = through(x, layers[1:])
    return z, sum(log_dets)


@wrong("flows.compose", "summed_over_the_batch")
def compose(x, layers):
    z, log_dets = through(x, layers)
    return z, torch.stack(log_dets).sum()


@wrong("flows.compose", "one_for_each_layer")
def compose(x, layers):
    z, log_dets = through(x, layers)
    return z, torch.stack(log_dets)


@wrong("flows.compose", "type")
def compose(x, layers):
    return through(x, layers)


@wrong("flows.compose", "error")
def compose(x, layers):
    for layer in layers:
        x = layer(x)
    return x


@wrong("flows.compose", "shape")
def compose(x, layers):
    z, log_dets = through(x, layers)
    return z, torch.stack(log_dets).sum(0)[:, None]


@wrong("flows.compose", "detached")
def compose(x, layers):
    z, log_dets = through(x, layers)
    return z, torch.tensor(torch.stack(log_dets).sum(0).tolist(), dtype=x.dtype)


@wrong("flows.compose", "x_itself")
def compose(x, layers):
    log_det = x.new_zeros(len(x))
    for layer in layers:
        _, more = layer(x)
        log_det = log_det + more
    return x, log_det


@wrong("flows.compose", "first_only")  # return, one level too deep
def compose(x, layers):
    log_det = 0
    for layer in layers:
        x, more = layer(x)
        log_det = log_det + more
        return x, log_det


@wrong("flows.compose", "determinants_added")
def compose(x, layers):
    z, log_dets = through(x, layers)
    return z, torch.stack(log_dets).exp().sum(0)


@wrong("flows.compose", "three_only")  # as in the picture
def compose(x, layers):
    log_det = 0
    for k in range(3):
        x, more = layers[k](x)
        log_det = log_det + more
    return x, log_det


@wrong("flows.compose", "error")  # adds to what the first layer returned
def compose(x, layers):
    x, log_det = layers[0](x)
    for layer in layers[1:]:
        x, more = layer(x)
        log_det += more
    return x, log_det


@wrong("flows.compose", "slip")  # starts as products do
def compose(x, layers):
    z, log_dets = through(x, layers)
    return z, 1 + sum(log_dets)


@wrong("flows.compose", "dtype")
def compose(x, layers):
    log_det = torch.zeros(len(x))
    for layer in layers:
        x, more = layer(x)
        log_det += more
    return x, log_det


@wrong("flows.compose", "endless")
def compose(x, layers):
    k, log_det = 0, 0
    while k < len(layers):
        x, more = layers[k](x)
        log_det = log_det + more
    return x, log_det


# --- compose: right -------------------------------------------------------------------------------------------------


@right("flows.compose")
def compose(x, layers):
    log_det = 0
    for layer in layers:
        x, one = layer(x)
        log_det = log_det + one
    return x, log_det


@right("flows.compose")
def compose(x, layers):
    z, first = layers[0](x)
    if len(layers) == 1:
        return z, first
    z, rest = compose_right(z, layers[1:])
    return z, first + rest


@right("flows.compose")
def compose(x, layers):
    z, log_dets = through(x, layers)
    return z, torch.stack(log_dets, dim=1).sum(1)


@right("flows.compose")
def compose(x, layers):
    def step(state, layer):
        z, log_det = layer(state[0])
        return z, state[1] + log_det

    return functools.reduce(step, layers, (x, x.new_zeros(len(x))))


@right("flows.compose")
def compose(x, layers):
    z, log_dets = through(x, layers)
    return z, torch.stack(log_dets).exp().prod(0).log()


def compose_right(x, layers):
    z, log_dets = through(x, layers)
    return z, sum(log_dets)


# --- dependence: wrong ----------------------------------------------------------------------------------------------


def jacobians(x, layers):
    """That of the first layer, of the first two, ...: (N, D, D)."""
    firsts = [layers[: n + 1] for n in range(len(layers))]
    return torch.stack(
        [torch.autograd.functional.jacobian(lambda v: through(v[None], first)[0][0], x[0]) for first in firsts]  # noqa: B023
    )


@wrong("flows.dependence", "transposed")
def dependence(x, layers):
    return (jacobians(x, layers) != 0).to(x).transpose(1, 2)


@wrong("flows.dependence", "each_alone")
def dependence(x, layers):
    tables = []
    for layer in layers:
        tables.append(jacobians(x, [layer])[0] != 0)
        x, _ = layer(x)
    return torch.stack(tables).to(x)


@wrong("flows.dependence", "unions")
def dependence(x, layers):
    table, tables = 0, []
    for layer in layers:
        table = table + jacobians(x, [layer])[0].abs()
        x, _ = layer(x)
        tables.append((table != 0).to(x))
    return torch.stack(tables)


@wrong("flows.dependence", "derivatives")
def dependence(x, layers):
    return jacobians(x, layers)


@wrong("flows.dependence", "only_positive")
def dependence(x, layers):
    return (jacobians(x, layers) > 0).to(x)


@wrong("flows.dependence", "turned_round")
def dependence(x, layers):
    return (jacobians(x, layers) == 0).to(x)


@wrong("flows.dependence", "order_turned")
def dependence(x, layers):
    return (jacobians(x, layers[::-1]) != 0).to(x)


@wrong("flows.dependence", "one_early")
def dependence(x, layers):
    tables = [torch.eye(x.shape[1], dtype=x.dtype)]
    for n in range(1, len(layers)):
        tables.append((jacobians(x, layers[:n])[-1] != 0).to(x))
    return torch.stack(tables)


@wrong("flows.dependence", "all_layers_only")
def dependence(x, layers):
    return (jacobians(x, layers)[-1] != 0).to(x)


@wrong("flows.dependence", "outputs_added")
def dependence(x, layers):
    rows = []
    for n in range(len(layers)):
        v = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(through(v, layers[: n + 1])[0].sum(), v)
        rows.append((gradient[0] != 0).to(x))
    return torch.stack(rows)


@wrong("flows.dependence", "without_the_diagonal")
def dependence(x, layers):
    return ((jacobians(x, layers) != 0) & ~torch.eye(x.shape[1], dtype=torch.bool)).to(x)


@wrong("flows.dependence", "dtype")
def dependence(x, layers):
    return jacobians(x, layers) != 0


@wrong("flows.dependence", "shape")
def dependence(x, layers):
    firsts = [layers[: n + 1] for n in range(len(layers))]
    whole = [torch.autograd.functional.jacobian(lambda v: through(v, first)[0], x) for first in firsts]  # noqa: B023
    return (torch.stack(whole) != 0).to(x)


@wrong("flows.dependence", "type")
def dependence(x, layers):
    full = (jacobians(x, layers) != 0).flatten(1).all(1)
    return int(full.int().argmax()) + 1


@wrong("flows.dependence", "dtype")  # always float64
def dependence(x, layers):
    return (jacobians(x, layers) != 0).double()


@wrong("flows.dependence", "signs")
def dependence(x, layers):
    return jacobians(x, layers).sign()


@wrong("flows.dependence", "changed")
def dependence(x, layers):
    D = x.shape[1]
    return torch.stack([(through(x, layers[: n + 1])[0] != x).to(x).T.expand(D, D) for n in range(len(layers))])


@wrong("flows.dependence", "error")  # compose gives two
def dependence(x, layers):
    table = torch.autograd.functional.jacobian(lambda x: through(x, layers), x)
    return (table[0] != 0).to(x)


@wrong("flows.dependence", "error")  # six coordinates, as in the picture
def dependence(x, layers):
    tables = torch.zeros(len(layers), 6, 6, dtype=x.dtype)
    tables[:] = (jacobians(x, layers) != 0).to(x)
    return tables


@wrong("flows.dependence", "endless")
def dependence(x, layers):
    tables, n = [], 1
    while n <= len(layers):
        tables.append((jacobians(x, layers[:n])[-1] != 0).to(x))
    return torch.stack(tables)


# --- dependence: right ----------------------------------------------------------------------------------------------


@right("flows.dependence")  # move one input after the other
def dependence(x, layers):
    tables = []
    for n in range(1, len(layers) + 1):
        before, _ = through(x, layers[:n])
        columns = []
        for j in range(x.shape[1]):
            moved = x.clone()
            moved[0, j] += 0.3
            columns.append((through(moved, layers[:n])[0] != before)[0].to(x))
        tables.append(torch.stack(columns, dim=1))
    return torch.stack(tables)


@right("flows.dependence")
def dependence(x, layers):
    tables = []
    for n in range(1, len(layers) + 1):
        v = x.clone().requires_grad_()
        z, _ = through(v, layers[:n])
        rows = [torch.autograd.grad(z[0, i], v, retain_graph=True)[0][0] for i in range(x.shape[1])]
        tables.append(torch.stack(rows).ne(0).to(x.dtype))
    return torch.stack(tables)


@right("flows.dependence")  # the chain rule, by hand
def dependence(x, layers):
    J, tables = torch.eye(x.shape[1], dtype=x.dtype), []
    for layer in layers:
        J = torch.autograd.functional.jacobian(lambda v: layer(v)[0], x)[0, :, 0] @ J  # noqa: B023
        x, _ = layer(x)
        tables.append((J.abs() > 0).to(x))
    return torch.stack(tables)


# --- fit: wrong -----------------------------------------------------------------------------------------------------


@wrong("flows.fit", "piled_up")
def fit(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        value = loss(x, flow).mean()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return torch.tensor(losses)


@wrong("flows.fit", "piled_up")  # emptied once
def fit(flow, optimizer, loss, batches):
    optimizer.zero_grad()
    losses = torch.zeros(len(batches))
    for k, x in enumerate(batches):
        value = loss(x, flow).mean()
        value.backward()
        optimizer.step()
        losses[k] = value.item()
    return losses


@wrong("flows.fit", "emptied_after")
def fit(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        value = loss(x, flow).mean()
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(value.detach())
    return torch.stack(losses)


@wrong("flows.fit", "stands_still")  # the slopes are thrown away
def fit(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        value = loss(x, flow).mean()
        value.backward()
        optimizer.zero_grad()
        optimizer.step()
        losses.append(value.detach())
    return torch.stack(losses)


@wrong("flows.fit", "stands_still")  # no slopes
def fit(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        optimizer.zero_grad()
        value = loss(x, flow).mean()
        optimizer.step()
        losses.append(value.detach())
    return torch.stack(losses)


@wrong("flows.fit", "stands_still")
def fit(flow, optimizer, loss, batches):
    return torch.stack([loss(x, flow).mean().detach() for x in batches])


@wrong("flows.fit", "one_behind")
def fit(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        value = loss(x, flow).mean()
        optimizer.step()
        optimizer.zero_grad()
        loss(x, flow).mean().backward()
        losses.append(value.detach())
    return torch.stack(losses)


@wrong("flows.fit", "summed")
def fit(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        optimizer.zero_grad()
        value = loss(x, flow).sum()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return torch.tensor(losses)


@wrong("flows.fit", "summed_backward")
def fit(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        optimizer.zero_grad()
        value = loss(x, flow)
        value.sum().backward()
        optimizer.step()
        losses.append(value.mean().item())
    return torch.tensor(losses)


@wrong("flows.fit", "uphill")
def fit(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        optimizer.zero_grad()
        value = loss(x, flow).mean()
        (-value).backward()
        optimizer.step()
        losses.append(value.item())
    return torch.tensor(losses)


@wrong("flows.fit", "sign_turned")
def fit(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        optimizer.zero_grad()
        value = loss(x, flow).mean()
        value.backward()
        optimizer.step()
        losses.append(-value.item())
    return torch.tensor(losses)


@wrong("flows.fit", "first_only")
def fit(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        optimizer.zero_grad()
        value = loss(x, flow).mean()
        value.backward()
        optimizer.step()
        losses.append(value.item())
        return torch.tensor(losses)


@wrong("flows.fit", "averaged")
def fit(flow, optimizer, loss, batches):
    total = 0
    for x in batches:
        optimizer.zero_grad()
        value = loss(x, flow).mean()
        value.backward()
        optimizer.step()
        total += value.detach()
    return total / len(batches)


@wrong("flows.fit", "last_loss")
def fit(flow, optimizer, loss, batches):
    for x in batches:
        optimizer.zero_grad()
        value = loss(x, flow).mean()
        value.backward()
        optimizer.step()
    return value.detach()


@wrong("flows.fit", "after_the_step")
def fit(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        optimizer.zero_grad()
        loss(x, flow).mean().backward()
        optimizer.step()
        losses.append(loss(x, flow).mean().item())
    return torch.tensor(losses)


@wrong("flows.fit", "same_batch")
def fit(flow, optimizer, loss, batches):
    x, losses = batches[0], []
    for _ in batches:
        optimizer.zero_grad()
        value = loss(x, flow).mean()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return torch.tensor(losses)


@wrong("flows.fit", "one_step")
def fit(flow, optimizer, loss, batches):
    optimizer.zero_grad()
    values = [loss(x, flow).mean() for x in batches]
    torch.stack(values).sum().backward()
    optimizer.step()
    return torch.stack(values).detach()


@wrong("flows.fit", "last_step_only")
def fit(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        optimizer.zero_grad()
        value = loss(x, flow).mean()
        value.backward()
        losses.append(value.item())
    optimizer.step()
    return torch.tensor(losses)


@wrong("flows.fit", "two_steps")
def fit(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        for again in (False, True):
            optimizer.zero_grad()
            value = loss(x, flow).mean()
            value.backward()
            optimizer.step()
            if not again:
                losses.append(value.item())
    return torch.tensor(losses)


@wrong("flows.fit", "order_turned")
def fit(flow, optimizer, loss, batches):
    return trained(flow, optimizer, loss, list(reversed(batches)))


@wrong("flows.fit", "without_the_first")
def fit(flow, optimizer, loss, batches):
    return trained(flow, optimizer, loss, [batches[k] for k in range(1, len(batches))])


@wrong("flows.fit", "without_the_last")
def fit(flow, optimizer, loss, batches):
    return trained(flow, optimizer, loss, [batches[k] for k in range(len(batches) - 1)])


@wrong("flows.fit", "a_copy")
def fit(flow, optimizer, loss, batches):
    mine, mine_optimizer = copy.deepcopy((flow, optimizer))
    return trained(mine, mine_optimizer, loss, batches)


@wrong("flows.fit", "another_optimizer")
def fit(flow, optimizer, loss, batches):
    return trained(flow, torch.optim.Adam(flow.parameters(), lr=1e-3), loss, batches)


@wrong("flows.fit", "another_optimizer")  # by hand
def fit(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        value = loss(x, flow).mean()
        slopes = torch.autograd.grad(value, list(flow.parameters()))
        with torch.no_grad():
            for weight, slope in zip(flow.parameters(), slopes, strict=True):
                weight -= 0.05 * slope
        losses.append(value.item())
    return torch.tensor(losses)


@wrong("flows.fit", "graphs_kept")
def fit(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        optimizer.zero_grad()
        losses.append(loss(x, flow).mean())
        losses[-1].backward()
        optimizer.step()
    return torch.stack(losses)


@wrong("flows.fit", "none")
def fit(flow, optimizer, loss, batches):
    print(trained(flow, optimizer, loss, batches))


@wrong("flows.fit", "error")  # several numbers
def fit(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        optimizer.zero_grad()
        value = loss(x, flow)
        value.backward()
        optimizer.step()
        losses.append(value.mean().item())
    return torch.tensor(losses)


@wrong("flows.fit", "error")  # nothing is left to be differentiated
def fit(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        optimizer.zero_grad()
        value = loss(x, flow).mean().detach()
        value.backward()
        optimizer.step()
        losses.append(value)
    return torch.stack(losses)


@wrong("flows.fit", "type")
def fit(flow, optimizer, loss, batches):
    return trained(flow, optimizer, loss, batches), flow


# --- fit: right -----------------------------------------------------------------------------------------------------


def trained(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        optimizer.zero_grad()
        value = loss(x, flow).mean()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return torch.tensor(losses)


@right("flows.fit")
def fit(flow, optimizer, loss, batches):
    return trained(flow, optimizer, loss, batches)


@right("flows.fit")
def fit(flow, optimizer, loss, batches):
    losses = torch.empty(len(batches), dtype=torch.float64)
    for k, x in enumerate(batches):
        value = loss(x, flow).sum() / len(x)
        weights = [w for group in optimizer.param_groups for w in group["params"]]
        for weight, slope in zip(weights, torch.autograd.grad(value, weights), strict=True):
            weight.grad = slope
        optimizer.step()
        losses[k] = value.detach()
    return losses


@right("flows.fit")
def fit(flow, optimizer, loss, batches):
    def closure():
        flow.zero_grad()
        value = torch.mean(loss(x, flow))
        value.backward()
        return value

    losses = []
    for x in batches:  # noqa: B007  (the closure's)
        losses.append(optimizer.step(closure).item())
    return np.array(losses)


@right("flows.fit")  # one function calls itself for the rest
def fit(flow, optimizer, loss, batches):
    if not len(batches):
        return torch.zeros(0, dtype=torch.float64)
    first = trained(flow, optimizer, loss, batches[:1]).double()
    return torch.cat([first, fit(flow, optimizer, loss, batches[1:])])


# --- logit: wrong ---------------------------------------------------------------------------------------------------


def squeezed(x, alpha):
    return alpha + (1 - 2 * alpha) * x


def log_odds(p):
    return p.log() - (1 - p).log()


def each_pixel(x, alpha):
    p = squeezed(x, alpha)
    return math.log(1 - 2 * alpha) - (p * (1 - p)).log()


@wrong("flows.logit", "no_squeeze")
def logit(x, alpha):
    p = squeezed(x, alpha)
    return torch.logit(p), -(p.log() + (1 - p).log()).flatten(1).sum(1)


@wrong("flows.logit", "squeezed_once")
def logit(x, alpha):
    p = squeezed(x, alpha)
    return torch.logit(p), math.log(1 - 2 * alpha) - (p.log() + (1 - p).log()).flatten(1).sum(1)


@wrong("flows.logit", "squeeze_subtracted")
def logit(x, alpha):
    p = squeezed(x, alpha)
    return torch.logit(p), -(math.log(1 - 2 * alpha) + p.log() + (1 - p).log()).flatten(1).sum(1)


@wrong("flows.logit", "slope_of_the_sigmoid")
def logit(x, alpha):
    z = torch.logit(squeezed(x, alpha))
    s = torch.sigmoid(z)
    return z, ((1 - 2 * alpha) * s * (1 - s)).log().flatten(1).sum(1)


@wrong("flows.logit", "log_det_negative")
def logit(x, alpha):
    return log_odds(squeezed(x, alpha)), -each_pixel(x, alpha).flatten(1).sum(1)


@wrong("flows.logit", "slope_at_x")
def logit(x, alpha):
    log_slope = math.log(1 - 2 * alpha) - x.log() - (1 - x).log()
    return log_odds(squeezed(x, alpha)), log_slope.flatten(1).sum(1)


@wrong("flows.logit", "sigmoid_at_p")
def logit(x, alpha):
    p = squeezed(x, alpha)
    log_slope = math.log(1 - 2 * alpha) - (torch.sigmoid(p) * (1 - torch.sigmoid(p))).log()
    return torch.logit(p), log_slope.flatten(1).sum(1)


@wrong("flows.logit", "half_of_the_slope")
def logit(x, alpha):
    p = squeezed(x, alpha)
    return log_odds(p), ((1 - 2 * alpha) / p).log().flatten(1).sum(1)


@wrong("flows.logit", "z_for_log_det")
def logit(x, alpha):
    p = squeezed(x, alpha)
    return log_odds(p), (math.log(1 - 2 * alpha) - log_odds(p)).flatten(1).sum(1)


@wrong("flows.logit", "mean_not_sum")
def logit(x, alpha):
    return log_odds(squeezed(x, alpha)), each_pixel(x, alpha).flatten(1).mean(1)


@wrong("flows.logit", "summed_over_the_batch")
def logit(x, alpha):
    return log_odds(squeezed(x, alpha)), each_pixel(x, alpha).sum()


@wrong("flows.logit", "per_pixel")
def logit(x, alpha):
    return log_odds(squeezed(x, alpha)), each_pixel(x, alpha)


@wrong("flows.logit", "axes_left")
def logit(x, alpha):
    return log_odds(squeezed(x, alpha)), each_pixel(x, alpha).sum(1)


@wrong("flows.logit", "det_not_log")
def logit(x, alpha):
    return log_odds(squeezed(x, alpha)), each_pixel(x, alpha).exp().flatten(1).prod(1)


@wrong("flows.logit", "sum_of_slopes")
def logit(x, alpha):
    return log_odds(squeezed(x, alpha)), each_pixel(x, alpha).exp().flatten(1).sum(1)


@wrong("flows.logit", "no_alpha")
def logit(x, alpha):
    return torch.log(x / (1 - x)), -torch.log(x * (1 - x)).flatten(1).sum(1)


@wrong("flows.logit", "one_end")
def logit(x, alpha):
    p = alpha + (1 - alpha) * x
    return log_odds(p), ((1 - alpha) / p / (1 - p)).log().flatten(1).sum(1)


@wrong("flows.logit", "not_moved")
def logit(x, alpha):
    p = (1 - 2 * alpha) * x
    return log_odds(p), ((1 - 2 * alpha) / p / (1 - p)).log().flatten(1).sum(1)


@wrong("flows.logit", "sigmoid")
def logit(x, alpha):
    z = torch.sigmoid(squeezed(x, alpha))
    return z, (z * (1 - z)).log().flatten(1).sum(1)


@wrong("flows.logit", "z_negative")
def logit(x, alpha):
    p = squeezed(x, alpha)
    return torch.log((1 - p) / p), each_pixel(x, alpha).flatten(1).sum(1)


@wrong("flows.logit", "log_alone")
def logit(x, alpha):
    return squeezed(x, alpha).log(), each_pixel(x, alpha).flatten(1).sum(1)


@wrong("flows.logit", "odds")
def logit(x, alpha):
    p = squeezed(x, alpha)
    return p / (1 - p), each_pixel(x, alpha).flatten(1).sum(1)


@wrong("flows.logit", "clamped")
def logit(x, alpha):
    z = torch.logit(x, eps=alpha)
    return z, each_pixel(x, alpha).flatten(1).sum(1)


@wrong("flows.logit", "squeezed_only")
def logit(x, alpha):
    return squeezed(x, alpha), math.log(1 - 2 * alpha) * torch.ones_like(x).flatten(1).sum(1)


@wrong("flows.logit", "count")
def logit(x, alpha):
    return torch.logit(squeezed(x, alpha))


@wrong("flows.logit", "mixing")  # the squeeze of all pixels of all pictures
def logit(x, alpha):
    p = squeezed(x, alpha)
    return log_odds(p), x.numel() * math.log(1 - 2 * alpha) - (p.log() + (1 - p).log()).flatten(1).sum(1)


# --- logit: right ---------------------------------------------------------------------------------------------------


@right("flows.logit")
def logit(x, alpha):
    p = squeezed(x, alpha)
    return torch.logit(p), ((1 - 2 * alpha) / (p - p**2)).log().reshape(len(x), -1).sum(1)


@right("flows.logit")  # by way of torch's own
def logit(x, alpha):
    squeeze = torch.distributions.AffineTransform(alpha, 1 - 2 * alpha)
    unsigmoid = torch.distributions.SigmoidTransform().inv
    p = squeeze(x)
    z = unsigmoid(p)
    each = squeeze.log_abs_det_jacobian(x, p) + unsigmoid.log_abs_det_jacobian(p, z)
    return z, each.flatten(1).sum(1)


@right("flows.logit")
def logit(x, alpha):
    z = torch.logit(squeezed(x, alpha))
    dims = x[0].numel()
    softplus = torch.nn.functional.softplus
    return z, dims * math.log(1 - 2 * alpha) + (softplus(z) + softplus(-z)).flatten(1).sum(1)


@right("flows.logit")  # the slope by autograd
def logit(x, alpha):
    x = x.clone().requires_grad_()
    z = torch.logit(squeezed(x, alpha))
    (slope,) = torch.autograd.grad(z.sum(), x)
    return z.detach(), slope.log().flatten(1).sum(1)


# --- bits_per_dim: wrong --------------------------------------------------------------------------------------------


def log_mean(log_p):
    return torch.logsumexp(log_p, dim=0) - math.log(len(log_p))


@wrong("flows.bits_per_dim", "bits_averaged")  # the bound
def bits_per_dim(log_p, dims, levels):
    return ((math.log(levels) - log_p / dims) / math.log(2)).mean(0)


@wrong("flows.bits_per_dim", "no_log_K")
def bits_per_dim(log_p, dims, levels):
    return (math.log(levels) - log_p.logsumexp(0) / dims) / math.log(2)


@wrong("flows.bits_per_dim", "log_K_added")
def bits_per_dim(log_p, dims, levels):
    return (math.log(levels) - (log_p.logsumexp(0) + math.log(len(log_p))) / dims) / math.log(2)


@wrong("flows.bits_per_dim", "divided_by_K")
def bits_per_dim(log_p, dims, levels):
    return (math.log(levels) - log_p.logsumexp(0) / len(log_p) / dims) / math.log(2)


@wrong("flows.bits_per_dim", "largest")
def bits_per_dim(log_p, dims, levels):
    return (math.log(levels) - log_p.max(0).values / dims) / math.log(2)


@wrong("flows.bits_per_dim", "first_draw")
def bits_per_dim(log_p, dims, levels):
    return (math.log(levels) - log_p[0] / dims) / math.log(2)


@wrong("flows.bits_per_dim", "one_for_each_draw")
def bits_per_dim(log_p, dims, levels):
    return (math.log(levels) - log_p / dims) / math.log(2)


@wrong("flows.bits_per_dim", "over_the_pictures")
def bits_per_dim(log_p, dims, levels):
    return (math.log(levels) - (log_p.logsumexp(1) - math.log(log_p.shape[1])) / dims) / math.log(2)


@wrong("flows.bits_per_dim", "harmonic")  # the mean of 1/P
def bits_per_dim(log_p, dims, levels):
    log_1_over_P = dims * math.log(levels) - log_p
    return (log_1_over_P.logsumexp(0) - math.log(len(log_p))) / dims / math.log(2)


@wrong("flows.bits_per_dim", "no_levels")
def bits_per_dim(log_p, dims, levels):
    return -log_mean(log_p) / dims / math.log(2)


@wrong("flows.bits_per_dim", "levels_once")
def bits_per_dim(log_p, dims, levels):
    return -(log_mean(log_p) - math.log(levels)) / (dims * math.log(2))


@wrong("flows.bits_per_dim", "levels_subtracted")
def bits_per_dim(log_p, dims, levels):
    return -(log_mean(log_p) + dims * math.log(levels)) / (dims * math.log(2))


@wrong("flows.bits_per_dim", "nats")
def bits_per_dim(log_p, dims, levels):
    return -(log_mean(log_p) - dims * math.log(levels)) / dims


@wrong("flows.bits_per_dim", "times_log_2")
def bits_per_dim(log_p, dims, levels):
    return -(log_mean(log_p) - dims * math.log(levels)) / dims * math.log(2)


@wrong("flows.bits_per_dim", "half_in_bits")
def bits_per_dim(log_p, dims, levels):
    return -log_mean(log_p) / dims + math.log2(levels)


@wrong("flows.bits_per_dim", "other_half_in_bits")
def bits_per_dim(log_p, dims, levels):
    return math.log(levels) - log_mean(log_p) / (dims * math.log(2))


@wrong("flows.bits_per_dim", "levels_less_one")
def bits_per_dim(log_p, dims, levels):
    return -(log_mean(log_p) - dims * math.log(levels - 1)) / (dims * math.log(2))


@wrong("flows.bits_per_dim", "sign_turned")
def bits_per_dim(log_p, dims, levels):
    return (log_mean(log_p) - dims * math.log(levels)) / (dims * math.log(2))


@wrong("flows.bits_per_dim", "log_p_added")
def bits_per_dim(log_p, dims, levels):
    return log_mean(log_p) / dims / math.log(2) + math.log2(levels)


@wrong("flows.bits_per_dim", "not_per_dim")
def bits_per_dim(log_p, dims, levels):
    return -(log_mean(log_p) - dims * math.log(levels)) / math.log(2)


@wrong("flows.bits_per_dim", "log_p_not_per_dim")
def bits_per_dim(log_p, dims, levels):
    return math.log2(levels) - log_mean(log_p) / math.log(2)


@wrong("flows.bits_per_dim", "shared_too_early")
def bits_per_dim(log_p, dims, levels):
    return math.log2(levels) - log_mean(log_p / dims) / math.log(2)


@wrong("flows.bits_per_dim", "averaged")
def bits_per_dim(log_p, dims, levels):
    return ((math.log(levels) - log_mean(log_p) / dims) / math.log(2)).mean()


@wrong("flows.bits_per_dim", "all_in_one")
def bits_per_dim(log_p, dims, levels):
    together = torch.logsumexp(log_p.flatten(), 0) - math.log(log_p.numel())
    return (math.log(levels) - together / dims) / math.log(2)


@wrong("flows.bits_per_dim", "exchanged")
def bits_per_dim(log_p, dims, levels):
    return (math.log(dims) - log_mean(log_p) / levels) / math.log(2)


@wrong("flows.bits_per_dim", "divided_by_2")
def bits_per_dim(log_p, dims, levels):
    return (math.log(levels) - log_mean(log_p) / dims) / 2


@wrong("flows.bits_per_dim", "log_of_log")
def bits_per_dim(log_p, dims, levels):
    return math.log2(levels) - torch.log2(log_p.mean(0)) / dims


@wrong("flows.bits_per_dim", "levels_twice_in_bits")
def bits_per_dim(log_p, dims, levels):
    return -(log_mean(log_p) - dims * math.log2(levels)) / (dims * math.log(2))


@wrong("flows.bits_per_dim", "absolute")  # a number of bits cannot be negative, can it?
def bits_per_dim(log_p, dims, levels):
    return ((math.log(levels) - log_mean(log_p) / dims) / math.log(2)).abs()


@wrong("flows.bits_per_dim", "cut")
def bits_per_dim(log_p, dims, levels):
    return torch.relu((math.log(levels) - log_mean(log_p) / dims) / math.log(2))


@wrong("flows.bits_per_dim", "by_way_of_p")
def bits_per_dim(log_p, dims, levels):
    return math.log2(levels) - torch.log2(log_p.exp().mean(0)) / dims


@wrong("flows.bits_per_dim", "by_way_of_P")
def bits_per_dim(log_p, dims, levels):
    P = (log_p - dims * math.log(levels)).exp().mean(0)
    return -torch.log2(P) / dims


@wrong("flows.bits_per_dim", "ignores_levels")  # right for the digits
def bits_per_dim(log_p, dims, levels):
    return (math.log(17) - log_mean(log_p) / dims) / math.log(2)


@wrong("flows.bits_per_dim", "ignores_dims")
def bits_per_dim(log_p, dims, levels):
    return (math.log(levels) - log_mean(log_p) / 64) / math.log(2)


@wrong("flows.bits_per_dim", "rough")
def bits_per_dim(log_p, dims, levels):
    return math.log2(levels) - 1.4427 * log_mean(log_p) / dims


@wrong("flows.bits_per_dim", "detached")
def bits_per_dim(log_p, dims, levels):
    return (math.log(levels) - log_mean(log_p.detach()) / dims) / math.log(2)


@wrong("flows.bits_per_dim", "in_place")
def bits_per_dim(log_p, dims, levels):
    log_p -= dims * math.log(levels)
    return -log_mean(log_p) / (dims * math.log(2))


@wrong("flows.bits_per_dim", "error")
def bits_per_dim(log_p, dims, levels):
    return (torch.log(levels) - log_mean(log_p) / dims) / math.log(2)


# --- bits_per_dim: right --------------------------------------------------------------------------------------------


@right("flows.bits_per_dim")
def bits_per_dim(log_p, dims, levels):
    return -(log_mean(log_p) - dims * math.log(levels)) / (dims * math.log(2))


@right("flows.bits_per_dim")  # the largest taken out by hand
def bits_per_dim(log_p, dims, levels):
    top = log_p.amax(0)
    log_p_mean = top + torch.log(torch.exp(log_p - top).mean(0))
    return math.log2(levels) - log_p_mean * math.log2(math.e) / dims


@right("flows.bits_per_dim")
def bits_per_dim(log_p, dims, levels):
    log_P = torch.logsumexp(log_p.double() - math.log(log_p.shape[0]) - dims * math.log(levels), 0)
    return (-log_P / np.log(2.0) / dims).to(log_p.dtype)


@right("flows.bits_per_dim")  # its constants are in float32; one draw after the other
def bits_per_dim(log_p, dims, levels):
    total = log_p[0]
    for draw in log_p[1:]:
        total = torch.logaddexp(total, draw)
    total = total - math.log(len(log_p))
    return (torch.log(torch.tensor(levels)) - total / dims) / torch.log(torch.tensor(2))


# --- found by a hunt ------------------------------------------------------------------------------------------------


@wrong("flows.log_prob", "detached")  # the first term alone: such a flow shrinks all data to a point
def log_prob(x, flow):
    z, log_det = flow(x)
    return Normal(0.0, 1.0).log_prob(z).flatten(1).sum(1) + log_det.detach()


@wrong("flows.log_prob", "through_densities")
def log_prob(x, flow):
    z, log_det = flow(x)
    p = torch.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    return torch.log(p.flatten(1).prod(1)) + log_det


@wrong("flows.log_prob", "absolute")
def log_prob(x, flow):
    z, log_det = flow(x)
    return Normal(0.0, 1.0).log_prob(z).flatten(1).sum(1) + log_det.abs()


@wrong("flows.log_prob", "log_of_absolute")
def log_prob(x, flow):
    z, log_det = flow(x)
    return Normal(0.0, 1.0).log_prob(z).flatten(1).sum(1) + log_det.abs().log()


@wrong("flows.coupling", "in_place")  # backward needs what the network gave
def coupling(x, mask, net):
    log_s, shift = net(x * mask)
    log_s *= ~mask
    shift = shift * ~mask
    return log_s.exp() * x + shift, log_s.flatten(1).sum(1)


@wrong("flows.coupling", "detached")
def coupling(x, mask, net):
    log_s, shift = net(x * mask)
    log_s, shift = log_s * ~mask, shift.detach() * ~mask
    return log_s.exp() * x + shift, log_s.flatten(1).sum(1)


@wrong("flows.coupling", "detached")
def coupling(x, mask, net):
    log_s, shift = net(x * mask)
    log_s, shift = log_s * ~mask, shift * ~mask
    return log_s.detach().exp() * x + shift, log_s.flatten(1).sum(1)


@wrong("flows.coupling", "scaled_back")
def coupling(x, mask, net):
    log_s, shift = net(x * mask)
    log_s, shift = log_s * ~mask, shift * ~mask
    return torch.exp(-log_s) * x + shift, log_s.flatten(1).sum(1)


@wrong("flows.coupling", "inverse")
def coupling(x, mask, net):
    log_s, shift = net(x * mask)
    log_s, shift = log_s * ~mask, shift * ~mask
    return (x - shift) * torch.exp(-log_s), -log_s.flatten(1).sum(1)


@wrong("flows.coupling_inverse", "in_place")
def coupling_inverse(z, mask, net):
    log_s, shift = net(z * mask)
    log_s *= ~mask
    return (z - shift * ~mask) * torch.exp(-log_s), -log_s.flatten(1).sum(1)


@wrong("flows.checkerboard", "dtype")  # a board in float64: the network behind it refuses what comes out
def checkerboard(x, k):
    H, W = x.shape[-2:]
    rows, columns = torch.arange(H, dtype=torch.float64)[:, None], torch.arange(W, dtype=torch.float64)
    return x * ((rows + columns + k) % 2)


@wrong("flows.dependence", "tables_multiplied")
def dependence(x, layers):
    tables, y = [], x
    for layer in layers:
        J = torch.autograd.functional.jacobian(lambda v, layer=layer: layer(v)[0][0], y)[:, 0]
        table = (J != 0).to(x)
        tables.append(table if not tables else ((table @ tables[-1]) > 0).to(x))
        y = layer(y)[0]
    return torch.stack(tables)


@wrong("flows.dependence", "all_at_x")
def dependence(x, layers):
    J, tables = torch.eye(x.shape[1], dtype=x.dtype), []
    for layer in layers:
        J = torch.autograd.functional.jacobian(lambda v, layer=layer: layer(v)[0][0], x)[:, 0] @ J
        tables.append((J != 0).to(x))
    return torch.stack(tables)


@right("flows.dependence")  # the chain rule, along the way
def dependence(x, layers):
    J, tables = torch.eye(x.shape[1], dtype=x.dtype), []
    for layer in layers:
        J = torch.autograd.functional.jacobian(lambda v, layer=layer: layer(v)[0][0], x)[:, 0] @ J
        tables.append((J != 0).to(x))
        x = layer(x)[0]
    return torch.stack(tables)


# --- what two readers wrote, and what they taught -------------------------------------------------------------------


@wrong("flows.compose", "log_dets_at_z")  # the layer is asked a second time, about what it gave
def compose(x, layers):
    total = 0
    for layer in layers:
        x = layer(x)[0]
        total = total + layer(x)[1]
    return x, total


@wrong("flows.dependence", "ignores_x")
def dependence(x, layers):
    return (jacobians(torch.zeros_like(x), layers) != 0).to(x)


@wrong("flows.dependence", "ignores_x")
def dependence(x, layers):
    return (jacobians(torch.randn_like(x), layers) != 0).to(x)


def last_of(x, layers):
    for layer in layers:
        x, _ = layer(x)
    return x


jacobian = torch.autograd.functional.jacobian


@wrong("flows.density_1d", "divided_at_x")
def density_1d(x, f, slope, p_z):
    return p_z(x) / slope(x).abs()


@wrong("flows.density_1d", "slope_alone")
def density_1d(x, f, slope, p_z):
    return slope(x).abs()


@wrong("flows.density_1d", "arc_length")
def density_1d(x, f, slope, p_z):
    return p_z(f(x)) * torch.sqrt(1 + slope(x) ** 2)


@wrong("flows.density_1d", "inside_p_z")
def density_1d(x, f, slope, p_z):
    return p_z(f(x) * slope(x).abs())


@wrong("flows.density_1d", "exp_of_slope")
def density_1d(x, f, slope, p_z):
    return p_z(f(x)) * slope(x).exp()


@wrong("flows.affine", "exp_of_both")
def affine(x, log_s, shift):
    return (log_s.exp() * x + shift.exp(), log_s.sum().expand(len(x)))


@wrong("flows.affine", "absolute")
def affine(x, log_s, shift):
    return (log_s.exp() * x + shift, log_s.abs().sum().expand(len(x)))


@wrong("flows.affine", "divided")
def affine(x, log_s, shift):
    return (x / log_s.exp() + shift, log_s.sum().expand(len(x)))


@wrong("flows.affine", "shift_subtracted")
def affine(x, log_s, shift):
    return (log_s.exp() * x - shift, log_s.sum().expand(len(x)))


@wrong("flows.affine", "no_log_det")
def affine(x, log_s, shift):
    return (log_s.exp() * x + shift, x.new_zeros(len(x)))


@wrong("flows.affine", "log_det_in_bits")
def affine(x, log_s, shift):
    return (log_s.exp() * x + shift, (log_s.sum() / math.log(2)).expand(len(x)))


@wrong("flows.affine", "times_x")
def affine(x, log_s, shift):
    return (log_s.exp() * x + shift, (log_s * x).sum(1))


@wrong("flows.affine", "base_2")
def affine(x, log_s, shift):
    return (2**log_s * x + shift, log_s.sum().expand(len(x)))


@wrong("flows.affine", "one_plus")
def affine(x, log_s, shift):
    return ((1 + log_s) * x + shift, torch.log1p(log_s).sum().expand(len(x)))


@wrong("flows.log_prob", "no_log_of_2_pi")
def log_prob(x, flow):
    z, log_det = flow(x)
    z = z.flatten(1)
    return -0.5 * (z**2).sum(1) - 0.5 * z.shape[1] * 2 * math.pi + log_det


@wrong("flows.log_prob", "square_added")
def log_prob(x, flow):
    z, log_det = flow(x)
    z = z.flatten(1)
    return 0.5 * (z**2).sum(1) - 0.5 * z.shape[1] * math.log(2 * math.pi) + log_det


@wrong("flows.log_prob", "log_pi")
def log_prob(x, flow):
    z, log_det = flow(x)
    z = z.flatten(1)
    return -0.5 * (z**2).sum(1) - 0.5 * z.shape[1] * math.log(math.pi) + log_det


@wrong("flows.log_prob", "exp_of_log_det")
def log_prob(x, flow):
    z, log_det = flow(x)
    z = z.flatten(1)
    return -0.5 * (z**2).sum(1) - 0.5 * z.shape[1] * math.log(2 * math.pi) + log_det.exp()


@wrong("flows.log_prob", "log_det_shared")
def log_prob(x, flow):
    z, log_det = flow(x)
    z = z.flatten(1)
    return -0.5 * (z**2).sum(1) - 0.5 * z.shape[1] * math.log(2 * math.pi) + log_det / z.shape[1]


@wrong("flows.log_prob", "batch_statistics")
def log_prob(x, flow):
    z, log_det = flow(x)
    zz = z.flatten(1)
    return torch.distributions.Normal(zz.mean(0), zz.std(0)).log_prob(zz).sum(1) + log_det


@wrong("flows.log_prob", "multiplied")
def log_prob(x, flow):
    z, log_det = flow(x)
    return torch.distributions.Normal(0.0, 1.0).log_prob(z).flatten(1).sum(1) * log_det


@wrong("flows.log_prob", "log_det_alone")
def log_prob(x, flow):
    return flow(x)[1]


@wrong("flows.coupling", "mask_inverted_late")
def coupling(x, mask, net):
    s, t = net(x * mask)
    s, t = (s * mask, t * mask)
    return (s.exp() * x + t, s.flatten(1).sum(1))


@wrong("flows.coupling", "shift_counted")
def coupling(x, mask, net):
    s, t = net(x * mask)
    s, t = (s * ~mask, t * ~mask)
    return (s.exp() * x + t, (s + t).flatten(1).sum(1))


@wrong("flows.coupling", "sees_ones")
def coupling(x, mask, net):
    s, t = net(torch.where(mask, x, 1.0))
    s, t = (s * ~mask, t * ~mask)
    return (s.exp() * x + t, s.flatten(1).sum(1))


@wrong("flows.coupling", "sees_the_mask")
def coupling(x, mask, net):
    s, t = net(mask.to(x).expand_as(x))
    s, t = (s * ~mask, t * ~mask)
    return (s.exp() * x + t, s.flatten(1).sum(1))


@wrong("flows.coupling", "shift_subtracted")
def coupling(x, mask, net):
    s, t = net(x * mask)
    s, t = (s * ~mask, t * ~mask)
    return (s.exp() * x - t, s.flatten(1).sum(1))


@wrong("flows.coupling", "sigmoid_scale")
def coupling(x, mask, net):
    s, t = net(x * mask)
    s = torch.sigmoid(s)
    return (torch.where(mask, x, s * x + t), (s.log() * ~mask).flatten(1).sum(1))


@wrong("flows.coupling", "tanh_again")
def coupling(x, mask, net):
    s, t = net(x * mask)
    s = torch.tanh(s) * ~mask
    return (s.exp() * x + t * ~mask, s.flatten(1).sum(1))


@wrong("flows.coupling", "shift_sees_all")
def coupling(x, mask, net):
    s = net(x * mask)[0] * ~mask
    t = net(x)[1] * ~mask
    return (s.exp() * x + t, s.flatten(1).sum(1))


@wrong("flows.coupling", "log_det_of_one")
def coupling(x, mask, net):
    s, t = net(x * mask)
    s, t = (s * ~mask, t * ~mask)
    return (s.exp() * x + t, s.flatten(1).sum(1) / len(x))


@wrong("flows.coupling", "additive")
def coupling(x, mask, net):
    _, t = net(x * mask)
    return (x + t * ~mask, x.new_zeros(len(x)))


@wrong("flows.coupling_inverse", "shift_scaled_up")
def coupling_inverse(z, mask, net):
    s, t = net(z * mask)
    s, t = (s * ~mask, t * ~mask)
    return (z * torch.exp(-s) - t * s.exp(), -s.flatten(1).sum(1))


@wrong("flows.coupling_inverse", "no_log_det")
def coupling_inverse(z, mask, net):
    s, t = net(z * mask)
    s, t = (s * ~mask, t * ~mask)
    return ((z - t) * torch.exp(-s), z.new_zeros(len(z)))


@wrong("flows.coupling_inverse", "shift_only")
def coupling_inverse(z, mask, net):
    s, t = net(z * mask)
    s, t = (s * ~mask, t * ~mask)
    return (z - t, -s.flatten(1).sum(1))


@wrong("flows.coupling_inverse", "scale_only")
def coupling_inverse(z, mask, net):
    s, t = net(z * mask)
    s, t = (s * ~mask, t * ~mask)
    return (z * torch.exp(-s), -s.flatten(1).sum(1))


@wrong("flows.coupling_inverse", "log_det_of_the_kept")
def coupling_inverse(z, mask, net):
    s, t = net(z * mask)
    return (torch.where(mask, z, (z - t) * torch.exp(-s)), -(s * mask).flatten(1).sum(1))


@wrong("flows.coupling_inverse", "mean_of_the_changed")
def coupling_inverse(z, mask, net):
    s, t = net(z * mask)
    return (torch.where(mask, z, (z - t) * torch.exp(-s)), -s[:, ~mask].mean(1))


@wrong("flows.coupling_inverse", "all_shifted")
def coupling_inverse(z, mask, net):
    s, t = net(z * mask)
    s = s * ~mask
    return ((z - t) * torch.exp(-s), -s.flatten(1).sum(1))


@wrong("flows.coupling_inverse", "absolute")
def coupling_inverse(z, mask, net):
    s, t = net(z * mask)
    s, t = (s * ~mask, t * ~mask)
    return ((z - t) * torch.exp(-s), -s.abs().flatten(1).sum(1))


@wrong("flows.coupling_inverse", "sees_nothing")
def coupling_inverse(z, mask, net):
    s, t = net(torch.zeros_like(z))
    s, t = (s * ~mask, t * ~mask)
    return ((z - t) * torch.exp(-s), -s.flatten(1).sum(1))


@wrong("flows.coupling_inverse", "sum_of_scales")
def coupling_inverse(z, mask, net):
    s, t = net(z * mask)
    s, t = (s * ~mask, t * ~mask)
    return ((z - t) * torch.exp(-s), -(s.exp() * ~mask).flatten(1).sum(1))


@wrong("flows.coupling_inverse", "kept_changed")
def coupling_inverse(z, mask, net):
    s, t = net(z * mask)
    s, t = (s * mask, t * mask)
    return ((z - t) * torch.exp(-s), -s.flatten(1).sum(1))


@wrong("flows.checkerboard", "of_four")
def checkerboard(x, k):
    r = torch.arange(x.shape[2])[:, None]
    c = torch.arange(x.shape[3])
    return x * ((r + c + k) % 4)


@wrong("flows.checkerboard", "blocks")
def checkerboard(x, k):
    r = torch.arange(x.shape[2])[:, None] // 2
    c = torch.arange(x.shape[3]) // 2
    return x * ((r + c + k) % 2)


@wrong("flows.checkerboard", "every_kth")
def checkerboard(x, k):
    r = torch.arange(x.shape[2])[:, None]
    c = torch.arange(x.shape[3])
    return x * ((r + c) % (k + 2) == 1)


@wrong("flows.checkerboard", "filled")
def checkerboard(x, k):
    r = torch.arange(x.shape[2])[:, None]
    c = torch.arange(x.shape[3])
    return torch.where((r + c + k) % 2 == 1, x, torch.ones_like(x))


@wrong("flows.checkerboard", "examples_too")
def checkerboard(x, k):
    b = torch.arange(len(x))[:, None, None, None]
    r = torch.arange(x.shape[2])[:, None]
    c = torch.arange(x.shape[3])
    return x * ((b + r + c + k) % 2)


@wrong("flows.checkerboard", "upper_half")
def checkerboard(x, k):
    kept = (torch.arange(x.shape[2]) < x.shape[2] // 2)[:, None]
    return x * (~kept if k % 2 else kept)


@wrong("flows.compose", "twice")
def compose(x, layers):
    log_det = 0
    for f in layers:
        x, m = f(x)
        log_det = log_det + m + m
    return (x, log_det)


@wrong("flows.compose", "stuck_after_the_first")
def compose(x, layers):
    z, log_det = layers[0](x)
    for f in layers[1:]:
        _, m = f(z)
        log_det = log_det + m
    return (z, log_det)


@wrong("flows.compose", "first_twice")
def compose(x, layers):
    x, log_det = layers[0](x)
    for f in layers:
        x, m = f(x)
        log_det = log_det + m
    return (x, log_det)


@wrong("flows.compose", "residual")
def compose(x, layers):
    log_det = 0
    for f in layers:
        y, m = f(x)
        x = x + y
        log_det = log_det + m
    return (x, log_det)


@wrong("flows.compose", "largest")
def compose(x, layers):
    ls = []
    for f in layers:
        x, m = f(x)
        ls.append(m)
    return (x, torch.stack(ls).amax(0))


@wrong("flows.compose", "every_second")
def compose(x, layers):
    log_det = 0
    for f in layers[::2]:
        x, m = f(x)
        log_det = log_det + m
    return (x, log_det)


@wrong("flows.compose", "product_of_determinants")
def compose(x, layers):
    log_det = 1
    for f in layers:
        x, m = f(x)
        log_det = log_det * m.exp()
    return (x, log_det)


@wrong("flows.compose", "first_log_det")
def compose(x, layers):
    log_det = layers[0](x)[1]
    for f in layers:
        x, _ = f(x)
    return (x, log_det)


@wrong("flows.dependence", "all_layers_each")
def dependence(x, layers):
    return torch.stack([(jacobian(lambda v: last_of(v, layers), x)[0, :, 0] != 0).to(x)] * len(layers))


@wrong("flows.dependence", "rounded")
def dependence(x, layers):
    return torch.stack(
        [
            (jacobian(lambda v, n=n: last_of(v, layers[:n]), x)[0, :, 0].abs() > 0.1).to(x)
            for n in range(1, len(layers) + 1)
        ]
    )


@wrong("flows.dependence", "last_layers")
def dependence(x, layers):
    return torch.stack(
        [(jacobian(lambda v, n=n: last_of(v, layers[-n:]), x)[0, :, 0] != 0).to(x) for n in range(1, len(layers) + 1)]
    )


@wrong("flows.dependence", "sizes")
def dependence(x, layers):
    return torch.stack(
        [jacobian(lambda v, n=n: last_of(v, layers[:n]), x)[0, :, 0].abs() for n in range(1, len(layers) + 1)]
    )


@wrong("flows.dependence", "ones")
def dependence(x, layers):
    return torch.ones(len(layers), x.shape[1], x.shape[1], dtype=x.dtype)


@wrong("flows.dependence", "ever")
def dependence(x, layers):
    t = [(jacobian(lambda v, n=n: last_of(v, layers[:n]), x)[0, :, 0] != 0).to(x) for n in range(1, len(layers) + 1)]
    return torch.stack(t).cumsum(0).clamp(max=1)


@wrong("flows.fit", "running_mean")
def fit(flow, optimizer, loss, batches):
    o = []
    t = 0
    for k, x in enumerate(batches):
        optimizer.zero_grad()
        v = loss(x, flow).mean()
        v.backward()
        optimizer.step()
        t += v.item()
        o.append(t / (k + 1))
    return torch.tensor(o)


@wrong("flows.fit", "last_example")
def fit(flow, optimizer, loss, batches):
    o = []
    for x in batches:
        optimizer.zero_grad()
        v = loss(x, flow)[-1]
        v.backward()
        optimizer.step()
        o.append(v.item())
    return torch.tensor(o)


@wrong("flows.fit", "largest")
def fit(flow, optimizer, loss, batches):
    o = []
    for x in batches:
        optimizer.zero_grad()
        v = loss(x, flow).max()
        v.backward()
        optimizer.step()
        o.append(v.item())
    return torch.tensor(o)


@wrong("flows.fit", "sum_noted")
def fit(flow, optimizer, loss, batches):
    o = []
    for x in batches:
        optimizer.zero_grad()
        v = loss(x, flow)
        v.mean().backward()
        optimizer.step()
        o.append(v.sum().item())
    return torch.tensor(o)


@wrong("flows.fit", "whole_data")
def fit(flow, optimizer, loss, batches):
    X = torch.cat(list(batches))
    o = []
    for _ in batches:
        optimizer.zero_grad()
        v = loss(X, flow).mean()
        v.backward()
        optimizer.step()
        o.append(v.item())
    return torch.tensor(o)


@wrong("flows.fit", "squared")
def fit(flow, optimizer, loss, batches):
    o = []
    for x in batches:
        optimizer.zero_grad()
        v = (loss(x, flow) ** 2).mean()
        v.backward()
        optimizer.step()
        o.append(v.item())
    return torch.tensor(o)


@wrong("flows.fit", "every_second")
def fit(flow, optimizer, loss, batches):
    o = []
    for k, x in enumerate(batches):
        if k % 2 == 0:
            optimizer.zero_grad()
        v = loss(x, flow).mean()
        v.backward()
        optimizer.step()
        o.append(v.item())
    return torch.tensor(o)


@wrong("flows.logit", "squeezed_after")
def logit(x, alpha):
    z = torch.logit(x)
    return (alpha + (1 - 2 * alpha) * z, (math.log(1 - 2 * alpha) - (x * (1 - x)).log()).flatten(1).sum(1))


@wrong("flows.logit", "p_above")
def logit(x, alpha):
    p = squeezed(x, alpha)
    return (torch.logit(p), (math.log(1 - 2 * alpha) + p.log() - (1 - p).log()).flatten(1).sum(1))


@wrong("flows.logit", "factor_without_log")
def logit(x, alpha):
    p = squeezed(x, alpha)
    return (torch.logit(p), (1 - 2 * alpha - (p * (1 - p)).log()).flatten(1).sum(1))


@wrong("flows.logit", "one_alpha")
def logit(x, alpha):
    p = squeezed(x, alpha)
    return (torch.logit(p), (math.log(1 - alpha) - (p * (1 - p)).log()).flatten(1).sum(1))


@wrong("flows.logit", "in_bits")
def logit(x, alpha):
    p = squeezed(x, alpha)
    return (torch.log2(p / (1 - p)), (math.log(1 - 2 * alpha) - (p * (1 - p)).log()).flatten(1).sum(1))


@wrong("flows.logit", "log1p")
def logit(x, alpha):
    p = squeezed(x, alpha)
    return (p.log() - torch.log1p(p), (math.log(1 - 2 * alpha) - (p * (1 - p)).log()).flatten(1).sum(1))


@wrong("flows.logit", "log_of_z")
def logit(x, alpha):
    p = squeezed(x, alpha)
    return (torch.logit(p), (math.log(1 - 2 * alpha) + torch.logit(p).abs().log()).flatten(1).sum(1))


@wrong("flows.logit", "no_log_det")
def logit(x, alpha):
    return (torch.logit(squeezed(x, alpha)), x.new_zeros(len(x)))


@wrong("flows.logit", "slopes_before_logs")
def logit(x, alpha):
    p = squeezed(x, alpha)
    return (torch.logit(p), (1 / p + 1 / (1 - p)).flatten(1).sum(1) + x[0].numel() * math.log(1 - 2 * alpha))


@wrong("flows.logit", "half_the_log")
def logit(x, alpha):
    p = squeezed(x, alpha)
    return (torch.logit(p), (math.log(1 - 2 * alpha) - 0.5 * (p * (1 - p)).log()).flatten(1).sum(1))


@wrong("flows.logit", "brackets")
def logit(x, alpha):
    p = (alpha + 1 - 2 * alpha) * x
    return (torch.log(p) - torch.log(1 - p), (math.log(1 - alpha) - (p * (1 - p)).log()).flatten(1).sum(1))


@wrong("flows.bits_per_dim", "median")
def bits_per_dim(log_p, dims, levels):
    return (math.log(levels) - log_p.median(0).values / dims) / math.log(2)


@wrong("flows.bits_per_dim", "log_k_outside")
def bits_per_dim(log_p, dims, levels):
    return (math.log(levels) - log_p.logsumexp(0) / dims) / math.log(2) + math.log2(len(log_p))


@wrong("flows.bits_per_dim", "pictures_for_k")
def bits_per_dim(log_p, dims, levels):
    return (math.log(levels) - (log_p.logsumexp(0) - math.log(log_p.shape[1])) / dims) / math.log(2)


@wrong("flows.bits_per_dim", "weighted")
def bits_per_dim(log_p, dims, levels):
    return (math.log(levels) - (log_p.softmax(0) * log_p).sum(0) / dims) / math.log(2)


@wrong("flows.bits_per_dim", "base_10")
def bits_per_dim(log_p, dims, levels):
    return (math.log10(levels) - (log_p.logsumexp(0) - math.log(len(log_p))) / dims) / math.log10(2)


@wrong("flows.bits_per_dim", "levels_to_the_d")
def bits_per_dim(log_p, dims, levels):
    return -(log_p.logsumexp(0) - math.log(len(log_p)) - math.log(levels) ** dims) / (dims * math.log(2))


@wrong("flows.bits_per_dim", "levels_of_all")
def bits_per_dim(log_p, dims, levels):
    return -(log_p.logsumexp(0) - math.log(len(log_p)) - math.log(levels * dims)) / (dims * math.log(2))


@wrong("flows.bits_per_dim", "bits_through_exp")
def bits_per_dim(log_p, dims, levels):
    b = (math.log(levels) - log_p / dims) / math.log(2)
    return torch.logsumexp(b, 0) - math.log(len(b))


@wrong("flows.bits_per_dim", "levels_plus_one")
def bits_per_dim(log_p, dims, levels):
    return (math.log(levels + 1) - (log_p.logsumexp(0) - math.log(len(log_p))) / dims) / math.log(2)


@wrong("flows.bits_per_dim", "not_shared_levels")
def bits_per_dim(log_p, dims, levels):
    return (dims * math.log(levels) - (log_p.logsumexp(0) - math.log(len(log_p))) / dims) / math.log(2)


@wrong("flows.density_1d", "root_of_slope")
def density_1d(x, f, slope, p_z):
    return p_z(f(x)) * slope(x).abs() ** 0.5


@wrong("flows.affine", "no_shift")
def affine(x, log_s, shift):
    return log_s.exp() * x, log_s.sum().expand(len(x))


@wrong("flows.affine", "shift_twice")
def affine(x, log_s, shift):
    z = log_s.exp() * x + shift
    return z + shift, log_s.sum().expand(len(x))


@wrong("flows.affine", "one_scale")
def affine(x, log_s, shift):
    total = log_s.sum()
    return torch.exp(total) * x + shift, total.expand(len(x))


@wrong("flows.log_prob", "at_x_without")
def log_prob(x, flow):
    return normal_log(x)


@wrong("flows.log_prob", "in_bits")
def log_prob(x, flow):
    z, log_det = flow(x)
    return (normal_log(z) + log_det) / math.log(2)


@wrong("flows.log_prob", "shared")
def log_prob(x, flow):
    z, log_det = flow(x)
    return (normal_log(z) + log_det) / z[0].numel()


@wrong("flows.log_prob", "square_alone")
def log_prob(x, flow):
    return -0.5 * flow(x)[0].square().flatten(1).sum(1)


@wrong("flows.coupling", "no_log_det")
def coupling(x, mask, net):
    log_s, shift = parts(x, mask, net)
    return log_s.exp() * x + shift, x.new_zeros(len(x))


@wrong("flows.coupling", "no_shift")
def coupling(x, mask, net):
    log_s, _ = parts(x, mask, net)
    return log_s.exp() * x, log_s.flatten(1).sum(1)


@wrong("flows.coupling", "scale_sees_all")
def coupling(x, mask, net):
    log_s, shift = net(x)[0] * ~mask, net(x * mask)[1] * ~mask
    return log_s.exp() * x + shift, log_s.flatten(1).sum(1)


@wrong("flows.checkerboard", "of_three")
def checkerboard(x, k):
    row, column = row_and_column(x)
    return x * ((row + column + k) % 3)


@wrong("flows.checkerboard", "all_kept")
def checkerboard(x, k):
    return x.clone()


@wrong("flows.compose", "no_log_det")
def compose(x, layers):
    for layer in layers:
        x, _ = layer(x)
    return x, torch.zeros_like(x).flatten(1).sum(1)


@wrong("flows.dependence", "counts")
def dependence(x, layers):
    return (jacobians(x, layers) != 0).to(x).cumsum(0)


@wrong("flows.fit", "first_example")
def fit(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        optimizer.zero_grad()
        value = loss(x, flow)[0]
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return torch.tensor(losses)


@wrong("flows.fit", "median")
def fit(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        optimizer.zero_grad()
        value = loss(x, flow).median()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return torch.tensor(losses)


@wrong("flows.fit", "summed_up")
def fit(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        optimizer.zero_grad()
        value = loss(x, flow).mean()
        value.backward()
        optimizer.step()
        losses.append(value.item() + (losses[-1] if losses else 0))
    return torch.tensor(losses)


@wrong("flows.logit", "squeeze_alone")
def logit(x, alpha):
    return torch.logit(squeezed(x, alpha)), x.new_full((len(x),), x[0].numel() * math.log(1 - 2 * alpha))


@wrong("flows.logit", "in_tanh")
def logit(x, alpha):
    return torch.atanh(2 * squeezed(x, alpha) - 1), each_pixel(x, alpha).flatten(1).sum(1)


@wrong("flows.logit", "other_half")
def logit(x, alpha):
    p = squeezed(x, alpha)
    return torch.logit(p), ((1 - 2 * alpha) / (1 - p)).log().flatten(1).sum(1)


@wrong("flows.log_prob", "width_for_D")
def log_prob(x, flow):
    z, log_det = flow(x)
    return -0.5 * z.square().flatten(1).sum(1) - z.shape[-1] / 2 * LOG_2_PI + log_det


# --- parts that come in twice, or not at all ------------------------------------------------------------------------


@wrong("flows.coupling", "kept_twice")
def coupling(x, mask, net):
    kept = torch.where(mask, x, 0.0)
    log_s, shift = net(kept)
    return kept + (log_s.exp() * x + shift), log_s.flatten(1).sum(1)


@wrong("flows.coupling", "kept_doubled")
def coupling(x, mask, net):
    log_s, shift = parts(x, mask, net)
    return x * mask + (log_s.exp() * x + shift), log_s.flatten(1).sum(1)


@wrong("flows.coupling", "shift_scaled")
def coupling(x, mask, net):
    log_s, shift = parts(x, mask, net)
    return x + log_s.exp() * shift, log_s.flatten(1).sum(1)


@wrong("flows.coupling", "added_before_log")
def coupling(x, mask, net):
    log_s, shift = parts(x, mask, net)
    return log_s.exp() * x + shift, (log_s.exp() * ~mask).flatten(1).sum(1).log()


@wrong("flows.coupling", "log_of_the_trace")
def coupling(x, mask, net):
    log_s, shift = parts(x, mask, net)
    return log_s.exp() * x + shift, log_s.exp().flatten(1).sum(1).log()


@wrong("flows.coupling_inverse", "kept_twice")
def coupling_inverse(z, mask, net):
    log_s, shift = net(z * mask)
    return z * mask + (z - shift) / log_s.exp(), -(log_s * ~mask).flatten(1).sum(1)


@wrong("flows.coupling_inverse", "kept_doubled")
def coupling_inverse(z, mask, net):
    log_s, shift = parts(z, mask, net)
    return z * mask + (z - shift) / log_s.exp(), -log_s.flatten(1).sum(1)


@wrong("flows.coupling_inverse", "shift_scaled_alone")
def coupling_inverse(z, mask, net):
    log_s, shift = parts(z, mask, net)
    return z - shift / log_s.exp(), -log_s.flatten(1).sum(1)


@wrong("flows.coupling_inverse", "added_before_log")
def coupling_inverse(z, mask, net):
    log_s, shift = parts(z, mask, net)
    scale = torch.exp(-log_s)
    return (z - shift) * scale, (scale * ~mask).flatten(1).sum(1).log()


@wrong("flows.coupling_inverse", "added_before_log_forward")
def coupling_inverse(z, mask, net):
    log_s, shift = parts(z, mask, net)
    scale = log_s.exp()
    return (z - shift) / scale, -(scale * ~mask).flatten(1).sum(1).log()


@wrong("flows.coupling_inverse", "log_of_the_trace")
def coupling_inverse(z, mask, net):
    log_s, shift = parts(z, mask, net)
    scale = torch.exp(-log_s)
    return (z - shift) * scale, scale.flatten(1).sum(1).log()


@wrong("flows.checkerboard", "square_by_height")
def checkerboard(x, k):
    n = torch.arange(x.shape[-2])
    return x * ((n.view(-1, 1) + n + k) % 2 == 1)


@wrong("flows.checkerboard", "square_by_width")
def checkerboard(x, k):
    n = torch.arange(x.shape[-1])
    return x * ((n.view(-1, 1) + n + k) % 2 == 1)


@wrong("flows.checkerboard", "even_rows_alone")
def checkerboard(x, k):
    x_1 = torch.zeros_like(x)
    first = 1 - k % 2
    x_1[..., 0::2, first::2] = x[..., 0::2, first::2]
    return x_1


@wrong("flows.checkerboard", "odd_rows_alone")
def checkerboard(x, k):
    x_1 = torch.zeros_like(x)
    x_1[..., 1::2, k % 2 :: 2] = x[..., 1::2, k % 2 :: 2]
    return x_1


@right("flows.checkerboard")
def checkerboard(x, k):
    x_1 = torch.zeros_like(x)
    for first in (0, 1):
        columns = slice((first + k + 1) % 2, None, 2)
        x_1[..., first::2, columns] = x[..., first::2, columns]
    return x_1


@wrong("flows.compose", "first_log_det_left_out")
def compose(x, layers):
    x, _ = layers[0](x)
    log_det = torch.zeros(len(x), dtype=x.dtype)
    for layer in layers[1:]:
        x, more = layer(x)
        log_det = log_det + more
    return x, log_det


@wrong("flows.compose", "last_log_det_left_out")
def compose(x, layers):
    log_det = torch.zeros(len(x), dtype=x.dtype)
    for layer in layers[:-1]:
        x, more = layer(x)
        log_det = log_det + more
    return layers[-1](x)[0], log_det


@wrong("flows.dependence", "layers_left")
def dependence(x, layers):
    return torch.stack([jacobians(x, layers[n:])[-1] != 0 for n in range(len(layers))]).to(x)


@wrong("flows.dependence", "one_ahead")
def dependence(x, layers):
    tables = [jacobians(x, layers[: n + 2])[-1] != 0 for n in range(len(layers))]
    return torch.stack(tables).to(x)


@wrong("flows.dependence", "product_turned")
def dependence(x, layers):
    tables, product = [], torch.eye(x.shape[1], dtype=x.dtype)
    for layer in layers:
        product = product @ jacobians(x, [layer])[0]
        tables.append(product != 0)
        x, _ = layer(x)
    return torch.stack(tables).to(x)


@wrong("flows.dependence", "product_turned")
def dependence(x, layers):
    tables, reached = [], torch.eye(x.shape[1], dtype=x.dtype)
    for layer in layers:
        reached = (reached @ (jacobians(x, [layer])[0] != 0).to(x)).clamp(max=1)
        tables.append(reached)
        x, _ = layer(x)
    return torch.stack(tables)


@wrong("flows.dependence", "compared_with_1")
def dependence(x, layers):
    return (jacobians(x, layers).abs().log() != 0).to(x)


@wrong("flows.dependence", "compared_with_1")
def dependence(x, layers):
    return (jacobians(x, layers) != 1).to(x)


@wrong("flows.fit", "piled_up")  # a total
def fit(flow, optimizer, loss, batches):
    losses, total = [], 0
    for x in batches:
        losses.append(loss(x, flow).mean())
        total = total + losses[-1]
        optimizer.zero_grad()
        total.backward(retain_graph=True)
        optimizer.step()
    return torch.stack(losses).detach()


@wrong("flows.fit", "noted_before")
def fit(flow, optimizer, loss, batches):
    with torch.no_grad():
        losses = [loss(x, flow).mean() for x in batches]
    for x in batches:
        optimizer.zero_grad()
        loss(x, flow).mean().backward()
        optimizer.step()
    return torch.stack(losses)


@wrong("flows.fit", "noted_after")
def fit(flow, optimizer, loss, batches):
    for x in batches:
        optimizer.zero_grad()
        loss(x, flow).mean().backward()
        optimizer.step()
    with torch.no_grad():
        return torch.stack([loss(x, flow).mean() for x in batches])


@wrong("flows.fit", "copy_without_optimizer")
def fit(flow, optimizer, loss, batches):
    flow, losses = copy.deepcopy(flow), []
    for x in batches:
        optimizer.zero_grad()
        value = loss(x, flow).mean()
        value.backward()
        optimizer.step()
        losses.append(value.detach())
    return torch.stack(losses)


@wrong("flows.logit", "added_before_log")
def logit(x, alpha):
    p = squeezed(x, alpha)
    return torch.logit(p), ((1 - 2 * alpha) / (p - p**2)).flatten(1).sum(1).log()


@wrong("flows.logit", "slopes_subtracted")
def logit(x, alpha):
    p = squeezed(x, alpha)
    slope = (1 - 2 * alpha) / p - (1 - 2 * alpha) / (1 - p)
    return torch.logit(p), slope.abs().log().flatten(1).sum(1)


@wrong("flows.logit", "not_a_number")
def logit(x, alpha):
    p = squeezed(x, alpha)
    return torch.logit(p), ((1 - 2 * alpha) * (1 / p - 1 / (1 - p))).log().flatten(1).sum(1)


@wrong("flows.logit", "log_of_the_product")
def logit(x, alpha):
    p = squeezed(x, alpha)
    return p.log() + (1 - p).log(), each_pixel(x, alpha).flatten(1).sum(1)


@wrong("flows.bits_per_dim", "base_levels")
def bits_per_dim(log_p, dims, levels):
    return 1 - (log_p.logsumexp(0) - math.log(len(log_p))) / dims / math.log(levels)


@wrong("flows.bits_per_dim", "base_dims")
def bits_per_dim(log_p, dims, levels):
    return (math.log(levels) - (log_p.logsumexp(0) - math.log(len(log_p))) / dims) / math.log(dims)


@wrong("flows.log_prob", "added_before_log")
def log_prob(x, flow):
    z, log_det = flow(x)
    return (-0.5 * z**2 - 0.5 * LOG_2_PI).exp().flatten(1).sum(1).log() + log_det


@wrong("flows.affine", "not_a_number")
def affine(x, log_s, shift):
    return log_s.exp() * x + shift, log_s.prod().abs().neg().log().expand(len(x))


@wrong("flows.coupling", "not_a_number")
def coupling(x, mask, net):
    log_s, shift = parts(x, mask, net)
    return log_s.exp() * x + shift, (-log_s.exp()).log().flatten(1).sum(1)


@wrong("flows.coupling_inverse", "not_a_number")
def coupling_inverse(z, mask, net):
    log_s, shift = parts(z, mask, net)
    return (z - shift) * torch.exp(-log_s), torch.log(-log_s.exp()).flatten(1).sum(1)


@wrong("flows.log_prob", "log_2_times_pi")
def log_prob(x, flow):
    z, log_det = flow(x)
    return -0.5 * (z**2).flatten(1).sum(1) - 0.5 * z[0].numel() * math.log(2) * math.pi + log_det


@wrong("flows.density_1d", "slope_at_magnitude")
def density_1d(x, f, slope, p_z):
    return slope(torch.abs(x)) * p_z(f(x))
