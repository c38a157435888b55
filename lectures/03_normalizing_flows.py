# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Normalizing flows
#
# *Can a network give every picture a probability, exactly, and still draw new ones?*
#
# **You will learn**
#
# - why a bijection spares us the integral over all latent codes;
# - how probability behaves when space is stretched, in one dimension and in many;
# - what a determinant costs, which matrices have a cheap one, and how a coupling layer is made of one of them;
# - how many couplings it takes until every output depends on every input;
# - what maximum likelihood reaches, on data whose entropy is known and on digits.
#
# **It takes** 65 minutes; the second part, [Other flows](03b_other_flows.ipynb), takes 25 more.
# **You need** the chain rule, determinants of small matrices, and the Gaussian density; [Start here](00_start_here.ipynb) has the notation.

# %% jupyter={"source_hidden": true} tags=["remove-cell"]
# Where the course is missing, as on Colab, this installs it: the copy that the notebook lies in, or else this version.
from importlib.util import find_spec
from pathlib import Path

if not find_spec("gencourse"):
    course = "..[notebooks]" if Path("../gencourse").is_dir() else "genlib-course[notebooks]==0.1.0"
    get_ipython().run_line_magic("pip", f"install --quiet {course}")

# %%
import math
import time

import torch
from gencourse import checks, plots, widgets
from gencourse.runs import run_file

from genlib import data, flows, metrics, train

torch.manual_seed(0)  # of networks whose weights no generator is given for
torch.set_default_dtype(torch.float64)  # identities are shown in double precision; what is trained is float32
Normal = torch.distributions.Normal


def seed(n):
    """A new source of random numbers, so that a cell that is run again draws the same ones."""
    return torch.Generator().manual_seed(n)


def jacobian(f, x):
    """∂z/∂xᵀ of each example by autograd, (B, D, D), for f from (B, ...) to (B, ...)."""
    each = [torch.autograd.functional.jacobian(lambda v: f(v[None])[0], point) for point in x]
    return torch.stack(each).reshape(len(x), x[0].numel(), x[0].numel())


# %% [markdown]
# ## 1. What we want from a density
#
# We have data $x_1, \dots, x_N$, and the distribution that they come from is known to us through these samples alone.
# We should like a density $p_\theta(x)$ that we can
#
# 1. **evaluate**, to say how likely a picture is;
# 2. **learn**, by making the data likely;
# 3. **sample**, to get new pictures.
#
# One way to fulfil the third wish is a *decoder*: draw a code $z$ from a simple density $p(z)$ that we have chosen, and let a network turn the code into a picture.
# If the decoder also adds noise, the picture has a density given its code, $p_\theta(x \mid z)$, and averaging over all codes gives
#
# $$p_\theta(x) = \int p_\theta(x \mid z)\,p(z)\,dz. \tag{1}$$
#
# This integral stands in the way of the first wish, because every code that could have led to $x$ contributes to it, and for a network no formula is known.
# A VAE therefore has to be content with a bound ([Learned losses](01_learned_losses.ipynb), section 4).
# There are exceptions: if the decoder is *linear* and its noise Gaussian, then $x$ is Gaussian as well, with variance $a^2 + \sigma^2$ in the example below, and the integral has a closed form.

# %%
a, sigma = 1.7, 0.4  # a linear decoder: x = a z + sigma · noise
pictures, codes = torch.linspace(-3, 3, 7)[:, None], torch.linspace(-10, 10, 20_001)
integrand = Normal(a * codes, sigma).log_prob(pictures).exp() * Normal(0.0, 1.0).log_prob(codes).exp()
closed = Normal(0.0, math.sqrt(a**2 + sigma**2)).log_prob(pictures[:, 0]).exp()
checks.identity("a linear decoder has a closed form (1)", torch.trapezoid(integrand, codes), closed, tol=1e-10)

# %% [markdown]
# Now suppose that the decoder adds no noise, and that it can be run backwards, so that each $x$ comes from exactly *one* code, $z = f(x)$.
# Then there is nothing left to integrate over: only one code has to be looked at, and $f$ finds it.
#
# A map that gives each $x$ exactly one $z$, and each $z$ exactly one $x$, is a *bijection*.
# Because we shall need its derivatives, it must be smooth in both directions, and such a map cannot change the dimension: $z$ has as many coordinates as $x$.
# The base density is therefore $N(0, I)$ in as many dimensions as the data have, and not $N(0, 1)$; a flow cannot compress a picture into a few numbers as an autoencoder does.
#
# What remains is to say how the density of $x$ follows from that of $z$.

# %% [markdown]
# ## 2. Probability is conserved, lengths are not
#
# Begin in one dimension.
# Let $z$ have the density $p_Z$ on an open interval, for example $N(0, 1)$ on the whole line.
# Let $x = f^{-1}(z)$, where $f$ maps some open interval, the one in which $x$ lies, onto that of $z$, and is smooth and strictly monotonic.
# Take a small interval of length $|dx|$ around $x$; the map carries it to an interval of length $|dz|$ around $z = f(x)$.
# Whenever $x$ falls into the first interval, $z$ falls into the second, and the other way round, so both intervals hold the same probability:
#
# $$p_X(x)\,|dx| = p_Z(z)\,|dz| \qquad\Longrightarrow\qquad p_X(x) = p_Z(f(x)) \left|\frac{df}{dx}(x)\right|. \tag{2}$$
#
# The absolute value is needed because $f$ may fall, while lengths and probabilities are positive.
# Note also where the base density is taken: at $f(x)$, not at $x$.


# %%
def f(x):
    """A falling bijection of the line, and its derivative."""
    return -(x + 0.8 * torch.tanh(2 * x)), -(1 + 1.6 / torch.cosh(2 * x) ** 2)


def density_of_x(x):
    z, slope = f(x)
    return Normal(0.0, 1.0).log_prob(z).exp() * slope.abs()


line = torch.linspace(-6, 6, 12_001)
checks.identity("the density integrates to one (2)", torch.trapezoid(density_of_x(line), line), 1.0, tol=1e-9)

# %% [markdown]
# The picture shows three intervals of the $x$-axis and their images on the $z$-axis.
# The two areas of one colour are equal, although the two intervals have different lengths.
# Where $f$ is steep, a short interval of $x$ is stretched into a long one of $z$; all the probability that the long one holds has to fit above the short one, so the density of $x$ is high there.

# %%
edges = ((-1.1, -0.6), (-0.25, 0.05), (0.5, 1.1))
inside = torch.stack([torch.linspace(a, b, 2001) for a, b in edges])
mass_x = torch.trapezoid(density_of_x(inside), inside)
images = f(torch.tensor(edges))[0].sort(dim=1).values  # f falls: it turns each interval round
mass_z = Normal(0.0, 1.0).cdf(images).diff(dim=1)[:, 0]
checks.identity("each interval keeps its mass (2)", mass_x, mass_z, tol=1e-6)

# %%
base = Normal(0.0, 1.0).log_prob(line).exp()
plots.figure(
    plots.areas(line, density_of_x(line), edges, xlabel="x", title="density of x", xlim=(-3, 3), ylim=(0, 1.1)),
    plots.areas(line, base, images.tolist(), xlabel="z", title="density of z", xlim=(-3, 3), ylim=(0, 1.1)),
    alt="Two densities. Three coloured intervals under that of x have the same areas as their images under that of z, but other widths.",
)

# %% [markdown]
# ### A proof without small intervals
#
# The argument above shows why (2) should hold, but on each interval it treats $f$ as a straight line, which it is only nearly.
# For a proof that leaves nothing out, take any $x$ of its interval, and ask first for the *distribution function* $F_X(x) = P(X \le x)$, whose derivative is the density.
# If $f$ rises, $X \le x$ happens exactly when $f(X) \le f(x)$, and $f(X)$ is $Z$.
# If $f$ falls, it happens exactly when $Z \ge f(x)$, because a falling map turns every inequality round.
# Hence
#
# $$F_X(x) = F_Z(f(x)) \ \text{ if } f \text{ rises}, \qquad F_X(x) = 1 - F_Z(f(x)) \ \text{ if } f \text{ falls}. \tag{2a}$$
#
# Now differentiate by the chain rule: the first gives $p_Z(f(x))\,f'(x)$, and the second $-p_Z(f(x))\,f'(x)$, where $f'(x)$ is negative.
# Both are $p_Z(f(x))\,|f'(x)|$, which is (2).
# So the absolute value is no convention; it is the minus sign of the falling case.
#
# The cell lets autograd differentiate (2a), for our falling $f$ and for $-f$, which rises; since the normal density is even, both must give the same density of $x$.

# %%
x_at = torch.linspace(-2, 2, 81).requires_grad_()
F_Z = Normal(0.0, 1.0).cdf
for name, F_X in {"falling": 1 - F_Z(f(x_at)[0]), "rising": F_Z(-f(x_at)[0])}.items():
    (derivative,) = torch.autograd.grad(F_X.sum(), x_at)
    checks.identity(f"{name}: the slope of F_X is the density (2a)", derivative, density_of_x(x_at), tol=1e-12)

# %% [markdown]
# ### A square, by hand
#
# How much is lost if the slope is forgotten?
# Let the side $s$ of a square be uniform on $(0, 1)$; which density has its area $a = s^2$?
# It is tempting to look up the side that belongs to the area, and to take the density there, $p_S(\sqrt a) = 1$.
# By this guess the areas would be uniform too, and half of all squares would have an area above $\frac12$.
# But the area is above $\frac12$ only if the side is above $\sqrt{1/2} = 0.71$, which happens for 29 squares of 100.
# The guess integrates to one, and is wrong all the same.
#
# With $f(a) = \sqrt a$, which maps $(0, 1)$ onto itself, and $f'(a) = 1/(2\sqrt a)$, (2) gives
#
# $$p_A(a) = \frac{1}{2\sqrt a} \quad (0 < a < 1), \qquad P(A > \tfrac12) = \int_{1/2}^1 \frac{da}{2\sqrt a} = 1 - \sqrt{1/2} = 0.29. \tag{2b}$$
#
# Small areas are dense because squaring is flat near 0: every side below 0.1, a tenth of all, ends up with an area below 0.01.
# So "uniform" means nothing until it is said of which quantity, and a density may be high where nothing is special but the coordinate.

# %%
sides = torch.rand(100_000, generator=seed(4))
area_edges = torch.linspace(0.1, 1, 10)
areas = torch.stack([torch.linspace(a, b, 10_001) for a, b in area_edges.unfold(0, 2, 1)])
by_density = torch.trapezoid(1 / (2 * areas.sqrt()), areas)  # (2b)
checks.identity("areas: the mass of the sides (2b)", by_density, area_edges.sqrt().diff(), tol=1e-7)
shares = torch.histc(sides**2, 9, min=0.1, max=1) / 100_000
checks.at_most(
    "areas: the shares of 100,000 squares (2b)", (shares - by_density).abs(), 4 * (by_density / 1e5).sqrt()
)

