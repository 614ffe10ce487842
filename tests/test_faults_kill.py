"""SIGKILL at random moments: what is there afterwards is whole, and the next start goes on."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from functools import cache as cached
from pathlib import Path

import layouts
import numpy as np
import pytest
from conftest import make_faces
from faulty import RECIPE, contents, ended, folds, killed, moments, start

from hw3lib.data import cache, load
from hw3lib.data.split import Split
from hw3lib.files import sweep, write_atomic
from hw3lib.training.runs import checkpoint_of, get_run, open_run, run_path, score_again

pytestmark = pytest.mark.faults
SHORT = replace(RECIPE, epochs=1)


def cache_faces(path: str, folder: str) -> None:
    os.environ["HW3_CACHE"] = folder
    load(path)


def test_caching(promise, tmp_path, monkeypatch):
    promise("SIGKILL while caching", "the cache is whole, the old one or the new, or absent; "
            "the next load gives the same pictures and clears up")  # fmt: skip
    folder = tmp_path / "cache"
    monkeypatch.setenv("HW3_CACHE", str(folder))
    data, kills, whole = tmp_path / "faces.npz", 0, 0
    sets = [make_faces(1500, seed=seed) for seed in (1, 2)]
    layouts.write_npz(data, sets[1])
    moment = moments(24, cache_faces, str(data), str(folder))
    for number, how in enumerate(moment):
        faces = sets[number % 2]
        layouts.write_npz(data, faces)
        kills += killed(cache_faces, str(data), str(folder), **how)
        for kept in folder.glob("*.safetensors"):
            found = cache.read_arrays(kept, *cache.read_header(kept))
            assert any(np.array_equal(found.images, s.images) for s in sets)
            whole += 1
        assert np.array_equal(load(data).images, faces.images)
    sweep(folder, age=0)
    assert not list(folder.glob(".*.part"))
    promise.seen(f"{kills} kills, {whole} caches found, all whole; every load right", kills)


def write_file(path: str, size: int) -> None:
    write_atomic(Path(path), os.urandom(1) * size)


def test_predictions_and_other_files(promise, tmp_path):
    promise("SIGKILL while a file is written", "the old file or the new one, never half of "
            "either; what the killed process left goes with the next writing")  # fmt: skip
    path, size, kills = tmp_path / "p[1].csv", 2**23, 0
    for how in moments(24, write_file, str(path), size):
        kills += killed(write_file, str(path), size, **how)
        data = path.read_bytes()
        assert len(data) == size and len(set(data)) == 1
    write_atomic(path, b"end")
    sweep(tmp_path, age=0)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    promise.seen(f"{kills} kills, the file always whole", kills)


@cached
def document():
    from report.fakes import document

    return document()


def export(out: str, inputs: str) -> None:
    from hw3lib.report.build import write_files

    write_files(document, {}, inputs, Path(out), "both", print)


@pytest.mark.slow
def test_exporting(promise, tmp_path, capfd):
    promise("SIGKILL while exporting", "page, PDFs and results are whole files; the next report "
            "makes what is missing, to the same bytes")  # fmt: skip
    reference, out, kills = tmp_path / "reference", tmp_path / "out", 0
    moment = moments(12, export, str(reference), "0")
    whole = contents(reference)
    for number, how in enumerate(moment):
        kills += killed(export, str(out), str(number), **how)
        for name, data in contents(out).items():
            if not name.endswith(".part") and name != ".stamp.json":
                assert data == whole[name], name
    capfd.readouterr()
    export(str(out), "end")
    told = capfd.readouterr().out.splitlines()
    made = contents(out)
    assert {n: d for n, d in made.items() if n != ".stamp.json"} == {
        n: d for n, d in whole.items() if n != ".stamp.json"
    }
    export(str(out), "end")
    again = capfd.readouterr().out.splitlines()
    assert len(told) == len(again) == 5 and all("unchanged" in line for line in again)
    promise.seen(f"{kills} kills, every file whole, at last the same bytes", kills)


def score_on(root: str, share: int) -> None:
    found = open_run(run_path(SHORT, Path(root)))
    score_again(found, test_of(share))


def test_of(share: int) -> Split:
    whole = folds()
    return replace(whole, test=whole.test[: len(whole.test) // share])


test_of.__test__ = False


def test_replacing_a_run(promise, tmp_path):
    promise("SIGKILL while a Run is replaced", "the training is never lost: the Run is there, "
            "or whole under another name and taken from there")  # fmt: skip
    first = get_run(SHORT, folds(), root=tmp_path, progress=False)
    weights, kills = (first.path / "weights.safetensors").read_bytes(), 0
    checkpoint_of(first.path).write_bytes(b"of a process killed before it could delete it")
    moment = [{"torn": "between two renames"}, *moments(15, score_on, str(tmp_path), 2)]
    for number, how in enumerate(moment):
        kills += killed(score_on, str(tmp_path), 1 + number % 2, **how)
        found = get_run(SHORT, test_of(1 + number % 3), root=tmp_path, progress=False)
        assert (found.path / "weights.safetensors").read_bytes() == weights
        assert len(found.labels("test")) == len(test_of(1 + number % 3).test)
        assert found.record["seconds"] == first.record["seconds"]  # not trained again
        assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == [
            first.path.name
        ]
    get_run(SHORT, test_of(1 + number % 3), root=tmp_path, progress=False)
    assert not checkpoint_of(first.path).exists()
    promise.seen(f"{kills} kills, never trained again", kills)


def train(root: str, told: str) -> None:
    sys.stderr = open(told, "a", encoding="utf-8")  # noqa: SIM115
    get_run(RECIPE, folds(), root=Path(root))


@pytest.mark.slow
def test_the_one_who_trains_is_killed(promise, tmp_path):
    promise("SIGKILL of the process that others wait for", "another takes over at its last "
            "checkpoint; the Run has the bits of an unbroken one")  # fmt: skip
    trains, waits = (start(train, str(tmp_path), str(tmp_path / name)) for name in ("a", "b"))
    checkpoint = checkpoint_of(run_path(RECIPE, tmp_path))
    while not checkpoint.exists():
        time.sleep(0.01)
    if "waiting" in (tmp_path / "a").read_text():
        trains, waits = waits, trains
    trains.kill()
    assert ended(trains) == -9 and ended(waits) == 0
    told = (tmp_path / "a").read_text() + (tmp_path / "b").read_text()
    assert f"{RECIPE.model}: another process is making this Run; waiting for it\n" in told
    assert f"{RECIPE.model}: goes on after epoch " in told
    found = open_run(run_path(RECIPE, tmp_path))
    whole = get_run(RECIPE, folds(), root=tmp_path / "whole", progress=False)
    assert found.record["resumed"]
    assert np.array_equal(found.logits("test"), whole.logits("test"))
    promise.seen("the other said that it waits and went on, same bits", 1)
