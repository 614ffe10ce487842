"""The data split: train, validation, test, by groups of copies and never by row order."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from hw3lib.data.faces import UNLABELLED, DataError, Faces, digest_of

PART = re.compile(r"part ([1-9]\d*) of ([1-9]\d*)")  # of a split into K parts of equal size


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of train, validation and test in `faces`, ordered by content alone.

    The same images in another layout, order or numbering give the same parts in the same
    order, so a Run made from one layout is the Run of all of them.
    """

    faces: Faces
    train: np.ndarray  # (n,) int64
    validation: np.ndarray
    test: np.ndarray
    test_source: str  # "given" by the data, or "cut" from its training images

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of which image, with which label, is in train and in validation."""
        text = "|".join(digest_of(self.faces.digests[i]) for i in (self.train, self.validation))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @cached_property
    def test_fingerprint(self) -> str:
        """16 hex digits of which image, with which label, is in test."""
        return digest_of(self.faces.digests[self.test])

    @cached_property
    def test_is_copy(self) -> np.ndarray:
        """(n_test,) bool: a byte-identical copy stands in train or validation."""
        return self._in_training(self.faces.exact)

    @cached_property
    def test_is_near_copy(self) -> np.ndarray:
        """(n_test,) bool: a copy or near copy stands in train or validation."""
        return self._in_training(self.faces.group)

    @property
    def test_masks(self) -> dict[str, np.ndarray]:
        """Three ways to count a test score -> (n_test,) bool: the images that count."""
        return {
            "all": np.ones(len(self.test), bool),
            "without exact copies": ~self.test_is_copy,
            "without near copies": ~self.test_is_near_copy,
        }

    def _in_training(self, group: np.ndarray) -> np.ndarray:
        return np.isin(group[self.test], group[np.concatenate([self.train, self.validation])])

    def take(self, name: str) -> Faces:
        """The faces of train, validation or test."""
        return self.faces.subset(getattr(self, name))


def split_faces(
    faces: Faces, *, validation: float = 0.1, test: float = 0.1, seed: int = 0
) -> Split:
    """Cut the labelled training images so that no group of copies straddles two parts.

    Parameters
    ----------
    validation, test : shares of the training images, in (0, 1); `test` is used only where
        the data gives no labelled test set
    seed : of the cut; the cut is stratified by the label of each group's first image

    Raises
    ------
    DataError
        if there are too few labelled training images to cut.
    """
    labelled = faces.labels != UNLABELLED
    pool = np.flatnonzero(labelled & np.isin(faces.split, ("train", "")))
    given = np.flatnonzero(labelled & (faces.split == "test"))
    if len(pool) < 20:
        raise DataError(
            f"{len(pool)} labelled training images: training needs at least 20; "
            "give a data set with labels"
        )
    rest, held = _cut(faces, _by_content(faces, pool), validation, seed)
    if len(given):
        return Split(faces, rest, held, _by_content(faces, given), "given")
    rest, cut = _cut(faces, rest, test / (1 - validation), seed + 1)
    return Split(faces, rest, held, cut, "cut")


@lru_cache(maxsize=64)
def recut(folds: Split, split: str, seed: int = 0) -> Split:
    """Train and validation of `folds` cut again, in the same shares; test stays.

    split : "default": as they are;
            "stratified": by group of copies, stratified by class, with this seed;
            "random": by group of copies, not stratified;
            "pictures": stratified, every image for itself, so that copies straddle the parts;
            "part k of K": validation is the k-th of K parts (by group of copies, stratified),
            train the others; the K parts make up train and validation together
    """
    if split == "default":
        return folds
    faces = folds.faces
    pool = _by_content(faces, np.concatenate([folds.train, folds.validation]))
    share = len(folds.validation) / len(pool)
    if part := PART.fullmatch(split):
        rest, held = _part(faces, pool, *map(int, part.groups()))
    else:
        by_group, stratified = split != "pictures", split != "random"
        rest, held = _cut(faces, pool, share, seed, by_group=by_group, stratified=stratified)
    return Split(faces, rest, held, folds.test, folds.test_source)


def _by_content(faces: Faces, rows: np.ndarray) -> np.ndarray:
    """The rows in an order that no layout changes."""
    return rows[np.argsort(faces.digests[rows], kind="stable")]


def _part(faces: Faces, rows: np.ndarray, k: int, parts: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.model_selection import StratifiedKFold

    if parts < 2 or k > parts:
        raise DataError(f"split 'part {k} of {parts}': part 1 to K of K, K at least 2")
    groups, labels = _groups(faces.group[rows], faces.labels[rows])
    # by the label of a group's first image: scikit-learn's StratifiedGroupKFold takes seconds
    cuts = StratifiedKFold(parts, shuffle=True, random_state=0).split(groups, labels)
    _, held = list(cuts)[k - 1]
    inside = np.isin(faces.group[rows], groups[held])
    return rows[~inside], rows[inside]


def _groups(group: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The groups in the order of their first images, and these images' labels."""
    first = np.sort(np.unique(group, return_index=True)[1])
    return group[first], labels[first]


def _cut(
    faces: Faces,
    rows: np.ndarray,
    share: float,
    seed: int,
    *,
    by_group: bool = True,
    stratified: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.model_selection import train_test_split

    group = faces.group[rows] if by_group else rows
    groups, labels = _groups(group, faces.labels[rows])
    counts = np.bincount(labels)
    able = counts[counts > 0].min() >= 2 and share * len(groups) >= 7
    stratify = labels if stratified and able else None
    _, held = train_test_split(groups, test_size=share, random_state=seed, stratify=stratify)
    inside = np.isin(group, held)
    return rows[~inside], rows[inside]
