"""Further answers to lab_1_conditional_gan, as they were tried on it."""
# ruff: noqa
# pyright: reportRedeclaration=false, reportAttributeAccessIssue=false, reportAssignmentType=false
# pyright: reportGeneralTypeIssues=false, reportAssertAlwaysTrue=false, reportUnusedExpression=false
# pyright: reportOptionalSubscript=false

from . import right, wrong

import math

import torch

import torch.nn.functional as F


def discriminator_loss(real, fake):
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_losses(fake):
    return -F.softplus(fake).mean(), F.softplus(-fake).mean()


def objective(fake, output, y, lam):
    return F.softplus(-fake).mean() + lam * (y - output).abs().mean()


DL = "gan.discriminator_loss"


# half of the sum, as in the pix2pix paper
@wrong("gan.discriminator_loss", "halved")
def _(real, fake):
    return 0.5 * (F.softplus(-real).mean() + F.softplus(fake).mean())


# mean over the concatenation of all logits
@wrong("gan.discriminator_loss", "one_mean")
def _(real, fake):
    return torch.cat([F.softplus(-real).flatten(), F.softplus(fake).flatten()]).mean()


# clamps the logits to [-10, 10] before softplus, 'for safety'
@wrong("gan.discriminator_loss", "cut_off")
def _(real, fake):
    return F.softplus(-real.clamp(-10, 10)).mean() + F.softplus(fake.clamp(-10, 10)).mean()


# least squares GAN loss on the sigmoids (formula of another GAN)
@wrong("gan.discriminator_loss", "squares")
def _(real, fake):
    return (torch.sigmoid(real) - 1).square().mean() + torch.sigmoid(fake).square().mean()


# sum over patches of a picture, mean only over the batch
@wrong("gan.discriminator_loss", "patches_summed")
def _(real, fake):
    return F.softplus(-real).flatten(1).sum(1).mean() + F.softplus(fake).flatten(1).sum(1).mean()


# logaddexp with 0, weights 1/numel in a dot product
@right("gan.discriminator_loss")
def _(real, fake):
    def part(a):
        a = a.reshape(-1)
        v = torch.logaddexp(a, torch.zeros((), dtype=a.dtype))
        return torch.dot(v, torch.full_like(v, 1 / v.numel()))

    return part(-real) + part(fake)


OL = "gan.optimal_logit"


# std of the normaliser under the root: log sqrt(std), i.e. 0.5*log(std)
@wrong("gan.optimal_logit", "half_log_std")
def _(y, mean, std, mean_G, std_G):
    lp = -0.5 * ((y - mean) / std) ** 2 - 0.5 * std.log()
    lg = -0.5 * ((y - mean_G) / std_G) ** 2 - 0.5 * std_G.log()
    return lp - lg


# returns P(real) = sigmoid of it
@wrong("gan.optimal_logit", "probability")
def _(y, mean, std, mean_G, std_G):
    N = torch.distributions.Normal
    return torch.sigmoid(N(mean, std).log_prob(y) - N(mean_G, std_G).log_prob(y))


# uses the data's std for both Gaussians
@wrong("gan.optimal_logit", "one_std")
def _(y, mean, std, mean_G, std_G):
    N = torch.distributions.Normal
    return N(mean, std).log_prob(y) - N(mean_G, std).log_prob(y)


# missing bracket: the minus of log p_G reaches only its first term
@wrong("gan.optimal_logit", "slip")
def _(y, mean, std, mean_G, std_G):
    return -0.5 * ((y - mean) / std) ** 2 - std.log() - -0.5 * ((y - mean_G) / std_G) ** 2 - std_G.log()


# quadratic polynomial in y, coefficients from natural parameters
@right("gan.optimal_logit")
def _(y, mean, std, mean_G, std_G):
    t, s = 1 / std**2, 1 / std_G**2
    a = (s - t) / 2
    b = mean * t - mean_G * s
    c = (mean_G**2 * s - mean**2 * t) / 2 + (t / s).log() / 2
    return (a * y + b) * y + c


# a class inside, loop over y, stack
@right("gan.optimal_logit")
def _(y, mean, std, mean_G, std_G):
    class Bell:
        def __init__(self, m, s):
            self.m, self.s = m, s

        def log(self, v):
            return -((v - self.m) ** 2) / (2 * self.s**2) - torch.log(self.s * math.sqrt(2 * math.pi))

    p, q = Bell(mean, std), Bell(mean_G, std_G)
    return torch.stack([p.log(v) - q.log(v) for v in y])


GL = "gan.generator_losses"


