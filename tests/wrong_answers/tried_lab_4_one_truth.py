"""Further answers to lab_4_one_truth, as they were tried on it."""
# ruff: noqa
# pyright: reportRedeclaration=false, reportAttributeAccessIssue=false, reportAssignmentType=false
# pyright: reportGeneralTypeIssues=false, reportAssertAlwaysTrue=false, reportUnusedExpression=false
# pyright: reportOptionalSubscript=false

from . import right, wrong

import math

import torch

import numpy as np

ANSWERS = []


# multiplies by the covariance instead of its inverse
@wrong("one_truth.distances", "not_inverted")
def _(x, means, covs):
    d = x[:, None] - means
    return torch.einsum("bki,kij,bkj->bk", d, covs, d).sqrt()


# variances on the diagonal only, correlation ignored
@wrong("one_truth.distances", "diagonal_only")
def _(x, means, covs):
    d = x[:, None] - means
    var = covs.diagonal(dim1=1, dim2=2)
    return (d**2 / var).sum(-1).sqrt()


# |inv(cov) (x - mean)|: whole inverse instead of its half power
@wrong("one_truth.distances", "whole_inverse")
def _(x, means, covs):
    d = x[:, None] - means
    return torch.einsum("kij,bkj->bki", torch.linalg.inv(covs), d).norm(dim=-1)


# one width per component: Euclid / sqrt(mean variance)
@wrong("one_truth.distances", "round_components")
def _(x, means, covs):
    s = covs.diagonal(dim1=1, dim2=2).mean(1).sqrt()
    return torch.cdist(x, means) / s


# einsum with an index repeated: bki,kij,bki->bk
@wrong("one_truth.distances", "index_repeated")
def _(x, means, covs):
    d = x[:, None] - means
    return torch.einsum("bki,kij,bki->bk", d, torch.linalg.inv(covs), d).abs().sqrt()


# Cholesky factor transposed: solves L^T u = d
@wrong("one_truth.distances", "factor_transposed")
def _(x, means, covs):
    L = torch.linalg.cholesky(covs)
    d = (x[:, None] - means)[..., None]
    return torch.linalg.solve_triangular(L.mT.expand(len(x), *L.shape), d, upper=True)[..., 0].norm(dim=-1)


# transposed result (K, B)
@wrong("one_truth.distances", "transposed")
def _(x, means, covs):
    rows = []
    inv = torch.linalg.inv(covs)
    for k in range(len(means)):
        d = x - means[k]
        rows.append(((d @ inv[k]) * d).sum(1).sqrt())
    return torch.stack(rows)


# root of the mean over D instead of the sum
@wrong("one_truth.distances", "averaged")
def _(x, means, covs):
    d = x[:, None] - means
    q = torch.einsum("kij,bkj->bki", torch.linalg.inv(covs), d) * d
    return q.mean(-1).sqrt()


# in-place: x -= means[k] in the loop, so the shifts pile up and x is changed
@wrong("one_truth.distances", "in_place")
def _(x, means, covs):
    out = []
    for k in range(len(means)):
        x -= means[k]
        out.append(((x @ torch.linalg.inv(covs[k])) * x).sum(1).sqrt())
    return torch.stack(out, 1)


#
@right("one_truth.distances")
def _(x, means, covs):
    out = torch.zeros(len(x), len(means), dtype=x.dtype)
    for b in range(len(x)):
        for k in range(len(means)):
            d = x[b] - means[k]
            out[b, k] = torch.dot(d, torch.linalg.solve(covs[k], d)).clamp_min(0).sqrt()
    return out


#
@right("one_truth.distances")
def _(x, means, covs):
    val, vec = torch.linalg.eigh(covs)
    white = torch.einsum("kde,bkd->bke", vec, x[:, None] - means) / val.sqrt()
    return torch.linalg.vector_norm(white, dim=-1)


#
@right("one_truth.distances")
def _(x, means, covs):
    g = torch.distributions.MultivariateNormal(means, covs)
    D = x.shape[1]
    d2 = -2 * g.log_prob(x[:, None]) - torch.logdet(covs) - D * math.log(2 * math.pi)
    return d2.clamp_min(0).sqrt()


