"""Figures of notebooks 05 and 06: confusion, calibration, trade-offs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hw3lib.data.faces import CLASSES
from hw3lib.evaluation.metrics import row_shares, wilson
from hw3lib.plotting import style
from hw3lib.text import Text, term, tr

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MARKERS = "osD^vPX*"  # one a series, so that grey print still tells them apart
COLOURS = (style.BLUE, style.ORANGE, style.GREEN, style.RED, style.PURPLE, style.SKY)


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
    beneath: str = "count",
) -> Figure:
    """Row shares as colour and number; rows are true classes.

    matrix : (C, C) counts, or shares where beneath="";  rows, columns : axis labels
    beneath : what stands under each share: "count", its 95 % "interval" (Wilson), or ""
    """
    import seaborn as sns

    order = np.arange(len(matrix)) if order is None else np.asarray(order)
    matrix = np.asarray(matrix)[np.ix_(order, order)]
    shares = row_shares(matrix)
    cells = np.array([[f"{share:.0%}" for share in row] for row in np.nan_to_num(shares)], object)
    if beneath == "count":
        cells += np.array([[f"\n{int(m)}" for m in row] for row in matrix], object)
    elif beneath == "interval":
        cells += np.array([[_range(int(m), int(row.sum())) for m in row] for row in matrix], object)
    fig, ax = style.subplots(width=5.6, height=4.3)
    names = [class_label(c) for c in order]
    sns.heatmap(
        shares, annot=cells, fmt="", cmap=style.SEQUENTIAL, vmin=0, vmax=1, ax=ax,
        xticklabels=names, yticklabels=names, linewidths=0.6, square=False,
        annot_kws={"fontsize": 7.5, "linespacing": 1.25},
        cbar_kws={"label": tr("占該列的比例", "share of the row")},
    )  # fmt: skip
    ax.set(xlabel=columns or str(term("predicted class")), ylabel=rows or str(term("true class")))
    ax.tick_params(length=0, labelrotation=0)
    return fig


def _range(count: int, n: int) -> str:
    _, low, high = wilson(count, n)
    return f"\n{100 * low:.0f}–{100 * high:.0f}" if n else "\n–"


def interval_rows(
    names: Sequence[Text | str],
    series: dict[Text, pd.DataFrame],
    *,
    column: str = "share",
    label: Text,
) -> Figure:
    """One row a name, one dot with its interval a series.

    series : name -> frame with `column`, low, high and as many rows as names;  a frame without
    low and high is drawn without intervals
    """
    fig, ax = style.subplots(height=(0.17 + 0.1 * len(series)) * len(names) + 1)
    rows = np.arange(len(names))[::-1]
    for i, (name, frame) in enumerate(series.items()):
        y = rows + 0.26 * ((len(series) - 1) / 2 - i)
        value = frame[column].to_numpy()
        bars = None
        if "low" in frame:
            bars = np.abs(np.stack([value - frame["low"], frame["high"] - value]))
        face = COLOURS[i] if i % 2 == 0 else "white"
        ax.errorbar(value, y, xerr=bars, fmt=MARKERS[i], color=COLOURS[i], mfc=face, ms=5,
                    capsize=2, lw=1.2, label=str(name))  # fmt: skip
    ax.set_yticks(rows, [str(name) for name in names])
    percent(ax.xaxis)
    ax.set_xlim(left=0)
    ax.set_xlabel(str(label))
    ax.grid(axis="x", alpha=0.3)
    if len(series) > 1:
        fig.legend(loc="outside upper center", ncols=2 if len(series) == 4 else 3)
    return fig


def reliability_diagram(series: dict[Text, pd.DataFrame]) -> Figure:
    """Accuracy over confidence with intervals, the counts below; frames of metrics.reliability."""
    fig, (top, low) = style.subplots(
        2, 1, width=5.0, height=4.2, sharex=True, gridspec_kw={"height_ratios": [3, 1]}
    )
    top.plot([0, 1], [0, 1], color=style.BLACK, lw=0.8, ls=":")
    for i, (name, frame) in enumerate(series.items()):
        colour = COLOURS[i]
        x, y = frame["confidence"], frame["accuracy"]
        bars = np.abs(np.stack([y - frame["low"], frame["high"] - y]))
        top.errorbar(x, y, yerr=bars, fmt=MARKERS[i] + "-", color=colour, ms=4, lw=1, capsize=2,
                     mfc=colour if i % 2 == 0 else "white", label=str(name))  # fmt: skip
        width = float(frame["right"].iloc[0] - frame["left"].iloc[0])
        edges = np.linspace(0, 1, round(1 / width) + 1)
        counts = np.histogram(frame["left"] + width / 2, edges, weights=frame["n"])[0]
        low.stairs(counts, edges, color=colour, lw=1.3, ls=("-", "--", ":")[i])
    for axis in (top.xaxis, top.yaxis):
        percent(axis)
    top.set_ylabel(str(term("accuracy")))
    top.legend(loc="upper left")
    low.set_ylabel(tr("張數", "pictures"))
    low.set_xlabel(str(term("confidence")))
    return fig


def trade_off(
    curves: dict[Text, pd.DataFrame],
    points: dict[Text, tuple[float, float]],
    *,
    ticks: Sequence[float] = (0, 0.5, 1, 1.5),
) -> Figure:
    """Balanced accuracy over accuracy: a curve for each sweep of tau, a marker for each rule.

    curves : name -> frame with tau, accuracy, balanced;  points : name -> (accuracy, balanced);
    ticks : values of tau written beside the first curve
    """
    fig, ax = style.subplots(height=4.6)
    for i, (name, frame) in enumerate(curves.items()):
        ax.plot(frame["accuracy"], frame["balanced"], color=(style.BLACK, "0.6")[i],
                ls=("-", "--")[i], lw=1.2, label=str(name))  # fmt: skip
    first = next(iter(curves.values()))
    for tau in ticks:
        row = first.iloc[(first["tau"] - tau).abs().argmin()]
        ax.plot(row["accuracy"], row["balanced"], ".", color=style.BLACK, ms=4)
        ax.annotate(rf"$\tau={tau:g}$", (row["accuracy"], row["balanced"]), xytext=(6, -4),
                    textcoords="offset points", fontsize=7)  # fmt: skip
    for i, (name, (x, y)) in enumerate(points.items()):
        ax.plot(x, y, MARKERS[i % len(MARKERS)], color=COLOURS[i % len(COLOURS)], ms=7,
                mec=style.BLACK, mew=0.5, ls="", label=str(name))  # fmt: skip
    for axis in (ax.xaxis, ax.yaxis):
        percent(axis, 1)
    ax.set(xlabel=str(term("accuracy")), ylabel=str(term("balanced accuracy")))
    ax.grid(alpha=0.3)
    fig.legend(loc="outside lower center", ncols=2)
    return fig


def percent(axis, decimals: int = 0) -> None:
    """Ticks of an axis of shares as percentages."""
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1.0, decimals=decimals))
