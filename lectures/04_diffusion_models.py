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
# # Diffusion models
#
# *How can a machine that only removes a little noise make a picture out of nothing?*
#
# **You will learn**
#
# - why the noising chain shrinks its signal at every step, by how much, and what a chain does that only adds noise;
# - how a thousand small steps become one line, $q(x_t \mid x_0)$;
# - what a noise schedule decides, and how to read one;
# - how nearly the reverse of a small step is a Gaussian, and what a variance fixed in advance costs;
# - the posterior $q(x_{t-1} \mid x_t, x_0)$, from completing a square;
# - why predicting the noise, the data, the velocity or the score is one and the same task;
# - that a walk back by the best guess of the noise ends in the data's distribution.
#
# **It takes** 50 minutes; the second part, [Learning and sampling](04b_learning_and_sampling.ipynb), takes 65 more.
# **You need** the Gaussian density, Bayes' rule and expectations; [Start here](00_start_here.ipynb) has the notation.

# %% jupyter={"source_hidden": true} tags=["remove-cell"]
# Where the course is missing, as on Colab, this installs it: the copy that the notebook lies in, or else this version.
from importlib.util import find_spec
from pathlib import Path

if not find_spec("gencourse"):
    course = "..[notebooks]" if Path("../gencourse").is_dir() else "genlib-course[notebooks]==0.1.0"
    get_ipython().run_line_magic("pip", f"install --quiet {course}")

# %%
import math

import torch
from gencourse import checks, plots, widgets
from gencourse.runs import run_file

from genlib import data, diffusion, train

torch.set_default_dtype(torch.float64)  # identities are shown in double precision
N = torch.distributions.Normal


def seeded(seed=0):
    """A fresh generator, so that a cell that is run again draws the same numbers."""
    return torch.Generator().manual_seed(seed)


# %% [markdown]
# ## 1. The question
#
# Nobody drew the pictures below.
# Each began as pure noise, one random number for each colour of its 32 × 32 pixels, and was made in 25 steps by one network, which was told only which kind of drawing to make, a different one in each row.
# The network has 1.5 million parameters, and has seen 437 drawings of these six kinds ([OpenMoji](https://openmoji.org), CC BY-SA 4.0) and their mirror images.
# In each of the 25 steps it took away a little of the noise.
# Some of the drawings are new and some nearly remembered; [Learning and sampling](04b_learning_and_sampling.ipynb) measures it.

# %%
net = diffusion.UNet(3, width=48, mults=(1, 2), n_blocks=1, n_classes=6, dropout=0.1, patch=2).float()
artist = diffusion.DDPM(net, diffusion.Schedule.cosine(T=1000), predict="v", levels=256)
artist = train.load(artist, run_file("emoji_ddpm.safetensors"))  # trained by `make runs ONLY=emoji_ddpm`
kind = torch.arange(6).repeat_interleave(12)
walk = diffusion.ddim(artist, (72, 3, 32, 32), steps=25, label=kind, guidance=1.0, clip=True, generator=seeded(1))
*on_the_way, made = walk
plots.image_rows(
    **{name: made[kind == k] for k, name in enumerate(data.EMOJI_KINDS)},
    alt="Six rows of twelve drawings in colour: yellow faces, persons from the chest up, yellow hands, hearts, animals and clocks, each different from its neighbours.",
)

# %% [markdown]
# Here is the way of the first drawing of each row, from the noise to the end.

# %%
plots.image_rows(
    **{
        name: torch.stack([x_t[12 * k] for x_t in [*on_the_way[::4], made]])
        for k, name in enumerate(data.EMOJI_KINDS)
    },
    columns=[f"t = {t}" for t in [*range(1000, 0, -160), 0]],
    alt="Six rows: noise at the left, and from step to step a drawing comes out of it, first its place and colour, then its lines.",
)

# %% [markdown]
# Destroying a picture needs no skill: we add noise until nothing can be seen.
# The road from a drawing to pure noise needs no learning at all.
#
# Now cut that road into many short steps.
# Each step does little harm, so perhaps each step can be *undone*.
# If a network learned to undo every one of them, we could start at pure noise and walk the road backwards, and at its end would stand a picture.
#
# That is all that happened above, and this lecture makes the thought precise.
# We first build the road, so that the distribution at every point on it is known in closed form.
# Then we ask what it means to undo a step, and find the one quantity that a network has to supply.

# %% [markdown]
# Two examples go with us.
# The *digits* are real, and nobody knows their distribution.
# The *mixture* below is invented, and everything about its distribution is known: its density, its entropy, and, as we shall see, its density after any amount of noise.
# So whatever we claim about diffusion, we can hold against the truth on the mixture before we try it on the digits.

# %%
gmm = data.GaussianMixture(means=[[-0.5], [1.0]], covs=[[[0.01]], [[0.0025]]], weights=[0.9, 0.1])
axis = torch.linspace(-1.5, 1.5, 1001)[:, None]
plots.figure(
    plots.lines(
        axis, {"p(x_0)": gmm.log_prob(axis).exp()}, fill=True, title="The mixture", xlabel="x_0", ylabel="density"
    ),
    plots.pictures(data.digits("test").x[:18], columns=6, title="The digits"),
    alt="Left: a density with a broad peak at -0.5 that holds nine tenths of the mass, and a "
    "narrow one at 1. Right: eighteen handwritten digits.",
)

# %% [markdown]
# ## 2. The chain, and why it shrinks
#
# Let $x_0$ be a data point.
# The plainest way to destroy it is to add noise again and again: $y_t = y_{t-1} + \sqrt{b_t}\,\varepsilon_t$ from $y_0 = x_0$, with $\varepsilon_t \sim N(0, I)$ and small variances $b_t$.
# Where does this lead?
# Look at one coordinate.
# The noise is independent of $y_{t-1}$, and variances of independent variables add, so
#
# $$\operatorname{Var}[y_t] = \operatorname{Var}[y_{t-1}] + b_t = \operatorname{Var}[x_0] + s_t^2, \qquad s_t^2 = b_1 + \dots + b_t .$$
#
# The variance grows without end, unless the sum of all $b_t$ is finite; then it never forgets the start.
# For a fixed $T$ this is no obstacle: once $s_T^2$ is large, the end of the chain is nearly $N(0, s_T^2 I)$, which we know and can start from.
# Models of this kind exist, under the name *variance exploding*, and section 11, in the second part, samples from one.
# But their end differs with $T$ and with the list of variances, and a network would see inputs of every size.
#
# We want an end that is always $N(0, I)$, so we make room for the noise before it comes in.
# Multiply by some $a_t < 1$ first, and call the variance of the noise $\beta_t$: now $\operatorname{Var}[x_t] = a_t^2 \operatorname{Var}[x_{t-1}] + \beta_t$.
# A variance of 1 should stay 1, which asks for $a_t^2 + \beta_t = 1$.
# There is one positive solution, $a_t = \sqrt{1 - \beta_t}$, and the step of all coordinates is
#
# $$q(x_t \mid x_{t-1}) = N\!\left(x_t;\ \sqrt{1 - \beta_t}\,x_{t-1},\ \beta_t I\right). \tag{1}$$

