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
# # The notes, corrected
#
# *Thirty sentences in a set of lecture notes: which of them hold, and how would one find out?*
#
# **You will learn**
#
# - how to turn a doubtful sentence into a few lines of code that decide it;
# - which slips are a matter of convention, which have a counterexample, and which are only words;
# - what holds in place of each, where it was published, and where this course derives it.
#
# **It takes** 30 minutes, or two for the row that you came for.
# **You need** the lecture that a row points to; [Start here](00_start_here.ipynb) has the notation.

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
from gencourse import checks, plots
from torch.distributions import Normal
from torch.nn.functional import softplus

from genlib import data, diffusion, flows, gan, metrics
from genlib.autoencoder import VAE, Autoencoder

g = torch.Generator().manual_seed(0)
torch.manual_seed(0)  # of the networks' weights, none of which is trained
torch.set_default_dtype(torch.float64)  # everything here is in double precision

# %% [markdown]
# ## How to read this
#
# The course follows one lecture of 2021, by Pulkit Agrawal, through the notes that Emily Liu took.
# Notes that are taken while a lecturer speaks have slips, and a slip in a formula has one merit: it can be *tested*.
# So each row first says what the notes say, in our words where no formula is needed, and then what holds.
# The cell below it decides between the two: it shows a case in which the notes' form fails, or the convention in which that form is right.
#
# Derivations are not repeated here; each row names the section that has them.
# Some formulas were only damaged when the page of the notes was saved, and these have no row.

# %% [markdown]
# ## The rows
#
# | family | row | about |
# |---|---|---|
# | **GANs** | [1](#Row-1) | which probability D is |
# |  | [2](#Row-2) | who is given x |
# |  | [3](#Row-3) | what the L1 term is |
# |  | [4](#Row-4) | whether the GAN wins |
# |  | [22](#Row-22) | what G takes without a condition |
# |  | [23](#Row-23) | why D is a loss |
# |  | [24](#Row-24) | why samples lack detail |
# |  | [13](#Row-13) | who gives a likelihood |
# | **Flows** | [5](#Row-5) | what is given and what is chosen |
# |  | [6](#Row-6) | which integral is intractable |
# |  | [26](#Row-26) | the base density |
# |  | [7](#Row-7) | change of variables |
# |  | [8](#Row-8) | what is maximised |
# |  | [9](#Row-9) | the scale of a coupling |
# |  | [10](#Row-10) | lower, not upper |
# |  | [11](#Row-11) | how many layers |
# |  | [12](#Row-12) | the inverse of many maps |
# |  | [25](#Row-25) | what is learned |
# |  | [27](#Row-27) | what is coupled, and what is expressive |
# | **Diffusion** | [14](#Row-14) | where the chain ends |
# |  | [29](#Row-29) | noise and transition |
# |  | [15](#Row-15) | which way is back |
# |  | [30](#Row-30) | the reverse step |
# |  | [16](#Row-16) | joint and marginal |
# |  | [17](#Row-17) | where the product stops |
# |  | [18](#Row-18) | one noise, or two |
# |  | [19](#Row-19) | outputs, not parameters |
# |  | [20](#Row-20) | equal, or at most |
# | **Words** | [21](#Row-21) | a name |
# |  | [28](#Row-28) | why it is called so |

# %% [markdown]
# ## GANs
#
# Which of the two networks is given what, and what does a GAN say about its data?
# Several cells use one density of data, $p$; row 1 has one of a generator beside it, $p_G$, and the best $D$ for these two is known in closed form.

# %%
p = data.GaussianMixture([[-1.0], [1.0]], [[[0.04]], [[0.04]]])  # the data
p_gen = data.GaussianMixture([[0.3]], [[[0.36]]])  # what the generator makes
y = torch.linspace(-1.4, 1.4, 71)[:, None]

# %% [markdown]
# ### Row 1
#
# **Which probability D is.**
#
# - **The notes.** The objective is written $\min_G \max_D E[\log D(G(x)) + \log(1 - D(y))]$, with $y$ the real picture.
# - **What holds.** That is right only if $D$ is the probability of *fake*.
#   The usual form, and ours, has $D$ as the probability of *real*: $\min_G \max_D E[\log D(x, y)] + E[\log(1 - D(x, G(x, z)))]$, with $D^* = p/(p + p_G)$.
# - **Source.** Goodfellow et al. 2014, proposition 1; Isola et al. 2017, equation 1.
# - **In the course.** [Learned losses](01_learned_losses.ipynb), section 6; [Conditional GANs](02_conditional_gans.ipynb), section 2.

# %%
u, v = p.log_prob(y).exp(), p_gen.log_prob(y).exp()  # real and generated, at 71 points
D = torch.linspace(0.001, 0.999, 999)[:, None]  # every answer that D could give
notes = v * D.log() + u * (1 - D).log()
usual = u * D.log() + v * (1 - D).log()
checks.identity("the notes' best D is the probability of fake", D[notes.argmax(0), 0], v / (u + v), tol=2e-3)
checks.identity("the usual best D is the probability of real", D[usual.argmax(0), 0], u / (u + v), tol=2e-3)

# %% [markdown]
# ### Row 2
#
# **Who is given x.**
#
# - **The notes.** To compare output and input, $x$ is said to be included in the *generator*, and the formula changes $D(G(x))$ to $D(x, G(x))$.
# - **What holds.** The generator had $x$ already; it is $D$ that is given $x$ beside the picture.
#   $G$ gets noise $z$ as well; in pix2pix the noise is dropout, which stays on when pictures are made.
#   In the first cell a generator makes good pictures $y$ and pairs them with any $x$: a $D$ that sees $y$ alone has nothing to find, because the marginals of $y$ are the same.
# - **Source.** Isola et al. 2017, section 3.
# - **In the course.** [Conditional GANs](02_conditional_gans.ipynb), sections 1, 4 and 11.

# %%
both, noise = [[-1.0, -1.0], [1.0, 1.0]], [[0.01, 0.0], [0.0, 0.01]]
pairs = data.GaussianMixture(both, [noise] * 2)  # (x, y): the answer y belongs to its x
ignores_x = data.GaussianMixture([*both, [-1.0, 1.0], [1.0, -1.0]], [noise] * 4)  # good y, to any x
y_of_pairs, y_made = (
    data.GaussianMixture(m.means[:, 1:], m.covs[:, 1:, 1:], m.weights) for m in (pairs, ignores_x)
)
seen, alone = pairs.jensen_shannon(ignores_x), y_of_pairs.jensen_shannon(y_made)
print(f"D sees y alone: JS = {alone:.3f} nats")
print(f"D sees x and y: JS = {seen:.3f} nats")
checks.identity("the pictures alone are distributed alike", alone, 0.0, tol=1e-8)
checks.identity("with x there are four equal pieces against two", seen, 0.75 * math.log(4 / 3), tol=1e-3)

# %%
x = data.textures(2, size=16).x.double()
for name, dropout in {"no noise": 0.0, "dropout": 0.5}.items():
    G = gan.UNetGenerator(3, 1, width=4, depth=4, dropout=dropout)
    same = torch.equal(G(x, generator=g), G(x, generator=g))
    print(f"{name}: G answers the same x {'always alike' if same else 'differently each time'}")

