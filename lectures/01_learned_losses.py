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
# # Learned losses
#
# *A network does what its loss asks for. Who asks the loss?*
#
# **You will learn**
#
# - what squared error, absolute error and cross-entropy call a good answer, and why it may be one that never occurs;
# - what an autoencoder and a VAE lose, in reconstructions and in samples, and why these are two different things;
# - the variational bound of a VAE, how it is trained, how far it is from the truth, and what its two parts are made of;
# - what the best discriminator is, which divergence it measures, and what that divergence means;
# - what a generator descends, with either of the two losses in use;
# - why the game of the two networks need not come to an end, and what calms it.
#
# **It takes** 60 minutes.
# **You need** expectations, the Gaussian density and gradients; [Start here](00_start_here.ipynb) has the notation.

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
from torch.distributions import MultivariateNormal, Normal, kl_divergence
from torch.nn.functional import softplus

from genlib import data, gan, metrics, train
from genlib.autoencoder import ELBO, VAE, Autoencoder, Reconstruction

torch.set_default_dtype(torch.float64)  # identities are shown in double precision


def seeded(seed=0):
    """A generator of random numbers of its own for each cell, so that a cell run twice gives the same."""
    return torch.Generator().manual_seed(seed)


# %% [markdown]
# ## 1. A loss says what is good
#
# Suppose that a network must answer a question that has *several* right answers: colour a grey photo, draw the street that belongs to a map, write a three.
# It may give one answer $a$, while the right one, $y$, is a sample from a distribution with the density $p(y)$.
# If we train the network with squared error, which $a$ does the loss ask for?
#
# Write $\mu = E[y]$ for the mean, and expand $(y - a)^2 = \big((y - \mu) + (\mu - a)\big)^2$.
# The mixed term has expectation zero, because $E[y - \mu] = 0$:
#
# $$E\big[(y - a)^2\big] = \operatorname{Var}[y] + (a - \mu)^2. \tag{1}$$
#
# The variance does not depend on our answer, so the best answer is the *mean*.
# We check (1) on a density with two narrow modes at $\pm 1$, each with the variance 0.01: its mean is 0, and its variance is $1 + 0.01$.

# %%
two = data.GaussianMixture(means=[[-1.0], [1.0]], covs=[[[0.01]], [[0.01]]])
line = torch.linspace(-2, 2, 40_001)
density = two.log_prob(line[:, None]).exp()


def expected(values):
    """E[values] under the mixture, by quadrature."""
    return torch.trapezoid(values * density, line)


a = torch.linspace(-1.6, 1.6, 65)
squared = torch.stack([expected((line - b) ** 2) for b in a])
checks.identity("squared error = variance + distance to the mean (1)", squared, 1.01 + (a - 0.0) ** 2, tol=1e-9)

# %% [markdown]
# And what does absolute error ask for?
# Move $a$ a little to the right: its distance grows to every $y$ on its left, and shrinks to every $y$ on its right.
# With $F(a) = P(y \le a)$, the derivative is therefore
#
# $$\frac{d}{da}\,E\big[|y - a|\big] = P(y < a) - P(y > a) = 2 F(a) - 1, \tag{2}$$
#
# and it is zero where half of the probability lies on each side: at a *median*.

# %%
half = (Normal(-1.0, 0.1).cdf(a) + Normal(1.0, 0.1).cdf(a)) / 2  # F
leaf = a.clone().requires_grad_()
(slope,) = torch.autograd.grad(torch.stack([expected((line - b).abs()) for b in leaf]).sum(), leaf)
checks.identity("slope of the absolute error (2)", slope, 2 * half - 1, tol=1e-3)
between = torch.stack([expected((line - b).abs()) for b in (-0.5, 0.0, 0.5)])
checks.identity("every answer between the modes costs 1", between, torch.ones(3), tol=1e-6)

# %%
absolute = torch.stack([expected((line - b).abs()) for b in a])
at_zero, at_mode = two.log_prob(torch.tensor([[0.0], [1.0]])).exp().tolist()
print(f"density at the mean and median: {at_zero:.1e}; at a mode: {at_mode:.2f}")
plots.figure(
    plots.lines(line, {"p(y)": density}, fill=True, marks={"mean, median": 0.0}, xlabel="y", ylim=(0, 2.6), title="What occurs"),
    plots.lines(a, {"squared error": squared, "absolute error": absolute}, xlabel="answer a", title="What is asked for", ylim=(0, 3)),
    alt="Left: a density with two narrow peaks at -1 and 1, and nothing at 0. Right: squared error is least at 0; absolute error is flat between the peaks.",
)  # fmt: skip

# %% [markdown]
# Both losses are content with the answer 0, which practically never occurs.
# The network is not to blame for giving it, because the network found what it was asked for.
# *The loss asked for the wrong thing.*
#
# <details><summary><b>Question.</b> Give the left mode the weight 0.6. What do the two losses ask for now?</summary>
#
# The mean moves to −0.2, where the density is again next to zero.
# The median jumps into the left mode, to about −0.9: a possible answer.
# But it is always the same one, and the right mode, which holds 40 % of all answers, is never given.
# </details>
#
# <details><summary><b>Question.</b> Maximum likelihood with p(y) = N(a, σ²) and a fixed σ: is that better?</summary>
#
# It is squared error again: $-\log N(y; a, \sigma^2) = (y - a)^2 / 2\sigma^2 + \text{const}$.
# To be better, the model would need a density that can have two modes.
# </details>

# %% [markdown]
# ## 2. The average three
#
# Where a picture is asked for, there are nearly always many right answers: "draw a three" has as many as there are hands that write one.
# A loss on pixels adds up what each pixel costs, so each pixel is chosen by itself.
# The best answers are therefore the mean *of every pixel* for squared error, and its median for absolute error.

# %%
real, label = data.digits("train")
real, held_out = real.double(), data.digits("test").x.double()
of_class = [real[label == k] for k in range(10)]
means = torch.stack([x.mean(0) for x in of_class])
medians = torch.stack([x.median(0).values for x in of_class])
plots.image_rows(
    a_digit=torch.stack([x[0] for x in of_class]),
    least_squared_error=means,
    least_absolute_error=medians,
    alt="Ten real digits; below, the mean digit of each class, soft; below, the median digit, harder: the 1 is a solid bar, the 0 a closed ring, and the holes of the 8 are grey.",
)

# %% [markdown]
# The *spectrum* is the mean power of the pictures' Fourier transform, in rings of equal spatial frequency.
# *Detail* is the power in the upper half of the rings, divided by that of real pictures, so real pictures have the detail 1.

# %%
for name, pictures in {"mean": means, "median": medians, "held-out": held_out}.items():
    print(f"detail, {name:9} {metrics.detail(pictures, real):.2f}")

# %% [markdown]
# ### Would cross-entropy do?
#
# A network that classifies is trained in another way: it gives a probability $q_k$ to every possible answer $k$, and pays $-\log q_k$ for the one that occurs.
# A pixel of these digits has one of 17 grey levels, so we may ask for the probabilities of its levels instead of one grey.
# Let $p_k$ be the true probability of level $k$, and $q = \operatorname{softmax}(l)$ with logits $l$, so that $\log q_k = l_k - \log \sum_j e^{l_j}$.
# The derivative of that logarithm by $l_k$ is $q_k$, and $\sum_k p_k = 1$, hence
#
# $$\frac{\partial}{\partial l_k}\,E[-\log q] = \frac{\partial}{\partial l_k}\Big[-\sum_j p_j\, l_j + \log \sum_j e^{l_j}\Big] = q_k - p_k. \tag{2a}$$
#
# The bracket is convex in $l$, because a linear function and a log-sum-exp are, so wherever its slope is 0 it is least: at $q = p$ (where $p_k = 0$, in the limit $l_k \to -\infty$).
# So cross-entropy asks for *all* answers with their frequencies, and not for one in their middle.

# %%
levels = data.digits("train", integers=True)[0].flatten(1)  # 0..16
threes = levels[label == 3]
frequency = torch.stack([torch.bincount(pixel, minlength=17) for pixel in threes.T]) / len(threes)
logits = torch.randn(64, 17, generator=seeded(), requires_grad=True)
paid = torch.nn.functional.cross_entropy(logits.expand(len(threes), 64, 17).flatten(0, 1), threes.flatten())
(slope_ce,) = torch.autograd.grad(64 * paid, logits)  # the mean is over 64 pixels, too
checks.identity("slope of cross-entropy (2a)", slope_ce, logits.softmax(1) - frequency, tol=1e-12)

# %% [markdown]
# Now we draw every pixel from its best distribution.
# No pixel is an average any more, and the spectrum is nearly right.
# Yet the pictures are ragged, because (2a) was asked for each pixel by itself, and nothing makes two neighbours agree.


# %%
def pixel_by_pixel(x, generator):
    """Ten pictures in which each pixel comes from another digit of the class."""
    pick = torch.randint(len(x), (10, 64), generator=generator)
    return x.flatten(1)[pick, torch.arange(64)].view(10, 1, 8, 8)


def agreement(pictures, centre):
    """The correlation of horizontal neighbours, once the mean digit of the class is taken away."""
    left, right = (pictures - centre)[..., :-1].flatten(), (pictures - centre)[..., 1:].flatten()
    return float(torch.corrcoef(torch.stack([left, right]))[0, 1])


# %%
drawn = torch.stack([pixel_by_pixel(x, seeded(k)) for k, x in enumerate(of_class)], dim=1).flatten(0, 1)
print(f"detail of pictures drawn pixel by pixel: {metrics.detail(drawn, real):.1f}")
print(f"correlation of neighbours: real digits {agreement(real, means[label]):.2f}, ", end="")
print(f"drawn ones {agreement(drawn, means.repeat(10, 1, 1, 1)):z.1f}")
plots.image_rows(
    real=torch.stack([x[0] for x in of_class]),
    pixel_by_pixel=drawn[:10],
    alt="Ten real digits; below, ten whose pixels were drawn independently: the figures can be guessed, but their strokes are torn, with isolated dark and bright pixels.",
)

# %% [markdown]
# So the pixels must be drawn together, but a table of all pictures is out of the question: 64 pixels with 17 levels each have $17^{64}$ of them.
# We need a distribution of *pictures* that a network can represent.
# The next two sections build one.

# %% [markdown]
# ## 3. Through a narrow place
#
# An *autoencoder* sends a picture through a code $z = e(x)$ with few entries, and back, $\hat x = d(z)$.
# Both the encoder $e$ and the decoder $d$ are networks, and they are trained together on the squared error $\|x - \hat x\|^2$.
# At first sight section 1 does not apply here, because the question "which picture was it?" has a single right answer.
# But the decoder does not see the picture; it sees the code, and many pictures share nearly the same one.
#
# Given the code, the picture is random again, with the conditional density $p(x \mid z)$.
# By (1), applied to each pixel under this density, the best that the decoder can return is the mean $E[x \mid z]$, and what it loses is the variance that remains once the code is known.
# A longer code leaves less variance; with a code as long as the picture, the networks need lose nothing, and need learn nothing.

# %% tags=["nbval-ignore-output"]
pixels, held = real.flatten(1).float(), held_out.flatten(1).float()
torch.manual_seed(0)
autoencoder = Autoencoder(dim=64, latent=8, width=96).float()
history = train.fit(Reconstruction(autoencoder), pixels, steps=1200, seed=0)
error = (held - autoencoder.reconstruct(held)).square().mean() / (held - pixels.mean(0)).square().mean()
print(f"trained in {history.seconds:.0f} s; {error:.0%} of the held-out digits' variance is lost")

