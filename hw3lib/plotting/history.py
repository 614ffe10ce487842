"""Figures of notebooks 02-04: training histories and the sizes of networks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from hw3lib.data.faces import CLASSES
from hw3lib.plotting import style
from hw3lib.plotting.mosaic import stacked
from hw3lib.text import Text, current_language, term, tr

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colour and marker tell the quantity, line and filling the set: grey print keeps both apart.
QUANTITIES = {"accuracy": (style.BLUE, "o"), "loss": (style.RED, "s")}
SETS = {"train": ("training", "-", None), "validation": ("validation", "--", "white")}


def histories(frames: Mapping[Text, pd.DataFrame]) -> Figure:
    """One panel a Run: accuracy on the left axis, loss on the right, both sets, same scales.

    frames : title -> Run.history (epoch, train_/validation_ accuracy and loss in nats); the
        dotted line marks the epoch of lowest validation loss. The loss axis ends at 4 ln 7 nats,
        four times the loss of a guess: a single spike would flatten all the rest.
    """
    width = min(style.TEXT_WIDTH, 4.2 * len(frames))
    fig, axes = style.subplots(1, len(frames), width=width, height=2.9, squeeze=False, sharey=True)
    highest = max(f[["train_loss", "validation_loss"]].to_numpy().max() for f in frames.values())
    highest = min(highest, 4 * math.log(len(CLASSES)))
    for i, (ax, (title, frame)) in enumerate(zip(axes[0], frames.items(), strict=True)):
        right = ax.twinx()
        right.spines["right"].set_visible(True)
        for kind, panel in (("accuracy", ax), ("loss", right)):
            _curves(panel, frame, kind)
        ax.axvline(frame["epoch"][frame["validation_loss"].idxmin()], color="0.4", ls=":", lw=1)
        ax.set(title=str(title), xlabel=str(term("epoch")), ylim=(0, 1.02))
        right.set_ylim(0, highest * 1.05)
        ax.yaxis.set_major_formatter("{x:.0%}")
        ax.xaxis.get_major_locator().set_params(integer=True)
        _side(ax, "accuracy", shown=i == 0)
        _side(right, "loss", shown=i == len(frames) - 1)
    lines = [line for panel in fig.axes[:1] + fig.axes[len(frames) : len(frames) + 1]
             for line in panel.lines if not line.get_label().startswith("_")]  # fmt: skip
    columns = 2 if len(frames) == 1 or current_language() == "both" else 4
    fig.legend(handles=lines, loc="outside lower center", ncols=columns)
    return fig


def _curves(ax: Axes, frame: pd.DataFrame, kind: str) -> None:
    color, marker = QUANTITIES[kind]
    for prefix, (name, line, inside) in SETS.items():
        ax.plot(
            frame["epoch"], frame[f"{prefix}_{kind}"], color=color, ls=line, lw=1.2,
            marker=marker, markersize=3, markevery=max(1, len(frame) // 12),
            markerfacecolor=inside or color, markeredgewidth=0.8,
            label=tr(f"{term(name).zh}{term(kind).zh}", f"{name} {kind}"),
        )  # fmt: skip


def _side(ax: Axes, kind: str, *, shown: bool) -> None:
    color = QUANTITIES[kind][0]
    ax.tick_params(axis="y", colors=color)
    if shown:
        unit = tr("（奈特）", "(nats)") if kind == "loss" else ""
        ax.set_ylabel(f"{term(kind)} {unit}".strip(), color=color)
    else:
        ax.tick_params(axis="y", labelleft=False, labelright=False)


def gaps(frames: Mapping[Text, pd.DataFrame]) -> Figure:
    """Training minus validation accuracy over the epochs, one line a Run, in percentage points."""
    fig, ax = style.subplots(width=4.6, height=2.4)
    looks = zip(("-", "--", "-.", ":"), (style.RED, style.BLUE, style.GREEN, style.BLACK), "os^D",
                strict=True)  # fmt: skip
    for (title, frame), (line, color, marker) in zip(frames.items(), looks, strict=False):
        gap = 100 * (frame["train_accuracy"] - frame["validation_accuracy"])
        ax.plot(frame["epoch"], gap, ls=line, color=color, marker=marker, markersize=3,
                label=str(title), lw=1.2)  # fmt: skip
    ax.axhline(0, color="0.6", lw=0.8)
    label = Text("訓練減驗證（百分點）", "training − validation (points)")
    ax.set(xlabel=str(term("epoch")), ylabel=stacked(label))
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend()
    return fig


def size_bars(sizes: Mapping[Text, tuple[int, int]]) -> Figure:
    """Parameters and multiply-adds of networks side by side, both in millions, logarithmic.

    sizes : name -> (parameters, multiply-adds of one picture)
    """
    fig, axes = style.subplots(1, 2, height=0.5 + 0.4 * len(sizes), sharey=True)
    titles = (
        Text("參數（百萬）", "parameters (millions)"),
        Text("每張影像的乘加（百萬）", "multiply-adds a picture (millions)"),
    )
    names = [stacked(name) for name in sizes]
    for i, (ax, color) in enumerate(zip(axes, (style.SKY, style.ORANGE), strict=True)):
        millions = [size[i] / 1e6 for size in sizes.values()]
        bars = ax.barh(names, millions, color=color, edgecolor=style.BLACK, lw=0.5)
        ax.bar_label(bars, [f"{m:,.1f}" for m in millions], padding=3)
        ax.set(xscale="log", title=stacked(titles[i]))
        ax.set_xlim(min(millions) / 2, max(millions) * 4)
        ax.minorticks_off()
    axes[0].invert_yaxis()
    return fig
