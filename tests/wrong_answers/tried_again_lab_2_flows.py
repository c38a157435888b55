"""Further answers to lab_2_flows, as they were tried on it."""
# ruff: noqa
# pyright: reportRedeclaration=false, reportAttributeAccessIssue=false, reportAssignmentType=false
# pyright: reportGeneralTypeIssues=false, reportAssertAlwaysTrue=false, reportUnusedExpression=false
# pyright: reportOptionalSubscript=false

from . import right, wrong

import copy

import math

from functools import reduce

import torch


# p_z is asked at x instead of at f(x)
@wrong("flows.density_1d", "base_at_x")
def d1(x, f, slope, p_z):
    return p_z(x) * slope(x).abs()


# in logarithms, exp at the end
@right("flows.density_1d")
def d_r1(x, f, slope, p_z):
    return torch.exp(torch.log(p_z(f(x))) + torch.log(torch.sqrt(slope(x).square())))


# log_det summed over the batch too: B times too large
@wrong("flows.affine", "summed_over_the_batch")
def a3(x, log_s, shift):
    z = log_s.exp() * x + shift
    log_det = log_s.expand_as(x).sum()
    return z, log_det.repeat(len(x))


# log_det = log of the SUM of the scales
@wrong("flows.affine", "added_before_log")
def a5(x, log_s, shift):
    s = torch.exp(log_s)
    return s * x + shift, torch.log(s.sum()) * torch.ones(len(x), dtype=x.dtype)


# torch.distributions' AffineTransform
@right("flows.affine")
def a_r1(x, log_s, shift):
    t = torch.distributions.transforms.AffineTransform(shift, log_s.exp(), event_dim=1)
    z = t(x)
    return z, t.log_abs_det_jacobian(x, z).expand(x.shape[0])


# matrix product with a diagonal, and slogdet
@right("flows.affine")
def a_r2(x, log_s, shift):
    J = torch.diag(log_s.exp())
    z = torch.einsum("ij,bj->bi", J, x) + shift[None, :]
    return z, torch.stack([torch.linalg.slogdet(J)[1] for _ in x])


# D is x.shape[1], also for pictures (the channels)
@wrong("flows.log_prob", "channels_for_D")
def l1(x, flow):
    z, log_det = flow(x)
    D = x.shape[1]
    return -0.5 * (z**2).flatten(1).sum(1) - D / 2 * math.log(2 * math.pi) + log_det


# norm not squared
@wrong("flows.log_prob", "not_squared")
def l2(x, flow):
    z, log_det = flow(x)
    z = z.flatten(1)
    return -0.5 * z.norm(dim=1) - z.shape[1] / 2 * math.log(2 * math.pi) + log_det


# base density of x instead of z
@wrong("flows.log_prob", "base_at_x")
def l3(x, flow):
    z, log_det = flow(x)
    x = x.flatten(1)
    return -0.5 * x.pow(2).sum(1) - 0.5 * x.shape[1] * math.log(2 * math.pi) + log_det


# D is the batch size, len(x)
@wrong("flows.log_prob", "batch_for_D")
def l4(x, flow):
    z, log_det = flow(x)
    return -0.5 * z.flatten(1).square().sum(1) - len(x) / 2 * math.log(2 * math.pi) + log_det


# log of 2 times pi: bracket misplaced, log(2) * pi
@wrong("flows.log_prob", "log_2_times_pi")
def l5(x, flow):
    z, log_det = flow(x)
    z = z.reshape(len(z), -1)
    return -0.5 * (z * z).sum(1) - 0.5 * z.shape[1] * math.log(2) * math.pi + log_det


# log_det's absolute value is added
@wrong("flows.log_prob", "absolute")
def l6(x, flow):
    z, log_det = flow(x)
    z = z.flatten(1)
    log_p_z = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1)
    return log_p_z + log_det.abs()


