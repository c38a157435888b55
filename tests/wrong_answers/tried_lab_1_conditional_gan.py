"""Further answers to lab_1_conditional_gan, as they were tried on it."""
# ruff: noqa
# pyright: reportRedeclaration=false, reportAttributeAccessIssue=false, reportAssignmentType=false
# pyright: reportGeneralTypeIssues=false, reportAssertAlwaysTrue=false, reportUnusedExpression=false
# pyright: reportOptionalSubscript=false

from . import right, wrong

import math

import torch

import torch.nn.functional as F

sp = F.softplus


def dl(real, fake):
    return sp(-real).mean() + sp(fake).mean()


def gl(fake):
    return -sp(fake).mean(), sp(-fake).mean()


def ob(fake, output, y, lam):
    return sp(-fake).mean() + lam * (y - output).abs().mean()


# signs of the logits swapped (real treated as fake)
@wrong("gan.discriminator_loss", "swapped")
def discriminator_loss(real, fake):
    return sp(real).mean() + sp(-fake).mean()


# sums for means
@wrong("gan.discriminator_loss", "summed")
def discriminator_loss(real, fake):
    return sp(-real).sum() + sp(fake).sum()


# half of the loss, as in the pix2pix paper
@wrong("gan.discriminator_loss", "halved")
def discriminator_loss(real, fake):
    return 0.5 * (sp(-real).mean() + sp(fake).mean())


# one mean over reals and fakes concatenated
@wrong("gan.discriminator_loss", "one_mean")
def discriminator_loss(real, fake):
    return torch.cat([sp(-real), sp(fake)]).mean()


# leading minus forgotten: the expected log-probability itself
@wrong("gan.discriminator_loss", "maximised")
def discriminator_loss(real, fake):
    return F.logsigmoid(real).mean() + F.logsigmoid(-fake).mean()


# sigmoid twice (sigmoid, then BCE with logits)
@wrong("gan.discriminator_loss", "sigmoid_twice")
def discriminator_loss(real, fake):
    real, fake = torch.sigmoid(real), torch.sigmoid(fake)
    return F.binary_cross_entropy_with_logits(real, torch.ones_like(real)) + F.binary_cross_entropy_with_logits(
        fake, torch.zeros_like(fake)
    )


# fakes get the label real, too (copy and paste)
@wrong("gan.discriminator_loss", "both_real")
def discriminator_loss(real, fake):
    bce = F.binary_cross_entropy_with_logits
    return bce(real, torch.ones_like(real)) + bce(fake, torch.ones_like(fake))


# logaddexp with zeros
@right("gan.discriminator_loss")
def discriminator_loss(real, fake):
    zero = torch.zeros((), dtype=real.dtype)
    return torch.logaddexp(zero, -real).mean() + torch.logaddexp(zero, fake).mean()


# BCE with logits per class
@right("gan.discriminator_loss")
def discriminator_loss(real, fake):
    bce = F.binary_cross_entropy_with_logits
    return bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))


# Bernoulli's log_prob
@right("gan.discriminator_loss")
def discriminator_loss(real, fake):
    B = torch.distributions.Bernoulli
    return (
        -B(logits=real).log_prob(torch.ones_like(real)).mean() - B(logits=fake).log_prob(torch.zeros_like(fake)).mean()
    )


# sign: log p_G - log p
@wrong("gan.optimal_logit", "swapped")
def optimal_logit(y, mean, std, mean_G, std_G):
    lp = -0.5 * ((y - mean) / std) ** 2 - std.log()
    lg = -0.5 * ((y - mean_G) / std_G) ** 2 - std_G.log()
    return lg - lp


# std taken for a variance
@wrong("gan.optimal_logit", "variance_throughout")
def optimal_logit(y, mean, std, mean_G, std_G):
    lp = -0.5 * (y - mean) ** 2 / std - 0.5 * std.log()
    lg = -0.5 * (y - mean_G) ** 2 / std_G - 0.5 * std_G.log()
    return lp - lg


# one half in the exponent forgotten
@wrong("gan.optimal_logit", "no_half")
def optimal_logit(y, mean, std, mean_G, std_G):
    return -(((y - mean) / std) ** 2) - std.log() + ((y - mean_G) / std_G) ** 2 + std_G.log()


