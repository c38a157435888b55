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
# # Continuous time
#
# *What is left of a diffusion model when its steps become infinitely small, and what do we gain by it?*
#
# **You will learn**
#
# - how the chain of lecture 04 becomes a stochastic differential equation, and that shrinking is a choice of units;
# - why a network that removes noise learns the score, and what one can do with a score alone;
# - the equation that a density obeys under noise, and two ways back that have the same densities: one with noise, one without;
# - the variables in which a step back is a rotation, and DDIM is exact but for its guesses;
# - an exact likelihood for a diffusion model, and its price.
#
# **It takes** 30 minutes.
# **You need** [Diffusion models](04_diffusion_models.ipynb), both parts, and [Normalizing flows](03_normalizing_flows.ipynb), sections 2 and 10.

# %% jupyter={"source_hidden": true} tags=["remove-cell"]
# Where the course is missing, as on Colab, this installs it: the copy that the notebook lies in, or else this version.
from importlib.util import find_spec
from pathlib import Path

if not find_spec("gencourse"):
    course = "..[notebooks]" if Path("../gencourse").is_dir() else "genlib-course[notebooks]==0.1.0"
    get_ipython().run_line_magic("pip", f"install --quiet {course}")

# %%
import itertools
import math

import torch
from gencourse import checks, plots, widgets
from gencourse.runs import run_file

from genlib import data, diffusion, train

torch.set_default_dtype(torch.float64)  # identities are shown in double precision


def seeded(seed=0):
    """A fresh generator, so that a cell that is run again draws the same numbers."""
    return torch.Generator().manual_seed(seed)


def slope(values, by):
    """The derivative of each value by its own entry of `by`."""
    return torch.autograd.grad(values.sum(), by, create_graph=True)[0]


# %% [markdown]
# ## 1. The chain, in steps that shrink
#
# A chain of a thousand steps is an odd thing to do mathematics with: nothing about data or noise asks for a thousand.
# What remains if we take ever more steps, and ever smaller ones?
#
# Let time $t$ run from 0, the data, to 1, the noise, in steps of length $\Delta = 1/T$, and let the variance of a step be $\beta_t = \beta(t)\,\Delta$ with a fixed function $\beta(t)$.
# A step of the chain is $x_{t + \Delta} = \sqrt{1 - \beta(t)\Delta}\;x_t + \sqrt{\beta(t)\Delta}\;\varepsilon$, and as $\sqrt{1 - \beta\Delta} = 1 - \tfrac12\beta\Delta + O(\Delta^2)$, it moves $x$ by $-\tfrac12\beta(t)\,x\,\Delta$ and adds noise whose *variance*, not its standard deviation, is proportional to the time that has passed.
# In the limit this is written
#
# $$dx = -\tfrac12\,\beta(t)\,x\,dt + \sqrt{\beta(t)}\;dw, \tag{1}$$
#
# a *stochastic differential equation*, or SDE.
# $w$ is Brownian motion: its increments over disjoint times are independent Gaussians, whose variance is the time.
# (1) is a shorthand for the chain with small steps, and nothing more than that is used of it below.
#
# Of the product $\bar\alpha_t = \prod_{k \le t} (1 - \beta_k)$ the logarithm is a sum of $\log(1 - \beta\Delta) = -\beta\Delta + O(\Delta^2)$, which in the limit is an integral:
#
# $$\bar\alpha(t) = \exp\Big(-\!\int_0^t \beta(t^\prime)\,dt^\prime\Big), \qquad x_t = \sqrt{\bar\alpha(t)}\;x_0 + \sqrt{1 - \bar\alpha(t)}\;\varepsilon. \tag{2}$$
#
# So a schedule is a function $\bar\alpha(t)$ that falls from 1 towards 0, and lecture 04's closed form stands as it was.
# How fast is the limit reached?
# For a linear $\beta(t)$ from 0.1 to 20, the continuous form of the DDPM paper's schedule (Song, Sohl-Dickstein et al. 2021), we compare the logarithms: the terms of order $\Delta^2$, one for each of $1/\Delta$ steps, leave an error that falls as $\Delta$.


# %%
def beta(t):
    return 0.1 + 19.9 * t


def log_alpha_bar(t):
    return -(0.1 * t + 19.9 * t**2 / 2)  # minus the integral of β


counts = (500, 1000, 2000, 4000)
errors = []
for T in counts:
    at = (torch.arange(T) + 0.5) / T  # in the middle of each step
    errors.append(float(torch.log1p(-beta(at) / T).sum() - log_alpha_bar(1.0)))
print("error of log ᾱ(1):", ", ".join(f"{e:.4f} with {T} steps" for T, e in zip(counts, errors, strict=True)))
halvings = torch.tensor([a / b for a, b in itertools.pairwise(errors)])
checks.identity("twice as many steps, half the error (2)", halvings, torch.full((3,), 2.0), tol=0.05)

