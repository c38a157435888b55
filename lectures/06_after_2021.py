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
# # After 2021
#
# *The chain of lecture 04 is still at work in later models: what has been changed around it, and what is each change worth?*
#
# **You will learn**
#
# - why diffusion moved from pixels to the codes of an autoencoder, and what the decoder takes away;
# - how a transformer takes the place of the U-Net, and which of the two wins at this size;
# - two ways to make many calls into one: a student of its teacher's steps, and straight paths;
# - diffusion without Gaussians: levels that are masked and uncovered, with a bound in bits.
#
# **It takes** 30 minutes.
# **You need** the diffusion models of [Learning and sampling](04b_learning_and_sampling.ipynb), the ODE of [Continuous time](05_continuous_time.ipynb), and the VAE of [Learned losses](01_learned_losses.ipynb).

# %% jupyter={"source_hidden": true} tags=["remove-cell"]
# Where the course is missing, as on Colab, this installs it: the copy that the notebook lies in, or else this version.
from importlib.util import find_spec
from pathlib import Path

if not find_spec("gencourse"):
    course = "..[notebooks]" if Path("../gencourse").is_dir() else "genlib-course[notebooks]==0.1.0"
    get_ipython().run_line_magic("pip", f"install --quiet {course}")

# %%
import copy
import itertools
import math
import time

import torch
from gencourse import checks, plots
from gencourse.runs import run_file
from safetensors.torch import load_file
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from genlib import data, diffusion, flows, metrics, train
from genlib.autoencoder import VAE

torch.set_num_threads(1)  # the clocks below are those of one thread
N = torch.distributions.Normal


def seeded(seed=0):
    """A fresh generator, so that a cell that is run again draws the same numbers."""
    return torch.Generator().manual_seed(seed)


# %% [markdown]
# ## What we bring along
#
# The four ideas of this lecture start from the chain $x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\varepsilon$.
# They change what $x_0$ is, which network looks at $x_t$, how many calls a sample takes, or what noise is.
# For each of them we measure, at the size of digits, what the change does; where more than one thing differs, we say so.
# Digits are judged as in [Side by side](07_side_by_side.ipynb): the Fréchet distance of 300 drawn digits to the training digits, in the features of a small classifier, as a multiple of what the 297 held-out digits have.
# The scale is relative, and a number below 1 is no triumph: 285 held-out digits with the classes balanced as far as they go have 0.79.
# *Copying* is the share of digits that are nearer, in pixels, to a training digit than all but 5 % of the held-out digits are; new digits have 0.05 by construction.
# The reference is the pixel model of lecture 04b, a U-Net after 4000 steps of training.

# %%
digits, held = data.digits("train"), data.digits("test")
label = torch.arange(10).repeat(30)  # 300 digits, 30 of each class
pixel = diffusion.DDPM(diffusion.UNet.digits(), diffusion.Schedule.cosine(T=1000), predict="v", levels=17)
train.load(pixel, run_file("ddpm_digits.safetensors"))


def multiple(x):
    """The Fréchet distance, in multiples of that of held-out digits."""
    return metrics.digits_report(x).frechet_multiple


def nearest_level(x):
    return ((x.clamp(-1, 1) + 1) * 8).round() / 8 - 1


def spread(values, places=2):
    """Mean and standard deviation, in words."""
    values = torch.as_tensor(values, dtype=torch.float64)
    return f"{values.mean():.{places}f} ± {values.std():.{places}f}"


# %% [markdown]
# ## 1. Diffusion on codes
#
# A photograph of $512 \times 512$ pixels has 786,432 numbers, and a sampler asks a network about all of them in every step.
# *Latent diffusion* (Rombach et al. 2022) divides the work: an autoencoder, trained first, turns $x$ into a shorter code $z$ and back, and the diffusion model draws codes.
# The decoder is asked once for each picture, and the many calls go to a network that looks at codes.
#
# With a VAE this is a model of the data with a bound.
# Let $q(z \mid x)$ be its encoder, $p(x \mid z)$ its decoder, and let a diffusion model $p_\theta(z)$ take the place of the prior $N(0, I)$.
# The ELBO of lecture 01 never used what the prior is, so (Vahdat, Kreis and Kautz 2021; Rombach et al. have no such bound, their autoencoder is trained with other losses)
#
# $$-\log p(x) \;\le\; \underbrace{E_q\big[-\log p(x \mid z)\big]}_{\text{decoder}} + \underbrace{E_q\big[\log q(z \mid x)\big]}_{\text{encoder}} + \underbrace{E_q\big[-\log p_\theta(z)\big]}_{\text{model of the codes}}. \tag{1}$$
#
# The gap is $\operatorname{KL}(q(z \mid x) \,\|\, p(z \mid x))$, so the bound is tight where the encoder is the posterior.
# The last term has no closed form for a diffusion model, but its own variational bound may stand there, for a bound of a bound is one: *the total is what the VAE pays to write $x$ given the code, plus what the diffusion model pays for the code*.
#
# What can a better model of the codes gain?
# Let $q(z)$ be the density of codes that the encoder gives to the data as a whole.
# Averaged over the data, (1) changes with the prior only in its last term, and no prior is better than $q(z)$.
# The old prior pays more than that one (Hoffman and Johnson 2016) by
#
# $$E_x \operatorname{KL}\big(q(z \mid x) \,\big\|\, N(0, I)\big) - E_x \operatorname{KL}\big(q(z \mid x) \,\big\|\, q(z)\big) = \operatorname{KL}\big(q(z) \,\big\|\, N(0, I)\big), \tag{2}$$
#
# because the two divergences differ by $E_x E_{q(z \mid x)}[\log q(z) - \log N(z; 0, I)]$, and averaging over $x$ and then over $q(z \mid x)$ is averaging over $q(z)$.
# We check both where all integrals can be done: a code of one number, a decoder that is a line with noise, and a prior with two humps, for which $p(x)$ is again a mixture.

# %%
z_line = torch.linspace(-9, 9, 18_001, dtype=torch.float64)
dz = float(z_line[1] - z_line[0])
humps = data.GaussianMixture([[-1.0], [1.5]], [[[0.2]], [[0.1]]], [0.6, 0.4])  # the prior of the codes
x_few = torch.linspace(-1, 1.6, 9, dtype=torch.float64)
log_decoder = N(0.7 * z_line + 0.2, 0.3).log_prob(x_few[:, None])
log_prior = humps.log_prob(z_line[:, None])
exact = data.GaussianMixture(0.7 * humps.means + 0.2, 0.49 * humps.covs + 0.09, humps.weights)


def bound_1(log_q):
    """(1), for an encoder whose log-density on the line of codes is given for each x."""
    return (log_q.exp() * (log_q - log_decoder - log_prior) * dz).sum(1)


posterior = (log_decoder + log_prior).log_softmax(1) - math.log(dz)
encoder = N((1.2 * x_few - 0.2)[:, None], 0.5).log_prob(z_line)
cost = -exact.log_prob(x_few[:, None])
checks.identity("the bound is tight for the posterior (1)", bound_1(posterior), cost, tol=1e-9)
checks.at_most("and a bound for another encoder (1)", cost, bound_1(encoder))

