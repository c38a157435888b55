"""pix2pix and the class-conditional GAN in training: whose gradient goes where, what is shared, what is refused."""

import copy
import json
import math
import pickle
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
    g = seeded(1)
    x, y = torch.randn(n, 3, 16, 16, generator=g), torch.rand(n, 1, 16, 16, generator=g) * 2 - 1
    return data.Pairs(x.to(dtype), y.to(dtype))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(n: int = 8) -> data.Images:
    x, label = data.digits("train")
    return data.Images(x[:n], label[:n])


@pytest.mark.parametrize(("make", "batch"), [(pix2pix, pairs()), (digits, pictures())], ids=["pix2pix", "digits"])
class TestBothObjectives:
    def test_the_turns_come_in_order_and_share_one_pass_of_g(self, make, batch):
        objective = make()
        objective.G = Counting(objective.G)
        turns = list(objective.losses(batch, seeded(0)))
        assert [name for name, _, _ in turns] == ["D", "G"]
        assert objective.G.calls == 1
        assert all(loss.dim() == 0 for _, loss, _ in turns)
        assert not any(v.requires_grad for _, _, logs in turns for v in logs.values())

    def test_ds_loss_leaves_g_alone(self, make, batch):
        objective = make()
        turns = objective.losses(batch, seeded(0))
        _, d_loss, _ = next(turns)
        grads = torch.autograd.grad(d_loss, list(objective.G.parameters()), allow_unused=True)
        assert all(grad is None for grad in grads)

    def test_gs_gradient_goes_through_d_as_it_is_now(self, make, batch):
        """Change D between the turns: G's loss is that of the changed D."""
        values = []
        for shift in (0.0, 2.0):
            objective = make()
            turns = objective.losses(batch, seeded(0))
            next(turns)
            with torch.no_grad():
                last = list(objective.D.parameters())[-1] if make is pix2pix else objective.D.last.bias
                last.add_(shift)
            values.append(float(next(turns)[1].detach()))
        assert values[0] != values[1]

    def test_fit_moves_both_and_repeats_itself(self, make, batch):
        weights = []
        for _ in range(2):
            objective = make(lr=1e-3)
            before = [p.detach().clone() for p in objective.parameters()]
            history = train.fit(objective, tuple(batch), steps=5, batch_size=4, seed=3, progress=False)
            moved = [not torch.equal(a, b) for a, b in zip(before, objective.parameters(), strict=True)]
            assert sum(moved) > 0.8 * len(moved)
            assert {"loss_D", "loss_G"} <= set(history.logs)
            weights.append([p.detach().clone() for p in objective.parameters()])
        assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))

    def test_r1_is_added_to_ds_loss_alone(self, make, batch):
        plain, with_r1 = make(), make(gamma=3.0)
        (_, d, _), (_, g, _) = plain.losses(batch, seeded(0))
        (_, d_r1, logs), (_, g_r1, _) = with_r1.losses(batch, seeded(0))
        torch.testing.assert_close(d_r1, d + 1.5 * logs["r1"])
        torch.testing.assert_close(g_r1, g)

    def test_images_out_of_range_are_refused_before_training(self, make, batch):
        first, second = batch
        bad = (first, 3 * second) if make is pix2pix else (3 * first, second)
        for wrong in (bad, (first, second / 0)) if make is pix2pix else (bad, (first / 0, second)):
            with pytest.raises(ValueError, match=r"^y: expected .*in \[-1, 1\], got .*(3|NaN)"):
                make().check(wrong)
        make().check(batch)

    def test_what_trains_is_g_and_says_what_it_is(self, make, batch):
        objective = make(gamma=2.0)
        assert objective.model is objective.G
        assert not objective.averaged
        assert objective.config()["gamma"] == 2.0
        assert objective.config() != make(gamma=1.0).config()
        for name, value in objective.G.config().items():
            assert objective.config()[f"G.{name}"] == value
        assert not any("lr" in name or "betas" in name for name in objective.config())
        assert json.loads(json.dumps(objective.config())) == objective.config()
        assert {name.split(".")[0] for name in objective.state_dict()} == {"G", "D"}

    @pytest.mark.parametrize("batch_", [None, 3, "xy", [], (), [None, None], {"x": 1, "y": 2}])
    def test_no_batch_at_all_is_refused(self, make, batch, batch_):
        for call in (lambda: next(make().losses(batch_)), lambda: make().check(batch_)):
            with pytest.raises(ValueError, match=r"^batch: expected"):
                call()

    @pytest.mark.parametrize("generator", [0, "cpu", torch.Generator, torch.ones(2)])
    def test_a_generator_is_a_generator(self, make, batch, generator):
        with pytest.raises(ValueError, match=r"^generator: expected a Generator, got"):
            next(make().losses(batch, generator))

    def test_targets_of_another_kind_are_refused_before_anything_is_compared(self, make, batch):
        """Shapes that would be broadcast, complex numbers of which |·| is real, and what no network can take."""
        first, second = batch
        y = second if make is pix2pix else first
        for wrong in (
            *(y[:1].expand(len(y), *y.shape[1:])[..., :1], y.double(), y.to(torch.complex64), y.to_sparse(), y > 0),
            *(y.to("meta"), y.to(torch.float8_e4m3fn), y.to(torch.int64), y[..., None], y.bfloat16()),
        ):
            with pytest.raises(ValueError, match=r"^y: expected"):
                next(make().losses((first, wrong) if make is pix2pix else (wrong, second)))

    @pytest.mark.parametrize("network", [None, "G", lambda x: x, nn.Linear])
    def test_networks_are_modules(self, make, batch, network):
        for name in ("G", "D"):
            with pytest.raises(ValueError, match=f"^{name}: expected a Module, got"):
                type(make())(**{"G": nn.Identity(), "D": nn.Identity(), name: network})

    def test_copies_and_pickles_train_alike(self, make, batch):
        def losses(objective):
            return [loss.detach() for _, loss, _ in objective.losses(batch, seeded(0))]

        objective = make(gamma=1.0)
        for other in (copy.deepcopy(objective), pickle.loads(pickle.dumps(objective))):
            assert other.model is other.G
            assert other.G is not objective.G
            assert all(torch.equal(a, b) for a, b in zip(losses(objective), losses(other), strict=True))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"objective": "hinges"}, "objective: expected one of .* Did you mean 'hinge'"),
            ({"lr": -1.0}, "lr"),
            ({"gamma": -1.0}, "gamma"),
            ({"gamma": math.nan}, "gamma"),
            ({"gamma": True}, "gamma"),
            ({"lr": "1e-3"}, "lr"),
            ({"lr": 10**400}, "lr"),
            ({"betas": (0.5, "0.9")}, "betas"),
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
        objective, (x, y) = pix2pix(lam=7.0, adversarial=0.5, objective="least_squares"), pairs()
        _, (_, loss, logs) = objective.losses((x, y), seeded(0))
        fake = gan.generate(objective.G, x, generator=seeded(0))
        fool = (0.5 * (objective.D(x, fake) - 1) ** 2).mean().detach()
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
            objective = gan.Pix2Pix(Zero(), gan.PatchDiscriminator(2, width=2, n_layers=0), adversarial=0.0, lam=1.0)
            batch = torch.zeros(2, 1, side, side), torch.ones(2, 1, side, side)
            ((name, loss, _),) = objective.losses(batch)
            assert (name, float(loss)) == ("G", 1.0)

    def test_without_an_adversary_only_g_is_trained(self):
        objective = pix2pix(adversarial=0.0)
        assert set(objective.optimizers()) == {"G"}
        before = [p.detach().clone() for p in objective.D.parameters()]
        train.fit(objective, pairs(), steps=3, batch_size=4, progress=False)
        assert all(torch.equal(a, b) for a, b in zip(before, objective.D.parameters(), strict=True))

    def test_d_sees_x_unless_told_not_to(self):
        x, y = pairs()
        losses = [float(next(pix2pix().losses((given, y), seeded(0)))[1].detach()) for given in (x, -x)]
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
        objective = gan.Pix2Pix(pix2pix().G, Recording(), mismatched=1.0)
        (_, _, logs), _ = objective.losses((x, y), seeded(0))
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
            turns = pix2pix(mismatched=mismatched).losses(pairs(), seeded(0))
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
            objective = gan.Pix2Pix(Echo(), Match(), lr=0.0, lr_D=0.05, mismatched=mismatched)
            train.fit(objective, (x, x), steps=100, batch_size=2, progress=False)
            torch.testing.assert_close(objective.D(x, x).detach(), torch.full((2,), expected), atol=0.02, rtol=0)

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
            objective = gan.Pix2Pix(Noisy(), gan.PatchDiscriminator(2, width=2, n_layers=1), variety=variety, apart=0.3)
            (_, d, _), (_, g, _) = objective.losses((x, x), seeded(0))
            losses[variety] = d.detach(), g.detach()
        assert torch.equal(losses[0.0][0], losses[2.0][0])
        torch.testing.assert_close(losses[2.0][1] - losses[0.0][1], torch.tensor(2 * expected), atol=4e-3, rtol=0)

    def test_variety_makes_g_use_its_noise(self):
        """The same training without and with it: answers to other noise come further apart."""
        apart = []
        for variety in (0.0, 5.0):
            objective = pix2pix(lam=1.0, lr=2e-3, variety=variety)
            train.fit(objective, pairs(8), steps=30, batch_size=8, seed=0, progress=False)
            x = pairs(8).x
            one, two = (gan.generate(objective.G, x, generator=seeded(s)) for s in (0, 1))
            apart.append(float((one - two).abs().mean()))
        assert apart[1] > 1.5 * apart[0]

    def test_the_same_seed_generates_the_same_pictures(self):
        objective, (x, _) = pix2pix().eval(), pairs()
        one, two, other = (gan.generate(objective.G, x, generator=seeded(s)) for s in (0, 0, 1))
        assert torch.equal(one, two)
        assert not torch.equal(one, other)
        assert not one.requires_grad
        z = torch.zeros(6, 2, 16, 16)
        assert torch.equal(gan.generate(objective.G, x, z), gan.generate(objective.G, x, z))

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
            (lambda: pix2pix(mismatched=1.0).check(pairs(1)), "batch: expected at least two pairs"),
            (lambda: pix2pix(conditional="False"), "conditional: expected True or False, got 'False'"),
            (lambda: pix2pix(conditional=1), "conditional: expected True or False, got 1"),
            (lambda: gan.Pix2Pix(lambda x: x, nn.Identity()), "G: expected a Module"),  # type: ignore
            (lambda: next(pix2pix().losses(pairs().y)), "batch: expected .*got 1 tensors"),
            (
                lambda: next(pix2pix().losses((pairs().x, pairs().y[:, :, :8]))),
                r"y: expected .*\(6, 1, 16, 16\).*got float32 of shape \(6, 1, 8, 16\)",
            ),
            (lambda: next(pix2pix().losses((pairs().x / 0, pairs().y))), "x: expected .*NaN or infinite"),
            (lambda: pix2pix().check((pairs().x / 0, pairs().y)), "x: expected .*NaN or infinite"),
            (lambda: gan.generate(pix2pix().G, pairs().x / 0), "x: expected .*NaN or infinite"),
            (
                lambda: gan.generate(pix2pix().G, pairs().x, torch.full((6, 2, 16, 16), math.nan)),
                "z: expected .*NaN or infinite",
            ),
            (lambda: gan.generate(pix2pix().G, pairs().x[0]), "x: expected a float tensor of shape"),
            (lambda: gan.generate(None, pairs().x), "G: expected a Module, got None"),  # type: ignore
            (lambda: gan.generate(pix2pix().G, [0.0]), "x_or_label: expected a Tensor"),  # type: ignore
            (lambda: next(pix2pix().losses((pairs().x[:3], pairs().y))), r"batch: expected .*\[3, 6\]"),
            (lambda: next(pix2pix().losses((pairs().x[..., :15, :], pairs().y))), "x: expected .*height and width"),
        ],
    )
    def test_bad_input_is_refused(self, call, message):
        with pytest.raises(ValueError, match=f"^{message}"):
            call()

    def test_several_answers_to_one_picture(self):
        """Each with noise of its own; and G keeps its mode, without gradients."""
        G, (x, _) = pix2pix().G, pairs()
        answers = G.sample(4, x[:1], seeded(0))
        assert answers.shape == (4, 1, 16, 16)
        assert not torch.equal(answers[0], answers[1])
        same = gan.generate(G, x[:1].expand(4, -1, -1, -1), generator=seeded(0))
        assert torch.equal(answers, same)
        assert torch.equal(G.sample(6, x, seeded(1)), gan.generate(G, x, None, seeded(1)))
        assert G.training
        assert not answers.requires_grad

    def test_networks_in_half_precision_answer(self):
        objective, (x, y) = pix2pix(mismatched=1.0, variety=1.0).to(torch.bfloat16), pairs(dtype=torch.bfloat16)
        made = gan.generate(objective.G, x, generator=seeded(0))
        assert made.dtype == torch.bfloat16
        z = torch.randn(6, 2, 16, 16).bfloat16()
        close = gan.generate(pix2pix().G, x.float(), z.float())
        torch.testing.assert_close(gan.generate(objective.G, x, z).float(), close, atol=0.05, rtol=0)
        assert all(torch.isfinite(loss) for _, loss, _ in objective.losses((x, y), seeded(0)))

    def test_views_are_as_good_as_copies(self):
        objective, (x, y) = pix2pix(mismatched=1.0, gamma=1.0), pairs()
        views = x.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2), torch.stack([y, y], -1)[..., 0]
        assert not any(view.is_contiguous() for view in views)
        for (_, one, _), (_, two, _) in zip(
            objective.losses((x, y), seeded(0)), objective.losses(views, seeded(0)), strict=True
        ):
            torch.testing.assert_close(one, two)

    def test_one_pair_is_a_batch(self):
        assert len(list(pix2pix().losses(pairs(1)))) == 2


