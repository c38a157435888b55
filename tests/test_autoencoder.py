"""Autoencoder and VAE: the bound against quadrature and closed forms, its gradient, and what training reaches."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from genlib import train
from genlib.autoencoder import VAE, Autoencoder


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


def test_the_kl_is_that_of_torch() -> None:
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
    """Its mean over many draws is the derivative of the ELBO by quadrature, also for the encoder's log-deviation."""
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


# -- Given the class, and with a deviation for each pixel


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
    loss, _ = loss_of(vae, (x, label), generator(5))
    assert torch.allclose(loss, -vae.elbo(x, label, generator=generator(5)).mean() / 3)
    assert not torch.allclose(loss, -vae.elbo(x, (label + 1) % 3, generator=generator(5)).mean() / 3)


def test_the_deviation_that_is_learned_is_that_of_the_noise() -> None:
    """A code cannot hold what is independent noise: pixels of one number each, with two known deviations."""
    std = torch.tensor([0.5, 0.1])
    x = torch.tensor([1.0, -1.0]) + std * torch.randn(4000, 2, generator=generator())
    torch.manual_seed(0)
    vae = VAE(2, 1, 0, beta=4.0, std=0.3, lr=1e-2, learn_std=True)  # a costly code, so that none is used
    train.fit(vae, x, steps=600, batch_size=250, progress=False)
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
        task = Autoencoder(2, 1, 0, lr=2e-2, n_classes=n_classes)
        for p in task.encoder.parameters():
            p.requires_grad_(False).zero_()
        train.fit(task, (x, label), steps=300, batch_size=64, progress=False)
        errors.append(float((task.reconstruct(x, told) - x).square().sum(1).mean()))
    assert errors[0] < 1e-3
    assert abs(errors[1] - 1) < 1e-2


# -- As tasks


def loss_of(task: Autoencoder, batch, g: torch.Generator | None = None) -> tuple[torch.Tensor, dict]:
    ((name, loss, logs),) = task.losses(batch, g)
    assert name in task.optimizers()
    return loss, logs


def test_the_loss_of_a_vae_is_minus_the_elbo_a_pixel() -> None:
    vae = random_vae(3, 2, 8)
    x = torch.randn(7, 3, dtype=torch.float64, generator=generator(1))
    loss, logs = loss_of(vae, x, generator(5))
    assert torch.allclose(loss, -vae.elbo(x, generator=generator(5)).mean() / 3)
    assert torch.allclose(logs["kl"], vae.kl(x).mean())
    assert not logs["kl"].requires_grad


def test_several_draws_are_averaged() -> None:
    vae, g = random_vae(3, 2, 8), generator(5)
    x = torch.randn(7, 3, dtype=torch.float64, generator=generator(1))
    one_by_one = [vae.elbo(x, generator=g) for _ in range(3)]
    assert torch.allclose(vae.elbo(x, generator=generator(5), n_draws=3), torch.stack(one_by_one).mean(0))


def test_beta_weighs_the_kl_and_leaves_the_bound_alone() -> None:
    one, four = random_vae(3, 2, 8), random_vae(3, 2, 8, beta=4.0)
    x = torch.randn(7, 3, dtype=torch.float64, generator=generator(1))
    difference = loss_of(four, x, generator(5))[0] - loss_of(one, x, generator(5))[0]
    assert torch.allclose(difference, 3 * one.kl(x).mean() / 3)
    assert torch.equal(one.elbo(x, generator=generator(5)), four.elbo(x, generator=generator(5)))


def test_a_linear_autoencoder_finds_the_principal_components() -> None:
    """No linear code of length 2 has a smaller error than the two leading eigenvectors, and training reaches that."""
    scale = torch.tensor([2.0, 1.0, 0.3, 0.2])
    x = (
        torch.randn(2000, 4, generator=generator())
        * scale
        @ torch.linalg.qr(torch.randn(4, 4, generator=generator(1))).Q
    )
    torch.manual_seed(0)
    task = Autoencoder(4, 2, 0, lr=2e-2)
    train.fit(task, x, steps=400, batch_size=200, progress=False)
    error = float((x - task.reconstruct(x)).square().mean())
    best = float(torch.linalg.eigvalsh((x - x.mean(0)).T.cov() * (1999 / 2000))[:2].sum() / 4)
    assert best - 1e-6 < error < 1.05 * best


