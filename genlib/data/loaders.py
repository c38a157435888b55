"""MNIST, Fashion-MNIST, CIFAR-10, facades and edges → shoes: downloaded once, and returned as the embedded sets are.

All take the same arguments:
    split: "train", "test" or "all", as their authors split them.
    data_dir: where the files lie or will lie; GENLIB_DATA, or the user's cache, if left out.
    mirrors: addresses of folders that hold the files, too; they are asked first.
And all raise `DownloadError` where a file cannot be had, and ValueError for one that is not what it should be.
"""

import gzip
import io
import os
import re
import struct
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from genlib.arguments import checked
from genlib.data.digits import Images, Pairs, Split
from genlib.data.fetch import Remote, data_folder, fetched

Folder = str | os.PathLike[str] | None
Mirrors = Sequence[str]
Side = Annotated[int, "[8, 256]"]
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PARTS = {"train": ("train",), "test": ("test",), "all": ("train", "test")}

_MNIST = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
_FASHION = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
_PIX2PIX = ("https://efrosgans.eecs.berkeley.edu/pix2pix/datasets/",)


def _four(servers: Sequence[str], *files: tuple[int, str]) -> dict[str, tuple[Remote, Remote]]:
    """The four files of MNIST's kind: pictures and classes to train, and to test."""
    kinds = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    remote = [Remote(f"{k}-ubyte.gz", n, f"sha256:{h}", servers) for k, (n, h) in zip(kinds, files, strict=True)]
    return {"train": (remote[0], remote[1]), "test": (remote[2], remote[3])}