# %% [markdown]
# A decoder looks like a machine that makes pictures, but the training says nothing about *which* codes are those of digits.
# To draw new digits we also need a distribution of codes that we can sample from, and a decoder that was trained on such codes.

# %% [markdown]
# ## 4. The variational autoencoder
#
# Now the decoder becomes a model of the data.
# We *choose* the density of the codes, $p(z) = N(0, I)$, and let the decoder, with weights $\theta$, add a little noise: $p_\theta(x \mid z) = N(d_\theta(z), \sigma^2 I)$.
# Together the two make a density of pictures, $p_\theta(x) = \int p_\theta(x \mid z)\,p(z)\,dz$, and we would like to maximise $\log p_\theta(x)$ over the data.
# But when $d_\theta$ is a network, no formula for this integral is known.
# We could average $p_\theta(x \mid z)$ over draws of $z$ from $p(z)$, but hardly any of them give a picture near $x$, so that the few which do make up nearly the whole average; at the end of this section we count them.
#
# So we work with a density of codes $q(z)$ that may depend on $x$, and that we are free to choose.
# Start from $p_\theta(x) = p_\theta(x, z) / p_\theta(z \mid x)$.
# This holds for every $z$, so its logarithm may be averaged over $q$; inside the logarithm we multiply and divide by $q(z)$:
#
# $$\log p_\theta(x) = \underbrace{E_q\!\left[\log \frac{p_\theta(x, z)}{q(z)}\right]}_{\text{ELBO}} + \underbrace{E_q\!\left[\log \frac{q(z)}{p_\theta(z \mid x)}\right]}_{\operatorname{KL}(q \,\|\, p_\theta(z \mid x))\ \ge\ 0}. \tag{3}$$
#
# The second part is the *Kullback–Leibler divergence*.
# Why is it at least 0?
# For every $u > 0$, $\log u \le u - 1$, with equality at $u = 1$ alone; with $u = p_\theta(z \mid x)/q(z)$, the mean over $q$ of $\log u$ is at most $\int p_\theta(z \mid x)\,dz - 1 = 0$.
# The divergence is minus that mean, so it is at least 0, and it is 0 only if $q$ and $p_\theta(z \mid x)$ are the same density.

# %% [markdown]
# The first part of (3) is therefore a *lower bound* of $\log p_\theta(x)$, the evidence lower bound or ELBO; and it contains only densities that we can evaluate.
# We could search for the best $q$ of each $x$ by itself; a network that learns to map $x$ to its $q$ shares this work among all pictures, and answers at once for a new one.
# This is called *amortised* inference, and the network is the *encoder*.
# Ours gives a mean $m$ and a logarithm $s$ of the standard deviation for each entry of the code: $q(z \mid x) = N\big(m(x), \operatorname{diag}(\exp s(x))^2\big)$.
# In the code, $s$ is `log_s`.
# Insert $p_\theta(x, z) = p_\theta(x \mid z)\,p(z)$, and the bound becomes a reconstruction and a penalty:
#
# $$\text{ELBO}(x) = E_q[\log p_\theta(x \mid z)] - \operatorname{KL}\big(q(z \mid x)\,\|\,p(z)\big). \tag{4}$$
#
# The first term is the squared error of section 3, divided by $-2\sigma^2$, up to a constant, and averaged over codes that $q$ draws.
# The second asks that these codes stay close to those of $p(z)$.

# %% [markdown]
# If both networks are *linear*, every term has a closed form, and so has the truth: $p_\theta(x) = N(b,\ W W^\top + \sigma^2 I)$.
# Then we can look at the gap in (3).

# %%
torch.manual_seed(0)
linear, sigma = VAE(dim=6, latent=2, width=0, std=0.5), 0.5
W, b, x = linear.decoder[0].weight, linear.decoder[0].bias, torch.randn(50, 6, generator=seeded())
log_p = MultivariateNormal(b, W @ W.T + sigma**2 * torch.eye(6)).log_prob(x)
precision = torch.eye(2) + W.T @ W / sigma**2
posterior = MultivariateNormal((x - b) @ W @ torch.linalg.inv(precision) / sigma**2, precision_matrix=precision)

# %%
m, log_s = linear.encode(x)
q = MultivariateNormal(m, torch.diag_embed((2 * log_s).exp()))
variance = ((2 * log_s).exp() * W.square().sum(0)).sum(1)  # of d(z): E‖x − d(z)‖² = ‖x − d(m)‖² + variance
elbo = linear.log_likelihood(x, m) - variance / (2 * sigma**2) - linear.kl(x)  # (4)
checks.identity("log p(x) − ELBO = KL(q ‖ posterior) (3)", log_p - elbo, kl_divergence(q, posterior), tol=1e-9)
checks.at_most("ELBO ≤ log p(x)", elbo, log_p)
draws = linear.elbo(x[:1].expand(200_000, -1), generator=seeded()).mean()
checks.identity("one draw of z is right on average (4)", draws, elbo[0], tol=0.1)

# %% [markdown]
# The penalty in (4) compares two Gaussians, one coordinate at a time.
# There, $\log q - \log p$ at $z$ is $-s - (z - m)^2/2e^{2s} + z^2/2$, and under $q$ the two squares have the means $e^{2s}$ and $m^2 + e^{2s}$:
#
# $$\operatorname{KL}\big(q(z \mid x)\,\|\,N(0, I)\big) = \tfrac12 \sum_i \left(m_i^2 + e^{2 s_i} - 1 - 2 s_i\right). \tag{5}$$

# %%
torchs = kl_divergence(Normal(m, log_s.exp()), Normal(0.0, 1.0)).sum(1)
checks.identity("KL of two Gaussians (5)", linear.kl(x), torchs, tol=1e-12)

# %% [markdown]
# ### A gradient through a draw
#
# To train the two networks we need the gradient of $E_q[f(z)]$, with $f(z) = \log p_\theta(x \mid z)$.
# In the decoder's weights it is easily had: $q$ does not contain them, so $\nabla_\theta \log p_\theta(x \mid z)$ at a code drawn from $q$ is right on average.
# The encoder's weights are reached through its outputs $m$ and $s$.
# But $m$ and $s$ do not stand in $f$: they say which distribution $z$ is drawn from, and a drawn number has no derivative by its distribution.
#
# The way out is to draw something that does not depend on them.
# Let the code have one entry for now.
# If $\varepsilon \sim N(0, 1)$, then $m + e^s \varepsilon$ has the distribution $N(m, e^{2s})$, so the expectation over $q$ is one over $\varepsilon$.
# The density of $\varepsilon$ contains neither $m$ nor $s$, and therefore the derivative may be taken inside the expectation (for a differentiable $f$ that does not grow too fast), where the chain rule applies:
#
# $$E_q[f(z)] = E_\varepsilon\big[f(m + e^s \varepsilon)\big], \qquad \frac{\partial}{\partial m} E_q[f] = E_\varepsilon\big[f'(z)\big], \qquad \frac{\partial}{\partial s} E_q[f] = E_\varepsilon\big[f'(z)\, e^s \varepsilon\big], \qquad z = m + e^s \varepsilon. \tag{4a}$$
#
# This is the *reparameterisation trick*: what is inside the expectations can be computed from a single draw of $\varepsilon$, and is right on average.
# For a code with several entries, each has an $\varepsilon_i$ of its own, and the partial derivative $\partial f / \partial z_i$ takes the place of $f'$.
# For the linear decoder the expectation has a closed form, $-\big(\|x - b - W m\|^2 + \sum_i e^{2 s_i} \|W_i\|^2\big)/2\sigma^2$ up to a constant, with the columns $W_i$ of $W$, and we can differentiate it by hand.
# The cell takes the expectation over $\varepsilon$ by Gauss–Hermite quadrature, which is exact here, and differentiates through $z$.

# %%
node, share = (
    torch.tensor([-math.sqrt(3), 0.0, math.sqrt(3)]),
    torch.tensor([1.0, 4.0, 1.0]) / 6,
)  # up to degree 5
leaf_m, leaf_s = m.detach().requires_grad_(), log_s.detach().requires_grad_()
average = 0.0
for eps, weight in zip(torch.cartesian_prod(node, node), torch.cartesian_prod(share, share).prod(1), strict=True):
    average = average + weight * linear.log_likelihood(x, leaf_m + leaf_s.exp() * eps)  # E_ε[f(m + eˢ ε)]
by_m, by_s = torch.autograd.grad(average.sum(), (leaf_m, leaf_s))
checks.identity("slope in m (4a)", by_m, (x - b - m @ W.T) @ W / sigma**2, tol=1e-9)
checks.identity("slope in s (4a)", by_s, -(2 * log_s).exp() * W.square().sum(0) / sigma**2, tol=1e-9)

# %% [markdown]
# There is another estimate, which needs no derivative of $f$: since $\partial_m q = q\,\partial_m \log q$, the same slope is $E_q[f(z)\,\partial_m \log q(z)]$.
# It works for discrete codes as well, but it multiplies $f$ by noise.
# The cell compares the two for one picture and the first entry of $m$; there one draw of the other tells less, even if the mean of $f$ is taken off first.

# %%
eps = torch.randn(100_000, 2, generator=seeded())
z = (m[0] + log_s[0].exp() * eps).detach()
through = ((x[0] - b - z @ W.T) @ W / sigma**2)[:, 0]  # f'(z)
f = linear.log_likelihood(x[:1].expand(len(z), -1), z)
score = eps[:, 0] / log_s[0, 0].exp()  # the slope of log q by m, (z − m)/e²ˢ
exactly = ((x - b - m @ W.T) @ W / sigma**2)[0, 0]
ways = {
    "through the draw (4a)": through,
    "f times the slope of log q": f * score,
    "f less its mean": (f - f.mean()) * score,
}
for name, one in ways.items():
    off = (one.mean() - exactly) / (one.std() / len(z) ** 0.5)
    checks.identity(f"{name}: mean, in standard errors from the exact one", off, 0.0, tol=4)
print("f = log p(x | z), slope in the first entry of m; standard deviation of one draw:")
print(", ".join(f"{name} {one.std():.1f}" for name, one in ways.items()))

# %% [markdown]
# <details><summary><b>Question.</b> Why may the mean of f be taken off, and why does it help?</summary>
#
# With $f + c$ in place of $f$ the slope is the same, because $E_q[\partial_m \log q] = \int \partial_m q\,dz = \partial_m 1 = 0$.
# But each draw is multiplied by $f + c$, so a constant that means nothing decides how noisy the estimate is, and a comparison is fair only with a good one.
# The mean of $f$, a *baseline*, nearly halves the standard deviation here; (4a) has half of that, so a quarter of the draws will do.
# </details>
#
# <details><summary><b>Question.</b> Can the other estimate be the better one?</summary>
#
# Yes, where $f$ wiggles quickly.
# Take $f(z) = \sin kz$ and $q = N(0, 1)$.
# A draw of (4a) is $k \cos kz$, whose variance is nearly $k^2/2$ for a large $k$, and a draw of the other one is $z \sin kz$, whose variance is at most $E[z^2] = 1$.
# </details>
#
# Now we train, and the last line of the next cell estimates $\log p_\theta(x)$ in the naive way, from 1000 codes of the prior.

# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
vae = VAE(dim=64, latent=8, width=96, std=0.3).float()
history = train.fit(ELBO(vae), pixels, steps=1200, seed=0)
error = (held - vae.reconstruct(held)).square().mean() / (held - pixels.mean(0)).square().mean()
print(f"trained in {history.seconds:.0f} s; {error:.0%} of the held-out digits' variance is lost")
print(
    f"ELBO: {vae.elbo(held, n_draws=16, generator=seeded()).mean():.1f} nats a digit, "
    f"of which −KL is {-vae.kl(held).mean():.1f}"
)
with torch.no_grad():
    tried = vae.decode(torch.randn(1000, 8, generator=seeded()).float())
    log_p_x = -torch.cdist(held, tried).square() / (2 * 0.3**2) - 32 * math.log(2 * math.pi * 0.3**2)  # given z
naive, most = (log_p_x.logsumexp(1) - math.log(1000)).mean(), log_p_x.softmax(1).amax(1).mean()
print(f"from 1000 codes of the prior: {naive:.1f} nats, and the best code makes {most:.0%} of the average")

# %% [markdown]
# Both estimates are too small on average, but with one code in a thousand that counts the naive one is far smaller than the ELBO, which needs a single draw.

# %% [markdown]
# ## 5. Reconstructions and samples, told apart
#
# Two things are wrong with what these networks make, and to tell their causes apart we look at two kinds of pictures for each network: *reconstructions*, which are held-out digits that went through the code and back, and *samples*, which are decoded from codes that we drew.
# For the VAE the codes are drawn from $p(z)$; the autoencoder has no such density, so we fit a Gaussian to its codes afterwards.
# Between the two stands a control: codes that the VAE's *encoder* draws for held-out digits.
# If the control is good and the samples are not, then the decoder is not the culprit.

# %%
with torch.no_grad():
    codes = autoencoder.encode(pixels)
    fitted = MultivariateNormal(codes.mean(0), codes.T.cov())
    normal = torch.randn(297, 8, generator=seeded()).float()
    held_m, held_s = vae.encode(held)
    made = {
        "real": held,
        "AE: reconstructed": autoencoder.reconstruct(held),
        "VAE: reconstructed": vae.reconstruct(held),
        "VAE: encoder's codes": vae.decode(held_m + held_s.exp() * normal),
        "VAE: prior's codes": vae.decode(normal),
        "AE: fitted codes": autoencoder.decode(fitted.loc + normal @ fitted.scale_tril.T),
    }
made = {name: pictures.view(-1, 1, 8, 8) for name, pictures in made.items()}

# %%
plots.image_rows(
    **{name: pictures[:12] for name, pictures in made.items()},
    alt="Twelve real digits; softer reconstructions by the autoencoder and the VAE; the same from codes that the VAE's encoder draws; then samples, "
    "many of which are no digit at all: by the VAE from the prior's codes, by the autoencoder from codes of a Gaussian that was fitted.",
)

# %% [markdown]
# ### How far apart are two sets of pictures?
#
# A classifier of real digits turns each picture into a vector of 48 features, the last numbers before its answer; each set of features gets a mean $\mu$ and a covariance $\Sigma$, and the two Gaussians are compared.
# Pair the points of one Gaussian with those of the other so that they lie as near to each other as possible: the mean squared distance of the pairs is the *squared Fréchet distance*,
#
# $$d^2 = \min E\,\|a - b\|^2 = \|\mu_1 - \mu_2\|^2 + \operatorname{tr}\!\Big(\Sigma_1 + \Sigma_2 - 2\big(\Sigma_1^{1/2}\, \Sigma_2\, \Sigma_1^{1/2}\big)^{1/2}\Big). \tag{5a}$$
#
# Heusel et al. 2017 proposed it with 2048 features of an Inception network, trained on the photos of ImageNet: the *Fréchet Inception distance*, FID.
#
# If both Gaussians have the same axes, with standard deviations $\sigma_{1i}$ and $\sigma_{2i}$ along them, the roots of the covariances commute, and the trace is $\sum_i (\sigma_{1i}^2 + \sigma_{2i}^2 - 2\,\sigma_{1i}\sigma_{2i})$.
# Then (5a) is what one would guess, $\|\mu_1 - \mu_2\|^2 + \sum_i (\sigma_{1i} - \sigma_{2i})^2$: the standard deviations are compared just as the means are.
# If the axes differ, the root in (5a) takes the place of the products $\sigma_{1i}\sigma_{2i}$.
#
# <details><summary><b>Question.</b> Why is this the least distance, whatever the axes?</summary>
#
# Let both covariances be invertible, and expand the square: $E\|a - b\|^2 = \|\mu_1 - \mu_2\|^2 + \operatorname{tr} \Sigma_1 + \operatorname{tr} \Sigma_2 - 2 \operatorname{tr} C$, where $C$ is the covariance of $a$ with $b$, the only thing that the pairing decides.
# So $\operatorname{tr} C$ must become as large as it can.
# Write $C = \Sigma_1^{1/2} K\, \Sigma_2^{1/2}$; then $K$ is the covariance of $\Sigma_1^{-1/2} a$ with $\Sigma_2^{-1/2} b$, two vectors whose entries are uncorrelated with variance 1, so by the inequality of Cauchy and Schwarz $|e^\top K f| \le 1$ for unit vectors $e$ and $f$: $K$ lengthens no vector.
#
# Then $\operatorname{tr} C = \operatorname{tr}\big(K\, \Sigma_2^{1/2} \Sigma_1^{1/2}\big)$ is at most the sum of the singular values of $\Sigma_2^{1/2} \Sigma_1^{1/2}$, and reaches it when $K$ rotates each singular direction into its partner: with the decomposition $\Sigma_2^{1/2} \Sigma_1^{1/2} = U S V^\top$ into singular values, when $K = V U^\top$.
# A pairing with this $K$ exists: let $\xi \sim N(0, I)$, and take the jointly Gaussian pair $a = \mu_1 + \Sigma_1^{1/2} \xi$ and $b = \mu_2 + \Sigma_2^{1/2} K^\top \xi$.
# Since $K$ is orthogonal, $b$ has the covariance $\Sigma_2$, and that of $a$ with $b$ is $\Sigma_1^{1/2} K\, \Sigma_2^{1/2}$, as it should be.
# These singular values are the roots of the eigenvalues of $\Sigma_1^{1/2} \Sigma_2\, \Sigma_1^{1/2}$, which gives (5a).
# </details>
#
# The cell pairs two Gaussians by the map that does it, $b = \mu_2 + A(a - \mu_1)$ with $A = \Sigma_1^{-1/2} \big(\Sigma_1^{1/2} \Sigma_2 \Sigma_1^{1/2}\big)^{1/2} \Sigma_1^{-1/2}$, and draws the pairs.


