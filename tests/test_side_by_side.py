"""The stored trainings of lecture 07: each is there, fits its model, and says how it was made."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import runs
import side_by_side as side
import torch
from build_notebooks import read_source

from genlib import diffusion, flows, gan, train
from genlib.autoencoder import ELBO, VAE
from genlib.metrics import mode_coverage


@pytest.mark.parametrize("name", side.ALL)
def test_a_stored_run_fits_its_model(name: str) -> None:
    _, what, family, *_ = name.split("_")
    objective = side.on_points(family) if what == "ring" else side.on_digits(family)
    train.load(objective.model, runs.RUNS / f"{name}.safetensors")
    history = train.History.load(runs.RUNS / f"{name}.json")
    assert history.command == f"make runs ONLY={name}"
    assert history.step[-1] == side.STEPS[what][family]
    assert name in runs.ALL


def test_the_budgets_are_alike() -> None:
    """About as many parameters, and seconds of a processor within a third of each other."""
    for what, make in (("ring", side.on_points), ("digits", side.on_digits)):
        sizes = [sum(p.numel() for p in make(family).parameters()) for family in side.FAMILIES]
        assert max(sizes) < 1.15 * min(sizes)
        histories = [train.History.load(path) for path in runs.RUNS.glob(f"side_{what}_*.json")]
        assert len(histories) == len(side.FAMILIES) * (len(side.SEEDS) if what == "ring" else 1)
        seconds = [history.seconds for history in histories]
        assert max(seconds) < 1.35 * min(seconds)


@pytest.mark.parametrize("what", ["ring", "digits"])
@pytest.mark.parametrize("family", side.FAMILIES)
def test_every_family_learns_from_its_examples(what: str, family: str) -> None:
    model, history = side.side(what, family, steps=2)
    assert history.step == [2]
    assert history.seconds > 0
    assert not model.training
    assert all(bool(p.isfinite().all()) for p in model.parameters())


def test_the_vaes_digits_are_dequantized_pixels_in_the_middle_of_the_scale() -> None:
    x, label = side.examples("digits", "vae")
    assert x.shape == (1500 * side.COPIES, 64)
    assert float(x.min()) >= -1
    assert float(x.max()) <= 1
    level = ((x + 1) / 2 * 17).floor()
    assert torch.equal(level[:1500], level[1500:3000])  # the copies differ in their noise alone
    assert not torch.equal(x[:1500], x[1500:3000])
    assert torch.equal(label[:1500], label[1500:3000])


def test_the_mixture_has_rising_weights() -> None:
    mixture = side.ring()
    assert math.isclose(float(mixture.weights[-1] / mixture.weights[0]), 8.0)
    assert mode_coverage(mixture.sample(4000, torch.Generator().manual_seed(0)), mixture).found == 8


@pytest.mark.parametrize("what", ["ring", "digits"])
def test_the_lecture_shows_the_networks_that_were_trained(what: str) -> None:
    """Its cell is run here: the same modules, of the same sizes, and the same steps of Adam."""
    name = "on_points" if what == "ring" else "on_digits"
    lecture = Path(__file__).parent.parent / "lectures" / "07_side_by_side.py"
    (cell,) = [c.source for c in read_source(lecture).cells if re.search(rf"^def {name}\(", c.source, re.MULTILINE)]
    scope: dict[str, Any] = {"ELBO": ELBO, "VAE": VAE, "gan": gan, "flows": flows, "diffusion": diffusion}
    exec(cell, scope)
    make = side.on_points if what == "ring" else side.on_digits
    for shown, family in zip(scope[name]().values(), side.FAMILIES, strict=True):
        trained: Any = make(family)
        assert repr(shown) == repr(trained)
        assert [p.shape for p in shown.parameters()] == [p.shape for p in trained.parameters()]
        of_shown, of_trained = (
            {name: optimizer.param_groups[0]["lr"] for name, optimizer in objective.optimizers().items()}
            for objective in (shown, trained)
        )
        assert of_shown == of_trained
