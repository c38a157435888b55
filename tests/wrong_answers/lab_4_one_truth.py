"""Lab 4: one truth, and how far a model is from it."""
# ruff: noqa: F811  (every answer has the name that the lab gives it)
# pyright: reportRedeclaration=false

import math

import numpy as np
import torch
from torch.distributions import MultivariateNormal

from . import right, wrong

# --- distances: wrong -----------------------------------------------------------------------------------------------


@wrong("one_truth.distances", "squared")
def distances(x, means, covs):
    away = x[:, None] - means
    return torch.einsum("bkd,kde,bke->bk", away, torch.linalg.inv(covs), away)


@wrong("one_truth.distances", "euclidean")
def distances(x, means, covs):
    return torch.cdist(x, means)


@wrong("one_truth.distances", "not_inverted")
def distances(x, means, covs):
    away = x[:, None] - means
    return torch.einsum("bkd,kde,bke->bk", away, covs, away) ** 0.5


@wrong("one_truth.distances", "diagonal_only")
def distances(x, means, covs):
    std = torch.stack([cov.diag().sqrt() for cov in covs])
    return (((x[:, None] - means) / std) ** 2).sum(-1).sqrt()


@wrong("one_truth.distances", "divided_by_variances")
def distances(x, means, covs):
    variance = torch.diagonal(covs, dim1=1, dim2=2)
    return (((x[:, None] - means) / variance) ** 2).sum(-1).sqrt()


@wrong("one_truth.distances", "factor_transposed")
def distances(x, means, covs):
    L = torch.linalg.cholesky(covs)
    white = torch.einsum("kde,bkd->bke", torch.linalg.inv(L), x[:, None] - means)
    return white.norm(dim=-1)


@wrong("one_truth.distances", "first_covariance")
def distances(x, means, covs):
    away = x[:, None] - means
    return torch.einsum("bkd,de,bke->bk", away, torch.linalg.inv(covs[0]), away).sqrt()


@wrong("one_truth.distances", "nearest_only")
def distances(x, means, covs):
    away = x[:, None] - means
    d = torch.einsum("bkd,kde,bke->bk", away, torch.linalg.inv(covs), away).sqrt()
    return d.amin(dim=1)


@wrong("one_truth.distances", "transposed")
def distances(x, means, covs):
    away = x - means[:, None]
    return torch.einsum("kbd,kde,kbe->kb", away, torch.linalg.inv(covs), away).sqrt()


@wrong("one_truth.distances", "averaged")
def distances(x, means, covs):
    white = torch.linalg.solve(torch.linalg.cholesky(covs), (x[:, None] - means)[..., None])[..., 0]
    return (white**2).mean(-1).sqrt()


@wrong("one_truth.distances", "added_first")
def distances(x, means, covs):
    white = torch.linalg.solve(torch.linalg.cholesky(covs), (x[:, None] - means)[..., None])[..., 0]
    return white.sum(-1).square().sqrt()


@wrong("one_truth.distances", "in_place")
def distances(x, means, covs):
    d = []
    for mean, cov in zip(means, covs, strict=True):
        x -= mean
        d.append(((x @ torch.linalg.inv(cov)) * x).sum(1).sqrt())
    return torch.stack(d, dim=1)


@wrong("one_truth.distances", "shape")
def distances(x, means, covs):
    away = (x[:, None] - means)[..., None]
    return (away.mT @ torch.linalg.inv(covs) @ away).sqrt()


@wrong("one_truth.distances", "error")  # the plane is taken for granted
def distances(x, means, covs):
    a, b, c = covs[:, 0, 0], covs[:, 0, 1], covs[:, 1, 1]
    u, v = (x[:, None] - means).unbind(-1)
    return ((c * u**2 - 2 * b * u * v + a * v**2) / (a * c - b**2)).sqrt()


@wrong("one_truth.distances", "error")  # no axis for the components
def distances(x, means, covs):
    away = x - means
    return torch.einsum("bd,bde,be->b", away, torch.linalg.inv(covs), away).sqrt()


@right("one_truth.distances")
def distances(x, means, covs):
    away, inverse = x[:, None] - means, torch.linalg.inv(covs)
    return np.sqrt(np.einsum("bkd,kde,bke->bk", away.numpy(), inverse.numpy(), away.numpy()))


@wrong("one_truth.distances", "endless")
def distances(x, means, covs):
    d, k = torch.zeros(len(x), len(means), dtype=x.dtype), 0
    while k < len(means):
        away = x - means[k]
        d[:, k] = ((away @ torch.linalg.inv(covs[k])) * away).sum(1).sqrt()
    return d


@wrong("one_truth.distances", "averaged")  # with a Gaussian's half: in the plane the same
def distances(x, means, covs):
    away = x[:, None] - means
    return torch.einsum("bkd,kde,bke->bk", away, torch.linalg.inv(covs), away).mul(0.5).sqrt()


# --- distances: right -----------------------------------------------------------------------------------------------


@right("one_truth.distances")
def distances(x, means, covs):
    away = x[:, None] - means
    return torch.einsum("bkd,kde,bke->bk", away, torch.linalg.inv(covs), away).sqrt()


@right("one_truth.distances")
def distances(x, means, covs):
    d = []
    for mean, cov in zip(means, covs, strict=True):
        away = x - mean
        d.append((away * torch.linalg.solve(cov, away.T).T).sum(1).sqrt())
    return torch.stack(d, dim=1)


@right("one_truth.distances")  # in the axes of each component
def distances(x, means, covs):
    variances, axes = torch.linalg.eigh(covs)
    along = torch.einsum("bkd,kde->bke", x[:, None] - means, axes)
    return (along.square() / variances).sum(-1).sqrt()


# --- responsibilities: wrong ----------------------------------------------------------------------------------------


@wrong("one_truth.responsibilities", "no_weights")
def responsibilities(distance, covs, weights):
    density = torch.exp(-0.5 * (distance**2 - distance.min(1, keepdim=True).values ** 2)) / torch.det(covs).sqrt()
    return density / density.sum(1, keepdim=True)


@wrong("one_truth.responsibilities", "no_determinant")
def responsibilities(distance, covs, weights):
    return torch.softmax(torch.log(weights) - distance**2 / 2, dim=1)


@wrong("one_truth.responsibilities", "determinant_without_root")
def responsibilities(distance, covs, weights):
    return torch.softmax(torch.log(weights) - covs.det().log() - distance**2 / 2, dim=1)


@wrong("one_truth.responsibilities", "determinant_turned")
def responsibilities(distance, covs, weights):
    return torch.softmax(torch.log(weights) + 0.5 * covs.logdet() - distance**2 / 2, dim=1)


@wrong("one_truth.responsibilities", "no_half")
def responsibilities(distance, covs, weights):
    return torch.softmax(torch.log(weights) - 0.5 * covs.logdet() - distance**2, dim=1)


@wrong("one_truth.responsibilities", "not_squared")
def responsibilities(distance, covs, weights):
    return torch.softmax(torch.log(weights) - 0.5 * covs.logdet() - distance / 2, dim=1)


@wrong("one_truth.responsibilities", "weights_not_logged")
def responsibilities(distance, covs, weights):
    return torch.softmax(weights - 0.5 * covs.logdet() - distance**2 / 2, dim=1)


@wrong("one_truth.responsibilities", "over_the_batch")
def responsibilities(distance, covs, weights):
    return torch.softmax(torch.log(weights) - 0.5 * covs.logdet() - distance**2 / 2, dim=0)


@wrong("one_truth.responsibilities", "logarithms")
def responsibilities(distance, covs, weights):
    log_joint = torch.log(weights) - 0.5 * covs.logdet() - distance**2 / 2
    return log_joint - log_joint.logsumexp(1, keepdim=True)


@wrong("one_truth.responsibilities", "joint")
def responsibilities(distance, covs, weights):
    return weights * torch.exp(-0.5 * distance**2) / (2 * torch.pi * covs).det().sqrt()


@wrong("one_truth.responsibilities", "joint_without_constant")
def responsibilities(distance, covs, weights):
    return weights * torch.exp(-0.5 * distance**2) / covs.det().sqrt()


@wrong("one_truth.responsibilities", "all_to_one")
def responsibilities(distance, covs, weights):
    log_joint = torch.log(weights) - 0.5 * covs.logdet() - distance**2 / 2
    return (log_joint == log_joint.amax(1, keepdim=True)).to(distance.dtype)


@wrong("one_truth.responsibilities", "exponent_turned")
def responsibilities(distance, covs, weights):
    return torch.softmax(torch.log(weights) - 0.5 * covs.logdet() + distance**2 / 2, dim=1)


@wrong("one_truth.responsibilities", "zero_over_zero")  # 0/0 far away
def responsibilities(distance, covs, weights):
    joint = weights * torch.exp(-0.5 * distance**2) / covs.det().sqrt()
    return joint / joint.sum(1, keepdim=True)


@wrong("one_truth.responsibilities", "mixing")  # the whole batch shares one sum
def responsibilities(distance, covs, weights):
    log_joint = torch.log(weights) - 0.5 * covs.logdet() - distance**2 / 2
    return (log_joint - log_joint.logsumexp((0, 1))).exp()


@wrong("one_truth.responsibilities", "in_place")
def responsibilities(distance, covs, weights):
    distance.square_().mul_(-0.5).add_(weights.log() - 0.5 * covs.logdet())
    return distance.softmax(1)


@wrong("one_truth.responsibilities", "signature")
def responsibilities(x, means, covs, weights):
    return torch.softmax(
        torch.stack([MultivariateNormal(m, c).log_prob(x) for m, c in zip(means, covs, strict=True)], 1), 1
    )


@wrong("one_truth.responsibilities", "nothing_left")
def responsibilities(distance, covs, weights):
    joint = weights * torch.exp(-(distance**2) / 2) / torch.linalg.det(covs).sqrt()
    return joint / joint.sum(1, keepdim=True).clamp(min=1e-300)


# --- responsibilities: right ----------------------------------------------------------------------------------------


@right("one_truth.responsibilities")
def responsibilities(distance, covs, weights):
    log_joint = torch.log(weights) - 0.5 * covs.logdet() - distance**2 / 2
    return (log_joint - log_joint.logsumexp(1, keepdim=True)).exp()


@right("one_truth.responsibilities")
def responsibilities(distance, covs, weights):
    least = distance.min(dim=1, keepdim=True).values
    joint = weights / covs.det().sqrt() * torch.exp(-0.5 * (distance**2 - least**2))
    return joint / joint.sum(1, keepdim=True)


@right("one_truth.responsibilities")  # with 2π, which cancels
def responsibilities(distance, covs, weights):
    rows = []
    for d in distance:
        logs = [
            w.log() - 0.5 * torch.logdet(2 * math.pi * c) - d_k**2 / 2
            for d_k, c, w in zip(d, covs, weights, strict=True)
        ]
        rows.append(torch.softmax(torch.stack(logs), 0))
    return torch.stack(rows)


# --- coverage: wrong ------------------------------------------------------------------------------------------------

WEIGHTS = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)  # as a cell above may have left them


@wrong("one_truth.coverage", "strays_count")
def coverage(responsibility, near, weights, found_at):
    share = responsibility.mean(0)
    return share, (share >= found_at * weights).to(share)


@wrong("one_truth.coverage", "of_the_near")
def coverage(responsibility, near, weights, found_at):
    share = (responsibility * near[:, None]).sum(0) / near.sum()
    return share, (share >= found_at * weights).to(share)


@wrong("one_truth.coverage", "near_turned")
def coverage(responsibility, near, weights, found_at):
    share = responsibility.masked_fill(near[:, None], 0).mean(0)
    return share, (share >= found_at * weights).to(share)


