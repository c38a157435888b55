"""pix2pix and the class-conditional GAN as tasks: whose gradient goes where, what is shared, what is refused."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from genlib import data, gan, train


class Counting(nn.Module):
    """A network that counts its calls."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.calls = network, 0

    def forward(self, *args, **kwargs):
        self.calls += 1
        return self.network(*args, **kwargs)


def pix2pix(**changes) -> Any:
    torch.manual_seed(0)
    G = gan.UNetGenerator(3, 1, width=4, depth=2, noise=2)
    D = gan.PatchDiscriminator(4 if changes.get("conditional", True) else 1, width=4, n_layers=1)
    return gan.Pix2Pix(G, D, **{"lam": 5.0, **changes})


def digits(**changes) -> Any:
    torch.manual_seed(0)
    return gan.ClassConditional(gan.MLPGenerator(width=16), gan.ProjectionDiscriminator(width=16), **changes)


def pairs(n: int = 6, dtype: torch.dtype = torch.float32) -> data.Pairs:
    g = torch.Generator().manual_seed(1)
    x, y = torch.randn(n, 3, 16, 16, generator=g), torch.rand(n, 1, 16, 16, generator=g) * 2 - 1
    return data.Pairs(x.to(dtype), y.to(dtype))


def pictures(n: int = 8) -> data.Images:
    x, label = data.digits("train")
    return data.Images(x[:n], label[:n])


@pytest.mark.parametrize(("make", "batch"), [(pix2pix, pairs()), (digits, pictures())], ids=["pix2pix", "digits"])
class TestBothTasks:
    def test_the_turns_come_in_order_and_share_one_pass_of_g(self, make, batch):
        task = make()
        task.G = Counting(task.G)
        turns = list(task.losses(batch, torch.Generator().manual_seed(0)))
        assert [name for name, _, _ in turns] == ["D", "G"]
        assert task.G.calls == 1
        assert all(loss.dim() == 0 for _, loss, _ in turns)
        assert not any(v.requires_grad for _, _, logs in turns for v in logs.values())

    def test_ds_loss_leaves_g_alone(self, make, batch):
        task = make()
        turns = task.losses(batch, torch.Generator().manual_seed(0))
        _, d_loss, _ = next(turns)
        grads = torch.autograd.grad(d_loss, list(task.G.parameters()), allow_unused=True)
        assert all(grad is None for grad in grads)

    def test_gs_gradient_goes_through_d_as_it_is_now(self, make, batch):
        """Change D between the turns: G's loss is that of the changed D."""
        values = []
        for shift in (0.0, 2.0):
            task = make()
            turns = task.losses(batch, torch.Generator().manual_seed(0))
            next(turns)
            with torch.no_grad():
                last = list(task.D.parameters())[-1] if make is pix2pix else task.D.last.bias
                last.add_(shift)
            values.append(float(next(turns)[1].detach()))
        assert values[0] != values[1]

    def test_fit_moves_both_and_repeats_itself(self, make, batch):
        weights = []
        for _ in range(2):
            task = make(lr=1e-3)
            before = [p.detach().clone() for p in task.parameters()]
            history = train.fit(task, tuple(batch), steps=5, batch_size=4, seed=3, progress=False)
            moved = [not torch.equal(a, b) for a, b in zip(before, task.parameters(), strict=True)]
            assert sum(moved) > 0.8 * len(moved)
            assert {"loss_D", "loss_G"} <= set(history.logs)
            weights.append([p.detach().clone() for p in task.parameters()])
        assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))

    def test_r1_is_added_to_ds_loss_alone(self, make, batch):
        plain, with_r1 = make(), make(gamma=3.0)
        (_, d, _), (_, g, _) = plain.losses(batch, torch.Generator().manual_seed(0))
        (_, d_r1, logs), (_, g_r1, _) = with_r1.losses(batch, torch.Generator().manual_seed(0))
        torch.testing.assert_close(d_r1, d + 1.5 * logs["r1"])
        torch.testing.assert_close(g_r1, g)

    def test_images_out_of_range_are_refused_before_training(self, make, batch):
        first, second = batch
        bad = (first, 3 * second) if make is pix2pix else (3 * first, second)
        with pytest.raises(ValueError, match=r"y: expected images in \[−1, 1\]"):
            next(make().losses(bad))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"objective": "hinges"}, "objective: expected one of .* Did you mean 'hinge'"),
            ({"lr": -1.0}, "lr"),
            ({"gamma": -1.0}, "gamma"),
            ({"betas": (0.5, 1.0)}, "betas"),
            ({"betas": 0.5}, "betas"),
        ],
    )
    def test_bad_settings_are_refused(self, make, batch, changes, message):
        with pytest.raises(ValueError, match=message):
            make(**changes)


