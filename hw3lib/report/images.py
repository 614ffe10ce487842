"""A figure's pictures on the web page: each different one once, and what they share once."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np

from hw3lib import UserError
from hw3lib.text import LANGUAGES

IMAGES = ("image/webp", "image/png", "image/svg+xml")
WORTH = 0.8  # of the bytes of the whole pictures; more than that is not worth two layers
UNQUOTED = " !$'()*+,-./:;=?@[]^_`{|}~"  # what a data URI may hold as it is, within double quotes


@dataclass(frozen=True)
class Pictures:
    """variants : (languages, picture) of each different one, a picture being {"mime", "data",
    "width", "height"} as `hw3lib.report.show` makes it; over `base`, where there is one, they hold
    only what they do not share and are transparent elsewhere.
    """

    variants: list[tuple[tuple[str, ...], dict]]
    base: dict | None = None


def pictures(variants: dict[str, dict]) -> Pictures:
    """The pictures of a figure; `variants` is language -> picture.

    Rasters of one size differ in their words alone: where it saves bytes, what they share becomes
    a picture of its own.
    """
    groups: dict[str, list[str]] = {}
    for code in LANGUAGES:
        groups.setdefault(variants[code]["data"], []).append(code)
    whole = [(tuple(codes), variants[codes[0]]) for codes in groups.values()]
    if len(whole) == 1 or any(image["mime"] != "image/webp" for _, image in whole):
        return Pictures(whole)
    try:
        base, layers = _layers([image for _, image in whole])
    except (ValueError, OSError):  # no picture that can be read
        return Pictures(whole)
    before = sum(len(image["data"]) for _, image in whole)
    if base is None or len(base["data"]) + sum(len(i["data"]) for i in layers) > WORTH * before:
        return Pictures(whole)
    return Pictures([(codes, i) for (codes, _), i in zip(whole, layers, strict=True)], base)


def uri(image: dict) -> str:
    """The picture as an address that holds it; to stand within double quotes."""
    if image["mime"] not in IMAGES:
        raise UserError(f"a figure of type {image['mime']!r}; known are {', '.join(IMAGES)}")
    if image["mime"] != "image/svg+xml":
        return f"data:{image['mime']};base64,{image['data']}"
    try:
        drawn = base64.b64decode(image["data"]).decode("utf-8")
    except ValueError:  # no SVG; nothing will be shown
        return "data:,"
    if "'" not in drawn:
        drawn = drawn.replace('"', "'")  # which need no escape; all in all a quarter shorter
    return f"data:{image['mime']},{quote(drawn, safe=UNQUOTED)}"


def _layers(images: list[dict]) -> tuple[dict | None, list[dict]]:
    """(what all share, what each has besides); (None, []) where their sizes differ."""
    drawn = [_pixels(image) for image in images]
    if len({pixels.shape for pixels in drawn}) > 1:
        return None, []
    differ = np.any([(pixels != drawn[0]).any(axis=2) for pixels in drawn[1:]], axis=0)
    shared = np.where(differ[..., None], np.uint8(255), drawn[0])
    alpha = np.where(differ, np.uint8(255), np.uint8(0))
    return _packed(shared, images[0]), [
        _packed(np.dstack([pixels, alpha]), image)
        for pixels, image in zip(drawn, images, strict=True)
    ]


def _pixels(image: dict) -> np.ndarray:
    """(H, W, 3) uint8"""
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(image["data"]))) as opened:
        return np.asarray(opened.convert("RGB"))


def _packed(pixels: np.ndarray, like: dict) -> dict:
    from PIL import Image

    from hw3lib.plotting.encoding import webp

    return {**like, "data": base64.b64encode(webp(Image.fromarray(pixels))).decode()}
