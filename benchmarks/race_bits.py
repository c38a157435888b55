"""Digits by flows, in bits per dimension: which is good first. 16 couplings of 64 pixels, networks of width 96.

What counts are the bits of the 297 digits held out, over four draws of the dequantizing noise. All get the same noisy
pixels through the same logit, whose log-determinant is counted for all. Half of the pixels, drawn at random for every
second coupling, change the other half, and the first layer makes each pixel's mean 0 and its variance 1. Every side has
a training of its own in `DEFAULTS`, as its authors run it; in `GRID` all have the same ones.

The class is given, in the way that each library has: genlib, nflows and zuko tell the networks, normflows the base
density. With `{**setting, "given": False}` it is not, which is another race.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from peers import EQUAL, Dense, batches, descend, setting_of
from race_moons import affine_coupling
from racing import Setting, grid
from torch import Tensor, nn
from torch.nn import functional

from genlib import data, flows, train

N_COUPLINGS, WIDTH, DIM, DRAWS = 16, 96, 64, 4
LOGIT = flows.Logit()

DEFAULTS: dict[str, dict[str, Any]] = {
    "genlib": {"lr": 2e-3, "batch_size": 128, "decay": "cosine", "dropout": 0.3, "weight_decay": 0.0},  # flow_digits.py
    # examples/glow_colab.ipynb, on CIFAR-10 given the class: 20,000 steps
    "normflows": setting_of(1e-3, 128, optimizer="Adamax", weight_decay=1e-5, dropout=0.0, scale="default", net="own"),
    # experiments/uci.py of bayesiains/nsf, which nflows was made from: 200,000 steps
    "nflows": setting_of(
        3e-4, 64, decay="cosine", clip=5.0, dropout=0.25, scale="default", linear="lu", net="residual"
    ),
    "zuko": setting_of(1e-3, 64, dropout=0.0),  # README.md, docs/tutorials/forward_kl.ipynb
}

# What served nflows and normflows better; and weights that do not decay: up to 0.3 changed nobody's bits by 0.005.
CHOSEN = {"scale": "general", "linear": "permutation", "net": "dense"}
# Nor is dropout chosen, for the grid's seconds are too few to see its use: at 0.1 everybody's bits rise after 10.
GRID = grid(lr=[2e-3, 4e-3, 8e-3], batch_size=[64, 128], dropout=[0.3])
GRID = [{**EQUAL, **CHOSEN, **setting} for setting in GRID]
BY, GOALS = "bits", (2.1, 2.0, 1.95)
OWN_BUDGETS, GRID_BUDGETS, BUDGETS = (5.0, 10.0, 20.0), (3.0, 12.0), (1.25, 2.5, 5.0, 10.0, 20.0)


def logits(x_int: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """What all are given: dequantized pixels on the whole line, (B, 64), and log |det| of how they came there, (B,)."""
    return LOGIT(flows.dequantize(x_int, data.LEVELS, generator))


@torch.no_grad()
def judged(log_prob: Callable[[Tensor, Tensor], Tensor]) -> dict[str, float]:
    """Bits per dimension of both splits, for a density of logits, given labels."""
    bits = {}
    for name, split in (("bits", "test"), ("train", "train")):
        x, label = data.digits(split, integers=True)  # type: ignore[arg-type]
        z, log_det = logits(x.flatten(1).repeat(DRAWS, 1), torch.Generator().manual_seed(0))
        log_p = (log_prob(z, label.repeat(DRAWS)) + log_det).double().mean()
        bits[name] = (math.log(data.LEVELS) - float(log_p) / DIM) / math.log(2)
    return bits


class Ours:
    """genlib: `MaximumLikelihood` in `train.fit`, which dequantizes; the logit is the flow's first layer."""

    def __init__(self, setting: Setting, seed: int) -> None:
        torch.manual_seed(seed)
        self.setting, self.seed, self.given = setting, seed, setting.get("given", True)
        self.model = flows.RealNVP.for_vectors(
            DIM,
            N_COUPLINGS,
            WIDTH,
            levels=data.LEVELS,
            n_classes=10 if self.given else None,
            mask="random",
            dropout=setting["dropout"],
            actnorm=True,
            seed=seed,
        )

    def train(self, steps: int) -> None:
        x, label = data.digits(integers=True)
        objective = flows.MaximumLikelihood(flows.fused(self.model), self.setting["lr"], self.setting["weight_decay"])
        options = {"batch_size": self.setting["batch_size"], "decay": self.setting["decay"], "seed": self.seed}
        train.fit(objective, (x.flatten(1), label), steps=steps, progress=False, **options)

    def quality(self) -> dict[str, float]:
        self.model.eval()
        rest = flows.Flow(list(self.model.layers)[1:], (DIM,), n_classes=self.model.n_classes)
        return judged(lambda z, label: rest.eval().log_prob(z, label if self.given else None))


