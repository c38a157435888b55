"""Further answers to lab_2_flows, as they were tried on it."""
# ruff: noqa
# pyright: reportRedeclaration=false, reportAttributeAccessIssue=false, reportAssignmentType=false
# pyright: reportGeneralTypeIssues=false, reportAssertAlwaysTrue=false, reportUnusedExpression=false
# pyright: reportOptionalSubscript=false

from . import right, wrong

import copy, functools, math, sys

import torch

import torch.nn.functional as F


# divides by the slope instead of multiplying
@wrong("flows.density_1d", "divided")
def _(x, f, slope, p_z):
    return p_z(f(x)) / slope(x).abs()


# the mean slope of the batch for all x
@wrong("flows.density_1d", "mixing")
def _(x, f, slope, p_z):
    return p_z(f(x)) * slope(x).abs().mean()


# relu of the slope instead of its size (0 where f falls)
@wrong("flows.density_1d", "cut")
def _(x, f, slope, p_z):
    return p_z(f(x)) * slope(x).clamp(min=0)


# the abs on the wrong thing: p_z(|f(x)|) * f'(x)
@wrong("flows.density_1d", "no_abs")
def _(x, f, slope, p_z):
    return p_z(f(x).abs()) * slope(x)


# where by sign
@right("flows.density_1d")
def _(x, f, slope, p_z):
    s = slope(x)
    return p_z(f(x)) * torch.where(s < 0, -s, s)


# loop over single points
@right("flows.density_1d")
def _(x, f, slope, p_z):
    out = torch.empty_like(x)
    for i in range(len(x)):
        xi = x[i : i + 1]
        out[i] = (p_z(f(xi)) * (slope(xi) ** 2).sqrt())[0]
    return out


# shift before the scale: exp(log_s) * (x + shift)
@wrong("flows.affine", "shift_first")
def _(x, log_s, shift):
    return log_s.exp() * (x + shift), log_s.sum().expand(len(x))


# mean of log_s instead of sum
@wrong("flows.affine", "mean_not_sum")
def _(x, log_s, shift):
    return log_s.exp() * x + shift, log_s.mean().expand(len(x))


# log_det counts the shift too: sum(log_s + shift)
@wrong("flows.affine", "shift_counted")
def _(x, log_s, shift):
    return log_s.exp() * x + shift, (log_s + shift).sum().expand(len(x))


# log_det adds up over the batch too (B times too large)
@wrong("flows.affine", "summed_over_the_batch")
def _(x, log_s, shift):
    return log_s.exp() * x + shift, log_s.expand_as(x).sum().expand(len(x))


# in place on x
@wrong("flows.affine", "in_place")
def _(x, log_s, shift):
    x *= log_s.exp()
    x += shift
    return x, log_s.sum().expand(len(x))


# log_det (B, D), not summed
@wrong("flows.affine", "shape")
def _(x, log_s, shift):
    return log_s.exp() * x + shift, log_s.expand_as(x)


# log_det of shape (D,): repeated x.shape[1] times
@wrong("flows.affine", "shape")
def _(x, log_s, shift):
    return log_s.exp() * x + shift, log_s.sum().repeat(x.shape[1])


# takes log_s for the scale: z = log_s * x + shift, log_det = sum log|log_s|
@wrong("flows.affine", "no_exp")
def _(x, log_s, shift):
    return log_s * x + shift, log_s.abs().log().sum().expand(len(x))


# matmul with diag, slogdet
@right("flows.affine")
def _(x, log_s, shift):
    J = torch.diag(log_s.exp())
    return x @ J + shift, torch.linalg.slogdet(J)[1].repeat(x.shape[0])


# torch.distributions AffineTransform
@right("flows.affine")
def _(x, log_s, shift):
    t = torch.distributions.transforms.AffineTransform(shift, log_s.exp())
    z = t(x)
    return z, t.log_abs_det_jacobian(x, z).sum(-1)


# loops over coordinates
@right("flows.affine")
def _(x, log_s, shift):
    cols, ld = [], x.new_zeros(x.shape[0])
    for d in range(x.shape[1]):
        cols.append(torch.exp(log_s[d]) * x[:, d] + shift[d])
        ld = ld + log_s[d]
    return torch.stack(cols, dim=1), ld


# D = number of channels (x.shape[1]) for pictures
@wrong("flows.log_prob", "channels_for_D")
def _(x, flow):
    z, ld = flow(x)
    D = x.shape[1]
    return -0.5 * (z**2).flatten(1).sum(1) - D / 2 * math.log(2 * math.pi) + ld