class TestClassConditional:
    def test_the_class_reaches_both(self):
        objective = digits()
        with torch.no_grad():
            nn.init.normal_(objective.D.embedding.weight)
        z, y = torch.randn(4, 32), torch.randn(4, 1, 8, 8)
        one, two = torch.zeros(4, dtype=torch.int64), torch.full((4,), 7)
        assert not torch.equal(gan.generate(objective.G, one, z), gan.generate(objective.G, two, z))
        assert not torch.equal(objective.D(one, y), objective.D(two, y))
        assert objective.D(None, y).shape == (4, 1)

    def test_the_projection_written_out(self):
        D: Any = gan.ProjectionDiscriminator(width=16, depth=1).double()
        nn.init.normal_(D.embedding.weight)
        y, label = torch.randn(5, 1, 8, 8, dtype=torch.float64), torch.tensor([0, 3, 3, 9, 1])
        phi = nn.functional.leaky_relu(y.flatten(1) @ D.hidden[0].weight.T + D.hidden[0].bias, 0.2)
        expected = phi @ D.last.weight[0] + D.last.bias + torch.einsum("bd,bd->b", D.embedding.weight[label], phi)
        torch.testing.assert_close(D(label, y)[:, 0], expected)

    def test_what_it_makes_are_pictures(self):
        label = torch.arange(10)
        y = gan.generate(digits().G, label, generator=seeded(0))
        assert y.shape == (10, 1, 8, 8)
        assert float(y.abs().max()) <= 1

    def test_it_generates_in_evaluation_whatever_mode_it_is_in(self):
        """A picture depends on its own label and z alone, and the running means of a objective in training stay."""
        objective, label, z = digits().train(), torch.arange(10), torch.randn(10, 32)
        list(objective.losses(pictures(), seeded(0)))  # so that the running means are not 0
        before = {name: value.clone() for name, value in objective.state_dict().items()}
        together = gan.generate(objective.G, label, z)
        alone = torch.cat([gan.generate(objective.G, label[i : i + 1], z[i : i + 1]) for i in range(10)])
        torch.testing.assert_close(together, alone)
        assert objective.G.training
        assert all(torch.equal(value, before[name]) for name, value in objective.state_dict().items())
        torch.testing.assert_close(objective.eval().G(label, z).detach(), together)
        assert float(objective.G.norms[0].running_mean.abs().max()) > 0

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: gan.generate(digits().G, torch.tensor([10])), r"label: expected classes 0\.\.9.*10\.\.10"),
            (lambda: gan.generate(digits().G, torch.tensor([1]), torch.full((1, 32), math.nan)), "z: expected .*NaN"),
            (
                lambda: next(digits().losses((pictures().x[..., :7], pictures().label))),
                r"y: expected .*\(8, 1, 8, 8\).*\(8, 1, 8, 7\)",
            ),
            (lambda: gan.generate(digits().G, torch.tensor([1.0])), "label: expected .*int64.*got float32"),
            (lambda: digits().D(torch.tensor([1]), torch.zeros(2, 1, 8, 8)), r"y: expected .*\(1, 1, 8, 8\)"),
            (lambda: digits().D(torch.tensor([1]), torch.zeros(1, 1, 8, 7)), "y: expected"),
            (lambda: next(digits().losses(pictures().x)), "batch: expected .*got 1 tensors"),
            (lambda: digits().check((pictures().x, pictures().label + 5)), r"label: expected classes 0\.\.9"),
            (lambda: digits().check((pictures().x, pictures().label.float())), r"label: expected classes 0\.\.9"),
            (lambda: next(digits().losses(pictures(1))), "label: expected at least two examples in training, got 1"),
            (lambda: digits().G.sample(3), r"label: expected classes 0\.\.9"),
            (lambda: digits().G.sample(3, torch.tensor([1])), r"label: expected .*\(3,\)"),
            (lambda: digits().G.sample(3, 10), r"label: expected classes 0\.\.9.*got 10"),
            (lambda: digits().G.sample(-1, 1), "n: expected a whole number"),
            (lambda: digits().G.sample(10**12, 1), "n: expected a whole number"),
            (lambda: gan.MLPGenerator(n_classes=10, n_condition=3), "n_classes, n_condition: expected one"),
            (lambda: gan.MLPGenerator(depth=10**12), "depth: expected"),
            (lambda: gan.MLPGenerator(n_classes=10**12), "n_classes: expected"),
            (lambda: gan.MLPGenerator((10_000, 10_000)), "shape: expected"),
            (lambda: gan.MLPGenerator(()), "shape: expected"),
            (lambda: gan.ProjectionDiscriminator((10_000, 10_000)), "shape: expected"),
        ],
    )
    def test_bad_input_is_refused(self, call, message):
        with pytest.raises(ValueError, match=f"^{message}"):
            call()

    def test_one_class_for_all_or_one_for_each(self):
        G = digits().G
        sevens = G.sample(5, 7, seeded(0))
        assert torch.equal(sevens, G.sample(5, torch.full((5,), 7), seeded(0)))
        assert sevens.shape == (5, 1, 8, 8)
        assert G.sample(0, 7).shape == (0, 1, 8, 8)
        assert G.training
        assert not sevens.requires_grad

    def test_networks_in_half_precision_answer(self):
        objective, (y, label) = digits().to(torch.bfloat16), pictures()
        assert all(torch.isfinite(loss) for _, loss, _ in objective.losses((y.bfloat16(), label), seeded(0)))
        assert objective.G.sample(8, label).dtype == torch.bfloat16


