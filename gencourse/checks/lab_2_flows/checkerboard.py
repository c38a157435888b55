"""Masks for pictures, which change places from layer to layer. Lecture 03, section 7."""

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_2_flows.given import normal
from gencourse.checks.spec import Exercise
from genlib.flows import masks


def _own_checkerboard(x: Tensor, k: int) -> Tensor:
    row = torch.arange(x.shape[2])[:, None]
    column = torch.arange(x.shape[3])
    return x * ((row + column + k) % 2)  # (H, 1) and (W,) make (H, W): a board, the same for all channels


CHECKERBOARD = Exercise(
    "flows.checkerboard",
    _own_checkerboard,
    returns=["x_1"],
    batched=["x"],
    second="Number the rows and the columns, and let broadcasting add them: shapes (H, 1) and (W,) make (H, W). With k "
    "added as well, what does it mean that the sum is odd?",
    why="What one layer keeps the next one changes. A pixel that is never changed keeps its raw values as z, whatever "
    "the flow learns.",
)


@CHECKERBOARD.check(
    "layer 0 keeps the pixels where row + column is odd, and layer 2 does so again",
    "Row 0, column 0 is changed; row 0, column 1 is kept. What is added here, and what is asked about the sum?",
)
def _(answer: Answer, g: Generator) -> None:
    x = normal((2, 1, 4, 4), g)
    expected = torch.zeros_like(x)
    for row, column in ((0, 1), (0, 3), (1, 0), (1, 2), (2, 1), (2, 3), (3, 0), (3, 2)):
        expected[:, :, row, column] = x[:, :, row, column]
    for k in (0, 2):
        answer.gives([x, k], expected)


@CHECKERBOARD.check(
    "what layer k changes, layer k + 1 keeps",
    "Two neighbouring layers' kept pixels, added up, make the whole picture. What becomes of row + column + k?",
)
def _(answer: Answer, g: Generator) -> None:
    x = normal((2, 1, 4, 4), g)
    for k in (0, 1, 2, 3):
        one = answer(x, k)
        answer.agrees(f"the sum of x_1 in layers {k} and {k + 1}", x, one + answer(x, k + 1))


@CHECKERBOARD.check(
    "a single row has its turns, and so has a single column",
    "A picture has a height and a width of its own: from which of the two do rows and columns have their numbers?",
)
def _(answer: Answer, g: Generator) -> None:
    for shape in ((1, 6), (5, 1)):
        x = normal((2, 3, *shape), g)
        for k in (0, 1):
            odd = [[x_1 if (n + k) % 2 else 0 * x_1 for n, x_1 in enumerate(one.flatten(1).T)] for one in x]
            answer.gives([x, k], torch.stack([torch.stack(one, 1) for one in odd]).reshape(x.shape))


@CHECKERBOARD.check(
    "no two neighbours are both kept, whatever the height and width",
    "Pictures may have an odd number of columns, or more columns than rows. All channels get the same board.",
)
def _(answer: Answer, g: Generator) -> None:
    for C, H, W in ((3, 3, 5), (2, 5, 4), (1, 2, 3), (4, 4, 4)):
        x = 0.5 + torch.rand(2, C, H, W, generator=g, dtype=torch.float64)
        for k in (0, 1):
            kept = answer(x, k)
            below, right = kept[..., 1:, :] * kept[..., :-1, :], kept[..., 1:] * kept[..., :-1]
            answer.agrees("x_1 times its neighbour below", torch.zeros_like(below), below)
            answer.agrees("x_1 times its neighbour to the right", torch.zeros_like(right), right)
            corner = x[:, :, 0, 0] if k else torch.zeros_like(x[:, :, 0, 0])
            answer.agrees("x_1[:, :, 0, 0]", corner, kept[:, :, 0, 0])
            rest = (kept - x) * kept  # 0 where a pixel is as it was, or 0
            answer.agrees("(x_1 − x) · x_1", torch.zeros_like(rest), rest)


