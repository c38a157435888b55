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
# # Continuous time: paths and weights
#
# *How few calls of a network will do, where should a training look, and which path from noise to data is the best?*
#
# **You will learn**
#
# - why the error of some methods falls with the square of the steps: their order, measured as a slope;
# - the preconditioning of EDM, from two demands: unit variance in and out, and as little as possible left to say;
# - the variational bound without steps, and one table of weightings that says which losses are bounds;
# - flow matching, and why circle and straight line are two members of one family;
# - what guidance does, and does not, when the steps are infinitely small.
#
# **It takes** 30 minutes.
# **You need** the first part, [Continuous time](05_continuous_time.ipynb), of which this is the second: sections and equations are numbered on, so those up to section 6 and up to (15) stand there.

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
from gencourse import checks, plots
from torch import nn

from genlib import data, diffusion, metrics

torch.set_default_dtype(torch.float64)  # identities are shown in double precision


def seeded(seed=0):
    """A fresh generator, so that a cell that is run again draws the same numbers."""
    return torch.Generator().manual_seed(seed)


def slope(values, by):
    """The derivative of each value by its own entry of `by`."""
    return torch.autograd.grad(values.sum(), by, create_graph=True)[0]


# %% [markdown]
# ## What we bring along
#
# - *The process.* $x = \sqrt{\bar\alpha}\,x_0 + \sqrt{1 - \bar\alpha}\;\varepsilon$, where $\bar\alpha$ falls from 1 towards 0; unshrunk, $\bar x = x/\sqrt{\bar\alpha} = x_0 + \sigma\varepsilon$ with $\sigma^2 = (1 - \bar\alpha)/\bar\alpha$ (2), (3).
# - *The score.* A network that removes noise knows it: $\nabla\log q(x) = -\hat\varepsilon/\sqrt{1 - \bar\alpha}$, where $\hat\varepsilon$ and $\hat x_0$ are the means of $\varepsilon$ and $x_0$ given $x$ (7), (8).
# - *The way back.* With $\cos\varphi = \sqrt{\bar\alpha}$, the probability-flow ODE is $dx/d\varphi = \hat v = \cos\varphi\,\hat\varepsilon - \sin\varphi\,\hat x_0$ (11); a step of DDIM solves it for guesses that stand still (12).
# - *The density.* Along the ODE, $\frac{d}{d\varphi}\log q = -\nabla\!\cdot\hat v$ (13).
#
# The data are the first part's mixture on the line.

# %%
gmm = data.GaussianMixture([[-0.8], [0.6]], [[[0.04]], [[0.09]]], [0.35, 0.65])

# %% [markdown]
# ## 7. How few steps will do?
#
# DDIM's error is that the guesses change during a step.
# A better method needs an idea of *how* they change.
# For that we write the ODE in two more ways.
# With $\bar x = x/\cos\varphi$ and $\sigma = \tan\varphi$, and with $\lambda = \log(\sqrt{\bar\alpha}/\sqrt{1 - \bar\alpha}) = -\log\sigma$,
#
# $$\frac{d\bar x}{d\sigma} = \hat\varepsilon, \qquad\qquad \frac{d}{d\lambda}\,\frac{x}{\sin\varphi} = e^{\lambda}\,\hat x_0. \tag{16}$$
#
# The first follows from (11) by the quotient rule, $\frac{d}{d\varphi}\frac{x}{\cos\varphi} = \frac{\hat v}{\cos\varphi} + \frac{x\sin\varphi}{\cos^2\varphi} = (1 + \tan^2\varphi)\,\hat\varepsilon$, and $d\sigma/d\varphi = 1 + \tan^2\varphi$.
# The second follows in the same way, from $\frac{d}{d\varphi}\frac{x}{\sin\varphi} = -\hat x_0/\sin^2\varphi$ and $e^{\lambda} = \cot\varphi$.
#
# - *DDIM* is Euler's method for the first, and what the second gives if the guess is kept and $e^\lambda$ integrated exactly. One call a step.
# - *Heun's method* goes there, asks again, and takes the mean of both slopes $\hat\varepsilon$. Two calls a step (but one in the first step, from pure noise, and in the last, to $\sigma = 0$, which are DDIM's).
# - *DPM-Solver++(2M)* remembers the guess $\hat x_0$ of the step before, and extends the straight line in $\lambda$ through the two. One call a step.
#
# For Euler's method the error of one step is of order $h^2$, and of the $1/h$ steps together, as the ODE is smooth and no step magnifies earlier errors without bound, of order $h$.
# The other two know a straight line where Euler's method knows a constant, which is worth one order more: $h^2$ in all.
# On paper of two logarithms an order is a slope, so we measure it.
# All walks visit the same smallest noise level and are even in $\lambda$.
# The exact answer is known there: an ODE on the line keeps the order of the points, so it takes each quantile of the density at $T$ to the same quantile of the density at $t = 1$.

# %%
T = 1921
lam = torch.linspace(3.5, -4.5, T)  # λ_1, ..., λ_T
alpha_bar = torch.cat([torch.ones(1), torch.sigmoid(2 * lam)])
even = diffusion.Schedule(1 - alpha_bar[1:] / alpha_bar[:-1])
known = diffusion.DDPM(lambda x_t, t, label: gmm.optimal_eps(x_t, t, even), even)
starts = torch.distributions.Normal(0.0, 1.0).icdf((torch.arange(60) + 0.5) / 60)[:, None]


