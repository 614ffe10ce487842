"""NumPy files: `.npz` with images (and labels, ids, classes), or `.npy` files that belong together.

Names decide what an array is ("images", "x_train", "labels_test", …), shapes where names do not.
"""

from __future__ import annotations

import io
import re
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from hw3lib.data.decode import Decoder
from hw3lib.data.faces import SIZE, DataError
from hw3lib.data.names import parse_labels, parse_splits, split_of, unlabelled
from hw3lib.data.rows import Rows, as_ids, concatenate, row_numbers
from hw3lib.data.source import Entry, Source, check_archive

LAYOUT = "numpy"
_ROLES = {
    "images": "images image imgs x data features pixels faces pictures",
    "labels": "labels label y targets target emotion emotions",
    "ids": "ids id",
    "classes": "classes",
    "split": "split usage",
    "votes": "votes",
}
_ROLE_OF = {word: role for role, words in _ROLES.items() for word in words.split()}
_GREY = np.array([19595, 38470, 7471], dtype=np.uint32)  # ITU-R 601 in 16-bit steps, as Pillow


@dataclass
class _Set:
    """Arrays that describe the same pictures, by role, and where each was found."""

    name: str
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)


def read(source: Source, entries: list[Entry]) -> Rows:
    """Every `.npz` and every group of `.npy` files whose names differ only in their role."""
    sets: dict[tuple[str, str], _Set] = {}
    for entry in entries:
        npz = entry.suffix == ".npz"
        for key, array in (_load_npz if npz else _load_npy)(entry):
            role, rest = parse_name(key)
            role = role or ("labels" if array.ndim == 1 else "images")
            home = entry.name if npz else entry.folder
            name = f"{entry.name}/{key}" if npz else entry.name
            found = sets.setdefault((home, rest), _Set(name))
            place = f"{entry.where}, {key}" if npz else entry.where
            if role in found.arrays:
                raise DataError(
                    f"{place}: a second array of {role}, beside {found.places[role]}; "
                    "give the path of one data set"
                )
            found.arrays[role], found.places[role] = array, place
            if role == "images":
                found.name = name
    for (home, _), found in sets.items():  # the class names of a file serve all of its sets
        shared = sets.get((home, ""), found).arrays
        if "classes" in shared:
            found.arrays.setdefault("classes", shared["classes"])
    given = [s for s in sets.values() if "images" in s.arrays]
    if not given:
        place = entries[0].where
        raise DataError(f"{place}: no array of images; name it 'images', (N, {SIZE}, {SIZE}) uint8")
    return concatenate([_rows(source, s) for s in given])


def parse_name(name: str) -> tuple[str, str]:
    """What an array is, and what else its name says ("x_train" -> "images", "train")."""
    words = re.findall(r"[^\W_]+", name.casefold())
    role = next((_ROLE_OF[word] for word in words if word in _ROLE_OF), "")
    return role, "_".join(word for word in words if word not in _ROLE_OF)


def _load_npz(entry: Entry) -> list[tuple[str, np.ndarray]]:
    data = io.BytesIO(entry.read())
    try:
        check_archive(entry.where, zipfile.ZipFile(data).infolist())
        with np.load(data, allow_pickle=False) as archive:
            return [(key, _pure(archive[key], entry)) for key in archive.files]
    except DataError:
        raise
    except Exception as error:  # damaged bytes raise nearly anything in zipfile, zlib and NumPy
        raise _damaged(entry, error) from None


def _load_npy(entry: Entry) -> list[tuple[str, np.ndarray]]:
    try:
        return [(entry.stem, _pure(np.load(io.BytesIO(entry.read()), allow_pickle=False), entry))]
    except DataError:
        raise
    except Exception as error:  # as above: NumPy even tokenizes the header as Python
        raise _damaged(entry, error) from None


def _pure(array: object, entry: Entry) -> np.ndarray:
    """An array of numbers, truth values or text; NumPy does not look whether text is text."""
    if not isinstance(array, np.ndarray):
        raise DataError(f"{entry.where}: holds something else than NumPy arrays")
    kind = array.dtype.kind
    if kind not in "biufcSU":
        dtype = str(array.dtype)[:80]
        raise DataError(f"{entry.where}: an array of {dtype}; save plain numbers or text")
    if kind == "U" and array.size:
        native = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("=")))
        if native.reshape(-1).view(np.uint32).max() > sys.maxunicode:
            raise DataError(f"{entry.where}: text that is no Unicode; save the arrays again")
    return array