# %% [markdown]
# ### Row 3
#
# **What the L1 term is.**
#
# - **The notes.** $L_{L1}$ is called the L1 norm.
# - **What holds.** It is $E\|y - G(x, z)\|_1$: the expected distance of two pictures.
#   With the paper's $\lambda = 100$ it is the *mean* over pixels and channels, as in its code.
#   The sum would weigh $C \cdot H \cdot W$ times more, which is 196,608 times at the paper's size.
# - **Source.** Isola et al. 2017, equations 3 and 4, and section 4.2 for the weights.
# - **In the course.** [Conditional GANs](02_conditional_gans.ipynb), section 5.

# %%
x, y_real = (part.double() for part in data.textures(4, size=16))
G = gan.UNetGenerator(3, 1, width=4, depth=2)
objective = gan.Pix2Pix(G, gan.PatchDiscriminator(4, width=4, n_layers=1), lam=100.0, adversarial=0.0)
((_, loss, _),) = objective.losses((x, y_real))
norm = (y_real - gan.generate(G, x)).abs().flatten(1).sum(1).mean()  # the L1 norm of the difference
per_pixel = loss.detach() / 100
checks.identity("λ · mean over pixels is what is trained", per_pixel, norm / (1 * 16 * 16), tol=1e-9)
print(f"the norm is {norm / per_pixel:.0f} times as large as the mean")

# %% [markdown]
# ### Row 4
#
# **Whether the GAN wins.**
#
# - **The notes.** Conditional GANs are said to outperform learning with unstructured objectives, such as least squares.
# - **What holds.** It depends on the task, and on the judge.
#   In the paper, from labels to a photo the GAN wins; from a photo to labels L1 alone scored better: per-pixel accuracy 0.86 for L1, 0.83 for L1 + cGAN, 0.74 for the cGAN.
#   A comparison has to give both sides the same weight $\lambda$, and its judge must not be the loss of one of them.
#   The cell has the smallest such task: one label, which is 1 with probability $r$ given the photo.
#   The best answer is the mean $r$ under least squares and the median 1 under L1, while a *perfect* cGAN draws from the distribution.
#   Accuracy counts how often the rounded answer is the label, so it rewards whoever always gives the mode; the share of answers that are 1 rewards whoever has the distribution; and where the answer is certain, $r = 1$, all tie.
# - **Source.** Isola et al. 2017 (arXiv v3), tables 1 and 6.
# - **In the course.** [Conditional GANs](02_conditional_gans.ipynb), sections 10 and 12; [Side by side](07_side_by_side.ipynb), section 5.

# %%
r = torch.tensor([0.6, 0.8, 1.0])  # P(label = 1), given the photo
truth, drawn = (torch.rand(2, 200_000, 3, generator=g) < r).double()
answers = {"least squares": r.expand_as(truth), "L1": torch.ones_like(truth), "a perfect cGAN": drawn}
right = {name: (truth == answer.round()).double().mean(0) for name, answer in answers.items()}
print("                        r =", *(f"{value:7.1f}" for value in r))
for name, answer in answers.items():
    print(f"{name:15} accuracy   ", *(f"{value:7.2f}" for value in right[name]))
    print(f"{'':15} share of 1 ", *(f"{value:7.2f}" for value in (answer == 1).double().mean(0)))
checks.identity(
    "a perfect cGAN is right with r² + (1 − r)²", right["a perfect cGAN"], r**2 + (1 - r) ** 2, tol=0.01
)
checks.identity("whoever always gives the mode is right with r", right["L1"], r, tol=0.01)
checks.at_most("which is never less", right["a perfect cGAN"], right["L1"])
checks.identity("but only the cGAN's answers have the share r of 1", drawn.mean(0), r, tol=0.01)

# %% [markdown]
# ### Row 22
#
# **What G takes without a condition.**
#
# - **The notes.** The generator without a condition is written $G(x)$.
# - **What holds.** Without a condition $G$ takes noise, $G(z)$.
#   Without noise it could make one point only, and the data are not one point.
#   The input $x$ enters with the conditional GAN.
# - **Source.** Goodfellow et al. 2014, section 3.
# - **In the course.** [Learned losses](01_learned_losses.ipynb), section 6.

# %%
real = p.sample(2000, generator=g).double()
z = torch.randn(2000, 2, generator=g)
G_of_z = z[:, :1].sign() + 0.2 * z[:, 1:]  # two modes, as the data have
points = torch.linspace(-1.5, 1.5, 7)  # what a G without noise could make
distances = torch.tensor([metrics.energy_distance(c.expand(2000, 1), real) for c in points])
print("one point:", *(f"{d:.2f}" for d in distances))
print(f"G(z):      {abs(metrics.energy_distance(G_of_z, real)):.2f}")
checks.at_most(
    "noise does better than the best single point", metrics.energy_distance(G_of_z, real), distances.min()
)

# %% [markdown]
# ### Row 23
#
# **Why D is a loss.**
#
# - **The notes.** $D$ is called a loss *because* it changes with how badly $G$ does.
# - **What holds.** $D$ is a loss because $G$ descends it; a frozen $D$ is a loss as well, if a poor one, because it goes on answering about a generator that no longer exists.
#   That $D$ changes is what makes it a *learned* loss, and lets it follow the generator.
# - **Source.** Isola et al. 2017, section 1.
# - **In the course.** [Learned losses](01_learned_losses.ipynb), section 9.

# %%
z, mu = torch.randn(1000, generator=g), torch.tensor(-1.0, requires_grad=True)


def loss_of(mu):
    """G's loss, for G(z) = mu + z; the best D of N(1, 1) against N(−1, 1), frozen, has the logit 2y."""
    return gan.generator_loss(2 * (mu + z), "non_saturating")


(slope,) = torch.autograd.grad(loss_of(mu), mu)
by_hand = (-2 * torch.sigmoid(-2 * (mu + z))).mean()  # −log σ(l) has the derivative −σ(−l), and l = 2 (mu + z)
checks.identity("nothing about D changes, and there is a slope", slope, by_hand, tol=1e-12)
checks.at_most("and a step down it lowers the loss", loss_of(mu - 0.5 * slope), loss_of(mu))

# %% [markdown]
# ### Row 24
#
# **Why samples lack detail.**
#
# - **The notes.** Pictures sampled from a latent space lack detail, and the reconstruction loss is blamed.
# - **What holds.** Those are two things.
#   A loss on pixels rewards blurred *reconstructions*.
#   Blurred or odd *samples* also come from codes that the prior draws and the encoder never used.
#   The cell has the simplest autoencoder, which needs no training: principal components, with their codes scaled to variance one.
#   The same decoder makes the reconstructions and the samples, so what differs between them is where the codes come from.
# - **Source.** Hoffman and Johnson 2016, on the codes that the encoder uses and those that the prior draws; Kingma and Welling 2014, for the model.
# - **In the course.** [Learned losses](01_learned_losses.ipynb), section 5; [Side by side](07_side_by_side.ipynb), section 2.

