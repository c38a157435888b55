"""Files that are written whole or not at all, by one training at a time."""

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None


def file_at(name: str, path: str | os.PathLike) -> Path:
    """A path where a file is, or could be."""
    try:
        text = os.fspath(path)
        if not isinstance(text, str) or "\0" in text or (Path(text).exists() and not Path(text).is_file()):
            raise OSError(0, "the folder" if os.path.isdir(text) else "a device, or no path at all,")
        return Path(text)
    except OSError as error:  # also for a name that is too long, or a folder that may not be looked into
        raise ValueError(f"{name}: expected a file, got {error.strerror} {str(path)!r}") from None


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """A new file takes the place of `path` in one instant, once it is whole and on the disk. Folders are made."""
    part = path.with_name(f".{path.name[:100]}.{os.urandom(4).hex()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "xb") as file:  # x: a new one, whatever has that name or points there
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        if os.name == "posix":  # the new name, too, should outlive a power cut
            folder = os.open(path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
    except OSError as error:
        raise OSError(error.errno, f"not written ({error.strerror})", str(path)) from None
    finally:
        with suppress(OSError):
            part.unlink()


@contextmanager
def locked(name: str, path: Path) -> Iterator[None]:
    """The path is this training's own, for as long as it lasts and its process lives."""
    lock, taken = path.with_name(f".{path.name[:100]}.lock"), False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(lock, os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o666)
    except OSError as error:
        raise ValueError(f"{name}: {path.parent} is no folder that can be written to ({error.strerror})") from None
    with os.fdopen(file):
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            taken = isinstance(error, BlockingIOError)  # some network disks have no locks
        if taken or os.fstat(file).st_nlink == 0:  # the other one ends just now, and has taken the lock away
            raise ValueError(f"{name}: {path} is in use by another training, which has to end first")
        try:
            for part in path.parent.glob(f".{glob.escape(path.name[:100])}.*.part"):
                part.unlink(missing_ok=True)  # left by one that was killed while it wrote
            yield
        finally:
            with suppress(OSError):
                lock.unlink()
