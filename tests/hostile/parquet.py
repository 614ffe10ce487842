"""Parquet files in the Hugging Face form."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import layouts
import numpy as np

from hostile import images
from hostile.case import Place, Trap, add, bad
from hostile.images import PNG

FACES = layouts.small_faces(n=14)


def table(columns: dict | Callable[[], object], **options) -> bytes:
    """A Parquet file of these columns, or of the table that the call returns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    made = columns() if callable(columns) else pa.table(columns)
    pq.write_table(made, out, **options)
    return out.getvalue()


def made(columns: dict | Callable[[], object], **options) -> Callable[[Place], object]:
    return lambda place: place.put("a.parquet", table(columns, **options))


def whole() -> bytes:
    return table({"image": [PNG] * 3, "label": [0, 1, 2]})


def _named(names: object) -> Callable[[], object]:
    """A table whose Hugging Face header gives the classes these names."""
    import pyarrow as pa

    header = {"info": {"features": {"label": {"names": names}}}}
    plain = pa.table({"image": [PNG], "label": [0]})
    return plain.replace_schema_metadata({"huggingface": json.dumps(header)})


def _nested() -> object:
    import pyarrow as pa

    values = pa.array([[0]])
    for _ in range(60):
        values = pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), values)
    return pa.table({"image": values})


def pictures(*values: bytes, **columns: list) -> object:
    import pyarrow as pa

    return pa.table({"image": list(values), **columns})


TWO = {"image": [PNG, PNG], "label": [0, 1]}
for kind, what, columns, *words in (
    ("wrong columns", "no picture", {"x": [1]}, "no column of pictures"),
    ("wrong columns", "no bytes", {"image": [{"path": "a.png"}], "label": [0]}, "'bytes'"),
    ("wrong columns", "control characters", {"\x1b[2J\n": [1]}, "no column of pictures"),
    ("wrong type", "words as pictures", {"image": ["text"], "label": [0]}, "string"),
    ("wrong type", "lists as labels", {"image": [PNG], "label": [[0]]}, "label column"),
    ("wrong type", "lists as splits", {**TWO, "split": [["x"], ["y"]]}, "split"),
    ("wrong type", "numbers as votes", {**TWO, "votes": [1, 2]}, "votes"),
    ("wrong type", "words as votes", {**TWO, "votes": [["a"] * 10] * 2}, "votes"),
    ("wrong type", "class names", partial(_named, 7), "class names"),
    ("wrong value", "a label", {"image": [PNG, PNG], "label": [0, 9]}, "row 1", "label 9"),
    ("wrong value", "a split", {**TWO, "usage": ["Training", "x"]}, "row 1", "'x'"),
    ("wrong value", "not a number", {"image": [PNG], "label": [float("nan")]}, "label nan"),
    ("wrong names", "classes", partial(_named, ["x"] * 7), "'x'"),
    ("wrong count", "votes", {**TWO, "votes": [[1, 2], [3]]}, "votes"),
    ("missing value", "no bytes", {"image": [{"bytes": PNG, "path": "a"}, {"bytes": None,
                                   "path": "b"}], "label": [0, 1]}, "row 1", "no picture bytes"),
    ("duplicate id", "twice", {**TWO, "id": ["a", "a"]}, "row 1", "'a'", "unique"),
    ("hostile id", "an escape sequence", {**TWO, "id": ["a", "\x1b[2J"]}, "row 1", "control"),
    ("huge", "an id of a megabyte", {"image": [PNG] * 1000, "id": [f"{i}" for i in range(999)]
                                     + ["x" * 900_000]}, "row 999", "900,000"),
    ("huge", "a picture", lambda: pictures(PNG, images.bomb()), "row 1", "million pixels"),
    ("bomb", "text in a picture", lambda: pictures(images.text_bomb()), "row 0"),
    ("NUL byte", "pictures", {"image": [bytes(99)]}, "row 0", "not a JPEG"),
    ("NUL byte", "in an id", {**TWO, "id": ["a", "b\0c"]}, "row 1", "control"),
    ("formula", "labels", {"image": [PNG], "label": ["=1+1"]}, "'=1+1'"),
    ("truncated", "a picture", {"image": [PNG, PNG[:70]]}, "row 1", "damaged"),
    ("code", "a picture", {"image": [images.EPS]}, "row 0", "not a JPEG"),
    ("deep", "lists in lists", _nested, "nested"),
    ("empty", "no row", {"image": np.array([], dtype="S1")}, "holds no pictures"),
):  # fmt: skip
    add("Parquet", kind, what, made(columns), "a.parquet", *words)