# %%
pixels, held = (data.digits(split).x.double().flatten(1) for split in ("train", "test"))
mean = pixels.mean(0)
_, size, axes = torch.linalg.svd(pixels - mean, full_matrices=False)
axes = axes[:12] * axes[:12].sum(1, keepdim=True).sign()  # the sign of an axis is free
std = size[:12] / math.sqrt(len(pixels))
rebuilt = (mean + (held - mean) @ axes.T @ axes).view(-1, 1, 8, 8)
samples = (mean + (torch.randn(297, 12, generator=g) * std) @ axes).view(-1, 1, 8, 8)  # codes of N(0, I)
held = held.view(-1, 1, 8, 8)
checks.at_most("reconstructions lack detail", metrics.detail(rebuilt, held), 0.9)
near, far = metrics.frechet_distance(rebuilt), metrics.frechet_distance(samples)
checks.at_most("samples have a second fault, they are over four times as far from real digits", 4 * near, far)

# %%
plots.image_rows(
    real=held[:12],
    reconstructions=rebuilt[:12],
    samples=samples[:12],
    alt="Twelve real digits; their reconstructions through twelve principal components, softer but the same digits; "
    "and twelve samples with codes from the prior, most of which are no digits.",
)

# %% [markdown]
# ### Row 13
#
# **Who gives a likelihood.**
#
# - **The notes.** Flows are said to give exact likelihoods, and GANs lower bounds.
# - **What holds.** A GAN gives no likelihood and no bound: the best $D$ measures the Jensen–Shannon divergence, which can rank two generators the other way round than their likelihood does.
#   The lower bounds come from VAEs and diffusion models.
#   On pictures of whole numbers a dequantized flow, too, only bounds the likelihood.
# - **Source.** Goodfellow et al. 2014, theorem 1; Theis et al. 2016, section 3.1.
# - **In the course.** [Learned losses](01_learned_losses.ipynb), sections 4 and 6; [Normalizing flows](03_normalizing_flows.ipynb), section 10; [Learning and sampling](04b_learning_and_sampling.ipynb), section 8; [Side by side](07_side_by_side.ipynb), section 2.

# %%
generators = {
    "one mode, sharp": data.GaussianMixture([[1.0]], [[[0.04]]]),
    "all, and far too wide": data.GaussianMixture([[0.0]], [[[36.0]]]),
}
grid = torch.linspace(-4, 4, 4001)[:, None]
mass = p.log_prob(grid).exp()
js, code_length = [], []
for name, made in generators.items():
    js.append(p.jensen_shannon(made))
    code_length.append(float(-torch.trapezoid(mass * made.log_prob(grid), grid[:, 0])))
    print(f"{name:22} JS {js[-1]:.2f}   mean of −log p_G on the data {code_length[-1]:5.2f} nats")
checks.at_most("D finds the sharp one nearer", js[0], js[1])
checks.at_most("the likelihood prefers the wide one", code_length[1], code_length[0])

# %%
flow = flows.RealNVP.for_vectors(64, n_couplings=2, width=16, levels=17)
x_int = data.digits("test", integers=True).x.flatten(1)[:100]


def bits(n):
    """Mean over digits of the bound from n draws of the noise inside one logarithm."""
    return flow.bits_per_dim(x_int, n_importance=n, generator=g).mean()


with torch.no_grad():
    checks.at_most("more draws, a lower code length: one draw gave a bound", bits(16), bits(1))

# %% [markdown]
# ## Flows
#
# What does a flow compute, and what is chosen in it and what is learned?
# Rows with couplings take random weights, because a fresh coupling is the identity, on which many a wrong claim would hold.


# %%
def randomise(module, std=0.3):
    """Random weights in place of those that make a fresh flow the identity."""
    for weight in module.parameters():
        weight.data += std * torch.randn(weight.shape, generator=g)
    return module


def jacobian(layer, point):
    """∂z/∂xᵀ at one point, by autograd."""
    return torch.autograd.functional.jacobian(lambda v: layer(v[None])[0][0], point)


# %% [markdown]
# ### Row 5
#
# **What is given and what is chosen.**
#
# - **The notes.** Data and codes are introduced alike: $x \sim \hat p(x)$ and $z \sim \hat p(z)$.
# - **What holds.** The data distribution is given, and only seen through samples; of digits we have nothing else.
#   The base density $p(z)$ is *chosen*, and then fixed: with another one, another $f$ describes the same data, as the cell does with a Gaussian and with a logistic base.
# - **Source.** Dinh et al. 2017, section 3.1.
# - **In the course.** [Normalizing flows](03_normalizing_flows.ipynb), sections 1 and 10.

# %%
x = torch.linspace(-1.5, 1.5, 61, requires_grad=True)
share = sum(0.5 * Normal(m, 0.6).cdf(x) for m in (-1.0, 1.0))  # P(X ≤ x) of two wide modes
exact = data.GaussianMixture([[-1.0], [1.0]], [[[0.36]]] * 2).log_prob(x[:, None].detach())
gauss, logistic = Normal(0.0, 1.0).icdf(share), torch.logit(share)  # two flows, each onto its own base
for name, z, log_p in (
    ("Gaussian", gauss, Normal(0.0, 1.0).log_prob(gauss)),
    ("logistic", logistic, -logistic - 2 * softplus(-logistic)),
):
    (slope,) = torch.autograd.grad(z.sum(), x, retain_graph=True)
    checks.identity(f"a flow onto a {name} base has the data's density", log_p + slope.log(), exact, tol=1e-8)

# %% [markdown]
# ### Row 6
#
# **Which integral is intractable.**
#
# - **The notes.** $p_\theta(x) = \int p_\theta(x \mid z)\,p(z)\,dz$ is called intractable.
# - **What holds.** That is the case of a noisy, nonlinear decoder, as in a VAE; a linear one with Gaussian noise has a closed form.
#   With one latent number we can still integrate on a grid, and see that the bound lies below; with eight, a grid of 100 points a side has $10^{16}$.
#   A flow is a bijection, so one $z$ belongs to each $x$ and no integral is left; that what it gives is a density, we see from its integral over the plane.
# - **Source.** Kingma and Welling 2014, section 2.1; Dinh et al. 2017, section 3.1.
# - **In the course.** [Normalizing flows](03_normalizing_flows.ipynb), section 1; [Learned losses](01_learned_losses.ipynb), section 4.

# %%
vae = randomise(VAE(2, latent=1, width=16, std=2.0))
flow = randomise(flows.RealNVP.for_vectors(2, n_couplings=2, width=8), std=0.1)  # so that the grid holds its mass
x, z = 0.5 * torch.randn(5, 2, generator=g), torch.linspace(-9, 9, 1801)[:, None]
side = torch.linspace(-20, 20, 1001)
with torch.no_grad():
    joint = [vae.log_likelihood(one.expand(1801, 2), z) + Normal(0.0, 1.0).log_prob(z[:, 0]) for one in x]
    log_p = torch.stack(joint).logsumexp(1) + math.log(0.01)  # the integral, on a grid
    bound = vae.elbo(x, generator=g, n_draws=1000)
    total = flow.log_prob(torch.cartesian_prod(side, side)).exp().sum() * 0.04**2
print(f"VAE: integral {log_p.mean():.2f} nats, bound {bound.mean():.2f} nats")
checks.at_most("VAE: the bound lies below the integral", bound, log_p)
checks.identity("flow: with nothing integrated, its density sums to one", total, 1.0, tol=1e-3)

