"""The corpus of bad inputs: each is refused in one line, soon, in little memory, tracelessly."""

from __future__ import annotations

import importlib
import pickle
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import layouts
import pytest
from hostile import CASES, Case, Place
from hostile.case import Trap
from hostile.watch import RESIDENT, SECONDS, measured, tree

from hw3lib import UserError, cli
from hw3lib.files import ROOT
from hw3lib.models.network import load_network

pytestmark = pytest.mark.faults
BEST = str(ROOT / "data" / "pretrained" / "best.safetensors")
# control characters, line ends, marks that turn the direction of writing, halves of letters
STEERS = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff]")
REFUSED: dict[Case, int] = {}  # -> bytes at the peak


@pytest.fixture
def place(tmp_path, monkeypatch) -> Place:
    """Everything that hw3 could write to lies below one folder."""
    made = Place(tmp_path / "x")
    for name, variable in (("cache", "HW3_CACHE"), ("runs", "HW3_RUNS"), ("tmp", "TMPDIR"),
                           ("home", "HOME"), ("work", "PWD"), ("outside", "OUTSIDE")):  # fmt: skip
        (made.root / name).mkdir(parents=True)
        monkeypatch.setenv(variable, str(made.root / name))
    monkeypatch.setattr(tempfile, "tempdir", str(made.root / "tmp"))
    monkeypatch.chdir(made.root / "work")
    yield made
    monkeypatch.undo()
    subprocess.run(["rm", "-rf", str(made.root)], check=True)  # some are too deep for shutil


@pytest.fixture(scope="module", autouse=True)
def _libraries_are_there():
    """So that their size is no input's."""
    load_network(BEST)
    importlib.import_module("pandas")
    importlib.import_module("hw3lib.report.cover")


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> str:
    """Good pictures, for readers of something else."""
    faces = layouts.small_faces(n=70)
    return str(layouts.write_npz(tmp_path_factory.mktemp("sound") / "faces.npz", faces))


def hw3(*arguments: str) -> str:
    """The command line in this process; what it refuses with. It says nothing else."""
    sys.argv = ["hw3", *arguments]
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return caught.value.code


def refusal(case: Case, path: Path, sound: str, capsys) -> str:
    """The line by which the path is refused."""
    if case.reader == "author":
        from hw3lib.report.cover import read_author

        with pytest.raises(UserError) as caught:
            read_author(path)
        return str(caught.value)
    if case.reader == "Run":
        with pytest.raises(UserError) as caught:
            read_run(path)
        return str(caught.value)
    arguments = {
        "weights": ["evaluate", str(path), "--data", sound],
        "archive": ["runs", "unpack", str(path)],
        "profile": ["runs", "list", "--profile", str(path), "--data", sound],
    }[case.reader]
    assert hw3(*arguments) == 2
    out, line = capsys.readouterr()
    assert out == ""
    assert line.startswith("hw3: ") and line.endswith("\n")
    return line[5:-1]


def read_run(path: Path) -> None:
    """All that anyone reads of a Run."""
    from hw3lib.training.runs import open_run

    run = open_run(path)
    assert len(run.history) and len(run.logits("test")) and len(run.labels("validation"))
    run.network()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_refused(case, place, sound, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", sys.argv)
    path = case.make(place)
    before = tree(place.root)
    with measured() as cost:
        line = refusal(case, path, sound, capsys)
    assert not STEERS.search(line), "more than one line, or characters that steer a terminal"
    assert 20 < len(line) <= 1000, line
    for word in case.words:
        assert word in line, line
    assert cost.seconds < SECONDS
    assert cost.bytes < RESIDENT, f"{cost.bytes / 2**20:.0f} MiB"
    assert tree(place.root) == before
    REFUSED[case] = cost.bytes


def test_the_canary_sings(place):
    """The pickles of the corpus do run what they hold, where anyone lets them."""
    pickle.loads(pickle.dumps(Trap(place.canary)))
    assert place.canary.exists()


def test_the_corpus(record_property):
    """How many there are, of how many kinds; the last test, it tells what was refused."""
    kinds = {reader: set() for reader in dict.fromkeys(case.reader for case in CASES)}
    for case in CASES:
        kinds[case.reader].add(case.kind)
    assert len(CASES) >= 60
    assert all(len(found) >= 12 for found in kinds.values()), {k: len(v) for k, v in kinds.items()}
    many = Counter(case.kind for case in CASES)
    assert max(many.values()) <= 25, many.most_common(9)
    if len(REFUSED) == len(CASES):
        record_property(
            "summary",
            f"hostile corpus: {len(CASES)} inputs, {len(many)} kinds of fault, {len(kinds)} "
            f"readers, all refused; at most {max(REFUSED.values()) / 2**20:.0f} MiB each",
        )