# norm instead of squared norm
@wrong("flows.log_prob", "not_squared")
def _(x, flow):
    z, ld = flow(x)
    z = z.flatten(1)
    return -0.5 * z.norm(dim=1) - z.shape[1] / 2 * math.log(2 * math.pi) + ld


# log2 in the constant
@wrong("flows.log_prob", "slip")
def _(x, flow):
    z, ld = flow(x)
    z = z.flatten(1)
    return -0.5 * (z**2).sum(1) - z.shape[1] / 2 * math.log2(2 * math.pi) + ld


# base density asked at x, not z
@wrong("flows.log_prob", "base_at_x")
def _(x, flow):
    z, ld = flow(x)
    x = x.flatten(1)
    return -0.5 * (x**2).sum(1) - x.shape[1] / 2 * math.log(2 * math.pi) + ld


# squared norm summed over the whole batch
@wrong("flows.log_prob", "length_of_the_batch")
def _(x, flow):
    z, ld = flow(x)
    D = z[0].numel()
    return -0.5 * (z**2).sum() - D / 2 * math.log(2 * math.pi) + ld


# mean of log_det over the batch
@wrong("flows.log_prob", "mixing")
def _(x, flow):
    z, ld = flow(x)
    z = z.flatten(1)
    return -0.5 * (z**2).sum(1) - z.shape[1] / 2 * math.log(2 * math.pi) + ld.mean()


# returns the density, exp at the end
@wrong("flows.log_prob", "not_log")
def _(x, flow):
    z, ld = flow(x)
    z = z.flatten(1)
    return (-0.5 * (z**2).sum(1) - z.shape[1] / 2 * math.log(2 * math.pi) + ld).exp()


# log_det added in every coordinate, before the sum (D times)
@wrong("flows.log_prob", "log_det_for_each_coordinate")
def _(x, flow):
    z, ld = flow(x)
    z = z.flatten(1)
    per = -0.5 * z**2 - 0.5 * math.log(2 * math.pi) + ld[:, None]
    return per.sum(1)


# MultivariateNormal
@right("flows.log_prob")
def _(x, flow):
    z, ld = flow(x)
    z = z.reshape(z.shape[0], -1)
    D = z.shape[1]
    base = torch.distributions.MultivariateNormal(z.new_zeros(D), torch.eye(D, dtype=z.dtype))
    return base.log_prob(z) + ld


# Independent normal with reinterpreted axes
@right("flows.log_prob")
def _(x, flow):
    z, ld = flow(x)
    base = torch.distributions.Independent(
        torch.distributions.Normal(torch.zeros_like(z[0]), torch.ones_like(z[0])), z.dim() - 1
    )
    return base.log_prob(z).add(ld)


# einsum and product of densities in logs, list
@right("flows.log_prob")
def _(x, flow):
    z, ld = flow(x)
    out = []
    for zi, li in zip(z, ld):
        v = zi.flatten()
        out.append(li - (torch.einsum("i,i->", v, v) + v.numel() * math.log(2 * math.pi)) / 2)
    return torch.stack(out)


# the network is shown the part that is changed (x * ~mask)
@wrong("flows.coupling", "sees_the_changed")
def _(x, mask, net):
    log_s, shift = net(x * ~mask)
    log_s, shift = log_s * ~mask, shift * ~mask
    return log_s.exp() * x + shift, log_s.flatten(1).sum(1)


# the second part is not masked: x*mask + exp(s)*x + t
@wrong("flows.coupling", "kept_twice")
def _(x, mask, net):
    x1 = x * mask
    log_s, shift = net(x1)
    z = x1 + log_s.exp() * x + shift
    return z, (log_s * ~mask).flatten(1).sum(1)


# masks exp(log_s), not log_s: what is kept becomes 0
@wrong("flows.coupling", "kept_is_lost")
def _(x, mask, net):
    log_s, shift = net(x * mask)
    s = log_s.exp() * ~mask
    return s * x + shift * ~mask, (log_s * ~mask).flatten(1).sum(1)


# shift before the scale: exp(s) * (x + t)
@wrong("flows.coupling", "shift_first")
def _(x, mask, net):
    log_s, shift = net(x * mask)
    log_s, shift = log_s * ~mask, shift * ~mask
    return log_s.exp() * (x + shift), log_s.flatten(1).sum(1)


