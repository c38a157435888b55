# %% [markdown]
# # Lab 3 · Diffusion models
#
# **You will do.**
# Build a diffusion model from twelve small functions: the chain that adds noise, the loss, the walk back in many steps or in ten, the step that trains it, and guidance.
# Then train it on real handwritten digits, measure what it draws, break it on purpose, and see which numbers notice.
#
# **You will learn.**
# Why a thousand noisy steps cost no more than one to sample; what a network is asked to guess; why the last step is special; and why no single number says whether a generator is good.
#
# **You need.**
# Lectures 04 and 04b, tensors in PyTorch, and the Gaussian.
#
# **It takes** about two and a half hours, nearly all of it yours: three trainings take about 5, 35 and 25 seconds on a quiet machine, and two or three times as long on a busy one.

# %% jupyter={"source_hidden": true} tags=["remove-cell"]
# Where the course is missing, as on Colab, this installs it: the copy that the notebook lies in, or else this version.
from importlib.util import find_spec
from pathlib import Path

if not find_spec("gencourse"):
    course = "..[notebooks]" if Path("../gencourse").is_dir() else "genlib-course[notebooks]==0.1.0"
    get_ipython().run_line_magic("pip", f"install --quiet {course}")

# %%
import itertools
import json
import math

import torch
from gencourse import checks, plots, widgets
from gencourse.runs import run_file

from genlib import data, diffusion, metrics, train


def seeded(seed):
    """A fresh generator, so that a cell that is run again draws the same numbers."""
    return torch.Generator().manual_seed(seed)


# %% [markdown]
# ## How it works
#
# In each exercise you *predict*, *implement*, *look* and *explain*.
# Most predictions have a place to write them down; what came out is shown beside them later.
# Write your answer in place of `raise NotImplementedError` and run the cell: it answers at once.
# If it says *wrong*, it shows the numbers that it tried, and a hint.
# If the same exercise is wrong again, a second, more concrete hint follows, and after the third time the worked answer, folded.
# You can ask for both at any time: `checks.hint("diffusion.q_sample")` and `checks.solution("diffusion.q_sample")`.
#
# A wrong answer stays in use, and the cells below compute with it.
# If you leave an exercise out, genlib's own version stands in, and the rest of the notebook works; to go on without an answer of yours, put `raise NotImplementedError` back and run the cell.
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
# | z | `z` | new noise, for a step back | like x_0 |
# | ε̂ | `eps_hat` | a guess of the noise, made from x_t and t | like x_0 |
#
# A table of length T + 1 is read with the step itself: `alpha_bar[t]` is ᾱ_t, and entry 0 is the data before any noise.
#
# One step of the chain shrinks the data and adds noise:
#
# $$q(x_t \mid x_{t-1}) = N\big(\sqrt{1-\beta_t}\,x_{t-1},\ \beta_t I\big)$$

# %% [markdown]
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
# Draw how it gets there.

# %%
signal_left = widgets.Prediction.curve(
    "How much of the data's variance is left after t steps of the linear schedule?",
    x=(0, 1000, "step t"),
    y=(0, 1, "ᾱ"),
)
signal_left


# %%
@checks.exercise("diffusion.alpha_bar")
def alpha_bar(beta):
    """The table ᾱ_0, ..., ᾱ_T, in beta's dtype.

    Shapes: beta, which is β_1, ..., β_T, (T,); the result (T + 1,)."""
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

# %%
signal_left.compare(linear[signal_left.places.round().long()])

# %% [markdown]
# **Explain.**
# Where does the linear schedule spend its last 300 steps?
# Why might a network learn little there?
#
# <details>
# <summary>Answer</summary>
#
# At t = 700 the linear schedule has ᾱ ≈ 0.007, so what remains of a picture is far below the noise.
# The last 300 steps show almost pure noise, and there is little to learn from one of them to the next.
# The cosine schedule spreads the loss of signal more evenly: its ᾱ_t is never further than 0.11 from the straight line 1 − t/T.
#
# And the prediction: ᾱ_1000 ≈ 0.00004, less than a hundredth of a percent.
# The logs add up: Σ log(1 − β_t) ≈ −Σ β_t ≈ −10, and e⁻¹⁰ is small.
# </details>

# %% [markdown]
# ## 2 · A thousand steps in one
#
# To reach x_t nobody has to walk the chain.
# A sum of independent Gaussians is a Gaussian, and their variances add, so t steps merge into one:
#
# $$q(x_t \mid x_0) = N\big(\sqrt{\bar\alpha_t}\,x_0,\ (1-\bar\alpha_t) I\big)$$
#
# **Predict.**
# If the pixels of x_0 have variance 1, what is the variance of x_t?
# And how does it change with t?
#
# Now make x_t from noise `eps` that is given to you.
# Each example has its own step, and examples may have any shape: points are (B, 2), pictures (B, C, H, W).

# %%
variance_of_x_t = widgets.Prediction.choice(
    "If the pixels of x_0 have variance 1, what is the variance of x_t?",
    ["less with every t, as the signal fades", "1 at every t", "more with every t, as noise is added"],
)
variance_of_x_t


# %%
@checks.exercise("diffusion.q_sample")
def q_sample(x_0, t, eps, alpha_bar):
    """x_t given x_0.

    Shapes: x_0, eps, and the result (B, ...); t (B,) int64 in 1..T;
    alpha_bar (T + 1,)."""
    ### BEGIN SOLUTION
    a = alpha_bar[t].view(-1, *[1] * (x_0.dim() - 1))
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps
    ### END SOLUTION


# %% [markdown]
# **Look.**
# First, is one jump really eight steps?
# We take data that is either −0.8 or 0.8, and go both ways to step 8 of 50.

# %%
beta_50 = diffusion.Schedule.linear(T=50).beta
table_50 = alpha_bar(beta_50[1:])
g = seeded(1)
x_0 = 0.8 * torch.randn(20_000, 1, generator=g, dtype=torch.float64).sign()
x = x_0
for t in range(1, 9):
    z = torch.randn(x.shape, generator=g, dtype=x.dtype)
    x = (1 - beta_50[t]).sqrt() * x + beta_50[t].sqrt() * z
eps = torch.randn(x.shape, generator=g, dtype=x.dtype)
jump = q_sample(x_0, torch.full((20_000,), 8), eps, table_50)
plots.figure(
    plots.histogram({"8 steps": x, "one jump": jump}, span=(-3, 3), xlabel="$x_8$"),
    alt="Two histograms with two humps each, one from 8 steps of the chain and one from a single jump: they agree.",
)

# %% [markdown]
# Next, data of variance 1, at steps 1, 25 and 50.

# %%
unit, more = (torch.randn(3, 20_000, generator=seeded(i), dtype=torch.float64) for i in (15, 16))
spread = q_sample(unit, torch.tensor([1, 25, 50]), more, table_50).var(1)
print("variances:", ", ".join(f"{v:.2f}" for v in spread))
falls, same, grows = variance_of_x_t.spec["options"]
variance_of_x_t.compare(falls if spread[-1] < 0.9 else grows if spread[-1] > 1.1 else same)

# %% [markdown]
# Then pictures.
# The same digit under the same noise, at the same nine steps under both schedules.

# %%
dataset = data.digits  # the data set of this lab
images, digit_class = dataset("train")
digit = images[digit_class == 0][:1]
t = torch.tensor([1, 100, 200, 300, 400, 500, 600, 800, 1000])
x_0 = digit.expand(len(t), -1, -1, -1)
one_eps = torch.randn(digit.shape, generator=seeded(2))
eps = one_eps.expand_as(x_0)
plots.image_rows(
    linear=q_sample(x_0, t, eps, linear.float()),
    cosine=q_sample(x_0, t, eps, cosine.float()),
    columns=[f"t = {int(s)}" for s in t],
    alt="A handwritten 0 drowns in noise from left to right: under the linear schedule it is gone by step 400, under "
    "the cosine schedule it fades more slowly.",
)