# ratio of the densities without the log
@wrong("gan.optimal_logit", "ratio")
def optimal_logit(y, mean, std, mean_G, std_G):
    N = torch.distributions.Normal
    return N(mean, std).log_prob(y).exp() / N(mean_G, std_G).log_prob(y).exp()


# sign of log sigma wrong in both
@wrong("gan.optimal_logit", "log_std_turned")
def optimal_logit(y, mean, std, mean_G, std_G):
    lp = -0.5 * ((y - mean) / std) ** 2 + std.log()
    lg = -0.5 * ((y - mean_G) / std_G) ** 2 + std_G.log()
    return lp - lg


# std of the data used for both (copy and paste)
@wrong("gan.optimal_logit", "one_std")
def optimal_logit(y, mean, std, mean_G, std_G):
    lp = -0.5 * ((y - mean) / std) ** 2 - std.log()
    lg = -0.5 * ((y - mean_G) / std) ** 2 - std.log()
    return lp - lg


# torch.distributions
@right("gan.optimal_logit")
def optimal_logit(y, mean, std, mean_G, std_G):
    N = torch.distributions.Normal
    return N(mean, std).log_prob(y) - N(mean_G, std_G).log_prob(y)


# a polynomial in y, coefficients by hand
@right("gan.optimal_logit")
def optimal_logit(y, mean, std, mean_G, std_G):
    pa, pg = std**-2, std_G**-2
    c2 = (pg - pa) / 2
    c1 = mean * pa - mean_G * pg
    c0 = (mean_G**2 * pg - mean**2 * pa) / 2 + torch.log(std_G / std)
    return c0 + y * (c1 + y * c2)


# loop over y with math
@right("gan.optimal_logit")
def optimal_logit(y, mean, std, mean_G, std_G):
    def logp(v, m, s):
        return -math.log(s) - (v - m) ** 2 / (2 * s * s)

    m, s, mg, sg = (t.item() for t in (mean, std, mean_G, std_G))
    return torch.tensor([logp(v, m, s) - logp(v, mg, sg) for v in y.tolist()], dtype=y.dtype)


# the two returned in the wrong order
@wrong("gan.generator_losses", "exchanged")
def generator_losses(fake):
    return sp(-fake).mean(), -sp(fake).mean()


# minimax without its minus
@wrong("gan.generator_losses", "first_is_the_discriminators")
def generator_losses(fake):
    return sp(fake).mean(), sp(-fake).mean()


# sums for means
@wrong("gan.generator_losses", "summed")
def generator_losses(fake):
    return -sp(fake).sum(), sp(-fake).sum()


# logarithm of sigmoid, infinite far out
@wrong("gan.generator_losses", "log_of_sigmoid")
def generator_losses(fake):
    P = torch.sigmoid(fake)
    return torch.log(1 - P).mean(), -torch.log(P).mean()


# each logit by itself, no mean
@wrong("gan.generator_losses", "not_averaged")
def generator_losses(fake):
    return -sp(fake), sp(-fake)


# non-saturating without its minus: log P
@wrong("gan.generator_losses", "second_turned")
def generator_losses(fake):
    return F.logsigmoid(-fake).mean(), F.logsigmoid(fake).mean()


# logsigmoid and log(1-P) = log P - a
@right("gan.generator_losses")
def generator_losses(fake):
    logP = F.logsigmoid(fake)
    return (logP - fake).mean(), -logP.mean()


# logsumexp over a stacked pair
@right("gan.generator_losses")
def generator_losses(fake):
    pair_ = torch.stack([torch.zeros_like(fake), fake]).flatten(1)
    total = torch.logsumexp(pair_, 0)
    logs = (pair_ - total).mean(1)
    return logs[0], -logs[1]


# loop over the logits, added up
@right("gan.generator_losses")
def generator_losses(fake):
    m, n = 0.0, 0.0
    flat = fake.reshape(-1)
    for v in flat:
        m = m - sp(v) / len(flat)
        n = n + sp(-v) / len(flat)
    return m, n


# slopes swapped
@wrong("gan.pulls", "exchanged")
def pulls(fake):
    return -torch.sigmoid(-fake), -torch.sigmoid(fake)


# slopes over the probability P, not over the logit
@wrong("gan.pulls", "over_the_probability")
def pulls(fake):
    P = torch.sigmoid(fake)
    return -1 / (1 - P), -1 / P


