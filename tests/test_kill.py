"""A training that is killed, again and again, ends in the bits of one that was left alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import make_faces

from hw3lib.data.folds import split_folds
from hw3lib.recipe import Recipe
from hw3lib.runs import get_run, open_run, run_path

RECIPE = Recipe(
    model="slim_resnet", width=0.25, epochs=32, batch_size=16, optimizer="muon", lr=0.02,
    flip="alternating", shift=2, rotate=10, scale=0.1, erase=0.3, mixup=0.2, ema=0.9,
)  # fmt: skip

IMPORTS = ["hw3lib.training", "hw3lib.runs", "sklearn.model_selection", "safetensors.torch",
           "torch._dynamo", "test_kill"]  # fmt: skip


def train(root: str, torn: str) -> None:
    """In a process of its own; `torn` says where inside a checkpoint's writing it kills itself."""
    from hw3lib import files

    def die(*_, **__) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    class HalfWritten:
        def __init__(self, *args):
            self.file = open(*args)  # noqa: SIM115

        def __enter__(self):
            return self

        def write(self, data: bytes) -> None:
            self.file.write(data[: len(data) // 2])
            self.file.flush()
            die()

        def __exit__(self, *_) -> None:
            self.file.close()

    if torn == "half written":
        files.open = HalfWritten
    elif torn == "before the rename":
        files.os.replace = die
    elif torn == "after the rename":
        files.sync_folder = die
    get_run(RECIPE, split_folds(make_faces(150, test=30)), root=Path(root), progress=False)


@pytest.fixture
def processes():
    """Processes that start fast: torch is imported once, in the server they are forked from."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTS)
    return context


def test_killed_ten_times_it_ends_in_the_same_bits(tmp_path, processes):
    rng, root = np.random.default_rng(), tmp_path / "killed"
    checkpoint = root / f".{run_path(RECIPE, root).name}.checkpoint"
    torn = ["half written", "before the rename", "after the rename", "half written"]
    for kill in rng.permutation(torn + [""] * 6):
        seen = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        process = processes.Process(target=train, args=(str(root), str(kill)))
        process.start()
        if not kill:  # at a random moment of the epoch after the next checkpoint
            while process.is_alive() and (
                not checkpoint.exists() or checkpoint.stat().st_mtime_ns == seen
            ):
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.1))  # about an epoch; ten of these stay far from the end
            process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, f"ended with {process.exitcode}, not killed"
    for where in (root, tmp_path / "whole"):
        process = processes.Process(target=train, args=(str(where), ""))
        process.start()
        process.join()
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