# %% [markdown]
# Does the variance also *go* to 1 when it starts elsewhere?
# Write $\alpha_t = 1 - \beta_t$ and subtract 1 from both sides of $\operatorname{Var}[x_t] = \alpha_t \operatorname{Var}[x_{t-1}] + 1 - \alpha_t$:
#
# $$\operatorname{Var}[x_t] - 1 = \alpha_t \left(\operatorname{Var}[x_{t-1}] - 1\right).$$
#
# The distance to 1 shrinks by the factor $\alpha_t$ in each step.
# After $t$ steps it has shrunk by the product of all these factors, which deserves a name, $\bar\alpha_t = \alpha_1 \alpha_2 \cdots \alpha_t$:
#
# $$\operatorname{Var}[x_t] = 1 + \bar\alpha_t \left(\operatorname{Var}[x_0] - 1\right). \tag{2}$$
#
# We check (2) against a chain that carries its variance one step at a time.

# %%
schedule = diffusion.Schedule.linear(T=1000)
variance_of = [torch.tensor(0.05)]  # of x_0
for t in range(1, schedule.T + 1):
    variance_of.append(schedule.alpha[t] * variance_of[-1] + schedule.beta[t])
checks.identity(
    "variance after t steps (2)", torch.stack(variance_of), 1 + schedule.alpha_bar * (0.05 - 1), tol=1e-12
)

# %% [markdown]
# And here are 5000 points of the mixture on their way, simulated with the factor and without it, from the same noise.

# %%
noise = torch.randn(1001, 5000, 1, generator=seeded(1))  # ε_t for each point; the first row is not used
points = gmm.sample(5000, generator=seeded(2)).double()
with_factor, without = [points], [points]
for t in range(1, schedule.T + 1):
    with_factor.append(schedule.alpha[t].sqrt() * with_factor[-1] + schedule.beta[t].sqrt() * noise[t])
    without.append(without[-1] + schedule.beta[t].sqrt() * noise[t])
curves = {
    "shrunk by √(1 − β_t)": torch.stack(with_factor).var((1, 2)),
    "noise added alone": torch.stack(without).var((1, 2)),
}
plots.figure(
    plots.lines(torch.arange(1001), curves, xlabel="step t", ylabel="variance at step t", aspect=2.2),
    alt="Variance against the step. With the factor the curve rises to one and stays there; "
    "without it the curve grows past ten.",
)

# %% [markdown]
# **Two chains, one rescaling.**
# How different are the two chains?
# Take the chain $y$ that only adds noise, and look at it through a lens that zooms out as the noise grows: $x_t = y_t / \sqrt{1 + s_t^2}$.
# Inserting the step of $y$ gives
#
# $$x_t = \sqrt{\frac{1 + s_{t-1}^2}{1 + s_t^2}}\;x_{t-1} + \sqrt{\frac{b_t}{1 + s_t^2}}\;\varepsilon_t .$$
#
# The squares of the two factors add up to $(1 + s_{t-1}^2 + b_t)/(1 + s_t^2) = 1$, because $s_t^2 = s_{t-1}^2 + b_t$.
# So the rescaled chain *is* a chain (1), and the product of its factors telescopes:
#
# $$\beta_t = \frac{b_t}{1 + s_t^2}, \qquad \bar\alpha_t = \frac{1}{1 + s_t^2}. \tag{3}$$
#
# Whatever holds for one kind of chain therefore holds for the other, in other units.
# We check this path by path: the 5000 points that only had noise added, rescaled, against the chain (1) with the variances (3) and the same noise.

# %%
s2 = schedule.beta.cumsum(0)  # s_t²: the points `without` had b_t = β_t of the linear schedule
rescaled = diffusion.Schedule(schedule.beta[1:] / (1 + s2[1:]))
path = [points]
for t in range(1, schedule.T + 1):
    path.append(rescaled.alpha[t].sqrt() * path[-1] + rescaled.beta[t].sqrt() * noise[t])
lens = (1 + s2).sqrt()[:, None, None]
checks.identity(
    "the chain that only adds noise, rescaled", torch.stack(without) / lens, torch.stack(path), tol=1e-10
)
checks.identity("its ᾱ_t is 1/(1 + s_t²) (3)", rescaled.alpha_bar, 1 / (1 + s2), tol=1e-12)

# %% [markdown]
# Shrinking at every step is not enough to forget the start.
# By (2), what is left of the variance of the start is $\bar\alpha_t$, and this product must go to 0.
# It does so exactly if the sum of all $\beta_t$ diverges.
# If it diverges, then $\bar\alpha_t \le e^{-(\beta_1 + \dots + \beta_t)}$ goes to 0, because $1 - \beta \le e^{-\beta}$.
# If it converges, then from some step on $\beta \le \tfrac12$, where $1 - \beta \ge e^{-2\beta}$, and so the product stays above a positive number.
#
# The variances $\beta_t = 2^{-t}$ are of the second kind.
# They become small so fast that more than 28.8 % of the signal's variance is left after any number of steps.

# %%
fading = diffusion.Schedule(0.5 ** torch.arange(1, 51))
checks.identity("β_t = 2^−t never forgets", fading.alpha_bar[-1], torch.tensor(0.288788095), tol=1e-9)

# %% [markdown]
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
# $$\alpha_t (1 - \alpha_{t-1}) + (1 - \alpha_t) = 1 - \alpha_t \alpha_{t-1}. \tag{4}$$
#
# So both noises together have the distribution of *one* noise, with the variance $1 - \alpha_t \alpha_{t-1}$.
# Again the two variances, $\alpha_t \alpha_{t-1}$ of a signal of variance 1 and $1 - \alpha_t \alpha_{t-1}$ of the noise, add up to 1.
#
# We check this on densities: that of a sum of two independent variables is the integral of the product of theirs, over all ways to split the sum.

# %%
a, b = 0.9, 0.8  # α_t and α_{t−1}
older, newer = N(0.0, math.sqrt(a * (1 - b))), N(0.0, math.sqrt(1 - a))
part, both = torch.linspace(-6, 6, 12_001), torch.linspace(-2, 2, 9)
splits = (older.log_prob(part) + newer.log_prob(both[:, None] - part)).exp()
merged = N(0.0, math.sqrt(1 - a * b)).log_prob(both).exp()
checks.identity("two noises merge into one (4)", torch.trapezoid(splits, part), merged, tol=1e-9)

# %% [markdown]
# The merged step has the form of a single step, with $\alpha_t \alpha_{t-1}$ in place of $\alpha_t$.
# So it can be merged with the step before it, in the same way, and so on down to $x_0$.
# The product that collects is $\bar\alpha_t$:
#
# $$q(x_t \mid x_0) = N\!\left(x_t;\ \sqrt{\bar\alpha_t}\,x_0,\ (1 - \bar\alpha_t) I\right), \qquad x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\varepsilon. \tag{5}$$
#
# The index of $\bar\alpha_t$ matters: the product stops at $t$.
# And (5) must not be confused with the *joint* density of the whole chain, $q(x_{1:T} \mid x_0) = \prod_t q(x_t \mid x_{t-1})$.
# Equation (5) is the marginal of that joint density at one step.
#
# We carry mean and variance through all steps by (1), and compare with (5) as the library computes it.

# %%
mean, variance = torch.ones(1, 1), torch.zeros(())
for t in range(1, schedule.T + 1):
    mean, variance = (schedule.alpha[t].sqrt() * mean, schedule.alpha[t] * variance + schedule.beta[t])
end, one, zero = torch.tensor([schedule.T]), torch.ones(1, 1), torch.zeros(1, 1)
checks.identity("mean after T steps (5)", mean, schedule.q_sample(one, end, zero), tol=1e-12)
checks.identity(
    "variance after T steps (5)", variance.view(1, 1), schedule.q_sample(zero, end, one) ** 2, tol=1e-12
)

