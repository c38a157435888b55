"""What every test shares: one thread, as in the workers of `make test`; no deadlines; no GPU tests without a GPU;
and the environment, which no test may leave changed."""

import os
from collections.abc import Iterator

import hypothesis
import pytest
import torch

torch.set_num_threads(1)
hypothesis.settings.register_profile("course", deadline=None)
hypothesis.settings.load_profile("course")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(autouse=True)
def _the_environment_stays() -> Iterator[None]:
    """A variable left behind changes what later tests of the same worker do, and which these are is chance."""
    before = environment()
    yield
    assert environment() == before, "the test left the environment changed"


def environment() -> dict[str, str]:
    """All variables but pytest's own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
