"""Several processes that train together, as `torchrun` starts them; with one process nothing here does anything."""

import atexit
import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from genlib.arguments import checked

P = ParamSpec("P")
R = TypeVar("R")


class Processes:
    """This process among the others: rank 0 shows progress and writes files, all compute gradients on their own data.

    `torchrun --nproc-per-node=2 script.py` sets the environment from which this one starts. On GPUs every process has
    to put its objective on a GPU of its own before, `cuda:$LOCAL_RANK`.
    """

    def __init__(self) -> None:
        self.rank, self.size = 0, 1
        if dist.is_available() and (int(os.environ.get("WORLD_SIZE", "1")) > 1 or dist.is_initialized()):
            if not dist.is_initialized():
                dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
                atexit.register(lambda: dist.is_initialized() and dist.destroy_process_group())
            self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.first = self.rank == 0

    def gather(self, value: Any) -> list[Any]:
        """What each of them has."""
        values = [value] * self.size
        if self.size > 1:
            dist.all_gather_object(values, value)
        return values

    @contextmanager
    def agreeing(self) -> Iterator[None]:
        """What one process refuses here, all refuse, so that nobody waits for it."""
        if self.size == 1:
            yield
            return
        try:
            yield
        except Exception as error:
            self.gather(f"{type(error).__name__}: {error}")
            raise
        for rank, refusal in enumerate(self.gather("")):
            if refusal:
                raise ValueError(f"processes: process {rank} cannot train, so none does ({refusal})")

    @torch.no_grad()
    def broadcast(self, objective: nn.Module) -> None:
        """Everybody gets the weights and buffers of the first one, in place."""
        for tensor in (*objective.parameters(), *objective.buffers()) if self.size > 1 else ():
            whole = tensor.detach().contiguous()
            dist.broadcast(whole, 0)
            tensor.copy_(whole)

    def mean(
        self, parameters: list[Tensor], sums: list[Any], stop: bool, clock: float
    ) -> tuple[list[Tensor], list[Tensor], float, float, bool, float]:
        """The mean over the processes of loss and gradients, the same to the bit for each of them.

        Returns:
            the parameters that have a gradient, these gradients, the loss, the norm of the gradients; whether any
            process is to stop, and the first one's clock. The device is waited for once.
        """
        loss, *gradients = sums
        if self.size == 1:
            used = [(p, g) for p, g in zip(parameters, gradients, strict=True) if g is not None]
            parameters, gradients = [p for p, _ in used], [g for _, g in used]
            norm = torch.nn.utils.get_total_norm(gradients)
            return parameters, gradients, *torch.stack([loss.to(norm), norm]).tolist(), stop, clock
        # One flat message: the gradients first, then which there are, the loss and the wishes.
        like = next((g for g in gradients if g is not None), parameters[0])
        present = [float(g is not None) for g in gradients]
        tail = like.new_tensor([*present, 0.0, float(stop), clock * self.size * self.first])
        tail[-3] = loss
        pieces = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, gradients, strict=True)]
        message = torch.cat([*(piece.reshape(-1) for piece in pieces), tail])
        dist.all_reduce(message)
        message /= self.size
        *pieces, tail = message.split([*(p.numel() for p in parameters), len(tail)])
        norm = torch.nn.utils.get_total_norm(pieces)
        *present, value, stops, clock, size = torch.cat([tail, norm.reshape(1).to(tail)]).tolist()
        used = [(p, g.view_as(p).to(p.dtype)) for p, g, n in zip(parameters, pieces, present, strict=True) if n]
        return [p for p, _ in used], [g for _, g in used], value, size, stops > 0, clock


def together(function: Callable[P, R]) -> Callable[P, R]:
    """A function that is `checked`: wrong arguments in one process are refused by all."""
    hold: Callable[..., Any] = checked(functools.wraps(function)(lambda *args, **kwargs: None))

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        processes = Processes()
        if processes.size > 1:
            with processes.agreeing():
                hold(*args, **kwargs)
        return function(*args, **kwargs)

    return wrapper