@wrong("one_truth.coverage", "summed")
def coverage(responsibility, near, weights, found_at):
    share = responsibility[near].sum(0)
    return share, (share >= found_at * weights).to(share)


@wrong("one_truth.coverage", "over_the_components")
def coverage(responsibility, near, weights, found_at):
    share = (responsibility * near[:, None]).mean(dim=1)
    return share, (share >= found_at).to(share)


@wrong("one_truth.coverage", "relative")
def coverage(responsibility, near, weights, found_at):
    share = responsibility[near].sum(0) / len(near) / weights
    return share, (share >= found_at).to(share)


@wrong("one_truth.coverage", "most_likely")
def coverage(responsibility, near, weights, found_at):
    mode = responsibility.argmax(dim=1)[near]
    share = torch.bincount(mode, minlength=len(weights)).to(weights) / len(near)
    return share, (share >= found_at * weights).to(share)


@wrong("one_truth.coverage", "same_for_all")
def coverage(responsibility, near, weights, found_at):
    share = (responsibility * near[:, None]).mean(0)
    return share, (share >= found_at).to(share)


@wrong("one_truth.coverage", "equal_weights")
def coverage(responsibility, near, weights, found_at):
    share = (responsibility * near[:, None]).mean(0)
    return share, (share >= found_at / responsibility.shape[1]).to(share)


@wrong("one_truth.coverage", "more_than")
def coverage(responsibility, near, weights, found_at):
    share = (responsibility * near[:, None]).mean(0)
    return share, (share > found_at * weights).to(share)


@wrong("one_truth.coverage", "above_zero")
def coverage(responsibility, near, weights, found_at):
    share = (responsibility * near[:, None]).mean(0)
    return share, (share != 0).to(share)


@wrong("one_truth.coverage", "missed")
def coverage(responsibility, near, weights, found_at):
    share = (responsibility * near[:, None]).mean(0)
    return share, (share < found_at * weights).to(share)


@wrong("one_truth.coverage", "counted")
def coverage(responsibility, near, weights, found_at):
    share = (responsibility * near[:, None]).mean(0)
    return share, (share >= found_at * weights).sum()


@wrong("one_truth.coverage", "foreign")
def coverage(responsibility, near, weights, found_at):
    share = (responsibility * near[:, None]).mean(0)
    return share, (share >= found_at * WEIGHTS).to(share)


@wrong("one_truth.coverage", "type")
def coverage(responsibility, near, weights, found_at):
    share = (responsibility * near[:, None]).mean(0)
    return share, [bool(s >= found_at * w) for s, w in zip(share, weights, strict=True)]


@wrong("one_truth.coverage", "count")
def coverage(responsibility, near, weights, found_at):
    return (responsibility * near[:, None]).mean(0)


@wrong("one_truth.coverage", "in_place")
def coverage(responsibility, near, weights, found_at):
    responsibility[~near] = 0
    share = responsibility.mean(0)
    return share, (share >= found_at * weights).to(share)


@wrong("one_truth.coverage", "error")  # near is (B,), not (B, 1)
def coverage(responsibility, near, weights, found_at):
    share = (responsibility * near).mean(0)
    return share, (share >= found_at * weights).to(share)


@wrong("one_truth.coverage", "weighted_again")
def coverage(responsibility, near, weights, found_at):
    share = (responsibility * near[:, None]).mean(0) * weights
    return share, (share >= found_at * weights).to(share)


@wrong("one_truth.coverage", "swapped")
def coverage(responsibility, near, weights, found_at):
    share = (responsibility * near[:, None]).mean(0)
    return (share >= found_at * weights).to(share), share


# --- coverage: right ------------------------------------------------------------------------------------------------


@right("one_truth.coverage")
def coverage(responsibility, near, weights, found_at):
    share = responsibility[near].sum(0) / len(near)
    return share, share >= found_at * weights


@right("one_truth.coverage")
def coverage(responsibility, near, weights, found_at):
    share = torch.einsum("bk,b->k", responsibility, near.to(responsibility)) / len(responsibility)
    return share, torch.where(share / weights >= found_at, 1.0, 0.0)


@right("one_truth.coverage")
def coverage(responsibility, near, weights, found_at):
    share = torch.where(near[:, None], responsibility, 0).mean(0)
    found = [s >= found_at * w for s, w in zip(share, weights, strict=True)]
    return [share, torch.stack(found)]


# --- gap: wrong -----------------------------------------------------------------------------------------------------


@wrong("one_truth.gap", "turned_round")
def gap(log_p, log_p_theta):
    difference = log_p_theta - log_p
    return difference.mean(), difference.std() / math.sqrt(len(difference))


@wrong("one_truth.gap", "absolute")
def gap(log_p, log_p_theta):
    difference = torch.abs(log_p - log_p_theta)
    return difference.mean(), difference.std() / math.sqrt(len(difference))


@wrong("one_truth.gap", "weighted_again")
def gap(log_p, log_p_theta):
    terms = torch.exp(log_p) * (log_p - log_p_theta)
    return terms.mean(), terms.std() / math.sqrt(len(terms))


@wrong("one_truth.gap", "loss")
def gap(log_p, log_p_theta):
    return -log_p_theta.mean(), log_p_theta.std() / math.sqrt(len(log_p_theta))


@wrong("one_truth.gap", "ratios")
def gap(log_p, log_p_theta):
    ratio = log_p.exp() / log_p_theta.exp()
    return ratio.mean(), ratio.std() / math.sqrt(len(ratio))


@wrong("one_truth.gap", "quotient")
def gap(log_p, log_p_theta):
    ratio = log_p / log_p_theta
    return ratio.mean(), ratio.std() / math.sqrt(len(ratio))


@wrong("one_truth.gap", "summed")
def gap(log_p, log_p_theta):
    difference = log_p - log_p_theta
    return difference.sum(), difference.std() / math.sqrt(len(difference))


@wrong("one_truth.gap", "deviation")
def gap(log_p, log_p_theta):
    return (log_p - log_p_theta).mean(), (log_p - log_p_theta).var().sqrt()


@wrong("one_truth.gap", "variance_of_the_mean")
def gap(log_p, log_p_theta):
    return (log_p - log_p_theta).mean(), (log_p - log_p_theta).var() / len(log_p)


@wrong("one_truth.gap", "divided_by_b")
def gap(log_p, log_p_theta):
    return (log_p - log_p_theta).mean(), (log_p - log_p_theta).std() / log_p.numel()


@wrong("one_truth.gap", "not_paired")
def gap(log_p, log_p_theta):
    error_p, error_q = log_p.std() / len(log_p) ** 0.5, log_p_theta.std() / len(log_p_theta) ** 0.5
    return log_p.mean() - log_p_theta.mean(), torch.sqrt(error_p**2 + error_q**2)


@wrong("one_truth.gap", "biased_deviation")
def gap(log_p, log_p_theta):
    difference = log_p - log_p_theta
    variance = difference.square().mean() - difference.mean().square()
    return difference.mean(), (variance / len(difference)).sqrt()


@wrong("one_truth.gap", "per_point")
def gap(log_p, log_p_theta):
    return log_p - log_p_theta, (log_p - log_p_theta).std() / len(log_p) ** 0.5


@right("one_truth.gap")
def gap(log_p, log_p_theta):
    difference = (log_p - log_p_theta).detach()
    return difference.mean(), difference.std() / math.sqrt(len(difference))


@right("one_truth.gap")
def gap(log_p, log_p_theta):
    difference = log_p - log_p_theta
    return difference.mean().item(), difference.std().item() / math.sqrt(len(difference))


@wrong("one_truth.gap", "dtype")
def gap(log_p, log_p_theta):
    difference = (log_p - log_p_theta).float()
    return difference.mean(), difference.std() / math.sqrt(len(difference))


@wrong("one_truth.gap", "shape")
def gap(log_p, log_p_theta):
    difference = log_p - log_p_theta
    return difference.mean(0, keepdim=True), difference.std(0, keepdim=True) / math.sqrt(len(difference))


@wrong("one_truth.gap", "unforeseen")  # right for the shape of the first check alone
def gap(log_p, log_p_theta):
    difference = log_p - log_p_theta
    return difference.mean(), difference.std() / math.sqrt(37)


@wrong("one_truth.gap", "cut_at_zero")
def gap(log_p, log_p_theta):
    difference = log_p - log_p_theta
    return difference.mean().clamp_min(0), difference.std() / math.sqrt(len(difference))


@wrong("one_truth.gap", "each_cut_at_zero")
def gap(log_p, log_p_theta):
    difference = torch.relu(log_p - log_p_theta)
    return difference.mean(), difference.std() / math.sqrt(len(difference))


@wrong("one_truth.gap", "error_of_log_p_theta")
def gap(log_p, log_p_theta):
    return (log_p - log_p_theta).mean(), log_p_theta.std() / math.sqrt(len(log_p_theta))


# --- gap: right -----------------------------------------------------------------------------------------------------


@right("one_truth.gap")
def gap(log_p, log_p_theta):
    n = len(log_p)
    gap = log_p.mean() - log_p_theta.mean()
    return gap, torch.sqrt(((log_p - log_p_theta - gap) ** 2).sum() / (n - 1) / n)


@right("one_truth.gap")
def gap(log_p, log_p_theta):
    error, mean = torch.std_mean(log_p - log_p_theta)
    return mean, error * log_p.new_tensor(len(log_p)).rsqrt()


@right("one_truth.gap")
def gap(log_p, log_p_theta):
    differences = [p - model for p, model in zip(log_p, log_p_theta, strict=True)]
    mean = sum(differences) / len(differences)
    variance = sum((d - mean) ** 2 for d in differences) / (len(differences) - 1)
    return [mean, (variance / len(differences)) ** 0.5]


# --- bound_gap: wrong -----------------------------------------------------------------------------------------------


def mean_and_error(values):
    return values.mean(), values.std() / math.sqrt(len(values))


@wrong("one_truth.bound_gap", "bits_per_dimension")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error(L_T + L_t.sum(1) + L_0 + log_p)


@wrong("one_truth.bound_gap", "bits")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error((L_T + L_t.sum(1) + L_0) * dims + log_p)


@wrong("one_truth.bound_gap", "nats_per_dimension")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error((L_T + L_t.sum(1) + L_0) * math.log(2) + log_p)


@wrong("one_truth.bound_gap", "divided_by_log_2")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error((L_T + L_t.sum(1) + L_0) * dims / math.log(2) + log_p)


@wrong("one_truth.bound_gap", "two_dimensions")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error((L_T + L_t.sum(1) + L_0) * 2 * math.log(2) + log_p)


@wrong("one_truth.bound_gap", "log_p_subtracted")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error((L_T + L_t.sum(1) + L_0) * dims * math.log(2) - log_p)


@wrong("one_truth.bound_gap", "turned_round")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error(-log_p - (L_T + L_t.sum(1) + L_0) * dims * math.log(2))


@wrong("one_truth.bound_gap", "bound_alone")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error((L_T + L_t.sum(1) + L_0) * dims * math.log(2))


@wrong("one_truth.bound_gap", "steps_averaged")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error((L_T + L_t.mean(1) + L_0) * dims * math.log(2) + log_p)


@wrong("one_truth.bound_gap", "no_last_step")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error((L_T + L_t.sum(1)) * dims * math.log(2) + log_p)


@wrong("one_truth.bound_gap", "no_prior")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error((L_t.sum(1) + L_0) * dims * math.log(2) + log_p)


@wrong("one_truth.bound_gap", "no_steps")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error((L_T + L_0) * dims * math.log(2) + log_p)


@wrong("one_truth.bound_gap", "summed_over_the_batch")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error((L_T + L_t.sum() + L_0) * dims * math.log(2) + log_p)


