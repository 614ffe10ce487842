"""A notebook as Blocks: ordinary outputs, Pairs, numbers, references, what was measured."""

from __future__ import annotations

import nbformat
import pytest
from nbformat import v4

from hw3lib import UserError
from hw3lib.report.document import Question, paragraphs, typeset
from hw3lib.report.execute import INJECTED
from hw3lib.report.notebook import chapter_of, collect, has_results, language_of, one_notebook
from hw3lib.report.pictures import Images
from hw3lib.report.show import MIME
from hw3lib.text import Text

from .fakes import (
    HTML,
    STUDY,
    SVG,
    answer,
    both,
    cell,
    chapter,
    document,
    figure,
    notebook,
    pair,
    png,
    result,
    table,
)

WIDGET = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}}


def kinds(*outputs) -> list[str]:
    return [b.kind for b in chapter(cell(*outputs, tags=["prose"])).blocks]  # prose: without code


@pytest.mark.parametrize(
    ("shown", "kind"),
    [
        ({"image/png": png(), "text/plain": "<Figure size 640x480>"}, "picture"),
        ({"image/svg+xml": SVG, "text/plain": "x"}, "picture"),
        ({"text/html": HTML, "text/plain": "x"}, "html"),
        ({"text/markdown": "**x**", "text/plain": "x"}, "markdown"),
        ({"text/latex": r"\frac{a}{b}", "text/plain": "x"}, "markdown"),
        ({"text/plain": "42"}, "output"),
        (v4.new_output("stream", text="hello"), "output"),
        (v4.new_output("error", ename="Oops", evalue="no", traceback=[]), "error"),
        ({**WIDGET, "text/plain": "VBox(children=())"}, "missing"),
        ({**WIDGET, **figure()}, "figure"),
        ({"text/html": "<script>draw()</script>", "text/plain": "x"}, "missing"),
        ({"image/png": b"no picture"}, "missing"),
        (table(), "table"),
        (answer(), "answer"),
    ],
)
def test_every_output_has_its_block(shown, kind):
    assert kinds(shown) == [kind]


def test_a_stream_is_what_a_terminal_shows():
    said = v4.new_output("stream", text="\x1b[31mred\x1b[0m\n10 %\r100 %\n\n")
    assert chapter(cell(said)).blocks[-1].data["text"] == "red\n100 %"
    assert kinds(v4.new_output("stream", text=" \n")) == []


def test_cells_are_counted_from_one_and_what_was_injected_is_none():
    injected = v4.new_code_cell("LANG = 'en'", metadata={"tags": [INJECTED]})
    blocks = chapter(injected, cell(source="a")).blocks
    assert [b.where for b in blocks if b.data.get("text") == "a"] == ["05_confusion_matrix, cell 3"]


def test_supplementary_numbers_and_sections():
    cells = [*pair("## 甲", "## A"), cell(figure("a")), *pair("## 補", "## More", "detail"),
             cell(figure("b"), table(), tags=["detail"]), *pair("## 乙", "## B"),
             cell(figure("c"))]  # fmt: skip
    blocks = chapter(*cells).blocks
    numbers = [(b.kind, b.number) for b in blocks if b.kind in ("heading", "figure", "table")]
    assert numbers == [
        ("heading", "5.1"), ("figure", "5.1"), ("heading", ""), ("figure", "S5.1"),
        ("table", "S5.1"), ("heading", "5.2"), ("figure", "5.2"),
    ]  # fmt: skip
    assert [b.anchor for b in blocks if b.kind == "table"] == ["table-s5-1"]


def test_an_answer_in_a_section_of_its_own_opens_the_chapter():
    cells = [*pair("問", "ask"), *pair("## 甲", "## A"), cell(figure("a"), tags=["prose"]),
             *pair("## 答案\n\n因", "## Answer\n\nwhy"), cell(answer(), table(), source="draw()"),
             *pair("## 乙", "## B"), cell(answer(), tags=["prose"])]  # fmt: skip
    found = [(b.kind, b.number) for b in chapter(*cells).blocks]
    assert found == [
        ("markdown", ""), ("answer", ""), ("heading", "5.1"), ("figure", "5.1"), ("markdown", ""),
        ("code", ""), ("table", "5.1"), ("heading", "5.2"), ("answer", ""),
    ]  # fmt: skip


def test_a_plain_notebook_is_set_right():
    """No tags, no Pairs, one language, headings in any order."""
    text = "intro\n\n### deep\n\n# My title\n\n```\n# no heading\n```\n\n# second"
    made = chapter_of(v4.new_notebook(cells=[v4.new_markdown_cell(text)]), "10_mine")
    assert (made.number, made.title.en) == (10, "My title")
    headings = [(b.level, b.text.en) for b in made.blocks if b.kind == "heading"]
    assert headings == [(2, "deep"), (2, "second")]
    untitled = chapter_of(v4.new_notebook(cells=[v4.new_markdown_cell("x")]), "11_my_try")
    assert untitled.title.en == "my try"


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (pair("甲", "A")[:1], "last lang-zh cell has no lang-en"),
        (pair("甲", "A")[1:], "cell 3: lang-zh and lang-en cells must stand"),
        ([pair("甲", "A")[0], cell()], "cell 4: lang-zh and lang-en cells must stand"),
        (pair("## 甲", "A"), "cell 4: the pair's headings differ"),
    ],
)
def test_halves_that_do_not_fit_are_named(cells, told):
    with pytest.raises(UserError, match=told):
        chapter(*cells)


