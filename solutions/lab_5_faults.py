# %% [markdown]
# # Lab 5 · Faults that happened
#
# **You will do.**
# Write thirteen tests.
# Each has to refuse a piece of code that runs, looks right and is wrong, and to accept code that is right, whoever wrote it.
#
# **You will learn.**
# Which number tells that a generative model is wrong, when no error message does; four kinds of test; and how wide a tolerance has to be.
#
# **You need.**
# Labs 2 and 3, or lectures 03, 04, 04b and 05; Python's `assert`.
#
# **It takes** about two and a half hours.
# Nothing is trained for longer than a few seconds.

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
from torch import nn

from genlib import diffusion

torch.set_num_threads(1)  # all that is computed here is small

# %% [markdown]
# ## How it works
#
# A course shows right code.
# What one meets outside is wrong code that runs: its loss falls, its samples look nearly right, and somebody finds out months later.
# Each fault in this lab is of a kind that was reported in public, against a repository that people use or learn from.
# The reports are named, and what they say is said exactly; the code is our own, cut down to the fault.
#
# An exercise shows one faulty function and asks for a *test* of it, `test_…(candidate)`.
# The test calls the candidate as often as it likes, and refuses it by an `AssertionError`: from `assert`, or from `torch.testing.assert_close`.
# If it comes to its end, it accepts.
# When you run the cell, your test meets several candidates:
#
# - *right ones*, written in different styles, in float32 and float64, with other algebra: it has to accept all of them;
# - *the faulty one* above it, and *relatives* of its fault, which you do not see: it has to refuse them all.
#
# The answer says how many faults were caught, or that a right one was refused, and hints at a number that would tell.
# A right candidate is right to four digits, and its dtype is its own affair: `assert_close` has to be told so, by `atol=1e-4, rtol=0` and `.double()` on both sides.
# Everything runs again with other random numbers, so that a test that depends on luck is found out.
#
# Any other exception is a fault of the test: if it falls over on a wrong candidate, nobody can tell a finding from a broken test.
# So ask for the shape before you compute with a result, and for `requires_grad` before you call autograd.
# (A candidate that falls over by itself counts as refused.)
# Where a *Predict* has a place below it, answer there: it is kept, and shown again beside what came out.
# When you are stuck, `checks.hint(name)` says more and `checks.solution(name)` shows a worked test; with `raise NotImplementedError` back in its place, an exercise is left out, and the worked test stands in.

# %% [markdown]
# # Part 1 · Four kinds of test
#
# Every claim of this course is shown by a number that was computed twice.
# There are four ways to get the second one, and they differ in what they cannot see.
#
# We try them on one function: the divergence of an encoder's Gaussian from the standard normal (lecture 01), one number for each example:
#
# $$\operatorname{KL} = \tfrac12 \sum_d \big(\mu_d^2 + \sigma_d^2 - 1 - \log\sigma_d^2\big)$$
#
# Here it is, and beside it four faults.
# The mean over the latent dimensions in place of the sum was reported against Keras's example (keras-team/keras-io #270); a sum that swallows the batch as well against an implementation of NVAE (GlassyWing/nvae #3); a variance taken for a deviation against a bits-back coder (bjlkeng/sandbox #10). The last one we add ourselves.


# %%
def kl(mean, log_var):
    return 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum(1)


def mean_over_latents(mean, log_var):
    return 0.5 * (mean**2 + log_var.exp() - 1 - log_var).mean(1)


def batch_swallowed(mean, log_var):
    return 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum().expand(len(mean))


def deviation_for_variance(mean, log_var):
    return 0.5 * (mean**2 + (0.5 * log_var).exp() - 1 - log_var).sum(1)


def one_forgotten(mean, log_var):
    return 0.5 * (mean**2 + log_var.exp() - log_var).sum(1)


# %% [markdown]
# **A second implementation** computes the same by another road: slower, plainer, with other tools.
# It sees everything, if it is right itself and was not written by the same mistake.
# Loops over plain numbers are good at that, as nothing broadcasts there.


# %%
def by_a_second_implementation(candidate):
    mean, log_var = torch.randn(2, 3, 5, dtype=torch.float64)
    got = candidate(mean, log_var)
    for b in range(3):
        want = 0.0
        for m, s in zip(mean[b].tolist(), log_var[b].tolist(), strict=True):
            want += (m * m + math.exp(s) - 1 - s) / 2
        assert abs(float(got[b]) - want) < 1e-4


# %% [markdown]
# **Autograd** knows the derivative of whatever ran, and theory often knows it, too: ∂KL/∂μ = μ, ∂KL/∂ log σ² = (σ² − 1)/2.
# In a flow it is the other way round: the candidate claims a derivative, and autograd checks it.
# It cannot see a constant.


# %%
def by_autograd(candidate):
    mean, log_var = torch.randn(2, 3, 5, dtype=torch.float64)
    mean.requires_grad_()
    log_var.requires_grad_()
    slopes = torch.autograd.grad(candidate(mean, log_var).sum(), (mean, log_var))
    assert ((slopes[0] - mean).abs() < 1e-4).all()
    assert ((slopes[1] - (log_var.exp() - 1) / 2).abs() < 1e-4).all()


# %% [markdown]
# **A closed form** is a case whose answer is known without computing: N(0, 1) has the divergence 0 from itself, N(3, 1) has 9/2.
# It is the quickest test of all, and sees only what its case contains: in one dimension, and for one example, a mean is a sum.


# %%
def by_a_closed_form(candidate):
    for mean, want in ((0.0, 0.0), (3.0, 4.5)):
        got = candidate(torch.tensor([[mean]]), torch.zeros(1, 1))
        assert abs(float(got) - want) < 1e-4


# %% [markdown]
# **A simulation** draws, and averages what the number *means*: here E[log q(z) − log p(z)], with z from q.
# No formula is needed but the definition.
# Its answer has a *standard error*, the deviation of one draw divided by √n, and a test without it is no test: with a tolerance of two standard errors it refuses right code once in twenty runs, with three once in 370, with five once in 1.7 million.
# And a fault that is smaller than the tolerance it cannot see.


# %%
def by_a_simulation(candidate):
    n, mean, log_var = 40_000, torch.tensor([[0.5, -1.0]]), torch.tensor([[0.9, 0.4]])
    q = torch.distributions.Normal(mean, (0.5 * log_var).exp())
    p = torch.distributions.Normal(0.0, 1.0)
    z = q.sample((n,))
    draws = (q.log_prob(z) - p.log_prob(z)).sum(-1)
    assert abs(float(candidate(mean, log_var)) - draws.mean()) < 5 * draws.std() / n**0.5


# %% [markdown]
# **Predict.**
# Four tests meet four faults.
# Which test catches all of them, and which the fewest?

# %%
fewest = widgets.Prediction.choice(
    "Which test catches the fewest faults?", ["2nd implementation", "autograd", "closed form", "simulation"]
)
fewest


# %%
def verdict(test, candidate):
    try:
        test(candidate)
    except AssertionError:
        return "refused"
    return "accepted"


tests = [by_a_second_implementation, by_autograd, by_a_closed_form, by_a_simulation]
candidates = [kl, mean_over_latents, batch_swallowed, deviation_for_variance, one_forgotten]
torch.manual_seed(0)
plots.table(
    ["2nd implementation", "autograd", "closed form", "simulation"],
    [plots.Row(f.__name__, [verdict(test, f) for test in tests]) for f in candidates],
    caption="What each test says of each candidate.",
)

