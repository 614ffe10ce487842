"""The report as one HTML file that asks nothing of a network: page, fonts, figures, mathematics."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from hw3lib import __version__
from hw3lib.files import ROOT
from hw3lib.report import references, webfonts
from hw3lib.report.blocks import Block, pieces
from hw3lib.report.cover import cover_notes
from hw3lib.report.document import Chapter, Document
from hw3lib.report.images import Pictures, pictures, uri
from hw3lib.report.panel import check_rows, question_rows
from hw3lib.report.prose import converted
from hw3lib.report.show import SYNTHETIC_NOTE
from hw3lib.report.tabular import typeset
from hw3lib.text import Text

TEMPLATES = ROOT / "report" / "templates" / "hw3_html"
LONG = 28  # letters of a cell in both languages, from which each stands on lines of its own
SORTED = 5  # rows from which a table can be sorted
PX_PER_POINT = 1.5  # a figure's 8.5 pt letters beside text of 17 px
WORDS = references.WORDS | {
    "contents": Text("目錄", "Contents"),
    "language": Text("語言", "Language"),
    "theme": Text("配色", "Colours"),
    "code": Text("程式", "Code"),
    "grader": Text("評分面板", "Grader’s panel"),
    "question": Text("題目", "Question"),
    "marks": Text("配分", "Marks"),
    "answer": Text("作答", "Answer"),
    "results": Text("主要結果", "Key figures"),
    "checks": Text("通過的檢查", "Checks that passed"),
    "failed": Text("沒有通過的檢查", "Checks that failed"),
    "rerun": Text("重新執行", "Re-run this"),
    "sort": Text("排序", "sort"),
}
AUTHOR = {
    "name": Text("姓名", "Name"),
    "id": Text("學號", "Student id"),
    "department": Text("系所", "Department"),
    "course": Text("課程", "Course"),
    "collaborators": Text("合作者", "Collaborators"),
}


@dataclass(frozen=True)
class Item:
    """A Block as the templates want it."""

    kind: str
    text: Text | None
    data: dict[str, Any]
    level: int = 0
    id: str = ""
    number: str = ""  # of a figure or a table
    first: str = ""  # line of code
    sources: list[str] = field(default_factory=list)  # cells of code with nothing between
    pieces: list[Text] = field(default_factory=list)  # of prose
    label: Text | None = None
    anchors: list[str] = field(default_factory=list)
    pictures: Pictures | None = None
    alt: dict[tuple[str, ...], str] = field(default_factory=dict)


def render(
    document: Document,
    language: str = "both",
    *,
    results: Sequence[dict] = (),
    checks: Sequence[dict] = (),
) -> str:
    """The page as a string.

    language : zh, en or both: what is shown until the reader chooses; the page holds both
    results  : payloads of `hw3lib.report.show.result`, with "notebook", for the grader's panel
    checks   : likewise of `hw3lib.report.show.check`

    Raises
    ------
    UserError
        if a Markdown text cannot be converted.
    """
    cover = len(document.chapters) != 1 or bool(document.facts)
    names = _Names()
    chapters = [_chapter(c, names, shift=int(cover)) for c in document.chapters]
    env = _environment(converted(document))
    script = (TEMPLATES / "book.js").read_text(encoding="utf-8")
    page = env.get_template("page.html.j2").render(
        document=document,
        language=language,
        author=_author(document.author),
        facts=[(label, _text(value)) for label, value in document.facts.items()],
        cover=cover,
        top=2 if cover else 1,
        chapters=chapters,
        questions=question_rows(document, chapters, results),
        marked=any(q.marks is not None for q in document.questions),
        checks=check_rows(chapters, checks),
        words=WORDS,
        synthetic=SYNTHETIC_NOTE,
        notes=cover_notes(document),
        fonts=webfonts.FACES,
        style=Markup((TEMPLATES / "book.css").read_text(encoding="utf-8")),
        script=Markup(script),
        version=__version__,
    )
    return webfonts.embedded(page)


class _Names:
    """Unique ids and running numbers of one page."""

    def __init__(self) -> None:
        self.taken: set[str] = {"main", "grader", "zoom", "languages", "themes", "code-all"}

    def take(self, wanted: str) -> str:
        name = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-")[:60] or "part"
        choices = chain([name], (f"{name}-{i}" for i in range(2, 10**6)))
        name = next(c for c in choices if c not in self.taken)
        self.taken.add(name)
        return name


def _chapter(chapter: Chapter, names: _Names, *, shift: int) -> dict[str, Any]:
    anchor = names.take(chapter.notebook)
    blocks: list[Item] = []
    for block in chapter.blocks:
        item = _item(block, names, anchor, shift)
        if item.kind == "code" and blocks and blocks[-1].kind == "code":
            blocks[-1].sources.extend(item.sources)
        else:
            blocks.append(item)
    sections = [(b.id, b.text) for b in blocks if b.kind == "heading" and b.level == 2 + shift]
    return {
        "id": anchor,
        "number": chapter.number,
        "title": chapter.title,
        "notebook": chapter.notebook,
        "blocks": blocks,
        "sections": sections,
    }


def _item(block: Block, names: _Names, anchor: str, shift: int) -> Item:
    extra: dict[str, Any] = {}
    if block.kind in ("markdown", "answer"):
        extra = {"pieces": pieces(block.text)}
    if block.kind == "heading":
        extra = {"level": block.level + shift, "id": names.take(f"{anchor}-{block.text.en}")}
    elif block.kind == "answer":
        questions = [str(q) for q in block.data["questions"]]
        label = " ".join(questions)
        extra |= {
            "label": Text(f"{label} 的答案", f"Answer to {label}"),
            "anchors": [names.take(f"answer-{q}") for q in questions],
        }
    elif block.kind == "figure":
        drawn = pictures(block.data["variants"])
        alt = Text(**block.data["alt"])
        extra = {
            "number": block.number,
            "id": names.take(block.anchor),
            "pictures": drawn,
            "alt": {codes: alt.in_language("both" if len(codes) > 1 else codes[0])
                    for codes, _ in drawn.variants},
        }  # fmt: skip
    elif block.kind == "table":
        extra = {"number": block.number, "id": names.take(block.anchor)}
    elif block.kind == "code":
        lines = [line for line in block.data["source"].splitlines() if line.strip()]
        extra = {"first": lines[0] if lines else "", "sources": [block.data["source"]]}
    return Item(block.kind, block.text, block.data, **extra)


def _author(author: dict[str, Any]) -> dict[str, Any]:
    """The author's rows that are filled in, as (label, Text); empty where none is."""
    rows = []
    for key, label in AUTHOR.items():
        value = author.get(key)
        if value and not isinstance(value, (str, Text)):
            value = Text(*("、".join(v) for v in _each(value)))
        if value:
            rows.append((label, _text(value)))
    return {"rows": rows, "name": next((v for k, v in rows if k is AUTHOR["name"]), None)}


