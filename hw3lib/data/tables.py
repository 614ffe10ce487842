"""Tables as text: images as rows of pixels, labels of image files, votes of FER+.

The course's spring edition and Kaggle's FER2013 in all its files; the course's fall edition, whose
table `id,label` speaks of image files; FER+ (Barsoum et al. 2016). A header says which columns
there are, by any of their usual names and with any delimiter; a table without one is known by what
its first row holds.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

import numpy as np

from hw3lib.data.faces import SIZE, UNLABELLED, DataError
from hw3lib.data.images import as_bytes, decode_all
from hw3lib.data.labels import (
    VOTES,
    Rows,
    Where,
    as_ids,
    class_index,
    concatenate,
    majority,
    parse_labels,
    parse_splits,
    parse_votes,
    row_numbers,
    split_of,
    split_of_image,
    split_word,
    unlabelled,
)
from hw3lib.data.source import Entry, code_page

NAMES = """
pixels: pixels pixel feature features imagepixels pixelvalues 像素 特徵
label: label labels emotion emotions class target expression y 標籤 類別 情緒 表情
id: id imageid image imagename filename file name path img picture 編號 檔名 圖片
usage: usage split set subset partition 用途 資料集
"""  # what columns are called; blanks, dashes, quotes and capitals do not count
PIXELS, LABEL, ID, USAGE = (line.split()[1:] for line in NAMES.strip().splitlines())
DELIMITERS = ",;\t|"
MAX_ROWS = 500_000
N_PIXELS = SIZE * SIZE
_NO_LABELS = ("sample", "submission", "prediction")
_BLOCK = 32  # rows parsed together: 270 kB of text, which stays in the processor's cache
_BLANKS = bytes.maketrans(b"[](){},;:|\t\"'", b" " * 13)  # of pixel lists in other notations
_NUMBER = rb"[+-]?(\d{1,20}(\.\d{0,20})?|\.\d{1,20})(e[+-]?\d{1,3})?"
_FIX = "use the CSV that it was made for, or take it away"


@dataclass
class Table:
    """One table. `columns` are its names in lower case, without blanks, dashes and quotes.

    `lines` collects the line number in the file of every row read (the header is line 1).
    """

    entry: Entry
    columns: list[str]
    delimiter: str = ","
    codec: str = "utf-8"
    header: bool = True
    lines: list[int] = field(default_factory=list)

    @cached_property
    def kind(self) -> str:
        """pixels, labels, votes (FER+), predictions (by file name) or other."""
        columns = set(self.columns)
        if self.find(PIXELS) is not None or self.wide:
            return "pixels"
        if {"usage", *VOTES[:2]} <= columns and "nf" in columns:
            return "votes"
        if self.find(ID) is not None and (self.find(LABEL) is not None or self.hot or self.voted):
            name = self.entry.stem.casefold()
            return "predictions" if any(word in name for word in _NO_LABELS) else "labels"
        return "other"

    @cached_property
    def wide(self) -> slice | None:
        """The columns of a table with one column for each pixel."""
        numbered = [bool(re.fullmatch(r"\D{0,9}\d{1,4}", name)) for name in self.columns]
        if sum(numbered) != N_PIXELS:
            return None
        first = numbered.index(True)
        return slice(first, first + N_PIXELS) if all(numbered[first : first + N_PIXELS]) else None

    @cached_property
    def hot(self) -> list[int]:
        """The columns of a one-hot label, in the order of CLASSES; [] where there are none."""
        if self.voted:
            return []
        classes = [class_index(n) if n.isalpha() else None for n in self.columns]
        return [classes.index(i) for i in range(7)] if set(range(7)) <= set(classes) else []

    @cached_property
    def voted(self) -> list[int]:
        """The columns of FER+ votes, in their order; [] where one is missing."""
        found = [self.find((name,)) for name in VOTES]
        return [] if None in found else found

    def find(self, names: Sequence[str]) -> int | None:
        """The position of the first of these columns, or None."""
        return next((self.columns.index(n) for n in names if n in self.columns), None)

    def where(self, row: int) -> str:
        """The place of a row (from 0) for a message."""
        line = f" (line {self.lines[row]})" if row < len(self.lines) else ""
        return f"{self.entry.where}, row {row}{line}"

    def text(self, cell: bytes) -> str:
        return cell.decode(self.codec, "replace").strip()

    def rows(self) -> Iterator[list[bytes]]:
        """The fields of every row; blank lines are passed over.

        Raises
        ------
        DataError
            for a row that has more or fewer fields than the header, and for too many rows.
        """
        mark, self.lines = self.delimiter.encode(), []
        for number, line in enumerate(self.entry.lines(), start=1):
            if (number == 1 and self.header) or not line.strip():
                continue
            self.lines.append(number)
            if len(self.lines) > MAX_ROWS:
                raise DataError(f"{self.entry.where}: more than {MAX_ROWS:,} rows; split the table")
            fields = self._unquoted(line) if b'"' in line else line.split(mark)
            if len(fields) != len(self.columns):
                raise DataError(
                    f"{self.where(len(self.lines) - 1)}: {len(fields)} fields, but the header "
                    f"names {len(self.columns)}; correct the row"
                )
            yield fields

    def _unquoted(self, line: bytes) -> list[bytes]:
        try:
            cells = _split(line.decode("latin-1"), self.delimiter)  # which keeps every byte
        except csv.Error as error:
            place = self.where(len(self.lines) - 1)
            raise DataError(f"{place}: not a row of CSV ({error}); correct the row") from None
        return [cell.encode("latin-1") for cell in cells]

    def labels(self, rows: Sequence[list[bytes]]) -> np.ndarray:
        """(n,) int64 of these rows, by the label's column or the one-hot columns."""
        column = self.find(LABEL)
        if column is None:
            cells = [" ".join(self.text(row[i]) for i in self.hot) for row in rows]
        else:
            cells = [self.text(row[column]) for row in rows]
        return parse_labels(np.array(cells, dtype=object), self.where)


