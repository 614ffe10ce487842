"""Block diagram of a network, drawn from its trace."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from hw3lib.models.describe import Unit, main_path, trace
from hw3lib.plotting import style
from hw3lib.text import tr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import nn

COLUMNS = 4
PITCH = style.TEXT_WIDTH / COLUMNS  # inches from column to column
BOX = 1.06  # inches wide, the rest of the pitch is for shortcuts
ENTRY = 0.12  # inches above the first box, where the path comes into a column
GAP = 0.16  # inches between boxes, where the arrow is
LINE = 0.115  # inches a line of text
SIZE = 6.2  # points
JOIN, INPUT = ("+", "×"), ("input",)
FILLS = {
    "conv": "#D6E6F2",
    "linear": "#FCE9C6",
    "pool": "#E3E3E3",
    "join": "#FFFFFF",
    "end": "white",
}


@dataclass(frozen=True)
class Place:
    """Where a unit of the main path stands: centre x, top and bottom y, in inches; column."""

    x: float
    top: float
    bottom: float
    column: int


def block_diagram(model: nn.Module, *, in_channels: int = 1) -> Figure:
    """The network as boxes from the picture (top left) to the logits, columns left to right.

    A box is one Unit: its layers in order, then the shape of its output. What leaves the plain
    line stands on an arc: a shortcut, with the layers on it where it has any.
    """
    units = trace(model, in_channels)
    path = main_path(units)
    columns = _columns(units, path)
    heights = {i: _height(units[i]) for i in path}
    tall = max(sum(heights[i] + GAP for i in column) for column in columns)
    width = PITCH * len(columns)
    fig, ax = style.subplots(width=width, height=tall + 0.2)
    ax.set(xlim=(0, width), ylim=(-tall, 0.2))
    ax.set_axis_off()
    places = _layout(columns, heights)
    for i, place in places.items():
        _box(ax, units[i], place)
    for before, after in pairwise(path):
        _arrow(ax, places[before], places[after], tall)
    for i, unit in enumerate(units):
        if len(unit.inputs) > 1:
            _shortcut(ax, units, places, i)
    return fig


def _columns(units: tuple[Unit, ...], path: list[int]) -> list[list[int]]:
    """Cut the path where no shortcut crosses, into columns of about equal height.

    A cut between two modules of the network, or where the map changes its size, is preferred.
    """
    position = {i: p for p, i in enumerate(path)}
    free = set(range(2, len(path)))  # the picture never stands alone
    for unit_number, unit in enumerate(units):
        if len(unit.inputs) > 1:
            first = min(_fork(units, position, j) for j in unit.inputs)
            free -= set(range(first + 2, position[unit_number] + 1))
    heights = [_height(units[i]) + GAP for i in path]
    cuts = [0, *sorted(free), len(path)]
    best: dict[tuple[int, int], tuple[float, list[int]]] = {(0, 0): (0.0, [])}
    for column in range(1, min(COLUMNS, len(cuts) - 1) + 1):
        for end in cuts[1:]:
            ways = [
                (cost + sum(heights[start:end]) ** 2 + _seam(units, path, end), [*marks, end])
                for (n, start), (cost, marks) in best.items()
                if n == column - 1 and start < end
            ]
            if ways:
                best[column, end] = min(ways)
    _, marks = min(v for (_, end), v in best.items() if end == len(path))
    return [path[a:b] for a, b in pairwise([0, *marks])]


def _fork(units: tuple[Unit, ...], position: dict[int, int], i: int) -> int:
    """The place on the main path where the way to unit i leaves it."""
    while i not in position:
        (i,) = units[i].inputs
    return position[i]


def _seam(units: tuple[Unit, ...], path: list[int], end: int) -> float:
    """What a cut before path[end] costs, in square inches: nothing between two modules."""
    if end == len(path):
        return 0.0
    before, after = units[path[end - 1]], units[path[end]]
    if before.name.split(".")[0] != after.name.split(".")[0]:
        return 0.0
    if before.ops[0] not in JOIN and _parent(before) != _parent(after):
        return 0.0
    return 0.0 if any(op.startswith("MaxPool") for op in before.ops) else 5.0


def _parent(unit: Unit) -> str:
    return unit.name.rpartition(".")[0]


def _lines(unit: Unit) -> list[str]:
    """The text of a box: layers, two short ones on a line, then the shape."""
    if unit.ops == INPUT:
        return [tr("輸入影像", "picture"), _shape(unit)]
    first, *rest = (op.replace(" /", "/") for op in unit.ops)
    lines = [first]
    for op in rest:
        fits = len(lines[-1]) + len(op) < 20 and lines[-1] != first
        if fits or first in JOIN:
            lines[-1] = f"{lines[-1]} · {op}"
        else:
            lines.append(op)
    return [*lines, _shape(unit)]


def _shape(unit: Unit) -> str:
    return "×".join(map(str, unit.shape))


def _height(unit: Unit) -> float:
    return len(_lines(unit)) * LINE + 0.06


def _layout(columns: list[list[int]], heights: dict[int, float]) -> dict[int, Place]:
    places = {}
    for column, numbers in enumerate(columns):
        y = 0.0
        for i in numbers:
            places[i] = Place(PITCH * column + BOX / 2 + 0.04, y, y - heights[i], column)
            y -= heights[i] + GAP
    return places


def _box(ax: Axes, unit: Unit, place: Place) -> None:
    from matplotlib.patches import FancyBboxPatch

    height = place.top - place.bottom
    ax.add_patch(
        FancyBboxPatch(
            (place.x - BOX / 2 + 0.03, place.bottom + 0.03), BOX - 0.06, height - 0.06,
            boxstyle="round,pad=0.03,rounding_size=0.05",
            facecolor=FILLS[_sort(unit)], edgecolor=style.BLACK, linewidth=0.7,
        )
    )  # fmt: skip
    lines = _lines(unit)
    for n, line in enumerate(lines):
        y = place.top - 0.03 - (n + 0.5) * LINE
        size = SIZE + (0.6 if n == 0 else 0)
        ax.text(place.x, y, line, ha="center", va="center", fontsize=size)


def _sort(unit: Unit) -> str:
    if unit.ops == INPUT:
        return "end"
    if unit.ops[0] in JOIN:
        return "join"
    for sort, mark in (("linear", "Linear"), ("conv", "Conv")):
        if any(op.startswith(mark) for op in unit.ops):
            return sort
    return "pool"


def _arrow(ax: Axes, before: Place, after: Place, tall: float) -> None:
    look = {"arrowstyle": "-|>", "color": style.BLACK, "lw": 0.8, "mutation_scale": 6,
              "shrinkA": 0, "shrinkB": 0}  # fmt: skip
    if before.column == after.column:
        start, end = (before.x, before.bottom), (after.x, after.top)
        ax.annotate("", end, start, arrowprops=look)
        return
    lane = after.x - BOX / 2 - 0.05  # up between the columns, then into the box from above
    low = -tall + 0.02 if before.bottom - GAP / 2 < -tall else before.bottom - GAP / 2
    ax.plot(
        [before.x, before.x, lane, lane, after.x, after.x],
        [before.bottom, low, low, ENTRY, ENTRY, ENTRY - 0.02],
        color=style.BLACK, lw=0.8, solid_joinstyle="round",
    )  # fmt: skip
    ax.annotate("", (after.x, after.top), (after.x, ENTRY - 0.02), arrowprops=look)


def _shortcut(ax: Axes, units: tuple[Unit, ...], places: dict[int, Place], join: int) -> None:
    """The arc from where the shortcut leaves the main path to its join, and what stands on it."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    side, on_it = min(units[join].inputs, key=lambda i: (i in places, i)), []
    while side not in places:
        on_it.append(side)
        (side,) = units[side].inputs
    start, end = places[side], places[join]
    x, y1, reach = end.x + BOX / 2, (end.top + end.bottom) / 2, 0.3
    # from the fork's side, or from where the main path comes into the column
    same = start.column == end.column
    first, y0 = (x, (start.top + start.bottom) / 2) if same else (end.x, ENTRY)
    corners = [(first, y0), (x, y0), (x + reach, y0), (x + reach, y1), (x, y1)]
    curve = Path(corners, [Path.MOVETO, Path.LINETO, *[Path.CURVE4] * 3])
    ax.add_patch(PathPatch(curve, fill=False, edgecolor=style.RED, linewidth=1.1))
    ax.annotate(
        "", (x, y1), (x + 0.05, y1),
        arrowprops={"arrowstyle": "-|>", "color": style.RED, "lw": 1.1, "mutation_scale": 6,
                    "shrinkA": 0, "shrinkB": 0},
    )  # fmt: skip
    text = "\n".join(op.replace(" /", "/") for i in reversed(on_it) for op in units[i].ops)
    if text:
        box = {"boxstyle": "round,pad=0.2", "facecolor": FILLS["conv"], "edgecolor": style.RED,
               "linewidth": 0.8}  # fmt: skip
        ax.text(x + reach * 0.75, (y0 + y1) / 2, text, ha="center", va="center",
                fontsize=SIZE - 0.7, bbox=box)  # fmt: skip
