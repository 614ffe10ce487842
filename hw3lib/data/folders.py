"""Image files: labelled by their folders (Kaggle), by a table (read by `tables`), or not."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePosixPath

import numpy as np

from hw3lib.data.faces import CLASSES, UNLABELLED, DataError
from hw3lib.data.images import MAX_BYTES, open_image, to_faces
from hw3lib.data.labels import Rows, class_index, majority, make_rows, split_of, split_word
from hw3lib.data.source import KINDS, Entry
from hw3lib.data.tables import Table

NONE = str(UNLABELLED)


def read(entries: list[Entry], tables: list[Table]) -> tuple[Rows, str]:
    """The images, and which of the layouts of image files it is."""
    if tables and all(class_index(entry.path.parent.name) is None for entry in entries):
        return _read_labelled(entries, tables), "course-pictures"
    classes = _has_classes(entries)
    return _read_folders(entries), "class-folders" if classes else "pictures"


def _has_classes(entries: list[Entry]) -> bool:
    """Whether images lie in folders of classes; DataError where others lie beside these."""
    folders = {e.path.parent: e for e in entries if e.path.parent.name}
    parents = {f.parent for f in folders if class_index(f.name) is not None}
    unknown = sorted(
        f for f in folders if class_index(f.name) is None and split_word(f.name) is None
    )
    stray = [f for f in unknown if f.parent in parents]
    if stray := stray or unknown * (len(unknown) > 1 and not parents):
        raise DataError(
            f"{PurePosixPath(folders[stray[0]].where).parent}: the folder {str(stray[0])!r} is "
            f"named after none of the classes {', '.join(CLASSES)}; rename it or move it away"
        )
    return bool(parents)


def _decode(entries: list[Entry], columns: dict[str, list], problems: list[str]) -> Rows:
    places = [entry.where for entry in entries]
    images = (open_image(entry.read(MAX_BYTES), entry.where) for entry in entries)
    faces, resized = to_faces(images, places)
    return make_rows(faces, places, columns, problems=[*problems, *resized])


def _read_folders(entries: list[Entry]) -> Rows:
    """Labels by the name of the folder an image lies in, splits by file prefix or folder.

    A second copy of a file is dropped: one well-known Kaggle zip has its whole tree inside itself.
    """
    kept: dict[tuple, Entry] = {}
    twins = []
    for entry in entries:
        key = (_split(entry), entry.path.parent.name, entry.path.name)
        other = kept.setdefault(key, entry)
        if other is not entry and other.size == entry.size and other.read() == entry.read():
            twins.append(entry)
        elif other is not entry:
            kept[*key, entry.name] = entry
    problems = [
        f"{len(twins)} files stand twice and were read once (the first: {twin.where})"
        for twin in twins[:1]
    ]
    entries = list(kept.values())
    folders = [entry.path.parent.name for entry in entries]
    labels = [NONE if class_index(name) is None else name for name in folders]
    splits = [_split(entry) for entry in entries]
    ids = [entry.path.stem for entry in entries]
    keys = [*zip(splits, ids, strict=True)]
    taken = Counter(keys)
    clashes = [label != NONE and taken[key] > 1 for label, key in zip(labels, keys, strict=True)]
    if any(clashes):
        problems.append(f"{sum(clashes)} file names stand in several classes: ids are class/name")
        ids = [f"{f}/{i}" if c else i for f, i, c in zip(folders, ids, clashes, strict=True)]
    return _decode(entries, {"labels": labels, "ids": ids, "split": splits}, problems)


def _split(entry: Entry) -> str:
    """By Kaggle's prefix ("PublicTest_12.jpg"), else by folder."""
    prefix = re.match("(Training|PublicTest|PrivateTest)_", entry.path.name, re.IGNORECASE)
    return (split_word(prefix[1]) or "") if prefix else split_of(str(entry.path.parent))


def _read_labelled(entries: list[Entry], tables: list[Table]) -> Rows:
    """Every row of every table finds its image by id, never by position.

    A folder that no table speaks of is unlabelled (the course's test folder). The images come
    out in natural order of their names, whatever the order of the table.
    """
    folders: dict[PurePosixPath, dict[str, Entry]] = {}
    for entry in entries:
        inside = folders.setdefault(entry.path.parent, {})
        if (other := inside.setdefault(_key(entry.name), entry)) is not entry:
            raise DataError(
                f"{entry.where}: has the id {entry.path.stem!r} of {other.where}; remove one"
            )
    known: dict[str, tuple[Rows, int]] = {}  # image -> what its row of a table tells
    spoken: dict[PurePosixPath, Table] = {}  # folder -> the table that speaks of it
    for table in tables:
        columns, places = table.read()
        names = columns.pop("ids")
        keys = list(map(_key, names))
        folder = _folder_of(table, keys, folders)
        spoken[folder] = table
        split = split_of(table.entry.name) or split_of(str(folder))
        told = make_rows(np.empty(len(keys)), places, columns, split=split)
        if told.votes is not None:
            told.labels = majority(told.votes)
        for row, (key, name) in enumerate(zip(keys, names, strict=True)):
            if (entry := folders[folder].get(key)) is None:
                raise DataError(
                    f"{places[row]}: the id {name[:40]!r} has no image in the folder "
                    f"{str(folder)!r}; add the image or remove the row"
                )
            if known.setdefault(entry.name, (told, row)) != (told, row):
                raise DataError(
                    f"{places[row]}: the id {name[:40]!r} has a label already; remove one"
                )
    return _join(entries, known, spoken)


def _join(
    entries: list[Entry], known: dict[str, tuple[Rows, int]], spoken: dict[PurePosixPath, Table]
) -> Rows:
    for entry in entries:
        if entry.path.parent in spoken and entry.name not in known:
            raise DataError(
                f"{entry.where}: no row in {spoken[entry.path.parent].entry.where} has the id "
                f"{entry.path.stem!r}; add its label or move the image away"
            )
    voted = any("votes" in table.roles for table in spoken.values())
    line = "labels are the majority of the FER+ votes; none where they are tied"
    rows = _decode(entries, {"ids": [entry.path.stem for entry in entries]}, [line] * voted)
    votes = []
    for i, entry in enumerate(entries):
        rows.split[i] = _split(entry) or "test"
        if entry.name in known:
            told, row = known[entry.name]
            rows.labels[i], rows.split[i] = told.labels[row], told.split[row]
            votes += [] if told.votes is None else [told.votes[row]]
    rows.votes = np.stack(votes) if voted and len(votes) == len(entries) else None
    return rows


def _folder_of(
    table: Table, keys: list[str], folders: dict[PurePosixPath, dict[str, Entry]]
) -> PurePosixPath:
    """The folder that holds most of the table's images; among equals its own, or its namesake."""

    def rank(folder: PurePosixPath) -> tuple:
        found = sum(key in folders[folder] for key in keys)
        own = folder.name != "" and folder == table.entry.path.parent
        namesake = folder.name == table.entry.path.stem
        return found, own, namesake, split_of(str(folder)) == split_of(table.entry.name)

    return max(folders, key=rank)


def _key(name: str) -> str:
    """What an id and its file have in common: a spreadsheet makes 00012.jpg into 12."""
    path = PurePosixPath(name)
    stem = path.stem if KINDS.get(path.suffix.casefold()) == "image" else path.name
    return stem.lstrip("0") or "0" if stem.isdecimal() else stem