#
@right("one_truth.distances")
def _(x, means, covs):
    x, means, covs = (np.asarray(t) for t in (x, means, covs))
    L = np.linalg.cholesky(covs)
    u = np.linalg.solve(L[None], (x[:, None] - means[None])[..., None])[..., 0]
    return np.sqrt((u * u).sum(-1))


# determinant forgotten
@wrong("one_truth.responsibilities", "no_determinant")
def _(distance, covs, weights):
    return (weights.log() - distance**2 / 2).softmax(1)


# determinant without its root (logdet not halved)
@wrong("one_truth.responsibilities", "determinant_without_root")
def _(distance, covs, weights):
    return (weights.log() - distance**2 / 2 - torch.logdet(covs)).softmax(1)


# exp(-d/2): distance taken as if squared already
@wrong("one_truth.responsibilities", "not_squared")
def _(distance, covs, weights):
    return (weights.log() - distance / 2 - torch.logdet(covs) / 2).softmax(1)


# exp(-d^2), the half forgotten
@wrong("one_truth.responsibilities", "no_half")
def _(distance, covs, weights):
    return (weights.log() - distance**2 - torch.logdet(covs) / 2).softmax(1)


# weights forgotten
@wrong("one_truth.responsibilities", "no_weights")
def _(distance, covs, weights):
    return (-(distance**2) / 2 - torch.logdet(covs) / 2).softmax(1)


# softmax over the points (axis 0)
@wrong("one_truth.responsibilities", "over_the_batch")
def _(distance, covs, weights):
    return (weights.log() - distance**2 / 2 - torch.logdet(covs) / 2).softmax(0)


# not normalised: the joint w_k N
@wrong("one_truth.responsibilities", "joint")
def _(distance, covs, weights):
    D = covs.shape[-1]
    return weights * torch.exp(-(distance**2) / 2) / ((2 * math.pi) ** (D / 2) * torch.linalg.det(covs).sqrt())


# sign of the log determinant wrong (+)
@wrong("one_truth.responsibilities", "determinant_turned")
def _(distance, covs, weights):
    return (weights.log() - distance**2 / 2 + torch.logdet(covs) / 2).softmax(1)


# weights not logged inside the softmax
@wrong("one_truth.responsibilities", "weights_not_logged")
def _(distance, covs, weights):
    return (weights - distance**2 / 2 - torch.logdet(covs) / 2).softmax(1)


# guards the quotient with + 1e-12, so far away rows are 0
@wrong("one_truth.responsibilities", "nothing_left")
def _(distance, covs, weights):
    p = weights * torch.exp(-(distance**2) / 2) / torch.linalg.det(covs).sqrt()
    return p / (p.sum(1, keepdim=True) + 1e-12)


