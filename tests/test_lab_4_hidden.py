"""Hidden mixtures: every number gives a task that is fair, and gives the same one again."""

import copy
import math
import pickle

import pytest
import torch

from gencourse.checks.lab_4_one_truth.hidden import HiddenMixture, hidden_mixture
from genlib import data

NUMBERS = range(200)


@pytest.fixture(scope="module")
def mixtures() -> list[HiddenMixture]:
    return [hidden_mixture(number) for number in NUMBERS]


def test_a_number_gives_one_mixture(mixtures: list[HiddenMixture]) -> None:
    before = torch.get_rng_state()
    for number in (0, 7, 123):
        again = hidden_mixture(number)
        for a, b in zip(parts(again), parts(mixtures[number]), strict=True):
            assert torch.equal(a, b)
    assert torch.equal(torch.get_rng_state(), before), "it draws from a generator of its own"
    assert len({p.means[0, 0].item() for p in mixtures}) == len(NUMBERS)


def parts(p: data.GaussianMixture) -> tuple[torch.Tensor, ...]:
    return p.means, p.covs, p.weights


def test_its_repr_tells_nothing_but_the_number(mixtures: list[HiddenMixture]) -> None:
    assert [repr(p) for p in mixtures[:3]] == [f"HiddenMixture(number={number})" for number in range(3)]


def test_it_is_pickled_and_copied(mixtures: list[HiddenMixture]) -> None:
    for other in (pickle.loads(pickle.dumps(mixtures[3])), copy.deepcopy(mixtures[3])):
        assert repr(other) == repr(mixtures[3])
        for a, b in zip(parts(other), parts(mixtures[3]), strict=True):
            assert torch.equal(a, b)


def test_there_are_5_to_9_components_each_as_often(mixtures: list[HiddenMixture]) -> None:
    counts = torch.bincount(torch.tensor([len(p.weights) for p in mixtures]), minlength=10)
    assert counts[:5].sum() == 0
    assert (counts[5:] > len(NUMBERS) / 5 - 4 * math.sqrt(len(NUMBERS) * 0.16)).all()


def test_no_component_is_too_light_and_they_differ(mixtures: list[HiddenMixture]) -> None:
    for p in mixtures:
        assert float(p.weights.min()) >= 0.04 - 1e-12
        assert float(p.weights.sum()) == pytest.approx(1)
        assert float(p.weights.max() / p.weights.min()) > 1.1


def test_components_are_far_apart_in_their_own_deviations(mixtures: list[HiddenMixture]) -> None:
    """For means and averaged covariances; moving and scaling has not changed it."""
    for p in mixtures:
        for j in range(len(p.weights)):
            for k in range(j):
                away = p.means[j] - p.means[k]
                inverse = torch.linalg.inv((p.covs[j] + p.covs[k]) / 2)
                assert float(away @ inverse @ away) >= 5**2 - 1e-6


def test_a_point_tells_where_it_came_from(mixtures: list[HiddenMixture]) -> None:
    """The modes are well defined: the best guess is wrong for one point in a hundred at most."""
    for p in mixtures[:40]:
        x = p.sample(4000, torch.Generator().manual_seed(0)).double()
        joint = torch.stack(
            [
                w.log() + torch.distributions.MultivariateNormal(m, c).log_prob(x)
                for m, c, w in zip(*parts(p), strict=True)
            ],
            dim=1,
        )
        assert float(1 - joint.softmax(1).max(1).values.mean()) < 0.01


def test_some_components_are_long_and_lie_at_angles(mixtures: list[HiddenMixture]) -> None:
    ratios = torch.cat(
        [(values[:, 1] / values[:, 0]).sqrt() for values in (torch.linalg.eigvalsh(p.covs) for p in mixtures)]
    )
    assert 1 <= float(ratios.min()) < 1.2
    assert 2.8 < float(ratios.max()) <= 3 + 1e-9
    correlations = torch.cat([p.covs[:, 0, 1] / (p.covs[:, 0, 0] * p.covs[:, 1, 1]).sqrt() for p in mixtures])
    assert float(correlations.min()) < -0.5
    assert float(correlations.max()) > 0.5


def test_it_fills_the_square_and_keeps_five_deviations_from_its_edge(mixtures: list[HiddenMixture]) -> None:
    for p in mixtures:
        reach = p.means.abs() + 5 * p.covs.diagonal(dim1=1, dim2=2).sqrt()
        assert float(reach.max()) == pytest.approx(1)
    assert all(float(p.sample(4000, torch.Generator().manual_seed(0)).abs().max()) < 1 for p in mixtures[:40])


@pytest.mark.parametrize("number", [-1, 0.5, "7", None])
def test_a_number_is_asked_for(number: object) -> None:
    with pytest.raises(ValueError, match="number"):
        hidden_mixture(number)  # type: ignore[arg-type]
