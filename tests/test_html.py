"""The page: nothing from outside, no markup from strings, both languages in full."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from hw3lib import UserError
from hw3lib.report import webfonts
from hw3lib.report.blocks import Block
from hw3lib.report.document import Chapter, Document, Question
from hw3lib.report.html import render
from hw3lib.report.references import numbered, referenced
from hw3lib.text import Text

EVIL = "</script></style><script>alert(1)</script><img src=x onerror=alert(1)>\" onload='alert(1)"
VOID = {"meta", "img", "input", "br", "hr", "link"}
NOTEBOOK = "05_confusion_matrix"


@pytest.fixture(autouse=True, scope="module")
def _no_fonts():
    """Cutting fonts takes seconds a page; tests/test_webfonts.py does it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(webfonts, "subset", lambda name, characters: b"a font")
        yield


class Page(HTMLParser):
    """Every element with its attributes, the text around it and what it stands in."""

    def __init__(self, source: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str], list[tuple[str, dict]]]] = []
        self.texts: list[tuple[str, list[tuple[str, dict]]]] = []
        self.open: list[tuple[str, dict]] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = {k: v or "" for k, v in attrs}
        self.elements.append((tag, attributes, list(self.open)))
        if tag not in VOID:
            self.open.append((tag, attributes))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1][0] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data):
        if data.strip():
            self.texts.append((data, list(self.open)))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [a for t, a, _ in self.elements if t == tag]

    def text(self, tag: str = "body") -> str:
        return "".join(d for d, inside in self.texts if tag in [t for t, _ in inside])


def picture(content: bytes, mime: str = "image/png") -> dict:
    data = base64.b64encode(content).decode()
    return {"mime": mime, "data": data, "width": 480.0, "height": 200.0}


def figure(zh: bytes, en: bytes, both: bytes, **texts) -> Block:
    variants = {"zh": picture(zh), "en": picture(en), "both": picture(both)}
    alt = texts.get("alt", {"zh": "替代文字", "en": "Alternative"})
    caption = texts.get("caption", Text("圖說 $x$", "Caption $x$"))
    data = {"variants": variants, "alt": alt, "name": texts.get("name", "")}
    return Block("figure", NOTEBOOK, 3, caption, data=data)


def table(cell: str = "0.5", caption: Text | None = None) -> Block:
    columns = [{"zh": "類別", "en": "Class"}, {"zh": "準確率", "en": "Accuracy"}]
    rows = [[{"zh": "生氣", "en": "Angry"}, {"zh": cell, "en": cell}]]
    data = {"columns": columns, "rows": rows, "align": ["left", "right"]}
    return Block("table", NOTEBOOK, 4, caption or Text("表說", "Table caption"), data=data)


def block(kind: str, zh: str = "", en: str = "", **data) -> Block:
    level = data.pop("level", 0)
    return Block(kind, NOTEBOOK, 1, Text(zh, en) if zh else None, level, data)


BLOCKS = [
    block("markdown", "開頭 $a$", "Opening $a$"),
    block("code", source="a = 1  # 註解\nsay()"),
    block("code", source="b = 2"),
    block("heading", "第一節", "Section one", level=2),
    block("markdown", "前文\n\n$$\ny = x^2\n$$\n\n後文", "Before\n\n$$\ny = x^2\n$$\n\nAfter"),
    figure(b"one", b"two", b"three"),
    figure(b"same", b"same", b"same"),
    table(),
    block("heading", "較小", "Smaller", level=3),
    block("output", text="plain <text>"),
    block("heading", "答案", "Answer", level=2),
    block("answer", "答：**是**", "Answer: **yes**", questions=["A3", "B3"]),
]
QUESTIONS = [
    Question("A3", Text("混淆", "Confusion"), None, 5),
    Question("B4", Text("規則", "Rules"), 1.5, 5, ("b.z", "b.x*")),
]


RESULTS = [
    {"notebook": NOTEBOOK, "name": name, "value": value, "n": 3589, "split": "test"}
    for name, value in {"best.test.accuracy": 0.64321, "b.x": 1.0, "b.y": 2.0, "b.z": 31.0}.items()
]
CHECKS = [
    {"name": "reload", "holds": True, "zh": "讀回相同", "en": "Read back", "notebook": NOTEBOOK},
    {"name": "bad", "holds": False, "zh": "不成立", "en": "Does not hold"},
]


def document(blocks=BLOCKS, **changes) -> Document:
    values = {
        "title": Text("報告", "Report"),
        "author": {"name": Text("王小明", "Wang"), "id": "B1", "collaborators": ["甲", "乙"]},
        "chapters": [
            Chapter(NOTEBOOK, 5, Text("混淆矩陣", "Confusion matrix"), numbered(blocks, 5))
        ],
        "facts": {Text("張數", "Pictures"): 4000, Text("設定檔", "Profile"): "demo"},
        "synthetic": True,
        "questions": QUESTIONS,
        "rerun": "hw3 rerun {id} --profile demo",
    }
    return Document(**{**values, **changes})


@pytest.fixture(scope="module")
def source() -> str:
    return render(document(), results=RESULTS, checks=CHECKS)


