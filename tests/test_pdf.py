"""The PDF: what it says can be read out of it, it is reproducible, and faults are named."""

import io
import re
import shutil
from dataclasses import replace
from functools import cache

import matplotlib
import nbformat
import pypdf
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from pypdf._text_extraction import mult

from hw3lib import UserError
from hw3lib.plotting import style
from hw3lib.plotting.encoding import encode
from hw3lib.report import pdf
from hw3lib.report.blocks import notebook_blocks
from hw3lib.report.cover import ARRANGEMENTS
from hw3lib.report.document import Document, Question, chapter_of, one_notebook
from hw3lib.report.show import MIME, SYNTHETIC_NOTE
from hw3lib.report.tabular import typeset
from hw3lib.text import GLOSSARY, LANGUAGES, Text, tr

ZH = "網路依驗證影像選定，測試影像從未參與任何選擇。"
EN = "The network was chosen on the validation pictures."
HOSTILE = '#panic("x") ] [ *a* _b_ $c$ // /* <d> @e \\ `f` "g"'


def pair(zh: str, en: str) -> list:
    cells = [new_markdown_cell(zh), new_markdown_cell(en)]
    for cell, code in zip(cells, ("zh", "en"), strict=True):
        cell.metadata["tags"] = [f"lang-{code}"]
    return cells


def shown(*payloads: dict):
    outputs = [new_output("display_data", {MIME: payload}) for payload in payloads]
    return new_code_cell("secret_code = 1", outputs=outputs)


@cache
def picture() -> dict:
    def draw():
        figure, axes = style.subplots(height=1.2, width=3)
        axes.plot([0, 1], [0, 1], label=tr("訓練", "training"))
        return figure

    return {
        "kind": "figure",
        "caption": {"zh": "一條線。", "en": "A line."},
        "alt": {"zh": "由左下到右上的線", "en": "a line that rises"},
        "variants": {code: encode(draw()) for code in LANGUAGES},
    }


def table(*cells: str) -> dict:
    return {
        "kind": "table",
        "caption": {"zh": "分數。", "en": "Scores."},
        "columns": [{"zh": "類別", "en": "Class"}, {"zh": "召回率", "en": "Recall"}],
        "rows": [[{"zh": c, "en": c}, {"zh": "0.5", "en": "0.5"}] for c in cells],
        "align": ["left", "right"],
    }


def answer(question: str) -> dict:
    return {"kind": "answer", "questions": [question], "zh": "答案是四。", "en": "It is four."}


def notebook(*cells) -> nbformat.NotebookNode:
    return new_notebook(cells=[*pair("# 混淆矩陣", "# Confusion matrix"), *cells])


def document(*cells, **changes) -> Document:
    nb = notebook(*(cells or [*pair(ZH, EN), shown(picture(), table("Sad"), answer("A3"))]))
    chapter = chapter_of(notebook_blocks(nb, "05_confusion_matrix"), "05_confusion_matrix")
    whole = Document(
        title=Text("作業三", "Homework 3"),
        author={"name": Text("王小明", "Wang"), "collaborators": ["李大華"]},
        chapters=[chapter],
        facts={Text("資料", "Data"): "synthetic", Text("張數", "Pictures"): 4000},
        date="2026-11-20T08:00:00+00:00",
        questions=[Question("A3", Text("混淆矩陣", "Confusion matrix"), 2, 5)],
    )
    return replace(whole, **changes)


def pages(data: bytes) -> list[str]:
    return [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(data)).pages]


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_can_be_read_out_of_the_pdf(language):
    text = squeezed("".join(pages(pdf.render(document(), language))))
    for code, sentences in {
        "zh": (ZH, "一條線。", "類別", "答案是四。", "王小明"),
        "en": (EN, "A line.", "Class", "It is four."),
    }.items():
        for sentence in sentences:
            assert (squeezed(sentence) in text) == (language in (code, "both")), sentence
    assert "secret_code" not in text


def test_the_same_document_gives_the_same_bytes():
    first = pdf.render(document(), "both")
    assert first == pdf.render(document(), "both")
    made = pypdf.PdfReader(io.BytesIO(first)).metadata
    assert made.creation_date.isoformat() == "2026-11-20T08:00:00+00:00"
    assert first != pdf.render(document(date="2026-11-21"), "both")


