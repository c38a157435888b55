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
# # Side by side
#
# *Four models draw from the same data. Which one shall we take, and how would we know?*
#
# **You will learn**
#
# - what VAE, GAN, flow and diffusion model give for the same data, and about the same seconds;
# - which of them can say how likely a picture is, which modes each finds, and what lies between;
# - what the usual metrics measure, what a picture costs, and why no single number ranks the four.
#
# **It takes** 35 minutes.
# **You need** the four families: [Learned losses](01_learned_losses.ipynb) for the VAE and the GAN, [Normalizing flows](03_normalizing_flows.ipynb), and diffusion models, of which [the second part](04b_learning_and_sampling.ipynb) is used most.

# %% jupyter={"source_hidden": true} tags=["remove-cell"]
# Where the course is missing, as on Colab, this installs it: the copy that the notebook lies in, or else this version.
from importlib.util import find_spec
from pathlib import Path

if not find_spec("gencourse"):
    course = "..[notebooks]" if Path("../gencourse").is_dir() else "genlib-course[notebooks]==0.1.0"
    get_ipython().run_line_magic("pip", f"install --quiet {course}")

# %%
import math
import time

import torch
from gencourse import checks, plots
from gencourse.runs import run_file

from genlib import data, diffusion, flows, gan, metrics, train
from genlib.autoencoder import ELBO, VAE

torch.set_num_threads(1)  # the clocks below are those of one thread
g = torch.Generator().manual_seed(0)

# %% [markdown]
# ## 1. What a summary leaves open
#
# The lecture that this course follows ends with a sentence for each family: the GAN learns its loss, the flow learns a map and has its inverse, the diffusion model learns to remove noise.
# Each of these sentences tells how a model works, and none of them tells which one to take, because that depends on what we ask of a model and on what we can pay.
# To compare the four we hold equal what can be held equal.
#
# - **The data.** Points of a mixture whose density we know, and digits whose density nobody knows.
# - **The size.** About as many parameters.
# - **The time.** About the same seconds of one processor: some 20 for points, some 70 for digits.
# - **The question.** Each digit is asked for by its class, and every family is conditioned on it.
# - **The sample.** A draw of the model as it is: no temperature, no guidance, and the VAE's decoder adds its noise. Only the diffusion model has two samplers: its bits per pixel bound the chain of a thousand random steps, while its digits are drawn by DDIM in 25 calls, with every guess clipped to the range of pixels, because a thousand calls would take too long.
#
# What is *not* equal is the tuning: each family has the settings that its own lecture found good, and other settings would move the numbers.
# So the numbers describe these small models after a short training; they do not decide between the families.

# %% [markdown]
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


# %% [markdown]
# All of them were trained before and are loaded here: on points from three seeds, on digits from one.
# Each history names the command that repeats it.


# %%
def stored(objectives, what, seed=""):
    """The models with stored weights, and the history of each training."""
    files = {family: f"side_{what}_{family.lower()}{seed}" for family in objectives}
    models = {f: train.load(task.model, run_file(f"{files[f]}.safetensors")) for f, task in objectives.items()}
    return models, {family: train.History.load(run_file(f"{file}.json")) for family, file in files.items()}


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
# On digits the number of steps differs by more than a factor of ten, because one step of a U-Net costs that much more.
# (A GAN's parameters are those of both networks, though only $G$ is needed for drawing.)

# %% [markdown]
# ## 2. Points, where the truth is known
#
# The mixture has eight modes on a circle.
# Their weights differ: mode $k$ has the weight $k/36$, so the heaviest holds eight times as much as the lightest.
# A model has to find all of them, and to give each its share.

# %%
ring = data.GaussianMixture.ring(n=8, radius=0.6, std=0.06)
mixture = data.GaussianMixture(ring.means, ring.covs, weights=torch.arange(1, 9) / 36)
families = ("VAE", "GAN", "flow", "DDPM")


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

# %% [markdown]
# **How likely is a point?**
# A density $p_\theta$ that a model gives to points of the truth is judged by its *code length*, the mean of $-\log p_\theta(x)$ over points $x$ of the truth.
# No model's code length is below the entropy of the mixture, and the distance above the entropy is $\operatorname{KL}(p \,\|\, p_\theta)$.
# The entropy is known here, so we can say by how many nats each code is too long.
#
# For a flow that number is exact, up to the choice of points.
# A VAE and a diffusion model only bound their own code length from above, so their true distance may be smaller than the number in the table.
# A GAN has no density that we could compute, and no bound of one.


# %%
@torch.no_grad()
def above_entropy(models):
    """Nats above log p(x) for points of the mixture: 200,000 for the flow, 1000 for the bounds, which take longer."""
    few, many = mixture.sample(1000, g), mixture.sample(200_000, g)
    length = {
        "VAE": (few, -models["VAE"].elbo(few, n_draws=20, generator=g)),
        "flow": (many, -models["flow"].log_prob(many)),
        "DDPM": (few, diffusion.vlb(models["DDPM"], few, generator=g, batch_size=4096).nats().total),
    }
    # the mean of log p(x) is minus the entropy, and it is taken on the very points of each model
    return {family: nats.double() + mixture.log_prob(x).double() for family, (x, nats) in length.items()}


gaps = [above_entropy(models) for models in points]

# %% tags=["nbval-ignore-output"]
of = {f: torch.stack([run[f].mean() for run in gaps]) for f in ("VAE", "flow", "DDPM")}
for family, each in of.items():
    errors = [run[family].std() / len(run[family]) ** 0.5 for run in gaps]
    print(f"{family:5}", *(f"{mean:.3f} ± {error:.3f}" for mean, error in zip(each, errors, strict=True)), "nats")
checks.at_most("in each training, the flow needs fewer nats than DDPM's bound", of["flow"], of["DDPM"])
checks.at_most("and DDPM's bound is lower than the VAE's", of["DDPM"], of["VAE"])