means, stds = (
    torch.tensor([-1.4, 0.1, 0.9]).double(),
    torch.tensor([0.3, 0.5, 0.2]).double(),
)  # of q(z | x), three x
of_each = N(means[:, None], stds[:, None]).log_prob(z_line)
together = of_each.logsumexp(0) - math.log(3)
to_normal = (0.5 * (means**2 + stds**2 - 1) - stds.log()).mean()
to_all = (of_each.exp() * (of_each - together) * dz).sum(1).mean()
hole = (together.exp() * (together - N(0.0, 1.0).log_prob(z_line)) * dz).sum()
checks.identity("what the old prior pays too much (2)", to_normal - to_all, hole, tol=1e-9)

# %% [markdown]
# ### What encoder and decoder lose
#
# Now digits, with the VAE of lecture 07, which was told the class and turns 64 pixels into 16 numbers.
# Whatever model draws the codes, the pictures come out of this decoder.
# So we send real held-out digits through encoder and decoder, with no model of the codes at all: what is lost there, a perfect model of these codes loses as well.
# We take the decoder's mean, as is usual; a draw of $p(x \mid z)$ would add its noise, as in lecture 07.

# %%
vae = VAE(dim=64, latent=16, width=256, std=0.3, n_classes=10, learn_std=True)
train.load(vae, run_file("side_digits_vae.safetensors"))


@torch.no_grad()
def codes_of(split, copies, seed=0):
    """Codes drawn from q(z | x) for dequantized digits, their classes, and those digits."""
    x, of_class = data.digits(split, integers=True)
    x, of_class = x.flatten(1).repeat(copies, 1), of_class.repeat(copies)
    x = 2 * flows.dequantize(x, 17, seeded(seed)) - 1
    mean, log_s = vae.encode(x, of_class)
    return mean + log_s.exp() * torch.randn(mean.shape, generator=seeded(seed + 1)), of_class, x


@torch.no_grad()
def decoded(z, of_class=label):
    """The decoder's mean as pictures of 17 levels."""
    return flows.quantize((vae.decode(z, of_class) + 1) / 2, 17).view(-1, 1, 8, 8) / 8 - 1


# %% tags=["nbval-ignore-output"]
def thirty_of_each(of_class, seed):
    order = torch.randperm(len(of_class), generator=seeded(seed))
    return torch.cat([order[of_class[order] == k][:30] for k in range(10)])


through, seen, seen_through = [], [], []
for k in range(5):
    z_held, class_held, x_held = codes_of("test", 1, 2 * k)
    through.append(decoded(z_held, class_held))
    z_seen, class_seen, _ = codes_of("train", 1, 2 * k)
    picked = thirty_of_each(digits.label, k)
    seen.append(multiple(digits.x[picked]))
    seen_through.append(multiple(decoded(z_seen[picked], class_seen[picked])))
error = (vae.decode(z_held, class_held).detach() - x_held).square().mean().sqrt() * 8
accuracies = torch.tensor([metrics.label_accuracy(x, held.label) for x in through])
copies = torch.tensor([metrics.copying(x) for x in through])
print(f"root mean square error: {error:.2f} of the 16 grey levels between black and white")
print(
    f"Fréchet multiple of held-out digits {multiple(held.x):.2f}, through the VAE {spread([*map(multiple, through)])}"
)
print(f"of 300 training digits {spread(seen)}, through the VAE {spread(seen_through)}")
print(
    f"label accuracy of held-out digits {metrics.label_accuracy(*held):.3f}, through the VAE {accuracies.mean():.3f}"
)
print(f"copying of held-out digits {metrics.copying(held.x):.3f}, through the VAE {copies.mean():.3f}")

# %% [markdown]
# In the figure below strokes are softened, and thin ones lost.
# Held-out digits come out half as far again from the training digits as they went in, 1.51 against 1.00, although the judge still reads nearly all of them.
# Training digits lose less, because the VAE has seen them: 0.55 against 0.41, a difference as large as the spread over draws.
# A model whose codes were distributed exactly as the encoder's codes of the training digits would have this number.
# It is what a perfect model of *these* codes reaches, and no bound: other codes for the same decoder may come nearer.
#
# ### A model of the codes
#
# The diffusion model is a small dense network on 16 numbers, trained on codes of the training digits, 20 draws of each.
# One preparation is needed.
# A schedule decides how much noise hides how much signal, and it is made for data of variance 1: with codes of standard deviation $c$ the signal-to-noise ratio is $c^2\,\bar\alpha_t/(1 - \bar\alpha_t)$, so a wrong scale shifts the log-ratio of *every* step by $2 \log c$, and most steps are spent where nothing, or everything, is hidden.
# Hence the codes' mean is subtracted, they are divided by their own standard deviation, and what is drawn goes back the same way.

# %%
z_train, class_train, _ = codes_of("train", 20)
z_mean, z_std = z_train.mean(0), z_train.std(0)
latent = diffusion.DDPM(
    diffusion.MLP(dim=16, width=96, depth=3, n_classes=10),
    diffusion.Schedule.cosine(T=1000), predict="v", shape=(16,),
)  # fmt: skip
train.load(latent, run_file("after_latent.safetensors"))


def draw_latent(seed, steps=25):
    return decoded(latent.sample(300, label, seeded(seed), steps=steps) * z_std + z_mean)


def draw_pixel(seed, steps=25):
    return nearest_level(pixel.sample(300, label, seeded(seed), steps=steps, clip=True))


def draw_prior(seed):
    return decoded(torch.randn(300, 16, generator=seeded(seed)))


# %% tags=["nbval-ignore-output"]
def flops(net, shape):
    """Of one call for one example: multiplications and additions, in millions."""
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        net(torch.zeros(shape), torch.tensor([5]), torch.tensor([1]))
    return counter.get_total_flops() / 1e6


def measured(draw, draws=3):
    start = time.perf_counter()
    sets = [draw(k) for k in range(draws)]
    ms = 1000 * (time.perf_counter() - start) / draws / 300
    accuracy = sum(metrics.label_accuracy(x, label) for x in sets) / draws
    copying = sum(metrics.copying(x) for x in sets) / draws
    return sets[0], [spread([*map(multiple, sets)]), accuracy, copying, ms]


columns = {"prior N(0, I)": draw_prior, "latent model": draw_latent, "pixel model": draw_pixel}
found = {name: measured(draw) for name, draw in columns.items()}
of_net = {"prior N(0, I)": (None, None)}
for name, model, shape in (("latent model", latent, (1, 16)), ("pixel model", pixel, (1, 1, 8, 8))):
    of_net[name] = sum(p.numel() for p in model.net.parameters()), flops(model.net, shape)
what = ("Fréchet multiple, three draws", "label accuracy", "copying", "milliseconds per picture")
rows = [plots.Row(w, [found[c][1][i] for c in columns], form=".3f") for i, w in enumerate(what)]
rows += [
    plots.Row(w, [of_net[c][i] for c in columns], form=form)
    for i, (w, form) in enumerate((("parameters of the net", ",.0f"), ("million operations a call", ".2f")))
]
plots.table(
    list(columns),
    rows,
    caption="Codes from the prior, codes from a diffusion model in 25 calls, and pixels in 25 calls.",
)

# %%
plots.image_rows(
    real=torch.stack([held.x[held.label == k][0] for k in range(10)]),
    through_the_VAE=torch.stack([through[0][held.label == k][0] for k in range(10)]),
    prior=found["prior N(0, I)"][0][:10], latent_model=found["latent model"][0][:10], pixel_model=found["pixel model"][0][:10],
    alt="Five rows of ten digits, 0 to 9: real ones; the same through the VAE, a little softer; digits from codes of the prior, some of them ragged; digits of the latent model; digits of the pixel model.",
)  # fmt: skip

