"""A student's own hand-in: `hw3 new DIR` makes it, its hw3_train.sh trains with `train_handin`."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

from hw3lib import UserError
from hw3lib.files import ROOT

TEMPLATE = ROOT / "report" / "templates" / "handin"
LIBRARY = (  # what a hand-in takes along of this repository, so that it runs wherever it is read
    "hw3lib", "report/fonts", "report/lab", "report/profiles", "report/templates/hw3_html",
    "report/templates/hw3_pdf", "data/pretrained", "pyproject.toml", "requirements.lock",
    "README.md", "LICENSE",
)  # fmt: skip
STATED = ("questions.toml", "bibliography.bib")
WEIGHTS = Path("weights") / "best.safetensors"


def new_handin(folder: Path, *, name: str, number: str = "", department: str = "") -> list[Path]:
    """Make a hand-in in `folder`, which must not exist or be empty; the files, in order.

    Notebooks of one's own to edit, the questions, the author, the course's two scripts, the
    published network, so that hw3_test.sh works from the first minute, and the library they need.

    Raises
    ------
    UserError
        if the folder holds anything, or no name is given.
    """
    if not name.strip():
        raise UserError("hw3 new: give your name, --name NAME; it stands on the cover")
    folder = folder.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: exists already; choose a new folder")
    author = {"name": name, "id": number, "department": department}
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".hw3-", dir=folder.parent) as staged:
        _fill(Path(staged), author)
        for part in sorted(Path(staged).iterdir()):
            os.replace(part, folder / part.name)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _fill(folder: Path, author: dict[str, str]) -> None:
    for part in ("notebooks", "report", "weights"):
        (folder / part).mkdir()
    values = {"{name}": author["name"], "{python}": shlex.quote(sys.executable)}
    for file in sorted(TEMPLATE.iterdir()):
        text = file.read_text(encoding="utf-8")
        for key, value in values.items():
            text = text.replace(key, value)
        target = folder / file.name.replace("gitignore", ".gitignore")
        _write(target, text)
        target.chmod(0o755 if file.suffix == ".sh" else 0o644)
    notebooks = ROOT / "notebooks"
    for file in (*sorted(notebooks.glob("[0-9][0-9]_*.ipynb")), notebooks / "README.md"):
        shutil.copyfile(file, folder / "notebooks" / file.name)
    for name in STATED:
        shutil.copyfile(ROOT / "report" / name, folder / "report" / name)
    lines = [f"{key} = {_toml(value)}\n" for key, value in author.items() if value]
    _write(folder / "report" / "author.toml", "".join(lines))
    _write(folder / "requirements.txt", "-e ./library\n")
    shutil.copyfile(ROOT / "data" / "pretrained" / WEIGHTS.name, folder / WEIGHTS)
    for part in LIBRARY:
        source, target = ROOT / part, folder / "library" / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        else:
            shutil.copyfile(source, target)


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8", newline="\n")  # bash reads no other line ends


def train_handin(pictures: Path, table: Path, handin: Path) -> Path:
    """Train handin.toml's recipe `best` on a folder of pictures and its table `id,label`.

    The weights it leaves, where hw3_test.sh looks for them. A killed training goes on.

    Raises
    ------
    UserError
        for whatever is wrong with the pictures, the table or handin.toml.
    """
    from hw3lib.files import write_atomic
    from hw3lib.training.runs import WEIGHTS as RUN_WEIGHTS
    from hw3lib.training.study import open_study

    if not pictures.is_dir():
        raise UserError(f"{pictures}: no such folder of pictures")
    if not table.is_file():
        raise UserError(f"{table}: no such table of labels")
    os.environ.setdefault("HW3_RUNS", str(handin / "runs"))
    with tempfile.TemporaryDirectory(prefix="hw3-") as staged:
        # one place for both, as the reader of this layout wants it
        (Path(staged) / "train").symlink_to(pictures.resolve(), target_is_directory=True)
        shutil.copyfile(table, Path(staged) / "train.csv")
        try:
            run = open_study(str(handin / "handin.toml"), staged).run("best")
        except UserError as error:  # by the names the caller knows
            told = str(error).replace(str(Path(staged) / "train.csv"), str(table))
            raise UserError(told.replace(staged, str(pictures.parent))) from None
    write_atomic(handin / WEIGHTS, (run.path / RUN_WEIGHTS).read_bytes())
    return handin / WEIGHTS


def predict_handin(pictures: Path, out: Path, handin: Path) -> int:
    """Predict every picture of a folder, ten views each, into the table `out`; how many.

    The folder of `out` is made where it is missing. It needs torch, numpy, Pillow and safetensors
    alone: the grader's machine may have no more.

    Raises
    ------
    UserError
        for whatever is wrong with the pictures, the weights or the place of `out`.
    """
    if not pictures.exists():
        raise UserError(f"{pictures}: no such folder of pictures")
    if out.is_dir():
        raise UserError(f"{out}: a folder; give the name of a file, such as prediction.csv")
    from hw3lib.data import load
    from hw3lib.models.network import load_network, predict, write_predictions

    network, faces = load_network(str(handin / WEIGHTS)), load(str(pictures))
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    for line in faces.problems:
        print(f"hw3: problem: {line}", file=sys.stderr)
    ids, probabilities = predict(network, faces, views="ten")
    write_predictions(out, ids, probabilities.argmax(axis=1))
    return len(ids)


def _toml(text: str) -> str:
    """A TOML string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'


def _main(arguments: list[str]) -> int:
    """What the two scripts call: `train FOLDER TABLE HANDIN`, `test FOLDER TABLE HANDIN`."""
    task, pictures, table, handin = arguments[0], *map(Path, arguments[1:])
    try:
        if task == "train":
            print(f"trained: {train_handin(pictures, table, handin)}")
        else:
            print(f"{predict_handin(pictures, table, handin)} predictions written to {table}")
    except (UserError, OSError) as error:
        print(f"hw3: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f"hw3: {error}; install what is missing, once: make setup", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("hw3: stopped; the same command goes on where it was", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
