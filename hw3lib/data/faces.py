"""Faces: every data layout ends up as this one array of images."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from hw3lib import UserError

CLASSES = ("Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral")
SIZE = 48  # pixels a side
UNLABELLED = -1
# published class by class, as in CLASSES, and pixels as mean and standard deviation in [0, 1]
COURSE_COUNTS = (4009, 450, 4136, 7275, 4841, 3221, 4955)  # the course's training set: 28,887
COURSE_PIXELS = (0.508156, 0.264441)
FER2013_COUNTS = (3995, 436, 4097, 7215, 4830, 3171, 4965)  # FER2013's Training: 28,709
FER2013_PIXELS = (0.50774, 0.25501)
ARRAYS = ("images", "labels", "ids", "split", "group", "votes")  # of Faces, a row for each image
SPLITS = ("train", "test", "private")  # Training, PublicTest, PrivateTest in FER2013's words


class DataError(UserError):
    """A fault in the user's data: one line naming the file, the row and the fix."""


@dataclass(frozen=True)
class Faces:
    """Images of faces with what is known of each of them.

    Attributes
    ----------
    images : (N, 48, 48) uint8, possibly memory-mapped read-only
    labels : (N,) int64, an index into CLASSES, or UNLABELLED
    ids    : (N,) str, the image's number or file stem where the layout has one, else its row
    split  : (N,) str, one of SPLITS, as the data says; "" where the data says nothing
    group  : (N,) int64, equal for copies and near copies, numbered by first appearance
    votes  : (N, 10) uint8 or None, FER+ votes in the order neutral, happiness, surprise,
             sadness, anger, disgust, fear, contempt, unknown, not a face
    layout : how the images lay on disk, e.g. "kaggle-csv", or "synthetic"
    problems : lines about what was fixed or looks wrong
    """

    images: np.ndarray
    labels: np.ndarray
    ids: np.ndarray
    split: np.ndarray
    group: np.ndarray
    votes: np.ndarray | None = None
    layout: str = ""
    problems: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    @property
    def synthetic(self) -> bool:
        return self.layout == "synthetic"

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Those of ARRAYS that are known, by name."""
        return {name: getattr(self, name) for name in ARRAYS if getattr(self, name) is not None}

    @cached_property
    def exact(self) -> np.ndarray:
        """(N,) int64, equal for byte-identical images, numbered by first appearance."""
        return exact_groups(self.images)

    @cached_property
    def digests(self) -> np.ndarray:
        """(N,) 16-byte digests of image and label: a name for each row that no layout changes."""
        return np.array(
            [
                hashlib.blake2b(image.tobytes() + str(label).encode(), digest_size=16).digest()
                for image, label in zip(np.asarray(self.images), self.labels, strict=True)
            ],
            dtype="V16",
        )

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of images and labels, whatever their order, ids and layout."""
        return digest_of(self.digests)

    def subset(self, index: np.ndarray) -> Faces:
        """The faces at `index` ((M,) integers or a (N,) mask), in that order."""
        return replace(self, **{name: array[index] for name, array in self.arrays.items()})


def exact_groups(images: np.ndarray) -> np.ndarray:
    """(N, 48, 48) uint8 -> (N,) int64: equal for byte-identical images, by first appearance."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(image.tobytes(), len(seen)) for image in images], np.int64)


def digest_of(digests: np.ndarray) -> str:
    """16 hex digits of a set of row digests; the order of the rows does not matter."""
    return hashlib.blake2b(
        b"".join(sorted(d.tobytes() for d in digests)), digest_size=8
    ).hexdigest()
