"""The 2-D flow's training step beside normflows', nflows' and FrEIA's: `python benchmarks/flow_peers.py`.

The same sizes everywhere: 8 affine couplings on two coordinates, ours `fused`, a network of two hidden layers of 64
ReLUs in each, batches of 512 points, one step = loss, gradients, Adam. Each library runs in a process of its own, on
one thread; they take turns, so that whatever else the machine does hits all of them alike, and what is printed are
medians of ratios. The clock is that of the processor: on a quiet machine it is the one on the wall, on a busy one it
leaves out the waiting.

Twice: "as used", each with the optimizer that its users take (ours is `MaximumLikelihood`'s, a fused Adam; theirs
torch.optim.Adam as it comes), and "equal", with a fused Adam for all. The line "genlib in fit" is our step inside
`train.fit`, which also clips, averages the weights, checks that all is finite, and keeps a history.

The peers are no dependencies of genlib; those that are missing are left out. To have them without touching torch:

    python -m venv --system-site-packages /tmp/peers
    /tmp/peers/bin/pip install --no-deps normflows nflows FrEIA UMNN
    /tmp/peers/bin/python benchmarks/flow_peers.py
"""

import argparse
import importlib.metadata
import importlib.util
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

N_COUPLINGS, WIDTH, BATCH = 8, 64, 512
PEERS = ("normflows", "nflows", "FrEIA")
Loss = Callable[[Tensor], Tensor]


class Dense(nn.Module):
    """The network for libraries that let their users bring one."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        parts = [nn.Linear(n_in, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, n_out)]
        self.parts = nn.Sequential(*parts)

    def forward(self, x: Tensor, context: None = None) -> Tensor:
        return self.parts(x)


def genlib() -> tuple[nn.Module, Loss]:
    from genlib import flows

    objective = flows.MaximumLikelihood(flows.fused(flows.RealNVP.for_vectors(2, N_COUPLINGS, WIDTH)))
    return objective, lambda x: next(objective.losses(x))[1]


def normflows() -> tuple[nn.Module, Loss]:
    import normflows as nf  # type: ignore

    layers = []
    for _ in range(N_COUPLINGS):
        layers.append(nf.flows.AffineCouplingBlock(nf.nets.MLP([1, WIDTH, WIDTH, 2], init_zeros=True)))
        layers.append(nf.flows.Permute(2, mode="swap"))
    model = nf.NormalizingFlow(nf.distributions.base.DiagGaussian(2, trainable=False), layers)
    return model, model.forward_kld


def nflows() -> tuple[nn.Module, Loss]:
    from nflows.distributions.normal import StandardNormal  # type: ignore
    from nflows.flows.base import Flow  # type: ignore
    from nflows.transforms.base import CompositeTransform  # type: ignore
    from nflows.transforms.coupling import AffineCouplingTransform  # type: ignore

    masks = [[1.0, -1.0] if k % 2 else [-1.0, 1.0] for k in range(N_COUPLINGS)]
    layers = CompositeTransform([AffineCouplingTransform(mask, Dense) for mask in masks])
    flow = Flow(layers, StandardNormal([2]))
    return flow, lambda x: -flow.log_prob(x).mean()


def FrEIA() -> tuple[nn.Module, Loss]:  # noqa: N802
    import FrEIA.framework as ff  # type: ignore
    import FrEIA.modules as fm  # type: ignore

    model = ff.SequenceINN(2)
    for _ in range(N_COUPLINGS):
        model.append(fm.AllInOneBlock, subnet_constructor=Dense)

    def loss(x: Tensor) -> Tensor:
        z, log_det = model(x)
        return (0.5 * z.square().sum(1) - log_det).mean()

    return model, loss


def stepper(name: str, fused: bool) -> Callable[[int], None]:
    """A function that trains for n steps."""
    torch.manual_seed(0)
    data = torch.randn(50, BATCH, 2)
    if name == "genlib in fit":
        return _fit_stepper(data.flatten(0, 1))
    model, loss = {"genlib": genlib, "normflows": normflows, "nflows": nflows, "FrEIA": FrEIA}[name]()
    own: Any = model.optimizers()["flow"] if name == "genlib" else None  # type: ignore
    optimizer = own or torch.optim.Adam(model.parameters(), lr=1e-3, fused=True if fused else None)

    def steps(n: int) -> None:
        for i in range(n):
            optimizer.zero_grad()
            loss(data[i % len(data)]).backward()
            optimizer.step()

    return steps


def _fit_stepper(data: Tensor) -> Callable[[int], None]:
    from genlib import flows, train

    objective = flows.MaximumLikelihood(flows.fused(flows.RealNVP.for_vectors(2, N_COUPLINGS, WIDTH)))
    return lambda n: void(train.fit(objective, data, steps=n, batch_size=BATCH, progress=False))


def void(_: object) -> None:
    """Nothing of it."""


def worker(name: str, fused: bool) -> None:
    """Read a number of steps, train, say how many seconds of the processor it took; again and again."""
    torch.set_num_threads(1)
    steps = stepper(name, fused)
    steps(20)
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.process_time()
        steps(int(line))
        print(time.process_time() - start, flush=True)


def compare(names: list[str], fused: bool, rounds: int, n: int) -> dict[str, list[float]]:
    """Seconds a step, for each library in each round."""
    command = [sys.executable, __file__, "--fused" if fused else "--plain", "--worker"]
    workers = {
        name: subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in names
    }
    seconds: dict[str, list[float]] = {name: [] for name in names}
    try:
        for process in workers.values():
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for r in range(rounds):
            for name in names if r % 2 else reversed(names):
                process = workers[name]
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(f"{n}\n")
                process.stdin.flush()
                seconds[name].append(float(process.stdout.readline()) / n)
    finally:
        for process in workers.values():
            process.kill()
            process.wait()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--steps", type=int, default=20, help="of each library in each round")
    parser.add_argument("--fused", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.worker, arguments.fused)
        return

    present = [name for name in PEERS if importlib.util.find_spec(name)]
    for name in set(PEERS) - set(present):
        print(f"{name} is not installed and left out; see the top of this file")
    names = ["genlib", "genlib in fit", *present]
    tables = [compare(names, fused, arguments.rounds, arguments.steps) for fused in (False, True)]
    print(
        f"one step of {BATCH} points, ms, and time over ours; load {os.getloadavg()[0]:.1f}, torch {torch.__version__}"
    )
    print(f"{'':<20}  {'as used':>8}  {'ratio':>6}    {'equal':>8}  {'ratio':>6}")
    for name in names:
        columns = []
        for table in tables:
            ratio = statistics.median(a / b for a, b in zip(table[name], table["genlib"], strict=True))
            columns.append(f"{1e3 * statistics.median(table[name]):>8.2f}  {ratio:>6.2f}")
        version = f" {importlib.metadata.version(name)}" if name in PEERS else ""
        print(f"{name + version:<20}  {'    '.join(columns)}")
    print(f"{'goal, each peer':<20}  {'':>8}  {'>= 1.4':>6}")


if __name__ == "__main__":
    main()
