"""Further answers to lab_4_one_truth, as they were tried on it."""
# ruff: noqa
# pyright: reportRedeclaration=false, reportAttributeAccessIssue=false, reportAssignmentType=false
# pyright: reportGeneralTypeIssues=false, reportAssertAlwaysTrue=false, reportUnusedExpression=false
# pyright: reportOptionalSubscript=false

from . import right, wrong

import functools

import math

import numpy as np

import torch

import torch.nn.functional as F


# adds 1e-3 to the diagonal of the covariances 'for stability'
@wrong("one_truth.distances", "covariances_widened")
def distances(x, means, covs):
    eye = torch.eye(covs.shape[-1], dtype=covs.dtype)
    away = x[:, None] - means
    return torch.einsum("bkd,kde,bke->bk", away, torch.linalg.inv(covs + 1e-3 * eye), away).sqrt()


# whitens with the transpose of the Cholesky factor
@wrong("one_truth.distances", "factor_transposed")
def distances(x, means, covs):
    L = torch.linalg.cholesky(covs)
    away = (x[:, None] - means).permute(1, 2, 0)  # K, D, B
    white = torch.linalg.solve_triangular(L.mT, away, upper=True)
    return white.norm(dim=1).T


# a loop that moves x itself by -= means[k], each time on top of the last
@wrong("one_truth.distances", "in_place")
def distances(x, means, covs):
    out = []
    for k in range(len(means)):
        d = x
        d -= means[k]
        out.append(((d @ torch.linalg.inv(covs[k])) * d).sum(1).sqrt())
    return torch.stack(out, dim=1)


# determinant taken as the product of the diagonal
@wrong("one_truth.responsibilities", "diagonal_determinant")
def responsibilities(distance, covs, weights):
    log_det = covs.diagonal(dim1=1, dim2=2).log().sum(1)
    return torch.softmax(weights.log() - 0.5 * log_det - 0.5 * distance**2, dim=1)


# slogdet's sign taken for its logarithm
@wrong("one_truth.responsibilities", "no_determinant")
def responsibilities(distance, covs, weights):
    log_det, _ = torch.linalg.slogdet(covs)
    return torch.softmax(weights.log() - 0.5 * log_det - 0.5 * distance**2, dim=1)


# subtracts the largest log of the whole batch instead of each row's
@wrong("one_truth.responsibilities", "largest_of_the_batch")
def responsibilities(distance, covs, weights):
    log_joint = weights.log() - 0.5 * torch.logdet(covs) - 0.5 * distance**2
    joint = (log_joint - log_joint.max()).exp()
    return joint / joint.sum(1, keepdim=True)


# found is > instead of >=
@wrong("one_truth.coverage", "more_than")
def coverage(responsibility, near, weights, found_at):
    share = (responsibility * near[:, None]).mean(0)
    return share, (share > found_at * weights).to(share.dtype)


# found against an equal due 1/K, not the weights
@wrong("one_truth.coverage", "equal_weights")
def coverage(responsibility, near, weights, found_at):
    share = (responsibility * near[:, None]).mean(0)
    due = 1 / len(weights)
    return share, (share >= found_at * due).to(share.dtype)


# gives each near point wholly to its likeliest mode
@wrong("one_truth.coverage", "most_likely")
def coverage(responsibility, near, weights, found_at):
    hard = F.one_hot(responsibility.argmax(1), responsibility.shape[1]).to(responsibility.dtype)
    share = (hard * near[:, None]).mean(0)
    return share, (share >= found_at * weights).to(share.dtype)


# error divides by sqrt(B - 1), with std that has B - 1 already
@wrong("one_truth.gap", "root_of_b_minus_1")
def gap(log_p, log_p_theta):
    delta = log_p - log_p_theta
    return delta.mean(), delta.std() / math.sqrt(len(delta) - 1)


# gap by F.kl_div with log_target, batchmean: weighs with p once more
@wrong("one_truth.gap", "weighted_again")
def gap(log_p, log_p_theta):
    delta = log_p - log_p_theta
    value = F.kl_div(log_p_theta, log_p, reduction="batchmean", log_target=True)
    return value, delta.std() / math.sqrt(len(delta))


# error is the half width of a 95 % interval, 1.96 standard errors
@wrong("one_truth.gap", "interval_of_95")
def gap(log_p, log_p_theta):
    delta = log_p - log_p_theta
    return delta.mean(), 1.96 * delta.std() / math.sqrt(len(delta))


# skips the first column of L_t, because the sum starts at t = 2
@wrong("one_truth.bound_gap", "first_column_left_out")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    bits = L_T + L_t[:, 1:].sum(1) + L_0
    nats = dims * math.log(2) * bits + log_p
    return nats.mean(), nats.std() / math.sqrt(len(nats))