# %% [markdown]
# **Look at the two ends.**
# At t = 1 next to nothing has happened, and at t = T next to nothing is left.
# A pixel lies between −1 and 1.

# %%
both_ends = torch.tensor([1, 1000])
ends = q_sample(digit.expand(2, -1, -1, -1), both_ends, one_eps.expand(2, -1, -1, -1), linear.float())
checks.at_most("after the first step no pixel has moved by more than 0.1", (ends[0] - digit[0]).abs().max(), 0.1)
checks.at_most(
    "after the last step no pixel is further than 0.01 from eps", (ends[1] - one_eps[0]).abs().max(), 0.01
)

# %% [markdown]
# **Explain.**
# The two factors are √ᾱ_t and √(1 − ᾱ_t).
# What would be different if the step only added noise, and never shrank x?
#
# <details>
# <summary>Answer</summary>
#
# The squares of the two factors add up to 1.
# Data of variance 1 keeps variance 1 at every t, so a network sees inputs of one size, and the chain ends near N(0, I) whatever the data was.
# Without the shrinking, the variance grows with every step: the chain ends near N(0, s² I), where s² is the sum of all variances of noise, and so depends on how many steps there were.
# For a fixed T we could start there, and models of this kind exist (Song and Ermon 2019); the network's input can be rescaled instead (Karras et al. 2022).
# The two chains differ by a rescaling only, as lecture 04 shows in section 2.
# </details>

# %% [markdown]
# ## 3 · One step back, if you know where you came from
#
# To undo a step we need q(x_{t−1} | x_t).
# It depends on the distribution of the data, which nobody knows.
# But if x_0 is given, Bayes' rule multiplies two Gaussians, and their product is, up to a factor, a Gaussian again:
#
# $$q(x_{t-1}\mid x_t, x_0) = N\big(x_{t-1};\ \tilde\mu_t,\ \tilde\beta_t I\big) \propto q(x_t\mid x_{t-1})\; q(x_{t-1}\mid x_0)$$
#
# Completing the square (lecture 04 does it line by line) gives
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
variance_back = widgets.Prediction.choice(
    "How large is β̃_t for t > 1?", ["smaller than β_t", "equal to β_t", "larger than β_t"]
)
variance_back


