# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # Normalizing flows
#
# *Can a network give every picture a probability, exactly, and still draw new ones?*
#
# **You will learn**
#
# - why a bijection spares us the integral over all latent codes;
# - how probability behaves when space is stretched, in one dimension and in many;
# - what a determinant costs, and how a coupling layer avoids it;
# - how many couplings it takes until every output depends on every input;
# - what maximum likelihood reaches, on data whose entropy is known and on digits.
#
# **It takes** 30 minutes.
# **You need** the chain rule, determinants of small matrices, and the Gaussian density; [Start here](00_start_here.ipynb) has the notation.

# %% slideshow={"slide_type": "skip"}
import math
import time

import torch
from gencourse import checks, plots, widgets

from genlib import data, flows, metrics, train

g = torch.Generator().manual_seed(0)
torch.set_default_dtype(torch.float64)  # identities are shown in double precision
Normal = torch.distributions.Normal

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. What we want from a density
#
# We have data $x_1, \dots, x_N$, and we do not know where they come from: the data distribution is only seen through its samples.
# We should like a density $p_\theta(x)$ that we can
#
# 1. **evaluate**, to say how likely a picture is;
# 2. **learn**, by making the data likely;
# 3. **sample**, to get new pictures.
#
# One recipe for the third wish is a *decoder*: draw a code $z$ from a simple density $p(z)$ that we have chosen, and let a network make a picture of it.
# If the decoder adds noise, the picture has a density given its code, $p_\theta(x \mid z)$, and so
#
# $$p_\theta(x) = \int p_\theta(x \mid z)\,p(z)\,dz. \tag{1}$$
#
# To evaluate that, one has to try every code that could have led to $x$.
# For a network no formula is known, and that is the trouble with the first wish: a VAE has to be content with a bound ([Learned losses](01_learned_losses.ipynb), section 4).
# (There are exceptions. If the decoder is *linear* and its noise Gaussian, then $x$ is Gaussian, and the integral has a closed form.)

# %%
a, sigma = 1.7, 0.4  # a linear decoder: x = a z + sigma · noise
x, z = torch.linspace(-3, 3, 7)[:, None], torch.linspace(-10, 10, 20_001)
integrand = Normal(a * z, sigma).log_prob(x).exp() * Normal(0.0, 1.0).log_prob(z).exp()
closed = Normal(0.0, math.sqrt(a**2 + sigma**2)).log_prob(x[:, 0]).exp()
checks.identity("a linear decoder has a closed form (1)", torch.trapezoid(integrand, z), closed, tol=1e-10)

# %% [markdown] slideshow={"slide_type": "subslide"}
# Now suppose that the decoder adds no noise, and that it can be run backwards: that each $x$ comes from exactly *one* code, $z = f(x)$.
# Then there is nothing to integrate over.
# Only one code has to be looked at, and $f$ finds it.
#
# A map with exactly one $z$ for each $x$, and one $x$ for each $z$, is a *bijection*.
# It has a price that we should name at once: $z$ must have the same dimension as $x$.
# So the base density is $N(0, I)$ in as many dimensions as the data have, not $N(0, 1)$.
#
# What remains is to say how the density of $x$ follows from that of $z$.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. Probability is conserved, lengths are not
#
# Begin in one dimension.
# Let $z \sim N(0, 1)$ and $x = f^{-1}(z)$, with a smooth, strictly monotonic $f$ from the whole line onto the whole line.
# Take a small interval of length $dx$ around $x$.
# The map $f$ carries it to an interval around $z = f(x)$, of length $|dz|$.
# The same events fall into both, so both hold the same probability:
#
# $$p_X(x)\,|dx| = p_Z(z)\,|dz| \qquad\Longrightarrow\qquad p_X(x) = p_Z(f(x)) \left|\frac{df}{dx}(x)\right|. \tag{2}$$
#
# The absolute value is needed because $f$ may fall: lengths and probabilities are positive.
# And mind where the base density is taken: at $f(x)$, not at $x$.


# %%
def f(x):
    """A falling bijection of the line, and its derivative."""
    return -(x + 0.8 * torch.tanh(2 * x)), -(1 + 1.6 / torch.cosh(2 * x) ** 2)


def density_of_x(x):
    z, slope = f(x)
    return Normal(0.0, 1.0).log_prob(z).exp() * slope.abs()


