"""The fonts within a page, cut down to the characters that stand on it."""

from __future__ import annotations

import base64
import html
import io
from functools import cache

from hw3lib.files import ROOT

FONTS = ROOT / "report" / "fonts"
TEXT = (("hw3 Sans", 400, "NotoSansTC-Regular.woff2"), ("hw3 Sans", 700, "NotoSansTC-Bold.woff2"))
MATHEMATICS = ("hw3 Math", 400, "STIXTwoMath.woff2")  # whole: signs grow and change their form
FACES = (*TEXT, MATHEMATICS)
ALWAYS = frozenset(map(chr, range(0x20, 0x7F)))


def place(name: str) -> str:
    """What stands for a font's address in a page until all its characters are known."""
    return f"font:{name}"


def embedded(page: str) -> str:
    """The page with its fonts in it."""
    characters = ALWAYS | frozenset(html.unescape(page))
    for _, _, name in TEXT:
        page = page.replace(place(name), _uri(subset(name, characters)))
    whole = (FONTS / MATHEMATICS[2]).read_bytes()
    return page.replace(place(MATHEMATICS[2]), _uri(whole))


@cache
def subset(name: str, characters: frozenset[str]) -> bytes:
    """A font of report/fonts as WOFF2 with these characters alone, as far as it has them."""
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont

    font = TTFont(FONTS / name, recalcTimestamp=False, recalcBBoxes=False)
    options = Options()
    options.layout_features = ["*"]
    options.name_IDs = ["*"]  # the licence among them
    options.notdef_outline = True
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=map(ord, characters))
    subsetter.subset(font)
    font.flavor = "woff2"
    made = io.BytesIO()
    font.save(made)
    return made.getvalue()


def _uri(font: bytes) -> str:
    return f"data:font/woff2;base64,{base64.b64encode(font).decode()}"
