"""A figure as a file for the page: a chart as SVG, what holds pictures as lossless WebP."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

from hw3lib.plotting.svg import compact

if TYPE_CHECKING:
    from matplotlib.collections import Collection
    from matplotlib.figure import Figure
    from PIL.Image import Image

DPI = 200  # of pictures; a chart without pictures stays vector
HEAVY = 400_000  # bytes of an SVG (a cloud of points), from which the raster is smaller
MESH = 24  # lines of a mesh each way, beyond which it is a picture


def encode(fig: Figure) -> dict:
    """{"mime", "data" (base64), "width", "height" (points)} of the figure, which is then closed."""
    import matplotlib.pyplot as plt

    pictures = any(ax.images or any(map(_fine_mesh, ax.collections)) for ax in fig.axes)
    data, mime = (b"", "") if pictures else (_svg(fig), "image/svg+xml")
    if pictures or len(data) > HEAVY:
        data, mime = _raster(fig), "image/webp"
    width, height = fig.get_size_inches() * 72
    plt.close(fig)
    encoded = base64.b64encode(data).decode()
    return {"mime": mime, "data": encoded, "width": float(width), "height": float(height)}


def webp(picture: Image) -> bytes:
    """Without loss; a little over half the size of a PNG."""
    packed = io.BytesIO()
    picture.save(packed, "WEBP", lossless=True, quality=30, method=2)
    return packed.getvalue()


def _fine_mesh(collection: Collection) -> bool:
    """A mesh of as many cells as a picture has; a confusion matrix or a colour bar is none."""
    from matplotlib.collections import QuadMesh

    return isinstance(collection, QuadMesh) and min(collection.get_coordinates().shape[:2]) > MESH


def _svg(fig: Figure) -> bytes:
    import matplotlib.pyplot as plt

    buffer = io.StringIO()
    unstated = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with plt.rc_context({"svg.hashsalt": "hw3"}):
        fig.savefig(buffer, format="svg", metadata=unstated)
    return compact(buffer.getvalue()).encode()


def _raster(fig: Figure) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=DPI)
    with Image.open(buffer) as picture:
        return webp(picture.convert("RGB"))
