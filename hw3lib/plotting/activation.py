"""Figures of notebook 08: kernels, responses, sheets of filter pictures, profiles, ascent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hw3lib.activation import FilterLayer, Patch, Survey, field_size, top_patches
from hw3lib.data.faces import CLASSES, Faces
from hw3lib.plotting import style
from hw3lib.plotting.mosaic import colour_bar, mosaic, row_label, stacked, two_lines
from hw3lib.portraits import CROWD, SMALL, publishing, release
from hw3lib.text import Text, term, tr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hw3lib.ascent import Ascent

ACROSS = 16  # kernels in a row
MEAN_OF = 60  # patches in the mean that a published report shows


def grey_kernels(layer: FilterLayer) -> np.ndarray:
    """(K, kh, kw): what each filter does to a grey picture, channels summed."""
    return layer.kernels.sum(1).float().cpu().numpy()


def signed(ax: Axes, values: np.ndarray, *, top: float | None = None) -> Axes:
    """Blue below zero, white at it, red above, on [-top, top] (default: the largest size)."""
    top = top or float(np.abs(values).max()) or 1.0
    ax.imshow(values, cmap=style.DIVERGING, vmin=-top, vmax=top)
    return ax


def kernel_sheet(layers: Mapping[Text, FilterLayer], *, most: int = 64) -> Figure:
    """The kernels of each network's layer, every network on its own symmetric scale."""
    blocks = [(title, grey_kernels(layer)[:most]) for title, layer in layers.items()]
    rows = [-(-len(kernels) // ACROSS) for _, kernels in blocks]
    fig, axes = mosaic(sum(rows), ACROSS, top=0.3, bottom=0.42, row_gap=0.22)
    line = 0
    for (title, kernels), count in zip(blocks, rows, strict=True):
        places = axes[line : line + count].ravel()
        for number, (ax, kernel) in enumerate(zip(places, kernels, strict=False)):
            signed(ax, kernel, top=float(np.abs(kernels).max()))
            ax.set_title(str(number), fontsize=6.5, pad=1.5)
        row_label(axes[line, 0], stacked(title))
        line += count
    label = tr("權重，除以該網路第一層的最大絕對值　",
               "weight over the network's largest absolute one")  # fmt: skip
    colour_bar(fig, style.DIVERGING, low=-1, high=1, ticks=[-1, 0, 1], label=label, y=0.36)
    return fig


def response_sheet(
    faces: np.ndarray, maps: np.ndarray, kernels: np.ndarray, filters: Sequence[int]
) -> Figure:
    """Kernels on top, faces on the left, the signed response of each filter to each face.

    faces : (n, 48, 48) uint8;  maps : (n, F, h, w) responses of `filters`;  kernels : (F, kh, kw)
    """
    fig, axes = mosaic(len(faces) + 1, len(filters) + 1, left=0.05, top=0.3, bottom=0.5)
    for ax, kernel, number in zip(axes[0, 1:], kernels, filters, strict=True):
        signed(ax, kernel).set_title(f"{number}", fontsize=8)
    axes[0, 0].text(0.5, 0.5, stacked(term("filter")), ha="center", va="center", fontsize=8,
                    transform=axes[0, 0].transAxes)  # fmt: skip
    for line, face, responses in zip(axes[1:], faces, maps, strict=True):
        line[0].imshow(face, cmap="gray", vmin=0, vmax=255)
        for ax, values, column in zip(line[1:], responses, maps.swapaxes(0, 1), strict=True):
            signed(ax, values, top=float(np.quantile(np.abs(column), 0.995)))
    label = tr("反應，每個濾波器各自對稱；藍色處 ReLU 不通過　",
               "response, symmetric for each filter; blue does not pass the ReLU")  # fmt: skip
    colour_bar(fig, style.DIVERGING, low=-1, high=1, ticks=[-1, 0, 1], label=label, y=0.36)
    return fig


def picture_sheet(
    columns: Sequence[tuple[Text, Sequence[np.ndarray]]],
    labels: Sequence[Text],
    *,
    kernels: int = 0,
    computed: int = 0,
    width: float = style.TEXT_WIDTH,
) -> Figure:
    """A row for each filter, a column for each kind of picture, each square.

    columns : (title, one (h, w) array for each row), grey values in [0, 255]; an empty title goes
        on under the one before;  kernels : so many first columns are drawn signed;  width : inches
    computed : so many first columns are nobody's pictures, but kernels or found by ascent
    """
    fig, axes = mosaic(len(labels), len(columns), width=width, left=0.95)
    for c, (title, pictures) in enumerate(columns):
        for ax, picture in zip(axes[:, c], pictures, strict=True):
            picture = release(picture) if c < computed else picture
            if c < kernels:
                signed(ax, picture)
            else:
                ax.imshow(picture, cmap="gray", vmin=0, vmax=255)
        axes[0, c].set_title(stacked(title), fontsize=8, loc="left")
    for ax, label in zip(axes[:, 0], labels, strict=True):
        row_label(ax, stacked(label))
    return fig


def profile_heatmaps(profiles: Mapping[Text, tuple[Sequence[int], np.ndarray]]) -> Figure:
    """For each network the class profile of its chosen filters, one symmetric scale.

    profiles : title -> (filter numbers, (F, 7) in standard deviations)
    """
    import seaborn as sns

    top = max(float(np.nanmax(np.abs(p))) for _, p in profiles.values())
    fig, axes = style.subplots(1, len(profiles), height=2.9, squeeze=False)
    for ax, (title, (filters, profile)) in zip(axes[0], profiles.items(), strict=True):
        last = ax is axes[0, -1]
        sns.heatmap(
            profile, ax=ax, cmap=style.DIVERGING, vmin=-top, vmax=top, annot=True, fmt=".1f",
            annot_kws={"fontsize": 7}, linewidths=0.5, cbar=last, yticklabels=list(filters),
            xticklabels=[stacked(term(c)) for c in CLASSES],
            cbar_kws={"label": two_lines("標準差", "standard deviations")},
        )  # fmt: skip
        ax.set_title(stacked(title))
        ax.tick_params(axis="x", labelrotation=90, labelsize=7.5, length=0)
        ax.tick_params(axis="y", labelrotation=0, labelsize=7.5, length=0)
        ax.set_ylabel(stacked(term("filter")))
    return fig


def ascent_curves(panels: Mapping[Text, Mapping[Text, tuple[Ascent, np.ndarray]]]) -> Figure:
    """Best strength so far on the picture itself, over that of the data's best picture (1).

    panels : network -> series -> (Ascent, (F,) strength of the data's best picture); one thin
        line a filter, the median thick
    """
    fig, axes = style.subplots(1, len(panels), height=2.7, squeeze=False)
    looks = [(style.BLUE, "-"), (style.ORANGE, "--")]
    for ax, (title, series) in zip(axes[0], panels.items(), strict=True):
        for (name, (ascent, top)), (colour, dash) in zip(series.items(), looks, strict=False):
            alive = top > 0
            curves = ascent.best[alive] / top[alive, None]
            ax.plot(ascent.steps, curves.T, color=colour, linestyle=dash, linewidth=0.7, alpha=0.45)
            if len(curves):
                ax.plot(ascent.steps, np.median(curves, axis=0), color=colour, linestyle=dash,
                        linewidth=2, label=str(name))  # fmt: skip
        ax.axhline(1, color=style.BLACK, linewidth=0.8, linestyle=":")
        ax.set(title=stacked(title), ylim=(0, None), xlim=(0, None))
        ax.set_xlabel(two_lines("步數", "steps"))
    axes[0, 0].set_ylabel(two_lines("強度 ÷ 資料中最佳影像", "strength ÷ best in the data"))
    handles, names = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=2, fontsize=7.5)
    return fig


def patch_columns(
    seen: Survey,
    fields: np.ndarray,
    filters: Sequence[int],
    faces: Faces,
    *,
    by: str,
    count: int = 5,
    brief: bool = False,
) -> list[tuple[Text, list[np.ndarray]]]:
    """For picture_sheet: `count` columns of the patches of data that excite each filter most.

    brief : a title of one word, for narrow columns

    In a published report, where a patch could be a face, one column: what many have in common.
    """
    if publishing() and not faces.synthetic and max(field_size(fields)) >= SMALL:
        title, means = _mean_patches(seen, fields, filters, faces, by=by)
        return [(Text("平均之差", "mean, less all") if brief else title, means)]
    patches = [top_patches(seen, fields, f, count=count, by=by, group=faces.group) for f in filters]
    title = Text("資料中最強的區塊", "strongest patches in the data")
    title = Text("資料", "data") if brief else title
    return [
        (title if c == 0 else Text("", ""), [_cut(faces.images, row[c]) for row in patches])
        for c in range(count)
    ]


def _mean_patches(
    seen: Survey, fields: np.ndarray, filters: Sequence[int], faces: Faces, *, by: str
) -> tuple[Text, list[np.ndarray]]:
    """What the MEAN_OF patches that excite each filter most have beyond the mean face.

    The mean of the patches, of those as large as most, less the mean of all faces in their places:
    grey where nothing differs, the largest difference white or black. The mean alone would look
    much like one of the faces.
    """
    shown, typical = [], faces.images.mean(axis=0)
    for f in filters:
        patches = top_patches(seen, fields, f, count=MEAN_OF, by=by, group=faces.group)
        beyond = [_cut(faces.images, p) - _cut(typical[None], replace(p, row=0)) for p in patches]
        shapes = [p.shape for p in beyond]
        usual = max(set(shapes), key=shapes.count)
        same = [p for p in beyond if p.shape == usual]
        mean = np.mean(same, axis=0)
        grey = 127.5 + 127.5 * mean / max(float(np.abs(mean).max()), 1e-9)
        shown.append(release(grey) if len(same) >= CROWD else grey)
    title = Text(f"最強 {MEAN_OF} 塊減平均臉", f"{MEAN_OF} strongest,\nless mean face")
    return title, shown


def _cut(images: np.ndarray, patch: Patch) -> np.ndarray:
    top, bottom, left, right = patch.box
    return images[patch.row, top:bottom, left:right]


def filter_labels(filters: Sequence[int], profile: np.ndarray) -> list[Text]:
    """Number and preferred class of each filter; profile (K, 7)."""
    classes = [term(CLASSES[int(np.nanargmax(profile[f]))]) for f in filters]
    return [Text(f"{f}：{c.zh}", f"{f}: {c.en}") for f, c in zip(filters, classes, strict=True)]
