"""Does a picture in a report look like one of the data set? How `--publish` is tested."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from hw3lib.data.faces import SIZE
from hw3lib.plotting.publishing import SMALL

ALIKE = 0.9  # correlation of grey values from which two pictures show the same
LEAST = 24  # pixels a side; a smaller part of a figure shows no face
WHITE = 250  # grey value of the paper between a figure's parts


def grey(picture) -> np.ndarray:
    """A PIL picture as (H, W) uint8, on white paper."""

    paper = Image.new("RGBA", picture.size, "white")
    paper.alpha_composite(picture.convert("RGBA"))
    return np.asarray(paper.convert("L"))


def parts(raster: np.ndarray, depth: int = 8) -> Iterator[np.ndarray]:
    """The (H, W) raster and, cut again and again where it is white from edge to edge, its parts."""
    inked = raster < WHITE
    rows, columns = (_runs(inked.any(axis)) for axis in (1, 0))
    if not rows or not columns:
        return
    raster = raster[rows[0][0] : rows[-1][1], columns[0][0] : columns[-1][1]]
    if min(raster.shape) < LEAST:
        return
    yield raster
    if depth and len(rows) * len(columns) > 1:
        top, left = rows[0][0], columns[0][0]
        for a, b in rows:
            for c, d in columns:
                yield from parts(raster[a - top : b - top, c - left : d - left], depth - 1)


def _runs(marked: np.ndarray) -> list[tuple[int, int]]:
    """(first, last + 1) of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(np.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def likeness(pictures: list[np.ndarray], images: np.ndarray) -> float:
    """The largest correlation of a picture (H, W), or of its mirror image, with one of `images`.

    Both are brought to 48 pixels a side; one grey value throughout is like nothing, nor is what
    holds fewer than SMALL pixels a side, however large each of them is drawn.
    """
    small = [_resized(p) for p in pictures if max(_pixels(p)) >= SMALL]
    if not small:
        return 0.0
    asked = _normalised(np.stack([p for s in small for p in (s, s[:, ::-1])]))
    closest = 0.0
    for start in range(0, len(images), 4096):
        known = _normalised(np.asarray(images[start : start + 4096]))
        closest = max(closest, float((known @ asked.T).max()))
    return closest


def _pixels(picture: np.ndarray) -> tuple[int, int]:
    """Rows and columns of the array that was drawn: where nothing changes it is the same pixel."""
    rows, columns = (np.diff(picture.astype(np.int16), axis=a).any(axis=1 - a) for a in (0, 1))
    return int(rows.sum()) + 1, int(columns.sum()) + 1


def _resized(picture: np.ndarray) -> np.ndarray:

    small = Image.fromarray(picture).resize((SIZE, SIZE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32)


def _normalised(images: np.ndarray) -> np.ndarray:
    """(N, 48, 48) -> (N, 2304) float32 of mean 0 and length 1, or 0 where all is one grey."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return flat / np.where(length > 1e-3, length, np.inf)
