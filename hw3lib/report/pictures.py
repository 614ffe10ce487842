"""Images of a report: those of outputs, those attached to a cell, files beside its notebook."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from PIL import Image

PICTURES = ("image/svg+xml", "image/png", "image/jpeg", "image/webp", "image/gif")
LARGEST = 50_000_000  # pixels of a picture


class Picture(NamedTuple):
    """An image file."""

    mime: str
    data: bytes


@dataclass(frozen=True)
class Images:
    """The images that a Markdown cell may name: attachments, and files beside its notebook."""

    folder: Path | None = None
    attachments: dict[str, dict[str, str]] = field(default_factory=dict)

    def find(self, place: str) -> Picture:
        """The image; LookupError says why it cannot be shown."""
        name = unquote(place)
        if name.startswith("attachment:"):
            return first_picture(self.attachments.get(name.removeprefix("attachment:"), {}))
        if re.match(r"[a-z]+:", name):
            raise LookupError("only files beside the notebook are taken in; download it there")
        file = (self.folder or Path()).resolve() / name
        if self.folder is None or self.folder.resolve() not in file.resolve().parents:
            raise LookupError("outside the notebook's folder; copy it there")
        if not file.is_file():
            raise LookupError("no such file")
        return picture("image/svg+xml" if file.suffix.lower() == ".svg" else "", file.read_bytes())


def picture(mime: str, data: str | bytes) -> Picture:
    """An image from its base64 or its bytes (an SVG: its text); LookupError where it is none."""
    try:
        if mime == "image/svg+xml":
            text = data.decode() if isinstance(data, bytes) else data
            if "<svg" not in text:
                text = base64.b64decode(text, validate=True).decode()
            return Picture(mime, text[text.index("<svg") :].encode())
        raw = base64.b64decode(data) if isinstance(data, str) else data
        with Image.open(io.BytesIO(raw), formats=("PNG", "JPEG", "WEBP", "GIF")) as opened:
            if opened.width * opened.height > LARGEST:
                raise ValueError("too large")
            opened.load()
            return Picture(Image.MIME[opened.format], raw)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise LookupError("no picture that can be read") from None


def first_picture(bundle: dict[str, str]) -> Picture:
    """The best image of an output or an attachment; LookupError where there is none."""
    mime = next((m for m in PICTURES if m in bundle), "")
    return picture(mime, bundle.get(mime, ""))
