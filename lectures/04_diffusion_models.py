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
# - why predicting the noise, the data, the velocity or the score is one and the same task;
# - the variational bound, term by term, and the loss that is left of it;
# - sampling in a thousand steps, in twenty-five, and towards a class.
#
# **It takes** 55 minutes.
# **You need** the Gaussian density, Bayes' rule and expectations; [Start here](00_start_here.ipynb) has the notation.

# %% slideshow={"slide_type": "skip"}
import math

import torch
from gencourse import checks, plots, widgets

from genlib import data, diffusion, metrics, train

g = torch.Generator().manual_seed(0)
torch.set_default_dtype(torch.float64)  # identities are shown in double precision

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. The question
#
# Destroying a picture needs no skill: add noise until nothing can be seen.
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
# The plainest way to destroy it would be to add noise again and again: $x_t = x_{t-1} + \sqrt{\beta_t}\,\varepsilon_t$, with $\varepsilon_t \sim N(0, I)$ and small variances $\beta_t$.
#
# Where does this lead?
# Look at one coordinate.
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
# There is one positive solution, $a_t = \sqrt{1 - \beta_t}$, and the step of all coordinates is
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
# The chain forgets $x_0$ if and only if $\sum_t \beta_t$ diverges.
# For $1 - \beta \le e^{-\beta}$, so $\bar\alpha_t \le e^{-\sum \beta_i}$ goes to 0 if it does.
# If it does not, then from some step on $\beta \le \tfrac12$, where $1 - \beta \ge e^{-2\beta}$, and the product stays above a positive number.

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
    grid = torch.linspace(-4, 4, 801)[:, None]
    closed = {"closed form": q_t.log_prob(grid).exp()}
    panels.append(
        plots.histogram({"chain": with_factor[t]}, x=grid, density=closed, span=(-4, 4), title=f"t = {t}")
    )
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
# It is the Kullback–Leibler divergence between two Gaussians, and so it has a closed form: that of a VAE's penalty ([Learned losses](01_learned_losses.ipynb), (5)), with the mean $\sqrt{\bar\alpha_T}\,x_0$ and the variance $1 - \bar\alpha_T$:
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
# First we make sure that (7) is a density: its right side, integrated over a fine grid, must give one.


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
# So the divergence between the exact step and its best Gaussian should fall like $(\beta^{3/2})^2 = \beta^3$: half the step, an eighth of the error.
# We measure the slope.


# %%
def distance_to_gaussian(beta):
    """KL(exact reverse step ‖ Gaussian of the same mean and variance), in nats."""
    near = here + 12 * math.sqrt(beta) * torch.linspace(-1, 1, 8001)
    log_p = reverse_step(here, beta, 0.95, near)
    mean = torch.trapezoid(log_p.exp() * near, near)
    std = torch.trapezoid(log_p.exp() * (near - mean) ** 2, near).sqrt()
    return torch.trapezoid(log_p.exp() * (log_p - N(mean, std).log_prob(near)), near)


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
# Under squared error the best guess is the mean, $E[\varepsilon \mid x_t]$ ([Learned losses](01_learned_losses.ipynb), (1)).
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
# ## 8. What should a model of the way back minimise?
#
# We now have the road, and a model (8) that walks it backwards.
# The model gives every picture a probability: that of all backward paths which end there, summed up,
#
# $$p_\theta(x_0) = \int p(x_T) \prod_{t=1}^{T} p_\theta(x_{t-1} \mid x_t)\;dx_{1:T}, \qquad p(x_T) = N(0, I).$$
#
# We should like to make $-\log p_\theta(x_0)$ small for real pictures.
# But the integral runs over all paths, and nobody can compute it.
# The paths of the *chain* are at hand, though: for each $x_0$ we can draw as many as we like.
# So we bring $q$ in, by multiplying and dividing:
#
# $$-\log p_\theta(x_0) = -\log E_{q(x_{1:T} \mid x_0)}\!\left[\frac{p(x_T) \prod_t p_\theta(x_{t-1} \mid x_t)}{q(x_{1:T} \mid x_0)}\right]
# \le E_q\!\left[\log \frac{q(x_{1:T} \mid x_0)}{p(x_T) \prod_t p_\theta(x_{t-1} \mid x_t)}\right]. \tag{14}$$
#
# The inequality is Jensen's: $-\log$ is convex, so $-\log E[\,\cdot\,] \le E[-\log(\,\cdot\,)]$.
# The right side is the *variational bound*.
# It is minus the ELBO of a VAE ([Learned losses](01_learned_losses.ipynb), (3)), with all of $x_1, \dots, x_T$ as the code, and with an encoder $q$ that is fixed, and not learned.