@pytest.fixture(scope="module")
def page(source) -> Page:
    return Page(source)


def test_nothing_is_asked_of_a_network(source, page):
    for tag, attributes, _ in page.elements:
        for name in ("src", "href", "srcset", "data", "poster", "action", "formaction", "xmlns"):
            address = attributes.get(name, "#")
            assert address.startswith(("#", "data:")), f"<{tag} {name}={address[:60]}>"
    style = page.text("style")
    assert re.findall(r"url\((?!data:)", style) == []
    assert "@import" not in style
    assert not {"link", "iframe", "object", "embed", "base", "form"} & {
        t for t, a, _ in page.elements if not (t == "form" and a.get("method") == "dialog")
    }
    assert re.findall(r"https?://[^\"' ]*", re.sub(r"data:[^)\"]*", "", source)) == []


def test_links_in_prose_are_kept_as_text():
    text = Text("見[論文](https://example.org/a)", "see <https://example.org/a>")
    page = Page(render(document([Block("markdown", NOTEBOOK, 1, text)])))
    assert "論文 (https://example.org/a)" in page.text()
    assert not [a for a in page.all("a") if not a["href"].startswith("#")]


def test_a_reference_leads_to_its_figure():
    named = figure(b"1", b"2", b"3")
    named.data["name"] = "errors"
    said = block("markdown", "見 [@errors]。", "See [@errors].")
    page = Page(render(document(referenced(numbered([said, named], 5)))))
    leads = [a["href"] for t, a, inside in page.elements if t == "a" and _within_prose(inside)]
    assert leads == ["#figure-5-1", "#figure-5-1"]
    assert "見 圖 5.1。" in page.text() and "See Figure 5.1." in page.text()
    assert "figure-5-1" in [a.get("id") for a in page.all("figure")]
    with pytest.raises(ValueError, match=r"cell 1: \[@faces\] names no .*known: errors"):
        referenced(numbered([block("markdown", "[@faces]", "[@faces]"), named], 5))
    with pytest.raises(ValueError, match="cell 3: a second 'errors'"):
        referenced(numbered([named, figure(b"4", b"4", b"4", name="errors")], 5))


def _within_prose(inside) -> bool:
    return any("prose" in a.get("class", "").split() for _, a in inside)


def test_the_page_allows_its_own_script_only(page):
    policy = next(a["content"] for a in page.all("meta") if "http-equiv" in a)
    scripts = [d for d, inside in page.texts if inside[-1][0] == "script"]
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert len(scripts) == 1
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_strings_stay_text():
    both = Text(EVIL, EVIL + " en")
    blocks = [
        Block("heading", NOTEBOOK, 1, both, 2),
        Block("markdown", NOTEBOOK, 1, both),
        Block("answer", NOTEBOOK, 1, both, data={"questions": [EVIL]}),
        figure(b"1", b"2", b"3", caption=both, alt={"zh": EVIL, "en": EVIL}),
        table(EVIL, both),
        block("code", source=EVIL),
        block("output", text=EVIL),
        block("error", text=EVIL),
    ]
    evil = document(
        blocks,
        title=both,
        author={"name": EVIL, "collaborators": [EVIL]},
        facts={both: EVIL},
        questions=[Question(EVIL, both, None, 5)],
    )
    results = [{"notebook": NOTEBOOK, "name": EVIL, "value": 1.0, "n": 1, "split": EVIL}]
    checks = [{"name": EVIL, "holds": True, "zh": EVIL, "en": EVIL + " en"}]
    page = Page(render(evil, results=results, checks=checks))
    assert len(page.all("script")) == 1 and len(page.all("style")) == 1
    assert not [a for _, attrs, _ in page.elements for a in attrs if a.startswith("on")]
    assert all(a["src"].startswith("data:image/png;base64,") for a in page.all("img"))
    assert page.text().count("alert(1)") > 20


@pytest.mark.parametrize("bad", [{"mime": "text/html"}, {"data": 'x" onerror="alert(1)'}])
def test_a_forged_picture_brings_no_markup(bad):
    forged = figure(b"1", b"1", b"1")
    for variant in forged.data["variants"].values():
        variant.update(bad)
    try:
        page = Page(render(document([forged])))
    except UserError as error:
        assert "text/html" in str(error)
    else:
        assert not [a for _, attrs, _ in page.elements for a in attrs if a.startswith("on")]


def test_every_text_is_marked_with_its_language(page):
    wanted = {"en": "en", "zh": "zh-Hant-TW"}
    for tag, attributes, _ in page.elements:
        for code in set(attributes.get("class", "").split()) & set(wanted):
            assert attributes.get("lang") == wanted[code], (tag, attributes)
    for text, inside in page.texts:
        if "main" in [t for t, _ in inside] and re.search(r"[一-鿿]", text):
            marks = [a.get("class", "") for _, a in inside]
            assert "en" not in marks, f"Chinese in an English part: {text}"


