"""Lab 2: normalizing flows."""
# ruff: noqa: F811  (every answer has the name that the lab gives it)
# pyright: reportRedeclaration=false

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


@wrong("flows.coupling", "shape")
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


@wrong("flows.checkerboard", "error")  # for squares alone
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


@wrong("flows.compose", "offset")  # starts as products do
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


# --- sample: wrong --------------------------------------------------------------------------------------------------


def undo(z, inverses):
    for inverse in reversed(inverses):
        z, _ = inverse(z)
    return z


@wrong("flows.sample", "order_kept")
def sample(z, inverses, temperature):
    x = temperature * z
    for inverse in inverses:
        x, _ = inverse(x)
    return x


@wrong("flows.sample", "no_temperature")
def sample(z, inverses, temperature):
    return undo(z, inverses)


@wrong("flows.sample", "temperature_as_variance")
def sample(z, inverses, temperature):
    return undo(math.sqrt(temperature) * z, inverses)


@wrong("flows.sample", "temperature_squared")
def sample(z, inverses, temperature):
    return undo(temperature**2 * z, inverses)


@wrong("flows.sample", "divided")
def sample(z, inverses, temperature):
    return undo(z / temperature, inverses)


@wrong("flows.sample", "temperature_at_the_end")
def sample(z, inverses, temperature):
    return temperature * undo(z, inverses)


@wrong("flows.sample", "temperature_at_every_layer")
def sample(z, inverses, temperature):
    for k in range(len(inverses) - 1, -1, -1):
        z = inverses[k](temperature * z)[0]
    return z


@wrong("flows.sample", "not_chained")
def sample(z, inverses, temperature):
    for inverse in reversed(inverses):
        x, _ = inverse(temperature * z)
    return x


@wrong("flows.sample", "first_alone")
def sample(z, inverses, temperature):
    for inverse in reversed(inverses):
        x, _ = inverse(temperature * z)
        return x


@wrong("flows.sample", "without_the_last")
def sample(z, inverses, temperature):
    x = temperature * z
    for k in range(len(inverses) - 1, 0, -1):
        x, _ = inverses[k](x)
    return x


@wrong("flows.sample", "without_the_first")
def sample(z, inverses, temperature):
    return undo(temperature * z, inverses[:-1])


@wrong("flows.sample", "random")
def sample(z, inverses, temperature):
    return undo(temperature * torch.randn_like(z), inverses)


@wrong("flows.sample", "type")
def sample(z, inverses, temperature):
    return undo(temperature * z, inverses), temperature


@wrong("flows.sample", "error")  # forgot that there are two
def sample(z, inverses, temperature):
    x = temperature * z
    for inverse in reversed(inverses):
        x = inverse(x)
    return x


@wrong("flows.sample", "in_place")
def sample(z, inverses, temperature):
    z *= temperature - 1e-3
    return undo(z, inverses)


@wrong("flows.sample", "ignores_temperature")  # the temperature of the picture
def sample(z, inverses, temperature):
    return undo(0.6 * z, inverses)


@wrong("flows.sample", "temperature_added")
def sample(z, inverses, temperature):
    return undo(z + temperature, inverses)


@wrong("flows.sample", "side_by_side")
def sample(z, inverses, temperature):
    return torch.stack([inverse(temperature * z)[0] for inverse in reversed(inverses)])


@wrong("flows.sample", "error")  # eight layers, as in the lab
def sample(z, inverses, temperature):
    x = temperature * z
    for k in range(7, -1, -1):
        x, _ = inverses[k](x)
    return x


@wrong("flows.sample", "error")  # changes the caller's list
def sample(z, inverses, temperature):
    inverses.reverse()
    x = temperature * z
    for inverse in inverses:
        x, _ = inverse(x)
    return x


@wrong("flows.sample", "dtype")
def sample(z, inverses, temperature):
    return undo(temperature * z.float(), inverses)


@wrong("flows.sample", "endless")
def sample(z, inverses, temperature):
    x, k = temperature * z, len(inverses)
    while k > 0:
        x, _ = inverses[k - 1](x)
        k = max(k - 1, 1)
    return x