for kind, what, change, *words in (
    ("truncated", "in half", lambda d: d[: len(d) // 2], "damaged"),
    ("empty", "no byte", lambda d: b"", "damaged"),
    ("other content", "web page", lambda d: b"<html>", "damaged"),
    ("other content", "zip", lambda d: b"PK\3\4" + bytes(99), "damaged"),
    ("lying header", "footer of 2 GB", lambda d: d[:-8] + b"\xff\xff\xff\x7fPAR1", "damaged"),
    ("lying header", "no footer", lambda d: d[:-8] + b"\0\0\0\0PAR1", "damaged"),
    ("flipped bit", "in the footer", lambda d: d[:-60] + b"\xff" * 9 + d[-51:], "a.parquet"),
):
    add("Parquet", kind, what, lambda p, change=change: p.put("a.parquet", change(whole())),
        "a.parquet", *words)  # fmt: skip


def repeated(length: int, rows: int) -> Callable[[], object]:
    """`rows` times the same `length` bytes, which Parquet keeps once."""

    def make() -> object:
        import pyarrow as pa

        indices = pa.array(np.zeros(rows, np.int32))
        words = pa.array([bytes(length)], pa.large_binary())
        return pa.table({"image": pa.DictionaryArray.from_arrays(indices, words)})

    return make


add("Parquet", "bomb", "one picture, four billion bytes", made(repeated(2**20, 4000)),
    "a.parquet")  # fmt: skip
add("Parquet", "bomb", "150 MB in one value", made(repeated(150 * 2**20, 1), compression="zstd"),
    "a.parquet", "unpacks to")  # fmt: skip
add("Parquet", "bomb", "in a column nobody asked for",
    made(lambda: pictures(PNG, other=[bytes(150 * 2**20)]), compression="zstd"),
    "a.parquet", "unpacks to")  # fmt: skip
add("Parquet", "too many", "rows", made({"image": np.zeros(600_000, "S1")}),
    "a.parquet", "500,000")  # fmt: skip


@bad("Parquet", "pickle", "a.parquet")
def an_extension_type(place: Place):
    """Older Arrow unpickled a type of one's own from the header: CVE-2023-47248."""
    import pickle

    import pyarrow as pa

    trap = pickle.dumps(Trap(place.canary))
    field = pa.field("image", pa.int64(), metadata={
        "ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": trap,
    })  # fmt: skip
    schema = pa.schema([field])
    return made(lambda: pa.table([pa.array([1])], schema=schema))(place)


@bad("Parquet", "mixed", "several data sets")
def with_arrays(place: Place):
    layouts.write_npz(place.folder / "a.npz", FACES)
    return layouts.write_parquet(place.folder / "b.parquet", FACES).parent


@bad("Parquet", "link", "b.parquet", "broken link")
def to_nowhere(place: Place):
    file = layouts.write_parquet(place.folder / "a.parquet", FACES)
    (file.parent / "b.parquet").symlink_to(place.root / "nowhere")
    return file.parent


@bad("Parquet", "duplicate id", "unique")
def in_two_shards(place: Place):
    columns = {"image": [PNG], "id": ["a"], "label": [0]}
    place.put("train-0.parquet", table(columns))
    return place.put("train-1.parquet", table(columns)).parent


@bad("Parquet", "wrong value", "a.parquet, row 5", "label 9")
def in_a_whole_file(place: Place):
    labels = FACES.labels.copy()
    labels[5] = 9
    return layouts.write_parquet(place.folder / "a.parquet", replace(FACES, labels=labels))
