"""Parquet in the Hugging Face form: image bytes, a label, perhaps a split, ids and votes."""

from __future__ import annotations

import contextlib
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from hw3lib.data.faces import CLASSES, UNLABELLED, DataError
from hw3lib.data.images import open_image, rows_of, to_faces
from hw3lib.data.labels import Rows, concatenate, find_columns, make_rows, split_of
from hw3lib.data.source import MAX_MEMBERS, MAX_TOTAL, Entry, unpack_limit

if TYPE_CHECKING:
    import pyarrow.parquet as pq

BATCH = 256  # rows of images read at a time, at most
BATCH_BYTES = 2**28  # that they may take, if the largest value stood in each


def read(entries: list[Entry]) -> tuple[Rows, str]:
    """Every Parquet file (shards, or one per split), in natural order.

    Ids are the column of that name, else the stems of the images' file names where each has
    its own, else row numbers that go on through the shards of a split.
    """
    parts = [_read_file(entry) for entry in entries]
    rows = concatenate([part for part, _ in parts])
    names = set(zip(rows.split.tolist(), rows.ids.tolist(), strict=True))
    unique = len(names) == len(rows.ids) and all(name for _, name in names)
    if not unique and not all(keyed for _, keyed in parts):
        counts: Counter[str] = Counter()
        numbers = []
        for entry, (part, _) in zip(entries, parts, strict=True):
            split = split_of(entry.name)
            numbers.append(np.arange(counts[split], counts[split] + len(part.ids)).astype(str))
            counts[split] += len(part.ids)
        rows.ids = np.concatenate(numbers)
    return rows, "parquet"


def _read_file(entry: Entry) -> tuple[Rows, bool]:
    """The rows of one file, and whether it has a column of ids."""
    with _open(entry) as file:
        names = file.schema_arrow.names
        found = {role: names[i] for role, i in find_columns(names).items() if role != "pixels"}
        if "images" not in found:
            raise DataError(
                f"{entry.where}: no column of images, only {', '.join(names)[:80]}; name it 'image'"
            )
        image = found.pop("images")
        table = file.read(sorted(set(found.values())))
        columns = {role: [*map(_text, table[name].to_pylist())] for role, name in found.items()}
        if "labels" in columns:
            columns["labels"] = [text or str(UNLABELLED) for text in columns["labels"]]
        places, stems = rows_of(entry.where, file.metadata.num_rows), []
        images, problems = to_faces(_images(file, image, entry, places, stems), places)
    entry.now_reading()
    classes = _class_names(table.schema.metadata or {}, found.get("labels", ""))
    columns, split = {"ids": stems, **columns}, split_of(entry.name)
    rows = make_rows(images, places, columns, split=split, classes=classes, problems=problems)
    return rows, "ids" in found


def _class_names(metadata: dict[bytes, bytes], column: str) -> Sequence[str]:
    """What the numbers of a Hugging Face ClassLabel mean; CLASSES where nothing says it."""
    with contextlib.suppress(ValueError, AttributeError, KeyError):
        about = json.loads(metadata[b"huggingface"])
        return [*map(str, about["info"]["features"][column]["names"])] or CLASSES
    return CLASSES


def _open(entry: Entry) -> pq.ParquetFile:
    """The file, its size judged from its own header before a page of it is unpacked."""
    import pyarrow.parquet as pq  # which machines that only train may lack

    data = entry.read()
    file = pq.ParquetFile(io.BytesIO(data))
    size = sum(_bytes_of_groups(file))
    if not 0 <= file.metadata.num_rows <= MAX_MEMBERS:
        raise DataError(
            f"{entry.where}: {file.metadata.num_rows:,} rows, more than {MAX_MEMBERS:,}; split it"
        )
    if size > unpack_limit(len(data), MAX_TOTAL):
        raise DataError(f"{entry.where}: unpacks to {size:,} bytes; use a file that you trust")
    return file


def _bytes_of_groups(file: pq.ParquetFile) -> list[int]:
    groups = range(file.metadata.num_row_groups)
    return [file.metadata.row_group(i).total_byte_size for i in groups]


def _text(value: object) -> str:
    """What a cell says; "" for null, numbers of a list with blanks between them."""
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value)


def _images(
    file: pq.ParquetFile, column: str, entry: Entry, places: list[str], stems: list[str]
) -> Iterator[Image.Image]:
    """The images; the stems of their file names, "" for none, go to `stems`.

    A few rows at a time: a value that stands in many rows is kept once in the file, and no value
    is longer than its group.
    """
    longest = max(_bytes_of_groups(file), default=0)
    size = max(4, min(BATCH, BATCH_BYTES // max(longest, 1)))
    for batch in file.iter_batches(size, columns=[column], use_threads=False):
        for cell in batch.column(0):
            place = places[len(stems)]
            entry.now_reading(place)
            value = cell.as_py()
            value = value if isinstance(value, dict) else {"bytes": value}
            if not isinstance(value.get("bytes"), bytes):
                raise DataError(f"{place}: no image bytes; keep the images in the file, as 'bytes'")
            stems.append(PurePosixPath(str(value.get("path") or "")).stem)
            yield open_image(value["bytes"], place)
