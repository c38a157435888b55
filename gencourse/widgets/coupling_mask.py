"""What a mask lets through: which numbers of z depend on which numbers of x, after one coupling and after several."""

import itertools
from functools import cache
from typing import Annotated, Any, Literal, get_args

import numpy as np
import torch
import traitlets
from torch import Tensor

from gencourse import plots
from gencourse.widgets.explorer import Checked, Explorer, Tables, one_thread, pack, script, style
from genlib.flows import AffineCoupling, masks

Mask = Literal["halves", "checkerboard", "channel", "random"]
MASKS = get_args(Mask)
CHANNELS = 3
MAX_SIZE, MAX_LAYERS, MAX_SEED = 6, 6, 19
HIDDEN = 32  # features of the random networks
OUTSIDE = 1  # bit 0: pixels between two channels, where a mask has nothing to say
BLUE, ORANGE, GREEN = plots.PALETTE[:3]

CONTROLS: list[dict[str, Any]] = [
    {"name": "n_layers", "label": "number of layers", "kind": "slider", "min": 1, "max": MAX_LAYERS, "step": 1,
     "wide": True},
    {"name": "mask", "label": "mask", "kind": "select", "key": True, "presets": list(MASKS)},
    {"name": "swap", "label": "swap in every second layer", "kind": "select", "key": True, "presets": [True, False]},
    {"name": "size", "label": "side of the picture", "kind": "slider", "key": True,
     "choices": list(range(2, MAX_SIZE + 1)), "min": 2, "max": MAX_SIZE, "step": 1},
    {"name": "seed", "label": "seed", "kind": "slider", "key": True, "when": {"mask": ["random"]},
     "choices": list(range(MAX_SEED + 1)), "min": 0, "max": MAX_SEED, "step": 1},
]  # fmt: skip

PANELS: list[dict[str, Any]] = [
    {"kind": "bits", "table": "masks", "by": "n_layers", "each": True,
     "alt": "the masks of layers 1 to {n_layers}, three channels side by side",
     "legend": [[GREEN, "kept by layers 1 to {n_layers}, channel by channel"]]},
    {"kind": "bits", "table": "layers", "by": "n_layers", "each": True,
     "alt": "the Jacobian's pattern of each of the layers 1 to {n_layers}",
     "legend": [[BLUE, "each layer's Jacobian: what row i depends on"]]},
    {"kind": "curves", "marker": "n_layers", "x": {"label": "number of layers", "min": 0, "max": MAX_LAYERS},
     "y": {"min": 0, "max": 100, "ticks": [[0, "0"], [50, "50"], [100, "100"]]},
     "alt": "how much of x a number of z depends on, in per cent, against the number of layers",
     "curves": [{"table": "most", "color": ORANGE, "label": "most that a z depends on: {most@n_layers} % of x"},
                {"table": "least", "color": BLUE, "label": "least: {least@n_layers} %"}]},
    {"kind": "bits", "table": "composed", "by": "n_layers",
     "alt": "the Jacobian's pattern of all {n_layers} layers together: {filled@n_layers} of {entries@n_layers} entries",
     "legend": [[BLUE, "Jacobian of layers 1 to {n_layers} together"], [ORANGE, "new with the last"]]},
]  # fmt: skip

TEXT = (
    "Pictures of 3 × {size} × {size} pixels, {dims@n_layers} numbers; {mask} masks, swapped: {swap}. "
    "Layer {n_layers} keeps {kept@n_layers} numbers and changes {changed@n_layers}: "
    "{own@n_layers} of {entries@n_layers} entries of its Jacobian are filled. "
    "Layers 1 to {n_layers} together: {filled@n_layers} are filled, {new@n_layers} of them new with the last layer; "
    "{untouched@n_layers} numbers are changed by no layer, and {full@n_layers} depend on all of x."
)