class Peer:
    """A library's flow in the loop of its examples."""

    model: Any

    def __init__(self, setting: Setting, seed: int) -> None:
        torch.manual_seed(seed)
        self.setting, self.n_told = setting, 10 if setting.get("given", True) else 0
        self.build()

    def build(self) -> None:
        raise NotImplementedError

    def log_prob(self, z: Tensor, label: Tensor) -> Tensor:
        raise NotImplementedError

    def told(self, label: Tensor) -> Tensor | None:
        """What the networks are told."""
        return functional.one_hot(label, 10).float() if self.n_told else None

    def train(self, steps: int) -> None:
        def loss(x_int: Tensor, label: Tensor) -> Tensor:
            return -self.log_prob(logits(x_int)[0], label).mean()

        x, label = data.digits(integers=True)
        examples = batches((x.flatten(1), label), steps, self.setting["batch_size"])
        descend(self.model, loss, examples, steps, self.setting)

    def quality(self) -> dict[str, float]:
        return judged(self.log_prob)


class Normflows(Peer):
    """The couplings of its README, with actnorm; a class has a base density of its own, as in its Glow.

    "scale" is "default", a sigmoid as in its Glow, or "general", exp as in its README; "net" is "own", its MLP, which
    has dropout before the last layer alone, or "dense".
    """

    def build(self) -> None:
        import normflows as nf  # type: ignore

        def coupling() -> Any:
            dropout = self.setting["dropout"]
            if self.setting["net"] == "dense":
                net = Dense(DIM // 2, DIM, WIDTH, dropout=dropout, zero=True)
            else:
                net = nf.nets.MLP([DIM // 2, WIDTH, WIDTH, DIM], init_zeros=True, dropout=dropout or None)
            scale_map = {"default": "sigmoid", "general": "exp"}[self.setting["scale"]]
            return nf.flows.AffineCouplingBlock(net, scale_map=scale_map)

        layers = []  # from base to data
        for _ in range(N_COUPLINGS // 2):
            layers += [coupling(), nf.flows.Permute(DIM, mode="swap"), coupling()]
            layers += [nf.flows.Permute(DIM, mode="shuffle"), nf.flows.ActNorm(DIM)]
        if self.n_told:
            self.model = nf.ClassCondFlow(nf.distributions.ClassCondDiagGaussian(DIM, self.n_told), layers)
        else:
            self.model = nf.NormalizingFlow(nf.distributions.DiagGaussian(DIM), layers)

    def log_prob(self, z: Tensor, label: Tensor) -> Tensor:
        return self.model.log_prob(z, label) if self.n_told else self.model.log_prob(z)


class Nflows(Peer):
    """Its affine couplings.

    In its authors' experiments "linear" is "lu": before each coupling a permutation and a full matrix; and "net" is
    "own", its residual network, here of one block. That makes 548,000 parameters; with "permutation" and "dense" there
    are 315,000, as in the others. "scale" is as in race_moons.py.
    """

    def build(self) -> None:
        from nflows import transforms  # type: ignore
        from nflows.distributions.normal import StandardNormal  # type: ignore
        from nflows.flows.base import Flow  # type: ignore
        from nflows.nn.nets import ResidualNet  # type: ignore
        from nflows.utils.torchutils import create_alternating_binary_mask  # type: ignore

        def net(n_in: int, n_out: int) -> nn.Module:
            n_told, dropout = self.n_told, self.setting["dropout"]
            if self.setting["net"] == "dense":
                return Dense(n_in, n_out, WIDTH, n_told, dropout, zero=True)
            return ResidualNet(n_in, n_out, WIDTH, n_told or None, num_blocks=1, dropout_probability=dropout)

        def linear() -> list[Any]:
            mixed = [transforms.RandomPermutation(DIM)]
            return mixed if self.setting["linear"] == "permutation" else [*mixed, transforms.LULinear(DIM)]

        coupling, layers = affine_coupling(self.setting["scale"]), []
        for k in range(N_COUPLINGS):
            layers += [transforms.ActNorm(DIM)] if k % 2 == 0 else []
            layers += linear() if k % 2 == 0 or self.setting["linear"] == "lu" else []
            layers += [coupling(create_alternating_binary_mask(DIM, even=k % 2 == 0), net)]
        self.model = Flow(transforms.CompositeTransform(layers), StandardNormal([DIM]))

    def log_prob(self, z: Tensor, label: Tensor) -> Tensor:
        return self.model.log_prob(z, self.told(label))


class Zuko(Peer):
    """RealNVP with random masks, behind a fixed affine layer, for it has no actnorm; dropout comes with the ReLUs."""

    def build(self) -> None:
        import zuko  # type: ignore

        z, _ = logits(data.digits(integers=True).x.flatten(1), torch.Generator().manual_seed(0))
        std, mean = torch.std_mean(z, dim=0)
        affine = zuko.lazy.UnconditionalTransform(zuko.transforms.AffineTransform, -mean / std, 1 / std, buffer=True)
        flow = zuko.flows.RealNVP(
            DIM,
            self.n_told,
            transforms=N_COUPLINGS,
            randmask=True,
            hidden_features=(WIDTH, WIDTH),
            activation=lambda: nn.Sequential(nn.ReLU(), nn.Dropout(self.setting["dropout"])),
        )
        self.model = zuko.flows.Flow([affine, *flow.transform.transforms], flow.base)

    def log_prob(self, z: Tensor, label: Tensor) -> Tensor:
        return self.model(self.told(label)).log_prob(z)


SIDES: dict[str, Callable[[Setting, int], Any]] = {
    "genlib": Ours,
    "normflows": Normflows,
    "nflows": Nflows,
    "zuko": Zuko,
}
