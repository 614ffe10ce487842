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
BOX, SIDE = 1.24, 1.0  # inches wide, of the path and of a shortcut; the rest of PITCH is for arcs
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

    A box is one Unit: its layers in order, then the shape of its output; the first of a block
    bears its name. An arc is a shortcut, from the dot where it leaves the path; the layers on it,
    where it has any, stand in a box of their own above the sum that it enters.
    """
    units = trace(model, in_channels)
    path = main_path(units)
    titles = _titles(units, path)
    texts = {i: [*titles.get(i, []), *_lines(units[i])] for i in path}
    aside = {i: _aside(units, i, path) for i in path}
    places, sides = _places(_columns(units, path, texts, aside), texts, aside)
    tall, across = -min(p.bottom for p in places.values()), max(p.column for p in places.values())
    width = PITCH * (across + 1)
    ax = style.subplots(width=width, height=tall + 0.25)[1]
    ax.set(xlim=(0, width), ylim=(-tall - 0.1, 0.15))
    ax.set_axis_off()
    for i, place in places.items():
        kinds = [FILLS[kind] for op in units[i].ops for kind in FILLS if op.startswith(kind)]
        _box(ax, texts[i], place, BOX, kinds[0] if kinds else POOLING, titled=i in titles)
    for (_, before), (i, after) in pairwise(places.items()):
        _arrow(ax, before, after, past=i in sides)
    for i in path:
        if len(units[i].inputs) > 1:
            fork = min(_fork(units, places, j) for j in units[i].inputs)
            _shortcut(ax, places[fork], places[i], sides.get(i))
    for i, place in sides.items():
        _box(ax, aside[i], place, SIDE, "white", edge=style.RED)
    return ax


def _titles(units: tuple[Unit, ...], path: list[int]) -> dict[int, list[str]]:
    """The first unit of each block and the block's name, "layer2 (1)" of "layer2.0.conv1"."""
    first: dict[str, int] = {}
    for i in reversed(path):
        stage, *number = units[i].name.split(".")[:-1] or [""]
        first[" ".join([stage, *(f"({int(n) + 1})" for n in number)])] = i
    return {i: [title] for title, i in first.items() if title}


def _lines(unit: Unit) -> list[str]:
    """The text of a box: its layers, short ones together on a line, then its output's shape."""
    shape = "×".join(map(str, unit.shape))
    if unit.ops == ("input",):
        return [label(Text("輸入影像", "input image"), " "), shape]
    lines = [unit.ops[0]]
    for op in unit.ops[1:]:
        longer = f"{lines[-1]} · {op}"
        if (len(lines) > 1 or unit.ops[0] in JOIN) and text_width(longer) < BOX:
            lines[-1] = longer
        else:
            lines.append(op)
    return [line.replace(" /", "/") for line in [*lines, shape]]


def _aside(units: tuple[Unit, ...], i: int, path: list[int]) -> list[str]:
    """The layers on the shortcut that unit i adds; none where it is the identity."""
    return [op.replace(" /", "/") for j in units[i].inputs if j not in path for op in units[j].ops]


def _fork(units: tuple[Unit, ...], path: object, i: int) -> int:
    """The unit of the main path where the way to unit i leaves it."""
    while i not in path:
        (i,) = units[i].inputs
    return i


def _columns(
    units: tuple[Unit, ...],
    path: list[int],
    texts: dict[int, list[str]],
    aside: dict[int, list[str]],
) -> list[list[int]]:
    """The path in columns of about equal height, cut where no shortcut crosses."""
    at = {i: p for p, i in enumerate(path)}
    free = set(range(2, len(path)))  # the image never stands alone
    for i in path:
        first = min((at[_fork(units, at, j)] for j in units[i].inputs), default=0)
        if len(units[i].inputs) > 1:
            free -= set(range(first + 2, at[i] + 1))
    heights = [_height(texts[i]) + _height(aside[i]) for i in path]
    above = {p: sum(heights[:p]) for p in free}
    goals = [sum(heights) * k / COLUMNS for k in range(1, COLUMNS)]
    cuts = sorted({min(free, key=lambda p: abs(above[p] - goal)) for goal in goals if free})
    return [path[a:b] for a, b in pairwise([0, *cuts, len(path)])]


