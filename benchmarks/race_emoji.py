"""Colours for the outlines of emoji: by ours and by a plain pix2pix, judged on the 144 held-out drawings.

Both have networks of one depth and width, learn from all pairs and their mirror images, and answer each held-out
outline once. "genlib" is the recipe pix2pix-emoji: noise beside the outline, batches of four, a learning rate that
falls as half a cosine. "plain pix2pix" is the reference's recipe in torch's own layers: its noise is dropout, a batch
is one pair, and the learning rate falls on a line over the second half; losses and first weights are the same. Left out
is its jitter, which enlarges and crops, and would blur lines that are a pixel wide. Norms take their statistics from
the batch at hand, also when both answer: as many outlines at once as in training.
Ref: Isola et al. 2017, §3.3 and §6; its code in PyTorch, github.com/junyanz/pytorch-CycleGAN-and-pix2pix.
"""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from peers import batches
from racing import Setting, Side, grid
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim.lr_scheduler import LambdaLR

from genlib import data, gan, metrics, recipes, train

WIDTH, DEPTH, PATCH_LAYERS = 24, 4, 2  # those of the recipe pix2pix-emoji
DEFAULTS: dict[str, dict[str, Any]] = {
    "genlib": {"lr": 5e-4, "batch_size": 4},  # the recipe pix2pix-emoji
    "plain pix2pix": {"lr": 2e-4, "batch_size": 1},
}
GRID = grid(lr=[2e-4, 5e-4, 1e-3], batch_size=[1, 4, 16])  # neither side has an average of its weights
BY, GOALS = "colours", (0.3, 0.2, 0.15)
LAM = 100.0  # for both, for a smaller one is another loss
OWN_BUDGETS = (2.5, 5.0, 10.0, 20.0, 40.0)
GRID_BUDGETS, BUDGETS = (3.0, 15.0), (1.25, *OWN_BUDGETS)
CHOOSING = (7, 8, 9)


def judged(answer: Callable[[Tensor], Tensor], batch_size: int) -> dict[str, float]:
    """0 is best in all three.

    saturation    |s − 1|, s the mean saturation of the answers over the truth's
    colours       what is not in common with the truth, 1 − `metrics.colour_intersection`: the mean over L, a and b
    l1            mean absolute error, of pixels from −1 to 1

    The race is won by `colours`, the paper's own measure of such pictures (§4.3). It sees no place, and in lecture 02
    L1 alone does well by it; here both sides have one loss, and the other two numbers stand beside it.
    """
    x, truth = data.emoji("test")
    made = torch.cat([answer(part) for part in x.split(batch_size)])
    common = metrics.colour_intersection(made, truth).values()
    ratio = float(metrics.saturation(made).mean() / metrics.saturation(truth).mean())
    l1 = float((made - truth).abs().mean())
    numbers = {"saturation": abs(ratio - 1), "colours": 1 - sum(common) / len(common), "l1": l1}
    return {name: round(number, 4) for name, number in numbers.items()}


class Ours:
    """genlib: the recipe pix2pix-emoji in `train.fit`."""

    def __init__(self, setting: Setting, seed: int) -> None:
        recipe = recipes.find("pix2pix-emoji")
        changes = {"lr": setting["lr"], "lam": LAM}
        self.setting, self.seed, self.pairs = setting, seed, recipe.data("train", None)
        torch.manual_seed(seed)
        self.objective: Any = recipe.objective(recipe.defaults() | changes)
        self.objective.to(memory_format=torch.channels_last)
        self.parameters = sum(p.numel() for p in self.objective.parameters())

    def train(self, steps: int) -> None:
        batch_size = self.setting["batch_size"]
        train.fit(self.objective, self.pairs, steps=steps, batch_size=batch_size, seed=self.seed, progress=False)

    def quality(self) -> dict[str, float]:
        generator = torch.Generator().manual_seed(self.seed)
        return judged(partial(gan.generate, self.objective.G, generator=generator), self.setting["batch_size"])


