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
# - when the learned loss helps, when it is not needed, and how its training fails.
#
# **It takes** 65 minutes.
# **You need** [Learned losses](01_learned_losses.ipynb): the best discriminator, and the divergence it measures.

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
from gencourse.runs import run_file
from safetensors.torch import load_file
from torch.distributions import Normal
from torch.nn.functional import logsigmoid, sigmoid

from genlib import data, gan, metrics, train

torch.set_default_dtype(torch.float64)  # identities are shown in double precision; networks are made float32


def seeded(seed=0):
    """A generator of random numbers of its own for each cell, so that a cell run twice gives the same."""
    return torch.Generator().manual_seed(seed)


# %% [markdown]
# ## 1. From an outline to a drawing
#
# Look at the second row below.
# A network was given the twelve outlines that stand above it, and was to colour them.
# It had learned from 1500 other drawings, of which there is an outline and a coloured version each ([OpenMoji](https://openmoji.org), CC BY-SA 4.0), and its loss was L1, the mean of all absolute differences from the true colours.
# The third row is by a network of the same shape, which learned from the same drawings in as many steps, with one more term in its loss: a second network, the discriminator, is shown an outline together with its colours, and judges whether the pair is a real one; this is a *conditional GAN*, or cGAN.
# The last row is what the artists drew.

# %%
emoji = data.emoji("test")
coloured = load_file(run_file("emoji_pairs.safetensors"))  # answers to every twelfth outline, from three seeds
by_loss = {name: coloured[name].float() / 127.5 - 1 for name in ("l1", "both", "cgan", "unconditional")}
plots.image_rows(
    outline=emoji.x[::12],
    L1=by_loss["l1"][0],
    cGAN_and_L1=by_loss["both"][0],
    drawn=emoji.y[::12],
    alt="Twelve outlines of emoji. L1 paints most of them in brownish or pale tones; with a discriminator the colours are brighter, and often other ones than the artists'. Below, the artists' drawings.",
)

# %% [markdown]
# Why is the second row so brown, and the third not?
# An outline leaves its colours open: a heart may be red, blue or white.
# Where several colours are possible, the smallest mean absolute difference belongs to their *median*, channel by channel, as section 5 shows, and the median of several bright colours can be a dull one that no artist has used.
# A discriminator that knows the drawings can tell such colours from theirs, so the generator has to decide for one of those that occur, even if it is not the right one.
#
# The cell counts.
# *Saturation* is that of all 144 held-out answers over that of the drawings.
# The *spread* is the standard deviation of the pixels' $a$, from green to red, and $b$, from blue to yellow, in the colour space L\*a\*b\*, for the twelve outlines above; the paper compares the distributions of just these (its section 4.3).


# %%
def spread(images):
    """Of a and of b, over all pixels."""
    return metrics.lab(images)[:, 1:].transpose(0, 1).flatten(1).std(1)


print(f"{'three seeds':16}{'L1':^20}{'saturation':^20}{'spread of a':^20}{'spread of b':^20}")
for name, text in {"l1": "L1", "both": "cGAN + L1", "cgan": "cGAN", "unconditional": "D without x"}.items():
    l1, saturation = coloured[f"{name}.measured"][:, :2].T
    a, b = torch.stack([spread(answers) for answers in by_loss[name]]).T
    values = [(l1, ".3f"), (saturation, ".2f"), (a, ".0f"), (b, ".0f")]
    print(f"{text:16}" + "".join(f"{'  '.join(f'{v:{form}}' for v in three):^20}" for three, form in values))
a, b = spread(emoji.y[::12])
print(f"{'drawn':16}{'0':^20}{'1':^20}{f'{a:.0f}':^20}{f'{b:.0f}':^20}")

# %% [markdown]
# From every seed L1 alone is best in its own number, and has the narrowest colours: from green to red they spread over a third of what the artists' do, with a discriminator over more than half.
# The last row but one is that of a discriminator that is not shown the outline: its colours spread as they should, and are those of other drawings, as its L1 says; section 4 is about it.
#
# Draw an outline of your own, or begin with one of those above: the generator of the third row colours it while you draw.

# %%
painter = gan.UNetGenerator(1, 3, width=24, depth=4, noise=2).float()
widgets.OutlinePainter(train.load(painter, run_file("emoji_colours.safetensors")))

# %% [markdown]
# ### From a label map to a photo
#
# Here is the task on which the rest of the lecture measures.
# The input $x$ is a map, which says of every pixel whether brick, grass or gravel is seen there.
# The output $y$ is a photo, made of real textures.
# Each texture is cut from a random place, so that the map does *not* say which brick lies where: given $x$, the photo is truly random.
# In all figures brick is drawn light in the map, grass grey and gravel dark.


# %%
def tones(x):
    """A map as a picture: brick light, grass grey, gravel dark."""
    return (x * x.new_tensor([0.8, 0.0, -0.8])[:, None, None]).sum(1, keepdim=True)


maps, their_photos = data.textures(8, seed=5)
plots.image_rows(
    map_x=tones(maps),
    photo_y=their_photos,
    alt="Eight label maps in three tones, and the photo of each: brick where the map is light, grass where it is grey, gravel where it is dark.",
)

# %% [markdown]
# A generator without a condition takes noise alone, $G(z)$.
# Ours must answer a question, so it takes the question together with the noise, $G(x, z)$.
# The input is there from the start, because without it there would be nothing to answer.
#
# What a *conditional* GAN changes is therefore the discriminator.
# A discriminator that sees the photo alone would be content with a fine wall where the map asks for a lawn.
# So it is shown the pair, $D(x, y)$, and is asked not "is this a photo?" but "is this a photo *of that*?".

# %% [markdown]
# ## 2. One game, two sign conventions
#
# Let $D(x, y)$ be the probability that the pair is *real*: a map together with the photo that came with it, and not with one that $G$ has made.
# As in the last lecture, the discriminator raises the value $V$ by giving real pairs a high probability and generated ones a low one, and the generator lowers it by making photos that pass:
#
# $$\min_G \max_D \; V(G, D), \qquad V = E_{x,y}\big[\log D(x, y)\big] + E_{x,z}\big[\log\big(1 - D(x, G(x, z))\big)\big]. \tag{1}$$
#
# Both pairs have the same distribution of maps, $p(x)$; they differ in what lies beside the map.
# Write $p(y \mid x)$ for the density of real photos of $x$, and $p_G(y \mid x)$ for that of the generator's answers.

# %% [markdown]
# ### What the game is worth
#
# The last lecture found the best $D$ at each point by itself ([Learned losses](01_learned_losses.ipynb), (7)), and a pair $(x, y)$ is such a point.
# The density of real pairs is $p(x)\,p(y \mid x)$ and that of generated pairs $p(x)\,p_G(y \mid x)$, and in the ratio $p(x)$ cancels:
#
# $$D^*(x, y) = \frac{p(x)\,p(y \mid x)}{p(x)\,p(y \mid x) + p(x)\,p_G(y \mid x)} = \frac{p(y \mid x)}{p(y \mid x) + p_G(y \mid x)}. \tag{1a}$$
#
# The mixture of both pairs has $p(x)$ as a factor, too: it is $p(x)\,\bar p(y \mid x)$ with $\bar p = (p + p_G)/2$.
# So $p(x)$ cancels in the logarithms of each divergence from that mixture, and is left in front of it as a weight:
#
# $$\operatorname{KL}\big(p(x)\,p(y \mid x)\,\big\|\,p(x)\,\bar p(y \mid x)\big) = \int p(x) \int p(y \mid x) \log \frac{p(y \mid x)}{\bar p(y \mid x)}\,dy\,dx = E_x\big[\operatorname{KL}\big(p(\cdot \mid x)\,\big\|\,\bar p(\cdot \mid x)\big)\big].$$
#
# The same holds for the generator's half, and with [Learned losses](01_learned_losses.ipynb), (8),
#
# $$V(G, D^*) = 2\,E_x\big[\operatorname{JS}\big(p(\cdot \mid x),\, p_G(\cdot \mid x)\big)\big] - 2 \log 2. \tag{2}$$
#
# An expectation of divergences is 0 only if each of them is (but for maps that do not occur).
# The game is therefore won by the generator only if it has the right distribution of answers to *every* question: a good photo of something else does not help.

# %% [markdown]
# The cell has three questions of unequal probability, and for each a density of right answers and one of the generator's.
# It computes the divergence of the *pairs* by their entropies, $2\,\mathrm{JS} = 2 H(\text{mixture}) - H(\text{real}) - H(\text{made})$, with $p(x)$ in every density; the mean of the divergences given $x$; and the value (1) at the best $D$.

