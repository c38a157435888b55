"""Where the batches come from: tensors that live on the device, or a loader.

Both know where they are as two whole numbers, the epoch and the turn in it; everything else follows from the seed. So a
training that was killed finds its place again.
"""

import random
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from genlib.arguments import check_finite

Batch = Any  # a tensor, or a (named) tuple of tensors


def derive_seed(*parts: int | str) -> int:
    """A seed for one purpose. Neighbouring seeds and epochs get unrelated ones, which a sum would not do."""
    return random.Random("/".join(map(str, parts))).getrandbits(63)


def make_batches(
    data: Any, batch_size: int, seed: int, device: torch.device, rank: int, processes: int
) -> "TensorBatches | LoaderBatches":
    """`TensorBatches` for a tensor or a tuple of tensors, `LoaderBatches` for what yields batches by itself."""
    if isinstance(data, Tensor | tuple):
        return TensorBatches(data, batch_size, seed, device, rank, processes)
    return LoaderBatches(data, seed, device, rank, processes)


class TensorBatches:
    """Shuffled batches of tensors that are moved to the device once.

    Every epoch has an order of its own; no example comes twice in it, and a last batch that would not be full is left
    out. Data smaller than one batch is one batch. Several processes share an order, and each takes every n-th batch.
    """

    def __init__(
        self,
        data: Tensor | tuple[Tensor, ...],
        batch_size: int,
        seed: int,
        device: torch.device,
        rank: int,
        processes: int,
    ) -> None:
        columns = {f"data[{i}]": x for i, x in enumerate(data)} if isinstance(data, tuple) else {"data": data}
        fields = getattr(data, "_fields", ())
        if fields:
            columns = {f"data.{name}": x for name, x in zip(fields, data, strict=True)}
        _check_columns(columns, processes)
        self.make: Callable[[Sequence[Tensor]], Batch] = getattr(data, "_make", tuple)
        if isinstance(data, Tensor):
            self.make = lambda rows: rows[0]

        self.columns = [x.detach().to(device) for x in columns.values()]
        self.n = len(self.columns[0])
        self.batch_size = min(batch_size, self.n // processes)
        self.turns = self.n // (self.batch_size * processes)  # in an epoch
        self.seed, self.rank, self.processes = seed, rank, processes
        self.epoch = self.turn = 0
        self.order: tuple[int, Tensor] | None = None  # of which epoch, and the order itself
        self.description: str | None = None

    def next(self) -> Batch:
        if self.turn == self.turns:
            self.epoch, self.turn = self.epoch + 1, 0
        if self.order is None or self.order[0] != self.epoch:
            g = torch.Generator().manual_seed(derive_seed("order", self.seed, self.epoch))
            self.order = self.epoch, torch.randperm(self.n, generator=g).to(self.columns[0].device)
        start = (self.turn * self.processes + self.rank) * self.batch_size
        rows = self.order[1][start : start + self.batch_size]
        self.turn += 1
        return self.make([x[rows] for x in self.columns])

    def describe(self) -> str:
        """Enough to see that a training is resumed with other data."""
        if self.description is None:
            parts = []
            for x in self.columns:
                content = x.cpu().contiguous().view(-1).view(torch.uint8).numpy().data
                parts.append(f"{tuple(x.shape)} {str(x.dtype).removeprefix('torch.')} {zlib.crc32(content):08x}")
            self.description = ", ".join(parts)
        return self.description

    def state_dict(self) -> dict:
        return {"epoch": self.epoch, "turn": self.turn}

    def load_state_dict(self, state: dict) -> None:
        self.epoch, self.turn = state["epoch"], state["turn"]


class LoaderBatches:
    """Batches from a DataLoader, or anything that can be iterated again and again; moved to the device one by one.

    An epoch starts from a seed of its own, so a DataLoader that shuffles does so in the same way every time. Several
    processes go through the same batches, and each takes every n-th, unless the loader has a DistributedSampler.
    """

    def __init__(self, data: Any, seed: int, device: torch.device, rank: int, processes: int) -> None:
        _check_iterable(data)
        self.data, self.seed, self.device = data, seed, device
        sampler = getattr(data, "sampler", None)
        self.set_epoch: Callable[[int], None] | None = getattr(sampler, "set_epoch", None)
        shared_out = self.set_epoch is not None and getattr(sampler, "num_replicas", 1) == processes
        self.rank, self.processes = (0, 1) if shared_out else (rank, processes)
        own = getattr(data, "generator", None)
        self.generator: torch.Generator | None = own if isinstance(own, torch.Generator) else None
        self.epoch, self.turn = 0, 0
        self.generator_at_start: Tensor | None = None
        self.iterator: Iterator[Batch] | None = None

    def next(self) -> Batch:
        if self.iterator is None:
            self.iterator = self._start()
        batch = self._group()
        if batch is _END:
            self.epoch, self.turn = self.epoch + 1, 0
            self.iterator = self._start()
            batch = self._group()
            if batch is _END:
                few = f"fewer batches than the {self.processes} processes" if self.processes > 1 else "no batch"
                raise ValueError(f"data: expected batches in every pass, but pass {self.epoch + 1} had {few}")
        self.turn += 1
        return _move(batch, self.device)

    def _start(self) -> Iterator[Batch]:
        """A pass over the data. Its first batch is drawn here, for that is when samplers draw their order."""
        if self.set_epoch is not None:
            self.set_epoch(self.epoch)
        if self.generator is not None:
            self.generator_at_start = self.generator.get_state()
        before = torch.get_rng_state()
        torch.default_generator.manual_seed(derive_seed("loader", self.seed, self.epoch))
        try:
            iterator = iter(self.data)
            first = next(iterator, _END)
        finally:
            torch.set_rng_state(before)
        if first is _END:
            again = f"pass {self.epoch + 1} over them had none" if self.epoch else "there is none"
            raise ValueError(f"data: expected batches, but {again}")
        return _chain(first, iterator)

    def _group(self) -> Batch:
        assert self.iterator is not None
        group = [next(self.iterator, _END) for _ in range(self.processes)]
        return _END if group[-1] is _END else group[self.rank]

    def describe(self) -> str:
        try:
            return f"{type(self.data).__name__} of {len(self.data)} batches"
        except TypeError:
            return type(self.data).__name__

    def state_dict(self) -> dict:
        return {"epoch": self.epoch, "turn": self.turn, "generator": self.generator_at_start}

    def load_state_dict(self, state: dict) -> None:
        """Start the pass again and skip what has been seen."""
        self.epoch, self.turn = state["epoch"], state["turn"]
        if self.generator is not None and state["generator"] is not None:
            self.generator.set_state(state["generator"])
        if self.turn:
            self.iterator = self._start()
            for _ in range(self.turn):
                self._group()


_END: Any = object()


def _chain(first: Batch, rest: Iterator[Batch]) -> Iterator[Batch]:
    yield first
    yield from rest


def _move(batch: Batch, device: torch.device) -> Batch:
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {key: _move(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple | list):  # a DataLoader makes lists of tuples
        moved = [_move(value, device) for value in batch]
        return type(batch)._make(moved) if hasattr(batch, "_make") else tuple(moved)  # type: ignore[union-attr]
    return batch


def _check_columns(columns: dict[str, Tensor], processes: int) -> None:
    if not columns:
        raise ValueError("data: expected a tensor or a tuple of tensors, got an empty tuple")
    for name, x in columns.items():
        if not isinstance(x, Tensor):
            raise ValueError(f"{name}: expected a tensor, got {type(x).__name__}")
        if x.dim() == 0 or len(x) == 0:
            raise ValueError(f"{name}: expected at least one example, got shape {tuple(x.shape)}")
    lengths = {name: len(x) for name, x in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"data: expected tensors of one length, got {lengths}")
    if min(lengths.values()) < processes:
        raise ValueError(f"data: expected an example for each of {processes} processes, got {min(lengths.values())}")
    for name, x in columns.items():
        if x.is_floating_point() or x.is_complex():
            check_finite(name, x)


def _check_iterable(data: Any) -> None:
    wanted = "data: expected a tensor, a tuple of tensors, a DataLoader or another iterable of batches"
    if isinstance(data, torch.utils.data.Dataset):
        raise ValueError(f"{wanted}; got a Dataset: wrap it in a torch.utils.data.DataLoader")
    if hasattr(data, "__array__"):
        raise ValueError(f"{wanted}; got an array: torch.as_tensor makes a tensor of it")
    if isinstance(data, str | bytes | dict) or not (hasattr(data, "__iter__") or hasattr(data, "__getitem__")):
        raise ValueError(f"{wanted}; got {type(data).__name__}")
    if hasattr(data, "__next__"):
        raise ValueError(
            f"{wanted}, to be gone through again and again; got a {type(data).__name__}, good for one pass only"
        )