class Plain:
    """The reference's recipe, without a line of ours."""

    def __init__(self, setting: Setting, seed: int) -> None:
        x, y = data.emoji("train")
        self.setting, self.seed = setting, seed
        self.x, self.y = torch.cat([x, x.flip(3)]), torch.cat([y, y.flip(3)])
        torch.manual_seed(seed)
        self.G, self.D = u_net().apply(initialise), patch_discriminator().apply(initialise)
        self.parameters = sum(p.numel() for network in (self.G, self.D) for p in network.parameters())

    def train(self, steps: int) -> None:
        G, D = self.G, self.D
        adam_G, adam_D = (torch.optim.Adam(net.parameters(), self.setting["lr"], (0.5, 0.999)) for net in (G, D))
        rates = [LambdaLR(adam, lambda k: min(1.0, 2 - 2 * k / steps)) for adam in (adam_G, adam_D)]
        for x, y in batches((self.x, self.y), steps, self.setting["batch_size"]):
            fake = G(x)
            D.requires_grad_(True)
            adam_D.zero_grad()
            loss_D = cost(D(torch.cat([x, fake.detach()], 1)), 0.0) + cost(D(torch.cat([x, y], 1)), 1.0)
            (0.5 * loss_D).backward()
            adam_D.step()
            D.requires_grad_(False)
            adam_G.zero_grad()
            loss_G = cost(D(torch.cat([x, fake], 1)), 1.0) + LAM * (fake - y).abs().mean()
            loss_G.backward()
            adam_G.step()
            for rate in rates:
                rate.step()

    @torch.no_grad()
    def quality(self) -> dict[str, float]:
        """As it was trained, in training mode: dropout is the noise."""
        torch.manual_seed(self.seed)
        return judged(self.G, self.setting["batch_size"])


class Level(nn.Module):
    """A level of the U-Net: down, what is inside, and up again; before that comes x itself, activated."""

    def __init__(self, outer: int, inner: int, inside: "Level | None") -> None:
        super().__init__()
        self.down = nn.Conv2d(outer, inner, 4, 2, 1, bias=False)
        self.up = nn.ConvTranspose2d(2 * inner if inside else inner, outer, 4, 2, 1, bias=False)
        self.norm, self.inside = nn.BatchNorm2d(outer), inside
        self.norm_down = nn.BatchNorm2d(inner) if inside else nn.Identity()
        self.dropout = nn.Dropout(0.5 if inside else 0.0)  # the innermost level has none

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.leaky_relu(x, 0.2)
        h = self.norm_down(self.down(x))
        h = self.inside(h) if self.inside else h
        return torch.cat([x, self.dropout(self.norm(self.up(nn.functional.relu(h))))], 1)


def u_net() -> nn.Module:
    """G, from one channel to three; its outermost level has no norm."""
    widths = [WIDTH * 2**i for i in range(DEPTH)]
    level = None
    for outer, inner in reversed([*itertools.pairwise(widths)]):
        level = Level(outer, inner, level)
    assert level is not None
    down, up = nn.Conv2d(1, WIDTH, 4, 2, 1, bias=False), nn.ConvTranspose2d(2 * WIDTH, 3, 4, 2, 1)
    return nn.Sequential(down, level, nn.ReLU(), up, nn.Tanh())


def patch_discriminator() -> nn.Module:
    """D, on the outline's channel and the three of a picture."""
    layers: list[nn.Module] = [nn.Conv2d(4, WIDTH, 4, 2, 1)]
    for i in range(PATCH_LAYERS):
        n_in, n_out, stride = WIDTH * 2**i, WIDTH * 2 ** (i + 1), 2 if i < PATCH_LAYERS - 1 else 1
        layers += [nn.LeakyReLU(0.2), nn.Conv2d(n_in, n_out, 4, stride, 1, bias=False), nn.BatchNorm2d(n_out)]
    return nn.Sequential(*layers, nn.LeakyReLU(0.2), nn.Conv2d(WIDTH * 2**PATCH_LAYERS, 1, 4, 1, 1))


def initialise(module: nn.Module) -> None:
    """Weights N(0, 0.02²), scales N(1, 0.02²), biases and shifts 0."""
    is_norm = isinstance(module, nn.BatchNorm2d)
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
        nn.init.normal_(module.weight, float(is_norm), 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def cost(logits: Tensor, real: float) -> Tensor:
    """The cross-entropy of all logits with one answer, 1 for real ones."""
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, real))


SIDES: dict[str, Side] = {"genlib": Ours, "plain pix2pix": Plain}