class TestPix2Pix:
    def test_gs_loss_is_what_d_makes_of_its_answers_and_l1(self):
        """Both terms worked out here, from an answer of G with the same noise."""
        task, (x, y) = pix2pix(lam=7.0, adversarial=0.5, objective="least_squares"), pairs()
        _, (_, loss, logs) = task.losses((x, y), torch.Generator().manual_seed(0))
        fake = task.generate(x, generator=torch.Generator().manual_seed(0))
        fool = (0.5 * (task.D(x, fake) - 1) ** 2).mean().detach()
        l1 = (fake - y).abs().mean()
        torch.testing.assert_close(logs["fool"], fool)
        torch.testing.assert_close(logs["l1"], l1)
        torch.testing.assert_close(loss.detach(), 0.5 * fool + 7 * l1)

    def test_l1_is_a_mean_over_pixels(self):
        """So its size does not change with that of the picture: a target of 1 and an output of 0 give 1."""

        class Zero(nn.Module):
            def forward(self, x, z=None, generator=None):
                return 0 * x[:, :1]

        for side in (8, 16):
            task = gan.Pix2Pix(Zero(), gan.PatchDiscriminator(2, width=2, n_layers=0), adversarial=0.0, lam=1.0)
            batch = torch.zeros(2, 1, side, side), torch.ones(2, 1, side, side)
            ((name, loss, _),) = task.losses(batch)
            assert (name, float(loss)) == ("G", 1.0)

    def test_without_an_adversary_only_g_is_trained(self):
        task = pix2pix(adversarial=0.0)
        assert set(task.optimizers()) == {"G"}
        before = [p.detach().clone() for p in task.D.parameters()]
        train.fit(task, pairs(), steps=3, batch_size=4, progress=False)
        assert all(torch.equal(a, b) for a, b in zip(before, task.D.parameters(), strict=True))

    def test_d_sees_x_unless_told_not_to(self):
        x, y = pairs()
        losses = [
            float(next(pix2pix().losses((given, y), torch.Generator().manual_seed(0)))[1].detach()) for given in (x, -x)
        ]
        assert losses[0] != losses[1]
        blind = pix2pix(conditional=False)
        assert len(list(blind.losses((x, y)))) == 2

    def test_mismatched_pairs_are_real_images_under_another_x(self):
        shown = []

        class Recording(nn.Module):
            def forward(self, x, y):
                shown.append((x, y))
                return y.mean((1, 2, 3)) + x.sum() * 0

        x, y = pairs()
        task = gan.Pix2Pix(pix2pix().G, Recording(), mismatched=1.0)
        (_, _, logs), _ = task.losses((x, y), torch.Generator().manual_seed(0))
        assert len(shown) == 4  # right, made and mismatched in D's turn, made in G's
        (right, _), (for_made, _), (wrong, theirs), _ = shown
        assert torch.equal(right, x)
        assert torch.equal(for_made, x)
        assert torch.equal(theirs, y)
        owner = (wrong[:, None] == x[None]).flatten(2).all(2)  # which example's x stands beside each y
        assert owner.sum(0).tolist() == owner.sum(1).tolist() == [1] * len(x)
        assert not owner.diagonal().any()
        assert "D_mismatched" in logs

    def test_mismatched_pairs_weigh_on_d_alone_and_in_proportion(self):
        losses = []
        for mismatched in (0.0, 1.0, 3.0):
            turns = pix2pix(mismatched=mismatched).losses(pairs(), torch.Generator().manual_seed(0))
            losses.append([loss.detach() for _, loss, _ in turns])
        (none, g), (one, g_one), (three, g_three) = losses
        assert float(one) > float(none)  # what D pays for a fake is never below 0
        torch.testing.assert_close(three - none, 3 * (one - none))
        assert torch.equal(g, g_one)
        assert torch.equal(g, g_three)

    def test_mismatched_pairs_teach_what_right_pairs_cannot(self):
        """y is x, and G makes right pairs: a D that sees no others learns nothing; with the wrong ones, that they are
        fake. Right pairs are real and made in equal parts, wrong ones only fake: at logits ±a, e^a = 2."""

        class Echo(nn.Module):
            def __init__(self):
                super().__init__()
                self.scale = nn.Parameter(torch.ones(()))

            def forward(self, x, z=None, generator=None):
                return self.scale * x

        class Match(nn.Module):
            def __init__(self):
                super().__init__()
                self.weight = nn.Parameter(torch.zeros(()))

            def forward(self, x, y):
                return self.weight * (x * y).mean((1, 2, 3))

        x = torch.tensor([1.0, -1.0])[:, None, None, None].expand(2, 1, 4, 4)
        for mismatched, expected in ((0.0, 0.0), (1.0, math.log(2))):
            task = gan.Pix2Pix(Echo(), Match(), lr=0.0, lr_D=0.05, mismatched=mismatched)
            train.fit(task, (x, x), steps=100, batch_size=2, progress=False)
            torch.testing.assert_close(task.D(x, x).detach(), torch.full((2,), expected), atol=0.02, rtol=0)

    @pytest.mark.parametrize(("scale", "expected"), [(0.0, 0.3), (0.1, 0.3 - 0.2 / math.sqrt(math.pi)), (1.0, 0.0)])
    def test_variety_is_what_answers_lack_in_distance(self, scale, expected):
        """G adds scale · N(0, 1) to its answer: two of them are 2 scale / √π apart on average."""

        class Noisy(nn.Module):
            def __init__(self):
                super().__init__()
                self.scale = nn.Parameter(torch.tensor(scale))

            def forward(self, x, z=None, generator=None):
                return x + self.scale * torch.randn(x.shape, generator=generator)

        x = torch.zeros(16, 1, 64, 64)
        losses = {}
        for variety in (0.0, 2.0):
            torch.manual_seed(0)
            task = gan.Pix2Pix(Noisy(), gan.PatchDiscriminator(2, width=2, n_layers=1), variety=variety, apart=0.3)
            (_, d, _), (_, g, _) = task.losses((x, x), torch.Generator().manual_seed(0))
            losses[variety] = d.detach(), g.detach()
        assert torch.equal(losses[0.0][0], losses[2.0][0])
        torch.testing.assert_close(losses[2.0][1] - losses[0.0][1], torch.tensor(2 * expected), atol=4e-3, rtol=0)

    def test_variety_makes_g_use_its_noise(self):
        """The same training without and with it: answers to other noise come further apart."""
        apart = []
        for variety in (0.0, 5.0):
            task = pix2pix(lam=1.0, lr=2e-3, variety=variety)
            train.fit(task, pairs(8), steps=30, batch_size=8, seed=0, progress=False)
            x = pairs(8).x
            one, two = (task.generate(x, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
            apart.append(float((one - two).abs().mean()))
        assert apart[1] > 1.5 * apart[0]

    def test_the_same_seed_generates_the_same_pictures(self):
        task, (x, _) = pix2pix().eval(), pairs()
        one, two, other = (task.generate(x, generator=torch.Generator().manual_seed(s)) for s in (0, 0, 1))
        assert torch.equal(one, two)
        assert not torch.equal(one, other)
        assert not one.requires_grad
        z = torch.zeros(6, 2, 16, 16)
        assert torch.equal(task.generate(x, z), task.generate(x, z))

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: pix2pix(lam=-1.0), "lam"),
            (lambda: pix2pix(lam=0.0, adversarial=0.0), "lam, adversarial"),
            (lambda: pix2pix(mismatched=-1.0), "mismatched"),
            (lambda: pix2pix(variety=-1.0), "variety"),
            (lambda: pix2pix(apart=-1.0), "apart"),
            (lambda: pix2pix(mismatched=1.0, conditional=False), "mismatched: expected 0 for a D that is not shown x"),
            (lambda: next(pix2pix(mismatched=1.0).losses(pairs(1))), "batch: expected at least two pairs"),
            (lambda: gan.Pix2Pix(lambda x: x, nn.Identity()), "G: expected a Module"),  # type: ignore
            (lambda: next(pix2pix().losses(pairs().y)), "batch: expected a pair"),
            (lambda: next(pix2pix().losses((pairs().x, pairs().y[:, :, :8]))), "y: expected the shape of what G makes"),
            (lambda: next(pix2pix().losses((pairs().x / 0, pairs().y))), "x: 4608 of 4608 values are NaN or infinite"),
            (lambda: pix2pix().generate(pairs().x / 0), "x: 4608 of 4608 values are NaN or infinite"),
            (lambda: pix2pix().generate(pairs().x, torch.full((6, 2, 16, 16), math.nan)), "z: 3072 of 3072 values"),
            (lambda: pix2pix().generate(pairs().x[0]), "x: expected a float tensor of shape"),
            (lambda: next(pix2pix().losses((pairs().x[:3], pairs().y))), "y: expected a float tensor of shape"),
            (lambda: next(pix2pix().losses((pairs().x[..., :15, :], pairs().y))), "x: expected height and width"),
        ],
    )
    def test_bad_input_is_refused(self, call, message):
        with pytest.raises(ValueError, match=message):
            call()