# %% [markdown]
# For the mixture, (5) gives even the *whole* marginal $q(x_t)$.
# Each component stays a Gaussian, because a Gaussian that is scaled and has Gaussian noise added is a Gaussian.
# Its mean is scaled by $\sqrt{\bar\alpha_t}$, and its variance becomes $\bar\alpha_t \sigma_k^2 + 1 - \bar\alpha_t$.
# The histograms are the 5000 points that we simulated step by step, and the lines are the closed form.

# %%
panels, wide = [], torch.linspace(-4, 4, 801)[:, None]
for t in (50, 200, 400, 1000):
    closed = {"closed form": gmm.noised(float(schedule.alpha_bar[t])).log_prob(wide).exp()}
    panels.append(
        plots.histogram(
            {"chain": with_factor[t]}, x=wide, density=closed, span=(-4, 4), title=f"t = {t}", aspect=2.4
        )
    )
plots.figure(
    *panels,
    columns=2,
    alt="Four histograms of the simulated chain, each under the curve of the closed form. The "
    "two peaks melt into one standard normal.",
)

# %% [markdown]
# ## 4. Schedules, and the signal-to-noise ratio
#
# A *schedule* is the list $\beta_1, \dots, \beta_T$.
# What does it decide?
# By (5), all that matters for a single $x_t$ is how much signal there is against how much noise, the ratio of their variances for a signal of variance 1:
#
# $$\operatorname{SNR}(t) = \frac{\bar\alpha_t}{1 - \bar\alpha_t}. \tag{6}$$
#
# Two schedules that pass through the same ratios see the same noisy pictures; they only spend different numbers of steps on them.
# Two are in common use.
#
# - *Linear* (Ho et al. 2020): $\beta_t$ rises on a straight line from $10^{-4}$ to $0.02$, for $T = 1000$.
# - *Cosine* (Nichol and Dhariwal 2021): $\bar\alpha_t = f(t)/f(0)$ with $f(t) = \cos^2\!\left(\frac{t/T + s}{1 + s} \cdot \frac{\pi}{2}\right)$ and a small offset $s = 0.008$.
#
# Read to the letter, the cosine formula ends at $\bar\alpha_T = 0$, since the angle is then $\pi/2$: no signal at all would be left at the last step, and $\beta_T$ would be 1.
# Its authors therefore clip every $\beta_t$ at $0.999$, which concerns the last step alone where $T = 1000$, and $\bar\alpha_T$ is the product of the clipped factors, $2.4 \cdot 10^{-9}$.
# The library does the same, and we shall need it: section 7 divides by $\sqrt{\bar\alpha_t}$.
#
# At the other end the formula has the offset.
# Without $s$ the cosine would begin with a horizontal tangent, and $\beta_1$ would be so small that $x_1$ could not be told from a clean picture; its authors found that a network does badly at guessing noise of such a size.
# They chose $s$ so that the standard deviation of the first noise, $\sqrt{\beta_1}$, is a little less than $1/127.5$, the distance of two grey levels of a picture with 256 of them.

# %% [markdown]
# Can (6) be measured from pairs of signal and noisy data, without knowing how they were mixed?
# Draw signals of variance 1 and noise that is independent of them, mix them, and keep only the signals and the mixtures.
# The regression of $x_t$ on the signal finds the factor of the signal; what the regression leaves over is noise.
# The ratio of the two variances is (6), up to the error of a sample of 200,000.

# %%
cosine = diffusion.Schedule.cosine(T=1000)
asked = torch.tensor([100, 500, 800])
signal = torch.rand(3, 200_000, 1, generator=seeded(4)) * math.sqrt(12)  # uniform, of variance 1
independent = torch.randn(3, 200_000, 1, generator=seeded(5))
x_t = cosine.q_sample(signal, asked, independent)
centred = signal - signal.mean(1, keepdim=True)
factor = (centred * x_t).mean(1, keepdim=True) / centred.var(1, keepdim=True)
noise_left = x_t - factor * signal
ratio = (factor * signal).var(1) / noise_left.var(1) / cosine.snr(asked)[:, None]
checks.identity("SNR, measured against (6)", ratio, torch.ones(3, 1), tol=0.03)

# %% [markdown]
# In both schedules $\beta_t$ grows with $t$.
# Does this not make the later steps larger than the earlier ones?
# A step should be judged by what it does to the ratio (6).
# From $t - 1$ to $t$ the signal's variance falls by the factor $\alpha_t$, and the noise's rises from $1 - \bar\alpha_{t-1}$ to $1 - \bar\alpha_t = \alpha_t (1 - \bar\alpha_{t-1}) + \beta_t$.
# So the step divides the ratio by
#
# $$\frac{\operatorname{SNR}(t-1)}{\operatorname{SNR}(t)} = \frac{\alpha_t (1 - \bar\alpha_{t-1}) + \beta_t}{\alpha_t\,(1 - \bar\alpha_{t-1})} = 1 + \frac{\beta_t}{\alpha_t\,(1 - \bar\alpha_{t-1})}. \tag{6a}$$
#
# What counts is thus the new noise *against the noise that is there already*.
# Next to the data there is hardly any, and a small $\beta_t$ does much; later the same small $\beta_t$ would do next to nothing, and the chain would need far more steps to forget its start.
# So $\beta_t$ may grow as the noise does.
# In the linear schedule $\beta_{1000}$ is nearly ten times $\beta_{100}$, and yet both steps divide the ratio by 1.02.

# %%
before = torch.tensor([99, 999])
factor = schedule.snr(before) / schedule.snr(before + 1)  # at t = 100 and t = 1000
grown = 1 + schedule.beta[before + 1] / (schedule.alpha[before + 1] * (1 - schedule.alpha_bar[before]))
checks.identity("what a step does to the ratio (6a)", factor, grown, tol=1e-12)
for t, f in zip((100, 1000), factor, strict=True):
    print(f"linear, t = {t:4}: β_t = {schedule.beta[t]:.4f} divides the ratio by {f:.2f}")
for s in (0.008, 1e-9):
    print(f"cosine with s = {s:g}: √β_1 = 1/{1 / diffusion.Schedule.cosine(T=1000, s=s).beta[1].sqrt():.0f}")

# %% [markdown]
# How do the two schedules spend their steps?
# The linear one gives up the signal early, and spends its last third on what is almost pure noise.
# The cosine one falls more evenly: its $\bar\alpha_t$ is nowhere further than 0.11 from the straight line $1 - t/T$, while that of the linear schedule departs from the line by 0.42.

# %%
line = 1 - torch.arange(1001) / 1000
for name, s in {"linear": schedule, "cosine": cosine}.items():
    print(f"{name}: ᾱ_t is off the straight line by up to {(s.alpha_bar - line).abs().max():.3f}")

# %%
t_all = torch.arange(1, 1001)
left = {"linear": schedule.alpha_bar[1:], "cosine": cosine.alpha_bar[1:]}
log_snr = {"linear": schedule.snr(t_all).log(), "cosine": cosine.snr(t_all).log()}
plots.figure(
    plots.lines(t_all, left, xlabel="step t", title="signal left, ᾱ_t"),
    plots.lines(t_all, log_snr, xlabel="step t", title="log-SNR (nats)", ylim=(-15, 12)),
    alt="Left: alpha-bar falls from one to zero, under the linear schedule much earlier than "
    "under the cosine one. Right: the log-SNR of both.",
)

