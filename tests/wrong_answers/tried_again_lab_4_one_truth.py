"""Further answers to lab_4_one_truth, as they were tried on it."""
# ruff: noqa
# pyright: reportRedeclaration=false, reportAttributeAccessIssue=false, reportAssignmentType=false
# pyright: reportGeneralTypeIssues=false, reportAssertAlwaysTrue=false, reportUnusedExpression=false
# pyright: reportOptionalSubscript=false

from . import right, wrong

import math

import numpy as np

import torch

import torch.nn.functional as F

from torch.distributions import MultivariateNormal


# no root
@wrong("one_truth.distances", "squared")
def _(x, means, covs):
    a = x[:, None] - means[None]
    return torch.einsum("bki,kij,bkj->bk", a, torch.linalg.inv(covs), a)


# covariance not inverted
@wrong("one_truth.distances", "not_inverted")
def _(x, means, covs):
    a = x[:, None] - means[None]
    return torch.einsum("bki,kij,bkj->bk", a, covs, a).sqrt()


# only the diagonal of covs, correlations ignored
@wrong("one_truth.distances", "diagonal_only")
def _(x, means, covs):
    var = torch.diagonal(covs, dim1=-2, dim2=-1)
    return (((x[:, None] - means) ** 2) / var).sum(-1).sqrt()


# Cholesky: solves with L transposed instead of L
@wrong("one_truth.distances", "factor_transposed")
def _(x, means, covs):
    L = torch.linalg.cholesky(covs)
    out = []
    for k in range(len(means)):
        u = torch.linalg.solve_triangular(L[k].T, (x - means[k]).T, upper=True)
        out.append(u.norm(dim=0))
    return torch.stack(out, 1)


# mean over D instead of sum (RMS)
@wrong("one_truth.distances", "averaged")
def _(x, means, covs):
    a = x[:, None] - means
    s = torch.einsum("kij,bkj->bki", torch.linalg.inv(covs), a)
    return (a * s).mean(-1).sqrt()


# the first component's covariance for all
@wrong("one_truth.distances", "first_covariance")
def _(x, means, covs):
    a = x[:, None] - means
    return torch.einsum("bki,ij,bkj->bk", a, torch.linalg.inv(covs[0]), a).sqrt()


# result (K, B) instead of (B, K)
@wrong("one_truth.distances", "transposed")
def _(x, means, covs):
    rows = []
    for m, c in zip(means, covs):
        a = x - m
        rows.append(((a @ torch.linalg.inv(c)) * a).sum(1).sqrt())
    return torch.stack(rows)


# Cholesky loop over components
@right("one_truth.distances")
def _(x, means, covs):
    out = []
    for m, c in zip(means, covs):
        L = torch.linalg.cholesky(c)
        out.append(torch.linalg.solve_triangular(L, (x - m).T, upper=False).norm(dim=0))
    return torch.stack(out, 1)


# from MultivariateNormal.log_prob, constants taken back
@right("one_truth.distances")
def _(x, means, covs):
    d = MultivariateNormal(means, covs)
    top = d.log_prob(means)
    return (2 * (top - d.log_prob(x[:, None]))).clamp(min=0).sqrt()


# eigenvectors, coordinates divided by standard deviations
@right("one_truth.distances")
def _(x, means, covs):
    lam, V = torch.linalg.eigh(covs)
    coord = torch.einsum("kij,bki->bkj", V, x[:, None] - means)
    return (coord / lam.sqrt()).pow(2).sum(-1).sqrt()


# determinant left out
@wrong("one_truth.responsibilities", "no_determinant")
def _(distance, covs, weights):
    return (weights.log() - 0.5 * distance**2).softmax(1)


# det instead of root of det (log det without 1/2)
@wrong("one_truth.responsibilities", "determinant_without_root")
def _(distance, covs, weights):
    return (weights.log() - torch.logdet(covs) - 0.5 * distance**2).softmax(1)


# distance not squared
@wrong("one_truth.responsibilities", "not_squared")
def _(distance, covs, weights):
    return (weights.log() - 0.5 * torch.logdet(covs) - 0.5 * distance).softmax(1)


# weights forgotten
@wrong("one_truth.responsibilities", "no_weights")
def _(distance, covs, weights):
    return (-0.5 * torch.logdet(covs) - 0.5 * distance**2).softmax(1)


# softmax over the points (dim 0)
@wrong("one_truth.responsibilities", "over_the_batch")
def _(distance, covs, weights):
    return (weights.log() - 0.5 * torch.logdet(covs) - 0.5 * distance**2).softmax(0)


# densities themselves, 0/0 far away
@wrong("one_truth.responsibilities", "zero_over_zero")
def _(distance, covs, weights):
    p = weights * torch.exp(-(distance**2) / 2) / (2 * math.pi * torch.linalg.det(covs).sqrt())
    return p / p.sum(1, keepdim=True)