def at_step_1(method, n):
    """Where the walk is at t = 1, after n steps from t = T."""
    visited = [1 + i * ((T - 1) // n) for i in range(n + 1)]
    return list(method(known, (60, 1), steps=visited, x_T=starts))[-2]


counts = (15, 30, 60, 120)
N, places = torch.distributions.Normal, torch.linspace(-8, 8, 400_001)


def cdf(x, t):
    """The distribution function of x_t."""
    noised = gmm.noised(float(alpha_bar[t]))
    return sum(
        w * N(m[0], c[0, 0].sqrt()).cdf(x)
        for w, m, c in zip(noised.weights, noised.means, noised.covs, strict=True)
    )


high = torch.searchsorted(cdf(places, 1), cdf(starts[:, 0], T))  # the quantiles, between two places
low_p, high_p = cdf(places[high - 1], 1), cdf(places[high], 1)
exact = (places[high - 1] + (cdf(starts[:, 0], T) - low_p) / (high_p - low_p) * (places[1] - places[0]))[:, None]
methods = {"DDIM": diffusion.ddim, "Heun": diffusion.heun, "DPM-Solver++(2M)": diffusion.dpm_solver}
errors = {
    name: torch.tensor([float((at_step_1(f, n) - exact).abs().mean()) for n in counts])
    for name, f in methods.items()
}
orders = {name: (e[:-1] / e[1:]).log2() for name, e in errors.items()}
for name, each in orders.items():
    print(f"{name:17}", "slopes", *(f"{order:.2f}" for order in each))
checks.identity("DDIM is of first order", orders["DDIM"], torch.ones(3), tol=0.15)
checks.identity("Heun's method is of second", orders["Heun"], torch.full((3,), 2.0), tol=0.3)
checks.identity("so is DPM-Solver++(2M)", orders["DPM-Solver++(2M)"], torch.full((3,), 2.0), tol=0.3)

# %%
calls = {name: [2 * n - 1 if name == "Heun" else n for n in counts] for name in methods}
plots.figure(
    plots.lines(
        [15, 240], {}, points={name: (calls[name], errors[name]) for name in methods},
        xlabel="calls of the network", ylabel="mean error of x", xlim=(10, 400), xscale="log", yscale="log", aspect=2,
    ),
    alt="The mean error against the calls of the network, both logarithmic. Four points for each method: those of DDIM fall with the slope −1, those of Heun's method and of DPM-Solver++(2M) with −2; the latter needs less than half the calls for the same error.",
)  # fmt: skip

# %% [markdown]
# An order is a statement about small steps.
# In a walk of four steps nothing is small, and there a method of second order may be no better; which one is best at 1, 2, 4 and 8 calls on digits is measured in lab 4, where you can try your own.
#
# <details><summary><b>Question.</b> Why not a method of fourth order?</summary>
#
# Each further order needs one more derivative of the guess, from more calls or from more steps in the past, and the error's factor grows with these derivatives.
# A power of the step wins when steps are small enough, and with few calls they are not.
# </details>

# %% [markdown]
# ## 8. Unit variance in, unit variance out
#
# At $\sigma = 100$ the input $\bar x = x_0 + \sigma\varepsilon$ is two hundred times as large as at $\sigma = 0.01$ (with data of deviation ½), and a network that answers $\hat x_0$ must nearly ignore its input there and repeat it here.
# Networks are initialised, and their learning rates chosen, for inputs and targets of the size of 1.
# So put a network $F$ into a frame that depends on $\sigma$ alone:
#
# $$\hat x_0 = c_{\text{skip}}\;\bar x + c_{\text{out}}\;F(c_{\text{in}}\,\bar x,\ \sigma). \tag{17}$$
#
# *Unit variance in.* If the data have mean 0 and the standard deviation $\sigma_d$, then $\bar x$ has the variance $\sigma_d^2 + \sigma^2$, and $c_{\text{in}} = 1/\sqrt{\sigma_d^2 + \sigma^2}$.
#
# *Unit variance out.* For (17) to be right, $F$ has to answer $(x_0 - c_{\text{skip}}\,\bar x)/c_{\text{out}}$.
# Its numerator is $(1 - c_{\text{skip}})\,x_0 - c_{\text{skip}}\,\sigma\varepsilon$, with the variance $(1 - c_{\text{skip}})^2 \sigma_d^2 + c_{\text{skip}}^2\,\sigma^2$, and $c_{\text{out}}^2$ has to be this variance.
# That leaves $c_{\text{skip}}$ free.
# Whatever $F$ gets wrong is multiplied by $c_{\text{out}}$, so we make that as small as possible: the derivative $-2(1 - c_{\text{skip}})\,\sigma_d^2 + 2c_{\text{skip}}\,\sigma^2$ is 0 for
#
# $$c_{\text{skip}} = \frac{\sigma_d^2}{\sigma_d^2 + \sigma^2}, \qquad c_{\text{out}}^2 = \frac{\sigma^4 \sigma_d^2 + \sigma_d^4\sigma^2}{(\sigma_d^2 + \sigma^2)^2} = \frac{\sigma^2 \sigma_d^2}{\sigma_d^2 + \sigma^2}. \tag{18}$$
#
# Last, the loss of $\hat x_0$ is $c_{\text{out}}^2$ times that of $F$; with the weight $1/c_{\text{out}}^2$ all noise levels count alike at first, when $F = 0$.
# These are the choices of EDM (Karras et al. 2022).
# genlib's `Preconditioned` is the frame; we give it a network that writes down its input and answers 0 or 1, and look whether the variances are 1.

# %%
schedule = diffusion.Schedule.karras(T=100)
std, n = 0.5, 400_000
x_0 = gmm.sample(n, seeded(1)).double()
x_0 = std * (x_0 - x_0.mean()) / x_0.std()
inputs, answer = [], [0.0]
frame = diffusion.Preconditioned(
    lambda x, t, label: inputs.append(x) or torch.full_like(x, answer[0]), schedule, std=std
)
variances, at_first = [], []
for step in (1, 30, 60, 100):
    t = torch.full((n,), step)
    x_t = schedule.q_sample(x_0, t, torch.randn(n, 1, generator=seeded(step)))
    answer[0] = 0.0
    without = frame(x_t, t)
    answer[0] = 1.0
    target = (x_0 - without) / (frame(x_t, t) - without)  # what F would have to answer
    variances.append(torch.stack([inputs[-1].var(), target.var()]))
    at_first.append((frame.weight(t).double() * (x_0 - without).square()[:, 0]).mean())
checks.identity(
    "unit variance in, unit variance out (17), (18)", torch.stack(variances), torch.ones(4, 2), tol=0.02
)
checks.identity("at first all noise levels count alike", torch.stack(at_first), torch.ones(4), tol=0.02)

# %%
skip = torch.linspace(0, 1, 1001)
for sigma in (0.1, 0.5, 3.0):
    least = skip[((1 - skip) ** 2 * std**2 + skip**2 * sigma**2).argmin()]
    checks.identity(
        f"F has least to say (18), σ = {sigma}", least, torch.tensor(std**2 / (std**2 + sigma**2)), tol=6e-4
    )

# %% [markdown]
# For $\sigma_d = 1$ nothing of this is new: then $\hat x_0 = \sqrt{\bar\alpha}\,x + \sqrt{1 - \bar\alpha}\,F$, which is a network that predicts $v$, with $F = -v$.
# Predicting $v$ on data of unit variance *is* preconditioning.
# And EDM's process is no other than ours, by (3): a walk with $\sigma$ as its variable visits the points $x/\sqrt{\bar\alpha}$ of our chain.

# %%
x = torch.randn(30, 1, generator=seeded(2))
for step in (5, 50, 95):
    t, F = torch.full((30,), step), torch.sin(3 * x)
    framed = diffusion.Preconditioned(lambda x_in, t, label, F=F: F, schedule, std=1.0)(x, t)
    checks.identity(
        f"with σ_d = 1, v (18), t = {step}", framed, schedule.convert(-F, x, t, "v", "x_0"), tol=1e-10
    )

edm = diffusion.DDPM(lambda x_t, t, label: gmm.optimal_eps(x_t, t, schedule), schedule)
ours = list(diffusion.ddim(edm, (60, 1), x_T=starts))
unshrunk = ours[0] / schedule.sqrt_alpha_bar[100]
for t in range(100, 0, -1):  # Euler's method for the first equation of (16)
    score = gmm.noised(float(schedule.alpha_bar[t])).score(unshrunk * schedule.sqrt_alpha_bar[t])
    unshrunk = (
        unshrunk + (schedule.sigma[t - 1] - schedule.sigma[t]) * -schedule.sqrt_one_minus_alpha_bar[t] * score
    )
checks.identity("DDIM is Euler's method in EDM's σ (16)", unshrunk, ours[-1], tol=1e-6)

# %% [markdown]
# ## 9. The bound without steps
#
# What becomes of the variational bound when the steps shrink?
# Let the model's steps have the variance $\tilde\beta_t$, as those of the chain given $x_0$ do.
# Then the term of step $t$ compares two Gaussians of one variance, whose means differ by $\frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1 - \bar\alpha_t}(x_0 - \hat x_0)$ ([Diffusion models](04_diffusion_models.ipynb), (11)), so it is that difference squared over $2\tilde\beta_t$.
# Put in what $\tilde\beta_t$ is, and write $\text{SNR} = \bar\alpha/(1 - \bar\alpha)$: the factor becomes a difference,
#
# $$L_{t-1} = \tfrac12\,\big(\text{SNR}_{t-1} - \text{SNR}_t\big)\,\|x_0 - \hat x_0\|^2. \tag{19}$$
#
# With small steps the sum of these is an integral over the SNR.
# We take its logarithm, $\ell = \log\text{SNR} = 2\lambda$, as the variable; then $d\,\text{SNR} = \text{SNR}\;d\ell$, and $\text{SNR}\,\|x_0 - \hat x_0\|^2 = \|\varepsilon - \hat\varepsilon\|^2$, so that
#
# $$\sum_t E\,L_{t-1} \;\to\; \tfrac12\int_{\ell_{\min}}^{\ell_{\max}} E\,\|\varepsilon - \hat\varepsilon\|^2\;d\ell. \tag{20}$$
#
# No schedule occurs in (20), but for the two ends (Kingma et al. 2021, *Variational Diffusion Models*): *in continuous time all schedules with the same ends have the same bound*, for a denoiser that is told $\ell$, and in the variable $\ell$ its weight is a constant.
#
# Take the noisy part of the chain alone, up to some $\ell$, and call its integral $J(\ell)$.
# It belongs to a bound, too: that of data $x_\ell$ to which noise has been added, so that the chain begins there.
# Going through the derivation of the bound with $x_\ell$ in the place of $x_0$, and averaging over $x_0$,
#
# $$-E\log p_\theta(x_\ell) \;\le\; J(\ell) + E\,h(x_\ell \mid x_0) + L_T, \qquad J(\ell) = \tfrac12\int_{\ell_{\min}}^{\ell} E\,\|\varepsilon - \hat\varepsilon\|^2\,d\ell', \tag{21}$$
#
# where $h(x_\ell \mid x_0) = \tfrac12\log(2\pi e\,(1 - \bar\alpha))$ for each dimension is the *differential entropy*, $-E\log q$, of the noise.
# It comes in because the chain draws $x_\ell$ from $q(x_\ell \mid x_0)$, and only $J$ depends on the network.
#
# With the best denoiser there is no gap.
# Then, on the line and from pure noise on,
#
# $$h(x_\ell) = J(\ell) + h(x_\ell \mid x_0), \tag{22}$$
#
# so that $J(\ell)$ is how much $x_\ell$ tells of $x_0$, their mutual information; that its derivative is half the mean squared error is a theorem of Guo, Shamai and Verdú (2005).
# For $\ell \to \infty$ the left side becomes the entropy of the data themselves.
#
# We check (19) with torch's own divergence of Gaussians, and (22) by integrals on a grid.
# There $E\|\varepsilon - \hat\varepsilon\|^2 = 1 - E\,\hat\varepsilon^2$, because a conditional mean is orthogonal to its own error.

# %%
cosine = diffusion.Schedule.cosine(T=50)
t = torch.arange(2, 51)
x_0, guess, x_t = torch.full((49, 1), 0.7), torch.full((49, 1), -0.2), torch.full((49, 1), 0.4)
(mean, variance), (model_mean, _) = cosine.q_posterior(x_0, x_t, t), cosine.q_posterior(guess, x_t, t)
divergence = torch.distributions.kl_divergence(N(mean, variance.sqrt()), N(model_mean, variance.sqrt()))
snr = cosine.snr(torch.arange(1, 51))
checks.identity("a term of the bound (19)", divergence[:, 0], 0.5 * (snr[:-1] - snr[1:]) * 0.9**2, tol=1e-9)

# %%
line, ell = torch.linspace(-9, 9, 3001), torch.linspace(-14, 14, 701)


def moments(level):
    """E‖ε − ε̂‖² of the best denoiser, and the entropy of x, at one log-SNR."""
    a_bar = float(torch.sigmoid(level))
    noised = gmm.noised(a_bar)
    log_q, score = noised.log_prob(line[:, None]), noised.score(line[:, None])[:, 0]
    left = 1 - (1 - a_bar) * torch.trapezoid(log_q.exp() * score**2, line)
    return left, -torch.trapezoid(log_q.exp() * log_q, line)


left, entropy = torch.tensor([moments(level) for level in ell]).T
below = 0.5 * torch.cat([torch.zeros(1), torch.cumulative_trapezoid(left, ell)])  # J(ℓ)
noise = 0.5 * torch.log(2 * math.pi * math.e * torch.sigmoid(-ell))  # h(x_ℓ | x_0)
log_p = gmm.log_prob(line[:, None])
of_data = -torch.trapezoid(log_p.exp() * log_p, line)
checks.identity("the entropy of the data (22)", below[-1] + noise[-1], of_data, tol=1e-3)
checks.identity("and at any noise level (22)", below + noise, entropy, tol=1e-3)


# %%
def interpolated(values, at):
    """Values on the grid of ℓ, at other places, by straight lines."""
    i = torch.searchsorted(ell, at).clamp(1, len(ell) - 1)
    return values[i - 1] + (at - ell[i - 1]) / (ell[i] - ell[i - 1]) * (values[i] - values[i - 1])


sums, integrals = [], []
for chain in (diffusion.Schedule.cosine(T=40_000), diffusion.Schedule.linear(T=40_000)):
    levels = chain.snr(torch.arange(1, 40_001)).log()
    levels = levels[levels.abs() < 8]  # ℓ_{t−1}, ℓ_t, ...: falling
    error = interpolated(left, levels[1:]) / levels[1:].exp()  # E‖x_0 − x̂_0‖²
    sums.append((0.5 * (levels[:-1].exp() - levels[1:].exp()) * error).sum())  # (19)
    integrals.append(interpolated(below, levels[0]) - interpolated(below, levels[-1]))
checks.identity(
    "the terms of both schedules add up to what J grows by (20)",
    torch.stack(sums),
    torch.stack(integrals),
    tol=0.02,
)

# %% [markdown]
# A worse denoiser leaves a gap, and (21) must hold all the same.
# We give the one that believes the data to be a single Gaussian; its guess is a straight line in $x$, and the density of its model is that Gaussian, noised.

# %%
mean, second = gmm.weights @ gmm.means[:, 0], gmm.weights @ (gmm.covs[:, 0, 0] + gmm.means[:, 0] ** 2)
spread = second - mean**2
a_bar = torch.sigmoid(ell)
of_linear = 1 - (1 - a_bar) / (a_bar * spread + 1 - a_bar)  # E‖ε − ε̂‖² of the best line
bound = 0.5 * torch.cat([torch.zeros(1), torch.cumulative_trapezoid(of_linear, ell)]) + noise
of_model = 0.5 * torch.log(2 * math.pi * math.e * (a_bar * spread + 1 - a_bar))  # −E log p of the noised Gaussian
checks.at_most("of a linear denoiser (21) is not below the entropy", entropy, bound + 1e-3)
checks.identity("of a linear denoiser (21) is a Gaussian's code length", bound, of_model, tol=1e-3)

# %% [markdown]
# ## 10. Which losses are bounds?
#
# Nobody trains with the constant weight of (20).
# A training draws a time $t$ with some density, takes the squared error of $\varepsilon$, $x_0$, $v$ or something else, and perhaps multiplies it by a weight.
# All of that is one weight in the variable $\ell$, a product of the three:
#
# $$L_w = \tfrac12\int w(\ell)\;E\,\big\|\varepsilon - \hat\varepsilon\big\|^2\;d\ell, \qquad w(\ell) = p(\ell)\;\cdot\;\frac{\|\text{target} - \text{guess}\|^2}{\|\varepsilon - \hat\varepsilon\|^2}\;\cdot\;\text{the training's own weight}, \tag{23}$$
#
# where $p(\ell)$ is the density of the log-SNR at the times that are drawn, up to a constant factor.
# The fraction follows from the definitions: with $x_0 - \hat x_0 = -\sqrt{e^{-\ell}}\,(\varepsilon - \hat\varepsilon)$ it is $e^{-\ell}$ for $x_0$, $1 + e^{-\ell}$ for $v$, and $(1 + e^{-\ell/2})^2$ for $u = x_0 - \varepsilon$, the velocity of the next section.
#
# When is (23) a bound?
# Let $w$ fall as $\ell$ rises, so that noisier levels weigh more.
# Integrate by parts, with $J(\ell_{\min}) = 0$:
#
# $$L_w = \int w\,\frac{dJ}{d\ell}\;d\ell = w(\ell_{\max})\,J(\ell_{\max}) + \int \Big(-\frac{dw}{d\ell}\Big)\,J(\ell)\;d\ell. \tag{24}$$
#
# Both weights on the right are non-negative, and every $J(\ell)$ is, but for terms without a network, the bound (21) of data with noise up to $\ell$.
# So *a falling weight makes the loss a weighted sum of bounds*, of data to which noise of different strength was added (Kingma and Gao 2023).
# A weight that rises somewhere gives some of these bounds a negative factor; then this argument says nothing.
#
# Which of the usual losses have falling weights?
# We compute each row from genlib's own objects: the density from the schedule's log-SNR, the ratio from two guesses that `convert` translates, the weights from `min_snr` and `Preconditioned`, and EDM's draw of the steps from `log_normal`; and we look where $|\ell| < 6$.


# %%
def weight_of(schedule, predict, weight=None, steps=None):
    """ℓ of each step, and w(ℓ) (23) of a training that draws steps with these shares, where |ℓ| < 6."""
    t = torch.arange(1, schedule.T + 1)[schedule.alpha_bar[1:] > 0]
    ell, here = schedule.snr(t).log(), torch.zeros(len(t), 1)
    apart = schedule.convert(here + 1, here, t, "eps", predict) - schedule.convert(here, here, t, "eps", predict)
    share = torch.ones(len(t)) / len(t) if steps is None else steps[: len(t)].double()
    w = share / -torch.gradient(ell)[0] * apart[:, 0] ** 2 * (1 if weight is None else weight(t).double())
    return ell[ell.abs() < 6], w[ell.abs() < 6]


T = 4000
cosine, linear, straight = (getattr(diffusion.Schedule, name)(T=T) for name in ("cosine", "linear", "straight"))
karras = diffusion.Schedule.karras(T=T)
rows = {
    "ε, linear": weight_of(linear, "eps"),
    "ε, cosine": weight_of(cosine, "eps"),
    "x_0, cosine": weight_of(cosine, "x_0"),
    "v, cosine": weight_of(cosine, "v"),
    "v, min-SNR": weight_of(cosine, "v", diffusion.min_snr(cosine, "v")),
    "EDM": weight_of(karras, "x_0", diffusion.Preconditioned(lambda x, t, label: x, karras).weight, diffusion.log_normal(karras)),
    "u, straight": weight_of(straight, "u"),
}  # fmt: skip
steepest = {
    name: float((w.diff() / ell.diff() / w[1:]).max()) for name, (ell, w) in rows.items()
}  # of d log w/dℓ
falling = {name: rise <= 0 for name, rise in steepest.items()}
for name, rise in steepest.items():
    print(
        f"{name:12} d log w/dℓ is at most {rise:5.2f}: {'a sum of bounds' if falling[name] else 'rises somewhere'}"
    )
checks.at_most(
    "x_0, v and u have falling weights", max(steepest[q] for q in ("x_0, cosine", "v, cosine", "u, straight")), 0
)
checks.at_most("the other four rise somewhere", 0.05, sorted(steepest.values())[3])

# %%
common = torch.linspace(-4, 4, 161)


def on_common(ell, w):
    """w on common places, over its largest value there; ℓ falls with the step."""
    ell, w = ell.flip(0), w.flip(0)
    i = torch.searchsorted(ell, common).clamp(1, len(ell) - 1)
    part = (common - ell[i - 1]) / (ell[i] - ell[i - 1])
    found = w[i - 1] + part * (w[i] - w[i - 1])
    return found / found.max()


plots.figure(
    *[
        plots.lines(
            common, {name: on_common(*rows[name]) for name in rows if falling[name] == bound},
            title="falling: a sum of bounds" if bound else "rising somewhere", xlabel="log-SNR ℓ", ylabel="w", aspect=1.3,
        )
        for bound in (True, False)
    ],
    alt="The weights of seven losses against the log-SNR, each over its largest value. Left, those that fall: x_0, v and u, the last two on one curve. Right, those that rise somewhere: ε on the cosine schedule is a hump around 0, min-SNR the same hump with its right side cut down from 1.6 on, ε on the linear schedule has its top near −1 and EDM near −3.3.",
)  # fmt: skip

# %% [markdown]
# Two rows fall on one curve: *$v$ on the cosine schedule and $u$ on the straight one have the same weight*, $e^{-\ell/2}$ up to a factor.
# For $u$ this is short: $\text{SNR} = ((1 - s)/s)^2$ gives $s = 1/(1 + e^{\ell/2})$ and $p(\ell) = |ds/d\ell| = \tfrac12 s(1 - s) = \tfrac12 e^{\ell/2}/(1 + e^{\ell/2})^2$, and the ratio is $(1 + e^{-\ell/2})^2 = (1 + e^{\ell/2})^2 e^{-\ell}$; the product is $\tfrac12 e^{-\ell/2}$.
# The two trainings then differ by what the network is asked for and by how often each level is drawn, but not by how much a level counts.
# We check both rows, and the arithmetic of (24) with the best denoiser and this weight.

# %%
ell_u, w_u = rows["u, straight"]
checks.identity(
    "flow matching's weight is e^(−ℓ/2)/2 (23)", 2 * w_u * torch.exp(ell_u / 2), torch.ones(len(w_u)), tol=1e-3
)
ell_v, w_v = rows["v, cosine"]
inside = ell_v.abs() < 4
checks.identity("v's is the same up to a factor", (w_v * (ell_v / 2).exp() / (w_v * (ell_v / 2).exp()).mean())[inside], torch.ones(int(inside.sum())), tol=0.02)  # fmt: skip

# %%
w = torch.exp(-ell / 2) / 2
directly = 0.5 * torch.trapezoid(w * left, ell)
by_bounds = w[-1] * below[-1] + torch.trapezoid(-torch.gradient(w, spacing=(ell,))[0] * below, ell)
checks.identity("by parts (24)", by_bounds / directly, torch.tensor(1.0), tol=1e-3)

# %% [markdown]
# <details><summary><b>Question.</b> So the loss of ε, with which DDPM began, is no sum of bounds by (24). Is it a bad loss?</summary>
#
# No. What a weight is good for is a question about pictures and networks, and not about bounds.
# Compared with the constant weight of (20), all seven put less on the smallest noise, where the bound spends most of its bits on the last decimals of the pixels.
# Those in the right panel also put less on the largest noise.
# </details>
#
# A training can also move weight from the loss to the draw: `Denoising(steps=...)` draws a step more often, and $p(\ell)$ in (23) grows by the factor that a weight would have.
# The mean of the gradient is the same, its noise is not; EDM draws the middle levels most often.
#
# A note on the last step: where $\bar\alpha_T > 0$, a chain trained on every $t$ never sees pure noise, while its sampler starts there.
# `Schedule.zero_terminal` shifts and stretches $\sqrt{\bar\alpha}$ so that it ends at 0; then $\varepsilon$ says nothing about $x_0$ at $T$, and the network has to predict $v$, $u$ or $x_0$ (Lin et al. 2024).

# %% [markdown]
# ## 11. Other paths
#
# The factors of (2) lie on a circle, $\cos^2\varphi + \sin^2\varphi = 1$, which keeps the variance of data that have the variance 1.
# Who says that it has to be kept?
# Take any two smooth functions $a$ and $b$ with $a(0) = 1$, $b(0) = 0$ and $a(1) = 0$, $b(1) = 1$, and let
#
# $$x_s = a(s)\,x_0 + b(s)\,\varepsilon, \qquad 0 \le s \le 1. \tag{25}$$
#
# This is called an *interpolant* (Albergo and Vanden-Eijnden 2023).
# On its way the point moves with the velocity $\dot a\,x_0 + \dot b\,\varepsilon$, which nobody knows who sees $x_s$ alone.
# Let us fit a network to it by squared error; its best answer is the conditional mean
#
# $$V(x, s) = E\big[\dot a\,x_0 + \dot b\,\varepsilon \mid x_s = x\big]. \tag{26}$$
#
# In [Learned losses](01_learned_losses.ipynb) a conditional mean was the trouble, because a mean of sharp pictures is a blurred one.
# Why is a mean of velocities the right thing to follow?
# Take any smooth function $\psi$, and see how its mean changes with $s$:
#
# $$\frac{d}{ds} E\,\psi(x_s) = E\big[\nabla\psi(x_s)\cdot(\dot a\,x_0 + \dot b\,\varepsilon)\big] = E\big[\nabla\psi(x_s)\cdot V(x_s, s)\big]. \tag{27}$$
#
# The first step is the chain rule; in the second we first average over all pairs that lead through the same $x_s$, where $\nabla\psi(x_s)$ is the same for all of them.
# The right side is also the rate at which the mean of $\psi$ changes when points with the density of $x_s$ move by $dx/ds = V$.
# So both clouds, that on the paths (25) and that which follows $V$, have densities that obey one equation, $\partial q/\partial s + \nabla\!\cdot(q\,V) = 0$; they start alike, and for a velocity of bounded slope the equation has one solution.
# No point need keep to its path, yet at every $s$ the points are distributed as those on the paths are.
#
# With $a = \cos$ and $b = \sin$ of $\tfrac\pi2 s$, (26) is $\tfrac\pi2\,\hat v$, and we are back at (11).
# We check (27) for a pair $a = 1 - s^2$, $b = \sin\tfrac\pi2 s$ that nobody uses, with $\psi(x) = \cos kx$: its mean is the real part of a characteristic function, which the mixture has in closed form, and autograd differentiates it.

# %%
k, s = 2.3, torch.tensor(0.55).requires_grad_()


def a(s):
    return 1 - s**2


def b(s):
    return torch.sin(math.pi / 2 * s)


variance = a(s) ** 2 * gmm.covs[:, 0, 0] + b(s) ** 2
mean_psi = (gmm.weights * torch.cos(k * a(s) * gmm.means[:, 0]) * torch.exp(-(k**2) * variance / 2)).sum()
rate = slope(mean_psi, s)
(da,), (db,) = (torch.autograd.grad(f(s), s) for f in (a, b))

wide, start = torch.linspace(-6, 6, 1201), torch.linspace(-3, 3, 1201)
now_a, now_b = a(s).detach(), b(s).detach()
joint = (
    N(now_a * start, now_b).log_prob(wide[:, None]).exp()
    * gmm.log_prob(start[:, None]).exp()
    * (start[1] - start[0])
)
q = joint.sum(1)
x_0_hat = (joint * start).sum(1) / q.clamp(min=1e-300)
velocity = da * x_0_hat + db * (wide - now_a * x_0_hat) / now_b  # (26)
checks.identity(
    "a mean moves with V (27)", rate, torch.trapezoid(q * -k * torch.sin(k * wide) * velocity, wide), tol=1e-8
)

# %% [markdown]
# ### A straight line
#
# The simplest pair is $a = 1 - s$, $b = s$.
# Its velocity $\varepsilon - x_0$ is the same on the whole line, and so the training is as short as can be.
# We write $u = x_0 - \varepsilon$ for the velocity towards the data:
#
# $$x_s = (1 - s)\,x_0 + s\,\varepsilon, \qquad \min_u\;E\,\big\|u(x_s, s) - (x_0 - \varepsilon)\big\|^2, \qquad dx = -u\,ds. \tag{28}$$
#
# This is *flow matching* with straight paths, or *rectified flow* (Lipman et al. 2023; Liu et al. 2023; there time runs from noise to data).
# Here is all of it, in plain PyTorch, on a ring of eight modes whose weights rise from $\tfrac1{36}$ to $\tfrac8{36}$: no schedule, no bound, no coupling layers.

# %%
ring = data.GaussianMixture.ring(n=8, radius=0.6, std=0.06)
mixture = data.GaussianMixture(ring.means, ring.covs, weights=torch.arange(1, 9) / 36)
torch.manual_seed(0)
sizes = [(3, 96), (96, 96), (96, 96)]
net = nn.Sequential(
    *[layer for n, m in sizes for layer in (nn.Linear(n, m), nn.SiLU())], nn.Linear(96, 2)
).float()
cloud, g = mixture.sample(20_000, seeded(3)).float(), seeded(4)

# %% tags=["nbval-ignore-output"]
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1600)
for _ in range(1600):
    x_0 = cloud[torch.randint(len(cloud), (512,), generator=g)]
    eps, s = torch.randn(512, 2, generator=g).float(), torch.rand(512, 1, generator=g).float()
    x_s = (1 - s) * x_0 + s * eps
    loss = (net(torch.cat([x_s, s], dim=1)) - (x_0 - eps)).square().mean()  # (28)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    decay.step()
print(f"the loss of the last batch: {loss.item():.2f}")


# %% [markdown]
# To draw a sample, follow $dx = -u\,ds$ from $s = 1$ down to 0.
# The *midpoint rule* asks twice in each step: at the start, to find the middle of the step, and there, to take that velocity for the whole of it.


# %%
def learned(x, s):
    return net(torch.cat([x.float(), torch.full((len(x), 1), s).float()], dim=1)).double()


@torch.no_grad()
def transport(x, n_steps, u=learned):
    """All the points on the way from noise, s = 1, to data, s = 0."""
    path, h = [x], 1 / n_steps
    for k in range(n_steps, 0, -1):
        middle = path[-1] + h / 2 * u(path[-1], k * h)
        path.append(path[-1] + h * u(middle, (k - 0.5) * h))
    return path


path = transport(torch.randn(2000, 2, generator=seeded(5)), 40)
far = {"size": 5, "xlim": (-2, 2), "ylim": (-2, 2), "xticks": (-1, 0, 1), "yticks": (-1, 0, 1)}
near = {"size": 5, "xlim": (-0.95, 0.95), "ylim": (-0.95, 0.95), "xticks": (-0.5, 0.5), "yticks": (-0.5, 0.5)}
axes = {0: far, 20: far, 30: far, 36: near, 40: near}  # the last two nearer
plots.figure(
    *[plots.points({"x": path[k]}, title=f"s = {1 - k / 40:g}", aspect=1.05, **axes[k]) for k in axes],
    alt="A cloud of noise at s = 1 contracts at s = 0.5 and 0.25 to a smaller cloud, and has become a blurred ring at s = 0.1. At s = 0 the ring is thinner, still closed, and densest where the heavy modes are.",
)

# %% tags=["nbval-ignore-output"]
truth, again = mixture.sample(2000, seeded(6)).double(), mixture.sample(2000, seeded(20)).double()
floor = 1000 * metrics.energy_distance(again, truth, unbiased=False)
print(f"two samples of the truth:  energy distance × 1000 {floor:6.1f}, {metrics.mode_coverage(again, mixture).outside:.3f} near no mode")  # fmt: skip
for n in (1, 2, 4, 8, 40):
    x = transport(torch.randn(2000, 2, generator=seeded(7)), n)[-1]
    distance = 1000 * metrics.energy_distance(x, truth, unbiased=False)
    print(f"{n:>2} steps, {2 * n:>2} calls: energy distance × 1000 {distance:6.1f}, {metrics.mode_coverage(x, mixture).outside:.3f} near no mode")  # fmt: skip


# %% [markdown]
# One step of the midpoint rule, two calls, is coarse; eight steps do nearly as well as forty.
# What is left then is the network's: it has joined the eight modes to a ring, and some 15 % of its points lie near no mode, where the truth has 1 %.
#
# A density comes with this model, too: (13) holds for any velocity, here $\frac{d}{ds}\log q = \nabla\!\cdot u$ because of $dx = -u\,ds$, so that the divergences from $s = 0$ to 1 are subtracted from $\log N$ at the end.
# We try this first with the best velocity, which the mixture has in closed form.
# Divide $x_s$ by $\rho = \sqrt{s^2 + (1 - s)^2}$: the squares of the two weights then sum to one, so $x_s/\rho$ is distributed as a state of the circle with
#
# $$\bar\alpha = \frac{(1 - s)^2}{(1 - s)^2 + s^2}, \qquad E[\varepsilon \mid x_s] = \hat\varepsilon(x_s/\rho;\ \bar\alpha), \qquad u^*(x_s, s) = \frac{x_s - \hat\varepsilon}{1 - s}. \tag{29}$$
#
# The noise is the same in both, which is the second equation; the third is $x_0 = (x_s - s\varepsilon)/(1 - s)$ in $x_0 - \varepsilon$.
# So whoever has the best denoiser has the best velocity as well.


# %%
def best(x, s):
    """u* of the mixture (29), for a number s in [0, 1)."""
    rho = math.hypot(s, 1 - s)
    eps = -(s / rho) * mixture.noised(((1 - s) / rho) ** 2).score(x / rho)
    return (x - eps) / (1 - s)


here, s = 0.8 * torch.randn(20, 2, generator=seeded(8)), 0.4
grid = torch.cartesian_prod(*[torch.linspace(-1.2, 1.2, 481)] * 2)
eps = (here[:, None] - (1 - s) * grid) / s  # the noise that leads from a point of the grid to here
posterior = (mixture.log_prob(grid) - eps.square().sum(-1) / 2).softmax(dim=1)
mean_velocity = (posterior[..., None] * (grid - eps)).sum(1)
checks.identity("the best velocity from the best denoiser (29)", best(here, s), mean_velocity, tol=1e-8)


# %%
def log_density(x, u, n_steps=100):
    """log q(x) from data, s = 0, to noise: the divergence of u on the way."""
    total, h = x.new_zeros(len(x)), 1 / n_steps
    for k in range(n_steps):
        with torch.no_grad():
            middle = x - h / 2 * u(x, k * h)
        middle.requires_grad_()
        velocity = u(middle, (k + 0.5) * h)
        divergence = slope(velocity[:, 0], middle)[:, 0] + slope(velocity[:, 1], middle)[:, 1]
        x, total = x - h * velocity.detach(), total - h * divergence.detach()
    return N(0.0, 1.0).log_prob(x).sum(1) + total


few = mixture.sample(50, seeded(9)).double()
checks.identity(
    "the density along straight paths (13), (29)", log_density(few, best, 400), mixture.log_prob(few), tol=1e-2
)

# %% tags=["nbval-ignore-output"]
held_out = mixture.sample(1000, seeded(10)).double()
lacks = mixture.log_prob(held_out) - log_density(held_out, learned)
print(f"the network: {lacks.mean():.2f} ± {lacks.std() / 1000**0.5:.2f} nats above the entropy")

# %% [markdown]
# And sampling?
# Euler's rule for (28) is $x_{s'} = x_s + (s - s')\,\hat u$.
# Insert $\hat u = \hat x_0 - \hat\varepsilon$ and $x_s = (1 - s)\,\hat x_0 + s\,\hat\varepsilon$, and it becomes
#
# $$x_{s'} = (1 - s')\,\hat x_0 + s'\,\hat\varepsilon. \tag{30}$$
#
# The step puts the same two guesses together in the proportions of the new time, as DDIM does on the circle.
# So with the same denoiser *an Euler step of flow matching is a step of DDIM*, on a schedule of its own and after a rescaling by $\rho$.
# That schedule is `Schedule.straight`, and `diffusion.flow_matching(net)` is the objective (28) for a model that predicts $u$ on it.

# %%
chain = diffusion.Schedule.straight(T=30)
rho = [math.hypot(k / 30, 1 - k / 30) for k in range(31)]


def near_best(x, k):
    """u* at step k; at s = 1 by 1e-9 before it, for (29) divides by 1 − s, which costs some 1e-7."""
    return best(x, min(k / 30, 1 - 1e-9))


model = diffusion.DDPM(lambda x_t, t, label: near_best(x_t * rho[int(t[0])], int(t[0])), chain, predict="u")
begin = torch.randn(100, 2, generator=seeded(11))
by_ddim = list(diffusion.ddim(model, (100, 2), x_T=begin))
by_euler = [begin]
for k in range(30, 0, -1):
    by_euler.append(by_euler[-1] + near_best(by_euler[-1], k) / 30)
rescaled = torch.stack([r * x for r, x in zip(rho[::-1], by_ddim, strict=True)])
checks.identity("Euler's steps are DDIM's (30)", torch.stack(by_euler), rescaled, tol=1e-6)

# %% [markdown]
# <details><summary><b>Question.</b> If all the lines are straight, why does one Euler step not arrive at the data?</summary>
#
# The lines are straight, the paths of $dx = -u\,ds$ are not.
# At $s = 1$ the point $x_1 = \varepsilon$ says nothing about $x_0$, so $u^* = E[x_0] - \varepsilon$, and one Euler step sends every point to the mean of the data.
# Later $x_s$ says more and more about which mode $x_0$ belongs to, so the direction of the velocity changes along the path, and the path bends.
# (*Rectified flow* trains again on the pairs of start and end that the first model has made, and so gets straighter paths: [After 2021](06_after_2021.ipynb).)
# </details>
#
# ### Between two data sets
#
# Nothing in (27) asks that the far end is a Gaussian.
# Let $x_1$ be data of another kind, drawn independently, and $x_s = (1 - s)\,x_0 + s\,x_1$: then $dx/ds = E[x_1 - x_0 \mid x_s]$ carries one distribution into the other.
# *Stochastic interpolants* are this family, with an additional $c(s)\,z$ of noise if one likes (Albergo, Boffi and Vanden-Eijnden 2023); the circle and the straight line to $N(0, I)$ are two members of it.
# For two mixtures all pairs of components are Gaussians, so the velocity is in closed form.

# %%
other = data.GaussianMixture([[-1.0], [0.1], [1.1]], [[[0.02]], [[0.03]], [[0.02]]], [0.3, 0.3, 0.4])
pair_weight = (gmm.weights[:, None] * other.weights).flatten()
m_0, m_1 = (m.flatten() for m in torch.broadcast_tensors(gmm.means[:, :1], other.means[:, 0][None]))
c_0, c_1 = (c.flatten() for c in torch.broadcast_tensors(gmm.covs[:, 0], other.covs[:, 0, 0][None]))


def between(x, s):
    """E[x_1 − x_0 | x_s = x] on the line: for each pair of components a regression, weighted by its posterior."""
    mean, variance = (1 - s) * m_0 + s * m_1, (1 - s) ** 2 * c_0 + s**2 * c_1
    of_pair = (pair_weight.log() + N(mean, variance.sqrt()).log_prob(x[:, None])).softmax(1)
    moves = m_1 - m_0 + (s * c_1 - (1 - s) * c_0) / variance * (x[:, None] - mean)
    return (of_pair * moves).sum(1)


x = gmm.sample(20_000, seeded(12)).double()[:, 0]
for k in range(200):
    middle = x + between(x, k / 200) / 400
    x = x + between(middle, (k + 0.5) / 200) / 200
places = torch.linspace(-2, 2, 401)
arrived = (x[:, None] <= places).double().mean(0)
wanted = (other.weights * N(other.means[:, 0], other.covs[:, 0, 0].sqrt()).cdf(places[:, None])).sum(1)
checks.at_most("one mixture has become the other (27)", (arrived - wanted).abs().max(), 0.02)

# %% [markdown]
# ## 12. Guidance in continuous time
#
# Guidance replaces the score by $(1 + w)\,\nabla\log q(x \mid c) - w\,\nabla\log q(x)$.
# At each noise level this is the score of a density, $g_\tau(x) \propto q_\tau(x \mid c)^{1 + w}\,q_\tau(x)^{-w}$, and it is tempting to believe that a sampler with this score goes through these densities and ends in $g_0$, the tilted density of [Learning and sampling](04b_learning_and_sampling.ipynb), section 13.
# It would, if the $g_\tau$ obeyed the Fokker–Planck equation (9), for (9) is all that the ways back in section 4 have used.
# For $w > 0$ they do not, unless $x$ says nothing of the class.
# Put $\log g = (1 + w)\log q(x \mid c) - w\log q(x)$ into (9), divided by $g$: all that is linear in $\log g$ cancels, but the squares of the gradients leave, between the left side and the right,
#
# $$\frac{\partial g/\partial\tau - \nabla\!\cdot(\tfrac12 x\,g) - \tfrac12\nabla^2 g}{g} = -\tfrac12\,w\,(1 + w)\,\big\|\nabla\log q_\tau(c \mid x)\big\|^2. \tag{31}$$
#
# This is small where $x$ settles the class as $c$, and large where it speaks against it.
# (For the unnormalised $g$; a normalisation adds a number that is the same at every $x$.)
# We compute the left side by autograd, for several $w$.

# %%
classes = [data.GaussianMixture(gmm.means[k : k + 1], gmm.covs[k : k + 1]) for k in range(2)]


def tilted(x, tau, w):
    """q(x | c)^(1 + w) q(x)^(−w) at time τ, for c the first component."""
    signal = torch.exp(-tau)
    parts = [
        N(signal.sqrt() * c.means[0, 0], (signal * c.covs[0, 0, 0] + 1 - signal).sqrt()).log_prob(x).exp()
        for c in classes
    ]
    return parts[0] ** (1 + w) * (gmm.weights[0] * parts[0] + gmm.weights[1] * parts[1]) ** -w


def residual(w, tau=0.5):
    """∂g/∂τ minus the right side of (9), over g: the left side of (31)."""
    x, now = torch.linspace(-2, 1, 31).requires_grad_(), torch.full((31,), tau).requires_grad_()
    g = tilted(x, now, w)
    g_x = slope(g, x)
    return ((slope(g, now) - 0.5 * (g + x * g_x) - 0.5 * slope(g_x, x)) / g).detach()


x, now = torch.linspace(-2, 1, 31).requires_grad_(), torch.full((31,), 0.5)
log_class = (tilted(x, now, 0.0) / tilted(x, now, -1.0)).log()  # of q(c | x), but for the class's share
for w in (0.0, 1.0, 2.0):
    left_over = -0.5 * w * (1 + w) * slope(log_class, x).detach() ** 2
    checks.identity(f"what guidance leaves of (9) (31), w = {w:g}", residual(w), left_over, tol=1e-9)
print(f"w = 2: from {residual(2.0).min():.2f} to {residual(2.0).max():.2f}")

# %% [markdown]
# What, then, do guided samplers sample?
# Nothing that has a simple name: the ODE and the SDE, which agree for $w = 0$, end in different distributions.
# But at $\tau = 0$ the guided score is that of the tilted density of the *data*.
# So Langevin's walk (4) with it, which needs no path, samples $g_0$.
# (Bradley and Nakkiran 2024 show that neither DDIM nor DDPM with guidance samples it, and how Langevin's walk comes in.)


# %%
def guided(x, tau, w):
    a_bar = math.exp(-tau)
    return (1 + w) * classes[0].noised(a_bar).score(x) - w * gmm.noised(a_bar).score(x)


def back(w, eta, n=400, count=4000):
    """Points at τ = 0 from noise at τ = 9, by Euler's rule for (10) with the guided score."""
    g, times = seeded(13), (torch.linspace(3, 0, n + 1) ** 2).tolist()
    x = torch.randn(count, 1, generator=g)
    for tau, after in itertools.pairwise(times):
        h = tau - after
        x = x + h * (0.5 * x + (1 + eta**2) / 2 * guided(x, tau, w))
        x = x + eta * math.sqrt(h) * torch.randn(x.shape, generator=g)
    return x


places = torch.linspace(-2.5, 1, 3501)
g_0 = tilted(places, torch.tensor(0.0), 2.0)
g_0 = g_0 / torch.trapezoid(g_0, places)
mean = torch.trapezoid(places * g_0, places)
print(
    f"tilted, w = 2: mean {mean:.3f}, deviation {torch.trapezoid((places - mean) ** 2 * g_0, places).sqrt():.3f}"
)
ends = {(w, eta): back(w, eta) for w in (0.0, 2.0) for eta in (0.0, 1.0)}
for (w, eta), x in ends.items():
    print(
        f"w = {w:g}, {'SDE' if eta else 'ODE'}: mean {x.mean():.3f} ± {x.std() / 4000**0.5:.3f}, deviation {x.std():.3f}"
    )
x, g = ends[2.0, 0.0], seeded(14)
for _ in range(1500):  # Langevin's walk at the last level
    x = x + 1e-3 * guided(x, 0.0, 2.0) + math.sqrt(2e-3) * torch.randn(x.shape, generator=g)
print(f"the ODE's points after Langevin's walk: mean {x.mean():.3f}, deviation {x.std():.3f}")


def apart(x, y):
    """The largest difference between distribution functions; of two sets of 4000 by chance 0.02 on average."""
    return ((x <= places[::10]).double().mean(0) - (y <= places[::10]).double().mean(0)).abs().max()


uniform = (torch.arange(4000) + 0.5) / 4000
of_tilted = places[torch.searchsorted(torch.cumulative_trapezoid(g_0, places), uniform).clamp(max=3499)][:, None]
checks.at_most("without guidance ODE and SDE agree", apart(ends[0.0, 0.0], ends[0.0, 1.0]), 0.05)
checks.at_most("with w = 2 they do not", 0.3, apart(ends[2.0, 0.0], ends[2.0, 1.0]))
checks.at_most("and Langevin's walk comes to the tilted density", apart(x, of_tilted), 0.05)

# %% [markdown]
# The ODE overshoots farthest, the SDE less, and Langevin's walk forgets what the ODE has done.
# (Here $g_0$ has one mode; between modes the walk would be slow, as in section 2.)
# In practice guidance is wanted for what it does, and not for a density; then it may be limited to those noise levels where it does it.
# `Guidance(w, low, high)` guides between two levels of $\sigma$ alone (Kynkäänniemi et al. 2024), and `rescale` gives the guess of $x_0$ the deviation back that guidance has changed (Lin et al. 2024).
# Both are heuristics, and lab 4 has a judge to try them on.

# %% [markdown]
# ## Where to read on
#
# - Karras, Aittala, Aila and Laine 2022, *Elucidating the Design Space of Diffusion-Based Generative Models*: Heun's method, (17) and (18).
# - Lu et al. 2022, *DPM-Solver++*: the second equation of (16), and what follows from it.
# - Kingma, Salimans, Poole and Ho 2021, *Variational Diffusion Models*: (20). Guo, Shamai and Verdú 2005, *Mutual Information and Minimum Mean-Square Error in Gaussian Channels*: (22).
# - Kingma and Gao 2023, *Understanding Diffusion Objectives as the ELBO with Simple Data Augmentation*: (24), and a longer table. Hang et al. 2023, *Efficient Diffusion Training via Min-SNR Weighting Strategy*.
# - Lipman, Chen, Ben-Hamu, Nickel and Le 2023, *Flow Matching for Generative Modeling*; Liu, Gong and Liu 2023, *Flow Straight and Fast*; Albergo and Vanden-Eijnden 2023, *Building Normalizing Flows with Stochastic Interpolants*; Albergo, Boffi and Vanden-Eijnden 2023, *Stochastic Interpolants: A Unifying Framework for Flows and Diffusions*.
# - Lin, Liu, Li and Yang 2024, *Common Diffusion Noise Schedules and Sample Steps Are Flawed*: no signal at $T$. Kynkäänniemi et al. 2024, *Applying Guidance in a Limited Interval*; Bradley and Nakkiran 2024, *Classifier-Free Guidance is a Predictor-Corrector*.
#
# Now build it yourself: the lab `my_labs/lab_6_continuous_time.ipynb`.
# The methods of this lecture serve a network as it is.
# Can another network, or another space, make it cheaper still?
# The next lecture asks that: [After 2021](06_after_2021.ipynb).