# %%
digit = data.digits("test").x[12:13].double()
speck = torch.randn(digit.shape, generator=seeded(6))
ten_steps = torch.arange(100, 1001, 100)
strip = [
    torch.cat([digit, s.q_sample(digit.expand(10, -1, -1, -1), ten_steps, speck.expand(10, -1, -1, -1))])
    for s in (schedule, cosine)
]
plots.image_rows(
    linear=strip[0],
    cosine=strip[1],
    columns=["t = 0", *(f"{int(i)}" for i in ten_steps)],
    alt="One digit noised at ten steps, under the linear and the cosine schedule. Under the "
    "linear one it is gone by step 500.",
)

# %% [markdown]
# Play with both.
# Where does *your* eye lose the digit?
# Then make $T$ small, and watch how large the single steps become.

# %%
widgets.BetaScheduleExplorer()

# %% [markdown]
# The number $L_T$ under the pictures of the live widget says how far the end of the chain still is from $N(0, I)$, for the chosen digit.
# It is the Kullback–Leibler divergence between two Gaussians, and so it has a closed form, that of a VAE's penalty ([Learned losses](01_learned_losses.ipynb), (5)) with the mean $\sqrt{\bar\alpha_T}\,x_0$ and the variance $1 - \bar\alpha_T$:
#
# $$L_T = \operatorname{KL}\!\left(q(x_T \mid x_0)\,\|\,N(0, I)\right) = \tfrac12 \sum_i \left[\bar\alpha_T (x_{0,i}^2 - 1) - \log(1 - \bar\alpha_T)\right]. \tag{7}$$
#
# PyTorch has a formula for the divergence of two Gaussians too, and derived it without us.
# We compare at the end of a chain of 40 steps that was cut off early, so that the divergence is not small.

# %%
cut_off = diffusion.Schedule(torch.full((40,), 0.02))
end_of_chain = N(cut_off.alpha_bar[-1].sqrt() * digit, (1 - cut_off.alpha_bar[-1]).sqrt())
kl = torch.distributions.kl_divergence(end_of_chain, N(torch.zeros(()), torch.ones(())))
checks.identity("L_T (7)", cut_off.prior_kl(digit), kl.flatten(1).sum(1), tol=1e-10)

# %% [markdown]
# <details><summary><b>Question.</b> The linear schedule's end points, 10⁻⁴ and 0.02, are meant for T = 1000. What goes wrong if we keep them and take T = 100?</summary>
#
# The sum of all $\beta_t$ falls to a tenth, about 1.
# So $\bar\alpha_T \approx e^{-1}$: more than a third of the signal's variance survives, and the chain does not end at $N(0, I)$.
# Sampling would start from a distribution that the chain never reaches.
# This is why the library scales both end points by $1000/T$; the widget's schedule "linear, unscaled" does not.
# </details>

# %% [markdown]
# ## 5. Why the steps must be small
#
# Now to the way back.
# Undoing a step means: given $x_t$, draw an $x_{t-1}$ that could have led to it.
# By Bayes' rule,
#
# $$q(x_{t-1} \mid x_t) = \frac{q(x_t \mid x_{t-1})\,q(x_{t-1})}{q(x_t)}. \tag{8}$$
#
# The first factor is the Gaussian (1).
# The second is the marginal, and it holds everything about the data.
# It is $q(x_{t-1}) = \int q(x_{t-1} \mid x_0)\,p(x_0)\,dx_0$, an average over all pictures that there could be, weighted by a density $p$ that nobody can write down.
# All we have of $p$ are the training pictures.
# With these in the place of $p$ the average can be computed, but then the only pictures that exist are the training pictures, and the way back ends at one of them.
# So for digits $q(x_{t-1} \mid x_t)$ is out of reach, which is why something must be learned.
# For the mixture we do know the marginal, and can look at (8) directly.
#
# First we make sure that (8) is a density: its right side, integrated over a fine grid, must give one.


# %%
def reverse_step(x_t, beta, alpha_bar_before, grid):
    """log q(x_{t−1} | x_t) of the mixture on a grid, by Bayes' rule (8)."""
    before = gmm.noised(alpha_bar_before)  # q(x_{t−1})
    after = gmm.noised(alpha_bar_before * (1 - beta))  # q(x_t)
    step = N(math.sqrt(1 - beta) * grid, math.sqrt(beta)).log_prob(torch.tensor(x_t))
    return step + before.log_prob(grid[:, None]) - after.log_prob(torch.tensor([[x_t]]))


fine = torch.linspace(-4, 4, 8001)
total = torch.trapezoid(reverse_step(0.4, 0.02, 0.95, fine).exp(), fine)
checks.identity("Bayes' rule gives a density (8)", total, torch.tensor(1.0), tol=1e-9)

# %% [markdown]
# Below is the exact $q(x_{t-1} \mid x_t)$ at $x_t = 0.4$, a point between the two peaks, where little noise has come in so far, $\bar\alpha_{t-1} = 0.95$.
# It is shown for a small, a middling and a large step, beside the Gaussian with the same mean and variance.

# %%
panels, here = [], 0.4
for beta in (0.002, 0.02, 0.3):
    p = reverse_step(here, beta, 0.95, fine).exp()
    mean = torch.trapezoid(p * fine, fine)
    std = torch.trapezoid(p * (fine - mean) ** 2, fine).sqrt()
    fit = N(mean, std).log_prob(fine).exp()
    axes = {"xlim": (float(mean - 4 * std), float(mean + 4 * std)), "xlabel": "x_{t−1}", "aspect": 1.15}
    panels.append(
        plots.lines(fine, {"exact": p, "Gaussian": fit}, title=f"β = {beta}", legend=beta == 0.3, **axes)
    )
plots.figure(
    *panels,
    alt="For beta 0.002 the exact reverse step and its Gaussian lie on top of each other. For "
    "0.02 the exact one has a second hump. For 0.3 it has two peaks far apart, and the "
    "Gaussian bridges them.",
)

# %% [markdown]
# For a small $\beta$ the two can hardly be told apart.
# For a large one, the true $x_{t-1}$ may have come from either peak, and no single Gaussian says so.
#
# To see why, take the logarithm of (8) as a function of $x = x_{t-1}$, up to a constant:
#
# $$\log q(x \mid x_t) = -\frac{(x_t - \sqrt{\alpha_t}\,x)^2}{2 \beta_t} + \ell(x) + \dots, \qquad \ell = \log q(x_{t-1}).$$
#
# The first term is a parabola, and its curvature $-\alpha_t/\beta_t$ is so strong that only points within a few $\sqrt{\beta_t}$ of $x_t$ matter.
# If $\ell$ is smooth on this scale, it is nearly its own Taylor polynomial of degree two around $x_t$ there, a parabola as well.
# The sum of two parabolas is a parabola, and a density whose logarithm is a parabola is a Gaussian.
# Its precision, the negative curvature, is the sum of both: $\alpha_t/\beta_t - \ell''$, with $\ell''$ taken at $x_t$, here and below.

