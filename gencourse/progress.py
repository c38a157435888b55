"""A bar over the steps of a training that a notebook writes itself, as `train.fit` shows one over its own."""

import os
from collections.abc import Iterable

from genlib.train.training import within_max_steps


def counted(steps: int) -> Iterable[int]:
    """0 … steps − 1, with a bar; fewer where GENLIB_MAX_STEPS in the environment says so. TQDM_DISABLE=1 hides the bar.

    >>> sum(k for k in counted(3))
    3
    """
    from tqdm.auto import tqdm

    hidden = os.environ.get("TQDM_DISABLE", "") not in ("", "0")  # what a notebook shows does not look there itself
    return tqdm(range(within_max_steps(steps, None, say=True) or 0), unit="step", leave=False, disable=hidden)
