"""The committed notebooks: clean, alike in build, and the same in both languages."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from itertools import pairwise

import nbformat
import pytest

from hw3lib.paths import ROOT
from hw3lib.report.blocks import LANGUAGE_TAGS, notebook_blocks
from hw3lib.report.document import chapter_of

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TAGS = {"lang-zh", "lang-en", "parameters", "setup"}
LINES = 20  # of a code cell, at most
FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<!\\)\$(.+?)(?<!\\)\$", re.DOTALL)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
WORDS = {  # number -> its words in Chinese, in English
    "1": ("一", "one|first"), "2": ("[二兩]", "two|second|both"), "3": ("三", "three|third"),
    "4": ("四", "four"), "5": ("五", "five|fifth"), "6": ("六", "six"), "7": ("七", "seven"),
    "8": ("八", "eight"), "9": ("九", "nine|ninth"), "10": ("十", "ten"),
}  # fmt: skip
PARAMETERS = """\
PROFILE = "demo"  # demo, cpu or gpu
DATA = ""  # a path in any layout; "" for data/ or the synthetic faces
LANG = "both"  # zh, en or both"""
QUESTIONS = tomllib.loads((ROOT / "report" / "questions.toml").read_text(encoding="utf-8"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def nb(path):
    return nbformat.read(path, as_version=4)


def tags(cell) -> set[str]:
    return set(cell.metadata.get("tags", []))


def code(nb) -> list[str]:
    return [c.source for c in nb.cells if c.cell_type == "code"]


def pairs(nb) -> list[tuple[str, str]]:
    return [
        (zh.source, en.source)
        for zh, en in pairwise(nb.cells)
        if "lang-zh" in tags(zh) and "lang-en" in tags(en)
    ]


def answered(nb) -> set[str]:
    """The questions named in calls of `answer`."""
    calls = [n for source in code(nb) for n in ast.walk(ast.parse(source)) if _calls(n, "answer")]
    return {q for call in calls for q in ast.literal_eval(call.args[0]).split()}


def _calls(node, name: str) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == name


def test_each_question_has_its_notebook_and_each_notebook_a_question():
    assert {q["notebook"] for q in QUESTIONS.values()} | {"01_data_statistics"} == {
        path.stem for path in NOTEBOOKS
    }


def test_the_notebook_answers_its_questions(path, nb):
    wanted = {name for name, q in QUESTIONS.items() if q["notebook"] == path.stem}
    assert wanted <= answered(nb) <= set(QUESTIONS)


def test_it_is_stored_clean(path, nb):
    nbformat.validate(nb)
    for cell in nb.cells:
        assert set(cell.metadata) <= {"tags"}
        assert tags(cell) <= TAGS
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None
    assert nb.metadata.kernelspec.name == "python3"
    assert set(nb.metadata) == {"kernelspec", "language_info"}
    stored = json.loads(path.read_text(encoding="utf-8"))
    assert len({c["id"] for c in stored["cells"]}) == len(nb.cells)


def test_it_opens_and_closes_as_all_do(nb):
    first = [tags(c) for c in nb.cells[:4]]
    assert first == [{"lang-zh"}, {"lang-en"}, {"parameters"}, {"setup"}]
    assert nb.cells[2].source == PARAMETERS
    assert "study = open_study(PROFILE, DATA, LANG)" in nb.cells[3].source
    headings = [zh.splitlines()[0] for zh, _ in pairs(nb) if zh.startswith("## ")]
    assert headings[-1] == "## 答案"
    assert [en for _, en in pairs(nb) if en.startswith("## ")][-1].startswith("## Answer")
    assert _calls(ast.parse(nb.cells[-1].source).body[-1].value, "answer")


def test_headings_do_not_skip_a_level(path, nb):
    assert chapter_of(notebook_blocks(nb, path.stem), path.stem).title.zh


def test_both_languages_state_the_same_formulas_and_numbers(nb):
    assert pairs(nb)
    for zh, en in pairs(nb):
        displayed, inline = zip(*(_formulas(text) for text in (zh, en)), strict=True)
        assert displayed[0] == displayed[1], zh
        assert inline[0] == inline[1], zh
        assert not _only_in_one(FORMULA.sub(" ", zh), FORMULA.sub(" ", en)), zh
        assert len(re.findall(r"[一-鿿]", FORMULA.sub("", en))) < 0.2 * len(en), en
        assert zh == en or re.search(r"[一-鿿]", zh), zh


def _only_in_one(zh: str, en: str) -> set[str]:
    """Numbers that one language states and the other does not, in digits or in words."""
    in_zh, in_en = set(NUMBER.findall(zh)), set(NUMBER.findall(en))
    missing_zh = {n for n in in_en - in_zh if not re.search(WORDS.get(n, ("$^", ""))[0], zh)}
    missing_en = {n for n in in_zh - in_en if not re.search(WORDS.get(n, ("", "$^"))[1], en, re.I)}
    return missing_zh | missing_en


def test_a_number_in_one_language_alone_is_found():
    assert not _only_in_one("第二份作業的 3 張，共七類", "hand-in 2: three pictures, 7 classes")
    assert _only_in_one("準確率 62 %", "accuracy 64 %") == {"62", "64"}
    assert _only_in_one("第二份作業", "hand-in 3") == {"3"}
    assert _only_in_one("損失除以 2", "the loss is divided") == {"2"}


def _formulas(text: str) -> tuple[list[str], set[str]]:
    """The displayed formulas in order, and the set of those within a line, blanks aside."""
    found = [("".join(d.split()), "".join(i.split())) for d, i in FORMULA.findall(text)]
    return [d for d, _ in found if d], {i for _, i in found if i}


def test_markdown_without_a_language_is_a_formula_alone(nb):
    for cell in nb.cells:
        if cell.cell_type == "markdown" and not tags(cell) & set(LANGUAGE_TAGS):
            assert not re.sub(r"[\s.,;]", "", FORMULA.sub("", cell.source)), cell.source


def test_markdown_holds_no_html_and_no_pictures(nb):
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            prose = re.sub(r"`[^`]*`", "", FORMULA.sub(" ", cell.source))
            assert not re.search(r"</?[a-zA-Z!][^>]*>|!\[", prose), cell.source


def test_code_is_short_and_leaves_the_work_to_the_library(nb):
    for source in code(nb):
        assert len(source.splitlines()) <= LINES, source
        tree = ast.parse(source)
        assert not [n for n in ast.walk(tree) if isinstance(n, ast.ClassDef)], source
        assert not [n for n in ast.walk(tree) if _calls(n, "print")], source


def test_sentences_of_say_and_figure_come_in_both_languages(nb):
    shown = {"say", "answer", "figure", "table"}
    for source in code(nb):
        for call in ast.walk(ast.parse(source)):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") in shown:
                named = {k.arg for k in call.keywords}
                assert {"zh", "en"} <= named or None in named, ast.unparse(call)
                assert ("alt_zh" in named) == ("alt_en" in named), ast.unparse(call)