# %% [markdown]
# A call of the latent model's network takes 0.21 million operations, and one of the U-Net 7.68 million.
# Codes from the diffusion model in the place of codes from $N(0, I)$, with the same decoder, take the Fréchet multiple from 2.04 to 0.73, so the codes of each class do not fill the normal density evenly.
# The pixel model has 0.61; three draws do not separate the two.
# The share of near copies is 0.139, where new digits have 0.051.
# That does not show that codes are copied, for held-out digits that are merely sent through the VAE have 0.128; nor does the decoder alone do it, since codes of the prior give 0.029.
# A mean without the decoder's noise is smoother than any digit, and lies nearer to all of them: with the noise that $p(x \mid z)$ adds, the shares of both fall to about 0.03, as the next cell prints.
#
# <details><summary><b>Question.</b> Why not train the autoencoder and the diffusion model together, on the bound (1)?</summary>
#
# One can, for (1) is a bound for any encoder, decoder and model of the codes.
# But then the codes move while the diffusion model learns them, and each step of training costs both.
# With the autoencoder finished first, codes are computed once and the second training never sees a pixel; and one autoencoder serves many models.
# </details>


# %% tags=["nbval-ignore-output"]
@torch.no_grad()
def noisy(x):
    """What a decoder's mean becomes with its noise."""
    x = x.flatten(1) + vae.log_std.detach().exp() * torch.randn(len(x), 64, generator=seeded(7))
    return nearest_level(x).view(-1, 1, 8, 8)


for name, x in (("held-out digits through the VAE", through[0]), ("the latent model", found["latent model"][0])):
    print(
        f"copying of {name}: {metrics.copying(x):.3f}, with the decoder's noise {metrics.copying(noisy(x)):.3f}"
    )

# %% tags=["nbval-ignore-output"]
scales = load_file(run_file("after_latent_seeds.safetensors"))
for scale, each in zip(scales["scale"].tolist(), scales["multiple"].mean(2), strict=True):
    print(f"codes × {scale:4.1f}: Fréchet multiple of three trainings", *(f"{value:.2f}" for value in each))
right = scales["multiple"].mean(2)[0]
for row, scale in ((1, "a tenth"), (2, "ten times")):
    checks.at_most(
        f"codes of {scale} that size are worse, in each training", right, scales["multiple"].mean(2)[row]
    )

# %% [markdown]
# Between these rows the scale alone differs: the network, the schedule, the steps and the seeds are the same, and what is drawn is divided by the same factor.
# Both wrong scales are worse by more than the seeds differ.
# The scale changes two things at once, the signal-to-noise ratio of every step and the size of what the network sees and is asked for; which of them costs more, the rows do not say.
# That neither is a catastrophe fits a schedule that reaches over many powers of ten.

# %% [markdown]
# ## 2. A transformer in the place of the U-Net
#
# A U-Net knows that its input is a picture: its convolutions look at neighbours, and its levels at coarser and coarser versions.
# The *diffusion transformer*, DiT (Peebles and Xie 2023), is told nothing of the kind.
# The picture is cut into patches, here 16 of $2 \times 2$ pixels, each patch becomes a vector $h$ by a linear map, and a code of its place is added.
# Then come blocks in which the patches look at one another by attention, $\operatorname{softmax}(q k^\top/\sqrt{d})\,v$, and each goes through two dense layers.
#
# How does such a block learn the step and the class?
# *adaLN-zero*: with $F$ the attention or the dense layers, and $\operatorname{LN}$ the normalisation of each vector to mean 0 and variance 1,
#
# $$h \;\leftarrow\; h + g \odot F\big(\operatorname{LN}(h) \odot (1 + \gamma) + \delta\big), \qquad (\delta, \gamma, g) = W\,\tau(t, \text{label}) + b, \tag{3}$$
#
# where $\tau$ is the vector that stands for step and label.
# $W$ and $b$ begin at *zero*.
# Then every gate $g$ is 0 and every block is the identity, however deep the network is; the last layer begins at zero as well, so the first answer is 0 at every step (the mean of the target, if that is the noise).
# Training opens the gates as far as they help.
#


# %%
def by_hand(block, h, told):
    """(3), for attention and then for the dense layers."""

    def normed(h):
        return (h - h.mean(-1, keepdim=True)) / (h.var(-1, correction=0, keepdim=True) + 1e-6).sqrt()

    def attention(h):
        q, k, v = (part.unflatten(2, (4, -1)) for part in block.q_k_v(h).chunk(3, dim=2))  # four heads
        looks = (torch.einsum("bihd,bjhd->bhij", q, k) / math.sqrt(q.shape[-1])).softmax(-1)
        return block.out(torch.einsum("bhij,bjhd->bihd", looks, v).flatten(2))

    def dense(h):
        h = block.dense_1(h)
        return block.dense_2(h * N(0.0, 1.0).cdf(h))  # GELU

    delta_1, gamma_1, g_1, delta_2, gamma_2, g_2 = block.modulation(told)[:, None].chunk(6, dim=2)
    h = h + g_1 * attention(normed(h) * (1 + gamma_1) + delta_1)
    return h + g_2 * dense(normed(h) * (1 + gamma_2) + delta_2)


torch.manual_seed(0)
fresh = diffusion.DiT.digits().double().requires_grad_(False)
for name, weight in fresh.named_parameters():
    if "modulation" not in name and "last" not in name:
        weight.copy_(0.3 * torch.randn(weight.shape, generator=seeded(1)))
h, told = torch.randn(5, 16, 48, generator=seeded(2)).double(), torch.randn(5, 48, generator=seeded(3)).double()
picture, at = torch.randn(5, 1, 8, 8, generator=seeded(4)).double(), torch.tensor([1, 10, 100, 500, 1000])
checks.identity("with its gates at 0 a block is the identity (3)", fresh.blocks[0](h, told), h, tol=1e-12)
checks.identity("and the first answer is 0", fresh(picture, at, label[:5]), torch.zeros_like(picture), tol=1e-12)

trained_like = copy.deepcopy(fresh.blocks[0])
trained_like.modulation.weight.copy_(0.1 * torch.randn(288, 48, generator=seeded(5)))
checks.identity("a block by hand (3)", trained_like(h, told), by_hand(trained_like, h, told), tol=1e-9)
order = torch.randperm(16, generator=seeded(6))
checks.identity(
    "a block does not see where a patch is",
    trained_like(h[:, order], told),
    trained_like(h, told)[:, order],
    tol=1e-9,
)

# %% [markdown]
# The last line is the price of generality.
# Exchange patches, and a block's answers change places: all that a DiT knows of the plane, beyond the patches themselves, is the code of the place, and it must learn from data what a convolution has from the start.
#
# ### Which one wins?
#
# The U-Net of lecture 04b and a DiT of about as many parameters, on the same digits with the same loss, from three seeds each: after as many steps, and after as many seconds of a processor, of which a step of this DiT takes less.
# The held-out loss is the squared error of $v$ on the 297 held-out digits, with the same steps and the same noise for all.