# %%
@checks.exercise("diffusion.posterior")
def posterior(x_0, x_t, t, beta, alpha_bar):
    """mean, var of q(x_{t−1} | x_t, x_0). Gradients reach x_0.

    Shapes: x_0, x_t, mean (B, ...); var the same or (B, 1, ..., 1);
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
# The posterior is the normalised product of what x_0 says about x_{t−1} and of what x_t says.


# %%
def three_densities(step, x_0=0.8, x_t=-0.4):
    x = torch.linspace(-2, 2, 401, dtype=torch.float64)
    t, value = torch.tensor([step]), torch.tensor([[1.0]], dtype=torch.float64)
    mean, var = posterior(x_0 * value, x_t * value, t, beta_50, table_50)
    curves = {
        "given x_0": (table_50[step - 1].sqrt() * x_0, 1 - table_50[step - 1]),
        "given x_t": (x_t / (1 - beta_50[step]).sqrt(), beta_50[step] / (1 - beta_50[step])),
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
# Walk all the way back: start from pure noise, and take the exact step T times, with x_0 given.

# %%
T = 200
s = diffusion.Schedule.cosine(T)
known, g = dataset("test").x[:8].double(), seeded(3)
x, shown = torch.randn(known.shape, generator=g, dtype=known.dtype), {}
for t in range(T, 0, -1):
    mean, var = posterior(known, x, torch.full((8,), t), s.beta, s.alpha_bar)
    x = mean + var.sqrt() * torch.randn(x.shape, generator=g, dtype=x.dtype)
    if t in (151, 101, 51, 21, 1):
        shown[f"t = {t - 1}"] = x
checks.identity("the walk back ends at x_0", x, known, tol=1e-10)
plots.image_rows(
    **shown,
    alt="Eight pictures at five times of a walk back from noise: at step 150 little but noise, at step 50 digits under "
    "noise, at step 0 eight clean digits.",
)

# %%
one = torch.ones(T - 1, 1, dtype=torch.float64)
_, var = posterior(one, one, torch.arange(2, T + 1), s.beta, s.alpha_bar)
ratio = var.flatten() / s.beta[2:]
print(f"β̃_t/β_t: {ratio[0]:.2f} at t = 2, {ratio[-1]:.2f} at t = {T}")
smaller, equal, larger = variance_back.spec["options"]
variance_back.compare(smaller if (ratio < 1).all() else larger if (ratio > 1).all() else equal)

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
# A generative model has to take its steps *without* x_0.
# It puts a guess in the place of x_0, made by a network from x_t and t alone; and since x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε, guessing x_0 and guessing ε are the same task.
# Training that network is the second half of this lab.
#
# And the prediction: β̃_t is smaller than β_t, since 1 − ᾱ_{t−1} is smaller than 1 − ᾱ_t.
# Mind what is compared: β_t is the variance of the step *forward*, of x_t given x_{t−1}.
# That β̃_t is also at most the average variance of x_{t−1} given x_t alone, because x_0 is known as well, is another statement (lecture 04b, (21)).
# </details>

# %% [markdown]
# ## 4 · What should the network say?
#
# The walk back needs x_0, and has only x_t.
# So a network is shown x_t and t, and guesses.
# Its guess may be of any of three things, since x_t and one of them give the other two:
#
# - the noise, ε;
# - the data, x_0;
# - the *velocity*, $v = \sqrt{\bar\alpha_t}\,\varepsilon - \sqrt{1-\bar\alpha_t}\,x_0$.
#
# The name comes from a picture.
# Write √ᾱ_t = cos φ and √(1 − ᾱ_t) = sin φ: then x_t = cos φ · x_0 + sin φ · ε moves on an ellipse in the plane of x_0 and ε as φ grows (a circle, if the two are orthogonal and equally long), and v = dx_t/dφ is how fast.
#
# **Predict.**
# For small t, is v closer to the noise or to the data?
# And for t near T?

# %%
nearer = widgets.Prediction.choice(
    "Up to its sign, what is v close to?",
    ["the data at first, the noise at the end", "the noise at first, the data at the end", "neither, at any t"],
)
nearer


# %%
@checks.exercise("diffusion.target")
def target(x_0, eps, t, alpha_bar, predict):
    """What the network should answer; predict is "eps", "x_0" or "v".

    Shapes: x_0, eps, and the result (B, ...); t (B,) int64 in 1..T;
    alpha_bar (T + 1,)."""
    ### BEGIN SOLUTION
    if predict == "eps":
        return eps
    if predict == "x_0":
        return x_0
    a = alpha_bar[t].view(-1, *[1] * (x_0.dim() - 1))
    return a.sqrt() * eps - (1 - a).sqrt() * x_0
    ### END SOLUTION


# %% [markdown]
# **Look.**
# One digit and one noise, at seven steps: what the network sees, and the three things it may be asked for.

# %%
table = alpha_bar(s.beta[1:]).float()
seven = torch.tensor([1, 30, 60, 100, 140, 170, 200])
threes = images[digit_class == 3][:1].expand(7, -1, -1, -1)
noises = torch.randn(digit.shape, generator=seeded(4)).expand(7, -1, -1, -1)
asked_for = {
    name: target(threes, noises, seven, table, predict)
    for name, predict in (("ε", "eps"), ("x₀", "x_0"), ("v", "v"))
}
plots.image_rows(
    **{"xₜ": q_sample(threes, seven, noises, table)},
    **asked_for,
    columns=[f"t = {int(i)}" for i in seven],
    alt="Four rows at seven steps. x_t goes from a clean 3 to noise; eps and x_0 are the same in every column; "
    "v goes from the noise to the 3 in negative.",
)

# %%
to_data, to_noise = (
    torch.cosine_similarity(asked_for["v"].flatten(1), other.flatten(1)).abs() for other in (threes, noises)
)
data_first, noise_first, neither = nearer.spec["options"]
first, last = to_noise[0] > to_data[0], to_noise[-1] > to_data[-1]
nearer.compare(neither if first == last else noise_first if first else data_first)

# %% [markdown]
# **Explain.**
# At t = 1, which of the three is easy to guess, and which is nearly impossible?
# And at t = T?
#
# <details>
# <summary>Answer</summary>
#
# At t = 1, x_t is nearly the data, so x_0 is given away, and the noise is hidden below everything else.
# At t = T, x_t is nearly the noise, so ε is given away, and about x_0 next to nothing is known.
# v is close to whichever of the two is hidden, so it is never given away, and at no t is the task an empty one.
# Moreover, to get x_0 from ε one divides by √ᾱ_t, so for large t a small error in ε is a large one in x_0.
# To get x_0 from v one divides by nothing: x_0 = √ᾱ_t x_t − √(1 − ᾱ_t) v.
#
# And the prediction: for small t √ᾱ_t is nearly 1, and v nearly the noise; near T, v is nearly −x_0, as in the last picture of its row.
# </details>

# %% [markdown]
# ## 5 · The loss
#
# Draw a picture x_0, a step t and a noise ε; make x_t; ask the network; compare:
#
# $$L = E\Big[\frac1D\,\big\|\,\text{target} - \text{net}(x_t, t)\big\|^2\Big]$$
#
# with D the number of pixels.
# If the target is ε, this is the loss $L_{\text{simple}}$ of Ho et al. (2020), up to the factor 1/D; another target gives the same errors another weight at each t.
# Here t and ε are given, so that we can check what you compute; in training they are drawn anew for every batch.
# Use what you have: `q_sample` and `target`.
#
# **Predict.**
# Can this loss reach 0?
# Take eight Gaussians on a circle for the data, ε for the target, and the best network that there can be: draw its loss at each step.

# %%
best_loss = widgets.Prediction.curve(
    "What is the loss of the best network at step t?", x=(1, 200, "step t"), y=(0, 1.2, "loss in eps")
)
best_loss


# %%
@checks.exercise("diffusion.loss")
def loss(net, x_0, t, eps, alpha_bar, predict):
    """The mean squared error over batch and pixels, one number.

    net(x_t, t) answers with a tensor like x_t; shapes and predict as in exercise 4."""
    ### BEGIN SOLUTION
    x_t = q_sample(x_0, t, eps, alpha_bar)
    return ((net(x_t, t) - target(x_0, eps, t, alpha_bar, predict)) ** 2).mean()
    ### END SOLUTION


# %% [markdown]
# **Look.**
# For eight Gaussians on a circle, the best possible network is known in closed form.
# Here is *its* loss at each step, beside that of a network that always answers 0.

# %%
s = diffusion.Schedule.cosine(T)
ring = data.GaussianMixture.ring(n=8)


def best(x_t, t):
    return ring.optimal_eps(x_t, t, s)


def none(x_t, t):
    return torch.zeros_like(x_t)


# %%
some_t, n = best_loss.places.round().long(), 2000
points, eps = ring.sample(n, generator=seeded(5)).double(), torch.randn(n, 2, generator=seeded(6)).double()
losses = {
    name: [float(loss(guess, points, torch.full((n,), int(i)), eps, s.alpha_bar, "eps")) for i in some_t]
    for name, guess in {"the best network": best, "answers 0": none}.items()
}
plots.figure(
    plots.lines(some_t, losses, xlabel="step t", ylabel="loss in eps", ylim=(0, 1.2), aspect=2.2),
    alt="The loss of the network that answers 0 is about one at every step. That of the best network is nearly one at "
    "the first steps, falls, rests at about a half, and goes to zero towards the last.",
)

# %%
best_loss.compare(losses["the best network"])

# %% [markdown]
# **Explain.**
# Your training loss has stopped falling at 0.3.
# Is the network bad?
#
# <details>
# <summary>Answer</summary>
#
# This number alone does not say.
# Many pairs of data and noise lead to the same x_t, and the best answer is their mean, which need not be right for any of them.
# So the smallest possible loss is above 0 and depends on the data, the schedule and the target, and for digits we do not know it.
# What can be compared is the loss of two networks with the same target, at the same steps.
# </details>

# %% [markdown]
# ## 6 · One step back, from a guess
#
# Now the guess ε̂ takes the place of the noise.
# By it, x_0 is (x_t − √(1 − ᾱ_t) ε̂)/√ᾱ_t; put this into the mean of exercise 3, and most of it cancels:
#
# $$x_{t-1} = \frac{1}{\sqrt{\alpha_t}}\Big(x_t - \frac{\beta_t}{\sqrt{1-\bar\alpha_t}}\,\hat\varepsilon\Big) + \sigma_t z,
#   \qquad \sigma_t^2 = \beta_t$$
#
# At t = 1 no noise is added: the mean is the x_0 that we keep.
#
# **Predict.**
# The step takes noise out, and puts new noise in.
# Why not leave the second part out?


# %%
@checks.exercise("diffusion.reverse_step")
def reverse_step(x_t, t, eps_hat, z, beta, alpha_bar):
    """x_{t−1}; examples with t = 1 get no noise.

    Shapes: x_t, eps_hat, z, and the result (B, ...); t (B,) int64 in 1..T;
    beta, alpha_bar (T + 1,)."""
    ### BEGIN SOLUTION
    b, a = (values.view(-1, *[1] * (x_t.dim() - 1)) for values in (beta[t], alpha_bar[t]))
    later = (t > 1).view(-1, *[1] * (x_t.dim() - 1))
    return (x_t - b / (1 - a).sqrt() * eps_hat) / (1 - b).sqrt() + later * b.sqrt() * z
    ### END SOLUTION


# %% [markdown]
# ## 7 · The sampler
#
# Start at x_T ~ N(0, I), and walk: t = T, T − 1, …, 1.
# The network and the step are given, so the loop is all there is to write.
# `z[t]` is the noise for step t; `z[0]` makes the index fit, and is never used.
#
# **Predict.**
# What would the samples look like if every step used the same z?
# Say it for points that should end on a circle of radius 1.

# %%
landed = widgets.Prediction.number(
    "With one z for all steps, how far from the centre do the points land on average?"
)
landed


# %%
@checks.exercise("diffusion.ancestral")
def ancestral(net, step, x_T, z):
    """The whole walk, x_T first and x_0 last, (T + 1, B, ...); T is len(z) − 1.

    net(x_t, t) gives eps_hat; step(x_t, t, eps_hat, z) gives x_{t−1};
    both take t as a tensor (B,) int64. Shapes: x_T (B, ...); z (T + 1, B, ...)."""
    ### BEGIN SOLUTION
    x_ts = [x_T]
    for i in range(len(z) - 1, 0, -1):
        t = torch.full((len(x_T),), i)
        x_ts.append(step(x_ts[-1], t, net(x_ts[-1], t), z[i]))
    return torch.stack(x_ts)
    ### END SOLUTION


# %% [markdown]
# **Look.**
# Nothing has been trained, and you can sample: the best network for the ring is known.
# The right panel walks with the noise left out.


# %%
def ring_step(x_t, t, eps_hat, z):
    return reverse_step(x_t, t, eps_hat, z, s.beta, s.alpha_bar)


ring_start = torch.randn(600, 2, generator=seeded(7), dtype=torch.float64)
ring_z = torch.randn(T + 1, 600, 2, generator=seeded(8), dtype=torch.float64)
walk, quiet = ancestral(best, ring_step, ring_start, ring_z), ancestral(best, ring_step, ring_start, 0 * ring_z)
axes = {"xlim": (-1.6, 1.6), "ylim": (-1.6, 1.6)}
plots.figure(
    plots.points({"t = 30": walk[T - 30]}, title="on the way, t = 30", **axes),
    plots.points({"t = 0": walk[-1]}, title="arrived", **axes),
    plots.points({"quiet": quiet[-1]}, title="without z", **axes),
    alt="Three clouds of points. At step 30 eight blurred spots on a circle; at step 0 eight clusters; without the new "
    "noise, eight small spots on a smaller circle.",
)

# %%
same_z = ancestral(best, ring_step, ring_start, ring_z[:1].expand_as(ring_z))[-1]
landed.compare(same_z.norm(dim=1).mean())

# %% [markdown]
# **Explain.**
# What is wrong with the right panel, where each point has landed so neatly?
#
# <details>
# <summary>Answer</summary>
#
# The clusters are too small, and so is their circle: variance is missing.
# By the law of total variance, Var[x_{t−1}] is the variance of the conditional mean, E[x_{t−1} | x_t], plus the average of the conditional variance.
# A step without z keeps the first part and drops the second, and T such steps add up.
# (Walks without noise that are right do exist. They take other steps: exercise 9.)
#
# And the prediction: with one z for all steps, each step pushes a point the same way.
# The noises add up where independent ones would partly cancel, and the points land about twice as far out as the circle.
# </details>

# %% [markdown]
# ## 8 · Fewer steps: which?
#
# Two hundred calls of a network are many.
# A walk of n steps visits n + 1 points, evenly spread: T first, because that is where pure noise belongs, and 0 last, because that is the data.


# %%
@checks.exercise("diffusion.ddim_steps")
def ddim_steps(T, n):
    """The steps visited, evenly spread from T down to 0, rounded.

    The result: a tensor (n + 1,) of whole numbers; a half may go either way."""
    ### BEGIN SOLUTION
    return torch.linspace(T, 0, n + 1).round().long()
    ### END SOLUTION


# %% [markdown]
# A well-known library visits 980, 960, …, 20, 0 where T = 1000 and n = 50, unless another spacing is asked for.
# Its labels begin at 0, so in ours these are 981, 961, …, 21, 1, and then come the data: pure noise is handed to the network as if it were less noisy.
# Compare.

# %%
print(ddim_steps(1000, 50)[:4].tolist(), "...", ddim_steps(1000, 50)[-3:].tolist())
print(ddim_steps(200, 7).tolist())

# %% [markdown]
# ## 9 · Fewer steps: how?
#
# From step t straight to a step s < t, as DDIM does it (Song, Meng and Ermon 2021).
# The guess ε̂ gives a guess of x_0.
# Put the two together again, in the proportions of step s, and let new noise take the place of a part of the old:
#
# $$x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1-\bar\alpha_s-\sigma^2}\;\hat\varepsilon + \sigma z,
#   \qquad \sigma^2 = \eta^2\,\frac{1-\bar\alpha_s}{1-\bar\alpha_t}\Big(1-\frac{\bar\alpha_t}{\bar\alpha_s}\Big)$$
#
# With the true x_0 and ε, every η gives x_s the distribution that exercise 2 gave it.
# With guesses this holds for short steps only, because a guess of the noise, being an average, has too little variance (lecture 04b, section 11).
#
# **Predict.**
# Which numbers are random if η = 0?
# What is σ in the last step, to s = 0?

# %%
last_sigma = widgets.Prediction.number("What is σ in the last step, to s = 0, if η = 1?")
last_sigma


# %%
@checks.exercise("diffusion.ddim_step")
def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    """x_s.

    Shapes: x_t, eps_hat, z, and the result (B, ...); t, s (B,) int64 with t in 1..T
    and s in 0..t − 1; eta a number from 0 to 1; alpha_bar (T + 1,)."""
    ### BEGIN SOLUTION
    now, then = (a.view(-1, *[1] * (x_t.dim() - 1)) for a in (alpha_bar[t], alpha_bar[s]))
    x_0 = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    variance = eta**2 * (1 - then) / (1 - now) * (1 - now / then)
    return then.sqrt() * x_0 + (1 - then - variance).clamp(min=0).sqrt() * eps_hat + variance.sqrt() * z
    ### END SOLUTION


# %% [markdown]
# **Look.**
# Your steps and your update in one loop, for any network.


# %%
def ddim(net, x_T, n, alpha_bar, eta=0.0, step=ddim_step):
    """x_T, ..., x_0 in n steps."""
    noise, x_ts = seeded(1), [x_T]
    visited = [torch.full((len(x_T),), int(i)) for i in ddim_steps(len(alpha_bar) - 1, n)]
    for t, s in itertools.pairwise(visited):
        z = torch.randn(x_T.shape, generator=noise, dtype=x_T.dtype)
        x_ts.append(step(x_ts[-1], net(x_ts[-1], t), t, s, eta, z, alpha_bar))
    return x_ts


# %%
panels = [
    plots.points({"x_0": ddim(best, ring_start, n, s.alpha_bar)[-1]}, title=f"{n} steps, η = 0", **axes)
    for n in (3, 10, 50)
]
plots.figure(
    *panels,
    alt="Three clouds of 600 points. After three steps a disc with a dense rim, after ten steps eight clusters joined by "
    "stray points, after fifty steps eight clusters.",
)

# %%
counts, true_points = (1, 2, 3, 4, 6, 9, 14, 25, 50), ring.sample(600, generator=seeded(9)).double()


def error(points):
    return metrics.energy_distance(points, true_points, unbiased=False)


curves = {
    f"η = {eta}": [error(ddim(best, ring_start, n, s.alpha_bar, eta)[-1]) for n in counts] for eta in (0, 1)
}
pairs = [error(ring.sample(600, generator=seeded(i)).double()) for i in range(100, 116)]
print(f"two true samples: from {min(pairs):.3f} to {max(pairs):.3f} in {len(pairs)} pairs")
curves["two true samples"] = [sum(pairs) / len(pairs)] * len(counts)
plots.figure(
    plots.lines(counts, curves, xscale="log", yscale="log", xlabel="steps", ylabel="energy distance", aspect=2.2),
    alt="Energy distance to the truth against the number of steps, on logarithmic axes: both curves fall. From some ten "
    "steps on, that of η = 0 stays a little above what two true samples differ by on average, and that of η = 1 below.",
)

# %% [markdown]
# And σ: how far does z move x_s, from t = 8 to s = 0?

# %%
point, zero = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
moved = [
    ddim_step(point, point, torch.tensor([8]), torch.tensor([0]), 1.0, z, s.alpha_bar) for z in (point, zero)
]
last_sigma.compare(moved[0] - moved[1])

# %% [markdown]
# **Explain.**
# With η = 0, what happens if you start twice at the same x_T?
# And what would you call x_T then?
#
# <details>
# <summary>Answer</summary>
#
# Both walks end at the same x_0, because nothing else is random.
# So x_T is a code for the picture, as the z of a flow is, and two codes can be mixed.
# (Walking from x_0 back up to its code is exact only in the limit of many steps.)
# For η > 0, x_T is only where the walk began.
# (Do not make much of which curve ends lower: with 600 points the estimate for two true samples is itself anywhere from 0.002 to 0.008.)
#
# And the other prediction: ᾱ_0 = 1, so 1 − ᾱ_s is 0 for s = 0, and σ with it.
# The last step adds no noise, whatever η is.
# </details>

# %% [markdown]
# ## 10 · One step of the training
#
# So far the network was a formula, known because the ring is known.
# For other data nobody has it, and a network has to learn it, from many batches of examples.
# With each batch the weights θ take one step along the slope of the loss of exercise 5, with ε as the target:
#
# $$L(\theta) = \frac{1}{BD}\sum_{b=1}^{B}\big\|\,\varepsilon^{(b)} - \varepsilon_\theta\big(x^{(b)}_{t_b},\, t_b\big)\big\|^2,
#   \qquad \theta \leftarrow \theta - \text{update}\big(\nabla_\theta L\big)$$
#
# `.backward()` on the loss finds the slope, and *adds* it to the `.grad` of every weight.
# The update is the optimizer's, which knows the weights and has two methods: `zero_grad()` empties their `.grad`, and `step()` moves them along what lies there.
# What an earlier step has left in `.grad` must not count.
#
# The loss is returned for a curve, so return the number alone, by `.detach()` or `.item()`.
# A loss with its history keeps in memory all that was computed on the way to it.
#
# **Predict.**
# A small network learns four Gaussians on a circle in 600 of these steps, on all t at once.
# In exercise 5 you have seen the best possible loss at each t, for eight Gaussians and the cosine schedule.
# Near which number will the curve of the training come to rest?

# %%
resting = widgets.Prediction.number("Near which loss does the training on four Gaussians come to rest?")
resting


# %%
@checks.exercise("diffusion.training_step")
def training_step(net, x_0, t, eps, alpha_bar, optimizer):
    """Move the net's weights by one step; net(x_t, t) is to answer eps.

    Returns the loss before the step, one number without its history.
    Shapes as in exercise 4; optimizer: a torch optimizer of the net's weights."""
    ### BEGIN SOLUTION
    value = loss(net, x_0, t, eps, alpha_bar, "eps")
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value.detach()
    ### END SOLUTION


