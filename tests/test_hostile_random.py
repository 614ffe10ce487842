"""Files at random, for each reader: what it makes of them is its result, or one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hostile import runs, weights
from hostile.case import STEERS, WORDS, damaged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hw3lib import UserError
from hw3lib.models.network import load_network
from hw3lib.report.cover import read_author
from hw3lib.training.pack import unpack
from hw3lib.training.study import read_profile, read_recipes

pytestmark = pytest.mark.faults
OPTIONS = {
    "deadline": None, "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture,
                              HealthCheck.data_too_large, HealthCheck.large_base_example],
}  # fmt: skip
FEW = settings(max_examples=25, derandomize=True, **OPTIONS)
MANY = settings(max_examples=1000, **OPTIONS)

TEXTS = st.sampled_from([*WORDS, '"', "\r", "中", "\ud7ff", "/etc", "C:"])
NUMBERS = st.one_of(
    st.integers(), st.floats(), st.sampled_from([0, 1, -1, 2**31, 2**63, 2**64, 1e308, 48, 7])
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def any_damage(make: Callable[[], bytes]) -> st.SearchStrategy[bytes]:
    seeds = st.integers(0, 2**32 - 1)
    return seeds.map(lambda seed: damaged(make(), np.random.default_rng(seed)))


@st.composite
def safetensors(draw) -> bytes:
    """Sound numbers under a header that says anything."""
    sound = {
        "format": {}, "classes": {}, "preprocessing": {"mean": 0.5, "std": 0.25, "in_channels": 1},
        "recipe": {**weights.RECIPE},
    }  # fmt: skip
    key = draw(st.sampled_from([*sound]))
    value = draw(VALUES)
    if sound[key] and draw(st.booleans()):
        value = {**sound[key], draw(st.sampled_from([*sound[key]])): value}
    key, value = ("metadata", {"recipe": value}) if key == "recipe" else (key, value)
    return weights.changed(weights.entry(key, value))


@st.composite
def tar(draw) -> bytes:
    """Members of a sound archive, their heads and the record changed."""
    record = json.loads(runs.sealed()[runs.RECORD])
    if draw(st.booleans()):
        record[draw(st.sampled_from([*record]))] = draw(VALUES)
    files = {**runs.sealed(), runs.RECORD: json.dumps(record).encode()}
    members = runs.members(files)[: draw(st.integers(3, 5))]
    for info, _ in members:
        if draw(st.integers(0, 9)) == 0:
            info.name = draw(TEXTS.map(lambda w: w[:90].replace("\0", "0")))
        if draw(st.integers(0, 9)) == 0:
            info.type = draw(st.sampled_from([*b"01235 6Lxg"])).to_bytes()
    return runs.packed(*members)


@st.composite
def toml(draw) -> bytes:
    """Tables of a profile, or an author, with values of any kind."""
    keys = st.sampled_from(
        ["model", "width", "base", "seeds", "seed", "epochs", "lr", "flip", "name", "id",
         "collaborators", "synthetic", "validation", "zh"]
    )  # fmt: skip
    heads = st.sampled_from(["", "[recipes.a]", "[settings]", "[folds]", "[recipes]", "[[folds]]"])
    lines = draw(st.dictionaries(keys, VALUES.map(_as_toml), max_size=4)).items()
    text = "\n".join([draw(heads), *(f"{k} = {v}" for k, v in lines)])
    return text.encode("utf-8", "replace")


def _as_toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {_as_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_as_toml, value)) + "]"
    return str(value) if isinstance(value, float) else json.dumps(value)


PROFILE = b"[recipes.a]\nmodel = 'dense'\nseeds = [1, 2]\n"
# reader -> the file's name, how it is read, what damage and what another structure make of it
KINDS = {
    "weights": ("w.safetensors", load_network, any_damage(weights.whole), safetensors()),
    "archive": ("runs.tar.gz", lambda file: unpack(file, file.parent / "runs"),
                any_damage(lambda: runs.packed(*runs.members())), tar()),
    "profile": ("p.toml", lambda file: read_recipes(read_profile(file), file.name),
                any_damage(lambda: PROFILE), toml()),
    "author": ("author.toml", read_author,
               any_damage(lambda: b"name = 'x'\ncollaborators = ['a']\n"), toml()),
}  # fmt: skip


def check(reader: str, folder: Path, data: bytes) -> None:
    """Every exception but UserError is a fault of ours."""
    name, read, *_ = KINDS[reader]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / name).write_bytes(data)
    try:
        read(folder / name)
    except UserError as error:
        assert not STEERS.search(str(error)) and len(str(error)) <= 1000
    assert sorted(p.name for p in folder.parent.iterdir()) == [folder.name]


@pytest.mark.parametrize("reader", KINDS)
@given(data=st.data())
@FEW
def test_a_few(reader, tmp_path, data):
    check(
        reader, tmp_path / "in", data.draw(st.one_of(st.binary(max_size=300), *KINDS[reader][2:]))
    )


@pytest.mark.slow
@pytest.mark.parametrize("reader", KINDS)
@given(data=st.data())
@MANY
def test_many(reader, tmp_path, data):
    check(
        reader, tmp_path / "in", data.draw(st.one_of(st.binary(max_size=3000), *KINDS[reader][2:]))
    )