# minimax with the wrong sign (positive softplus(fake))
@wrong("gan.generator_losses", "first_is_the_discriminators")
def _(fake):
    return F.softplus(fake).mean(), F.softplus(-fake).mean()


# order swapped
@wrong("gan.generator_losses", "exchanged")
def _(fake):
    return F.softplus(-fake).mean(), -F.softplus(fake).mean()


# log of the mean instead of the mean of the log
@wrong("gan.generator_losses", "log_of_mean")
def _(fake):
    P = torch.sigmoid(fake)
    return torch.log((1 - P).mean()), -torch.log(P.mean())


# non_saturating is just the negative of minimax
@wrong("gan.generator_losses", "second_is_the_discriminators")
def _(fake):
    m = -F.softplus(fake).mean()
    return m, -m


# no mean, one value for each logit
@wrong("gan.generator_losses", "not_averaged")
def _(fake):
    return -F.softplus(fake), F.softplus(-fake)


# logsigmoid
@right("gan.generator_losses")
def _(fake):
    return F.logsigmoid(-fake).mean(), -F.logsigmoid(fake).mean()


# the identity softplus(a) - softplus(-a) = a
@right("gan.generator_losses")
def _(fake):
    ns = F.softplus(-fake).mean()
    return -(ns + fake.mean()), ns


PU = "gan.pulls"


# autograd of the mean losses (divided by N)
@wrong("gan.pulls", "averaged")
def _(fake):
    a = fake.detach().requires_grad_()
    m, n = generator_losses(a)
    return torch.autograd.grad(m, a, retain_graph=True)[0], torch.autograd.grad(n, a)[0]


# swapped 1-P and P: minimax -(1-P), non-saturating -P
@wrong("gan.pulls", "exchanged")
def _(fake):
    P = torch.sigmoid(fake)
    return -(1 - P), -P


# vmap of grad on the flattened logits
@right("gan.pulls")
def _(fake):
    flat = fake.detach().reshape(-1)
    m = torch.func.vmap(torch.func.grad(lambda a: F.logsigmoid(-a)))(flat)
    n = torch.func.vmap(torch.func.grad(lambda a: -F.logsigmoid(a)))(flat)
    return m.reshape(fake.shape), n.reshape(fake.shape)


PA = "gan.pair"


# picture first, then the classes
@wrong("gan.pair", "picture_first")
def _(classes, y, n_classes):
    x = F.one_hot(classes, n_classes).permute(0, 3, 1, 2).to(y.dtype)
    return torch.cat([y, x], 1)


# one_hot without n_classes (only as many as the largest label)
@wrong("gan.pair", "classes_of_the_map")
def _(classes, y, n_classes):
    x = F.one_hot(classes).permute(0, 3, 1, 2).to(y.dtype)
    return torch.cat([x, y], 1)


# permute(0, 3, 2, 1): H and W swapped
@wrong("gan.pair", "transposed")
def _(classes, y, n_classes):
    x = F.one_hot(classes, n_classes).permute(0, 3, 2, 1).to(y.dtype)
    return torch.cat([x, y], 1)


# range(1, n_classes + 1): classes off by one
@wrong("gan.pair", "from_1")
def _(classes, y, n_classes):
    x = torch.stack([(classes == c).to(y.dtype) for c in range(1, n_classes + 1)], 1)
    return torch.cat([x, y], 1)


# casts everything to float32 with .float()
@wrong("gan.pair", "dtype")
def _(classes, y, n_classes):
    x = F.one_hot(classes, n_classes).permute(0, 3, 1, 2).float()
    return torch.cat([x, y.float()], 1)


# scatter_ into own tensor
@right("gan.pair")
def _(classes, y, n_classes):
    B, C, H, W = y.shape
    out = y.new_zeros(B, n_classes + C, H, W)
    out[:, n_classes:] = y
    out[:, :n_classes].scatter_(1, classes[:, None], 1)
    return out


# index an identity matrix, movedim, hstack
@right("gan.pair")
def _(classes, y, n_classes):
    return torch.hstack([torch.eye(n_classes, dtype=y.dtype)[classes].movedim(-1, 1), y])


OB = "gan.objective"


# L2 in place of L1
@wrong("gan.objective", "squared")
def _(fake, output, y, lam):
    return F.softplus(-fake).mean() + lam * F.mse_loss(output, y)


# sum over pixels for L1, mean over the batch
@wrong("gan.objective", "summed_over_the_picture")
def _(fake, output, y, lam):
    return F.softplus(-fake).mean() + lam * (y - output).abs().flatten(1).sum(1).mean()


