"""The Markdown of a Document as HTML, by one call of pandoc."""

from __future__ import annotations

import re
from collections.abc import Iterator

from markupsafe import Markup

from hw3lib import UserError
from hw3lib.report.blocks import pieces
from hw3lib.report.document import Document
from hw3lib.report.pandoc import ConversionError, to_html

# a formula in a line with the signs that must not part from it
INLINE = re.compile(
    r'([（「(]?)(<math display="inline".*?</math>)([，。、；：！？）」,.;:!?)]*)', re.DOTALL
)


def converted(document: Document) -> dict[tuple[str, bool], Markup]:
    """(Markdown, whether it stands within a line) -> HTML.

    Raises
    ------
    UserError
        naming the notebook and the cell, for what pandoc cannot convert.
    """
    wanted: dict[tuple[str, bool], str] = {}
    for where, text, within in _texts(document):
        wanted.setdefault((text, within), where)
    # a text within a line goes through as a heading, so that "1. x" does not become a list
    sources = ["# " + " ".join(text.split()) if within else text for text, within in wanted]
    try:
        done = to_html(sources)
    except ConversionError as error:
        raise UserError(f"{list(wanted.values())[error.index]}: {error}") from None
    return {
        key: Markup(re.sub(r"\A<h1>|</h1>\Z", "", html) if key[1] else html)
        for key, html in zip(wanted, (_clean(h.strip()) for h in done), strict=True)
    }


def _texts(document: Document) -> Iterator[tuple[str, str, bool]]:
    """(where, Markdown, whether it stands within a line) of every text."""
    for chapter in document.chapters:
        yield from ((chapter.notebook, s, True) for s in (chapter.title.zh, chapter.title.en))
        for block in chapter.blocks:
            if block.text is None:
                continue
            prose = block.kind in ("markdown", "answer")
            for text in pieces(block.text) if prose else [block.text]:
                where = f"{block.notebook}, cell {block.cell}"
                yield from ((where, s, not prose) for s in (text.zh, text.en))


def _clean(html: str) -> str:
    """pandoc's HTML: links that leave the page become text; no ids, no namespaces."""
    html = re.sub(r' xmlns="[^"]*"', "", html)
    html = re.sub(r'<a href="#[^"]*"[^>]*></a>', "", html)
    html = re.sub(r'(<(?:span|div)[^>]*) id="cb[^"]*"', r"\1", html)
    html = re.sub(r'<a href="([^"]*)"[^>]*>(.*?)</a>', _link, html, flags=re.DOTALL)
    html = INLINE.sub(r'<span class="whole">\g<0></span>', html)
    html = html.replace("<mo>′</mo>", '<mo class="prime">′</mo>')
    return re.sub(r"<th(?=[ >])", '<th scope="col"', html)


def _link(match: re.Match) -> str:
    address, text = match.groups()
    if address.startswith("#"):  # a reference to a figure or a table of this page
        return f'<a href="{address}">{text}</a>'
    shown = f'<span class="url">{address}</span>'
    return shown if text == address else f"{text} ({shown})"
