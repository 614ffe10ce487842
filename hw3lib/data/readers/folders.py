"""Pictures as files: in folders named after their class (Kaggle), or plain and unlabelled."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath

import numpy as np

from hw3lib.data.decode import MAX_BYTES, Decoder
from hw3lib.data.faces import CLASSES, SIZE, UNLABELLED, DataError
from hw3lib.data.names import class_index, split_of_picture, split_word
from hw3lib.data.rows import Rows, as_ids
from hw3lib.data.source import Entry, Source


def read(source: Source, entries: list[Entry]) -> Rows:
    """Labels by the name of the folder a picture lies in, splits by file prefix or folder."""
    entries, dropped = _without_twins(source, entries)
    labels = np.array([_label(e) for e in entries], dtype=np.int64)
    split = [split_of_picture(e.name, source.root) for e in entries]
    images, problems = decode_all(entries)
    taken = Counter((s, e.stem) for s, e in zip(split, entries, strict=True))
    clash = [
        label != UNLABELLED and taken[s, e.stem] > 1
        for s, e, label in zip(split, entries, labels, strict=True)
    ]
    ids = [f"{_parent(e)}/{e.stem}" if c else e.stem for e, c in zip(entries, clash, strict=True)]
    if any(clash):
        problems.append(f"{sum(clash)} file names stand in several classes: ids are class/name")
    return Rows(
        images,
        labels,
        as_ids(ids, lambda row: entries[row].where),
        np.array(split, dtype="<U16"),
        lambda row: entries[row].where,
        problems=[*dropped, *problems],
    )


def decode_all(entries: list[Entry]) -> tuple[np.ndarray, list[str]]:
    """(N, 48, 48) uint8 of picture files, and what had to be changed."""
    decoder = Decoder()
    images = np.empty((len(entries), SIZE, SIZE), dtype=np.uint8)
    for i, entry in enumerate(entries):
        images[i] = decoder.decode(entry.read(MAX_BYTES), entry.where)
    return images, decoder.problems()


def has_classes(entries: list[Entry]) -> bool:
    """Whether some pictures lie in folders named after a class.

    Raises
    ------
    DataError
        for a folder beside them, or several folders, whose names say no class.
    """
    folders = {e.folder for e in entries}
    parents = {str(PurePosixPath(f).parent) for f in folders if class_at(f) is not None}
    unknown = sorted(f for f in folders if f and class_at(f) is None and not _is_split(f))
    stray = [f for f in unknown if str(PurePosixPath(f).parent) in parents]
    stray = stray or (unknown if len(unknown) > 1 and not parents else [])
    if stray:
        first = next(e for e in entries if e.folder == stray[0])
        raise DataError(
            f"{PurePosixPath(first.where).parent}: the folder {stray[0]!r} is named after none of "
            f"the classes {', '.join(CLASSES)}; rename it or move it away"
        )
    return bool(parents)


def _parent(entry: Entry) -> str:
    return PurePosixPath(entry.folder).name


def class_of(entry: Entry) -> int | None:
    """The class that the name of its folder says, or None."""
    return class_at(entry.folder)


def class_at(folder: str) -> int | None:
    """The class that the last part of this path says, or None."""
    return class_index(PurePosixPath(folder).name)


def _is_split(folder: str) -> bool:
    return split_word(PurePosixPath(folder).name) is not None


def _label(entry: Entry) -> int:
    index = class_of(entry)
    return UNLABELLED if index is None else index


def _without_twins(source: Source, entries: list[Entry]) -> tuple[list[Entry], list[str]]:
    """Drop a second copy of the whole tree, as one well-known Kaggle zip has it inside itself."""
    kept: dict[tuple[str, int, str], Entry] = {}
    twins: list[Entry] = []
    for entry in entries:
        key = (split_of_picture(entry.name, source.root), _label(entry), entry.name.split("/")[-1])
        other = kept.setdefault(key, entry)
        if other is not entry and _parent(other) == _parent(entry) and _same(other, entry):
            twins.append(entry)
    if not twins:
        return entries, []
    gone = {entry.name for entry in twins}
    line = f"{len(twins)} files stand twice and were read once (the first: {twins[0].where})"
    return [e for e in entries if e.name not in gone], [line]


def _same(one: Entry, other: Entry) -> bool:
    return one.size == other.size and one.read() == other.read()