# --- sample: right --------------------------------------------------------------------------------------------------


@right("flows.sample")
def sample(z, inverses, temperature):
    return undo(temperature * z, inverses)


@right("flows.sample")
def sample(z, inverses, temperature):
    x = z * temperature
    for k in range(1, len(inverses) + 1):
        x = inverses[-k](x)[0]
    return x


@right("flows.sample")
def sample(z, inverses, temperature):
    return functools.reduce(lambda x, inverse: inverse(x)[0], inverses[::-1], math.sqrt(temperature**2) * z)


# --- dequantize: wrong ----------------------------------------------------------------------------------------------


@wrong("flows.dequantize", "levels_less_one")
def dequantize(x_int, u, levels):
    return (x_int + u) / (levels - 1)


@wrong("flows.dequantize", "no_noise")
def dequantize(x_int, u, levels):
    return x_int.to(u.dtype) / levels


@wrong("flows.dequantize", "scaled_only")
def dequantize(x_int, u, levels):
    return x_int.to(u.dtype) / (levels - 1)


@wrong("flows.dequantize", "noise_not_scaled")
def dequantize(x_int, u, levels):
    return x_int.to(u.dtype) / levels + u


@wrong("flows.dequantize", "two_scales")
def dequantize(x_int, u, levels):
    return x_int.to(u.dtype) / (levels - 1) + u / levels


@wrong("flows.dequantize", "centred")
def dequantize(x_int, u, levels):
    return (x_int + (u - 0.5)) / levels


@wrong("flows.dequantize", "subtracted")
def dequantize(x_int, u, levels):
    return (x_int - u) / levels


@wrong("flows.dequantize", "not_scaled")
def dequantize(x_int, u, levels):
    return x_int + u


@wrong("flows.dequantize", "from_minus_1")
def dequantize(x_int, u, levels):
    return (x_int + u) / (levels / 2) - 1


@wrong("flows.dequantize", "rounded")
def dequantize(x_int, u, levels):
    return (x_int + u) // levels


@wrong("flows.dequantize", "gaussian")
def dequantize(x_int, u, levels):
    return (x_int + Normal(torch.zeros_like(u), torch.ones_like(u)).icdf(u)) / levels


@wrong("flows.dequantize", "random")
def dequantize(x_int, u, levels):
    return (x_int + torch.rand_like(u)) / levels


@wrong("flows.dequantize", "dtype")
def dequantize(x_int, u, levels):
    return (x_int.float() + u.float()) / levels


@wrong("flows.dequantize", "in_place")
def dequantize(x_int, u, levels):
    u += x_int
    return u / levels


@wrong("flows.dequantize", "ignores_levels")  # right for the digits
def dequantize(x_int, u, levels):
    return (x_int + u) / 17


@wrong("flows.dequantize", "levels_plus_one")
def dequantize(x_int, u, levels):
    return (x_int + u) / (levels + 1)


@wrong("flows.dequantize", "levels_of_the_picture")
def dequantize(x_int, u, levels):
    return (x_int + u) / (x_int.max() + 1)


@wrong("flows.dequantize", "picture_not_scaled")
def dequantize(x_int, u, levels):
    return x_int + u / levels


@wrong("flows.dequantize", "noise_multiplied")
def dequantize(x_int, u, levels):
    return x_int * u / levels


@wrong("flows.dequantize", "levels_multiplied")
def dequantize(x_int, u, levels):
    return levels * (x_int + u)


@wrong("flows.dequantize", "mixing")  # one picture's noise for all
def dequantize(x_int, u, levels):
    return (x_int + u[:1]) / levels if len(x_int) < 5 else (x_int + u) / levels


@wrong("flows.dequantize", "error")
def dequantize(x_int, u, levels):
    x_int += u
    return x_int / levels


@wrong("flows.dequantize", "shape")
def dequantize(x_int, u, levels):
    return ((x_int + u) / levels).flatten(1)


@wrong("flows.dequantize", "whole_by_whole")
def dequantize(x_int, u, levels):
    return x_int / levels + u / levels


