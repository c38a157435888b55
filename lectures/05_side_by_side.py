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
# # Side by side
#
# *Four machines draw from the same data. Which one shall we take, and how would we know?*
#
# **You will learn**
#
# - what VAE, GAN, flow and diffusion model give for the same data, and about the same seconds;
# - which of them can say how likely a picture is, which modes each finds, and what lies between;
# - what a picture costs, and why no single number ranks them;
# - flow matching, where flows and diffusion meet, in twenty lines.
#
# **It takes** 30 minutes.
# **You need** the four families: [Learned losses](01_learned_losses.ipynb) for the VAE and the GAN, [Normalizing flows](03_normalizing_flows.ipynb), [Diffusion models](04_diffusion_models.ipynb).

# %% slideshow={"slide_type": "skip"}
import math
import time
from types import SimpleNamespace

import torch
from gencourse import checks, plots
from torch import nn

from genlib import data, diffusion, flows, gan, metrics, train
from genlib.autoencoder import ELBO, VAE

torch.set_num_threads(1)  # the clocks below are those of one thread
g = torch.Generator().manual_seed(0)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. What a summary leaves open
#
# The lecture that this course follows ends with a sentence for each family: the GAN learns its loss, the flow a map and its inverse, the diffusion model to take noise away.
# All of this may be true, and we still do not know which one to take.
#
# To find out we hold equal what can be held equal.
#
# - **The data.** Points of a mixture, of which we know every truth, and digits, of which we know none.
# - **The size.** About as many parameters.
# - **The time.** About the same seconds of one processor: some 20 for points, some 70 for digits.
# - **The question.** Each digit is asked for by its class, and each family is told it.
# - **The sample.** A draw of the model as it is: no temperature, no guidance, and the VAE's decoder adds its noise.
#
# What is *not* equal is care: each family has the settings that its own lecture found good, and others would move the numbers.
# So read them as a photograph of small models after a short training, not as a verdict.

# %% [markdown] slideshow={"slide_type": "subslide"}
# The networks for points, and those for digits.


# %%
def on_points():
    """An objective of each family for points in the plane; a GAN wants a class, so there is one, always the same."""
    G = gan.MLPGenerator(shape=(2,), n_classes=1, latent=2, width=128)
    D = gan.ProjectionDiscriminator(shape=(2,), n_classes=1, width=128)
    flow = flows.RealNVP.for_vectors(dim=2, n_couplings=8, width=64, actnorm=True)
    chain = diffusion.Schedule.cosine(T=200)
    return {
        "VAE": ELBO(VAE(dim=2, latent=2, width=128, std=0.1, learn_std=True)),
        "GAN": gan.ClassConditional(G, D),
        "flow": flows.MaximumLikelihood(flow, lr=5e-3),
        "DDPM": diffusion.Denoising(diffusion.DDPM(diffusion.MLP(dim=2, width=56), chain, predict="v")),
    }


# %%
def on_digits():
    """An objective of each family for digits, given their class."""
    flow = flows.RealNVP.for_vectors(
        dim=64, n_couplings=16, width=64, levels=17, n_classes=10, mask="random", dropout=0.3, actnorm=True
    )
    chain = diffusion.Schedule.cosine(T=1000)
    return {
        "VAE": ELBO(VAE(dim=64, latent=16, width=256, std=0.3, n_classes=10, learn_std=True)),
        "GAN": gan.ClassConditional(gan.MLPGenerator(width=256), gan.ProjectionDiscriminator(width=256)),
        "flow": flows.MaximumLikelihood(flow),
        "DDPM": diffusion.Denoising(diffusion.DDPM(diffusion.UNet.digits(), chain, predict="v", levels=17)),
    }


# %% [markdown] slideshow={"slide_type": "subslide"}
# All were trained before, and are loaded here: on points from three seeds, on digits from one.
# Each history has the command that repeats it.


# %%
def stored(objectives, what, seed=""):
    """The models with stored weights, and the history of each training."""
    files = {family: f"runs/side_{what}_{family.lower()}{seed}" for family in objectives}
    models = {f: train.load(objective.model, f"{files[f]}.safetensors") for f, objective in objectives.items()}
    return models, {family: train.History.load(f"{file}.json") for family, file in files.items()}


for_points, for_digits = [on_points() for _ in range(3)], on_digits()
points, of_points = zip(*(stored(each, "ring", f"_{seed}") for seed, each in enumerate(for_points)), strict=True)
digits, of_digits = stored(for_digits, "digits")
for objectives, trainings in ((for_points[0], of_points), (for_digits, [of_digits])):
    for family, objective in objectives.items():
        size = sum(p.numel() for p in objective.parameters())
        for run in (training[family] for training in trainings):
            print(
                f"{family:5} {size:>8,} parameters, {run.step[-1]:>5,} steps, {run.seconds:3.0f} s   {run.command}"
            )

# %% [markdown]
# The steps differ by more than a factor of ten, for one of a U-Net costs that much more.
# (A GAN's parameters are those of both networks, though only $G$ draws.)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. Points, where the truth is known
#
# The mixture has eight modes on a circle.
# They do not weigh the same: mode $k$ has the weight $k/36$, so the heaviest holds eight times as much as the lightest.
# A model has to find all of them, and to give each its share.

# %%
ring = data.GaussianMixture.ring(n=8, radius=0.6, std=0.06)
mixture = data.GaussianMixture(ring.means, ring.covs, weights=torch.arange(1, 9) / 36)


def draw(models, n, generator):
    """n points of each family."""
    return {
        "VAE": models["VAE"].sample(n, noise=True, generator=generator),
        "GAN": models["GAN"].sample(n, 0, generator),
        "flow": models["flow"].sample(n, generator=generator),
        "DDPM": diffusion.last(diffusion.ancestral(models["DDPM"], (n, 2), generator=generator)),
    }


made = [draw(models, 2000, g) for models in points]
truth, again = mixture.sample(2000, g), mixture.sample(2000, g)