# %% [markdown]
# **Look.**
# Here is the loop, with your step in it.
# Chance enters outside of the step: points, steps and noise are drawn anew for every batch.
# The schedule is the linear one, because to get x_0 from ε one divides by √ᾱ_t (exercise 4), and at the first step back that is the number printed below.
# (The digits will learn v, which is divided by nothing.)


# %%
four, chain = data.GaussianMixture.ring(n=4), diffusion.Schedule.linear(T)
chain_table = alpha_bar(chain.beta[1:])
print(f"√ᾱ_T: linear {chain_table[-1].sqrt():.4f}, cosine {table[-1].sqrt():.4f}")


def batch_of(n, g):
    """x_0, t and eps."""
    x_0 = four.sample(n, generator=g)
    return x_0, torch.randint(1, T + 1, (n,), generator=g), torch.randn(n, 2, generator=g)


def best_of_four(x_t, t):
    return four.optimal_eps(x_t, t, chain)


# %%
torch.manual_seed(3)
small = diffusion.MLP(dim=2, width=64, depth=2)
adam, g = torch.optim.Adam(small.parameters(), lr=3e-3), seeded(17)
steps_taken = [training_step(small, *batch_of(256, g), chain_table.float(), adam) for _ in range(600)]
small_losses = torch.tensor([float(value) for value in steps_taken])

