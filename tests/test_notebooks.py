"""The committed notebooks: clean, alike in build, and the same in both languages."""

from __future__ import annotations

import ast
import copy
import tomllib
from itertools import pairwise

import nbformat
import pytest
import yaml
from nbformat import v4

from hw3lib import UserError
from hw3lib.files import ROOT
from hw3lib.report.check import clear, faults_of, numbers_in_one, tags

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
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


def test_it_may_be_committed(path, nb):
    assert faults_of(path) == []
    assert pairs(nb)


def test_it_opens_as_all_do_and_answers_under_a_heading(nb):
    first = [tags(c) for c in nb.cells[:4]]
    assert first == [{"lang-zh"}, {"lang-en"}, {"parameters"}, {"setup"}]
    assert nb.cells[2].source == PARAMETERS
    assert "study = open_study(PROFILE, DATA)\nnotebook(study, LANG)" in nb.cells[3].source
    headings = [zh.splitlines()[0] for zh, _ in pairs(nb) if zh.startswith("## ")]
    assert "## 答案" in headings


def test_a_number_in_one_language_alone_is_found():
    assert not numbers_in_one("第二份作業的 3 張，共七類", "hand-in 2: three pictures, 7 classes")
    assert numbers_in_one("準確率 62 %", "accuracy 64 %") == {"62", "64"}
    assert numbers_in_one("第二份作業", "hand-in 3") == {"3"}
    assert numbers_in_one("損失除以 2", "the loss is divided") == {"2"}


def clean():
    """A small notebook without a fault."""
    cells = [
        v4.new_markdown_cell("# 題\n\n值是 $x$，共 3 個。", metadata={"tags": ["lang-zh"]}),
        v4.new_markdown_cell("# Title\n\n$x$ is one of 3.", metadata={"tags": ["lang-en"]}),
        v4.new_code_cell("a = 1", metadata={"tags": ["setup"]}),
        v4.new_markdown_cell("$$y$$"),
    ]
    return v4.new_notebook(
        cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    )


def _set(cell: int, **values):
    return lambda nb: nb.cells[cell].update(values)


FAULTS = {
    "cell 2: a stored output": _set(2, execution_count=3),
    "cell 2: metadata collapsed: only tags": lambda nb: nb.cells[2].metadata.update(collapsed=True),
    "cell 2: unknown tag hide; known are": _set(2, metadata={"tags": ["hide"]}),
    "cell 2: 21 lines of code": _set(2, source="a = 1\n" * 21),
    "cell 2: print": _set(2, source="print(1)"),
    "cell 2: no Python": _set(2, source="a ="),
    "cell 2: say without both": _set(2, source='say(zh="一")'),
    "cell 2: figure with one of alt_zh": _set(2, source='figure(f, zh="", en="", alt_en="")'),
    "cell 2: “共 {n} 張…”: numbers in one language only: 3": _set(
        2, source='say(zh="共 {n} 張", en="{n:.3f} of 3", n=4)'),
    "“{a}…”: values in one language only: b": _set(
        2, source='say(zh="{a}", en="{a}{b:.1%}", a=1, b=2)'),
    "“甲…”: formulas in one language only: t": _set(2, source='say(zh="甲", en="A $t$")'),
    "“甲 {…”: a brace out of place": _set(2, source='say(zh="甲 {", en="A")'),
    "cell 3: a raw cell": _set(3, cell_type="raw", source="$y$"),
    "cell 3: words without a language": _set(3, source="words"),
    "cell 3: HTML or a picture": _set(3, source="![a](b.png)"),
    "the lang-zh cell before it has no lang-en": lambda nb: nb.cells.pop(1),
    "must stand in adjacent pairs": lambda nb: nb.cells.pop(0),
    "no level-1 heading": lambda nb: [_unheaded(c) for c in nb.cells],
    "cell 0: “# 題 值是 $x$，共 3 個。…”: numbers in one language only: 4": _set(
        1, source="# Title\n\n$x$ is one of 3, not 4."),
    "formulas in one language only: x, z": _set(1, source="# Title\n\n$z$ is one of 3."),
    "the displayed formulas of the two": _set(1, source="# Title\n\n$x$ is one of 3: $$y$$"),
    "the lang-en cell is Chinese": _set(1, source="# 題目\n\n這裡的 $x$ 是 3 個之一，沒有英文"),
    "the lang-zh cell is not Chinese": _set(0, source="# Title\n\nThis $x$ is one of 3"),
    "two cells have one id": lambda nb: nb.cells[2].update(id=nb.cells[3].id),
    "metadata widgets: clear it": lambda nb: nb.metadata.update(widgets={}),
    "the kernel is not python3": lambda nb: nb.metadata.update(
        kernelspec={"name": "ir", "display_name": "R"}),
}  # fmt: skip


def _unheaded(cell):
    cell.source = cell.source.replace("# ", "")


@pytest.mark.parametrize("told", FAULTS)
def test_each_fault_is_one_clear_line(told, tmp_path):
    path, nb = tmp_path / "05_x.ipynb", copy.deepcopy(clean())
    path.write_text(v4.writes_json(nb), encoding="utf-8")
    assert faults_of(path) == []
    FAULTS[told](nb)
    path.write_text(v4.writes_json(nb), encoding="utf-8")
    lines = faults_of(path)
    assert any(told in line for line in lines), lines
    assert all(line.startswith(str(path)) and "\n" not in line for line in lines)


def test_what_is_no_notebook_is_one_line(tmp_path):
    path = tmp_path / "05_x.ipynb"
    path.write_text("{")
    assert len(faults_of(path)) == 1 and "not a notebook" in faults_of(path)[0]


def test_what_a_run_left_is_cleared_and_nothing_else(path, nb, tmp_path):
    file, cell = tmp_path / path.name, next(c for c in nb.cells if c.cell_type == "code")
    cell.outputs, cell.execution_count = [v4.new_output("stream", text="x")], 1
    cell.metadata.update(collapsed=True, scrolled=True)
    nb.metadata.update(widgets={})
    nb.metadata.language_info["version"] = "3.12"
    nbformat.write(nb, file)
    assert len(faults_of(file)) == 3
    clear(file)
    assert file.read_bytes() == path.read_bytes()


def test_what_is_no_notebook_is_not_cleared(tmp_path):
    path = tmp_path / "05_x.ipynb"
    path.write_text("{")
    with pytest.raises(UserError, match="not a notebook") as caught:
        clear(path)
    assert "\n" not in str(caught.value) and path.read_text() == "{"


def test_the_hook_runs_the_same_check():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert hooks[0]["entry"] == ".venv/bin/hw3 check" and hooks[0]["language"] == "system"
