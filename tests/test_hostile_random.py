"""Files at random, for each reader: what it makes of them is its result, or one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hostile import runs
from hostile.mutated import KINDS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_hostile import STEERS

from hw3lib import UserError
from hw3lib.models.network import load_network
from hw3lib.report.cover import read_author
from hw3lib.training.pack import unpack
from hw3lib.training.runs import open_run
from hw3lib.training.study import read_profile, read_recipes

pytestmark = pytest.mark.faults
OPTIONS = {
    "deadline": None, "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture,
                              HealthCheck.data_too_large, HealthCheck.large_base_example],
}  # fmt: skip
FEW = settings(max_examples=25, derandomize=True, **OPTIONS)
MANY = settings(max_examples=1000, **OPTIONS)


def read(reader: str, file: Path) -> None:
    """What is read of a file of this kind; every exception but UserError is a fault of ours."""
    if reader == "Run":
        for name, data in runs.whole().items():
            if name != runs.RECORD:
                (file.parent / name).write_bytes(data)
    others = {
        "weights": load_network,
        "Run": lambda file: len(open_run(file.parent).history),
        "archive": lambda file: unpack(file, file.parent / "runs"),
        "profile": lambda file: read_recipes(read_profile(file), file.name),
        "author": read_author,
    }
    others[reader](file)


def check(reader: str, folder: Path, data: bytes) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / KINDS[reader][0]).write_bytes(data)
    try:
        read(reader, folder / KINDS[reader][0])
    except UserError as error:
        assert not STEERS.search(str(error)) and len(str(error)) <= 1000
    assert sorted(p.name for p in folder.parent.iterdir()) == [folder.name]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HW3_CACHE", "/dev/null/none")  # nothing is kept
    return tmp_path / "in"


@pytest.mark.parametrize("reader", KINDS)
@given(data=st.data())
@FEW
def test_a_few(reader, folder, data):
    check(reader, folder, data.draw(st.one_of(st.binary(max_size=300), *KINDS[reader][1:])))


@pytest.mark.slow
@pytest.mark.parametrize("reader", KINDS)
@given(data=st.data())
@MANY
def test_many(reader, folder, data):
    check(reader, folder, data.draw(st.one_of(st.binary(max_size=3000), *KINDS[reader][1:])))
