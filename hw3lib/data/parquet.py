"""Parquet in the Hugging Face form: image bytes, a label, perhaps a split, ids and votes."""

from __future__ import annotations

import io
import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from hw3lib.data.faces import SIZE, UNLABELLED, DataError
from hw3lib.data.images import Decoder
from hw3lib.data.labels import (
    Rows,
    Where,
    as_ids,
    concatenate,
    parse_labels,
    parse_splits,
    parse_votes,
    split_of,
    unlabelled,
)
from hw3lib.data.source import MAX_MEMBERS, MAX_TOTAL, Entry, honest

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

IMAGE = ("image", "img", "picture", "face", "image_bytes", "img_bytes", "bytes")
LABEL = ("label", "labels", "emotion", "target", "class")
SPLIT = ("usage", "split")
ID = ("id", "image_id", "filename", "file_name")
BATCH = 256  # rows of images read at a time, at most
BATCH_BYTES = 2**28  # that they may take, if the largest value stood in each


def read(entries: list[Entry], root: str) -> Rows:
    """Every Parquet file (shards, or one per split), in natural order.

    Ids are the column of that name, else the stems of the images' file names where each has
    its own, else row numbers that go on through the shards of a split.
    """
    parts = [_read_file(entry, root) for entry in entries]
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


def _read_file(entry: Entry, root: str) -> tuple[Rows, bool]:
    """The rows of one file, and whether it has a column of ids."""

    def where(row: int) -> str:
        return f"{entry.where}, row {row}"

    with _open(entry) as file:
        names = {n.strip().casefold(): n for n in reversed(file.schema_arrow.names)}
        image, label, usage, key, votes = (
            next((names[name] for name in known if name in names), None)
            for known in (IMAGE, LABEL, SPLIT, ID, ("votes",))
        )
        if image is None:
            raise DataError(
                f"{entry.where}: no column of images, only "
                f"{', '.join(file.schema_arrow.names)[:80]}; name it {IMAGE[0]!r}"
            )
        table = file.read(sorted({label, usage, key, votes} - {None}))
        images, stems, problems = _images(file, image, entry, where)
    n = len(images)
    entry.place.at = entry.where
    labels = unlabelled(n) if label is None else _labels(table, label, where)
    split = np.full(n, split_of(entry.name, root), dtype="<U16")
    if usage is not None:
        split = parse_splits(table[usage].to_pylist(), where)
    if key is not None:
        stems = [str(value) for value in table[key].to_pylist()]
    counts = None if votes is None else parse_votes(_lists(table[votes], where), where)
    return Rows(images, labels, as_ids(stems, where), split, where, counts, problems), (
        key is not None
    )


def _open(entry: Entry) -> pq.ParquetFile:
    """The file, its size judged from its own header before a page of it is unpacked."""
    import pyarrow.parquet as pq

    data = entry.read()
    file = pq.ParquetFile(io.BytesIO(data))
    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    size = sum(group.total_byte_size for group in groups)
    if not 0 <= file.metadata.num_rows <= MAX_MEMBERS:
        raise DataError(
            f"{entry.where}: {file.metadata.num_rows:,} rows, more than {MAX_MEMBERS:,}; split it"
        )
    if size > honest(len(data), MAX_TOTAL):
        raise DataError(f"{entry.where}: unpacks to {size:,} bytes; use a file that you trust")
    return file


def _images(
    file: pq.ParquetFile, name: str, entry: Entry, where: Where
) -> tuple[np.ndarray, list[str], list[str]]:
    """Decoded images, the stems of their file names ("" for none), and what was changed.

    A few rows at a time: a value that stands in many rows is kept once in the file, and no value
    is longer than its group.
    """
    groups = range(file.metadata.num_row_groups)
    longest = max((file.metadata.row_group(i).total_byte_size for i in groups), default=0)
    size = max(4, min(BATCH, BATCH_BYTES // max(longest, 1)))
    decoder = Decoder()
    images = np.empty((file.metadata.num_rows, SIZE, SIZE), dtype=np.uint8)
    stems: list[str] = []
    for batch in file.iter_batches(size, columns=[name], use_threads=False):
        values, paths = _bytes_of(batch.column(0), where)
        for value, path in zip(values, paths, strict=True):
            row = len(stems)
            entry.place.at = where(row)
            if (data := value.as_py()) is None:
                raise DataError(f"{where(row)}: no image bytes; keep the images in the file")
            images[row] = decoder.decode(data, where(row))
            stems.append(PurePosixPath(str(path)).stem if path else "")
    return images[: len(stems)], stems, decoder.problems()


def _bytes_of(column: pa.Array, where: Where) -> tuple[pa.Array, list]:
    """The bytes of the images and their paths, None where there is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    names: list = [None] * len(column)
    if pa.types.is_struct(column.type):
        fields = [field.name for field in column.type]
        if "bytes" not in fields:
            raise DataError(
                f"{where(0)}: the image column holds {', '.join(fields)[:80]}, not 'bytes'"
            )
        if "path" in fields:
            names = pc.struct_field(column, "path").to_pylist()
        column = pc.struct_field(column, "bytes")
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        kind = str(column.type)[:80]
        raise DataError(f"{where(0)}: the image column is {kind}, not the bytes of a file")
    return column, names


def _labels(table: pa.Table, name: str, where: Where) -> np.ndarray:
    """(N,) int64; a ClassLabel column is read by its own class names, null is UNLABELLED."""
    import pyarrow as pa

    column = table[name]
    if pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type):
        return parse_labels([str(value) for value in _lists(column, where)], where)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return parse_labels(np.array(column.to_pylist(), dtype=object), where)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        kind = str(column.type)[:80]
        raise DataError(f"{where(0)}: the label column is {kind}, not numbers or names")
    values = np.array([UNLABELLED if v is None else v for v in column.to_pylist()])
    return parse_labels(values, where, _class_names(table, name, where))


def _class_names(table: pa.Table, name: str, where: Where) -> list[str] | None:
    try:
        info = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}"))
        classes = info.get("info", {}).get("features", {}).get(name, {}).get("names")
    except (ValueError, AttributeError, RecursionError):
        return None
    if classes is None or (isinstance(classes, list) and all(isinstance(c, str) for c in classes)):
        return classes
    raise DataError(f"{where(0)}: the header's class names are no list of names; remove them")


def _lists(column: pa.ChunkedArray, where: Where) -> list[list]:
    values = column.to_pylist()
    for row, value in enumerate(values):
        if not isinstance(value, list):
            kind = str(column.type)[:80]
            raise DataError(f"{where(row)}: {kind} instead of a list of numbers; correct it")
    return values
