"""Values with their intervals, a row each; shares as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from hw3lib.plotting import style
from hw3lib.plotting.style import house_style, label, look
from hw3lib.text import Text

HATCHES = ("", "////", "....", "xxxx")


@house_style()
def interval_rows(
    series: Mapping[Text | str, pd.DataFrame | pd.Series] | pd.DataFrame,
    *,
    column: str = "value",
    title: Text | str = "",
    unit: str = "%",
    reference: float | None = None,
    dots: Mapping[Text | str, Sequence[float]] | None = None,
    log: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """One row a name, in it one marker with its interval a series.

    Parameters
    ----------
    series : name -> frame (or one frame alone) whose index names the rows, with `column` and,
        where there are intervals, low and high (NaN: none), or the values alone
    title : of the axis
    unit : "%" for shares, "pp" for differences of shares, "" for anything else
    reference : place of a vertical line, e.g. 0 for no difference
    dots : row -> single values, drawn small and hollow above the row, e.g. each seed's
    log : a logarithmic axis
    ax : where to draw; if None on a figure of its own, with a legend below
    """
    many = {"": series} if isinstance(series, pd.DataFrame) else series
    names = list(next(iter(many.values())).index)
    lines = max(label(name).count("\n") + 1 for name in names)
    height = max(0.15 * lines + 0.06, 0.14 * (len(many) + bool(dots)) + 0.08) * len(names) + 0.6
    panel = style.subplots(height=height)[1] if ax is None else ax
    rows = np.arange(len(names), dtype=float)
    if dots:
        seed = label(Text("一個種子", "one seed"), " ")
        for row, name in zip(rows, names, strict=True):
            panel.plot(dots[name], np.full(len(dots[name]), row - 0.22), "o", ms=4, mfc="white",
                       color=style.BLUE, label=seed)  # fmt: skip
    for i, (name, frame) in enumerate(many.items()):
        shift = 0.14 if dots else 0.26 * (i - (len(many) - 1) / 2)
        _markers(panel, frame, column, rows + shift, i, label(name, " "))
    _axis(panel, unit, log=log, reference=reference)
    panel.set_yticks(rows, [label(name) for name in names])
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.set_xlabel(label(title, " "))
    panel.grid(axis="x", alpha=0.3)
    if ax is None:
        style.legend_below(panel.figure)
    return panel


def _markers(
    ax: Axes, values: pd.DataFrame | pd.Series, column: str, y: np.ndarray, i: int, name: str
) -> None:
    frame = values.to_frame(column) if isinstance(values, pd.Series) else values
    value = frame[column].to_numpy(float)
    bars = None
    if "low" in frame:
        bars = np.abs(frame[["low", "high"]].to_numpy(float).T - value)
    ax.errorbar(value, y, xerr=bars, capsize=2.5, label=name or None,
                **look(i) | {"ls": "", "ms": 5})  # fmt: skip


def _axis(ax: Axes, unit: str, *, log: bool, reference: float | None) -> None:
    if reference is not None:
        ax.axvline(reference, color=style.BLACK, lw=0.8, ls=":" if reference else "-")
    if log:
        ax.set_xscale("log")
        ax.minorticks_off()
        ax.xaxis.set_major_formatter("{x:g}")
    style.ticks(ax.xaxis, unit)


def spread(values: Mapping[Text | str, np.ndarray], *, middle: float = 0.8) -> pd.DataFrame:
    """For `interval_rows`: the median of each array, and where its middle 80 % lie."""
    shares = [0.5, 0.5 - middle / 2, 0.5 + middle / 2]
    rows = [np.nanquantile(v, shares) for v in values.values()]
    return pd.DataFrame(rows, index=list(values), columns=["value", "low", "high"])


@house_style()
def bars(
    shares: pd.DataFrame,
    *,
    reference: tuple[float, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Shares as bars: a group for each row of the frame, in it a bar for each column.

    reference : height of a dotted line and what is written on it
    """
    panel = style.subplots(height=2.3)[1] if ax is None else ax
    wide = 0.8 / shares.shape[1]
    for i, name in enumerate(shares.columns):
        x = np.arange(len(shares)) + wide * (i - (shares.shape[1] - 1) / 2)
        face = {"color": "white", "hatch": HATCHES[i % len(HATCHES)]} if i else {"color": "#9CC4DE"}
        drawn = panel.bar(x, shares[name], wide * 0.92, edgecolor=style.BLACK, linewidth=0.6,
                          label=label(name, " "), **face)  # fmt: skip
        panel.bar_label(drawn, [f"{100 * s:.1f}" for s in shares[name]], padding=1)
    if reference is not None:
        panel.axhline(reference[0], color=style.BLACK, lw=0.8, ls=":")
        panel.annotate(reference[1], (1, reference[0]), xycoords=("axes fraction", "data"),
                       xytext=(3, 0), textcoords="offset points", va="center")  # fmt: skip
    panel.set_xticks(range(len(shares)), [label(name) for name in shares.index])
    panel.tick_params(axis="x", length=0)
    style.ticks(panel.yaxis, "%")
    if ax is None and shares.shape[1] > 1:
        style.legend_below(panel.figure)
    return panel