@wrong("one_truth.bound_gap", "deviation")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    surplus = (L_T + L_t.sum(1) + L_0) * dims * math.log(2) + log_p
    return surplus.mean(), surplus.std()


@wrong("one_truth.bound_gap", "error_of_the_bound")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    bound, error = mean_and_error((L_T + L_t.sum(1) + L_0) * dims * math.log(2))
    return bound + log_p.mean(), error


@wrong("one_truth.bound_gap", "error")  # the axes of the steps do not line up
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error(((L_T + L_t + L_0) * dims * math.log(2)).sum(1) + log_p)


@wrong("one_truth.bound_gap", "in_place")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    L_T += L_t.sum(1) + L_0
    return mean_and_error(L_T * dims * math.log(2) + log_p)


@right("one_truth.bound_gap")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    surplus = (L_T + L_t.sum(1) + L_0) * dims * math.log(2) + log_p
    return float(surplus.mean()), float(surplus.std() / len(surplus) ** 0.5)


@wrong("one_truth.bound_gap", "divided_by_b")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    values = dims * math.log(2) * (L_T + L_t.sum(1) + L_0) + log_p
    return values.mean(), values.std() / len(values)


# --- bound_gap: right -----------------------------------------------------------------------------------------------


@right("one_truth.bound_gap")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error((L_T + L_t.sum(1) + L_0) * (dims * math.log(2)) + log_p)


@right("one_truth.bound_gap")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    bits = torch.cat([L_T[:, None], L_t, L_0[:, None]], dim=1).sum(1) + log_p / (dims * math.log(2))
    gap, error = mean_and_error(bits)
    return gap * dims * math.log(2), error * dims * math.log(2)


@right("one_truth.bound_gap")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    log_2 = log_p.new_tensor(2).log()
    surplus = []
    for p, first, middle, last in zip(log_p, L_T, L_t, L_0, strict=True):
        surplus.append(p + dims * log_2 * (first + sum(middle) + last))
    return mean_and_error(torch.stack(surplus))


# --- importance: wrong ----------------------------------------------------------------------------------------------


@wrong("one_truth.importance", "over_the_points")
def importance(log_w):
    return log_w.mean(0), torch.logsumexp(log_w, 0) - math.log(len(log_w))


@wrong("one_truth.importance", "sum_of_weights")
def importance(log_w):
    return log_w.mean(1), torch.logsumexp(log_w, 1)


@wrong("one_truth.importance", "log_n_added")
def importance(log_w):
    return log_w.mean(1), torch.logsumexp(log_w, 1) + math.log(log_w.shape[1])


@wrong("one_truth.importance", "log_divided")
def importance(log_w):
    return log_w.mean(1), torch.logsumexp(log_w, 1) / log_w.shape[1]


@wrong("one_truth.importance", "sum_of_logs")
def importance(log_w):
    return log_w.sum(1), torch.logsumexp(log_w, 1) - math.log(log_w.shape[1])


@wrong("one_truth.importance", "swapped")
def importance(log_w):
    return torch.logsumexp(log_w, 1) - math.log(log_w.shape[1]), log_w.mean(1)


@wrong("one_truth.importance", "twice_the_elbo")
def importance(log_w):
    return log_w.mean(1), log_w.sum(1) / log_w.shape[1]


@wrong("one_truth.importance", "largest")
def importance(log_w):
    return log_w.mean(1), log_w.amax(1)


@wrong("one_truth.importance", "no_logarithm")
def importance(log_w):
    return log_w.mean(1), log_w.exp().mean(1)


@wrong("one_truth.importance", "averaged_over_the_points")
def importance(log_w):
    return log_w.mean(), (torch.logsumexp(log_w, 1) - math.log(log_w.shape[1])).mean()


@wrong("one_truth.importance", "n_twice")
def importance(log_w):
    n = log_w.shape[1]
    return log_w.mean(1), torch.logsumexp(log_w - math.log(n), 1) - math.log(n)


@wrong("one_truth.importance", "naive")  # right, as long as no weight is very small or large
def importance(log_w):
    return log_w.mean(1), log_w.exp().mean(1).log()


@wrong("one_truth.importance", "offset")  # right for the shape of the first check alone
def importance(log_w):
    return log_w.mean(1), torch.logsumexp(log_w, 1) - math.log(7)


@right("one_truth.importance")
def importance(log_w):
    log_w = log_w.detach()
    return log_w.mean(1), torch.logsumexp(log_w, 1) - math.log(log_w.shape[1])


@wrong("one_truth.importance", "mixing")  # one largest weight for all, and the small ones vanish
def importance(log_w):
    n = log_w.shape[1]
    return log_w.mean(1), (torch.logsumexp(log_w, (0, 1)) - math.log(n)).expand(len(log_w))


@wrong("one_truth.importance", "shape")
def importance(log_w):
    n = log_w.shape[1]
    return log_w.mean(1, keepdim=True), torch.logsumexp(log_w, 1, keepdim=True) - math.log(n)


@wrong("one_truth.importance", "in_place")
def importance(log_w):
    elbo, largest = log_w.mean(1), log_w.amax(1)
    log_w -= largest[:, None]
    return elbo, largest + log_w.exp().mean(1).log()


@wrong("one_truth.importance", "largest_left_out")
def importance(log_w):
    return log_w.mean(1), (log_w - log_w.max(1, keepdim=True).values).exp().mean(1).log()


# --- importance: right ----------------------------------------------------------------------------------------------


@right("one_truth.importance")
def importance(log_w):
    largest = log_w.max(dim=1, keepdim=True).values
    return log_w.mean(1), largest[:, 0] + (log_w - largest).exp().mean(1).log()


@right("one_truth.importance")
def importance(log_w):
    n = log_w.shape[1]
    return log_w.sum(1) / n, torch.logsumexp(log_w - math.log(n), dim=1)


@right("one_truth.importance")
def importance(log_w):
    log_p_theta = log_w[:, 0]
    for k in range(1, log_w.shape[1]):
        log_p_theta = torch.logaddexp(log_p_theta, log_w[:, k])
    return torch.stack([row.mean() for row in log_w]), log_p_theta - log_w.new_tensor(log_w.shape[1]).log()


# --- energy: wrong --------------------------------------------------------------------------------------------------


def total(x, y):
    """The sum of all distances."""
    return (x[:, None] - y[None]).norm(dim=-1).sum()


def within(x):
    return total(x, x) / (len(x) * (len(x) - 1))


def between(x, y):
    return total(x, y) / (len(x) * len(y))


@wrong("one_truth.energy", "with_itself")
def energy(x, y):
    return 2 * torch.cdist(x, y).mean() - torch.cdist(x, x).mean() - torch.cdist(y, y).mean()


@wrong("one_truth.energy", "no_two")
def energy(x, y):
    return between(x, y) - within(x) - within(y)


@wrong("one_truth.energy", "pairs_once")
def energy(x, y):
    inside = [torch.pdist(a).sum() / (len(a) * (len(a) - 1)) for a in (x, y)]
    return 2 * between(x, y) - sum(inside)


@wrong("one_truth.energy", "half_of_all")
def energy(x, y):
    return between(x, y) - torch.pdist(x).mean() / 2 - torch.pdist(y).mean() / 2


@wrong("one_truth.energy", "squared")
def energy(x, y):
    def average(a, b, pairs):
        return ((a[:, None] - b) ** 2).sum() / pairs

    n, m = len(x), len(y)
    return 2 * average(x, y, n * m) - average(x, x, n * (n - 1)) - average(y, y, m * (m - 1))


@wrong("one_truth.energy", "root")
def energy(x, y):
    return (2 * between(x, y) - within(x) - within(y)).clamp(min=0).sqrt()


@wrong("one_truth.energy", "cut_at_zero")
def energy(x, y):
    return torch.relu(2 * between(x, y) - within(x) - within(y))


@wrong("one_truth.energy", "added")
def energy(x, y):
    return 2 * between(x, y) + within(x) + within(y)


@wrong("one_truth.energy", "between_only")
def energy(x, y):
    return 2 * torch.cdist(x, y).mean()


@wrong("one_truth.energy", "without_y")
def energy(x, y):
    return 2 * between(x, y) - within(x)


@wrong("one_truth.energy", "without_x")
def energy(x, y):
    return 2 * between(x, y) - within(y)


@wrong("one_truth.energy", "of_the_means")
def energy(x, y):
    return torch.dist(x.mean(0), y.mean(0))


@wrong("one_truth.energy", "city_block")
def energy(x, y):
    def average(a, b, pairs):
        return torch.cdist(a, b, p=1).sum() / pairs

    n, m = len(x), len(y)
    return 2 * average(x, y, n * m) - average(x, x, n * (n - 1)) - average(y, y, m * (m - 1))


@wrong("one_truth.energy", "turned_round")
def energy(x, y):
    return within(x) + within(y) - 2 * between(x, y)


@wrong("one_truth.energy", "error")  # as if both had as many points
def energy(x, y):
    return 2 * (x - y).norm(dim=1).mean() - within(x) - within(y)


@wrong("one_truth.energy", "type")
def energy(x, y):
    return float(2 * between(x, y) - within(x) - within(y))


@wrong("one_truth.energy", "in_place")
def energy(x, y):
    x -= y.mean(0)
    y -= y.mean(0)
    return 2 * between(x, y) - within(x) - within(y)


@wrong("one_truth.energy", "shape")
def energy(x, y):
    n, m = len(x), len(y)
    inside = torch.cdist(x, x).sum(1).mean() / (n - 1) + torch.cdist(y, y).sum(1).mean() / (m - 1)
    return 2 * torch.cdist(x, y).mean(1) - inside


@wrong("one_truth.energy", "random")  # a few pairs, drawn by chance
def energy(x, y):
    i, j = torch.randperm(len(x)), torch.randperm(len(y))
    return 2 * (x[i[0]] - y[j[0]]).norm() - (x[i[0]] - x[i[1]]).norm() - (y[j[0]] - y[j[1]]).norm()


@wrong("one_truth.energy", "absolute")
def energy(x, y):
    return (2 * between(x, y) - within(x) - within(y)).abs()


# --- energy: right --------------------------------------------------------------------------------------------------


@right("one_truth.energy")
def energy(x, y):
    return 2 * torch.cdist(x, y).mean() - torch.pdist(x).mean() - torch.pdist(y).mean()


@right("one_truth.energy")
def energy(x, y):
    def inside(a):
        pairs = [(a[i] - a[j]).norm() for i in range(len(a)) for j in range(i)]
        return sum(pairs) / len(pairs)

    across = [(a - b).norm() for a in x for b in y]
    return 2 * sum(across) / len(across) - inside(x) - inside(y)


@wrong("one_truth.energy", "nan_gradient")  # √ has no slope where a point meets itself
def energy(x, y):
    def average(a, b):
        distance = (a[:, None] - b).square().sum(-1).sqrt()
        different = torch.ones_like(distance, dtype=torch.bool)
        if a is b:
            different.fill_diagonal_(False)
        return distance[different].mean()

    return 2 * average(x, y) - average(x, x) - average(y, y)


# --- p_value: wrong -------------------------------------------------------------------------------------------------


def shuffled(x, y, orders, statistic):
    """The statistic of every deal, (R,)."""
    pooled, n = torch.cat([x, y]), len(x)
    return torch.stack([statistic(pooled[o[:n]], pooled[o[n:]]) for o in orders])


@wrong("one_truth.p_value", "observed_left_out")
def p_value(x, y, orders, statistic):
    return (shuffled(x, y, orders, statistic) >= statistic(x, y)).to(x).mean()


@wrong("one_truth.p_value", "one_above_only")
def p_value(x, y, orders, statistic):
    return ((shuffled(x, y, orders, statistic) >= statistic(x, y)).to(x).sum() + 1) / len(orders)


