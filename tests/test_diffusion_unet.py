"""The U-Net: the papers' sizes to the digit, gradients against finite differences, what it does before training."""

import itertools
import math
from typing import Any

import pytest
import torch
from torch import nn

from genlib.diffusion import DDPM, Denoising, Schedule, UNet
from genlib.diffusion.unet import Attention


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def awake(module: Any, seed: int = 0) -> Any:
    """With random weights everywhere: zero-initialised ones would hide what comes before them."""
    g = generator(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=g, dtype=p.dtype) * (0.5 / math.sqrt(max(p[0].numel(), 1))))
    return module


def n_parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("size", "expected"), [(32, 35_746_307), (256, 113_673_219)])
def test_the_papers_networks_to_the_digit(size: int, expected: int) -> None:
    with torch.device("meta"):
        unet = UNet.paper(size)  # type: ignore[arg-type]
    assert n_parameters(unet) == expected


def test_the_papers_network_attends_at_16_only_and_in_the_middle() -> None:
    """Seen by running it: the sizes that attention meets, for pictures of 32²."""
    with torch.device("meta"):
        unet = UNet.paper()
        sizes = []
        for part in unet.modules():
            if isinstance(part, Attention):
                part.register_forward_hook(lambda _, args, __: sizes.append(args[0].shape[-1]))
        unet(torch.empty(2, 3, 32, 32), torch.empty(2, dtype=torch.int64))
    assert sorted(sizes) == [4, 16, 16, 16, 16, 16]
    assert {part.p for part in unet.modules() if isinstance(part, nn.Dropout)} == {0.1}


def test_paper_can_be_changed_and_refuses_other_sizes() -> None:
    with torch.device("meta"):
        unet = UNet.paper(n_classes=10, learned_variance=True)
        out = unet(torch.empty(1, 3, 32, 32), torch.empty(1, dtype=torch.int64))
    assert out.shape == (1, 6, 32, 32)
    with pytest.raises(ValueError, match=r"size: .*32, 256.*got 64"):
        UNet.paper(64)  # type: ignore[arg-type]


def test_the_digits_network() -> None:
    unet = UNet.digits()
    assert n_parameters(unet) == 164_689
    assert unet(torch.zeros(1, 1, 8, 8), torch.tensor([1]), torch.tensor([9])).shape == (1, 1, 8, 8)
    assert UNet.digits(n_classes=None, learned_variance=True)(torch.zeros(1, 1, 8, 8), torch.tensor([1])).shape[1] == 2


def test_before_training_the_answer_is_zero_and_the_blocks_do_nothing() -> None:
    unet = UNet(width=8, attention=(1, 2), n_classes=3)
    x = torch.randn(4, 1, 8, 8, generator=generator())
    t, label = torch.tensor([1, 2, 3, 4]), torch.tensor([0, 1, 2, -1])
    assert (unet(x, t, label) == 0).all()
    with torch.no_grad():
        unet.last.weight.normal_(generator=generator())
    assert torch.equal(unet(x, t, label), unet(x, t + 1, label.flip(0)))  # nobody listens to t or the class yet


@pytest.mark.parametrize("width", [1, 3, 6, 7, 10, 24, 30, 33, 48])
def test_any_width_will_do(width: int) -> None:
    unet = UNet(channels=2, width=width, mults=(1, 2), n_blocks=1)
    out = unet(torch.zeros(2, 2, 6, 4), torch.tensor([1, 2]))
    assert out.shape == (2, 2, 6, 4)
    for part in unet.modules():
        if isinstance(part, nn.GroupNorm):
            assert part.num_channels % part.num_groups == 0
            assert part.num_groups <= 32
            assert part.num_groups == 1 or part.num_channels // part.num_groups >= 4


def test_patches_become_channels() -> None:
    """A network with patches is one without, on pictures whose squares are laid into channels by hand."""
    plain = awake(UNet(12, 8, (1, 2), 1, n_classes=3)).double()
    patched = UNet(3, 8, (1, 2), 1, n_classes=3, patch=2).double()
    patched.load_state_dict(plain.state_dict())
    x, t = torch.randn(2, 3, 8, 12, generator=generator(1), dtype=torch.float64), torch.tensor([2, 900])

    def laid(x: torch.Tensor) -> torch.Tensor:  # row and column inside a square become channels, fastest last
        return torch.stack([x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)], 2).flatten(1, 2)

    assert torch.allclose(laid(patched(x, t, t * 0)), plain(laid(x), t, t * 0), atol=1e-12)
    assert patched.config() != plain.config()
    with pytest.raises(ValueError, match=r"x_t: .*divisible by 4"):
        patched(x[:, :, :6], t)


