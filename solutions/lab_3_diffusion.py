# %% [markdown] slideshow={"slide_type": "slide"}
# # Lab 3 · Diffusion models
#
# **You will do.**
# Write the forward half of a diffusion model: the table ᾱ, the jump from a picture to its noised version, and one exact step back.
# Try each on real handwritten digits.
#
# **You will learn.**
# Why a thousand noisy steps cost no more than one; what a noise schedule decides; and what a network will have to guess when you train one.
#
# **You need.**
# The first half of lecture 4, tensors in PyTorch, and the Gaussian.
#
# **It takes** about 45 minutes, nearly all of it yours: no cell computes for more than a few seconds.

# %%
import torch

from genlib import checks, data, diffusion, plots

generator = torch.Generator().manual_seed(0)

# %% [markdown]
# ## How it works
#
# In each exercise you *predict*, *implement*, *look* and *explain*.
# Write your answer in place of `raise NotImplementedError` and run the cell: it answers at once.
# If it says *wrong*, it shows the numbers that it tried and where to look.
# If you leave an exercise out, genlib's own version stands in, and the rest of the notebook works.
#
# ## The letters
#
# | math | name | what | shape |
# |---|---|---|---|
# | x_0, x_t | `x_0`, `x_t` | the data; the data after t steps of noise | (B, ...) |
# | ε | `eps` | standard normal noise | like x_0 |
# | t | `t` | a step for each example, 1 to T | (B,), int64 |
# | β_t | `beta` | the variance of the noise in step t | (T,) in exercise 1, then (T + 1,) |
# | ᾱ_t | `alpha_bar` | how much of the data's variance t steps leave | (T + 1,) |
#
# A table of length T + 1 is read with the step itself: `alpha_bar[t]` is ᾱ_t, and entry 0 is the data before any noise.
#
# One step of the chain shrinks the data and adds noise:
#
# $$q(x_t \mid x_{t-1}) = \mathcal N\big(\sqrt{1-\beta_t}\,x_{t-1},\ \beta_t I\big)$$

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1 · How much is left?
#
# Write α_t = 1 − β_t.
# After t steps, the data has been multiplied by √α_1 √α_2 … √α_t.
# The square of that number is the most useful table of the whole subject:
#
# $$\bar\alpha_t = \prod_{i=1}^{t} \alpha_i$$
#
# **Predict.**
# The linear schedule lets β grow from 0.0001 to 0.02 in 1000 steps.
# Each step leaves at least 98 % of the variance.
# How much is left after all of them: about a half, about 2 %, or less than a hundredth of a percent?


# %%
@checks.exercise("diffusion.alpha_bar")
def alpha_bar(beta):
    """The table ᾱ_0, ..., ᾱ_T. Shapes: beta, which is β_1, ..., β_T, (T,); the result (T + 1,), in beta's dtype."""
    ### BEGIN SOLUTION
    return torch.cat([beta.new_ones(1), (1 - beta).cumprod(0)])
    ### END SOLUTION


# %% [markdown]
# **Look.**
# Here is your table for two schedules.
# The right panel shows the *log-SNR*, log ᾱ_t/(1 − ᾱ_t): at 0, signal and noise are equally strong.

# %%
linear = alpha_bar(diffusion.Schedule.linear(T=1000).beta[1:])
cosine = alpha_bar(diffusion.Schedule.cosine(T=1000).beta[1:])
steps = torch.arange(1001)
tables = {"linear": linear, "cosine": cosine}
log_snr = {name: torch.log(a[1:] / (1 - a[1:])) for name, a in tables.items()}
plots.figure(
    plots.lines(steps, tables, xlabel="step t", title="ᾱ: signal left"),
    plots.lines(steps[1:], log_snr, xlabel="step t", title="log-SNR, nats", ylim=(-15, 12)),
    alt="Left: alpha bar falls from 1 to 0 over 1000 steps, for the linear schedule mostly before step 500, for the "
    "cosine schedule evenly. Right: the logarithm of the signal-to-noise ratio falls, and crosses 0 earlier for the "
    "linear schedule.",
)

