"""Two moons by flows: which library's is near first. 8 couplings, networks of two hidden layers of 64.

The density is known exactly, so that what counts is KL = E[log p(x) − log q(x)], in nats, on 100,000 points that nobody
has been trained on. Every point is seen once, and drawn before the training begins. Every side has a training of its
own in `DEFAULTS`, as its documentation has it, as far as the budget reaches; in `GRID` all have the same ones. "zuko
NSF" is another flow: what zuko's tutorial takes for such data, autoregressive splines.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from peers import EQUAL, Dense, descend, setting_of
from racing import Setting, grid
from torch import Tensor
from torch.nn import functional

from genlib import data, flows, train

N_COUPLINGS, WIDTH, NEW = 8, 64, 100_000

DEFAULTS: dict[str, dict[str, Any]] = {
    "genlib": {"lr": 7e-3, "batch_size": 512, "decay": "cosine", "muon": 0.02},  # flow_2d.py
    # README.md and examples/real_nvp_colab.ipynb, on two moons: 4000 steps, 32 couplings
    "normflows": setting_of(5e-4, 512, weight_decay=1e-5),
    # examples/moons.ipynb: 5000 steps; optim.Adam(flow.parameters()), so 1e-3
    "nflows": setting_of(1e-3, 128, scale="default"),
    # docs/tutorials/forward_kl.ipynb, on two moons: 8 epochs of 256 steps, with the NSF
    "zuko": setting_of(1e-3, 64),
    "zuko NSF": setting_of(1e-3, 64),
}

GRID = grid(lr=[1e-3, 3e-3, 1e-2, 3e-2], batch_size=[128, 512], decay=["cosine", None])
GRID = [{**EQUAL, "muon": 0.0, "scale": "general", **setting} for setting in GRID]
BY, GOALS = "gap", (0.1, 0.05, 0.03)
OWN_BUDGETS, GRID_BUDGETS, BUDGETS = (2.0, 4.0, 8.0), (1.0, 5.0), (1.0, 2.0, 4.0, 8.0)
SEEDS, CHOOSING = tuple(range(7)), (7, 8, 9)  # spreads are as wide as the differences between sides


def points(steps: int, setting: Setting, seed: int) -> Tensor:
    """Batches of fresh points, (steps, B, 2)."""
    generator = torch.Generator().manual_seed(seed)
    return data.Moons().sample(steps * setting["batch_size"], generator).view(steps, -1, 2)


@torch.no_grad()
def judged(log_prob: Callable[[Tensor], Tensor], there_and_back: Callable[[Tensor], Tensor]) -> dict[str, float]:
    """KL in nats, and how far f⁻¹(f(x)) is from x, over the norm of x."""
    density = data.Moons()
    x = density.sample(NEW, torch.Generator().manual_seed(1000))
    gap = (density.log_prob(x) - log_prob(x)).double().mean()
    return {"gap": float(gap), "inverse": float((there_and_back(x) - x).norm() / x.norm())}


class Ours:
    """genlib: `MaximumLikelihood` in `train.fit`."""

    def __init__(self, setting: Setting, seed: int) -> None:
        torch.manual_seed(seed)
        self.setting, self.seed = setting, seed
        self.model = flows.RealNVP.for_vectors(2, N_COUPLINGS, WIDTH)

    def train(self, steps: int) -> None:
        x, setting = points(steps, self.setting, self.seed).flatten(0, 1), self.setting
        objective = flows.MaximumLikelihood(flows.fused(self.model), setting["lr"], muon=setting["muon"])
        options = {"batch_size": setting["batch_size"], "decay": setting["decay"], "seed": self.seed}
        train.fit(objective, x, steps=steps, progress=False, **options)

    def quality(self) -> dict[str, float]:
        self.model.eval()
        return judged(self.model.log_prob, lambda x: self.model.inverse(self.model(x)[0])[0])


class Peer:
    """A library's flow in the loop of its examples."""

    model: Any

    def __init__(self, setting: Setting, seed: int) -> None:
        torch.manual_seed(seed)
        self.setting, self.seed = setting, seed
        self.build()

    def build(self) -> None:
        raise NotImplementedError

    def log_prob(self, x: Tensor) -> Tensor:
        return self.model.log_prob(x)

    def there_and_back(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def train(self, steps: int) -> None:
        batches = zip(points(steps, self.setting, self.seed))
        descend(self.model, lambda x: -self.log_prob(x).mean(), batches, steps, self.setting)

    def quality(self) -> dict[str, float]:
        return judged(self.log_prob, self.there_and_back)


class Normflows(Peer):
    """As in its README."""

    def build(self) -> None:
        import normflows as nf  # type: ignore

        layers = []
        for _ in range(N_COUPLINGS):
            layers.append(nf.flows.AffineCouplingBlock(nf.nets.MLP([1, WIDTH, WIDTH, 2], init_zeros=True)))
            layers.append(nf.flows.Permute(2, mode="swap"))
        self.model = nf.NormalizingFlow(nf.distributions.base.DiagGaussian(2), layers)

    def there_and_back(self, x: Tensor) -> Tensor:
        return self.model.forward(self.model.inverse(x))


class Nflows(Peer):
    """Its affine coupling; "scale", "default" or "general", says how the scale is bounded."""

    def build(self) -> None:
        from nflows.distributions.normal import StandardNormal  # type: ignore
        from nflows.flows.base import Flow  # type: ignore
        from nflows.transforms.base import CompositeTransform  # type: ignore

        coupling = affine_coupling(self.setting["scale"])
        masks = [[1.0, -1.0] if k % 2 else [-1.0, 1.0] for k in range(N_COUPLINGS)]
        layers = CompositeTransform([coupling(mask, partial(Dense, width=WIDTH)) for mask in masks])
        self.model = Flow(layers, StandardNormal([2]))

    def there_and_back(self, x: Tensor) -> Tensor:
        z = self.model.transform_to_noise(x)
        return self.model._transform.inverse(z)[0]


def affine_coupling(scale: str) -> Any:
    """nflows' coupling. By default its scales are at most 1.001; what is called general in its repository, where it can
    be chosen, is not in the published package yet: softplus, at most 3."""
    from nflows.transforms.coupling import AffineCouplingTransform  # type: ignore

    class General(AffineCouplingTransform):
        def _scale_and_shift(self, transform_params: Tensor) -> tuple[Tensor, Tensor]:
            shift, scale = transform_params.split([self.num_transform_features] * 2, dim=1)
            return (functional.softplus(scale) + 1e-3).clamp(0, 3), shift

    return {"default": AffineCouplingTransform, "general": General}[scale]


class Zuko(Peer):
    """RealNVP."""

    def build(self) -> None:
        import zuko  # type: ignore

        self.model = zuko.flows.RealNVP(2, transforms=N_COUPLINGS, hidden_features=(WIDTH, WIDTH))

    def log_prob(self, x: Tensor) -> Tensor:
        return self.model().log_prob(x)

    def there_and_back(self, x: Tensor) -> Tensor:
        transform = self.model().transform
        return transform.inv(transform(x))


class ZukoNSF(Zuko):
    """The flow of its tutorial."""

    def build(self) -> None:
        import zuko  # type: ignore

        self.model = zuko.flows.NSF(2, transforms=3, hidden_features=(WIDTH, WIDTH))


SIDES: dict[str, Callable[[Setting, int], Any]] = {
    "genlib": Ours,
    "normflows": Normflows,
    "nflows": Nflows,
    "zuko": Zuko,
    "zuko NSF": ZukoNSF,
}