# %%
line = torch.linspace(-8, 8, 40_001)
p_x = torch.tensor([0.5, 0.3, 0.2])  # of the three questions
answers = [data.GaussianMixture(means=[[mu]], covs=[[[0.1]]]) for mu in (-1.5, 0.0, 1.5)]  # 0.1: a variance
made_for = [data.GaussianMixture(means=[[mu]], covs=[[[0.4]]]) for mu in (-1.0, 0.3, 1.0)]
right = torch.stack([Normal(mu, math.sqrt(0.1)).log_prob(line).exp() for mu in (-1.5, 0.0, 1.5)])  # p(y | x)
wrong = torch.stack([Normal(mu, math.sqrt(0.4)).log_prob(line).exp() for mu in (-1.0, 0.3, 1.0)])  # p_G(y | x)


def entropy(density):
    """−Σ_x ∫ p log p dy, by quadrature."""
    return -torch.trapezoid(torch.xlogy(density, density), line).sum()


# %%
joint, joint_made = p_x[:, None] * right, p_x[:, None] * wrong
js_pairs = entropy((joint + joint_made) / 2) - entropy(joint) / 2 - entropy(joint_made) / 2
js_given = sum(w * one.jensen_shannon(other) for w, one, other in zip(p_x, answers, made_for, strict=True))
checks.identity("JS of pairs = mean JS given x", js_pairs, js_given, tol=1e-6)
logits = torch.stack([one.optimal_discriminator(line[:, None], other) for one, other in zip(answers, made_for, strict=True)])  # fmt: skip
real_pairs = joint / (joint + joint_made).clamp(min=1e-300)
checks.identity("p(x) cancels in the best D of pairs (1a)", real_pairs, sigmoid(logits), tol=1e-9)
value = torch.trapezoid(joint * logsigmoid(logits) + joint_made * logsigmoid(-logits), line).sum()
checks.identity("the game at the best D (2)", value, 2 * js_pairs - 2 * math.log(2), tol=1e-6)

# %% [markdown]
# ### The other convention
#
# One may just as well let the discriminator be the probability of *fake*.
# Both conventions are in use, and a formula is right only together with its own.
# (The pair is written $y$ or $G$ here, for a real and a generated one.)
#
# | | $D$ = P(real), this course | $D'$ = P(fake) |
# |---|---|---|
# | game | $E[\log D(y)] + E[\log(1 - D(G))]$ | $E[\log D'(G)] + E[\log(1 - D'(y))]$ |
# | $D$ does | maximise | maximise |
# | $G$ does | minimise | minimise |
# | best $D$ | $p / (p + p_G)$ | $p_G / (p + p_G)$ |
# | where $p_G = p$ | $D = \tfrac12$, $V = -2 \log 2$ | $D' = \tfrac12$, $V = -2 \log 2$ |
#
# With $D' = 1 - D$ both columns are the same number.
# The cell takes two densities of the last lecture; it gives $D$ as genlib's logits, and $D'$ as the share of the generator's density.

# %%
p = data.GaussianMixture(means=[[-1.0], [1.0]], covs=[[[0.04]], [[0.04]]])
p_gen = data.GaussianMixture(means=[[0.3]], covs=[[[0.36]]])
on_line = line[:, None]
real, fake = p.log_prob(on_line).exp(), p_gen.log_prob(on_line).exp()
real_logit = p.optimal_discriminator(on_line, p_gen)  # log p − log p_G: sigmoid of it is p / (p + p_G)


def game(of_real, of_fake):
    """E_real[of_real(y)] + E_fake[of_fake(y)], by quadrature."""
    return torch.trapezoid(real * of_real + fake * of_fake, line)


ours = game(logsigmoid(real_logit), logsigmoid(-real_logit))  # log D on real, log(1 − D) on fake
is_fake = fake / (real + fake).clamp(min=1e-300)  # D'
theirs = game((1 - is_fake).clamp(min=1e-300).log(), is_fake.clamp(min=1e-300).log())
checks.identity("both conventions, one number", ours, theirs, tol=1e-9)

# %% [markdown]
# And what if one takes the formula of the right column with the $D$ of the left one?
# Then a discriminator that maximises the formula learns the other probability: what it gives as $D$ is $p_G/(p + p_G)$, that of fake, and a generator that trusts it is sent the wrong way.
# The cell takes each formula by itself, and looks at 41 points for the logit at which its slope is zero, by bisection, because both formulas are concave in the logit.

# %%
spots = torch.linspace(-2, 2, 41)[:, None]
of_data, of_generator = p.log_prob(spots).exp(), p_gen.log_prob(spots).exp()


def best_logit(of_real, of_fake):
    """The logit a at which p · of_real(a) + p_G · of_fake(a) is largest, at each point."""
    low, high = torch.full((41,), -50.0), torch.full((41,), 50.0)
    for _ in range(60):
        a = ((low + high) / 2).requires_grad_()
        (rising,) = torch.autograd.grad((of_data * of_real(a) + of_generator * of_fake(a)).sum(), a)
        low, high = torch.where(rising > 0, a, low).detach(), torch.where(rising > 0, high, a).detach()
    return low


# %%
own = best_logit(logsigmoid, lambda a: logsigmoid(-a))  # log D on real, log(1 − D) on fake
mixed_up = best_logit(lambda a: logsigmoid(-a), logsigmoid)  # log(1 − D) on real, log D on fake
checks.identity("in its own formula the best D is P(real)", own, p.optimal_discriminator(spots, p_gen), tol=1e-9)
checks.identity("in the other one it is P(fake)", mixed_up, p_gen.log_prob(spots) - p.log_prob(spots), tol=1e-9)

# %% [markdown]
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
# There the first derivative vanishes, and the second is close to $-1$.

# %%
of_fakes = torch.linspace(-8, 8, 161, requires_grad=True)


def slope(objective):
    """d/dl of G's loss for each logit (the mean over logits is undone)."""
    return torch.autograd.grad(len(of_fakes) * gan.generator_loss(of_fakes, objective), of_fakes)[0]


checks.identity("minimax: −P (3)", slope("minimax"), -sigmoid(of_fakes), tol=1e-12)
checks.identity("non-saturating: −(1 − P) (3)", slope("non_saturating"), -sigmoid(-of_fakes), tol=1e-12)
for at in (-8, -4, 0, 4):
    i = int(torch.argmin((of_fakes - at).abs()))
    push = {name: float(-slope(name)[i]) for name in ("minimax", "non_saturating")}
    print(f"logit {at:+d}: minimax pushes {push['minimax']:.5f}, non-saturating {push['non_saturating']:.5f}")

# %%
plots.figure(
    plots.lines(of_fakes.detach(), {name.replace("_", " "): -slope(name) for name in gan.OBJECTIVES}, ylim=(-0.2, 3),
                xlabel="D's logit for a fake  (left: D wins)", ylabel="push on the logit", aspect=2.4),
    alt="How hard each loss pushes the logit of a fake up. Minimax: nothing where D wins. Non-saturating: one there, and nothing where G wins. Hinge: one everywhere. Least squares: a falling line.",
)  # fmt: skip

# %% [markdown]
# What reaches the generator is this push, passed back through $D$.
# For one generated picture $y$ with the logit $l(y)$ the chain rule gives
#
# $$\nabla_y \log(1 - P) = -P\,\nabla_y l, \qquad \nabla_y\big[-\log P\big] = -(1 - P)\,\nabla_y l. \tag{3a}$$
#
# So both losses move a picture in the *same direction*, the one in which its logit rises, and differ only in the weight that the picture has in the step of $G$.
# The ratio of the weights is $(1 - P)/P = e^{-l}$: the minimax loss gives weight to the pictures that pass already, and the non-saturating loss to those that fail.

# %%
torch.manual_seed(0)
judge = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.SiLU(), torch.nn.Linear(16, 1))
some = 4 * torch.randn(500, 2, generator=seeded())  # generated points, and a D of random weights
some.requires_grad_()
moved_by = {
    name: torch.autograd.grad(500 * gan.generator_loss(judge(some), name), some)[0]
    for name in ("minimax", "non_saturating")
}
checks.identity(
    "one direction, and weights in the ratio e^(−l) (3a)",
    moved_by["non_saturating"],
    torch.exp(-judge(some)) * moved_by["minimax"],
    tol=1e-12,
)