# %% tags=["nbval-ignore-output"]
races = load_file(run_file("after_dit_seeds.safetensors"))
names = {"unet": "U-Net", "dit": "DiT"}
dit = diffusion.DDPM(diffusion.DiT.digits(), diffusion.Schedule.cosine(T=1000), predict="v", levels=17)
train.load(dit, run_file("after_dit.safetensors"))
for model, name in ((pixel, "U-Net"), (dit, "DiT")):
    print(
        f"{name:5} {sum(p.numel() for p in model.net.parameters()):,} parameters, {flops(model.net, (1, 1, 8, 8)):.1f} million operations a call"
    )
lines = []
for run in ("unet.600", "dit.600", "dit.1040", "unet.2000", "dit.3460"):
    took, loss, accuracy, *draws = races[run].T
    net, steps = run.split(".")
    values = [f"{took.mean():.0f}", spread(loss, 4), spread(torch.stack(draws).mean(0)), f"{accuracy.mean():.3f}"]
    lines.append(plots.Row(f"{names[net]}, {int(steps):,} steps", values))
plots.table(
    ["seconds", "held-out loss", "Fréchet", "accuracy"], lines,
    caption="U-Net and DiT on digits: mean ± standard deviation of three seeds, and the seconds of a processor. "
    "Fréchet: the multiple, for each seed the mean of five draws of 300 digits with 25 calls.",
)  # fmt: skip

# %%
distance = {run: each[:, 3:].mean(1) for run, each in races.items()}  # of each seed
checks.at_most(
    "after as many steps the U-Net's digits are nearer, in each training",
    distance["unet.600"].max(),
    distance["dit.600"].min(),
)
checks.at_most("after as many seconds, too", distance["unet.600"].max(), distance["dit.1040"].min())
checks.at_most("and after three times as many", distance["unet.2000"].max(), distance["dit.3460"].min())

# %% [markdown]
# At this size the U-Net wins all three comparisons, by its held-out loss as by its digits, and in every seed.
# After as many steps it is far ahead, 2.84 against 9.1; given the same seconds, and in fact a few more, the DiT comes to 4.5; after 2000 steps of the one and 3460 of the other it is 0.80 against 1.16.
# So the difference shrinks with training; the ratio hardly, from 1.6 to 1.5 at equal seconds.
# The table says nothing of why, for the two networks differ in everything, and nothing of large pictures and long trainings, where Peebles and Xie report that a DiT becomes better the more operations it is given.

# %% [markdown]
# ## 3. Fewer calls
#
# DDIM takes few steps with a network that was trained for many, and with one or two of them its digits are far off.
# A network can instead be trained *for* few steps.
# We look at two ways to get the targets: from a teacher's steps, and from straighter paths.
#
# ### A student of two steps
#
# Write DDIM's step ([Learning and sampling](04b_learning_and_sampling.ipynb), (27)) from $t$ to $s$ with the guess $\hat x$ of $x_0$ alone, with the angle of lecture 05, $\cos\varphi_t = \sqrt{\bar\alpha_t}$, in which $\hat\varepsilon = (x_t - \cos\varphi_t\,\hat x)/\sin\varphi_t$:
#
# $$x_s = \cos\varphi_s\,\hat x + \sin\varphi_s\,\hat\varepsilon = \frac{\sin\varphi_s}{\sin\varphi_t}\,x_t + d(t, s)\,\hat x, \qquad d(t, s) = \cos\varphi_s - \frac{\sin\varphi_s}{\sin\varphi_t}\cos\varphi_t = \frac{\sin(\varphi_t - \varphi_s)}{\sin\varphi_t}. \tag{4}$$
#
# A step is affine in the guess.
# So wherever two steps of a teacher lead, from $t$ over $m$ to $s$, one step with a suitable guess $\tilde x$ leads as well.
# Insert the first step, with guess $\hat x$, into the second one, with guess $\hat x'$ at $x_m$, and compare with one step from $t$ to $s$:
#
# $$d(t, s)\,\tilde x = \frac{\sin\varphi_s}{\sin\varphi_m}\,d(t, m)\,\hat x + d(m, s)\,\hat x' \quad\Longrightarrow\quad \tilde x = \hat x + w\,(\hat x' - \hat x), \quad w = \frac{d(m, s)}{d(t, s)}, \tag{5}$$
#
# because the coefficients on the left and on the right agree, $d(t, s) = \frac{\sin\varphi_s}{\sin\varphi_m} d(t, m) + d(m, s)$.
# In *progressive distillation* (Salimans and Ho 2022) a student begins as a copy of its teacher and is trained on $\tilde x$ in the place of $x_0$.
# It then takes one step where the teacher takes two, becomes the teacher, and the number of steps is halved again: 16, 8, 4, 2, 1.
# While $x_0$ given $x_t$ is random, and its best guess a blur, $\tilde x$ is a function of $x_t$, which a student can hope to reach exactly.
#
# The cell takes the best denoiser of a mixture as the teacher.
# The student answers (5).

# %%
pair = data.GaussianMixture([[-0.8], [0.6]], [[[0.04]], [[0.09]]], [0.35, 0.65])
cosine = diffusion.Schedule.cosine(T=1000)
many, few = (
    cosine.respaced([250, 500, 750, 1000]),
    cosine.respaced([500, 1000]),
)  # the teacher's chain, the student's
teacher = diffusion.DDPM(
    lambda x_t, t, label: many.convert(pair.optimal_eps(x_t, t, many), x_t, t, "eps", "v"),
    many,
    predict="v",
    shape=(1,),
)
cos, sin = many.sqrt_alpha_bar, many.sqrt_one_minus_alpha_bar  # of φ_t


def d(t, s):
    return cos[s] - sin[s] / sin[t] * cos[t]


def x_tilde(x_t, t):
    """(5), for steps t = 4 or 2 of the teacher's chain, and s = t − 2."""
    m, s = t - 1, t - 2
    first = teacher.denoise(x_t, torch.full((len(x_t),), t)).x_0
    x_m = sin[m] / sin[t] * x_t + d(t, m) * first  # (4)
    second = teacher.denoise(x_m, torch.full((len(x_t),), m)).x_0
    return first + d(m, s) / d(t, s) * (second - first)


student = diffusion.DDPM(lambda x_t, t, label: x_tilde(x_t, 2 * int(t[0])), few, predict="x_0", shape=(1,))
start_points = torch.linspace(-2.5, 2.5, 41, dtype=torch.float64)[:, None]
slow, fast = (torch.stack(list(diffusion.ddim(model, (41, 1), x_T=start_points))) for model in (teacher, student))
one_guess = sin[3] / sin[4] * start_points + d(4, 3) * teacher.denoise(start_points, torch.full((41,), 4)).x_0
checks.identity("a step of DDIM by its guess of x_0 alone (4)", one_guess, slow[1], tol=1e-9)
checks.identity("each step of the student is two of the teacher's (5)", fast[1:], slow[2::2], tol=1e-9)
learner = diffusion.DDPM(
    lambda x_t, t, label: torch.where((t == 2)[:, None], x_tilde(x_t, 2), x_tilde(x_t, 4)),
    many, predict="x_0", shape=(1,),
)  # fmt: skip
((_, loss, _),) = diffusion.Progressive(learner, teacher, 2).losses(
    pair.sample(200, seeded(1)).double(), seeded(2)
)
checks.identity("and genlib's loss is then 0 (5)", loss, 0.0, tol=1e-12)

