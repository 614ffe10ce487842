"""The report as PDF: its texts as Typst, one compilation; tagged, reproducible, Chinese in it.

report/templates/hw3_pdf/report.typ is the look: it reads the document.json that is written here.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from hw3lib import UserError
from hw3lib.files import ROOT
from hw3lib.report.document import WORDS, Block, Document, typeset
from hw3lib.report.pandoc import Markup, pieces
from hw3lib.report.pictures import Picture
from hw3lib.report.show import SYNTHETIC_NOTE
from hw3lib.text import Text

FONTS = ROOT / "report" / "fonts"
TEMPLATE = ROOT / "report" / "templates" / "hw3_pdf" / "report.typ"
FAMILIES = ("Noto Sans TC", "DejaVu Sans Mono", "New Computer Modern Math")  # ours, then Typst's
STANDARDS = ["ua-1", "a-2a"]  # accessible, and for the archive: both refuse what is incomplete
EAST_ASIAN = 0x2E80  # from this character on, our font or none
LINK = re.compile(r"#link\(<([\w-]+)>\)")  # to a place in the document
ALONE = "#let inline-image(..a) = none\n#let missing(a) = none\n"  # what texts may call


def render(document: Document, language: str, problems: dict | None = None) -> bytes:
    """The PDF of the Document in "zh", "en" or "both", without what is detail, code or stderr.

    The same Document gives the same bytes; its date stamps the file.
    problems : is given a key for each text, image or character that could not be taken in

    Raises
    ------
    UserError
        for whatever Typst refuses, naming the cell.
    """
    import typst

    date = datetime.fromisoformat(document.date or "1970-01-01T00:00:00+00:00")
    with tempfile.TemporaryDirectory(prefix="hw3-pdf-") as folder:
        pages = _Pages(document, language, Path(folder))
        written = json.dumps({"document": pages.whole()})
        (Path(folder) / "document.json").write_text(written, encoding="utf-8")
        try:
            pdf = typst.compile(
                shutil.copy(TEMPLATE, folder), root=folder, font_paths=_fonts(), format="pdf",
                ignore_system_fonts=True, pdf_standards=STANDARDS,
                timestamp=int(date.timestamp()),
            )  # fmt: skip
        except typst.TypstError as error:
            hints = "".join(f"; {hint}" for hint in error.hints)
            raise UserError(f"{pages.guilty()}Typst: {error.message}{hints}") from None
    if problems is not None:
        problems.update(pages.markup.problems)
    return pdf


class _Pages:
    """What document.json holds, and the pictures that it names, in a folder."""

    def __init__(self, document: Document, language: str, folder: Path) -> None:
        self.document, self.folder, self.language = document, folder, language
        self.codes = ("zh", "en") if language == "both" else (language,)
        self.markup = Markup(document, "typst", self.codes, self.inline, _missing)
        printed = [b for b in document.blocks if _is_printed(b)]
        self.anchors = {b.anchor for b in printed if b.number or b.kind == "work"}
        self.shown = {b.anchor for b in printed if b.kind in ("figure", "table") and b.number}

    def whole(self) -> dict[str, Any]:
        document = self.document
        return {
            "language": self.language,
            "title": self.plain(document.title),
            "author": [self.plain(value) for value in document.people],
            "notes": [self.plain(note) for note in document.notes],
            "facts": [[self.plain(k), self.plain(v)] for k, v in document.facts.items()],
            "scores": [[self.plain(k), f"{v:.1%}"] for k, v in document.scores],
            "synthetic": self.plain(SYNTHETIC_NOTE) if document.synthetic else None,
            "families": FAMILIES,
            "words": {kind: self.plain(word) for kind, word in WORDS.items()},
            "questions": [self.question(q) for q in document.questions],
            "chapters": [
                {"number": c.number, "title": self.said(c.title),
                 "blocks": [self.block(b) for b in c.blocks if _is_printed(b)]}
                for c in document.chapters
            ],
        }  # fmt: skip

    def question(self, question) -> dict[str, Any]:
        answer = self.document.answer(question.id)
        form, parts = pieces(answer) if answer else ("", [])
        said = "".join(t for part in parts for t in self.said(part, form, answer).values())
        return {
            "id": question.id, "title": self.plain(question.title),
            "short": answer and self.said(answer.data["short"], block=answer),
            "chapter": question.chapter,
            "answered": answer is not None and _is_printed(answer),
            "evidence": [a for a in LINK.findall(said) if a in self.shown],
            "until": self.next_section(answer) if answer else "",
        }  # fmt: skip

    def next_section(self, answer: Block) -> str:
        """The anchor of what follows the section of an answer and its steps; "" before any."""
        chapters = iter(self.document.chapters)
        blocks = next(c.blocks for c in chapters if answer in c.blocks)
        marks = [b for b in blocks if b is answer or (b.kind == "heading" and b.number)]
        at = marks.index(answer)
        later = [b.anchor for b in marks[at + 1 :] if _is_printed(b)]
        later += [f"chapter-{chapter.number}" for chapter in chapters]
        return later[0] if at and later else ""

    def block(self, block: Block) -> dict[str, Any]:
        made = {"kind": block.kind, "anchor": block.anchor, "level": block.level}
        form, parts = pieces(block)
        made |= {"number": block.number, "parts": [self.said(p, form, block) for p in parts]}
        for key, value in block.data.items():
            if key in ("width", "height", "align", "questions"):
                made[key] = value
        if block.kind == "answer":  # page 1 leads to the answer in the question's own chapter
            made["leads"] = [q for q in block.data["questions"] if self.document.answer(q) is block]
        if block.kind == "table":
            rows = [block.data["columns"], *block.data["rows"]]
            made["rows"] = [[self.plain(typeset(c), block.where) for c in row] for row in rows]
        if "picture" in block.data:
            alt = block.data.get("alt", Text("輸出的圖", "picture")).in_language(self.language)
            drawn = block.data.get("by_language", {}).get(self.language, block.data["picture"])
            made |= {"file": self.file(drawn), "alt": alt}
        if "text" in block.data:
            made["raw"] = self.known(block.data["text"], block.where)
        return made

    def said(self, text: Text, form: str = "inline", block: Block | None = None) -> dict[str, str]:
        """The Typst of a text by language; one language where both say the same."""
        codes = self.codes if text.zh != text.en else self.codes[:1]
        said = {c: self.linked(self.markup(form, getattr(text, c), block)) for c in codes}
        return {c: self.known(t, block.where if block else "") for c, t in said.items() if t}

    def linked(self, typst: str) -> str:
        """References to what is on the web page alone lead nowhere."""
        return LINK.sub(lambda m: m[0] if m[1] in self.anchors else "#box", typst)

    def plain(self, text: Text, where: str = "") -> dict[str, str]:
        codes = self.codes if text.zh != text.en else self.codes[:1]
        return {c: self.known(getattr(text, c), where) for c in codes}

    def known(self, text: str, where: str) -> str:
        """The text with □ for Chinese that our font has not."""
        for c in {c for c in text if ord(c) >= EAST_ASIAN and ord(c) not in _characters()}:
            self.markup.problems[f"{where or 'the cover'}: {FAMILIES[0]} has no {c!r}"] = None
            text = text.replace(c, "□")
        return re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", text)

    def inline(self, picture: Picture, alt: str) -> str:
        return f'#inline-image("{self.file(picture)}", "{alt}");'

    def file(self, picture: Picture) -> str:
        digest = hashlib.blake2b(picture.data, digest_size=12).hexdigest()
        name = f"{digest}.{picture.mime.removeprefix('image/').removesuffix('+xml')}"
        (self.folder / name).write_bytes(picture.data)
        return name

    def guilty(self) -> str:
        """The first cell whose text Typst refuses by itself, as "05_x, cell 3: "."""
        import typst

        for key, where in self.markup.places.items():
            try:
                typst.compile((ALONE + self.linked(self.markup.done[key])).encode(), format="pdf")
            except typst.TypstError:
                return f"{where}: "
        return ""


def _is_printed(block: Block) -> bool:
    return not (block.detail or block.kind == "code" or block.data.get("stderr"))


def _missing(what: str) -> str:
    return f"#missing({json.dumps(what, ensure_ascii=False)});"


@cache
def _fonts():
    import typst

    return typst.Fonts(include_system_fonts=False, font_paths=[str(FONTS)])


@cache
def _characters() -> frozenset[int]:
    """The code points that our font has."""
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(FONTS / "NotoSansTC-Regular.otf").get_charmap())
