"""What `fit` asks of an objective, and whose turn it is in a step."""

import inspect
import itertools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from genlib.arguments import came, check
from genlib.optimizers import Adam
from genlib.train.together import Together

PATIENCE = 30  # fp16 gradients that overflow so many times in a row are not a matter of scale any more


class Player:
    """An optimizer, whose turn it is now and then, and the scale of its loss.

    The scale is for fp16, whose smallest number is 6e-8: the loss times `scale`, so that small gradients do not vanish.
    It doubles after 2000 turns without overflow, and halves at each overflow. (torch.amp.GradScaler does the same, but
    asks the GPU once more in every turn. For the same reason each player has its own: turns are independent.)
    """

    def __init__(self, name: str, optimizer: torch.optim.Optimizer, scaled: bool) -> None:
        self.name, self.optimizer, self.scaled = name, optimizer, scaled
        self.parameters: list[Tensor] = [p for group in optimizer.param_groups for p in group["params"]]
        self.base_lr = [group["lr"] for group in optimizer.param_groups]
        self.together: list[Together] = []
        self.scale, self.good, self.bad = 2.0**16 if scaled else 1.0, 0, 0  # good and bad turns in a row

    def set_lr(self, factor: float) -> None:
        """The learning rates that the optimizer came with, times a factor."""
        for group, base in zip(self.optimizer.param_groups, self.base_lr, strict=True):
            group["lr"] = base * factor

    def join(self) -> None:
        """Small parameters are trained together from now on, where the optimizer says that it does not matter."""
        groups = self.optimizer.elementwise() if isinstance(self.optimizer, Adam) else []
        self.together = [Together(self.optimizer, group) for group in groups]

    def part(self) -> None:
        """Each by itself again."""
        for small in self.together:
            small.part()

    @contextmanager
    def apart(self) -> Iterator[None]:
        """The optimizer knows all parameters one by one, for as long as this lasts."""
        lasting = [small for small in self.together if small.lasts]
        for small in lasting:
            small.hand_back()
        yield
        for small in lasting:
            small.hand_over()

    def add_gradients(self, loss: Tensor, share: float) -> None:
        """Those of its own parameters alone, times a share; what is sparse becomes dense."""
        if own := [p for p in self.parameters if p.requires_grad]:
            factor = self.scale * share
            (loss if factor == 1 else loss * factor).backward(inputs=own)
        for p in own:
            if p.grad is not None and p.grad.layout != torch.strided:
                p.grad = p.grad.to_dense()

    def zero_grad(self) -> None:
        for p in self.parameters:
            p.grad = None

    def gradients(self) -> list[Tensor]:
        """What the optimizer will look at."""
        groups = self.optimizer.param_groups
        return [p.grad for group in groups for p in group["params"] if p.grad is not None]

    def measured(self, loss: Tensor) -> list[float]:
        """The loss and the norm of the gradients. The device is waited for once."""
        for small in self.together:
            small.gather()
        norm = torch.nn.utils.get_total_norm(self.gradients())
        return torch.stack([loss.to(norm), norm / self.scale]).tolist()

    def update(self, factor: float) -> None:
        """One step of the optimizer, with the gradients times a factor."""
        gradients = self.gradients()
        if not gradients:
            raise ValueError(f"losses: the loss of {self.name!r} depends on none of that optimizer's parameters")
        if factor != self.scale:
            torch._foreach_mul_(gradients, factor / self.scale)  # pyright: ignore
        self.optimizer.step()
        torch.autograd.graph.increment_version([p for small in self.together for p in small.parameters])
        if self.scaled:
            self.good, self.bad = self.good + 1, 0
            if self.good == 2000:
                self.scale, self.good = min(self.scale * 2, 2.0**24), 0

    def overflow(self) -> bool:
        """After gradients that are not finite: whether a smaller scale is worth a try."""
        self.scale, self.good, self.bad = self.scale / 2, 0, self.bad + 1
        return self.scaled and self.bad < PATIENCE

    def state_dict(self) -> dict[str, Any]:
        with self.apart():
            return {"optimizer": self.optimizer.state_dict(), "scale": (self.scale, self.good, self.bad)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.scale, self.good, self.bad = state["scale"]

    def settings(self) -> dict[str, Any]:
        """The optimizer's class and settings, by names that say whose they are."""
        about: dict[str, Any] = {f"optimizer {self.name!r}": type(self.optimizer).__name__}
        with self.apart():
            for i, group in enumerate(self.optimizer.param_groups):
                settings = {**group, "lr": self.base_lr[i], "params": len(group["params"]), "initial_lr": None}
                about |= {f"{key} of {self.name!r}, group {i}": value for key, value in settings.items()}
        return about


def in_turn(
    losses: Sequence[Any], players: Mapping[str, Player], autocast: Callable[[], AbstractContextManager]
) -> Iterator[tuple[Player, Tensor, Sequence[Mapping[str, Any]]]]:
    """Each turn of a step: whose it is, the loss, the mean over the step's batches, and what each of them logs.

    `losses` is what an objective's `losses` gave, for each batch. The gradients of the mean, times the player's scale,
    are then in its parameters; each batch's graph has been let go before the next batch takes the turn.
    """
    for n_before in itertools.count():
        for player in players.values():
            player.zero_grad()
        taken = []
        for turns in losses:
            if not isinstance(turns, Iterator):
                raise ValueError(f"losses: expected a generator of (name, loss, logs), got {type(turns).__name__}")
            with autocast():  # and left at once: it keeps casts of the weights, and they are about to change
                turn = next(turns, None)
            if turn is None:
                continue
            name, loss, logs = turn if isinstance(turn, tuple) and len(turn) == 3 else ("", turn, None)
            known = isinstance(name, str) and name in players and isinstance(logs, Mapping)
            fits = known and getattr(loss, "requires_grad", False)
            if not fits or not isinstance(loss, Tensor) or loss.numel() != 1 or loss.is_complex():
                wanted = f"one of {sorted(players)}, a scalar tensor that is not detached, a dict"
                got = f"({name!r}, {came(loss)}, {type(logs).__name__})"
                raise ValueError(f"losses: expected (name, loss, logs): {wanted}, got {got}")
            players[name].add_gradients(loss, 1 / len(losses))
            taken.append((name, loss.detach().reshape(()), logs))
        names, parts, logs = zip(*taken, strict=True) if taken else ((), (), ())
        if names != names[:1] * len(losses) or not (names or n_before):
            raise ValueError(f"losses: expected the same turns for each batch, at least one, got {names}")
        if not names:
            return
        yield players[names[0]], parts[0] if len(parts) == 1 else torch.stack(parts).mean(), logs


def device_of(objective: Any) -> torch.device:
    """The device of an objective's parameters; `ValueError` for what is no objective, or cannot be trained."""
    parameters = dict(objective.named_parameters())
    trains = hasattr(objective, "losses") and hasattr(objective, "optimizers")
    if not trains or not any(map(operator.attrgetter("requires_grad"), parameters.values())):
        expected = "a Module with optimizers(), losses(batch, generator) and parameters to train"
        raise ValueError(f"objective: expected {expected}, got {type(objective).__name__}")
    device = next(iter(parameters.values())).device
    for name, p in parameters.items():
        if p.is_meta or p.device != device or (p.requires_grad and torch.finfo(p.dtype).bits < 32):
            # In half precision small updates would vanish in the rounding, those of the average first.
            got = f"{name} is {str(p.dtype)[6:]} on {p.device}"
            raise ValueError(f'objective: expected float32 parameters on {device} (see precision="bf16"), {got}')
    return device


def autocast_in(precision: str, device: torch.device) -> Callable[[], AbstractContextManager]:
    """Matrix products in half precision; `ValueError` where the device cannot do them."""
    able = torch.amp.is_autocast_available(device.type) and (precision == "bf16" or device.type != "cpu")
    if device.type == "cuda" and precision == "bf16":
        able = torch.cuda.is_bf16_supported()
    if not able:
        raise ValueError(f"precision: {precision} is not possible on {device}, expected another or None")
    return partial(torch.autocast, device.type, dtype={"bf16": torch.bfloat16, "fp16": torch.float16}[precision])


def players_of(objective: Any, scaled: bool) -> dict[str, Player]:
    """One for each optimizer; `ValueError` for those that ask for more than gradients."""
    players, own = {}, set(map(id, objective.parameters()))
    for name, optimizer in check("optimizers", objective.optimizers(), dict).items():
        check(f"optimizers[{name!r}]", optimizer, torch.optim.Optimizer)
        players[name] = Player(name, optimizer, scaled)
        closure = inspect.signature(optimizer.step).parameters.get("closure")
        needs_more = getattr(closure, "default", None) is inspect.Parameter.empty  # as LBFGS does
        needs_more |= isinstance(optimizer, torch.optim.SparseAdam)
        if needs_more or not own.issuperset(map(id, players[name].parameters)):
            expected = "parameters of the objective alone, and an optimizer that needs their plain gradients alone"
            raise ValueError(f"optimizers[{name!r}]: expected {expected}, got {type(optimizer).__name__}")
    if not players:
        raise ValueError("optimizers: expected at least one, got none")
    return players