# %% [markdown]
# ### Shrinking is a choice of units
#
# Lecture 04 shrinks $x$ in each step, so that its variance stays near 1.
# One can also leave it unshrunk and only add noise.
# Let $\bar x = x/\sqrt{\bar\alpha}$.
# By (2), $\bar x_t = x_0 + \sigma(t)\,\varepsilon$ with $\sigma^2 = (1 - \bar\alpha)/\bar\alpha$, the inverse of the signal-to-noise ratio; and in (1) the drift drops out, for $\sqrt{\bar\alpha}$ shrinks at the rate $\tfrac12\beta$ just as $x$ does:
#
# $$d\bar x = \frac{dx}{\sqrt{\bar\alpha}} + \tfrac12\,\beta\,\frac{x}{\sqrt{\bar\alpha}}\,dt = \sqrt{\frac{\beta}{\bar\alpha}}\;dw = \sqrt{\frac{d\sigma^2}{dt}}\;dw. \tag{3}$$
#
# (1) is called *variance-preserving*, or VP, and (3) *variance-exploding*, or VE.
# They are one process in two units, and whatever is computed for one of them holds for the other, once points are multiplied by $\sqrt{\bar\alpha}$ and scores divided by it.
# The last step in (3) says $d\sigma^2/dt = \beta/\bar\alpha$; we check it by autograd.

# %%
t = torch.linspace(0.05, 1, 20).requires_grad_()
sigma_2 = torch.expm1(-log_alpha_bar(t))  # (1 − ᾱ)/ᾱ
checks.identity(
    "σ² grows at the rate β/ᾱ (3)", slope(sigma_2, t) * torch.exp(log_alpha_bar(t)), beta(t), tol=1e-9
)

# %% [markdown]
# Which time is best to think in?
# Only $\bar\alpha$ matters, and any increasing function of $t$ is as good a time.
# With $\tau = -\log\bar\alpha$ the SDE loses its last parameter, $dx = -\tfrac12 x\,d\tau + dw$: this is the *Ornstein–Uhlenbeck process*, and every schedule is one way of going through its times.
# We use $\tau$ where we prove something, and other times where we compute.

# %% [markdown]
# ## 2. The score is what a denoiser knows
#
# The *score* of a density is the gradient of its logarithm, $s(x) = \nabla\log p(x)$: an arrow at every point, towards where the density grows.
# It does not depend on the constant that makes $p$ integrate to one, and that is its charm.
#
# Why should anybody want it?
# Walk along the score, and add noise:
#
# $$x_{k+1} = x_k + h\,\nabla\log p(x_k) + \sqrt{2h}\;z_k, \qquad z_k \sim N(0, I). \tag{4}$$
#
# This is *Langevin dynamics*.
# For small $h$ and after many steps its points are distributed nearly as $p$, wherever they started (Roberts and Tweedie 1996 say under which conditions); section 3 shows the half that we need, that $p$ stays as it is.
# But the walk is slow between modes that lie far apart, since it has to cross a valley where the score says "back".
# Our example is a mixture of two Gaussians on the line, with the means $-0.8$ and $0.6$, of which everything is known.
# All points start in its left mode.
# Within that mode they have its mean and its deviation, $0.2$, after 30 steps; for the share of the two modes 1500 are not enough.

# %%
gmm = data.GaussianMixture([[-0.8], [0.6]], [[[0.04]], [[0.09]]], [0.35, 0.65])
h, n, g = 4e-3, 5000, seeded(1)
x = torch.full((n, 1), -0.8)  # all of them in the left mode
shares = []
for k in range(1501):
    if k % 250 == 0:
        shares.append(float((x < -0.25).double().mean()))
    if k == 30:
        inside = x[x < -0.25]
        print(
            f"after 30 steps those in the left mode have the mean {inside.mean():.2f} and the deviation {inside.std():.2f}"
        )
    x = x + h * gmm.score(x) + math.sqrt(2 * h) * torch.randn(x.shape, generator=g)
print("share left of −0.25 after 0, 250, ..., 1500 steps:", ", ".join(f"{share:.2f}" for share in shares))
N = torch.distributions.Normal
parts = N(gmm.means[:, 0], gmm.covs[:, 0, 0].sqrt())
print(f"in truth: {float(gmm.weights @ parts.cdf(torch.tensor(-0.25))):.2f}")