# %% [markdown]
# ### Row 26
#
# **The base density.**
#
# - **The notes.** The base density is $N(0, 1)$.
# - **What holds.** It is $N(0, I)$, in as many dimensions as $x$ has, because a bijection that is smooth in both directions cannot change their number: its Jacobian has to be square and invertible.
# - **Source.** Dinh et al. 2017, section 3.1.
# - **In the course.** [Normalizing flows](03_normalizing_flows.ipynb), section 1.

# %%
flow = randomise(flows.RealNVP.for_vectors(5, n_couplings=4, width=16))
x = torch.randn(20, 5, generator=g)
z, _ = flow(x)
J = torch.stack([jacobian(flow, point) for point in x])
print("shape of x", tuple(x.shape), "and of z", tuple(z.shape))
print("least rank of ∂z/∂xᵀ", int(torch.linalg.matrix_rank(J).min()))
by_autograd = Normal(0.0, 1.0).log_prob(z).sum(1) + torch.linalg.slogdet(J)[1]
checks.identity("five standard normals, not one", flow.log_prob(x), by_autograd, tol=1e-9)

# %% [markdown]
# ### Row 7
#
# **Change of variables.**
#
# - **The notes.** $p(x) = p(z)\,\frac{dz}{dx} = p(z)\,|J|$, with $|J|$ called the Jacobian.
# - **What holds.** $p_X(x) = p_Z(f(x))\,\big|\det \partial f/\partial x^\top\big|$: the absolute value of the *determinant*, and $p_Z$ taken at $f(x)$.
#   The test is what each candidate integrates to; a density gives 1.
# - **Source.** Dinh et al. 2017, equation 2.
# - **In the course.** [Normalizing flows](03_normalizing_flows.ipynb), section 2.

# %%
A = torch.tensor([[-2.0, 1.0], [0.0, 0.25]])  # z = A x, which turns one axis round
side = torch.linspace(-16, 16, 801)
x = torch.cartesian_prod(side, side)
at_f, at_x = (Normal(0.0, 1.0).log_prob(point).sum(1).exp() for point in (x @ A.T, x))
det = torch.linalg.det(A)
candidates = {
    "p_Z(f(x)) · det J": at_f * det,
    "p_Z(f(x)) · norm of J": at_f * torch.linalg.norm(A),
    "p_Z(x) · |det J|": at_x * det.abs(),
    "p_Z(f(x)) · |det J|": at_f * det.abs(),
}
for name, density in candidates.items():
    print(f"{name:22} integrates to {density.sum() * 0.04**2:6.3f}")

# %% [markdown]
# ### Row 8
#
# **What is maximised.**
#
# - **The notes.** We are told to maximise the Jacobian.
# - **What holds.** We maximise the sum $\log p_Z(f(x)) + \log|\det J|$.
#   The determinant alone has no maximum: scale $f$ up, and it grows for ever.
# - **Source.** Dinh et al. 2017, equation 3.
# - **In the course.** [Normalizing flows](03_normalizing_flows.ipynb), section 3.

# %%
flow = randomise(flows.RealNVP.for_vectors(2, n_couplings=2, width=8))
x = torch.randn(500, 2, generator=g)
z, log_det = flow(x)
print("    c   log|det J|   log p_Z       sum")
for c in (0.1, 1, 10, 100):
    volume, base = (log_det + 2 * math.log(c)).mean(), Normal(0.0, 1.0).log_prob(c * z).sum(1).mean()
    print(f"{c:5g}   {volume:10.1f}   {base:7.0f}   {volume + base:7.0f}")
scaled = jacobian(lambda v: (10 * flow(v)[0],), x[0])
checks.identity(
    "10 f has a larger log-det", torch.linalg.slogdet(scaled)[1], log_det[0] + 2 * math.log(10), tol=1e-9
)

# %% [markdown]
# ### Row 9
#
# **The scale of a coupling.**
#
# - **The notes.** $z_2 = s_\theta(x_1) \odot x_2 + t_\theta(x_1)$.
# - **What holds.** $z_2 = \exp(s_\theta(x_1)) \odot x_2 + t_\theta(x_1)$, and then $\log|\det J| = \sum_i s_i$.
#   A raw $s$ below 0 does no harm, but its log-determinant is $\sum_i \log|s_i|$.
#   Where a raw $s$ is 0 there is no inverse, and a continuous $s$ that changes its sign passes through 0.
# - **Source.** Dinh et al. 2017, sections 3.2 and 3.3, equations 4 to 8.
# - **In the course.** [Normalizing flows](03_normalizing_flows.ipynb), section 6.

# %%
s, x_2, t = torch.tensor([-2.0, -0.5, 0.0, 0.5]), 3.0, 0.25
for name, factor, log_det in (("raw s ", s, s.abs().log()), ("exp(s)", s.exp(), s)):
    z_2 = factor * x_2 + t
    back = (z_2 - t) / factor
    print(name, "  x_2 after going there and back:", *(f"{b:5.2f}" for b in back), end="")
    print("   log|det|:", *(f"{d:5.2f}" for d in log_det))
coupling, x = randomise(flows.AffineCoupling(flows.masks.halves(4))), torch.randn(4, generator=g)
by_autograd = torch.linalg.slogdet(jacobian(coupling, x))[1]
checks.identity("with exp, the log-determinant is the sum of s", coupling(x[None])[1][0], by_autograd, tol=1e-12)

# %% [markdown]
# ### Row 10
#
# **Lower, not upper.**
#
# - **The notes.** The Jacobian matrix of a coupling is called upper triangular, twice.
# - **What holds.** It is *lower* triangular, $\partial z/\partial x^\top = \begin{pmatrix} I & 0 \\ \ast & \operatorname{diag}(\exp s) \end{pmatrix}$.
#   It is upper triangular only where the halves are swapped, or if one writes the transposed matrix.
#   The determinant is the same either way.
# - **Source.** Dinh et al. 2017, equation 6.
# - **In the course.** [Normalizing flows](03_normalizing_flows.ipynb), section 5.

# %%
first, second = (randomise(flows.AffineCoupling(flows.masks.halves(4, swap=swap))) for swap in (False, True))
x = torch.randn(4, generator=g)
J, J_swapped = jacobian(first, x), jacobian(second, x)
zero = torch.zeros(4, 4)
checks.identity("first half kept: nothing above the diagonal", J.triu(1), zero, tol=1e-12)
checks.at_most("but something below it", 1e-3, J.tril(-1).abs().max())
checks.identity("halves swapped: nothing below", J_swapped.tril(-1), zero, tol=1e-12)
checks.identity(
    "either way, the determinant is the diagonal's", torch.linalg.det(J), J.diagonal().prod(), tol=1e-12
)

# %% [markdown]
# ### Row 11
#
# **How many layers.**
#
# - **The notes.** Half of the picture is said to be modelled well and the other half poorly, so the operation is done twice, with the halves switched.
# - **What holds.** Half is *unchanged* by one layer, and two layers change every coordinate.
#   For every output to depend on every input it takes three layers; two are enough only if the half that is changed first has one coordinate, as in every 2-D flow.
#   The cell counts entries of the Jacobian that are zero whatever the weights.
# - **Source.** Dinh et al. 2015, section 3.2; Dinh et al. 2017, section 3.5.
# - **In the course.** [Normalizing flows](03_normalizing_flows.ipynb), section 7.