def test_headings_ids_and_links_hold_together(page):
    levels = [int(t[1]) for t, _, _ in page.elements if re.fullmatch(r"h[1-6]", t)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
    ids = [a["id"] for _, a, _ in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    linked = {a["href"][1:] for a in page.all("a")}
    assert linked <= set(ids)
    assert {"answer-a3", NOTEBOOK.replace("_", "-"), "grader", "main"} <= linked


def test_the_panel_leads_to_answers_and_states_results(page):
    panel = [(t, a) for t, a, inside in page.elements if ("id", "grader") in _pairs(inside)]
    links = [a["href"] for t, a in panel if t == "a"]
    chapter = "#05-confusion-matrix"  # B4 has no answer block; a check names its chapter
    assert links == ["#answer-a3", chapter, chapter]
    assert "best.test.accuracy" in page.text() and "0.6432" in page.text()
    rows = [d for d, inside in page.texts if inside[-1][0] == "code" and "b." in d]
    assert rows == ["b.x", "b.y", "b.z", "b.x"]  # the first three; what B4 names, in that order
    assert "hw3 rerun B4 --profile demo" in page.text("main")
    kinds = [a["class"] for a in page.all("li") if a.get("class") in ("holds", "fails")]
    assert kinds == ["fails", "holds"]
    marks = [d for d, inside in page.texts if "marks" in inside[-1][1].get("class", "")]
    assert marks == ["–", "1.5"]


def _pairs(inside):
    return [pair for _, attributes in inside for pair in attributes.items()]


def test_tables_figures_code_and_formulas(page):
    cells = [(t, a.get("scope")) for t, a, _ in page.elements if t in ("th", "td")]
    assert ("th", None) not in cells
    assert cells[-4:] == [("th", "col"), ("th", "col"), ("th", "row"), ("td", None)]
    images = [(a["class"], a["alt"]) for a in page.all("img")]
    assert images == [
        ("in-zh", "替代文字"),
        ("in-en", "Alternative"),
        ("in-both", "替代文字 Alternative"),
        ("in-zh in-en in-both", "替代文字 Alternative"),  # the same picture is there once
    ]
    assert len(page.all("figcaption")) == 2 and len(page.all("caption")) == 1
    assert "圖 5.2" in page.text() and "Table 5.1" in page.text()
    assert [a for a in page.all("details") if a.get("class") == "code"] == [{"class": "code"}]
    displayed = [a for a in page.all("math") if a.get("display") == "block"]
    assert len(displayed) == 1  # a formula that both languages share is there once
    assert len(page.all("math")) == 1 + 2 + 4  # two in the opening, four in the captions


def test_a_formula_keeps_its_punctuation():
    page = render(document([block("markdown", "令 $x$，則（$y$）成立", "Let $x$, then $y$ holds")]))
    whole = re.findall(r'<span class="whole">(.*?)<math.*?</math>(.*?)</span>', page)
    assert whole == [("", "，"), ("（", "）"), ("", ","), ("", "")]


def test_the_note_on_synthetic_faces_is_there_only_for_them(source, page):
    assert "@bottom-center" in page.text("style")
    notes = [a for _, a, _ in page.elements if "synthetic" in a.get("class", "").split()]
    assert len(notes) == 2  # at the top, and on the printed chapter
    real = render(document(synthetic=False))
    assert "@bottom-center" not in real
    assert not [a for _, a, _ in Page(real).elements if "synthetic" in a.get("class", "").split()]


@pytest.mark.parametrize("language", ["zh", "en", "both"])
def test_the_page_begins_in_the_language_asked_for(language):
    page = Page(render(document(), language))
    chosen = [a["value"] for a in page.all("input") if a["name"] == "language" and "checked" in a]
    assert chosen == [language]
    assert page.all("html")[0]["lang"] == ("en" if language == "en" else "zh-Hant-TW")
    assert "Opening" in page.text() and "開頭" in page.text()


def test_one_notebook_is_a_page_without_a_cover():
    one = Document(title=Text("混淆", "Confusion"), author={}, chapters=document().chapters)
    page = Page(render(one))
    levels = [t for t, _, _ in page.elements if re.fullmatch(r"h[1-6]", t)]
    assert levels[:2] == ["h1", "h2"] and levels.count("h1") == 1
    assert "grader" not in [a.get("id") for _, a, _ in page.elements]


def test_a_formula_that_cannot_be_set_is_named():
    text = Text(r"$\nosuchcommand{x}$", "fine")
    with pytest.raises(UserError, match=r"^05_confusion_matrix, cell 7: .*nosuchcommand"):
        render(document([Block("markdown", NOTEBOOK, 7, text)]))


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium")
def test_in_a_browser_the_script_runs_and_the_language_is_chosen(source, tmp_path):
    file = tmp_path / "page.html"
    file.write_text(source, encoding="utf-8")
    shown = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
         "--disable-background-networking", f"--user-data-dir={tmp_path / 'profile'}",
         f"file://{file}?lang=en"],
        capture_output=True, encoding="utf-8", timeout=120, check=True,
    )  # fmt: skip
    dom = Page(shown.stdout)
    assert dom.all("html")[0]["lang"] == "en"
    assert all(a.get("role") == "button" for a in dom.all("img") if a.get("class") != "base")