# hard-coded halves, ignores the mask
@wrong("flows.coupling", "ignores_mask")
def _(x, mask, net):
    flat = x.flatten(1)
    h = flat.shape[1] // 2
    m = torch.zeros(flat.shape[1], dtype=torch.bool)
    m[:h] = True
    m = m.reshape(x.shape[1:])
    log_s, shift = net(x * m)
    log_s, shift = log_s * ~m, shift * ~m
    return log_s.exp() * x + shift, log_s.flatten(1).sum(1)


# in place: zeroes x for the network, and then scales the zeros
@wrong("flows.coupling", "in_place")
def _(x, mask, net):
    x[:, ~mask] = 0
    log_s, shift = net(x)
    log_s, shift = log_s * ~mask, shift * ~mask
    return log_s.exp() * x + shift, log_s.flatten(1).sum(1)


# log_det sums axis 1 only (not pictures)
@wrong("flows.coupling", "axes_left")
def _(x, mask, net):
    log_s, shift = net(x * mask)
    log_s, shift = log_s * ~mask, shift * ~mask
    return log_s.exp() * x + shift, log_s.sum(1)


# boolean indexing into a clone
@right("flows.coupling")
def _(x, mask, net):
    x1 = x.clone()
    x1[:, ~mask] = 0
    log_s, shift = net(x1)
    z = x.clone()
    z[:, ~mask] = log_s[:, ~mask].exp() * x[:, ~mask] + shift[:, ~mask]
    return z, log_s[:, ~mask].sum(1)


# torch.where, vmap over the batch for the sum
@right("flows.coupling")
def _(x, mask, net):
    log_s, shift = net(torch.where(mask, x, torch.zeros_like(x)))
    z = torch.where(mask, x, torch.exp(log_s) * x + shift)
    return z, torch.vmap(lambda s: torch.where(mask, torch.zeros_like(s), s).sum())(log_s)


# class inside, masked_fill
@right("flows.coupling")
def _(x, mask, net):
    class C:
        def __init__(self, m):
            self.m = m

        def go(self, x):
            log_s, t = (o.masked_fill(self.m, 0.0) for o in net(x.masked_fill(~self.m, 0.0)))
            return torch.addcmul(t, x, log_s.exp()), log_s.reshape(x.shape[0], -1).sum(-1)

    return C(mask).go(x)


# forward formula with both numbers negated: exp(-s) z - t
@wrong("flows.coupling_inverse", "scale_first")
def _(z, mask, net):
    log_s, shift = net(z * mask)
    log_s, shift = -log_s * ~mask, -shift * ~mask
    return log_s.exp() * z + shift, log_s.flatten(1).sum(1)


# log_det is one over the forward's, instead of minus
@wrong("flows.coupling_inverse", "reciprocal")
def _(z, mask, net):
    log_s, shift = net(z * mask)
    log_s, shift = log_s * ~mask, shift * ~mask
    return (z - shift) * (-log_s).exp(), 1 / log_s.flatten(1).sum(1)


# shift is not masked
@wrong("flows.coupling_inverse", "all_shifted")
def _(z, mask, net):
    log_s, shift = net(z * mask)
    log_s = log_s * ~mask
    return (z - shift) / log_s.exp(), -log_s.flatten(1).sum(1)


# mean over the coordinates in log_det
@wrong("flows.coupling_inverse", "mean_not_sum")
def _(z, mask, net):
    log_s, shift = net(z * mask)
    log_s, shift = log_s * ~mask, shift * ~mask
    return (z - shift) / log_s.exp(), -log_s.flatten(1).mean(1)


# the mask the other way round
@wrong("flows.coupling_inverse", "swapped")
def _(z, mask, net):
    mask = ~mask
    log_s, shift = net(z * mask)
    log_s, shift = log_s * ~mask, shift * ~mask
    return (z - shift) / log_s.exp(), -log_s.flatten(1).sum(1)


# bracket: divides the shift alone, z - t exp(-s)
@wrong("flows.coupling_inverse", "shift_scaled_alone")
def _(z, mask, net):
    log_s, shift = net(z * mask)
    log_s, shift = log_s * ~mask, shift * ~mask
    return z - shift * torch.exp(-log_s), -log_s.flatten(1).sum(1)