# %% [markdown]
# This sketch gives two rates, and they must be kept apart.
#
# *The best Gaussian*, with the exact mean and the exact variance, misses only the cubic term of $\ell$.
# Over a distance of $\sqrt\beta$ this term amounts to $\beta^{3/2}$, and a divergence is quadratic in a small disturbance.
# So the divergence between the exact step and its best Gaussian falls like $(\beta^{3/2})^2 = \beta^3$: half the step, an eighth of the error.
#
# *A variance that is fixed in advance*, such as $\sigma^2 = \beta$, misses more.
# By the precision above, the exact variance is $\beta/(1 - \beta - \beta \ell'') = \beta\,\big(1 + \beta (1 + \ell'') + O(\beta^2)\big)$, off by the factor $1 + r$ with $r = \beta (1 + \ell'')$.
# Two Gaussians of one mean whose variances have the ratio $1 + r$ are $\tfrac12 (r - \log(1 + r)) = \tfrac14 r^2 + O(r^3)$ apart, so
#
# $$\operatorname{KL}\big(q(x_{t-1} \mid x_t)\,\|\,N(\text{exact mean}, \beta)\big) = \tfrac14\,(1 + \ell'')^2\,\beta^2 + O(\beta^3). \tag{9}$$
#
# The next section will bring a second variance that is fixed in advance, $\tilde\beta = \beta\,(1 - \bar\alpha_{t-1})/(1 - \bar\alpha_t)$.
# As $1 - \bar\alpha_t = (1 - \bar\alpha_{t-1}) + \beta\bar\alpha_{t-1}$, it differs from $\beta$ by a factor $1 - O(\beta)$ too, so at a fixed noise level its rate is also $\beta^2$.

# %% [markdown]
# We measure the three slopes, and the constant of (9), whose $\ell''$ autograd computes.


# %%
def divergences(beta, before=0.95):
    """KL(exact step ‖ Gaussian of its mean), in nats, for the variances: exact, β, β̃."""
    near = here + 12 * math.sqrt(beta) * torch.linspace(-1, 1, 8001)
    log_p = reverse_step(here, beta, before, near)
    mean = torch.trapezoid(log_p.exp() * near, near)
    exact = torch.trapezoid(log_p.exp() * (near - mean) ** 2, near)
    variances = (exact, torch.tensor(beta), torch.tensor(beta * (1 - before) / (1 - before * (1 - beta))))
    gaps = [log_p - N(mean, v.sqrt()).log_prob(near) for v in variances]
    return torch.stack([torch.trapezoid(log_p.exp() * gap, near) for gap in gaps])


betas = torch.logspace(-4.5, math.log10(0.6), 30)
apart = torch.stack([divergences(float(b)) for b in betas])
slopes = (apart[3] / apart[0]).log() / (betas[3] / betas[0]).log()
checks.identity(
    "KL falls like β³ for the exact variance, β² for β and β̃", slopes, torch.tensor([3.0, 2, 2]), tol=0.03
)

# %%
leaf = torch.tensor([[here]], requires_grad=True)
(slope,) = torch.autograd.grad(gmm.noised(0.95).log_prob(leaf).sum(), leaf, create_graph=True)
(curvature,) = torch.autograd.grad(slope.sum(), leaf)
constant = apart[0, 1] / betas[0] ** 2 / (0.25 * (1 + curvature[0, 0]) ** 2)
checks.identity("the constant of σ² = β (9)", constant, torch.tensor(1.0), tol=0.01)
for i in (0, 10, 20):
    print(f"β = {betas[i]:.1e}: σ² = β is {apart[i, 1] / apart[i, 0]:5.1f} times as far as the best Gaussian")

# %%
names = ("best Gaussian", "σ² = β", "σ² = β̃")
plots.figure(
    plots.lines(betas, {name: apart[:, i] for i, name in enumerate(names)},
                xscale="log", yscale="log", xlabel="β", ylabel="KL (nats)", aspect=2.2),
    alt="The divergence against beta, on logarithmic axes. For small beta three straight lines: that of the best "
    "Gaussian has slope three, those of the fixed variances have slope two and lie far above it."
)  # fmt: skip

# %% [markdown]
# Both rates are good news for the idea of diffusion models: many small steps, each of them nearly Gaussian, in place of one large step that could be anything.
# How do they add up over a whole walk, from $T$ to 0?
# Let the data have a smooth density, and let a walk of $T$ steps have steps of a size near $1/T$.
# Then the divergences add up to an order of $1/T^2$ with the best variance, and of $1/T$ with $\sigma^2 = \beta$.
#
# With $\tilde\beta$ the sum does *not* go to 0, because the steps next to the data never are at a fixed noise level.
# There $1 - \bar\alpha_t \approx t\beta$, so $\tilde\beta_t \approx \beta\,(t - 1)/t$, which for $t = 2$ is half of $\beta$, however small $\beta$ is.
# But the exact variance is nearly $\beta$, as before.
# These few steps alone cost about $0.29$ nats in each coordinate; section 10, in the second part, derives this number, and measures what each variance costs over a whole walk.
#
# So the model of the way back may be a Gaussian whose mean and variance come from a network,
#
# $$p_\theta(x_{t-1} \mid x_t) = N\!\left(x_{t-1};\ \mu_\theta(x_t, t),\ \Sigma_\theta(x_t, t)\right). \tag{10}$$
#
# The direction matters: $p_\theta$ goes from $t$ to $t - 1$.
# It approximates $q(x_{t-1} \mid x_t)$, which depends on the distribution of the data and is out of reach.
# And walking back does not recover the picture that a walk forward started from.
# It draws a *new* one, from all those that could have led here.

# %% [markdown]
# <details><summary><b>Question.</b> The figure was made at a point between the two peaks. Would a large step look as bad if the data were a single Gaussian?</summary>
#
# Not with the best Gaussian.
# If the data are Gaussian, then $q(x_{t-1})$ is Gaussian, its logarithm is a parabola everywhere, and (8) is exactly a Gaussian for every $\beta$.
# A Gaussian step of the right mean and variance is then perfect, however large the step.
# With a variance fixed at $\beta$, the step must be small even here: for data $N(0, v)$ the right variance is $\beta_t v_{t-1}/v_t$, where $v_t$ is the variance of $x_t$, and this is $\beta_t$ only for $v = 1$ (section 10, in the second part).
# </details>

# %% [markdown]
# ## 6. The posterior, by completing the square
#
# The reverse step depends on the data, because many different pictures may have led to the same $x_t$.
# Suppose now that $x_0$ is given as well.
# Then nothing is left to average over, and the step is exactly Gaussian, whatever the data.
# Bayes' rule again, with everything now conditioned on $x_0$:
#
# $$q(x_{t-1} \mid x_t, x_0) \propto q(x_t \mid x_{t-1})\,q(x_{t-1} \mid x_0).$$
#
# The first factor needs no $x_0$, because the chain forgets where it came from once $x_{t-1}$ is known.
# Both factors are Gaussians that we know, (1) and (5).
# Up to terms without $x_{t-1}$, minus twice the logarithm of their product is
#
# $$\frac{(x_t - \sqrt{\alpha_t}\,x_{t-1})^2}{\beta_t} + \frac{(x_{t-1} - \sqrt{\bar\alpha_{t-1}}\,x_0)^2}{1 - \bar\alpha_{t-1}}
# = \underbrace{\left(\frac{\alpha_t}{\beta_t} + \frac{1}{1 - \bar\alpha_{t-1}}\right)}_{A} x_{t-1}^2
# - 2 \underbrace{\left(\frac{\sqrt{\alpha_t}\,x_t}{\beta_t} + \frac{\sqrt{\bar\alpha_{t-1}}\,x_0}{1 - \bar\alpha_{t-1}}\right)}_{B} x_{t-1} + \dots$$
#
# Completing the square, $A x^2 - 2 B x = A (x - B/A)^2 - B^2/A$, shows a Gaussian with mean $B/A$ and variance $1/A$.