# %%
def root(matrix, power=0.5):
    """A power of a symmetric matrix with positive eigenvalues."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values**power @ vectors.T


cov_1, cov_2 = torch.tensor([[2.0, 0.6], [0.6, 0.5]]), torch.tensor([[0.4, -0.3], [-0.3, 1.0]])
mean_1, mean_2 = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.5])
A = root(cov_1, -0.5) @ root(root(cov_1) @ cov_2 @ root(cov_1)) @ root(cov_1, -0.5)
checks.identity("the map takes one Gaussian to the other", A @ cov_1 @ A.T, cov_2, tol=1e-9)
first = mean_1 + torch.randn(400_000, 2, generator=seeded()) @ root(cov_1)
apart = (first - mean_2 - (first - mean_1) @ A.T).square().sum(1).mean()
checks.identity(
    "mean squared distance of the pairs (5a)",
    apart,
    metrics.frechet_gaussian(mean_1, cov_1, mean_2, cov_2),
    tol=0.02,
)
axes = torch.linalg.eigh(cov_1).eigenvectors  # shared by two Gaussians with standard deviations 2, 0.5 and 1, 0.8
stretched = [axes @ torch.diag(torch.tensor(stds)) ** 2 @ axes.T for stds in ([2.0, 0.5], [1.0, 0.8])]
shared = metrics.frechet_gaussian(mean_1, stretched[0], mean_2, stretched[1])
checks.identity("shared axes (5a)", shared, 1.25 + (2 - 1) ** 2 + (0.5 - 0.8) ** 2, tol=1e-9)

# %% [markdown]
# Some warnings go with this number.
# It is a *squared* distance.
# It sees two moments alone: sets whose features agree in mean and covariance have the distance 0.
# It depends on the judge: by the features of another one two models may change places.
# Above all it is biased: means and covariances of a sample err, every error adds to a square, so even samples of the right distribution have a distance above 0.
# The mean alone contributes $E\|\hat\mu - \mu\|^2 = \operatorname{tr} \Sigma / n$, and the covariance adds a part that falls about as fast.
# <details><summary><b>Question.</b> Why is it worst with no more points than features?</summary>
#
# The covariance of $n$ points has the rank $n - 1$ at most, so in our 48 dimensions that of 30 points says of some directions that nothing varies there.
# </details>
# Below, $n$ points come from the very Gaussian that they are compared with.

# %%
judge = metrics.judge("digits")
with torch.no_grad():
    features = judge.features(real.float()).double()
centre, covariance = features.mean(0), features.T.cov()
truth = MultivariateNormal(centre, covariance + 1e-9 * torch.eye(48))
torch.manual_seed(0)
for n in (30, 75, 300, 1000):
    sets = truth.sample((20, n))
    found = torch.tensor([metrics.frechet_gaussian(s.mean(0), s.T.cov(), centre, covariance) for s in sets])
    print(f"n = {n:4}: {found.mean():4.1f} ± {found.std() / 20**0.5:.1f}, where 0 is right")

# %% [markdown]
# So distances may be compared only if they were taken with equal numbers of samples, and small differences not even then, because the bias depends on the model's $\Sigma$ too.
# We therefore give multiples of what the 297 held-out digits have, and 297 pictures for each network.
#
# One number cannot say *what* is wrong, so we set others beside it (Kynkäänniemi et al. 2019).
# Around each real digit, in the space of features, lies a ball that reaches to its third nearest neighbour.
# *Precision* is the share of made pictures in some ball of a real one: is what is made plausible?
# *Recall* is the share of real pictures in some ball of a made one, with the balls drawn around these: is everything real made?
# *Coverage* asks the same with the balls of the real ones: it is the share of them that have a made picture in their ball (Naeem et al. 2020).


# %% tags=["nbval-ignore-output"]
digit = data.digits("test").label
print(f"{'':24}detail   Fréchet, × held-out   precision   recall   coverage   right digit")
for name, pictures in made.items():
    detail, report = metrics.detail(pictures, made["real"]), metrics.digits_report(pictures, digit)
    with torch.no_grad():
        of_made, of_real = judge.features(pictures.clamp(-1, 1)), features[:297].float()
    balls = [of(of_made, of_real) for of in (metrics.precision, metrics.recall, metrics.coverage)]
    of_a_digit = name not in ("VAE: prior's codes", "AE: fitted codes")  # a drawn code belongs to no digit
    right = f"{report.label_accuracy:.0%}" if of_a_digit else "–"
    print(
        f"{name:24}{detail:6.2f}{report.frechet_multiple:15.1f}{balls[0]:19.2f}{balls[1]:9.2f}{balls[2]:11.2f}{right:>14}"
    )

# %% [markdown]
# *Right digit* is the share in which the same classifier still sees the digit that went in.
#
# - **Reconstructions are blurred.** Between a seventh and a quarter of the detail is gone, because what the code does not hold is averaged, as the pixel loss asks. But well over nine of ten are still the right digit.
# - **Samples are odd.** With codes that the VAE's encoder draws, little gets worse. With codes from the prior the Fréchet distance is several times larger, and precision falls far below that of real digits: many of the samples are no digits. Recall does not fall, but it misleads here: its balls are those of the made pictures, and pictures that scatter have large balls, into which real digits fall. Coverage falls by nearly half: most of the real digits have no sample near.
# - **Odd is not blurred.** The VAE's samples are blurrier than its reconstructions, but the autoencoder's have about as much detail as its reconstructions, or more, and their precision is no higher.
#
# So the loss on pixels explains the reconstructions; what is wrong with the samples must be the codes.
# Let $q(z) = \frac1N \sum_n q(z \mid x_n)$ be the density of the codes that the encoder uses over $N$ training pictures, drawn each with probability $\frac1N$.
# These are the codes that the decoder was trained on; how much were those used that the prior draws?


# %%
def encoded(vae):
    """m and s for each training picture, in double precision."""
    with torch.no_grad():
        return [part.double() for part in vae.encode(pixels)]


def log_given(z, m, s):
    """log q(z | x_n) for each code and each training picture, (codes, N)."""
    parts = [Normal(m, s.exp()).log_prob(few[:, None]).sum(2) for few in z.split(100)]
    return torch.cat(parts)


# %% tags=["nbval-ignore-output"]
held_z, prior_z = held_m + held_s.exp() * normal, torch.randn(3000, 8, generator=seeded())
usage = {
    name: log_given(z.double(), *encoded(vae)).logsumexp(1) - math.log(len(pixels))  # log q(z)
    for name, z in {"held-out digits": held_z, "prior": prior_z}.items()
}
with torch.no_grad():
    of_prior = judge.features(vae.decode(prior_z.float()).clamp(-1, 1).view(-1, 1, 8, 8))
fifths = usage["prior"].argsort().chunk(5)
plausible = [metrics.precision(of_prior[fifth], of_real) for fifth in fifths]
print("precision of samples, from the fifth of the codes that q uses least: ", end="")
print("  ".join(f"{share:.2f}" for share in plausible))
above = (usage["prior"] > usage["held-out digits"].median()).double().mean()
print(f"{above:.0%} of the prior's codes are used more than the median of the held-out digits' codes")

# %%
rings = {name: metrics.spectrum(pictures) for name, pictures in made.items() if "encoder" not in name}
plots.figure(
    plots.histogram(usage, bins=30, span=(-45, 0), xlabel="log q(z)", title="How much codes are used"),
    plots.lines(
        torch.arange(4), rings, yscale="log", xlabel="frequency (ring)", title="Mean power", xticks=range(4)
    ),
    alt="Left: most codes of the prior have a far smaller log q(z) than most codes of held-out digits. "
    "Right: power against frequency; reconstructions lack power in the outer rings.",
)

# %% [markdown]
# The less a prior's code is used, the fewer of its pictures are digits.

# %% [markdown]
# ### The penalty, taken apart
#
# Why does the training not close this gap, although the penalty in (4) pulls every $q(z \mid x)$ towards the prior?
# The penalty is about each $x$ by itself, and sampling is about all of them together.
# Insert the density $q(z)$ of the codes that are used into the mean penalty:
#
# $$\frac1N \sum_n \operatorname{KL}\big(q(z \mid x_n)\,\|\,p(z)\big) = \underbrace{\frac1N \sum_n E_{q(z \mid x_n)}\!\left[\log \frac{q(z \mid x_n)}{q(z)}\right]}_{I(x;\, z)} + \underbrace{\frac1N \sum_n E_{q(z \mid x_n)}\!\left[\log \frac{q(z)}{p(z)}\right]}_{\operatorname{KL}(q(z)\,\|\,p(z))}. \tag{5b}$$
#
# The last sum is an expectation over $q(z)$, because drawing $n$ and then $z$ is a draw from $q(z)$.
# The first part is the *mutual information* of picture and code, which the reconstruction needs.
# It is at most $\log N$: the sum in $q(z)$ contains its own term, so $q(z) \ge q(z \mid x_n)/N$.
# The second part is the *mismatch* of the codes that are used with the codes that are drawn (Hoffman and Johnson 2016).
#
# The cell finds each part by a way of its own: the penalty by (5), the mismatch by draws from the encoder, and the information by Bayes' rule.
# A code $z$ comes from picture $n$ with the probability $P(n \mid z) = q(z \mid x_n)/\sum_k q(z \mid x_k)$; of the $\log N$ nats that it takes to name a picture, the entropy of this distribution is what the code leaves open.

# %%
N = len(pixels)


def taken_apart(vae):
    """The mean penalty, its information by Bayes' rule and as it stands in (5b), and its mismatch."""
    m, s = encoded(vae)
    z = m + s.exp() * torch.randn(4, *m.shape, generator=seeded())  # four codes for each picture
    log_q = torch.stack([log_given(one, m, s) for one in z])  # log q(z_i | x_n), for each of the four
    log_mean = log_q.logsumexp(2) - math.log(N)  # log q(z_i)
    by_bayes = math.log(N) - torch.special.entr(log_q.softmax(2)).sum(2).mean()
    information = (log_q.diagonal(dim1=1, dim2=2) - log_mean).mean()
    mismatch = (log_mean - Normal(0.0, 1.0).log_prob(z).sum(2)).mean()
    return vae.kl(pixels).mean().double().detach(), by_bayes, information, mismatch


# %% tags=["nbval-ignore-output"]
penalty, by_bayes, information, mismatch = taken_apart(vae)
checks.identity("mean penalty = information + mismatch (5b)", penalty, by_bayes + mismatch, tol=0.2)
checks.identity("information, by densities and by Bayes' rule (5b)", information, by_bayes, tol=0.1)
checks.at_most("0 ≤ information", 0.0, information)
checks.at_most("information ≤ log N", information, math.log(N))
print(
    f"{penalty:.1f} nats = {by_bayes:.2f} of information (at most log {N} = {math.log(N):.2f}), {mismatch:.2f} of mismatch"
)
print(f"with {penalty:.1f} nats in all, at least {penalty - math.log(N):.1f} are mismatch")

# %% [markdown]
# As long as the penalty is so far above $\log N$, much mismatch is unavoidable.
# And the training does not close the gap, because by (5b) a nat of mismatch costs one nat and no more, and is accepted wherever the reconstruction gains as much by it.
# That gain is a squared error divided by $2\sigma^2$, so with a larger $\sigma$ detail is no longer worth its price; we train the same VAE with $\sigma = 1$ in place of 0.3.

# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
wide = VAE(dim=64, latent=8, width=96, std=1.0).float()
history = train.fit(ELBO(wide), pixels, steps=1200, seed=0)
print(f"trained in {history.seconds:.0f} s; " + "penalty {:.1f}, mismatch {:.2f}".format(*taken_apart(wide)[::3]))
with torch.no_grad():
    of_wide = {"reconstructed": wide.reconstruct(held), "prior's codes": wide.decode(normal)}
for name, pictures in of_wide.items():
    pictures = pictures.view(-1, 1, 8, 8)
    digits_share = metrics.precision(judge.features(pictures.clamp(-1, 1)).detach(), of_real)
    print(f"{name:14} detail {metrics.detail(pictures, made['real']):.2f}, precision {digits_share:.2f}")

# %% [markdown]
# The mismatch has all but vanished, and the samples have as much detail as the reconstructions; but both are blurred, and no more of the samples are digits than before.
# So a larger $\sigma$ closes the gap and pays with blur; at $\sigma = 0.3$ the prior would have to take the shape of the codes, which a fitted Gaussian cannot.

# %% [markdown]
# And the blur: could we mend the loss on pixels by hand?
# We might weigh the outer rings more, add a term for edges, and one for strokes that end.
# Each such term is a new guess of what a good picture is, and a network will find what we forgot to say.
#
# There is a judge that tells real pictures from bad ones without a list of our reasons: a *classifier*, trained on both.

# %% [markdown]
# ## 6. So learn the loss
#
# A *generator* $G$ turns noise into a point, $G(z)$ with $z \sim N(0, I)$.
# There is no input yet, only noise; a condition $x$ will come in with the next lecture.
# The points that it makes have a density, $p_G$; without noise they would all be the same point.
# Nobody knows $p_G$ for a network, and the theorems below are formulas in $p$ and $p_G$.
# To check them we take a game in which both are known: data with two narrow modes, and $G(z) = 0.3 + 0.6\,z$, which spreads the probability of every interval over 0.6 times its length, so that $p_G = N(0.3,\ 0.6^2)$.

# %%
p = data.GaussianMixture([[-1.0], [1.0]], [[[0.04]], [[0.04]]])  # the data
p_gen = data.GaussianMixture([[0.3]], [[[0.36]]])
noise = torch.randn(100, 1, generator=seeded())
known = Normal(0.0, 1.0).log_prob(noise)[:, 0] - math.log(0.6)  # an interval of z becomes 0.6 times as long
checks.identity("G(z) has the density p_G", p_gen.log_prob(0.3 + 0.6 * noise), known, tol=1e-12)

# %% [markdown]
# A *discriminator* $D$ is given a point $y$, and says with which probability it is real, that is, a sample of the data, and not *fake*, which means generated.
# The two networks play a game for one number, the value $V$ (Goodfellow et al. 2014):
#
# $$\min_G \max_D \; V(G, D), \qquad V(G, D) = E_{y \sim p}[\log D(y)] + E_{z}\big[\log\big(1 - D(G(z))\big)\big]. \tag{6}$$
#
# The discriminator raises $V$ by giving high probabilities to real points and low ones to generated points.
# The generator can move the second term alone, and lowers $V$ by making points that $D$ takes for real.
# *That* makes $D$ a loss, and that $D$ is trained as well makes it a *learned* one.

# %% [markdown]
# ### What the best answer means
#
# For a fixed generator, (6) belongs to an experiment.
# Toss a fair coin.
# If it shows heads, draw $y$ from the data, and set the label $\ell = 1$; otherwise let the generator make $y$, and set $\ell = 0$.
# Somebody who sees $y$ alone, and knows both densities, finds the probability of heads by Bayes' rule:
#
# $$P(\ell = 1 \mid y) = \frac{\tfrac12\, p(y)}{\tfrac12\, p(y) + \tfrac12\, p_G(y)} = \frac{p(y)}{p(y) + p_G(y)}. \tag{6a}$$
#
# Now let $D(y)$ be any statement of this probability.
# The log-likelihood of the label is $\log D(y)$ for heads and $\log(1 - D(y))$ for tails, and each occurs half of the time, so its expectation is $\tfrac12 V$.
# In other words, $-V/2$ is the cross-entropy of a classifier on equally many real and generated points, and by (2a) cross-entropy asks for the true probabilities of the labels.
# So (6a) says what $D(y)$ should be: the probability that a point seen at $y$ came from the data.
#
# The cell tosses the coin a million times, and counts heads in narrow bins of $y$.

# %%
tosses, edges = 1_000_000, torch.linspace(-1.5, 1.5, 31)
heads = torch.rand(tosses, generator=seeded()) < 0.5
drawn_y = torch.where(heads[:, None], p.sample(tosses, seeded(1)), p_gen.sample(tosses, seeded(2))).double()
bins = torch.bucketize(drawn_y[:, 0], edges)
counts = torch.bincount(bins, heads.double(), minlength=32)[1:-1], torch.bincount(bins, minlength=32)[1:-1]
centres = (edges[1:] + edges[:-1]) / 2
bayes = torch.sigmoid(p.optimal_discriminator(centres[:, None], p_gen))
checks.identity("heads among the points of each bin (6a)", counts[0] / counts[1], bayes, tol=0.03)