# multiplies by exp(+s) after taking the shift away
@wrong("flows.coupling_inverse", "scaled_again")
def _(z, mask, net):
    log_s, shift = net(z * mask)
    log_s, shift = log_s * ~mask, shift * ~mask
    return (z - shift) * log_s.exp(), -log_s.flatten(1).sum(1)


# two: adds the shift, and log_det of the forward map
@wrong("flows.coupling_inverse", "slip")
def _(z, mask, net):
    log_s, shift = net(z * mask)
    log_s, shift = log_s * ~mask, shift * ~mask
    return (z + shift) * torch.exp(-log_s), log_s.flatten(1).sum(1)


# multiplied out
@right("flows.coupling_inverse")
def _(z, mask, net):
    keep = mask.to(z.dtype)
    log_s, shift = net(keep * z)
    r = torch.exp(-log_s)
    return keep * z + (1 - keep) * (r * z - r * shift), -torch.einsum("bi,i->b", log_s.flatten(1), (1 - keep).flatten())


# index_put on own tensor, loop over examples
@right("flows.coupling_inverse")
def _(z, mask, net):
    log_s, shift = net(z * mask)
    rows, lds = [], []
    for b in range(len(z)):
        row = z[b].clone()
        row[~mask] = (row[~mask] - shift[b][~mask]) / log_s[b][~mask].exp()
        rows.append(row)
        lds.append(-log_s[b][~mask].sum())
    return torch.stack(rows), torch.stack(lds)


# AffineTransform.inv
@right("flows.coupling_inverse")
def _(z, mask, net):
    log_s, shift = net(torch.where(mask, z, 0.0))
    zero = torch.zeros_like(log_s)
    log_s, shift = torch.where(mask, zero, log_s), torch.where(mask, zero, shift)
    t = torch.distributions.transforms.AffineTransform(shift, log_s.exp(), event_dim=z.dim() - 1).inv
    x = t(z)
    return x, t.log_abs_det_jacobian(z, x)


# odd flat numbers: stripes
@wrong("flows.checkerboard", "stripes")
def _(x, k):
    H, W = x.shape[2:]
    n = torch.arange(H * W).reshape(H, W)
    return x * ((n + k) % 2)


# == 1 - k without mod: from layer 2 on all is 0
@wrong("flows.checkerboard", "nothing_in_layer_2")
def _(x, k):
    H, W = x.shape[2:]
    s = torch.arange(H)[:, None] + torch.arange(W)
    return x * (s % 2 == 1 - k)


# the channel counts too: channel + row + column
@wrong("flows.checkerboard", "channels_too")
def _(x, k):
    C, H, W = x.shape[1:]
    s = torch.arange(C)[:, None, None] + torch.arange(H)[:, None] + torch.arange(W)
    return x * ((s + k) % 2)


# takes pictures to be square (arange(H) twice)
@wrong("flows.checkerboard", "square_by_height")
def _(x, k):
    r = torch.arange(x.shape[2])
    return x * ((r[:, None] + r + k) % 2)


# slices: only the even rows' half of the board
@wrong("flows.checkerboard", "even_rows_alone")
def _(x, k):
    out = torch.zeros_like(x)
    out[:, :, ::2, (k + 1) % 2 :: 2] = x[:, :, ::2, (k + 1) % 2 :: 2]
    return out


# in place: zeroes x itself
@wrong("flows.checkerboard", "in_place")
def _(x, k):
    H, W = x.shape[2:]
    s = torch.arange(H)[:, None] + torch.arange(W) + k
    x[:, :, s % 2 == 0] = 0
    return x


# returns the kept pixels alone, x[:, :, board]
@wrong("flows.checkerboard", "squeezed")
def _(x, k):
    H, W = x.shape[2:]
    s = torch.arange(H)[:, None] + torch.arange(W) + k
    return x[:, :, s % 2 == 1]


# slices into zeros_like
@right("flows.checkerboard")
def _(x, k):
    out = torch.zeros_like(x)
    p = k % 2
    out[..., 0::2, (1 - p) :: 2] = x[..., 0::2, (1 - p) :: 2]
    out[..., 1::2, p::2] = x[..., 1::2, p::2]
    return out


# (-1)^(r+c) algebra
@right("flows.checkerboard")
def _(x, k):
    r = (-1.0) ** torch.arange(x.shape[-2])
    c = (-1.0) ** torch.arange(x.shape[-1])
    b = (1 - (-1.0) ** k * torch.outer(r, c)) / 2
    return x * b.to(x.dtype)


