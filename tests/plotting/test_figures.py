"""What holds for every figure in every language: it can be read, also in grey and on paper."""

from __future__ import annotations

import re
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text as Drawn

from hw3lib.plotting import style
from hw3lib.text import set_language

from .figures import FIGURES

CASES = [
    pytest.param(name, code, id=f"{name}-{code}", marks=[pytest.mark.slow] * (code != "both"))
    for name in FIGURES
    for code in ("both", "zh", "en")  # both: the longest labels
]


@pytest.mark.parametrize(("name", "code"), CASES)
def test_a_figure_can_be_read(name, code, monkeypatch):
    texts, draw = [], Drawn.draw
    monkeypatch.setattr(Drawn, "draw", lambda t, *args: (texts.append(t), draw(t, *args)))
    set_language(code)
    with style.house_style():
        fig = FIGURES[name]().figure
        fig.draw_without_rendering()
        texts.clear()
        fig.draw_without_rendering()
        texts_are_apart_and_inside(fig, {t for t in texts if t.get_text().strip()})
        no_mark_leaves_its_frame(fig)
    plt.close(fig)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_in_both_languages_holds_each(name):
    """Drawn in both and shown in one, it says what it would say if drawn in that one."""

    def said(fig):  # numbers depend on the room that words leave, and on what was drawn at random
        fig.draw_without_rendering()
        shown = [t for t in fig.findobj(Drawn) if t.get_visible()]
        return {re.sub(r"[-−+\s0-9.,%]+", "", t.get_text()) for t in shown}

    found = {}
    for code in ("both", "zh", "en"):
        set_language(code)
        found[code] = FIGURES[name]().figure
    before = said(found["both"])
    for code in ("zh", "en"):
        with style.in_language(found["both"], code):
            assert said(found["both"]) == said(found[code])
    assert said(found["both"]) == before
    plt.close("all")


def texts_are_apart_and_inside(fig, texts):
    """No smaller than 8 points at 16 cm, inside the figure, nothing over anything else."""
    assert fig.get_figwidth() <= style.WIDTH + 1e-9 and fig.get_figheight() < 9 and texts
    whole, boxes = fig.bbox.padded(1), [(t, t.get_window_extent()) for t in texts]
    for text, box in boxes:
        inside = whole.x0 <= box.x0 and whole.y0 <= box.y0 and box.x1 <= whole.x1
        assert inside and box.y1 <= whole.y1, text.get_text()
        assert text.get_fontsize() >= style.POINTS
        assert not any(ord(c) > 0x2E80 for c in text.get_text()) or "TC" in text.get_fontname()
    for (one, a), (two, b) in combinations(boxes, 2):
        wide, high = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert wide < 1.5 or high < 1.5, (one.get_text(), two.get_text())


def no_mark_leaves_its_frame(fig):
    for ax in fig.axes:
        low, high = np.sort(ax.get_ylim())
        left, right = np.sort(ax.get_xlim())
        for line in ax.lines:
            if line.get_transform() == ax.transData and len(line.get_xdata()):
                x, y = np.asarray(line.get_xydata(), float).T
                assert ((x >= left) & (x <= right) | np.isnan(x)).all()
                assert ((y >= low) & (y <= high) | np.isnan(y)).all()
        for bars in (b for c in ax.containers if getattr(c, "has_xerr", False) for b in c[2]):
            ends = np.concatenate([np.reshape(s, (-1, 2)) for s in bars.get_segments()])[:, 0]
            assert ((ends >= left) & (ends <= right) | np.isnan(ends)).all()
        for legend in fig.legends:
            assert not legend.get_window_extent().overlaps(ax.get_window_extent())


def luminance(colour) -> float:
    linear = np.where((c := np.array(to_rgb(colour))) <= 0.04045, c / 12.92,
                      ((c + 0.055) / 1.055) ** 2.4)  # fmt: skip
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_every_series_keeps_3_to_1_in_grey_print_and_a_mark_of_its_own():
    """WCAG 2.2, 1.4.11: 3:1 for what carries meaning."""
    assert all(1.05 / (luminance(c) + 0.05) >= 3 for c in style.COLOURS)
    looks = [style.look(i) for i in range(6)]
    assert len({(look["marker"], look["mfc"] == "white") for look in looks}) == 6


@pytest.mark.parametrize(
    ("unit", "ticks", "shown"),
    [("%", (0, 0.05, 0.1), ["0%", "5%", "10%"]), ("%", (0, 0.025, 0.05), ["0%", "2.5%", "5%"]),
     ("pp", (-0.02, 0, 0.015), ["−2", "0", "+1.5"])],
)  # fmt: skip
def test_ticks_say_what_stands_there(unit, ticks, shown):
    _, ax = plt.subplots()
    ax.set_xticks(ticks)
    style.ticks(ax.xaxis, unit)
    assert [t.get_text() for t in ax.get_xticklabels()] == shown
    plt.close("all")


@pytest.mark.parametrize(
    ("text", "inches", "wanted"),
    [("rest of the face", 0.6, "rest of\nthe face"), ("臉的其餘部分", 0.4, "臉的其\n餘部分"),
     ("one\ntwo", 1, "one\ntwo"), ("indivisible", 0.1, "indivisible")],
)  # fmt: skip
def test_lines_are_broken_where_the_language_allows(text, inches, wanted):
    assert style.fit(text, inches) == wanted
