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
from hw3lib.data.rows import Rows, concatenate, row_numbers
from hw3lib.data.source import Entry, Source

if TYPE_CHECKING:
    import pyarrow as pa

LAYOUT = "parquet"
_PICTURE = ("image", "img", "picture", "image_bytes", "img_bytes", "bytes")
_LABEL = ("label", "labels", "emotion")
_SPLIT = ("usage", "split")
_ID = ("id", "image_id")


def read(source: Source, entries: list[Entry]) -> Rows:
    """Every Parquet file (shards, or one per split), in natural order."""
    return concatenate([_read_file(source, entry) for entry in entries])


def _read_file(source: Source, entry: Entry) -> Rows:
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
        ids = np.array([str(v) for v in table[key].to_pylist()], dtype=str)
    else:
        ids = stems if stems is not None else row_numbers(n)
    votes = _votes(table["votes"], where) if "votes" in columns else None
    return Rows(images, labels, ids, split, where, votes, problems)


def _find(columns: dict[str, str], names: tuple[str, ...]) -> str | None:
    return next((columns[name] for name in names if name in columns), None)


def _pictures(column: pa.ChunkedArray, where) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
    """Decoded pictures, and the stems of their file names where all have one of their own."""
    import pyarrow as pa
    import pyarrow.compute as pc

    names: list = []
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
    stems = [PurePosixPath(name).stem for name in names if name]
    own = len(stems) == len(images) == len(set(stems))
    return images, np.array(stems, dtype=str) if own else None, decoder.problems()


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
