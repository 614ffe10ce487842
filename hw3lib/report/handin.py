"""A student's own hand-in: `hw3 new DIR` makes it, its hw3_train.sh trains with `train_handin`."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from hw3lib import UserError
from hw3lib.files import ROOT, new_folder, write_atomic

TEMPLATE = ROOT / "report" / "templates" / "handin"
STATED = ("author.toml", "questions.toml", "bibliography.bib")
WEIGHTS = Path("weights") / "best.safetensors"


def new_handin(folder: Path, *, name: str) -> list[Path]:
    """Make a hand-in in `folder`, which must not exist or be empty; its files, in order.

    Notebooks of one's own to edit, the questions, the author, the course's two scripts and the
    published network, so that hw3_test.sh works from the first minute. The library is used from
    this clone while it lies beside, else installed from the address of its repository.

    Raises
    ------
    UserError
        if the folder holds anything, or no name is given.
    """
    if not name.strip():
        raise UserError("hw3 new: give your name, --name NAME; it stands on the first page")
    folder = folder.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: exists already; choose a new folder")
    with new_folder(folder) as staged:
        _fill(staged, name, os.path.relpath(ROOT, folder))
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _fill(folder: Path, name: str, library: str) -> None:
    values = {
        "{name}": name, "{python}": shlex.quote(sys.executable),
        "{library}": shlex.quote(library), "{requirement}": _requirement(library),
    }  # fmt: skip
    for file in sorted(TEMPLATE.iterdir()):
        text = file.read_text(encoding="utf-8")
        for key, value in values.items():
            text = text.replace(key, value)
        target = folder / file.name.replace("gitignore", ".gitignore")
        target.write_text(text, encoding="utf-8", newline="\n")  # bash reads no other line ends
        target.chmod(0o755 if file.suffix == ".sh" else 0o644)
    notebooks = sorted((ROOT / "notebooks").glob("0[1-9]_*.ipynb"))
    published = ROOT / "data" / "pretrained" / WEIGHTS.name
    for part, files in {
        "notebooks": [*notebooks, ROOT / "notebooks" / "README.md"],
        "report": [ROOT / "report" / name for name in STATED],
        "weights": [published],
    }.items():
        (folder / part).mkdir()
        for file in files:
            shutil.copyfile(file, folder / part / file.name)
    author = folder / "report" / "author.toml"
    named = f"name = {json.dumps(name, ensure_ascii=False)}"  # which is a TOML string, too
    text = re.sub(r"^name = .*", lambda _: named, author.read_text("utf-8"), flags=re.MULTILINE)
    author.write_text(text, encoding="utf-8")


def _requirement(library: str) -> str:
    """The library for pip: from where this clone came from, else this clone itself."""
    asked = ["git", "-C", str(ROOT), "remote", "get-url", "origin"]
    try:
        address = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    except OSError:  # no git here
        address = ""
    return f"-e git+{address}#egg=hw3lib" if "://" in address else f"-e {library}"


def train_handin(images: Path, table: Path, handin: Path) -> Path:
    """Train handin.toml's recipe `best` on a folder of images and its table `id,label`.

    The weights it leaves, where hw3_test.sh looks for them. A killed training goes on.

    Raises
    ------
    UserError
        for whatever is wrong with the images, the table or handin.toml.
    """
    # torch, which `hw3 new` need not wait for
    from hw3lib.training.runs import WEIGHTS as RUN_WEIGHTS
    from hw3lib.training.study import open_study

    if not images.is_dir():
        raise UserError(f"{images}: no such folder of images")
    if not table.is_file():
        raise UserError(f"{table}: no such table of labels")
    with tempfile.TemporaryDirectory(prefix="hw3-") as staged:
        # one place for both, as the reader of this layout wants it
        (Path(staged) / "train").symlink_to(images.resolve(), target_is_directory=True)
        shutil.copyfile(table, Path(staged) / "train.csv")
        try:
            run = open_study(str(handin / "handin.toml"), staged).run("best")
        except UserError as error:  # by the names the caller knows
            told = str(error).replace(str(Path(staged) / "train.csv"), str(table))
            raise UserError(told.replace(staged, str(images.parent))) from None
    write_atomic(handin / WEIGHTS, (run.path / RUN_WEIGHTS).read_bytes())
    return handin / WEIGHTS
