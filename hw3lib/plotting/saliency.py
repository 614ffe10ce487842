"""Figures of notebook 07: attributions on faces, one by one and as the mean of a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hw3lib.data.faces import CLASSES, Faces
from hw3lib.plotting import style
from hw3lib.plotting.mosaic import bare, colour_bar, mosaic, row_label, stacked, two_lines
from hw3lib.portraits import MANY, exhibit, mean_face, release
from hw3lib.saliency import attribute_all, known
from hw3lib.text import Text, term, tr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def own_scale(values: np.ndarray) -> np.ndarray:
    """(..., H, W) -> (..., 1, 1) 99th percentile of |value|, which the figures draw as 1."""
    top = np.nanquantile(np.abs(values), 0.99, axis=(-2, -1), keepdims=True)
    return np.where(top > 0, top, 1.0)


def overlay(
    ax: Axes,
    face: np.ndarray,
    values: np.ndarray,
    *,
    signed: bool = True,
    released: bool = False,
) -> Axes:
    """One map over its face, pale where the map is near zero.

    signed   : diverging colours on [-1, 1] of own_scale, else yellow to red on [0, 1]
    released : the map is of many pictures; see hw3lib.portraits
    """
    ax.imshow(face, cmap="gray", vmin=-120, vmax=330)  # paler, so that the colours stand out
    share = np.clip(values / own_scale(values), -1 if signed else 0, 1)
    ax.imshow(
        release(share) if released else share,
        cmap=style.DIVERGING if signed else "YlOrRd",
        vmin=-1 if signed else 0,
        vmax=1,
        alpha=np.abs(share) ** 0.7 * 0.85,
    )
    return bare(ax)


def decision_labels(probabilities: np.ndarray, labels: np.ndarray) -> list[Text]:
    """For each picture its class and the probability, or "true → predicted" where they differ."""
    texts = []
    for row, true in zip(probabilities, labels, strict=True):
        guess, names = int(row.argmax()), [term(CLASSES[true])]
        names += [term(CLASSES[guess])] if guess != true else []
        zh, en = " → ".join(n.zh for n in names), " →\n".join(n.en for n in names)
        texts.append(Text(f"{zh} {row[guess]:.0%}", f"{en} {row[guess]:.0%}"))
    return texts


def attribution_grid(
    faces: Faces, maps: Mapping[str, np.ndarray], labels: Sequence[Text]
) -> Figure:
    """A row for each face, a column for each method, all on the one scale [-1, 1] of own_scale.

    maps : method -> (n, 48, 48) signed;  labels : beside each row
    """
    fig, axes = mosaic(len(faces), 1 + len(maps), left=1.0, bottom=0.45)
    for row, (face, label) in enumerate(zip(faces.images, labels, strict=True)):
        axes[row, 0].imshow(face, cmap="gray", vmin=0, vmax=255)
        row_label(axes[row, 0], stacked(label))
        for ax, values in zip(axes[row, 1:], maps.values(), strict=True):
            overlay(ax, face, values[row])
    titles = (Text("人臉", "face"), *(known(m).title for m in maps))
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(stacked(title), fontsize=8)
    label = tr(
        "每張圖除以自己絕對值的第 99 百分位數　",
        "each map divided by the 99th percentile of its absolute values",
    )
    colour_bar(fig, style.DIVERGING, low=-1, high=1, ticks=[-1, 0, 1], label=label, y=0.34)
    return fig


def exhibited(
    network, faces: Faces, target: np.ndarray, maps: Mapping, labels: Sequence[Text], options: dict
) -> tuple[Faces, Mapping[str, np.ndarray], Sequence[Text]]:
    """What attribution_grid may show of these faces: they themselves, with their maps and labels.

    In a published report, as a map of one picture is a portrait too, stand-ins with maps of
    their own, each labelled with the class that is explained.
    """
    shown = exhibit(faces)
    if shown is faces:
        return faces, maps, labels
    inputs = network.prepare(shown.images)
    maps = attribute_all(network, inputs, target, methods=list(maps), options=options)
    return shown, maps, [term(CLASSES[c]) for c in target]


def class_means(faces: Faces, maps: Mapping[str, np.ndarray], counts: Sequence[int]) -> Figure:
    """Mean face of each class and, below, each method's mean importance over it.

    faces  : whose means are drawn;  maps : method -> (7, 48, 48) >= 0
    counts : pictures in each class's mean importance
    """
    fig, axes = mosaic(1 + len(maps), len(CLASSES), top=0.6, bottom=0.45)
    for c, column in enumerate(axes.T):
        column[0].set_title(f"{stacked(term(CLASSES[c]))}\nn = {counts[c]}", fontsize=8)
        same = faces.images[faces.labels == c]
        if not len(same):
            continue
        mean, many = mean_face(same.mean(axis=0), len(same)), counts[c] >= MANY
        column[0].imshow(mean, cmap="gray")
        if counts[c]:
            for ax, values in zip(column[1:], maps.values(), strict=True):
                overlay(ax, mean, values[c], signed=False, released=many)
    for line, name in zip(axes[1:, 0], maps, strict=True):
        title = known(name).title
        row_label(line, stacked(Text(title.zh, title.en.replace(" ", "\n"))))
    label = two_lines(
        "每張圖除以自己的第 99 百分位數", "each map divided by its own 99th percentile"
    )
    label = label.replace("\n", "　")
    colour_bar(fig, "YlOrRd", low=0, high=1, ticks=[0, 1], label=label, y=0.34)
    return fig
