"""NumPy files: archives of arrays (.npz) and single arrays (.npy)."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Callable
from functools import partial

import layouts
import numpy as np

from hostile.case import Data, Place, Trap, add, bad, given

FACES = layouts.small_faces(n=14)
N = len(FACES)


def npz(place: Place, name: str = "a.npz", **arrays: np.ndarray):
    return layouts.write_npz(place.folder / name, FACES, **arrays)


def whole() -> bytes:
    out = io.BytesIO()
    np.savez(out, images=FACES.images, labels=FACES.labels)
    return out.getvalue()


def header(shape: str, dtype: str = "'|u1'", rest: str = "") -> bytes:
    """The head of a .npy file that says what it is told to."""
    text = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, {rest}}}"
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def members(*parts: tuple[str, Data], name: str = "a.npz") -> Callable[[Place], object]:
    """A zip of these members, whatever they hold."""

    def make(place: Place):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, data in parts:
                archive.writestr(member, given(data))
        return place.put(name, out.getvalue())

    return make


def npy(array: np.ndarray, **options) -> bytes:
    out = io.BytesIO()
    np.save(out, array, **options)
    return out.getvalue()


GOOD = ("images.npy", npy(FACES.images))
FULL = np.full((N, 48, 48), 7.0)

for kind, what, arrays, *words in (
    ("wrong count", "labels", {"labels": FACES.labels[:5]}, "(5,)", "14"),
    ("wrong count", "ids", {"ids": FACES.ids[:5]}, "(5,)", "14"),
    ("wrong count", "votes of nine", {"votes": np.zeros((N, 9), int)}, "votes"),
    ("wrong count", "ids in a square", {"ids": np.array([["a", "b"]] * N)}, "ids"),
    ("wrong count", "splits in a square", {"split": np.array([["train", "test"]] * N)}, "split"),
    ("wrong count", "classes", {"classes": np.array(["Angry"])}, "label"),
    ("wrong type", "labels as words", {"labels": np.array(["bored"] * N)}, "'bored'"),
    ("wrong type", "labels as dates", {"labels": np.zeros(N, "M8[D]")}, "plain numbers"),
    ("wrong type", "labels as records",
     {"labels": np.zeros(N, [("a", "i4"), ("b", "f4")])}, "plain numbers"),
    ("wrong encoding", "ids beyond Unicode",
     {"ids": np.full(N, 0x80_0000, np.uint32).view("U1")}, "no Unicode"),
    ("wrong type", "complex pictures", {"images": FULL.astype(complex)}, "complex"),
    ("wrong type", "truth values", {"images": FULL.astype(bool)}, "bool"),
    ("wrong type", "words as pictures", {"images": np.full((N, 48, 48), "x")}, "no array of"),
    ("wrong value", "pixels of 256", {"images": FULL + 249}, "256"),
    ("wrong value", "not a number", {"images": FULL * np.nan}, "not-a-number"),
    ("wrong value", "pixels of 1e300", {"images": FULL * 1e300}, "images"),
    ("wrong value", "a label of 2^63", {"labels": np.full(N, 2**63, np.uint64)}, "label"),
    ("wrong value", "a split", {"split": np.array(["x"] * N)}, "'x'"),
    ("wrong shape", "flat", {"images": FULL[:, :3, 0]}, "no array of pictures"),
    ("wrong shape", "five channels", {"images": np.zeros((N, 48, 48, 5))}, "no array of"),
    ("wrong shape", "one pixel", {"images": np.zeros((N, 1, 1), np.uint8)}, "no array of"),
    ("wrong shape", "no picture", {"images": FACES.images[:0], "labels": FACES.labels[:0],
                                   "ids": FACES.ids[:0], "split": FACES.split[:0]}, "holds no"),
    ("wrong encoding", "ids in Latin-1", {"ids": np.array([b"\xe9%d" % i for i in range(N)])},
     "ids"),
    ("wrong encoding", "labels in Latin-1", {"labels": np.array([b"\xe9"] * N)}, "labels"),
    ("wrong names", "a class", {"classes": np.array(["x"] * 7)}, "'x'"),
    ("duplicate id", "twice", {"ids": np.array(["z", "z", *FACES.ids[2:]])}, "'z'", "unique"),
    ("hostile id", "a line end", {"ids": np.array(["a\nb", *FACES.ids[1:]])}, "control"),
    ("formula", "labels", {"labels": np.array(["=1+1"] * N)}, "'=1+1'"),
    ("pickle", "labels",
     {"labels": np.array([None] * N, dtype=object)}, "pickled", "numpy.savez"),
):  # fmt: skip
    add("npz", kind, what, partial(npz, **arrays), "a.npz", *words)


def _trapped(place: Place) -> bytes:
    return npy(np.array([Trap(place.canary)], dtype=object), allow_pickle=True)


@bad("npz", "pickle", "a.npz", "pickled", "numpy.savez")
def a_trap(place: Place):
    return members(GOOD, ("labels.npy", _trapped(place)))(place)


@bad("npz", "pickle", "a.npz", "something else")
def a_plain_pickle(place: Place):
    return members(GOOD, ("labels.pkl", place.pickled()))(place)


for kind, what, make, *words in (
    ("truncated", "in half", lambda p: p.put("a.npz", whole()[:9000]), "damaged"),
    ("truncated", "without its list", lambda p: p.put("a.npz", whole()[:-40]), "damaged"),
    ("empty", "no byte", lambda p: p.put("a.npz", b""), "damaged"),
    ("empty", "no array", members(), "no array of images"),
    ("other content", "web page", lambda p: p.put("a.npz", "<html>"), "a.npz"),
    ("escape", "dots", members(GOOD, ("../../../evil.npy", GOOD[1])), "leads out"),
    ("escape", "absolute", members(GOOD, ("/tmp/evil.npy", GOOD[1])), "leads out"),
    ("lying header", "a million pictures", members(("images.npy", header("(10**6,48,48)"))),
     "damaged"),
    ("lying header", "2 TB", members(("images.npy", header("(1000000000,48,48)"))), "damaged"),
    ("lying header", "code for a shape", members(("images.npy", header("__import__('os')"))),
     "damaged"),
    ("bomb", "150 MB of zeros", members(("images.npy", lambda: header("(65536,48,48)")
                                         + bytes(65_536 * 2304))), "unpacks to"),
    ("bomb", "many of 50 MB",
     members(*((f"x{i}.npy", lambda: bytes(50 * 2**20)) for i in range(3))), "unpacks to"),
    ("deep", "brackets", members(("images.npy", header("(" * 3000))), "damaged"),
    ("mixed", "two of images", members(GOOD, ("pixels.npy", GOOD[1])), "a second array"),
    ("NUL byte", "in the header", members(("images.npy", header("(14,\0 48,48)"))), "damaged"),
):  # fmt: skip
    add("npz", kind, what, make, "a.npz", *words)


@bad("npz", "link", "a.npz", "broken link")
def to_nowhere(place: Place):
    file = npz(place, "b.npz")
    (file.parent / "a.npz").symlink_to(place.root / "nowhere")
    return file.parent


HEAD = header(f"({N}, 48, 48)")
PIXELS = FACES.images.tobytes()
for kind, what, data, *words in (
    ("truncated", "in the pixels", HEAD + PIXELS[:-9], "damaged"),
    ("truncated", "in the header", HEAD[:40], "damaged"),
    ("empty", "no byte", b"", "damaged"),
    ("other content", "web page", b"<html>", "x_train.npy"),
    ("other content", "a zip", whole(), "something else"),
    ("lying header", "2 TB", header("(1000000000, 48, 48)") + PIXELS, "damaged"),
    ("lying header", "4 GB", header("(2000000, 48, 48)") + PIXELS, "damaged"),
    ("lying header", "minus", header("(-14, 48, 48)") + PIXELS, "x_train.npy"),
    ("lying header", "a letter of 2 GB", header("(14,)", "'|S2000000000'") + PIXELS, "damaged"),
    ("lying header", "nothing, often", header("(10**18, 48, 48)", "'|S0'"), "x_train.npy"),
    ("huge", "a header of 60 kB", header("(14, 48, 48)", rest=" " * 60_000) + PIXELS, "damaged"),
    ("deep", "brackets", header("(" * 3000) + PIXELS, "damaged"),
    ("code", "a call", header("(exit(),)") + PIXELS, "damaged"),
    ("NUL byte", "in the header", header("(14\0, 48, 48)") + PIXELS, "damaged"),
    ("wrong encoding", "of the header", header("(14, 48, 48)", "'|\xe9'") + PIXELS, "damaged"),
    ("wrong names", "no shape", HEAD.replace(b"shape", b"shake") + PIXELS, "damaged"),
    ("wrong type", "complex", npy(FULL.astype(complex)), "complex"),
    ("wrong value", "infinite", npy(FULL * np.inf), "infinity"),
    ("wrong shape", "flat", npy(FACES.images[0]), "no array of pictures"),
    ("flipped bit", "in the signature", b"\x92" + HEAD[1:] + PIXELS, "x_train.npy"),
):
    add("npy", kind, what, lambda p, data=data: p.put("x_train.npy", data), "x_train.npy", *words)


@bad("npy", "pickle", "x_train.npy", "pickled")
def an_array_of_objects(place: Place):
    return place.put("x_train.npy", _trapped(place))


@bad("npy", "pickle", "x_train.npy", "pickled")
def a_pickle_itself(place: Place):
    return place.put("x_train.npy", place.pickled())


@bad("npy", "pickle", "y_train.npy", "pickled")
def its_labels(place: Place):
    place.put("y_train.npy", _trapped(place))
    return place.put("x_train.npy", npy(FACES.images))


@bad("npy", "wrong count", "y_train.npy", "(5,)", "14")
def fewer_labels(place: Place):
    place.put("y_train.npy", npy(FACES.labels[:5]))
    return place.put("x_train.npy", npy(FACES.images))


@bad("npy", "special file", "x_train.npy", "no file")
def a_pipe(place: Place):
    place.folder.mkdir(parents=True)
    os.mkfifo(place.folder / "x_train.npy")
    return place.folder
