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
# # Start here
#
# This course teaches three families of generative models: conditional GANs, normalizing flows and diffusion models.
# It has *lectures*, which derive and show, and *labs*, where you build.
# Both are notebooks, and both run on a laptop with two cores and no GPU.
#
# The course keeps one promise: **what is claimed is shown**.
# Each numbered equation that says that two things are equal is followed by a cell that computes both sides.
#
# **You need** Python at the level of functions and classes, PyTorch at the level of tensors and `backward()`, and probability at the level of densities, expectations and Bayes' rule.
#
# **It takes** 10 minutes.

# %% jupyter={"source_hidden": true} tags=["remove-cell"]
# Where the course is missing, as on Colab, this installs it: the copy that the notebook lies in, or else this version.
from importlib.util import find_spec
from pathlib import Path

if not find_spec("gencourse"):
    course = "..[notebooks]" if Path("../gencourse").is_dir() else "genlib-course[notebooks]==0.1.0"
    get_ipython().run_line_magic("pip", f"install --quiet {course}")

# %% [markdown]
# ## Is everything installed?
#
# Run the next cell: click into it, then press Shift + Enter.
# It looks at every package that the course needs, and does a small computation with each of the important ones.

# %%
from gencourse import checks

checks.installation()

# %% [markdown]
# If a line says that something is missing, it also says what to do.

# %% [markdown]
# ## What we shall do, in one picture
#
# The top row shows real digits.
# Below, noise is added to them step by step, until nothing is left but noise.
# A diffusion model learns to walk this road backwards: it starts from noise, and arrives at a digit that nobody ever wrote.

# %%
import torch
from gencourse import plots

from genlib import data, diffusion

x_0 = data.digits("test").x[:12]
schedule = diffusion.Schedule.cosine(T=1000)
eps = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(0))
rows = {"t = 0": x_0}
for t in (200, 400, 600, 800, 1000):
    rows[f"t = {t}"] = schedule.q_sample(x_0, torch.full((12,), t), eps)
plots.image_rows(
    **rows,
    alt="Twelve handwritten digits, and the same digits under more and more noise; the last row is noise alone.",
)

# %% [markdown]
# ## How a lecture works
#
# - Read it top to bottom, and run every cell: Shift + Enter runs one and moves on.
# - A line such as `posterior = Bayes: equal within 1e-10` is the result of a computation, made when you ran the cell. If the two sides differed, the cell would fail.
# - Some figures are alive: a *widget* has sliders. All of them work with the keyboard. Press Tab until a slider has a frame around it, then use the arrow keys.
# - Questions have folded answers. Answer in your own words before you unfold one.
#
# Here is an identity, as they look throughout.
# Noise and signal share a variance of one, at each of the thousand steps: what a step leaves of a 1, squared, and what it leaves of a noise of 1, squared, must sum to one.

# %%
t, one = torch.arange(1, 1001), torch.ones(1000, 1, dtype=torch.float64)
signal, noise = schedule.q_sample(one, t, 0 * one), schedule.q_sample(0 * one, t, one)
checks.identity("signal + noise", signal**2 + noise**2, one, tol=1e-12)

# %% [markdown]
# <details><summary><b>Question.</b> Why do the squares sum to one, and not the numbers themselves?</summary>
#
# Because the noise is independent of the signal, and then variances add, not deviations.
# The signal is multiplied by $\sqrt{\bar\alpha_t}$, so its variance by $\bar\alpha_t$.
# The noise that comes in has the variance $1 - \bar\alpha_t$.
# If the data have variance 1, as we take them to have here, the two variances sum to one, and a signal of variance one keeps variance one at every step.
# </details>

# %% [markdown]
# ## How a lab works
#
# The labs are in the folder `my_labs`.
# The copy there is yours: edit it freely, no update of the course will overwrite it.
#
# An exercise is a function with a gap.
# Fill the gap and run the cell.
# The answer comes at once, as a panel:
#
# - **not attempted**: the gap is still there. The rest of the notebook works nevertheless, with the library's own version. You can skip an exercise and come back.
# - **wrong**: which check failed, on which numbers, and a hint that fits the mistake. If the same exercise fails again, a second hint says more, and after the third time a worked answer is there to be unfolded. `checks.hint("flows.affine")` and `checks.solution("flows.affine")` show both at any time. The line *again* is for a second look: it repeats the check on the very same numbers.
# - **passed**: and one sentence on what it is good for. Go on.
#
# To go on without an answer, put `raise NotImplementedError` back and run the cell: the library's own version stands in.
# An answer that runs for ever, or asks for more memory than there is, is stopped; the notebook lives on.
#
# Many exercises begin with a prediction.
# Write it down in the box below the question before you go on: later it is shown beside what came out.
#
# Nothing is graded and nothing is sent anywhere.
# The worked solutions are in the folder `solutions`; they are most useful after you have tried.