# %% [markdown]
# ### How to learn a score
#
# Let $q$ be any smooth density and $s(x)$ a network.
# We should like to make $E_q\|s - \nabla\log q\|^2$ small, but nobody tells us $\nabla\log q$.
# *Hyvärinen* (2005) expands the square and integrates the mixed term by parts.
# Since $q\,\nabla\log q = \nabla q$, in each coordinate $-2\int s_i\,\partial_i q\,dx = 2\int q\,\partial_i s_i\,dx$, where $q s$ has to vanish far out, so that
#
# $$E_q\big\|s - \nabla\log q\big\|^2 = E_q\big[\|s\|^2 + 2\,\nabla\!\cdot s\big] + E_q\big\|\nabla\log q\big\|^2. \tag{5}$$
#
# The last term does not depend on $s$, so the first can be minimised in its place, with samples alone.
# Its price is the divergence $\nabla\!\cdot s$, a trace of a Jacobian, which takes as many backward passes as there are dimensions.
#
# *Vincent* (2011) saw that for noised data the trace can be saved.
# Let $x_t = \sqrt{\bar\alpha}\,x_0 + \sqrt{1 - \bar\alpha}\;\varepsilon$, and $q$ its density.
# Given $x_0$, the score of $x_t$ is that of a Gaussian: $\nabla\log q(x_t \mid x_0) = -\varepsilon/\sqrt{1 - \bar\alpha}$.
# Fit $s$ to *this*, which everybody knows who has added the noise:
#
# $$E\Big\|s(x_t) + \frac{\varepsilon}{\sqrt{1 - \bar\alpha}}\Big\|^2 = E_q\big\|s - \nabla\log q\big\|^2 + \text{a constant without } s. \tag{6}$$
#
# *Proof.* The best answer to a squared loss is the conditional mean, and any other costs its squared distance from it ([Learned losses](01_learned_losses.ipynb), (1)).
# So (6) holds with $E[\nabla\log q(x_t \mid x_0) \mid x_t]$ in the place of $\nabla\log q$; and the two are equal:
#
# $$\nabla\log q(x_t) = \frac{\int \nabla q(x_t \mid x_0)\,p(x_0)\,dx_0}{q(x_t)} = \int \nabla\log q(x_t \mid x_0)\;\frac{q(x_t \mid x_0)\,p(x_0)}{q(x_t)}\,dx_0 = E\big[\nabla\log q(x_t \mid x_0)\,\big|\,x_t\big]. \tag{7}$$
#
# With $\nabla\log q(x_t \mid x_0) = -(x_t - \sqrt{\bar\alpha}\,x_0)/(1 - \bar\alpha)$, (7) is a formula for the best guess of the data, *Tweedie's*:
#
# $$E[x_0 \mid x_t] = \frac{x_t + (1 - \bar\alpha)\,\nabla\log q(x_t)}{\sqrt{\bar\alpha}}. \tag{8}$$
#
# So the loss of lecture 04b, which asks a network for the noise, *is* denoising score matching, with the weight $1 - \bar\alpha$: $\|\varepsilon - \hat\varepsilon\|^2 = (1 - \bar\alpha)\,\|s + \varepsilon/\sqrt{1 - \bar\alpha}\|^2$. A network that removes noise knows the score of the noised data.
# We check all three on a grid; the integrals over $x_0$ are sums.
# The unknown constants drop out if we compare two functions $s$, neither of which has to do with the mixture: all three losses must prefer one to the other by the same amount.

# %%
a_bar = 0.6
line, start = torch.linspace(-6, 6, 4001), torch.linspace(-3, 3, 1201)
noised = gmm.noised(a_bar)
q, score = noised.log_prob(line[:, None]).exp(), noised.score(line[:, None])[:, 0]
given = torch.distributions.Normal(math.sqrt(a_bar) * start, math.sqrt(1 - a_bar))
joint = given.log_prob(line[:, None]).exp() * gmm.log_prob(start[:, None]).exp() * (start[1] - start[0])
of_given = -(line[:, None] - math.sqrt(a_bar) * start) / (1 - a_bar)  # the score of x_t, given x_0


def integral(values):
    return torch.trapezoid(values, line)


def losses(s, divergence):
    explicit = integral(q * (s - score) ** 2)
    implicit = integral(q * (s**2 + 2 * divergence))
    denoising = integral((joint * (s[:, None] - of_given) ** 2).sum(1))
    return explicit, implicit, denoising


tanh = torch.tanh(2 * line)
some = losses(tanh - 0.3 * line, 2 * (1 - tanh**2) - 0.3)
other = losses(torch.sin(line), torch.cos(line))
differences = [a - b for a, b in zip(some, other, strict=True)]
checks.identity("Hyvärinen's loss differs by a constant (5)", differences[1], differences[0], tol=1e-8)
checks.identity("so does that of denoising (6)", differences[2], differences[0], tol=1e-8)
inner = (line.abs() < 3).nonzero()[:, 0]
mean_data = (joint * start).sum(1) / joint.sum(1)
tweedie = (line + (1 - a_bar) * score) / math.sqrt(a_bar)
checks.identity("Tweedie's formula (7), (8)", tweedie[inner], mean_data[inner], tol=1e-8)

