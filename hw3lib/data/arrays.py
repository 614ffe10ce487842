"""NumPy files: an `.npz` with images (and labels, ids, classes), or `.npy` files of one set.

Names decide what an array is ("images", "x_train", "labels_test", "fdataX", …), shapes where names
do not.
"""

from __future__ import annotations

import io
import re
from pathlib import PurePosixPath

import numpy as np

from hw3lib.data.faces import CLASSES, SIZE, DataError
from hw3lib.data.images import as_faces, rows_of
from hw3lib.data.labels import Rows, concatenate, make_rows, split_of
from hw3lib.data.source import Entry

_ROLES = {  # what an array may be: patterns of a word in its name
    "ids": r"^ids?$|^files?$|^filenames?$",
    "classes": r"^class(?:es)?$|^names?$|^classnames?$",
    "labels": r"labels?|targets?|emotions?|^y$",
    "split": r"^splits?$|^usage$",
    "votes": r"^votes?$",
    "images": r"images?|imgs?|features?|pixels?|faces?|pictures?|data|^x$",
}
Arrays = dict[str, tuple[Entry, np.ndarray]]  # of the same images, by role


def read(entries: list[Entry]) -> tuple[Rows, str]:
    """Every group of arrays of one folder or `.npz` whose names differ only in their role."""
    sets: dict[tuple[PurePosixPath, str], Arrays] = {}
    for entry in entries:
        array = np.lib.format.read_array(io.BytesIO(entry.read()), allow_pickle=False)
        role, rest = parse_name(entry.path.stem)
        if role in ("", "images", "labels"):  # shapes say it more surely
            deep = array.ndim > 2 or array.shape[1:] == (SIZE * SIZE,)
            role = "images" if deep else "labels" if array.ndim < 2 else role or "labels"
        elif role == "classes" and array.dtype.kind not in "SU":
            role = "labels"
        found = sets.setdefault((entry.path.parent, rest), {})
        if role in found:
            raise DataError(
                f"{entry.where}: a second array of {role}, beside {found[role][0].where}; "
                "give the path of one data set"
            )
        found[role] = entry, array
    for (home, _), found in sets.items():  # the class names of a file serve all of its sets
        if "classes" in (shared := sets.get((home, ""), {})):
            found.setdefault("classes", shared["classes"])
    given = [found for found in sets.values() if "images" in found]
    if not given:
        place = entries[0].where
        raise DataError(f"{place}: no array of images; name it 'images', (N, {SIZE}, {SIZE}) uint8")
    for lone in sets.values():
        if "images" not in lone:
            _join(lone, given)
    return concatenate([_rows(found) for found in given]), "numpy"


def _join(lone: Arrays, given: list[Arrays]) -> None:
    """Give arrays whose names fit no images to the only images of their number."""
    for role in lone.keys() - {"classes"}:
        entry, array = lone[role]
        fit = [s for s in given if array.shape[:1] == s["images"][1].shape[:1]]
        if len(fit) == 1 and role not in fit[0]:
            fit[0][role] = lone[role]
        else:
            entry.unused = f"{role} of no images, of shape {array.shape}"


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


def _rows(found: Arrays) -> Rows:
    entry, array = found["images"]
    entry.now_reading()
    images, problems = as_faces(array, entry.where)
    n = len(images)
    for role in found.keys() - {"images", "classes"}:
        other, array = found[role]
        if array.shape[:1] != (n,):
            raise DataError(
                f"{other.where}: shape {array.shape}, but there are {n} images; give one of "
                f"{role} for each"
            )
    columns = {role: _texts(*found[role]) for role in found if role != "images"}
    classes = columns.pop("classes", CLASSES)
    split = split_of(entry.name)
    places = rows_of(entry.where, n)
    return make_rows(images, places, columns, split=split, classes=classes, problems=problems)


def _texts(entry: Entry, array: np.ndarray) -> list[str]:
    """(N, …) of any kind -> N texts."""
    entry.now_reading()
    array = np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array
    return [" ".join(map(str, row)) for row in array.reshape(len(array), -1).tolist()]
