"""Lines: anything over anything with its band, training histories, calibration, trade-offs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hw3lib.data.faces import CLASSES
from hw3lib.plotting import style
from hw3lib.plotting.style import house_style, label, look
from hw3lib.text import Text

MARKS = 12  # markers along a curve
BASELINE = {"color": style.BLACK, "ls": "--", "lw": 1.6}
NATS = Text("損失（nats）", "loss (nats)")
RUNAWAY = 4 * np.log(len(CLASSES))  # nats: a loss four times that of a guess would flatten all


@house_style()
def curves(
    series: Mapping[Text | str, pd.DataFrame | pd.Series],
    *,
    x: Text | str = "",
    y: Text | str = "",
    x_unit: str = "",
    y_unit: str = "",
    baseline: Text | str | None = None,
    reference: float | None = None,
    height: float = 2.5,
    ax: Axes | None = None,
) -> Axes:
    """One line a series, with a band where it has one.

    Parameters
    ----------
    series : name -> values by x (the index), or a frame of value, low, high
    x, y : labels of the axes
    x_unit, y_unit : "%" for shares, "" for anything else
    baseline : the series drawn as a plain dashed black line
    reference : height of a dotted line
    ax : where to draw; if None on a figure of its own, `height` inches and a legend below
    """
    panel = style.subplots(height=height)[1] if ax is None else ax
    for i, (name, values) in enumerate(series.items()):
        frame = values.to_frame("value") if isinstance(values, pd.Series) else values
        mark = BASELINE if name == baseline else look(i)
        panel.plot(frame.index, frame["value"], label=label(name, " "),
                   markevery=max(1, len(frame) // MARKS), **mark)  # fmt: skip
        if "low" in frame:
            panel.fill_between(
                frame.index, frame["low"], frame["high"], color=mark["color"], alpha=0.15, lw=0
            )
        if pd.api.types.is_integer_dtype(frame.index):
            style.ticks(panel.xaxis, "1")
    if reference is not None:
        panel.axhline(reference, color=style.BLACK, lw=0.8, ls=":")
    style.ticks(panel.xaxis, x_unit)
    style.ticks(panel.yaxis, y_unit)
    panel.set(xlabel=label(x), ylabel=label(y))
    panel.grid(axis="y", alpha=0.3)
    if ax is None:
        style.legend_below(panel.figure)
    return panel


@house_style()
def history(frames: Mapping[Text | str, pd.DataFrame]) -> Figure:
    """Accuracy and loss over the epochs: side by side for one Run, above each other for several.

    frames : name -> Run.history (epoch, train_/validation_ accuracy and loss in nats); a dotted
        line marks the epoch of lowest validation loss. The loss axis becomes logarithmic where a
        loss runs away, so that no point leaves the frame.
    """
    several = len(frames) > 1
    shape = {"rows": 2, "columns": len(frames), "height": 3.2, "sharex": "col", "sharey": "row"}
    fig, axes = style.subplots(**shape if several else {"columns": 2, "height": 2.1})
    panels = axes.reshape(2, len(frames))
    for column, (name, frame) in zip(panels.T, frames.items(), strict=True):
        for ax, quantity in zip(column, ("accuracy", "loss"), strict=True):
            _both_sets(ax, frame, quantity)
        for ax in column[-1:] if several else column:
            ax.set_xlabel(label("epoch", " "))
        if several:
            column[0].set_title(style.fit(label(name), 0.8 * style.WIDTH / len(frames)))
    for ax, quantity in zip(panels[:, 0], ("accuracy", NATS), strict=True):
        ax.set_ylabel(label(quantity)) if several else ax.set_title(label(quantity, " "))
    fig.align_ylabels()
    style.ticks(panels[0, 0].yaxis, "%")
    if max(f.filter(like="_loss").max().max() for f in frames.values()) > RUNAWAY:
        panels[1, 0].set_yscale("log")
    style.legend_below(fig)
    return fig


def _both_sets(ax: Axes, frame: pd.DataFrame, quantity: str) -> None:
    every = max(1, len(frame) // MARKS)
    sets = {"training": ("train", look(0)), "validation": ("validation", look(1) | {"ls": "--"})}
    for name, (prefix, mark) in sets.items():
        ax.plot(frame["epoch"], frame[f"{prefix}_{quantity}"], markevery=every,
                label=label(name, " "), **mark | {"ms": 3.5})  # fmt: skip
    loss = frame["validation_loss"]
    if loss.notna().any():
        lowest = Text("驗證損失最低", "lowest validation loss")
        ax.axvline(frame["epoch"][loss.idxmin()], color=style.BLACK, lw=0.9, ls=":",
                   label=label(lowest, " "))  # fmt: skip
    ax.grid(axis="y", alpha=0.3)
    ax.margins(x=0.08)
    style.ticks(ax.xaxis, "1")


@house_style()
def reliability(series: Mapping[Text | str, pd.DataFrame]) -> Figure:
    """Accuracy over confidence with intervals, the images of each bin below.

    series : name -> frame of left, right (edges), n, confidence, accuracy, low, high
    """
    fig, (top, low) = style.subplots(2, 1, width=4.6, height=3.4, sharex=True,
                                     height_ratios=[3, 1])  # fmt: skip
    top.plot([0, 1], [0, 1], color=style.BLACK, lw=0.8, ls=":")
    for i, (name, frame) in enumerate(series.items()):
        bars = np.abs(frame[["low", "high"]].to_numpy().T - frame["accuracy"].to_numpy())
        top.errorbar(frame["confidence"], frame["accuracy"], yerr=bars, capsize=2,
                     label=label(name, " "), **look(i))  # fmt: skip
        width = float(frame["right"].iloc[0] - frame["left"].iloc[0])
        edges = np.linspace(0, 1, round(1 / width) + 1)
        counts = np.histogram(frame["left"] + width / 2, edges, weights=frame["n"])[0]
        low.stairs(counts, edges, color=look(i)["color"], lw=1.3, ls=look(i)["ls"])
    for axis in (low.xaxis, top.yaxis):
        style.ticks(axis, "%")
    top.set_ylabel(label("accuracy"))
    low.set(xlabel=label("confidence", " "), ylabel=label(Text("影像數", "images")))
    style.legend_below(fig)
    return fig


@house_style()
def trade_off(sweep: pd.DataFrame, rules: Mapping[Text | str, tuple[float, float]]) -> Axes:
    """Balanced accuracy over accuracy: a curve over tau, a marker for each rule.

    Rules at one place stand around each other, the first innermost, so that none is hidden. The
    panel shows the surroundings of the rules, and of the curve the part that lies there.

    sweep : tau, accuracy, balanced, of logit adjustment
    rules : name -> (accuracy, balanced accuracy)
    """
    panel = style.subplots(height=2.6)[1]
    places = np.array(list(rules.values()))
    low, high = places.min(axis=0), places.max(axis=0)
    margin = np.maximum(0.4 * (high - low), 0.01)
    panel.set_xlim(low[0] - margin[0], high[0] + margin[0])
    panel.set_ylim(low[1] - margin[1], high[1] + margin[1])
    curve = sweep[["accuracy", "balanced"]]
    curve = curve.where(((curve >= low - margin) & (curve <= high + margin)).all(axis=1))
    panel.plot(curve["accuracy"], curve["balanced"], color="0.35", lw=1.2)
    _taus(panel, sweep)
    near = 0.012 * (high - low + 2 * margin)
    for i, (name, place) in enumerate(rules.items()):
        below = int((np.abs(places[:i] - place) <= near).all(axis=1).sum())
        marker, colour = look(i)["marker"], look(i)["color"]
        panel.plot(*place, ls="", marker=marker, ms=6 + 5 * below,
                   mfc="none" if below else colour, mec=colour, mew=1.2,
                   zorder=4 - 0.1 * below, label=label(name, " "))  # fmt: skip
    for axis in (panel.xaxis, panel.yaxis):
        style.ticks(axis, "%")
    panel.set(xlabel=label("accuracy", " "), ylabel=label("balanced accuracy", " "))
    panel.grid(alpha=0.3)
    style.legend_below(panel.figure)
    return panel


def _taus(ax: Axes, frame: pd.DataFrame) -> None:
    """Values of tau below the curve; those at nearly one place share a label."""
    places = frame[["accuracy", "balanced"]].to_numpy()
    view = np.array([ax.get_xlim(), ax.get_ylim()])
    near, labelled = 0.08 * np.ptp(view, axis=1), {}
    for tau in (0, 0.5, 1, 2):
        place = places[(frame["tau"] - tau).abs().argmin()]
        if (place < view[:, 0]).any() or (place > view[:, 1]).any():
            continue
        ax.plot(*place, "o", color="0.35", ms=3.5)
        beside = (p for p in labelled if (np.abs(place - p) <= near).all())
        labelled.setdefault(next(beside, tuple(place)), []).append(f"{tau:g}")
    for place, taus in labelled.items():
        ax.annotate(
            rf"$\tau={', '.join(taus)}$", place, xytext=(-6, -6), textcoords="offset points",
            ha="right", va="top", fontsize=style.POINTS + 2,
        )  # fmt: skip