def test_a_trained_vae_draws_from_the_data() -> None:
    """Linear, so its samples are Gaussian: with noise they have the mean and covariance of the data."""
    L = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.3, 0.0], [-0.5, 0.1, 0.3]])
    x = torch.randn(4000, 3, generator=generator()) @ L.T + torch.tensor([1.0, 0.0, -1.0])
    torch.manual_seed(0)
    vae = VAE(3, 2, 0, std=0.3, lr=1e-2)
    history = train.fit(vae, x, steps=800, batch_size=250, progress=False)
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
    for task in (Autoencoder(4, 2, 8), VAE(4, 2, 8)):
        x = torch.randn(3, 4, generator=generator())
        before = x.clone()
        with_label = loss_of(task, (x, torch.zeros(3, dtype=torch.int64)), generator())[0]
        assert torch.equal(with_label, loss_of(task, x, generator())[0])
        assert task.double().reconstruct(x.double()).dtype == torch.float64
        assert torch.equal(x, before)


X = torch.zeros(2, 4)
LABEL = torch.tensor([0, 2])


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: Autoencoder(0, 2, 8), "dim"),
        (lambda: Autoencoder(4, 0, 8), "latent"),
        (lambda: Autoencoder(4, 2, -1), "width"),
        (lambda: Autoencoder(4, 2, 8, lr=-1.0), "lr"),
        (lambda: VAE(4, 2, 8, beta=-1.0), "beta"),
        (lambda: VAE(4, 2, 8, std=0.0), "std"),
        (lambda: Autoencoder(4, 2, 8).encode(X[:, :3]), "x"),
        (lambda: VAE(4, 2, 8).elbo(X.long()), "x"),
        (lambda: VAE(4, 2, 8).elbo(X, n_draws=0), "n_draws"),
        (lambda: VAE(4, 2, 8).decode(torch.zeros(2, 3)), "z"),
        (lambda: VAE(4, 2, 8).log_likelihood(X, torch.zeros(3, 2)), "z"),
        (lambda: VAE(4, 2, 8).sample(-1), "n"),
        (lambda: loss_of(VAE(4, 2, 8), X[:0]), "batch"),
        (lambda: loss_of(VAE(4, 2, 8), []), "batch"),
        (lambda: loss_of(VAE(4, 2, 8), X[:, :2]), "batch"),
        (lambda: VAE(4, 2, 8, n_classes=0), "n_classes"),
        (lambda: VAE(4, 2, 8).encode(X, LABEL), "label"),
        (lambda: VAE(4, 2, 8, n_classes=3).encode(X), "label"),
        (lambda: VAE(4, 2, 8, n_classes=3).elbo(X, label=LABEL[:1]), "label"),
        (lambda: VAE(4, 2, 8, n_classes=3).sample(2, label=LABEL + 3), "label"),
        (lambda: Autoencoder(4, 2, 8, n_classes=3).decode(X[:, :2], LABEL.double()), "label"),
        (lambda: loss_of(VAE(4, 2, 8, n_classes=3), X), "batch"),
        (lambda: loss_of(VAE(4, 2, 8, n_classes=3), (X, LABEL[:1])), "label"),
        (lambda: loss_of(VAE(4, 2, 8, n_classes=3), (X, LABEL + 1)), "label"),
        (lambda: loss_of(VAE(4, 2, 8, n_classes=3), (X, LABEL.int())), "label"),
        (lambda: loss_of(Autoencoder(4, 2, 8), X.double()), "batch"),
        (lambda: VAE(4, 2, 8).elbo(X.double()), "x"),
        (lambda: Autoencoder(4, 2, 8).decode(X[:, :2].double()), "z"),
        (lambda: VAE(4, 2, 8).log_likelihood(X, X[:, :2].double()), "z"),
    ],
)
def test_wrong_input_is_named(call, name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        call()


def test_values_that_are_no_numbers_are_seen() -> None:
    with pytest.raises(ValueError, match=r"^x: 1 of 8 values are NaN"):
        VAE(4, 2, 8).reconstruct(torch.tensor([[0.0, 0, 0, math.nan], [0, 0, 0, 0]]))