# %% [markdown]
# ## One name for one thing
#
# The same letters stand for the same things in every text, every plot and every line of code.
#
# | mathematics | code | what it is | shape and range |
# |---|---|---|---|
# | $x, y$ | `x`, `y` | conditional GAN: input, target picture | (B, C, H, W), $y$ in [−1, 1] |
# | $c$ | `label` | class | (B,) int64 |
# | $G, D$ | `G`, `D` | generator, discriminator; `D` returns *logits*, and their sigmoid is the probability of *real* | logits (B, 1, h, w) |
# | $\lambda$ | `lam` | weight of the L1 loss | |
# | $z = f(x)$ | `z, log_det = flow(x)` | a flow runs from data to base | `log_det` (B,), nats |
# | $s, t$ | `log_s`, `shift` | coupling: $z_2 = \exp(\texttt{log\_s}) \odot x_2 + \texttt{shift}$ | like $x_2$ |
# | $x_0, x_t, \varepsilon$ | `x_0`, `x_t`, `eps` | diffusion: data, noised data, noise | (B, ...), data in [−1, 1] |
# | $t, T$ | `t`, `T` | step, 1 to $T$; step 0 is the data itself | (B,) int64 |
# | $\beta_t, \alpha_t, \bar\alpha_t$ | `beta`, `alpha`, `alpha_bar` | variance of a step, $1 - \beta_t$, and the product of all $\alpha$ up to $t$ | $T + 1$ entries: `alpha_bar[t]` is $\bar\alpha_t$ |
#
# $B$ is the number of examples in a batch.
# Logarithms are natural, so their unit is the nat, unless we say bits.
# $E[\cdot]$ is an expectation, $N(\mu, \Sigma)$ a Gaussian with covariance $\Sigma$, and $\|\cdot\|$ the length of a vector.
#
# A density without an index, $p$, is that of the data; $p_G$ is that of what a generator makes, $p_\theta$ that of a model with parameters $\theta$.
# $q$ is what we use on the way: an encoder's density of codes, or the chain that adds noise.
#
# Some letters have more than one use, because papers use them so.
# Where a letter could be taken for another, the text says which it is; these come up most.
#
# - $z$ is what a picture is made from: the noise that $G$ is given, the code of an autoencoder, a flow's $f(x)$. In a step back through a diffusion it is fresh noise.
# - $D$ is the discriminator. Its $D(y)$ is a probability in the formulas of papers and lectures, and the logit of that in all code and in lab 1. Where there is no discriminator, in flows and diffusion, $D$ is the dimension of $x$.
# - $t$ is a step. In a coupling it is the shift, and in lecture 05 a time between 0, the data, and 1, the noise.
# - $s$ is the logarithm of a scale, in a coupling and in a VAE's encoder alike. On the straight paths of lecture 05b it is the time, from 0 to 1.
# - $u$ is the noise that dequantizes a pixel, and in lecture 05b the velocity $x_0 - \varepsilon$ of a straight path. $v$ is a mixture of noise and data that a network may predict; the `v` of a learned variance is another one.
# - $p$ is a density, and $P$ a probability. The p-value of lab 4 is neither.
#
# %% [markdown]
# ## The map
#
# | | notebook | minutes | it asks |
# |---|---|---|---|
# | lecture | [01 Learned losses](01_learned_losses.ipynb) | 60 | a network does what its loss asks for: who asks the loss? |
# | lecture | [02 Conditional GANs](02_conditional_gans.ipynb) | 65 | a picture has many right answers: how do we get one of them, and not their mean? |
# | lab | `my_labs/lab_1_conditional_gan.ipynb` | 120 | build one: walls, lawns and paths where a map asks for them |
# | lecture | [03 Normalizing flows](03_normalizing_flows.ipynb) | 65 | can a network give every picture a probability, exactly, and still draw new ones? |
# | lecture | [03b Other flows](03b_other_flows.ipynb) | 25 | a coupling is one layer with a cheap determinant: which others are there? |
# | lab | `my_labs/lab_2_flows.ipynb` | 120 | build a flow, for points and for digits |
# | lecture | [04 Diffusion models](04_diffusion_models.ipynb) | 50 | how can a machine that only removes a little noise make a picture out of nothing? |
# | lecture | [04b Learning and sampling](04b_learning_and_sampling.ipynb) | 65 | what should a network that walks the road back minimise, and how do we draw what it has learned? |
# | lab | `my_labs/lab_3_diffusion.ipynb` | 150 | build a diffusion model, down to guidance |
# | lecture | [05 Continuous time](05_continuous_time.ipynb) | 30 | what is left of a diffusion model when its steps become infinitely small? |
# | lecture | [05b Paths and weights](05b_paths_and_weights.ipynb) | 30 | how few calls will do, where should a training look, and which path is the best? |
# | lab | `my_labs/lab_6_continuous_time.ipynb` | 45 | build the score, a better step, an exact likelihood, and flow matching |
# | lecture | [06 After 2021](06_after_2021.ipynb) | 30 | what made these models large, quick and general? |
# | lecture | [07 Side by side](07_side_by_side.ipynb) | 35 | which of them shall we take, and how would we know? |
# | lecture | [08 The notes, corrected](08_the_notes_corrected.ipynb) | 30 | which sentences of the lecture's notes hold, and how would one find out? |
# | lab | `my_labs/lab_4_one_truth.ipynb` | 90 to 120 | measure a model against a truth that nobody can see, and defend it |
# | lab | `my_labs/lab_5_faults.ipynb` | 150 | which number tells that code is wrong, when it runs and looks right? |
#
# Each lecture ends with what the next one asks, so the order above is the one to read in.

# %% [markdown]
# ## Credit
#
# The course follows one lecture, taught by Pulkit Agrawal at MIT on 16 November 2021, with notes taken by Emily Liu.
# It mirrors their order and their claims, in words, figures and code of its own.
# Where the notes have an error, the lecture that treats it says so, and [lecture 08](08_the_notes_corrected.ipynb) has all of them in one place; [row 21](08_the_notes_corrected.ipynb#Row-21) there corrects the lecturer's name, as spelled here.
#
# So let us begin where every training begins: with a loss.
# A network does what its loss asks for; who asks the loss?
# That is the first lecture, [Learned losses](01_learned_losses.ipynb).