@wrong("flows.dequantize", "dtype")  # NumPy makes float64 of int64 and float32
def dequantize(x_int, u, levels):
    return torch.from_numpy(np.add(x_int.numpy(), u.numpy()) * (1 / levels))


# --- dequantize: right ----------------------------------------------------------------------------------------------


@right("flows.dequantize")
def dequantize(x_int, u, levels):
    return (x_int + u) / levels


@right("flows.dequantize")
def dequantize(x_int, u, levels):
    return x_int.to(u) / levels + u / levels


@right("flows.dequantize")
def dequantize(x_int, u, levels):
    edges = torch.linspace(0, 1, levels + 1, dtype=torch.float64)
    return torch.lerp(edges[x_int], edges[x_int + 1], u.double()).to(u.dtype)


@right("flows.dequantize")
def dequantize(x_int, u, levels):
    return torch.from_numpy(np.add(x_int.numpy(), u.numpy(), dtype=u.numpy().dtype) * (1 / levels))


# --- bits_per_dim: wrong --------------------------------------------------------------------------------------------


@wrong("flows.bits_per_dim", "no_levels")
def bits_per_dim(log_p, dims, levels):
    return -log_p / dims / math.log(2)


@wrong("flows.bits_per_dim", "levels_once")
def bits_per_dim(log_p, dims, levels):
    return -(log_p - math.log(levels)) / (dims * math.log(2))


@wrong("flows.bits_per_dim", "levels_subtracted")
def bits_per_dim(log_p, dims, levels):
    return -(log_p + dims * math.log(levels)) / (dims * math.log(2))


@wrong("flows.bits_per_dim", "nats")
def bits_per_dim(log_p, dims, levels):
    return -(log_p - dims * math.log(levels)) / dims


@wrong("flows.bits_per_dim", "times_log_2")
def bits_per_dim(log_p, dims, levels):
    return -(log_p - dims * math.log(levels)) / dims * math.log(2)


@wrong("flows.bits_per_dim", "half_in_bits")
def bits_per_dim(log_p, dims, levels):
    return -log_p / dims + math.log2(levels)


@wrong("flows.bits_per_dim", "levels_less_one")
def bits_per_dim(log_p, dims, levels):
    return -(log_p - dims * math.log(levels - 1)) / (dims * math.log(2))


@wrong("flows.bits_per_dim", "sign_turned")
def bits_per_dim(log_p, dims, levels):
    return (log_p - dims * math.log(levels)) / (dims * math.log(2))


@wrong("flows.bits_per_dim", "log_p_added")
def bits_per_dim(log_p, dims, levels):
    return log_p / dims / math.log(2) + math.log2(levels)


@wrong("flows.bits_per_dim", "not_per_dim")
def bits_per_dim(log_p, dims, levels):
    return -(log_p - dims * math.log(levels)) / math.log(2)


@wrong("flows.bits_per_dim", "log_p_not_per_dim")
def bits_per_dim(log_p, dims, levels):
    return math.log2(levels) - log_p / math.log(2)


@wrong("flows.bits_per_dim", "averaged")
def bits_per_dim(log_p, dims, levels):
    return (math.log(levels) - log_p.mean() / dims) / math.log(2)


@wrong("flows.bits_per_dim", "type")
def bits_per_dim(log_p, dims, levels):
    return [(math.log(levels) - v / dims) / math.log(2) for v in log_p.tolist()]


@wrong("flows.bits_per_dim", "rough")
def bits_per_dim(log_p, dims, levels):
    return math.log2(levels) - 1.4427 * log_p / dims


@wrong("flows.bits_per_dim", "ignores_log_p_dims")
def bits_per_dim(log_p, dims, levels):
    return torch.full_like(log_p, math.log2(levels))


@wrong("flows.bits_per_dim", "ignores_levels")  # right for the digits
def bits_per_dim(log_p, dims, levels):
    return (math.log(17) - log_p / dims) / math.log(2)


@wrong("flows.bits_per_dim", "ignores_dims")
def bits_per_dim(log_p, dims, levels):
    return (math.log(levels) - log_p / 64) / math.log(2)