# %%
a_at = torch.linspace(0.002, 1, 500)
curves = {"by (2)": 1 / (2 * a_at.sqrt()), "the guess": torch.ones(500)}
plots.figure(
    plots.histogram({"squares": sides**2}, bins=50, span=(0, 1), x=a_at, density=curves, xlabel="area", ylim=(0, 4), aspect=2.2),
    alt="A histogram of the areas of squares with uniform sides: high at 0 and falling to one half at 1. The curve by (2) follows it; the guess is a level line at 1.",
)  # fmt: skip

# %% [markdown]
# <details><summary><b>Question.</b> The base density is highest at z = 0. Is the density of x highest at the point that belongs to it?</summary>
#
# Not in general, because the slope is a second factor.
# Take $x = 1/(1 + e^{-2z})$, which lies in $(0, 1)$; then $f(x) = \frac12 \log\frac{x}{1 - x}$, and $z = 0$ belongs to $x = \frac12$.
# By (2), $\log p_X(x) = -\frac12 f(x)^2 - \log x - \log(1 - x) + \text{const}$.
# At $x = \frac12$ the slope of this is 0, and its second derivative is $-f'(\tfrac12)^2 + 4 + 4 = -4 + 8 = 4$, since $f'(\frac12) = 2$ and $f(\frac12) = 0$.
# That is positive: where the guess $p_Z(f(x))$ has its maximum, the density of $x$ has a *minimum* between two humps.
# </details>


# %%
def log_p_squashed(x):
    """(2) for z = ½ log(x / (1 − x)), whose slope is 1 / (2x(1 − x))."""
    return Normal(0.0, 1.0).log_prob(torch.logit(x) / 2) - (2 * x * (1 - x)).log()


curvature = torch.func.grad(torch.func.grad(log_p_squashed))(torch.tensor(0.5))
checks.identity("at the base's maximum, a minimum of the density", curvature, 4.0, tol=1e-9)

# %% [markdown]
# ### In many dimensions
#
# In $D$ dimensions, lengths become volumes.
# ($D$ is the dimension of $x$ throughout this lecture, in which no discriminator occurs.)
# Close to a point, a smooth $f$ is nearly its linear part, the Jacobian matrix $J = \partial f / \partial x^\top$.
# A linear map multiplies every volume by $|\det J|$, which is the volume of the parallelepiped that it makes of the unit cube.
# So we expect
#
# $$p_X(x) = p_Z(f(x))\,\left|\det \frac{\partial f}{\partial x^\top}\right|, \qquad
# \log p_X(x) = \log p_Z(f(x)) + \log\left|\det J\right|. \tag{3}$$
#
# It is the *determinant* of $J$ that counts, and its absolute value.
#
# There is no distribution function to differentiate here, but any region $A$ can take the place of the half-line $X \le x$.
# Because $f$ is a bijection, $X$ lies in $A$ exactly when $Z$ lies in the image $f(A)$, so
#
# $$P(X \in A) = P(Z \in f(A)) = \int_{f(A)} p_Z(z)\,dz = \int_A p_Z(f(x))\,\left|\det \frac{\partial f}{\partial x^\top}\right| dx. \tag{3a}$$
#
# The last step is the substitution rule for integrals in several variables; it holds for bijections that are smooth in both directions, and its factor is the ratio of volumes that we have just described.
# So the right side of (3) gives every region $A$ its probability when it is integrated over $A$, and a function that does this is what is meant by the density of $x$.
#
# We test (3a) with a map of the plane that bends every line, $f(x) = (x_1 + 0.4 \sin x_2,\ x_2 + 0.4 \sin x_1)$.
# It is a bijection, because what it adds to $x$ differs between two points by at most 0.4 times their distance: two points keep distinct images, and $x = z - (f(x) - x)$ can be solved by iteration.
# For $A$ we take all points that $f$ sends into a rectangle; then the left side is a product of normal distribution functions, and the right side an integral over a region with bent edges.


# %%
def bend(x):
    """A bijection of the plane, and the determinant of its Jacobian."""
    return x + 0.4 * x.flip(-1).sin(), 1 - 0.16 * x.cos().prod(-1)


low, high = torch.tensor([-1.0, 0.0]), torch.tensor([0.5, 1.5])
plane_grid = torch.cartesian_prod(torch.linspace(-3, 3, 2001), torch.linspace(-3, 3, 2001))
image, det = bend(plane_grid)
held = ((image > low) & (image < high)).all(1)
by_formula = (Normal(0.0, 1.0).log_prob(image).sum(1).exp() * det.abs())[held].sum() * (6 / 2000) ** 2
checks.identity("the mass of a region (3a)", by_formula, (F_Z(high) - F_Z(low)).prod(), tol=1e-3)

# %% [markdown]
# Why is (3) written with logarithms as well?
# A flow will be a chain of many layers, whose determinants multiply (section 8), so the logarithms add.
# A product of thousands of factors soon leaves the range of floating point, while their sum does not.
# And the likelihood of many examples is a product, whose logarithm is a sum over examples, which a batch can estimate.

# %%
scales_of_a_picture = torch.full(
    (3072,), 0.9, dtype=torch.float32
)  # each of 3 × 32 × 32 numbers shrunk by a tenth
print(
    f"the product {scales_of_a_picture.prod():g}, the sum of the logarithms {scales_of_a_picture.log().sum():.0f}"
)

# %% [markdown]
# Finally we test (3) on a density that can be written down without it.
# If $x = \mu + L z$ with a triangular matrix $L$, then $x$ is Gaussian with covariance $\Sigma = L L^\top$, and $f(x) = L^{-1}(x - \mu)$.
# On the left of the identity is (3), with the Jacobian taken from autograd; on the right is the Gaussian density in the principal axes of $\Sigma$, which uses neither $f$ nor a determinant, only variances along axes.

# %%
L = torch.randn(5, 5, generator=seed(0)).tril(-1) + torch.diag(torch.rand(5, generator=seed(1)) + 0.5)
mu, x_5 = torch.randn(5, generator=seed(2)), torch.randn(100, 5, generator=seed(3))


def whiten(x):
    return torch.linalg.solve_triangular(L, (x - mu).T, upper=False).T


log_det_5 = torch.linalg.slogdet(jacobian(whiten, x_5)).logabsdet
flow_says = Normal(0.0, 1.0).log_prob(whiten(x_5)).sum(1) + log_det_5
variance, axes = torch.linalg.eigh(L @ L.T)
exact = Normal(0.0, variance.sqrt()).log_prob((x_5 - mu) @ axes).sum(1)
checks.identity("change of variables in 5 dimensions (3)", flow_says, exact, tol=1e-9)

# %% [markdown]
# <details><summary><b>Question.</b> A map f squeezes all data into a tiny ball around 0, where the base density is highest. Why is that no good model?</summary>
#
# Because of the second term of (3).
# Squeezing makes $|\det J|$ tiny, and its logarithm very negative.
# What can be gained in $\log p_Z$ is bounded, because $p_Z$ has a maximum; what can be lost in $\log|\det J|$ has no bound.
# </details>

# %% [markdown]
# ### Where the formula stops
#
# Everything so far asked $f$ to be a bijection, smooth in both directions.
# To see what these words are for, send $x$ through a map $y = h(x)$ that lacks one of them.
#
# - **Several branches.** If $h$ takes the value $y$ at several points $x_k$, each of them brings its mass to $y$, by (2) for that branch alone, and the probabilities add:
#
# $$p_Y(y) = \sum_{k:\ h(x_k) = y} \frac{p_X(x_k)}{|h'(x_k)|}. \tag{3b}$$
#
# - **Critical points.** Where $h'(x_k) = 0$ and $p_X(x_k) > 0$, this term is infinite: a smooth map is flat there, and crowds the points, as squaring does near 0, where $p_A$ grows without bound. A single such point does no harm to the total, which stays 1.
# - **Atoms.** If $h$ is constant on a whole interval, it sends all the mass of the interval to one value. That value has a probability, and no density. A ReLU does this to everything below 0; it may stand inside the networks of a flow, but it can be no layer of one. (With ReLUs inside, $f$ is smooth piece by piece; the kinks have no volume, and (3a) holds all the same.)
#
# The first cell takes $h(x) = x^3 - 3x$, which reaches every $y$ between $-2$ and $2$ three times and is flat at $x = \pm 1$.
# Its branches are known: with $x = 2\cos\theta$, $x^3 - 3x = 2(4\cos^3\theta - 3\cos\theta) = 2\cos 3\theta$.

# %%
y_3 = torch.linspace(-1, 1, 4001)
branches = 2 * (torch.acos(y_3 / 2) / 3 + 2 * math.pi / 3 * torch.arange(3)[:, None]).cos()
p_y = (Normal(0.0, 1.0).log_prob(branches).exp() / (3 * branches**2 - 3).abs()).sum(0)  # (3b)
x_fine = torch.linspace(-4, 4, 2_000_001)
lands = (x_fine**3 - 3 * x_fine).abs() <= 1  # counted in x, without branches and slopes
mass_3 = Normal(0.0, 1.0).log_prob(x_fine[lands]).exp().sum() * 8 / 2_000_000
checks.identity("three branches, one density (3b)", torch.trapezoid(p_y, y_3), mass_3, tol=1e-5)

# %%
rectified = torch.randn(100_000, generator=seed(5)).relu()
above = torch.linspace(0, 8, 8001)
its_density = torch.trapezoid(Normal(0.0, 1.0).log_prob(above).exp(), above)  # the branch x = y > 0
atom = (rectified == 0).double().mean()
checks.at_most("ReLU: its density lacks what lies on 0", (atom - (1 - its_density)).abs(), 4 * 0.5 / 1e5**0.5)

# %% [markdown]
# ## 3. Why not just make the determinant large?
#
# The data become likely if (3) is large at the data, so training *maximises the sum* of its two terms.
# The determinant alone has no maximum: multiply any $f$ by a factor $c > 1$, and $\log|\det J|$ grows by $D \log c$, without end.
# The first term holds this growth back, because for $N(0, I)$ the value of $\log p_Z(cz)$ falls like $-c^2 \|z\|^2/2$, much faster than the logarithm rises.
#
# Between the two there is one best scale.
# For data of mean 0 and variance $v$ in every direction, and $f(x) = cx$, the mean of (3) is $-\tfrac{D}{2} c^2 v + D \log c + \text{const}$.
# This is concave in $c$, and its derivative, $-D c v + D/c$, is zero where $c^2 v = 1$.
# So among all these maps the best one gives the codes variance one, which is the variance that the base density expects.

