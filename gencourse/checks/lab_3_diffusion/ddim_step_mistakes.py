"""What goes wrong in a step from t to s: every mistake that has a hint of its own."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gencourse.checks.lab_3_diffusion.chain import many
from gencourse.checks.lab_3_diffusion.ddim_step import DDIM_STEP, ddim_step


class Parts(NamedTuple):
    """The arguments of the step."""

    x_t: Tensor
    eps_hat: Tensor
    t: Tensor
    s: Tensor
    eta: float
    z: Tensor
    alpha_bar: Tensor

    @property
    def now(self) -> Tensor:
        return many(self.alpha_bar, self.t, self.x_t)

    @property
    def then(self) -> Tensor:
        return many(self.alpha_bar, self.s, self.x_t)

    @property
    def x_0(self) -> Tensor:
        """The guess of it."""
        return (self.x_t - (1 - self.now).sqrt() * self.eps_hat) / self.now.sqrt()

    @property
    def variance(self) -> Tensor:
        """σ²."""
        return self.eta**2 * (1 - self.then) / (1 - self.now) * (1 - self.now / self.then)

    @property
    def arrives(self) -> bool:
        """An example goes to s = 0."""
        return bool((self.s == 0).any())

    def but(self, **changed: Any) -> Tensor:
        """The right step with other arguments."""
        return ddim_step(*self._replace(**changed))

    def put(
        self,
        x_0: Tensor | None = None,
        variance: Tensor | None = None,
        old: Tensor | None = None,
        new: Tensor | None = None,
    ) -> Tensor:
        """The three terms of x_s, with another guess, another σ², another factor of the old or of the new noise."""
        x_0 = self.x_0 if x_0 is None else x_0
        variance = self.variance if variance is None else variance
        old = (1 - self.then - variance).sqrt() if old is None else old
        new = variance.sqrt() if new is None else new
        return self.then.sqrt() * x_0 + old * self.eps_hat + new * self.z


def mistake(hint: str, second: str = "") -> Callable[[Callable[[Parts], Tensor]], None]:
    """Add a mistake of the step, written for its `Parts`."""

    def add(function: Callable[[Parts], Tensor]) -> None:
        @functools.wraps(function)
        def gives(*numbers: Any) -> Tensor:
            return function(Parts(*numbers))

        DDIM_STEP.mistake(hint, second)(gives)

    return add


@mistake("t and s have changed places: x_t is unpacked with ᾱ_s. At which step was it packed?")
def direction_turned(p: Parts) -> Tensor:
    return p._replace(t=p.s, s=p.t).put(variance=0 * p.x_t)


@mistake("One example goes to s = 0, and all others go there too. Each has a step of its own.")
def one_for_all(p: Parts) -> Tensor:
    if not p.arrives:
        raise ValueError("nobody goes to 0")
    return p.x_0


@mistake("This is the guess of x_0. It has to be noised again, to the level of step s.")
def all_the_way(p: Parts) -> Tensor:
    return p.x_0


@mistake(
    "A root of a negative number: σ² is negative, or larger than 1 − ᾱ_s, so that nothing is left for the old. It "
    "has two ratios: is one missing, or turned?"
)
def no_room_left(p: Parts) -> Tensor:
    if p.arrives:
        raise ValueError("there it has another cause, 0/0")
    return torch.full_like(p.x_t, torch.nan)


@mistake("In σ², only the first of the two ratios is there. How much noise do the steps from s to t bring?")
def second_ratio_missing(p: Parts) -> Tensor:
    variance = p.eta**2 * (1 - p.then) / (1 - p.now)
    return p.put(variance=variance, old=(1 - p.then - variance).clamp(min=0).sqrt())


@mistake("In σ², the first of the two ratios is missing: how much of the noise of step t is there at s?")
def first_ratio_missing(p: Parts) -> Tensor:
    variance = p.eta**2 * (1 - p.now / p.then)
    return p.put(variance=variance, old=(1 - p.then - variance).clamp(min=0).sqrt())


@mistake("x_0 is scaled to step s, but the old noise is missing.")
def no_old_noise(p: Parts) -> Tensor:
    return p.put(old=0 * p.then)


@mistake("Both levels are read one step too early: entry 0 of alpha_bar is t = 0.")
def one_step_early(p: Parts) -> Tensor:
    if p.arrives:
        raise IndexError("there is no step before 0")
    return p.but(t=p.t - 1, s=p.s - 1)


@mistake("The step goes to t − 1, whatever s is.")
def to_t_minus_1(p: Parts) -> Tensor:
    return p.but(s=p.t - 1)


@mistake("The factors are ᾱ and 1 − ᾱ, shares of a variance. Amplitudes are wanted, as in x_t.")
def not_rooted(p: Parts) -> Tensor:
    x_0 = (p.x_t - (1 - p.now) * p.eps_hat) / p.now
    return p.then * x_0 + (1 - p.then - p.variance) * p.eps_hat + p.variance * p.z


@mistake("The guess of x_0 has the noise added once more. Which sign takes it out of x_t?")
def eps_added(p: Parts) -> Tensor:
    return p.put((p.x_t + (1 - p.now).sqrt() * p.eps_hat) / p.now.sqrt())


@mistake("η does nothing: whatever it is, σ is 0. (That of a negative σ² is cut to 0 too.)")
def no_eta(p: Parts) -> Tensor:
    return p.but(eta=0.0)


@mistake("The old noise keeps its full size beside the new: x_s is too noisy for step s.")
def no_room(p: Parts) -> Tensor:
    return p.put(old=(1 - p.then).sqrt())


@mistake("Standard deviations are subtracted: √(1 − ᾱ_s) − σ. Variances add up, deviations do not.")
def deviations_subtracted(p: Parts) -> Tensor:
    return p.put(old=(1 - p.then).sqrt() - p.variance.sqrt())


@mistake("z is multiplied by the variance σ². What turns standard noise into noise of that variance?")
def noise_not_rooted(p: Parts) -> Tensor:
    return p.put(new=p.variance)


@mistake("The old noise has made room, but nothing fills it: where does z enter?")
def no_new_noise(p: Parts) -> Tensor:
    return p.but(z=0 * p.z)


@mistake("The variance has the factor η. η scales the standard deviation: which factor has the variance?")
def eta_not_squared(p: Parts) -> Tensor:
    return p.but(eta=p.eta**0.5)


@mistake("In σ², the first ratio is turned: the smaller noise, that of step s, stands above.")
def ratio_turned(p: Parts) -> Tensor:
    if p.arrives:
        raise ZeroDivisionError("1 − ᾱ_0 is 0")
    return p.put(variance=p.variance * ((1 - p.now) / (1 - p.then)) ** 2)


@mistake("σ² is that of one step of the chain. From t to s it is several: what is their α together?")
def sigma_of_one_step(p: Parts) -> Tensor:
    if p.arrives:
        raise ValueError("no room for it in the last step")
    return p.put(variance=p._replace(s=p.t - 1).variance)


@mistake(
    "The table's entries met the last axis of x_t: each column got the step of another example. "
    "Shape them (B, 1, ..., 1)."
)
def along_the_last_axis(p: Parts) -> Tensor:
    now, then = p.alpha_bar[p.t], p.alpha_bar[p.s]
    variance = p.eta**2 * (1 - then) / (1 - now) * (1 - now / then)
    x_0 = (p.x_t - (1 - now).sqrt() * p.eps_hat) / now.sqrt()
    return then.sqrt() * x_0 + (1 - then - variance).sqrt() * p.eps_hat + variance.sqrt() * p.z


@mistake("x_t and eps_hat have changed places: from which is the other taken out?")
def exchanged(p: Parts) -> Tensor:
    return p.put((p.eps_hat - (1 - p.now).sqrt() * p.x_t) / p.now.sqrt())


@mistake("Old and new noise have changed places: σ belongs to z, the rest of the variance to eps_hat.")
def noises_exchanged(p: Parts) -> Tensor:
    return p.put(old=p.variance.sqrt(), new=(1 - p.then - p.variance).sqrt())


@mistake("The guess of x_0 is cut to [−1, 1]. Many do so for pictures, but this formula does not.")
def clamped(p: Parts) -> Tensor:
    return p.put(p.x_0.clamp(-1, 1))


@mistake("σ² is added to the old noise's variance. New noise comes, so which way does the old one change?")
def room_added(p: Parts) -> Tensor:
    return p.put(old=(1 - p.then + p.variance).sqrt())


@mistake("The old noise has the size of step t. We arrive at s, where there is less of it.")
def noise_of_t(p: Parts) -> Tensor:
    return p.put(old=(1 - p.now - p.variance).sqrt())


@mistake("x_0 is scaled as at step t. We arrive at s, where more of it is left.")
def signal_of_t(p: Parts) -> Tensor:
    return p.put((p.now / p.then).sqrt() * p.x_0)


@mistake("The new noise is subtracted. As a draw that is as good, but it is not what z says.")
def noise_subtracted(p: Parts) -> Tensor:
    return p.but(z=-p.z)


@mistake("η is in σ z alone: the old noise makes room for all that would come with η = 1. σ² stands in both places.")
def eta_on_z_alone(p: Parts) -> Tensor:
    return p.put(old=(1 - p.then - p._replace(eta=1.0).variance).sqrt())


@mistake("η is in σ², and multiplies σ z once more. Once is enough.")
def eta_twice(p: Parts) -> Tensor:
    return p.put(new=p.eta * p.variance.sqrt())


@mistake("The old noise makes room for σ. It is variances that add up, so for which power of σ?")
def deviation_makes_room(p: Parts) -> Tensor:
    return p.put(old=(1 - p.then - p.variance.sqrt()).clamp(min=0).sqrt())


@mistake("The guess of x_0 still has the size √ᾱ_t that it had in x_t. What undoes that?")
def x_0_not_divided(p: Parts) -> Tensor:
    return p.put(p.x_0 * p.now.sqrt())


@mistake("The guess of x_0 is divided by ᾱ_t. x_t holds √ᾱ_t of it.")
def x_0_over_alpha_bar(p: Parts) -> Tensor:
    return p.put(p.x_0 / p.now.sqrt())


@mistake("x_0 comes back with the factor ᾱ_s, a share of a variance. What is the signal's own factor?")
def signal_not_rooted(p: Parts) -> Tensor:
    return p.put(p.then.sqrt() * p.x_0)


@mistake("In the guess of x_0, 1 − ᾱ_t of eps_hat is taken out: a variance. The noise in x_t has which size?")
def noise_out_not_rooted(p: Parts) -> Tensor:
    return p.put((p.x_t - (1 - p.now) * p.eps_hat) / p.now.sqrt())


@mistake("The guess of x_0 is made with ᾱ_s. At which step was it that x_t was packed?")
def unpacked_at_s(p: Parts) -> Tensor:
    return p.put((p.x_t - (1 - p.then).sqrt() * p.eps_hat) / p.then.sqrt())


@mistake("η does nothing: whatever it is, the answer is that of 1.")
def always_eta_1(p: Parts) -> Tensor:
    return p.but(eta=1.0)


@mistake("All of the old noise is replaced by z. η says how much of it is, and 0 means none.")
def z_for_eps(p: Parts) -> Tensor:
    return p.put(old=0 * p.then, new=(1 - p.then).sqrt())


@mistake("Old and new noise have the weights 1 − η and η. It is the squares of their sizes that add up.")
def mixed_in_a_line(p: Parts) -> Tensor:
    return p.put(old=(1 - p.then).sqrt() * (1 - p.eta), new=(1 - p.then).sqrt() * p.eta)


@mistake("η is taken for σ's whole share. The two ratios are missing: how much noise do the steps from s to t bring?")
def eta_for_sigma(p: Parts) -> Tensor:
    return p.put(old=(1 - p.then).sqrt() * (1 - p.eta**2) ** 0.5, new=(1 - p.then).sqrt() * p.eta)


@mistake("s is read one step too early: alpha_bar[s] is ᾱ_s, without any shift.")
def s_one_step_early(p: Parts) -> Tensor:
    return p.but(s=(p.s - 1).clamp(min=0))


@mistake("t is read one step too early: alpha_bar[t] is ᾱ_t, without any shift.")
def t_one_step_early(p: Parts) -> Tensor:
    return p.but(t=p.t - 1)
