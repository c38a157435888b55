"""Autoencoder and VAE: the bound against quadrature and closed forms, its gradient, and what training reaches."""

import copy
import json
import math

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from genlib import train
from genlib.autoencoder import ELBO, VAE, Autoencoder, Reconstruction


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_vae(dim: int, latent: int, width: int, seed: int = 0, **arguments) -> VAE:
    """In float64, with weights that make all of it matter."""
    torch.manual_seed(seed)
    vae = VAE(dim, latent, width, **arguments).double()
    for p in vae.parameters():
        p.data += 0.3 * torch.randn(p.shape, dtype=p.dtype, generator=generator(seed))
    return vae


def weights(vae: VAE) -> tuple[torch.Tensor, torch.Tensor]:
    """The matrix and the offset of a linear decoder."""
    layer = vae.decoder[0]
    assert isinstance(layer, torch.nn.Linear)
    return layer.weight, layer.bias


def grid(latent: int, n: int, limit: float = 7.0) -> tuple[torch.Tensor, float]:
    """Codes on a grid, (n ** latent, latent), and the volume of a cell."""
    axis = torch.linspace(-limit, limit, n, dtype=torch.float64)
    z = axis[:, None] if latent == 1 else torch.cartesian_prod(axis, axis)
    return z, float(axis[1] - axis[0]) ** latent


def by_quadrature(vae: VAE, x: torch.Tensor, n: int) -> tuple[float, float, float]:
    """log p(x), the ELBO and KL(q ‖ posterior) of one x, (D,), each from its definition as an integral over codes."""
    z, cell = grid(vae.latent, n)
    log_joint = vae.log_likelihood(x.expand(len(z), -1), z) + Normal(0.0, 1.0).log_prob(z).sum(1)
    log_p = torch.logsumexp(log_joint, 0) + math.log(cell)
    mean, log_std = vae.encode(x[None])
    log_q = Normal(mean[0], log_std[0].exp()).log_prob(z).sum(1)
    q = log_q.exp() * cell
    assert abs(float(q.sum()) - 1) < 1e-4  # the grid holds all of q
    return float(log_p), float((q * (log_joint - log_q)).sum()), float((q * (log_q - (log_joint - log_p))).sum())


# -- The bound


@pytest.mark.parametrize(("latent", "n"), [(1, 4001), (2, 401)])
@torch.no_grad()
def test_the_elbo_is_what_quadrature_says(latent: int, n: int) -> None:
    vae = random_vae(3, latent, 8, std=0.7)
    x = torch.randn(4, 3, dtype=torch.float64, generator=generator(1))
    log_p, elbo, gap = torch.tensor([by_quadrature(vae, one, n) for one in x]).T
    draws = 20_000
    ours = vae.elbo(x.repeat_interleave(draws, 0), generator=generator(2)).view(4, -1).mean(1)
    spread = torch.stack([vae.elbo(x, generator=generator(3 + i)) for i in range(200)]).std(0)
    assert ((ours - elbo).abs() < 5 * spread / math.sqrt(draws)).all()
    assert torch.allclose(log_p - elbo, gap, atol=1e-3)
    assert (elbo < log_p).all()


@torch.no_grad()
def test_a_linear_vae_is_a_gaussian() -> None:
    """log p(x), the posterior, and so the gap of the bound are known in closed form."""
    vae = random_vae(5, 2, 0, std=0.6)
    W, b = weights(vae)
    eye = torch.eye(5, dtype=torch.float64)
    x = torch.randn(6, 5, dtype=torch.float64, generator=generator(1))
    log_p = MultivariateNormal(b, W @ W.T + 0.36 * eye).log_prob(x)
    precision = torch.eye(2, dtype=torch.float64) + W.T @ W / 0.36
    posterior = MultivariateNormal((x - b) @ W @ torch.linalg.inv(precision) / 0.36, precision_matrix=precision)
    mean, log_std = vae.encode(x)
    gap = kl_divergence(MultivariateNormal(mean, torch.diag_embed((2 * log_std).exp())), posterior)
    elbo = vae.elbo(x.repeat_interleave(100_000, 0), generator=generator()).view(6, -1).mean(1)
    assert torch.allclose(elbo, log_p - gap, atol=0.02 * float(gap.max()))