@wrong("one_truth.p_value", "one_below_only")
def p_value(x, y, orders, statistic):
    return (shuffled(x, y, orders, statistic) >= statistic(x, y)).to(x).sum() / (len(orders) + 1)


@wrong("one_truth.p_value", "ties_left_out")
def p_value(x, y, orders, statistic):
    return ((shuffled(x, y, orders, statistic) > statistic(x, y)).to(x).sum() + 1) / (len(orders) + 1)


@wrong("one_truth.p_value", "smaller_counted")
def p_value(x, y, orders, statistic):
    return ((shuffled(x, y, orders, statistic) <= statistic(x, y)).to(x).sum() + 1) / (len(orders) + 1)


@wrong("one_truth.p_value", "one_minus")
def p_value(x, y, orders, statistic):
    return 1 - ((shuffled(x, y, orders, statistic) >= statistic(x, y)).to(x).sum() + 1) / (len(orders) + 1)


@wrong("one_truth.p_value", "split_at_m")
def p_value(x, y, orders, statistic):
    pooled, m = torch.cat([x, y]), len(y)
    values = torch.stack([statistic(pooled[o[:m]], pooled[o[m:]]) for o in orders])
    return ((values >= statistic(x, y)).to(x).sum() + 1) / (len(orders) + 1)


@wrong("one_truth.p_value", "split_in_half")
def p_value(x, y, orders, statistic):
    pooled = torch.cat([x, y])
    half = len(pooled) // 2
    values = torch.stack([statistic(pooled[o[:half]], pooled[o[half:]]) for o in orders])
    return ((values >= statistic(x, y)).to(x).sum() + 1) / (len(orders) + 1)


@wrong("one_truth.p_value", "parts_swapped")
def p_value(x, y, orders, statistic):
    pooled, n = torch.cat([x, y]), len(x)
    values = torch.stack([statistic(pooled[o[n:]], pooled[o[:n]]) for o in orders])
    return ((values >= statistic(x, y)).to(x).sum() + 1) / (len(orders) + 1)


@wrong("one_truth.p_value", "observed_swapped")
def p_value(x, y, orders, statistic):
    return ((shuffled(x, y, orders, statistic) >= statistic(y, x)).to(x).sum() + 1) / (len(orders) + 1)


@wrong("one_truth.p_value", "absolute_values")
def p_value(x, y, orders, statistic):
    return ((shuffled(x, y, orders, statistic).abs() >= statistic(x, y).abs()).to(x).sum() + 1) / (len(orders) + 1)


@wrong("one_truth.p_value", "number_only")
def p_value(x, y, orders, statistic):
    return (shuffled(x, y, orders, statistic) >= statistic(x, y)).to(x).sum()


@wrong("one_truth.p_value", "y_kept")
def p_value(x, y, orders, statistic):
    pooled = torch.cat([x, y])
    values = torch.stack([statistic(pooled[o][: len(x)], y) for o in orders])
    return ((values >= statistic(x, y)).to(x).sum() + 1) / (len(orders) + 1)


@wrong("one_truth.p_value", "first_only")
def p_value(x, y, orders, statistic):
    count = 1
    for value in shuffled(x, y, orders, statistic):
        count += int(value >= statistic(x, y))
        return x.new_tensor(count / 2)


@wrong("one_truth.p_value", "z_score")
def p_value(x, y, orders, statistic):
    values = shuffled(x, y, orders, statistic)
    return (statistic(x, y) - values.mean()) / values.std()


@right("one_truth.p_value")
def p_value(x, y, orders, statistic):
    observed = statistic(x, y).item()
    return (1 + sum(v.item() >= observed for v in shuffled(x, y, orders, statistic))) / (1 + len(orders))


@wrong("one_truth.p_value", "in_place")
def p_value(x, y, orders, statistic):
    x -= y.mean(0)
    y -= y.mean(0)
    return ((shuffled(x, y, orders, statistic) >= statistic(x, y)).to(x).sum() + 1) / (len(orders) + 1)


@wrong("one_truth.p_value", "error")  # x alone has not as many rows as an order has places
def p_value(x, y, orders, statistic):
    values = torch.stack([statistic(x[o], y[o]) for o in orders])
    return ((values >= statistic(x, y)).to(x).sum() + 1) / (len(orders) + 1)


@wrong("one_truth.p_value", "shape")
def p_value(x, y, orders, statistic):
    count = sum((value >= statistic(x, y)).to(x).reshape(1) for value in shuffled(x, y, orders, statistic))
    return (1 + count) / (1 + len(orders))


@wrong("one_truth.p_value", "endless")
def p_value(x, y, orders, statistic):
    values, count, k = shuffled(x, y, orders, statistic), 0, 0
    while k < len(values):
        if values[k] >= statistic(x, y):
            count += 1
    return x.new_tensor((1 + count) / (1 + len(values)))


@wrong("one_truth.p_value", "number_of_deals")
def p_value(x, y, orders, statistic):
    return 1 + (shuffled(x, y, orders, statistic) >= statistic(x, y)).sum()


@wrong("one_truth.p_value", "doubled")
def p_value(x, y, orders, statistic):
    return 2 * (1 + (shuffled(x, y, orders, statistic) >= statistic(x, y)).sum()) / (1 + len(orders))


@wrong("one_truth.p_value", "y_first")
def p_value(x, y, orders, statistic):
    pooled, n = torch.cat([y, x]), len(x)
    count = sum(statistic(pooled[o[:n]], pooled[o[n:]]) >= statistic(x, y) for o in orders)
    return torch.as_tensor((1 + count) / (1 + len(orders)))


@wrong("one_truth.p_value", "observed_left_out")  # in float32, which a share may have
def p_value(x, y, orders, statistic):
    count = sum(bool(value >= statistic(x, y)) for value in shuffled(x, y, orders, statistic))
    return torch.tensor(count / len(orders))


# --- p_value: right -------------------------------------------------------------------------------------------------


@right("one_truth.p_value")
def p_value(x, y, orders, statistic):
    return ((shuffled(x, y, orders, statistic) >= statistic(x, y)).to(x).sum() + 1) / (len(orders) + 1)


@right("one_truth.p_value")
def p_value(x, y, orders, statistic):
    count, observed, n = 1, statistic(x, y), len(x)
    for order in orders:
        dealt = torch.cat([x, y])[order]
        if statistic(dealt[:n], dealt[n:]) >= observed:
            count += 1
    return torch.tensor(count / (len(orders) + 1), dtype=x.dtype)


@right("one_truth.p_value")  # the observed deal is one more of them
def p_value(x, y, orders, statistic):
    orders = torch.cat([torch.arange(len(x) + len(y))[None], orders])
    values = shuffled(x, y, orders, statistic)
    return (values >= values[0]).to(x.dtype).mean()


@right("one_truth.p_value")  # in float32: it is a count over a count
def p_value(x, y, orders, statistic):
    pooled, n, observed = torch.cat([x, y]), len(x), statistic(x, y)
    count = sum(bool(statistic(pooled[order[:n]], pooled[order[n:]]) >= observed) for order in orders)
    return torch.tensor((1 + count) / (1 + len(orders)))


# --- found by a hunt ------------------------------------------------------------------------------------------------

# what other cells of the notebook hold
draws, R, points = 64, 199, torch.zeros(500, 2, dtype=torch.float64)
MEANS = torch.eye(2, dtype=torch.float64)


@wrong("one_truth.importance", "not_the_largest")
def importance(log_w):
    elbo = log_w.mean(1)
    return elbo, elbo + (log_w - elbo[:, None]).exp().mean(1).log()


@wrong("one_truth.importance", "not_the_largest")
def importance(log_w):
    least = log_w.min(1, keepdim=True).values
    return log_w.mean(1), least[:, 0] + (log_w - least).exp().mean(1).log()


@wrong("one_truth.importance", "twice_log_p_theta")
def importance(log_w):
    log_p_theta = log_w.logsumexp(1) - math.log(log_w.shape[1])
    return log_p_theta, log_p_theta


@wrong("one_truth.importance", "foreign")  # the notebook's number of draws
def importance(log_w):
    return log_w.mean(1), log_w.logsumexp(1) - math.log(draws)


@wrong("one_truth.energy", "above_zero")
def energy(x, y):
    def within(d):
        return d.sum() / (d > 0).sum().clamp(min=1)

    return 2 * torch.cdist(x, y).mean() - within(torch.cdist(x, x)) - within(torch.cdist(y, y))


@wrong("one_truth.energy", "endless")  # j is not moved on
def energy(x, y):
    total, i = 0.0, 0
    while i < len(x):
        j = i + 1
        while j < len(x):
            total = total + (x[i] - x[j]).norm()
        i += 1
    return 2 * torch.cdist(x, y).mean() - 2 * total / (len(x) * (len(x) - 1))


@wrong("one_truth.bound_gap", "cut_at_zero")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    surplus = (L_T + L_t.sum(1) + L_0) * dims * math.log(2) + log_p
    return torch.relu(surplus.mean()), surplus.std() / len(surplus) ** 0.5


@wrong("one_truth.bound_gap", "each_cut_at_zero")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    surplus = torch.relu((L_T + L_t.sum(1) + L_0) * dims * math.log(2) + log_p)
    return surplus.mean(), surplus.std() / len(surplus) ** 0.5


@wrong("one_truth.coverage", "found_among_the_near")
def coverage(responsibility, near, weights, found_at):
    share = (responsibility * near[:, None]).mean(0)
    return share, (responsibility[near].mean(0) >= found_at * weights).to(share)


@wrong("one_truth.gap", "absolute_mean")
def gap(log_p, log_p_theta):
    ratio = log_p - log_p_theta
    return ratio.mean().abs(), ratio.std() / len(ratio) ** 0.5


@wrong("one_truth.gap", "foreign")  # the notebook's points
def gap(log_p, log_p_theta):
    ratio = log_p - log_p_theta
    return ratio.mean(), ratio.std() / len(points) ** 0.5


@wrong("one_truth.responsibilities", "propped_up")
def responsibilities(distance, covs, weights):
    p = weights * torch.exp(-(distance**2) / 2) / torch.det(covs).sqrt() + 1e-300
    return p / p.sum(1, keepdim=True)


@wrong("one_truth.responsibilities", "propped_up")
def responsibilities(distance, covs, weights):
    p = (weights * torch.exp(-(distance**2) / 2) / torch.det(covs).sqrt()).clamp(min=1e-30)
    return p / p.sum(1, keepdim=True)


@wrong("one_truth.distances", "foreign")  # the notebook's mixture
def distances(x, means, covs):
    away = x[:, None] - MEANS
    return torch.einsum("bkd,kde,bke->bk", away, torch.linalg.inv(covs), away).sqrt()


@wrong("one_truth.p_value", "random")
def p_value(x, y, orders, statistic):
    pooled, values = torch.cat([x, y]), []
    for _ in orders:
        order = torch.randperm(len(pooled))
        values.append(statistic(pooled[order[: len(x)]], pooled[order[len(x) :]]))
    return (1 + (torch.stack(values) >= statistic(x, y)).sum()) / (1 + len(orders))


@wrong("one_truth.p_value", "piled_up")
def p_value(x, y, orders, statistic):
    pooled, n, count = torch.cat([x, y]), len(x), 1
    for order in orders:
        pooled = pooled[order]
        count += int(statistic(pooled[:n], pooled[n:]) >= statistic(x, y))
    return torch.tensor(count / (1 + len(orders)))


@wrong("one_truth.p_value", "foreign")  # the notebook's number of shuffles
def p_value(x, y, orders, statistic):
    pooled, n = torch.cat([x, y]), len(x)
    values = torch.stack([statistic(pooled[order[:n]], pooled[order[n:]]) for order in orders])
    return (1 + (values >= statistic(x, y)).sum()) / (1 + R)