# %%
caught = [sum(verdict(test, f) == "refused" for f in candidates[1:]) for test in tests]
fewest.compare(fewest.spec["options"][caught.index(min(caught))])

# %% [markdown]
# **Explain.**
# How could each blind spot be closed?
#
# <details>
# <summary>Answer</summary>
#
# The closed form was asked in one dimension, for one example and with σ = 1.
# There a mean is a sum, a batch is its one example, and a deviation is a variance: it misses three faults, and catches the forgotten 1.
# A closed form with two dimensions, two examples and σ = 2 would see them all: choose sizes and numbers that are all different, and none of them 0 or 1.
# Autograd misses the constant, and always will; a value at one point beside it is enough.
# The simulation had a batch of one, so that it could not see what happens between examples.
# Only the second implementation refuses all four, on numbers that happened to be general: it drew them.
# </details>

# %% [markdown]
# # Part 2 · Shapes and tables
#
# ## 1 · A mean of too many squares
#
# *Reported:* jsboige/CoursIA, pull request 926. Four training scripts for time series handed predictions of shape (B, 1) and targets of shape (B,) to a mean squared error, where one step ahead was predicted. PyTorch warned, and computed a (B, B) matrix of differences. A whole comparison had been run with it.


# %%
def faulty_mse(prediction, target):
    return ((prediction - target) ** 2).mean()


# %% [markdown]
# **Predict.**
# What does a network learn that minimises this?

# %%
learned = widgets.Prediction.choice(
    "What does a network learn that minimises this?",
    ["the targets, only more slowly", "the targets, half as steep", "one number, whatever x is"],
)
learned


# %%
@checks.exercise("faults.test_mse")
def test_mse(candidate):
    """Accept every right mean squared error, refuse every faulty one, by assert.

    candidate(prediction, target): the mean of the B squared errors, of shape ().
    Shapes: prediction (B, 1), with gradients; target (B,). ∂loss/∂prediction is
    2 (prediction − target)/B. Right is right to 1e-4, in any float dtype."""
    ### BEGIN SOLUTION
    p = torch.randn(7, 1, dtype=torch.float64, requires_grad=True)
    y = torch.randn(7, dtype=torch.float64)
    loss = candidate(p, y)
    pairs = zip(p.flatten().tolist(), y.tolist(), strict=True)
    want = sum((a - b) ** 2 for a, b in pairs) / 7  # a second implementation, without any shape
    assert loss.shape == ()
    assert loss.requires_grad
    assert abs(float(loss) - want) < 1e-4
    (slope,) = torch.autograd.grad(loss, p)
    assert ((slope - 2 * (p - y[:, None]) / 7).abs() < 1e-4).all()
    ### END SOLUTION


# %% [markdown]
# **Look.**
# A straight line is fitted to points that lie on one, by 300 steps of gradient descent on each loss.


# %%
def fitted(loss, steps=300):
    x = torch.linspace(-1, 1, 21)
    line = torch.zeros(2, requires_grad=True)
    for _ in range(steps):
        (slope,) = torch.autograd.grad(loss((line[0] + line[1] * x)[:, None], 1 + 2 * x), line)
        line = (line - 0.2 * slope).detach().requires_grad_()
    return (line[0] + line[1] * x).detach()


ramp = torch.linspace(-1, 1, 21)
flat = fitted(faulty_mse)
plots.figure(
    plots.lines(
        ramp,
        {
            "the data": 1 + 2 * ramp,
            "mean of B squares": fitted(lambda p, y: ((p[:, 0] - y) ** 2).mean()),
            "faulty": flat,
        },
        xlabel="x",
        ylabel="y",
    ),
    alt="A rising line through the data, the right fit upon it, and the faulty fit: a horizontal line at their mean.",
)

# %%
rise = float(flat[-1] - flat[0]) / 4  # the data rise by 4
learned.compare(learned.spec["options"][2 if rise < 0.25 else 1 if rise < 0.75 else 0])

# %% [markdown]
# **Explain.**
# Why is the fit flat, and why does its loss fall all the same?
#
# <details>
# <summary>Answer</summary>
#
# Every prediction is compared with every target, so the best one number for each of them is the mean of all targets, whatever x is.
# The loss falls from its start to the variance of the targets, and stays there: it looks like a problem that is hard to learn.
# A batch of one does not tell, nor do targets that are all alike; two pairs whose squares you add by hand do.
# </details>

# %% [markdown]
# ## 2 · A root forgotten
#
# *Reported:* Ryota-Kawamura/How-Diffusion-Models-Work #1. In a notebook of a short course the noise is multiplied by 1 − ᾱ_t, where its root belongs; the reader who reports it quotes the formula of the DDPM paper.


# %%
def faulty_q_sample(x_0, t, eps, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x_0.dim() - 1))
    return a.sqrt() * x_0 + (1 - a) * eps


# %% [markdown]
# **Predict.**
# For data of variance 1: at which t is the variance of x_t most wrong, and how much?
# Draw the variance over t, for the cosine schedule of 200 steps; with the root it is 1 at every t.

# %%
dip = widgets.Prediction.curve(
    "The variance of x_t, where the root is forgotten:", (0, 200, "step t"), (0.5, 1.5, "variance")
)
dip


# %%
@checks.exercise("faults.test_q_sample")
def test_q_sample(candidate):
    """Accept every right q_sample, refuse every faulty one, by assert.

    candidate(x_0, t, eps, alpha_bar): √ᾱ_t x_0 + √(1 − ᾱ_t) eps, example by example.
    Shapes: x_0, eps, result (B, ...), of any number of axes; t (B,) int64 in 1..T;
    alpha_bar (T + 1,), ᾱ_0 = 1. Right is right to 1e-4, in any float dtype."""
    ### BEGIN SOLUTION
    alpha_bar = torch.linspace(1, 0.01, 11, dtype=torch.float64)
    t = torch.tensor([10, 1, 4, 7, 2])
    for shape in ((5,), (5, 3), (5, 1, 4, 6)):  # sizes that all differ
        x_0, eps = torch.randn(2, *shape, dtype=torch.float64)
        x_t = candidate(x_0, t, eps, alpha_bar)
        a = [float(alpha_bar[step]) for step in t]
        want = torch.stack([a[b] ** 0.5 * x_0[b] + (1 - a[b]) ** 0.5 * eps[b] for b in range(5)])
        torch.testing.assert_close(x_t.double(), want, rtol=0, atol=1e-4)
    ### END SOLUTION


# %% [markdown]
# **Look.**
# The variance of x_t over the cosine schedule, for data of variance 1.

# %%
schedule = diffusion.Schedule.cosine(T=200)
every = torch.arange(1, 201)
ones, zeros = torch.ones(200, 1, dtype=torch.float64), torch.zeros(200, 1, dtype=torch.float64)
signal = faulty_q_sample(ones, every, zeros, schedule.alpha_bar)
noise = faulty_q_sample(zeros, every, ones, schedule.alpha_bar)
variance = {"with the root": ones[:, 0], "without": (signal**2 + noise**2)[:, 0]}
plots.figure(
    plots.lines(every, variance, xlabel="step t", ylabel="variance of $x_t$", ylim=(0.6, 1.1)),
    alt="The variance with the root is 1 at all steps; without it it dips to three quarters in the middle.",
)

# %%
from_0 = torch.cat([ones[:1, 0], variance["without"]])  # at step 0 it is 1
dip.compare(from_0[dip.places.round().long()])