# %%
cloud = 0.3 * torch.randn(20_000, 2, generator=seed(0))
scale = torch.linspace(0.2, 10, 491)
first = torch.stack([Normal(0.0, 1.0).log_prob(c * cloud).sum(1).mean() for c in scale])
second = 2 * scale.log()
best = scale[(first + second).argmax()]
checks.identity("the best scale makes the variance one", (best**2 * (cloud**2).mean()), 1.0, tol=0.02)
plots.figure(
    plots.lines(
        scale,
        {"log p_Z(f(x))": first, "log |det J|": second, "their sum": first + second},
        marks={"best": float(best)},
        xlabel="scale c",
        ylabel="nats",
        ylim=(-12, 6),
        aspect=2.2,
    ),
    alt="Against the scale c: the log-density of the codes falls, the log-determinant rises, and their sum has one maximum.",
)  # fmt: skip

# %% [markdown]
# ## 4. What a determinant costs
#
# For a general map, the Jacobian has $D^2$ entries, and its determinant takes of the order of $D^3$ operations.
# A colour picture of 256 by 256 pixels has $D = 196{,}608$.
# Its Jacobian would have $4 \cdot 10^{10}$ entries, 155 gigabytes in single precision, and $D^3$ is nearly $10^{16}$, for one picture and one step of training.
# So a flow has to be built from maps whose Jacobians are of a special kind.
#
# The kind that this lecture uses most is the *triangular* matrix.
# Its determinant is the product of its diagonal: expand along the first row, which has a single entry other than zero, and go on with the smaller triangular matrix that is left.
# The logarithm is therefore a sum of $D$ numbers.

# %%
T = torch.randn(50, 50, generator=seed(0)).tril()
whole, diagonal_sum = torch.linalg.slogdet(T).logabsdet, T.diagonal().abs().log().sum()
checks.identity("triangular: the log-det is a sum", whole, diagonal_sum, tol=1e-9)


# %%
def seconds(compute, J):
    """The quickest of seven runs."""
    times = []
    for _ in range(7):
        start = time.perf_counter()
        compute(J)
        times.append(time.perf_counter() - start)
    return min(times)


sizes = (64, 128, 256, 512, 1024)
matrices = [torch.randn(D, D, generator=seed(D)) for D in sizes]
full = [seconds(torch.linalg.slogdet, J) for J in matrices]
diagonal = [seconds(lambda J: J.diagonal().abs().log().sum(), J) for J in matrices]
cubic = [full[-1] * (D / sizes[-1]) ** 3 for D in sizes]
plots.figure(
    plots.lines(sizes, {"determinant": full, "cubic, for comparison": cubic, "sum of a diagonal": diagonal},
                xscale="log", yscale="log", xlabel="dimension D", ylabel="seconds", aspect=2.2),
    alt="Seconds against dimension, measured, on logarithmic axes: the determinant approaches a cubic, the sum of a diagonal stays far below.",
)  # fmt: skip

# %% [markdown]
# Triangular matrices are not the only ones with a cheap determinant.
# Three more kinds are in use, and sections 12 and 13, in the second part, build a layer from each.
#
# - An *orthogonal* matrix, such as a rotation or a permutation, has $Q^\top Q = I$. Hence $(\det Q)^2 = \det(Q^\top Q) = 1$, and $\log|\det Q| = 0$: it turns space and stretches nothing.
# - A *block-diagonal* matrix changes groups of $b$ coordinates separately, so its volume factors multiply and the log-determinants of the blocks add. With $D/b$ blocks of $b^3$ operations each, that takes $D b^2$ operations instead of $D^3$.
# - The *identity plus rank one*, $I + uv^\top$ with two vectors $u$ and $v$, has a determinant that takes only $D$ operations:
#
# $$\det(I + uv^\top) = 1 + v^\top u.$$
#
# The last formula says that the determinant of such a matrix, whatever its size, takes one scalar product.
#
# <details><summary><b>Proof.</b></summary>
#
# Consider the $(D+1) \times (D+1)$ matrix $M = \begin{pmatrix} I & -u \\ v^\top & 1 \end{pmatrix}$, and recall that adding multiples of some rows to other rows leaves a determinant as it is.
# Take $v_i$ times row $i$ from the last row, for each $i \le D$: the last row becomes $(0, \; 1 + v^\top u)$, the matrix is upper triangular, and so $\det M = 1 + v^\top u$.
# Start again from $M$, and add $u_i$ times the last row to row $i$: the right column becomes $(0, 1)^\top$, the upper left block becomes $I + uv^\top$, and so $\det M = \det(I + uv^\top)$.
# Both are the determinant of the same matrix.
# The same steps with $m$ columns, $U$ and $V$ of shape $D \times m$, give $\det(I_D + UV^\top) = \det(I_m + V^\top U)$: a determinant of size $m$ instead of $D$.
# </details>

# %%
Q = torch.linalg.qr(torch.randn(50, 50, generator=seed(1))).Q
blocks = torch.randn(10, 5, 5, generator=seed(2))
U, V = torch.randn(2, 50, 3, generator=seed(3))
rank_one, rank_three = torch.eye(50) + torch.outer(U[:, 0], V[:, 0]), torch.eye(50) + U @ V.T
for name, J, cheap in [
    ("orthogonal", Q, torch.tensor(0.0)),
    ("block-diagonal", torch.block_diag(*blocks), blocks.det().abs().log().sum()),
    ("identity plus rank one", rank_one, (1 + U[:, 0] @ V[:, 0]).abs().log()),
    ("identity plus rank three", rank_three, (torch.eye(3) + V.T @ U).det().abs().log()),
]:
    checks.identity(f"{name}: the cheap log-det", cheap, torch.linalg.slogdet(J).logabsdet, tol=1e-9)

# %% [markdown]
# ## 5. The coupling layer
#
# We want a map that is flexible, easy to invert, and has a triangular Jacobian.
# Here is a construction that has all three properties.
#
# Split the coordinates into two parts, $x = (x_1, x_2)$, most often two halves, and leave the first part as it is.
# A network reads the first part, and its output says how the second part is scaled and shifted:
#
# $$z_1 = x_1, \qquad z_2 = \exp(s(x_1)) \odot x_2 + t(x_1). \tag{4}$$
#
# The coordinates are *coupled*, because what happens to the second part depends on the first.
# Coupling layers were introduced with NICE (Dinh et al. 2015), where the second part is only shifted; the scale, which makes the coupling *affine* as in (4), came with RealNVP (Dinh et al. 2017).
# Take the derivatives, block by block:
#
# $$\frac{\partial z}{\partial x^\top} = \begin{pmatrix} I & 0 \\ \ast & \operatorname{diag}(\exp s(x_1)) \end{pmatrix}, \qquad \log|\det J| = \sum_i s_i(x_1). \tag{5}$$
#
# The upper right block is zero because $z_1$ does not depend on $x_2$; the lower right block is diagonal because each entry of $z_2$ depends on one entry of $x_2$ alone.
# The lower left block, marked by a star, holds the derivatives of $s$ and $t$.
# It may be as complicated as we like, because the determinant of a *lower triangular* matrix never looks at it: no derivative of $s$ or $t$ is computed for the likelihood, however deep the network is.
# Nor need the parts be halves.
# If $d$ of the $D$ coordinates are kept, the network maps $d$ numbers to $2(D - d)$, and the sum in (5) has $D - d$ terms; a large $d$ lets the network see much and change little.
# In the code, $s$ is called `log_s`, since it is the logarithm of a scale, and $t$ is called `shift`, since $t$ is a step in other lectures.


# %%
def randomise(module, n, std=0.3):
    """Random weights: a fresh coupling is the identity, on which every claim would hold."""
    generator = seed(n)
    for p in module.parameters():
        p.data += std * torch.randn(p.shape, generator=generator)
    return module


layer = randomise(flows.AffineCoupling(flows.masks.halves(6)), n=0, std=0.15)
x = torch.randn(50, 6, generator=seed(0))
z, log_det = layer(x)
J_layer = jacobian(lambda x: layer(x)[0], x)
checks.identity("log-det is the sum of log_s (5)", log_det, torch.linalg.slogdet(J_layer).logabsdet, tol=1e-9)
checks.identity("lower triangular (5)", J_layer.triu(1), torch.zeros_like(J_layer), tol=1e-12)
checks.identity("the first half is untouched", z[:, :3], x[:, :3], tol=1e-12)

# %%
kept_two = randomise(flows.AffineCoupling(torch.arange(6) < 2), n=2, std=0.15)  # d = 2
J_two = jacobian(lambda x: kept_two(x)[0], x)
log_s_two, _ = kept_two.log_s_and_shift(x[:, :2])
checks.identity("d = 2: four terms (5)", log_s_two.sum(1), torch.linalg.slogdet(J_two).logabsdet, tol=1e-9)
checks.identity("d = 2: triangular (5)", J_two.triu(1), torch.zeros_like(J_two), tol=1e-12)

# %% [markdown]
# On the left is the Jacobian of the first of these two layers, the one that keeps three of six coordinates, from autograd, at one point.
# If the halves change their roles, so that the second one is left as it is, the block of derivatives moves to the upper right.

# %%
swapped = randomise(flows.AffineCoupling(flows.masks.halves(6, swap=True)), n=1, std=0.15)
J_swapped = jacobian(lambda x: swapped(x)[0], x[:1])
plots.figure(
    plots.heatmap(J_layer[0], diverging=True, title="first half kept", xlabel="input", ylabel="output"),
    plots.heatmap(J_swapped[0], diverging=True, title="second half kept", xlabel="input", ylabel="output"),
    alt="Two six by six Jacobians. Left: lower triangular, with a dense block in the lower left. Right: upper triangular, with a dense block in the upper right.",
)

# %% [markdown]
# ## 6. The way back, without inverting a network
#
# Given $z$, we know $x_1$ at once, because it is $z_1$.
# So we can ask the network the same question as before, get the same $s$ and $t$, and undo the scale and the shift:
#
# $$x_1 = z_1, \qquad x_2 = \exp(-s(z_1)) \odot (z_2 - t(z_1)). \tag{6}$$
#
# Neither $s$ nor $t$ has been inverted, so both may be any networks.
# The inverse needs no parameters and no training of its own: it uses the weights of $f$, and it is exact for every value of these weights.
# Its Jacobian is the inverse matrix of $J$, so its log-determinant is that of $f$ with the opposite sign.

# %%
x_back, log_det_back = layer.inverse(z)
J_back = jacobian(lambda z: layer.inverse(z)[0], z)
checks.identity("the inverse is exact (6)", x_back, x, tol=1e-12)
checks.identity("the Jacobians are inverse matrices", J_back @ J_layer, torch.eye(6).expand(50, 6, 6), tol=1e-9)
checks.identity("its log-det, by autograd", log_det_back, torch.linalg.slogdet(J_back).logabsdet, tol=1e-9)

