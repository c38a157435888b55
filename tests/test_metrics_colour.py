"""Colours: against published values of L*a*b*, and sets of pictures whose histograms are known."""

import pytest
import torch

from genlib import metrics


def picture(*rgb: int) -> torch.Tensor:
    """One pixel of a colour in 0..255."""
    return (torch.tensor(rgb, dtype=torch.float64) / 127.5 - 1).view(1, 3, 1, 1)


# Of sRGB's corners, to a tenth: B. Lindbloom's calculator, D65.
@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((255, 255, 255), (100.0, 0.0, 0.0)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((119, 119, 119), (50.03, 0.0, 0.0)),
        ((3, 3, 3), (0.82, 0.0, 0.0)),
    ],
)
def test_lab_of_known_colours(rgb: tuple[int, ...], expected: tuple[float, ...]) -> None:
    assert metrics.lab(picture(*rgb)).flatten().tolist() == pytest.approx(expected, abs=0.02)


def test_saturation_is_that_of_each_picture() -> None:
    half = torch.cat([picture(255, 0, 0), picture(128, 128, 128)], 3)
    images = torch.cat([half, torch.cat([picture(0, 255, 255), picture(255, 0, 255)], 3)])
    assert metrics.saturation(images).tolist() == pytest.approx([0.5, 1.0])
    assert metrics.saturation(picture(200, 100, 150)).tolist() == pytest.approx([100 / 255])


def test_intersection_counts_the_pixels_that_agree() -> None:
    """Of four pixels three have the colour of the others: three quarters in common where the fourth differs."""
    red, blue = picture(255, 0, 0), picture(0, 0, 255)
    some = torch.cat([red, red, red, blue], 3)
    assert metrics.colour_intersection(some, some) == {"L": 1.0, "a": 1.0, "b": 1.0}
    found = metrics.colour_intersection(some, red)
    assert found["L"] == found["b"] == 0.75  # red and blue have nearly the same a
    assert metrics.colour_intersection(red, blue)["b"] == 0.0
    assert metrics.colour_intersection(red.expand(5, 3, 2, 2), red) == metrics.colour_intersection(red, red)


def test_grey_pictures_have_their_lightness_in_common_alone() -> None:
    v = torch.rand(20, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    grey = torch.einsum("c,bchw->bhw", torch.tensor([0.2126, 0.7152, 0.0722]), v)[:, None].expand(-1, 3, -1, -1)
    found = metrics.colour_intersection(grey, v)
    assert found["a"] < 0.35
    assert found["b"] < 0.35
    assert found["L"] > 0.7


def test_what_is_nearly_white_has_the_colour_of_white() -> None:
    """A background that is off by a hair is no other colour."""
    white, nearly = torch.ones(1, 3, 4, 4), torch.ones(1, 3, 4, 4) - 0.01 * torch.rand(1, 3, 4, 4)
    assert metrics.colour_intersection(nearly, white) == {"L": 1.0, "a": 1.0, "b": 1.0}


def test_wrong_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="images"):
        metrics.saturation(torch.zeros(1, 1, 4, 4))
    with pytest.raises(ValueError, match="truth"):
        metrics.colour_intersection(torch.zeros(1, 3, 4, 4), torch.zeros(0, 3, 4, 4))