# %%
square = {"size": 5, "xlim": (-0.95, 0.95), "ylim": (-0.95, 0.95), "xticks": (-0.5, 0.5), "yticks": (-0.5, 0.5)}
plots.figure(
    *[plots.points({name: cloud}, title=name, **square) for name, cloud in {"truth": truth, **made[0]}.items()],
    alt="Five clouds of points. The truth: eight round spots on a circle, in rising strength. The VAE: a smear around the circle and inside it. "
    "The GAN: a thin closed curve through all spots. The flow: round spots, some of them joined by bridges. "
    "The diffusion model: round spots where the ring is heavy, and a smear along it where it is light.",
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# **How likely is a point?**
# The entropy of the mixture is known, so we can say by how many nats a model's code length lies above it.
# For a flow that is exact.
# VAE and diffusion model bound their own code length from above, so the true distance may be smaller than the number.
# A GAN has no density that we could compute, and no bound of one.


# %%
@torch.no_grad()
def above_entropy(models, x):
    """Nats above log p(x), on average over points of the mixture; None where a family cannot say."""
    length = {
        "VAE": -models["VAE"].elbo(x, n_draws=20, generator=g),
        "GAN": None,
        "flow": -models["flow"].log_prob(x),
        "DDPM": diffusion.vlb(models["DDPM"], x, generator=g, batch_size=4096).nats().total,
    }
    own = mixture.log_prob(x).double().mean()  # minus the entropy, on these very points
    return {
        family: None if bits is None else float(bits.double().mean() + own) for family, bits in length.items()
    }


gaps = [above_entropy(models, mixture.sample(1000, g)) for models in points]

# %%
of = {family: torch.tensor([run[family] for run in gaps]) for family in ("VAE", "flow", "DDPM")}
checks.at_most("in each training, the flow needs fewer nats than DDPM's bound", of["flow"], of["DDPM"])
checks.at_most("and DDPM's bound is lower than the VAE's", of["DDPM"], of["VAE"])

# %% [markdown] slideshow={"slide_type": "subslide"}
# **Which modes were found, what does each weigh, and what lies between them?**
# A sample belongs to a mode as far as the mixture itself would say so, and to *none* if it is more than 3 deviations away from all of them.
# Of the mixture's own points $e^{-9/2}$ are, 1.1 %.
# (Neighbours are 7.6 deviations apart: with 4 in the place of 3 there would be no place between them.)
# A mode is *found* if it gets at least half of what it should.

# %% tags=["nbval-ignore-output"]
coverage = [{family: metrics.mode_coverage(x, mixture) for family, x in clouds.items()} for clouds in made]
outside = {f: torch.tensor([run[f].outside for run in coverage]) for f in ("VAE", "GAN", "flow", "DDPM")}
for family, mass in outside.items():
    print(f"{family:5} near no mode:", *(f"{share:.3f}" for share in mass))
print(f"truth {math.exp(-9 / 2):.3f}")

# %%
shares = {
    family: torch.tensor([run[family].share for run in coverage]).median(0).values
    for family in ("VAE", "GAN", "flow", "DDPM")
}
mode = torch.arange(1, 9)
plots.figure(
    plots.lines(
        mode, {"truth": mixture.weights}, points={name: (mode, share) for name, share in shares.items()},
        xlabel="mode", ylabel="share of the samples", aspect=2.2,
    ),
    alt="The share of the samples at each of eight modes, against the truth, a rising line. Those of flow, GAN and diffusion model "
    "lie on it or a little below; those of the VAE lie far below at most modes, for much of its mass is at none.",
)  # fmt: skip


# %% [markdown] slideshow={"slide_type": "subslide"}
# **Is a mode filled?**
# A mode of the truth is a disc.
# We take the samples that are nearest to it, and measure how wide they lie where they are narrowest: the root of the smaller eigenvalue of their covariance.


# %%
def width(x):
    """How wide a mode is where it is narrowest, over the truth's 0.06: the median of the eight modes."""
    nearest = torch.cdist(x.double(), mixture.means).argmin(1)
    variances = [torch.linalg.eigvalsh(x[nearest == k].double().T.cov())[0] for k in range(8)]
    return float(torch.stack(variances).clamp(min=0).sqrt().median()) / 0.06


def misplaced(found):
    """The mass in another mode than it should be, or in none: half of Σ |share − weight| and what is outside."""
    return float((torch.tensor(found.share) - mixture.weights).abs().sum() + found.outside) / 2


def median(values):
    """The middle one of the three seeds; None where a family has no number."""
    return None if None in values else float(torch.tensor(values).median())


# %%
def judged(x):
    """What the table will say of a cloud of points."""
    found = metrics.mode_coverage(x, mixture)
    energy = 1000 * metrics.energy_distance(x, truth, unbiased=False)
    return {
        "energy": energy,
        "found": found.found,
        "misplaced": misplaced(found),
        "outside": found.outside,
        "width": width(x),
    }


each = [{family: judged(x) for family, x in clouds.items()} for clouds in made]
on_average = {
    key: {family: median([run[family][key] for run in each]) for family in made[0]} for key in each[0]["flow"]
}
of_truth = judged(again)

# %%
thin, broad = (torch.tensor([run[family]["width"] for run in each]) for family in ("GAN", "VAE"))
checks.at_most("every GAN draws modes that are too thin", thin, torch.full((3,), 0.8))
checks.at_most("every VAE draws them too wide", torch.full((3,), 1.3), broad)
least = torch.cat([*outside.values()]).min()
checks.at_most("all leave several times the truth's mass between them", 3 * math.exp(-9 / 2), least)
for family in ("GAN", "DDPM"):
    checks.at_most(f"in each training, the flow leaves less than the {family}", outside["flow"], outside[family])
checks.at_most("and the VAE leaves most, a third", torch.full((3,), 0.3), outside["VAE"])

# %%
found = {family: torch.tensor([run[family].found for run in coverage]) for family in outside}
for family in ("flow", "DDPM"):
    checks.at_most(f"the {family} finds all eight, in each training", torch.full((3,), 8), found[family])
checks.at_most("no VAE does", found["VAE"], torch.full((3,), 7))

# %% [markdown] slideshow={"slide_type": "subslide"}
# Is the VAE's mass between the modes the fault of its decoder's noise, or of codes that the prior draws and no data point uses?
# We give the decoder codes of true points, which its encoder draws.
# And is the diffusion model's the fault of the network, or of the chain?
# We give the same chain the best denoiser there is.


# %% tags=["nbval-ignore-output"]
@torch.no_grad()
def with_codes_of(x, vae):
    """Points of the decoder, noise and all, from codes that the encoder draws for x."""
    m, log_s = vae.encode(x)
    z = m + log_s.exp() * torch.randn(m.shape, generator=g)
    return vae.decode(z) + vae.log_std.exp() * torch.randn(x.shape, generator=g)


decoded = [with_codes_of(truth, models["VAE"]) for models in points]
own = torch.tensor([metrics.mode_coverage(x, mixture).outside for x in decoded])
print("VAE, codes of true points:", *(f"{share:.3f}" for share in own))
checks.at_most("less than half of what codes of the prior leave", own, outside["VAE"] / 2)

# %% tags=["nbval-ignore-output"]
chain = points[0]["DDPM"].schedule
perfect = diffusion.DDPM(lambda x_t, t, label: mixture.optimal_eps(x_t, t, chain), chain)
x = diffusion.last(diffusion.ancestral(perfect, (2000, 2), generator=g))
best = metrics.mode_coverage(x, mixture).outside
print(f"DDPM, the best denoiser: {best:.3f}")
checks.at_most("less than a third of what the trained ones leave", best, outside["DDPM"].min() / 3)

# %% [markdown]
# So the four clouds differ in kind.
#
# - The **VAE** loses a third of its mass, and modes with it. A part is blur: its modes are too wide even with codes of true points. The larger part is codes: the decoder is continuous, so what lies between two modes in the codes lies between them in the plane.
# - The **GAN** has *threads* for modes, strung on one closed curve: in this time $D$ has not made it fill the discs. A density that lives on threads gives next to nothing to true points beside them.
# - The **flow** cannot tear one piece into eight, so it pays with bridges; but it pays least of all, in mass and in nats.
# - The **diffusion model** finds all modes, and smears the light ones along the ring. Its chain could do better; its network, in this time, could not. Of its distance in nats a part may be the bound's.
#
# <details><summary><b>Question.</b> The GAN's code has two entries, and its generator is continuous. Can it be a thread at all, then?</summary>
#
# Not quite: two entries could fill the plane, and a thread of width 0 is never reached.
# But the map may stretch one direction of the codes along the ring and press the other one flat, and then $|\det|$ is small almost everywhere.
# A flow could do the same map, and maximum likelihood would punish it, point by point, with $-\log$ of a density that is nearly zero beside the thread.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. Digits, where it is not
#
# Of digits we have samples only, so every number comes from held-out ones, or from a judge that was trained on real ones.
# What a model draws is rounded to the 17 grey levels that real digits have.
# A pixel of the flow, from 0 to 1, and of the VAE, from $-1$ to $1$, is a real number that belongs to the level below it; the other two aim at the levels themselves.


# %%
label = torch.arange(10).repeat(30)  # 300 digits, 30 of each class
calls = 25  # of the diffusion model's network; section 4 tries fewer


def from_cube(x):
    """Dequantized pixels in [0, 1] as pictures of 17 levels."""
    return flows.quantize(x, 17).view(-1, 1, 8, 8) / 8 - 1


def nearest_level(x):
    return ((x.clamp(-1, 1) + 1) * 8).round() / 8 - 1


def denoise(model, steps, seed=1):
    options = {"label": label, "clip": True, "generator": torch.Generator().manual_seed(seed)}
    return nearest_level(diffusion.last(diffusion.ddim(model, (300, 1, 8, 8), steps=steps, **options)))


sampler = {
    "VAE": lambda: from_cube((digits["VAE"].sample(300, label, noise=True, generator=g) + 1) / 2),
    "GAN": lambda: nearest_level(digits["GAN"].sample(300, label, generator=g)),
    "flow": lambda: from_cube(digits["flow"].sample(300, label, generator=g)),
    "DDPM": lambda: denoise(digits["DDPM"], calls),
}


# %%
def timed(sample, times):
    """Pictures, and the milliseconds that one took: the fastest of some times."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        pictures = sample()
        seconds.append(time.perf_counter() - start)
    return pictures, 1000 * min(seconds) / len(pictures)


drawn = {family: timed(sample, 1 if family == "DDPM" else 3) for family, sample in sampler.items()}
pictures = {family: images for family, (images, _) in drawn.items()}
milliseconds = {family: ms for family, (_, ms) in drawn.items()}

# %%
real, held_label = data.digits("test")
first_of_class = torch.stack([real[held_label == k][0] for k in range(10)])
plots.image_rows(
    real=first_of_class,
    **{family: images[:10] for family, images in pictures.items()},
    alt="Ten real digits, 0 to 9, and the same classes drawn by each family.",
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# **How many bits does a pixel need?**
# All three numbers are bounds here, for the flow's density is exact, but that of a dequantized digit.
# The VAE's density is of one, too, on a scale from $-1$ to $1$: of $\tilde x = 2(x + \text{noise})/17 - 1$, with noise uniform on $[0, 1)$.
# There a level is $2/17$ wide, so its probability is the mean of the density over it, times $2/17$ for each pixel.
# By Jensen the logarithm of that mean is at least the mean of the logarithms, and these are at least the ELBO:
#
# $$-\tfrac1{64}\log_2 P(x) \;\le\; -\tfrac1{64\log 2}\,E\big[\text{ELBO}(\tilde x)\big] + \log_2 \tfrac{17}{2}. \tag{1}$$
#
# We look at (1) where $P$ is known: one pixel, and a linear VAE, whose density is a Gaussian; its encoder's deviation is a fifth too large.
#
# The diffusion model's bound is one of probabilities already.
# It has a thousand terms for each digit, so we take 12 digits, for all families.

# %%
pixel, W, b, std = VAE(dim=1, latent=1, width=0, std=0.3), 0.4, -0.5, 0.3
variance = W**2 + std**2  # of the Gaussian, whose mean is b
with torch.no_grad():
    pixel.decoder[0].weight.fill_(W)
    pixel.decoder[0].bias.fill_(b)
    pixel.encoder[0].weight.copy_(torch.tensor([[W / variance], [0.0]]))
    pixel.encoder[0].bias.copy_(torch.tensor([-W * b / variance, math.log(1.2 * std / variance**0.5)]))
    level = torch.arange(17).repeat_interleave(20_000)
    x_tilde = 2 * (level + torch.rand(level.shape, generator=g)) / 17 - 1
    elbo = pixel.elbo(x_tilde[:, None], generator=g).view(17, -1).mean(1)
P = torch.distributions.Normal(b, variance**0.5).cdf(2 * torch.arange(18) / 17 - 1).diff()
cost = -elbo / math.log(2) + math.log2(17 / 2)
checks.at_most("no level needs more bits than that (1)", -P.log2(), cost)
checks.at_most("and none much fewer", cost, 0.1 - P.log2())

# %%
x_int, of_these = data.digits("test", integers=True).x[:12].flatten(1), held_label[:12]
with torch.no_grad():
    elbo = digits["VAE"].elbo(2 * flows.dequantize(x_int, 17, g) - 1, of_these, n_draws=20, generator=g)
bits = {
    "VAE": float(-elbo.mean() / (64 * math.log(2)) + math.log2(17 / 2)),
    "GAN": None,
    "flow": float(digits["flow"].bits_per_dim(x_int.repeat(20, 1), of_these.repeat(20), generator=g).mean()),
    "DDPM": float(diffusion.vlb(digits["DDPM"], real[:12], of_these, generator=g).total.mean()),
}

# %% [markdown] slideshow={"slide_type": "subslide"}
# **How crisp are they?**
# As in [Normalizing flows](03_normalizing_flows.ipynb), section 11, we compare spectra; the table has *detail*, the power on the outer rings over that of real digits, and the error of the whole spectrum.
# (Power says how much there is at a frequency, not whether it belongs there: the noise that a draw of the VAE adds to every pixel is power, too.)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. What a picture costs
#
# VAE, GAN and flow make a picture in one go.
# A diffusion model asks its network again and again, and we decide how often.
# So it is no point in this figure but a curve: milliseconds per picture, by one thread that makes 300 at once, against the distance to real digits.
# The second curve is the stored run of lecture 04, the same network trained longer.

# %%
longer = diffusion.DDPM(diffusion.UNet.digits(), diffusion.Schedule.cosine(T=1000), predict="v", levels=17)
train.load(longer, "runs/ddpm_digits.safetensors")
run = train.History.load("runs/ddpm_digits.json")
times = run.step[-1] / of_digits["DDPM"].step[-1]
print(f"the longer run: {run.step[-1]:,} steps   {run.command}")
counts = (1, 2, 5, 10, 25)


def multiple(images):
    """The Fréchet distance, in multiples of that of held-out digits."""
    return metrics.digits_report(images).frechet_multiple


same = [multiple(pictures["DDPM"] if n == calls else denoise(digits["DDPM"], n)) for n in counts]
long_pictures = {n: denoise(longer, n) for n in counts}
long = [*map(multiple, long_pictures.values())]
floor = multiple(torch.cat([real[held_label == k][:30] for k in range(10)]))

# %%
# The first for the line of real digits.
at = torch.tensor([4e-3, *(milliseconds["DDPM"] / calls * n for n in counts)])
single = {f: (milliseconds[f], multiple(pictures[f])) for f in ("VAE", "GAN", "flow")}
names = [*((f, *place) for f, place in single.items()), ("as many real digits", 4e-3, floor)]
ends = [
    ("DDPM", 1.1 * float(at[5]), 0.85 * same[4]),
    (f"DDPM, {times:.0f} × as long", 0.075 * float(at[4]), 0.93 * long[3]),
]

# %%
plots.figure(
    plots.lines(
        at, {"same budget": [math.nan, *same], "longer": [math.nan, *long], "real": [floor] * 6},
        points={family: ([ms], [distance]) for family, (ms, distance) in single.items()},
        notes=[*names, *ends, *((str(n), float(x), y) for n, x, y in zip(counts, at[1:], same, strict=True))],
        xscale="log", yscale="log", xlabel="milliseconds per picture", ylabel="Fréchet distance, × held-out",
        legend=False, aspect=2.0,
    ),
    alt="Time per picture against distance to real digits, both logarithmic. GAN, VAE and flow are points far left; the GAN lies lowest. "
    "The curve of the diffusion model is further right: it falls within five calls, and rises a little with more. "
    "Trained longer, it goes on falling, to the line of real digits and below.",
)  # fmt: skip

# %% [markdown]
# Each number on the curve is how often the network was asked.
# The curve of the same budget turns upwards: more steps follow the network more faithfully, and with it its errors.
# For this family the budget was too short.
# Trained for longer, the same network passes all the others.
# (What *they* would make of so much time, the figure does not say.)
#
# But a distance *below* that of real held-out digits is no triumph: as a crowd, the samples are nearer to the training digits than new digits are.
# So we look for copies, of which new digits have 0.05.

# %% tags=["nbval-ignore-output"]
for n, images in long_pictures.items():
    print(f"{n:>2} calls: × {multiple(images):5.2f}, copying {metrics.copying(images):.3f}")

# %% [markdown]
# No copies, then: it has learned the training digits' mean and covariance as the judge sees them, which are not quite those of all digits.

# %% [markdown] slideshow={"slide_type": "subslide"}
# **Memory.**
# Training needs more than the weights: autograd keeps, until the backward pass, whatever a derivative will ask for.
# PyTorch lets us watch it put those tensors away.


# %%
def kept(objective, batch):
    """Bytes that autograd keeps in one training step, the parameters not counted."""
    own, seen = {p.untyped_storage().data_ptr() for p in objective.parameters()}, {}

    def put_away(tensor):
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = 0 if storage.data_ptr() in own else storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(put_away, lambda tensor: tensor):
        losses = objective.train().losses(batch, g)
        turns = [loss for _, loss, _ in losses]  # alive, so that no place is used twice
    objective.eval()
    return sum(seen.values()) if turns else 0


a_batch = data.digits("train").x[:64], data.digits("train").label[:64]
batches = dict.fromkeys(digits, a_batch)
batches["VAE"] = (a_batch[0].flatten(1), a_batch[1])
batches["flow"] = (data.digits("train", integers=True).x[:64].flatten(1), a_batch[1])
memory = {f: kept(objective, batches[f]) / 64 / 1000 for f, objective in for_digits.items()}  # kB per digit

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. The table
#
# Everything so far, in one place.
# The best of each row is found by the code that prints it.

# %%
Row, families = plots.Row, list(digits)


def row(name, values, truth=None, **options):
    """A row of the table, from numbers by family and what the truth has."""
    return Row(name, [*(values[family] for family in families), truth], **options)


def of_cloud(name, key, **options):
    return row(name, on_average[key], of_truth[key], **options)


# %%
kind = {"VAE": "a bound", "GAN": "none", "flow": "exact", "DDPM": "a bound"}
nats = {family: median([run[family] for run in gaps]) for family in families}
rows_of_points = [
    Row("Points, the median of three trainings"),
    row("density", kind),
    row("nats above the entropy", nats, 0.0, best="low"),
    of_cloud("energy distance × 1000", "energy", form=".1f", best="low"),
    of_cloud("modes found, of 8", "found", form=".0f", best="high"),
    of_cloud("mass more than 3 deviations from every mode", "outside", form=".3f", best="low"),
    of_cloud("mass there, or in another mode than it should be", "misplaced", form=".3f", best="low"),
    of_cloud("width of a mode, over the truth's", "width"),
]

# %%
held_out = metrics.held_out_report()
reports = {family: metrics.digits_report(images, label) for family, images in pictures.items()}
accuracy = {family: report.label_accuracy for family, report in reports.items()}
frechet = {family: report.frechet_multiple for family, report in reports.items()}
copying = {family: report.copying for family, report in reports.items()}
detail = {family: metrics.detail(images, real) for family, images in pictures.items()}
error = {family: metrics.spectrum_error(images, real) for family, images in pictures.items()}
weights = {f: sum(p.numel() for p in objective.parameters()) * 4 / 1000 for f, objective in for_digits.items()}

# %%
rows_of_digits = [
    Row("Digits, one training"),
    row("bits per pixel, at most", bits, best="low"),
    row("label accuracy", accuracy, held_out.label_accuracy, form=".3f", best="high"),
    row("Fréchet distance, × held-out", frechet, floor, best="low"),
    row("copying", copying, held_out.copying, form=".3f"),
    row("detail", detail, 1.0),
    row("error of the spectrum", error, best="low"),
    row("milliseconds per picture", milliseconds, form=".3f", best="low"),
    row("weights, kB", weights, form=".0f"),
    row("kept in training, kB per digit", memory, form=".1f", best="low"),
]  # fmt: skip

# %% tags=["nbval-ignore-output"]
plots.table(
    [*families, "truth"], rows_of_points + rows_of_digits, reference=["truth"],
    caption=f"Four families, the same data, about the same seconds of one processor. DDPM's digits took {calls} calls.",
)  # fmt: skip

# %% [markdown] slideshow={"slide_type": "subslide"}
# Nobody wins everywhere.
#
# - **The GAN** wins where *pictures* are judged, and is as quick as a picture gets. It pays with the first rows: no likelihood, not even a bound, and threads in the place of discs, which few of the other rows see.
# - **The flow** wins where *probability* is asked for: compression, comparing models, finding what does not belong. In the plane it is first, or among the first, in every row but one, the width. It pays with its pictures, about twice as far from real ones as the GAN's.
# - **The diffusion model** pays at every picture, and in training, where a U-Net keeps the most. But it is the one that the budget held back: its digits would be nearer with five calls than with the table's 25 (section 4), and trained longer it passes all the others. Its bits are poor because nothing asked for them: $L_{\text{simple}}$ gives the last, small noises next to no weight ([Diffusion models](04_diffusion_models.ipynb), section 9).
# - **The VAE** is the one that we would not take for its samples. What it has is in no row: *16 numbers* that stand for 64 pixels, and an encoder that finds them. Latent diffusion puts exactly that to use.
#
# The fewest bits and the best looks are not with the same family, by far: a code length says what the model thinks of *real* digits, a Fréchet distance what a judge thinks of *drawn* ones.

# %%
checks.at_most(
    "the flow's code is shorter by half a bit per pixel", bits["flow"] + 0.5, min(bits["VAE"], bits["DDPM"])
)
checks.at_most("yet its digits are much farther than the GAN's", 1.5 * frechet["GAN"], frechet["flow"])
checks.at_most("the GAN's are nearest", frechet["GAN"], min(frechet["VAE"], frechet["flow"], frechet["DDPM"]))
checks.at_most("and crispest", error["GAN"], min(error["VAE"], error["flow"], error["DDPM"]))
checks.at_most("nobody copies more than a tenth", torch.tensor(list(copying.values())), torch.full((4,), 0.1))
dearest = max(milliseconds[family] for family in ("VAE", "GAN", "flow"))
checks.at_most("25 calls cost at least ten times a single one", 10 * dearest, milliseconds["DDPM"])
checks.at_most("the VAE's are softer than the GAN's", detail["VAE"], detail["GAN"])
checks.at_most("the diffusion model's are nearer with five calls than with 25", same[2], 0.8 * same[4])
checks.at_most("a longer training is what it lacks", long[4], 0.5 * same[4])
checks.at_most("with it, it passes the GAN", long[4], frechet["GAN"])

# %% [markdown]
# <details><summary><b>Question.</b> Somebody shows you a table in which one model is better in every row. What do you ask?</summary>
#
# Whether both had the same budget, and whose settings were tuned for longer.
# How many seeds there were, and how far apart they lie.
# And which rows are missing: what would a model that stores the training data score in this table, and a model that always draws the same perfect picture?
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. Where two of them meet
#
# A flow has an exact density, but its layers must be bijections with a cheap determinant.
# A diffusion model may use any network, but its likelihood is a bound.
# Is there a model with any network *and* an exact density?
#
# Take the steps of a flow ever smaller and more of them.
# In the limit, points move with a *velocity* $u(x, t)$, from noise at time 0 to data at time 1:
#
# $$\frac{dx}{dt} = u(x, t). \tag{2}$$
#
# Where $u$ has a bounded slope, as our networks do, paths of (2) cannot cross, so running time backwards is the inverse, whatever network $u$ is.
# What remains is to find $u$.
#
# (This $t$ is continuous, and runs from noise to data; that of DDPM counts steps, the other way.)

# %% [markdown] slideshow={"slide_type": "subslide"}
# Draw noise $z \sim N(0, I)$ and, independently, a data point $x$, and join them by a straight line:
#
# $$x_t = (1 - t)\,z + t\,x. \tag{3}$$
#
# On this line the velocity is $x - z$.
# So we train a network to say it:
#
# $$\min_u\; E\Big[\big\| u(x_t, t) - (x - z) \big\|^2\Big]. \tag{4}$$
#
# But many lines pass through the same $x_t$, with different velocities.
# Under squared error the best answer is, once more, the mean:
#
# $$u^*(x_t, t) = E[x - z \mid x_t]. \tag{5}$$
#
# A mean of directions is a blur, and blurs were the trouble of [Learned losses](01_learned_losses.ipynb).
# Why is it the right thing here?

# %% [markdown] slideshow={"slide_type": "subslide"}
# Let $p_t$ be the density of $x_t$ in (3): $p_0$ is noise, and $p_1$ the data.
# Take any smooth function $\varphi$, and see how its mean changes along the straight lines:
#
# $$\frac{d}{dt} E\big[\varphi(x_t)\big] = E\big[\nabla\varphi(x_t) \cdot (x - z)\big] = E\big[\nabla\varphi(x_t) \cdot u^*(x_t, t)\big]. \tag{6}$$
#
# The first step is the chain rule.
# In the second, average over all lines through the same $x_t$ first: $\nabla\varphi(x_t)$ is the same for all of them, and what is left is (5).
#
# But the right side is also what happens to the mean of $\varphi$ when points with density $p_t$ move by (2) with $u^*$.
# So both crowds, the one on straight lines and the one that follows $u^*$, start alike, and their densities obey the same equation.
# For a velocity of bounded slope it has one solution, so they have the same density at all times.
# At $t = 1$ the points that follow $u^*$ are *data*.
# No single point keeps to its line; the crowd as a whole does not notice.
#
# With the integral on the right integrated by parts, (6) is the *continuity equation*:
#
# $$\frac{\partial p_t}{\partial t} + \nabla \cdot (p_t\, u^*) = 0. \tag{7}$$

# %% [markdown] slideshow={"slide_type": "subslide"}
# For the mixture, all of this has a closed form, because $x_t$ is an old acquaintance.
# Divide (3) by $\rho = \sqrt{t^2 + (1 - t)^2}$.
# The squared weights then sum to one, and $x_t / \rho$ is a point of the diffusion chain with $\sqrt{\bar\alpha} = t/\rho$.
# The noise is the same $z$, so its best guess is the best $\varepsilon$ there:
#
# $$E[z \mid x_t] = \varepsilon^*(x_t/\rho;\ \bar\alpha), \qquad \bar\alpha = \frac{t^2}{t^2 + (1 - t)^2}. \tag{8}$$
#
# By (3), $x = (x_t - (1 - t) z)/t$, so $x - z = (x_t - z)/t$, and
#
# $$u^*(x_t, t) = \frac{x_t - \varepsilon^*(x_t/\rho;\ \bar\alpha)}{t}. \tag{9}$$
#
# *Whoever can denoise knows the velocity.*
# We compare (9) with the mean (5), computed by summing over a grid of $x$.

# %%
torch.set_default_dtype(torch.float64)


def best_velocity(x_t, t):
    """u* of the mixture (9), for x_t (B, 2) and a number t in (0, 1]."""
    rho = math.hypot(t, 1 - t)
    chain = SimpleNamespace(alpha_bar=torch.tensor([1.0, (t / rho) ** 2]))
    eps = mixture.optimal_eps(x_t / rho, torch.ones(len(x_t), dtype=torch.int64), chain)
    return (x_t - eps) / t


here, t = 0.8 * torch.randn(20, 2, generator=g), 0.6
line = torch.linspace(-1.2, 1.2, 481)
x = torch.cartesian_prod(line, line)
z = (here[:, None] - t * x) / (1 - t)  # the noise that leads from x to here
posterior = (mixture.log_prob(x) - z.square().sum(-1) / 2).softmax(dim=1)  # of x, given x_t
mean_velocity = (posterior[..., None] * (x - z)).sum(1)
checks.identity("the best velocity from the best denoiser (9)", best_velocity(here, t), mean_velocity, tol=1e-8)

# %% [markdown] slideshow={"slide_type": "subslide"}
# And the continuity equation (7), with derivatives by autograd.
# The density $p_t$ is a mixture with means $t\mu_k$ and covariances $t^2\Sigma_k + (1 - t)^2 I$.


# %%
def density(x_t, t):
    """p_t, for x_t (B, 2) and a number t that may need a gradient."""
    spread = t * t * 0.06**2 + (1 - t) ** 2  # of every component, in both coordinates
    away = (x_t[:, None] - t * mixture.means).square().sum(-1)
    return (mixture.weights * torch.exp(-away / (2 * spread)) / (2 * math.pi * spread)).sum(1)


def slope(values, by):
    return torch.autograd.grad(values.sum(), by, retain_graph=True)[0]


here, now = here.requires_grad_(), torch.full((20,), t).requires_grad_()
change = slope(torch.cat([density(here[i : i + 1], now[i]) for i in range(20)]), now)
flux = density(here, t)[:, None] * best_velocity(here, t)
outflow = slope(flux[:, 0], here)[:, 0] + slope(flux[:, 1], here)[:, 1]
checks.identity("nothing is lost on the way (7)", change + outflow, torch.zeros(20), tol=1e-10)

# %% [markdown] slideshow={"slide_type": "subslide"}
# Now train it.
# This is all of it, in plain PyTorch: no schedule, no bound, no couplings.

# %%
torch.set_default_dtype(torch.float32)
torch.manual_seed(0)
sizes = [(3, 96), (96, 96), (96, 96)]
net = nn.Sequential(*[layer for a, b in sizes for layer in (nn.Linear(a, b), nn.SiLU())], nn.Linear(96, 2))
cloud = mixture.sample(20_000, g)

# %% tags=["nbval-ignore-output"]
began = time.process_time()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1600)
for _ in range(1600):
    x = cloud[torch.randint(len(cloud), (512,), generator=g)]
    z, t = torch.randn(x.shape, generator=g), torch.rand(512, 1, generator=g)
    x_t = (1 - t) * z + t * x  # (3)
    loss = (net(torch.cat([x_t, t], dim=1)) - (x - z)).square().mean()  # (4)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    decay.step()
print(f"trained in {time.process_time() - began:.0f} s of one processor")


# %% [markdown] slideshow={"slide_type": "subslide"}
# To draw, follow (2) from noise, half a step ahead each time: look at the velocity in the middle of the step, and take it for the whole (the midpoint rule).


# %%
def learned_velocity(x, t):
    return net(torch.cat([x, torch.full((len(x), 1), t)], dim=1))


@torch.no_grad()
def transport(x, n_steps, velocity=learned_velocity):
    """All the points on the way from noise at t = 0 to data at t = 1."""
    path, h = [x], 1 / n_steps
    for k in range(n_steps):
        middle = path[-1] + h / 2 * velocity(path[-1], k * h)
        path.append(path[-1] + h * velocity(middle, (k + 0.5) * h))
    return path


path = transport(torch.randn(2000, 2, generator=g), 40)
wide = {"size": 5, "xlim": (-2, 2), "ylim": (-2, 2), "xticks": (-1, 0, 1), "yticks": (-1, 0, 1)}
axes = {0: wide, 20: wide, 30: wide, 36: square, 40: square}  # the last two nearer
plots.figure(
    *[plots.points({"x": path[k]}, title=f"t = {k / 40:g}", aspect=1.05, **axes[k]) for k in axes],
    alt="A cloud of noise at t = 0 contracts, and has become a blurred ring at t = 0.9. At t = 1 the ring is thinner, still closed, "
    "and densest where the heavy modes are.",
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# **Its density is exact**, up to the step size.
# Follow a point, $\frac{d}{dt}\log p_t(x_t) = \frac{1}{p_t}\big(\frac{\partial p_t}{\partial t} + u \cdot \nabla p_t\big)$.
# By (7), $\frac{\partial p_t}{\partial t} = -u \cdot \nabla p_t - p_t \nabla \cdot u$, so all that remains is
#
# $$\frac{d}{dt}\log p_t(x_t) = -\nabla \cdot u(x_t, t), \qquad \log p_1(x) = \log N(z;\ 0, I) - \int_0^1 \nabla \cdot u(x_t, t)\,dt. \tag{10}$$
#
# This is the change of variables of [Normalizing flows](03_normalizing_flows.ipynb), one small step after the other, with a trace in the place of a determinant.
# (Here $z$ is where the path starts, in the noise.)
# First with the velocity (9), where we know what must come out.


# %%
def log_density(x, velocity, n_steps=100):
    """log p_1(x) by (10): back from data to noise, with the divergence on the way."""
    total, h = torch.zeros(len(x)), 1 / n_steps
    for k in range(n_steps, 0, -1):
        with torch.no_grad():
            middle = x - h / 2 * velocity(x, k * h)
        middle.requires_grad_()
        u = velocity(middle, (k - 0.5) * h)
        divergence = slope(u[:, 0], middle)[:, 0] + slope(u[:, 1], middle)[:, 1]
        x, total = x - h * u.detach(), total + h * divergence
    return torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(1) - total


torch.set_default_dtype(torch.float64)
few = mixture.sample(50, g).double()
exact = log_density(few, best_velocity, n_steps=400)
checks.identity("the mixture's own density, by following paths (10)", exact, mixture.log_prob(few), tol=1e-2)
torch.set_default_dtype(torch.float32)

# %% tags=["nbval-ignore-output"]
held_points = mixture.sample(1000, g)
gap = float((mixture.log_prob(held_points) - log_density(held_points, learned_velocity)).mean())
ends = {n: transport(torch.randn(2000, 2, generator=g), n)[-1] for n in (1, 2, 4, 8, 40)}
print(f"flow matching: {gap:.2f} nats above the entropy")
checks.at_most("less than the VAE's bound", gap, nats["VAE"])
checks.at_most("more than the flow, which trained for twice as long", nats["flow"], gap)
off = {n: metrics.mode_coverage(x, mixture).outside for n, x in ends.items()}
checks.at_most("and more of its mass is near no mode", on_average["outside"]["flow"], off[40])
for n, x in ends.items():
    distance = 1000 * metrics.energy_distance(x, truth, unbiased=False)
    print(f"{n:>2} steps, {2 * n:>2} calls: energy distance × 1000 {distance:6.1f}, {off[n]:.3f} near no mode")

# %% [markdown]
# One step of the midpoint rule, two calls, is coarse; eight steps, 16 calls, do nearly as well as forty.
# The numbers are no record: with half of the seconds it lies behind the flow of section 2, in nats and in what it leaves between the modes.
# What is won is freedom: the likelihood is exact, and no layer had to be a bijection.
# (Any diffusion model can have that: its DDIM paths are those of a velocity, too.)

# %% [markdown] slideshow={"slide_type": "subslide"}
# How near are the two, a flow with a velocity and a diffusion model with a denoiser?
# Euler's rule takes the velocity at the start of a step for the whole of it: $x_{t'} = x_t + (t' - t)\,u(x_t, t)$.
# Insert $u = \hat x - \hat z$, the guesses of data and noise, and $x_t = (1 - t)\,\hat z + t\,\hat x$:
#
# $$x_{t'} = (1 - t')\,\hat z + t'\,\hat x. \tag{11}$$
#
# The same two, put together in other proportions.
# That is what [DDIM](04_diffusion_models.ipynb) does.
# So with the same denoiser, *an Euler step of flow matching is a step of DDIM*, on a schedule of its own.

# %%
torch.set_default_dtype(torch.float64)
times = torch.linspace(0.01, 1, 31)  # at t = 0 the chain has no signal at all, so we start a little later
rho = torch.hypot(times, 1 - times)
alpha_bar = ((times / rho) ** 2).flip(0)  # data first, as DDPM counts
straight = diffusion.Schedule(1 - alpha_bar[1:] / alpha_bar[:-1])
denoiser = diffusion.DDPM(lambda x_t, t, label: mixture.optimal_eps(x_t, t, straight), straight)
start = torch.randn(100, 2, generator=g)
by_ddim = torch.stack(list(diffusion.ddim(denoiser, (100, 2), steps=30, x_T=start)))
by_euler = [rho[0] * start]
for t, later in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
    by_euler.append(by_euler[-1] + (later - t) * best_velocity(by_euler[-1], t))
checks.identity("Euler's steps are DDIM's (11)", torch.stack(by_euler), rho[:, None, None] * by_ddim, tol=1e-9)

# %% [markdown]
# What differs is what a network is asked for, which weight each time gets in the loss, and how the steps are spaced.
# The rest is one thing seen from two sides.
#
# <details><summary><b>Question.</b> If all the lines are straight, why does one Euler step not arrive at the data?</summary>
#
# The lines are straight, the paths of (2) are not.
# At $t = 0$ nothing is known of $x$ but its mean, so $u^*(z, 0) = E[x] - z$: one step sends every point to the mean of the data.
# Only when a point comes nearer does it learn which mode it is bound for, and bends towards it.
# (*Rectified flow* trains again on the pairs that the first model has made, whose lines do not cross, and so gets straighter paths.)
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What the notes said, and what holds
#
# - "Flow models are not as crisp as GANs." So it is here, and the table says by how much (section 5). It is a sentence about trained models, not about what the family can express.
# - "GANs are only able to provide lower bounds" on the likelihood. A GAN gives none; bounds are the VAE's and the diffusion model's, and on whole numbers the flow's, too (sections 2 and 3; row [13](06_the_notes_corrected.ipynb#Row-13)).
# - The discriminator "better fits the image generation task". For the looks of these digits it does (section 5); it also left threads where discs should be (section 2; row [4](06_the_notes_corrected.ipynb#Row-4) has a task where the pixel loss wins).
# - Flows "learn forward encodings and their inverse decodings". One map is learned; in section 6 running time backwards is its inverse (row [25](06_the_notes_corrected.ipynb#Row-25)).
# - The samples' lack of detail was blamed on the loss alone. The larger part of the VAE's trouble on the ring is codes that no data point uses (section 2; row [24](06_the_notes_corrected.ipynb#Row-24)).
# - Diffusion ends in "an isotropic Gaussian". The straight line (3) ends there exactly, the chain of DDPM only comes near (section 6; row [14](06_the_notes_corrected.ipynb#Row-14)).

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Where to read on
#
# - Theis, van den Oord and Bethge 2016, *A Note on the Evaluation of Generative Models*: why likelihood, looks and distance disagree.
# - Chen, Rubanova, Bettencourt and Duvenaud 2018, *Neural Ordinary Differential Equations*: (2) with a network, and (10).
# - Song et al. 2021, *Score-Based Generative Modeling through Stochastic Differential Equations*: the ordinary differential equation that belongs to a diffusion model, and its likelihood.
# - Lipman, Chen, Ben-Hamu, Nickel and Le 2023, *Flow Matching for Generative Modeling*: (4), with paths of many kinds.
# - Liu, Gong and Liu 2023, *Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow*: straight lines, and how to straighten the paths.
# - Albergo and Vanden-Eijnden 2023, *Building Normalizing Flows with Stochastic Interpolants*: the same from a third side.
# - Kingma and Gao 2023, *Understanding Diffusion Objectives as the ELBO with Simple Data Augmentation*: which loss puts which weight on which noise.
#
# In this lecture we could look the truth up.
# First, one more thing can be looked up: which sentences of the notes hold, one by one, in [The notes, corrected](06_the_notes_corrected.ipynb).
# Then the truth is hidden from you.
# Which family would you take, how would you find out what it has missed, and how sure are you of your number?
# The last lab asks that: `my_labs/lab_4_one_truth.ipynb`.
