"""Faces in rows and columns: samples, changed pictures, mean faces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hw3lib.data.faces import CLASSES, SIZE, Faces
from hw3lib.plotting import style
from hw3lib.plotting.mosaic import bare, colour_bar, mosaic, row_label, stacked
from hw3lib.portraits import CROWD, mean_face, release
from hw3lib.text import Text, term, tr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def face_grid(
    images: np.ndarray,
    titles: Sequence[Text | str] = (),
    *,
    columns: int = 8,
    row_labels: Sequence[Text | str] = (),
) -> Figure:
    """Pictures row by row, a title above each, a label left of each row.

    images : (N, 48, 48) uint8;  titles : one a picture, "" for none; a Text stands in two lines
    where both languages are shown
    """
    names, labels = [_lines(t) for t in titles], [_lines(t) for t in row_labels]
    above = 0.13 * max((n.count("\n") + 1 for n in names if n), default=0)
    left = 0.75 if labels else 0.0
    rows = -(-len(images) // columns)
    fig, axes = mosaic(
        rows, columns, left=left, top=above + 0.03, bottom=-above, gap=0.04, row_gap=above + 0.04
    )
    for i, ax in enumerate(axes.flat):
        if i >= len(images):
            ax.set_axis_off()
            continue
        show_face(ax, images[i])
        if i < len(names) and names[i]:
            ax.set_title(names[i], fontsize=6.5, pad=2, linespacing=1.0)
    for ax, label in zip(axes[:, 0], labels, strict=False):
        row_label(ax, label)
    return fig


def show_face(ax: Axes, image: np.ndarray) -> Axes:
    """One (48, 48) picture with grey values 0 to 255."""
    ax.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    return ax


def first_of_each_class(faces: Faces, count: int) -> Faces:
    """The first `count` faces of every class, class by class, copies of a picture left out."""
    _, first = np.unique(faces.group, return_index=True)
    distinct = np.sort(first)
    chosen = [distinct[faces.labels[distinct] == c][:count] for c in range(len(CLASSES))]
    return faces.subset(np.concatenate(chosen))


def class_samples(faces: Faces, *, columns: int = 10) -> Figure:
    """`first_of_each_class`, one row a class."""
    faces = first_of_each_class(faces, columns)
    rows = [np.flatnonzero(faces.labels == c) for c in range(len(CLASSES))]
    pitch = SIZE + 3  # one picture of them all: seventy axes would take seconds to draw
    sheet = np.full((len(CLASSES), pitch, columns, pitch), 255, dtype=np.uint8)
    for c, index in enumerate(rows):  # a rare class may leave white places
        sheet[c, :SIZE, : len(index), :SIZE] = faces.images[index].transpose(1, 0, 2)
    fig, ax = style.subplots(height=0.72 * style.TEXT_WIDTH * 7 / columns + 0.9)
    show_face(bare(ax), sheet.reshape(len(CLASSES) * pitch, columns * pitch))
    names = [stacked(term(name)) for name in CLASSES]
    ax.set_yticks(np.arange(len(CLASSES)) * pitch + SIZE / 2, names)
    ax.tick_params(length=0)
    return fig


def mean_faces(faces: Faces) -> Figure:
    """The mean picture of each class, and below it how it differs from the mean of all classes.

    Every class counts alike in the mean of all, so that large classes do not hide in it, and all
    are brought to the same brightness before they are compared. A class without pictures is left
    empty; the colours saturate at the 99.5th percentile.
    """
    present = [c for c in range(len(CLASSES)) if (faces.labels == c).any()]
    means = {c: faces.images[faces.labels == c].mean(axis=0) for c in present}
    shapes = {c: mean - mean.mean() for c, mean in means.items()}
    overall = np.mean(list(shapes.values()), axis=0)
    limit = float(np.percentile([np.abs(s - overall) for s in shapes.values()], 99.5))
    fig, axes = mosaic(2, len(CLASSES), top=0.33, bottom=0.5)
    for c, (top, low) in enumerate(axes.T):
        top.set_title(stacked(term(CLASSES[c])), fontsize=7.5, pad=3, linespacing=1.05)
        if c in means:
            count = int((faces.labels == c).sum())
            difference = shapes[c] - overall
            show_face(top, mean_face(means[c], count))
            low.imshow(
                release(difference) if count >= CROWD else difference,
                cmap=style.DIVERGING,
                vmin=-limit,
                vmax=limit,
            )
    row_label(axes[0, 0], _lines(Text("平均", "mean")))
    row_label(axes[1, 0], _lines(Text("與全體之差", "difference\nfrom all")))
    colour_bar(
        fig, style.DIVERGING, low=-limit, high=limit, ticks=[-limit, 0, limit], y=0.38,
        label=tr("較暗（−）或較亮（+），灰階值", "darker (−) or brighter (+), grey levels"),
    )  # fmt: skip
    fig.axes[-1].set_xticklabels([f"{-limit:.0f}", "0", f"+{limit:.0f}"])
    return fig


def _lines(text: Text | str) -> str:
    return stacked(text) if isinstance(text, Text) else text
