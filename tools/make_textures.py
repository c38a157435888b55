"""Shrink scikit-image's brick, grass and gravel to a quarter of their side: the copies that the package ships.

    pip download --no-deps scikit-image && unzip scikit_image-*.whl "skimage/data/*.png"
    python tools/make_textures.py skimage/data             # a second; the same bytes each time

Where the pictures come from, and under which licence, is in genlib/data/textures.md.
"""

import argparse
import hashlib
from pathlib import Path

import matplotlib.image
import numpy as np

from genlib.data.textures import FILE, TEXTURES

SHRINK = 4
SHA256 = {
    "brick": "7966caf324f6ba843118d98f7a07746d22f6a343430add0233eca5f6eaaa8fcf",
    "grass": "b6b6022426b38936c43a4ac09635cd78af074e90f42ffa8227ac8b7452d39f89",
    "gravel": "c48615b451bf1e606fbd72c0aa9f8cc0f068ab7111ef7d93bb9b0f2586440c12",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds brick.png, grass.png and gravel.png")
    parser.add_argument("--out", type=Path, default=FILE)
    arguments = parser.parse_args()
    copies = {name: shrunk(read(arguments.folder, name)) for name in TEXTURES}
    np.savez_compressed(arguments.out, **copies)  # pyright: ignore[reportArgumentType]
    print(f"{arguments.out.name}: {', '.join(copies)}, {arguments.out.stat().st_size // 1000} KB")


def read(folder: Path, name: str) -> np.ndarray:
    """The levels 0..255 of one of scikit-image's textures, (512, 512)."""
    path = folder / f"{name}.png"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256[name]:
        raise SystemExit(f"{path}: expected SHA-256 {SHA256[name]}, got {digest}")
    return np.rint(255 * matplotlib.image.imread(path))


def shrunk(levels: np.ndarray) -> np.ndarray:
    """Each pixel the mean of a square of SHRINK × SHRINK, rounded to uint8."""
    height, width = levels.shape
    squares = levels.reshape(height // SHRINK, SHRINK, width // SHRINK, SHRINK)
    return np.rint(squares.mean((1, 3))).astype(np.uint8)


if __name__ == "__main__":
    main()