# %% [markdown]
# **Which modes were found, what does each weigh, and what lies between them?**
# A sample $x$ is shared among the modes by Bayes' rule: mode $k$ gets $p(k \mid x)$, and the *share* of a mode is the mean of that over all samples.
# But Bayes' rule divides every $x$ among the modes, also one that lies far from all of them.
# So a sample that is more than 3 standard deviations away from every mean counts as near *no* mode, and is given to none.
# Of the mixture's own points $e^{-9/2}$ are that far, 1.1 %.
# (Neighbours are 7.6 standard deviations apart: with 4 in the place of 3 no place between them would be left.)
# *Mode coverage* is then the number of modes that are *found*, which get at least half of the share that they should.

# %% tags=["nbval-ignore-output"]
coverage = [{family: metrics.mode_coverage(x, mixture) for family, x in clouds.items()} for clouds in made]
outside = {f: torch.tensor([run[f].outside for run in coverage]) for f in families}
found = {f: torch.tensor([run[f].found for run in coverage]) for f in families}
for family in families:
    print(f"{family:5} found", *found[family].tolist(), "  near no mode:", *(f"{s:.3f}" for s in outside[family]))
print(f"truth near no mode: {math.exp(-9 / 2):.3f}")

# %%
shares = {f: torch.tensor([run[f].share for run in coverage]).median(0).values for f in families}
mode = torch.arange(1, 9)
plots.figure(
    plots.lines(
        mode, {"truth": mixture.weights}, points={name: (mode, share) for name, share in shares.items()},
        xlabel="mode", ylabel="share of the samples", aspect=2.2,
    ),
    alt="The share of the samples at each of eight modes, against the truth, a rising line. Those of the flow lie near it, "
    "at most modes a little below, at mode 3 above; those of the diffusion model about a fifth below at modes 1 to 3, and nearer after that. "
    "Those of the GAN lie a quarter to a half below at modes 1, 3 and 4. Those of the VAE lie far below at every mode, because much of its mass is near none.",
)  # fmt: skip

# %%
least = torch.cat([*outside.values()]).min()
checks.at_most("all leave several times the truth's mass between the modes", 3 * math.exp(-9 / 2), least)
for family in ("GAN", "DDPM"):
    checks.at_most(f"in each training, the flow leaves less than the {family}", outside["flow"], outside[family])
    checks.at_most(f"and the {family} less than the VAE", outside[family], outside["VAE"])
for family in ("flow", "DDPM"):
    checks.at_most(f"the {family} finds all eight, in each training", torch.full((3,), 8), found[family])
checks.at_most("no VAE does", found["VAE"], torch.full((3,), 7))


# %% [markdown]
# **Is a mode filled?**
# Coverage looks at how much mass a mode has, and not at the shape of that mass: a model that always drew the eight means would find all modes.
# A mode of the truth is a round disc.
# So we take the samples that are nearest to a mean, and measure how widely they spread in the direction in which they spread least: that is the root of the smaller eigenvalue of their covariance.
# The *width* in the table is the median of the eight modes, divided by the truth's 0.06.


# %%
def width(x):
    """How wide a mode is where it is narrowest, over the truth's 0.06: the median of the eight modes."""
    nearest = torch.cdist(x.double(), mixture.means).argmin(1)
    variances = [torch.linalg.eigvalsh(x[nearest == k].double().T.cov())[0] for k in range(8)]
    return float(torch.stack(variances).clamp(min=0).sqrt().median()) / 0.06


widths = {family: torch.tensor([width(clouds[family]) for clouds in made]) for family in families}
checks.at_most("every GAN draws modes that are too thin", widths["GAN"], torch.full((3,), 0.8))
checks.at_most("every VAE draws them too wide", torch.full((3,), 1.3), widths["VAE"])


# %% [markdown]
# **How far apart are two clouds of points?**
# A single number for all of that needs samples only, and so it can be had of a GAN as well: the *energy distance*
#
# $$2\,E\|x - y\| - E\|x - x'\| - E\|y - y'\|,$$
#
# where $x, x'$ are independent draws from one cloud, and $y, y'$ from the other.
# If both clouds have one distribution, a point of either is on average as far from the other cloud as from its own, and the distance is 0; otherwise it is above 0 (Székely and Rizzo 2013).
# Why it cannot be negative is easiest to see on a line, where it is twice the area under the *squared* difference of the two distribution functions $F$ and $G$: $2\int (F(s) - G(s))^2\,ds$.
# The cell compares this area with genlib's mean over pairs.

# %%
a, b = torch.randn(300, generator=g).double(), 0.5 + 0.7 * torch.randn(200, generator=g).double()
s = torch.cat([a, b]).sort().values
F, G = (torch.searchsorted(z.sort().values, s, right=True).double() / len(z) for z in (a, b))  # up to each s
area = 2 * ((F - G)[:-1].square() * s.diff()).sum()
pairs = metrics.energy_distance(a[:, None], b[:, None], unbiased=False)
checks.identity("mean distances of pairs are an area between F and G", pairs, area, tol=1e-10)


# %% [markdown]
# The area is small where two clouds differ only in detail, because the energy distance compares distributions over the whole width of the plane.
# Mass in the wrong mode moves it; mass that lies a little beside its mode hardly does.
#
# The last number on points asks for both: the mass that is *misplaced*, in another mode than it should be or in none.


# %%
def misplaced(found):
    """The mass in another mode than it should be, or in none: half of Σ |share − weight| and what is outside."""
    off = (torch.tensor(found.share, dtype=torch.float64) - mixture.weights).abs().sum()
    return round(float(off + found.outside) / 2, 6)


def judged(x):
    """What the table will say of a cloud of points."""
    found = metrics.mode_coverage(x, mixture)
    energy = 1000 * metrics.energy_distance(x, truth, unbiased=False)
    places = {"found": found.found, "misplaced": misplaced(found), "outside": found.outside}
    return {"energy": energy, "width": width(x), **places}


def median(values):
    """The middle one of the three seeds."""
    return float(sorted(values)[1])


judgements = [{family: judged(x) for family, x in clouds.items()} for clouds in made]
on_average = {
    key: {f: median([run[f][key] for run in judgements]) for f in families} for key in judgements[0]["flow"]
}
of_truth = judged(again)