# autograd of the mean: each divided by the number of logits
@wrong("gan.pulls", "averaged")
def pulls(fake):
    a_ = fake.detach().clone().requires_grad_()
    (m,) = torch.autograd.grad(-sp(a_).mean(), a_)
    (n,) = torch.autograd.grad(sp(-a_).mean(), a_)
    return m, n


# P(1-P) for both: the slope of the sigmoid only
@wrong("gan.pulls", "slope_of_sigmoid")
def pulls(fake):
    P = torch.sigmoid(fake)
    return -P * (1 - P), -P * (1 - P)


# the strength only: no signs
@wrong("gan.pulls", "downhill")
def pulls(fake):
    P = torch.sigmoid(fake)
    return P, 1 - P


# autograd through log(sigmoid): nan far out
@wrong("gan.pulls", "through_logarithms")
def pulls(fake):
    a_ = fake.detach().clone().requires_grad_()
    P = torch.sigmoid(a_)
    (m,) = torch.autograd.grad(torch.log(1 - P).sum(), a_, retain_graph=True)
    (n,) = torch.autograd.grad(-torch.log(P).sum(), a_)
    return m, n


# in-place sigmoid_ on the given tensor
@wrong("gan.pulls", "in_place")
def pulls(fake):
    P = fake.sigmoid_()
    return -P, P - 1


# the losses by logit, not the slopes
@wrong("gan.pulls", "losses")
def pulls(fake):
    return -sp(fake), sp(-fake)


# vmap of grad
@right("gan.pulls")
def pulls(fake):
    f = fake.reshape(-1)
    m = torch.func.vmap(torch.func.grad(lambda v: -sp(v)))(f)
    n = torch.func.vmap(torch.func.grad(lambda v: sp(-v)))(f)
    return m.reshape(fake.shape), n.reshape(fake.shape)


# tanh
@right("gan.pulls")
def pulls(fake):
    t = torch.tanh(fake / 2)
    return -(1 + t) / 2, -(1 - t) / 2


# autograd of sums
@right("gan.pulls")
def pulls(fake):
    with torch.enable_grad():
        a_ = fake.detach().clone().requires_grad_()
        (m,) = torch.autograd.grad(F.logsigmoid(-a_).sum(), a_)
        (n,) = torch.autograd.grad(-F.logsigmoid(a_).sum(), a_)
    return m, n


# picture first, then the map
@wrong("gan.pair", "picture_first")
def pair(classes, y, n_classes):
    return torch.cat([y, F.one_hot(classes, n_classes).permute(0, 3, 1, 2).to(y.dtype)], 1)


# reshape in place of permute
@wrong("gan.pair", "reshaped")
def pair(classes, y, n_classes):
    B, H, W = classes.shape
    return torch.cat([F.one_hot(classes, n_classes).reshape(B, n_classes, H, W).to(y.dtype), y], 1)


# rows and columns of the map swapped: permute(0, 3, 2, 1)
@wrong("gan.pair", "transposed")
def pair(classes, y, n_classes):
    x = F.one_hot(classes, n_classes).permute(0, 3, 2, 1)
    return torch.cat([x.to(y.dtype), y], 1)


# one channel with the numbers of the classes
@wrong("gan.pair", "as_numbers")
def pair(classes, y, n_classes):
    return torch.cat([classes[:, None].to(y.dtype), y], 1)


# three classes, hard-coded
@wrong("gan.pair", "always_3")
def pair(classes, y, n_classes):
    x = torch.stack([classes == k for k in range(3)], 1)
    return torch.cat([x.to(y.dtype), y], 1)


# channels shifted by one: compared with 1..n
@wrong("gan.pair", "from_1")
def pair(classes, y, n_classes):
    x = classes[:, None] == torch.arange(1, n_classes + 1).view(1, -1, 1, 1)
    return torch.cat([x.to(y.dtype), y], 1)


# rows of an identity matrix
@right("gan.pair")
def pair(classes, y, n_classes):
    return torch.cat([torch.eye(n_classes, dtype=y.dtype)[classes].movedim(-1, 1), y], 1)


# scatter_ into an own tensor
@right("gan.pair")
def pair(classes, y, n_classes):
    B, C, H, W = y.shape
    out = y.new_zeros(B, n_classes + C, H, W)
    out.scatter_(1, classes.unsqueeze(1), 1.0)
    out[:, n_classes:] = y
    return out


