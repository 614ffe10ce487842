"""Damaged, huge and hostile files give one clear line, never another exception or a half cache."""

from __future__ import annotations

import pickle
import resource
import struct
import time
import zipfile
import zlib

import layouts
import numpy as np
import pytest
from layouts import put, refuse

from hw3lib.data import load
from hw3lib.data.faces import SIZE, DataError

FACES = layouts.small_faces(n=14)
PNG = layouts.picture_bytes(FACES.images[0])
JPEG = layouts.picture_bytes(FACES.images[0], "JPEG")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HW3_CACHE", str(tmp_path / "cache"))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def huge_png(side=20_000):
    """A valid picture of 400 million one-bit pixels in 50 kB."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    packed = zlib.compress(bytes((1 + side // 8) * side), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )


def test_truncated_pictures(tmp_path):
    for name, data in (("a.jpg", JPEG), ("b.png", PNG)):
        for share in (0.02, 0.3, 0.6, 0.9):
            refuse(put(tmp_path / "d" / name, data[: int(len(data) * share)]), name)
    put(tmp_path / "d" / "b.png", PNG)
    put(tmp_path / "d" / "a.jpg", JPEG[: len(JPEG) // 2])
    refuse(tmp_path / "d", "a.jpg", "damaged", "again")


def test_not_a_picture(tmp_path):
    refuse(put(tmp_path / "a.jpg", b"<html>not found</html>"), "a.jpg", "not a JPEG or PNG")
    refuse(put(tmp_path / "b.jpg"), "b.jpg")
    refuse(put(tmp_path / "c.gif", b"GIF89a" + bytes(50)), "c.gif", "convert")


def test_huge_picture_is_refused_from_its_header(tmp_path):
    file = put(tmp_path / "huge.png", huge_png())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    refuse(file, "huge.png", "32 million pixels", "smaller")
    assert time.perf_counter() - start < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # kilobytes
    refuse(put(tmp_path / "large.png", huge_png(8_000)), "large.png", "32 million pixels")


def test_huge_picture_inside_parquet(tmp_path, monkeypatch):
    monkeypatch.setattr(layouts, "picture_bytes", lambda *_: huge_png())
    file = layouts.write_parquet(tmp_path / "a.parquet", FACES.subset(np.arange(2)))
    refuse(file, "a.parquet, row 0", "million pixels")


def test_unknown_class_folders(tmp_path):
    put(tmp_path / "a" / "train" / "angry" / "1.png", PNG)
    put(tmp_path / "a" / "train" / "contempt" / "2.png", PNG)
    refuse(tmp_path / "a", "contempt", "Neutral", "rename")
    put(tmp_path / "b" / "cats" / "1.png", PNG)
    put(tmp_path / "b" / "dogs" / "2.png", PNG)
    refuse(tmp_path / "b", "cats", "rename")


# NumPy, Parquet, zip


def test_pickled_objects(tmp_path):
    objects = np.array([{"a": 1}, FACES], dtype=object)
    file = tmp_path / "a.npz"
    np.savez(file, images=FACES.images, labels=objects)
    refuse(file, "a.npz", "pickled", "numpy.savez")
    np.save(tmp_path / "b.npy", objects, allow_pickle=True)
    refuse(tmp_path / "b.npy", "b.npy", "pickled")
    refuse(put(tmp_path / "c.npy", pickle.dumps([1, 2])), "c.npy", "pickled")


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((14, 3), np.uint8),
        np.zeros((14, SIZE * SIZE - 1), np.uint8),
        np.zeros((14, SIZE, SIZE, 5), np.uint8),
        np.zeros((14, 1, 1), np.uint8),
        np.zeros((14, SIZE, SIZE), bool),
        np.zeros((14, SIZE, SIZE), complex),
        np.full((14, SIZE, SIZE), -1),
        np.full((14, SIZE, SIZE), 256),
        np.full((14, SIZE, SIZE), 1.5),
        np.full((14, SIZE, SIZE), np.nan),
        np.zeros((), np.uint8),
    ],
    ids=str,
)
def test_images_of_wrong_shape_or_value(tmp_path, images):
    refuse(layouts.write_npz(tmp_path / "a.npz", FACES, images=images), "a.npz, images")


def test_arrays_that_do_not_fit(tmp_path):
    refuse(layouts.write_npz(tmp_path / "a.npz", FACES, labels=FACES.labels[:5]), "(5,)", "14")
    refuse(layouts.write_npz(tmp_path / "b.npz", FACES, labels=np.zeros((14, 7))), "(14, 7)")
    np.savez(tmp_path / "c.npz", labels=FACES.labels)
    refuse(tmp_path / "c.npz", "c.npz", "'images'")
    np.savez(tmp_path / "d.npz", images=FACES.images[:0])
    refuse(tmp_path / "d.npz", "holds no pictures")
    votes = np.zeros((14, 9), int)
    refuse(layouts.write_npz(tmp_path / "e.npz", FACES, votes=votes), "votes")
    refuse(layouts.write_npz(tmp_path / "f.npz", FACES, classes=np.array(["x"] * 7)), "'x'")
    refuse(layouts.write_npz(tmp_path / "g.npz", FACES, split=np.array(["x"] * 14)), "'x'")


def test_damaged_files(tmp_path):
    whole = {
        "a.npz": layouts.write_npz(tmp_path / "w" / "a.npz", FACES),
        "a.parquet": layouts.write_parquet(tmp_path / "w" / "a.parquet", FACES),
        "x_train.npy": layouts.write_npy(tmp_path / "w" / "n", FACES) / "x_train.npy",
        "a.zip": layouts.write_zip(tmp_path / "w" / "a.zip", tmp_path / "w" / "n"),
    }
    for name, file in whole.items():
        data = file.read_bytes()
        refuse(put(tmp_path / "d" / name, data[: len(data) // 2]), name)
        refuse(put(tmp_path / "d" / name, b"not what its name says"), name)
        refuse(put(tmp_path / "d" / name), name)


def test_flipped_byte_in_a_zip(tmp_path):
    csv = layouts.write_kaggle_csv(tmp_path / "k" / "fer2013.csv", FACES)
    file = layouts.write_zip(tmp_path / "a.zip", csv)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    refuse(put(file, bytes(data)), "a.zip/fer2013.csv")


def test_parquet_columns(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name, table, words in (
        ("a", {"x": [1]}, "no column of pictures"),
        ("b", {"image": ["text"], "label": [0]}, "string"),
        ("c", {"image": [{"path": "a.png"}], "label": [0]}, "'bytes'"),
        ("d", {"image": [{"bytes": None, "path": "a.png"}], "label": [0]}, "null"),
        ("e", {"image": [{"bytes": PNG, "path": "a.png"}], "label": [[0]]}, "label column"),
        ("f", {"image": [PNG], "label": [0], "usage": ["x"]}, "'x'"),
        ("g", {"image": [PNG], "label": [0], "votes": [[1, 2]]}, "votes"),
    ):
        pq.write_table(pa.table(table), tmp_path / f"{name}.parquet")
        refuse(tmp_path / f"{name}.parquet", f"{name}.parquet", words)


@pytest.mark.parametrize(
    "name", ["../evil.png", "/etc/evil.png", "a/../../b.png", "C:/evil.png", "..\\b.png"]
)
def test_zip_members_that_lead_outside(tmp_path, name):
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("00001.png", PNG)
        archive.writestr(zipfile.ZipInfo(name), PNG)
    refuse(file, "a.zip", "leads out")
    assert not list(tmp_path.parent.glob("evil*"))


def test_zip_links_and_secrets(tmp_path):
    file = tmp_path / "a.zip"
    link = zipfile.ZipInfo("train.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    refuse(file, "a.zip", "'train.png' is a link")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.png", PNG)
    data = bytearray(file.read_bytes())
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    refuse(put(file, bytes(data)), "a.zip", "encrypted")


def test_zip_bomb(tmp_path):
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("train.csv", bytes(300 * 2**20))
    start = time.perf_counter()
    refuse(file, "a.zip", "unpacks to 314,572,800 bytes")
    assert time.perf_counter() - start < 1


def test_links(tmp_path):
    home = tmp_path / "a"
    put(home / "1.png", PNG)
    (home / "2.png").symlink_to(tmp_path / "nowhere.png")
    refuse(home, "2.png", "broken link")
    (home / "2.png").unlink()
    (home / "loop").symlink_to(home)
    assert load(home).ids.tolist() == ["1"]


def test_nearly_any_damage_is_refused_or_read(tmp_path):
    """Random damage of every kind of file: Faces or a DataError, never another exception."""
    rng = np.random.default_rng(0)
    paths = layouts.write_layouts(tmp_path / "d", FACES)
    files = [paths[name] for name in ("kaggle-csv", "numpy", "parquet")]
    files.append(layouts.write_zip(tmp_path / "a.zip", paths["class-folders"]))
    refused = 0
    for turn in range(80):
        file = files[turn % len(files)]
        whole = file.read_bytes()
        data = bytearray(whole)
        for at in rng.integers(0, len(data) if turn % 8 > 3 else 300, 1 + turn % 5):
            data[at] = rng.integers(0, 256)
        file.write_bytes(bytes(data))
        try:
            assert len(load(file)) > 0
        except DataError as error:
            refused += 1
            assert "\n" not in str(error)
        file.write_bytes(whole)
    assert refused > 20