# %% [markdown]
# ## 3. What noise does to a density
#
# In time $\tau$ the density $q_\tau$ of $x_\tau$ changes by
#
# $$\frac{\partial q}{\partial\tau} = \nabla\!\cdot\Big(\tfrac12\,x\,q\Big) + \tfrac12\,\nabla^2 q, \tag{9}$$
#
# the *Fokker–Planck equation* of the Ornstein–Uhlenbeck process ($\nabla^2$ is the sum of the second derivatives).
# To see it, take any smooth function $\psi$ that is 0 far out, and follow its mean over one small step, $x' = x - \tfrac12 x h + \sqrt{h}\,z$.
# Taylor's formula to first order in $h$, where $E z = 0$ and $E z_i z_j = \delta_{ij}$, gives
#
# $$E\psi(x') = E\psi(x) + h\,E\Big[-\tfrac12\,x\cdot\nabla\psi(x) + \tfrac12\,\nabla^2\psi(x)\Big] + O(h^2),$$
#
# and integrated by parts, once in the first term and twice in the second, the bracket is $\int \psi\,\big[\nabla\!\cdot(\tfrac12 x q) + \tfrac12\nabla^2 q\big]$.
# As this holds for every $\psi$, (9) follows.
# The first term gathers the mass towards 0, the second one spreads it out; where they balance, $q$ is $N(0, I)$.
#
# The same computation for any drift $b$ and noise of variance $ch$ gives $\partial q/\partial t = -\nabla\!\cdot(b\,q) + \tfrac{c}{2}\nabla^2 q$.
# For (4) that is $-\nabla\!\cdot(q\,\nabla\log p) + \nabla^2 q$, which is 0 for $q = p$, since $p\,\nabla\log p = \nabla p$: so Langevin dynamics leaves $p$ as it is.
#
# We check (9) on the mixture, whose density at any $\tau$ is in closed form, with derivatives by autograd.


# %%
def density(x, tau):
    """q_τ(x), for numbers x and times τ of one shape."""
    a = torch.exp(-tau)
    parts = []
    for w, mean, cov in zip(gmm.weights, gmm.means[:, 0], gmm.covs[:, 0, 0], strict=True):
        var = a * cov + 1 - a
        parts.append(w * torch.exp(-((x - a.sqrt() * mean) ** 2) / (2 * var)) / (2 * math.pi * var).sqrt())
    return sum(parts)


x = torch.linspace(-3, 3, 61).requires_grad_()
for tau in (0.05, 0.5, 2.0):
    now = torch.full((61,), tau).requires_grad_()
    q = density(x, now)
    change, q_x = slope(q, now), slope(q, x)
    right = 0.5 * (q + x * q_x) + 0.5 * slope(q_x, x)
    checks.identity(f"Fokker–Planck at τ = {tau} (9)", change, right, tol=1e-12)

# %%
line = torch.linspace(-3, 3, 301)
plots.figure(
    plots.lines(
        line,
        {f"τ = {tau:g}": density(line, torch.full((301,), tau)) for tau in (0.0, 0.05, 0.2, 1.0, 4.0)},
        xlabel="x", ylabel="density", aspect=2.2,
    ),
    alt="The density at five times. At τ = 0 two narrow peaks, at −0.8 and 0.6; at 0.05 and 0.2 they are lower and wider; at 1 they have merged; at 4 there is a single wide hill around 0.",
)  # fmt: skip

# %% [markdown]
# ## 4. Two ways back
#
# Rewrite the second term of (9) with the score: $\nabla^2 q = \nabla\!\cdot(\nabla q) = \nabla\!\cdot(q\,\nabla\log q)$.
# Then for any number $\eta$
#
# $$-\frac{\partial q}{\partial\tau} = -\nabla\!\cdot\Big(\big[\tfrac12\,x + \tfrac{1 + \eta^2}{2}\,\nabla\log q\big]\,q\Big) + \frac{\eta^2}{2}\,\nabla^2 q,$$
#
# because the two terms with $\eta$ cancel.
# Read from right to left, with time running back, this is the Fokker–Planck equation of another process: of one that drifts with the bracket and gets noise of variance $\eta^2$.
# So if points start at $\tau = \tau_1$ with the density $q_{\tau_1}$ and move, with $\tau$ falling, by
#
# $$dx = \Big[\tfrac12\,x + \tfrac{1 + \eta^2}{2}\,\nabla\log q_\tau(x)\Big]\,d\tau_{\text{back}} + \eta\;dw, \tag{10}$$
#
# they have the density $q_\tau$ at every $\tau$ on the way, since the equation has one solution with that beginning, and at $\tau = 0$ they are distributed as the *data*.
#
# - $\eta = 1$ is *Anderson's reverse SDE* (1982). It is the forward process run backwards: not only at each time, but as whole paths it has the same distribution (which (9) does not show; Anderson does). DDPM's sampler is a discretisation of it.
# - $\eta = 0$ has no noise at all: the *probability-flow ODE* (Song, Sohl-Dickstein et al. 2021). Its paths are other paths, smooth ones, and only the density at each time is the same. DDIM is a discretisation of it, as section 5 shows.
#
# All of them need one thing alone, the score at all noise levels, and section 2 says how it is learned.
# The cell takes them from $\tau = 6$, where $q$ is nearly $N(0, 1)$, back to the data in 20, 80 and 320 steps of Euler's rule, and prints the largest difference between the distribution function of 20,000 points and the mixture's own.
# By chance alone it is about 0.006.


