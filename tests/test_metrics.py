"""The judge and the four numbers of digits: right on real digits, and each reacts to the fault it is meant for."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from genlib import data, metrics
from genlib.metrics.classifier import FILES


@pytest.fixture(scope="module")
def train():
    return data.digits("train")


@pytest.fixture(scope="module")
def held_out():
    return data.digits("test")


def three_hundred(pictures: data.Images) -> data.Images:
    """The first 30 of each class."""
    rows = torch.cat([(pictures.label == c).nonzero()[:30, 0] for c in range(10)])
    return data.Images(pictures.x[rows], pictures.label[rows])


def noisy(x: Tensor, deviations: float) -> Tensor:
    return x + deviations * x.std() * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))


# the judge


def test_judge_is_right_on_held_out_digits(held_out):
    assert metrics.label_accuracy(*held_out) >= 0.99


def test_judge_is_small_and_shipped_with_the_package():
    assert FILES["digits"].stat().st_size < 300_000
    assert sum(value.numel() for value in load_file(FILES["digits"]).values()) < 75_000


def test_judge_is_frozen_and_without_modes(held_out):
    judge = metrics.judge()
    assert not any(p.requires_grad for p in judge.parameters())
    in_training = judge.train()(held_out.x)
    torch.testing.assert_close(judge.eval()(held_out.x), in_training, rtol=0, atol=0)
    # the class of a picture does not depend on its company
    torch.testing.assert_close(judge(held_out.x)[:1], judge(held_out.x[:1]), rtol=1e-4, atol=1e-4)


def test_what_a_caller_does_to_the_judge_moves_no_scale(held_out):
    before = metrics.digits_report(*held_out)
    mine = metrics.judge().double()
    for parameter in mine.parameters():
        parameter.zero_()
    assert metrics.digits_report(*held_out) == before
    assert float(metrics.judge()(held_out.x).abs().max()) > 0


@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_unknown_devices_are_refused(device):
    with pytest.raises(ValueError, match=r"^device: expected"):
        metrics.judge("digits", device)


def test_logits_come_from_features_alone(held_out):
    judge = metrics.judge()
    features = judge.features(held_out.x)
    assert features.shape == (297, 48)
    assert bool((features >= 0).all())
    torch.testing.assert_close(features @ judge.head.weight.T + judge.head.bias, judge(held_out.x))


def test_gradients_reach_the_picture(held_out):
    x = held_out.x[:2].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(metrics.judge()(x)[:, 3].sum(), x)
    assert float(gradient.abs().max()) > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_float_dtype(held_out, dtype):
    # multiples of 1/8 are exact in each of them
    report = metrics.digits_report(held_out.x.to(dtype), held_out.label)
    assert report == metrics.held_out_report()


@pytest.mark.gpu
def test_on_a_gpu_the_numbers_are_those_of_the_cpu(held_out):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    report = metrics.digits_report(held_out.x.cuda(), held_out.label.cuda())
    here = metrics.held_out_report()
    assert report.class_histogram == here.class_histogram
    assert report.frechet_distance == pytest.approx(here.frechet_distance, rel=0.01)
    assert metrics.classify(held_out.x.cuda()).device.type == "cuda"


# label accuracy, classes


def test_label_accuracy_counts_matches(held_out):
    wrong = held_out.label.clone()
    wrong[:99] = (wrong[:99] + 1) % 10
    right = metrics.classify(held_out.x) == held_out.label
    assert metrics.label_accuracy(held_out.x, wrong) == pytest.approx(float(right[99:].sum()) / 297)


def test_label_accuracy_by_chance_is_a_tenth(held_out):
    shuffled = held_out.label[torch.randperm(297, generator=torch.Generator().manual_seed(0))]
    assert metrics.label_accuracy(held_out.x, shuffled) == pytest.approx(0.1, abs=0.06)


def test_pictures_are_clamped_as_a_screen_would(held_out):
    # every pixel pushed away from 0 by a factor of ten: clamped it is the digit in black and white
    pushed = 10 * held_out.x
    torch.testing.assert_close(metrics.classify(pushed), metrics.classify(pushed.clamp(-1, 1)))
    assert metrics.copying(pushed) == metrics.copying(pushed.clamp(-1, 1))
    assert metrics.frechet_distance(pushed) == metrics.frechet_distance(pushed.clamp(-1, 1))


def test_class_histogram_of_one_class(train):
    eights = train.x[train.label == 8]
    histogram = metrics.digits_report(eights).class_histogram
    assert len(histogram) == 10
    assert histogram[8] >= 0.98 * len(eights)
    assert sum(histogram) == len(eights)


# Fréchet distance


def test_frechet_distance_of_a_set_to_itself_is_zero(train):
    assert metrics.frechet_distance(train.x) == pytest.approx(0, abs=1e-8)
    assert metrics.frechet_distance(train.x[:50], train.x[:50]) == pytest.approx(0, abs=1e-8)


def test_frechet_distance_is_symmetric(train, held_out):
    there, back = metrics.frechet_distance(held_out.x), metrics.frechet_distance(train.x, held_out.x)
    assert there == pytest.approx(back, rel=1e-9)


def test_frechet_distance_by_numpy(train, held_out):
    """From the judge's features, with another library's covariance, and tr √M from M's eigenvalues."""
    judge = metrics.judge().double()
    theirs, right = (judge.features(x.double()).numpy() for x in (held_out.x, train.x))
    C1, C2 = np.cov(theirs.T), np.cov(right.T)
    cross = np.sqrt(np.linalg.eigvals(C1 @ C2).real.clip(0)).sum()
    expected = ((theirs.mean(0) - right.mean(0)) ** 2).sum() + C1.trace() + C2.trace() - 2 * cross
    assert metrics.frechet_distance(held_out.x) == pytest.approx(expected, rel=1e-3)