def _split(line: str, delimiter: str) -> list[str]:
    cells = csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True)
    return next(cells, [])


def open_table(entry: Entry) -> Table:
    """Find out delimiter, code page and columns from the first line.

    Raises
    ------
    DataError
        where the file is no text.
    """
    line = next(entry.lines(), b"").removeprefix(b"\xef\xbb\xbf")
    if b"\0" in line:
        raise DataError(f"{entry.where}: not UTF-8 text; save the table again as CSV, UTF-8")
    codec = code_page([line])
    text = line.decode(codec)
    best = Table(entry, [], codec=codec)
    for delimiter in DELIMITERS:
        try:
            cells = _split(text, delimiter)
        except csv.Error:  # carriage returns alone as line ends, a field of 131 kB
            continue
        names = [re.sub(r"[\s_\"'-]", "", cell).casefold() for cell in cells]
        found = Table(entry, names, delimiter, codec)
        if found.kind == "other" and (guessed := _guess(cells)):
            found = Table(entry, guessed, delimiter, codec, header=False)
        if found.kind != "other":
            return found
        best = max(best, found, key=lambda table: len(table.columns))
    return best


def _guess(cells: list[str]) -> list[str]:
    """The columns of a table without a header, from its first row; [] where it says nothing."""
    if len(cells) == 12 and cells[1].startswith("(") and all(c.isdecimal() for c in cells[2:]):
        return ["imagename", "box", *VOTES]  # as FER+ writes its folders
    numbers = [len(cell.split()) for cell in cells]
    if N_PIXELS in numbers:
        at = numbers.index(N_PIXELS)
        kinds = ["label" if class_index(c) is not None else "usage" if split_word(c) else "other"
                 for c in cells]  # fmt: skip
        kinds[at] = "pixels"
        return kinds
    return []


# pixels


def layout_of(tables: list[Table]) -> str:
    """course-csv or kaggle-csv, by the name of the column."""
    return "course-csv" if any("feature" in t.columns for t in tables) else "kaggle-csv"


def read(tables: list[Table], votes: list[Table], root: str) -> Rows:
    """The images of all tables; FER+ votes join a table that has a Usage column."""
    tables, skipped = _choose(tables, root)
    whole = [t for t in tables if t.find(USAGE) is not None]
    rows = concatenate([_read_table(t, root) for t in tables])
    rows.problems += skipped
    if votes and whole:
        rows.votes = _join_votes(votes[0], rows)
    elif votes:
        rows.problems.append(
            f"{votes[0].entry.where} not used: FER+ votes join a CSV with a Usage column only"
        )
    return rows


def _choose(tables: list[Table], root: str) -> tuple[list[Table], list[str]]:
    """A table with a Usage column is the whole data set; without it, one table per split."""
    whole = [t for t in tables if t.find(USAGE) is not None]
    if len(whole) == 1:
        rest = [t.entry.where for t in tables if t is not whole[0]]
        return whole, [f"{w} not used: {whole[0].entry.name} holds every split" for w in rest]
    seen: dict[str, Table] = {}
    for table in tables:
        split = "all" if table in whole else split_of(table.entry.name, root)
        if split in seen:
            raise DataError(
                f"{table.entry.where}: holds the same part as {seen[split].entry.where}; "
                "give the path of one of them"
            )
        seen[split] = table
    return tables, []