# a loop over classes and pictures
@right("gan.pair")
def pair(classes, y, n_classes):
    pictures = []
    for c, p in zip(classes, y):
        pictures.append(
            torch.cat([torch.stack([torch.where(c == k, 1.0, 0.0).to(y.dtype) for k in range(n_classes)]), p])
        )
    return torch.stack(pictures)


# squared distance (L2)
@wrong("gan.objective", "squared")
def objective(fake, output, y, lam):
    return sp(-fake).mean() + lam * ((y - output) ** 2).mean()


# lambda on the first term
@wrong("gan.objective", "lam_on_the_other")
def objective(fake, output, y, lam):
    return lam * sp(-fake).mean() + (y - output).abs().mean()


# sign of the logit: -log(1-P)
@wrong("gan.objective", "discriminators")
def objective(fake, output, y, lam):
    return sp(fake).mean() + lam * (y - output).abs().mean()


# no absolute value
@wrong("gan.objective", "no_abs")
def objective(fake, output, y, lam):
    return sp(-fake).mean() + lam * (y - output).mean()


# the output detached: no gradient from the distance
@wrong("gan.objective", "detached")
def objective(fake, output, y, lam):
    return sp(-fake).mean() + lam * (y - output.detach()).abs().mean()


# summed over all pixels and pictures
@wrong("gan.objective", "summed")
def objective(fake, output, y, lam):
    return sp(-fake).mean() + lam * torch.sum(torch.abs(output - y))


# relu both ways
@right("gan.objective")
def objective(fake, output, y, lam):
    d = y - output
    return F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake)) + lam * (F.relu(d) + F.relu(-d)).mean()


# a loop over the pictures, l1_loss each
@right("gan.objective")
def objective(fake, output, y, lam):
    dist = sum(F.l1_loss(o, t) for o, t in zip(output, y)) / len(y)
    return -F.logsigmoid(fake).mean() + lam * dist


# detached in both losses
@wrong("gan.gradients", "error")
def gradients(G, D, x, y, z):
    fake = G(x, z).detach()
    (gd,) = torch.autograd.grad(dl(D(x, y), D(x, fake)), D.weight)
    (gg,) = torch.autograd.grad(gl(D(x, fake))[1], G.weight)
    return gd, gg


# backward on both, not detached, nothing emptied
@wrong("gan.gradients", "one_loss")
def gradients(G, D, x, y, z):
    fake = G(x, z)
    dl(D(x, y), D(x, fake)).backward(retain_graph=True)
    gl(D(x, fake))[1].backward()
    return D.weight.grad, G.weight.grad


# G's loss is the minimax one
@wrong("gan.gradients", "minimax")
def gradients(G, D, x, y, z):
    fake = G(x, z)
    (gd,) = torch.autograd.grad(dl(D(x, y), D(x, fake.detach())), D.weight)
    (gg,) = torch.autograd.grad(gl(D(x, fake))[0], G.weight)
    return gd, gg


# grad_G from D's loss
@wrong("gan.gradients", "helps_D")
def gradients(G, D, x, y, z):
    loss = dl(D(x, y), D(x, G(x, z)))
    return torch.autograd.grad(loss, (D.weight, G.weight))


# arguments of G swapped: G(z, x)
@wrong("gan.gradients", "z_first")
def gradients(G, D, x, y, z):
    fake = G(z, x)
    (gd,) = torch.autograd.grad(dl(D(x, y), D(x, fake.detach())), D.weight)
    (gg,) = torch.autograd.grad(gl(D(x, fake))[1], G.weight)
    return gd, gg


# D's loss from the fakes only
@wrong("gan.gradients", "fake_only")
def gradients(G, D, x, y, z):
    fake = G(x, z)
    (gd,) = torch.autograd.grad(sp(D(x, fake.detach())).mean(), D.weight)
    (gg,) = torch.autograd.grad(gl(D(x, fake))[1], G.weight)
    return gd, gg


# no detach at all, autograd.grad over each own weight
@right("gan.gradients")
def gradients(G, D, x, y, z):
    logits = D(x, G(x, z))
    gd = torch.autograd.grad(dl(D(x, y), logits), D.weight, retain_graph=True)[0]
    return gd, torch.autograd.grad(sp(-logits).mean(), G.weight)[0]