# weights added instead of their logarithm
@wrong("one_truth.responsibilities", "weights_not_logged")
def _(distance, covs, weights):
    return (weights - 0.5 * torch.logdet(covs) - 0.5 * distance**2).softmax(1)


# loop over j, sum of exp of differences
@right("one_truth.responsibilities")
def _(distance, covs, weights):
    lj = weights.log() - 0.5 * torch.log(torch.linalg.det(covs)) - distance.square() / 2
    cols = []
    for k in range(lj.shape[1]):
        cols.append(1 / torch.exp(lj - lj[:, k : k + 1]).sum(1))
    return torch.stack(cols, 1)


# NumPy, max subtracted
@right("one_truth.responsibilities")
def _(distance, covs, weights):
    d, c, w = (np.asarray(a) for a in (distance, covs, weights))
    lj = np.log(w) - 0.5 * np.linalg.slogdet(c)[1] - d**2 / 2
    e = np.exp(lj - lj.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


# average over near points only
@wrong("one_truth.coverage", "of_the_near")
def _(responsibility, near, weights, found_at):
    share = responsibility[near].mean(0)
    return share, (share >= found_at * weights).to(share)


# hard assignment by argmax
@wrong("one_truth.coverage", "most_likely")
def _(responsibility, near, weights, found_at):
    hard = F.one_hot(responsibility.argmax(1), len(weights)).to(responsibility)
    share = (hard * near[:, None]).mean(0)
    return share, (share >= found_at * weights).to(share)


# sum instead of mean
@wrong("one_truth.coverage", "summed")
def _(responsibility, near, weights, found_at):
    share = (responsibility * near[:, None]).sum(0)
    return share, (share >= found_at * weights).to(share)


# matrix product, found as bool to float by torch.where
@right("one_truth.coverage")
def _(responsibility, near, weights, found_at):
    share = near.to(responsibility) @ responsibility / near.numel()
    one, zero = torch.ones_like(share), torch.zeros_like(share)
    return share, torch.where(share < found_at * weights, zero, one)


# clone and zero the astray rows in place
@right("one_truth.coverage")
def _(responsibility, near, weights, found_at):
    r = responsibility.clone()
    r[~near] = 0
    share = r.mean(0)
    return share, (share >= found_at * weights).int()


# sign: log p_theta - log p
@wrong("one_truth.gap", "turned_round")
def _(log_p, log_p_theta):
    d = log_p_theta - log_p
    return d.mean(), d.std() / math.sqrt(len(d))


# errors of the two averages in quadrature, as if independent
@wrong("one_truth.gap", "not_paired")
def _(log_p, log_p_theta):
    n = len(log_p)
    return (log_p - log_p_theta).mean(), ((log_p.var() + log_p_theta.var()) / n).sqrt()


# weighted with p once more, as in the sum formula of KL
@wrong("one_truth.gap", "weighted_again")
def _(log_p, log_p_theta):
    d = log_p - log_p_theta
    return (log_p.exp() * d).mean(), d.std() / math.sqrt(len(d))


# variance divides by B
@wrong("one_truth.gap", "biased_deviation")
def _(log_p, log_p_theta):
    d = log_p - log_p_theta
    return d.mean(), d.std(unbiased=False) / math.sqrt(len(d))


# absolute differences, because KL >= 0
@wrong("one_truth.gap", "absolute")
def _(log_p, log_p_theta):
    d = (log_p - log_p_theta).abs()
    return d.mean(), d.std() / math.sqrt(len(d))


# covariance formula for the variance of the difference
@right("one_truth.gap")
def _(log_p, log_p_theta):
    c = torch.stack([log_p, log_p_theta]).cov()
    var = c[0, 0] + c[1, 1] - 2 * c[0, 1]
    return log_p.mean() - log_p_theta.mean(), (var / log_p.shape[0]).sqrt()


# loop with Welford
@right("one_truth.gap")
def _(log_p, log_p_theta):
    mean, m2 = 0.0, 0.0
    for i, d in enumerate((log_p - log_p_theta).tolist(), 1):
        old = mean
        mean += (d - old) / i
        m2 += (d - old) * (d - mean)
    return mean, math.sqrt(m2 / (i - 1) / i)


# mean over steps instead of sum
@wrong("one_truth.bound_gap", "steps_averaged")
def _(log_p, L_T, L_t, L_0, dims):
    s = dims * math.log(2) * (L_T + L_t.mean(1) + L_0) + log_p
    return s.mean(), s.std() / len(s) ** 0.5


# error from the bound alone, log p left out of it
@wrong("one_truth.bound_gap", "error_of_the_bound")
def _(log_p, L_T, L_t, L_0, dims):
    b = dims * math.log(2) * (L_T + L_t.sum(1) + L_0)
    return (b + log_p).mean(), b.std() / len(b) ** 0.5


# one tensor of all terms, log of 2**dims
@right("one_truth.bound_gap")
def _(log_p, L_T, L_t, L_0, dims):
    terms = torch.cat([L_T[:, None], L_t, L_0[:, None]], 1)
    s = terms.sum(1) * math.log(2**dims) + log_p
    return s.mean(), s.var().div(s.numel()).sqrt()


# NumPy with ddof=1
@right("one_truth.bound_gap")
def _(log_p, L_T, L_t, L_0, dims):
    lp, a, b, c = (np.asarray(v, dtype=np.float64) for v in (log_p, L_T, L_t, L_0))
    s = (a + b.sum(-1) + c) * dims / np.log2(np.e) + lp
    return s.mean(), s.std(ddof=1) / np.sqrt(s.size)


# over the points (dim 0)
@wrong("one_truth.importance", "over_the_points")
def _(log_w):
    return log_w.mean(0), log_w.logsumexp(0) - math.log(log_w.shape[0])


# one maximum for the whole batch
@wrong("one_truth.importance", "largest_of_the_batch")
def _(log_w):
    m = log_w.max()
    return log_w.mean(1), m + (log_w - m).exp().mean(1).log()


# maximum subtracted, not added again
@wrong("one_truth.importance", "largest_left_out")
def _(log_w):
    m = log_w.amax(1, keepdim=True)
    return log_w.mean(1), (log_w - m).exp().mean(1).log()


# logsumexp divided by n instead of minus log n
@wrong("one_truth.importance", "log_divided")
def _(log_w):
    return log_w.mean(1), log_w.logsumexp(1) / log_w.shape[1]


# logaddexp recursion over draws
@right("one_truth.importance")
def _(log_w):
    acc = log_w[:, 0].clone()
    for j in range(1, log_w.shape[1]):
        acc = torch.logaddexp(acc, log_w[:, j])
    return log_w.sum(1) / log_w.shape[1], acc - math.log(log_w.shape[1])


# elbo plus log mean exp of deviations from the row's maximum
@right("one_truth.importance")
def _(log_w):
    rows = []
    for r in log_w:
        rows.append(r.max() + torch.log(torch.mean(torch.exp(r - r.max()))))
    return torch.mean(log_w, -1), torch.stack(rows)


# factor 2 forgotten
@wrong("one_truth.energy", "no_two")
def _(x, y):
    n, m = len(x), len(y)
    return torch.cdist(x, y).mean() - torch.cdist(x, x).sum() / (n * (n - 1)) - torch.cdist(y, y).sum() / (m * (m - 1))


# squared distances
@wrong("one_truth.energy", "squared")
def _(x, y):
    n, m = len(x), len(y)
    d = lambda a, b: torch.cdist(a, b) ** 2
    return 2 * d(x, y).mean() - d(x, x).sum() / (n * (n - 1)) - d(y, y).sum() / (m * (m - 1))


# different pairs chosen by distance > 0
@wrong("one_truth.energy", "above_zero")
def _(x, y):
    def inside(a):
        d = torch.cdist(a, a)
        return d[d > 0].mean()

    return 2 * torch.cdist(x, y).mean() - inside(x) - inside(y)


# upper triangle summed, divided by n(n-1)
@wrong("one_truth.energy", "pairs_once")
def _(x, y):
    n, m = len(x), len(y)
    return (
        2 * torch.cdist(x, y).mean()
        - torch.cdist(x, x).triu(1).sum() / (n * (n - 1))
        - torch.cdist(y, y).triu(1).sum() / (m * (m - 1))
    )


# root of sum of squares masked afterwards: NaN gradients
@wrong("one_truth.energy", "nan_gradient")
def _(x, y):
    def d(a, b):
        return ((a[:, None] - b[None]) ** 2).sum(-1).sqrt()

    def inside(a):
        off = ~torch.eye(len(a), dtype=torch.bool)
        return d(a, a)[off].mean()

    return 2 * d(x, y).mean() - inside(x) - inside(y)


# loops over points, the own one cut out
@right("one_truth.energy")
def _(x, y):
    def inside(a):
        tot = 0
        for i in range(len(a)):
            rest = torch.cat([a[:i], a[i + 1 :]])
            tot = tot + (rest - a[i]).norm(dim=1).mean()
        return tot / len(a)

    cross = torch.stack([(y - p).norm(dim=1).mean() for p in x]).mean()
    return cross + cross - inside(x) - inside(y)


# V-statistic corrected by n/(n-1)
@right("one_truth.energy")
def _(x, y):
    n, m = x.shape[0], y.shape[0]
    return (
        2 * torch.cdist(x, y).mean() - torch.cdist(x, x).mean() * n / (n - 1) - torch.cdist(y, y).mean() * m / (m - 1)
    )


def _stats(x, y, orders, statistic):
    z, n = torch.cat([x, y]), len(x)
    return torch.stack([statistic(z[o[:n]], z[o[n:]]) for o in orders])


# no 1 + above and below: plain share of shuffles
@wrong("one_truth.p_value", "observed_left_out")
def _(x, y, orders, statistic):
    return (_stats(x, y, orders, statistic) >= statistic(x, y)).double().mean()


# 1 + forgotten below: divided by R
@wrong("one_truth.p_value", "one_above_only")
def _(x, y, orders, statistic):
    s = _stats(x, y, orders, statistic)
    return (1 + (s >= statistic(x, y)).sum()) / len(orders)


# > instead of >=
@wrong("one_truth.p_value", "ties_left_out")
def _(x, y, orders, statistic):
    s = _stats(x, y, orders, statistic)
    return (1 + (s > statistic(x, y)).sum()) / (1 + len(orders))


# <= : the wrong tail
@wrong("one_truth.p_value", "smaller_counted")
def _(x, y, orders, statistic):
    s = _stats(x, y, orders, statistic)
    return (1 + (s <= statistic(x, y)).sum()) / (1 + len(orders))


# two-sided: absolute values compared
@wrong("one_truth.p_value", "absolute_values")
def _(x, y, orders, statistic):
    s = _stats(x, y, orders, statistic)
    return (1 + (s.abs() >= statistic(x, y).abs()).sum()) / (1 + len(orders))


# pooled in the wrong order: y before x
@wrong("one_truth.p_value", "y_first")
def _(x, y, orders, statistic):
    z, n = torch.cat([y, x]), len(x)
    s = torch.stack([statistic(z[o[:n]], z[o[n:]]) for o in orders])
    return (1 + (s >= statistic(x, y)).sum()) / (1 + len(orders))


# split in half instead of at n
@wrong("one_truth.p_value", "split_in_half")
def _(x, y, orders, statistic):
    z = torch.cat([x, y])
    h = len(z) // 2
    s = torch.stack([statistic(z[o[:h]], z[o[h:]]) for o in orders])
    return (1 + (s >= statistic(x, y)).sum()) / (1 + len(orders))


# counting loop, plain number
@right("one_truth.p_value")
def _(x, y, orders, statistic):
    z = torch.vstack((x, y))
    obs = float(statistic(x, y))
    hits = 1
    for row in orders.tolist():
        first, second = z[row[: len(x)]], z[row[-len(y) :]]
        hits += float(statistic(first, second)) >= obs
    return hits / (len(orders) + 1)


# the observed deal put in as one more row
@right("one_truth.p_value")
def _(x, y, orders, statistic):
    z, n = torch.cat([x, y]), len(x)
    rows = torch.cat([torch.arange(len(z))[None], orders])
    s = torch.stack([statistic(*z[r].split([n, len(z) - n])) for r in rows])
    return (s >= s[0]).double().mean()


# zero_grad forgotten
@wrong("one_truth.step", "piled_up")
def _(G, optimizer, z, y, distance):
    loss = distance(G(z), y)
    loss.backward()
    optimizer.step()
    return loss.detach()


# the loss after the step is returned
@wrong("one_truth.step", "loss_afterwards")
def _(G, optimizer, z, y, distance):
    loss = distance(G(z), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return distance(G(z), y).detach()


# minus: distance made larger
@wrong("one_truth.step", "uphill")
def _(G, optimizer, z, y, distance):
    loss = -distance(G(z), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return -loss.detach()


# optimizer.step forgotten
@wrong("one_truth.step", "no_step")
def _(G, optimizer, z, y, distance):
    optimizer.zero_grad()
    loss = distance(G(z), y)
    loss.backward()
    return loss.detach()


# samples detached, as for a discriminator
@wrong("one_truth.step", "cut_off")
def _(G, optimizer, z, y, distance):
    optimizer.zero_grad()
    loss = distance(G(z).detach(), y)
    loss.requires_grad_(True)
    loss.backward()
    optimizer.step()
    return loss.detach()


# gradients by autograd.grad put into .grad
@right("one_truth.step")
def _(G, optimizer, z, y, distance):
    params = [p for g in optimizer.param_groups for p in g["params"]]
    loss = distance(G(z), y)
    for p, g in zip(params, torch.autograd.grad(loss, params)):
        p.grad = g
    optimizer.step()
    return loss.item()


# closure given to optimizer.step
@right("one_truth.step")
def _(G, optimizer, z, y, distance):
    def closure():
        optimizer.zero_grad()
        loss = distance(G(z), y)
        loss.backward()
        return loss

    return optimizer.step(closure).detach()
