"""A student's own hand-in: `hw3 new DIR` makes it, its hw3_train.sh trains with `train_handin`."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from hw3lib import UserError
from hw3lib.paths import ROOT

TEMPLATE = ROOT / "report" / "templates" / "handin"
SCRIPTS = ("hw3_train.sh", "hw3_test.sh", "find_python.sh")
STATED = ("questions.toml", "bibliography.bib")
WEIGHTS = Path("weights") / "best.safetensors"


def new_handin(folder: Path, *, name: str, number: str = "", department: str = "") -> list[Path]:
    """Make a hand-in in `folder`, which must not exist or be empty; the files, in order.

    Notebooks of one's own to edit, the questions, the author, the course's two scripts, and the
    published network, so that hw3_test.sh works from the first minute.

    Raises
    ------
    UserError
        if the folder holds anything, or no name is given.
    """
    if not name.strip():
        raise UserError("hw3 new: give your name, --name NAME; it stands on the cover")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: exists already; choose a new folder")
    for part in ("notebooks", "report", "weights"):
        (folder / part).mkdir(parents=True)
    values = {"{name}": name, "{python}": sys.executable}
    for file in sorted(TEMPLATE.iterdir()):
        target = folder / file.name.replace("gitignore", ".gitignore")
        text = file.read_text(encoding="utf-8")
        for key, value in values.items():
            text = text.replace(key, value)
        target.write_text(text, encoding="utf-8")
        target.chmod(0o755 if file.name in SCRIPTS else 0o644)
    for notebook in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        shutil.copyfile(notebook, folder / "notebooks" / notebook.name)
    for file in STATED:
        shutil.copyfile(ROOT / "report" / file, folder / "report" / file)
    author = {"name": name, "id": number, "department": department}
    lines = [f"{key} = {_toml(value)}\n" for key, value in author.items() if value]
    (folder / "report" / "author.toml").write_text("".join(lines), encoding="utf-8")
    (folder / "requirements.txt").write_text(f"hw3lib @ {ROOT.as_uri()}\n", encoding="utf-8")
    shutil.copyfile(ROOT / "data" / "pretrained" / WEIGHTS.name, folder / WEIGHTS)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def train_handin(pictures: Path, table: Path, handin: Path) -> Path:
    """Train handin.toml's recipe `best` on a folder of pictures and its table `id,label`.

    The weights it leaves, where hw3_test.sh looks for them. A killed training goes on.

    Raises
    ------
    UserError
        for whatever is wrong with the pictures, the table or handin.toml.
    """
    from hw3lib.files import write_atomic
    from hw3lib.run_files import WEIGHTS as RUN_WEIGHTS
    from hw3lib.study import open_study

    if not pictures.is_dir():
        raise UserError(f"{pictures}: no such folder of pictures")
    if not table.is_file():
        raise UserError(f"{table}: no such table of labels")
    os.environ.setdefault("HW3_RUNS", str(handin / "runs"))
    with tempfile.TemporaryDirectory(prefix="hw3-") as staged:
        # one place for both, as the reader of this layout wants it
        (Path(staged) / "train").symlink_to(pictures.resolve(), target_is_directory=True)
        shutil.copyfile(table, Path(staged) / "train.csv")
        run = open_study(str(handin / "handin.toml"), staged).run("best")
    write_atomic(handin / WEIGHTS, (run.path / RUN_WEIGHTS).read_bytes())
    return handin / WEIGHTS


def _toml(text: str) -> str:
    """A TOML string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'


def _main(arguments: list[str]) -> int:
    try:
        _, pictures, table, handin = arguments
        print(train_handin(Path(pictures), Path(table), Path(handin)))
    except UserError as error:
        print(f"hw3: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
