"""What else might make our digits good sooner, or steps shorter: each change alone, beside the recipe as it is.

Recipes are raced as in race_digits.py, by the same judge, with the same seconds; `python benchmarks/candidates.py`
says what torch's compiler makes of a step, and what it takes before the first one: once, and with its cache stored.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from limits import WORKS
from race_digits import DEFAULTS, Ours
from racing import Setting
from torch import Tensor, nn
from torch.nn import functional

from genlib import diffusion, train
from genlib.diffusion.mlp import StepEmbedding, time_features
from genlib.optimizers import Adam, orthogonal
from genlib.train import average

BUDGETS, SEEDS = (5.0, 10.0, 20.0), (0, 1, 2)
SETTING: Setting = DEFAULTS["genlib"]


class MinSNR(Ours):
    """Weights of Hang et al. 2023, for v."""

    def objective(self) -> diffusion.Denoising:
        weight = diffusion.min_snr(self.ddpm.schedule, "v")
        return diffusion.Denoising(self.ddpm, self.setting["lr"], self.setting["label_dropout"], weight=weight)


class LogNormal(Ours):
    """Steps drawn as EDM draws σ: those in the middle more often."""

    def objective(self) -> diffusion.Denoising:
        steps = diffusion.log_normal(self.ddpm.schedule)
        return diffusion.Denoising(self.ddpm, self.setting["lr"], self.setting["label_dropout"], steps=steps)


class LinearDecay(Ours):
    """The learning rate falls on a line."""

    def train(self, steps: int, **options: Any) -> None:
        super().train(steps, decay="linear", **options)


def averaged_over(young: int) -> type[Ours]:
    """The average over about the last 1/young of the steps."""

    class Averaged(Ours):
        def train(self, steps: int, **options: Any) -> None:
            before, average.YOUNG = average.YOUNG, young
            try:
                super().train(steps, **options)
            finally:
                average.YOUNG = before

    return Averaged


class Kernels(Adam):
    """Muon for kernels and matrices, a row for each output; Adam for all the rest."""

    def __init__(self, kernels: Iterable[Tensor], others: Iterable[Tensor], lr: float, lr_adam: float) -> None:
        groups: list[dict[str, Any]] = [{"params": list(kernels), "lr": lr}, {"params": list(others)}]
        super().__init__(groups, lr=lr_adam, fused=True)

    def elementwise(self) -> list[dict[str, Any]]:
        return self.param_groups[1:]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        own, adam = self.param_groups
        self.param_groups = [adam]
        super().step()
        self.param_groups = [own, adam]
        for p in own["params"]:
            if not self.state[p]:
                self.state[p].update(step=torch.zeros(()), momentum=torch.zeros_like(p))
            m = self.state[p]["momentum"].lerp_(p.grad, 0.05)
            change = orthogonal(p.grad.lerp(m, 0.95).flatten(1))
            p.add_(change.view_as(p), alpha=-own["lr"] * max(1.0, change.shape[0] / change.shape[1]) ** 0.5)


class Muoned(diffusion.Denoising):
    """With Muon at .01: of .005, .01, .02 and .05 the best by another seed."""

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        kernels = {id(p): p for p in self.parameters() if p.dim() > 1 and min(p.shape[:2]) > 1}
        others = [p for p in self.parameters() if id(p) not in kernels]
        return {"net": Kernels(kernels.values(), others, MUON, self.lr)}


MUON = 0.01


class WithMuon(Ours):
    def objective(self) -> diffusion.Denoising:
        return Muoned(self.ddpm, self.setting["lr"], self.setting["label_dropout"])


class Table(nn.Module):
    """A learned vector for every step, as there is one for every class, in the place of a network for them."""

    def __init__(self, before: StepEmbedding, T: int) -> None:
        super().__init__()
        self.steps, self.classes = nn.Embedding(T + 1, before.out.out_features), before.classes
        with torch.no_grad():  # from what the network would say: steps that are near are told alike
            t = torch.arange(T + 1)
            hidden = functional.silu(before.hidden(time_features(t, before.hidden.in_features)))
            self.steps.weight.copy_(before.out(hidden))

    def forward(self, t: Tensor, label: Tensor) -> Tensor:
        return functional.silu(self.steps(t) + self.classes(label + 1))  # type: ignore[misc]


class WithTable(Ours):
    def __init__(self, setting: Setting, seed: int) -> None:
        super().__init__(setting, seed)
        net: Any = self.ddpm.net
        net.embedding = Table(net.embedding, self.ddpm.schedule.T)


class Late(nn.ModuleList):
    """Layers that are left out until they are wanted."""

    wanted = False

    def children(self) -> Iterator[nn.Module]:
        return super().children() if self.wanted else iter(())


class Grown(Ours):
    """The middle, whose blocks do nothing before they are trained, is left out for the first half of the steps."""

    def train(self, steps: int, **options: Any) -> None:
        net: Any = self.ddpm.net
        net.middle = Late(net.middle)

        def grow(step: int, _: Any) -> None:
            net.middle.wanted = step >= steps // 2

        super().train(steps, callback=grow, **options)


SIDES: dict[str, Callable[[Setting, int], Any]] = {
    "as it is": Ours,
    "min-SNR weights": MinSNR,
    "log-normal steps": LogNormal,
    "rate falls on a line": LinearDecay,
    "average over the last quarter": averaged_over(4),
    "average over the last 16th": averaged_over(16),
    "average over the last 32nd": averaged_over(32),
    "Muon for kernels": WithMuon,
    "a table of steps": WithTable,
    "the middle from half-way on": Grown,
}
JOBS = [
    {"side": side, "setting": SETTING, "seed": seed, "budget": budget}
    for seed in SEEDS
    for budget in BUDGETS
    for side in SIDES
]


# -- torch's compiler

COMPILED = ("moons, batch 128", "moons, batch 512", "bits, batch 128", "digits, batch 64")
PROGRAM = "import json, sys, candidates; print(json.dumps(candidates.started(*json.loads(sys.argv[1]))))"


def started(work: str, compiled: bool) -> dict[str, float]:
    """In a process of its own: seconds of a processor until the first three steps are done, and of a later step."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    make, n = WORKS[work]
    objective, batches = make()
    if compiled:
        part, method = (objective.model.net, "forward") if work.startswith("digits") else (objective.model, "log_prob")
        setattr(part, method, torch.compile(getattr(part, method)))
    data, size = together(batches)
    begun = spent()
    train.fit(objective, data, steps=3, batch_size=size, progress=False)
    first = spent() - begun
    seconds = []
    for _ in range(5):
        begun = time.process_time()
        train.fit(objective, data, steps=n, batch_size=size, progress=False)
        seconds.append((time.process_time() - begun) / n)
    return {"start": first, "step": statistics.median(seconds)}


