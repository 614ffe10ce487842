"""The page in Chromium: see browser.py, which check_report.py uses on the finished report too."""

from __future__ import annotations

import pytest

from hw3lib.report.html import render

from .browser import PATIENCE, browser, chromium, faults
from .fakes import answer, both, cell, document, figure, pair, table

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not chromium(), reason="needs Chromium: apt-get install chromium"),
]
LONG = "a_very_long_name_that_no_line_breaks.of_a_recipe_with_many_parts.and_more_parts.seed_0"
VALUES = ("9.5%", "10.5%", "–", "1,000.0%", "-3.0%", "1.0%", "2.0×10⁻⁵")
EVIL = """<img src="http://127.0.0.1:9/x.png" alt=""><a href="#lost">x</a>
<div style="width:3000px">wide</div><p style="color:#aaa;background:#bbb">pale</p></main>"""


def scores() -> dict:
    made = table()
    payload = next(iter(made.values()))
    payload["columns"] += [both(f"很長的欄位名稱 {n}", f"a long column name {n}") for n in range(9)]
    payload["align"] += ["right"] * 9
    payload["rows"] = [
        [both(f"類{n}", f"class {n}"), *[both(v)] * 10] for n, v in enumerate(VALUES)
    ]
    return made


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    cells = []
    for n in range(4):
        cells += [
            *pair(f"## 第 {n} 節", f"## Section {n}"),
            *pair("文字，" * 200 + f"`{LONG}`", "words " * 200 + f"`{LONG}`"),
            *pair("文 $" + "c+" * 90 + "d$。", "Text $" + "c+" * 90 + "d$."),
            *pair("$$" + "a+" * 90 + "b$$", "$$" + "a+" * 90 + "b$$"),
            cell(figure(width=650.0), {"text/plain": LONG * 4}, source=f"value = {n}  # {LONG}"),
        ]
    cells += [cell(scores(), answer()), *pair("## 補", "## More", "detail"),
              cell(figure(), scores(), tags=["detail"])]  # fmt: skip
    results = [{"name": "best.test.accuracy", "value": 0.6, "n": 3589, "notebook": "x"}]
    checks = [{"holds": True, **both("讀回相同", "Read back")}]
    made = document(*cells, results=results, checks=checks, synthetic=True, rerun="hw3 rerun {id}")
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(render(made), encoding="utf-8")
    return path


def test_a_browser_finds_no_fault(file):
    assert faults(file) == []


def test_faults_are_found(file, tmp_path):
    """A page with one of each: an address outside, a lost link, a wide element, grey on grey."""
    source = file.read_text(encoding="utf-8")
    for allowed in ("default-src 'none'; ", "img-src data:; "):
        source = source.replace(allowed, "")
    bad = tmp_path / "bad.html"
    bad.write_text(source.replace("</main>", EVIL), encoding="utf-8")
    told = " ".join(faults(bad))
    for part in ("asks for http://127.0.0.1:9/x.png", "#lost", "at 360 px", "color-contrast"):
        assert part in told, told


def test_a_table_sorts_by_its_numbers_and_goes_back(file):
    with browser() as opened:
        page = opened.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(PATIENCE)
        page.goto(f"{file.as_uri()}?lang=en")
        table = page.locator(".table.sorts table").first
        orders = []
        for _ in range(3):
            table.locator("thead button").nth(1).click()
            texts = table.locator("tbody tr td:nth-child(2)").all_inner_texts()
            orders.append((table.locator("th").nth(1).get_attribute("aria-sort"), texts))
    shown = [v.replace("-3", "\N{MINUS SIGN}3") for v in VALUES]
    falling = [shown[i] for i in (3, 1, 0, 5, 6, 4, 2)]
    assert orders == [("descending", falling), ("ascending", falling[::-1]), (None, shown)]
