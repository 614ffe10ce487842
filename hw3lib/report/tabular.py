"""A table as Typst: what of it must stay on one line, and which columns may be broken."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from hw3lib.report.blocks import Block
from hw3lib.report.source import Source, listed, quote
from hw3lib.text import Text

NAME_LENGTH = 16  # letters; a column with longer cells may be broken into lines
LINE_LENGTH = 28  # letters in both languages; longer ones stand below each other
WORD_LENGTH = 30  # letters; a longer word of a body cell may run over its column
MINUS = re.compile(r"(?<![A-Za-z0-9.-])-(?=\.?[0-9])")  # as in pandoc.lua
INTERVAL = re.compile(r"\[[^\[\],]{1,12}, [^\[\],]{1,12}\](?: [○×△])?")  # and its verdict
WORD = re.compile(rf"{INTERVAL.pattern}|[A-Za-z0-9_.]+")  # within it no line breaks


def table(block: Block, source: Source) -> str:
    """The arguments of `data-table` but for its caption."""
    data = block.data

    def cell(text: dict[str, str], stack: bool) -> str:
        return f"cell-text(stack: {str(stack).lower()}, {source.text(typeset(text))})"

    stacks = [width > LINE_LENGTH for width in _widths(data, lambda zh, en: zh + en)]
    head = listed([cell(c, True) for c in data["columns"]])
    rows = [listed(map(cell, row, stacks)) for row in data["rows"]]
    longest = {"both": max, "zh": lambda zh, en: zh, "en": lambda zh, en: en}[source.language]
    wraps = [str(w > NAME_LENGTH).lower() for w in _widths(data, longest)]
    words = [quote(_longest_word(c, source.language)) for c in data["columns"]]
    names = [quote(_longest_name(row[i] for row in data["rows"])) for i in range(len(words))]
    return (
        f"wraps: {listed(wraps)}, words: {listed(words)}, names: {listed(names)}, "
        f"align: {listed(data['align'])}, "
        f"head: {head}, rows: {listed(rows)}"
    )


def typeset(text: dict[str, str]) -> Text:
    """A cell's text: a minus before negative numbers, and intervals that stay on one line."""

    def whole(found: re.Match) -> str:
        return found[0].replace(" ", "\u00a0")

    return Text(**{c: INTERVAL.sub(whole, MINUS.sub("−", said)) for c, said in text.items()})


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


def _longest_name(cells: Iterable[dict[str, str]]) -> str:
    """The longest word of a column's body cells, as far as no line can break within it."""
    names = (n for c in cells for text in c.values() for n in WORD.findall(text))
    return max((n for n in names if len(n) <= WORD_LENGTH), key=len, default="")
