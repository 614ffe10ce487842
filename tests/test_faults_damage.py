"""One bit flipped, anywhere: noticed, and refused or made again; never believed."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from faulty import RECIPE, flips, folds

from hw3lib import UserError
from hw3lib.training import recipe, runs
from hw3lib.training.checkpoint import read_checkpoint, write_checkpoint
from hw3lib.training.loop import train
from hw3lib.training.pack import pack, unpack
from hw3lib.training.recipe import TRAINING_VERSION
from hw3lib.training.runs import checkpoint_of, get_run, open_run, run_path

pytestmark = pytest.mark.faults
SHORT = replace(RECIPE, epochs=1)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return get_run(SHORT, folds(), root=tmp_path_factory.mktemp("runs"))


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run.path, tmp_path / run.path.name)


def test_a_run(observed, run, copy):
    """A Run, one bit flipped, cut, longer or missing: opening it is refused, whichever byte of
    whichever file that its record has a checksum of."""
    count, names = 0, sorted(run.record["sha256"])
    assert len(names) == 4
    for name in names:
        data = (copy / name).read_bytes()
        flipped = [changed for _, changed in flips(data, 300)]
        for changed in (*flipped, data[:-1], data + b"\n", b"", None):
            (copy / name).unlink() if changed is None else (copy / name).write_bytes(changed)
            with pytest.raises(UserError, match="damaged Run"):
                open_run(copy)
            count += 1
        (copy / name).write_bytes(data)
    assert np.array_equal(open_run(copy).logits("test"), run.logits("test"))
    observed(f"{count} of {count} refused, in {len(names)} files", count)


def test_a_checkpoint(observed, tmp_path):
    """A checkpoint, one bit flipped: the training is not resumed from it; the line says how to
    start again."""
    _, state = train(SHORT, folds(), device=CPU)
    file, count = tmp_path / "checkpoint", 0
    write_checkpoint(file, state, SHORT, CPU)
    data = file.read_bytes()
    for _, changed in flips(data, 200):
        file.write_bytes(changed)
        with pytest.raises(UserError, match="delete it to start again"):
            read_checkpoint(file, SHORT, CPU)
        count += 1
    file.write_bytes(data)
    again = read_checkpoint(file, SHORT, CPU)
    assert all(torch.equal(again.model[name], state.model[name]) for name in state.model)
    observed(f"{count} of {count} refused", count)


def test_an_archive_of_runs(observed, run, tmp_path, monkeypatch):
    """Packed Runs, one bit flipped: unpacking refuses, or what it unpacks is whole."""
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
    observed(f"{refused} of {number + 1} refused, the rest whole", number + 1)


def test_a_run_under_another_name(observed, run, copy):
    """A Run under another Recipe's name: it is refused."""
    other = replace(SHORT, seed=1)
    moved = copy.rename(run_path(other, copy.parent))
    with pytest.raises(UserError, match="another recipe"):
        get_run(other, folds(), root=moved.parent)
    observed("refused", 1)


def test_another_version_of_the_training_code(observed, run, copy, monkeypatch):
    """Another version of the training code: Runs and checkpoints of the old one are kept and never
    taken for new ones, even under the new name."""
    named = checkpoint_of(copy)
    write_checkpoint(named, train(SHORT, folds(), device=CPU)[1], SHORT, CPU)
    for module in (recipe, runs):
        monkeypatch.setattr(module, "TRAINING_VERSION", TRAINING_VERSION + 1)
    new = run_path(SHORT, copy.parent)
    assert new != copy and open_run(copy).record == run.record
    named.rename(checkpoint_of(new))
    with pytest.raises(UserError, match="made by another recipe"):
        get_run(SHORT, folds(), root=copy.parent)
    checkpoint_of(new).unlink()
    copy.rename(new)
    with pytest.raises(UserError, match="another version of the code"):
        get_run(SHORT, folds(), root=copy.parent)
    observed("both refused", 2)
