"""What people call columns, classes and splits; Rows, what every reader returns."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from typing import TypeVar

import numpy as np

from hw3lib import printable
from hw3lib.data.faces import CLASSES, UNLABELLED, DataError

Meaning = TypeVar("Meaning")
MAX_ID = 512  # letters; a file name has at most 255 bytes
VALIDATION = "validation"  # an intermediate value: `assemble` turns it into a split
VOTES = (  # FER+, Barsoum et al. 2016
    "neutral", "happiness", "surprise", "sadness", "anger",
    "disgust", "fear", "contempt", "unknown", "nf",
)  # fmt: skip
_COLUMNS = """
pixels: pixels pixel feature features imagepixels pixelvalues 像素 特徵
labels: label labels emotion emotions class target expression y 標籤 類別 情緒 表情
ids: id imageid imagename filename file name path 編號 檔名
images: image img picture face imagebytes imgbytes bytes 圖片
split: usage split set subset partition 用途 資料集
votes: votes
"""  # blanks, dashes, quotes and capitals do not count; `images` are bytes, or names of files
_CLASSES = """
Angry: angry anger angriness mad 生氣 憤怒 生气 愤怒
Disgust: disgust disgusted 厭惡 厌恶 噁心
Fear: fear fearful afraid scared 恐懼 害怕 恐惧
Happy: happy happiness joy 高興 開心 快樂 高兴 开心
Sad: sad sadness 難過 悲傷 难过 悲伤
Surprise: surprise surprised suprise 驚訝 惊讶
Neutral: neutral neutrality natural 中立 中性
"""
_SPLITS = """
train: train training trainset 訓練
test: test testing testset publictest public 測試
private: private privatetest
validation: val valid validation dev 驗證
"""


def _words(text: str) -> dict[str, list[str]]:
    return {name: words.split() for name, words in re.findall(r"(\w+): (.*)", text)}


COLUMNS = _words(_COLUMNS)
_CLASS_OF = {word: CLASSES.index(name) for name, found in _words(_CLASSES).items()
             for word in found}  # fmt: skip
_SPLIT_OF = {word: name for name, found in _words(_SPLITS).items() for word in found}


def plain(name: str) -> str:
    """The name of a column as COLUMNS spells it."""
    return re.sub(r"[\s_\"'-]", "", name).casefold()


def find_columns(names: Sequence[str]) -> dict[str, int]:
    """Role -> the position of its column, that of the first of its usual names that is there."""
    found = [*map(plain, names)]
    return {
        role: found.index(word)
        for role, words in COLUMNS.items()
        for word in reversed(words)
        if word in found
    }


def class_index(text: str, classes: Sequence[str] = CLASSES) -> int | None:
    """The class that a folder or label means: "happiness", "3_happy", "3.0", "[0 0 0 1 0 0 0]".

    A number is a place in `classes`: the source's own names in its own order.
    """
    word = text.strip().casefold()
    try:
        numbers = [float(number) for number in re.sub(r"[\[\](),;]", " ", word).split()]
    except ValueError:
        return _CLASS_OF.get(re.sub(r"^\d+[\s._-]+", "", word))
    if len(numbers) == len(classes) and sorted(numbers) == [0] * (len(classes) - 1) + [1]:
        index = numbers.index(1)
    elif len(numbers) == 1 and numbers[0] in range(len(classes)):
        index = int(numbers[0])
    else:
        return None
    return index if classes is CLASSES else class_index(classes[index])


def majority(votes: np.ndarray) -> np.ndarray:
    """(N, 10) FER+ votes -> (N,) int64: the class with most votes; UNLABELLED where it is tied, or
    no class of ours."""
    meant = np.array([_CLASS_OF.get(name, UNLABELLED) for name in VOTES])
    alone = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) == 1
    return np.where(alone, meant[votes.argmax(axis=1)], UNLABELLED)


def split_word(text: str) -> str | None:
    """The split that this whole word names ("PublicTest" -> "test"), or None."""
    return _SPLIT_OF.get(re.sub(r"[\W\d_]", "", text.casefold()))


def split_of(path: str) -> str:
    """The split that the path of a table or folder tells, the nearest name first; "" for none."""
    for part in reversed(PurePosixPath(path).parts):
        stem = PurePosixPath(part).stem
        if ferplus := re.fullmatch("FER2013(Train|Valid|Test)", stem):  # the folders of FER+
            return {"Train": "train", "Valid": "test", "Test": "private"}[ferplus[1]]
        stem = re.sub("(?<=[a-z])(?=[A-Z])", " ", stem).casefold()
        for word in re.findall(r"[^\W\d_]+", re.sub("^[xy](?=train|test|val)", "", stem)):
            if word in _SPLIT_OF:
                return _SPLIT_OF[word]
    return ""


def parse(
    texts: Sequence[str], places: Sequence[str], meaning: Callable[[str], Meaning | None], why: str
) -> list[Meaning]:
    """What every text means, each distinct one looked up once.

    Raises
    ------
    DataError
        with the place and `why`, in which {} is the text, for the first that means nothing.
    """
    known: dict[str, Meaning] = {}
    for place, text in zip(places, texts, strict=True):
        if text not in known:
            if (found := meaning(text)) is None:
                raise DataError(f"{place}: {why.format(repr(text[:40]))}")
            known[text] = found
    return [known[text] for text in texts]


def parse_labels(
    texts: Sequence[str], places: Sequence[str], classes: Sequence[str] = CLASSES
) -> np.ndarray:
    """(N,) int64 from numbers, names or one-hot rows; -1 is UNLABELLED, as in Hugging Face sets."""
    key = ", ".join(f"{i} {name}" for i, name in enumerate(CLASSES))
    why = f"label {{}} is none of {key}; correct the label"
    parse(classes, [f"{''.join(places[:1])}, class names"] * len(classes), class_index, why)
    index = partial(class_index, classes=classes)
    found = parse(texts, places, lambda t: UNLABELLED if t.strip() == "-1" else index(t), why)
    return np.array(found, dtype=np.int64)


def parse_splits(texts: Sequence[str], places: Sequence[str]) -> np.ndarray:
    """(N,) str from Usage words; an empty one is ""."""
    why = "split {} is none of Training, PublicTest, PrivateTest; correct it"
    return np.array(
        parse(texts, places, lambda t: split_word(t) if t.strip() else "", why), dtype="<U16"
    )


def parse_votes(texts: Sequence[str], places: Sequence[str]) -> np.ndarray:
    """(N, 10) uint8 from ten counts a row."""

    def counts(text: str) -> list[int] | None:
        words = text.split()
        whole = len(words) == 10 and all(re.fullmatch("[0-9]{1,3}", word) for word in words)
        return [*map(int, words)] if whole and max(map(int, words)) < 256 else None

    why = "{} are no FER+ votes: ten whole numbers 0 to 255; correct them"
    return np.array(parse(texts, places, counts, why), dtype=np.uint8).reshape(-1, 10)


def parse_ids(texts: Sequence[str], places: Sequence[str]) -> np.ndarray:
    """(N,) str. The longest decides how wide the array is, and ids are printed and written."""
    why = f"the id {{}} has more than {MAX_ID} letters or holds control characters; rename it"
    found = parse(
        texts, places, lambda t: t if len(t) <= MAX_ID and printable(t) == t else None, why
    )
    return np.array(found, dtype=str)


@dataclass
class Rows:
    """Images in the order of their file.

    images : (N, 48, 48) uint8;  places : N texts, where each row stands
    labels : (N,) int64;  ids, split : (N,) str;  votes : (N, 10) uint8 or None
    """

    images: np.ndarray
    places: list[str]
    labels: np.ndarray
    ids: np.ndarray
    split: np.ndarray
    votes: np.ndarray | None
    problems: list[str] = field(default_factory=list)


def make_rows(
    images: np.ndarray,
    places: list[str],
    columns: dict[str, Sequence[str]],
    *,
    split: str = "",
    classes: Sequence[str] = CLASSES,
    problems: Sequence[str] = (),
) -> Rows:
    """Rows from columns of text: labels, ids, split and votes, where the source has them.

    split : of all rows, where no column says it;  classes : what numbers of labels mean
    """
    n = len(images)
    labels, ids, splits, votes = map(columns.get, ("labels", "ids", "split", "votes"))
    return Rows(
        images,
        places,
        np.full(n, UNLABELLED) if labels is None else parse_labels(labels, places, classes),
        np.arange(n).astype(str) if ids is None else parse_ids(ids, places),
        np.full(n, split, "<U16") if splits is None else parse_splits(splits, places),
        None if votes is None else parse_votes(votes, places),
        [*problems],
    )


def concatenate(parts: list[Rows]) -> Rows:
    """One Rows of several files, in their order; votes only where every part has them."""
    arrays = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("images", "labels", "ids", "split")
    }
    voted = all(part.votes is not None for part in parts)
    return Rows(
        **arrays,
        places=[place for part in parts for place in part.places],
        votes=np.concatenate([part.votes for part in parts]) if voted else None,
        problems=[line for part in parts for line in part.problems],
    )