# %% [markdown]
# **Explain.**
# Samples made with this still look like something. Why?
#
# <details>
# <summary>Answer</summary>
#
# ᾱ + (1 − ᾱ)² is 1 at both ends and 3/4 at ᾱ = 1/2.
# Training and sampling may even agree with each other: it is another noise schedule, which holds too little noise for the ᾱ that it claims, so that every formula that is derived from q(x_t | x_0), the posterior among them, is off in the middle.
# Tests at the two ends, or without noise, cannot see it; one at ᾱ = 1/2 sees a quarter of the variance missing.
# </details>

# %% [markdown]
# ## 3 · Padded on the wrong side
#
# *Reported:* lucidrains/denoising-diffusion-pytorch #18. The table of ᾱ_{t−1} is made from that of ᾱ_t by leaving out the last entry and padding with a 1; after a change the 1 was put behind instead of in front. It was fixed on the same day.
#
# Here a table has T entries: entry 0 belongs to step 1, as in that repository.


# %%
def faulty_before(alpha_bar, alpha):
    return torch.nn.functional.pad(alpha_bar[:-1], (0, 1), value=1.0)


# %% [markdown]
# **Predict.**
# The posterior's variance is β̃_t = (1 − ᾱ_{t−1})/(1 − ᾱ_t) β_t. What does it become with this table, at t = 1, in the middle, and at T?


# %%
@checks.exercise("faults.test_before")
def test_before(candidate):
    """Accept every right table of ᾱ_{t−1}, refuse every faulty one, by assert.

    candidate(alpha_bar, alpha): ᾱ_0, ..., ᾱ_{T−1}, where ᾱ_0 = 1.
    Shapes: alpha_bar, which is ᾱ_1, ..., ᾱ_T, (T,); alpha, which is α_1, ..., α_T,
    (T,); the result (T,). Both arguments stay as they are. Right is right to 1e-4, in
    any float dtype."""
    ### BEGIN SOLUTION
    for T in (4, 9):
        alpha = 0.5 + 0.5 * torch.rand(T, dtype=torch.float64)
        alpha_bar = alpha.cumprod(0)
        given, steps = alpha_bar.clone(), alpha.clone()
        before = candidate(given, steps)
        want = torch.tensor([1.0, *alpha_bar.tolist()[:-1]], dtype=torch.float64)
        torch.testing.assert_close(before.double(), want, rtol=0, atol=1e-4)
        assert torch.equal(given, alpha_bar)  # both tables are the caller's
        assert torch.equal(steps, alpha)
    ### END SOLUTION


# %% [markdown]
# **Look.**
# The ratio β̃_t/β_t with the right table and with the padded one.

# %%
few = diffusion.Schedule.cosine(T=20)
tables = {"right": few.alpha_bar[:-1], "padded behind": faulty_before(few.alpha_bar[1:], 1 - few.beta[1:])}
ratio = {name: (1 - table) / (1 - few.alpha_bar[1:]) for name, table in tables.items()}
plots.figure(
    plots.lines(torch.arange(1, 21), ratio, xlabel="step t", ylabel=r"$\tilde\beta_t/\beta_t$"),
    alt="The right ratio rises from 0 at step 1 towards 1; the faulty one is 1 until it falls to 0 at the last step.",
)

# %% [markdown]
# **Explain.**
# What does a sampler with the faulty table do in its last step, to x_0?
#
# <details>
# <summary>Answer</summary>
#
# It adds noise of variance β_1, where the posterior has none: every sample is a little noisy.
# On the other end, at T, it adds none at all.
# In between β̃_t is β_t, which is a choice that people make on purpose, so that samples look right.
# Only the two ends tell, and they are two numbers that are known: β̃_1 = 0, and ᾱ_0 = 1.
# A later relative, reported against Stability-AI/stablediffusion (pull request 345), is a first entry that is ᾱ_1 instead of 1; you have met it among the hidden ones.
# </details>

# %% [markdown]
# # Part 3 · Samplers
#
# ## 4 · Another ᾱ
#
# *Reported:* lucidrains/denoising-diffusion-pytorch #81. DDIM's steps read the table of ᾱ_{t−1} at the step they go to, where the table of ᾱ_t belongs. The reporter saw it in a task of one dimension: the old paths had bends which the corrected ones did not have. Pull request 83 corrected it.
#
# Our tables have T + 1 entries again: `alpha_bar[s]` is ᾱ_s.


# %%
def faulty_ddim_step(x_t, eps_hat, t, s, alpha_bar):
    now, then = alpha_bar[t], alpha_bar[max(s - 1, 0)]
    x_0 = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    return then.sqrt() * x_0 + (1 - then).sqrt() * eps_hat


# %% [markdown]
# **Predict.**
# A walk ends with s = 0. Is the last step wrong? And those before it?

# %%
astray = widgets.Prediction.choice(
    "Which steps of a walk down to s = 0 are wrong?",
    ["all of them", "all but the last one", "the last one alone"],
)
astray


# %%
@checks.exercise("faults.test_ddim_step")
def test_ddim_step(candidate):
    """Accept every right step of DDIM (η = 0), refuse every faulty one, by assert.

    candidate(x_t, eps_hat, t, s, alpha_bar): x_s = √ᾱ_s x̂_0 + √(1 − ᾱ_s) eps_hat,
    with x̂_0 = (x_t − √(1 − ᾱ_t) eps_hat)/√ᾱ_t. Shapes: x_t, eps_hat, result (...);
    t, s plain numbers, 0 ≤ s < t ≤ T; alpha_bar (T + 1,). Right to 1e-4, in any float
    dtype."""
    ### BEGIN SOLUTION
    alpha_bar = torch.linspace(1, 0.01, 11, dtype=torch.float64)
    x_0, eps = torch.randn(2, 4, 3, dtype=torch.float64)
    noised = {t: a.sqrt() * x_0 + (1 - a).sqrt() * eps for t, a in enumerate(alpha_bar)}
    for t, s in ((10, 9), (10, 3), (7, 2), (4, 0), (1, 0)):
        x_s = candidate(noised[t], eps, t, s, alpha_bar)  # the noise is guessed without an error,
        torch.testing.assert_close(x_s.double(), noised[s], rtol=0, atol=1e-4)  # so it has to arrive
    ### END SOLUTION


# %% [markdown]
# **Look.**
# The data are N(0, 1/4), whose best guess of the noise is known in a closed form.
# We walk from the same four starts, by twenty steps of a right sampler and of the faulty one.


# %%
def walked(step, table, start=(-2.0, -0.7, 0.7, 2.0)):
    path = [torch.tensor(start, dtype=torch.float64)]
    for t in range(len(table) - 1, 0, -1):
        a = table[t]
        eps_hat = (1 - a).sqrt() * path[-1] / (a / 4 + 1 - a)
        path.append(step(path[-1], eps_hat, t, t - 1, table))
    return torch.stack(path, 1)


def right_step(x_t, eps_hat, t, s, table):
    x_hat = (x_t - (1 - table[t]).sqrt() * eps_hat) / table[t].sqrt()
    return table[s].sqrt() * x_hat + (1 - table[s]).sqrt() * eps_hat


right_path, faulty_path = (walked(step, few.alpha_bar) for step in (right_step, faulty_ddim_step))
panels = [
    plots.lines(
        torch.arange(21), dict(zip("abcd", path, strict=True)), xlabel="steps taken", title=title, legend=False
    )
    for path, title in ((right_path, "right"), (faulty_path, "another ᾱ"))
]
plots.figure(
    *panels,
    alt="Four paths from noise to data. The right ones narrow smoothly; the faulty ones narrow too fast and end with too little spread.",
)

