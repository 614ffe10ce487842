"""A full disk, a file that may not grow, folders that may not be written to."""

from __future__ import annotations

import os
import resource
from functools import partial

import numpy as np
import pytest
from faulty import contents, hw3, mounted, pictures, profile, small_disk

from hw3lib.files import ROOT
from hw3lib.training.runs import open_run

pytestmark = pytest.mark.faults
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


def same(folder, run) -> bool:
    (made,) = (folder / "runs").glob("slim_resnet-*")
    names = ("validation", "test")
    return all(np.array_equal(open_run(made).logits(n), run.logits(n)) for n in names)


def test_training_on_a_full_disk(promise, given, tmp_path):
    promise("full disk while training", "one line and exit 2, nothing half-written; with more "
            "space the same command goes on, to the same bits")  # fmt: skip
    train, whole = given
    with small_disk(tmp_path / "disk", MB // 4) as disk:
        faults = 0
        for size in (MB // 4, MB, 2 * MB, 3 * MB, 4 * MB, 16 * MB):
            assert mounted("-o", f"remount,size={size}", str(disk))
            command = hw3(disk, *train)
            if command.ended() == 0:
                break
            assert "No space left on device; free some space" in command.fault
            assert not [name for name in contents(disk) if name.endswith(".part")]
            faults += 1
        assert faults > 1 and same(disk, whole)
        assert "goes on after epoch" in command.err
    promise.seen("refused, then finished, same bits", faults)


def no_file_above(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@pytest.mark.slow
def test_training_where_files_may_not_grow(promise, given, tmp_path):
    promise("a quota on a file's size", "one line and exit 2, nothing half-written, the same "
            "command goes on")  # fmt: skip
    train, whole = given
    faults = 0
    for size in (MB // 100, MB // 4, MB // 2, MB, 2 * MB, 64 * MB):
        command = hw3(tmp_path, *train, before=partial(no_file_above, size))
        if command.ended() == 0:
            break
        assert "File too large; free some space" in command.fault
        assert not [name for name in contents(tmp_path) if name.endswith(".part")]
        faults += 1
    assert faults > 1 and same(tmp_path, whole)
    promise.seen("refused, then finished, same bits", faults)


def test_reading_on_a_full_disk(promise, given, tmp_path):
    promise("full disk while caching", "the pictures are used, only not kept")
    with small_disk(tmp_path / "disk", MB // 16) as disk:
        command = hw3(disk, "data", given[0][-1])
        assert command.ended() == 0 and "150" in command.out
        assert not list((disk / "cache").glob("*"))
    promise.seen("read, nothing kept", 1)


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
    before = contents(read_only)
    empty = read_only / "empty"
    works = [
        train,
        ("data", train[-1]),
        ("predict", BEST, "--data", train[-1]),
        ("evaluate", BEST, "--data", train[-1]),
    ]
    for number, arguments in enumerate(works):
        place = tmp_path / f"works{number}"
        command = hw3(place, *arguments, runs=read_only / "runs", cache=empty)
        assert command.ended() == 0, command.err
    fails = [
        train,
        ("predict", BEST, "--data", train[-1], "--out", str(read_only / "p.csv")),
        ("runs", "pack", str(read_only / "runs.tar.gz"), *train[1:]),
        ("new", str(read_only / "mine"), "--name", "Wang"),
    ]
    for number, arguments in enumerate(fails):
        command = hw3(tmp_path / f"fails{number}", *arguments, runs=empty)
        assert command.ended() == 2
        assert str(read_only) in command.fault and "Read-only file system" in command.fault
    assert contents(read_only) == before
    promise.seen(f"{len(works)} commands worked, {len(fails)} refused", len(works) + len(fails))


def test_folders_without_the_right_to_write(promise, given, tmp_path):
    promise("folders without permission", "one line that names the place and the way out")
    if os.getuid() == 0:
        pytest.skip("root may write anywhere; the read-only file system stands for it")
    runs = tmp_path / "runs"
    runs.mkdir(mode=0o500)
    command = hw3(tmp_path, *given[0])
    assert command.ended() == 2 and "Permission denied; give yourself" in command.fault
    promise.seen("refused", 1)
