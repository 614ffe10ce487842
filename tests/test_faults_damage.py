"""One bit flipped, anywhere: noticed, and refused or made anew; never believed."""

from __future__ import annotations

import shutil
from dataclasses import replace

import layouts
import numpy as np
import pytest
import torch
from conftest import make_faces
from faulty import RECIPE, flips, folds

from hw3lib import UserError
from hw3lib.data import cache, load
from hw3lib.models.network import load_network
from hw3lib.training.loop import train
from hw3lib.training.pack import pack, unpack
from hw3lib.training.runs import (
    get_run,
    open_run,
    read_checkpoint,
    run_path,
    write_checkpoint,
)

pytestmark = pytest.mark.faults
SHORT = replace(RECIPE, epochs=1)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return get_run(SHORT, folds(), root=tmp_path_factory.mktemp("runs"), progress=False)


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run.path, tmp_path / run.path.name)


def test_a_run(promise, run, copy):
    promise("a Run, one bit flipped", "opening it is refused, whichever byte of whichever file "
            "that its record has a checksum of")  # fmt: skip
    count, names = 0, sorted(run.record["sha256"])
    assert len(names) == 4
    for name in names:
        data = (copy / name).read_bytes()
        for at, changed in flips(data, len(data) if len(data) < 3000 else 150):
            (copy / name).write_bytes(changed)
            with pytest.raises(UserError, match="damaged Run"):
                open_run(copy)
                raise AssertionError(f"{name}: byte {at} of {len(data)}")
            count += 1
        for changed in (data[:-1], data + b"\n", b""):
            (copy / name).write_bytes(changed)
            with pytest.raises(UserError, match="damaged Run"):
                open_run(copy)
            count += 1
        (copy / name).unlink()
        with pytest.raises(UserError, match="damaged Run"):
            open_run(copy)
        count += 1
        (copy / name).write_bytes(data)
    assert np.array_equal(open_run(copy).logits("test"), run.logits("test"))
    promise.seen(f"{count} of {count} refused, in {len(names)} files", count)


def test_weights(promise, run, copy, tmp_path):
    promise("a weights file, one bit flipped", "neither evaluate nor predict takes it, in its "
            "Run or by itself")  # fmt: skip
    data = (copy / "weights.safetensors").read_bytes()
    alone, count = tmp_path / "alone.safetensors", 0
    for _, changed in flips(data, 120):
        for file in (alone, copy / "weights.safetensors"):
            file.write_bytes(changed)
            with pytest.raises(UserError):
                load_network(file if file == alone else copy)
            count += 1
    alone.write_bytes(data)
    assert load_network(alone).metadata["hash"] == SHORT.hash
    promise.seen(f"{count} of {count} refused", count)


def test_a_checkpoint(promise, tmp_path):
    promise("a checkpoint, one bit flipped", "the training is not resumed from it; the line says "
            "how to start again")  # fmt: skip
    _, state = train(SHORT, folds(), device=CPU)
    file = tmp_path / "checkpoint"
    write_checkpoint(file, state, SHORT, CPU)
    data, count = file.read_bytes(), 0
    for at, changed in flips(data, 400):
        file.write_bytes(changed)
        with pytest.raises(UserError, match="delete it to start again"):
            read_checkpoint(file, SHORT, CPU)
            raise AssertionError(f"byte {at} of {len(data)}")
        count += 1
    file.write_bytes(data)
    again = read_checkpoint(file, SHORT, CPU)
    assert all(torch.equal(again.model[name], state.model[name]) for name in state.model)
    promise.seen(f"{count} of {count} refused", count)


def test_a_cache(promise, tmp_path, monkeypatch):
    promise("a cache, one bit flipped", "the pictures are read anew, or are right all the same")
    monkeypatch.setenv("HW3_CACHE", str(tmp_path / "cache"))
    file = layouts.write_npz(tmp_path / "faces.npz", make_faces(40, test=10))
    first = load(file)
    whole = {name: np.array(getattr(first, name)) for name in ("images", "labels", "ids", "split")}
    (kept,) = (tmp_path / "cache").glob("*.safetensors")
    data = kept.read_bytes()
    count = 0
    for _, changed in flips(data, 300):
        count += 1
        kept.write_bytes(changed)
        again = load(file)
        assert all(np.array_equal(getattr(again, name), whole[name]) for name in whole)
    assert cache.read_header(kept)[0]
    promise.seen(f"{count} of {count} right", count)


def test_an_archive_of_runs(promise, run, tmp_path, monkeypatch):
    promise("packed Runs, one bit flipped", "unpacking refuses, or what it unpacks is whole")
    monkeypatch.setenv("HW3_RUNS", str(run.path.parent))
    archive = tmp_path / "runs.tar.gz"
    pack({"best": run}, archive, weights=lambda name: True)
    data, refused = archive.read_bytes(), 0
    for number, (_, changed) in enumerate(flips(data, 60)):
        archive.write_bytes(changed)
        root = tmp_path / str(number)
        try:
            for path in unpack(archive, root):
                assert np.array_equal(open_run(path, SHORT).logits("test"), run.logits("test"))
        except UserError:
            refused += 1
            assert not root.exists() or not list(root.glob("[!.]*"))
    promise.seen(f"{refused} of {number + 1} refused, the rest whole", number + 1)


def test_a_run_under_another_name(promise, run, copy):
    promise("a Run under another Recipe's name", "it is refused")
    other = replace(SHORT, seed=1)
    moved = copy.rename(run_path(other, copy.parent))
    with pytest.raises(UserError, match="another recipe"):
        get_run(other, folds(), root=moved.parent, progress=False)
    promise.seen("refused", 1)