class CouplingMaskExplorer(Explorer):
    """Put couplings in a row and see what depends on what: their masks, and their Jacobians' patterns.

    Every layer is an `AffineCoupling` with a random dense network, so that its Jacobian, from autograd, is filled
    wherever the mask allows. x is a small picture of three channels, flattened channel by channel, row by row. A page
    or a deck needs no autograd: there the patterns follow from the masks, by coupling_mask.js, which agrees.

    Args:
        mask: "halves" (of the flattened picture), "checkerboard", "channel" or "random".
        size: height and width, 2..6.
        n_layers: how many couplings, 1..6.
        swap: whether every second layer has the complement of the mask before it; if not, all have the same mask.
            Random masks that are swapped are drawn anew for each pair, as in `RealNVP.for_vectors`.
        seed: of the random masks, 0..19.
    Raises:
        ValueError: for anything else. All arguments are traits: they can be observed, linked and set later.
    """

    _esm, _css = script("flow_panels.js", "coupling_mask.js"), style("flow_panels.css")
    computes = True

    mask = Checked("checkerboard", Mask)
    size = Checked(4, Annotated[int, f"[2, {MAX_SIZE}]"])
    n_layers = Checked(2, Annotated[int, f"[1, {MAX_LAYERS}]"])
    swap = Checked(True, bool)
    seed = Checked(0, Annotated[int, f"[0, {MAX_SEED}]"])

    _computable = traitlets.validate("mask", "size", "swap", "seed")(Explorer.computable)

    def __init__(
        self, mask: str = "checkerboard", size: int = 4, n_layers: int = 2, swap: bool = True, seed: int = 0
    ) -> None:
        spec = {"title": "Coupling mask explorer", "controls": CONTROLS, "panels": PANELS, "text": TEXT, "columns": 2,
                "rows": "auto auto 1fr"}  # fmt: skip
        chosen = {"mask": mask, "size": size, "n_layers": n_layers, "swap": swap, "seed": seed}
        super().__init__(spec, [], _shared(), **chosen)

    def to_couplings(self) -> list[AffineCoupling]:
        """The layers that are drawn now, with their random networks, float64, on flattened pictures (B, 3·size²)."""
        return _couplings(**self.key())[: self.n_layers]

    def tables(self, **key: Any) -> Tables:
        return _tables(**key)

    def picture(self) -> plots.Figure:
        tables, n = self.drawn(), self.n_layers
        columns = 1 if n < 4 else 2

        def shown(name: str) -> np.ndarray:
            return 1.0 - np.stack([tables[name] >> bit & 1 for bit in range(1, n + 1)])

        recent = tables["composed"] >> n & ~(tables["composed"] >> (n - 1)) & 1
        return plots.figure(
            plots.pictures(shown("masks"), columns=columns, span=(0, 1), title="masks (black: kept)"),
            plots.pictures(shown("layers"), columns=columns, span=(0, 1), title="each layer"),
            plots.pictures((shown("composed")[-1] + 0.6 * recent)[None], span=(0, 1), title="all together, new: grey"),
            alt=self.text(), title="A still picture (row: output, column: input). Run this cell to play with it",
        )  # fmt: skip


def _masks(mask: str, size: int, swap: bool, seed: int = 0) -> list[Tensor]:
    """One mask for each layer, (3, size, size) bool, True where x is kept."""
    shape = (CHANNELS, size, size)
    generator = torch.Generator().manual_seed(seed)
    kept = {
        "halves": lambda: masks.halves(CHANNELS * size**2).view(shape),
        "checkerboard": lambda: masks.checkerboard(shape),
        "channel": lambda: masks.channel(shape),
        "random": lambda: masks.random(CHANNELS * size**2, generator=generator).view(shape),
    }[mask]
    if not swap:
        return [kept()] * MAX_LAYERS
    return [m for _ in range(0, MAX_LAYERS, 2) for pair in [kept()] for m in (pair, ~pair)][:MAX_LAYERS]


def _couplings(**key: Any) -> list[AffineCoupling]:
    """Affine couplings on flattened pictures, with dense networks of random weights."""
    generator, layers = torch.Generator().manual_seed(0), []
    for mask in _masks(**key):
        n_in, n_out = AffineCoupling.sizes(mask.flatten())
        layers.append(AffineCoupling(mask.flatten(), _dense(n_in, 2 * n_out, generator)))
    return layers