def _read_table(table: Table, root: str) -> Rows:
    pixel, key, usage = (table.find(names) for names in (PIXELS, ID, USAGE))
    wide, labelled = table.wide, table.find(LABEL) is not None or bool(table.hot)
    blocks: list[np.ndarray] = []
    texts: list[bytes] = []
    others: list[list[bytes]] = []  # the fields of each row that are no pixels
    for fields in table.rows():
        if pixel is None:
            texts.append(b" ".join(fields[wide]))
            fields[wide] = [b""] * N_PIXELS
        else:
            texts.append(fields[pixel])
            fields[pixel] = b""
        others.append(fields)
        if len(texts) == _BLOCK:
            blocks.append(parse_pixels(texts, _from(table, len(others) - _BLOCK)))
            texts = []
    blocks.append(parse_pixels(texts, _from(table, len(others) - len(texts))))
    images = np.concatenate(blocks)
    n = len(images)
    images = as_bytes(images, table.where).reshape(-1, SIZE, SIZE)
    ids, split = row_numbers(n), np.full(n, split_of(table.entry.name, root), "<U16")
    if key is not None:
        ids = as_ids([table.text(fields[key]) for fields in others], table.where)
    if usage is not None:
        split = parse_splits([table.text(fields[usage]) for fields in others], table.where)
    labels = table.labels(others) if labelled else unlabelled(n)
    return Rows(images, labels, ids, split, table.where)


def _from(table: Table, start: int) -> Where:
    return lambda row: table.where(start + row)


def parse_pixels(texts: list[bytes], where: Where) -> np.ndarray:
    """Rows of 2,304 numbers -> (n, 2304), uint8 where they are whole, else float32.

    All rows at once: every byte that ends a number gets its value from itself and the two
    digits before it, which is about three times as fast as NumPy's own parser. That serves what
    nearly all files hold; other notations (lists, fractions) go by NumPy.
    """
    found = _whole_numbers(texts)
    if found is not None:
        return found
    texts = [text.translate(_BLANKS) for text in texts]
    found = _whole_numbers(texts)
    if found is not None:
        return found
    for row, text in enumerate(texts):
        words = text.split()
        for i, word in enumerate(words):
            if not re.fullmatch(_NUMBER, word):
                shown = word[:12].decode("ascii", "backslashreplace")
                raise DataError(
                    f"{where(row)}: pixel {i} is {shown!r}; pixels are whole numbers 0 to 255, "
                    "correct the row"
                )
        if len(words) != N_PIXELS:
            raise DataError(
                f"{where(row)}: {len(words):,} pixels instead of {N_PIXELS:,} ({SIZE} x {SIZE}); "
                "correct or remove the row"
            )
    return np.array([text.split() for text in texts]).astype(np.float32)


def _whole_numbers(texts: list[bytes]) -> np.ndarray | None:
    """(n, 2304) uint8 of whole numbers with blanks between them; None for anything else."""
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
        return None
    return value.astype(np.uint8).reshape(-1, N_PIXELS)


def _join_votes(table: Table, rows: Rows) -> np.ndarray:
    """(N, 10) uint8 votes, joined by row order: "Image name" numbers images with gaps.

    Raises
    ------
    DataError
        if the two files do not have the same rows, by number and by their Usage column.
    """
    usage = table.find(USAGE)
    if not table.voted:
        raise DataError(f"{table.entry.where}: FER+ needs the columns {', '.join(VOTES)}")
    counts = []
    for row, fields in enumerate(table.rows()):
        if row >= len(rows.split):
            break
        if split_word(table.text(fields[usage])) != rows.split[row]:
            raise DataError(f"{table.where(row)}: Usage is not that of {rows.where(row)}; {_FIX}")
        counts.append([table.text(fields[column]) for column in table.voted])
    if len(table.lines) != len(rows.split):
        raise DataError(
            f"{table.entry.where}: not the {len(rows.split)} rows of {rows.where(0)}; {_FIX}"
        )
    return parse_votes(counts, table.where)


# labels of image files