# %% [markdown] slideshow={"slide_type": "subslide"}
# As it stands, the bound compares whole paths.
# We want one term for each step.
# The denominator is a product over steps already, and so is the numerator, but it runs the other way: from $t - 1$ to $t$.
# Bayes' rule turns it round.
# For $t \ge 2$, given $x_0$,
#
# $$q(x_t \mid x_{t-1}) = q(x_t \mid x_{t-1}, x_0) = \frac{q(x_{t-1} \mid x_t, x_0)\;q(x_t \mid x_0)}{q(x_{t-1} \mid x_0)}.$$
#
# In the product over $t = 2, \dots, T$ the last fractions telescope: all that remains of them is $q(x_T \mid x_0) / q(x_1 \mid x_0)$.
# The denominator cancels against the first step, $q(x_1 \mid x_0)$, which we had left alone.
# So, for every single path,
#
# $$\log \frac{q(x_{1:T} \mid x_0)}{p(x_T) \prod_t p_\theta(x_{t-1} \mid x_t)} = \log \frac{q(x_T \mid x_0)}{p(x_T)}
# + \sum_{t=2}^{T} \log \frac{q(x_{t-1} \mid x_t, x_0)}{p_\theta(x_{t-1} \mid x_t)} - \log p_\theta(x_0 \mid x_1). \tag{15}$$
#
# We check this on six paths.
# The model is the best that there is for the mixture: its denoiser is (13), in closed form.
# We take a short chain, $T = 50$, so that its steps are not quite small.

# %%
short = diffusion.Schedule(torch.linspace(1e-3, 0.3, 50))


def best_eps(x_t, t, label=None):
    return gmm.optimal_eps(x_t, t, short)


best = diffusion.DDPM(best_eps, short, predict="eps", variance="beta")
x = [gmm.sample(6, generator=g).double()]
for t in range(1, 51):
    x.append(short.alpha[t].sqrt() * x[-1] + short.beta[t].sqrt() * torch.randn(6, 1, generator=g))

# %%
standard = N(torch.tensor(0.0), torch.tensor(1.0))


def log_normal(value, moments):
    return N(moments[0], moments[1].sqrt()).log_prob(value)


t_of = [torch.full((6,), t) for t in range(51)]
log_p = [log_normal(x[t - 1], best.reverse(x[t], t_of[t])) for t in range(1, 51)]
log_q = [log_normal(x[t], (short.alpha[t].sqrt() * x[t - 1], short.beta[t])) for t in range(1, 51)]
log_posterior = [log_normal(x[t - 1], short.q_posterior(x[0], x[t], t_of[t])) for t in range(2, 51)]
end = log_normal(x[50], (short.alpha_bar[50].sqrt() * x[0], 1 - short.alpha_bar[50])) - standard.log_prob(x[50])

whole = sum(log_q) - standard.log_prob(x[50]) - sum(log_p)
split = end + sum(log_posterior) - sum(log_p[1:]) - log_p[0]
checks.identity("a path's log-ratio, split into steps (15)", split, whole, tol=1e-9)

# %% [markdown] slideshow={"slide_type": "subslide"}
# Now take the expectation over paths.
# In the term of step $t$, first average over $x_{t-1}$ with $x_t$ held fixed: that makes it a Kullback–Leibler divergence.
# The bound has become a sum,
#
# $$-\log p_\theta(x_0) \le E_q\Big[ L_T + \sum_{t=2}^{T} L_{t-1} + L_0 \Big], \tag{16}$$
#
# | term | is | says |
# |---|---|---|
# | $L_T$ | $\operatorname{KL}(q(x_T \mid x_0) \,\|\, N(0, I))$ | has the chain forgotten? No network in it; this is (6) |
# | $L_{t-1}$ | $\operatorname{KL}(q(x_{t-1} \mid x_t, x_0) \,\|\, p_\theta(x_{t-1} \mid x_t))$ | does the model's step back resemble the step of someone who knows $x_0$? |
# | $L_0$ | $-\log p_\theta(x_0 \mid x_1)$ | the last step, to the data |
#
# All divergences are between Gaussians, so each has a closed form, and no network has to be sampled to compute them.
# That is the reason for the whole detour.
# Mind that (16) is an inequality, and that it holds in expectation over $x_1, \dots, x_T$.

