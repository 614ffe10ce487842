"""From the bytes of an image file, or an array of any shape, to a face of 48 x 48 grey pixels."""

from __future__ import annotations

import io
from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from hw3lib.data.faces import SIZE, DataError

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP")  # what cameras and browsers save
MAX_PIXELS = 32_000_000  # a large photograph; more is a mistake or an attack
MAX_BYTES = 64 * 2**20  # of one image file
MAX_SCANS = 64  # of a JPEG; progressive ones have about ten, and each costs as much as an image
_SCAN = b"\xff\xda"  # the marker before each; within a scan's own bytes it cannot stand


def open_image(data: bytes, where: str) -> Image.Image:
    """The image that the bytes of a file hold; format and size are judged before it is decoded.

    Raises
    ------
    DataError
        naming `where`: another format, too large. For damaged bytes, what Pillow raises.
    """
    if len(data) > MAX_BYTES:
        raise DataError(f"{where}: {len(data):,} bytes is no image of a face; remove it")
    if data.startswith(b"\xff\xd8") and data.count(_SCAN) > MAX_SCANS:
        raise DataError(
            f"{where}: a JPEG of {data.count(_SCAN):,} scans would take too long; save it again"
        )
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        pixels = image.width * image.height
    except UnidentifiedImageError:
        raise DataError(
            f"{where}: not an image in a format that is read ({', '.join(FORMATS)}); "
            "save it as PNG, or remove it"
        ) from None
    except Image.DecompressionBombError:
        pixels = MAX_PIXELS + 1
    if pixels > MAX_PIXELS:
        raise DataError(
            f"{where}: more than {MAX_PIXELS // 10**6} million pixels; make the image smaller, "
            f"{SIZE} x {SIZE} is enough"
        )
    if image.format == "PNG":  # a broken chunk would be skipped, and what it held be black
        Image.open(io.BytesIO(data), formats=FORMATS).verify()
    image.load()
    return image


def to_face(image: Image.Image) -> np.ndarray:
    """An image of any size and mode -> (48, 48) uint8 grey.

    Turned upright by its EXIF tag; what is not square is cropped around its centre, then
    brought to size by an area-averaging bilinear filter. 48 x 48 grey passes unchanged.
    """
    if image.size == (SIZE, SIZE) and image.mode == "L":
        return np.array(image)
    if image.mode.startswith("I"):  # 16-bit PNG; convert("L") would clip it
        image = Image.fromarray((np.asarray(image) // 257).clip(0, 255).astype(np.uint8))
    image = ImageOps.exif_transpose(image).convert("L")
    if image.size != (SIZE, SIZE):
        image = ImageOps.fit(image, (SIZE, SIZE), method=Image.Resampling.BILINEAR)
    return np.array(image)


def to_faces(images: Iterable[Image.Image], places: list[str]) -> tuple[np.ndarray, list[str]]:
    """(N, 48, 48) uint8 of the images at these N places, and a line if some had to be resized."""
    faces, resized = np.empty((len(places), SIZE, SIZE), np.uint8), []
    for row, (place, image) in enumerate(zip(places, images, strict=True)):
        faces[row] = to_face(image)
        if image.size != (SIZE, SIZE):
            resized.append(f"{place}, {image.width} x {image.height}")
    line = f"{len(resized)} images are not {SIZE} x {SIZE} and were resized (the first: {{}})"
    return faces, [line.format(first) for first in resized[:1]]


def as_faces(array: np.ndarray, where: str) -> tuple[np.ndarray, list[str]]:
    """As `to_faces`, from an array of any unambiguous shape and scale.

    Shapes: (N, H, W), (N, H, W, 1 or 3), (N, 1, H, W), (N, 2304). Values as in `as_bytes`.
    """
    shape = array.shape
    if array.ndim == 2 and shape[1] == SIZE * SIZE:
        array = array.reshape(-1, SIZE, SIZE)
    elif array.ndim == 4 and 1 in (shape[1], shape[3]):
        array = array.squeeze(1 if shape[1] == 1 else 3)
    coloured = array.ndim == 4 and array.shape[3] == 3
    if (
        (array.ndim != 3 and not coloured)
        or min(array.shape[1:3]) < 8
        or array.dtype.kind not in "iuf"
    ):
        raise DataError(
            f"{where}: shape {shape}, {array.dtype} is no array of images; "
            f"give (N, {SIZE}, {SIZE}) uint8"
        )
    places = rows_of(where, len(array))
    array = np.ascontiguousarray(as_bytes(array, places))
    if array.shape[1:] == (SIZE, SIZE):
        return array, []
    return to_faces(map(Image.fromarray, array), places)


def rows_of(where: str, n: int) -> list[str]:
    """The places of the rows of a file."""
    return [f"{where}, row {row}" for row in range(n)]


def as_bytes(array: np.ndarray, places: list[str]) -> np.ndarray:
    """(N, ...) pixels as whole numbers in 0..255, or as floats in [0, 1] -> (N, ...) uint8.

    Raises
    ------
    DataError
        naming the row of the first other number.
    """
    if array.dtype == np.uint8 or array.size == 0:
        return array.astype(np.uint8, copy=False)
    if array.dtype.kind == "f" and array.min() >= 0 and array.max() <= 1:
        return np.rint(array * 255).astype(np.uint8)
    good = (array >= 0) & (array <= 255)  # false for not-a-number
    if array.dtype.kind == "f":
        good &= array == np.rint(array)
    if not good.all():
        row, pixel = divmod(int(np.argmin(good)), array[0].size)
        raise DataError(
            f"{places[row]}: pixel {pixel} is {array[row].flat[pixel]:g}; pixels are whole numbers "
            "0 to 255, or all of them floats 0 to 1; correct them"
        )
    return array.astype(np.uint8)
