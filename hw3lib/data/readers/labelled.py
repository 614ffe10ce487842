"""The course's fall edition: folders of numbered pictures and a table `id,label`."""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np

from hw3lib.data.faces import UNLABELLED, DataError
from hw3lib.data.names import parse_label, split_of, split_of_picture
from hw3lib.data.readers.folders import decode_all
from hw3lib.data.rows import Rows, as_ids
from hw3lib.data.source import Entry, Source
from hw3lib.data.table import ID, LABEL, Table

LAYOUT = "course-pictures"


def read(source: Source, pictures: list[Entry], tables: list[Table]) -> Rows:
    """Every row of every table finds its picture by id, never by position.

    A folder that no table speaks of is unlabelled (the course's test folder). The pictures come
    out in natural order of their names, whatever the order of the table.

    Raises
    ------
    DataError
        for an id without a picture or twice, and for a picture without a row in its table.
    """
    folders: dict[str, list[Entry]] = {}
    for entry in pictures:
        folders.setdefault(entry.folder, []).append(entry)
    labels: dict[str, tuple[int, str]] = {}  # picture -> label, split
    spoken: dict[str, Table] = {}  # folder -> the table that speaks of it
    for table in tables:
        _join(source, table, folders, labels, spoken)
    for folder, table in spoken.items():
        for entry in folders[folder]:
            if entry.name not in labels:
                raise DataError(
                    f"{entry.where}: no row in {table.entry.where} has the id {entry.stem!r}; "
                    "add its label or move the picture away"
                )
    images, problems = decode_all(pictures)
    rows = [
        labels.get(e.name, (UNLABELLED, split_of_picture(e.name, source.root) or "test"))
        for e in pictures
    ]
    return Rows(
        images,
        np.array([label for label, _ in rows], dtype=np.int64),
        as_ids([e.stem for e in pictures], lambda row: pictures[row].where),
        np.array([split for _, split in rows], dtype="<U16"),
        lambda row: pictures[row].where,
        problems=problems,
    )


def _join(
    source: Source,
    table: Table,
    folders: dict[str, list[Entry]],
    labels: dict[str, tuple[int, str]],
    spoken: dict[str, Table],
) -> None:
    key, label = table.find(ID), table.find(LABEL)
    rows = [
        (f[key].decode("utf-8", "replace").strip(), f[label].decode("utf-8", "replace").strip())
        for f in table.rows()
    ]
    folder, index = _choose(table, [name for name, _ in rows], folders)
    spoken[folder] = table
    split = split_of(table.entry.name) or split_of(folder, source.root)
    for row, (name, value) in enumerate(rows):
        entry = _lookup(index, name)
        where = table.where(row)
        if entry is None:
            raise DataError(
                f"{where}: the id {name[:40]!r} has no picture in the folder "
                f"{folder or source.root!r}; add the picture or remove the row"
            )
        if entry.name in labels:
            raise DataError(f"{where}: the id {name[:40]!r} has a label already; remove one row")
        labels[entry.name] = parse_label(value, where), split


def _choose(
    table: Table, names: list[str], folders: dict[str, list[Entry]]
) -> tuple[str, dict[str, Entry]]:
    """The folder that holds most of the table's pictures; among equals, the one of its name."""
    indices = {folder: _index(entries) for folder, entries in folders.items()}

    def rank(folder: str) -> tuple[int, bool, bool]:
        found = sum(name in indices[folder] for name in names)
        found = found or sum(_lookup(indices[folder], name) is not None for name in names)
        alike = split_of(folder) == split_of(table.entry.name)
        return found, PurePosixPath(folder).name == table.entry.stem, alike

    best = max(folders, key=rank)
    return best, indices[best]


def _index(entries: list[Entry]) -> dict[str, Entry]:
    """Pictures by file name and by stem; two with one stem are a fault."""
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