# %% [markdown]
# ### The best discriminator
#
# Is (6a) indeed the best $D$?
# We prove it from (6).
# Both expectations there are integrals over the same $y$, so $V$ is $\int \big[p(y) \log D(y) + p_G(y) \log(1 - D(y))\big]\,dy$.
# $D$ may take any value at every point, so we maximise the bracket at each point by itself.
# With $u = p(y)$ and $v = p_G(y)$, both positive, the derivative of $u \log D + v \log(1 - D)$ by $D$ is $u/D - v/(1 - D)$.
# The function is concave, and the derivative is zero at $D = u/(u + v)$:
#
# $$D^*(y) = \frac{p(y)}{p(y) + p_G(y)}, \qquad \operatorname{logit} D^*(y) = \log p(y) - \log p_G(y). \tag{7}$$
#
# Here $\operatorname{logit} D = \log D - \log(1 - D)$ is what a network gives before the sigmoid, so the best logit is the *log-ratio of the two densities*.
# The cell turns this $D$ a little in smooth directions, and gives it slopes and shifts, $a \cdot \operatorname{logit} D^* + b$: no other value is larger.

# %%
y = torch.linspace(-7, 7, 14_001)[:, None]
u, v, logit = p.log_prob(y).exp(), p_gen.log_prob(y).exp(), p.optimal_discriminator(y, p_gen)
checks.identity("the best discriminator (7)", torch.sigmoid(logit), u / (u + v), tol=1e-12)


def value_of(logit, v=v):
    """The value (6), by quadrature: log D = −softplus(−logit), log(1 − D) = −softplus(logit). v is p_G(y)."""
    return torch.trapezoid(-u * softplus(-logit) - v * softplus(logit), y[:, 0])


ways = {"shift": torch.ones(len(y)), "slope": u.log() - v.log(), "line": y[:, 0], "wave": torch.sin(2 * y[:, 0])}
ways["bump"] = torch.exp(-10 * (y[:, 0] - 0.5) ** 2)
others = torch.stack([value_of(logit + step * way) for way in ways.values() for step in (-0.2, -0.02, 0.02, 0.2)])
checks.at_most("no D beside it has a larger value (7)", others, value_of(logit).expand(len(others)))
with torch.no_grad():
    likelihood = -softplus(torch.where(heads, -1, 1) * p.optimal_discriminator(drawn_y, p_gen)).mean()
checks.identity("V is twice the labels' mean log-likelihood", 2 * likelihood, value_of(logit), tol=0.01)

# %% [markdown]
# ### Where the theorem stops
#
# The proof supposed that both densities are positive.
# Where both vanish, the bracket is 0 whatever $D$ says: there the best $D$ is undetermined, and a network's answer at such a place is an accident of its training.
# Where $p_G$ alone vanishes, the bracket is $u \log D$ and grows up to $D = 1$; the probability 1 has an infinite logit, so a network can only come near to it, and its logit grows as long as it is trained.
# And a network can take on some functions only, so the value that it reaches is at most that of $D^*$: what a trained discriminator gives, on points that it was not trained on and up to chance, is a *lower bound* of the maximum.
#
# Two uniform densities show the second case: $p = 1$ on $[0, 1]$ and $p_G = 1$ on $[\tfrac12, \tfrac32]$.
# In the overlap, half of each, $D^* = \tfrac12$.
# Let the logit be $a$ where only $p$ is positive, and $-a$ where only $p_G$ is:
#
# $$V(a) = 2 \cdot \tfrac12 \log \tfrac12 + 2 \cdot \tfrac12 \log \frac{1}{1 + e^{-a}} = -\log 2 - \log(1 + e^{-a}), \tag{7a}$$
#
# which rises towards $-\log 2$ for ever and never arrives.

# %%
at_real, at_fake = (torch.arange(1000) + 0.5) / 1000, (torch.arange(1000) + 0.5) / 1000 + 0.5
for_a = torch.arange(1.0, 9.0)


def step_logit(at, a):
    """0 in the overlap, a to the left of it, −a to the right."""
    return torch.where(at < 0.5, a, torch.where(at > 1.0, -a, torch.zeros(())))


reached = torch.stack([-gan.discriminator_loss(step_logit(at_real, a), step_logit(at_fake, a)) for a in for_a])
checks.identity(
    "value of a D with finite logits (7a)", reached, -math.log(2) - torch.log1p(torch.exp(-for_a)), tol=1e-12
)
checks.at_most("it rises with a", reached[:-1], reached[1:])

# %% [markdown]
# ### What the game is worth
#
# How large is the value at the best $D$?
# Insert (7), and let $\bar p = (p + p_G)/2$ be the mixture of both, the density of $y$ in the experiment, so that $D^* = p / 2 \bar p$:
#
# $$V(G, D^*) = E_p\!\left[\log \frac{p}{2 \bar p}\right] + E_{p_G}\!\left[\log \frac{p_G}{2 \bar p}\right] = \underbrace{\operatorname{KL}(p\,\|\,\bar p) + \operatorname{KL}(p_G\,\|\,\bar p)}_{2\,\mathrm{JS}(p,\, p_G)} - 2 \log 2. \tag{8}$$
#
# JS is the *Jensen–Shannon divergence*.
# It is 0 if both divergences are, that is, if $p = \bar p = p_G$, and only then; so the generator reaches the minimum, $-2 \log 2$, with $p_G = p$ and with no other density.
#
# The cell needs the divergence by a way that does not pass through $D$.
# Write $H$ for the entropy, $-\int p \log p$; where the three entropies are finite, multiplying out the logarithms gives $\mathrm{JS}(p, p_G) = H(\bar p) - \tfrac12\big(H(p) + H(p_G)\big)$: how much more uncertain a point of the mixture is than a point of one of its halves.


# %%
def entropy(density):
    """−∫ p log p, by quadrature."""
    return -torch.trapezoid(torch.xlogy(density, density), y[:, 0])


two_js = 2 * entropy((u + v) / 2) - entropy(u) - entropy(v)
checks.identity("the value is a divergence (8)", value_of(logit), two_js - 2 * math.log(2), tol=1e-9)
checks.identity("genlib's divergence, by entropies", 2 * p.jensen_shannon(p_gen), two_js, tol=1e-7)
equal = value_of(p.optimal_discriminator(y, p), v=u)  # p_G = p, so that D* = 1/2
checks.identity("equal densities: V = −2 log 2", equal, -2 * math.log(2), tol=1e-9)
print(f"JS = {two_js / 2:.2f} nats")

# %% [markdown]
# ### What the divergence says
#
# Our two densities have JS = 0.33 nats.
# Is that much?
#
# The coin gives the number a meaning.
# Before $y$ is seen, the coin is fair, and its entropy is $\log 2$.
# Once $y$ is seen, heads has the probability $D^*(y)$, and what remains uncertain is the entropy of a coin with this probability, $h(P) = -P \log P - (1 - P) \log(1 - P)$ at $P = D^*(y)$, averaged over the $y$ that occur.
# The difference is what a point tells about its source, the *mutual information* of label and point:
#
# $$I(\ell;\, y) = \log 2 - E_{y \sim \bar p}\big[h(D^*(y))\big] = \log 2 + \tfrac12 E_p[\log D^*] + \tfrac12 E_{p_G}[\log(1 - D^*)] = \log 2 + \tfrac12 V(G, D^*) = \mathrm{JS}(p,\, p_G). \tag{8a}$$
#
# The second equality writes out $h$ and uses $\bar p\, D^* = p/2$ and $\bar p\,(1 - D^*) = p_G/2$; the last is (8).
# So JS says, in nats, how well a single point betrays where it comes from.
#
# Since $h \ge 0$, no point can tell more than the coin's own entropy: $\mathrm{JS} \le \log 2$, which is one bit, and our 0.33 is nearly half of it.
# The bound is attained exactly if $h(D^*(y)) = 0$ wherever points occur, so that $D^*$ is 0 or 1 there, and at no $y$ are both densities positive; how far apart the two then lie does not matter.
# The uniform densities of (7a) stand half-way: a point in the overlap tells nothing, any other tells all, and each kind is half of the points.
# So their JS is $\tfrac12 \log 2$, and (8) gives the value $-\log 2$ that (7a) approaches.
#
# The cell computes what a point tells from $D^*$, and again from the shares of heads and tails that were counted in the bins.

# %%
best = torch.sigmoid(logit)
remains = torch.special.entr(best) + torch.special.entr(1 - best)  # h(D*)
told = math.log(2) - torch.trapezoid((u + v) / 2 * remains, y[:, 0])
checks.identity("what a point tells of its source = JS (8a)", told, two_js / 2, tol=1e-9)
of_bin = torch.stack([torch.bincount(bins, which.double(), minlength=32) for which in (heads, ~heads)]) / tosses
counted = math.log(2) - torch.special.entr(of_bin).sum() + torch.special.entr(of_bin.sum(0)).sum()
checks.identity("the same, counted in a million tosses (8a)", counted, told, tol=0.01)
limit = -gan.discriminator_loss(step_logit(at_real, 40.0), step_logit(at_fake, 40.0))  # (7a) with a = 40
checks.identity("half an overlap: JS = ½ log 2 (8a)", math.log(2) + limit / 2, math.log(2) / 2, tol=1e-12)

# %% [markdown]
# ## 7. A small network finds it
#
# In practice nobody knows the two densities.
# A network sees samples of them, real and generated points in equal numbers, and minimises $-V$, which is twice the cross-entropy.
# If (7) is right, its output must come close to the log-ratio of two densities that it was never shown.


# %%
class TellApart(torch.nn.Module):
    """A discriminator of real and generated points: an objective for `train.fit`."""

    def __init__(self, dim, width=64):
        super().__init__()
        layers = [torch.nn.Linear(dim, width), torch.nn.SiLU(), torch.nn.Linear(width, width), torch.nn.SiLU()]
        self.D = torch.nn.Sequential(*layers, torch.nn.Linear(width, 1)).float()

    def optimizers(self):
        return {"D": torch.optim.Adam(self.D.parameters(), lr=5e-3)}

    def losses(self, batch, generator):
        real, generated = (self.D(points) for points in batch)  # logits
        yield "D", softplus(-real).mean() + softplus(generated).mean(), {}


# %%
def trained(p, p_gen, steps=600):
    """A discriminator of two mixtures that has seen 20,000 points of each."""
    torch.manual_seed(0)
    objective, points = TellApart(p.dim), (p.sample(20_000, seeded(1)), p_gen.sample(20_000, seeded(2)))
    history = train.fit(objective, points, steps=steps, batch_size=512, seed=0)
    return objective.D, history


# %% tags=["nbval-ignore-output"]
D, history = trained(p, p_gen)
with torch.no_grad():
    learned = D(y.float())[:, 0].double()
print(f"trained in {history.seconds:.1f} s; value {value_of(learned):.3f}, the best is {value_of(logit):.3f}")

# %%
near = (y[:, 0].abs() < 2.2).nonzero()[:, 0]
plots.figure(
    plots.lines(y[near], {"p": u[near], "p_G": v[near]}, fill=True, xlabel="y", ylim=(0, 1.7), title="Densities"),
    plots.lines(y[near], {"best, p / (p + p_G)": torch.sigmoid(logit)[near], "trained": torch.sigmoid(learned)[near]},
                xlabel="y", title="D(y)", ylim=(-0.05, 1.7), yticks=(0, 0.5, 1)),
    plots.lines(y[near], {"best": logit[near], "trained": learned[near]}, xlabel="y", title="logit", ylim=(-12, 14)),
    alt="The two densities; the best and the trained D, which agree from the left mode to the right one and part at the left edge; their logits, which part in the middle, where real points are missing, and at the edges, where there are hardly any of either kind.",
)  # fmt: skip

