"""The decoded images of a path, kept in one memory-mapped file so that the next start is quick.

A cache file is a safetensors file. It is found by the path of the data and believed while every
file has the size and times it had. A damaged one does not pass its checksum and is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zlib
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from hw3lib.data.faces import Faces
from hw3lib.files import ROOT, sweep, write_atomic

VERSION = 6  # raise it whenever a reader would make other Faces from the same files
TEXT = ("ids", "split")  # kept as their letters' code points, (N, longest) uint32


def cache_folder() -> Path:
    """HW3_CACHE, else data/.cache in the repository."""
    return Path(os.environ.get("HW3_CACHE") or ROOT / "data" / ".cache")


def cache_file(path: Path) -> Path:
    """Where the Faces of this path are kept."""
    name = hashlib.blake2b(str(path.resolve()).encode(), digest_size=10).hexdigest()
    return cache_folder() / f"{name}.safetensors"


def stamp(path: Path, files: list[Path]) -> str:
    """The key of what lies at `path`: names, sizes and times of its files."""
    digest = hashlib.blake2b(f"{VERSION}|{path.resolve()}".encode(), digest_size=16)
    for file in files:
        info = file.stat()
        digest.update(f"|{file}|{info.st_size}|{info.st_mtime_ns}|{info.st_ctime_ns}".encode())
    return digest.hexdigest()


def save(path: Path, faces: Faces, stamped: str) -> None:
    """Keep `faces`, whole or not at all."""
    arrays = {name: np.ascontiguousarray(array) for name, array in faces.arrays.items()}
    for name in TEXT:
        arrays[name] = arrays[name].view((np.uint32, arrays[name].itemsize // 4))
    about = {
        "stamp": stamped,
        "faces": json.dumps({"layout": faces.layout, "problems": faces.problems}),
    }
    about["check"] = _check(about, arrays)
    with contextlib.suppress(OSError):  # a full or read-only disk: the data can still be used
        sweep(cache_folder())
        write_atomic(cache_file(path), to_safetensors(arrays, about))


def load_cached(path: Path, stamped: str) -> Faces | None:
    """The Faces kept under this stamp, memory-mapped read-only; None if missing or damaged."""
    file = cache_file(path)
    try:
        with safe_open(file, "numpy") as kept:
            about = kept.metadata()
            shape = kept.get_slice("images").get_shape()
            arrays = {name: kept.get_tensor(name) for name in kept.keys() if name != "images"}  # noqa: SIM118
        with file.open("rb") as stream:  # where the images begin stands in the JSON of the header
            length = int.from_bytes(stream.read(8), "little")
            begin, _ = json.loads(stream.read(length))["images"]["data_offsets"]
        arrays["images"] = np.memmap(file, np.uint8, "r", 8 + length + begin, tuple(shape))
        if about.pop("check") != _check(about, arrays) or about["stamp"] != stamped:
            return None
        for name in TEXT:
            arrays[name] = arrays[name].view(f"<U{arrays[name].shape[1]}").reshape(-1)
        arrays["images"] = arrays["images"].view(np.ndarray)
        told = json.loads(about["faces"])
        return Faces(**arrays, layout=told["layout"], problems=(*told["problems"],))
    except (OSError, ValueError, TypeError, LookupError, RecursionError, SafetensorError):
        return None


def _check(about: dict[str, str], arrays: dict[str, np.ndarray]) -> str:
    """CRC-32 of everything that a cache file holds."""
    crc = zlib.crc32(json.dumps(about, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        crc = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), crc)
        crc = zlib.crc32(array.reshape(-1).view(np.uint8), crc)
    return f"{crc:08x}"
