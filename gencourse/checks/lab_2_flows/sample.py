"""From noise to samples: every layer, the other way. Erratum 12."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from gencourse.checks.answer import Answer
from gencourse.checks.lab_2_flows.given import FLOAT32_TOL, Coupling, Map, Named, normal, random_flow, stack, through
from gencourse.checks.spec import Exercise
from genlib import flows


def _own_sample(z: Tensor, inverses: Sequence[Map], temperature: float) -> Tensor:
    return through(inverses[::-1], temperature * z)


SAMPLE = Exercise("flows.sample", _own_sample, returns=["x"], batched=["z"])


def _numbers(g: Generator) -> tuple[Tensor, tuple[Coupling, ...], float]:
    """z, layers, and a temperature that is neither 0 nor 1."""
    layers = stack([torch.arange(3) == k % 3 for k in range(3)], g)
    return normal((5, 3), g), layers, round(0.3 + 0.5 * float(torch.rand(1, generator=g)), 3)


def _back(layers: Sequence[Coupling]) -> tuple[Map, ...]:
    return tuple(layer.inverse for layer in layers)


@SAMPLE.check(
    "at temperature 1 the flow brings x back to z",
    "f = f_N ∘ … ∘ f_1: what was done last is undone first, and inverses[0] undoes what was done first.",
)
def _(answer: Answer, g: Generator) -> None:
    z, layers, _ = _numbers(g)
    x = answer(z, _back(layers), 1.0)
    answer.agrees("f(x)", z, through(layers, x))


@SAMPLE.check(
    "at another temperature it brings x back to temperature · z",
    "The temperature is a factor of z, before anything else happens: the deviation of the base.",
)
def _(answer: Answer, g: Generator) -> None:
    z, layers, temperature = _numbers(g)
    x = answer(z, _back(layers), temperature)
    answer.agrees("f(x)", temperature * z, through(layers, x))


@SAMPLE.check(
    "at temperature 0 all samples are one: where the flow puts z = 0",
    "With temperature 0 nothing of the noise is left.",
)
def _(answer: Answer, g: Generator) -> None:
    z, layers, _ = _numbers(g)
    x = answer(z, _back(layers), 0.0)
    answer.agrees("f(x)", torch.zeros_like(z), through(layers, x))


@SAMPLE.check("it takes float32, and genlib's layers", "Compare with flows.RealNVP.for_vectors(4).inverse(z).")
def _(answer: Answer, g: Generator) -> None:
    flow, z = random_flow(4, g), normal((6, 4), g)
    back = tuple(Named(f"inverse of layer {k}", flows.Inverse(layer)) for k, layer in enumerate(flow.layers))
    answer.gives([z, back, 0.5], flow.inverse(0.5 * z)[0])
    z, layers, temperature = _numbers(g)
    x = answer(z.float(), _back(layers), temperature)
    answer.agrees("f(x)", temperature * z, through(layers, x.double()), tol=100 * FLOAT32_TOL)


@SAMPLE.mistake("The inverses come in the layers' order. Which layer was the last to touch z? It is undone first.")
def order_kept(z: Tensor, inverses: Sequence[Map], temperature: float) -> Tensor:
    return through(inverses, temperature * z)


@SAMPLE.mistake("The temperature is not used: at 0.5, z should have half its deviation.")
def no_temperature(z: Tensor, inverses: Sequence[Map], temperature: float) -> Tensor:
    return through(inverses[::-1], z)


@SAMPLE.mistake("z is multiplied by √temperature, as if it were a variance. Here it is the factor of the deviation.")
def temperature_as_variance(z: Tensor, inverses: Sequence[Map], temperature: float) -> Tensor:
    return through(inverses[::-1], temperature**0.5 * z)


@SAMPLE.mistake("z is multiplied by temperature². Once is enough: the variance has the square then.")
def temperature_squared(z: Tensor, inverses: Sequence[Map], temperature: float) -> Tensor:
    return through(inverses[::-1], temperature**2 * z)


@SAMPLE.mistake("z is divided by the temperature. Below 1 it should come closer to the middle.")
def divided(z: Tensor, inverses: Sequence[Map], temperature: float) -> Tensor:
    return through(inverses[::-1], z / temperature)


@SAMPLE.mistake("The temperature shrinks x, at the end: all pictures would turn grey. It belongs to the base.")
def temperature_at_the_end(z: Tensor, inverses: Sequence[Map], temperature: float) -> Tensor:
    return temperature * through(inverses[::-1], z)


@SAMPLE.mistake("The temperature comes in again at every layer. It belongs to the base alone: once.")
def temperature_at_every_layer(z: Tensor, inverses: Sequence[Map], temperature: float) -> Tensor:
    for inverse in inverses[::-1]:
        z = inverse(temperature * z)[0]
    return z


@SAMPLE.mistake("x is what one inverse alone makes of z. Each has to get what the one before it made.")
def not_chained(z: Tensor, inverses: Sequence[Map], temperature: float) -> Tensor:
    return inverses[0](temperature * z)[0]


@SAMPLE.mistake("One inverse alone, the one that comes first. The others have to go on from there.")
def first_alone(z: Tensor, inverses: Sequence[Map], temperature: float) -> Tensor:
    return inverses[-1](temperature * z)[0]


@SAMPLE.mistake("inverses[0] is left out: there is one layer more to undo.")
def without_the_last(z: Tensor, inverses: Sequence[Map], temperature: float) -> Tensor:
    return through(inverses[:0:-1], temperature * z)


@SAMPLE.mistake("inverses[-1] is left out: it undoes the layer that came last, and so it is the first.")
def without_the_first(z: Tensor, inverses: Sequence[Map], temperature: float) -> Tensor:
    return through(inverses[-2::-1], temperature * z)


@SAMPLE.mistake("The temperature is added to z. It is a factor: the deviation of the base.")
def temperature_added(z: Tensor, inverses: Sequence[Map], temperature: float) -> Tensor:
    return through(inverses[::-1], z + temperature)


@SAMPLE.mistake("What each inverse makes of z is there, one beside the other. They are to come one after the other.")
def side_by_side(z: Tensor, inverses: Sequence[Map], temperature: float) -> Tensor:
    return torch.stack([inverse(temperature * z)[0] for inverse in inverses[::-1]])
