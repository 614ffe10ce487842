"""The build: what comes out, what is kept, what is said when something is wrong."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import nbformat
import pytest
from nbformat import v4

from hw3lib import UserError
from hw3lib.files import ROOT
from hw3lib.report.appendix import appendix, read_works
from hw3lib.report.build import PDFS, build_report, dependencies, rerun_command
from hw3lib.report.cover import read_author, read_questions
from hw3lib.report.rerun import rerun
from hw3lib.text import Text, same
from hw3lib.training.recipe import Recipe
from hw3lib.training.study import Study

from .fakes import pages, pair, png

PARAMETERS = 'PROFILE = ""\nDATA = ""\nLANG = ""'
CODE = """\
from hw3lib.report.show import answer, check, result, say
say(zh="準確率是 {a:.1%}。", en="The accuracy is {a:.1%}.", a=0.625)
result("best.test.accuracy", 0.625, split="test", rule="validation loss", n=40)
check("a.reload", 1 + 1 == 2, zh="讀回 {n} 個數。", en="{n} numbers read back.", n=3)"""
PLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
FRAME = "import pandas as pd\npd.DataFrame({'emotion': ['sadness']})"


def write_notebook(path, question: str, english: str, code: str = CODE):
    cells = pair("# 混淆矩陣\n\n問題。", f"# {english}\n\nSee [@he2016deep].")
    cells += [v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})]
    cells += [v4.new_code_cell(code), *pair("## 答案", "## Answer")]
    cells += [v4.new_code_cell(f'answer("{question}", zh="是。", en="Yes.")')]
    nbformat.write(v4.new_notebook(cells=cells), path)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A hand-in in small: two of our notebooks, one of a student's, no Recipes."""
    root = tmp_path_factory.mktemp("tree")
    for folder in ("notebooks", "report"):
        (root / folder).mkdir()
    write_notebook(root / "notebooks" / "05_confusion_matrix.ipynb", "A3 B3", "Confusion")
    write_notebook(root / "notebooks" / "06_decision_rules.ipynb", "B4", "Rules")
    mine = [v4.new_markdown_cell("# My try\n\n![photo](mine.png)")]
    mine += [v4.new_code_cell(code) for code in (PLOT, FRAME, "print('my words')")]
    nbformat.write(v4.new_notebook(cells=mine), root / "notebooks" / "10_mine.ipynb")
    (root / "notebooks" / "mine.png").write_bytes(png(200, 100))
    for name in ("author.toml", "questions.toml", "bibliography.bib"):
        shutil.copy(ROOT / "report" / name, root / "report" / name)
    (root / "tiny.toml").write_text("[settings]\n", encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def build(tree):
    """The library as it is now, in place of one that is perhaps being edited."""
    copied = shutil.copytree(ROOT / "hw3lib", tree / "hw3lib")

    def build(lang: str = "both", **options) -> list[str]:
        """The lines of progress."""
        lines: list[str] = []
        options = {"root": tree, "progress": lines.append, **options}
        build_report(str(tree / "tiny.toml"), "synthetic:140", lang=lang, **options)
        return lines

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hw3lib.report.build.LIBRARY", copied)
        yield build


@pytest.fixture(scope="module")
def built(tree, build):
    return build(), tree / "report" / "build"


def test_page_pdfs_results_and_executed_notebooks_are_written(built):
    lines, out = built
    names = ["hw3_report.html", "results.json", *PDFS.values()]
    assert {p.name for p in out.iterdir()} == {".stamp", "notebooks", *names}
    told = {re.sub(r": [\d.]+ (s|MB)$", "", line) for line in lines}
    assert told >= {"05_confusion_matrix", "06_decision_rules", "10_mine", *names}
    page = (out / "hw3_report.html").read_text(encoding="utf-8")
    for said in ("準確率是 62.5%。", "The accuracy is 62.5%.", "請填姓名", "3 numbers read back.",
                 "make rerun QUESTION=A3 PROFILE=PROFILE", "Deep Residual Learning"):  # fmt: skip
        assert said in page, said
    assert str(out.parent.parent) not in page  # nothing of where it was made


def test_each_pdf_speaks_its_language_and_a_students_outputs_are_in_all(built):
    told = {c: "".join(pages((built[1] / name).read_bytes())) for c, name in PDFS.items()}
    for code, said in told.items():
        assert ("準確率是62.5%" in said) == (code != "en")
        assert ("Theaccuracyis62.5%" in said) == (code != "zh")
        assert "10Mytry" in said and "sadness" in said and "mywords" in said
        assert "[1]" in said and "Goodfellow" not in said  # what is cited is listed
    page = (built[1] / "hw3_report.html").read_text(encoding="utf-8")
    mine = page[page.index('id="10_mine"') :].partition("</article>")[0]
    assert mine.count("<img") == 2 and "sadness" in mine and "my words" in mine


def test_results_are_collected_with_what_they_rest_on(built):
    summary = json.loads((built[1] / "results.json").read_text(encoding="utf-8"))
    (result,) = summary["results"]
    assert (result["value"], result["notebook"], result["n"]) == (0.625, "05_confusion_matrix", 40)
    assert summary["profile"] == "tiny" and summary["data"]["origin"] == "synthetic"
    assert {"date", "machine", "device", "versions"} <= set(summary)
    assert [(c["name"], c["holds"]) for c in summary["checks"]] == [
        ("notebooks.complete", True), ("a.reload", True),
    ]  # fmt: skip


@pytest.mark.slow
def test_a_question_is_computed_again_and_compared(tree, built):
    results, lines = built[1] / "results.json", []
    kept = results.read_text(encoding="utf-8")
    again = partial(rerun, "B4", str(tree / "tiny.toml"), "synthetic:140", root=tree)
    again(progress=lines.append)
    assert lines[1] == "best.test.accuracy = 0.625 (test)  as in the report"
    assert [line.split(":")[0] for line in lines[2:]] == ["holds", "holds"]
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


def test_only_what_changed_is_made_again(tree, build, built):
    _, *lines = build()  # but for a warning of copies
    assert all(line.endswith(": unchanged") for line in lines)
    write_notebook(tree / "notebooks" / "06_decision_rules.ipynb", "B4", "Other words")
    (built[1] / "hw3_report.en.pdf").write_bytes(b"cut off")
    assert sum(line.endswith(": unchanged") for line in build()) == 3  # Markdown: no code ran
    assert "Other words" in (built[1] / "hw3_report.html").read_text(encoding="utf-8")
    assert (built[1] / "hw3_report.en.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.slow
def test_a_draft_goes_on_past_a_failing_notebook_and_says_so(tree, build, built, tmp_path):
    file = tree / "notebooks" / "11_bad.ipynb"
    cells = [v4.new_markdown_cell("# Bad\n\n[@nothing]"), v4.new_code_cell("1 / 0")]
    nbformat.write(v4.new_notebook(cells=[*cells, v4.new_code_cell("print('never')")]), file)
    told = r"11_bad, cell 2 of 3 \(`1 / 0`\): ZeroDivisionError: division by zero"
    shutil.copytree(built[1], tmp_path, dirs_exist_ok=True)
    try:
        with pytest.raises(UserError, match=told):
            build(out=tmp_path)
        lines = build(out=tmp_path, draft=True)
        assert any(re.search(told, line) for line in lines)
        page = (tmp_path / "hw3_report.html").read_text(encoding="utf-8")
        assert "ZeroDivisionError: division by zero" in page and "1 notebooks did not run" in page
    finally:
        file.unlink()


def test_faults_in_the_sources_are_told_before_anything_runs(tree, build, tmp_path):
    file = tree / "notebooks" / "11_bad.ipynb"
    cells = [v4.new_markdown_cell(r"# Bad $\foo{x}$"), v4.new_code_cell("a =")]
    nbformat.write(v4.new_notebook(cells=cells), file)
    try:
        with pytest.raises(UserError, match=r"foo.*; 11_bad, cell 2: line 1: invalid syntax"):
            build(out=tmp_path / "out")
        file.write_text("{")
        with pytest.raises(UserError, match=r"11_bad\.ipynb: not a notebook"):
            build(out=tmp_path / "out")
        assert not (tmp_path / "out").exists()
    finally:
        file.unlink()
    with pytest.raises(UserError, match="language 'fr'"):
        build_report(lang="fr", root=tree)
    with pytest.raises(UserError, match=r"author\.toml: missing"):
        build_report(root=tree / "notebooks")


def test_the_digest_follows_what_notebooks_reach(tree, build, folds, recipe):
    study = Study("tiny", folds.faces, folds, {"best": recipe}, {"steps": 1})
    one, library = dependencies(study, {}), tree / "hw3lib" / "report"
    with (library / "html.py").open("a") as file:
        file.write("# no notebook imports this\n")
    assert dependencies(study, {}) == one
    others = [
        dependencies(replace(study, settings={"steps": 2}), {}),
        dependencies(replace(study, recipes={"best": replace(recipe, seed=1)}), {}),
        dependencies(replace(study, faces=replace(folds.faces, ids=folds.faces.ids[::-1])), {}),
    ]
    with (library / "show.py").open("a") as file:
        file.write("# but this\n")
    assert len({one, *others, dependencies(study, {})}) == 5


ASKED = '[A1]\nzh = "a"\nen = "b"\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (ASKED, r"\[A1\] needs zh, en and notebook"),
        (ASKED + 'notebook = "model"', "must begin with its number"),
        (ASKED + 'notebook = "02_m"\npage = 1', "nothing else"),
    ],
)
def test_a_fault_in_the_questions_is_one_line(tmp_path, text, told):
    path = tmp_path / "questions.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=rf"^\S*questions\.toml: .*{told}[^\n]*$"):
        read_questions(path)


