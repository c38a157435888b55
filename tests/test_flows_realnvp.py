"""RealNVP for vectors and for pictures: whole compositions against autograd, inverses to the promised precision."""

import pytest
import torch
from flow_cases import jacobian, log_abs_det, randomised, seeded  # noqa: F401

from genlib import flows
from genlib.flows import RealNVP

CASES = {
    "2-D": lambda: RealNVP.for_vectors(2, 8, 64),
    "odd": lambda: RealNVP.for_vectors(5, 4, 16, depth=3),
    "random masks": lambda: RealNVP.for_vectors(7, 6, 16, mask="random"),
    "an odd number of couplings": lambda: RealNVP.for_vectors(3, 5, 16),
    "digits as vectors": lambda: RealNVP.for_vectors(16, 8, 24, levels=17, n_classes=10, mask="random", actnorm=True),
    "pictures": lambda: RealNVP.for_images((1, 4, 4), 17, n_scales=2, width=6, n_blocks=1),
    "odd pictures": lambda: RealNVP.for_images((2, 3, 5), 17, width=6, n_blocks=1),
    "not square, as in the paper": lambda: RealNVP.for_images(
        (1, 4, 8), 17, n_scales=3, width=4, n_blocks=1, norm=True, n_classes=3
    ),
    "1×1 convolutions": lambda: RealNVP.for_images((3, 4, 4), 256, n_scales=2, width=6, n_blocks=1, one_by_one=True),
}


def example(flow: flows.Flow, n: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor | None]:
    g = torch.Generator().manual_seed(1)
    x = torch.rand(n, *flow.shape, generator=g, dtype=torch.float64)
    x = x if flow.levels else 4 * x - 2
    return x.to(dtype), torch.randint(flow.n_classes, (n,), generator=g) if flow.n_classes else None


@pytest.mark.parametrize("name", CASES)
def test_log_det_is_autograd_s(name: str) -> None:
    flow = randomised(CASES[name]().double(), 0.1).eval()
    x, label = example(flow, 2, torch.float64)
    z, log_det = flow(x, label)
    assert z.shape == x.shape
    one = None if label is None else label[:1]
    expected = log_abs_det(jacobian(lambda x: flow(x, one)[0], x[0]))
    assert float(log_det[0].detach()) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("dtype", "tol"), [(torch.float32, 1e-5), (torch.float64, 1e-9)])
def test_inverse_after_forward_is_the_identity(name: str, dtype: torch.dtype, tol: float) -> None:
    """Relative error with weights N(0, 0.05²) around the initial ones, as a whole and for each example."""
    flow = randomised(CASES[name]().to(dtype), 0.05).eval()
    x, label = example(flow, 50, dtype)
    with torch.no_grad():
        z, log_det = flow(x, label)
        back, log_det_back = flow.inverse(z, label)
    assert z.dtype == log_det.dtype == dtype
    assert float(((back - x).flatten(1).norm(dim=1) / x.flatten(1).norm(dim=1)).max()) <= tol
    assert torch.allclose(log_det, -log_det_back, rtol=1e3 * torch.finfo(dtype).eps, atol=1e3 * torch.finfo(dtype).eps)
    assert not torch.allclose(z, x)


def test_points_start_with_he_s_weights_and_pictures_with_torch_s_unless_told() -> None:
    def variance(**arguments: object) -> float:
        flow = RealNVP.for_vectors(4, 8, 64, **arguments)  # type: ignore[arg-type]
        return float(
            torch.cat([w.flatten() for n, w in flow.named_parameters() if "hidden.0.weight" in n]).var().detach()
        )

    for he, arguments in (
        (True, {}),
        (False, {"levels": 17}),
        (False, {"he": False}),
        (True, {"levels": 17, "he": True}),
    ):
        assert variance(**arguments) == pytest.approx(2 / 64 if he else 1 / (3 * 64), rel=0.05)


def test_every_output_depends_on_every_input_after_three_couplings_and_not_after_two() -> None:
    for n, zeros in ((1, True), (2, True), (3, False)):
        flow = randomised(RealNVP.for_vectors(4, n, 16).double(), 0.5)
        J = jacobian(lambda x, flow=flow: flow(x)[0], torch.tensor([0.3, -0.2, 0.5, 0.1], dtype=torch.float64))
        assert bool((J == 0).any()) == zeros