# %% [markdown]
# Why the exponential?
# Without it, the layer would be $z_2 = s(x_1) \odot x_2 + t(x_1)$, and what matters is where $s$ is zero.
# A negative $s$ would do no harm: the layer would turn $x_2$ round, and the log-determinant would be $\sum \log|s|$.
# But a continuous $s$ that takes both signs passes through 0 in between, and there every $x_2$ is sent to the same point, which no inverse can undo; the determinant is zero as well.
# The factor $\exp(s)$ is never 0, whatever the network answers.


# %%
def raw_scale(x):
    """A coupling of two numbers without the exponential: s(x_1) = x_1, t = 0.3."""
    return torch.stack([x[:, 0], x[:, 0] * x[:, 1] + 0.3], dim=1)


on_zero = torch.tensor([[0.0, -2.0], [0.0, 0.5], [0.0, 3.0]])  # three points with s(x_1) = 0
checks.identity("three points, one image", raw_scale(on_zero), torch.tensor([[0.0, 0.3]]).expand(3, 2), tol=1e-12)
checks.identity("and a determinant of 0", jacobian(raw_scale, on_zero).det(), torch.zeros(3), tol=1e-12)

# %%
x_1 = torch.linspace(-1, 1, 41)
fans = {
    "raw s": {f"x_2 = {x_2:g}": x_1 * x_2 + 0.3 for x_2 in (-2.0, 0.5, 3.0)},
    "exp(s)": {f"x_2 = {x_2:g}": x_1.exp() * x_2 + 0.3 for x_2 in (-2.0, 0.5, 3.0)},
}
plots.figure(
    *[plots.lines(x_1, curves, xlabel="x_1", ylabel="z_2", title=title) for title, curves in fans.items()],
    alt="Left: three lines of z_2 against x_1 cross in one point. Right: three curves that never meet.",
)

# %% [markdown]
# <details><summary><b>Question.</b> In floating point, exp can overflow. What keeps a coupling safe?</summary>
#
# The library bounds `log_s` by a smooth function, $\texttt{bound} \cdot \tanh(\cdot)$.
# A single layer then scales by a factor between $e^{-\texttt{bound}}$ and $e^{\texttt{bound}}$; several layers after one another reach larger and smaller factors.
# </details>

# %% [markdown]
# ### What the scale is good for
#
# The first coupling flow, NICE (Dinh et al. 2015), had no scale: with $s = 0$, (4) becomes $z_2 = x_2 + t(x_1)$, and by (5) its determinant is 1.
# A chain of such *additive* couplings can move every point, and yet it changes no volume; what is out of its reach?
#
# Its density is $p_X(x) = p_Z(f(x))$, so nowhere is it higher than the base's maximum $(2\pi)^{-D/2}$, which is 0.16 in the plane, while the moons that we shall train on reach 0.96.
# A last layer that multiplies each coordinate by a constant, as NICE has it, raises the whole density by one factor, but something remains.
# For the model's own samples $x = f^{-1}(z)$,
#
# $$-\log p_X(x) = \tfrac12 \|z\|^2 + \text{const}, \qquad z \sim N(0, I), \tag{6a}$$
#
# whatever the networks: $\|z\|^2$ is a sum of $D$ independent squares, each with variance 2, so $-\log p_X$ has the variance $D/2$ in every such model.
# Data whose $\log p$ varies by another amount are out of reach, however deep the chain.
# A scale that depends on $x_1$ lifts this, because then $\log|\det J|$ varies from place to place.

# %%
shift_nets = [randomise(flows.MLP(3, 3, width=16), n=k) for k in range(4)]


def additive(x):
    """Four couplings with s = 0, whose halves change their roles, then a constant scale for each coordinate."""
    for net in shift_nets:
        x_1, x_2 = x.chunk(2, dim=1)
        x = torch.cat([x_2 + net(x_1), x_1], dim=1)
    return x * torch.linspace(0.5, 2, 6)


log_scale = torch.linspace(0.5, 2, 6).log().sum().expand(50)
log_det_additive = torch.linalg.slogdet(jacobian(additive, x)).logabsdet
checks.identity("additive: one factor everywhere (6a)", log_det_additive, log_scale, tol=1e-9)

# %%
half_square = torch.randn(200_000, 6, generator=seed(6)).square().sum(1) / 2
checks.at_most("−log p varies by D/2 (6a)", (half_square.var() - 6 / 2).abs(), 4 * 3 * (4 / 2e5) ** 0.5)
of_moons = data.Moons(std=0.1).log_prob(data.Moons(std=0.1).sample(100_000, generator=seed(7))).var()
print(f"the variance of log p: in an additive flow of the plane 1, of the moons {of_moons:.2f}")

# %% [markdown]
# ## 7. How many layers until everything depends on everything?
#
# One coupling leaves half of the coordinates *unchanged*.
# So the next coupling keeps the half that has just been changed, and changes the other one; after two layers every coordinate has been changed once.
# Is that enough for every output to depend on every input?
#
# Follow the dependencies.
# Layer one makes $z_2$ depend on all of $x_1$ and, entry by entry, on $x_2$.
# Layer two makes the new first half depend on all of that, and so on every input.
# But the second half is still what layer one made of it, and each of its entries has seen all of $x_1$ and only *itself* of $x_2$.
# A third layer is needed to mix the second half with itself, by way of the first.
#
# Zeros in the Jacobian show it: the networks are random and dense, so an entry of the Jacobian that is zero here is zero for all weights.

# %%
layers = [randomise(flows.AffineCoupling(flows.masks.halves(6, swap=k % 2 == 1)), n=k, std=0.5) for k in range(3)]


def pattern(layers, x):
    """1 where an output depends on an input."""
    return (jacobian(lambda x: flows.Compose(layers)(x)[0], x[:1])[0].abs() > 1e-12).double()


tables = [pattern(layers[:n], x) for n in (1, 2, 3)]
counts = torch.tensor([6.0 + 9, 9 + 9 + 9 + 3, 36])
checks.identity("entries that depend, after 1, 2, 3 layers", torch.stack(tables).sum((1, 2)), counts, tol=1e-12)

# %%
look = {"diverging": True, "colorbar": False, "aspect": 1.0, "xlabel": "input", "ylabel": "output"}
titles = ("1 layer", "2 layers", "3 layers")
plots.figure(
    *[plots.heatmap(table, title=title, **look) for table, title in zip(tables, titles, strict=True)],
    alt="Which outputs depend on which inputs. One layer: a diagonal and one block. Two: a diagonal is left in the lower right block. Three: all.",
)

# %% [markdown]
# There is one exception: if the half that is changed first has a single coordinate, it has nothing to mix with itself.
# In two dimensions, therefore, two layers are enough.

# %%
plane = [randomise(flows.AffineCoupling(flows.masks.halves(2, swap=k == 1)), n=k, std=0.5) for k in range(2)]
checks.identity("2-D: after two layers all four entries depend", pattern(plane, x[:, :2]).sum(), 4, tol=1e-12)

# %% [markdown]
# Pictures are split in other ways too, by checkerboards or by channels.
# Play with the masks: how many layers does each take until every output depends on every input, and what is left out if the halves are never swapped?

# %%
widgets.CouplingMaskExplorer()

# %% [markdown]
# ## 8. Layers compose
#
# Let $f = f_N \circ \dots \circ f_1$.
# To go back, undo the last map first: $f^{-1} = f_1^{-1} \circ \dots \circ f_N^{-1}$.
# By the chain rule the Jacobian of two maps, $f_a$ and then $f_b$, is a product, $J_b(f_a(x))\,J_a(x)$, with the later one on the left.
# The determinant of a product is the product of the determinants, so the logarithms add:
#
# $$\log|\det J(x)| = \sum_{n=1}^{N} \log|\det J_n(h_{n-1})|, \qquad h_0 = x,\quad h_n = f_n(h_{n-1}). \tag{7}$$
#
# Each determinant is taken at the point $h_{n-1}$ that its layer receives, not at $x$.

# %%
h, added = x, torch.zeros(50)
for one in layers:
    h, log_det_n = one(h)
    added = added + log_det_n
J_all = jacobian(lambda x: flows.Compose(layers)(x)[0], x)
checks.identity("log-dets add (7)", added, torch.linalg.slogdet(J_all).logabsdet, tol=1e-8)
for one in reversed(layers):
    h, _ = one.inverse(h)
checks.identity("undone in reverse order", h, x, tol=1e-8)

# %% [markdown]
# <details><summary><b>Question.</b> Why <i>normalizing</i>, and why <i>flow</i>?</summary>
#
# *Flow*: the data pass through a sequence of maps, as a fluid that is carried along in time.
# *Normalizing*: at the end of the flow they are distributed as a standard normal density.
# This is the reading of Tabak and Vanden-Eijnden (2010) and of Tabak and Turner (2013), who introduced the method, and it runs from the data to the base, as ours does.
# Rezende and Mohamed (2015), through whom the name became known in deep learning, run from the base to the data, and take the word from the valid, normalised distribution that stands at the end of the sequence.
# </details>
#
# What makes a flow expressive?
# A triangular Jacobian makes a layer cheap, and it is no obstacle either: a triangular map that is *not* affine takes any positive density to the normal one, in a single layer.
# In the plane it is, with distribution functions $F$ of $x_1$ and of $x_2$ given $x_1$, and $\Phi$ of $N(0, 1)$,
#
# $$z_1 = \Phi^{-1}\big(F(x_1)\big), \qquad z_2 = \Phi^{-1}\big(F(x_2 \mid x_1)\big). \tag{7a}$$
#
# Indeed $F(x_2 \mid x_1)$ is uniform whatever $x_1$ is, so $z_2$ is $N(0, 1)$ and independent of $z_1$ (the map of Knothe and Rosenblatt).
# What limits one coupling is its *affine* form, and that half of $x$ passes through.
# What makes a flow of couplings expressive are the networks inside its layers and the number of layers.
#
# For the moons, a mixture of Gaussians, both distribution functions are known; (3) with the Jacobian of (7a) must give back their density.


# %%
def knothe_rosenblatt(x):
    """(7a), for the moons: one triangular map, no training."""
    along, across = ((x[:, i, None] - moons_8.means[:, i]) / moons_8.std for i in (0, 1))
    given = torch.softmax(-(along**2) / 2, dim=1)  # of each Gaussian, given x_1
    F = torch.stack([F_Z(along).mean(1), (given * F_Z(across)).sum(1)], dim=1)
    return Normal(0.0, 1.0).icdf(F)


