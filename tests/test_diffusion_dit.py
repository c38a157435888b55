"""The transformer: the papers' sizes, attention by hand, what a block may and may not mix."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from genlib import data, train
from genlib.diffusion import DDPM, Denoising, DiT, Schedule


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_dit(**changes: Any) -> DiT:
    """With weights that are nowhere 0."""
    net = DiT(**{"channels": 1, "width": 8, "depth": 2, "heads": 2, "n_classes": 3, **changes}).double()
    for i, weight in enumerate(net.parameters()):
        torch.nn.init.normal_(weight, std=0.3, generator=torch.Generator().manual_seed(i))
    return net


T = torch.tensor([1, 20])


def test_the_papers_sizes() -> None:
    """Table 1: 33M, 130M, 458M, 675M; with the fixed places the authors' code counts 675,129,632."""
    with torch.device("meta"):
        sizes = {size: sum(p.numel() for p in DiT.paper(size).parameters()) for size in ("S", "B", "L", "XL")}  # type: ignore[arg-type]
        digits = sum(p.numel() for p in DiT.digits().parameters())
    assert {size: round(n / 1e6) for size, n in sizes.items()} == {"S": 33, "B": 130, "L": 458, "XL": 675}
    assert sizes["XL"] + 256 * 1152 == 675_129_632
    assert digits == 146_932


def test_before_training_a_block_does_nothing_and_the_answer_is_0() -> None:
    torch.manual_seed(0)
    net, h = DiT(width=8, depth=2, heads=2), torch.randn(2, 5, 8)
    assert torch.equal(net.blocks[0](h, torch.randn(2, 8)), h)
    assert torch.equal(net(torch.randn(2, 1, 4, 4), T), torch.zeros(2, 1, 4, 4))


def test_attention_is_the_softmax_of_products_head_by_head() -> None:
    block: Any = random_dit().blocks[0]
    h = normal(1, 5, 8)
    q, k, v = (
        h[0] @ weight.T + bias
        for weight, bias in zip(block.q_k_v.weight.chunk(3), block.q_k_v.bias.chunk(3), strict=True)
    )  # type: ignore[union-attr, operator]
    heads = []
    for part in (slice(0, 4), slice(4, 8)):
        share = torch.softmax(q[:, part] @ k[:, part].T / math.sqrt(4), dim=1)
        heads.append(share @ v[:, part])
    expected = torch.cat(heads, dim=1) @ block.out.weight.T + block.out.bias  # type: ignore[union-attr, operator]
    assert torch.allclose(block._attend(h)[0], expected)  # type: ignore[operator]


def test_a_block_is_shifted_scaled_and_gated_by_what_it_is_told() -> None:
    block, h, told = random_dit().blocks[0], normal(2, 5, 8), normal(2, 8, seed=1)
    six = (told @ block.modulation.weight.T + block.modulation.bias).chunk(6, dim=1)  # type: ignore[union-attr, operator]
    s_1, c_1, g_1, s_2, c_2, g_2 = (part[:, None] for part in six)

    def norm(h: Tensor) -> Tensor:
        return (h - h.mean(2, keepdim=True)) / (h.var(2, keepdim=True, correction=0) + 1e-6).sqrt()

    h_1 = h + g_1 * block._attend((1 + c_1) * norm(h) + s_1)  # type: ignore[operator]
    dense = torch.nn.functional.gelu(block.dense_1((1 + c_2) * norm(h_1) + s_2))  # type: ignore[operator]
    assert torch.allclose(block(h, told), h_1 + g_2 * block.dense_2(dense))  # type: ignore[operator]


def test_patches_know_their_place_by_what_is_added_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, patches that change places change the answer's patches in the same way."""
    net, x = random_dit(), normal(2, 1, 4, 6)
    turned = torch.cat([x[..., 2:], x[..., :2]], dim=3)  # by one patch

    def moved() -> Tensor:
        answer = net(x, T)
        return net(turned, T) - torch.cat([answer[..., 2:], answer[..., :2]], dim=3)

    assert moved().abs().max() > 1e-3
    monkeypatch.setattr("genlib.diffusion.dit.places", lambda rows, columns, like: 0)
    assert moved().abs().max() < 1e-9


def test_every_patch_sees_every_other_and_no_example_another() -> None:
    net, x = random_dit(), normal(2, 1, 4, 4).requires_grad_()
    (slopes,) = torch.autograd.grad(net(x, T)[0, 0, 0, 0], x)
    assert (slopes[0] != 0).all()
    assert (slopes[1] == 0).all()


def test_the_step_and_the_label_count() -> None:
    net, x = random_dit(), normal(2, 1, 4, 4)
    answers = [net(x, T), net(x, T + 1), net(x, T, torch.tensor([0, 1])), net(x, T, torch.tensor([-1, -1]))]
    assert torch.equal(answers[0], answers[3])
    for a, b in ((0, 1), (0, 2)):
        assert not torch.allclose(answers[a], answers[b])


@pytest.mark.parametrize(
    "arguments",
    [{"width": 6}, {"width": 8, "heads": 3}, {"n_classes": 2, "n_condition": 2}, {"patch": 0}, {"depth": 0}],
)
def test_what_does_not_go_together_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        DiT(**arguments)


@pytest.mark.parametrize("shape", [(2, 1, 5, 4), (2, 2, 4, 4), (2, 4, 4)])
def test_pictures_that_cannot_be_cut_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="x_t: expected shape"):
        DiT()(torch.zeros(shape), T)


def test_it_learns_digits_and_samples_them() -> None:
    torch.manual_seed(0)
    ddpm = DDPM(DiT.digits(width=16, depth=2, heads=2), Schedule.cosine(T=100), predict="v", levels=17)
    loss = train.fit(Denoising(ddpm), data.digits("train"), steps=60, seed=0, progress=False).logs["loss"]
    assert loss[-1] < 0.8 * loss[0]
    assert ddpm.sample(3, label=5, steps=5, guidance=1.0).shape == (3, 1, 8, 8)