def test_paragraphs_go_together_and_an_equation_stands_once():
    zh = "前文。\n\n$$\na=1\n\nb=2\n$$\n\n- 甲\n\n  續\n- 乙\n\n```\nx\n\ny\n```"
    en = "Before.\n\n$$\na=1\n\nb=2\n$$\n\n- A\n\n  more\n- B\n\n```\nx\n\ny\n```"
    parts = paragraphs(Text(zh, en))
    assert len(parts) == 4 and parts[1].zh == parts[1].en == "$$\na=1\n\nb=2\n$$"
    assert paragraphs(Text("一\n\n二", "one")) == [Text("一\n\n二", "one")]


def test_references_lead_to_figures_tables_and_works():
    cells = [*pair("見 [@line]、[@scores]、[@he2016]。", "See [@line], [@scores], [@he2016]."),
             cell(figure("line"), table(ref="scores"))]  # fmt: skip
    made = document(*cells, works={"he2016": "3"})
    text = made.chapters[0].blocks[0].text
    assert text.en == (r"See [Figure 5.1](#figure-5-1), [Table 5.1](#table-5-1), [\[3\]](#work-3).")
    with pytest.raises(UserError, match=r"cell 4: \[@lost\] names nothing \(known: line\)"):
        document(*pair("[@lost]", "[@lost]"), cell(figure("line")))
    with pytest.raises(UserError, match="a second 'line'"):
        document(cell(figure("line"), figure("line")))
    alone = one_notebook(notebook(*pair("[@he2016]", "[@he2016]")), "05_x")
    assert alone.chapters[0].blocks[0].text.en == "(he2016)"  # an exporter knows no works


def test_images_come_from_beside_the_notebook_and_from_nowhere_else(tmp_path):
    (tmp_path / "nb").mkdir()
    for place in ("nb/plot 1.png", "secret.png"):
        (tmp_path / place).write_bytes(png())
    (tmp_path / "nb" / "a.svg").write_text(SVG)
    (tmp_path / "nb" / "text.png").write_text("no picture")
    images = Images(tmp_path / "nb", {"a.png": {"image/png": png().hex()}})
    assert images.find("plot%201.png").mime == "image/png"
    assert images.find("a.svg") == ("image/svg+xml", SVG.encode())
    for place, why in {
        "../secret.png": "outside", "/etc/passwd": "outside", "gone.png": "no such file",
        "https://evil.example/a.png": "beside the notebook", "file:///etc/passwd": "beside",
        "text.png": "no picture", "attachment:a.png": "no picture", "attachment:b.png": "no pict",
    }.items():  # fmt: skip
        with pytest.raises(LookupError, match=why):
            images.find(place)
    with pytest.raises(LookupError, match="outside"):
        Images(None).find("plot.png")


def test_results_are_collected_once_and_contradictions_are_an_error():
    nbs = {name: notebook(cell(result("a.b", 0.5))) for name in ("01_a", "02_b")}
    assert [(r["value"], r["notebook"]) for r in collect(nbs, "result")] == [(0.5, "01_a")]
    undefined = {"01_a": notebook(cell(result("a", float("nan"))))}
    assert collect(undefined, "result")[0]["value"] is None
    nbs["02_b"] = notebook(cell(result("a.b", 0.6)))
    with pytest.raises(UserError, match=r"a\.b on test: 0\.5 in 01_a, 0\.6 in 02_b"):
        collect(nbs, "result")


def test_scores_and_answers_of_a_report():
    ways = {"": 0.7, "_without_exact_copies": 0.6, "_without_near_copies": 0.5}
    results = [{"name": f"best.test.accuracy{w}", "value": v, "n": 400} for w, v in ways.items()]
    asked = [Question(name, Text("", ""), 5) for name in ("A3", "B3")]
    made = document(results=results, questions=asked)
    assert [v for _, v in made.scores] == [0.7, 0.6, 0.5]
    assert made.scores[2][0].en == "without exact or near copies (±4.9 pp)"  # 1.96 sqrt(pq / n)
    assert made.answer("A3").kind == "answer" and made.answer("B3") is None
    assert made.gaps == ["question B3: chapter 5 has no answer('B3', …)"]


def test_what_a_notebook_knows_of_itself():
    assert language_of(notebook(cell(STUDY))) == "en" and language_of(notebook()) == "both"
    assert one_notebook(notebook(cell(STUDY)), "x").synthetic
    clean = notebook(v4.new_code_cell("a"))
    assert not has_results(clean)
    assert "Not run" in one_notebook(clean, "x").chapters[0].blocks[0].text.en


@pytest.mark.parametrize(
    "payload",
    [
        {"kind": "text", "zh": "x"}, {"kind": "answer", **both("x")}, {"nothing": 1}, "x",
        {"kind": "table", "caption": both("x"), "columns": [], "rows": [[both("x")]], "align": []},
        {"kind": "figure", "caption": both("x"), "alt": both("x"), "width": "a", "height": 1},
    ],
)  # fmt: skip
def test_a_forged_payload_is_named(payload):
    with pytest.raises(UserError, match=r"cell 3: an output that hw3lib\.report\.show did not"):
        chapter(nbformat.from_dict(cell({MIME: payload})))


def test_cells_of_tables_are_typeset():
    made = typeset(Text("0.1 [-0.02, 0.04] ○", "2026-11-25"))
    assert made == Text("0.1 [−0.02,\u00a00.04] ○", "2026-11-25")
