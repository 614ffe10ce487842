"""Writing that a kill cannot tear: a file or folder is there whole, or not at all."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import platform
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

DAY = 86_400  # seconds
_PART = re.compile(r"\..+\.([0-9a-f]{6})-(\d+)-[0-9a-f]{6}\.part")  # machine, process, chance


def write_atomic(path: Path, data: bytes | memoryview) -> None:
    """Write a file by way of a neighbour, fsync and rename; the old one stays until then.

    Raises
    ------
    OSError
        that names `path`: a full disk, a read-only folder; nothing is left behind then.
    """
    with _told_of(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent, path.name)
        part = _part_of(path)
        try:
            with open(part, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            with contextlib.suppress(OSError):
                part.unlink()
        sync_folder(path.parent)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes `path`, replacing it, when the block ends without error.

    A folder that it replaces is put aside before, and deleted after: a kill between leaves both
    under other names, whole.
    """
    with _told_of(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part, old = _part_of(path), _part_of(path)
        part.mkdir()
        try:
            yield part
            for file in part.rglob("*"):
                if file.is_file():
                    with open(file, "rb") as opened:
                        os.fsync(opened.fileno())
            sync_folder(part)
            if path.exists():
                os.replace(path, old)
            os.replace(part, path)
        finally:
            if old.exists() and not path.exists():  # stopped between the two
                os.replace(old, path)
            for folder in (part, old):
                shutil.rmtree(folder, ignore_errors=True)
        sync_folder(path.parent)


@contextlib.contextmanager
def workplace(path: Path) -> Iterator[Path]:
    """A folder beside `path` for what it is made from; it goes at the end, whatever happens."""
    part = _part_of(path)
    part.mkdir(parents=True)
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextlib.contextmanager
def locked(path: Path, waiting: str = "") -> Iterator[None]:
    """One process at a time for what lies at `path`; `waiting` is told where it is another's turn.

    The system frees the lock of a process that dies.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.parent / f".{path.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if waiting:
            print(waiting, file=sys.stderr, flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def parts_of(folder: Path, name: str = "*") -> list[Path]:
    """What killed processes left in `folder` of the file or folder `name`, "*" for any.

    A process of this machine is known by its number; what another machine's left (on a shared
    disk) counts after a day, whichever way the clocks differ.
    """
    name = name if name == "*" else glob.escape(name)
    return [part for part in folder.glob(f".{name}.*.part") if _abandoned(part)]


def sweep(folder: Path, name: str = "*") -> None:
    """Delete `parts_of`, where that is allowed."""
    for part in parts_of(folder, name):
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                part.unlink()


def sync_folder(path: Path) -> None:
    """fsync the folder's own entries, where the system can (Windows cannot open a folder)."""
    with contextlib.suppress(OSError, AttributeError):
        handle = os.open(path, os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _told_of(path: Path) -> Iterator[None]:
    """Errors that name the file which was asked for, not its neighbour."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None


def _part_of(path: Path) -> Path:
    """A name that no other process, on this machine or on one that shares the disk, will take."""
    return path.with_name(f".{path.name}.{_machine()}-{os.getpid()}-{secrets.token_hex(3)}.part")


def _machine() -> str:
    return hashlib.blake2b(platform.node().encode(), digest_size=3).hexdigest()


def _abandoned(part: Path) -> bool:
    name = _PART.fullmatch(part.name)
    if name and name[1] == _machine() and os.name == "posix":
        return int(name[2]) != os.getpid() and not _alive(int(name[2]))
    with contextlib.suppress(OSError):
        return abs(time.time() - part.stat().st_mtime) > DAY
    return False


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True
