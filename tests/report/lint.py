"""Rules for our nine notebooks: alike in build, and the same in both languages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from string import Formatter

from nbformat import NotebookNode

from hw3lib.report.execute import tags
from hw3lib.report.notebook import LANGUAGE_TAGS

TAGS = {*LANGUAGE_TAGS, "parameters", "setup", "prose", "detail"}
LINES = 20  # of a code cell, at most
SHOWN = ("say", "answer", "figure", "table", "check")
FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<!\\)\$(.+?)(?<!\\)\$", re.DOTALL)
FIELD = re.compile(r"\{(\w*)[^{}]*\}")  # {value:.1%}, which is no number of the sentence's
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
CHINESE = re.compile(r"[一-鿿]")
WORDS = {  # number -> its words in Chinese, in English
    "1": ("一", "one|first"), "2": ("[二兩]", "two|second|both"), "3": ("三", "three|third"),
    "4": ("四", "four"), "5": ("五", "five|fifth"), "6": ("六", "six"), "7": ("七", "seven"),
    "8": ("八", "eight"), "9": ("九", "nine|ninth"), "10": ("十", "ten"),
}  # fmt: skip


def rules_broken(nb: NotebookNode) -> Iterator[str]:
    """A line for each rule of the house that the notebook breaks, naming the cell."""
    sources = [c.source for c in nb.cells if c.cell_type == "markdown" and "lang-en" not in tags(c)]
    levels = [len(s) for s in re.findall(r"^(#{1,6}) ", "\n".join(sources), re.MULTILINE)]
    if levels[:1] != [1] or 1 in levels[1:]:
        yield "one # heading comes first, then ## and ### alone"
    if any(below > above + 1 for above, below in pairwise(levels)):
        yield "a heading skips a level"
    for number, cell in enumerate(nb.cells, 1):
        rules = _code if cell.cell_type == "code" else _prose
        yield from (f"cell {number}: {line}" for line in rules(cell, tags(cell)))


def _prose(cell: NotebookNode, tagged: set[str]) -> Iterator[str]:
    words = FORMULA.sub(" ", cell.source)
    if not tagged & set(LANGUAGE_TAGS) and re.sub(r"[\s.,;]", "", words):
        yield "words without a language"


def _code(cell: NotebookNode, tagged: set[str]) -> Iterator[str]:
    if extra := tagged - TAGS:
        yield f"unknown tag {', '.join(sorted(extra))}"
    if "prose" in tagged and not cell.metadata.get("jupyter", {}).get("source_hidden"):
        yield "tagged prose, but not collapsed"
    most = 2 * LINES if "setup" in tagged else LINES  # imports take a line each
    if (length := len(cell.source.splitlines())) > most and "prose" not in tagged:
        yield f"{length} lines of code; at most {most}"
    for call in (n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.Call)):
        name, given = getattr(call.func, "id", ""), {k.arg for k in call.keywords}
        if name == "print":
            yield "print; say it in both languages with say(zh=..., en=...)"
        if name in SHOWN and not ({"zh", "en"} <= given or None in given or len(call.args) > 1):
            yield f"{name} without both zh= and en="


def unlike(nb: NotebookNode) -> Iterator[str]:
    """A line for each text whose two languages differ in what both must state."""
    for zh, en in pairs(nb):
        yield from _statements(zh, en)
        if len(CHINESE.findall(FORMULA.sub("", en))) >= 0.2 * len(en):
            yield f"“{_start(zh)}…”: the lang-en cell is Chinese"
        if zh != en and not CHINESE.search(zh):
            yield f"“{_start(zh)}…”: the lang-zh cell is not Chinese"
    for cell in (c for c in nb.cells if c.cell_type == "code"):
        for call in (n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.Call)):
            if getattr(call.func, "id", "") in SHOWN:
                texts = {k.arg: k.value.value for k in call.keywords if _is_text(k.value)}
                for zh, en in (("zh", "en"), ("alt_zh", "alt_en"), ("short_zh", "short_en")):
                    if {zh, en} <= set(texts):
                        yield from _templates(texts[zh], texts[en])


def pairs(nb: NotebookNode) -> list[tuple[str, str]]:
    return [
        (zh.source, en.source)
        for zh, en in pairwise(nb.cells)
        if "lang-zh" in tags(zh) and "lang-en" in tags(en)
    ]


def numbers_in_one(zh: str, en: str) -> set[str]:
    """Numbers that one language states and the other does not, in digits or in words."""
    in_zh, in_en = set(NUMBER.findall(zh)), set(NUMBER.findall(en))
    missing_zh = {n for n in in_en - in_zh if not re.search(WORDS.get(n, ("$^", ""))[0], zh)}
    missing_en = {n for n in in_zh - in_en if not re.search(WORDS.get(n, ("", "$^"))[1], en, re.I)}
    return missing_zh | missing_en


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _templates(zh: str, en: str) -> Iterator[str]:
    try:
        fields = [{f for _, f, _, _ in Formatter().parse(t) if f is not None} for t in (zh, en)]
    except ValueError as error:
        yield f"“{_start(zh)}…”: a brace out of place ({error})"
        return
    if odd := fields[0] ^ fields[1]:
        yield f"“{_start(zh)}…”: values in one language only: {', '.join(sorted(odd))}"
    yield from _statements(*(FIELD.sub(r"{\1}", t) for t in (zh, en)))


def _statements(zh: str, en: str) -> Iterator[str]:
    (shown_zh, inline_zh), (shown_en, inline_en) = map(_formulas, (zh, en))
    if shown_zh != shown_en:
        yield f"“{_start(zh)}…”: the displayed formulas of the two languages differ"
    if odd := inline_zh ^ inline_en:
        yield f"“{_start(zh)}…”: formulas in one language only: {', '.join(sorted(odd))}"
    if odd := numbers_in_one(FORMULA.sub(" ", zh), FORMULA.sub(" ", en)):
        yield f"“{_start(zh)}…”: numbers in one language only: {', '.join(sorted(odd))}"


def _start(text: str) -> str:
    return " ".join(text.split())[:24]


def _formulas(text: str) -> tuple[list[str], set[str]]:
    """The displayed formulas in order, and the set of those within a line, blanks aside."""
    found = [("".join(d.split()), "".join(i.split())) for d, i in FORMULA.findall(text)]
    return [d for d, _ in found if d], {i for _, i in found if i}