# %% [markdown]
# What do the weights do to a whole training?
# Suppose that the data are $N(0, 1)$, the generator makes $N(\theta, 1)$, and $D$ is always the best one.
# Then its logit is $l(y) = \theta^2/2 - \theta y$, with the slope $-\theta$.
#
# With the best $D$, the slope of the minimax loss in $\theta$ is that of $2\,\mathrm{JS}$: when $\theta$ moves, the value at the best $D$, $2\,\mathrm{JS} - 2 \log 2$, moves through the generated points and through $D$, but the second part is 0, because at its maximum over $D$ the value does not change to first order with $D$ ([Learned losses](01_learned_losses.ipynb), (9a)).
# For the other loss write $-\log P = -l - \log(1 - P)$.
# The mean of the last term has the slope of $-2\,\mathrm{JS}$.
# The first is $-l = \log p_G - \log p$, whose mean over generated points would be $\operatorname{KL}(p_G \,\|\, p)$, but with $D$ frozen $\log p_G$ does not move.
# That makes no difference, because the motion of $\log p_G$ adds $E_{p_G}[\partial_\theta \log p_G] = \int \partial_\theta\, p_G\,dy = 0$ to the slope.
# Hence
#
# $$\frac{d}{d\theta} E\big[\log(1 - P)\big] = \frac{d}{d\theta}\, 2\,\mathrm{JS}, \qquad \frac{d}{d\theta} E\big[-\log P\big] = \frac{d}{d\theta}\Big[\operatorname{KL}(p_G\,\|\,p) - 2\,\mathrm{JS}\Big] \qquad \text{with } D \text{ frozen at its best.} \tag{3b}$$
#
# Here $\operatorname{KL}(p_G\,\|\,p) = \theta^2/2$, with the slope $\theta$, so the two pulls should add up to $\theta$.

# %%
truth = data.GaussianMixture(means=[[0.0]], covs=[[[1.0]]])


def pulls(theta):
    """E[push · slope of D] over the generator's points, for minimax and for non-saturating."""
    at = torch.linspace(theta - 8, theta + 8, 8001)
    far = data.GaussianMixture(means=[[theta]], covs=[[[1.0]]])
    weight, l_at = far.log_prob(at[:, None]).exp(), truth.optimal_discriminator(at[:, None], far)
    return torch.stack([torch.trapezoid(weight * theta * push, at) for push in (sigmoid(l_at), sigmoid(-l_at))])


# %%
wide_line = torch.linspace(-10, 16, 26_001)
for theta in (1.0, 2.0, 4.0, 6.0):
    leaf = torch.tensor(theta, requires_grad=True)
    both_densities = [Normal(mean, 1.0).log_prob(wide_line).exp() for mean in (0.0, leaf)]
    half_sum = sum(both_densities) / 2
    two_js = sum(torch.trapezoid(one * (one / half_sum).log(), wide_line) for one in both_densities)
    (slope_js,) = torch.autograd.grad(two_js, leaf)
    checks.identity(
        f"pulls at {theta:g}: the slopes of 2 JS and of KL − 2 JS (3b)",
        pulls(theta),
        torch.stack([slope_js, theta - slope_js]),
        tol=1e-6,
    )
    print("    minimax {:.4f}, non-saturating {:.4f}".format(*pulls(theta).tolist()))

# %% [markdown]
# Where the generator is far away, minimax hardly pulls: $2\,\mathrm{JS}$ has come close to its largest value, $2 \log 2$, and is flat there.
# The non-saturating loss pulls almost as the Kullback–Leibler divergence does, the harder the further away $G$ is.
# The pulls vanish at the same place: where $p_G = p$, the *logit* of the best $D$ is 0 everywhere ($D = \tfrac12$), so its slope is 0, whatever it is multiplied by.
# Let both generators start at $\theta = 6$, and descend.

# %%
ways = {}
for k, name in enumerate(("minimax", "non-saturating")):
    mean, way = 6.0, []
    for _ in range(100):
        way.append(mean)
        mean -= 0.2 * float(pulls(mean)[k])  # D is the best one at every step
    ways[name] = torch.tensor(way)
checks.identity("the non-saturating loss arrives", ways["non-saturating"][-1], 0.0, tol=1e-3)
checks.at_most("minimax has come less than a tenth of the way", 5.4, ways["minimax"][-1])
plots.figure(
    plots.lines(torch.arange(100), ways | {"data": torch.zeros(100)}, xlabel="step", ylabel="generator's mean", aspect=2.4),
    alt="The generator's mean against the step. With the non-saturating loss it falls from 6 to 0 within about 40 steps; with minimax it hardly leaves 6.",
)  # fmt: skip

# %% [markdown]
# But a weight can only multiply a slope that $D$ has.
# Two Gaussians overlap everywhere, if only a little, and so the best $D$ has a slope everywhere.
# Now let all data be at 0, and all generated points at 6: between the two nothing is ever seen, so that a $D$ which is sure of both may have any shape there, and may be flat at 6.
# The cell takes such a $D$, with the logit $10 \tanh(3\,(3 - y))$, and asks what each loss tells the generator.

# %%
place = torch.tensor([[6.0]], requires_grad=True)
flat_logit = 10 * torch.tanh(3 * (3 - place))
paid = gan.discriminator_loss(torch.tensor([[10.0]]), flat_logit).item()
print(f"D pays {paid:.5f} nats: it is sure of both")
for name in ("minimax", "non_saturating"):
    (told,) = torch.autograd.grad(gan.generator_loss(flat_logit, name), place, retain_graph=True)
    print(f"{name:14} slope at the generated points {told.item():.1e}")

# %% [markdown]
# The non-saturating loss passes on all of the slope, and the slope is two millionths.
# So no choice between the two losses helps against a $D$ that is flat where the generated points lie.
# What helps is a bound on the slope everywhere ([Learned losses](01_learned_losses.ipynb), section 11): it forbids the steep step in the middle, where this $D$ has the slope $-30$, and with slopes of at most 1 the best $D$ that is left has the slope $-1$ all the way from 0 to 6, because no other makes the two logits as different.
# A penalty that is taken at the data or at the generated points alone, such as R1 or R2 (section 12 there), does not see this $D$, which is flat at both; a penalty on slopes between the two, as that of Gulrajani et al. 2017, does.
#
# In practice we use the non-saturating loss.
# The price is that the game is no longer zero-sum, and that $G$ descends another divergence than JS, the one in (3b).
# The library has four objectives; minimax and non-saturating share their best $D$, and the two others have one each, `gan.best_discriminator`.

# %% [markdown]
# ## 4. Why the discriminator must see the question
#
# Take three questions, $x \in \{0, 1, 2\}$, now equally probable, with three different answers $p(y \mid x) = N(\mu_x, 0.1)$; as everywhere, the second number is the variance.
# Here is a generator that ignores its input.
# Whatever the question, it picks one of the three at random and answers that: $p_G(y \mid x) = \tfrac13\sum_{x'} p(y \mid x') = p(y)$.
#
# A $D$ that sees $y$ alone compares the density of all generated answers with $p(y)$, the density of all real answers.
# They are the same, so its best logit is 0, and it has nothing to tell the generator.
# A $D$ that sees $x$ plays the game (2), and there each question is compared by itself:
#
# $$\log p(y) - \log p_G(y) = 0, \qquad\text{but}\qquad E_x\big[\operatorname{JS}\big(p(\cdot \mid x),\; p_G(\cdot \mid x)\big)\big] = E_x\big[\operatorname{JS}\big(p(\cdot \mid x),\; p(\cdot)\big)\big] > 0. \tag{4}$$
#
# The last expectation is 0 only if no answer depends on its question.
# So the first $D$ is as well served by this generator as by a perfect one, and the second is not.
#
# A worse generator shows it even better.
# Asked for a wall it paints a flawless lawn, asked for a lawn flawless gravel, and asked for gravel a flawless wall: it answers $x$ with a sample of $p(y \mid x + 1)$, counted round.
# Each picture is perfect, and none is what was asked for; yet all of them together have the density $p(y)$ again, and a $D$ without $x$ finds no fault.
#
# We compute the divergences by quadrature, and then let a $D$ learn from a million samples of real and generated pairs.
# It is the simplest that there is: a table of narrow bins of $y$, in each of which the best answer is the share of real ones; the $D$ that sees $x$ has a table for each question.

# %%
marginal = data.GaussianMixture(means=[[-1.5], [0.0], [1.5]], covs=[[[0.1]]] * 3)  # p(y)
picked = right.mean(0)  # p_G(y): any of the three answers
with_x = (
    entropy(torch.stack([(one + picked) / 2 for one in right])) - entropy(right) / 2 - 3 * entropy(picked) / 2
)
sees = sum(one.jensen_shannon(marginal) for one in answers) / 3
checks.identity("the mean JS given x, by entropies (4)", with_x / 3, sees, tol=1e-6)
shifted = sum(answers[i].jensen_shannon(answers[(i + 1) % 3]) for i in range(3)) / 3
print(
    f"JS given x: {sees:.3f} nats for any of the three, {shifted:.3f} for the next one, of at most {math.log(2):.3f}"
)

# %%
question, other, any_other = torch.randint(3, (3, 1_000_000), generator=seeded())