# %% [markdown]
# **Why does the VAE leave a third of its mass between the modes?**
# Two things could put it there: the noise that the decoder adds to every point, and the codes, since the prior draws codes that the encoder gives to no point of the truth.
# Each can be changed alone.
# We take the noise away, and we replace the codes of the prior by codes that the encoder draws for points of the truth.


# %%
@torch.no_grad()
def decoded(vae, own_codes, noise, n=4000):
    """Points of the decoder, from codes that the encoder draws for true points or else from codes of the prior."""
    m, log_s = vae.encode(mixture.sample(n, g)) if own_codes else (torch.zeros(n, 2), torch.zeros(n, 2))
    x = vae.decode(m + log_s.exp() * torch.randn(n, 2, generator=g))
    return x + vae.log_std.exp() * torch.randn(n, 2, generator=g) if noise else x


def near_none(*how):
    return torch.tensor(
        [metrics.mode_coverage(decoded(models["VAE"], *how), mixture).outside for models in points]
    )


stray = {
    (own_codes, noise): near_none(own_codes, noise) for own_codes in (False, True) for noise in (True, False)
}
own_width = torch.tensor([width(decoded(models["VAE"], True, True)) for models in points])

# %% tags=["nbval-ignore-output"]
for (own_codes, noise), left in stray.items():
    what = f"codes of {'true points' if own_codes else 'the prior'}, {'with' if noise else 'without'} noise"
    print(f"{what:34} near no mode:", *(f"{share:.3f}" for share in left))
print("width with codes of true points:", *(f"{w:.2f}" for w in own_width))
print(
    "the decoder's noise, over 0.06: ",
    *(f"{float(m['VAE'].log_std.detach().exp().mean() / 0.06):.2f}" for m in points),
)
checks.at_most("the right codes take more away than no noise would", stray[True, True], stray[False, False])
checks.at_most("less than half is left with them", stray[True, True], stray[False, True] / 2)
checks.at_most("but the modes stay too wide", torch.full((3,), 1.15), own_width)

# %% [markdown]
# **Is the diffusion model's smear the fault of its network, or of its chain?**
# We give the same chain the best denoiser there is, which is known for a mixture, and change nothing else.
# The bound is taken apart in the same way: what is left of it with the best denoiser is the chain's, whose fixed variance is $\sigma_t^2 = \beta_t$ ([Learning and sampling](04b_learning_and_sampling.ipynb), section 10).

# %% tags=["nbval-ignore-output"]
chain = points[0]["DDPM"].schedule
perfect = diffusion.DDPM(lambda x_t, t, label: mixture.optimal_eps(x_t, t, chain), chain)
by_perfect = diffusion.last(diffusion.ancestral(perfect, (2000, 2), generator=g))
best = metrics.mode_coverage(by_perfect, mixture).outside
others = mixture.sample(8000, g)  # more than above, because this network costs nothing
surplus = (
    diffusion.vlb(perfect, others, generator=g, batch_size=4096).nats().total + mixture.log_prob(others).double()
)
print(
    f"the best denoiser: {best:.3f} near no mode; its bound {surplus.mean():.2f} ± {surplus.std() / 8000**0.5:.2f}"
)
checks.at_most("less than a third of what the trained ones leave", best, outside["DDPM"].min() / 3)

# %% [markdown]
# **Are the flow's bridges what its code length pays for?**
# A flow's density is positive everywhere and its map continuous, so some of its mass must lie between the modes.
# What does that cost?
# Cut the plane into nine cells: one far from all modes, beyond 3 standard deviations, and one around each mode.
# On a cell that the truth gives the mass $P$ and the flow the mass $Q$, the ratio $p/p_\theta$ is $P/Q$ times a ratio of densities *given* the cell, so KL is the sum of a divergence of masses and of one within each cell, weighted by $P$ ([Normalizing flows](03_normalizing_flows.ipynb), (8a)).
# The divergence of masses splits once more in the same way, into far against near and the shares of the modes among what is near.
# So the gap has four parts, none of them negative, and quadrature gives each of them.


# %%
side = torch.linspace(-1.5, 1.5, 601, dtype=torch.float64)
plane = torch.cartesian_prod(side, side)
nearest, cell_of = torch.cdist(plane, mixture.means.double()).min(1)
cell_of[nearest > 3 * 0.06] = 8  # near no mode
log_p = mixture.log_prob(plane).double()


def by_cell(values):
    return torch.zeros(9, dtype=torch.float64).index_add(0, cell_of, values * 0.005**2)


@torch.no_grad()
def four_parts(flow):
    """Of KL(p ‖ p_θ): far against near, shares among the modes, the shape of the modes, the shape of what is far."""
    log_q = flow.log_prob(plane.float()).double()
    P, Q = by_cell(log_p.exp()), by_cell(log_q.exp())
    of_masses, near = P * (P / Q).log(), P[:8].sum()
    far_or_near = of_masses[8] + near * (near / Q[:8].sum()).log()
    shape = by_cell(log_p.exp() * (log_p - log_q)) - of_masses
    return torch.stack([far_or_near, of_masses.sum() - far_or_near, shape[:8].sum(), shape[8]])


parts = torch.stack([four_parts(models["flow"]) for models in points])

# %% tags=["nbval-ignore-output"]
names = ("mass far from all modes", "shares among the modes", "shape of the modes", "shape of what is far")
for name, each in zip(names, parts.T, strict=True):
    print(
        f"{name:24}",
        *(f"{nats:.3f}" for nats in each),
        " share of the gap:",
        *(f"{s:.2f}" for s in each / parts.sum(1)),
    )
sampled, its_error = of["flow"], torch.stack([run["flow"].std() / 200_000**0.5 for run in gaps])
checks.at_most("the four parts are the gap, in each training", (parts.sum(1) - sampled).abs(), 4 * its_error)
checks.at_most("wrong mass far away is less than a third of it", parts[:, 0], parts.sum(1) / 3)
checks.at_most("the shape of the modes is more than half of it", parts.sum(1) / 2, parts[:, 2])