def test_group_norm_has_the_papers_groups() -> None:
    with torch.device("meta"):
        unet = UNet.paper()
    assert {part.num_groups for part in unet.modules() if isinstance(part, nn.GroupNorm)} == {32}


@pytest.mark.parametrize(
    ("mults", "attention", "heads"), list(itertools.product([(1,), (1, 2), (2, 1, 1)], [(), (1,)], [1, 2]))
)
def test_shapes_and_that_every_weight_matters(mults: tuple[int, ...], attention: tuple[int, ...], heads: int) -> None:
    unet = awake(UNet(3, 4, mults, 1, attention, heads, n_classes=5, learned_variance=True))
    x = torch.randn(3, 3, 8, 4, generator=generator(1))
    out = unet(x, torch.tensor([1, 40, 1000]), torch.tensor([4, 0, -1]))
    assert out.shape == (3, 6, 8, 4)
    out.square().sum().backward()
    for name, p in unet.named_parameters():
        assert p.grad is not None, name
        assert p.grad.abs().sum() > 0, name


def test_gradient_is_that_of_finite_differences_in_float64() -> None:
    unet = awake(UNet(1, 4, (1, 2), 1, (2,), n_classes=2)).double()
    x = torch.randn(2, 1, 4, 4, generator=generator(1), dtype=torch.float64, requires_grad=True)
    t, label = torch.tensor([3, 700]), torch.tensor([1, -1])
    assert torch.autograd.gradcheck(lambda x: unet(x, t, label), (x,), atol=1e-6)


def test_examples_do_not_see_each_other() -> None:
    unet = awake(UNet(1, 8, (1, 2), 1, (1,), n_classes=4)).double()
    x = torch.randn(3, 1, 4, 4, generator=generator(1), dtype=torch.float64)
    t, label = torch.tensor([1, 20, 300]), torch.tensor([-1, 3, 0])
    together = unet(x, t, label)
    alone = torch.cat([unet(x[i : i + 1], t[i : i + 1], label[i : i + 1]) for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-12)


def test_step_class_and_none_are_heard() -> None:
    unet = awake(UNet(1, 8, (1, 2), 1, n_classes=4)).double()
    x = torch.randn(1, 1, 4, 4, generator=generator(1), dtype=torch.float64)
    outs = [unet(x, torch.tensor([t]), torch.tensor([k])) for t in (1, 2, 999, 1000) for k in (-1, 0, 1, 3)]
    for a, b in itertools.combinations(outs, 2):
        assert (a - b).abs().max() > 1e-6
    assert torch.equal(unet(x, torch.tensor([2])), unet(x, torch.tensor([2]), torch.tensor([-1])))  # None is "none"


def test_attention_is_the_formula() -> None:
    """One head, written out pixel by pixel."""
    attention = awake(Attention(4, 1)).double()
    x = torch.randn(2, 4, 2, 3, generator=generator(1), dtype=torch.float64)
    h = attention.norm(x).flatten(2)  # (B, C, N)
    W, b = attention.q_k_v.weight.view(12, 4), attention.q_k_v.bias
    q, k, v = (torch.einsum("cd,bdn->bnc", W[i : i + 4], h) + b[i : i + 4] for i in (0, 4, 8))
    expected = torch.empty(2, 4, 6, dtype=torch.float64)
    for batch, i in itertools.product(range(2), range(6)):
        share = (k[batch] @ q[batch, i] / 2).softmax(0)
        expected[batch, :, i] = attention.out.weight.view(4, 4) @ (share @ v[batch]) + attention.out.bias
    assert torch.allclose(attention(x), x + expected.view(2, 4, 2, 3), atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_any_dtype(dtype: torch.dtype) -> None:
    unet = awake(UNet(1, 8, (1, 2), 1, (2,), n_classes=4))
    x, t, label = torch.randn(2, 1, 4, 4, generator=generator(1)), torch.tensor([999, 1000]), torch.tensor([1, 2])
    expected = unet(x, t, label)
    out = unet.to(dtype)(x.to(dtype), t, label)
    assert out.dtype == dtype
    assert torch.allclose(out.float(), expected, atol=1e-4 if dtype == torch.float64 else 0.1)


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_last_is_the_same_function_and_lies_so_throughout(channels: int) -> None:
    """Of one channel both layouts are one, so that without help what follows would mix them."""
    unet = awake(UNet(channels, 8, (1, 2), 1, (2,))).double()
    x = torch.randn(2, channels, 8, 8, generator=generator(1), dtype=torch.float64)
    t, expected = torch.tensor([3, 700]), {}
    out = unet(x, t)
    out.square().sum().backward()
    for name, p in unet.named_parameters():
        expected[name], p.grad = p.grad, None
    unet.to(memory_format=torch.channels_last)
    layouts = set()

    def look(module: nn.Module, _: Any, x: torch.Tensor) -> None:
        if x.dim() == 4 and x.shape[1] > 1:
            layouts.add(x.is_contiguous(memory_format=torch.channels_last))

    for module in [*unet.down.modules(), *unet.middle.modules(), *unet.up.modules()]:
        module.register_forward_hook(look)
    again = unet(x, t)
    again.square().sum().backward()
    assert torch.allclose(again, out, atol=1e-12)
    for name, p in unet.named_parameters():
        assert p.grad is not None
        assert torch.allclose(p.grad, expected[name], atol=1e-10), name
    assert layouts == {True}


def test_dropout_only_while_training() -> None:
    unet = awake(UNet(1, 8, (1,), 1, dropout=0.5))
    x, t = torch.randn(1, 1, 4, 4, generator=generator(1)), torch.tensor([1])
    assert not torch.equal(unet(x, t), unet(x, t))
    unet.eval()
    assert torch.equal(unet(x, t), unet(x, t))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": 0}, "channels"),
        ({"width": 1.5}, "width"),
        ({"mults": ()}, "mults"),
        ({"mults": "12"}, "mults"),
        ({"mults": (1, 0)}, "mults"),
        ({"n_blocks": 0}, "n_blocks"),
        ({"attention": (16,)}, "attention"),
        ({"attention": 2}, "attention"),
        ({"heads": 3}, r"heads: .*64.*got 3"),
        ({"n_classes": 0}, "n_classes"),
        ({"dropout": 1}, "dropout"),
        ({"dropout": float("nan")}, "dropout"),
    ],
)
def test_wrong_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UNet(**arguments)


