"""The PDF: what it says can be read out of it, it is reproducible, and faults are named."""

from __future__ import annotations

import io

import pypdf
import pytest
from nbformat import v4

from hw3lib import UserError
from hw3lib.report import pandoc, pdf
from hw3lib.report.exporters import Hw3PDFExporter
from hw3lib.report.notebook import chapter_of, one_notebook
from hw3lib.report.show import SYNTHETIC_NOTE
from hw3lib.text import LANGUAGES, Text

from .fakes import (
    HTML,
    STUDY,
    answer,
    both,
    cell,
    chapter,
    document,
    elements,
    figure,
    notebook,
    pages,
    pair,
    png,
    table,
)

ZH = "網路依驗證影像選定，測試影像從未參與任何選擇。"
EN = "The network was chosen on the validation images."
HOSTILE = '#panic("x") ] [ *a* _b_ $c$ // /* <d> @e \\ `f` "g"'


def text(data: bytes) -> str:
    return "".join(pages(data))


def read(data: bytes) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(data))


def long(times: int) -> list:
    return [c for _ in range(times) for c in pair(ZH * 6, f"{EN} " * 6)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_can_be_read_out_of_its_pdf(language):
    told = text(pdf.render(document(*pair(ZH, EN), cell(figure(), table(), answer())), language))
    for code, sentences in {
        "zh": (ZH, "一條線。", "類別", "答案是四。", "短答四", "王小明"),
        "en": (EN, "A line.", "Class", "It is four.", "short four"),
    }.items():
        for sentence in sentences:
            shown = "".join(sentence.split()) in told
            assert shown == (language in (code, "both")), sentence
    assert "secret_code" not in told


def test_the_same_document_gives_the_same_bytes():
    first = pdf.render(document(), "both")
    assert first == pdf.render(document(), "both")
    assert read(first).metadata.creation_date.isoformat() == "2026-11-20T08:00:00+00:00"
    assert first != pdf.render(document(date="2026-11-21"), "both")


def test_it_is_accessible_and_for_the_archive():
    made = pdf.render(document(*pair("## 式\n\n$a^2$", "## So\n\n$a^2$"), cell(figure())), "both")
    root = read(made).trailer["/Root"]
    metadata = root["/Metadata"].get_data().decode()
    assert "<pdfuaid:part>1<" in metadata and "<pdfaid:part>2<" in metadata
    assert root["/Lang"] == "zh-TW" and root["/MarkInfo"]["/Marked"]
    found = elements(made)
    assert ("/Formula", "a^2") in found and "由左下到右上的線 a rising line" in dict(found).values()
    assert [alt for kind, alt in found if alt == "a^2"] == ["a^2"]  # both languages share it


def test_the_first_page_answers_and_names_the_page_of_each_answer():
    made = pages(pdf.render(document(*long(40), cell(answer())), "zh"))
    page = next(n for n, said in enumerate(made, 1) if "答案是四" in said)
    assert page > 2 and f"A3混淆短答四{page}" in made[0]


def test_the_pages_of_an_answer_are_those_of_the_figures_it_refers_to_too():
    """Figure, far from it the answer: both pages; on pages that follow each other, the range."""
    for between in (40, 12):
        told = answer(zh="答案是四，見[@line]。", en="It is four, see [@line].")
        made = pages(pdf.render(document(cell(figure("line")), *long(between), cell(told)), "zh"))
        first, last = (
            next(n for n, said in enumerate(made, 1) if words in said)
            for words in ("一條線。", "答案是四")
        )
        assert last - first == (2 if between == 40 else 1)
        assert f"短答四{first}{',' if between == 40 else '–'}{last}" in made[0]


def test_the_first_page_leads_to_the_answer_in_the_questions_own_chapter():
    part = chapter_of(notebook(cell(answer(zh="前半。", en="Half."))), "01_part")
    made = pages(pdf.render(document(chapters=[part, chapter(*long(40), cell(answer()))]), "zh"))
    half, own = (
        next(n for n, said in enumerate(made, 1) if words in said) for words in ("前半", "答案是四")
    )
    assert half < own and f"短答四{own}" in made[0]


@pytest.mark.parametrize("inside", [True, False])
def test_the_pages_of_an_answer_within_a_section_run_to_its_last_step(inside):
    section = pair("## 甲", "## A")
    cells = [*section, cell(answer())] if inside else [cell(answer()), *section]
    made = pages(pdf.render(document(*cells, *long(26), *pair("## 乙乙", "## B")), "zh"))
    first, last = (
        next(n for n, said in enumerate(made, 1) if words in said) for words in ("答案是四", "乙乙")
    )
    assert last == first + 1
    assert (f"短答四{first}–{last}" in made[0]) is inside and f"短答四{first}" in made[0]


def test_a_chapters_answer_and_its_first_figure_share_a_page():
    """Wherever a chapter begins: after texts that leave less and less of the page before."""
    second = [cell(answer()), *pair("## 甲", "## A"), *long(4), cell(figure("line"))]
    starts = set()
    for before in range(2, 15, 3):
        two = [chapter(*long(before)), chapter_of(notebook(*second), "06_more")]
        made = pages(pdf.render(document(chapters=two), "zh"))
        (page,) = [n for n, said in enumerate(made) if "答案是四" in said]
        assert "一條線。" in made[page]
        starts.add(page)
    assert len(starts) > 1  # some chapters were moved, some were not


def test_the_steps_of_a_last_section_end_where_the_next_chapter_begins():
    first = chapter(*pair("## 甲", "## A"), cell(answer()), *long(26))
    made = pages(pdf.render(document(chapters=[first, chapter_of(notebook(), "06_more")]), "zh"))
    (page,) = [n for n, said in enumerate(made, 1) if "答案是四" in said]
    assert f"短答四{page}–{page + 1}" in made[0]


def test_what_is_detail_code_or_stderr_stays_on_the_web_page():
    warned = v4.new_output("stream", name="stderr", text="a warning")
    printed = v4.new_output("stream", name="stdout", text="printed words")
    cells = [*pair("## 補", "## More", "detail"), cell(figure("more"), tags=["detail"]),
             cell(warned, printed), *pair("見 [@more]。", "See [@more].")]  # fmt: skip
    told = text(pdf.render(document(*cells), "en"))
    assert "printedwords" in told and "SeeFigureS5.1." in told
    assert not [word for word in ("awarning", "Aline", "secret", "More") if word in told]


def test_a_students_ordinary_outputs_are_printed(tmp_path):
    (tmp_path / "mine.png").write_bytes(png(200, 100))
    prose = "# Mine\n\n![my plot](mine.png) ![lost](lost.png)\n\n### deep\n\n1. a"
    outputs = ({"image/png": png()}, {"text/html": HTML}, {"text/latex": "$x$"},
               v4.new_output("error", ename="Oops", evalue="[no]", traceback=[]),
               {"application/x-unknown": "1"})  # fmt: skip
    nb, problems = v4.new_notebook(cells=[v4.new_markdown_cell(prose), cell(*outputs)]), {}
    made = pdf.render(one_notebook(nb, "10_mine", tmp_path), "both", problems)
    told = text(made)
    for word in ("sadness", "−7", "Oops:[no]", "lost:nosuchfile", "application/x-unknown"):
        assert word in told, word
    assert sum(len(p.images) for p in read(made).pages) == 2
    assert ("/Figure", "my plot") in elements(made)
    assert [*problems] == ["10_mine, cell 1: the image lost.png: no such file"]


def test_a_reference_leads_to_its_figure():
    links = []
    for said in ("見 [@line]。", "見圖。"):
        made = pdf.render(document(*pair(said, "See."), cell(figure("line"))), "zh")
        links.append(sum(len(page.get("/Annots", [])) for page in read(made).pages))
    assert links[0] == links[1] + 1


def test_every_page_of_a_synthetic_report_says_so():
    told = pages(pdf.render(document(*long(30), synthetic=True), "both"))
    note = "".join(SYNTHETIC_NOTE.in_language("both").split())
    assert len(told) > 2 and all(note in said for said in told)


def test_no_heading_stands_alone_at_the_foot_of_a_page():
    cells = []
    for n in range(60):
        cells += pair(f"## 標題{n}\n\n{ZH * (n % 7 + 1)}", f"## Heading\n\n{EN}")
    found = read(pdf.render(document(*cells), "zh")).pages
    assert len(found) > 4
    for page in found[1:]:
        lines = [line for line in page.extract_text().splitlines() if line.strip()]
        assert "標題" not in lines[-2]  # the last line is the page number


def test_strings_from_outside_stay_strings():
    shown = cell(table(HOSTILE, ""), figure(caption=both("a\\]b #c")))
    hostile = Text(HOSTILE, HOSTILE)
    made = document(shown, author={"name": hostile}, title=hostile)
    told = text(pdf.render(made, "both"))
    assert told.count("".join(HOSTILE.split())) >= 3 and "a]b#c" in told


def test_a_character_no_font_has_is_replaced_and_named():
    problems: dict = {}
    told = text(pdf.render(document(*pair("\U00020bb7野家", "x")), "zh", problems))
    assert "□野家" in told
    assert next(iter(problems)).startswith("05_confusion_matrix, cell 4: Noto Sans TC has no")


def test_faults_name_their_cell(monkeypatch):
    problems: dict = {}
    told = text(pdf.render(document(*pair("好 $a$", "Good $\\foo$")), "both", problems))
    assert "好" in told and "Couldnotconvert" in told
    assert next(iter(problems)).startswith("05_confusion_matrix, cell 4: “Good")
    monkeypatch.setitem(pandoc._known, ("typst", "markdown", "壞"), "#panic()")
    with pytest.raises(UserError, match=r"^05_confusion_matrix, cell 6: Typst: "):
        pdf.render(document(*pair("好", "good"), *pair("壞", "bad")), "zh")


def test_nbconvert_exports_one_notebook_in_its_language():
    nb = notebook(cell(STUDY), *pair(ZH, EN))
    data, resources = Hw3PDFExporter().from_notebook_node(nb, {"metadata": {"name": "x"}})
    assert resources["output_extension"] == ".report.pdf"
    assert "".join(EN.split()) in text(data) and ZH not in text(data)