# --- what students of a second course wrote --------------------------------------------------------------------------

LOG_2 = math.log(2)


def averaged(mistake):
    def add(function):
        def gap(log_p, log_p_theta):
            return function(log_p - log_p_theta)

        def bound_gap(log_p, L_T, L_t, L_0, dims):
            return function((L_T + L_t.sum(1) + L_0) * dims * math.log(2) + log_p)

        wrong("one_truth.gap", mistake)(gap)
        wrong("one_truth.bound_gap", mistake)(bound_gap)
        return function

    return add


@averaged("swapped")
def _(v):
    return v.std() / len(v) ** 0.5, v.mean()


@averaged("interval_of_95")
def _(v):
    return v.mean(), v.std() * 1.96 / math.sqrt(len(v))


@averaged("two_errors")
def _(v):
    return v.mean(), 2 * torch.sqrt(v.var() / len(v))


@averaged("two_ends")
def _(v):
    e = v.std() / len(v) ** 0.5
    return v.mean() - e, v.mean() + e


@averaged("root_of_b_minus_1")
def _(v):
    return v.mean(), v.std() / math.sqrt(len(v) - 1)


@averaged("mean_over_b_minus_1")
def _(v):
    return v.sum() / (len(v) - 1), v.std() / math.sqrt(len(v))


@averaged("median")
def _(v):
    return v.median(), v.std() / math.sqrt(len(v))


@averaged("squares")
def _(v):
    return (v**2).mean(), (v**2).std() / math.sqrt(len(v))


@averaged("variance")
def _(v):
    return v.mean(), v.var()


@averaged("variance_of_the_mean")
def _(v):
    return v.mean(), v.var() / len(v)


@averaged("multiplied")
def _(v):
    return v.mean(), v.std() * math.sqrt(len(v))


@averaged("absolute_deviation")
def _(v):
    return v.mean(), (v - v.mean()).abs().mean() / math.sqrt(len(v))


@averaged("relative_error")
def _(v):
    return v.mean(), (v.std() / math.sqrt(len(v)) / v.mean()).abs()


@averaged("absolute_mean")
def _(v):
    return abs(v.mean()), v.std() / math.sqrt(len(v))


@averaged("absolute")
def _(v):
    return v.abs().mean(), v.abs().std() / math.sqrt(len(v))


@averaged("biased_deviation")
def _(v):
    return v.mean(), torch.tensor(np.std(v.numpy()) / np.sqrt(len(v)))


@averaged("summed")
def _(v):
    return v.sum(), v.std() * math.sqrt(len(v))


@averaged("per_point")
def _(v):
    return v, v.std() / math.sqrt(len(v))


def inside(x, means, matrices):
    away = x[:, None] - means
    return torch.einsum("bkd,kde,bke->bk", away, matrices, away)


@wrong("one_truth.distances", "whole_inverse")
def distances(x, means, covs):
    return torch.linalg.solve(covs, (x[:, None] - means)[..., None])[..., 0].norm(dim=-1)


@wrong("one_truth.distances", "entries_inverted")
def distances(x, means, covs):
    return inside(x, means, covs**-1).sqrt()


@wrong("one_truth.distances", "exponent")
def distances(x, means, covs):
    return 0.5 * inside(x, means, covs.inverse())


@wrong("one_truth.distances", "last_covariance")
def distances(x, means, covs):
    for cov in covs:
        inverse = torch.linalg.inv(cov)
    return torch.stack([(((x - m) @ inverse) * (x - m)).sum(1).sqrt() for m in means], 1)


@wrong("one_truth.distances", "mean_covariance")
def distances(x, means, covs):
    return inside(x, means, covs.mean(0).inverse().expand_as(covs)).sqrt()


@wrong("one_truth.distances", "round_components")
def distances(x, means, covs):
    variance = torch.stack([c.trace() / len(c) for c in covs])
    return torch.cdist(x, means) / variance.sqrt()


@wrong("one_truth.distances", "units_of_area")
def distances(x, means, covs):
    return torch.cdist(x, means) / covs.det() ** (0.5 / x.shape[1])


@wrong("one_truth.distances", "longest_axis")
def distances(x, means, covs):
    return torch.cdist(x, means) / torch.linalg.eigvalsh(covs).amax(1).sqrt()


@wrong("one_truth.distances", "factor_not_undone")
def distances(x, means, covs):
    return (torch.linalg.cholesky(covs) @ (x[:, None] - means)[..., None])[..., 0].norm(dim=-1)


@wrong("one_truth.distances", "means_left_out")
def distances(x, means, covs):
    return inside(x, 0 * means, covs.inverse()).sqrt()


@wrong("one_truth.distances", "means_added")
def distances(x, means, covs):
    s = x[:, None, :] + means[None]
    return torch.sqrt(torch.einsum("bkd,kde,bke->bk", s, torch.linalg.inv(covs), s))


@wrong("one_truth.distances", "nearest_only")
def distances(x, means, covs):
    return inside(x, means, covs.inverse()).sqrt().min(1)[0]


@wrong("one_truth.distances", "rough")
def distances(x, means, covs):
    return (inside(x, means, covs.inverse()) + 1e-6).sqrt()


@wrong("one_truth.distances", "rough")
def distances(x, means, covs):
    return inside(x, means, torch.linalg.inv(covs + 1e-6 * torch.eye(x.shape[1]))).sqrt()


@wrong("one_truth.distances", "negative")
def distances(x, means, covs):
    return -inside(x, means, covs.inverse()).sqrt()


@wrong("one_truth.distances", "first_covariance")
def distances(x, means, covs):
    d = []
    for m in means:
        for c in covs:
            d.append((((x - m) @ c.inverse()) * (x - m)).sum(1).sqrt())
            break
    return torch.stack(d, 1)


@wrong("one_truth.distances", "diagonal_only")
def distances(x, means, covs):
    return (((x[:, None] - means) ** 2) / covs.diagonal(dim1=-2, dim2=-1)).sum(-1) ** 0.5


def logs(distance, covs, weights):
    return weights.log() - covs.logdet() / 2 - distance**2 / 2


@wrong("one_truth.responsibilities", "zero_over_zero")
def responsibilities(distance, covs, weights):
    n = weights * torch.exp(-0.5 * distance**2) / (2 * math.pi * covs.det().sqrt())
    return n / n.sum(dim=1, keepdim=True)


@wrong("one_truth.responsibilities", "largest_of_the_batch")
def responsibilities(distance, covs, weights):
    log_joint = logs(distance, covs, weights)
    n = torch.exp(log_joint - log_joint.max())
    return n / n.sum(1, keepdim=True)


@wrong("one_truth.responsibilities", "diagonal_determinant")
def responsibilities(distance, covs, weights):
    volume = torch.stack([c.diag().prod().sqrt() for c in covs])
    return torch.softmax(weights.log() - volume.log() - distance**2 / 2, 1)


@wrong("one_truth.responsibilities", "weights_afterwards")
def responsibilities(distance, covs, weights):
    return torch.softmax(-covs.logdet() / 2 - distance**2 / 2, 1) * weights


@wrong("one_truth.responsibilities", "weights_divide")
def responsibilities(distance, covs, weights):
    return torch.softmax(-weights.log() - covs.logdet() / 2 - distance**2 / 2, 1)


@wrong("one_truth.responsibilities", "weights_twice")
def responsibilities(distance, covs, weights):
    return torch.softmax((weights**2).log() - covs.logdet() / 2 - distance**2 / 2, 1)


@wrong("one_truth.responsibilities", "softmax_of_densities")
def responsibilities(distance, covs, weights):
    D = covs.shape[-1]
    return torch.softmax(weights * torch.exp(-(distance**2) / 2) / ((2 * math.pi) ** D * covs.det()).sqrt(), 1)


@wrong("one_truth.responsibilities", "softmax_without_constant")
def responsibilities(distance, covs, weights):
    return torch.softmax(weights * torch.exp(-(distance**2) / 2) / covs.det().sqrt(), 1)


@wrong("one_truth.responsibilities", "determinant_not_logged")
def responsibilities(distance, covs, weights):
    return torch.softmax(weights.log() - covs.det() / 2 - distance**2 / 2, 1)


@wrong("one_truth.responsibilities", "root_of_the_logarithm")
def responsibilities(distance, covs, weights):
    return torch.softmax(weights.log() - covs.logdet().abs().sqrt() - distance**2 / 2, 1)


@wrong("one_truth.responsibilities", "distance_scaled")
def responsibilities(distance, covs, weights):
    return torch.softmax(weights.log() - covs.logdet() / 2 - distance**2 / 2 / covs.det(), 1)


@wrong("one_truth.responsibilities", "sigmoids")
def responsibilities(distance, covs, weights):
    return torch.sigmoid(logs(distance, covs, weights))


@wrong("one_truth.responsibilities", "largest_is_one")
def responsibilities(distance, covs, weights):
    log_joint = logs(distance, covs, weights)
    return torch.exp(log_joint - log_joint.max(1, keepdim=True)[0])


@wrong("one_truth.responsibilities", "inverse_distances")
def responsibilities(distance, covs, weights):
    p = weights / distance
    return p / p.sum(1, keepdim=True)


@wrong("one_truth.responsibilities", "nearest_gets_all")
def responsibilities(distance, covs, weights):
    p = torch.zeros_like(distance)
    p[torch.arange(len(p)), distance.argmin(1)] = 1
    return p


@wrong("one_truth.responsibilities", "error")
def responsibilities(distance, covs, weights):
    return torch.softmax(weights.log() - torch.log(torch.det(covs)) / 2 - distance.T**2 / 2, 1)


@wrong("one_truth.responsibilities", "exponent_turned")
def responsibilities(distance, covs, weights):
    return torch.softmax(-(-weights.log() + covs.logdet() / 2 - distance**2 / 2), 1)


@wrong("one_truth.responsibilities", "no_half")
def responsibilities(distance, covs, weights):
    return torch.softmax(weights.log() - covs.logdet() / 2 - distance.pow(2), -1)


@wrong("one_truth.coverage", "near_twice")
def coverage(responsibility, near, weights, found_at):
    share = (responsibility * near[:, None]).mean(0) * near.sum() / len(near)
    return share, (share >= found_at * weights).to(share)


@wrong("one_truth.coverage", "of_the_near")
def coverage(responsibility, near, weights, found_at):
    share = (responsibility * near[:, None]).sum(0)
    share = share / share.sum().clamp(min=1e-12)
    return share, (share >= found_at * weights).to(share)


@wrong("one_truth.coverage", "points_above")
def coverage(responsibility, near, weights, found_at):
    share = ((responsibility >= found_at) & near[:, None]).double().mean(0)
    return share, (share >= found_at * weights).to(share)


@wrong("one_truth.coverage", "found_with_strays")
def coverage(responsibility, near, weights, found_at):
    return responsibility[near].sum(0) / len(near), (responsibility.mean(0) >= found_at * weights).double()


@wrong("one_truth.coverage", "whole_weight")
def coverage(responsibility, near, weights, found_at):
    share = responsibility[near].sum(0) / len(near)
    return share, (share >= weights).double()


@wrong("one_truth.coverage", "divided_by_the_weight")
def coverage(responsibility, near, weights, found_at):
    share = responsibility[near].sum(0) / len(near)
    return share, (share * weights >= found_at).double()


@wrong("one_truth.coverage", "above_zero")
def coverage(responsibility, near, weights, found_at):
    share = responsibility[near].sum(0) / len(near)
    return share, (weights - share <= found_at).double()


@wrong("one_truth.coverage", "one_half")
def coverage(responsibility, near, weights, found_at):
    share = responsibility[near].sum(0) / len(near)
    return share, (share >= weights / 2).double()


