"""The course's fall edition: numbered pictures and a table `id,label`."""

from __future__ import annotations

import os
from functools import partial

import layouts

from hostile import images
from hostile.case import Place, add, bad
from hostile.images import JPEG, PNG

HEAD = "id,label\n"
GOOD = HEAD + "00000,1\n00001,2\n00002,3\n"


def course(place: Place, table: str | bytes = GOOD, picture: bytes = PNG):
    """Three pictures in train/, the last of them `picture`, and train.csv."""
    for name, data in (("00000", PNG), ("00001", PNG), ("00002", picture)):
        place.put(f"train/{name}.png", data)
    return place.put("train.csv", table).parent


for kind, what, table, *words in (
    ("truncated", "before a label", GOOD[:-3], "row 2 (line 4)", "1 fields"),
    ("empty", "no row", HEAD, "00000.png", "add its label"),
    ("wrong count", "a field more", GOOD + "00003,4,5\n", "3 fields"),
    ("wrong count", "a row less", GOOD[:-8], "00002.png", "add its label"),
    ("wrong type", "a word", GOOD.replace(",3", ",three"), "label 'three'"),
    ("wrong type", "a fraction", GOOD.replace(",3", ",2.5"), "label '2.5'"),
    ("wrong value", "7", GOOD.replace(",3", ",7"), "label '7'"),
    ("wrong value", "minus one", GOOD.replace(",3", ",-1"), "label '-1'"),
    ("formula", "label", GOOD.replace(",3", ",=1+1"), "'=1+1'"),
    ("formula", "id", GOOD + "=HYPERLINK(0),3\n", "'=HYPERLINK(0)'", "add the picture"),
    ("NUL byte", "label", GOOD.replace(",3", ",\0"), "label '\\x00'"),
    ("NUL byte", "id", GOOD + "\0,3\n", "row 3 (line 5)"),
    ("wrong encoding", "UTF-16", GOOD.encode("utf-16"), "UTF-8"),
    ("wrong encoding", "Big5", "編號,標籤\n".encode("big5"), "UTF-8"),
    ("wrong encoding", "id in Latin-1", GOOD.encode() + b"caf\xe9,3\n", "row 3 (line 5)"),
    ("duplicate id", "in the table", GOOD + "00001,2\n", "row 3 (line 5)", "'00001'"),
    ("duplicate id", "as a number", GOOD + "1,2\n", "row 3 (line 5)", "'1'"),
    ("missing id", "no picture", GOOD + "00007,2\n", "'00007'", "add the picture"),
    ("missing id", "no id", GOOD + ",2\n", "row 3 (line 5)"),
    ("huge", "5,000 digits", GOOD + "9" * 5000 + ",2\n", "row 3 (line 5)", "'999"),
    ("huge", "a line of 3 MB", GOOD + "9" * 3_000_000 + ",2\n", "too long"),
    ("escape", "id", GOOD + "../../../secret,2\n", "row 3 (line 5)", "add the picture"),
    ("wrong line ends", "old Mac", GOOD.replace("\n", "\r"), "train.csv"),
    ("wrong quotes", "open", GOOD + '"00003,2\n', "row 3 (line 5)"),
    ("hostile id", "markup", GOOD + "<script>alert(1)</script>,2\n", "'<script>"),
    ("hostile id", "an escape sequence", GOOD + "\x1b]0;owned\x07,2\n", r"\x1b]0"),
):  # fmt: skip
    add("numbered pictures", kind, what, partial(course, table=table), "train.csv", *words)
for kind, what, data, *words in (
    ("truncated picture", "one", PNG[: len(PNG) // 2], "damaged"),
    ("other content", "web page", b"<html>404</html>", "not a JPEG or PNG"),
    ("huge", "picture", images.bomb, "million pixels"),
    ("bomb", "text", images.text_bomb, "00002.png"),
):
    add("numbered pictures", kind, what, partial(course, picture=data), "00002.png", *words)


@bad("numbered pictures", "duplicate id", "00001.png", "00001.jpg", "remove one")
def two_pictures(place: Place):
    place.put("train/00001.jpg", JPEG)
    return course(place)


@bad("numbered pictures", "missing", "labels without pictures", "give the folder")
def no_pictures(place: Place):
    return place.put("train.csv", GOOD)


@bad("numbered pictures", "too many", "train.csv", "500,000 rows")
def rows_without_end(place: Place):
    return course(place, HEAD + "00000,1\n" * 500_002)


@bad("numbered pictures", "link", "00003.png", "broken link")
def to_nowhere(place: Place):
    folder = course(place)
    (folder / "train" / "00003.png").symlink_to(place.root / "nowhere")
    return folder


@bad("numbered pictures", "special file", "train.csv", "no file")
def a_pipe(place: Place):
    folder = course(place)
    (folder / "train.csv").unlink()
    os.mkfifo(folder / "train.csv")
    return folder


@bad("numbered pictures", "hostile name", r"0\n3.png", "train.csv", "add its label")
def a_line_end(place: Place):
    place.put("train/0\n3.png", PNG)
    return course(place)


@bad("numbered pictures", "mixed", "several data sets")
def with_arrays(place: Place):
    layouts.write_npz(place.folder / "a.npz", layouts.small_faces(n=7))
    return course(place)