@pytest.mark.parametrize(
    ("x_t", "t", "label", "message"),
    [
        (torch.zeros(2, 1, 6, 8), torch.ones(2, dtype=torch.int64), None, "divisible by 4"),
        (torch.zeros(2, 1, 0, 8), torch.ones(2, dtype=torch.int64), None, "divisible by 4"),
        (torch.zeros(2, 3, 8, 8), torch.ones(2, dtype=torch.int64), None, r"expected shape \(B, 1, H, W\)"),
        (torch.zeros(2, 64), torch.ones(2, dtype=torch.int64), None, "x_t"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.int64), torch.ones(2, dtype=torch.int64), None, "x_t"),
        (torch.zeros(2, 1, 8, 8), torch.ones(3, dtype=torch.int64), None, "t: expected"),
        (torch.zeros(2, 1, 8, 8), torch.ones(2), None, "t: expected"),
        (
            torch.zeros(2, 1, 8, 8),
            torch.ones(2, dtype=torch.int64),
            torch.tensor([0, 3]),
            r"label: .*0\.\.2.*got .*0\.\.3",
        ),
        (torch.zeros(2, 1, 8, 8), torch.ones(2, dtype=torch.int64), torch.tensor([-2, 0]), "label: expected classes"),
        (torch.zeros(2, 1, 8, 8), torch.ones(2, dtype=torch.int64), torch.zeros(2), "label: .*got float32"),
    ],
)
def test_wrong_inputs(x_t: torch.Tensor, t: torch.Tensor, label: torch.Tensor | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UNet(width=4, n_classes=3)(x_t, t, label)


def test_labels_for_a_network_without_classes() -> None:
    with pytest.raises(ValueError, match="label: expected None"):
        UNet(width=4)(torch.zeros(2, 1, 8, 8), torch.ones(2, dtype=torch.int64), torch.tensor([0, 1]))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_papers_network_trains_in_bfloat16() -> None:
    """Some steps on one batch: the loss goes down, weights stay float32, and a sample comes out."""
    from genlib import train

    torch.manual_seed(0)
    x = torch.rand(256, 3, 32, 32, generator=generator()) * 2 - 1
    x = torch.nn.functional.interpolate(x[:, :, ::8, ::8], scale_factor=8.0)
    ddpm = DDPM(UNet.paper(), Schedule.linear()).cuda()
    objective = Denoising(ddpm, lr=2e-4)
    history = train.fit(objective, x, steps=60, batch_size=64, seed=0, precision="bf16", log_every=1)
    losses = history.logs["loss"]
    assert sum(losses[-10:]) < 0.5 * sum(losses[:3]) * 10 / 3
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in ddpm.parameters())
    with torch.autocast("cuda", torch.bfloat16):
        sample = ddpm.sample(4, generator=generator(), steps=5, clip=True)
    assert sample.shape == (4, 3, 32, 32)
    assert sample.isfinite().all()
