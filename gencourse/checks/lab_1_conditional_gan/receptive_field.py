"""How much of the picture one patch of D sees. Lecture 02 (7)."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.spec import WholeNumbers
from genlib import gan


def _own_receptive_field(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    field, apart, fields = 1, 1, []  # before the first layer: one pixel, and neighbours one pixel apart
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - 1) * apart  # the kernel's first input was there already
        apart *= stride  # counts for the layers after this one
        fields.append(field)
    return torch.tensor(fields)


FIELD = WholeNumbers(
    "gan.receptive_field",
    _own_receptive_field,
    returns=["field"],
    plain=True,
    second="Keep two numbers while you go through the layers: how many pixels are seen so far (1 at first), and how "
    "many pixels two neighbouring inputs of the next layer are apart (1 at first). How does a layer change each?",
    why="A D cannot judge what it does not see at once: 34 pixels are a wall's joints, and not a house.",
)
Stack = tuple[tuple[int, ...], tuple[int, ...]]


def _measured(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    """How many inputs move one output, through convolutions of positive weights."""
    fields = []
    for n in range(1, len(kernels) + 1):
        x = torch.zeros(1, 1, 400, dtype=torch.float64, requires_grad=True)
        h = x
        for kernel, stride in zip(kernels[:n], strides[:n], strict=True):
            h = torch.nn.functional.conv1d(h, h.new_full((1, 1, kernel), 1 / kernel), stride=stride)
        (moved,) = torch.autograd.grad(h[0, 0, h.shape[-1] // 2], x)
        fields.append(float((moved != 0).sum()))
    return torch.tensor(fields, dtype=torch.float64)


def _random(g: Generator) -> Stack:
    """A stack that no two mistakes take for the same."""
    kernels = ((3, 4, 5, 3), (5, 3, 4, 4), (3, 5, 4, 4), (5, 4, 3, 5))[int(torch.randint(4, (1,), generator=g))]
    strides = ((2, 1, 2, 1), (2, 2, 2, 1), (2, 2, 3, 1), (3, 2, 2, 1))[int(torch.randint(4, (1,), generator=g))]
    return kernels, strides


@FIELD.check(
    "it is the number of pixels that move one output, found by gradient",
    "A layer adds kernel − 1 of *its own* inputs. How many pixels lie between two neighbouring inputs of layer n?",
)
def _(answer: Answer, g: Generator) -> None:
    kernels, strides = _random(g)
    answer.gives([kernels, strides], _measured(kernels, strides))


@FIELD.check(
    "one layer sees as many pixels as its kernel has",
    "One output of a single convolution looks at kernel pixels, whatever the stride.",
)
def _(answer: Answer, g: Generator) -> None:
    for kernel, stride in ((4, 2), (3, 1), (7, 3)):
        answer.gives([(kernel,), (stride,)], torch.tensor([float(kernel)], dtype=torch.float64))


@FIELD.check(
    "without strides each layer adds kernel − 1, and 1 × 1 convolutions add nothing",
    "Neighbouring outputs are then one pixel apart, at every layer.",
)
def _(answer: Answer, g: Generator) -> None:
    answer.gives([(3, 1, 5, 2), (1, 1, 1, 1)], torch.tensor([3.0, 3, 7, 8], dtype=torch.float64))
    answer.gives([(1, 1, 1), (1, 1, 1)], torch.ones(3, dtype=torch.float64))


@FIELD.check("it finds the 70 pixels of pix2pix", "Kernels of 4, and strides 2, 2, 2, 1, 1.")
def _(answer: Answer, g: Generator) -> None:
    answer.gives([(4,) * 5, (2, 2, 2, 1, 1)], torch.tensor([4.0, 10, 22, 46, 70], dtype=torch.float64))


@FIELD.check("it agrees with genlib", "Compare with gan.PatchDiscriminator(4, n_layers=3).receptive_field.")
def _(answer: Answer, g: Generator) -> None:
    for n_layers in (1, 2, 4, 5):
        strides = (2,) * n_layers + (1, 1)
        field = answer((4,) * len(strides), strides)[-1]
        genlibs = gan.PatchDiscriminator(1, width=1, n_layers=n_layers).receptive_field
        answer.agrees("field[-1]", torch.tensor(float(genlibs), dtype=torch.float64), field)


def _fields(kernels: Sequence[int], strides: Sequence[int], start: int = 1, less: int = 1) -> Tensor:
    field, jump, fields = start, 1, []
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - less) * jump
        jump *= stride
        fields.append(field)
    return torch.tensor(fields, dtype=torch.float64)


def _summed(kernels: Sequence[int], apart: Sequence[int]) -> Tensor:
    """With neighbours so far apart before each layer."""
    added = [(kernel - 1) * pixels for kernel, pixels in zip(kernels, apart, strict=True)]
    return 1 + torch.tensor(added, dtype=torch.float64).cumsum(0)


@FIELD.mistake("The strides are not used: after a stride of 2 the next layer's inputs lie two pixels apart.")
def no_strides(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    return _own_receptive_field(kernels, [1] * len(strides))


@FIELD.mistake(
    "Here a layer's stride counts for that layer already. It puts the layer's *outputs* apart: which layers see those?"
)
def own_stride(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    field, jump, fields = 1, 1, []
    for kernel, stride in zip(kernels, strides, strict=True):
        jump *= stride
        field += (kernel - 1) * jump
        fields.append(field)
    return torch.tensor(fields, dtype=torch.float64)


@FIELD.mistake("Each layer adds the whole kernel. One of its inputs was there before: it adds kernel − 1 of them.")
def whole_kernels(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    return _fields(kernels, strides, start=0, less=0)


@FIELD.mistake("One pixel too many: before the first layer the field is 1 pixel, and each layer adds kernel − 1.")
def whole_kernels_from_1(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    return _fields(kernels, strides, start=1, less=0)


@FIELD.mistake("One pixel is missing everywhere. How many pixels does one pixel see before the first layer?")
def from_0(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    return _fields(kernels, strides, start=0)


@FIELD.mistake(
    "The strides are added up. Two layers of stride 2 put neighbours 2 · 2 pixels apart: distances multiply."
)
def strides_added(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    field, jump, fields = 1, 1, []
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - 1) * jump
        jump += stride
        fields.append(field)
    return torch.tensor(fields, dtype=torch.float64)


@FIELD.mistake("The strides before a layer are summed. After strides of 2 and 3 neighbours are 2 · 3 pixels apart.")
def strides_summed(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    return _summed(kernels, [max(sum(strides[:n]), 1) for n in range(len(strides))])


@FIELD.mistake(
    "The strides before a layer are summed, and before the first layer the sum is 0, so its kernel adds nothing. "
    "Distances multiply, and begin at 1 pixel."
)
def strides_summed_from_0(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    return _summed(kernels, [sum(strides[:n]) for n in range(len(strides))])


@FIELD.mistake(
    "The strides are summed, a layer's own among them. Its own puts its *outputs* apart, and distances multiply."
)
def own_strides_summed(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    return _summed(kernels, [sum(strides[: n + 1]) for n in range(len(strides))])


@FIELD.mistake(
    "The field stays at 1 pixel. Does the distance of two neighbours begin at 0? Then so does every product."
)
def nothing_added(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    return torch.ones(len(kernels), dtype=torch.float64)


@FIELD.mistake("Only the stride of the layer just before counts here. All strides before a layer multiply.")
def last_stride_only(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    field, jump, fields = 1, 1, []
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - 1) * jump
        jump = stride
        fields.append(field)
    return torch.tensor(fields, dtype=torch.float64)


@FIELD.mistake("The layers come in the opposite order: the one that sees the picture is the first.")
def order_turned(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    return _own_receptive_field(kernels[::-1], strides[::-1])


@FIELD.mistake("The kernels are multiplied. Neighbouring windows overlap, so the field grows by much less.")
def kernels_multiplied(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    return torch.tensor(kernels, dtype=torch.float64).cumprod(0)


@FIELD.mistake("The last entry alone. The field after each layer was asked for: (N,).")
def last_only(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    return _own_receptive_field(kernels, strides)[-1]


@FIELD.mistake("One entry alone, the field after the last layer. One number for each layer was asked for: (N,).")
def last_alone(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    return _own_receptive_field(kernels, strides)[-1:]


@FIELD.mistake("This is what each layer adds. The field is 1 pixel, and all that has been added up to there.")
def increments(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    return torch.diff(_own_receptive_field(kernels, strides), prepend=torch.ones(1, dtype=torch.float64))


@FIELD.mistake("It starts before the first layer, and misses the last: entry 0 is about one layer, not about none.")
def one_early(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    return torch.cat([torch.ones(1, dtype=torch.float64), _own_receptive_field(kernels, strides)[:-1]])


@FIELD.mistake(
    "(field − 1) · stride + kernel is the way back, from the last layer to the first. From the first one on, a stride "
    "moves the layers after it further apart, and not what was seen before."
)
def forward_recursion(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    field, fields = 1, []
    for kernel, stride in zip(kernels, strides, strict=True):
        field = (field - 1) * stride + kernel
        fields.append(field)
    return torch.tensor(fields, dtype=torch.float64)


@FIELD.mistake("These are the fields of the paper's five layers, whatever the layers are.")
def always_the_papers(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    return torch.tensor([4.0, 10, 22, 46, 70], dtype=torch.float64)[: len(kernels)]


@FIELD.mistake("kernels and strides have changed places.")
def exchanged(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    return _own_receptive_field(strides, kernels)


@FIELD.mistake("Each layer adds kernel − stride. Its own stride matters only for the layers that come after it.")
def less_stride(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    less = [kernel - stride + 1 for kernel, stride in zip(kernels, strides, strict=True)]
    return _own_receptive_field(less, strides)


@FIELD.mistake("Each layer adds half of its kernel, one side of it. A window has two sides.")
def half_kernels(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    return _own_receptive_field([kernel // 2 + 1 for kernel in kernels], strides)


@FIELD.mistake("Each layer adds kernel + 1. Of its kernel inputs one was there before: how many are new?")
def one_more(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    return _fields(kernels, strides, less=-1)


@FIELD.mistake("All strides are taken to be 2. They are an argument.")
def always_2(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    return _own_receptive_field(kernels, [2] * len(strides))


@FIELD.mistake("The number of pixels in a square. Asked for is how many there are in a row.")
def squared(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    return _own_receptive_field(kernels, strides) ** 2


@FIELD.mistake("These are the distances of neighbouring outputs, the strides multiplied. How far does one output see?")
def distances(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    return torch.tensor(strides, dtype=torch.float64).cumprod(0)


@FIELD.mistake("The kernels are added up as they are: as if windows did not overlap, and there were no strides.")
def kernels_added(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    return torch.tensor(kernels, dtype=torch.float64).cumsum(0)


@FIELD.mistake("The first stride stands for all of them. Each layer has its own.")
def first_stride_for_all(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    return _own_receptive_field(kernels, [strides[0]] * len(strides))


@FIELD.mistake(
    "Counted back from the last layer: that is how far the last output sees into each layer. Asked for is how far the "
    "output of each layer sees into the picture."
)
def seen_from_the_end(kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    field, fields = 1, []
    for kernel, stride in zip(kernels[::-1], strides[::-1], strict=True):
        field = (field - 1) * stride + kernel
        fields.append(field)
    return torch.tensor(fields[::-1])