# %% [markdown]
# **How much of the plane does the GAN reach?**
# Its density has no formula, but its samples can be counted: we draw 300,000 of them, in squares whose side is about half of a standard deviation, and ask which share of the true points lies in a square that got none of them.
# As many samples of the truth itself show how much of that is chance.


# %%
def counted(x):
    """How many of the points x lie in each of 64 × 64 squares of [−1, 1]²: (64, 64)."""
    i, j = ((x + 1) * 32).floor().long().clamp(0, 63).T
    return torch.bincount(64 * i + j, minlength=64 * 64).view(64, 64)


def unreached(counts):
    """The share of true points in squares without a sample."""
    mass = counted(mixture.sample(300_000, g))
    return float(mass[counts == 0].sum() / mass.sum())


of_gan = [counted(models["GAN"].sample(300_000, 0, g)) for models in points]
of_mixture = counted(mixture.sample(300_000, g))

# %% tags=["nbval-ignore-output"]
empty = torch.tensor([unreached(counts) for counts in of_gan])
print("true points where the GAN drew none:", *(f"{share:.2f}" for share in empty))
print(f"where the truth drew none: {unreached(of_mixture):.4f}")
centre = torch.cartesian_prod(*[(torch.arange(64) + 0.5) / 32 - 1] * 2).norm(dim=1).view(64, 64)
print(
    "the GAN's mass in squares inside the ring:",
    *(f"{c[centre < 0.4].sum() / 300_000:.4f}" for c in of_gan),
    end="",
)
print("; outside it:", *(f"{c[centre > 0.8].sum() / 300_000:.4f}" for c in of_gan))
checks.at_most("a tenth of the truth and more is out of reach, in each training", torch.full((3,), 0.1), empty)

# %%
area_shown = {"extent": (-1, 1, -1, 1), "colorbar": False, "aspect": 1.05}
plots.figure(
    plots.heatmap((1 + of_mixture).log().T, title="truth, counts (log)", **area_shown),
    plots.heatmap((1 + of_gan[0]).log().T, title="GAN, counts (log)", **area_shown),
    alt="Two maps of counts, logarithmic. The truth: eight round spots, filled. The GAN: one closed band that runs through "
    "the eight places, brightest at the six heaviest; a little of it inside the ring, and a few squares outside at the right and lower right.",
)

# %% [markdown]
# So the four clouds differ in kind.
#
# - The **VAE** leaves a third of its mass between the modes, and loses modes with it. The larger part is due to the codes: with codes of true points 12 or 13 % are left instead of 33 %, while without noise, but with codes of the prior, 28 to 30 % would be. The decoder is continuous, so codes between those of two modes are decoded to points between the two. The smaller part is the noise: its standard deviation is that of a whole mode, so with what the decoder itself varies the modes become a quarter too wide where the codes are those of true points, and 1.78 times as wide as they should be with the codes of the prior.
# - The **GAN** draws modes that are *threads*, strung on one closed band. In the training that the map shows half a percent of its mass lies inside the ring and next to nothing outside; in the other two it is a tenth of a percent, outside. About a sixth of the true points lies where 300,000 of its samples never come. A density that is zero there, or nearly, would have an enormous code length; but nobody can compute the GAN's, and coverage does not see it.
# - The **flow** cannot tear one piece into eight, and its bridges are visible. Yet wrong masses explain only about a quarter of its gap, the shapes of the modes a little more than half, and the rest is how the mass between the modes is spread there. The flow is ahead of the others in mass; in nats its exact gap is smaller than the others' *bounds*, which may be loose.
# - The **diffusion model** finds all modes, and smears the light ones along the ring. With the best denoiser the same chain leaves hardly more between the modes than the truth does, so the smear is the network's, after this training. A little less than half of its gap of 0.3 nats remains with the best denoiser, and so belongs to the chain or to the bound.

# %% [markdown]
# <details><summary><b>Question.</b> The GAN's code has two entries, and its generator is continuous. Can its samples lie on a thread, then?</summary>
#
# On a thin band, yes; on a curve of width 0, only if the generator's Jacobian is singular wherever codes are drawn.
# The map may stretch one direction of the codes along the ring and press the other one nearly flat, and then $|\det|$ is small almost everywhere.
# A flow could represent such a map as well.
# But maximum likelihood would punish it at every true point beside the band, by $-\log$ of a density that is nearly zero there.
# </details>

# %% [markdown]
# ## 3. Digits, where it is not
#
# Of digits we have samples only, so every number comes from held-out digits or from a *judge*, a small classifier that was trained on real ones.
# Real digits have 17 grey levels, and what a model draws is rounded to these levels before it is measured.
# The flow and the VAE were trained on dequantized pixels, in which a level became an interval, so a pixel that they draw belongs to the level at the lower end of its interval.
# The GAN and the diffusion model were trained on the levels themselves, so there the nearest level is taken.


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

# %% [markdown]
# **How many bits does a pixel need?**
# All numbers in this row are bounds.
# The flow's density is exact, but it is the density of a *dequantized* digit, and its code length is never below that of the digit itself ([Normalizing flows](03_normalizing_flows.ipynb), section 10).
# The VAE has a density of dequantized digits as well, on a scale from $-1$ to $1$: of $\tilde x = 2(x + \text{noise})/17 - 1$, with noise uniform on $[0, 1)$.
# On that scale a level is $2/17$ wide, so the probability of a digit is the mean of the density over its cube of noise, times $2/17$ for each pixel.
# By Jensen the logarithm of that mean is at least the mean of the logarithms, and these are at least the ELBO:
#
# $$-\tfrac1{64}\log_2 P(x) \;\le\; -\tfrac1{64\log 2}\,E\big[\text{ELBO}(\tilde x)\big] + \log_2 \tfrac{17}{2}. \tag{1}$$
#
# The cell looks at (1) where $P$ is known: one pixel, and a linear VAE, whose density is a Gaussian; the standard deviation of its encoder is a fifth too large, so that the ELBO is a strict bound.
#
# The diffusion model's bound is one on probabilities already.
# It has a thousand terms for each digit, so all families are measured on 12 digits.

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
checks.at_most("and none much fewer", cost, 0.12 - P.log2())

