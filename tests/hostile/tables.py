"""CSV with pixels: the course's spring edition, and Kaggle's with its FER+ votes."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import layouts

from hostile.case import Place, add, bad

FACES = layouts.small_faces(n=14, votes=True)
TEXT = layouts.pixel_text(FACES.images[0])
PNG = layouts.picture_bytes(FACES.images[0])
COURSE = "label,feature\n"
KAGGLE = "emotion,pixels,Usage\n"
REST = TEXT[TEXT.index(" ") :]  # without the first pixel


def course(text: str | bytes, name: str = "train.csv") -> Callable[[Place], object]:
    return lambda place: place.put(name, text)


def kaggle(text: str | bytes) -> Callable[[Place], object]:
    return course(text, "fer2013.csv")


def rows(*fields: str, header: str = COURSE) -> str:
    """A good row, then the faulty one."""
    good = f"1,{TEXT}" if header == COURSE else f"1,{TEXT},Training"
    return header + good + "\n" + ",".join(fields) + "\n"


for what, kind, text, *words in (
    ("in a row", "truncated", rows("2", TEXT[:4000]), "row 1 (line 3)", "instead of 2,304"),
    ("in the header", "truncated", "label,feat", "columns"),
    ("no byte", "empty", "", "columns"),
    ("no row", "empty", COURSE, "holds no pictures"),
    ("a picture", "other content", PNG, "UTF-8"),
    ("a web page", "other content", "<html><body>404</body></html>\n", "columns"),
    ("one pixel less", "wrong count", rows("2", TEXT.rsplit(" ", 1)[0]), "2,303 pixels"),
    ("one pixel more", "wrong count", rows("2", TEXT + " 0"), "2,305 pixels"),
    ("a field more", "wrong count", rows("2", TEXT, "x"), "3 fields"),
    ("a float", "wrong type", rows("2", "0.5" + REST), "pixel 0 is '0.5'"),
    ("a word as label", "wrong type", rows("two", TEXT), "label 'two'", "correct"),
    ("pixel 256", "wrong value", rows("2", "256" + REST), "pixel 0 is '256'"),
    ("label 7", "wrong value", rows("7", TEXT), "label '7'"),
    ("5,000 digits", "huge", rows("2", "9" * 5000 + REST), "pixel 0"),
    ("a line of 3 MB", "huge", COURSE + "1," + "1 " * 1_500_000, "too long"),
    ("a quoted field of 200 kB", "huge", rows("2", '"' + "1 " * 100_000 + '"'), "row 1 (line 3)"),
    ("label", "formula", rows("=1+1", TEXT), "label '=1+1'"),
    ("pixel", "formula", rows("2", "=HYPERLINK(0)" + REST), "pixel 0 is '=HYPERLINK"),
    ("in the header", "NUL byte", "la\0bel,feature\n", "UTF-8"),
    ("in a pixel", "NUL byte", rows("2", "1\0" + REST), r"'1\x00"),
    ("in a label", "NUL byte", rows("2\0", TEXT), "label '2"),
    ("UTF-16", "wrong encoding", rows("2", TEXT).encode("utf-16"), "UTF-8"),
    ("UTF-32", "wrong encoding", rows("2", TEXT).encode("utf-32"), "UTF-8"),
    ("Big5", "wrong encoding", "標籤,像素\n".encode("big5"), "UTF-8"),
    ("full-width digits", "wrong encoding", rows("2", "１２" + REST), "pixel 0"),
    ("semicolons", "wrong columns", "label;feature\n1;2\n", "columns"),
    ("no pixels", "wrong columns", "label,features_of_mine\n1,2\n", "columns"),
    ("old Mac", "wrong line ends", rows("2", TEXT).replace("\n", "\r"), "train.csv"),
    ("in a row", "wrong line ends", rows("2", '"' + TEXT[:50] + "\r" + TEXT[50:] + '"'), "row 1"),
    ("open", "wrong quotes", rows("2", '"' + TEXT), "row 1 (line 3)"),
):  # fmt: skip
    add("course CSV", kind, what, course(text), "train.csv", *words)


@bad("course CSV", "duplicate id", "test.csv, row 1 (line 3)", "'7'", "unique")
def the_same_number(place: Place):
    place.put("train.csv", COURSE + f"1,{TEXT}\n")
    return place.put("test.csv", f"id,feature\n7,{TEXT}\n7,{TEXT}\n").parent


@bad("course CSV", "hostile id", "test.csv, row 0 (line 2)", "control characters")
def an_escape_sequence(place: Place):
    return place.put("test.csv", f"id,feature\n\x1b]0;owned\x07,{TEXT}\n")


@bad("course CSV", "huge", "test.csv, row 1 (line 3)", "id", "900,000")
def an_id_of_a_megabyte(place: Place):
    many = "".join(f"{i},{TEXT}\n" for i in range(400))
    return place.put("test.csv", f"id,feature\nx,{TEXT}\n{'x' * 900_000},{TEXT}\n{many}")


@bad("course CSV", "link", "train.csv", "broken link")
def to_nowhere(place: Place):
    file = place.put("test.csv", f"id,feature\n7,{TEXT}\n")
    (file.parent / "train.csv").symlink_to(place.root / "nowhere")
    return file.parent


@bad("course CSV", "special file", "train.csv", "no file")
def a_pipe_that_nobody_fills(place: Place):
    place.folder.mkdir(parents=True)
    os.mkfifo(place.folder / "train.csv")
    return place.folder


@bad("course CSV", "hostile name", r"train\n\x1b[2J<b>.csv", "label 'x'")
def a_line_end_and_markup(place: Place):
    return place.put("train\n\x1b[2J<b>.csv", rows("x", TEXT))


@bad("course CSV", "mixed", "a.csv", "b.csv", "one of them")
def two_of_one_part(place: Place):
    place.put("a.csv", COURSE + f"1,{TEXT}\n")
    return place.put("b.csv", COURSE + f"1,{TEXT}\n").parent


one = partial(rows, header=KAGGLE)
for what, kind, text, *words in (
    ("in a row", "truncated", one("2", TEXT[:4000], "Training"), "row 1 (line 3)", "2,304"),
    ("before Usage", "truncated", one("2", TEXT), "2 fields", "names 3"),
    ("no byte", "empty", "", "columns"),
    ("no row", "empty", KAGGLE, "holds no pictures"),
    ("a zip", "other content", b"PK\3\4" + bytes(60), "UTF-8"),
    ("no pixel", "wrong count", one("2", "", "Training"), "0 pixels"),
    ("hexadecimal", "wrong type", one("2", "ff" + REST, "Training"), "'ff'"),
    ("Usage", "wrong value", one("2", TEXT, "Sometimes"), "'Sometimes'"),
    ("-1", "wrong value", one("2", "-1" + REST, "Training"), "'-1'"),
    ("emotion", "formula", one("@SUM(1)", TEXT, "Training"), "'@SUM(1)'"),
    ("Usage", "formula", one("2", TEXT, "=cmd|' /C calc'!A0"), '"=cmd|'),
    ("in Usage", "NUL byte", one("2", TEXT, "\0"), "split"),
    ("UTF-16", "wrong encoding", one("2", TEXT, "Training").encode("utf-16"), "UTF-8"),
    ("Latin-1", "wrong encoding", "émotion,pixels,Usage\n".encode("latin-1"), "UTF-8"),
    ("no number", "missing id", one("", TEXT, "Training"), "label ''"),
    ("tabs", "wrong columns", "emotion\tpixels\tUsage\n1\t2\t3\n", "columns"),
    ("open", "wrong quotes", one('2,"' + TEXT + ',Training'), "row 1 (line 3)"),
    ("a megabyte of emotion", "huge", one("9" * 900_000, TEXT, "Training"), "label '999"),
):  # fmt: skip
    add("Kaggle CSV", kind, what, kaggle(text), "fer2013.csv", *words)


def _voted(place: Place, change: Callable[[list[str]], list[str]], encoding: str = "utf-8"):
    """fer2013.csv with its votes, whose lines are changed."""
    file = layouts.write_kaggle_csv(place.folder / "fer2013.csv", FACES, votes=True)
    votes = place.folder / "fer2013new.csv"
    votes.write_bytes("\n".join(change(votes.read_text().splitlines())).encode(encoding))
    return file


def _third(cell: str) -> Callable[[list[str]], list[str]]:
    """Another third row, its first vote being this."""

    def change(lines: list[str]) -> list[str]:
        fields = lines[3].split(",")
        return [*lines[:3], ",".join([*fields[:2], cell, *fields[3:]]), *lines[4:]]

    return change


for what, kind, change, *words in (
    ("a row less", "wrong count", lambda lines: lines[:-1], "14 rows"),
    ("a row more", "wrong count", lambda lines: [*lines, lines[-1]], "14 rows"),
    ("in another order", "wrong order", lambda lines: [lines[0], *lines[:0:-1]], "Usage is not"),
    ("a fraction", "wrong type", _third("0.5"), "row 2 (line 4)", "whole numbers"),
    ("300 people", "wrong value", _third("300"), "0 to 255"),
    ("minus one", "wrong value", _third("-1"), "0 to 255"),
    ("4,000 digits", "huge", _third("9" * 4000), "fer2013new.csv"),
    ("votes", "formula", _third("=1"), "row 2 (line 4)", "whole numbers"),
    ("a column less", "wrong columns", lambda lines: [lines[0].replace("fear", "f"), *lines[1:]],
     "needs the columns"),
):  # fmt: skip
    add("FER+ votes", kind, what, partial(_voted, change=change), "fer2013new.csv", *words)
add("FER+ votes", "wrong encoding", "UTF-16",
    partial(_voted, change=list, encoding="utf-16"), "fer2013new.csv", "UTF-8")  # fmt: skip
for what, kind, text, *words in (
    ("no row", "empty", "Usage,Image name," + ",".join(layouts.FERPLUS), "14 rows"),
    ("in a row", "truncated", "Usage,Image name," + ",".join(layouts.FERPLUS) + "\nTraining,f",
     "2 fields"),
    ("in the header", "NUL byte", "Usage\0,neutral,happiness,nf\n", "UTF-8"),
    ("carriage returns", "wrong line ends", "Usage,Image name\rneutral,happiness,nf\n",
     "fer2013new.csv"),
):  # fmt: skip
    add("FER+ votes", kind, what, lambda place, text=text: _voted(place, lambda _: [text]),
        "fer2013new.csv", *words)  # fmt: skip


@bad("FER+ votes", "link", "fer2013new.csv", "broken link")
def votes_to_nowhere(place: Place):
    file = _voted(place, list)
    (place.folder / "fer2013new.csv").unlink()
    (place.folder / "fer2013new.csv").symlink_to(place.root / "nowhere")
    return file.parent


@bad("FER+ votes", "special file", "fer2013new.csv", "no file")
def votes_in_a_pipe(place: Place):
    file = _voted(place, list)
    (place.folder / "fer2013new.csv").unlink()
    os.mkfifo(place.folder / "fer2013new.csv")
    return file.parent


@bad("Kaggle CSV", "link", "icml_face_data.csv", "broken link")
def kaggle_to_nowhere(place: Place):
    file = place.put("fer2013.csv", one("2", TEXT, "Training"))
    (file.parent / "icml_face_data.csv").symlink_to(place.root / "nowhere")
    return file.parent


@bad("Kaggle CSV", "hostile name", r"<script>\r.csv", "row 1 (line 3)")
def a_script(place: Place):
    return place.put("<script>\r.csv", one("x", TEXT, "Training"))


@bad("Kaggle CSV", "mixed", "a.npz", "fer2013.csv", "several data sets")
def with_arrays(place: Place):
    layouts.write_npz(place.folder / "a.npz", FACES)
    return place.put("fer2013.csv", one("2", TEXT, "Training")).parent


@bad("Kaggle CSV", "special file", "neither a file nor a folder")
def a_device(place: Place):
    return Path("/dev/zero")
