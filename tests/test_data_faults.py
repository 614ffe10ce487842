"""Bad input gives one clear line (file, row, mend), never another exception, never a half cache."""

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

from hw3lib.data import load
from hw3lib.data.faces import SIZE, DataError

FACES = layouts.small_faces(n=14)
PNG = layouts.picture_bytes(FACES.images[0])
JPEG = layouts.picture_bytes(FACES.images[0], "JPEG")
TEXT = layouts.pixel_text(FACES.images[0])


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("HW3_CACHE", str(folder))
    return folder


@pytest.fixture
def refuse(cache):
    """Load what must be refused; the message is one line and names every given word."""

    def check(path, *words):
        with pytest.raises(DataError) as caught:
            load(path)
        line = str(caught.value)
        assert "\n" not in line
        assert len(line) < 400
        for word in words:
            assert word in line, line
        assert not cache.exists() or not list(cache.iterdir())

    return check


def put(file, data=b""):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def huge_png(side=20_000):
    """A valid picture of 400 million one-bit pixels in 50 kB."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    packed = zlib.compress(bytes((1 + side // 8) * side), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )


def test_missing_path(tmp_path, refuse):
    refuse(tmp_path / "nowhere", "nowhere", "does not exist")


def test_empty_folder(tmp_path, refuse):
    (tmp_path / "empty").mkdir()
    refuse(tmp_path / "empty", "empty", "holds no pictures")


def test_unknown_kind_of_file(tmp_path, refuse):
    refuse(put(tmp_path / "notes.txt", b"hello"), "notes.txt", "convert")


# the course's numbered pictures


def fall(folder, rows):
    for name in ("00000", "00001", "00002"):
        put(folder / "train" / f"{name}.png", PNG)
    return layouts.write_csv(folder / "train.csv", [["id", "label"], *rows]).parent


def test_id_without_a_picture(tmp_path, refuse):
    rows = [["00000", 1], ["00001", 2], ["00002", 3], ["00007", 3]]
    refuse(fall(tmp_path / "d", rows), "train.csv, row 3 (line 5)", "'00007'", "add the picture")


def test_picture_without_a_row(tmp_path, refuse):
    refuse(fall(tmp_path / "d", [["00000", 1], ["00002", 3]]), "00001.png", "train.csv", "add its")


def test_duplicate_ids(tmp_path, refuse):
    rows = [["00000", 1], ["00001", 2], ["00002", 3], ["00001", 4]]
    refuse(fall(tmp_path / "d", rows), "train.csv, row 3 (line 5)", "'00001'", "remove")
    twice = np.array(["z", *FACES.ids[1:-2], "z", "y"])
    file = layouts.write_npz(tmp_path / "a.npz", FACES, ids=twice)
    refuse(file, "a.npz, images, row 12", "'z'", "row 0", "unique")
    put(tmp_path / "p" / "1.jpg", JPEG)
    put(tmp_path / "p" / "1.png", PNG)
    refuse(tmp_path / "p", "1.png", "1.jpg", "unique")


@pytest.mark.parametrize("label", ["9", "-1", "2.5", "x", ""])
def test_labels_in_a_table(tmp_path, refuse, label):
    rows = [["00000", 1], ["00001", label], ["00002", 3]]
    refuse(fall(tmp_path / "d", rows), "train.csv, row 1 (line 3)", repr(label), "correct")
    table = [["label", "feature"], [0, TEXT], [label, TEXT]]
    refuse(layouts.write_csv(tmp_path / "e" / "train.csv", table), "train.csv, row 1 (line 3)",
           repr(label), "0 Angry")  # fmt: skip


def test_labels_without_pictures(tmp_path, refuse):
    refuse(layouts.write_csv(tmp_path / "train.csv", [["id", "label"], [0, 1]]), "give the folder")


@pytest.mark.parametrize("labels", [[9] * 14, [-2] * 14, [2.5] * 14, ["bored"] * 14])
def test_labels_in_arrays(tmp_path, refuse, labels):
    refuse(layouts.write_npz(tmp_path / "a.npz", FACES, labels=np.array(labels)), "a.npz", "row 0")


def test_label_in_parquet(tmp_path, refuse):
    labels = FACES.labels.copy()
    labels[5] = 9
    from dataclasses import replace

    refuse(layouts.write_parquet(tmp_path / "a.parquet", replace(FACES, labels=labels)),
           "a.parquet, row 5", "label 9")  # fmt: skip


# pixels as text


def spring(tmp_path, text, **options):
    rows = [["label", "feature"], *([1, TEXT] for _ in range(40)), [2, text]]
    return layouts.write_csv(tmp_path / "d" / "train.csv", rows, **options)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TEXT.rsplit(" ", 1)[0], ["2,303 pixels instead of 2,304"]),
        (TEXT + " 7", ["2,305 pixels"]),
        ("abc" + TEXT[TEXT.index(" ") :], ["pixel 0 is 'abc'", "0 to 255"]),
        ("256" + TEXT[TEXT.index(" ") :], ["pixel 0 is '256'"]),
        ("1000" + TEXT[TEXT.index(" ") :], ["pixel 0 is '1000'"]),
        ("-1" + TEXT[TEXT.index(" ") :], ["pixel 0 is '-1'"]),
        ("0.5" + TEXT[TEXT.index(" ") :], ["pixel 0 is '0.5'"]),
        ("\0" + TEXT, [r"'\x00"]),
        ("", ["0 pixels"]),
    ],
)
def test_pixels(tmp_path, refuse, text, words):
    refuse(spring(tmp_path, text), "train.csv, row 40 (line 42)", *words)


def test_compensating_rows_are_still_found(tmp_path, refuse):
    short, long = TEXT.rsplit(" ", 1)[0], TEXT + " 7"
    rows = [["label", "feature"], [1, TEXT], [1, short], [1, long]]
    refuse(layouts.write_csv(tmp_path / "train.csv", rows), "row 1 (line 3)", "2,303")


def test_csv_headers(tmp_path, refuse):
    refuse(layouts.write_csv(tmp_path / "a" / "x.csv", [["foo", "bar"], [1, 2]]), "foo, bar")
    refuse(put(tmp_path / "b" / "x.csv", b"label;feature\n1;2\n"), "label;feature")
    refuse(put(tmp_path / "c" / "x.csv"), "x.csv", "columns")
    refuse(spring(tmp_path, TEXT, encoding="utf-16"), "train.csv", "UTF-8")
    refuse(put(tmp_path / "e" / "x.csv", "標籤,像素\n".encode("cp950")), "x.csv", "UTF-8")
    refuse(put(tmp_path / "f" / "x.csv", b"la\0bel,feature\n"), "x.csv", "UTF-8")


def test_csv_rows(tmp_path, refuse):
    file = put(tmp_path / "a" / "train.csv", f"label,feature\n1,{TEXT}\n2\n".encode())
    refuse(file, "row 1 (line 3)", "1 fields", "names 2")
    file = put(tmp_path / "b" / "train.csv", b"label,feature\n" + b"1 " * 2**20)
    refuse(file, "train.csv", "too long")
    refuse(put(tmp_path / "c" / "train.csv", b"label,feature\n"), "holds no pictures")
    rows = [["emotion", "pixels", "Usage"], [1, TEXT, "Sometimes"]]
    refuse(layouts.write_csv(tmp_path / "fer2013.csv", rows), "row 0 (line 2)", "'Sometimes'")


def test_two_tables_of_one_part(tmp_path, refuse):
    for name in ("a.csv", "b.csv"):
        layouts.write_csv(tmp_path / "d" / name, [["label", "feature"], [1, TEXT]])
    refuse(tmp_path / "d", "a.csv", "b.csv", "one of them")


def test_two_data_sets(tmp_path, refuse):
    layouts.write_npz(tmp_path / "d" / "a.npz", FACES)
    layouts.write_parquet(tmp_path / "d" / "a.parquet", FACES)
    refuse(tmp_path / "d", "a.npz", "a.parquet", "several data sets")


def test_votes_of_another_file(tmp_path, refuse):
    faces = layouts.small_faces(votes=True)
    file = layouts.write_kaggle_csv(tmp_path / "fer2013.csv", faces, votes=True)
    votes = tmp_path / "fer2013new.csv"
    lines = votes.read_text().splitlines()
    votes.write_text("\n".join([lines[0], *lines[2:], lines[1]]))
    refuse(file, "fer2013new.csv, row 5", "Usage is not that of", "fer2013.csv")
    votes.write_text("\n".join(lines[:-1]))
    refuse(file, "fer2013new.csv", "42 rows")


# picture files


def test_truncated_pictures(tmp_path, refuse):
    for name, data in (("a.jpg", JPEG), ("b.png", PNG)):
        for share in (0.02, 0.3, 0.6, 0.9):
            refuse(put(tmp_path / "d" / name, data[: int(len(data) * share)]), name)
    put(tmp_path / "d" / "b.png", PNG)
    put(tmp_path / "d" / "a.jpg", JPEG[: len(JPEG) // 2])
    refuse(tmp_path / "d", "a.jpg", "damaged", "again")


def test_not_a_picture(tmp_path, refuse):
    refuse(put(tmp_path / "a.jpg", b"<html>not found</html>"), "a.jpg", "not a JPEG or PNG")
    refuse(put(tmp_path / "b.jpg"), "b.jpg")
    refuse(put(tmp_path / "c.gif", b"GIF89a" + bytes(50)), "c.gif", "convert")


def test_huge_picture_is_refused_from_its_header(tmp_path, refuse):
    file = put(tmp_path / "huge.png", huge_png())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    refuse(file, "huge.png", "32 million pixels", "smaller")
    assert time.perf_counter() - start < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # kilobytes
    refuse(put(tmp_path / "large.png", huge_png(8_000)), "large.png", "32 million pixels")


def test_huge_picture_inside_parquet(tmp_path, refuse, monkeypatch):
    monkeypatch.setattr(layouts, "picture_bytes", lambda *_: huge_png())
    file = layouts.write_parquet(tmp_path / "a.parquet", FACES.subset(np.arange(2)))
    refuse(file, "a.parquet, row 0", "million pixels")


def test_unknown_class_folders(tmp_path, refuse):
    put(tmp_path / "a" / "train" / "angry" / "1.png", PNG)
    put(tmp_path / "a" / "train" / "contempt" / "2.png", PNG)
    refuse(tmp_path / "a", "contempt", "Neutral", "rename")
    put(tmp_path / "b" / "cats" / "1.png", PNG)
    put(tmp_path / "b" / "dogs" / "2.png", PNG)
    refuse(tmp_path / "b", "cats", "rename")


# NumPy, Parquet, zip


def test_pickled_objects(tmp_path, refuse):
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
def test_images_of_wrong_shape_or_value(tmp_path, refuse, images):
    refuse(layouts.write_npz(tmp_path / "a.npz", FACES, images=images), "a.npz, images")


def test_arrays_that_do_not_fit(tmp_path, refuse):
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


def test_damaged_files(tmp_path, refuse):
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


def test_flipped_byte_in_a_zip(tmp_path, refuse):
    csv = layouts.write_kaggle_csv(tmp_path / "k" / "fer2013.csv", FACES)
    file = layouts.write_zip(tmp_path / "a.zip", csv)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    refuse(put(file, bytes(data)), "a.zip/fer2013.csv")


def test_parquet_columns(tmp_path, refuse):
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
def test_zip_members_that_lead_outside(tmp_path, refuse, name):
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("00001.png", PNG)
        archive.writestr(zipfile.ZipInfo(name), PNG)
    refuse(file, "a.zip", "leads out")
    assert not list(tmp_path.parent.glob("evil*"))


def test_zip_links_and_secrets(tmp_path, refuse):
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


def test_zip_bomb(tmp_path, refuse):
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("train.csv", bytes(300 * 2**20))
    start = time.perf_counter()
    refuse(file, "a.zip", "unpacks to 314,572,800 bytes")
    assert time.perf_counter() - start < 1
