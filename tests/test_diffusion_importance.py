"""The bound with steps drawn by importance: the same mean whatever is drawn, and less noise."""

import pytest
import torch

from genlib import train
from genlib.data import GaussianMixture
from genlib.diffusion import DDPM, MLP, Schedule, VariationalBound, vlb

T = 20


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def case(history: int = 2, uniform: float = 1e-3) -> tuple[VariationalBound, torch.Tensor]:
    """A network of random weights with a learned variance, in float64, and points."""
    torch.manual_seed(0)
    ddpm = DDPM(MLP(2, width=8, learned_variance=True), Schedule.cosine(T=T), predict="eps", variance="learned")
    with torch.no_grad():
        for p in ddpm.parameters():
            p.normal_(std=0.3, generator=generator())
    points = GaussianMixture.ring().sample(64, generator=generator(1)).double()
    return VariationalBound(ddpm.double(), lr=1e-2, history=history, uniform=uniform), points


def estimates(objective: VariationalBound, points: torch.Tensor, n: int) -> torch.Tensor:
    g = generator(2)
    return torch.tensor([float(next(objective.losses(points, g))[1].detach()) for _ in range(n)])


@pytest.mark.parametrize("uniform", [0.0, 1e-3, 0.5])
def test_the_mean_is_the_bound_less_its_first_term(uniform: float) -> None:
    """Against `vlb`, which sums over all steps; while t is uniform, and after."""
    objective, points = case(history=10**3)
    bound = vlb(objective.model, points.repeat(50, 1), generator=generator(3))
    parts = bound.total - bound.L_T
    at_first = estimates(objective, points, 300)
    assert bool((objective.probabilities() == 1 / T).all())
    objective, _ = case(uniform=uniform)
    estimates(objective, points, 20)
    assert bool((objective.probabilities() != 1 / T).any())
    later = estimates(objective, points, 300)
    for found in (at_first, later):
        error = 4 * float((found.var() / len(found) + parts.var() / len(parts)).sqrt())
        assert float(found.mean()) == pytest.approx(float(parts.mean()), abs=error)


def test_its_noise_is_less() -> None:
    """The same network, the same points; only p differs."""
    uniform, points = case(history=10**3)
    drawn, _ = case(history=10)
    estimates(drawn, points, 20)
    assert float(estimates(drawn, points, 300).var()) < 0.5 * float(estimates(uniform, points, 300).var())


def test_probabilities_are_roots_of_mean_squares_and_the_oldest_terms_are_forgotten() -> None:
    objective, _ = case(history=2, uniform=0.2)
    place = torch.arange(T).repeat(3)
    term = torch.cat([torch.full((T,), 1e6), torch.full((T,), 3.0), torch.full((T,), 4.0)])
    term[-1] = 0.0  # of the last step: 3 and 0
    objective._remember(place, term)
    assert objective.seen.tolist() == [3] * T
    size = torch.full((T,), (12.5) ** 0.5)
    size[-1] = 4.5**0.5
    assert torch.allclose(objective.probabilities(), 0.8 * size / size.sum() + 0.2 / T)
    assert float(objective.probabilities().sum()) == pytest.approx(1)


def test_until_every_step_has_been_seen_all_are_alike() -> None:
    objective, _ = case(history=2)
    objective._remember(torch.arange(T - 1).repeat(2), torch.rand(2 * (T - 1)))
    assert bool((objective.probabilities() == 1 / T).all())
    objective._remember(torch.tensor([T - 1, T - 1]), torch.ones(2))
    assert bool((objective.probabilities() != 1 / T).any())


def test_training_goes_down_and_goes_on_where_it_was(tmp_path) -> None:
    """Stopped in the middle and resumed it ends as one that was not: what is remembered is in the checkpoint."""
    objective, points = case()
    before = float(estimates(objective, points, 50).mean())
    whole, halves = case()[0], case()[0]
    settings = {"batch_size": 16, "decay": None, "progress": False, "log_every": 5}
    history = train.fit(whole, points, steps=60, **settings)
    assert history.logs["loss"][-1] < before
    path = tmp_path / "a.pt"
    train.fit(halves, points, steps=30, checkpoint=path, **settings)
    again = case()[0]
    train.fit(again, points, steps=60, checkpoint=path, resume=True, **settings)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))
    assert torch.equal(whole.latest, again.latest)


def test_wrong_numbers_are_refused() -> None:
    objective, _ = case()
    for wrong in ({"history": 0}, {"uniform": 1.0}, {"lr": -1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            VariationalBound(objective.model, **wrong)  # type: ignore[arg-type]
