"""Draw OpenMoji's pictures at 32 × 32, each as outline and in colour: the data set that the package ships.

    npm pack openmoji@17.0.0
    pip install --no-deps --require-hashes -r tools/make_emoji.lock
    python tools/make_emoji.py openmoji-17.0.0.tgz         # half a minute; the same bytes each time

Where the drawings come from, what was left out, and under which licence they are, is in genlib/data/emoji.md.
"""

import argparse
import hashlib
import io
import json
import tarfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import resvg_py  # pyright: ignore[reportMissingImports]
from PIL import Image

from genlib.data.emoji import FILE, SIDE

SHA256 = "55ee7d13485dec86e9f38c1f3a645a13382d33ff97c0cd845ee824b0aef45e68"
RENDERED, MARGIN = 152, 12  # pixels: the drawing is cut by 8 % on each side, to four times SIDE
HELD_OUT = 144
ALIKE = 0.95  # cosine of two outlines' ink from which on they are one drawing
# A person's variants: man and woman are drawn as the person is, and signs and hair tell them apart.
PERSON = {"1F468": "1F9D1", "1F469": "1F9D1", "1F474": "1F9D3", "1F475": "1F9D3", "1F466": "1F9D2", "1F467": "1F9D2"}
SIGNS = {"200D", "2640", "2642", "FE0F", "1F9B0", "1F9B1", "1F9B2", "1F9B3"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="what npm pack has written")
    parser.add_argument("--out", type=Path, default=FILE)
    arguments = parser.parse_args()
    digest = hashlib.sha256(arguments.package.read_bytes()).hexdigest()
    if digest != SHA256:
        raise SystemExit(f"{arguments.package}: expected SHA-256 {SHA256}, got {digest}")
    with tarfile.open(arguments.package) as package:
        entries = [entry for entry in json.loads(member(package, "data/openmoji.json")) if wanted(entry)]
        names = [entry["hexcode"] for entry in entries]
        colour = np.stack([drawn(member(package, f"color/svg/{name}.svg")) for name in names])
        black = np.stack([drawn(member(package, f"black/svg/{name}.svg")) for name in names])
    outline = np.rint(black.mean(axis=3)).astype(np.uint8)
    drawing = drawings(names, outline)
    texts = {key: np.array([entry[there] for entry in entries]) for key, there in TEXTS.items()}
    arrays = {"outline": outline, "colour": colour, "held_out": held_out(drawing), **texts}
    np.savez_compressed(arguments.out, **arrays)  # pyright: ignore[reportArgumentType]
    print(
        f"{arguments.out.name}: {len(names)} pictures of {drawing.max() + 1} drawings, "
        f"{arrays['held_out'].sum()} held out, {arguments.out.stat().st_size // 1000} KB"
    )


TEXTS = {"name": "annotation", "group": "group", "subgroup": "subgroups"}


def member(package: tarfile.TarFile, path: str) -> bytes:
    file = package.extractfile(f"package/{path}")
    assert file is not None
    return file.read()


def wanted(entry: dict[str, str]) -> bool:
    """No flag, no colour of skin, nothing that Unicode does not have."""
    group = entry["group"]
    return group not in ("flags", "component") and not group.startswith("extras") and not entry["skintone"]


def drawn(svg: bytes) -> np.ndarray:
    """A drawing on white, (SIDE, SIDE, 3), uint8."""
    size = {"width": RENDERED, "height": RENDERED}
    png = resvg_py.svg_to_bytes(svg_string=svg.decode(), background="#ffffff", skip_system_fonts=True, **size)
    picture = Image.open(io.BytesIO(bytes(png))).convert("RGB")
    inner = picture.crop((MARGIN, MARGIN, RENDERED - MARGIN, RENDERED - MARGIN))
    return np.asarray(inner.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def drawings(names: list[str], outline: np.ndarray) -> np.ndarray:
    """The number of each picture's drawing: variants of a person, and pictures of nearly the same outline, share it."""
    first, parent = {}, list(range(len(names)))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for i, name in enumerate(names):
        code = tuple(PERSON.get(part, part) for part in name.split("-") if part not in SIGNS)
        parent[root(i)] = root(first.setdefault(code, i))
    ink = 255.0 - outline.reshape(len(outline), -1)
    ink /= np.linalg.norm(ink, axis=1, keepdims=True).clip(1)
    for i, j in zip(*np.nonzero(np.triu(ink @ ink.T > ALIKE, k=1)), strict=True):
        parent[root(int(i))] = root(int(j))
    return np.unique([root(i) for i in range(len(names))], return_inverse=True)[1]


def held_out(drawing: np.ndarray) -> np.ndarray:
    """Whole drawings, at random, until HELD_OUT pictures are held out; (N,) bool."""
    members = defaultdict(list)
    for i, number in enumerate(drawing):
        members[number].append(i)
    out = np.zeros(len(drawing), dtype=bool)
    for number in np.random.default_rng(0).permutation(len(members)):
        if out.sum() + len(members[number]) <= HELD_OUT:
            out[members[number]] = True
    assert out.sum() == HELD_OUT
    return out


if __name__ == "__main__":
    main()
