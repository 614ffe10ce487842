"""Bytes of picture files that are damaged, huge, or something else than they say."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache

import layouts
import numpy as np

FACE = layouts.small_faces(n=2).images[0]
PNG = layouts.picture_bytes(FACE)
JPEG = layouts.picture_bytes(FACE, "JPEG")
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes, *, wrong: bool = False) -> bytes:
    """One chunk of a PNG file; `wrong` gives it another checksum."""
    crc = zlib.crc32(kind + data) ^ wrong
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def png(
    width: int = 48, height: int = 48, *, depth: int = 8, colour: int = 0,
    pixels: bytes | None = None, extra: bytes = b"",
) -> bytes:  # fmt: skip
    """A PNG of grey zeros, its header saying what it is told to."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    if pixels is None:
        pixels = bytes((1 + width * depth // 8) * height)
    packed = chunk(b"IDAT", zlib.compress(pixels, 9))
    return SIGNATURE + chunk(b"IHDR", header) + extra + packed + chunk(b"IEND", b"")


def jpeg_of(width: int, height: int) -> bytes:
    """The small JPEG, its header saying another size."""
    at = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:at] + struct.pack(">HH", height, width) + JPEG[at + 4 :]


def jpeg_of_precision(bits: int) -> bytes:
    at = JPEG.index(b"\xff\xc0") + 4
    return JPEG[:at] + bytes([bits]) + JPEG[at + 1 :]


def jpeg_of_scans(count: int, side: int = 4000) -> bytes:
    """A progressive JPEG of some 16 million pixels whose last scan stands there many times."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.zeros((side, side), np.uint8)).save(out, "JPEG", progressive=True)
    whole = out.getvalue()
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + (whole[last:-2]) * count + b"\xff\xd9"


def in_format(kind: str) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(FACE).save(out, kind)
    return out.getvalue()


FLIPPED = bytes([*PNG[: len(PNG) // 2], PNG[len(PNG) // 2] ^ 0xFF, *PNG[len(PNG) // 2 + 1 :]])
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 48 48\n(canary) (w) file\n"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@cache
def bomb() -> bytes:
    """400 million pixels in 50 kB."""
    return png(20_000, 20_000, depth=1)


@cache
def text_bomb() -> bytes:
    """A sound picture with a comment of 200 MB, in 200 kB."""
    return png(extra=chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200 * 2**20), 1)))
