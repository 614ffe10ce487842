"""The page: nothing from outside, no markup from strings, both languages in full."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from hw3lib import UserError
from hw3lib.report.document import Question
from hw3lib.report.exporters import Hw3HTMLExporter
from hw3lib.report.html import render
from hw3lib.report.notebook import one_notebook
from hw3lib.report.show import MIME
from hw3lib.text import Text

from .check_report import WORDS, long_answers
from .fakes import (
    HTML,
    STUDY,
    SVG,
    answer,
    both,
    cell,
    document,
    figure,
    notebook,
    pair,
    png,
    result,
    table,
)

SCRIPT = "<script>alert(1)</script>"
EVIL = f"</code></script>{SCRIPT}<img src=x onerror=alert(1)><svg/onload=alert(1)>\" onx='alert(1)"
ALLOWED = ("#", "data:image/", "https://en.wikipedia.org/")
ADDRESSES = ("src", "href", "xlink:href", "action", "formaction", "data", "srcdoc", "srcset")


class Page(HTMLParser):
    """The page as a browser takes it apart."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source, self.text = source, ""
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {k: v or "" for k, v in attrs}))

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def harmless(source: str) -> Page:
    """The page has its own script and style alone, no handler and no address outside."""
    page = Page(source)
    assert len(page.all("script")) == len(page.all("style")) == 1
    assert [n for _, a in page.tags for n in a if n.startswith("on")] == []
    assert not {"iframe", "object", "embed", "base", "link", "form"} & {
        t for t, a in page.tags if a.get("method") != "dialog"
    }
    addresses = [v for _, a in page.tags for n, v in a.items() if n in ADDRESSES]
    assert all(a.startswith(ALLOWED) for a in addresses), addresses
    script = re.search(r"<script>(.*?)</script>", source, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in source and f"script-src 'sha256-{digest}'" in source
    return page


@pytest.fixture(scope="module")
def page() -> Page:
    cells = [
        *pair("開頭 $a$，見 [@line]。", "Opening $a$, see [@line] and [w](https://en.wikipedia.org/)."),
        *pair("## 甲\n\n前\n\n$$y=x$$\n\n後", "## One\n\nBefore\n\n$$y=x$$\n\nAfter"),
        cell(figure("line"), table(*"ABCDE"), source="a = 1  # 註解"), cell(answer()),
        *pair("## 補充", "## More", "detail"), cell(figure("more"), tags=["detail"]),
        *pair("字", "words"), cell(table(), tags=["detail"]),
        cell({"image/png": png()}, {"text/html": HTML}, {"text/plain": "forty-two"}),
        cell({"application/x-unknown": "1", "text/plain": "x"}, result("best.test.accuracy", 0.5)),
    ]  # fmt: skip
    measured = {"notebook": "05_confusion_matrix", "name": "best.test.accuracy", "n": 3589}
    checks = [{"holds": True, **both("讀回", "Read back")}, {"holds": False, **both("不", "No")}]
    return harmless(render(document(
        *cells, results=[{**measured, "value": 0.64321}], checks=checks, synthetic=True,
        rerun="hw3 rerun {id}",
    )))  # fmt: skip


def test_both_languages_are_there_and_marked(page):
    for text in ("一條線。", "A line.", "類別", "Class", "開頭", "Opening", "短答四", "short four"):
        assert text in page.text
    spans = [a for t, a in page.tags if a.get("class") in ("zh", "en")]
    assert {(a["class"], a["lang"]) for a in spans} == {("zh", "zh-Hant-TW"), ("en", "en")}
    assert page.all("html")[0]["lang"] == "zh-Hant-TW"


def test_the_first_screen_answers_with_thumbnails_and_links(page):
    first = page.source[: page.source.index('<article class="chapter"')]
    for part in ('href="#answer-a3"', "short four", "data:image/webp;base64", "64.3%"):
        assert part in first, part


def test_an_answer_that_nobody_reads_in_time_is_a_fault_of_the_report():
    words = {"zh": "短", "en": "word " * (WORDS["en"] - 1) + "$x + y$"}
    assert [*long_answers(render(document(cell(answer(**words)))))] == []
    (fault,) = long_answers(
        render(document(cell(answer(**{**words, "en": words["en"] + " more"}))))
    )
    assert fault == f"Answer to A3: {WORDS['en'] + 1} words (en), more than {WORDS['en']}"


def test_a_thumbnail_is_of_the_figure_that_the_answer_names_first():
    thumbs = [base64.b64encode(png(width, 6)).decode() for width in (9, 12)]
    shown = [figure(ref, thumb=t) for ref, t in zip(("one", "two"), thumbs, strict=True)]

    def first_screen(*said: str) -> str:
        return render(document(cell(*shown, answer("A3", *said)))).partition("<article")[0]

    by_name, by_place = first_screen("見[@one]。", "See [@one]."), first_screen("四。", "Four.")
    assert by_name != by_place == first_screen("見[@two]。", "See [@two].")


def test_every_link_leads_somewhere_and_every_id_stands_once(page):
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids)) and "answer-a3" in ids
    links = [a["href"][1:] for a in page.all("a") if a["href"].startswith("#")]
    assert set(links) <= set(ids) and "figure-5-1" in links and "heading-5-1" in links


