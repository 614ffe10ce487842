"""Where a bad input is made; what a refusal may cost and leave: time, memory, files."""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from layouts import put

ROOM = 2**31  # bytes of address space that a reader may add
RESIDENT = 2**28  # bytes of memory that it may take, at its peak
SECONDS = 20  # of a refusal; they take some hundredths, and machines may be slow
# control characters, line ends, marks that turn the direction of writing, halves of letters
STEERS = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff]")


@dataclass(frozen=True)
class Place:
    """Where an input is made. Four folders lie between `root` and `folder`, so that a path that
    climbs out of the input still ends below `root`, where the test looks.

    canary : a file that the pickles make when anyone loads them
    """

    root: Path

    @property
    def folder(self) -> Path:
        return self.root / "a" / "b" / "c" / "in"

    @property
    def canary(self) -> Path:
        return self.root / "canary"

    def put(self, name: str, data: bytes | str) -> Path:
        """A file of the input."""
        return put(self.folder / name, data.encode() if isinstance(data, str) else data)

    def pickled(self) -> bytes:
        """A pickle that makes the canary."""
        return pickle.dumps(Trap(self.canary))


class Trap:
    """Whoever unpickles it makes a file."""

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


def tree(root: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder below `root` with its kind and size; links are not followed."""
    found: dict[str, tuple[int, int]] = {}
    folders = [str(root)]
    while folders:
        for item in os.scandir(folders.pop()):
            info = item.stat(follow_symlinks=False)
            is_folder = item.is_dir(follow_symlinks=False)
            found[item.path] = (info.st_mode, 0 if is_folder else info.st_size)
            if is_folder:
                folders.append(item.path)
    return found