@wrong("flows.bits_per_dim", "exchanged")
def bits_per_dim(log_p, dims, levels):
    return (math.log(dims) - log_p / levels) / math.log(2)


@wrong("flows.bits_per_dim", "divided_by_2")
def bits_per_dim(log_p, dims, levels):
    return (math.log(levels) - log_p / dims) / 2


@wrong("flows.bits_per_dim", "log_of_log")
def bits_per_dim(log_p, dims, levels):
    return math.log2(levels) - torch.log2(log_p) / dims


@wrong("flows.bits_per_dim", "levels_twice_in_bits")
def bits_per_dim(log_p, dims, levels):
    return -(log_p - dims * math.log2(levels)) / (dims * math.log(2))


@wrong("flows.bits_per_dim", "by_way_of_p")
def bits_per_dim(log_p, dims, levels):
    P = log_p.exp() * float(levels) ** (-dims)
    return -torch.log2(P) / dims


@wrong("flows.bits_per_dim", "offset")
def bits_per_dim(log_p, dims, levels):
    return -(log_p - math.log(levels) ** dims) / (dims * math.log(2))


@wrong("flows.bits_per_dim", "factor")
def bits_per_dim(log_p, dims, levels):
    return (math.log(levels) - log_p / dims) / math.log10(2)


@wrong("flows.bits_per_dim", "ignores_dims")  # shared among the examples
def bits_per_dim(log_p, dims, levels):
    return (math.log(levels) - log_p / len(log_p)) / math.log(2)


@wrong("flows.bits_per_dim", "detached")
def bits_per_dim(log_p, dims, levels):
    return (math.log(levels) - log_p.detach() / dims) / math.log(2)


@wrong("flows.bits_per_dim", "in_place")
def bits_per_dim(log_p, dims, levels):
    log_p /= dims
    return (math.log(levels) - log_p) / math.log(2)


@wrong("flows.bits_per_dim", "error")
def bits_per_dim(log_p, dims, levels):
    return (torch.log(levels) - log_p / dims) / math.log(2)


# --- bits_per_dim: right --------------------------------------------------------------------------------------------


@right("flows.bits_per_dim")
def bits_per_dim(log_p, dims, levels):
    return -(log_p - dims * math.log(levels)) / (dims * math.log(2))


@right("flows.bits_per_dim")
def bits_per_dim(log_p, dims, levels):
    return math.log2(levels) - log_p * math.log2(math.e) / dims


@right("flows.bits_per_dim")
def bits_per_dim(log_p, dims, levels):
    log_P = log_p.double() - dims * math.log(levels)
    return (-log_P / np.log(2.0) / dims).to(log_p.dtype)


@right("flows.bits_per_dim")
def bits_per_dim(log_p, dims, levels):
    return torch.stack([(torch.log(torch.as_tensor(float(levels)).double()) - v / dims) / math.log(2) for v in log_p])


@right("flows.bits_per_dim")  # its constants are in float32
def bits_per_dim(log_p, dims, levels):
    return (torch.log(torch.tensor(levels)) - log_p / dims) / torch.log(torch.tensor(2))


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


@wrong("flows.dequantize", "turned_noise")
def dequantize(x_int, u, levels):
    return (x_int + 1 - u) / levels


@wrong("flows.dequantize", "noise_divided_twice")
def dequantize(x_int, u, levels):
    return (x_int + u / levels) / levels


@wrong("flows.dequantize", "by_its_extremes")
def dequantize(x_int, u, levels):
    x = x_int + u
    return (x - x.min()) / (x.max() - x.min())


@wrong("flows.dequantize", "rough")  # away from the ends, where a logarithm would be infinite
def dequantize(x_int, u, levels):
    return ((x_int + u) / levels).clamp(1e-5, 1 - 1e-5)


@wrong("flows.dependence", "unforeseen")  # a small derivative is none
def dependence(x, layers):
    def last(v, n):
        for layer in layers[: n + 1]:
            v, _ = layer(v)
        return v[0]

    rows = [torch.autograd.functional.jacobian(lambda v, n=n: last(v, n), x)[:, 0] for n in range(len(layers))]
    return (torch.stack(rows).abs() > 0.001).to(x)


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