# %% [markdown]
# <details><summary><b>Question.</b> Far outside, the trained logit and the log-ratio part. Why does it hardly cost the network anything, and when could it harm the generator?</summary>
#
# The value (6) is an expectation over real and generated points, and there are hardly any so far out.
# The generator asks $D$ only about its own points, which $D$ has been trained on; but a step of the generator may take them to places where $D$ has not been trained yet, and there its slope can be anything.
# This is one reason for small steps, and for training $D$ again after each of them.
# </details>

# %% [markdown]
# ## 8. What it tells a generated point
#
# A generator learns from the *gradient* of its loss at the points that it makes.
# For squared error against random data the descent direction at the point $y$ is $2(\mu - y)$, towards the mean, by (1).
# For the best discriminator, the gradient of (7) is the direction in which a point looks more real:
#
# $$\nabla_y \operatorname{logit} D^*(y) = \nabla_y \log p(y) - \nabla_y \log p_G(y). \tag{9}$$
#
# The first term leads to where real points are denser, and the second away from where the generator already crowds.

# %%
round_ = [[0.25, 0.0], [0.0, 0.25]]
modes = data.GaussianMixture([[-0.8, 0.0], [0.8, 0.0]], [round_, round_])
middle = data.GaussianMixture([[0.0, 0.0]], [round_])
at = torch.cartesian_prod(torch.linspace(-1.6, 1.6, 9), torch.linspace(-1.2, 1.2, 7))


def pull(D, at):
    """The gradient of logits at points."""
    leaf = at.clone().requires_grad_()
    return torch.autograd.grad(D(leaf).sum(), leaf)[0]


exact = pull(lambda y: modes.optimal_discriminator(y, middle), at)
checks.identity("gradient of the best logit (9)", exact, modes.score(at) - middle.score(at), tol=1e-9)
by_hand = 3.2 * torch.tanh(3.2 * at[:, 0])  # here the logit is log cosh(3.2 y₁), and a constant
checks.identity("the same by hand, for the coordinate across", exact[:, 0], by_hand, tol=1e-9)

# %% [markdown]
# Here are two situations that a training may reach.
# In the upper row the generator covers the middle between two modes, at $\pm 0.8$.
# Squared error sends every point to the middle, although *on average* the points are right already: it asks each of them to be the mean.
# The discriminator sends them apart, even at $\pm 1.6$, where an arrow leads away from the mode, because (9) is about a ratio: out there real points are rare, and generated points are rarer still.
#
# In the lower row the generator sits on the right mode alone, and a new $D$ has been trained against it.
# Now something else is wrong, and this $D$ says something else, that the points on the left flank belong further left; squared error says what it said before.

# %%
one_mode = data.GaussianMixture([[0.8, 0.0]], [round_])
panels = []
for where, p_gen_now in {"in the middle": middle, "on one mode": one_mode}.items():
    D_now, _ = trained(modes, p_gen_now, steps=300)
    clouds = {"real": modes.sample(300, seeded(3)), "generated": p_gen_now.sample(300, seeded(4))}
    fields = {
        "squared error": -2 * at,  # the mean of the data is 0
        "best D": pull(lambda y, now=p_gen_now: modes.optimal_discriminator(y, now), at),
        "trained D": pull(D_now, at.float()),
    }
    look = {"sets": clouds, "longest": 0.45, "aspect": 1.25, "xlim": (-2, 2), "ylim": (-1.6, 1.6)}
    for name, field in fields.items():
        look |= {"ylabel": None if len(panels) % 3 else f"G {where}", "legend": len(panels) == 4 and "below"}
        panels.append(plots.arrows(at, field, title=name, **look))

# %%
plots.figure(
    *panels,
    columns=3,
    alt="Arrows over real and generated points. Squared error points to the middle in both rows. "
    "Best and trained discriminator point outwards, left and right of the middle, in the upper row; and to the left, to the mode that is missing, in the lower one.",
)

# %% [markdown]
# <details><summary><b>Question.</b> In the lower row the arrows of the best D are nearly zero on the right. Is that good news?</summary>
#
# In part.
# Those points are good ones, and there is no reason to move them.
# But half of the real points lie elsewhere, and only the left flank of the generator hears of it.
# If the modes were far apart, no generated point would: the log-ratio on the right mode is flat, at $\log \tfrac12$.
# A generator that makes some modes of the data alone, and gets hardly any help to leave them, is said to suffer from *mode collapse*.
# </details>

# %% [markdown]
# ## 9. A loss that follows
#
# Must $D$ be trained again and again?
# Would it not do to train it once, well, and then descend?
#
# Let the data be $p = N(1, 1)$, and let the generator have one parameter, its mean: $y = \theta + z$, starting at $\theta = -1$.
# The best $D$ is known at any time, so we can compare a $D$ that is frozen at the start with one that is always up to date.
# Both generators descend $E[\log(1 - D(y))]$.

# %%
normal_p = data.GaussianMixture([[0.0]], [[[1.0]]])
quantiles = Normal(0.0, 1.0).icdf((torch.arange(256) + 0.5) / 256)[:, None]  # a sample of z without chance


def descend(follow, steps=80):
    """The generator's mean at each step; D is renewed at each of them, or never."""
    theta, seen, path = torch.tensor(-1.0, requires_grad=True), torch.tensor(-1.0), []
    for _ in range(steps):
        path.append(theta.item())
        seen = theta.detach() if follow else seen
        y = theta + quantiles
        logit = normal_p.log_prob(y - 1) - normal_p.log_prob(y - seen)  # (7): the data's mean is 1
        (slope,) = torch.autograd.grad(-softplus(logit).mean(), theta)  # of E log(1 − D)
        theta = (theta - 0.2 * slope).detach().requires_grad_()
    return torch.tensor(path)


# %%
followed, frozen = descend(True), descend(False)
checks.identity("with a D that follows it ends at the data", followed[-1], 1.0, tol=0.01)
checks.identity("with a frozen D every late step is 0.2 times 2", frozen[-1] - frozen[-2], 0.4, tol=1e-6)
print(f"after 79 steps: mean {followed[-1]:.2f} with a D that follows, {frozen[-1]:.0f} with a frozen one")
plots.figure(
    plots.lines(torch.arange(80), {"D follows": followed, "D frozen": frozen, "data": torch.ones(80)},
                xlabel="step", ylabel="generator's mean", ylim=(-1.5, 6), aspect=2.2),
    alt="The generator's mean against the step. With a D that follows it settles at 1, the mean of the data; with a frozen D it passes 1 and goes on.",
)  # fmt: skip

# %% [markdown]
# By (7) the frozen $D$ has the logit $\log p - \log p_G = 2y$, the exact log-ratio at *every* point, but for the generator of the start.
# A point at $y = 5$ is $e^{10}$ times as likely under the data as under $N(-1, 1)$, so the frozen $D$ takes it for real, and prefers larger $y$ still, although the generator of the moment makes many such points and the data next to none.
# A $D$ that follows compares the data with what is generated *now*, and its slope vanishes everywhere once the two densities are the same.

# %% [markdown]
# ## 10. What the generator descends
#
# Section 6 found that the game is worth $2\,\mathrm{JS} - 2 \log 2$ at the best $D$.
# But the generator does not differentiate this expression.
# It holds $D$ fixed, and differentiates (6) through its points alone.
# Is that the slope of the divergence?
#
# Let $\theta$ be the generator's parameters, $p_\theta$ its density, and $D_\theta$ the best discriminator against it.
# When $\theta$ moves, $V(\theta, D_\theta)$ changes in two ways, and the derivative is the sum of both:
#
# $$\frac{d}{d\theta} V(\theta, D_\theta) = \frac{\partial V}{\partial \theta}\Big|_{D = D_\theta \text{ fixed}} + \int \underbrace{\Big[\frac{p(y)}{D_\theta(y)} - \frac{p_\theta(y)}{1 - D_\theta(y)}\Big]}_{=\ 0 \text{ by (7)}} \frac{\partial D_\theta(y)}{\partial \theta}\,dy. \tag{9a}$$
#
# The bracket is the derivative of $V$ by $D(y)$, and it vanishes at the best $D$, because that is how the best $D$ was found.
# So the slope with $D_\theta$ frozen *is* the slope of $2\,\mathrm{JS}(p, p_\theta)$; this is called the envelope theorem.
# It holds at this $\theta$ and for the best $D$: after a step $D$ has to be renewed, as section 9 showed, and a network that is not trained to the end gives a slope near this one at best.
#
# The cell takes $p_\theta = N(\theta, 0.6^2)$, and compares the slope of the divergence, by entropies, with the slope through points $\theta + 0.6\,z$ with $D$ frozen.

# %%
noise_line = torch.linspace(-9, 9, 20_001)
noise_weight = Normal(0.0, 1.0).log_prob(noise_line).exp()
thetas = torch.linspace(-1.5, 1.5, 7)


def slope_of(f, theta):
    leaf = theta.clone().requires_grad_()
    return torch.autograd.grad(f(leaf), leaf)[0]


def with_frozen(theta, loss):
    """The slope of E[loss(logit)] over points θ + 0.6 z, with the best D of this θ held fixed."""
    now = data.GaussianMixture([[float(theta)]], [[[0.36]]])
    points = lambda t: p.optimal_discriminator((t + 0.6 * noise_line)[:, None], now)  # noqa: E731
    return slope_of(lambda t: torch.trapezoid(noise_weight * loss(points(t)), noise_line), theta)


# %%
def two_js_of(theta):
    """2 JS(p, N(θ, 0.6²)), by entropies."""
    v = Normal(theta, 0.6).log_prob(y[:, 0]).exp().clamp(min=1e-300)
    return 2 * entropy((u + v) / 2) - entropy(u) - entropy(v)


minimax = torch.stack([with_frozen(t, lambda logit: -softplus(logit)) for t in thetas])  # log(1 − D)
divergence = torch.stack([slope_of(two_js_of, t) for t in thetas])
checks.identity("slope with D frozen = slope of 2 JS (9a)", minimax, divergence, tol=1e-7)

# %% [markdown]
# ### The loss that is used instead
#
# Where $D$ is sure that a point is generated, $\log(1 - D)$ is nearly flat, and the generator learns next to nothing.
# Most trainings therefore minimise $-\log D$, the *non-saturating* loss, whose slope does not vanish there; the next lecture looks at the two slopes.
# What does the generator descend then?
#
# Write the loss with the logit: $\log D - \log(1 - D) = \operatorname{logit} D$, so $-\log D = -\operatorname{logit} D - \log(1 - D)$.
# Let $D$ be frozen at $D_\theta$, the best one for the parameters $\theta$, and let $\theta'$ be the parameters that move.
# The second term has the slope of $-2\,\mathrm{JS}$, by (9a).
# The first is $E_{p_{\theta'}}[\log p_\theta - \log p]$, with $\log p_\theta$ frozen.
# In $\operatorname{KL}(p_{\theta'} \,\|\, p) = E_{p_{\theta'}}[\log p_{\theta'} - \log p]$ that logarithm moves too, but its motion adds nothing: $E_{p_\theta}[\partial_\theta \log p_\theta] = \int \partial_\theta p_\theta = \partial_\theta 1 = 0$.
# So the slopes of both agree at $\theta' = \theta$, and in all the generator descends
#
# $$\operatorname{KL}(p_\theta \,\|\, p) - 2\,\mathrm{JS}(p, p_\theta) = \int p_\theta \log\frac{p_\theta}{p} - p \log\frac{p}{\bar p} - p_\theta \log\frac{p_\theta}{\bar p}\;dy = \int (p + p_\theta) \log \frac{\bar p}{p}\;dy = 2 \operatorname{KL}(\bar p\,\|\,p). \tag{9b}$$
#
# The left side is from Arjovsky and Bottou 2017; the right side, from Shannon et al. 2020, shows that it is again a divergence, least where $p_\theta = p$.


