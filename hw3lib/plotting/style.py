"""One look for every figure: fonts with Chinese, marks that grey print tells apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import matplotlib.pyplot as plt
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text as Words
from matplotlib.ticker import MaxNLocator

from hw3lib.files import ROOT
from hw3lib.text import Text, as_text, current_language

FONT = ROOT / "report" / "fonts" / "NotoSansTC-Regular.otf"
WIDTH = 6.3  # inches, 16 cm: the text block of the A4 report
PRINTED = 0.78  # the share of its size at which report.typ prints a figure
POINTS = 8.0  # the smallest text

# After Okabe & Ito (https://jfly.uni-koeln.de/color/), told apart by colour-blind readers; their
# orange darkened, so that every colour keeps 3:1 against white paper in grey print.
BLUE, ORANGE, GREEN, RED, PURPLE, BLACK = (
    "#0072B2", "#C77700", "#009E73", "#D55E00", "#B8608F", "#222222",
)  # fmt: skip
SEQUENTIAL, DIVERGING, IMPORTANCE = "Blues", "RdBu_r", "YlOrRd"
SIGNED = "cividis"  # of images, which bear no numbers: lightness tells the sign in grey print
COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, BLACK)
PARTS = re.compile(r"[\u2e80-\uffff] ?|[^\s\u2e80-\uffff]+ ?| ")  # between which lines may break
MARKERS, LINES = "os^DvPX*", ("-", "--", "-.", ":")


@cache
def _family() -> str:
    for file in (FONT, FONT.with_name("NotoSansTC-Bold.otf")):
        font_manager.fontManager.addfont(file)
    return font_manager.FontProperties(fname=FONT).get_name()


@contextmanager
def house_style() -> Iterator[None]:
    """Matplotlib settings of the report, undone on leaving; also a decorator."""
    with plt.rc_context(settings()):
        yield


def settings() -> dict[str, Any]:
    """The same as a dict, for `rcParams` of a notebook."""
    return {
        "font.family": _family(),
        "font.size": POINTS,
        "axes.titlesize": POINTS + 0.5,
        "axes.labelsize": POINTS,
        "xtick.labelsize": POINTS,
        "ytick.labelsize": POINTS,
        "legend.fontsize": POINTS,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.formatter.useoffset": False,
        "axes.xmargin": 0.04,
        "axes.ymargin": 0.06,
        "legend.frameon": False,
        "figure.constrained_layout.use": True,
        "svg.fonttype": "path",
        "mathtext.fontset": "stix",
    }


@house_style()
def subplots(
    rows: int = 1, columns: int = 1, *, width: float = WIDTH, height: float = 2.5, **options: Any
) -> tuple[Figure, Any]:
    """`plt.subplots` in the house style; width and height in inches."""
    return plt.subplots(rows, columns, figsize=(width, height), **options)


@house_style()
def side_by_side(
    draw: Callable[..., Axes],
    panels: Mapping[Text | str, Any],
    *,
    height: float = 2.5,
    sharey: bool = True,
    each: Mapping[str, Mapping[Text | str, Any]] | None = None,
    **options: Any,
) -> Figure:
    """`draw(data, ax=ax, **options)` for each panel (title -> data), with one legend for all.

    each : option -> title -> value, where it differs from panel to panel
    """
    fig, axes = subplots(1, len(panels), height=height, squeeze=False, sharey=sharey)
    for ax, (title, data) in zip(axes[0], panels.items(), strict=True):
        own = {option: values[title] for option, values in (each or {}).items()}
        draw(data, ax=ax, **options, **own)
        room = 0.8 * WIDTH / len(panels)
        ax.set_title(fit(label(title), room))
        ax.set_xlabel(fit(ax.get_xlabel(), room))
        if sharey and ax is not axes[0, 0]:
            ax.set_ylabel("")
            ax.tick_params(axis="y", labelleft=False)
    legend_below(fig)
    return fig


def look(i: int) -> dict[str, Any]:
    """The i-th series' colour, marker and line; every second marker is hollow."""
    colour = COLOURS[i % len(COLOURS)]
    return {
        "color": colour,
        "marker": MARKERS[i % len(MARKERS)],
        "ls": LINES[i % len(LINES)],
        "mfc": "white" if i % 2 else colour,
        "ms": 4,
        "lw": 1.2,
    }


