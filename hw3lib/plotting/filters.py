"""What filters look for: kernels, responses, patches, sheets of filters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from hw3lib.data.faces import CLASSES, SIZE, Faces
from hw3lib.interpretation.ascent import Ascent
from hw3lib.interpretation.filters import KINDS, FilterLayer, Survey, kernel_kinds, top_patches
from hw3lib.plotting.images import Scale, image_grid, signed
from hw3lib.plotting.publishing import release
from hw3lib.plotting.style import PRINTED, WIDTH, label
from hw3lib.text import Text, as_text, term

ACROSS = 12  # kernels in a row


def grey_kernels(layer: FilterLayer) -> np.ndarray:
    """(K, kh, kw): what each filter does to a grey image, channels summed."""
    return layer.kernels.sum(1).float().cpu().numpy()


def kernel_sheet(kernels: Mapping[Text | str, np.ndarray]) -> Axes:
    """The kernels of each network, a row for each of filters.KINDS, the largest first.

    kernels : title -> (K, kh, kw), summed over the channels; each network on its own scale,
        black to white, which grey print keeps
    """
    rows, titles, labels = [], [], []
    for title, values in kernels.items():
        kinds, size = kernel_kinds(values), np.abs(values).sum((1, 2))
        for kind in [k for k in KINDS if k in kinds]:
            same = np.flatnonzero(kinds == kind)
            shown, n = same[np.argsort(-size[same])][:ACROSS], len(same)
            name, of = term(kind), as_text(title)
            rows.append([127.5 * (values[k] / np.abs(values).max() + 1) for k in shown])
            titles.append(list(map(str, shown)))
            labels.append(Text(f"{of.zh}：{name.zh}（{n}）", f"{of.en}: {kind} ({n})"))
    name = Text("權重÷該網路的最大絕對值", "weight ÷ max |weight|")
    return image_grid(rows, titles=titles, labels=labels, scale=Scale(name, "gray"), biggest=0.3)


def response_sheet(
    images: np.ndarray, maps: np.ndarray, kernels: np.ndarray, filters: Sequence[int]
) -> Axes:
    """Kernels on top, faces on the left, the signed response of each filter to each face.

    images : (n, 48, 48) uint8;  maps : (n, F, h, w) responses of `filters`;  kernels : (F, kh, kw)
    """
    tops = np.quantile(np.abs(maps), 0.995, axis=(0, 2, 3))
    rows = [[release(np.full((SIZE, SIZE), 255)), *map(signed, kernels)]]  # white corner
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
    return [Text(f"{f} {c.zh}", f"{f} {c.en}") for f, c in zip(filters, classes, strict=True)]


def filter_sheet(
    kinds: Mapping[Text | str, Sequence[Sequence]], columns: Sequence[Text | str]
) -> Axes:
    """A column for each filter, its words one to a line; kind -> rows of images, one a filter.

    So many small images take the whole width of the text in print.
    """
    rows, labels = [], []
    for kind, images in kinds.items():
        rows += images
        labels += [kind, *[""] * (len(images) - 1)]
    words = [zip(c.zh.split(), c.en.split(), strict=True) for c in map(as_text, columns)]
    heads = ["\n".join(label(Text(*pair)) for pair in pairs) for pairs in words]
    return image_grid(rows, columns=heads, labels=labels, biggest=0.5, width=WIDTH / PRINTED)


def found_images(ascent: Ascent) -> list[np.ndarray]:
    """The images of an ascent as grey values; they are nobody's faces."""
    return [release(255 * image) for image in ascent.images]


def patch_rows(
    seen: Survey,
    fields: np.ndarray,
    filters: Sequence[int],
    faces: Faces,
    *,
    by: str,
    count: int = 3,
) -> dict[str, list[list[np.ndarray]]]:
    """For `filter_sheet`: `count` rows of the patches of data that activate each filter most."""
    patches = [
        top_patches(faces.images, seen, fields, f, count=count, by=by, group=faces.group)
        for f in filters
    ]
    return {"top patches": [list(row) for row in zip(*patches, strict=True)]}