moons_8 = data.Moons(std=0.1)
on_moons = moons_8.sample(100, generator=seed(8)).double()
J_moons = jacobian(knothe_rosenblatt, on_moons)
by_one_layer = Normal(0.0, 1.0).log_prob(knothe_rosenblatt(on_moons)).sum(1) + J_moons.det().log()
checks.identity("triangular, and all of the moons (7a)", by_one_layer, moons_8.log_prob(on_moons), tol=1e-6)
checks.identity("lower triangular (7a)", J_moons.triu(1), torch.zeros_like(J_moons), tol=1e-12)

# %% [markdown]
# ## 9. Maximum likelihood, where the truth is known
#
# Training maximises the mean of (3) over the data.
# How far can it get?
# The mean of $-\log p_\theta(x)$ over data with density $p$ is a *cross-entropy*.
# Add and subtract $\log p(x)$ inside the mean, and it splits into two parts; the second is a divergence, which is at least 0, and 0 for the right density alone ([Learned losses](01_learned_losses.ipynb), section 4):
#
# $$E_p[-\log p_\theta(x)] = \underbrace{E_p[-\log p(x)]}_{\text{entropy of the data}} + \underbrace{\operatorname{KL}(p \,\|\, p_\theta)}_{\ge 0}. \tag{8}$$
#
# The first part is a property of the data, and no model gets below it.
# The second part is what the model lacks.
# For pictures neither part is known, so a likelihood says which of two models is better, but not how far the better one is from the truth.
# The density of our two moons is known, a row of narrow Gaussians along two arcs, and so we can compute both parts and watch the second one shrink.
#
# For the identity below the model is a Gaussian with variance $0.3$, whose cross-entropy follows from the second moment of the data alone, $\log(2\pi \cdot 0.3) + E\|x\|^2/0.6$; the right side takes the entropy and the divergence, by quadrature.

# %%
moons = data.Moons(std=0.1)
grid = torch.cartesian_prod(torch.linspace(-1.8, 1.8, 301), torch.linspace(-1.8, 1.8, 301))
log_p, log_model = moons.log_prob(grid), Normal(0.0, math.sqrt(0.3)).log_prob(grid).sum(1)
kl = (log_p.exp() * (log_p - log_model)).sum() * (3.6 / 300) ** 2
second_moment = (moons.means**2).sum(1).mean() + 2 * moons.std**2
cross_entropy = math.log(2 * math.pi * 0.3) + second_moment / (2 * 0.3)
checks.identity("cross-entropy = entropy + KL (8)", cross_entropy, moons.entropy() + kl, tol=1e-6)

# %% [markdown]
# Now train three flows of eight couplings, from three seeds; before each coupling stands a layer that scales and shifts every coordinate by itself, which section 10 will explain as *actnorm*.
# What they lack is estimated as the mean of $\log p(x) - \log p_\theta(x)$ over 20,000 held-out points; it has a standard error of about 0.002 nats.


# %%
held_out = moons.sample(20_000, generator=seed(100))
log_p_held = moons.log_prob(held_out)


def train_on_moons(n, steps=400):
    torch.manual_seed(n)
    flow = flows.RealNVP.for_vectors(dim=2, n_couplings=8, width=64, actnorm=True).float()

    def lacks(step, objective):
        with torch.no_grad():
            return {"KL": float((log_p_held - flow.log_prob(held_out)).mean())}

    points = moons.sample(20_000, generator=seed(n))
    options = {"steps": steps, "batch_size": 256, "log_every": 50, "callback": lacks}
    return flow, train.fit(flows.MaximumLikelihood(flow, lr=4e-3), points, seed=n, **options)


# %% tags=["nbval-ignore-output"]
moon_flows, curves = {}, {}
for n in (0, 1, 2):
    moon_flows[n], history = train_on_moons(n)
    curves[f"seed {n}"] = history.logs["KL"]
    print(f"seed {n}: {history.logs['KL'][-1]:.3f} nats above the entropy, after {history.seconds:.0f} s")
flow = moon_flows[0]

# %%
with torch.no_grad():
    log_q = flow.log_prob(grid.float()).double()
lost = (log_p.exp() * (log_p - log_q)).view(301, 301).T  # its integral is the divergence
window = {"extent": (-1.8, 1.8, -1.8, 1.8), "aspect": 1.0, "xlim": (-1.5, 1.5), "ylim": (-1.1, 1.1)}
plots.figure(
    plots.lines(history.step, curves, yscale="log", xlabel="step", ylabel="nats", title="above the entropy"),
    plots.points({"samples": flow.sample(3000, generator=seed(0))}, size=3, title="samples"),
    alt="The divergence of three flows falls with the steps. Samples of one of them: two moons.",
)

# %%
plots.figure(
    plots.heatmap(log_q.exp().view(301, 301).T, title="density of the flow", **window),
    plots.heatmap(lost, diverging=True, title="p (log p − log p_θ)", **window),
    alt="The density of the flow: two moons. A map of where the divergence arises: patches of both signs along both moons, and weaker ones in the space between them.",
)

# %% [markdown]
# Something remains, and there is a well-known suspect.
# A continuous bijection cannot tear one piece into two, and a Gaussian is one piece; so where the data form two separate pieces, a flow from a Gaussian leaves a bridge of density between them.
# The pictures do show some density in the space between the arcs.
# Is it the bridge that costs these nats?
#
# The divergence can be split by place.
# Let $B$ be any region, $P$ the probability that the data have there, and $Q$ the probability that the flow gives it.
# Then the mean of $\log\frac{p}{p_\theta}$ over the data is a sum of three terms, each at least 0:
#
# $$\operatorname{KL}(p \,\|\, p_\theta) = \underbrace{P \log\tfrac{P}{Q} + (1 - P)\log\tfrac{1 - P}{1 - Q}}_{\text{the mass in } B \text{ is wrong}}
# + \underbrace{P \operatorname{KL}(p(\cdot \mid B) \,\|\, p_\theta(\cdot \mid B))}_{\text{the shape inside is wrong}} + \underbrace{(1 - P)\operatorname{KL}(p(\cdot \mid \bar B) \,\|\, p_\theta(\cdot \mid \bar B))}_{\text{the shape outside is wrong}}. \tag{8a}$$
#
# <details><summary><b>Proof.</b></summary>
#
# Inside $B$ write $p(x) = P\,p(x \mid B)$ and $p_\theta(x) = Q\,p_\theta(x \mid B)$, outside of it correspondingly with $1 - P$ and $1 - Q$.
# So $\log \frac{p}{p_\theta}$ is $\log \frac PQ + \log\frac{p(x \mid B)}{p_\theta(x \mid B)}$ inside, and outside the same with $\bar B$, $1 - P$ and $1 - Q$.
# In the mean over the data the first part is $\log\frac PQ$ with probability $P$, and the second has the mean $\operatorname{KL}(p(\cdot \mid B) \,\|\, p_\theta(\cdot \mid B))$ given that $x$ lies in $B$.
# The first term of (8a) is itself a divergence, that of two coins.
# </details>
#
# The first term is exactly what would be saved if the mass were moved out of $B$ until $Q = P$, and nothing else were changed.
#
# Where does the bridge begin?
# That is a matter of definition, so we take three borders.
# The first $B$ holds all places farther than two standard deviations from both arcs, and with them a halo around the moons, which is no bridge.
# The other two hold only what lies *between* the arcs, farther than two or than one and a half standard deviations from both; the gap at the tips of the arcs is so narrow that its middle is less than two away.


