"""Figures of notebook 07: what the checks of the attributions found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from hw3lib.plotting import style
from hw3lib.plotting.mosaic import stacked, two_lines
from hw3lib.saliency import known
from hw3lib.text import Text, tr

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS = {  # method -> colour, marker
    "gradient": (style.BLUE, "o"),
    "smoothgrad": (style.SKY, "s"),
    "integrated_gradients": (style.GREEN, "D"),
    "grad_cam": (style.ORANGE, "^"),
    "guided_backprop": (style.RED, "X"),
    "edges_alone": (style.PURPLE, "v"),
}


def cascade_curves(summary: pd.DataFrame, *, limit: float) -> Figure:
    """Similarity to the trained network's maps as layers are re-drawn, one line a method.

    summary : columns method, redrawn, measure ("spearman" or "ssim"), value, low, high
    """
    fig, axes = style.subplots(1, 2, height=2.8, sharey=True)
    titles = {"spearman": Text("Spearman 等級相關", "Spearman rank correlation"),
              "ssim": Text("結構相似度 SSIM", "structural similarity SSIM")}  # fmt: skip
    for ax, (measure, title) in zip(axes, titles.items(), strict=True):
        for name, rows in summary[summary["measure"] == measure].groupby("method", sort=False):
            colour, marker = LOOKS[name]
            x = np.concatenate([[0], rows["redrawn"]])
            y, low, high = (np.concatenate([[1], rows[c]]) for c in ("value", "low", "high"))
            ax.plot(x, y, color=colour, marker=marker, markersize=4, linewidth=1.3,
                    label=str(known(name).title))  # fmt: skip
            ax.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)
        ax.axhline(limit, color=style.BLACK, linewidth=0.7, linestyle=":")
        ax.set(title=stacked(title), xlim=(-0.02, 1.02), ylim=(-0.3, 1.04))
        ax.xaxis.set_major_formatter("{x:.0%}")
        ax.set_xlabel(two_lines("重抽權重的層（由最後一層起）", "layers drawn anew, from the last"))
    axes[0].set_ylabel(two_lines("與原圖的相似度", "similarity to the map"))
    _legend_below(fig, axes[0])
    return fig


def order_curves(
    deleted: Mapping[str, np.ndarray], inserted: Mapping[str, np.ndarray], *, random: str = "random"
) -> Figure:
    """Mean probability of the explained class as blocks are taken away, and as they are put back.

    deleted, inserted : method (or `random`) -> (N, steps + 1)
    """
    fig, axes = style.subplots(1, 2, height=2.9, sharey=True)
    titles = (Text("抹去，最重要的先", "taken away, most important first"),
              Text("放回，最重要的先", "put back, most important first"))  # fmt: skip
    for ax, title, curves in zip(axes, titles, (deleted, inserted), strict=True):
        for name, values in curves.items():
            x, y = np.linspace(0, 1, values.shape[1]), values.mean(0)
            if name == random:
                ax.plot(x, y, color=style.BLACK, linestyle="--", linewidth=1.6,
                        label=tr("隨機順序", "random order"))  # fmt: skip
                continue
            colour, marker = LOOKS[name]
            ax.plot(x, y, color=colour, marker=marker, markersize=4, linewidth=1.3,
                    label=str(known(name).title))  # fmt: skip
        ax.set(title=stacked(title), xlim=(0, 1), ylim=(0, None))
        ax.xaxis.set_major_formatter("{x:.0%}")
        ax.set_xlabel(two_lines("面積", "area"))
    axes[0].set_ylabel(two_lines("原預測類別的機率", "probability of the class"))
    _legend_below(fig, axes[0])
    return fig


def _legend_below(fig: Figure, ax: Axes) -> None:
    handles, labels = ax.get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=7.5)
