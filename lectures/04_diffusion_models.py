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
# # Diffusion models
#
# *How can a machine that only removes a little noise make a picture out of nothing?*
#
# **You will learn**
#
# - why the noising chain shrinks its signal at every step, and by how much;
# - how a thousand small steps become one line, $q(x_t \mid x_0)$;
# - what a noise schedule decides, and how to read one;
# - why the reverse of a *small* step is nearly a Gaussian, and of a large one is not;
# - the posterior $q(x_{t-1} \mid x_t, x_0)$, from completing a square;
# - why predicting the noise, the data, the velocity or the score is one and the same task.
#
# **It takes** about 25 minutes.
# **You need** the Gaussian density, Bayes' rule and expectations; [Start here](00_start_here.ipynb) has the notation.

# %% slideshow={"slide_type": "skip"}
import math

import torch

from genlib import checks, data, diffusion, plots, widgets

g = torch.Generator().manual_seed(0)
torch.set_default_dtype(torch.float64)  # identities are shown in double precision

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. The question
#
# Destroying a picture is easy: add noise until nothing can be seen.
# The road from a digit to pure noise needs no learning at all.
#
# Now cut that road into many short steps.
# Each step does little harm, so perhaps each step can be *undone*.
# If a network learned to undo every one of them, we could start at pure noise and walk the road backwards.
# At its end would stand a picture.
#
# This lecture makes that thought precise.
# We first build the road, so that every point on it is known in closed form.
# Then we ask what it means to undo a step, and find the one number that a network has to supply.

# %% [markdown] slideshow={"slide_type": "subslide"}
# Two companions go with us.
# The *digits* are real, and their distribution is unknown.
# The *mixture* below is invented, and everything about its distribution is known: its density, its entropy, and, as we shall see, both of them after any amount of noise.
# So whatever we claim about diffusion, we can hold against the truth.