# %%
spread = (faulty_path[:, -1] / right_path[:, -1]).mean()
print(f"the faulty samples are spread {spread:.2f} times as far as the right ones")

# %%
unit = torch.ones(1, dtype=torch.float64)  # each step by itself, from the same place
by_both = [
    [step(unit, unit, t, t - 1, few.alpha_bar) for step in (faulty_ddim_step, right_step)]
    for t in range(20, 0, -1)
]
*wrong, last_wrong = [not torch.allclose(a, b) for a, b in by_both]
print(
    f"{sum(wrong)} of the 19 steps to s ≥ 1 are wrong; the step to s = 0 is {'wrong' if last_wrong else 'right'}"
)
astray.compare(astray.spec["options"][0 if all(wrong) and last_wrong else 1 if all(wrong) else 2])

# %% [markdown]
# **Explain.**
# The last step jumps to the guess of x_0, and there both ᾱ are 1. So why are the samples wrong?
#
# <details>
# <summary>Answer</summary>
#
# Each step before it lands at a point that belongs to an earlier time than the network is told next: it is shown too little noise for the t that it gets, and takes signal for noise.
# A test by the end of the walk alone, on a single data point, is blind: whatever came before, the last step jumps to x̂_0.
# A perfect guess of the noise makes the single step testable: from √ᾱ_t x_0 + √(1 − ᾱ_t) ε it has to arrive at √ᾱ_s x_0 + √(1 − ᾱ_s) ε.
# </details>

# %% [markdown]
# ## 5 · Clipped, and not fitted
#
# *Reported:* lucidrains/denoising-diffusion-pytorch, pull request 84. The guess of x_0 is clipped to [−1, 1] and the guess of the noise left as it was, so that the two no longer make x_t; GLIDE's implementation computes the noise anew, and so the author proposes. The owner adopted it.


# %%
def faulty_clipped_step(x_t, eps_hat, t, s, alpha_bar):
    now, then = alpha_bar[t], alpha_bar[s]
    x_0 = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    x_0 = x_0.clamp(-1, 1)
    return then.sqrt() * x_0 + (1 - then).sqrt() * eps_hat


# %% [markdown]
# **Predict.**
# If no guess leaves [−1, 1], what is wrong with this step?


# %%
@checks.exercise("faults.test_clipped_step")
def test_clipped_step(candidate):
    """Accept every right clipped step, refuse every faulty one, by assert.

    candidate(x_t, eps_hat, t, s, alpha_bar): as the step of exercise 4, but with x̂_0
    clipped to [−1, 1], and with the ε that belongs to x_t and the clipped x̂_0 in the
    place of eps_hat. Shapes, ranges, dtypes and accuracy as there; s ≥ 0, ᾱ_t < 1."""
    ### BEGIN SOLUTION
    alpha_bar = torch.linspace(1, 0.01, 11, dtype=torch.float64)
    x_0 = torch.linspace(-3, 3, 13, dtype=torch.float64)  # beyond -1, inside, and beyond 1
    eps = torch.randn(13, dtype=torch.float64)
    for t, s in ((9, 8), (9, 3), (5, 0)):
        now, then = alpha_bar[t], alpha_bar[s]
        x_t = now.sqrt() * x_0 + (1 - now).sqrt() * eps
        x_s = candidate(x_t, eps, t, s, alpha_bar)
        kept = x_0.clamp(-1, 1)
        belongs = (x_t - now.sqrt() * kept) / (1 - now).sqrt()  # x_t is what it was
        want = then.sqrt() * kept + (1 - then).sqrt() * belongs
        torch.testing.assert_close(x_s.double(), want, rtol=0, atol=1e-4)
    ### END SOLUTION


# %% [markdown]
# **Look.**
# x_s over the guess of x_0, from t = 15 to s = 10, for an x_t that is 0.5.


# %%
def fitted_step(x_t, eps_hat, t, s, table):
    x_hat = ((x_t - (1 - table[t]).sqrt() * eps_hat) / table[t].sqrt()).clamp(-1, 1)
    return right_step(x_t, (x_t - table[t].sqrt() * x_hat) / (1 - table[t]).sqrt(), t, s, table)


guess = torch.linspace(-3, 3, 121, dtype=torch.float64)
its_eps = (0.5 - few.alpha_bar[15].sqrt() * guess) / (1 - few.alpha_bar[15]).sqrt()
x_10 = {
    name: step(torch.full_like(guess, 0.5), its_eps, 15, 10, few.alpha_bar)
    for name, step in (("ε fitted", fitted_step), ("ε as it was", faulty_clipped_step))
}
plots.figure(
    plots.lines(guess, x_10, xlabel=r"guess of $x_0$", ylabel="$x_{10}$"),
    alt="With the noise fitted, x_10 is constant beyond ±1; with the old noise it turns back beyond ±1, and falls.",
)

# %% [markdown]
# **Explain.**
# Beyond 1, a larger guess of x_0 gives a *smaller* x_s. Where does that come from?
#
# <details>
# <summary>Answer</summary>
#
# From the stale ε: the larger the guess of x_0, the smaller the noise that would explain x_t, and that noise still goes into x_s, though x_0 was cut.
# The equation x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε holds before the clip, and has to hold after it; only then is x_s a point that training has seen.
# Guesses inside [−1, 1] cannot tell, nor can s = 0.
# </details>

# %% [markdown]
# ## 6 · Negative, behind a clamp
#
# *Reported:* jsboige/CoursIA, pull request 16158. A review finds that a DDIM sampler with η takes η²(1 − ᾱ_t) for the variance of the fresh noise. The measurement in the pull request: with a linear schedule, η = 1 and 20 steps of 1000, what should be left for the old noise is negative in 19 of 19 intermediate steps, and `clamp(min=0)` makes a 0 of it. It was corrected before the merge.


# %%
def faulty_noisy_step(x_t, eps_hat, z, t, s, eta, alpha_bar):
    now, then = alpha_bar[t], alpha_bar[s]
    x_0 = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    direction = (1 - then - eta**2 * (1 - now)).clamp(min=0).sqrt()
    return then.sqrt() * x_0 + direction * eps_hat + eta * (1 - now).sqrt() * z


# %% [markdown]
# **Predict.**
# x_s should hold noise of variance 1 − ᾱ_s in all. How much does it hold here, for η = 0 and for η = 1?


# %%
@checks.exercise("faults.test_noisy_step")
def test_noisy_step(candidate):
    """Accept every right step with fresh noise, refuse every faulty one, by assert.

    candidate(x_t, eps_hat, z, t, s, eta, alpha_bar): x_s = √ᾱ_s x̂_0
    + √(1 − ᾱ_s − σ²) eps_hat + σ z, where x̂_0 is as in exercise 4 and
    σ² = η² (1 − ᾱ_s)/(1 − ᾱ_t) (1 − ᾱ_t/ᾱ_s). Shapes, dtypes and accuracy as there;
    η is a plain number, 0 ≤ η ≤ 1."""
    ### BEGIN SOLUTION
    alpha_bar = torch.linspace(1, 0.01, 11, dtype=torch.float64)
    one = torch.ones(3, dtype=torch.float64)
    for t, s, eta in ((10, 9, 1.0), (10, 4, 1.0), (7, 2, 0.5), (7, 6, 0.0), (3, 0, 1.0)):
        now, then = alpha_bar[t], alpha_bar[s]
        # the step is linear: one of x_0, eps and z is 1, and the two others are 0
        signal = candidate(now.sqrt() * one, 0 * one, 0 * one, t, s, eta, alpha_bar)
        noise = candidate((1 - now).sqrt() * one, one, 0 * one, t, s, eta, alpha_bar)
        fresh = candidate(0 * one, 0 * one, one, t, s, eta, alpha_bar)
        beta_tilde = (1 - then) / (1 - now) * (1 - now / then)  # the posterior's variance
        wanted = (signal, then.sqrt()), (fresh, eta * beta_tilde.sqrt()), (noise**2 + fresh**2, 1 - then)
        for got, want in wanted:
            torch.testing.assert_close(got.double(), want * one, rtol=0, atol=1e-4)
        assert (noise > -1e-6).all()
    ### END SOLUTION


