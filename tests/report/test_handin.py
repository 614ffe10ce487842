"""`hw3 new`: a hand-in that works from the first minute, wherever it is taken."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from hw3lib import UserError
from hw3lib.data.faces import CLASSES
from hw3lib.data.synthetic import synthetic_faces
from hw3lib.files import ROOT
from hw3lib.report.check import faults_of
from hw3lib.report.cover import read_author, read_questions
from hw3lib.report.handin import new_handin, train_handin
from hw3lib.text import same

NO_NETWORK = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def handin(tmp_path_factory):
    folder = tmp_path_factory.mktemp("student") / "我的 hw3"
    new_handin(folder, name='王 "小明"')
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of 70 JPEGs and the table of their labels, as the course hands them out."""
    root = tmp_path_factory.mktemp("course")
    faces = synthetic_faces(70, seed=3)
    (root / "train").mkdir()
    rows = ["id,label"]
    for name, image, label in zip(faces.ids, faces.images, faces.labels, strict=True):
        Image.fromarray(image).save(root / "train" / f"{name}.jpg", quality=95)
        rows.append(f"{name},{label}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    return root


def script(handin, name: str, *arguments, **more) -> subprocess.CompletedProcess:
    mine = ("HW3_RUNS", "HW3_CACHE", "PYTHONPATH")
    env = {k: v for k, v in os.environ.items() if k not in mine} | NO_NETWORK
    env |= {"HW3_RUNS": str(handin / "runs"), **more}
    command = ["bash", str(handin / name), *map(str, arguments)]
    return subprocess.run(command, cwd="/", env=env, capture_output=True, text=True)


def test_it_holds_what_a_student_needs(handin):
    given = read_author(ROOT / "report" / "author.toml")
    assert read_author(handin / "report" / "author.toml") == {**given, "name": same('王 "小明"')}
    assert len(read_questions(handin / "report" / "questions.toml")) == 13
    notebooks = sorted((handin / "notebooks").glob("*.ipynb"))
    assert len(notebooks) == 9 and not [f for n in notebooks for f in faults_of(n, {}, stored=True)]
    assert (handin / "requirements.txt").read_text().startswith("-e ")
    assert not [*handin.rglob("*.py")]  # the library is elsewhere
    for file in handin.glob("*.sh"):
        assert os.access(file, os.X_OK) and "{" + "library}" not in file.read_text()
    assert '王 "小明"' in (handin / "README.md").read_text(encoding="utf-8")
    assert [p.name for p in handin.parent.iterdir()] == [handin.name]  # nothing half-made beside


def test_without_the_library_it_says_what_to_do(handin, tmp_path):
    taken = shutil.copytree(handin, tmp_path / "a copy")
    starter = taken / "hw3_python.sh"
    starter.write_text(starter.read_text().replace(sys.executable, "/gone/python"))
    for name in ("bash", "dirname", "mkdir"):
        (tmp_path / name).symlink_to(shutil.which(name))
    done = script(taken, "hw3_test.sh", taken, tmp_path / "p", PATH=str(tmp_path))
    assert done.returncode == 2 and done.stderr.endswith("install it, once: make setup\n")
    assert len(done.stderr.splitlines()) == 1 and not (tmp_path / "p").exists()


@pytest.mark.slow
def test_a_students_path(handin, pictures, tmp_path):
    """The clone beside it is used, else what is installed; it predicts, trains, predicts again."""
    recipe, weights = handin / "handin.toml", handin / "weights" / "best.safetensors"
    recipe.write_text(recipe.read_text().replace("epochs = 12", "epochs = 1\nwidth = 0.25"))
    taken = shutil.copytree(handin, tmp_path / "a copy")  # where no clone lies beside
    for folder, more in ((handin, {}), (taken, {"PYTHONPATH": str(ROOT)})):
        asked = "import hw3lib; print(hw3lib.__file__)"
        done = script(folder, "hw3_python.sh", "-c", asked, **more)
        assert done.stdout.strip() == str(ROOT / "hw3lib" / "__init__.py"), done.stderr
    before = weights.read_bytes()
    for train in (False, True):
        if train:
            done = script(handin, "hw3_train.sh", pictures / "train", pictures / "labels.csv")
            assert done.returncode == 0, done.stderr
        done = script(handin, "hw3_test.sh", pictures / "train", tmp_path / "p.csv")
        assert done.returncode == 0, done.stderr
        with (tmp_path / "p.csv").open(newline="") as file:
            labels = {row["id"]: int(row["label"]) for row in csv.DictReader(file)}
        assert sorted(labels) == sorted(p.stem for p in (pictures / "train").iterdir())
        assert set(labels.values()) <= set(range(len(CLASSES)))
    assert weights.read_bytes() != before


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("hw3_test.sh", ["only"], "usage: bash hw3_test.sh <test folder> <prediction.csv>"),
        pytest.param("hw3_test.sh", ["/tmp", "/"], "hw3: /", marks=pytest.mark.slow),
        pytest.param("hw3_train.sh", ["/nowhere", "/nowhere.csv"],
                     "hw3: /nowhere: no such folder", marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_a_fault_is_one_line(handin, name, arguments, told):
    done = script(handin, name, *arguments)
    assert done.returncode == 2 and done.stderr.startswith(told)
    assert len(done.stderr.strip().splitlines()) == 1


def test_faults_are_told_by_the_names_that_were_given(handin, pictures, tmp_path):
    table = tmp_path / "my labels.csv"
    table.write_text((pictures / "labels.csv").read_text() + "99999,1\n")
    with pytest.raises(UserError, match=r"^\S*/my labels.csv, row 70 .*'99999' has no image in"):
        train_handin(pictures / "train", table, handin)
    with pytest.raises(UserError, match="exists already"):
        new_handin(handin, name="x")
    with pytest.raises(UserError, match="give your name"):
        new_handin(tmp_path / "new", name=" ")