# %%
held_out = batch_of(20_000, seeded(18))
least = float(loss(best_of_four, *held_out, chain_table.float(), "eps"))
plots.figure(
    plots.lines(
        range(20, 601, 20),
        {"yours": small_losses.view(-1, 20).mean(1), "best network": [least] * 30},
        xlabel="step, averaged over 20",
        ylabel="loss in eps",
        ylim=(0, 0.8),
        aspect=2.2,
    ),
    alt="The loss of the training falls fast in the first hundred steps, and then comes to rest slowly, a little above "
    "a level line, the loss of the best network.",
)

# %% tags=["nbval-ignore-output"]
resting.compare(small_losses[-100:].mean())


# %% [markdown]
# **Look again.**
# Draw samples from the network that you have trained, by your two samplers, from the noise of exercises 7 and 9.


# %%
def learned(x_t, t):
    with torch.no_grad():
        return small(x_t.float(), t).to(x_t.dtype)


def chain_step(x_t, t, eps_hat, z):
    return reverse_step(x_t, t, eps_hat, z, chain.beta, chain.alpha_bar)


arrived = {
    "best network, 200 steps": ancestral(best_of_four, chain_step, ring_start, ring_z)[-1],
    "yours, 200 steps": ancestral(learned, chain_step, ring_start, ring_z)[-1],
    "yours, 25 steps, η = 0": ddim(learned, ring_start, 25, chain.alpha_bar)[-1],
}
plots.figure(
    *[plots.points({"x_0": cloud}, title=name, **axes) for name, cloud in arrived.items()],
    alt="Three clouds of 600 points, each with four clusters on a circle. Those of the trained network are a little "
    "less sharp, with some points between the clusters.",
)

# %% tags=["nbval-ignore-output"]
yours = float(loss(learned, *held_out, chain_table.float(), "eps"))
seen_there = q_sample(*held_out, chain_table.float())
apart = (learned(seen_there, held_out[1]) - best_of_four(seen_there, held_out[1])).square().mean()
print(f"loss of the best network {least:.3f}, of yours {yours:.3f}: {yours - least:.3f} more")
print(f"mean square of the difference of their answers {apart:.3f}")

# %% [markdown]
# **Explain.**
# What lies between your curve and the level line, and what lies below the line?
#
# <details>
# <summary>Answer</summary>
#
# Below the line is what nobody can guess: many pairs of data and noise lead to the same x_t, and the best answer is the mean of all ε that may have done so.
# Between the two is the network's own error.
# The best answer is a conditional mean, ε* = E[ε | x_t], so what ε − ε* still holds has nothing to do with any function of x_t.
# Hence the squares add up: the loss of a network is that of ε* plus the mean square of net − ε*.
# The numbers above show it, up to the chance of 20,000 draws.
#
# So a curve that has come to rest far above 0 is no sign of a bad network, and where the line is not known, as for digits, the curve alone does not tell the two parts apart.
# </details>

# %% [markdown]
# ## Train
#
# Digits are learned by the same step, many times.
# genlib's `fit` adds three things around it: a learning rate that falls, gradients that are cut where they are very long, and an average of the weights.
# So here the loop is genlib's, and the loss is yours.
# The network is conditioned on the class of each digit, and in one of ten cases on "none", which is −1; exercise 11 will need that.


# %%
class Objective(torch.nn.Module):
    def __init__(self, net, predict, lr=2e-3):
        super().__init__()
        self.net, self.predict, self.lr = net, predict, lr

    def optimizers(self):
        return {"net": torch.optim.Adam(self.net.parameters(), lr=self.lr, fused=True)}

    def losses(self, batch, generator):
        x_0, label = batch
        t = torch.randint(1, T + 1, (len(x_0),), generator=generator)
        eps = torch.randn(x_0.shape, generator=generator)
        label = label.masked_fill(torch.rand(len(x_0), generator=generator) < 0.1, -1)
        yield "net", loss(lambda x_t, t: self.net(x_t, t, label), x_0, t, eps, table, self.predict), {}


# %% [markdown]
# The cosine schedule with T = 200, a U-Net of 165,000 weights, and v as its target.
# This takes about 35 seconds on a quiet machine.

# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
objective = Objective(diffusion.UNet.digits(), predict="v")
history = train.fit(objective, (images, digit_class), steps=450, seed=0)
print(f"{history.step[-1]} steps in {history.seconds:.0f} s, loss {history.logs['loss'][-1]:.3f}")

# %%
plots.figure(
    plots.lines(history.step, {"loss": history.logs["loss"]}, xlabel="step", ylabel="loss in v", aspect=2.2),
    alt="The loss in v falls steeply in the first hundred steps, and slowly afterwards.",
)

# %% [markdown]
# **Look.**
# Your sampler needs ε̂, and the network says v.
# genlib converts: ε = √(1 − ᾱ_t) x_t + √ᾱ_t v.
# First twenty digits by 200 steps of your `ancestral`, two of each class; the rows are points of time.


# %%
def eps_of(x_t, t, label):
    with torch.no_grad():
        return s.convert(objective.net(x_t, t, label), x_t, t, "v", "eps")


