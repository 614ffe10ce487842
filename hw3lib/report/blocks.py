"""A notebook as Blocks: what both exporters render, each language kept apart."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Any

from nbformat import NotebookNode

from hw3lib.report.payloads import checked
from hw3lib.report.show import MIME
from hw3lib.text import LANGUAGES, Text

LANGUAGE_TAGS = {"lang-zh": "zh", "lang-en": "en"}
EQUATION = re.compile(r"^(\$\$.+?\$\$)[ \t]*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One thing on the page.

    kind : "heading" (text, level 1-4), "markdown" (text), "answer" (text, data["questions"]),
           "figure" and "table" (text is the caption, data the payload of hw3lib.report.show),
           "code" (data["source"]), "output" (data["text"], plain text), "error" (data["text"])
    notebook, cell : where it stands, e.g. "05_confusion_matrix", 12
    number : of a figure or a table, e.g. "5.2"; `chapter_of` gives it
    """

    kind: str
    notebook: str
    cell: int
    text: Text | None = None
    level: int = 0
    data: dict[str, Any] = field(default_factory=dict)
    number: str = ""

    @property
    def anchor(self) -> str:
        """What a reference to a figure or a table leads to, e.g. "figure-5-2"."""
        return f"{self.kind}-{self.number.replace('.', '-')}"


def notebook_blocks(nb: NotebookNode, notebook: str) -> list[Block]:
    """The Blocks of one executed (or clean) notebook, in order.

    A Pair of adjacent Markdown cells tagged lang-zh and lang-en becomes one Block; a heading that
    opens both becomes a Block of its own. A Markdown cell without a tag says the same in both
    languages (a formula). Cells tagged "parameters", "injected-parameters" or "setup" are code
    like any other.

    Raises
    ------
    ValueError
        if a language-tagged cell stands without its other half, or their headings differ in level.
    """
    blocks: list[Block] = []
    waiting: str | None = None
    for number, cell in enumerate(nb.cells):
        where = f"{notebook}, cell {number}"
        if cell.cell_type == "markdown":
            code = _language(cell)
            if code == "zh" and waiting is None:
                waiting = cell.source
                continue
            if (code == "en") != (waiting is not None) or code == "zh":
                raise ValueError(f"{where}: lang-zh and lang-en cells must stand in adjacent pairs")
            text = Text(zh=waiting if code else cell.source, en=cell.source)
            waiting = None
            blocks += _prose(text, notebook, number, where)
            continue
        if waiting is not None:
            raise ValueError(f"{where}: the lang-zh cell before it has no lang-en cell")
        if cell.cell_type == "code":
            if cell.source.strip():
                blocks.append(Block("code", notebook, number, data={"source": cell.source}))
            for output in cell.get("outputs", []):
                blocks += _output(output, notebook, number)
    if waiting is not None:
        raise ValueError(f"{notebook}: the last lang-zh cell has no lang-en cell")
    return blocks


def pieces(text: Text) -> list[Text]:
    """Prose cut at its displayed equations, which both languages share and one place shows."""
    zh, en = EQUATION.split(text.zh), EQUATION.split(text.en)
    if text.zh == text.en or len(zh) != len(en) or zh[1::2] != en[1::2]:
        return [text]
    return [t for t in map(Text, zh, en) if t.zh.strip() or t.en.strip()]


def _language(cell: NotebookNode) -> str | None:
    tags = cell.metadata.get("tags", [])
    return next((code for tag, code in LANGUAGE_TAGS.items() if tag in tags), None)


def _split_heading(source: str) -> tuple[int, str, str]:
    first, _, rest = source.lstrip("\n").partition("\n")
    marks = len(first) - len(first.lstrip("#"))
    if 1 <= marks <= 4 and first[marks : marks + 1] == " ":
        return marks, first[marks:].strip(), rest.strip("\n")
    return 0, "", source


def _prose(text: Text, notebook: str, cell: int, where: str) -> list[Block]:
    (level, zh, zh_rest), (level_en, en, en_rest) = map(_split_heading, (text.zh, text.en))
    if level != level_en:
        raise ValueError(f"{where}: the pair's headings differ in level ({level} and {level_en})")
    blocks = []
    if level:
        blocks.append(Block("heading", notebook, cell, Text(zh, en), level))
        text = Text(zh_rest, en_rest)
    if text.zh.strip() or text.en.strip():
        blocks.append(Block("markdown", notebook, cell, text))
    return blocks


def _output(output: NotebookNode, notebook: str, cell: int) -> list[Block]:
    if output.output_type == "error":
        text = f"{output.ename}: {output.evalue}"
        return [Block("error", notebook, cell, data={"text": text})]
    if output.output_type == "stream":
        if output.name == "stderr" or not output.text.strip():
            return []
        return [Block("output", notebook, cell, data={"text": output.text})]
    payload = output.data.get(MIME)
    if payload is None:
        text = output.data.get("text/plain", "")
        return [Block("output", notebook, cell, data={"text": text})] if text.strip() else []
    if isinstance(payload, dict) and payload.get("kind") == "figure":
        payload = _with_picture(payload, output.data)
    payload = checked(payload, f"{notebook}, cell {cell}")
    kind = payload["kind"]
    if kind in ("text", "answer"):
        kind = "markdown" if kind == "text" else kind
        return [Block(kind, notebook, cell, Text(payload["zh"], payload["en"]), data=dict(payload))]
    if kind in ("figure", "table"):
        return [Block(kind, notebook, cell, Text(**payload["caption"]), data=dict(payload))]
    return []  # "caption" repeats the figure's for JupyterLab; "result" goes to results.json


def _with_picture(payload: dict[str, Any], shown: dict[str, Any]) -> dict[str, Any]:
    """The payload of a figure with the picture that stands beside it, the same in all languages."""
    for mime in ("image/svg+xml", "image/png"):
        if mime in shown:
            data = "".join(shown[mime])
            if mime == "image/svg+xml":
                data = base64.b64encode(data.encode()).decode()
            size = {k: payload.get(k) for k in ("width", "height")}
            drawn = {"mime": mime, "data": data, **size}
            return {**payload, "variants": dict.fromkeys(LANGUAGES, drawn)}
    return payload
