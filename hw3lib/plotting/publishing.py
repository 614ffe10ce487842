"""Whose face a figure may show: in a published report of real data, no single person's.

The photographs are of real people and not ours to spread. Every figure of a report passes
`hw3lib.report.show.figure`, and there, while a report is being published, `covered` puts a grey
silhouette over every picture that nobody has vouched for. So a notebook that knows nothing of this
shows silhouettes, and what may be shown has to say why:

- `release`: the array is no single person's picture (a map's mean, a picture found by ascent);
- `mean_face`: the same for the mean of many faces, which may look much like one of them;
- `exhibit`: synthetic faces stand in for the photographs; `figure(..., of=...)` names them, and
  with them what is made of them (augmented, filtered, attributed);
- arrays smaller than `SMALL` show no face.
"""

from __future__ import annotations

import hashlib
import os

import numpy as np
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.image import AxesImage, BboxImage, FigureImage

from hw3lib import PUBLISH
from hw3lib.data.faces import CLASSES, SIZE, Faces
from hw3lib.data.synthetic import draw_images
from hw3lib.text import Text

SMALL = 16  # pixels a side, below which a picture is nobody's portrait
SPREAD = 1.5  # power of a mean face's grey values in a published report
MANY = 10  # maps in a mean, from which it is nobody's portrait; a report has 15 of each class
CROWD = 30  # faces in a mean face, from which it is
WITHHELD = Text(
    "（照片不公開，以灰色剪影代替。）", " (The photographs are withheld; silhouettes stand in.)"
)
STAND_INS = Text(
    "（以合成人臉代替不公開的照片。）", " (Synthetic faces stand in for the photographs.)"
)
_released: set[bytes] = set()


def publishing() -> bool:
    """Is this report made to be published?"""
    return os.environ.get(PUBLISH) == "1"


def release(picture: np.ndarray) -> np.ndarray:
    """Vouch that the picture, an array just as it will be drawn, is no single person's."""
    _released.add(_digest(picture))
    return picture


def mean_face(picture: np.ndarray, count: int) -> np.ndarray:
    """The mean of `count` faces, (48, 48) of grey values from 0, as it may be drawn.

    Of fewer than CROWD it is not released. While a report is being published its grey values are
    raised to a power, which darkens it: the mean of FER2013's 7,215 happy faces correlates 0.90
    with one of them, so spread 0.88.
    """
    if count < CROWD:
        return picture
    if publishing() and (top := float(np.max(picture))) > 0:
        picture = top * (np.asarray(picture, dtype=float) / top) ** SPREAD
    return release(picture)


def exhibit(faces: Faces) -> Faces:
    """Faces that may be shown in place of these: the same, or synthetic ones with their labels.

    Only what is drawn may come from them; every number comes from the faces themselves.
    """
    if not publishing() or faces.synthetic:
        return faces
    labels = np.where(faces.labels < 0, CLASSES.index("Neutral"), faces.labels)
    images, group = draw_images(labels, np.random.default_rng(0)), np.arange(len(labels))
    return Faces(images, faces.labels, faces.ids, faces.split, group, layout="synthetic")


def covered(fig: Figure, of: Faces | None = None) -> Text:
    """Put silhouettes over what the figure may not show; what its caption says of it.

    of : the faces that it is made of, where stand-ins; then it stays as it is
    """
    if of is not None and of.synthetic:
        return STAND_INS
    return WITHHELD if cover(fig) else Text("", "")


def cover(fig: Figure) -> int:
    """Put a silhouette in place of every picture in the figure that is not released; how many.

    Whatever matplotlib draws from an array counts: images, also those in boxes and insets, and
    meshes.
    """
    count, drawn_from_arrays = 0, (AxesImage, BboxImage, FigureImage, QuadMesh)
    for artist in fig.findobj(lambda a: isinstance(a, drawn_from_arrays)):
        values = artist.get_array()
        if values is None or min(np.shape(values)[:2]) < SMALL or _digest(values) in _released:
            continue
        if isinstance(artist, QuadMesh):
            artist.set_array(np.zeros(np.shape(values)))
        else:
            drawn = silhouette()
            artist.set_data(drawn)
            artist.set_alpha(np.ones(drawn.shape[:2]))  # None fails where it was an array
        count += 1
    return count


def silhouette() -> np.ndarray:
    """(48, 48, 4) uint8: head and shoulders of nobody."""
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    head = ((x - 24) / 9) ** 2 + ((y - 18) / 11) ** 2 < 1
    shoulders = ((x - 24) / 20) ** 2 + ((y - 50) / 17) ** 2 < 1
    grey = np.where(head | shoulders, 196, 232).astype(np.uint8)
    return np.dstack([grey, grey, grey, np.full_like(grey, 255)])


def _digest(values: np.ndarray) -> bytes:
    values = np.ma.getdata(values)
    stated = f"{values.shape} {values.dtype}".encode()
    return hashlib.blake2b(stated + values.tobytes()).digest()