# backward with inputs=, copied and put back
@right("gan.gradients")
def gradients(G, D, x, y, z):
    kept = D.weight.grad, G.weight.grad
    D.weight.grad = G.weight.grad = None
    fake = G(x, z)
    dl(D(x, y), D(x, fake.detach())).backward(inputs=[D.weight])
    gl(D(x, fake))[1].backward(inputs=[G.weight])
    found = D.weight.grad.clone(), G.weight.grad.clone()
    D.weight.grad, G.weight.grad = kept
    return found


# fakes made under no_grad for D, anew for G
@right("gan.gradients")
def gradients(G, D, x, y, z):
    with torch.no_grad():
        shown = G(x, z)
    (gd,) = torch.autograd.grad(dl(D(x, y), D(x, shown)), D.weight)
    (gg,) = torch.autograd.grad(gl(D(x, G(x, z)))[1], G.weight)
    return gd, gg


# D_optimizer.zero_grad forgotten, G's is there
@wrong("gan.step", "stale_D")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    dl(D(x, y), D(x, fake.detach())).backward()
    D_optimizer.step()
    G_optimizer.zero_grad()
    ob(D(x, fake), fake, y, lam).backward()
    G_optimizer.step()


# zero_grad between backward and step
@wrong("gan.step", "nothing_moves")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    dl(D(x, y), D(x, fake.detach())).backward()
    D_optimizer.zero_grad()
    D_optimizer.step()
    ob(D(x, fake), fake, y, lam).backward()
    G_optimizer.zero_grad()
    G_optimizer.step()


# not detached, both zero_grad at the start: D's loss leaks into G
@wrong("gan.step", "leak")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    G_optimizer.zero_grad()
    D_optimizer.zero_grad()
    fake = G(x, z)
    dl(D(x, y), D(x, fake)).backward()
    D_optimizer.step()
    fake = G(x, z)
    ob(D(x, fake), fake, y, lam).backward()
    G_optimizer.step()


# new noise for G's turn
@wrong("gan.step", "random")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    D_optimizer.zero_grad()
    dl(D(x, y), D(x, G(x, z).detach())).backward()
    D_optimizer.step()
    fake = G(x, torch.randn_like(z))
    G_optimizer.zero_grad()
    ob(D(x, fake), fake, y, lam).backward()
    G_optimizer.step()


# G first, then D on the same fakes
@wrong("gan.step", "old_D")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    G_optimizer.zero_grad()
    ob(D(x, fake), fake, y, lam).backward()
    G_optimizer.step()
    D_optimizer.zero_grad()
    dl(D(x, y), D(x, fake.detach())).backward()
    D_optimizer.step()


# logits of the fakes from before D's step used for G again
@wrong("gan.step", "old_D")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    logits = D(x, fake)
    D_optimizer.zero_grad()
    dl(D(x, y), logits).backward(retain_graph=True)
    D_optimizer.step()
    G_optimizer.zero_grad()
    ob(logits, fake, y, lam).backward()
    G_optimizer.step()


# fake detached in G's turn as well (for D's answer)
@wrong("gan.step", "cut")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    D_optimizer.zero_grad()
    dl(D(x, y), D(x, fake.detach())).backward()
    D_optimizer.step()
    G_optimizer.zero_grad()
    ob(D(x, fake.detach()), fake, y, lam).backward()
    G_optimizer.step()


# distance left out: the adversarial loss alone
@wrong("gan.step", "no_distance")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    D_optimizer.zero_grad()
    dl(D(x, y), D(x, fake.detach())).backward()
    D_optimizer.step()
    G_optimizer.zero_grad()
    gl(D(x, fake))[1].backward()
    G_optimizer.step()


# D_optimizer.step() forgotten
@wrong("gan.step", "only_G")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    D_optimizer.zero_grad()
    dl(D(x, y), D(x, fake.detach())).backward()
    G_optimizer.zero_grad()
    ob(D(x, fake), fake, y, lam).backward()
    G_optimizer.step()


# no detach, G emptied before its turn, fakes made anew
@right("gan.step")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    D_optimizer.zero_grad()
    dl(D(x, y), D(x, G(x, z))).backward()
    D_optimizer.step()
    G_optimizer.zero_grad()
    fake = G(x, z)
    ob(D(x, fake), y, fake, lam).backward()
    G_optimizer.step()