def _height(lines: list[str]) -> float:
    """Of a box and the gap below it; none for a box without text."""
    return len(lines) * LINE + 0.06 + GAP if lines else 0.0


def _places(
    columns: list[list[int]], texts: dict[int, list[str]], aside: dict[int, list[str]]
) -> tuple[dict[int, Place], dict[int, Place]]:
    """Of the boxes of the path, and of those of the shortcuts."""
    places, sides = {}, {}
    for column, numbers in enumerate(columns):
        y, x = 0.0, PITCH * column + BOX / 2 + 0.05
        for i in numbers:
            if aside[i]:  # at the right; the path passes at its left
                sides[i] = Place(x + (BOX - SIDE) / 2, y, y - _height(aside[i]) + GAP, column)
                y = sides[i].bottom - GAP
            places[i] = Place(x, y, y - _height(texts[i]) + GAP, column)
            y = places[i].bottom - GAP
    return places, sides


def _box(
    ax: Axes, lines: list[str], place: Place, width: float, fill: str, *,
    edge: str = style.BLACK, titled: bool = False,
) -> None:  # fmt: skip
    ax.add_patch(
        FancyBboxPatch(
            (place.x - width / 2 + 0.03, place.bottom + 0.03), width - 0.06,
            place.top - place.bottom - 0.06, boxstyle="round,pad=0.03,rounding_size=0.05",
            facecolor=fill, edgecolor=edge, linewidth=0.7,
        )
    )  # fmt: skip
    for n, line in enumerate(lines):
        middle, weight = place.top - 0.03 - (n + 0.5) * LINE, "bold" if titled and not n else None
        ax.text(place.x, middle, line, ha="center", va="center", weight=weight)


def _arrow(ax: Axes, before: Place, after: Place, *, past: bool) -> None:
    """From box to box; `past` the box of a shortcut, which stands between them."""
    start, x = (before.x, before.bottom), after.x
    if past:
        x -= BOX / 2 - 0.1
        start = (x, before.bottom)
    elif before.column != after.column:  # up between the columns, then into the box from above
        lane, low = x - BOX / 2 - 0.05, before.bottom - GAP / 2
        start = (x, ENTRY)
        ax.plot([before.x, before.x, lane, lane, x], [before.bottom, low, low, ENTRY, ENTRY],
                color=style.BLACK, lw=0.8)  # fmt: skip
    _head(ax, start, (x, after.top), style.BLACK)


def _shortcut(ax: Axes, start: Place, end: Place, side: Place | None) -> None:
    """An arc right of the boxes, from below the fork or from where the path enters the column.

    side : the box with the layers of the shortcut, which stands between it and the sum
    """
    target = side or end
    x, y1, reach = end.x + BOX / 2, (target.top + target.bottom) / 2, 0.3
    y0 = start.bottom - 0.06 if start.column == end.column else ENTRY
    corners = [(end.x, y0), (x, y0), (x + reach, y0), (x + reach, y1), (x, y1)]
    curve = Path(corners, [Path.MOVETO, Path.LINETO, *[Path.CURVE4] * 3])
    ax.add_patch(PathPatch(curve, fill=False, edgecolor=style.RED, linewidth=1.1))
    ax.plot(end.x, y0, "o", ms=3.5, color=style.RED)
    _head(ax, (x + 0.05, y1), (x, y1), style.RED)
    if side:
        _head(ax, (side.x, side.bottom), (side.x, end.top), style.RED)


def _head(ax: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    look = {"arrowstyle": "-|>", "color": colour, "lw": 0.8, "mutation_scale": 6,
            "shrinkA": 0, "shrinkB": 0}  # fmt: skip
    ax.annotate("", end, start, arrowprops=look)