# torch.distributions, Independent Normal
@right("flows.log_prob")
def l_r1(x, flow):
    z, log_det = flow(x)
    shape = z.shape[1:]
    base = torch.distributions.Independent(
        torch.distributions.Normal(torch.zeros(shape, dtype=z.dtype), torch.ones(shape, dtype=z.dtype)), len(shape)
    )
    return base.log_prob(z) + log_det


# a loop over examples with dot products
@right("flows.log_prob")
def l_r2(x, flow):
    z, log_det = flow(x)
    out = []
    for zi, li in zip(z, log_det):
        v = zi.reshape(-1)
        out.append(li - (torch.dot(v, v) + v.numel() * math.log(math.tau)) / 2)
    return torch.stack(out)


# log_det sums log_s over all places, kept ones too
@wrong("flows.coupling", "log_det_of_all")
def c1(x, mask, net):
    log_s, shift = net(x * mask)
    z = torch.where(mask, x, log_s.exp() * x + shift)
    return z, log_s.flatten(1).sum(1)


# net gets the whole x, not masked
@wrong("flows.coupling", "sees_all")
def c2(x, mask, net):
    log_s, shift = net(x)
    log_s, shift = log_s * ~mask, shift * ~mask
    return log_s.exp() * x + shift, log_s.flatten(1).sum(1)


# mask misread: True where x is changed
@wrong("flows.coupling", "swapped")
def c4(x, mask, net):
    log_s, shift = net(x * ~mask)
    log_s, shift = log_s * mask, shift * mask
    return log_s.exp() * x + shift, log_s.flatten(1).sum(1)


# exp after masking is lost: the kept part is multiplied by 0 (masked scale)
@wrong("flows.coupling", "kept_is_lost")
def c5(x, mask, net):
    log_s, shift = net(x * mask)
    change = (~mask).to(x.dtype)
    z = (log_s.exp() * change) * x + shift * change
    return z, (log_s * change).flatten(1).sum(1)


# log_s and shift confused: net's outputs unpacked in the wrong order
@wrong("flows.coupling", "outputs_exchanged")
def c6(x, mask, net):
    shift, log_s = net(x * mask)
    shift, log_s = shift * ~mask, log_s * ~mask
    return log_s.exp() * x + shift, log_s.flatten(1).sum(1)


# boolean indexing into a clone
@right("flows.coupling")
def c_r1(x, mask, net):
    seen = x.clone()
    seen[:, ~mask] = 0
    log_s, shift = net(seen)
    z = x.clone()
    z[:, ~mask] = x[:, ~mask] * log_s[:, ~mask].exp() + shift[:, ~mask]
    return z, log_s[:, ~mask].sum(dim=1)


# masked_fill and addcmul, einsum for the sum
@right("flows.coupling")
def c_r2(x, mask, net):
    log_s, shift = net(x.masked_fill(~mask, 0.0))
    log_s = log_s.masked_fill(mask, 0.0)
    shift = shift.masked_fill(mask, 0.0)
    z = torch.addcmul(shift, log_s.exp(), x)
    return z, torch.einsum("b...->b", log_s)


# shift subtracted after the scale is undone
@wrong("flows.coupling_inverse", "scale_first")
def i1(z, mask, net):
    log_s, shift = net(z * mask)
    log_s, shift = log_s * ~mask, shift * ~mask
    return z * torch.exp(-log_s) - shift, -log_s.flatten(1).sum(1)


# log_det of the forward map, sign not changed
@wrong("flows.coupling_inverse", "log_det_of_forward")
def i2(z, mask, net):
    log_s, shift = net(z * mask)
    log_s, shift = log_s * ~mask, shift * ~mask
    return (z - shift) / log_s.exp(), log_s.flatten(1).sum(1)


# log_det = 1/log_det of the forward map
@wrong("flows.coupling_inverse", "reciprocal")
def i3(z, mask, net):
    log_s, shift = net(z * mask)
    log_s, shift = log_s * ~mask, shift * ~mask
    return (z - shift) * torch.exp(-log_s), 1 / log_s.flatten(1).sum(1)


