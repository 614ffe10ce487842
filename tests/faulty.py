"""Processes that are to suffer: forked with torch imported, so that many can be tried.

A child runs a function of a test's module, or a command line as `hw3` does, with its output in
files and signals as a terminal would leave them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import layouts
import numpy as np
import psutil
from conftest import make_faces

from hw3lib.data.split import split_faces
from hw3lib.training.recipe import Recipe

IMPORTS = ["hw3lib.training.runs", "hw3lib.cli", "hw3lib.models.network", "hw3lib.data",
           "sklearn.model_selection", "safetensors.torch", "torch._dynamo", "typst",
           "hw3lib.report.build", "hw3lib.report.html", "hw3lib.report.pdf",
           "conftest", "layouts", "faulty"]  # fmt: skip
RNG = np.random.default_rng()
PATIENCE = 300  # seconds after which a child is given up; none takes more than a few

PROFILE = """
[folds]
seed = 0
[recipes.best]
model = "slim_resnet"
width = 0.25
epochs = 16
batch_size = 16
shift = 2
"""


def folds():
    return split_faces(make_faces(150, test=30))


# an epoch of some hundredths of a second, with all that draws random numbers
RECIPE = Recipe(
    model="slim_resnet", width=0.25, epochs=16, batch_size=16, optimizer="muon", lr=0.02,
    flip="horizontal", shift=2, rotate=10, scale=0.1, erase=0.3, ema=0.9,
    precision="fp32", data=folds().fingerprint,
)  # fmt: skip


def context():
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(IMPORTS)
    return made


def start(target: Callable, *args) -> multiprocessing.Process:
    process = context().Process(target=target, args=args)
    process.start()
    return process


def ended(process: multiprocessing.Process) -> int:
    """Its exit status, once it has ended; negative for a signal."""
    process.join(PATIENCE)
    if process.is_alive():
        process.kill()
        raise AssertionError(f"still running after {PATIENCE} s")
    return process.exitcode


def below_of(process) -> list[psutil.Process]:
    """The kernels and all else that a process has started; none where it has ended."""
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


@dataclass
class Command:
    """A command line that runs in a child of its own."""

    process: multiprocessing.Process
    folder: Path

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text(encoding="utf-8")

    @property
    def err(self) -> str:
        return (self.folder / "err").read_text(encoding="utf-8")

    @property
    def fault(self) -> str:
        """The one line by which it ended."""
        assert "Traceback" not in self.err, self.err
        told = [line for line in self.err.splitlines() if line.startswith("hw3: ")]
        lines = [line for line in told if not line.startswith(("hw3: problem: ", "hw3: warning: "))]
        assert len(lines) == 1 and self.err.endswith(lines[0] + "\n"), self.err
        return lines[0]

    def begun(self) -> None:
        while self.process.is_alive() and not (self.folder / "begun").exists():
            time.sleep(0.002)

    def ended(self) -> int:
        return ended(self.process)


def hw3(
    folder: Path,
    *arguments: str,
    runs: Path | None = None,
    cache: Path | None = None,
    before: Callable[[], None] | None = None,
) -> Command:
    """Start `hw3 arguments` with its output below `folder`, and Runs and caches too by default.

    before : called in the child first, to take something away from it
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "begun").unlink(missing_ok=True)
    places = {"HW3_RUNS": runs or folder / "runs", "HW3_CACHE": cache or folder / "cache"}
    environment = {name: str(place) for name, place in places.items()}
    return Command(start(_command, folder, arguments, environment, before), folder)


def _command(
    place: Path, arguments: tuple[str, ...], environment: dict[str, str], before: Callable | None
) -> None:
    for number, name in ((1, "out"), (2, "err")):
        with open(place / name, "wb") as file:
            os.dup2(file.fileno(), number)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(write_through=True)
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from hw3lib.cli import main, watch_interrupts

    watch_interrupts()
    if before:
        before()
    sys.argv = ["hw3", *arguments]
    (place / "begun").touch()
    main()


def pictures(folder: Path, n: int = 150) -> Path:
    """A data set in an .npz file, labelled, with a test split."""
    folder.mkdir(parents=True, exist_ok=True)
    return layouts.write_npz(folder / "faces.npz", make_faces(n, test=n // 5))


def profile(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "tiny.toml"
    file.write_text(PROFILE, encoding="utf-8")
    return file


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below the folder, locks aside."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix != ".lock"]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def flips(data: bytes, count: int) -> Iterator[tuple[int, bytes]]:
    """(position, the data with one bit of that byte flipped), at `count` places, ends included."""
    rng = np.random.default_rng(0)
    places = np.unique(np.linspace(0, len(data) - 1, min(count, len(data))).astype(int))
    for at in places:
        changed = bytearray(data)
        changed[at] ^= 1 << int(rng.integers(8))
        yield int(at), bytes(changed)


def die(*_, **__) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class HalfWritten:
    """A file whose process is killed half-way through the first writing to it."""

    def __init__(self, *args):
        self.file = open(*args)  # noqa: SIM115

    def __enter__(self):
        return self

    def write(self, data: bytes) -> None:
        self.file.write(data[: len(data) // 2])
        self.file.flush()
        die()

    def __exit__(self, *_) -> None:
        self.file.close()


TORN = ("half written", "before the rename", "after the rename")  # and "between two renames"


def tear(where: str) -> None:
    """From now on this process kills itself at that place of its next atomic writing."""
    from hw3lib import files

    if where == "half written":
        files.open = lambda path, mode: (HalfWritten if mode == "wb" else open)(path, mode)
    elif where == "before the rename":
        files.os.replace = die
    elif where == "between two renames":
        rename, times = files.os.replace, iter((True, True))  # a checkpoint's and the old folder's
        files.os.replace = lambda a, b: rename(a, b) if next(times, False) else die()
    elif where == "after the rename":
        files.sync_folder = die


def killed(target: Callable, *args, after: float = 0.0, torn: str = "") -> bool:
    """Run it in a child that is killed `after` seconds, or that kills itself at a place in TORN.

    Whether it was killed; else it had ended before.
    """
    process = _started(torn, target, *args)
    if not torn:
        time.sleep(after)
        process.kill()
    status = ended(process)
    assert status in (0, -signal.SIGKILL), f"ended with {status}"
    return status != 0


def moments(rounds: int, target: Callable, *args) -> list[dict]:
    """For `killed`: random moments of what such a child takes, and the worst of its writing."""
    process = _started("", target, *args)
    began = time.perf_counter()
    assert ended(process) == 0
    seconds = time.perf_counter() - began
    places = [{"torn": place} for place in TORN]
    return places + [{"after": s} for s in RNG.uniform(0, seconds, rounds - len(places))]


def _started(torn: str, target: Callable, *args) -> multiprocessing.Process:
    """The child, at the moment when it begins."""
    reader, writer = context().Pipe(duplex=False)
    process = start(_begun, writer, torn, target, *args)
    writer.close()
    reader.recv()
    return process


def _begun(writer, torn: str, target: Callable, *args) -> None:
    tear(torn)
    writer.send(True)
    target(*args)
