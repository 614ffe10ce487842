"""The whole report as data: what build.py assembles and both exporters render."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nbformat import NotebookNode

from hw3lib.report.blocks import Block, notebook_blocks
from hw3lib.report.references import numbered, referenced
from hw3lib.report.show import MIME
from hw3lib.text import Text

NOT_RUN = Text(
    zh="**尚未執行**：這本筆記本還沒有結果。請先執行全部儲存格（nbconvert 加 `--execute`）再匯出。",
    en="**Not run**: this notebook has no results yet. Run all its cells (or give nbconvert "
    "`--execute`) and export it again.",
)


@dataclass(frozen=True)
class Chapter:
    """One notebook.

    notebook : file stem, e.g. "05_confusion_matrix";  number : its number, e.g. 5
    title    : its level-1 heading
    blocks   : everything after that heading, in order; headings there have level 2 to 4
    """

    notebook: str
    number: int
    title: Text
    blocks: list[Block]


@dataclass(frozen=True)
class Question:
    """One question of the homework and where it is answered.

    id      : "A3", "B4", "M2"
    marks   : None where the course gave none
    chapter : number of the Chapter that answers it; the page shown is that of the answer block
              naming the id, or of the chapter where there is none
    results : names of the results that matter most to it, "*" for any ending; empty: the first
              three of its chapter
    """

    id: str
    title: Text
    marks: float | None
    chapter: int
    results: tuple[str, ...] = ()


@dataclass(frozen=True)
class Document:
    """A report of one or more Chapters.

    author    : report/author.toml: name, id, department, course, each str or Text, and
                collaborators, a list of such; any may be missing or empty
    facts     : label -> value, in the order the cover shows them. Keys are Text (shown as they
                are), values str, int or Text: data set name, layout, pictures, fingerprint,
                profile, machine, versions, date of the newest Run
    date      : ISO 8601 date or time of the newest Run; it stamps the files, so that the same
                Runs give the same bytes. "" where there is no Run.
    synthetic : True where the faces are drawn by the project; every page then says so
    withheld  : True where photographs of real people are left out; the cover then says so
    rerun     : the command that answers question {id} anew, or ""
    """

    title: Text
    author: dict[str, Any]
    chapters: list[Chapter]
    facts: dict[Text, str | int | Text] = field(default_factory=dict)
    date: str = ""
    synthetic: bool = False
    questions: list[Question] = field(default_factory=list)
    withheld: bool = False
    rerun: str = ""


def chapter_of(blocks: list[Block], notebook: str) -> Chapter:
    """The Chapter of one notebook's Blocks; its first level-1 heading is the title.

    Raises
    ------
    ValueError
        if the first heading is not of level 1, or a later one is, or a level is skipped; and for
        a reference to a figure or table that is not there.
    """
    number = int(notebook.split("_")[0]) if notebook.split("_")[0].isdigit() else 0
    level = 0
    for block in blocks:
        if block.kind != "heading":
            continue
        if (block.level == 1) != (level == 0) or block.level > level + 1:
            raise ValueError(
                f"{notebook}, cell {block.cell}: heading {block.text.zh!r} of level {block.level}"
                f" after one of level {level}; a notebook has one # heading, then ##, then ###"
            )
        level = block.level
    if not level:
        raise ValueError(f"{notebook}: no level-1 heading (# Title)")
    title = next(b for b in blocks if b.kind == "heading")
    rest = [b for b in blocks if b is not title]
    return Chapter(notebook, number, title.text, referenced(numbered(rest, number)))


def one_notebook(nb: NotebookNode, notebook: str) -> Document:
    """The Document of one notebook by itself, for the exporters; one without results says so."""
    chapter = chapter_of(notebook_blocks(nb, notebook), notebook)
    if not has_results(nb):
        chapter.blocks.insert(0, Block("markdown", notebook, 0, NOT_RUN))
    executed = nb.metadata.get("papermill", {}).get("end_time") or ""
    return Document(
        title=chapter.title,
        author={},
        chapters=[chapter],
        date=executed,
        synthetic=_on_synthetic_faces(nb),
    )


def has_results(nb: NotebookNode) -> bool:
    """Whether any cell was run; a notebook without code has nothing to run."""
    code = [c for c in nb.cells if c.cell_type == "code" and c.source.strip()]
    return not code or any(c.get("execution_count") or c.get("outputs") for c in code)


def _on_synthetic_faces(nb: NotebookNode) -> bool:
    outputs = [o for cell in nb.cells for o in cell.get("outputs", [])]
    return any(o.get("data", {}).get(MIME, {}).get("synthetic") for o in outputs)
