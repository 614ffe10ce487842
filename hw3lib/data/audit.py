"""Checks of images and labels: at loading (`assemble`), and for `hw3 data PATH` (`describe`).

What is found at loading is cached with the images (raise `cache.VERSION` with a new check); `leak`
is what every command shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from hw3lib import printable
from hw3lib.data.faces import CLASSES, SPLITS, UNLABELLED, DataError, Faces
from hw3lib.data.labels import VALIDATION, Rows

UNSPLIT = "unsplit"  # shown for images of which the data says no split
SENTENCES = {  # of the counts in a section of the description
    "duplicates": "{groups:,} groups of {images:,} images, {conflicting:,} with conflicting labels",
    "copies": "{images:,} images stand in training too, {same_label:,} with the same label",
    "near_copies": "{images:,} images ({exact:,} byte-identical, {mirrored:,} mirrored), "
    "{conflicting:,} with another label",
}
KIN = 32  # images of a group that one is compared with to find its closest


def assemble(rows: Rows, layout: str, where: str, problems: Sequence[str]) -> Faces:
    """Check what every layout must keep (some images, ids unique in a split) and make Faces."""
    from hw3lib.data.copies import near_groups  # with torch, which takes seconds

    if not len(rows.images):
        raise DataError(f"{where}: holds no images; data/README.md lists the layouts")
    split, notes = rows.split, []
    if (held := split == VALIDATION).any():
        target = "train" if (split == "test").any() else "test"
        why = "we split our own validation set" if target == "train" else "no other test set"
        notes.append(f"{held.sum()} images marked as validation are taken as {target} ({why})")
        split = np.where(held, target, split)
    first: dict[tuple[str, str], int] = {}
    for i, key in enumerate(zip(split.tolist(), rows.ids.tolist(), strict=True)):
        if first.setdefault(key, i) != i:
            raise DataError(
                f"{rows.places[i]}: the id {key[1]!r} stands already at {rows.places[first[key]]}; "
                "ids must be unique, rename or remove one"
            )
    if line := orientation_problem(rows.images):
        notes.append(f"{where}: {line}")
    return Faces(
        images=np.ascontiguousarray(rows.images),
        labels=rows.labels,
        ids=rows.ids,
        split=split,
        group=near_groups(rows.images),
        votes=rows.votes,
        layout=layout,
        problems=tuple(map(printable, (*problems, *rows.problems, *notes))),
    )


def orientation_problem(images: np.ndarray) -> str:
    """A line if the images (N, 48, 48) look transposed, "" if they do not or cannot be judged.

    Seen upright, the mean of many faces is nearly its own mirror image and nothing like itself
    upside down; with rows and columns swapped it is the other way round.
    """
    if len(images) < 300:
        return ""
    mean = np.asarray(images[:4096]).mean(axis=0)
    mirrored, upside_down = np.abs(mean - mean[:, ::-1]).mean(), np.abs(mean - mean[::-1]).mean()
    if upside_down >= 0.5 * mirrored:
        return ""
    return "the images look transposed (rows and columns swapped): turn them before training"


def describe(faces: Faces) -> dict:
    """Everything about the data that does not need a network, ready for JSON.

    Returns
    -------
    dict with
        layout, n, fingerprint, synthetic
        splits     : split -> images;  classes : split -> class -> images
        mean, std  : of the pixels of the training images, in [0, 1]
        duplicates : split -> groups of byte-identical images, the images in them, and the
            groups whose labels conflict; "all" counts over the splits
        copies     : split -> images of which training holds a copy, and how many of them have
            the label that all of these copies have
        near_copies : "first-second" -> images of the second split of which the first holds a copy
            or near copy: how many, byte-identical, mirrored, labelled otherwise than the closest
        blank      : images of a single grey value, and their ids
        votes      : images with FER+ votes, or None
        problems   : lines about what was fixed or looks wrong
    """
    split = np.where(faces.split == "", UNSPLIT, faces.split)
    rows_of = {name: split == name for name in (*SPLITS, UNSPLIT) if (split == name).any()}
    mean, std = pixel_statistics(faces.images[_training(faces)])
    blank = blank_images(faces.images)
    return {
        "layout": faces.layout,
        "n": len(faces),
        "fingerprint": faces.fingerprint,
        "synthetic": faces.synthetic,
        "splits": {name: int(rows.sum()) for name, rows in rows_of.items()},
        "classes": {name: _class_counts(faces.labels[rows]) for name, rows in rows_of.items()},
        "mean": round(mean, 6),
        "std": round(std, 6),
        "duplicates": {
            name: duplicate_counts(faces.exact[rows], faces.labels[rows])
            for name, rows in {"all": slice(None), **rows_of}.items()
        },
        "copies": {name: copies_of_training(faces, name) for name in SPLITS[1:] if name in rows_of},
        "near_copies": {
            f"{first}-{second}": found
            for first, second in combinations(rows_of, 2)
            if (found := near_copies(faces, rows_of[first], rows_of[second]))
        },
        "blank": {"n": int(blank.sum()), "ids": faces.ids[blank].tolist()[:50]},
        "votes": None if faces.votes is None else int((faces.votes.sum(axis=1) > 0).sum()),
        "problems": list(faces.problems),
    }


def pixel_statistics(images: np.ndarray) -> tuple[float, float]:
    """Mean and (population) standard deviation of all pixels of (N, 48, 48) uint8, in [0, 1]."""
    counts = np.zeros(256, dtype=np.int64)
    for start in range(0, len(images), 1024):  # blocks, so that a mapped file stays on the disk
        counts += np.bincount(images[start : start + 1024].ravel(), minlength=256)
    values = np.arange(256) / 255
    mean = np.average(values, weights=counts)
    return float(mean), float(np.sqrt(np.average((values - mean) ** 2, weights=counts)))


def blank_images(images: np.ndarray) -> np.ndarray:
    """(N,) bool: images in which every pixel is equal."""
    flat = images.reshape(len(images), -1)
    return flat.max(axis=1) == flat.min(axis=1)


def duplicate_counts(group: np.ndarray, labels: np.ndarray) -> dict[str, int]:
    """Groups of two or more byte-identical images, their images, groups of two labels."""
    table = pd.DataFrame({"group": group, "label": labels})
    sizes = table.groupby("group").size()
    labels_of = table[table.label != UNLABELLED].groupby("group").label.nunique()
    return {
        "groups": int((sizes > 1).sum()),
        "images": int(sizes[sizes > 1].sum()),
        "conflicting": int((labels_of > 1).sum()),
    }


def copies_of_training(faces: Faces, split: str) -> dict[str, int]:
    """Images of a split that stand in training too, and those whose copies all agree in label."""
    train, rows = _training(faces), faces.split == split
    labels = pd.Series(faces.labels[train]).groupby(faces.exact[train])
    copies = pd.DataFrame({"low": labels.min(), "high": labels.max()}).reindex(faces.exact[rows])
    label = faces.labels[rows]
    same = (copies.low == label) & (copies.high == label) & (label != UNLABELLED)
    return {"images": int(copies.low.notna().sum()), "same_label": int(same.sum())}


def near_copies(faces: Faces, first: np.ndarray, second: np.ndarray) -> dict[str, int]:
    """Counts of the images of `second` with a copy or near copy in `first`; {} if none has.

    first, second : (N,) bool
    """
    rows, match, mirrored = closest_copies(faces, first, second).T
    if not len(rows):
        return {}
    labels, others = faces.labels[rows], faces.labels[match]
    known = (labels != UNLABELLED) & (others != UNLABELLED)
    return {
        "images": len(rows),
        "exact": int((faces.exact[rows] == faces.exact[match]).sum()),
        "mirrored": int(mirrored.sum()),
        "conflicting": int((known & (labels != others)).sum()),
    }


def closest_copies(faces: Faces, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(M, 3) int64, a line for each image of `second` with a copy or near copy in `first`.

    Its row, the row of its closest copy, and 1 where that one is mirrored.
    """
    twin: dict[int, int] = {}
    kin: dict[int, list[int]] = {}
    for row in np.flatnonzero(first).tolist():
        if twin.setdefault(faces.exact[row], row) == row:
            kin.setdefault(faces.group[row], []).append(row)
    found = []
    for row in np.flatnonzero(second).tolist():
        if faces.exact[row] in twin:
            found.append((row, twin[faces.exact[row]], 0))
        elif faces.group[row] in kin:
            from hw3lib.data.copies import closest  # with torch, which takes seconds

            found.append((row, *closest(faces.images, row, kin[faces.group[row]][:KIN])))
    return np.array(found, np.int64).reshape(-1, 3)


