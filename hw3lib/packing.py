"""Runs on the road: packed for another machine, unpacked there, or published as one file."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hw3lib import UserError
from hw3lib.files import new_folder, write_atomic
from hw3lib.run_files import HISTORY, LOGITS, RECIPE, RECORD, WEIGHT_FILE, sealed, weight_files
from hw3lib.runs import Run, open_run, run_path, runs_folder

if TYPE_CHECKING:
    from hw3lib.inference import Network


def pack(study, file: Path, *, weights: Callable[[str], bool]) -> list[str]:
    """Pack a Study's finished Runs into a .tar.gz; `weights(name)` says whose weights go along."""
    import tarfile

    names = [n for n in study.recipes if run_path(study.recipes[n]).exists()]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in names:
            run = open_run(run_path(study.recipes[name]))
            record = {**run.record, "packed": True}
            _add(archive, f"{run.path.name}/{RECORD}", sealed(record).encode())
            left = set() if weights(name) else set(weight_files(run.recipe))
            for part in run.record["sha256"]:
                if part not in left and (run.path / part).exists():
                    _add(archive, f"{run.path.name}/{part}", (run.path / part).read_bytes())
    write_atomic(file, buffer.getvalue())
    return names


def _add(archive, name: str, data: bytes) -> None:
    import tarfile

    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def unpack(file: Path, root: Path | None = None) -> list[Path]:
    """Unpack Runs beside those that are there; a Run that is there already is left as it is."""
    import tarfile

    root, made = root or runs_folder(), []
    known = {RECORD, RECIPE, HISTORY, LOGITS}
    try:
        with tarfile.open(file) as archive:
            members = archive.getmembers()
            for member in members:
                folder, _, name = member.name.partition("/")
                part_of_run = name in known or WEIGHT_FILE.fullmatch(name)
                if not member.isfile() or not part_of_run or folder.startswith("."):
                    raise UserError(f"{file}: holds {member.name!r}, which is no part of a Run")
            for folder in dict.fromkeys(m.name.partition("/")[0] for m in members):
                if (root / folder).exists():
                    continue
                with new_folder(root / folder) as part:
                    for member in members:
                        if member.name.startswith(f"{folder}/"):
                            data = archive.extractfile(member).read()
                            (part / member.name.partition("/")[2]).write_bytes(data)
                    open_run(part)
                made.append(root / folder)
    except (OSError, tarfile.TarError, EOFError) as error:
        why = str(error).splitlines()[0].rstrip(":")
        raise UserError(f"{file}: not a whole archive of Runs ({why}); pack it again") from None
    return made


def publish(run: Run, name: str, measure: Callable[[Network], dict[str, Any]]) -> Path:
    """Write the Run's network as data/pretrained/<name>.safetensors in half precision.

    measure : network -> figures that go into the file's metadata (accuracies, split); it is
              given the network as it will be read back, rounded to half precision
    """
    from dataclasses import replace

    from hw3lib.inference import load_network, save_network
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
