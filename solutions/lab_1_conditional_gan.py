# %% [markdown]
# # Lab 1 · A conditional GAN
#
# **You will do.**
# Write the losses, the conditioning, the training step and the measures of a conditional GAN: twelve short functions.
# Train what you have written to paint where a map asks for brick, grass and gravel, and measure how far it comes.
# Compare three losses by numbers, break the game in three ways, and mend it; see which changes give walls, lawns and paths; in the end, let what you have written colour outlines.
#
# **You will learn.**
# What a discriminator measures, and why its loss stays on logits; which gradient the generator gets, and when it gets none; why the discriminator must see the condition; and how to tell a blurred picture from a sharp one without looking.
#
# **You need.**
# Lectures 01 and 02, tensors and autograd in PyTorch, logarithms and the Gaussian.
#
# **It takes** about 2 hours, nearly all of them yours: the computer trains for less than a minute in all on an idle core, and for about two on a busy one.

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
from functools import partial

import torch
from gencourse import checks, plots, widgets
from gencourse.progress import counted
from gencourse.runs import run_file
from safetensors.torch import load_file

from genlib import data, gan, metrics, train

torch.set_num_threads(1)  # small networks are quicker so

# %% [markdown]
# ## How it works
#
# In each exercise you *predict*, *implement*, *look* and *explain*.
# A prediction that is a number, a choice, an order or a curve has a cell below its question, which keeps it and later sets it beside the result.
# A prediction in words has a line there, which a double click opens.
# Write your answer in place of `raise NotImplementedError` and run the cell: it answers at once.
# If it says *wrong*, it shows the numbers that it tried, and a hint.
# If the same exercise is wrong again, a second hint says more, and after the third time a worked answer can be unfolded; `checks.hint("gan.pair")` and `checks.solution("gan.pair")` show them at any time.
# If you leave an exercise out, genlib's own version stands in, and the rest of the notebook works.
# An answer that is wrong stays in place: to go on without it, put `raise NotImplementedError` back and run the cell.
#
# ## The letters
#
# | math | name | what | shape |
# |---|---|---|---|
# | x | `x` | what the generator is given: a map of labels, one-hot | (B, 3, H, W) |
# | y | `y` | a real picture that goes with x | (B, C, H, W), in [−1, 1] |
# | G(x, z) | `output` | the picture that the generator makes of x and noise z | like y |
# | D(x, y) | `real` | the discriminator's *logits* on real pairs: sigmoid(D) = P(real) | (B, 1, h, w) |
# | D(x, G(x, z)) | `fake` | its logits on made-up ones | (B, 1, h, w) |
# | λ | `lam` | the weight of the distance in absolute value | a number |
#
# A *logit* a stands for the probability P = 1/(1 + e^(−a)).
# In the lectures' formulas D is that probability, as in the papers; here, as in all code, D is the logit.
# One function turns up again and again, and PyTorch has it:
#
# $$\text{softplus}(a) = \log(1 + e^{a}), \qquad -\log P = \text{softplus}(-a), \qquad -\log(1 - P) = \text{softplus}(a)$$
#
# `torch.nn.functional.softplus` is right for every a; the logarithm of a sigmoid is infinite as soon as the sigmoid rounds to 0.

# %% [markdown]
# # Part 1 · A loss that is learned
#
# ## 1 · What D is asked for
#
# The discriminator is a classifier with two classes, real and fake.
# It is trained as every classifier is, by the logarithm of the probability that it gave to what was true:
#
# $$L_D = -\,E\big[\log P(\text{real} \mid x, y)\big] - E\big[\log\big(1 - P(\text{real} \mid x, G(x, z))\big)\big]$$
#
# The expectations are averages over all pictures, and over all patches of a picture.
#
# **Predict.**
# A fresh D answers about 0 to everything.
# What is its loss, in nats?

# %%
fresh_loss = widgets.Prediction.number("D answers 0 to everything: what is its loss?", "nats")
fresh_loss


# %%
@checks.exercise("gan.discriminator_loss")
def discriminator_loss(real, fake):
    """L_D, a tensor with one number.
    real, fake: logits of any shape, (B, 1, h, w) say; their B may differ."""
    ### BEGIN SOLUTION
    return torch.nn.functional.softplus(-real).mean() + torch.nn.functional.softplus(fake).mean()
    ### END SOLUTION


# %% [markdown]
# **Look.**
# What D pays for one real picture and for one fake, by its logit; and what it pays if both are taken together.

# %%
logit = torch.linspace(-8, 8, 161, dtype=torch.float64)
far = torch.full((1,), 100.0, dtype=torch.float64)  # a logit that costs nothing where it is right
on_real = torch.stack([discriminator_loss(a[None], -far) for a in logit])
on_fake = torch.stack([discriminator_loss(far, a[None]) for a in logit])
print(f"a D that knows nothing: {discriminator_loss(torch.zeros(1), torch.zeros(1)):.4f} nats")
plots.figure(
    plots.lines(
        logit, {"real": on_real, "fake": on_fake, "both": on_real + on_fake}, xlabel="logit", ylabel="loss"
    ),
    alt="Loss against the logit. For a real picture it falls to 0, for a fake one it rises from 0, each a straight "
    "line far out. Their sum has its minimum in the middle, at logit 0.",
)

# %%
fresh_loss.compare(discriminator_loss(torch.zeros(1), torch.zeros(1)))

# %% [markdown]
# **Explain.**
# Suppose that real pictures and fakes are the same.
# Where does D's loss have its minimum then, and how large is it?
#
# <details>
# <summary>Answer</summary>
#
# Every picture counts once as real and once as fake, so D pays softplus(−a) + softplus(a), which is smallest at a = 0.
# There it is 2 log 2 ≈ 1.386, the number that you predicted for a fresh D.
# A loss near 1.386 says that D sees no difference.
# It does not say whether there is none, or whether D has not found it yet.
# </details>

# %% [markdown]
# ## 2 · What the best D answers
#
# Which logit a should D give to a picture y?
# Among all pictures the density of real ones is p(y), that of fakes p_G(y).
# At one y, D pays p(y) softplus(−a) + p_G(y) softplus(a).
# Set the derivative by a to zero: p(y) (1 − P) = p_G(y) P, so
#
# $$D^*(y) = \log p(y) - \log p_G(y), \qquad \text{sigmoid}(D^*) = \frac{p}{p + p_G}$$
#
# For two Gaussians, N(μ, σ²) and N(μ_G, σ_G²), this is a formula.
#
# **Predict.**
# Both have the same σ and different means: the data are N(1, 1), and G makes N(−1, 1).
# What kind of curve is D\* over y: a step, a straight line, a parabola?
# Draw it.

# %%
best_logit = widgets.Prediction.curve(
    "D* for data N(1, 1) and a generator that makes N(−1, 1)", x=(-5, 5, "y"), y=(-12, 12, "logit")
)
best_logit


# %%
@checks.exercise("gan.optimal_logit")
def optimal_logit(y, mean, std, mean_G, std_G):
    """D*(y) as a logit, (B,). y (B,).
    mean, std: of the data; mean_G, std_G: of G; tensors with one number each.
    std is a standard deviation, σ."""
    ### BEGIN SOLUTION
    log_p = -0.5 * ((y - mean) / std) ** 2 - std.log()
    log_p_G = -0.5 * ((y - mean_G) / std_G) ** 2 - std_G.log()
    return log_p - log_p_G
    ### END SOLUTION


# %% [markdown]
# **Look.**
# The data are N(1, 0.5²); the generator makes N(−1, 1).

# %%
y = torch.linspace(-4, 4, 401, dtype=torch.float64)
moments = [torch.tensor(v, dtype=torch.float64) for v in (1.0, 0.5, -1.0, 1.0)]
best = torch.as_tensor(optimal_logit(y, *moments))
density = {
    name: torch.distributions.Normal(m, s).log_prob(y).exp()
    for name, m, s in (("data", *moments[:2]), ("G", *moments[2:]))
}
plots.figure(
    plots.lines(y, density, fill=True, xlabel="y", title="densities"),
    plots.lines(y, {"D*": best}, xlabel="y", ylabel="logit", title="D*"),
    plots.lines(y, {"sigmoid(D*)": best.sigmoid()}, xlabel="y", ylabel="P(real)", title="as a probability"),
    alt="Three panels. Two bells, the data's narrow one on the right and G's wide one on the left. The logit D*, a "
    "parabola that opens downwards. The probability, which is near 1 around the data and falls to 0 on both sides.",
)

# %% [markdown]
# And D\* for the two Gaussians of the prediction, which have the same σ:

# %%
same = [torch.tensor(v, dtype=torch.float64) for v in (1.0, 1.0, -1.0, 1.0)]
best_logit.compare(torch.as_tensor(optimal_logit(best_logit.places, *same)))

# %% [markdown]
# With this D the loss measures a divergence between the two densities: L_D = 2 log 2 − 2 JS(p, p_G), with the Jensen–Shannon divergence, which is 0 where p = p_G and log 2 where the two do not overlap.
# Draw many y, ask your functions, and compare with the divergence as entropies give it, by a way that knows of no D: 2 JS(p, p_G) = 2 H(½ p + ½ p_G) − H(p) − H(p_G), where a Gaussian has the entropy H = ½ log(2πe σ²).

