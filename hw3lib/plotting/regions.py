"""Figures of notebook 07: the regions of a face and how much of the attribution each holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from hw3lib.data.faces import CLASSES
from hw3lib.plotting import style
from hw3lib.plotting.mosaic import bare, stacked, two_lines
from hw3lib.portraits import mean_face
from hw3lib.saliency_checks import REGIONS, region_masks
from hw3lib.text import Text, term

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

REGION_TITLES = {
    "brows": Text("眉毛", "brows"),
    "eyes": Text("眼睛", "eyes"),
    "nose": Text("鼻子", "nose"),
    "mouth": Text("嘴巴", "mouth"),
    "outline": Text("臉部輪廓", "outline"),
    "rest of the face": Text("臉的其餘部分", "rest of the face"),
    "background": Text("背景", "background"),
}


def region_chart(images: np.ndarray, densities: Mapping[str, pd.DataFrame]) -> Figure:
    """The regions on the mean face, and how densely each holds the attribution.

    images    : (N, 48, 48), the faces whose mean is drawn
    densities : series -> frame with columns region, value, low, high (1 is an even map), one row
        for each of REGIONS; the first series is drawn filled, others hollow
    """
    fig, (left, right) = style.subplots(1, 2, height=2.9, width_ratios=[1, 2.1])
    bare(left).imshow(mean_face(images.mean(axis=0), len(images)), cmap="gray")
    for number, mask in enumerate(region_masks().values(), start=1):
        left.contour(mask, levels=[0.5], colors="white", linewidths=1.6)
        left.contour(mask, levels=[0.5], colors=style.BLACK, linewidths=0.6)
        y, x = _inside(mask)
        disc = {"boxstyle": "circle,pad=0.15", "fc": style.BLACK, "ec": "none"}
        left.text(x, y, str(number), ha="center", va="center", fontsize=7, color="white", bbox=disc)
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
    right.set_xlabel(two_lines("歸因密度（1 = 平均分布）", "density of the attribution (1 = even)"))
    right.legend(loc="upper center", bbox_to_anchor=(0.5, 1.17), ncols=2, fontsize=7.5)
    return fig


def _inside(mask: np.ndarray) -> tuple[int, int]:
    """A pixel deep inside the region, for its number."""
    from scipy.ndimage import distance_transform_edt

    padded = np.pad(mask, 1)
    depth = distance_transform_edt(padded)[1:-1, 1:-1]
    return tuple(map(int, np.unravel_index(depth.argmax(), depth.shape)))


def class_regions(densities: np.ndarray, counts: np.ndarray) -> Figure:
    """Density of the attribution in each region, a row for each class; white is an even map.

    densities : (7, regions), NaN for a class without pictures;  counts : (7,) pictures
    """
    import seaborn as sns
    from matplotlib.colors import TwoSlopeNorm

    fig, ax = style.subplots(height=2.9)
    top = max(1.5, float(np.nanmax(densities)))
    sns.heatmap(
        densities, ax=ax, cmap=style.DIVERGING, norm=TwoSlopeNorm(1, 0, top), annot=True, fmt=".2f",
        annot_kws={"fontsize": 7.5}, linewidths=0.5,
        xticklabels=[stacked(REGION_TITLES[r]).replace(" of the ", "\nof the ") for r in REGIONS],
        yticklabels=[f"{term(c)} ({n})" for c, n in zip(CLASSES, counts, strict=True)],
        cbar_kws={"label": two_lines("歸因密度（1 = 平均分布）", "density (1 = even)")},
    )  # fmt: skip
    ax.tick_params(axis="both", length=0, labelsize=7.5, labelrotation=0)
    return fig