def test_real_digits_of_each_class_are_near_the_training_digits(train):
    assert metrics.digits_report(*three_hundred(train)).frechet_multiple < 1


def blurred(x: Tensor) -> Tensor:
    padded = nn.functional.pad(x, (1, 1, 1, 1), value=-1.0)
    return 0.5 * x + 0.5 * nn.functional.avg_pool2d(padded, 3, 1)


FAULTS = {
    "noise of a quarter": lambda d: noisy(d.x, 0.25),
    "noise of a half": lambda d: noisy(d.x, 0.5),
    "blur": lambda d: blurred(d.x),
    "a class is missing": lambda d: d.x[d.label != 8],
    "three digits of each class": lambda d: torch.cat([d.x[d.label == c][:3].repeat(9, 1, 1, 1) for c in range(10)]),
    "the mean of each class": lambda d: torch.stack([d.x[d.label == c].mean(0) for c in range(10)]).repeat(30, 1, 1, 1),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_frechet_distance_reacts_to(fault, held_out):
    assert metrics.digits_report(FAULTS[fault](held_out)).frechet_multiple > 2


def test_confidence_alone_says_little(held_out):
    """With half a standard deviation of noise the judge stays sure; the Fréchet distance does not."""
    x = noisy(held_out.x, 0.5)
    confidence = metrics.judge()(x.clamp(-1, 1)).softmax(1).amax(1).mean()
    assert float(confidence) > 0.9
    assert metrics.digits_report(x).frechet_multiple > 5


# copying


def test_copies_are_found(train):
    assert metrics.copying(train.x) == 1
    assert metrics.copying(noisy(train.x[:300], 0.05)) == 1


def test_held_out_digits_are_no_copies(held_out):
    assert metrics.copying(held_out.x) == pytest.approx(0.05, abs=1 / 297)


def test_noise_is_no_copy():
    assert metrics.copying(torch.rand(20, 1, 8, 8) * 2 - 1) == 0


def test_copying_against_other_pictures(train, held_out):
    half, other, rest = train.x[:700], train.x[700:1400], held_out.x
    assert metrics.copying(half, train=half, held_out=rest) == 1
    assert metrics.copying(other, train=half, held_out=rest) < 0.15
    assert metrics.copying(rest, train=half, held_out=rest) == pytest.approx(0.05, abs=1 / 297)


def test_copying_by_hand():
    """Three pixels apart: the nearest distances are 3, 1 and 2; the threshold is the 5 % quantile of 1, 2, .., 20."""
    train = torch.zeros(1, 1, 8, 8) - 1
    ladder = train.repeat(20, 1, 1, 1)
    ladder[:, 0, 0, 0] += torch.arange(1, 21) / 10
    near = 0.1 + 0.05 * 19 / 10  # linear between order statistics
    x = train.repeat(4, 1, 1, 1)
    x[:, 0, 4, 4] += torch.tensor([0.0, near - 0.01, near + 0.01, 1.0])
    assert metrics.copying(x, train=train, held_out=ladder) == 0.5


# the report


def test_report_holds_the_four_numbers(train):
    x, label = three_hundred(train)
    report = metrics.digits_report(x, label)
    assert report.n == 300
    assert report.label_accuracy == metrics.label_accuracy(x, label)
    assert report.frechet_distance == metrics.frechet_distance(x)
    assert report.frechet_multiple == pytest.approx(
        report.frechet_distance / metrics.held_out_report().frechet_distance
    )
    assert report.class_histogram == tuple(int((metrics.classify(x) == c).sum()) for c in range(10))
    assert report.asked_for == (30,) * 10
    assert report.copying == 1


def test_report_reads_as_a_table(train, held_out):
    text = repr(metrics.digits_report(*three_hundred(train)))
    assert "copying                1.000             0.051" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "300 samples" not in text
    few = repr(metrics.digits_report(held_out.x[:20]))
    assert "no labels" in few
    assert "holds for 300 samples" in few


# wrong arguments

TAKE_PICTURES = [
    metrics.classify,
    metrics.frechet_distance,
    metrics.copying,
    metrics.digits_report,
    lambda x: metrics.label_accuracy(x, torch.zeros(len(x), dtype=torch.int64)),
]
BAD_PICTURES = {
    "shape": torch.zeros(4, 64),
    "size": torch.zeros(4, 1, 28, 28),
    "channels": torch.zeros(4, 3, 8, 8),
    "dtype": torch.zeros(4, 1, 8, 8, dtype=torch.int64),
    "NaN": torch.full((4, 1, 8, 8), torch.nan),
    "infinity": torch.full((4, 1, 8, 8), -torch.inf),
    "empty": torch.zeros(0, 1, 8, 8),
    "type": "digits",
}


@pytest.mark.parametrize("measure", TAKE_PICTURES)
@pytest.mark.parametrize("fault", BAD_PICTURES)
def test_bad_pictures_are_refused(measure, fault):
    with pytest.raises(ValueError, match=r"^x: expected"):
        measure(BAD_PICTURES[fault])


@pytest.mark.parametrize(
    "label",
    [torch.zeros(3, dtype=torch.int64), torch.zeros(4), torch.tensor([0, 1, 2, 10]), torch.tensor([0, -1, 2, 3])],
)
def test_bad_labels_are_refused(label):
    for measure in (metrics.label_accuracy, metrics.digits_report):
        with pytest.raises(ValueError, match=r"^label: expected"):
            measure(torch.zeros(4, 1, 8, 8), label)


def test_bad_references_are_refused():
    x = torch.zeros(4, 1, 8, 8)
    with pytest.raises(ValueError, match=r"^x: expected at least two"):
        metrics.frechet_distance(x[:1])
    with pytest.raises(ValueError, match=r"^reference: expected"):
        metrics.frechet_distance(x, x[:1])
    with pytest.raises(ValueError, match=r"^train: expected"):
        metrics.copying(x, train=x[:0])
    with pytest.raises(ValueError, match=r"^held_out: "):
        metrics.copying(x, held_out=x / 0)


def test_nothing_is_changed_in_place(held_out):
    x, label = 2 * held_out.x, held_out.label.clone()
    metrics.digits_report(x, label)
    torch.testing.assert_close(x, 2 * held_out.x, rtol=0, atol=0)
    torch.testing.assert_close(label, held_out.label)


def test_importing_loads_torch_alone():
    code = (
        "import sys; from genlib import metrics;"
        "print([m for m in ('scipy', 'sklearn', 'matplotlib', 'IPython') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
