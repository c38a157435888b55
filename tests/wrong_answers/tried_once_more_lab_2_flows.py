"""Further answers to lab_2_flows, as they were tried on it."""
# ruff: noqa
# pyright: reportRedeclaration=false, reportAttributeAccessIssue=false, reportAssignmentType=false
# pyright: reportGeneralTypeIssues=false, reportAssertAlwaysTrue=false, reportUnusedExpression=false
# pyright: reportOptionalSubscript=false

from . import right, wrong

import functools

import math

import torch


def good_compose(x, layers):
    log_det = x.new_zeros(len(x))
    for layer in layers:
        x, more = layer(x)
        log_det = log_det + more
    return x, log_det


# abs around x instead of around the slope
@wrong("flows.density_1d", "slope_at_magnitude")
def w02(x, f, slope, p_z):
    return p_z(f(x)) * slope(x.abs())


# log_det goes through a Python float, so that no gradient reaches log_s
@wrong("flows.affine", "detached")
def w03(x, log_s, shift):
    z = torch.exp(log_s) * x + shift
    log_det = torch.full((x.shape[0],), float(log_s.sum()), dtype=x.dtype)
    return z, log_det


# log_s spread like x, then summed over the batch axis: (D,)
@wrong("flows.affine", "shape")
def w04(x, log_s, shift):
    z = x * log_s.exp() + shift
    return z, log_s.expand_as(x).sum(0)


# D in the constant is x.shape[1], for pictures the channels alone
@wrong("flows.log_prob", "channels_for_D")
def w05(x, flow):
    z, log_det = flow(x)
    D = x.shape[1]
    return -0.5 * z.flatten(1).pow(2).sum(1) - D / 2 * math.log(2 * math.pi) + log_det


# log_det is added to every coordinate before the sum, so it counts D times
@wrong("flows.log_prob", "log_det_for_each_coordinate")
def w06(x, flow):
    z, log_det = flow(x)
    z = z.flatten(1)
    log_p = torch.distributions.Normal(0.0, 1.0).log_prob(z) + log_det[:, None]
    return log_p.sum(1)


# the flow runs under no_grad: no gradient reaches its weights
@wrong("flows.log_prob", "detached")
def w07(x, flow):
    with torch.no_grad():
        z, log_det = flow(x)
    z = z.flatten(1)
    return -0.5 * (z**2).sum(1) - 0.5 * z.shape[1] * math.log(2 * math.pi) + log_det


# the shift is not masked: the kept places are shifted too
@wrong("flows.coupling", "all_shifted")
def w08(x, mask, net):
    log_s, shift = net(x * mask)
    log_s = log_s * ~mask
    return torch.exp(log_s) * x + shift, log_s.flatten(1).sum(1)


# the network is given x[:, mask], the kept numbers alone: an error of shapes inside it
@wrong("flows.coupling", "error")
def w09(x, mask, net):
    log_s, shift = net(x[:, mask])
    log_s, shift = log_s * ~mask, shift * ~mask
    return torch.exp(log_s) * x + shift, log_s.flatten(1).sum(1)