# %%
x_int, of_these = data.digits("test", integers=True).x[:12].flatten(1), held_label[:12]
with torch.no_grad():
    elbos = digits["VAE"].elbo(2 * flows.dequantize(x_int, 17, g) - 1, of_these, n_draws=20, generator=g)
bound = diffusion.vlb(digits["DDPM"], real[:12], of_these, generator=g)
bits = {
    "VAE": float(-elbos.mean() / (64 * math.log(2)) + math.log2(17 / 2)),
    "GAN": None,
    "flow": float(digits["flow"].bits_per_dim(x_int.repeat(20, 1), of_these.repeat(20), generator=g).mean()),
    "DDPM": float(bound.total.mean()),
}

# %% [markdown]
# A diffusion model's bound says step by step where the bits go.

# %% tags=["nbval-ignore-output"]
first = float(bound.L_t[:, :49].sum(1).mean())
print(
    f"DDPM: {bits['DDPM']:.2f} ± {float(bound.total.std() / 12**0.5):.2f} bits per pixel; {first:.2f} in steps 2 to 50"
)
checks.at_most("more than half of the bits is paid in the 49 steps with the least noise", bits["DDPM"] / 2, first)

# %% [markdown]
# **Does a short code mean a familiar picture?**
# One would like to use a density to find what does not belong: a picture that needs many bits should be a strange one.
# Nalisnick et al. (2019) found the opposite for flows on photographs, where pictures of another kind, smoother ones, got the *higher* density.
# We try two pictures, and the flow is asked for each of them as each of the ten classes in turn: a sheet without ink, and a bar, two columns of full ink.
# How familiar are they?
# We look up their nearest training digit, in pixels on a scale from 0 to 1, and ask the judge.

# %%
empty = torch.zeros(8, 8, dtype=x_int.dtype)
bar = empty.clone()
bar[:, 3:5] = 16
every = data.digits("test", integers=True).x.flatten(1)
trained_on = data.digits("train", integers=True).x.flatten(1)


def away(x):
    """From each picture to its nearest training digit."""
    return torch.cdist(x.double() / 17, trained_on.double() / 17).min(1).values


@torch.no_grad()
def bits_as_each(picture):
    asked = torch.arange(10).repeat_interleave(20)
    return digits["flow"].bits_per_dim(picture.flatten().repeat(200, 1), asked, generator=g).view(10, 20).mean(1)


with torch.no_grad():
    of_held_out = digits["flow"].bits_per_dim(every, held_label, generator=g)
of_bar, of_empty = bits_as_each(bar), bits_as_each(empty)

# %% tags=["nbval-ignore-output"]
print(f"held-out digits: median {of_held_out.median():.2f} bits per pixel, the cheapest {of_held_out.min():.2f}")
for name, picture, its_bits in (("bar", bar, of_bar), ("empty", empty, of_empty)):
    print(f"{name:5} as 0 to 9:", *(f"{b:.2f}" for b in its_bits))
    own = away(picture.flatten()[None])
    reads = metrics.judge()(picture.view(1, 1, 8, 8) / 8 - 1).softmax(1)[0]
    print(
        f"      nearest training digit {own[0]:.2f} away, farther: {(away(every) > own).double().mean():.2f} of held-out digits;",
        end="",
    )
    print(f" the judge: a {reads.argmax()} with {reads.max():.3f}, an 8 with {reads[8]:.0e}")
dearer = torch.stack([(of_held_out > b).double().mean() for b in of_empty])
print(f"dearer than the empty sheet: {dearer.min():.3f} to {dearer.max():.3f} of the held-out digits")
others_than_0 = of_bar[1:]
checks.at_most(
    "as every class but 0, the bar is cheaper than most", others_than_0, of_held_out.median().expand(9)
)
checks.at_most("the empty sheet is not", of_held_out.quantile(0.9).expand(10), of_empty)

# %% [markdown]
# The empty sheet is a stranger, farther from all training digits than any held-out digit is, and the flow finds it expensive.
# The bar is no stranger: its nearest training digit, a "1", is nearer than for 93 of 100 held-out digits, and the judge is sure of the class.
# That the bar is cheap as a "one" is therefore as it should be.
# But it is cheap as an "eight" as well, for which the judge gives it less than one chance in a million, and as every other class but 0: it needs fewer bits than the median held-out digit needs as what it *is*.
# So a short code does not say that a picture is what was asked for.
#
# The ratio of two densities of *one* picture does say it.
# As an eight the bar costs 0.45 bits per pixel more than as a one, which is 29 bits in all, so by Bayes' rule this flow holds the eight for some $2^{29}$ times less likely.
# A code length by itself mixes how well a picture fits with how predictable its pixels are; a bar is mostly empty paper.

# %% [markdown]
# **How far apart are two sets of pictures?**
# The energy distance of the last section would compare pixels, and a digit that is moved by one pixel is far away in pixels.
# Heusel et al. (2017) therefore compare what a classifier sees: each picture becomes a vector of *features*, the last layer before the classes, and each set of pictures is summarised by the mean $\mu$ and the covariance $\Sigma$ of its features.
# The *Fréchet distance* is that of the two Gaussians with these moments,
#
# $$d^2 = \|\mu_1 - \mu_2\|^2 + \operatorname{tr}\Big(\Sigma_1 + \Sigma_2 - 2\,\big(\Sigma_1^{1/2}\,\Sigma_2\,\Sigma_1^{1/2}\big)^{1/2}\Big).$$
#
# It is a *squared* distance, and its meaning is a transport: if every point $x$ of the first Gaussian is moved to $T(x) = \mu_2 + A(x - \mu_1)$, where $A$ is symmetric and positive and $A \Sigma_1 A = \Sigma_2$, the points arrive as the second Gaussian, and $d^2$ is the mean of the squared distance that they have moved; no other way to move them has a smaller mean.
# The cell builds this $A$ and compares the mean with the formula, as genlib computes it.

# %%
B = torch.randn(2, 3, 3, generator=g).double()
cov_1, cov_2 = B @ B.mT + 0.1 * torch.eye(3)
mean_1, mean_2 = torch.randn(2, 3, generator=g).double()


