"""NumPy files: an `.npz` with images (and labels, ids, classes), or `.npy` files of one set.

Names decide what an array is ("images", "x_train", "labels_test", "fdataX", …), shapes where names
do not.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from hw3lib.data.faces import SIZE, DataError
from hw3lib.data.images import Decoder, as_bytes
from hw3lib.data.labels import (
    Rows,
    as_ids,
    concatenate,
    parse_labels,
    parse_splits,
    parse_votes,
    row_numbers,
    split_of,
    unlabelled,
)
from hw3lib.data.source import Entry

_ROLES = {  # what an array may be: patterns of a word in its name
    "ids": r"^ids?$|^files?$|^filenames?$",
    "classes": r"^class(?:es)?$|^names?$|^classnames?$",
    "labels": r"labels?|targets?|emotions?|^y$",
    "split": r"^splits?$|^usage$",
    "votes": r"^votes?$",
    "images": r"images?|imgs?|features?|pixels?|faces?|pictures?|data|^x$",
}
_GREY = np.array([19595, 38470, 7471], dtype=np.uint32)  # ITU-R 601 in 16-bit steps, as Pillow


@dataclass
class _Set:
    """Arrays that describe the same images, by role, and where each was found."""

    name: str
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)


def read(entries: list[Entry], root: str, unused: Callable[[str, str], object]) -> Rows:
    """Every group of arrays of one folder or `.npz` whose names differ only in their role."""
    sets: dict[tuple[str, str], _Set] = {}
    for entry in entries:
        array = _pure(np.load(io.BytesIO(entry.read()), allow_pickle=False), entry.where)
        role, rest = parse_name(entry.stem)
        if role in ("", "images", "labels"):  # shapes say it more surely
            deep = array.ndim > 2 or array.shape[1:] == (SIZE * SIZE,)
            role = "images" if deep else "labels" if array.ndim < 2 else role or "labels"
        elif role == "classes" and array.dtype.kind not in "SU":
            role = "labels"
        found = sets.setdefault((entry.folder, rest), _Set(entry.name))
        if role in found.arrays:
            raise DataError(
                f"{entry.where}: a second array of {role}, beside {found.places[role]}; "
                "give the path of one data set"
            )
        found.arrays[role], found.places[role] = array, entry.where
        if role == "images":
            found.name = entry.name
    for (home, _), found in sets.items():  # the class names of a file serve all of its sets
        shared = sets.get((home, ""), found).arrays
        if "classes" in shared:
            found.arrays.setdefault("classes", shared["classes"])
    given = [s for s in sets.values() if "images" in s.arrays]
    if not given:
        place = entries[0].where
        raise DataError(f"{place}: no array of images; name it 'images', (N, {SIZE}, {SIZE}) uint8")
    for lone in (s for s in sets.values() if "images" not in s.arrays):
        _join(lone, given, unused)
    return concatenate([_rows(s, root) for s in given])


def _join(lone: _Set, given: list[_Set], unused: Callable[[str, str], object]) -> None:
    """Give arrays whose names fit no images to the only images of their number."""
    for role, array in lone.arrays.items():
        fit = [s for s in given if array.shape[:1] == s.arrays["images"].shape[:1]]
        if len(fit) == 1 and role != "classes" and role not in fit[0].arrays:
            fit[0].arrays[role], fit[0].places[role] = array, lone.places[role]
        elif role != "classes":
            unused(lone.places[role], f"{len(array) if array.ndim else 1} {role} of no images")


def parse_name(name: str) -> tuple[str, str]:
    """What an array is, and what else its name says ("x_train" -> "images", "train")."""
    spaced = re.sub(r"^([xyXY])(?=train|test|val)", r"\1 ", name)
    words = [w.casefold() for w in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", spaced)] or [name]
    for role, pattern in _ROLES.items():
        if any(re.search(pattern, word) for word in words):
            every = "|".join((pattern, _ROLES["images"]))
            rest = [re.sub(every, "", word) for word in words]
            return role, "_".join(filter(None, rest))
    return "", "_".join(words)


def _pure(array: object, where: str) -> np.ndarray:
    """An array of numbers, truth values or text; NumPy does not look whether text is text."""
    if not isinstance(array, np.ndarray):
        raise DataError(f"{where}: holds something else than a NumPy array")
    if array.dtype.kind not in "biufcSU":
        dtype = str(array.dtype)[:80]
        raise DataError(f"{where}: an array of {dtype}; save plain numbers or text")
    if array.dtype.kind == "U" and array.size:
        native = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("=")))
        if native.reshape(-1).view(np.uint32).max() > sys.maxunicode:
            raise DataError(f"{where}: text that is no Unicode; save the arrays again")
    return array


def _rows(found: _Set, root: str) -> Rows:
    place, arrays = found.places["images"], found.arrays
    decoder = Decoder()
    images = as_faces(arrays["images"], place, decoder)
    n = len(images)
    for role in ("labels", "ids", "split", "votes"):
        shape = arrays[role].shape if role in arrays else (n,)
        if shape[:1] != (n,) or (role in ("ids", "split") and len(shape) > 1):
            raise DataError(
                f"{found.places[role]}: shape {shape}, but there are {n} images; give one of "
                f"{role} for each"
            )

    def where(row: int) -> str:
        return f"{place}, row {row}"

    ids, split, votes = row_numbers(n), np.full(n, split_of(found.name, root), "<U16"), None
    if "ids" in arrays:
        ids = as_ids(_text(found, "ids").astype(str).tolist(), where)
    if "split" in arrays:
        split = parse_splits(_text(found, "split").tolist(), where)
    if "votes" in arrays:
        votes = parse_votes(arrays["votes"].reshape(n, -1).tolist(), where)
    labels = _labels(found) if "labels" in arrays else unlabelled(n)
    return Rows(images, labels, ids, split, where, votes, decoder.problems())


def _labels(found: _Set) -> np.ndarray:
    array, place = found.arrays["labels"], found.places["labels"]
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 and (array.ndim != 2 or array.shape[1] != 7):
        raise DataError(f"{place}: labels of shape {array.shape}; give one number an image")
    classes = _text(found, "classes").tolist() if "classes" in found.arrays else None
    found.arrays["labels"] = array
    return parse_labels(_text(found, "labels"), lambda row: f"{place}, row {row}", classes)


def _text(found: _Set, role: str) -> np.ndarray:
    """The array of this role; what is bytes as text."""
    array = found.arrays[role]
    try:
        return np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array
    except UnicodeDecodeError:
        place = found.places.get(role, found.name)
        raise DataError(f"{place}: bytes that are no UTF-8; save the {role} as text") from None


def as_faces(array: np.ndarray, place: str, decoder: Decoder) -> np.ndarray:
    """Images in any unambiguous shape and scale -> (N, 48, 48) uint8.

    Shapes: (N, H, W), (N, H, W, 1 or 3), (N, 1, H, W), (N, 2304). Values as in `as_bytes`.

    Raises
    ------
    DataError
        naming what else it found.
    """
    shape = array.shape
    if array.ndim == 2 and shape[1] == SIZE * SIZE:
        array = array.reshape(-1, SIZE, SIZE)
    elif array.ndim == 4 and shape[1] == 1:
        array = array[:, 0]
    elif array.ndim == 4 and shape[3] == 1:
        array = array[..., 0]
    rgb = array.ndim == 4 and array.shape[3] == 3
    if (array.ndim != 3 and not rgb) or min(array.shape[1:3]) < 8 or array.dtype.kind not in "iuf":
        raise DataError(
            f"{place}: shape {shape}, {array.dtype} is no array of images; "
            f"give (N, {SIZE}, {SIZE}) uint8"
        )
    array = as_bytes(array, lambda row: f"{place}, row {row}")
    if rgb:
        array = ((array.astype(np.uint32) @ _GREY + 0x8000) >> 16).astype(np.uint8)
    if array.shape[1:] == (SIZE, SIZE):
        return array
    return np.stack([decoder.resize(p, f"{place}, row {i}") for i, p in enumerate(array)])