# %% [markdown]
# It remains to simplify.
# Put $A$ over a common denominator:
#
# $$A = \frac{\alpha_t (1 - \bar\alpha_{t-1}) + \beta_t}{\beta_t (1 - \bar\alpha_{t-1})} = \frac{1 - \bar\alpha_t}{\beta_t (1 - \bar\alpha_{t-1})},$$
#
# where the numerator is (4) once more, with $\bar\alpha_{t-1}$ in the place of $\alpha_{t-1}$.
# Its inverse is the variance, and $B$ times that variance is the mean:
#
# $$\tilde\beta_t = \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t}\,\beta_t, \qquad
# \tilde\mu_t = \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1 - \bar\alpha_t}\,x_0 + \frac{\sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\,x_t. \tag{11}$$
#
# First the algebra: $1/A$ and $B/A$ as they stood before they were simplified, against (11) as the library has it.

# %%
t = torch.arange(2, 1001)
alpha, beta, before = schedule.alpha[t], schedule.beta[t], schedule.alpha_bar[t - 1]
x_0, x_t = torch.randn(2, len(t), 1, generator=seeded(7))
A = alpha / beta + 1 / (1 - before)
B = alpha.sqrt() * x_t[:, 0] / beta + before.sqrt() * x_0[:, 0] / (1 - before)
mean, var = schedule.q_posterior(x_0, x_t, t)
checks.identity("posterior variance (11)", var[:, 0], 1 / A, tol=1e-12)
checks.identity("posterior mean (11)", mean[:, 0], B / A, tol=1e-10)

# %% [markdown]
# Then the meaning: multiply the two densities on a grid, normalise, and compare.
# No algebra is involved here.

# %%
x_0, x_t, t, near = (
    torch.tensor([[1.0]]),
    torch.tensor([[0.2]]),
    torch.tensor([60]),
    torch.linspace(-1, 2, 30_001),
)
likelihood = N(schedule.alpha[60].sqrt() * near, schedule.beta[60].sqrt()).log_prob(x_t[0])
prior = N(schedule.alpha_bar[59].sqrt() * x_0[0], (1 - schedule.alpha_bar[59]).sqrt()).log_prob(near)
posterior = (likelihood + prior).softmax(0) / (near[1] - near[0])
mean, var = schedule.q_posterior(x_0, x_t, t)
closed = N(mean[0], var[0].sqrt()).log_prob(near).exp()
checks.identity("posterior = Bayes on a grid (11)", posterior, closed, tol=1e-8)
curves = {
    "q(x_{t−1} | x_0)": prior.exp(),
    "q(x_t | x_{t−1})": likelihood.exp(),
    "q(x_{t−1} | x_t, x_0)": posterior,
}
axes = {"xlabel": "x_{t−1}", "ylabel": "density", "xlim": (-0.6, 1.8), "aspect": 2.2}
plots.figure(
    plots.lines(near, curves, title="t = 60, x_0 = 1, x_t = 0.2", **axes),
    alt="Three bell curves. The prior given x_0 is broad, around 0.98; the likelihood of x_t "
    "is narrow, around 0.2; the posterior lies close to the likelihood, drawn a little "
    "towards the prior.",
)

# %% [markdown]
# **The edge, t = 1.**
# There $\bar\alpha_0 = 1$: before the first step there was no noise.
# The variance $\tilde\beta_1$ is 0, the weight of $x_1$ is 0 and that of $x_0$ is 1.
# The posterior is the point $x_0$ itself, which is as it should be: conditioned on $x_0$, the question where $x_0$ was has one answer.
# Anything that divides by $\tilde\beta_t$, or takes its logarithm, must therefore treat $t = 1$ apart.

# %%
before, now, beta = schedule.alpha_bar[0], schedule.alpha_bar[1], schedule.beta[1]  # ᾱ_0 = 1
x_0, x_1 = torch.randn(2, 5, 1, generator=seeded(8))
by_hand = before.sqrt() * beta / (1 - now) * x_0 + (1 - beta).sqrt() * (1 - before) / (1 - now) * x_1
mean, var = schedule.q_posterior(x_0, x_1, torch.ones(5, dtype=torch.int64))
checks.identity("(11) at t = 1: the mean is x_0", by_hand, x_0, tol=1e-12)
checks.identity("(11) at t = 1: the variance is 0", (1 - before) / (1 - now) * beta, torch.tensor(0.0), tol=1e-15)
checks.identity("and genlib has both", torch.cat([mean, var]), torch.cat([by_hand, 0 * var]), tol=1e-12)

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
    "and close to it afterwards.",
)

# %% [markdown]
# <details><summary><b>Question.</b> In most steps the posterior's mean hardly looks at x_0. Why does a model that only guesses x_0 then end at a sharp picture?</summary>
#
# A weight of some tenths of a per cent, applied in hundreds of steps, adds up.
# And in the last steps before $t = 0$ the weight becomes large; by then $x_t$ has little noise left, so the guess is good.
# </details>

# %% [markdown]
# ## 7. Noise, data, velocity and score are one thing
#
# Equation (11) needs $x_0$, and on the way back we do not have it.
# So a network must guess it from $x_t$ and $t$.
# The network may as well guess something else, because by (5) $x_t$ is a known combination of $x_0$ and $\varepsilon$, and each of the two fixes the other:
#
# $$x_0 = \frac{x_t - \sqrt{1 - \bar\alpha_t}\,\varepsilon}{\sqrt{\bar\alpha_t}}, \qquad \varepsilon = \frac{x_t - \sqrt{\bar\alpha_t}\,x_0}{\sqrt{1 - \bar\alpha_t}}. \tag{12}$$
#
# A third choice is the velocity $v = \sqrt{\bar\alpha_t}\,\varepsilon - \sqrt{1 - \bar\alpha_t}\,x_0$ of Salimans and Ho (2022).
# Set $\sqrt{\bar\alpha_t} = \cos\phi$ and $\sqrt{1 - \bar\alpha_t} = \sin\phi$; then $(x_t, v)$ is $(x_0, \varepsilon)$ rotated by the angle $-\phi$, and rotating back gives
#
# $$x_0 = \sqrt{\bar\alpha_t}\,x_t - \sqrt{1 - \bar\alpha_t}\,v, \qquad \varepsilon = \sqrt{1 - \bar\alpha_t}\,x_t + \sqrt{\bar\alpha_t}\,v. \tag{13}$$
#
# We mix $x_t$ and $v$ by hand from known $x_0$ and $\varepsilon$, and ask the library for what went in.

# %%
t = torch.arange(1, 1001)
x_0, eps = torch.randn(2, 1000, 3, generator=seeded(9))
cos, sin = cosine.alpha_bar[t].sqrt()[:, None], (1 - cosine.alpha_bar[t]).sqrt()[:, None]
x_t, v = cos * x_0 + sin * eps, cos * eps - sin * x_0
checks.identity("x_0 from v (13)", cosine.convert(v, x_t, t, "v", "x_0"), x_0, tol=1e-9)
checks.identity("eps from v (13)", cosine.convert(v, x_t, t, "v", "eps"), eps, tol=1e-9)
checks.identity("eps from x_0 (12)", cosine.convert(x_0, x_t, t, "x_0", "eps"), eps, tol=1e-9)
checks.identity("a rotation keeps lengths", x_t**2 + v**2, x_0**2 + eps**2, tol=1e-12)

