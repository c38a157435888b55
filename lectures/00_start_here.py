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
# # Start here
#
# This course teaches three families of generative models: conditional GANs, normalizing flows and diffusion models.
# It has *lectures*, which derive and show, and *labs*, where you build.
# Both are notebooks, and both run on a laptop with two cores and no GPU.
#
# The course keeps one promise: **what is claimed is shown**.
# Each displayed equation that says that two things are equal is followed by a cell that computes both sides.
#
# **You need** Python at the level of functions and classes, PyTorch at the level of tensors and `backward()`, and probability at the level of densities, expectations and Bayes' rule.
#
# **This page takes** five minutes.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Is everything installed?
#
# Run the next cell: click into it, then press Shift + Enter.
# It looks at every package that the course needs, and does a small computation with each of the important ones.

# %% slideshow={"slide_type": "-"}
from genlib import checks

checks.installation()

# %% [markdown]
# If a line says that something is missing, it also says what to do.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we shall do, in one picture
#
# The top row shows real digits.
# Below, noise is added to them step by step, until nothing is left but noise.
# A diffusion model learns to walk this road backwards: it starts from noise, and arrives at a digit that nobody ever wrote.

# %%
import torch

from genlib import data, diffusion, plots

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

# %% [markdown] slideshow={"slide_type": "slide"}
# ## How a lecture works
#
# - Read it top to bottom, and run every cell: Shift + Enter runs one and moves on.
# - A line such as `posterior = Bayes: equal within 1e-10` is the result of a computation, made when you ran the cell. If the two sides differed, the cell would fail.
# - Some figures are alive: a *widget* has sliders. All of them work with the keyboard. Press Tab until a slider has a frame around it, then use the arrow keys.
# - Questions have folded answers. Answer in your own words before you unfold one.
#
# Here is an identity, as they look throughout.

# %%
alpha_bar = schedule.alpha_bar[500]
checks.identity("signal + noise", alpha_bar.sqrt() ** 2 + (1 - alpha_bar), torch.tensor(1.0).double(), tol=1e-12)

# %% [markdown]
# <details><summary><b>Question.</b> Why is the noise level above not written as one minus the signal's amplitude?</summary>
#
# Because variances add, not amplitudes.
# The signal is scaled by $\sqrt{\bar\alpha_t}$, so its variance is scaled by $\bar\alpha_t$.
# The noise has variance $1 - \bar\alpha_t$, so the two sum to one.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
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
# - **not right yet**: which check failed, on which numbers, and a hint that fits the mistake.
# - **passed**: go on.
#
# Nothing is graded and nothing is sent anywhere.
# The worked solutions are in the folder `solutions`; they are most useful after you have tried.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## One name for one thing
#
# The same letters stand for the same things in every text, every plot and every line of code.
#
# | mathematics | code | what it is | shape and range |
# |---|---|---|---|
# | $x, y$ | `x`, `y` | conditional GAN: input, target image | (B, C, H, W), $y$ in [−1, 1] |
# | $c$ | `label` | class | (B,) int64 |
# | $G, D$ | `G`, `D` | generator, discriminator; $D$ returns *logits*, and sigmoid($D$) is the probability of *real* | logits (B, 1, h, w) |
# | $\lambda$ | `lam` | weight of the L1 loss | |
# | $z = f(x)$ | `z, log_det = flow(x)` | a flow runs from data to base | `log_det` (B,), nats |
# | $s, t$ | `log_s`, `shift` | coupling: $z_2 = \exp(\texttt{log\_s}) \odot x_2 + \texttt{shift}$ | like $x_2$ |
# | $x_0, x_t, \varepsilon$ | `x_0`, `x_t`, `eps` | diffusion: data, noised data, noise | (B, ...), data in [−1, 1] |
# | $t, T$ | `t`, `T` | step, 1 to $T$; step 0 is the data itself | (B,) int64 |
# | $\beta_t, \alpha_t, \bar\alpha_t$ | `beta`, `alpha`, `alpha_bar` | variance of a step, $1 - \beta_t$, and the product of all $\alpha$ up to $t$ | $T + 1$ entries: `alpha_bar[t]` is $\bar\alpha_t$ |
#
# $B$ is the number of examples in a batch.
# Logarithms are natural, so their unit is the nat, unless we say bits.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The map
#
# | | notebook | you will be able to |
# |---|---|---|
# | lecture | [03 Normalizing flows](03_normalizing_flows.ipynb) | say what a bijection does to probability, build one that is cheap, and train it by exact likelihood |
# | lab | `my_labs/lab_2_flows.ipynb` | build a flow yourself, train it, measure it, break it |
# | lecture | [04 Diffusion models](04_diffusion_models.ipynb) | derive the noising chain, the bound and the loss; sample from noise, and towards a class |
# | lab | `my_labs/lab_3_diffusion.ipynb` | build a diffusion model yourself, train it, measure it, break it |
#
# The numbers follow the lecture on which the course is built, *Conditional GANs, Flow & Diffusion Models*.
# Its other parts come before and after diffusion, and will be added under the numbers that are still free.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Credit
#
# The course follows one lecture, taught by Pulkit Agrawal at MIT on 16 November 2021, with notes taken by Emily Liu.
# It mirrors their order and their claims, in words, figures and code of its own.
# Where the notes have an error, the lecture that treats it says so and shows what holds.
