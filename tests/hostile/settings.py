"""TOML files that users write: a profile, and the author of the report."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from hostile.case import Place, add, bad

GOOD = "[recipes.a]\nmodel = 'slim_resnet'\nwidth = 0.25\nepochs = 1\n"
DEEP = "x = " + "[" * 100_000


def profile(text: str | bytes) -> Callable[[Place], Path]:
    return lambda place: place.put("p.toml", text)


def author(text: str | bytes) -> Callable[[Place], Path]:
    return lambda place: place.put("author.toml", text)


for kind, what, text, *words in (
    ("truncated", "in a table", GOOD + "[recipes.b", "TOML"),
    ("other content", "a picture", b"\x89PNG\r\n\x1a\n", "TOML"),
    ("other content", "JSON", '{"recipes": {}}', "TOML"),
    ("NUL byte", "in a name", GOOD + "x = 'a\0b'\n", "TOML"),
    ("wrong encoding", "UTF-16", GOOD.encode("utf-16"), "TOML"),
    ("wrong encoding", "Big5", "x = '設定'\n".encode("big5"), "TOML"),
    ("wrong setting type", "recipes", "recipes = 5\n", "recipes"),
    ("wrong setting type", "a recipe", "[recipes]\na = 5\n", "recipes.a"),
    ("wrong setting type", "settings", GOOD + "[[settings]]\n", "settings"),
    ("wrong setting type", "folds", "folds = 'x'\n" + GOOD, "folds"),
    ("wrong setting type", "a share", GOOD + "[folds]\nvalidation = 'x'\n", "validation"),
    ("wrong setting type", "base", GOOD + "[recipes.b]\nbase = ['a']\n", "base"),
    ("wrong setting type", "seeds", GOOD + "seeds = 7\n", "seeds"),
    ("wrong setting type", "a seed", GOOD + "seeds = ['x']\n", "seed"),
    ("wrong setting type", "model", "[recipes.a]\nmodel = ['x']\n", "model"),
    ("impossible setting", "width", GOOD.replace("0.25", "nan"), "width"),
    ("impossible setting", "a share", GOOD + "[folds]\nvalidation = 2.0\n", "validation"),
    ("impossible setting", "synthetic", GOOD + "[settings]\nsynthetic = -5\n", "synthetic"),
    ("wrong names", "a field", GOOD + "colour = 1\n", "colour"),
    ("wrong names", "folds", GOOD + "[folds]\nsize = 1\n", "size"),
    ("duplicate id", "a recipe", GOOD + GOOD, "TOML"),
    ("missing value", "model", "[recipes.a]\nwidth = 0.25\n", "model"),
    ("wrong order", "a base of itself", "[recipes.a]\nbase = 'a'\n", "itself"),
    ("wrong order", "a missing base", "[recipes.a]\nbase = 'b'\n", "missing"),
    ("deep", "brackets", DEEP, "TOML"),
    ("deep", "2,000 bases", GOOD + "".join(
        f"[recipes.r{i}]\nbase = 'r{i + 1}'\n" for i in range(2000)) +
     "[recipes.r2000]\nbase = 'a'\n", "p.toml"),
    ("huge", "3 MB", "# " + "x" * 3 * 2**20, "bytes"),
    ("huge", "a billion faces", GOOD + "[settings]\nsynthetic = 1000000000\n", "synthetic"),
    ("too many", "seeds", GOOD + f"seeds = [{','.join(map(str, range(20_000)))}]\n", "seeds"),
    ("bomb", "width", GOOD.replace("0.25", "1e300"), "width"),
    ("escape", "base", GOOD + "[recipes.b]\nbase = '../../a'\n", "missing"),
    ("hostile id", "a recipe", GOOD + '[recipes."\\u001b[2J\\n"]\nwidth = 1\n', "model"),
    ("formula", "a number", GOOD.replace("0.25", "'=1+1'"), "width"),
):  # fmt: skip
    add("profile", kind, what, profile(text), "p.toml", *words)
for kind, what, text, *words in (
    ("truncated", "in a text", "name = \"Wang", "TOML"),
    ("other content", "a picture", b"\x89PNG\r\n\x1a\n", "TOML"),
    ("other content", "JSON", '{"name": "x"}', "TOML"),
    ("NUL byte", "as it is", "name = 'a\0b'\n", "TOML"),
    ("NUL byte", "escaped", 'name = "a\\u0000b"\n', "control characters"),
    ("wrong encoding", "UTF-16", "name = 'x'\n".encode("utf-16"), "TOML"),
    ("wrong encoding", "Big5", "name = '王小明'\n".encode("big5"), "TOML"),
    ("wrong setting type", "a number", "name = 5\n", "name", "text"),
    ("wrong setting type", "a list", "name = ['a']\n", "name", "text"),
    ("wrong setting type", "a date", "id = 2026-01-01\n", "id", "text"),
    ("wrong setting type", "no list", "collaborators = 'a'\n", "collaborators"),
    ("wrong setting type", "numbers in the list", "collaborators = [1]\n", "collaborators"),
    ("wrong names", "a field", "email = 'x'\n", "email"),
    ("wrong names", "a language", "name = { zh = 'a', fr = 'b' }\n", "name", "en"),
    ("missing value", "a language", "name = { zh = 'a' }\n", "name", "en"),
    ("wrong count", "three languages", "name = { zh = 'a', en = 'b', de = 'c' }\n", "name"),
    ("duplicate id", "a field", "name = 'a'\nname = 'b'\n", "TOML"),
    ("deep", "brackets", DEEP, "TOML"),
    ("huge", "3 MB", "# " + "x" * 3 * 2**20, "bytes"),
    ("huge", "a name of 100 kB", f"name = '{'x' * 100_000}'\n", "name", "letters"),
    ("too many", "collaborators", "collaborators = [" + "'x'," * 5000 + "]\n", "collaborators"),
    ("hostile id", "an escape sequence", 'name = "a\\u001b[2J"\n', "control characters"),
    ("hostile id", "turned round", 'name = "a\\u202Eb"\n', "control characters"),
    ("wrong quotes", "none", "name = Wang\n", "TOML"),
):  # fmt: skip
    add("author", kind, what, author(text), "author.toml", *words)
for reader, name in (("profile", "p.toml"), ("author", "author.toml")):

    def to_nowhere(place: Place, name: str = name) -> Path:
        place.folder.mkdir(parents=True)
        (place.folder / name).symlink_to(place.root / "nowhere")
        return place.folder / name

    def to_a_device(place: Place, name: str = name) -> Path:
        place.folder.mkdir(parents=True)
        (place.folder / name).symlink_to("/dev/zero")
        return place.folder / name

    def a_pipe(place: Place, name: str = name) -> Path:
        place.folder.mkdir(parents=True)
        os.mkfifo(place.folder / name)
        return place.folder / name

    def a_folder(place: Place, name: str = name) -> Path:
        (place.folder / name).mkdir(parents=True)
        return place.folder / name

    add(reader, "link", "to nowhere", to_nowhere, name)
    add(reader, "link", "to a device without end", to_a_device, name)
    add(reader, "special file", "a pipe", a_pipe, name)
    add(reader, "special file", "a folder", a_folder, name)


@bad("profile", "hostile name", r"p\n<b>.toml", "TOML")
def a_line_end(place: Place):
    return place.put("p\n<b>.toml", "x")