# %% [markdown]
# Why guess the noise, of all things?
# Put $x_0$ from (12) into the mean of (11), and use $\bar\alpha_t = \alpha_t \bar\alpha_{t-1}$.
# The weight of $\varepsilon$ is then $-\beta_t / \sqrt{\alpha_t (1 - \bar\alpha_t)}$, and the two parts of the weight of $x_t$ add up to
#
# $$\frac{\beta_t}{\sqrt{\alpha_t}\,(1 - \bar\alpha_t)} + \frac{\sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t} = \frac{\beta_t + \alpha_t (1 - \bar\alpha_{t-1})}{\sqrt{\alpha_t}\,(1 - \bar\alpha_t)} = \frac{1}{\sqrt{\alpha_t}}$$
#
# by (4), so that the mean of the step back is
#
# $$\tilde\mu_t = \frac{1}{\sqrt{\alpha_t}} \Big(x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\,\varepsilon\Big). \tag{13a}$$
#
# Take a little of the noise out of $x_t$, and undo the shrinking of one step: that is all.
# As $x_t$ is known, the noise in it is the one thing left to be guessed, and for most $t$ it enters with a small factor, so that most of the answer is $x_t$ itself.

# %%
t = torch.arange(2, 1001)
x_0, eps = torch.randn(2, 999, 1, generator=seeded(9))
x_t = schedule.alpha_bar[t].sqrt()[:, None] * x_0 + (1 - schedule.alpha_bar[t]).sqrt()[:, None] * eps
alpha, noise_2 = schedule.alpha[t][:, None], (1 - schedule.alpha_bar[t])[:, None]
less_noise = (x_t - (1 - alpha) / noise_2.sqrt() * eps) / alpha.sqrt()
checks.identity(
    "the posterior's mean, by the noise (13a)", schedule.q_posterior(x_0, x_t, t)[0], less_noise, tol=1e-9
)

# %% [markdown]
# The fourth is the *score*, the gradient of a log-density: the direction in which $x_t$ becomes more likely.
# For the Gaussian (5) it is
#
# $$\nabla_{x_t} \log q(x_t \mid x_0) = -\frac{x_t - \sqrt{\bar\alpha_t}\,x_0}{1 - \bar\alpha_t} = -\frac{\varepsilon}{\sqrt{1 - \bar\alpha_t}}. \tag{14}$$
#
# So the noise points down the density.
# We ask autograd for the gradient.

# %%
t = torch.arange(1, 1001)
x_0, eps = torch.randn(2, 1000, 3, generator=seeded(9))
bar = cosine.alpha_bar[t][:, None]
leaf = cosine.q_sample(x_0, t, eps).requires_grad_()
(gradient,) = torch.autograd.grad(N(bar.sqrt() * x_0, (1 - bar).sqrt()).log_prob(leaf).sum(), leaf)
score = cosine.convert(eps, leaf.detach(), t, "eps", "score")
scale = (1 - bar).sqrt()  # the score itself is large for small t, so we compare −ε with −ε
checks.identity("score of q(x_t | x_0) (14)", scale * score, scale * gradient, tol=1e-9)

# %% [markdown]
# What does a network find that is trained to guess $\varepsilon$?
# Many pairs $(x_0, \varepsilon)$ lead to the same $x_t$, so no guess is always right.
# Under squared error the best guess is the mean, $E[\varepsilon \mid x_t]$ ([Learned losses](01_learned_losses.ipynb), (1)).
# And that mean is again a score, now of the *marginal*:
#
# $$E[\varepsilon \mid x_t] = -\sqrt{1 - \bar\alpha_t}\;\nabla_{x_t} \log q(x_t). \tag{15}$$
#
# To see it, differentiate $q(x_t) = \int q(x_t \mid x_0)\,p(x_0)\,dx_0$ under the integral, insert (14), and divide by $q(x_t)$:
#
# $$\nabla \log q(x_t) = \int \nabla \log q(x_t \mid x_0)\,\frac{q(x_t \mid x_0)\,p(x_0)}{q(x_t)}\,dx_0 = -\int \frac{\varepsilon}{\sqrt{1 - \bar\alpha_t}}\,q(x_0 \mid x_t)\,dx_0 .$$
#
# The fraction is $q(x_0 \mid x_t)$ by Bayes' rule, so the right side is $-E[\varepsilon \mid x_t]/\sqrt{1 - \bar\alpha_t}$.
# Training a network to guess noise is therefore a way to learn scores, *denoising score matching* (Vincent 2011).
# The differential equations that a score defines (Song et al. 2021) have a lecture of their own, [Continuous time](05_continuous_time.ipynb).
#
# For the mixture we compute the mean of the noise over a grid of $x_0$, and the score by autograd.

# %%
bar, step = float(cosine.alpha_bar[300]), torch.full((7,), 300)
x_t = torch.linspace(-2, 2, 7)[:, None]
many = torch.linspace(-1.5, 1.5, 30_001)  # the grid of x_0
eps = (x_t - math.sqrt(bar) * many) / math.sqrt(1 - bar)
posterior = (gmm.log_prob(many[:, None]) - eps**2 / 2).softmax(dim=1)  # q(x_0 | x_t), on the grid
mean_eps = (posterior * eps).sum(1, keepdim=True)
leaf = x_t.clone().requires_grad_()
(score,) = torch.autograd.grad(gmm.noised(bar).log_prob(leaf).sum(), leaf)
checks.identity("E[eps | x_t] is the score (15)", mean_eps, -math.sqrt(1 - bar) * score, tol=1e-9)
checks.identity("E[eps | x_t], as genlib has it", gmm.optimal_eps(x_t, step, cosine), mean_eps, tol=1e-9)

# %% [markdown]
# So a network that removes noise *is* an estimate of the score, for every noise level at once.
# Here it is, for the mixture: the best guess of the noise, and of the data.

# %%
x_t = torch.linspace(-3, 3, 601)[:, None]
guess_eps, guess_x_0 = {}, {}
for t in (50, 300, 700):
    step = torch.full((601,), t)
    eps = gmm.optimal_eps(x_t, step, cosine)
    guess_eps[f"t = {t}"], guess_x_0[f"t = {t}"] = eps, cosine.convert(eps, x_t, step, "eps", "x_0")
plots.figure(
    plots.lines(x_t, guess_eps, xlabel="x_t", title="E[ε | x_t]"),
    plots.lines(x_t, guess_x_0, xlabel="x_t", title="E[x_0 | x_t]", ylim=(-1.5, 1.5)),
    alt="Left: the best guess of the noise against x_t. Right: the best guess of the data. At t = 700 it rises "
    "slowly, and is still below 0.4 at x_t = 3; at t = 300 it is a soft step from -0.5 to 1; at t = 50 it "
    "consists of two slanted lines, with a jump between them.",
)

# %% [markdown]
# If all four are one thing, does it matter which one a network predicts?
# For the best possible network it does not.
# For a network that errs it does, because an error in one is scaled on its way to the other.
# By (12), an error of $\delta$ in $\varepsilon$ becomes $\delta\sqrt{1 - \bar\alpha_t}/\sqrt{\bar\alpha_t} = \delta/\sqrt{\operatorname{SNR}(t)}$ in $x_0$, which is enormous near $t = T$.
# An error of $\delta$ in $v$ becomes at most $\delta$, in $x_0$ and in $\varepsilon$, at every step, because the factors in (13) are at most 1.

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

