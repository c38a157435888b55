"""Four numbers for generated digits: each one alone can be fooled, so they are read together.

Their scale is the judge's, for 300 samples, 30 of each class. Pictures are clamped to [−1, 1] before they are measured.
"""

from functools import cache
from typing import Annotated, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from genlib import data
from genlib.arguments import checked
from genlib.common import exactly
from genlib.metrics.classifier import Classes, Digits, as_pictures, classify, in_chunks, label_accuracy, shared
from genlib.metrics.distances import distances, frechet_gaussian

SAMPLES = 300
Others = Annotated[Float[Tensor, "N 1 8 8"], "finite"]
Held = Annotated[Float[Tensor, "M 1 8 8"], "finite"]


@checked
def frechet_distance(x: Digits, reference: Others | None = None) -> float:
    """The squared Fréchet distance of two sets of digits, (B, 1, 8, 8), as Gaussians in the judge's features.

        d² = |μ₁ − μ₂|² + tr (Σ₁ + Σ₂ − 2 (Σ₁^½ Σ₂ Σ₁^½)^½)

    The reference is by default the 1500 training digits. From few samples it comes out too large, by about 1/B: compare
    equal B only. `digits_report` gives it as a multiple of what the 297 held-out digits have, not all classes of which
    are equally many: held-out digits, 26 of each class, have 0.70 of it.
    Raises: ValueError for fewer than two. Ref: Heusel et al. 2017, with the judge in the place of Inception.
    """
    right = _training_moments() if reference is None else _moments("reference", reference)
    return frechet_gaussian(*_moments("x", x), *right)


@checked
def copying(x: Digits, train: Others | None = None, held_out: Held | None = None) -> float:
    """The share of pictures x, (B, 1, 8, 8), that lie suspiciously near to one of the training pictures.

        mean over x of  [min_i |x − train_i| < c],   c = 5 % quantile over held-out h of  min_i |h − train_i|

    Real digits that were not trained on have 0.05, copies have 1, and pictures far from any digit have 0: a small
    number alone is no praise. `train` and `held_out` are by default the course's. Raises: ValueError without a picture.
    """
    train = as_pictures("train", data.digits("train").x if train is None else train)
    held_out = as_pictures("held_out", data.digits("test").x if held_out is None else held_out)
    near = _nearest(held_out, train).quantile(0.05)
    return float((_nearest(as_pictures("x", x), train) < near).double().mean())


class DigitsReport(NamedTuple):
    """The four numbers, and in `repr` a table with what real digits have beside them."""

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
        counts = {"class": range(10), "seen by the judge": self.class_histogram, "asked for": self.asked_for or ()}
        lines += [f"{name:<18}" + "".join(f"{n:>5}" for n in numbers) for name, numbers in counts.items() if numbers]
        if abs(self.n - SAMPLES) > SAMPLES // 10:
            lines.append(f"(the scale holds for {SAMPLES} samples: the Fréchet distance falls with their number)")
        return "\n".join(lines)


@checked
def digits_report(x: Digits, label: Classes | None = None) -> DigitsReport:
    """Label accuracy, Fréchet distance, class histogram and copying of digits x, (B, 1, 8, 8).

    Label, (B,), is what was asked for: leave it out for a model without classes. Raises: ValueError for fewer than two.
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
    return tuple(torch.bincount(label.cpu(), minlength=10).tolist())


@cache
def _training_moments() -> tuple[Tensor, Tensor]:
    return _moments("train", data.digits("train").x)


def _moments(name: str, x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the judge's features."""
    if len(x) < 2:
        raise ValueError(f"{name}: expected at least two digits, a covariance needs them, got {len(x)}")
    x = as_pictures(name, x)
    features = exactly(in_chunks(shared("digits", x.device).features, x))
    return features.mean(0), features.T.cov()


def _nearest(x: Tensor, train: Tensor) -> Tensor:
    """Each picture's distance to the nearest training picture, (B,)."""
    return torch.cat([part.amin(1) for part in distances(x, train)])