# %%
truth, made = data.GaussianMixture([[1.0]], [[[0.25]]]), data.GaussianMixture([[-1.0]], [[[1.0]]])
draws = torch.Generator().manual_seed(1)
real, fake = (
    torch.as_tensor(optimal_logit(of.sample(400_000, draws)[:, 0].double(), *moments)) for of in (truth, made)
)
fine = torch.linspace(-9, 9, 20_001, dtype=torch.float64)
half = sum(torch.distributions.Normal(m, s).log_prob(fine).exp() for m, s in (moments[:2], moments[2:])) / 2
entropies = [0.5 * math.log(2 * math.pi * math.e * variance) for variance in (0.25, 1.0)]
two_js = 2 * torch.trapezoid(-torch.xlogy(half, half), fine) - sum(entropies)
checks.identity(
    "2 log 2 − L_D(D*) = 2 JS(p, p_G)", 2 * math.log(2) - discriminator_loss(real, fake), two_js, tol=0.01
)

# %% [markdown]
# **Explain.**
# On the far right, at y = 4, the curve of P(real) has fallen to 0 again.
# The data are on the right, and G on the left.
# Why does D call y = 4 a fake?
#
# <details>
# <summary>Answer</summary>
#
# G is wider.
# At y = 4 the data's density is 0.80 e^(−18), G's 0.40 e^(−12.5): whatever turns up there is more likely to be G's, by a factor of about 120.
# D does not ask where the data are, but which of the two is denser.
#
# And the prediction: with equal σ the squares of y cancel, and D\* is a straight line, 2y for the two Gaussians that you were asked about.
# </details>

# %% [markdown]
# ## 3 · One wish, two losses
#
# G can move only the second term of L_D.
# In the game as it was first written, G wants the opposite of what D wants:
#
# $$L_G^{\text{minimax}} = E\big[\log\big(1 - P(\text{real} \mid x, G(x, z))\big)\big]$$
#
# The same wish in other words: let D call the fakes real, with as much probability as possible.
#
# $$L_G = -\,E\big[\log P(\text{real} \mid x, G(x, z))\big]$$
#
# Write both, on logits.
#
# **Predict.**
# Which of the two losses are positive, which negative?
# Towards which values do they go when G fools D completely?
# And D is sure that all of G's pictures are fakes, P(real) = 0.001: which loss changes more if one of them becomes a little better?

# %%
more_change = widgets.Prediction.choice(
    "P(real) = 0.001 for a fake, which then becomes a little better: which loss changes more?",
    ["the minimax loss", "the non-saturating loss", "both change alike"],
)
more_change


# %%
@checks.exercise("gan.generator_losses")
def generator_losses(fake):
    """minimax, non_saturating: E log(1 − P(real)) and −E log P(real) of fakes,
    two tensors with one number each. fake: logits of any shape."""
    ### BEGIN SOLUTION
    softplus = torch.nn.functional.softplus
    return -softplus(fake).mean(), softplus(-fake).mean()
    ### END SOLUTION


# %% [markdown]
# **Look.**
# Both losses of a single fake, over its logit.

# %%
by_logit = torch.stack([torch.stack(generator_losses(a[None])) for a in logit])
curves = {"minimax": by_logit[:, 0], "non-saturating": by_logit[:, 1]}
plots.figure(
    plots.lines(logit, curves, xlabel="logit of a fake", ylabel="G's loss", marks={"D is undecided": 0.0}),
    alt="Two falling curves over the logit of a fake. The minimax loss is flat on the left, where D is sure of the "
    "fake, and steep on the right. The non-saturating loss is steep on the left and flat on the right.",
)

# %%
sure = torch.tensor([math.log(0.001 / 0.999)], dtype=torch.float64)
both_change = torch.stack(generator_losses(sure + 0.1)) - torch.stack(generator_losses(sure))
more_change.compare(["the minimax loss", "the non-saturating loss"][both_change.abs().argmax()])

# %% [markdown]
# **Explain.**
# Both curves fall everywhere, so both say "make the logit larger".
# What is different for a batch in which D is sure of one fake and fooled by another?
#
# <details>
# <summary>Answer</summary>
#
# The weights.
# Under the minimax loss nearly all of the slope belongs to the fake that fools D already, and the other one, which needs to change, is hardly heard.
# Under the other loss it is the reverse.
#
# And the prediction: the minimax loss is the mean logarithm of a probability, so it is negative, −log 2 where D is undecided; where G fools D completely it goes to −∞.
# The other one is positive, and goes to 0.
# At P(real) = 0.001 the second changes more, by far: how far is the next exercise.
# </details>

# %% [markdown]
# ## 4 · How strongly they pull
#
# What reaches G is the slope of its loss at the logit, passed back through D.
# Write the two slopes, for each logit by itself.
# You may derive them by hand, or let autograd do it.
#
# **Predict.**
# What is the sum of the two slopes, at any logit?

# %% [markdown]
# *My guess:* …


# %%
@checks.exercise("gan.pulls")
def pulls(fake):
    """minimax, non_saturating: the slopes over the logit of log(1 − P) and of −log P,
    each logit by itself; both like fake. fake: logits of any shape."""
    ### BEGIN SOLUTION
    return -torch.sigmoid(fake), -torch.sigmoid(-fake)
    ### END SOLUTION


# %% [markdown]
# **Look.**
# At the start of a training D wins easily, and its logits on fakes are far below 0.

# %%
for a in (0.0, -2.0, -5.0, -10.0, -20.0):
    minimax, non_saturating = pulls(torch.tensor([a], dtype=torch.float64))
    print(f"logit {a:6.1f}:  minimax {minimax.item():10.2g}   non-saturating {non_saturating.item():10.2g}")

# %% [markdown]
# **Explain.**
# The first loss is the honest one: what G gains by it is exactly what D loses.
# Why does nearly everybody train with the second?
#
# <details>
# <summary>Answer</summary>
#
# Where D wins, the minimax loss is flat: at a logit of −10 it pulls with 0.00005.
# G gets next to no gradient while D finds all of its pictures wrong.
# The non-saturating loss pulls with nearly 1 there, and lets go where G has won already.
# For each picture both have the same direction, and with P = ½ the same size; they differ in the weight that a picture gets.
# A weight can only multiply the slope of D, though: where D itself is flat at the fakes, neither of the two helps ([lecture 02](../lectures/02_conditional_gans.ipynb), section 3).
#
# The sum is −1 always, since P + (1 − P) = 1.
# The price: it is no longer one game with one value, and what G minimises is no longer the JS divergence.
# </details>

# %% [markdown]
# # Part 2 · On condition
#
# ## 5 · What D sees
#
# The data: a random map says where there is wall, lawn and path, and the photo shows brick, grass and gravel there.
# Given the map, the photo is still random, since the pieces come from random places of the textures.
#
# G has the map already.
# It is D that has to be shown it, beside the picture: otherwise a lawn is as good as a wall, whatever the map says.
# The simplest way is to put both into one tensor, as channels, and the picture last.
# Each class gets a channel of its own: 1 where the map has that class, and 0 elsewhere.
#
# **Predict.**
# Why not one channel with the numbers 0, 1 and 2?

# %% [markdown]
# *My guess:* …


# %%
@checks.exercise("gan.pair")
def pair(classes, y, n_classes):
    """What D sees, (B, n_classes + C, H, W), in y's dtype:
    first a channel for each class, 0 or 1, then the channels of y.
    classes (B, H, W) int64 in 0..n_classes − 1; y (B, C, H, W)."""
    ### BEGIN SOLUTION
    x = torch.nn.functional.one_hot(classes, n_classes).permute(0, 3, 1, 2)
    return torch.cat([x.to(y.dtype), y], dim=1)
    ### END SOLUTION


# %% [markdown]
# **Look.**
# Four scenes, as D will see them.

# %%
scenes, held_out = data.textures(1000, seed=0), data.textures(256, seed=1)
seen = pair(held_out.x[:4].argmax(1), held_out.y[:4], 3)
plots.image_rows(
    **{name: 2 * seen[:, k : k + 1] - 1 for k, name in enumerate(data.TEXTURES)},  # 0 is shown black, 1 white
    photo=seen[:, 3:],
    alt="Four scenes. Three rows show in white where the map has brick, grass and gravel; the fourth row shows the "
    "photos, with rows of bricks, blades of grass and pebbles in those places.",
)

# %% [markdown]
# **Explain.**
# A photo of a lawn is shown where the map says wall.
# Does a D without x notice?
# Does one with x?
#
# <details>
# <summary>Answer</summary>
#
# Without x there is nothing to notice: it is a photo of a lawn, and real lawns look like that.
# With x, D has seen a thousand maps beside their photos, and this pair is not like them.
# So only a D with x can teach G to obey the map.
# The lecture's notes say that x is included "into our generator"; the generator had it all the time ([the notes corrected](../lectures/08_the_notes_corrected.ipynb#Row-2), row 2).
#
# And the prediction: with numbers, grass (1) would be half-way between brick (0) and gravel (2).
# The classes have no order, and a first layer would have to undo the one that we invented.
# </details>

