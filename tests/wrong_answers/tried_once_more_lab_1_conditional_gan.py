"""Further answers to lab_1_conditional_gan, as they were tried on it."""
# ruff: noqa
# pyright: reportRedeclaration=false, reportAttributeAccessIssue=false, reportAssignmentType=false
# pyright: reportGeneralTypeIssues=false, reportAssertAlwaysTrue=false, reportUnusedExpression=false
# pyright: reportOptionalSubscript=false

from . import right, wrong

import math

import torch

import torch.nn.functional as F


def _loss_D(real, fake):
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def _loss_G(fake):
    return F.softplus(-fake).mean()


def _objective(fake, output, y, lam):
    return F.softplus(-fake).mean() + lam * (y - output).abs().mean()


# real and fake concatenated, one mean over both (times 2): wrong where B differ
@wrong("gan.discriminator_loss", "one_mean_doubled")
def discriminator_loss(real, fake):
    logits = torch.cat([real, fake])
    targets = torch.cat([torch.ones_like(real), torch.zeros_like(fake)])
    return 2 * F.binary_cross_entropy_with_logits(logits, targets)


# one-sided label smoothing: target 0.9 for the real ones
@wrong("gan.discriminator_loss", "smoothed")
def discriminator_loss(real, fake):
    bce = F.binary_cross_entropy_with_logits
    return bce(real, torch.full_like(real, 0.9)) + bce(fake, torch.zeros_like(fake))


# normalisation without its half: log(2 pi s^2) in place of half of it
@wrong("gan.optimal_logit", "log_variance")
def optimal_logit(y, mean, std, mean_G, std_G):
    def log_density(m, s):
        return -0.5 * (y - m) ** 2 / s**2 - torch.log(2 * math.pi * s**2)

    return log_density(mean, std) - log_density(mean_G, std_G)


# value right, but the argument y is changed in place
@wrong("gan.optimal_logit", "in_place")
def optimal_logit(y, mean, std, mean_G, std_G):
    of_G = (y - mean_G) / std_G
    y -= mean
    y /= std
    return -0.5 * y**2 - std.log() + 0.5 * of_G**2 + std_G.log()


# logarithm of the mean probability, in place of the mean of the logarithms (both)
@wrong("gan.generator_losses", "log_of_mean")
def generator_losses(fake):
    P = torch.sigmoid(fake).mean()
    return torch.log(1 - P), -torch.log(P)


# log(sigmoid + 1e-8): an epsilon inside the logarithm
@wrong("gan.generator_losses", "epsilon")
def generator_losses(fake):
    P = torch.sigmoid(fake)
    return torch.log(1 - P + 1e-8).mean(), -torch.log(P + 1e-8).mean()


# autograd through the mean of the batch: each slope divided by the number of logits
@wrong("gan.pulls", "averaged")
def pulls(fake):
    a = fake.detach().clone().requires_grad_()
    (minimax,) = torch.autograd.grad(-F.softplus(a).mean(), a)
    (non_saturating,) = torch.autograd.grad(F.softplus(-a).mean(), a)
    return minimax, non_saturating


# transpose(1, 3) of the one-hot map: H and W swapped
@wrong("gan.pair", "transposed")
def pair(classes, y, n_classes):
    x = F.one_hot(classes, n_classes).transpose(1, 3)
    return torch.cat([x.to(y.dtype), y], dim=1)


# filled into torch.zeros without a dtype: float32 whatever y is
@wrong("gan.pair", "dtype")
def pair(classes, y, n_classes):
    B, C, H, W = y.shape
    out = torch.zeros(B, n_classes + C, H, W)
    for c in range(n_classes):
        out[:, c] = (classes == c).float()
    out[:, n_classes:] = y
    return out


# classes counted from 1: compares with 1..n
@wrong("gan.pair", "from_1")
def pair(classes, y, n_classes):
    numbers = torch.arange(1, n_classes + 1)[None, :, None, None]
    x = (classes[:, None] == numbers).to(y.dtype)
    return torch.cat([x, y], dim=1)


# smooth_l1_loss in place of l1_loss
@wrong("gan.objective", "smooth")
def objective(fake, output, y, lam):
    return F.softplus(-fake).mean() + lam * F.smooth_l1_loss(output, y)


