"""Figures of notebook 08 that set two networks side by side: stages, selectivity, ablation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hw3lib.data.faces import CLASSES
from hw3lib.plotting import style
from hw3lib.plotting.mosaic import mosaic, row_label, stacked, two_lines
from hw3lib.portraits import release
from hw3lib.text import Text, term

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hw3lib.selectivity import Ablation

COLUMNS, LEFT = 13, 0.62  # columns over the width of the text; inches for the first labels


@dataclass(frozen=True)
class Half:
    """One network's part of a stage sheet; `layer` names what is shown of it.

    columns  : (title, one (h, w) array of grey values in [0, 255] for each filter); as in
        picture_sheet an empty title goes on under the one before
    computed : so many first columns are nobody's pictures, but found by ascent
    labels   : of the filters;  profile : (F, 7) class profile of the filters
    """

    title: Text
    layer: str
    columns: Sequence[tuple[Text, Sequence[np.ndarray]]]
    computed: int
    labels: Sequence[Text]
    profile: np.ndarray


def stage_sheet(halves: Sequence[Half]) -> Figure:
    """A row for each filter, the networks side by side: pictures, then bars of the class profile.

    All bars share one scale, in standard deviations; they stand in the order of the classes.
    """
    across = [len(h.columns) + 1 for h in halves]
    rows = max(len(h.labels) for h in halves)
    columns = sum(across) + len(halves) - 1
    width = LEFT + (style.TEXT_WIDTH - LEFT) * min(1, columns / COLUMNS)
    fig, axes = mosaic(rows, columns, width=width, left=LEFT, top=0.66, gap=0.045)
    top = max(float(np.nanmax(np.abs(h.profile))) for h in halves)
    start = 0
    for half, count in zip(halves, across, strict=True):
        block = axes[:, start : start + count]
        _half(block[: len(half.labels)], half, top)
        for ax in block[len(half.labels) :].ravel():
            ax.set_visible(False)
        x = block[0, 0].get_position().x0
        title = f"{half.title}\n{half.layer}"
        fig.text(x, 1 - 0.05 / fig.get_figheight(), title, fontsize=8, va="top")
        start += count + 1
        if start - 1 < axes.shape[1]:
            for ax in axes[:, start - 1]:
                ax.set_visible(False)
    return fig


def _half(axes: np.ndarray, half: Half, top: float) -> None:
    for c, (title, pictures) in enumerate(half.columns):
        for ax, picture in zip(axes[:, c], pictures, strict=True):
            picture = release(picture) if c < half.computed else picture
            ax.imshow(picture, cmap="gray", vmin=0, vmax=255)
        axes[0, c].set_title(stacked(title), fontsize=6.5, loc="left", pad=2)
    axes[0, -1].set_title(two_lines("類別", "classes"), fontsize=6.5, loc="left", pad=2)
    for line, label, profile in zip(axes, half.labels, half.profile, strict=True):
        row_label(line[0], stacked(label), size=6)
        _bars(line[-1], profile, top)


def _bars(ax: Axes, profile: np.ndarray, top: float) -> None:
    values = np.nan_to_num(profile)
    colours = [style.RED if c == values.argmax() else style.SKY for c in range(len(values))]
    ax.bar(range(len(values)), values, color=colours, width=0.8)
    ax.axhline(0, color=style.BLACK, linewidth=0.5)
    ax.set(ylim=(-top, top), xlim=(-0.6, len(values) - 0.4))


def selectivity_histograms(
    networks: Mapping[Text, Sequence[tuple[str, np.ndarray, np.ndarray]]],
) -> Figure:
    """For each network and layer how its filters' selectivity is spread, first layer on top.

    networks : title -> (label, (K,) of the trained, (K,) of the untrained network) for each layer
    """
    every = np.concatenate([v for rows in networks.values() for _, *pair in rows for v in pair])
    edges = np.linspace(min(-0.02, every.min()), max(0.1, every.max()), 31)
    middle = (edges[1:] + edges[:-1]) / 2
    height = 0.9 + 0.2 * max(map(len, networks.values()))
    fig, axes = style.subplots(1, len(networks), height=height, squeeze=False)
    names = Text("訓練後", "trained"), Text("未訓練", "untrained")
    for ax, (title, rows) in zip(axes[0], networks.items(), strict=True):
        for place, (_, *pair) in enumerate(rows):
            for values, name, colour in zip(pair, names, (style.BLUE, style.ORANGE), strict=True):
                share = np.histogram(values, edges)[0] / len(values)
                level = place - 0.95 * share / max(share.max(), 1e-9)
                ax.fill_between(middle, place, level, step="mid", alpha=0.3, color=colour, lw=0)
                ax.step(middle, level, where="mid", color=colour, linewidth=0.9,
                        label=str(name) if place == 0 else None)  # fmt: skip
            ax.plot(np.median(pair[0]), place, "|", color=style.BLUE, markersize=7)
        ax.set(title=stacked(title), ylim=(len(rows) - 0.7, -1.1))
        ax.set_yticks(range(len(rows)), [label for label, *_ in rows], fontsize=6.5)
        ax.set_xlabel(two_lines("類別選擇性 ω²", "selectivity ω²"))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=7.5)
    return fig


def ablation_heatmaps(ablations: Mapping[Text, Ablation]) -> Figure:
    """For each network the change of every class's recall (columns), in points, as the filters of
    one class (rows) are silenced; one scale, white is no change."""
    import seaborn as sns

    changes = {title: 100 * a.recall_change for title, a in ablations.items()}
    top = max(float(np.nanmax(np.abs(c))) for c in changes.values()) or 1.0
    fig, axes = style.subplots(1, len(changes), height=3.1, squeeze=False)
    names = [stacked(term(c)) for c in CLASSES]
    for ax, (title, change) in zip(axes[0], changes.items(), strict=True):
        left, last = ax is axes[0, 0], ax is axes[0, -1]
        sns.heatmap(
            change, ax=ax, cmap=style.DIVERGING, vmin=-top, vmax=top, annot=True, fmt="+.0f",
            annot_kws={"fontsize": 7}, linewidths=0.5, cbar=last, xticklabels=names,
            yticklabels=[str(term(c)) for c in CLASSES] if left else False,
            cbar_kws={"label": two_lines("召回率的變化（百分點）", "change of recall, points")},
        )  # fmt: skip
        ax.set_title(stacked(title))
        ax.tick_params(axis="x", labelrotation=90, labelsize=7.5, length=0)
        ax.tick_params(axis="y", labelrotation=0, labelsize=7.5, length=0)
        ax.set_xlabel(two_lines("類別的影像", "pictures of the class"))
    axes[0, 0].set_ylabel(two_lines("被關掉的是這個類別的濾波器", "filters of this class silenced"))
    return fig