# %% [markdown]
# **Look.**
# The variance of all noise in x_s, over η, from t = 15 to s = 10.

# %%
eta_axis = torch.linspace(0, 1, 41, dtype=torch.float64)
unit, t_15 = torch.ones(1, dtype=torch.float64), few.alpha_bar[15]
old = torch.cat(
    [faulty_noisy_step((1 - t_15).sqrt() * unit, unit, 0 * unit, 15, 10, e, few.alpha_bar) for e in eta_axis]
)
new = torch.cat([faulty_noisy_step(0 * unit, 0 * unit, unit, 15, 10, e, few.alpha_bar) for e in eta_axis])
total = {"1 − ᾱ": (1 - few.alpha_bar[10]).expand(41), "faulty": old**2 + new**2}
plots.figure(
    plots.lines(eta_axis, total, xlabel="η", ylabel="variance of the noise"),
    alt="The right variance is constant; the faulty one agrees until eta is about 0.77 and then rises above it.",
)

# %% [markdown]
# **Explain.**
# For small η the sum is right. Is the step?
#
# <details>
# <summary>Answer</summary>
#
# Until the root becomes negative, the squares add up to 1 − ᾱ_s, whatever σ is: that sum alone is no test of σ.
# But the share of fresh noise is too large, and for η = 1 it is not the ancestral step that it is said to be.
# Two numbers tell: the sum of the squares for η = 1, and z's own factor, which between neighbours is √β̃_t.
# A clamp, a nan_to_num or a try in the middle of a formula is a place to put an assert instead.
# </details>

# %% [markdown]
# # Part 4 · Flows and gradients
#
# ## 7 · There, and not back
#
# *Reported:* karpathy/pytorch-normalizing-flows #5 (and #10). A coupling takes every second coordinate as one half and writes the two halves one after the other; the way back splits in the same manner, so that beyond two dimensions it does not reconstruct its input.


# %%
def faulty_coupling(x, net, inverse=False):
    kept, moved = x[:, 0::2], x[:, 1::2]
    log_s, shift = net(kept)
    if inverse:
        moved, log_det = (moved - shift) * torch.exp(-log_s), -log_s.sum(1)
    else:
        moved, log_det = moved * torch.exp(log_s) + shift, log_s.sum(1)
    return torch.cat([kept, moved], dim=1), log_det


# %% [markdown]
# **Predict.**
# Is log_det right on the way there? Can such a flow be trained by its likelihood?


