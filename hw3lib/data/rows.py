"""Rows: what a reader returns, before it becomes Faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from hw3lib import printable
from hw3lib.data.copies import near_groups
from hw3lib.data.faces import SIZE, DataError, Faces, orientation_problem
from hw3lib.data.names import settle_validation

MAX_ID = 512  # letters; a file name has at most 255 bytes


@dataclass
class Rows:
    """Pictures in the order of their file.

    images : (N, 48, 48) uint8;  labels : (N,) int64;  ids, split : (N,) str
    where  : row -> the place of that row for a message
    votes  : (N, 10) uint8 or None
    """

    images: np.ndarray
    labels: np.ndarray
    ids: np.ndarray
    split: np.ndarray
    where: Callable[[int], str]
    votes: np.ndarray | None = None
    problems: list[str] = field(default_factory=list)


def concatenate(parts: list[Rows]) -> Rows:
    """One Rows of several files, in their order; votes only where every part has them."""
    if len(parts) == 1:
        return parts[0]
    starts = np.cumsum([0] + [len(p.images) for p in parts])

    def where(row: int) -> str:
        part = int(np.searchsorted(starts, row, side="right")) - 1
        return parts[part].where(row - int(starts[part]))

    voted = all(p.votes is not None for p in parts)
    return Rows(
        np.concatenate([p.images for p in parts]),
        np.concatenate([p.labels for p in parts]),
        np.concatenate([p.ids for p in parts]),
        np.concatenate([p.split for p in parts]),
        where,
        np.concatenate([p.votes for p in parts]) if voted else None,
        [line for p in parts for line in p.problems],
    )


def assemble(rows: Rows, layout: str, where: str, problems: list[str]) -> Faces:
    """Check what every layout must keep (some pictures, ids unique in a split) and make Faces."""
    n = len(rows.images)
    if n == 0:
        raise DataError(f"{where}: holds no pictures; data/README.md lists the layouts")
    split, notes = settle_validation(rows.split.astype(str))
    ids = rows.ids.astype(str)
    first: dict[tuple[str, str], int] = {}
    for i, key in enumerate(zip(split.tolist(), ids.tolist(), strict=True)):
        j = first.setdefault(key, i)
        if j != i:
            raise DataError(
                f"{rows.where(i)}: the id {key[1]!r} stands already at {rows.where(j)}; "
                "ids must be unique, rename or remove one"
            )
    images = np.ascontiguousarray(rows.images, dtype=np.uint8).reshape(n, SIZE, SIZE)
    if line := orientation_problem(images):
        notes = [*notes, f"{where}: {line}"]
    return Faces(
        images=images,
        labels=rows.labels.astype(np.int64),
        ids=ids,
        split=split,
        group=near_groups(images),
        votes=rows.votes,
        layout=layout,
        problems=tuple(map(printable, (*problems, *rows.problems, *notes))),
    )


def as_ids(values: Sequence[str], where: Callable[[int], str]) -> np.ndarray:
    """(n,) str; DataError for an id that is no name: too long, or with control characters.

    The longest one decides how wide the array is, and ids are printed and written to tables.
    """
    for row, value in enumerate(values):
        if len(value) > MAX_ID:
            raise DataError(
                f"{where(row)}: an id of {len(value):,} letters; shorten it to {MAX_ID} at most"
            )
        if not value.isprintable() and printable(value) != value:
            raise DataError(
                f"{where(row)}: the id {printable(value)!r} holds control characters; rename it"
            )
    return np.array(values, dtype=str)


def row_numbers(n: int) -> np.ndarray:
    """(n,) str "0", "1", …: the ids of a layout that has none."""
    return np.arange(n).astype(str)