# %% [markdown]
# ## 6 · The whole objective
#
# D says whether a picture looks real.
# A second term says how far it is from the very picture that went with x:
#
# $$L = -\,E\big[\log P(\text{real} \mid x, G(x, z))\big] + \lambda\,E\big[\,|y - G(x, z)|\,\big]$$
#
# The second expectation is a *mean* over pictures, channels and pixels.
#
# **Predict.**
# A pixel of gravel is dark or bright, at random, and G cannot know which.
# Which grey is best for the second term alone?

# %%
best_grey = widgets.Prediction.choice(
    "Which grey for all of the gravel makes the second term smallest?",
    [
        "the mean of its pixels",
        "the median of its pixels",
        "one as dark or as bright as a pebble",
        "all greys are alike",
    ],
)
best_grey


# %%
@checks.exercise("gan.objective")
def objective(fake, output, y, lam):
    """G's loss L, a tensor with one number; its first term is the non-saturating one.
    fake: D's logits on output; output, y (B, C, H, W); lam: λ, a number."""
    ### BEGIN SOLUTION
    return torch.nn.functional.softplus(-fake).mean() + lam * (y - output).abs().mean()
    ### END SOLUTION


# %% [markdown]
# **Look.**
# We paint all gravel of the held-out scenes in one grey, and turn it from black to white.
# D is undecided in all cases, so only the second term moves.

# %%
gravel = held_out.y[held_out.x[:, 2:].bool()].view(1, 1, 1, -1).double()
greys = torch.linspace(-1, 1, 81, dtype=torch.float64)
costs = [
    objective(torch.zeros(1, 1, 1, 1), torch.full_like(gravel, grey), gravel, 1.0) for grey in greys.tolist()
]
median = gravel.median().item()
plots.figure(
    plots.histogram({"gravel": gravel}, span=(-1, 1), xlabel="pixel", title="its pixels"),
    plots.lines(greys, {"λ = 1": torch.stack(costs)}, xlabel="grey", ylabel="L", marks={"median": median}),
    alt="Left: the pixels of gravel, spread over all greys. Right: the objective over the grey; it is smallest at the "
    "median of the pixels.",
)

# %%
cheapest = greys[torch.stack(costs).argmin()].item()
candidates = {"the mean of its pixels": gravel.mean().item(), "the median of its pixels": median}
best_grey.compare(min(candidates, key=lambda name: abs(candidates[name] - cheapest)))

# %% [markdown]
# **Explain.**
# So what does G paint for gravel if it follows the second term alone?
# What does the second term do for a G that follows D?
#
# <details>
# <summary>Answer</summary>
#
# One grey, the median, everywhere: each pixel by itself has its best value there.
# Not a single pebble is left.
#
# Beside D, the second term speaks for the broad features that the map decides, such as where a region ends, and for its median tone, and it does so from the first step, when D has learned nothing yet.
# With a sum in place of the mean, λ would be multiplied by the number of pixels, and D would be outvoted.
# </details>

# %% [markdown]
# ## 7 · Two losses, two gradients
#
# D follows the gradient of its own loss over its own weights, and G likewise.
# But fakes pass through both networks: D's loss depends on G's weights, and G's loss on D's.
# Whoever writes `.backward()` without care gives G the gradient of D's loss, and D that of G's.
#
# Compute both gradients, and nothing else: no weight is changed here, and what lies in `.grad` beforehand must not count.
# G's loss is the non-saturating one, without L1.
#
# **Predict.**
# `fake.detach()` is the same picture, cut off from G.
# In which of the two losses does it belong?

# %% [markdown]
# *My guess:* …


# %%
@checks.exercise("gan.gradients")
def gradients(G, D, x, y, z):
    """grad_D: of D's loss over D.weight. grad_G: of G's loss over G.weight.
    What lies in .grad of D.weight and G.weight beforehand must not count.
    G and D are networks with one weight each: G(x, z) gives fakes, like y,
    D(x, y) gives logits. z is the noise; x, y, z and the logits are of any shape."""
    ### BEGIN SOLUTION
    fake = G(x, z)
    loss_D = discriminator_loss(D(x, y), D(x, fake.detach()))
    _, loss_G = generator_losses(D(x, fake))
    return torch.autograd.grad(loss_D, D.weight)[0], torch.autograd.grad(loss_G, G.weight)[0]
    ### END SOLUTION


# %% [markdown]
# **Look.**
# What would have leaked, for two small random networks and a D that is still unsure: its logits are near 0.


# %%
class Linear(torch.nn.Module):
    """A linear map of two vectors, side by side."""

    def __init__(self, weight):
        super().__init__()
        self.weight = torch.nn.Parameter(weight)

    def forward(self, x, other):
        return torch.cat([x, other], dim=1) @ self.weight


draw = partial(torch.randn, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
G, D = Linear(draw(4, 2)), Linear(0.01 * draw(4, 1))
x, y, z = (draw(64, 2) for _ in range(3))
_, own = gradients(G, D, x, y, z)
leak = torch.autograd.grad(discriminator_loss(D(x, y), D(x, G(x, z))), G.weight)[0]
cosine = torch.nn.functional.cosine_similarity(own.flatten(), leak.flatten(), dim=0)
print(f"length of G's gradient: {own.norm():.4f}, of the leak: {leak.norm():.4f}, cosine: {cosine:.2f}")

# %% [markdown]
# **Explain.**
# The leak is as long as the gradient itself, and points the other way.
# What would become of G's gradient if both were added?
#
# <details>
# <summary>Answer</summary>
#
# D's loss falls as the logits of the fakes fall, G's as they rise: at each logit the two pull in opposite directions.
# At a logit of 0 both are ½, and their sum vanishes: G gets no gradient at all.
# We shall see below what becomes of a training with this leak: it runs, and no error is raised.
#
# `torch.autograd.grad` takes one gradient, over the weights that it is given, and leaves nothing behind.
# `.backward()` adds to the `.grad` of every weight on its way, of both networks; in the next exercise you have to live with that.
#
# And the prediction: in D's loss alone.
# In G's loss it would cut the only way from D's answer to G's weights, and G would get no gradient.
# </details>

# %% [markdown]
# ## 8 · The step
#
# Now move the weights.
# First D's turn: its loss, its gradient, a step of its optimizer.
# Then G's turn, on the *same* fakes, judged by the D that has just moved; its loss is the objective of exercise 6.
#
# An optimizer knows the weights of its own network, and has two methods: `zero_grad()` empties their `.grad`, `step()` moves them along what lies there.
# In between comes `loss.backward()`.
# What an earlier step has left in `.grad` must not count.
#
# **Predict.**
# `zero_grad` is forgotten everywhere, and everything else is right.
# Does the training stop, go wrong, or hardly notice?
# Take the smallest game: the data are numbers around 3, and G adds one weight to its noise, a shift that begins at 0.
# Draw the shift over 300 steps.

# %%
never_emptied = widgets.Prediction.curve(
    "G's shift if nobody calls zero_grad; the data are around 3", x=(0, 299, "step"), y=(-20, 20, "G's shift")
)
never_emptied


# %%
@checks.exercise("gan.step")
def step(G, D, G_optimizer, D_optimizer, x, y, z, lam):
    """Train D, then G, by one step each; nothing is returned, the weights move.
    G(x, z) gives fakes, like y (B, C, H, W); D(x, y) gives logits; z is the noise;
    x is only handed on to G and D; lam is λ.
    G_optimizer and D_optimizer: torch optimizers of G's and of D's weights."""
    ### BEGIN SOLUTION
    fake = G(x, z)

    loss_D = discriminator_loss(D(x, y), D(x, fake.detach()))
    D_optimizer.zero_grad()
    loss_D.backward()
    D_optimizer.step()

    loss_G = objective(D(x, fake), fake, y, lam)
    G_optimizer.zero_grad()
    loss_G.backward()
    G_optimizer.step()
    ### END SOLUTION


# %% [markdown]
# **Look.**
# The game of the prediction; its D is a straight line with a bias.
# A number is a picture of one pixel here, and x, which neither network looks at, is all 0.
# First your step; then the same with the gradients that were there before still added, as if nobody had called `zero_grad`.


# %%
class Shift(torch.nn.Module):
    """G(x, z) = z + shift."""

    def __init__(self):
        super().__init__()
        self.shift = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x, z):
        return z + self.shift


class Line(torch.nn.Linear):
    """D(x, y), a logit: a straight line over y."""

    def __init__(self):
        super().__init__(1, 1)

    def forward(self, x, y):
        return super().forward(y)


class Forgetful(torch.optim.SGD):
    """Gradient descent that never empties .grad."""

    def zero_grad(self, set_to_none=True):
        pass


def shifts(optimizer, steps=300):
    """G's shift after each step."""
    torch.manual_seed(0)
    small_G, small_D, found, nothing = Shift(), Line(), [], torch.zeros(256, 1, 1, 1)
    mine = [optimizer(net.parameters(), lr=0.05) for net in (small_G, small_D)]
    for _ in range(steps):
        found.append(small_G.shift.item())
        y, z = 3 + torch.randn(256, 1, 1, 1), torch.randn(256, 1, 1, 1)
        step(small_G, small_D, *mine, nothing, y, z, 0.0)
    return torch.tensor(found)


shifted = {"yours": shifts(torch.optim.SGD), "never emptied": shifts(Forgetful)}
plots.figure(
    plots.lines(range(300), shifted, xlabel="step", ylabel="G's shift"),
    alt="G's shift over 300 steps. Yours rises from 0 to 3 and a little beyond. Without zero_grad it is at 3 after a "
    "sixth of the steps, runs on to 14, back to −15, and swings on without an end.",
)