def test_a_hat_is_the_accent_of_its_letter_alone():
    """As large as the letter: at the size of a superscript it reads as the dot of a derivative."""
    tex = r"$\frac{\partial L}{\partial z_j} = \hat{y}_j + \hat{x_i}$"
    made = render(document(*pair(f"差 {tex}", f"The difference {tex}")))
    hats = re.findall(r'<mover accent="true">(.*?)<mo stretchy="false">ˆ</mo></mover>', made)
    assert hats == ["<mi>y</mi>", "<msub><mi>x</mi><mi>i</mi></msub>"] * 2
    assert made.count("<mover") == 4


def test_what_is_numbered_folded_or_cannot_be_shown(page):
    for told in ("Figure 5.1", "Figure S5.1", "圖 S5.1", "Table 5.1", "sadness", "forty-two",
                 "補充：補充", "More: One",
                 "an output that cannot be shown (application/x-unknown)"):  # fmt: skip
        assert told in page.text
    fold = page.source[page.source.index('<details class="detail">') :]
    assert fold.index("figure-s5-1") < fold.index("</details>")
    assert any(a["src"].startswith("data:image/webp") for a in page.all("img"))


def test_the_panel_speaks_in_words(page):
    panel = page.source[page.source.index('id="grader"') :]
    assert "<b>64.3%</b>" in panel and "n = 3,589" in panel and "hw3 rerun A3" in panel
    assert "best network · test accuracy" in panel and "最佳網路 · 測試準確率" in panel
    assert panel.index("that failed") < panel.index("Read back")


def test_code_has_one_switch_and_mathematics_is_mathml(page):
    assert [a["id"] for a in page.all("input") if a.get("type") == "checkbox"] == ["code"]
    assert any(a.get("class") == "code" for a in page.all("pre"))
    assert page.source.count("<mi>y</mi>") == 1 and "<math" in page.source  # set once for both
    assert page.source.count('alttext="y=x"') == 1


def test_the_language_that_it_begins_in_and_one_notebook_without_a_first_page():
    made = Page(render(one_notebook(notebook(cell(answer())), "x"), "en"))
    assert made.all("html")[0]["lang"] == "en"
    chosen = [a["value"] for a in made.all("input") if "checked" in a and a["name"] == "language"]
    assert chosen == ["en"]
    assert [t for t, _ in made.tags if re.fullmatch("h[1-6]", t)] == ["h1"]
    assert "grader" not in [a.get("id") for _, a in made.tags]


def test_fonts_are_cut_to_the_page(cut):
    made = cut("NotoSansTC-Regular.otf", frozenset("abc混"))
    assert made[:4] == b"wOF2" and len(made) < 30_000
    assert "url(data:font/woff2" in render(document())


def exported(*outputs: dict, source: str = "pass", prose: str = "") -> str:
    cells = [v4.new_markdown_cell(f"# 題 Title\n\n{prose}"), cell(*outputs, source=source)]
    nb = nbformat.from_dict(v4.new_notebook(cells=cells))
    return Hw3HTMLExporter().from_notebook_node(nb, {"metadata": {"name": EVIL}})[0]


def test_outputs_of_anyone_stay_text():
    drawn = SVG.replace("<rect", f'{SCRIPT}<a href="x:y"/><rect onload="alert(1)"')
    outputs = [
        {"text/html": EVIL, "text/plain": EVIL}, {"application/javascript": "alert(1)"},
        {"image/svg+xml": drawn}, {"text/markdown": EVIL}, {"text/latex": EVIL},
        v4.new_output("stream", name="stdout", text=EVIL),
        v4.new_output("error", ename=EVIL, evalue=EVIL, traceback=[EVIL]),
        {MIME: {"kind": "text", **both(EVIL)}}, {MIME: {"kind": EVIL}}, answer(EVIL, EVIL, EVIL),
        figure(EVIL, caption=both(EVIL)), table(EVIL),
        {MIME: {"kind": "study", "synthetic": True, "language": EVIL}},
        {"image/png": b'x" onerror="alert(1)'}, {"image/jpeg": SCRIPT.encode()},
    ]  # fmt: skip
    made = harmless(exported(*outputs, source=EVIL, prose=EVIL))
    assert made.text.count("alert(1)") >= 8 and made.text.count("no picture") >= 2
    with pytest.raises(UserError, match=r"cell 2: an output that .* picture is lost"):
        exported({MIME: figure()[MIME], "image/png": b"x"})


def test_names_of_authors_and_files_stay_text():
    evil = Text(EVIL, EVIL)
    author = {"name": evil, "id": evil, "collaborators": [evil, evil]}
    asked, facts = [Question("A3", evil, 5)], {evil: evil}
    made = harmless(render(document(author=author, facts=facts, questions=asked)))
    assert made.text.count(SCRIPT) >= 5


def test_the_exporter_follows_the_notebook_and_its_option(tmp_path: Path):
    from nbconvert import nbconvertapp

    file = tmp_path / "05_x.ipynb"
    nbformat.write(notebook(cell(STUDY, answer())), file)
    for option, wanted in (([], "en"), (["--language", "zh"], "zh-Hant-TW")):
        nbconvertapp.NbConvertApp.clear_instance()
        nbconvertapp.NbConvertApp.launch_instance(["--to", "hw3_html", str(file), *option])
        written = Page((tmp_path / "05_x.report.html").read_text(encoding="utf-8"))
        assert written.all("html")[0]["lang"] == wanted
    nbconvertapp.NbConvertApp.clear_instance()