def _dense(n_in: int, n_out: int, generator: torch.Generator) -> Any:
    """A random network without a zero anywhere: every output depends on every input."""
    first = torch.randn(n_in, HIDDEN, dtype=torch.float64, generator=generator) / n_in**0.5
    last = torch.randn(HIDDEN, n_out, dtype=torch.float64, generator=generator) / HIDDEN**0.5
    return lambda x, condition: torch.tanh(x @ first) @ last


def _patterns(layers: list[AffineCoupling], dims: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the Jacobians of each layer, and of the first n layers together, are not zero: (N, D, D) bool each."""
    x = torch.randn(dims, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).expand(dims, dims)
    steps = [x.clone().requires_grad_()]  # the same point D times: row i of the batch is for row i of the Jacobian
    for layer in layers:
        steps.append(layer(steps[-1])[0])

    def pattern(start: Tensor, end: Tensor) -> np.ndarray:
        return (torch.autograd.grad(end.diagonal().sum(), start, retain_graph=True)[0] != 0).numpy()

    each = [pattern(before, after) for before, after in itertools.pairwise(steps)]
    return np.stack(each), np.stack([pattern(steps[0], step) for step in steps[1:]])


def _bits(patterns: np.ndarray) -> np.ndarray:
    """(N, ...) bool in one byte for each entry: bit n is that of layer n, or of n layers."""
    weights = 2 ** np.arange(1, len(patterns) + 1).reshape(-1, *[1] * (patterns.ndim - 1))
    return (patterns * weights).sum(0).astype(np.uint8)


def _tables(**key: Any) -> Tables:
    """Everything that is drawn for one choice of masks; patterns as bits, counts indexed by the number of layers."""
    kept = torch.stack(_masks(**key))
    dims = kept[0].numel()
    with one_thread():
        each, composed = _patterns(_couplings(**key), dims)
    composed_0 = np.concatenate([np.eye(dims, dtype=bool)[None], composed])  # with no layer, z is x
    gap = np.full((kept.shape[2], 1), OUTSIDE, np.uint8)
    pictures = _bits(kept.numpy())
    columns = [part for picture in pictures for part in (picture, gap)][:-1]
    sees = composed_0.sum(2)

    def counts(values: Any) -> np.ndarray:
        return np.asarray(values, dtype=np.float32)

    n_kept = kept.flatten(1).sum(1).numpy()
    always = kept.flatten(1).cumprod(0).sum(1).numpy()
    return {
        "masks": np.concatenate(columns, axis=1),
        "layers": _bits(each),
        "composed": _bits(composed) | np.eye(dims, dtype=np.uint8),
        "kept": counts([dims, *n_kept]),
        "changed": counts([0, *(dims - n_kept)]),
        "own": counts([dims, *each.sum((1, 2))]),
        "filled": counts(composed_0.sum((1, 2))),
        "new": counts([0, *(composed_0[1:] & ~composed_0[:-1]).sum((1, 2))]),
        "untouched": counts([dims, *always]),
        "full": counts((sees == dims).sum(1)),
        "least": counts(100 * sees.min(1) / dims),
        "most": counts(100 * sees.max(1) / dims),
        "dims": counts([dims] * (MAX_LAYERS + 1)),
        "entries": counts([dims**2] * (MAX_LAYERS + 1)),
    }


@cache
def _shared() -> dict[str, Any]:
    """mask_size: what the masks of that name keep, (seeds, 3, size, size), uint8: bit k is that of the k-th pair
    of layers, in which the second has the complement."""
    tables: Tables = {}
    for mask, size in itertools.product(MASKS, range(2, MAX_SIZE + 1)):
        seeds = range(MAX_SEED + 1) if mask == "random" else [0]
        firsts = np.stack([torch.stack(_masks(mask, size, True, seed)[::2]).numpy() for seed in seeds], axis=1)
        tables[f"{mask}_{size}"] = _bits(firsts) >> 1
    return pack(tables)
