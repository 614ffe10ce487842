"""Runs on the road: packed for another machine, unpacked there, or published as one file."""

from __future__ import annotations

import errno
import gzip
import io
import re
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hw3lib import UserError
from hw3lib.files import new_folder, write_atomic
from hw3lib.run_files import (
    EPOCHS,
    HISTORY,
    LOGITS,
    RECIPE,
    RECORD,
    WEIGHT_FILE,
    sealed,
    weight_files,
)
from hw3lib.runs import Run, open_run, run_path, runs_folder

if TYPE_CHECKING:
    from hw3lib.models.network import Network


RUN_NAME = re.compile(r"[a-z0-9_]+-[0-9a-f]{12}")
MOST = 10_000  # files of an archive
LARGEST = 2**31  # bytes of one of them
SMALL, RATIO = 2**26, 50  # an archive unpacks to 64 MiB at most, or to 50 times its own size


def pack(study, file: Path, *, weights: Callable[[str], bool]) -> list[str]:
    """Pack a Study's finished Runs into a .tar.gz; `weights(name)` says whose weights go along."""
    names = [n for n in study.recipes if run_path(study.recipes[n]).exists()]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in names:
            run = open_run(run_path(study.recipes[name]))
            record = {**run.record, "packed": True}
            add_file(archive, f"{run.path.name}/{RECORD}", sealed(record).encode())
            left = set() if weights(name) else set(weight_files(run.recipe))
            for part in run.record["sha256"]:
                if part not in left and (run.path / part).exists():
                    add_file(archive, f"{run.path.name}/{part}", (run.path / part).read_bytes())
    write_atomic(file, buffer.getvalue())
    return names


def add_file(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    """A member without owner, times or rights: nothing of the machine that packs it."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def unpack(file: Path, root: Path | None = None) -> list[Path]:
    """Unpack Runs beside those that are there; a Run that is there already is left as it is.

    All of them or none. An archive may come from anyone: only the files of Runs are taken, by
    name, no more bytes than an archive of that size can hold, and every Run must be sound and
    the one that its folder's name says.

    Raises
    ------
    UserError
        naming the archive and what is wrong with it.
    """
    root, runs = root or runs_folder(), {}  # name -> its new folder, None where it is there
    try:
        with ExitStack() as stack:
            stream = stack.enter_context(_Unpacked(file))
            for folder, files in groupby(_members(stream), key=itemgetter(0)):
                if folder in runs:
                    raise ValueError(f"{folder} stands there twice")
                there = (root / folder).exists()
                new = None if there else stack.enter_context(new_folder(root / folder))
                runs[folder] = new
                _write_run(new, folder, files)
            if not runs:
                raise ValueError("it holds no Run")
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    except (OSError, ValueError, tarfile.TarError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EACCES, errno.EROFS):
            raise
        why = str(error).splitlines()[0].rstrip(":") if str(error) else type(error).__name__
        raise UserError(f"{file}: not a whole archive of Runs ({why}); pack it again") from None
    return [root / folder for folder, new in runs.items() if new]


class _Unpacked(gzip.GzipFile):
    """The tar in an archive; a ValueError where it is longer than an honest one can be."""

    def __init__(self, file: Path) -> None:
        if file.exists() and not file.is_file():
            raise ValueError("no regular file")
        super().__init__(file, "rb")
        self.left = max(SMALL, RATIO * file.stat().st_size)

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.left -= len(data)
        if self.left < 0:
            raise ValueError("it unpacks to far more than it should")
        return data


class _Member(tarfile.TarInfo):
    """The head of a member, refused before anything behind it is read."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> _Member:
        member = super().frombuf(buf, encoding, errors)
        folder, _, name = member.name.partition("/")
        known = name in (RECORD, RECIPE, HISTORY, LOGITS, EPOCHS) or WEIGHT_FILE.fullmatch(name)
        if not (member.isreg() and known and RUN_NAME.fullmatch(folder)):
            raise UserError(f"holds {member.name!r}, which is no part of a Run; pack it again")
        if not 0 <= member.size <= LARGEST:
            raise UserError(f"{member.name!r} unpacks to {member.size:,} bytes; pack it again")
        return member


def _members(stream: _Unpacked) -> Iterator[tuple[str, str, bytes]]:
    """Folder, name and content of every file, in order, to the end and gzip's checksum."""
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as archive:
        for number, member in enumerate(archive):
            if number >= MOST:
                raise ValueError(f"more than {MOST:,} files")
            folder, _, name = member.name.partition("/")
            yield folder, name, archive.extractfile(member).read()
    while stream.read(2**20):
        pass


def _write_run(part: Path | None, folder: str, files: Iterable[tuple[str, str, bytes]]) -> None:
    """The files of one Run into its new folder; UserError unless they are the Run of that name."""
    from hw3lib.models.network import load_network

    for _, name, data in files:
        if part and (part / name).exists():
            raise ValueError(f"{folder}/{name} stands there twice")
        if part:
            (part / name).write_bytes(data)
    if not part:
        return
    try:
        run = open_run(part)
        if len(run.history) and len(run.labels("test")) and run_path(run.recipe).name != folder:
            raise UserError(f"{part}: damaged Run (its name is another recipe's or version's)")
        for name in filter(WEIGHT_FILE.fullmatch, run.record["sha256"]):
            if (part / name).exists():
                load_network(part / name)
    except UserError as error:
        why = str(error).replace(str(part), folder).partition(";")[0]
        raise UserError(f"{why}; pack it again") from None


def publish(run: Run, name: str, measure: Callable[[Network], dict[str, Any]]) -> Path:
    """Write the Run's network as data/pretrained/<name>.safetensors in half precision.

    measure : network -> figures that go into the file's metadata (accuracies, split); it is
              given the network as it will be read back, rounded to half precision
    """
    from dataclasses import replace

    from hw3lib.models.network import load_network, save_network
    from hw3lib.paths import ROOT

    about = {k: run.record[k] for k in ("date", "device", "machine", "torch", "seconds")}
    file = ROOT / "data" / "pretrained" / f"{name}.safetensors"
    part = file.with_name(f".{file.name}.part")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        save_network(part, run.network(), half=True)
        rounded = load_network(part)
        metadata = {**rounded.metadata, **about, **measure(rounded)}
        save_network(part, replace(rounded, metadata=metadata), half=True)
        shutil.move(part, file)
    finally:
        part.unlink(missing_ok=True)
    return file