class TestVectors:
    """A condition may be a vector: one-hot vectors are classes."""

    def networks(self) -> tuple[Any, Any, Any, Any]:
        torch.manual_seed(0)
        classes = gan.MLPGenerator(width=16), gan.ProjectionDiscriminator(width=16)
        torch.manual_seed(0)
        told: Any = {"n_condition": 10}
        vectors = gan.MLPGenerator(width=16, **told), gan.ProjectionDiscriminator(width=16, **told)
        nn.init.normal_(classes[1].embedding.weight)
        with torch.no_grad():
            vectors[1].embedding.weight.copy_(classes[1].embedding.weight.T)
        return *classes, *vectors

    def test_one_hot_vectors_are_classes(self):
        G, D, G_of_vectors, D_of_vectors = self.networks()
        y, label = pictures()
        c, z = nn.functional.one_hot(label, 10).float(), torch.randn(8, 32)
        torch.testing.assert_close(G_of_vectors(c, z), G(label, z))
        torch.testing.assert_close(D_of_vectors(c, y), D(label, y))

    def test_they_are_trained_and_drawn_from(self):
        *_, G, D = self.networks()
        objective, y, c = gan.ClassConditional(G, D), pictures().x, torch.randn(8, 10)
        objective.check((y, c))
        assert [name for name, _, _ in objective.losses((y, c))] == ["D", "G"]
        assert G.sample(3, c[:3], seeded(0)).shape == (3, 1, 8, 8)
        assert D(None, y).shape == (8, 1)

    @pytest.mark.parametrize("label", [None, 3, torch.arange(8), torch.randn(8, 9), torch.randn(8, 10).double()])
    def test_anything_else_is_refused(self, label):
        *_, G, D = self.networks()
        for call in (lambda: G.sample(8, label), lambda: G(label)):
            with pytest.raises(ValueError, match=r"^label: expected a float tensor of shape \(\w+, 10\)"):
                call()
        if label is not None:
            with pytest.raises(ValueError, match=r"^label: expected a float tensor"):
                D(label, pictures().x)
        with pytest.raises(ValueError, match=r"^label: .*NaN"):
            gan.ClassConditional(G, D).check((pictures().x, torch.full((8, 10), math.nan)))


