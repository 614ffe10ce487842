"""That nothing anywhere runs what it reads; what is written where ids are hostile."""

from __future__ import annotations

import ast
import csv
import hashlib
import io
from dataclasses import replace
from pathlib import Path

import layouts
import numpy as np
import pytest
from hostile.case import STEERS, Trap
from test_hostile import BEST

from hw3lib import UserError, printable
from hw3lib.files import ROOT
from hw3lib.models.network import load_network, predict, write_predictions
from hw3lib.training.checkpoint import read_checkpoint
from hw3lib.training.recipe import Recipe

pytestmark = pytest.mark.faults
FACES = layouts.small_faces(n=14)


@pytest.mark.parametrize("head", [False, True])
def test_a_checkpoint_runs_nothing(head, tmp_path):
    """The one file that torch reads as a pickle, and as weights only; its hash is no secret."""
    import torch

    out = io.BytesIO()
    torch.save({"hash": "x", "device": Trap(tmp_path / "canary")}, out)
    data = out.getvalue()
    seal = b"hw3state" + hashlib.sha256(data).digest() if head else b""
    (tmp_path / "c").write_bytes(seal + data)
    with pytest.raises(UserError, match=r"checkpoint not usable.*delete it"):
        read_checkpoint(tmp_path / "c", Recipe(model="dense"), torch.device("cpu"))
    assert not (tmp_path / "canary").exists()


def test_the_library_reads_no_pickle_and_evaluates_no_text():
    """Looked up in its syntax: what is called, and with which arguments."""
    for file in sorted((ROOT / "hw3lib").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names = {alias.name.split(".")[0] for alias in node.names}
                assert not names & {"pickle", "marshal", "shelve", "dill"}, f"{file.name}: {names}"
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            where = f"{file.name}, line {node.lineno}: {called}"
            assert called not in ("eval", "exec", "compile", "os.system", "yaml.load"), where
            assert given.get("shell", "False") == "False", where
            assert called != "torch.load" or given.get("weights_only") == "True", where
            assert called != "np.load" or given.get("allow_pickle") == "False", where


# what is written


def predicted(ids: list[str], out: Path) -> tuple[int, list[list[str]]]:
    marked = write_predictions(out, np.array(ids), np.zeros(len(ids), int))
    with out.open(newline="") as lines:
        return marked, list(csv.reader(lines))[1:]


def test_an_id_is_no_formula_in_a_table(tmp_path):
    formulas = ["=1+1", '=HYPERLINK("http://x","y")', "@SUM(A1)", "+cmd|' /C calc'!A0", "-x", "＝1"]
    plain = ["00012", "-5", "+7.5", "a=b", "小明", "<b>", 'say "x", y']
    marked, rows = predicted([*formulas, *plain], tmp_path / "p.csv")
    assert marked == len(formulas)
    assert [name for name, _ in rows] == [*(f"'{f}" for f in formulas), *plain]


def test_numbers_of_any_length_are_sorted_as_numbers():
    ids = ["10", "9" * 30, "2", "002", "1" * 5, "0"]
    faces = replace(FACES.subset(np.arange(6)), ids=np.array(ids))
    found, _ = predict(load_network(BEST), faces)
    assert found.tolist() == ["0", "2", "002", "10", "11111", "9" * 30]


def test_messages_are_one_line_of_bounded_length():
    error = UserError("x\n\r\x1b[2J\u202e\u2028" + "名" * 5000 + "; mend it")
    assert not STEERS.search(str(error)) and len(str(error)) <= 1000
    assert str(error).endswith("; mend it") and str(error).startswith(r"x\n\r\x1b[2J\u202e\u2028名")
    assert printable("生氣\u3000é 😀") == "生氣\u3000é 😀"  # letters and blanks of any script stay
