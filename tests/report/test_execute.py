"""Execution: faults are named, and nothing runs twice for nothing."""

from __future__ import annotations

import nbformat
import pytest
from nbformat import v4

from hw3lib import UserError
from hw3lib.report.execute import INJECTED, code_cells, code_key, execute_notebooks

PARAMETERS = {"PROFILE": "demo", "DATA": "", "LANG": "both"}
FIRST = 'PROFILE = "none"\nDATA = ""\nLANG = "both"'


def tiny(*code, first=FIRST, tag="parameters", prose="# Title"):
    cells = [v4.new_markdown_cell(prose), v4.new_code_cell(first)]
    cells[1].metadata["tags"] = [tag] if tag else []
    cells += [v4.new_code_cell(source) for source in code]
    return v4.new_notebook(cells=cells)


def notebook(path, *code, **options):
    nbformat.write(tiny(*code, **options), path)
    return path


def run(path, out, **options):
    lines = []
    options = {"parameters": PARAMETERS, "progress": lines.append, **options}
    (target,) = execute_notebooks([path], out, **options)
    return nbformat.read(target, as_version=4), lines


def texts(nb):
    return "".join(o.text for c in code_cells(nb) for o in c.outputs if o.output_type == "stream")


def test_parameters_arrive_and_only_what_changed_is_run_again(tmp_path):
    count, place = tmp_path / "count", str(tmp_path / "faces.csv")
    code = f"with open({str(count)!r}, 'a') as f: f.write('x')\nprint(PROFILE, DATA)"
    path, out = notebook(tmp_path / "01_a.ipynb", code), tmp_path / "{out}"
    options = {"parameters": {**PARAMETERS, "DATA": place}}
    nb, lines = run(path, out, **options)
    assert texts(nb) == f"demo {place}\n" and lines[0].startswith("01_a: ")
    injected = next(c for c in nb.cells if INJECTED in c.metadata.get("tags", []))
    assert "DATA = 'faces.csv'" in injected.source  # not where it lies

    notebook(path, code, prose="# Another title")
    nb, lines = run(path, out, **options)
    assert lines == ["01_a: unchanged"] and count.read_text() == "x"
    assert nb.cells[0].source == "# Another title" and texts(nb) == f"demo {place}\n"

    target = out / "01_a.ipynb"
    target.write_bytes(target.read_bytes()[:200])  # cut off: no longer to be believed
    assert texts(run(path, out, **options)[0]) == f"demo {place}\n"
    assert count.read_text() == "xx"


def test_the_key_is_of_code_parameters_and_dependencies_alone():
    key = code_key(tiny("a = 1"), PARAMETERS, "library 1")
    assert code_key(tiny("a = 1", prose="# Other"), PARAMETERS, "library 1") == key
    changed = [
        code_key(tiny("a = 2"), PARAMETERS, "library 1"),
        code_key(tiny("a = 1", tag="setup"), PARAMETERS, "library 1"),
        code_key(tiny("a = 1"), {**PARAMETERS, "PROFILE": "cpu"}, "library 1"),
        code_key(tiny("a = 1"), PARAMETERS, "library 2"),
    ]
    assert len({key, *changed}) == 5


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"first": 'PROFILE = ""\nLANG = ""'}, "01_a.ipynb: a code cell .* must assign DATA$"),
        ({"tag": ""}, "must assign PROFILE, DATA, LANG$"),
    ],
)
def test_a_fault_is_told_before_anything_runs(tmp_path, options, told):
    path = notebook(tmp_path / "01_a.ipynb", "1", **options)
    with pytest.raises(UserError, match=told):
        run(path, tmp_path / "out")


def test_failing_cells_are_named_each_in_one_line_and_the_others_run_on(tmp_path):
    end, out, lines = "print('the end')", tmp_path / "out", []
    paths = [
        notebook(tmp_path / "01_bad.ipynb", "\nvalues = {}\nvalues['x']", end),
        notebook(tmp_path / "02_gone.ipynb", "import os\nos._exit(0)", end),
        notebook(tmp_path / "03_exit.ipynb", "raise SystemExit(0)", end),
        notebook(tmp_path / "04_good.ipynb", "print('fine')"),
    ]
    with pytest.raises(UserError) as caught:
        execute_notebooks(paths, out, PARAMETERS, jobs=2, progress=lines.append)
    assert str(caught.value) == (
        "01_bad, cell 3 of 4 (`values = {}`): KeyError: 'x'; "
        "02_gone, cell 3 of 4 (`import os`): the kernel died (if out of memory, --jobs 1 runs one "
        "notebook at a time); 03_exit, cell 3 of 4 (`raise SystemExit(0)`): SystemExit: 0"
    )
    assert [p.name for p in out.iterdir()] == ["04_good.ipynb"]  # nothing half-done is left
