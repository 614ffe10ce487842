"""The command line: one line for every mistake."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from hw3lib.models.network import logits


def hw3(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "hw3lib.cli", *arguments], capture_output=True, text=True
    )


def test_command_line(run, faces, tmp_path):
    np.savez(tmp_path / "f.npz", images=faces.images, labels=faces.labels, ids=faces.ids)
    done = hw3("evaluate", str(run.path), "--data", str(tmp_path / "f.npz"), "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    right = logits(run.network(), faces.images).argmax(1) == faces.labels
    assert facts["accuracy"] == pytest.approx(right.mean()) and facts["n"] == 240
    out = tmp_path / "p.csv"
    done = hw3("predict", str(run.path), "--data", str(tmp_path / "f.npz"), "--out", str(out))
    assert done.returncode == 0 and out.read_text().startswith("id,label\n00000,")
    for arguments in (
        ("evaluate", "nothing", "--data", str(tmp_path / "f.npz")),
        ("predict", str(run.path), "--data", str(tmp_path / "missing"), "--out", str(out)),
        ("train", "--profile", "nothing"),
        ("evaluate",),
        ("report", "--jobs", "x"),
        ("nothing",),
        (),
    ):
        done = hw3(*arguments)
        assert done.returncode == 2 and done.stdout == ""
        assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("hw3: ")
