"""Train the judge of digits on the 1500 training digits, and write the weights that the package ships.

    python tools/train_judge.py                # about 20 s on one core; the same weights each time on one machine
    python tools/train_judge.py --folds 5      # no weights: accuracy by cross-validation inside the 1500

Everything that was chosen (augmentation, width, epochs) was chosen by the second command. The held-out digits are
looked at once, at the end of the first.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from genlib import data
from genlib.metrics.classifier import FILES, Judge

EPOCHS, BATCH_SIZE, LEARNING_RATE, WEIGHT_DECAY, DROPOUT = 60, 64, 3e-3, 0.05, 0.2
SHIFT, ANGLE, STRETCH, NOISE = 0.4, 0.12, 0.08, 0.1  # pixels, radians, share, units of the pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folds", type=int, help="cross-validate instead of writing weights")
    parser.add_argument("--out", type=Path, default=FILES["digits"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # faster for so small a network, and one order of summation

    x, label = data.digits("train")
    if arguments.folds:
        accuracy = cross_validate(x, label, arguments.folds, arguments.seed)
        print(f"cross-validation, {arguments.folds} folds of the 1500: {accuracy:.4f}")
        return
    judge = train(x, label, arguments.seed)
    save_file(judge.state_dict(), arguments.out)
    x, label = data.digits("test")
    print(f"{arguments.out.name}: {accuracy_of(judge, x, label):.4f} on the {len(x)} held-out digits")


def train(
    x: Tensor,
    label: Tensor,
    seed: int,
    make: Callable[[], Judge] = Judge,
    vary: Callable[[Tensor, torch.Generator], Tensor] | None = None,
    epochs: int | None = None,
    dropout: float = DROPOUT,
) -> Judge:
    """A judge that `make` makes, after epochs over pictures that `vary` varies, its batch norm folded in.

    What is left out is what the judge of digits has: EPOCHS and `distort`.
    """
    vary, epochs = vary or distort, epochs or EPOCHS
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        student = Student(make(), dropout)
        optimizer = torch.optim.AdamW(student.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        batches = len(x) // BATCH_SIZE
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, epochs * batches)
        for _ in range(epochs):
            for rows in torch.randperm(len(x), generator=generator)[: batches * BATCH_SIZE].split(BATCH_SIZE):
                loss = nn.functional.cross_entropy(student(vary(x[rows], generator)), label[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    return student.fold()


def distort(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each digit a little shifted, turned, stretched and sheared, with a little noise."""

    def uniform(size: float) -> Tensor:
        return size * (2 * torch.rand(len(x), generator=generator) - 1)

    angle, width, height, shear = uniform(ANGLE), 1 + uniform(STRETCH), 1 + uniform(STRETCH), uniform(STRETCH)
    half = x.shape[-1] / 2  # affine_grid measures in half sides
    right = torch.stack([width * angle.cos(), shear - height * angle.sin(), uniform(SHIFT / half)], dim=1)
    down = torch.stack([width * angle.sin(), height * angle.cos(), uniform(SHIFT / half)], dim=1)
    grid = nn.functional.affine_grid(torch.stack([right, down], dim=1), list(x.shape), align_corners=False)
    moved = nn.functional.grid_sample(x + 1, grid, align_corners=False) - 1  # beyond the edge there is background, −1
    return moved + NOISE * torch.randn(x.shape, generator=generator)


class Student(nn.Module):
    """A judge in training: batch norm after each convolution, dropout before each linear layer."""

    def __init__(self, judge: Judge, dropout: float = DROPOUT) -> None:
        super().__init__()
        self.judge = judge
        self.convolutions = [layer for layer in judge.body if isinstance(layer, nn.Conv2d)]
        self.norms = nn.ModuleList(nn.BatchNorm2d(conv.out_channels) for conv in self.convolutions)
        self.channel_dropout, self.dropout = nn.Dropout2d(dropout), nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        norms = iter(self.norms)
        for layer in self.judge.body:
            x = self.channel_dropout(x) if isinstance(layer, nn.Flatten) else x
            x = layer(x)
            x = next(norms)(x) if isinstance(layer, nn.Conv2d) else x
        return self.judge.head(self.dropout(x))

    @torch.no_grad()
    def fold(self) -> Judge:
        """The judge that gives what the student gives in evaluation mode: γ (Wx + b − μ)/σ + β is one convolution."""
        for conv, norm in zip(self.convolutions, self.norms, strict=True):
            assert isinstance(norm, nn.BatchNorm2d)
            assert conv.bias is not None
            assert norm.running_mean is not None
            assert norm.running_var is not None
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            conv.weight.mul_(scale[:, None, None, None])
            conv.bias.copy_((conv.bias - norm.running_mean) * scale + norm.bias)
        return self.judge.eval()


@torch.no_grad()
def accuracy_of(judge: Judge, x: Tensor, label: Tensor) -> float:
    return float((judge(x).argmax(1) == label).double().mean())


def cross_validate(x: Tensor, label: Tensor, folds: int, seed: int) -> float:
    """Mean accuracy on each fold of a judge that was trained on the others."""
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    accuracies = []
    for fold, rows in enumerate(order.tensor_split(folds)):
        rest = torch.ones(len(x), dtype=torch.bool).index_fill(0, rows, False)
        accuracies.append(accuracy_of(train(x[rest], label[rest], seed + fold), x[rows], label[rows]))
    return sum(accuracies) / folds


if __name__ == "__main__":
    main()
