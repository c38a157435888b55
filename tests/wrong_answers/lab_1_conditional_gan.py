"""Lab 1: learned losses and conditional GANs."""
# ruff: noqa: F811  (every answer has the name that the lab gives it)
# pyright: reportRedeclaration=false

import functools
import math

import torch
from torch.distributions import Normal
from torch.nn import functional as F  # noqa: N812
from torch.nn.functional import logsigmoid, softplus

from . import right, wrong

# what other cells of the notebook hold
logit = torch.linspace(-8, 8, 161, dtype=torch.float64)
shown = torch.linspace(-1, 1, 2048, dtype=torch.float64).reshape(2, 1, 32, 32)

# --- discriminator_loss: wrong --------------------------------------------------------------------------------------


@wrong("gan.discriminator_loss", "swapped")
def discriminator_loss(real, fake):
    return softplus(real).mean() + softplus(-fake).mean()


@wrong("gan.discriminator_loss", "maximised")  # as in the paper's game, where D maximises
def discriminator_loss(real, fake):
    return logsigmoid(real).mean() + logsigmoid(-fake).mean()


@wrong("gan.discriminator_loss", "halved")
def discriminator_loss(real, fake):
    return (softplus(-real).mean() + softplus(fake).mean()) / 2


@wrong("gan.discriminator_loss", "summed")
def discriminator_loss(real, fake):
    return softplus(-real).sum() + softplus(fake).sum()


@wrong("gan.discriminator_loss", "real_only")
def discriminator_loss(real, fake):
    return F.binary_cross_entropy_with_logits(real, torch.ones_like(real))


@wrong("gan.discriminator_loss", "fake_only")
def discriminator_loss(real, fake):
    return F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))


@wrong("gan.discriminator_loss", "both_real")  # ones_like, copied once too often
def discriminator_loss(real, fake):
    on_real = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    return on_real + F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))


@wrong("gan.discriminator_loss", "sigmoid_twice")
def discriminator_loss(real, fake):
    real, fake = torch.sigmoid(real), torch.sigmoid(fake)
    on_real = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    return on_real + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))


@wrong("gan.discriminator_loss", "one_mean")
def discriminator_loss(real, fake):
    logits = torch.cat([real.flatten(), fake.flatten()])
    targets = torch.cat([torch.ones_like(real).flatten(), torch.zeros_like(fake).flatten()])
    return F.binary_cross_entropy_with_logits(logits, targets)


@wrong("gan.discriminator_loss", "smoothed")
def discriminator_loss(real, fake):
    on_real = F.binary_cross_entropy_with_logits(real, torch.full_like(real, 0.9))
    return on_real + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))


@wrong("gan.discriminator_loss", "smoothed_both")
def discriminator_loss(real, fake):
    on_real = F.binary_cross_entropy_with_logits(real, torch.full_like(real, 0.9))
    return on_real + F.binary_cross_entropy_with_logits(fake, torch.full_like(fake, 0.1))


@wrong("gan.discriminator_loss", "log_of_sigmoid")
def discriminator_loss(real, fake):
    return -torch.log(torch.sigmoid(real)).mean() - torch.log(1 - torch.sigmoid(fake)).mean()


@wrong("gan.discriminator_loss", "epsilon")
def discriminator_loss(real, fake):
    p, q = torch.sigmoid(real), torch.sigmoid(fake)
    return -torch.log(p + 1e-8).mean() - torch.log(1 - q + 1e-8).mean()


@wrong("gan.discriminator_loss", "clamped")
def discriminator_loss(real, fake):
    on_real = F.binary_cross_entropy(torch.sigmoid(real), torch.ones_like(real))
    return on_real + F.binary_cross_entropy(torch.sigmoid(fake), torch.zeros_like(fake))


@wrong("gan.discriminator_loss", "least_squares")
def discriminator_loss(real, fake):
    return F.mse_loss(real, torch.ones_like(real)) + F.mse_loss(fake, torch.zeros_like(fake))


@wrong("gan.discriminator_loss", "wasserstein")
def discriminator_loss(real, fake):
    return -(real.mean() - fake.mean())


@wrong("gan.discriminator_loss", "shape")
def discriminator_loss(real, fake):
    return (softplus(-real).mean() + softplus(fake).mean()).reshape(1)


@wrong("gan.discriminator_loss", "error")  # as many real ones as fakes, in the picture that was shown
def discriminator_loss(real, fake):
    return (softplus(-real) + softplus(fake)).mean()


@wrong("gan.discriminator_loss", "type")
def discriminator_loss(real, fake):
    return (softplus(-real).mean() + softplus(fake).mean()).item()


@wrong("gan.discriminator_loss", "detached")
def discriminator_loss(real, fake):
    return torch.tensor((softplus(-real).mean() + softplus(fake).mean()).item(), dtype=real.dtype)


@wrong("gan.discriminator_loss", "type")
def discriminator_loss(real, fake):
    return softplus(-real).mean(), softplus(fake).mean()


@wrong("gan.discriminator_loss", "none")
def discriminator_loss(real, fake):
    loss = softplus(-real).mean() + softplus(fake).mean()
    print(loss)


@wrong("gan.discriminator_loss", "cut_off")
def discriminator_loss(real, fake):
    p, q = real.sigmoid().clamp(1e-6, 1 - 1e-6), fake.sigmoid().clamp(1e-6, 1 - 1e-6)
    return -(torch.log(p).mean() + torch.log(1 - q).mean())


@wrong("gan.discriminator_loss", "cut_off")  # so small that it changes nothing, until D is sure
def discriminator_loss(real, fake):
    return -torch.log(real.sigmoid() + 1e-15).mean() - torch.log(1 - fake.sigmoid() + 1e-15).mean()


@wrong("gan.discriminator_loss", "taken_for_probabilities")
def discriminator_loss(real, fake):
    return -(torch.log(real).mean() + torch.log(1 - fake).mean())


@wrong("gan.discriminator_loss", "foreign")  # the notebook's logits
def discriminator_loss(real, fake):
    return softplus(-logit).mean() + softplus(fake).mean()


# --- discriminator_loss: right --------------------------------------------------------------------------------------


@right("gan.discriminator_loss")
def discriminator_loss(real, fake):
    return -logsigmoid(real).mean() - logsigmoid(-fake).mean()


@right("gan.discriminator_loss")
def discriminator_loss(real, fake):
    on_real = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    return on_real + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))


@right("gan.discriminator_loss")
def discriminator_loss(real, fake):
    zero = torch.zeros_like(real[:1])
    on_real = sum(torch.logaddexp(zero, -one[None]).mean() for one in real) / len(real)
    return on_real + torch.logaddexp(torch.zeros_like(fake), fake).sum() / fake.numel()


@right("gan.discriminator_loss")
def discriminator_loss(real, fake):
    targets = [(real, 1.0), (fake, 0.0)]
    losses = [torch.nn.BCEWithLogitsLoss()(logits, torch.full_like(logits, target)) for logits, target in targets]
    return torch.stack(losses).sum()


# --- optimal_logit: wrong -------------------------------------------------------------------------------------------


@wrong("gan.optimal_logit", "swapped")
def optimal_logit(y, mean, std, mean_G, std_G):
    return Normal(mean_G, std_G).log_prob(y) - Normal(mean, std).log_prob(y)


@wrong("gan.optimal_logit", "ratio")
def optimal_logit(y, mean, std, mean_G, std_G):
    return torch.exp(Normal(mean, std).log_prob(y) - Normal(mean_G, std_G).log_prob(y))


@wrong("gan.optimal_logit", "probability")
def optimal_logit(y, mean, std, mean_G, std_G):
    p, p_G = Normal(mean, std).log_prob(y).exp(), Normal(mean_G, std_G).log_prob(y).exp()
    return p / (p + p_G)


@wrong("gan.optimal_logit", "log_probability")
def optimal_logit(y, mean, std, mean_G, std_G):
    p, p_G = Normal(mean, std).log_prob(y), Normal(mean_G, std_G).log_prob(y)
    return p - torch.logaddexp(p, p_G)


@wrong("gan.optimal_logit", "no_log_std")
def optimal_logit(y, mean, std, mean_G, std_G):
    return ((y - mean_G) / std_G) ** 2 / 2 - ((y - mean) / std) ** 2 / 2


@wrong("gan.optimal_logit", "log_std_turned")
def optimal_logit(y, mean, std, mean_G, std_G):
    return ((y - mean_G) / std_G) ** 2 / 2 - ((y - mean) / std) ** 2 / 2 + torch.log(std / std_G)


@wrong("gan.optimal_logit", "no_half")
def optimal_logit(y, mean, std, mean_G, std_G):
    return ((y - mean_G) / std_G) ** 2 - ((y - mean) / std) ** 2 + torch.log(std_G / std)


@wrong("gan.optimal_logit", "quadratic_turned")
def optimal_logit(y, mean, std, mean_G, std_G):
    return ((y - mean) / std) ** 2 / 2 - ((y - mean_G) / std_G) ** 2 / 2 + torch.log(std_G / std)


@wrong("gan.optimal_logit", "std_as_variance")
def optimal_logit(y, mean, std, mean_G, std_G):
    return (y - mean_G) ** 2 / (2 * std_G) - (y - mean) ** 2 / (2 * std) + torch.log(std_G) - torch.log(std)


@wrong("gan.optimal_logit", "log_variance")
def optimal_logit(y, mean, std, mean_G, std_G):
    quadratic = (y - mean_G) ** 2 / (2 * std_G**2) - (y - mean) ** 2 / (2 * std**2)
    return quadratic + torch.log(std_G**2) - torch.log(std**2)


@wrong("gan.optimal_logit", "not_squared")
def optimal_logit(y, mean, std, mean_G, std_G):
    return abs(y - mean_G) / (2 * std_G) - abs(y - mean) / (2 * std) + torch.log(std_G / std)


@wrong("gan.optimal_logit", "data_alone")
def optimal_logit(y, mean, std, mean_G, std_G):
    return Normal(mean, std).log_prob(y)


@wrong("gan.optimal_logit", "through_densities")
def optimal_logit(y, mean, std, mean_G, std_G):
    return torch.log(Normal(mean, std).log_prob(y).exp() / Normal(mean_G, std_G).log_prob(y).exp())


@wrong("gan.optimal_logit", "ignores_y")
def optimal_logit(y, mean, std, mean_G, std_G):
    return Normal(mean, std).log_prob(mean_G).expand_as(y) - Normal(mean_G, std_G).log_prob(mean_G)


@wrong("gan.optimal_logit", "mixing")
def optimal_logit(y, mean, std, mean_G, std_G):
    logit = Normal(mean, std).log_prob(y) - Normal(mean_G, std_G).log_prob(y)
    return logit - logit.mean()


@wrong("gan.optimal_logit", "shape")
def optimal_logit(y, mean, std, mean_G, std_G):
    return (Normal(mean, std).log_prob(y) - Normal(mean_G, std_G).log_prob(y))[:, None]


@wrong("gan.optimal_logit", "type")
def optimal_logit(y, mean, std, mean_G, std_G):
    return [float(Normal(mean, std).log_prob(v) - Normal(mean_G, std_G).log_prob(v)) for v in y]


@wrong("gan.optimal_logit", "in_place")
def optimal_logit(y, mean, std, mean_G, std_G):
    logit = ((y - mean_G) / std_G).square_().div_(2)
    y -= mean
    return logit - (y / std) ** 2 / 2 + torch.log(std_G / std)


@wrong("gan.optimal_logit", "variance_for_std")
def optimal_logit(y, mean, std, mean_G, std_G):
    return Normal(mean, std**2).log_prob(y) - Normal(mean_G, std_G**2).log_prob(y)


@wrong("gan.optimal_logit", "added")
def optimal_logit(y, mean, std, mean_G, std_G):
    return Normal(mean, std).log_prob(y) + Normal(mean_G, std_G).log_prob(y)


@wrong("gan.optimal_logit", "one_std")
def optimal_logit(y, mean, std, mean_G, std_G):
    return Normal(mean, std).log_prob(y) - Normal(mean_G, std).log_prob(y)


@wrong("gan.optimal_logit", "ignores_std_std_G")  # those of the picture
def optimal_logit(y, mean, std, mean_G, std_G):
    return Normal(mean, 0.5).log_prob(y) - Normal(mean_G, 1.0).log_prob(y)


@wrong("gan.optimal_logit", "error")  # math, for one number
def optimal_logit(y, mean, std, mean_G, std_G):
    p = math.exp(-0.5 * ((y - mean) / std) ** 2) / std
    p_G = math.exp(-0.5 * ((y - mean_G) / std_G) ** 2) / std_G
    return torch.log(p / p_G)


# --- optimal_logit: right -------------------------------------------------------------------------------------------


@right("gan.optimal_logit")
def optimal_logit(y, mean, std, mean_G, std_G):
    return Normal(mean, std).log_prob(y) - Normal(mean_G, std_G).log_prob(y)


@right("gan.optimal_logit")
def optimal_logit(y, mean, std, mean_G, std_G):
    return ((y - mean_G) / std_G) ** 2 / 2 - ((y - mean) / std) ** 2 / 2 + torch.log(std_G / std)


@right("gan.optimal_logit")
def optimal_logit(y, mean, std, mean_G, std_G):
    a = 1 / (2 * std_G**2) - 1 / (2 * std**2)
    b = mean / std**2 - mean_G / std_G**2
    c = mean_G**2 / (2 * std_G**2) - mean**2 / (2 * std**2) + math.log(std_G) - math.log(std)
    return a * y**2 + b * y + c


@right("gan.optimal_logit")
def optimal_logit(y, mean, std, mean_G, std_G):
    p, p_G = Normal(mean, std).log_prob(y), Normal(mean_G, std_G).log_prob(y)
    both = torch.logaddexp(p, p_G)
    return torch.stack([(p - both)[i] - (p_G - both)[i] for i in range(len(y))])


# --- pulls: wrong ---------------------------------------------------------------------------------------------------


@wrong("gan.pulls", "exchanged")
def pulls(fake):
    p = torch.sigmoid(fake)
    return p - 1, -p


@wrong("gan.pulls", "downhill")
def pulls(fake):
    p = torch.sigmoid(fake)
    return p, 1 - p


