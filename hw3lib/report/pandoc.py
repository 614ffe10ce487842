"""Markdown and HTML to HTML and to Typst by pandoc: any number of snippets in one call of it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from hw3lib import UserError
from hw3lib.report.document import Block, Document, paragraphs
from hw3lib.report.pictures import Picture
from hw3lib.text import Text

FORMATS = dict.fromkeys(("markdown", "answer", "work"), "markdown") | {"html": "html"}  # or inline
IMAGE = re.compile(r'<img src="hw3-image:([^"]*)" alt="([^"]*)" />|'
                   r'#inline-image\("hw3-image:([^"]*)", "((?:[^"\\]|\\.)*)"\);')  # fmt: skip
TEX = re.compile(
    r'<math ([^>]*)>(.*?<annotation encoding="application/x-tex">(.*?)</annotation>)', re.S
)
SCRIPT = Path(__file__).with_suffix(".lua")
_known: dict[tuple[str, str, str], str | UserError] = {}  # the three PDFs share most texts


def convert(snippets: Sequence[tuple[str, str]], target: str) -> list[str | UserError]:
    """Each (format, text) as "html" (mathematics as MathML) or "typst" (with alternative text).

    format : "markdown", "inline" (Markdown of one line) or "html". Raw HTML becomes what it says,
             never markup of its own; links go to http, https and mailto or within the page; an
             image becomes a place "hw3-image:NAME", which the caller fills.

    In place of a text whose TeX pandoc does not understand stands the UserError that says so.
    """
    new = [s for s in dict.fromkeys(snippets) if (target, *s) not in _known]
    for snippet, result in zip(new, _run(new, target) if new else (), strict=True):
        start, reason = (" ".join(t.split()) for t in (snippet[1], result.get("error", "")))
        fault = UserError(f"“{start[:80]}…”: {reason}") if reason else None
        _known[target, *snippet] = fault or _reachable(result["text"].strip(), snippet[0])
    return [_known[target, *s] for s in snippets]


def _reachable(made: str, form: str) -> str:
    """Formulas get alternative text, and tables of Markdown scroll; Typst stays as it is."""
    if form == "markdown":
        made = made.replace("<table>", '<div class="table" role="group" tabindex="0"><table>')
        made = made.replace("</table>", "</table></div>")
    return TEX.sub(_with_alternative, made)


def _with_alternative(found: re.Match) -> str:
    """Mathematics with its TeX as alternative text, for readers that know no MathML."""
    attributes, rest, tex = found.groups()
    return f'<math {attributes} alttext="{tex.replace(chr(34), "&quot;").strip()}">{rest}'


def _run(snippets: list[tuple[str, str]], target: str) -> list[dict[str, str]]:
    import pypandoc

    done = subprocess.run(
        [pypandoc.get_pandoc_path(), "lua", str(SCRIPT), target],
        input=json.dumps(snippets, ensure_ascii=False),
        capture_output=True,
        encoding="utf-8",
    )
    if done.returncode:
        raise UserError(f"pandoc failed ({done.returncode}): {done.stderr.strip()}")
    return json.loads(done.stdout)


class Markup:
    """The texts of a Document in another markup, converted in one call of pandoc.

    place    : what an image within a text becomes, of the Picture and its alternative text
    missing  : what stands in the place of what cannot be shown
    problems : a line for each of those
    """

    def __init__(
        self, document: Document, target: str, languages: Sequence[str],
        place: Callable[[Picture, str], str], missing: Callable[[str], str],
    ) -> None:  # fmt: skip
        self.place, self.missing, self.problems = place, missing, {}
        self.places = {(form, text): where for where, form, text in texts(document, languages)}
        self.done: dict[tuple[str, str], str] = {}
        for key, made in zip(self.places, convert([*self.places], target), strict=True):
            if isinstance(made, UserError):
                self.problems[f"{self.places[key]}: {made}"] = None
                made = missing(str(made))
            self.done[key] = made

    def __call__(self, form: str, text: str, block: Block | None = None) -> str:
        """The text of the Block, with its images."""

        def filled(found: re.Match) -> str:
            name, alt = (next(filter(None, found.group(i, i + 2)), "") for i in (1, 2))
            try:
                return self.place(block.images.find(name), alt)
            except LookupError as error:
                self.problems[f"{block.where}: the image {name[:80]}: {error}"] = None
                return self.missing(f"{alt or name[:80]}: {error}")

        return IMAGE.sub(filled, self.done[form, text]) if block else self.done[form, text]


def pieces(block: Block) -> tuple[str, list[Text]]:
    """The format of a Block's text, and the text: in paragraphs, where it has any."""
    form = FORMATS.get(block.kind, "inline")
    text = [block.text] if block.text else []
    return form, [p for t in text for p in paragraphs(t)] if form == "markdown" else text


def texts(document: Document, languages: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """(where, format, text) of all that pandoc converts."""
    for chapter in document.chapters:
        yield from ((chapter.notebook, "inline", getattr(chapter.title, c)) for c in languages)
        for block in chapter.blocks:
            form, parts = pieces(block)
            yield from ((block.where, form, getattr(t, c)) for t in parts for c in languages)
            if block.kind == "answer":
                short = block.data["short"]
                yield from ((block.where, "inline", getattr(short, c)) for c in languages)