def reply(to, seed):
    """A sample of p(y | to) for each question."""
    mean = torch.tensor([-1.5, 0.0, 1.5])[to]
    return mean + math.sqrt(0.1) * torch.randn(len(to), generator=seeded(seed))


def table_finds(answer, sees_x):
    """JS by (2) for the best table: in each bin of y, or of x and y, D is the share of real pairs."""
    share = []
    for x, y in ((question, reply(question, 1)), (other, answer)):
        cell = torch.bucketize(y, torch.linspace(-3, 3, 61)) + (62 * x if sees_x else 0)
        share.append(torch.bincount(cell, minlength=3 * 62) / len(y))
    real_share, fake_share = share
    D = real_share / (real_share + fake_share).clamp(min=1e-300)
    return (torch.xlogy(real_share, D) + torch.xlogy(fake_share, 1 - D)).sum() / 2 + math.log(2)


# %%
two_ways = reply(any_other, 2), reply((other + 1) % 3, 2)  # to any of the three questions; to the next one
blind, seeing = (torch.stack([table_finds(answer, sees_x) for answer in two_ways]) for sees_x in (False, True))
checks.identity("a D without x cannot tell either from the truth (4)", blind, torch.zeros(2), tol=1e-3)
checks.identity("a D with x finds the mean JS of both (4)", seeing, torch.tensor([sees, shifted]), tol=5e-3)

# %% [markdown]
# Networks do the same.
# Below are two trained generators, from stored runs; they differ in what their $D$ was shown, and in nothing else.


# %%
def load(name):
    """A stored generator, and the history of its training."""
    G = gan.UNetGenerator(3, 1, width=24, depth=3, noise=4).float()
    return train.load(G, run_file(f"{name}.safetensors")), train.History.load(run_file(f"{name}.json"))


def answer(G, x, seed=0):
    """One answer for each map, 64 at a time, as in training the norms look at a batch."""
    generator = seeded(seed)
    with torch.no_grad():
        return torch.cat([G(part, generator=generator) for part in x.split(64)])


scenes = data.textures(256, seed=999)  # new maps and new cuts, of the same three textures
runs = {name: load(f"textures_{name}") for name in ("cgan", "both", "unconditional", "beside", "factor")}
photos = {name: answer(G, scenes.x) for name, (G, _) in runs.items()} | {"real": scenes.y}
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
# Without $x$ the spectrum is nearly right, and the map is even used, as a source of borders.
# But this generator puts brick where grass is asked for and grain where brick is, and its $D$ cannot tell, just as (4) says.
# With $x$, brick stands where it is asked for and nowhere else, if only in half of the windows of this run.
# Grass and gravel are one grain; section 8 comes back to that, and to how much such numbers vary from run to run.

# %% [markdown]
# ## 5. What each loss sees
#
# A loss that adds up what every pixel costs treats the pixels as if, given the input, each were independent of all others.
# Isola et al. 2017, section 2, call such a loss *unstructured*; L1, squared error and cross-entropy per pixel are examples.
# A *structured* loss can punish the way in which pixels stand together, for instance a joint of mortar that breaks off, although each of its pixels is possible.
# The discriminator of a conditional GAN is a structured loss, and one that is learned.
#
# pix2pix uses both kinds and adds a pixel loss to the game:
#
# $$G^* = \arg\min_G \max_D \; L_{cGAN}(G, D) + \lambda\, L_{L1}(G), \qquad L_{L1} = E\big[\|y - G(x, z)\|_1\big], \tag{5}$$
#
# where $L_{cGAN}$ is the $V$ of (1).
# With the paper's $\lambda = 100$, the norm is a *mean* over pixels and channels, as in its code; what the sum would do is in [the notes corrected, row 3](08_the_notes_corrected.ipynb#Row-3).

# %% [markdown]
# By (2) the game alone has the right optimum already.
# What is L1 for, then?
#
# Equation (2) is about the best $D$, and at the first step there is no such $D$: it has learned nothing yet, and whatever it tells the generator is an accident of its weights.
# L1 needs no training: from the first step on it asks, at each pixel, for the median of what may be there, given the input ([Learned losses](01_learned_losses.ipynb), (2)).
# Where the input allows a single value, the median is that value, so L1 is right at once about everything that the input determines.
# In many tasks that is a good deal: where one region ends and the next begins, of which tone each of them is, in short what is large and coarse.
# In ours (section 1) the map says where brick, grass and gravel end, and leaves open which brick, which blade of grass and which stone is seen at a pixel.
# What the input leaves open, L1 cannot know, and there it is $D$ that is needed.
#
# What does L1 ask for in a region of brick or gravel, then?
# For the median of its pixels, which is one tone and has no texture; L1 even *punishes* texture.
# Let a pixel be $N(0, \sigma^2)$, given the map.
# The flat answer 0 pays $E[|y|] = \sigma\sqrt{2/\pi}$.
# Compare it with a picture that is as good as any can be, another sample $y'$ from the true distribution of photos of this map.
# It pays
#
# $$E\big[|y - y'|\big] = \sqrt2\, E\big[|y|\big], \tag{6}$$
#
# because $y - y'$ is a Gaussian with twice the variance.
# To L1, the perfect answer is 41 % worse than the blur.
# The cell adds up $|y - y'|$ over both densities.

# %%
sigma = 0.35
grid = torch.linspace(-8 * sigma, 8 * sigma, 1601)
weight = Normal(0.0, sigma).log_prob(grid).exp() * (grid[1] - grid[0])
flat = (weight * grid.abs()).sum()
draw = (weight[:, None] * weight * (grid[:, None] - grid).abs()).sum()
checks.identity("the flat answer pays σ √(2/π)", flat, sigma * math.sqrt(2 / math.pi), tol=1e-5)
checks.identity("another draw pays √2 of the blur (6)", draw, 2 * sigma / math.sqrt(math.pi), tol=1e-5)
other = data.textures(256, seed=998).y  # photos of other maps: textures all the same
print(
    f"textures: a flat tone pays {scenes.y.abs().mean():.2f}, other real photos {(scenes.y - other).abs().mean():.2f}"
)

# %% [markdown]
# We train with L1 alone, which is soon done, and look at the *spectrum* ([Learned losses](01_learned_losses.ipynb), section 2), frequency by frequency.
# Beside it stand two stored generators, trained with $D$ alone and with $D$ and L1.

# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
networks = (
    gan.UNetGenerator(3, 1, width=24, depth=3, noise=4).float(),
    gan.PatchDiscriminator(4, width=24, n_layers=2).float(),
)
objective = gan.Pix2Pix(*networks, lam=100.0, adversarial=0.0, lr=2e-3)  # D is not trained
many = data.textures(2000, seed=0)
history = train.fit(objective, many, steps=120, batch_size=8, seed=0)
runs["l1"] = objective.G, history
photos["l1"] = answer(objective.G, scenes.x)
print(f"trained in {history.seconds:.0f} s")

# %% tags=["nbval-ignore-output"]
medians = [scenes.y[scenes.x[:, c : c + 1] == 1].median() for c in range(3)]
print("medians: " + ", ".join(f"{name} {value:.2f}" for name, value in zip(data.TEXTURES, medians, strict=True)))
spectrum_real = metrics.spectrum(scenes.y)
print("power over the real photos', on rings 0 to 4:")
for name in ("l1", "cgan", "both"):
    rings = (metrics.spectrum(photos[name]) / spectrum_real)[:5].tolist()
    print(f"{name:<5}" + "".join(f"{share:>7.2f}" for share in rings))

# %%
names = {"real": "real photos", "l1": "L1", "cgan": "cGAN", "both": "cGAN + L1"}
spectra = {text: metrics.spectrum(photos[name]) for name, text in names.items()}
plots.figure(
    plots.lines(
        torch.arange(16), spectra, yscale="log", xlabel="frequency (ring)", ylabel="mean power", aspect=2.2
    ),
    alt="Power against frequency. L1 lies above the real photos in ring 0, at them in ring 1, and from ring 2 on far below, by orders of magnitude at high frequencies; cGAN and cGAN + L1 lie close to them.",
)

# %% [markdown]
# L1 paints the median of each region.
# So in ring 0, the mean of a picture, it even has too much power, because the textures' means are all 0 and their medians are not; of the photos' power in ring 2 it has a tenth, and from ring 3 on next to none.
# Where the learned loss takes part, the high frequencies are there: a $D$ that sees many neighbouring pixels can judge what they do together, and a loss pixel by pixel cannot.
#
# Isola et al. 2017, section 3.2.2, divide the work: L1 sees to the low frequencies, which a map of streets or of a front mostly determines, and $D$ looks only at *patches*, small pieces of the picture that it judges one by one.
# That does not mean that a discriminator of patches could not see low frequencies: ours looks at 34 pixels, more than the picture has, as section 6 will show.
# Nor does our map determine them, because each of our textures has the mean 0; what L1 has learned from the map is where the regions end, and their medians.
# In ring 0 the run with $D$ alone has 2.23 times the photos' power, and the run with $D$ and L1 .75 times, which is nearer.
# But L1 alone is further off than both, and with one run each we cannot say that L1 repaired it.

