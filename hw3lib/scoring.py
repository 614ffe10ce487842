"""Evaluate and predict: what the command line and a published network's figures say."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np

from hw3lib import UserError
from hw3lib.data.faces import SPLITS, UNLABELLED, Faces
from hw3lib.data.folds import Folds
from hw3lib.files import write_atomic
from hw3lib.inference import Network, logits

# what spreadsheets take for a formula, in half and full width; a signed number is none
FORMULA = re.compile(r"(?![+-][0-9]+(\.[0-9]+)?$)[=+\-@＝＋－＠]")


def evaluate_network(
    network: Network, faces: Faces, *, split: str = "", views: str = "one"
) -> dict[str, Any]:
    """Accuracy on labelled images: all, and without copies and near copies of training images.

    split : "train", "test", "private" or "all"; "" takes test where the data has it, else
            private, else all that is labelled

    Raises
    ------
    UserError
        if no labelled picture is in the split.
    """
    labelled = faces.labels != UNLABELLED
    split = split or next((s for s in ("test", "private") if (faces.split == s).any()), "all")
    rows = np.flatnonzero(labelled & _in_split(faces, split))
    if not len(rows):
        raise UserError(f"split {split!r}: no labelled picture in this data; hw3 data lists them")
    right = logits(network, faces.images[rows], views=views).argmax(1) == faces.labels[rows]
    facts = {"accuracy": float(right.mean()), "n": len(rows), "split": split, "views": views}
    training = labelled & (faces.split == "train")
    if split not in ("train", "all") and training.any():
        for kind, group in (("exact", faces.exact), ("near", faces.group)):
            facts |= accuracy_without(kind, right, np.isin(group[rows], group[training]))
    return facts


def accuracy_without(kind: str, right: np.ndarray, copy: np.ndarray) -> dict[str, Any]:
    """Accuracy and number of the images that are no `kind` ("exact" or "near") copies.

    right, copy : (N,) bool; the accuracy is None where every image is a copy
    """
    fresh = right[~copy]
    score = float(fresh.mean()) if len(fresh) else None
    return {f"accuracy_without_{kind}_copies": score, f"n_without_{kind}_copies": len(fresh)}


def evaluate_folds(
    network: Network, folds: Folds, *, views: str = "one", trained_on: str = "train"
) -> dict[str, Any]:
    """Accuracy on validation, unless it was trained on, and on test, all and without copies."""
    facts: dict[str, Any] = {"views": views}
    for fold in ("validation", "test") if trained_on == "train" else ("test",):
        faces = folds.take(fold)
        right = logits(network, faces.images, views=views).argmax(1) == faces.labels
        facts[f"{fold}_accuracy"], facts[f"{fold}_n"] = float(right.mean()), len(right)
    for kind, copy in (("exact", folds.test_is_copy), ("near", folds.test_is_near_copy)):
        facts |= {f"test_{k}": v for k, v in accuracy_without(kind, right, copy).items()}
    return facts


def predict_faces(
    network: Network, faces: Faces, *, split: str = "", views: str = "one"
) -> tuple[np.ndarray, np.ndarray]:
    """Ids (N,) str and probabilities (N, 7), sorted by id (by number where all ids are numbers)."""
    from scipy.special import softmax

    rows = np.flatnonzero(_in_split(faces, split or "all"))
    if not len(rows):
        raise UserError(f"split {split!r}: no picture in this data; hw3 data lists them")
    ids = faces.ids[rows]
    order = np.argsort(ids, kind="stable")
    if all(re.fullmatch(r"[0-9]+", name) for name in ids):
        # by length and digits, for a number may have more digits than an integer holds
        bare = np.char.lstrip(ids, "0")
        order = np.lexsort((np.arange(len(ids)), bare, np.char.str_len(bare)))
    out = logits(network, faces.images[rows], views=views)
    return ids[order], softmax(out, axis=1)[order]


def write_predictions(path: Path, ids: np.ndarray, labels: np.ndarray) -> int:
    """Write `id,label`, whole or not at all; the number of ids written as text.

    An id that a spreadsheet would run as a formula ("=HYPERLINK(…)") gets an apostrophe before it,
    by which spreadsheets know a text; a signed number stays as it is.

    Raises
    ------
    UserError
        for a folder that does not exist, or that cannot be written to.
    """
    if not path.absolute().parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist; make it first")
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: no regular file, such as p.csv; give --out the name of one")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["id", "label"])
    texts = [f"'{name}" if FORMULA.match(name) else name for name in ids.tolist()]
    writer.writerows(zip(texts, labels.tolist(), strict=True))
    try:
        write_atomic(path, buffer.getvalue().encode())
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from None
    return sum(text != name for text, name in zip(texts, ids.tolist(), strict=True))


def _in_split(faces: Faces, split: str) -> np.ndarray:
    if split == "all":
        return np.ones(len(faces), bool)
    if split not in SPLITS:
        raise UserError(f"split {split!r}: choose one of {', '.join(SPLITS)}, all")
    return faces.split == split
