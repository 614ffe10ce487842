"""Where a bad input is made, what it is made of, and what refusing it may cost and leave."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import stat
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOM = 2**31  # bytes of address space that a reader may add
RESIDENT = 2**28  # bytes of memory that it may take, at its peak
SECONDS = 20  # of a refusal; they take some hundredths, and machines may be slow
# control characters, line ends, marks that turn the direction of writing, halves of letters
STEERS = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff]")
WORDS = (  # of a cell, a name or a number
    "", " ", "0", "7", "-1", "2.5", "1e400", "nan", "=1+1", "@x", "'", "a,b", "\0", "\x1b[2J",
    "\u202e", "é", "１", "9" * 400, "9" * 5000, "x" * 3000, "../..", "<b>", "angry", "Training",
)  # fmt: skip


def folder_below(root: Path) -> Path:
    """Of an input, four folders down: a path that climbs out of it still ends below `root`."""
    folder = root / "a" / "b" / "c" / "in"
    folder.mkdir(parents=True)
    return folder


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """A few cuts, repeats, insertions and overwritten fields, often near the beginning."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        last = len(changed) if rng.random() < 0.6 else 99
        start = int(rng.integers(0, last + 1))
        end = start + int(rng.choice([0, 1, 2, 4, 8, 40, 400]))
        old = bytes(changed[start:end])
        changed[start:end] = [
            b"", rng.bytes(int(rng.integers(0, 9))), old * 2, bytes(len(old)),
            struct.pack("<I", int(rng.choice([0, 1, 2**31 - 1, 2**32 - 1]))),
            bytes([old[0] ^ (1 << int(rng.integers(8)))]) + old[1:] if old else b"",
        ][int(rng.integers(6))]  # fmt: skip
    return bytes(changed)


def cut_or_flipped(data: bytes, how: str, share: float) -> bytes:
    """how : "cut" there, or "flip" the byte that stands there"""
    at = int(share * (len(data) - 1))
    return data[:at] if how == "cut" else data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


class Trap:
    """Whoever unpickles it makes a folder there."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.canary),)


@contextlib.contextmanager
def bounded(root: Path) -> Iterator[None]:
    """The block takes bounded time and memory, and leaves everything below `root` as it was."""
    tree_before, memory_before = tree(root), _status("VmRSS")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + ROOM, hard))
    began = time.perf_counter()
    try:
        yield
    finally:
        seconds = time.perf_counter() - began
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    peak = _status("VmHWM") - memory_before
    assert seconds < SECONDS
    assert peak < RESIDENT, f"{peak / 2**20:.0f} MiB"
    assert tree(root) == tree_before  # also no canary of a pickle


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def tree(root: Path) -> dict[Path, tuple[int, int]]:
    """Every file and folder below `root` with its kind and size; links are not followed."""
    every = {path: path.lstat() for path in root.rglob("*")}
    return {p: (i.st_mode, 0 if stat.S_ISDIR(i.st_mode) else i.st_size) for p, i in every.items()}
