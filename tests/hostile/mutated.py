"""Valid files of every reader, changed at random: bytes anywhere, and what the bytes mean."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Callable

from hypothesis import strategies as st

from hostile import archives, runs, weights

# cells, names and numbers that someone's file may hold
WORDS = st.sampled_from(
    ["", " ", "0", "6", "7", "-1", "2.5", "1e400", "nan", "=1+1", "@x", "'", '"', "a,b", "\0", "\r",
     "\x1b[2J", "\u202e", "é", "中", "\ud7ff", "9" * 400, "9" * 5000, "x" * 3000, "../..", "/etc",
     "C:", "<b>", "Training", "angry", "label", "id"]
)  # fmt: skip
NUMBERS = st.one_of(
    st.integers(), st.floats(), st.sampled_from([0, 1, -1, 2**31, 2**63, 2**64, 1e308, 48, 7])
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def damaged(draw, whole: bytes) -> bytes:
    """A few cuts, repeats, insertions and overwritten fields."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 1, 2, 4, 8, 40, 400])))
        fields = [struct.pack("<I", n) for n in (0, 1, 2**31 - 1, 2**32 - 1)]
        data[start:end] = draw(
            st.one_of(
                st.just(b""), st.binary(max_size=9), st.sampled_from(fields),
                st.just(bytes(data[start:end]) * 2), WORDS.map(lambda w: w[:99].encode()),
            )
        )  # fmt: skip
    return bytes(data)


@st.composite
def safetensors(draw) -> bytes:
    """Sound numbers under a header that says anything."""
    key = draw(st.sampled_from(["format", "classes", "preprocessing", "metadata"]))
    value = draw(VALUES)
    if key in ("preprocessing", "metadata") and draw(st.booleans()):
        sound = {"mean": 0.5, "std": 0.25, "in_channels": 1} if key == "preprocessing" else {
            "recipe": dict(weights.RECIPE)
        }  # fmt: skip
        inner = sound if key == "preprocessing" else sound["recipe"]
        inner[draw(st.sampled_from(list(inner)))] = value
        value = sound
    return weights.with_meta(key, value)


@st.composite
def record(draw) -> bytes:
    """The record of a sound Run, a field being anything."""
    sound = json.loads(runs.sealed(runs.whole())[runs.RECORD])
    sound[draw(st.sampled_from(list(sound)))] = draw(VALUES)
    return json.dumps(sound).encode()


@st.composite
def tar(draw) -> bytes:
    """Members of a sound archive, their heads changed."""
    members = archives.sound()[: draw(st.integers(1, 5))]
    for info, _ in members:
        if draw(st.integers(0, 3)) == 0:
            info.name = draw(WORDS.map(lambda w: w[:90].replace("\0", "0")))
        if draw(st.integers(0, 5)) == 0:
            info.type = draw(
                st.sampled_from([b"0", b"1", b"2", b"3", b"5", b"6", b"L", b"x", b"g"])
            )
    return gzip.compress(archives.tar(*members), 1)


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


def _whole(make: Callable[[], bytes]) -> st.SearchStrategy[bytes]:
    return st.deferred(lambda: damaged(make()))


# reader -> the file's name, what is its own damage, what is its own structure
KINDS: dict[str, tuple[str, st.SearchStrategy[bytes], st.SearchStrategy[bytes]]] = {
    "weights": ("w.safetensors", _whole(weights.whole), safetensors()),
    "archive": ("runs.tar.gz", _whole(archives.whole), tar()),
    "profile": ("p.toml", damaged(b"[recipes.a]\nmodel = 'dense'\nseeds = [1, 2]\n"), toml()),
    "author": ("author.toml", damaged(b"name = 'x'\ncollaborators = ['a']\n"), toml()),
}  # fmt: skip
