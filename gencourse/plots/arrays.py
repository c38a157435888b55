"""What the figures take: tensors, arrays and lists alike."""

from typing import Any

import numpy as np

Values = Any  # a tensor, an array or a list of numbers


def as_array(values: Values) -> np.ndarray:
    return np.asarray(values.detach().cpu().double() if hasattr(values, "detach") else values, dtype=float)