# recursion over k, double loop
@right("flows.checkerboard")
def _(x, k):
    def go(k):
        if k > 0:
            return x - go(k - 1)
        out = torch.zeros_like(x)
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                if (i ^ j) & 1:
                    out[:, :, i, j] = x[:, :, i, j]
        return out

    return go(k)


# the first layer's log_det is forgotten
@wrong("flows.compose", "first_log_det_left_out")
def _(x, layers):
    z = layers[0](x)[0]
    ld = z.new_zeros(len(z))
    for layer in layers[1:]:
        z, more = layer(z)
        ld = ld + more
    return z, ld


# each layer called twice, the log_det at the layer's output
@wrong("flows.compose", "log_dets_at_z")
def _(x, layers):
    ld = x.new_zeros(len(x))
    for layer in layers:
        x = layer(x)[0]
        ld = ld + layer(x)[1]
    return x, ld


# log_det summed over the batch: a scalar
@wrong("flows.compose", "summed_over_the_batch")
def _(x, layers):
    ld = 0
    for layer in layers:
        x, more = layer(x)
        ld = ld + more.sum()
    return x, ld


# takes the layers out of the list (pop)
@wrong("flows.compose", "error")
def _(x, layers):
    ld = x.new_zeros(len(x))
    while layers:
        x, more = layers.pop(0)(x)
        ld = ld + more
    return x, ld


# log-dets averaged over the layers
@wrong("flows.compose", "averaged")
def _(x, layers):
    ld = []
    for layer in layers:
        x, more = layer(x)
        ld.append(more)
    return x, torch.stack(ld).mean(0)


# return inside the loop
@wrong("flows.compose", "first_only")
def _(x, layers):
    ld = x.new_zeros(len(x))
    for layer in layers:
        x, more = layer(x)
        ld = ld + more
        return x, ld


# all log-dets at the first x, z right
@wrong("flows.compose", "log_dets_at_x")
def _(x, layers):
    ld = sum(layer(x)[1] for layer in layers)
    for layer in layers:
        x = layer(x)[0]
    return x, ld


# functools.reduce
@right("flows.compose")
def _(x, layers):
    def step(state, layer):
        z, ld = layer(state[0])
        return z, state[1] + ld

    return functools.reduce(step, layers, (x, x.new_zeros(x.shape[0])))


# recursion from the end
@right("flows.compose")
def _(x, layers):
    def go(n):
        if n == 0:
            return x, torch.zeros(len(x), dtype=x.dtype)
        z, ld = go(n - 1)
        z, more = layers[n - 1](z)
        return z, ld + more

    return go(len(layers))


# list of log_dets, stack, sum
@right("flows.compose")
def _(x, layers):
    lds = []
    it = iter(layers)
    for layer in it:
        x, l = layer(x)
        lds.append(l)
    return x, torch.stack(lds, dim=1).sum(dim=1)


def _run(x, layers):
    for layer in layers:
        x = layer(x)[0]
    return x


def _jac(g, x):
    return torch.autograd.functional.jacobian(g, x)[0, :, 0]


# positive entries only (J > 0)
@wrong("flows.dependence", "only_positive")
def _(x, layers):
    return torch.stack([(_jac(lambda v, n=n: _run(v, layers[: n + 1]), x) > 0).to(x.dtype) for n in range(len(layers))])


# large entries only (|J| > 0.1)
@wrong("flows.dependence", "rounded")
def _(x, layers):
    return torch.stack(
        [(_jac(lambda v, n=n: _run(v, layers[: n + 1]), x).abs() > 0.1).to(x.dtype) for n in range(len(layers))]
    )


# or of the single layers so far, no paths through two
@wrong("flows.dependence", "unions")
def _(x, layers):
    out, t = [], torch.zeros(x.shape[1], x.shape[1], dtype=torch.bool)
    for layer in layers:
        t = t | (_jac(lambda v: layer(v)[0], x) != 0)
        x = layer(x)[0]
        out.append(t)
    return torch.stack(out).double()


# the layers from n on instead of up to n (layers[n:])
@wrong("flows.dependence", "layers_left")
def _(x, layers):
    return torch.stack([(_jac(lambda v, n=n: _run(v, layers[n:]), x) != 0).to(x.dtype) for n in range(len(layers))])