# %% tags=["nbval-ignore-output"]
never_emptied.compare(shifted["never emptied"][never_emptied.places.round().long()])

# %% [markdown]
# **Explain.**
# Nothing raises an error without `zero_grad`, and at first G is even quicker.
# What does the sum of all gradients so far do, and why does it not come to rest at 3?
#
# <details>
# <summary>Answer</summary>
#
# A step along one gradient is a position that changes by a force.
# A step along the sum of all gradients is a *speed* that changes by a force, and nothing ever slows it: G passes the data at full speed, as a ball passes the bottom of a bowl.
# D does the same, a little later, and pushes it on.
# Momentum in an optimizer is such a sum, too, but one in which what is old fades.
#
# Yours runs a little beyond 3 and will come back: D has learned to lean, and takes some steps to unlearn it.
# The last exercise is about that.
# </details>

# %% [markdown]
# ## 9 · How far a patch sees
#
# D is a stack of convolutions, and gives a logit for each *patch*.
# How many pixels wide is the patch that one logit sees?
#
# One layer with a kernel of k sees k of its inputs.
# A stride of s puts neighbouring outputs s inputs apart, so everything that comes *after* that layer strides over s times as many pixels.
#
# **Predict.**
# Five layers have kernels of 4, and strides 2, 2, 2, 1, 1.
# Is the patch nearer to 20 pixels, 70, or 160?

# %%
patch_width = widgets.Prediction.choice("How wide is the patch?", ["20 pixels", "70 pixels", "160 pixels"])
patch_width


# %%
@checks.exercise("gan.receptive_field")
def receptive_field(kernels, strides):
    """Pixels that one output sees, in a row, after each layer: a tensor, (N,).
    kernels, strides: tuples of N whole numbers, the layer that sees the picture first."""
    ### BEGIN SOLUTION
    field, apart, fields = 1, 1, []  # `apart`: pixels between two neighbours, before this layer
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - 1) * apart
        apart *= stride
        fields.append(field)
    return torch.tensor(fields)
    ### END SOLUTION


# %% [markdown]
# **Look.**
# The formula for the discriminators of the paper, and beside it what a gradient finds: the pixels of y that move one logit of `gan.PatchDiscriminator`.

# %%
for n_layers in range(1, 6):
    strides = (2,) * n_layers + (1, 1)
    fields = receptive_field((4,) * len(strides), strides)
    print(f"{n_layers} layers of stride 2: {fields.tolist()} pixels")

# %%
patch = gan.PatchDiscriminator(1, width=8, n_layers=2, norm="none")  # a norm would look at the whole picture
noise = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
logits = patch(None, noise)
(moved,) = torch.autograd.grad(logits[0, 0, 7, 7], noise)
rows = (moved[0, 0] != 0).any(1).sum().item()
print(f"{tuple(logits.shape)} logits; the one in the middle sees {rows} rows of 64")
plots.figure(
    plots.heatmap(moved[0, 0].abs().sqrt(), colorbar=False, aspect=1, title="what moves one logit"),
    plots.pictures(scenes.y[:1], title="a photo, 32 × 32"),
    alt="Left: a square of 34 by 34 pixels in the middle of 64 by 64 where the gradient of one logit is not 0. Right: a "
    "photo of 32 by 32 pixels with bricks, grass and gravel.",
)

# %%
wide = receptive_field((4,) * 5, (2, 2, 2, 1, 1))[-1].item()
patch_width.compare(min(patch_width.spec["options"], key=lambda option: abs(int(option.split()[0]) - wide)))

# %% [markdown]
# **Explain.**
# Why is it enough for D to see patches?
# What can such a D not judge?
#
# <details>
# <summary>Answer</summary>
#
# A texture is recognised from a patch; that is what the word means.
# Judging patches takes few weights, gives many examples in each picture, and works for pictures of any size.
# What it cannot judge is whether patches fit together that lie further apart than it sees.
# No other part of the loss judges that, either: L1 looks at one pixel at a time, and fixes tones.
# In our pictures the question hardly arises, because this D sees 34 pixels and they have 32.
#
# And the prediction: 70 pixels, the paper's "70 × 70 PatchGAN".
# </details>

# %% [markdown]
# # Part 3 · Train, and measure
#
# ## 10 · Detail, as a number
#
# A blurred picture lacks fine detail, and detail is power at high spatial frequencies.
# `torch.fft.fft2` gives a picture's amplitude at each frequency k = (k_1, k_2), in cycles a picture.
# We average the power over rings:
#
# $$S_r = \text{mean of } |\text{FFT}(y)_k|^2 \text{ over pictures, channels, and all } k \text{ with } r \le |k| < r + 1, \qquad r = 0, \dots, \tfrac n2 - 1$$
#
# `torch.fft.fftfreq(n, d=1/n)` says which k_1 belongs to each row, and which k_2 to each column: 0, 1, ..., n/2 − 1, −n/2, ..., −1.
#
# **Predict.**
# All pixels of a region are replaced by their median.
# Which rings lose most?

# %% [markdown]
# *My guess:* …


