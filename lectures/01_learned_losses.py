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
# # Learned losses
#
# *A network does what its loss asks for. Who asks the loss?*
#
# **You will learn**
#
# - what squared and absolute error call a good answer, and why it may be one that never occurs;
# - what an autoencoder and a VAE lose, in reconstructions and in samples, and why these are two different things;
# - the variational bound of a VAE, and how far it is from the truth;
# - what the best discriminator is, and which divergence it measures;
# - how a loss that is learned follows what is wrong *now*.
#
# **It takes** 25 minutes.
# **You need** expectations, the Gaussian density and gradients; [Start here](00_start_here.ipynb) has the notation.

# %% slideshow={"slide_type": "skip"}
import math

import torch
from gencourse import checks, plots, widgets
from torch.distributions import MultivariateNormal, Normal, kl_divergence
from torch.nn.functional import softplus

from genlib import data, metrics, train
from genlib.autoencoder import ELBO, VAE, Autoencoder, Reconstruction

g = torch.Generator().manual_seed(0)
torch.set_default_dtype(torch.float64)  # identities are shown in double precision

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. A loss says what is good
#
# A network is to answer a question that has *several* right answers: colour a grey photo, draw the street that belongs to a map, write a three.
# It may give one answer $a$; the right one, $y$, is drawn from a density $p(y)$.
# We train with squared error.
# Which $a$ does it ask for?
#
# Write $\mu = E[y]$ for the mean, and expand $(y - a)^2 = \big((y - \mu) + (\mu - a)\big)^2$.
# The mixed term has expectation zero, because $E[y - \mu] = 0$:
#
# $$E\big[(y - a)^2\big] = \operatorname{Var}[y] + (a - \mu)^2. \tag{1}$$
#
# The variance does not depend on us, so the best answer is the *mean*.
# We check (1) on a density with two equal modes.

# %%
two = data.GaussianMixture(means=[[-1.0], [1.0]], covs=[[[0.01]], [[0.01]]])
y = torch.linspace(-2, 2, 40_001)
density = two.log_prob(y[:, None]).exp()


def expected(values):
    """E[values] under the mixture, by quadrature."""
    return torch.trapezoid(values * density, y)


a = torch.linspace(-1.6, 1.6, 65)
squared = torch.stack([expected((y - b) ** 2) for b in a])
mean, variance = expected(y), expected(y**2) - expected(y) ** 2
checks.identity(
    "squared error = variance + distance to the mean (1)", squared, variance + (a - mean) ** 2, tol=1e-9
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# And absolute error, what does it ask for?
# Move $a$ a little to the right.
# Its distance grows to every $y$ on its left, and shrinks to every $y$ on its right.
# With $F(a) = P(y \le a)$, the derivative is therefore
#
# $$\frac{d}{da}\,E\big[|y - a|\big] = P(y < a) - P(y > a) = 2 F(a) - 1, \tag{2}$$
#
# and it is zero where half of the probability lies on each side: at a *median*.

# %%
half = (Normal(-1.0, 0.1).cdf(a) + Normal(1.0, 0.1).cdf(a)) / 2  # F
leaf = a.clone().requires_grad_()
(slope,) = torch.autograd.grad(torch.stack([expected((y - b).abs()) for b in leaf]).sum(), leaf)
checks.identity("slope of the absolute error (2)", slope, 2 * half - 1, tol=1e-3)
ends = torch.stack([expected((y - b).abs()) for b in (-0.5, 0.5)])
checks.identity("anything between the modes is nearly a median", ends, expected(y.abs()).expand(2), tol=1e-6)

# %%
absolute = torch.stack([expected((y - b).abs()) for b in a])
at_zero, at_mode = two.log_prob(torch.tensor([[0.0], [1.0]])).exp().tolist()
print(f"density at the mean and median: {at_zero:.1e}; at a mode: {at_mode:.2f}")
plots.figure(
    plots.lines(y, {"p(y)": density}, fill=True, marks={"mean, median": 0.0}, xlabel="y", ylim=(0, 2.6), title="What occurs"),
    plots.lines(a, {"squared error": squared, "absolute error": absolute}, xlabel="answer a", title="What is asked for", ylim=(0, 3)),
    alt="Left: a density with two narrow peaks at -1 and 1, and nothing at 0. Right: squared error is least at 0; absolute error is flat between the peaks.",
)  # fmt: skip

# %% [markdown] slideshow={"slide_type": "subslide"}
# Both losses are content with an answer that hardly ever occurs.
# The network is not to blame: it found what it was asked for.
# *The loss asked for the wrong thing.*
#
# <details><summary><b>Question.</b> Give the left mode the weight 0.6. What do the two losses ask for now?</summary>
#
# The mean moves to −0.2, where again nothing is.
# The median jumps into the left mode, to about −0.9: a possible answer.
# But it is always the same one, and the right mode, which holds 40 % of all answers, is never given.
# </details>
#
# <details><summary><b>Question.</b> Maximum likelihood with p(y) = N(a, σ²) and a fixed σ: is that better?</summary>
#
# It is squared error again: $-\log N(y; a, \sigma^2) = (y - a)^2 / 2\sigma^2 + \text{const}$.
# To be better, the model would need a density that can have two modes.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. The average three
#
# Where a picture is asked for, there are nearly always many right answers.
# "Draw a three" has as many as there are hands.
# A loss on pixels works in each pixel by itself, so its best answers are the mean and the median *of every pixel*.

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
    alt="Ten real digits; below, the mean digit of each class, soft; below, the median digit, harder, but with thin and broken strokes.",
)

