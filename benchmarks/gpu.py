"""What the papers' sizes cost on a GPU: `make gpu`, some eight minutes; then the model in colour, as long as is left.

One after the other: the tests marked `gpu`; for each of the papers' recipes some hundred steps with random pictures of
the true shape, in float32, bf16, compiled and not: pictures a second, memory, and the share of the chip's peak in bf16;
diffusers' U-Net of the same size beside ours, where diffusers is installed; then `python -m genlib train ddpm-emoji`.
Written to benchmarks/results/gpu.json, and printed as a table. Without a GPU it says so, and does nothing.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from genlib import recipes, train
from genlib.recipes.card import hardware

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "gpu.json"
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12, "4090": 165e12}  # dense bf16
CASES: dict[str, list[dict[str, Any]]] = {
    "ddpm-cifar10": [
        {},
        {"precision": "bf16"},
        {"precision": "bf16", "channels_last": True},
        {"precision": "bf16", "channels_last": True, "compile": True},
    ],
    "iddpm-cifar10": [{"precision": "bf16", "channels_last": True}],
    "realnvp-cifar10": [{}, {"channels_last": True}],
    "pix2pix-facades": [{}, {"precision": "bf16", "batch_size": 16}],
}


def batch_for(name: str, n: int) -> Any:
    """n random examples of the shape and kind that a recipe of a paper's takes, on the CPU."""
    g = torch.Generator().manual_seed(0)
    if name == "pix2pix-facades":
        return tuple(torch.rand(n, 3, 256, 256, generator=g) * 2 - 1 for _ in range(2))
    x = torch.randint(0, 256, (n, 3, 32, 32), generator=g, dtype=torch.uint8)
    return x if name == "realnvp-cifar10" else x.float() / 127.5 - 1


