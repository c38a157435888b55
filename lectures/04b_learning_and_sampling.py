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
# # Diffusion models: learning and sampling
#
# *A network is to walk the road back: what should it minimise, and how do we draw what it has learned?*
#
# **You will learn**
#
# - the variational bound, term by term, down to the bits of a grey level;
# - the loss that is left of it, and what is lost on the way from the bound to the loss;
# - which variance a step back should have, and what a variance fixed in advance costs;
# - sampling in a thousand steps and in twenty-five, and why the same network serves for both;
# - how guidance moves samples towards a class, and which density it does not sample.
#
# **It takes** 65 minutes.
# **You need** the first part, [Diffusion models](04_diffusion_models.ipynb), of which this is the second: sections and equations are numbered on, so those up to section 7 and up to (15) stand there.

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

from genlib import data, diffusion, metrics, train

torch.set_default_dtype(torch.float64)  # identities are shown in double precision
N = torch.distributions.Normal


def seeded(seed=0):
    """A fresh generator, so that a cell that is run again draws the same numbers."""
    return torch.Generator().manual_seed(seed)


# %% [markdown]
# ## What we bring along
#
# The first part built a chain that turns data into noise, and asked what it means to undo a step of it.
# Four results are used below.
#
# - *The chain.* A step is $x_t = \sqrt{\alpha_t}\,x_{t-1} + \sqrt{\beta_t}\,\varepsilon_t$ with $\alpha_t = 1 - \beta_t$ (1), and all steps up to $t$ together are $x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\varepsilon$ with $\varepsilon \sim N(0, I)$ (5). A *schedule* is the list of the $\beta_t$, or of the $\bar\alpha_t$, which fall from 1 to nearly 0.
# - *The model.* The reverse of a small step is nearly a Gaussian, so the model of the way back is $p_\theta(x_{t-1} \mid x_t) = N(\mu_\theta(x_t, t), \Sigma_\theta(x_t, t))$ (10).
# - *The posterior.* Conditioned on $x_0$ as well, the reverse step is exactly a Gaussian, $q(x_{t-1} \mid x_t, x_0)$, with the variance $\tilde\beta_t = \beta_t (1 - \bar\alpha_{t-1})/(1 - \bar\alpha_t)$ and the mean $\tilde\mu_t = \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1 - \bar\alpha_t}\,x_0 + \frac{\sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\,x_t$ (11).
# - *One guess for all.* A network may guess $x_0$, the noise $\varepsilon$, the velocity or the score, because given $x_t$ each of them determines the others. The best guess of the noise is $E[\varepsilon \mid x_t] = -\sqrt{1 - \bar\alpha_t}\,\nabla \log q(x_t)$ (15).
#
# The data are those of the first part, too: a mixture of two narrow Gaussians, of which everything is known.

# %%
gmm = data.GaussianMixture(means=[[-0.5], [1.0]], covs=[[[0.01]], [[0.0025]]], weights=[0.9, 0.1])
schedule, cosine = diffusion.Schedule.linear(T=1000), diffusion.Schedule.cosine(T=1000)

# %% [markdown]
# ## 8. What should a model of the way back minimise?
#
# We have a chain from data to noise, and the form (10) of a model that goes from noise to data.
# The model gives every picture a probability density: that of all backward paths which end there, summed up,
#
# $$p_\theta(x_0) = \int p(x_T) \prod_{t=1}^{T} p_\theta(x_{t-1} \mid x_t)\;dx_{1:T}, \qquad p(x_T) = N(0, I).$$
#
# We should like to make $-\log p_\theta(x_0)$ small for real pictures.
# But the integral runs over all paths, and nobody can compute it.
# What we do have are the paths of the *chain*: for each $x_0$ we can draw as many of them as we like.
# So we bring $q$ in, by multiplying and dividing:
#
# $$-\log p_\theta(x_0) = -\log E_{q(x_{1:T} \mid x_0)}\!\left[\frac{p(x_T) \prod_t p_\theta(x_{t-1} \mid x_t)}{q(x_{1:T} \mid x_0)}\right]
# \le E_q\!\left[\log \frac{q(x_{1:T} \mid x_0)}{p(x_T) \prod_t p_\theta(x_{t-1} \mid x_t)}\right]. \tag{16}$$
#
# The inequality is Jensen's: $-\log$ is convex, so $-\log E[\,\cdot\,] \le E[-\log(\,\cdot\,)]$.
# The right side is the *variational bound*.
# It is minus the ELBO of a VAE ([Learned losses](01_learned_losses.ipynb), (3)), with all of $x_1, \dots, x_T$ as the code, and with an encoder $q$ that is fixed, and not learned.

# %% [markdown]
# As it stands, the bound compares whole paths.
# We want one term for each step.
# The model's probability of a path, in the denominator, is a product over steps from $t$ to $t - 1$.
# The chain's, in the numerator, is a product over steps from $t - 1$ to $t$, and Bayes' rule turns these steps round.
# For $t \ge 2$, given $x_0$,
#
# $$q(x_t \mid x_{t-1}) = q(x_t \mid x_{t-1}, x_0) = \frac{q(x_{t-1} \mid x_t, x_0)\;q(x_t \mid x_0)}{q(x_{t-1} \mid x_0)}.$$
#
# Multiply these over $t = 2, \dots, T$, with the first step $q(x_1 \mid x_0)$ in front, to which the rule is not applied.
# In the product of the fractions every numerator but the last cancels against the next denominator, and the first denominator cancels against the first step:
#
# $$q(x_{1:T} \mid x_0) = q(x_1 \mid x_0)\;\frac{q(x_2 \mid x_0)}{q(x_1 \mid x_0)} \cdots \frac{q(x_T \mid x_0)}{q(x_{T-1} \mid x_0)}\;\prod_{t=2}^{T} q(x_{t-1} \mid x_t, x_0) = q(x_T \mid x_0) \prod_{t=2}^{T} q(x_{t-1} \mid x_t, x_0). \tag{16a}$$
#
# This is the chain written backwards: first its end is drawn, then each earlier point by someone who knows $x_0$.
# Now numerator and denominator of (16) are both products over steps from $t$ to $t - 1$, and can be compared step by step.
# For every single path,
#
# $$\log \frac{q(x_{1:T} \mid x_0)}{p(x_T) \prod_t p_\theta(x_{t-1} \mid x_t)} = \log \frac{q(x_T \mid x_0)}{p(x_T)}
# + \sum_{t=2}^{T} \log \frac{q(x_{t-1} \mid x_t, x_0)}{p_\theta(x_{t-1} \mid x_t)} - \log p_\theta(x_0 \mid x_1). \tag{17}$$
#
# We check both on six paths.
# The model has the best denoiser that there is for the mixture, (15) in closed form, and the variance $\sigma_t^2 = \beta_t$.
# We take a short chain, $T = 50$, so that its steps are not quite small.

# %%
short = diffusion.Schedule(torch.linspace(1e-3, 0.3, 50))


def best_eps(x_t, t, label=None):
    return gmm.optimal_eps(x_t, t, short)


best = diffusion.DDPM(best_eps, short, predict="eps", variance="beta")
draws = torch.randn(51, 6, 1, generator=seeded(10))
paths = [gmm.sample(6, generator=seeded(11)).double()]
for t in range(1, 51):
    paths.append(short.alpha[t].sqrt() * paths[-1] + short.beta[t].sqrt() * draws[t])

# %%
standard = N(torch.tensor(0.0), torch.tensor(1.0))


def log_normal(value, moments):
    return N(moments[0], moments[1].sqrt()).log_prob(value)


t_of, x = [torch.full((6,), t) for t in range(51)], paths
log_p = [log_normal(x[t - 1], best.reverse(x[t], t_of[t])) for t in range(1, 51)]
log_q = [log_normal(x[t], (short.alpha[t].sqrt() * x[t - 1], short.beta[t])) for t in range(1, 51)]
log_posterior = [log_normal(x[t - 1], short.q_posterior(x[0], x[t], t_of[t])) for t in range(2, 51)]
log_end = log_normal(x[50], (short.alpha_bar[50].sqrt() * x[0], 1 - short.alpha_bar[50]))
checks.identity("the chain, written backwards (16a)", sum(log_q), log_end + sum(log_posterior), tol=1e-9)

whole = sum(log_q) - standard.log_prob(x[50]) - sum(log_p)
by_step = sum(a - b for a, b in zip(log_posterior, log_p[1:], strict=True))
split = (log_end - standard.log_prob(x[50])) + by_step - log_p[0]
checks.identity("a path's log-ratio, split into steps (17)", split, whole, tol=1e-9)

# %% [markdown]
# Now take the expectation over paths.
# In the term of step $t$, first average over $x_{t-1}$ with $x_t$ held fixed: that makes it a Kullback–Leibler divergence.
# The bound has become a sum,
#
# $$-\log p_\theta(x_0) \le E_q\Big[ L_T + \sum_{t=2}^{T} L_{t-1} + L_0 \Big], \tag{18}$$
#
# | term | is | says |
# |---|---|---|
# | $L_T$ | $\operatorname{KL}(q(x_T \mid x_0) \,\|\, N(0, I))$ | has the chain forgotten? No network in it; this is (7) |
# | $L_{t-1}$ | $\operatorname{KL}(q(x_{t-1} \mid x_t, x_0) \,\|\, p_\theta(x_{t-1} \mid x_t))$ | does the model's step back resemble the step of someone who knows $x_0$? |
# | $L_0$ | $-\log p_\theta(x_0 \mid x_1)$ | the last step, to the data |
#
# The posterior is a Gaussian whose mean and variance we know, by (11); the model's step is a Gaussian whose mean comes from the network, and whose variance $\sigma_t^2$ is still ours to choose (section 10).
# So each divergence is one between two Gaussians and has a closed form, and no path of the model has to be sampled to compute it.
# That is what the detour through (16a) has gained.
# Mind that (18) is an inequality, and that it holds in expectation over $x_1, \dots, x_T$.

# %% [markdown]
# **The last term, for grey levels.**
# For points, $p_\theta(x_0 \mid x_1)$ is a density.
# A pixel of a digit is no point of a line, but one of 17 levels, $-1, -\tfrac78, \dots, 1$.
# A density at these levels has no upper limit: peaks on the 17 levels, made ever narrower, send $-\log p_\theta$ to $-\infty$, and have learned nothing about digits.
# So for data made of levels $L_0$ must be minus the logarithm of a *probability*.
#
# The last step's Gaussian, $N(\mu, \sigma^2)$ with $\mu = \mu_\theta(x_1, 1)$ and $\sigma = \sigma_1$, gives one (Ho et al. 2020, eq. 13).
# Draw from it, and round to the nearest level.
# With $n$ levels the neighbours of a level $x$ are $2\delta$ away, $\delta = 1/(n - 1)$, so rounding ends at $x$ if the draw was within $\delta$ of it; beyond the two outermost levels everything is rounded to them.
# With $\Phi$ for the standard normal distribution function,
#
# $$P(x \mid x_1) = \Phi\Big(\frac{x + \delta_+ - \mu}{\sigma}\Big) - \Phi\Big(\frac{x - \delta_- - \mu}{\sigma}\Big), \qquad
# \delta_+ = \begin{cases} \infty & x = 1 \\ \delta & \text{else,} \end{cases} \quad \delta_- = \begin{cases} \infty & x = -1 \\ \delta & \text{else.} \end{cases} \tag{19}$$
#
# Neighbouring bins share a limit, $x + \delta = (x + 2\delta) - \delta$, so the sum of (19) over all levels telescopes to $\Phi(\infty) - \Phi(-\infty) = 1$.
# Given $x_1$, the pixels of the last step are independent, hence $L_0 = -\sum_i \log P(x_{0,i} \mid x_1)$.

