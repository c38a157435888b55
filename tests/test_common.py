"""What the families share: noise where its generator lives, Adam in one kernel, modes that are put back."""

import pytest
import torch
from torch import nn

from genlib import common


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_has_the_dtype_asked_for_and_is_the_generators(dtype: torch.dtype) -> None:
    like = torch.zeros(1, dtype=dtype)
    eps = common.draw((40, 50), like, generator(3))
    assert eps.dtype == dtype
    assert torch.equal(eps, torch.randn(40, 50, dtype=dtype, generator=generator(3)))
    assert abs(float(eps.mean())) < 5 / 2000**0.5
    assert abs(float(eps.square().mean()) - 1) < 5 * (2 / 2000) ** 0.5


def test_noise_is_drawn_where_the_generator_lives() -> None:
    """A device that computes nothing stands in for a GPU: noise for it can only come from elsewhere."""
    like = torch.empty(1, device="meta")
    assert common.draw((3,), like, generator()).device.type == "meta"
    assert common.draw((3,), like, None).device.type == "meta"
    g = generator()
    common.draw((3,), like, g)
    assert not torch.equal(g.get_state(), generator().get_state())


def test_networks_are_told_a_class_as_one_hot_and_a_vector_as_it_is() -> None:
    like, vector = torch.zeros(1, dtype=torch.float64), torch.randn(2, 3, generator=generator())
    hot = common.told(torch.tensor([2, 0]), 3, like)
    assert hot is not None
    assert hot.dtype == torch.float64
    assert hot.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert common.told(vector, None, like) is vector
    assert common.told(None, 3, like) is None


def test_evaluating_puts_every_mode_back() -> None:
    module = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout(), nn.Dropout()))
    module[1].eval()
    before = [m.training for m in module.modules()]

    def leave_early() -> None:
        with common.evaluating(module):
            assert not any(m.training for m in module.modules())
            assert not torch.is_grad_enabled()
            raise KeyError

    with pytest.raises(KeyError):
        leave_early()
    assert [m.training for m in module.modules()] == before
    assert torch.is_grad_enabled()


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_evaluating_reaches_torchscript() -> None:
    module, x = torch.jit.script(nn.Sequential(nn.Linear(4, 4), nn.Dropout())), torch.ones(8, 4)
    with common.evaluating(module):
        assert torch.equal(module(x), module[0](x))
    assert not torch.equal(module(x), module[0](x))
    assert module.training


X, LABEL = torch.zeros(3, 2), torch.tensor([0, 1, 2])


def test_a_batch_is_unpacked_as_it_is_wanted() -> None:
    for batch in (X, (X,), [X]):
        assert common.unpack(batch) == (X, None)
    for batch in ((X, LABEL), [X, LABEL]):
        assert common.unpack(batch)[1] is common.unpack(batch, pair=True)[1] is LABEL
        assert common.unpack(batch, pair=False) == (X, None)


@pytest.mark.parametrize(
    "batch",
    [
        *(None, 3, "xy", {"x": X}, [], (X, LABEL, LABEL), (X, None), (None,), [[0.0]], torch.tensor(1.0), iter([X])),
        *(X[:0], (X, LABEL[:2]), (X[:0], LABEL[:0]), (X, torch.tensor(1))),
        torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.jagged),
        torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
    ],
)
def test_what_is_no_batch_is_refused(batch: object) -> None:
    for pair in (True, False, None):
        with pytest.raises(ValueError, match=r"^batch: expected .*, got"):
            common.unpack(batch, pair)
    with pytest.raises(ValueError, match=r"^batch: expected .*, got 1"):
        common.unpack(X, pair=True)