# autograd.grad, put into .grad by hand, a class inside
@right("gan.step")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    class Turn:
        def __init__(self, optimizer):
            self.optimizer = optimizer
            self.weights = [w for group in optimizer.param_groups for w in group["params"]]

        def __call__(self, loss):
            for w, g in zip(self.weights, torch.autograd.grad(loss, self.weights)):
                w.grad = g
            self.optimizer.step()

    fake = G(x, z)
    Turn(D_optimizer)(dl(D(x, y), D(x, fake.detach())))
    Turn(G_optimizer)(ob(D(x, fake), fake, y, lam))


# the layer's own stride counts already
@wrong("gan.receptive_field", "own_stride")
def receptive_field(kernels, strides):
    field, apart, out = 1, 1, []
    for k, s in zip(kernels, strides):
        apart *= s
        field += (k - 1) * apart
        out.append(field)
    return torch.tensor(out)


# strides ignored
@wrong("gan.receptive_field", "no_strides")
def receptive_field(kernels, strides):
    return torch.tensor([1 + sum(k - 1 for k in kernels[: i + 1]) for i in range(len(kernels))])


# strides added, not multiplied
@wrong("gan.receptive_field", "strides_summed")
def receptive_field(kernels, strides):
    field, apart, out = 1, 0, []
    for k, s in zip(kernels, strides):
        field += (k - 1) * max(apart, 1)
        apart += s
        out.append(field)
    return torch.tensor(out)


# backward recursion (r - 1)·s + k run from the first layer on
@wrong("gan.receptive_field", "forward_recursion")
def receptive_field(kernels, strides):
    r, out = 1, []
    for k, s in zip(kernels, strides):
        r = (r - 1) * s + k
        out.append(r)
    return torch.tensor(out)


# only the stride of the layer before, not the product
@wrong("gan.receptive_field", "last_stride_only")
def receptive_field(kernels, strides):
    r, last, out = 1, 1, []
    for k, s in zip(kernels, strides):
        r += (k - 1) * last
        last = s
        out.append(r)
    return torch.tensor(out)


# the last layer's number alone
@wrong("gan.receptive_field", "last_alone")
def receptive_field(kernels, strides):
    field, apart = 1, 1
    for k, s in zip(kernels, strides):
        field += (k - 1) * apart
        apart *= s
    return torch.tensor([field])


# backward recursion for each depth
@right("gan.receptive_field")
def receptive_field(kernels, strides):
    def seen(i, r=1):
        return r if i < 0 else seen(i - 1, (r - 1) * strides[i] + kernels[i])

    return torch.tensor([seen(i) for i in range(len(kernels))])


# cumprod and cumsum
@right("gan.receptive_field")
def receptive_field(kernels, strides):
    k, s = torch.tensor(kernels), torch.tensor(strides)
    before = torch.cat([torch.ones(1, dtype=s.dtype), s.cumprod(0)[:-1]])
    return 1 + ((k - 1) * before).cumsum(0)