def test_random_masks_follow_the_seed_and_come_in_pairs() -> None:
    def masks_of(seed: int) -> torch.Tensor:
        flow = RealNVP.for_vectors(10, 6, 8, mask="random", seed=seed)
        return torch.stack([layer.mask for layer in flow.layers])  # type: ignore

    assert torch.equal(masks_of(1), masks_of(1))
    assert not torch.equal(masks_of(1), masks_of(2))
    assert torch.equal(masks_of(1)[0::2], ~masks_of(1)[1::2])
    assert not torch.equal(masks_of(1)[0], masks_of(1)[2])


def test_masks_and_layers_at_two_scales() -> None:
    flow = RealNVP.for_images((1, 8, 8), 17, n_scales=2, width=4, n_blocks=1)
    names = [type(layer).__name__ for layer in flow.layers]
    assert names == ["Logit", *["AffineCoupling"] * 3, "Squeeze", *["AffineCoupling"] * 3, "FactorOut", "Inverse"]
    inner = flow.layers[-2].inner  # type: ignore
    assert [type(layer).__name__ for layer in inner] == ["AffineCoupling"] * 4  # type: ignore
    assert inner[0].mask.shape == (2, 4, 4)  # type: ignore
    assert flow.layers[5].net.first.out_channels == 8  # type: ignore


def test_a_1x1_convolution_before_each_coupling_at_every_scale_each_its_own() -> None:
    flow = RealNVP.for_images((3, 8, 8), n_scales=2, width=4, n_blocks=1, one_by_one=True)
    pairs = ["InvertibleConv", "AffineCoupling"] * 3
    assert [type(layer).__name__ for layer in flow.layers] == [
        "Logit",
        *pairs,
        "Squeeze",
        *pairs,
        "FactorOut",
        "Inverse",
    ]
    inner = flow.layers[-2].inner  # type: ignore
    assert [type(layer).__name__ for layer in inner] == ["InvertibleConv", "AffineCoupling"] * 4  # type: ignore
    convs = [m for m in flow.modules() if isinstance(m, flows.InvertibleConv)]
    assert [conv.n for conv in convs] == [3] * 3 + [12] * 3 + [6] * 4
    assert not torch.allclose(convs[0].weight(), convs[1].weight())
    assert not any(isinstance(m, flows.InvertibleConv) for m in RealNVP.for_images((3, 8, 8), width=4).modules())


def test_the_networks_start_alike_with_and_without_1x1_convolutions() -> None:
    """So that two trainings differ in what mixes the channels alone."""

    def networks(one_by_one: bool) -> list[torch.Tensor]:
        torch.manual_seed(0)
        flow = RealNVP.for_images((3, 8, 8), width=4, one_by_one=one_by_one)
        return [p for m in flow.modules() if isinstance(m, flows.ConvNet) for p in m.parameters()]

    assert all(map(torch.equal, networks(True), networks(False)))


def test_the_colours_of_a_pixel_see_each_other_through_a_1x1_convolution() -> None:
    """A checkerboard, as every mask of a picture here, keeps or changes a pixel's three colours together."""
    for one_by_one in (False, True):
        flow = randomised(RealNVP.for_images((3, 2, 2), n_scales=1, width=4, one_by_one=one_by_one).double(), 0.3)
        first = flows.Compose(list(flow.layers)[1 : 3 if one_by_one else 2])
        J = jacobian(lambda x, first=first: first(x)[0], torch.rand(3, 2, 2, dtype=torch.float64))
        within = J.reshape(3, 4, 3, 4).diagonal(dim1=1, dim2=3)  # of a pixel's colours, by another of its own
        assert bool((within[0, 1] != 0).all()) == one_by_one


@pytest.mark.parametrize(
    ("shape", "n"), [((1, 8, 8), 2), ((3, 32, 32), 4), ((1, 4, 4), 1), ((1, 28, 28), 3), ((1, 5, 8), 1)]
)
def test_as_many_scales_as_there_are_down_to_four_pixels(shape: tuple[int, int, int], n: int) -> None:
    flow, found = RealNVP.for_images(shape, width=2, n_blocks=0), 1
    layers = flow.layers
    while any(inner := [layer for layer in layers if isinstance(layer, flows.FactorOut)]):  # type: ignore
        layers, found = inner[0].inner, found + 1
    assert found == n