@wrong("gan.pulls", "losses")
def pulls(fake):
    return logsigmoid(-fake), -logsigmoid(fake)


@wrong("gan.pulls", "averaged")
def pulls(fake):
    a = fake.detach().requires_grad_()
    minimax = torch.autograd.grad(logsigmoid(-a).mean(), a)[0]
    return minimax, torch.autograd.grad(-logsigmoid(a).mean(), a)[0]


@wrong("gan.pulls", "over_the_probability")
def pulls(fake):
    p = torch.sigmoid(fake)
    return -1 / (1 - p), -1 / p


@wrong("gan.pulls", "slope_of_sigmoid")
def pulls(fake):
    p = torch.sigmoid(fake)
    return -p * (1 - p), -(1 - p) * p


@wrong("gan.pulls", "slope_of_sigmoid")
def pulls(fake):
    p = torch.sigmoid(fake)
    return -p * (1 - p), p * (1 - p)


@wrong("gan.pulls", "second_turned")
def pulls(fake):
    return -torch.sigmoid(fake), torch.sigmoid(-fake)


@wrong("gan.pulls", "downhill")
def pulls(fake):
    return torch.sigmoid(fake), -torch.sigmoid(-fake)


@wrong("gan.pulls", "twice_minimax")
def pulls(fake):
    return -torch.sigmoid(fake), -torch.sigmoid(fake)


@wrong("gan.pulls", "exchanged")
def pulls(fake):
    return torch.sigmoid(fake) - 1, torch.sigmoid(fake) - 1


@wrong("gan.pulls", "one_too_many")
def pulls(fake):
    return -torch.sigmoid(fake), -1 - torch.sigmoid(fake)


@wrong("gan.pulls", "count")
def pulls(fake):
    return -torch.sigmoid(fake)


@wrong("gan.pulls", "shape")
def pulls(fake):
    return -torch.sigmoid(fake).sum(), (torch.sigmoid(fake) - 1).sum()


@wrong("gan.pulls", "error")  # a gradient of many numbers, and of something that asks for none
def pulls(fake):
    minimax = torch.autograd.grad(logsigmoid(-fake), fake)[0]
    return minimax, -1 - minimax


@wrong("gan.pulls", "dtype")
def pulls(fake):
    p = 1 / (1 + torch.exp(-fake.float()))
    return -p, p - 1


@wrong("gan.pulls", "overflowing")
def pulls(fake):
    odds = fake.exp()
    return -odds / (1 + odds), -1 / (1 + odds)


# --- pulls: right ---------------------------------------------------------------------------------------------------


@right("gan.pulls")
def pulls(fake):
    p = torch.sigmoid(fake)
    return -p, p - 1


@right("gan.pulls")
def pulls(fake):
    a = fake.detach().requires_grad_()
    minimax = torch.autograd.grad(logsigmoid(-a).sum(), a)[0]
    return minimax, torch.autograd.grad(-logsigmoid(a).sum(), a)[0]


@right("gan.pulls")
def pulls(fake):
    tanh = torch.tanh(fake / 2)
    return [-(1 + tanh) / 2, -(1 - tanh) / 2]


# --- pair: wrong ----------------------------------------------------------------------------------------------------


def one_hot(classes, n_classes):
    return F.one_hot(classes, n_classes).permute(0, 3, 1, 2)


@wrong("gan.pair", "picture_first")
def pair(classes, y, n_classes):
    return torch.cat([y, one_hot(classes, n_classes)], dim=1)


@wrong("gan.pair", "as_numbers")
def pair(classes, y, n_classes):
    return torch.cat([classes.unsqueeze(1), y], dim=1)


@wrong("gan.pair", "as_fractions")
def pair(classes, y, n_classes):
    return torch.cat([classes[:, None].to(y.dtype) / (n_classes - 1), y], dim=1)


@wrong("gan.pair", "numbers_repeated")
def pair(classes, y, n_classes):
    return torch.cat([classes[:, None].repeat(1, n_classes, 1, 1), y], dim=1)


@wrong("gan.pair", "reshaped")
def pair(classes, y, n_classes):
    B, _, H, W = y.shape
    return torch.cat([F.one_hot(classes, n_classes).view(B, n_classes, H, W), y], dim=1)


@wrong("gan.pair", "transposed")
def pair(classes, y, n_classes):
    return torch.cat([F.one_hot(classes, n_classes).permute(0, 3, 2, 1), y], dim=1)


@wrong("gan.pair", "picture_alone")
def pair(classes, y, n_classes):
    return y


@wrong("gan.pair", "map_alone")
def pair(classes, y, n_classes):
    return one_hot(classes, n_classes).to(y.dtype)


@wrong("gan.pair", "last_class_missing")
def pair(classes, y, n_classes):
    x = torch.stack([(classes == k).to(y.dtype) for k in range(n_classes - 1)], dim=1)
    return torch.cat([x, y], dim=1)


@wrong("gan.pair", "minus_one")
def pair(classes, y, n_classes):
    return torch.cat([2 * one_hot(classes, n_classes) - 1, y], dim=1)


@wrong("gan.pair", "multiplied")
def pair(classes, y, n_classes):
    return one_hot(classes, n_classes) * y[:, 0:1]


@wrong("gan.pair", "added")
def pair(classes, y, n_classes):
    return one_hot(classes, n_classes) + y[:, 0:1]


@wrong("gan.pair", "shape")  # one example, as in the picture that was shown
def pair(classes, y, n_classes):
    return torch.cat([one_hot(classes[:1], n_classes), y[:1]], dim=1)


@wrong("gan.pair", "error")
def pair(classes, y, n_classes):
    return torch.cat([F.one_hot(classes, n_classes), y], dim=1)


@wrong("gan.pair", "error")  # along the batch
def pair(classes, y, n_classes):
    return torch.cat([one_hot(classes, n_classes), y])


@wrong("gan.pair", "classes_of_the_map")
def pair(classes, y, n_classes):
    x = F.one_hot(classes).permute(0, 3, 1, 2)
    return torch.cat([x.to(y), y], dim=1)


@wrong("gan.pair", "detached")
def pair(classes, y, n_classes):
    return torch.cat([one_hot(classes, n_classes), y.detach()], dim=1)


@wrong("gan.pair", "in_place")
def pair(classes, y, n_classes):
    x = torch.stack([(classes == k) for k in range(n_classes)], dim=1)
    classes[:] = 0
    return torch.cat([x.to(y.dtype), y], dim=1)


@wrong("gan.pair", "always_3")  # three classes, as in the lab
def pair(classes, y, n_classes):
    x = torch.stack([classes == k for k in range(3)], dim=1)
    return torch.cat([x.to(y), y], dim=1)


@wrong("gan.pair", "foreign")
def pair(classes, y, n_classes):
    x = F.one_hot(classes, n_classes).permute(0, 3, 1, 2)
    return torch.cat([x, shown.expand(len(x), -1, -1, -1)], dim=1)


# --- pair: right ----------------------------------------------------------------------------------------------------


@right("gan.pair")
def pair(classes, y, n_classes):
    return torch.cat([F.one_hot(classes, n_classes).permute(0, 3, 1, 2), y], dim=1)


@right("gan.pair")
def pair(classes, y, n_classes):
    x = [(classes == k).to(y.dtype) for k in range(n_classes)]
    return torch.cat([torch.stack(x, dim=1), y], 1)


@right("gan.pair")
def pair(classes, y, n_classes):
    x = y.new_zeros(len(y), n_classes, *y.shape[2:])
    x.scatter_(1, classes[:, None], 1.0)
    return torch.cat((x, y), 1)


@right("gan.pair")
def pair(classes, y, n_classes):
    return torch.cat([torch.eye(n_classes, dtype=y.dtype)[classes].movedim(3, 1), y], dim=-3)


# --- objective: wrong -----------------------------------------------------------------------------------------------


@wrong("gan.objective", "summed")
def objective(fake, output, y, lam):
    return -logsigmoid(fake).mean() + lam * torch.abs(y - output).sum()


@wrong("gan.objective", "summed_over_the_picture")
def objective(fake, output, y, lam):
    return -logsigmoid(fake).mean() + lam * torch.abs(y - output).sum((1, 2, 3)).mean()


@wrong("gan.objective", "squared")
def objective(fake, output, y, lam):
    return -logsigmoid(fake).mean() + lam * F.mse_loss(output, y)


@wrong("gan.objective", "no_abs")
def objective(fake, output, y, lam):
    return -logsigmoid(fake).mean() + lam * (y - output).mean()


@wrong("gan.objective", "abs_of_the_mean")
def objective(fake, output, y, lam):
    return -logsigmoid(fake).mean() + lam * abs((y - output).mean())


@wrong("gan.objective", "no_lam")
def objective(fake, output, y, lam):
    return -logsigmoid(fake).mean() + F.l1_loss(output, y)


@wrong("gan.objective", "lam_on_both")
def objective(fake, output, y, lam):
    return lam * (-logsigmoid(fake).mean() + F.l1_loss(output, y))


@wrong("gan.objective", "lam_on_the_other")
def objective(fake, output, y, lam):
    return -lam * logsigmoid(fake).mean() + F.l1_loss(output, y)


@wrong("gan.objective", "blended")
def objective(fake, output, y, lam):
    return torch.lerp(softplus(-fake).mean(), F.l1_loss(output, y), lam)


@wrong("gan.objective", "subtracted")
def objective(fake, output, y, lam):
    return -(logsigmoid(fake).mean() + lam * F.l1_loss(output, y))


@wrong("gan.objective", "minimax")
def objective(fake, output, y, lam):
    return logsigmoid(-fake).mean() + lam * F.l1_loss(output, y)


@wrong("gan.objective", "discriminators")
def objective(fake, output, y, lam):
    return softplus(fake).mean() + lam * F.l1_loss(output, y)


@wrong("gan.objective", "distance_alone")
def objective(fake, output, y, lam):
    return lam * F.l1_loss(output, y)


@wrong("gan.objective", "sigmoid_twice")
def objective(fake, output, y, lam):
    D_says = torch.sigmoid(fake)
    return F.binary_cross_entropy_with_logits(D_says, torch.ones_like(fake)) + lam * F.l1_loss(output, y)


@wrong("gan.objective", "detached")
def objective(fake, output, y, lam):
    return -logsigmoid(fake).mean() + lam * F.l1_loss(output.detach(), y)


@wrong("gan.objective", "shape")
def objective(fake, output, y, lam):
    return -logsigmoid(fake).mean() + lam * (y - output).abs().flatten(1).mean(1)


@wrong("gan.objective", "type")
def objective(fake, output, y, lam):
    return -logsigmoid(fake).mean().item() + lam * F.l1_loss(output, y).item()


@wrong("gan.objective", "in_place")
def objective(fake, output, y, lam):
    return -logsigmoid(fake).mean() + lam * y.sub_(output).abs().mean()


@wrong("gan.objective", "type")
def objective(fake, output, y, lam):
    return -logsigmoid(fake).mean(), lam * F.l1_loss(output, y)


@wrong("gan.objective", "ignores_lam")  # the paper's weight
def objective(fake, output, y, lam):
    return softplus(-fake).mean() + 100 * (y - output).abs().mean()


# --- objective: right -----------------------------------------------------------------------------------------------


@right("gan.objective")
def objective(fake, output, y, lam):
    return -logsigmoid(fake).mean() + lam * (y - output).abs().mean()


@right("gan.objective")
def objective(fake, output, y, lam):
    adversarial = F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
    return lam * F.l1_loss(output, y) + adversarial


@right("gan.objective")
def objective(fake, output, y, lam):
    distances = torch.stack([torch.maximum(a - b, b - a).mean() for a, b in zip(output, y, strict=True)])
    return softplus(-fake).mean() + lam * distances.mean()


# --- gradients: wrong -----------------------------------------------------------------------------------------------


def both_losses(G, D, x, y, z):
    fake = G(x, z)
    loss_D = softplus(-D(x, y)).mean() + softplus(D(x, fake.detach())).mean()
    return loss_D, softplus(-D(x, fake)).mean()


def slope(loss, net):
    return torch.autograd.grad(loss, net.weight, retain_graph=True)[0]


@wrong("gan.gradients", "leak")  # the fakes are not detached
def gradients(G, D, x, y, z):
    G.zero_grad()
    D.zero_grad()
    fake = G(x, z)
    loss_D = softplus(-D(x, y)).mean() + softplus(D(x, fake)).mean()
    loss_D.backward(retain_graph=True)
    grad_D = D.weight.grad.clone()
    loss_G = softplus(-D(x, fake)).mean()
    loss_G.backward()
    return grad_D, G.weight.grad


@wrong("gan.gradients", "accumulated")  # D's gradient is read too late
def gradients(G, D, x, y, z):
    G.zero_grad()
    D.zero_grad()
    for loss in both_losses(G, D, x, y, z):
        loss.backward()
    return D.weight.grad, G.weight.grad


@wrong("gan.gradients", "one_loss")
def gradients(G, D, x, y, z):
    G.zero_grad()
    D.zero_grad()
    fake = G(x, z)
    loss_D = softplus(-D(x, y)).mean() + softplus(D(x, fake)).mean()
    (loss_D + softplus(-D(x, fake)).mean()).backward()
    return D.weight.grad, G.weight.grad


@wrong("gan.gradients", "cut")
def gradients(G, D, x, y, z):
    fake = G(x, z).detach()
    loss_D = softplus(-D(x, y)).mean() + softplus(D(x, fake)).mean()
    loss_G = softplus(-D(x, fake)).mean()
    grad_G = torch.autograd.grad(loss_G, G.weight, allow_unused=True)[0]
    return slope(loss_D, D), torch.zeros_like(G.weight) if grad_G is None else grad_G


@wrong("gan.gradients", "error")  # the same, without allow_unused
def gradients(G, D, x, y, z):
    fake = G(x, z).detach()
    loss_D = softplus(-D(x, y)).mean() + softplus(D(x, fake)).mean()
    return slope(loss_D, D), slope(softplus(-D(x, fake)).mean(), G)