def minus(number: str) -> str:
    """A number's text with the sign that matplotlib's own tick labels have."""
    return number.replace("-", "\u2212")


def label(name: object, between: str = "\n") -> str:
    """A Text, a term of the glossary or any other string in the notebook's language.

    between : stands between the two languages where both are shown
    """
    text = as_text(name)
    if current_language() != "both" or text.zh == text.en:
        return str(text)
    joined = f"{text.zh}{between}{text.en}"
    _joined[joined] = text
    return joined


_joined: dict[str, Text] = {}  # what `label` and `fit` wrote in both languages -> each of them


def _parted(text: str, code: str) -> str:
    """The text with one language alone of whatever `label` and `fit` wrote in both."""
    for joined in sorted((known for known in _joined if known in text), key=len, reverse=True):
        text = text.replace(joined, _joined[joined].in_language(code))
    return text


@contextmanager
def in_language(fig: Figure, code: str) -> Iterator[None]:
    """Within it, a figure drawn in both languages has the words of one alone, "zh" or "en".

    Words are put in place of words: drawing it again for each takes three times as long.
    """
    named = [(axis, axis.get_ticklocs(), [t.get_text() for t in axis.get_ticklabels()])
             for ax in fig.axes for axis in (ax.xaxis, ax.yaxis)]  # fmt: skip
    # of axes that share their ticks, those that show no names have none to give
    named = [t for t in named if any(_parted(name, code) != name for name in t[2])]
    texts = [(words, words.get_text()) for words in fig.findobj(Words)]
    height = fig.get_figheight()
    try:
        for axis, places, names in named:
            axis.set_ticks(places, [_parted(name, code) for name in names])
        for words, text in texts:
            words.set_text(_parted(text, code))
        if any(ax.images for ax in fig.axes):  # fewer lines leave a blank above them
            fig.draw_without_rendering()
            fig.set_figheight(fig.get_tightbbox().y1 + 0.042)
        yield
    finally:
        fig.set_figheight(height)
        for axis, places, names in named:
            axis.set_ticks(places, names)
        for words, text in texts:
            words.set_text(text)


def text_width(text: str) -> float:
    """About how many inches the longest line takes at POINTS; Chinese is one em, Latin 0.56."""
    ems = (sum(1.0 if ord(c) > 0x2E80 else 0.56 for c in line) for line in text.split("\n"))
    return max(ems, default=0) * POINTS / 72


def fit(text: str, inches: float) -> str:
    """The text with lines of no more than `inches`, broken at blanks and between Chinese."""
    lines = []
    for line in text.split("\n"):
        lines.append("")
        for part in PARTS.findall(line):
            if lines[-1] and text_width(lines[-1] + part.rstrip()) > inches:
                lines.append(part)
            else:
                lines[-1] += part
    broken = "\n".join(line.rstrip() for line in lines)
    zh, en = (_parted(text, code) for code in ("zh", "en"))
    if zh != en:
        _joined[broken] = Text(fit(zh, inches), fit(en, inches))
    return broken


def legend_below(fig: Figure) -> None:
    """One legend for all axes, below them, where no curve crosses it."""
    found = {}
    for ax in fig.axes:
        handles, names = ax.get_legend_handles_labels()
        found |= dict(zip(names, handles, strict=True))
    if not found:
        return
    entry = max(map(text_width, found)) + 0.45  # the handle and its gaps
    columns = max(1, min(len(found), int(fig.get_figwidth() / entry)))
    columns = -(-len(found) // -(-len(found) // columns))  # rows of equal length
    fig.set_figheight(fig.get_figheight() + 0.17 * -(-len(found) // columns))
    legend = fig.legend(found.values(), found, loc="outside lower center", ncols=columns)
    for handle in legend.legend_handles:
        if isinstance(handle, Line2D):
            handle.set_markersize(min(6, handle.get_markersize()))


def ticks(axis: Axis, unit: str) -> None:
    """Ticks of shares ("%"), of their differences ("pp"), at whole numbers ("1") or any ("").

    Decimals are written only where the step has some.
    """
    match unit:
        case "%":
            axis.set_major_formatter(lambda x, _: f"{100 * x:.4g}%")
        case "pp":
            axis.set_major_formatter(
                lambda x, _: minus(f"{100 * x:+.4g}") if abs(x) > 1e-9 else "0"
            )
        case "1":
            axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
