"""Notebooks whose kernel, or whose `hw3 report`, is killed; executed copies that were damaged."""

from __future__ import annotations

import copy
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from faulty import PATIENCE, RNG, below_of, ended, flips, start
from nbformat import v4
from report.test_execute import PARAMETERS, notebook, texts, tiny

from hw3lib import UserError
from hw3lib.report.execute import _check, _kept, code_cells, execute_notebooks, merged

pytestmark = pytest.mark.faults
PAUSE = "import time\nfor _ in range(15): time.sleep(0.1)"


def sources(folder: Path) -> list[Path]:
    names = ("01_a.ipynb", "02_b.ipynb")
    return [notebook(folder / name, PAUSE, f"print({name!r})") for name in names]


def execute(folder: str, out: str) -> None:
    paths = [Path(folder) / name for name in ("01_a.ipynb", "02_b.ipynb")]
    execute_notebooks(paths, Path(out), PARAMETERS, jobs=2)


@pytest.mark.slow
def test_the_report_is_killed(observed, tmp_path):
    """SIGKILL while executing notebooks: an executed notebook is there whole or not at all; its
    kernel and temporary files go; finished ones are not run again."""
    paths, out, kills = sources(tmp_path), tmp_path / "out", 0
    for after in RNG.uniform(0.5, 5, 4):
        for path in out.glob("*.ipynb"):
            path.unlink()
        process = start(execute, str(tmp_path), str(out))
        time.sleep(after)
        below = below_of(process)
        process.kill()
        kills += ended(process) != 0
        for path in out.glob("*.ipynb"):
            assert texts(nbformat.read(path, as_version=4)) == f"{path.name}\n"
        _, alive = psutil.wait_procs(below, timeout=PATIENCE)
        assert not alive
    lines, done = [], {p.stem for p in out.glob("*.ipynb")}
    execute_notebooks(paths, out, PARAMETERS, jobs=2, progress=lines.append)
    assert {line.partition(":")[0] for line in lines if "unchanged" in line} == done
    assert sorted(p.name for p in out.iterdir()) == [p.name for p in paths]
    observed(f"{kills} kills, nothing torn, no process left", kills)


@pytest.mark.slow
def test_a_kernel_is_killed(observed, tmp_path):
    """SIGKILL of a kernel: the line names the notebook, the others are finished, and the next
    command runs that one alone."""
    paths, out, lines = sources(tmp_path), tmp_path / "out", []
    paths[0] = notebook(paths[0], "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(UserError, match=r"^01_a, cell .*: the kernel died \(if out of memory"):
        execute_notebooks(paths, out, PARAMETERS, jobs=2, progress=lines.append)
    assert [p.name for p in out.iterdir()] == ["02_b.ipynb"]
    paths[0] = notebook(paths[0], "print(1)")
    execute_notebooks(paths, out, PARAMETERS, jobs=2, progress=lines.append)
    assert "02_b: unchanged" in lines and len(list(out.iterdir())) == 2
    observed("named; the other one finished", 1)


def test_an_executed_notebook(observed, tmp_path):
    """An executed notebook, one bit flipped: it is executed again, or its code and outputs are as
    they were."""
    source, target = tiny("print('one')", "1 / 3"), tmp_path / "01_a.ipynb"
    executed = copy.deepcopy(source)
    for number, cell in enumerate(code_cells(executed), 1):
        cell.execution_count = number
        cell.outputs = [v4.new_output("stream", text=f"{number / 3}\n" * 9)]
    executed.metadata["hw3"] = {"key": "k", "seconds": 1.0, "finished": "today"}
    executed.metadata["hw3"]["check"] = _check(executed)
    nbformat.write(executed, target)
    whole, data, again, count = merged(source, _kept(target, "k")), target.read_bytes(), 0, 0
    for _, changed in flips(data, 400):
        target.write_bytes(changed)
        kept = _kept(target, "k")
        again += kept is None
        assert kept is None or merged(source, kept) == whole
        count += 1
    observed(f"{again} of {count} executed again, the others harmless", count)