def test_the_paper_s_flow() -> None:
    """10 couplings, each net of 8 blocks, 64 maps and then 128, learned scales, batch norm after every coupling."""
    flow = RealNVP.paper()
    couplings = [m for m in flow.modules() if isinstance(m, flows.AffineCoupling)]
    assert flow.shape == (3, 32, 32)
    assert flow.levels == 256
    assert len(couplings) == 3 + 3 + 4
    assert all(len(c.net.blocks) == 8 and c.scale is not None for c in couplings)  # type: ignore
    assert [c.net.condition for c in couplings] == [None] * 10
    assert [c.net.last.in_channels for c in couplings] == [64] * 3 + [128] * 7
    assert sum(isinstance(m, flows.BatchNorm) for m in flow.modules()) == 10
    assert [m.alpha for m in flow.modules() if isinstance(m, flows.Logit)] == [0.05]
    assert sum(p.numel() for p in flow.parameters()) == PAPER_PARAMETERS


def test_the_paper_s_parameters_by_hand() -> None:
    """A 3 × 3 convolution with weight norm has 9·n_in·n_out + n_out weights and n_out biases; batch norm 2 per map."""

    def conv(n_in: int, n_out: int) -> int:
        return 9 * n_in * n_out + 2 * n_out

    def net(n_in: int, n_out: int, width: int) -> int:
        return conv(n_in, width) + 8 * 2 * (conv(width, width) + 2 * width) + 2 * width + width * n_out + n_out

    boards = 3 * (net(3, 6, 64) + 3)
    channels = 3 * (net(6, 12, 128) + 6)
    last = 4 * (net(6, 12, 128) + 6)
    assert boards + channels + last == PAPER_PARAMETERS


PAPER_PARAMETERS = 18_424_153


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: RealNVP.for_vectors(1), "dim"),
        (lambda: RealNVP.for_vectors(2, 0), "n_couplings"),
        (lambda: RealNVP.for_vectors(2, 10**12), "n_couplings"),
        (lambda: RealNVP.for_vectors(2**63), "dim"),
        (lambda: RealNVP.for_vectors(2, depth=10**12), "depth"),
        (lambda: RealNVP.for_vectors(2, n_classes=3, n_condition=3), "n_classes, n_condition"),
        (lambda: RealNVP.for_vectors(2, base=3), "base"),  # type: ignore
        (lambda: RealNVP.for_vectors(2, actnorm="yes"), "actnorm"),  # type: ignore
        (lambda: RealNVP.for_images((1, 10**9, 10**9)), "shape"),
        (lambda: RealNVP.paper((3, 32)), "shape"),
        (lambda: RealNVP.for_vectors(2, mask="checkerboard"), "mask"),  # type: ignore
        (lambda: RealNVP.for_vectors(2, dropout=1.0), "dropout"),
        (lambda: RealNVP.for_vectors(2, seed=-1), "seed"),
        (lambda: RealNVP.for_vectors(2, n_classes=0), "n_classes"),
        (lambda: RealNVP.for_vectors(2, n_classes=-1), "n_classes"),
        (lambda: RealNVP.for_images((1, 8, 8), n_classes=-1), "n_classes"),
        (lambda: RealNVP.for_images((1, 6, 8), n_scales=3), "shape"),
        (lambda: RealNVP.for_images((1, 1, 1)), "shape"),
        (lambda: RealNVP.for_images((1, 2, 2), n_scales=3), "shape"),
        (lambda: RealNVP.for_images((1, 4, 4), n_scales=3), "n_scales"),
        (lambda: RealNVP.for_images((3, 2, 2), n_scales=2), "n_scales"),
        (lambda: RealNVP.for_images((1, 2, 8), n_scales=0), "n_scales"),
        (lambda: RealNVP.for_images((8, 8)), "shape"),  # type: ignore
        (lambda: RealNVP.for_images((1, 8, 8), levels=1), "levels"),
        (lambda: RealNVP.for_images((1, 8, 8), width=0), "width"),
        (lambda: RealNVP.for_images((1, 8, 8), one_by_one=1), "one_by_one"),  # type: ignore
        (lambda: RealNVP.for_images((1, 8, 8), 17)(torch.zeros(2, 1, 8, 7)), "x"),
        (lambda: RealNVP.for_images((1, 8, 8), 17)(torch.zeros(2, 3, 8, 8)), "x"),
        (lambda: RealNVP.for_images((1, 8, 8), 17)(torch.zeros(2, 64)), "x"),
    ],
)
def test_wrong_input_is_named(make, name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        make()
