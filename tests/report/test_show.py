"""What a notebook shows: each output as JupyterLab sees it, and its words as data."""

from __future__ import annotations

import base64
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from hw3lib.plotting.style import house_style
from hw3lib.report import show
from hw3lib.text import Text, as_text, listing, set_language

from .fakes import both


@pytest.fixture
def shown(monkeypatch):
    """(payload, what JupyterLab sees) of every output."""
    outputs: list[tuple[dict, dict]] = []
    monkeypatch.setattr(show, "_show", lambda payload, plain, **_: outputs.append((payload, plain)))
    with house_style():
        yield outputs
    plt.close("all")


def test_sentences_are_filled_in_each_language(shown):
    who = Text("我們", "ours")
    show.say("{who}：{name} {acc:.1%}", "{who}: {name} {acc:.1%}", who=who, name="Happy", acc=0.625)
    assert shown[0][0] == {"kind": "text", **both("我們：高興 62.5%", "ours: Happy 62.5%")}
    assert shown[0][1]["text/markdown"] == "我們：高興 62.5%\n\nours: Happy 62.5%"
    set_language("en")
    show.say("一", "one")
    assert shown[1][1]["text/markdown"] == "one"


def test_in_jupyterlab_references_are_names_and_both_languages_stand_below_each_other(shown):
    show.say("見[@line]。", "See [@line].")
    assert shown[0][0]["en"] == "See [@line]."  # numbered in the report
    assert shown[0][1]["text/markdown"] == "見[line]。\n\nSee [line]."
    frame = pd.DataFrame({Text("p（Holm）", "p (Holm)"): [1], Text("張數", "images"): [2]})
    show.table(frame, zh="表", en="Table", ref="line")
    cells = shown[1][1]["text/html"]
    assert ">p（Holm）<" in cells and ">張數\nimages<" in cells
    assert shown[2][1]["text/markdown"].startswith("[line] ")


def test_an_answer_has_a_line_of_its_own(shown):
    show.answer("A3 B3", "是 {a:.2f}。其餘。", "Yes {a:.2f}. More.", a=0.5)
    show.answer("B4", "長。", "Long.", short_zh="短 {a}", short_en="Short {a}", a=1)
    (first, _), (second, _) = shown
    assert first["questions"] == ["A3", "B3"] and first["short"] == both("是 0.50。", "Yes 0.50.")
    assert second["short"] == both("短 1", "Short 1")
    assert (second["zh"], second["en"]) == ("**短 1。**\n\n長。", "**Short 1.**\n\nLong.")
    show.answer("M1", "式", "A formula", short_zh="短", short_en="Short", opening=False)
    assert shown[2][0]["en"] == "A formula"


@pytest.mark.parametrize("give", [lambda f, a: f, lambda f, a: a[0], lambda f, a: a])
def test_a_figure_is_drawn_and_closed(shown, give):
    drawn, axes = plt.subplots(1, 2, figsize=(3, 2))
    axes[0].plot([0, 1])
    show.figure(give(drawn, axes), zh="圖 {n}", en="Figure {n}", ref="x", n=3)
    payload, plain = shown[0]
    assert payload["caption"] == payload["alt"] == both("圖 3", "Figure 3")
    assert (payload["width"], payload["height"], payload["name"]) == (216, 144, "x")
    assert plain["image/svg+xml"].startswith("<?xml") and plt.get_fignums() == []
    assert plain["image/png"][:4] == b"\x89PNG"  # what JupyterLab shows of others' notebooks
    assert base64.b64decode(payload["thumb"])[:4] == b"\x89PNG"


def test_images_are_png_and_the_same_figure_gives_the_same_bytes(shown):
    for _ in range(2):
        for draw in (lambda ax: ax.imshow(np.eye(48)), lambda ax: ax.plot([0, 1])):
            drawn, ax = plt.subplots()
            draw(ax)
            show.figure(drawn, zh="圖", en="figure")
    pictures = [plain for payload, plain in shown if payload["kind"] == "figure"]
    assert pictures[0]["image/png"][:4] == b"\x89PNG" and "image/svg+xml" in pictures[1]
    assert pictures[:2] == pictures[2:]


def test_a_table_is_as_pandas_people_build_it(shown):
    frame = pd.DataFrame({"recall": [0.5, np.nan], "<n>": [12345, 7], "ok": [True, False]})
    frame.index = pd.Index(["Happy", "Sad"], name="class")
    show.table(frame, zh="表", en="table", formats={"recall": ".1%"})
    payload, plain = shown[0]
    assert payload["columns"][:2] == [both("類別", "class"), both("召回率", "recall")]
    assert [[cell["zh"] for cell in row] for row in payload["rows"]] == [
        ["高興", "50.0%", "12,345", "是"], ["難過", "–", "7", "否"],
    ]  # fmt: skip
    assert payload["align"] == ["left", "right", "right", "right"]
    assert plain["text/html"].startswith("<table>") and "&lt;n&gt;" in plain["text/html"]


@pytest.mark.parametrize(
    ("value", "spec", "wanted"),
    [
        (-0.0004, ".2f", "0.00"), (-0.0004, "+.1%", "0.0%"), (-0.006, ".2f", "-0.01"),
        (0.0004, "+.2f", "+0.00"), (float("nan"), ".2f", "–"), (None, "", "–"),
        (1.5e-5, ".1e", "1.5×10⁻⁵"), (0.0, ".0e", "0"), (-1e-9, "", "-1×10⁻⁹"), (2013, "", "2013"),
    ],
)  # fmt: skip
def test_numbers_are_set_alike(shown, value, spec, wanted):
    show.table(pd.DataFrame({"a": [value]}), zh="表", en="table", formats={"a": spec})
    assert shown[0][0]["rows"] == [[both(wanted)]]


def test_the_notebook_chooses_language_and_look(shown, folds):
    plt.rcdefaults()
    before = plt.rcParams["font.family"]
    show.notebook(SimpleNamespace(faces=folds.faces, profile="cpu"), "zh")
    assert str(Text("甲", "a")) == "甲" and plt.rcParams["font.family"] != before
    assert shown[0][0] == {"kind": "study", "synthetic": False, "language": "zh"}


def test_words_of_the_glossary_are_found_by_their_english():
    assert as_text("Happy") == Text("高興", "Happy") and as_text(3) == Text("3", "3")
    assert as_text(("recall", "n")) == Text("召回率 n", "recall n")
    assert listing(["Happy", Text("甲", "a")]) == Text("高興、甲", "Happy and a")
