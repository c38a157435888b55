"""How far a point is from each component, in that component's own deviations. Lecture 07, section 2."""

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_4_one_truth.given import FLOAT32_TOL, components, mahalanobis, normal, uniform
from gencourse.checks.spec import Exercise
from genlib.data import GaussianMixture


def _own_distances(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    away = x[:, None] - means  # (B, K, D): an axis for the points, one for the components
    return torch.einsum("bkd,kde,bke->bk", away, torch.linalg.inv(covs), away).sqrt()


DISTANCES = Exercise(
    "one_truth.distances",
    _own_distances,
    returns=["d"],
    batched=["x"],
    plain=True,
    second="x[:, None] − means is (B, K, D): every point's difference from every mean. For each b and k, multiply it "
    "from both sides to the inverse of covs[k] (torch.linalg.inv takes all of them at once), and take the root.",
    why="Who asks how far astray a sample is has to say in which unit, and the truth brings its own.",
)


@DISTANCES.pace
def _(g: Generator) -> tuple[Tensor, ...]:
    means, covs, _ = components(7, 2, g)
    return normal((20_000, 2), g), means, covs


@DISTANCES.check(
    "a point r deviations along an axis of a component is r away from it",
    "Each component has its own unit: its deviation in the direction of the point. The inverse of Σ_k holds it.",
)
def _(answer: Answer, g: Generator) -> None:
    means, covs, _ = components(4, 2, g)
    r = uniform(0.5, 4, g, 4)
    variances, axes = torch.linalg.eigh(covs)
    x = means + (r * variances[:, 0].sqrt())[:, None] * axes[:, :, 0]
    d = answer(torch.cat([x, normal((1, 2), g)]), means, covs)
    answer.agrees("d[k, k]", r, d.diagonal())


@DISTANCES.check(
    "it is √((x − μ_k)ᵀ Σ_k⁻¹ (x − μ_k)), for every point and every component",
    "Which axes are summed, and which are kept? d is (B, K).",
)
def _(answer: Answer, g: Generator) -> None:
    for B, K in ((5, 3), (4, 6)):
        means, covs, _ = components(K, 2, g)
        x = 2 * normal((B, 2), g)
        answer.gives([x, means, covs], mahalanobis(x, means, covs))


@DISTANCES.check(
    "a linear map of the plane changes no distance",
    "Points, means and covariances are all mapped: Σ becomes A Σ Aᵀ. Metres or inches, d is the same.",
)
def _(answer: Answer, g: Generator) -> None:
    means, covs, _ = components(3, 2, g)
    x, A = normal((4, 2), g), normal((2, 2), g) + 2 * torch.eye(2, dtype=torch.float64)
    expected = mahalanobis(x, means, covs)
    answer.gives([x @ A.T, means @ A.T, A @ covs @ A.T], expected, tol=1e-7)


@DISTANCES.check(
    "a point in a component's middle is at a distance of 0 from it, and that is a number",
    "Of terms that cancel, rounding may leave a little less than 0, which has no root. Take x − μ before you square.",
)
def _(answer: Answer, g: Generator) -> None:
    means, covs, _ = components(200, 2, g)
    x = means[:1] + 1e-9 * normal((1, 2), g)  # nearly, so that roundings differ; the tolerance is the root of one
    answer.gives([x, means[:1].expand(200, 2).clone(), covs], torch.zeros(1, 200), tol=1e-5)


@DISTANCES.check(
    "it takes any number of dimensions and of components, and float32",
    "K and D are in the shapes of the arguments.",
)
def _(answer: Answer, g: Generator) -> None:
    for K, D in ((1, 3), (6, 5)):
        means, covs, _ = components(K, D, g)
        x = normal((4, D), g)
        answer.gives([x, means, covs], mahalanobis(x, means, covs))
        narrow = [a.float() for a in (x, means, covs)]
        answer.gives(narrow, mahalanobis(*(a.double() for a in narrow)), tol=100 * FLOAT32_TOL)


@DISTANCES.check(
    "it agrees with genlib",
    "Compare with data.GaussianMixture: for one component, d² = 2 log p(μ) − 2 log p(x).",
)
def _(answer: Answer, g: Generator) -> None:
    means, covs, _ = components(1, 2, g)
    x = normal((6, 2), g)
    p = GaussianMixture(means, covs)
    answer.gives([x, means, covs], (2 * (p.log_prob(means) - p.log_prob(x))).sqrt()[:, None], tol=1e-7)


@DISTANCES.mistake("This is d². A distance is its root.")
def squared(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    return _own_distances(x, means, covs) ** 2


@DISTANCES.mistake("These are plain distances, the same unit for all. A narrow component is further away: use Σ_k.")
def euclidean(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    return (x[:, None] - means).norm(dim=-1)


@DISTANCES.mistake(
    "Σ_k itself stands in the middle here. A wide component would be far away: which matrix belongs there?"
)
def not_inverted(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    away = x[:, None] - means
    return torch.einsum("bkd,kde,bke->bk", away, covs, away).sqrt()


@DISTANCES.mistake("Only the diagonals of the Σ_k are used: that forgets at which angle a component lies.")
def diagonal_only(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    return ((x[:, None] - means) / covs.diagonal(dim1=1, dim2=2).sqrt()).norm(dim=-1)


@DISTANCES.mistake("The differences are divided by variances. A distance in deviations has their roots below it.")
def divided_by_variances(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    return ((x[:, None] - means) / covs.diagonal(dim1=1, dim2=2)).norm(dim=-1)


@DISTANCES.mistake(
    "The Cholesky factor is turned. With Σ = L Lᵀ: which of the two, undone, leaves x − μ with the covariance I?"
)
def factor_transposed(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    L = torch.linalg.cholesky(covs)
    return torch.linalg.solve_triangular(L.mT, (x[:, None] - means)[..., None], upper=True)[..., 0].norm(dim=-1)


@DISTANCES.mistake(
    "An index is used twice: each coordinate of x − μ, squared, meets a whole row of Σ⁻¹. Left and right of the matrix "
    "x − μ needs an index of its own."
)
def index_repeated(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    away = x[:, None] - means
    return torch.einsum("bki,kij,bki->bk", away, torch.linalg.inv(covs), away).abs().sqrt()


@DISTANCES.mistake("Only the diagonals of the Σ_k⁻¹ are used. What stands beside them belongs to products d_i d_j.")
def diagonal_of_the_inverse(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    away = x[:, None] - means
    return torch.einsum("bki,kii,bki->bk", away, torch.linalg.inv(covs), away).sqrt()


@DISTANCES.mistake("x − μ stands on one side of Σ⁻¹ only, and its coordinates cancel. A square has it on both.")
def one_side_only(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    return torch.einsum("kde,bke->bk", torch.linalg.inv(covs), x[:, None] - means).abs().sqrt()


@DISTANCES.mistake("All components are measured with the covariance of the first. Each has its own.")
def first_covariance(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    return _own_distances(x, means, covs[:1].expand_as(covs))


@DISTANCES.mistake("Only the nearest component is left. All distances were asked for: (B, K).")
def nearest_only(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    return _own_distances(x, means, covs).min(dim=1).values


@DISTANCES.mistake("Rows and columns have changed places: points come first, (B, K).")
def transposed(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    return _own_distances(x, means, covs).T


@DISTANCES.mistake("Too small by √D. Is the sum over the coordinates averaged, or halved, as in a Gaussian's exponent?")
def averaged(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    return _own_distances(x, means, covs) / x.shape[1] ** 0.5


@DISTANCES.mistake("The coordinates are added up before they are squared, and cancel one another.")
def added_first(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    away = (x[:, None] - means)[..., None]
    return torch.linalg.solve_triangular(torch.linalg.cholesky(covs), away, upper=False)[..., 0].sum(-1).abs()


def _white(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    """The differences in the components' own units, (B, K, D), by the symmetric root of Σ⁻¹."""
    variances, axes = torch.linalg.eigh(covs)
    root = axes @ torch.diag_embed(variances.rsqrt()) @ axes.mT
    return torch.einsum("kde,bke->bkd", root, x[:, None] - means)


@DISTANCES.mistake("Σ⁻¹(x − μ) is there, and then its length: that undoes the deviations twice. Once was to be enough.")
def whole_inverse(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    return torch.einsum("kde,bke->bkd", torch.linalg.inv(covs), x[:, None] - means).norm(dim=-1)


@DISTANCES.mistake("1/Σ is taken entry by entry. The inverse of a matrix is another one: what does Σ times it give?")
def entries_inverted(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    away = x[:, None] - means
    return torch.einsum("bkd,kde,bke->bk", away, 1 / covs, away).sqrt()


@DISTANCES.mistake("This is d²/2, as it stands in a Gaussian's exponent. The distance itself was asked for.")
def exponent(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    return _own_distances(x, means, covs).square() / 2


@DISTANCES.mistake(
    "All components are measured with the covariance of the last. Is it taken after a loop, or kept in one?"
)
def last_covariance(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    return _own_distances(x, means, covs[-1:].expand_as(covs))


@DISTANCES.mistake("All components are measured with the average covariance. Each has its own.")
def mean_covariance(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    return _own_distances(x, means, covs.mean(0, keepdim=True).expand_as(covs))


@DISTANCES.mistake(
    "Each component gets one unit for all directions, from its trace or its determinant. A long one has another "
    "deviation in each direction: which matrix knows them all?"
)
def round_components(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    return (x[:, None] - means).norm(dim=-1) / covs.diagonal(dim1=1, dim2=2).mean(1).sqrt()


@DISTANCES.mistake(
    "Each component gets one unit for all directions, its determinant. A long one has another deviation in each "
    "direction: which matrix knows them all?"
)
def units_of_area(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    return (x[:, None] - means).norm(dim=-1) / torch.logdet(covs).div(2 * x.shape[1]).exp()


@DISTANCES.mistake("Each component gets one unit for all directions, its longest. A long one is thin the other way.")
def longest_axis(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    return (x[:, None] - means).norm(dim=-1) / torch.linalg.eigvalsh(covs)[:, -1].sqrt()


@DISTANCES.mistake("Multiplied by the factor of Σ, and not by its inverse: a wide component would be far away.")
def factor_not_undone(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    return torch.einsum("kde,bke->bkd", torch.linalg.cholesky(covs), x[:, None] - means).norm(dim=-1)


@DISTANCES.mistake("The means are not subtracted: this is how far the points are from the origin.")
def means_left_out(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    return _own_distances(x, torch.zeros_like(means), covs)


@DISTANCES.mistake("x + μ stands there. How far x is from μ, a difference says.")
def means_added(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    return _own_distances(x, -means, covs)


@DISTANCES.mistake("Something small is added to the covariances. They can be inverted as they are.")
def covariances_widened(x: Tensor, means: Tensor, covs: Tensor) -> Tensor:
    return _own_distances(x, means, covs + 1e-3 * torch.eye(covs.shape[-1], dtype=covs.dtype))
