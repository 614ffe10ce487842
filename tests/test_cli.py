"""The command line: one line for every mistake."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from hw3lib import cli
from hw3lib.models.network import logits


@pytest.fixture
def hw3(monkeypatch, capsys):
    """Gives (exit status, stdout, stderr) of a command line, in this process."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hw3", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return caught.value.code, *capsys.readouterr()

    return run


def test_evaluate_and_predict(hw3, run, faces, tmp_path):
    data, out = tmp_path / "f.npz", tmp_path / "p.csv"
    np.savez(data, images=faces.images, labels=faces.labels, ids=faces.ids)
    status, told, _ = hw3("evaluate", str(run.path), "--data", str(data), "--json")
    right = logits(run.network(), faces.images).argmax(1) == faces.labels
    assert status == 0
    assert json.loads(told)["accuracy"] == pytest.approx(right.mean())
    assert json.loads(told)["n"] == len(faces)
    assert hw3("predict", str(run.path), "--data", str(data), "--out", str(out))[0] == 0
    assert out.read_text().startswith("id,label\n00000,")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("evaluate", "nothing", "--data", "synthetic:60"), "published network"),
        (("predict", "best", "--data", "missing"), "missing"),
        (("train", "--profile", "nothing"), "choose one of"),
        (("evaluate",), "WEIGHTS"),
        (("report", "--jobs", "x"), "--jobs"),
        (("nothing",), "nothing"),
        ((), "hw3 --help"),
    ],
)
def test_a_mistake_is_one_line(hw3, arguments, words):
    status, out, err = hw3(*arguments)
    assert (status, out) == (2, "") and err.startswith("hw3: ") and err.count("\n") == 1
    assert words.lower() in err.lower()


def test_it_starts_without_torch():
    code = "import sys, hw3lib.cli; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