CLASS, ONE_HOT = torch.tensor([0, 3, 9, 1]), torch.eye(10)[:4]
DIGITS, PICTURE = torch.rand(4, 1, 8, 8), torch.randn(4, 3, 16, 16)


@pytest.mark.parametrize(
    ("make", "inputs"),
    [
        (lambda: gan.ProjectionDiscriminator(width=8, dropout=0.5).eval(), (CLASS, DIGITS)),
        (lambda: gan.ProjectionDiscriminator(width=8, n_condition=10), (ONE_HOT, DIGITS)),
        (lambda: gan.PatchDiscriminator(4, 4, 1, norm="instance"), (PICTURE, torch.randn(4, 1, 16, 16))),
        (lambda: gan.PatchDiscriminator(1, 4, 1, norm="none", projection=3), (PICTURE, torch.randn(4, 1, 16, 16))),
        (lambda: gan.PatchDiscriminator(4, 4, 0, norm="none"), (PICTURE, torch.randn(4, 1, 16, 16))),
    ],
)
def test_transforms_compilers_and_copies_take_a_discriminator(make, inputs):
    torch.manual_seed(0)
    network: Any = make()
    expected = network(*inputs)
    each = torch.func.vmap(lambda *i: network(*(x[None] for x in i))[0])  # type: ignore[index]
    torch.testing.assert_close(each(*inputs), expected)
    torch.testing.assert_close(torch.compile(network, fullgraph=True, backend="eager")(*inputs), expected)
    torch.testing.assert_close(torch.export.export(network, inputs).module()(*inputs), expected)
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert torch.equal(other(*inputs), expected)
        assert other.config() == network.config()


def test_what_weights_do_not_say_is_in_config():
    """Networks with weights of the same names and shapes that are other functions."""
    for one, other in (
        (gan.UNetGenerator(3, 1, 4, 3), gan.UNetGenerator(3, 1, 4, 3, dropout=0.5)),
        (gan.UNetGenerator(3, 1, 4, 3), gan.UNetGenerator(2, 1, 4, 3, noise=1)),
        (gan.UNetGenerator(3, 1, 4, 3), gan.UNetGenerator(3, 1, 4, 3, norm="instance")),
        (gan.MLPGenerator((1, 8, 8)), gan.MLPGenerator((64,))),
        (gan.MLPGenerator(n_classes=10), gan.MLPGenerator(n_condition=10)),
        (gan.MLPGenerator(n_classes=10, latent=32), gan.MLPGenerator(n_classes=32, latent=10)),
        (gan.ProjectionDiscriminator(), gan.ProjectionDiscriminator(dropout=0.5)),
    ):
        assert {k: v.shape for k, v in one.named_parameters()} == {k: v.shape for k, v in other.named_parameters()}
        assert one.config() != other.config()
        assert json.loads(json.dumps(one.config())) == one.config()


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
