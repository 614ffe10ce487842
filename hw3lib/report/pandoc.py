"""Markdown to HTML and to Typst by pandoc: any number of snippets in one call of it."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path

from hw3lib import UserError

SCRIPT = Path(__file__).with_suffix(".lua")
_known: dict[tuple[str, str], str] = {}  # the three PDFs and the HTML share most texts


class ConversionError(UserError):
    """A snippet that pandoc cannot convert as a whole; `index` is its place in the list."""

    def __init__(self, message: str, index: int):
        super().__init__(message)
        self.index = index


def to_html(texts: list[str]) -> list[str]:
    """Each Markdown text as HTML, its mathematics as MathML with the TeX as annotation.

    Raw HTML is shown as text, never passed on; links go to http, https and mailto only.

    Raises
    ------
    ConversionError
        for a picture, any other link, or TeX that pandoc does not understand.
    """
    return _convert(texts, "html")


def to_typst(texts: list[str]) -> list[str]:
    """Each Markdown text as Typst markup, every equation with its TeX as alternative text.

    Raises
    ------
    ConversionError
        as `to_html`.
    """
    return _convert(texts, "typst")


@cache
def _pandoc() -> str:
    import pypandoc

    return pypandoc.get_pandoc_path()


def _convert(texts: list[str], target: str) -> list[str]:
    new = [t for t in dict.fromkeys(texts) if (target, t) not in _known]
    if new:
        for index, (text, result) in enumerate(zip(new, _run(new, target), strict=True)):
            if "error" in result:
                start = " ".join(text.split())[:80]
                reason = " ".join(result["error"].split())
                raise ConversionError(f"Markdown “{start}…”: {reason}", texts.index(new[index]))
            _known[target, text] = result["text"]
    return [_known[target, text] for text in texts]


def _run(texts: list[str], target: str) -> list[dict[str, str]]:
    done = subprocess.run(
        [_pandoc(), "lua", str(SCRIPT), target],
        input=json.dumps(texts, ensure_ascii=False),
        capture_output=True,
        encoding="utf-8",
    )
    if done.returncode:
        raise UserError(f"pandoc failed ({done.returncode}): {done.stderr.strip()}")
    return json.loads(done.stdout)