# %% [markdown]
# We ask the library for $L_0$ of each of the 17 levels, from a model whose guess of $x_0$, and so $\mu$, is the same number everywhere.
# The 17 probabilities must sum to one; and each inner one must be the area under the Gaussian's density over its bin, which we integrate.

# %%
levels = torch.linspace(-1, 1, 17)[:, None]
for mu in (-1.2, -0.3, 0.51):
    two_steps = diffusion.Schedule([0.01, 0.02])  # σ_1² = β_1 = 0.01
    always = diffusion.DDPM(
        lambda x_t, t, label, mu=mu: torch.full_like(x_t, mu), two_steps, predict="x_0", levels=17
    )
    P = (-diffusion.vlb(always, levels).nats().L_0).exp()
    bins = levels[1:-1] + torch.linspace(-1, 1, 2001) / 16  # of the 15 inner levels
    area = torch.trapezoid(N(mu, 0.1).log_prob(bins).exp(), bins, dim=1)
    checks.identity(f"μ = {mu}: the 17 probabilities sum to one (19)", P.sum(), torch.tensor(1.0), tol=1e-12)
    checks.identity(f"μ = {mu}: an inner one is the area over its bin (19)", P[1:-1], area, tol=1e-7)

# %% [markdown]
# How much is lost in the inequality?
# For real data we could not say.
# For the mixture we can, because in one dimension the integral over paths can be done after all, one step at a time, on a grid.
# The bound itself is an average over random paths, so we give its standard error.

# %%
cross = torch.linspace(-6, 6, 601)[:, None]
truth, dx = gmm.log_prob(cross).exp(), float(cross[1] - cross[0])


def model_density(variance):
    """The density of x_0 on the grid, for the best denoiser and variance[t]: a number, or one for each x_t."""
    density = standard.log_prob(cross[:, 0]).exp()  # of x_T
    for t in range(50, 0, -1):
        mean, _ = best.reverse(cross, torch.full((601,), t))
        density = density @ N(mean, variance[t].sqrt()).log_prob(cross[:, 0]).exp() * dx  # of x_{t−1}
    return density


def code_length(density):
    return -torch.trapezoid(truth * density.clamp(min=1e-300).log(), dx=dx)


# %%
density = model_density(short.beta)
held = gmm.sample(4000, generator=seeded(12)).double()
bound = diffusion.vlb(best, held, batch_size=8192, generator=seeded(13)).nats()
error = bound.total.std() / math.sqrt(4000)
print(f"entropy of the data        {gmm.entropy():6.3f} nats")
print(f"model's own code length    {code_length(density):6.3f} nats")
print(f"variational bound          {bound.total.mean():6.2f} nats, standard error {error:.2f}")
checks.at_most("the entropy is a bound for every model", gmm.entropy(), code_length(density))
checks.at_most("the variational bound holds (16), (18)", code_length(density), bound.total.mean() - 4 * error)

# %% [markdown]
# There are two gaps.
# The model's *code length*, the mean of $-\log p_\theta(x_0)$ over the data, lies above the entropy, below which no model gets ([Normalizing flows](03_normalizing_flows.ipynb), (8)).
# It is tempting to blame this gap on the 50 steps, which are Gaussian where the exact ones are not.
# But the model has not been given its best Gaussians: its variance was fixed at $\beta_t$.
# Section 10 keeps the steps and the denoiser, changes the variance alone, and finds that nearly all of this gap goes.
# The second gap, of the bound above the code length, is what Jensen's inequality gives away.
#
# The bound is one on the *model's* $-\log p_\theta(x_0)$.
# It is no bound on the *data's* $-\log p(x_0)$, except in expectation.
# At $x_0 = 0.5$, where the mixture has almost no mass, the model puts far more than it should, and the bound lies far below.

# %%
gap = torch.full((2000, 1), 0.5)
at_gap = diffusion.vlb(best, gap, batch_size=8192, generator=seeded(14)).nats().total.mean()
print(f"at x_0 = 0.5: bound {at_gap:.1f} nats, the data's −log p(x_0) {-gmm.log_prob(gap)[0]:.1f} nats")
checks.at_most("at one point, the bound may lie below the truth", at_gap, -gmm.log_prob(gap)[0])

# %%
steps = torch.arange(2, 51)
plots.figure(
    plots.lines(cross, {"data": truth, "model": density}, xlim=(-1.5, 1.5), xlabel="x_0", title="density"),
    plots.lines(
        steps, {"L_{t−1}": bound.L_t.mean(0)}, xlabel="step t", yscale="log", title="terms of the bound (nats)"
    ),
    alt="Left: the density of the model with 50 steps follows that of the data, with peaks a fifth and a third lower. "
    "Right: the terms of the bound are largest in the first steps, next to the data.",
)

# %% [markdown]
# <details><summary><b>Question.</b> The denoiser is the best possible one, and yet the terms L_{t−1} are not zero. Why?</summary>
#
# $L_{t-1}$ compares the model with a step of someone who *knows* $x_0$.
# The model does not know it.
# Its step is right on average over all $x_0$ that could have led to $x_t$, and differs from the step that belongs to any single one of them.
# So these terms stay above zero for the best of all models, as long as $x_t$ leaves open what $x_0$ was.
#
# There is a second cause, and it would remain even if $x_0$ were known: the model's variance was fixed at $\beta_t$, and the posterior's is $\tilde\beta_t$.
# The next section has a formula for this part, and finds 0.61 of about 0.8 nats at $t = 2$, and 1.03 nats over all steps.
# </details>

# %% [markdown]
# ## 9. From the bound to the loss
#
# Let the model's step have a fixed variance $\sigma_t^2$, and the mean (11) with a guess of $x_0$ in the place of $x_0$.
# The divergence of two Gaussians of variances $\tilde\beta_t$ and $\sigma_t^2$ is $\|\tilde\mu_t - \mu_\theta\|^2 / 2\sigma_t^2$, plus a term that depends on the variances alone.
# The two means differ in their $x_0$ only, which has the weight $\sqrt{\bar\alpha_{t-1}}\,\beta_t/(1 - \bar\alpha_t)$ in (11).
# And an error in $x_0$ is an error in $\varepsilon$ times $\sqrt{1 - \bar\alpha_t}/\sqrt{\bar\alpha_t}$, by (12).
# Square both factors, multiply, and use $\bar\alpha_t = \alpha_t \bar\alpha_{t-1}$:
#
# $$L_{t-1} = \underbrace{\frac{\beta_t^2}{2\sigma_t^2\,\alpha_t\,(1 - \bar\alpha_t)}}_{w_t}\;\big\|\varepsilon - \varepsilon_\theta(x_t, t)\big\|^2 + \frac D2 \Big[\log\frac{\sigma_t^2}{\tilde\beta_t} + \frac{\tilde\beta_t}{\sigma_t^2} - 1\Big], \tag{20}$$
#
# where $D$ is the number of coordinates.
# So every term of the bound asks for one thing, *guess the noise*, and the terms differ only in how much an error costs.
# We check (20) for both variances that are in use, $\beta_t$ and $\tilde\beta_t$, against PyTorch's divergence of two Gaussians.
# The last term of (20), which no network can change, is printed too: it is 0 for $\tilde\beta_t$, and for $\beta_t$ it is most of the term at $t = 2$.

# %%
tilde = diffusion.DDPM(best_eps, short, predict="eps", variance="beta_tilde")
t = torch.arange(2, 51)
x_0, eps = torch.randn(2, 49, 1, generator=seeded(15))
x_t = short.q_sample(x_0, t, eps)
alpha, beta, bar, narrow = short.alpha[t], short.beta[t], short.alpha_bar[t], short.beta_tilde[t]
for name, model, s2_t in (("σ² = β", best, beta), ("σ² = β̃", tilde, narrow)):
    (mean, var), (model_mean, model_var) = short.q_posterior(x_0, x_t, t), model.reverse(x_t, t)
    kl = torch.distributions.kl_divergence(N(mean, var.sqrt()), N(model_mean, model_var.sqrt()))
    w = beta**2 / (2 * s2_t * alpha * (1 - bar))
    formula = w * (eps - best_eps(x_t, t))[:, 0] ** 2 + 0.5 * ((s2_t / narrow).log() + narrow / s2_t - 1)
    checks.identity(f"L_{{t−1}} is a weighted error in eps (20), {name}", kl[:, 0], formula, tol=1e-9)

fixed = 0.5 * ((beta / narrow).log() + narrow / beta - 1)
print(
    f"σ² = β, t = 2: {fixed[0]:.2f} of about {bound.L_t[:, 0].mean():.1f} nats are fixed; all steps: {fixed.sum():.2f}"
)

# %% [markdown]
# Ho, Jain and Abbeel found that pictures look better if the weights are left out:
#
# $$L_{\text{simple}} = E_{x_0,\,\varepsilon,\,t}\Big[\big\|\varepsilon - \varepsilon_\theta\big(\sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\varepsilon,\ t\big)\big\|^2\Big], \qquad t \text{ uniform in } 1, \dots, T.$$
#
# A network that can be any function at each step has the same minimiser for all weights above 0, namely (15), because each $t$ is a problem by itself.
# What the weights decide is where a network of limited size spends its effort.
# The figure shows the weights that the bound would have given: they are largest in the very first steps, where hardly any noise is left and the eye sees nothing.

# %%
t = torch.arange(2, 1001)
beta, alpha, bar = schedule.beta[t], schedule.alpha[t], schedule.alpha_bar[t]
step_weights = {
    "bound, σ² = β": beta / (2 * alpha * (1 - bar)),
    "bound, σ² = β̃": beta**2 / (2 * schedule.beta_tilde[t] * alpha * (1 - bar)),
    "L_simple": torch.ones(999),
}
plots.figure(
    plots.lines(t, step_weights, xlabel="step t", ylabel="weight", xscale="log", yscale="log", aspect=2.2),
    alt="Weights against the step, on logarithmic axes. Those of the bound start at about 0.3 and 0.6, fall to 0.005 at "
    "t = 350, and double again until t = 1000; L-simple's are one throughout.",
)