def measured(name: str, changes: dict[str, Any], device: str, steps: int, warm: int = 10) -> dict[str, Any]:
    """A recipe for so many steps: pictures a second (the median of the steps), memory, arithmetic."""
    recipe = recipes.find(name)
    settings = recipe.changed(changes)
    torch.manual_seed(0)
    objective = recipe.objective(settings).to(device)
    if settings["channels_last"]:
        objective.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    data = batch_for(name, 4 * settings["batch_size"])
    flops = arithmetic(objective, data, settings["batch_size"], device)
    if settings["compile"]:
        for network in objective.children():
            getattr(network, "net", network).compile()
    cuda = device.startswith("cuda")
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    ticks: list[float] = []

    def tick(step: int, objective: Any) -> None:
        if cuda:
            torch.cuda.synchronize()
        ticks.append(time.perf_counter())

    given = {k: settings[k] for k in ("batch_size", "precision", "clip", "decay", "ema_decay")}
    train.fit(objective, data, steps=warm + steps, log_every=1, progress=False, callback=tick, **given)
    seconds = sorted(b - a for a, b in zip(ticks[warm:], ticks[warm + 1 :], strict=False))
    median = seconds[len(seconds) // 2]
    found: dict[str, Any] = {"recipe": name, "changed": changes, "pictures a second": settings["batch_size"] / median}
    found |= {"seconds a step": median, "TFLOP/s": flops / median / 1e12}
    if cuda:
        peak = next((v for k, v in PEAKS.items() if k in torch.cuda.get_device_name()), None)
        found["GiB"] = torch.cuda.max_memory_allocated() / 2**30
        found["share of the bf16 peak"] = flops / median / peak if peak else None
    return found


def arithmetic(objective: Any, data: Any, n: int, device: str) -> float:
    """Floating-point operations of one step, forward and backward, in products of matrices and convolutions."""
    batch = data[:n] if isinstance(data, torch.Tensor) else tuple(x[:n] for x in data)
    batch = batch.to(device) if isinstance(batch, torch.Tensor) else tuple(x.to(device) for x in batch)
    with FlopCounterMode(display=False) as counter:
        for _, loss, _ in objective.losses(batch, torch.Generator(device).manual_seed(0)):
            loss.backward()
    objective.zero_grad()
    return float(counter.get_total_flops())


def beside_diffusers(device: str, steps: int, n: int = 128) -> list[dict[str, Any]]:
    """Forward and backward passes of the U-Net of the DDPM paper, ours and diffusers', in turns; nothing without it."""
    try:
        from diffusers import UNet2DModel
    except ImportError:
        return []
    from genlib.diffusion import UNet

    blocks = {"down_block_types": ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D")}
    blocks["up_block_types"] = ("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D")
    theirs = UNet2DModel(32, 3, 3, block_out_channels=(128, 256, 256, 256), layers_per_block=2, dropout=0.1, **blocks)
    nets: dict[str, Callable[..., Any]] = {"genlib": UNet.paper().to(device), "diffusers": theirs.to(device)}
    x, t = torch.randn(n, 3, 32, 32, device=device), torch.randint(1, 1000, (n,), device=device)
    seconds: dict[str, list[float]] = {name: [] for name in nets}
    for _ in range(steps):
        for name, net in nets.items():
            begun = time.perf_counter()
            with torch.autocast(device.split(":")[0], torch.bfloat16):
                out = net(x, t)
                (out if isinstance(out, torch.Tensor) else out.sample).square().mean().backward()
            if device.startswith("cuda"):
                torch.cuda.synchronize()
            seconds[name].append(time.perf_counter() - begun)
    return [{"net": name, "seconds a pass": sorted(values)[len(values) // 2]} for name, values in seconds.items()]


def table(rows: list[dict[str, Any]]) -> str:
    """As Markdown."""
    lines = ["| recipe | changed | pictures a second | GiB | TFLOP/s | of the bf16 peak |", "|---|---|---|---|---|---|"]
    for row in rows:
        changed = ", ".join(f"{k}={v}" for k, v in row["changed"].items()) or "nothing"
        share, memory = row.get("share of the bf16 peak"), row.get("GiB")
        numbers = f"{row['pictures a second']:.0f} | {'' if memory is None else f'{memory:.1f}'} | {row['TFLOP/s']:.0f}"
        lines.append(f"| {row['recipe']} | {changed} | {numbers} | {'' if share is None else f'{share:.0%}'} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200, help="of each case")
    parser.add_argument("--seconds", type=float, default=480, help="in all, the model in colour included")
    parser.add_argument("--out", type=Path, default=ROOT / "trained" / "ddpm-emoji-gpu", help="of the model in colour")
    asked = parser.parse_args()
    begun = time.perf_counter()
    if not torch.cuda.is_available():
        print("gpu: torch finds no CUDA device here; nothing was run")
        return 0
    pytest = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests", "--ignore=tests/browser"]
    tests = subprocess.run(pytest, cwd=ROOT)
    rows = []
    for name, cases in CASES.items():
        for changes in cases:
            if time.perf_counter() - begun > 0.6 * asked.seconds:
                print(f"gpu: no time is left for {name} with {changes}")
                continue
            rows.append(measured(name, changes, "cuda:0", asked.steps))
            print(table(rows[-1:]).splitlines()[-1], flush=True)
    found = {"hardware": hardware(), "cases": rows, "beside": beside_diffusers("cuda:0", 20)}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(table(rows), *found["beside"], sep="\n")
    left = asked.seconds - (time.perf_counter() - begun)
    train_it = [sys.executable, "-m", "genlib", "train", "ddpm-emoji", "--out", str(asked.out), "--no-progress"]
    changes = ["steps=60000", "batch_size=128", "log_every=200", "checkpoint_every=500", "sample_every=5000"]
    resume = ["--resume"] if (asked.out / "state.pt").exists() else ["--set", *changes]
    try:
        subprocess.run([*train_it, *resume], cwd=ROOT, timeout=max(20.0, left))
    except subprocess.TimeoutExpired:
        print(f"gpu: the time is over; `make gpu` again goes on with the model in colour in {asked.out}")
    return tests.returncode


if __name__ == "__main__":
    sys.exit(main())
