"""The report as one HTML file that asks nothing of a network: page, fonts, figures, mathematics."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from itertools import groupby, takewhile
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from hw3lib import __version__
from hw3lib.files import ROOT
from hw3lib.report import document as doc
from hw3lib.report import pandoc
from hw3lib.report.document import Block, Chapter, Document, Question
from hw3lib.report.pictures import Picture
from hw3lib.report.show import SYNTHETIC_NOTE
from hw3lib.text import RESULTS, Text, as_text, powers

TEMPLATES = ROOT / "report" / "templates" / "hw3_html"
FONTS = ROOT / "report" / "fonts"
FACES = (  # the last one whole: signs of mathematics grow and change their form
    ("hw3 Sans", 400, "NotoSansTC-Regular.otf"),
    ("hw3 Sans", 700, "NotoSansTC-Bold.otf"),
    ("hw3 Math", 400, "STIXTwoMath.woff2"),
)
LONG = 28  # letters of a cell in both languages, from which each has lines of its own, and wraps
SORTED = 5  # rows from which a table can be sorted
UNITS = {"accuracy": "%", "share": "%", "ablation": " pp"}  # of results with this in their name
PX_PER_POINT = 1.5  # 8.5 pt letters of ours beside text of 17 px
HAT = re.compile(r'<mover>((?:(?!<mover>).)*?)<mo accent="true">\u0302')
UNQUOTED = " !$'()*+,-./:;=?@[]^_`{|}~"  # what a data URI may hold as it is, in double quotes
# a formula in a line with the signs that must not part from it
INLINE = re.compile(
    r'([（「(]?)(<math display="inline".*?</math>)([，。、；：！？）」,.;:!?)]*)', re.DOTALL
)
WORDS = doc.WORDS | {
    "contents": Text("目錄", "Contents"),
    "language": Text("語言", "Language"),
    "theme": Text("配色", "Colours"),
    "code": Text("程式碼", "Code"),
    "answers": Text("各題答案", "Answers"),
    "answer": Text("的答案", "Answer to"),
    "detail": Text("補充：", "More: "),
    "grader": Text("評分面板", "Grader’s panel"),
    "question": Text("題目", "Question"),
    "results": Text("主要數值", "Key figures"),
    "checks": Text("通過的檢查", "Checks that passed"),
    "failed": Text("沒有通過的檢查", "Checks that failed"),
    "rerun": Text("重新計算", "Compute it again"),
    "picture": Text("輸出的圖", "picture"),
}  # fmt: skip


def render(document: Document, language: str = "both", problems: dict | None = None) -> str:
    """The page as a string, in `language` until the reader chooses; it holds both.

    problems : is given a key for each text or image that could not be taken in
    """
    markup = pandoc.Markup(document, "html", ("zh", "en"), _image, _missing)
    cover = bool(document.facts)
    page = _environment(document, markup).get_template("page.html.j2").render(
        document=document, language=language, cover=cover, top=2 if cover else 1,
        answers=[_card(document, q) for q in document.questions],
        panel=[_panel_row(document, q) for q in document.questions],
        words=WORDS, synthetic=SYNTHETIC_NOTE, fonts=FACES, version=__version__,
        style=Markup((TEMPLATES / "book.css").read_text(encoding="utf-8")),
        script=Markup((TEMPLATES / "book.js").read_text(encoding="utf-8")),
    )  # fmt: skip
    if problems is not None:
        problems.update(markup.problems)
    return _with_fonts(page)


def _card(document: Document, question: Question) -> dict[str, Any]:
    """What the first screen says of a question: its answer in a line, beside a small picture.

    That is the first figure which the answer refers to, else one of those around it.
    """
    answer = document.answer(question.id)
    if answer is None:
        return {"question": question, "short": None, "target": "main", "thumb": None}
    chapter = next(c for c in document.chapters if answer in c.blocks)
    place = chapter.blocks.index(answer)
    named = re.findall(r"\(#([^)]+)\)", answer.text.zh)
    near = [b for anchor in named for b in chapter.blocks if b.anchor == anchor]
    near += takewhile(lambda b: b.kind != "answer", chapter.blocks[place + 1 :])
    section = reversed(chapter.blocks[:place])
    near += takewhile(lambda b: b.kind not in ("answer", "heading"), section)
    thumb = next((b.data["thumb"] for b in near if b.data.get("thumb") and not b.detail), None)
    target = f"answer-{question.id.lower()}"
    thumb = thumb and _uri(Picture("image/png", base64.b64decode(thumb)))
    return {"question": question, "short": answer, "target": target, "thumb": thumb}


def _panel_row(document: Document, question: Question) -> dict[str, Any]:
    chapter = next(c for c in document.chapters if c.number == question.chapter)
    found = [r for p in question.results for r in document.results if fnmatchcase(r["name"], p)]
    rerun = document.rerun.replace("{id}", question.id)
    shown = [(_named(r["name"], question.id), _number(r["name"], r["value"]), r) for r in found]
    return {"question": question, "chapter": chapter, "results": shown, "rerun": rerun}


def _named(name: str, question: str) -> Text:
    """A result's name in words: "best.test.accuracy" is "best network · test accuracy"."""
    parts = re.sub(r"\b(test|validation)\.", r"\1_", name).split(".")
    words = [RESULTS.get(p) or as_text(p.replace("_", " ")) for p in parts if p != question]
    zh, en = (" · ".join(filter(None, [getattr(w, c) for w in words])) for c in ("zh", "en"))
    return Text(zh, en)