# %% [markdown]
# Is $L_{\text{simple}}$ still a bound of anything?
# As a mean over steps it cannot be compared with the sum in (18), so take $T \cdot L_{\text{simple}}$, the sum of all errors, with norms that sum over coordinates.
# For the linear schedule with $T = 1000$ every weight $w_t$ is below 1: at most $0.27$ with $\sigma^2 = \beta$, at most $0.60$ with $\sigma^2 = \tilde\beta$.
# So $\sum_t w_t \|\cdot\|^2 \le T \cdot L_{\text{simple}}$, whatever the network is, and with the second variance, for which the constant in (20) is zero, $T \cdot L_{\text{simple}}$ is an upper bound of $\sum_{t \ge 2} L_{t-1}$.
# It is a loose one: the cell computes both for the mixture and its best denoiser, whose mean squared error is $1 - (1 - \bar\alpha_t)\,E\big[(\nabla \log q(x_t))^2\big]$ by (15).
# The cosine schedule has no such bound, because its last weight is about 500.

# %%
line = torch.linspace(-5, 5, 401)[:, None]
squared = torch.zeros(1001)  # E‖ε − E[ε | x_t]‖²
for t in range(2, 1001):
    q_t = gmm.noised(float(schedule.alpha_bar[t]))
    squared[t] = 1 - (1 - schedule.alpha_bar[t]) * torch.trapezoid(
        q_t.log_prob(line).exp() * q_t.score(line)[:, 0] ** 2, line[:, 0]
    )
for name in ("bound, σ² = β", "bound, σ² = β̃"):
    print(
        f"{name}: weights up to {step_weights[name].max():.2f}, Σ w_t E‖·‖² = {step_weights[name] @ squared[2:]:.2f} nats"
    )
    checks.at_most(f"{name}: below T · L_simple", step_weights[name] @ squared[2:], squared.sum())
print(f"T · L_simple, of the steps from 2 on: {squared.sum():.0f} nats")

# %% [markdown]
# <details><summary><b>Question.</b> A loss in v, ‖v − v_θ‖², is yet another weighting. Which weight does it give to an error in ε?</summary>
#
# Given $x_t$, an error $\delta$ in $\varepsilon$ is an error $-\delta\sqrt{1 - \bar\alpha_t}/\sqrt{\bar\alpha_t}$ in $x_0$, by (12).
# In $v = \sqrt{\bar\alpha_t}\,\varepsilon - \sqrt{1 - \bar\alpha_t}\,x_0$ the two add up to $\delta\,(\bar\alpha_t + 1 - \bar\alpha_t)/\sqrt{\bar\alpha_t} = \delta/\sqrt{\bar\alpha_t}$.
# So $\|\varepsilon - \varepsilon_\theta\|^2$ has the weight $1/\bar\alpha_t$: the noisiest steps count more, which is where a guess of $\varepsilon$ says little about the picture.
# </details>

# %% [markdown]
# ## 10. Which variance?
#
# The network's mean needs a companion $\sigma_t^2$.
# Two choices can be justified without a network, each by an extreme case.
#
# - If the data are $N(0, v)$ in each coordinate, then $x_{t-1}$ is $N(0, v_{t-1})$ with $v_t = \bar\alpha_t v + 1 - \bar\alpha_t$. By the square that we completed, the precision of the reverse step is $\alpha_t/\beta_t + 1/v_{t-1}$, and its inverse is $\beta_t v_{t-1}/(\alpha_t v_{t-1} + \beta_t) = \beta_t\,v_{t-1}/v_t$. For data of variance $v = 1$ this is $\beta_t$.
# - If the data are a single point, then we know $x_0$, and the right variance is $\tilde\beta_t$.

# %%
before, x, t = torch.linspace(-9, 9, 20_001), 0.7, 20
for v in (0.25, 1.0, 4.0):
    v_before, v_now = (float(short.alpha_bar[i] * v + 1 - short.alpha_bar[i]) for i in (t - 1, t))
    log_p = N(short.alpha[t].sqrt() * before, short.beta[t].sqrt()).log_prob(torch.tensor(x))
    p = (log_p + N(0.0, math.sqrt(v_before)).log_prob(before)).softmax(0)
    spread = p @ before**2 - (p @ before) ** 2
    checks.identity(
        f"data N(0, {v:g}): the variance is β_t v_(t−1)/v_t", spread, short.beta[t] * v_before / v_now, tol=1e-9
    )

# %% [markdown]
# Do other data lie between the two?
# On average over $x_t$, and if their variance is at most 1 in each coordinate, yes.
# Let $d_t^2(x_t)$ be the exact variance of $x_{t-1}$ given $x_t$, in one coordinate.
#
# - *From below.* Knowing $x_0$ as well can only reduce the average variance, and what then remains is $\tilde\beta_t$; so $E[d_t^2(x_t)] \ge \tilde\beta_t$.
# - *From above.* $E[d_t^2(x_t)]$ is the mean squared error of the best guess of $x_{t-1}$ from $x_t$. It is at most that of the best *linear* guess, which depends on variances alone, and therefore is that of Gaussian data, $\beta_t\,v_{t-1}/v_t$. If $v \le 1$, then $v_{t-1} \le v_t$ by (2), and this is at most $\beta_t$.
#
# $$\tilde\beta_t \;\le\; E\big[d_t^2(x_t)\big] \;\le\; \beta_t\,\frac{v_{t-1}}{v_t} \;\le\; \beta_t \quad\text{where } v \le 1. \tag{21}$$
#
# Neither condition can be dropped.
# Data $N(0, 4)$ need more than $\beta_t$, and at a single $x_t$, such as one between two peaks, the exact variance may be far above $\beta_t$ whatever the variance of the data.

# %% [markdown]
# For the mixture we can compute $d_t^2$ at every $x_t$.
# Write one step as $x_t = \sqrt{\alpha_t}\,x_{t-1} + \sqrt{\beta_t}\,\varepsilon_t$.
# As in (14), differentiating the Gaussian $q(x_t \mid x_{t-1})$ by $x_t$ once gives the factor $-\varepsilon_t/\sqrt{\beta_t}$, and twice the factor $(\varepsilon_t^2 - 1)/\beta_t$.
# Averaged over $q(x_{t-1} \mid x_t)$, as in (15), the factors become $q'/q$ and $q''/q$ of the marginal $q(x_t)$.
# And $(\log q)'' = q''/q - (q'/q)^2$, so
#
# $$1 + \beta_t\,(\log q)''(x_t) = E[\varepsilon_t^2 \mid x_t] - E[\varepsilon_t \mid x_t]^2 = \operatorname{Var}[\varepsilon_t \mid x_t], \qquad d_t^2(x_t) = \frac{\beta_t}{\alpha_t}\big(1 + \beta_t\,(\log q)''(x_t)\big). \tag{22}$$
#
# Autograd differentiates the closed form twice; the check is the variance of Bayes' rule on the grid.


# %%
def exact_variance(x_t, t, chain=short):
    """d_t²(x_t) of the mixture by (22), for x_t of shape (n, 1)."""
    leaf = x_t.clone().requires_grad_()
    log_q = gmm.noised(float(chain.alpha_bar[t])).log_prob(leaf)
    (slope,) = torch.autograd.grad(log_q.sum(), leaf, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), leaf)
    return chain.beta[t] / chain.alpha[t] * (1 + chain.beta[t] * curvature)


fine = torch.linspace(-4, 4, 8001)
for t in (5, 20, 35):
    by_bayes, before = [], gmm.noised(float(short.alpha_bar[t - 1])).log_prob(fine[:, None])
    for at in (-1.0, 0.4, 0.9):
        step = N(short.alpha[t].sqrt() * fine, short.beta[t].sqrt()).log_prob(torch.tensor(at))
        p = (step + before).softmax(0)
        by_bayes.append(p @ fine**2 - (p @ fine) ** 2)
    by_score = exact_variance(torch.tensor([[-1.0], [0.4], [0.9]]), t)[:, 0]
    checks.identity(f"variance of the exact step, t = {t} (22)", by_score, torch.stack(by_bayes), tol=1e-9)

# %%
d2 = torch.stack(
    [torch.zeros(601, 1)] + [exact_variance(cross, t) for t in range(1, 51)]
)  # d_t²(x_t), on the grid
q = torch.stack([gmm.noised(float(a)).log_prob(cross).exp() for a in short.alpha_bar])[..., None] * dx
mean_d2 = (q * d2).sum((1, 2))
v = (q[0] * cross**2).sum() - (q[0] * cross).sum() ** 2  # the variance of the data
v_t = short.alpha_bar * v + 1 - short.alpha_bar
checks.at_most("β̃_t ≤ E[d_t²] (21)", short.beta_tilde[1:], mean_d2[1:])
checks.at_most("E[d_t²] ≤ β_t v_(t−1)/v_t (21)", mean_d2[1:], short.beta[1:] * v_t[:-1] / v_t[1:])
i, j = 5, int((cross - 0.4).abs().argmin())
print(
    f"step {i}, at x_t = 0.4: d² is {d2[i, j, 0] / short.beta[i]:.2f} β; on average over x_t it is {mean_d2[i] / short.beta[i]:.2f} β"
)

# %%
t = torch.arange(2, 51)
ratios = {"β": torch.ones(49), "E[d²]": mean_d2[2:] / short.beta[2:], "β̃": short.beta_tilde[2:] / short.beta[2:]}
plots.figure(
    plots.lines(t, ratios, xlabel="step t", ylabel="variance / β_t", ylim=(0, 1.1), aspect=2.2),
    alt="Three curves of the variance divided by beta. The average exact variance lies between beta-tilde and beta; all meet for large t.",
)

# %% [markdown]
# **What a variance costs.**
# Average the bound (16) over the data, in one dimension.
# The chain's part is the logarithm of $T$ Gaussian densities of the variances $\beta_t$, in expectation $-\tfrac12 \log 2\pi e \beta_t$ each.
# The model's last Gaussian, $p(x_T)$, contributes $\tfrac12 \log 2\pi + \tfrac12 E[x_T^2]$.
# And its step $t$ contributes $\tfrac12 \log 2\pi\sigma_t^2 + d_t^2/2\sigma_t^2$, if its mean is exact, because then $d_t^2$ is the mean squared distance of $x_{t-1}$ to that mean.
# Together,
#
# $$E[\text{bound}] = \tfrac12 \big(\log 2\pi + E[x_T^2]\big) + \tfrac12 \sum_{t=1}^T E\Big[\log\frac{\sigma_t^2}{\beta_t} + \frac{d_t^2(x_t)}{\sigma_t^2} - 1\Big]. \tag{23}$$
#
# The bracket is smallest where $\sigma_t^2 = d_t^2(x_t)$, since the derivative of $\log \sigma^2 + d^2/\sigma^2$ vanishes there.
# If $\sigma_t^2$ may depend on $t$ alone, the best constant is by the same argument the average $E[d_t^2(x_t)]$.
# For these two choices the sum is $\tfrac12 \sum E[\log (d_t^2/\beta_t)]$ and $\tfrac12 \sum \log (E[d_t^2]/\beta_t)$, and the first is the smaller one by Jensen's inequality.

