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


def grey(picture: Image.Image) -> np.ndarray:
    """(H, W) uint8, on white paper."""
    paper = Image.new("RGBA", picture.size, "white")
    paper.alpha_composite(picture.convert("RGBA"))
    return np.asarray(paper.convert("L"))


def parts(raster: np.ndarray, depth: int = 8) -> Iterator[np.ndarray]:
    """The (H, W) raster and, cut again and again where it is white from edge to edge, its parts."""
    inked = raster < WHITE
    rows, columns = (_stretches(inked.any(axis)) for axis in (1, 0))
    if not rows or not columns:
        return
    raster = raster[rows[0].start : rows[-1].stop, columns[0].start : columns[-1].stop]
    if min(raster.shape) < LEAST:
        return
    yield raster
    if depth and len(rows) * len(columns) > 1:
        top, left = rows[0].start, columns[0].start
        for r in rows:
            for c in columns:
                cell = raster[r.start - top : r.stop - top, c.start - left : c.stop - left]
                yield from parts(cell, depth - 1)


def _stretches(marked: np.ndarray) -> list[slice]:
    """Each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(np.int8), [0]])))
    return [slice(*ends) for ends in edges.reshape(-1, 2)]


def likeness(pictures: list[np.ndarray], images: np.ndarray) -> float:
    """The largest correlation of a picture (H, W), or of its mirror image, with one of `images`.

    Both are brought to 48 pixels a side; one grey value throughout is like nothing, nor is what
    holds fewer than SMALL pixels a side, however large each of them is drawn.
    """
    small = [_resized(p) for p in pictures if max(_pixels(p)) >= SMALL]
    if not small:
        return 0.0
    asked = _normalised(np.stack([p for s in small for p in (s, s[:, ::-1])]))
    starts = range(0, len(images), 4096)
    return max(float((_normalised(images[s : s + 4096]) @ asked.T).max()) for s in starts)


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
