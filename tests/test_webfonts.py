"""The page's fonts: every character that is shown, and little more."""

from __future__ import annotations

import base64
import io
import re

from fontTools.ttLib import TTFont

from hw3lib.report import webfonts


def test_a_page_holds_its_own_characters_and_no_others():
    style = "".join(f"src:url({webfonts.place(name)}) " for _, _, name in webfonts.FACES)
    page = webfonts.embedded(f"<style>{style}</style><p>情緒分類 &quot;Fear&quot; &ensp; “x”↕</p>")
    found = re.findall(r"url\(data:font/woff2;base64,([^)]+)\)", page)
    assert len(found) == 3 and "font:Noto" not in page
    for data, whole in zip(found[:2], webfonts.TEXT, strict=True):
        font = TTFont(io.BytesIO(base64.b64decode(data)))
        kept = set(font.getBestCmap())
        assert {*map(ord, "情緒分類Fear\u2002“”↕~")} <= kept and len(kept) < 130
        assert "Open Font License" in font["name"].getDebugName(13)
        assert len(data) < (webfonts.FONTS / whole[2]).stat().st_size / 10
    assert base64.b64decode(found[2]) == (webfonts.FONTS / webfonts.MATHEMATICS[2]).read_bytes()


def test_the_same_characters_give_the_same_bytes():
    name, characters = webfonts.TEXT[0][2], frozenset("自我驗證 abc")
    first = webfonts.subset(name, characters)
    webfonts.subset.cache_clear()
    assert webfonts.subset(name, characters) == first