# %%
post = short.beta_tilde.clone()
post[1] = post[2]  # β̃_1 = 0 would make L_0 infinite; the library takes β̃_2 there
choices = {"β": short.beta, "β̃": post, "constant": mean_d2, "of x_t": d2}


def exact_bound(s2):
    """(23), for s2[t]: a number, or one for each x_t."""
    s2 = s2.view(51, -1, 1)
    terms = (s2[1:] / short.beta[1:, None, None]).log() + d2[1:] / s2[1:] - 1
    return 0.5 * (math.log(2 * math.pi) + (q[50] * cross**2).sum()) + 0.5 * (q[1:] * terms).sum()


bounds = {name: exact_bound(s2) for name, s2 in choices.items()}
codes = {name: code_length(model_density(s2)) for name, s2 in choices.items()}
plots.table(
    list(choices),
    [plots.Row("bound (23)", [float(b) for b in bounds.values()], ".3f", "low"),
     plots.Row("code length", [float(c) for c in codes.values()], ".3f", "low"),
     plots.Row("code length − entropy", [float(c) - gmm.entropy() for c in codes.values()], ".4f", "low")],
    caption=f"50 Gaussian steps with exact means, by variance; nats. The entropy is {gmm.entropy():.3f}.",
)  # fmt: skip

# %% [markdown]
# All four models take the same 50 Gaussian steps with the same means, and only their variance differs.
# With $\sigma^2 = \beta$ the code length lies 0.053 nats above the entropy.
# The best constant leaves 0.004 of it, and the variance that depends on $x_t$ leaves 0.0001.
# So for this chain the gap of section 8 is not the price of Gaussian steps: more than nine tenths of it is the price of $\sigma^2 = \beta$, and nearly all of the rest the price of using one variance for all $x_t$.
# The bounds tell the same story on a larger scale, and $\tilde\beta$ is by far the worst in them: it is too narrow where $x_0$ is uncertain, and $d_t^2/\sigma_t^2$ in (23) punishes a variance that is too small harder than one that is too large.

# %% [markdown]
# **A price that more steps do not lower.**
# Do these losses go to 0 as the steps become smaller?
# By (23), a step that has the variance $\sigma^2$ instead of $d^2$ loses $\tfrac12 E[d^2/\sigma^2 - 1 - \log (d^2/\sigma^2)]$.
# For $\sigma^2 = \beta$ and a smooth density of the data, $d^2/\beta = 1 + O(\beta)$, so a step loses something of the order of $\beta^2$, and a walk of $T$ steps with $\beta$ near $1/T$ loses something of the order of $1/T$.
#
# For $\tilde\beta$ the steps next to the data are the trouble.
# There $1 - \bar\alpha_t \approx t\beta$ and so $\tilde\beta_t \approx \beta\,(t - 1)/t$, while $d_t^2 \approx \beta$ as before.
# With $n = t - 1$, the ratio of the two is $1 + 1/n$, and the steps from $t = 2$ on lose together
#
# $$\tfrac12 \sum_{n \ge 1} \Big[\frac1n - \log\Big(1 + \frac1n\Big)\Big] = \tfrac12 \lim_{m \to \infty} \Big[\sum_{n=1}^{m} \frac1n - \log(m + 1)\Big] = \tfrac12 \gamma \approx 0.289 \tag{23a}$$
#
# nats in each coordinate.
# The logarithms telescope, and the last limit is Euler's constant $\gamma = 0.577\ldots$ by definition.
# Nothing here depends on how small $\beta$ is.
#
# That the density be smooth is needed: if the data are a single point, then $d_t^2 = \tilde\beta_t$ and the roles are exchanged, so that $\sigma^2 = \beta$ keeps a loss of $\tfrac12 \sum_n \big[\log(1 + \tfrac1n) - \tfrac1{n + 1}\big] = \tfrac12 (1 - \gamma) \approx 0.21$.
# The cells sum the losses, first for data $N(0, 1)$ and for data in a point, of which the exact variance is $\beta_t$ and $\tilde\beta_t$ at every step, and then for the mixture.

# %%
euler, fine_chain = 0.5772156649015329, diffusion.Schedule.linear(T=100_000)


def lost(exact, used):
    """What a step loses by the variance used, in the place of the exact one, in nats."""
    return 0.5 * (exact / used - 1 - (exact / used).log())


wide, narrow = fine_chain.beta[2:], fine_chain.beta_tilde[2:]
checks.identity("data N(0, 1): β̃ loses γ/2 (23a)", lost(wide, narrow).sum(), euler / 2, tol=5e-3)
checks.identity("data in a point: β loses (1 − γ)/2", lost(narrow, wide).sum(), (1 - euler) / 2, tol=5e-3)

# %%
for T in (50, 200, 1000):
    chain, sums = diffusion.Schedule.linear(T=T), torch.zeros(3)
    for t in range(2, T + 1):
        variance = exact_variance(cross, t, chain)
        weight = gmm.noised(float(chain.alpha_bar[t])).log_prob(cross).exp()[:, None] * dx
        used = chain.beta[t], (weight * variance).sum(), chain.beta_tilde[t]
        sums += torch.stack([(weight * lost(variance, s2)).sum() for s2 in used])
    print(f"mixture, T = {T:4}: β loses {sums[0]:.4f}, the best constant {sums[1]:.4f}, β̃ {sums[2]:.2f} nats")

# %% [markdown]
# Does the library's `vlb` agree with (23)?
# It draws $x_t$ at random and never uses $d_t^2$, so the two have nothing in common but the model.
# A variance that depends on $x_t$ is given to it in the form of Nichol and Dhariwal, as a second output $r$ of the network, $\sigma_t^2 = \exp(r \log\beta_t + (1 - r) \log\tilde\beta_t)$.
# Here we compute $d_t^2$ in another way than by (22).
# For the merged step (5), the argument of (22) reads $\operatorname{Var}[\varepsilon \mid x_t] = 1 + (1 - \bar\alpha_t)(\log q)'' = 1 - \sqrt{1 - \bar\alpha_t}\;\frac{d}{dx_t} E[\varepsilon \mid x_t]$, and the law of total variance, with (11), adds what is unknown about $x_0$ to what remains when $x_0$ is known:
#
# $$d_t^2(x_t) = \tilde\beta_t + \frac{\bar\alpha_{t-1}\,\beta_t^2}{(1 - \bar\alpha_t)^2}\,\operatorname{Var}[x_0 \mid x_t], \qquad \operatorname{Var}[x_0 \mid x_t] = \frac{1 - \bar\alpha_t}{\bar\alpha_t}\operatorname{Var}[\varepsilon \mid x_t]. \tag{24}$$


# %%
def eps_and_r(x_t, t, label=None):
    with torch.enable_grad():
        leaf = x_t.detach().requires_grad_()
        eps = best_eps(leaf, t)
        (slope,) = torch.autograd.grad(eps.sum(), leaf)
    noise_2, beta = 1 - short.alpha_bar[t][:, None], short.beta[t][:, None]
    unknown = (1 - noise_2.sqrt() * slope) * noise_2 / (1 - noise_2)  # Var[x_0 | x_t], by (24)
    weight_x_0 = (1 - noise_2).sqrt() * beta / noise_2 / (1 - beta).sqrt()  # in (11)
    log_d2 = (short.beta_tilde[t][:, None] + weight_x_0**2 * unknown).log()
    low, high = post[t].log()[:, None], beta.log()
    return torch.cat([eps.detach(), (log_d2 - low) / (high - low)], dim=1)


per_x_t = diffusion.DDPM(eps_and_r, short, predict="eps", variance="learned")
for t in (5, 20, 35):
    _, by_x_0 = per_x_t.reverse(cross, torch.full((601,), t))
    checks.identity(
        f"t = {t}: the variance by x_0 (24) is that by x_(t−1) (22)", by_x_0, exact_variance(cross, t), tol=1e-9
    )

# %%
for name, model in (("β", best), ("β̃", tilde), ("of x_t", per_x_t)):
    total = diffusion.vlb(model, held, batch_size=8192, generator=seeded(17)).nats().total
    error = total.std() / math.sqrt(len(held))
    print(f"bound {total.mean():6.2f} nats, standard error {error:.2f}: σ² {name}")
    checks.identity(
        f"σ² {name}: vlb is (23), in standard errors", (total.mean() - bounds[name]) / error, 0.0, tol=3
    )

# %% [markdown]
# What is it, then, that the bound adds to the entropy?
# The chain's probability of a whole path can be written backwards too, $q(x_{0:T}) = q(x_T) \prod_t q(x_{t-1} \mid x_t)$, with the exact steps (8).
# Since $q(x_{1:T} \mid x_0) = q(x_{0:T})/p(x_0)$, the average of (16) over the data is the entropy plus a divergence of paths, which splits into the divergences of their steps:
#
# $$E[\text{bound}] = H(x_0) + \operatorname{KL}\big(q(x_T) \,\|\, N(0, I)\big) + \sum_{t=1}^T E_{q(x_t)}\Big[\operatorname{KL}\big(q(x_{t-1} \mid x_t) \,\|\, p_\theta(x_{t-1} \mid x_t)\big)\Big]. \tag{25}$$
#
# Under the sum stand the divergences of section 5.
# Together with the first term, what the chain's end lacks to $N(0, I)$ ($10^{-5}$ nats here), they are the whole distance between bound and entropy, and each of them is 0 only if the exact step is Gaussian and the model's mean and variance are right.

# %%
grid = cross[:, 0]
start_kl = (
    q[50, :, 0] * (gmm.noised(float(short.alpha_bar[50])).log_prob(cross) - standard.log_prob(grid))
).sum()
step_kl = {"β": 0.0, "of x_t": 0.0}
for t in range(1, 51):
    marginal, before = gmm.noised(float(short.alpha_bar[t])), gmm.noised(float(short.alpha_bar[t - 1]))
    log_step = N(short.alpha[t].sqrt() * grid, short.beta[t].sqrt()).log_prob(
        cross
    )  # rows: x_t; columns: x_{t−1}
    log_exact = log_step + before.log_prob(cross) - marginal.log_prob(cross)[:, None]
    mean, _ = best.reverse(cross, torch.full((601,), t))
    for name in step_kl:
        log_model = N(mean, choices[name][t].sqrt()).log_prob(grid)
        step_kl[name] += (q[t] * log_exact.exp() * (log_exact - log_model)).sum() * dx
for name, total in step_kl.items():
    checks.identity(f"σ² {name}: (25) is (23)", gmm.entropy() + start_kl + total, bounds[name], tol=1e-5)

# %% [markdown]
# DDPM fixes $\sigma_t^2$ at $\beta_t$ or $\tilde\beta_t$; its authors found learning it unstable.
# Nichol and Dhariwal made it work, with the output $r$ above, and with the bound (18) added to the loss with a small weight, for the variance's sake alone.
# Mind that $\mu_\theta$ and $\Sigma_\theta$ are *outputs* of the network, not its parameters.

