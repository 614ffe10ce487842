"""What a refusal may cost and what it may leave: time, memory, files."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOM = 2**31  # bytes of address space that a reader may add
RESIDENT = 2**28  # bytes of memory that it may take, at its peak
SECONDS = 20  # of a refusal; they take some hundredths, and machines may be slow


@dataclass
class Cost:
    seconds: float = 0.0
    bytes: int = 0


@contextlib.contextmanager
def measured() -> Iterator[Cost]:
    """Time and peak memory of the block, which may not map more than ROOM besides."""
    cost, before = Cost(), _status("VmRSS")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + ROOM, hard))
    began = time.perf_counter()
    try:
        yield cost
    finally:
        cost.seconds = time.perf_counter() - began
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        cost.bytes = max(0, _status("VmHWM") - before)


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
