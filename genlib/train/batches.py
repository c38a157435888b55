"""Where the batches come from: tensors that live on the device, or a loader.

Both know where they are as whole numbers; all else follows from the seed, so that a killed training finds its place.
"""

import itertools
import operator
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Annotated, Any

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor

from genlib.arguments import check
from genlib.train.around import derive_seed, preserved_rng, seed_all
from genlib.train.processes import Alone
from genlib.train.weights import crc_of, kind_of

FINITE = Annotated[Float[Tensor, "N ..."], "finite"]
WHOLE = Integer[Tensor, "N ..."] | Bool[Tensor, "N ..."]


class TensorBatches:
    """Shuffled batches of tensors that are moved to the device once; `asked` are the arguments of `fit`.

    Every epoch has an order of its own, without the examples that would not fill all batches of a step. Data smaller
    than a step make one. Several processes share an order, and each takes every n-th batch.
    """

    def __init__(self, asked: SimpleNamespace, device: torch.device, processes: Alone) -> None:
        self.columns = _columns(asked.data, device)
        self.make = operator.itemgetter(0) if isinstance(asked.data, Tensor) else getattr(asked.data, "_make", tuple)
        self.n, parts = len(self.columns[0]), processes.size * asked.accumulate
        if self.n < parts:
            raise ValueError(f"data: expected an example for each batch of a step, {parts} in all, got {self.n}")
        self.batch_size = min(asked.batch_size, self.n // parts)
        self.turns = self.n // (self.batch_size * parts) * asked.accumulate  # in an epoch
        self.seed, self.rank, self.size, self.taken = asked.seed, processes.rank, processes.size, 0

    def __iter__(self) -> Iterator[Any]:
        for epoch in itertools.count(self.taken // self.turns):
            g = torch.Generator().manual_seed(derive_seed("order", self.seed, epoch))
            order = torch.randperm(self.n, generator=g, device="cpu").to(self.columns[0].device)
            for turn in range(self.taken % self.turns, self.turns):
                start = (turn * self.size + self.rank) * self.batch_size
                rows = order[start : start + self.batch_size]
                self.taken += 1
                yield self.make([x[rows] for x in self.columns])

    def describe(self) -> str:
        """Enough to see that a training is resumed with other data."""
        return ", ".join(f"{kind_of(x)} {crc_of(x):08x}" for x in self.columns)

    def state_dict(self) -> dict[str, Any]:
        return {"taken": self.taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.taken = state["taken"]


class LoaderBatches:
    """Batches from a DataLoader, or anything that can be iterated again and again; moved to the device one by one.

    A pass starts from a seed of its own, with new workers where there are any, so that a DataLoader shuffles the same
    way every time. Of several processes each takes every n-th batch, unless the loader has a DistributedSampler.
    """

    def __init__(self, asked: SimpleNamespace, device: torch.device, processes: Alone) -> None:
        self.data, self.seed, self.device, self.first = asked.data, asked.seed, device, processes.first
        has = [name for name in ("__array__", "__next__", "__iter__", "__getitem__") if hasattr(self.data, name)]
        other = isinstance(self.data, torch.utils.data.Dataset | str | bytes | dict | type)
        if other or not has or has[0] in ("__array__", "__next__"):
            expected = "a tensor, a tuple of them, a DataLoader or another iterable of batches for more than one pass"
            got = f"{type(self.data).__name__} (DataLoader(dataset) and torch.as_tensor(array) make such)"
            raise ValueError(f"data: expected {expected}, got {got}")
        sampler = getattr(self.data, "sampler", None)
        self.set_epoch: Callable[[int], None] = getattr(sampler, "set_epoch", lambda epoch: None)
        shared_out = hasattr(sampler, "set_epoch") and getattr(sampler, "num_replicas", 1) == processes.size
        self.rank, self.size = (0, 1) if shared_out else (processes.rank, processes.size)
        self.epoch, self.turn, self.groups = -1, 0, iter(())  # what is left of this pass, a batch for each process

    def __iter__(self) -> Iterator[Any]:
        while True:
            for group in self.groups:
                self.turn += 1
                yield _moved(group[self.rank], self.device)
            self._start(self.epoch + 1)

    def _start(self, epoch: int) -> None:
        """A pass over the data. Its first batches are drawn here, for that is when samplers draw their order."""
        self.epoch, self.turn = epoch, 0
        self.set_epoch(epoch)
        if getattr(self.data, "persistent_workers", False):
            self.data._iterator = None  # old workers have drawn other random numbers than new ones
        self.generators = [generator.get_state() for generator in _generators_of(self.data)]
        with preserved_rng(self.device):
            seed_all(self.device, derive_seed("loader", self.seed, epoch))
            iterator = iter(self.data)
            self.start = list(itertools.islice(iterator, self.size))
        if len(self.start) < self.size:
            few = "fewer than there are processes" if self.start else "there is none"
            raise ValueError(f"data: expected batches, but in pass {epoch + 1} {few}")
        batches = itertools.chain(self.start, iterator)
        self.groups = zip(*[batches] * self.size, strict=False)

    def describe(self) -> str:
        """What is known of the data without going through them."""
        return f"{type(self.data).__name__} of {operator.length_hint(self.data, -1)} batches"

    def state_dict(self) -> dict[str, Any]:
        where = {"epoch": self.epoch, "turn": self.turn}
        return {"generators": self.generators, "start": crc_of(self.start), **where}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Start the pass again, which has to be the same, and skip what has been seen."""
        for generator, before in zip(_generators_of(self.data), state["generators"], strict=False):
            generator.set_state(before)
        self._start(state["epoch"])
        self.turn = sum(1 for _ in itertools.islice(self.groups, state["turn"]))
        if self.turn < state["turn"] or (self.first and crc_of(self.start) != state["start"]):
            advice = "what shuffles has to draw from a global generator, or from one of the DataLoader's"
            raise ValueError(f"data: pass {self.epoch + 1} over them is not what it was; {advice}")


def _generators_of(loader: Any) -> list[torch.Generator]:
    """Those that a loader or its parts draw from: a pass that starts again has to have them as they were."""
    parts = [loader, *(getattr(loader, name, None) for name in ("sampler", "dataset", "batch_sampler"))]
    parts.append(getattr(parts[-1], "sampler", None))
    values = [value for part in parts for value in getattr(part, "__dict__", {}).values()]
    return list({id(value): value for value in values if isinstance(value, torch.Generator)}.values())


def _moved(batch: Any, device: torch.device) -> Any:
    if isinstance(batch, dict):
        return {key: _moved(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple | list):  # a DataLoader makes lists of tuples
        return getattr(batch, "_make", tuple)([_moved(value, device) for value in batch])
    return batch.to(device, non_blocking=True) if isinstance(batch, Tensor) else batch


def _columns(data: Any, device: torch.device) -> list[Tensor]:
    """The tensors of the data, on the device: plain, finite, of one length."""
    columns = [data] if isinstance(data, Tensor) else list(data)
    for i, x in enumerate(columns):
        name = "data" if x is data else f"data.{names[i]}" if (names := getattr(data, "_fields", ())) else f"data[{i}]"
        hint = WHOLE if isinstance(x, Tensor) and not x.is_floating_point() else FINITE
        columns[i] = check(name, x, hint).detach().to(device)
    sizes = list(map(len, columns))
    if len(set(sizes)) != 1 or 0 in sizes:
        raise ValueError(f"data: expected at least one example, in tensors of one length, got {sizes or 'none'}")
    return columns
