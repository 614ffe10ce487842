"""Pages of anyone's notebooks, names and files: what they hold stays text, nothing of it runs."""

from __future__ import annotations

import base64
import json
from html.parser import HTMLParser

import nbformat
import pytest
from nbformat import v4

from hw3lib import UserError
from hw3lib.report.build import rerun_command
from hw3lib.report.document import Document, Question
from hw3lib.report.exporters import Hw3HTMLExporter
from hw3lib.report.html import render
from hw3lib.report.show import MIME
from hw3lib.text import Text

SCRIPT = "<script>alert(1)</script>"
EVIL = f"</code></script>{SCRIPT}<img src=x onerror=alert(1)><svg/onload=alert(1)>\" onx='alert(1)"
SVG = f'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)">{SCRIPT}<a href="x:y"/></svg>'
BOTH = {"zh": EVIL, "en": EVIL + " en"}
ALLOWED = ("#", "data:image/", "data:,")
ADDRESSES = ("src", "href", "xlink:href", "action", "formaction", "data", "srcdoc", "srcset")


class Page(HTMLParser):
    """The page as a browser takes it apart: tags, attributes, scripts."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name.startswith("on"):
                self.handlers.append(f"{tag} {name}")
            if name in (
                "src",
                "href",
                "xlink:href",
                "action",
                "formaction",
                "data",
                "srcdoc",
                "srcset",
            ):
                self.addresses.append(value or "")

    def handle_data(self, data):
        self.text += data


def harmless(source: str) -> Page:
    """The page has its own script and style alone, no handler and no address outside."""
    page = Page(source)
    assert page.tags.count("script") == 1 and page.tags.count("style") == 1
    assert page.handlers == []
    assert not {"iframe", "object", "embed", "base", "link", "foreignobject"} & set(page.tags)
    assert all(a.startswith(ALLOWED) for a in page.addresses), page.addresses
    assert "script-src 'sha256-" in source and "default-src 'none'" in source
    return page


def exported(*outputs: dict, source: str = "pass") -> str:
    """A notebook of one executed cell with these outputs, through nbconvert's entry point."""
    cell = v4.new_code_cell(source, execution_count=1, outputs=list(outputs))
    nb = v4.new_notebook(cells=[v4.new_markdown_cell("# 題 Title"), cell])
    body, _ = Hw3HTMLExporter().from_notebook_node(
        nbformat.from_dict(nb), {"metadata": {"name": EVIL}}
    )
    return body


def shown(**data: object) -> dict:
    return v4.new_output("display_data", {k.replace("__", "/"): v for k, v in data.items()})


def payload(**values: object) -> dict:
    return v4.new_output("display_data", {MIME: values, "text/plain": EVIL, "text/html": EVIL})


def test_outputs_stay_text():
    """Of every MIME type that a notebook may hold, in one page."""
    outputs = [
        shown(text__html=EVIL, text__plain=EVIL),
        shown(text__html=EVIL),
        shown(application__javascript="alert(1)", text__plain=EVIL),
        {"output_type": "display_data", "metadata": {}, "data": {"image/svg+xml": SVG}},
        shown(text__markdown=EVIL, text__latex=EVIL, text__plain=EVIL),
        v4.new_output("stream", name="stdout", text=EVIL),
        v4.new_output("error", ename=EVIL, evalue=EVIL, traceback=[EVIL]),
        payload(kind="text", **BOTH),
        payload(kind="answer", questions=[EVIL], **BOTH),
        payload(kind="study", synthetic=True, text=EVIL),
        payload(kind="check", name=EVIL, holds=True, **BOTH),
        payload(kind=EVIL),
        figure(),
        table(),
    ]
    page = harmless(exported(*outputs, source=EVIL))
    assert page.text.count(SCRIPT) >= 10
    # in an <img>, browsers run no script of an SVG and fetch nothing for it
    assert "svg" not in page.tags and any(a.startswith("data:image/svg") for a in page.addresses)


def figure(mime: str = "image/svg+xml", data: str = "", **changes: object) -> dict:
    data = data or base64.b64encode(SVG.encode()).decode()
    variant = {"mime": mime, "data": data, "width": 99.0, "height": 99.0}
    values = {"kind": "figure", "caption": BOTH, "alt": BOTH, "name": "",
              "variants": dict.fromkeys(("zh", "en", "both"), variant)}  # fmt: skip
    return payload(**{**values, **changes})


