"""Figures of the data themselves: class shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hw3lib.data.faces import CLASSES
from hw3lib.plotting import style
from hw3lib.plotting.mosaic import stacked
from hw3lib.text import Text, term

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOOKS = ((style.BLUE, ""), ("white", "////"), (style.ORANGE, ""), ("white", "...."))


def class_shares(counts: dict[Text, np.ndarray], *, order: np.ndarray | None = None) -> Figure:
    """Bars of each class's share, one bar a data set beside the other.

    counts : name -> (7,) pictures of each class;  order : classes from left to right, by number
    of pictures in the first data set where not given
    """
    from matplotlib.ticker import PercentFormatter

    first = np.asarray(next(iter(counts.values())))
    order = np.argsort(-first, kind="stable") if order is None else np.asarray(order)
    fig, ax = style.subplots(height=2.9)
    wide = 0.8 / len(counts)
    for i, (name, count) in enumerate(counts.items()):
        share = np.asarray(count)[order] / np.sum(count)
        face, hatch = LOOKS[i % len(LOOKS)]
        x = np.arange(len(order)) + wide * (i - (len(counts) - 1) / 2)
        bars = ax.bar(x, share, wide * 0.92, color=face, hatch=hatch, edgecolor=style.BLACK,
                      linewidth=0.6, label=str(name))  # fmt: skip
        ax.bar_label(bars, [f"{100 * s:.1f}" for s in share], fontsize=6.5, padding=1)
    ax.axhline(1 / len(CLASSES), color=style.BLACK, lw=0.8, ls=":")
    ax.annotate("1/7", (len(order) - 0.5, 1 / len(CLASSES)), fontsize=7, va="bottom", ha="right")
    ax.set_xticks(range(len(order)), [stacked(term(CLASSES[c])) for c in order])
    ax.tick_params(axis="x", length=0)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend(loc="upper right")
    return fig
