"""Execution: faults are named, and nothing runs twice for nothing."""

from __future__ import annotations

import nbformat
import pytest
from nbformat import v4

from hw3lib import UserError
from hw3lib.report.execute import INJECTED, code_cells, execute_notebooks

PARAMETERS = {"PROFILE": "demo", "DATA": "", "LANG": "both"}
FIRST = 'PROFILE = "none"\nDATA = ""\nLANG = "both"'


def notebook(path, *code, first=FIRST, tag="parameters", prose="# Title"):
    cells = [v4.new_markdown_cell(prose), v4.new_code_cell(first)]
    cells[1].metadata["tags"] = [tag] if tag else []
    cells += [v4.new_code_cell(source) for source in code]
    nb = v4.new_notebook(cells=cells)
    for number, cell in enumerate(nb.cells):
        cell.id = f"cell-{number}"
    nbformat.write(nb, path)
    return path


def run(path, out, **options):
    lines = []
    options = {"parameters": PARAMETERS, "progress": lines.append, **options}
    (target,) = execute_notebooks([path], out, **options)
    return nbformat.read(target, as_version=4), lines


def texts(nb):
    return "".join(o.text for c in code_cells(nb) for o in c.outputs if o.output_type == "stream")


def test_parameters_arrive_and_unchanged_code_is_not_run_again(tmp_path):
    count = tmp_path / "count"
    code = f"with open({str(count)!r}, 'a') as f: f.write('x')\nprint(PROFILE, LANG)"
    path = notebook(tmp_path / "01_a.ipynb", code)
    nb, lines = run(path, tmp_path / "out")
    assert texts(nb) == "demo both\n"
    assert lines[0].startswith("01_a: ") and lines[0].endswith(" s")

    notebook(path, code, prose="# Another title")
    nb, lines = run(path, tmp_path / "out")
    assert lines == ["01_a: unchanged"]
    assert nb.cells[0].source == "# Another title"
    assert texts(nb) == "demo both\n"
    assert count.read_text() == "x"

    run(path, tmp_path / "out", depends="another library")
    assert count.read_text() == "xx"
    _, lines = run(notebook(path, code + "\n"), tmp_path / "out", depends="another library")
    assert lines != ["01_a: unchanged"]
    assert count.read_text() == "xxx"


def test_merging_keeps_outputs_with_their_cells(tmp_path):
    path = notebook(tmp_path / "01_a.ipynb", "print('one')", "", "print('two')")
    run(path, tmp_path / "out")
    nb = nbformat.read(path, as_version=4)
    nb.cells.insert(3, v4.new_markdown_cell("between"))
    nbformat.write(nb, path)
    merged, lines = run(path, tmp_path / "out")
    assert lines == ["01_a: unchanged"]
    shown = [
        (c.source, "".join(o.text for o in c.outputs))
        for c in code_cells(merged)
        if c.source.startswith("print")
    ]
    assert shown == [("print('one')", "one\n"), ("print('two')", "two\n")]
    assert [c.source for c in merged.cells if c.cell_type == "markdown"] == ["# Title", "between"]


def test_the_place_of_the_data_is_not_told(tmp_path):
    path = notebook(tmp_path / "01_a.ipynb", "print(DATA)")
    place = str(tmp_path / "faces.csv")
    nb, _ = run(path, tmp_path / "out", parameters={**PARAMETERS, "DATA": place})
    assert texts(nb) == place + "\n"
    injected = next(c for c in nb.cells if INJECTED in c.metadata.get("tags", []))
    assert "DATA = 'faces.csv'" in injected.source
    assert place not in injected.source


def test_unknown_parameter_is_an_error(tmp_path):
    path = notebook(tmp_path / "01_a.ipynb", "1", first='PROFILE = ""\nLANG = ""')
    with pytest.raises(UserError, match=r"01_a.ipynb: unknown parameter 'DATA'"):
        run(path, tmp_path / "out")


def test_missing_parameters_tag_is_an_error(tmp_path):
    path = notebook(tmp_path / "01_a.ipynb", "1", tag="")
    with pytest.raises(UserError, match="no code cell has the tag 'parameters'"):
        run(path, tmp_path / "out")


def test_what_is_no_notebook_is_an_error(tmp_path):
    path = tmp_path / "01_a.ipynb"
    path.write_text("{")
    with pytest.raises(UserError, match="not a notebook"):
        run(path, tmp_path / "out")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("\nvalues = {}\nvalues['x']", r"cell 4 of 5 \(`values = \{\}`\): KeyError: 'x'$"),
        ("import os\nos._exit(0)", r"cell 4 of 5 \(`import os`\): the kernel died$"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "cell 4 of 5 .*kernel died$"),
        ("raise SystemExit(0)", "stopped before the cell `print"),
    ],
)
def test_a_failing_cell_is_named_in_one_line(tmp_path, code, told):
    path = notebook(tmp_path / "01_a.ipynb", "a = 1", code, "print('the end')")
    with pytest.raises(UserError, match=f"^01_a[,:] .*{told}") as caught:
        run(path, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []  # nothing half-done is left


def test_the_others_run_on_when_one_fails(tmp_path):
    bad = notebook(tmp_path / "01_bad.ipynb", "1 / 0")
    good = notebook(tmp_path / "02_good.ipynb", "print('fine')")
    out, lines = tmp_path / "out", []
    with pytest.raises(UserError, match=r"01_bad, cell 3 of 3 .*ZeroDivisionError"):
        execute_notebooks([bad, good], out, PARAMETERS, jobs=2, progress=lines.append)
    assert [p.name for p in out.iterdir()] == ["02_good.ipynb"]


def test_a_cut_off_copy_is_executed_anew(tmp_path):
    path = notebook(tmp_path / "01_a.ipynb", "print('fine')")
    run(path, tmp_path / "out")
    target = tmp_path / "out" / "01_a.ipynb"
    target.write_bytes(target.read_bytes()[:200])
    nb, _ = run(path, tmp_path / "out")
    assert texts(nb) == "fine\n"
