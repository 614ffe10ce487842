"""Figures of notebook 07: attributions on faces, the regions of a face, the checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hw3lib.bilingual import Text, term, tr
from hw3lib.data.faces import CLASSES, Faces
from hw3lib.inference import logits
from hw3lib.plotting import style
from hw3lib.plotting.mosaic import bare, colour_bar, mosaic, row_label, stacked, two_lines
from hw3lib.portraits import MANY, exhibit, release
from hw3lib.saliency import METHODS, attribute_all
from hw3lib.saliency_checks import REGIONS, region_masks

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS = {  # method -> colour, marker
    "gradient": (style.BLUE, "o"),
    "smoothgrad": (style.SKY, "s"),
    "integrated_gradients": (style.GREEN, "D"),
    "grad_cam": (style.ORANGE, "^"),
    "guided_backprop": (style.RED, "X"),
}
REGION_TITLES = {
    "brows": Text("眉毛", "brows"),
    "eyes": Text("眼睛", "eyes"),
    "nose": Text("鼻子", "nose"),
    "mouth": Text("嘴巴", "mouth"),
    "outline": Text("臉部輪廓", "outline"),
    "rest of the face": Text("臉的其餘部分", "rest of the face"),
    "background": Text("背景", "background"),
}


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
    titles = (Text("人臉", "face"), *(METHODS[m].title for m in maps))
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


def class_means(faces: np.ndarray, maps: Mapping[str, np.ndarray], counts: Sequence[int]) -> Figure:
    """Mean face of each class and, below, each method's mean importance over it.

    faces  : (7, 48, 48), NaN for a class without pictures;  maps : method -> (7, 48, 48) >= 0
    counts : pictures in each class's mean importance
    """
    fig, axes = mosaic(1 + len(maps), len(CLASSES), top=0.6, bottom=0.45)
    for c, column in enumerate(axes.T):
        column[0].set_title(f"{stacked(term(CLASSES[c]))}\nn = {counts[c]}", fontsize=8)
        many = counts[c] >= MANY
        if not np.isnan(faces[c]).any():
            column[0].imshow(release(faces[c]) if many else faces[c], cmap="gray")
        if counts[c]:
            for ax, values in zip(column[1:], maps.values(), strict=True):
                overlay(ax, faces[c], values[c], signed=False, released=many)
    for line, name in zip(axes[1:, 0], maps, strict=True):
        title = METHODS[name].title
        row_label(line, stacked(Text(title.zh, title.en.replace(" ", "\n"))))
    label = two_lines(
        "每張圖除以自己的第 99 百分位數", "each map divided by its own 99th percentile"
    )
    label = label.replace("\n", "　")
    colour_bar(fig, "YlOrRd", low=0, high=1, ticks=[0, 1], label=label, y=0.34)
    return fig


def region_chart(face: np.ndarray, densities: Mapping[str, pd.DataFrame]) -> Figure:
    """The regions on the mean face, and how densely each holds the attribution.

    face      : (48, 48), the mean of all
    densities : series -> frame with columns region, value, low, high (1 is an even map), one row
        for each of REGIONS; the first series is drawn filled, others hollow
    """
    fig, (left, right) = style.subplots(1, 2, height=2.9, width_ratios=[1, 2.1])
    bare(left).imshow(release(face), cmap="gray")
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
        ax.set(title=stacked(title), xlim=(-0.02, 1.02), ylim=(-0.3, 1.04))
        ax.xaxis.set_major_formatter("{x:.0%}")
        ax.set_xlabel(two_lines("重抽權重的層（由最後一層起）", "layers drawn anew, from the last"))
    axes[0].set_ylabel(two_lines("與原圖的相似度", "similarity to the map"))
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
    ax.set_xlabel(two_lines("被模糊的面積", "area blurred away"))
    ax.set_ylabel(two_lines("原預測類別的機率", "probability of the class"))
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7.5)
    return fig


def _legend_below(fig: Figure, ax: Axes) -> None:
    handles, labels = ax.get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=7.5)


def explorer(network, faces: Faces) -> None:
    """In JupyterLab: choose a picture, a method and a class, and see the map.

    Shows the controls alone, without a text in their place, so that a report holds nothing of
    it; nothing is computed before the first choice.
    """
    import ipywidgets as widgets
    from IPython.display import clear_output, display

    picture = widgets.IntSlider(0, 0, len(faces) - 1, description=tr("影像", "picture"))
    method = widgets.Dropdown(
        options=[(str(m.title), name) for name, m in METHODS.items()],
        description=tr("方法", "method"),
    )
    target = widgets.Dropdown(
        options=[(tr("網路的預測", "as predicted"), -1)]
        + [(str(term(name)), c) for c, name in enumerate(CLASSES)],
        description=str(term("class")),
    )
    output = widgets.Output()

    def update(_) -> None:
        with output:
            clear_output(wait=True)
            face = faces.subset(np.array([picture.value]))
            display(_explained(network, face, method.value, target.value))

    for control in (picture, method, target):
        control.observe(update, names="value")
    box = widgets.VBox([widgets.HBox([picture, method, target]), output])
    bundle = box._repr_mimebundle_()
    bundle.pop("text/plain", None)
    display(bundle, raw=True)


def _explained(network, faces: Faces, method: str, target: int) -> Figure:
    """The grid of one face and one method; target -1 explains the predicted class."""
    import matplotlib.pyplot as plt
    from scipy.special import softmax

    scores = softmax(logits(network, faces.images), axis=1)
    target = int(scores.argmax()) if target < 0 else target
    maps = attribute_all(network, network.prepare(faces.images), target, methods=[method])
    with style.house_style():
        fig = attribution_grid(faces, maps, decision_labels(scores, faces.labels))
    plt.close(fig)
    return fig