def _number(name: str, value: float | None) -> str:
    """As the rest of the report sets it."""
    if value is None:
        return "–"
    for part, unit in UNITS.items():
        if part in name:
            return f"{100 * value:.1f}{unit}"
    if 0 < abs(value) < 0.001:
        return powers(f"{value:.0e}")
    return f"{value:,.{0 if value.is_integer() else 1 if abs(value) >= 1 else 2}f}"


def _environment(document: Document, markup: pandoc.Markup) -> Environment:
    env = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    env.filters |= {
        "convert": lambda text, form, block=None: Markup(_clean(markup(form, text, block))),
        "paragraphs": doc.paragraphs,
        "groups": _groups,
        "typeset": doc.typeset,
        "both": lambda text: text.in_language("both"),
        "px": lambda points: round(points * PX_PER_POINT),
        "uri": _uri,
        "python": _highlight,
        "sha256": lambda s: base64.b64encode(hashlib.sha256(s.encode()).digest()).decode(),
    }
    env.tests |= {
        "long": lambda cell: len(cell.zh + cell.en) > LONG,
        "sortable": _sortable,
        "answer_to": lambda block, question: document.answer(question) is block,
    }
    return env


def _groups(chapter: Chapter) -> Iterator[tuple[Block | None, list[Block]]]:
    """The blocks between folds, and those of each fold with the heading that is its title.

    That is the first within it, else the last above it. References are never folded.
    """
    above = Block("heading", chapter.notebook, chapter.title)
    for folded, group in groupby(chapter.blocks, lambda b: b.detail and b.kind != "work"):
        blocks = list(group)
        headings = [block for block in blocks if block.kind == "heading"] or [above]
        yield headings[0] if folded else None, blocks
        above = above if folded else headings[-1]


def _clean(text: str) -> str:
    text = re.sub(r' xmlns="[^"]*"', "", text)
    text = re.sub(r'(<(?:span|div)[^>]*) id="cb[^"]*"', r"\1", text)
    text = re.sub(r'<a href="#cb[^"]*"[^>]*></a>', "", text)
    text = re.sub(r'<a href="http', r'<a rel="noreferrer" href="http', text)
    text = INLINE.sub(r'<span class="whole">\g<0></span>', text)
    text = text.replace("<mo>′</mo>", '<mo class="prime">′</mo>')
    # a hat as large as its letter, and close to it: browsers ask the mover whether it is an accent
    text = HAT.sub(r'<mover accent="true">\1<mo stretchy="false">ˆ', text)
    return re.sub(r"<th(?=[ >])", '<th scope="col"', text)


def _image(picture: Picture, alt: str) -> str:
    return f'<img alt="{alt}" decoding="async" src="{_uri(picture)}">'


def _missing(what: str) -> str:
    return f'<span class="missing">{escape(what)}</span>'


def _uri(picture: Picture) -> str:
    """The picture as an address that holds it, a PNG as WebP; to stand within double quotes."""
    if picture.mime == "image/svg+xml":
        drawn = picture.data.decode()
        if "'" not in drawn:
            drawn = drawn.replace('"', "'")  # which need no escape; all in all a quarter shorter
        drawn = re.sub(r"\s*\n\s*", " ", re.sub(r"<!--.*?-->", "", drawn, flags=re.DOTALL))
        drawn = re.sub(r"(?<![\d.])([1-9]\d*\.\d\d)\d+", r"\1", drawn)  # a hundredth of a point
        return f"data:{picture.mime},{quote(drawn, safe=UNQUOTED)}"
    mime, data = picture.mime, picture.data
    if mime == "image/png":
        mime, data = "image/webp", _webp(data)
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


@cache
def _webp(png: bytes) -> bytes:
    """Without loss; a little over half the size of the PNG."""
    from PIL import Image

    made = io.BytesIO()
    with Image.open(io.BytesIO(png)) as opened:
        opened.save(made, "WEBP", lossless=True, quality=30, method=2)
    return made.getvalue()


def _sortable(block: Block) -> bool:
    """Rows in no order of their own, enough of them that one looks for the largest."""
    first = [row[0].en for row in block.data["rows"]]
    counted = sum(c.isdecimal() for c in first) > len(first) / 2
    return len(first) >= SORTED and "right" in block.data["align"][1:] and not counted


@cache
def _highlight(source: str) -> Markup:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return Markup(highlight(source, PythonLexer(), HtmlFormatter(nowrap=True)).rstrip("\n"))


def _with_fonts(page: str) -> str:
    """The page with its fonts in it, cut down to the characters that stand on it."""
    characters = frozenset(map(chr, range(0x20, 0x7F))) | frozenset(html.unescape(page))
    for family, _, name in FACES:
        whole = family == "hw3 Math"
        font = (FONTS / name).read_bytes() if whole else _subset(name, characters)
        address = f"data:font/woff2;base64,{base64.b64encode(font).decode()}"
        page = page.replace(f"font:{name}", address)
    return page


@cache
def _subset(name: str, characters: frozenset[str]) -> bytes:
    from fontTools.subset import Options, Subsetter, load_font, save_font

    kept = {"layout_features": ["*"], "name_IDs": ["*"]}  # the licence is among the names
    options = Options(**kept, notdef_outline=True, flavor="woff2")
    font, subsetter = load_font(FONTS / name, options), Subsetter(options)
    subsetter.populate(unicodes=map(ord, characters))
    subsetter.subset(font)
    made = io.BytesIO()
    save_font(font, made, options)
    return made.getvalue()