# minimax first term
@wrong("gan.objective", "minimax")
def _(fake, output, y, lam):
    return -F.softplus(fake).mean() + lam * (y - output).abs().mean()


# abs of the mean difference
@wrong("gan.objective", "abs_of_the_mean")
def _(fake, output, y, lam):
    return F.softplus(-fake).mean() + lam * (y - output).mean().abs()


# output detached in the L1 term
@wrong("gan.objective", "detached")
def _(fake, output, y, lam):
    return F.softplus(-fake).mean() + lam * (y - output.detach()).abs().mean()


# torch L1Loss module and BCEWithLogits with ones
@right("gan.objective")
def _(fake, output, y, lam):
    return torch.nn.BCEWithLogitsLoss()(fake, torch.ones_like(fake)) + lam * torch.nn.L1Loss()(output, y)


GR = "gan.gradients"


# detach in G's loss, not in D's: grad with allow_unused -> zeros
@wrong("gan.gradients", "cut")
def _(G, D, x, y, z):
    fake = G(x, z)
    loss_D = discriminator_loss(D(x, y), D(x, fake))
    _, loss_G = generator_losses(D(x, fake.detach()))
    gd = torch.autograd.grad(loss_D, D.weight)[0]
    gg = torch.autograd.grad(loss_G, G.weight, allow_unused=True)[0]
    return gd, torch.zeros_like(G.weight) if gg is None else gg


# backward both, .grad not emptied beforehand for D, detach right, zero nothing
@wrong("gan.gradients", "stale")
def _(G, D, x, y, z):
    fake = G(x, z)
    discriminator_loss(D(x, y), D(x, fake.detach())).backward()
    gd = D.weight.grad.clone()
    generator_losses(D(x, fake))[1].backward()
    return gd, G.weight.grad.clone()


# emptied .grad, but returns D.weight.grad without clone: G's backward adds to it
@wrong("gan.gradients", "accumulated")
def _(G, D, x, y, z):
    D.weight.grad = G.weight.grad = None
    fake = G(x, z)
    discriminator_loss(D(x, y), D(x, fake.detach())).backward()
    gd = D.weight.grad
    generator_losses(D(x, fake))[1].backward()
    return gd, G.weight.grad


# D(y, x): arguments of D confused
@wrong("gan.gradients", "y_first")
def _(G, D, x, y, z):
    fake = G(x, z)
    loss_D = discriminator_loss(D(y, x), D(fake.detach(), x))
    _, loss_G = generator_losses(D(fake, x))
    return torch.autograd.grad(loss_D, D.weight)[0], torch.autograd.grad(loss_G, G.weight)[0]


# no detach in D's loss, .backward for both, G's .grad not emptied between (was emptied at first)
@wrong("gan.gradients", "leak")
def _(G, D, x, y, z):
    D.weight.grad = G.weight.grad = None
    fake = G(x, z)
    discriminator_loss(D(x, y), D(x, fake)).backward(retain_graph=True)
    gd = D.weight.grad.clone()
    generator_losses(D(x, fake))[1].backward()
    return gd, G.weight.grad.clone()


# no detach at all, autograd.grad with retain_graph
@right("gan.gradients")
def _(G, D, x, y, z):
    fake = G(x, z)
    on_fake = D(x, fake)
    loss_D = discriminator_loss(D(x, y), on_fake)
    (gd,) = torch.autograd.grad(loss_D, [D.weight], retain_graph=True)
    (gg,) = torch.autograd.grad(generator_losses(on_fake)[1], [G.weight])
    return gd, gg


# backward with inputs=, old .grad put away and restored
@right("gan.gradients")
def _(G, D, x, y, z):
    old = D.weight.grad, G.weight.grad
    D.weight.grad = G.weight.grad = None
    with torch.no_grad():
        made = G(x, z)
    discriminator_loss(D(x, y), D(x, made)).backward(inputs=[D.weight])
    generator_losses(D(x, G(x, z)))[1].backward(inputs=[G.weight])
    out = D.weight.grad, G.weight.grad
    D.weight.grad, G.weight.grad = old
    return out


ST = "gan.step"