# grad_D = D.weight.grad not cloned: the later loss_G.backward() adds to the same tensor
@wrong("gan.gradients", "accumulated")
def gradients(G, D, x, y, z):
    D.weight.grad = None
    G.weight.grad = None
    fake = G(x, z)
    _loss_D(D(x, y), D(x, fake.detach())).backward()
    grad_D = D.weight.grad
    _loss_G(D(x, fake)).backward()
    return grad_D, G.weight.grad


# fake detached once for both losses: autograd.grad raises an error for G
@wrong("gan.gradients", "error")
def gradients(G, D, x, y, z):
    fake = G(x, z).detach()
    loss_D = _loss_D(D(x, y), D(x, fake))
    loss_G = _loss_G(D(x, fake))
    return torch.autograd.grad(loss_D, D.weight)[0], torch.autograd.grad(loss_G, G.weight)[0]


# name reused: y = G(x, z), so the fakes stand for the real pictures, too
@wrong("gan.gradients", "ignores_y")
def gradients(G, D, x, y, z):
    y = G(x, z)
    loss_D = _loss_D(D(x, y.detach()), D(x, y.detach()))
    loss_G = _loss_G(D(x, y))
    return torch.autograd.grad(loss_D, D.weight)[0], torch.autograd.grad(loss_G, G.weight)[0]


# G's turn with new noise: other fakes than D's turn
@wrong("gan.step", "random")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    D_optimizer.zero_grad()
    with torch.no_grad():
        fake = G(x, z)
    _loss_D(D(x, y), D(x, fake)).backward()
    D_optimizer.step()

    G_optimizer.zero_grad()
    fake = G(x, torch.randn_like(z))
    _objective(D(x, fake), fake, y, lam).backward()
    G_optimizer.step()


# D frozen for G's turn, and never thawed
@wrong("gan.step", "frozen")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    D_optimizer.zero_grad()
    _loss_D(D(x, y), D(x, fake.detach())).backward()
    D_optimizer.step()

    D.requires_grad_(False)
    G_optimizer.zero_grad()
    _objective(D(x, fake), fake, y, lam).backward()
    G_optimizer.step()


# logits for G computed before D's step: backward fails (weights modified in place)
@wrong("gan.step", "old_D")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    judged = D(x, fake)
    D_optimizer.zero_grad()
    _loss_D(D(x, y), D(x, fake.detach())).backward()
    D_optimizer.step()

    G_optimizer.zero_grad()
    _objective(judged, fake, y, lam).backward()
    G_optimizer.step()


# backwards from the last output, turned round: what the LAST output sees of each layer
@wrong("gan.receptive_field", "seen_from_the_end")
def receptive_field(kernels, strides):
    field, fields = 1, []
    for k, s in zip(reversed(kernels), reversed(strides)):
        field = (field - 1) * s + k
        fields.append(field)
    return torch.tensor(fields[::-1])


# all strides taken as the first one: apart = strides[0]**i
@wrong("gan.receptive_field", "first_stride_for_all")
def receptive_field(kernels, strides):
    field, fields = 1, []
    for i, k in enumerate(kernels):
        field += (k - 1) * strides[0] ** i
        fields.append(field)
    return torch.tensor(fields)