def read_labelled(images: list[Entry], tables: list[Table], root: str) -> Rows:
    """Every row of every table finds its image by id, never by position.

    A folder that no table speaks of is unlabelled (the course's test folder). The images come
    out in natural order of their names, whatever the order of the table.

    Raises
    ------
    DataError
        for an id without an image or twice, and for an image without a row in its table.
    """
    folders: dict[str, list[Entry]] = {}
    for entry in images:
        folders.setdefault(entry.folder, []).append(entry)
    known: dict[str, tuple[int, str, np.ndarray | None]] = {}  # image -> label, split, votes
    spoken: dict[str, Table] = {}  # folder -> the table that speaks of it
    for table in tables:
        _join_labels(table, folders, known, spoken, root)
    for folder, table in spoken.items():
        for entry in folders[folder]:
            if entry.name not in known:
                raise DataError(
                    f"{entry.where}: no row in {table.entry.where} has the id {entry.stem!r}; "
                    "add its label or move the image away"
                )
    pixels, problems = decode_all(images)
    rows = [
        known.get(e.name, (UNLABELLED, split_of_image(e.name, root) or "test", None))
        for e in images
    ]
    if any(table.voted for table in tables):
        problems.append("labels are the majority of the FER+ votes; none where they are tied")
    voted = all(votes is not None for _, _, votes in rows)
    return Rows(
        pixels,
        np.array([label for label, _, _ in rows], dtype=np.int64),
        as_ids([e.stem for e in images], lambda row: images[row].where),
        np.array([split for _, split, _ in rows], dtype="<U16"),
        lambda row: images[row].where,
        np.stack([votes for _, _, votes in rows]) if voted else None,
        problems,
    )


def _join_labels(
    table: Table, folders: dict[str, list[Entry]], known: dict, spoken: dict[str, Table], root: str
) -> None:
    rows = list(table.rows())
    names = [table.text(fields[table.find(ID)]) for fields in rows]
    folder, index = _folder_of(table, names, folders)
    spoken[folder] = table
    split = split_of(table.entry.name) or split_of(folder, root)
    votes: Sequence[np.ndarray | None] = [None] * len(rows)
    found = [_lookup(index, name) for name in names]
    for row, (entry, name) in enumerate(zip(found, names, strict=True)):
        if entry is None:
            raise DataError(
                f"{table.where(row)}: the id {name[:40]!r} has no image in the folder "
                f"{folder or root!r}; add the image or remove the row"
            )
    if table.voted:
        votes = parse_votes([[table.text(f[i]) for i in table.voted] for f in rows], table.where)
        labels = majority(votes)
    else:
        labels = table.labels(rows)
    for row, (entry, label) in enumerate(zip(found, labels.tolist(), strict=True)):
        if entry.name in known:
            raise DataError(
                f"{table.where(row)}: the id {names[row][:40]!r} has a label already; remove one"
            )
        known[entry.name] = label, split, votes[row]


def _folder_of(
    table: Table, names: list[str], folders: dict[str, list[Entry]]
) -> tuple[str, dict[str, Entry]]:
    """The folder that holds most of the table's images; among equals its own, or its namesake."""
    indices = {folder: _index(entries) for folder, entries in folders.items()}

    def rank(folder: str) -> tuple[int, bool, bool, bool]:
        found = sum(name in indices[folder] for name in names)
        found = found or sum(_lookup(indices[folder], name) is not None for name in names)
        alike = split_of(folder) == split_of(table.entry.name)
        own = folder != "" and folder == table.entry.folder
        return found, own, PurePosixPath(folder).name == table.entry.stem, alike

    best = max(folders, key=rank)
    return best, indices[best]


def _index(entries: list[Entry]) -> dict[str, Entry]:
    """Images by file name, by stem and by number; two with one stem are a fault."""
    index: dict[str, Entry] = {}
    for entry in entries:
        if entry.stem in index:
            raise DataError(
                f"{entry.where}: has the id {entry.stem!r} of {index[entry.stem].where}; remove one"
            )
        index[entry.stem] = entry
    index.update({PurePosixPath(e.name).name: e for e in entries})
    by_number: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.stem.isdecimal():
            by_number.setdefault(_number(entry.stem), []).append(entry)
    return index | {key: found[0] for key, found in by_number.items() if len(found) == 1}


def _lookup(index: dict[str, Entry], name: str) -> Entry | None:
    """By the id as it stands, else by its number: a spreadsheet makes 00012 into 12."""
    plain = PurePosixPath(name).name if name else name
    if plain in index:
        return index[plain]
    return index.get(_number(plain)) if plain.isdecimal() else None


def _number(digits: str) -> str:
    """A key of the number that the digits are; as text, because int() stops at 4,300 of them."""
    return "#" + (digits.lstrip("0") or "0")
