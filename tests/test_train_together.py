"""Small parameters are trained in one vector: nobody can tell, but by the time that it takes."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genlib import flows, train
from genlib.optimizers import Adam, adam
from genlib.train.together import SMALL


class Fit(nn.Module):
    """A network of many sizes for y = sin x. Its last bias is trained in every `every`-th step alone."""

    def __init__(self, every: int = 1) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net: Any = nn.Sequential(nn.Linear(1, 150), nn.Tanh(), nn.Linear(150, 150), nn.Tanh(), nn.Linear(150, 1))
        self.bias, self.every, self.turns = nn.Parameter(torch.zeros(())), every, 0
        self.double()
        self.optimizer: Any = None

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        self.optimizer = adam(self.parameters(), 0.02, weight_decay=0.1)
        return {"net": self.optimizer}

    def losses(self, batch: Tensor, generator: torch.Generator | None = None) -> Iterator[Any]:
        answer = self.net(batch)
        if self.turns % self.every == 0:
            answer = answer + self.bias
        self.turns += 1
        yield "net", (answer - batch.sin()).square().mean(), {}


X = torch.linspace(-3, 3, 64, dtype=torch.float64).view(-1, 1)


def trained(objective: Fit, **options: Any) -> tuple[dict[str, Tensor], list[float]]:
    defaults: dict[str, Any] = {"steps": 40, "batch_size": 16, "clip": 0.05, "progress": False, "log_every": 1}
    history = train.fit(objective, X, **defaults | options)
    return objective.state_dict(), history.logs["loss"]


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that trains as `trained` does, each parameter by itself."""

    def function(*args: Any, **options: Any) -> tuple[dict[str, Tensor], list[float]]:
        with monkeypatch.context() as patch:
            patch.setattr(Adam, "elementwise", lambda _: [])
            return trained(*args, **options)

    return function


def agree(one: tuple[dict[str, Tensor], list[float]], other: tuple[dict[str, Tensor], list[float]]) -> None:
    assert one[1] == pytest.approx(other[1], rel=1e-9)
    for name, x in one[0].items():
        torch.testing.assert_close(x, other[0][name], rtol=1e-9, atol=1e-12, msg=name)


@pytest.mark.parametrize("options", [{}, {"clip": None}, {"ema_decay": 0.0}, {"accumulate": 2}, {"decay": "linear"}])
def test_weights_averages_and_losses_are_those_of_one_by_one(one_by_one: Any, options: dict[str, Any]) -> None:
    objective = Fit()
    joined: set[int] = set()

    def look(*_: Any) -> None:
        joined.add(len(objective.optimizer.param_groups[0]["params"]))

    ours = trained(objective, callback=look, **options)
    agree(ours, one_by_one(Fit(), **options))
    assert joined == {2}  # the vector, and 150 × 150 weights
    assert objective.net[2].weight.numel() > SMALL


def test_one_without_a_gradient_is_left_as_it_is(one_by_one: Any) -> None:
    """As torch's Adam does: with a gradient of zero its moments and its decay would move it all the same."""
    agree(trained(Fit(every=3)), one_by_one(Fit(every=3)))


def test_one_that_is_put_elsewhere_is_trained_there(one_by_one: Any) -> None:
    def moved(step: int, objective: Any) -> None:
        if step == 10:
            objective.net[0].weight.data = objective.net[0].weight.data.clone() + 0.1

    options = {"callback": moved, "ema_decay": 0.0}
    agree(trained(Fit(), **options), one_by_one(Fit(), **options))


class Last(Fit):
    """With a convolution, whose weights lie channels last."""

    def __init__(self) -> None:
        super().__init__()
        conv = nn.Conv2d(1, 3, 2, dtype=torch.float64), nn.Conv2d(3, 4, 2, dtype=torch.float64)
        self.net = nn.Sequential(nn.Unflatten(1, (1, 1, 1)), nn.Upsample(scale_factor=3), *conv, nn.Flatten())
        self.net.append(nn.Linear(4, 1, dtype=torch.float64))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def test_channels_last_they_stand_together_as_they_lie(one_by_one: Any) -> None:
    objective = Last()
    joined: list[int] = []

    def look(*_: Any) -> None:
        joined.append(len(objective.optimizer.param_groups[0]["params"]))

    agree(trained(objective, callback=look), one_by_one(Last()))
    assert set(joined) == {1}
    assert objective.net[3].weight.stride() == (12, 1, 6, 3)


def test_a_layout_that_changes_in_training_changes_nothing(one_by_one: Any) -> None:
    def laid(step: int, objective: Any) -> None:
        if step == 10:
            objective.to(memory_format=torch.contiguous_format)

    options = {"callback": laid, "ema_decay": 0.0}
    agree(trained(Last(), **options), one_by_one(Last(), **options))
    agree(trained(Last(), **options), trained(Last(), ema_decay=0.0))


def test_afterwards_each_has_its_memory_and_the_optimizer_its_parameters() -> None:
    objective = Fit()
    trained(objective)
    assert all(p.untyped_storage().nbytes() == 8 * p.numel() for p in objective.parameters())
    assert [*map(id, objective.optimizer.param_groups[0]["params"])] == [*map(id, objective.parameters())]
    known = objective.optimizer.state
    assert all(known[p]["exp_avg"].shape == p.shape and known[p]["step"] == 40 for p in objective.parameters())


def test_weights_that_share_memory_go_on_sharing_it() -> None:
    objective = Fit()
    twin = objective.net[0].bias
    twin.data = objective.net[0].weight.data.view(-1)
    trained(objective)
    assert twin.data_ptr() == objective.net[0].weight.data_ptr()


def test_a_change_between_forward_and_backward_is_still_noticed() -> None:
    class Late(Fit):
        def losses(self, batch: Tensor, generator: torch.Generator | None = None) -> Iterator[Any]:
            loss = (self.net(batch) - batch.sin()).square().mean()
            yield "net", self.net(batch).square().mean(), {}
            yield "net", loss, {}  # by weights that the first turn has changed since

    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        trained(Late())


def test_a_training_goes_on_alike_from_a_file_of_one_by_one(one_by_one: Any, tmp_path: Any) -> None:
    """A checkpoint knows nothing of vectors, whichever way it was made."""
    longer = {"steps": 40, "checkpoint": tmp_path / "a.pt", "decay": None}
    one_by_one(Fit(), **longer | {"steps": 20})
    halves = trained(Fit(), resume=True, **longer)
    agree(halves, trained(Fit(), steps=40, decay=None))


def test_muon_keeps_its_matrices_one_by_one(one_by_one: Any) -> None:
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))

    def weights() -> Tensor:
        torch.manual_seed(0)
        flow = flows.RealNVP.for_vectors(2, 4, 16)
        train.fit(flows.MaximumLikelihood(flow, muon=0.05), x, steps=10, progress=False)
        return nn.utils.parameters_to_vector(flow.parameters()).detach()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("genlib.optimizers.Muon.elementwise", lambda _: [])
        alone = weights()
    torch.testing.assert_close(weights(), alone, rtol=1e-4, atol=1e-5)