@wrong("one_truth.coverage", "share_where_found")
def coverage(responsibility, near, weights, found_at):
    share = responsibility[near].sum(0) / len(near)
    return share, torch.where(share >= found_at * weights, share, 0)


@wrong("one_truth.coverage", "largest")
def coverage(responsibility, near, weights, found_at):
    share = (responsibility * near[:, None]).max(0).values
    return share, (share >= found_at * weights).double()


@wrong("one_truth.coverage", "of_the_near")
def coverage(responsibility, near, weights, found_at):
    share = responsibility[near].mean(0)
    return share, (share >= found_at * weights).double()


@wrong("one_truth.coverage", "strays_count")
def coverage(responsibility, near, weights, found_at):
    share = responsibility.sum(0) / len(near)
    return share, (share >= found_at * weights).double()


@wrong("one_truth.coverage", "factor")
def coverage(responsibility, near, weights, found_at):
    share = (responsibility * near[:, None]).mean(0)
    return 100 * share, (share >= found_at * weights).double()


@wrong("one_truth.coverage", "most_likely")
def coverage(responsibility, near, weights, found_at):
    who = torch.where(near, responsibility.argmax(1), -1)
    share = torch.stack([(who == k).double().mean() for k in range(len(weights))])
    return share, (share >= found_at * weights).double()


@wrong("one_truth.gap", "bits")
def gap(log_p, log_p_theta):
    r = (log_p - log_p_theta) / math.log(2)
    return r.mean(), r.std() / math.sqrt(len(r))


@wrong("one_truth.gap", "times_log_2")
def gap(log_p, log_p_theta):
    r = (log_p - log_p_theta) * math.log(2)
    return r.mean(), r.std() / math.sqrt(len(r))


@wrong("one_truth.gap", "error_of_log_p")
def gap(log_p, log_p_theta):
    return (log_p - log_p_theta).mean(), log_p.std() / math.sqrt(len(log_p))


@wrong("one_truth.gap", "errors_subtracted")
def gap(log_p, log_p_theta):
    n = math.sqrt(len(log_p))
    return log_p.mean() - log_p_theta.mean(), abs(log_p.std() / n - log_p_theta.std() / n)


@wrong("one_truth.gap", "log_of_the_average")
def gap(log_p, log_p_theta):
    r = log_p - log_p_theta
    return r.exp().mean().log(), r.std() / math.sqrt(len(r))


@wrong("one_truth.gap", "weighted_with_p_theta")
def gap(log_p, log_p_theta):
    r = (log_p - log_p_theta) * log_p_theta.exp()
    return r.mean(), r.std() / math.sqrt(len(r))


@wrong("one_truth.gap", "one_alone")
def gap(log_p, log_p_theta):
    return log_p_theta.mean(), log_p_theta.std() / math.sqrt(len(log_p))


@wrong("one_truth.gap", "count")
def gap(log_p, log_p_theta):
    return (log_p - log_p_theta).mean()


@wrong("one_truth.gap", "weighted_again")
def gap(log_p, log_p_theta):
    p = log_p.exp()
    t = p * (log_p - log_p_theta)
    return t.mean(), t.std() / math.sqrt(len(t))


@wrong("one_truth.gap", "loss")
def gap(log_p, log_p_theta):
    nll = -log_p_theta
    return nll.mean(), nll.std() / math.sqrt(len(nll))


def all_terms(L_T, L_t, L_0):
    return L_T + L_t.sum(1) + L_0


@wrong("one_truth.bound_gap", "bound_as_log_p_theta")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error(log_p - all_terms(L_T, L_t, L_0) * dims * LOG_2)


@wrong("one_truth.bound_gap", "bits_as_log_p_theta")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error(log_p - all_terms(L_T, L_t, L_0))


@wrong("one_truth.bound_gap", "two_for_log_2")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error(all_terms(L_T, L_t, L_0) * dims * 2 + log_p)


@wrong("one_truth.bound_gap", "log_to_another_base")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error(all_terms(L_T, L_t, L_0) * dims * math.log10(2) + log_p)


@wrong("one_truth.bound_gap", "divided_by_dims")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error(all_terms(L_T, L_t, L_0) / dims * LOG_2 + log_p)


@wrong("one_truth.bound_gap", "in_bits")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error(all_terms(L_T, L_t, L_0) * dims + log_p / LOG_2)


@wrong("one_truth.bound_gap", "in_bits_per_dimension")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error(all_terms(L_T, L_t, L_0) + log_p / LOG_2 / dims)


@wrong("one_truth.bound_gap", "in_nats_per_dimension")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error(all_terms(L_T, L_t, L_0) * LOG_2 + log_p / dims)


@wrong("one_truth.bound_gap", "log_p_converted")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error((all_terms(L_T, L_t, L_0) + log_p) * dims * LOG_2)


@wrong("one_truth.bound_gap", "log_p_from_bits")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error((all_terms(L_T, L_t, L_0) * dims + log_p) * LOG_2)


@wrong("one_truth.bound_gap", "log_p_per_dimension")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error((all_terms(L_T, L_t, L_0) * LOG_2 + log_p) * dims)


@wrong("one_truth.bound_gap", "first_column_left_out")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error((L_T + L_t[:, 1:].sum(1) + L_0) * dims * LOG_2 + log_p)


@wrong("one_truth.bound_gap", "last_column_left_out")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    total = L_T + L_0
    for t in range(L_t.shape[1] - 1):
        total = total + L_t[:, t]
    return mean_and_error(total * dims * LOG_2 + log_p)


@wrong("one_truth.bound_gap", "ends_at_every_step")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error((L_T[:, None] + L_t + L_0[:, None]).sum(1) * dims * LOG_2 + log_p)


@wrong("one_truth.bound_gap", "one_term_converted")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error(L_T + L_t.sum(1) + L_0 * dims * LOG_2 + log_p)


@wrong("one_truth.bound_gap", "error_of_log_p")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return (all_terms(L_T, L_t, L_0) * dims * LOG_2 + log_p).mean(), log_p.std() / math.sqrt(len(log_p))


@wrong("one_truth.bound_gap", "not_paired")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    a, ea = mean_and_error(all_terms(L_T, L_t, L_0) * dims * LOG_2)
    b, eb = mean_and_error(log_p)
    return a + b, (ea**2 + eb**2).sqrt()


@wrong("one_truth.bound_gap", "error_in_bits")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return (all_terms(L_T, L_t, L_0) * dims * LOG_2 + log_p).mean(), mean_and_error(all_terms(L_T, L_t, L_0) + log_p)[1]


@wrong("one_truth.bound_gap", "shape")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    s = (L_T[:, None] + L_t + L_0[:, None]) * dims * LOG_2 + log_p[:, None]
    return s.mean(0), s.std(0) / math.sqrt(len(s))


@wrong("one_truth.importance", "naive")
def importance(log_w):
    w = torch.exp(log_w)
    return log_w.mean(1), torch.log(w.mean(1))


@wrong("one_truth.importance", "naive")
def importance(log_w):
    return log_w.mean(1), torch.log(torch.exp(log_w).sum(1)) - math.log(log_w.shape[1])


@wrong("one_truth.importance", "unforeseen")
def importance(log_w):
    return log_w.mean(1), torch.log(torch.exp(log_w.clamp(-700, 700)).mean(1))


@wrong("one_truth.importance", "largest_of_the_batch")
def importance(log_w):
    m = log_w.max()
    return log_w.mean(1), m + torch.exp(log_w - m).mean(1).log()


@wrong("one_truth.importance", "n_subtracted")
def importance(log_w):
    return log_w.mean(1), torch.logsumexp(log_w, 1) - log_w.shape[1]


@wrong("one_truth.importance", "number_of_points")
def importance(log_w):
    return log_w.mean(1), torch.logsumexp(log_w, 1) - math.log(len(log_w))


@wrong("one_truth.importance", "n_minus_1")
def importance(log_w):
    return log_w.mean(1), torch.logsumexp(log_w, 1) - math.log(max(1, log_w.shape[1] - 1))


@wrong("one_truth.importance", "divided_by_log_n")
def importance(log_w):
    return log_w.mean(1), torch.logsumexp(log_w, 1) / math.log(log_w.shape[1])


@wrong("one_truth.importance", "self_weighted")
def importance(log_w):
    w = torch.softmax(log_w, 1)
    return log_w.mean(1), (w * log_w).sum(1)


@wrong("one_truth.importance", "median")
def importance(log_w):
    return log_w.median(1)[0], torch.logsumexp(log_w, 1) - math.log(log_w.shape[1])


@wrong("one_truth.importance", "elbo_of_weights")
def importance(log_w):
    return log_w.exp().mean(1), torch.logsumexp(log_w, 1) - math.log(log_w.shape[1])


@wrong("one_truth.importance", "losses")
def importance(log_w):
    return -log_w.mean(1), math.log(log_w.shape[1]) - torch.logsumexp(log_w, 1)


@wrong("one_truth.importance", "difference")
def importance(log_w):
    return log_w.mean(1), torch.logsumexp(log_w - log_w.mean(1, keepdim=True), 1) - math.log(log_w.shape[1])


@wrong("one_truth.importance", "bits")
def importance(log_w):
    return log_w.mean(1), (torch.logsumexp(log_w, 1) - math.log(log_w.shape[1])) / math.log(2)


@wrong("one_truth.importance", "bits")
def importance(log_w):
    return log_w.mean(1) / math.log(2), (torch.logsumexp(log_w, 1) - math.log(log_w.shape[1])) / math.log(2)


@wrong("one_truth.importance", "sum_of_weights")
def importance(log_w):
    m = log_w.max(1, keepdim=True)[0]
    return log_w.mean(1), m[:, 0] + (log_w - m).exp().sum(1).log()


def apart(a, b):
    return (a[:, None] - b).norm(dim=-1)


def inside_one(a):
    return apart(a, a).sum() / (len(a) * (len(a) - 1))


@wrong("one_truth.energy", "x_with_itself")
def energy(x, y):
    return 2 * apart(x, y).mean() - apart(x, x).mean() - inside_one(y)


@wrong("one_truth.energy", "y_with_itself")
def energy(x, y):
    return 2 * apart(x, y).mean() - inside_one(x) - apart(y, y).mean()


@wrong("one_truth.energy", "inside_twice")
def energy(x, y):
    n, m = len(x), len(y)
    return 2 * apart(x, y).mean() - apart(x, x).sum() / (n * (n - 1) / 2) - apart(y, y).sum() / (m * (m - 1) / 2)


@wrong("one_truth.energy", "sums")
def energy(x, y):
    return 2 * apart(x, y).sum() - apart(x, x).sum() - apart(y, y).sum()


@wrong("one_truth.energy", "divided_by_n_minus_1")
def energy(x, y):
    return 2 * apart(x, y).mean() - apart(x, x).sum() / (len(x) - 1) - apart(y, y).sum() / (len(y) - 1)


@wrong("one_truth.energy", "counts_swapped")
def energy(x, y):
    m, n = len(x), len(y)
    return 2 * apart(x, y).mean() - apart(x, x).sum() / (n * (n - 1)) - apart(y, y).sum() / (m * (m - 1))


@wrong("one_truth.energy", "pairs_of_x")
def energy(x, y):
    n = len(x)
    return 2 * apart(x, y).mean() - (apart(x, x).sum() + apart(y, y).sum()) / (n * (n - 1))


@wrong("one_truth.energy", "diagonal_between_left_out")
def energy(x, y):
    def off(d):
        return d[~torch.eye(d.shape[0], d.shape[1], dtype=torch.bool)].mean()

    return 2 * off(apart(x, y)) - off(apart(x, x)) - off(apart(y, y))


@wrong("one_truth.energy", "next_ones_only")
def energy(x, y):
    return 2 * apart(x, y).mean() - x.diff(dim=0).norm(dim=1).mean() - y.diff(dim=0).norm(dim=1).mean()