class TestClassConditional:
    def test_the_class_reaches_both(self):
        task = digits()
        with torch.no_grad():
            nn.init.normal_(task.D.embedding.weight)
        z, y = torch.randn(4, 32), torch.randn(4, 1, 8, 8)
        one, two = torch.zeros(4, dtype=torch.int64), torch.full((4,), 7)
        assert not torch.equal(task.generate(one, z), task.generate(two, z))
        assert not torch.equal(task.D(one, y), task.D(two, y))
        assert task.D(None, y).shape == (4, 1)

    def test_the_projection_written_out(self):
        D: Any = gan.ProjectionDiscriminator(width=16, depth=1).double()
        nn.init.normal_(D.embedding.weight)
        y, label = torch.randn(5, 1, 8, 8, dtype=torch.float64), torch.tensor([0, 3, 3, 9, 1])
        phi = nn.functional.leaky_relu(y.flatten(1) @ D.hidden[0].weight.T + D.hidden[0].bias, 0.2)
        expected = phi @ D.last.weight[0] + D.last.bias + torch.einsum("bd,bd->b", D.embedding.weight[label], phi)
        torch.testing.assert_close(D(label, y)[:, 0], expected)

    def test_what_it_makes_are_pictures(self):
        label = torch.arange(10)
        y = digits().generate(label, generator=torch.Generator().manual_seed(0))
        assert y.shape == (10, 1, 8, 8)
        assert float(y.abs().max()) <= 1

    def test_it_generates_in_evaluation_whatever_mode_it_is_in(self):
        """A picture depends on its own label and z alone, and the running means of a task in training stay."""
        task, label, z = digits().train(), torch.arange(10), torch.randn(10, 32)
        list(task.losses(pictures(), torch.Generator().manual_seed(0)))  # so that the running means are not 0
        before = {name: value.clone() for name, value in task.state_dict().items()}
        together = task.generate(label, z)
        alone = torch.cat([task.generate(label[i : i + 1], z[i : i + 1]) for i in range(10)])
        torch.testing.assert_close(together, alone)
        assert task.G.training
        assert all(torch.equal(value, before[name]) for name, value in task.state_dict().items())
        torch.testing.assert_close(task.eval().G(label, z).detach(), together)
        assert float(task.G.norms[0].running_mean.abs().max()) > 0

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: digits().generate(torch.tensor([10])), "label: expected classes 0..9, got 10..10"),
            (lambda: digits().generate(torch.tensor([1]), torch.full((1, 32), math.nan)), "z: 32 of 32 values"),
            (lambda: next(digits().losses((pictures().x[..., :7], pictures().label))), "y: expected the shape of what"),
            (lambda: digits().generate(torch.tensor([1.0])), "label: expected an int tensor"),
            (lambda: digits().D(torch.tensor([1]), torch.zeros(2, 1, 8, 8)), "label"),
            (lambda: digits().D(torch.tensor([1]), torch.zeros(1, 1, 8, 7)), "y: expected"),
            (lambda: next(digits().losses(pictures().x)), "batch: expected a pair"),
        ],
    )
    def test_bad_input_is_refused(self, call, message):
        with pytest.raises(ValueError, match=message):
            call()


def test_the_best_discriminator_is_what_training_finds():
    """A small D on two known mixtures ends near log p − log q, whatever it started from."""
    torch.manual_seed(0)
    p, q = data.GaussianMixture([[-1.0]], [[[0.5]]]), data.GaussianMixture([[1.0]], [[[0.5]]])
    real, fake = p.sample(4000), q.sample(4000)
    w = torch.zeros(2, requires_grad=True)  # log p − log q = −4x: linear
    optimizer = torch.optim.LBFGS([w], max_iter=100)

    def closure():
        optimizer.zero_grad()
        loss = gan.discriminator_loss(w[0] * real + w[1], w[0] * fake + w[1])
        loss.backward()
        return loss

    optimizer.step(closure)
    w = w.detach()
    assert float(w[0]) == pytest.approx(-4, rel=0.1)
    assert float(w[1]) == pytest.approx(0, abs=0.2)
    x = torch.tensor([[0.3]])
    assert float(p.optimal_discriminator(x, q)) == pytest.approx(-1.2, abs=1e-5)
    assert math.isfinite(float(w.sum()))
