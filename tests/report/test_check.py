"""The committed notebooks: clean, alike in build, and the same in both languages."""

from __future__ import annotations

import ast
import copy
import tomllib

import nbformat
import pytest
import yaml
from nbformat import v4

from hw3lib import UserError
from hw3lib.files import ROOT
from hw3lib.report.check import METADATA, clear, faults_of, readable
from hw3lib.report.execute import tags

from .fakes import pair, png
from .lint import pairs, unlike

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


def test_it_may_be_committed_and_read_and_opens_as_all_do(path, nb):
    assert faults_of(path) == [] and pairs(nb)
    assert readable(path, {"PROFILE": "", "DATA": "", "LANG": ""}) == []
    assert [*unlike(nb)] == []
    assert nb.cells[2].source == PARAMETERS and tags(nb.cells[3]) == {"setup"}
    assert "study = open_study(PROFILE, DATA)\nnotebook(study, LANG)" in nb.cells[3].source


def clean():
    """A small notebook without a fault."""
    prose = {"tags": ["prose"], "jupyter": {"source_hidden": True}}
    cells = [*pair("# 題\n\n值是 $x$，共 3 個。", "# Title\n\n$x$ is one of 3."),
             v4.new_code_cell("a = 1", metadata={"tags": ["setup"]}),
             v4.new_code_cell("say(zh='一', en='A')", metadata=prose),
             v4.new_markdown_cell("$$y$$")]  # fmt: skip
    return v4.new_notebook(cells=cells, metadata=copy.deepcopy(METADATA))


def _set(cell: int, **values):
    return lambda nb: nb.cells[cell].update(values)


FAULTS = {
    "cell 3: a stored output": _set(2, execution_count=3),
    "cell 3: metadata collapsed: only tags": lambda nb: nb.cells[2].metadata.update(collapsed=True),
    "cell 3: unknown tag hide; known are": _set(2, metadata={"tags": ["hide"]}),
    "cell 3: 41 lines of code": _set(2, source="a = 1\n" * 41),
    "cell 3: print": _set(2, source="print(1)"),
    "cell 3: no Python": _set(2, source="a ="),
    "cell 3: say without both": _set(2, source='say(zh="一")'),
    "cell 4: tagged prose, but not collapsed": _set(3, metadata={"tags": ["prose"]}),
    "cell 5: a raw cell": _set(4, cell_type="raw", source="$y$"),
    "cell 5: words without a language": _set(4, source="words"),
    "must stand in adjacent pairs": lambda nb: nb.cells.pop(0),
    "one # heading comes first": _set(4, source="# another"),
    "a heading skips a level": lambda nb: nb.cells.extend(pair("### 深", "### deep")),
    "two cells have one id": lambda nb: nb.cells[2].update(id=nb.cells[3].id),
    "metadata beyond those": lambda nb: nb.metadata.update(widgets={}),
}  # fmt: skip
FOR_ALL = ("cell 3: a stored output", "must stand in adjacent pairs", "two cells have one id")


@pytest.mark.parametrize("told", FAULTS)
def test_each_fault_is_one_clear_line_and_the_house_rules_bind_our_nine(told, tmp_path):
    nb = clean()
    FAULTS[told](nb)
    for name in ("05_x.ipynb", "10_mine.ipynb"):
        path = tmp_path / name
        path.write_text(v4.writes_json(clean()), encoding="utf-8")
        assert faults_of(path) == []
        path.write_text(v4.writes_json(nb), encoding="utf-8")
        lines = faults_of(path)
        assert any(told in line for line in lines) == (name[0] == "0" or told in FOR_ALL)
        assert all(line.startswith(str(path)) and "\n" not in line for line in lines)


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


@pytest.mark.parametrize("told", LANGUAGES_DIFFER)
def test_languages_that_differ_are_found(told):
    nb = clean()
    assert [*unlike(nb)] == []
    LANGUAGES_DIFFER[told](nb)
    assert any(told in line for line in unlike(nb)), [*unlike(nb)]


def test_what_a_run_left_is_cleared_and_nothing_else(tmp_path):
    file, nb = tmp_path / NOTEBOOKS[0].name, nbformat.read(NOTEBOOKS[0], as_version=4)
    cell = next(c for c in nb.cells if c.cell_type == "code")
    cell.outputs, cell.execution_count = [v4.new_output("stream", text="x")], 1
    cell.metadata.update(collapsed=True, scrolled=True)
    nb.metadata.update(widgets={})
    nb.metadata.language_info["version"] = "3.12"  # what JupyterLab adds
    nbformat.write(nb, file)
    assert len(faults_of(file)) == 3
    clear(file)
    assert file.read_bytes() == NOTEBOOKS[0].read_bytes()
    file.write_text("{")
    assert len(faults_of(file)) == 1 and "not a notebook" in faults_of(file)[0]
    with pytest.raises(UserError, match="not a notebook"):
        clear(file)
    assert file.read_text() == "{"


def test_the_hook_runs_the_same_check():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert hooks[0]["entry"] == ".venv/bin/hw3 check" and hooks[0]["language"] == "system"


def test_a_missing_image_is_told_before_anything_is_run(tmp_path):
    path = tmp_path / "10_mine.ipynb"
    nbformat.write(v4.new_notebook(cells=[v4.new_markdown_cell("# Mine\n\n![p](mine.png)")]), path)
    assert readable(path, {}) == ["10_mine, cell 1: the image mine.png: no such file"]
    (tmp_path / "mine.png").write_bytes(png())
    assert readable(path, {}) == []