@torch.no_grad()
def test_the_bound_is_tight_where_the_encoder_is_the_posterior() -> None:
    """A linear decoder with orthogonal columns has a posterior that is diagonal, so that the encoder can be it."""
    vae = random_vae(5, 2, 0, std=0.6)
    W, b = weights(vae)
    W.copy_(1.5 * torch.linalg.qr(W).Q)
    precision = 1 + 1.5**2 / 0.6**2
    to_mean = W.T / 0.6**2 / precision
    log_std = torch.full((2,), -0.5 * math.log(precision), dtype=torch.float64)
    vae.encoder.load_state_dict(
        {"0.weight": torch.cat([to_mean, 0 * to_mean]), "0.bias": torch.cat([-to_mean @ b, log_std])}
    )
    x = torch.randn(6, 5, dtype=torch.float64, generator=generator(1))
    log_p = MultivariateNormal(b, W @ W.T + 0.36 * torch.eye(5, dtype=torch.float64)).log_prob(x)
    elbo = vae.elbo(x.repeat_interleave(100_000, 0), generator=generator()).view(6, -1).mean(1)
    assert torch.allclose(elbo, log_p, atol=0.02)


def test_the_kl_is_that_of_torch() -> None:  # lecture 01 (5)
    vae = random_vae(3, 4, 8)
    x = torch.randn(7, 3, dtype=torch.float64, generator=generator(1))
    mean, log_std = vae.encode(x)
    expected = kl_divergence(Normal(mean, log_std.exp()), Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(vae.kl(x), expected, atol=1e-12)
    assert (vae.kl(x) > 0).all()


def test_the_likelihood_is_that_of_torch() -> None:
    vae = random_vae(3, 2, 8, std=0.4)
    x, z = (torch.randn(7, n, dtype=torch.float64, generator=generator(n)) for n in (3, 2))
    expected = Normal(vae.decode(z), 0.4).log_prob(x).sum(1)
    assert torch.allclose(vae.log_likelihood(x, z), expected, atol=1e-12)


def test_one_draw_gives_an_unbiased_gradient() -> None:
    """Its mean over many draws is the derivative of the ELBO by quadrature, also for the encoder's log s."""
    vae = random_vae(2, 1, 4, std=0.8)
    x = torch.randn(1, 2, dtype=torch.float64, generator=generator(1))
    layer = vae.encoder[-1]
    assert isinstance(layer, torch.nn.Linear)
    bias = layer.bias

    def elbo_at(shift: torch.Tensor) -> float:
        with torch.no_grad():
            bias.add_(shift)
            value = by_quadrature(vae, x[0], 4001)[1]
            bias.sub_(shift)
        return value

    many = x.expand(200_000, 2)
    (ours,) = torch.autograd.grad(vae.elbo(many, generator=generator()).mean(), bias)
    step = 1e-4 * torch.eye(2, dtype=torch.float64)
    numeric = torch.tensor([(elbo_at(e) - elbo_at(-e)) / 2e-4 for e in step])
    assert torch.allclose(ours, numeric.to(ours), atol=0.03)


# -- Given the class, and with a standard deviation for each pixel


def by_class(n_classes: int = 3) -> tuple[VAE, torch.Tensor, torch.Tensor]:
    """A VAE that is told the class, points, and a class for each."""
    vae = random_vae(3, 2, 8, n_classes=n_classes, learn_std=True)
    x = torch.randn(6, 3, dtype=torch.float64, generator=generator(1))
    return vae, x, torch.arange(6) % n_classes


@torch.no_grad()
def test_the_bound_given_the_class_is_what_quadrature_says() -> None:
    """For one class, the labelled VAE is another one, whose first layers have that class's column in their bias."""
    vae, x, label = by_class()
    for k in range(3):
        plain = VAE(3, 2, 8).double()
        weights, told = dict(plain.named_parameters()), dict(vae.named_parameters())
        for name, value in weights.items():
            value.copy_(told[name][:, : value.shape[1]] if name.endswith("0.weight") else told[name])
        for network in ("encoder", "decoder"):
            n = weights[f"{network}.0.weight"].shape[1]
            weights[f"{network}.0.bias"].add_(told[f"{network}.0.weight"][:, n + k])
        rows = label == k
        assert vae.log_std is not None
        z = torch.randn(2, 2, dtype=torch.float64, generator=generator(2))
        expected = Normal(plain.decode(z), vae.log_std.exp()).log_prob(x[rows]).sum(1)
        assert torch.allclose(vae.log_likelihood(x[rows], z, label[rows]), expected, atol=1e-12)
        assert torch.allclose(vae.kl(x[rows], label[rows]), plain.kl(x[rows]), atol=1e-12)
        assert torch.allclose(vae.reconstruct(x[rows], label[rows]), plain.reconstruct(x[rows]), atol=1e-12)
        drawn = vae.sample(2, label[rows], generator=generator(3))
        assert torch.allclose(drawn, plain.sample(2, generator=generator(3)), atol=1e-12)


def test_the_loss_is_minus_the_elbo_given_the_class() -> None:
    vae, x, label = by_class()
    loss, _ = loss_of(ELBO(vae), (x, label), generator(5))
    assert torch.allclose(loss, -vae.elbo(x, label, generator=generator(5)).mean() / 3)
    assert not torch.allclose(loss, -vae.elbo(x, (label + 1) % 3, generator=generator(5)).mean() / 3)


def test_the_standard_deviation_that_is_learned_is_that_of_the_noise() -> None:
    """A code cannot hold what is independent noise: pixels of one number each, with two known standard deviations."""
    std = torch.tensor([0.5, 0.1])
    x = torch.tensor([1.0, -1.0]) + std * torch.randn(4000, 2, generator=generator())
    torch.manual_seed(0)
    vae = VAE(2, 1, 0, std=0.3, learn_std=True)
    train.fit(ELBO(vae, lr=1e-2, beta=4.0), x, steps=600, batch_size=250, progress=False)
    assert vae.log_std is not None
    assert torch.allclose(vae.log_std.exp(), std, rtol=0.05)
    drawn = vae.sample(20_000, noise=True, generator=generator())
    assert torch.allclose(drawn.std(0), std, rtol=0.06)


def test_an_autoencoder_told_the_class_need_not_keep_it_in_its_code() -> None:
    """Two points and a code without a say: with the class the error is 0, without it is the variance."""
    x, label = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).repeat(32, 1), torch.arange(2).repeat(32)
    errors = []
    for n_classes, told in ((2, label), (None, None)):
        torch.manual_seed(0)
        ae = Autoencoder(2, 1, 0, n_classes=n_classes)
        for p in ae.encoder.parameters():
            p.requires_grad_(False).zero_()
        train.fit(Reconstruction(ae, lr=2e-2), (x, label), steps=300, batch_size=64, progress=False)
        errors.append(float((ae.reconstruct(x, told) - x).square().sum(1).mean()))
    assert errors[0] < 1e-3
    assert abs(errors[1] - 1) < 1e-2