def test_the_file_declares_and_holds_what_the_standards_ask():
    reader = pypdf.PdfReader(io.BytesIO(pdf.render(document(*pair("式 $a^2$", "So $a^2$")), "zh")))
    root = reader.trailer["/Root"]
    metadata = root["/Metadata"].get_data().decode()
    assert "<pdfuaid:part>1<" in metadata and "<pdfaid:part>2<" in metadata
    assert root["/Lang"] == "zh-TW" and root["/MarkInfo"]["/Marked"]
    kinds = dict(_elements(root["/StructTreeRoot"]))
    assert {"/H1", "/H2"} & set(kinds) and kinds["/Formula"] == "a^2"


def test_a_packed_pdf_is_smaller_and_says_the_same(monkeypatch):
    small = pdf.render(document(), "both")
    monkeypatch.setattr(pdf, "packed", lambda made: made)
    whole = pdf.render(document(), "both")
    assert len(small) < 0.9 * len(whole) and pages(small) == pages(whole)
    roots = [pypdf.PdfReader(io.BytesIO(made)).trailer["/Root"] for made in (small, whole)]
    tagged = [list(_elements(root["/StructTreeRoot"])) for root in roots]
    assert tagged[0] == tagged[1] and len(tagged[0]) > 20
    stated = [root["/Metadata"].get_data() for root in roots]
    assert stated[0] == stated[1]


@pytest.mark.parametrize("arrangement", [*ARRANGEMENTS, ""])
def test_both_languages_stand_as_the_author_says(arrangement):
    made = document(*pair(ZH, EN), author={"languages": arrangement} if arrangement else {})
    places = {}

    def visit(text, outer, inner, *_):
        for code, sentence in (("zh", ZH), ("en", EN)):
            if text.strip() and sentence.startswith(text.strip()[:8]):
                x, y = mult(inner, outer)[4:]
                places.setdefault(code, (x, y))

    for page in pypdf.PdfReader(io.BytesIO(pdf.render(made, "both"))).pages:
        page.extract_text(visitor_text=visit)
    (zh_x, zh_y), (en_x, en_y) = places["zh"], places["en"]
    if arrangement == "side by side":
        assert en_x > zh_x + 200 and abs(en_y - zh_y) < 6
    else:
        assert en_x < zh_x + 20 and en_y < zh_y - 10


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_equation_of_both_languages_is_set_once(language):
    zh, en = "前文。\n\n$$q=1$$\n\n後文。", "Before.\n\n$$q=1$$\n\nAfter."
    said = {"kind": "answer", "questions": ["A3"], "zh": zh, "en": en}
    reader = pypdf.PdfReader(io.BytesIO(pdf.render(document(*pair(zh, en), shown(said)), language)))
    alts = [alt for kind, alt in _elements(reader.trailer["/Root"]["/StructTreeRoot"])]
    assert alts.count("q=1") == 2  # in the prose and in the answer
    told = squeezed("".join(page.extract_text() for page in reader.pages))
    order = {"zh": "前文.*後文", "en": "Before.*After", "both": "前文.*Before.*後文.*After"}
    assert re.search(order[language], told)


def test_a_reference_leads_to_its_figure():
    named = shown(picture() | {"name": "line"})
    told = {"zh": "見圖5.1。", "en": "SeeFigure5.1."}
    for language, text in told.items():
        links = []
        for cells in (pair("見 [@line]。", "See [@line]."), pair("見圖。", "See it.")):
            reader = pypdf.PdfReader(io.BytesIO(pdf.render(document(*cells, named), language)))
            links.append(sum(len(page.get("/Annots", [])) for page in reader.pages))
            if len(links) == 1:
                assert text in squeezed("".join(page.extract_text() for page in reader.pages))
        assert links[0] == links[1] + 1


def test_a_tall_figure_leaves_no_half_empty_page():
    tall = picture() | {"variants": _tall_variants()}
    after = [c for n in range(20) for c in pair(f"其後{n}。" + ZH * 3, EN)]
    for length in (3, 5, 7):
        before = [c for _ in range(length) for c in pair(ZH * 6, EN)]
        told = pages(pdf.render(document(*before, shown(tall), *after), "zh"))
        first = next(n for n, text in enumerate(told) if text.startswith("05"))
        for text in told[first:-1]:
            assert "一條線" in text or len(text.splitlines()) > 32, (length, text)