# %%
def zeros(dim, n):
    """Zeros in the Jacobian of n couplings with random dense networks, which keep first one half, then the other."""
    layers = [randomise(flows.AffineCoupling(flows.masks.halves(dim, swap=k % 2 == 1))) for k in range(n)]
    J = jacobian(flows.Compose(layers), torch.randn(dim, generator=g))
    return int((J.abs() < 1e-12).sum())


for dim in (4, 2):
    print(
        f"{dim}-D, after 1, 2, 3 layers:", *(zeros(dim, n) for n in (1, 2, 3)), "outputs × inputs without effect"
    )
x = torch.randn(8, 4, generator=g)
one = randomise(flows.AffineCoupling(flows.masks.halves(4)))
checks.identity("after one layer, half is unchanged", one(x)[0][:, :2], x[:, :2], tol=1e-12)

# %% [markdown]
# ### Row 12
#
# **The inverse of many maps.**
#
# - **The notes.** The inverse is written $|f_1^{-1} \odot f_2^{-1} \dots f_N^{-1}|$, a product of entries.
# - **What holds.** $f = f_N \circ \dots \circ f_1$ and $f^{-1} = f_1^{-1} \circ \dots \circ f_N^{-1}$: maps are composed, and the last is undone first.
#   Determinants multiply, so their logarithms add.
#   The chain rule has the later factor on the left, $J_b(f_a(x))\,J_a(x)$; the paper's equation 10 prints the factors the other way round, which changes the matrix but no determinant.
# - **Source.** Dinh et al. 2017, section 3.5.
# - **In the course.** [Normalizing flows](03_normalizing_flows.ipynb), section 8.

# %%
a, b = (randomise(flows.AffineCoupling(flows.masks.halves(4, swap=swap))) for swap in (False, True))
x = torch.randn(1, 4, generator=g)
h, z = a(x)[0], b(a(x)[0])[0]
product = a.inverse(z)[0] * b.inverse(z)[0]
checks.identity("the last map is undone first", a.inverse(b.inverse(z)[0])[0], x, tol=1e-10)
checks.at_most("a product of inverses is no inverse", 0.1, (product - x).abs().max())
J_a, J_b, J = jacobian(a, x[0]), jacobian(b, h[0]), jacobian(flows.Compose([a, b]), x[0])
checks.identity("chain rule, the later map on the left", J_b @ J_a, J, tol=1e-10)
checks.at_most("the other order is another matrix", 0.01, (J_a @ J_b - J).abs().max())
checks.identity("with the same determinant", torch.linalg.det(J_a @ J_b), torch.linalg.det(J), tol=1e-10)

# %% [markdown]
# ### Row 25
#
# **What is learned.**
#
# - **The notes.** Flows are said to learn both the mapping and its inverse.
# - **What holds.** *One* map is learned.
#   Its inverse comes with it, exactly, by construction: before training as well as after.
#   An autoencoder, by contrast, learns two maps, and only training makes one undo the other.
# - **Source.** Dinh et al. 2017, section 3.3.
# - **In the course.** [Normalizing flows](03_normalizing_flows.ipynb), section 6; [Continuous time](05_continuous_time.ipynb), section 6.

# %%
flow = randomise(flows.RealNVP.for_vectors(6, n_couplings=6, width=16))  # random weights, never trained
autoencoder = Autoencoder(dim=6, latent=6, width=16)
x = torch.randn(50, 6, generator=g)
checks.identity("untrained flow: there and back", flow.inverse(flow(x)[0])[0], x, tol=1e-8)
checks.at_most("untrained autoencoder: lost", 0.5, (autoencoder.reconstruct(x) - x).square().mean())

# %% [markdown]
# ### Row 27
#
# **What is coupled, and what is expressive.**
#
# - **The notes.** We are said to couple the *layers*; and the triangular matrix is called quick and also expressive.
# - **What holds.** Coordinates are coupled, not layers.
#   A triangular Jacobian makes the determinant cheap.
#   It does not by itself make a layer expressive: the cell takes the best map with a *constant* triangular Jacobian, a triangular matrix, and asks how far from the moons it stays.
#   Nor is it an obstacle: a nonlinear triangular map, $z_i = \Phi^{-1}(F(x_i \mid x_{<i}))$, reaches every positive density in one layer.
#   What limits one coupling is its affine form; couplings become expressive by arbitrary networks $s$ and $t$ and by composing.
# - **Source.** Dinh et al. 2017, sections 3.2 to 3.5.
# - **In the course.** [Normalizing flows](03_normalizing_flows.ipynb): what a determinant costs in section 4, couplings in section 5, the nonlinear triangular map in section 8, (7a), what networks and composing reach in section 9.

# %%
moons = data.Moons(std=0.1)
side = torch.linspace(-1.8, 1.8, 601)
x = torch.cartesian_prod(side, side)
mass = torch.cat([moons.log_prob(part) for part in x.split(20_000)]).exp() * 0.006**2
mean = mass @ x
L = torch.linalg.cholesky((mass[:, None] * (x - mean)).T @ (x - mean))  # z = L⁻¹(x − mean), lower triangular
z = torch.linalg.solve_triangular(L, (x - mean).T, upper=False).T
code_length = -(mass * (Normal(0.0, 1.0).log_prob(z).sum(1) - L.diagonal().log().sum())).sum()
print(f"entropy of the moons {moons.entropy():.2f} nats; with a triangular matrix {code_length:.2f} nats")
checks.at_most("a quarter of a nat is out of its reach", moons.entropy() + 0.25, code_length)

# %% [markdown]
# ## Diffusion
#
# Which way does the chain run, and where does it end?
# Two chains serve most rows: the usual linear one with a thousand steps, and a short one with fifty steps, which is cheap to simulate.

# %% [markdown]
# ### Row 14
#
# **Where the chain ends.**
#
# - **The notes.** Adding small noise again and again is said to lead to an isotropic Gaussian.
# - **What holds.** To reach a *fixed* $N(0, I)$ the signal must be shrunk by $\sqrt{1 - \beta_t}$ as the noise comes in, and $\bar\alpha_T$ must go to 0.
#   Adding alone, with variances $b_t$, lets the variance grow by $s_t^2 = b_1 + \dots + b_t$.
#   That is no mistake either, but another chain, the *variance-exploding* one, which starts from its own known end $N(0, s_T^2 I)$; divided by $\sqrt{1 + s_t^2}$ it is the shrinking chain with $\bar\alpha_t = 1/(1 + s_t^2)$, and its denoiser at $y$ is that one's at $y/\sqrt{1 + s_t^2}$.
#   Shrinking with $\sum_t \beta_t$ finite, on the other hand, does not forget $x_0$.
#   At finite $T$ the end is close to $N(0, I)$, not equal to it.
# - **Source.** Ho et al. 2020, section 2; for the variance-exploding chain Song et al. 2021, section 3.4.
# - **In the course.** [Diffusion models](04_diffusion_models.ipynb), section 2, where $\beta_t = 2^{-t}$ leaves more than 28.8 % of the signal; [Continuous time](05_continuous_time.ipynb), section 1.

