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
# # Conditional GANs
#
# *A picture has many right answers. How do we train a network to give one of them, and not their mean?*
#
# **You will learn**
#
# - what a conditional GAN minimises, in both sign conventions that are in use;
# - why the loss in the theorem is not the one in the code;
# - why the discriminator must see the input, and two ways to show it;
# - what a pixel loss and a learned loss each see, frequency by frequency;
# - how far one logit of a patch discriminator looks, derived and measured;
# - when the learned loss helps, when it does not, and how its training fails.
#
# **It takes** 35 minutes.
# **You need** [Learned losses](01_learned_losses.ipynb): the best discriminator, and the divergence it measures.

# %% slideshow={"slide_type": "skip"}
import math

import torch
from gencourse import checks, plots, widgets
from torch.nn.functional import logsigmoid, sigmoid

from genlib import data, gan, metrics, train

g = torch.Generator().manual_seed(0)
torch.set_default_dtype(torch.float64)  # identities are shown in double precision

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. From a label map to a photo
#
# Here is the task of this lecture.
# The input $x$ is a map: it says of every pixel whether brick, grass or gravel is seen there.
# The output $y$ is a photo.
# It is made of real textures, each cut from a random place, so that the map does *not* say which brick lies where.
# Given $x$, the photo is truly random.
# In all figures brick is drawn light in the map, grass grey and gravel dark.


# %%
def tones(x):
    """A map as a picture: brick light, grass grey, gravel dark."""
    return (x * x.new_tensor([0.8, 0.0, -0.8])[:, None, None]).sum(1, keepdim=True)


