"""Each identity of lectures 03 and 03b, in float64: against quadrature, autograd, a closed form, or simulation."""

import itertools
import math

import pytest
import torch
from flow_cases import jacobian, log_abs_det, randomised, seeded  # noqa: F401
from torch import Tensor

from genlib import data, flows
from genlib.flows import ActNorm, AffineCoupling, Compose, Flow, RealNVP, masks


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def line(low: float, high: float, n: int) -> tuple[Tensor, float]:
    h = (high - low) / n
    return low + h * (torch.arange(n, dtype=torch.float64) + 0.5)[:, None], h


def coupling(mask: Tensor, seed: int = 0) -> AffineCoupling:
    return randomised(AffineCoupling(mask).double(), 0.4, seed)


# Change of variables


def test_mass_of_an_interval_is_conserved() -> None:  # lecture 03 (2)
    """P(a < X < b) by quadrature of p_X = p_Z(f(x)) |f'(x)| is Φ(f(b)) − Φ(f(a)), also where f falls."""
    normal_cdf = torch.distributions.Normal(0.0, 1.0).cdf
    for name in ("rises", "falls"):
        flow = Flow([flows.Logit(), flows.InvertibleConv(1)], (1,)).double()
        flow.layers[1].sign.fill_(1.0 if name == "rises" else -1.0)  # type: ignore
        flow.layers[1].P.fill_(1.0)  # type: ignore
        a, b = 0.2, 0.65
        x, h = line(a, b, 20_000)
        mass = float(flow.log_prob(x).exp().sum().detach()) * h
        ends = normal_cdf(flow(torch.tensor([[a], [b]], dtype=torch.float64))[0])[:, 0].detach()
        assert mass == pytest.approx(abs(float(ends[1] - ends[0])), abs=1e-8)
        assert mass > 0.1


def test_log_prob_is_base_plus_log_abs_det() -> None:  # lecture 03 (3)
    flow = randomised(RealNVP.for_vectors(5, 4, 16, mask="random").double(), 0.2)
    x = normal(5)
    z = flow(x[None])[0][0].detach()
    base = float(torch.distributions.Normal(0.0, 1.0).log_prob(z).sum())
    expected = base + log_abs_det(jacobian(lambda x: flow(x)[0], x))
    assert float(flow.log_prob(x[None]).detach()) == pytest.approx(expected, abs=1e-10)


