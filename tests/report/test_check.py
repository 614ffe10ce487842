"""The committed notebooks: clean, alike in build, and the same in both languages."""

from __future__ import annotations

import ast
import shutil
import tomllib
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from hw3lib import UserError
from hw3lib.files import ROOT
from hw3lib.report.check import clear, faults_of
from hw3lib.report.execute import tags

from .fakes import pair
from .lint import pairs, rules_broken, unlike

NOTEBOOKS = sorted((ROOT / "notebooks").glob("0[1-9]_*.ipynb"))
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


def answered(nb) -> set[str]:
    """The questions named in calls of `answer`."""
    sources = [c.source for c in nb.cells if c.cell_type == "code"]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    calls = [n for n in nodes if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "answer"]
    return {q for call in calls for q in ast.literal_eval(call.args[0]).split()}


def test_each_question_has_its_notebook_and_each_notebook_its_questions(path, nb):
    wanted = {name for name, q in QUESTIONS.items() if q["notebook"] == path.stem}
    assert wanted <= answered(nb) <= set(QUESTIONS)
    assert {q["notebook"] for q in QUESTIONS.values()} <= {path.stem for path in NOTEBOOKS}


def test_it_may_be_committed_and_read_and_opens_as_all_do(path, nb, tmp_path):
    copied = Path(shutil.copy(path, tmp_path))
    clear(copied)
    assert copied.read_bytes() == path.read_bytes()
    assert faults_of(path, {"PROFILE": "", "DATA": "", "LANG": ""}, stored=True) == []
    assert [*rules_broken(nb), *unlike(nb)] == [] and pairs(nb)
    assert nb.cells[2].source == PARAMETERS and tags(nb.cells[3]) == {"setup"}
    assert "study = open_study(PROFILE, DATA)\nnotebook(study, LANG)" in nb.cells[3].source


def clean():
    """A small notebook without a fault."""
    prose = {"tags": ["prose"], "jupyter": {"source_hidden": True}}
    cells = [*pair("# 題\n\n值是 $x$，共 3 個。", "# Title\n\n$x$ is one of 3."),
             v4.new_code_cell("a = 1", metadata={"tags": ["setup"]}),
             v4.new_code_cell("say(zh='一', en='A')", metadata=prose),
             v4.new_markdown_cell("$$y$$")]  # fmt: skip
    return v4.new_notebook(cells=cells)


def _set(cell: int, **values):
    return lambda nb: nb.cells[cell].update(values)


RULES = {
    "cell 3: unknown tag hide": _set(2, metadata={"tags": ["hide"]}),
    "cell 3: 41 lines of code": _set(2, source="a = 1\n" * 41),
    "cell 3: print": _set(2, source="print(1)"),
    "cell 3: say without both": _set(2, source='say(zh="一")'),
    "cell 4: tagged prose, but not collapsed": _set(3, metadata={"tags": ["prose"]}),
    "cell 5: words without a language": _set(4, source="words"),
    "one # heading comes first": _set(4, source="# another"),
    "a heading skips a level": lambda nb: nb.cells.extend(pair("### 深", "### deep")),
}  # fmt: skip
LANGUAGES_DIFFER = {
    "“共 {n} 張…”: numbers in one language only: 3": _set(
        2, source='say(zh="共 {n} 張", en="{n:.3f} of 3", n=4)'),
    "“{a}…”: values in one language only: b": _set(
        2, source='say(zh="{a}", en="{a}{b:.1%}", a=1, b=2)'),
    "“甲…”: formulas in one language only: t": _set(2, source='say(zh="甲", en="A $t$")'),
    "“甲 {…”: a brace out of place": _set(2, source='say(zh="甲 {", en="A")'),
    "numbers in one language only: 4": _set(1, source="# Title\n\n$x$ is one of 3, not 4."),
    "the displayed formulas of the two": _set(1, source="# Title\n\n$x$ is one of 3: $$y$$"),
    "the lang-en cell is Chinese": _set(1, source="# 題目\n\n這裡的 $x$ 是 3 個之一，沒有英文"),
    "the lang-zh cell is not Chinese": _set(0, source="# Title\n\nThis $x$ is one of 3"),
}  # fmt: skip


@pytest.mark.parametrize("told", [*RULES, *LANGUAGES_DIFFER])
def test_a_rule_that_is_broken_is_found(told):
    nb, lint = clean(), rules_broken if told in RULES else unlike
    assert [*lint(nb)] == []
    {**RULES, **LANGUAGES_DIFFER}[told](nb)
    assert any(told in line for line in lint(nb)), [*lint(nb)]


@pytest.mark.parametrize("name", ["05_x.ipynb", "10_mine.ipynb"])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_set(2, execution_count=3), "{name}, cell 3: a stored output; hw3 check --clear"),
        (_set(2, source="a ="), "{name}, cell 3: line 1: invalid syntax"),
        (lambda nb: nb.cells.pop(0), "{name}, cell 1: lang-zh and lang-en cells must stand"),
        (_set(4, source="![p](gone.png)"), "{name}, cell 5: the image gone.png: no such file"),
        (_set(4, source=r"$\foo{x}$"), "{name}, cell 5: “$\\foo{{x}}$…”"),
    ],
)
def test_each_fault_of_any_notebook_is_one_line(name, change, told, tmp_path):
    path, nb = tmp_path / name, clean()
    nbformat.write(nb, path)
    assert faults_of(path, {}, stored=True) == []
    change(nb)
    nbformat.write(nb, path)
    (line,) = faults_of(path, {}, stored=True)
    assert line.startswith(told.format(name=path.stem)) and "\n" not in line


def test_what_a_run_left_is_cleared_and_nothing_else(tmp_path):
    file, nb = tmp_path / NOTEBOOKS[0].name, nbformat.read(NOTEBOOKS[0], as_version=4)
    cell = next(c for c in nb.cells if c.cell_type == "code")
    cell.outputs, cell.execution_count = [v4.new_output("stream", text="x")], 1
    cell.metadata.update(scrolled=True)
    nb.metadata.update(widgets={})
    nb.metadata.language_info["version"] = "3.12"  # what JupyterLab adds
    nbformat.write(nb, file)
    clear(file)
    assert file.read_bytes() == NOTEBOOKS[0].read_bytes()
    file.write_text("{")
    assert len(faults_of(file, {})) == 1 and "not a notebook" in faults_of(file, {})[0]
    with pytest.raises(UserError, match="not a notebook"):
        clear(file)
    assert file.read_text() == "{"
