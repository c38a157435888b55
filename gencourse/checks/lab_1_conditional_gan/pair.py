"""What a conditional discriminator sees: the condition beside the picture. Lecture 02 (1)."""

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_1_conditional_gan.given import normal, passes_gradients
from gencourse.checks.spec import Exercise


def _own_pair(classes: Tensor, y: Tensor, n_classes: int) -> Tensor:
    x = torch.nn.functional.one_hot(classes, n_classes)  # (B, H, W, n_classes), whole numbers
    x = x.permute(0, 3, 1, 2).to(y.dtype)  # channels come second, in y's dtype
    return torch.cat([x, y], dim=1)


PAIR = Exercise(
    "gan.pair",
    _own_pair,
    returns=["seen"],
    batched=["classes", "y"],
    second="Three steps: torch.nn.functional.one_hot(classes, n_classes) is (B, H, W, n_classes); permute brings its "
    "last axis to place 1; torch.cat([the map, the picture], dim=1) joins their channels. Print each shape.",
    why="Everything that the word conditional promises hangs on this: D punishes only what it can see.",
)


@PAIR.pace
def _(g: Generator) -> tuple[Tensor, Tensor, int]:
    return torch.randint(3, (8, 32, 32), generator=g), normal((8, 1, 32, 32), g), 3


def _one_hot(classes: Tensor, n_classes: int) -> Tensor:
    return torch.nn.functional.one_hot(classes, n_classes)


def _numbers(shape: tuple[int, int, int, int], n_classes: int, g: Generator) -> tuple[Tensor, Tensor]:
    """Maps in which the first pixels show each class, and pictures."""
    B, _, H, W = shape
    classes = torch.randint(n_classes, (B, H, W), generator=g)
    classes[0].view(-1)[:n_classes] = torch.arange(n_classes)
    return classes, normal(shape, g)


def _by_hand(classes: Tensor, y: Tensor, n_classes: int) -> Tensor:
    B, C, H, W = y.shape
    seen = torch.zeros(B, n_classes + C, H, W, dtype=torch.float64)
    for b in range(B):
        for row in range(H):
            for column in range(W):
                seen[b, int(classes[b, row, column]), row, column] = 1
    seen[:, n_classes:] = y
    return seen


@PAIR.check(
    "first a channel for each class, 1 where the map has it and 0 elsewhere, then the picture's own",
    "one_hot adds an axis for the classes. Where does it put that axis, and where do pictures have their channels?",
)
def _(answer: Answer, g: Generator) -> None:
    classes, y = _numbers((2, 2, 4, 4), 3, g)
    answer.gives([classes, y, 3], _by_hand(classes, y, 3))


@PAIR.check(
    "also where height and width differ, and where a class does not occur",
    "The number of channels is n_classes + C whatever the map shows, and rows stay rows.",
)
def _(answer: Answer, g: Generator) -> None:
    classes, y = _numbers((2, 1, 3, 5), 4, g)
    few = classes.clamp(max=1)  # with these one_hot takes a number of classes that is too small
    answer.gives([few, y, 4], _by_hand(few, y, 4))
    answer.gives([classes, y, 4], _by_hand(classes, y, 4))


@PAIR.check(
    "gradients reach y",
    "G learns through what D sees: make the channels from classes, and leave y as it is.",
)
def _(answer: Answer, g: Generator) -> None:
    classes, y = _numbers((2, 1, 4, 4), 3, g)
    answer(classes, y.requires_grad_(), 3)
    passes_gradients(answer, "y")


@PAIR.check("it takes float32 too", "The channels of the classes take y's precision when both are joined.")
def _(answer: Answer, g: Generator) -> None:
    classes, y = _numbers((3, 1, 4, 2), 3, g)
    answer.gives([classes, y.float(), 3], _by_hand(classes, y.float(), 3))
    answer.keeps_dtype("y")


@PAIR.mistake(
    "The picture comes first here. D's first layer has to find the same thing in the same channel: x, then y."
)
def picture_first(classes: Tensor, y: Tensor, n_classes: int) -> Tensor:
    return _own_pair(classes, y, n_classes).roll(y.shape[1], dims=1)


@PAIR.mistake(
    "The classes are one channel of numbers. Is grass half-way between brick and gravel? Give each class a channel."
)
def as_numbers(classes: Tensor, y: Tensor, n_classes: int) -> Tensor:
    return torch.cat([classes[:, None].to(y), y], dim=1)


