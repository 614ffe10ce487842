"""Figures of notebook 07: attributions on faces, the regions of a face, the checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hw3lib.bilingual import Text, current_language, term, tr
from hw3lib.data.faces import CLASSES
from hw3lib.plotting import style
from hw3lib.saliency import METHODS
from hw3lib.saliency_checks import REGIONS, region_masks

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS = dict(
    zip(
        METHODS,
        zip(
            (style.BLUE, style.SKY, style.GREEN, style.ORANGE, style.RED),
            ("o", "s", "D", "^", "X"),
            strict=True,
        ),
        strict=True,
    )
)
REGION_TITLES = dict(
    zip(
        REGIONS,
        (
            Text("眼睛", "eyes"),
            Text("眉毛", "brows"),
            Text("嘴巴", "mouth"),
            Text("鼻子", "nose"),
            Text("臉部輪廓", "outline"),
            Text("臉頰與額頭", "cheeks and forehead"),
            Text("背景", "background"),
        ),
        strict=True,
    )
)


def two_lines(text: Text) -> str:
    """The text in the current language; with both languages, one below the other."""
    if current_language() == "both" and text.zh != text.en:
        return f"{text.zh}\n{text.en}"
    return str(text)


def shared_scale(maps: Mapping[str, np.ndarray]) -> dict[str, float]:
    """method -> the 99.5th percentile of |value| over its maps, the 1 of the common scale."""
    return {name: float(np.quantile(np.abs(values), 0.995)) or 1.0 for name, values in maps.items()}


def overlay(ax: Axes, face: np.ndarray, values: np.ndarray, *, scale: float, signed: bool = True):
    """One map over its face, pale where the map is near zero; returns the coloured image.

    signed : diverging colours on [-scale, scale], else yellow to red on [0, scale]
    """
    ax.imshow(face, cmap="gray", vmin=-120, vmax=330)  # paler, so that the colours stand out
    share = np.clip(values / scale, -1 if signed else 0, 1)
    image = ax.imshow(
        share,
        cmap=style.DIVERGING if signed else "YlOrRd",
        vmin=-1 if signed else 0,
        vmax=1,
        alpha=np.abs(share) ** 0.6 * 0.92,
    )
    bare(ax)
    return image


def bare(ax: Axes) -> Axes:
    """No ticks, no frame."""
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def attribution_grid(
    faces: np.ndarray,
    maps: Mapping[str, np.ndarray],
    labels: Sequence[str],
    *,
    scales: Mapping[str, float] | None = None,
) -> Figure:
    """A row for each face, a column for each method, all on one symmetric scale.

    faces : (n, 48, 48) uint8;  maps : method -> (n, 48, 48) signed;  labels : beside each row
    scales : method -> the value drawn as 1 (default: shared_scale of these maps)
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    scales = scales or shared_scale(maps)
    n = len(faces)
    fig, axes = style.subplots(n, 1 + len(maps), height=0.98 * n + 0.75, squeeze=False)
    for row, (face, label) in enumerate(zip(faces, labels, strict=True)):
        bare(axes[row, 0]).imshow(face, cmap="gray", vmin=0, vmax=255)
        axes[row, 0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=7.5)
        for ax, (name, values) in zip(axes[row, 1:], maps.items(), strict=True):
            overlay(ax, face, values[row], scale=scales[name])
    for ax, title in zip(
        axes[0], (Text("人臉", "face"), *(METHODS[m].title for m in maps)), strict=True
    ):
        ax.set_title(two_lines(title), fontsize=8)
    bar = fig.colorbar(
        ScalarMappable(Normalize(-1, 1), style.DIVERGING),
        ax=axes, location="bottom", shrink=0.6, aspect=45, pad=0.01, ticks=[-1, 0, 1],
    )  # fmt: skip
    bar.set_label(
        tr(
            "每種方法除以自己的第 99.5 百分位數", "each method divided by its own 99.5th percentile"
        ),
        fontsize=7.5,
    )
    return fig


def class_means(faces: np.ndarray, maps: Mapping[str, np.ndarray], counts: Sequence[int]) -> Figure:
    """Mean face of each class and, below, each method's mean importance over it.

    faces : (7, 48, 48), NaN for a class without pictures;  maps : method -> (7, 48, 48) >= 0
    """
    rows = 1 + len(maps)
    fig, axes = style.subplots(rows, len(CLASSES), height=0.95 * rows + 0.6, squeeze=False)
    for c, ax in enumerate(axes[0]):
        name = term(CLASSES[c])
        ax.set_title(two_lines(name) + f"\nn = {counts[c]}", fontsize=8)
        bare(ax).imshow(faces[c], cmap="gray")
    for line, (name, values) in zip(axes[1:], maps.items(), strict=True):
        for c, ax in enumerate(line):
            top = np.nanquantile(values, 0.995)
            overlay(ax, np.nan_to_num(faces[c], nan=255), np.nan_to_num(values[c]),
                    scale=float(top) or 1.0, signed=False)  # fmt: skip
        title = two_lines(METHODS[name].title).replace(" ", "\n")
        line[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=7.5)
    return fig