# %%
def back(eta, n, seed, count=20_000):
    """Points at τ = 0 from the mixture's own density at τ = 6, by Euler's rule for (10); steps are smaller near 0."""
    g, grid = seeded(seed), (torch.linspace(math.sqrt(6.0), 0, n + 1) ** 2).tolist()
    x = gmm.noised(math.exp(-6)).sample(count, g).double()
    for tau, after in itertools.pairwise(grid):
        h = tau - after
        drift = 0.5 * x + (1 + eta**2) / 2 * gmm.noised(math.exp(-tau)).score(x)
        x = x + h * drift + eta * math.sqrt(h) * torch.randn(x.shape, generator=g)
    return x[:, 0]


def apart(x):
    """The largest difference between the distribution functions of points and of the mixture."""
    grid = torch.linspace(-2, 2, 401)
    return float(((x[:, None] <= grid).double().mean(0) - parts.cdf(grid[:, None]) @ gmm.weights).abs().max())


left = {eta: [apart(back(eta, n, seed)) for n in (20, 80, 320)] for seed, eta in enumerate((0.0, 0.5, 1.0, 1.5))}
for eta, distances in left.items():
    print(f"η = {eta}: " + ", ".join(f"{distance:.3f}" for distance in distances))
checks.at_most(
    "with noise or without, the data (10)", torch.tensor([d[-1] for d in left.values()]), torch.full((4,), 0.02)
)

# %% [markdown]
# What differs is how a single point travels.
# Six points start at the same places, once without noise and once with it.

# %%
times = torch.linspace(math.sqrt(6.0), 0, 201) ** 2


def paths(eta, seed=0):
    """Where six points are at each of 201 times, by Euler's rule for (10)."""
    x, g = torch.linspace(-1.5, 1.5, 6)[:, None], seeded(seed)
    walk = [x]
    for tau, after in itertools.pairwise(times.tolist()):
        drift = 0.5 * x + (1 + eta**2) / 2 * gmm.noised(math.exp(-tau)).score(x)
        x = x + (tau - after) * drift + eta * math.sqrt(tau - after) * torch.randn(x.shape, generator=g)
        walk.append(x)
    return torch.stack(walk)[..., 0].T


plots.figure(
    *[
        plots.lines(
            -times.sqrt(), {f"{k}": path for k, path in enumerate(paths(eta))}, legend=False, title=title, aspect=1.4,
            xlabel="−√τ, from noise to data", ylabel="x", ylim=(-3, 3),
        )
        for eta, title in ((0.0, "η = 0, the ODE"), (1.0, "η = 1, the SDE"))
    ],
    alt="Two panels, each with six paths from noise at the left to data at the right. Left, without noise, smooth curves that never cross. Right, with noise, jagged ones that cross often. In both panels the ends lie between −1 and 1, most of them in the two modes; one smooth curve ends between these, at 0.1.",
)  # fmt: skip

# %% [markdown]
# Without noise, where a point ends is a function of where it started; and as two paths never meet, that function has an inverse (on the line, it keeps the order of the points).
# With noise neither is so.
#
# <details><summary><b>Question.</b> If all η give the same densities, why not always take η = 0?</summary>
#
# With the exact score and small steps there is nothing to choose.
# A network's score has errors, and (10) treats them in two ways.
# Noise, and the stronger drift with it, forgets errors of earlier levels: the points settle in the density of the present level.
# But the error of the present score acts with the factor $(1 + \eta^2)/2$ in the place of $\tfrac12$.
# So noise helps against errors made far from the data, and harms where the score is wrong near the data.
# </details>

# %% [markdown]
# Try it: the same particles walk back, with noise and without.
# How many steps does each $\eta$ need until the histogram at the data fits the curve?

# %%
widgets.WaysBack()