# %%
linear = diffusion.Schedule.linear(T=1000)
for n in (1, 10, 100):
    print(f"noise added alone, through the schedule {n:3} times: variance {0.05 + n * linear.beta.sum():7.1f}")
x_0, keep = data.digits("test").x[:1].double(), linear.alpha_bar[-1]
end, target = Normal(keep.sqrt() * x_0, (1 - keep).sqrt()), Normal(torch.tensor(0.0), torch.tensor(1.0))
print(f"a digit's L_T under the linear schedule: {float(linear.prior_kl(x_0)):.1e} nats, not 0")
L_T = torch.distributions.kl_divergence(end, target).sum()
checks.identity("L_T is the divergence of the chain's end from N(0, I)", linear.prior_kl(x_0)[0], L_T, tol=1e-9)

# %%
sigma = 0.7
exploding = data.GaussianMixture(p.means, p.covs + sigma**2, p.weights)  # of x_0 + σ ε
x = y.clone().requires_grad_()
(score,) = torch.autograd.grad(exploding.log_prob(x).sum(), x)
table, shrunk = torch.tensor([1.0, 1 / (1 + sigma**2)]), y / math.sqrt(1 + sigma**2)
eps = p.optimal_eps(shrunk, torch.ones(71, dtype=torch.int64), table)
checks.identity("both chains have one denoiser", eps, -sigma * score, tol=1e-9)

# %% [markdown]
# ### Row 29
#
# **Noise and transition.**
#
# - **The notes.** The *noise* at each state is said to be given by $q(x_t \mid x_{t-1})$; the density itself is printed with $\beta_t$, but the clause beside it speaks of one $\beta$, the "diffusion rate".
# - **What holds.** $q(x_t \mid x_{t-1})$ is the whole transition: what is left of $x_{t-1}$, and the noise.
#   Its variance $\beta_t$ changes with $t$; one constant $\beta$ of the same mean makes another chain.
# - **Source.** Ho et al. 2020, equation 2.
# - **In the course.** [Diffusion models](04_diffusion_models.ipynb), sections 2 and 4.

# %%
constant = diffusion.Schedule(torch.full((1000,), float(linear.beta[1:].mean())))
for t in (1, 100, 500, 1000):
    print(
        f"t = {t:4}   β_t {linear.beta[t]:.4f}   signal left {linear.alpha_bar[t]:.4f}   "
        f"with one β {constant.alpha_bar[t]:.4f}"
    )
before, t = torch.full((400_000, 1), 2.0), 500
x_t = linear.alpha[t].sqrt() * before + linear.beta[t].sqrt() * torch.randn(400_000, 1, generator=g)
checks.identity("the transition's mean is no noise's", x_t.mean(), 2 * (1 - linear.beta[t]).sqrt(), tol=2e-3)
checks.identity("its variance is that of this step", x_t.var(), linear.beta[t], tol=2e-3)

# %% [markdown]
# ### Row 15
#
# **Which way is back.**
#
# - **The notes.** The way back is written $p_\theta(x_t \mid x_{t-1})$ in one place; a few lines later the notes have it right.
# - **What holds.** It is $p_\theta(x_{t-1} \mid x_t)$.
#   The other is the direction of the chain itself, which leads from the data to noise and, started from noise, to noise.
# - **Source.** Ho et al. 2020, equation 1.
# - **In the course.** [Diffusion models](04_diffusion_models.ipynb), section 5.


# %%
def best_eps(x_t, t, label=None):
    return p.optimal_eps(x_t, t, short)


short = diffusion.Schedule(torch.linspace(1e-3, 0.3, 50))
best = diffusion.DDPM(best_eps, short, variance="beta")
start, real = torch.randn(2000, 1, generator=g), p.sample(2000, generator=g).double()
forth = start
for t in range(1, 51):
    forth = short.alpha[t].sqrt() * forth + short.beta[t].sqrt() * torch.randn(2000, 1, generator=g)
back = diffusion.last(diffusion.ancestral(best, (2000, 1), x_T=start, generator=g))
for name, made in {"q(x_t | x_{t−1})": forth, "p_θ(x_{t−1} | x_t)": back}.items():
    gap = metrics.energy_distance(made, real, unbiased=False)
    print(f"50 steps of {name:18} from noise: energy distance to the data {gap:.2f}")

# %% [markdown]
# ### Row 30
#
# **The reverse step.**
#
# - **The notes.** We want $q(x_{t-1} \mid x_t)$, and then $p_\theta$ is written for it.
# - **What holds.** $q(x_{t-1} \mid x_t)$ depends on the distribution of the data, so nobody can compute it for real data.
#   $p_\theta$ *approximates* it by a Gaussian, which for most data it nearly is for small $\beta_t$ only; given $x_0$ it is exactly Gaussian.
#   Reversing the chain draws a *new* picture, and does not recover the old one.
# - **Source.** Ho et al. 2020, section 2; Sohl-Dickstein et al. 2015.
# - **In the course.** [Diffusion models](04_diffusion_models.ipynb): how nearly the step is a Gaussian, for which $\beta_t$, in section 5; that given $x_0$ it is one, in section 6.

# %%
left, right = (data.GaussianMixture([[-1.0], [1.0]], [[[0.04]]] * 2, w) for w in ([0.9, 0.1], [0.1, 0.9]))
x_t, t = torch.zeros(1, 1), torch.tensor([30])
for name, those in {"mostly −1": left, "mostly +1": right}.items():
    x_0 = short.convert(those.optimal_eps(x_t, t, short), x_t, t, "eps", "x_0")  # E[x_0 | x_t]
    mean, _ = short.q_posterior(x_0, x_t, t)  # linear in x_0, so this is E[x_{t−1} | x_t]
    print(f"data {name}: from x_30 = 0 the chain came from {float(mean):+.3f}, on average")

# %%
x_0 = p.sample(4000, generator=g).double()
end = short.q_sample(x_0, torch.full((4000,), 50), torch.randn(4000, 1, generator=g))
again = diffusion.last(diffusion.ancestral(best, (4000, 1), x_T=end, generator=g))
same_side = (again.sign() == x_0.sign()).double().mean()
print(f"after the way there and back, {same_side:.0%} are in the mode they started from")
checks.at_most("and all are as the data are", metrics.energy_distance(again, x_0, unbiased=False), 0.02)

# %% [markdown]
# ### Row 16
#
# **Joint and marginal.**
#
# - **The notes.** All $q$ are to be expressed in terms of $x_0$, and there follows $q(x_{1:T} \mid x_0) = \prod_t q(x_t \mid x_{t-1})$.
# - **What holds.** That is the *joint* of the chain, and it needs every state in between.
#   In terms of $x_0$ stands the *marginal*, $q(x_t \mid x_0) = N(\sqrt{\bar\alpha_t}\,x_0, (1 - \bar\alpha_t) I)$; the states in between have been integrated out.
# - **Source.** Ho et al. 2020, equations 2 and 4.
# - **In the course.** [Diffusion models](04_diffusion_models.ipynb), section 3.

