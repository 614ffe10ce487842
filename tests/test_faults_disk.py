"""Space that ends, folders that may not be written to."""

from __future__ import annotations

import errno
import os
import resource
import sys
from functools import partial

import numpy as np
import pytest
from faulty import contents, hw3, pictures, profile

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


def closed(*places: str) -> None:
    """From now on nothing below the places may be written, as on a read-only disk."""

    def refuse(event: str, details: tuple) -> None:
        writes = event == "os.mkdir" or (
            event == "open" and details[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        )
        if writes and str(details[0]).startswith(places):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(details[0]))

    sys.addaudithook(refuse)


def test_training_where_space_ends(observed, given, tmp_path):
    """Space ends while training: one line and exit 2, nothing half-written; with more space the
    same command goes on, to the same bits."""
    train, whole = given
    faults = 0
    for size in (MB // 100, MB // 4, MB, 2 * MB, 3 * MB, 4 * MB, 64 * MB):
        command = hw3(tmp_path, *train, before=partial(no_file_above, size))
        if command.ended() == 0:
            break
        assert "File too large; free some space" in command.fault
        assert not [name for name in contents(tmp_path) if name.endswith(".part")]
        faults += 1
    (made,) = (tmp_path / "runs").glob("slim_resnet-*")
    for split in ("validation", "test"):
        assert np.array_equal(open_run(made).logits(split), whole.logits(split))
    assert faults > 1
    observed("refused, then finished, same bits", faults)


def test_predicting_where_space_ends(observed, given, tmp_path):
    """Space ends while predicting: one line and exit 2; the predictions of before stay."""
    out = tmp_path / "mine" / "p.csv"
    out.parent.mkdir()
    out.write_text("id,label\n")
    arguments = ("predict", BEST, "--data", given[0][-1], "--out", str(out))
    command = hw3(tmp_path, *arguments, before=partial(no_file_above, 1000))
    assert command.ended() == 2
    assert f"{out}: File too large; free some space" in command.fault
    assert contents(out.parent) == {"p.csv": b"id,label\n"}
    observed("refused, the old file whole", 1)


def test_read_only_folders(observed, given, tmp_path):
    """Read-only folders: what is there is used; what must be written is refused in one line that
    names the place and the way out."""
    train, whole = given
    place, runs = tmp_path / "closed", whole.path.parent
    (place / "empty").mkdir(parents=True)
    (place / "p.csv").write_text("id,label\n")
    before = contents(place)
    works = [
        train,
        ("data", train[-1]),
        ("predict", BEST, "--data", train[-1]),
        ("evaluate", BEST, "--data", train[-1]),
    ]
    fails = [
        train,
        ("predict", BEST, "--data", train[-1], "--out", str(place / "p.csv")),
        ("runs", "pack", str(place / "runs.tar.gz"), *train[1:]),
        ("new", str(place / "mine"), "--name", "Wang"),
    ]
    close, empty = partial(closed, str(runs), str(place)), place / "empty"
    for arguments in works:
        command = hw3(tmp_path / "works", *arguments, runs=runs, cache=empty, before=close)
        assert command.ended() == 0, command.err
    for arguments in fails:
        command = hw3(tmp_path / "fails", *arguments, runs=empty, before=close)
        assert command.ended() == 2
        assert str(place) in command.fault and "Read-only file system" in command.fault
    assert contents(place) == before
    observed(f"{len(works)} commands worked, {len(fails)} refused", len(works) + len(fails))