# -- In training


def loss_of(objective: Reconstruction, batch, g: torch.Generator | None = None) -> tuple[torch.Tensor, dict]:
    ((name, loss, logs),) = objective.losses(batch, g)
    assert name in objective.optimizers()
    return loss, logs


def test_the_loss_of_a_vae_is_minus_the_elbo_a_pixel() -> None:
    vae = random_vae(3, 2, 8)
    x = torch.randn(7, 3, dtype=torch.float64, generator=generator(1))
    loss, logs = loss_of(ELBO(vae), x, generator(5))
    assert torch.allclose(loss, -vae.elbo(x, generator=generator(5)).mean() / 3)
    assert torch.allclose(logs["kl"], vae.kl(x).mean())
    assert not logs["kl"].requires_grad


def test_several_draws_are_averaged() -> None:
    vae, g = random_vae(3, 2, 8), generator(5)
    x = torch.randn(7, 3, dtype=torch.float64, generator=generator(1))
    one_by_one = [vae.elbo(x, generator=g) for _ in range(3)]
    assert torch.allclose(vae.elbo(x, generator=generator(5), n_draws=3), torch.stack(one_by_one).mean(0))


def test_beta_weighs_the_kl_and_leaves_the_bound_alone() -> None:
    vae = random_vae(3, 2, 8)
    one, four = ELBO(vae), ELBO(vae, beta=4.0)
    x = torch.randn(7, 3, dtype=torch.float64, generator=generator(1))
    difference = loss_of(four, x, generator(5))[0] - loss_of(one, x, generator(5))[0]
    assert torch.allclose(difference, 3 * vae.kl(x).mean() / 3)