# %%
@checks.exercise("gan.spectrum")
def spectrum(y):
    """S_0 .. S_(n/2 − 1), (n // 2,), in y's dtype.
    y (B, C, n, n), n even, of any size."""
    ### BEGIN SOLUTION
    n = y.shape[-1]
    k = torch.fft.fftfreq(n, d=1 / n, dtype=y.dtype, device=y.device)
    ring = (k[:, None] ** 2 + k**2).sqrt().floor()
    power = torch.fft.fft2(y).abs() ** 2
    return torch.stack([power[..., ring == r].mean() for r in range(n // 2)])
    ### END SOLUTION


# %% [markdown]
# **Look.**
# The held-out photos, the same photos blurred, and flat tones: for each region the median of its class.

# %%
blurred = torch.nn.functional.avg_pool2d(held_out.y, 3, stride=1, padding=1)
tones = torch.stack([held_out.y[held_out.x[:, k : k + 1].bool()].median() for k in range(3)])
flat = (held_out.x * tones[:, None, None]).sum(1, keepdim=True)
powers = {
    name: torch.as_tensor(spectrum(y.double()))
    for name, y in {"photos": held_out.y, "blurred": blurred, "flat tones": flat}.items()
}
plots.figure(
    plots.lines(range(16), powers, xlabel="ring r, cycles a picture", ylabel="power S", yscale="log"),
    alt="Power against spatial frequency on a logarithmic axis. The photos' falls slowly; that of the blurred photos "
    "falls away below it; that of the flat tones starts above it at ring 0, and lies far below from ring 2 on.",
)

# %% [markdown]
# **Explain.**
# *Detail* is the sum of S_r over the upper half of the rings, 8 to 15 here, over the truth's.
# Could a picture have the detail 1 and still look nothing like a wall?
#
# <details>
# <summary>Answer</summary>
#
# Yes: white noise of the right strength has as much power at high frequencies as you like.
# The spectrum says how much detail there is, and not whether it is the right one.
# That is why we count two more things: whether a classifier of real crops finds brick where the map says so, and what G makes of its noise.
#
# And the prediction: the fine ones.
# The flat tones keep ring 1, the size of the regions; of ring 2 about a tenth is left, from ring 3 on less than a twentieth.
# Ring 0 even gains: each texture has mean 0, but its median need not be 0.
# </details>

# %% [markdown]
# ## 11 · The noise's part, and the map's
#
# For one map there are many photos.
# A G that is given noise z should make many, too; but does it?
# Draw K pictures for each of B maps, and look at one pixel: it varies from draw to draw, and from map to map.
# Variances add up (the law of total variance):
#
# $$\text{Var}(y) = \underbrace{E_x\big[\text{Var}(y \mid x)\big]}_{\text{by noise}} + \underbrace{\text{Var}_x\big(E[y \mid x]\big)}_{\text{by map}}$$
#
# Estimate both, each averaged over all pixels and channels.
# *By noise*: for each map the variance over its K draws, with K − 1 below; then the mean over the maps.
# *By map*: the variance of the B means over the draws, $\bar y_b = \frac1K \sum_k y^{(k)}_b$, with B − 1 below.
# But this is too large: each $\bar y_b$ is a mean of K draws only, and still holds a K-th of the noise's variance.
# Subtract it, so that the estimate is right on average.
#
# **Predict.**
# The pixels of the photos have a variance of 0.35² = 0.12.
# Which share of it is the noise's, if photos are drawn anew for each map: 10 %, half, 90 %, all?

# %%
noise_share = widgets.Prediction.choice(
    "Which share of the variance of a photo's pixel is the noise's?", ["10 %", "half", "90 %", "all"]
)
noise_share


# %%
@checks.exercise("gan.variances")
def variances(samples):
    """by_noise, by_map: the two parts of a pixel's variance, one number each.
    samples (K, B, C, H, W): samples[k, b] is the k-th picture for map number b."""
    ### BEGIN SOLUTION
    by_noise = samples.var(dim=0).mean()
    by_map = samples.mean(dim=0).var(dim=0).mean() - by_noise / len(samples)
    return by_noise, by_map
    ### END SOLUTION


# %% [markdown]
# **Look.**
# A painter who ignores its map, one who ignores its noise, and the truth, with 2, 4 and 8 draws.

# %%
sources = {
    "noise alone": torch.randn(8, 256, 1, 32, 32, generator=torch.Generator().manual_seed(0)),
    "the map alone": held_out.x[:, :1].expand(8, -1, -1, -1, -1),
    # The maps are new as well, which is no harm: every texture has mean 0 and variance 0.12.
    "the truth": torch.stack([data.textures(256, seed=k).y for k in range(8)]),
}
for name, samples in sources.items():
    found = [variances(samples[:k]) for k in (2, 4, 8)]
    print(f"{name:>14}:  " + "   ".join(f"by noise {n:.3f}, by map {m:6.3f}" for n, m in found))

# %%
of_noise, of_map = variances(sources["the truth"])
portions = {"10 %": 0.1, "half": 0.5, "90 %": 0.9, "all": 1.0}
noise_share.compare(min(portions, key=lambda name: abs(portions[name] - float(of_noise / (of_noise + of_map)))))

# %% [markdown]
# **Explain.**
# In the truth nothing is the map's.
# But a wall looks unlike a lawn: how can that be?
#
# <details>
# <summary>Answer</summary>
#
# E[y | x] is the mean of all photos that go with the map.
# Bricks and joints are now here, now there, and the textures all have mean 0; so this mean is one grey, whatever the map says.
# What the map decides is not how bright a pixel is, but how pixels go together, and that no mean of single pixels sees.
# So a G whose *by map* is large has settled details that are open in truth.
#
# And the second row shows the subtraction at work: with noise alone a K-th of it would be left, 0.5 with two draws.
# </details>

# %% [markdown]
# ### The model
#
# Two networks, two optimizers, and your step, again and again.
# G is a U-Net that gets four channels of noise beside the map; D sees patches of 34 pixels, and is shown the map by your `pair`.


# %%
class Judge(torch.nn.Module):
    """D(x, y): logits of patches of y, seen beside the map."""

    def __init__(self):
        super().__init__()
        self.net = gan.PatchDiscriminator(4, width=24, n_layers=2)

    def forward(self, x, y):
        return self.net(None, pair(x.argmax(1), y, 3))


def trained(lam, steps=400):
    """A generator, after so many of your steps."""
    torch.manual_seed(0)
    painter, judge = gan.UNetGenerator(3, 1, width=24, depth=3, noise=4), Judge()
    adams = [torch.optim.Adam(net.parameters(), lr=4e-4, betas=(0.5, 0.999)) for net in (painter, judge)]
    for _ in counted(steps):
        batch = torch.randint(len(scenes.x), (8,))
        step(painter, judge, *adams, scenes.x[batch], scenes.y[batch], torch.randn(8, 4, 32, 32), lam)
    return painter


# %% [markdown]
# **Predict.**
# After 400 steps, will the pictures be flat, noise, or walls and lawns?
# (The cell takes half a minute, or two on a busy machine.)

# %% [markdown]
# *My guess:* …

# %% tags=["nbval-ignore-output"]
start = time.perf_counter()
mine = trained(lam=5.0)
print(f"trained for {time.perf_counter() - start:.0f} s")

# %% [markdown]
# **Look.**
# Two pictures for each of six maps that the model has never seen.
# As in the lecture, brick is drawn light in the map, grass grey and gravel dark.

# %%
few = slice(0, 6)


@torch.no_grad()
def paint(painter, seed):
    """A picture for each held-out map, 64 at a time: as in training, the norms inside G look at a batch."""
    draw = torch.Generator().manual_seed(seed)
    return torch.cat([painter(x, generator=draw) for x in held_out.x.split(64)])


shades = (held_out.x[few] * torch.tensor([0.8, 0.0, -0.8])[:, None, None]).sum(1, keepdim=True)
plots.image_rows(
    map=shades,
    **{f"G(x, z{'₁₂'[k]})": paint(mine, seed=k)[few] for k in range(2)},
    photo=held_out.y[few],
    alt="Six maps, with brick light, grass grey and gravel dark; under each two pictures by G, which have a grain "
    "and differ from one another; and the photo that goes with the map.",
)

# %% [markdown]
# **Explain.**
# What of this could L1 alone have taught G, and what came from D?
#
# <details>
# <summary>Answer</summary>
#
# L1 alone knows of nothing but a tone for each region; all the grain is D's work.
# After so few steps the grain has about the right strength everywhere.
# Walls begin with upright joints; bricks take longer.
# Grass and gravel this D does not tell apart, and so G need not.
# Part 5 shows what it takes.
# </details>

# %% [markdown]
# ### Three losses, by numbers
#
# Which part of the objective does what?
# The same networks were trained longer, with L1 alone, with D alone (λ = 0), and with both (λ = 5).
# These runs are stored, and made by `make runs`.
#
# A number needs something to compare it with.
# The last two rows are real photos: those of *other* maps, which is what chance gives, and the right ones.
#
# **Predict.**
# Order the pictures of L1 alone, those of both, and the real photos of other maps by their distance L1 from the right photos.
# And which columns will tell the photos of other maps from the right ones?

# %%
nearness = widgets.Prediction.order(
    "Whose distance L1 from the right photos is smallest, whose is largest?",
    ["real photos of other maps", "both", "L1 alone"],
)
nearness


# %%
def stored(name):
    """G of a stored training."""
    return train.load(gan.UNetGenerator(3, 1, width=24, depth=3, noise=4), run_file(f"{name}.safetensors"))


def measure(draws):
    """Detail, spectrum error, accuracy of the textures, the two variances and L1 of K pictures for each held-out map."""
    pictures = draws[0]
    detail = spectrum(pictures.double())[8:].sum() / spectrum(held_out.y.double())[8:].sum()
    error, accuracy = metrics.spectrum_error(pictures, held_out.y), metrics.texture_accuracy(held_out.x, pictures)
    numbers = detail, error, accuracy, *variances(draws), (pictures - held_out.y).abs().mean()
    return [float(number) + 0.0 for number in numbers]


def table(rows):
    """A line for each row, (K, B, 1, 32, 32) pictures."""
    print(f"{'':22}detail  spectrum error  right texture  by noise  by map    L1")
    for name, draws in rows.items():
        print("{:22}{:6.2f}{:16.2f}{:15.2f}{:10.3f}{:8.3f}{:6.2f}".format(name, *measure(draws)))


def drawn(painter):
    """Four pictures for each held-out map."""
    return torch.stack([paint(painter, seed=k) for k in range(4)])


# %% tags=["nbval-ignore-output"]
models = {name: stored(f"textures_{name}") for name in ("l1", "cgan", "both")}
others = torch.stack([held_out.y.roll(k + 1, 0) for k in range(4)])
table(
    {
        "yours, 400 steps": drawn(mine),
        "L1": drawn(models["l1"]),
        "cGAN": drawn(models["cgan"]),
        "both": drawn(models["both"]),
        "photos of other maps": others,
        "the photos": torch.cat([held_out.y[None], others[1:]]),
    }
)

# %%
painted = {name: paint(G, seed=0) for name, G in models.items()}
plots.image_rows(
    map=shades,
    L1=painted["l1"][few],
    cGAN=painted["cgan"][few],
    both=painted["both"][few],
    photo=held_out.y[few],
    alt="Six maps and their pictures. With L1 alone all is flat, in two greys, the darker where brick is; with D alone, and with both, there is grain "
    "everywhere, and the upright joints of a wall where the map asks for brick; at the bottom the real photos.",
)

# %%
compared = {"real photos of other maps": others[0], "both": painted["both"], "L1 alone": painted["l1"]}
distance = {name: (seen_as - held_out.y).abs().mean().item() for name, seen_as in compared.items()}
nearness.compare(sorted(distance, key=lambda name: distance[name]))

# %%
named = {"photos": held_out.y, "L1": painted["l1"], "cGAN": painted["cgan"], "both": painted["both"]}
plots.figure(
    plots.lines(
        range(16),
        {name: torch.as_tensor(spectrum(pictures.double())) for name, pictures in named.items()},
        xlabel="ring r, cycles a picture",
        ylabel="power S",
        yscale="log",
    ),
    alt="Power against spatial frequency on a logarithmic axis. The pictures of both models that were trained with D "
    "follow the photos; those of L1 alone are higher at ring 0 and lie far below them from ring 2 on.",
)

# %% [markdown]
# **Explain.**
# L1 alone has the smallest distance L1, and the worst pictures.
# How can that be?
#
# <details>
# <summary>Answer</summary>
#
# The photo that happens to go with the map is one of many.
# Bricks in another place are as good a wall, but pixel by pixel they are *further* from this photo than a flat grey: where one is dark the other is bright.
# So L1 punishes every detail that it cannot know, and the best answer has none.
# D does not compare with this photo.
# It asks whether there could be such a photo, and a flat grey could not.
#
# The noise's part follows from the same: L1 alone gives 0, one flat answer.
# The models trained with D use their noise.
# They fall short of the truth, where all of the variance is the noise's, and part of theirs is the map's: they have settled where the joints are.
# At the best D the game asks for all that is possible, since it is least only where p_G = p.
# But a D that is small, and always a step behind, enforces it weakly, and L1 asks for the opposite.
#
# Detail and the spectrum's error do not look at the map: photos of other maps are as good as the right ones.
# Only the right texture tells them apart: about 1/3 by chance, 0.99 for real photos.
# Flat tones are at chance as well, since the classifier takes them all for brick.
#
# Both terms together do best here: D brings the detail, and with L1 the map is obeyed more often.
# One run each would be little to go by, since a GAN's numbers depend on the seed, so [lecture 02](../lectures/02_conditional_gans.ipynb), section 8, repeats both from three seeds: with L1 brick is found where it is asked for in 99 of 100 windows or more, without L1 in anything between 1 and 99.
# </details>


# %% [markdown]
# # Part 4 · Break it, and mend it
#
# ## Break it: D does not see x
#
# D gets the picture alone, and λ is 0: all that G learns it learns from D.
# Everything else is as in the run "cGAN" above; this one is stored as well.
#
# **Predict.**
# Which of the numbers will notice: detail, the right texture, or both?
# The right texture is found in half of the windows if D sees x, and chance would find it in a third: in which share if D does not see x?

# %%
found_blindly = widgets.Prediction.number("The share of windows with the right texture, if D does not see x", "%")
found_blindly

# %% tags=["nbval-ignore-output"]
blind = stored("textures_unconditional")
table({"D sees x": drawn(models["cgan"]), "D does not": drawn(blind), "photos of other maps": others})

# %%
plots.image_rows(
    map=shades,
    D_sees_x=painted["cgan"][few],
    D_does_not=paint(blind, seed=0)[few],
    photo=held_out.y[few],
    alt="Six maps. Where D sees x, there are joints of brick only in regions that ask for brick, and one grain in all "
    "others. Where it does not, there are textures, but bricks stand where grass is asked for.",
)

# %% tags=["nbval-ignore-output"]
found_blindly.compare(100 * metrics.texture_accuracy(held_out.x, paint(blind, seed=0)))

# %% [markdown]
# **Explain.**
# The pictures have detail enough.
# What have they lost, and what would a D without x have to be told to notice?
#
# <details>
# <summary>Answer</summary>
#
# They do not belong to their maps.
# G has x as before, but nothing rewards it for heeding it: a fine lawn passes everywhere.
# G may even use x in its own way, and paint a wall wherever the map says lawn: then fewer regions are right than by chance, as in this run.
# Spectrum and detail do not notice, since they do not look at x either.
# The classifier does, because the map tells it what to expect.
# </details>


# %% [markdown]
# ## A game on numbers
#
# The next two accidents are seen best where the truth is known.
# The data are numbers, N(3, 0.5²).
# G has two parameters, G(z) = shift + scale · z with z from N(0, 1), and starts as N(0, 1).
# D is a small network.


# %%
class Game(torch.nn.Module):
    """G(z) = shift + scale·z against a small D. `leak`: D's loss reaches G; `squash`: D ends in a sigmoid."""

    averaged = False

    def __init__(self, leak=False, squash=False):
        super().__init__()
        self.shift, self.log_scale = torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(torch.zeros(1))
        hidden = [torch.nn.Linear(1, 32), torch.nn.Tanh(), torch.nn.Linear(32, 32), torch.nn.Tanh()]
        last = [torch.nn.Linear(32, 1)] + ([torch.nn.Sigmoid()] if squash else [])
        self.D = torch.nn.Sequential(*hidden, *last)
        self.leak = leak

    def optimizers(self):
        own = {"D": (self.D.parameters(), 0.01), "G": ([self.shift, self.log_scale], 0.03)}
        return {name: torch.optim.Adam(weights, lr=lr, betas=(0.5, 0.999)) for name, (weights, lr) in own.items()}

    def losses(self, y, generator):
        output = self.shift + self.log_scale.exp() * torch.randn(y.shape, generator=generator)
        yield "D", discriminator_loss(self.D(y), self.D(output.detach())), {}
        _, loss = generator_losses(self.D(output))
        if self.leak:
            loss = loss + discriminator_loss(self.D(y), self.D(output))
        yield "G", loss, {"shift": self.shift.detach().sum(), "scale": self.log_scale.detach().exp().sum()}


# %%
def play(**accident):
    """The game after 500 steps, and their history."""
    torch.manual_seed(0)
    numbers, game = 3 + 0.5 * torch.randn(20_000, 1), Game(**accident)
    return game, train.fit(game, numbers, steps=500, batch_size=256)


# %% [markdown]
# ## Break it: the gradient is not cut
#
# The fakes in D's loss are not detached, and nobody empties G's `.grad` in between.
# So G follows the sum of both gradients, its own and that of D's loss.
#
# **Predict.**
# At a logit a of a fake, the two slopes are −P(fake) and +P(real).
# At which a do they cancel?
# Is such a G still drawn to the data?

# %% [markdown]
# *My guess:* …

# %% tags=["nbval-ignore-output"]
(_, right), (leaky, leaking) = play(), play(leak=True)
for name, history in {"as it should be": right, "not cut": leaking}.items():
    shift, scale = history.logs["shift"][-1], history.logs["scale"][-1]
    print(f"{name:>15}: G makes N({shift:.2f}, {scale:.2f}²), the data are N(3, 0.5²)")

line = torch.linspace(0, 6, 6001)[:, None]
with torch.no_grad():
    judged, at_shift = leaky.D(line)[:, 0], leaky.D(leaky.shift[None]).item()
zeros = line[1:, 0][judged[1:] * judged[:-1] < 0].tolist()
print(
    f"not cut, D's logit: {at_shift:.1f} in the middle of the fakes, 0 at {' and '.join(f'{at:.1f}' for at in zeros)}"
)

# %%
both = {"as it should be": right, "not cut": leaking}
plots.figure(
    plots.lines(right.step, {n: h.logs["shift"] for n, h in both.items()}, xlabel="step", ylabel="shift"),
    plots.lines(right.step, {n: h.logs["scale"] for n, h in both.items()}, xlabel="step", ylabel="scale"),
    plots.lines(
        line[1000:, 0],
        {"not cut": judged[1000:]},
        xlabel="y",
        ylabel="D's logit",
        marks={"fakes": leaky.shift.item()},
    ),
    alt="Shift and scale of G over the steps. As it should be, they go to 3 and 0.5. With the leak the shift misses 3, "
    "and the scale falls to less than half of what it should be. The leaky run's D in the end: its logit dips below 0 "
    "just where the fakes are, and is above 0 on both sides of them.",
)

# %% [markdown]
# **Look.**
# If D were the best one at each step, we could say what this G descends ([lecture 02](../lectures/02_conditional_gans.ipynb), (3b)).
# Its own loss has the slope of KL(p_G ‖ p) − 2 JS, and the leak that of −2 JS, since D's loss is 2 log 2 − 2 JS at the best D.
# Together that is KL(p_G ‖ p) − 4 JS; the cell prints it for some normal distributions that G can make.

# %%
kl_divergence, Normal = torch.distributions.kl_divergence, torch.distributions.Normal
the_numbers = data.GaussianMixture([[3.0]], [[[0.25]]])
for middle in (3.0, 3.5, 4.0):
    sums = []
    for scale in (0.7, 0.5, 0.3, 0.2, 0.15, 0.1, 0.05):
        js = the_numbers.jensen_shannon(data.GaussianMixture([[middle]], [[[scale**2]]]))
        kl = kl_divergence(Normal(torch.tensor(middle), scale), Normal(3.0, 0.5))
        sums.append(f"{scale:g}: {kl - 4 * js:z6.3f}")
    print(f"N({middle:g}, scale²), by scale:  " + "   ".join(sums))

# %% [markdown]
# **Explain.**
# No error, no warning, and losses that look like losses.
# What is G paid for now, and why do the fakes huddle together?
#
# <details>
# <summary>Answer</summary>
#
# The sum of both losses over a fake's logit is softplus(−a) + softplus(a), with its minimum at a = 0.
# So G is no longer paid for being called real: it is paid for an *undecided* D.
# If D stood still, every fake would be pulled towards a place where the logit is 0.
# But D follows: where the fakes crowd they outnumber the data, and the logit falls below 0 there; in this run the places where it is 0 lie on both sides of them.
#
# The numbers say where that leads if D is the best one: KL(p_G ‖ p) − 4 JS is 0 at the data, but it is no divergence, and a somewhat narrower G has less.
# It also hardly says where G should be, because a narrow G at 3.5 has nearly as little as one at 3.
# Our D is a network and a step behind, so G need not end exactly where the number is least; but the data are not that place.
#
# `.detach()` in D's loss, or `torch.autograd.grad` over D's weights alone, or emptying G's `.grad` before its turn: each is enough.
# </details>

# %% [markdown]
# ## Break it: sigmoid twice
#
# D's last layer is a sigmoid, "since D gives a probability", and your losses, which expect logits, apply another one.
#
# **Predict.**
# D's outputs lie between 0 and 1 now, and are taken for logits.
# What is the smallest loss that D can reach?

# %%
least_loss = widgets.Prediction.number("The smallest loss of a D whose outputs lie between 0 and 1", "nats")
least_loss

# %% tags=["nbval-ignore-output"]
_, squashed = play(squash=True)
zero, one = torch.zeros(1), torch.ones(1)
print(f"the best that this D can do: L_D = {discriminator_loss(one, zero):.3f}; that knows nothing: 1.386")
shift, scale = squashed.logs["shift"][-1], squashed.logs["scale"][-1]
print(f"G makes N({shift:.2f}, {scale:.2f}²), the data are N(3, 0.5²)")
first, *_, last = squashed.logs["loss_D"]
print(
    f"L_D at first {first:.2f}, in the end {last:.2f}; D says 1 to everything: {discriminator_loss(one, one):.2f}"
)

# %%
games = {"on logits": right, "sigmoid twice": squashed}
plots.figure(
    plots.lines(right.step, {n: h.logs["loss_D"] for n, h in games.items()}, xlabel="step", ylabel="D's loss"),
    plots.lines(right.step, {n: h.logs["shift"] for n, h in games.items()}, xlabel="step", ylabel="shift"),
    plots.lines(right.step, {n: h.logs["scale"] for n, h in games.items()}, xlabel="step", ylabel="scale"),
    alt="Three panels over the steps. D's loss with two sigmoids never falls below 1.006, and ends at 1.63, where it no "
    "longer moves. Shift and scale do not settle at 3 and 0.5 with two sigmoids, as they do on logits.",
)

# %%
least_loss.compare(discriminator_loss(torch.ones(1), torch.zeros(1)))

# %% [markdown]
# **Explain.**
# Which two things does the second sigmoid spoil?
#
# <details>
# <summary>Answer</summary>
#
# First, what D can say: its largest "logit" is 1, P(real) = 0.73, its smallest is 0, P = ½.
# The best D is no longer log p − log p_G, and L_D cannot fall below softplus(−1) + log 2 = 1.006.
# The fixed point is wrong, too: where p = p_G, D should say P = ½, so its output should be 0, which a sigmoid only comes near to.
#
# Second, the gradient: the first sigmoid is flat wherever its output is near 0 or 1, and all that reaches G is multiplied by its slope.
# That is the saturation that we had got rid of in exercise 3, back again.
#
# Here it stops the whole game: L_D ends at 1.63 = softplus(−1) + softplus(1), *above* the 1.386 of a D that knows nothing.
# D's sigmoid has saturated at 1 for every number, real or fake, passes no gradient, and both networks stand still where they happen to be.
#
# So the signs are a loss of D that never falls below 1.006, and one that is stuck at 1.63.
# </details>

# %% [markdown]
# ## 12 · Mend it: a D that is not too steep
#
# Even with everything right, a GAN may go round in circles.
# The simplest case is the *Dirac-GAN* of Mescheder, Geiger and Nowozin 2018: the data are one point, y = 0; G makes one point, θ; D is a straight line, D(y) = ψ y.
# Whenever D leans to one side, G runs there; then D leans to the other.
#
# The remedy is a penalty on D's slope where the *data* are, called R1:
#
# $$R_1 = E_{x, y}\Big[\,\big\lVert \nabla_y \textstyle\sum_\text{patches} D(x, y) \big\rVert^2\,\Big]$$
#
# For each picture it is the squared length of a gradient, a sum over its channels and pixels; then comes the mean over the batch.
# D's loss becomes L_D + (γ/2) R_1.
#
# **Predict.**
# At the end G is right, and D should know nothing: its logit is 0 everywhere.
# Does the penalty stand in the way of that?

# %% [markdown]
# *My guess:* …


# %%
@checks.exercise("gan.r1")
def r1(D, x, y):
    """R_1, a tensor with one number, through which D can learn.
    D(x, y) gives logits, (B, 1, h, w) say; y (B, C, H, W) are real pictures;
    x is only handed on to D."""
    ### BEGIN SOLUTION
    y = y.detach().requires_grad_()
    (slope,) = torch.autograd.grad(D(x, y).sum(), y, create_graph=True)
    return slope.square().flatten(1).sum(1).mean()
    ### END SOLUTION


# %% [markdown]
# **Look.**
# Both parameters follow their gradients at the same time, in small steps, without and with the penalty.
# G has the loss of the game itself, the minimax one, so that nothing but the penalty draws the two inwards.
# A last run takes the penalty at the fake in place of the real point; that is called R2.


# %%
def orbit(gamma, steps=1000, rate=0.02, at_fakes=False):
    """θ and ψ at each step; the penalty is taken at the real point, or at the fake."""
    theta, psi = (torch.tensor(1.0, dtype=torch.float64, requires_grad=True) for _ in range(2))
    nothing = real = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    path = []
    for _ in range(steps):
        path.append([theta.item(), psi.item()])
        fake = (psi * theta).view(1, 1, 1, 1)
        where = theta.detach().view(1, 1, 1, 1) if at_fakes else real
        penalty = r1(lambda x, y, psi=psi: psi * y, nothing, where)
        loss = discriminator_loss(psi * real, fake) + gamma / 2 * penalty
        (d_psi,) = torch.autograd.grad(loss, psi, retain_graph=True)
        (d_theta,) = torch.autograd.grad(generator_losses(fake)[0], theta)
        with torch.no_grad():
            theta -= rate * d_theta
            psi -= rate * d_psi
    return torch.tensor(path)


# %%
paths = {gamma: orbit(gamma) for gamma in (0.0, 0.3, 1.0)}
for gamma, path in paths.items():
    print(f"γ = {gamma}: distance from (0, 0) at first {path[0].norm():.2f}, in the end {path[-1].norm():.4f}")
print(f"γ = 0.3 with R2, at the fake: in the end {orbit(0.3, at_fakes=True)[-1].norm():.4f}")
plots.figure(
    *[
        plots.points({"(θ, ψ)": path}, title=f"γ = {gamma}", xlabel="θ", ylabel="ψ", xlim=(-2, 2), ylim=(-2, 2))
        for gamma, path in paths.items()
    ],
    alt="Three paths in the plane of θ and ψ. Without the penalty it goes round the middle in a circle; with γ = 0.3 it "
    "is a spiral that runs into the middle; with γ = 1 it swings below the middle once, and runs in without a turn round it.",
)

# %% [markdown]
# **Explain.**
# Why does the penalty take away the circling, and not the solution?
#
# <details>
# <summary>Answer</summary>
#
# Without it the two turn about each other: with P = P(real) of the fake, θ moves by P ψ and ψ by −P θ, at right angles to (θ, ψ).
# So the path is a circle, but for the length of a step, which lets it grow by a hair.
# The penalty is friction, on D alone: it draws ψ towards 0, so D leans less each time, and G overshoots less.
# In the solution ψ is 0 anyway: where p = p_G the best D is flat, and the penalty costs nothing.
#
# A penalty at the *fakes*, R2, calms this game just as well: D is a straight line, whose slope is ψ wherever one looks, so both penalties are the same number, and both runs end equally near.
# In general they differ while fakes and data lie apart; near the solution they do not, and Mescheder and colleagues prove for both that a game that starts near enough is drawn in.
# </details>

# %% [markdown]
# # Part 5 · Walls, lawns and paths
#
# Your generator, and the longer runs, paint a grain in which only bricks show.
# Another run has the same G and the same photos, and paints what it was asked for.
# It follows the recipe of [lecture 02](../lectures/02_conditional_gans.ipynb), section 8, and is stored, too (`make runs ONLY=textures_factor`); each change answers something that you have seen here:
#
# - D's patches are 16 pixels, in place of 34: a texture is recognised from less, and there are more of them to learn from (exercise 9).
# - D learns five times as fast as G: a G that is ahead of its D is not told anything (exercise 4).
# - D is also shown real photos with maps that are not theirs, and learns to call them fake (exercise 5).
# - In D the map is not beside the photo, where it is easily overlooked, but a *factor*: each class has a logit of its own, and the map picks one.
# - G gets a reward if two draws for one map differ (exercise 11).
#
# **Predict.**
# Which numbers of the table will change most against "both"?

# %% [markdown]
# *My guess:* …

# %% tags=["nbval-ignore-output"]
best_of_all = stored("textures_factor")
table({"both": drawn(models["both"]), "the new recipe": drawn(best_of_all), "photos of other maps": others})

# %%
shares = held_out.x.mean((2, 3))
shown = [*range(4), *shares.argmax(0).tolist()]  # the last three: those with most brick, grass and gravel
plots.image_rows(
    map=(held_out.x[shown] * torch.tensor([0.8, 0.0, -0.8])[:, None, None]).sum(1, keepdim=True),
    yours=paint(mine, seed=0)[shown],
    **{f"new, z{'₁₂'[k]}": paint(best_of_all, seed=k)[shown] for k in range(2)},
    photo=held_out.y[shown],
    alt="Four maps of two or three textures, and one each of brick, grass and gravel alone. Yours: one grain, with "
    "upright joints for brick. The new recipe, twice: brickwork with joints both ways, fine grass, and round "
    "pebbles, each where the map asks for it, and other ones in each row. At the bottom the photos.",
)

# %% [markdown]
# **Explain.**
# Which of your functions would you have to change for this recipe?
#
# <details>
# <summary>Answer</summary>
#
# The losses, the step, the penalty and the measures stay as they are.
# `pair` goes, since the map comes into D elsewhere; D's loss gets a third term, for real photos with the wrong maps; G's a reward for variety; and the optimizers other learning rates.
# That is how most of the many GANs differ: the game is the one that you have written.
# </details>

# %% [markdown]
# # Part 6 · In colour
#
# What L1 does to colours is seen at a glance.
# The input is now the black outline of an emoji, and the picture wanted is the artist's drawing in colour: 1,500 pairs to learn from, and 144 that are held out ([OpenMoji](https://openmoji.org), CC BY-SA 4.0).
# An outline leaves its colours open: ten of the hearts have the very same outline.

# %%
drawings, unseen = data.emoji("train"), data.emoji("test")
names = [drawing.name for drawing in data.emoji_names("train")]
red = drawings.x[names.index("red heart")]
alike = (drawings.x - red).abs().flatten(1).mean(1) < 0.02  # with the outline of the red heart
hearts = drawings.y[alike]
plots.image_rows(
    hearts=hearts,
    columns=[name.removesuffix(" heart") for name, same in zip(names, alike, strict=True) if same],
    alt="Ten hearts of one outline: growing, red, orange, yellow, green, blue, purple, brown, black and white.",
)

# %% [markdown]
# **Predict.**
# A network that sees this outline has to answer with one colour, and its loss is L1: the mean distance from all ten, channel by channel.
# What kind of colour is best?

# %%
one_colour = widgets.Prediction.choice(
    "Which single colour for ten hearts has the smallest mean distance L1?",
    ["the one that occurs most often", "another one of the ten", "one that no heart has"],
)
one_colour

# %%
middle = hearts[:, :, 14, 16]  # the pixel in the middle of each heart: red, green, blue, in [−1, 1]
grid = torch.cartesian_prod(*[torch.arange(0, 256, 3)] * 3) / 127.5 - 1  # 86³ colours
best = grid[sum((grid - colour).abs().sum(1) for colour in middle).argmin()]
print("least L1, of all colours tried: ", ((best + 1) * 127.5).round().int().tolist(), "of 255")
least, most = middle.sort(0).values[4:6] * 127.5 + 127.5  # any number between the two in the middle is a median
print("medians, channel by channel:    ", [f"{a:.0f} to {b:.0f}" for a, b in zip(least, most, strict=True)])
nearest = (middle - best).abs().amax(1).min().item() * 127.5
print(f"the heart that is most like it differs by {nearest:.0f} of 255 in some channel")
one_colour.compare("one that no heart has" if nearest > 10 else "another one of the ten")

# %% [markdown]
# Your functions stay as they are, `pair` too: an outline is a map of two classes, paper and ink.
# G gets the outline and two channels of noise, and makes three channels.
# λ is 100, as in the paper; in part 3 it was 5.


# %%
class ColourJudge(torch.nn.Module):
    """D(x, y): logits of patches of a coloured picture, seen beside its outline."""

    def __init__(self):
        super().__init__()
        self.net = gan.PatchDiscriminator(5, width=24, n_layers=2)

    def forward(self, x, y):
        return self.net(None, pair((x[:, 0] < 0).long(), y, 2))


def colourist(steps, lam=100.0):
    """A generator of colours, after so many of your steps."""
    torch.manual_seed(0)
    painter, judge = gan.UNetGenerator(1, 3, width=24, depth=4, noise=2), ColourJudge()
    adams = [torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.5, 0.999)) for net in (painter, judge)]
    for _ in counted(steps):
        batch = torch.randint(len(drawings.x), (8,))
        x, y = drawings.x[batch], drawings.y[batch]
        step(painter, judge, *adams, x, y, torch.randn(8, 2, *x.shape[2:]), lam)
    return painter


# %% tags=["nbval-ignore-output"]
start = time.perf_counter()
mine_in_colour = colourist(steps=400)
print(f"trained for {time.perf_counter() - start:.0f} s")

# %% [markdown]
# **Look.**
# Every twelfth held-out outline, and what your generator makes of it after 400 steps.
# The two rows below are stored runs of 2,500 steps, with which [lecture 02](../lectures/02_conditional_gans.ipynb) begins: L1 alone, and the same with D.


# %%
@torch.no_grad()
def in_colour(painter, seed):
    """Colours for each held-out outline, in one batch."""
    return painter(unseen.x, generator=torch.Generator().manual_seed(seed))


stored_answers = load_file(run_file("emoji_pairs.safetensors"))  # to every twelfth outline, from three seeds
plots.image_rows(
    outline=unseen.x[::12],
    yours=in_colour(mine_in_colour, 0)[::12],
    L1=stored_answers["l1"][0].float() / 127.5 - 1,
    L1_and_D=stored_answers["both"][0].float() / 127.5 - 1,
    drawn=unseen.y[::12],
    alt="Twelve outlines of emoji. Yours: mostly yellow, orange and white, in uneven patches. L1 alone: most areas are brownish. L1 and D: brighter "
    "colours, with specks, often not the artists'; clover and envelope are brown here, too. Below, the artists' drawings.",
)

# %% [markdown]
# In numbers, over all held-out drawings: the distance L1, and how saturated the pixels are, over the drawings' own saturation; a number above 1 says that they are more so, and not that they are better.
# Yours is left out, since 400 steps are too few for a difference to show.
# What they show is how much of your pixels' variance is the noise's, by your `variances`.

# %% tags=["nbval-ignore-output"]
print(f"{'three seeds':12}{'L1':^22}{'saturation':^22}")
for name, text in {"l1": "L1", "both": "L1 and D"}.items():
    l1, saturation = stored_answers[f"{name}.measured"][:, :2].T
    print(f"{text:12}{'  '.join(f'{v:.3f}' for v in l1):^22}{'  '.join(f'{v:.2f}' for v in saturation):^22}")
by_noise, by_outline = variances(torch.stack([in_colour(mine_in_colour, k) for k in range(4)]))
print(f"yours: by noise {by_noise:.4f}, by outline {by_outline:.3f}")

# %% [markdown]
# **Explain.**
# How does L1 alone come to a colour that no heart has?
# And what does G pay for this colour once there is a D?
#
# <details>
# <summary>Answer</summary>
#
# L1 is least at the median, in each channel for itself, and three medians need not be those of one heart.
# Of one red, one green and one blue heart it is even black: one heart has red, two have none, and so for the other channels.
# Here it is a light brown.
#
# D is shown outlines with colours, and no real heart has this one.
# A D that has learned so gives it a low logit, and G pays −log P(real) for it, where one of the ten colours would cost less.
# On the other side stands λ times the L1 that any of the ten costs more, and λ = 100 is a lot: D decides most where L1 hardly cares.
# In the stored runs the saturation rises from 0.90 to 1.06, and some pictures stay brown all the same; which of the possible colours it is to be D does not say, so it is often not the artist's.
#
# The noise could choose among the ten colours.
# It does next to nothing: L1 asks for one answer, whatever z is, and outweighs the D that would like many.
# </details>

# %% [markdown]
# ## One to show
#
# Draw an outline of your own; your generator colours it while you draw.
# It gets better with patience: `mine_in_colour = colourist(steps=2500)` takes six times as long, and in our run with so many steps blue and red came in beside the yellows.

# %% tags=["nbval-ignore-output"]
widgets.OutlinePainter(mine_in_colour)

# %% [markdown]
# <details>
# <summary>Another data set, by changing one line</summary>
#
# `drawings, unseen = data.edges2shoes("train", 32), data.edges2shoes("test", 32)` in the place of the emoji: edges and photos of shoes, from the pix2pix paper.
# The archive, some 2 GB, is downloaded once and read at this size.
# Pass over the hearts then, and over the stored runs, which are emoji.
# `data.facades` has the paper's house fronts; their labels have three channels, so that G and D need other numbers of channels.
# </details>

# %% [markdown]
# ## Open questions
#
# **a.**
# D's loss is 1.386 from the first step to the last.
# Name two trainings that look like that, one splendid, one broken.
#
# <details>
# <summary>Answer</summary>
#
# G makes exactly the data, and no D can tell; or D learns nothing, because its gradient is lost, its learning rate is 0, or it sees the same pictures as real and as fake.
# The loss of a D says how well *this* D tells *this* G from the data.
# It is no measure of G: for that you need numbers such as the ones above, and eyes.
# </details>
#
# **b.**
# The paper takes λ = 100, and here it is 5.
# What would 100 do to the textures?
#
# <details>
# <summary>Answer</summary>
#
# L1 would win: flat tones with a faint grain.
# [Lecture 02](../lectures/02_conditional_gans.ipynb), section 9, has a strip of such trainings: with 100, less than a third of the detail is left.
# The paper uses 100; these textures do not bear it.
# Try it: `trained(lam=100.0)`.
# </details>
#
# **c.**
# Digits from their outlines, `data.outlines()`, have one right answer each.
# Which loss would you take?
#
# <details>
# <summary>Answer</summary>
#
# L1, with or without a D.
# Where there is one right answer the median is that answer, so L1 alone is enough.
# At the same λ = 100 a D costs nothing in L1's own number, and adds a little detail; it is costly to take a small λ, or none ([lecture 02](../lectures/02_conditional_gans.ipynb), section 10, three seeds each).
# </details>
#
# **d.**
# What does genlib's own `gan.Pix2Pix` do that yours does not?
#
# <details>
# <summary>Answer</summary>
#
# It takes half of D's loss, as the paper does, knows other objectives, R1, mismatched pairs and a term for variety, refuses wrong input, and can be told to hide x from D.
# The rest is what you have written.
# </details>

# %% [markdown]
# ## Where you stand

# %%
checks.summary()
