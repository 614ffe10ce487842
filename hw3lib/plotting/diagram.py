"""Block diagram of a network, drawn from its trace."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path
from torch import nn

from hw3lib.models.describe import Unit, main_path, trace
from hw3lib.plotting import style
from hw3lib.plotting.style import POINTS, WIDTH, house_style, label, text_width
from hw3lib.text import Text

COLUMNS = 4
PITCH = WIDTH / COLUMNS  # inches from column to column
BOX = 1.24  # inches wide; the rest of the pitch is for shortcuts
LINE = 1.22 * POINTS / 72  # inches a line of text
ENTRY, GAP = 0.12, 0.17  # inches above the first box of a column, between boxes
JOIN = ("+", "×")
FILLS = {"Conv": "#D6E6F2", "Linear": "#FCE9C6", "+": "white", "×": "white", "input": "white"}
POOLING = "#E3E3E3"


class Place(NamedTuple):
    """Where a box stands: centre x, top and bottom y, in inches; its column."""

    x: float
    top: float
    bottom: float
    column: int


@house_style()
def block_diagram(model: nn.Module, *, in_channels: int = 1) -> Axes:
    """The network as boxes from the image (top left) to the logits, columns left to right.

    A box is one Unit: its layers in order, then the shape of its output. An arc is a shortcut; the
    layers on it, where it has any, stand in the box that it enters.
    """
    units = trace(model, in_channels)
    path = main_path(units)
    texts = {i: _lines(units, i, set(path)) for i in path}
    places = _places(_columns(units, path, texts), texts)
    tall, across = -min(p.bottom for p in places.values()), max(p.column for p in places.values())
    width = PITCH * (across + 1)
    ax = style.subplots(width=width, height=tall + 0.25)[1]
    ax.set(xlim=(0, width), ylim=(-tall - 0.1, 0.15))
    ax.set_axis_off()
    for i, place in places.items():
        _box(ax, units[i], texts[i], place)
    for before, after in pairwise(places.values()):
        _arrow(ax, before, after)
    for i in path:
        if len(units[i].inputs) > 1:
            fork = min(_fork(units, places, j) for j in units[i].inputs)
            _shortcut(ax, places[fork], places[i])
    return ax


def _lines(units: tuple[Unit, ...], i: int, path: set[int]) -> list[str]:
    """The text of a box: its layers, short ones together on a line, then the shape."""
    unit = units[i]
    shape = "×".join(map(str, unit.shape))
    if unit.ops == ("input",):
        return [label(Text("輸入影像", "input image"), " "), shape]
    shortcut = label(Text("捷徑：", "shortcut:"), " ")
    aside = [op for j in unit.inputs if j not in path for op in (shortcut, *units[j].ops)]
    first, *others = *aside, *unit.ops  # the shortcut's layers come before the sum
    lines = [first]
    for op in others:
        longer = f"{lines[-1]} · {op}"
        apart = op in (shortcut, unit.ops[0]) or lines[-1] == shortcut
        if not apart and (len(lines) > 1 or unit.ops[0] in JOIN) and text_width(longer) < BOX:
            lines[-1] = longer
        else:
            lines.append(op)
    return [line.replace(" /", "/") for line in [*lines, shape]]


def _fork(units: tuple[Unit, ...], path: object, i: int) -> int:
    """The unit of the main path where the way to unit i leaves it."""
    while i not in path:
        (i,) = units[i].inputs
    return i


def _columns(
    units: tuple[Unit, ...], path: list[int], texts: dict[int, list[str]]
) -> list[list[int]]:
    """The path in columns of about equal height, cut where no shortcut crosses."""
    at = {i: p for p, i in enumerate(path)}
    free = set(range(2, len(path)))  # the image never stands alone
    for i in path:
        first = min((at[_fork(units, at, j)] for j in units[i].inputs), default=0)
        if len(units[i].inputs) > 1:
            free -= set(range(first + 2, at[i] + 1))
    heights = [len(texts[i]) * LINE + 0.06 + GAP for i in path]
    above = {p: sum(heights[:p]) for p in free}
    goals = [sum(heights) * k / COLUMNS for k in range(1, COLUMNS)]
    cuts = sorted({min(free, key=lambda p: abs(above[p] - goal)) for goal in goals if free})
    return [path[a:b] for a, b in pairwise([0, *cuts, len(path)])]


def _places(columns: list[list[int]], texts: dict[int, list[str]]) -> dict[int, Place]:
    places = {}
    for column, numbers in enumerate(columns):
        y = 0.0
        for i in numbers:
            bottom = y - len(texts[i]) * LINE - 0.06
            places[i] = Place(PITCH * column + BOX / 2 + 0.05, y, bottom, column)
            y = bottom - GAP
    return places


def _box(ax: Axes, unit: Unit, lines: list[str], place: Place) -> None:
    kinds = [FILLS[kind] for op in unit.ops for kind in FILLS if op.startswith(kind)]
    ax.add_patch(
        FancyBboxPatch(
            (place.x - BOX / 2 + 0.03, place.bottom + 0.03), BOX - 0.06,
            place.top - place.bottom - 0.06, boxstyle="round,pad=0.03,rounding_size=0.05",
            facecolor=kinds[0] if kinds else POOLING, edgecolor=style.BLACK, linewidth=0.7,
        )
    )  # fmt: skip
    for n, line in enumerate(lines):
        ax.text(place.x, place.top - 0.03 - (n + 0.5) * LINE, line, ha="center", va="center")


def _arrow(ax: Axes, before: Place, after: Place) -> None:
    start = (before.x, before.bottom)
    if before.column != after.column:  # up between the columns, then into the box from above
        lane, low = after.x - BOX / 2 - 0.05, before.bottom - GAP / 2
        start = (after.x, ENTRY)
        ax.plot([before.x, before.x, lane, lane, after.x],
                [before.bottom, low, low, ENTRY, ENTRY], color=style.BLACK, lw=0.8)  # fmt: skip
    _head(ax, start, (after.x, after.top), style.BLACK)


def _shortcut(ax: Axes, start: Place, end: Place) -> None:
    """An arc right of the boxes, from the fork's side or from where the path enters the column."""
    x, y1, reach = end.x + BOX / 2, (end.top + end.bottom) / 2, 0.3
    same = start.column == end.column
    first, y0 = (x, (start.top + start.bottom) / 2) if same else (end.x, ENTRY)
    corners = [(first, y0), (x, y0), (x + reach, y0), (x + reach, y1), (x, y1)]
    curve = Path(corners, [Path.MOVETO, Path.LINETO, *[Path.CURVE4] * 3])
    ax.add_patch(PathPatch(curve, fill=False, edgecolor=style.RED, linewidth=1.1))
    _head(ax, (x + 0.05, y1), (x, y1), style.RED)


def _head(ax: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    look = {"arrowstyle": "-|>", "color": colour, "lw": 0.8, "mutation_scale": 6,
            "shrinkA": 0, "shrinkB": 0}  # fmt: skip
    ax.annotate("", end, start, arrowprops=look)