# %% [markdown]
# ### Straight paths
#
# The other way asks why few steps fail.
# Euler's rule follows a tangent, and is exact where the path is straight and run through evenly.
# Take flow matching ([Paths and weights](05b_paths_and_weights.ipynb)): noise $\varepsilon$ and data $x_0$ are drawn independently, $X_s = (1 - s)\,x_0 + s\,\varepsilon$, and the network learns $u(x, s) = E[x_0 - \varepsilon \mid X_s = x]$.
# The lines are straight, but they cross, and $u$ averages over those that cross; the paths of the ODE do not cross, so they bend.
#
# *Reflow* (Liu, Gong and Liu 2023) trains again, on pairs that cross less: a noise $Z_1 = \varepsilon$ and the point $Z_0$ to which the ODE has led it.
# Each such pair is a new line, and the marginals are still noise and data, since the ODE carries one to the other.
# What has been gained?
# Call $E\|x_0 - \varepsilon\|^2$ the *transport cost* of a way to pair noise with data.
# Along a path $Z_0 - Z_1 = \int_0^1 u(Z_s, s)\,ds$ is the mean velocity, so $\int \|u\|^2 ds$ is the square of this mean plus the variance of $u$ around it, $\int \|u - (Z_0 - Z_1)\|^2 ds$.
# And since $u$ is a conditional mean and $Z_s$ is distributed as $X_s$, $E\|x_0 - \varepsilon\|^2 = E\|u(Z_s, s)\|^2 + E \operatorname{Var}(x_0 - \varepsilon \mid X_s)$ at every $s$, with Var for the sum of the variances of all coordinates.
# Together
#
# $$E\|x_0 - \varepsilon\|^2 = \underbrace{E\|Z_0 - Z_1\|^2}_{\text{cost of the new pairs}} + \underbrace{E\!\int_0^1\!\|u(Z_s, s) - (Z_0 - Z_1)\|^2\,ds}_{\text{how far the paths are from straight}} + \underbrace{\int_0^1\! E \operatorname{Var}(x_0 - \varepsilon \mid X_s)\,ds}_{\text{how much the lines cross}}. \tag{6}$$
#
# Both last terms are at least 0: *the transport cost does not rise*, and it stays the same only where no lines cross and all paths are straight.
# The same holds for the next round, in which the new pairs stand on the left.
# The costs cannot fall for ever, so over the rounds the two terms go to 0, and with straight paths one step of Euler's rule is enough.
# (With exact velocities, that is.)
#
# On a line all of (6) is known.
# Paths that do not cross keep their order, so the new pairs join quantiles to quantiles, and their cost needs no ODE.

# %%
w, mu, var = pair.weights.double(), pair.means[:, 0].double(), pair.covs[:, 0, 0].double()


def velocity(x, s):
    """E and Var of x_0 − ε given X_s = x, and the density of X_s, for the mixture."""
    total = (1 - s) ** 2 * var + s**2
    joint = w * N((1 - s) * mu, total.sqrt()).log_prob(x[:, None]).exp()
    slope = ((1 - s) * var - s) / total
    mean = mu + slope * (x[:, None] - (1 - s) * mu)
    share = joint / joint.sum(1, keepdim=True)
    u = (share * mean).sum(1)
    return u, (share * (mean**2 + var + 1 - slope**2 * total)).sum(1) - u**2, joint.sum(1)


quantile = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
noise = N(0.0, 1.0).icdf(quantile)
low, high = torch.full_like(noise, -3), torch.full_like(noise, 3)
for _ in range(50):  # the quantiles of the mixture, by bisection
    middle = (low + high) / 2
    below = (w * N(mu, var.sqrt()).cdf(middle[:, None])).sum(1) < quantile
    low, high = torch.where(below, middle, low), torch.where(below, high, middle)
cost_of_new = (low - noise).square().mean()

# %%
n = 200
Z, along = [noise], []
for i in range(n):  # from s = 1 to 0, by Runge and Kutta's rule
    s, x = 1 - i / n, Z[-1]
    k_1 = velocity(x, s)[0]
    k_2 = velocity(x + k_1 / (2 * n), s - 1 / (2 * n))[0]
    k_3 = velocity(x + k_2 / (2 * n), s - 1 / (2 * n))[0]
    k_4 = velocity(x + k_3 / n, s - 1 / n)[0]
    along.append(k_1)
    Z.append(x + (k_1 + 2 * k_2 + 2 * k_3 + k_4) / (6 * n))
along = torch.stack([*along, velocity(Z[-1], 0.0)[0]])
from_straight = torch.trapezoid((along - (Z[-1] - noise)).square().mean(1), dx=1 / n)
grid = torch.linspace(-7, 7, 3001, dtype=torch.float64)
parts = [velocity(grid, i / n) for i in range(n + 1)]
crossing = torch.trapezoid(torch.stack([torch.trapezoid(q * v, grid) for _, v, q in parts]), dx=1 / n)
cost_of_old = (w * (mu**2 + var)).sum() + 1
checks.identity("the ODE joins quantiles to quantiles", Z[-1], low, tol=1e-4)
checks.identity("where the old cost has gone (6)", cost_of_new + from_straight + crossing, cost_of_old, tol=2e-3)
print(
    f"cost {cost_of_old:.3f} = new pairs {cost_of_new:.3f} + not straight {from_straight:.3f} + crossing {crossing:.3f}"
)

# %% [markdown]
# In the plane we train: a velocity for the ring of eight modes of lecture 07, pairs from its ODE in 64 steps, and the same network again on these pairs.

# %%
even = data.GaussianMixture.ring(n=8, radius=0.6, std=0.06)
ring = data.GaussianMixture(even.means, even.covs, weights=torch.arange(1, 9) / 36)
torch.manual_seed(0)
straight = diffusion.Schedule.straight(T=1000)
first = diffusion.DDPM(diffusion.MLP(dim=2, width=64), straight, predict="u", shape=(2,))
options = {"steps": 1000, "batch_size": 256, "seed": 0, "progress": False}
start = time.process_time()
train.fit(diffusion.Denoising(first), ring.sample(20_000, seeded(0)), **options)
pairs = diffusion.pairs_of(first, 10_000, seeded(1), steps=64)
second = copy.deepcopy(first)
train.fit(diffusion.Reflow(second), pairs, **options)
seconds = time.process_time() - start


def walk(model, steps=64, n=2000):
    """The paths Z_s = (1 − s) x_0 + s ε from s = 1 to 0, (steps + 1, n, 2)."""
    at = torch.linspace(1, 0, steps + 1)
    x_t = torch.stack(list(diffusion.ddim(model, (n, 2), steps=steps, generator=seeded(2))))
    return x_t * torch.hypot(1 - at, at)[:, None, None]


def cost_and_bend(Z):
    """Of paths, E‖Z_0 − Z_1‖² and the middle term of (6)."""
    way, u = Z[-1] - Z[0], Z.diff(dim=0) * (len(Z) - 1)
    return float(way.square().sum(1).mean()), float((u - way).square().sum(2).mean())


paths = [walk(model) for model in (first, second)]

# %% tags=["nbval-ignore-output"]
independent = float(
    (ring.sample(20_000, seeded(3)) - torch.randn(20_000, 2, generator=seeded(4))).square().sum(1).mean()
)
measured_paths = [cost_and_bend(Z) for Z in paths]
print(f"two trainings and the pairs: {seconds:.0f} s of one processor")
print(f"independent pairs: cost {independent:.3f}")
for name, (cost_of, bend) in zip(("flow matching", "after reflow"), measured_paths, strict=True):
    print(f"{name}: cost {cost_of:.3f}, not straight {bend:.4f}")
