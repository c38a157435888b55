"""On a GPU, where there is one: `make gpu` runs these; elsewhere they are skipped, and the script itself is tried."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from genlib import __main__ as command_line
from genlib import diffusion, flows, gan, recipes, train

ROOT = Path(__file__).resolve().parents[1]
gpu = pytest.mark.gpu
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def nets() -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """A model of each family with random weights, and what it is asked."""
    g = torch.Generator().manual_seed(0)
    x, t = torch.randn(4, 3, 16, 16, generator=g), torch.tensor([1, 5, 20, 50])
    label = torch.tensor([0, 1, 2, -1])
    torch.manual_seed(0)
    flow = flows.RealNVP.for_images((3, 16, 16), 256, n_scales=2, width=8)
    found = {
        "unet": (diffusion.UNet(3, 16, (1, 2), 1, n_classes=3, patch=2), (x, t, label)),
        "flow": (flow, (torch.rand(4, 3, 16, 16, generator=g) * 0.9 + 0.05,)),
        "pix2pix": (gan.UNetGenerator(3, 3, width=8, depth=3, norm="instance"), (x,)),
    }
    with torch.no_grad():
        for net, _ in found.values():
            for p in net.parameters():
                p.add_(0.02 * torch.randn(p.shape, generator=g))
    return found


@gpu
@on_gpu
@pytest.mark.parametrize("name", ["unet", "flow", "pix2pix"])
def test_a_gpu_computes_what_a_cpu_computes(name: str) -> None:
    net, given = nets()[name]
    net.eval()
    with torch.no_grad():
        here = net(*given)
        there = net.cuda()(*(x.cuda() for x in given))
    for one, other in zip(*(x if isinstance(x, tuple) else (x,) for x in (here, there)), strict=True):
        assert torch.allclose(one, other.cpu(), rtol=2e-3, atol=2e-3)


@gpu
@on_gpu
@pytest.mark.parametrize("precision", [None, "bf16", "fp16"])
@pytest.mark.parametrize("name", ["ddpm-digits", "pix2pix-emoji"])
def test_it_learns_in_every_precision(name: str, precision: Any) -> None:
    recipe = recipes.find(name)
    objective = recipe.objective(recipe.defaults()).cuda()
    given = {"steps": 200, "batch_size": 32, "log_every": 20, "progress": False, "precision": precision}
    history = train.fit(objective, recipe.data("train", None), **given)
    curve = history.logs["loss" if "loss" in history.logs else "l1"]
    assert curve[-1] < 0.8 * curve[0]


@gpu
@on_gpu
@pytest.mark.parametrize("mode", [True, "reduce-overhead"])
def test_compiled_it_trains_and_its_weights_keep_their_names(mode: Any, tmp_path: Path) -> None:
    words = ["train", "ddpm-digits", "--out", str(tmp_path / "out"), "--device=cuda", "--no-progress", "--set"]
    command_line.run([*words, "steps=30", "sample_every=30", f"compile={mode}"])
    model = recipes.load(recipes.find("ddpm-digits"), tmp_path / "out")
    assert model.sample(4, label=1, steps=5).isfinite().all()  # type: ignore[operator]


# -- The script of `make gpu`, wherever it is


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.delenv("GENLIB_MAX_STEPS", raising=False)
    sys.modules.pop("gpu", None)
    return importlib.import_module("gpu")


TINY = {"ddpm-cifar10": {"n_blocks": 1}, "iddpm-cifar10": {"n_blocks": 1}, "realnvp-cifar10": {"n_blocks": 1}}


@pytest.mark.parametrize("name", ["ddpm-cifar10", "iddpm-cifar10", "realnvp-cifar10", "pix2pix-facades"])
def test_each_case_can_be_measured(script: Any, name: str) -> None:
    assert name in script.CASES
    found = script.measured(name, {"width": 4, "batch_size": 2, **TINY.get(name, {})}, "cpu", steps=3, warm=1)
    assert found["pictures a second"] > 0
    assert found["TFLOP/s"] > 0
    assert name in script.table([found])
    json.dumps(found)


def test_arithmetic_is_that_of_the_convolutions(script: Any) -> None:
    """One 3 × 3 convolution on 8 × 8 pixels, counted by hand: 2 · 9 · C_in · C_out · pixels, three times over."""

    class One(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 5, 3, padding=1)

        def losses(self, batch: Any, generator: Any) -> Any:
            yield "a", self.conv(batch.requires_grad_()).square().mean(), {}

    x = torch.rand(4, 3, 8, 8)
    assert script.arithmetic(One(), x, 2, "cpu") == 3 * 2 * 9 * 3 * 5 * 64 * 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_says_so(
    script: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    assert script.main() == 0
    assert "no CUDA device" in capsys.readouterr().out
