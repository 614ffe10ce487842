"""Bad input of every reader, made by changing good files: it loads, or one line refuses it.

Nothing else: no other exception, no second line, no file written, nothing executed, bounded time
and memory.
"""

from __future__ import annotations

import gzip
import importlib
import io
import json
import lzma
import os
import pickle
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import layouts
import numpy as np
import pytest
from hostile.case import STEERS, WORDS, Trap, bounded, damaged, folder_below
from layouts import array, ferplus, kaggle, pixel_text, put, tar, zipped

from hw3lib import UserError
from hw3lib.data import load, source
from hw3lib.data.copies import near_groups
from hw3lib.data.faces import Faces

pytestmark = pytest.mark.faults
FACES = layouts.small_faces(n=14, votes=True)
N, TEXT = len(FACES), pixel_text(FACES.images[0])
REST = TEXT[TEXT.index(" ") :]  # without the first pixel
PNG = layouts.picture_bytes(FACES.images[0])
JPEG = layouts.picture_bytes(FACES.images[0], "JPEG")
VOTES = ferplus(FACES).split("\n")


@pytest.fixture(scope="module", autouse=True)
def _libraries_are_there():
    """So that their size is no input's."""
    load("synthetic:20")
    importlib.import_module("pyarrow.parquet")
    near_groups(FACES.images)


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """An input's folder; the test looks below its parents[3]."""
    monkeypatch.setenv("HW3_CACHE", "/dev/null/none")  # nothing is kept
    return folder_below(tmp_path / "x")


def outcome(path: Path, root: Path, *words: str) -> Faces | str:
    """What loading gives: the Faces, or the line of refusal, which must hold the words."""
    found: Faces | str
    with bounded(root):
        try:
            found = load(path)
        except UserError as error:
            found = str(error)
    if isinstance(found, str):
        assert 20 < len(found) <= 1000 and not STEERS.search(found), found
        for word in words:
            assert word in found, found
    else:
        assert not words, f"loaded: {found.problems}"
        assert len(found) and found.images.shape[1:] == (48, 48)
        assert not any(map(STEERS.search, (*found.problems, *found.ids.tolist())))
    return found


def refused(path: Path, *words: str) -> str:
    line = outcome(path, path.parent, *words)
    assert isinstance(line, str), line.problems
    return line


# good files, and what befalls any bytes


def parquet(columns: dict | Callable[[], object], **options) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(columns() if callable(columns) else pa.table(columns), out, **options)
    return out.getvalue()


def image(kind: str) -> bytes:
    return layouts.picture_bytes(FACES.images[0], kind)