checks.at_most("the cost falls from independent pairs to those of the ODE (6)", measured_paths[0][0], independent)
checks.at_most(
    "after reflow the paths are straighter, by a factor of ten and more",
    10 * measured_paths[1][1],
    measured_paths[0][1],
)

# %%
frame = {"xlim": (-1.7, 1.7), "ylim": (-1.7, 1.7), "xticks": (-1, 0, 1), "yticks": (-1, 0, 1)}
one_step = [walk(model, steps=1)[-1] for model in (first, second)]
plots.figure(
    *[
        panel
        for Z, one, name in zip(paths, one_step, ("", ", reflow"), strict=True)
        for panel in (
            plots.points({"path": Z[:, :40].flatten(0, 1)}, size=3, title=f"paths{name}", **frame),
            plots.points({"one call": one}, size=4, title=f"one call{name}", **frame),
        )
    ],
    alt="Four panels. Paths of forty points: those of flow matching first run towards the middle and then bend to the ring. One call of it: all points in a small spot at the middle. Paths after reflow: straight lines to the ring. One call after reflow: the ring, with a few points inside.",
)  # fmt: skip

# %% [markdown]
# ### Quality against calls
#
# Four samplers on the ring, from three seeds: Euler's rule on the first velocity; the same network after reflow; the same after a training that differs in one thing, for the partners are exchanged at random among the pairs; and students of progressive distillation, whose first teacher is the first velocity with 16 calls.
# On digits it is one training of each: DDIM with the pixel model and its students, and flow matching before and after reflow.

# %% tags=["nbval-ignore-output"]
calls = torch.tensor([1, 2, 4, 8])
on_ring = load_file(run_file("after_few_ring.safetensors"))
kinds = {
    "euler": "flow matching",
    "reflow": "reflow",
    "shuffled": "partners exchanged",
    "progressive": "progressive",
}
print(
    f"ring: energy distance × 1000 with 1, 2, 4, 8 calls, three seeds; twelve other samples of the truth {on_ring['truth'].min():.2f} to {on_ring['truth'].max():.2f}"
)
for key, name in kinds.items():
    print(f"  {name:18}", "; ".join(" ".join(f"{v:.2f}" for v in each) for each in on_ring[key][:, :4]))
print("  flow matching in 64 calls:", *(f"{v:.2f}" for v in on_ring["euler"][:, 4]))
sets = load_file(run_file("after_few_digits.safetensors"))
on_digits = {key: sets[f"{key}.multiple"] for key in ("ddim", "progressive", "euler", "reflow")}
kinds_digits = {"ddim": "DDIM", "progressive": "progressive", "euler": "flow matching", "reflow": "reflow"}
print("digits: Fréchet multiple with 1, 2, 4, 8 calls, mean and standard deviation of five draws")
for key, name in kinds_digits.items():
    print(f"  {name:18}", "; ".join(spread(each) for each in on_digits[key]))

# %%
of_calls = {"yscale": "log", "xlim": (0.5, 8.5), "xticks": (1, 2, 4, 8), "xlabel": "calls of the network"}
plots.figure(
    plots.lines(
        calls, {name: on_ring[key][:, :4].mean(0) for key, name in kinds.items()},
        ylim=(0.1, 10_000), title="ring: energy distance × 1000", **of_calls,
    ),
    plots.lines(
        calls, {name: on_digits[key].mean(1) for key, name in kinds_digits.items()},
        ylim=(0.3, 100), title="digits: Fréchet multiple", **of_calls,
    ),
    alt="Two panels against the calls, the vertical axes logarithmic. Ring: two curves on top of each other, before reflow and with exchanged partners, fall from 370 to 4 or 5; progressive distillation lies flat at 1.2, reflow flat at 0.3. Digits: DDIM and flow matching, nearly one curve, fall from 8.6 to 0.8; reflow lies flat at 0.7, and progressive distillation at 0.65.",
)  # fmt: skip

# %%
plots.image_rows(
    **{name.replace(" ", "_"): sets[key][0, :10] / 8.0 - 1 for key, name in kinds_digits.items()},
    alt="Four rows of ten digits, each drawn with one call: those of DDIM and of flow matching are grey averages of their class; those of progressive distillation and of reflow are crisp.",
)  # fmt: skip

# %% tags=["nbval-ignore-output"]
student_of_one = diffusion.DDPM(diffusion.UNet.digits(), pixel.schedule, predict="v", levels=17)
train.load(student_of_one, run_file("after_student.safetensors"))
for name, model, n in (("pixel model", pixel, 16), ("its student", student_of_one, 1)):
    start = time.perf_counter()
    draws = [nearest_level(model.sample(300, label, seeded(k), steps=n, clip=True)) for k in range(5)]
    ms = 1000 * (time.perf_counter() - start) / 1500
    numbers = (
        f"Fréchet multiple {spread([*map(multiple, draws)])}, copying {metrics.copying(torch.cat(draws)):.3f}"
    )
    print(f"{name:11} {n:2} calls, {ms:.2f} ms per picture: {numbers}")

# %%
checks.at_most(
    "on the ring one call after reflow is nearer than eight of Euler's, in each training",
    on_ring["reflow"][:, 0], on_ring["euler"][:, 3],
)  # fmt: skip
checks.at_most(
    "the right partners do it, not the second training", 100 * on_ring["reflow"][:, 0], on_ring["shuffled"][:, 0]
)
checks.at_most(
    "on digits a student's one call is nearer than four of DDIM's",
    on_digits["progressive"][0].max(),
    on_digits["ddim"][2].min(),
)
checks.at_most(
    "and one call after reflow than four of Euler's", on_digits["reflow"][0].max(), on_digits["euler"][2].min()
)

# %% [markdown]
# After reflow one call is enough on the ring.
# The distances of the three trainings are 0.23, 0.61 and 0.28: small, but not those of the truth, of which twelve other samples lie around 0, from −0.24 to 0.29 (an unbiased estimate may be negative).
# Flow matching has 3.4 to 5.2 with eight calls and about 370 with one, where all points land in one spot.
# It is not the second training that does it: with exchanged partners, and nothing else changed, the distances are those of the first model up to an eighth, and with eight calls 14 to 38 % larger.
# Seed by seed, one call after reflow has what the first model reaches in 64, within 0.15 and never less, as one expects of pairs that this model has made, errors included.
#
# The students of progressive distillation have nearly one distance for all numbers of calls.
# On digits it is what their first teacher reaches in 16: from the same five noises the teacher has 0.64 in the mean, and its student of one call 0.65.
# So a student keeps its teacher's quality, and fifteen calls of sixteen are saved.
# On the ring reflow is nearer than the students in each training, but its teacher had 64 calls and theirs 16, so this is no comparison of the methods; on digits there is one training of each.
# All of this is said of digits of 64 pixels, not of photographs.

