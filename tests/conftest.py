"""What every test shares: one thread, as in the workers of `make test`; no clock; no GPU tests without a GPU;
and the settings in the environment, which no test may leave changed."""

import os
import signal
from collections.abc import Iterator

import hypothesis
import pytest
import torch

torch.set_num_threads(1)
hypothesis.settings.register_profile("course", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("course")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell in the background has it: some tests press Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # and nohup: some hang up
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(autouse=True)
def _settings_stay() -> Iterator[None]:
    """A variable left behind changes what later tests of the same worker do, and which these are is chance."""
    before = environment()
    yield
    assert environment() == before, "the test left a setting changed"


def environment() -> dict[str, str]:
    """The variables that the course sets for its kernels; pytest and torch have their own, and change them."""
    ours = ("GENLIB_", "TQDM_", "OMP_", "MKL_", "PYTHONHASHSEED")
    return {name: value for name, value in os.environ.items() if name.startswith(ours)}
