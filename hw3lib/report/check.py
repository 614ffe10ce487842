"""What keeps a notebook from being committed: `hw3 check`, the tests and the pre-commit hook."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from string import Formatter

import nbformat
from nbformat import NotebookNode

from hw3lib import UserError
from hw3lib.files import write_atomic
from hw3lib.report.blocks import LANGUAGE_TAGS, notebook_blocks
from hw3lib.report.document import chapter_of

TAGS = {*LANGUAGE_TAGS, "parameters", "setup", "prose", "detail"}
METADATA = {  # of a notebook that is committed
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
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


def faults_of(path: Path) -> list[str]:
    """A line for each fault of the notebook, naming the cell; none where it may be committed."""
    try:
        ids = [cell.get("id") for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
        with warnings.catch_warnings(action="ignore"):  # of ids, which nbformat mends as it reads
            nb = nbformat.read(path, as_version=4)
            nbformat.validate(nb)
    except Exception as error:
        return [f"{path}: not a notebook: {(str(error) or repr(error)).splitlines()[0]}"]
    found = [f"{path}: {line}" for line in _whole(nb, path.stem)]
    found += [f"{path}: two cells have one id"] if len(set(ids)) < len(ids) else []
    for number, cell in enumerate(nb.cells):
        rules = [_stored(cell)]
        rules.append(_code(cell) if cell.cell_type == "code" else _prose(cell))
        found += [f"{path}, cell {number}: {line}" for lines in rules for line in lines]
    for number, (zh, en) in enumerate(pairwise(nb.cells)):
        if "lang-zh" in tags(zh) and "lang-en" in tags(en):
            found += [f"{path}, cell {number}: {line}" for line in unlike(zh.source, en.source)]
    return found


def clear(path: Path) -> None:
    """Take out of a notebook what running it left: outputs, execution counts, metadata.

    Raises
    ------
    UserError
        if the file is no notebook; it stays as it is.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            nb = nbformat.read(path, as_version=4)
    except Exception as error:
        raise UserError(f"{path}: not a notebook: {(str(error) or repr(error))}") from None
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        cell.metadata = {k: v for k, v in cell.metadata.items() if k in ("tags", "jupyter")}
    nb.metadata = METADATA
    write_atomic(path, (nbformat.writes(nb) + "\n").encode())


