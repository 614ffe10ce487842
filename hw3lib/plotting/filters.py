"""What filters look for: kernels, responses, patches, sheets of filters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from hw3lib.data.faces import CLASSES, Faces
from hw3lib.interpretation.ascent import Ascent
from hw3lib.interpretation.filters import FilterLayer, Patch, Survey, field_size, top_patches
from hw3lib.plotting import style
from hw3lib.plotting.images import Scale, image_grid, rows_of, signed
from hw3lib.plotting.publishing import CROWD, SMALL, publishing, release
from hw3lib.plotting.style import house_style
from hw3lib.text import Text, term

ACROSS = 16  # kernels in a row
MEAN_OF = 60  # patches in the mean that a published report shows


def grey_kernels(layer: FilterLayer) -> np.ndarray:
    """(K, kh, kw): what each filter does to a grey image, channels summed."""
    return layer.kernels.sum(1).float().cpu().numpy()


def kernel_sheet(kernels: Mapping[Text | str, np.ndarray], *, most: int = 64) -> Axes:
    """The kernels of each network, numbered, every network on its own symmetric scale.

    kernels : title -> (K, kh, kw), summed over the channels
    """
    rows, titles, labels = [], [], []
    for title, values in kernels.items():
        top, numbers = float(np.abs(values).max()), list(map(str, range(len(values))))
        drawn = rows_of([signed(kernel, top) for kernel in values[:most]], ACROSS)
        rows, titles = [*rows, *drawn], [*titles, *rows_of(numbers[:most], ACROSS)]
        labels += [title, *[""] * (len(drawn) - 1)]
    name = Text("權重，除以該網路的最大絕對值", "weight over the network's largest absolute one")
    return image_grid(rows, titles=titles, labels=labels, scale=Scale(name))


def response_sheet(
    images: np.ndarray, maps: np.ndarray, kernels: np.ndarray, filters: Sequence[int]
) -> Axes:
    """Kernels on top, faces on the left, the signed response of each filter to each face.

    images : (n, 48, 48) uint8;  maps : (n, F, h, w) responses of `filters`;  kernels : (F, kh, kw)
    """
    tops = np.quantile(np.abs(maps), 0.995, axis=(0, 2, 3))
    rows = [[None, *map(signed, kernels)]]
    rows += [[face, *(signed(m, float(top)) for m, top in zip(responses, tops, strict=True))]
             for face, responses in zip(images, maps, strict=True)]  # fmt: skip
    name = Text("反應，每個濾波器各自對稱；藍色處 ReLU 不通過",
                "response, symmetric for each filter; blue does not pass the ReLU")  # fmt: skip
    labels = ["kernel", "response", *[""] * (len(images) - 1)]
    columns = ["", *map(str, filters)]
    return image_grid(rows, columns=columns, labels=labels, scale=Scale(name))


def filter_labels(filters: Sequence[int], profile: np.ndarray) -> list[Text]:
    """Number and preferred class of each filter; profile (K, 7)."""
    classes = [term(CLASSES[int(np.nanargmax(profile[f]))]) for f in filters]
    return [Text(f"{f}：{c.zh}", f"{f}: {c.en}") for f, c in zip(filters, classes, strict=True)]


@house_style()
def filter_sheet(
    networks: Mapping[Text | str, tuple[Sequence[Text | str], Mapping[str, Sequence[Sequence]]]],
    *,
    computed: int = 0,
    profiles: Sequence[np.ndarray] = (),
) -> Axes:
    """A column for each filter, rows for each kind of image; the networks side by side.

    Parameters
    ----------
    networks : title -> (filters' names, kind -> rows of images, in each one for every filter)
    computed : so many first kinds are nobody's faces, but kernels or found by ascent
    profiles : of each network (F, 7): bars in the order of the classes below its filters, all on
        one scale
    """
    parts = list(networks.values())
    kinds = {kind: len(rows) for _, images in parts for kind, rows in images.items()}
    rows, labels = [], []
    for k, (kind, count) in enumerate(kinds.items()):
        for r in range(count):
            row = [i for names, images in parts for i in _row(images, kind, r, len(names))]
            rows.append([release(image) for image in row] if k < computed else row)
            labels.append("" if r else kind)
    if len(profiles):
        rows, labels = [*rows, [None] * len(rows[0])], [*labels, Text("各類別", "by class")]
    columns = [name for names, _ in parts for name in names]
    groups = {title: len(names) for title, (names, _) in networks.items()}
    ax = image_grid(rows, columns=columns, labels=labels, groups=groups)
    if len(profiles):
        _class_bars(ax, np.nan_to_num(np.concatenate(profiles)))
    return ax


def _row(images: Mapping[str, Sequence], kind: str, r: int, width: int) -> Sequence:
    rows = images.get(kind, ())
    return rows[r] if r < len(rows) else [None] * width


def _class_bars(ax: Axes, profiles: np.ndarray) -> None:
    """Bars in the last row of a grid, the highest dark; one scale for all."""
    middle = ax.get_ylim()[0] - 0.5
    top = float(np.abs(profiles).max()) or 1.0
    for centre, profile in zip(ax.get_xticks(), profiles, strict=True):
        x = centre + 0.9 * (np.arange(len(profile)) / len(profile) - 0.5 + 0.5 / len(profile))
        colours = [style.RED if c == profile.argmax() else "#9CC4DE" for c in range(len(profile))]
        ax.bar(x, -0.5 * profile / top, 0.1, bottom=middle, color=colours)
        ax.plot([x[0] - 0.07, x[-1] + 0.07], [middle] * 2, color=style.BLACK, lw=0.5)


def ascent_spread(ascent: Ascent, data: Survey) -> pd.DataFrame:
    """For `curves`: strength by step over that of the data's best image; median and range.

    Filters that no image of the data excites are left out.
    """
    best = data.mean[:, ascent.filters].max(axis=0)[:, None]
    ratio = np.divide(ascent.best, best, where=best > 0, out=np.full(ascent.best.shape, np.nan))
    values = np.nanquantile(ratio, [0.5, 0, 1], axis=0).T
    return pd.DataFrame(values, index=ascent.steps, columns=["value", "low", "high"])


def patch_rows(
    seen: Survey,
    fields: np.ndarray,
    filters: Sequence[int],
    faces: Faces,
    *,
    by: str,
    count: int = 3,
) -> dict[str, list[list[np.ndarray]]]:
    """For `filter_sheet`: `count` rows of the patches of data that excite each filter most.

    In a published report, where a patch could be a face, one row: what many have in common.
    """
    if publishing() and not faces.synthetic and max(field_size(fields)) >= SMALL:
        return {"mean difference": [_mean_patches(seen, fields, filters, faces, by=by)]}
    patches = [top_patches(seen, fields, f, count=count, by=by, group=faces.group) for f in filters]
    return {"top patches": [[_cut(faces.images, p[c]) for p in patches] for c in range(count)]}


def _mean_patches(
    seen: Survey, fields: np.ndarray, filters: Sequence[int], faces: Faces, *, by: str
) -> list[np.ndarray]:
    """What the MEAN_OF patches that excite each filter most have beyond the mean face.

    The mean of the patches, of those as large as most, less the mean of all faces in their places:
    grey where nothing differs, the largest difference white or black. The mean alone would look
    much like one of the faces.
    """
    shown, typical = [], faces.images.mean(axis=0)
    for f in filters:
        patches = top_patches(seen, fields, f, count=MEAN_OF, by=by, group=faces.group)
        beyond = [_cut(faces.images, p) - _cut(typical[None], p._replace(row=0)) for p in patches]
        shapes = [p.shape for p in beyond]
        usual = max(set(shapes), key=shapes.count)
        same = [p for p in beyond if p.shape == usual]
        mean = np.mean(same, axis=0)
        grey = 127.5 + 127.5 * mean / max(float(np.abs(mean).max()), 1e-9)
        shown.append(release(grey) if len(same) >= CROWD else grey)
    return shown


def _cut(images: np.ndarray, patch: Patch) -> np.ndarray:
    top, bottom, left, right = patch.box
    return images[patch.row, top:bottom, left:right]