def digit_step(x_t, t, eps_hat, z):
    return reverse_step(x_t, t, eps_hat, z, s.beta.float(), table)


# %%
twenty = torch.arange(20) % 10
digit_z = torch.randn(T + 1, 20, *images.shape[1:], generator=seeded(11))
digit_walk = ancestral(lambda x, t: eps_of(x, t, twenty), digit_step, digit_z[0], digit_z)
plots.image_rows(
    **{f"t = {t}": digit_walk[T - t] for t in (200, 120, 80, 40, 0)},
    columns=[str(int(c)) for c in twenty],
    alt="Twenty walks from noise to digits, at five times. At step 120 there is noise, at step 40 the digits show, at "
    "step 0 they are clean: 0 to 9, twice.",
)

# %% [markdown]
# ## Measure
#
# Four numbers, read together, because each of them alone can be fooled.
#
# - *Label accuracy*: does a small classifier, the judge, see the class that was asked for?
# - *Fréchet distance*: how far mean and covariance of the judge's features are from those of the training digits, as a multiple of what the 297 unseen digits have. About 1 is as good as real; a little less is possible, since among the 297 not all classes are equally many.
# - The *histogram* of classes.
# - *Copying*: the share of samples that lie as near to a training digit as only one in twenty unseen digits does. 0.05 is what real ones have.
#
# **Predict.**
# Which of the four would notice pictures with a little noise on them?

# %%
notices = widgets.Prediction.choice(
    "Which of the four changes most if a little noise is added to all pictures?",
    ["label accuracy", "Fréchet distance", "histogram", "copying"],
)
notices

# %% tags=["nbval-ignore-output"]
label = torch.arange(300) % 10
start = torch.randn(300, *images.shape[1:], generator=seeded(12))


def net(x_t, t):
    return eps_of(x_t, t, label)


good = ddim(net, start, 25, table)[-1]
print(metrics.digits_report(good, label))

# %% [markdown]
# Shorter lines will do from here on.


# %%
def measure(name, x_0):
    r = metrics.digits_report(x_0, label)
    print(
        f"{name:34} accuracy {r.label_accuracy:.3f}   Fréchet {r.frechet_multiple:5.2f}   copying {r.copying:.3f}"
    )


# %% tags=["nbval-ignore-output"]
for n, eta in ((5, 0), (10, 0), (25, 0), (25, 1)):
    x_0 = good if (n, eta) == (25, 0) else ddim(net, start, n, table, eta)[-1]
    measure(f"{n} steps, η = {eta}", x_0)
    print(f"{'':34} standard deviation of pixels {x_0.std():.2f}, of real ones {dataset('test').x.std():.2f}")

# %% [markdown]
# **Explain.**
# With the best denoiser of a mixture, more steps came nearer to the truth.
# Here, with η = 0, they do not.
# What is different?
#
# <details>
# <summary>Answer</summary>
#
# The best denoiser makes no errors, so the only error is that of long steps, and shorter steps reduce it.
# A network that was trained for 450 steps errs in every call as well, and more calls do not reduce that error.
#
# It was no accident of one training, as the three below show.
# That 5 steps beat 25 with η = 0 may be because a long step goes straight for an *average* of the digits that could be meant, in which the errors of single pixels cancel; it costs variance, as the standard deviations show.
# That with 25 steps η = 1 beats η = 0 may be because with η = 1 each step replaces a part of x_t by fresh noise, and a part of the accumulated errors with it.
# These experiments show the effect, and not its reasons.
# How could you test one of them?
# </details>

# %% [markdown]
# **One training is one number.**
# Both trainings of this lab were run with two other seeds as well, and every cell that measures after them.
# What they gave is stored with the lectures; the command that made it is `make runs ONLY=lab_3_seeds`.

# %%
stored = json.loads(run_file("lab_3_seeds.json").read_text(encoding="utf-8"))["numbers"]


def three_seeds(*names, what="Fréchet"):
    """What was measured after trainings with the seeds 0, 1 and 2."""
    for name in names:
        values = "  ".join(
            f"{row[what]:6.3f}" if what == "copying" else f"{row[what]:5.1f}" for row in stored[name]
        )
        print(f"{name:34} {what}, three seeds: {values}")


three_seeds("5 steps, η = 0", "25 steps, η = 0", "25 steps, η = 1")

# %% [markdown]
# ## 11 · Guidance
#
# The network can guess the noise with the label, and without.
# The difference of the two guesses is the influence of the label, and guidance gives it more weight (lecture 04b derives it from Bayes' rule, in section 13):
#
# $$\hat\varepsilon = (1+w)\,\varepsilon(x_t, \text{label}) - w\,\varepsilon(x_t, \text{none}), \qquad w \ge 0$$
#
# **Predict.**
# What is w = 0?
# What becomes of the pictures, and of their variety, when w is large?

# %%
variety = widgets.Prediction.choice(
    "How large is the variance within a class at w = 4, compared with w = 0?",
    ["larger, as all is pushed further", "about the same, as only classes are told apart", "smaller"],
)
variety


# %%
@checks.exercise("diffusion.guide")
def guide(eps_label, eps_none, w):
    """The guided guess.

    Shapes: eps_label, eps_none, and the result (B, ...); w a number, at least 0."""
    ### BEGIN SOLUTION
    return (1 + w) * eps_label - w * eps_none
    ### END SOLUTION


# %%
def guided(w):
    return lambda x, t: guide(eps_of(x, t, label[: len(x)]), eps_of(x, t, label[: len(x)] * 0 - 1), w)


plots.image_rows(
    **{f"w = {w}": ddim(guided(w), start[:20], 25, table)[-1] for w in (0, 1, 4)},
    columns=[str(int(c)) for c in label[:20]],
    alt="Three rows of twenty digits drawn from the same noise, with w 0, 1 and 4. With growing w strokes become "
    "bolder.",
)


# %%
def within(x_0):
    """The variance within a class, on average over the classes, summed over pixels."""
    return torch.stack([x_0[label == k].var(0).sum() for k in range(10)]).mean()


# %% tags=["nbval-ignore-output"]
variances = []
for w in (0, 1, 4):
    x_0 = ddim(guided(float(w)), start, 25, table)[-1]
    measure(f"w = {w}", x_0)
    variances.append(float(within(x_0)))
    print(f"{'':34} variance within the classes {variances[-1]:.1f}")

# %% tags=["nbval-ignore-output"]
rises, stays, shrinks = variety.spec["options"]
change = variances[-1] / variances[0]
variety.compare(rises if change > 1.1 else shrinks if change < 0.9 else stays)

# %%
three_seeds("w = 0", "w = 1")

# %% [markdown]
# **Explain.**
# The label accuracy is 1 now.
# Are these better pictures?
#
# <details>
# <summary>Answer</summary>
#
# The judge reads every digit as the class that was asked for.
# The Fréchet distance does not agree so clearly: in three trainings it rose once, and fell twice.
# Two things may be at work at once.
# Guidance makes up for some of what a hardly trained network left undecided, and it moves the digits away from where real ones lie.
# For the well-trained network of lecture 04b the second outweighs the first, and the distance rises nearly sixfold at w = 1.
# Here it takes w = 4.
#
# The variety of a class falls: in our training the variance within the classes is 8.6, 6.3 and 5.2 for w = 0, 1 and 4, where real digits have 10.8.
# For the stored network of the lecture it falls less, and has risen again at w = 4, so this is no law of guidance.
#
# w = 0 leaves the network's guess with the label as it is.
# And it is often said that guidance samples p(x) p(c | x)^w up to a factor; lecture 04b shows in section 13 that it does not, even with exact scores.
# </details>