def test_the_sign_of_a_determinant_does_not_matter_and_its_absolute_value_does() -> None:  # erratum 7
    """Two coordinates that trade places: det = −1, and densities stay what they are."""
    swap = flows.InvertibleConv(2).double()
    with torch.no_grad():
        swap.P.copy_(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
        swap.sign.fill_(1.0)
        for parameter in swap.parameters():
            parameter.zero_()
    assert float(torch.linalg.det(swap.weight().detach())) == pytest.approx(-1)
    x = normal(4, 2)
    assert torch.allclose(swap(x)[1], torch.zeros(4, dtype=torch.float64))


def test_the_determinant_alone_has_no_maximum_and_the_likelihood_has_one() -> None:  # erratum 8
    """z = c·x in D dimensions: D log c grows for ever, with −c²|x|²/2 the best c is 1/σ."""
    x = 2.5 * normal(20_000, 3)
    scale = torch.linspace(-3, 3, 601, dtype=torch.float64)
    layer = ActNorm(3).double().eval()
    log_dets, log_ps = [], []
    for log_c in scale:
        layer.log_s.data.fill_(float(log_c))
        log_dets.append(float(layer(x)[1].mean().detach()))
        log_ps.append(float(Flow([layer], (3,)).log_prob(x).mean().detach()))
    assert all(later > sooner for sooner, later in itertools.pairwise(log_dets))
    best = float(scale[torch.tensor(log_ps).argmax()].exp())
    assert best == pytest.approx(1 / float(x.square().mean().sqrt()), rel=0.01)


# The coupling layer


@pytest.mark.parametrize("dim", [2, 5, 8])
def test_a_coupling_s_jacobian_is_lower_triangular_with_exp_log_s_on_its_diagonal(dim: int) -> None:
    # Lecture 03 (4), (5)
    layer = coupling(masks.halves(dim))
    x = normal(dim)
    J = jacobian(lambda x: layer(x)[0], x)
    kept = dim // 2
    log_s, _ = layer.log_s_and_shift(x[None, :kept])
    assert torch.equal(J.triu(1), torch.zeros_like(J))
    assert torch.equal(J[:kept, :kept], torch.eye(kept, dtype=J.dtype))
    assert torch.allclose(J.diagonal()[kept:], log_s[0].exp().detach())
    assert float(J[kept:, :kept].abs().min()) > 0
    assert float(layer(x[None])[1].detach()) == pytest.approx(float(log_s.sum().detach()))
    upper = jacobian(lambda x: coupling(masks.halves(dim, swap=True))(x)[0], x)
    assert torch.equal(upper.tril(-1), torch.zeros_like(J))  # after a swap


def test_a_coupling_is_inverted_without_inverting_its_network() -> None:  # lecture 03 (6)
    """A network that is constant, or that takes many inputs to one output, does no harm."""
    for net in (lambda kept, _: torch.ones(len(kept), 4, dtype=kept.dtype), lambda kept, _: (kept**2).repeat(1, 2)):
        layer = AffineCoupling(masks.halves(4), net)
        x = normal(7, 4)
        assert torch.allclose(layer.inverse(layer(x)[0])[0], x, atol=1e-12)


def test_where_a_raw_scale_crosses_zero_exp_of_it_can_still_be_inverted() -> None:  # erratum 9
    """s(x_1) = x_1. Raw, z_2 = s x_2 has no inverse at x_1 = 0: autograd's Jacobian is singular. With exp it is not."""
    layer = AffineCoupling(masks.halves(2), lambda kept, _: torch.cat([kept, 0 * kept], dim=1))
    x = torch.cartesian_prod(torch.linspace(-2, 2, 5, dtype=torch.float64), torch.tensor([1.0, -3.0]).double())
    z, log_det = layer(x)
    for i, one in enumerate(x):
        raw = jacobian(lambda x: torch.stack([x[:, 0], x[:, 0] * x[:, 1]], dim=1), one)
        J = jacobian(lambda x: layer(x)[0], one)
        assert (float(torch.linalg.det(raw)) == 0) == (float(one[0]) == 0)
        assert float(J[1, 1]) > 0
        assert float(log_det[i]) == pytest.approx(math.log(float(J[1, 1])), abs=1e-12)
    assert torch.allclose(layer.inverse(z)[0], x, atol=1e-12)
    assert float(log_det.max() - log_det.min()) > 3  # it is no constant scale


def test_how_many_couplings_it_takes_to_fill_the_jacobian() -> None:  # erratum 11
    """One leaves half unchanged, two change all but leave zeros within a half, three fill the matrix. In 2-D two do."""
    for dim, share in ((4, [None, 2, 0]), (2, [None, 0, 0])):
        halves = [coupling(masks.halves(dim, swap=k % 2 == 1), seed=k) for k in range(3)]
        x = normal(dim)
        J = [jacobian(lambda x, made=halves[:n]: Compose(made)(x)[0], x) for n in (1, 2, 3)]
        assert torch.equal(J[0][: dim // 2], torch.eye(dim, dtype=J[0].dtype)[: dim // 2])
        assert (Compose(halves[:2])(x[None])[0] != x).all()
        for matrix, zeros in zip(J[1:], share[1:], strict=True):
            off_diagonal = matrix[~torch.eye(dim, dtype=torch.bool)]
            assert int((off_diagonal == 0).sum()) == zeros


# Composition


def test_log_dets_add_and_the_inverse_runs_backwards() -> None:  # lecture 03 (7)
    layers = [coupling(masks.halves(4)), flows.InvertibleConv(4).double(), coupling(masks.halves(4, swap=True), 1)]
    flow, x = Compose(layers), normal(3, 4)
    z, total = x, torch.zeros(3, dtype=torch.float64)
    for layer in layers:
        z, log_det = layer(z)
        total = total + log_det
    assert torch.allclose(flow(x)[1], total)
    back = z
    for layer in reversed(layers):
        back = layer.inverse(back)[0]
    assert torch.allclose(back, x, atol=1e-12)
    wrong = z
    for layer in layers:
        wrong = layer.inverse(wrong)[0]
    assert not torch.allclose(wrong, x, atol=1e-2)


def test_the_determinant_s_sum_needs_no_matrix() -> None:
    """Σ log_s is the log-determinant that a cubic algorithm finds, in 60 dimensions."""
    flow = randomised(RealNVP.for_vectors(60, 4, 16).double(), 0.1)
    x = normal(60)
    assert float(flow(x[None])[1].detach()) == pytest.approx(log_abs_det(jacobian(lambda x: flow(x)[0], x)), abs=1e-9)


# Likelihood, and what whole numbers make of it


def test_cross_entropy_is_entropy_plus_kl() -> None:  # lecture 03 (8)
    """−E_p[log q] − H(p) = KL(p ‖ q) ≥ 0 for a flow q, by quadrature in 2-D: what training makes smaller."""
    truth = data.GaussianMixture.ring(5, 1.0, 0.3)
    flow = randomised(RealNVP.for_vectors(2, 4, 16).double(), 0.1)
    axis, h = line(-4, 4, 400)
    x = torch.cartesian_prod(axis[:, 0], axis[:, 0])
    log_p, log_q = truth.log_prob(x), flow.log_prob(x).detach()
    p = log_p.exp() * h * h
    kl = float((p * (log_p - log_q)).sum())
    assert kl > 0
    assert -float((p * log_q).sum()) - truth.entropy() == pytest.approx(kl, abs=1e-6)


def test_a_flow_back_and_forth_has_the_density_of_its_base_at_z() -> None:
    """log p_X(f⁻¹(z)) + log |det ∂f⁻¹/∂z| = log p_Z(z)."""
    base = data.GaussianMixture.ring(4, 1.5, 0.5)
    flow = randomised(RealNVP.for_vectors(2, 6, 16, base=base).double(), 0.1)
    z = base.sample(50, generator()).double()
    x, log_det = flow.inverse(z)
    assert torch.allclose(flow.log_prob(x) + log_det, base.log_prob(z), atol=1e-10)


def test_without_dequantization_there_is_no_bound_and_with_it_there_is() -> None:  # erratum 13
    """A pixel that is 0 in every picture: p may be a spike there, and log p grows by log c for each narrowing by c.

    Noise spreads the pixel over its cell, [0, ½]. Then a spike that is narrower than the cell costs more, not less, and
    the bits of a picture never go below 0, those of a probability of 1.
    """
    norm = ActNorm(1)
    flow = Flow([norm], (1,), levels=2).double().requires_grad_(False).eval()
    x_int = torch.zeros(4000, 1, dtype=torch.int64)
    log_p, bits = [], []
    for narrow in (1.0, 1e-1, 1e-2, 1e-3):
        norm.log_s.fill_(-math.log(narrow))
        log_p.append(float(flow.log_prob(x_int[:1].double() / 2)))
        bits.append(float(flow.bits_per_dim(x_int, generator=generator()).mean()))
    steps = [later - sooner for sooner, later in itertools.pairwise(log_p)]
    assert steps == pytest.approx([math.log(10)] * 3, abs=1e-9)
    assert (math.log(2) - log_p[-1]) / math.log(2) < -7  # "bits" without noise
    assert min(bits) > 0
    assert bits[3] > bits[2] > bits[1] + 100


def test_probabilities_of_all_pictures_sum_to_one() -> None:  # lecture 03 (9)
    """Σ over all 3² pictures of ∫ p((x_int + u)/L) du / L^D is the mass of the density in the unit square."""
    flow = randomised(RealNVP.for_vectors(2, 4, 8, levels=3).double(), 0.1)
    pixels = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    P = 2 ** (-2 * flow.bits_per_dim(pixels, n_importance=4000, generator=generator()))
    axis, h = line(0, 1, 300)
    x = torch.cartesian_prod(axis[:, 0], axis[:, 0])
    mass = float(flow.log_prob(x).exp().sum().detach()) * h * h
    assert float(P.sum()) == pytest.approx(mass, rel=0.01)
    assert mass < 1


def test_dequantized_bits_are_an_upper_bound_of_the_code_length_with_jensen_s_gap() -> None:  # lecture 03 (9), (10)
    """bits_per_dim with one draw, averaged, against quadrature over the cell: E_u[log p] for it, log E_u[p] for P."""
    flow = randomised(RealNVP.for_vectors(2, 4, 8, levels=2).double(), 0.3)
    axis, _ = line(0, 1, 200)
    u, noise = torch.cartesian_prod(axis[:, 0], axis[:, 0]), 4000**-0.5
    for pixel in (torch.tensor([[1, 0]]), torch.tensor([[0, 1]])):
        log_p = flow.log_prob((pixel + u) / 2).detach()
        P = float(log_p.exp().mean()) / 4
        bits = flow.bits_per_dim(pixel.expand(4000, 2), generator=generator())
        assert float(bits.mean()) == pytest.approx(
            1 - float(log_p.mean()) / (2 * math.log(2)), abs=5 * noise * float(bits.std())
        )
        assert float(bits.mean()) > -math.log2(P) / 2 + 5 * noise * float(bits.std())


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.5])
def test_temperature_scales_z_and_so_the_entropy_of_z(temperature: float) -> None:
    """z = T ε has covariance T² I and entropy D/2 log 2πeT²: of what the flow makes of its own samples.

    They themselves have another one: were x scaled, z would be no such Gaussian.
    """
    flow = randomised(RealNVP.for_vectors(3, 4, 16).double(), 0.3).requires_grad_(False)
    x = flow.sample(20_000, temperature=temperature, generator=generator())
    z, _ = flow(x)
    covariance = z.T.cov()
    assert torch.allclose(covariance, temperature**2 * torch.eye(3).double(), atol=0.05 * temperature**2)
    expected = 1.5 * math.log(2 * math.pi * math.e * temperature**2)
    assert 0.5 * float(torch.logdet(2 * math.pi * math.e * covariance)) == pytest.approx(expected, abs=0.03)
    assert not torch.allclose(x.T.cov(), covariance, atol=0.2 * temperature**2)