@PAIR.mistake("The class numbers, scaled, in one channel: still an order that the classes do not have.")
def as_fractions(classes: Tensor, y: Tensor, n_classes: int) -> Tensor:
    return torch.cat([classes[:, None].to(y) / (n_classes - 1), y], dim=1)


@PAIR.mistake("The class numbers are repeated in every channel. Channel k is to say whether the class is k.")
def numbers_repeated(classes: Tensor, y: Tensor, n_classes: int) -> Tensor:
    return torch.cat([classes[:, None].to(y).expand(-1, n_classes, -1, -1), y], dim=1)


@PAIR.mistake(
    "view and reshape keep the order of the numbers, so neighbouring pixels have become channels. To move an axis, "
    "take permute or movedim."
)
def reshaped(classes: Tensor, y: Tensor, n_classes: int) -> Tensor:
    B, H, W = classes.shape
    return torch.cat([_one_hot(classes, n_classes).reshape(B, n_classes, H, W).to(y), y], dim=1)


@PAIR.mistake("The map is transposed: rows have become columns. Only the axis of the classes should move.")
def transposed(classes: Tensor, y: Tensor, n_classes: int) -> Tensor:
    return torch.cat([_one_hot(classes, n_classes).transpose(1, 3).to(y), y], dim=1)


@PAIR.mistake("This is the picture alone: a D that sees no x cannot tell whether y belongs to it.")
def picture_alone(classes: Tensor, y: Tensor, n_classes: int) -> Tensor:
    return y.clone()


@PAIR.mistake("This is the map alone. D is to judge the picture, in the light of the map.")
def map_alone(classes: Tensor, y: Tensor, n_classes: int) -> Tensor:
    return _one_hot(classes, n_classes).movedim(-1, 1).to(y)


@PAIR.mistake("There are three channels for the classes, whatever n_classes is. It is an argument: count with it.")
def always_3(classes: Tensor, y: Tensor, n_classes: int) -> Tensor:
    return torch.cat([*((classes[:, None] == k).to(y) for k in range(3)), y], dim=1)


@PAIR.mistake("The last class has no channel. It could be guessed from the others; here each gets its own.")
def last_class_missing(classes: Tensor, y: Tensor, n_classes: int) -> Tensor:
    seen = _own_pair(classes, y, n_classes)
    return torch.cat([seen[:, : n_classes - 1], seen[:, n_classes:]], dim=1)


@PAIR.mistake("The channels are −1 and 1. Here they are 0 and 1, as genlib's label maps have them.")
def minus_one(classes: Tensor, y: Tensor, n_classes: int) -> Tensor:
    return torch.cat([2 * map_alone(classes, y, n_classes) - 1, y], dim=1)


@PAIR.mistake(
    "The picture is multiplied with the map. Where it is 0, nothing can be told. Put the two side by side, as channels."
)
def multiplied(classes: Tensor, y: Tensor, n_classes: int) -> Tensor:
    return map_alone(classes, y, n_classes) * y[:, :1]


@PAIR.mistake("Both are added. A sum cannot be taken apart again: put the two side by side, as channels.")
def added(classes: Tensor, y: Tensor, n_classes: int) -> Tensor:
    return map_alone(classes, y, n_classes) + y[:, :1]


@PAIR.mistake(
    "The number of channels is read off the map: a class that does not occur there has none. n_classes says how many."
)
def classes_of_the_map(classes: Tensor, y: Tensor, n_classes: int) -> Tensor:
    return torch.cat([_one_hot(classes, -1).movedim(-1, 1).to(y), y], dim=1)


@PAIR.mistake("The classes are counted from 1 here: channel k is about class k + 1. They go from 0 to n_classes − 1.")
def from_1(classes: Tensor, y: Tensor, n_classes: int) -> Tensor:
    return torch.cat([(classes[:, None] == k + 1).to(y) for k in range(n_classes)] + [y], dim=1)


@PAIR.mistake("The channels of the classes come in the opposite order: class 0 has channel 0.")
def reversed_classes(classes: Tensor, y: Tensor, n_classes: int) -> Tensor:
    return torch.cat([map_alone(classes, y, n_classes).flip(1), y], dim=1)


@PAIR.mistake("1 and 0 have changed places: a channel is to be 1 where the map has its class.")
def inverted(classes: Tensor, y: Tensor, n_classes: int) -> Tensor:
    return torch.cat([1 - map_alone(classes, y, n_classes), y], dim=1)
