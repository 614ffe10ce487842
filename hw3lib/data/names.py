"""What people call the classes and the splits, and which of ours they mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

import numpy as np

from hw3lib.data.faces import CLASSES, UNLABELLED, DataError

_ALIASES = {
    "Angry": ("angry", "anger", "生氣", "憤怒"),
    "Disgust": ("disgust", "disgusted", "厭惡"),
    "Fear": ("fear", "fearful", "afraid", "scared", "恐懼", "害怕"),
    "Happy": ("happy", "happiness", "joy", "高興", "開心"),
    "Sad": ("sad", "sadness", "難過", "悲傷"),
    "Surprise": ("surprise", "surprised", "suprise", "驚訝"),
    "Neutral": ("neutral", "neutrality", "中立"),
}
_CLASS_OF = {alias: CLASSES.index(name) for name, group in _ALIASES.items() for alias in group}
KEY = ", ".join(f"{i} {name}" for i, name in enumerate(CLASSES))

VALIDATION = "validation"  # an intermediate value: `settle_validation` turns it into a split
_SPLIT_OF = {
    **dict.fromkeys(("train", "training", "trainset"), "train"),
    **dict.fromkeys(("test", "testing", "testset", "publictest"), "test"),
    **dict.fromkeys(("private", "privatetest"), "private"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), VALIDATION),
}


def class_index(name: str) -> int | None:
    """The class that a folder or label of this name means ("happiness", "3_happy", "3")."""
    word = str(name).strip().casefold()
    if re.fullmatch(r"[0-6]", word):
        return int(word)
    return _CLASS_OF.get(re.sub(r"^\d+[\s._-]+", "", word))


def parse_label(value: object, where: str) -> int:
    """One label, a number 0..6 or a class name, as its index; DataError for anything else."""
    index = class_index(str(value))
    if index is None:
        raise DataError(f"{where}: label {str(value)[:40]!r} is none of {KEY}; correct the label")
    return index


def parse_labels(
    values: Sequence | np.ndarray, where: Callable[[int], str], classes: Sequence[str] | None = None
) -> np.ndarray:
    """(N,) int64 from numbers or names; `classes` are the source's own names in its own order.

    Where the source names its classes, a number means the class of that name, so another class
    order is mended by name. The number -1 is UNLABELLED, as in Hugging Face test sets.
    """
    array = np.asarray(values)
    if array.dtype.kind in "iuf":
        bad = ~np.isin(array, np.arange(UNLABELLED, len(CLASSES if classes is None else classes)))
    else:
        return np.array([parse_label(v, where(i)) for i, v in enumerate(array)], dtype=np.int64)
    if bad.any():
        i = int(np.argmax(bad))
        raise DataError(f"{where(i)}: label {array[i]} is none of {KEY}; correct the label")
    labels = array.astype(np.int64)
    if classes is None:
        return labels
    order = np.array([parse_label(name, f"{where(0)}, class names") for name in classes])
    return np.where(labels == UNLABELLED, UNLABELLED, order[labels])


def split_word(text: str) -> str | None:
    """The split that this whole word names ("PublicTest" -> "test"), or None."""
    return _SPLIT_OF.get(re.sub(r"[^a-z]", "", text.casefold()))


def parse_splits(values: Sequence, where: Callable[[int], str]) -> np.ndarray:
    """(N,) str from Usage words; an empty one is "", DataError for a word of no split."""
    texts = ["" if value is None else str(value).strip() for value in values]
    known: dict[str, str] = {}
    for row, text in enumerate(texts):
        if text in known:
            continue
        split = split_word(text) if text else ""
        if split is None:
            raise DataError(
                f"{where(row)}: split {text[:40]!r} is none of Training, PublicTest, PrivateTest; "
                "correct it"
            )
        known[text] = split
    return np.array([known[text] for text in texts], dtype="<U16")


def split_of(path: str, root: str = "") -> str:
    """The split that the path of a table or folder tells, the nearest name first.

    `root` is the name of the folder or zip the user gave; it counts only as a whole word,
    because such names are free text.
    """
    for part in reversed(PurePosixPath(path).parts):
        for word in re.findall(r"[a-z]+", PurePosixPath(part).stem.casefold()):
            if word in _SPLIT_OF:
                return _SPLIT_OF[word]
    return split_word(root) or ""


def split_of_picture(path: str, root: str = "") -> str:
    """The split of a picture: by Kaggle's file prefix ("PublicTest_12.jpg"), else by folder."""
    name = PurePosixPath(path)
    prefix = re.match(r"(Training|PublicTest|PrivateTest)_", name.name, re.IGNORECASE)
    if prefix:
        return split_word(prefix[1]) or ""
    return split_of(str(name.parent), root)


def settle_validation(split: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Turn rows marked VALIDATION into "test" where there is no test set, else into "train"."""
    rows = split == VALIDATION
    if not rows.any():
        return split, []
    target = "train" if (split == "test").any() else "test"
    why = "the folds cut their own validation set" if target == "train" else "no other test set"
    line = f"{rows.sum()} pictures marked as validation are taken as {target} ({why})"
    return np.where(rows, target, split), [line]


def unlabelled(n: int) -> np.ndarray:
    """(n,) int64 of UNLABELLED."""
    return np.full(n, UNLABELLED, dtype=np.int64)