# %% [markdown]
# ## 6. A judge of patches
#
# If L1 takes care of low frequencies, $D$ need not see the whole picture.
# PatchGAN is a small convolutional network that ends in a *map* of logits; each looks at one patch, and all count alike.
#
# How wide is a patch?
# Go backwards, from one logit to the picture.
# Suppose that $r_i$ neighbouring outputs of layer $i$ are in use, and that the layer has the kernel $k_i$ and the stride $s_i$.
# The first of these outputs needs $k_i$ inputs, and each further one begins a stride later:
#
# $$r_{i-1} = s_i\,(r_i - 1) + k_i, \qquad r_{\text{last}} = 1. \tag{7}$$
#
# With kernels of 4, the last two layers of stride 1 give $1 \to 4 \to 7$.
# Each layer of stride 2 before them doubles and adds two: $7 \to 16 \to 34 \to 70$.
# That is the "70 × 70" of the paper, with three.
#
# Now measure it: take the gradient of the middle logit with respect to the picture, and see where it is not zero.


# %%
def patch(n_layers):
    """r_0 by (7), from the last layer to the first."""
    r = 1
    for kernel, stride in [(4, 1), (4, 1), *[(4, 2)] * n_layers]:
        r = stride * (r - 1) + kernel
    return r


# %%
measured, seen = [], {}
for n_layers in range(1, 5):
    torch.manual_seed(0)
    D = gan.PatchDiscriminator(1, width=4, n_layers=n_layers, norm="none").double()
    picture = torch.randn(1, 1, 256, 256, generator=seeded(), requires_grad=True)
    logits = D(None, picture)
    middle = logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2]
    seen[n_layers] = torch.autograd.grad(middle, picture)[0][0, 0].abs()
    measured.append(int((seen[n_layers].sum(0) > 0).sum()))
derived = torch.tensor([patch(n) for n in range(1, 5)])
checks.identity("receptive field: derived (7) and measured", torch.tensor(measured), derived, tol=0.5)
print("1 to 4 layers of stride 2:", measured, "pixels wide")

# %%
rows, columns = (seen[3].sum(axis).nonzero()[:, 0] for axis in (1, 0))
counts = seen[3].sum(0)[columns[0] : columns[-1] + 1]
edge, inside = (counts[0] + counts[-1]) / 2, counts[30:40].mean()
print(f"an edge column counts {edge / inside:.2f} times as much as one in the middle")
plots.figure(
    plots.heatmap(seen[3][rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], colorbar=False, title="70 × 70"),
    plots.lines(torch.arange(70), {"gradient": counts},
                xlabel="column of the patch", ylabel="sum of |gradient|", title="how much each column counts", aspect=2.0),
    alt="The gradient of one logit with respect to the picture: a square of 70 pixels, strong in the middle and weak at its edge.",
)  # fmt: skip

# %% [markdown]
# The edge of the patch counts for about a quarter of the middle, because fewer paths through the layers lead there.
# A judge of patches has few weights, sees many examples in each picture, and works on pictures of any size.
#
# On our pictures of 32 × 32 pixels the word "patch" is nearly out of place.
# We measure what share of a picture one logit of the discriminator of section 5 depends on, at the corner and in the middle: first by its convolutions alone, and then with batch norm, which divides each feature by its standard deviation over all places and all pictures of the batch.

# %%
for norm in ("none", "batch"):
    torch.manual_seed(0)
    D = gan.PatchDiscriminator(1, width=24, n_layers=2, norm=norm).double()
    picture = torch.randn(2, 1, 32, 32, generator=seeded(), requires_grad=True)
    logits = D(None, picture)[0, 0]
    looks = [torch.autograd.grad(logits[i, i], picture, retain_graph=True)[0][0, 0] for i in (0, 3)]
    corner, centre = ((one != 0).double().mean() for one in looks)
    print(
        f"norm {norm}: the corner's logit depends on {corner:.0%} of the picture, one in the middle on {centre:.0%}"
    )

# %% [markdown]
# ## 7. Skips: what need not be remembered
#
# A generator that turns a map into a photo first goes down: each convolution of stride 2 halves the picture and widens what one place knows of its surroundings.
# The paper's generator goes on until a single place is left, which every pixel of the input can reach; on the way up that place reaches every pixel of the output.
# So every output *can* depend on every input.
# Ours stops at 4 × 4 places, and by its convolutions alone no longer reaches everything.
# With batch norm, which the trained generators have, every output again depends on every input, through the means and standard deviations, as in section 6.
# We measure both as there, by the gradient of one output pixel with respect to its map.

# %%
torch.manual_seed(0)
for depth, norm in ((5, "none"), (3, "none"), (3, "batch")):  # a single place, and 4 × 4 of them
    G = gan.UNetGenerator(3, 1, width=8, depth=depth, norm=norm).double()
    x = torch.randn(2, 3, 32, 32, generator=seeded(), requires_grad=True)
    output = G(x)[0, 0]
    slopes = [torch.autograd.grad(output[i, i], x, retain_graph=True)[0][0] for i in (0, 16)]
    corner, centre = ((one != 0).any(0).double().mean() for one in slopes)
    print(
        f"depth {depth}, norm {norm}: the corner depends on {corner:.0%} of the map, the centre on {centre:.0%}"
    )

# %% [markdown]
# Going down has a price.
# What is large and coarse survives it, but where an edge lies to the pixel must be squeezed through few places, although the input shows it plainly.
# A *U-Net* therefore hands every level of the way down across to the level of the same size on the way up, where it is put beside the features that come from below (Isola et al. 2017, section 3.2).
# The narrow place has to carry only what the skips cannot: what belongs together over long distances.

# %%
G = runs["factor"][0]
sizes = []
hooks = [conv.register_forward_hook(lambda _, __, out: sizes.append(tuple(out.shape[1:]))) for conv in G.down]
answer(G, scenes.x[:1])
for hook in hooks:
    hook.remove()
for i, (channels, height, width) in enumerate(sizes, start=1):
    print(f"level {i}: {channels:>3} × {height:>2} × {width:>2} = {channels * height * width:>5} numbers")
papers = gan.UNetGenerator.paper(), gan.PatchDiscriminator.paper()
counts = [sum(p.numel() for p in network.parameters()) for network in papers]
print(
    f"the paper's, for 256 × 256: G {counts[0]:,} and D {counts[1]:,} parameters; its narrowest level has 512 numbers"
)

# %% [markdown]
# What do the skips carry in a trained generator?
# We take the best one of section 8, which has two, and cut one at a time: its reader on the way up gets zeros in its place.
# If the pictures stay as they are, that skip was not needed.


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
    alt="Photos by the whole generator; with its outer skip cut, nearly the same; with its inner skip cut, the joints of the bricks are still there, the grass is a little paler, and the gravel is a faint, fine grain without stones.",
)


# %% tags=["nbval-ignore-output"]
def by_texture(images):
    """The share of windows that show what the map asks for, for each texture."""
    found = shares(images).diagonal().tolist()
    return ", ".join(f"{name} {share:.2f}" for name, share in zip(data.TEXTURES, found, strict=True))


for name, images in {"whole": photos["factor"], "outer cut": cut[0], "inner cut": cut[1]}.items():
    changed = (images - photos["factor"]).abs().mean()
    print(f"{name:<10} {by_texture(images)}; pixels changed by {changed:.2f} on average")

# %% [markdown]
# The outer skip, which could carry the exact borders of the map, this generator hardly uses.
# That fits the task, because a lawn that ends a pixel too early is still a lawn; where the loss asks for exact edges, the same skip matters, and section 10 has such a task.
# The inner skip it needs: without it hardly any gravel is recognised, while bricks and grass remain.
#
# But what does the inner skip carry?
# A cut takes away all of it at once.
# So instead we let it carry what it would carry for other noise, with the map as it is, and then what it would carry for a map with grass and gravel exchanged, with the noise as it is.
# Beside the two we set whole pictures from other noise, and pictures in which the noise is another one everywhere but in this skip.