# product of Jacobians in the wrong order (J @ J_n)
@wrong("flows.dependence", "product_turned")
def _(x, layers):
    out, J = [], torch.eye(x.shape[1], dtype=x.dtype)
    for layer in layers:
        Jn = _jac(lambda v: layer(v)[0], x)
        J = J @ Jn
        x = layer(x)[0]
        out.append((J != 0).to(x.dtype))
    return torch.stack(out)


# takes the diagonal away: an output does not count as depending on itself
@wrong("flows.dependence", "without_the_diagonal")
def _(x, layers):
    D = x.shape[1]
    t = torch.stack([(_jac(lambda v, n=n: _run(v, layers[: n + 1]), x) != 0).to(x.dtype) for n in range(len(layers))])
    return t * (1 - torch.eye(D, dtype=x.dtype))


# log|J| is compared with 0 (entries of size 1 count as none, zeros as some)
@wrong("flows.dependence", "compared_with_1")
def _(x, layers):
    return torch.stack(
        [(_jac(lambda v, n=n: _run(v, layers[: n + 1]), x).abs().log() != 0).to(x.dtype) for n in range(len(layers))]
    )


# rows by autograd.grad
@right("flows.dependence")
def _(x, layers):
    N, D = len(layers), x.shape[1]
    out = torch.zeros(N, D, D, dtype=x.dtype)
    v = x.detach().clone().requires_grad_(True)
    z = v
    for n, layer in enumerate(layers):
        z = layer(z)[0]
        for i in range(D):
            g = torch.autograd.grad(z[0, i], v, retain_graph=True)[0]
            out[n, i] = (g[0].abs() > 0).to(x.dtype)
    return out


# torch.func.jacrev with vmap
@right("flows.dependence")
def _(x, layers):
    def g(v):
        outs, v = [], v[None]
        for layer in layers:
            v, _ = layer(v)
            outs.append(v[0])
        return torch.stack(outs)

    return torch.func.jacrev(g)(x[0]).ne(0).to(x.dtype)


# boolean matrix products along the path: ways that cancel
@wrong("flows.dependence", "tables_multiplied")
def _(x, layers):
    tables, t = [], torch.eye(x.shape[1], dtype=x.dtype)
    for layer in layers:
        step = (torch.autograd.functional.jacobian(lambda v: layer(v)[0], x)[0, :, 0] != 0).to(x.dtype)
        t = (step @ t > 0).to(x.dtype)
        tables.append(t)
        x = layer(x)[0]
    return torch.stack(tables)


# zero_grad between backward and step
@wrong("flows.fit", "stands_still")
def _(flow, optimizer, loss, batches):
    out = []
    for x in batches:
        l = loss(x, flow).mean()
        l.backward()
        optimizer.zero_grad()
        optimizer.step()
        out.append(l.detach())
    return torch.stack(out)


# reports the loss after the step
@wrong("flows.fit", "after_the_step")
def _(flow, optimizer, loss, batches):
    out = []
    for x in batches:
        optimizer.zero_grad()
        loss(x, flow).mean().backward()
        optimizer.step()
        out.append(loss(x, flow).mean().detach())
    return torch.stack(out)


# one step at the very end, for all batches together
@wrong("flows.fit", "one_step")
def _(flow, optimizer, loss, batches):
    optimizer.zero_grad()
    out = []
    for x in batches:
        l = loss(x, flow).mean()
        l.backward()
        out.append(l.detach())
    optimizer.step()
    return torch.stack(out)


# trains a deep copy of flow
@wrong("flows.fit", "copy_without_optimizer")
def _(flow, optimizer, loss, batches):
    flow = copy.deepcopy(flow)
    out = []
    for x in batches:
        optimizer.zero_grad()
        l = loss(x, flow).mean()
        l.backward()
        optimizer.step()
        out.append(l.detach())
    return torch.stack(out)


# returns the running mean of the losses
@wrong("flows.fit", "running_mean")
def _(flow, optimizer, loss, batches):
    out, total = [], 0.0
    for n, x in enumerate(batches, 1):
        optimizer.zero_grad()
        l = loss(x, flow).mean()
        l.backward()
        optimizer.step()
        total = total + l.detach()
        out.append(total / n)
    return torch.stack(out)


# all losses first, with the first weights, and then trains
@wrong("flows.fit", "noted_before")
def _(flow, optimizer, loss, batches):
    out = torch.stack([loss(x, flow).mean().detach() for x in batches])
    for x in batches:
        optimizer.zero_grad()
        loss(x, flow).mean().backward()
        optimizer.step()
    return out


