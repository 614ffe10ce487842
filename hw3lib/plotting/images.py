"""Images in rows and columns: faces, maps over them, kernels, patches.

Whatever is shown becomes a plain array first, (h, w) grey values or (h, w, 3) colours, so that one
function lays out all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from hw3lib.data.faces import CLASSES, Faces
from hw3lib.plotting import style
from hw3lib.plotting.publishing import CROWD, SMALL, mean_face, release
from hw3lib.plotting.style import POINTS, WIDTH, fit, house_style, label, text_width
from hw3lib.text import Text

GAP = 0.06  # between two cells, of a cell
LINE = 1.25 * POINTS / 72  # inches a line of text takes


class Scale(NamedTuple):
    """A colour bar below a grid."""

    name: Text | str
    colours: str = style.SIGNED
    low: float = -1
    high: float = 1


@house_style()
def image_grid(
    rows: Sequence[Sequence[np.ndarray | None]],
    *,
    titles: Sequence[Sequence[Text | str]] = (),
    columns: Sequence[Text | str] = (),
    labels: Sequence[Text | str] = (),
    scale: Scale | None = None,
    biggest: float = 0.75,
    width: float = WIDTH,
) -> Axes:
    """Images in cells of one size, all in one axes whose unit is a cell.

    Parameters
    ----------
    rows : arrays (h, w) of grey values in [0, 255] or (h, w, 3) uint8; None is a pale box
    titles : above each image, in rows as they are
    columns : above the first row, upright where they would not fit otherwise
    labels : left of each row; an empty one continues the row above
    scale : a colour bar
    biggest : inches that a cell takes at most
    width : inches that all of it takes at most
    """
    across = max(map(len, rows))
    left = max((text_width(label(name)) for name in labels), default=0) + 0.1
    x = np.arange(across) * (1 + GAP)
    cell = min(biggest, (width - left) / (x[-1] + 1 + GAP))
    names = [[fit(label(title), 1.02 * cell) for title in row] for row in titles]
    room = max((n.count("\n") + 1 for row in names for n in row if n), default=0) * LINE / cell
    y = np.arange(len(rows)) * (1 + GAP + room) + room
    heads = [fit(label(name), 1.02 * cell) for name in columns]
    if turned := max(map(text_width, heads), default=0) > 1.1 * cell:
        heads = [label(name, " ") for name in columns]
    height = cell * (y[-1] + 1 + GAP) + _head(heads, turned) + 0.5 * bool(scale) + 0.05
    taken = max(left + cell * (x[-1] + 1 + GAP), _bar_width(scale))
    ax = style.subplots(width=taken, height=height)[1]
    _draw(ax, rows, x, y)
    for top, row in zip(y, names, strict=False):
        for centre, name in zip(x + 0.5, row, strict=False):
            ax.text(centre, top - 0.03, name, ha="center", va="bottom", linespacing=1.0)
    _label(ax, x + 0.5, heads, y + 0.5, labels, turned=turned)
    if scale is not None:
        _bar(ax, scale)
    return ax


def rows_of(items: Sequence, count: int) -> list:
    """The items in rows of `count`, the last one perhaps shorter."""
    return [items[i : i + count] for i in range(0, len(items), count)]


def _head(heads: Sequence[str], turned: bool) -> float:
    if not heads:
        return 0.0
    lines = max(h.count("\n") + 1 for h in heads)
    return max(map(text_width, heads)) + 0.1 if turned else lines * LINE + 0.05


def _draw(
    ax: Axes, rows: Sequence[Sequence[np.ndarray | None]], x: np.ndarray, y: np.ndarray
) -> None:
    for top, images in zip(y, rows, strict=True):
        for left, image in zip(x, images, strict=False):
            if image is None:
                ax.add_patch(Rectangle((left, top), 1, 1, fc="0.95"))
                continue
            high, wide = np.array(image.shape[:2]) / max(image.shape[:2])
            at = left + (1 - wide) / 2, top + (1 - high) / 2
            ax.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest",
                      extent=(at[0], at[0] + wide, at[1] + high, at[1]))  # fmt: skip
            if min(image.shape[:2]) < SMALL:  # a white patch on white paper
                ax.add_patch(Rectangle(at, wide, high, fill=False, ec="0.6", lw=0.4))
    ax.set(xlim=(0, x[-1] + 1), ylim=(y[-1] + 1, 0), aspect="equal", anchor="SW")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, pad=2)


def _label(
    ax: Axes,
    x: np.ndarray,
    heads: Sequence[str],
    y: np.ndarray,
    labels: Sequence[Text | str],
    *,
    turned: bool,
) -> None:
    ax.xaxis.tick_top()
    ax.set_xticks(x[: len(heads)], heads, rotation=90 if turned else 0, linespacing=1.0)
    starts = [r for r, name in enumerate(labels) if r == 0 or str(name)]
    spans = np.split(y[: len(labels)], starts[1:])
    ax.set_yticks([s.mean() for s in spans if len(s)], [label(labels[r]) for r in starts])


def _bar_width(scale: Scale | None) -> float:
    return min(WIDTH, text_width(label(scale.name)) + 0.3) if scale else 0.0


def _bar(ax: Axes, scale: Scale) -> None:
    colours = ScalarMappable(Normalize(scale.low, scale.high), scale.colours)
    ticks = sorted({scale.low, min(max(0, scale.low), scale.high), scale.high})
    bar = ax.figure.colorbar(colours, ax=ax, orientation="horizontal", shrink=0.4, aspect=40,
                             pad=0.02, ticks=ticks, panchor=False)  # fmt: skip
    signed = "+" if scale.low < 0 else ""
    bar.ax.set_xticklabels([style.minus(f"{t:{signed * (t != 0)}.3g}") for t in ticks])
    bar.ax.tick_params(length=2, pad=1.5)
    bar.outline.set_visible(False)
    bar.set_label(label(scale.name), labelpad=1.5)


def signed(values: np.ndarray, top: float | None = None) -> np.ndarray:
    """(h, w) -> (h, w, 3) uint8: dark blue below zero, grey at it, yellow above.

    top : end of the scale on both sides (default: the largest absolute value)
    """
    top = top or float(np.abs(values).max()) or 1.0
    return _colours(values / top / 2 + 0.5, style.SIGNED)


def overlay(face: np.ndarray, values: np.ndarray, *, diverging: bool = True) -> np.ndarray:
    """(H, W, 3) uint8: a map over its face, transparent where the map is near zero.

    face : (H, W) grey values in [0, 255]
    values : (H, W) of a map, in units of what is drawn in the deepest colour
    diverging : dark blue to yellow on [-1, 1], else yellow to red on [0, 1]
    """
    share = np.clip(values, -1 if diverging else 0, 1)
    colours = (_colours(share / 2 + 0.5, style.SIGNED) if diverging
               else _colours(share, style.IMPORTANCE))  # fmt: skip
    # lighter than the dark end of the colours, darker than the light one
    grey = (np.asarray(face, float)[..., None] + 130) / 560 * 255
    cover = 0.85 * np.abs(share[..., None]) ** 0.7
    return ((1 - cover) * grey + cover * colours).round().astype(np.uint8)


def _colours(share: np.ndarray, name: str) -> np.ndarray:
    return mpl.colormaps[name](share, bytes=True)[..., :3]


def mean_faces(faces: Faces, *, samples: Faces | None = None) -> Axes:
    """The mean face of each class, and below it how it differs from the mean of all classes.

    Every class counts alike in the mean of all, so that large classes do not hide in it, and all
    are brought to the same brightness before they are compared. A class without images stays
    empty; the colours saturate at the 99.5th percentile.

    samples : drawn above, as many rows as the largest class of them has images
    """
    counts = np.bincount(faces.labels[faces.labels >= 0], minlength=len(CLASSES))
    means = {c: faces.images[faces.labels == c].mean(axis=0) for c in np.flatnonzero(counts)}
    shapes = {c: mean - mean.mean() for c, mean in means.items()}
    overall = np.mean(list(shapes.values()), axis=0)
    top = float(np.percentile([np.abs(s - overall) for s in shapes.values()], 99.5))
    rows = [[None] * len(CLASSES) for _ in range(2)]
    for c, mean in means.items():
        rows[0][c], drawn = mean_face(mean, counts[c]), signed(shapes[c] - overall, top)
        rows[1][c] = release(drawn) if counts[c] >= CROWD else drawn
    above = [] if samples is None else _columns_by_class(samples)
    name = Text("與全體平均之差（灰階值）", "difference from the mean of class means (grey levels)")
    labels = [Text("樣本", "samples"), *[""] * (len(above) - 1)] if above else []
    labels += [Text("平均臉", "mean face"), Text("差異", "difference")]
    scale = Scale(name, low=-top, high=top)
    return image_grid([*above, *rows], columns=CLASSES, labels=labels, scale=scale, biggest=0.62)


def _columns_by_class(faces: Faces) -> list[list[np.ndarray | None]]:
    """Rows of images, a column for each class."""
    columns = [faces.images[faces.labels == c] for c in range(len(CLASSES))]
    return [list(row) for row in zip_longest(*columns)]


def first_of_each_class(faces: Faces, count: int) -> Faces:
    """The first `count` faces of every class, class by class, copies of an image left out."""
    distinct = np.sort(np.unique(faces.group, return_index=True)[1])
    chosen = [distinct[faces.labels[distinct] == c][:count] for c in range(len(CLASSES))]
    return faces.subset(np.concatenate(chosen))