# %%
@checks.exercise("faults.test_coupling")
def test_coupling(candidate):
    """Accept every right coupling, refuse every faulty one, by assert.

    candidate(x, net, inverse=False): z and log_det; with inverse=True x and log_det
    from z. One half of the coordinates is kept, and net(kept) gives log_s and shift
    for the other, moved·exp(log_s) + shift; which half is left open. Shapes: x, z
    (B, D), D even; net: (B, D/2) to a pair of (B, D/2); log_det (B,), in any float
    dtype. Right to 1e-4."""
    ### BEGIN SOLUTION
    for D in (2, 4, 6):
        W, V = torch.randn(2, D // 2, D // 2, dtype=torch.float64)
        net = lambda half, W=W, V=V: (0.5 + torch.tanh(half @ W), half @ V)  # noqa: E731
        x = torch.randn(3, D, dtype=torch.float64)
        z, log_det = candidate(x, net)
        back, log_det_back = candidate(z.detach(), net, inverse=True)
        assert z.shape == x.shape
        assert log_det.shape == log_det_back.shape == (3,)
        assert ((back - x).abs() < 1e-4).all()  # there and back
        assert ((log_det + log_det_back).abs() < 1e-4).all()
        for b in range(3):
            J = torch.autograd.functional.jacobian(lambda row, net=net: candidate(row[None], net)[0][0], x[b])
            assert abs(float(J.double().slogdet().logabsdet - log_det[b])) < 1e-4
        _, constant = candidate(x, lambda half: (0 * half + 0.5, 0 * half))  # it does scale a half
        assert ((constant - 0.5 * D / 2).abs() < 1e-4).all()
    ### END SOLUTION


# %% [markdown]
# **Look.**
# How far from x is the way there and back, in 2, 4 and 8 dimensions?

# %%
torch.manual_seed(0)
far = []
for D in (2, 4, 8):
    x = torch.randn(1000, D, dtype=torch.float64)
    there, _ = faulty_coupling(x, lambda half: (torch.tanh(half), half.sin()))
    back, _ = faulty_coupling(there, lambda half: (torch.tanh(half), half.sin()), inverse=True)
    far.append(plots.Row(f"{D} dimensions", [float((back - x).abs().max())], form=".1f"))
plots.table(["largest error"], far, caption="There and back through the faulty coupling.")

# %% [markdown]
# **Explain.**
# A reader of the fix argues that the order of the coordinates is a permutation, whose log_det is 0, so that nothing is wrong. What is right about that, and what not?
#
# <details>
# <summary>Answer</summary>
#
# The way there is a bijection, and its log_det is right: it can be trained by likelihood, and the likelihood is the truth.
# But `inverse=True` is the inverse of another map, so that samples do not come from the density that was trained.
# Two numbers are wanted, then: autograd's log|det| for the way there, and the round trip for the way back, in more than two dimensions and with sizes that differ.
# </details>

# %% [markdown]
# ## 8 · The wrong sign
#
# *Reported:* VincentStimper/normalizing-flows #27. In the model's way from the base to the data the layers' log-determinants were subtracted, where they have to be added; the reporter found it by comparing with autograd's Jacobian. Pull request 28 corrected it. The same sign was wrong in another library's numerical inverse (danielward27/flowjax #208); the maintainer's remark there is worth keeping: the test had used a map whose log_det is 0.


# %%
def faulty_compose(x, layers):
    total = x.new_zeros(len(x))
    for layer in layers:
        x, log_det = layer(x)
        total = total - log_det
    return x, total


# %% [markdown]
# **Predict.**
# If this gave log p(x) for training, what would the flow learn to do with the volume?


# %%
@checks.exercise("faults.test_compose")
def test_compose(candidate):
    """Accept every right chain of layers, refuse every faulty one, by assert.

    candidate(x, layers): z = the last of layers of ... of the first of layers of x, and
    log_det = log|det ∂z/∂xᵀ|. A layer maps x (B, D) to a pair: (B, D), and its own
    log_det at x, (B,); you make the layers. Shapes: z (B, D), log_det (B,), in any
    float dtype. Right to 1e-4."""

    ### BEGIN SOLUTION
    def bend(a):  # stretches, by an amount that depends on where it is
        return lambda x: (x + a * torch.tanh(x), torch.log(1 + a / torch.cosh(x) ** 2).sum(1))

    def mix(x):  # mixes the coordinates, so that the order of the layers matters
        W = torch.tensor([[1.0, 2.0, 0.5], [0.0, 3.0, 1.0], [0.5, 0.0, 0.7]], dtype=x.dtype)
        return x @ W, W.slogdet().logabsdet.expand(len(x))

    x = torch.randn(4, 3, dtype=torch.float64)
    for layers in ([bend(2.0)], [bend(2.0), mix, bend(1.0)], [bend(-0.5), mix]):
        z, log_det = candidate(x, layers)
        assert log_det.shape == (4,)
        for b in range(4):
            J = torch.autograd.functional.jacobian(lambda row, f=layers: candidate(row[None], f)[0][0], x[b])
            assert abs(float(J.double().slogdet().logabsdet - log_det[b])) < 1e-4
        want = x
        for layer in layers:
            want, _ = layer(want)
        torch.testing.assert_close(z.double(), want, rtol=0, atol=1e-4)
    ### END SOLUTION


# %% [markdown]
# **Look.**
# In one dimension: z = x + 2 tanh(x) and a standard normal base.
# With the right sign p(x) integrates to 1.


# %%
def bend(x):
    return x + 2 * torch.tanh(x), torch.log(1 + 2 / torch.cosh(x) ** 2).sum(1)


line = torch.linspace(-6, 6, 2401, dtype=torch.float64)[:, None]
z, wrong_log_det = faulty_compose(line, [bend])
base = torch.exp(-(z[:, 0] ** 2) / 2) / math.sqrt(2 * math.pi)
densities = {"added": base * bend(line)[1].exp(), "subtracted": base * wrong_log_det.exp()}
plots.figure(
    plots.lines(line[:, 0], densities, xlabel="x", ylabel="p(x)"),
    alt="The right density has one high and narrow hump around 0; with the wrong sign the hump is nine times lower.",
)

# %%
for name, density in densities.items():
    print(f"log_det {name}: the integral is {float(torch.trapezoid(density, line[:, 0])):.3f}")

# %% [markdown]
# **Explain.**
# Samples drawn from the flow, z from the base and back through the layers, are right with either sign. When does the fault show?
#
# <details>
# <summary>Answer</summary>
#
# In whatever asks for a density: a likelihood, an importance weight, a training.
# As a training it rewards a map that squeezes: p(x) as it is computed grows without bound where the map flattens, and the loss falls faster than ever.
# A density that does not integrate to 1 is none, and the integral is a test of its own; autograd's Jacobian says the same example by example.
# Layers with log_det 0, shifts and permutations, cannot tell.
# </details>

# %% [markdown]
# ## 9 · A masked branch
#
# *Reported:* jax-ml/jax #347: the gradient through `where` is NaN if the branch that was not taken is, and the example there is a root of a sum of squares. And keras-team/keras-io #624: in an example of the gradient penalty the root of a gradient's squares made NaN in training, as its derivative near 0 is not defined.
# PyTorch does the same.


# %%
def faulty_length(v):
    square = (v**2).sum(1)
    return torch.where(square > 0, square.sqrt(), torch.zeros_like(square))


# %% [markdown]
# **Predict.**
# What is the value at v = 0, and what the gradient?

# %%
at_zero = widgets.Prediction.choice(
    "At v = 0, what are the value and the gradient?", ["0 and 0", "0 and inf", "0 and nan", "nan and nan"]
)
at_zero


# %%
@checks.exercise("faults.test_length")
def test_length(candidate):
    """Accept every right length, refuse every faulty one, by assert.

    candidate(v): ‖v‖ of each row. Its gradient is v/‖v‖, and 0 where v is 0.
    Shapes: v (B, D), with gradients; the result (B,). Right is right to 1e-4, in any
    float dtype, and so is its gradient, also of short vectors."""
    ### BEGIN SOLUTION
    v = torch.tensor([[3.0, -4.0], [0.0, 0.0], [0.0, 0.01], [-1.0, 1.0]], dtype=torch.float64)
    v.requires_grad_()
    want = torch.tensor([5.0, 0.0, 0.01, 2**0.5], dtype=torch.float64)
    length = candidate(v)
    torch.testing.assert_close(length.double(), want, rtol=0, atol=1e-4)
    assert length.requires_grad
    (slope,) = torch.autograd.grad(length.sum(), v)
    torch.testing.assert_close(slope, v.detach() / want.clamp(min=1e-9)[:, None], rtol=0, atol=1e-4)
    ### END SOLUTION


# %% [markdown]
# **Look.**
# One row of zeros among three.

# %%
rows = torch.tensor([[3.0, -4.0], [0.0, 0.0], [0.6, 0.8]], requires_grad=True)
lengths = faulty_length(rows)
print(lengths.detach())
slopes = torch.autograd.grad(lengths.sum(), rows)[0]
print(slopes)
at_zero.compare(f"{lengths[1]:g} and {slopes[1, 0]:g}")

# %% [markdown]
# **Explain.**
# The mask sends the gradient 0 into the root. Why does NaN come out, and what would help?
#
# <details>
# <summary>Answer</summary>
#
# The root's derivative at 0 is ∞, and the chain rule multiplies: 0 · ∞ is NaN.
# The mask has to stand *before* the root, so that the root never sees a 0; or one takes a function that knows its own derivative there, as `torch.linalg.vector_norm` does.
# Something small added under the root changes the length of short vectors instead.
# In a network this row's NaN goes into the gradient of every weight, and after one step all weights are NaN: the value looks right until then.
# </details>

# %% [markdown]
# # Part 5 · Training and drawing
#
# ## 10 · Evaluation mode
#
# *Reported:* junyanz/pytorch-CycleGAN-and-pix2pix #1329: images are good in training, poor after `model.eval()`, and good again without it; the reporter asks which is meant. The pix2pix paper says it: at test time the generator runs as in training, with dropout, which is its noise, and with the statistics of the test batch.


# %%
def faulty_generate(G, x):
    was = G.training
    G.eval()
    with torch.no_grad():
        y = G(x)
    G.train(was)
    return y


# %% [markdown]
# **Predict.**
# Two calls with the same x: does the picture change, here and in a right version?

# %%
twice = widgets.Prediction.choice(
    "Two calls with the same x: where does the picture change?",
    ["here and in a right version", "in a right version alone", "here alone", "in neither"],
)
twice


# %%
@checks.exercise("faults.test_generate")
def test_generate(candidate):
    """Accept every right generate, refuse every faulty one, by assert.

    candidate(G, x): G's pictures for the batch x, made as in training: dropout on,
    batch norm by the batch's own statistics. Afterwards G.training is what it was. G is
    any nn.Module that you make, with one mode for all its layers; x whatever it takes.
    The pictures have any float dtype, with gradients or without."""
    ### BEGIN SOLUTION
    for training in (True, False):  # whichever way G comes
        x = 3 + 2 * torch.randn(500, 4)
        layers = torch.nn.BatchNorm1d(4, affine=False), torch.nn.Dropout(0.5)
        G = torch.nn.Sequential(*layers).train(training)
        y = candidate(G, x)
        assert G.training == G[0].training == G[1].training == training
        dropped = y == 0
        assert 0.4 < dropped.float().mean() < 0.6  # dropout is on: 2000 coins
        normal = (x - x.mean(0)) / x.var(0, unbiased=False).sqrt()  # by this batch's own statistics
        assert ((y - 2 * normal)[~dropped].abs() < 1e-3).all()
        assert not torch.equal(dropped, candidate(G, x) == 0)  # and it is another one each time
    ### END SOLUTION


# %% [markdown]
# **Look.**
# A batch norm whose running statistics are still young: it has seen ten batches, with PyTorch's momentum of 0.1.

# %%
torch.manual_seed(0)
G = nn.Sequential(nn.BatchNorm1d(1, affine=False), nn.Tanh(), nn.Dropout(0.2))
for _ in range(10):
    G(4 + 3 * torch.randn(64, 1))
test_batch = 4 + 3 * torch.randn(5000, 1)
in_training = G.train()(test_batch).detach()
plots.figure(
    plots.histogram(
        {"as in training": in_training[:, 0], "evaluation mode": faulty_generate(G, test_batch)[:, 0]},
        xlabel="output",
    ),
    alt="As in training the outputs are spread evenly around 0, with a peak of dropped ones at 0; in evaluation mode they "
    "are shifted, and nothing is dropped.",
)

# %%
here = not torch.equal(faulty_generate(G, test_batch), faulty_generate(G, test_batch))
right = not torch.equal(G.train()(test_batch), G(test_batch))
in_one = "here alone" if here else "in a right version alone"
twice.compare(in_one if here != right else "here and in a right version" if here else "in neither")

# %% [markdown]
# **Explain.**
# Is `eval()` then wrong in general?
#
# <details>
# <summary>Answer</summary>
#
# No: for most networks it is right, and forgetting it is the fault.
# A mode is part of what a model *is*: here dropout is the model's z, and without it one input has one picture.
# What a function should leave as it found it, G's own mode, is a second thing to test, and one that a look at the pictures never shows.
# </details>

# %% [markdown]
# ## 11 · The wrong one of two points
#
# *Reported:* atong01/conditional-flow-matching #126. A training from eight Gaussians to two moons does not work; in the loop that the report shows, the network is handed x_1, where the point x_t on the way belongs.


# %%
def faulty_flow_loss(net, x_0, x_1, t):
    velocity = x_1 - x_0
    return ((net(x_1, t) - velocity) ** 2).mean()


# %% [markdown]
# **Predict.**
# Does this loss fall in training, and does it end above or below the right one?
# What velocity does the network learn at a point x, near the data?

# %%
lower = widgets.Prediction.choice(
    "Which of the two losses ends lower?",
    ["the right one", "the faulty one", "neither: the faulty one does not fall"],
)
lower


# %%
@checks.exercise("faults.test_flow_loss")
def test_flow_loss(candidate):
    """Accept every right loss of flow matching, refuse every faulty one, by assert.

    candidate(net, x_0, x_1, t): the mean, over all B·D numbers, of
    (net(x_t, t) − (x_1 − x_0))², where x_t = (1 − t) x_0 + t x_1; shape (), with
    gradients for net. Shapes: x_0, x_1 (B, D); t (B,) in [0, 1]; net(x_t, t), called
    once for the batch, (B, D). Right to 1e-4, gradients too, in any float dtype."""
    ### BEGIN SOLUTION
    x_0, x_1 = torch.randn(2, 5, 3, dtype=torch.float64)
    t = torch.tensor([0.1, 0.9, 0.3, 0.5, 0.75], dtype=torch.float64)
    w = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    loss = candidate(lambda x, t: w * x**2 + 2 * t[:, None], x_0, x_1, t)
    total, slope = 0.0, 0.0  # a second implementation, number by number
    for b in range(5):
        for i in range(3):
            start, end, time = float(x_0[b, i]), float(x_1[b, i]), float(t[b])
            x_t = start + time * (end - start)
            error = 0.7 * x_t**2 + 2 * time - (end - start)
            total, slope = total + error**2 / 15, slope + 2 * error * x_t**2 / 15
    assert loss.shape == ()
    assert loss.requires_grad
    assert abs(float(loss) - total) < 1e-4
    (found,) = torch.autograd.grad(loss, w)
    assert abs(float(found) - slope) < 1e-4
    ### END SOLUTION


# %% [markdown]
# **Look.**
# Two small networks, from N(0, I) to four clusters, 800 steps each: one with the right loss, one with the faulty one.


# %%
def right_loss(net, x_0, x_1, t):
    return ((net(x_0 + t[:, None] * (x_1 - x_0), t) - (x_1 - x_0)) ** 2).mean()


def trained(loss, steps=800):
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(3, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2))
    net = lambda x, t: layers(torch.cat([x, t[:, None]], 1))  # noqa: E731
    optimizer, losses = torch.optim.Adam(layers.parameters(), lr=5e-3), []
    for _ in range(steps):
        x_1 = clusters[torch.randint(len(clusters), (256,))]
        value = loss(net, torch.randn(256, 2), x_1, torch.rand(256))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return net, sum(losses[-100:]) / 100


