"""What goes wrong in the sampler: every mistake that has a hint of its own."""

import torch
from torch import Tensor

from gencourse.checks.lab_3_diffusion.ancestral import ANCESTRAL, Step, ancestral, walk
from gencourse.checks.lab_3_diffusion.nets import Net


@ANCESTRAL.mistake("Only the end is there. The whole way was asked for: x_T, ..., x_0, stacked.")
def end_alone(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:
    return ancestral(net, step, x_T, z)[-1]


@ANCESTRAL.mistake("The start is missing: x_T itself comes first, so there are T + 1 tensors.")
def start_missing(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:
    return ancestral(net, step, x_T, z)[1:]


@ANCESTRAL.mistake(
    "The last x is missing, that of t = 1. Is the step taken (range stops before its end), and its result collected?"
)
def stops_early(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:
    return ancestral(net, step, x_T, z)[:-1]


@ANCESTRAL.mistake("The first step, t = T, is not taken. Pure noise is x_T, and z has T + 1 entries: what is T?")
def starts_late(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:
    return walk(net, step, x_T, z, range(len(z) - 2, 0, -1))


@ANCESTRAL.mistake("The order is turned: the walk starts at x_T, so x_T comes first, and x_0 last.")
def x_0_first(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:
    return ancestral(net, step, x_T, z).flip(0)


@ANCESTRAL.mistake("The walk goes up, from t = 1 to T. Where is the noise strongest, and where do we start?")
def upwards(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:
    return walk(net, step, x_T, z, range(1, len(z)))


@ANCESTRAL.mistake("The same noise comes in at every step. z holds one for each t.")
def same_noise(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:
    return ancestral(net, step, x_T, z[-1:].expand_as(z))


@ANCESTRAL.mistake("The noise is read one step too early: z[t] belongs to step t, and z[0] to none.")
def noise_early(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:
    return ancestral(net, step, x_T, z.roll(1, 0))


@ANCESTRAL.mistake("The noises come in the wrong order: z[t] belongs to step t, not to the t-th step of the walk.")
def noise_turned(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:
    return ancestral(net, step, x_T, torch.cat([z[:1], z[1:].flip(0)]))


@ANCESTRAL.mistake("The noises come in the order z[0], z[1], ... of the walk. z[t] belongs to step t.")
def noise_from_0(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:
    return ancestral(net, step, x_T, torch.cat([z[:1], z[:-1].flip(0)]))


@ANCESTRAL.mistake("The net is asked about x_T every time. It has to see where the walk is now.")
def net_sees_x_T(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:  # noqa: N802
    return ancestral(lambda x_t, t: net(x_T, t), step, x_T, z)


@ANCESTRAL.mistake("Every step starts at x_T. It has to start where the one before ended.")
def always_from_x_T(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:  # noqa: N802
    return ancestral(net, lambda x_t, t, eps_hat, z: step(x_T, t, eps_hat, z), x_T, z)


@ANCESTRAL.mistake("The step takes the net's guess first, then the new noise. They are exchanged.")
def exchanged(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:
    return ancestral(net, lambda x_t, t, eps_hat, z: step(x_t, t, z, eps_hat), x_T, z)


@ANCESTRAL.mistake("x_{t−1} is written to place t. The walk is asked for in its order: x_T first, x_0 last.")
def filled_by_t(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:
    whole = ancestral(net, step, x_T, z)
    return torch.cat([whole[:1], whole[1:].flip(0)])


@ANCESTRAL.mistake("Every x is cut to [−1, 1]. On the way there is noise in it, which goes beyond.")
def clamped(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:
    return ancestral(net, lambda *args: step(*args).clamp(-1, 1), x_T, z)


@ANCESTRAL.mistake("x_T comes twice, and the last x is missing: is x collected before its step is taken?")
def collected_too_early(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:
    return torch.cat([x_T[None], ancestral(net, step, x_T, z)[:-1]])


@ANCESTRAL.mistake("The net is asked once, before the loop. At each step it sees another x, and has another answer.")
def asked_once(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:
    eps_hat = net(x_T, torch.full((len(x_T),), len(z) - 1))
    return ancestral(lambda x_t, t: eps_hat, step, x_T, z)


@ANCESTRAL.mistake("The step is told t − 1. It is called with the step at which x is, and knows itself where it goes.")
def step_told_t_minus_1(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:
    return ancestral(net, lambda x_t, t, *more: step(x_t, (t - 1).clamp(min=1), *more), x_T, z)


@ANCESTRAL.mistake("The net is told t − 1. Which step does the noise belong to that it sees?")
def net_told_t_minus_1(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:
    return ancestral(lambda x_t, t: net(x_t, (t - 1).clamp(min=1)), step, x_T, z)


@ANCESTRAL.mistake("The net is told T at every step. It has to hear how much noise is left.")
def net_told_T(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:  # noqa: N802
    return ancestral(lambda x_t, t: net(x_t, 0 * t + len(z) - 1), step, x_T, z)


@ANCESTRAL.mistake("The step is told T every time. It has to hear where the walk is.")
def step_told_T(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:  # noqa: N802
    return ancestral(net, lambda x_t, t, *more: step(x_t, 0 * t + len(z) - 1, *more), x_T, z)


@ANCESTRAL.mistake("Each example is told another step, always the same. All of them are at step t together.")
def steps_by_example(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:
    own = torch.arange(1, len(x_T) + 1)
    return ancestral(lambda x_t, t: net(x_t, own), lambda x_t, t, *more: step(x_t, own, *more), x_T, z)


@ANCESTRAL.mistake("z[0] comes in at every step: the noise that is never used. z[t] belongs to step t.")
def noise_0(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:
    return ancestral(net, step, x_T, z[:1].expand_as(z))


@ANCESTRAL.mistake("x_T is not used: the walk starts at a noise of z.")
def starts_at_z(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:
    return ancestral(net, step, z[-1], z)


@ANCESTRAL.mistake("The guess is subtracted as it is. How much of it one step takes out, the function `step` knows.")
def no_step(net: Net, step: Step, x_T: Tensor, z: Tensor) -> Tensor:
    return ancestral(net, lambda x_t, t, eps_hat, z: x_t - eps_hat, x_T, z)