# %%
def softened(theta):
    """2 KL(p̄ ‖ p) for N(θ, 0.6²), by quadrature."""
    bar = (u + Normal(theta, 0.6).log_prob(y[:, 0]).exp()) / 2
    return 2 * torch.trapezoid(bar * (bar.log() - p.log_prob(y)), y[:, 0])


def difference(theta):
    """KL(p_G ‖ p) − 2 JS(p, p_G)."""
    log_v = Normal(theta, 0.6).log_prob(y[:, 0])
    return torch.trapezoid(log_v.exp() * (log_v - p.log_prob(y)), y[:, 0]) - two_js_of(theta)


pushed = torch.stack([with_frozen(t, lambda logit: softplus(-logit)) for t in thetas])  # −log D
checks.identity(
    "slope of −log D, D frozen (9b)", pushed, torch.stack([slope_of(difference, t) for t in thetas]), tol=1e-6
)
both_ways = [torch.stack([f(t) for t in thetas]) for f in (difference, softened)]
checks.identity("KL(p_G ‖ p) − 2 JS = 2 KL(p̄ ‖ p) (9b)", *both_ways, tol=1e-7)

# %% [markdown]
# Formula (9b) explains a habit of GANs.
# Points in an empty region, where $p$ is next to zero, are charged $\log(\bar p/p)$ each, which has no limit.
# A mode that the generator leaves out is not charged at all: there $\bar p = p/2$, and the integrand is $p \log \tfrac12$, below 0; only the surplus elsewhere costs.
# With all points on one of two equal modes $\bar p/p$ is $\tfrac32$ there, on three quarters of $\bar p$, and $\tfrac12$ on the other, so (9b) is $2\big(\tfrac34 \log \tfrac32 - \tfrac14 \log 2\big) = 0.26$ nats.
# The divergence $\operatorname{KL}(p \,\|\, p_\theta)$, which maximum likelihood minimises, charges the other way: $\log(p/p_\theta)$ has no limit where the generator leaves something out.
#
# Take two generators for our data: one sits on the right mode, $N(1, 0.2^2)$, and one has the data's own mean and variance, $N(0, 1.04)$, and covers both modes and the empty space between them.

# %%
for name, (mean, std) in {"on one mode": (1.0, 0.2), "over both": (0.0, math.sqrt(1.04))}.items():
    log_w = Normal(mean, std).log_prob(y[:, 0])
    bar = (u + log_w.exp()) / 2
    js_2 = 2 * entropy(bar) - entropy(u) - entropy(log_w.exp())
    seeking = 2 * torch.trapezoid(bar * (bar.clamp(min=1e-300).log() - p.log_prob(y)), y[:, 0])
    likelihood_s = torch.trapezoid(u * (p.log_prob(y) - log_w), y[:, 0])
    print(
        f"{name:12} 2 JS {js_2:.2f}   2 KL(p̄ ‖ p) {seeking:.2f}   maximum likelihood's KL(p ‖ p_G) {likelihood_s:5.2f}"
    )

# %% [markdown]
# All three would be 0 for $p_G = p$.
# Maximum likelihood prefers the generator that covers; $2\,\mathrm{JS}$ prefers the one on a single mode by a little, and the non-saturating loss by far.
# So where the generator cannot match $p$, its divergence may be one reason for mode collapse, and one that no training of $D$ removes.

# %% [markdown]
# ## 11. When the two do not overlap
#
# Early in a training no generated picture looks real, and a good $D$ tells all of them apart.
# In the extreme case the two densities are nowhere positive together: then $p/\bar p = 2$ wherever $p$ is positive, and $p_G/\bar p = 2$ wherever $p_G$ is, so $\mathrm{JS} = \log 2$ by (8), *wherever* the generator puts its points.
# A divergence that is constant has no slope to descend (Arjovsky and Bottou 2017).
#
# There is a distance that keeps telling how far.
# Pair real and generated points, and let the price of a pairing be the mean distance of its pairs; the *Wasserstein distance* is the least price:
#
# $$W(p, p_G) = \min_{\text{pairings}} E\,|y - y'| = \max_{f} \big(E_{y \sim p}[f(y)] - E_{y' \sim p_G}[f(y')]\big), \qquad |f(y) - f(y')| \le |y - y'|. \tag{9c}$$
#
# The maximum is over *critics* $f$ whose slope is nowhere steeper than 1; a critic gives a number, and no probability.
# That no critic exceeds any price is seen at once: with pairs $(y, y')$ the difference in (9c) is $E[f(y) - f(y')] \le E\,|y - y'|$.
# That they meet is the theorem of Kantorovich and Rubinstein; the cell shows it on the line, where it pairs sorted samples, and lets a critic earn.
#
# <details><summary><b>Question.</b> Why do the two meet on the line?</summary>
#
# Sort both sets of points, and pair them in order: this costs $\int |F^{-1} - F_G^{-1}|$, the area between the two distribution functions $F$ and $F_G$, which is $\int |F - F_G|\,dy$.
# The critic with the slope $f' = \operatorname{sign}(F_G - F)$ earns $\int f\,(p - p_G) = -\int f' (F - F_G) = \int |F - F_G|$, by parts.
# </details>

# %%
cdf = (Normal(-1.0, 0.2).cdf(y) + Normal(1.0, 0.2).cdf(y))[:, 0] / 2
cdf_gen = Normal(0.3, 0.6).cdf(y)[:, 0]
critic = torch.cumulative_trapezoid(torch.sign(cdf_gen - cdf), y[:, 0])
earned = torch.trapezoid(critic * (u - v)[1:], y[1:, 0])
sorted_pairs = p.sample(1_000_000, seeded(1)).sort(0).values - p_gen.sample(1_000_000, seeded(2)).sort(0).values
checks.identity("price of the pairing = what the critic earns (9c)", sorted_pairs.abs().mean(), earned, tol=0.01)

# %% [markdown]
# Now let $p$ be uniform on $[0, 1]$ and $p_G$ on $[\theta, 1 + \theta]$.
# For $0 \le \theta \le 1$ they overlap on a length of $1 - \theta$, where $p = p_G = \bar p$ and the logarithms in (8) are 0; on the rest of each, $p/\bar p$ or $p_G/\bar p$ is 2.
# So $2\,\mathrm{JS} = 2\,\theta \log 2$, and from $\theta = 1$ on it stays at $2 \log 2$, while $W = \theta$ for every $\theta \ge 0$.

# %%
unit = (torch.arange(40_000) + 0.5) / 10_000 - 0.5  # the middles of cells of width 1/10,000, from −0.5 to 3.5
shifts = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0])
box = ((unit > 0) & (unit < 1)).double()
js, wasserstein = [], []
for shift in shifts:
    moved = ((unit > shift) & (unit < 1 + shift)).double()
    mixture = (box + moved).clamp(min=1e-300) / 2
    js.append(
        (torch.xlogy(box, box / mixture) + torch.xlogy(moved, moved.clamp(min=1e-300) / mixture)).sum() / 10_000
    )
    wasserstein.append((box.cumsum(0) - moved.cumsum(0)).abs().sum() / 10_000**2)
js, wasserstein = torch.stack(js), torch.stack(wasserstein)
checks.identity("2 JS, by quadrature", js, 2 * math.log(2) * shifts.clamp(max=1), tol=1e-9)
checks.identity("W, by the area between the distribution functions", wasserstein, shifts, tol=1e-9)
plots.figure(
    plots.lines(shifts, {"2 JS": js, "W": wasserstein}, xlabel="θ", aspect=2.2),
    alt="Against the shift θ, 2 JS rises in a straight line until 1 and is flat from there on; the Wasserstein distance goes on rising.",
)

# %% [markdown]
# A *Wasserstein GAN* trains a critic $f$ in place of $D$ (Arjovsky, Chintala and Bottou 2017).
# That $f$ is nowhere too steep must be enforced, by clipping its weights, by a penalty on $\|\nabla f\|$ (Gulrajani et al. 2017), or layer by layer.
#
# A layer $h \mapsto W h$ stretches differences by at most the largest singular value $\sigma(W)$, its *spectral norm*, because $\|W h - W h'\| \le \sigma(W)\,\|h - h'\|$; ReLU stretches nothing.
# For layers one after the other the factors multiply, so for the last output $l$, a critic's value or a discriminator's logit,
#
# $$|l(y) - l(y')| \le \prod_i \sigma(W_i)\;\|y - y'\|. \tag{9d}$$
#
# *Spectral normalisation* replaces every $W$ by $W/\sigma(W)$, so that the bound is 1.
# Miyato et al. 2018 made it for ordinary discriminators, where it keeps the logit from becoming as steep as (7a) would have it.
# The cell measures the slopes of a random network, with positive weights so that its layers stretch the same direction.

# %%
torch.manual_seed(0)
steep = torch.nn.Sequential(torch.nn.Linear(2, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))  # fmt: skip
steep.requires_grad_(False)
layers = [steep[0], steep[2], steep[4]]
for layer in layers:
    layer.weight.abs_().mul_(3)
norms = torch.stack([torch.linalg.matrix_norm(layer.weight, ord=2) for layer in layers])
places = 3 * torch.randn(5000, 2, generator=seeded())
slopes = pull(steep, places).norm(dim=1)
checks.at_most("no slope exceeds the product of spectral norms (9d)", slopes.max(), norms.prod())
flat = pull(lambda y: torch.func.functional_call(steep, {f"{i}.weight": steep[i].weight / n for i, n in zip((0, 2, 4), norms, strict=True)}, y), places)  # fmt: skip
checks.at_most("with W / σ(W) none exceeds 1", flat.norm(dim=1).max(), 1.0)
print(f"steepest slope {slopes.max():.0f} before, bound {norms.prod():.0f}; {flat.norm(dim=1).max():.2f} after")

# %% [markdown]
# ## 12. Does the game come to an end?
#
# So far one network waited until the other was done, but in a training both take small steps, and it is not clear that they ever stop.
# The smallest game that shows the trouble is the *Dirac-GAN* of Mescheder, Geiger and Nowozin 2018.
# All data are at $y = 0$, the generator puts all of its points at $y = \theta$, and the discriminator's logit is a straight line through 0, $l(y) = \psi y$.
# The solution is $\theta = \psi = 0$: the points agree, and $D = \tfrac12$ everywhere.
#
# With the sigmoid function $\varsigma$ the value (6) is $V = \log \varsigma(0) + \log(1 - \varsigma(\psi\theta))$.
# The generator descends $V$ and the discriminator climbs it, and the discriminator may pay a penalty on the slope of its logit, $\tfrac\gamma2 \|\nabla_y l\|^2$, taken at the data (*R1*) or at the generated points (*R2*).
# Here the slope is $\psi$ everywhere, so both penalties are $\tfrac\gamma2 \psi^2$.
# In small steps the two follow
#
# $$\dot\theta = \varsigma(\psi\theta)\,\psi, \qquad \dot\psi = -\varsigma(\psi\theta)\,\theta - \gamma\,\psi. \tag{9e}$$