# %%
two = diffusion.Schedule([0.3, 0.5])
keep, std = two.alpha.sqrt(), two.beta.sqrt()
x_0, x_2, x_1 = torch.tensor(1.5), torch.tensor(0.2), torch.linspace(-8, 8, 8001)
joint = (Normal(keep[1] * x_0, std[1]).log_prob(x_1) + Normal(keep[2] * x_1, std[2]).log_prob(x_2)).exp()
for k in (3800, 4300, 4800):
    print(f"q(x_1, x_2 | x_0) at x_1 = {x_1[k]:+.1f}: {joint[k]:.3f}")
marginal = Normal(two.alpha_bar[2].sqrt() * x_0, (1 - two.alpha_bar[2]).sqrt()).log_prob(x_2).exp()
print(f"q(x_2 | x_0), whatever x_1 was:   {marginal:.3f}")
checks.identity("the marginal is the joint, integrated", torch.trapezoid(joint, x_1), marginal, tol=1e-9)

# %% [markdown]
# ### Row 17
#
# **Where the product stops.**
#
# - **The notes.** $\bar\alpha = \prod_{i=1}^T \alpha_i$, for every $t$.
# - **What holds.** $\bar\alpha_t = \prod_{i=1}^t \alpha_i$: it stops at $t$.
#   With the whole product, $x_1$ would be as noisy as $x_T$.
# - **Source.** Ho et al. 2020, section 2.
# - **In the course.** [Diffusion models](04_diffusion_models.ipynb), section 3.

# %%
variance = [torch.tensor(0.0)]  # of x_t given x_0, carried along the chain
for t in range(1, 1001):
    variance.append(linear.alpha[t] * variance[-1] + linear.beta[t])
variance = torch.stack(variance)
print("   t   by steps   1 − ᾱ_t   1 − ᾱ_T")
for t in (1, 10, 100, 1000):
    print(f"{t:4}   {variance[t]:8.4f}  {1 - linear.alpha_bar[t]:8.4f}  {1 - linear.alpha_bar[1000]:8.4f}")
checks.identity("the product up to t, at every t", variance, 1 - linear.alpha_bar, tol=1e-12)

# %% [markdown]
# ### Row 18
#
# **One noise, or two.**
#
# - **The notes.** The noise is $z_{t-1}$ in one line and $z$ in the next.
# - **What holds.** They are different variables: one noise for each step, and the merged noise of all of them.
#   Sums of independent Gaussians add their *variances*; that is why one $\varepsilon$ is enough.
#   If both steps used the same $z$, standard deviations would add, and the variance would come out too large.
# - **Source.** Ho et al. 2020, equation 4.
# - **In the course.** [Diffusion models](04_diffusion_models.ipynb), section 3.

# %%
a, b = 0.9, 0.8  # α of the second and of the first step
z = torch.randn(2, 400_000, generator=g)
first, second = math.sqrt(a * (1 - b)) * z[0], math.sqrt(1 - a)
own, shared = (first + second * z[1]).var(), (first + second * z[0]).var()
print(f"a noise for each step {own:.2f},   one z for both {shared:.2f},   1 − α α' = {1 - a * b:.2f}")
checks.identity("independent noises merge into one", own, 1 - a * b, tol=5e-3)
checks.identity("a shared one adds standard deviations", shared, (math.sqrt(a * (1 - b)) + second) ** 2, tol=5e-3)

# %% [markdown]
# ### Row 19
#
# **Outputs, not parameters.**
#
# - **The notes.** $\mu_\theta(x_t, t)$ and $\Sigma_\theta(x_t, t)$ are called parameters that are learned.
# - **What holds.** They are *outputs* of the network; $\theta$ are its parameters.
#   DDPM predicts $\varepsilon$, and fixes $\Sigma = \sigma_t^2 I$, because learning it was unstable there; Nichol and Dhariwal made learned variances work.
#   The cell has a model with a mean and a variance but without a single parameter: the mixture's best denoiser.
# - **Source.** Ho et al. 2020, section 3.2 and table 2; Nichol and Dhariwal 2021, equation 15.
# - **In the course.** [Learning and sampling](04b_learning_and_sampling.ipynb), section 10.

# %%
x_t, t = torch.tensor([[-1.0], [0.0], [2.0]]), torch.full((3,), 25)
mean, var = best.reverse(x_t, t)
print("parameters:", sum(theta.numel() for theta in best.parameters()))
print("μ at three x_25: ", *(f"{float(m):+.3f}" for m in mean))
checks.identity(
    "σ² is the schedule's, the same for every x_t", var.expand(3, 1), short.beta[25].expand(3, 1), tol=1e-12
)
learned = diffusion.DDPM(lambda *a: torch.cat([best_eps(*a), a[0].sigmoid()], 1), short, variance="learned")
_, var = learned.reverse(x_t, t)
print("learned σ² there:", *(f"{float(v):.4f}" for v in var))
checks.at_most("not below β̃", short.beta_tilde[25].expand(3, 1), var)
checks.at_most("nor above β", var, short.beta[25].expand(3, 1))

# %% [markdown]
# ### Row 20
#
# **Equal, or at most.**
#
# - **The notes.** The posterior and the network are said to relate *equivalently* to the variational lower bound.
# - **What holds.** It is an inequality, in expectation over $x_1, \dots, x_T$: $-\log p_\theta(x_0) \le E_q\big[L_T + \sum_{t>1} \operatorname{KL}(q(x_{t-1} \mid x_t, x_0) \,\|\, p_\theta(x_{t-1} \mid x_t)) + L_0\big]$, with $L_0 = -\log p_\theta(x_0 \mid x_1)$.
#   The loss used in training, $L_{\text{simple}} = E\|\varepsilon - \varepsilon_\theta\|^2$, has the same squared errors with other weights: $L_{t-1}$ counts that of step $t$ with $w_t = \beta_t^2/(2\sigma_t^2 \alpha_t (1 - \bar\alpha_t))$, up to a constant that no network changes (0 for $\sigma_t^2 = \tilde\beta_t$), and $L_{\text{simple}}$ with $1/T$.
#   Where no $w_t$ is above 1, as with the linear schedule, $T \cdot L_{\text{simple}}$ is therefore at least as large as what the network can change in $\sum_{t>1} L_{t-1}$: a bound again, but a loose one.
#   In the cell the data are $N(0, 1)$ and the denoiser is the best; then all that the model makes is Gaussian, and its own code length is known.
# - **Source.** Ho et al. 2020, equations 3, 5, 12 and 14; Kingma and Gao 2023, for weights under which such a loss is itself an ELBO, of data to which noise was added.
# - **In the course.** [Learning and sampling](04b_learning_and_sampling.ipynb), sections 8 and 9.

# %%
normal = data.GaussianMixture([[0.0]], [[[1.0]]])
model = diffusion.DDPM(lambda x_t, t, _: normal.optimal_eps(x_t, t, short), short, variance="beta_tilde")
variance = torch.tensor(1.0)  # of what the model makes, from t = 50 down to 0
for t in range(50, 0, -1):
    scale, var = model.reverse(torch.ones(1, 1), torch.tensor([t]))
    variance = (scale**2 * variance + var).squeeze()