# %% [markdown]
# ## The road back, for the mixture
#
# For the mixture the best guess of the noise is known, so nothing has to be learned, and we can try the whole road back.
# May the best guess stand in (13a) for the noise itself?
# It may: (13a) is linear in $\varepsilon$, so averaging it over all the noises that could be in $x_t$ puts $E[\varepsilon \mid x_t]$ in the place of $\varepsilon$.
# The average of the posteriors' means is the mean of the step back that does not know $x_0$, $E[x_{t-1} \mid x_t]$.
# So we start at $x_T \sim N(0, I)$, fix the variance at $\beta_t$ as in (9), and draw for $t = T, \dots, 1$
#
# $$x_{t-1} = \frac{1}{\sqrt{\alpha_t}} \Big(x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\,E[\varepsilon \mid x_t]\Big) + \sqrt{\beta_t}\,z_t, \qquad z_t \sim N(0, I). \tag{15a}$$
#
# In the last step, to $t = 0$, we leave the noise out and keep the mean.


# %%
def walk_back(density, n=5000):
    """(1001, n, 1): x_t of n walkers for t = 0..1000, with the best guess of the noise for data of this density."""
    g = seeded(10)
    x = [torch.randn(n, 1, generator=g)]
    for t in range(schedule.T, 0, -1):
        beta, noise_std = schedule.beta[t], (1 - schedule.alpha_bar[t]).sqrt()
        guess = density.optimal_eps(x[-1], torch.full((n,), t), schedule)
        mean = (x[-1] - beta / noise_std * guess) / schedule.alpha[t].sqrt()  # (13a)
        x.append(mean + (t > 1) * beta.sqrt() * torch.randn(n, 1, generator=g))
    return torch.stack(x[::-1])


back = walk_back(gmm)

# %%
steps = torch.arange(1000, -1, -4)
left, right = (back[steps][:, side.flatten()] for side in (back[0] < 0.25, back[0] > 0.25))
walkers = {f"walker {i + 1}": walk for i, walk in enumerate([*left[:, :5].unbind(1), *right[:, :1].unbind(1)])}
plots.figure(
    plots.lines(steps, walkers, legend=False, xlabel="step t", ylabel="x_t", xlim=(1000, 0), title="six walks back"),
    plots.histogram({"5000 ends": back[0]}, x=axis, density={"the mixture": gmm.log_prob(axis).exp()},
                    span=(-1.5, 1.5), title="t = 0"),
    alt="Left: six paths that start anywhere between -2 and 2 at t = 1000; five of them end near -0.5, one near 1. "
    "Right: the histogram of 5000 ends under the density of the mixture; it has both peaks."
)  # fmt: skip

# %% [markdown]
# The sixth walker was picked because it ends on the right, as one in ten does.
# The walkers knew nothing of the two peaks but a guess of the noise, and they end in both.
# Do they end there in the right proportions, and with the right spread?
# We compare the distribution function of the ends with that of the mixture.
# If 5000 points are drawn from the mixture itself, the largest distance of the two functions stays below $1.36/\sqrt{5000}$ in 95 of 100 cases (Kolmogorov and Smirnov), and we ask the walkers for no less.
# To see that this can fail, we also take walkers whose guess is the noise of a single Gaussian with the mixture's mean and variance.


# %%
def ks_distance(samples):
    """The largest distance between the samples' distribution function and the mixture's."""
    below = (samples.sort(0).values - gmm.means.mT) / gmm.covs[:, 0, 0].sqrt()
    exact = (N(0.0, 1.0).cdf(below) * gmm.weights).sum(1)
    counted = torch.arange(5001) / 5000
    return torch.maximum((exact - counted[:-1]).abs(), (exact - counted[1:]).abs()).max()


centre = (gmm.weights[:, None] * gmm.means).sum(0)
spread = (gmm.weights[:, None] * (gmm.covs[:, 0] + gmm.means**2)).sum(0) - centre**2
bell = data.GaussianMixture(centre[None], spread[None, None], [1.0])
checks.at_most("walks by (15a) end in the mixture", ks_distance(back[0]), 1.36 / math.sqrt(5000))
print(
    f"largest distance {ks_distance(back[0]):.3f}; with the noise of one Gaussian {ks_distance(walk_back(bell)[0]):.3f}"
)

# %% [markdown]
# ## What the notes said, and what holds
#
# The course corrects the lecture notes where they slipped.
#
# - Adding small noise again and again was said to lead to an isotropic Gaussian. To reach a fixed $N(0, I)$ the signal must be shrunk by $\sqrt{1 - \beta_t}$ as well, and $\bar\alpha_T$ must go to 0; a chain that only adds noise ends near $N(0, s_T^2 I)$, which depends on $T$, and differs from the other by a rescaling (section 2; row [14](08_the_notes_corrected.ipynb#Row-14)). At finite $T$ the end is close to $N(0, I)$, not equal to it: $\bar\alpha_{1000} = 4.04 \cdot 10^{-5}$ for the linear schedule.
# - The notes call the transition $q(x_t \mid x_{t-1})$ "the noise at each state", and speak of "$\beta$" without its index, although the density beside it has $\beta_t$. The density is the whole transition, and its variance changes with $t$ (row [29](08_the_notes_corrected.ipynb#Row-29)).
# - "All $q$ in terms of $x_0$" was followed by the joint of the chain. In terms of $x_0$ stands the marginal (5) (section 3; row [16](08_the_notes_corrected.ipynb#Row-16)).
# - $\bar\alpha$ was a product up to $T$. It is one up to $t$ (section 3; row [17](08_the_notes_corrected.ipynb#Row-17)).
# - One letter stood for the noise of a step, as $z_{t-1}$ in one line, and for the merged noise, as $z$ in the next. They are different variables; that variances add is why one is enough (section 3; row [18](08_the_notes_corrected.ipynb#Row-18)).
# - The way back was once written $p_\theta(x_t \mid x_{t-1})$; a few lines later the notes have it right, $p_\theta(x_{t-1} \mid x_t)$. It approximates $q(x_{t-1} \mid x_t)$, which no one can compute for real data (section 5; rows [15](08_the_notes_corrected.ipynb#Row-15) and [30](08_the_notes_corrected.ipynb#Row-30)).

# %%
checks.identity(
    "ᾱ_1000, linear", diffusion.Schedule.linear(T=1000).alpha_bar[1000], torch.tensor(4.0358e-5), tol=1e-9
)

# %% [markdown]
# ## Where to read on
#
# - Sohl-Dickstein et al. 2015, *Deep Unsupervised Learning using Nonequilibrium Thermodynamics*: the chain and its reversal.
# - Ho, Jain and Abbeel 2020, *Denoising Diffusion Probabilistic Models*: the chain of images, and the posterior.
# - Nichol and Dhariwal 2021, *Improved Denoising Diffusion Probabilistic Models*: the cosine schedule.
# - Song and Ermon 2019, *Generative Modeling by Estimating Gradients of the Data Distribution*: noise that is only added.
# - Salimans and Ho 2022, *Progressive Distillation for Fast Sampling of Diffusion Models*: the velocity.
#
# We have a chain from data to noise, and know that its steps back are nearly Gaussian.
# A network is to supply their means: what should it minimise, and how do we draw what it has learned?
# The second part asks that: [Diffusion models: learning and sampling](04b_learning_and_sampling.ipynb).