@cache
def _tall_variants() -> dict:
    figure, axes = style.subplots(height=5.6, width=6)
    axes.imshow([[0, 1], [1, 0]], aspect="auto")
    return dict.fromkeys(LANGUAGES, encode(figure))


def test_figures_carry_their_alternative_text():
    reader = pypdf.PdfReader(io.BytesIO(pdf.render(document(), "both")))
    texts = [alt for kind, alt in _elements(reader.trailer["/Root"]["/StructTreeRoot"])]
    assert "由左下到右上的線 a line that rises" in texts


def _elements(node):
    """(kind, alternative text) of every element of the structure tree below `node`."""
    node = node.get_object()
    if isinstance(node, list):
        for child in node:
            yield from _elements(child)
    elif isinstance(node, dict):
        yield node.get("/S"), node.get("/Alt")
        if "/K" in node:
            yield from _elements(node["/K"])


def test_the_question_table_names_the_page_of_the_answer():
    filler = [cell for _ in range(40) for cell in pair(f"{ZH}" * 6, f"{EN} " * 6)]
    told = pages(pdf.render(document(*filler, shown(answer("A3"))), "zh"))
    page = next(n for n, text in enumerate(told, 1) if "答案是四" in text)
    assert page > 5
    assert f"A3混淆矩陣5{page}2" in squeezed(told[1])


def test_intervals_in_tables_stay_on_one_line():
    said = typeset({"zh": "0.1 [-0.02, 0.04] ○", "en": "[a sentence, not an interval] -3"})
    assert said.zh == "0.1 [−0.02,\u00a00.04]\u00a0○"
    assert said.en == "[a sentence, not an interval] −3"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_of_a_synthetic_report_says_so(language):
    long = [cell for _ in range(30) for cell in pair(f"{ZH}" * 6, f"{EN} " * 6)]
    told = pages(pdf.render(document(*long, synthetic=True), language))
    note = squeezed(SYNTHETIC_NOTE.in_language(language))
    assert len(told) > 4 and all(note in squeezed(text) for text in told)
    assert note not in squeezed("".join(pages(pdf.render(document(), language))))


def test_no_heading_stands_alone_at_the_foot_of_a_page():
    cells = []
    for n in range(60):
        cells += pair(f"## 標題{n}\n\n{ZH * (n % 7 + 1)}", f"## Heading\n\n{EN}")
    told = pages(pdf.render(document(*cells), "zh"))
    first = next(n for n, text in enumerate(told) if text.startswith("05"))
    assert len(told) - first > 5
    for text in told[first:]:
        lines = [line for line in text.splitlines() if line.strip()]
        assert "標題" not in lines[-2], text  # the last line is the page number


@pytest.mark.parametrize("language", LANGUAGES)
def test_strings_from_outside_stay_strings(language):
    payload = table(HOSTILE, "") | {"caption": {"zh": "a]b #c", "en": "a]b #c"}}
    told = "".join(pages(pdf.render(document(shown(payload)), language)))
    assert squeezed(HOSTILE) in squeezed(told) and "a]b #c" in told


def test_a_character_no_font_has_is_named_with_its_place():
    with pytest.raises(UserError, match=r"05_confusion_matrix, cell 3: .*U\+20BB7"):
        pdf.render(document(*pair("\U00020bb7野家", "x")), "zh")
    with pytest.raises(UserError, match=r"author\.toml: .*U\+1F600"):
        pdf.render(document(author={"name": "\U0001f600"}), "en")
    with pytest.raises(UserError, match=r"cell 2: .*BALLOT X"):
        pdf.render(document(shown(table("✗"))), "zh")


