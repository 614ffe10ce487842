"""The zip that a data set came in."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from functools import partial

import layouts

from hostile import images
from hostile.arrays import npy
from hostile.case import Data, Place, Trap, add, bad, given
from hostile.images import JPEG, PNG

DEFLATED = zipfile.ZIP_DEFLATED
FACES = layouts.small_faces(n=14)


def packed(*members: tuple[str | zipfile.ZipInfo, Data], how: int = DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive:
        for name, data in members:
            archive.writestr(name, given(data))
    return out.getvalue()


def made(*members: tuple[str | zipfile.ZipInfo, Data], how: int = DEFLATED) -> Callable:
    return lambda place: place.put("a.zip", packed(*members, how=how))


def changed(change: Callable[[bytearray], object], *members, how: int = DEFLATED) -> Callable:
    """A zip whose bytes are changed afterwards."""

    def make(place: Place):
        data = bytearray(packed(*(members or (("1.png", PNG), ("2.png", PNG))), how=how))
        out = change(data)
        return place.put("a.zip", bytes(data if out is None else out))

    return make


def poke(data: bytearray, at: int, form: str, *values: int) -> None:
    struct.pack_into(form, data, at, *values)


def directory(data: bytearray) -> int:
    """Where the entry of the first member stands in the list of members."""
    return data.index(b"PK\1\2")


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info


def _encrypt(data: bytearray) -> None:
    data[6] |= 1
    data[directory(data) + 8] |= 1


def _size(size: int) -> Callable[[bytearray], None]:
    return lambda data: poke(data, directory(data) + 24, "<I", size)


def _method(number: int) -> Callable[[bytearray], None]:
    def change(data: bytearray) -> None:
        poke(data, 8, "<H", number)
        poke(data, directory(data) + 10, "<H", number)

    return change


def _flip(data: bytearray) -> None:
    data[40] ^= 0xFF


def _all_in_one(data: bytearray) -> None:
    """Every entry of the list leads to the first member."""
    at = directory(data)
    while at >= 0:
        poke(data, at + 42, "<I", 0)
        at = data.find(b"PK\1\2", at + 4)


for name in ("../evil.png", "a/../../../../evil.png", "..\\evil.png"):
    add("zip", "escape", f"dots {name}".replace("/", "|"), made(("1.png", PNG), (name, PNG)),
        "a.zip", "leads out")  # fmt: skip
for name in ("/etc/evil.png", "C:/evil.png", "\\\\host\\evil.png"):
    add("zip", "escape", f"absolute {name}".replace("/", "|"), made(("1.png", PNG), (name, PNG)),
        "a.zip", "leads out")  # fmt: skip
for kind, what, make, *words in (
    ("link", "to a secret", made((link("a.png"), b"/etc/passwd")), "'a.png' is a link"),
    ("link", "a folder", made((link("train"), b"/"), ("train/1.png", PNG)), "is a link"),
    ("truncated", "in half", changed(lambda d: d[: len(d) // 2]), "damaged"),
    ("truncated", "without its end", changed(lambda d: d[:-22]), "damaged"),
    ("empty", "no byte", lambda p: p.put("a.zip", b""), "damaged"),
    ("empty", "no member", made(), "holds no pictures"),
    ("other content", "web page", lambda p: p.put("a.zip", "<html>"), "damaged"),
    ("other content", "gzip", lambda p: p.put("a.zip", b"\x1f\x8b\x08" + bytes(60)), "damaged"),
    ("other content", "a zip in a zip", made(("b.zip", packed(("1.png", PNG)))), "holds no"),
    ("bomb", "150 MB of zeros", made(("train.csv", lambda: bytes(150 * 2**20))), "unpacks to"),
    ("bomb", "many of 50 MB",
     made(*((f"{i}.csv", lambda: bytes(50 * 2**20)) for i in range(3))), "unpacks to"),
    ("bomb", "one member under many names",
     changed(_all_in_one, *((f"{i}.png", PNG) for i in range(9)), how=0), "a.zip"),
    ("huge", "a picture", made(("1.png", images.bomb)), "1.png", "million pixels"),
    ("lying header", "a smaller size", changed(_size(10)), "1.png"),
    ("lying header", "4 GB", changed(_size(2**32 - 2)), "a.zip"),
    ("lying header", "a long list", changed(lambda d: poke(d, len(d) - 10, "<I", 10**9)),
     "damaged"),
    ("flipped bit", "in a member", changed(_flip), "1.png"),
    ("flipped bit", "checksum",
     changed(lambda d: poke(d, directory(d) + 16, "<I", 1), how=0), "1.png"),
    ("unknown method", "encrypted", changed(_encrypt), "encrypted"),
    ("unknown method", "method 99", changed(_method(99)), "a.zip"),
    ("unknown method", "LZMA that is none", changed(_method(zipfile.ZIP_LZMA)), "a.zip"),
    ("unknown method", "bzip2 that is none", changed(_method(zipfile.ZIP_BZIP2)), "a.zip"),
    ("wrong encoding", "a name",
     changed(lambda d: d.replace("é.png".encode(), b"\xff\xfe.png"), ("é.png", PNG)), "a.zip"),
    ("duplicate id", "one name twice", made(("a/1.png", PNG), ("a/1.jpg", JPEG)), "unique"),
    ("hostile name", "a line end", made(("1\n<b>.png", PNG)), "control characters"),
    ("hostile name", "an escape sequence", made(("\x1b[2J.png", PNG[:50])), r"\x1b[2J"),
    ("huge", "a name of 60,000 digits", made(("9" * 60_000 + ".png", PNG)), "a.zip"),
    ("deep", "20,000 folders", made(("a/" * 20_000 + "1.png", PNG[:50])), "a.zip"),
    ("truncated picture", "one", made(("1.png", PNG[:60])), "1.png", "damaged"),
    ("code", "EPS", made(("1.png", images.EPS)), "not a JPEG"),
    ("formula", "label", made(("t/1.png", PNG), ("t.csv", b"id,label\n1,=1+1\n")), "'=1+1'"),
    ("NUL byte", "table", made(("train.csv", b"label,fea\0ture\n")), "UTF-8"),
    ("missing id", "no picture", made(("t/1.png", PNG), ("t.csv", b"id,label\n1,1\n2,1\n")), "'2'"),
    ("mixed", "two sets", made(("1.png", PNG), ("a.npz", b"PK")), "several data sets"),
    ("wrong count", "pixels", made(("train.csv", b"label,feature\n1,2 3\n")), "2 pixels"),
):  # fmt: skip
    add("zip", kind, what, make, *words)


@bad("zip", "pickle", "a.zip/labels.npy", "pickled")
def labels(place: Place):
    import numpy as np

    trap = npy(np.array([Trap(place.canary)], dtype=object), allow_pickle=True)
    return made(("images.npy", npy(FACES.images)), ("labels.npy", trap))(place)


@bad("zip", "truncated", "a.zip", "damaged", name="beside others")
def beside_others(place: Place):
    return partial(changed(lambda d: d[:100]), place)().parent
