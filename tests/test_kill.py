"""A training that is killed, again and again, ends in the bits of one that was left alone."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from pathlib import Path

import faulty
import numpy as np
import pytest
from faulty import TORN, ended, folds, start, tear

from hw3lib.training.runs import get_run, open_run, run_path

pytestmark = pytest.mark.faults
RECIPE = replace(faulty.RECIPE, epochs=160)


def train(root: str, torn: str) -> None:
    """In a process of its own; `torn` says where inside a checkpoint's writing it kills itself."""
    tear(torn)
    get_run(RECIPE, folds(), root=Path(root), progress=False)


def test_killed_ten_times_it_ends_in_the_same_bits(promise, tmp_path):
    promise("SIGKILL while training", "goes on at the last checkpoint, says so, and ends in the "
            "bits of a training left alone")  # fmt: skip
    rng, root = np.random.default_rng(), tmp_path / "killed"
    checkpoint = root / f".{run_path(RECIPE, root).name}.checkpoint"
    for kill in rng.permutation([*TORN, TORN[0]] + [""] * 6):
        seen = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        process = start(train, str(root), str(kill))
        if not kill:  # at a random moment of the epoch after the next checkpoint
            while process.is_alive() and (
                not checkpoint.exists() or checkpoint.stat().st_mtime_ns == seen
            ):
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.1))  # about an epoch; ten of these stay far from the end
            process.kill()
        assert ended(process) == -signal.SIGKILL
    for where in (root, tmp_path / "whole"):
        assert ended(start(train, str(where), "")) == 0
    killed, whole = (open_run(run_path(RECIPE, r)) for r in (root, tmp_path / "whole"))
    a, b = (run.network().model.state_dict() for run in (killed, whole))
    assert all((a[name] == b[name]).all() for name in b)
    columns = [c for c in whole.history if c != "seconds"]
    assert killed.history[columns].equals(whole.history[columns])
    for fold in ("validation", "test"):
        assert np.array_equal(killed.logits(fold), whole.logits(fold))
    assert killed.record["resumed"] and not whole.record["resumed"]
    assert sorted(p.name for p in root.iterdir()) == sorted(
        p.name for p in (tmp_path / "whole").iterdir()
    )
    promise.seen("10 kills, 4 of them inside a checkpoint's writing; the same bits", 10)