# %% [markdown]
# ## 4. Noise for whole numbers: masks
#
# A pixel of a digit is one of 17 levels, and so far it was treated as a number to which Gaussian noise can be added.
# A letter or a word is no number to which noise can be added.
# *Masked diffusion* (Austin et al. 2021, as the absorbing case; Sahoo et al. 2024 and Shi et al. 2024 simplified the bound) needs no order among the levels.
# There is one more level, the mask, and each pixel by itself turns into it:
#
# $$q(x_{t,i} = \text{mask} \mid x_{0,i}) = \frac{t}{T}, \qquad q(x_{t,i} = x_{0,i} \mid x_{0,i}) = 1 - \frac{t}{T}, \qquad \text{and what is masked stays masked.} \tag{7}$$
#
# The step back, for someone who knows $x_0$, follows from Bayes' rule.
# A pixel that is not masked at $t$ was not masked at $t - 1$ either.
# One that is masked at $t$ was masked at $t - 1$ with probability $\frac{(t-1)/T}{t/T}$, so it is uncovered with probability
#
# $$q(x_{t-1,i} = x_{0,i} \mid x_{t,i} = \text{mask},\, x_{0,i}) = \frac1t. \tag{8}$$
#
# The model does the same with its own guess: it uncovers each masked pixel with probability $1/t$, and draws what appears from $p_\theta(x_i \mid x_t)$, which a network with a softmax gives for all pixels at once.
# In the step's KL the two agree on *whether* a pixel is uncovered, and differ in *what* appears: the posterior has all of its mass $\frac1t$ on $x_{0,i}$, the model $\frac1t\,p_\theta(x_{0,i} \mid x_t)$.
# So each masked pixel contributes $\frac1t \log \frac{1/t}{p_\theta(x_{0,i} \mid x_t)/t}$, the others nothing, and the bound (18) of lecture 04b becomes
#
# $$-\log p_\theta(x_0) \;\le\; \sum_{t=1}^{T} \frac1t\;E_{q(x_t \mid x_0)}\Big[\sum_{i\,:\,x_{t,i} = \text{mask}} -\log p_\theta(x_{0,i} \mid x_t)\Big]. \tag{9}$$
#
# This is a sum of cross-entropies, as in the training of a classifier: hide some pixels, guess them, and weight the guesses by $1/t$, which makes up for the more pixels that are hidden at large $t$.
#
# Where is (9) tight?
# With exact conditionals, uncovering one pixel at a time is the chain rule in a random order, and nothing is lost.
# But two pixels that are uncovered in the same step are drawn without a look at each other.
# We enumerate the smallest case: two pixels of three levels, with a joint distribution $p(a, b)$.
# Both are uncovered in the same step with probability $1/T$, so with exact conditionals
#
# $$p_\theta(a, b) = \Big(1 - \frac1T\Big)\,p(a, b) + \frac1T\,p(a)\,p(b), \qquad \text{bound} = -\log p(a, b) + \frac1T\,\log\frac{p(a, b)}{p(a)\,p(b)}. \tag{10}$$
#
# On average over the data the bound is the entropy plus $1/T$ of the mutual information: the price of parallel steps, which goes to 0 as $T$ grows.
# The cell goes through all states and all masks, for exact conditionals and for worse ones.

# %%
joint = torch.tensor([[0.40, 0.05, 0.05], [0.02, 0.03, 0.15], [0.10, 0.18, 0.02]], dtype=torch.float64)
p_a, p_b = joint.sum(1), joint.sum(0)
exact_table = torch.empty(4, 4, 2, 3, dtype=torch.float64)  # p(a | state), p(b | state); 3 is the mask
for a, b in itertools.product(range(4), range(4)):
    exact_table[a, b, 0] = p_a if b == 3 else joint[:, b] / p_b[b]
    exact_table[a, b, 1] = p_b if a == 3 else joint[a] / p_a[a]
worse_table = 0.7 * exact_table + 0.1


def step_back(state, t, table):
    """What the model makes of a state in step t: {state: probability}."""
    new = {}
    for opened in itertools.product(*[(False, True) if value == 3 else (False,) for value in state]):
        p_opened = math.prod(
            (1 / t if o else 1 - 1 / t) for o, value in zip(opened, state, strict=True) if value == 3
        )
        choices = [range(3) if o else (value,) for o, value in zip(opened, state, strict=True)]
        for after in itertools.product(*choices):
            p = math.prod(float(table[state][i, after[i]]) for i in range(2) if opened[i])
            new[after] = new.get(after, 0.0) + p_opened * p
    return new


def probability(table, T):
    """p_θ(a, b), (3, 3), through all paths of the chain."""
    now = {(3, 3): 1.0}
    for t in range(T, 0, -1):
        later = {}
        for state, p in now.items():
            for after, share in step_back(state, t, table).items():
                later[after] = later.get(after, 0.0) + p * share
        now = later
    return torch.tensor([[now[a, b] for b in range(3)] for a in range(3)], dtype=torch.float64)


def bound_9(table, T):
    """(9) for every (a, b), by going through all masks."""
    total = torch.zeros(3, 3, dtype=torch.float64)
    for t, a, b, hide in itertools.product(
        range(1, T + 1), range(3), range(3), itertools.product((False, True), repeat=2)
    ):
        state = tuple(3 if hidden else value for hidden, value in zip(hide, (a, b), strict=True))
        p_mask = math.prod(t / T if hidden else 1 - t / T for hidden in hide)
        surprise = sum(-table[state][i, (a, b)[i]].log() for i in range(2) if hide[i])
        total[a, b] += p_mask / t * surprise
    return total


# %%
steps_8 = torch.arange(1, 9, dtype=torch.float64)  # T = 8
masks_now = 1 / (9 - steps_8)  # the chance that step t masks what is still visible, 1/(T − t + 1)
visible = (1 - masks_now).cumprod(0)
checks.identity("step by step a share of t/T is masked (7)", 1 - visible, steps_8 / 8, tol=1e-12)
visible_before = torch.cat([visible.new_ones(1), visible[:-1]])
checks.identity(
    "uncovered with probability 1/t, by Bayes (8)",
    visible_before * masks_now / (1 - visible),
    1 / steps_8,
    tol=1e-12,
)

T = 4
information = (joint / (p_a[:, None] * p_b)).log()
together_at_once = (1 - 1 / T) * joint + p_a[:, None] * p_b / T
checks.identity("the chain's probabilities (10)", probability(exact_table, T), together_at_once, tol=1e-12)
checks.identity("the bound (10)", bound_9(exact_table, T), information / T - joint.log(), tol=1e-12)
for name, table in (("exact", exact_table), ("worse", worse_table)):
    checks.at_most(f"{name} conditionals: a bound (9)", -probability(table, T).log(), bound_9(table, T) + 1e-12)

x_0, state, t = (1, 2), (3, 3), 3  # one step's KL, over all that may come next
by_model = step_back(state, t, worse_table)
known = {
    (x_0[0] if o else 3, x_0[1] if e else 3): (1 / t if o else 1 - 1 / t) * (1 / t if e else 1 - 1 / t)
    for o, e in itertools.product((False, True), repeat=2)
}
divergence = sum(p * math.log(p / by_model[after]) for after, p in known.items())
guesses = sum(-worse_table[state][i, x_0[i]].log() for i in range(2)) / t
checks.identity("a step's KL is 1/t of the cross-entropies (9)", divergence, guesses, tol=1e-12)


# %%
class Known(torch.nn.Module):
    """The logits of a table of conditionals, as a network of genlib's gives them."""

    channels = 4

    def forward(self, x, t, label):
        a, b = x.argmax(1)[:, 0].unbind(1)
        logits = worse_table[a, b].log().mT[:, :, None]  # (B, 3, 1, 2)
        return torch.cat([logits, torch.zeros_like(logits[:, :1])], dim=1)