# %%
def inner_skip_from(x, seed, elsewhere=0):
    """Photos of the scenes from the noise number `elsewhere`, but for the inner skip: it has the map x and the noise `seed`."""
    carried, n = [], G.up[0].in_channels // 2
    hook = G.up[0].register_forward_pre_hook(lambda _, inputs: carried.append(inputs[0][:, :n]))
    answer(G, x, seed)
    hook.remove()
    hook = G.up[0].register_forward_pre_hook(
        lambda _, inputs: torch.cat([carried.pop(0), inputs[0][:, n:]], dim=1)
    )
    images = answer(G, scenes.x, elsewhere)
    hook.remove()
    return images


# %% tags=["nbval-ignore-output"]
for name, images in {
    "all of the noise": answer(G, scenes.x, 1),
    "noise in the inner skip": inner_skip_from(scenes.x, 1),
    "noise everywhere else": inner_skip_from(scenes.x, 0, elsewhere=1),
    "map in the inner skip": inner_skip_from(scenes.x[:, [0, 2, 1]], 0),
}.items():
    changed = images - photos["factor"]
    print(f"other {name:<23} {by_texture(images)}; ", end="")
    print(f"pixels changed by {changed.abs().mean():.2f}, squared {changed.square().mean():.3f}")

# %% [markdown]
# It carries both.
# Other noise in this skip alone changes the pixels as much as other noise everywhere else, and the two squared changes add up to nearly that of all noise, so about half of the randomness takes this way; the noise enters beside the map, at the input.
# And with the other map in this skip alone, hardly any gravel is left, and a third of the grass is no longer taken for grass.

# %% [markdown]
# ## 8. Three losses, one task
#
# Beside L1, trained above, we put two stored generators, each from a training of 900 steps: one with $D$ alone, the cGAN, and one with $D$ and L1, at $\lambda = 5$.
# Everything is small.
# The generator has about 0.2 million parameters, and the discriminator about 96 thousand and patches of 34 pixels, where the paper's have 54 and 2.8 million and 70 pixels.
# As in the paper, $D$ gets $x$ beside $y$.

# %%
plots.image_rows(
    map=tones(scenes.x[few]),
    L1=photos["l1"][few],
    cGAN=photos["cgan"][few],
    cGAN_and_L1=photos["both"][few],
    real=scenes.y[few],
    alt="Maps, and what three generators make of them. L1: flat tones with soft borders. cGAN, with and without L1: bright joints of brick, where there are any, only where the map says brick, and grains elsewhere. Real photos below.",
)

# %% tags=["nbval-ignore-output"]
print("                  detail   error   L1    accuracy")
for name, text in names.items():
    images = photos[name]
    detail, error = metrics.detail(images, scenes.y), metrics.spectrum_error(images, scenes.y)
    accuracy, l1 = metrics.texture_accuracy(scenes.x, images), (images - scenes.y).abs().mean()
    print(f"{text:<16} {detail:>7.2f} {error:>7.2f} {l1:>7.3f} {accuracy:>7.2f}")

# %% [markdown]
# These are single runs, and a GAN's numbers depend on the seed.
# So the trainings were repeated from three seeds, and what was measured is stored: below are the three numbers for each of the two generators with a $D$, and for two more that we shall need soon.

# %%
measured_runs = load_file(run_file("textures_seeds.safetensors"))  # (seed, what is measured)
whose = {"cgan": "cGAN", "both": "cGAN + L1", "beside": "new, x beside y", "factor": "new, x a factor"}
print(
    f"{'seeds 0, 1, 2':18}" + "".join(f"{name:^20}" for name in ("detail", "error", "brick", "grass", "gravel"))
)
for name, text in whose.items():
    of_seeds = measured_runs[name][:, [0, 1, 4, 5, 6]].T.tolist()  # without L1 and the mean accuracy
    print(f"{text:18}" + "".join(f"{a:6.2f}{b:6.2f}{c:6.2f}  " for a, b, c in of_seeds))

# %% [markdown]
# Read the first table from left to right.
# Of the generators, L1 alone has nearly no detail, and yet the *lowest* L1, exactly as (6) says.
# Its accuracy means little: the classifier takes all flat tones for brick, so it is the share of windows where brick is asked for.
#
# The second table says what survives a change of the seed.
# With L1, brick is found in nearly all windows from every seed; with $D$ alone, in nearly all from one seed, in half from another and in hardly any from the third.
# So in a training as short as this one, L1 puts brick where the map asks for it more reliably; grass and gravel it does not tell apart.
# A plausible reason for the bricks is that it says from the first step which region is which, while $D$ has yet to learn to look at the map; but the table shows the effect, and not its reason.
# With L1, and in the new recipe as long as $x$ stands beside $y$, it is grass and gravel that vary most, and whether a run has more of the one or of the other says nothing about its loss; with $x$ as a factor nothing varies much.
#
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

# %% [markdown]
# ### Grass or gravel?
#
# We ask the classifier about each texture by itself.

# %% tags=["nbval-ignore-output"]
for name, text in names.items():
    print(f"{text:<16}", by_texture(photos[name]))

# %% [markdown]
# With cGAN + L1, brick is nearly always right, in all three seeds.
# In place of grass and gravel this generator makes one grain for both, so that of either the classifier finds about half.
# Does its $D$ know the difference, and how hard is the difference to learn?
#
# To find out we train such a $D$ without any generator, on real photos alone: under its own map a photo is to be called real, under another photo's map fake.
# Then we take 400 new photos without brick, exchange grass and gravel in their maps, and see by how much $D$'s logits fall, and for how many of the photos they fall at all; by chance it would be half.
# Beside it we put a $D$ that sees the map in another way, as a *factor*.
# Both have patches of 34 pixels, as the runs above.


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
more = data.textures(2500, seed=4321)
no_brick = (more.x[:, 0].sum((1, 2)) == 0).nonzero()[:400, 0]
own_map, lot = more.x[no_brick], more.y[no_brick]
print(
    f"grass and gravel exchanged in {len(lot)} maps, three seeds: how far the logits fall, and in how many photos"
)
for name, channels, projection in (("beside y", 4, 0), ("a factor", 1, 3)):
    gaps = []
    for seed in range(3):
        torch.manual_seed(seed)
        D = gan.PatchDiscriminator(channels, width=24, n_layers=2, projection=projection).float()
        learn(D)
        with torch.no_grad():
            gaps.append((D(own_map, lot) - D(own_map[:, [0, 2, 1]], lot)).flatten(1).mean(1))
    print(f"x {name}: " + ", ".join(f"{gap.mean():z.2f} ({(gap > 0).double().mean():.0%})" for gap in gaps))

# %% [markdown]
# ### The map as a factor
#
# After these 100 steps the second $D$ has begun to learn the difference: from each seed its logits fall on average, and for more than half of the photos, if far from all of them.
# The first has learned nothing of it that could be seen here.
# Why?
# In pix2pix, $x$ stands beside $y$ from the first layer on, and is treated like one more colour of the picture.
# But whether a lawn is right is a question about both: under "grass" it is, under "gravel" it is not.
# Neither the map alone nor the photo alone says anything about it; all depends on how they go together.
#
# Look at what the best $D$ computes, for one class $c$ and one texture $y$.
# Its logit is a ratio of two joint densities, and each is a density of $y$ times a probability of the class given $y$:
#
# $$\log\frac{p(c, y)}{p_G(c, y)} = \underbrace{\log\frac{p(y)}{p_G(y)}}_{v_0(y)} + \underbrace{\log\frac{p(c \mid y)}{p_G(c \mid y)}}_{v_c(y)\ =\ \sum_k x_k v_k(y)}. \tag{8}$$
#
# The second term is a table with one entry for each class.
# A one-hot vector $x$ picks an entry, and so the logit is *linear* in $x$: the class is a factor.
# Miyato and Koyama 2018 build the network so.
# Its layers see $y$ alone, and end in a number for $v_0$ and one for each class, which are multiplied with the map.
#
# For one class (8) is exact.
# A map has a class at every pixel, and our $D$ multiplies the numbers of each patch with the shares of the classes around it; that is a local approximation, which looks at each place as if (8) held there by itself.
#
# The cell finds $p(c \mid y)$ by normalising the three products $p(c)\,p(y \mid c)$, and $p(y)$ from the mixtures.

# %%
makes = data.GaussianMixture(
    means=[[-1.0], [0.3], [1.0]], covs=[[[0.4]]] * 3
)  # p_G(y), for equally probable classes
v_0 = marginal.optimal_discriminator(on_line, makes)
densities = (torch.stack([one.log_prob(on_line) for one in group]) for group in (answers, made_for))
of_class, of_class_made = (torch.log_softmax(group - math.log(3), dim=0) for group in densities)  # log p(c | y)
one_hot = torch.eye(3)
pairs_logit = torch.stack([one.optimal_discriminator(on_line, other) for one, other in zip(answers, made_for, strict=True)])  # fmt: skip
checks.identity(
    "the best D is linear in a one-hot x (8)", v_0 + one_hot @ (of_class - of_class_made), pairs_logit, tol=1e-9
)