# %% [markdown]
# ## 5. The right variables: a rotation
#
# In which time are the paths of the ODE easy to follow?
# Let $\cos\varphi = \sqrt{\bar\alpha}$ and $\sin\varphi = \sqrt{1 - \bar\alpha}$, so that $x = \cos\varphi\;x_0 + \sin\varphi\;\varepsilon$ and $\tau = -2\log\cos\varphi$.
# Then $\varphi$ runs from 0, the data, to $\pi/2$, where nothing but noise is left.
# With $\eta = 0$, (10) run *forwards* is $dx/d\tau = -\tfrac12(x + \nabla\log q)$.
# Now $d\tau = 2\tan\varphi\,d\varphi$, and $\nabla\log q = -\hat\varepsilon/\sin\varphi$ with $\hat\varepsilon = E[\varepsilon \mid x]$, so
#
# $$\frac{dx}{d\varphi} = -\tan\varphi\;x + \frac{\hat\varepsilon}{\cos\varphi} = \cos\varphi\;\hat\varepsilon - \sin\varphi\;\hat x_0 = \hat v(x, \varphi). \tag{11}$$
#
# For the second step insert $x = \cos\varphi\,\hat x_0 + \sin\varphi\,\hat\varepsilon$, which holds for the conditional means because it holds for every pair, and use $1 - \sin^2\varphi = \cos^2\varphi$.
# So *the velocity $v$ of [lecture 04](04_diffusion_models.ipynb), section 7, is the velocity of the ODE in the angle*.
# Its factors $\cos\varphi$ and $\sin\varphi$ are at most 1 on the whole way, while at the noise end $\tau$ runs to infinity, and at the data end the score is $-\hat\varepsilon$ divided by $\sin\varphi$, which vanishes.
#
# If (11) is right, then the density moves with $v$: what a place gains in $\varphi$ is what flows in, $\partial q/\partial\varphi + \nabla\!\cdot(q\,\hat v) = 0$.
# We check this with the density in closed form, and with $\hat v$ from the posterior mean of the data on the grid of section 2, which knows of no score.

# %%
phi = 0.9
x = torch.linspace(-2, 2, 41).requires_grad_()
posterior = (
    gmm.log_prob(start[:, None]) - (x[:, None] - math.cos(phi) * start) ** 2 / (2 * math.sin(phi) ** 2)
).softmax(1)
x_0_hat = (posterior * start).sum(1)
eps_hat = (x - math.cos(phi) * x_0_hat) / math.sin(phi)
v_hat = math.cos(phi) * eps_hat - math.sin(phi) * x_0_hat

angle = torch.full((41,), phi).requires_grad_()
change = slope(density(x.detach(), -2 * torch.log(torch.cos(angle))), angle)
flux = density(x, torch.full((41,), -2 * math.log(math.cos(phi)))) * v_hat
checks.identity("q moves with the velocity v, in the angle (11)", change, -slope(flux, x), tol=1e-8)

# %% [markdown]
# If $\hat x_0$ and $\hat\varepsilon$ stood still during a step, the pair $(x, \hat v)$ would be turned as a pair of coordinates is, since $d\hat v/d\varphi = -x$ then, and a step back by $\delta$ would be
#
# $$x_{\varphi - \delta} = \cos\delta\;x_\varphi - \sin\delta\;\hat v. \tag{12}$$
#
# Insert what $x_\varphi$ and $\hat v$ are made of, and the addition theorems turn the right side into $\cos(\varphi - \delta)\,\hat x_0 + \sin(\varphi - \delta)\,\hat\varepsilon$.
# That is the step of [DDIM](04b_learning_and_sampling.ipynb) with $\eta = 0$: the two guesses are put together anew, in the proportions of the new noise level.
# So DDIM follows (11), and does it exactly as long as the guesses do not change; the only error is that they do.
# A schedule enters nowhere but in the angles that are visited.

# %%
schedule = diffusion.Schedule.linear(T=1000)
ring = data.GaussianMixture.ring()
denoiser = diffusion.DDPM(lambda x_t, t, label: ring.optimal_eps(x_t, t, schedule), schedule)
starts = torch.randn(50, 2, generator=seeded(3))
visited = [1000, 730, 420, 180, 60, 1]
walk = list(diffusion.ddim(denoiser, (50, 2), steps=visited, x_T=starts))

angles = torch.arccos(schedule.alpha_bar.sqrt())[[*visited, 0]]
turned = []
for x, t, delta in zip(walk, visited, -angles.diff(), strict=False):
    eps = ring.optimal_eps(x, torch.full((50,), t), schedule)
    v = (eps - angles[len(turned)].sin() * x) / angles[len(turned)].cos()  # from x and ε: (11), first form
    turned.append(delta.cos() * x - delta.sin() * v)
checks.identity("a step of DDIM is a rotation (12)", torch.stack(walk[1:]), torch.stack(turned), tol=1e-9)

# %% [markdown]
# <details><summary><b>Question.</b> On which schedule are steps that are even in t even in φ?</summary>
#
# On the cosine schedule: there $\sqrt{\bar\alpha_t} = \cos(\tfrac{\pi}{2}\,t/T)$, but for the small shift $s$, so that $\varphi$ is proportional to $t$.
# </details>

