"""A full disk, a file that may not grow, folders that may not be written to."""

from __future__ import annotations

import contextlib
import resource
from functools import partial

import numpy as np
import pytest
from faulty import contents, hw3, mounted, pictures, profile, small_disk

from hw3lib.files import ROOT
from hw3lib.training.runs import open_run

pytestmark = [pytest.mark.faults, pytest.mark.slow]
BEST = str(ROOT / "data" / "pretrained" / "best.safetensors")
MB = 2**20


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """`hw3 train` on a few pictures: its arguments, and the Run that it makes."""
    place = tmp_path_factory.mktemp("given")
    train = ("train", "--profile", str(profile(place)), "--data", str(pictures(place)))
    assert hw3(place / "whole", *train).ended() == 0
    (run,) = (place / "whole" / "runs").glob("slim_resnet-*")
    return train, open_run(run)


def no_file_above(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@contextlib.contextmanager
def limited(place, what: str):
    """Gives a function: `hw3` below `place` with so many bytes of disk, or of each file."""
    if what == "File too large":
        yield lambda size, *train: hw3(place, *train, before=partial(no_file_above, size))
        return
    with small_disk(place / "disk", MB // 4) as disk:

        def command(size: int, *train: str):
            assert mounted("-o", f"remount,size={size}", str(disk))
            return hw3(disk, *train)

        yield command


@pytest.mark.parametrize("what", ["No space left on device", "File too large"])
def test_training_where_space_ends(promise, given, tmp_path, what):
    promise(f"{what.lower()} while training", "one line and exit 2, nothing half-written; with "
            "more space the same command goes on, to the same bits")  # fmt: skip
    train, whole = given
    faults = 0
    with limited(tmp_path, what) as run:
        for size in (MB // 100, MB // 4, MB, 2 * MB, 3 * MB, 4 * MB, 64 * MB):
            command = run(size, *train)
            if command.ended() == 0:
                break
            assert f"{what}; free some space" in command.fault
            assert not [name for name in contents(command.folder) if name.endswith(".part")]
            faults += 1
        (made,) = (command.folder / "runs").glob("slim_resnet-*")
        for split in ("validation", "test"):
            assert np.array_equal(open_run(made).logits(split), whole.logits(split))
        assert faults > 1
    promise.seen("refused, then finished, same bits", faults)


def test_predicting_on_a_full_disk(promise, given, tmp_path):
    promise("full disk while predicting", "one line and exit 2; the predictions of before stay")
    with small_disk(tmp_path / "disk", MB // 16) as disk:
        out = disk / "p.csv"
        out.write_text("id,label\n")
        with pytest.raises(OSError, match="No space"), open(disk / "filler", "wb", 0) as filler:
            while True:
                filler.write(bytes(4096))
        command = hw3(tmp_path, "predict", BEST, "--data", given[0][-1], "--out", str(out))
        assert command.ended() == 2
        assert f"{out}: " in command.fault and "No space left on device" in command.fault
        assert out.read_text() == "id,label\n"
        assert sorted(p.name for p in disk.iterdir()) == ["filler", "p.csv"]
    promise.seen("refused, the old file whole", 1)


@pytest.fixture(scope="module")
def read_only(given, tmp_path_factory):
    """A place that held a Run when it became read-only, for root too where it may mount."""
    place = tmp_path_factory.mktemp("closed")
    with small_disk(place / "disk", 64 * MB) as disk:
        assert hw3(disk, *given[0]).ended() == 0
        (disk / "empty").mkdir()
        (disk / "p.csv").write_text("id,label\n")
        assert mounted("-o", "remount,ro", str(disk))
        yield disk


def test_read_only_folders(promise, given, read_only, tmp_path):
    promise("read-only folders", "what is there is used; what must be written is refused in one "
            "line that names the place and the way out")  # fmt: skip
    train, _ = given
    before, empty = contents(read_only), read_only / "empty"
    works = [
        train,
        ("data", train[-1]),
        ("predict", BEST, "--data", train[-1]),
        ("evaluate", BEST, "--data", train[-1]),
    ]
    fails = [
        train,
        ("predict", BEST, "--data", train[-1], "--out", str(read_only / "p.csv")),
        ("runs", "pack", str(read_only / "runs.tar.gz"), *train[1:]),
        ("new", str(read_only / "mine"), "--name", "Wang"),
    ]
    for arguments in works:
        command = hw3(tmp_path / "works", *arguments, runs=read_only / "runs", cache=empty)
        assert command.ended() == 0, command.err
    for arguments in fails:
        command = hw3(tmp_path / "fails", *arguments, runs=empty)
        assert command.ended() == 2
        assert str(read_only) in command.fault and "Read-only file system" in command.fault
    assert contents(read_only) == before
    promise.seen(f"{len(works)} commands worked, {len(fails)} refused", len(works) + len(fails))