#
@right("one_truth.responsibilities")
def _(distance, covs, weights):
    d, c, w = (np.asarray(t) for t in (distance, covs, weights))
    l = np.log(w) - 0.5 * d * d - 0.5 * np.linalg.slogdet(c)[1]
    e = np.exp(l - l.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


#
@right("one_truth.responsibilities")
def _(distance, covs, weights):
    l = weights.log() - distance**2 / 2 - torch.logdet(covs) / 2
    return 1 / (l[:, None, :] - l[:, :, None]).exp().sum(-1)  # sum_j exp(l_j - l_k)


#
@right("one_truth.responsibilities")
def _(distance, covs, weights):
    root = torch.linalg.cholesky(covs).diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return torch.distributions.Categorical(logits=torch.log(weights) - root - distance.square().mul(0.5)).probs


#
@right("one_truth.responsibilities")
def _(distance, covs, weights):
    def total(v):
        return v[0] if len(v) == 1 else torch.logaddexp(v[0], total(v[1:]))

    rows = []
    for row in distance:
        l = torch.stack(
            [
                weights[k].log() - row[k] ** 2 / 2 - torch.linalg.eigvalsh(covs[k]).log().sum() / 2
                for k in range(len(weights))
            ]
        )
        rows.append((l - total(l)).exp())
    return torch.stack(rows)


# hard assignment: counts argmax
@wrong("one_truth.coverage", "most_likely")
def _(responsibility, near, weights, found_at):
    best = responsibility.argmax(1)[near]
    share = torch.bincount(best, minlength=len(weights)).to(responsibility) / len(near)
    return share, (share >= found_at * weights).to(share)


# share returned as a multiple of the weight (share/weight)
@wrong("one_truth.coverage", "relative")
def _(responsibility, near, weights, found_at):
    share = (responsibility * near[:, None]).mean(0) / weights
    return share, (share >= found_at).to(share)


# near the wrong way round (~near)
@wrong("one_truth.coverage", "near_turned")
def _(responsibility, near, weights, found_at):
    share = (responsibility * (~near)[:, None]).mean(0)
    return share, (share >= found_at * weights).to(share)


# found_at not used: share >= weight
@wrong("one_truth.coverage", "whole_weight")
def _(responsibility, near, weights, found_at):
    share = (responsibility * near[:, None]).mean(0)
    return share, (share >= weights).to(share)


# shares right, but found judged by shares among the near points
@wrong("one_truth.coverage", "found_among_the_near")
def _(responsibility, near, weights, found_at):
    share = (responsibility * near[:, None]).mean(0)
    among = share / share.sum()
    return share, (among >= found_at * weights).to(share)


#
@right("one_truth.coverage")
def _(responsibility, near, weights, found_at):
    B, K = responsibility.shape
    share = [0.0] * K
    for b in range(B):
        if near[b]:
            for k in range(K):
                share[k] += float(responsibility[b, k])
    share = [s / B for s in share]
    found = [1 if s >= found_at * float(w) else 0 for s, w in zip(share, weights)]
    return torch.tensor(share, dtype=torch.float64), torch.tensor(found)


#
@right("one_truth.coverage")
def _(responsibility, near, weights, found_at):
    share = torch.einsum("bk,b->k", responsibility, near.to(responsibility)) / near.numel()
    return share, share.ge(weights * found_at)


#
@right("one_truth.coverage")
def _(responsibility, near, weights, found_at):
    share = near.double().mean() * responsibility[near].mean(0) if near.any() else torch.zeros_like(weights)
    return share, torch.where(share < found_at * weights, 0, 1)


#
@right("one_truth.coverage")
def _(responsibility, near, weights, found_at):
    r, n, w = np.asarray(responsibility), np.asarray(near), np.asarray(weights)
    share = np.where(n[:, None], r, 0).mean(axis=0)
    return share, (share >= found_at * w).astype(int)


# sign: log p_theta - log p
@wrong("one_truth.gap", "turned_round")
def _(log_p, log_p_theta):
    d = log_p_theta - log_p
    return d.mean(), d.std() / len(d) ** 0.5


# error is the deviation, not divided by sqrt(B)
@wrong("one_truth.gap", "deviation")
def _(log_p, log_p_theta):
    d = log_p - log_p_theta
    return d.mean(), d.std()


# error divided by B instead of sqrt(B)
@wrong("one_truth.gap", "divided_by_b")
def _(log_p, log_p_theta):
    d = log_p - log_p_theta
    return d.mean(), d.std() / len(d)


# variance instead of deviation: var / sqrt(B)
@wrong("one_truth.gap", "variance_over_root_b")
def _(log_p, log_p_theta):
    d = log_p - log_p_theta
    return d.mean(), d.var() / len(d) ** 0.5


# error as if on different points: sqrt((var p + var q)/B)
@wrong("one_truth.gap", "not_paired")
def _(log_p, log_p_theta):
    n = len(log_p)
    return log_p.mean() - log_p_theta.mean(), ((log_p.var() + log_p_theta.var()) / n).sqrt()


# deviation with B instead of B - 1 (numpy's default)
@wrong("one_truth.gap", "biased_deviation")
def _(log_p, log_p_theta):
    d = np.asarray(log_p) - np.asarray(log_p_theta)
    return d.mean(), d.std() / math.sqrt(len(d))


# in bits: divided by log 2
@wrong("one_truth.gap", "bits")
def _(log_p, log_p_theta):
    d = (log_p - log_p_theta) / math.log(2)
    return d.mean(), d.std() / len(d) ** 0.5


# weighted by p again: sum p (log p - log q) as in the book
@wrong("one_truth.gap", "weighted_again")
def _(log_p, log_p_theta):
    d = log_p.exp() * (log_p - log_p_theta)
    return d.mean(), d.std() / len(d) ** 0.5


# absolute differences, since KL is never below 0
@wrong("one_truth.gap", "absolute")
def _(log_p, log_p_theta):
    d = (log_p - log_p_theta).abs()
    return d.mean(), d.std() / len(d) ** 0.5


#
@right("one_truth.gap")
def _(log_p, log_p_theta):
    n, mean, m2 = 0, 0.0, 0.0
    for u, v in zip(log_p.tolist(), log_p_theta.tolist()):
        n += 1
        delta = (u - v) - mean
        mean += delta / n
        m2 += delta * ((u - v) - mean)
    return mean, math.sqrt(m2 / (n - 1) / n)


#
@right("one_truth.gap")
def _(log_p, log_p_theta):
    c = torch.stack([log_p, log_p_theta]).cov()
    var = c[0, 0] + c[1, 1] - 2 * c[0, 1]
    return log_p.mean() - log_p_theta.mean(), (var / log_p.numel()) ** 0.5


#
@right("one_truth.gap")
def _(log_p, log_p_theta):
    d = log_p - log_p_theta
    n = d.numel()
    gap = d.sum() / n
    pairs = (d[:, None] - d[None]).square().sum() / (2 * n * (n - 1))  # the variance, of pairs
    return gap, torch.sqrt(pairs / n)


# log 2 forgotten
@wrong("one_truth.bound_gap", "bits")
def _(log_p, L_T, L_t, L_0, dims):
    s = dims * (L_T + L_t.sum(1) + L_0) + log_p
    return s.mean(), s.std() / len(s) ** 0.5


# divides by log 2
@wrong("one_truth.bound_gap", "divided_by_log_2")
def _(log_p, L_T, L_t, L_0, dims):
    s = dims * (L_T + L_t.sum(1) + L_0) / math.log(2) + log_p
    return s.mean(), s.std() / len(s) ** 0.5


# dims forgotten
@wrong("one_truth.bound_gap", "nats_per_dimension")
def _(log_p, L_T, L_t, L_0, dims):
    s = math.log(2) * (L_T + L_t.sum(1) + L_0) + log_p
    return s.mean(), s.std() / len(s) ** 0.5


# L_t.sum() over everything, broadcast by accident
@wrong("one_truth.bound_gap", "summed_over_the_batch")
def _(log_p, L_T, L_t, L_0, dims):
    s = dims * math.log(2) * (L_T + L_t.sum() + L_0) + log_p
    return s.mean(), s.std() / len(s) ** 0.5


# minus log p instead of plus
@wrong("one_truth.bound_gap", "log_p_subtracted")
def _(log_p, L_T, L_t, L_0, dims):
    s = dims * math.log(2) * (L_T + L_t.sum(1) + L_0) - log_p
    return s.mean(), s.std() / len(s) ** 0.5


# log p inside the bracket: converted as if in bits per dimension, too
@wrong("one_truth.bound_gap", "log_p_converted")
def _(log_p, L_T, L_t, L_0, dims):
    s = dims * math.log(2) * (L_T + L_t.sum(1) + L_0 + log_p)
    return s.mean(), s.std() / len(s) ** 0.5


# first of the L_t left out (L_t[:, 1:])
@wrong("one_truth.bound_gap", "first_column_left_out")
def _(log_p, L_T, L_t, L_0, dims):
    s = dims * math.log(2) * (L_T + L_t[:, 1:].sum(1) + L_0) + log_p
    return s.mean(), s.std() / len(s) ** 0.5


# error of the bound alone, log p not in it
@wrong("one_truth.bound_gap", "error_of_the_bound")
def _(log_p, L_T, L_t, L_0, dims):
    bound = dims * math.log(2) * (L_T + L_t.sum(1) + L_0)
    return (bound + log_p).mean(), bound.std() / len(bound) ** 0.5


# D hard-coded as 2
@wrong("one_truth.bound_gap", "two_dimensions")
def _(log_p, L_T, L_t, L_0, dims):
    s = 2 * math.log(2) * (L_T + L_t.sum(1) + L_0) + log_p
    return s.mean(), s.std() / len(s) ** 0.5


#
@right("one_truth.bound_gap")
def _(log_p, L_T, L_t, L_0, dims):
    all_terms = torch.cat([L_T[:, None], L_t, L_0[:, None]], dim=1)
    nats = all_terms.sum(-1).mul(dims).mul(math.log(2))
    var, mean = torch.var_mean(nats + log_p)
    return mean, (var / len(log_p)).sqrt()


#
@right("one_truth.bound_gap")
def _(log_p, L_T, L_t, L_0, dims):
    ln2 = math.log(2)
    bits = dims * (L_T + torch.einsum("bt->b", L_t) + L_0) + log_p / ln2
    return bits.mean() * ln2, bits.std() * ln2 / math.sqrt(len(bits))


#
@right("one_truth.bound_gap")
def _(log_p, L_T, L_t, L_0, dims):
    log_p, L_T, L_t, L_0 = (np.asarray(t) for t in (log_p, L_T, L_t, L_0))
    s = L_T + L_0
    for t in range(L_t.shape[1]):
        s = s + L_t[:, t]
    s = s * dims / np.log2(np.e) + log_p
    return float(s.mean()), float(s.std(ddof=1) / np.sqrt(s.size))


# log n forgotten: logarithm of the sum
@wrong("one_truth.importance", "sum_of_weights")
def _(log_w):
    return log_w.mean(1), log_w.logsumexp(1)


# over the points (axis 0)
@wrong("one_truth.importance", "over_the_points")
def _(log_w):
    return log_w.mean(0), log_w.logsumexp(0) - math.log(len(log_w))


# log of B instead of n
@wrong("one_truth.importance", "number_of_points")
def _(log_w):
    return log_w.mean(1), log_w.logsumexp(1) - math.log(log_w.shape[0])


# largest weight taken out, but not put back
@wrong("one_truth.importance", "largest_left_out")
def _(log_w):
    top = log_w.amax(1, keepdim=True)
    return log_w.mean(1), (log_w - top).exp().mean(1).log()


# largest weight of all points taken out: other rows underflow
@wrong("one_truth.importance", "largest_of_the_batch")
def _(log_w):
    top = log_w.max()
    return log_w.mean(1), (log_w - top).exp().mean(1).log() + top


# returned in the other order
@wrong("one_truth.importance", "swapped")
def _(log_w):
    return log_w.logsumexp(1) - math.log(log_w.shape[1]), log_w.mean(1)


# divided by n after the logarithm: logsumexp / n
@wrong("one_truth.importance", "log_divided")
def _(log_w):
    n = log_w.shape[1]
    return log_w.mean(1), log_w.logsumexp(1) / n


# guarded with 1e-30 inside the log
@wrong("one_truth.importance", "unforeseen")
def _(log_w):
    return log_w.mean(1), (log_w.exp().mean(1) + 1e-30).log()


#
@right("one_truth.importance")
def _(log_w):
    def tree(c):
        if c.shape[1] == 1:
            return c[:, 0]
        h = c.shape[1] // 2
        return torch.logaddexp(tree(c[:, :h]), tree(c[:, h:]))

    n = log_w.shape[1]
    return log_w.sum(1) / n, tree(log_w) - math.log(n)


#
@right("one_truth.importance")
def _(log_w):
    n = log_w.size(-1)
    return log_w.mean(-1), log_w[:, 0] - log_w.log_softmax(-1)[:, 0] - math.log(n)


#
@right("one_truth.importance")
def _(log_w):
    elbo, est = [], []
    for row in log_w.tolist():
        n, m = len(row), max(row)
        elbo.append(math.fsum(row) / n)
        est.append(m + math.log(math.fsum(math.exp(v - m) for v in row) / n))
    return torch.tensor(elbo, dtype=torch.float64), torch.tensor(est, dtype=torch.float64)


def inner(x):
    return torch.cdist(x, x).sum() / (len(x) * (len(x) - 1))


# the 2 before E|x - y| forgotten
@wrong("one_truth.energy", "no_two")
def _(x, y):
    return torch.cdist(x, y).mean() - inner(x) - inner(y)


# n(n-1)/2 pairs but sums both triangles
@wrong("one_truth.energy", "inside_twice")
def _(x, y):
    n, m = len(x), len(y)
    xx = torch.cdist(x, x).sum() / (n * (n - 1) / 2)
    yy = torch.cdist(y, y).sum() / (m * (m - 1) / 2)
    return 2 * torch.cdist(x, y).mean() - xx - yy


# squared distances
@wrong("one_truth.energy", "squared")
def _(x, y):
    def d2(a, b):
        return (a[:, None] - b[None]).square().sum(-1)

    n, m = len(x), len(y)
    return 2 * d2(x, y).mean() - d2(x, x).sum() / (n * (n - 1)) - d2(y, y).sum() / (m * (m - 1))


# root of the whole at the end
@wrong("one_truth.energy", "root")
def _(x, y):
    return (2 * torch.cdist(x, y).mean() - inner(x) - inner(y)).clamp_min(0).sqrt()


# sum of coordinates' absolute differences (p=1) instead of length
@wrong("one_truth.energy", "city_block")
def _(x, y):
    n, m = len(x), len(y)
    xx = torch.cdist(x, x, p=1).sum() / (n * (n - 1))
    yy = torch.cdist(y, y, p=1).sum() / (m * (m - 1))
    return 2 * torch.cdist(x, y, p=1).mean() - xx - yy


# value right, but sqrt of 0 on the diagonal: nan gradients
@wrong("one_truth.energy", "nan_gradient")
def _(x, y):
    def d(a, b):
        return (a[:, None] - b[None]).square().sum(-1).sqrt()

    n, m = len(x), len(y)
    return 2 * d(x, y).mean() - d(x, x).sum() / (n * (n - 1)) - d(y, y).sum() / (m * (m - 1))


# y detached, since the truth needs no gradient
@wrong("one_truth.energy", "detached")
def _(x, y):
    y = y.detach()
    return 2 * torch.cdist(x, y).mean() - inner(x) - inner(y)


# zeros thrown out: d[d > 0].mean(), so twin points are not counted
@wrong("one_truth.energy", "above_zero")
def _(x, y):
    xx, yy = torch.cdist(x, x), torch.cdist(y, y)
    return 2 * torch.cdist(x, y).mean() - xx[xx > 0].mean() - yy[yy > 0].mean()


# n(n-1) for both samples
@wrong("one_truth.energy", "pairs_of_x")
def _(x, y):
    n = len(x)
    return 2 * torch.cdist(x, y).mean() - (torch.cdist(x, x).sum() + torch.cdist(y, y).sum()) / (n * (n - 1))


# adds the inner distances instead of subtracting
@wrong("one_truth.energy", "added")
def _(x, y):
    return 2 * torch.cdist(x, y).mean() + inner(x) + inner(y)


#
@right("one_truth.energy")
def _(x, y):
    def inside(a):
        i, j = torch.triu_indices(len(a), len(a), 1)
        return torch.linalg.vector_norm(a[i] - a[j], dim=1).mean()

    across = torch.stack([torch.linalg.vector_norm(p - y, dim=1).mean() for p in x]).mean()
    return across * 2 - inside(x) - inside(y)


#
@right("one_truth.energy")
def _(x, y):
    def mean_of(a, b, same):
        d2 = (a[:, None] - b[None]).square().sum(-1)
        if same:
            d2 = d2[~torch.eye(len(a), dtype=torch.bool)]
        return (d2 + 1e-24).sqrt().mean()

    return 2 * mean_of(x, y, False) - mean_of(x, x, True) - mean_of(y, y, True)


#
@right("one_truth.energy")
def _(x, y):
    n, m = len(x), len(y)
    pool = torch.cat([x, y])
    c = torch.cat([x.new_full((n,), 1 / n), y.new_full((m,), -1 / m)])
    W = -torch.outer(c, c)
    W[:n, :n] *= n / (n - 1)
    W[n:, n:] *= m / (m - 1)
    return torch.einsum("ij,ij->", W, torch.cdist(pool, pool, compute_mode="donot_use_mm_for_euclid_dist"))


def shuffled(x, y, orders, statistic):
    pool, n = torch.cat([x, y]), len(x)
    return torch.stack([torch.as_tensor(statistic(pool[o[:n]], pool[o[n:]])) for o in orders])


# > instead of >=
@wrong("one_truth.p_value", "ties_left_out")
def _(x, y, orders, statistic):
    s = shuffled(x, y, orders, statistic)
    return (1 + (s > statistic(x, y)).sum()) / (1 + len(orders))


# no ones: plain share of the shuffles
@wrong("one_truth.p_value", "observed_left_out")
def _(x, y, orders, statistic):
    s = shuffled(x, y, orders, statistic)
    return (s >= statistic(x, y)).double().mean()


# 1 added above only: divided by R
@wrong("one_truth.p_value", "one_above_only")
def _(x, y, orders, statistic):
    s = shuffled(x, y, orders, statistic)
    return (1 + (s >= statistic(x, y)).sum()) / len(orders)


# <= : the share that is less extreme
@wrong("one_truth.p_value", "smaller_counted")
def _(x, y, orders, statistic):
    s = shuffled(x, y, orders, statistic)
    return (1 + (s <= statistic(x, y)).sum()) / (1 + len(orders))


# only the first n are dealt anew; y stays
@wrong("one_truth.p_value", "y_kept")
def _(x, y, orders, statistic):
    pool, n = torch.cat([x, y]), len(x)
    s = torch.stack([torch.as_tensor(statistic(pool[o[:n]], y)) for o in orders])
    return (1 + (s >= statistic(x, y)).sum()) / (1 + len(orders))


# two-sided: absolute values
@wrong("one_truth.p_value", "absolute_values")
def _(x, y, orders, statistic):
    s = shuffled(x, y, orders, statistic)
    return (1 + (s.abs() >= abs(statistic(x, y))).sum()) / (1 + len(orders))


# cut in the middle of the pool: n = m assumed
@wrong("one_truth.p_value", "split_in_half")
def _(x, y, orders, statistic):
    pool = torch.cat([x, y])
    h = len(pool) // 2
    s = torch.stack([torch.as_tensor(statistic(pool[o[:h]], pool[o[h:]])) for o in orders])
    return (1 + (s >= statistic(x, y)).sum()) / (1 + len(orders))


# own shuffles, orders ignored but for their number
@wrong("one_truth.p_value", "random")
def _(x, y, orders, statistic):
    new = torch.stack([torch.randperm(len(x) + len(y)) for _ in orders])
    s = shuffled(x, y, new, statistic)
    return (1 + (s >= statistic(x, y)).sum()) / (1 + len(orders))


# R taken from the wrong axis: n + m
@wrong("one_truth.p_value", "number_of_points")
def _(x, y, orders, statistic):
    R = orders.shape[1]
    s = shuffled(x, y, orders, statistic)
    return (1 + (s >= statistic(x, y)).sum()) / (1 + R)


#
@right("one_truth.p_value")
def _(x, y, orders, statistic):
    s0, n, hits = float(statistic(x, y)), x.shape[0], 1
    pool = torch.vstack((x, y))
    for order in orders:
        mixed = pool.index_select(0, order)
        first, last = mixed.split([n, len(y)])
        hits += float(statistic(first, last)) >= s0
    return hits / (1 + orders.shape[0])


#
@right("one_truth.p_value")
def _(x, y, orders, statistic):
    pool, n = torch.cat([x, y]), len(x)
    first = torch.arange(len(pool))[None]
    deals = pool[torch.cat([first, orders])]  # the observed deal is the first of 1 + R
    s = torch.stack([torch.as_tensor(statistic(d[:n], d[n:])) for d in deals])
    return (s >= s[0]).double().mean()


#
@right("one_truth.p_value")
def _(x, y, orders, statistic):
    pool, n = torch.cat([x, y]), len(x)
    s = torch.func.vmap(lambda o: statistic(pool[o[:n]], pool[o[n:]]))(orders)
    return 1 - (s < statistic(x, y)).sum() / (1 + len(orders))


#
@right("one_truth.p_value")
def _(x, y, orders, statistic):
    def count(rows):
        if len(rows) == 0:
            return 0
        if len(rows) == 1:
            z = torch.cat([x, y])[rows[0]]
            return int(statistic(z[: len(x)], z[len(x) :]) >= seen)
        h = len(rows) // 2
        return count(rows[:h]) + count(rows[h:])

    seen = statistic(x, y)
    return torch.tensor((count(orders) + 1) / (len(orders) + 1), dtype=torch.float64)


# zero_grad between backward and step
@wrong("one_truth.step", "emptied_too_late")
def _(G, optimizer, z, y, distance):
    loss = distance(G(z), y)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.detach()


# zero_grad at the end only, what lay in .grad before counts
@wrong("one_truth.step", "piled_up")
def _(G, optimizer, z, y, distance):
    loss = distance(G(z), y)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.detach()


# returns the loss after the step
@wrong("one_truth.step", "loss_afterwards")
def _(G, optimizer, z, y, distance):
    optimizer.zero_grad()
    distance(G(z), y).backward()
    optimizer.step()
    with torch.no_grad():
        return distance(G(z), y)


# arguments swapped: distance(y, samples)
@wrong("one_truth.step", "places_changed")
def _(G, optimizer, z, y, distance):
    loss = distance(y, G(z))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


# samples detached, loss.requires_grad_() to silence the error
@wrong("one_truth.step", "cut_off")
def _(G, optimizer, z, y, distance):
    loss = distance(G(z).detach(), y).requires_grad_()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


# uphill: (-loss).backward()
@wrong("one_truth.step", "uphill")
def _(G, optimizer, z, y, distance):
    loss = distance(G(z), y)
    optimizer.zero_grad()
    (-loss).backward()
    optimizer.step()
    return loss.detach()


# optimizer.step() forgotten
@wrong("one_truth.step", "no_step")
def _(G, optimizer, z, y, distance):
    loss = distance(G(z), y)
    optimizer.zero_grad()
    loss.backward()
    return loss.detach()


# moves the weights by hand with a fixed rate, optimizer unused
@wrong("one_truth.step", "another_optimizer")
def _(G, optimizer, z, y, distance):
    optimizer.zero_grad()
    loss = distance(G(z), y)
    loss.backward()
    with torch.no_grad():
        for p in G.parameters():
            p -= 1e-3 * p.grad
    return loss.detach()


# draws its own noise instead of z
@wrong("one_truth.step", "random")
def _(G, optimizer, z, y, distance):
    loss = distance(G(torch.randn_like(z)), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


#
@right("one_truth.step")
def _(G, optimizer, z, y, distance):
    loss = distance(G(z), y)
    params = list(G.parameters())
    for p, g in zip(params, torch.autograd.grad(loss, params)):
        p.grad = g
    optimizer.step()
    return loss.item()


#
@right("one_truth.step")
def _(G, optimizer, z, y, distance):
    def closure():
        optimizer.zero_grad(set_to_none=False)
        loss = distance(G(z), y)
        loss.backward()
        return loss

    return optimizer.step(closure)


#
@right("one_truth.step")
def _(G, optimizer, z, y, distance):
    class Once:
        def __enter__(self):
            for group in optimizer.param_groups:
                for p in group["params"]:
                    p.grad = None

        def __exit__(self, *_):
            optimizer.step()
            G.zero_grad()

    with Once():
        loss = distance(G(z), y)
        loss.backward(retain_graph=True)
        kept = loss.detach().clone()
    return kept
