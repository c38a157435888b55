"""Memory that one step frees and the next one asks for again."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

TRIM, MMAP = -1, -3  # malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
_inside: list[None] = []  # one for each that is, such as a sampler that a callback of `fit` calls


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """glibc keeps large blocks that are freed, for the next step asks for them again; afterwards they are given back.

    Nothing happens where the environment has thresholds of its own, or the C library is another one.
    """
    own = any(name.startswith("MALLOC_") for name in os.environ) or "malloc" in os.environ.get("GLIBC_TUNABLES", "")
    libc = ctypes.CDLL(None) if sys.platform == "linux" and not own else None
    if libc is None or not hasattr(libc, "mallopt"):
        yield
        return
    libc.mallopt(MMAP, 2**30)
    libc.mallopt(TRIM, 2**31 - 1)
    _inside.append(None)
    try:
        yield
    finally:
        _inside.pop()
        if not _inside:
            libc.mallopt(MMAP, 2**25)  # to where glibc itself raises them by and by
            libc.mallopt(TRIM, 2**26)
            libc.malloc_trim(0)
