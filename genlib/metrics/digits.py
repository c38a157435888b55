"""Four numbers for generated digits: each one alone can be fooled, so they are read together.

Their scale is that of the course's digits and of the shipped judge; it holds for 300 samples, 30 of each class.
Pictures are clamped to [−1, 1] before anything is measured.
"""

from functools import cache
from typing import Annotated, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from genlib import data
from genlib.arguments import checked
from genlib.metrics.classifier import CLASSES, WEIGHTS, Digits, Judge, as_pictures, classify, in_chunks, shared
from genlib.metrics.distances import frechet_gaussian

SAMPLES = 300
Others = Annotated[Float[Tensor, "N 1 8 8"], "finite"]
Held = Annotated[Float[Tensor, "M 1 8 8"], "finite"]
Classes = Annotated[Int64[Tensor, " B"], "[0, 9]"]


@checked
def label_accuracy(x: Digits, label: Classes) -> float:
    """The share of pictures x, (B, 1, 8, 8), in which the judge sees the class that was asked for: label, (B,), 0..9.

    Raises: ValueError without a picture.
    """
    return int((classify(x) == label.to(x.device)).sum()) / len(x)


@checked
def frechet_distance(x: Digits, reference: Others | None = None) -> float:
    """The squared Fréchet distance of two sets of digits, (B, 1, 8, 8), as Gaussians in the judge's features.

        d² = |μ₁ − μ₂|² + tr (Σ₁ + Σ₂ − 2 (Σ₁^½ Σ₂ Σ₁^½)^½)

    The reference is by default the 1500 training digits. From few samples it comes out too large, by about 1/B: compare
    equal B only. `digits_report` gives it as a multiple of what the 297 held-out digits have. Not all classes are
    equally many among those, which adds to their distance: real digits, 30 of each class, have about 0.7.

    Raises: ValueError for fewer than two digits.
    Ref: Heusel et al. 2017, with the judge in the place of the Inception network.
    """
    right = _training_moments() if reference is None else _moments("reference", reference)
    return frechet_gaussian(*_moments("x", x), *right)


@checked
def copying(x: Digits, train: Others | None = None, held_out: Held | None = None) -> float:
    """The share of pictures x, (B, 1, 8, 8), that lie suspiciously near to one of the training pictures.

        mean over x of  [min_i |x − train_i| < c],   c = 5 % quantile over held-out h of  min_i |h − train_i|

    Real digits that were not trained on have 0.05, copies have 1, and pictures far from any digit have 0: a small
    number alone is no praise. By default `train` and `held_out` are the course's digits.

    Raises: ValueError where there is no picture.
    """
    train = as_pictures("train", data.digits("train").x if train is None else train)
    held_out = as_pictures("held_out", data.digits("test").x if held_out is None else held_out)
    near = _nearest(held_out, train).quantile(0.05)
    return float((_nearest(as_pictures("x", x), train) < near).double().mean())


class DigitsReport(NamedTuple):
    """The four numbers of `digits_report`, and in `repr` as a table with what real digits have beside them."""

    n: int
    label_accuracy: float | None
    frechet_distance: float
    class_histogram: tuple[int, ...]
    asked_for: tuple[int, ...] | None
    copying: float

    @property
    def frechet_multiple(self) -> float:
        """The Fréchet distance as a multiple of what the held-out digits have."""
        return self.frechet_distance / held_out_report().frechet_distance

    def __repr__(self) -> str:
        accuracy, real = self.label_accuracy, held_out_report()
        rows = [
            (f"{self.n} digits", "samples", "held-out digits"),
            ("label accuracy", "no labels" if accuracy is None else f"{accuracy:.3f}", f"{real.label_accuracy:.3f}"),
            ("Fréchet distance", f"{self.frechet_distance:.2f}", f"{real.frechet_distance:.2f}"),
            ("  as a multiple", f"{self.frechet_multiple:.2f}", "1.00"),
            ("copying", f"{self.copying:.3f}", f"{real.copying:.3f}"),
        ]
        lines = [f"{name:<18}{here:>10}{there:>18}" for name, here, there in rows]
        counts = {"class": range(CLASSES), "seen by the judge": self.class_histogram, "asked for": self.asked_for or ()}
        lines += [f"{name:<18}" + "".join(f"{n:>5}" for n in numbers) for name, numbers in counts.items() if numbers]
        if abs(self.n - SAMPLES) > SAMPLES // 10:
            lines.append(f"(the scale holds for {SAMPLES} samples: the Fréchet distance falls with their number)")
        return "\n".join(lines)


@checked
def digits_report(x: Digits, label: Classes | None = None) -> DigitsReport:
    """Label accuracy, Fréchet distance, class histogram and copying of generated digits, in one call.

    x is (B, 1, 8, 8); label, (B,), in 0..9, is what was asked for: leave it out for a model without classes.
    Raises: ValueError for fewer than two digits.
    """
    return DigitsReport(
        n=len(x),
        label_accuracy=None if label is None else label_accuracy(x, label),
        frechet_distance=frechet_distance(x),
        class_histogram=_counts(classify(x)),
        asked_for=None if label is None else _counts(label),
        copying=copying(x),
    )


@cache
def held_out_report() -> DigitsReport:
    """The report of the 297 held-out digits themselves: what there is to reach."""
    return digits_report(*data.digits("test"))


def _counts(label: Tensor) -> tuple[int, ...]:
    return tuple(torch.bincount(label.cpu(), minlength=CLASSES).tolist())


@cache
def _training_moments() -> tuple[Tensor, Tensor]:
    return _moments("train", data.digits("train").x)


def _moments(name: str, x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the judge's features."""
    if len(x) < 2:
        raise ValueError(f"{name}: expected at least two digits, a covariance needs them, got {len(x)}")
    x = as_pictures(name, x)
    features = in_chunks(shared(Judge, WEIGHTS, x.device).features, x).cpu().double()
    return features.mean(0), features.T.cov()


def _nearest(x: Tensor, train: Tensor) -> Tensor:
    """Each picture's distance to the nearest training picture, (B,), float64, on the CPU."""
    x, train = (value.flatten(1).cpu().double() for value in (x, train))
    # from differences, not from the expanded square: the distance of a copy must be 0, not the root of a rounding error
    exact = "donot_use_mm_for_euclid_dist"
    return in_chunks(lambda part: torch.cdist(part, train, compute_mode=exact).amin(1), x)