# %%
gmm = data.GaussianMixture(means=[[-0.5], [1.0]], covs=[[[0.01]], [[0.0025]]], weights=[0.9, 0.1])
x = torch.linspace(-1.5, 1.5, 1001)[:, None]
plots.figure(
    plots.lines(
        x, {"p(x_0)": gmm.log_prob(x).exp()}, fill=True, title="The mixture", xlabel="x_0", ylabel="density"
    ),
    plots.pictures(data.digits("test").x[:18], columns=6, title="The digits"),
    alt="Left: a density with a broad peak at -0.5 that holds nine tenths of the mass, and a "
    "narrow one at 1. Right: eighteen handwritten digits.",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. The chain, and why it shrinks
#
# Let $x_0$ be a data point.
# The plainest way to destroy it would be to add noise again and again: $x_t = x_{t-1} + \sqrt{\beta_t}\,\varepsilon_t$, with $\varepsilon_t \sim N(0, 1)$ and small variances $\beta_t$.
#
# Where does this lead?
# The noise is independent of $x_{t-1}$, and variances of independent variables add:
#
# $$\operatorname{Var}[x_t] = \operatorname{Var}[x_{t-1}] + \beta_t .$$
#
# It grows without end.
# The place where the chain ends then depends on how long we let it run, and no *fixed* distribution is there to start the way back from.
#
# So we make room for the noise before it comes in.
# Multiply by some $a_t < 1$ first: $\operatorname{Var}[x_t] = a_t^2 \operatorname{Var}[x_{t-1}] + \beta_t$.
# A variance of 1 should stay 1, which asks for $a_t^2 + \beta_t = 1$.
# There is one positive solution, $a_t = \sqrt{1 - \beta_t}$, and the step is
#
# $$q(x_t \mid x_{t-1}) = N\!\left(x_t;\ \sqrt{1 - \beta_t}\,x_{t-1},\ \beta_t I\right). \tag{1}$$

# %% [markdown] slideshow={"slide_type": "subslide"}
# Does the variance also *go* to 1 when it starts elsewhere?
# Write $\alpha_t = 1 - \beta_t$ and subtract 1 from both sides of $\operatorname{Var}[x_t] = \alpha_t \operatorname{Var}[x_{t-1}] + 1 - \alpha_t$:
#
# $$\operatorname{Var}[x_t] - 1 = \alpha_t \left(\operatorname{Var}[x_{t-1}] - 1\right).$$
#
# The distance to 1 shrinks by $\alpha_t$ in each step.
# After $t$ steps it has shrunk by the product of all of them, which deserves a name, $\bar\alpha_t = \alpha_1 \alpha_2 \cdots \alpha_t$:
#
# $$\operatorname{Var}[x_t] = 1 + \bar\alpha_t \left(\operatorname{Var}[x_0] - 1\right). \tag{2}$$
#
# We check (2) against a chain that carries its variance one step at a time.

# %%
schedule = diffusion.Schedule.linear(T=1000)
variance = [torch.tensor(0.05)]  # of x_0
for t in range(1, schedule.T + 1):
    variance.append(schedule.alpha[t] * variance[-1] + schedule.beta[t])
checks.identity(
    "variance after t steps (2)", torch.stack(variance), 1 + schedule.alpha_bar * (0.05 - 1), tol=1e-12
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# And here are 5000 points of the mixture on their way, simulated with and without the factor.

# %%
x_0 = gmm.sample(5000, generator=g).double()
with_factor, without = [x_0], [x_0]
for t in range(1, schedule.T + 1):
    noise = schedule.beta[t].sqrt() * torch.randn(x_0.shape, generator=g)
    with_factor.append(schedule.alpha[t].sqrt() * with_factor[-1] + noise)
    without.append(without[-1] + noise)
curves = {
    "shrunk by √(1 − β_t)": torch.stack(with_factor).var((1, 2)),
    "noise added alone": torch.stack(without).var((1, 2)),
}
plots.figure(
    plots.lines(torch.arange(1001), curves, xlabel="step t", ylabel="variance of x_t", aspect=2.2),
    alt="Variance against the step. With the factor the curve rises to one and stays there; "
    "without it the curve grows past ten.",
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# Shrinking is not enough either.
# By (2), what is left of the start is $\bar\alpha_t$, and it must go to 0.
# Suppose the steps become small too fast, $\beta_t = 2^{-t}$.
# Then the product stops falling long before zero: after any number of steps, 28.9 % of the signal's variance is still there.
# The chain forgets $x_0$ only if $\sum_t \beta_t$ diverges.

# %%
fading = diffusion.Schedule(0.5 ** torch.arange(1, 51))
checks.identity("β_t = 2^−t never forgets", fading.alpha_bar[-1], torch.tensor(0.288788095), tol=1e-9)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. A thousand steps in one line
#
# To train a network we shall need $x_t$ for random $t$, millions of times.
# Walking the chain each time would be slow.
# It is not needed, because two steps merge into one.
#
# Write two steps out, each with a noise of its own:
#
# $$x_t = \sqrt{\alpha_t}\,x_{t-1} + \sqrt{1 - \alpha_t}\,\varepsilon_t, \qquad x_{t-1} = \sqrt{\alpha_{t-1}}\,x_{t-2} + \sqrt{1 - \alpha_{t-1}}\,\varepsilon_{t-1},$$
#
# and insert the second into the first:
#
# $$x_t = \sqrt{\alpha_t \alpha_{t-1}}\,x_{t-2} + \underbrace{\sqrt{\alpha_t (1 - \alpha_{t-1})}\,\varepsilon_{t-1} + \sqrt{1 - \alpha_t}\,\varepsilon_t}_{\text{two independent Gaussians}}.$$
#
# A sum of independent Gaussians is a Gaussian, and its variance is the sum of theirs:
#
# $$\alpha_t (1 - \alpha_{t-1}) + (1 - \alpha_t) = 1 - \alpha_t \alpha_{t-1}. \tag{3}$$
#
# So both noises can be replaced by *one*, with the variance that is missing to 1.

# %%
a, b = torch.rand(2, 100, generator=g)
checks.identity("two noises merge into one (3)", a * (1 - b) + (1 - a), 1 - a * b, tol=1e-15)

# %% [markdown] slideshow={"slide_type": "subslide"}
# The merged step has the form of a single step, with $\alpha_t \alpha_{t-1}$ in place of $\alpha_t$.
# So it can be merged with the step before it, in the same way, and so on down to $x_0$.
# The product that collects is $\bar\alpha_t$:
#
# $$q(x_t \mid x_0) = N\!\left(x_t;\ \sqrt{\bar\alpha_t}\,x_0,\ (1 - \bar\alpha_t) I\right), \qquad x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\varepsilon. \tag{4}$$
#
# Mind the index: $\bar\alpha_t$ stops at $t$.
# And mind what (4) is not: the *joint* of the whole chain, $q(x_{1:T} \mid x_0) = \prod_t q(x_t \mid x_{t-1})$, is another object.
# Equation (4) is its marginal at one step.
#
# We carry mean and variance through all steps by (1), and compare with (4) as the library computes it.

# %%
mean, variance = torch.ones(1, 1), torch.zeros(())
for t in range(1, schedule.T + 1):
    mean, variance = (schedule.alpha[t].sqrt() * mean, schedule.alpha[t] * variance + schedule.beta[t])
end, one, zero = torch.tensor([schedule.T]), torch.ones(1, 1), torch.zeros(1, 1)
checks.identity("mean after T steps (4)", mean, schedule.q_sample(one, end, zero), tol=1e-12)
checks.identity(
    "variance after T steps (4)", variance.view(1, 1), schedule.q_sample(zero, end, one) ** 2, tol=1e-12
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# For the mixture, (4) gives even the *whole* marginal.
# Each component stays a Gaussian; its mean is scaled by $\sqrt{\bar\alpha_t}$, and its variance becomes $\bar\alpha_t \sigma_k^2 + 1 - \bar\alpha_t$.
# The histograms are the 5000 points that we simulated step by step.
# The lines are the closed form.

# %%
panels = []
for t in (50, 200, 400, 1000):
    q_t = gmm.noised(float(schedule.alpha_bar[t]))
    z = torch.linspace(-4, 4, 801)[:, None]
    closed = {"closed form": q_t.log_prob(z).exp()}
    panels.append(plots.histogram({"chain": with_factor[t]}, x=z, density=closed, span=(-4, 4), title=f"t = {t}"))
plots.figure(
    *panels,
    columns=2,
    alt="Four histograms of the simulated chain, each under the curve of the closed form. The "
    "two peaks melt into one standard normal.",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. Schedules, and the signal-to-noise ratio
#
# A *schedule* is the list $\beta_1, \dots, \beta_T$.
# What does it decide?
# By (4), all that matters for a single $x_t$ is how much signal there is against how much noise:
#
# $$\operatorname{SNR}(t) = \frac{\bar\alpha_t}{1 - \bar\alpha_t}. \tag{5}$$
#
# Two schedules that pass through the same ratios see the same pictures; they only spend different numbers of steps on them.
# Two are in common use.
#
# - *Linear* (Ho et al. 2020): $\beta_t$ rises on a straight line from $10^{-4}$ to $0.02$, for $T = 1000$.
# - *Cosine* (Nichol and Dhariwal 2021): $\bar\alpha_t = f(t)/f(0)$ with $f(t) = \cos^2\!\left(\frac{t/T + s}{1 + s} \cdot \frac{\pi}{2}\right)$ and a small offset $s$.
#
# Equation (5) claims to be a ratio of two variances, so we measure both on random signals of variance 1.

# %%
cosine = diffusion.Schedule.cosine(T=1000)
t = torch.tensor([100, 500, 900]).repeat_interleave(100_000)
signal = torch.randn(len(t), 1, generator=g)
kept, added = cosine.q_sample(signal, t, 0 * signal), cosine.q_sample(0 * signal, t, signal)
ratio = kept.view(3, -1).var(1) / added.view(3, -1).var(1)
checks.identity("SNR is a ratio of variances (5)", ratio / cosine.snr(t[::100_000]), torch.ones(3), tol=1e-9)

# %% [markdown] slideshow={"slide_type": "subslide"}
# The linear schedule gives up the signal early, and spends its last third on what is almost pure noise.
# The cosine schedule falls nearly along a straight line.

# %%
t = torch.arange(1, 1001)
left = {"linear": schedule.alpha_bar[1:], "cosine": cosine.alpha_bar[1:]}
log_snr = {"linear": schedule.snr(t).log(), "cosine": cosine.snr(t).log()}
plots.figure(
    plots.lines(t, left, xlabel="step t", title="signal left, ᾱ_t"),
    plots.lines(t, log_snr, xlabel="step t", title="log-SNR (nats)", ylim=(-15, 12)),
    alt="Left: alpha-bar falls from one to zero, under the linear schedule much earlier than "
    "under the cosine one. Right: the log-SNR of both.",
)

# %%
digit = data.digits("test").x[4:5].double()
noise = torch.randn(digit.shape, generator=g)
steps = torch.arange(100, 1001, 100)
strip = [
    s.q_sample(digit.expand(10, -1, -1, -1), steps, noise.expand(10, -1, -1, -1)) for s in (schedule, cosine)
]
plots.image_rows(
    linear=strip[0],
    cosine=strip[1],
    columns=[f"t = {int(t)}" for t in steps],
    alt="One digit noised at ten steps, under the linear and the cosine schedule. Under the "
    "linear one it is gone by step 500.",
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# Play with both.
# Where does *your* eye lose the digit?
# Then make $T$ small, and watch how large the single steps become.

# %%
widgets.BetaScheduleExplorer()

# %% [markdown]
# The number $L_T$ under the pictures says how far the end of the chain still is from $N(0, I)$, for the chosen digit.
# It is the Kullback–Leibler divergence between two Gaussians, and so it has a closed form:
#
# $$L_T = \operatorname{KL}\!\left(q(x_T \mid x_0)\,\|\,N(0, I)\right) = \tfrac12 \sum_i \left[\bar\alpha_T (x_{0,i}^2 - 1) - \log(1 - \bar\alpha_T)\right]. \tag{6}$$
#
# PyTorch knows the divergence of two Gaussians too, and derived it without us.

# %%
N = torch.distributions.Normal
end_of_chain = N(cosine.alpha_bar[-1].sqrt() * digit, (1 - cosine.alpha_bar[-1]).sqrt())
kl = torch.distributions.kl_divergence(end_of_chain, N(torch.zeros(()), torch.ones(())))
checks.identity("L_T (6)", cosine.prior_kl(digit), kl.flatten(1).sum(1), tol=1e-10)

# %% [markdown]
# <details><summary><b>Question.</b> The linear schedule's end points, 10⁻⁴ and 0.02, are meant for T = 1000. What goes wrong if we keep them and take T = 100?</summary>
#
# The sum of all $\beta_t$ falls to a tenth, about 1.
# So $\bar\alpha_T \approx e^{-1}$: more than a third of the signal's variance survives, and the chain does not end at $N(0, I)$.
# Sampling would start from a distribution that the chain never reaches.
# This is why the library scales both end points by $1000/T$.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. Why the steps must be small
#
# Now to the way back.
# Undoing a step means: given $x_t$, draw an $x_{t-1}$ that could have led to it.
# By Bayes' rule,
#
# $$q(x_{t-1} \mid x_t) = \frac{q(x_t \mid x_{t-1})\,q(x_{t-1})}{q(x_t)}. \tag{7}$$
#
# The first factor is the Gaussian (1).
# The second is the marginal, and it holds everything about the data.
# For digits we do not know it, which is why something must be learned.
# For the mixture we do know it, and can look at (7) directly.
#
# First we make sure that (7) is a density: its right side, summed over a fine grid, must give one.


# %%
def reverse_step(x_t, beta, alpha_bar_before, grid):
    """log q(x_{t−1} | x_t) of the mixture on a grid, by Bayes' rule (7)."""
    before = gmm.noised(alpha_bar_before)  # q(x_{t−1})
    after = gmm.noised(alpha_bar_before * (1 - beta))  # q(x_t)
    step = N(math.sqrt(1 - beta) * grid, math.sqrt(beta)).log_prob(torch.tensor(x_t))
    return step + before.log_prob(grid[:, None]) - after.log_prob(torch.tensor([[x_t]]))


grid = torch.linspace(-4, 4, 8001)
total = torch.trapezoid(reverse_step(0.4, 0.02, 0.95, grid).exp(), grid)
checks.identity("Bayes' rule gives a density (7)", total, torch.tensor(1.0), tol=1e-9)

# %% [markdown] slideshow={"slide_type": "subslide"}
# Below is the exact $q(x_{t-1} \mid x_t)$ at $x_t = 0.4$, for a small, a middling and a large step, beside the Gaussian with the same mean and variance.

# %%
panels, here = [], 0.4
for beta in (0.002, 0.02, 0.3):
    p = reverse_step(here, beta, 0.95, grid).exp()
    mean = torch.trapezoid(p * grid, grid)
    std = torch.trapezoid(p * (grid - mean) ** 2, grid).sqrt()
    fit = N(mean, std).log_prob(grid).exp()
    axes = {"xlim": (float(mean - 4 * std), float(mean + 4 * std)), "xlabel": "x_{t−1}", "aspect": 1.15}
    panels.append(
        plots.lines(grid, {"exact": p, "Gaussian": fit}, title=f"β = {beta}", legend=beta == 0.3, **axes)
    )
plots.figure(
    *panels,
    alt="For beta 0.002 the exact reverse step and its Gaussian lie on top of each other. For "
    "0.02 the exact one has a second hump. For 0.3 it has two peaks far apart, and the "
    "Gaussian bridges them.",
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# For a small $\beta$ the two can hardly be told apart.
# For a large one, the true $x_{t-1}$ may have come from either peak, and no single Gaussian says so.
#
# Why is that?
# Take the logarithm of (7) as a function of $x_{t-1}$.
# The step contributes a parabola whose curvature is about $1/\beta_t$, so only points within a few $\sqrt{\beta_t}$ of $x_t$ matter.
# Within so short a distance, the smooth function $\log q(x_{t-1})$ is nearly its own Taylor polynomial of degree two: a parabola as well.
# The sum of two parabolas is a parabola, and a density whose logarithm is a parabola is a Gaussian.
#
# What is left over is the cubic term.
# Over a distance of $\sqrt\beta$ it amounts to $\beta^{3/2}$, and a divergence is quadratic in a small disturbance.
# So the divergence between the exact step and its best Gaussian should fall like $\beta^3$: half the step, an eighth of the error.
# We measure the slope.


# %%
def distance_to_gaussian(beta):
    """KL(exact reverse step ‖ Gaussian of the same mean and variance), in nats."""
    z = here + 12 * math.sqrt(beta) * torch.linspace(-1, 1, 8001)
    log_p = reverse_step(here, beta, 0.95, z)
    mean = torch.trapezoid(log_p.exp() * z, z)
    std = torch.trapezoid(log_p.exp() * (z - mean) ** 2, z).sqrt()
    return torch.trapezoid(log_p.exp() * (log_p - N(mean, std).log_prob(z)), z)


betas = torch.logspace(-4.5, math.log10(0.6), 30)
kl = torch.stack([distance_to_gaussian(float(b)) for b in betas])
slope = (kl[3] / kl[0]).log() / (betas[3] / betas[0]).log()
checks.identity("the divergence falls like β³", slope, torch.tensor(3.0), tol=0.05)

# %%
plots.figure(
    plots.lines(betas, {"exact step to Gaussian": kl, "β³, for comparison": kl[0] * (betas / betas[0]) ** 3},
                xscale="log", yscale="log", xlabel="β", ylabel="KL (nats)", aspect=2.2),
    alt="The divergence against beta, on logarithmic axes: a straight line of slope three for "
    "small beta."
)  # fmt: skip

# %% [markdown] slideshow={"slide_type": "subslide"}
# This is the bargain of diffusion models.
# Many small steps, each of them nearly Gaussian, in place of one large one that could be anything.
# So the model of the way back may be a Gaussian whose mean and variance come from a network,
#
# $$p_\theta(x_{t-1} \mid x_t) = N\!\left(x_{t-1};\ \mu_\theta(x_t, t),\ \Sigma_\theta(x_t, t)\right). \tag{8}$$
#
# Mind the direction: $p_\theta$ goes from $t$ to $t - 1$.
# It approximates $q(x_{t-1} \mid x_t)$, which depends on the data and is out of reach.
# And walking back does not recover the picture we started from.
# It draws a *new* one, of all those that could have led here.

# %% [markdown]
# <details><summary><b>Question.</b> The figure was made at a point between the two peaks. Would a large step look as bad if the data were a single Gaussian?</summary>
#
# No.
# Then $q(x_{t-1})$ is Gaussian, its logarithm is a parabola everywhere, and so (7) is exactly a Gaussian for every $\beta$.
# Only what is *not* Gaussian about the data forces the steps to be small.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. The posterior, by completing the square
#
# There is one case in which the reverse step is exactly Gaussian, whatever the data: when we are told $x_0$.
# Bayes' rule again, everything now conditioned on $x_0$:
#
# $$q(x_{t-1} \mid x_t, x_0) \propto q(x_t \mid x_{t-1})\,q(x_{t-1} \mid x_0).$$
#
# The first factor needs no $x_0$, since the chain forgets where it came from once $x_{t-1}$ is known.
# Both factors are Gaussians that we know, (1) and (4).
# Up to terms without $x_{t-1}$, minus twice the logarithm of their product is
#
# $$\frac{(x_t - \sqrt{\alpha_t}\,x_{t-1})^2}{\beta_t} + \frac{(x_{t-1} - \sqrt{\bar\alpha_{t-1}}\,x_0)^2}{1 - \bar\alpha_{t-1}}
# = \underbrace{\left(\frac{\alpha_t}{\beta_t} + \frac{1}{1 - \bar\alpha_{t-1}}\right)}_{A} x_{t-1}^2
# - 2 \underbrace{\left(\frac{\sqrt{\alpha_t}\,x_t}{\beta_t} + \frac{\sqrt{\bar\alpha_{t-1}}\,x_0}{1 - \bar\alpha_{t-1}}\right)}_{B} x_{t-1} + \dots$$
#
# Completing the square, $A x^2 - 2 B x = A (x - B/A)^2 - B^2/A$, shows a Gaussian with mean $B/A$ and variance $1/A$.

# %% [markdown] slideshow={"slide_type": "subslide"}
# It remains to simplify.
# Put $A$ over a common denominator:
#
# $$A = \frac{\alpha_t (1 - \bar\alpha_{t-1}) + \beta_t}{\beta_t (1 - \bar\alpha_{t-1})} = \frac{1 - \bar\alpha_t}{\beta_t (1 - \bar\alpha_{t-1})},$$
#
# where the numerator is (3) once more, with $\bar\alpha_{t-1}$ in the place of $\alpha_{t-1}$.
# Its inverse is the variance, and $B$ times that is the mean:
#
# $$\tilde\beta_t = \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t}\,\beta_t, \qquad
# \tilde\mu_t = \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1 - \bar\alpha_t}\,x_0 + \frac{\sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\,x_t. \tag{9}$$
#
# First the algebra: $1/A$ and $B/A$ as they stood before they were simplified, against (9) as the library has it.

# %%
t = torch.arange(2, 1001)
alpha, beta, before = schedule.alpha[t], schedule.beta[t], schedule.alpha_bar[t - 1]
x_0, x_t = torch.randn(2, len(t), 1, generator=g)
A = alpha / beta + 1 / (1 - before)
B = alpha.sqrt() * x_t[:, 0] / beta + before.sqrt() * x_0[:, 0] / (1 - before)
mean, var = schedule.q_posterior(x_0, x_t, t)
checks.identity("posterior variance (9)", var[:, 0], 1 / A, tol=1e-12)
checks.identity("posterior mean (9)", mean[:, 0], B / A, tol=1e-10)

# %% [markdown] slideshow={"slide_type": "subslide"}
# Then the meaning: multiply the two densities on a grid, normalise, and compare.
# No algebra is involved here.


# %%
def bayes_on_a_grid(x_0, x_t, t, grid):
    likelihood = N(schedule.alpha[t].sqrt() * grid, schedule.beta[t].sqrt()).log_prob(x_t)
    prior = N(schedule.alpha_bar[t - 1].sqrt() * x_0, (1 - schedule.alpha_bar[t - 1]).sqrt()).log_prob(grid)
    return likelihood.exp(), prior.exp(), (likelihood + prior).softmax(0) / (grid[1] - grid[0])


x_0, x_t, t = torch.tensor([[1.0]]), torch.tensor([[0.2]]), torch.tensor([60])
grid = torch.linspace(-1, 2, 30_001)
likelihood, prior, posterior = bayes_on_a_grid(x_0[0], x_t[0], 60, grid)
mean, var = schedule.q_posterior(x_0, x_t, t)
closed = N(mean[0], var[0].sqrt()).log_prob(grid).exp()
checks.identity("posterior = Bayes on a grid (9)", posterior, closed, tol=1e-8)

# %%
curves = {"q(x_{t−1} | x_0)": prior, "q(x_t | x_{t−1})": likelihood, "q(x_{t−1} | x_t, x_0)": posterior}
plots.figure(
    plots.lines(
        grid,
        curves,
        xlabel="x_{t−1}",
        ylabel="density",
        title="t = 60, x_0 = 1, x_t = 0.2",
        xlim=(-0.6, 1.8),
        aspect=2.2,
    ),
    alt="Three bell curves. The prior given x_0 is broad, around 0.97; the likelihood of x_t "
    "is narrow, around 0.2; the posterior lies close to the likelihood, drawn a little "
    "towards the prior.",
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# **The edge, t = 1.**
# There $\bar\alpha_0 = 1$: before the first step there was no noise.
# The variance $\tilde\beta_1$ is 0, the weight of $x_1$ is 0 and that of $x_0$ is 1.
# The posterior is the point $x_0$ itself, which is as it should be: asked for $x_0$ and told $x_0$, we know it.
# Anything that divides by $\tilde\beta_t$, or takes its logarithm, must therefore treat $t = 1$ apart.

# %%
x_0, x_1 = torch.randn(2, 5, 1, generator=g)
mean, var = schedule.q_posterior(x_0, x_1, torch.ones(5, dtype=torch.int64))
checks.identity("at t = 1 the mean is x_0", mean, x_0, tol=1e-15)
checks.identity("at t = 1 the variance is 0", var, torch.zeros(5, 1), tol=1e-15)

# %%
t, one = torch.arange(1, 1001), torch.ones(1000, 1)
weight_x_0, var = schedule.q_posterior(one, 0 * one, t)
weight_x_t, _ = schedule.q_posterior(0 * one, one, t)
weights = {"weight of x_0": weight_x_0, "weight of x_t": weight_x_t}
variances = {"β̃_t": var[1:, 0], "β_t": schedule.beta[2:]}
plots.figure(
    plots.lines(t, weights, xlabel="step t", title="mean", xscale="log"),
    plots.lines(t[1:], variances, xlabel="step t", title="variance", xscale="log", yscale="log"),
    alt="Left: the weight of x_0 is one at t = 1 and falls quickly towards zero, that of x_t "
    "rises from zero to one. Right: beta-tilde is smaller than beta in the first steps "
    "and equal to it afterwards.",
)

# %% [markdown]
# <details><summary><b>Question.</b> In most steps the posterior's mean hardly looks at x_0. Why does a model that only guesses x_0 then end at a sharp picture?</summary>
#
# A weight of one per cent, applied in hundreds of steps, adds up.
# And where it matters most, in the last steps before $t = 0$, the weight of $x_0$ becomes large.
# By then $x_t$ has little noise left, so the guess is good.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. Noise, data, velocity and score are one thing
#
# Equation (9) needs $x_0$, and on the way back we do not have it.
# So a network must guess it from $x_t$ and $t$.
# But it need not guess $x_0$ itself.
# By (4), $x_t$ is a known combination of $x_0$ and $\varepsilon$, so whoever knows one of them knows the other:
#
# $$x_0 = \frac{x_t - \sqrt{1 - \bar\alpha_t}\,\varepsilon}{\sqrt{\bar\alpha_t}}, \qquad \varepsilon = \frac{x_t - \sqrt{\bar\alpha_t}\,x_0}{\sqrt{1 - \bar\alpha_t}}. \tag{10}$$
#
# A third choice is the velocity $v = \sqrt{\bar\alpha_t}\,\varepsilon - \sqrt{1 - \bar\alpha_t}\,x_0$.
# Set $\sqrt{\bar\alpha_t} = \cos\phi$ and $\sqrt{1 - \bar\alpha_t} = \sin\phi$; then $(x_t, v)$ is $(x_0, \varepsilon)$ rotated by the angle $\phi$, and rotating back gives
#
# $$x_0 = \sqrt{\bar\alpha_t}\,x_t - \sqrt{1 - \bar\alpha_t}\,v, \qquad \varepsilon = \sqrt{1 - \bar\alpha_t}\,x_t + \sqrt{\bar\alpha_t}\,v. \tag{11}$$

# %%
t = torch.arange(1, 1001)
x_0, eps = torch.randn(2, 1000, 3, generator=g)
x_t = cosine.q_sample(x_0, t, eps)
v = cosine.convert(eps, x_t, t, "eps", "v")
checks.identity("x_0 from v (11)", cosine.convert(v, x_t, t, "v", "x_0"), x_0, tol=1e-9)
checks.identity("eps from v (11)", cosine.convert(v, x_t, t, "v", "eps"), eps, tol=1e-9)
checks.identity("eps from x_0 (10)", cosine.convert(x_0, x_t, t, "x_0", "eps"), eps, tol=1e-9)
checks.identity("a rotation keeps lengths", (x_t**2 + v**2).sum(), (x_0**2 + eps**2).sum(), tol=1e-8)

# %% [markdown] slideshow={"slide_type": "subslide"}
# The fourth is the *score*, the gradient of a log-density: the direction in which $x_t$ becomes more likely.
# For the Gaussian (4) it is
#
# $$\nabla_{x_t} \log q(x_t \mid x_0) = -\frac{x_t - \sqrt{\bar\alpha_t}\,x_0}{1 - \bar\alpha_t} = -\frac{\varepsilon}{\sqrt{1 - \bar\alpha_t}}. \tag{12}$$
#
# So the noise points away from where the density grows.
# We ask autograd for the gradient.

# %%
leaf, bar = x_t.clone().requires_grad_(), cosine.alpha_bar[t][:, None]
log_q = N(bar.sqrt() * x_0, (1 - bar).sqrt()).log_prob(leaf).sum()
(gradient,) = torch.autograd.grad(log_q, leaf)
scale = (1 - bar).sqrt()  # the score itself is large for small t, so we compare −ε with −ε
checks.identity(
    "score of q(x_t | x_0) (12)", scale * cosine.convert(eps, x_t, t, "eps", "score"), scale * gradient, tol=1e-9
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# What does a network find that is trained to guess $\varepsilon$?
# Many pairs $(x_0, \varepsilon)$ lead to the same $x_t$, so no guess is always right.
# Under squared error the best guess is the mean, $E[\varepsilon \mid x_t]$.
# And that mean is again a score, now of the *marginal*:
#
# $$E[\varepsilon \mid x_t] = -\sqrt{1 - \bar\alpha_t}\;\nabla_{x_t} \log q(x_t). \tag{13}$$
#
# To see it, differentiate $q(x_t) = \int q(x_t \mid x_0)\,p(x_0)\,dx_0$ under the integral, insert (12), and divide by $q(x_t)$:
#
# $$\nabla \log q(x_t) = \int \nabla \log q(x_t \mid x_0)\,\frac{q(x_t \mid x_0)\,p(x_0)}{q(x_t)}\,dx_0 = -\int \frac{\varepsilon}{\sqrt{1 - \bar\alpha_t}}\,q(x_0 \mid x_t)\,dx_0 .$$
#
# The fraction is $q(x_0 \mid x_t)$ by Bayes' rule, so the right side is $-E[\varepsilon \mid x_t]/\sqrt{1 - \bar\alpha_t}$.
#
# For the mixture we compute the mean of the noise over a grid of $x_0$, and the score by autograd.

# %%
s, step = float(cosine.alpha_bar[300]), torch.full((7,), 300)
x_t = torch.linspace(-2, 2, 7)[:, None]
x_0 = torch.linspace(-1.5, 1.5, 30_001)  # the grid
eps = (x_t - math.sqrt(s) * x_0) / math.sqrt(1 - s)
posterior = (gmm.log_prob(x_0[:, None]) - eps**2 / 2).softmax(dim=1)  # q(x_0 | x_t), on the grid
mean_eps = (posterior * eps).sum(1, keepdim=True)
leaf = x_t.clone().requires_grad_()
(score,) = torch.autograd.grad(gmm.noised(s).log_prob(leaf).sum(), leaf)
checks.identity("E[eps | x_t] is the score (13)", mean_eps, -math.sqrt(1 - s) * score, tol=1e-9)
checks.identity("E[eps | x_t], as genlib has it", gmm.optimal_eps(x_t, step, cosine), mean_eps, tol=1e-9)

# %% [markdown] slideshow={"slide_type": "subslide"}
# So a network that removes noise *is* an estimate of the score, for every noise level at once.
# Here it is, for the mixture: the best guess of the noise, and of the data.

# %%
x_t = torch.linspace(-3, 3, 601)[:, None]
best, guess = {}, {}
for t in (50, 300, 700):
    steps = torch.full((601,), t)
    eps = gmm.optimal_eps(x_t, steps, cosine)
    best[f"t = {t}"], guess[f"t = {t}"] = eps, cosine.convert(eps, x_t, steps, "eps", "x_0")
plots.figure(
    plots.lines(x_t, best, xlabel="x_t", title="E[ε | x_t]"),
    plots.lines(x_t, guess, xlabel="x_t", title="E[x_0 | x_t]", ylim=(-1.5, 1.5)),
    alt="Left: the best guess of the noise against x_t. Right: the best guess of the data, a "
    "soft step from -0.5 to 1 that becomes sharper as t falls.",
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# If all four are one thing, does it matter which one a network predicts?
# In theory it does not, in practice it does: an error in one is scaled on its way to the other.
# By (10), an error of $\delta$ in $\varepsilon$ becomes $\delta\sqrt{1 - \bar\alpha_t}/\sqrt{\bar\alpha_t} = \delta/\sqrt{\operatorname{SNR}(t)}$ in $x_0$, which is enormous near $t = T$.
# An error in $v$ becomes at most $\delta$, in both, at every step.

# %%
t, one = torch.arange(1, 1001), torch.ones(1000, 1)
from_eps = cosine.convert(one, 0 * one, t, "eps", "x_0").abs()
from_v = cosine.convert(one, 0 * one, t, "v", "x_0").abs()
checks.identity("1 in eps is 1/√SNR in x_0", from_eps[:, 0], cosine.snr(t) ** -0.5, tol=1e-6)
errors = {"1 in ε": from_eps, "1 in v": from_v}
plots.figure(
    plots.lines(t, errors, xlabel="step t", ylabel="error in x_0", yscale="log", ylim=(1e-2, 1e3), aspect=2.2),
    alt="The error in x_0 caused by an error of one. From the noise it grows past a thousand "
    "towards the last step; from v it never exceeds one.",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What the notes said, and what holds
#
# The course corrects the lecture notes where they slipped.
# In this half of the lecture:
#
# - "Adding small noise again and again leads to an isotropic Gaussian." The signal must be shrunk by $\sqrt{1 - \beta_t}$ as well, and $\bar\alpha_T$ must go to 0 (section 2). At finite $T$ the end is close to $N(0, I)$, not equal to it: $\bar\alpha_{1000} = 4.04 \cdot 10^{-5}$ for the linear schedule.
# - The noise of a step was given one $\beta$. It has its own variance $\beta_t$ at each step, and $q(x_t \mid x_{t-1})$ is the whole transition, not the noise alone.
# - "All $q$ in terms of $x_0$" was followed by the joint of the chain. In terms of $x_0$ stands the marginal (4).
# - $\bar\alpha$ was a product up to $T$. It is one up to $t$.
# - One symbol $z$ stood for the noise of a step and for the merged noise. They are different variables; that variances add is why one is enough (section 3).
# - The way back was written $p_\theta(x_t \mid x_{t-1})$. It is $p_\theta(x_{t-1} \mid x_t)$, and it approximates $q(x_{t-1} \mid x_t)$, which no one can compute for real data (section 5).

# %%
checks.identity(
    "ᾱ_1000, linear", diffusion.Schedule.linear(T=1000).alpha_bar[1000], torch.tensor(4.0358e-5), tol=1e-9
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Where to read on
#
# - Sohl-Dickstein et al. 2015, *Deep Unsupervised Learning using Nonequilibrium Thermodynamics*: the chain and its reversal.
# - Ho, Jain and Abbeel 2020, *Denoising Diffusion Probabilistic Models*: equations (1), (4), (9) and the prediction of noise.
# - Nichol and Dhariwal 2021, *Improved Denoising Diffusion Probabilistic Models*: the cosine schedule.
# - Song et al. 2021, *Score-Based Generative Modeling through Stochastic Differential Equations*: the score, and steps made infinitely small.
# - Salimans and Ho 2022, *Progressive Distillation for Fast Sampling of Diffusion Models*: the velocity.
#
# Now build it yourself: the lab `my_labs/lab_3_diffusion.ipynb`.