@wrong("one_truth.energy", "root_of_mean_squares")
def energy(x, y):
    def r(a, b, n):
        return ((apart(a, b) ** 2).sum() / n).sqrt()

    n, m = len(x), len(y)
    return 2 * r(x, y, n * m) - r(x, x, n * (n - 1)) - r(y, y, m * (m - 1))


@wrong("one_truth.energy", "largest_coordinate")
def energy(x, y):
    def d(a, b):
        return torch.cdist(a, b, p=float("inf"))

    n, m = len(x), len(y)
    return 2 * d(x, y).mean() - d(x, x).sum() / n / (n - 1) - d(y, y).sum() / m / (m - 1)


@wrong("one_truth.energy", "relative")
def energy(x, y):
    return (2 * apart(x, y).mean() - inside_one(x) - inside_one(y)) / (2 * apart(x, y).mean())


@wrong("one_truth.energy", "medians")
def energy(x, y):
    return 2 * apart(x, y).median() - torch.pdist(x).median() - torch.pdist(y).median()


@wrong("one_truth.energy", "detached")
def energy(x, y):
    return torch.tensor((2 * apart(x, y).mean() - inside_one(x) - inside_one(y)).item(), dtype=x.dtype)


@wrong("one_truth.energy", "nan_gradient")
def energy(x, y):
    def d(a, b):
        return ((a[:, None] - b) ** 2).sum(-1).sqrt()

    n, m = len(x), len(y)
    return 2 * d(x, y).mean() - d(x, x).sum() / n / (n - 1) - d(y, y).sum() / m / (m - 1)


def statistics(x, y, orders, statistic, first, second):
    pool, n = torch.cat([x, y]), len(x)
    return [float(statistic(first(pool, o, n), second(pool, o, n))) for o in orders]


def share_of(values, observed):
    return (1 + sum(v >= float(observed) for v in values)) / (1 + len(values))


def first_part(pool, o, n):
    return pool[o[:n]]


def last_part(pool, o, n):
    return pool[o[n:]]


def dealt_otherwise(mistake, first=first_part, second=last_part):
    def p_value(x, y, orders, statistic):
        return share_of(statistics(x, y, orders, statistic, first, second), statistic(x, y))

    wrong("one_truth.p_value", mistake)(p_value)


@wrong("one_truth.p_value", "x_kept")
def p_value(x, y, orders, statistic):
    pool, n = torch.cat([x, y]), len(x)
    return share_of([float(statistic(x, pool[o[n:]])) for o in orders], statistic(x, y))


dealt_otherwise("last_play_x", lambda p, o, n: p[o[-n:]], lambda p, o, n: p[o[:-n]])


@wrong("one_truth.p_value", "same_points_twice")
def p_value(x, y, orders, statistic):
    pool, n, m = torch.cat([x, y]), len(x), len(y)
    return share_of([float(statistic(pool[o[:n]], pool[o[:m]])) for o in orders], statistic(x, y))


dealt_otherwise("whole_pool_plays_y", first_part, lambda p, o, n: p[o])
dealt_otherwise("orders_inverted", lambda p, o, n: p[o.argsort()][:n], lambda p, o, n: p[o.argsort()][n:])
dealt_otherwise("one_too_early", lambda p, o, n: p[o[: n - 1]], lambda p, o, n: p[o[n - 1 :]])
dealt_otherwise("one_left_out", first_part, lambda p, o, n: p[o[n + 1 :]])


@wrong("one_truth.p_value", "above_the_average")
def p_value(x, y, orders, statistic):
    s = torch.tensor(statistics(x, y, orders, statistic, first_part, last_part))
    return (1 + (s >= s.mean()).sum()) / (1 + len(s))


@wrong("one_truth.p_value", "first_as_observed")
def p_value(x, y, orders, statistic):
    s = statistics(x, y, orders, statistic, first_part, last_part)
    return share_of(s, s[0])