# %% [markdown]
# ## 11. Sampling, with the best denoiser there is
#
# Nothing has been trained yet, and we can sample already.
# Start at $x_T \sim N(0, I)$, and draw $x_{t-1} \sim N(\mu_\theta(x_t, t), \sigma_t^2 I)$ until $t = 1$.
# In the last step no noise is added, and the mean is the answer.
# This is *ancestral* sampling, and it calls the denoiser $T$ times.
#
# A thousand calls of a network for one picture are many, where a GAN or a flow needs one.
# Must every step be visited?
# A chain that visits some steps only, $s < t$, is a chain again: by (5) it has $\bar\alpha_s$ and $\bar\alpha_t$, and so its own $\beta' = 1 - \bar\alpha_t/\bar\alpha_s$.
# All that we derived holds for this chain, with fewer and larger steps.
# But larger steps back are worse Gaussians, as section 5 has shown.
# Can the same network be used for long steps in another way?

# %% [markdown]
# *DDIM* (Song, Meng and Ermon 2021) can do so, and starts from what the denoiser says at $x_t$.
# It guesses the noise, $\hat\varepsilon$, and thereby, with (12), the clean sample, $\hat x_0 = (x_t - \sqrt{1 - \bar\alpha_t}\,\hat\varepsilon)/\sqrt{\bar\alpha_t}$.
# Suppose that both guesses are right.
# Then (5) says of what a point at an earlier step $s$ consists: of $\sqrt{\bar\alpha_s}\,\hat x_0$, and of noise with the factor $\sqrt{1 - \bar\alpha_s}$.
# It does not say that this noise has to be new.
# So take the guess of the clean sample, and noise it again, less strongly, with the *same* noise:
#
# $$x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1 - \bar\alpha_s}\;\hat\varepsilon .$$
#
# Nothing in this step is random, and nothing in it asks that $s$ be close to $t$.
# The posterior's step, by contrast, brings new noise in.
# Between the two there is room for a choice: of the noise's variance $1 - \bar\alpha_s$ let a part $\sigma^2$ be new, and the rest be the old noise.
#
# But may we walk back like this, with a network that was trained for the chain?
# Nothing in training looked at the chain as a whole: the loss asks for $x_t$ given $x_0$, one step at a time.
# So any joint distribution of $x_1, \dots, x_T$ that has the marginals (5) would have led to the same network, and we may walk back along another one than the chain.
# The choice just made gives a family of them.
# For a $\sigma$ of our choice, from 0 to $\sqrt{1 - \bar\alpha_s}$, let $x_T$ be drawn from (5), and each later point from
#
# $$q_\sigma(x_s \mid x_t, x_0) = N\!\Big(x_s;\ \sqrt{\bar\alpha_s}\,x_0 + \sqrt{1 - \bar\alpha_s - \sigma^2}\;\frac{x_t - \sqrt{\bar\alpha_t}\,x_0}{\sqrt{1 - \bar\alpha_t}},\ \sigma^2 I\Big). \tag{26}$$
#
# *The marginals are those of the chain.*
# We go down from $T$.
# If $x_t$ given $x_0$ has the distribution (5), then the fraction in (26) is the noise $\varepsilon \sim N(0, I)$ in $x_t$.
# So $x_s$ given $x_0$ is a Gaussian with mean $\sqrt{\bar\alpha_s}\,x_0$ and variance $(1 - \bar\alpha_s - \sigma^2) + \sigma^2 = 1 - \bar\alpha_s$, which is (5) again.
#
# *The loss is the same.*
# Put a guess $\hat x_0$ in the place of $x_0$: both Gaussians have the variance $\sigma^2$, so their divergence is the squared distance of their means over $2\sigma^2$, and as both means are linear in $x_0$, this is a factor times $\|\varepsilon - \varepsilon_\theta(x_t, t)\|^2$.
# With $\sigma > 0$ in all steps but the last, whose term is $L_0$ as before, the bound of this family is therefore a sum of the same errors with other weights, as (20) is, and a network that minimises each error minimises all these bounds at once.
# Where $\sigma = 0$ the factor is infinite and there is no bound, but the marginals are still right.

# %% [markdown]
# We let 20,000 walkers who know their $x_0$ go from $T$ to 0 in 25 steps of (26), for several $\sigma$, named by $\eta$ as in the formula that follows.
# At every point on the way, their distance to $\sqrt{\bar\alpha_s}\,x_0$ must have the variance $1 - \bar\alpha_s$.

# %%
x_0 = gmm.sample(20_000, generator=seeded(18)).double()
knows = diffusion.DDPM(lambda x_t, t, label: x_0, cosine, predict="x_0")
visited = [1000 - 40 * i for i in range(25)]
first = torch.randn(x_0.shape, generator=seeded(19))
for eta in (0.0, 0.5, 1.0):
    walk = diffusion.ddim(knows, x_0.shape, steps=25, eta=eta, x_T=first, generator=seeded(20))
    bars = [cosine.alpha_bar[s] for s in visited]
    ratio = [(x - a.sqrt() * x_0).var() / (1 - a) for x, a in zip(walk, bars, strict=False)]
    checks.identity(
        f"η = {eta}: variance of the family's marginals (26)", torch.stack(ratio), torch.ones(25), tol=0.05
    )

# %% [markdown]
# The sampler replaces $x_0$ and $\varepsilon$ by guesses, and chooses $\sigma$ by a number $\eta$ from 0 to 1:
#
# $$x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1 - \bar\alpha_s - \sigma^2}\;\hat\varepsilon + \sigma z, \qquad
# \sigma^2 = \eta^2\,\frac{1 - \bar\alpha_s}{1 - \bar\alpha_t}\Big(1 - \frac{\bar\alpha_t}{\bar\alpha_s}\Big), \qquad z \sim N(0, I). \tag{27}$$
#
# With $\eta = 0$ nothing is random but the start.
# With $\eta = 1$, (26) is the posterior (11) of the chain that goes from $s$ to $t$ in one step, with $\alpha' = \bar\alpha_t/\bar\alpha_s$ and $\beta' = 1 - \alpha'$.
# Its $\sigma^2$ is $\tilde\beta$ of this step, letter by letter.
# For the mean, compare the weights of $x_t$, squared, and use $\alpha' - \bar\alpha_t = \alpha' (1 - \bar\alpha_s)$:
#
# $$\frac{1 - \bar\alpha_s - \sigma^2}{1 - \bar\alpha_t} = \frac{1 - \bar\alpha_s}{1 - \bar\alpha_t}\Big(1 - \frac{1 - \alpha'}{1 - \bar\alpha_t}\Big) = \frac{1 - \bar\alpha_s}{1 - \bar\alpha_t} \cdot \frac{\alpha' - \bar\alpha_t}{1 - \bar\alpha_t} = \Big(\frac{\sqrt{\alpha'}\,(1 - \bar\alpha_s)}{1 - \bar\alpha_t}\Big)^2, \tag{27a}$$
#
# which is the square of the weight of $x_t$ in (11).
# Both means are linear, and where $x_t = \sqrt{\bar\alpha_t}\,x_0$ both are $\sqrt{\bar\alpha_s}\,x_0$, so the weights of $x_0$ agree as well.
# DDIM with $\eta = 1$ is therefore ancestral sampling with $\tilde\beta$, and we check that too, path against path, with the same noise.

# %%
respaced = cosine.respaced(visited[::-1])  # the chain of these 25 steps
i = torch.arange(2, 26)
bar_s, bar_t = cosine.alpha_bar[visited[::-1][:-1]], cosine.alpha_bar[visited[::-1][1:]]
sigma_2 = (1 - bar_s) / (1 - bar_t) * (1 - bar_t / bar_s)
weight_x_t, _ = respaced.q_posterior(torch.zeros(24, 1), torch.ones(24, 1), i)
checks.identity(
    "η = 1: the weight of x_t, squared (27a)",
    (1 - bar_s - sigma_2) / (1 - bar_t),
    weight_x_t[:, 0] ** 2,
    tol=1e-12,
)

# %%
true = diffusion.DDPM(lambda x_t, t, label: gmm.optimal_eps(x_t, t, cosine), cosine, variance="beta_tilde")
start = torch.randn(500, 1, generator=seeded(21))
for steps in (200, 25):
    one_way = diffusion.ancestral(true, (500, 1), steps=steps, x_T=start, generator=seeded(7))
    other_way = diffusion.ddim(true, (500, 1), steps=steps, eta=1.0, x_T=start, generator=seeded(7))
    checks.identity(
        f"DDIM with η = 1 is ancestral, {steps} steps (27)",
        torch.stack([*one_way]),
        torch.stack([*other_way]),
        tol=1e-9,
    )

# %% [markdown]
# What was exact with the true $x_0$ and $\varepsilon$ is not exact with their best guesses.
# Look at one coordinate.
# Let $y = \sqrt{\bar\alpha_s}\,x_0 + \sqrt{1 - \bar\alpha_s}\,\varepsilon$ be made of the $x_0$ and the $\varepsilon$ that are in $x_t$; by (5) it has the marginal of $x_s$.
# The step with $\eta = 0$ has their conditional means in their places, so it lands at $E[y \mid x_t]$.
# By the law of total variance it therefore lacks $E\big[\operatorname{Var}[y \mid x_t]\big]$.
# Given $x_t$, only $x_0$ is unknown in $y$, because $\varepsilon = (x_t - \sqrt{\bar\alpha_t}\,x_0)/\sqrt{1 - \bar\alpha_t}$, and so
#
# $$\operatorname{Var}[x_s] - \operatorname{Var}\big[E[y \mid x_t]\big] = k^2\,E\big[\operatorname{Var}[x_0 \mid x_t]\big], \qquad k = \sqrt{\bar\alpha_s} - \sqrt{\bar\alpha_t}\,\frac{\sqrt{1 - \bar\alpha_s}}{\sqrt{1 - \bar\alpha_t}}. \tag{27b}$$
#
# For $s = t$ the factor $k$ is 0, so it is of first order in the length of the step, and the deficit is of second order.
# A walk of $n$ steps adds up $n$ deficits of the order $1/n^2$.
# If the later steps neither enlarge nor mend what the earlier ones left out, which we have not shown, it lacks something of the order $1/n$ in the end; the cell measures it.
#
# The cell moves the whole of $q(x_{500})$, on a grid, down to $t = 300$, in one step and in several.


# %%
def down(x, visited):
    """η = 0, with the exact denoiser, through the steps visited."""
    for t, s in itertools.pairwise(visited):
        eps = gmm.optimal_eps(x, torch.full((len(x),), t), cosine)
        x_0 = cosine.convert(eps, x, torch.full((len(x),), t), "eps", "x_0")
        x = cosine.alpha_bar[s].sqrt() * x_0 + (1 - cosine.alpha_bar[s]).sqrt() * eps
    return x


