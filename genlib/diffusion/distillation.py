"""Fewer steps: a student goes in one step where its teacher takes two; or the paths are straightened."""

from collections.abc import Iterator
from typing import Annotated, Any

import torch
from torch import Generator, Tensor

from genlib.arguments import NonNegative, Share, check, checked
from genlib.common import Turn, draw, unpack
from genlib.diffusion.ddpm import DDPM, MANY
from genlib.diffusion.denoising import Denoising
from genlib.diffusion.samplers import Guidance
from genlib.diffusion.schedule import q_sample

Steps = Annotated[int, "[1, {ddpm.schedule.T}]"]


class Progressive(Denoising):
    """Progressive distillation: by n steps of `ddim` the student is to arrive where its teacher is after 2n.

    For a random step t of the student's n, s the one after it and m the one of the teacher's between them:

        x̃ = x̂ + w (x̂' − x̂),      w = d(m, s)/d(t, s),     d(a, b) = cos φ_b − (sin φ_b/sin φ_a) cos φ_a,   cos φ = √ᾱ

    x̂ is the teacher's guess of x_0 at x_t, x̂' that at x_m, where one step of its `ddim` leads; and x̃ is the guess
    with which one step leads from x_t to where a second step of the teacher leads. The loss is that of `Denoising`
    with x̃ for x_0. Then the student becomes the teacher of one of half the steps.

    Args:
        ddpm: the student, as a rule a copy of the teacher; it predicts v, u or x_0, for ε at the noisiest step, where
            hardly any signal is left, says little of x_0. `teacher`: a DDPM on the same schedule, which is not trained.
        steps: n; 2n is at most the T of the schedule.
        guidance: the teacher's, where there are labels; the student learns it along.
        lr, label_dropout: as for `Denoising`; with guidance no label can be hidden.
    Raises: ValueError for other arguments. Ref: Salimans & Ho 2022, algorithm 2; guidance: Meng et al. 2023.
    """

    @checked
    def __init__(
        self,
        ddpm: DDPM,
        teacher: DDPM,
        steps: Steps,
        lr: NonNegative = 1e-3,
        label_dropout: Share = 0.0,
        guidance: Annotated[float, "[0, 1000]"] = 0.0,
    ) -> None:
        super().__init__(ddpm, lr, label_dropout)
        if repr(teacher.schedule) != repr(ddpm.schedule):
            raise ValueError("teacher: expected one on the student's schedule")
        if ddpm.predict == "eps" or ddpm.variance == "learned":
            raise ValueError("ddpm: expected one that predicts v, u or x_0, with a fixed variance")
        if 2 * steps > ddpm.schedule.T:
            raise ValueError(f"steps: expected at most half of T = {ddpm.schedule.T}, got {steps}")
        if guidance and label_dropout:
            raise ValueError("label_dropout: expected 0 where the teacher is guided, for it needs the labels")
        self.n, self.guidance = steps, Guidance(guidance)
        self._teacher = [teacher]  # in a list, so that its weights are not the objective's
        visited = [0, *ddpm.schedule.visited(2 * steps)]
        alpha, sigma = ddpm.schedule.sqrt_alpha_bar[visited], ddpm.schedule.sqrt_one_minus_alpha_bar[visited]
        s, m, t = slice(0, -1, 2), slice(1, None, 2), slice(2, None, 2)
        d_m = alpha[s] - sigma[s] / sigma[m] * alpha[m]
        self.share = d_m / (alpha[s] - sigma[s] / sigma[t] * alpha[t])  # w, (n,)

    @checked
    def losses(self, batch: Any, generator: Generator | None = None) -> Iterator[Turn]:
        """("net", the loss, {}), once; batch, errors: as for `Denoising`."""
        x_0, label = self._parts(batch, Tensor)
        x_0 = x_0.to(torch.promote_types(x_0.dtype, torch.float32))
        teacher, schedule = self._teacher[0].to(x_0.device), self.model.schedule
        visited = torch.tensor([0, *schedule.visited(2 * self.n)], device=x_0.device)
        where = x_0.device if generator is None else generator.device
        i = torch.randint(1, self.n + 1, (len(x_0),), generator=generator, device=where).to(x_0.device)
        t, middle = visited[2 * i], visited[2 * i - 1]
        _, x_t, _, label = self._noised(x_0, label, t, generator)

        first = teacher.guess(x_t, t, label, self.guidance)
        second = teacher.guess(q_sample(schedule, first.x_0, middle, first.eps), middle, label, self.guidance)
        share = self.share.to(x_t)[i - 1].view(-1, *[1] * (x_t.dim() - 1))
        x_tilde, eps = schedule._x_0_and_eps(first.x_0 + share * (second.x_0 - first.x_0), x_t, t, "x_0")
        target = schedule._from_both(x_tilde, eps, t, self.model.predict)
        value, _ = self.model(x_t, t, label)
        yield "net", torch.nn.functional.mse_loss(value, target), {}

    def config(self) -> dict[str, Any]:
        """That of `Denoising`, and how many steps it is for."""
        return super().config() | {"n": self.n, "guidance": repr(self.guidance)}


class Reflow(Denoising):
    """Flow matching on pairs of noise and what a model has made of it: lines cross less, and paths are straighter.

    Args: as for `Denoising`; the model has a fixed variance, and as a rule predicts u on `Schedule.straight`.
    A batch is (B, 2, D, ...): x_0, and the x_T from which a sampler without noise has come to it; or with labels.
    Raises: ValueError for others. Ref: Liu et al. 2023 (rectified flow), §2.
    """

    @checked
    def __init__(self, ddpm: DDPM, lr: NonNegative = 4e-3, label_dropout: Share = 0.0) -> None:
        super().__init__(ddpm, lr, label_dropout)
        if ddpm.variance == "learned":
            raise ValueError("ddpm: expected one with a fixed variance")

    def check(self, batch: Any) -> None:
        """Look at a batch once, as `Denoising` does."""
        known = self.model.shape
        super().check(batch)
        pairs, _ = self._parts(batch, Tensor)
        self.model.shape = known or tuple(pairs.shape[2:])

    def _ends(self, x_0: Tensor, generator: Generator | None) -> tuple[Tensor, Tensor]:
        return x_0[:, 0], x_0[:, 1]

    def _parts(self, batch: Any, kind: Any) -> tuple[Tensor, Tensor | None]:
        model = self.model
        pairs, label = unpack(batch, None if model.n_classes == MANY else bool(model.n_classes or model.n_condition))
        check("batch", pairs, kind, self=model)
        if pairs.dim() < 3 or pairs.shape[1] != 2:
            raise ValueError(f"batch: expected (B, 2, D, ...), x_0 and x_T, got shape {tuple(pairs.shape)}")
        model.check_shape((len(pairs), *pairs.shape[2:]), "batch")
        return pairs, model.label_for(len(pairs), label)


@checked
def pairs_of(
    ddpm: DDPM, n: Annotated[int, "[1, 100000000]"], generator: Generator | None = None, **options: Any
) -> Tensor:
    """n pairs for `Reflow`, (n, 2, D, ...): what `ddpm.sample` makes of noise, and that noise.

    Args: options, of `sample`, such as steps, sampler, label. Raises: ValueError for what `sample` refuses.
    """
    if ddpm.shape is None:
        raise ValueError("ddpm: expected one that knows the shape of an x, got None")
    like = next(ddpm.parameters(), torch.zeros(()))
    x_T = draw((n, *ddpm.shape), like.detach(), generator)
    return torch.stack([ddpm.sample(n, generator=generator, x_T=x_T, **options), x_T], dim=1)
