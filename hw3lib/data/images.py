"""Image files, in folders of their class (Kaggle) or plain; one decoder for every layout."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from hw3lib.data.faces import CLASSES, SIZE, UNLABELLED, DataError
from hw3lib.data.labels import Rows, Where, as_ids, class_index, split_of_image, split_word
from hw3lib.data.source import Entry

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP")  # what cameras and browsers save
MAX_PIXELS = 32_000_000  # a large photograph; more is a mistake or an attack
MAX_BYTES = 64 * 2**20  # of one image file
MAX_SCANS = 64  # of a JPEG; progressive ones have about ten, and each costs as much as an image
_SCAN = b"\xff\xda"  # the marker before each; within a scan's own bytes it cannot stand


@dataclass
class Decoder:
    """Decodes images and remembers what it had to change."""

    resized: int = 0
    first: str = ""

    def decode(self, data: bytes, where: str) -> np.ndarray:
        """The bytes of an image file -> (48, 48) uint8.

        Format and size are judged from the header, before a pixel is decoded.

        Raises
        ------
        DataError
            naming `where`: another format, too large. For damaged bytes, what Pillow raises.
        """
        from PIL import Image, UnidentifiedImageError

        if len(data) > MAX_BYTES:
            raise DataError(f"{where}: {len(data):,} bytes is no image of a face; remove it")
        if data.startswith(b"\xff\xd8") and data.count(_SCAN) > MAX_SCANS:
            raise DataError(
                f"{where}: a JPEG of {data.count(_SCAN):,} scans would take too long; save it again"
            )
        try:
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        except UnidentifiedImageError:
            raise DataError(
                f"{where}: not an image in a format that is read ({', '.join(FORMATS)}); "
                "save it as PNG, or remove it"
            ) from None
        except Image.DecompressionBombError:
            raise _too_large(where) from None
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise _too_large(where)
        image.load()
        if (width, height) != (SIZE, SIZE):
            self._note(f"{where}, {width} x {height}")
        return to_face(image)

    def resize(self, image: np.ndarray, where: str) -> np.ndarray:
        """(H, W) uint8 of another size -> (48, 48) uint8, by the same function as image files."""
        from PIL import Image

        self._note(f"{where}, {image.shape[1]} x {image.shape[0]}")
        return to_face(Image.fromarray(np.ascontiguousarray(image)))

    def problems(self) -> list[str]:
        if not self.resized:
            return []
        return [
            f"{self.resized} images are not {SIZE} x {SIZE} and were resized "
            f"(the first: {self.first})"
        ]

    def _note(self, what: str) -> None:
        self.resized += 1
        self.first = self.first or what


def _too_large(where: str) -> DataError:
    return DataError(
        f"{where}: more than {MAX_PIXELS // 10**6} million pixels; make the image smaller, "
        f"{SIZE} x {SIZE} is enough"
    )


def to_face(image: Image) -> np.ndarray:
    """An image of any size and mode -> (48, 48) uint8 grey.

    Turned upright by its EXIF tag; what is not square is cropped around its centre, then
    brought to size by an area-averaging bilinear filter. 48 x 48 grey passes unchanged.
    """
    from PIL import Image, ImageOps

    if image.size == (SIZE, SIZE) and image.mode == "L":
        return np.array(image)
    if image.mode.startswith("I"):  # 16-bit PNG; convert("L") would clip it
        image = Image.fromarray((np.asarray(image) // 257).clip(0, 255).astype(np.uint8))
    image = ImageOps.exif_transpose(image).convert("L")
    if image.size != (SIZE, SIZE):
        image = ImageOps.fit(image, (SIZE, SIZE), method=Image.Resampling.BILINEAR)
    return np.array(image)


def as_bytes(array: np.ndarray, where: Where) -> np.ndarray:
    """(N, ...) pixels as whole numbers in 0..255, or as floats in [0, 1] -> (N, ...) uint8.

    Raises
    ------
    DataError
        naming the row of the first other number.
    """
    if array.dtype == np.uint8 or array.size == 0:
        return array.astype(np.uint8, copy=False)
    low, high = array.min(), array.max()
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        return np.rint(array * 255).astype(np.uint8)
    good = (array >= 0) & (array <= 255)  # false for not-a-number
    if array.dtype.kind == "f":
        good &= array == np.rint(array)
    if not good.all():
        row, pixel = divmod(int(np.argmin(good)), array[0].size)
        raise DataError(
            f"{where(row)}: pixel {pixel} is {array.reshape(-1)[row * array[0].size + pixel]:g}; "
            "pixels are whole numbers 0 to 255, or all of them floats 0 to 1; correct them"
        )
    return array.astype(np.uint8)


def decode_all(entries: list[Entry]) -> tuple[np.ndarray, list[str]]:
    """(N, 48, 48) uint8 of image files, and what had to be changed."""
    decoder = Decoder()
    images = np.empty((len(entries), SIZE, SIZE), dtype=np.uint8)
    for i, entry in enumerate(entries):
        images[i] = decoder.decode(entry.read(MAX_BYTES), entry.where)
    return images, decoder.problems()


def read(entries: list[Entry], root: str) -> Rows:
    """Labels by the name of the folder an image lies in, splits by file prefix or folder."""
    entries, dropped = _without_twins(entries, root)
    labels = np.array([_label(e) for e in entries], dtype=np.int64)
    split = [split_of_image(e.name, root) for e in entries]
    images, problems = decode_all(entries)
    taken = Counter((s, e.stem) for s, e in zip(split, entries, strict=True))
    clash = [
        label != UNLABELLED and taken[s, e.stem] > 1
        for s, e, label in zip(split, entries, labels, strict=True)
    ]
    ids = [f"{_parent(e)}/{e.stem}" if c else e.stem for e, c in zip(entries, clash, strict=True)]
    if any(clash):
        problems.append(f"{sum(clash)} file names stand in several classes: ids are class/name")
    where = lambda row: entries[row].where  # noqa: E731
    return Rows(
        images, labels, as_ids(ids, where), np.array(split, "<U16"), where,
        problems=[*dropped, *problems],
    )  # fmt: skip


def has_classes(entries: list[Entry]) -> bool:
    """Whether some images lie in folders named after a class.

    Raises
    ------
    DataError
        for a folder beside them, or several folders, whose names say no class.
    """
    folders = {e.folder for e in entries}
    parents = {str(PurePosixPath(f).parent) for f in folders if class_at(f) is not None}
    unknown = sorted(
        f for f in folders
        if f and class_at(f) is None and split_word(PurePosixPath(f).name) is None
    )  # fmt: skip
    stray = [f for f in unknown if str(PurePosixPath(f).parent) in parents]
    stray = stray or (unknown if len(unknown) > 1 and not parents else [])
    if stray:
        first = next(e for e in entries if e.folder == stray[0])
        raise DataError(
            f"{PurePosixPath(first.where).parent}: the folder {stray[0]!r} is named after none of "
            f"the classes {', '.join(CLASSES)}; rename it or move it away"
        )
    return bool(parents)


def class_at(folder: str) -> int | None:
    """The class that the last part of this path says, or None."""
    return class_index(PurePosixPath(folder).name)


def _parent(entry: Entry) -> str:
    return PurePosixPath(entry.folder).name


def _label(entry: Entry) -> int:
    index = class_at(entry.folder)
    return UNLABELLED if index is None else index


def _without_twins(entries: list[Entry], root: str) -> tuple[list[Entry], list[str]]:
    """Drop a second copy of the whole tree, as one well-known Kaggle zip has it inside itself."""
    kept: dict[tuple[str, int, str], Entry] = {}
    twins: list[Entry] = []
    for entry in entries:
        key = (split_of_image(entry.name, root), _label(entry), entry.name.split("/")[-1])
        other = kept.setdefault(key, entry)
        if other is not entry and _parent(other) == _parent(entry) and _same(other, entry):
            twins.append(entry)
    gone = {entry.name for entry in twins}
    line = f"{len(twins)} files stand twice and were read once (the first: {{}})"
    return [e for e in entries if e.name not in gone], [line.format(e.where) for e in twins[:1]]


def _same(one: Entry, other: Entry) -> bool:
    return one.size == other.size and one.read() == other.read()