@wrong("gan.gradients", "type")  # the same, with .backward()
def gradients(G, D, x, y, z):
    G.zero_grad()
    D.zero_grad()
    fake = G(x, z).detach()
    (softplus(-D(x, y)).mean() + softplus(D(x, fake)).mean()).backward()
    grad_D = D.weight.grad.clone()
    softplus(-D(x, fake)).mean().backward()
    return grad_D, G.weight.grad


@wrong("gan.gradients", "stale")  # nobody empties .grad
def gradients(G, D, x, y, z):
    loss_D, loss_G = both_losses(G, D, x, y, z)
    loss_D.backward()
    grad_D = D.weight.grad.clone()
    loss_G.backward()
    return grad_D, G.weight.grad


@wrong("gan.gradients", "exchanged")
def gradients(G, D, x, y, z):
    loss_D, loss_G = both_losses(G, D, x, y, z)
    return slope(loss_G, G), slope(loss_D, D)


@wrong("gan.gradients", "minimax")
def gradients(G, D, x, y, z):
    loss_D, _ = both_losses(G, D, x, y, z)
    return slope(loss_D, D), slope(logsigmoid(-D(x, G(x, z))).mean(), G)


@wrong("gan.gradients", "helps_D")
def gradients(G, D, x, y, z):
    loss_D = softplus(-D(x, y)).mean() + softplus(D(x, G(x, z))).mean()
    return slope(loss_D, D), slope(loss_D, G)


@wrong("gan.gradients", "real_only")
def gradients(G, D, x, y, z):
    return slope(softplus(-D(x, y)).mean(), D), slope(softplus(-D(x, G(x, z))).mean(), G)


@wrong("gan.gradients", "swapped")
def gradients(G, D, x, y, z):
    fake = G(x, z)
    loss_D = softplus(D(x, y)).mean() + softplus(-D(x, fake.detach())).mean()
    return slope(loss_D, D), slope(softplus(-D(x, fake)).mean(), G)


@wrong("gan.gradients", "halved")
def gradients(G, D, x, y, z):
    loss_D, loss_G = both_losses(G, D, x, y, z)
    return slope(0.5 * loss_D, D), slope(loss_G, G)


@wrong("gan.gradients", "y_first")
def gradients(G, D, x, y, z):
    loss_D, loss_G = both_losses(G, lambda x, y: D(y, x), x, y, z)
    return slope(loss_D, D), slope(loss_G, G)


@wrong("gan.gradients", "summed")
def gradients(G, D, x, y, z):
    fake = G(x, z)
    loss_D = softplus(-D(x, y)).sum() + softplus(D(x, fake.detach())).sum()
    return slope(loss_D, D), slope(softplus(-D(x, fake)).sum(), G)


@wrong("gan.gradients", "count")
def gradients(G, D, x, y, z):
    loss_D, loss_G = both_losses(G, D, x, y, z)
    return slope(loss_D, D), slope(loss_G, G), loss_D


@wrong("gan.gradients", "weights_changed")  # an optimizer's step
def gradients(G, D, x, y, z):
    loss_D = softplus(-D(x, y)).mean() + softplus(D(x, G(x, z).detach())).mean()
    grad_D = torch.autograd.grad(loss_D, D.weight)[0]
    grad_G = torch.autograd.grad(softplus(-D(x, G(x, z))).mean(), G.weight)[0]
    D.weight.data -= 0.01 * grad_D
    return grad_D, grad_G


@wrong("gan.gradients", "type")  # .grad, and nobody called .backward()
def gradients(G, D, x, y, z):
    D.zero_grad(set_to_none=True)
    G.zero_grad(set_to_none=True)
    softplus(-D(x, y)).mean() + softplus(D(x, G(x, z).detach())).mean()
    return D.weight.grad, G.weight.grad


# --- gradients: right -----------------------------------------------------------------------------------------------


@right("gan.gradients")
def gradients(G, D, x, y, z):
    loss_D, loss_G = both_losses(G, D, x, y, z)
    return torch.autograd.grad(loss_D, D.weight)[0], torch.autograd.grad(loss_G, G.weight)[0]


@right("gan.gradients")  # nothing is detached: autograd.grad leaks into nobody
def gradients(G, D, x, y, z):
    fake = G(x, z)
    loss_D = softplus(-D(x, y)).mean() + softplus(D(x, fake)).mean()
    return slope(loss_D, D), slope(softplus(-D(x, fake)).mean(), G)


@right("gan.gradients")
def gradients(G, D, x, y, z):
    with torch.no_grad():
        fake = G(x, z)
    D.zero_grad()
    loss_D = softplus(-D(x, y)).mean() + softplus(D(x, fake)).mean()
    loss_D.backward()
    grad_D = D.weight.grad.clone()
    G.zero_grad()
    D.requires_grad_(False)
    F.binary_cross_entropy_with_logits(D(x, G(x, z)), torch.ones_like(y)).backward()
    D.requires_grad_(True)
    return grad_D, G.weight.grad


@right("gan.gradients")  # as the paper's code does it
def gradients(G, D, x, y, z):
    fake = G(x, z)
    D.zero_grad()
    softplus(D(x, fake.detach())).mean().backward()
    softplus(-D(x, y)).mean().backward()
    grad_D = D.weight.grad.clone()
    G.zero_grad()
    softplus(-D(x, fake)).mean().backward()
    D.zero_grad()
    return grad_D, G.weight.grad.clone()


# --- receptive_field: wrong -----------------------------------------------------------------------------------------


def fields(kernels, strides, start=1, less=1):
    field, jump, out = start, 1, []
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - less) * jump
        jump *= stride
        out.append(field)
    return out


@wrong("gan.receptive_field", "no_strides")
def receptive_field(kernels, strides):
    return 1 + torch.cumsum(torch.tensor(kernels) - 1, 0)


@wrong("gan.receptive_field", "own_stride")
def receptive_field(kernels, strides):
    field, jump, out = 1, 1, []
    for kernel, stride in zip(kernels, strides, strict=True):
        jump *= stride
        field += (kernel - 1) * jump
        out.append(field)
    return torch.tensor(out)


@wrong("gan.receptive_field", "whole_kernels")
def receptive_field(kernels, strides):
    return torch.tensor(fields(kernels, strides, start=0, less=0))


@wrong("gan.receptive_field", "whole_kernels_from_1")
def receptive_field(kernels, strides):
    return torch.tensor(fields(kernels, strides, start=1, less=0))


@wrong("gan.receptive_field", "from_0")
def receptive_field(kernels, strides):
    return torch.tensor(fields(kernels, strides, start=0))


@wrong("gan.receptive_field", "strides_added")
def receptive_field(kernels, strides):
    field, jump, out = 1, 1, []
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - 1) * jump
        jump += stride
        out.append(field)
    return torch.tensor(out)


@wrong("gan.receptive_field", "last_stride_only")
def receptive_field(kernels, strides):
    jumps = torch.tensor([1, *strides[:-1]])
    return 1 + torch.cumsum((torch.tensor(kernels) - 1) * jumps, 0)


@wrong("gan.receptive_field", "order_turned")
def receptive_field(kernels, strides):
    return torch.tensor(fields(kernels[::-1], strides[::-1]))


@wrong("gan.receptive_field", "kernels_multiplied")
def receptive_field(kernels, strides):
    return torch.cumprod(torch.tensor(kernels), 0)


@wrong("gan.receptive_field", "last_only")
def receptive_field(kernels, strides):
    return torch.tensor(fields(kernels, strides)[-1])


@wrong("gan.receptive_field", "increments")
def receptive_field(kernels, strides):
    jumps = torch.cumprod(torch.tensor([1, *strides[:-1]]), 0)
    return (torch.tensor(kernels) - 1) * jumps


@wrong("gan.receptive_field", "one_early")
def receptive_field(kernels, strides):
    return torch.tensor([1, *fields(kernels, strides)[:-1]])


@wrong("gan.receptive_field", "shape")
def receptive_field(kernels, strides):
    return torch.tensor([1, *fields(kernels, strides)])


@wrong("gan.receptive_field", "type")
def receptive_field(kernels, strides):
    return fields(kernels, strides)


@wrong("gan.receptive_field", "always_the_papers")
def receptive_field(kernels, strides):
    return torch.tensor([4, 10, 22, 46, 70])[: len(kernels)]


@wrong("gan.receptive_field", "error")
def receptive_field(kernels, strides):
    fields = [1]
    for kernel in kernels:
        fields.append(fields[-1] + (kernel - 1) * jump)  # pyright: ignore[reportUndefinedVariable]
    return torch.tensor(fields[1:])


@wrong("gan.receptive_field", "forward_recursion")
def receptive_field(kernels, strides):
    field, fields = 1, []
    for kernel, stride in zip(kernels, strides, strict=True):
        field = (field - 1) * stride + kernel
        fields.append(field)
    return torch.tensor(fields)


@wrong("gan.receptive_field", "exchanged")
def receptive_field(kernels, strides):
    field, apart, fields = 1, 1, []
    for stride, kernel in zip(kernels, strides, strict=True):
        field += (kernel - 1) * apart
        apart *= stride
        fields.append(field)
    return torch.tensor(fields)


@wrong("gan.receptive_field", "error")  # five layers, as in the paper
def receptive_field(kernels, strides):
    field, apart, fields = 1, 1, []
    for n in range(5):
        field += (kernels[n] - 1) * apart
        apart *= strides[n]
        fields.append(field)
    return torch.tensor(fields)


@wrong("gan.receptive_field", "endless")
def receptive_field(kernels, strides):
    field, apart, fields, n = 1, 1, [], 0
    while n < len(kernels):
        field += (kernels[n] - 1) * apart
        apart = apart * strides[n] % 1000
        fields[:] = [field]
    return torch.tensor(fields)


# --- receptive_field: right -----------------------------------------------------------------------------------------


@right("gan.receptive_field")
def receptive_field(kernels, strides):
    return torch.tensor(fields(kernels, strides))


@right("gan.receptive_field")
def receptive_field(kernels, strides):
    jumps = torch.cumprod(torch.tensor([1, *strides[:-1]]), 0)
    return (1 + torch.cumsum((torch.tensor(kernels) - 1) * jumps, 0)).float()


@right("gan.receptive_field")  # backwards, from one output
def receptive_field(kernels, strides):
    out = []
    for n in range(1, len(kernels) + 1):
        field = 1
        for i in reversed(range(n)):
            field = (field - 1) * strides[i] + kernels[i]
        out.append(field)
    return torch.tensor(out)


# --- spectrum: wrong ------------------------------------------------------------------------------------------------


def distance(y):
    k = torch.fft.fftfreq(y.shape[-1], d=1 / y.shape[-1], dtype=torch.float64).round()
    return torch.sqrt(k[:, None] ** 2 + k[None] ** 2)