# %% [markdown] slideshow={"slide_type": "subslide"}
# How much is lost in the inequality?
# For real data we could not say.
# For the mixture we can, because in one dimension the integral over paths can be done after all, one step at a time, on a grid.

# %%
grid = torch.linspace(-4, 4, 1201)
density = standard.log_prob(grid).exp()  # of x_T
for t in range(50, 0, -1):
    mean, var = best.reverse(grid[:, None], torch.full((1201,), t))
    density = density @ N(mean, var.sqrt()).log_prob(grid).exp() * (grid[1] - grid[0])  # of x_{t−1}
truth = gmm.log_prob(grid[:, None]).exp()
own = -torch.trapezoid(truth * density.clamp(min=1e-300).log(), grid)

bound = diffusion.vlb(best, gmm.sample(4000, generator=g).double(), generator=g).nats()
print(f"entropy of the data        {gmm.entropy():6.2f} nats")
print(f"model's own code length    {own:6.2f} nats")
print(f"variational bound          {bound.total.mean():6.2f} nats")
checks.at_most("the entropy is a bound for every model", gmm.entropy(), own)
checks.at_most("the variational bound holds (16)", own, bound.total.mean())

# %% [markdown] slideshow={"slide_type": "subslide"}
# There are two gaps.
# The model's *code length*, the mean of $-\log p_\theta(x_0)$ over the data, lies above the entropy, because 50 Gaussian steps cannot be exact (section 5); below it no model gets ([Normalizing flows](03_normalizing_flows.ipynb), (8)).
# The bound lies above the code length, by what Jensen's inequality gives away.
#
# The bound is one on the *model's* $-\log p_\theta(x_0)$.
# It is no bound on the *data's* $-\log p(x_0)$, except in expectation.
# At $x_0 = 0.5$, where the mixture has almost no mass, the model puts far more than it should, and the bound lies far below.

# %%
gap = torch.full((2000, 1), 0.5)
checks.at_most(
    "at one point, the bound may lie below the truth",
    diffusion.vlb(best, gap, generator=g).nats().total.mean(),
    -gmm.log_prob(gap)[0],
)

# %%
steps = torch.arange(2, 51)
plots.figure(
    plots.lines(grid, {"data": truth, "model": density}, xlim=(-1.5, 1.5), xlabel="x_0", title="density"),
    plots.lines(
        steps, {"L_{t−1}": bound.L_t.mean(0)}, xlabel="step t", yscale="log", title="terms of the bound (nats)"
    ),
    alt="Left: the density of the best model with 50 steps follows that of the data, with slightly broader peaks. "
    "Right: the terms of the bound are largest in the first steps, next to the data.",
)

# %% [markdown]
# <details><summary><b>Question.</b> The denoiser is the best possible one, and yet the terms L_{t−1} are not zero. Why?</summary>
#
# $L_{t-1}$ compares the model with a step of someone who *knows* $x_0$.
# The model does not know it.
# Averaged over all $x_0$ that could have led to $x_t$, even the best Gaussian step differs from each single one of them.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 9. From the bound to the loss
#
# Let the model's step have a fixed variance $\sigma_t^2$, and the mean (9) with a guess of $x_0$ in the place of $x_0$.
# The divergence of two Gaussians of variances $\tilde\beta_t$ and $\sigma_t^2$ is $\|\tilde\mu_t - \mu_\theta\|^2 / 2\sigma_t^2$, plus what depends on the variances alone.
# The two means differ in their $x_0$ only, by (9) with the weight $\sqrt{\bar\alpha_{t-1}}\,\beta_t/(1 - \bar\alpha_t)$.
# And an error in $x_0$ is one in $\varepsilon$, by (10), times $\sqrt{1 - \bar\alpha_t}/\sqrt{\bar\alpha_t}$.
# Square both factors, multiply, and use $\bar\alpha_t = \alpha_t \bar\alpha_{t-1}$:
#
# $$L_{t-1} = \frac{\beta_t^2}{2\sigma_t^2\,\alpha_t\,(1 - \bar\alpha_t)}\;\big\|\varepsilon - \varepsilon_\theta(x_t, t)\big\|^2 + \text{const}. \tag{17}$$
#
# So every term of the bound asks for one thing, *guess the noise*, and the terms differ only in how much they care.
# For $\sigma_t^2 = \tilde\beta_t$ the constant is 0, and we can check (17) against PyTorch's divergence.