def _text(value: Text | str | int) -> Text:
    return value if isinstance(value, Text) else Text(str(value), str(value))


def _each(values: Sequence[str | Text]) -> tuple[list[str], list[str]]:
    return [str(getattr(v, "zh", v)) for v in values], [str(getattr(v, "en", v)) for v in values]


def _environment(prose: dict[tuple[str, bool], Markup]) -> Environment:
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "markdown": lambda text: prose[text, False],
        "inline": lambda text: prose[text, True],
        "typeset": typeset,
        "both": lambda text: text.in_language("both"),
        "px": lambda points: round(points * PX_PER_POINT),
        "uri": uri,
        "font": webfonts.place,
        "python": _highlight,
        "sha256": lambda s: base64.b64encode(hashlib.sha256(s.encode()).digest()).decode(),
    }
    env.tests["long"] = lambda cell: len(cell["zh"] + cell["en"]) > LONG
    env.tests["sortable"] = _sortable
    env.tests["displayed"] = lambda text: "$$" in text.zh
    return env


def _sortable(item: Item) -> bool:
    """Rows in no order of their own, enough of them that one looks for the largest."""
    first = [row[0]["en"] for row in item.data["rows"]]
    return len(first) >= SORTED and "right" in item.data["align"][1:] and not _counted(first)


def _counted(cells: list[str]) -> bool:
    """Do the cells number their rows, as those of a network's layers do?"""
    numbers = [c for c in cells if c.isdecimal()]
    return len(numbers) > len(cells) / 2


@cache
def _highlight(source: str) -> Markup:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    try:
        return Markup(highlight(source, PythonLexer(), HtmlFormatter(nowrap=True)).rstrip("\n"))
    except ValueError:  # a lexer's fault must not lose the code
        return escape(source)