# %% [markdown]
# Softness can be measured.
# The *spectrum* is the mean power of the pictures' Fourier transform, in rings of equal spatial frequency.
# *Detail* is the power in the upper half of the rings, over that of real pictures.

# %%
for name, pictures in {"mean": means, "median": medians, "held-out": held_out}.items():
    print(f"detail, {name:9} {metrics.detail(pictures, real):.2f}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. Through a narrow place
#
# An *autoencoder* sends a picture through a code $z = e(x)$ with few entries, and back, $\hat x = d(z)$.
# It is trained on $\|x - \hat x\|^2$.
# Here the question "which picture was it?" has a single right answer, and yet the code is too short to hold all of it.
# Whatever the code does not say, the decoder must guess; and by (1), in each pixel, its best guess is the mean.

# %% tags=["nbval-ignore-output"]
torch.set_default_dtype(torch.float32)
pixels, held = real.flatten(1).float(), held_out.flatten(1).float()
torch.manual_seed(0)
autoencoder = Autoencoder(dim=64, latent=8, width=96)
history = train.fit(Reconstruction(autoencoder), pixels, steps=1200, seed=0)
error = (held - autoencoder.reconstruct(held)).square().mean() / (held - pixels.mean(0)).square().mean()
print(f"trained in {history.seconds:.0f} s; {error:.0%} of the held-out digits' variance is lost")

# %% [markdown] slideshow={"slide_type": "subslide"}
# A decoder looks like a machine that makes pictures: give it a code, get a digit.
# But which code?
# An autoencoder says nothing about that.
# So it needs a second ingredient: a density of codes that we can draw from.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. The variational autoencoder
#
# Now the decoder becomes a model of the data.
# We *choose* the density of the codes, $p(z) = N(0, I)$, and let the decoder add a little noise: $p(x \mid z) = N(d(z), \sigma^2 I)$.
# We would maximise $\log p(x) = \log \int p(x \mid z)\,p(z)\,dz$, but for a network no formula for the integral is known.
#
# Take any density $q(z)$, and write $p(x) = p(x, z) / p(z \mid x)$.
# This holds for every $z$, so it may be averaged over $q$; then multiply and divide by $q$:
#
# $$\log p(x) = \underbrace{E_q\!\left[\log \frac{p(x, z)}{q(z)}\right]}_{\text{ELBO}} + \underbrace{E_q\!\left[\log \frac{q(z)}{p(z \mid x)}\right]}_{\operatorname{KL}(q \,\|\, p(z \mid x))\ \ge\ 0}. \tag{3}$$
#
# The second part is the *Kullback–Leibler divergence*.
# Why is it at least 0?
# For every $u > 0$, $\log u \le u - 1$, with equality at $u = 1$ alone; with $u = p(z \mid x)/q(z)$, the mean over $q$ of $\log u$ is at most $\int p(z \mid x)\,dz - 1 = 0$.
# The divergence is minus that mean, so it is at least 0, and it is 0 only if $q$ and $p(z \mid x)$ are the same density.
#
# The first part is therefore a *lower bound* of $\log p(x)$, and we can compute it.
# An encoder network gives a $q$ for each $x$, with a mean $m$ and a log-deviation $s$ for each entry of the code: $q(z \mid x) = N\big(m(x), \operatorname{diag}(\exp s(x))^2\big)$.
# In the code, $s$ is `log_s`.

# %% [markdown] slideshow={"slide_type": "subslide"}
# Insert $p(x, z) = p(x \mid z)\,p(z)$, and the bound becomes a reconstruction and a penalty:
#
# $$\text{ELBO}(x) = E_q[\log p(x \mid z)] - \operatorname{KL}\big(q(z \mid x)\,\|\,p(z)\big). \tag{4}$$
#
# If both networks are *linear*, every term has a closed form, and so has the truth: $p(x) = N(b,\ W W^\top + \sigma^2 I)$.
# Then we can look at the gap in (3).

# %%
torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
linear, sigma = VAE(dim=6, latent=2, width=0, std=0.5), 0.5
W, b, x = linear.decoder[0].weight, linear.decoder[0].bias, torch.randn(50, 6, generator=g)
log_p = MultivariateNormal(b, W @ W.T + sigma**2 * torch.eye(6)).log_prob(x)
precision = torch.eye(2) + W.T @ W / sigma**2
posterior = MultivariateNormal((x - b) @ W @ torch.linalg.inv(precision) / sigma**2, precision_matrix=precision)

# %%
m, log_s = linear.encode(x)
q = MultivariateNormal(m, torch.diag_embed((2 * log_s).exp()))
spread = ((2 * log_s).exp() * W.square().sum(0)).sum(1)  # of d(z): E‖x − d(z)‖² = ‖x − d(m)‖² + spread
elbo = linear.log_likelihood(x, m) - spread / (2 * sigma**2) - linear.kl(x)  # (4)
checks.identity("log p(x) − ELBO = KL(q ‖ posterior) (3)", log_p - elbo, kl_divergence(q, posterior), tol=1e-9)
checks.at_most("ELBO ≤ log p(x)", elbo, log_p)
draws = linear.elbo(x[:1].expand(200_000, -1), generator=g).mean()
checks.identity("one draw of z is right on average (4)", draws, elbo[0], tol=0.1)

# %% [markdown]
# The penalty in (4) compares two Gaussians, one coordinate at a time.
# There, $\log q - \log p$ at $z$ is $-s - (z - m)^2/2e^{2s} + z^2/2$, and under $q$ the two squares have the means $e^{2s}$ and $m^2 + e^{2s}$:
#
# $$\operatorname{KL}\big(q(z \mid x)\,\|\,N(0, I)\big) = \tfrac12 \sum_i \left(m_i^2 + e^{2 s_i} - 1 - 2 s_i\right). \tag{5}$$

# %%
torchs = kl_divergence(Normal(m, log_s.exp()), Normal(0.0, 1.0)).sum(1)
checks.identity("KL of two Gaussians (5)", linear.kl(x), torchs, tol=1e-12)

# %% tags=["nbval-ignore-output"] slideshow={"slide_type": "subslide"}
torch.set_default_dtype(torch.float32)
torch.manual_seed(0)
vae = VAE(dim=64, latent=8, width=96, std=0.3)
history = train.fit(ELBO(vae), pixels, steps=1200, seed=0)
error = (held - vae.reconstruct(held)).square().mean() / (held - pixels.mean(0)).square().mean()
print(f"trained in {history.seconds:.0f} s; {error:.0%} of the held-out digits' variance is lost")
print(
    f"ELBO: {vae.elbo(held, n_draws=16, generator=g).mean():.1f} nats a digit, "
    f"of which −KL is {-vae.kl(held).mean():.1f}"
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. Reconstructions and samples, told apart
#
# Two things are wrong with what these networks make, and they have different causes.
# So we look at two rows for each: *reconstructions*, digits that went through the code and back, and *samples*, made from drawn codes.
# (For the autoencoder, AE, we fit a Gaussian to its codes afterwards.)
# Between them stands a control: codes that the VAE's encoder draws for held-out digits.
# How far a set of pictures is from real digits is measured by the *Fréchet distance*: each set goes through a classifier of real digits, its features get a mean and a covariance, and the two Gaussians are compared.
# We give it in multiples of what held-out digits have.
# *Right digit* is the share in which the same classifier still sees the digit that went in.

# %%
with torch.no_grad():
    codes = autoencoder.encode(pixels)
    fitted = MultivariateNormal(codes.mean(0), codes.T.cov())
    normal = torch.randn(297, 8, generator=g)
    m, log_s = vae.encode(held)
    made = {
        "real": held,
        "AE: reconstructed": autoencoder.reconstruct(held),
        "VAE: reconstructed": vae.reconstruct(held),
        "VAE: encoder's codes": vae.decode(m + log_s.exp() * normal),
        "VAE: prior's codes": vae.decode(normal),
        "AE: fitted codes": autoencoder.decode(fitted.loc + normal @ fitted.scale_tril.T),
    }
made = {name: pictures.view(-1, 1, 8, 8) for name, pictures in made.items()}

# %%
plots.image_rows(
    **{name: pictures[:12] for name, pictures in made.items()},
    alt="Twelve real digits; softer reconstructions by the autoencoder and the VAE; the same from codes that the encoder draws; then samples from the prior, "
    "many of which are no digit at all, for the VAE and for the autoencoder.",
)

# %% tags=["nbval-ignore-output"] slideshow={"slide_type": "subslide"}
digit = data.digits("test").label
print(f"{'':26}detail   Fréchet distance, × held-out   right digit")
for name, pictures in made.items():
    detail, report = metrics.detail(pictures, made["real"]), metrics.digits_report(pictures, digit)
    of_a_digit = name not in ("VAE: prior's codes", "AE: fitted codes")  # a drawn code belongs to no digit
    right = f"{report.label_accuracy:.0%}" if of_a_digit else "–"
    print(f"{name:26}{detail:6.2f}   × {report.frechet_multiple:<26.1f}{right:>14}")

# %% [markdown]
# - **Reconstructions are blurred.** About a fifth of the detail is gone: what the code does not hold is averaged, as the pixel loss asks for. But nearly all of them are still the right digit: in about 95 % the classifier sees what the original was.
# - **Samples are odd.** The decoder is the same, only the codes differ. With codes that the encoder draws, little gets worse. With codes of the prior, the Fréchet distance is several times larger, and more detail is gone.
# - **Odd is not blurred.** The autoencoder's samples have more detail than its reconstructions, or as much, and yet many of them are no digits.
#
# So the loss on pixels explains the reconstructions.
# The samples have a second fault: the prior draws codes that the encoder never used, and there the decoder was never trained.

# %%
with torch.no_grad():
    used = vae.encode(pixels)[0]
    used = used + vae.encode(pixels)[1].exp() * torch.randn(used.shape, generator=g)
    nearest = {
        "held-out digits": torch.cdist(m + log_s.exp() * normal, used).amin(1),
        "prior": torch.cdist(normal, used).amin(1),
    }
rings = {name: metrics.spectrum(pictures) for name, pictures in made.items() if "encoder" not in name}
plots.figure(
    plots.histogram(nearest, bins=30, span=(0, 4), xlabel="distance to the nearest training code", title="Codes"),
    plots.lines(
        torch.arange(4), rings, yscale="log", xlabel="frequency (ring)", title="Mean power", xticks=range(4)
    ),
    alt="Left: codes of the prior lie farther from the training codes than codes of held-out digits. "
    "Right: power against frequency; reconstructions lack power in the outer rings.",
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# Could we mend the loss by hand?
# Weigh the outer rings more, add a term for edges, one for strokes that end?
# Each such term is a new guess of what a good picture is, and a network will find what we forgot to say.
#
# There is somebody who can tell a real picture from a bad one without our list of reasons: a *classifier*, trained on both.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. So learn the loss
#
# A *generator* $G$ turns noise into a point, $G(z)$ with $z \sim N(0, I)$.
# There is no input yet, only noise; a condition $x$ will come in with the next lecture.
# Its points have a density, $p_G$; without noise they would all be the same point.
# For $G(z) = 0.3 + 0.6\,z$ we know it: $p_G = N(0.3,\ 0.6^2)$.

# %%
p = data.GaussianMixture([[-1.0], [1.0]], [[[0.04]], [[0.04]]])  # the data
p_gen = data.GaussianMixture([[0.3]], [[[0.36]]])
z = torch.randn(100, 1, generator=g).double()
known = Normal(0.0, 1.0).log_prob(z)[:, 0] - math.log(0.6)  # an interval of z becomes 0.6 times as long
checks.identity("G(z) has the density p_G", p_gen.log_prob(0.3 + 0.6 * z), known, tol=1e-12)

# %% [markdown] slideshow={"slide_type": "subslide"}
# A *discriminator* $D$ is given a point, and says with which probability it is real, and not *fake*, which means generated.
# As a classifier it is trained by cross-entropy, on as many real as generated points, so it maximises the mean log-probability of what is true:
#
# $$V(D) = E_{y \sim p}[\log D(y)] + E_{y \sim p_G}[\log(1 - D(y))]. \tag{6}$$
#
# The generator descends what $D$ makes of its points.
# *That* makes $D$ a loss.
# That $D$ is trained as well makes it a *learned* one.

# %% [markdown] slideshow={"slide_type": "subslide"}
# Which $D$ is the best?
# Both expectations are integrals over the same $y$, so (6) is $\int \big[p(y) \log D(y) + p_G(y) \log(1 - D(y))\big]\,dy$.
# $D$ is free at every point, so we maximise the bracket at each point by itself.
# With $u = p(y)$ and $v = p_G(y)$ the derivative of $u \log D + v \log(1 - D)$ is $u/D - v/(1 - D)$.
# The function is concave, and the derivative is zero at $D = u/(u + v)$:
#
# $$D^*(y) = \frac{p(y)}{p(y) + p_G(y)}, \qquad \operatorname{logit} D^*(y) = \log p(y) - \log p_G(y). \tag{7}$$
#
# Networks give the logit, and that is the *log-ratio of the two densities*.

# %%
y = torch.linspace(-7, 7, 14_001).double()[:, None]
u, v, logit = p.log_prob(y).exp(), p_gen.log_prob(y).exp(), p.optimal_discriminator(y, p_gen)
checks.identity("the best discriminator (7)", torch.sigmoid(logit), u / (u + v), tol=1e-12)


def value_of(logit, v=v):
    """The value (6), by quadrature: log D = −softplus(−logit), log(1 − D) = −softplus(logit). v is p_G(y)."""
    return torch.trapezoid(-u * softplus(-logit) - v * softplus(logit), y[:, 0])


others = torch.stack([value_of(logit + 0.5 * torch.randn(len(y), generator=g).double()) for _ in range(20)])
checks.at_most("no other D has a larger value (7)", others, value_of(logit).expand(20))

# %% [markdown] slideshow={"slide_type": "subslide"}
# How large is its value?
# Insert (7), and let $m = (p + p_G)/2$ be the mixture of both, so that $D^* = p / 2m$:
#
# $$V(D^*) = E_p\!\left[\log \frac{p}{2m}\right] + E_{p_G}\!\left[\log \frac{p_G}{2m}\right] = \underbrace{\operatorname{KL}(p\,\|\,m) + \operatorname{KL}(p_G\,\|\,m)}_{2\,\mathrm{JS}(p,\, p_G)} - 2 \log 2. \tag{8}$$
#
# JS is the *Jensen–Shannon divergence*.
# It is 0 if both divergences are, that is, if $p = m = p_G$, and only then.
# And it is at most $\log 2$: since $p \le 2m$, no logarithm of $p/m$ exceeds $\log 2$.
# So a generator that plays against the best $D$ descends a divergence from the data, and nobody had to write it down.

# %%
middle = (u + v) / 2
kl_p = torch.trapezoid(u * (u / middle).clamp(min=1e-300).log(), y[:, 0])
kl_gen = torch.trapezoid(v * (v / middle).clamp(min=1e-300).log(), y[:, 0])
checks.identity("the value is a divergence (8)", value_of(logit), kl_p + kl_gen - 2 * math.log(2), tol=1e-9)
checks.identity(
    "and so says the library", value_of(logit), 2 * p.jensen_shannon(p_gen) - 2 * math.log(2), tol=1e-7
)
equal = value_of(p.optimal_discriminator(y, p), v=u)  # p_G = p, so that D* = 1/2
checks.identity("equal densities: V = −2 log 2", equal, -2 * math.log(2), tol=1e-9)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. A small network finds it
#
# Nobody tells a network the two densities.
# It sees samples, and minimises cross-entropy, which is $-V$.


# %%
class TellApart(torch.nn.Module):
    """A discriminator of real and generated points: an objective for `train.fit`."""

    def __init__(self, dim, width=64):
        super().__init__()
        layers = [torch.nn.Linear(dim, width), torch.nn.SiLU(), torch.nn.Linear(width, width), torch.nn.SiLU()]
        self.D = torch.nn.Sequential(*layers, torch.nn.Linear(width, 1))

    def optimizers(self):
        return {"D": torch.optim.Adam(self.D.parameters(), lr=5e-3)}

    def losses(self, batch, generator):
        real, generated = (self.D(points) for points in batch)  # logits
        yield "D", softplus(-real).mean() + softplus(generated).mean(), {}


# %%
def trained(p, p_gen, steps=600):
    """A discriminator of two mixtures that has seen 20,000 points of each."""
    torch.manual_seed(0)
    objective, points = TellApart(p.dim), (p.sample(20_000, g), p_gen.sample(20_000, g))
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
    alt="The two densities; the best and the trained D, which agree where there are points; their logits, which part where there are none.",
)  # fmt: skip

# %% [markdown]
# <details><summary><b>Question.</b> Far outside, the trained logit and the log-ratio part. Why does it hardly cost the network anything?</summary>
#
# The value (6) is an expectation over real and generated points, and there are none.
# For the same reason the generator is safe: $D$ is asked only where the generator puts its points, and there it has been trained.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. What it tells a generated point
#
# A generator learns from the *gradient* of its loss at the points it makes.
# For squared error against random data the descent direction is $2(\mu - y)$, towards the mean, by (1).
# For the best discriminator, the gradient of (7) is the direction in which a point looks more real:
#
# $$\nabla_y \operatorname{logit} D^*(y) = \nabla_y \log p(y) - \nabla_y \log p_G(y). \tag{9}$$
#
# Towards more real points, and away from where the generator already crowds.

# %%
spread = [[0.25, 0.0], [0.0, 0.25]]
modes = data.GaussianMixture([[-0.8, 0.0], [0.8, 0.0]], [spread, spread])
both = data.GaussianMixture([[0.0, 0.0]], [spread])
at = torch.cartesian_prod(torch.linspace(-1.6, 1.6, 9), torch.linspace(-1.2, 1.2, 7))


def pull(D, at):
    """The gradient of logits at points."""
    leaf = at.clone().requires_grad_()
    return torch.autograd.grad(D(leaf).sum(), leaf)[0]


exact = pull(lambda y: modes.optimal_discriminator(y, both), at.double())
checks.identity(
    "gradient of the best logit (9)", exact, modes.score(at.double()) - both.score(at.double()), tol=1e-9
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# Two moments that a training may come to.
# In the upper row the generator covers the middle between two modes.
# Squared error sends every point to the middle, although *on average* the points are right already: it asks each of them to be the mean.
# The discriminator sends them outwards, to both modes.
#
# In the lower row the generator sits on the right mode alone, and a $D$ has been trained against that.
# Now something else is wrong, and $D$ says something else: the points on the left flank belong further left.
# Squared error says what it always said.

# %%
one_mode = data.GaussianMixture([[0.8, 0.0]], [spread])
panels = []
for where, p_gen_now in {"in the middle": both, "on one mode": one_mode}.items():
    D, _ = trained(modes, p_gen_now, steps=300)
    clouds = {"real": modes.sample(300, g), "generated": p_gen_now.sample(300, g)}
    fields = {
        "squared error": -2 * at,  # the mean of the data is 0
        "best D": pull(lambda y, now=p_gen_now: modes.optimal_discriminator(y, now), at),
        "trained D": pull(D, at),
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
    "Best and trained discriminator point outwards, to both modes, in the upper row; and to the left, to the mode that is missing, in the lower one.",
)

# %% [markdown]
# <details><summary><b>Question.</b> In the lower row the arrows of the best D are nearly zero on the right. Is that good news?</summary>
#
# In part.
# Those points are good ones, and there is no reason to move them.
# But half of the real points lie elsewhere, and only the left flank of the generator is told so.
# If the modes were far apart, nobody would be: the log-ratio on the right mode is flat, at $\log \tfrac12$.
# A generator that has settled on one mode gets hardly any help to leave it; this is called *mode collapse*.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 9. A loss that follows
#
# Must $D$ be trained again and again?
# Would it not do to train it once, well, and then descend?
#
# Let data and generator be Gaussians of variance 1, $p = N(1, 1)$ and $y = \mu + z$, starting at $\mu = -1$.
# The best $D$ is known at any time, so we can compare a $D$ that is frozen at the start with one that is always up to date.
# Both generators descend $E[\log(1 - D(y))]$.

# %%
torch.set_default_dtype(torch.float64)
normal = data.GaussianMixture([[0.0]], [[[1.0]]])
z = Normal(0.0, 1.0).icdf((torch.arange(256) + 0.5) / 256)[:, None]  # a sample without chance


def descend(follow, steps=80):
    """The generator's mean at each step; D is renewed at each of them, or never."""
    mu, seen, path = torch.tensor(-1.0, requires_grad=True), torch.tensor(-1.0), []
    for _ in range(steps):
        path.append(mu.item())
        seen = mu.detach() if follow else seen
        y = mu + z
        logit = normal.log_prob(y - 1) - normal.log_prob(y - seen)  # (7): the data's mean is 1
        (slope,) = torch.autograd.grad(-softplus(logit).mean(), mu)  # of E log(1 − D)
        mu = (mu - 0.2 * slope).detach().requires_grad_()
    return torch.tensor(path)


# %%
followed, frozen = descend(True), descend(False)
checks.identity("with a D that follows it ends at the data", followed[-1], 1.0, tol=0.01)
checks.at_most("with a frozen D it ends far beyond", 10.0, frozen[-1])
plots.figure(
    plots.lines(torch.arange(80), {"D follows": followed, "D frozen": frozen, "data": torch.ones(80)},
                xlabel="step", ylabel="generator's mean", ylim=(-1.5, 6), aspect=2.2),
    alt="The generator's mean against the step. With a D that follows it comes to rest at 1, the mean of the data; with a frozen D it passes 1 and goes on.",
)  # fmt: skip

# %% [markdown]
# A frozen $D$ is a loss, and the generator descends it; but it is a loss like any other, with faults that are found and exploited.
# It knows that points further right look more real than those at $-1$.
# It was never asked what lies beyond the data.
# Only because $D$ is trained on what the generator makes *now* does it come to rest, where the two cannot be told apart.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 10. Play
#
# Move and scale the generator's density against the data's.
# Where does $D$ become sure?
# What do the three losses then say to a generated point?
# (*Minimax* is descent on $\log(1 - D)$, as above; *non-saturating* is what the next lecture puts in its place.)

# %%
widgets.LearnedLossExplorer()

# %% [markdown]
# <details><summary><b>Question.</b> Move the generator far away from the data. The divergence comes to rest near log 2. What does that mean for the gradient of E[log(1 − D)]?</summary>
#
# A divergence that no longer changes has no slope: where $D$ is sure, $\log(1 - D)$ is flat at the generated points.
# The next lecture changes the generator's loss for this reason.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 11. What remains
#
# We have a loss that is learned from the data, and that follows what is wrong.
# But it judges a picture *by itself*.
# Suppose that we want the photo that belongs to a map.
# A $D$ that sees only photos is content with any real one: its best logit is $\log p(y) - \log p_G(y)$, and no $x$ is in it.
# The picture should not only be a good one, but the right one.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What the notes said, and what holds
#
# - The generator without a condition was written $G(x)$. It takes noise, $G(z)$; $x$ enters with the condition (section 6; row [22](06_the_notes_corrected.ipynb#Row-22)).
# - $D$ is a loss "because it changes". It is a loss because $G$ descends it, even if it is frozen; that it changes makes it *learned*, and lets it follow (section 9; row [23](06_the_notes_corrected.ipynb#Row-23)).
# - Samples lack detail because the reconstruction loss is too kind. Those are two things: the pixel loss blurs *reconstructions*; *samples* are odd because the prior draws codes that the encoder never used (section 5; row [24](06_the_notes_corrected.ipynb#Row-24)).
# - $\int p_\theta(x \mid z)\,p(z)\,dz$ was called intractable. With networks it is; with a linear decoder it has a closed form (section 4; row [6](06_the_notes_corrected.ipynb#Row-6)).
# - $\min_G \max_D E[\log D(G(x)) + \log(1 - D(y))]$ takes $D$ for the probability of *fake*. In (6) it is that of *real* (section 6; row [1](06_the_notes_corrected.ipynb#Row-1)).
# - GANs were said to give "lower bounds" on the likelihood. (7) is a *ratio* of two densities, and neither of them; a lower bound is what the VAE gives, (3) (row [13](06_the_notes_corrected.ipynb#Row-13)).

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Where to read on
#
# - Goodfellow et al. 2014, *Generative Adversarial Nets*: proposition 1 and theorem 1 are (7) and (8).
# - Kingma and Welling 2014, *Auto-Encoding Variational Bayes*: the bound (3), and its gradient from one draw.
# - Hinton and Salakhutdinov 2006, *Reducing the Dimensionality of Data with Neural Networks*: deep autoencoders.
# - Isola et al. 2017, *Image-to-Image Translation with Conditional Adversarial Networks*: section 1, on losses that are hand-written and losses that are learned.
# - Mathieu, Couprie and LeCun 2016, *Deep Multi-Scale Video Prediction beyond Mean Square Error*: blur, from many right answers.
# - Hoffman and Johnson 2016, *ELBO Surgery*: the codes that a VAE uses, and those that its prior draws.
#
# How must $G$ and $D$ change to answer a question, such as a map?
# The next lecture asks that: [Conditional GANs](02_conditional_gans.ipynb).
