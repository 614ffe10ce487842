"""What people call classes, splits and images; and Rows, what every reader returns."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from hw3lib import printable
from hw3lib.data.copies import near_groups
from hw3lib.data.faces import (
    CLASSES,
    SIZE,
    UNLABELLED,
    DataError,
    Faces,
    orientation_problem,
)

Where = Callable[[int], str]  # row -> its place, for a message
MAX_ID = 512  # letters; a file name has at most 255 bytes
_NAMES = {
    "Angry": "angry anger angriness mad 生氣 憤怒 生气 愤怒",
    "Disgust": "disgust disgusted 厭惡 厌恶 噁心",
    "Fear": "fear fearful afraid scared 恐懼 害怕 恐惧",
    "Happy": "happy happiness joy 高興 開心 快樂 高兴 开心",
    "Sad": "sad sadness 難過 悲傷 难过 悲伤",
    "Surprise": "surprise surprised suprise 驚訝 惊讶",
    "Neutral": "neutral neutrality natural 中立 中性",
}
_CLASS_OF = {word: CLASSES.index(name) for name, words in _NAMES.items() for word in words.split()}
KEY = ", ".join(f"{i} {name}" for i, name in enumerate(CLASSES))
VALIDATION = "validation"  # an intermediate value: `assemble` turns it into a split
_SPLIT_OF = {
    **dict.fromkeys(("train", "training", "trainset", "訓練"), "train"),
    **dict.fromkeys(("test", "testing", "testset", "publictest", "public", "測試"), "test"),
    **dict.fromkeys(("private", "privatetest"), "private"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "驗證"), VALIDATION),
}
VOTES = (  # FER+, Barsoum et al. 2016
    "neutral", "happiness", "surprise", "sadness", "anger",
    "disgust", "fear", "contempt", "unknown", "nf",
)  # fmt: skip
_VOTED = np.array([CLASSES.index(c) for c in
                   ("Neutral", "Happy", "Surprise", "Sad", "Angry", "Disgust", "Fear")]
                  + [UNLABELLED] * 3)  # fmt: skip


def class_index(name: str) -> int | None:
    """The class that a folder or label means: "happiness", "3_happy", "3.0", "[0 0 0 1 0 0 0]"."""
    word = str(name).strip().casefold()
    if re.fullmatch(r"[0-6](\.0*)?", word):
        return int(word[0])
    hot = [number.partition(".") for number in re.findall(r"[\d.]+", word)]
    if len(hot) == 7 and not word.strip("[]() 01.,;"):
        ones = [i for i, (whole, _, rest) in enumerate(hot) if whole == "1" and not rest.strip("0")]
        zeros = sum(not (whole + rest).strip("0") for whole, _, rest in hot)
        return ones[0] if (len(ones), zeros) == (1, 6) else None
    return _CLASS_OF.get(re.sub(r"^\d+[\s._-]+", "", word))


def parse_label(value: object, where: str) -> int:
    """One label in any notation as its index; DataError for what is none."""
    index = class_index(str(value))
    if index is None:
        raise DataError(f"{where}: label {str(value)[:40]!r} is none of {KEY}; correct the label")
    return index


def parse_labels(
    values: Sequence | np.ndarray, where: Where, classes: Sequence[str] | None = None
) -> np.ndarray:
    """(N,) int64 from numbers, names or one-hot rows (N, 7).

    `classes` are the source's own names in its own order: a number then means the class of that
    name. The number -1 is UNLABELLED, as in Hugging Face test sets.
    """
    array = np.asarray(values)
    count = len(CLASSES if classes is None else classes)
    if array.ndim == 2 and array.shape[1] == count and array.dtype.kind in "biuf":
        bad = ((array != 0) & (array != 1)).any(axis=1) | (array.sum(axis=1) != 1)
        if bad.any():
            raise DataError(f"{where(int(np.argmax(bad)))}: a one-hot label holds one 1, else 0")
        array = array.argmax(axis=1)
    if array.dtype.kind not in "iuf":
        known: dict[object, int] = {}  # each distinct value is parsed once
        for row, value in enumerate(array.tolist()):
            if value not in known:
                known[value] = parse_label(value, where(row))
        return np.array([known[value] for value in array.tolist()], dtype=np.int64)
    bad = ~np.isin(array, np.arange(UNLABELLED, count))
    if bad.any():
        i = int(np.argmax(bad))
        raise DataError(f"{where(i)}: label {array[i]} is none of {KEY}; correct the label")
    labels = array.astype(np.int64)
    if classes is None:
        return labels
    order = np.array([parse_label(name, f"{where(0)}, class names") for name in classes])
    return np.where(labels == UNLABELLED, UNLABELLED, order[labels])


def majority(votes: np.ndarray) -> np.ndarray:
    """(N, 10) FER+ votes -> (N,) int64: the class with most votes; UNLABELLED where it is tied, or
    no class of ours."""
    most = votes.max(axis=1, keepdims=True)
    alone = (votes == most).sum(axis=1) == 1
    return np.where(alone, _VOTED[votes.argmax(axis=1)], UNLABELLED)


def parse_votes(rows: Sequence[Sequence], where: Where) -> np.ndarray:
    """(N, 10) uint8 from ten counts a row, as numbers or text."""
    table = []
    for row, values in enumerate(rows):
        texts = ["0" if v is None else str(v).strip() or "0" for v in values]
        whole = all(re.fullmatch("[0-9]{1,3}", text) and int(text) < 256 for text in texts)
        if len(texts) != 10 or not whole:
            raise DataError(
                f"{where(row)}: FER+ votes are ten whole numbers 0 to 255; correct them"
            )
        table.append([int(t) for t in texts])
    return np.array(table, dtype=np.uint8).reshape(-1, 10)


def split_word(text: str) -> str | None:
    """The split that this whole word names ("PublicTest" -> "test"), or None."""
    return _SPLIT_OF.get(re.sub(r"[\W\d_]", "", text.casefold()))


def parse_splits(values: Sequence, where: Where) -> np.ndarray:
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

    `root` is the name of the folder or archive the user gave; it counts only as a whole word,
    because such names are free text.
    """
    for part in reversed(PurePosixPath(path).parts):
        stem = PurePosixPath(part).stem
        if ferplus := re.fullmatch("FER2013(Train|Valid|Test)", stem):  # the folders of FER+
            return {"Train": "train", "Valid": "test", "Test": "private"}[ferplus[1]]
        stem = re.sub("(?<=[a-z])(?=[A-Z])", " ", stem).casefold()
        for word in re.findall(r"[^\W\d_]+", re.sub("^[xy](?=train|test|val)", "", stem)):
            if word in _SPLIT_OF:
                return _SPLIT_OF[word]
    return split_word(root) or ""


