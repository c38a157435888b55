"""Where the batches come from: tensors that live on the device, or a loader.

Both know where they are as whole numbers; everything else follows from the seed. So a training that was killed finds
its place again.
"""

import itertools
import operator
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor

from genlib.arguments import check
from genlib.train.processes import Processes
from genlib.train.seeds import derive_seed, preserved_rng, seed_all
from genlib.train.weights import checksum

Batch = Any  # a tensor, or a (named) tuple of tensors
FINITE = Annotated[Float[Tensor, "N ..."], "finite"]
WHOLE = Integer[Tensor, "N ..."] | Bool[Tensor, "N ..."]


def make_batches(
    data: Any, batch_size: int, accumulate: int, seed: int, device: torch.device, processes: Processes
) -> "TensorBatches | LoaderBatches":
    """`TensorBatches` for a tensor or a tuple of tensors, `LoaderBatches` for what yields batches by itself."""
    if isinstance(data, Tensor | tuple):
        return TensorBatches(data, batch_size, accumulate, seed, device, processes)
    return LoaderBatches(data, seed, device, processes)


class TensorBatches:
    """Shuffled batches of tensors that are moved to the device once.

    Every epoch has an order of its own; no example comes twice in it, and those that would not fill all batches of a
    step are left out. Data smaller than a step make one. Several processes share an order, and each takes every n-th
    batch.
    """

    def __init__(
        self, data: Any, batch_size: int, accumulate: int, seed: int, device: torch.device, processes: Processes
    ) -> None:
        self.columns = [x.detach().to(device) for x in _columns(data)]
        self.make = operator.itemgetter(0) if isinstance(data, Tensor) else getattr(data, "_make", tuple)
        self.n, parts = len(self.columns[0]), processes.size * accumulate
        if self.n < parts:
            raise ValueError(f"data: expected an example for each batch of a step, {parts} in all, got {self.n}")
        self.batch_size = min(batch_size, self.n // parts)
        self.turns = self.n // (self.batch_size * parts) * accumulate  # in an epoch
        self.seed, self.rank, self.size = seed, processes.rank, processes.size
        self.taken, self.epoch = 0, -1

    def next(self) -> Batch:
        epoch, turn = divmod(self.taken, self.turns)
        if epoch != self.epoch:
            g = torch.Generator().manual_seed(derive_seed("order", self.seed, epoch))
            self.epoch, self.order = epoch, torch.randperm(self.n, generator=g, device="cpu").to(self.columns[0].device)
        start = (turn * self.size + self.rank) * self.batch_size
        rows = self.order[start : start + self.batch_size]
        self.taken += 1
        return self.make([x[rows] for x in self.columns])

    def peek(self) -> Batch:
        """The next batch, which stays the next."""
        batch = self.next()
        self.taken -= 1
        return batch

    def describe(self) -> str:
        """Enough to see that a training is resumed with other data."""
        return ", ".join(f"{tuple(x.shape)} {str(x.dtype)[6:]} {checksum(x):08x}" for x in self.columns)

    def state_dict(self) -> dict[str, Any]:
        return {"taken": self.taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.taken = state["taken"]


class LoaderBatches:
    """Batches from a DataLoader, or anything that can be iterated again and again; moved to the device one by one.

    A pass starts from a seed of its own, and with new workers where a loader has any, so that a DataLoader which
    shuffles does so in the same way every time. Several processes go through the same batches, and each takes every
    n-th, unless the loader has a DistributedSampler.
    """

    def __init__(self, data: Any, seed: int, device: torch.device, processes: Processes) -> None:
        _check_iterable(data)
        self.data, self.seed, self.device, self.first_process = data, seed, device, processes.first
        sampler = getattr(data, "sampler", None)
        self.set_epoch: Callable[[int], None] | None = getattr(sampler, "set_epoch", None)
        shared_out = self.set_epoch is not None and getattr(sampler, "num_replicas", 1) == processes.size
        self.rank, self.size = (0, 1) if shared_out else (processes.rank, processes.size)
        self.generators = _generators_of(data)
        self.epoch, self.turn = -1, 0
        self.groups: Iterator[list[Batch]] = iter(())  # what is left of this pass, a batch for each process

    def next(self) -> Batch:
        self.group = next(self.groups, None) or self._start(self.epoch + 1)
        self.turn += 1
        return _move(self.group[self.rank], self.device)

    def peek(self) -> Batch:
        """The next batch, which stays the next."""
        batch = self.next()
        self.turn, self.groups = self.turn - 1, itertools.chain([self.group], self.groups)
        return batch

    def _start(self, epoch: int) -> list[Batch]:
        """The first group of a pass over the data. It is drawn here, for that is when samplers draw their order."""
        self.epoch, self.turn = epoch, 0
        if self.set_epoch is not None:
            self.set_epoch(epoch)
        if getattr(self.data, "persistent_workers", False):
            self.data._iterator = None  # old workers have drawn other random numbers than new ones
        self.generators_before = [generator.get_state() for generator in self.generators]
        with preserved_rng(self.device):
            seed_all(self.device, derive_seed("loader", self.seed, epoch))
            iterator = iter(self.data)
            batches = list(itertools.islice(iterator, 1))
        self.groups = _groups(itertools.chain(batches, iterator), self.size)
        self.first = next(self.groups, [])
        if not self.first:
            few = "there is none" if not batches else f"{len(batches)} are fewer than the {self.size} processes"
            raise ValueError(f"data: expected batches, but in pass {epoch + 1} {few}")
        return self.first

    def describe(self) -> str:
        try:
            return f"{type(self.data).__name__} of {len(self.data)} batches"
        except TypeError:
            return type(self.data).__name__

    def state_dict(self) -> dict[str, Any]:
        own = {"generators": self.generators_before, "first": checksum(self.first)}
        return {"epoch": self.epoch, "turn": self.turn, **own}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Start the pass again, which has to be the same, and skip what has been seen."""
        for generator, before in zip(self.generators, state["generators"], strict=False):
            generator.set_state(before)
        same = checksum(self._start(state["epoch"])) == state["first"] or not self.first_process
        self.turn = 1 + sum(1 for _ in itertools.islice(self.groups, state["turn"] - 1))
        if not same or self.turn < state["turn"]:
            raise ValueError(
                f"data: pass {self.epoch + 1} over them does not start as it did before, so the training cannot go on "
                "as if it had not stopped. What shuffles them has to draw from the global generators of torch, numpy "
                "or Python, or from a generator of the DataLoader's"
            )


def _groups(batches: Iterator[Batch], size: int) -> Iterator[list[Batch]]:
    while len(group := list(itertools.islice(batches, size))) == size:
        yield group


def _generators_of(loader: Any) -> list[torch.Generator]:
    """Those that a loader or its parts draw from: a pass that starts again has to have them as they were."""
    parts = [loader, *(getattr(loader, name, None) for name in ("sampler", "batch_sampler", "dataset"))]
    parts.append(getattr(parts[2], "sampler", None))
    values = [value for part in parts for value in getattr(part, "__dict__", {}).values()]
    return list({id(value): value for value in values if isinstance(value, torch.Generator)}.values())


def _move(batch: Batch, device: torch.device) -> Batch:
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {key: _move(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple | list):  # a DataLoader makes lists of tuples
        moved = [_move(value, device) for value in batch]
        return type(batch)._make(moved) if hasattr(batch, "_make") else tuple(moved)  # type: ignore[union-attr]
    return batch


def _columns(data: Any) -> list[Tensor]:
    """The tensors of the data: plain, finite, of one length."""
    columns = [data] if isinstance(data, Tensor) else list(data)
    names = ["data"] if isinstance(data, Tensor) else [f"data[{i}]" for i in range(len(columns))]
    for name, x in zip([f"data.{field}" for field in getattr(data, "_fields", ())] or names, columns, strict=True):
        check(name, x, WHOLE if isinstance(x, Tensor) and not x.is_floating_point() else FINITE)
        if len(x) != len(columns[0]) or not len(x):
            raise ValueError(f"{name}: expected as many examples as in the others, at least one, got {len(x)}")
    if not columns:
        raise ValueError("data: expected a tensor or a tuple of tensors, got an empty tuple")
    return columns


def _check_iterable(data: Any) -> None:
    wanted = "data: expected a tensor, a tuple of tensors, a DataLoader or another iterable of batches"
    if isinstance(data, torch.utils.data.Dataset):
        raise ValueError(f"{wanted}; got a Dataset: wrap it in a torch.utils.data.DataLoader")
    if hasattr(data, "__array__"):
        raise ValueError(f"{wanted}; got an array: torch.as_tensor makes a tensor of it")
    if hasattr(data, "__next__"):
        raise ValueError(f"{wanted}, again and again; got a {type(data).__name__}, good for one pass only")
    if isinstance(data, str | bytes | dict | type) or not (hasattr(data, "__iter__") or hasattr(data, "__getitem__")):
        raise ValueError(f"{wanted}; got {type(data).__name__}")
