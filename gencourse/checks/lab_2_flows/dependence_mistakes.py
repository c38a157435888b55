# pyright: reportCallIssue=false, reportArgumentType=false
"""What goes wrong in tables of what depends on what: every mistake that has a hint of its own."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gencourse.checks.lab_2_flows.dependence import DEPENDENCE, dependence
from gencourse.checks.lab_2_flows.given import Map, jacobian, through


def _jacobians(x: Tensor, layers: Sequence[Map]) -> Tensor:
    """That of the first layer, of the first two, ...: (N, D, D)."""
    firsts = [layers[: n + 1] for n in range(len(layers))]
    return torch.stack([jacobian(lambda v: through(first, v), x)[0] for first in firsts])  # noqa: B023


@DEPENDENCE.mistake("These are the last n + 1 layers. Entry n is about the first n + 1.")
def last_layers(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return torch.cat([dependence(x, layers[-n:])[-1:] for n in range(1, len(layers) + 1)])


@DEPENDENCE.mistake("It is one layer ahead: entry n is about n + 2 layers here, and entry 0 about two.")
def one_ahead(x: Tensor, layers: Sequence[Map]) -> Tensor:
    tables = dependence(x, layers)
    return torch.cat([tables[1:], tables[-1:]])


@DEPENDENCE.mistake(
    "The Jacobians, or their tables, are multiplied in the wrong order. The factor on the right meets "
    "x first: which layer's is it?"
)
def product_turned(x: Tensor, layers: Sequence[Map]) -> Tensor:
    each = torch.cat([_jacobians(through(layers[:n], x), layers[n : n + 1]) for n in range(len(layers))])
    return _products(each.mT).mT


@DEPENDENCE.mistake("A derivative is compared with 1, or its logarithm with 0: log 1 is 0, and 0 has no logarithm.")
def compared_with_1(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return (_jacobians(x, layers).abs() != 1).to(x)


@DEPENDENCE.mistake("Rows and columns have changed places: [n, i, j] is about output i and input j.")
def transposed(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return dependence(x, layers).mT


@DEPENDENCE.mistake("Each layer is looked at by itself. Entry n is about the first n + 1 layers, one after the other.")
def each_alone(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return torch.cat([dependence(through(layers[:n], x), layers[n : n + 1]) for n in range(len(layers))])


@DEPENDENCE.mistake(
    "The layers' tables of zeros and ones are multiplied. Whether two ways cancel, 1 − 1, only the derivatives know."
)
def tables_multiplied(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return _products(each_alone(x, layers))


@DEPENDENCE.mistake("All layers are asked at x. The second one gets what the first one made of it, and so on.")
def all_at_x(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return _products(torch.cat([_jacobians(x, [layer]) for layer in layers]))


def _products(each: Tensor) -> Tensor:
    """Where the product of the first one, the first two, ... is not 0."""
    products = [each[0]]
    for one in each[1:]:
        products.append(one @ products[-1])
    return (torch.stack(products) != 0).to(each)


@DEPENDENCE.mistake("These are the layers from layer n on. Entry n is about those from the first one to layer n.")
def layers_left(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return torch.cat([dependence(x, layers[n:])[-1:] for n in range(len(layers))])


@DEPENDENCE.mistake("These are unions: what any layer alone mixes. Through two layers an input can go two steps far.")
def unions(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return each_alone(x, layers).cumsum(0).clamp(max=1)


@DEPENDENCE.mistake("These are the derivatives. Only whether each is 0 was asked for: 0. or 1.")
def derivatives(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return _jacobians(x, layers)


@DEPENDENCE.mistake("Only derivatives above 0 count here. Below 0 an output depends on its input just as well.")
def only_positive(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return (_jacobians(x, layers) > 0).to(x)


@DEPENDENCE.mistake("0 and 1 have changed places: 1 says that the output depends on the input.")
def turned_round(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return 1 - dependence(x, layers)


@DEPENDENCE.mistake("The layers come in the opposite order.")
def order_turned(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return dependence(x, layers[::-1])


@DEPENDENCE.mistake(
    "It starts before the first layer, and misses the last. Entry 0 is about one layer, not about none."
)
def one_early(x: Tensor, layers: Sequence[Map]) -> Tensor:
    eye = torch.eye(x.shape[1], dtype=x.dtype)[None]
    return torch.cat([eye, dependence(x, layers)[:-1]])


@DEPENDENCE.mistake("The table of all layers together only. Each number of layers was asked for: (N, D, D).")
def all_layers_only(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return dependence(x, layers)[-1]


@DEPENDENCE.mistake(
    "All outputs were added up before the derivative was taken, so only the inputs are left. Ask for each output."
)
def outputs_added(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return (_jacobians(x, layers).sum(1) != 0).to(x)


@DEPENDENCE.mistake("The diagonal is 0: that each output depends on its own input counts, too.")
def without_the_diagonal(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return dependence(x, layers) * (1 - torch.eye(x.shape[1], dtype=x.dtype))


@DEPENDENCE.mistake("These are the derivatives' signs. A negative one is a dependence as well: 1.")
def signs(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return _jacobians(x, layers).sign()


@DEPENDENCE.mistake("This says which outputs differ from the input. Which output depends on which input was asked for.")
def changed(x: Tensor, layers: Sequence[Map]) -> Tensor:
    D = x.shape[1]
    return torch.stack([(through(layers[: n + 1], x) != x).to(x).T.expand(D, D) for n in range(len(layers))])


@DEPENDENCE.mistake("Every entry n is about all layers together. Entry n is about the first n + 1 of them.")
def all_layers_each(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return dependence(x, layers)[-1:].expand(len(layers), -1, -1)


@DEPENDENCE.mistake("All is 1, as if every output depended on every input from the first layer on.")
def ones(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return torch.ones_like(dependence(x, layers))


@DEPENDENCE.mistake("These are the sizes of the derivatives. Only whether each is 0 was asked for: 0. or 1.")
def sizes(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return _jacobians(x, layers).abs()


@DEPENDENCE.mistake(
    "Once dependent, always dependent: but what one layer mixes the next may unmix. Ask each n by itself."
)
def ever(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return dependence(x, layers).cumsum(0).clamp(max=1)


@DEPENDENCE.mistake("Small derivatives are taken for 0, by a threshold or by rounding. Only 0 itself is no dependence.")
def rounded(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return (_jacobians(x, layers).abs() > 0.1).to(x)


@DEPENDENCE.mistake("These are counts or sums. Each entry is 0. or 1.")
def counts(x: Tensor, layers: Sequence[Map]) -> Tensor:
    return dependence(x, layers).cumsum(0)