# mask turned round, since the other half 'comes back' on the way back
@wrong("flows.coupling_inverse", "swapped")
def i4(z, mask, net):
    mask = ~mask
    log_s, shift = net(z * mask)
    log_s, shift = log_s * ~mask, shift * ~mask
    return (z - shift) * torch.exp(-log_s), -log_s.flatten(1).sum(1)


# shift is added, not subtracted
@wrong("flows.coupling_inverse", "shifted_again")
def i5(z, mask, net):
    log_s, shift = net(z * mask)
    log_s, shift = log_s * ~mask, shift * ~mask
    return (z + shift) * torch.exp(-log_s), -log_s.flatten(1).sum(1)


# log_det has the mean over places, not the sum
@wrong("flows.coupling_inverse", "mean_not_sum")
def i6(z, mask, net):
    log_s, shift = net(z * mask)
    log_s, shift = log_s * ~mask, shift * ~mask
    return (z - shift) * torch.exp(-log_s), -log_s.flatten(1).mean(1)


# a class inside that knows both halves
@right("flows.coupling_inverse")
def i_r1(z, mask, net):
    class Back:
        def __init__(self, z):
            self.keep = torch.where(mask, z, torch.zeros_like(z))
            self.log_s, self.shift = net(self.keep)

        def x(self):
            return self.keep + torch.where(mask, 0.0, (z - self.shift) / torch.exp(self.log_s))

        def log_det(self):
            return torch.where(mask, 0.0, self.log_s).neg().reshape(len(z), -1).sum(-1)

    b = Back(z)
    return b.x(), b.log_det()


# other parity: keeps even ones in layer 0
@wrong("flows.checkerboard", "turned_round")
def k1(x, k):
    r = torch.arange(x.shape[2])[:, None]
    c = torch.arange(x.shape[3])[None, :]
    return x * ((r + c + k) % 2 == 0)


# numbers of the flattened picture, odd ones: stripes
@wrong("flows.checkerboard", "stripes")
def k2(x, k):
    H, W = x.shape[2:]
    board = (torch.arange(H * W) + k) % 2
    return x * board.reshape(H, W)


# only layers 0 and 1 handled: from layer 1 on the same board
@wrong("flows.checkerboard", "every_second")
def k3(x, k):
    r = torch.arange(x.shape[2])[:, None]
    c = torch.arange(x.shape[3])
    odd = (r + c) % 2 == 1
    return x * (odd if k == 0 else ~odd)


# the channel's number counts too
@wrong("flows.checkerboard", "channels_too")
def k4(x, k):
    ch, r, c = torch.meshgrid(*[torch.arange(n) for n in x.shape[1:]], indexing="ij")
    return x * ((ch + r + c + k) % 2)


# half of the cases: only even rows are filled
@wrong("flows.checkerboard", "even_rows_alone")
def k5(x, k):
    out = torch.zeros_like(x)
    out[:, :, ::2, (1 + k) % 2 :: 2] = x[:, :, ::2, (1 + k) % 2 :: 2]
    return out


# strided slices of a clone set to 0
@right("flows.checkerboard")
def k_r1(x, k):
    y = x.clone()
    j = k % 2
    y[..., 0::2, j::2] = 0
    y[..., 1::2, (1 - j) :: 2] = 0
    return y


# a double loop over rows and columns
@right("flows.checkerboard")
def k_r2(x, k):
    y = torch.zeros_like(x)
    for r in range(x.size(2)):
        for c in range(x.size(3)):
            if (r + c - k) % 2:
                y[:, :, r, c] = x[:, :, r, c]
    return y


# every log_det is taken at the first x
@wrong("flows.compose", "log_dets_at_x")
def o1(x, layers):
    z, log_det = x, torch.zeros(len(x), dtype=x.dtype)
    for layer in layers:
        log_det = log_det + layer(x)[1]
        z = layer(z)[0]
    return z, log_det


