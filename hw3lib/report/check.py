"""What keeps a notebook from being committed (`hw3 check`) or from becoming a chapter."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from hw3lib import UserError
from hw3lib.files import write_atomic
from hw3lib.report.document import Document
from hw3lib.report.execute import HOUSE, one_line, read_notebook, tags
from hw3lib.report.notebook import LANGUAGE_TAGS, chapter_of
from hw3lib.report.pandoc import Markup, pieces

TAGS = {*LANGUAGE_TAGS, "parameters", "setup", "prose", "detail"}
METADATA = {  # of a notebook that is committed, as JupyterLab writes it
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3}, "file_extension": ".py",
        "mimetype": "text/x-python", "name": "python", "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}  # fmt: skip
LINES = 20  # of a code cell, at most
SHOWN = ("say", "answer", "figure", "table", "check")
FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<!\\)\$(.+?)(?<!\\)\$", re.DOTALL)


def readable(path: Path, parameters: dict[str, str]) -> list[str]:
    """A line for each fault that would stop the report at this notebook, read from its source."""
    try:
        nb = read_notebook(path, parameters)
        chapter = chapter_of(nb, path.stem, path.parent)
        document = Document(chapter.title, {}, [chapter])
        markup = Markup(document, "html", ("zh", "en"), place=lambda *_: "", missing=str)
        for block in chapter.blocks:
            form, parts = pieces(block)
            for said in {text for part in parts for text in (part.zh, part.en)}:
                markup(form, said, block)  # looks for its images
        faults = [*markup.problems]
    except UserError as error:
        return [str(error)]
    for number, cell in enumerate(nb.cells, 1):
        if cell.cell_type == "code" and not re.search(r"^\s*[%!?]|\?$", cell.source, re.MULTILINE):
            try:
                ast.parse(cell.source)
            except SyntaxError as error:
                faults.append(f"{path.stem}, cell {number}: line {error.lineno}: {error.msg}")
    return faults


def faults_of(path: Path) -> list[str]:
    """A line for each fault of the notebook, naming the cell; none where it may be committed.

    Outputs and execution counts count in every notebook, the rules of the house in our nine.
    """
    try:
        nb, ids = _read(path)
        chapter_of(nb, path.stem, path.parent)
    except UserError as error:
        return [f"{path}: {error}"]
    house = HOUSE.match(path.name)
    found = [f"{path}: two cells have one id"] if len(set(ids)) < len(ids) else []
    found += [f"{path}: {line}" for line in (_whole(nb) if house else ())]
    for number, cell in enumerate(nb.cells, 1):
        lines = [*_stored(cell), *(_tagged(cell) if house else ())]
        if house:
            lines += _code(cell) if cell.cell_type == "code" else _prose(cell)
        found += [f"{path}, cell {number}: {line}" for line in lines]
    return found


def clear(path: Path) -> None:
    """Take out of a notebook what running it left: outputs, execution counts, metadata.

    Raises
    ------
    UserError
        if the file is no notebook; it stays as it is.
    """
    try:
        nb, _ = _read(path)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        cell.metadata = {k: v for k, v in cell.metadata.items() if k in ("tags", "jupyter")}
    nb.metadata = METADATA
    write_atomic(path, (nbformat.writes(nb) + "\n").encode())


def _read(path: Path) -> tuple[NotebookNode, list[str | None]]:
    """The notebook, and its cells' ids as they stand in the file: nbformat repairs them."""
    try:
        ids = [cell.get("id") for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
        with warnings.catch_warnings(action="ignore"):
            return nbformat.read(path, as_version=4), ids
    except Exception as error:
        told = one_line(str(error) or repr(error))
        raise UserError(f"not a notebook: {told}") from None


def _whole(nb: NotebookNode) -> Iterator[str]:
    """What concerns the notebook as a whole: its metadata, its headings."""
    if nb.metadata != METADATA:
        yield "metadata beyond those of a clean notebook; hw3 check --clear sets them right"
    sources = [c.source for c in nb.cells if c.cell_type == "markdown" and "lang-en" not in tags(c)]
    levels = [len(s) for s in re.findall(r"^(#{1,6}) ", "\n".join(sources), re.MULTILINE)]
    if not levels or levels[0] != 1 or 1 in levels[1:]:
        yield "one # heading comes first, then ## and ### alone"
    if any(below > above + 1 for above, below in pairwise(levels)):
        yield "a heading skips a level"


def _stored(cell: NotebookNode) -> Iterator[str]:
    if cell.cell_type == "code" and (cell.outputs or cell.execution_count is not None):
        yield "a stored output; hw3 check --clear removes it"


def _tagged(cell: NotebookNode) -> Iterator[str]:
    if extra := set(cell.metadata) - {"tags", "jupyter"}:
        yield f"metadata {', '.join(sorted(extra))}: only tags are kept"
    if extra := tags(cell) - TAGS:
        yield f"unknown tag {', '.join(sorted(extra))}; known are {', '.join(sorted(TAGS))}"
    if "prose" in tags(cell) and not cell.metadata.get("jupyter", {}).get("source_hidden"):
        yield 'tagged prose, but not collapsed: "jupyter": {"source_hidden": true} is missing'


def _prose(cell: NotebookNode) -> Iterator[str]:
    words = FORMULA.sub(" ", cell.source)
    if cell.cell_type == "raw":
        yield "a raw cell; make it Markdown"
    if not tags(cell) & set(LANGUAGE_TAGS) and re.sub(r"[\s.,;]", "", words):
        yield "words without a language; tag the cell lang-zh or lang-en and give it its other half"


def _code(cell: NotebookNode) -> Iterator[str]:
    most = 2 * LINES if "setup" in tags(cell) else LINES  # imports take a line each
    if (length := len(cell.source.splitlines())) > most and "prose" not in tags(cell):
        yield f"{length} lines of code; at most {most}, the rest belongs into the library"
    try:
        calls = [n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.Call)]
    except SyntaxError as error:
        yield f"no Python: {error.msg}"
        return
    for call in calls:
        name, given = getattr(call.func, "id", ""), {k.arg for k in call.keywords}
        if name == "print":
            yield "print; say it in both languages with say(zh=..., en=...)"
        both = {"zh", "en"} <= given or None in given or len(call.args) > 1
        if name in SHOWN and not both:
            yield f"{name} without both zh= and en="
