"""Figures of arms over their seeds: every seed a dot, the interval of the mean beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hw3lib.evaluation.statistics import over_seeds
from hw3lib.plotting import style
from hw3lib.plotting.evidence import COLOURS, MARKERS, percent
from hw3lib.plotting.mosaic import stacked
from hw3lib.text import Text, term, tr

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def seed_rows(
    scores: Mapping[Text, Sequence[float]],
    together: Mapping[Text, float] | None = None,
    *,
    label: Text,
) -> Figure:
    """One row an arm: its seeds as dots, their mean with its t interval, a diamond: the ensemble.

    scores : arm -> score of each seed;  together : arm -> score of the ensemble of these seeds
    """
    fig, ax = style.subplots(height=0.42 * len(scores) + 1)
    rows = np.arange(len(scores))[::-1]
    for row, (arm, values) in zip(rows, scores.items(), strict=True):
        mean, low, high = over_seeds(values)
        ax.plot(values, np.full(len(values), row + 0.14), "o", ms=4, mfc="white",
                color=style.BLUE, label=tr("一個種子", "one seed"))  # fmt: skip
        bars = None if np.isnan(low) else [[mean - low], [high - mean]]
        ax.errorbar([mean], [row - 0.14], xerr=bars, fmt="s", ms=4, capsize=3, lw=1.3,
                    color=style.BLACK,
                    label=tr("平均與 95% 信賴區間", "mean, 95% interval"))  # fmt: skip
        if together and arm in together:
            ax.plot(together[arm], row + 0.14, "D", ms=5, color=style.ORANGE, mec=style.BLACK,
                    mew=0.5, label=tr("集成", "ensemble"))  # fmt: skip
    ax.set_yticks(rows, [stacked(arm) for arm in scores])
    ax.set_ylim(-0.6, len(scores) - 0.4)
    spread = np.concatenate([np.asarray(v, float) for v in scores.values()])
    spread = np.append(spread, list((together or {}).values()))
    margin = max(0.02, 0.35 * np.ptp(spread))  # with two seeds the interval may leave the figure
    ax.set_xlim(max(0, spread.min() - margin), min(1, spread.max() + margin))
    percent(ax.xaxis)
    ax.set_xlabel(str(label))
    ax.grid(axis="x", alpha=0.3)
    handles, names = ax.get_legend_handles_labels()
    unique = dict(zip(names, handles, strict=True))
    fig.legend(unique.values(), unique, loc="outside upper center", ncols=3)
    return fig


def gain_rows(names: Sequence[Text], frame: pd.DataFrame, *, label: Text) -> Figure:
    """One row a gain with its interval, about a line at 0.

    frame : value, low, high as shares, one row a name; NaN bounds are left out
    """
    fig, ax = style.subplots(height=0.3 * len(names) + 0.8)
    rows = np.arange(len(names))[::-1]
    value = 100 * frame["value"].to_numpy()
    bars = np.abs(100 * frame[["low", "high"]].to_numpy().T - value)
    ax.axvline(0, color=style.BLACK, lw=0.8)
    ax.errorbar(value, rows, xerr=np.nan_to_num(bars), fmt="s", ms=4, capsize=3, lw=1.3,
                color=style.BLUE)  # fmt: skip
    reach = max(3.0, 2.5 * np.abs(value).max())
    ax.set_xlim(-reach, reach)
    ax.set_yticks(rows, [stacked(name) for name in names])
    ax.set_ylim(-0.6, len(names) - 0.4)
    ax.set_xlabel(str(label))
    ax.grid(axis="x", alpha=0.3)
    return fig


def growth_curves(series: Mapping[Text, pd.DataFrame]) -> Figure:
    """Accuracy by ensemble size, a line each; the band is the range over all choices of members.

    series : name -> frame of statistics.ensemble_growth (size, mean, low, high)
    """
    fig, ax = style.subplots(width=5.4, height=2.9)
    for i, (name, frame) in enumerate(series.items()):
        ax.fill_between(frame["size"], frame["low"], frame["high"], color=COLOURS[i], alpha=0.15)
        ax.plot(frame["size"], frame["mean"], MARKERS[i] + ("-", "--", "-.", ":")[i % 4], ms=4,
                lw=1.2, color=COLOURS[i], mfc="white" if i % 2 else COLOURS[i],
                label=str(name))  # fmt: skip
    ax.xaxis.get_major_locator().set_params(integer=True)
    percent(ax.yaxis, 1)
    ax.set(xlabel=tr("成員數", "members"), ylabel=str(term("accuracy")))
    ax.grid(axis="y", alpha=0.3)
    fig.legend(loc="outside upper center", ncols=2)
    return fig


def epoch_curves(
    series: Mapping[Text, Sequence[pd.DataFrame]], *, column: str, label: Text
) -> Figure:
    """A share over the epochs: a line an arm (mean of its seeds), a band from lowest to highest.

    series : arm -> Run.history of each seed;  column : of the histories
    """
    fig, ax = style.subplots(width=5.4, height=3.0)
    for i, (arm, histories) in enumerate(series.items()):
        values = np.array([frame[column] for frame in histories])  # (seeds, epochs)
        epochs = histories[0]["epoch"]
        ax.fill_between(epochs, values.min(0), values.max(0), color=COLOURS[i], alpha=0.15, lw=0)
        ax.plot(epochs, values.mean(0), MARKERS[i] + ("-", "--", "-.", ":")[i % 4], ms=3.5, lw=1.2,
                color=COLOURS[i], mfc="white" if i % 2 else COLOURS[i], label=str(arm))  # fmt: skip
    ax.xaxis.get_major_locator().set_params(integer=True)
    percent(ax.yaxis)
    ax.set(xlabel=str(term("epoch")), ylabel=str(label))
    ax.grid(axis="y", alpha=0.3)
    fig.legend(loc="outside upper center", ncols=2)
    return fig
