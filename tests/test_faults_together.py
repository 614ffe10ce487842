"""Several processes ask for the same thing at once."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import layouts
import numpy as np
import pytest
from conftest import make_faces
from faulty import RECIPE, contents, ended, folds, start

from hw3lib.data import load
from hw3lib.training.runs import get_run, open_run, run_path

pytestmark = pytest.mark.faults
SHORT = replace(RECIPE, epochs=3)


def ask(root: str, told: str) -> None:
    sys.stderr = open(told, "w", encoding="utf-8")  # noqa: SIM115
    run = get_run(SHORT, folds(), root=Path(root))
    np.save(f"{told}.npy", run.logits("test"))


def test_the_same_run(promise, tmp_path):
    promise("three processes, one Run", "one trains, the others say that they wait and get the "
            "same Run")  # fmt: skip
    root, tells = tmp_path / "runs", [tmp_path / name for name in "abc"]
    for process in [start(ask, str(root), str(told)) for told in tells]:
        assert ended(process) == 0
    texts = [told.read_text() for told in tells]
    assert sorted("last epoch" in text for text in texts) == [False, False, True]
    assert sum("waiting for it" in text for text in texts) == 2
    got = [np.load(f"{told}.npy") for told in tells]
    assert all(np.array_equal(one, got[0]) for one in got)
    assert [p.name for p in root.iterdir() if p.suffix != ".lock"] == [run_path(SHORT).name]
    promise.seen("one trained, two waited, the same logits", 3)


def read(path: str, folder: str, out: str) -> None:
    os.environ["HW3_CACHE"] = folder
    for _ in range(5):
        np.save(out, np.array(load(path).images))


def test_the_same_cache(promise, tmp_path):
    promise("four processes, one cache", "each reads the right pictures; one whole cache is left")
    faces = make_faces(800)
    file, folder = layouts.write_npz(tmp_path / "faces.npz", faces), tmp_path / "cache"
    outs = [tmp_path / f"{i}.npy" for i in range(4)]
    for process in [start(read, str(file), str(folder), str(out)) for out in outs]:
        assert ended(process) == 0
    assert all(np.array_equal(np.load(out), faces.images) for out in outs)
    assert len(contents(folder)) == 1
    promise.seen("20 loads right, one cache", 20)


def test_a_run_that_another_process_scores_on_its_own_test_set(promise, tmp_path):
    promise("one Run, two test sets", "nobody is given the logits of the other's pictures")
    whole = folds()
    first = get_run(SHORT, whole, root=tmp_path, progress=False)
    fewer = replace(whole, test=whole.test[:7])
    get_run(SHORT, fewer, root=tmp_path, progress=False)
    assert len(first.logits("test")) == len(whole.test)  # read when it was opened
    assert len(open_run(first.path).logits("test")) == 7
    promise.seen("each keeps its own", 2)
