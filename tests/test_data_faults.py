"""Faulty tables, labels, ids and folders give one clear line: the file, the row, the mend."""

from __future__ import annotations

from dataclasses import replace

import layouts
import numpy as np
import pytest
from layouts import put, refuse

FACES = layouts.small_faces(n=14)
PNG = layouts.picture_bytes(FACES.images[0])
JPEG = layouts.picture_bytes(FACES.images[0], "JPEG")
TEXT = layouts.pixel_text(FACES.images[0])


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HW3_CACHE", str(tmp_path / "cache"))


def test_missing_path(tmp_path):
    refuse(tmp_path / "nowhere", "nowhere", "does not exist")


def test_empty_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    refuse(tmp_path / "empty", "empty", "holds no pictures")


def test_unknown_kind_of_file(tmp_path):
    refuse(put(tmp_path / "notes.txt", b"hello"), "notes.txt", "convert")


# the course's numbered pictures


def fall(folder, rows):
    for name in ("00000", "00001", "00002"):
        put(folder / "train" / f"{name}.png", PNG)
    return layouts.write_csv(folder / "train.csv", [["id", "label"], *rows]).parent


def test_id_without_a_picture(tmp_path):
    rows = [["00000", 1], ["00001", 2], ["00002", 3], ["00007", 3]]
    refuse(fall(tmp_path / "d", rows), "train.csv, row 3 (line 5)", "'00007'", "add the picture")


def test_picture_without_a_row(tmp_path):
    refuse(fall(tmp_path / "d", [["00000", 1], ["00002", 3]]), "00001.png", "train.csv", "add its")


def test_duplicate_ids(tmp_path):
    rows = [["00000", 1], ["00001", 2], ["00002", 3], ["00001", 4]]
    refuse(fall(tmp_path / "d", rows), "train.csv, row 3 (line 5)", "'00001'", "remove")
    twice = np.array(["z", *FACES.ids[1:-2], "z", "y"])
    file = layouts.write_npz(tmp_path / "a.npz", FACES, ids=twice)
    refuse(file, "a.npz, images, row 12", "'z'", "row 0", "unique")
    put(tmp_path / "p" / "1.jpg", JPEG)
    put(tmp_path / "p" / "1.png", PNG)
    refuse(tmp_path / "p", "1.png", "1.jpg", "unique")


@pytest.mark.parametrize("label", ["9", "-1", "2.5", "x", ""])
def test_labels_in_a_table(tmp_path, label):
    rows = [["00000", 1], ["00001", label], ["00002", 3]]
    refuse(fall(tmp_path / "d", rows), "train.csv, row 1 (line 3)", repr(label), "correct")
    table = [["label", "feature"], [0, TEXT], [label, TEXT]]
    refuse(layouts.write_csv(tmp_path / "e" / "train.csv", table), "train.csv, row 1 (line 3)",
           repr(label), "0 Angry")  # fmt: skip


def test_labels_without_pictures(tmp_path):
    refuse(layouts.write_csv(tmp_path / "train.csv", [["id", "label"], [0, 1]]), "give the folder")


@pytest.mark.parametrize("labels", [[9] * 14, [-2] * 14, [2.5] * 14, ["bored"] * 14])
def test_labels_in_arrays(tmp_path, labels):
    refuse(layouts.write_npz(tmp_path / "a.npz", FACES, labels=np.array(labels)), "a.npz", "row 0")


def test_label_in_parquet(tmp_path):
    labels = FACES.labels.copy()
    labels[5] = 9
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
def test_pixels(tmp_path, text, words):
    refuse(spring(tmp_path, text), "train.csv, row 40 (line 42)", *words)


def test_compensating_rows_are_still_found(tmp_path):
    short, long = TEXT.rsplit(" ", 1)[0], TEXT + " 7"
    rows = [["label", "feature"], [1, TEXT], [1, short], [1, long]]
    refuse(layouts.write_csv(tmp_path / "train.csv", rows), "row 1 (line 3)", "2,303")


def test_csv_headers(tmp_path):
    refuse(layouts.write_csv(tmp_path / "a" / "x.csv", [["foo", "bar"], [1, 2]]), "foo, bar")
    refuse(put(tmp_path / "b" / "x.csv", b"label;feature\n1;2\n"), "label;feature")
    refuse(put(tmp_path / "c" / "x.csv"), "x.csv", "columns")
    refuse(spring(tmp_path, TEXT, encoding="utf-16"), "train.csv", "UTF-8")
    refuse(put(tmp_path / "e" / "x.csv", "標籤,像素\n".encode("cp950")), "x.csv", "UTF-8")
    refuse(put(tmp_path / "f" / "x.csv", b"la\0bel,feature\n"), "x.csv", "UTF-8")


def test_csv_rows(tmp_path):
    file = put(tmp_path / "a" / "train.csv", f"label,feature\n1,{TEXT}\n2\n".encode())
    refuse(file, "row 1 (line 3)", "1 fields", "names 2")
    file = put(tmp_path / "b" / "train.csv", b"label,feature\n" + b"1 " * 2**20)
    refuse(file, "train.csv", "too long")
    refuse(put(tmp_path / "c" / "train.csv", b"label,feature\n"), "holds no pictures")
    rows = [["emotion", "pixels", "Usage"], [1, TEXT, "Sometimes"]]
    refuse(layouts.write_csv(tmp_path / "fer2013.csv", rows), "row 0 (line 2)", "'Sometimes'")


def test_two_tables_of_one_part(tmp_path):
    for name in ("a.csv", "b.csv"):
        layouts.write_csv(tmp_path / "d" / name, [["label", "feature"], [1, TEXT]])
    refuse(tmp_path / "d", "a.csv", "b.csv", "one of them")


def test_two_data_sets(tmp_path):
    layouts.write_npz(tmp_path / "d" / "a.npz", FACES)
    layouts.write_parquet(tmp_path / "d" / "a.parquet", FACES)
    refuse(tmp_path / "d", "a.npz", "a.parquet", "several data sets")


def test_votes_of_another_file(tmp_path):
    faces = layouts.small_faces(votes=True)
    file = layouts.write_kaggle_csv(tmp_path / "fer2013.csv", faces, votes=True)
    votes = tmp_path / "fer2013new.csv"
    lines = votes.read_text().splitlines()
    votes.write_text("\n".join([lines[0], *lines[2:], lines[1]]))
    refuse(file, "fer2013new.csv, row 5", "Usage is not that of", "fer2013.csv")
    votes.write_text("\n".join(lines[:-1]))
    refuse(file, "fer2013new.csv", "42 rows")