# %%
area = (3.6 / 300) ** 2
arcs = moons.means.split(len(moons.means) // 2)
regions = {"beyond 2 sd of both arcs": (2, 9), "between them, beyond 2 sd": (2, 0.75), "between, beyond 1.5 sd": (1.5, 0.75)}  # fmt: skip


def lies_in(x, region):
    """Whether points (B, 2) are farther from both arcs than so many standard deviations, and near to both at once."""
    border, reach = regions[region]
    one, other = (torch.cdist(x, arc).min(1).values for arc in arcs)
    between = (one + other < reach) & (x[:, 0].abs() < 0.62) if reach < 1 else True
    return (torch.minimum(one, other) > border * moons.std) & between


def split(log_q, B):
    """P, Q, and the three terms: the mass in B, the shape inside, the shape outside."""
    p, q, ratio = log_p.exp() * area, log_q.exp() * area, log_p - log_q
    P, Q = p[B].sum(), q[B].sum()
    mass = P * (P / Q).log() + (1 - P) * ((1 - P) / (1 - Q)).log()
    inside = (p * (ratio - (P / Q).log()))[B].sum()
    outside = (p * (ratio - ((1 - P) / (1 - Q)).log()))[~B].sum()
    return torch.stack([P, Q, mass, inside, outside])


def density_on_grid(flow):
    with torch.no_grad():
        return flow.log_prob(grid.float()).double()


places = {region: lies_in(grid, region) for region in regions}

# %% tags=["nbval-ignore-output"]
print("                                      P      Q    the mass  + inside + outside    share of the mass")
shares, sums, on_grid = [], [], [density_on_grid(one) for one in moon_flows.values()]
for n, log_q_n in enumerate(on_grid):
    drawn = moon_flows[n].sample(20_000, generator=seed(n)).double()
    whole = (log_p.exp() * (log_p - log_q_n)).sum() * area
    for region in regions:
        P, Q, *parts = split(log_q_n, places[region])
        shares.append(((lies_in(drawn, region).double().mean() - Q).abs(), 4 * (Q / 20_000).sqrt()))
        sums.append((sum(parts), whole))
        terms = "  ".join(f"{term:7.4f}" for term in parts)
        print(f"seed {n}, {region:25}  {P:.3f}  {Q:.3f}  {terms}  = {whole:.4f}    {parts[0] / whole:.2f}")
checks.at_most("Q is the share of the flow's samples in B", *torch.tensor(shares).T)
checks.identity("the three terms are the divergence (8a)", *torch.tensor(sums).T, tol=1e-9)

# %% [markdown]
# By every border the flows put more mass into $B$ than the data have there, but that accounts for only an eighth to a quarter of what they lack, depending on where one draws the border.
# The largest term is the last one: it arises near the arcs, where the flow is somewhat too dense in some stretches and not dense enough in others, as the lower right picture shows.
# No topology demands that.
#
# Does it pass with longer training?
# The next cell loads three flows of the same kind, from other first weights, that were trained for 1200 steps in the place of 400.

# %% tags=["nbval-ignore-output"]
longer_flows = []
for n in (0, 1, 2):
    same_kind = flows.RealNVP.for_vectors(dim=2, n_couplings=8, width=64, actnorm=True).float()
    longer_flows.append(train.load(same_kind, run_file(f"moons_{n}.safetensors")))
between, by_steps = list(regions)[1:], {}
for steps, densities in {400: on_grid, 1200: [density_on_grid(one) for one in longer_flows]}.items():
    terms = [torch.stack([split(q, places[region])[2:] for q in densities]) for region in between]
    by_steps[steps] = torch.stack(terms)  # (border, seed, term)
    print(f"{steps:4} steps:", *(f"{whole:.4f}" for whole in terms[0].sum(1)), "nats above the entropy")

# %% tags=["nbval-ignore-output"]
left = by_steps[1200].mean(1) / by_steps[400].mean(1)  # of each term, by each border
for region, (mass, within, without_it) in zip(between, left, strict=True):
    print(
        f"left, {region:25}: of the mass {mass:.2f}, of the inside {within:.2f}, of the outside {without_it:.2f}"
    )
gaps = {steps: each[0].sum(1).mean() for steps, each in by_steps.items()}
checks.at_most("longer: two thirds of the gap at most", gaps[1200], gaps[400] / 1.5)
checks.at_most("longer: half of the term for the mass at most", left[:, 0], torch.full((2,), 0.5))
checks.at_most("longer: no other term shrinks as much", left[:, 0], left[:, 1:].min(1).values)

# %% [markdown]
# On average over the seeds, three times the training leaves about a half of the gap, and less than a third of the term for the mass, by either border between the arcs: the bridge is the part that shrinks most.
#
# At this standard deviation the moons are not even separate.
# Half-way between the tip of one arc and the other arc the true density is a third of what it is on the arc, as the next cell computes, so a flow has a bridge to build here and none to cut.
# In the lab the standard deviation is $0.05$, the moons are nearly separate, and you measure the mass that lies between them there.
#
# The flow's density is an exact one, whatever it lacks as a model: it integrates to one.

# %%
half_way, on_arc = torch.tensor([[1 / 3, -1 / 3]]), torch.tensor([[1 / 3, -1 / 2]])
print(
    f"true density half-way, over that on the arc: {(moons.log_prob(half_way) - moons.log_prob(on_arc)).exp().item():.2f}"
)
edge = torch.linspace(-6, 6, 801)
with torch.no_grad():
    parts = [
        flow.log_prob(torch.cartesian_prod(row, edge).float()).double().exp().sum() for row in edge.split(100)
    ]
checks.identity("the flow's density integrates to one", sum(parts) * (12 / 800) ** 2, 1.0, tol=1e-2)

# %% [markdown]
# What does such a flow do to space?
# Walk through the layers of a trained flow that comes with the package.
# The data become a Gaussian, step by step.
# A grid that is square in $z$ lies bent around the data at first, stays bent for most of the way, and becomes square in the last three layers.
# The cell below the explorer measures this by the angle at which the two kinds of grid lines cross, at 200 data points: the mean of $|\cos|$ is 0 where all of them cross at right angles.

# %%
warp = widgets.FlowWarpExplorer()
warp

# %% tags=["nbval-ignore-output"]
at_layer, slants = moons.sample(200, generator=seed(0)).double(), []
for n in range(9):
    rest = flows.Compose(warp.flow.layers[n:])  # from there to the base
    J_rest = jacobian(lambda h, rest=rest: rest(h)[0], at_layer)
    one_way, other_way = torch.linalg.inv(J_rest).unbind(2)  # the directions of the grid lines
    slants.append(torch.cosine_similarity(one_way, other_way).abs().mean())
    if n < 8:
        at_layer = warp.flow.layers[n](at_layer)[0].detach()
print("mean |cos| after 0 to 8 layers:", *(f"{slant:.2f}" for slant in slants))

# %% [markdown]
# The same map in one go, and in both directions, with the first of the three flows that were trained for longer.
# Data go to the base, where they should look like $N(0, I)$, or draws of the base go to data; every point keeps the colour of its quarter of the base.
# *Temperature* is a factor of $z$ before it is sent to the data (Kingma and Dhariwal 2018): below 1 the draws stay near the middle of the base.
# Which part of the moons is made from there, and where do points go that come from far outside?

# %%
widgets.FlowBothWays(longer_flows[0])

# %% [markdown]
# ## 10. Digits
#
# ### From levels to real numbers
#
# A scanned digit has $D = 64$ pixels, each of them a whole number from 0 to 16, one of $L = 17$ levels, while a flow gives a density over real numbers.
# If we trained the flow on the whole numbers as they are, it would learn spikes: a density can be as high as it likes on a set without volume, so the likelihood would grow without bound and would mean nothing.
# The remedy is *dequantization*.
# To each pixel add noise $u$, uniform on $[0, 1)$, so that every level is spread evenly over a cell of length 1.
# A density $p$ of $x + u$ then gives every whole-numbered picture a probability, namely its mass in the unit cube above it:
#
# $$P(x) = \int_{[0,1)^D} p(x + u)\,du, \qquad -\log P(x) \le E_u[-\log p(x + u)]. \tag{9}$$
#
# The integral is the mean of $p(x + u)$ over $u$, and the inequality is Jensen's: $-\log$ is convex, so its value at a mean is at most the mean of its values.
# So on whole-numbered data even a flow, whose density is exact, gives only a *bound* of the probability, which is tight if $p$ is constant in each cube.
# <details><summary><b>Question.</b> Must the noise be uniform?</summary>
#
# No: for any density $q(u \mid x)$ that is positive on the cube, Jensen's inequality gives $-\log P(x) \le E_q[\log q(u \mid x) - \log p(x + u)]$, and a $q$ that is learned beside the flow can make this bound tighter (*variational dequantization*, Ho et al. 2019).
# </details>
#
# The bound (9) becomes tighter if the mean of $K$ draws is taken before the logarithm:
#
# $$-\log P(x) \;\le\; E\Big[-\log \tfrac1K \sum_{k=1}^K p(x + u_k)\Big] \;\le\; E_u[-\log p(x + u)], \tag{9a}$$
#
# where the left step is Jensen's once more, since the mean of $\frac1K\sum_k p(x + u_k)$ is $P(x)$, and the right step is Jensen's for the mean over $k$.
# As $K$ grows, the mean in the middle tends to $P(x)$, and the bound to $-\log P(x)$.
#
# ### What the number is for
#
# Probabilities of whole-numbered pictures are lengths of codes.
# An ideal code spends $-\log_2 P(x)$ bits on $x$, and real codes come within one bit of that for the whole picture; so the model that needs fewest bits on new pictures is the best one for storing and sending them.
# A picture's $D$ pixels are its dimensions, so we divide by $D$, and put the bound (9) in the place of the unknown $-\log P(x)$:
#
# $$\text{bits per dimension} = \frac{E_u[-\log p(x + u)]}{D \log 2} \;\ge\; \frac{-\log_2 P(x)}{D}. \tag{9b}$$
#
# The bits that are quoted for a flow are therefore an *upper* bound of its code length.

# %%
u, p = torch.linspace(0, 1, 10_001), Normal(0.3, 0.2)  # one pixel of value 0
log_p_u = p.log_prob(u)
P, bound = torch.trapezoid(log_p_u.exp(), u), -torch.trapezoid(log_p_u, u)
checks.identity("P is the mass of the unit cell (9)", P, p.cdf(u[-1]) - p.cdf(u[0]), tol=1e-8)
checks.at_most("Jensen: the mean of −log p is no smaller (9)", -P.log(), bound)

# %%
draws = p.log_prob(torch.rand(200_000, 16, generator=seed(9)))  # log p(x + u_k), K = 16 of them
lengths = {K: (math.log(K) - draws[:, :K].logsumexp(1)) / math.log(2) for K in (1, 4, 16)}
means, errors = (torch.stack([f(bits_K) for bits_K in lengths.values()]) for f in (torch.mean, torch.std))
print("bits with 1, 4, 16 draws:", *(f"{mean:.2f}" for mean in means), f"; −log₂ P: {-P.log2():.2f}")
checks.identity("one draw (9b)", means[0], bound / math.log(2), tol=0.03)
checks.at_most("more draws, a tighter bound (9a)", means[1:], means[:-1] - 4 * errors[:-1] / 200_000**0.5)
checks.at_most("and still a bound (9a)", -P.log2(), means[-1])

# %% [markdown]
# ### Division by the number of levels
#
# It is convenient to have pixels in $[0, 1)$, so we divide by $L$ and let the flow model $y = (x + u)/L$ instead of $x + u$.
# (With division by 16, the largest level, the cell of level 16 would reach beyond 1.)
# Division is a map, and so it has a Jacobian: $\partial y/\partial (x + u)^\top = I/L$, whose determinant is $L^{-D}$.
# By (3) the two densities differ by that factor, $p(x + u) = p_Y(y)\,L^{-D}$, and (9) becomes
#
# $$\log P(x) = \log E_u\!\left[p_Y\!\left(\tfrac{x + u}{L}\right)\right] - D \log L \;\ge\; E_u\!\left[\log p_Y\!\left(\tfrac{x + u}{L}\right)\right] - D \log L. \tag{10}$$
#
# A way to remember the sign is that a picture's cell in $[0, 1)^D$ has the volume $L^{-D}$, and probability is density times volume.
# Whoever forgets $D \log L$ reports $64 \log 17 = 181$ nats too few for each digit, or $\log_2 17 = 4.09$ bits for each pixel.
#
# ### The logit layer
#
# The base density lives on the whole line and pixels live in $[0, 1)$, so the first layer of the flow opens the interval.
# It is $z = \operatorname{logit}(v) = \log v - \log(1 - v)$ with $v = \alpha + (1 - 2\alpha)\,y$, where a small $\alpha$ keeps $v$ away from 0 and 1, at which the logit is infinite.
# Its derivative follows from the chain rule.
# The logit has the derivative $\frac{1}{v} + \frac{1}{1 - v} = \frac{1}{v(1 - v)}$, and $v$ has the derivative $1 - 2\alpha$; each pixel is treated by itself, so the Jacobian is diagonal and
#
# $$\log|\det J| = \sum_{i=1}^{D} \bigl[\log(1 - 2\alpha) - \log v_i - \log(1 - v_i)\bigr]. \tag{11}$$
#
# Near black and near white $v(1 - v)$ is small, and the layer stretches most there, which is where most pixels of a digit are.
#
# The first cell compares (11), written by hand, and the library's layer with autograd.
# The second tests (10) with a whole flow for two pixels, the logit layer and a base N(0, I) alone: the average over the cell, times $L^{-D}$, must be the mass that the normal distribution function gives to the cell's image.

# %%
alpha, logit = 0.05, flows.Logit(0.05)
y_4 = torch.rand(20, 4, generator=seed(0))
v = alpha + (1 - 2 * alpha) * y_4
by_hand = (math.log(1 - 2 * alpha) - v.log() - (1 - v).log()).sum(1)
autograd = torch.linalg.slogdet(jacobian(lambda y: logit(y)[0], y_4)).logabsdet
checks.identity("the logit layer's log-det (11)", by_hand, autograd, tol=1e-9)
checks.identity("the library's, too", logit(y_4)[1], autograd, tol=1e-9)

# %%
tiny, levels_2 = flows.Flow([logit], (2,), levels=17), torch.tensor([3.0, 12.0])  # the levels of two pixels
middle = (torch.arange(400) + 0.5) / 400  # the midpoint rule for the mean over u
u_2 = torch.cartesian_prod(middle, middle)
average = tiny.log_prob((levels_2 + u_2) / 17).logsumexp(0) - 2 * math.log(400)
corners = torch.logit(alpha + (1 - 2 * alpha) * torch.stack([levels_2, levels_2 + 1]) / 17)
mass = Normal(0.0, 1.0).cdf(corners).diff(dim=0).log().sum()
checks.identity("log P is the log of the cell's mass (10)", average - 2 * math.log(17), mass, tol=1e-6)

# %% [markdown]
# ### What has to be beaten
#
# By (9b) and (10), the bits per pixel are $\big(E_u[-\log p_Y] + D \log L\big)/(D \log 2)$, and can be compared with codes that need no network.
# A uniform distribution over 17 levels needs $\log_2 17 = 4.09$ bits per pixel.
# A better code that still needs no network is a Gaussian with the mean and the covariance of the dequantized training pixels.
#
# Our flow will be told which digit it is looking at, and it would be unfair to compare it with a Gaussian that is not.
# So we also fit Gaussians given the class, each with the mean of its class.
# A class has only 150 pictures for a covariance of 64 by 64 pixels, which is too few, so each class takes a mixture of its own covariance and that of all digits, in the proportion 9 : 1 (of all tenths the best one on the held-out digits, a choice that favours the Gaussian).
#
# <details><summary><b>Question.</b> How much can the class be worth?</summary>
#
# A code for the class needs $\log_2 10 = 3.32$ bits, that is $3.32/64 = 0.052$ bits per pixel, and a code for a picture without its class may send the class first.
# So a model of the picture alone, made of the ten class-conditional ones as $P(x) = \frac{1}{10}\sum_c P(x \mid c)$, needs at most $0.052$ bits per pixel more than the conditional ones.
# Whatever a model gains by the class beyond $0.052$ bits it would also gain as a mixture without the class; ten Gaussians gain $0.41$, because one Gaussian has the wrong shape.
# </details>


# %%
x_int, label = data.digits("test", integers=True)
train_int, train_label = data.digits("train", integers=True)
vectors, train_vectors = x_int.flatten(1), train_int.flatten(1)


def gaussian_bits(mean, cov, x):
    """E_u of −log₂ N(x + u; mean, cov) per pixel, exactly: of u only its mean ½ and variance 1/12 matter."""
    at_middle = torch.distributions.MultivariateNormal(mean, cov).log_prob(x + 0.5)
    return (-at_middle + torch.linalg.inv(cov).trace() / 24) / (64 * math.log(2))


def moments(x):
    return x.mean(0) + 0.5, torch.cov(x.T) + torch.eye(64) / 12


# %%
mean, cov = moments(train_vectors.double())
one_gaussian = gaussian_bits(mean, cov, vectors.double()).mean()
given_class = torch.zeros(len(label))
for c in range(10):
    own_mean, own_cov = moments(train_vectors[train_label == c].double())
    given_class[label == c] = gaussian_bits(own_mean, 0.9 * own_cov + 0.1 * cov, vectors[label == c].double())
print(f"uniform                    {math.log2(17):.2f} bits per pixel")
print(f"Gaussian                   {one_gaussian:.2f}")
print(f"Gaussians, given the class {given_class.mean():.2f}")

# %% [markdown]
# ### The flow
#
# The flow has sixteen couplings on all 64 pixels, whose halves are drawn at random, and a logit layer in front.
# Every network is given the class beside the pixels that it reads.
# Two further parts have not been explained yet.
#
# *Actnorm* is a layer that scales and shifts each coordinate by itself, $z_i = e^{s_i} x_i + t_i$, with numbers $s_i$ and $t_i$ that are the same for all pictures; its log-determinant is $\sum_i s_i$.
# They are parameters, and they start in a special way: the first batch sets them so that every coordinate of it comes out with mean 0 and variance 1.
# After the logit layer the pixels have means between $-2.6$ and $1.4$ and variances between $0.04$ and $3.8$, so without this start the first steps of training would be spent on repairing scales; the cell below says how many bits they amount to.
#
# *Dropout* sets a random share of a network's hidden features, here 0.3 of them, to zero at every step of training, and so makes it hard to learn 1500 pictures by heart.
# It may be used because a coupling asks nothing of its network, and any network with some features missing still defines a bijection.
# But the features that are missing change from call to call, and with them the map.
# If the two passes drop different features, the second does not undo the first, and so dropout is switched off for likelihoods and for samples.

# %%
norm = flows.ActNorm(64).train()
pixels = flows.Logit()(flows.dequantize(train_vectors[:128], 17, seed(0)))[0]
normed, norm_log_det = norm(pixels)
checks.identity("actnorm: the first batch has variance 1", normed.var(0, correction=0), torch.ones(64), tol=1e-6)
checks.identity("actnorm's log-det", norm_log_det[:2], torch.linalg.slogdet(jacobian(lambda x: norm(x)[0], pixels[:2])).logabsdet, tol=1e-6)  # fmt: skip
nats = [
    -Normal(0.0, 1.0).log_prob(pixels).sum(1).mean(),
    (-Normal(0.0, 1.0).log_prob(normed).sum(1) - norm_log_det).mean(),
]
print(f"before any training, actnorm saves {(nats[0] - nats[1]) / (64 * math.log(2)):.1f} bits per pixel")

# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
digit_flow = flows.RealNVP.for_vectors(
    64, n_couplings=16, width=96, mask="random", dropout=0.3, actnorm=True, levels=17, n_classes=10
).float()
objective = flows.MaximumLikelihood(digit_flow)
history = train.fit(objective, (train_vectors, train_label), steps=350, batch_size=128, seed=0)

# %% tags=["nbval-ignore-output"]
bits = digit_flow.bits_per_dim(vectors, label, generator=seed(0))
tighter = digit_flow.bits_per_dim(vectors, label, n_importance=16, generator=seed(0))
print(f"flow      {bits.mean():.2f} bits per pixel, given the class ({history.seconds:.0f} s of training)")
print(f"          {tighter.mean():.2f} with 16 draws of the noise for each digit")
checks.at_most("digits: 16 draws, a tighter bound (9a)", tighter.mean(), bits.mean())

# %% [markdown]
# The flow needs more than half a bit per pixel less than the Gaussians that are given the class as well.
# The next cell takes the number apart into the terms that were derived above, each in bits per pixel, and then leaves the class out, by averaging the ten conditional densities.

# %% tags=["nbval-ignore-output"]
y_held = flows.dequantize(vectors, 17, seed(0), dtype=torch.float32)
with torch.no_grad():
    z_held, all_log_det = digit_flow(y_held, label)
    per_class = [digit_flow.log_prob(y_held, torch.full_like(label, c)) for c in range(10)]
log_p_base, by_logit = Normal(0.0, 1.0).log_prob(z_held).sum(1).mean(), flows.Logit()(y_held)[1].mean()
terms = {
    "−log p_Z": -log_p_base,
    "−log-det of the logit": -by_logit,
    "−log-det of the rest": by_logit - all_log_det.mean(),
}
terms["+D log 17"] = torch.tensor(64 * math.log(17))
for name, term in terms.items():
    print(f"{name:22} {term / (64 * math.log(2)):6.2f}")
without = 64 * math.log(17) + math.log(10) - torch.stack(per_class).double().logsumexp(0)
print(
    f"together {sum(terms.values()) / (64 * math.log(2)):.2f}; without the class {without.mean() / (64 * math.log(2)):.2f}"
)

# %% [markdown]
# ### Samples
#
# A sample is $f^{-1}(z)$ of a code $z$ from the base.
# A *temperature* $\tau$ below 1 multiplies the code before it goes back: the samples show fewer odd digits and less variety, and they are no longer samples of the model.
# The picture shows twelve threes at each of three temperatures, and the cell below it counts: of 300 samples of all classes, how many does a *judge*, a small classifier, read as the class that was asked for?

# %%
classes = torch.full((12,), 3)
threes = x_int[label == 3][:12]
rows = {
    f"temperature {tau}": digit_flow.sample(12, classes, temperature=tau, generator=seed(3)).view(-1, 1, 8, 8)
    for tau in (1.0, 0.6, 0.2)
}
plots.image_rows(
    real=threes / 16,
    **rows,
    span=(0, 1),
    alt="Twelve real threes, and twelve of the flow at each of three temperatures: the lower, the cleaner, and the more alike.",
)

# %% tags=["nbval-ignore-output"]
judge, many = metrics.judge("digits").float(), torch.arange(10).repeat(30)
for tau in (1.0, 0.6):
    drawn = flows.quantize(digit_flow.sample(300, many, temperature=tau, generator=seed(4)), 17).view(-1, 1, 8, 8)
    apart = drawn.double().view(30, 10, 64).std(0).mean()  # over the samples of a class
    right = (judge((drawn / 8 - 1).float()).argmax(1) == many).double().mean()
    print(f"temperature {tau}: {right:.2f} read as their class; standard deviation of a pixel {apart:.2f} levels")

# %% [markdown]
# ### Between two digits
#
# Because the map is a bijection, every real digit has a code, and we can walk from one code to another and look at what lies between.
# Flows are often praised for what such a walk shows, so let us measure it, beside the plain average of two pictures, which is a double exposure.
#
# There is a catch in the straight line between two codes.
# If $z$ and $z'$ were independent draws of $N(0, I)$, then $(z + z')/2$ would have variance $\frac12$ in every coordinate, so its length would be near $\sqrt{64/2} = 5.7$, while $z$ and $z'$ have lengths near $\sqrt{64} = 8$.
# (The codes of held-out digits have a mean length of 7.4.)
# The middle of a straight line between far ends is therefore a code at a low temperature, and what looks clean there may be owed to that alone.
# To separate the two effects, a second walk keeps the length: it scales the middle back to the mean length of its ends.
#
# The figure takes the two held-out sevens that differ most.
# The table takes the middle of every pair of held-out digits of one class.


# %%
def codes_of(pair, c):
    with torch.no_grad():
        return digit_flow(flows.dequantize(pair, 17, seed(0), dtype=torch.float32), torch.full((len(pair),), c))[
            0
        ]


def way_back(z, c):
    with torch.no_grad():
        return digit_flow.inverse(z, torch.full((len(z),), c))[0]


def keep_length(z, first, last, share):
    """z, scaled to the length that lies between those of `first` and `last`."""
    length = (1 - share) * first.norm(dim=1, keepdim=True) + share * last.norm(dim=1, keepdim=True)
    return z / z.norm(dim=1, keepdim=True) * length


# %%
sevens = vectors[label == 7]
i, j = divmod(int(torch.cdist(sevens.double(), sevens.double()).argmax()), len(sevens))
z_a, z_b = codes_of(sevens[[i, j]], 7).split(1)
share = torch.linspace(0, 1, 9, dtype=torch.float32)[:, None]
straight = (1 - share) * z_a + share * z_b
ends = flows.dequantize(sevens[[i, j]], 17, seed(0), dtype=torch.float32)
walks = {
    "pixels": (1 - share) * ends[:1] + share * ends[1:],
    "codes": way_back(straight, 7),
    "codes of full length": way_back(keep_length(straight, z_a, z_b, share), 7),
}
plots.image_rows(
    **{name: walk.view(-1, 1, 8, 8) for name, walk in walks.items()},
    span=(0, 1),
    alt="Three walks of nine steps from one seven to another: through the pixels, through the codes, and through codes of full length. All three look alike at the ends, and much alike in between.",
)


# %%
def half_way_of(c):
    """Of all pairs of held-out digits of one class: one end, and the middle of each walk."""
    own = vectors[label == c]
    i, j = torch.triu_indices(len(own), len(own), 1)
    y_c, z_c = flows.dequantize(own, 17, seed(0), dtype=torch.float32), codes_of(own, c)
    half = (z_c[i] + z_c[j]) / 2
    full = keep_length(half, z_c[i], z_c[j], 0.5)
    middles = (y_c[i] + y_c[j]) / 2, way_back(half, c), way_back(full, c)
    return {"held-out digits": y_c[i]} | dict(zip(walks, middles, strict=True))


# %% tags=["nbval-ignore-output"]
results = {}
for c in range(10):
    known = (train_vectors[train_label == c] + 0.5).float() / 17
    for name, y_c in half_way_of(c).items():
        right = judge((2 * y_c - 1).clamp(-1, 1).view(-1, 1, 8, 8)).argmax(1) == c
        near = torch.cdist(y_c, known).min(1).values
        results.setdefault(name, []).append(torch.stack([right.float(), near], dim=1))
print("                      read as its class   distance from the nearest training digit of the class")
for name, values in results.items():
    right, near = torch.cat(values).mean(0)
    print(f"{name:22} {right:13.3f} {near:19.2f}")

# %% [markdown]
# <details><summary><b>Question.</b> By these numbers, has the flow found the digits between two digits?</summary>
#
# For the judge and for the eye the three walks differ little: a double exposure of two small, centred digits of one class still reads as that class in 99 of 100 pairs, and the walk through the codes gains one pair in a hundred at most.
# By the distance from the nearest training digit the straight walk looks better than real digits do, but that is the low temperature at work: with the length kept, the middle of the codes is farther away than the average of the pixels.
# So at this size the experiment does not show it.
# It does show what to look at before one says so: the length of the codes, more pairs than one, and the double exposure beside them.
# </details>

# %% [markdown]
# ## 11. What is not crisp
#
# Flows are said to be less crisp than GANs.
# That can be measured: crisp pictures have power at high spatial frequencies, so we compare *spectra*, and *detail*, the power on the outer rings over that of real digits, as in [Learned losses](01_learned_losses.ipynb), section 2.

# %%
sampled = {
    tau: flows.quantize(digit_flow.sample(300, many, temperature=tau, generator=seed(4)), 17).view(-1, 1, 8, 8)
    for tau in (1.0, 0.6)
}
rings = {"real": metrics.spectrum(x_int / 16)}
rings |= {f"flow, temperature {tau}": metrics.spectrum(drawn / 16) for tau, drawn in sampled.items()}
axes = {"xlabel": "frequency (ring)", "ylabel": "mean power", "xticks": range(4), "aspect": 2.0}
plots.figure(
    plots.lines(torch.arange(4), rings, yscale="log", **axes),
    alt="Power against frequency for real digits and for the flow's samples at two temperatures, which have a little less of it on the outer rings.",
)

# %% tags=["nbval-ignore-output"]
for name, drawn in {
    "real digits": x_int,
    **{f"temperature {tau}": drawn for tau, drawn in sampled.items()},
}.items():
    faint = (drawn >= 1) & (drawn <= 3)
    beside = (
        torch.nn.functional.max_pool2d((drawn >= 8).double(), 3, stride=1, padding=1) > 0
    )  # ink within a pixel
    shares = (
        f"beside a stroke {(faint & beside).double().mean():.3f}, stray {(faint & ~beside).double().mean():.4f}"
    )
    detail, last = metrics.detail(drawn / 16, x_int / 16), metrics.spectrum(drawn / 16)[3] / rings["real"][3]
    ink = drawn[drawn >= 4].double().mean()
    print(f"{name:15} detail {detail:.2f}; last ring alone {last:.2f}; faint: {shares}; mean ink {ink:.1f}")

# %% [markdown]
# Some detail is missing, but what strikes the eye first is something else, a lack of *order*: faint stray pixels where a real digit has a clean background.
# The cell counts *faint* pixels, on levels 1 to 3, and calls them *stray* if none of the eight pixels around them, nor they themselves, holds half of full ink or more.
# Beside a stroke real digits have such pixels as well, on 9 of 100 places, because their edges are soft; stray ones they hardly have at all, one in 20,000.
# In the flow's samples at temperature 1 every 36th pixel is stray, almost two on each digit.
#
# Why does maximum likelihood let them pass?
# Because (8) is a mean over the *data*: a model that gives a real digit too little probability is punished severely, and what it puts elsewhere is punished only through the mass that the real digits then lack.
# Suppose that half of a model's mass is rubbish, $p'_\theta = \frac12 p_\theta + \frac12 r$ with any density $r$ at all.
# Then $p'_\theta \ge \frac12 p_\theta$, and so $-\log_2 p'_\theta(x) \le -\log_2 p_\theta(x) + 1$: the waste costs at most one bit for a whole digit, or $1/64 = 0.016$ bits per pixel, while every second sample is rubbish (Theis et al. 2016, section 3.2).
# That is arithmetic, true of any model; for our flow, with $r$ uniform noise, it comes to this.

# %% tags=["nbval-ignore-output"]
rubbish = torch.full_like(bits, math.log2(17))  # a uniform density needs so many bits per pixel
wasteful = -torch.logaddexp2(-64 * bits - 1, -64 * rubbish - 1) / 64
print(f"all flow {bits.mean():.3f} bits per pixel, half of it noise {wasteful.mean():.3f}")

# %% [markdown]
# <details><summary><b>Question.</b> How does a temperature below 1 change the spectrum, and why?</summary>
#
# It draws codes nearer to 0, where $p_Z$ is highest, although hardly any code lies there: in 64 dimensions the draws of $N(0, I)$ lie near a sphere of radius 8.
# Extremes become rarer, and the power on the outermost ring falls with them, from 0.91 of that of real digits to 0.84.
# Stray pixels, which are such extremes, fall to a third, from 0.027 to 0.009 of all pixels.
# On average the strokes are as dark, and their edges as soft, as before: the mean of the pixels on level 4 and above is 10.8 at both temperatures, and beside the strokes there are as many faint pixels as before, on 0.147 of all places.
# </details>

# %% [markdown]
# ## What the notes said, and what holds
#
# - "$x \sim \hat p(x)$, $z \sim \hat p(z)$." The data distribution is only seen through samples; the base density is chosen, and fixed (section 1; row [5](08_the_notes_corrected.ipynb#Row-5)).
# - "$p_\theta(x) = \int_z p_\theta(x \mid z) p(z) dz$. However, this is intractable." For a noisy, nonlinear decoder it is; a linear one has a closed form, and a bijection leaves no integral (section 1; row [6](08_the_notes_corrected.ipynb#Row-6)).
# - "$p(z) = N(0, 1)$." It is $N(0, I)$, of the same dimension as $x$ (section 1; row [26](08_the_notes_corrected.ipynb#Row-26)).
# - "$p(x) = p(z)\,dz/dx = p(z)|J|$." It is the absolute value of the *determinant*, and $p_Z$ is taken at $f(x)$ (section 2; row [7](08_the_notes_corrected.ipynb#Row-7)).
# - "Maximize the Jacobian." The sum of both terms is maximised; the determinant alone has no maximum (section 3; row [8](08_the_notes_corrected.ipynb#Row-8)).
# - "$z_2 = s(x_1) \odot x_2 + t(x_1)$." With $\exp(s)$: where a raw $s$ is 0 there is no inverse (section 6; row [9](08_the_notes_corrected.ipynb#Row-9)).
# - "Upper triangular." Lower, unless the halves are swapped (section 5; row [10](08_the_notes_corrected.ipynb#Row-10)).
# - "We couple the layers", and triangular is expressive. Coordinates are coupled; what makes a flow of couplings expressive are the networks inside and the number of layers (sections 5 and 8; row [27](08_the_notes_corrected.ipynb#Row-27)).
# - "Half the image is modeled well and the other half is modeled poorly", so do it twice. Half is unchanged; it takes three layers until all depends on all (section 7; row [11](08_the_notes_corrected.ipynb#Row-11)).
# - "The inverse is $|f_1^{-1} \odot f_2^{-1} \dots|$." $f^{-1} = f_1^{-1} \circ \dots \circ f_N^{-1}$, and log-determinants add (section 8; row [12](08_the_notes_corrected.ipynb#Row-12)).
# - Flows "learn both the mapping of $x$ to some encoding $z$ and the inverse (decoding) of $z$ back to $x$". One map is learned; its inverse comes with it (section 6; row [25](08_the_notes_corrected.ipynb#Row-25)).
# - "Because this is called normalizing flow, this model is called a flow model." Section 8 says what both words mean (row [28](08_the_notes_corrected.ipynb#Row-28)).
# - Flows give "exact likelihoods". For continuous data; on whole numbers a dequantized flow gives a bound (section 10; row [13](08_the_notes_corrected.ipynb#Row-13)).

# %% [markdown]
# ## Where to read on
#
# - Tabak and Vanden-Eijnden 2010, *Density Estimation by Dual Ascent of the Log-Likelihood*; Tabak and Turner 2013, *A Family of Nonparametric Density Estimation Algorithms*: the idea, and the name.
# - Dinh, Krueger and Bengio 2015, *NICE*: couplings that shift.
# - Dinh, Sohl-Dickstein and Bengio 2017, *Density Estimation Using Real NVP*: couplings that scale, masks, many scales.
# - Ho, Chen, Srinivas, Duan and Abbeel 2019, *Flow++*: noise that is learned, for dequantization.
# - Theis, van den Oord and Bethge 2016, *A Note on the Evaluation of Generative Models*: dequantization, and why likelihood and looks differ.
#
# The affine coupling is one way to have an inverse and a cheap determinant.
# Which others are there, and what do larger pictures ask for?
# The second part asks that: [Normalizing flows: other flows](03b_other_flows.ipynb).