IMAGES = {f"train/{i}.png": PNG for i in range(3)}
PARTS = {f"train/sad/{i}.png": layouts.picture_bytes(FACES.images[i]) for i in range(5)}
COURSE = f"label,feature\n1,{TEXT}\n2,{TEXT}\n".encode()
GOOD: dict[str, tuple[str, bytes, dict[str, bytes]]] = {  # reader -> a file, what lies beside it
    "course CSV": ("train.csv", COURSE, {}),
    "Kaggle CSV": ("fer2013.csv", kaggle(FACES), {}),
    "votes": ("fer2013new.csv", ferplus(FACES).encode(), {"fer2013.csv": kaggle(FACES)}),
    "labels": ("train.csv", b"id,label\n0,1\n1,2\n2,3\n", IMAGES),
    "FER+": ("t/label.csv", b'0.png,"(0, 0, 48, 48)",4,0,0,1,3,2,0,0,0,0', {"t/0.png": PNG}),
    **{kind: (f"a.{kind.lower()}", image(kind), {}) for kind in
       ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP")},
    "npy": ("x_train.npy", array(FACES.images), {"y_train.npy": array(FACES.labels)}),
    "npz": ("a.npz", zipped({"images.npy": array(FACES.images), "y.npy": array(FACES.labels)}), {}),
    "Parquet": ("a.parquet", parquet({"image": [PNG, JPEG], "label": [0, 1]}), {}),
    "zip": ("a.zip", zipped(PARTS), {}),
    "zip of a table": ("a.zip", zipped({"train.csv": COURSE}), {}),
    "tar.gz": ("a.tar.gz", tar(PARTS), {}),
    "tar": ("a.tar", tar(PARTS, ""), {}),
    "gz": ("a.csv.gz", gzip.compress(COURSE), {}),
    "xz": ("a.csv.xz", lzma.compress(COURSE), {}),
}  # fmt: skip
CHECKED = ("PNG", "npz", "zip", "zip of a table", "tar.gz", "gz", "xz")  # hold checksums
BINARY = (*CHECKED, "JPEG", "WEBP", "AVIF", "BMP", "npy", "Parquet")


def write(folder: Path, reader: str, data: bytes) -> Path:
    """The reader's files, one of them changed; what to load."""
    name, _, beside = GOOD[reader]
    shutil.rmtree(folder, ignore_errors=True)
    for other, good in beside.items():
        put(folder / other, good)
    put(folder / name, data)
    return folder if beside else folder / name


@pytest.mark.parametrize("reader", GOOD)
def test_truncated(reader, place):
    data = GOOD[reader][1]
    for share in (0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97):
        path = write(place, reader, data[: int(len(data) * share)])
        found = outcome(path, place.parents[3])
        assert reader not in BINARY or isinstance(found, str) or share > 0.9, share


@pytest.mark.parametrize("reader", GOOD)
def test_other_content(reader, place):
    """What another file holds: pickles, pages, other readers' files; and other encodings."""
    data = GOOD[reader][1]
    trap = Trap(place.parents[3] / "canary")
    text = data.decode("latin-1")
    for other in (b"\0" * 5000, b"<html><body>404</body></html>\n", pickle.dumps(trap),
                  b"%!PS-Adobe-3.0 EPSF-3.0\n(canary) (w) file\n", b"\x1f\x8b\x08" + bytes(60),
                  array(np.array([trap], object), allow_pickle=True), text.encode("utf-16"),
                  text.encode("utf-32"), data.replace(b"\n", b"\r"), data.replace(b",", b";"),
                  data.replace(b"1", "１".encode()), data.replace(b"label", "標籤".encode("big5")),
                  *(data for _, data, _ in GOOD.values())):  # fmt: skip
        outcome(write(place, reader, other), place.parents[3])


@pytest.mark.parametrize("count", [25, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("reader", GOOD)
def test_damaged(reader, count, place):
    rng, whole = np.random.default_rng(0 if count == 25 else None), GOOD[reader][1]
    good = load(write(place, reader, whole))
    for _ in range(count):
        found = outcome(write(place, reader, damaged(whole, rng)), place.parents[3])
        if reader in CHECKED and reader not in ("tar.gz", "zip") and isinstance(found, Faces):
            assert np.array_equal(found.images, good.images)  # the damage was not in the images


# tables: what a cell may hold

CELLS = (*WORDS, "two", "[0 0 0 1 0 0 1]", TEXT + " 1", TEXT[:-3],
         *(first + REST for first in ("256", "-1", "0.5", "1\0", "ff")))  # fmt: skip
ROWS = {  # reader -> the header, a good row
    "course CSV": ("label,feature", ["1", TEXT]),
    "Kaggle CSV": ("emotion,pixels,Usage", ["1", TEXT, "Training"]),
    "labels": ("id,label", ["1", "2"]),
}


@pytest.mark.parametrize("reader", ROWS)
def test_any_cell_of_a_table(reader, place):
    """A row that is refused is named, with its line in the file."""
    header, good = ROWS[reader]
    first = ["0", *good[1:]] if reader == "labels" else good
    for column in range(len(good)):
        for word in CELLS:
            row = [*good[:column], word, *good[column + 1 :]]
            text = "\n".join([header, ",".join(first), ",".join(row)])
            found = outcome(write(place, reader, text.encode()), place.parents[3])
            assert isinstance(found, Faces) or "row 1 (line 3)" in found or "2.png" in found, found
    for row in ([*good, "x"], good[:-1], ['"' + good[0], *good[1:]]):
        text = "\n".join([header, ",".join(first), ",".join(row)])
        refused(write(place, reader, text.encode()), "row 1 (line 3)")


MISFITTING = [
    ("labels", "id,label\n0,1\n1,2\n2,3\n7,3\n", ["row 3 (line 5)", "'7'", "add the image"]),
    ("labels", "id,label\n0,1\n1,2\n", ["2.png", "train.csv", "add its label"]),
    ("labels", "id,label\n0,1\n1,2\n2,3\n01,2\n", ["row 3 (line 5)", "'01'", "remove one"]),
    ("labels", "id,label\n0,1\n../../x,2\n", ["row 1 (line 3)", "add the image"]),
    ("labels", "id,label\n" + "9" * 3_000_000, ["train.csv", "field limit"]),
    ("labels", "id,label\n" + "0,1\n" * 500_002, ["train.csv", "500,000 rows"]),
    ("course CSV", "label,feature\n", ["train.csv", "holds no images"]),
    ("course CSV", "foo,bar\n1,2\n", ["train.csv", "'foo, bar'", "label,feature"]),
    ("course CSV", "la\0bel,feature\n", ["train.csv"]),
    ("course CSV", "id,feature\n" + f"7,{TEXT}\n" * 2, ["row 1 (line 3)", "'7'", "unique"]),
    ("course CSV", f"id,feature\nx,{TEXT}\n{'x' * 9000},{TEXT}\n", ["row 1 (line 3)", "512"]),
    ("course CSV", f"id,feature\n\x1b]0;x\x07,{TEXT}\n", ["row 0 (line 2)", "control char"]),
    ("votes", "\n".join(VOTES[:-1]), ["fer2013new.csv", "14 rows"]),
    ("votes", "\n".join([*VOTES, VOTES[-1]]), ["fer2013new.csv", "14 rows"]),
    ("votes", "\n".join([VOTES[0], *VOTES[:0:-1]]), ["Usage is not that of"]),
    ("votes", ferplus(FACES).replace("f4.png,", "f4.png,300"), ["row 2 (line 4)", "0 to 255"]),
]


def test_tables_that_do_not_fit(place):
    for reader, text, words in MISFITTING:
        refused(write(place, reader, text.encode()), *words)


# images: what a header may say


def chunk(kind: bytes, data: bytes) -> bytes:
    crc = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def png(width: int, height: int, depth: int = 8, colour: int = 0, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    pixels = bytes(min((1 + width * depth // 8) * height, 2**26))
    data = chunk(b"IDAT", zlib.compress(pixels, 9))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + data + chunk(b"IEND", b"")


def scans(count: int) -> bytes:
    """A progressive JPEG whose last scan stands there many times."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.zeros((4000, 4000), np.uint8)).save(out, "JPEG", progressive=True)
    whole = out.getvalue()
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * count + b"\xff\xd9"


HEADERS: list[tuple[Callable[[], bytes], list[str]]] = [
    (lambda: png(20_000, 20_000, 1), ["32 million pixels", "smaller"]),
    (lambda: png(2**31 - 1, 1), []), (lambda: png(0, 48), []), (lambda: png(48, 48, 3), []),
    (lambda: png(48, 48, colour=5), []),
    (lambda: png(48, 48, extra=chunk(b"zTXt", b"C\0\0" + zlib.compress(bytes(2 * 10**8), 1))), []),
    (lambda: scans(400), ["scans", "save it again"]),
    (lambda: bytes(70 * 2**20), ["73,400,320 bytes"]),
    (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>', ["not an image", "save it as PNG"]),
    (lambda: image("TIFF"), ["not an image", "save it as PNG"]),
]  # fmt: skip


@pytest.mark.parametrize(("make", "words"), HEADERS, ids=range(len(HEADERS)))
def test_headers_of_images(make, words, place):
    put(place / "0.png", PNG)
    data = make()
    refused(put(place / "a.png", data), "a.png", *words)
    refused(place, "a.png", *words)  # one bad image refuses all of them
    if len(data) < 2**20:
        file = put(place.parent / "p" / "a.parquet", parquet({"image": [PNG, data]}))
        refused(file, "a.parquet, row 1", *words)


# arrays


def header(shape: str, dtype: str = "'|u1'", rest: str = "") -> bytes:
    """The head of a .npy file that says what it is told to."""
    text = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, {rest}}}"
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


HEADS = [
    header("(1000000000, 48, 48)"), header("(2000000, 48, 48)"), header("(-14, 48, 48)"),
    header("(14,)", "'|S2000000000'"), header("(10**18, 48, 48)", "'|S0'"), header("(" * 3000),
    header("(14, 48, 48)", rest=" " * 60_000), header("__import__('os')"), header("(14\0, 48, 48)"),
    header("(14, 48, 48)", "'|\xe9'"), header("(14, 48, 48)", "'|O'"),
]  # fmt: skip


def test_heads_of_arrays(place):
    for head in HEADS:
        data = head + FACES.images.tobytes()
        refused(write(place, "npy", data), "x_train.npy")
        file = put(place.parent / "z" / "a.npz", zipped({"images.npy": data}))
        refused(file, "a.npz")


DTYPES = ("u1", "i8", "u8", "f2", "f8", "c8", "?", "S3", "U3", "M8[s]", "V2", "i4,f4")
SHAPES = ((N, 48, 48), (N, 2304), (N, 48, 48, 3), (N, 1, 48, 48), (N, 48, 48, 5), (N, 9, 60), (N,),
          (N, 10), (N, 7), (N, 2), (N - 1,), (), (0, 48, 48), (0,), (N, 0), (1, 1))  # fmt: skip


def test_any_array_in_any_role(place):
    rng = np.random.default_rng(0)
    roles = ("images", "labels", "ids", "split", "classes", "votes", "x_test", "other")
    every = [(r, np.dtype(d), s) for r in roles for d in DTYPES for s in SHAPES]
    for i in rng.permutation(len(every))[:60]:
        role, dtype, shape = every[i]
        some = rng.bytes(int(np.prod(shape)) * dtype.itemsize)
        odd = np.frombuffer(some, dtype).reshape(shape)
        np.savez(place / "a.npz", **{"images": FACES.images, "labels": FACES.labels, role: odd})
        outcome(place / "a.npz", place)


FOREIGN = np.full(N, 0x80_0000, np.uint32).view("U1")  # beyond the last letter of Unicode
MISFITS: list[tuple[dict[str, np.ndarray], list[str]]] = [
    ({"labels": FACES.labels[:5]}, ["(5,)", "14"]),
    ({"labels": np.zeros((N, 7))}, ["row 0", "label"]),
    ({"labels": np.array(["bored"] * N)}, ["row 0", "'bored'", "0 Angry", "correct the label"]),
    ({"labels": np.full(N, 2**63, np.uint64)}, ["row 0", "label"]),
    ({"labels": np.array([None] * N, object)}, ["pickled", "numpy.savez"]),
    ({"labels": np.zeros(N, "M8[D]")}, ["row 0", "label"]),
    ({"images": np.full((N, 48, 48), 256)}, ["images.npy, row 0", "pixel 0 is 256"]),
    ({"images": np.full((N, 48, 48), np.nan)}, ["row 0", "nan"]),
    ({"images": np.zeros((N, 48, 48), bool)}, ["bool", "(N, 48, 48) uint8"]),
    ({"ids": np.array(["z", "z", *FACES.ids[2:]])}, ["row 1", "'z'", "unique"]),
    ({"ids": np.array(["a\nb", *FACES.ids[1:]])}, ["control"]), ({"ids": FOREIGN}, ["damaged"]),
    ({"ids": np.array([b"\xe9%d" % i for i in range(N)])}, ["ids"]),
    ({"split": np.array(["x"] * N)}, ["row 0", "'x'"]),
    ({"classes": np.array(["x"] * 7)}, ["'x'"]), ({"votes": np.zeros((N, 9), int)}, ["votes"]),
]  # fmt: skip


def test_arrays_that_do_not_fit(place):
    for arrays, words in MISFITS:
        refused(layouts.write_npz(place / "a.npz", FACES, **arrays), "a.npz", *words)


# Parquet


def repeated(length: int, rows: int) -> object:
    """`rows` times the same `length` bytes, which Parquet keeps once."""
    import pyarrow as pa

    words = pa.array([bytes(length)], pa.large_binary())
    return pa.table({"image": pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), words)})


def named(names: object) -> object:
    """A table whose Hugging Face header gives the classes these names."""
    import pyarrow as pa

    info = json.dumps({"info": {"features": {"label": {"names": names}}}})
    return pa.table({"image": [PNG], "label": [0]}).replace_schema_metadata({"huggingface": info})


TWO = {"image": [PNG, PNG], "label": [0, 1]}


COLUMNS = [
    ({"x": [1]}, ["no column of images", "name it 'image'"]),
    ({"\x1b[2J\n": [1]}, ["no column of images"]),
    ({"image": [{"path": "a.png"}], "label": [0]}, ["'bytes'"]),
    ({"image": ["text"], "label": [0]}, ["'bytes'"]),
    ({"image": [PNG, None], "label": [0, 1]}, ["row 1", "no image bytes"]),
    ({"image": [PNG, PNG[:70]]}, ["row 1", "again"]),
    ({"image": [PNG], "label": [[7]]}, ["row 0", "label"]),
    ({"image": [PNG], "label": [float("nan")]}, ["row 0", "label 'nan'"]),
    ({"image": [PNG, PNG], "label": [0, 9]}, ["row 1", "label '9'"]),
    ({**TWO, "usage": ["Training", "x"]}, ["row 1", "'x'"]),
    ({**TWO, "votes": [[1, 2], [3]]}, ["row 0", "votes"]),
    ({**TWO, "votes": [1, 2]}, ["row 0", "votes"]),
    ({**TWO, "id": ["a", "a"]}, ["row 1", "'a'", "unique"]),
    ({**TWO, "id": ["a", "b\0c"]}, ["row 1", "control"]),
    ({**TWO, "id": ["a", "x" * 900_000]}, ["row 1", "512 letters"]),
    (lambda: named(7), ["damaged"]),
    (lambda: named(["x"] * 7), ["'x'"]),
    (lambda: repeated(2**20, 4000), ["a.parquet"]),
    (lambda: repeated(150 * 2**20, 1), ["unpacks to"]),
    ({"image": np.zeros(600_000, "S1")}, ["500,000"]),
    ({"image": np.array([], "S1")}, ["holds no images"]),
]


def test_columns_of_parquet(place):
    for columns, words in COLUMNS:
        data = parquet(columns, compression="zstd")
        refused(put(place / "a.parquet", data), "a.parquet", *words)


# archives


def altered(change: Callable[[bytearray], object], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of two images whose bytes are changed afterwards."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive:
        for name in ("1.png", "2.png"):
            archive.writestr(name, PNG)
    data = bytearray(out.getvalue())
    change(data)
    return bytes(data)


def poke(offset: int, form: str, *values: int, entry: bool = True) -> Callable[[bytearray], None]:
    """Overwrite a field of each entry in the zip's list of members, or of its first member."""

    def change(data: bytearray) -> None:
        at = data.find(b"PK\1\2" if entry else b"PK\3\4")
        while at >= 0:
            struct.pack_into(form, data, at + offset, *values)
            at = data.find(b"PK\1\2", at + 4) if entry else -1

    return change


def linked(name: str) -> bytes:
    out, info = io.BytesIO(), zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    return out.getvalue()


def tar_of(change: Callable[[tarfile.TarInfo], object]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name in ("1.png", "2.png"):
            info = tarfile.TarInfo(name)
            info.size = len(PNG)
            change(info)
            archive.addfile(info, io.BytesIO(PNG))
    return out.getvalue()


EVIL = ("../evil.png", "a/../../../../evil.png", "..\\evil.png", "/etc/evil.png", "C:/evil.png",
        "\\\\host\\evil.png")  # fmt: skip
ARCHIVES: dict[str, tuple[Callable[[], bytes], list[str]]] = {
    **{f"zip {name}": (lambda name=name: zipped({"1.png": PNG, name: PNG}), ["leads out"])
       for name in EVIL},
    **{f"tar {name}": (lambda name=name: tar({"1.png": PNG, name: PNG}), ["leads out"])
       for name in EVIL},
    "zip link": (lambda: linked("a.png"), ["'a.png' is a link"]),
    **{f"tar {kind}": (lambda kind=kind: tar_of(lambda i: (setattr(i, "type", kind),
                                                setattr(i, "linkname", "/etc/passwd"))), [why])
       for kind, why in ((b"2", "is a link"), (b"1", "is a link"), (b"6", "no file"),
                         (b"3", "no file"))},
    **{f"method {n}": (lambda n=n: altered(poke(10, "<H", n)), ["method"]) for n in (12, 14, 99)},
    "4 GB": (lambda: altered(poke(24, "<I", 2**32 - 2)), ["a.zip"]),
    "one member, many names": (lambda: altered(poke(42, "<I", 0), 0), ["2.png"]),
    "zip bomb": (lambda: zipped({"train.csv": bytes(150 * 2**20)}), ["unpacks to"]),
    "bombs": (lambda: zipped({f"{i}.csv": bytes(50 * 2**20) for i in range(3)}), ["unpacks to"]),
    "a bomb beside much else": (lambda: zipped({"a": np.random.default_rng(0).bytes(7 * 2**19),
                                                "b.csv": bytes(140 * 2**20)}), ["'b.csv'"]),
    "in a zip": (lambda: zipped({"b.zip": zipped({"c.csv": bytes(150 * 2**20)})}), ["unpacks"]),
    "zip in zip in zip": (lambda: zipped({"b.zip": zipped({"c.zip": zipped(
        {f"{i}.csv": bytes(60 * 2**20) for i in range(3)})})}), ["unpacks"]),
    "npz bomb": (lambda: zipped({"a.npz": zipped({"x.npy": bytes(150 * 2**20)})}), ["unpacks"]),
    "npz of more": (lambda: zipped({"a.npz": zipped(
        {"images.npy": array(FACES.images), "labels.pkl": b"\x80\x04N."})}), ["something else"]),
    "gz bomb": (lambda: gzip.compress(bytes(150 * 2**20), 9), ["unpacks to more than"]),
    "xz bomb": (lambda: lzma.compress(bytes(150 * 2**20), preset=0), ["unpacks to more than"]),
    "tar bomb": (lambda: tar({"a.csv": bytes(150 * 2**20)}), ["unpacks to more than"]),
    "many in a tar": (lambda: tar({f"{i}.txt": b"" for i in range(20_000)}), ["files; unpack"]),
    "deep": (lambda: zipped({"a/" * 20_000 + "1.png": PNG[:50]}), ["a.zip"]),
    "a long name": (lambda: zipped({"9" * 60_000 + ".png": PNG}), ["a.zip"]),
    "a line end": (lambda: zipped({"1\n<b>.png": PNG}), ["control characters"]),
    "two sets": (lambda: zipped({"1.png": PNG, "a.npy": array(FACES.images)}), ["several"]),
    "nothing": (lambda: zipped({}), ["holds no images"]),
}  # fmt: skip


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives(name, place):
    make, words = ARCHIVES[name]
    outcome(put(place / "a.zip", make()), place.parents[3], "a.zip", *words)


# folders


def not_utf8(folder: Path) -> None:
    with open(os.fsencode(folder) + b"/\xff\xfe.png", "wb") as file:
        file.write(PNG)


def several(folder: Path, *names: str) -> None:
    for name in names:
        put(folder / name, PNG if name.endswith("g") else array(FACES.images))


FOLDERS: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "a secret": (lambda d: (d / "2.png").symlink_to("/etc/passwd"), ["2.png", "not an image"]),
    "no UTF-8": (not_utf8, ["not UTF-8", "rename"]),
    "turned": (lambda d: put(d / "gnp.\u202eexe.png", PNG), [r"\u202e", "control characters"]),
    "line end": (lambda d: put(d / "<b>\n.png", PNG), [r"<b>\n", "control characters"]),
    "twice": (lambda d: several(d, "1.png", "1.jpg"), ["'1'", "unique"]),
    "eight": (lambda d: several(d, "angry/1.png", "contempt/1.png"), ["contempt", "Neutral"]),
    "cats": (lambda d: several(d, "cats/1.png", "dogs/1.png"), ["cats", "rename"]),
    "markup": (lambda d: several(d, "sad/1.png", "<svg>\x1b[1m/1.png"), [r"\x1b[1m", "rename"]),
    "nowhere": (lambda d: (d / "a.csv").symlink_to("/nowhere"), ["a.csv", "a broken link"]),
    "no end": (lambda d: (d / "a.npy").symlink_to("/dev/zero"), ["a.npy", "no file"]),
    "a pipe": (lambda d: os.mkfifo(d / "2.png"), ["2.png", "no file"]),
    "two sets": (lambda d: several(d, "1.png", "a.npy"), ["several data sets"]),
    "two parts": (lambda d: [put(d / f"{n}.csv", COURSE) for n in "ab"], ["one of them"]),
    "only labels": (lambda d: put(d / "train.csv", b"id,label\n0,1\n"), ["give the folder"]),
    "notes": (lambda d: put(d / "notes.docx", b"\0\1"), ["notes.docx", "convert"]),
    "empty": (lambda d: None, ["holds no images"]),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_folders(name, place):
    make, words = FOLDERS[name]
    make(place)
    outcome(place, place.parents[3], *words)


def test_paths(place):
    refused(place / "nowhere", "does not exist", "spelling")
    os.mkfifo(place / "p.png")
    refused(place / "p.png", "neither a file nor a folder")
    refused(Path("/dev/zero"), "neither a file nor a folder")


def test_a_walk_ends(place, monkeypatch):
    layouts.write_class_folders(place, FACES)
    monkeypatch.setattr(source, "MAX_MEMBERS", 10)
    refused(place, "more than 10 files; give the folder of the images")


def test_problems_steer_no_terminal(place):
    layouts.write_class_folders(place, FACES)
    large = layouts.picture_bytes(np.zeros((60, 60), np.uint8))
    put(place / "train" / "angry" / "ok.png", large)
    put(place / "not\x1b[2J\nread.csv", b"a,b\n")
    found = outcome(place, place.parents[3])
    assert len(found.problems) == 2
    assert r"not\x1b[2J\nread.csv not used" in " ".join(found.problems)