# amplitude, not power (square forgotten)
@wrong("gan.spectrum", "amplitude")
def spectrum(y):
    n = y.shape[-1]
    k = torch.fft.fftfreq(n, d=1 / n, dtype=y.dtype)
    ring = (k[:, None] ** 2 + k**2).sqrt().floor()
    power = torch.fft.fft2(y).abs()
    return torch.stack([power[..., ring == r].mean() for r in range(n // 2)])


# sum over the ring (mean over pictures and channels)
@wrong("gan.spectrum", "summed")
def spectrum(y):
    n = y.shape[-1]
    k = torch.fft.fftfreq(n, d=1 / n, dtype=y.dtype)
    ring = (k[:, None] ** 2 + k**2).sqrt().floor()
    power = (torch.fft.fft2(y).abs() ** 2).mean((0, 1))
    return torch.stack([power[ring == r].sum() for r in range(n // 2)])


# frequencies 0..n-1, none negative
@wrong("gan.spectrum", "not_wrapped")
def spectrum(y):
    n = y.shape[-1]
    k = torch.arange(n, dtype=y.dtype)
    ring = (k[:, None] ** 2 + k**2).sqrt().floor()
    power = torch.fft.fft2(y).abs() ** 2
    return torch.stack([power[..., ring == r].mean() for r in range(n // 2)])


# rings begin at 1: off by one
@wrong("gan.spectrum", "from_1")
def spectrum(y):
    n = y.shape[-1]
    k = torch.fft.fftfreq(n, d=1 / n, dtype=y.dtype)
    ring = (k[:, None] ** 2 + k**2).sqrt().floor()
    power = torch.fft.fft2(y).abs() ** 2
    return torch.stack([power[..., ring == r].mean() for r in range(1, n // 2 + 1)])


# square rings: max of |k1|, |k2|
@wrong("gan.spectrum", "squares")
def spectrum(y):
    n = y.shape[-1]
    k = torch.fft.fftfreq(n, d=1 / n, dtype=y.dtype).abs()
    ring = torch.maximum(k[:, None], k[None, :]).floor()
    power = torch.fft.fft2(y).abs() ** 2
    return torch.stack([power[..., ring == r].mean() for r in range(n // 2)])


# mean over pictures before the square
@wrong("gan.spectrum", "pictures_averaged")
def spectrum(y):
    n = y.shape[-1]
    k = torch.fft.fftfreq(n, d=1 / n, dtype=y.dtype)
    ring = (k[:, None] ** 2 + k**2).sqrt().floor()
    power = torch.fft.fft2(y).mean((0, 1)).abs() ** 2
    return torch.stack([power[ring == r].mean() for r in range(n // 2)])


# real part squared only
@wrong("gan.spectrum", "real_part")
def spectrum(y):
    n = y.shape[-1]
    k = torch.fft.fftfreq(n, d=1 / n, dtype=y.dtype)
    ring = (k[:, None] ** 2 + k**2).sqrt().floor()
    power = torch.fft.fft2(y).real ** 2
    return torch.stack([power[..., ring == r].mean() for r in range(n // 2)])


# DFT matrix and einsum
@right("gan.spectrum")
def spectrum(y):
    n = y.shape[-1]
    j = torch.arange(n, dtype=y.dtype)
    phase = 2 * math.pi * torch.outer(j, j) / n
    W = torch.complex(phase.cos(), -phase.sin())
    Y = torch.einsum("ij,bcjk,kl->bcil", W, y.to(W.dtype), W)
    power = Y.real**2 + Y.imag**2
    k = torch.fft.fftfreq(n, d=1 / n, dtype=y.dtype)
    ring = torch.hypot(k[:, None].expand(n, n), k[None].expand(n, n)).long()
    return torch.stack([power[:, :, ring == r].mean() for r in range(n // 2)])


# bincount over rings, centred
@right("gan.spectrum")
def spectrum(y):
    n = y.shape[-1]
    power = torch.fft.fftshift(torch.fft.fft2(y).abs().pow(2).mean((0, 1)))
    k = torch.arange(n) - n // 2
    ring = torch.tensor([[math.isqrt(int(p * p + q * q)) for q in k] for p in k]).flatten()
    return (torch.bincount(ring, weights=power.flatten()) / torch.bincount(ring))[: n // 2].to(y.dtype)


# a B-th of the noise subtracted
@wrong("gan.variances", "divided_by_maps")
def variances(samples):
    n = samples.var(0).mean()
    return n, samples.mean(0).var(0).mean() - n / samples.shape[1]


# axes of draws and maps confused
@wrong("gan.variances", "axes_exchanged")
def variances(samples):
    n = samples.var(1).mean()
    return n, samples.mean(1).var(0).mean() - n / samples.shape[1]


# K below, not K - 1, in the noise's part
@wrong("gan.variances", "noise_divided_by_n")
def variances(samples):
    n = samples.var(0, unbiased=False).mean()
    return n, samples.mean(0).var(0).mean() - n / len(samples)


# variance of the means over maps and pixels together
@wrong("gan.variances", "maps_and_pixels")
def variances(samples):
    n = samples.var(0).mean()
    return n, samples.mean(0).var() - n / len(samples)


# by_map = total variance - by_noise
@wrong("gan.variances", "total_less_noise")
def variances(samples):
    n = samples.var(0).mean()
    return n, samples.flatten(0, 1).var(0).mean() - n


# clamped at 0
@wrong("gan.variances", "cut_off")
def variances(samples):
    n = samples.var(0).mean()
    return n, (samples.mean(0).var(0).mean() - n / len(samples)).clamp(min=0)


# standard deviations in place of variances
@wrong("gan.variances", "deviations")
def variances(samples):
    n = samples.std(0).mean()
    return n, samples.mean(0).std(0).mean() - n / len(samples)


# loops and Python sums
@right("gan.variances")
def variances(samples):
    K, B = samples.shape[:2]
    means = [sum(samples[k, b] for k in range(K)) / K for b in range(B)]
    n = sum((samples[k, b] - means[b]) ** 2 for k in range(K) for b in range(B)) / (B * (K - 1))
    all_ = sum(means) / B
    m = sum((mu - all_) ** 2 for mu in means) / (B - 1)
    return n.mean(), (m - n / K).mean()


# covariance of pairs of draws (sums of cross products)
@right("gan.variances")
def variances(samples):
    K, B = samples.shape[:2]
    c = samples - samples.mean((0, 1))
    sq = torch.einsum("kbchw,kbchw->chw", c, c)
    cross = torch.einsum("kbchw,lbchw->chw", c, c)
    within = (sq - cross / K) / (B * (K - 1))
    between = cross / K**2 / (B - 1) - within / K
    return within.mean(), between.mean()


# mean of half squared differences over pairs of draws
@right("gan.variances")
def variances(samples):
    K, B = samples.shape[:2]
    total, count = 0.0, 0
    for i in range(K):
        for j in range(i):
            total, count = total + (samples[i] - samples[j]).square().mean() / 2, count + 1
    n = total / count
    return n, torch.var(samples.mean(0), dim=0).mean() - n / K


# mean over all pixels of the squares, not the sum for each picture
@wrong("gan.r1", "mean_over_pixels")
def r1(D, x, y):
    y = y.detach().requires_grad_()
    (g,) = torch.autograd.grad(D(x, y).sum(), y, create_graph=True)
    return g.square().mean()


# mean of the patches in place of their sum
@wrong("gan.r1", "logits_averaged")
def r1(D, x, y):
    y = y.detach().requires_grad_()
    (g,) = torch.autograd.grad(D(x, y).mean(), y, create_graph=True)
    return g.square().sum((1, 2, 3)).mean()


# the length, not its square
@wrong("gan.r1", "not_squared")
def r1(D, x, y):
    y = y.detach().requires_grad_()
    (g,) = torch.autograd.grad(D(x, y).sum(), y, create_graph=True)
    return g.flatten(1).norm(dim=1).mean()


# sum over the batch
@wrong("gan.r1", "summed_over_the_batch")
def r1(D, x, y):
    y = y.detach().requires_grad_()
    (g,) = torch.autograd.grad(D(x, y).sum(), y, create_graph=True)
    return g.square().sum()


# WGAN-GP: (length - 1)^2
@wrong("gan.r1", "towards_1")
def r1(D, x, y):
    y = y.detach().requires_grad_()
    (g,) = torch.autograd.grad(D(x, y).sum(), y, create_graph=True)
    return ((g.flatten(1).norm(dim=1) - 1) ** 2).mean()


# y does not ask for a gradient (exception)
@wrong("gan.r1", "error")
def r1(D, x, y):
    (g,) = torch.autograd.grad(D(x, y).sum(), y, create_graph=True)
    return g.square().flatten(1).sum(1).mean()


# slope over D's weights, not over y
@wrong("gan.r1", "over_the_weights")
def r1(D, x, y):
    grads = torch.autograd.grad(D(x, y).sum(), list(D.parameters()), create_graph=True)
    return sum(g.square().sum() for g in grads)


# sum over the channels only, mean over pixels
@wrong("gan.r1", "channels_only")
def r1(D, x, y):
    y = y.detach().requires_grad_()
    (g,) = torch.autograd.grad(D(x, y).sum(), y, create_graph=True)
    return g.square().sum(1).mean()


# picture by picture
@right("gan.r1")
def r1(D, x, y):
    total = 0.0
    for i in range(len(y)):
        yi = y[i : i + 1].detach().clone().requires_grad_(True)
        xi = None if x is None else x[i : i + 1]
        (g,) = torch.autograd.grad(D(xi, yi).sum(), yi, create_graph=True)
        total = total + (g * g).sum()
    return total / len(y)


# torch.func.grad and einsum
@right("gan.r1")
def r1(D, x, y):
    g = torch.func.grad(lambda v: D(x, v).sum())(y)
    return torch.einsum("bchw,bchw->", g, g) / len(y)


# vmap over pictures of a vjp, a helper inside
@right("gan.r1")
def r1(D, x, y):
    def length(xi, yi):
        out, back = torch.func.vjp(lambda v: D(xi[None], v[None]), yi)
        return back(torch.ones_like(out))[0].pow(2).sum()

    return torch.func.vmap(length)(x, y).mean()