# %% [markdown]
# ### Four other changes
#
# In the runs below more is changed than the factor, and each change answers a weakness of the first recipe.
#
# *Smaller patches.*
# $D$ has one layer of stride 2 less, so its patches are 16 pixels wide and not 34.
# More logits judge each picture, and each of them judges a piece of texture that mostly lies in one region, as (8) supposes.
#
# *A faster discriminator.*
# The theorem speaks of the best $D$ for the generator of the moment, and a $D$ that lags behind gives the slope of a loss that is out of date ([Learned losses](01_learned_losses.ipynb), section 9).
# So $D$ learns five times as fast as $G$ here; and both train for 1200 steps.
#
# *Mismatched pairs.*
# $D$ is shown a third kind of pair in training: real photos under another photo's map, to be called fake (Reed et al. 2016).
# The generator's photos are wrong in many ways at once, and $D$ may find all of them by their grain, without looking at the map; these pairs are made of real photos, so that only the map gives them away.
# The price is a shift of the solution.
# Where photos of different maps look alike, $D$ is made to call good answers fake, and the generator ends up too far from them.
# Our textures have next to nothing in common, so here it costs little.
#
# *A term for variety.*
# $G$ pays where its answers to one map, with other noise, are alike (Yang et al. 2019).
# A $D$ that judges patches of single photos asks for a good lawn, and a $G$ that has found one may draw that same lawn every time, whatever the noise; no single photo gives it away.

# %% [markdown]
# What of all this does the factor do?
# We load two runs, both with the four changes, which differ in nothing but where $D$ gets the map.

# %% tags=["nbval-ignore-output"]
names_new = {"real": "real photos", "both": "cGAN + L1", "beside": "new, x beside y", "factor": "new, x a factor"}
for name, text in names_new.items():
    images = photos[name]
    detail, error = metrics.detail(images, scenes.y), metrics.spectrum_error(images, scenes.y)
    print(f"{text:<16} {by_texture(images)}; detail {detail:.2f}, error {error:.2f}")

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
# The new recipe, a third longer, brings the spectrum closer: the error falls from .20–.38 to .11 or less, in all seeds of the table above; which of its changes does it, we did not test.
# But with $x$ beside $y$, the shares of grass and gravel still add up to about 1, whatever the seed, as they must where one grain is made for both and the classifier has to call it something.
# It is the factor that makes grass and gravel two, in each of the three seeds.
# Now each of the three is found, and can be seen: grass is fine and streaked, gravel has rounder and larger stones.
# Some windows of gravel still pass for grass.

# %% [markdown]
# ## 9. From λ = 0 to λ = 100
#
# How much L1?
# Slide through a strip of generators, each trained once, as the best one of section 8, but with another $\lambda$.

# %%
widgets.LambdaExplorer.load(run_file("textures_lambda.safetensors"))

# %% tags=["nbval-ignore-output"]
strip = load_file(run_file("textures_lambda.safetensors"))
for k, lam in enumerate(strip["lam"].tolist()):
    print(
        f"λ = {lam:3g}: L1 {strip['l1'][k]:.3f}, detail {strip['detail'][k]:.2f}, accuracy {strip['accuracy'][k]:.2f}"
    )

# %% [markdown]
# Up to 20, hardly anything changes: in these runs $D$ alone teaches texture and map, and so little L1 does no harm.
# At 100 the L1 term outweighs the rest, as (6) lets us expect: its own number falls by about a fifth, and of the detail less than a third is left.
# Regions turn pale and most joints are gone, though the grain that remains is still of the right kind, as the classifier says.
#
# L1 is measured in units of pixels here, and the adversarial loss in nats, so what is a good balance depends on the data.
# The paper uses 100; our textures do not bear it.

# %% [markdown]
# ## 10. Where one answer is right
#
# So is the learned loss always better?
# Take a task with *one* right answer: the digit that belongs to an outline.
# Nothing is random given $x$, the median is the answer itself, and (6) does not apply.
# By this argument L1 needs no help, but does $D$ do harm?
#
# To see what $D$ adds, $D$ alone must be added.
# So both trainings have the paper's $\lambda = 100$; two more show a smaller $\lambda$, and none at all.
# And since the distance in L1 is the loss of one of the candidates, it cannot be the only judge: beside it we put detail and the Fréchet distance, in multiples of what held-out digits have.
# Each training has three seeds; answers are stored, but the first we train here, to look into it.

# %% tags=["nbval-ignore-output"]
outlines, held_out = data.outlines("train"), data.outlines("test")
torch.manual_seed(0)
small = (
    gan.UNetGenerator(1, 1, width=16, depth=2, noise=1).float(),
    gan.PatchDiscriminator(2, width=16, n_layers=1).float(),
)
l1_alone = gan.Pix2Pix(*small, lam=100.0, adversarial=0.0, lr=2e-3)
history_l1 = train.fit(l1_alone, outlines, steps=300, batch_size=32, seed=0)
drawn_here = {"L1, live": answer(l1_alone.G, held_out.x), "its skip cut": without_skip(l1_alone.G, 0, held_out.x)}
print(f"trained in {history_l1.seconds:.0f} s")
for name, images in drawn_here.items():
    print(
        f"{name:13} L1 {(images - held_out.y).abs().mean():.3f}, detail {metrics.detail(images, held_out.y):.2f}"
    )

# %%
stored = load_file(run_file("outlines.safetensors"))  # (seed, digit, 8, 8), in steps of 1/127.5
drawn = {
    name: stored[name].float()[:, :, None] / 127.5 - 1 for name in stored if "." not in name and name != "step"
}
digit = data.digits("test").label
cases = {"l1": "L1", "both": "cGAN + L1, λ = 100", "lam5": "cGAN + L1, λ = 5", "cgan": "cGAN"}
print(f"{'three seeds':20}{'L1':^24}{'detail':^20}{'Fréchet, × held-out':^24}")
for name, text in cases.items():
    l1 = "  ".join(f"{(images - held_out.y).abs().mean():.3f}" for images in drawn[name])
    detail = "  ".join(f"{metrics.detail(images, held_out.y):.2f}" for images in drawn[name])
    frechet = "  ".join(f"{metrics.digits_report(images, digit).frechet_multiple:4.1f}" for images in drawn[name])
    print(f"{text:20}{l1:^24}{detail:^20}{frechet:^24}")

# %%
plots.image_rows(
    outline=held_out.x[:12],
    **{text: drawn[name][0, :12] for name, text in cases.items()},
    L1_skip_cut=drawn_here["its skip cut"][:12],
    digit=held_out.y[:12],
    alt="Outlines of digits. What L1 alone makes of them and what cGAN + L1 makes are both close to the digits; the cGAN's are less close, and some have another form. With its skip cut, L1's generator gives thick, blurred digits. In the last row the digits.",
)

# %% [markdown]
# L1 alone is enough: it comes close, and it hardly blurs.
# With the same $\lambda$, adding $D$ costs nothing in L1's own number, and its answers are a little better by both judges that are nobody's loss: a little more detail, a little smaller Fréchet distance, in each of the three seeds.
# It is costly to weaken L1 or to drop it.
# At $\lambda = 5$ the distance in L1 is larger in every seed, and with $D$ alone it is twice as large or more, and the Fréchet distance several times.
# So in this task, where one answer is right, the learned loss is not *needed*, and alone it is the worse teacher; beside a strong L1 it does no harm.
#
# And here the edges count: without its only skip, L1's generator loses them.
#
# The paper compares the same losses from photos to *labels*, where one answer is right as well.
# There L1 alone reaches a per-pixel accuracy of .86, L1 + cGAN .83, and cGAN .74 (Isola et al. 2017, arXiv version 3, table 6): cGAN alone is last, as here, and adding $D$ costs three points, which it does not here.

# %% [markdown]
# ## 11. Is the noise used?
#
# A conditional GAN may answer every question in one way only.
# At the best $D$ the game does ask for variety, because (2) is least only where $p_G(\cdot \mid x) = p(\cdot \mid x)$ for every map.
# But a $D$ that is small, and always a step behind, enforces it weakly, and L1 asks for the opposite.
# So we measure it: draw several answers for one map, and take the standard deviation of each pixel over the answers.

# %% tags=["nbval-ignore-output"]
answers_of = {
    name: torch.stack([answer(runs[name][0], scenes.x[:64], seed) for seed in range(8)])
    for name in ("l1", "cgan", "both", "factor")
}
# The maps are new as well, which is no harm: every texture has mean 0 and the same standard deviation.
answers_of["real"] = torch.stack([data.textures(64, seed=seed).y for seed in range(8)])
for name, draws in answers_of.items():
    print(f"{(names | names_new)[name]:<16} diversity {metrics.diversity(draws):.2f}")