# G's zero_grad comes between backward and step
@wrong("gan.step", "only_D")
def _(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    loss_D = discriminator_loss(D(x, y), D(x, fake.detach()))
    D_optimizer.zero_grad()
    loss_D.backward()
    D_optimizer.step()
    loss_G = objective(D(x, fake), fake, y, lam)
    loss_G.backward()
    G_optimizer.zero_grad()
    G_optimizer.step()


# G first, then D
@wrong("gan.step", "old_D")
def _(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    loss_G = objective(D(x, fake), fake, y, lam)
    G_optimizer.zero_grad()
    loss_G.backward()
    G_optimizer.step()
    loss_D = discriminator_loss(D(x, y), D(x, fake.detach()))
    D_optimizer.zero_grad()
    loss_D.backward()
    D_optimizer.step()


# D's zero_grad forgotten (G's is there)
@wrong("gan.step", "stale_D")
def _(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    loss_D = discriminator_loss(D(x, y), D(x, fake.detach()))
    loss_D.backward()
    D_optimizer.step()
    loss_G = objective(D(x, fake), fake, y, lam)
    G_optimizer.zero_grad()
    loss_G.backward()
    G_optimizer.step()


# G is judged by the D before its step: both losses computed first
@wrong("gan.step", "old_D")
def _(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    loss_D = discriminator_loss(D(x, y), D(x, fake.detach()))
    loss_G = objective(D(x, fake), fake, y, lam)
    D_optimizer.zero_grad()
    loss_D.backward()
    G_optimizer.zero_grad()
    loss_G.backward(inputs=[p for g in G_optimizer.param_groups for p in g["params"]])
    D_optimizer.step()
    G_optimizer.step()


# fresh noise for G's turn: torch.randn_like(z)
@wrong("gan.step", "random")
def _(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    loss_D = discriminator_loss(D(x, y), D(x, fake.detach()))
    D_optimizer.zero_grad()
    loss_D.backward()
    D_optimizer.step()
    fake = G(x, torch.randn_like(z))
    loss_G = objective(D(x, fake), fake, y, lam)
    G_optimizer.zero_grad()
    loss_G.backward()
    G_optimizer.step()


# a helper that takes a turn; zero_grad(set_to_none=False)
@right("gan.step")
def _(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    def turn(optimizer, loss):
        optimizer.zero_grad(set_to_none=False)
        loss().backward()
        optimizer.step()

    fake = G(x, z)
    cut = fake.detach()
    turn(D_optimizer, lambda: discriminator_loss(D(x, y), D(x, cut)))
    turn(G_optimizer, lambda: objective(D(x, fake), fake, y, lam))


RF = "gan.receptive_field"


# kernel instead of kernel - 1
@wrong("gan.receptive_field", "whole_kernels_from_1")
def _(kernels, strides):
    field, apart, out = 1, 1, []
    for k, s in zip(kernels, strides):
        field += k * apart
        apart *= s
        out.append(field)
    return torch.tensor(out)


# starts with field 0
@wrong("gan.receptive_field", "from_0")
def _(kernels, strides):
    field, apart, out = 0, 1, []
    for k, s in zip(kernels, strides):
        field += (k - 1) * apart
        apart *= s
        out.append(field)
    return torch.tensor(out)


# adds the strides rather than multiplying them
@wrong("gan.receptive_field", "strides_added")
def _(kernels, strides):
    field, apart, out = 1, 1, []
    for k, s in zip(kernels, strides):
        field += (k - 1) * apart
        apart += s
        out.append(field)
    return torch.tensor(out)


# only the previous layer's stride counts
@wrong("gan.receptive_field", "last_stride_only")
def _(kernels, strides):
    field, previous, out = 1, 1, []
    for k, s in zip(kernels, strides):
        field += (k - 1) * previous
        previous = s
        out.append(field)
    return torch.tensor(out)


# recursion from the top, r = (r - 1) * s + k
@right("gan.receptive_field")
def _(kernels, strides):
    def field(k, s):
        if not k:
            return 1
        return (field(k[1:], s[1:]) - 1) * s[0] + k[0]

    return torch.tensor([field(kernels[: i + 1], strides[: i + 1]) for i in range(len(kernels))])


SP = "gan.spectrum"


def rings(y):
    n = y.shape[-1]
    k = torch.fft.fftfreq(n, d=1 / n, dtype=y.dtype)
    return n, (k[:, None] ** 2 + k**2).sqrt()


# round in place of floor
@wrong("gan.spectrum", "rounded")
def _(y):
    n, k = rings(y)
    a = torch.fft.fft2(y).abs() ** 2
    return torch.stack([a[..., k.round() == r].mean() for r in range(n // 2)])


# sum over the ring, mean over pictures and channels
@wrong("gan.spectrum", "summed")
def _(y):
    n, k = rings(y)
    a = (torch.fft.fft2(y).abs() ** 2).mean((0, 1))
    return torch.stack([a[k.floor() == r].sum() for r in range(n // 2)])


# torch.fft.fft in place of fft2 (only over the last axis)
@wrong("gan.spectrum", "rows_alone")
def _(y):
    n, k = rings(y)
    a = torch.fft.fft(y).abs() ** 2
    return torch.stack([a[..., k.floor() == r].mean() for r in range(n // 2)])


# fftshift of the power but not of the frequencies
@wrong("gan.spectrum", "half_shifted")
def _(y):
    n, k = rings(y)
    a = torch.fft.fftshift(torch.fft.fft2(y), dim=(-2, -1)).abs() ** 2
    return torch.stack([a[..., k.floor() == r].mean() for r in range(n // 2)])


# averages the pictures before the FFT
@wrong("gan.spectrum", "pictures_averaged")
def _(y):
    n, k = rings(y)
    a = torch.fft.fft2(y.mean((0, 1))).abs() ** 2
    return torch.stack([a[k.floor() == r].mean() for r in range(n // 2)])


# index_add into ring bins, fftshift of both
@right("gan.spectrum")
def _(y):
    n = y.shape[-1]
    k = torch.arange(n) - n // 2
    ring = torch.zeros(n, n, dtype=torch.long)
    for i in range(n):
        for j in range(n):
            ring[i, j] = math.isqrt(int(k[i] ** 2 + k[j] ** 2))
    f = torch.fft.fftshift(torch.fft.fft2(y), dim=(-2, -1))
    power = (f.real.square() + f.imag.square()).mean((0, 1)).reshape(-1)
    size = int(ring.max()) + 1
    total = torch.zeros(size, dtype=y.dtype).index_add_(0, ring.reshape(-1), power)
    return (total / torch.bincount(ring.reshape(-1), minlength=size))[: n // 2]


VA = "gan.variances"


# biased variance everywhere (unbiased=False)
@wrong("gan.variances", "divided_by_n")
def _(samples):
    n = samples.var(0, unbiased=False).mean()
    return n, samples.mean(0).var(0, unbiased=False).mean() - n / len(samples)


# ANOVA sums of squares with loops over maps and einsum
@right("gan.variances")
def _(samples):
    K, B = samples.shape[:2]
    s = samples.reshape(K, B, -1)
    P = s.shape[-1]
    means = torch.einsum("kbp->bp", s) / K
    within = sum(((s[:, b] - means[b]) ** 2).sum() for b in range(B)) / (B * (K - 1) * P)
    d = means - means.mean(0)
    between = torch.einsum("bp,bp->", d, d) / ((B - 1) * P)
    return within, between - within / K


# torch.cov of each pixel over maps, Welford loop over draws
@right("gan.variances")
def _(samples):
    mean, m2 = torch.zeros_like(samples[0]), torch.zeros_like(samples[0])
    for k, s in enumerate(samples, 1):
        d = s - mean
        mean = mean + d / k
        m2 = m2 + d * (s - mean)
    noise = (m2 / (len(samples) - 1)).mean()
    B = samples.shape[1]
    cov = torch.cov(mean.reshape(B, -1).T)
    cov = cov.reshape(-1, 1) if cov.ndim == 0 else cov
    return noise, torch.diagonal(cov).mean() - noise / len(samples)


R1 = "gan.r1"


# no create_graph
@wrong("gan.r1", "detached")
def _(D, x, y):
    y = y.detach().requires_grad_()
    (g,) = torch.autograd.grad(D(x, y).sum(), y)
    return g.square().flatten(1).sum(1).mean()


# mean of the logits in place of their sum
@wrong("gan.r1", "logits_averaged")
def _(D, x, y):
    y = y.detach().requires_grad_()
    (g,) = torch.autograd.grad(D(x, y).mean(), y, create_graph=True)
    return g.square().flatten(1).sum(1).mean()


# slope of the probability sigmoid(D), not of the logit
@wrong("gan.r1", "of_probabilities")
def _(D, x, y):
    y = y.detach().requires_grad_()
    (g,) = torch.autograd.grad(torch.sigmoid(D(x, y)).sum(), y, create_graph=True)
    return g.square().flatten(1).sum(1).mean()


# torch.func.grad, einsum
@right("gan.r1")
def _(D, x, y):
    g = torch.func.grad(lambda v: D(x, v).sum())(y.detach())
    return torch.einsum("bchw,bchw->b", g, g).mean()


# autograd.functional.jacobian of the sum, create_graph
@right("gan.r1")
def _(D, x, y):
    J = torch.autograd.functional.jacobian(lambda v: D(x, v).sum(), y.detach(), create_graph=True)
    return sum(torch.dot(j.reshape(-1), j.reshape(-1)) for j in J) / len(J)