def split_of_image(path: str, root: str = "") -> str:
    """The split of an image: by Kaggle's file prefix ("PublicTest_12.jpg"), else by folder."""
    name = PurePosixPath(path)
    prefix = re.match(r"(Training|PublicTest|PrivateTest)_", name.name, re.IGNORECASE)
    return (split_word(prefix[1]) or "") if prefix else split_of(str(name.parent), root)


@dataclass
class Rows:
    """Images in the order of their file.

    images : (N, 48, 48) uint8;  labels : (N,) int64;  ids, split : (N,) str
    votes  : (N, 10) uint8 or None
    """

    images: np.ndarray
    labels: np.ndarray
    ids: np.ndarray
    split: np.ndarray
    where: Where
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
    arrays = [
        np.concatenate([getattr(p, name) for p in parts])
        for name in ("images", "labels", "ids", "split")
    ]
    votes = np.concatenate([p.votes for p in parts]) if voted else None
    return Rows(*arrays, where, votes, [line for p in parts for line in p.problems])


def assemble(rows: Rows, layout: str, where: str, problems: Sequence[str]) -> Faces:
    """Check what every layout must keep (some images, ids unique in a split) and make Faces."""
    n = len(rows.images)
    if n == 0:
        raise DataError(f"{where}: holds no images; data/README.md lists the layouts")
    split, notes = _settle_validation(rows.split.astype(str))
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
        notes.append(f"{where}: {line}")
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


def _settle_validation(split: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Turn rows marked VALIDATION into "test" where there is no test set, else into "train"."""
    rows = split == VALIDATION
    if not rows.any():
        return split, []
    target = "train" if (split == "test").any() else "test"
    why = "we split our own validation set" if target == "train" else "no other test set"
    return np.where(rows, target, split), [
        f"{rows.sum()} images marked as validation are taken as {target} ({why})"
    ]


def as_ids(values: Sequence[str], where: Where) -> np.ndarray:
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


def unlabelled(n: int) -> np.ndarray:
    """(n,) int64 of UNLABELLED."""
    return np.full(n, UNLABELLED, dtype=np.int64)