def root(cov):
    values, U = torch.linalg.eigh(cov)
    return U @ values.sqrt().diag() @ U.T


R = root(cov_1)
A = R.inverse() @ root(R @ cov_2 @ R) @ R.inverse()
moved = A - torch.eye(3)  # T(x) − x, up to the means
mean_square = (moved @ cov_1 @ moved).trace() + (mean_2 - mean_1).square().sum()
checks.identity("A carries one Gaussian to the other", A @ cov_1 @ A, cov_2, tol=1e-10)
d_2 = metrics.frechet_gaussian(mean_1, cov_1, mean_2, cov_2)
checks.identity("the Fréchet distance is the mean square of the way", d_2, mean_square, tol=1e-9)

# %% [markdown]
# Two warnings come with it.
# First, $\mu$ and $\Sigma$ are estimated, and the errors of a covariance in 48 dimensions add to the distance whatever the pictures are: even *real* digits come out far from the training set if there are few of them.
# So distances may only be compared at the same number of pictures, 300 here, and we give them as multiples of what the 297 held-out digits have.
# The mix of classes counts as well: the held-out digits have 26 to 35 of a class, while the drawn ones have 30 of each.
# Balanced as far as they go, 285 held-out digits are nearer than as many at random; the drawn sets are balanced, so what they should be compared with is the balanced 0.79, not 1.
# Secondly, another draw from the same model gives another number.
# We repeat the draws; the spread over *trainings* is not in these numbers, because each family was trained on digits once.

# %% tags=["nbval-ignore-output"]
unit = metrics.frechet_distance(real)
for n in (75, 150, 285, 297):
    subsets = [real[torch.randperm(297, generator=g)[:n]] for _ in range(20)]
    values = torch.tensor([metrics.frechet_distance(images) / unit for images in subsets])
    print(f"{n:3} held-out digits at random: × {values.mean():.2f} ± {values.std():.2f}")
balanced = torch.cat([real[held_label == k][:30] for k in range(10)])
floor = metrics.frechet_distance(balanced) / unit
print(f"{len(balanced)} held-out digits, at most 30 of a class: × {floor:.2f}")

# %% tags=["nbval-ignore-output"]
repeats = {
    family: [pictures[family], *(sampler[family]() for _ in range(4))] for family in ("VAE", "GAN", "flow")
}
repeats["DDPM"] = [pictures["DDPM"], *(denoise(digits["DDPM"], calls, seed) for seed in (2, 3, 4, 5))]
of_draws = {f: torch.tensor([metrics.frechet_distance(images) / unit for images in repeats[f]]) for f in families}
for family, values in of_draws.items():
    print(f"{family:5} × {values.mean():.2f}, over {len(values)} draws", end=" ")
    print(f"standard deviation {values.std():.2f}, least {values.min():.2f}, largest {values.max():.2f}")
frechet = {family: float(values.mean()) for family, values in of_draws.items()}
checks.at_most(
    "on average over draws, the GAN's digits are nearest",
    1.2 * frechet["GAN"],
    min(frechet[f] for f in ("VAE", "flow", "DDPM")),
)

# %% [markdown]
# On average the GAN's digits are the nearest, although the farthest of its five draws, × 1.94, is no nearer than the nearest of the VAE's, × 1.93.
# The means of the flow and of the diffusion model differ by about two standard deviations of a draw, so one draw of each says little about their order.

# %% [markdown]
# **Too few kinds of pictures, or too many bad ones?**
# A large Fréchet distance does not say which: a model that always draws the same perfect picture is far away, and so is one that draws every digit and much else.
# *Precision* and *recall* ask the two questions apart (Sajjadi et al. 2018; in this form Kynkäänniemi et al. 2019).
# A set of pictures is said to *cover* a place in the space of features if that place is no further from one of its pictures than the third-nearest other picture of the set is from that same picture.
# Precision is the share of drawn pictures in places that the real ones cover, and recall the share of real pictures in places that the drawn ones cover.
#
# Recall has a fault, and it is easy to overlook: its balls are drawn around the *drawn* pictures.
# A model that scatters its pictures widely has large balls, and large balls cover many real digits although no picture is near them.
# *Coverage* (Naeem et al. 2020) keeps the balls of precision, around the real pictures: it is the share of real ones that have a drawn one no farther away than their third-nearest real neighbour.
# The last row is real digits of the training set, 30 of each class, so it shows what there is to reach.


# %%
def features(images):
    return metrics.judge().features(images.clamp(-1, 1)).detach()


known = features(real)
drawn_features = {family: [features(images) for images in repeats[family]] for family in families}
precisions = {f: torch.tensor([metrics.precision(x, known) for x in sets]) for f, sets in drawn_features.items()}
recalls = {f: torch.tensor([metrics.recall(x, known) for x in sets]) for f, sets in drawn_features.items()}
coverages = {f: torch.tensor([metrics.coverage(x, known) for x in sets]) for f, sets in drawn_features.items()}


def radius(x):
    """The median distance of a picture to the third-nearest other one, in features."""
    return float(torch.cdist(x.double(), x.double()).kthvalue(4, dim=1).values.median())


# %% tags=["nbval-ignore-output"]
seen = data.digits("train")
more_real = features(torch.cat([seen.x[seen.label == k][:30] for k in range(10)]))
of_real = [measure(more_real, known) for measure in (metrics.precision, metrics.recall, metrics.coverage)]
for f in families:
    values = "  ".join(f"{v.mean():.2f} ± {v.std():.2f}" for v in (precisions[f], recalls[f], coverages[f]))
    print(f"{f:5} precision, recall, coverage {values}  radius of a ball {radius(drawn_features[f][0]):.1f}")