# steps down the sum, reports the mean
@wrong("flows.fit", "summed_backward")
def _(flow, optimizer, loss, batches):
    out = []
    for x in batches:
        optimizer.zero_grad()
        each = loss(x, flow)
        each.sum().backward()
        optimizer.step()
        out.append(each.mean().detach())
    return torch.stack(out)


# backward of the running total of all losses so far (graph kept)
@wrong("flows.fit", "piled_up")
def _(flow, optimizer, loss, batches):
    out, total = [], 0.0
    for x in batches:
        optimizer.zero_grad()
        l = loss(x, flow).mean()
        total = total + l
        total.backward(retain_graph=True)
        optimizer.step()
        out.append(l.detach())
    return torch.stack(out)


# closure
@right("flows.fit")
def _(flow, optimizer, loss, batches):
    out = []

    def closure():
        optimizer.zero_grad(set_to_none=True)
        l = loss(x, flow).mean()
        l.backward()
        return l

    for x in batches:
        out.append(optimizer.step(closure).detach())
    return torch.stack(out)


# autograd.grad into .grad
@right("flows.fit")
def _(flow, optimizer, loss, batches):
    params = [p for group in optimizer.param_groups for p in group["params"]]
    out = []
    for x in batches:
        l = loss(x, flow).mean()
        for p, g in zip(params, torch.autograd.grad(l, params, allow_unused=True)):
            p.grad = g
        optimizer.step()
        out.append(l.detach())
    return torch.stack(out)


# grads set to None by hand, sum / len, tensor filled
@right("flows.fit")
def _(flow, optimizer, loss, batches):
    batches = list(batches)
    losses = []
    for x in batches:
        for p in flow.parameters():
            p.grad = None
        each = loss(x, flow)
        m = each.sum() / each.numel()
        m.backward()
        optimizer.step()
        losses.append(m.detach().clone()[None])
    return torch.cat(losses)


# log_det of the sigmoid: the sign of log p and log(1-p)
@wrong("flows.logit", "slope_of_the_sigmoid")
def _(x, alpha):
    p = alpha + (1 - 2 * alpha) * x
    z = p.log() - (1 - p).log()
    return z, (math.log(1 - 2 * alpha) + p.log() + (1 - p).log()).flatten(1).sum(1)


# log_det with x in place of p
@wrong("flows.logit", "slope_at_x")
def _(x, alpha):
    p = alpha + (1 - 2 * alpha) * x
    z = p.log() - (1 - p).log()
    return z, (math.log(1 - 2 * alpha) - x.log() - (1 - x).log()).flatten(1).sum(1)


# log(1 - 2 alpha) times x.shape[1] (wrong for pictures)
@wrong("flows.logit", "offset")
def _(x, alpha):
    p = alpha + (1 - 2 * alpha) * x
    z = p.log() - (1 - p).log()
    return z, x.shape[1] * math.log(1 - 2 * alpha) - (p.log() + (1 - p).log()).flatten(1).sum(1)


# squeeze alpha + (1 - alpha) x
@wrong("flows.logit", "one_end")
def _(x, alpha):
    p = alpha + (1 - alpha) * x
    z = p.log() - (1 - p).log()
    return z, (math.log(1 - alpha) - p.log() - (1 - p).log()).flatten(1).sum(1)


# clamps to [alpha, 1-alpha] instead of squeezing
@wrong("flows.logit", "clamped")
def _(x, alpha):
    p = x.clamp(alpha, 1 - alpha)
    z = p.log() - (1 - p).log()
    return z, (-p.log() - (1 - p).log()).flatten(1).sum(1)


# log of the sum of the slopes, not sum of the logs
@wrong("flows.logit", "added_before_log")
def _(x, alpha):
    p = alpha + (1 - 2 * alpha) * x
    z = torch.logit(p)
    return z, ((1 - 2 * alpha) / (p * (1 - p))).flatten(1).sum(1).log()


# minus log(1 - 2 alpha)
@wrong("flows.logit", "squeeze_subtracted")
def _(x, alpha):
    p = alpha + (1 - 2 * alpha) * x
    z = torch.logit(p)
    return z, -(math.log(1 - 2 * alpha) + p.log() + (1 - p).log()).flatten(1).sum(1)