# %% [markdown]
# **Explain.**
# Where does the linear schedule spend its last 300 steps?
# Why might a network be bored there?
#
# <details>
# <summary>Answer</summary>
#
# At t = 700 the linear schedule has ᾱ ≈ 0.007: what remains of a picture is far below the noise.
# The last 300 steps show almost pure noise, and there is little to learn from one step to the next.
# The cosine schedule spreads the loss of signal evenly.
#
# And the prediction: ᾱ_1000 ≈ 0.00004, less than a hundredth of a percent.
# The logs add up: Σ log(1 − β_t) ≈ −Σ β_t ≈ −10, and e⁻¹⁰ is small.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2 · A thousand steps in one
#
# Nobody walks the chain to reach x_t.
# A sum of independent Gaussians is a Gaussian, and the variances add; so t steps merge into one:
#
# $$q(x_t \mid x_0) = \mathcal N\big(\sqrt{\bar\alpha_t}\,x_0,\ (1-\bar\alpha_t) I\big)$$
#
# **Predict.**
# If the pixels of x_0 have variance 1, what is the variance of x_t?
# And how does it change with t?
#
# Now draw x_t, with noise `eps` that somebody else has drawn.
# Each example has a step of its own, and examples may have any shape: points are (B, 2), pictures (B, C, H, W).


# %%
@checks.exercise("diffusion.q_sample")
def q_sample(x_0, t, eps, alpha_bar):
    """x_t given x_0. Shapes: x_0, eps, and the result (B, ...); t (B,) int64 in 1..T; alpha_bar (T + 1,)."""
    ### BEGIN SOLUTION
    a = alpha_bar[t].view(-1, *[1] * (x_0.dim() - 1))
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps
    ### END SOLUTION


# %% [markdown]
# **Look.**
# First, is one jump really eight steps?
# We take data that is either −0.8 or 0.8, and go both ways to step 8 of 50.

# %%
beta = diffusion.Schedule.linear(T=50).beta
table = alpha_bar(beta[1:])
x_0 = 0.8 * torch.randn(20_000, 1, generator=generator, dtype=torch.float64).sign()
x = x_0
for t in range(1, 9):
    z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    x = (1 - beta[t]).sqrt() * x + beta[t].sqrt() * z
eps = torch.randn(x.shape, generator=generator, dtype=x.dtype)
jump = q_sample(x_0, torch.full((20_000,), 8), eps, table)
plots.figure(
    plots.histogram({"8 steps": x, "one jump": jump}, span=(-3, 3), xlabel="$x_8$"),
    alt="Two histograms with two humps each, one from 8 steps of the chain and one from a single jump: they agree.",
)

# %% [markdown]
# Then pictures.
# The same digit under the same noise, at steps that the two schedules share.

# %%
images, label = data.digits("train")
digit = images[label == 0][:1]
t = torch.tensor([1, 100, 200, 300, 400, 500, 600, 800, 1000])
x_0 = digit.expand(len(t), -1, -1, -1)
eps = torch.randn(digit.shape, generator=generator).expand_as(x_0)
plots.image_rows(
    linear=q_sample(x_0, t, eps, linear.float()),
    cosine=q_sample(x_0, t, eps, cosine.float()),
    columns=[f"t = {int(s)}" for s in t],
    alt="A handwritten 0 drowns in noise from left to right: under the linear schedule it is gone by step 400, under "
    "the cosine schedule it fades more slowly.",
)

# %% [markdown]
# **Explain.**
# The two factors are √ᾱ_t and √(1 − ᾱ_t).
# What would go wrong if the step only added noise, and never shrank x?
#
# <details>
# <summary>Answer</summary>
#
# The squares of the two factors add up to 1.
# Data of variance 1 keeps variance 1 at every t, so a network sees inputs of one size, and the chain ends in N(0, I) whatever the data was.
# Without the shrinking, the variance grows with every step and never settles: there is no fixed distribution to start from on the way back.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3 · One step back, if you know where you came from
#
# To undo a step we need q(x_{t−1} | x_t).
# It depends on all the data in the world, and nobody can compute it.
# But if x_0 is known, Bayes' rule multiplies two Gaussians, and the product is one again:
#
# $$q(x_{t-1}\mid x_t, x_0) \propto q(x_t\mid x_{t-1})\; q(x_{t-1}\mid x_0)
#   = \mathcal N\big(\tilde\mu_t,\ \tilde\beta_t I\big)$$
#
# Completing the square (lecture 4 does it line by line) gives
#
# $$\tilde\mu_t = \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1-\bar\alpha_t}\,x_0
#   + \frac{\sqrt{\alpha_t}\,(1-\bar\alpha_{t-1})}{1-\bar\alpha_t}\,x_t,
#   \qquad \tilde\beta_t = \frac{1-\bar\alpha_{t-1}}{1-\bar\alpha_t}\,\beta_t$$
#
# **Predict.**
# What do the two become at t = 1?
# Is β̃_t larger or smaller than β_t?
#
# Both tables have length T + 1 here: `beta[t]` is β_t, and `beta[0]` is 0.
# Later, a network's guess will take the place of x_0, and the network learns through this mean; so gradients must pass.