# %% [markdown]
# ## 12 · One term of the bound
#
# How many nats does a step cost?
# The bound on −log p(x_0) is a sum, and for t = 2, …, T its terms compare two Gaussians: the step of someone who knows x_0, and the model's.
#
# $$L_{t-1} = \operatorname{KL}\big(N(\tilde\mu_t(x_0, x_t), \tilde\beta_t I)\ \|\ N(\tilde\mu_t(\hat x_0, x_t), \beta_t I)\big)$$
#
# In one dimension,
#
# $$\operatorname{KL}\big(N(\mu_1, \sigma_1^2)\,\|\,N(\mu_2, \sigma_2^2)\big)
#   = \tfrac12\Big[\log\frac{\sigma_2^2}{\sigma_1^2} + \frac{\sigma_1^2}{\sigma_2^2} - 1 + \frac{(\mu_1-\mu_2)^2}{\sigma_2^2}\Big]$$
#
# and the pixels add up.
#
# **Predict.**
# For a perfect guess, is L_{t−1} zero?

# %%
perfect_guess = widgets.Prediction.choice(
    "If the guess is x_0 itself, how large is L_{t−1}?",
    ["zero at every step", "zero at some steps, above zero at others", "above zero at every step"],
)
perfect_guess


# %%
@checks.exercise("diffusion.bound_term")
def bound_term(x_0, x_t, t, x_0_hat, beta, alpha_bar):
    """L_{t−1} in nats, (B,).

    Shapes: x_0, x_t, and the guess x_0_hat (B, ...); t (B,) int64 in 2..T;
    beta, alpha_bar (T + 1,)."""
    ### BEGIN SOLUTION
    mean, var = posterior(x_0, x_t, t, beta, alpha_bar)
    guess, _ = posterior(x_0_hat, x_t, t, beta, alpha_bar)
    b = beta[t].view(-1, *[1] * (x_0.dim() - 1))
    terms = 0.5 * (torch.log(b / var) + var / b - 1 + (mean - guess) ** 2 / b)
    return terms.flatten(1).sum(1)
    ### END SOLUTION


# %% [markdown]
# **Look.**
# What the steps cost for held-out digits, in bits for each pixel.

# %%
x_0, seen = (part[:100] for part in dataset("test"))
visited, bits, g = range(2, T + 1, 6), [], seeded(14)
for i in visited:
    t, eps = torch.full((100,), i), torch.randn(x_0.shape, generator=g)
    x_t = q_sample(x_0, t, eps, table)
    x_0_hat = s.convert(eps_of(x_t, t, seen), x_t, t, "eps", "x_0")
    nats = bound_term(x_0.double(), x_t.double(), t, x_0_hat.double(), s.beta, s.alpha_bar)
    bits.append(float(nats.mean()) / images[0].numel() / math.log(2))
plots.figure(
    plots.lines(visited, {"bits": bits}, xlabel="step t", ylabel="bits per pixel", yscale="log", aspect=2.2),
    alt="The cost of a step in bits per pixel, on a logarithmic axis: highest at the first steps next to the data, "
    "falling by nearly five powers of ten towards pure noise.",
)

# %%
each_t = torch.arange(2, T + 1)
known_x_0 = digit.double().expand(T - 1, -1, -1, -1)
noised = q_sample(known_x_0, each_t, torch.randn(known_x_0.shape, generator=seeded(19)).double(), s.alpha_bar)
costs = bound_term(known_x_0, noised, each_t, known_x_0, s.beta, s.alpha_bar)
zero_always, zero_sometimes, never_zero = perfect_guess.spec["options"]
perfect_guess.compare(
    never_zero if (costs > 1e-12).all() else zero_sometimes if (costs > 1e-12).any() else zero_always
)

# %% [markdown]
# **Explain.**
# The steps that cost most are the first ones, where the eye sees nothing happen.
# Why is the network not trained on the bound itself?
#
# <details>
# <summary>Answer</summary>
#
# A code for pictures has to write down every last grey level, and the figure shows that most of the bits are paid for in the first steps.
# What a digit *is*, a 3 or an 8, can mostly be read off the network's guess at far noisier steps, as lecture 04b measures in section 12.
# With the linear schedule, which Ho et al. used, and written as an error in ε, the bound gives the first steps the largest weights (lecture 04b, section 9), and a network of limited size spends its effort accordingly.
# L_simple leaves the weights out, and so gives more to the noisier steps.
# Ho et al. trained both: on CIFAR-10 the bound gave slightly fewer bits, 3.70 instead of 3.75, and clearly worse pictures, a Fréchet distance of 13.5 instead of 3.2.
#
# And the prediction: no, for two reasons.
# The best guess that can be made of x_0 is an average over all data that may have led to x_t, so the means differ.
# And if the guess were x_0 itself, the means would agree, but one Gaussian has the variance β̃_t and the other β_t.
# </details>

# %% [markdown]
# ## Break it: noise at the last step
#
# Everything works, so now we break it, one thing at a time.
# What would happen if the last step added noise as well?
# In a walk of n steps, the last goes from T/n to 0, and its noise has the variance 1 − ᾱ_{T/n}.
#
# **Predict.**
# For which n does it show: 200, 50, 20, 10 or 5?
# Take the Fréchet distance for the judge, and a rise by a tenth.
# (Which of the four numbers sees it, you have said above.)

# %%
shows_from = widgets.Prediction.choice(
    "At which n does the Fréchet distance first rise by more than a tenth?", ["200", "50", "20", "10", "5"]
)
shows_from

