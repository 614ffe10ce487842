"""Parquet in the Hugging Face form: picture bytes, a label, perhaps a split, ids and votes."""

from __future__ import annotations

import io
import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from hw3lib.data.decode import Decoder
from hw3lib.data.faces import SIZE, UNLABELLED, DataError
from hw3lib.data.names import parse_labels, parse_splits, split_of, unlabelled
from hw3lib.data.rows import Rows, concatenate
from hw3lib.data.source import Entry, Source

if TYPE_CHECKING:
    import pyarrow as pa

LAYOUT = "parquet"
_PICTURE = ("image", "img", "picture", "image_bytes", "img_bytes", "bytes")
_LABEL = ("label", "labels", "emotion")
_SPLIT = ("usage", "split")
_ID = ("id", "image_id")


def read(source: Source, entries: list[Entry]) -> Rows:
    """Every Parquet file (shards, or one per split), in natural order.

    Ids are the column of that name, else the stems of the pictures' file names where each has
    its own, else row numbers that go on through the shards of a split.
    """
    parts = [_read_file(source, entry) for entry in entries]
    rows = concatenate([part for part, _ in parts])
    if not all(named for _, named in parts):
        keys = set(zip(rows.split.tolist(), rows.ids.tolist(), strict=True))
        if len(keys) < len(rows.ids) or any(name == "" for _, name in keys):
            rows.ids = _number_on([split_of(e.name) for e in entries], [p for p, _ in parts])
    return rows


def _number_on(splits: list[str], parts: list[Rows]) -> np.ndarray:
    counts = dict.fromkeys(splits, 0)
    numbers = []
    for split, part in zip(splits, parts, strict=True):
        numbers.append(np.arange(counts[split], counts[split] + len(part.ids)).astype(str))
        counts[split] += len(part.ids)
    return np.concatenate(numbers)


def _read_file(source: Source, entry: Entry) -> tuple[Rows, bool]:
    """The rows of one file, and whether it has a column of ids."""
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(entry.read()))
    except DataError:
        raise
    except Exception as error:  # damaged bytes raise many kinds in Arrow and its decoders
        reason = (str(error).splitlines() or ["unreadable"])[0][:80]
        raise DataError(
            f"{entry.where}: no Parquet file, or a damaged one ({reason}); download it again"
        ) from None
    columns = {name.strip().casefold(): name for name in reversed(table.column_names)}
    picture, label = _find(columns, _PICTURE), _find(columns, _LABEL)
    if picture is None:
        raise DataError(
            f"{entry.where}: no column of pictures, only {', '.join(table.column_names)[:80]}; "
            f"name it {_PICTURE[0]!r}"
        )

    def where(row: int) -> str:
        return f"{entry.where}, row {row}"

    images, stems, problems = _pictures(table[picture], where)
    n = len(images)
    labels = unlabelled(n) if label is None else _labels(table, label, where)
    split = np.full(n, split_of(entry.name, source.root), dtype="<U16")
    if (usage := _find(columns, _SPLIT)) is not None:
        split = parse_splits(table[usage].to_pylist(), where)
    if (key := _find(columns, _ID)) is not None:
        stems = [str(value) for value in table[key].to_pylist()]
    votes = _votes(table[columns["votes"]], where) if "votes" in columns else None
    ids = np.array(stems, dtype=str)
    return Rows(images, labels, ids, split, where, votes, problems), key is not None


def _find(columns: dict[str, str], names: tuple[str, ...]) -> str | None:
    return next((columns[name] for name in names if name in columns), None)


def _pictures(column: pa.ChunkedArray, where) -> tuple[np.ndarray, list[str], list[str]]:
    """Decoded pictures, the stems of their file names ("" for none), and what was changed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    names: list = [None] * len(column)
    if pa.types.is_struct(column.type):
        fields = [field.name for field in column.type]
        if "bytes" not in fields:
            raise DataError(f"{where(0)}: the picture column holds {fields}, not 'bytes'")
        if "path" in fields:
            names = pc.struct_field(column, "path").to_pylist()
        column = pc.struct_field(column, "bytes")
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        raise DataError(f"{where(0)}: the picture column is {column.type}, not the bytes of a file")
    decoder = Decoder()
    images = np.empty((len(column), SIZE, SIZE), dtype=np.uint8)
    row = 0
    for chunk in column.chunks:
        for value in chunk:
            data = value.as_py()
            if data is None:
                raise DataError(f"{where(row)}: no picture bytes; keep the pictures in the file")
            images[row] = decoder.decode(data, where(row))
            row += 1
    stems = [PurePosixPath(name).stem if name else "" for name in names]
    return images, stems, decoder.problems()


def _labels(table: pa.Table, name: str, where) -> np.ndarray:
    """(N,) int64; a ClassLabel column is read by its own class names, null is UNLABELLED."""
    import pyarrow as pa

    column = table[name]
    try:
        info = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}"))
        classes = info.get("info", {}).get("features", {}).get(name, {}).get("names")
    except (ValueError, AttributeError):
        classes = None
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return parse_labels(np.array(column.to_pylist(), dtype=object), where)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise DataError(f"{where(0)}: the label column is {column.type}, not numbers or names")
    values = np.array([UNLABELLED if v is None else v for v in column.to_pylist()])
    return parse_labels(values, where, classes)


def _votes(column: pa.ChunkedArray, where) -> np.ndarray:
    """(N, 10) uint8 FER+ votes."""
    values = column.to_pylist()
    for row, vote in enumerate(values):
        if vote is None or len(vote) != 10 or not all(0 <= (v or 0) <= 255 for v in vote):
            raise DataError(f"{where(row)}: votes must be 10 counts, as in FER+; correct them")
    return np.array([[v or 0 for v in vote] for vote in values], dtype=np.uint8).reshape(-1, 10)
