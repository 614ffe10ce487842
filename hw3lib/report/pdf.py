"""The report as PDF: Typst source, our fonts, one compilation; tagged and reproducible."""

from __future__ import annotations

import io
import re
import shutil
import tempfile
import unicodedata
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from hw3lib import UserError
from hw3lib.files import ROOT
from hw3lib.report import markup
from hw3lib.report.document import Document
from hw3lib.text import LANGUAGES

FONTS = ROOT / "report" / "fonts"
TEMPLATE = ROOT / "report" / "templates" / "hw3_pdf"
FAMILY = "Noto Sans TC"
STANDARDS = ["ua-1", "a-2a"]  # accessible, and for the archive: both refuse what is incomplete


def render(document: Document, language: str) -> bytes:
    """The PDF of the Document in "zh", "en" or "both".

    The same Document gives the same bytes; its date stamps the file.

    Raises
    ------
    UserError
        for Markdown that cannot be converted or a character that no font here has, naming the
        notebook and the cell; and for whatever else Typst refuses.
    """
    if language not in LANGUAGES:
        raise UserError(f"language {language!r}: choose one of {', '.join(LANGUAGES)}")
    check_characters(document)
    source = markup.build(document, language, list(_characters()))
    with tempfile.TemporaryDirectory(prefix="hw3-pdf-") as folder:
        for name, data in source.files.items():
            (Path(folder) / name).write_bytes(data)
        for part in TEMPLATE.glob("*.typ"):
            shutil.copy(part, folder)
        main = Path(folder) / "main.typ"
        main.write_text("\n".join(source.lines) + "\n", encoding="utf-8")
        inputs = {"languages": document.author.get("languages", "")}
        return packed(_compile(main, document.date, source.lines, inputs))


def packed(pdf: bytes) -> bytes:
    """The same PDF, a quarter smaller: better compressed, its small objects packed together.

    PDF/A-2 (ISO 19005-2, 6.1.7) and PDF/UA allow the object streams of PDF 1.5. The same bytes
    give the same bytes.
    """
    import pikepdf

    pikepdf.settings.set_flate_compression_level(9)
    made = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf)) as opened:
        opened.save(
            made,
            object_stream_mode=pikepdf.ObjectStreamMode.generate,
            recompress_flate=True,
            deterministic_id=True,
            fix_metadata_version=False,
        )
    return made.getvalue()


def _compile(main: Path, date: str, lines: list[str], inputs: dict[str, str]) -> bytes:
    import typst

    try:
        pdf, notes = typst.compile_with_warnings(
            str(main),
            root=str(main.parent),
            font_paths=_fonts(),
            ignore_system_fonts=True,
            format="pdf",
            pdf_standards=STANDARDS,
            timestamp=_timestamp(date),
            sys_inputs=inputs,
        )
    except typst.TypstError as error:
        where = _place("\n".join([error.diagnostic, *error.trace]), lines)
        hints = "".join(f"; {hint}" for hint in error.hints)
        raise UserError(f"{where}Typst: {error.message}{hints}") from None
    for note in notes:
        warnings.warn(f"{_place(note.diagnostic, lines)}Typst: {note.message}", stacklevel=2)
    return pdf


def _place(diagnostic: str, lines: list[str]) -> str:
    """ "05_x, cell 3: ", read from the comment above the line of main.typ that is named."""
    named = re.search(r"main\.typ:(\d+)", diagnostic)
    before = "\n".join(lines).split("\n")[: int(named[1])] if named else []
    return next((f"{line[3:]}: " for line in reversed(before) if line.startswith("// ")), "")


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


def check_characters(document: Document) -> None:
    """UserError for the first character that would be missing from the page."""
    known = frozenset().union(*_characters().values())
    for where, text in _shown_texts(document):
        for character in text:
            if ord(character) in known or unicodedata.category(character) in ("Cc", "Cf", "Mn"):
                continue
            name = unicodedata.name(character, "unnamed")
            raise UserError(
                f"{where}: no font in {FONTS} has {character!r} (U+{ord(character):04X} {name}); "
                "write it otherwise, or put a font that has it (.otf or .ttf) into that folder"
            )


def _shown_texts(document: Document) -> Iterator[tuple[str, str]]:
    """(where, text) of what is set in the text font; mathematics has a font of its own."""
    for value in document.author.values():
        for text in value if isinstance(value, list) else [value]:
            yield "report/author.toml", markup.plain(text, "both")
    front = [document.title, *document.facts, *document.facts.values()]
    for text in [*front, *(q.title for q in document.questions)]:
        yield "the cover", markup.plain(text, "both")
    for where, _, text in markup.markdown_texts(document):
        yield where, re.sub(r"\$\$.*?\$\$|\$[^$]+\$", _chinese_only, text, flags=re.DOTALL)
    for chapter in document.chapters:
        for block in chapter.blocks:
            if block.kind == "table":
                for row in [block.data["columns"], *block.data["rows"]]:
                    yield markup.place(block), " ".join(c["zh"] + c["en"] for c in row)
            elif block.kind == "error":
                yield markup.place(block), block.data["text"]


def _chinese_only(formula: re.Match) -> str:
    return "".join(c for c in formula[0] if ord(c) >= 0x2E80)
