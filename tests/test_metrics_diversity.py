"""Diversity: what random pictures of known deviation have, and 0 where the noise is ignored."""

import math

import pytest
import torch

from genlib import data, metrics


def test_it_is_the_deviation_over_draws_in_plain_python() -> None:
    samples = torch.randn(4, 2, 1, 2, 3, generator=torch.Generator().manual_seed(0)).double()
    deviations = []
    for draws in samples.flatten(1).T.tolist():
        mean = sum(draws) / 4
        deviations.append(math.sqrt(sum((draw - mean) ** 2 for draw in draws) / 3))
    assert metrics.diversity(samples) == pytest.approx(sum(deviations) / len(deviations), abs=1e-12)


@pytest.mark.parametrize(("K", "share"), [(2, math.sqrt(2 / math.pi)), (8, 0.965), (400, 0.999)])
def test_gaussian_pixels_have_their_deviation_but_for_few_draws(K: int, share: float) -> None:
    samples = 0.35 * torch.randn(K, 20_000 // K, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    assert metrics.diversity(samples) == pytest.approx(0.35 * share, rel=0.01)


def test_only_what_differs_given_the_input_counts() -> None:
    """Answers that depend on the input alone have none, however different they are."""
    y = data.textures(16).y
    assert metrics.diversity(y.expand(5, -1, -1, -1, -1)) == 0
    one_answer_each = torch.stack([y + shift for shift in (-0.1, 0.1)])
    assert metrics.diversity(one_answer_each) == pytest.approx(0.1 * math.sqrt(2), abs=1e-6)


def test_real_photos_of_one_class_show_the_deviation_of_the_textures() -> None:
    x, y = data.textures(3000, 8, cells=1)
    gravel = y[x[:, 2, 0, 0] == 1]
    assert metrics.diversity(gravel[:800].unsqueeze(1)) == pytest.approx(0.35, abs=0.02)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (torch.zeros(1, 2, 1, 4, 4), "samples: expected at least two draws"),
        (torch.zeros(3, 0, 1, 4, 4), "samples: expected at least two draws"),
        (torch.zeros(3), r"samples: expected a float tensor of shape .*\(3,\)"),
        (torch.zeros(3, 2).long(), "samples: expected a float tensor"),
        (torch.full((2, 2), math.inf), "samples: .*infinite"),
        ("abc", "samples: expected a float tensor"),
    ],
)
def test_diversity_refuses(samples: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.diversity(samples)  # pyright: ignore[reportArgumentType]
