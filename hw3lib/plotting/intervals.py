"""Values with their intervals, a row each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from hw3lib.plotting import style
from hw3lib.plotting.style import house_style, label, look
from hw3lib.text import Text


@house_style()
def interval_rows(
    series: Mapping[Text | str, pd.DataFrame] | pd.DataFrame,
    *,
    title: Text | str = "",
    unit: str = "%",
    reference: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """One row a name, in it one marker with its interval a series.

    Parameters
    ----------
    series : name -> frame (or one frame alone) whose index names the rows, of value, low and high
        (NaN: no interval)
    title : of the axis
    unit : "%" for shares, "pp" for differences of shares, "" for anything else
    reference : place of a vertical line, e.g. 0 for no difference
    ax : where to draw; if None on a figure of its own, with a legend below
    """
    many = {"": series} if isinstance(series, pd.DataFrame) else series
    names = list(next(iter(many.values())).index)
    lines = max(label(name).count("\n") + 1 for name in names)
    height = max(0.15 * lines + 0.06, 0.14 * len(many) + 0.08) * len(names) + 0.6
    panel = style.subplots(height=height)[1] if ax is None else ax
    rows = np.arange(len(names), dtype=float)
    for i, (name, frame) in enumerate(many.items()):
        value, bounds = frame["value"].to_numpy(float), frame[["low", "high"]].to_numpy(float)
        panel.errorbar(
            value, rows + 0.26 * (i - (len(many) - 1) / 2), xerr=np.abs(bounds.T - value),
            capsize=2.5, label=label(name, " ") or None, **look(i) | {"ls": "", "ms": 5},
        )  # fmt: skip
    if reference is not None:
        panel.axvline(reference, color=style.BLACK, lw=0.8, ls=":" if reference else "-")
    style.ticks(panel.xaxis, unit)
    panel.set_yticks(rows, [label(name) for name in names])
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.set_xlabel(label(title, " ") + (" (pp)" if unit == "pp" else ""))
    panel.grid(axis="x", alpha=0.3)
    if ax is None:
        style.legend_below(panel.figure)
    return panel


def spread(values: Mapping[Text | str, np.ndarray]) -> pd.DataFrame:
    """For `interval_rows`: the median of each array, and where its middle 80 % lie."""
    rows = [np.nanquantile(v, [0.5, 0.1, 0.9]) for v in values.values()]
    return pd.DataFrame(rows, index=list(values), columns=["value", "low", "high"])