def test_a_linear_autoencoder_finds_the_principal_components() -> None:
    """No linear code of length 2 has a smaller error than the two leading eigenvectors, and training reaches that."""
    scale = torch.tensor([2.0, 1.0, 0.3, 0.2])
    x = (
        torch.randn(2000, 4, generator=generator())
        * scale
        @ torch.linalg.qr(torch.randn(4, 4, generator=generator(1))).Q
    )
    torch.manual_seed(0)
    ae = Autoencoder(4, 2, 0)
    train.fit(Reconstruction(ae, lr=2e-2), x, steps=400, batch_size=200, progress=False)
    error = float((x - ae.reconstruct(x)).square().mean())
    best = float(torch.linalg.eigvalsh((x - x.mean(0)).T.cov() * (1999 / 2000))[:2].sum() / 4)
    assert best - 1e-6 < error < 1.05 * best


def test_a_trained_vae_draws_from_the_data() -> None:
    """Linear, so its samples are Gaussian: with noise they have the mean and covariance of the data."""
    L = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.3, 0.0], [-0.5, 0.1, 0.3]])
    x = torch.randn(4000, 3, generator=generator()) @ L.T + torch.tensor([1.0, 0.0, -1.0])
    torch.manual_seed(0)
    vae = VAE(3, 2, 0, std=0.3)
    history = train.fit(ELBO(vae, lr=1e-2), x, steps=800, batch_size=250, progress=False)
    assert set(history.logs) >= {"loss", "reconstruction", "kl"}
    drawn = vae.sample(20_000, noise=True, generator=generator())
    assert torch.allclose(drawn.mean(0), x.mean(0), atol=0.06)
    assert torch.allclose(drawn.T.cov(), x.T.cov(), atol=0.1)


def test_the_same_generator_gives_the_same_numbers() -> None:
    vae, x = VAE(4, 2, 8), torch.randn(3, 4, generator=generator())
    assert torch.equal(vae.sample(5, generator=generator(1)), vae.sample(5, generator=generator(1)))
    assert not torch.equal(vae.sample(5, generator=generator(1)), vae.sample(5, generator=generator(2)))
    assert torch.equal(vae.elbo(x, generator=generator(1)), vae.elbo(x, generator=generator(1)))
    assert vae.sample(0).shape == (0, 4)


def test_labels_are_left_alone_and_nothing_is_changed_in_place() -> None:
    for objective in (Reconstruction(Autoencoder(4, 2, 8)), ELBO(VAE(4, 2, 8))):
        x = torch.randn(3, 4, generator=generator())
        before = x.clone()
        with_label = loss_of(objective, (x, torch.zeros(3, dtype=torch.int64)), generator())[0]
        assert torch.equal(with_label, loss_of(objective, x, generator())[0])
        objective.check((x, torch.full((3,), 99)))
        assert objective.model.double().reconstruct(x.double()).dtype == torch.float64
        assert torch.equal(x, before)


