"""Files from the network: checked, resumed, from the first server that answers; what is not right leaves nothing."""

import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

BLOCK = 1 << 16  # bytes that are written at once
PATIENCE = 30  # seconds without a byte, after which a server is given up


class DownloadError(OSError):
    """A file could not be had; says which, from where, and why."""


class Remote(NamedTuple):
    """A file that servers have: its name, about how many bytes it has, its hash, and the folders that hold it."""

    name: str
    size: int
    known_hash: str  # "sha256:..."; "md5:..." where nobody has told another
    servers: Sequence[str]


def data_folder(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """Where data sets lie: `data_dir`; or else GENLIB_DATA; or else the user's cache."""
    import pooch

    return Path(data_dir or os.environ.get("GENLIB_DATA") or pooch.os_cache("genlib"))


def fetched(file: Remote, folder: Path, mirrors: Sequence[str] = ()) -> Path:
    """The file, in that folder; downloaded unless it lies there and has the right hash.

    Args:
        mirrors: addresses of folders that hold the file, too; they are asked first.
    Raises:
        DownloadError: where no server gives the right file, or the disk has no room for it. What has come from a
            server that broke off stays beside it as NAME.part, and the next try goes on from there.
    """
    import pooch

    path = folder / file.name
    if path.exists() and pooch.hashes.hash_matches(path, file.known_hash):
        return path
    part, reasons = folder / f"{file.name}.part", []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free + _size(part)
        if free < file.size:
            raise OSError(errno.ENOSPC, f"{file.size:,} bytes are needed, and {free:,} are free")
        for server in (*mirrors, *file.servers):
            if reason := _download(f"{server.rstrip('/')}/{file.name}", part):
                reasons.append(f"{server}: {reason}")
            elif not pooch.hashes.hash_matches(part, file.known_hash):
                part.unlink()
                reasons.append(f"{server}: another file, whose hash is not {file.known_hash}")
            else:
                part.replace(path)
                return path
    except OSError as error:
        if error.errno == errno.ENOSPC:
            part.unlink(missing_ok=True)
        raise DownloadError(f"{file.name}: {error.strerror or error} ({folder})") from None
    raise DownloadError(f"{file.name} could not be downloaded. {'; '.join(reasons)}")


def _download(address: str, part: Path) -> str:
    """Write what is missing of a file, and say what went wrong."""
    import requests
    from tqdm.auto import tqdm

    have = _size(part)
    headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
    try:
        with requests.get(address, headers=headers, stream=True, timeout=PATIENCE) as answer:
            if answer.status_code == 416:  # there is nothing after what we have
                return ""
            if not answer.ok:
                return f"{answer.status_code} {answer.reason}"
            goes_on = answer.status_code == 206  # a server may not know how
            begun = have if goes_on else 0
            total = begun + int(answer.headers.get("Content-Length", 0))
            with (
                tqdm(initial=begun, total=total or None, unit="B", unit_scale=True, desc=part.stem) as progress,
                part.open("ab" if goes_on else "wb") as out,
            ):
                for block in answer.iter_content(BLOCK):
                    out.write(block)
                    progress.update(len(block))
    except requests.RequestException as error:
        return f"it broke off ({type(error).__name__}); the next try goes on from {_size(part):,} bytes"
    came = _size(part)
    return "" if came >= total else f"it broke off after {came:,} of {total:,} bytes; the next try goes on from there"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