# %% [markdown]
# ## 6. An exact likelihood
#
# A path of (11) leads from each data point to one point of the noise, and back again: an ODE is an invertible map, and invertible maps have densities.
# Follow a point along its path, and see how the density at the point changes:
#
# $$\frac{d}{d\varphi}\log q(x_\varphi, \varphi) = \frac{1}{q}\Big(\frac{\partial q}{\partial\varphi} + \hat v\cdot\nabla q\Big) = -\nabla\!\cdot\hat v(x_\varphi, \varphi). \tag{13}$$
#
# The last step uses $\partial q/\partial\varphi = -\nabla\!\cdot(q\,\hat v) = -\hat v\cdot\nabla q - q\,\nabla\!\cdot\hat v$.
# Hence, with $\varphi_1$ at the end of the way,
#
# $$\log p(x_0) = \log N(x_{\varphi_1};\,0, I) + \int_0^{\varphi_1} \nabla\!\cdot\hat v(x_\varphi, \varphi)\,d\varphi, \tag{14}$$
#
# for the *model* whose points start in $N(0, I)$ at $\varphi_1$ and follow the ODE back; the data's own $q$ has $q(x_{\varphi_1}, \varphi_1)$ in that place, which differs from $N(0, I)$ by the signal that is left there.
# Exact, then, means: no bound. What remains is the error of the steps.
# This *instantaneous change of variables* is the log-determinant of [Normalizing flows](03_normalizing_flows.ipynb), one small step after the other: a step $x + h\,v$ has the Jacobian $I + h\,\partial v/\partial x$, and the logarithm of its determinant is $h\operatorname{tr}(\partial v/\partial x)$ up to terms of order $h^2$.
# But no layer had to be built so that its determinant is cheap; any network will do.
#
# For the mixture we know what must come out.
# We follow 50 points with the best denoiser, in $n$ steps of Heun's method, which takes the mean of the slopes at both ends of a step ([Paths and weights](05b_paths_and_weights.ipynb), section 7, says more of it), and compare with the mixture's own density.
# Twice as many steps should leave a quarter of the error.

# %%
chain = diffusion.Schedule.cosine(T=1600)
best = diffusion.DDPM(lambda x_t, t, label: ring.optimal_eps(x_t, t, chain), chain)
points = ring.sample(50, seeded(4)).double()
found = {n: diffusion.ode_log_prob(best, points, steps=n) for n in (200, 400, 800)}
for n, log_p in found.items():
    print(
        f"{n} steps: mean distance from the mixture's log p {(log_p - ring.log_prob(points)).abs().mean():.1e} nats"
    )
checks.identity("the mixture's own log p, along the ODE (14)", found[800], ring.log_prob(points), tol=1e-3)
wrong = torch.stack([(log_p - ring.log_prob(points)).abs().mean() for log_p in found.values()])
checks.identity(
    "twice as many steps, a quarter of the error", wrong[:-1] / wrong[1:], torch.full((2,), 4.0), tol=0.5
)

# %% [markdown]
# ### The price: a trace
#
# The divergence is the trace of a $D \times D$ matrix, and autograd gives one row of that matrix for each backward pass: two passes in the plane, 64 for our digits, 3072 for a small colour photo, in every step of the path.
# *Hutchinson's estimator* takes one pass instead.
# Draw a vector $r$ of independent signs, so that $E[r r^\top] = I$; then $r^\top\frac{\partial v}{\partial x}\,r$ needs one backward pass, for $r^\top v$, and its mean is
#
# $$E\Big[r^\top \tfrac{\partial v}{\partial x}\,r\Big] = \operatorname{tr}\Big(\tfrac{\partial v}{\partial x}\,E\big[r r^\top\big]\Big) = \nabla\!\cdot v. \tag{15}$$
#
# In the plane $r$ has four values, so we can take the whole mean.
# For the digits' U-Net we compare the estimate with the exact trace, in accuracy and in backward passes.

# %%
where = torch.randn(20, 2, generator=seeded(5)).requires_grad_()
v = chain.convert(
    ring.optimal_eps(where, torch.full((20,), 700), chain), where, torch.full((20,), 700), "eps", "v"
)
exact = slope(v[:, 0], where)[:, 0] + slope(v[:, 1], where)[:, 1]  # two passes
signs = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
one_pass = torch.stack([(slope((v * r).sum(1), where) * r).sum(1) for r in signs])
checks.identity("the mean over all signs is the divergence (15)", one_pass.mean(0), exact, tol=1e-10)

# %% tags=["nbval-ignore-output"]
unet = diffusion.UNet.digits()
digits_model = diffusion.DDPM(unet, diffusion.Schedule.cosine(T=1000), predict="v", levels=17)
train.load(digits_model, run_file("ddpm_digits.safetensors"))
digits_model = digits_model.double().eval()
digits = data.digits("test")
x_t = digits_model.schedule.q_sample(
    digits.x[:1].double(), torch.tensor([300]), torch.randn(1, 1, 8, 8, generator=seeded(6))
).requires_grad_()
v = unet(x_t, torch.tensor([300]), digits.label[:1])
rows = [torch.autograd.grad(v.flatten()[d], x_t, retain_graph=True)[0].flatten()[d] for d in range(64)]
g = seeded(7)
estimates = []
for _ in range(100):
    signs = 2.0 * torch.randint(0, 2, v.shape, generator=g) - 1
    (product,) = torch.autograd.grad((v * signs).sum(), x_t, retain_graph=True)
    estimates.append(float((product * signs).sum()))
