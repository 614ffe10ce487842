"""FER+ votes (fer2013new.csv, Barsoum et al. 2016), joined to a Kaggle CSV by row order.

Its column "Image name" numbers pictures with gaps and is no row number, so it is not used.
"""

from __future__ import annotations

import numpy as np

from hw3lib.data.faces import DataError
from hw3lib.data.names import split_word
from hw3lib.data.rows import Rows
from hw3lib.data.table import USAGE, Table

COLUMNS = (
    "neutral", "happiness", "surprise", "sadness", "anger",
    "disgust", "fear", "contempt", "unknown", "nf",
)  # fmt: skip


def read(table: Table, rows: Rows) -> np.ndarray:
    """(N, 10) uint8 votes in the order of COLUMNS.

    Raises
    ------
    DataError
        if the two files do not have the same rows, by number and by their Usage column.
    """
    columns = [table.find((name,)) for name in COLUMNS]
    usage = table.find(USAGE)
    mend = "use the CSV that it was made for, or take it away"
    if None in columns or usage is None:
        raise DataError(f"{table.entry.where}: FER+ needs the columns {', '.join(COLUMNS)}")
    votes = []
    for row, fields in enumerate(table.rows()):
        if row >= len(rows.split):
            break
        if split_word(fields[usage].decode("utf-8", "replace")) != rows.split[row]:
            raise DataError(f"{table.where(row)}: Usage is not that of {rows.where(row)}; {mend}")
        counts = [fields[column].strip() or b"0" for column in columns]
        if not all(count.isdigit() and len(count) <= 3 and int(count) <= 255 for count in counts):
            raise DataError(f"{table.where(row)}: votes must be whole numbers 0 to 255; {mend}")
        votes.append([int(count) for count in counts])
    if len(table.lines) != len(rows.split):
        raise DataError(
            f"{table.entry.where}: not the {len(rows.split)} rows of {rows.where(0)}; {mend}"
        )
    return np.array(votes, dtype=np.uint8).reshape(-1, len(COLUMNS))
