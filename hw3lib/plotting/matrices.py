"""Numbers in rows and columns: confusion matrices, profiles, changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.patches import Rectangle
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from hw3lib.data.faces import CLASSES
from hw3lib.evaluation.metrics import row_shares
from hw3lib.plotting import style
from hw3lib.plotting.style import fit, house_style, label, text_width
from hw3lib.text import Text, term


@house_style()
def matrix(
    values: pd.DataFrame,
    *,
    texts: np.ndarray | str = ".2f",
    middle: float | None = None,
    top: float | None = None,
    marked: Sequence[tuple[int, int]] = (),
    x: Text | str = "",
    y: Text | str = "",
    ax: Axes | None = None,
) -> Axes:
    """Numbers, written on their colours; index and columns name rows and columns.

    Parameters
    ----------
    texts : of the cells, or their format
    middle : where the diverging colours are white; without it they go from white at 0
    top : end of the scale, as far from the middle as its other end (default: what fits)
    marked : (row, column) of the cells that have a frame
    """
    import seaborn as sns  # late: it takes over a second, and most notebooks show no matrix

    numbers, columns = values.to_numpy(float), [label(name) for name in values.columns]
    panel = style.subplots(height=0.3 * len(values) + 0.6)[1] if ax is None else ax
    if isinstance(texts, str):
        texts = np.array([[_signed(f"{v:{texts}}") for v in row] for row in numbers])
    top = top or float(np.nanmax(np.abs(numbers - (middle or 0)))) or 1.0
    colours = {"cmap": style.SEQUENTIAL, "vmin": 0, "vmax": top}
    if middle is not None:
        norm = TwoSlopeNorm(middle, 0 if middle > 0 else middle - top, middle + top)
        colours = {"cmap": style.DIVERGING, "norm": norm}
    cell = 0.95 * panel.get_position().width * panel.figure.get_figwidth() / len(columns)
    broken = [fit(name, cell) for name in columns]
    turned = max(map(text_width, broken)) > cell
    columns = columns if turned else broken
    sns.heatmap(
        numbers, annot=texts, fmt="", ax=panel, linewidths=0.5, cbar=False, xticklabels=columns,
        yticklabels=[label(name, " ") for name in values.index], **colours,
        annot_kws={"fontsize": style.POINTS, "linespacing": 1.2},
    )  # fmt: skip
    rgb = panel.collections[0].get_facecolors()[~np.isnan(numbers).ravel(), :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    for text, light in zip(panel.texts, linear @ [0.2126, 0.7152, 0.0722], strict=True):
        text.set_color("black" if light > 0.179 else "white")  # 4.5:1 at least (WCAG 2.2)
    for row, column in marked:
        frame = Rectangle((column, row), 1, 1, fill=False, edgecolor=style.BLACK, lw=1.6)
        panel.add_patch(frame).set_clip_on(False)
    panel.tick_params(axis="x", length=0, labelrotation=90 * turned)
    panel.tick_params(axis="y", length=0, labelrotation=0)
    panel.set(xlabel=label(x), ylabel=label(y))
    return panel


def _signed(text: str) -> str:
    return style.minus(text.lstrip("+-") if float(text) == 0 else text)


def by_class(values: np.ndarray) -> pd.DataFrame:
    """(7, 7) numbers as a frame for `matrix`, a row and a column for each class."""
    return pd.DataFrame(values, index=list(CLASSES), columns=list(CLASSES))


@house_style()
def confusion(
    counts: np.ndarray,
    *,
    order: Sequence[int] | None = None,
    beneath: bool = True,
    y: Text | str = "true class",
    x: Text | str = "predicted class",
) -> Axes:
    """Row shares as colour and number; rows are true classes.

    counts : (C, C), or shares
    order : of the classes, see `confusion_order`
    beneath : whether the count stands under each share
    """
    order = np.arange(len(counts)) if order is None else np.asarray(order)
    counts = np.asarray(counts)[np.ix_(order, order)]
    shares = np.nan_to_num(row_shares(counts))
    texts = np.array([[f"{share:.0%}" for share in row] for row in shares], object)
    if beneath:
        texts += np.array([[f"\n{count}" for count in row] for row in counts], object)
    panel = style.subplots(width=5.2, height=3.1 if beneath else 2.8)[1]
    names = [CLASSES[c] for c in order]
    frame = pd.DataFrame(shares, index=names, columns=names)
    return matrix(frame, texts=texts, top=1, x=x, y=y, ax=panel)


def confusion_order(counts: np.ndarray) -> np.ndarray:
    """(C, C) confusion -> (C,) classes so ordered that confused ones stand side by side.

    Optimal leaf ordering (Bar-Joseph et al. 2001, scipy) of 1 - symmetric confusion share; the
    end that holds the best recognised class comes first.
    """
    shares = np.nan_to_num(row_shares(counts))
    distance = 1 - (shares + shares.T) / 2
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), "average", optimal_ordering=True)
    order = leaves_list(tree)
    recall = np.diag(shares)[order]
    return order if recall[: len(order) // 2].max() >= recall.max() else order[::-1]


def pair_name(a: int, b: int) -> Text:
    """Two classes as one name: "Sad–Neutral"."""
    first, second = term(CLASSES[a]), term(CLASSES[b])
    return Text(f"{first.zh}－{second.zh}", f"{first.en}–{second.en}")