def spent() -> float:
    """Seconds of a processor so far, those of compilers as well."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def together(batches: list[Any]) -> tuple[Any, int]:
    """All batches as data, and the size of one."""
    parts = [batches] if isinstance(batches[0], Tensor) else list(zip(*batches, strict=True))
    joined = tuple(torch.cat(list(part)) for part in parts)
    return (joined[0] if len(joined) == 1 else joined), len(joined[0]) // len(batches)


def compiled() -> list[dict[str, Any]]:
    """For each work: a step plain and compiled, and what the first three take plain, compiled, and with the cache.
    None where there is no C++ compiler.
    """
    rows = []
    for work in COMPILED if any(map(shutil.which, ("c++", "g++", "clang++"))) else ():
        with tempfile.TemporaryDirectory() as cache:
            plain = in_process(work, False, cache)
            cold, stored = (in_process(work, True, cache) for _ in range(2))
        step = {"plain": plain["step"], "compiled": stored["step"]}
        starts = {"plain start": plain["start"], "cold start": cold["start"], "stored start": stored["start"]}
        rows.append({"work": work, **{name: float(f"{value:.3g}") for name, value in {**step, **starts}.items()}})
    return rows


def in_process(work: str, compiled: bool, cache: str) -> dict[str, float]:
    own = {"TORCHINDUCTOR_CACHE_DIR": cache, "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    own["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", PROGRAM, json.dumps([work, compiled])]
    done = subprocess.run(command, env=os.environ | own, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for row in compiled():
        print(row)


if __name__ == "__main__":
    main()