own = 0.5 * ((2 * math.pi * variance).log() + 1 / variance)  # mean of −log p_θ over the data
bound = diffusion.vlb(model, normal.sample(20_000, generator=g).double(), generator=g, batch_size=4096).nats()
print(f"−log p_θ {own:.2f}, bound {bound.total.mean():.2f} nats   (entropy {normal.entropy():.2f})")
checks.at_most("the bound lies above", own, bound.total.mean())


# %%
def weight(s, var):
    """w_2 ... w_T of a schedule, for a table of variances."""
    return (s.beta**2 / (2 * var * s.alpha * (1 - s.alpha_bar)))[2:]


terms, weighted = bound.L_t.sum(1).mean(), weight(short, short.beta_tilde) @ short.alpha_bar[2:]
checks.identity("Σ L_(t−1) is made of weighted errors", terms, weighted, tol=0.15)  # E (ε − ε_θ)² is ᾱ_t here

usual = diffusion.DDPM(lambda x_t, t, _: normal.optimal_eps(x_t, t, linear), linear, variance="beta_tilde")
terms = diffusion.vlb(usual, normal.sample(200, generator=g).double(), generator=g, batch_size=4096).nats().L_t
for name, var in {"β": linear.beta, "β̃": linear.beta_tilde}.items():
    print(f"linear schedule, σ² = {name}: the largest weight is {weight(linear, var).max():.2f}")
print(f"its Σ L_(t−1) {terms.sum(1).mean():.1f}, its T · L_simple {linear.alpha_bar[1:].sum():.0f} nats")
checks.at_most("T · L_simple lies above it", terms.sum(1).mean(), linear.alpha_bar[1:].sum())

# %% [markdown]
# ## Words
#
# Two rows are about words, and no cell can decide them.

# %% [markdown]
# ### Row 21
#
# **A name.**
#
# - **The notes.** The lecturer's name is spelled Agarwal.
# - **What holds.** It is Pulkit Agrawal.
# - **Source.** The page of the MIT course.
# - **In the course.** [Start here](00_start_here.ipynb), at its end.

# %% [markdown]
# ### Row 28
#
# **Why it is called so.**
#
# - **The notes.** A flow model is called so because this is called a normalizing flow.
# - **What holds.** *Normalizing*: the map takes the data to a simple density, the standard normal.
#   *Flow*: the data move as in a flow in time, or through a composition of many maps.
#   (Rezende and Mohamed, who made the name known, run from the base density to the data, and take the word from the valid, normalized distribution at the end of the sequence.)
# - **Source.** Tabak and Vanden-Eijnden 2010; Tabak and Turner 2013; Rezende and Mohamed 2015.
# - **In the course.** [Normalizing flows](03_normalizing_flows.ipynb), section 8.

# %% [markdown]
# ## All in one table
#
# | row | what holds |
# |---|---|
# | [1](#Row-1) | D is the probability of real; D\* = p / (p + p_G) |
# | [2](#Row-2) | D sees x beside the picture; G takes x and noise |
# | [3](#Row-3) | a mean over pixels of the absolute error, weighted by λ |
# | [4](#Row-4) | depends on the task and the judge: accuracy rewards the mode, a cGAN draws from the distribution |
# | [22](#Row-22) | G(z); x enters with the condition |
# | [23](#Row-23) | a loss because G descends it, learned because it changes |
# | [24](#Row-24) | blurred reconstructions by the loss; odd samples by the prior's codes |
# | [13](#Row-13) | GAN: none; VAE, diffusion: a bound; flow: exact on continuous data, a bound on whole numbers |
# | [5](#Row-5) | data: samples only; base: chosen and fixed |
# | [6](#Row-6) | noisy and nonlinear: yes; linear: closed form; bijection: no integral |
# | [26](#Row-26) | N(0, I), of the dimension of x |
# | [7](#Row-7) | p_Z at f(x), times the absolute determinant |
# | [8](#Row-8) | the sum of both terms |
# | [9](#Row-9) | exp(s); its log-det is the sum of s |
# | [10](#Row-10) | lower triangular |
# | [11](#Row-11) | half is unchanged; three layers until all depends on all |
# | [12](#Row-12) | composed in reverse order; log-dets add |
# | [25](#Row-25) | one map; its inverse comes with it |
# | [27](#Row-27) | coordinates are coupled; networks and composing are expressive |
# | [14](#Row-14) | for a fixed N(0, I): shrink by √(1 − β_t), and let ᾱ_T go to 0 |
# | [29](#Row-29) | q is the whole transition; its variance β_t changes with t |
# | [15](#Row-15) | p_θ(x_{t−1} given x_t) |
# | [30](#Row-30) | depends on the data; p_θ approximates it, and draws anew |
# | [16](#Row-16) | the marginal is in terms of x_0; the product is the joint |
# | [17](#Row-17) | ᾱ_t is a product up to t |
# | [18](#Row-18) | independent noises add variances |
# | [19](#Row-19) | outputs of the network |
# | [20](#Row-20) | at most, in expectation; L_simple has other weights |
# | [21](#Row-21) | Agrawal |
# | [28](#Row-28) | to the standard normal, by a flow or by many maps |

# %% [markdown]
# <details><summary><b>Question.</b> Which of these rows would a unit test of working code have caught, and which not?</summary>
#
# Where a formula is *computed*, code that followed the notes would not have worked, and a test would have failed: a determinant's sign, an inverse in the wrong order, a product that runs too far.
# Where something is only *said*, code runs all the same: who is given $x$, what is learned, what bounds what.
# To decide such a sentence one needs a number that depends on it, and finding that number is most of the work.
# </details>

# %% [markdown]
# ## Where to read on
#
# - Goodfellow et al. 2014, *Generative Adversarial Nets*; Isola et al. 2017, *Image-to-Image Translation with Conditional Adversarial Networks*.
# - Kingma and Welling 2014, *Auto-Encoding Variational Bayes*; Hoffman and Johnson 2016, *ELBO Surgery: Yet Another Way to Carve up the Variational Evidence Lower Bound*; Theis, van den Oord and Bethge 2016, *A Note on the Evaluation of Generative Models*.
# - Dinh, Krueger and Bengio 2015, *NICE*; Dinh, Sohl-Dickstein and Bengio 2017, *Density Estimation Using Real NVP*; Tabak and Vanden-Eijnden 2010, *Density Estimation by Dual Ascent of the Log-Likelihood*; Tabak and Turner 2013, *A Family of Nonparametric Density Estimation Algorithms*; Rezende and Mohamed 2015, *Variational Inference with Normalizing Flows*.
# - Sohl-Dickstein et al. 2015, *Deep Unsupervised Learning using Nonequilibrium Thermodynamics*; Ho, Jain and Abbeel 2020, *Denoising Diffusion Probabilistic Models*; Nichol and Dhariwal 2021, *Improved Denoising Diffusion Probabilistic Models*; Song et al. 2021, *Score-Based Generative Modeling through Stochastic Differential Equations*; Kingma and Gao 2023, *Understanding Diffusion Objectives as the ELBO with Simple Data Augmentation*.
#
# Thirty sentences are decided, nearly all of them by a number that could be computed.
# With your own model and your own data nobody corrects the notes.
# Can you measure a model whose truth you cannot see, and defend what you found?
# Lab 4 asks that: `my_labs/lab_4_one_truth.ipynb`.