x, y = data.textures(8, seed=5)
plots.image_rows(
    map_x=tones(x),
    photo_y=y,
    alt="Eight label maps in three tones, and the photo of each: brick where the map is light, grass where it is grey, gravel where it is dark.",
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# A generator without a condition takes noise alone, $G(z)$.
# Ours is asked a question, so it takes the question and noise, $G(x, z)$.
# The input is there from the start: without it, there would be nothing to answer.
# What a *conditional* GAN changes is the discriminator.
# It is shown the pair, $D(x, y)$, and is asked not "is this a photo?" but "is this a photo *of that*?".

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. One game, two sign conventions
#
# Two networks play for one number.
# In most papers $D$ is the probability that its input is *real*, and wants the number to be large:
#
# $$\min_G \max_D \; V(G, D), \qquad V = E_{x,y}\big[\log D(x, y)\big] + E_{x,z}\big[\log\big(1 - D(x, G(x, z))\big)\big]. \tag{1}$$
#
# One may just as well let $D$ be the probability of *fake*.
# Both conventions are in use, and a formula is right only together with its own.
#
# | | $D$ = P(real), this course | $D'$ = P(fake) |
# |---|---|---|
# | game | $E[\log D(y)] + E[\log(1 - D(G))]$ | $E[\log D'(G)] + E[\log(1 - D'(y))]$ |
# | $D$ does | maximise | maximise |
# | $G$ does | minimise | minimise |
# | best $D$ | $p / (p + p_G)$ | $p_G / (p + p_G)$ |
# | at the end | $\tfrac12$, $V = -2 \log 2$ | $\tfrac12$, $V = -2 \log 2$ |
#
# With $D' = 1 - D$ both columns are the same number.
# The last lecture found the best $D$, $D^* = p/(p + p_G)$, and what the game is worth with it ([Learned losses](01_learned_losses.ipynb), (7) and (8)).
# The argument looked at each $y$ by itself; it holds as well at each pair $(x, y)$, so here we leave $x$ out once more:
#
# $$V(G, D^*) = 2\operatorname{JS}(p, p_G) - 2 \log 2. \tag{2}$$
#
# We take the two densities of the last lecture, and play both games.

# %%
p = data.GaussianMixture(means=[[-1.0], [1.0]], covs=[[[0.04]], [[0.04]]])
p_gen = data.GaussianMixture(means=[[0.3]], covs=[[[0.36]]])
line = torch.linspace(-8, 8, 40_001)
on_line = line[:, None]
real, fake = p.log_prob(on_line).exp(), p_gen.log_prob(on_line).exp()
real_logit = p.optimal_discriminator(on_line, p_gen)  # log p − log p_G: sigmoid of it is p / (p + p_G)
fake_logit = p_gen.optimal_discriminator(on_line, p)  # sigmoid of it is p_G / (p + p_G)


def game(of_real, of_fake):
    """E_real[of_real(y)] + E_fake[of_fake(y)], by quadrature."""
    return torch.trapezoid(real * of_real + fake * of_fake, line)


ours = game(logsigmoid(real_logit), logsigmoid(-real_logit))  # log D on real, log(1 − D) on fake
theirs = game(logsigmoid(-fake_logit), logsigmoid(fake_logit))  # log(1 − D') on real, log D' on fake
checks.identity("both conventions, one number", ours, theirs, tol=1e-12)
checks.identity("the game at the best D (2)", ours, 2 * p.jensen_shannon(p_gen) - 2 * math.log(2), tol=1e-6)

# %% [markdown] slideshow={"slide_type": "subslide"}
# And what if one takes the formula of the right column with the $D$ of the left one?
# Then a discriminator that maximises the formula calls every fake real.
# We give $D$ the logit $a \cdot (\log p - \log p_G)$, and let it lean more and more on the truth.
# It is best at $a = 1$ in its own formula.
# In the other one, it is best when it is turned round, at $a = -1$.

# %%
lean = torch.linspace(-2, 2, 81)
own = torch.stack([game(logsigmoid(a * real_logit), logsigmoid(-a * real_logit)) for a in lean])
mixed = torch.stack([game(logsigmoid(-a * real_logit), logsigmoid(a * real_logit)) for a in lean])
checks.identity("P(real) is best where its formula is its own", lean[own.argmax()], 1.0, tol=1e-6)
checks.identity("in the other formula, it is best turned round", lean[mixed.argmax()], -1.0, tol=1e-6)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. The loss in the theorem is not the one in the code
#
# Early in training $G$ is poor, and $D$ wins easily.
# Let $l$ be the logit that $D$ gives to a fake, and $P = 1/(1 + e^{-l})$ its probability of real.
# In (1), $G$ minimises $\log(1 - P)$, the *minimax* loss.
# One may as well let $G$ minimise $-\log P$, the *non-saturating* one: both fall as $l$ rises.
# Their derivatives differ; with $dP/dl = P(1 - P)$ they are
#
# $$\frac{d}{dl}\log(1 - P) = -P, \qquad \frac{d}{dl}\big[-\log P\big] = -(1 - P). \tag{3}$$
#
# Where $D$ wins, $l$ is very negative.
# There the first derivative vanishes, just when $G$ needs it most, and the second is $-1$.

# %%
logits = torch.linspace(-8, 8, 161, requires_grad=True)


def slope(objective):
    """d/dl of G's loss for each logit (the mean over logits is undone)."""
    return torch.autograd.grad(len(logits) * gan.generator_loss(logits, objective), logits)[0]


checks.identity("minimax: −P (3)", slope("minimax"), -sigmoid(logits), tol=1e-12)
checks.identity("non-saturating: −(1 − P) (3)", slope("non_saturating"), -sigmoid(-logits), tol=1e-12)
for at in (-8, -4, 0, 4):
    i = int(torch.argmin((logits - at).abs()))
    push = {name: float(-slope(name)[i]) for name in ("minimax", "non_saturating")}
    print(f"logit {at:+d}: minimax pushes {push['minimax']:.5f}, non-saturating {push['non_saturating']:.5f}")

# %%
plots.figure(
    plots.lines(logits.detach(), {name.replace("_", " "): -slope(name) for name in gan.OBJECTIVES}, ylim=(-0.2, 3),
                xlabel="D's logit for a fake  (left: D wins)", ylabel="push on the logit", aspect=2.4),
    alt="How hard each loss pushes the logit of a fake up. Minimax: nothing where D wins. Non-saturating: one there, and nothing where G wins. Hinge: one everywhere. Least squares: a falling line.",
)  # fmt: skip

# %% [markdown] slideshow={"slide_type": "subslide"}
# What reaches the generator is this push times the slope of $D$.
# Suppose that the data are $N(0, 1)$, the generator makes $N(m, 1)$, and $D$ is the best one.
# Then $l(y) = m^2/2 - m y$, with slope $-m$.
# The further away $G$ is, the more it should move; see what each loss tells it.

# %%
for m in (1.0, 2.0, 4.0, 6.0):
    far = data.GaussianMixture(means=[[m]], covs=[[[1.0]]])
    truth = data.GaussianMixture(means=[[0.0]], covs=[[[1.0]]])
    at = torch.linspace(m - 8, m + 8, 8001)
    weight = far.log_prob(at[:, None]).exp()
    l_at = truth.optimal_discriminator(at[:, None], far)
    pulls = [torch.trapezoid(weight * m * push, at) for push in (sigmoid(l_at), sigmoid(-l_at))]
    print(f"G at {m:g}: pull towards the data {pulls[0]:.4f} with minimax, {pulls[1]:.4f} with non-saturating")

# %% [markdown]
# Both come to rest at the same place: where $p_G = p$, the best $D$ is 0 everywhere, so its slope is 0, whatever it is multiplied by.
# In practice we use the second.
# Four objectives are in the library; each has a best $D$ of its own, `gan.best_discriminator`.
# The price: the game is no longer zero-sum, and $G$ no longer descends the Jensen–Shannon divergence of (2).

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. Why the discriminator must see the question
#
# Take three questions, $x \in \{0, 1, 2\}$, with three different answers $p(y \mid x) = N(\mu_x, 0.1)$.
# Here is a generator that ignores its input.
# Whatever the question, it answers one that it draws itself: $p_G(y) = \tfrac13\sum_x p(y \mid x)$.
#
# A $D$ that sees $y$ alone compares this with $p(y)$, the density of all real answers, which is a mixture of three.
# They are the same:
#
# $$\log p(y) - \log p_G(y) = 0, \qquad\text{but}\qquad \operatorname{JS}\big(p(x, y),\; p(x)\,p_G(y)\big) > 0. \tag{4}$$
#
# The first $D$ is as well served by this generator as by a perfect one, and has nothing to tell it.
# The second one has.

# %%
answers = [data.GaussianMixture(means=[[mu]], covs=[[[0.1]]]) for mu in (-1.5, 0.0, 1.5)]
marginal = data.GaussianMixture(means=[[-1.5], [0.0], [1.5]], covs=[[[0.1]]] * 3)
p_made = torch.stack([one.log_prob(on_line) for one in answers]).exp().mean(0)  # any of the three answers
log_ratio = marginal.log_prob(on_line) - p_made.log()
checks.identity("D without x cannot tell (4)", log_ratio, torch.zeros(len(line)), tol=1e-9)
sees = sum(one.jensen_shannon(marginal) for one in answers) / 3
checks.at_most("D with x can (4)", 0.1, sees)
print(f"divergence that a D with x finds: {float(sees):.3f} nats, of at most {math.log(2):.3f}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# Networks do the same.
# Below are two trained generators, from stored runs; they differ in what their $D$ was shown, and in nothing else.


# %%
def load(name):
    """A stored generator, and the history of its training."""
    G = gan.UNetGenerator(3, 1, width=24, depth=3, noise=4)
    return train.load(G, f"runs/{name}.safetensors"), train.History.load(f"runs/{name}.json")


def answer(G, x, seed=0):
    """One answer for each map, 64 at a time, as in training the norms look at a batch."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        return torch.cat([G(part, generator=generator) for part in x.split(64)])


torch.set_default_dtype(torch.float32)
scenes = data.textures(256, seed=999)  # held out: none of the runs has seen them
runs = {name: load(f"textures_{name}") for name in ("cgan", "both", "unconditional", "beside", "factor")}
photos = {name: answer(G, scenes.x) for name, (G, _) in runs.items()}
few = slice(0, 8)

# %%
plots.image_rows(
    map=tones(scenes.x[few]),
    D_without_x=photos["unconditional"][few],
    D_with_x=photos["cgan"][few],
    alt="Label maps. Below, what a generator makes whose D did not see the map: bricks where the map is grey, that is where grass is asked for, and grain where it is light. In the last row, one whose D saw it: joints of brick, where there are any, only in light regions, and the same grain in all others.",
)

# %% [markdown]
# Is the map obeyed?
# A classifier that was trained on real crops looks at every window that lies in one region, and says which texture it sees.
# And is the spectrum right?
# *Detail* is the power at high frequencies over the truth's; *error* is the mean difference of the logarithms of the spectra.


# %% tags=["nbval-ignore-output"]
def shares(images):
    """Row: what the map asks for; column: the share of its windows in which the classifier sees each texture."""
    seen = metrics.texture_confusion(scenes.x, images)
    return seen / seen.sum(1, keepdim=True)


for name, images in {"D without x": photos["unconditional"], "D with x": photos["cgan"]}.items():
    detail, error = metrics.detail(images, scenes.y), metrics.spectrum_error(images, scenes.y)
    print(f"{name}: detail {detail:.2f}, error {error:.2f}")
    for asked, row in zip(data.TEXTURES, shares(images).tolist(), strict=True):
        found = ", ".join(f"{texture} {share:.2f}" for texture, share in zip(data.TEXTURES, row, strict=True))
        print(f"    where {asked} is asked for, the classifier sees {found}")

# %% [markdown]
# Without $x$, the spectrum is nearly right, and the map is even used, as a source of borders.
# But this generator puts brick where grass is asked for, and grain where brick is.
# Its $D$ cannot tell.
# With $x$, brick stands where it is asked for, if only in half of the windows, and nowhere else.
# Grass and gravel are one grain; section 8 comes back to that.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. What each loss sees
#
# pix2pix adds a pixel loss:
#
# $$G^* = \arg\min_G \max_D \; L_{cGAN}(G, D) + \lambda\, L_{L1}(G), \qquad L_{L1} = E\big[\|y - G(x, z)\|_1\big], \tag{5}$$
#
# where $L_{cGAN}$ is the $V$ of (1).
# The small print matters.
# With the paper's $\lambda = 100$, the norm is a *mean* over pixels and channels, as in its code; what the sum would do is in [the notes corrected, row 3](06_the_notes_corrected.ipynb#Row-3).

# %% [markdown] slideshow={"slide_type": "subslide"}
# What does L1 alone ask for?
# At each pixel, the median of what may be there ([Learned losses](01_learned_losses.ipynb), (2)).
# That median has no texture, and L1 even *punishes* texture.
# Let a pixel be $N(0, \sigma^2)$, given the map.
# The flat answer 0 pays $E[|y|] = \sigma\sqrt{2/\pi}$.
# Another draw $y'$ from the truth, and no picture can be better than that, pays
#
# $$E\big[|y - y'|\big] = \sqrt2\, E\big[|y|\big], \tag{6}$$
#
# because $y - y'$ is a Gaussian with twice the variance.
# To L1, the perfect answer is 41 % worse than the blur.
# The cell adds up $|y - y'|$ over both densities.

# %%
sigma = 0.35
grid = torch.linspace(-8 * sigma, 8 * sigma, 1601, dtype=torch.float64)
weight = torch.distributions.Normal(0.0, sigma).log_prob(grid).exp() * (grid[1] - grid[0])
flat = (weight * grid.abs()).sum()
draw = (weight[:, None] * weight * (grid[:, None] - grid).abs()).sum()
checks.identity("the flat answer pays σ √(2/π)", flat, sigma * math.sqrt(2 / math.pi), tol=1e-5)
checks.identity("another draw pays √2 of the blur (6)", draw, math.sqrt(2) * flat, tol=1e-5)
other = data.textures(256, seed=998).y  # photos of other maps: textures all the same
print(
    f"textures: a flat tone pays {scenes.y.abs().mean():.2f}, other real photos {(scenes.y - other).abs().mean():.2f}"
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# We train with L1 alone, which is soon done, and look at the *spectrum* ([Learned losses](01_learned_losses.ipynb), section 2), frequency by frequency.

# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
networks = gan.UNetGenerator(3, 1, width=24, depth=3, noise=4), gan.PatchDiscriminator(4, width=24, n_layers=2)
objective = gan.Pix2Pix(*networks, lam=100.0, adversarial=0.0, lr=2e-3)  # D is not trained
many = data.textures(2000, seed=0)
history = train.fit(objective, many, steps=120, batch_size=8, seed=0)
runs["l1"] = objective.G, history
photos["l1"] = answer(objective.G, scenes.x)
print(f"trained in {history.seconds:.0f} s")

# %% tags=["nbval-ignore-output"]
medians = [scenes.y[scenes.x[:, c : c + 1] == 1].median() for c in range(3)]
print("medians: " + ", ".join(f"{name} {value:.2f}" for name, value in zip(data.TEXTURES, medians, strict=True)))
truth = metrics.spectrum(scenes.y)
print("power over the real photos', on rings 0 to 4:")
for name in ("l1", "cgan", "both"):
    rings = (metrics.spectrum(photos[name]) / truth)[:5].tolist()
    print(f"{name:<5}" + "".join(f"{share:>7.2f}" for share in rings))

# %%
names = {"real": "real photos", "l1": "L1", "cgan": "cGAN", "both": "cGAN + L1"}
photos["real"] = scenes.y
spectra = {text: metrics.spectrum(photos[name]) for name, text in names.items()}
plots.figure(
    plots.lines(
        torch.arange(16), spectra, yscale="log", xlabel="frequency (ring)", ylabel="mean power", aspect=2.2
    ),
    alt="Power against frequency. L1 lies above the real photos in ring 0, at them in ring 1, and from ring 2 on far below, by orders of magnitude at high frequencies; cGAN and cGAN + L1 lie close to them.",
)

# %% [markdown]
# L1 paints the median of each region.
# So in ring 0 it even has too much power: the textures' means are all 0, their medians are not.
# And from ring 2 on it has next to none.
# The learned loss is the other way round: a patch judges what neighbouring pixels do together, which is what high frequencies are.
# It knows nothing of tones that drift over the whole picture.
# The sum of both covers both ends.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. A judge of patches
#
# If low frequencies are L1's business, $D$ need not see the whole picture.
# PatchGAN is a small convolutional network that ends in a *map* of logits; each looks at one patch, and all count alike.
#
# How wide is a patch?
# Go backwards, from one logit to the picture.
# If $r_i$ neighbouring outputs of layer $i$ are in use, with kernel $k_i$ and stride $s_i$, then the first of them begins where its kernel begins, and each further one adds a stride:
#
# $$r_{i-1} = s_i\,(r_i - 1) + k_i, \qquad r_{\text{last}} = 1. \tag{7}$$
#
# With kernels of 4, the last two layers of stride 1 give $1 \to 4 \to 7$.
# Each layer of stride 2 before them doubles and adds two: $7 \to 16 \to 34 \to 70$.
# That is the "70 × 70" of the paper, with three.
#
# Now measure it: take the gradient of the middle logit with respect to the picture, and see where it is not zero.

# %%
derived, measured, seen = [], [], {}
for n_layers in range(5):
    torch.manual_seed(0)
    D = gan.PatchDiscriminator(1, width=4, n_layers=n_layers, norm="none").double()
    picture = torch.randn(1, 1, 256, 256, generator=g, dtype=torch.float64, requires_grad=True)
    logits = D(None, picture)
    middle = logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2]
    seen[n_layers] = torch.autograd.grad(middle, picture)[0][0, 0].abs()
    measured.append(int((seen[n_layers].sum(0) > 0).sum()))
    derived.append(D.receptive_field)
found, expected = torch.tensor(measured), torch.tensor(derived)
checks.identity("receptive field: derived (7) and measured", found, expected, tol=0.5)
print("layers 0 to 4:", measured, "pixels wide")

# %%
rows, columns = (seen[3].sum(axis).nonzero()[:, 0] for axis in (1, 0))
plots.figure(
    plots.heatmap(seen[3][rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], colorbar=False, title="70 × 70"),
    plots.lines(torch.arange(70), {"gradient": seen[3].sum(0)[columns[0] : columns[-1] + 1]},
                xlabel="column of the patch", ylabel="sum of |gradient|", title="how much each column counts", aspect=2.0),
    alt="The gradient of one logit with respect to the picture: a square of 70 pixels, strong in the middle and weak at its edge.",
)  # fmt: skip

# %% [markdown]
# The edge of the patch hardly counts, for there are few paths that lead there.
# A judge of patches has few weights, sees many examples in each picture, and works on pictures of any size.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. Skips: what need not be remembered
#
# A generator narrows the picture down, ours to 4 × 4 places, the paper's to a single one, so that every output can depend on every input.
# But what is small has to be kept, too, and so few places are a poor store for that.
# A U-Net hands every level of the way down across to its twin on the way up.

# %%
G = runs["factor"][0]
sizes = []
hooks = [conv.register_forward_hook(lambda _, __, out: sizes.append(tuple(out.shape[1:]))) for conv in G.down]
G(scenes.x[:1])
for hook in hooks:
    hook.remove()
for i, (channels, height, width) in enumerate(sizes, start=1):
    print(f"level {i}: {channels:>3} × {height:>2} × {width:>2} = {channels * height * width:>5} numbers")
papers = gan.UNetGenerator.paper(), gan.PatchDiscriminator.paper()
counts = [sum(p.numel() for p in network.parameters()) for network in papers]
print(
    f"the paper's, for 256 × 256: G {counts[0]:,} and D {counts[1]:,} parameters; its narrowest level has 512 numbers"
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# What do the skips carry?
# In a trained generator, the best one of section 8, we cut one after the other, by putting zeros in its place, and look.


# %%
def without_skip(G, level, x, seed=0):
    """What G makes when the skip of one level, from 0 at the outside, is zero."""
    reader = {0: G.last, **{i: G.up[i - 1] for i in range(1, G.depth - 1)}}[level]
    n = reader.in_channels // 2  # the skip comes first

    def cut(_, inputs):
        return (torch.cat([torch.zeros_like(inputs[0][:, :n]), inputs[0][:, n:]], dim=1),)

    hook = reader.register_forward_pre_hook(cut)
    images = answer(G, x, seed)
    hook.remove()
    return images


# %%
cut = {level: without_skip(G, level, scenes.x) for level in range(2)}
plots.image_rows(
    map=tones(scenes.x[few]),
    whole=photos["factor"][few],
    outer_cut=cut[0][few],
    inner_cut=cut[1][few],
    alt="Photos by the whole generator; with its outer skip cut, nearly the same; with its inner skip cut, the joints of the bricks are still there, and grass and gravel have become one faint, fine grain.",
)


# %% tags=["nbval-ignore-output"]
def by_texture(images):
    """The share of windows that show what the map asks for, for each texture."""
    right = shares(images).diagonal().tolist()
    return ", ".join(f"{name} {share:.2f}" for name, share in zip(data.TEXTURES, right, strict=True))


for name, images in {"whole": photos["factor"], "outer cut": cut[0], "inner cut": cut[1]}.items():
    changed = (images - photos["factor"]).abs().mean()
    print(f"{name:<10} {by_texture(images)}; pixels changed by {changed:.2f} on average")

# %% [markdown]
# The inner skip carries the stones: without it hardly any gravel is recognised.
# The outer skip this task hardly needs.
# Its textures come from the noise and the way up, and it does not matter to a pixel where a lawn ends.
# Section 10 has a task where every edge counts.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. Three losses, one task
#
# Beside L1, trained above, we put two stored generators, each from a training of 900 steps.
# All are small, of about 0.2 million parameters, and $D$ is that of the paper, with $x$ beside $y$.

# %% slideshow={"slide_type": "subslide"}
plots.image_rows(
    map=tones(scenes.x[few]),
    L1=photos["l1"][few],
    cGAN=photos["cgan"][few],
    cGAN_and_L1=photos["both"][few],
    real=scenes.y[few],
    alt="Maps, and what three generators make of them. L1: flat tones with soft borders. cGAN, with and without L1: bright joints of brick where the map says brick, grains elsewhere. Real photos below.",
)

# %% tags=["nbval-ignore-output"]
print("                  detail   error   L1    accuracy")
for name, text in names.items():
    images = photos[name]
    detail, error = metrics.detail(images, scenes.y), metrics.spectrum_error(images, scenes.y)
    accuracy, l1 = metrics.texture_accuracy(scenes.x, images), (images - scenes.y).abs().mean()
    print(f"{text:<16} {detail:>7.2f} {error:>7.2f} {l1:>7.3f} {accuracy:>7.2f}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# Read the table from left to right.
# Of the generators, L1 alone has nearly no detail, and yet the *lowest* L1: exactly what (6) says.
# The classifier finds the right texture most often in the photos of cGAN + L1.
# It takes all of L1's flat tones for brick, so its accuracy there is the share of windows where brick is asked for.
# Without L1, the cGAN has learned less in the same number of steps: L1 tells it early what goes where.
# By eye, brick is easily found.
# What of the two others?
#
# <details><summary><b>Question.</b> Which of these columns could you use to choose between two generators, if you did not want to be fooled?</summary>
#
# None alone.
# The spectrum says nothing of whether the map was obeyed: photos in the wrong order would have the right one.
# The classifier says nothing of variety: one good photo for each map would do.
# L1 prefers the blur.
# </details>

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### Grass or gravel?
#
# We ask the classifier about each texture by itself.

# %% tags=["nbval-ignore-output"]
for name, text in names.items():
    print(f"{text:<16}", by_texture(photos[name]))

# %% [markdown]
# With cGAN + L1, brick is nearly always right.
# In place of grass and gravel it makes one grain for both: of either, the classifier finds about half.
# Does $D$ know the difference?
# How hard is it to learn?
# We train such a $D$ on real photos alone: under its own map a photo is to be called real, under another photo's map fake.
# Then we take photos without brick, exchange grass and gravel in their maps, and see by how much $D$'s logits fall.
# Beside it we put a $D$ that sees the map in another way, as a *factor*.


# %%
def learn(D, steps=100):
    """Train D to call real photos real under their own map, and fake under another's."""
    optimizer = torch.optim.Adam(D.parameters(), lr=2e-3, betas=(0.5, 0.999))
    for x, y in zip(many.x.split(8)[:steps], many.y.split(8)[:steps], strict=True):
        loss = gan.discriminator_loss(D(x, y), D(x.roll(1, 0), y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


# %% tags=["nbval-ignore-output"]
no_brick = scenes.x[:, 0].sum((1, 2)) == 0
right, lot = scenes.x[no_brick], scenes.y[no_brick]
torch.manual_seed(0)
for name, channels, projection in (("beside y", 4, 0), ("a factor", 1, 3)):
    D = gan.PatchDiscriminator(channels, width=24, n_layers=1, projection=projection)
    learn(D)
    with torch.no_grad():
        gap = (D(right, lot) - D(right[:, [0, 2, 1]], lot)).mean()
    print(f"x {name}: the logits fall by {gap:z.2f} when grass and gravel are exchanged in the map")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### The map as a factor
#
# In the same time the first $D$ has learned nothing of it yet.
# Why?
# In pix2pix, $x$ stands beside $y$ from the first layer on.
# But whether a lawn is right is a question about both: under "grass" it is, under "gravel" it is not.
# The map alone says nothing of it, nor does the photo; all is in how they go together.
# Look at what the best $D$ computes.
# Its logit is a ratio of two joint densities, and each is a density of $y$ times one of $x$ given $y$:
#
# $$\log\frac{p(x, y)}{p_G(x, y)} = \underbrace{\log\frac{p(y)}{p_G(y)}}_{v_0(y)} + \underbrace{\log\frac{p(x \mid y)}{p_G(x \mid y)}}_{\sum_c x_c v_c(y)}. \tag{8}$$
#
# The second term is a table with one entry for each class.
# A one-hot $x$ picks an entry, and so the logit is *linear* in $x$: the map is a factor.
# Miyato and Koyama 2018 build the network so.
# Its layers see $y$ alone, and end in a number for $v_0$ and one for each class, which are multiplied with the map.

# %%
made_for = [data.GaussianMixture(means=[[mu]], covs=[[[0.4]]]) for mu in (-1.0, 0.3, 1.0)]
makes = data.GaussianMixture(means=[[-1.0], [0.3], [1.0]], covs=[[[0.4]]] * 3)


def given(densities, whole):
    """log p(x | y) for the three x, by Bayes' rule."""
    return torch.stack([one.log_prob(on_line) - math.log(3) - whole.log_prob(on_line) for one in densities])


v_0, v = marginal.optimal_discriminator(on_line, makes), given(answers, marginal) - given(made_for, makes)
joint = [one.optimal_discriminator(on_line, other) for one, other in zip(answers, made_for, strict=True)]
one_hot = torch.eye(3, dtype=v.dtype)
checks.identity("the best D is linear in a one-hot x (8)", v_0 + one_hot @ v, torch.stack(joint), tol=1e-9)

# %% [markdown] slideshow={"slide_type": "subslide"}
# In the runs below more is changed than that.
# $D$ has one layer of stride 2 less, so its patches are 16 pixels wide and not 34; it learns five times as fast as $G$; and there are 1200 steps.
#
# $D$ is shown *mismatched pairs* in training, too: real photos under another photo's map, to be called fake (Reed et al. 2016).
# $G$'s photos are wrong in many ways at once; these are wrong in one way only.
# It has a price: where photos of different maps look alike, $D$ calls good answers fake, and $G$ comes to rest too far from them.
# Our textures have next to nothing in common, so here it costs little.
#
# And $G$ pays where its answers to one map, with other noise, are alike (Yang et al. 2019).
# A $D$ that judges patches of single photos asks for a good lawn.
# A $G$ that has found one may draw that same lawn every time, whatever the noise.
#
# What of all this does the factor do?
# We load two runs, which differ in nothing but where $D$ gets the map.

# %% tags=["nbval-ignore-output"]
names |= {"beside": "new, x beside y", "factor": "new, x a factor"}
for name in ("real", "both", "beside", "factor"):
    images = photos[name]
    detail, error = metrics.detail(images, scenes.y), metrics.spectrum_error(images, scenes.y)
    print(f"{names[name]:<16} {by_texture(images)}; detail {detail:.2f}, error {error:.2f}")

# %%
cover = scenes.x.mean((2, 3))  # how much of a map is brick, grass and gravel
mixed = cover.amin(1).topk(4).indices
purest = cover.topk(2, dim=0).indices.T.flatten()  # two maps each of brick, of grass, of gravel
shown = torch.cat([mixed, purest])
plots.image_rows(
    map=tones(scenes.x[shown]),
    L1=photos["l1"][shown],
    x_beside_y=photos["beside"][shown],
    x_a_factor=photos["factor"][shown],
    real=scenes.y[shown],
    alt="Four maps with all three textures, then two each of brick, grass and gravel. L1: flat tones, in which grass and gravel cannot be told apart. With x beside y: bricks, and one grain for grass and gravel. With x as a factor: bricks with joints both ways, fine streaked grass, and larger, rounder stones, as in the real photos below.",
)

# %% [markdown]
# The other changes bring the spectrum closer.
# In these two runs it is the factor that makes grass and gravel two.
# Now each of the three is found, and can be seen: grass is fine and streaked, gravel has rounder and larger stones.
# Of gravel some windows still pass for grass.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 9. From λ = 0 to λ = 100
#
# How much L1?
# Slide through a strip of generators, each trained as the best one of section 8, but with another $\lambda$.

# %%
widgets.LambdaExplorer.load("runs/textures_lambda")

# %% [markdown]
# Up to 20, hardly anything changes: $D$ alone teaches texture and map here, and so little L1 does no harm.
# At 100, L1 wins, as (6) says: its own number falls by a fifth, and of the detail less than a third is left.
# Regions turn pale and most joints are gone, though the grain that remains is still of the right kind: the classifier knows it.
# L1 here is in units of pixels, and the adversarial loss in nats: what is a good balance depends on the data.
# The paper's 100 goes with pictures whose answer is largely determined by the input.
# Ours are not.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 10. Where L1 alone wins
#
# So is the learned loss always better?
# Take a task with *one* right answer: the digit that belongs to an outline.
# Nothing is random given $x$, the median is the answer itself, and (6) does not apply.


# %% tags=["nbval-ignore-output"]
def outline_objective(lam, **other):
    """A small pix2pix for pictures of 8 by 8 pixels."""
    torch.manual_seed(0)
    G = gan.UNetGenerator(1, 1, width=16, depth=2, noise=1)
    return gan.Pix2Pix(G, gan.PatchDiscriminator(2, width=16, n_layers=1), lam=lam, lr=2e-3, **other)


pairs, held_out = data.outlines("train"), data.outlines("test")
small = {
    "L1": outline_objective(100.0, adversarial=0.0),
    "cGAN + L1": outline_objective(5.0),
    "cGAN": outline_objective(0.0),
}
trained = {
    name: train.fit(objective, pairs, steps=300, batch_size=32, seed=0, log_every=5)
    for name, objective in small.items()
}

# %% tags=["nbval-ignore-output"]
drawn = {name: answer(objective.G, held_out.x) for name, objective in small.items()}
drawn["L1, skip cut"] = without_skip(small["L1"].G, 0, held_out.x)
for name, images in drawn.items():
    l1, detail = (images - held_out.y).abs().mean(), metrics.detail(images, held_out.y)
    seconds = f"  (trained in {trained[name].seconds:.0f} s)" if name in trained else ""
    print(f"{name:<12} L1 {l1:.3f}, detail {detail:.2f}{seconds}")

# %%
plots.image_rows(
    outline=held_out.x[:10],
    **{name: images[:10] for name, images in drawn.items()},
    digit=held_out.y[:10],
    alt="Outlines of digits. What L1 alone makes of them and what cGAN + L1 makes are both close to the digits; the cGAN's are less close, and some have another form. With its skip cut, L1's generator gives thick, blurred digits. In the last row the digits.",
)

# %% [markdown]
# L1 alone comes closest, and it hardly blurs.
# With L1 and $D$ together the answers are nearly as close, and a little sharper; with $D$ alone they are further off.
# And here the edges count: without its only skip, the generator loses them.
# The paper found the same order: from labels to photos the cGAN is better, but from photos to *labels*, where there is one right answer, L1 alone reaches a per-pixel accuracy of .86, L1 + cGAN .83, and cGAN .74.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 11. Is the noise used?
#
# A conditional GAN may answer every question in one way only.
# At the best $D$ the game does ask for variety: (2) is least only where $p_G = p$.
# But a $D$ that is small, and always a step behind, enforces it weakly, and L1 asks for the opposite.
# So we measure it: draw several answers for one map, and take the deviation of each pixel.

# %% tags=["nbval-ignore-output"]
answers_of = {
    name: torch.stack([answer(runs[name][0], scenes.x[:64], seed) for seed in range(8)])
    for name in ("l1", "cgan", "both", "factor")
}
# The maps are new as well, which is no harm: every texture has mean 0 and the same deviation.
answers_of["real"] = torch.stack([data.textures(64, seed=seed).y for seed in range(8)])
for name, draws in answers_of.items():
    print(f"{names[name]:<16} diversity {metrics.diversity(draws):.2f}")

# %%
one = cover[:64].amin(1).argmax()  # a map with all three textures
plots.image_rows(
    map=tones(scenes.x[one : one + 1]).expand(8, -1, -1, -1),
    **{names[name]: answers_of[name][:, one] for name in ("cgan", "both", "factor")},
    alt="One map, and eight answers of three generators to it: no two are alike.",
)

# %% [markdown]
# The paper fed noise to its generator and saw it ignored; it then took dropout for noise, kept on when generating, and reports that the answers still differ little.
# Here the input says nothing of where the bricks lie, so a generator without noise would have to make its texture out of a constant; that makes noise useful.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 12. What the paper measured
#
# Isola et al. 2017, Cityscapes, labels → photo: a network that was trained to segment real photos reads the generated ones, and its answer is compared with the labels.
# Their tables 1 and 2:
#
# | loss | per-pixel | per-class | IoU |
# |---|---|---|---|
# | L1 | .42 | .15 | .11 |
# | cGAN | .57 | .22 | .16 |
# | L1 + GAN (D without x) | .64 | .20 | .15 |
# | **L1 + cGAN** | **.66** | **.23** | **.17** |
# | real photos | .80 | .26 | .21 |
#
# Patches of 1, 16, 70 and 286 pixels, with L1 + cGAN: .39, .65, **.66**, .42 per pixel.
# It is the same measurement as our classifier of textures, at another size.
# Note the third row: with L1, a $D$ that does not see $x$ does well, because L1 ties the answer to the question.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 13. What goes wrong, and how it looks
#
# | what happens | how it looks | what helps |
# |---|---|---|
# | $D$ wins | its logits run away, $\overline D_{real} \gg 0 \gg \overline D_{fake}$; samples stop changing | non-saturating loss, smaller learning rate of $D$, R1 |
# | $D$ learns nothing | both logits stay at 0, samples stay noise | larger rate for $D$, a wider one; look for a missing gradient |
# | modes collapse | the answers of one class are all alike; the loss looks fine | diversity, hinge or R1, a larger batch |
# | the noise is ignored | diversity near 0 | less L1; a task with one answer needs no noise |
# | checkerboards | a grid of the strides' period (2, 4, 8): the same spot in each cell | longer training; kernels divisible by the stride. Our rings do not see period 2: look, or take the FFT at $k = n/2$ |
# | sigmoid twice | $D$ never gets surer than $1/(1 + e^{-1})$, .73 (in the lab) | losses on logits |
#
# GAN losses do not fall as others do: each is measured by an opponent that changes.
# What to watch is how sure $D$ is.
# Here are the first and the third line at once: the cGAN of section 10 again, but with the minimax loss, and a $D$ that learns ten times as fast as $G$.

# %% tags=["nbval-ignore-output"]
wrong = outline_objective(0.0, objective="minimax", lr_D=2e-2)
trained["gone wrong"] = train.fit(wrong, pairs, steps=200, batch_size=32, seed=0, log_every=5)
drawn["gone wrong"] = answer(wrong.G, held_out.x)
for name in ("cGAN", "gone wrong"):
    print(f"{name:<10} deviation of a pixel from one outline to the next: {drawn[name].std(0).mean():.2f}")
print(f"{'digits':<10} {held_out.y.std(0).mean():>54.2f}")

# %%
plots.figure(
    *[
        plots.lines(trained[name].step, {who: trained[name].logs[f"D_{who}"] for who in ("real", "fake")},
                    xlabel="step", ylabel="mean logit", ylim=(-12, 12), title=name, aspect=1.2)
        for name in ("cGAN", "gone wrong")
    ],
    plots.pictures(drawn["gone wrong"][:9], columns=3, title="its answers"),
    alt="Mean logits of real and fake digits over the training. Left, the cGAN: they part, and keep their distance. Middle, the run gone wrong: they run away to both sides. Right, its answers to nine different outlines: one shape, again and again, and no digit.",
)  # fmt: skip

# %% [markdown]
# $D$ is sure of every picture.
# Where $D$ wins, the minimax loss is flat (section 3): $G$ gets no gradient, and is left with one shape for all outlines.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What the notes said, and what holds
#
# - "$\min_G \max_D E[\log D(G(x)) + \log(1 - D(y))]$." Right only if $D$ is the probability of *fake* (section 2; row [1](06_the_notes_corrected.ipynb#Row-1)).
# - "Include the input $x$ into our generator." The generator has $x$ already; it is $D$ that is given $x$ beside the picture (sections 1 and 4; row [2](06_the_notes_corrected.ipynb#Row-2)).
# - "$L_{L1}$ is the L1 norm." It is the *expected* norm of a difference, and with the paper's $\lambda = 100$ the mean over pixels and channels; the sum would weigh $C \cdot H \cdot W$ times more (section 5; row [3](06_the_notes_corrected.ipynb#Row-3)).
# - cGANs "outperform deep learning with unstructured objectives". It depends on the task: where there is one right answer, L1 alone does better (section 10; row [4](06_the_notes_corrected.ipynb#Row-4)).

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Where to read on
#
# - Goodfellow et al. 2014, *Generative Adversarial Nets*: the game, and the loss that does not saturate.
# - Mirza and Osindero 2014, *Conditional Generative Adversarial Nets*: a condition for both.
# - Isola, Zhu, Zhou and Efros 2017, *Image-to-Image Translation with Conditional Adversarial Networks*: pix2pix.
# - Mao et al. 2017, *Least Squares Generative Adversarial Networks*; Lim and Ye 2017, *Geometric GAN*: other objectives.
# - Miyato and Koyama 2018, *cGANs with Projection Discriminator*; Reed et al. 2016, *Generative Adversarial Text to Image Synthesis*; Yang et al. 2019, *Diversity-Sensitive Conditional Generative Adversarial Networks*: the map as a factor, mismatched pairs and the term for variety of section 8.
# - Mescheder, Geiger and Nowozin 2018, *Which Training Methods for GANs do actually Converge?*: R1.
# - Zhu et al. 2017, *Toward Multimodal Image-to-Image Translation*: making use of the noise.
#
# Now build it yourself: the lab `my_labs/lab_1_conditional_gan.ipynb`.
# A GAN draws, but cannot say how likely a picture is.
# What would it take to have both, samples and an exact density?
# The next lecture asks that: [Normalizing flows](03_normalizing_flows.ipynb).