# rfft2: only half of the plane, so the columns 0 and n/2 weigh double
@wrong("gan.spectrum", "half_plane")
def spectrum(y):
    n = y.shape[-1]
    k1 = torch.fft.fftfreq(n, d=1 / n, dtype=y.dtype)
    k2 = torch.fft.rfftfreq(n, d=1 / n, dtype=y.dtype)
    ring = (k1[:, None] ** 2 + k2**2).sqrt().floor()
    power = torch.fft.rfft2(y).abs() ** 2
    return torch.stack([power[..., ring == r].mean() for r in range(n // 2)])


# fftn over all four axes, pictures and channels too
@wrong("gan.spectrum", "summed_over_the_batch")
def spectrum(y):
    n = y.shape[-1]
    k = torch.fft.fftfreq(n, d=1 / n, dtype=y.dtype)
    ring = (k[:, None] ** 2 + k**2).sqrt().floor()
    power = torch.fft.fftn(y).abs() ** 2
    return torch.stack([power[..., ring == r].mean() for r in range(n // 2)])


# power is fftshifted, the rings are not
@wrong("gan.spectrum", "half_shifted")
def spectrum(y):
    n = y.shape[-1]
    k = torch.fft.fftfreq(n, d=1 / n, dtype=y.dtype)
    ring = torch.hypot(k[:, None], k[None]).floor()
    power = torch.fft.fftshift(torch.fft.fft2(y), dim=(-2, -1)).abs().square()
    return torch.stack([power[..., ring == r].mean() for r in range(n // 2)])


# the noise's share divided by the number of maps B, not of draws K
@wrong("gan.variances", "divided_by_maps")
def variances(samples):
    K, B = samples.shape[:2]
    by_noise = samples.var(dim=0).mean()
    by_map = samples.mean(dim=0).var(dim=0).mean() - by_noise / B
    return by_noise, by_map


# by_map as what is left: variance of all K*B pictures taken together, less by_noise
@wrong("gan.variances", "total_less_noise")
def variances(samples):
    by_noise = samples.var(dim=0).mean()
    total = samples.flatten(0, 1).var(dim=0).mean()
    return by_noise, total - by_noise


# square of the mean length, in place of the mean of the squared lengths
@wrong("gan.r1", "square_of_the_mean")
def r1(D, x, y):
    y = y.detach().requires_grad_()
    (slope,) = torch.autograd.grad(D(x, y).sum(), y, create_graph=True)
    return slope.flatten(1).norm(dim=1).mean() ** 2


# each patch's slope squared by itself, then the sum over patches
@wrong("gan.r1", "patch_by_patch")
def r1(D, x, y):
    y = y.detach().requires_grad_()
    logits = D(x, y).flatten(1)
    total = 0
    for patch in range(logits.shape[1]):
        (slope,) = torch.autograd.grad(logits[:, patch].sum(), y, create_graph=True)
        total = total + slope.square().flatten(1).sum(1).mean()
    return total


# logaddexp, with sums and numel
@right("gan.discriminator_loss")
def discriminator_loss(real, fake):
    def cost(logits, sign):
        return torch.logaddexp(torch.zeros_like(logits), sign * logits).sum() / logits.numel()

    return cost(real, -1) + cost(fake, 1)


# torch.distributions.Normal
@right("gan.optimal_logit")
def optimal_logit(y, mean, std, mean_G, std_G):
    Normal = torch.distributions.Normal
    return Normal(mean, std).log_prob(y) - Normal(mean_G, std_G).log_prob(y)


# difference of two squares
@right("gan.optimal_logit")
def optimal_logit(y, mean, std, mean_G, std_G):
    u, v = (y - mean_G) / std_G, (y - mean) / std
    return (u - v) * (u + v) / 2 + torch.log(std_G / std)


# binary cross entropy with logits, a class inside
@right("gan.generator_losses")
def generator_losses(fake):
    class Cost:
        def __init__(self, target):
            self.target = target

        def __call__(self, a):
            return F.binary_cross_entropy_with_logits(a, torch.full_like(a, self.target))

    return -Cost(0.0)(fake), Cost(1.0)(fake)


# vmap of torch.func.grad
@right("gan.pulls")
def pulls(fake):
    flat = fake.reshape(-1)
    both = [torch.func.vmap(torch.func.grad(f))(flat) for f in (lambda a: -F.softplus(a), lambda a: F.softplus(-a))]
    return tuple(slope.reshape(fake.shape) for slope in both)


# scatter_ into an own tensor, made with y.new_zeros
@right("gan.pair")
def pair(classes, y, n_classes):
    B, C, H, W = y.shape
    out = y.new_zeros(B, n_classes + C, H, W)
    out[:, :n_classes].scatter_(1, classes.unsqueeze(1), 1)
    out[:, n_classes:].copy_(y)
    return out


# L1 picture by picture in a loop, logsigmoid
@right("gan.objective")
def objective(fake, output, y, lam):
    distance = 0
    for made, real in zip(output, y):
        distance = distance + torch.linalg.vector_norm(made - real, ord=1) / real.numel()
    return -F.logsigmoid(fake).mean() + lam * distance / len(y)


# torch.func.functional_call and torch.func.grad
@right("gan.gradients")
def gradients(G, D, x, y, z):
    call, grad = torch.func.functional_call, torch.func.grad
    w_D, w_G = D.weight.detach(), G.weight.detach()

    def make(w):
        return call(G, {"weight": w}, (x, z))

    def judge(w, picture):
        return call(D, {"weight": w}, (x, picture))

    fake = make(w_G)
    grad_D = grad(lambda w: _loss_D(judge(w, y), judge(w, fake)))(w_D)
    grad_G = grad(lambda w: _loss_G(judge(w_D, make(w))))(w_G)
    return grad_D, grad_G


# autograd.grad over the optimizers' weights, written into .grad by hand
@right("gan.step")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    def move(optimizer, loss):
        weights = [w for group in optimizer.param_groups for w in group["params"]]
        for w, g in zip(weights, torch.autograd.grad(loss, weights)):
            w.grad = g
        optimizer.step()

    fake = G(x, z)
    move(D_optimizer, _loss_D(D(x, y), D(x, fake.detach())))
    move(G_optimizer, _objective(D(x, fake), fake, y, lam))


# D frozen for G's turn, then thawed; zero_grad at the end of each turn and at the start
@right("gan.step")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    for optimizer in (G_optimizer, D_optimizer):
        optimizer.zero_grad()
    fake = G(x, z)
    real_part = F.softplus(-D(x, y)).mean()
    fake_part = F.softplus(D(x, fake.detach())).mean()
    real_part.backward()
    fake_part.backward()
    D_optimizer.step()
    D_optimizer.zero_grad()
    D.requires_grad_(False)
    _objective(D(x, fake), fake, y, lam).backward()
    D.requires_grad_(True)
    G_optimizer.step()
    G_optimizer.zero_grad()


# cumprod and cumsum
@right("gan.receptive_field")
def receptive_field(kernels, strides):
    k, s = torch.tensor(kernels), torch.tensor(strides)
    apart = torch.cat([torch.ones(1, dtype=torch.int64), s.cumprod(0)[:-1]])
    return 1 + ((k - 1) * apart).cumsum(0)


# recursion from each layer down to the picture
@right("gan.receptive_field")
def receptive_field(kernels, strides):
    def width(layer, outputs=1):
        if layer < 0:
            return outputs
        return width(layer - 1, (outputs - 1) * strides[layer] + kernels[layer])

    return torch.tensor([width(layer) for layer in range(len(kernels))])


# a DFT by einsum with its own matrix, rings by math.isqrt
@right("gan.spectrum")
def spectrum(y):
    n = y.shape[-1]
    j = torch.arange(n)
    angle = -2 * math.pi * ((j[:, None] * j) % n).to(torch.float64) / n
    W = torch.polar(torch.ones_like(angle), angle)
    power = torch.einsum("ki,bcij,lj->bckl", W, y.to(W.dtype), W).abs().square().mean((0, 1))
    sums, counts = torch.zeros(n, dtype=torch.float64), torch.zeros(n, dtype=torch.float64)
    for a in range(n):
        for b in range(n):
            k1, k2 = min(a, n - a), min(b, n - b)
            r = math.isqrt(k1 * k1 + k2 * k2)
            sums[r] += power[a, b]
            counts[r] += 1
    return (sums / counts.clamp(min=1))[: n // 2].to(y.dtype)


# analysis of variance, mean squares within and between
@right("gan.variances")
def variances(samples):
    K, B = samples.shape[:2]
    means = samples.mean(0, keepdim=True)
    within = (samples - means).square().sum((0, 1)) / (B * (K - 1))
    between = K * (means - means.mean(1, keepdim=True)).square().sum((0, 1)) / (B - 1)
    return within.mean(), ((between - within) / K).mean()


# torch.func.grad, squares by einsum
@right("gan.r1")
def r1(D, x, y):
    slope = torch.func.grad(lambda pictures: D(x, pictures).sum())(y.detach())
    return torch.einsum("bi,bi->", slope.flatten(1), slope.flatten(1)) / len(y)