# %% tags=["nbval-ignore-output"]
extra = torch.randn(good.shape, generator=seeded(13))
spoiled = {n: good + (1 - table[T // n]).sqrt() * extra for n in (200, 50, 20, 10, 5)}
measure("finished digits", good)
for n, x_0 in spoiled.items():
    measure(f"noise of the last of {n} steps", x_0)

# %% tags=["nbval-ignore-output"]
finished = metrics.digits_report(good, label)
noisy = {n: metrics.digits_report(x_0, label) for n, x_0 in spoiled.items()}
risen = [n for n, r in noisy.items() if r.frechet_multiple > 1.1 * finished.frechet_multiple]
shows_from.compare(str(max(risen, default=5)))

# %% tags=["nbval-ignore-output"]
classes = [torch.tensor(r.class_histogram) / r.n for r in (finished, noisy[10])]
changes = {
    "label accuracy": abs(noisy[10].label_accuracy / finished.label_accuracy - 1),
    "Fréchet distance": abs(noisy[10].frechet_multiple / finished.frechet_multiple - 1),
    "histogram": float((classes[0] - classes[1]).abs().sum()) / 2,
    "copying": abs(noisy[10].copying - finished.copying),
}
print("with ten steps:", ", ".join(f"{name} {100 * v:.0f} %" for name, v in changes.items()))
notices.compare(max(changes, key=changes.get))

# %%
plots.image_rows(
    without=good[:14],
    **{f"{n} steps": x_0[:14] for n, x_0 in spoiled.items()},
    alt="Fourteen digits, without noise and with that of the last step of 200, 50, 20, 10 and 5 "
    "steps: it can be seen with ten steps and fewer.",
)

# %% [markdown]
# **Explain.**
# Suppose that an implementation with T = 1000 adds noise in its last step, too.
# Why may such a mistake be found late?
#
# <details>
# <summary>Answer</summary>
#
# With many steps the last one is tiny: for n = 200 and n = 50 the standard deviation of its noise is at most about a third of the distance between two of the 17 grey levels.
# Neither the eye nor the four numbers see much of it.
# With ten steps the eye sees it, and the Fréchet distance has seen it with twenty.
# The label accuracy hardly changes, since a noisy 3 is still a 3.
# Copying cannot notice either, because noise takes a picture away from the training digits.
# So whether a mistake shows depends on the setting and on the number that is watched.
# </details>

# %% [markdown]
# ## Break it: off by one
#
# Some tables begin at t = 0, others at t = 1.
# Train with the one and sample with the other, and everything still runs.
#
# **Predict.**
# One step of 200: does anybody notice?
# And one entry in the list of the 25 visited steps, which is eight steps?
# Order the four by their Fréchet distance, the smallest first.

# %%
by_frechet = widgets.Prediction.order(
    "Which has the smallest Fréchet distance, and which the largest?",
    ["the sampler reads ᾱ_{t−1}", "the network is given t − 8", "as it should be", "the network is given t − 1"],
)
by_frechet

# %% tags=["nbval-ignore-output"]
shifted = torch.cat([table[:1], table[:-1]])  # ᾱ_{t−1} where ᾱ_t belongs
far_off = ddim(lambda x, t: net(x, (t - 8).clamp(min=1)), start, 25, table)[-1]
shifts = {
    "as it should be": good,
    "the sampler reads ᾱ_{t−1}": ddim(net, start, 25, shifted)[-1],
    "the network is given t − 1": ddim(lambda x, t: net(x, (t - 1).clamp(min=1)), start, 25, table)[-1],
    "the network is given t − 8": far_off,
}
for name, x_0 in shifts.items():
    measure(name, x_0)

# %% tags=["nbval-ignore-output"]
frechet = {name: metrics.digits_report(x_0, label).frechet_multiple for name, x_0 in shifts.items()}
by_frechet.compare(sorted(frechet, key=frechet.get))

# %%
three_seeds("as it should be", "the sampler reads ᾱ_{t−1}", "the network is given t − 1")

# %% [markdown]
# ## Break it: no root
#
# Leave the square roots out of the update, as so many first versions do.


# %%
def no_root(x_t, eps_hat, t, s, eta, z, alpha_bar):
    now, then = alpha_bar[t].view(-1, 1, 1, 1), alpha_bar[s].view(-1, 1, 1, 1)
    x_0 = (x_t - (1 - now) * eps_hat) / now
    return then * x_0 + (1 - then) * eps_hat


rootless = ddim(net, start, 25, table, step=no_root)[-1]
plots.image_rows(
    good=good[:14],
    given_t_minus_8=far_off[:14],
    no_root=rootless[:14],
    alt="Fourteen digits three times: good ones; from a network given the wrong step, in hard black and white; "
    "and without roots, nearly the same as these. Some of the latter two can hardly be read.",
)

# %% tags=["nbval-ignore-output"]
measure("no root", rootless)

# %% [markdown]
# **Explain.**
# In some of these experiments the label accuracy went *up*.
# What do you learn from it?
#
# <details>
# <summary>Answer</summary>
#
# The judge looks for what tells the classes apart, and an overdriven digit has more of it.
# Whoever watches this number alone would take the mistake for an improvement.
# The Fréchet distance compares whole distributions, and sees the two large mistakes at once.
#
# The small shift is another matter.
# In all three trainings the Fréchet distance rose where the sampler read ᾱ_{t−1}, by about three tenths.
# Where the network was given t − 1, it went up once, and down twice, so that the mistake *improved* the number, perhaps because it acted against the blur of a hardly trained network.
# So even a good number does not prove that the code is right, and such a mistake lives long.
# What finds it is a comparison with numbers that are known, as in your exercises.
# </details>

# %% [markdown]
# ## Break it: a network that remembers
#
# Another network: no convolutions, 64 numbers in, 64 out, and its target is x_0 itself.
# The data are the same, the steps are four times as many, and they take a little less time than the first training.
#
# **Predict.**
# For each noisy x_t, the guess that minimises the training loss is an average of *training* digits.
# Towards the end of the walk, an average of how many of the 1500?

# %%
averaged = widgets.Prediction.number(
    "Of how many training digits is the best guess an average, at step 8?", "digits"
)
averaged

# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
dense = Objective(diffusion.MLP(dim=images[0].numel(), width=256, depth=3, n_classes=10), predict="x_0", lr=1e-3)
dense_history = train.fit(dense, (images.flatten(1), digit_class), steps=2000, seed=0)
print(f"{dense_history.step[-1]} steps in {dense_history.seconds:.0f} s")


# %% tags=["nbval-ignore-output"]
def dense_net(x_t, t):
    with torch.no_grad():
        return s.convert(dense.net(x_t, t, label), x_t, t, "x_0", "eps")


remembered = ddim(dense_net, start.flatten(1), 25, table)[-1].view(start.shape)
measure("U-Net that guesses v", good)
measure("dense network that guesses x_0", remembered)

# %%
three_seeds("U-Net that guesses v", "dense network that guesses x_0", what="copying")

# %% [markdown]
# The weights of that average are known: by Bayes' rule, each training digit counts in proportion to q(x_t | digit).
# If k digits had equal weights, the exponential of the weights' entropy would be k; so this is how many count, on average over the 300 walks at their last stop before the end, t = 8.

# %% tags=["nbval-ignore-output"]
x_8 = ddim(dense_net, start.flatten(1), 25, table)[-2]
squares = torch.cdist(x_8, table[8].sqrt() * images.flatten(1)) ** 2
weights = torch.softmax(-squares / (2 * (1 - table[8])), dim=1)
averaged.compare(torch.special.entr(weights).sum(1).exp().mean())

# %% [markdown]
# Its Fréchet distance is well below the U-Net's.
# Before you prefer it, look at the samples that lie nearest to a training digit, each with that digit below it.

# %%
distance, nearest = torch.cdist(remembered.clamp(-1, 1).flatten(1), images.flatten(1)).min(1)
closest = distance.argsort()[:14]
plots.image_rows(
    drawn=remembered[closest],
    in_the_data=images[nearest[closest]],
    alt="Fourteen digits that were drawn, and below each the training digit that lies nearest: nearly the same.",
)

# %% [markdown]
# **Explain.**
# Why does the Fréchet distance reward copies?
# And what may keep the U-Net from making them?
#
# <details>
# <summary>Answer</summary>
#
# A copy has all features of a real digit, so a set that copies each training digit once has their mean and their covariance, and the distance 0, without a single new picture.
#
# The function that minimises the training loss exactly knows nothing but the training digits: its guess is a weighted average of them, and near t = 0 the weight falls on a single one.
# So a diffusion model that fits its training loss perfectly copies, and new pictures come from how a network fails to fit it.
# The dense network is on its way there: in three trainings eight or nine samples in a hundred lay suspiciously near a training digit, where five are expected.
# That the U-Net has next to none says less than it seems, because a sample that is a little noisy or blurred lies near nothing; the same U-Net, trained longer, has 0.063 in lecture 04b, section 12.
# The U-Net treats small neighbourhoods alike everywhere in the picture, which is one explanation of why convolutional networks make new pictures (Kamb and Ganguli 2024).
# But this experiment changed four things at once, the network, its target, the learning rate and the number of steps, so it does not say which of them matters.
# You can change one at a time.
# </details>

# %% [markdown]
# ## To go on
#
# Open questions, without answers.
#
# - Train on ε or on x_0 instead of v, with the same U-Net and as many steps. Which numbers change? Use three seeds: which changes are larger than their spread?
# - Take the walk up: run `ddim_step` with η = 0 from s to t, on a real digit. Where does it end, and does it come back?
# - Mix the x_T of a 3 and an 8, so that the mixture still has variance 1. What lies in between?
# - Which of the breaks above would your exercises have caught, and which would have passed them?
#
# <details>
# <summary>Another data set, by changing one line</summary>
#
# `dataset = data.mnist` or `data.fashion_mnist`, below "Then pictures" in exercise 2: 60,000 pictures of 28 × 28, downloaded once (12 or 31 MB).
# A step of the training takes some twelve times as long, and so do the samples.
# The judge knows digits of 8 × 8 alone, and refuses others: pass over its numbers, which are `metrics.digits_report`, `measure` and `three_seeds`, and look.
# </details>

# %% [markdown]
# ## Where you stand

# %%
checks.summary()
