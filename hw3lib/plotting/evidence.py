"""Figures of notebooks 05 and 06: confusion, calibration, trade-offs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hw3lib.bilingual import Text, term, tr
from hw3lib.data.faces import CLASSES
from hw3lib.metrics import row_shares
from hw3lib.plotting import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MARKERS = "osD^vPX*"  # one a series, so that grey print still tells them apart


def class_label(index: int, *, separator: str = "\n") -> str:
    """The class's name; with both languages, two names joined by `separator`."""
    return str(term(CLASSES[index])).replace(" ", separator)


def pair_name(a: int, b: int) -> Text:
    """Two classes as one name: "Sad–Neutral"."""
    first, second = term(CLASSES[a]), term(CLASSES[b])
    return Text(f"{first.zh}－{second.zh}", f"{first.en}–{second.en}")


def class_order(matrix: np.ndarray) -> np.ndarray:
    """(C, C) confusion -> (C,) classes so ordered that confused ones stand side by side.

    Optimal leaf ordering (Bar-Joseph et al. 2001, scipy) of 1 - symmetric confusion share; the
    end that holds the best recognised class comes first.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    shares = np.nan_to_num(row_shares(matrix))
    distance = 1 - (shares + shares.T) / 2
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), "average", optimal_ordering=True)
    order = leaves_list(tree)
    recall = np.diag(shares)[order]
    return order if recall[: len(order) // 2].max() >= recall.max() else order[::-1]


def confusion_heatmap(
    matrix: np.ndarray,
    *,
    order: Sequence[int] | None = None,
    rows: str = "",
    columns: str = "",
    counts: bool = True,
) -> Figure:
    """Row shares as colour and number, the count beneath each; rows are true classes.

    matrix : (C, C) counts, or shares where counts=False;  rows, columns : axis labels
    """
    import seaborn as sns

    order = np.arange(len(matrix)) if order is None else np.asarray(order)
    matrix = np.asarray(matrix)[np.ix_(order, order)]
    shares = row_shares(matrix)
    cells = [
        [f"{s:.0%}" + (f"\n{int(m)}" if counts else "") for s, m in zip(*pair, strict=True)]
        for pair in zip(np.nan_to_num(shares), matrix, strict=True)
    ]
    fig, ax = style.subplots(width=5.6, height=4.3)
    names = [class_label(c) for c in order]
    sns.heatmap(
        shares, annot=np.array(cells), fmt="", cmap=style.SEQUENTIAL, vmin=0, vmax=1, ax=ax,
        xticklabels=names, yticklabels=names, linewidths=0.6, square=False,
        annot_kws={"fontsize": 7.5, "linespacing": 1.25},
        cbar_kws={"label": tr("占該列的比例", "share of the row")},
    )  # fmt: skip
    ax.set(xlabel=columns or str(term("predicted class")), ylabel=rows or str(term("true class")))
    ax.tick_params(length=0, labelrotation=0)
    return fig


def interval_rows(
    names: Sequence[Text],
    series: dict[Text, pd.DataFrame],
    *,
    column: str = "share",
    label: Text,
) -> Figure:
    """One row a name, one dot with its interval a series (frames: `column`, low, high)."""
    fig, ax = style.subplots(height=0.34 * len(names) + 0.9)
    colours = (style.BLUE, style.ORANGE, style.GREEN, style.PURPLE)
    rows = np.arange(len(names))[::-1]
    for i, (name, frame) in enumerate(series.items()):
        y = rows + 0.26 * ((len(series) - 1) / 2 - i)
        value = frame[column].to_numpy()
        bars = np.abs(np.stack([value - frame["low"], frame["high"] - value]))
        face = colours[i] if i % 2 == 0 else "white"
        ax.errorbar(value, y, xerr=bars, fmt=MARKERS[i], color=colours[i], mfc=face, ms=5,
                    capsize=2, lw=1.2, label=str(name))  # fmt: skip
    ax.set_yticks(rows, [str(name) for name in names])
    _percent(ax.xaxis)
    ax.set_xlim(left=0)
    ax.set_xlabel(str(label))
    ax.grid(axis="x", alpha=0.3)
    ax.legend(loc="best")
    return fig


def score_against_share(
    share: np.ndarray,
    table: pd.DataFrame,
    *,
    others: dict[Text, np.ndarray] | None = None,
) -> Figure:
    """Recall of each class over its share of the training pictures (log axis).

    share : (C,) shares;  table : as metrics.per_class;  others : name -> (C,) recalls drawn beside
    """
    fig, ax = style.subplots(width=5.6, height=3.3)
    bars = np.abs(np.stack([table["recall"] - table["low"], table["high"] - table["recall"]]))
    ax.errorbar(share, table["recall"], yerr=bars, fmt="o", color=style.BLUE, capsize=2,
                label=tr("最佳網路", "best network"))  # fmt: skip
    for i, (name, recalls) in enumerate((others or {}).items()):
        colour = (style.ORANGE, style.GREEN)[i % 2]
        ax.plot(share, recalls, MARKERS[i + 1], color=colour, mfc="white", ms=6, label=str(name))
    for c, (x, y) in enumerate(zip(share, table["recall"], strict=True)):
        ax.annotate(class_label(c, separator=" "), (x, y), xytext=(5, 3),
                    textcoords="offset points", fontsize=7.5)  # fmt: skip
    ax.set_xscale("log")
    ax.set_xlim(share.min() / 1.4, share.max() * 1.9)
    ticks = [t for t in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
             if share.min() / 1.4 < t < share.max() * 1.9]  # fmt: skip
    ax.set_xticks(ticks, [f"{t:.1%}" if t < 0.01 else f"{t:.0%}" for t in ticks])
    ax.minorticks_off()
    _percent(ax.yaxis)
    ax.set_ylim(0, 1.03)
    ax.set_xlabel(tr("占訓練影像的比例（對數軸）", "share of the training pictures (log axis)"))
    ax.set_ylabel(str(term("recall")))
    ax.grid(alpha=0.3)
    if others:
        ax.legend(loc="lower right")
    return fig


def reliability_diagram(series: dict[Text, pd.DataFrame]) -> Figure:
    """Accuracy over confidence with intervals, the counts below; frames of metrics.reliability."""
    fig, (top, low) = style.subplots(
        2, 1, width=5.0, height=4.2, sharex=True, gridspec_kw={"height_ratios": [3, 1]}
    )
    top.plot([0, 1], [0, 1], color=style.BLACK, lw=0.8, ls=":")
    for i, (name, frame) in enumerate(series.items()):
        colour = (style.BLUE, style.ORANGE, style.GREEN)[i]
        x, y = frame["confidence"], frame["accuracy"]
        bars = np.abs(np.stack([y - frame["low"], frame["high"] - y]))
        top.errorbar(x, y, yerr=bars, fmt=MARKERS[i] + "-", color=colour, ms=4, lw=1, capsize=2,
                     mfc=colour if i % 2 == 0 else "white", label=str(name))  # fmt: skip
        edges = np.append(frame["left"], frame["right"].iloc[-1])
        low.stairs(frame["n"], edges, color=colour, lw=1.3, ls=("-", "--", ":")[i])
    for axis in (top.xaxis, top.yaxis):
        _percent(axis)
    top.set_ylabel(str(term("accuracy")))
    top.legend(loc="upper left")
    low.set_ylabel(tr("張數", "pictures"))
    low.set_xlabel(str(term("confidence")))
    return fig


def pair_scatter(
    x: np.ndarray,
    y: np.ndarray,
    names: Sequence[Text],
    *,
    xlabel: Text,
    ylabel: Text,
    label: int = 8,
) -> Figure:
    """One dot a pair of classes; the `label` pairs with the largest x + y carry their names."""
    fig, ax = style.subplots(width=5.4, height=3.6)
    ax.plot(x, y, "o", color=style.BLUE, ms=5)
    limit = 1.12 * max(np.max(x), np.max(y))
    ax.plot([0, limit], [0, limit], color=style.BLACK, lw=0.8, ls=":")
    for i in np.argsort(-(x + y), kind="stable")[:label]:
        ax.annotate(
            str(names[i]), (x[i], y[i]), xytext=(4, 2), textcoords="offset points", fontsize=7
        )
    for axis in (ax.xaxis, ax.yaxis):
        _percent(axis)
    ax.set(xlim=(0, limit * 1.15), ylim=(0, limit), xlabel=str(xlabel), ylabel=str(ylabel))
    return fig


def _percent(axis) -> None:
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
