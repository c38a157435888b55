"""Data sets that are downloaded: small files in the true formats, from a server that also does all that servers do."""

import contextlib
import errno
import gzip
import hashlib
import io
import shutil
import struct
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("pooch")
from genlib import data
from genlib.data import fetch, loaders

RANDOM = np.random.default_rng(0)


class Server(ThreadingHTTPServer):
    """Has files; says what it was asked for; and can break off, or not know how to go on."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.breaks_off_after: int | None = None
        self.goes_on = True
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(BaseHTTPRequestHandler):
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        name, asked = self.path.lstrip("/"), self.headers.get("Range", "")
        self.server.asked.append((name, asked))
        content = self.server.files.get(name)
        if content is None:
            self.send_error(404)
            return
        first = int(asked.removeprefix("bytes=").rstrip("-") or 0) if self.server.goes_on else 0
        if first and first >= len(content):
            self.send_error(416)
            return
        content = content[first:]
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        after = self.server.breaks_off_after
        with contextlib.suppress(OSError):
            self.wfile.write(content if after is None else content[:after])

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("TQDM_DISABLE", "1")
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def offered(server: Server, name: str, content: bytes, known: bytes | None = None) -> fetch.Remote:
    """The file on the server, and what the course knows of it."""
    server.files[name] = content
    digest = hashlib.sha256(known or content).hexdigest()
    return fetch.Remote(name, len(content), f"sha256:{digest}", (server.url,))


def idx(values: np.ndarray) -> bytes:
    head = struct.pack(f">{values.ndim + 1}I", 0x0800 + values.ndim, *values.shape)
    return gzip.compress(head + values.astype(np.uint8).tobytes(), mtime=0)


def archive(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def jpeg(left: tuple[int, int, int], right: tuple[int, int, int], side: int = 256) -> bytes:
    picture = np.zeros((side, 2 * side, 3), np.uint8)
    picture[:, :side], picture[:, side:] = left, right
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=95, subsampling=0)
    return out.getvalue()


PICTURES = {"train": RANDOM.integers(0, 256, (5, 28, 28)), "test": RANDOM.integers(0, 256, (3, 28, 28))}
CLASSES = {"train": np.array([3, 1, 4, 1, 5]), "test": np.array([9, 2, 6])}


@pytest.fixture
def mnist(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    files = {
        part: tuple(
            offered(server, old.name, idx(values[part]))
            for old, values in zip(loaders.MNIST[part], (PICTURES, CLASSES), strict=True)
        )
        for part in ("train", "test")
    }
    monkeypatch.setattr(loaders, "MNIST", files)
    monkeypatch.setattr(loaders, "FASHION", files)
    return server


@pytest.mark.parametrize("read", [data.mnist, data.fashion_mnist])
@pytest.mark.parametrize("split", ["train", "test", "all"])
def test_mnist_is_what_was_written(mnist: Server, tmp_path: Path, read: Any, split: str) -> None:
    parts = ("train", "test") if split == "all" else (split,)
    x, label = read(split, integers=True, data_dir=tmp_path)
    assert x.dtype == label.dtype == torch.int64
    assert x.tolist() == np.concatenate([PICTURES[part] for part in parts])[:, None].tolist()
    assert label.tolist() == np.concatenate([CLASSES[part] for part in parts]).tolist()
    levels, again = read(split, data_dir=tmp_path)
    assert levels.dtype == torch.float32
    assert torch.allclose((levels + 1) * 127.5, x.float(), atol=1e-4)
    assert torch.equal(label, again)
    asked = [name for name, _ in mnist.asked]
    assert len(asked) == len(set(asked)) == 2 * len(parts), "once each"


def test_it_is_what_the_embedded_sets_are(mnist: Server, tmp_path: Path) -> None:
    assert type(data.mnist(data_dir=tmp_path)) is type(data.digits())
    x, label = data.mnist(data_dir=tmp_path)
    ours, classes = data.digits()
    assert (x.dtype, x.ndim, label.dtype) == (ours.dtype, ours.ndim, classes.dtype)
    assert -1 <= x.min() < x.max() <= 1


@pytest.mark.parametrize("split", ["train", "test", "all"])
def test_cifar_is_what_was_written(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, split: Any) -> None:
    rows = {
        name: RANDOM.integers(0, 256, (2, 3073)).astype(np.uint8) for name in [f"data_batch_{i}" for i in range(1, 6)]
    }
    rows["test_batch"] = RANDOM.integers(0, 256, (3, 3073)).astype(np.uint8)
    for one in rows.values():
        one[:, 0] %= 10
    files = {f"cifar-10-batches-bin/{name}.bin": one.tobytes() for name, one in reversed(rows.items())}
    content = archive(files | {"cifar-10-batches-bin/readme.html": b"<p>"})
    monkeypatch.setattr(loaders, "CIFAR10", offered(server, "cifar-10-binary.tar.gz", content))
    x, label = data.cifar10(split, integers=True, data_dir=tmp_path)
    names = [name for name in rows if split == "all" or name.startswith("test") == (split == "test")]
    wanted = np.concatenate([rows[name] for name in names])
    assert label.tolist() == wanted[:, 0].tolist()
    assert x[-1, 2, 31, 30] == wanted[-1, 1 + 2 * 1024 + 31 * 32 + 30], "red, green, blue; then rows; then columns"
    assert x.flatten(1).tolist() == wanted[:, 1:].tolist()


COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]


def near(pictures: torch.Tensor, colour: tuple[int, int, int]) -> bool:
    wanted = torch.tensor(colour) / 127.5 - 1
    return bool((pictures[..., 8:-8] - wanted[:, None, None]).abs().max() < 0.1)  # JPEG mixes colours at the seam


def test_facades_are_maps_and_photos(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = {f"facades/train/{i}.jpg": jpeg(COLOURS[i % 4], (9, 9, 9)) for i in (10, 2, 1)}
    files |= {"facades/val/1.jpg": jpeg(COLOURS[3], (9, 9, 9)), "facades/test/1.jpg": jpeg(COLOURS[0], (9, 9, 9))}
    monkeypatch.setattr(loaders, "FACADES", offered(server, "facades.tar.gz", archive(files)))
    x, y = data.facades(data_dir=tmp_path)
    assert x.shape == y.shape == (3, 3, 256, 256)
    assert near(x, (9, 9, 9))
    assert [near(one, COLOURS[i]) for one, i in zip(y, (1, 2, 2), strict=True)] == [True] * 3, "1, 2, 10"
    x, y = data.facades("test", 32, data_dir=tmp_path)
    assert x.shape == (2, 3, 32, 32)
    assert near(y[0], COLOURS[3])
    assert near(y[1], COLOURS[0])
    assert len(data.facades("all", 32, data_dir=tmp_path).x) == 5
    assert len(server.asked) == 1


def test_edges_have_one_channel(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = {
        f"edges2shoes/{part}/{i}_AB.jpg": jpeg((255, 255, 255), COLOURS[i]) for part in ("train", "val") for i in (1, 2)
    }
    monkeypatch.setattr(loaders, "EDGES2SHOES", offered(server, "edges2shoes.tar.gz", archive(files)))
    x, y = data.edges2shoes("test", data_dir=tmp_path)
    assert (x.shape, y.shape) == ((2, 1, 64, 64), (2, 3, 64, 64))
    assert x.min() > 0.9
    assert near(y[1], COLOURS[2])


# -- What servers, disks and files do


def refused(folder: Path, remote: fetch.Remote, says: str, mirrors: tuple[str, ...] = ()) -> None:
    """In one line; and no file is left that could be taken for the whole."""
    with pytest.raises(data.DownloadError, match=says) as error:
        fetch.fetched(remote, folder, mirrors)
    assert "\n" not in str(error.value)
    assert not (folder / remote.name).exists()


def test_a_connection_that_breaks_off_is_told_and_gone_on_from(server: Server, tmp_path: Path) -> None:
    remote = offered(server, "file", content := RANDOM.bytes(200_000))
    server.breaks_off_after = 70_000
    refused(tmp_path, remote, "broke off")
    have = (tmp_path / "file.part").stat().st_size
    assert 0 < have <= 70_000
    server.breaks_off_after = None
    assert fetch.fetched(remote, tmp_path).read_bytes() == content
    assert server.asked[-1] == ("file", f"bytes={have}-")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_server_that_cannot_go_on_begins_anew(server: Server, tmp_path: Path) -> None:
    remote = offered(server, "file", content := RANDOM.bytes(100_000))
    (tmp_path / "file.part").write_bytes(content[:40_000])
    server.goes_on = False
    assert fetch.fetched(remote, tmp_path).read_bytes() == content


@pytest.mark.parametrize("part", [b"", b"other beginning"])
def test_another_file_is_refused_and_nothing_is_kept(server: Server, tmp_path: Path, part: bytes) -> None:
    remote = offered(server, "file", b"what is there" * 100, known=b"what we know")
    (tmp_path / "file.part").write_bytes(part)
    refused(tmp_path, remote, f"another file, whose hash is not {remote.known_hash}")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_and_wrong_is_had_again(server: Server, tmp_path: Path) -> None:
    remote = offered(server, "file", content := b"right")
    (tmp_path / "file").write_bytes(b"cut o")
    assert fetch.fetched(remote, tmp_path).read_bytes() == content


def test_a_part_that_is_whole_is_taken(server: Server, tmp_path: Path) -> None:
    remote = offered(server, "file", content := b"all of it")
    (tmp_path / "file.part").write_bytes(content)
    assert fetch.fetched(remote, tmp_path).read_bytes() == content


def test_the_next_server_is_asked(server: Server, tmp_path: Path) -> None:
    remote = offered(server, "file", content := b"right")
    gone = "http://127.0.0.1:9/"
    assert fetch.fetched(remote, tmp_path / "a", (gone, f"{server.url}no/such/folder")).read_bytes() == content
    assert [name for name, _ in server.asked] == ["no/such/folder/file", "file"]
    refused(tmp_path / "b", remote._replace(servers=(gone, f"{server.url}no")), "404 Not Found")


def test_a_full_disk_is_told_before_and_while_writing(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    remote = offered(server, "file", RANDOM.bytes(200_000))
    refused(tmp_path, remote._replace(size=1 << 60), r"1,152,921,504,606,846,976 bytes are needed, and [\d,]+ are free")
    assert server.asked == []
    if Path("/dev/full").exists():
        (tmp_path / "file.part").symlink_to("/dev/full")
        monkeypatch.setattr(fetch, "_size", lambda path: 0)
        refused(tmp_path, remote, "No space left on device")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.os.name != "posix" or shutil.os.geteuid() == 0, reason="root may write anywhere")  # type: ignore[attr-defined]
def test_a_folder_that_nobody_may_write_to_is_told(server: Server, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    refused(tmp_path, offered(server, "file", b"right"), "Permission denied")


@pytest.mark.parametrize(
    ("name", "says"), [("../out.bin", "outside the destination"), ("/etc/out.bin", "outside|absolute")]
)
def test_an_archive_that_climbs_out_is_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, says: str
) -> None:
    content = archive({name: b"0" * 3073})
    monkeypatch.setattr(loaders, "CIFAR10", offered(server, "cifar-10-binary.tar.gz", content))
    with pytest.raises(ValueError, match=says if name.startswith("..") else "refused|expected test_batch"):
        data.cifar10("test", data_dir=tmp_path / "in")
    assert not (tmp_path / "out.bin").exists()
    assert not Path("/etc/out.bin").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (gzip.compress(b"too short", mtime=0), "expected bytes with 3 axes in IDX format"),
        (idx(PICTURES["train"])[:-20], "cannot be unpacked"),
        (b"no gzip at all", "cannot be unpacked"),
        (gzip.compress(struct.pack(">4I", 0x803, 9, 28, 28) + b"0", mtime=0), "expected bytes with 3 axes"),
        (idx(PICTURES["train"][:2]), "expected 2 classes, one for each picture, got 5"),
    ],
    ids=["too short", "broken off", "no gzip", "too few", "other number"],  # the bytes would be none that a shell shows
)
def test_a_file_of_another_form_is_refused(
    mnist: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes, says: str
) -> None:
    """Its hash is right, and it is not what it should be."""
    pictures, classes = loaders.MNIST["train"]
    monkeypatch.setattr(loaders, "MNIST", {"train": (offered(mnist, pictures.name, content), classes)})
    with pytest.raises(ValueError, match=says) as error:
        data.mnist(data_dir=tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "picture", "says"),
    [
        ("facades/train/1.jpg", b"no picture", "facades/train/1.jpg is no picture that can be read"),
        (
            "facades/train/1.jpg",
            jpeg((9, 9, 9), (9, 9, 9))[:-400],
            "facades/train/1.jpg is no picture that can be read",
        ),
        ("facades/train/front.jpg", jpeg((9, 9, 9), (9, 9, 9)), "named FOLDER/NUMBER.jpg, got facades/train/front.jpg"),
    ],
    ids=["none", "cut", "name"],
)
def test_a_picture_in_an_archive_that_cannot_be_read_is_told(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, picture: bytes, says: str
) -> None:
    monkeypatch.setattr(loaders, "FACADES", offered(server, "facades.tar.gz", archive({name: picture})))
    with pytest.raises(ValueError, match=says) as error:
        data.facades(data_dir=tmp_path)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.rglob("*.npz*"))


def test_a_disk_that_fills_up_while_pictures_are_decoded_is_told(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = {"facades/train/1.jpg": jpeg((9, 9, 9), (9, 9, 9))}
    monkeypatch.setattr(loaders, "FACADES", offered(server, "facades.tar.gz", archive(files)))

    def full(out: Any, **pictures: Any) -> None:
        out.write(b"some of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match=r"not written \(No space left on device\)") as error:
        data.facades(data_dir=tmp_path)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.rglob("*.npz*"))


def test_a_class_that_there_is_not_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = archive({"cifar-10-batches-bin/test_batch.bin": b"\x0a" + bytes(3072)})
    monkeypatch.setattr(loaders, "CIFAR10", offered(server, "cifar-10-binary.tar.gz", content))
    with pytest.raises(ValueError, match=r"expected classes 0\.\.9, got 10"):
        data.cifar10("test", data_dir=tmp_path)
    with pytest.raises(ValueError, match=r"expected data_batch_1\.bin"):
        data.cifar10("train", data_dir=tmp_path)


def test_where_files_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENLIB_DATA", str(tmp_path / "there"))
    assert fetch.data_folder() == tmp_path / "there"
    assert fetch.data_folder("here") == Path("here")
    monkeypatch.delenv("GENLIB_DATA")
    assert fetch.data_folder().name == "genlib"


@pytest.mark.parametrize("read", [data.mnist, data.fashion_mnist, data.cifar10, data.facades, data.edges2shoes])
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"split": "tran"}, "split: .*'tran'. Did you mean 'train'"),
        ({"split": 3}, "split: .*3"),
        ({"data_dir": 3}, "data_dir: .*3"),
        ({"mirrors": "http://127.0.0.1/"}, "mirrors: expected .*'http://127.0.0.1/'"),
        ({"mirrors": [3]}, "mirrors.*3"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, read: Any, wrong: dict[str, Any], says: str
) -> None:
    monkeypatch.setattr(loaders, "fetched", lambda *_: pytest.fail("it was asked for"))
    with pytest.raises(ValueError, match=says):
        read(**wrong)


@pytest.mark.parametrize("size", [7, 257, 64.5, "64"])
def test_a_size_that_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch, size: Any) -> None:
    monkeypatch.setattr(loaders, "fetched", lambda *_: pytest.fail("it was asked for"))
    with pytest.raises(ValueError, match=r"size: expected .*got"):
        data.facades(size=size)