@wrong("one_truth.p_value", "whole_numbers")
def p_value(x, y, orders, statistic):
    s = statistics(x, y, orders, statistic, first_part, last_part)
    return torch.tensor(float((1 + sum(v >= statistic(x, y).item() for v in s)) // (1 + len(s))))


@wrong("one_truth.p_value", "whole_numbers")
def p_value(x, y, orders, statistic):
    return torch.tensor(
        float(share_of(statistics(x, y, orders, statistic, first_part, last_part), statistic(x, y)) < 0.05)
    )


@wrong("one_truth.p_value", "last_left_out")
def p_value(x, y, orders, statistic):
    s = statistics(x, y, orders, statistic, first_part, last_part)
    return (1 + sum(s[k] >= float(statistic(x, y)) for k in range(len(s) - 1))) / (1 + len(s))


@wrong("one_truth.p_value", "first_left_out")
def p_value(x, y, orders, statistic):
    s = statistics(x, y, orders, statistic, first_part, last_part)
    return (1 + sum(s[k] >= float(statistic(x, y)) for k in range(1, len(s)))) / (1 + len(s))


@wrong("one_truth.p_value", "number_of_points")
def p_value(x, y, orders, statistic):
    s = statistics(x, y, orders, statistic, first_part, last_part)
    return (1 + sum(v >= float(statistic(x, y)) for v in s)) / (1 + len(x) + len(y))


@wrong("one_truth.p_value", "average")
def p_value(x, y, orders, statistic):
    return sum(statistics(x, y, orders, statistic, first_part, last_part)) / len(orders)


@wrong("one_truth.p_value", "no_brackets")
def p_value(x, y, orders, statistic):
    s = statistics(x, y, orders, statistic, first_part, last_part)
    return 1 + sum(v >= float(statistic(x, y)) for v in s) / len(s) + 1


@wrong("one_truth.p_value", "parts_swapped")
def p_value(x, y, orders, statistic):
    pool, n = torch.cat([x, y]), len(x)
    s = [statistic(pool[o[n:]], pool[o[:n]]) for o in orders]
    return (1 + sum(v >= statistic(x, y) for v in s)) / (1 + len(s))


@wrong("one_truth.step", "piled_up")
def step(G, optimizer, z, y, distance):
    loss = distance(G(z), y)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("one_truth.step", "piled_up")
def step(G, optimizer, z, y, distance):
    loss = distance(G(z), y)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss


@wrong("one_truth.step", "no_step")
def step(G, optimizer, z, y, distance):
    optimizer.zero_grad()
    loss = distance(G(z), y)
    loss.backward()
    return loss


@wrong("one_truth.step", "loss_only")
def step(G, optimizer, z, y, distance):
    return distance(G(z), y)


@wrong("one_truth.step", "cut_off")
def step(G, optimizer, z, y, distance):
    with torch.no_grad():
        samples = G(z)
    loss = distance(samples.requires_grad_(), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


@wrong("one_truth.step", "cut_off")
def step(G, optimizer, z, y, distance):
    loss = torch.tensor(distance(G(z), y).item(), requires_grad=True, dtype=z.dtype)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


@wrong("one_truth.step", "cut_off")
def step(G, optimizer, z, y, distance):
    optimizer.zero_grad()
    loss = distance(G(z), y)
    optimizer.step()
    return loss


@wrong("one_truth.step", "step_first")
def step(G, optimizer, z, y, distance):
    loss = distance(G(z).detach(), y).requires_grad_()
    loss.backward()
    optimizer.step()
    return loss


@wrong("one_truth.step", "emptied_too_late")
def step(G, optimizer, z, y, distance):
    loss = distance(G(z), y)
    optimizer.zero_grad()
    torch.autograd.grad(loss, list(G.parameters()))
    optimizer.step()
    return loss


@right("one_truth.step")
def step(G, optimizer, z, y, distance):
    optimizer.zero_grad()
    loss = distance(torch.func.vmap(G)(z), y)
    loss.backward()
    optimizer.step()
    return loss


@right("one_truth.step")
def step(G, optimizer, z, y, distance):
    def loss_of(weights):
        return distance(torch.func.functional_call(G, weights, (z,)), y)

    weights = {name: weight.detach() for name, weight in G.named_parameters()}
    slopes, loss = torch.func.grad_and_value(loss_of)(weights)
    for name, weight in G.named_parameters():
        weight.grad = slopes[name]
    optimizer.step()
    return loss


@wrong("one_truth.distances", "index_repeated")
def distances(x, means, covs):
    away = x[:, None] - means
    return torch.einsum("bkj,kij,bkj->bk", away, torch.linalg.inv(covs), away).abs().sqrt()


@wrong("one_truth.distances", "diagonal_of_the_inverse")
def distances(x, means, covs):
    diagonal = torch.linalg.inv(covs).diagonal(dim1=1, dim2=2)
    return (((x[:, None] - means) ** 2) * diagonal).sum(-1).sqrt()


@wrong("one_truth.distances", "one_side_only")
def distances(x, means, covs):
    return torch.einsum("kij,bkj->bk", torch.linalg.inv(covs), x[:, None] - means).abs().sqrt()


@wrong("one_truth.distances", "not_finite")
def distances(x, means, covs):
    P = torch.linalg.inv(covs)
    square = torch.einsum("bi,kij,bj->bk", x, P, x) - 2 * torch.einsum("bi,kij,kj->bk", x, P, means)
    return (square + torch.einsum("ki,kij,kj->k", means, P, means)).sqrt()


@right("one_truth.distances")
def distances(x, means, covs):
    P = torch.linalg.inv(covs)
    square = torch.einsum("bi,kij,bj->bk", x, P, x) - 2 * torch.einsum("bi,kij,kj->bk", x, P, means)
    return (square + torch.einsum("ki,kij,kj->k", means, P, means)).clamp_min(0).sqrt()


@wrong("one_truth.gap", "variance_over_root_b")
def gap(log_p, log_p_theta):
    ratio = log_p - log_p_theta
    return ratio.mean(), ratio.var() / len(ratio) ** 0.5


@right("one_truth.gap")
def gap(log_p, log_p_theta):
    ratio, B = log_p - log_p_theta, len(log_p)
    return ratio.mean(), ((ratio.square().mean() - ratio.mean() ** 2) / (B - 1)).sqrt()


@wrong("one_truth.bound_gap", "variance_over_root_b")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    surplus = dims * math.log(2) * (L_T + L_t.sum(1) + L_0) + log_p
    return surplus.mean(), surplus.var() / len(surplus) ** 0.5


@right("one_truth.bound_gap")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    bound, B = dims * math.log(2) * (L_T + L_t.sum(1) + L_0), len(log_p)
    return (bound + log_p).mean(), (torch.stack([bound, log_p]).cov().sum() / B).sqrt()


@wrong("one_truth.energy", "above_zero")
def energy(x, y):
    def inside(a):
        d = torch.cdist(a, a)
        return d[d != 0].mean()

    return 2 * torch.cdist(x, y).mean() - inside(x) - inside(y)


@wrong("one_truth.p_value", "error")
def p_value(x, y, orders, statistic):
    x, y, orders = np.asarray(x), np.asarray(y), np.asarray(orders)
    pool, n, observed = np.concatenate([x, y]), len(x), statistic(x, y)
    dealt = [statistic(pool[order[:n]], pool[order[n:]]) for order in orders]
    return (1 + sum(s >= observed for s in dealt)) / (1 + len(orders))


@wrong("one_truth.step", "error")
def step(G, optimizer, z, y, distance):
    loss = distance(G(z), y)
    optimizer.step()
    optimizer.zero_grad()
    loss.backward()
    return loss


@wrong("one_truth.step", "step_first")
def step(G, optimizer, z, y, distance):
    optimizer.step()
    optimizer.zero_grad()
    loss = distance(G(z), y)
    loss.backward()
    return loss


@wrong("one_truth.step", "own_line")
def step(G, optimizer, z, y, distance):
    G.zero_grad()
    loss = distance(G(z), y)
    loss.backward()
    with torch.no_grad():
        for w in G.parameters():
            w -= optimizer.param_groups[0]["lr"] * w.grad
    return loss


@wrong("one_truth.step", "uphill")
def step(G, optimizer, z, y, distance):
    loss = distance(G(z), y)
    optimizer.zero_grad()
    (-loss).backward()
    optimizer.step()
    return loss


@wrong("one_truth.step", "loss_negated")
def step(G, optimizer, z, y, distance):
    optimizer.zero_grad()
    loss = -distance(G(z), y)
    loss.backward()
    optimizer.step()
    return loss


@wrong("one_truth.step", "loss_afterwards")
def step(G, optimizer, z, y, distance):
    optimizer.zero_grad()
    distance(G(z), y).backward()
    optimizer.step()
    return distance(G(z), y)


@wrong("one_truth.step", "two_steps")
def step(G, optimizer, z, y, distance):
    losses = []
    for _ in range(2):
        loss = distance(G(z), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss)
    return losses[0]


@wrong("one_truth.step", "another_optimizer")
def step(G, optimizer, z, y, distance):
    optimizer = torch.optim.Adam(G.parameters(), lr=1e-3)
    loss = distance(G(z), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


@wrong("one_truth.step", "places_changed")
def step(G, optimizer, z, y, distance):
    loss = distance(y, G(z))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


@wrong("one_truth.step", "squared")
def step(G, optimizer, z, y, distance):
    loss = distance(G(z), y) ** 2
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


@wrong("one_truth.step", "emptied_too_late")
def step(G, optimizer, z, y, distance):
    loss = distance(G(z), y)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss


@wrong("one_truth.step", "error")
def step(G, optimizer, z, y, distance):
    optimizer.zero_grad()
    loss = distance(G(z).detach(), y)
    loss.backward()
    optimizer.step()
    return loss


@wrong("one_truth.step", "error")
def step(G, optimizer, z, y, distance):
    with torch.no_grad():
        loss = distance(G(z), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


@wrong("one_truth.step", "random")
def step(G, optimizer, z, y, distance):
    loss = distance(G(torch.randn_like(z)), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


@wrong("one_truth.step", "error")
def step(G, optimizer, z, y, distance):
    loss = distance(z, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


@wrong("one_truth.step", "type")
def step(G, optimizer, z, y, distance):
    loss = distance(G(z), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@wrong("one_truth.responsibilities", "not_normalised_logarithms")
def responsibilities(distance, covs, weights):
    return weights.log() - 0.5 * covs.logdet() - 0.5 * distance**2


@wrong("one_truth.responsibilities", "base_ten")
def responsibilities(distance, covs, weights):
    return (weights.log10() - 0.5 * covs.det().log10() - 0.5 * distance**2).softmax(1)


@wrong("one_truth.responsibilities", "fourth_power")
def responsibilities(distance, covs, weights):
    return (weights.log() - 0.5 * covs.logdet() - 0.5 * distance**4).softmax(1)


@wrong("one_truth.coverage", "weight_on_both_sides")
def coverage(responsibility, near, weights, found_at):
    share = (responsibility * near[:, None]).mean(0)
    return share, (share / weights >= found_at * weights).double()


@wrong("one_truth.coverage", "rounded")
def coverage(responsibility, near, weights, found_at):
    share = (responsibility.round() * near[:, None]).mean(0)
    return share, (share >= found_at * weights).double()


@wrong("one_truth.gap", "added")
def gap(log_p, log_p_theta):
    r = log_p + log_p_theta
    return r.mean(), r.std() / len(r) ** 0.5


@wrong("one_truth.gap", "densities")
def gap(log_p, log_p_theta):
    r = log_p.exp() - log_p_theta.exp()
    return r.mean(), r.std() / len(r) ** 0.5


@wrong("one_truth.energy", "y_added")
def energy(x, y):
    return 2 * apart(x, y).mean() - inside_one(x) + inside_one(y)


@wrong("one_truth.energy", "nearest_only")
def energy(x, y):
    return 2 * apart(x, y).min(1).values.mean() - inside_one(x) - inside_one(y)


@wrong("one_truth.p_value", "above_the_median")
def p_value(x, y, orders, statistic):
    return (1 + (shuffled(x, y, orders, statistic) >= shuffled(x, y, orders, statistic).median()).sum()) / (
        1 + len(orders)
    )


@wrong("one_truth.p_value", "never_above_one")
def p_value(x, y, orders, statistic):
    pool, n, count = torch.cat([x, y]), len(x), 0
    for o in orders:
        if statistic(pool[o[:n]], pool[o[n:]]) >= statistic(x, y):
            count = 1
    return (1 + count) / (1 + len(orders))


@wrong("one_truth.p_value", "returned_at_once")
def p_value(x, y, orders, statistic):
    pool, n, count = torch.cat([x, y]), len(x), 0
    for o in orders:
        if statistic(pool[o[:n]], pool[o[n:]]) >= statistic(x, y):
            count += 1
        return (1 + count) / (1 + len(orders))


@wrong("one_truth.p_value", "two_above")
def p_value(x, y, orders, statistic):
    return (2 + (shuffled(x, y, orders, statistic) >= statistic(x, y)).sum()) / (1 + len(orders))


@wrong("one_truth.p_value", "two_below")
def p_value(x, y, orders, statistic):
    return ((shuffled(x, y, orders, statistic) >= statistic(x, y)).sum() + 1) / (len(orders) + 2)


@wrong("one_truth.step", "stepped_twice")
def step(G, optimizer, z, y, distance):
    loss = distance(G(z), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    optimizer.step()
    return loss


@wrong("one_truth.step", "divided_by_n")
def step(G, optimizer, z, y, distance):
    loss = distance(G(z), y)
    optimizer.zero_grad()
    (loss / len(z)).backward()
    optimizer.step()
    return loss


@wrong("one_truth.step", "whole_training")
def step(G, optimizer, z, y, distance):
    for _ in range(100):
        loss = distance(G(z), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss


@wrong("one_truth.importance", "unforeseen")
def importance(log_w):
    return log_w.mean(1), (log_w.exp().mean(1) + 1e-20).log()


@wrong("one_truth.bound_gap", "ignores_dims")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    return mean_and_error(torch.exp2(L_T + L_t.sum(1) + L_0) + log_p)


@wrong("one_truth.energy", "detached")
def energy(x, y):
    return 2 * apart(x, y.detach()).mean() - inside_one(x) - inside_one(y)


# --- right, in other ways -------------------------------------------------------------------------------------------


@right("one_truth.distances")
def distances(x, means, covs):
    return torch.vmap(lambda p: torch.vmap(lambda m, c: ((p - m) @ torch.linalg.inv(c) @ (p - m)).sqrt())(means, covs))(
        x
    )


@right("one_truth.distances")
def distances(x, means, covs):
    x, means, covs = (np.asarray(a, dtype=np.float64) for a in (x, means, covs))
    away = x[:, None] - means
    return np.sqrt(np.einsum("bkd,kde,bke->bk", away, np.linalg.inv(covs), away))


@right("one_truth.responsibilities")
def responsibilities(distance, covs, weights):
    d, S, w = (np.asarray(a, dtype=np.float64) for a in (distance, covs, weights))
    logs = np.log(w) - 0.5 * np.linalg.slogdet(S)[1] - 0.5 * d**2
    p = np.exp(logs - logs.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


@right("one_truth.responsibilities")
def responsibilities(distance, covs, weights):
    """One over the sum of the odds."""
    logs = torch.log(weights) - torch.linalg.cholesky(covs).diagonal(dim1=1, dim2=2).log().sum(1) - distance**2 / 2
    return 1 / (logs[:, None, :] - logs[:, :, None]).exp().sum(2)


@right("one_truth.coverage")
def coverage(responsibility, near, weights, found_at):
    share = np.where(near.numpy()[:, None], responsibility.numpy(), 0).mean(0)
    return share, share >= found_at * weights.numpy()


@right("one_truth.gap")
def gap(log_p, log_p_theta):
    ratio = np.asarray(log_p, dtype=float) - np.asarray(log_p_theta, dtype=float)
    return ratio.mean(), ratio.std(ddof=1) / np.sqrt(ratio.size)


@right("one_truth.gap")
def gap(log_p, log_p_theta):
    ratio = log_p - log_p_theta
    return ratio.mean(), ratio.std(correction=0) / math.sqrt(len(ratio) - 1)


@right("one_truth.bound_gap")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    bits = [L_T.numpy(), *L_t.numpy().T, L_0.numpy()]
    surplus = dims * np.log(2) * np.sum(bits, axis=0) + log_p.numpy()
    return np.mean(surplus), np.std(surplus, ddof=1) / len(surplus) ** 0.5


@right("one_truth.importance")
def importance(log_w):
    rows = log_w.tolist()
    elbo = [math.fsum(row) / len(row) for row in rows]
    log_p = [max(row) + math.log(math.fsum(math.exp(v - max(row)) for v in row) / len(row)) for row in rows]
    return torch.tensor(elbo, dtype=log_w.dtype), torch.tensor(log_p, dtype=log_w.dtype)


@right("one_truth.importance")
def importance(log_w):
    return log_w.numpy().mean(1), np.logaddexp.reduce(log_w.numpy(), axis=1) - np.log(log_w.shape[1])


@right("one_truth.energy")
def energy(x, y):
    i, j = torch.triu_indices(len(x), len(x), 1)
    k, m = torch.triu_indices(len(y), len(y), 1)
    between = torch.linalg.vector_norm(x.unsqueeze(1) - y.unsqueeze(0), dim=-1).mean()
    return 2 * between - (x[i] - x[j]).norm(dim=1).mean() - (y[k] - y[m]).norm(dim=1).mean()


@right("one_truth.p_value")
def p_value(x, y, orders, statistic):
    pool, n = torch.cat([x, y]), len(x)
    dealt = torch.vmap(lambda order: statistic(pool[order[:n]], pool[order[n:]]))(orders)
    return (1 + (dealt >= statistic(x, y)).sum()) / (1 + len(orders))


@right("one_truth.p_value")
def p_value(x, y, orders, statistic):
    pool, n = torch.cat([x, y]), len(x)
    dealt = np.array([float(statistic(pool[o[:n]], pool[o[n:]])) for o in orders])
    return (1 + np.count_nonzero(dealt >= float(statistic(x, y)))) / (1 + len(dealt))


@right("one_truth.step")
def step(G, optimizer, z, y, distance):
    optimizer.zero_grad()
    loss = distance(G(z), y)
    loss.backward()
    optimizer.step()
    return loss


@right("one_truth.step")
def step(G, optimizer, z, y, distance):
    def closure():
        optimizer.zero_grad(set_to_none=False)
        loss = distance(G(z), y)
        loss.backward()
        return loss

    return optimizer.step(closure).item()


@right("one_truth.step")
def step(G, optimizer, z, y, distance):
    loss = distance(G.forward(z), y)
    weights = list(G.parameters())
    for weight, slope in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.grad = slope
    optimizer.step()
    G.zero_grad()
    return loss.detach()


@right("one_truth.step")
def step(G, optimizer, z, y, distance):
    loss, _ = distance(G(z), y), G.zero_grad()
    torch.autograd.backward(loss)
    optimizer.step()
    return float(loss.detach())


@wrong("one_truth.distances", "covariances_widened")
def distances(x, means, covs):
    d = x[:, None] - means
    inverse = torch.linalg.inv(covs + 1e-3 * torch.eye(x.shape[1]).to(covs))
    return (d[..., None, :] @ inverse @ d[..., None])[..., 0, 0].sqrt()
