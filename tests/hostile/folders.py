"""Folders named after their class."""

from __future__ import annotations

import os

import layouts

from hostile import images
from hostile.case import Place, add, bad
from hostile.images import JPEG, PNG

for kind, what, data, *words in (
    ("truncated picture", "one", JPEG[: len(JPEG) // 3], "damaged"),
    ("empty", "picture", b"", "not a JPEG or PNG"),
    ("other content", "web page", b"<html>404</html>", "not a JPEG or PNG"),
    ("huge", "picture", images.bomb, "million pixels"),
    ("flipped bit", "picture", images.FLIPPED, "damaged"),
    ("lying header", "picture", images.jpeg_of_precision(7), "not a JPEG"),
    ("bomb", "text", images.text_bomb, "2.png"),
    ("code", "EPS", images.EPS, "not a JPEG or PNG"),
    ("NUL byte", "only those", bytes(64), "not a JPEG or PNG"),
):

    def among_good(place: Place, data=data):
        place.put("train/angry/1.png", PNG)
        return place.put("train/happy/2.png", data).parents[2]

    add("class folders", kind, what, among_good, "happy/2.png", *words)


@bad("class folders", "wrong names", "contempt", "Neutral", "rename")
def an_eighth_class(place: Place):
    place.put("train/angry/1.png", PNG)
    return place.put("train/contempt/2.png", PNG).parents[2]


@bad("class folders", "wrong names", "cats", "rename")
def other_classes(place: Place):
    place.put("cats/1.png", PNG)
    return place.put("dogs/2.png", PNG).parents[1]


@bad("class folders", "wrong names", "=1+1", "rename", name="a formula")
def a_formula(place: Place):
    place.put("train/angry/1.png", PNG)
    return place.put("train/=1+1/2.png", PNG).parents[2]


@bad("class folders", "hostile name", r"<svg onload=alert(1)>\x1b[1m", "rename")
def markup(place: Place):
    place.put("train/angry/1.png", PNG)
    return place.put("train/<svg onload=alert(1)>\x1b[1m/2.png", PNG).parents[2]


@bad("class folders", "hostile name", "control characters")
def a_line_end(place: Place):
    return place.put("train/angry/1\n2.png", PNG).parents[2]


@bad("class folders", "wrong encoding", "not UTF-8", "rename")
def a_folder_in_latin_1(place: Place):
    place.put("train/angry/1.png", PNG)
    os.mkdir(os.fsencode(place.folder) + b"/train/\xe9")
    return place.folder


@bad("class folders", "duplicate id", "angry/1.png", "unique")
def one_name_twice(place: Place):
    place.put("train/angry/1.png", PNG)
    return place.put("train/angry/1.jpg", JPEG).parents[2]


@bad("class folders", "link", "happy/2.png", "broken link")
def to_nowhere(place: Place):
    file = place.put("train/happy/1.png", PNG)
    (file.parent / "2.png").symlink_to(place.root / "nowhere")
    return place.folder


@bad("class folders", "special file", "happy/2.png", "no file")
def a_pipe(place: Place):
    file = place.put("train/happy/1.png", PNG)
    os.mkfifo(file.parent / "2.png")
    return place.folder


@bad("class folders", "deep", "holds no pictures")
def folders_in_folders(place: Place):
    """1,100 folders deep: more than a recursive walk can bear."""
    place.folder.mkdir(parents=True)
    here = os.getcwd()
    os.chdir(place.folder)
    try:
        for _ in range(1100):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(here)
    return place.folder


@bad("class folders", "mixed", "several data sets", "a.parquet")
def beside_parquet(place: Place):
    layouts.write_parquet(place.folder / "a.parquet", layouts.small_faces(n=7))
    return place.put("train/happy/1.png", PNG).parents[2]


@bad("class folders", "one among many", "sad/299.png", "damaged")
def the_last_of_300(place: Place):
    for i in range(299):
        place.put(f"train/happy/{i}.png", PNG)
    return place.put("train/sad/299.png", PNG[: len(PNG) // 2]).parents[2]