print(
    "real  precision, recall, coverage",
    *(f"{v:.2f}       " for v in of_real),
    f" radius of a ball {radius(known):.1f}",
)
gans = precisions["GAN"], recalls["GAN"], coverages["GAN"]
for f in ("flow", "DDPM"):
    checks.at_most(
        f"more of the GAN's pictures than of the {f}'s are like real ones", precisions[f].max(), gans[0].min()
    )
    checks.at_most(f"by recall, the {f}'s reach more of the real ones", gans[1].max(), recalls[f].min())
    checks.at_most(f"by coverage, the GAN's do, more than the {f}'s", coverages[f].max(), gans[2].min())

# %% [markdown]
# After ± stands the standard deviation over the draws.
# Nearly all pictures of the GAN are like real ones, and one in six of the flow's and of the diffusion model's is like none.
# Do the GAN's pictures miss kinds of digits, then, which the other two find?
# Recall says so, and coverage says the opposite.
# The balls tell why: those of the flow and of the diffusion model are half as large again as the GAN's, and larger than those of real digits, so they cover more from wherever they lie.
# By coverage every model leaves out more real digits than another set of real digits does, and the GAN fewest.
# Neither number alone decides; where they disagree, look at the balls.

# %% [markdown]
# **Are they new?**
# All numbers so far would be excellent for a model that stores the training set and draws from it.
# Such a model is betrayed by how near its pictures lie to training pictures.
# Held-out digits say what is near: 5 % of them lie nearer than some distance $c$, in pixels, to a training digit.
# *Copying* is the share of drawn pictures that are nearer than $c$; new digits have 0.05 by construction, a model that stores its data has 1.
# A small number alone is no praise, because pictures that are like no digit at all have 0.
#
# **Are they crisp?**
# As in [Normalizing flows](03_normalizing_flows.ipynb), section 11, spectra tell: a blur lacks power at high spatial frequencies.
# In the table, *detail* is the power on the outer rings over that of real digits, and the *error of the spectrum* is the mean difference of $\ln$ power over all rings.
# Power says how much there is at a frequency and not whether it belongs there: the noise that a draw of the VAE adds to every pixel is power, too.

# %% [markdown]
# ## 4. What a picture costs
#
# VAE, GAN and flow make a picture in one pass.
# A diffusion model asks its network again and again, and we decide how often, so it is a curve in this figure and not a point: milliseconds per picture, by one thread that makes 300 at once, against the Fréchet distance to real digits.
# The second curve is the stored run of lecture 04b, the same network trained for longer.

# %%
longer = diffusion.DDPM(diffusion.UNet.digits(), diffusion.Schedule.cosine(T=1000), predict="v", levels=17)
train.load(longer, run_file("ddpm_digits.safetensors"))
long_run = train.History.load(run_file("ddpm_digits.json"))
times_as_long = long_run.step[-1] / of_digits["DDPM"].step[-1]
print(f"the longer run: {long_run.step[-1]:,} steps   {long_run.command}")
counts = (1, 2, 5, 10, 25)


def multiple(images):
    """The Fréchet distance, in multiples of that of held-out digits."""
    return metrics.digits_report(images).frechet_multiple


same = [multiple(pictures["DDPM"] if n == calls else denoise(digits["DDPM"], n)) for n in counts]
long_pictures = {n: denoise(longer, n) for n in counts}
long = [*map(multiple, long_pictures.values())]

# %%
# The first for the line of real digits.
at = torch.tensor([4e-3, *(milliseconds["DDPM"] / calls * n for n in counts)])
single = {f: (milliseconds[f], frechet[f]) for f in ("VAE", "GAN", "flow")}
names = [*((f, *place) for f, place in single.items()), ("285 real digits", 4e-3, floor)]
ends = [
    ("DDPM", 1.1 * float(at[5]), 0.85 * same[4]),
    (f"DDPM, {times_as_long:.0f} × as long", 0.075 * float(at[4]), 0.93 * long[3]),
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
    "The curve of the diffusion model is further right: it falls to 2.0 at five calls, and rises to 3.3 at 25. "
    "Trained longer, it goes on falling, to the line of real digits and below.",
)  # fmt: skip

# %% [markdown]
# Each number on the curve is how often the network was asked, and every point of the two curves is a single draw of 300 digits; the points of the other families are means over draws.
# The curve of the same budget turns upwards after five calls: this network, after so short a training, does not become better by being followed in smaller steps.
# Trained more than six times as long, the same network goes on improving up to 25 calls, and its digits come nearer than those of the other three.
# (What the other families would make of so much time, the figure does not say.)
#
# But a distance *below* that of 285 real held-out digits, at most 30 of each class, is no triumph.
# It says that the samples agree with the training digits more closely than new digits do, so we look for copies, of which new digits have 0.05.

# %% tags=["nbval-ignore-output"]
for n, images in long_pictures.items():
    print(f"{n:>2} calls: × {multiple(images):5.2f}, copying {metrics.copying(images):.3f}")

# %% [markdown]
# With 25 calls there are no more near copies than among new digits, so the model has not stored the pictures.
# What this distance sees are means and covariances of the judge's features; in these the samples follow the training digits, which are not quite those of all digits.

# %% [markdown]
# **Memory.**
# Training needs more than the weights: autograd keeps, until the backward pass, whatever a derivative will ask for.
# PyTorch lets us watch which tensors it puts away.


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

# %% [markdown]
# ## 5. The table
#
# Everything so far, in one place.
# The best of each row is found by the code that prints it.

# %%
Row = plots.Row


def row(name, values, truth=None, **options):
    """A row of the table, from numbers by family and what the truth has."""
    return Row(name, [*(values[family] for family in families), truth], **options)


def of_cloud(name, key, **options):
    return row(name, on_average[key], of_truth[key], **options)


# %%
kind = {"VAE": "a bound", "GAN": "none", "flow": "exact", "DDPM": "a bound"}
nats = {"GAN": None, **{family: median(each.tolist()) for family, each in of.items()}}
rows_of_points = [
    Row("Points, the median of three trainings"),
    row("density", kind),
    row("nats above the entropy, at most", nats, 0.0),
    of_cloud("energy distance × 1000", "energy", form=".1f", best="low"),
    of_cloud("modes found, of 8", "found", form=".0f", best="high"),
    of_cloud("mass more than 3 standard deviations from every mode", "outside", form=".3f", best="low"),
    of_cloud("mass there, or in another mode than it should be", "misplaced", form=".3f", best="low"),
    of_cloud("width of a mode, over the truth's", "width"),
]

