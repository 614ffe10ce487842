"""The page in Chromium: see browser.py, which check_report.py uses on the finished report too."""

from __future__ import annotations

import base64

import pytest
from browser import PATIENCE, browser, chromium, faults
from test_html import CHECKS, NOTEBOOK, RESULTS, block, document, figure

from hw3lib.report.blocks import Block
from hw3lib.report.html import render
from hw3lib.report.references import numbered
from hw3lib.text import Text

pytestmark = pytest.mark.skipif(not chromium(), reason="needs Chromium: apt-get install chromium")
SVG = b"""<svg xmlns="http://www.w3.org/2000/svg" width="900" height="300"><rect width="900"
height="300" fill="#fff"/><path d="M0 300 900 0" stroke="#000"/></svg>"""
LONG = "a_very_long_name_that_no_line_breaks.of_a_recipe_with_many_parts.and_more_parts.seed_0"


def picture(name: str) -> Block:
    shown = figure(SVG, SVG, SVG)
    for variant in shown.data["variants"].values():
        variant.update(mime="image/svg+xml", data=base64.b64encode(SVG).decode(), width=650.0)
    shown.data["name"] = name
    return shown


def scores() -> Block:
    columns = [
        {"zh": "類別", "en": "Class"},
        {"zh": "召回率", "en": "Recall"},
        *({"zh": f"很長的欄位名稱 {n}", "en": f"a long column name {n}"} for n in range(9)),
    ]
    rows = [
        [{"zh": f"類{n}", "en": f"class {n}"}, *[{"zh": v, "en": v}] * 10]
        for n, v in enumerate(("9.5%", "10.5%", "–", "1,000.0%", "-3.0%", "1.0%"))
    ]
    data = {"columns": columns, "rows": rows, "align": ["left", *["right"] * 10]}
    return Block("table", NOTEBOOK, 4, Text("分數", "Scores"), data=data)


def sections() -> list[Block]:
    blocks = []
    for n in range(4):
        blocks += [
            block("heading", f"第 {n} 節", f"Section {n}", level=2),
            block("markdown", "文字，" * 200 + f"`{LONG}`", "words " * 200 + f"`{LONG}`"),
            block("markdown", "文 $" + "c+" * 90 + "d$。", "Text $" + "c+" * 90 + "d$."),
            block("markdown", "$$" + "a+" * 90 + "b$$", "$$" + "a+" * 90 + "b$$"),
            block("code", source=f"value = {n}  # {LONG} {LONG}"),
            picture(f"line-{n}"),
        ]
    said = "是，$x=1$。", "Yes, $x=1$."
    return [
        *blocks,
        scores(),
        block("output", text=LONG * 4),
        block("answer", *said, questions=["A3"]),
    ]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    source = render(document(numbered(sections(), 5)), results=RESULTS, checks=CHECKS)
    path.write_text(source, encoding="utf-8")
    return path


def test_a_browser_finds_no_fault(file):
    assert faults(file) == []


def test_faults_are_found(file, tmp_path):
    """A page with one of each: an address outside, a lost link, a wide element, grey on grey."""
    bad = tmp_path / "bad.html"
    source = (
        file.read_text(encoding="utf-8")
        .replace("default-src 'none'; ", "")
        .replace("img-src data:; ", "")
    )
    extra = """<img src="http://127.0.0.1:9/x.png" alt=""><a href="#lost">x</a>
<div style="width:3000px">wide</div><p style="color:#aaa;background:#bbb">pale</p>"""
    bad.write_text(source.replace("</main>", extra + "</main>"), encoding="utf-8")
    told = " ".join(faults(bad))
    for part in ("asks for http://127.0.0.1:9/x.png", "#lost", "at 360 px", "color-contrast"):
        assert part in told, told


def test_a_table_sorts_by_its_numbers_and_goes_back(file):
    with browser() as opened:
        page = opened.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(PATIENCE)
        page.goto(f"{file.as_uri()}?lang=en")
        table = page.locator(".table.sorts table")
        button = table.locator("thead button").nth(1)
        orders = []
        for _ in range(3):
            button.click()
            texts = table.locator("tbody tr td:nth-child(2)").all_inner_texts()
            orders.append((table.locator("th").nth(1).get_attribute("aria-sort"), texts))
    falling = ["1,000.0%", "10.5%", "9.5%", "1.0%", "\N{MINUS SIGN}3.0%", "–"]
    assert orders == [
        ("descending", falling),
        ("ascending", falling[::-1]),
        (None, ["9.5%", "10.5%", "–", "1,000.0%", "\N{MINUS SIGN}3.0%", "1.0%"]),
    ]