@CHECKERBOARD.check("it agrees with genlib, in float32 too", "Compare with flows.masks.checkerboard.")
def _(answer: Answer, g: Generator) -> None:
    x = normal((2, 2, 6, 4), g).float()
    for k in range(4):
        answer.gives([x, k], x * masks.checkerboard((2, 6, 4), swap=k % 2 == 1))
        answer.keeps_dtype("x")


def _board(x: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column of each pixel."""
    H, W = x.shape[-2:]
    return torch.arange(H, device=x.device)[:, None].expand(H, W), torch.arange(W, device=x.device).expand(H, W)


@CHECKERBOARD.mistake("Rows and columns are both numbered by the height, as if each picture were square.")
def square_by_height(x: Tensor, k: int) -> Tensor:
    row = torch.arange(x.shape[2], device=x.device)
    return x * ((row[:, None] + row + k) % 2)


@CHECKERBOARD.mistake("Rows and columns are both numbered by the width, as if each picture were square.")
def square_by_width(x: Tensor, k: int) -> Tensor:
    column = torch.arange(x.shape[3], device=x.device)
    return x * ((column[:, None] + column + k) % 2)


@CHECKERBOARD.mistake("All layers have the same board. What is never changed stays as it is, through the whole flow.")
def never_swapped(x: Tensor, k: int) -> Tensor:
    return _own_checkerboard(x, 0)


@CHECKERBOARD.mistake(
    "The board of layer 2 is that of layer 0, turned round. It changes with each layer: what is it after two changes?"
)
def every_second(x: Tensor, k: int) -> Tensor:
    return _own_checkerboard(x, k // 2)


@CHECKERBOARD.mistake(
    "These are upright stripes: only the column counts, or pixels are numbered one after the other, and with an even "
    "width each row starts like the one above."
)
def stripes(x: Tensor, k: int) -> Tensor:
    return x * ((_board(x)[1] + k) % 2)


@CHECKERBOARD.mistake("These are lying stripes: only the row counts.")
def lying_stripes(x: Tensor, k: int) -> Tensor:
    return x * ((_board(x)[0] + k) % 2)


@CHECKERBOARD.mistake("A quarter of the pixels is kept. Row odd *and* column odd is less than row + column odd.")
def a_quarter(x: Tensor, k: int) -> Tensor:
    row, column = _board(x)
    kept = row * column % 2 == 1
    return x * (~kept if k % 2 else kept)


@CHECKERBOARD.mistake("Three quarters of the pixels are kept. Row odd *or* column odd is more than row + column odd.")
def three_quarters(x: Tensor, k: int) -> Tensor:
    row, column = _board(x)
    kept = (row % 2 + column % 2) > 0
    return x * (~kept if k % 2 else kept)


@CHECKERBOARD.mistake("This is half of the picture, in one piece. Neighbours say most about each other: mix them.")
def one_half(x: Tensor, k: int) -> Tensor:
    kept = _board(x)[1] < x.shape[-1] // 2
    return x * (~kept if k % 2 else kept)


@CHECKERBOARD.mistake("This is the mask. What is asked for is the picture under it: x where it is kept, 0 elsewhere.")
def mask_alone(x: Tensor, k: int) -> Tensor:
    return _own_checkerboard(torch.ones_like(x), k)


@CHECKERBOARD.mistake("The board moves on with each channel. All channels of a pixel are kept together.")
def channels_too(x: Tensor, k: int) -> Tensor:
    row, column = _board(x)
    channel = torch.arange(x.shape[1], device=x.device)[:, None, None]
    return x * ((row + column + channel + k) % 2)


@CHECKERBOARD.mistake("The kept pixels alone, in a smaller picture: each has to stay where it is, with 0 around it.")
def squeezed(x: Tensor, k: int) -> Tensor:
    row, column = _board(x)
    return x[:, :, (row + column + k) % 2 == 1]


@CHECKERBOARD.mistake(
    "The board is turned round: in layer 0 the corner, where row + column = 0, is changed, so 0 here."
)
def turned_round(x: Tensor, k: int) -> Tensor:
    return x - _own_checkerboard(x, k)


@CHECKERBOARD.mistake(
    "This is the board alone, without the picture. Where it is kept, x is to be seen, and 0 elsewhere."
)
def board_alone(x: Tensor, k: int) -> Tensor:
    return _own_checkerboard(torch.ones_like(x), k)[0, 0]


@CHECKERBOARD.mistake("x is multiplied by the sum first, and % comes then: * and % are done from left to right.")
def product_first(x: Tensor, k: int) -> Tensor:
    row, column = _board(x)
    return x * (row + column + k) % 2


@CHECKERBOARD.mistake("Layer 0 has its board, and layer 2 keeps nothing. k goes on beyond 1: what of it counts?")
def nothing_in_layer_2(x: Tensor, k: int) -> Tensor:
    return torch.zeros_like(x) if k > 1 else _own_checkerboard(x, k)


@CHECKERBOARD.mistake("Layer 0 has its board, and layer 2 keeps everything. k goes on beyond 1: what of it counts?")
def all_in_layer_2(x: Tensor, k: int) -> Tensor:
    return x if k > 1 else _own_checkerboard(x, k)


@CHECKERBOARD.mistake(
    "No pixel is kept, as if row + column were even everywhere. Are rows and columns numbered along the same axis?"
)
def one_axis(x: Tensor, k: int) -> Tensor:
    return x * ((2 * _board(x)[1] + k) % 2)


@CHECKERBOARD.mistake("The remainder by 4 takes more values than 0 and 1: x is multiplied by 2 and 3, too.")
def of_four(x: Tensor, k: int) -> Tensor:
    row, column = _board(x)
    return x * ((row + column + k) % 4)


@CHECKERBOARD.mistake("The remainder by 3 takes three values. A checkerboard has two colours.")
def of_three(x: Tensor, k: int) -> Tensor:
    row, column = _board(x)
    return x * ((row + column + k) % 3)


@CHECKERBOARD.mistake(
    "The squares of this board are two pixels wide. Every pixel is to have neighbours of the other kind."
)
def blocks(x: Tensor, k: int) -> Tensor:
    row, column = _board(x)
    return x * ((row // 2 + column // 2 + k) % 2)


@CHECKERBOARD.mistake("Where x is not kept stands another number than 0: the network is to see zeros there.")
def filled(x: Tensor, k: int) -> Tensor:
    return torch.where(_own_checkerboard(torch.ones_like(x), k) > 0, x, 1.0)


@CHECKERBOARD.mistake("This is half of the picture, its upper part. Neighbours say most about each other: mix them.")
def upper_half(x: Tensor, k: int) -> Tensor:
    kept = _board(x)[0] < x.shape[2] // 2
    return x * (~kept if k % 2 else kept)


@CHECKERBOARD.mistake("The period depends on k. The board always has two colours; k only exchanges them.")
def every_kth(x: Tensor, k: int) -> Tensor:
    row, column = _board(x)
    return x * ((row + column) % (k + 2) == 1)


@CHECKERBOARD.mistake("All of x comes back: the network would see what it is to change.")
def all_kept(x: Tensor, k: int) -> Tensor:
    return x


@CHECKERBOARD.mistake("The board moves on with each example. All examples of a batch have the same one.")
def examples_too(x: Tensor, k: int) -> Tensor:
    row, column = _board(x)
    example = torch.arange(len(x), device=x.device)[:, None, None, None]
    return x * ((row + column + example + k) % 2)


@CHECKERBOARD.mistake("Half of the board is missing: the odd rows are empty. What do they keep?")
def even_rows_alone(x: Tensor, k: int) -> Tensor:
    return _own_checkerboard(x, k) * (_board(x)[0] % 2 == 0)


@CHECKERBOARD.mistake("Half of the board is missing: the even rows are empty. What do they keep?")
def odd_rows_alone(x: Tensor, k: int) -> Tensor:
    return _own_checkerboard(x, k) * (_board(x)[0] % 2)
