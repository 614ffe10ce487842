"""Runs on the road: packed for another machine, unpacked there, or published as one file."""

from __future__ import annotations

import gzip
import io
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hw3lib import UserError
from hw3lib.data.split import Split
from hw3lib.files import new_folder, write_atomic
from hw3lib.models.network import PUBLISHED, evaluate_test, load_network, save_network
from hw3lib.training.runs import RECORD, WEIGHT_FILE, Run, belongs, open_run, run_path, runs_folder

RUN_NAME = re.compile(r"[a-z0-9_]+-[0-9a-f]{12}")
DAMAGE = (UserError, ValueError, tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile)
SMALL, RATIO = 2**26, 10  # an archive unpacks to 64 MiB at most, or to 10 times its own size


def pack(runs: dict[str, Run], file: Path, *, weights: Callable[[str], bool]) -> None:
    """Pack Runs into a .tar.gz; `weights(name)` says whose weights go along.

    Without owner, times or rights: nothing of the machine that packs them.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, run in runs.items():
            for path in (run.path / part for part in (RECORD, *run.record["sha256"])):
                if path.exists() and (weights(name) or not WEIGHT_FILE.fullmatch(path.name)):
                    data = path.read_bytes()
                    if path.name == RECORD and not weights(name):
                        data = data.replace(b"{", b'{\n "packed": true,', 1)
                    info = tarfile.TarInfo(f"{run.path.name}/{path.name}")
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
    write_atomic(file, buffer.getvalue())


def unpack(file: Path, root: Path | None = None) -> list[Path]:
    """Unpack Runs beside those that are there; a Run that is there already is left as it is.

    An archive may come from anyone: only the files of Runs are taken, by name, no more bytes than
    an archive of that size can hold, and every Run must be sound and the one that its folder's
    name says. All of them or none.

    Raises
    ------
    UserError
        naming the archive and what is wrong with it.
    """
    root = root or runs_folder()
    if not file.is_file():
        raise UserError(f"{file}: no such archive of Runs; give the file that hw3 runs pack wrote")
    with tempfile.TemporaryDirectory() as place:
        part = Path(place)
        try:
            _extract(file, part)
            made = [_sound(folder) for folder in sorted(part.iterdir())]
            if not made:
                raise ValueError("it holds no Run")
        except DAMAGE as error:
            why = str(error).replace(f"{part}/", "").splitlines()[0].partition(";")[0]
            raise UserError(f"{file}: not a whole archive of Runs ({why}); pack it again") from None
        new = [folder for folder in made if not (root / folder.name).exists()]
        for folder in new:
            with new_folder(root / folder.name) as new_run:
                shutil.copytree(folder, new_run, dirs_exist_ok=True)
    return [root / folder.name for folder in new]


def _extract(file: Path, folder: Path) -> None:
    """The files of an archive, by the names and in the number that Runs have."""
    limit = max(SMALL, RATIO * file.stat().st_size)
    with gzip.open(file) as packed:
        data = packed.read(limit + 1)
    if len(data) > limit:
        raise ValueError("it unpacks to far more than it should")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            home, _, name = member.name.partition("/")
            if not (member.isreg() and belongs(name) and RUN_NAME.fullmatch(home)):
                raise ValueError(f"{member.name!r} is no part of a Run")
            place = folder / home / name
            if place.exists():
                raise ValueError(f"{member.name} stands there twice")
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(archive.extractfile(member).read())


def _sound(folder: Path) -> Path:
    """The folder, once it is known that its Run and weights are whole and the name is theirs."""
    run = open_run(folder)
    if run_path(run.recipe).name != folder.name:
        raise ValueError(f"{folder.name} is the name of another recipe's Run or version's")
    for name in filter(WEIGHT_FILE.fullmatch, run.record["sha256"]):
        if (folder / name).exists():
            load_network(folder / name)
    return folder


def publish(run: Run, name: str, folds: Split, *, views: str = "one") -> Path:
    """Write the Run's network as data/pretrained/<name>.safetensors in half precision.

    Its metadata hold what it reaches on the test images, as it will be read back, rounded.
    """
    about = {k: run.record[k] for k in ("date", "device", "machine", "torch", "seconds")}
    about |= {
        "license": "MIT",
        "intended_use": "teaching: a homework's classifier of 48x48 grey faces into seven classes",
        "limits": "labels are noisy, classes unbalanced; no measure of what a person feels",
    }
    file = PUBLISHED / f"{name}.safetensors"
    with tempfile.TemporaryDirectory() as place:
        draft = Path(place) / file.name
        save_network(draft, run.network(), half=True)
        rounded = load_network(draft)
        scores = evaluate_test(rounded, folds, views=views)
        metadata = {**rounded.metadata, **about, **scores}
        save_network(draft, replace(rounded, metadata=metadata), half=True)
        write_atomic(file, draft.read_bytes())
    return file
