"""SIGKILL at random moments, and several processes at once: what is there afterwards is whole."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from functools import cache as cached
from pathlib import Path

import faulty
import numpy as np
import pytest
from conftest import same_weights
from faulty import RNG, TORN, contents, ended, folds, killed, moments, start, tear

from hw3lib.files import sweep, write_atomic
from hw3lib.training.runs import checkpoint_of, get_run, open_run, run_path

pytestmark = [pytest.mark.faults, pytest.mark.slow]
LONG, SHORT = replace(faulty.RECIPE, epochs=64), replace(faulty.RECIPE, epochs=1)


def train(root: str, told: str = os.devnull, torn: str = "", recipe=LONG) -> None:
    """In a process of its own; `torn` says where inside a checkpoint's writing it kills itself."""
    sys.stderr = open(told, "a", encoding="utf-8")  # noqa: SIM115
    tear(torn)
    get_run(recipe, folds(), root=Path(root), name="best")


def test_killed_again_and_again_it_ends_in_the_same_bits(observed, tmp_path):
    """SIGKILL while training: goes on at the last checkpoint, says so, and ends in the bits of a
    training left alone."""
    root, whole = tmp_path / "killed", tmp_path / "whole"
    checkpoint, told = checkpoint_of(run_path(LONG, root)), str(tmp_path / "told")
    kills = RNG.permutation([*TORN, TORN[0], *[""] * 6])
    for torn in kills:
        seen = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        process = start(train, str(root), told, str(torn))
        if not torn:  # at a random moment of the epoch after the next checkpoint
            while process.is_alive() and (
                not checkpoint.exists() or checkpoint.stat().st_mtime_ns == seen
            ):
                time.sleep(0.01)
            time.sleep(RNG.uniform(0, 0.1))  # about an epoch; six of these stay far from the end
            process.kill()
        assert ended(process) == -signal.SIGKILL
    for place in (root, whole):
        assert ended(start(train, str(place), told)) == 0
    assert "best: goes on after epoch " in Path(told).read_text()
    broken, unbroken = (open_run(run_path(LONG, place)) for place in (root, whole))
    assert same_weights(broken.network(), unbroken.network())
    columns = [c for c in unbroken.history if c != "seconds"]
    assert broken.history[columns].equals(unbroken.history[columns])
    for split in ("validation", "test"):
        assert np.array_equal(broken.logits(split), unbroken.logits(split))
    assert broken.record["resumed"] and not unbroken.record["resumed"]
    assert {p.name for p in root.iterdir()} == {p.name for p in whole.iterdir()}
    observed("4 of them inside a checkpoint's writing; the same bits", len(kills))


def test_the_one_who_trains_is_killed(observed, tmp_path):
    """SIGKILL of the process that others wait for: another takes over at its last checkpoint, and
    says so."""
    trains, waits = (start(train, str(tmp_path), str(tmp_path / name)) for name in ("a", "b"))
    while not checkpoint_of(run_path(LONG, tmp_path)).exists():
        time.sleep(0.01)
    if "waiting" in (tmp_path / "a").read_text():
        trains, waits = waits, trains
    trains.kill()
    assert ended(trains) == -signal.SIGKILL and ended(waits) == 0
    told = (tmp_path / "a").read_text() + (tmp_path / "b").read_text()
    assert "best: another process is making this Run; waiting for it\n" in told
    assert "best: goes on after epoch " in told
    assert open_run(run_path(LONG, tmp_path)).record["resumed"]
    observed("the other said that it waits and went on", 1)


def ask(root: str, told: str) -> None:
    sys.stderr = open(told, "w", encoding="utf-8")  # noqa: SIM115
    run = get_run(replace(SHORT, epochs=3), folds(), root=Path(root))
    np.save(f"{told}.npy", run.logits("test"))


def test_the_same_run_asked_for_three_times_at_once(observed, tmp_path):
    """Three processes, one Run: one trains, the others say that they wait and get the same Run."""
    tells = [tmp_path / name for name in "abc"]
    for process in [start(ask, str(tmp_path / "runs"), str(told)) for told in tells]:
        assert ended(process) == 0
    texts = [told.read_text() for told in tells]
    assert sorted("last epoch" in text for text in texts) == [False, False, True]
    assert sum("waiting for it" in text for text in texts) == 2
    got = [np.load(f"{told}.npy") for told in tells]
    assert all(np.array_equal(one, got[0]) for one in got)
    observed("one trained, two waited, the same logits", 3)


def with_every_epoch(root: str) -> None:
    get_run(SHORT, folds(), root=Path(root), every_epoch=True)


def test_replacing_a_run(observed, tmp_path):
    """SIGKILL while a Run is replaced by one with the logits of every epoch: the old one, the new
    one, or a checkpoint from which it is made again: the same bits."""
    kills, moment = 0, moments(8, with_every_epoch, str(tmp_path / "timed"))
    for number, how in enumerate([{"torn": "between two renames"}, *moment]):
        root = tmp_path / str(number)
        first = get_run(SHORT, folds(), root=root)
        network = first.network()
        kills += killed(with_every_epoch, str(root), **how)
        found = get_run(SHORT, folds(), root=root)
        assert same_weights(found.network(), network)
        assert [p.name for p in root.glob("[!.]*")] == [first.path.name]
    observed(f"{kills} kills, the same bits", kills)


def write_file(path: str, size: int) -> None:
    write_atomic(Path(path), os.urandom(1) * size)


def test_predictions_and_other_files(observed, tmp_path):
    """SIGKILL while a file is written: the old file or the new one, never half of either; what the
    killed process left goes with the next writing."""
    path, size, kills = tmp_path / "p[1].csv", 2**23, 0
    for how in moments(12, write_file, str(path), size):
        kills += killed(write_file, str(path), size, **how)
        data = path.read_bytes()
        assert len(data) == size and len(set(data)) == 1
    write_atomic(path, b"end")
    sweep(tmp_path, age=0)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    observed(f"{kills} kills, the file always whole", kills)


@cached
def document():
    from report.fakes import document

    return document()


def export(out: str, inputs: str) -> None:
    from hw3lib.report.build import write_files

    write_files(document, {}, inputs, Path(out), "both", print)


def test_exporting(observed, tmp_path, capfd):
    """SIGKILL while exporting: page, PDFs and results are whole files; the next report makes what
    is missing, to the same bytes."""
    reference, out, kills = tmp_path / "reference", tmp_path / "out", 0
    moment = moments(8, export, str(reference), "0")
    whole = contents(reference)
    stamp = {".stamp": whole.pop(".stamp")}
    for number, how in enumerate(moment):
        kills += killed(export, str(out), str(number), **how)
        for name, data in contents(out).items():
            assert name.endswith(".part") or name in stamp or data == whole[name], name
    export(str(out), "end")
    capfd.readouterr()
    export(str(out), "end")
    assert contents(out).items() >= whole.items()
    told = capfd.readouterr().out.splitlines()
    assert len(told) == 5 and all("unchanged" in line for line in told)
    observed(f"{kills} kills, every file whole, at last the same bytes", kills)