at_500 = torch.linspace(-6, 6, 1001)[:, None]
bar_s, bar_t = cosine.alpha_bar[300], cosine.alpha_bar[500]
mass = gmm.noised(float(bar_t)).log_prob(at_500).softmax(0)  # of q(x_500), on the grid
x_0 = torch.linspace(-1.5, 1.5, 1001)
log_prior = gmm.log_prob(x_0[:, None])
given_x_t = (log_prior - (at_500 - bar_t.sqrt() * x_0) ** 2 / (2 * (1 - bar_t))).softmax(1)  # q(x_0 | x_t)
unknown = mass @ (given_x_t @ x_0**2 - (given_x_t @ x_0) ** 2)  # E[Var[x_0 | x_t]]
k = bar_s.sqrt() - bar_t.sqrt() * (1 - bar_s).sqrt() / (1 - bar_t).sqrt()

# %%
prior = log_prior.softmax(0)
demanded = bar_s * (prior @ x_0**2 - (prior @ x_0) ** 2) + 1 - bar_s  # Var[x_300], by (5)
missing = {}
for n in (1, 4, 20, 200):
    moved = down(at_500, [500 - 200 * i // n for i in range(n + 1)])[:, 0]
    missing[n] = demanded - (mass @ moved**2 - (mass @ moved) ** 2)
    print(
        f"{n:3} steps: Var[x_300] is {demanded:.4f} − {missing[n]:.5f}; missing, times the steps: {n * missing[n]:.3f}"
    )
checks.identity("what one step lacks (27b)", missing[1], k**2 * unknown, tol=1e-9)

# %% [markdown]
# In one step $x_{300}$ gets the variance $0.350$ instead of $0.380$.
# With more steps the deficit goes, as $1/n$, because each step asks for a new guess at the level that it has reached.
# In the limit of infinitely many steps, sampling with $\eta = 0$ follows an ordinary differential equation, the *probability-flow ODE*, and its marginals are exactly those of the chain (Song et al. 2021).
#
# So how many steps do we need?
# We hold samples against the truth by their *energy distance*, $2E|X - Y| - E|X - X'| - E|Y - Y'|$, which is 0 only for equal distributions.
# For the figure each mean is taken over all pairs of points, those of a point with itself among them.
# Such an estimate is never below 0, as a logarithmic axis demands, but too large by about $2E|X - X'|/n$, which is $4.8 \cdot 10^{-4}$ for our $n = 1500$ points.
# Two sets of true samples therefore do not have the estimate 0 either; theirs is drawn as a floor, and consists of this bias.
# All curves are means over three seeds.

# %%
counts, n = (2, 5, 10, 20, 50, 100, 200), 1500


def one_seed(seed):
    g = seeded(seed)
    reference, again = gmm.sample(n, generator=g).double(), gmm.sample(n, generator=g).double()
    first = torch.randn(n, 1, generator=g)
    walks = {
        "ancestral": [diffusion.ancestral(true, (n, 1), steps=k, x_T=first, generator=g) for k in counts],
        "DDIM, η = 0": [diffusion.ddim(true, (n, 1), steps=k, x_T=first) for k in counts],
    }

    def measured(x):
        return [metrics.energy_distance(x, reference, unbiased=u) for u in (False, True)]

    found = {name: [measured(diffusion.last(walk)) for walk in kind] for name, kind in walks.items()}
    return found | {"two true samples": [measured(again)] * len(counts)}


runs = [one_seed(seed) for seed in (31, 32, 33)]
distances = {name: torch.tensor([run[name] for run in runs]) for name in runs[0]}  # (seed, calls, biased or not)

# %%
axes = {"xlabel": "calls of the denoiser", "ylabel": "energy distance", "xscale": "log", "yscale": "log"}
plots.figure(
    plots.lines(counts, {name: d[..., 0].mean(0) for name, d in distances.items()}, aspect=2.2, **axes),
    alt="Energy distance to the truth against the number of steps, on logarithmic axes, solid for ancestral "
    "sampling, dashed for DDIM, dash-dotted for the floor of two true samples. DDIM falls faster, and crosses the floor "
    "between fifty and a hundred calls; ancestral sampling does so between one and two hundred.",
)

# %% [markdown]
# For the numbers we leave these pairs out: then the estimate is right on average, and may fall below 0.

# %%
for name, both in distances.items():
    d = both[..., 1]
    at = "  ".join(f"{1e4 * float(d[:, i].mean()):6.1f} ± {1e4 * float(d[:, i].std()):4.1f}" for i in (3, 4, 6))
    print(f"{name:17} {at}   · 10⁻⁴, at 20, 50, 200 calls, mean and standard deviation of three seeds")

# %% [markdown]
# Two true samples are at $0.2 \pm 2.6$ in these units, so smaller numbers than 2.6 say nothing.
# With 50 calls DDIM, at $1.3 \pm 0.9$, cannot be told from the truth, and ancestral sampling, at $10.3 \pm 3.9$, can.
# With 200 calls neither can.
#
# **The chain that only adds noise, sampled.**
# Section 2, in the first part, claimed that a chain without shrinking can be walked back as well.
# Its noise levels $s_t$ are chosen to rise by a constant factor from $0.01$ to $10$, so its end is nearly $N(0, 100)$, and there we start.
# Its marginals are the mixture with $s_t^2$ added to each variance, and give the exact score.
# By the same square as in section 6, with factor 1 in the place of $\sqrt{\alpha_t}$, a step back has the mean $y_t + b_t \nabla \log q(y_t)$ and, with the analogue of $\tilde\beta$, the variance $b_t s_{t-1}^2/s_t^2$.


# %%
def only_adding(n, T, generator):
    """Ancestral sampling of y_t = y_{t−1} + √b_t ε_t, with exact scores."""
    s = torch.cat([torch.zeros(1), torch.logspace(-2, 1, T)])
    y = s[T] * torch.randn(n, 1, generator=generator)
    for t in range(T, 0, -1):
        b = s[t] ** 2 - s[t - 1] ** 2
        score = data.GaussianMixture(gmm.means, gmm.covs + s[t] ** 2, gmm.weights).score(y)
        y = y + b * score + b.sqrt() * s[t - 1] / s[t] * torch.randn(n, 1, generator=generator)
    return y


expanding = []
for seed in (31, 32, 33):
    reference = gmm.sample(n, generator=seeded(seed)).double()
    expanding.append(metrics.energy_distance(only_adding(n, 200, seeded(seed + 10)), reference))
d = 1e4 * torch.tensor(expanding)
print(f"only adding, 200 steps: {d.mean():.1f} ± {d.std():.1f} · 10⁻⁴")

# %% [markdown]
# This cannot be told from the truth by three seeds either: shrinking is convenient, but not needed for the way back.

# %% [markdown]
# ## 12. Digits
#
# For digits nobody knows the best denoiser, so a network has to find it.
# Ours is a small U-Net: it looks at the picture at full and at half size, and is given the step $t$ and the class.
# It predicts the velocity, for the reason that section 7 gave.
# In one training example out of ten the class is hidden, so the same network also learns the digits without their class; we shall need that in the next section.
#
# All of the training is this, again and again: draw a picture, a step and a noise; mix them by (5); let the network guess; take one step downhill on the squared error.


# %% tags=["nbval-ignore-output"]
def new_model():
    net = diffusion.UNet.digits().float()  # single precision, as usual for networks
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
stored = train.load(new_model(), run_file("ddpm_digits.safetensors"))
long = train.History.load(run_file("ddpm_digits.json"))
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

# %% [markdown]
# Now we sample, from the same noise, with ten calls of the network for each digit.

# %%
label = torch.arange(10).repeat(30)  # 30 digits of each class


def sample(model, guidance=0.0, steps=10):
    options = {"label": label, "guidance": guidance, "generator": seeded(1)}
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
# *Label accuracy* is the share of samples in which the classifier sees the class that was asked for.
# The *Fréchet distance* compares mean and covariance of its features with those of the training digits, and is given in multiples of what the 297 held-out digits have.
# A multiple a little below 1 is no miracle: among the held-out digits the classes are not equally frequent, and held-out digits that are, 26 of each class, have 0.70.
# *Copying* is the share of samples that lie suspiciously near a training picture; 0.05 is expected of new ones.

# %% tags=["nbval-ignore-output"]
print("trained here\n" + repr(metrics.digits_report(ours, label)))
print("\nstored run\n" + repr(metrics.digits_report(longer, label)))

# %% [markdown]
# Ten paths, from noise to digits.
# The upper rows show $x_t$, the lower ones what the network guesses of $x_0$ at the same steps.

# %%
ten, shown = torch.arange(10), (0, 10, 20)
*x_ts, x_end = diffusion.ddim(stored, (10, 1, 8, 8), steps=25, label=ten, clip=True, generator=seeded(7))
guesses = {i: stored.denoise(x_ts[i], torch.full((10,), 1000 - 40 * i), ten, clip=True).x_0 for i in shown}
plots.image_rows(
    **{f"t = {1000 - 40 * i}": x_ts[i] for i in shown},
    **{"t = 0": x_end},
    **{f"guessed at t = {1000 - 40 * i}": guesses[i] for i in shown},
    alt="Ten samples on their way from pure noise at t = 1000 to clean digits at t = 0; below, the network's guesses of "
    "the end at the same steps, blurred averages of a class at first, and digits from t = 600 on.",
)

# %% [markdown]
# With $\eta = 0$ the start $x_T$ settles everything, the digit included.
# When can one *see* which digit it will be?
# Let the network draw without a class, and let the classifier read $x_t$, and the guess of $x_0$ made from it, and compare both with what it reads at the end.
# At $t = 600$ about four guesses in five show the final class already; $x_t$ itself is read as that class in fewer than half of the cases, and in a quarter of them where it is pure noise.
# So most classes can be read off the guess by $t = 600$, long before they can be read off $x_t$; for the fifth that is left it takes longer.

# %% tags=["nbval-ignore-output"]
*free_ts, free_end = diffusion.ddim(stored, (300, 1, 8, 8), steps=25, clip=True, generator=seeded(8))
settled = metrics.classify(free_end)
for i in (0, 5, 10, 15, 20):
    x_t, t = free_ts[i], torch.full((300,), 1000 - 40 * i)
    read = [metrics.classify(x) for x in (x_t.clamp(-1, 1), stored.denoise(x_t, t, clip=True).x_0)]
    noisy, guessed = ((r == settled).float().mean() for r in read)
    print(f"t = {1000 - 40 * i:4}: read as the final class: x_t {noisy:.2f}, the guess of x_0 {guessed:.2f}")

# %% [markdown]
# And the bound?
# It says how many bits the model needs, at most, for a pixel of a picture that it has never seen.
# A uniform distribution over the 17 grey levels needs 4.09, and a Gaussian for each class, with a full covariance, 2.57 ([Normalizing flows](03_normalizing_flows.ipynb), section 10, where a flow needs about 2).
# Our model is conditioned on the class too, and by its bound does no better than these Gaussians.
#
# The cell shows where the bits are: more than half of them in the first 20 of 1000 steps, four fifths in the first 100.
# Is it the variance $\sigma^2 = \beta$?
# By (20) we can take it out, because the squared errors of the means are known once the fixed part of each term is subtracted.
# With the best constant for each step the same network would have a bound of about 3.2 instead of 3.3, and with $\tilde\beta$ a worse one.
# So the variance is not the reason.
# Nor is it the digits alone, since a flow needs only about 2 bits: at least 1.2 of the bits are no entropy of the data.
# They go to errors of the means, to a variance that is the same for all $x_t$, and to steps that are no Gaussians; the bound does not tell how much to each.
#
# Our loss in $v$ weighs an error in $\varepsilon$ by $1/\bar\alpha_t$ (section 9).
# Measured against that, the bound gives the first steps the most weight: the ratio of both weights falls from 0.26 at $t = 2$ to $10^{-6}$ at $T$.
# So a loss that follows the bound would have spent more of the network on the steps where most of the bits are; that it would have saved bits is likely, and our run alone does not show it.
# Nichol and Dhariwal changed the loss: trained on the bound itself, their CIFAR-10 model needed 2.94 bits instead of 3.17 with the hybrid loss of section 10, and drew worse pictures, with a Fréchet distance of 11.5 instead of 3.2.

# %% tags=["nbval-ignore-output"]
bits = diffusion.vlb(stored, real[:12], real_label[:12], generator=seeded(7))
error = bits.total.std() / math.sqrt(12)
print(
    f"bound of the stored run: {bits.total.mean():.2f} bits per pixel, standard error {error:.2f}, on 12 held-out digits"
)
for k in (20, 100, 400):
    print(f"of these in the steps up to {k}: {(bits.L_0 + bits.L_t[:, : k - 1].sum(1)).mean():.2f}")

# %% tags=["nbval-ignore-output"]
D, wide, narrow = bits.dims, stored.schedule.beta[bits.t], stored.schedule.beta_tilde[bits.t]
fixed = D / 2 * ((wide / narrow).log() + narrow / wide - 1)
squared = 2 * wide * (bits.nats().L_t.mean(0) - fixed)  # E‖μ̃ − μ_θ‖², from (20)
choices_here = {
    "β": fixed + squared / (2 * wide),
    "the best constants": D / 2 * (1 + squared / (D * narrow)).log(),
    "β̃": squared / (2 * narrow),
}
for name, terms in choices_here.items():
    print(
        f"the same network with σ² = {name}: {terms.sum() / (D * math.log(2)) + bits.L_0.mean():.2f} bits per pixel"
    )

# %% [markdown]
# ## 13. Guidance
#
# Ask the stored model for sevens, and it draws sevens as people wrote them, the careless ones among them.
# Often one would rather have samples that show their class beyond doubt, and would give some of their variety for it.
# Can the influence of the class be turned up, without training anything again?
#
# We first have to say what the influence of the class *is*.
# All that a sampler uses of the data is, by (15), the score at each noise level, so we ask what the class adds to the score.
# Let $q(c \mid x_t)$ be the probability that the noisy $x_t$ was made from a picture of class $c$.
# By Bayes' rule, $q(x_t \mid c) = q(x_t)\,q(c \mid x_t)/q(c)$.
# Take logarithms, and differentiate by $x_t$; the denominator does not depend on $x_t$ and drops out:
#
# $$\nabla \log q(x_t \mid c) = \nabla \log q(x_t) + \nabla \log q(c \mid x_t). \tag{28a}$$
#
# The first term leads to where digits are, whatever their class.
# The second leads to where a classifier becomes more certain of $c$, and is the whole influence of the class.

# %% [markdown]
# We check (28a) for two classes, $N(-0.5, 0.25)$ and $N(0.5, 0.25)$, equally frequent, where $c$ is the right one.
# Both scores are known in closed form.
# The classifier is made in another way: the probability $r(x_0) = p(c \mid x_0)$ of a clean point, averaged over the clean points that may have led to $x_t$.

# %%
two = data.GaussianMixture([[-0.5], [0.5]], [[[0.25]], [[0.25]]])
right, few = data.GaussianMixture([[0.5]], [[[0.25]]]), diffusion.Schedule.cosine(T=200)
atoms = torch.linspace(-4, 4, 401)[:, None]  # a grid of x_0
log_r = right.log_prob(atoms) - two.log_prob(atoms) + math.log(0.5)  # log p(c | x_0)


def log_class(x_t, bar):
    """log q(c | x_t) = log E[r(x_0) | x_t], by Bayes' rule on the grid of x_0."""
    log_joint = two.log_prob(atoms) - (x_t - math.sqrt(bar) * atoms[:, 0]) ** 2 / (2 * (1 - bar))
    return (log_joint + log_r).logsumexp(1) - log_joint.logsumexp(1)


# %%
at, bar = torch.linspace(-2, 2, 9)[:, None], float(few.alpha_bar[100])
leaf = at.clone().requires_grad_()
(pull,) = torch.autograd.grad(log_class(leaf, bar).sum(), leaf)
without_class, with_class = two.noised(bar).score(at), right.noised(bar).score(at)
checks.identity("what the class adds to the score (28a)", with_class, without_class + pull, tol=1e-9)

leaf = at.clone().requires_grad_()
clean = right.log_prob(leaf) - two.log_prob(leaf) + math.log(0.5)  # r, put to a noisy point
(misled,) = torch.autograd.grad(clean.sum(), leaf)
print(
    f"at x_t = 0, t = 100: the class pulls by {pull[4, 0]:.2f}, a classifier of clean points by {misled[4, 0]:.2f}"
)

# %% [markdown]
# **With a classifier.**
# If the second term of (28a) is the influence of the class, turn it up by a factor $1 + w$:
#
# $$s_w(x_t) = \nabla \log q(x_t) + (1 + w)\,\nabla \log q(c \mid x_t). \tag{28b}$$
#
# This is *classifier guidance* (Dhariwal and Nichol 2021): train a classifier beside the diffusion model, and take its gradient by backpropagation.
# Such a classifier is a poor guide, for two reasons.
# It has to be trained on noisy pictures, at every noise level; the pull of one that knows only clean points is three and a half times too strong in the example above.
# And a network may classify nearly every picture correctly by a few telling pixels: its gradient then changes these pixels, and makes the classifier more certain of a picture that is no better.
#
# **Without a classifier.**
# No classifier is needed, because (28a) can be read in the other direction: the influence of the class is the *difference of two scores*, $\nabla \log q(c \mid x_t) = \nabla \log q(x_t \mid c) - \nabla \log q(x_t)$.
# Both belong to a model of the pictures, not to a classifier of them, and our network knows both, because the class was hidden from it in one example out of ten.
# Inserted into (28b), it gives $s_w = (1 + w)\,\nabla \log q(x_t \mid c) - w\,\nabla \log q(x_t)$.
# By (15) each score is $-1/\sqrt{1 - \bar\alpha_t}$ times a best guess of the noise.
# This factor is common to both, and what is left is *classifier-free guidance* (Ho and Salimans 2022):
#
# $$\hat\varepsilon = (1 + w)\,\varepsilon_\theta(x_t, t, c) - w\,\varepsilon_\theta(x_t, t). \tag{28}$$

# %% [markdown]
# Which $w$ does what?
#
# - $w = -1$ gives $\varepsilon_\theta(x_t, t)$: a digit of any class.
# - $w = 0$ gives $\varepsilon_\theta(x_t, t, c)$: the class has the influence that it has in the data. Between $-1$ and 0 we interpolate.
# - $w > 0$ goes on beyond, on the line through both guesses: the class has more influence than in the data.
#
# A guess of noise points down the density, by (14), so the difference $\varepsilon_\theta(x_t, t, c) - \varepsilon_\theta(x_t, t)$ points away from what is typical of the class, and (28) removes more of it.
#
# We hold the library's (28) against (28b), with the classifier made above.


# %%
def exact_scores(x_t, t, label):
    return torch.where(label[:, None] < 0, two.optimal_eps(x_t, t, few), right.optimal_eps(x_t, t, few))


exact = diffusion.DDPM(exact_scores, few, variance="beta_tilde")
w, of_class_0 = 2.0, torch.zeros(9, dtype=torch.int64)
guided = exact.denoise(at, torch.full((9,), 100), of_class_0, guidance=w).eps
checks.identity(
    "guidance is a push by log q(c | x_t) (28), (28b)",
    guided,
    -math.sqrt(1 - bar) * (without_class + (1 + w) * pull),
    tol=1e-9,
)

# %% [markdown]
# Now the sevens of the stored model, with three weights.

# %%
strength = {"w = 0": longer} | {f"w = {w}": sample(stored, guidance=w) for w in (1, 4)}
one_class = {name: samples[label == 7][:12] for name, samples in strength.items()}
plots.image_rows(
    **one_class,
    alt="Twelve samples of the digit 7 for three weights of guidance, from the same noise in each column: with a "
    "larger weight the strokes are bolder, and the shapes stay.",
)

# %% [markdown]
# Now it is your turn.
# The stored model draws sixteen digits by (26), and shows $x_t$ and its guess of $x_0$ at each step; look back with the slider below them.
# The same seed is the same noise, so keep the seed and change one thing at a time.
# With $\eta = 0$, do twenty steps end in the digits of ten, and do they with $\eta = 1$?
# In which of its steps does a digit get its class, and what becomes of it without one?

# %%
widgets.DigitSampler(stored)

# %% [markdown]
# What has changed?
# We ask the classifier how certain it is, and measure two variances, summed over all pixels: that *within* a class, on average, and that *between* the ten means of the classes.
# The Fréchet distance is again a multiple of that of the held-out digits.


# %% tags=["nbval-ignore-output"]
def within_and_between(x, x_label):
    classes = [x[x_label == k] for k in range(10)]
    means = torch.stack([one.mean(0) for one in classes])
    return torch.stack([one.var(0).sum() for one in classes]).mean(), means.var(0).sum()


print("           certainty   Fréchet   variance within   between")
for name, samples in (strength | {"held out": real}).items():
    x_label = real_label if name == "held out" else label
    certainty = metrics.judge()(samples.clamp(-1, 1)).softmax(1)[torch.arange(len(samples)), x_label].mean()
    far = metrics.digits_report(samples, x_label).frechet_multiple
    within, between = within_and_between(samples, x_label)
    print(f"{name:8} {certainty:11.4f} {far:9.2f} {within:17.1f} {between:9.1f}")

# %% [markdown]
# <details><summary><b>Question.</b> Why does the Fréchet distance grow with w, although the classifier is more certain of the digits?</summary>
#
# It compares distributions, not pictures.
# The next cell looks at the features that it compares.
# From $w = 0$ to $w = 1$ guidance drives the means of the classes apart there, too, and the variance within a class falls by more than a third.
# From 1 to 4 both stay as they are, and the distance grows nevertheless: it compares all entries of the covariances, not these two sums alone.
# Taken apart, what the covariances add is larger than the distance of the two means for every $w$.
# </details>

# %% tags=["nbval-ignore-output"]
seen = metrics.judge().features
of_training = seen(data.digits("train").x.float())
print("in features: Fréchet, of the means   of the covariances   variance within   between")
for name, samples in strength.items():
    features = seen(samples.clamp(-1, 1).float())
    means_apart = (features.mean(0) - of_training.mean(0)).square().sum() / metrics.frechet_distance(real)
    whole = metrics.digits_report(samples, label).frechet_multiple
    within, between = within_and_between(features, label)
    print(f"{name:6} {means_apart:27.2f} {whole - means_apart:20.2f} {within:17.0f} {between:9.0f}")

# %% [markdown]
# **What guidance does not do.**
# At $t = 0$ the guided score is that of the *tilted* density
#
# $$p_w(x_0) \propto p(x_0 \mid c)\;p(c \mid x_0)^w \propto p(x_0)\;r(x_0)^{1 + w}, \qquad r(x_0) = p(c \mid x_0),$$
#
# and it is often said that guidance samples from it.
# It does not, because tilting and adding noise do not commute.
# A sampler of $p_w$ needs the scores of $p_w$ *with noise added*, and by Bayes' rule this noised density is
#
# $$\int q(x_t \mid x_0)\,p_w(x_0)\,dx_0 \;\propto\; q(x_t) \int r(x_0)^{1 + w}\,q(x_0 \mid x_t)\,dx_0 = q(x_t)\,E\big[r(x_0)^{1 + w} \mid x_t\big].$$
#
# Guidance uses the score of $q(x_t)\,q(c \mid x_t)^{1 + w}$ with $q(c \mid x_t) = E[r(x_0) \mid x_t]$: it takes the power *after* the average, where it should be taken before:
#
# $$E\big[r(x_0) \mid x_t\big]^{1 + w} \;\le\; E\big[r(x_0)^{1 + w} \mid x_t\big] \qquad \text{for } w \ge 0, \tag{29}$$
#
# by Jensen's inequality, with equality only for $w = 0$, or where $x_t$ settles what $r(x_0)$ is, as it does at $t = 0$.
# The two sides differ by a factor that in general depends on $x_t$; then their scores differ.

# %% [markdown]
# How much does it matter?
# Take the two classes of (28a) again, and exact scores.
# The mean of $p_w$ comes from a grid.
# DDIM is a fixed, rising map from $x_T$ to $x_0$, so the mean of its samples comes from a grid of $x_T$ as well, and only ancestral sampling has a standard error.

# %%
starts = torch.linspace(-5, 5, 101)[:, None]  # a grid of x_T
normal = (-(starts[:, 0] ** 2) / 2).softmax(0)
means = {}
for w in (0.0, 1.0, 4.0):
    tilted = (right.log_prob(atoms) + w * log_r).softmax(0)
    x_0 = diffusion.last(diffusion.ddim(exact, starts.shape, label=0, guidance=w, x_T=starts))
    drawn = diffusion.last(diffusion.ancestral(exact, (2000, 1), label=0, guidance=w, generator=seeded(22)))
    means[w] = tilt, walked, ddim = (tilted @ atoms[:, 0], drawn.mean(), normal @ x_0[:, 0])
    print(
        f"w = {w:g}: mean of p_w {tilt:.3f}, guided ancestral {walked:.2f} ± {drawn.std() / 2000**0.5:.2f}, guided DDIM {ddim:.3f}"
    )

# %% [markdown]
# Without guidance all three agree; with $w = 4$ the tilted density has its mean at 0.81, guided ancestral sampling at about 1.03, and guided DDIM at 1.31.
# Both samplers overshoot, by different amounts, although every score was exact.
#
# To see that the scores are the cause, we change them alone: DDIM again, with the score of $p_w$ with noise added, computed by the posterior over the grid of $x_0$.
# Then the mean is the one of $p_w$.
# And (29) is checked where the same posterior gives both of its sides.


# %%
def noised_tilted(w):
    def net(x_t, t, label=None):
        bar = few.alpha_bar[t][:, None]
        eps = (x_t - bar.sqrt() * atoms[:, 0]) / (1 - bar).sqrt()
        return ((right.log_prob(atoms) + w * log_r - eps**2 / 2).softmax(1) * eps).sum(1, keepdim=True)

    return diffusion.DDPM(net, few)


mean_of = {
    w: normal @ diffusion.last(diffusion.ddim(noised_tilted(w), starts.shape, x_T=starts))[:, 0] for w in means
}
for w in means:
    checks.identity(
        f"w = {w:g}: DDIM with the scores of noised p_w has its mean", mean_of[w], means[w][0], tol=0.01
    )
checks.at_most("with w = 4, both samplers overshoot", means[4.0][0].expand(2) + 0.1, torch.stack(means[4.0][1:]))

# %%
posterior = (two.log_prob(atoms) - (at - math.sqrt(bar) * atoms[:, 0]) ** 2 / (2 * (1 - bar))).softmax(1)
class_given_x_t = right.noised(bar).log_prob(at) - two.noised(bar).log_prob(at) + math.log(0.5)
checks.identity("q(c | x_t) = E[r(x_0) | x_t]", posterior @ log_r.exp(), class_given_x_t.exp(), tol=1e-9)
checks.at_most(
    "the power after the average is smaller (29)", class_given_x_t.exp() ** 5, posterior @ log_r.exp() ** 5
)

# %% [markdown]
# ### In colour
#
# The drawings with which lecture 04 opened were made with $w = 1$.
# Below, the same network starts from the same noise with three weights, for each of the six kinds twice.
# The last row shows the training drawing, or its mirror image, that is nearest to the one with $w = 1$.

# %%
net = diffusion.UNet(3, width=48, mults=(1, 2), n_blocks=1, n_classes=6, dropout=0.1, patch=2).float()
artist = diffusion.DDPM(net, diffusion.Schedule.cosine(T=1000), predict="v", levels=256)
artist = train.load(artist, run_file("emoji_ddpm.safetensors"))


def draw(kind, guidance):
    """Drawings of these kinds, always from the same noise."""
    options = {"label": kind, "guidance": guidance, "clip": True, "generator": seeded(1)}
    return artist.sample(len(kind), steps=25, shape=(3, 32, 32), **options).clamp(-1, 1)


def nearest(x):
    """Of each drawing the nearest that was trained on, and how far it is."""
    distance, place = torch.cdist(x.flatten(1), trained_on.flatten(1)).min(1)
    return trained_on[place], distance


pictures = data.emoji_kinds("train").x
trained_on = torch.cat([pictures, pictures.flip(3)])
kind, few = torch.arange(6).repeat(4), slice(0, 12)
drawn = draw(kind, 1)
drawings = {"w = 0": draw(kind[few], 0), "w = 1": drawn[few], "w = 4": draw(kind[few], 4)}
plots.image_rows(
    **drawings, nearest=nearest(drawings["w = 1"])[0], columns=[*data.EMOJI_KINDS] * 2,
    alt="Twelve drawings with three weights of guidance, and under them the nearest training drawings: some are nearly the same, others have other colours, faces or limbs.",
)  # fmt: skip

# %% [markdown]
# More guidance makes fuller colours and firmer lines, and some drawings turn into others.
#
# Are they new?
# The last row lets one doubt it, so we measure: how far is a drawing from the nearest one that was trained on, and how far are drawings that were held out?
# Faces differ from one another in less than animals do, so we compare kind by kind.

# %% tags=["nbval-ignore-output"]
held_out, its_kind = data.emoji_kinds("test")
print(f"{'median distance':16}" + "".join(f"{name:>9}" for name in data.EMOJI_KINDS))
for name, x, kinds in (("held out", held_out, its_kind), ("drawn, w = 1", drawn, kind)):
    distance = nearest(x)[1]
    medians = [distance[kinds == k].median() for k in range(6)]  # nan where there is none
    print(f"{name:16}" + "".join(f"{median:9.1f}" for median in medians))

# %% [markdown]
# Drawn faces and persons lie half as far from the training drawings as held-out ones do, hearts a third, and clocks, of which none was held out, are nearly the same as some that were trained on; hands and animals lie nearly as far as held-out ones.
# Only 32 drawings were held out, of hearts a single one, so these numbers say where the network repeats much, and not how much exactly.
# With 1.5 million parameters and 437 drawings it can afford to: it has kept some of them, and mixes others.

# %% [markdown]
# ## 14. What has come since
#
# The notes that this course follows end here, in 2021.
# What has come since keeps the regression that we have seen, and changes what is noised, what guesses, or how one walks.
#
# - **Scores and continuous time.** Infinitely many steps give a stochastic differential equation, and with $\eta = 0$ an ordinary one, which good solvers integrate in few steps: [Continuous time](05_continuous_time.ipynb).
# - **Straighter paths.** Flow matching learns the velocity of a path between noise and data that we choose: [Paths and weights](05b_paths_and_weights.ipynb).
# - **Latents, other networks, fewer steps.** Diffusion on the codes of an autoencoder, transformers in the place of the U-Net, and many steps distilled into one or two: [After 2021](06_after_2021.ipynb).

# %% [markdown]
# ## What the notes said, and what holds
#
# - $\mu_\theta$ and $\Sigma_\theta$ were "parameters learned". They are outputs of the network; DDPM fixes $\Sigma$, and learning it came later (section 10; row [19](08_the_notes_corrected.ipynb#Row-19)).
# - The posterior and the network were said to have a relation that is "equivalent to variational lower bound". The bound is an inequality, in expectation, and the loss used in training reweights its terms (sections 8 and 9; row [20](08_the_notes_corrected.ipynb#Row-20)).
# - GANs were said to give "lower bounds" on the likelihood. A diffusion model gives one; a GAN gives none (section 8; row [13](08_the_notes_corrected.ipynb#Row-13)).

# %% [markdown]
# ## Where to read on
#
# - Ho, Jain and Abbeel 2020, *Denoising Diffusion Probabilistic Models*: the bound and the loss; eq. 13 is our (19).
# - Bao et al. 2022, *Analytic-DPM*: the best constant variance of section 10, for any data, from the score.
# - Song, Meng and Ermon 2021, *Denoising Diffusion Implicit Models*: DDIM, and the family (26).
# - Nichol and Dhariwal 2021, *Improved Denoising Diffusion Probabilistic Models*: learned variances, fewer steps, and training on the bound itself.
# - Dhariwal and Nichol 2021, *Diffusion Models Beat GANs on Image Synthesis*, on guidance by a classifier; Ho and Salimans 2022, *Classifier-Free Diffusion Guidance*; Bradley and Nakkiran 2024, *Classifier-Free Guidance is a Predictor-Corrector*, on what guidance does not sample.
# - Song et al. 2021, *Score-Based Generative Modeling through Stochastic Differential Equations*: the score, and steps made infinitely small.
#
# Now build it yourself: the lab `my_labs/lab_3_diffusion.ipynb`.
# A thousand steps, or twenty-five: what is the thing that all these walks approximate?
# The next lecture asks that: [Continuous time](05_continuous_time.ipynb).
