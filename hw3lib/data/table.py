"""CSV tables: what a header says the file is, and its rows as bytes, read line by line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field

from hw3lib.data.faces import DataError
from hw3lib.data.source import Entry

PIXELS = ("pixels", "feature", "features", "pixel")
LABEL = ("label", "labels", "emotion", "class")
ID = ("id", "image_id", "image", "image_name", "filename", "file", "name")
USAGE = ("usage", "split")
MAX_ROWS = 500_000
_NO_LABELS = ("sample", "submission", "prediction")


@dataclass
class Table:
    """One CSV file. `columns` are its names without blanks and quotes, in lower case.

    `lines` collects the line number in the file of every row read (the header is line 1).
    """

    entry: Entry
    columns: list[str]
    lines: list[int] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """pixels, labels, votes (FER+), predictions (by file name) or other."""
        if self.find(PIXELS) is not None:
            return "pixels"
        if {"neutral", "happiness", "nf", "usage"} <= set(self.columns):
            return "votes"
        if self.find(ID) is not None and self.find(LABEL) is not None:
            name = self.entry.stem.casefold()
            return "predictions" if any(word in name for word in _NO_LABELS) else "labels"
        return "other"

    def find(self, names: tuple[str, ...]) -> int | None:
        """The position of the first of these columns, or None."""
        return next((self.columns.index(n) for n in names if n in self.columns), None)

    def where(self, row: int) -> str:
        """The place of a row (from 0) for a message."""
        line = f" (line {self.lines[row]})" if row < len(self.lines) else ""
        return f"{self.entry.where}, row {row}{line}"

    def rows(self) -> Iterator[list[bytes]]:
        """The fields of every row; blank lines are passed over.

        Raises
        ------
        DataError
            for a row that has more or fewer fields than the header, and for too many rows.
        """
        source = self.entry.lines()
        next(source)
        for number, line in enumerate(source, start=2):
            if not line.strip():
                continue
            self.lines.append(number)
            if len(self.lines) > MAX_ROWS:
                raise DataError(f"{self.entry.where}: more than {MAX_ROWS:,} rows; split the table")
            fields = self._unquote(line) if b'"' in line else line.split(b",")
            if len(fields) != len(self.columns):
                raise DataError(
                    f"{self.where(len(self.lines) - 1)}: {len(fields)} fields, but the header "
                    f"names {len(self.columns)}; correct the row"
                )
            yield fields

    def _unquote(self, line: bytes) -> list[bytes]:
        text = line.decode("utf-8", errors="replace")
        try:
            return [
                f.encode() for f in next(csv.reader([text], skipinitialspace=True, strict=True), [])
            ]
        except csv.Error as error:
            place = self.where(len(self.lines) - 1)
            raise DataError(f"{place}: not a row of CSV ({error}); correct the row") from None


def open_table(entry: Entry) -> Table:
    """Read the header. DataError where the file is no text in UTF-8 (or plain ASCII)."""
    line = next(entry.lines(), b"")
    if line.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in line:
        raise DataError(f"{entry.where}: not UTF-8 text; save the table again as CSV, UTF-8")
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(
            f"{entry.where}: the header is not UTF-8; save the table again as CSV, UTF-8"
        ) from None
    try:
        names = next(csv.reader([text]), [])
    except csv.Error as error:  # carriage returns alone as line ends, a field of 131 kB
        raise DataError(
            f"{entry.where}: no header of a CSV table ({error}); save the table again"
        ) from None
    return Table(entry, [name.strip().casefold() for name in names])
