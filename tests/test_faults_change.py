"""What changes under hw3's feet: the clock goes back, the training code becomes another."""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import replace
from pathlib import Path

import layouts
import numpy as np
import pytest
import torch
from conftest import make_faces
from faulty import RECIPE, folds, hw3, killed, pictures, profile

import hw3lib.data
from hw3lib import UserError
from hw3lib.data import cache, load
from hw3lib.training import recipe, runs
from hw3lib.training.loop import train
from hw3lib.training.recipe import TRAINING_VERSION
from hw3lib.training.runs import get_run, open_run, run_path

pytestmark = pytest.mark.faults
SHORT = replace(RECIPE, epochs=2)
YEAR = 365 * 86_400


def clock_back() -> None:
    """Whenever this process asks what time it is, it is a year earlier."""
    real, asked = time.time, itertools.count(1)
    time.time = lambda: real() - YEAR * next(asked)


def slow_clock(root: str) -> None:
    clock_back()
    get_run(SHORT, folds(), root=Path(root), progress=False)


@pytest.mark.slow
def test_training_while_the_clock_goes_back(promise, tmp_path):
    promise("the clock goes back while training", "killed or not, the training ends in the same "
            "bits")  # fmt: skip
    kills = sum(killed(slow_clock, str(tmp_path), torn=torn) for torn in ("after the rename",) * 2)
    run = get_run(SHORT, folds(), root=tmp_path, progress=False)
    whole = get_run(SHORT, folds(), root=tmp_path / "whole", progress=False)
    assert np.array_equal(run.logits("test"), whole.logits("test")) and run.record["resumed"]
    arguments = "train", "--profile", str(profile(tmp_path)), "--data", str(pictures(tmp_path))
    command = hw3(tmp_path / "cli", *arguments, before=clock_back)
    assert command.ended() == 0, command.err
    promise.seen(f"{kills} kills under such a clock, same bits", kills + 1)


def test_caching_while_the_clock_goes_back(promise, tmp_path, monkeypatch):
    promise("files and caches from the future or the past", "a changed file is noticed, an "
            "unchanged one is not read again, an abandoned part goes")  # fmt: skip
    monkeypatch.setenv("HW3_CACHE", str(tmp_path / "cache"))
    reads = []
    real = hw3lib.data.read_faces
    monkeypatch.setattr(hw3lib.data, "read_faces", lambda *args: reads.append(1) or real(*args))
    file, sets = tmp_path / "faces.npz", [make_faces(60, seed=seed, test=10) for seed in range(2)]
    moments = [2 * 10**9, 10**9, 0, 10**9, 3 * 10**9]
    for number, moment in enumerate(moments):
        faces = sets[number % 2]
        layouts.write_npz(file, faces)
        os.utime(file, (moment, moment))
        for _ in range(3):
            assert np.array_equal(load(file).images, faces.images)
        assert len(reads) == number + 1
    kept = cache.cache_file(file)
    for moment in (0, 4 * 10**9):
        left = kept.with_name(f".{kept.name}.77.part")  # of another machine
        left.write_bytes(b"")
        os.utime(left, (moment, moment))
        cache.save(file, sets[0], "another", "another")
        assert not left.exists()
    promise.seen(f"{len(moments)} changes noticed, nothing read twice", len(moments) + 2)


def test_another_version_of_the_training_code(promise, tmp_path, monkeypatch):
    promise("another version of the training code", "Runs and checkpoints of the old one are kept "
            "and never taken for new ones, even under the new name")  # fmt: skip
    old = get_run(SHORT, folds(), root=tmp_path, progress=False)
    for module in (recipe, runs):
        monkeypatch.setattr(module, "TRAINING_VERSION", TRAINING_VERSION + 1)
    named = run_path(SHORT, tmp_path)
    assert named != old.path and not named.exists()
    old.path.rename(named)
    with pytest.raises(UserError, match="another version of the code"):
        get_run(SHORT, folds(), root=tmp_path, progress=False)
    named.rename(old.path)
    checkpoint = named.with_name(f".{named.name}.checkpoint")
    write_old_checkpoint(checkpoint, monkeypatch)
    with pytest.raises(UserError, match="made by another recipe"):
        get_run(SHORT, folds(), root=tmp_path, progress=False)
    checkpoint.unlink()
    new = get_run(SHORT, folds(), root=tmp_path, progress=False)
    assert new.path == named and new.record["training_version"] == TRAINING_VERSION + 1
    assert open_run(old.path).record == old.record
    promise.seen("2 refused, the new one trained beside the old", 3)


def write_old_checkpoint(path: Path, monkeypatch) -> None:
    from hw3lib.training.checkpoint import write_checkpoint

    cpu = torch.device("cpu")
    with monkeypatch.context() as before:
        before.setattr(recipe, "TRAINING_VERSION", TRAINING_VERSION)
        write_checkpoint(path, train(SHORT, folds(), device=cpu)[1], SHORT, cpu)