def region_chart(
    face: np.ndarray, densities: Mapping[str, pd.DataFrame], *, title: Text | None = None
) -> Figure:
    """The regions on the mean face, and how densely each holds the attribution.

    densities : series -> frame with columns region, value, low, high (1 is an even map), one row
        for each of REGIONS; the first series is drawn filled, others hollow
    """
    fig, (left, right) = style.subplots(1, 2, height=2.9, width_ratios=[1, 2.1])
    bare(left).imshow(face, cmap="gray")
    for number, mask in enumerate(region_masks().values(), start=1):
        left.contour(mask, levels=[0.5], colors="white", linewidths=1.6)
        left.contour(mask, levels=[0.5], colors=style.BLACK, linewidths=0.6)
        y, x = _inside(mask)
        left.text(x, y, str(number), ha="center", va="center", fontsize=7.5, color="white",
                  bbox={"boxstyle": "circle,pad=0.15", "fc": style.BLACK, "ec": "none"})  # fmt: skip
    looks = [
        (style.BLUE, "o", style.BLUE),
        (style.ORANGE, "s", "white"),
        (style.GREEN, "D", "white"),
    ]
    for k, ((name, frame), (edge, marker, fill)) in enumerate(
        zip(densities.items(), looks, strict=False)
    ):
        at = np.arange(len(frame)) + 0.24 * k - 0.12 * (len(densities) - 1)
        error = [frame["value"] - frame["low"], frame["high"] - frame["value"]]
        right.errorbar(frame["value"], at, xerr=error, fmt=marker, color=edge, mfc=fill,
                       markersize=5, capsize=2, label=str(name))  # fmt: skip
    right.axvline(1, color=style.BLACK, linewidth=0.7, linestyle=":")
    names = [f"{i} {REGION_TITLES[r]}" for i, r in enumerate(REGIONS, start=1)]
    right.set_yticks(range(len(REGIONS)), names)
    right.invert_yaxis()
    right.set_xlabel(tr("歸因密度（1 = 平均分布）", "density of the attribution (1 = even)"))
    right.legend(loc="upper center", bbox_to_anchor=(0.5, 1.17), ncols=2, fontsize=7.5)
    if title:
        left.set_title(str(title))
    return fig


def _inside(mask: np.ndarray) -> tuple[int, int]:
    """A pixel deep inside the region, for its number."""
    from scipy.ndimage import distance_transform_edt

    padded = np.pad(mask, 1)
    depth = distance_transform_edt(padded)[1:-1, 1:-1]
    return tuple(map(int, np.unravel_index(depth.argmax(), depth.shape)))


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
                    label=str(METHODS[name].title))  # fmt: skip
            ax.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)
        ax.axhline(limit, color=style.BLACK, linewidth=0.7, linestyle=":")
        ax.set(title=str(title), xlim=(-0.02, 1.02), ylim=(-0.3, 1.04))
        ax.xaxis.set_major_formatter("{x:.0%}")
        ax.set_xlabel(tr("重抽權重的層（由最後一層起）", "layers re-drawn, from the last"))
    axes[0].set_ylabel(tr("與原圖的相似度", "similarity to the map"))
    _legend_below(fig, axes[0])
    return fig


def deletion_curves(curves: Mapping[str, np.ndarray], *, random: str = "random") -> Figure:
    """Mean probability of the explained class as blocks are blurred away, most important first.

    curves : method (or `random`) -> (N, steps + 1)
    """
    fig, ax = style.subplots(width=4.6, height=3.0)
    for name, values in curves.items():
        x = np.linspace(0, 1, values.shape[1])
        if name == random:
            ax.plot(x, values.mean(0), color=style.BLACK, linestyle="--", linewidth=1.6,
                    label=tr("隨機順序", "random order"))  # fmt: skip
            continue
        colour, marker = LOOKS[name]
        ax.plot(x, values.mean(0), color=colour, marker=marker, markersize=4, linewidth=1.3,
                label=str(METHODS[name].title))  # fmt: skip
    ax.set(xlim=(0, 1), ylim=(0, None))
    ax.xaxis.set_major_formatter("{x:.0%}")
    ax.set_xlabel(tr("被模糊的面積", "area blurred away"))
    ax.set_ylabel(tr("原預測類別的機率", "probability of the class"))
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7.5)
    return fig


def _legend_below(fig: Figure, ax: Axes) -> None:
    handles, labels = ax.get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=7.5)