# multiplies log_p by D log 2 as well (brackets)
@wrong("one_truth.bound_gap", "log_p_converted")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    nats = dims * math.log(2) * (L_T + L_t.sum(1) + L_0 + log_p)
    return nats.mean(), nats.std() / math.sqrt(len(nats))


# error of the bound alone, without log_p
@wrong("one_truth.bound_gap", "error_of_the_bound")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    bound = dims * math.log(2) * (L_T + L_t.sum(1) + L_0)
    return (bound + log_p).mean(), bound.std() / math.sqrt(len(bound))


# divides by the number of points B (len(log_w)) instead of draws n
@wrong("one_truth.importance", "number_of_points")
def importance(log_w):
    return log_w.mean(1), log_w.logsumexp(1) - math.log(len(log_w))


# square root of it, SciPy's convention
@wrong("one_truth.energy", "root")
def energy(x, y):
    n, m = len(x), len(y)
    e = 2 * torch.cdist(x, y).mean() - torch.cdist(x, x).sum() / (n * (n - 1)) - torch.cdist(y, y).sum() / (m * (m - 1))
    return e.clamp(min=0).sqrt()


# distances by sqrt of a sum of squares: gradient nan at the diagonal
@wrong("one_truth.energy", "nan_gradient")
def energy(x, y):
    def between(a, b):
        return ((a[:, None] - b[None]) ** 2).sum(-1).sqrt()

    n, m = len(x), len(y)
    return 2 * between(x, y).mean() - between(x, x).sum() / (n * (n - 1)) - between(y, y).sum() / (m * (m - 1))


# pdist has each pair once, divided by n(n - 1)
@wrong("one_truth.energy", "pairs_once")
def energy(x, y):
    n, m = len(x), len(y)
    return 2 * torch.cdist(x, y).mean() - F.pdist(x).sum() / (n * (n - 1)) - F.pdist(y).sum() / (m * (m - 1))


# two-sided: absolute values of the statistics
@wrong("one_truth.p_value", "absolute_values")
def p_value(x, y, orders, statistic):
    pooled, n = torch.cat([x, y]), len(x)
    observed = abs(statistic(x, y))
    count = sum(int(abs(statistic(pooled[o[:n]], pooled[o[n:]])) >= observed) for o in orders)
    return (1 + count) / (1 + len(orders))


# name reused: each order shuffles what the last one left
@wrong("one_truth.p_value", "piled_up")
def p_value(x, y, orders, statistic):
    points, n = torch.cat([x, y]), len(x)
    observed, count = statistic(x, y), 0
    for order in orders:
        points = points[order]
        count += int(statistic(points[:n], points[n:]) >= observed)
    return (1 + count) / (1 + len(orders))


# whole-number division //
@wrong("one_truth.p_value", "whole_numbers")
def p_value(x, y, orders, statistic):
    pooled, n = torch.cat([x, y]), len(x)
    observed = statistic(x, y)
    s = torch.stack([statistic(pooled[o[:n]], pooled[o[n:]]) for o in orders])
    return (1 + (s >= observed).sum()) // (1 + len(orders))


# distance(y, samples), arguments swapped
@wrong("one_truth.step", "places_changed")
def step(G, optimizer, z, y, distance):
    optimizer.zero_grad()
    loss = distance(y, G(z))
    loss.backward()
    optimizer.step()
    return loss.detach()