estimates = torch.tensor(estimates)
print(f"the trace, 64 backward passes: {float(sum(rows)):.2f}")
print(
    f"Hutchinson's, one pass each: mean {estimates.mean():.2f} ± {estimates.std() / 10:.2f}, a single one ± {estimates.std():.2f}"
)

# %% [markdown]
# One estimate takes a 64th of the backward passes and is unbiased, at every step and so along the whole path.
# The same signs are kept along a path, so that what is integrated stays smooth and the method keeps its order.
# (14) is then right on average; the *density*, its exponential, is too large on average, by Jensen's inequality.
#
# ### How likely is a digit?
#
# The network that drew digits in lecture 04b had a bound of its code length.
# Through the ODE it has a density, though of *another* model: the one that samples without noise.
#
# Pixels have 17 levels, at a distance of $\tfrac18$; as in [Normalizing flows](03_normalizing_flows.ipynb), section 10, we spread each level evenly over its interval and add $64\log\tfrac18$; minus the result bounds the code length from above, as dequantization does.
# In the table ± is the standard error over the digits alone: each has one draw of the signs and of the dequantization, or, for the chain's bound, of the noise at each step.
# That bound takes every step up to 100, where most of its bits are, and every tenth of the others.

# %% tags=["nbval-ignore-output"]
few = digits.x[:20].double()
spread = few + (torch.rand(few.shape, generator=seeded(8)) - 0.5) / 8


def ode_bits(steps):
    log_p = diffusion.ode_log_prob(
        digits_model, spread, digits.label[:20], steps=steps, probes=1, generator=seeded(9)
    )
    return -(log_p + 64 * math.log(1 / 8)) / (64 * math.log(2))


near_data = digits_model.schedule.quadratic_steps
near, far = (
    diffusion.vlb(digits_model, few, digits.label[:20], steps=list(steps), generator=seeded(10))
    for steps in (range(2, 101), range(105, 1001, 10))
)
bound = near.L_T + near.L_0 + near.L_t.sum(1) + 10 * far.L_t.sum(1)
for name, bits in (
    ("through the ODE, 30 steps even in t", ode_bits(30)),
    ("30 steps, closer together near the data", ode_bits(near_data(30))),
    ("60 steps, closer together near the data", ode_bits(near_data(60))),
    ("by the chain's bound", bound),
):
    print(f"{name}: {bits.mean():.2f} ± {bits.std() / 20**0.5:.2f} bits per pixel")

# %% [markdown]
# The number is worth only as much as its integral.
# Thirty steps that are even in $t$ flatter the model by more than half a bit; the same number, closer together near the data, gives what twice as many give, to within a few hundredths.
# By the chain's bound the same network needs nearly a bit more, as in lecture 04b.
#
# <details><summary><b>Question.</b> Does the ODE's number say that the chain's bound was loose by their difference?</summary>
#
# No. The two numbers belong to two models with one network: a chain of a thousand noisy steps, and a map without noise.
# Their densities agree only in the limit of small steps and with the exact score; neither of the two is given here.
# </details>

# %% [markdown]
# ## What the notes said, and what holds
#
# - The forward process was said to end in an isotropic Gaussian because noise is added again and again. Noise alone gives (3), whose variance grows without end; $N(0, I)$ is approached by (1), which shrinks as well, and the two are one process in two units (section 1; row [14](08_the_notes_corrected.ipynb#Row-14)).
# - Flows "learn both the mapping of $x$ to some encoding $z$ and the inverse". The ODE of a diffusion model is one map, too, and its inverse is the same network with time run backwards (section 6; row [25](08_the_notes_corrected.ipynb#Row-25)).

# %% [markdown]
# ## Where to read on
#
# - Hyvärinen 2005, *Estimation of Non-Normalized Statistical Models by Score Matching*: (5). Vincent 2011, *A Connection Between Score Matching and Denoising Autoencoders*: (6).
# - Robbins 1956 and Efron 2011, *Tweedie's Formula and Selection Bias*: (8).
# - Anderson 1982, *Reverse-Time Diffusion Equation Models*: (10) with $\eta = 1$.
# - Roberts and Tweedie 1996, *Exponential Convergence of Langevin Distributions and Their Discrete Approximations*: when (4) converges, and how fast.
# - Song, Sohl-Dickstein, Kingma, Kumar, Ermon and Poole 2021, *Score-Based Generative Modeling through Stochastic Differential Equations*: SDEs for data, the ODE, and its likelihood.
# - Song, Meng and Ermon 2021, *Denoising Diffusion Implicit Models*; Salimans and Ho 2022, *Progressive Distillation for Fast Sampling of Diffusion Models*: the angle, and $v$.
# - Chen, Rubanova, Bettencourt and Duvenaud 2018, *Neural Ordinary Differential Equations*: (13). Grathwohl et al. 2019, *FFJORD*: the trace by (15).
#
# The steps have become infinitely small, and nobody can take infinitely many.
# How few will do, which noise levels should a training look at most, and must the path be a circle?
# The second part asks that: [Paths and weights](05b_paths_and_weights.ipynb).