def test_a_plain_one_decodes_codes_of_the_prior() -> None:
    ae = Autoencoder(4, 2, 8, n_classes=3)
    drawn = ae.sample(5, 1, generator(1))
    assert drawn.shape == (5, 4)
    assert not drawn.requires_grad
    z = torch.randn(5, 2, generator=generator(1))
    assert torch.equal(drawn, ae.decode(z, torch.full((5,), 1)).detach())
    assert ae.sample(0, 1).shape == (0, 4)


def test_a_condition_may_be_a_vector_and_one_hot_vectors_are_classes() -> None:
    classes, vectors = random_vae(3, 2, 8, n_classes=3), random_vae(3, 2, 8, n_condition=3)
    x, label = torch.randn(6, 3, dtype=torch.float64, generator=generator(1)), torch.arange(6) % 3
    c = torch.nn.functional.one_hot(label, 3).double()
    assert torch.equal(classes.elbo(x, label, generator=generator()), vectors.elbo(x, c, generator=generator()))
    assert torch.equal(classes.sample(6, label, generator()), vectors.sample(6, c, generator()))
    ELBO(vectors).check((x, c))
    assert torch.equal(
        loss_of(ELBO(vectors), (x, c), generator())[0], loss_of(ELBO(classes), (x, label), generator())[0]
    )
    assert vectors.config() != classes.config()


def test_what_must_be_the_same_to_go_on_is_said() -> None:
    for one, other in (
        (ELBO(VAE(4, 2, 8)), ELBO(VAE(4, 2, 8), beta=2.0)),
        (ELBO(VAE(4, 2, 8)), ELBO(VAE(4, 2, 8, std=0.5))),
        (ELBO(VAE(4, 2, 8)), ELBO(VAE(4, 2, 8, learn_std=True))),
        (VAE(4, 2, 8, n_classes=3), VAE(4, 2, 8, n_condition=3)),
        (Reconstruction(Autoencoder(4, 2, 8, n_classes=3)), Reconstruction(Autoencoder(4, 2, 8, n_condition=3))),
    ):
        assert one.config() != other.config()
        assert json.loads(json.dumps(one.config())) == one.config()
    assert ELBO(VAE(4, 2, 8), lr=1.0).config() == ELBO(VAE(4, 2, 8)).config()
    vae = VAE(4, 2, 8, learn_std=True)
    assert ELBO(vae).model is vae
    assert set(ELBO(vae).state_dict()) == {f"model.{name}" for name in vae.state_dict()}


@pytest.mark.parametrize("told", [{}, {"n_classes": 3}])
def test_transforms_and_compilers_take_the_bound(told: dict) -> None:
    x, label = torch.randn(6, 4, generator=generator(1)), (torch.arange(6) % 3,) * bool(told)
    z, vae = torch.randn(6, 2, generator=generator(2)), VAE(4, 2, 8, **told)
    torch.testing.assert_close(torch.compile(vae, fullgraph=True, backend="eager")(x, *label), vae(x, *label))
    log_p = torch.func.vmap(lambda x, z, *c: vae.log_likelihood(x[None], z[None], *(a[None] for a in c))[0])
    torch.testing.assert_close(log_p(x, z, *label), vae.log_likelihood(x, z, *label))
    torch.func.vmap(lambda x, *c: vae.elbo(x[None], *(a[None] for a in c))[0], randomness="different")(x, *label)
    torch.manual_seed(0)
    whole = torch.compile(lambda *i: vae.elbo(*i, n_draws=2), fullgraph=True, backend="eager")(x, *label)  # type: ignore
    torch.manual_seed(0)
    torch.testing.assert_close(whole, vae.elbo(x, *label, n_draws=2))