def _damaged(entry: Entry, error: Exception) -> DataError:
    if "pickled" in str(error) or "Object arrays" in str(error):
        return DataError(
            f"{entry.where}: holds pickled Python objects, which could run code; "
            "save plain arrays with numpy.savez"
        )
    reason = (str(error).splitlines() or [type(error).__name__])[0][:80]
    return DataError(f"{entry.where}: a damaged NumPy file ({reason}); save it again")


def _rows(source: Source, found: _Set) -> Rows:
    place = found.places["images"]
    decoder = Decoder()
    images = as_pictures(found.arrays["images"], place, decoder)
    n = len(images)
    for role in ("labels", "ids", "split", "votes"):
        shape = found.arrays[role].shape if role in found.arrays else (n,)
        if shape[:1] != (n,) or (role in ("ids", "split") and len(shape) > 1):
            raise DataError(
                f"{found.places[role]}: shape {shape}, but there are {n} "
                f"pictures; give one of {role} for each"
            )

    def where(row: int) -> str:
        return f"{place}, row {row}"

    labels = _labels(found) if "labels" in found.arrays else unlabelled(n)
    ids = row_numbers(n)
    if "ids" in found.arrays:
        ids = as_ids(_text(found, "ids").astype(str).tolist(), where)
    key = str(PurePosixPath(found.name))
    split = np.full(n, split_of(key, source.root), dtype="<U16")
    if "split" in found.arrays:
        split = parse_splits(_text(found, "split").tolist(), where)
    votes = found.arrays.get("votes")
    if votes is not None and (votes.shape != (n, 10) or votes.dtype.kind not in "iu"):
        raise DataError(f"{found.places['votes']}: votes must be (N, 10) counts, as in FER+")
    votes = None if votes is None else votes.astype(np.uint8)
    return Rows(images, labels, ids, split, where, votes, decoder.problems())


def _labels(found: _Set) -> np.ndarray:
    array, place = found.arrays["labels"], found.places["labels"]
    if array.ndim != 1:
        raise DataError(f"{place}: labels of shape {array.shape}; give one number a picture")
    classes = _text(found, "classes") if "classes" in found.arrays else None
    return parse_labels(_text(found, "labels"), lambda row: f"{place}, row {row}", classes)


def _text(found: _Set, role: str) -> np.ndarray:
    """The array of this role, flat; what is bytes as text."""
    array = found.arrays[role].ravel()
    try:
        return np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array
    except UnicodeDecodeError:
        place = found.places.get(role, found.name)
        raise DataError(f"{place}: bytes that are no UTF-8; save the {role} as text") from None


def as_pictures(array: np.ndarray, place: str, decoder: Decoder) -> np.ndarray:
    """Pictures in any unambiguous shape and scale -> (N, 48, 48) uint8.

    Shapes: (N, H, W), (N, H, W, 1 or 3), (N, 1, H, W), (N, 2304). Values: whole numbers in
    0..255, or floats in [0, 1]. DataError names what else it found.
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
            f"{place}: shape {shape}, {array.dtype} is no array of pictures; "
            f"give (N, {SIZE}, {SIZE}) uint8"
        )
    array = _as_bytes(array, place)
    if rgb:
        array = ((array.astype(np.uint32) @ _GREY + 0x8000) >> 16).astype(np.uint8)
    if array.shape[1:] == (SIZE, SIZE):
        return array
    return np.stack([decoder.resize(p, f"{place}, row {i}") for i, p in enumerate(array)])


def _as_bytes(array: np.ndarray, place: str) -> np.ndarray:
    if array.dtype == np.uint8 or array.size == 0:
        return array.astype(np.uint8)
    low, high = array.min(), array.max()
    if array.dtype.kind == "f":
        if not np.isfinite([low, high]).all():
            raise DataError(f"{place}: not-a-number or infinity among the pixels; correct them")
        if low >= 0 and high <= 1:
            return np.rint(array * 255).astype(np.uint8)
    if low < 0 or high > 255 or (array.dtype.kind == "f" and (array != np.rint(array)).any()):
        raise DataError(
            f"{place}: pixels from {low:g} to {high:g} ({array.dtype}); give whole numbers "
            "0 to 255, or floats 0 to 1"
        )
    return array.astype(np.uint8)