# slope 1/p - 1/(1-p): the sign of the second term's inner derivative
@wrong("flows.logit", "slopes_subtracted")
def _(x, alpha):
    p = alpha + (1 - 2 * alpha) * x
    z = torch.logit(p)
    slope = (1 - 2 * alpha) * (1 / p - 1 / (1 - p))
    return z, slope.abs().log().flatten(1).sum(1)


# softplus form
@right("flows.logit")
def _(x, alpha):
    z = torch.special.logit(torch.lerp(torch.full_like(x, alpha), torch.full_like(x, 1 - alpha), x))
    ld = F.softplus(z) + F.softplus(-z) + math.log1p(-2 * alpha)
    return z, ld.reshape(len(x), -1).sum(-1)


# torch.distributions transforms
@right("flows.logit")
def _(x, alpha):
    T = torch.distributions.transforms
    t = T.ComposeTransform([T.AffineTransform(alpha, 1 - 2 * alpha), T.SigmoidTransform().inv])
    z = t(x)
    return z, t.log_abs_det_jacobian(x, z).flatten(1).sum(1)


# slope by autograd
@right("flows.logit")
def _(x, alpha):
    with torch.enable_grad():
        v = x.detach().clone().requires_grad_(True)
        p = alpha + (1 - 2 * alpha) * v
        z = torch.log(p / (1 - p))
        (g,) = torch.autograd.grad(z.sum(), v)
    p = alpha + (1 - 2 * alpha) * x
    return torch.log(p / (1 - p)), g.log().flatten(1).sum(1)


# log L subtracted once, not D times
@wrong("flows.bits_per_dim", "levels_once")
def _(log_p, dims, levels):
    lm = torch.logsumexp(log_p, 0) - math.log(len(log_p))
    return -(lm - math.log(levels)) / (dims * math.log(2))


# the best draw instead of the mean
@wrong("flows.bits_per_dim", "largest")
def _(log_p, dims, levels):
    lm = log_p.max(0).values
    return -(lm - dims * math.log(levels)) / (dims * math.log(2))


# dims and levels confused: levels * log(dims), / levels
@wrong("flows.bits_per_dim", "exchanged")
def _(log_p, dims, levels):
    lm = torch.logsumexp(log_p, 0) - math.log(len(log_p))
    return -(lm - levels * math.log(dims)) / (levels * math.log(2))


# averages over the pictures as well: one number
@wrong("flows.bits_per_dim", "averaged")
def _(log_p, dims, levels):
    lm = torch.logsumexp(log_p, 0) - math.log(len(log_p))
    return (-(lm - dims * math.log(levels)) / (dims * math.log(2))).mean()


# divides by log(levels) instead of log 2
@wrong("flows.bits_per_dim", "base_levels")
def _(log_p, dims, levels):
    lm = torch.logsumexp(log_p, 0) - math.log(len(log_p))
    return -(lm - dims * math.log(levels)) / (dims * math.log(levels))


# + log K
@wrong("flows.bits_per_dim", "log_K_added")
def _(log_p, dims, levels):
    lm = torch.logsumexp(log_p, 0) + math.log(len(log_p))
    return -(lm - dims * math.log(levels)) / (dims * math.log(2))


# the number of levels hard-coded, 256
@wrong("flows.bits_per_dim", "ignores_levels")
def _(log_p, dims, levels):
    lm = torch.logsumexp(log_p, 0) - math.log(len(log_p))
    return 8 - lm / (dims * math.log(2))


# max trick by hand, log2
@right("flows.bits_per_dim")
def _(log_p, dims, levels):
    m = log_p.max(dim=0).values
    lm = m + (log_p - m).exp().mean(0).log()
    return math.log2(levels) - lm / dims / math.log(2)


# logaddexp loop over the draws
@right("flows.bits_per_dim")
def _(log_p, dims, levels):
    acc = log_p[0]
    for row in log_p[1:]:
        acc = torch.logaddexp(acc, row)
    log2_P = (acc - math.log(log_p.shape[0])) / math.log(2) - dims * math.log2(levels)
    return -log2_P / dims


# forward mode, a column at a time
@right("flows.dependence")
def _(x, layers):
    def g(v):
        outs = []
        for layer in layers:
            v = layer(v)[0]
            outs.append(v[0])
        return torch.stack(outs)

    D = x.shape[1]
    cols = []
    for j in range(D):
        e = torch.zeros_like(x)
        e[0, j] = 1
        cols.append(torch.func.jvp(g, (x,), (e,))[1])
    return (torch.stack(cols, dim=-1) != 0).to(x.dtype)