# %%
@checks.exercise("diffusion.posterior")
def posterior(x_0, x_t, t, beta, alpha_bar):
    """mean, var of q(x_{t−1} | x_t, x_0). Shapes: x_0, x_t, mean (B, ...); var the same or (B, 1, ..., 1);
    t (B,) int64 in 1..T; beta, alpha_bar (T + 1,)."""
    ### BEGIN SOLUTION
    now, before, b = (
        table.view(-1, *[1] * (x_0.dim() - 1)) for table in (alpha_bar[t], alpha_bar[t - 1], beta[t])
    )
    mean = before.sqrt() * b / (1 - now) * x_0 + (1 - b).sqrt() * (1 - before) / (1 - now) * x_t
    return mean, (1 - before) / (1 - now) * b
    ### END SOLUTION


# %% [markdown]
# **Look.**
# One number: x_0 = 0.8, and x_t = −0.4 was found at step 5, or at step 25, of 50.
# The posterior is the product of what x_0 says about x_{t−1} and of what x_t says.


# %%
def three_densities(step, x_0=0.8, x_t=-0.4):
    x = torch.linspace(-2, 2, 401, dtype=torch.float64)
    t, value = torch.tensor([step]), torch.tensor([[1.0]], dtype=torch.float64)
    mean, var = posterior(x_0 * value, x_t * value, t, beta, table)
    curves = {
        "given x_0": (table[step - 1].sqrt() * x_0, 1 - table[step - 1]),
        "given x_t": (x_t / (1 - beta[step]).sqrt(), beta[step] / (1 - beta[step])),
        "given both": (mean.flatten(), var.flatten()),
    }
    densities = {name: torch.exp(-((x - m) ** 2) / (2 * v)) / v.sqrt() for name, (m, v) in curves.items()}
    return plots.lines(x, densities, xlabel="$x_{t-1}$", yticks=[], title=f"t = {step}")


# %%
plots.figure(
    three_densities(5),
    three_densities(25),
    alt="Densities of x_{t-1}. At step 5 what x_0 says and what x_t says are about equally sharp, and the posterior "
    "lies between them. At step 25 x_0 says little, and the posterior is close to what x_t says.",
)

# %% [markdown]
# **Look again.**
# Walk all the way back: start from pure noise, and take the exact step T times, with x_0 known.

# %%
s = diffusion.Schedule.cosine(T=200)
x_0 = data.digits("test").x[:8].double()
x, shown = torch.randn(x_0.shape, generator=generator, dtype=x_0.dtype), {}
for t in range(s.T, 0, -1):
    mean, var = posterior(x_0, x, torch.full((8,), t), s.beta, s.alpha_bar)
    x = mean + var.sqrt() * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    if t in (151, 101, 51, 21, 1):
        shown[f"t = {t - 1}"] = x
plots.image_rows(
    **shown,
    alt="Eight pictures at five times of a walk back from noise: at step 150 pure noise, at step 50 digits under "
    "noise, at step 0 eight clean digits.",
)

# %%
checks.identity("the walk back ends at x_0", x, x_0, tol=1e-10)

# %% [markdown]
# **Explain.**
# Where did the pictures come from?
# Why is this no generative model yet, and what would make it one?
#
# <details>
# <summary>Answer</summary>
#
# From us: x_0 went into every step, and at t = 1 the posterior is x_0 itself, with variance 0.
# Nothing new can come out.
# A generative model has to take the same steps *without* x_0.
# It puts a guess in its place, made by a network from x_t and t alone; and since x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε, guessing x_0 and guessing ε are the same task.
# That network is what the second half of the lecture trains.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Where you stand

# %%
checks.summary()