def test_authors_questions_and_works_are_read(tmp_path):
    path = tmp_path / "author.toml"
    path.write_text('name = "王"\nid = { zh = "一", en = "1" }\ncollaborators = ["甲"]', "utf-8")
    author = {"name": same("王"), "id": Text("一", "1"), "collaborators": [same("甲")]}
    assert read_author(path) == author
    asked = "".join(q.id for q in read_questions(ROOT / "report" / "questions.toml"))
    assert asked == "A1A2A3A4A5B1B2B3B4M1M2M3M4"
    works = read_works(ROOT / "report" / "bibliography.bib")
    source = (ROOT / "report" / "bibliography.bib").read_text(encoding="utf-8")
    assert {*works} == {*re.findall(r"^@\w+\{([^,]+),", source, re.MULTILINE)}
    assert works["he2016deep"].startswith("He, Kaiming") and ":::" not in "".join(works.values())


def test_the_table_of_hyperparameters_leaves_none_out_that_was_set():
    recipe = Recipe(model="slim_resnet", erase=0.2, normalize="none", cycles=2, epochs=4,
                    schedule="cosine", select="last")  # fmt: skip
    run = SimpleNamespace(recipe=recipe, record={"epochs_run": 3, "kept_epoch": 2, "seconds": 1.0})
    again = SimpleNamespace(**{**vars(run), "recipe": replace(recipe, seed=1)})
    runs = {"best": run, "the same": run, "again": again}
    blocks = appendix(runs, {"jordan2024muon": "Jordan"}, Text("機器", "machine"), 10).blocks
    assert any("end of each of the 2 training runs" in b.text.en for b in blocks)
    rows = next(b for b in blocks if b.kind == "table").data["rows"]
    told = {row[i].en: row[i + 1].en for row in rows for i in (0, 2)}
    assert (told["random erasing (probability)"], told["normalize"], told["cycles"]) == (
        "0.2",
        "none",
        "2",
    )
    assert told["seed"] == "0"
    assert not {"contrast (± fraction)", "teachers (distillation)", "threads"} & set(told)


def test_works_that_only_details_cite_come_last_and_are_details():
    cited = {"a": "printed", "b": "folded"}
    blocks = appendix({}, cited, Text("機器", "machine"), 10, folded=1).blocks
    works = {b.number: b.detail for b in blocks if b.kind == "work"}
    assert works == {"1": False, "2": True}


def test_a_command_to_copy_holds_no_name_that_a_shell_would_run():
    """A profile of the project's by its name; no path of profile, data or a hand-in."""
    for profile, told in (("cpu", "cpu"), ("a;id", "PROFILE"), ("/x/my.toml", "PROFILE")):
        command = rerun_command(profile, data=True)
        assert command == f".venv/bin/hw3 rerun {{id}} --profile {told} --data IMAGES"
    asked = rerun_command("demo", data=False, handin=True)
    assert asked == "make rerun QUESTION={id} PROFILE=demo"
