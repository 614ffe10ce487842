"""Picture bytes to (48, 48) uint8: one decoder and one resizing for every layout."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from hw3lib.data.faces import SIZE, DataError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 32_000_000  # a large photograph; more is a mistake or an attack
MAX_BYTES = 64 * 2**20  # of one picture file
MAX_SCANS = 64  # of a JPEG; progressive ones have about ten, and each costs as much as a picture
_SCAN = b"\xff\xda"  # the marker before each; within a scan's own bytes it cannot stand


class Decoder:
    """Decodes pictures and remembers what it had to change.

    Format and size are judged from the header, before a pixel is decoded.
    """

    def __init__(self) -> None:
        self.resized = 0
        self.first = ""

    def decode(self, data: bytes, where: str) -> np.ndarray:
        """JPEG or PNG bytes -> (48, 48) uint8; DataError naming `where` for anything else."""
        from PIL import Image, UnidentifiedImageError

        if len(data) > MAX_BYTES:
            raise DataError(f"{where}: {len(data):,} bytes is no picture of a face; remove it")
        if data.count(_SCAN) > MAX_SCANS and data.startswith(b"\xff\xd8"):
            raise DataError(
                f"{where}: a JPEG of {data.count(_SCAN):,} scans would take too long; save it again"
            )
        try:
            picture = Image.open(io.BytesIO(data), formats=("JPEG", "PNG"))
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise Image.DecompressionBombError
            picture.load()
            if (width, height) != (SIZE, SIZE):
                self._note(f"{where}, {width} x {height}")
            return to_face(picture)
        except Image.DecompressionBombError:
            raise DataError(
                f"{where}: more than {MAX_PIXELS // 10**6} million pixels; make the picture "
                f"smaller, {SIZE} x {SIZE} is enough"
            ) from None
        except UnidentifiedImageError:
            raise DataError(f"{where}: not a JPEG or PNG picture; convert or remove it") from None
        except MemoryError:
            raise
        except Exception as error:  # damaged bytes raise nearly anything in Pillow's parsers
            raise DataError(
                f"{where}: damaged picture ({_short(error)}); copy or download it again"
            ) from None

    def resize(self, picture: np.ndarray, where: str) -> np.ndarray:
        """(H, W) uint8 of another size -> (48, 48) uint8, by the same function as pictures."""
        from PIL import Image

        height, width = picture.shape
        self._note(f"{where}, {width} x {height}")
        return to_face(Image.fromarray(np.ascontiguousarray(picture)))

    def problems(self) -> list[str]:
        if not self.resized:
            return []
        return [
            f"{self.resized} pictures are not {SIZE} x {SIZE} and were resized "
            f"(the first: {self.first})"
        ]

    def _note(self, what: str) -> None:
        self.resized += 1
        self.first = self.first or what


def to_face(picture: Image) -> np.ndarray:
    """A picture of any size and mode -> (48, 48) uint8 grey.

    Turned upright by its EXIF tag; what is not square is cropped around its centre, then
    brought to size by an area-averaging bilinear filter. 48 x 48 grey passes unchanged.
    """
    from PIL import Image, ImageOps

    if picture.size == (SIZE, SIZE) and picture.mode == "L":
        return np.array(picture)
    if picture.mode.startswith("I"):  # 16-bit PNG; convert("L") would clip it
        picture = Image.fromarray((np.asarray(picture) // 257).clip(0, 255).astype(np.uint8))
    picture = ImageOps.exif_transpose(picture).convert("L")
    if picture.size != (SIZE, SIZE):
        picture = ImageOps.fit(picture, (SIZE, SIZE), method=Image.Resampling.BILINEAR)
    return np.array(picture)


def _short(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:80]
