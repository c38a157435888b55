"""Several processes that train together, as `torchrun` starts them; with one process nothing here does anything."""

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from genlib.train.players import Player


class Alone:
    """A process that trains by itself, and so has nobody to agree with, or to wait for."""

    rank, size, first = 0, 1, True
    agreeing = nullcontext

    def gather(self, value: Any) -> list[Any]:
        return [value]

    def broadcast(self, objective: nn.Module) -> None:
        pass

    def mean(self, player: Player, loss: Tensor, stop: bool, clock: float) -> tuple[Tensor, bool, float]:
        return loss, stop, clock


class Processes(Alone):
    """This process among the others: rank 0 shows progress and writes files, all compute gradients on their own data.

    `torchrun --nproc-per-node=2 script.py` sets the environment from which this one starts. On GPUs every process has
    to put its objective on a GPU of its own before, `cuda:$LOCAL_RANK`.
    """

    def __init__(self) -> None:
        if not dist.is_initialized():
            # Imported later, as optimisers do, it would keep the group as default of its functions: the group's threads
            # would outlive `destroy_process_group`, and now and then abort a process that ends.
            import torch.distributed.nn

            dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
            atexit.register(lambda: dist.is_initialized() and dist.destroy_process_group())
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.first = self.rank == 0

    def gather(self, value: Any) -> list[Any]:
        """What each of them has."""
        values = [value] * self.size
        with all_there():
            dist.all_gather_object(values, value)
        return values

    @contextmanager
    def agreeing(self) -> Iterator[None]:
        """What one process refuses here, all refuse, so that nobody waits for it."""
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
        for tensor in (*objective.parameters(), *objective.buffers()):
            whole = tensor.detach().contiguous()
            with all_there():
                dist.broadcast(whole, 0)
            tensor.copy_(whole)

    def mean(self, player: Player, loss: Tensor, stop: bool, clock: float) -> tuple[Tensor, bool, float]:
        """The mean of a player's gradients over the processes, put in their place, the same to the bit for each.

        Returns: the mean of the losses; whether any process is to stop; the first one's clock.
        """
        own = [p for p in player.parameters if p.requires_grad]
        # One flat message: the gradients first, then which there are, the loss and the wishes.
        pieces = [torch.zeros_like(p) if p.grad is None else p.grad for p in own]
        present = [float(p.grad is not None) for p in own]
        tail = own[0].new_tensor([*present, 0.0, float(stop), clock * self.size * self.first])
        tail[-3] = loss
        message = torch.cat([*(piece.reshape(-1) for piece in pieces), tail])
        with all_there():
            dist.all_reduce(message)
        *pieces, tail = (message / self.size).split([*(p.numel() for p in own), len(tail)])
        *present, stops, clock = (*tail[:-3].tolist(), *tail[-2:].tolist())
        for p, piece, n in zip(own, pieces, present, strict=True):
            p.grad = torch.empty_like(p).copy_(piece.view_as(p)) if n else None
        return tail[-3], stops > 0, clock


class ProcessLostError(RuntimeError):
    """Another process of the training has ended, or does not answer: this one cannot go on alone."""


@contextmanager
def all_there() -> Iterator[None]:
    """What the library says of a lost process, in one line of ours."""
    try:
        yield
    except RuntimeError as error:
        says = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        advice = "start all of them again, with resume=True to go on from the last checkpoint"
        raise ProcessLostError(f"processes: another one has ended or does not answer; {advice} ({says})") from None


def processes_here() -> Alone:
    """Those that `torchrun` has started, if it has."""
    several = dist.is_available() and (int(os.environ.get("WORLD_SIZE", "1")) > 1 or dist.is_initialized())
    return Processes() if several else Alone()
