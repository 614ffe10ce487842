"""CSV with the pixels as text: the course's spring edition and Kaggle's FER2013 in all its files.

One reader for `label,feature`, `id,feature`, `emotion,pixels,Usage`, `emotion, Usage, pixels`,
`emotion,pixels` and `pixels`: the header says which columns there are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hw3lib.data.faces import SIZE, DataError
from hw3lib.data.names import parse_label, parse_splits, split_of, unlabelled
from hw3lib.data.readers import ferplus
from hw3lib.data.rows import Rows, as_ids, concatenate, row_numbers
from hw3lib.data.source import Source
from hw3lib.data.table import ID, LABEL, PIXELS, USAGE, Table

N_PIXELS = SIZE * SIZE
_BLOCK = 32  # rows parsed together: 270 kB of text, which stays in the processor's cache


def layout_of(tables: list[Table]) -> str:
    """course-csv or kaggle-csv, by the name of the column."""
    return "course-csv" if any("feature" in t.columns for t in tables) else "kaggle-csv"


def read(source: Source, tables: list[Table], votes: list[Table]) -> Rows:
    """The pictures of all tables; FER+ votes join a table that has a Usage column."""
    tables, skipped = _choose(source, tables)
    whole = [t for t in tables if t.find(USAGE) is not None]
    rows = concatenate([_read_table(source, t) for t in tables])
    rows.problems += skipped
    if votes and whole:
        rows.votes = ferplus.read(votes[0], rows)
    elif votes:
        rows.problems.append(
            f"{votes[0].entry.where} not read: FER+ votes join a CSV with a Usage column only"
        )
    return rows


def _choose(source: Source, tables: list[Table]) -> tuple[list[Table], list[str]]:
    """A table with a Usage column is the whole data set; without it, one table per split."""
    whole = [t for t in tables if t.find(USAGE) is not None]
    if len(whole) == 1:
        rest = [t.entry.where for t in tables if t is not whole[0]]
        return whole, [f"{w} not read: {whole[0].entry.name} holds every split" for w in rest]
    seen: dict[str, Table] = {}
    for table in tables:
        split = "all" if table in whole else split_of(table.entry.name, source.root)
        if split in seen:
            raise DataError(
                f"{table.entry.where}: holds the same part as {seen[split].entry.where}; "
                "give the path of one of them"
            )
        seen[split] = table
    return tables, []


def _read_table(source: Source, table: Table) -> Rows:
    pixel, label, key, usage = (table.find(names) for names in (PIXELS, LABEL, ID, USAGE))
    blocks: list[np.ndarray] = []
    texts: list[bytes] = []
    labels, ids, splits = [], [], []
    done = 0
    for row, fields in enumerate(table.rows()):
        texts.append(fields[pixel])
        if label is not None:
            labels.append(fields[label])
        if key is not None:
            ids.append(fields[key].strip().decode("utf-8", errors="replace"))
        if usage is not None:
            splits.append(fields[usage].decode("utf-8", "replace"))
        if len(texts) == _BLOCK:
            blocks.append(parse_pixels(texts, lambda i, start=done: table.where(start + i)))
            done, texts = row + 1, []
    blocks.append(parse_pixels(texts, lambda i: table.where(done + i)))
    images = np.concatenate(blocks).reshape(-1, SIZE, SIZE)
    n = len(images)
    split = np.full(n, split_of(table.entry.name, source.root), dtype="<U16")
    return Rows(
        images,
        unlabelled(n) if label is None else _labels(labels, table),
        row_numbers(n) if key is None else as_ids(ids, table.where),
        split if usage is None else parse_splits(splits, table.where),
        table.where,
    )


def _labels(values: list[bytes], table: Table) -> np.ndarray:
    """(N,) int64; each distinct value is parsed once, a fault names its first row."""
    known: dict[bytes, int] = {}
    for row, value in enumerate(values):
        if value not in known:
            known[value] = parse_label(value.decode("utf-8", "replace").strip(), table.where(row))
    return np.array([known[value] for value in values], dtype=np.int64)


def parse_pixels(texts: list[bytes], where: Callable[[int], str]) -> np.ndarray:
    """Rows of 2,304 whole numbers with blanks between them -> (n, 2304) uint8.

    All rows at once: every byte that ends a number gets its value from itself and the two
    digits before it, which is about three times as fast as NumPy's own parser.
    """
    if not texts:
        return np.empty((0, N_PIXELS), dtype=np.uint8)
    text = np.frombuffer(b"   " + b"\n".join(texts) + b"\n", dtype=np.uint8)
    digit = text - np.uint8(48)  # blanks wrap round to large numbers
    is_digit = digit < 10
    digit *= is_digit
    one, two, three = is_digit[2:-2], is_digit[1:-3], is_digit[:-4]  # 1, 2, 3 bytes before
    ends = is_digit[3:-1] & ~is_digit[4:]
    hundreds = digit[1:-3] * one
    at = np.flatnonzero(ends)
    value = digit[3:-1][at] + np.uint16(10) * digit[2:-2][at] + np.uint16(100) * hundreds[at]
    breaks = text == 10
    counts = np.diff(np.searchsorted(at, np.flatnonzero(breaks) - 3), prepend=0)
    known = np.count_nonzero(is_digit) + np.count_nonzero(text == 32) + np.count_nonzero(breaks)
    if (
        known < len(text)
        or (counts != N_PIXELS).any()
        or (value > 255).any()
        or (ends & one & two & three).any()
    ):
        raise _fault(texts, where)
    return value.astype(np.uint8).reshape(-1, N_PIXELS)


def _fault(texts: list[bytes], where: Callable[[int], str]) -> DataError:
    for row, text in enumerate(texts):
        words = text.split()
        for i, word in enumerate(words):
            if not word.isdigit() or int(word[:9]) > 255 or len(word) > 3:
                shown = word[:12].decode("ascii", "backslashreplace")
                return DataError(
                    f"{where(row)}: pixel {i} is {shown!r}; pixels are whole numbers 0 to 255, "
                    "correct the row"
                )
        if len(words) != N_PIXELS:
            return DataError(
                f"{where(row)}: {len(words):,} pixels instead of {N_PIXELS:,} ({SIZE} x {SIZE}); "
                "correct or remove the row"
            )
    return DataError(f"{where(0)}: pixels must be separated by blanks; save the table again")
