"""The decoded pictures of a path, kept in one memory-mapped file so that the next start is quick.

A cache file is: magic, length and CRC of the header, a JSON header, then the arrays. It is found
by the path of the data, believed while every file has the size and times it had, and otherwise
while the content hash of the files is the same. It appears whole or not at all: temporary file,
fsync, `os.replace`. A damaged one does not pass its checksums and is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from hw3lib.data.faces import Faces
from hw3lib.files import sweep, write_atomic
from hw3lib.reading import parse_json

VERSION = 2  # raise it whenever a reader would make other Faces from the same files
_MAGIC = b"hw3faces"
_HEAD = struct.Struct("<8sII")  # magic, bytes of the header, CRC-32 of the header
_FORMS = {  # what is kept: kind of dtype, number of axes
    "images": ("u", 3), "labels": ("i", 1), "ids": ("U", 1), "split": ("U", 1),
    "group": ("i", 1), "votes": ("u", 2),
}  # fmt: skip
_ENTRIES = {  # of the header
    "path": str, "stamp": str, "content": str, "layout": str, "problems": list, "arrays": dict,
}  # fmt: skip
_ALIGN = 64


def cache_folder() -> Path:
    """HW3_CACHE, else data/.cache in the repository."""
    default = Path(__file__).resolve().parents[2] / "data" / ".cache"
    return Path(os.environ.get("HW3_CACHE") or default)


def cache_file(path: Path) -> Path:
    """Where the Faces of this path are kept."""
    name = hashlib.blake2b(str(path.resolve()).encode(), digest_size=10).hexdigest()
    return cache_folder() / f"{name}.faces"


def stamp(path: Path, files: list[Path]) -> str:
    """A cheap key of what lies at `path`: names, sizes and times of its files."""
    digest = hashlib.blake2b(f"{VERSION}|{path.resolve()}".encode(), digest_size=16)
    for file in files:
        info = file.stat()
        digest.update(f"|{file}|{info.st_size}|{info.st_mtime_ns}|{info.st_ctime_ns}".encode())
    return digest.hexdigest()


def content(path: Path, files: list[Path]) -> str:
    """The key of the content: names below `path` and every byte of the files."""
    base = path if path.is_dir() else path.parent
    digest = hashlib.blake2b(f"{VERSION}|{path.name}".encode(), digest_size=16)
    for file in files:
        with file.open("rb") as stream:
            one = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16))
        digest.update(f"|{file.relative_to(base).as_posix()}|".encode() + one.digest())
    return digest.hexdigest()


def load_cached(path: Path, files: list[Path]) -> Faces | None:
    """The Faces kept for these very files, memory-mapped read-only; None where there are none."""
    file = cache_file(path)
    header = _read_header(file)
    if header is None:
        return None
    fresh = header["stamp"] == stamp(path, files)
    if not fresh and header["content"] != content(path, files):
        return None
    faces = _read_arrays(file, header)
    if faces is not None and not fresh:  # same bytes, other times: remember the new times
        save(path, faces, stamp(path, files), header["content"])
    return faces


def save(path: Path, faces: Faces, stamped: str, keyed: str) -> bool:
    """Keep `faces`, whole or not at all. False where the folder cannot be written to."""
    arrays = {name: getattr(faces, name) for name in _FORMS}
    arrays = {k: np.ascontiguousarray(a) for k, a in arrays.items() if a is not None}
    offset, places = 0, {}
    for name, array in arrays.items():
        offset += -offset % _ALIGN
        places[name] = [array.dtype.str, array.shape, offset, zlib.crc32(_bytes(array))]
        offset += array.nbytes
    header = {
        "path": str(path.resolve()),
        "stamp": stamped,
        "content": keyed,
        "layout": faces.layout,
        "problems": faces.problems,
        "arrays": places,
    }
    text = json.dumps(header).encode()
    try:
        _tidy(cache_folder())
        write_atomic(cache_file(path), _packed(text, arrays, places))
    except OSError:  # a full or read-only disk: the data can still be used, only not kept
        return False
    return True


def _packed(text: bytes, arrays: dict[str, np.ndarray], places: dict) -> bytes:
    """The whole file: the arrays begin at multiples of _ALIGN, so that they can be mapped."""
    parts = [_HEAD.pack(_MAGIC, len(text), zlib.crc32(text)), text]
    end, start = _HEAD.size + len(text), _start(len(text))
    for name, array in arrays.items():
        at = start + places[name][2]
        parts += [bytes(at - end), _bytes(array)]
        end = at + array.nbytes
    return b"".join(parts)


def _bytes(array: np.ndarray) -> memoryview:
    return memoryview(array.reshape(-1).view(np.uint8)) if array.size else memoryview(b"")


def _start(header: int) -> int:
    return -(-(_HEAD.size + header) // _ALIGN) * _ALIGN


def _read_header(file: Path) -> dict | None:
    try:
        with file.open("rb") as stream:
            magic, length, crc = _HEAD.unpack(stream.read(_HEAD.size))
            whole = magic == _MAGIC and length <= file.stat().st_size
            text = stream.read(length) if whole else b""
        if not text or zlib.crc32(text) != crc:
            return None
        header = parse_json(text.decode())
        if not isinstance(header, dict):
            return None
        if any(not isinstance(header.get(name), kind) for name, kind in _ENTRIES.items()):
            return None
        return {**header, "start": _start(length)}
    except (OSError, struct.error, ValueError):
        return None


def _read_arrays(file: Path, header: dict) -> Faces | None:
    """Map the arrays and compare their checksums; None for a damaged file."""
    start = header["start"]
    arrays: dict[str, np.ndarray] = {}
    try:
        for name, (dtype, shape, offset, crc) in header["arrays"].items():
            if (np.dtype(dtype).kind, len(shape)) != _FORMS[name]:
                return None
            if 0 in shape:
                arrays[name] = np.empty(shape, dtype)
                continue
            array = np.memmap(file, dtype, "r", offset=start + offset, shape=tuple(shape))
            if zlib.crc32(_bytes(array)) != crc:
                return None
            arrays[name] = array.view(np.ndarray) if name == "images" else np.array(array)
        return Faces(**arrays, layout=header["layout"], problems=tuple(header["problems"]))
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return None


def _tidy(folder: Path) -> None:
    """Remove what killed processes left, and caches of data that is no longer there."""
    sweep(folder)
    for file in folder.glob("*.faces"):
        header = _read_header(file)
        drawn = header is not None and header["layout"] == "synthetic"  # from code, at no path
        if header is None or not (drawn or os.path.exists(header["path"])):
            with contextlib.suppress(OSError):
                file.unlink()