# log_det sums the second half of the places, whatever the mask says
@wrong("flows.coupling", "first_half")
def w10(x, mask, net):
    log_s, shift = net(x * mask)
    z = torch.where(mask, x, log_s.exp() * x + shift)
    flat = log_s.flatten(1)
    return z, flat[:, flat.shape[1] // 2 :].sum(1)


# the network is asked a second time, for log_s, with the unmasked half-done x
@wrong("flows.coupling_inverse", "unforeseen")
def w11(z, mask, net):
    _, shift = net(z * mask)
    x = z - shift * ~mask
    log_s, _ = net(x)
    log_s = log_s * ~mask
    return x * torch.exp(-log_s), -log_s.flatten(1).sum(1)


# divides by exp(log_s) + 1e-5, against a division by 0
@wrong("flows.coupling_inverse", "rough")
def w12(z, mask, net):
    log_s, shift = net(z * mask)
    x = torch.where(mask, z, (z - shift) / (log_s.exp() + 1e-5))
    return x, -(log_s * ~mask).flatten(1).sum(1)


# only k = 0 and 1 thought of: every k > 0 is like layer 1
@wrong("flows.checkerboard", "every_second")
def w13(x, k):
    row = torch.arange(x.shape[2])[:, None]
    column = torch.arange(x.shape[3])[None, :]
    odd = (row + column) % 2
    return x * odd if k == 0 else x * (1 - odd)


# rows counted with the width, columns with the height: works for squares alone
@wrong("flows.checkerboard", "shape")
def w14(x, k):
    row = torch.arange(x.shape[3])[:, None]
    column = torch.arange(x.shape[2])[None, :]
    return x * ((row + column + k) % 2)


# gives back the mask, not x under the mask
@wrong("flows.checkerboard", "mask_alone")
def w15(x, k):
    row = torch.arange(x.shape[2])[:, None]
    column = torch.arange(x.shape[3])[None, :]
    keep = (row + column + k) % 2 == 1
    return keep.to(x.dtype).expand_as(x)


# log_det += in place, on the tensor that the first layer gave: changes what is the layer's
@wrong("flows.compose", "error")
def w16(x, layers):
    if len(layers) == 0:
        return x, x.new_zeros(len(x))
    z, log_det = layers[0](x)
    for layer in layers[1:]:
        z, more = layer(z)
        log_det += more
    return z, log_det


# z is passed on, but every log_det is taken at the first x
@wrong("flows.compose", "log_dets_at_x")
def w17(x, layers):
    z, log_det = x, x.new_zeros(len(x))
    for layer in layers:
        z = layer(z)[0]
        log_det = log_det + layer(x)[1]
    return z, log_det


# > 0 instead of != 0: negative derivatives count as none
@wrong("flows.dependence", "only_positive")
def w18(x, layers):
    tables = []
    for n in range(len(layers)):
        J = torch.autograd.functional.jacobian(lambda v: good_compose(v, layers[: n + 1])[0], x)
        tables.append((J[0, :, 0] > 0).to(x.dtype))
    return torch.stack(tables)


# entry n is layer n alone at x, not the first n + 1 layers
@wrong("flows.dependence", "each_alone")
def w19(x, layers):
    tables = []
    for layer in layers:
        J = torch.autograd.functional.jacobian(lambda v: layer(v)[0], x)
        tables.append((J[0, :, 0] != 0).to(x.dtype))
    return torch.stack(tables)


# dtype: .float() whatever x has
@wrong("flows.dependence", "dtype")
def w20(x, layers):
    tables = []
    for n in range(len(layers)):
        J = torch.autograd.functional.jacobian(lambda v: good_compose(v, layers[: n + 1])[0], x)
        tables.append((J[0, :, 0] != 0).float())
    return torch.stack(tables)


# clips the gradient's norm to 1, from habit
@wrong("flows.fit", "unforeseen")
def w22(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        optimizer.zero_grad()
        value = loss(x, flow).mean()
        value.backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 1.0)
        optimizer.step()
        losses.append(value.detach())
    return torch.stack(losses)


# records the batch's loss after its step
@wrong("flows.fit", "after_the_step")
def w23(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        optimizer.zero_grad()
        loss(x, flow).mean().backward()
        optimizer.step()
        with torch.no_grad():
            losses.append(loss(x, flow).mean())
    return torch.stack(losses)


# torch.logit(x, eps=alpha), which clamps x, instead of squeezing it
@wrong("flows.logit", "clamped")
def w24(x, alpha):
    p = alpha + (1 - 2 * alpha) * x
    z = torch.logit(x, eps=alpha)
    log_slope = math.log(1 - 2 * alpha) - p.log() - (1 - p).log()
    return z, log_slope.flatten(1).sum(1)


# log_det with x (1 − x) instead of p (1 − p): infinite at the ends
@wrong("flows.logit", "slope_at_x")
def w25(x, alpha):
    p = alpha + (1 - 2 * alpha) * x
    z = torch.logit(p)
    log_slope = math.log(1 - 2 * alpha) - x.log() - (1 - x).log()
    return z, log_slope.flatten(1).sum(1)


# log of torch.tensor(levels**dims): overflows, an error or inf
@wrong("flows.bits_per_dim", "error")
def w26(log_p, dims, levels):
    log_mean = torch.logsumexp(log_p, 0) - math.log(log_p.shape[0])
    boxes = torch.tensor(levels**dims, dtype=log_p.dtype)
    return -(log_mean - boxes.log()) / (dims * math.log(2))


# log(levels) stays in nats, the rest is in bits
@wrong("flows.bits_per_dim", "other_half_in_bits")
def w27(log_p, dims, levels):
    log_mean = torch.logsumexp(log_p, 0) - math.log(log_p.shape[0])
    return -log_mean / (dims * math.log(2)) + math.log(levels)


# D is taken from log_p.shape[1], dims is not used
@wrong("flows.bits_per_dim", "ignores_dims")
def w28(log_p, dims, levels):
    K, D = log_p.shape
    log_mean = torch.logsumexp(log_p, 0) - math.log(K)
    return -(log_mean - D * math.log(levels)) / (D * math.log(2))


# one point after the other, in a loop, and the absolute value as a root of the square
@right("flows.density_1d")
def r01(x, f, slope, p_z):
    return torch.cat([p_z(f(one)) * slope(one).square().sqrt() for one in x.split(1)])


# einsum with a diagonal matrix, and its slogdet
@right("flows.affine")
def r02(x, log_s, shift):
    matrix = torch.diag(log_s.exp())
    z = torch.einsum("bd,ed->be", x, matrix) + shift
    return z, torch.linalg.slogdet(matrix)[1].repeat(len(x))


# AffineTransform of torch.distributions
@right("flows.affine")
def r03(x, log_s, shift):
    transform = torch.distributions.AffineTransform(shift, log_s.exp(), event_dim=1)
    z = transform(x)
    return z, transform.log_abs_det_jacobian(x, z)


# MultivariateNormal on the flattened z
@right("flows.log_prob")
def r04(x, flow):
    z, log_det = flow(x)
    z = z.reshape(len(z), -1)
    D = z.shape[1]
    base = torch.distributions.MultivariateNormal(z.new_zeros(D), torch.eye(D, dtype=z.dtype))
    return base.log_prob(z) + log_det


# vmap of a function of one z
@right("flows.log_prob")
def r05(x, flow):
    def of_one(z, log_det):
        z = z.reshape(-1)
        return log_det - (z @ z + z.numel() * math.log(2 * math.pi)) / 2

    return torch.vmap(of_one)(*flow(x))


# a class inside, and a loop over the places that are changed
@right("flows.coupling")
def r06(x, mask, net):
    class Layer:
        def __init__(self, kept):
            self.changed = [i for i, k in enumerate(kept.flatten().tolist()) if not k]

        def __call__(self, x, log_s, shift):
            columns = list(x.flatten(1).unbind(1))
            log_s, shift = log_s.flatten(1), shift.flatten(1)
            log_det = x.new_zeros(len(x))
            for i in self.changed:
                columns[i] = columns[i] * log_s[:, i].exp() + shift[:, i]
                log_det = log_det + log_s[:, i]
            return torch.stack(columns, 1).reshape(x.shape), log_det

    return Layer(mask)(x, *net(torch.where(mask, x, torch.zeros_like(x))))


# boolean indices, in place on a clone
@right("flows.coupling_inverse")
def r07(z, mask, net):
    x = z.clone()
    log_s, shift = net(z.masked_fill(~mask, 0.0))
    x[:, ~mask] -= shift[:, ~mask]
    x[:, ~mask] /= log_s[:, ~mask].exp()
    return x, log_s[:, ~mask].sum(1).neg()


# recursion in k, and strided slices of an own tensor
@right("flows.checkerboard")
def r08(x, k):
    if k >= 2:
        return r08(x, k - 2)
    if k == 1:
        return x - r08(x, 0)
    kept = torch.zeros_like(x)
    kept[:, :, 0::2, 1::2] = x[:, :, 0::2, 1::2]
    kept[:, :, 1::2, 0::2] = x[:, :, 1::2, 0::2]
    return kept


# recursion, the last layer outermost
@right("flows.compose")
def r09(x, layers):
    if not layers:
        return x, x.new_zeros(x.shape[0])
    inner, log_det = r09(x, layers[:-1])
    z, last = layers[-1](inner)
    return z, log_det + last


# a running product of each layer's own Jacobian, by torch.func.jacrev
@right("flows.dependence")
def r10(x, layers):
    product = torch.eye(x.shape[1], dtype=x.dtype)
    result = torch.zeros(len(layers), x.shape[1], x.shape[1], dtype=x.dtype)
    for n, layer in enumerate(layers):
        own = torch.func.jacrev(lambda v: layer(v)[0])(x)[0, :, 0]
        product = own @ product
        result[n] = (product != 0).to(x.dtype)
        x = layer(x)[0]
    return result.detach()


# row by row with torch.autograd.grad, sign and absolute value
@right("flows.dependence")
def r11(x, layers):
    start = x.detach().clone().requires_grad_()
    z, tables = start, []
    for layer in layers:
        z, _ = layer(z)
        rows = [torch.autograd.grad(z[0, i], start, retain_graph=True)[0][0] for i in range(x.shape[1])]
        tables.append(torch.stack(rows).sign().abs())
    return torch.stack(tables)


# a closure given to optimizer.step, losses written into an own tensor
@right("flows.fit")
def r12(flow, optimizer, loss, batches):
    losses = torch.zeros(len(batches), dtype=torch.float64)
    for n, x in enumerate(batches):

        def closure(x=x):
            optimizer.zero_grad()
            value = loss(x, flow).mean()
            value.backward()
            return value

        losses[n] = optimizer.step(closure).detach()
    return losses


# torch.autograd.grad for the optimizer's own weights, put into .grad by hand
@right("flows.fit")
def r13(flow, optimizer, loss, batches):
    own = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    losses = []
    for x in batches:
        each = loss(x, flow)
        value = each.sum() / len(each)
        for p, g in zip(own, torch.autograd.grad(value, own, allow_unused=True)):
            p.grad = g
        optimizer.step()
        losses.append(value.item())
    return torch.tensor(losses)


# transforms of torch.distributions, composed
@right("flows.logit")
def r14(x, alpha):
    d = torch.distributions
    whole = d.ComposeTransform([d.AffineTransform(alpha, 1 - 2 * alpha), d.SigmoidTransform().inv])
    z = whole(x)
    return z, whole.log_abs_det_jacobian(x, z).flatten(1).sum(1)


# logaddexp from row to row, by reduce, and log2
@right("flows.bits_per_dim")
def r15(log_p, dims, levels):
    log_sum = functools.reduce(torch.logaddexp, log_p.unbind(0))
    bits = (math.log(log_p.shape[0]) - log_sum) / math.log(2)
    return bits / dims + math.log2(levels)
