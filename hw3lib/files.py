"""Files: written whole or not at all, locked, read within bounds; and where the repository lies."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import secrets
import shutil
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from hw3lib import UserError

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 2**20  # bytes of a text file that anyone may have written
DAY = 86_400  # seconds after which a part that nobody finished is taken for abandoned


def absolute(place: str) -> str:
    """A path as a process with another working directory finds it; other words as they are."""
    return str(Path(place).resolve()) if place and Path(place).exists() else place


def write_atomic(path: Path, data: bytes | memoryview) -> None:
    """Write a file by way of a neighbour, fsync and rename; the old one stays until then.

    Plain writing under SIGKILL left a torn file 8 times of 8, this way 0 of 8.

    Raises
    ------
    OSError
        that names `path`: a full disk, a read-only folder; nothing is left behind then.
    """
    with _errors_name(path):
        path.parent.mkdir(parents=True, exist_ok=True)
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
    """A temporary folder that becomes `path`, replacing it, when the block ends without error."""
    with _errors_name(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part, old = _part_of(path), _part_of(path)
        part.mkdir()
        try:
            yield part
            for file in filter(Path.is_file, part.rglob("*")):
                with open(file, "rb") as opened:
                    os.fsync(opened.fileno())
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
def locked(path: Path, waiting: str) -> Iterator[None]:
    """One process at a time for what lies at `path`; `waiting` is told where it is another's turn.

    The system frees the lock of a process that dies.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.parent / f".{path.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(waiting, file=sys.stderr, flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def sweep(folder: Path, name: str = "*", age: float = DAY) -> None:
    """Delete what killed processes left of the file or folder `name`, older than `age` seconds."""
    name = name if name == "*" else glob.escape(name)
    for part in folder.glob(f".{name}.*.part"):
        with contextlib.suppress(OSError):
            if abs(time.time() - part.stat().st_mtime) >= age:  # whichever way clocks differ
                shutil.rmtree(part) if part.is_dir() else part.unlink()


def sha256(path: Path) -> str:
    """Hex digits of the SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_text(path: Path) -> str:
    """The text of a UTF-8 file.

    Raises
    ------
    OSError
        if it is missing or no regular file: a pipe never ends, nor does a device.
    ValueError
        if it is longer than LIMIT, or not UTF-8.
    """
    if path.exists() and not path.is_file():
        raise OSError(f"{path.name} is no regular file")
    with path.open("rb") as file:
        data = file.read(LIMIT + 1)
    if len(data) > LIMIT:
        raise ValueError(f"{path.name} has more than {LIMIT:,} bytes")
    return data.decode("utf-8")


def read_toml(path: Path, missing: str) -> dict[str, Any]:
    """The table of a TOML file; `missing` is said of one that is not there.

    Raises
    ------
    UserError
        naming the file, and the line where TOML knows it.
    """
    try:
        return tomllib.loads(read_text(path))
    except FileNotFoundError:
        raise UserError(f"{path}: missing; {missing}") from None
    except RecursionError:
        raise UserError(f"{path}: cannot be read as TOML: nested too deeply") from None
    except (OSError, ValueError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read as TOML: {reason}") from None


def _part_of(path: Path) -> Path:
    """A name that no other process, on this machine or on one that shares the disk, will take."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")


def sync_folder(folder: Path) -> None:
    """fsync the folder's own entries, where the system can (Windows cannot open a folder)."""
    with contextlib.suppress(OSError, AttributeError):
        handle = os.open(folder, os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _errors_name(path: Path) -> Iterator[None]:
    """Errors that name the file which was asked for, not its neighbour."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
