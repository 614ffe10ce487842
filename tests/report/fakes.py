"""Executed notebooks without executing any: what their cells would have left."""

from __future__ import annotations

import base64
import io

import pypdf
from nbformat import NotebookNode, v4
from PIL import Image

from hw3lib.report.document import Chapter, Document, Question, referenced
from hw3lib.report.notebook import chapter_of
from hw3lib.report.show import MIME
from hw3lib.text import Text, same

NAME = "05_confusion_matrix"
SVG = """<svg xmlns="http://www.w3.org/2000/svg" width="216pt" height="144pt" viewBox="0 0 216 144">
<rect width="216" height="144" fill="#fff"/><path d="M0 144 216 0" stroke="#000"/></svg>"""
STUDY = {MIME: {"kind": "study", "synthetic": True, "language": "en"}}
HTML = """<div><style scoped>.dataframe {}</style><table border="1" class="dataframe"><thead>
<tr style="text-align: right;"><th></th><th>emotion</th><th>count</th></tr></thead><tbody>
<tr><th>0</th><td>sadness</td><td>-7</td></tr></tbody></table></div>"""


def png(width: int = 96, height: int = 48) -> bytes:
    made = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).save(made, "PNG")
    return made.getvalue()


def both(zh: str, en: str | None = None) -> dict[str, str]:
    return {"zh": zh, "en": zh if en is None else en}


def pair(zh: str, en: str, *tags: str) -> list[NotebookNode]:
    return [
        v4.new_markdown_cell(zh, metadata={"tags": ["lang-zh", *tags]}),
        v4.new_markdown_cell(en, metadata={"tags": ["lang-en", *tags]}),
    ]


def output(data: dict) -> NotebookNode:
    data = {k: base64.b64encode(v).decode() if isinstance(v, bytes) else v for k, v in data.items()}
    return v4.new_output("display_data", data)


def cell(*outputs: NotebookNode | dict, source: str = "secret_code = 1", tags=()) -> NotebookNode:
    shown = [output(o) if "output_type" not in o else o for o in outputs]
    return v4.new_code_cell(source, outputs=shown, execution_count=1, metadata={"tags": [*tags]})


def figure(ref: str = "", **changes) -> dict:
    payload = {"kind": "figure", "caption": both("一條線。", "A line."), "name": ref,
               "alt": both("由左下到右上的線", "a rising line"), "width": 216.0, "height": 144.0,
               "thumb": base64.b64encode(png(9, 6)).decode()}  # fmt: skip
    return {MIME: {**payload, **changes}, "image/svg+xml": SVG, "text/plain": "a figure"}


def table(*cells: str, ref: str = "") -> dict:
    rows = [[both(c), both("0.5")] for c in cells or ("Sad",)]
    columns = [both("類別", "Class"), both("召回率", "Recall")]
    payload = {"kind": "table", "caption": both("分數。", "Scores."), "columns": columns,
               "rows": rows, "align": ["left", "right"], "name": ref}  # fmt: skip
    return {MIME: payload, "text/plain": "a table"}


def answer(
    question: str = "A3", zh: str = "答案是四。其餘。", en: str = "It is four. More."
) -> dict:
    short = both("短答四", "short four")
    return {MIME: {"kind": "answer", "questions": question.split(), "short": short, **both(zh, en)}}


def result(name: str, value: float) -> dict:
    payload = {"kind": "result", "name": name, "value": value, "split": "test", "rule": "none"}
    return {MIME: payload | {"n": 3589}}


def notebook(*cells) -> NotebookNode:
    return v4.new_notebook(cells=[*pair("# 混淆矩陣", "# Confusion matrix"), *cells])


def chapter(*cells) -> Chapter:
    return chapter_of(notebook(*cells), NAME)


def document(*cells, works: dict | None = None, **changes) -> Document:
    values = {
        "title": Text("作業三", "Homework 3"),
        "author": {"name": Text("王小明", "Wang"), "collaborators": [same("李大華")]},
        "chapters": [chapter(*(cells or (cell(figure(), table(), answer()),)))],
        "facts": {Text("資料集", "Data set"): Text("合成", "drawn")},
        "date": "2026-11-20T08:00:00+00:00",
        "questions": [Question("A3", Text("混淆", "Confused?"), 5, ("best.*",))],
    }
    return referenced(Document(**{**values, **changes}), works)


def pages(data: bytes) -> list[str]:
    return ["".join(p.extract_text().split()) for p in pypdf.PdfReader(io.BytesIO(data)).pages]


def elements(data: bytes) -> list[tuple[str, str | None]]:
    """(kind, alternative text) of every element of a PDF's structure tree."""

    def below(node):
        node = node.get_object()
        if isinstance(node, list):
            for child in node:
                yield from below(child)
        elif isinstance(node, dict):
            yield node.get("/S"), node.get("/Alt")
            if "/K" in node:
                yield from below(node["/K"])

    return [*below(pypdf.PdfReader(io.BytesIO(data)).trailer["/Root"]["/StructTreeRoot"])]