tiny = diffusion.MaskedDiffusion(Known(), levels=3, shape=(1, 1, 2), T=T)
cell = torch.multinomial(joint.flatten(), 4000, replacement=True, generator=seeded(0))
tiny_bits = tiny.bits_per_dim(torch.stack([cell // 3, cell % 3], 1).view(-1, 1, 1, 2), generator=seeded(1))
expected = (joint * bound_9(worse_table, T)).sum() / (2 * math.log(2))
se = tiny_bits.std() / math.sqrt(4000)
checks.at_most(
    "genlib's estimate is the enumerated bound, up to four standard errors (9)",
    (tiny_bits.mean() - expected).abs(),
    4 * se,
)

# %% [markdown]
# ### Digits of 17 levels
#
# The network is the U-Net of the pixel model with 18 channels in the place of one: for each pixel it sees which level stands there, or that it is masked, and gives a logit for each level.
# It was trained for the seconds of the short pixel model of lecture 07, from three seeds, and from one for those of the long model that this lecture began with.
# The bits of a held-out digit are compared with those of the other models; only the flow's are exact, and those are of dequantized pixels, which bounds the bits of a level too.

# %%
masked_net = diffusion.UNet(18, width=16, mults=(1, 2), n_blocks=1, n_classes=10)
masked = diffusion.MaskedDiffusion(masked_net, levels=17, shape=(1, 8, 8))
train.load(masked, run_file("after_masked.safetensors"))
flow = flows.RealNVP.for_vectors(
    dim=64, n_couplings=16, width=64, levels=17, n_classes=10, mask="random", dropout=0.3, actnorm=True
)
train.load(flow, run_file("side_digits_flow.safetensors"))
short = diffusion.DDPM(diffusion.UNet.digits(), diffusion.Schedule.cosine(T=1000), predict="v", levels=17)
train.load(short, run_file("side_digits_ddpm.safetensors"))
x_int, of_class = data.digits("test", integers=True)
of_runs = load_file(run_file("after_masked_seeds.safetensors"))

# %% tags=["nbval-ignore-output"]
some = 16  # digits, for a bound of a thousand steps takes its time
bits = {"flow": flow.bits_per_dim(x_int.flatten(1), of_class, generator=seeded(0))}
bits["DDPM, short"] = diffusion.vlb(short, held.x[:some], of_class[:some], generator=seeded(0)).total
bits["DDPM, long"] = diffusion.vlb(pixel, held.x[:some], of_class[:some], generator=seeded(0)).total
bits["masked, short"], bits["masked, long"] = (of_runs[f"bits.{steps}"][0].float() for steps in (570, 3800))
bits["masked, as loaded"] = masked.bits_per_dim(x_int, of_class, seeded(0), draws=20)
for name, each in bits.items():
    se = each.std() / len(each) ** 0.5
    also = f"; of the first {some} {each[:some].mean():.2f}" if len(each) > some else ""
    print(f"{name:18} {each.mean():.2f} ± {se:.2f} bits per pixel, {len(each)} digits{also}")
print("masked, short, three seeds:", *(f"{b:.2f}" for b in of_runs["bits.570"].float().mean(1)))
checks.at_most(
    "in each of three trainings the masked model needs fewer bits than the pixel model of the same seconds",
    of_runs["bits.570"].float()[:, :some].mean(1), bits["DDPM, short"].mean().expand(3),
)  # fmt: skip

# %%
uncovered = {n: [masked.sample(300, label, seeded(k), steps=n) / 8 - 1 for k in range(3)] for n in (1, 4, 16)}
slowly = masked.sample(10, label[:10], seeded(0), steps=64) / 8 - 1
plots.image_rows(
    **{f"{n} call{'s' * (n > 1)}": images[0][:10] for n, images in uncovered.items()}, **{"64 calls": slowly},
    alt="Rows of ten digits, 0 to 9, in 1, 4, 16 and 64 calls: ragged in the first row, with holes and stray pixels, of which there are fewer from row to row.",
)  # fmt: skip

# %% tags=["nbval-ignore-output"]
for n, images in uncovered.items():
    print(f"{n:2} calls: Fréchet multiple of three draws {spread([*map(multiple, images)])}")
for name, steps in (("short", 570), ("long", 3800)):
    print(f"64 calls, {name} training, five draws:", *(spread(draws) for draws in of_runs[f"multiple.{steps}"]))

# %% [markdown]
# The masked model has the lowest number of the list.
# On the same 16 digits its bound is 1.90 bits per pixel after a short training, while the Gaussian chain after the same seconds has 3.88; after the longer trainings it is 1.77 against 3.24.
# [Side by side](07_side_by_side.ipynb) finds where the Gaussian chain pays: most of its bits go to the steps with the least noise.
# That these are spent on finding the level, which a softmax is given, is likely, but not tested here.
#
# But fewer bits are not nearer digits.
# In 64 calls the short trainings draw digits with a Fréchet multiple of about 8, where the U-Net on pixels had 2.84 after as many seconds, and the longer one has 1.29 against 0.61.
# What few calls cost is seen in the longer one: in one call every pixel is drawn without a look at the others, and the multiple is 10.7; in 4 calls it is 1.9, and beyond 16 the spread of the draws hides what is left.
# That is the direction in which (10) points; how much of it is the network's own error, this does not show.
#
# <details><summary><b>Question.</b> genlib tells the network the step t. Does it have to?</summary>
#
# No.
# By (7) a given set of visible pixels has the probability $(1 - t/T)^{k}\,(t/T)^{D - k}$, with $k$ pixels visible of $D$, whatever stands in the hidden ones.
# So $q(x_t \mid x_0)$ is the same for all $x_0$ that agree with what is visible, and drops out of $p(x_0 \mid x_t)$: the best answer is the conditional distribution given the visible pixels, at every $t$.
# How many are visible the network can count.
# </details>

# %% [markdown]
# ## Where to read on
#
# - Rombach, Blattmann, Lorenz, Esser and Ommer 2022, *High-Resolution Image Synthesis with Latent Diffusion Models*: section 1.
# - Vahdat, Kreis and Kautz 2021, *Score-Based Generative Modeling in Latent Space*: a diffusion model as the prior of a VAE, trained together with it. Hoffman and Johnson 2016, *ELBO Surgery*: (2).
# - Peebles and Xie 2023, *Scalable Diffusion Models with Transformers*: section 2.
# - Salimans and Ho 2022, *Progressive Distillation for Fast Sampling of Diffusion Models*: (5), and $v$.
# - Liu, Gong and Liu 2023, *Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow*: reflow.
# - Song, Dhariwal, Chen and Sutskever 2023, *Consistency Models*: another way to one call, in which a network learns to give the same answer from everywhere on a path.
# - Austin, Johnson, Ho, Tarlow and van den Berg 2021, *Structured Denoising Diffusion Models in Discrete State-Spaces*: (7), as one of several kinds of noise.
# - Sahoo et al. 2024, *Simple and Effective Masked Diffusion Language Models*; Shi et al. 2024, *Simplified and Generalized Masked Diffusion for Discrete Data*: (9), in the limit of many steps.
#
# The next lecture puts all families beside each other: [Side by side](07_side_by_side.ipynb).