# last layer first
@wrong("flows.compose", "order_turned")
def o2(x, layers):
    log_det = 0
    for layer in reversed(layers):
        x, ld = layer(x)
        log_det = log_det + ld
    return x, log_det


# log_dets multiplied
@wrong("flows.compose", "multiplied")
def o4(x, layers):
    total = torch.ones(len(x), dtype=x.dtype)
    for layer in layers:
        x, ld = layer(x)
        total = total * ld
    return x, total


# log_det summed over the examples too
@wrong("flows.compose", "mixing")
def o5(x, layers):
    total = torch.zeros(len(x), dtype=x.dtype)
    for layer in layers:
        x, ld = layer(x)
        total += ld.sum()
    return x, total


# recursion
@right("flows.compose")
def o_r1(x, layers):
    if len(layers) == 0:
        return x, x.new_zeros(x.shape[0])
    z, first = layers[0](x)
    z, rest = o_r1(z, layers[1:])
    return z, first + rest


# functools.reduce
@right("flows.compose")
def o_r2(x, layers):
    def step(state, layer):
        z, more = layer(state[0])
        return z, state[1] + more

    return reduce(step, layers, (x, torch.zeros(x.shape[0], dtype=x.dtype)))


def through(x, layers):
    for layer in layers:
        x = layer(x)[0]
    return x


# inputs and outputs exchanged: transposed tables
@wrong("flows.dependence", "transposed")
def e1(x, layers):
    tables = []
    for n in range(len(layers)):
        J = torch.autograd.functional.jacobian(lambda y: through(y, layers[: n + 1]), x)[0, :, 0]
        tables.append((J.T != 0).to(x.dtype))
    return torch.stack(tables)


# off by one: the first n layers, starting with none
@wrong("flows.dependence", "one_early")
def e2(x, layers):
    tables = []
    for n in range(len(layers)):
        J = torch.autograd.functional.jacobian(lambda y: through(y, layers[:n]) * 1, x)[0, :, 0]
        tables.append((J != 0).to(x.dtype))
    return torch.stack(tables)


# each layer alone, at x
@wrong("flows.dependence", "each_alone")
def e3(x, layers):
    tables = []
    for layer in layers:
        J = torch.autograd.functional.jacobian(lambda y: layer(y)[0], x)[0, :, 0]
        tables.append((J != 0).to(x.dtype))
    return torch.stack(tables)


# > 0 instead of != 0: negative derivatives lost
@wrong("flows.dependence", "only_positive")
def e4(x, layers):
    tables = []
    for n in range(len(layers)):
        J = torch.autograd.functional.jacobian(lambda y: through(y, layers[: n + 1]), x)[0, :, 0]
        tables.append((J > 0).to(x.dtype))
    return torch.stack(tables)


# the derivatives themselves are returned
@wrong("flows.dependence", "derivatives")
def e5(x, layers):
    return torch.stack(
        [
            torch.autograd.functional.jacobian(lambda y: through(y, layers[: n + 1]), x)[0, :, 0]
            for n in range(len(layers))
        ]
    )


# rows by torch.autograd.grad
@right("flows.dependence")
def e_r1(x, layers):
    D = x.shape[1]
    start = x.detach().clone().requires_grad_(True)
    here = start
    out = x.new_zeros(len(layers), D, D)
    for n, layer in enumerate(layers):
        here = layer(here)[0]
        for i in range(D):
            (g,) = torch.autograd.grad(here[0, i], start, retain_graph=True)
            out[n, i] = (g[0] != 0).to(x.dtype)
    return out