MNIST = _four(
    _MNIST,
    (9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
    (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
    (1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
    (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
)
FASHION = _four(
    _FASHION,
    (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
    (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
    (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
    (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
)
CIFAR10 = Remote(
    "cifar-10-binary.tar.gz", 170_052_171,
    "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd", ("https://www.cs.toronto.edu/~kriz/",),
)  # fmt: skip
# Their authors publish no hash; these are MD5s that others have found.
FACADES = Remote("facades.tar.gz", 30_168_306, "md5:e2e25dd517e9d15828416ab329da2854", _PIX2PIX)
EDGES2SHOES = Remote("edges2shoes.tar.gz", 2_000_000_000, "md5:71da478b54fedde126e234a2a050bc15", _PIX2PIX)


@checked
def mnist(split: Split = "train", integers: bool = False, *, data_dir: Folder = None, mirrors: Mirrors = ()) -> Images:
    """Handwritten digits x, (N, 1, 28, 28), and label, (N,) int64; 60,000 to train and 10,000 to test.

    With `integers` x is int64 in 0..255; otherwise x/127.5 − 1 of these, float32 in [−1, 1]. The other arguments and
    the errors are told above. Ref: LeCun et al. 1998, "Gradient-based learning applied to document recognition".
    """
    return _grey(MNIST, "mnist", split, integers, data_dir, mirrors)


@checked
def fashion_mnist(
    split: Split = "train", integers: bool = False, *, data_dir: Folder = None, mirrors: Mirrors = ()
) -> Images:
    """Pictures of clothes in ten classes, of MNIST's shapes and numbers. Ref: Xiao, Rasul & Vollgraf 2017 (MIT)."""
    return _grey(FASHION, "fashion_mnist", split, integers, data_dir, mirrors)


@checked
def cifar10(
    split: Split = "train", integers: bool = False, *, data_dir: Folder = None, mirrors: Mirrors = ()
) -> Images:
    """Photos x, (N, 3, 32, 32), and their classes in `CIFAR10_CLASSES`, (N,) int64; 50,000 to train, 10,000 to test.

    Read from the binary version. Ref: Krizhevsky 2009, "Learning multiple layers of features from tiny images".
    """
    path = fetched(CIFAR10, data_folder(data_dir) / "cifar10", mirrors)
    wanted = {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]}
    found = {name.rpartition("/")[2]: data for name, data in _members(path, ".bin")}
    rows = []
    for name in (name for part in PARTS[split] for name in wanted[part]):
        if name not in found or not found[name] or len(found[name]) % 3073:
            raise ValueError(f"{path}: expected {name} with rows of 3073 bytes, got {len(found.get(name, b''))} bytes")
        rows.append(np.frombuffer(found[name], np.uint8).reshape(-1, 3073))
    row = torch.from_numpy(np.concatenate(rows))
    return _images(path, row[:, 1:].reshape(-1, 3, 32, 32), row[:, 0], integers)


@checked
def facades(split: Split = "train", size: Side = 256, *, data_dir: Folder = None, mirrors: Mirrors = ()) -> Pairs:
    """Label maps x, painted in twelve colours, and photos y of house fronts, both (N, 3, size, size) in [−1, 1].

    400 to train; 206 to test, the authors' "val" and "test" in this order.
    Ref: Tyleček & Šára 2013, "Spatial pattern templates for recognition of objects with regular structure"; in pairs:
    Isola et al. 2017.
    """
    names = {"train": ("train",), "test": ("val", "test"), "all": ("train", "val", "test")}[split]
    photo, painted = _halves(FACADES, "facades", names, size, data_dir, mirrors)
    return Pairs(painted, photo)


@checked
def edges2shoes(split: Split = "train", size: Side = 64, *, data_dir: Folder = None, mirrors: Mirrors = ()) -> Pairs:
    """Edges x, (N, 1, size, size), and photos of shoes y, (N, 3, size, size), in [−1, 1]; 49,825 to train, 200 to test.

    Decoded once, and kept at this size beside the archive; with size 256 all to train are 40 GB.
    Ref: Yu & Grauman 2014, "Fine-grained visual comparisons with local learning"; in pairs: Isola et al. 2017.
    """
    names = {"train": ("train",), "test": ("val",), "all": ("train", "val")}[split]
    edges, photo = _halves(EDGES2SHOES, "edges2shoes", names, size, data_dir, mirrors)
    return Pairs(edges.mean(1, keepdim=True), photo)


def _grey(
    files: dict[str, tuple[Remote, Remote]], name: str, split: str, integers: bool, data_dir: Folder, mirrors: Mirrors
) -> Images:
    """A data set in the format of MNIST: a header of big-endian numbers, and then bytes."""
    folder, x, label = data_folder(data_dir) / name, [], []
    paths = [fetched(file, folder, mirrors) for part in PARTS[split] for file in files[part]]
    for pictures, classes in zip(paths[::2], paths[1::2], strict=True):
        x.append(_idx(pictures, 3))
        label.append(_idx(classes, 1))
        if len(x[-1]) != len(label[-1]):
            raise ValueError(f"{classes}: expected {len(x[-1])} classes, one for each picture, got {len(label[-1])}")
    return _images(paths[0], torch.cat(x)[:, None], torch.cat(label), integers)


def _idx(path: Path, axes: int) -> Tensor:
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError) as error:
        raise ValueError(f"{path}: expected a gzip file, got one that cannot be unpacked ({error})") from None
    start = 4 + 4 * axes
    head = struct.unpack_from(f">{axes + 1}I", content) if len(content) >= start else (0,)
    if head[0] != 0x0800 + axes or len(content) - start != np.prod(head[1:]):
        raise ValueError(f"{path}: expected bytes with {axes} axes in IDX format, got {head} and {len(content)} bytes")
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=start).reshape(head[1:]).copy())


def _images(path: Path, x: Tensor, label: Tensor, integers: bool) -> Images:
    if int(label.max()) > 9:
        raise ValueError(f"{path}: expected classes 0..9, got {int(label.max())}")
    return Images(x.long() if integers else x.float() / 127.5 - 1, label.long())


def _members(path: Path, ending: str) -> Iterator[tuple[str, bytes]]:
    """Names and contents of an archive's files; nothing is unpacked to the disk."""
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                tarfile.data_filter(member, str(path.parent))  # refuses what would leave the folder
                file = archive.extractfile(member) if member.isfile() and member.name.endswith(ending) else None
                if file is not None:
                    yield member.name, file.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ValueError(f"{path}: expected an archive of {ending} files, got one that is refused ({error})") from None


def _halves(
    file: Remote, name: str, parts: Sequence[str], size: int, data_dir: Folder, mirrors: Mirrors
) -> tuple[Tensor, Tensor]:
    """The left and the right halves of all pictures, each (N, 3, size, size) in [−1, 1]."""
    path = fetched(file, data_folder(data_dir) / name, mirrors)
    kept = path.with_name(f"{name}-{size}.npz")
    if not kept.exists():
        _decode(path, size, kept)
    with np.load(kept, allow_pickle=False) as pictures:
        both = torch.from_numpy(np.concatenate([pictures[part] for part in parts])).movedim(3, 1)
    return both[..., :size].float() / 127.5 - 1, both[..., size:].float() / 127.5 - 1


def _decode(path: Path, size: int, kept: Path) -> None:
    """All pictures of an archive, (N, size, 2·size, 3) uint8 for each of its folders, into one file."""
    from PIL import Image

    pictures: dict[str, list[tuple[int, np.ndarray]]] = {}
    for name, data in _members(path, ".jpg"):
        found = re.search(r"(\w+)/(\d+)[^/]*$", name)
        try:
            picture = Image.open(io.BytesIO(data)).convert("RGB")
        except (OSError, SyntaxError) as error:  # Pillow's, for what it cannot read
            raise ValueError(f"{path}: {name} is no picture that can be read ({error})") from None
        if found is None:
            raise ValueError(f"{path}: expected pictures named FOLDER/NUMBER.jpg, got {name}")
        if picture.width != 2 * picture.height:
            raise ValueError(f"{path}: expected two squares side by side in {name}, got {picture.size}")
        box = (2 * size, size)
        shrunk = picture if picture.size == box else picture.resize(box, Image.Resampling.BOX)
        pictures.setdefault(found[1], []).append((int(found[2]), np.asarray(shrunk)))
    stacked = {part: np.stack([one for _, one in sorted(some, key=lambda s: s[0])]) for part, some in pictures.items()}
    unfinished = kept.with_name(f"{kept.name}.part")
    try:
        with unfinished.open("wb") as out:
            np.savez(out, **stacked)  # pyright: ignore[reportArgumentType]
        unfinished.replace(kept)
    except OSError as error:
        raise OSError(error.errno, f"not written ({error.strerror or error})", str(kept)) from None
    finally:
        unfinished.unlink(missing_ok=True)
