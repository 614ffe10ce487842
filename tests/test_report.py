"""The build: what comes out, what is kept, what is said when something is wrong."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from functools import partial

import nbformat
import pypdf
import pytest
from nbformat import v4

from hw3lib import UserError
from hw3lib.files import ROOT
from hw3lib.report.blocks import Block
from hw3lib.report.build import PDFS, build_report, dependencies, unanswered
from hw3lib.report.collect import collect_results
from hw3lib.report.cover import read_author, read_questions
from hw3lib.report.document import Chapter, Question
from hw3lib.report.rerun import rerun
from hw3lib.report.show import MIME
from hw3lib.text import Text
from hw3lib.training.study import Study

PARAMETERS = 'PROFILE = ""\nDATA = ""\nLANG = ""'
CODE = """\
from hw3lib.report.show import answer, check, result, say
say(zh="準確率是 {a:.1%}。", en="The accuracy is {a:.1%}.", a=0.625)
result("best.test.accuracy", 0.625, split="test", rule="validation loss", n=40)
check("a.reload", 1 + 1 == 2, zh="讀回 {n} 個數。", en="{n} numbers read back.", n=3)"""


def pair(zh: str, en: str):
    return [
        v4.new_markdown_cell(zh, metadata={"tags": ["lang-zh"]}),
        v4.new_markdown_cell(en, metadata={"tags": ["lang-en"]}),
    ]


def write_notebook(path, question: str, english: str, code: str = CODE):
    cells = pair("# 混淆矩陣\n\n問題。", f"# {english}\n\nThe question.")
    cells += [v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})]
    cells += [v4.new_code_cell(code), *pair("## 答案", "## Answer")]
    cells += [v4.new_code_cell(f'answer("{question}", zh="是。", en="Yes.")')]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    nbformat.write(v4.new_notebook(cells=cells), path)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A repository in small: two notebooks, no Recipes, its files of the report."""
    root = tmp_path_factory.mktemp("tree")
    (root / "notebooks").mkdir()
    (root / "report").mkdir()
    write_notebook(root / "notebooks" / "05_confusion_matrix.ipynb", "A3 B3", "Confusion")
    write_notebook(root / "notebooks" / "06_decision_rules.ipynb", "B4", "Rules", CODE)
    for name in ("author.toml", "questions.toml", "bibliography.bib"):
        shutil.copy(ROOT / "report" / name, root / "report" / name)
    (root / "tiny.toml").write_text("[settings]\n", encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def library(tree):
    """The library as it is now, in place of one that is perhaps being edited."""
    copied = shutil.copytree(ROOT / "hw3lib", tree / "hw3lib")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hw3lib.report.build.LIBRARY", copied)
        yield copied


@pytest.fixture(scope="module")
def build(tree, library):
    def build(lang: str = "both") -> list[str]:
        """The lines of progress."""
        lines: list[str] = []
        build_report(
            str(tree / "tiny.toml"), "synthetic:140", lang=lang, root=tree, progress=lines.append
        )
        return lines

    return build


@pytest.fixture(scope="module")
def built(tree, build):
    lines = build()
    return lines, tree / "report" / "build"


def test_page_pdfs_results_and_executed_notebooks_are_written(built):
    lines, out = built
    assert sorted(p.name for p in out.iterdir()) == sorted(
        [".stamp.json", "hw3_report.html", *PDFS.values(), "notebooks", "results.json"]
    )
    assert [re.sub(r" [\d.]+ (s|MB)", " # ", line).strip() for line in sorted(lines)] == [
        "05_confusion_matrix: #", "06_decision_rules: #", "hw3_report.en.pdf: #",
        "hw3_report.html: #", "hw3_report.pdf: #", "hw3_report.zh.pdf: #", "results.json: #",
    ]  # fmt: skip
    page = (out / "hw3_report.html").read_text(encoding="utf-8")
    told = ("準確率是 62.5%。", "The accuracy is 62.5%.", "請填姓名", "(your name)")
    told += ("3 numbers read back.", "make rerun QUESTION=A3 PROFILE=tiny.toml")
    for text in told:
        assert text in page
    assert str(out.parent.parent) not in page  # nothing of where it was made


def test_each_pdf_speaks_its_language(built):
    texts = {}
    for code, name in PDFS.items():
        reader = pypdf.PdfReader(built[1] / name)
        texts[code] = "".join("".join(p.extract_text().split()) for p in reader.pages)
    assert "準確率是62.5%" in texts["zh"] and "Theaccuracyis" not in texts["zh"]
    assert "Theaccuracyis62.5%" in texts["en"] and "準確率是" not in texts["en"]
    assert "準確率是62.5%" in texts["both"] and "Theaccuracyis62.5%" in texts["both"]


def test_results_are_collected_with_what_they_rest_on(built):
    summary = json.loads((built[1] / "results.json").read_text(encoding="utf-8"))
    assert summary["results"] == [
        {
            "name": "best.test.accuracy",
            "value": 0.625,
            "split": "test",
            "rule": "validation loss",
            "n": 40,
            "notebook": "05_confusion_matrix",
        }
    ]
    assert summary["profile"] == "tiny" and summary["data"]["origin"] == "synthetic"
    assert re.fullmatch("[0-9a-f]{16}", summary["data"]["fingerprint"])
    assert {"date", "machine", "device", "versions"} <= set(summary)
    assert [(c["name"], c["holds"]) for c in summary["checks"]] == [
        ("notebooks.complete", True), ("a.reload", True), ("a.reload", True),
    ]  # fmt: skip


def test_a_question_is_answered_anew_and_compared(tree, built):
    results = built[1] / "results.json"
    kept = results.read_text(encoding="utf-8")
    lines: list[str] = []
    again = partial(rerun, "B4", str(tree / "tiny.toml"), "synthetic:140", root=tree)
    again(progress=lines.append)
    assert lines[1:] == [
        "best.test.accuracy = 0.625 (test)  as in the report",
        "holds: 1 notebooks, 3 code cells: each notebook ran from its first cell to its last in "
        "one kernel, without an error.",
        "holds: 3 numbers read back.",
    ]
    results.write_text(kept.replace("0.625", "0.75"), encoding="utf-8")
    try:
        with pytest.raises(UserError, match=r"question B4: best\.test\.accuracy not as reported"):
            again(progress=lines.append)
    finally:
        results.write_text(kept, encoding="utf-8")
    with pytest.raises(UserError, match=r"question 'C1': choose one of A1, A2"):
        rerun("C1", root=tree)
    with pytest.raises(UserError, match="no notebook 02; restore"):
        rerun("A1", root=tree)


def test_a_relative_profile_is_found_and_a_folder_of_its_name_is_not(tree, tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(
        "hw3lib.report.rerun.execute_notebooks", lambda *a, **k: given.append(a[2]) or 1 / 0
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    (tmp_path / "my.toml").touch()
    for profile in ("my.toml", "demo"):
        with pytest.raises(ZeroDivisionError):
            rerun("B4", profile, root=tree)
    assert [p["PROFILE"] for p in given] == [str(tmp_path / "my.toml"), "demo"]


def test_only_what_changed_is_made_again(tree, build, built):
    out = built[1]
    notebook = tree / "notebooks" / "06_decision_rules.ipynb"
    done = ["05_confusion_matrix: unchanged", "06_decision_rules: unchanged"]
    assert {line.split(": ")[1] for line in build()} == {"unchanged"}

    write_notebook(notebook, "B4", "Decision rules")  # Markdown alone
    (out / "hw3_report.en.pdf").write_bytes(b"cut off")
    lines = build("en")
    assert sorted(lines)[:2] == done
    assert not [line for line in lines[2:] if line.endswith("unchanged") and "results" not in line]
    page = (out / "hw3_report.html").read_text(encoding="utf-8")
    assert "Decision rules" in page and '<html lang="en"' in page
    assert (out / "hw3_report.en.pdf").read_bytes().startswith(b"%PDF")
    # the other two were made of the old text: gone, not stale
    assert [name for name in PDFS.values() if (out / name).exists()] == ["hw3_report.en.pdf"]

    assert sorted(build())[:2] == done
    assert all((out / name).exists() for name in PDFS.values())
    build("zh")  # same text: the other two still hold
    assert all((out / name).exists() for name in PDFS.values())


def test_the_digest_follows_what_notebooks_reach(library, folds, recipe):
    study = Study("tiny", folds.faces, folds, {"best": recipe}, {"steps": 1})
    one = dependencies(study, {})
    assert dependencies(study, {}) == one
    with (library / "report" / "html.py").open("a") as file:
        file.write("# no notebook imports this\n")
    assert dependencies(study, {}) == one
    others = [
        dependencies(replace(study, settings={"steps": 2}), {}),
        dependencies(replace(study, recipes={"best": replace(recipe, seed=1)}), {}),
        dependencies(replace(study, faces=replace(folds.faces, ids=folds.faces.ids[::-1])), {}),
    ]
    with (library / "metrics.py").open("a") as file:
        file.write("# but this\n")
    assert len({one, *others, dependencies(study, {})}) == 5


def test_two_values_under_one_name_are_an_error():
    def executed(value):
        data = {MIME: {"kind": "result", "name": "a.b", "value": value, "split": "test",
                       "rule": "none", "n": 3}}  # fmt: skip
        cell = v4.new_code_cell("", outputs=[v4.new_output("display_data", data=data)])
        return v4.new_notebook(cells=[cell])

    same = collect_results({"01_a": executed(0.5), "02_b": executed(0.5)})
    assert [(r["value"], r["notebook"]) for r in same] == [(0.5, "01_a")]
    assert collect_results({"01_a": executed(float("nan"))})[0]["value"] is None
    with pytest.raises(UserError, match=r"a\.b on test: 0\.5 in 01_a, 0\.6 in 02_b"):
        collect_results({"01_a": executed(0.5), "02_b": executed(0.6)})


def test_a_question_without_an_answer_is_told():
    answer = Block("answer", "05_x", 3, Text("是", "yes"), data={"questions": ["A3"]})
    chapter = Chapter("05_x", 5, Text("題", "title"), [answer])
    asked = [Question(q, Text("題", "title"), None, 5) for q in ("A3", "B3")]
    assert unanswered([chapter], asked) == ["question B3: chapter 5 holds no answer('B3', ...)"]


def test_faults_before_anything_runs(tree):
    with pytest.raises(UserError, match="language 'fr'"):
        build_report(lang="fr", root=tree)
    with pytest.raises(UserError, match=r"author\.toml: missing"):
        build_report(root=tree / "notebooks")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name = ", "cannot be read as TOML"),
        ("name = 3", r"name: must be a text, or \{ zh"),
        ('name = { zh = "王" }', "name: must be a text"),
        ('email = "a"', "unknown field 'email'"),
        ('collaborators = "甲"', "collaborators must be a list"),
        ("collaborators = [1]", "collaborators: must be a text"),
        ('languages = "mixed"', "languages must be 'one after the other' or 'side by side'"),
    ],
)
def test_a_fault_in_author_toml_is_one_line(tmp_path, text, told):
    path = tmp_path / "author.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=f"author.toml: .*{told}") as caught:
        read_author(path)
    assert "\n" not in str(caught.value)


def test_author_toml_in_one_language_or_two(tmp_path):
    path = tmp_path / "author.toml"
    path.write_text('name = "王"\nid = { zh = "一", en = "1" }\ncollaborators = ["甲"]', "utf-8")
    assert read_author(path) == {"name": "王", "id": Text("一", "1"), "collaborators": ["甲"]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[A1]\nzh = "a"\nen = "b"', "needs zh, en and notebook"),
        ('A1 = "a"', "needs zh, en and notebook"),
        ('[A1]\nzh = "a"\nen = "b"\nnotebook = "model"', "must begin with its number"),
        ('[A1]\nzh = "a"\nen = "b"\nnotebook = "02_m"\nmarks = "1"', "marks must be a number"),
        ('[A1]\nzh = "a"\nen = "b"\nnotebook = "02_m"\npage = 1', "known are"),
    ],
)
def test_a_fault_in_questions_toml_is_one_line(tmp_path, text, told):
    path = tmp_path / "questions.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=rf"questions.toml: \[A1\].*{told}"):
        read_questions(path)


def test_the_questions_are_all_there():
    questions = read_questions(ROOT / "report" / "questions.toml")
    assert [q.id for q in questions] == [
        *("A1", "A2", "A3", "A4", "A5"),
        *("B1", "B2", "B3", "B4"),
        *("M1", "M2", "M3", "M4"),
    ]
    assert all(q.title.zh and q.title.en and q.marks is None for q in questions)