def drawn(net, n=600, steps=50):
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for i in range(steps):
            x = x + net(x, torch.full((n,), i / steps)) / steps
    return x


# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
clusters = 3.0 * torch.randint(2, (2000, 2)) - 1.5 + 0.15 * torch.randn(2000, 2)
nets = {name: trained(loss) for name, loss in (("right", right_loss), ("shown x_1", faulty_flow_loss))}
for name, (_, last) in nets.items():
    print(f"{name}: the loss ends at {last:.2f}")
lower.compare("the faulty one" if nets["shown x_1"][1] < nets["right"][1] else "the right one")

# %%
panels = [
    plots.points({name: drawn(net)}, title=name, xlim=(-4, 4), ylim=(-4, 4)) for name, (net, _) in nets.items()
]
plots.figure(
    *panels,
    alt="Samples of the right network gather in four clusters; those of the faulty one fill a wide disc around 0.",
)

# %% [markdown]
# **Explain.**
# The faulty loss ends near 1, well below the right one. Why there, and what does the network answer?
#
# <details>
# <summary>Answer</summary>
#
# A network that is shown x_1 knows x_1, and only x_0 remains to be guessed.
# Of x_0 it learns nothing from x_1 and t, so that the best answer is x_1 − E[x_0] = x_1, and the loss is the variance of x_0, which is 1.
# It has learned the velocity u(x, t) = x at every point and every time: in unit time a sample moves away from 0 by the factor e, wherever the data are.
# The loss falls, converges, and is the lower one: the task has become easier, and another one.
# What tells is what the network is *shown*; and a test can be that network.
# </details>

# %% [markdown]
# ## 12 · A variance for a deviation
#
# *Reported:* eje24/iap-diffusion-labs #8: in lab three of a course on diffusion the sampler of a Gaussian multiplies by `std ** 2`; the teacher confirms it. And MaximeRobeyns/bayesian_flow_networks #1: a variance is handed to `torch.distributions.Normal`, which takes a deviation; samples and training improved when it was corrected.


# %%
def faulty_draw(mean, var):
    noise = torch.randn_like(mean)
    return mean + var * noise


# %% [markdown]
# **Predict.**
# For which variances is nothing to be seen? In a sampler of 200 steps, where β̃_t is about 0.01: is there too much noise, or too little?


