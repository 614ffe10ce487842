"""Valid files of every reader, changed at random: bytes anywhere, and what the bytes mean."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from collections.abc import Callable

import layouts
import numpy as np
from hypothesis import strategies as st

from hostile import archives, runs, weights
from hostile.arrays import npy as saved
from hostile.images import JPEG, PNG
from hostile.parquet import table

FACES = layouts.small_faces(n=7)
TEXT = layouts.pixel_text(FACES.images[0])

# cells, names and numbers that someone's file may hold
WORDS = st.sampled_from(
    ["", " ", "0", "6", "7", "-1", "2.5", "1e400", "nan", "=1+1", "@x", "'", '"', "a,b", "\0", "\r",
     "\x1b[2J", "\u202e", "é", "中", "\ud7ff", "9" * 400, "9" * 5000, "x" * 3000, "../..", "/etc",
     "C:", "<b>", "Training", "angry", "label", "id", "pixels", "Usage", TEXT,
     TEXT + " 1", TEXT[:-3]]
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


def rows(*columns: str) -> st.SearchStrategy[bytes]:
    """A table with these columns, or nearly so, and a few rows of anything."""
    head = st.lists(st.sampled_from([*columns, "x", "Usage"]), min_size=1, max_size=4)
    header = st.one_of(st.just(list(columns)), head)
    cells = st.lists(st.one_of(WORDS, st.just(TEXT), st.just("1")), min_size=1, max_size=4)
    lines = st.lists(st.one_of(cells, st.just(["1", TEXT, "Training"][: len(columns)])), max_size=4)
    return st.builds(
        lambda top, rest: "\n".join(",".join(r) for r in [top, *rest]).encode(), header, lines
    )


DTYPES = ("u1", "i8", "u8", "f2", "f8", "c8", "?", "S3", "U3", "M8[s]", "V2", "i4,f4")


@st.composite
def arrays(draw) -> np.ndarray:
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(
        st.sampled_from([(7, 48, 48), (7, 2304), (7, 48, 48, 3), (7, 1, 48, 48), (7, 9, 60), (7,),
                         (7, 10), (7, 2), (6,), (), (0, 48, 48), (0,), (7, 0), (1, 1)])
    )  # fmt: skip
    size = int(np.prod(shape)) * dtype.itemsize
    some = draw(st.binary(min_size=1, max_size=40))
    return np.frombuffer((some * (size // len(some) + 1))[:size], dtype).reshape(shape)


@st.composite
def npz(draw) -> bytes:
    roles = ("images", "labels", "ids", "split", "classes", "votes", "x_test", "other")
    sound = {"images": FACES.images, "labels": FACES.labels, "ids": FACES.ids}
    found = {**sound, **draw(st.dictionaries(st.sampled_from(roles), arrays(), max_size=3))}
    out = io.BytesIO()
    np.savez(out, **found)
    return out.getvalue()


@st.composite
def npy(draw) -> bytes:
    return saved(draw(arrays()))


def _column(draw) -> object:
    import pyarrow as pa

    pictures = st.sampled_from([PNG, JPEG, PNG[:60], b"", b"x", None])
    kinds = {
        pa.binary(): pictures,
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]): st.fixed_dictionaries(
            {"bytes": pictures, "path": st.one_of(st.none(), WORDS)}
        ),
        pa.string(): st.one_of(st.none(), WORDS),
        pa.int64(): st.one_of(st.none(), st.integers(-2, 9)),
        pa.float32(): st.one_of(st.none(), st.floats(width=32)),
        pa.list_(pa.int16()): st.one_of(st.none(), st.lists(st.integers(-1, 300), max_size=11)),
        pa.bool_(): st.booleans(),
        pa.timestamp("s"): st.integers(0, 2**40),
    }  # fmt: skip
    kind = draw(st.sampled_from(list(kinds)))
    return pa.array(draw(st.lists(kinds[kind], min_size=2, max_size=2)), kind)


@st.composite
def parquet(draw) -> bytes:
    import pyarrow as pa

    names = st.sampled_from(["label", "usage", "id", "votes", "split", "image"])
    columns = {"image": pa.array([PNG, JPEG])}
    for name in draw(st.lists(names, max_size=3, unique=True)):
        columns[name] = _column(draw)
    return table(lambda: pa.table(columns))


@st.composite
def zipped(draw) -> bytes:
    """Members of a data set under names of anyone's choice; then perhaps damage."""
    contents = st.sampled_from([PNG, JPEG, PNG[:60], b"", b"id,label\n1,2\n", b"PK\3\4"])
    names = st.one_of(
        st.sampled_from(["train/1.png", "train.csv", "a.npz", "angry/2.jpg", "b.zip", "c.parquet"]),
        WORDS.map(lambda w: w.replace("\0", "0")[:200] + ".png"),
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in draw(
            st.lists(st.tuples(names, contents), max_size=4, unique_by=lambda m: m[0])
        ):
            archive.writestr(name, data)
    return draw(st.one_of(st.just(out.getvalue()), damaged(out.getvalue())))


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


def _npz() -> bytes:
    out = io.BytesIO()
    np.savez(out, images=FACES.images, labels=FACES.labels)
    return out.getvalue()


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train/1.png", PNG)
        archive.writestr("train.csv", "id,label\n1,2\n")
    return out.getvalue()


CSV = f"label,feature\n1,{TEXT}\n2,{TEXT}\n".encode()
KAGGLE = f'emotion,pixels,Usage\n1,"{TEXT}",Training\n2,{TEXT},PublicTest\n'.encode()
VOTES = "Usage,Image name," + ",".join(layouts.FERPLUS) + "\nTraining,f.png" + ",1" * 10
# reader -> the file's name, what is its own damage, what is its own structure
KINDS: dict[str, tuple[str, st.SearchStrategy[bytes], st.SearchStrategy[bytes]]] = {
    "course CSV": ("train.csv", damaged(CSV), rows("label", "feature")),
    "Kaggle CSV": ("fer2013.csv", damaged(KAGGLE), rows("emotion", "pixels", "Usage")),
    "FER+ votes": ("fer2013new.csv", damaged(VOTES.encode()),
                   rows("Usage", "Image name", *layouts.FERPLUS)),
    "numbered pictures": ("train.csv", damaged(b"id,label\n1,3\n2,4\n"), rows("id", "label")),
    "picture": ("p.png", damaged(PNG), damaged(JPEG)),
    "npz": ("a.npz", _whole(_npz), npz()),
    "npy": ("x_train.npy", _whole(lambda: saved(FACES.images)), npy()),
    "Parquet": ("a.parquet", _whole(lambda: table({"image": [PNG, JPEG], "label": [0, 1]})),
                parquet()),
    "zip": ("a.zip", _whole(_zip), zipped()),
    "weights": ("w.safetensors", _whole(weights.whole), safetensors()),
    "Run": ("record.json", _whole(lambda: runs.sealed(runs.whole())[runs.RECORD]), record()),
    "archive": ("runs.tar.gz", _whole(archives.whole), tar()),
    "profile": ("p.toml", damaged(b"[recipes.a]\nmodel = 'dense'\nseeds = [1, 2]\n"), toml()),
    "author": ("author.toml", damaged(b"name = 'x'\ncollaborators = ['a']\n"), toml()),
}  # fmt: skip