# draws new noise instead of the z given
@wrong("one_truth.step", "random")
def step(G, optimizer, z, y, distance):
    noise = torch.randn_like(z)
    loss = distance(G(noise), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


# makes an Adam of its own and leaves the optimizer given unused
@wrong("one_truth.step", "another_optimizer")
def step(G, optimizer, z, y, distance):
    optimizer = torch.optim.Adam(G.parameters(), lr=1e-3)
    loss = distance(G(z), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


# vmap over components, Cholesky and solve_triangular
@right("one_truth.distances")
def distances(x, means, covs):
    def one(mean, cov):
        L = torch.linalg.cholesky(cov)
        return torch.linalg.solve_triangular(L, (x - mean).T, upper=False).norm(dim=0)

    return torch.vmap(one, out_dims=1)(means, covs)


# NumPy double loop with solve
@right("one_truth.distances")
def distances(x, means, covs):
    x, means, covs = np.asarray(x), np.asarray(means), np.asarray(covs)
    out = np.zeros((len(x), len(means)))
    for b in range(len(x)):
        for k in range(len(means)):
            v = x[b] - means[k]
            out[b, k] = math.sqrt(max(float(v @ np.linalg.solve(covs[k], v)), 0.0))
    return out


# Categorical(logits).probs, with (2 pi)^(D/2) kept
@right("one_truth.responsibilities")
def responsibilities(distance, covs, weights):
    D = covs.shape[-1]
    log_n = (
        -0.5 * distance.square()
        - D / 2 * math.log(2 * math.pi)
        - torch.linalg.cholesky(covs).diagonal(dim1=-2, dim2=-1).log().sum(-1)
    )
    return torch.distributions.Categorical(logits=log_n + torch.log(weights)).probs


# 1 / sum over j of the odds exp(l_j - l_k)
@right("one_truth.responsibilities")
def responsibilities(distance, covs, weights):
    logs = torch.log(weights / torch.linalg.det(covs).sqrt()) - distance * distance / 2
    odds = torch.exp(logs[:, None, :] - logs[:, :, None])
    return 1 / odds.sum(2)


# a loop with a helper class, Python floats
@right("one_truth.coverage")
def coverage(responsibility, near, weights, found_at):
    class Mode:
        def __init__(self, k):
            self.k, self.total = k, 0.0

        def share(self):
            for b in range(len(responsibility)):
                if near[b]:
                    self.total += float(responsibility[b, self.k])
            return self.total / len(responsibility)

    shares = torch.tensor([Mode(k).share() for k in range(len(weights))], dtype=torch.float64)
    found = torch.tensor([1.0 if s >= found_at * w else 0.0 for s, w in zip(shares, weights)])
    return shares, found


# einsum, masked copy, heaviside
@right("one_truth.coverage")
def coverage(responsibility, near, weights, found_at):
    r = responsibility.clone()
    r[near.logical_not()] = 0
    share = torch.einsum("bk->k", r) / r.shape[0]
    return share, torch.heaviside(share - found_at * weights, torch.ones((), dtype=share.dtype))


# terms in one table, log_p turned into bits, var_mean, back to nats
@right("one_truth.bound_gap")
def bound_gap(log_p, L_T, L_t, L_0, dims):
    unit = dims * math.log(2)
    table = torch.hstack([L_T[:, None], L_t, L_0[:, None], log_p[:, None] / unit])
    var, mean = torch.var_mean(table @ torch.ones(table.shape[1], dtype=table.dtype), dim=0)
    return mean * unit, (var / len(table)).sqrt() * unit


# logaddexp folded over the draws
@right("one_truth.importance")
def importance(log_w):
    n = log_w.shape[1]
    return sum(log_w.unbind(1)) / n, functools.reduce(torch.logaddexp, log_w.unbind(1)) - math.log(n)


# NumPy with sort, the largest taken out, log1p of the rest
@right("one_truth.importance")
def importance(log_w):
    w = np.sort(np.asarray(log_w), axis=1)
    top = w[:, -1]
    rest = np.exp(w[:, :-1] - top[:, None]).sum(1)
    return np.asarray(log_w).mean(1), top + np.log1p(rest) - np.log(w.shape[1])


# pdist means
@right("one_truth.energy")
def energy(x, y):
    return 2 * torch.cdist(x, y).mean() - F.pdist(x).mean() - F.pdist(y).mean()


# loop over the points, each against the others, vector_norm
@right("one_truth.energy")
def energy(x, y):
    def inside(a):
        rows = []
        for i in range(len(a)):
            others = torch.cat([a[:i], a[i + 1 :]])
            rows.append(torch.linalg.vector_norm(others - a[i], dim=1).mean())
        return torch.stack(rows).mean()

    across = torch.stack([torch.linalg.vector_norm(y - p, dim=1).mean() for p in x]).mean()
    return (across - inside(x)) + (across - inside(y))


# observed deal as one more row of orders, plain float from a mean
@right("one_truth.p_value")
def p_value(x, y, orders, statistic):
    n, m = x.shape[0], y.shape[0]
    rows = torch.vstack([torch.arange(n + m)[None], orders])
    both = torch.cat([x, y])
    values = []
    for row in rows:
        first, second = both.index_select(0, row).split([n, m])
        values.append(float(statistic(first, second)))
    return sum(v >= values[0] for v in values) / len(values)


# a closure handed to optimizer.step
@right("one_truth.step")
def step(G, optimizer, z, y, distance):
    def closure():
        G.zero_grad()
        loss = distance(G(z), y)
        loss.backward()
        return loss

    return optimizer.step(closure).detach()


# torch.autograd.grad put into .grad, loss as a Python number
@right("one_truth.step")
def step(G, optimizer, z, y, distance):
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    loss = distance(G(z), y)
    for p, g in zip(weights, torch.autograd.grad(loss, weights)):
        p.grad = g
    optimizer.step()
    return loss.item()
