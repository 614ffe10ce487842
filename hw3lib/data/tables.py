"""Tables as text: images as rows of pixels, labels of image files, votes of FER+.

The course's spring edition and Kaggle's FER2013 in all its files; the course's fall edition, whose
table `id,label` speaks of image files; FER+ (Barsoum et al. 2016). A header says which columns
there are, by any of their usual names and with any delimiter; a table without one is known by what
its first row holds. What is said by several columns (a pixel each, votes, one-hot labels) is read
as if one column held their cells.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from hw3lib.data.faces import SIZE, DataError
from hw3lib.data.images import as_bytes
from hw3lib.data.labels import (
    VOTES,
    Rows,
    class_index,
    concatenate,
    find_columns,
    make_rows,
    plain,
    split_of,
    split_word,
)
from hw3lib.data.source import Entry, code_page

DELIMITERS = ",;\t|"
MAX_ROWS = 500_000
MAX_LINE = 2**20  # letters; a row of 2,304 pixels has about 8,500
N_PIXELS = SIZE * SIZE
_BLANKS = str.maketrans("[](){},;:|\t\"'", " " * 13)  # of pixel lists in other notations
_PREDICTED = re.compile("sample|submission|prediction", re.IGNORECASE)  # not labels
_FIX = "use the CSV that it was made for, or take it away"


@dataclass
class Table:
    """One table: the names of its columns, and for each role the positions of those that fill it.

    The roles are pixels, labels, ids, split and votes.
    """

    entry: Entry
    names: list[str]
    roles: dict[str, list[int]]
    delimiter: str = ","
    header: bool = True

    @property
    def kind(self) -> str:
        """pixels, votes (FER+, by row), labels or predictions (by file name), or no faces."""
        if "pixels" in self.roles:
            return "pixels"
        if {"votes", "split"} <= self.roles.keys():
            return "votes"
        if "ids" in self.roles and {"votes", "labels"} & self.roles.keys():
            return "predictions" if _PREDICTED.search(self.entry.path.stem) else "labels"
        return "no faces"

    def rows(self) -> Iterator[tuple[str, list[str]]]:
        """The place and the cells of every row; blank lines are passed over."""
        lines = lines_of(self.entry)
        reader = csv.reader(lines, delimiter=self.delimiter, skipinitialspace=True, strict=True)
        row = 0 - self.header
        try:
            for cells in reader:
                place = f"{self.entry.where}, row {row} (line {reader.line_num})"
                if not any(map(str.strip, cells)):
                    continue
                if row >= MAX_ROWS:
                    raise DataError(f"{place}: more than {MAX_ROWS:,} rows; split the table")
                if len(cells) != len(self.names):
                    raise DataError(
                        f"{place}: {len(cells)} fields, but the header names "
                        f"{len(self.names)}; correct the row"
                    )
                if row >= 0:
                    yield place, cells
                row += 1
        except csv.Error as error:
            place = f"{self.entry.where}, row {row} (line {reader.line_num})"
            raise DataError(f"{place}: not a row of CSV ({error}); correct it") from None

    def read(self) -> tuple[dict[str, list], list[str]]:
        """The texts of each role, pixels as arrays, and the places of the rows."""
        columns: dict[str, list] = {role: [] for role in self.roles}
        places = []
        for place, cells in self.rows():
            places.append(place)
            for role, positions in self.roles.items():
                blank = "0" if role == "votes" else ""
                text = " ".join([cells[i].strip() or blank for i in positions])
                columns[role].append(parse_pixels(text, place) if role == "pixels" else text)
        return columns, places


def lines_of(entry: Entry) -> Iterator[str]:
    """The lines of a file, in whichever code page it is written."""
    stream = io.BufferedReader(entry.open(), 2**20)
    head = stream.peek(2**16)
    utf16 = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # Excel's "Unicode text"
    code = "utf-16" if utf16 else code_page(head)
    with io.TextIOWrapper(stream, code, "replace", newline="") as text:
        while line := text.readline(MAX_LINE):
            yield line


def open_table(entry: Entry) -> Table:
    """Find out the delimiter and the columns from the first two lines that are not blank."""
    head = [*islice(filter(str.strip, lines_of(entry)), 2)]
    best = Table(entry, [], {})
    for delimiter in DELIMITERS:
        first, second = (_cells("".join(head[i : i + 1]), delimiter) for i in range(2))
        guessed = _guess(first)
        names = guessed or [plain(name) for name in first]
        roles = _roles(names, first if guessed else second)
        found = Table(entry, names, roles, delimiter, header=not guessed)
        if found.kind != "no faces":
            return found
        best = max(best, found, key=lambda table: len(table.names))
    return best


def _cells(line: str, delimiter: str) -> list[str]:
    with contextlib.suppress(csv.Error):  # a cell of more than 131 kB
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    return []


def _guess(cells: list[str]) -> list[str]:
    """The columns of a table without a header, from its first row; [] where it says nothing."""
    if len(cells) == 12 and cells[1].startswith("(") and "".join(cells[2:]).isdecimal():
        return ["imagename", "box", *VOTES]  # as FER+ writes its folders
    if any(map(_holds_pixels, cells)):
        return [
            "label" if class_index(cell) is not None else "usage" if split_word(cell) else "other"
            for cell in cells
        ]
    return []


def _holds_pixels(cell: str) -> bool:
    return len(cell.translate(_BLANKS).split()) == N_PIXELS


def _roles(names: list[str], row: list[str]) -> dict[str, list[int]]:
    """What the columns are, by their names and by what a row holds."""
    of = {role: [position] for role, position in find_columns(names).items()}
    each = [i for i, name in enumerate(names) if re.fullmatch(r"\D{0,9}\d{1,4}", name)]
    votes = [names.index(name) for name in VOTES if name in names]
    classes = [class_index(name) if name.isalpha() else None for name in names]
    hot = [classes.index(i) for i in range(7) if i in classes]
    pixels = [i for i, cell in enumerate(row) if _holds_pixels(cell)][:1]
    pixels = pixels or of.get("pixels", [])
    roles = {
        "pixels": pixels or each * (len(each) == N_PIXELS),
        "votes": votes if len(votes) == len(VOTES) else [],
        "labels": of.get("labels") or hot * (len(hot) == 7 and len(votes) < len(VOTES)),
        "ids": of.get("ids") or [i for i in of.get("images", []) if i not in pixels],
        "split": of.get("split"),
    }
    return {role: positions for role, positions in roles.items() if positions}


def parse_pixels(text: str, place: str) -> np.ndarray:
    """(2304,) uint8 where all of the numbers are whole, else float32."""
    text = text.translate(_BLANKS)
    whole = "." not in text
    try:  # NumPy is slow at fractions, float() at whole numbers
        pixels = np.fromstring(text, int, sep=" ") if whole else [*map(float, text.split())]
    except ValueError:
        raise DataError(
            f"{place}: pixels are numbers, whole from 0 to 255; correct the row"
        ) from None
    if len(pixels) != N_PIXELS:
        raise DataError(
            f"{place}: {len(pixels):,} pixels instead of {N_PIXELS:,} ({SIZE} x {SIZE}); correct "
            "or remove the row"
        )
    return as_bytes(pixels[None], [place])[0] if whole else np.array(pixels, np.float32)


def read(tables: list[Table], votes: list[Table]) -> tuple[Rows, str]:
    """The images of all tables; FER+ votes join a table that has a Usage column."""
    tables = _choose(tables)
    rows = concatenate([*map(_read_table, tables)])
    if votes and any("split" in table.roles for table in tables):
        rows.votes = _join_votes(votes[0], rows)
    elif votes:
        votes[0].entry.unused = "FER+ votes join a CSV with a Usage column only"
    course = any("feature" in table.names for table in tables)
    return rows, "course-csv" if course else "kaggle-csv"


def _choose(tables: list[Table]) -> list[Table]:
    """A table with a Usage column is the whole data set; without it, one table per split."""
    whole = [table for table in tables if "split" in table.roles]
    if len(whole) == 1:
        for table in tables:
            if table is not whole[0]:
                table.entry.unused = f"{whole[0].entry.name} holds every split"
        return whole
    seen: dict[str, Table] = {}
    for table in tables:
        split = "all" if table in whole else split_of(table.entry.name)
        if seen.setdefault(split, table) is not table:
            raise DataError(
                f"{table.entry.where}: holds the same part as {seen[split].entry.where}; "
                "give the path of one of them"
            )
    return tables


def _read_table(table: Table) -> Rows:
    columns, places = table.read()
    pixels = np.array(columns["pixels"]).reshape(-1, SIZE, SIZE)
    split = split_of(table.entry.name)
    return make_rows(as_bytes(pixels, places), places, columns, split=split)


def _join_votes(table: Table, rows: Rows) -> np.ndarray:
    """(N, 10) uint8 votes, joined by row order: "Image name" numbers images with gaps."""
    columns, places = table.read()
    told = make_rows(np.empty(len(places)), places, columns)
    for place, one, other in zip(places, told.split, rows.split, strict=False):
        if one != other:
            raise DataError(f"{place}: Usage is not that of {rows.places[0]}; {_FIX}")
    if len(places) != len(rows.split):
        raise DataError(
            f"{table.entry.where}: not the {len(rows.split)} rows of {rows.places[0]}; {_FIX}"
        )
    return told.votes