# %% [markdown]
# Near the solution $\varsigma$ is $\tfrac12$, and (9e) is linear.
# Its matrix and the eigenvalues, the roots of $\lambda^2 + \gamma\lambda + \tfrac14 = 0$, are
#
# $$J = \begin{pmatrix} 0 & \tfrac12 \\ -\tfrac12 & -\gamma \end{pmatrix}, \qquad \lambda = \frac{-\gamma \pm \sqrt{\gamma^2 - 1}}{2}. \tag{9f}$$
#
# A solution of (9e) near 0 is a sum of terms $e^{\lambda t}$ (at $\gamma = 1$, where roots meet, also $t e^{\lambda t}$).
# Without a penalty, $\lambda = \pm \tfrac{i}{2}$: the two turn round the solution and come no nearer.
# With $\gamma > 0$ every eigenvalue has a negative real part, so the two come nearer, for R1 and R2 alike: for $\gamma < 1$ they spiral inwards, and from $\gamma = 1$ on, where the root is real, they run in without turning.
#
# With steps of a finite size $h$ it matters who steps when.
# If both step at the same time, each step multiplies the distance by $|1 + h\lambda| = \sqrt{1 + h^2/4} > 1$, and without a penalty they drift outwards.
# If they step in turn, as in most trainings, $\psi' = \psi - \tfrac h2 \theta$ is followed by $\theta' = \theta + \tfrac h2 \psi'$; this map has the determinant 1 and the trace $2 - h^2/4$, so for $h < 4$ its eigenvalues are a complex pair of modulus 1, and the two keep circling.
# The cell builds the game from genlib's losses, and lets autograd differentiate the motion.


# %%
def motion(state, penalty="none", gamma=0.3):
    """(θ, ψ) → their velocities: G descends its loss, D descends its own."""
    theta, psi = state
    real, fake = torch.zeros(1, 1).requires_grad_(), theta.view(1, 1)
    loss_D = gan.discriminator_loss(psi * real, psi * fake, "minimax")
    if penalty != "none":
        where = real if penalty == "R1" else fake.detach().requires_grad_()
        loss_D = loss_D + gamma / 2 * gan.r1(psi * where, where)
    by_theta = torch.autograd.grad(gan.generator_loss(psi * fake, "minimax"), theta, create_graph=True)[0]
    by_psi = torch.autograd.grad(loss_D, psi, create_graph=True)[0]
    return -torch.stack([by_theta, by_psi])


# %%
theta, psi = torch.tensor([0.7, -0.4], requires_grad=True)
pushes = torch.sigmoid(psi * theta) * torch.stack([psi, -theta])
by_losses, velocities = motion((theta, psi), "R1"), pushes - 0.3 * torch.stack([torch.zeros(()), psi])
checks.identity("both velocities, from genlib's losses (9e)", by_losses, velocities, tol=1e-12)
for penalty, gamma in {"none": 0.0, "R1": 0.3, "R2": 0.3}.items():
    J = torch.autograd.functional.jacobian(lambda state, name=penalty: motion(state, name), torch.zeros(2))
    found = torch.view_as_real(torch.linalg.eigvals(J))  # real and imaginary part
    by_formula = torch.tensor([[-gamma / 2, sign * math.sqrt(1 - gamma**2) / 2] for sign in (1, -1)])
    found = found[found[:, 1].argsort(descending=True)]
    checks.identity(f"eigenvalues (9f), penalty {penalty}", found, by_formula, tol=1e-9)


# %%
def step(state, how="none", h=0.1):
    """Where one step leads. Both move at the same time; "in turn" moves ψ first, and then θ against the new ψ."""
    penalty = how if how in ("R1", "R2") else "none"
    movers = [[0.0, 1.0], [1.0, 0.0]] if how == "in turn" else [[1.0, 1.0]]
    for who in movers:
        state = state + h * torch.tensor(who) * motion(state, penalty)
    return torch.cat([state[:1], state[1:].clamp(-1, 1)]) if how == "cap" else state


for how, modulus in {"none": math.sqrt(1 + 0.1**2 / 4), "in turn": 1.0}.items():
    J = torch.autograd.functional.jacobian(lambda state, how=how: step(state, how), torch.zeros(2))
    said = {"none": "at the same time", "in turn": "in turn"}[how]
    checks.identity(
        f"a step {said}: |eigenvalues|", torch.linalg.eigvals(J).abs(), torch.full((2,), modulus), tol=1e-9
    )

# %% [markdown]
# We follow the game in steps of 0.1 from $(\theta, \psi) = (0.5, 0.5)$.
# Beside the penalties we try a *cap* on the slope, which brings $\psi$ back into $[-1, 1]$ after each step.


# %%
def distances(how, steps=600):
    """The distance from the solution at each step."""
    state, path = torch.tensor([0.5, 0.5]), []
    for _ in range(steps):
        path.append(state.norm())
        state = step(state.requires_grad_(), how).detach()
    return torch.stack(path).detach()


# %%
paths = {name: distances(name) for name in ("none", "in turn", "R1", "R2", "cap")}
pushed_on = motion(torch.tensor([0.0, 1.0], requires_grad=True))[0]
checks.identity("a D of slope 1 pushes at the solution", pushed_on, 0.5, tol=1e-9)
checks.identity("R2 moves as R1 does", paths["R2"], paths["R1"], tol=1e-9)
rate = (paths["R1"][-1] / paths["R1"][99]).log() / 50  # over 50 units of time
checks.identity("R1 comes nearer at the rate γ/2", rate, -0.15, tol=0.01)
growth = (paths["none"][40] / paths["none"][0]) ** (1 / 40)
checks.at_most("without a penalty the steps lead outwards", 1.0, growth)

# %%
print("distance in the end: " + ", ".join(f"{name} {path[-1]:.4f}" for name, path in paths.items()))
print(f"with the cap it is at most {paths['cap'].max():.2f} at any time")
plots.figure(
    plots.lines(
        torch.arange(600) / 10,
        {
            "no penalty": paths["none"],
            "in turn": paths["in turn"],
            "R1": paths["R1"],
            "slope at most 1": paths["cap"],
        },
        xlabel="time",
        ylabel="distance from the solution",
        yscale="log",
        aspect=2.2,
    ),
    alt="Distance from the solution against time on a logarithmic axis. Without a penalty it grows slowly, but stays where it was if the two step in turn; with a slope of at most 1 it grows at first and then stays near 1; with R1 it falls steadily, in small waves.",
)

# %% [markdown]
# With the cap the distance stays below 1.08, and a penalty ends the motion.
#
# <details><summary><b>Question.</b> Why did we cap the slope here, and not normalise it as in section 11?</summary>
#
# The only weight of this $D$ is $\psi$, with the spectral norm $|\psi|$, so the normalised logit $y\,\psi/|\psi|$ has the slope 1 or −1 and nothing else.
# It is never flat, not even at the solution, where it goes on pushing the generator with strength $\tfrac12$.
# A cap changes nothing where $|\psi| < 1$, so the eigenvalues at the solution are those without a penalty, $\pm \tfrac{i}{2}$.
# </details>

# %% [markdown]
# ## 13. Play
#
# Move and scale the generator's density against the data's.
# Where does $D$ become sure, and what do the three losses then say to a generated point?

# %%
widgets.LearnedLossExplorer()

# %% [markdown]
# <details><summary><b>Question.</b> Move the generator far away from the data. The divergence approaches log 2 and stays there. What does that mean for the gradient of E[log(1 − D)]?</summary>
#
# By (9a) it is the slope of the divergence, and a divergence that no longer changes has none: where $D$ is sure, $\log(1 - D)$ is flat at the generated points.
# The next lecture changes the generator's loss for this reason.
# </details>

# %% [markdown]
# ## 14. What remains
#
# We have a loss that is learned from the data, but it judges a picture *by itself*.
# Suppose that we want the photo that belongs to a map $x$.
# A $D$ that sees only photos is content with any real one: its best logit is $\log p(y) - \log p_G(y)$, in which the map does not occur.

# %% [markdown]
# ## What the notes said, and what holds
#
# - The generator without a condition was written $G(x)$. It takes noise, $G(z)$; $x$ enters with the condition (section 6; row [22](08_the_notes_corrected.ipynb#Row-22)).
# - $D$ is a loss "because it changes". It is a loss because $G$ descends it; that it changes makes it *learned*, and lets it follow (section 9; row [23](08_the_notes_corrected.ipynb#Row-23)).
# - Samples lack detail because the reconstruction loss is too kind. The pixel loss blurs *reconstructions*; *samples* are odd because the prior draws codes that the encoder hardly uses (section 5; row [24](08_the_notes_corrected.ipynb#Row-24)).
# - $\int p_\theta(x \mid z)\,p(z)\,dz$ was called intractable. With networks it is; with a linear decoder it has a closed form (section 4; row [6](08_the_notes_corrected.ipynb#Row-6)).
# - $\min_G \max_D E[\log D(G(x)) + \log(1 - D(y))]$ takes $D$ for the probability of *fake*. In (6) it is that of *real* (section 6; row [1](08_the_notes_corrected.ipynb#Row-1)).
# - GANs were said to give "lower bounds" on the likelihood. (7) is a *ratio* of two densities, and neither of them; a lower bound is what the VAE gives, (3) (row [13](08_the_notes_corrected.ipynb#Row-13)).

# %% [markdown]
# ## Where to read on
#
# - Goodfellow et al. 2014, *Generative Adversarial Nets*: proposition 1 and theorem 1 are (7) and (8).
# - Kingma and Welling 2014, *Auto-Encoding Variational Bayes*: the bound (3), and its gradient from one draw, (4a).
# - Hoffman and Johnson 2016, *ELBO Surgery*: the codes that a VAE uses, and those that its prior draws, (5b).
# - Hinton and Salakhutdinov 2006, *Reducing the Dimensionality of Data with Neural Networks*: deep autoencoders.
# - Heusel et al. 2017, *GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium*: the Fréchet distance; Kynkäänniemi et al. 2019, *Improved Precision and Recall Metric for Assessing Generative Models*; Naeem et al. 2020, *Reliable Fidelity and Diversity Metrics for Generative Models*: coverage.
# - Arjovsky and Bottou 2017, *Towards Principled Methods for Training Generative Adversarial Networks*: what does not overlap, and the left side of (9b); Shannon et al. 2020, *Non-saturating GAN Training as Divergence Minimization*: its right side.
# - Arjovsky, Chintala and Bottou 2017, *Wasserstein GAN*; Gulrajani et al. 2017, *Improved Training of Wasserstein GANs*; Miyato et al. 2018, *Spectral Normalization for Generative Adversarial Networks*.
# - Mescheder, Geiger and Nowozin 2018, *Which Training Methods for GANs do actually Converge?*: section 12.
# - Isola et al. 2017, *Image-to-Image Translation with Conditional Adversarial Networks*: section 1, on losses that are hand-written and losses that are learned.
# - Mathieu, Couprie and LeCun 2016, *Deep Multi-Scale Video Prediction beyond Mean Square Error*: blur, from many right answers.
#
# How must $G$ and $D$ change to answer a question, such as a map?
# The next lecture asks that: [Conditional GANs](02_conditional_gans.ipynb).