# %%
held_out = metrics.held_out_report()
reports = {family: metrics.digits_report(images, label) for family, images in pictures.items()}
accuracy = {family: report.label_accuracy for family, report in reports.items()}
copying = {family: report.copying for family, report in reports.items()}
detail = {family: metrics.detail(images, real) for family, images in pictures.items()}
error = {family: metrics.spectrum_error(images, real) for family, images in pictures.items()}
weights = {f: sum(p.numel() for p in objective.parameters()) * 4 / 1000 for f, objective in for_digits.items()}

# %%
rows_of_digits = [
    Row("Digits, one training"),
    row("bits per pixel, at most", bits, best="low"),
    row("label accuracy", accuracy, held_out.label_accuracy, form=".3f", best="high"),
    row("Fréchet distance, × held-out, mean over draws", frechet, floor, best="low"),
    row("precision", {f: float(p.mean()) for f, p in precisions.items()}, of_real[0], best="high"),
    row("recall", {f: float(r.mean()) for f, r in recalls.items()}, of_real[1], best="high"),
    row("coverage", {f: float(c.mean()) for f, c in coverages.items()}, of_real[2], best="high"),
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

# %% [markdown]
# No family wins everywhere.
#
# - **The GAN** is first where *pictures* are judged one by one or by their Fréchet distance, and is as quick as a picture gets. The price is in other rows: it has no likelihood and no bound of one, and it draws threads in the place of discs. Its recall is the lowest of the four and its coverage the highest, because recall rewards scatter (section 3).
# - **The flow** is first where *probability* is asked for, as in compression and in comparing models by their code length (but one code length by itself does not say whether a picture is what was asked for, section 3). In the plane it is first, or level with the first, in every row but the width, if the others' bounds of nats are tight. Its pictures are about twice as far from real ones as the GAN's.
# - **The diffusion model** takes the most time for a picture, and the most memory in training. In recall, coverage and Fréchet distance it is not far from the flow. It is also the family that the budget held back: its digits are nearer with five calls than with the table's 25, and after a longer training they are nearer than all the others (section 4). Its bits are the poorest, and seven tenths of them are paid in the twentieth of the steps that have the least noise (section 3).
# - **The VAE** has the poorest samples in the plane, and its digits are the softest, though by Fréchet distance, label accuracy, precision and coverage they come second. It alone has a short code for a picture, *16 numbers* that stand for 64 pixels, and an encoder that finds them; latent diffusion is built on that.
#
# The fewest bits and the nearest pictures do not belong to the same family, because the two numbers ask different questions: a code length says what the model thinks of *real* digits, a Fréchet distance what a judge thinks of *drawn* ones.

# %%
checks.at_most(
    "the flow's code is shorter by half a bit per pixel", bits["flow"] + 0.5, min(bits["VAE"], bits["DDPM"])
)
checks.at_most("yet its digits are much farther than the GAN's", 1.5 * frechet["GAN"], frechet["flow"])
checks.at_most("the GAN's are nearest", frechet["GAN"], min(frechet["VAE"], frechet["flow"], frechet["DDPM"]))
checks.at_most("and crispest", error["GAN"], min(error["VAE"], error["flow"], error["DDPM"]))
checks.at_most("nobody copies more than a tenth", torch.tensor(list(copying.values())), torch.full((4,), 0.1))
checks.at_most("the VAE's are softer than the GAN's", detail["VAE"], detail["GAN"])
checks.at_most("the diffusion model's are nearer with five calls than with 25", same[2], 0.8 * same[4])
checks.at_most("a longer training is what it lacks", long[4], 0.5 * same[4])
checks.at_most("with it, it passes the GAN", long[4], frechet["GAN"])

# %% [markdown]
# <details><summary><b>Question.</b> A paper has a table in which one model is better in every row. What do you ask its authors?</summary>
#
# Whether both models had the same budget, and whose settings were tuned for longer.
# How many seeds there were, and how far apart they lie.
# And which rows are missing: what would a model that stores the training data score in this table, and a model that always draws the same perfect picture?
# (The first is betrayed by copying alone; the second by recall and coverage, by the Fréchet distance and, where classes are asked for, by label accuracy.)
# </details>

# %% [markdown]
# ## What the notes said, and what holds
#
# - "Flow models are not as crisp as GANs." So it is here, and the table says by how much (section 5). It is a sentence about trained models, not about what the family can express.
# - "GANs are only able to provide lower bounds" on the likelihood. A GAN gives none; VAEs and diffusion models give bounds, and on whole numbers a flow gives one, too (sections 2 and 3; row [13](08_the_notes_corrected.ipynb#Row-13)).
# - The discriminator "better fits the image generation task". For the looks of these digits it does (section 5). It also left threads where discs should be (section 2), and whether it pays depends on the task and on the judge (row [4](08_the_notes_corrected.ipynb#Row-4)).
# - The samples' lack of detail was blamed on the loss alone. On the ring the larger part of what the VAE puts between the modes is due to codes that no data point uses (section 2; row [24](08_the_notes_corrected.ipynb#Row-24)).

# %% [markdown]
# ## Where to read on
#
# - Theis, van den Oord and Bethge 2016, *A Note on the Evaluation of Generative Models*: why likelihood, looks and distance disagree.
# - Heusel et al. 2017, *GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium*: the Fréchet distance of features. Kynkäänniemi et al. 2019, *Improved Precision and Recall Metric for Assessing Generative Models*.
# - Nalisnick et al. 2019, *Do Deep Generative Models Know What They Don't Know?*: a high density for pictures that do not belong.
#
# In this lecture we could look the truth up.
# One more thing can be looked up: which sentences of the notes hold, one by one, in [The notes, corrected](08_the_notes_corrected.ipynb).
# After that, the truth is hidden from you.
# Which family would you take, how would you find out what it has missed, and how sure are you of your number?
# Lab 4 asks that: `my_labs/lab_4_one_truth.ipynb`.
