"""A table as Typst: what of it must stay on one line, and which columns may be broken."""

from __future__ import annotations

import re
from collections.abc import Callable

from hw3lib.bilingual import Text
from hw3lib.report.blocks import Block
from hw3lib.report.source import Source, listed, quote

NAME_LENGTH = 16  # letters; a column with longer cells may be broken into lines
LINE_LENGTH = 28  # letters in both languages; longer ones stand below each other


def table(block: Block, source: Source) -> str:
    """The arguments of `data-table` but for its caption."""
    data = block.data

    def cell(text: dict[str, str], stack: bool) -> str:
        return f"cell-text(stack: {str(stack).lower()}, {source.text(Text(**text))})"

    stacks = [width > LINE_LENGTH for width in _widths(data, lambda zh, en: zh + en)]
    head = listed([cell(c, True) for c in data["columns"]])
    rows = [listed(map(cell, row, stacks)) for row in data["rows"]]
    longest = {"both": max, "zh": lambda zh, en: zh, "en": lambda zh, en: en}[source.language]
    wraps = [str(w > NAME_LENGTH).lower() for w in _widths(data, longest)]
    words = [quote(_longest_word(c, source.language)) for c in data["columns"]]
    return (
        f"wraps: {listed(wraps)}, words: {listed(words)}, align: {listed(data['align'])}, "
        f"head: {head}, rows: {listed(rows)}"
    )


def _widths(data: dict, combine: Callable[[int, int], int]) -> list[int]:
    """Of each column's longest body cell, in Latin letters (a Chinese character counts two)."""

    def letters(text: str) -> int:
        return sum(1 + (c >= "\u2e80") for c in text)

    cells = [[combine(letters(c["zh"]), letters(c["en"])) for c in row] for row in data["rows"]]
    return [max((row[i] for row in cells), default=0) for i in range(len(data["columns"]))]


def _longest_word(text: dict[str, str], language: str) -> str:
    """What of a heading must stay on one line; of Chinese, four characters."""
    words = text["en"].split() if language != "zh" else re.findall(r"[\x21-\u2e7f]+", text["zh"])
    return max([*words, text["zh"][:4] if language != "en" else ""], key=lambda w: len(w.encode()))
