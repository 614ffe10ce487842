"""Rows of small pictures with exact places: what the figures of notebooks 07 and 08 stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hw3lib.plotting import style
from hw3lib.text import Text, current_language

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def two_lines(zh: str, en: str) -> str:
    """The text in the current language; with both languages, one below the other."""
    if current_language() == "both" and zh != en:
        return f"{zh}\n{en}"
    return str(Text(zh, en))


def stacked(text: Text) -> str:
    """`two_lines` of a Text."""
    return two_lines(text.zh, text.en)


def mosaic(
    rows: int,
    columns: int,
    *,
    width: float = style.TEXT_WIDTH,
    left: float = 0.8,
    top: float = 0.42,
    bottom: float = 0.05,
    gap: float = 0.06,
    row_gap: float | None = None,
) -> tuple[Figure, np.ndarray]:
    """(rows, columns) square axes without ticks; all lengths in inches.

    left, top, bottom : margins for row labels, titles and a colour bar;  gap, row_gap : between
    """
    import matplotlib.pyplot as plt

    row_gap = gap if row_gap is None else row_gap
    cell = (width - left - gap * columns) / columns
    height = top + bottom + rows * (cell + row_gap)
    fig = plt.figure(figsize=(width, height), layout="none")
    axes = np.empty((rows, columns), dtype=object)
    for r, c in np.ndindex(rows, columns):
        x, y = left + c * (cell + gap), height - top - (r + 1) * cell - r * row_gap
        place = (x / width, y / height, cell / width, cell / height)
        axes[r, c] = bare(fig.add_axes(place))
    return fig, axes


def bare(ax: Axes) -> Axes:
    """No ticks, no frame."""
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def row_label(ax: Axes, text: str, *, size: float = 7.5) -> None:
    """A label left of the first picture of a row."""
    ax.set_ylabel(text, rotation=0, ha="right", va="center", fontsize=size, labelpad=4)


def colour_bar(
    fig: Figure, cmap: str, *, low: float, high: float, ticks: list[float], label: str, y: float
) -> None:
    """A slim horizontal bar, `y` inches above the bottom edge."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    height = fig.get_size_inches()[1]
    place = (0.3, y / height, 0.4, 0.08 / height)
    bar = fig.colorbar(
        ScalarMappable(Normalize(low, high), cmap),
        cax=fig.add_axes(place), orientation="horizontal", ticks=ticks,
    )  # fmt: skip
    bar.ax.tick_params(labelsize=7, length=2, pad=1.5)
    bar.outline.set_visible(False)
    bar.set_label(label, fontsize=7.5, labelpad=1.5)