def leak(faces: Faces) -> str:
    """A line where the data's test images are copies of its training images, else ""."""
    training, test = faces.split == "train", np.isin(faces.split, SPLITS[1:])
    copied = np.isin(faces.group[test], faces.group[training])
    if not copied.any():
        return ""
    return (
        f"{copied.sum():,} of {len(copied):,} test images ({copied.mean():.1%}) are copies or near "
        "copies of training images; trust the accuracy without near copies (hw3 evaluate), or take "
        "the copies out of training"
    )


def to_text(description: dict) -> str:
    """The description for people: one screen of plain text."""
    d = description
    counts = pd.DataFrame(d["classes"])
    counts.loc["all"] = counts.sum()
    shown = counts[counts.any(axis=1) | (counts.index != "unlabelled")]
    lines = [
        f"layout       {d['layout']}" + ("  (drawn faces, no photographs)" * d["synthetic"]),
        f"images       {d['n']:,}",
        f"fingerprint  {d['fingerprint']}",
        f"pixels       mean {d['mean']:.6f}, standard deviation {d['std']:.6f} (training, 0 to 1)",
        f"\n{shown.map('{:,}'.format).to_string()}\n",
    ]
    for section, sentence in SENTENCES.items():
        for name, found in d[section].items():
            lines.append(f"{section.replace('_', ' '):12} {name}: {sentence.format(**found)}")
    lines.append(f"blank        {d['blank']['n']:,} images of a single grey value")
    if d["votes"] is not None:
        lines.append(f"votes        {d['votes']:,} images with FER+ votes")
    lines += [f"problem      {line}" for line in d["problems"]]
    return "\n".join(lines)


def _training(faces: Faces) -> np.ndarray:
    """(N,) bool: the training images, all images where the data names none."""
    rows = np.isin(faces.split, ("train", ""))
    return rows if rows.any() else np.ones(len(faces), dtype=bool)


def _class_counts(labels: np.ndarray) -> dict[str, int]:
    names = (*CLASSES, "unlabelled")
    counts = np.bincount(np.where(labels == UNLABELLED, len(CLASSES), labels), minlength=len(names))
    return dict(zip(names, counts.tolist(), strict=True))