# %%
one = cover[:64].amin(1).argmax()  # a map with all three textures
plots.image_rows(
    map=tones(scenes.x[one : one + 1]).expand(8, -1, -1, -1),
    **{(names | names_new)[name]: answers_of[name][:, one] for name in ("cgan", "both", "factor")},
    alt="One map, and eight answers of three generators to it: no two are alike.",
)

# %% [markdown]
# The paper fed noise to its generator and saw it ignored; it then took dropout for noise, kept on when generating, and reports that the answers still differ little.
# Here the input says nothing of where the bricks lie, so a generator without noise would have to make its texture out of constants and of the map's borders.
# That may be why the noise is used here; we have not trained a generator without it.

# %% [markdown]
# Ask a question of your own.
# Paint a map, and the generator of the best run, that with $x$ as a factor, answers four times, each time with other noise.
# What do the four photos share, and what is left to chance?
# A map of one texture alone is worth a try, and so is a brick of a single cell.

# %%
widgets.MapPainter(runs["factor"][0])

# %% [markdown]
# ## 12. What the paper measured
#
# Isola et al. 2017, Cityscapes, labels → photo: a network that was trained to segment real photos reads the generated ones, and its answer is compared with the labels.
# Their table 1 (here and below in the numbering of arXiv version 3):
#
# | loss | per-pixel | per-class | IoU |
# |---|---|---|---|
# | L1 | .42 | .15 | .11 |
# | GAN (D without x) | .22 | .05 | .01 |
# | cGAN | .57 | .22 | .16 |
# | L1 + GAN (D without x) | .64 | .20 | .15 |
# | **L1 + cGAN** | **.66** | **.23** | **.17** |
# | real photos | .80 | .26 | .21 |
#
# The second row is our section 4: a $D$ that does not see the question leaves its generator free to answer another one, and the segmentation finds hardly anything where it should be.
# The failure is not the same, though: by the paper's account, this generator ended with nearly the same picture for every input (section 4.2), while ours paints many, under the wrong maps.
# The fourth row shows the way out without a condition: with L1 such a $D$ does well, because L1 ties the answer to the question.
#
# Patches of 1, 16, 70 and 286 pixels, with L1 + cGAN, reach .39, .65, **.66** and .42 per pixel (table 3).
# This is the same kind of measurement as our classifier of textures, at another size.

# %% [markdown]
# ## 13. What goes wrong, and how it looks
#
# | what happens | how it looks | what helps |
# |---|---|---|
# | $D$ wins | its logits run away, $\overline D_{real} \gg 0 \gg \overline D_{fake}$; samples stop changing | the non-saturating loss first; a smaller learning rate of $D$; the penalty R1 |
# | $D$ learns nothing | both logits stay at 0, samples stay noise | larger rate for $D$, a wider one; look for a missing gradient |
# | modes collapse | the answers of one class are all alike, which no average of $D$'s logits need show: measure diversity | a term for variety (section 8); a $D$ that sees several samples at once (Salimans et al. 2016) |
# | the noise is ignored | diversity near 0 | less L1; a task with one answer needs no noise |
# | checkerboards | a grid of the strides' period (2, 4, 8): the same spot in each cell | longer training; kernels divisible by the stride help, but ours are (4 and 2), and section 5's figure has peaks at periods 8 and 4 nevertheless. Our rings do not see period 2: look, or take the FFT at $k = n/2$ |
# | sigmoid twice | $D$ never gets surer than $1/(1 + e^{-1})$, .73 (in the lab) | losses on logits |
#
# GAN losses do not fall as others do, because each is measured by an opponent that changes.
# What to watch is how sure $D$ is, and how much the answers vary.

# %% [markdown]
# Here is the first line of the table, provoked in the cGAN of section 10.
# Two changes are suspected: the minimax loss, which is flat where $D$ wins (section 3), and a $D$ that learns ten times as fast as $G$.
# To tell which does the damage we change one at a time, and then both, with 300 steps and three seeds each, as before.
# The measure is how much the answers to different outlines differ: the standard deviation of a pixel from one outline to the next.

# %%
print(f"{'three seeds':34}{'standard deviation':24}{'last logits, real and fake, seed 0'}")
faults = {"cgan": "cGAN", "fast": "fast D", "minimax": "minimax loss", "minimax_fast": "minimax loss and fast D"}
for name, text in faults.items():
    apart = "  ".join(f"{images.std(0).mean():.2f}" for images in drawn[name])
    last = "  ".join(f"{value:+.1f}" for value in stored[f"{name}.logits"][0, :, -1])
    print(f"{text:34}{apart:24}{last}")
print(f"{'digits':34}{held_out.y.std(0).mean():.2f}")

# %%
step = stored["step"]
plots.figure(
    *[
        plots.lines(step, dict(zip(("real", "fake"), stored[f"{name}.logits"][0].double(), strict=True)),
                    xlabel="step", ylabel="mean logit", ylim=(-12, 12), title=faults[name], aspect=1.2)
        for name in ("cgan", "fast", "minimax")
    ],
    alt="Mean logits of real and fake digits over the training. cGAN: they part, and keep their distance. With a fast D they part further. With the minimax loss they run away to both sides.",
)  # fmt: skip

# %%
plots.image_rows(
    outline=held_out.x[:12],
    cGAN=drawn["cgan"][0, :12],
    minimax_loss=drawn["minimax"][0, :12],
    alt="Twelve outlines of digits; the cGAN's answers, which are digits; those with the minimax loss, which are alike and no digits.",
)

# %% [markdown]
# The loss is the cause.
# With the minimax loss the answers to different outlines are less varied in every seed, although $D$ learns at its ordinary rate; with a fast $D$ and the non-saturating loss they differ nearly as much as without it.
# Both together are worse than either.
# The logits, which we show for seed 0 alone, say why: with minimax they come together a few times at first; from about step 200 on $D$ is sure of the pictures, the generator gets next to no gradient by (3), and the logits stay apart.
# So a quick $D$ harms a generator whose loss is flat where $D$ is sure, and hardly one whose loss is steep there.

# %% [markdown]
# ## What the notes said, and what holds
#
# - "$\operatorname{arg\,min}_G \max_D E_{x, y}[\log D(G(x)) + \log(1 - D(y))]$." Right only if $D$ is the probability of *fake* (section 2; row [1](08_the_notes_corrected.ipynb#Row-1)).
# - "Include the input $x$ into our generator." The generator has $x$ already; it is $D$ that is given $x$ beside the picture (sections 1 and 4; row [2](08_the_notes_corrected.ipynb#Row-2)).
# - "$L_{L1}$ is the L1 norm." It is the *expected* norm of a difference, and with the paper's $\lambda = 100$ the mean over pixels and channels; the sum would weigh $C \cdot H \cdot W$ times more (section 5; row [3](08_the_notes_corrected.ipynb#Row-3)).
# - cGANs "outperform deep learning with unstructured objectives". *Unstructured* means that the loss takes the pixels one by one (section 5). It depends on the task: where many answers are right, a pixel loss gives their blur; where one is right, L1 alone is enough, and the paper's L1 beats its cGAN (section 10; row [4](08_the_notes_corrected.ipynb#Row-4)).

# %% [markdown]
# ## Where to read on
#
# - Goodfellow et al. 2014, *Generative Adversarial Nets*: the game, and the loss that does not saturate.
# - Mirza and Osindero 2014, *Conditional Generative Adversarial Nets*: a condition for both.
# - Isola, Zhu, Zhou and Efros 2017, *Image-to-Image Translation with Conditional Adversarial Networks*: pix2pix; section 2 on structured losses.
# - Mao et al. 2017, *Least Squares Generative Adversarial Networks*; Lim and Ye 2017, *Geometric GAN*: other objectives.
# - Miyato and Koyama 2018, *cGANs with Projection Discriminator*; Reed et al. 2016, *Generative Adversarial Text to Image Synthesis*; Yang et al. 2019, *Diversity-Sensitive Conditional Generative Adversarial Networks*: the map as a factor, mismatched pairs and the term for variety of section 8.
# - Salimans et al. 2016, *Improved Techniques for Training GANs*: a discriminator that looks at a batch.
# - Mescheder, Geiger and Nowozin 2018, *Which Training Methods for GANs do actually Converge?*: R1.
# - Zhu et al. 2017, *Toward Multimodal Image-to-Image Translation*: making use of the noise.
#
# Now build it yourself: the lab `my_labs/lab_1_conditional_gan.ipynb`.
# A GAN draws, but cannot say how likely a picture is.
# What would it take to have both, samples and an exact density?
# The next lecture asks that: [Normalizing flows](03_normalizing_flows.ipynb).