# %%
@checks.exercise("faults.test_draw")
def test_draw(candidate):
    """Accept every right Gaussian sampler, refuse every faulty one, by assert.

    candidate(mean, var): a draw from N(mean, var) for each entry. Neither two entries
    nor two calls have to do with each other. Shapes: mean, var, result (B, ...), in any
    float dtype; var ≥ 0, and where it is 0 the mean comes back. Random: compare with
    standard errors."""
    ### BEGIN SOLUTION
    n = 20_000
    mean = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64).expand(n, 3)
    var = torch.tensor([4.0, 0.25, 0.0], dtype=torch.float64).expand(n, 3)
    x = candidate(mean, var).double()
    assert x.shape == (n, 3)
    assert ((x - mean)[:, 2].abs() < 1e-4).all()  # variance 0: the mean itself
    z = ((x - mean) / var.sqrt())[:, :2]  # should be standard normal
    assert (z.mean(0).abs() < 5 / n**0.5).all()  # each standard error: √(Var/n)
    assert ((z.var(0) - 1).abs() < 5 * (2 / n) ** 0.5).all()
    assert (((z**4).mean(0) - 3).abs() < 5 * (96 / n) ** 0.5).all()  # a Gaussian, and no other
    assert ((z[1:] * z[:-1]).mean(0).abs() < 5 / n**0.5).all()  # one row knows nothing of the next,
    assert (z[:, 0] * z[:, 1]).mean().abs() < 5 / n**0.5  # one column nothing of the other,
    again = candidate(mean, var).double()
    assert ((again - mean) / var.sqrt() * (x - mean))[:, :2].mean().abs() < 10 / n**0.5  # nor a call
    ### END SOLUTION


# %% [markdown]
# **Look.**
# The ancestral chain for data N(0, 1), whose steps are known exactly: x_{t−1} has the mean √α_t x_t and the variance β_t.
# Every x_t should have variance 1.


# %%
def variances(draw, n=20_000):
    torch.manual_seed(0)
    x = torch.randn(n)
    found = [x.var()]
    for t in range(200, 0, -1):
        x = draw((1 - schedule.beta[t]).sqrt().float() * x, schedule.beta[t].float().expand(n))
        found.append(x.var())
    return torch.stack(found)


chains = {
    "deviation": variances(lambda mean, var: mean + var.sqrt() * torch.randn_like(mean)),
    "variance": variances(faulty_draw),
}
plots.figure(
    plots.lines(torch.arange(200, -1, -1), chains, xlabel="step t", ylabel="variance of $x_t$"),
    alt="With the deviation the variance stays at 1 from step 200 to 0; with the variance in its place it falls towards 0.",
)

# %% [markdown]
# **Explain.**
# Why are the faulty samples not noise, but all alike?
#
# <details>
# <summary>Answer</summary>
#
# A variance of 0.01 is a deviation of 0.1, and 0.01 is a tenth of it: each step shrinks x as it should, and puts a hundredth of the variance back.
# What is left is near the mean of the data; for pictures, a smooth and grey one.
# Where the variance is 1 or 0 nothing is seen, and a test with `torch.ones` passes for years.
# </details>

# %% [markdown]
# ## 13 · Steps that are never drawn
#
# *Reported:* Zhendong-Wang/Diffusion-GAN #29: under one of its distributions of t the first step has the probability 0, since the weights begin with `arange(t)[0]`. And lucidrains/imagen-pytorch #265: training draws times up to 0.999, while sampling begins at 1; the owner removed the limit.


# %%
def faulty_draw_steps(n, T):
    return torch.randint(1, max(T, 2), (n,))


# %% [markdown]
# **Predict.**
# Which step of sampling meets a network that has never seen it: the first one of the walk, or the last?

# %%
unseen = widgets.Prediction.choice(
    "Which step of sampling meets a network that has never seen it?",
    ["the first one of the walk", "the last one of the walk", "none of them"],
)
unseen


# %%
@checks.exercise("faults.test_draw_steps")
def test_draw_steps(candidate):
    """Accept every right draw of training steps, refuse every faulty one, by assert.

    candidate(n, T): n steps, each of 1, ..., T with the same probability, and all
    independent of each other. Shape (n,), int64. Random: compare with standard errors;
    n and T ≥ 1."""
    ### BEGIN SOLUTION
    n, T = 20_000, 10
    t = candidate(n, T)
    assert t.shape == (n,)
    assert t.dtype == torch.int64
    assert t.min() >= 1
    assert t.max() <= T
    count = torch.bincount(t, minlength=T + 1)[1:].double()
    error = (n * (1 / T) * (1 - 1 / T)) ** 0.5  # of a count: √(n p (1 − p))
    assert ((count - n / T).abs() < 5 * error).all()
    equal = (t[1:] == t[:-1]).double().mean()  # neighbours meet by chance alone
    assert (equal - 1 / T).abs() < 5 * error / n
    middle = (T + 1) / 2
    z = (t - middle) / ((T**2 - 1) / 12) ** 0.5
    assert (z[1:] * z[:-1]).mean().abs() < 5 / n**0.5
    assert (candidate(3, 1) == 1).all()
    ### END SOLUTION


# %% [markdown]
# **Look.**
# How often is each of ten steps drawn?
# The standard error of a count is √(n p (1 − p)), about 42 here.

# %%
torch.manual_seed(0)
counts = torch.bincount(faulty_draw_steps(20_000, 10), minlength=11)[1:]
even = torch.full((10,), 2000.0)
plots.figure(
    plots.lines(torch.arange(1, 11), {"drawn": counts, "expected": even}, xlabel="step t", ylim=(0, 2500)),
    alt="Each of the steps 1 to 9 is drawn about 2220 times, step 10 never; 2000 would be expected of each.",
)

# %%
never = (counts == 0).tolist()  # a walk begins at step 10 and ends at step 1
last_or_none = "the last one of the walk" if never[0] else "none of them"
unseen.compare("the first one of the walk" if never[-1] else last_or_none)

# %% [markdown]
# **Explain.**
# Why does nobody notice, and when would they?
#
# <details>
# <summary>Answer</summary>
#
# At T the network is asked for the first time what it has never been trained on.
# A network that interpolates well in t answers as for T − 1, and nothing is seen; with a table of embeddings, one vector for each t, it gets a vector that is as random as at its start.
# No loss shows it, because the loss never asks for T either.
# A count does: 0 against 2000 ± 42.
# </details>

# %% [markdown]
# ## What a good test is
#
# - It asks on numbers where the fault shows: sizes that all differ, nothing that is 0 or 1, examples that differ from each other, more than two dimensions.
# - Its second number comes by another road: plain loops, autograd, a case that is known, draws with a standard error.
# - It asks for what the docstring says, and for nothing else: not for a dtype, not for the last digit.
# - It looks at what goes in and at what is left behind: gradients, arguments, modes.
# - It says the same tomorrow: fixed numbers, or five standard errors.
#
# The course itself is held by such tests, in `tests/`; its *mutants* are faults that are put into the library on purpose, one line at a time, to see that some test notices.
#
# ## To go on
#
# Open questions, without answers.
#
# - Take a function of your own from lab 2 or 3. Which three faults would its checks not have found?
# - Write the guidance of lab 3 with w in the wrong place, and a test that tells the conventions (1 + w) and w apart.
# - In exercise 12, how many draws does it take until a variance that is 1 % too large is found at five standard errors?
#
# <details>
# <summary>Another data set</summary>
#
# No test of this lab needs any: each makes the numbers that it tries.
# To see the faults at work on pictures, put one into lab 2 or 3, which run on MNIST when one line is changed; their last cells say which.
# </details>

# %% [markdown]
# ## Where you stand

# %%
checks.summary()