def table(**changes: object) -> dict:
    values = {"kind": "table", "caption": BOTH, "name": "", "columns": [BOTH], "rows": [[BOTH]],
              "align": ["left"]}  # fmt: skip
    return payload(**{**values, **changes})


@pytest.mark.parametrize(
    "output",
    [
        figure(mime="text/html"),
        figure(mime='image/png" onerror="alert(1)'),
        figure(data='x" onerror="alert(1)'),
        figure(variants={}),
        figure(variants={"zh": 1, "en": 2, "both": 3}),
        figure(alt=EVIL),
        figure(caption=[EVIL]),
        table(align=['left" onclick="alert(1)']),
        table(rows=[[EVIL]]),
        table(rows=[[BOTH, BOTH]]),
        table(columns=[], rows=[[BOTH]]),
        payload(kind="text", zh=5, en=None),
        payload(kind="answer", zh=EVIL, en=EVIL),
        payload(kind="answer", questions=EVIL, **BOTH),
        payload(nothing=1),
        {"output_type": "display_data", "metadata": {}, "data": {MIME: EVIL}},
    ],
    ids=range(16),
)
def test_a_forged_payload_is_refused_or_harmless(output):
    try:
        source = exported(output)
    except UserError as error:
        assert "cell 1" in str(error) or "figure of type" in str(error)
    else:
        harmless(source)


@pytest.mark.parametrize(
    "text",
    [
        "[x](javascript:alert(1))", "[x](JaVaScRiPt:alert(1))", "<javascript:alert(1)>",
        "[x](data:text/html;base64,PHNjcmlwdD4=)", "![x](file:///etc/passwd)",
        "[x](file:///etc/passwd)", "[x](//evil.example/)", "![x](https://evil.example/a.png)",
    ],
)  # fmt: skip
def test_an_address_in_prose_is_refused_or_text(text):
    nb = v4.new_notebook(cells=[v4.new_markdown_cell(f"# T\n\n{text}")])
    try:
        body, _ = Hw3HTMLExporter().from_notebook_node(nb)
    except UserError as error:
        assert "cell 0" in str(error)
    else:
        harmless(body)


def document(**changes: object) -> Document:
    return Document(**{"title": Text("題", "T"), "author": {}, "chapters": [], **changes})


@pytest.mark.parametrize(
    "name",
    ["a; rm -rf ~", "$(id)", "`id`", '"x', "'x", "{evil}", "a\nb", "--out", "<b>", "&&x", "~x"],
)
def test_a_command_to_copy_holds_no_name_that_a_shell_would_run(name):
    told = rerun_command("demo", f"/some/where/{name}")
    assert told == ".venv/bin/hw3 rerun {id} --profile demo --data PICTURES"
    page = document(rerun=told, questions=[Question("A1", Text("題", "T"), None, 1)],
                    facts={Text("資料", "Data"): f"{name} (numpy)"})  # fmt: skip
    assert "hw3 rerun A1 --profile demo" in harmless(render(page)).text
    assert rerun_command("demo", "/x/FER 2013").endswith("--data 'FER 2013'")
    assert rerun_command("demo", "/x/人臉.zip").endswith("--data '人臉.zip'")


def test_names_of_authors_and_files_stay_text():
    author = {"name": EVIL, "id": EVIL, "department": Text(EVIL, EVIL), "collaborators": [EVIL]}
    facts = {Text("資料", "Data"): f"{EVIL} (numpy)", Text("機器", "Machine"): EVIL}
    page = harmless(render(document(author=author, facts=facts)))
    assert page.text.count(SCRIPT) >= 5


def test_what_jupyterlab_is_shown_is_escaped(monkeypatch):
    """The notebook itself: tables are HTML there, and their cells come from files."""
    import pandas as pd

    from hw3lib.report import show as display

    said = []
    monkeypatch.setattr(display, "_show", lambda _, plain: said.append(plain))
    display.table(pd.DataFrame({EVIL: [EVIL]}), zh="表", en="Table")
    page = Page(said[0]["text/html"])
    assert not {"script", "img", "svg"} & set(page.tags) and page.handlers == []
    assert json.dumps(SCRIPT)[1:-1] in page.text