# chain rule, product of the layers' Jacobians at their own points
@right("flows.dependence")
def e_r2(x, layers):
    J = torch.eye(x.shape[1], dtype=x.dtype)
    tables = []
    for layer in layers:
        own = torch.autograd.functional.jacobian(lambda y, layer=layer: layer(y)[0], x)[0, :, 0, :]
        J = own @ J
        x = layer(x)[0].detach()
        tables.append(torch.where(J == 0, 0.0, 1.0).to(J.dtype))
    return torch.stack(tables)


# zero_grad forgotten
@wrong("flows.fit", "piled_up")
def f1(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        value = loss(x, flow).mean()
        value.backward()
        optimizer.step()
        losses.append(value.detach())
    return torch.stack(losses)


# losses are computed after the step
@wrong("flows.fit", "after_the_step")
def f3(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        optimizer.zero_grad()
        loss(x, flow).mean().backward()
        optimizer.step()
        losses.append(loss(x, flow).mean().detach())
    return torch.stack(losses)


# goes down the sum, records the mean
@wrong("flows.fit", "summed_backward")
def f4(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        optimizer.zero_grad()
        each = loss(x, flow)
        each.sum().backward()
        optimizer.step()
        losses.append(each.mean().detach())
    return torch.stack(losses)


# losses not detached
@wrong("flows.fit", "graphs_kept")
def f5(flow, optimizer, loss, batches):
    losses = []
    for x in batches:
        optimizer.zero_grad()
        value = loss(x, flow).mean()
        value.backward()
        optimizer.step()
        losses.append(value)
    return torch.stack(losses)


# zero_grad once, before the loop
@wrong("flows.fit", "piled_up")
def f6(flow, optimizer, loss, batches):
    optimizer.zero_grad()
    losses = torch.zeros(len(batches))
    for n, x in enumerate(batches):
        value = loss(x, flow).mean()
        value.backward()
        optimizer.step()
        losses[n] = value.detach()
    return losses


# a new Adam over all of flow's weights instead of the given optimizer
@wrong("flows.fit", "another_optimizer")
def f7(flow, optimizer, loss, batches):
    optimizer = torch.optim.Adam(flow.parameters(), lr=optimizer.param_groups[0]["lr"])
    losses = []
    for x in batches:
        optimizer.zero_grad()
        value = loss(x, flow).mean()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return torch.tensor(losses)


# optimizer.step with a closure
@right("flows.fit")
def f_r1(flow, optimizer, loss, batches):
    losses = []
    for x in batches:

        def closure():
            optimizer.zero_grad()
            value = loss(x, flow).mean()
            value.backward()
            return value

        losses.append(float(optimizer.step(closure)))
    return torch.tensor(losses)


# autograd.grad, and .grad filled by hand
@right("flows.fit")
def f_r2(flow, optimizer, loss, batches):
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    losses = torch.empty(len(batches), dtype=torch.float64)
    for n, x in enumerate(batches):
        each = loss(x, flow)
        value = each.sum() / each.numel()
        for p, g in zip(weights, torch.autograd.grad(value, weights, allow_unused=True)):
            p.grad = g
        optimizer.step()
        losses[n] = value.item()
    return losses


# log(1 - 2 alpha) forgotten in log_det
@wrong("flows.logit", "no_squeeze")
def g1(x, alpha):
    p = alpha + (1 - 2 * alpha) * x
    z = torch.log(p / (1 - p))
    return z, (-torch.log(p) - torch.log(1 - p)).flatten(1).sum(1)


# log(1 - 2 alpha) once for each picture, not for each pixel
@wrong("flows.logit", "squeezed_once")
def g2(x, alpha):
    p = alpha + (1 - 2 * alpha) * x
    z = torch.log(p / (1 - p))
    return z, (-torch.log(p) - torch.log(1 - p)).flatten(1).sum(1) + math.log(1 - 2 * alpha)


# log_det of the sigmoid, p (1 - p): the sign of these terms wrong
@wrong("flows.logit", "slope_of_the_sigmoid")
def g3(x, alpha):
    p = alpha + (1 - 2 * alpha) * x
    z = torch.log(p / (1 - p))
    return z, (math.log(1 - 2 * alpha) + torch.log(p * (1 - p))).flatten(1).sum(1)


# squeeze with 1 - alpha instead of 1 - 2 alpha, everywhere
@wrong("flows.logit", "unforeseen")
def g4(x, alpha):
    p = alpha + (1 - alpha) * x * (1 - 1e-6)
    z = torch.log(p) - torch.log(1 - p)
    return z, (math.log(1 - alpha) - torch.log(p) - torch.log(1 - p)).flatten(1).sum(1)


# clamp instead of squeeze: torch.logit(x, eps=alpha)
@wrong("flows.logit", "clamped")
def g5(x, alpha):
    z = torch.logit(x, eps=alpha)
    p = x.clamp(alpha, 1 - alpha)
    return z, (math.log(1 - 2 * alpha) - torch.log(p * (1 - p))).flatten(1).sum(1)


# softplus of z for log_det
@right("flows.logit")
def g_r1(x, alpha):
    z = torch.logit(alpha + (1 - 2 * alpha) * x)
    sp = torch.nn.functional.softplus
    per = sp(z) + sp(-z) + math.log1p(-2 * alpha)
    return z, per.reshape(x.shape[0], -1).sum(dim=-1)


# torch.distributions' transforms
@right("flows.logit")
def g_r2(x, alpha):
    T = torch.distributions.transforms
    chain = T.ComposeTransform([T.AffineTransform(alpha, 1 - 2 * alpha), T.SigmoidTransform().inv])
    z = chain(x)
    ld = chain.log_abs_det_jacobian(x, z)
    while ld.dim() > 1:
        ld = ld.sum(-1)
    return z, ld


# mean of the logarithms instead of the logarithm of the mean
@wrong("flows.bits_per_dim", "bits_averaged")
def b1(log_p, dims, levels):
    return -(log_p.mean(0) - dims * math.log(levels)) / (dims * math.log(2))


# log(mean(exp)): overflows
@wrong("flows.bits_per_dim", "by_way_of_p")
def b2(log_p, dims, levels):
    return -(log_p.exp().mean(0).log() - dims * math.log(levels)) / (dims * math.log(2))


# K and B confused: divided by B = shape[1]
@wrong("flows.bits_per_dim", "pictures_for_k")
def b3(log_p, dims, levels):
    K = log_p.shape[1]
    log_mean = torch.logsumexp(log_p, 0) - math.log(K)
    return -(log_mean - dims * math.log(levels)) / (dims * math.log(2))


# log L once, not for each dimension
@wrong("flows.bits_per_dim", "levels_once")
def b4(log_p, dims, levels):
    log_mean = torch.logsumexp(log_p, 0) - math.log(len(log_p))
    return -(log_mean - math.log(levels)) / (dims * math.log(2))


# levels in bits, log_p left in nats: log2 for one term only
@wrong("flows.bits_per_dim", "half_in_bits")
def b5(log_p, dims, levels):
    log_mean = torch.logsumexp(log_p, 0) - math.log(len(log_p))
    return -log_mean / dims + math.log2(levels)


# largest taken out by hand, log2 in two terms
@right("flows.bits_per_dim")
def b_r1(log_p, dims, levels):
    top = log_p.max(dim=0).values
    mean = (log_p - top).exp().mean(0)
    return math.log2(levels) - (top / math.log(2) + mean.log2()) / dims


# a loop of logaddexp
@right("flows.bits_per_dim")
def b_r2(log_p, dims, levels):
    total = log_p[0]
    for row in log_p[1:]:
        total = torch.logaddexp(total, row)
    K = log_p.size(0)
    return (
        (math.log(K) + dims * math.log(levels) - total) / math.log(2**dims)
        if dims < 1000
        else (math.log(K) + dims * math.log(levels) - total) / (dims * math.log(2))
    )
