"""The judge of textures: right on real crops it has not seen, at chance where there is no texture."""

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from genlib import data, metrics
from genlib.metrics.classifier import FILES
from genlib.metrics.textures import PATCH, STRIDE


@pytest.fixture(scope="module")
def scenes() -> data.Pairs:
    return data.textures(128, seed=7)


def flat(x: Tensor) -> Tensor:
    """Each class in one tone: about the best answer in absolute error."""
    return (x * x.new_tensor([-0.16, 0.02, 0.03]).view(1, 3, 1, 1)).sum(1, keepdim=True)


# the judge


def test_the_judge_knows_held_out_crops() -> None:
    x, label = data.texture_crops(3000, PATCH, seed=11, split="test")
    seen = metrics.judge("textures")(x).argmax(1)
    assert float((seen == label).double().mean()) >= 0.97
    for c in range(3):
        assert float((seen[label == c] == c).double().mean()) >= 0.93


def test_the_judge_is_small_frozen_and_without_modes() -> None:
    assert FILES["textures"].stat().st_size < 300_000
    assert sum(value.numel() for value in load_file(FILES["textures"]).values()) < 75_000
    judge = metrics.judge("textures")
    assert not any(p.requires_grad for p in judge.parameters())
    x, _ = data.texture_crops(40, PATCH)
    torch.testing.assert_close(judge.train()(x), judge.eval()(x), rtol=0, atol=0)
    assert judge(x).shape == (40, 3)


def test_what_a_caller_does_to_the_judge_moves_no_scale(scenes: data.Pairs) -> None:
    before = metrics.texture_accuracy(*scenes)
    for parameter in metrics.judge("textures").parameters():
        parameter.zero_()
    assert metrics.texture_accuracy(*scenes) == before


def test_unknown_devices_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^device: expected"):
        metrics.judge("textures", "nonsense")


# accuracy


def test_real_photos_are_what_their_maps_say(scenes: data.Pairs) -> None:
    assert metrics.texture_accuracy(*scenes) >= 0.97
    assert metrics.texture_accuracy(*data.textures(8, 61, seed=1)) >= 0.95


def test_wrong_maps_and_no_texture_are_at_chance(scenes: data.Pairs) -> None:
    x, y = scenes
    assert metrics.texture_accuracy(x.roll(1, 0), y) == pytest.approx(1 / 3, abs=0.12)
    assert metrics.texture_accuracy(x, flat(x)) == pytest.approx(1 / 3, abs=0.08)
    blurred = torch.nn.functional.avg_pool2d(y, 9, 1, 4)
    assert metrics.texture_accuracy(x, blurred) < 0.45
    assert metrics.texture_accuracy(x[:, [1, 2, 0]], y) < 0.03


def test_the_windows_are_those_that_lie_in_one_region() -> None:
    """Counted in plain Python; and what lies in no such window is not looked at."""
    x, y = data.textures(6, 29, seed=2)
    seen, y = torch.zeros(6, 1, 29, 29, dtype=torch.bool), y.clone()
    asked = [0, 0, 0]
    for i in range(6):
        for row in range(0, 29 - PATCH + 1, STRIDE):
            for column in range(0, 29 - PATCH + 1, STRIDE):
                classes = x[i].argmax(0)[row : row + PATCH, column : column + PATCH]
                if len(classes.unique()) == 1:
                    asked[int(classes[0, 0])] += 1
                    seen[i, 0, row : row + PATCH, column : column + PATCH] = True
    confusion = metrics.texture_confusion(x, y)
    assert confusion.sum(1).tolist() == asked
    assert not bool(seen.all())
    assert torch.equal(metrics.texture_confusion(x, y.where(seen, 1.0)), confusion)


def test_each_window_counts_as_the_judge_sees_it() -> None:
    crops, label = data.texture_crops(90, PATCH, seed=3)
    asked = torch.arange(90) % 3
    x = torch.nn.functional.one_hot(asked, 3).float()[:, :, None, None].expand(-1, -1, PATCH, PATCH)
    judge = metrics.judge("textures")
    confusion = torch.zeros(3, 3, dtype=torch.int64)
    for crop, c in zip(crops, asked, strict=True):
        confusion[c, int(judge(crop[None]).argmax())] += 1
    assert torch.equal(metrics.texture_confusion(x, crops), confusion)
    assert metrics.texture_accuracy(x, crops) == pytest.approx(float((asked == label).double().mean()), abs=0.03)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_any_float_dtype(scenes: data.Pairs, dtype: torch.dtype) -> None:
    expected = metrics.texture_accuracy(*scenes)
    assert metrics.texture_accuracy(scenes.x.to(dtype), scenes.y.to(dtype)) == pytest.approx(expected, abs=0.01)


def test_values_are_clamped_as_a_screen_would(scenes: data.Pairs) -> None:
    loud = 2 * scenes.y
    assert metrics.texture_accuracy(scenes.x, loud) == metrics.texture_accuracy(scenes.x, loud.clamp(-1, 1))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (
            torch.ones(2, 2, 32, 32),
            torch.zeros(2, 1, 32, 32),
            r"x: expected .*3, H, W.*\(2, 2, 32, 32\)",
        ),
        (torch.ones(2, 3, 32, 32), torch.zeros(2, 1, 32, 32), "x: expected a one-hot map"),
        (torch.ones(2, 3, 32, 32) / 3, torch.zeros(2, 1, 32, 32), "x: expected a one-hot map"),
        (None, torch.zeros(2, 1, 32, 31), "y: expected a float tensor of shape"),
        (None, torch.zeros(3, 1, 32, 32), "y: expected a float tensor of shape"),
        (None, torch.zeros(2, 2, 32, 32), "y: "),
        (None, torch.full((2, 1, 32, 32), float("nan")), "y: .*NaN"),
    ],
)
def test_accuracy_refuses(x: Tensor | None, y: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.texture_accuracy(data.textures(2).x if x is None else x, y)


def test_maps_without_a_window_are_refused() -> None:
    with pytest.raises(ValueError, match="x: expected maps of at least 12 × 12"):
        metrics.texture_accuracy(*data.textures(2, 11))
    with pytest.raises(ValueError, match=r"x: expected a window of 12 × 12 .*found none"):
        metrics.texture_accuracy(*data.textures(2, 32, cells=500))


@pytest.mark.gpu
def test_on_a_gpu_the_numbers_are_those_of_the_cpu(scenes: data.Pairs) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    here = metrics.texture_accuracy(*scenes)
    assert metrics.texture_accuracy(scenes.x.cuda(), scenes.y.cuda()) == pytest.approx(here, abs=0.005)
    assert metrics.texture_accuracy(scenes.x, scenes.y.cuda()) == pytest.approx(here, abs=0.005)
