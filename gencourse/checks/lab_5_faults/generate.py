"""Evaluation mode, where the noise is a dropout. Lecture 02, section 11."""

import copy

import torch
from torch import Tensor, nn

from gencourse.checks.lab_5_faults.hunt import Hunt


def _own_test_generate(candidate):
    for training in (True, False):  # whichever way G comes
        x = 3 + 2 * torch.randn(500, 4)
        layers = torch.nn.BatchNorm1d(4, affine=False), torch.nn.Dropout(0.5)
        G = torch.nn.Sequential(*layers).train(training)
        y = candidate(G, x)
        assert G.training == G[0].training == G[1].training == training
        dropped = y == 0
        assert 0.4 < dropped.float().mean() < 0.6  # dropout is on: 2000 coins
        normal = (x - x.mean(0)) / x.var(0, unbiased=False).sqrt()  # by this batch's own statistics
        assert ((y - 2 * normal)[~dropped].abs() < 1e-3).all()
        assert not torch.equal(dropped, candidate(G, x) == 0)  # and it is another one each time


GENERATE = Hunt(
    "faults.test_generate",
    _own_test_generate,
    returns=["verdict"],
    second="A generator of two layers will do: BatchNorm1d(4, affine=False) and Dropout(0.5), on a batch whose mean is "
    "not 0 and whose deviation is not 1. Count the zeros, look at the rest, call it twice, and look at G.training "
    "before and after.",
    why="A small network that you can compute by hand shows what a large one hides.",
)


@GENERATE.fault(
    "With dropout on, how many of many outputs are 0? And do two calls give the same?",
    "G is put into evaluation mode: no dropout, and the running statistics instead of the batch's.",
)
def evaluation_mode(G: nn.Module, x: Tensor) -> Tensor:
    was = G.training
    G.eval()
    with torch.no_grad():
        y = G(x)
    G.train(was)
    return y


def _restored(G: nn.Module, x: Tensor, still: tuple[type, ...]) -> Tensor:
    """In training mode but for layers of some types, and all as it was afterwards."""
    was = {m: m.training for m in G.modules()}
    for m in G.modules():
        m.training = not isinstance(m, still)
    with torch.no_grad():
        y = G(x)
    for m, mode in was.items():
        m.training = mode
    return y


NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


@GENERATE.fault(
    "With batch statistics, what are mean and deviation of what a batch norm puts out?",
    "Dropout is on, but the batch norm uses its running statistics.",
)
def dropout_alone(G: nn.Module, x: Tensor) -> Tensor:
    return _restored(G, x, NORMS)


@GENERATE.fault(
    "Statistics are the batch's. Is the noise on as well?",
    "The batch norm uses the batch's statistics, but dropout is off.",
)
def batch_norm_alone(G: nn.Module, x: Tensor) -> Tensor:
    return _restored(G, x, DROPOUTS)


@GENERATE.fault(
    "Called twice, should it give the same?",
    "The random numbers are set back before each call: it draws the same dropout for ever.",
)
def frozen_noise(G: nn.Module, x: Tensor) -> Tensor:
    state = torch.get_rng_state()
    torch.manual_seed(0)
    y = _restored(G, x, ())
    torch.set_rng_state(state)
    return y


@GENERATE.fault(
    "What is G.training afterwards, if it was False before?",
    "It leaves G in training mode.",
)
def left_in_training_mode(G: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return G.train()(x)


@GENERATE.fault(
    "What is G.training afterwards, if it was True before?",
    "It leaves G in evaluation mode.",
)
def left_in_evaluation_mode(G: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        y = G.train()(x)
    G.eval()
    return y


@GENERATE.right("which puts the mode back")
def mode_put_back(G: nn.Module, x: Tensor) -> Tensor:
    return _restored(G, x, ())


@GENERATE.right(
    "which puts the mode back by G.train(mode)",
    "This right one puts the mode back by `G.train(mode)`, which gives all layers one mode. What was asked for is "
    "G.training: do the layers of your G have modes of their own?",
)
def one_mode_for_all(G: nn.Module, x: Tensor) -> Tensor:
    was = G.training
    with torch.no_grad():
        y = G.train()(x)
    G.train(was)
    return y


@GENERATE.right(
    "on a copy of G",
    "This right one runs a copy of G, so G itself notices nothing. Look at what comes out, not at what happens inside.",
)
def on_a_copy(G: nn.Module, x: Tensor) -> Tensor:
    with torch.inference_mode():
        return copy.deepcopy(G).train()(x).clone()


@GENERATE.right("in float64", "This right one answers in float64: the dtype is its own affair.")
def double(G: nn.Module, x: Tensor) -> Tensor:
    return _restored(G, x, ()).double()


@GENERATE.right("with gradients", "This right one keeps the graph: nothing was said about gradients.")
def with_gradients(G: nn.Module, x: Tensor) -> Tensor:
    was = G.training
    try:
        return G.train()(x)
    finally:
        G.train(was)
