"""The report as PDF: its texts as Typst, one compilation; tagged, reproducible, Chinese in it.

report/templates/hw3_pdf/report.typ is the look: it reads the document.json that is written here.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from hw3lib import UserError
from hw3lib.files import ROOT
from hw3lib.report.document import WORDS, Block, Document, Picture, paragraphs, typeset
from hw3lib.report.pandoc import Markup
from hw3lib.report.show import SYNTHETIC_NOTE
from hw3lib.text import LANGUAGES, Text

FONTS = ROOT / "report" / "fonts"
TEMPLATE = ROOT / "report" / "templates" / "hw3_pdf"
FAMILY = "Noto Sans TC"
BUNDLED = ("DejaVu Sans Mono", "New Computer Modern Math")  # Typst's own, for other signs
STANDARDS = ["ua-1", "a-2a"]  # accessible, and for the archive: both refuse what is incomplete
SUFFIXES = {"image/svg+xml": "svg", "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp",
            "image/gif": "gif"}  # fmt: skip
EAST_ASIAN = 0x2E80  # from this character on, our font or none
KEPT = 700  # letters of a paragraph in all its languages that stays on one page
ROOM = 482  # points between the margins
BESIDE = 270  # points high at most, of figures that stand side by side


def render(document: Document, language: str, problems: dict | None = None) -> bytes:
    """The PDF of the Document in "zh", "en" or "both", without what is detail, code or stderr.

    The same Document gives the same bytes; its date stamps the file.
    problems : is given a key for each image or character that could not be taken in

    Raises
    ------
    UserError
        for texts that cannot be converted, and for whatever Typst refuses, naming the cell.
    """
    if language not in LANGUAGES:
        raise UserError(f"language {language!r}: choose one of {', '.join(LANGUAGES)}")
    with tempfile.TemporaryDirectory(prefix="hw3-pdf-") as folder:
        pages = _Pages(document, language, Path(folder))
        for part in TEMPLATE.glob("*.typ"):
            shutil.copy(part, folder)
        pdf = pages.compiled()
    if problems is not None:
        problems.update(pages.problems)
    return pdf


class _Pages:
    """document.json and the pictures that it names, in a folder."""

    def __init__(self, document: Document, language: str, folder: Path) -> None:
        self.document, self.folder, self.language = document, folder, language
        self.codes = ("zh", "en") if language == "both" else (language,)
        self.markup = Markup(document, "typst", self.codes, self.inline, _missing)
        self.problems = self.markup.problems
        self.shown = [[b for b in c.blocks if _is_printed(b)] for c in document.chapters]
        blocks = [b for shown in self.shown for b in shown]
        self.anchors = {b.anchor for b in blocks if b.number or b.kind == "work"}

    def compiled(self) -> bytes:
        import typst

        written = {"document": self.whole()}
        try:
            (self.folder / "document.json").write_text(json.dumps(written), encoding="utf-8")
            return typst.compile(
                str(self.folder / "report.typ"),
                root=str(self.folder),
                font_paths=_fonts(),
                ignore_system_fonts=True,
                format="pdf",
                pdf_standards=STANDARDS,
                timestamp=_timestamp(self.document.date),
            )
        except typst.TypstError as error:
            hints = "".join(f"; {hint}" for hint in error.hints)
            raise UserError(f"{self.guilty()}Typst: {error.message}{hints}") from None

    def guilty(self) -> str:
        """The first cell whose text Typst refuses by itself, as "05_x, cell 3: "."""
        import typst

        head = "#let inline-image(..a) = none\n#let missing(a) = none\n"
        for shown in self.shown:
            for block in (b for b in shown if b.text):
                form = {"html": "html", "markdown": "markdown", "answer": "markdown"}.get(
                    block.kind
                )
                for part in paragraphs(block.text) if form == "markdown" else [block.text]:
                    for code in self.codes:
                        said = self.linked(
                            self.markup(form or "inline", getattr(part, code), block)
                        )
                        try:
                            typst.compile((head + said).encode(), format="pdf")
                        except typst.TypstError:
                            return f"{block.where}: "
        return ""

    def whole(self) -> dict[str, Any]:
        document = self.document
        people = [document.author.get(k) for k in ("name", "id", "department", "course")]
        people += document.author.get("collaborators", [])
        return {
            "language": self.language,
            "title": self.plain(document.title),
            "author": [self.plain(value) for value in people if value],
            "notes": [self.plain(note) for note in document.notes],
            "facts": [[self.plain(k), self.plain(v)] for k, v in document.facts.items()],
            "scores": [[self.plain(k), f"{v:.1%}"] for k, v in document.scores],
            "synthetic": self.plain(SYNTHETIC_NOTE) if document.synthetic else None,
            "families": [*_characters(), *BUNDLED],
            "questions": [self.question(q) for q in document.questions],
            "chapters": [
                {"number": c.number, "title": self.said(c.title), "blocks": self.rows(shown)}
                for c, shown in zip(document.chapters, self.shown, strict=True)
            ],
        }

    def question(self, question) -> dict[str, Any]:
        answer = self.document.answer(question.id)
        short = None if answer is None else self.said(Text(**answer.data["short"]), block=answer)
        return {
            "id": question.id, "title": self.plain(question.title), "short": short,
            "marks": question.marks, "chapter": question.chapter,
            "answered": answer is not None and _is_printed(answer),
        }  # fmt: skip

    def rows(self, blocks: Iterable[Block]) -> list[dict[str, Any]]:
        """The Blocks; two small figures in a row stand side by side."""
        made: list[dict[str, Any]] = []
        for block in blocks:
            fresh = self.block(block)
            last = made[-1] if made else {}
            if (fresh["kind"], last.get("kind")) == ("figure", "figure") and _fit(last, fresh):
                made[-1] = {"kind": "beside", "figures": [last, fresh]}
            else:
                made.append(fresh)
        return made

    def block(self, block: Block) -> dict[str, Any]:
        made: dict[str, Any] = {"kind": block.kind, "anchor": block.anchor}
        if block.kind in ("markdown", "answer"):
            parts = paragraphs(block.text)
            made["parts"] = [self.said(p, "markdown", block) for p in parts]
            for part in made["parts"]:
                part["keep"] = sum(map(len, part.values())) < KEPT * len(self.codes)
            if block.kind == "answer":
                answered = [q for q in block.data["questions"] if self.document.answer(q) is block]
                made |= {"questions": block.data["questions"], "answered": answered}
        elif block.kind == "heading":
            made |= {"level": block.level, "number": block.number, "text": self.said(block.text)}
        elif block.kind in WORDS:
            word = WORDS[block.kind]
            label = f"{word.en if self.language == 'en' else word.zh} {block.number}"
            made |= {"label": label, "caption": self.said(block.text, block=block)}
        elif block.kind in ("html", "work"):
            form = "html" if block.kind == "html" else "markdown"
            made["text"] = self.said(block.text, form, block)
        elif block.kind == "missing":
            made["text"] = self.plain(block.text)
        else:
            made["text"] = self.known(block.data.get("text", ""), block.where)
        if block.kind == "table":
            for key in ("columns", "rows"):
                cells = block.data[key] if key == "rows" else [block.data[key]]
                made[key] = [[self.cell(c, block.where) for c in row] for row in cells]
            made["align"] = block.data["align"]
        if "picture" in block.data:
            drawn = block.data["picture"]
            alt = block.data.get("alt") or {"zh": "輸出的圖", "en": "picture"}
            spoken = Text(alt["zh"], alt["en"]).in_language(self.language)
            size = {"width": drawn.width, "height": drawn.height}
            made |= {"file": self.file(drawn), "alt": spoken, **size}
        return made

    def said(self, text: Text, form: str = "inline", block: Block | None = None) -> dict[str, str]:
        """The Typst of a text by language; one language where both say the same."""
        codes = self.codes if text.zh != text.en else self.codes[:1]
        said = {c: self.linked(self.markup(form, getattr(text, c), block)) for c in codes}
        return {c: self.known(t, block.where if block else "") for c, t in said.items() if t}

    def linked(self, typst: str) -> str:
        """References to what is on the web page alone lead nowhere."""
        return re.sub(
            r"#link\(<([\w-]+)>\)", lambda m: m[0] if m[1] in self.anchors else "#box", typst
        )

    def plain(self, text: Text | str) -> dict[str, str]:
        text = text if isinstance(text, Text) else Text(str(text), str(text))
        codes = self.codes if text.zh != text.en else self.codes[:1]
        return {c: self.known(getattr(text, c), "") for c in codes}

    def cell(self, cell: dict[str, str], where: str) -> dict[str, str]:
        return self.plain(Text(*(self.known(typeset(cell[c]), where) for c in ("zh", "en"))))

    def known(self, text: str, where: str) -> str:
        """The text with □ for what no font here has."""
        have = _characters()
        for c in {c for c in text if ord(c) >= EAST_ASIAN}:
            if not any(ord(c) in characters for characters in have.values()):
                self.problems[f"{where or 'the cover'}: no font in {FONTS} has {c!r}"] = None
                text = text.replace(c, "□")
        return re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", text)

    def inline(self, picture: Picture, alt: str) -> str:
        return f'#inline-image("{self.file(picture)}", {picture.width:g}pt, "{alt}");'

    def file(self, picture: Picture) -> str:
        digest = hashlib.blake2b(picture.data, digest_size=12).hexdigest()
        name = f"{digest}.{SUFFIXES[picture.mime]}"
        (self.folder / name).write_bytes(picture.data)
        return name


def _is_printed(block: Block) -> bool:
    return not (block.detail or block.kind == "code" or block.data.get("stderr"))


def _fit(left: dict, right: dict) -> bool:
    return left["width"] + right["width"] <= ROOM and max(left["height"], right["height"]) <= BESIDE


def _missing(what: str) -> str:
    return f"#missing({json.dumps(what, ensure_ascii=False)});"


def _timestamp(date: str) -> int:
    if not date:
        return 0
    moment = datetime.fromisoformat(date)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


@cache
def _fonts():
    import typst

    return typst.Fonts(include_system_fonts=False, font_paths=[str(FONTS)])


@cache
def _characters() -> dict[str, frozenset[int]]:
    """Family -> its characters: ours first, then any other font put into report/fonts."""
    from matplotlib.ft2font import FT2Font

    found: dict[str, frozenset[int]] = {FAMILY: frozenset()}
    for font in _fonts().fonts():
        if font.path and Path(font.path).parent == FONTS:
            own = frozenset(FT2Font(font.path).get_charmap())
            found[font.family] = found.get(font.family, frozenset()) | own
    if not found[FAMILY]:
        raise UserError(f"{FONTS}: {FAMILY} is missing; restore it with git or subset.py there")
    return found