def test_in_half_precision_sums_are_float32() -> None:
    """64 pixels: a bound of some −100 nats has three digits in bf16, not one after the point."""
    x = torch.rand(50, 64, generator=generator()) * 2 - 1
    for options in ({}, {"learn_std": True}):
        torch.manual_seed(0)
        vae = VAE(64, 8, 32, **options)
        for p in vae.parameters():
            p.data = p.data.bfloat16().float()  # so that the weights are the same
        half, x_half = copy.deepcopy(vae).bfloat16(), x.bfloat16()
        z = torch.randn(50, 8, generator=generator(1)).bfloat16()
        bound = half.elbo(x_half, generator=generator())
        assert bound.dtype == half.kl(x_half).dtype == torch.float32
        log_p = vae.log_likelihood(x_half.float(), z.float())
        torch.testing.assert_close(half.log_likelihood(x_half, z), log_p, rtol=4e-3, atol=0)
        torch.testing.assert_close(half.kl(x_half), vae.kl(x_half.float()), rtol=2e-2, atol=2e-2)
        assert half.sample(3, noise=True).dtype == half.sample(3).dtype == torch.bfloat16
        assert torch.isfinite(loss_of(ELBO(half), x_half)[0])


def test_a_view_and_a_batch_of_one() -> None:
    vae, x = random_vae(4, 2, 8), torch.randn(4, 6, dtype=torch.float64, generator=generator(1)).T
    assert not x.is_contiguous()
    assert torch.allclose(vae.kl(x), vae.kl(x.contiguous()))
    assert torch.allclose(torch.cat([vae.kl(x[i : i + 1]) for i in range(6)]), vae.kl(x))
    assert torch.isfinite(loss_of(ELBO(vae), x[:1])[0])