def test_another_font_put_beside_ours_supplies_its_characters(tmp_path, monkeypatch):
    for font in pdf.FONTS.glob("*.otf"):
        shutil.copy(font, tmp_path)
    dejavu = matplotlib.get_data_path() + "/fonts/ttf/DejaVuSans.ttf"
    shutil.copy(dejavu, tmp_path)
    monkeypatch.setattr(pdf, "FONTS", tmp_path)
    for cached in (pdf._fonts, pdf._characters):
        cached.cache_clear()
    try:
        assert "✗" in "".join(pages(pdf.render(document(shown(table("✗"))), "zh")))
    finally:
        for cached in (pdf._fonts, pdf._characters):
            cached.cache_clear()


def test_markdown_that_cannot_be_converted_is_named_with_its_place():
    with pytest.raises(UserError, match=r"05_confusion_matrix, cell 3 \(en\): .*\\foo"):
        pdf.render(document(*pair("好 $a$", "Good $\\foo$")), "both")


def test_an_unknown_language_is_refused():
    with pytest.raises(UserError, match="choose one of"):
        pdf.render(document(), "fr")


def test_headings_in_the_wrong_order_are_refused():
    with pytest.raises(ValueError, match="level 3 after one of level 1"):
        document(*pair("### 深", "### Deep"))


def test_a_heading_that_looks_like_a_list_stays_a_heading():
    text = "".join(pages(pdf.render(document(*pair("## 1. 資料", "## 1. Data")), "zh")))
    assert "5.1 1. 資料" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_nbconvert_exports_one_notebook(language):
    from nbconvert.exporters import get_exporter
    from traitlets.config import Config

    exporter = get_exporter("hw3_pdf")(config=Config({"Hw3PDFExporter": {"language": language}}))
    resources = {"metadata": {"name": "05_confusion_matrix"}}
    data, resources = exporter.from_notebook_node(notebook(*pair(ZH, EN)), resources)
    assert resources["output_extension"] == ".pdf" and len(pages(data)) == 1
    assert (squeezed(EN) in squeezed(pages(data)[0])) == (language != "zh")


def test_a_notebook_without_a_number_is_exported_too():
    assert "1.1" in "".join(
        pages(pdf.render(one_notebook(notebook(*pair("## 節", "## S")), "x"), "zh"))
    )


def test_an_executed_notebook_knows_that_its_faces_are_synthetic():
    for synthetic in (True, False):
        nb = notebook(shown({"kind": "study", "synthetic": synthetic}), *pair(ZH, EN))
        told = "".join(pages(pdf.render(one_notebook(nb, "05_x"), "en")))
        assert (SYNTHETIC_NOTE.en in told) == synthetic


def test_a_notebook_without_results_says_so():
    for cell, says in ((new_code_cell("a"), True), (new_code_cell("a", execution_count=1), False)):
        told = "".join(pages(pdf.render(one_notebook(notebook(cell), "05_x"), "both")))
        assert ("尚未執行" in told, "Not run" in told) == (says, says)


def test_errors_of_an_executed_cell_are_shown():
    failed = new_code_cell("1/0", outputs=[new_output("error", ename="Oops", evalue="[no]")])
    nb = notebook(failed)
    told = "".join(pages(pdf.render(one_notebook(nb, "05_x"), "zh")))
    assert "Oops: [no]" in told


def test_the_font_covers_what_the_report_writes():
    from matplotlib.ft2font import FT2Font

    level_one = {
        bytes((high, low)).decode("big5")
        for high in range(0xA4, 0xC6)
        for low in (*range(0x40, 0x7F), *range(0xA1, 0xFF))
    }
    root = pdf.FONTS.parent.parent
    files = [*root.glob("notebooks/*.ipynb"), *root.glob("report/*.toml")]
    written = {c for file in files for c in file.read_text(encoding="utf-8") if c >= " "}
    wanted = {
        *level_one,
        *written,
        *"".join(GLOSSARY.values()),
        *"αβγδεημσ∂∑≤≥≈≠±×÷→←↔✓□■│─「」、。；：？！—…",
    }
    for weight in ("Regular", "Bold"):
        path = pdf.FONTS / f"NotoSansTC-{weight}.otf"
        assert not {*map(ord, wanted)} - {*FT2Font(path).get_charmap()}
        assert path.stat().st_size < 1.7e6
    assert (pdf.FONTS / "OFL.txt").read_text(encoding="utf-8").count("Reserved Font Name")