def tags(cell: NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


def _whole(nb: NotebookNode, name: str) -> Iterator[str]:
    """What concerns the notebook as a whole: its metadata, its Pairs, its headings."""
    if extra := set(nb.metadata) - set(METADATA):
        yield f"metadata {', '.join(sorted(extra))}: clear it"
    if nb.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "the kernel is not python3"
    try:
        chapter_of(notebook_blocks(nb, name), name)
    except ValueError as error:
        yield str(error)


def _stored(cell: NotebookNode) -> Iterator[str]:
    if cell.cell_type == "code" and (cell.outputs or cell.execution_count is not None):
        yield "a stored output; hw3 check --clear removes it"
    if extra := set(cell.metadata) - {"tags", "jupyter"}:
        yield f"metadata {', '.join(sorted(extra))}: only tags are kept"
    if extra := tags(cell) - TAGS:
        yield f"unknown tag {', '.join(sorted(extra))}; known are {', '.join(sorted(TAGS))}"


def _prose(cell: NotebookNode) -> Iterator[str]:
    prose = FORMULA.sub(" ", cell.source)
    if cell.cell_type == "raw":
        yield "a raw cell, which no report shows; make it Markdown"
    if not tags(cell) & set(LANGUAGE_TAGS) and re.sub(r"[\s.,;]", "", prose):
        yield "words without a language; tag the cell lang-zh or lang-en and give it its other half"
    if re.search(r"</?[a-zA-Z!][^>]*>|!\[", re.sub(r"`[^`]*`", "", prose)):
        yield "HTML or a picture in Markdown; show pictures with hw3lib.report.show.figure"


def _code(cell: NotebookNode) -> Iterator[str]:
    source = cell.source
    if (length := len(source.splitlines())) > LINES and "prose" not in tags(cell):
        yield f"{length} lines of code; at most {LINES}, the rest belongs into the library"
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except SyntaxError as error:
        yield f"no Python: {error.msg}"
        return
    for call in nodes:
        name = getattr(getattr(call, "func", None), "id", "") if isinstance(call, ast.Call) else ""
        given = {k.arg for k in call.keywords} if name else set()
        if name == "print":
            yield "print; say it in both languages with say(zh=..., en=...)"
        if name in SHOWN and None not in given:
            if not {"zh", "en"} <= given:
                yield f"{name} without both zh= and en="
            if ("alt_zh" in given) != ("alt_en" in given):
                yield f"{name} with one of alt_zh= and alt_en="
            texts = {k.arg: k.value.value for k in call.keywords if _is_text(k.value)}
            for zh, en in (("zh", "en"), ("alt_zh", "alt_en")):
                if {zh, en} <= set(texts):
                    yield from _unlike_templates(texts[zh], texts[en])


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _unlike_templates(zh: str, en: str) -> Iterator[str]:
    """How two texts with fields `{value:.1%}` differ in what both must state."""
    try:
        fields = [{f for _, f, _, _ in Formatter().parse(t) if f is not None} for t in (zh, en)]
    except ValueError as error:
        yield f"“{_start(zh)}…”: a brace out of place ({error})"
        return
    if odd := fields[0] ^ fields[1]:
        yield f"“{_start(zh)}…”: values in one language only: {', '.join(sorted(odd))}"
    yield from _unlike_statements(*(FIELD.sub(r"{\1}", t) for t in (zh, en)))


def unlike(zh: str, en: str) -> Iterator[str]:
    """How the halves of a Pair differ in what both must state."""
    yield from _unlike_statements(zh, en)
    if len(CHINESE.findall(FORMULA.sub("", en))) >= 0.2 * len(en):
        yield f"“{_start(zh)}…”: the lang-en cell is Chinese"
    if zh != en and not CHINESE.search(zh):
        yield f"“{_start(zh)}…”: the lang-zh cell is not Chinese"


def _unlike_statements(zh: str, en: str) -> Iterator[str]:
    """How the formulas and the numbers of the two languages differ."""
    start = _start(zh)
    (shown_zh, inline_zh), (shown_en, inline_en) = map(_formulas, (zh, en))
    if shown_zh != shown_en:
        yield f"“{start}…”: the displayed formulas of the two languages differ"
    if odd := inline_zh ^ inline_en:
        yield f"“{start}…”: formulas in one language only: {', '.join(sorted(odd))}"
    if odd := numbers_in_one(FORMULA.sub(" ", zh), FORMULA.sub(" ", en)):
        yield f"“{start}…”: numbers in one language only: {', '.join(sorted(odd))}"


def _start(text: str) -> str:
    """The beginning of a text, by which its author finds it again."""
    return " ".join(text.split())[:24]


def _formulas(text: str) -> tuple[list[str], set[str]]:
    """The displayed formulas in order, and the set of those within a line, blanks aside."""
    found = [("".join(d.split()), "".join(i.split())) for d, i in FORMULA.findall(text)]
    return [d for d, _ in found if d], {i for _, i in found if i}


def numbers_in_one(zh: str, en: str) -> set[str]:
    """Numbers that one language states and the other does not, in digits or in words."""
    in_zh, in_en = set(NUMBER.findall(zh)), set(NUMBER.findall(en))
    missing_zh = {n for n in in_en - in_zh if not re.search(WORDS.get(n, ("$^", ""))[0], zh)}
    missing_en = {n for n in in_zh - in_en if not re.search(WORDS.get(n, ("", "$^"))[1], en, re.I)}
    return missing_zh | missing_en