X = torch.zeros(2, 4)
LABEL = torch.tensor([0, 2])


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: Autoencoder(0, 2, 8), "dim"),
        (lambda: Autoencoder(4, 0, 8), "latent"),
        (lambda: Autoencoder(4, 2, -1), "width"),
        (lambda: Autoencoder(4, 2, 10**12), "width"),
        (lambda: VAE(10**12, 2, 8), "dim"),
        (lambda: VAE(4, 2.0, 8), "latent"),  # type: ignore
        (lambda: VAE(4, 2, 8, learn_std="False"), "learn_std"),  # type: ignore
        (lambda: VAE(4, 2, 8, n_classes=3, n_condition=2), "n_classes, n_condition"),
        (lambda: Reconstruction(Autoencoder(4, 2, 8), lr=-1.0), "lr"),
        (lambda: Reconstruction(torch.nn.Linear(4, 4)), "ae"),  # type: ignore
        (lambda: ELBO(Autoencoder(4, 2, 8)), "vae"),  # type: ignore
        (lambda: ELBO(VAE(4, 2, 8), beta=-1.0), "beta"),
        (lambda: ELBO(VAE(4, 2, 8), beta=math.nan), "beta"),
        (lambda: loss_of(ELBO(VAE(4, 2, 8)), None), "batch"),
        (lambda: ELBO(VAE(4, 2, 8)).check(None), "batch"),
        (lambda: loss_of(ELBO(VAE(4, 2, 8)), X, 0), "generator"),  # type: ignore
        (lambda: VAE(4, 2, 8).elbo(X, generator=0), "generator"),  # type: ignore
        (lambda: VAE(4, 2, 8).sample(3, None, "cpu"), "generator"),  # type: ignore
        (lambda: VAE(4, 2, 8).sample(10**12), "n"),
        (lambda: VAE(4, 2, 8).sample(3, noise=1), "noise"),  # type: ignore
        (lambda: VAE(4, 2, 8).elbo(X, n_draws=10**12), "n_draws"),
        (lambda: VAE(4, 2, 8).elbo(X.to("meta")), "x"),
        (lambda: VAE(4, 2, 8).elbo(X.to_sparse()), "x"),
        (lambda: VAE(4, 2, 8).elbo(X.to(torch.complex64)), "x"),
        (lambda: VAE(4, 2, 8).elbo(X.to(torch.float8_e4m3fn)), "x"),
        (lambda: VAE(4, 2, 8).elbo([[0.0] * 4]), "x"),  # type: ignore
        (lambda: VAE(4, 2, 8, n_classes=3).elbo(X, LABEL.to("meta")), "label"),
        (lambda: ELBO(VAE(4, 2, 8)).check(X / 0), "x"),
        (lambda: Reconstruction(Autoencoder(4, 2, 8)).check(X / 0), "x"),
        (lambda: ELBO(VAE(4, 2, 8, n_classes=3)).check((X, LABEL + 1)), "label"),
        (lambda: ELBO(VAE(4, 2, 8, n_classes=3)).check(X), "batch"),
        (lambda: ELBO(VAE(4, 2, 8, n_condition=3)).check((X, LABEL)), "label"),
        (lambda: ELBO(VAE(4, 2, 8, n_condition=3)).check((X, X[:, :3] / 0)), "label"),
        (lambda: VAE(4, 2, 8, std=0.0), "std"),
        (lambda: Autoencoder(4, 2, 8).encode(X[:, :3]), "x"),
        (lambda: VAE(4, 2, 8).elbo(X.long()), "x"),
        (lambda: VAE(4, 2, 8).elbo(X, n_draws=0), "n_draws"),
        (lambda: VAE(4, 2, 8).decode(torch.zeros(2, 3)), "z"),
        (lambda: VAE(4, 2, 8).log_likelihood(X, torch.zeros(3, 2)), "z"),
        (lambda: VAE(4, 2, 8).sample(-1), "n"),
        (lambda: loss_of(ELBO(VAE(4, 2, 8)), X[:0]), "batch"),
        (lambda: loss_of(ELBO(VAE(4, 2, 8)), []), "batch"),
        (lambda: loss_of(ELBO(VAE(4, 2, 8)), X[:, :2]), "x"),
        (lambda: VAE(4, 2, 8, n_classes=0), "n_classes"),
        (lambda: VAE(4, 2, 8).encode(X, LABEL), "label"),
        (lambda: VAE(4, 2, 8, n_classes=3).encode(X), "label"),
        (lambda: VAE(4, 2, 8, n_classes=3).elbo(X, label=LABEL[:1]), "label"),
        (lambda: VAE(4, 2, 8, n_classes=3).sample(2, label=LABEL + 3), "label"),
        (lambda: Autoencoder(4, 2, 8, n_classes=3).decode(X[:, :2], LABEL.double()), "label"),
        (lambda: loss_of(ELBO(VAE(4, 2, 8, n_classes=3)), X), "batch"),
        (lambda: loss_of(ELBO(VAE(4, 2, 8, n_classes=3)), (X, LABEL[:1])), "batch"),
        (lambda: loss_of(ELBO(VAE(4, 2, 8, n_classes=3)), (X, LABEL + 1)), "label"),
        (lambda: loss_of(ELBO(VAE(4, 2, 8, n_classes=3)), (X, LABEL.int())), "label"),
        (lambda: loss_of(Reconstruction(Autoencoder(4, 2, 8)), X.double()), "x"),
        (lambda: VAE(4, 2, 8).elbo(X.double()), "x"),
        (lambda: Autoencoder(4, 2, 8).decode(X[:, :2].double()), "z"),
        (lambda: VAE(4, 2, 8).log_likelihood(X, X[:, :2].double()), "z"),
    ],
)
def test_wrong_input_is_named(call, name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        call()


def test_values_that_are_no_numbers_are_seen() -> None:
    with pytest.raises(ValueError, match=r"^x: expected .*NaN"):
        VAE(4, 2, 8).reconstruct(torch.tensor([[0.0, 0, 0, math.nan], [0, 0, 0, 0]]))
