"""Picture files: what the one decoder of all layouts must refuse."""

from __future__ import annotations

import os
import struct
from functools import partial

import layouts

from hostile import images
from hostile.case import Place, add, bad
from hostile.images import JPEG, PNG

EXIF = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\0\x03\0\0\0\x01\xff\xff\xff\xff" * 20

for kind, what, data, *words in (
    ("truncated picture", "PNG header", PNG[:20], "p.png"),
    ("truncated picture", "PNG data", PNG[: len(PNG) // 2], "damaged", "again"),
    ("truncated picture", "JPEG header", JPEG[:20], "p.png"),
    ("truncated picture", "JPEG data", JPEG[: len(JPEG) // 2], "damaged", "again"),
    ("empty", "no byte", b"", "not a JPEG or PNG"),
    ("other content", "web page", b"<html>404</html>", "not a JPEG or PNG"),
    ("other format", "GIF", images.in_format("GIF"), "not a JPEG or PNG"),
    ("other format", "WebP", images.in_format("WEBP"), "not a JPEG or PNG"),
    ("other format", "TIFF", images.in_format("TIFF"), "not a JPEG or PNG"),
    ("other format", "BMP", images.in_format("BMP"), "not a JPEG or PNG"),
    ("other content", "zip", b"PK\3\4" + bytes(100), "not a JPEG or PNG"),
    ("code", "EPS", images.EPS, "not a JPEG or PNG"),
    ("code", "SVG", images.SVG, "not a JPEG or PNG"),
    ("huge", "PNG of 400 million pixels", images.bomb, "32 million pixels", "smaller"),
    ("huge", "JPEG of 4 billion pixels", images.jpeg_of(65_500, 65_500), "million pixels"),
    ("huge", "PNG of 2^31 columns", images.png(2**31 - 1, 1, pixels=b""), "p.png"),
    ("huge", "70 MB of nothing", lambda: bytes(70 * 2**20), "73,400,320 bytes"),
    ("bomb", "text", images.text_bomb, "p.png"),
    ("bomb", "scans", partial(images.jpeg_of_scans, 400), "scans"),
    ("lying header", "a palette of 16 bits", images.png(depth=16, colour=3), "p.png"),
    ("lying header", "7 bits in a JPEG", images.jpeg_of_precision(7), "p.png"),
    ("wrong value", "no columns", images.png(0, 48), "p.png"),
    ("wrong value", "3 bits", images.png(depth=3), "p.png"),
    ("wrong value", "colour type 5", images.png(colour=5), "p.png"),
    ("wrong type", "an interlacing that there is none of", images.png(colour=4, depth=1), "p.png"),
    ("flipped bit", "in the pixels", images.FLIPPED, "damaged"),
    ("flipped bit", "checksum of the header",
     images.SIGNATURE + images.chunk(b"IHDR", struct.pack(">IIBBBBB", 48, 48, 8, 0, 0, 0, 0),
                                     wrong=True), "p.png"),
    ("wrong order", "end before the pixels",
     images.SIGNATURE + images.chunk(b"IEND", b"") + images.chunk(b"IDAT", b""), "p.png"),
    ("wrong count", "no chunk of pixels",
     images.png()[:33] + images.chunk(b"IEND", b""), "damaged"),
    ("NUL byte", "only those", bytes(5000), "not a JPEG or PNG"),
):  # fmt: skip
    add("picture", kind, what, lambda place, data=data: place.put("p.png", data), "p.png", *words)


@bad("picture", "pickle", "p.png", "not a JPEG or PNG")
def a_pickle(place: Place):
    return place.put("p.png", place.pickled())


@bad("picture", "hostile name", r"<img src=x onerror=alert(1)>\n.png", "control characters")
def markup_and_a_line_end(place: Place):
    return place.put("<img src=x onerror=alert(1)>\n.png", PNG)


@bad("picture", "hostile name", "not UTF-8", "rename")
def no_utf8(place: Place):
    place.put("1.png", PNG)
    with open(os.fsencode(place.folder) + b"/\xff\xfe.png", "wb") as file:
        file.write(PNG)
    return place.folder


@bad("picture", "hostile name", "control characters", r"\u202e")
def turned_round(place: Place):
    return place.put("gnp.\u202eexe.png", PNG)


@bad("picture", "link", "p.png", "broken link")
def to_nowhere(place: Place):
    place.put("1.png", PNG)
    (place.folder / "p.png").symlink_to(place.root / "nowhere")
    return place.folder


@bad("picture", "link", "p.png", "not a JPEG or PNG")
def to_a_secret(place: Place):
    layouts.put(place.outside / "secret", b"root:x:0:0")
    place.folder.mkdir(parents=True)
    (place.folder / "p.png").symlink_to(place.outside / "secret")
    return place.folder


@bad("picture", "link", "p.png", "no file")
def to_a_device(place: Place):
    place.folder.mkdir(parents=True)
    (place.folder / "p.png").symlink_to("/dev/zero")
    return place.folder


@bad("picture", "special file", "p.png", "no file")
def a_pipe(place: Place):
    place.folder.mkdir(parents=True)
    os.mkfifo(place.folder / "p.png")
    return place.folder


@bad("picture", "special file", "neither a file nor a folder")
def a_pipe_itself(place: Place):
    place.folder.mkdir(parents=True)
    os.mkfifo(place.folder / "p.png")
    return place.folder / "p.png"


@bad("picture", "duplicate id", "1.png", "1.jpg", "unique")
def two_formats(place: Place):
    place.put("1.jpg", JPEG)
    return place.put("1.png", PNG).parent


@bad("picture", "one among many", "0500.png", "damaged")
def the_last_of_500(place: Place):
    for i in range(500):
        place.put(f"{i:04d}.png", PNG)
    return place.put("0500.png", PNG[:-30]).parent


@bad("picture", "missing", "does not exist", "spelling")
def no_such_path(place: Place):
    return place.folder / "nowhere"


@bad("picture", "missing", "holds no pictures")
def an_empty_folder(place: Place):
    place.folder.mkdir(parents=True)
    return place.folder