# %%
tilde = diffusion.DDPM(best_eps, short, predict="eps", variance="beta_tilde")
t = torch.arange(2, 51)
x_0, eps = torch.randn(2, 49, 1, generator=g)
x_t = short.q_sample(x_0, t, eps)
(mean, var), (model_mean, model_var) = short.q_posterior(x_0, x_t, t), tilde.reverse(x_t, t)
kl = torch.distributions.kl_divergence(N(mean, var.sqrt()), N(model_mean, model_var.sqrt()))
alpha, beta, bar = short.alpha[t], short.beta[t], short.alpha_bar[t]
weight = beta**2 / (2 * short.beta_tilde[t] * alpha * (1 - bar))
checks.identity(
    "L_{t−1} is a weighted error in eps (17)", kl[:, 0], weight * (eps - best_eps(x_t, t))[:, 0] ** 2, tol=1e-9
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# Ho, Jain and Abbeel found that pictures look better if the weights are left out:
#
# $$L_{\text{simple}} = E_{x_0,\,\varepsilon,\,t}\Big[\big\|\varepsilon - \varepsilon_\theta\big(\sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\varepsilon,\ t\big)\big\|^2\Big], \qquad t \text{ uniform in } 1, \dots, T.$$
#
# This is the bound with other weights, so it is no bound any more.
# A network that can be any function at each step has the same minimiser for all weights above 0, namely (13): at each $t$ it is a problem by itself.
# What the weights decide is where a network of limited size spends its effort.
# The figure shows the weights that the bound would have given: it cares most for the very first steps, where hardly any noise is left and the eye sees nothing.

# %%
t = torch.arange(2, 1001)
beta, alpha, bar = schedule.beta[t], schedule.alpha[t], schedule.alpha_bar[t]
weights = {
    "bound, σ² = β": beta / (2 * alpha * (1 - bar)),
    "bound, σ² = β̃": beta**2 / (2 * schedule.beta_tilde[t] * alpha * (1 - bar)),
    "L_simple": torch.ones(999),
}
plots.figure(
    plots.lines(t, weights, xlabel="step t", ylabel="weight", xscale="log", yscale="log", aspect=2.2),
    alt="Weights against the step, on logarithmic axes. Those of the bound fall by two orders of "
    "magnitude from the first steps on; L-simple's are one throughout.",
)

# %% [markdown]
# <details><summary><b>Question.</b> A loss in v, ‖v − v_θ‖², is yet another weighting. Which weight does it give to an error in ε?</summary>
#
# Given $x_t$, an error $\delta$ in $\varepsilon$ is an error $-\delta\sqrt{1 - \bar\alpha_t}/\sqrt{\bar\alpha_t}$ in $x_0$, by (10).
# In $v = \sqrt{\bar\alpha_t}\,\varepsilon - \sqrt{1 - \bar\alpha_t}\,x_0$ the two add up to $\delta\,(\bar\alpha_t + 1 - \bar\alpha_t)/\sqrt{\bar\alpha_t} = \delta/\sqrt{\bar\alpha_t}$.
# So $\|\varepsilon - \varepsilon_\theta\|^2$ has the weight $1/\bar\alpha_t$: the noisiest steps count more, which is where a guess of $\varepsilon$ says little about the picture.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 10. Which variance?
#
# The network's mean needs a companion $\sigma_t^2$.
# Two choices can be justified without a network, each by an extreme case.
#
# - If the data *are* $N(0, I)$, then $q(x_{t-1}) = N(0, I)$, and by the square that we completed the precision of the reverse step is $\alpha_t/\beta_t + 1 = 1/\beta_t$. The right variance is $\beta_t$.
# - If the data are a single point, then we know $x_0$, and the right variance is $\tilde\beta_t$.
#
# Real data lie in between.

# %%
t = torch.arange(2, 51)
checks.identity(
    "data N(0, I): the variance is β_t", 1 / (short.alpha[t] / short.beta[t] + 1), short.beta[t], tol=1e-14
)

# %% [markdown]
# For the mixture we can measure the best one.
# A Gaussian with a given mean fits best if its variance is the mean squared distance $d^2$ to that mean: the derivative of $\tfrac12 \log \sigma^2 + d^2/2\sigma^2$ is zero there.
# So we walk 20,000 points forward, and see how far $\mu_\theta(x_t, t)$ ends up from the $x_{t-1}$ that really was.

# %%
x = [gmm.sample(20_000, generator=g).double()]
for t in range(1, 51):
    x.append(short.alpha[t].sqrt() * x[-1] + short.beta[t].sqrt() * torch.randn(20_000, 1, generator=g))
measured = torch.zeros(51)
for t in range(1, 51):
    mean, _ = best.reverse(x[t], torch.full((20_000,), t))
    measured[t] = ((x[t - 1] - mean) ** 2).mean()
t = torch.arange(2, 51)
ratios = {
    "β": torch.ones(49),
    "measured": measured[2:] / short.beta[2:],
    "β̃": short.beta_tilde[2:] / short.beta[2:],
}
plots.figure(
    plots.lines(t, ratios, xlabel="step t", ylabel="variance / β_t", ylim=(0, 1.1), aspect=2.2),
    alt="Three curves of the variance divided by beta. The measured one lies between beta-tilde and beta; all meet for large t.",
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# DDPM fixes $\sigma_t^2$ at one of the two ends; learning it was unstable there.
# Nichol and Dhariwal made it work: the network gives a number $r$ that says how far to go from one end to the other, $\sigma_t^2 = \exp(r \log\beta_t + (1 - r) \log\tilde\beta_t)$, and the bound (16) is added to the loss with a small weight, for the variance's sake alone.
# Mind that $\mu_\theta$ and $\Sigma_\theta$ are *outputs* of the network, not its parameters.
#
# What is it worth?
# We put the measured variance in, and compare the bounds.

# %%
log_ends = short.beta.log(), torch.cat([short.beta_tilde[[0, 2]], short.beta_tilde[2:]]).log()
r = ((measured.log() - log_ends[1]) / (log_ends[0] - log_ends[1])).nan_to_num(0).clamp(0, 1)


def eps_and_r(x_t, t, label=None):
    return torch.cat([best_eps(x_t, t), r[t][:, None]], dim=1)


between = diffusion.DDPM(eps_and_r, short, predict="eps", variance="learned")
points = gmm.sample(4000, generator=g).double()
for name, model in {"β": best, "β̃": tilde, "measured": between}.items():
    total = diffusion.vlb(model, points, generator=torch.Generator().manual_seed(1)).nats().total.mean()
    print(f"σ² = {name:9}  bound {total:6.2f} nats")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 11. Sampling, with the best denoiser there is
#
# Nothing has been trained yet, and we can sample already.
# Start at $x_T \sim N(0, I)$, and draw $x_{t-1} \sim N(\mu_\theta(x_t, t), \sigma_t^2 I)$ until $t = 1$.
# In the last step no noise is added: the mean is the answer.
# This is *ancestral* sampling, and it calls the denoiser $T$ times.
#
# Must it visit every step?
# A chain that visits some steps only, $s < t$, is a chain again: by (4) it has $\bar\alpha_s$ and $\bar\alpha_t$, and so its own $\beta' = 1 - \bar\alpha_t/\bar\alpha_s$.
# All that we derived holds for it, with fewer and larger steps.
#
# *DDIM* goes further.
# Given guesses of $x_0$ and $\varepsilon$, the point at a lower level $s$ need not be drawn afresh.
# Put the same two together in other proportions, and, if you like, add some fresh noise $z \sim N(0, I)$:
#
# $$x_s = \sqrt{\bar\alpha_s}\,x_0 + \sqrt{1 - \bar\alpha_s - \sigma^2}\;\varepsilon + \sigma z, \qquad
# \sigma^2 = \eta^2\,\frac{1 - \bar\alpha_s}{1 - \bar\alpha_t}\Big(1 - \frac{\bar\alpha_t}{\bar\alpha_s}\Big). \tag{18}$$
#
# Whatever $\eta$ is, the two parts of noise have the variance $1 - \bar\alpha_s$ together, as (4) demands.
# With $\eta = 0$ nothing is random but the start.
# With $\eta = 1$, (18) is the posterior (9) of the respaced chain, so DDIM is ancestral sampling with $\tilde\beta$.
# We check the last claim, path against path, with the same noise.

# %%
true = diffusion.DDPM(lambda x_t, t, label: gmm.optimal_eps(x_t, t, cosine), cosine, variance="beta_tilde")
start = torch.randn(500, 1, generator=g)


def noise():
    return torch.Generator().manual_seed(7)


for n in (1000, 25):
    one_way = diffusion.ancestral(true, (500, 1), steps=n, x_T=start, generator=noise())
    other_way = diffusion.ddim(true, (500, 1), steps=n, eta=1.0, x_T=start, generator=noise())
    distance = torch.stack([(a - b).abs().max() for a, b in zip(one_way, other_way, strict=True)])
    checks.identity(f"DDIM with η = 1 is ancestral, {n} steps (18)", distance, torch.zeros(n + 1), tol=1e-9)

# %% [markdown] slideshow={"slide_type": "subslide"}
# So how many steps do we need?
# We hold the samples against the truth by their energy distance, which is 0 only for equal distributions.
# The dashed floor is what two sets of true samples differ by.

# %%
counts, n = (2, 3, 5, 8, 12, 20, 35, 60, 100, 200), 2000
start = torch.randn(n, 1, generator=g)
reference, again = gmm.sample(n, generator=g).double(), gmm.sample(n, generator=g).double()


def error(samples):
    return metrics.energy_distance(diffusion.last(samples), reference, unbiased=False)


curves = {
    "ancestral": [error(diffusion.ancestral(true, (n, 1), steps=k, x_T=start, generator=g)) for k in counts],
    "DDIM, η = 0": [error(diffusion.ddim(true, (n, 1), steps=k, x_T=start)) for k in counts],
    "two true samples": [metrics.energy_distance(again, reference, unbiased=False)] * len(counts),
}

# %%
plots.figure(
    plots.lines(
        counts,
        curves,
        xlabel="calls of the denoiser",
        ylabel="energy distance",
        xscale="log",
        yscale="log",
        aspect=2.2,
    ),
    alt="Energy distance to the truth against the number of steps, on logarithmic axes. DDIM falls faster than "
    "ancestral sampling; after two hundred calls both are near the floor of the true samples.",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 12. Digits
#
# For digits nobody knows the best denoiser, so a network has to find it.
# Ours is a small U-Net: it looks at the picture at full and at half size, and is told the step $t$ and the class.
# It predicts the velocity, for the reason that section 7 gave.
# In one training example out of ten the class is hidden, so the same network also learns the digits without their class; we shall need that in the next section.
#
# All of the training is this, again and again: draw a picture, a step and a noise; mix them by (4); let the network guess; take one step downhill on the squared error.

# %% tags=["nbval-ignore-output"]
torch.set_default_dtype(torch.float32)


def new_model():
    net = diffusion.UNet.digits()
    return diffusion.DDPM(net, diffusion.Schedule.cosine(T=1000), predict="v", levels=17)


torch.manual_seed(0)
ddpm = new_model()
objective = diffusion.Denoising(ddpm, lr=4e-3)
history = train.fit(objective, data.digits("train"), steps=250, batch_size=32, seed=0)
print(f"{sum(p.numel() for p in ddpm.parameters()):,} parameters, trained in {history.seconds:.0f} s")

# %% [markdown]
# Beside it we load a run of the same model with 16 times as many steps, of twice as many digits each.
# The command that made it is `make runs ONLY=ddpm_digits`.

# %%
stored = train.load(new_model(), "runs/ddpm_digits.safetensors")
long = train.History.load("runs/ddpm_digits.json")
plots.figure(
    plots.lines(
        history.step,
        {"trained here": history.logs["loss"]},
        points={"stored run": (long.step, long.logs["loss"])},
        xlabel="step",
        ylabel="loss",
        xscale="log",
        aspect=2.2,
    ),
    alt="The training loss of both runs against the number of steps: it falls quickly at first, then slowly.",
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# Now we sample, from the same noise, with ten calls of the network for each digit.

# %%
label = torch.arange(10).repeat(30)  # 30 digits of each class


def sample(model, guidance=0.0, steps=10):
    options = {"label": label, "guidance": guidance, "generator": torch.Generator().manual_seed(1)}
    return diffusion.last(diffusion.ddim(model, (300, 1, 8, 8), steps=steps, clip=True, **options))


real, real_label = data.digits("test")
first_of_class = torch.stack([real[real_label == k][0] for k in range(10)])
ours, longer = sample(ddpm), sample(stored)
plots.image_rows(
    real=first_of_class, trained_here=ours[:10], stored_run=longer[:10], stored_again=longer[10:20],
    alt="Ten real digits, 0 to 9, and under them samples of the same classes: from the model trained "
    "here, and from the stored run.",
)  # fmt: skip

# %% [markdown]
# How good are they?
# A classifier, trained on real digits and shipped with the course, reads the samples.
# *Label accuracy* is the share of samples in which it sees the class that was asked for.
# The *Fréchet distance*, as in lecture 01, compares the distribution of its features with that of real digits, in multiples of what held-out digits have.
# *Copying* is the share that lies suspiciously near a training picture; 0.05 is expected of new ones.

# %% tags=["nbval-ignore-output"]
print("trained here\n" + repr(metrics.digits_report(ours, label)))
print("\nstored run\n" + repr(metrics.digits_report(longer, label)))

# %% [markdown] slideshow={"slide_type": "subslide"}
# One path, from noise to digits.
# What the pictures are to be is decided early, while the eye still sees noise; the details come at the end.

# %%
ten = torch.arange(10)
*x_ts, x_0 = diffusion.ddim(stored, (10, 1, 8, 8), steps=25, label=ten, clip=True, generator=noise())
shown = {f"t = {1000 - 40 * i}": x_ts[i] for i in (0, 10, 15, 20, 23)}
shown["t = 0"] = x_0
plots.image_rows(**shown, alt="Ten samples on their way from pure noise at t = 1000 to clean digits at t = 0.")

# %% [markdown]
# And the bound?
# It says how many bits the model needs for a pixel of a picture that it has never seen.
# A uniform distribution over the 17 grey levels needs 4.09, a Gaussian with the full covariance of the training digits 2.98 ([Normalizing flows](03_normalizing_flows.ipynb), section 10, where a flow needs about 2).
# Our model does no better than the Gaussian, although its samples look far better than a Gaussian's would.
# The reason is in section 9: $L_{\text{simple}}$ gives little weight to the first steps, where the eye sees nothing and most of the bits are.

# %% tags=["nbval-ignore-output"]
bound = diffusion.vlb(stored, real[:12], real_label[:12], generator=noise())
print(f"bound of the stored run: {bound.total.mean():.2f} bits per pixel, on 12 held-out digits")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 13. Guidance
#
# The network knows two noises to remove: $\varepsilon_\theta(x_t, t, c)$, given the class $c$, and $\varepsilon_\theta(x_t, t)$, without.
# Their difference points towards what is typical of the class, and away from what all digits share.
# *Guidance* goes further in that direction, by a weight $w \ge 0$:
#
# $$\hat\varepsilon = (1 + w)\,\varepsilon_\theta(x_t, t, c) - w\,\varepsilon_\theta(x_t, t). \tag{19}$$
#
# By (13), $-\hat\varepsilon/\sqrt{1 - \bar\alpha_t}$ stands for $\nabla \log q(x_t \mid c) + w \nabla \log\big(q(x_t \mid c)/q(x_t)\big)$, and the last fraction is $q(c \mid x_t)/q(c)$ by Bayes' rule.
# So the samples are pushed to where a classifier would be more certain of $c$.
# They become more typical and less various.
#
# On the mixture we can show the identity: the class is the component, and every score is known.

# %%
component = data.GaussianMixture(gmm.means[1:], gmm.covs[1:])  # the narrow peak
x_t, t, w = torch.linspace(-2, 2, 9)[:, None].double(), torch.full((9,), 300), 2.0
given, none = component.optimal_eps(x_t, t, cosine), gmm.optimal_eps(x_t, t, cosine)
leaf, bar = x_t.clone().requires_grad_(), float(cosine.alpha_bar[300])
log_q_c, log_q = component.noised(bar).log_prob(leaf), gmm.noised(bar).log_prob(leaf)
(pushed,) = torch.autograd.grad((log_q_c + w * (log_q_c - log_q)).sum(), leaf)
checks.identity(
    "guidance is a push by log q(c | x_t) (19)",
    (1 + w) * given - w * none,
    -math.sqrt(1 - bar) * pushed,
    tol=1e-9,
)

# %%
strength = {"w = 0": longer} | {f"w = {w}": sample(stored, guidance=w) for w in (1, 4)}
one_class = {name: samples[label == 7][:12] for name, samples in strength.items()}
plots.image_rows(
    **one_class,
    alt="Twelve samples of the digit 7 for three weights of guidance: with a larger weight they look more and more alike.",
)

# %% tags=["nbval-ignore-output"]
for name, samples in strength.items():
    report = metrics.digits_report(samples, label)
    print(
        f"{name}:  label accuracy {report.label_accuracy:.3f}   Fréchet distance × {report.frechet_multiple:.2f}"
    )

# %% [markdown]
# <details><summary><b>Question.</b> Why does the Fréchet distance grow with w, although each single digit becomes clearer?</summary>
#
# It compares distributions, not pictures.
# With a large $w$ all sevens are the most typical seven, and the various ways in which people write a seven are gone.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 14. What has come since
#
# - **Latents.** Run the diffusion on the codes of an autoencoder instead of on pixels (Rombach et al. 2022).
# - **Continuous time.** Infinitely many steps give a stochastic differential equation, and with $\eta = 0$ an ordinary one, which good solvers integrate in few steps (Song et al. 2021; Karras et al. 2022).
# - **Other networks.** Transformers in the place of the U-Net (Peebles and Xie 2023).
# - **Fewer steps.** Distil many steps into one or two (Salimans and Ho 2022; Song et al. 2023, *Consistency Models*).
# - **Straighter paths.** Flow matching learns the velocity of a path between noise and data that we choose (Lipman et al. 2023).

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What the notes said, and what holds
#
# The course corrects the lecture notes where they slipped.
#
# - "Adding small noise again and again leads to an isotropic Gaussian." The signal must be shrunk by $\sqrt{1 - \beta_t}$ as well, and $\bar\alpha_T$ must go to 0 (section 2; row [14](06_the_notes_corrected.ipynb#Row-14)). At finite $T$ the end is close to $N(0, I)$, not equal to it: $\bar\alpha_{1000} = 4.04 \cdot 10^{-5}$ for the linear schedule.
# - The noise of a step was given one $\beta$. It has its own variance $\beta_t$ at each step, and $q(x_t \mid x_{t-1})$ is the whole transition, not the noise alone (row [29](06_the_notes_corrected.ipynb#Row-29)).
# - "All $q$ in terms of $x_0$" was followed by the joint of the chain. In terms of $x_0$ stands the marginal (4) (section 3; row [16](06_the_notes_corrected.ipynb#Row-16)).
# - $\bar\alpha$ was a product up to $T$. It is one up to $t$ (section 3; row [17](06_the_notes_corrected.ipynb#Row-17)).
# - One symbol $z$ stood for the noise of a step and for the merged noise. They are different variables; that variances add is why one is enough (section 3; row [18](06_the_notes_corrected.ipynb#Row-18)).
# - The way back was written $p_\theta(x_t \mid x_{t-1})$. It is $p_\theta(x_{t-1} \mid x_t)$, and it approximates $q(x_{t-1} \mid x_t)$, which no one can compute for real data (section 5; rows [15](06_the_notes_corrected.ipynb#Row-15) and [30](06_the_notes_corrected.ipynb#Row-30)).
# - $\mu_\theta$ and $\Sigma_\theta$ were "parameters learned". They are outputs of the network; DDPM fixes $\Sigma$, and learning it came later (section 10; row [19](06_the_notes_corrected.ipynb#Row-19)).
# - The posterior and the network were said to relate "equivalently to the variational lower bound". The bound is an inequality, in expectation, and the loss used in training reweights its terms (sections 8 and 9; row [20](06_the_notes_corrected.ipynb#Row-20)).
# - GANs were said to give "lower bounds" on the likelihood. A diffusion model gives one; a GAN gives none (section 8; row [13](06_the_notes_corrected.ipynb#Row-13)).

# %%
checks.identity(
    "ᾱ_1000, linear", diffusion.Schedule.linear(T=1000).alpha_bar[1000], torch.tensor(4.0358e-5), tol=1e-9
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Where to read on
#
# - Sohl-Dickstein et al. 2015, *Deep Unsupervised Learning using Nonequilibrium Thermodynamics*: the chain and its reversal.
# - Ho, Jain and Abbeel 2020, *Denoising Diffusion Probabilistic Models*: the chain, the bound and the loss.
# - Nichol and Dhariwal 2021, *Improved Denoising Diffusion Probabilistic Models*: the cosine schedule, learned variances, fewer steps.
# - Song, Meng and Ermon 2021, *Denoising Diffusion Implicit Models*: DDIM.
# - Ho and Salimans 2022, *Classifier-Free Diffusion Guidance*.
# - Song et al. 2021, *Score-Based Generative Modeling through Stochastic Differential Equations*: the score, and steps made infinitely small.
# - Salimans and Ho 2022, *Progressive Distillation for Fast Sampling of Diffusion Models*: the velocity.
#
# Now build it yourself: the lab `my_labs/lab_3_diffusion.ipynb`.
# Each family was shown by itself, at its best.
# Given the same data, the same size and the same time, which one should we take?
# The next lecture asks that: [Side by side](05_side_by_side.ipynb).