x = torch.linspace(-6, 6, 12_001)
checks.identity("the density integrates to one (2)", torch.trapezoid(density_of_x(x), x), 1.0, tol=1e-9)

# %% [markdown] slideshow={"slide_type": "subslide"}
# The picture shows three intervals of the $x$-axis and where they go.
# Each pair of areas is equal, though the widths are not: where $f$ is steep, it stretches, and what lies in a long interval of the $z$-axis is crowded into a short one of the $x$-axis.

# %%
edges = ((-1.1, -0.6), (-0.25, 0.05), (0.5, 1.1))
inside = torch.stack([torch.linspace(a, b, 2001) for a, b in edges])
mass_x = torch.trapezoid(density_of_x(inside), inside)
images = f(torch.tensor(edges))[0].sort(dim=1).values  # f falls: it turns each interval round
mass_z = Normal(0.0, 1.0).cdf(images).diff(dim=1)[:, 0]
checks.identity("each interval keeps its mass (2)", mass_x, mass_z, tol=1e-6)

# %%
base = Normal(0.0, 1.0).log_prob(x).exp()
plots.figure(
    plots.areas(x, density_of_x(x), edges, xlabel="x", title="density of x", xlim=(-3, 3), ylim=(0, 1.1)),
    plots.areas(x, base, images.tolist(), xlabel="z", title="density of z", xlim=(-3, 3), ylim=(0, 1.1)),
    alt="Two densities. Three coloured intervals under that of x have the same areas as their images under that of z, but other widths.",
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# In $D$ dimensions, lengths become volumes.
# ($D$ is the dimension of $x$ throughout this lecture, in which no discriminator occurs.)
# Close to a point, $f$ is nearly its linear part, the Jacobian matrix $J = \partial f / \partial x^\top$.
# A linear map multiplies every volume by $|\det J|$, the volume of the parallelepiped that it makes of the unit cube.
# So (2) becomes
#
# $$p_X(x) = p_Z(f(x))\,\left|\det \frac{\partial f}{\partial x^\top}\right|, \qquad
# \log p_X(x) = \log p_Z(f(x)) + \log\left|\det J\right|. \tag{3}$$
#
# It is the *determinant* of $J$ that counts, and its absolute value.
#
# We test (3) where the answer is known otherwise.
# If $x$ is Gaussian with covariance $\Sigma = L L^\top$, then $f(x) = L^{-1}(x - \mu)$ is standard normal.

# %%
L = torch.randn(5, 5, generator=g).tril(-1) + torch.diag(torch.rand(5, generator=g) + 0.5)
mu, x = torch.randn(5, generator=g), torch.randn(100, 5, generator=g)
z = torch.linalg.solve_triangular(L, (x - mu).T, upper=False).T
log_det = torch.linalg.slogdet(torch.linalg.inv(L)).logabsdet
exact = torch.distributions.MultivariateNormal(mu, scale_tril=L).log_prob(x)
flow_says = Normal(0.0, 1.0).log_prob(z).sum(1) + log_det
checks.identity("change of variables in 5 dimensions (3)", flow_says, exact, tol=1e-9)

# %% [markdown]
# <details><summary><b>Question.</b> A map f squeezes all data into a tiny ball around 0, where the base density is highest. Why is that no good model?</summary>
#
# Because of the second term of (3).
# Squeezing makes $|\det J|$ tiny, and its logarithm very negative.
# What is gained in $\log p_Z$ is bounded; what is lost in $\log|\det J|$ is not.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. Why not just make the determinant large?
#
# The data become likely if (3) is large at the data, so we *maximise the sum* of both terms.
# The determinant alone has no maximum.
# Scale any $f$ by a factor $c > 1$, and $\log|\det J|$ grows by $D \log c$, for ever.
# It is the first term that holds it back: for $N(0, I)$, $\log p_Z(cz)$ falls like $-c^2 \|z\|^2/2$.
#
# Between the two there is one best scale.
# For data of mean 0 and variance $v$ in every direction, and $f(x) = cx$, the mean of (3) is $-\tfrac{D}{2} c^2 v + D \log c + \text{const}$.
# It is concave in $c$, and its derivative is zero at $c^2 v = 1$: of all these, the best map is the one that makes the codes have variance one.

# %%
x = 0.3 * torch.randn(20_000, 2, generator=g)
scale = torch.linspace(0.2, 10, 491)
first = torch.stack([Normal(0.0, 1.0).log_prob(c * x).sum(1).mean() for c in scale])
second = 2 * scale.log()
best = scale[(first + second).argmax()]
checks.identity("the best scale makes the variance one", (best**2 * (x**2).mean()), 1.0, tol=0.02)
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

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. What a determinant costs
#
# For a general map, the Jacobian has $D^2$ entries, and its determinant takes of the order of $D^3$ operations.
# A colour picture of 256 by 256 pixels has $D = 196{,}608$.
# Its Jacobian would have $4 \cdot 10^{10}$ entries, 150 gigabytes in single precision, and $D^3$ is nearly $10^{16}$.
#
# There is one kind of matrix whose determinant costs next to nothing: a *triangular* one.
# Its determinant is the product of its diagonal, so the logarithm is a sum of $D$ numbers.
# To see why, expand along the first row, which has a single entry other than zero, and go on with the smaller matrix that is left.

# %%
J = torch.randn(50, 50, generator=g).tril()
full, diagonal = torch.linalg.slogdet(J).logabsdet, J.diagonal().abs().log().sum()
checks.identity("triangular: the log-det is a sum", full, diagonal, tol=1e-9)


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
matrices = [torch.randn(D, D, generator=g) for D in sizes]
full = [seconds(torch.linalg.slogdet, J) for J in matrices]
diagonal = [seconds(lambda J: J.diagonal().abs().log().sum(), J) for J in matrices]
cubic = [full[-1] * (D / sizes[-1]) ** 3 for D in sizes]
plots.figure(
    plots.lines(sizes, {"determinant": full, "cubic, for comparison": cubic, "sum of a diagonal": diagonal},
                xscale="log", yscale="log", xlabel="dimension D", ylabel="seconds", aspect=2.2),
    alt="Seconds against dimension, measured, on logarithmic axes: the determinant approaches a cubic, the sum of a diagonal stays far below.",
)  # fmt: skip

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. The coupling layer
#
# So we want a map that is flexible, easy to invert, and has a triangular Jacobian.
# Here is a construction that has all three.
#
# Split the coordinates into two halves, $x = (x_1, x_2)$.
# Leave the first half alone.
# Let a network look at it, and say how the second half is to be scaled and shifted:
#
# $$z_1 = x_1, \qquad z_2 = \exp(s(x_1)) \odot x_2 + t(x_1). \tag{4}$$
#
# The coordinates are *coupled*: what happens to one half depends on the other.
# Take the derivatives, block by block:
#
# $$\frac{\partial z}{\partial x^\top} = \begin{pmatrix} I & 0 \\ \ast & \operatorname{diag}(\exp s(x_1)) \end{pmatrix}, \qquad \log|\det J| = \sum_i s_i(x_1). \tag{5}$$
#
# The block in the lower left holds the derivatives of $s$ and $t$.
# It may be as complicated as we like, because the determinant never looks at it.
# The matrix is *lower* triangular.
# In the code, $s$ is called `log_s`, since it is the logarithm of a scale, and $t$ is called `shift`, since $t$ is a step in other lectures.


# %%
def randomise(module, std=0.3):
    """Random weights: a fresh coupling is the identity, on which every claim would hold."""
    for p in module.parameters():
        p.data += std * torch.randn(p.shape, generator=g)
    return module


layer = randomise(flows.AffineCoupling(flows.masks.halves(6)), std=0.15)
x = torch.randn(50, 6, generator=g)
z, log_det = layer(x)
J = torch.stack([torch.autograd.functional.jacobian(lambda v: layer(v[None])[0][0], point) for point in x])
checks.identity("log-det is the sum of log_s (5)", log_det, torch.linalg.slogdet(J).logabsdet, tol=1e-9)
checks.identity("lower triangular (5)", J.triu(1), torch.zeros_like(J), tol=1e-12)
checks.identity("the first half is untouched", z[:, :3], x[:, :3], tol=1e-12)

# %% [markdown] slideshow={"slide_type": "subslide"}
# On the left is the Jacobian of that layer, from autograd, at one point.
# If the halves change their roles, so that the second one is left alone, the block of derivatives moves to the upper right.

# %%
swapped = randomise(flows.AffineCoupling(flows.masks.halves(6, swap=True)), std=0.15)
J_swapped = torch.autograd.functional.jacobian(lambda v: swapped(v[None])[0][0], x[0])
plots.figure(
    plots.heatmap(J[0], diverging=True, title="first half kept", xlabel="input", ylabel="output"),
    plots.heatmap(J_swapped, diverging=True, title="second half kept", xlabel="input", ylabel="output"),
    alt="Two six by six Jacobians. Left: lower triangular, with a dense block in the lower left. Right: upper triangular, with a dense block in the upper right.",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. The way back, without inverting a network
#
# Given $z$, we know $x_1$ at once: it is $z_1$.
# So we can ask the network the same question as before, and get the same $s$ and $t$:
#
# $$x_1 = z_1, \qquad x_2 = \exp(-s(z_1)) \odot (z_2 - t(z_1)). \tag{6}$$
#
# Neither $s$ nor $t$ has been inverted.
# They may be any networks.
# And nothing new has been learned: the inverse comes with the map, exactly.

# %%
x_back, log_det_back = layer.inverse(z)
checks.identity("the inverse is exact (6)", x_back, x, tol=1e-12)
checks.identity("its log-det is minus that of the map", log_det_back, -log_det, tol=1e-12)

# %% [markdown] slideshow={"slide_type": "subslide"}
# Why the exponential?
# Without it, $z_2 = s(x_1) \odot x_2 + t(x_1)$.
# A negative $s$ would do no harm: one has to write $\log|s|$, and that is all.
# The harm is in between.
# A continuous $s$ that takes both signs passes through 0, and there every $x_2$ is sent to the same point.
# No inverse can undo that.
# With $\exp$, the factor is never 0.

# %%
x_1, x_2 = torch.linspace(-1, 1, 41)[:, None], torch.tensor([[-2.0, 0.5, 3.0]])
raw = x_1 * x_2 + 0.3  # s(x_1) = x_1 and t = 0.3: a raw scale that changes its sign
checks.identity("a raw scale of 0 sends all to one point", raw[20], torch.full((3,), 0.3), tol=1e-12)
plots.figure(
    plots.lines(
        x_1,
        {f"x_2 = {value:g}": x_1 * value + 0.3 for value in x_2[0]},
        xlabel="x_1",
        ylabel="z_2",
        title="raw s",
    ),
    plots.lines(
        x_1,
        {f"x_2 = {value:g}": x_1.exp() * value + 0.3 for value in x_2[0]},
        xlabel="x_1",
        ylabel="z_2",
        title="exp(s)",
    ),
    alt="Left: three lines of z_2 against x_1 cross in one point. Right: three curves that never meet.",
)

# %% [markdown]
# <details><summary><b>Question.</b> In floating point, exp can overflow. What keeps a coupling safe?</summary>
#
# The library bounds `log_s` by a smooth function, $\texttt{bound} \cdot \tanh(\cdot)$.
# A single layer then scales by between $e^{-\texttt{bound}}$ and $e^{\texttt{bound}}$; many of them reach any scale.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. How many layers until everything depends on everything?
#
# One coupling leaves half of the coordinates *unchanged*.
# So the next one keeps the other half, and changes the first.
# After two layers every coordinate has been changed.
# Is that enough?
#
# Follow the dependencies.
# Layer one makes $z_2$ depend on $x_1$ and, entry by entry, on $x_2$.
# Layer two makes the new first half depend on all of that.
# But the second half is what layer one made of it: each of its entries has seen all of $x_1$ and only *itself* of $x_2$.
# A third layer is needed to mix the second half with itself.
#
# Zeros in the Jacobian show it.
# The networks are random and dense, so an entry that is zero is zero for all weights.

# %%
layers = [randomise(flows.AffineCoupling(flows.masks.halves(6, swap=k % 2 == 1)), std=0.5) for k in range(3)]


def pattern(n):
    J = torch.autograd.functional.jacobian(lambda v: flows.Compose(layers[:n])(v[None])[0][0], x[0])
    return (J.abs() > 1e-12).double()


counts = torch.tensor([pattern(n).sum() for n in (1, 2, 3)])
checks.identity(
    "entries that depend, after 1, 2, 3 layers", counts, torch.tensor([6.0 + 9, 9 + 9 + 9 + 3, 36]), tol=1e-12
)
plots.figure(
    *[
        plots.heatmap(
            pattern(n),
            diverging=True,
            colorbar=False,
            aspect=1.0,
            title=f"{n} layer{'s'[: n - 1]}",
            xlabel="input",
            ylabel="output",
        )
        for n in (1, 2, 3)
    ],
    alt="Which outputs depend on which inputs. One layer: a diagonal and one block. Two: a diagonal is left in the lower right block. Three: all.",
)

# %% [markdown]
# There is one exception: if the half that is changed first has a single coordinate, it has nothing to mix with itself.
# In two dimensions, therefore, two layers are enough.

# %%
plane = [randomise(flows.AffineCoupling(flows.masks.halves(2, swap=k == 1)), std=0.5) for k in range(2)]
J = torch.autograd.functional.jacobian(lambda v: flows.Compose(plane)(v[None])[0][0], x[0, :2])
checks.identity("2-D: after two layers all four entries depend", (J.abs() > 1e-12).sum(), 4, tol=1e-12)

# %% [markdown]
# Pictures are split in other ways too, by checkerboards or by channels.
# Play with the masks: how many layers does each take until every output depends on every input, and what is left out if the halves are never swapped?

# %%
widgets.CouplingMaskExplorer()

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. Layers compose
#
# Let $f = f_N \circ \dots \circ f_1$.
# To go back, undo the last map first: $f^{-1} = f_1^{-1} \circ \dots \circ f_N^{-1}$.
# By the chain rule the Jacobian of two maps, $f_a$ and then $f_b$, is a product, $J_b(f_a(x))\,J_a(x)$, the later one on the left.
# The determinant of a product is the product of the determinants, so the logarithms add:
#
# $$\log|\det J(x)| = \sum_{n=1}^{N} \log|\det J_n(h_{n-1})|, \qquad h_0 = x,\quad h_n = f_n(h_{n-1}). \tag{7}$$
#
# Each is taken at the point that its layer gets.

# %%
h, total = x, torch.zeros(50)
for one in layers:
    h, log_det = one(h)
    total = total + log_det
J = torch.stack(
    [torch.autograd.functional.jacobian(lambda v: flows.Compose(layers)(v[None])[0][0], p) for p in x]
)
checks.identity("log-dets add (7)", total, torch.linalg.slogdet(J).logabsdet, tol=1e-8)
for one in reversed(layers):
    h, _ = one.inverse(h)
checks.identity("undone in reverse order", h, x, tol=1e-8)

# %% [markdown] slideshow={"slide_type": "subslide"}
# This gives the family its name.
# *Flow*: the data pass through many maps, one after the other.
# *Normalizing*: at the end they are distributed as a simple, normalised density.
#
# A triangular Jacobian makes one layer cheap.
# It does not make it expressive: that comes from arbitrary networks inside, and from composing.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 9. Maximum likelihood, where the truth is known
#
# Training maximises the mean of (3) over the data.
# How far can it get?
# The mean of $-\log p_\theta(x)$ is a *cross-entropy*.
# Add and subtract $\log p(x)$, and it splits into two parts; the second is a divergence, at least 0, and 0 for the right density alone ([Learned losses](01_learned_losses.ipynb), section 4):
#
# $$E_p[-\log p_\theta(x)] = \underbrace{E_p[-\log p(x)]}_{\text{entropy of the data}} + \underbrace{\operatorname{KL}(p \,\|\, p_\theta)}_{\ge 0}. \tag{8}$$
#
# The first part is a property of the data, and no model gets below it.
# The second is what the model lacks.
# Of the two moons we know the density, and so both parts, and can watch the gap close.

# %%
moons = data.Moons(std=0.1)
grid = torch.cartesian_prod(torch.linspace(-1.6, 1.6, 401), torch.linspace(-1.6, 1.6, 401))
cell = (3.2 / 400) ** 2
log_p = moons.log_prob(grid)
log_model = torch.distributions.MultivariateNormal(torch.zeros(2), 0.3 * torch.eye(2)).log_prob(grid)
mass = log_p.exp() * cell
kl = (mass * (log_p - log_model)).sum()
checks.identity("cross-entropy = entropy + KL (8)", -(mass * log_model).sum(), moons.entropy() + kl, tol=1e-6)

# %% tags=["nbval-ignore-output"]
torch.set_default_dtype(torch.float32)
torch.manual_seed(0)
flow = flows.RealNVP.for_vectors(dim=2, n_couplings=8, width=64, actnorm=True)
points, held_out = moons.sample(20_000, generator=g), moons.sample(20_000, generator=g)


def gap(step, objective):
    with torch.no_grad():
        return {"gap": float(-flow.log_prob(held_out).mean()) - moons.entropy()}


history = train.fit(
    flows.MaximumLikelihood(flow), points, steps=600, batch_size=256, seed=0, log_every=25, callback=gap
)
print(f"trained in {history.seconds:.0f} s, {history.logs['gap'][-1]:.3f} nats above the entropy")

# %%
plots.figure(
    plots.lines(
        history.step,
        {"gap": history.logs["gap"]},
        yscale="log",
        xlabel="step",
        ylabel="nats",
        title="above the entropy",
    ),
    plots.points({"samples": flow.sample(3000, generator=g)}, size=3, title="samples"),
    plots.heatmap(
        flow.log_prob(grid.float()).exp().view(401, 401).T.detach(),
        extent=(-1.6, 1.6, -1.6, 1.6),
        title="density",
    ),
    alt="Left: the gap between the flow's cross-entropy and the entropy falls towards zero. Middle and right: samples and density of the flow, two moons, with a thin bridge between them.",
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# Something remains.
# The two moons are all but separate pieces, and a Gaussian is one piece.
# A continuous bijection cannot tear one piece into two: to empty the place between the moons, $f$ would have to become flatter and flatter there, and $f^{-1}$ steeper and steeper.
# So a thin bridge stays between them, and what it holds is mass misplaced.
#
# The density is exact, though, whatever it is: it integrates to one.

# %%
edge = torch.linspace(-6, 6, 801)
with torch.no_grad():
    parts = [flow.log_prob(torch.cartesian_prod(row, edge)).double().exp().sum() for row in edge.split(100)]
checks.identity("the flow's density integrates to one", sum(parts) * (12 / 800) ** 2, 1.0, tol=1e-2)

# %% [markdown] slideshow={"slide_type": "subslide"}
# What does such a flow do to space?
# Walk through the layers of one that comes with the package.
# The data become a Gaussian.
# A grid that is square in $z$ lies bent around the data at first, and straightens layer by layer.

# %%
widgets.FlowWarpExplorer()

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 10. Digits
#
# A pixel of a scanned digit is a whole number from 0 to 16.
# A density over real numbers can be as high as it likes at whole ones, so maximum likelihood would learn spikes.
# The remedy is *dequantization*: add noise $u$, uniform on $[0, 1)$, to each pixel.
# A density $p$ of $x + u$ gives every whole number a probability, its mass in the unit cube above it:
#
# $$P(x) = \int_{[0,1)^D} p(x + u)\,du, \qquad -\log P(x) \le E_u[-\log p(x + u)]. \tag{9}$$
#
# The inequality is Jensen's: $-\log$ is convex, so at a mean it is at most the mean of its values.
# So on whole-numbered data even a flow gives a *bound* only.
# It becomes tighter if the mean of several $p(x + u)$ is taken before the logarithm.
# We quote it in bits per pixel: nats divided by $D \log 2$.
# A uniform distribution over 17 levels needs $\log_2 17$ bits.

# %%
u, p = torch.linspace(0, 1, 10_001, dtype=torch.float64), Normal(0.3, 0.5)  # one pixel of value 0
log_p = p.log_prob(u)
P, bound = torch.trapezoid(log_p.exp(), u), -torch.trapezoid(log_p, u)
checks.identity("P is the mass of the unit cell (9)", P, p.cdf(u[-1]) - p.cdf(u[0]), tol=1e-8)
checks.at_most("Jensen: the mean of −log p is no smaller (9)", -P.log(), bound)

# %% [markdown]
# What has to be beaten: the uniform distribution, and a Gaussian with the pixels' own covariance.

# %%
x_int, label = data.digits("test", integers=True)
train_int, train_label = data.digits("train", integers=True)
vectors, train_vectors = x_int.flatten(1), train_int.flatten(1)
noisy = train_vectors.double() + torch.rand(train_vectors.shape, generator=g, dtype=torch.float64)
cov = torch.cov(noisy.T) + 1e-3 * torch.eye(64, dtype=torch.float64)
gaussian = torch.distributions.MultivariateNormal(noisy.mean(0), cov)
held = vectors.double() + torch.rand(vectors.shape, generator=g, dtype=torch.float64)
print(f"uniform   {math.log2(17):.2f} bits per pixel")
print(f"Gaussian  {-gaussian.log_prob(held).mean() / (64 * math.log(2)):.2f}")

# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
digit_flow = flows.RealNVP.for_vectors(
    64, n_couplings=16, width=96, mask="random", dropout=0.3, actnorm=True, levels=17, n_classes=10
)
objective = flows.MaximumLikelihood(digit_flow)
history = train.fit(objective, (train_vectors, train_label), steps=350, batch_size=128, seed=0)
bits = digit_flow.bits_per_dim(vectors, label, generator=g).mean()
tighter = digit_flow.bits_per_dim(vectors, label, n_importance=16, generator=g).mean()
print(f"flow      {bits:.2f} bits per pixel, given the class ({history.seconds:.0f} s of training)")
print(f"          {tighter:.2f} with 16 draws of the noise for each digit")
checks.at_most("more draws, a tighter bound (9)", tighter, bits)

# %% [markdown] slideshow={"slide_type": "subslide"}
# Samples.
# A *temperature* below 1 shrinks the codes before they go back: fewer odd digits, and less variety.
# Twelve threes show it.

# %%
classes = torch.full((12,), 3)
threes = x_int[label == 3][:12]


def seed(n):
    return torch.Generator().manual_seed(n)


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

# %% [markdown]
# Because the map is a bijection, every real digit has a code, and the straight line between two codes can be walked.
# We take the two held-out sevens that differ most.
# Between the pictures, the middle is a double exposure; between their codes, it is a seven.

# %%
sevens = vectors[label == 7]
apart = torch.cdist(sevens.double(), sevens.double())
pair = sevens[list(divmod(int(apart.argmax()), len(sevens)))]
dequantized, seven = (pair + 0.5) / 17, torch.full((2,), 7)
z, _ = digit_flow(dequantized, seven)
share = torch.linspace(0, 1, 9)[:, None]
through_z, _ = digit_flow.inverse((1 - share) * z[:1] + share * z[1:], torch.full((9,), 7))
through_x = (1 - share) * dequantized[:1] + share * dequantized[1:]
plots.image_rows(
    codes=through_z.view(-1, 1, 8, 8).detach(),
    pixels=through_x.view(-1, 1, 8, 8),
    span=(0, 1),
    alt="Nine steps from one 7 to another. Through the codes, each step is a digit; through the pixels, the middle shows both at once.",
)

# %% tags=["nbval-ignore-output"]
known = (train_vectors[train_label == 7] + 0.5) / 17  # the sevens that the flow was trained on
for name, path in {"codes": through_z.detach(), "pixels": through_x}.items():
    nearest = torch.cdist(path[4:5], known).min()
    print(f"half-way through the {name}: {nearest:.2f} from the nearest training seven")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 11. What is not crisp
#
# Flows are said to be less crisp than GANs.
# That can be measured: crisp pictures have power at high spatial frequencies, so we compare *spectra*, and *detail*, as in [Learned losses](01_learned_losses.ipynb), section 2.

# %%
many = torch.arange(10).repeat(30)
sampled = flows.quantize(digit_flow.sample(300, many, generator=seed(4)), 17).view(-1, 1, 8, 8)
rings = {"real": metrics.spectrum(x_int / 16), "flow": metrics.spectrum(sampled / 16)}
axes = {"xlabel": "frequency (ring)", "ylabel": "mean power", "xticks": range(4), "aspect": 2.0}
plots.figure(
    plots.lines(torch.arange(4), rings, yscale="log", **axes),
    alt="Power against frequency for real digits and for the flow's samples, which have a little less of it on the outer rings.",
)

# %% tags=["nbval-ignore-output"]
faint = [((images >= 1) & (images <= 3)).double().mean() for images in (sampled, x_int)]
print(f"detail of the flow's samples: {metrics.detail(sampled / 16, x_int / 16):.2f} of that of real digits")
print(f"pixels on levels 1 to 3: {faint[0]:.2f} of the flow's, {faint[1]:.2f} of real ones")

# %% [markdown]
# Some detail is missing, about as much as an autoencoder's reconstructions lack; the next question would be what a GAN lacks, and lecture 05 asks it.
# What strikes the eye first is something else, a lack of *order*: faint stray pixels, where a real digit has a clean background.
# The second line counts them.
# Maximum likelihood punishes a model severely wherever it gives a real digit too little probability, and hardly at all for what it puts in between.
# A model that wastes half of its mass in between loses $\log 2$, which is one bit for a whole digit.
#
# <details><summary><b>Question.</b> How does a temperature below 1 change the spectrum, and why?</summary>
#
# It draws codes nearer to 0, where $p_Z$ is highest, though hardly any digit's code lies there: in 64 dimensions the codes lie near a sphere of radius 8.
# Extremes of all kinds become rarer, stray pixels among them, so the power on the outermost ring falls.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What the notes said, and what holds
#
# - "$x \sim \hat p(x)$, $z \sim \hat p(z)$." The data distribution is only seen through samples; the base density is chosen, and fixed (section 1; row [5](06_the_notes_corrected.ipynb#Row-5)).
# - "$\int p_\theta(x \mid z) p(z) dz$ is intractable." For a noisy, nonlinear decoder it is; a linear one has a closed form, and a bijection leaves no integral (section 1; row [6](06_the_notes_corrected.ipynb#Row-6)).
# - "$p(z) = N(0, 1)$." It is $N(0, I)$, of the same dimension as $x$ (section 1; row [26](06_the_notes_corrected.ipynb#Row-26)).
# - "$p(x) = p(z)\,dz/dx = p(z)|J|$." It is the absolute value of the *determinant*, and $p_Z$ is taken at $f(x)$ (section 2; row [7](06_the_notes_corrected.ipynb#Row-7)).
# - "Maximize the Jacobian." The sum of both terms is maximised; the determinant alone has no maximum (section 3; row [8](06_the_notes_corrected.ipynb#Row-8)).
# - "$z_2 = s(x_1) \odot x_2 + t(x_1)$." With $\exp(s)$: where a raw $s$ is 0 there is no inverse (section 6; row [9](06_the_notes_corrected.ipynb#Row-9)).
# - "Upper triangular." Lower, unless the halves are swapped (section 5; row [10](06_the_notes_corrected.ipynb#Row-10)).
# - "We couple the layers", and triangular is expressive. Coordinates are coupled; expressive are the networks inside, and composing (sections 5 and 8; row [27](06_the_notes_corrected.ipynb#Row-27)).
# - Half "is modeled well and the other half poorly", so do it twice. Half is unchanged; it takes three layers until all depends on all (section 7; row [11](06_the_notes_corrected.ipynb#Row-11)).
# - "The inverse is $|f_1^{-1} \odot f_2^{-1} \dots|$." $f^{-1} = f_1^{-1} \circ \dots \circ f_N^{-1}$, and log-determinants add (section 8; row [12](06_the_notes_corrected.ipynb#Row-12)).
# - Flows "learn both the mapping and the inverse". One map is learned; its inverse comes with it (section 6; row [25](06_the_notes_corrected.ipynb#Row-25)).
# - "Because this is called normalizing flow, this model is called a flow model." Section 8 says what both words mean (row [28](06_the_notes_corrected.ipynb#Row-28)).
# - Flows give "exact likelihoods". For continuous data; on whole numbers a dequantized flow gives a bound (section 10; row [13](06_the_notes_corrected.ipynb#Row-13)).

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Where to read on
#
# - Dinh, Krueger and Bengio 2015, *NICE*: couplings that shift.
# - Dinh, Sohl-Dickstein and Bengio 2017, *Density Estimation Using Real NVP*: couplings that scale, masks, many scales.
# - Rezende and Mohamed 2015, *Variational Inference with Normalizing Flows*: the name.
# - Kingma and Dhariwal 2018, *Glow*: actnorm, 1×1 convolutions, temperature.
# - Theis, van den Oord and Bethge 2016, *A Note on the Evaluation of Generative Models*: dequantization, and why likelihood and looks differ.
# - Papamakarios et al. 2021, *Normalizing Flows for Probabilistic Modeling and Inference*: a survey.
#
# Now build it yourself: the lab `my_labs/lab_2_flows.ipynb`.
# A flow pays for its exact likelihood: each of its layers must have an inverse and a cheap determinant, so a network may sit inside a layer, but never be one.
# What can be done if the map itself may be any network, and a bound of the likelihood is enough?
# The next lecture asks that: [Diffusion models](04_diffusion_models.ipynb).
