"""A notebook as a Chapter: what it says and shows, cell by cell, and what it measured.

Every ordinary output has its Block, with or without words of hw3lib.report.show: a student's own
plots, tables and prints appear as nbconvert would show them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from hw3lib import UserError
from hw3lib.report.document import Block, Chapter, Document, goes_on, numbered, referenced
from hw3lib.report.execute import INJECTED, code_cells, tags
from hw3lib.report.pictures import PICTURES, Images, first_picture
from hw3lib.report.show import MIME
from hw3lib.text import LANGUAGES, Text, same

ANSWER = ("答案", "Answer")  # a section's heading
LANGUAGE_TAGS = {"lang-zh": "zh", "lang-en": "en"}
HEADING = re.compile(r"(#{1,6}) +(.+?) *#*$")
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
TAGS = re.compile(r"<(script|style)\b.*?</\1\s*>|<(?!img)[^>]*>", re.IGNORECASE | re.DOTALL)
NOT_RUN = Text(
    zh="**尚未執行**：這本筆記本還沒有結果。請先執行全部儲存格（nbconvert 加 `--execute`）再匯出。",
    en="**Not run**: this notebook has no results yet. Run all its cells (or give nbconvert "
    "`--execute`) and export it again.",
)


def chapter_of(nb: NotebookNode, notebook: str, folder: Path | None = None) -> Chapter:
    """The Chapter of an executed (or clean) notebook; `folder` is where its images lie.

    Its title is its first level-1 heading; what a report cannot number is set right: a second
    title becomes a section, a level that is skipped is filled. What a section called "Answer"
    answers opens the chapter.

    Raises
    ------
    UserError
        naming the cell, for halves of a Pair that do not fit or a forged output.
    """
    blocks = list(_blocks(nb, notebook, folder))
    digits, _, rest = notebook.partition("_")
    number = int(digits) if digits.isdigit() else 0
    title = next((b for b in blocks if b.kind == "heading" and b.level == 1), None)
    words = title.text if title else same((rest or notebook).replace("_", " "))
    ordered = _answers_first([b for b in blocks if b is not title])
    return Chapter(notebook, number, words, numbered(ordered, number))


def one_notebook(nb: NotebookNode, notebook: str, folder: Path | None = None) -> Document:
    """The Document of one notebook by itself, for the exporters; one without results says so."""
    chapter = chapter_of(nb, notebook, folder)
    if not has_results(nb):
        chapter.blocks.insert(0, Block("markdown", notebook, NOT_RUN))
    synthetic = any(p.get("synthetic") for p in _payloads(nb, "study"))
    return referenced(Document(chapter.title, {}, [chapter], synthetic=synthetic), strict=False)


def language_of(nb: NotebookNode) -> str:
    """The language a notebook was run in; "both" where it does not say."""
    said = next((p.get("language") for p in _payloads(nb, "study")), "both")
    return said if said in LANGUAGES else "both"


def has_results(nb: NotebookNode) -> bool:
    """Whether any cell was run; a notebook without code has nothing to run."""
    code = [c for c in nb.cells if c.cell_type == "code" and c.source.strip()]
    return not code or any(c.get("execution_count") or c.get("outputs") for c in code)


def collect(notebooks: dict[str, NotebookNode], kind: str) -> list[dict]:
    """Every "result" or "check" of the notebooks, each name and split once, with its notebook.

    Raises
    ------
    UserError
        if two notebooks state different values under one name.
    """
    found: dict[tuple, dict] = {}
    for notebook, nb in notebooks.items():
        for payload in _payloads(nb, kind):
            fresh = {k: v for k, v in payload.items() if k != "kind"} | {"notebook": notebook}
            with _made_by_show(notebook):
                if kind == "result":
                    value = float(fresh["value"])
                    fresh["value"] = value if math.isfinite(value) else None
                kept = found.setdefault((fresh["name"], fresh.get("split")), fresh)
            if kept.get("value") != fresh.get("value"):
                raise UserError(
                    f"{fresh['name']} on {fresh['split']}: {kept['value']} in {kept['notebook']}, "
                    f"{fresh['value']} in {notebook}; name them apart"
                )
    return list(found.values())


def ran_through(notebooks: dict[str, NotebookNode]) -> dict:
    """The check that `execute_notebooks` makes of every notebook that it keeps."""
    failed = [name for name, nb in notebooks.items() if "fault" in nb.metadata.get("hw3", {})]
    n, cells = len(notebooks), sum(len(code_cells(nb)) for nb in notebooks.values())
    zh = f"{n} 本筆記本、{cells} 個程式格：每本都在一個核心裡從頭執行到尾，沒有錯誤。"
    en = f"{n} notebooks, {cells} code cells: each ran through in one kernel, without an error."
    if failed:
        zh, en = f"{len(failed)} 本沒有執行完。", f"{len(failed)} notebooks did not run through."
    return {"name": "notebooks.complete", "holds": not failed, "zh": zh, "en": en}


def _payloads(nb: NotebookNode, kind: str) -> Iterator[dict]:
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            payload = output.get("data", {}).get(MIME)
            if isinstance(payload, dict) and payload.get("kind") == kind:
                yield payload


def _blocks(nb: NotebookNode, notebook: str, folder: Path | None) -> Iterator[Block]:
    waiting, number = None, 0
    for cell in nb.cells:
        number += INJECTED not in tags(cell)
        images, detail = Images(folder, cell.get("attachments", {})), "detail" in tags(cell)
        like = Block("", f"{notebook}, cell {number}", detail=detail, images=images)
        code = next((c for tag, c in LANGUAGE_TAGS.items() if tag in tags(cell)), None)
        if cell.cell_type == "markdown" and code == "zh" and waiting is None:
            waiting = cell.source
            continue
        if (code == "en") != (waiting is not None) or code == "zh":
            raise UserError(f"{like.where}: lang-zh and lang-en cells must stand in adjacent pairs")
        if cell.cell_type == "markdown":
            yield from _prose(Text(cell.source if waiting is None else waiting, cell.source), like)
            waiting = None
        elif cell.cell_type == "code":
            if cell.source.strip() and "prose" not in tags(cell):
                yield replace(like, kind="code", data={"text": cell.source})
            for output in cell.get("outputs", []):
                yield from _output(output, like)
        elif cell.source.strip():
            yield replace(like, kind="output", data={"text": cell.source})
    if waiting is not None:
        raise UserError(f"{notebook}: the last lang-zh cell has no lang-en cell")


def _sections(source: str) -> list[tuple[int, str, str]]:
    """(level, heading, what follows it), the first without a heading."""
    parts: list[tuple[int, str, list[str]]] = [(0, "", [])]
    for inside, line in goes_on(source):
        if not inside and (found := HEADING.match(line)):
            parts.append((len(found[1]), found[2], []))
        else:
            parts[-1][2].append(line)
    return [(level, heading, "\n".join(body).strip("\n")) for level, heading, body in parts]


def _prose(text: Text, like: Block) -> Iterator[Block]:
    zh, en = _sections(text.zh), _sections(text.en)
    if [level for level, *_ in zh] != [level for level, *_ in en]:
        raise UserError(f"{like.where}: the pair's headings differ in number or level")
    for (level, *said), (_, *also) in zip(zh, en, strict=True):
        heading, body = map(Text, said, also)
        if level:
            yield replace(like, kind="heading", text=heading, level=level)
        if body.zh.strip() or body.en.strip():
            yield replace(like, kind="markdown", text=body)


def _answers_first(blocks: list[Block]) -> list[Block]:
    """A notebook can answer only after its results; its reader wants the answer before them."""
    section, answers, others = None, [], []
    for block in blocks:
        begins = block.kind == "heading" and block.level <= 2
        if begins:
            section = block.text
        opens = section is not None and not {section.zh, section.en}.isdisjoint(ANSWER)
        if opens and block.kind == "answer":
            answers.append(block)
        elif not (opens and begins):
            others.append(block)
    first = next((i for i, b in enumerate(others) if b.kind == "heading"), len(others))
    return [*others[:first], *answers, *others[first:]]


def _output(output: NotebookNode, like: Block) -> list[Block]:
    def plain(kind: str, text: str, **data: Any) -> list[Block]:
        shown = "\n".join(line.split("\r")[-1] for line in ANSI.sub("", text).split("\n")).rstrip()
        return [replace(like, kind=kind, data={"text": shown, **data})] if shown.strip() else []

    def missing(what: str) -> list[Block]:
        said = Text(f"一項輸出無法顯示（{what}）", f"an output that cannot be shown ({what})")
        return [replace(like, kind="missing", text=said)]

    if output.output_type == "error":
        return plain("error", f"{output.ename}: {output.evalue}")
    if output.output_type == "stream":
        return plain("output", output.text, stderr=output.name == "stderr")
    data = output.data
    if MIME in data:
        with _made_by_show(like.where):
            return _shown(data[MIME], data, like)
    if any(mime in data for mime in PICTURES):
        try:
            return [replace(like, kind="picture", data={"picture": first_picture(data)})]
        except LookupError as error:
            return missing(str(error))
    latex = data.get("text/latex", "")
    said = data.get("text/markdown") or (latex if "$" in latex else latex and f"$$\n{latex}\n$$")
    if said:
        return [replace(like, kind="markdown", text=same(said))]
    if TAGS.sub("", data.get("text/html", "")).strip():
        return [replace(like, kind="html", text=same(data["text/html"]))]
    rich = [mime for mime in data if mime != "text/plain"]
    return missing(", ".join(rich)) if rich else plain("output", data.get("text/plain", ""))


def _shown(payload: dict, data: dict, like: Block) -> list[Block]:
    """The Blocks of what hw3lib.report.show left; results and checks show nothing here."""
    kind, known = payload["kind"], {k: payload.get(k) for k in ("name", "thumb")}
    like = replace(like, kind=kind)
    if kind == "text":
        return [replace(like, kind="markdown", text=_said(payload))]
    if kind == "answer":
        known = {"questions": [str(q) for q in payload["questions"]]}
        known["short"] = _said(payload["short"])
        return [replace(like, text=_said(payload), data=known)]
    if kind == "figure":
        known |= {"alt": _said(payload["alt"]), "picture": first_picture(data)}
        drawn = payload.get("by_language", {}).items()
        known["by_language"] = {str(code): first_picture(shown) for code, shown in drawn}
        known |= {size: float(payload[size]) for size in ("width", "height")}
    elif kind == "table":
        columns, *rows = ([*map(_said, row)] for row in (payload["columns"], *payload["rows"]))
        known |= {"columns": columns, "rows": rows, "align": payload["align"]}
        if {len(row) for row in (known["align"], *rows)} - {len(columns)}:
            raise ValueError("rows of different lengths")
    else:
        return []
    return [replace(like, text=_said(payload["caption"]), data=known)]


def _said(both: dict[str, str]) -> Text:
    return Text(str(both["zh"]), str(both["en"]))


@contextmanager
def _made_by_show(where: str) -> Iterator[None]:
    """An output that anyone may have written ends in one line where it is none of ours."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError):
        made = "an output that hw3lib.report.show did not make"
        raise UserError(f"{where}: {made}, or whose picture is lost; run the cell again") from None