def rings(power, ring):
    return torch.stack([power[..., ring == r].mean() for r in range(power.shape[-1] // 2)])


@wrong("gan.spectrum", "amplitude")
def spectrum(y):
    return rings(torch.fft.fft2(y).abs(), distance(y).floor())


@wrong("gan.spectrum", "summed")
def spectrum(y):
    power = (torch.fft.fft2(y).abs() ** 2).mean((0, 1))
    ring = distance(y).long()
    return torch.stack([power[ring == r].sum() for r in range(y.shape[-1] // 2)])


@wrong("gan.spectrum", "rounded")
def spectrum(y):
    return rings(torch.fft.fft2(y).abs() ** 2, distance(y).round())


@wrong("gan.spectrum", "not_wrapped")
def spectrum(y):
    k = torch.arange(y.shape[-1])
    return rings(torch.fft.fft2(y).abs() ** 2, torch.sqrt(k[:, None] ** 2 + k**2.0).long())


@wrong("gan.spectrum", "half_shifted")
def spectrum(y):
    k = torch.arange(-(y.shape[-1] // 2), y.shape[-1] // 2)
    return rings(torch.fft.fft2(y).abs() ** 2, torch.sqrt(k[:, None] ** 2 + k**2.0).long())


@wrong("gan.spectrum", "half_shifted")
def spectrum(y):
    return rings(torch.fft.fftshift(torch.fft.fft2(y), dim=(-2, -1)).abs() ** 2, distance(y).long())


@wrong("gan.spectrum", "squares")
def spectrum(y):
    k = torch.fft.fftfreq(y.shape[-1], d=1 / y.shape[-1]).round().abs()
    return rings(torch.fft.fft2(y).abs() ** 2, torch.max(k[:, None].repeat(1, len(k)), k))


@wrong("gan.spectrum", "logarithm")
def spectrum(y):
    return rings(torch.fft.fft2(y).abs() ** 2, distance(y).floor()).log()


@wrong("gan.spectrum", "normalised")
def spectrum(y):
    return rings(torch.fft.fft2(y, norm="ortho").abs() ** 2, distance(y).floor())


@wrong("gan.spectrum", "mean_removed")
def spectrum(y):
    return rings(torch.fft.fft2(y - y.mean((-2, -1), keepdim=True)).abs() ** 2, distance(y).floor())


@wrong("gan.spectrum", "pictures_averaged")
def spectrum(y):
    return rings(torch.fft.fft2(y.flatten(0, 1).mean(0)).abs() ** 2, distance(y).floor())


@wrong("gan.spectrum", "summed_over_the_batch")
def spectrum(y):
    return rings((torch.fft.fft2(y).abs() ** 2).sum((0, 1)), distance(y).floor())


@wrong("gan.spectrum", "not_averaged")
def spectrum(y):
    power, ring = (torch.fft.fft2(y).abs() ** 2).mean(1), distance(y).floor()
    return torch.stack([power[:, ring == r].mean(1) for r in range(y.shape[-1] // 2)], dim=1)


@wrong("gan.spectrum", "real_part")
def spectrum(y):
    return rings(torch.fft.fft2(y).real ** 2, distance(y).floor())


@wrong("gan.spectrum", "shape")  # the corners, too
def spectrum(y):
    power, ring = torch.fft.fft2(y).abs() ** 2, distance(y).long()
    return torch.stack([power[..., ring == r].mean() for r in range(int(ring.max()) + 1)])


@wrong("gan.spectrum", "shape")  # the size of the pictures that were shown
def spectrum(y):
    power, ring = torch.fft.fft2(y).abs() ** 2, distance(y).long()
    return torch.stack([power[..., ring == r].mean() for r in range(16)])


@wrong("gan.spectrum", "dtype")
def spectrum(y):
    return rings(torch.fft.fft2(y.float()).abs() ** 2, distance(y).long())


@wrong("gan.spectrum", "type")
def spectrum(y):
    power, ring = torch.fft.fft2(y).abs() ** 2, distance(y).long()
    return [power[..., ring == r].mean() for r in range(y.shape[-1] // 2)]


@wrong("gan.spectrum", "per_pixel")
def spectrum(y):
    n = y.shape[-1]
    k = torch.fft.fftfreq(n)
    ring = (k[:, None] ** 2 + k**2).sqrt().floor()
    power = torch.fft.fft2(y).abs() ** 2
    return torch.stack([power[..., ring == r].mean() for r in range(n // 2)])


@wrong("gan.spectrum", "complex_square")
def spectrum(y):
    n = y.shape[-1]
    k = torch.fft.fftfreq(n, d=1 / n)
    ring = (k[:, None] ** 2 + k**2).sqrt().floor()
    power = (torch.fft.fft2(y) ** 2).real
    return torch.stack([power[..., ring == r].mean() for r in range(n // 2)])


@wrong("gan.spectrum", "complex")
def spectrum(y):
    n = y.shape[-1]
    k = torch.fft.fftfreq(n, d=1 / n)
    ring = (k[:, None] ** 2 + k**2).sqrt().floor()
    power = torch.fft.fft2(y) ** 2
    return torch.stack([power[..., ring == r].mean() for r in range(n // 2)])


@wrong("gan.spectrum", "half_plane")
def spectrum(y):
    n = y.shape[-1]
    rows, columns = torch.fft.fftfreq(n, d=1 / n), torch.fft.rfftfreq(n, d=1 / n)
    ring = (rows[:, None] ** 2 + columns**2).sqrt().floor()
    power = torch.fft.rfft2(y).abs() ** 2
    return torch.stack([power[..., ring == r].mean() for r in range(n // 2)])


@wrong("gan.spectrum", "channels_summed")
def spectrum(y):
    n = y.shape[-1]
    k = torch.fft.fftfreq(n, d=1 / n)
    ring = (k[:, None] ** 2 + k**2).sqrt().floor()
    power = (torch.fft.fft2(y).abs() ** 2).sum(1).mean(0)
    return torch.stack([power[ring == r].mean() for r in range(n // 2)])


@wrong("gan.spectrum", "error")  # the mask of half a plane on the whole one
def spectrum(y):
    n = y.shape[-1]
    k = torch.fft.fftfreq(n, d=1 / n)
    ring = (k[:, None] ** 2 + k**2).sqrt().floor()
    power = torch.fft.rfft2(y).abs() ** 2
    return torch.stack([power[..., ring == r].mean() for r in range(n // 2)])


@wrong("gan.spectrum", "dtype")  # always float64
def spectrum(y):
    n = y.shape[-1]
    k = torch.fft.fftfreq(n, d=1 / n, dtype=torch.float64)
    ring = (k[:, None] ** 2 + k**2).sqrt().floor()
    power = torch.fft.fft2(y.double()).abs() ** 2
    return torch.stack([power[..., ring == r].mean() for r in range(n // 2)])


@wrong("gan.spectrum", "foreign")  # the notebook's photos
def spectrum(y):
    n = shown.shape[-1]
    k = torch.fft.fftfreq(n, d=1 / n)
    ring = (k[:, None] ** 2 + k**2).sqrt().floor()
    power = torch.fft.fft2(shown).abs() ** 2
    return torch.stack([power[..., ring == r].mean() for r in range(n // 2)])


# --- spectrum: right ------------------------------------------------------------------------------------------------


@right("gan.spectrum")
def spectrum(y):
    return rings(torch.fft.fft2(y).abs() ** 2, distance(y).long())


@right("gan.spectrum")
def spectrum(y):
    n = y.shape[-1]
    k = torch.arange(-(n // 2), n - n // 2)
    shifted = torch.fft.fftshift(torch.fft.fft2(y), dim=(-2, -1))
    power = (shifted * shifted.conj()).real
    return rings(power, torch.hypot(k[:, None].double(), k.double()).floor())


@right("gan.spectrum")
def spectrum(y):
    n = y.shape[-1]
    power = torch.view_as_real(torch.fft.fft2(y)).square().sum(-1).mean((0, 1)).flatten()
    ring = distance(y).long().flatten()
    total = power.new_zeros(n).index_add(0, ring, power)
    return (total / torch.bincount(ring, minlength=n))[: n // 2]


@right("gan.spectrum")
def spectrum(y):
    n = y.shape[-1]
    power, out = (torch.fft.fft2(y).abs() ** 2).mean((0, 1)), []
    for r in range(n // 2):
        ring = [
            power[i, j]
            for i in range(n)
            for j in range(n)
            if r**2 <= min(i, n - i) ** 2 + min(j, n - j) ** 2 < (r + 1) ** 2
        ]
        out.append(sum(ring) / len(ring))
    return torch.stack(out)


# --- r1: wrong ------------------------------------------------------------------------------------------------------


def slopes(D, x, y):
    y = y.detach().requires_grad_()
    return torch.autograd.grad(D(x, y).sum(), y, create_graph=True)[0]


@wrong("gan.r1", "not_squared")
def r1(D, x, y):
    return slopes(D, x, y).square().sum((1, 2, 3)).sqrt().mean()


@wrong("gan.r1", "mean_over_pixels")
def r1(D, x, y):
    return slopes(D, x, y).pow(2).mean()


@wrong("gan.r1", "summed_over_the_batch")
def r1(D, x, y):
    return slopes(D, x, y).pow(2).sum()


@wrong("gan.r1", "logits_averaged")
def r1(D, x, y):
    y = y.detach().requires_grad_()
    (slope,) = torch.autograd.grad(D(x, y).mean(), y, create_graph=True)
    return slope.square().sum((1, 2, 3)).mean()


@wrong("gan.r1", "towards_1")
def r1(D, x, y):
    return ((slopes(D, x, y).flatten(1).norm(2, dim=1) - 1) ** 2).mean()


@wrong("gan.r1", "over_x")
def r1(D, x, y):
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(D(x, y).sum(), x, create_graph=True)
    return slope.square().sum((1, 2, 3)).mean()


@wrong("gan.r1", "halved")
def r1(D, x, y):
    return slopes(D, x, y).square().sum((1, 2, 3)).mean() / 2


@wrong("gan.r1", "absolute")
def r1(D, x, y):
    return slopes(D, x, y).abs().sum((1, 2, 3)).mean()


@wrong("gan.r1", "batch_first")
def r1(D, x, y):
    return slopes(D, x, y).sum(0).pow(2).sum()


@wrong("gan.r1", "of_the_logits")
def r1(D, x, y):
    return D(x, y).pow(2).sum((1, 2, 3)).mean()


@wrong("gan.r1", "per_picture")
def r1(D, x, y):
    return slopes(D, x, y).pow(2).sum((1, 2, 3))


@wrong("gan.r1", "detached")  # create_graph is missing
def r1(D, x, y):
    y = y.detach().requires_grad_()
    (slope,) = torch.autograd.grad(D(x, y).sum(), y)
    return slope.square().sum((1, 2, 3)).mean()


@wrong("gan.r1", "detached")
def r1(D, x, y):
    y = y.detach().requires_grad_()
    D(x, y).sum().backward()
    return y.grad.square().flatten(1).sum(1).mean()


@wrong("gan.r1", "error")  # y asks for no gradient
def r1(D, x, y):
    (slope,) = torch.autograd.grad(D(x, y).sum(), y, create_graph=True)
    return slope.square().sum((1, 2, 3)).mean()


@wrong("gan.r1", "error")  # a gradient of many numbers
def r1(D, x, y):
    y = y.detach().requires_grad_()
    (slope,) = torch.autograd.grad(D(x, y), y, create_graph=True)
    return slope.square().sum((1, 2, 3)).mean()


@wrong("gan.r1", "type")  # autograd.grad gives a tuple
def r1(D, x, y):
    y = y.detach().requires_grad_()
    slope = torch.autograd.grad(D(x, y).sum(), y, create_graph=True)
    return [s.square().flatten(1).sum(1).mean() for s in slope]


@wrong("gan.r1", "shape")
def r1(D, x, y):
    return slopes(D, x, y).square().sum(1).mean()[None]


@wrong("gan.r1", "of_probabilities")
def r1(D, x, y):
    y = y.detach().requires_grad_()
    (slope,) = torch.autograd.grad(D(x, y).sigmoid().sum(), y, create_graph=True)
    return slope.square().flatten(1).sum(1).mean()


@wrong("gan.r1", "of_the_loss")
def r1(D, x, y):
    y = y.detach().requires_grad_()
    (slope,) = torch.autograd.grad(softplus(-D(x, y)).sum(), y, create_graph=True)
    return slope.square().flatten(1).sum(1).mean()


@wrong("gan.r1", "of_the_mean_loss")
def r1(D, x, y):
    y = y.detach().requires_grad_()
    (slope,) = torch.autograd.grad(softplus(-D(x, y)).mean(), y, create_graph=True)
    return slope.square().flatten(1).sum(1).mean()


@wrong("gan.r1", "patches_averaged")
def r1(D, x, y):
    y = y.detach().requires_grad_()
    (slope,) = torch.autograd.grad(D(x, y).mean((1, 2, 3)).sum(), y, create_graph=True)
    return slope.square().flatten(1).sum(1).mean()


@wrong("gan.r1", "over_the_weights")
def r1(D, x, y):
    (slope,) = torch.autograd.grad(D(x, y).sum(), D.weight, create_graph=True)
    return slope.square().sum()


# --- r1: right ------------------------------------------------------------------------------------------------------


@right("gan.r1")
def r1(D, x, y):
    return slopes(D, x, y).square().sum((1, 2, 3)).mean()


@right("gan.r1")
def r1(D, x, y):
    y = y.clone().requires_grad_(True)
    logits = D(x, y)
    (slope,) = torch.autograd.grad(logits, y, grad_outputs=torch.ones_like(logits), create_graph=True)
    return slope.flatten(1).norm(dim=1).pow(2).mean()


@right("gan.r1")  # one picture after the other
def r1(D, x, y):
    y = y.detach().requires_grad_()
    lengths = []
    for i in range(len(y)):
        (slope,) = torch.autograd.grad(D(x[i : i + 1], y[i : i + 1]).sum(), y, create_graph=True)
        lengths.append(slope.square().sum())
    return functools.reduce(torch.add, lengths) / len(y)


@right("gan.r1")
def r1(D, x, y):
    y.requires_grad_()
    patches = D(x, y).flatten(1).sum(1)
    slopes = [torch.autograd.grad(total, y, create_graph=True)[0][i] for i, total in enumerate(patches)]
    return torch.einsum("bchw,bchw->b", torch.stack(slopes), torch.stack(slopes)).mean()


# --- found by working the lab ---------------------------------------------------------------------------------------


@wrong("gan.discriminator_loss", "detached")  # the cut that belongs to the pictures
def discriminator_loss(real, fake):
    return softplus(-real).mean() + softplus(fake.detach()).mean()


@wrong("gan.discriminator_loss", "detached")
def discriminator_loss(real, fake):
    return softplus(-real.detach()).mean() + softplus(fake).mean()


@wrong("gan.discriminator_loss", "log_of_sigmoid")  # softplus written out
def discriminator_loss(real, fake):
    return torch.log(1 + torch.exp(-real)).mean() + torch.log(1 + torch.exp(fake)).mean()


@wrong("gan.objective", "log_of_sigmoid")
def objective(fake, output, y, lam):
    return -fake.sigmoid().log().mean() + lam * (output - y).abs().mean()


@wrong("gan.objective", "log_of_sigmoid")
def objective(fake, output, y, lam):
    return torch.log(1 + torch.exp(-fake)).mean() + lam * (output - y).abs().mean()


@wrong("gan.r1", "patch_by_patch")
def r1(D, x, y):
    y = y.detach().requires_grad_()
    slopes = [torch.autograd.grad(logit, y, create_graph=True)[0] for logit in D(x, y).flatten()]
    return sum(slope.square().sum() for slope in slopes) / len(y)


# --- found by a hunt ------------------------------------------------------------------------------------------------


@wrong("gan.gradients", "frozen")  # such a D never learns again
def gradients(G, D, x, y, z):
    fake = G(x, z)
    grad_D = torch.autograd.grad(softplus(-D(x, y)).mean() + softplus(D(x, fake.detach())).mean(), D.weight)[0]
    D.requires_grad_(False)
    return grad_D, torch.autograd.grad(softplus(-D(x, fake)).mean(), G.weight)[0]


@right("gan.gradients")  # frozen for G's turn alone
def gradients(G, D, x, y, z):
    fake = G(x, z)
    grad_D = torch.autograd.grad(softplus(-D(x, y)).mean() + softplus(D(x, fake.detach())).mean(), D.weight)[0]
    D.requires_grad_(False)
    grad_G = torch.autograd.grad(softplus(-D(x, fake)).mean(), G.weight)[0]
    D.requires_grad_(True)
    return grad_D, grad_G


@wrong("gan.gradients", "type")  # [0] is forgotten: autograd.grad gives a tuple
def gradients(G, D, x, y, z):
    fake = G(x, z)
    loss_D = softplus(-D(x, y)).mean() + softplus(D(x, fake.detach())).mean()
    return torch.autograd.grad(loss_D, D.weight), torch.autograd.grad(softplus(-D(x, fake)).mean(), G.weight)


@wrong("gan.receptive_field", "error")  # a tuple, as if it were a tensor
def receptive_field(kernels, strides):
    return 1 + torch.cumsum((kernels - 1) * torch.tensor(strides), 0)


def patched_softplus(a):
    value = torch.log(1 + torch.exp(a))
    return torch.where(torch.isinf(value), a, value)


def softplus_of_two_branches(a):
    return torch.where(a > 0, a + torch.log(1 + torch.exp(-a)), torch.log(1 + torch.exp(a)))


@wrong("gan.discriminator_loss", "nan_gradient")  # the value is right, however far out
def discriminator_loss(real, fake):
    return patched_softplus(-real).mean() + patched_softplus(fake).mean()


@wrong("gan.discriminator_loss", "nan_gradient")
def discriminator_loss(real, fake):
    return softplus_of_two_branches(-real).mean() + softplus_of_two_branches(fake).mean()


@right("gan.discriminator_loss")  # both branches are safe
def discriminator_loss(real, fake):
    def loss(a):
        return a.clamp(min=0) + torch.log1p(torch.exp(-a.abs()))

    return loss(-real).mean() + loss(fake).mean()


@wrong("gan.objective", "nan_gradient")
def objective(fake, output, y, lam):
    return patched_softplus(-fake).mean() + lam * F.l1_loss(output, y)


@wrong("gan.objective", "clamped")
def objective(fake, output, y, lam):
    return F.binary_cross_entropy(fake.sigmoid(), torch.ones_like(fake)) + lam * F.l1_loss(output, y)


@wrong("gan.objective", "cut_off")
def objective(fake, output, y, lam):
    return -torch.log(fake.sigmoid().clamp(min=1e-12)).mean() + lam * F.l1_loss(output, y)


@wrong("gan.objective", "epsilon")
def objective(fake, output, y, lam):
    return -torch.log(fake.sigmoid() + 1e-8).mean() + lam * F.l1_loss(output, y)


@wrong("gan.optimal_logit", "epsilon")
def optimal_logit(y, mean, std, mean_G, std_G):
    p, p_G = Normal(mean, std).log_prob(y).exp(), Normal(mean_G, std_G).log_prob(y).exp()
    return torch.log(p + 1e-12) - torch.log(p_G + 1e-12)


@wrong("gan.pair", "dtype")  # more precise than the picture, and so is what D sees: its first layer refuses it
def pair(classes, y, n_classes):
    return torch.cat([F.one_hot(classes, n_classes).permute(0, 3, 1, 2).double(), y], dim=1)


@wrong("gan.pair", "dtype")
def pair(classes, y, n_classes):
    return torch.cat([torch.eye(n_classes, dtype=torch.float64)[classes].permute(0, 3, 1, 2), y], dim=1)


@wrong("gan.spectrum", "rounded_up")  # everything one ring further out
def spectrum(y):
    return rings(torch.fft.fft2(y).abs() ** 2, distance(y).ceil())


@wrong("gan.spectrum", "diamonds")
def spectrum(y):
    k = torch.fft.fftfreq(y.shape[-1], d=1 / y.shape[-1]).abs().round()
    return rings(torch.fft.fft2(y).abs() ** 2, k[:, None] + k)


@wrong("gan.r1", "mean_over_channels")
def r1(D, x, y):
    return slopes(D, x, y).square().sum((2, 3)).mean()


@wrong("gan.r1", "leaves_a_trace")
def r1(D, x, y):
    y = y.detach().requires_grad_()
    D(x, y).sum().backward(create_graph=True)
    return y.grad.square().flatten(1).sum(1).mean()


@right("gan.r1")  # backward, for the pictures alone
def r1(D, x, y):
    y = y.detach().requires_grad_()
    D(x, y).sum().backward(inputs=[y], create_graph=True)
    return y.grad.square().flatten(1).sum(1).mean()


# --- generator_losses: wrong ----------------------------------------------------------------------------------------


@wrong("gan.generator_losses", "exchanged")
def generator_losses(fake):
    return softplus(-fake).mean(), logsigmoid(-fake).mean()


@wrong("gan.generator_losses", "twice_minimax")  # copied, and the sign of the logit forgotten
def generator_losses(fake):
    minimax = -softplus(fake).mean()
    non_saturating = -softplus(fake).mean()
    return minimax, non_saturating


@wrong("gan.generator_losses", "twice_non_saturating")
def generator_losses(fake):
    loss = F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
    return loss, loss


@wrong("gan.generator_losses", "first_is_the_discriminators")
def generator_losses(fake):
    return F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake)), softplus(-fake).mean()


@wrong("gan.generator_losses", "first_is_log_of_p")
def generator_losses(fake):
    return logsigmoid(fake).mean(), -logsigmoid(fake).mean()


@wrong("gan.generator_losses", "second_is_the_discriminators")
def generator_losses(fake):
    return -softplus(fake).mean(), F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))


@wrong("gan.generator_losses", "second_turned")
def generator_losses(fake):
    return logsigmoid(-fake).mean(), logsigmoid(fake).mean()


@wrong("gan.generator_losses", "summed")
def generator_losses(fake):
    return -softplus(fake).sum(), softplus(-fake).sum()


@wrong("gan.generator_losses", "summed")  # in one of them
def generator_losses(fake):
    return -softplus(fake).mean(), F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake), reduction="sum")


@wrong("gan.generator_losses", "summed_over_patches")
def generator_losses(fake):
    return -softplus(fake).sum(dim=tuple(range(1, fake.dim()))).mean(), softplus(-fake).flatten(1).sum(1).mean()


@wrong("gan.generator_losses", "not_averaged")
def generator_losses(fake):
    return logsigmoid(-fake), -logsigmoid(fake)


@wrong("gan.generator_losses", "per_picture")
def generator_losses(fake):
    return -softplus(fake).mean(dim=(1, 2, 3)), softplus(-fake).mean(dim=(1, 2, 3))


@wrong("gan.generator_losses", "halved")
def generator_losses(fake):
    return -0.5 * softplus(fake).mean(), 0.5 * softplus(-fake).mean()


@wrong("gan.generator_losses", "sigmoid_twice")
def generator_losses(fake):
    p = torch.sigmoid(fake)
    return -softplus(p).mean(), softplus(-p).mean()


@wrong("gan.generator_losses", "no_log")
def generator_losses(fake):
    p = torch.sigmoid(fake)
    return (1 - p).mean(), -p.mean()


@wrong("gan.generator_losses", "second_without_log")
def generator_losses(fake):
    return -softplus(fake).mean(), (1 - torch.sigmoid(fake)).mean()


@wrong("gan.generator_losses", "log_of_sigmoid")
def generator_losses(fake):
    p = torch.sigmoid(fake)
    return torch.log(1 - p).mean(), -torch.log(p).mean()


@wrong("gan.generator_losses", "log_of_sigmoid")  # softplus written out
def generator_losses(fake):
    return -torch.log(1 + torch.exp(fake)).mean(), torch.log(1 + torch.exp(-fake)).mean()


@wrong("gan.generator_losses", "log_of_mean")
def generator_losses(fake):
    p = torch.sigmoid(fake)
    return torch.log((1 - p).mean()), -torch.log(p.mean())


@wrong("gan.generator_losses", "loss_of_mean")
def generator_losses(fake):
    return -softplus(fake.mean()), softplus(-fake.mean())


@wrong("gan.generator_losses", "in_bits")
def generator_losses(fake):
    return -softplus(fake).mean() / math.log(2), softplus(-fake).mean() / math.log(2)


@wrong("gan.generator_losses", "clamped")
def generator_losses(fake):
    p = fake.sigmoid()
    return -F.binary_cross_entropy(p, torch.zeros_like(p)), F.binary_cross_entropy(p, torch.ones_like(p))


@wrong("gan.generator_losses", "cut_off")
def generator_losses(fake):
    p = fake.sigmoid().clamp(1e-12, 1 - 1e-12)
    return torch.log(1 - p).mean(), -torch.log(p).mean()


@wrong("gan.generator_losses", "epsilon")
def generator_losses(fake):
    p = fake.sigmoid()
    return torch.log(1 - p + 1e-8).mean(), -torch.log(p + 1e-8).mean()


@wrong("gan.generator_losses", "taken_for_probabilities")
def generator_losses(fake):
    return torch.log(1 - fake).mean(), -torch.log(fake).mean()


@wrong("gan.generator_losses", "smoothed")
def generator_losses(fake):
    return -softplus(fake).mean(), F.binary_cross_entropy_with_logits(fake, torch.full_like(fake, 0.9))


@wrong("gan.generator_losses", "critic")
def generator_losses(fake):
    return -softplus(fake).mean(), -fake.mean()


@wrong("gan.generator_losses", "detached")
def generator_losses(fake):
    fake = fake.detach()
    return -softplus(fake).mean(), softplus(-fake).mean()


@wrong("gan.generator_losses", "nan_gradient")
def generator_losses(fake):
    return -softplus_of_two_branches(fake).mean(), softplus_of_two_branches(-fake).mean()


@wrong("gan.generator_losses", "count")
def generator_losses(fake):
    return softplus(-fake).mean()


# --- generator_losses: right ----------------------------------------------------------------------------------------


@right("gan.generator_losses")
def generator_losses(fake):
    return logsigmoid(-fake).mean(), -logsigmoid(fake).mean()


@right("gan.generator_losses")  # targets of the default dtype
def generator_losses(fake):
    loss = torch.nn.BCEWithLogitsLoss()
    return -loss(fake, torch.zeros(fake.shape)), loss(fake, torch.ones(fake.shape))


@right("gan.generator_losses")
def generator_losses(fake):
    real = torch.distributions.Bernoulli(logits=fake)
    return real.log_prob(torch.zeros_like(fake)).mean(), -real.log_prob(torch.ones_like(fake)).mean()


@right("gan.generator_losses")  # softplus(a) = a + softplus(−a)
def generator_losses(fake):
    non_saturating = torch.stack([softplus(-a) for a in fake.flatten()]).mean()
    return -(non_saturating + fake.mean()), non_saturating


# --- step: wrong ----------------------------------------------------------------------------------------------------


def loss_of_D(D, x, y, fake):  # noqa: N802
    return softplus(-D(x, y)).mean() + softplus(D(x, fake)).mean()


def loss_of_G(D, x, y, fake, lam):  # noqa: N802
    return softplus(-D(x, fake)).mean() + lam * (y - fake).abs().mean()


def down(optimizer, loss, **how):
    optimizer.zero_grad()
    loss.backward(**how)
    optimizer.step()


@wrong("gan.step", "leak")  # both are emptied at the beginning, and nothing is detached
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    G_optimizer.zero_grad()
    D_optimizer.zero_grad()
    fake = G(x, z)
    loss_of_D(D, x, y, fake).backward(retain_graph=True)
    D_optimizer.step()
    loss_of_G(D, x, y, fake, lam).backward()
    G_optimizer.step()


@wrong("gan.step", "old_D")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(G_optimizer, loss_of_G(D, x, y, fake, lam))
    down(D_optimizer, loss_of_D(D, x, y, fake.detach()))


@wrong("gan.step", "old_D")  # both gradients first
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    grad_D = torch.autograd.grad(loss_of_D(D, x, y, fake.detach()), list(D.parameters()))
    grad_G = torch.autograd.grad(loss_of_G(D, x, y, fake, lam), list(G.parameters()))
    for net, grads in ((D, grad_D), (G, grad_G)):
        for weight, grad in zip(net.parameters(), grads, strict=True):
            weight.grad = grad
    D_optimizer.step()
    G_optimizer.step()


@wrong("gan.step", "G_first")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    down(G_optimizer, loss_of_G(D, x, y, G(x, z), lam))
    with torch.no_grad():
        fake = G(x, z)
    down(D_optimizer, loss_of_D(D, x, y, fake))


@wrong("gan.step", "accumulated")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    G_optimizer.zero_grad()
    D_optimizer.zero_grad()
    fake = G(x, z)
    loss_of_D(D, x, y, fake.detach()).backward()
    loss_of_G(D, x, y, fake, lam).backward()
    D_optimizer.step()
    G_optimizer.step()


@wrong("gan.step", "joint")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    G_optimizer.zero_grad()
    D_optimizer.zero_grad()
    fake = G(x, z)
    loss = loss_of_D(D, x, y, fake) + loss_of_G(D, x, y, fake, lam)
    loss.backward()
    D_optimizer.step()
    G_optimizer.step()


@wrong("gan.step", "stale")  # zero_grad is forgotten
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    loss_of_D(D, x, y, fake.detach()).backward()
    D_optimizer.step()
    loss_of_G(D, x, y, fake, lam).backward()
    G_optimizer.step()


@wrong("gan.step", "stale")  # emptied at the end, for the next time
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    loss_of_D(D, x, y, fake.detach()).backward()
    D_optimizer.step()
    D_optimizer.zero_grad()
    loss_of_G(D, x, y, fake, lam).backward()
    G_optimizer.step()
    G_optimizer.zero_grad()


@wrong("gan.step", "stale_D")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    loss_of_D(D, x, y, fake.detach()).backward()
    D_optimizer.step()
    down(G_optimizer, loss_of_G(D, x, y, fake, lam))


@wrong("gan.step", "stale_G")  # D's are emptied twice
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, loss_of_D(D, x, y, fake.detach()))
    D_optimizer.zero_grad()
    loss_of_G(D, x, y, fake, lam).backward()
    G_optimizer.step()


@wrong("gan.step", "nothing_moves")  # emptied between backward and step
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    loss_of_D(D, x, y, fake.detach()).backward()
    D_optimizer.zero_grad()
    D_optimizer.step()
    loss_of_G(D, x, y, fake, lam).backward()
    G_optimizer.zero_grad()
    G_optimizer.step()


@wrong("gan.step", "nothing_moves")  # losses alone
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    return loss_of_D(D, x, y, fake.detach()), loss_of_G(D, x, y, fake, lam)


@wrong("gan.step", "only_D")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z).detach()
    down(D_optimizer, loss_of_D(D, x, y, fake))
    down(G_optimizer, loss_of_G(D, x, y, fake, lam))


@wrong("gan.step", "only_G")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    D_optimizer.zero_grad()
    loss_of_D(D, x, y, fake.detach()).backward()
    down(G_optimizer, loss_of_G(D, x, y, fake, lam))


@wrong("gan.step", "cut")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, loss_of_D(D, x, y, fake.detach()))
    down(G_optimizer, softplus(-D(x, fake.detach())).mean() + lam * F.l1_loss(fake, y))


@wrong("gan.step", "D_twice")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, loss_of_D(D, x, y, fake.detach()))
    D_optimizer.zero_grad()
    down(G_optimizer, loss_of_G(D, x, y, fake, lam))
    D_optimizer.step()


@wrong("gan.step", "exchanged")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(G_optimizer, loss_of_D(D, x, y, fake), retain_graph=True)
    down(D_optimizer, loss_of_G(D, x, y, fake.detach(), lam))


@wrong("gan.step", "no_distance")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, loss_of_D(D, x, y, fake.detach()))
    down(G_optimizer, softplus(-D(x, fake)).mean())


@wrong("gan.step", "no_lam")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, loss_of_D(D, x, y, fake.detach()))
    down(G_optimizer, softplus(-D(x, fake)).mean() + F.l1_loss(fake, y))


@wrong("gan.step", "lam_on_both")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, loss_of_D(D, x, y, fake.detach()))
    down(G_optimizer, lam * (softplus(-D(x, fake)).mean() + F.l1_loss(fake, y)))


@wrong("gan.step", "minimax")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, loss_of_D(D, x, y, fake.detach()))
    down(G_optimizer, lam * F.l1_loss(fake, y) - softplus(D(x, fake)).mean())


@wrong("gan.step", "helps_D")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, loss_of_D(D, x, y, fake.detach()))
    down(G_optimizer, lam * F.l1_loss(fake, y) + softplus(D(x, fake)).mean())


@wrong("gan.step", "real_only")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, softplus(-D(x, y)).mean())
    down(G_optimizer, loss_of_G(D, x, y, fake, lam))


@wrong("gan.step", "swapped")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, loss_of_D(D, x, fake.detach(), y))
    down(G_optimizer, loss_of_G(D, x, y, fake, lam))


@wrong("gan.step", "uphill")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, logsigmoid(D(x, y)).mean() + logsigmoid(-D(x, fake.detach())).mean())
    down(G_optimizer, loss_of_G(D, x, y, fake, lam))


@wrong("gan.step", "halved")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, 0.5 * loss_of_D(D, x, y, fake.detach()))
    down(G_optimizer, loss_of_G(D, x, y, fake, lam))


@wrong("gan.step", "random")  # noise of its own
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, torch.randn_like(z))
    down(D_optimizer, loss_of_D(D, x, y, fake.detach()))
    down(G_optimizer, loss_of_G(D, x, y, fake, lam))


@wrong("gan.step", "used_up")  # the same graph twice
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, loss_of_D(D, x, y, fake))
    down(G_optimizer, loss_of_G(D, x, y, fake, lam))


@wrong("gan.step", "frozen")  # and never thawed
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, loss_of_D(D, x, y, fake.detach()))
    D.requires_grad_(False)
    down(G_optimizer, loss_of_G(D, x, y, fake, lam))


# --- step: right ----------------------------------------------------------------------------------------------------


@right("gan.step")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, loss_of_D(D, x, y, fake.detach()))
    down(G_optimizer, loss_of_G(D, x, y, fake, lam))


@right("gan.step")  # fakes of the same noise, made twice
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    with torch.no_grad():
        fake = G(x, z)
    down(D_optimizer, loss_of_D(D, x, y, fake))
    down(G_optimizer, loss_of_G(D, x, y, G(x, z), lam))


@right("gan.step")  # nothing is detached, but G's gradients are emptied before its turn
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, loss_of_D(D, x, y, fake), retain_graph=True)
    down(G_optimizer, loss_of_G(D, x, y, fake, lam))


@right("gan.step")  # D is frozen in G's turn alone
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, loss_of_D(D, x, y, fake.detach()))
    for weight in D.parameters():
        weight.requires_grad_(False)
    down(G_optimizer, loss_of_G(D, x, y, fake, lam))
    for weight in D.parameters():
        weight.requires_grad_(True)


@right("gan.step")  # gradients by hand, in both places, and a result that nobody asked for
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake, losses = G(x, z), {}
    for name, net, optimizer in (("D", D, D_optimizer), ("G", G, G_optimizer)):
        loss = loss_of_D(D, x, y, fake.detach()) if name == "D" else loss_of_G(D, x, y, fake, lam)
        weights = list(net.parameters())
        for weight, grad in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.grad = grad
        optimizer.step()
        losses[name] = loss.item()
    return losses


# --- variances: wrong -----------------------------------------------------------------------------------------------


@wrong("gan.variances", "uncorrected")
def variances(samples):
    return samples.var(0).mean(), samples.mean(0).var(0).mean()


@wrong("gan.variances", "not_divided")
def variances(samples):
    by_noise = samples.var(dim=0).mean()
    return by_noise, samples.mean(0).var(0).mean() - by_noise


@wrong("gan.variances", "divided_by_maps")
def variances(samples):
    by_noise = samples.var(dim=0).mean()
    return by_noise, samples.mean(0).var(0).mean() - by_noise / samples.shape[1]


@wrong("gan.variances", "divided_by_less")
def variances(samples):
    by_noise = samples.var(dim=0).mean()
    return by_noise, samples.mean(0).var(0).mean() - by_noise / (samples.shape[0] - 1)


@wrong("gan.variances", "added")
def variances(samples):
    by_noise = samples.var(dim=0).mean()
    return by_noise, samples.mean(0).var(0).mean() + by_noise / len(samples)


@wrong("gan.variances", "cut_off")  # "a variance is never negative"
def variances(samples):
    by_noise = samples.var(dim=0).mean()
    return by_noise, F.relu(samples.mean(0).var(0).mean() - by_noise / len(samples))


@wrong("gan.variances", "cut_off_each")
def variances(samples):
    noise = samples.var(dim=0).mean(0)
    return noise.mean(), (samples.mean(0).var(0) - noise / len(samples)).clamp(min=0).mean()


@wrong("gan.variances", "exchanged")
def variances(samples):
    by_noise = samples.var(dim=0).mean()
    return samples.mean(0).var(0).mean() - by_noise / len(samples), by_noise


@wrong("gan.variances", "axes_exchanged")
def variances(samples):
    by_noise = samples.var(dim=1).mean()
    return by_noise, samples.mean(1).var(0).mean() - by_noise / samples.shape[1]


@wrong("gan.variances", "over_the_batch")
def variances(samples):
    by_noise = samples.var(dim=1).mean()
    return by_noise, samples.mean(0).var(0).mean() - by_noise / len(samples)


@wrong("gan.variances", "over_everything")
def variances(samples):
    by_noise = samples.var()
    return by_noise, samples.mean(0).var(0).mean() - by_noise / len(samples)


@wrong("gan.variances", "over_draws_and_maps")
def variances(samples):
    by_noise = samples.flatten(0, 1).var(0).mean()
    return by_noise, samples.mean(0).var(0).mean() - by_noise / len(samples)


@wrong("gan.variances", "over_the_pixels")
def variances(samples):
    by_noise = samples.var(dim=(2, 3, 4)).mean()
    return by_noise, samples.mean(0).var(0).mean() - by_noise / len(samples)


@wrong("gan.variances", "deviations")
def variances(samples):
    by_noise = samples.std(dim=0).mean()
    return by_noise, samples.mean(0).std(0).mean() - by_noise / len(samples)


@wrong("gan.variances", "square_of_the_mean")
def variances(samples):
    by_noise = samples.std(dim=0).mean() ** 2
    return by_noise, samples.mean(0).var(0).mean() - by_noise / len(samples)


@wrong("gan.variances", "deviation_by_map")
def variances(samples):
    return samples.var(0).mean(), samples.mean(0).std(0).mean() - samples.std(0).mean() / len(samples)


@wrong("gan.variances", "divided_by_n")
def variances(samples):
    by_noise = samples.numpy().var(0).mean()
    return by_noise, samples.numpy().mean(0).var(0).mean() - by_noise / len(samples)


@wrong("gan.variances", "noise_divided_by_n")
def variances(samples):
    by_noise = (samples - samples.mean(0)).square().mean()
    return by_noise, samples.mean(0).var(0).mean() - by_noise / len(samples)


@wrong("gan.variances", "maps_divided_by_n")
def variances(samples):
    by_noise, means = samples.var(0).mean(), samples.mean(0)
    return by_noise, (means - means.mean(0)).square().mean() - by_noise / len(samples)


@wrong("gan.variances", "total_less_noise")
def variances(samples):
    by_noise = samples.var(0).mean()
    return by_noise, samples.flatten(0, 1).var(0).mean() - by_noise


@wrong("gan.variances", "first_draw")
def variances(samples):
    return samples.var(0).mean(), samples[0].var(0).mean()


@wrong("gan.variances", "variance_first")
def variances(samples):
    return samples.var(0).mean(), samples.var(1).mean()


@wrong("gan.variances", "maps_and_pixels")
def variances(samples):
    by_noise = samples.var(0).mean()
    return by_noise, samples.mean(0).var() - by_noise / len(samples)


@wrong("gan.variances", "of_the_means")
def variances(samples):
    greys = samples.mean((2, 3, 4))
    by_noise = greys.var(0).mean()
    return by_noise, greys.mean(0).var() - by_noise / len(samples)


@wrong("gan.variances", "summed")
def variances(samples):
    by_noise = samples.var(0).sum()
    return by_noise, samples.mean(0).var(0).sum() - by_noise / len(samples)


@wrong("gan.variances", "per_pixel")
def variances(samples):
    by_noise = samples.var(0)
    return by_noise, samples.mean(0).var(0) - by_noise.mean(0) / len(samples)


@wrong("gan.variances", "per_map")
def variances(samples):
    by_noise = samples.var(0).mean((1, 2, 3))
    return by_noise, samples.mean(0).var(0).mean() - by_noise.mean() / len(samples)


@wrong("gan.variances", "absolute")
def variances(samples):
    by_noise = (samples - samples.mean(0)).abs().mean()
    return by_noise, samples.mean(0).var(0).mean() - by_noise / len(samples)


@wrong("gan.variances", "in_place")
def variances(samples):
    means = samples.mean(0)
    samples -= means
    by_noise = samples.square().sum(0).mean() / (len(samples) - 1)
    return by_noise, means.var(0).mean() - by_noise / len(samples)


@wrong("gan.variances", "count")
def variances(samples):
    return samples.var(0).mean()


# --- variances: right -----------------------------------------------------------------------------------------------


@right("gan.variances")
def variances(samples):
    K, B = samples.shape[:2]
    means = samples.mean(dim=0, keepdim=True)
    by_noise = (samples - means).square().sum(0).mean() / (K - 1)
    return by_noise, (means - means.mean(1, keepdim=True)).square().sum(1).mean() / (B - 1) - by_noise / K


@right("gan.variances")  # in numpy
def variances(samples):
    numbers = samples.numpy()
    by_noise = numbers.var(0, ddof=1).mean()
    return by_noise, numbers.mean(0).var(0, ddof=1).mean() - by_noise / numbers.shape[0]


@right("gan.variances")  # the classes' table of an analysis of variance
def variances(samples):
    K, B = samples.shape[:2]
    within = ((samples**2).sum(0) - K * samples.mean(0) ** 2).sum(0) / (B * (K - 1))
    between = K * samples.mean(0).var(0)
    return within.mean(), ((between - within) / K).mean()


@right("gan.variances")  # one map after the other
def variances(samples):
    noise = torch.stack([samples[:, b].std(0) ** 2 for b in range(samples.shape[1])])
    means = functools.reduce(torch.add, samples) / len(samples)
    return noise.mean(), torch.var(means, dim=0, unbiased=True).mean() - noise.mean() / len(samples)


# --- found by two readers -------------------------------------------------------------------------------------------


@right("gan.discriminator_loss")  # targets of the default dtype
def discriminator_loss(real, fake):
    loss = torch.nn.BCEWithLogitsLoss()
    return loss(real, torch.ones(real.shape)) + loss(fake, torch.zeros(fake.shape))


@wrong("gan.pair", "error")  # torch.cat takes a list
def pair(classes, y, n_classes):
    return torch.cat(F.one_hot(classes, n_classes).permute(0, 3, 1, 2).to(y), y, dim=1)  # type: ignore[call-overload]


@wrong("gan.gradients", "error")  # a network has no .grad
def gradients(G, D, x, y, z):
    fake = G(x, z)
    (softplus(-D(x, y)).mean() + softplus(D(x, fake.detach())).mean()).backward()
    softplus(-D(x, fake)).mean().backward()
    return D.grad, G.grad


@wrong("gan.gradients", "weights_changed")  # D takes its step in between
def gradients(G, D, x, y, z):
    optimizer, fake = torch.optim.SGD(D.parameters(), lr=0.1), G(x, z)
    optimizer.zero_grad()
    (softplus(-D(x, y)).mean() + softplus(D(x, fake.detach())).mean()).backward()
    optimizer.step()
    return D.weight.grad.clone(), torch.autograd.grad(softplus(-D(x, fake)).mean(), G.weight)[0]


@wrong("gan.gradients", "overwritten")  # what was read is emptied in place, and filled again
def gradients(G, D, x, y, z):
    G.weight.grad, D.weight.grad, fake = None, None, G(x, z)
    (softplus(-D(x, y)).mean() + softplus(D(x, fake.detach())).mean()).backward()
    grad_D = D.weight.grad
    D.zero_grad(set_to_none=False)
    softplus(-D(x, fake)).mean().backward()
    return grad_D, G.weight.grad


@wrong("gan.gradients", "emptied")
def gradients(G, D, x, y, z):
    G.weight.grad, D.weight.grad, fake = None, None, G(x, z)
    (softplus(-D(x, y)).mean() + softplus(D(x, fake.detach())).mean()).backward()
    grad_D = D.weight.grad
    (grad_G,) = torch.autograd.grad(softplus(-D(x, fake)).mean(), G.weight)
    D.zero_grad(set_to_none=False)
    return grad_D, grad_G


@wrong("gan.gradients", "one_loss")
def gradients(G, D, x, y, z):
    fake = G(x, z)
    loss = softplus(-D(x, y)).mean() + softplus(D(x, fake)).mean() + softplus(-D(x, fake)).mean()
    return torch.autograd.grad(loss, (D.weight, G.weight))


@wrong("gan.gradients", "z_first")
def gradients(G, D, x, y, z):
    fake = G(z, x)
    loss_D = softplus(-D(x, y)).mean() + softplus(D(x, fake.detach())).mean()
    loss_G = softplus(-D(x, fake)).mean()
    return torch.autograd.grad(loss_D, D.weight)[0], torch.autograd.grad(loss_G, G.weight)[0]


@wrong("gan.gradients", "z_for_x")
def gradients(G, D, x, y, z):
    fake = G(x, z)
    loss_D = softplus(-D(z, y)).mean() + softplus(D(z, fake.detach())).mean()
    loss_G = softplus(-D(z, fake)).mean()
    return torch.autograd.grad(loss_D, D.weight)[0], torch.autograd.grad(loss_G, G.weight)[0]


@wrong("gan.gradients", "fake_only")
def gradients(G, D, x, y, z):
    fake = G(x, z)
    loss_D, loss_G = softplus(D(x, fake.detach())).mean(), softplus(-D(x, fake)).mean()
    return torch.autograd.grad(loss_D, D.weight)[0], torch.autograd.grad(loss_G, G.weight)[0]


@wrong("gan.gradients", "downhill")
def gradients(G, D, x, y, z):
    fake = G(x, z)
    loss_D = softplus(-D(x, y)).mean() + softplus(D(x, fake.detach())).mean()
    loss_G = softplus(-D(x, fake)).mean()
    return -torch.autograd.grad(loss_D, D.weight)[0], -torch.autograd.grad(loss_G, G.weight)[0]


@wrong("gan.spectrum", "closed")
def spectrum(y):
    power, k = torch.fft.fft2(y).abs() ** 2, distance(y)
    return torch.stack([power[..., (r <= k) & (k <= r + 1)].mean() for r in range(y.shape[-1] // 2)])


@wrong("gan.spectrum", "error")  # a chain of comparisons
def spectrum(y):
    power, k = torch.fft.fft2(y).abs() ** 2, distance(y)
    return torch.stack([power[..., r <= k < r + 1].mean() for r in range(y.shape[-1] // 2)])


@wrong("gan.spectrum", "foreign")  # of the notebook's pictures
def spectrum(y):
    power, k = torch.fft.fft2(y).abs() ** 2, distance(shown).floor()
    return torch.stack([power[..., k == r].mean() for r in range(16)])


@wrong("gan.spectrum", "open_below")
def spectrum(y):
    power, k = torch.fft.fft2(y).abs() ** 2, distance(y)
    return torch.stack([power[..., (r < k) & (k <= r + 1)].mean() for r in range(y.shape[-1] // 2)])


@wrong("gan.spectrum", "discs")
def spectrum(y):
    power, k = torch.fft.fft2(y).abs() ** 2, distance(y)
    return torch.stack([power[..., k < r + 1].mean() for r in range(y.shape[-1] // 2)])


@wrong("gan.spectrum", "squared_distance")
def spectrum(y):
    k = torch.fft.fftfreq(y.shape[-1], d=1 / y.shape[-1])
    return rings(torch.fft.fft2(y).abs() ** 2, (k[:, None] ** 2 + k**2).round())


@wrong("gan.spectrum", "from_1")
def spectrum(y):
    power, ring = torch.fft.fft2(y).abs() ** 2, distance(y).floor()
    return torch.stack([power[..., ring == r].mean() for r in range(1, y.shape[-1] // 2 + 1)])


@wrong("gan.r1", "nan_gradient")  # the root of 0
def r1(D, x, y):
    return (slopes(D, x, y).square().flatten(1).sum(1).sqrt() ** 2).mean()


@wrong("gan.r1", "last_axis_only")
def r1(D, x, y):
    return slopes(D, x, y).norm(dim=-1).pow(2).mean()


@wrong("gan.r1", "channels_only")
def r1(D, x, y):
    return slopes(D, x, y).norm(dim=1).pow(2).mean()


@wrong("gan.r1", "square_of_the_mean")
def r1(D, x, y):
    return slopes(D, x, y).flatten(1).norm(dim=1).mean() ** 2


@wrong("gan.r1", "one_length")
def r1(D, x, y):
    return slopes(D, x, y).norm()


# --- found by playing the student -----------------------------------------------------------------------------------


@wrong("gan.discriminator_loss", "subtracted")
def discriminator_loss(real, fake):
    return softplus(-real).mean() - softplus(fake).mean()


@wrong("gan.discriminator_loss", "in_bits")
def discriminator_loss(real, fake):
    return -torch.log2(real.sigmoid()).mean() - torch.log2((-fake).sigmoid()).mean()


@wrong("gan.discriminator_loss", "both_fake")
def discriminator_loss(real, fake):
    loss = F.binary_cross_entropy_with_logits
    return loss(real, torch.zeros_like(real)) + loss(fake, torch.zeros_like(fake))


@wrong("gan.discriminator_loss", "hinge")
def discriminator_loss(real, fake):
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


@wrong("gan.discriminator_loss", "log_of_mean")
def discriminator_loss(real, fake):
    return -torch.log(real.sigmoid().mean()) - torch.log((1 - fake.sigmoid()).mean())


@wrong("gan.discriminator_loss", "loss_of_mean")
def discriminator_loss(real, fake):
    return -logsigmoid(real.mean()) - logsigmoid(-fake.mean())


@wrong("gan.discriminator_loss", "no_log")
def discriminator_loss(real, fake):
    return 1 - real.sigmoid().mean() + fake.sigmoid().mean()


@wrong("gan.optimal_logit", "clamped")
def optimal_logit(y, mean, std, mean_G, std_G):
    return (Normal(mean, std).log_prob(y) - Normal(mean_G, std_G).log_prob(y)).clamp(-50, 50)


@wrong("gan.optimal_logit", "half_log_std")
def optimal_logit(y, mean, std, mean_G, std_G):
    log_p, log_p_G = (-0.5 * (((y - m) / s) ** 2 + s.log()) for m, s in ((mean, std), (mean_G, std_G)))
    return log_p - log_p_G


@wrong("gan.generator_losses", "least_squares")
def generator_losses(fake):
    return -softplus(fake).mean(), F.mse_loss(fake, torch.ones_like(fake))


@wrong("gan.generator_losses", "added")
def generator_losses(fake):
    non_saturating = softplus(-fake).mean()
    return non_saturating - softplus(fake).mean(), non_saturating


@wrong("gan.pair", "from_1")
def pair(classes, y, n_classes):
    return torch.cat([torch.stack([(classes == k + 1).to(y) for k in range(n_classes)], 1), y], 1)


@wrong("gan.pair", "reversed_classes")
def pair(classes, y, n_classes):
    return torch.cat([(classes == k)[:, None].to(y) for k in reversed(range(n_classes))] + [y], 1)


@wrong("gan.pair", "inverted")
def pair(classes, y, n_classes):
    return torch.cat([(classes != k)[:, None].to(y) for k in range(n_classes)] + [y], 1)


@wrong("gan.objective", "lam_squared")
def objective(fake, output, y, lam):
    distance = lam * F.l1_loss(output, y)
    return softplus(-fake).mean() + lam * distance


@wrong("gan.objective", "divided")
def objective(fake, output, y, lam):
    return softplus(-fake).mean() + F.l1_loss(output, y) / lam


@wrong("gan.objective", "summed_logits")
def objective(fake, output, y, lam):
    return softplus(-fake).sum() + lam * F.l1_loss(output, y)


@wrong("gan.objective", "root_mean_square")
def objective(fake, output, y, lam):
    return softplus(-fake).mean() + lam * F.mse_loss(output, y).sqrt()


@wrong("gan.objective", "norm")
def objective(fake, output, y, lam):
    return softplus(-fake).mean() + lam * torch.norm(output - y)


@wrong("gan.objective", "smooth")
def objective(fake, output, y, lam):
    return softplus(-fake).mean() + lam * F.huber_loss(output, y)


@wrong("gan.objective", "halved")
def objective(fake, output, y, lam):
    return (softplus(-fake).mean() + lam * F.l1_loss(output, y)) / 2


@wrong("gan.gradients", "others_weights")
def gradients(G, D, x, y, z):
    fake = G(x, z)
    loss_D, loss_G = softplus(-D(x, y)).mean() + softplus(D(x, fake)).mean(), softplus(-D(x, fake)).mean()
    (grad_G,) = torch.autograd.grad(loss_D, G.weight, retain_graph=True)
    return grad_G, torch.autograd.grad(loss_G, D.weight)[0]


@wrong("gan.receptive_field", "less_stride")
def receptive_field(kernels, strides):
    fields, apart = [1], 1
    for kernel, stride in zip(kernels, strides, strict=True):
        fields.append(fields[-1] + (kernel - stride) * apart)
        apart *= stride
    return torch.tensor(fields[1:])


@wrong("gan.receptive_field", "half_kernels")
def receptive_field(kernels, strides):
    fields, apart = [1], 1
    for kernel, stride in zip(kernels, strides, strict=True):
        fields.append(fields[-1] + kernel // 2 * apart)
        apart *= stride
    return torch.tensor(fields[1:])


@wrong("gan.receptive_field", "one_more")
def receptive_field(kernels, strides):
    fields, apart = [1], 1
    for kernel, stride in zip(kernels, strides, strict=True):
        fields.append(fields[-1] + (kernel + 1) * apart)
        apart *= stride
    return torch.tensor(fields[1:])


@wrong("gan.receptive_field", "always_2")
def receptive_field(kernels, strides):
    return 1 + torch.cumsum((torch.tensor(kernels) - 1) * 2 ** torch.arange(len(strides)), 0)


@wrong("gan.receptive_field", "squared")
def receptive_field(kernels, strides):
    before = torch.tensor((1, *strides[:-1])).cumprod(0)
    return (1 + torch.cumsum((torch.tensor(kernels) - 1) * before, 0)) ** 2


@wrong("gan.spectrum", "median")
def spectrum(y):
    power, ring = torch.fft.fft2(y).abs() ** 2, distance(y).floor()
    return torch.stack([power[..., ring == r].median() for r in range(y.shape[-1] // 2)])


@wrong("gan.spectrum", "root")
def spectrum(y):
    power, ring = torch.fft.fft2(y).abs() ** 2, distance(y).floor()
    return rings(power, ring).sqrt()


@wrong("gan.spectrum", "square_of_the_mean")
def spectrum(y):
    return rings(torch.fft.fft2(y).abs(), distance(y).floor()) ** 2


@wrong("gan.spectrum", "rows_alone")
def spectrum(y):
    return rings(torch.fft.fft(y).abs() ** 2, distance(y).floor())


@wrong("gan.spectrum", "columns_alone")
def spectrum(y):
    n = y.shape[-1]
    k = torch.fft.fftfreq(n, d=1 / n).round().abs()
    return rings(torch.fft.fft2(y).abs() ** 2, k.repeat(n, 1))


@wrong("gan.spectrum", "down_alone")
def spectrum(y):
    n = y.shape[-1]
    k = torch.fft.fftfreq(n, d=1 / n).round().abs()
    return rings(torch.fft.fft2(y).abs() ** 2, k[:, None].repeat(1, n))


@wrong("gan.spectrum", "first_picture")
def spectrum(y):
    power, ring = torch.fft.fft2(y).abs() ** 2, distance(y).floor()
    return rings(power[0, 0], ring)


@wrong("gan.spectrum", "largest")
def spectrum(y):
    power, ring = torch.fft.fft2(y).abs() ** 2, distance(y).floor()
    return torch.stack([power[..., ring == r].max() for r in range(y.shape[-1] // 2)])


@wrong("gan.variances", "shares")
def variances(samples):
    noise, means = samples.var(0).mean(), samples.mean(0).var(0).mean()
    return noise / samples.var(), (means - noise / len(samples)) / samples.var()


@wrong("gan.variances", "divided_by_k_squared")
def variances(samples):
    noise, means = samples.var(0).mean(), samples.mean(0).var(0).mean()
    return noise, means - noise / len(samples) ** 2


@wrong("gan.variances", "times_k")
def variances(samples):
    noise, means = samples.var(0).mean(), samples.mean(0).var(0).mean()
    return noise, len(samples) * means - noise


@wrong("gan.variances", "maps_averaged")
def variances(samples):
    noise, means = samples.var(0).mean(), samples.mean(0).var(0).mean()
    return samples.mean(1).var(0).mean(), means - noise / len(samples)


@wrong("gan.variances", "deviation_subtracted")
def variances(samples):
    noise, means = samples.var(0).mean(), samples.mean(0).var(0).mean()
    return noise, means - samples.std(0).mean() / len(samples)


@wrong("gan.r1", "summed_first")
def r1(D, x, y):
    return slopes(D, x, y).sum((1, 2, 3)).square().mean()


@wrong("gan.r1", "fourth_power")
def r1(D, x, y):
    return slopes(D, x, y).square().sum((1, 2, 3)).square().mean()


@wrong("gan.r1", "largest")
def r1(D, x, y):
    return slopes(D, x, y).abs().amax((1, 2, 3)).square().mean()


@wrong("gan.step", "squared")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, loss_of_D(D, x, y, fake.detach()))
    down(G_optimizer, softplus(-D(x, fake)).mean() + lam * F.mse_loss(fake, y))


@wrong("gan.step", "summed")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, loss_of_D(D, x, y, fake.detach()))
    down(G_optimizer, softplus(-D(x, fake)).mean() + lam * (y - fake).abs().sum())


@wrong("gan.step", "subtracted")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, loss_of_D(D, x, y, fake.detach()))
    down(G_optimizer, softplus(-D(x, fake)).mean() - lam * F.l1_loss(fake, y))


@wrong("gan.step", "fake_only")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, softplus(D(x, fake.detach())).mean())
    down(G_optimizer, loss_of_G(D, x, y, fake, lam))


@wrong("gan.step", "summed_D")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, softplus(-D(x, y)).sum() + softplus(D(x, fake.detach())).sum())
    down(G_optimizer, loss_of_G(D, x, y, fake, lam))


@wrong("gan.step", "lam_on_the_other")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, loss_of_D(D, x, y, fake.detach()))
    down(G_optimizer, lam * softplus(-D(x, fake)).mean() + F.l1_loss(fake, y))


@wrong("gan.step", "y_first")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, softplus(-D(y, x)).mean() + softplus(D(fake.detach(), x)).mean())
    down(G_optimizer, softplus(-D(fake, x)).mean() + lam * F.l1_loss(fake, y))


@wrong("gan.step", "G_twice")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, loss_of_D(D, x, y, fake.detach()))
    down(G_optimizer, loss_of_G(D, x, y, fake, lam))
    down(G_optimizer, loss_of_G(D, x, y, G(x, z), lam))


@wrong("gan.step", "two_steps_of_D")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, loss_of_D(D, x, y, fake.detach()))
    down(D_optimizer, loss_of_D(D, x, y, fake.detach()))
    down(G_optimizer, loss_of_G(D, x, y, fake, lam))


@right("gan.optimal_logit")
def optimal_logit(y, mean, std, mean_G, std_G):
    narrow, wide = ((y.numpy() - m.numpy()) / s.numpy() for m, s in ((mean, std), (mean_G, std_G)))
    return 0.5 * (wide**2 - narrow**2) + (std_G / std).log().numpy()


@right("gan.pulls")
def pulls(fake):
    slope = torch.func.grad
    flat = fake.flatten()
    minimax, non_saturating = slope(lambda a: -softplus(a)), slope(lambda a: softplus(-a))
    return torch.vmap(minimax)(flat).view_as(fake), torch.vmap(non_saturating)(flat).view_as(fake)


@right("gan.receptive_field")
def receptive_field(kernels, strides):
    strides = torch.tensor(strides).cumprod(0).roll(1)
    strides[0] = 1
    return (1 + ((torch.tensor(kernels) - 1) * strides).cumsum(0)).numpy()


@right("gan.spectrum")
def spectrum(y):
    n = y.shape[-1]
    inside = torch.stack([distance(y).floor() == r for r in range(n // 2)]).to(y)
    power = torch.fft.fft2(y).abs() ** 2
    return torch.einsum("rij,bcij->r", inside, power) / inside.sum((1, 2)) / (y.shape[0] * y.shape[1])


@right("gan.gradients")
def gradients(G, D, x, y, z):
    def alone(i):
        one = slice(i, i + 1)
        fake = G(x[one], z[one])
        return loss_of_D(D, x[one], y[one], fake.detach()), softplus(-D(x[one], fake)).mean()

    losses_D, losses_G = zip(*map(alone, range(len(x))), strict=True)
    (grad_D,) = torch.autograd.grad(torch.stack(losses_D).mean(), D.weight)
    return grad_D, torch.autograd.grad(torch.stack(losses_G).mean(), G.weight)[0]


@right("gan.r1")
def r1(D, x, y):
    def one(x, y):
        slope = torch.func.grad(lambda y: D(x[None], y[None]).sum())(y)
        return slope.square().sum()

    return torch.vmap(one)(x, y).mean()


@right("gan.step")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    def closure(optimizer, loss):
        def again():
            optimizer.zero_grad()
            value = loss(G(x, z))
            value.backward()
            return value

        return again

    D_optimizer.step(closure(D_optimizer, lambda fake: loss_of_D(D, x, y, fake)))
    G_optimizer.step(closure(G_optimizer, lambda fake: loss_of_G(D, x, y, fake, lam)))


@wrong("gan.optimal_logit", "means_swapped")
def optimal_logit(y, mean, std, mean_G, std_G):
    return Normal(mean_G, std).log_prob(y) - Normal(mean, std_G).log_prob(y)


@wrong("gan.optimal_logit", "divided")
def optimal_logit(y, mean, std, mean_G, std_G):
    return Normal(mean, std).log_prob(y) / Normal(mean_G, std_G).log_prob(y)


@wrong("gan.optimal_logit", "densities_subtracted")
def optimal_logit(y, mean, std, mean_G, std_G):
    return Normal(mean, std).log_prob(y).exp() - Normal(mean_G, std_G).log_prob(y).exp()


@wrong("gan.pulls", "logarithms")
def pulls(fake):
    return logsigmoid(-fake), logsigmoid(fake)


@wrong("gan.gradients", "real_for_x")
def gradients(G, D, x, y, z):
    fake = G(y, z)
    loss_D, loss_G = loss_of_D(D, x, y, fake), softplus(-D(x, fake)).mean()
    (grad_D,) = torch.autograd.grad(loss_D, D.weight, retain_graph=True)
    return grad_D, torch.autograd.grad(loss_G, G.weight)[0]


@wrong("gan.gradients", "beside_the_real")
def gradients(G, D, x, y, z):
    fake = G(x, z)
    loss_D = softplus(-D(x, y)).mean() + softplus(D(y, fake)).mean()
    (grad_D,) = torch.autograd.grad(loss_D, D.weight, retain_graph=True)
    return grad_D, torch.autograd.grad(softplus(-D(y, fake)).mean(), G.weight)[0]


@wrong("gan.objective", "multiplied")
def objective(fake, output, y, lam):
    return lam * softplus(-fake).mean() * F.l1_loss(output, y)


@wrong("gan.objective", "summed_over_channels")
def objective(fake, output, y, lam):
    return softplus(-fake).mean() + lam * (output - y).abs().sum(dim=1).mean()


@wrong("gan.objective", "largest")
def objective(fake, output, y, lam):
    return softplus(-fake).mean() + lam * (output - y).abs().max()


@wrong("gan.step", "least_squares")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, (D(x, y) - 1).square().mean() + D(x, fake.detach()).square().mean())
    down(G_optimizer, loss_of_G(D, x, y, fake, lam))


@wrong("gan.step", "old_D")  # both losses first: autograd finds D's weights moved
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    loss_D, loss_G = loss_of_D(D, x, y, fake.detach()), loss_of_G(D, x, y, fake, lam)
    down(D_optimizer, loss_D)
    down(G_optimizer, loss_G)


@wrong("gan.receptive_field", "distances")
def receptive_field(kernels, strides):
    return torch.tensor(strides).cumprod(0)


@wrong("gan.receptive_field", "kernels_added")
def receptive_field(kernels, strides):
    return torch.tensor(kernels).cumsum(0)


@wrong("gan.variances", "means_over_maps")
def variances(samples):
    noise = samples.var(0).mean()
    return noise, samples.mean(1).var(0).mean() - noise / len(samples)


@wrong("gan.r1", "squares_towards_1")
def r1(D, x, y):
    return (slopes(D, x, y).square().sum((1, 2, 3)) - 1).square().mean()


# --- numbers of the lab, roots, sums, and graphs that are used up -----------------------------------------------------


@wrong("gan.pair", "always_3")
def pair(classes, y, n_classes):
    return torch.cat([F.one_hot(classes, 3).movedim(-1, 1).to(y), y], dim=1)


@wrong("gan.variances", "always_4")
def variances(samples):
    noise = samples.var(0).mean()
    return noise, samples.mean(0).var(0).mean() - noise / 4


@wrong("gan.spectrum", "always_32")
def spectrum(y):
    n = y.shape[-1]
    k = torch.fft.fftfreq(n, d=1 / 32, dtype=y.dtype)
    ring, power = (k[:, None] ** 2 + k**2).sqrt().floor(), torch.fft.fft2(y).abs() ** 2
    return torch.stack([power[..., ring == r].mean() for r in range(n // 2)])


@wrong("gan.spectrum", "half_shifted")  # the power, and not the frequencies
def spectrum(y):
    n = y.shape[-1]
    k = torch.fft.fftfreq(n, d=1 / n, dtype=y.dtype)
    ring = (k[:, None] ** 2 + k**2).sqrt().floor()
    power = torch.fft.fftshift(torch.fft.fft2(y), dim=(-2, -1)).abs() ** 2
    return torch.stack([power[..., ring == r].mean() for r in range(n // 2)])


@wrong("gan.optimal_logit", "variance_throughout")
def optimal_logit(y, mean, std, mean_G, std_G):
    return Normal(mean, std.sqrt()).log_prob(y) - Normal(mean_G, std_G.sqrt()).log_prob(y)


@wrong("gan.optimal_logit", "std_as_variance_alone")
def optimal_logit(y, mean, std, mean_G, std_G):
    return 0.5 * (y - mean_G) ** 2 / std_G - 0.5 * (y - mean) ** 2 / std


def slopes_by_autograd(fake, minimax, non_saturating):
    a = fake.detach().clone().requires_grad_()
    return tuple(torch.autograd.grad(f(a).sum(), a)[0] for f in (minimax, non_saturating))


@wrong("gan.pulls", "through_logarithms")
def pulls(fake):
    return slopes_by_autograd(fake, lambda a: (1 - a.sigmoid()).log(), lambda a: -a.sigmoid().log())


@wrong("gan.pulls", "through_logarithms")  # in the second alone
def pulls(fake):
    return slopes_by_autograd(fake, lambda a: -softplus(a), lambda a: -a.sigmoid().log())


@wrong("gan.pulls", "through_logarithms")  # exp is infinite
def pulls(fake):
    return slopes_by_autograd(fake, lambda a: -(1 + a.exp()).log(), lambda a: (1 + (-a).exp()).log())


@wrong("gan.pulls", "through_logarithms")  # 0/0, by hand
def pulls(fake):
    p = torch.sigmoid(fake)
    return -p * (1 - p) / (1 - p), -p * (1 - p) / p


@wrong("gan.pulls", "cut_off")
def pulls(fake):
    def p(a):
        return a.sigmoid().clamp(1e-7, 1 - 1e-7)

    return slopes_by_autograd(fake, lambda a: (1 - p(a)).log(), lambda a: -p(a).log())


@wrong("gan.pulls", "cut_off")  # binary_cross_entropy, which cuts
def pulls(fake):
    def bce(a, target):
        return F.binary_cross_entropy(a.sigmoid(), torch.full_like(a, target), reduction="none")

    return slopes_by_autograd(fake, lambda a: -bce(a, 0.0), lambda a: bce(a, 1.0))


@wrong("gan.receptive_field", "strides_summed")
def receptive_field(kernels, strides):
    field, apart, fields = 1, 0, []
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - 1) * max(apart, 1)
        apart += stride
        fields.append(field)
    return torch.tensor(fields)


@wrong("gan.receptive_field", "strides_summed_from_0")
def receptive_field(kernels, strides):
    field, apart, fields = 1, 0, []
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - 1) * apart
        apart += stride
        fields.append(field)
    return torch.tensor(fields)


@wrong("gan.receptive_field", "own_strides_summed")
def receptive_field(kernels, strides):
    field, apart, fields = 1, 0, []
    for kernel, stride in zip(kernels, strides, strict=True):
        apart += stride
        field += (kernel - 1) * apart
        fields.append(field)
    return torch.tensor(fields)


@wrong("gan.receptive_field", "nothing_added")
def receptive_field(kernels, strides):
    field, apart, fields = 1, 0, []
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - 1) * apart
        apart *= stride
        fields.append(field)
    return torch.tensor(fields)


@wrong("gan.receptive_field", "last_alone")
def receptive_field(kernels, strides):
    return torch.tensor([fields(kernels, strides)[-1]])


@wrong("gan.step", "old_D")  # what D said before its step is used again
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    said = D(x, fake)
    D_optimizer.zero_grad()
    (softplus(-D(x, y)).mean() + softplus(said).mean()).backward(retain_graph=True)
    D_optimizer.step()
    G_optimizer.zero_grad()
    (softplus(-said).mean() + lam * (y - fake).abs().mean()).backward()
    G_optimizer.step()


@wrong("gan.step", "used_up")  # and the graph is not kept
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    said = D(x, fake)
    D_optimizer.zero_grad()
    (softplus(-D(x, y)).mean() + softplus(said).mean()).backward()
    D_optimizer.step()
    G_optimizer.zero_grad()
    (softplus(-said).mean() + lam * (y - fake).abs().mean()).backward()
    G_optimizer.step()


@wrong("gan.step", "error")  # a tensor of its own, changed in place
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    down(D_optimizer, loss_of_D(D, x, y, fake.detach()))
    p = D(x, fake).sigmoid()
    logs = p.log()
    p.mul_(2)
    down(G_optimizer, -logs.mean() + lam * (y - fake).abs().mean())


@wrong("gan.gradients", "used_up")
def gradients(G, D, x, y, z):
    logits = D(x, G(x, z))
    loss_D = softplus(-D(x, y)).mean() + softplus(logits).mean()
    loss_G = softplus(-logits).mean()
    return torch.autograd.grad(loss_D, D.weight)[0], torch.autograd.grad(loss_G, G.weight)[0]


@right("gan.objective")
def objective(fake, output, y, lam):
    B, C, H, W = y.shape
    return softplus(-fake).mean() + lam * (y - output).abs().sum() / (B * C * H * W)


@wrong("gan.discriminator_loss", "patches_summed")
def discriminator_loss(real, fake):
    return softplus(-real).flatten(1).sum(1).mean() + softplus(fake).flatten(1).sum(1).mean()


@wrong("gan.discriminator_loss", "squares")
def discriminator_loss(real, fake):
    return (torch.sigmoid(real) - 1).pow(2).mean() + torch.sigmoid(fake).pow(2).mean()


@wrong("gan.discriminator_loss", "least_squares")
def discriminator_loss(real, fake):
    return F.mse_loss(real, torch.ones_like(real)) + F.mse_loss(fake, torch.zeros_like(fake))


@wrong("gan.step", "only_D")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    fake = G(x, z)
    D_optimizer.zero_grad()
    (softplus(-D(x, y)).mean() + softplus(D(x, fake.detach())).mean()).backward()
    D_optimizer.step()
    (softplus(-D(x, fake)).mean() + lam * (y - fake).abs().mean()).backward()
    G_optimizer.zero_grad()  # empties what the step needs
    G_optimizer.step()


@wrong("gan.discriminator_loss", "one_mean_doubled")
def discriminator_loss(real, fake):
    a, target = torch.cat([real, fake]), torch.cat([torch.ones_like(real), torch.zeros_like(fake)])
    return 2 * F.binary_cross_entropy_with_logits(a, target)


@wrong("gan.receptive_field", "first_stride_for_all")
def receptive_field(kernels, strides):
    return 1 + torch.tensor([(k - 1) * strides[0] ** i for i, k in enumerate(kernels)]).cumsum(0)


@wrong("gan.receptive_field", "seen_from_the_end")
def receptive_field(kernels, strides):
    fields = [1]
    for k, s in zip(reversed(kernels), reversed(strides), strict=True):
        fields.insert(0, (fields[0] - 1) * s + k)
    return torch.tensor(fields[:-1])
