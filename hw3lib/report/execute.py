"""Executes notebooks with papermill, each in a process of its own, and keeps what still holds.

papermill logs an unknown parameter and goes on, and leaves a notebook in which every cell says
"completed" when its kernel is killed. So the parameters are checked here, and an execution counts
only when the child's own record and the execution counts agree that every cell was run.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from hw3lib import UserError
from hw3lib.files import sweep, workplace, write_atomic
from hw3lib.report.child import one_line

PARAMETERS, INJECTED = "parameters", "injected-parameters"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def execute_notebooks(
    sources: Sequence[Path],
    out: Path,
    parameters: dict[str, str],
    *,
    depends: str = "",
    environment: dict[str, str] | None = None,
    jobs: int | None = None,
    progress: Callable[[str], None] = print,
) -> list[Path]:
    """Execute the notebooks side by side into `out`, those that need it; their executed copies.

    parameters : name -> value; every name must be assigned in the cell tagged "parameters"
    depends    : digest of all that the code reaches outside the notebook; another one executes anew
    environment : variables that the kernels see besides this process's own; others execute anew
    jobs       : notebooks at a time, by default and at most one for each core

    An executed copy holds the Markdown as it stands now and, in metadata["hw3"], what it was made
    from. Editing Markdown executes nothing.

    Raises
    ------
    UserError
        before anything runs, where a notebook lacks the parameters cell or one of the parameters;
        after all have run, naming each notebook that failed and its cell.
    """
    notebooks = {path: _read(path, parameters) for path in sources}
    environment = environment or {}
    depends = depends + json.dumps(environment) if environment else depends
    out.mkdir(parents=True, exist_ok=True)
    sweep(out)
    unattended = {"JUPYTER_PREFER_ENV_PATH": "1", "JPY_SESSION_NAME": ""}
    children = Children({**os.environ, **ONE_THREAD, **environment, **unattended})

    def work(path: Path) -> str:
        target = out / path.name
        try:
            progress(_execute(path, notebooks[path], target, parameters, depends, children))
        except UserError as error:
            if children.stopped:
                return ""
            progress(str(error))
            return str(error)
        return ""

    cores = os.cpu_count() or 1
    pool = ThreadPoolExecutor(max(1, min(jobs or cores, cores)))
    try:
        failures = [line for line in pool.map(work, sources) if line]
    except KeyboardInterrupt:
        children.stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)  # on an interrupt the notebooks in waiting stay so
    if failures:
        raise UserError("; ".join(failures))
    return [out / path.name for path in sources]


def code_key(nb: NotebookNode, parameters: dict[str, str], depends: str = "") -> str:
    """32 hex digits of everything that decides the notebook's outputs."""
    cells = [[c.source, sorted(_tags(c))] for c in code_cells(nb)]
    text = json.dumps([cells, sorted(parameters.items()), depends])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def merged(source: NotebookNode, executed: NotebookNode) -> NotebookNode:
    """The cells of `source`, its code with the outputs of `executed`, which has the same code."""
    fresh = copy.deepcopy(source)
    done = iter(code_cells(executed))
    cells = []
    for cell in fresh.cells:
        cells.append(cell)
        if cell.cell_type == "code":
            ran = next(done)
            cell.outputs, cell.execution_count = ran.outputs, ran.execution_count
        if _is(cell, PARAMETERS):
            cells += [copy.deepcopy(c) for c in executed.cells if _is(c, INJECTED)]
    fresh.cells = cells
    fresh.metadata["hw3"] = executed.metadata.get("hw3", {})
    return fresh


def code_cells(nb: NotebookNode) -> list[NotebookNode]:
    """The notebook's own code cells, without the one that papermill puts in."""
    return [c for c in nb.cells if c.cell_type == "code" and not _is(c, INJECTED)]


def _tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def _is(cell: NotebookNode, tag: str) -> bool:
    return tag in _tags(cell)


def _read(path: Path, parameters: dict[str, str]) -> NotebookNode:
    """The notebook, checked to have a parameters cell that assigns every parameter."""
    try:
        nb = nbformat.read(path, as_version=4)
    except Exception as error:
        raise UserError(f"{path}: not a notebook: {one_line(str(error))}") from None
    nb.cells = [c for c in nb.cells if not _is(c, INJECTED)]
    cell = next((c for c in code_cells(nb) if _is(c, PARAMETERS)), None)
    if cell is None:
        raise UserError(f"{path}: no code cell has the tag {PARAMETERS!r}; give it to one")
    try:
        names = [n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.Name)]
    except SyntaxError as error:
        raise UserError(f"{path}: the cell tagged {PARAMETERS!r}: {error.msg}") from None
    known = {n.id for n in names if isinstance(n.ctx, ast.Store)}
    for name in parameters:
        if name not in known:
            raise UserError(
                f"{path}: unknown parameter {name!r}; the cell tagged {PARAMETERS!r} "
                f"sets {', '.join(sorted(known)) or 'nothing'}"
            )
    return nb


def _execute(
    path: Path,
    nb: NotebookNode,
    target: Path,
    parameters: dict[str, str],
    depends: str,
    children: Children,
) -> str:
    """Bring `target` up to date; the line that tells what was done."""
    key = code_key(nb, parameters, depends)
    kept = _kept(target, key)
    if kept is not None:
        fresh = merged(nb, kept)
        if fresh != kept:
            write_atomic(target, nbformat.writes(fresh).encode())
        return f"{path.stem}: unchanged"
    started = time.monotonic()
    with workplace(target) as folder:
        executed = _in_child(path.stem, nb, folder, path.parent, parameters, children)
    _check_complete(path.stem, nb, executed)
    seconds = round(time.monotonic() - started, 1)
    finished = datetime.now(UTC).isoformat(timespec="seconds")
    executed.metadata["hw3"] = {"key": key, "seconds": seconds, "finished": finished}
    _tell_parameters(executed, parameters)
    executed = merged(nb, executed)
    executed.metadata["hw3"]["check"] = _check(executed)
    write_atomic(target, nbformat.writes(executed).encode())
    return f"{path.stem}: {seconds:.1f} s"


def _kept(target: Path, key: str) -> NotebookNode | None:
    try:
        executed = nbformat.read(target, as_version=4)
        made = executed.metadata["hw3"]
        whole = (made["key"], made["check"]) == (key, _check(executed))
    except Exception:  # missing, cut off or no notebook: execute again
        return None
    return executed if whole else None


def _check(executed: NotebookNode) -> str:
    """Digest of what an execution leaves in a notebook; damage to it executes the notebook anew."""
    code = [c for c in executed.cells if c.cell_type == "code"]
    left = [[c.source, c.outputs, c.execution_count] for c in code]
    made = {k: v for k, v in executed.metadata["hw3"].items() if k != "check"}
    text = json.dumps([left, made], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class Children:
    """The processes that execute notebooks now. Their own Ctrl-C is that of this process."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment, self.stopped = environment, False
        self._running: set[subprocess.Popen] = set()

    def run(self, folder: Path) -> tuple[int, str]:
        """Exit status and standard error of the process that executes what lies in `folder`."""
        child = subprocess.Popen(
            [sys.executable, "-m", "hw3lib.report.child", str(folder)],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self._running.add(child)
        if self.stopped:
            child.stdin.close()
        with child.stderr:
            told = child.stderr.read()
        status = child.wait()
        self._running.discard(child)
        child.stdin.close()
        return status, told

    def stop(self) -> None:
        self.stopped = True
        for child in [*self._running]:
            child.stdin.close()


def _in_child(
    name: str,
    nb: NotebookNode,
    folder: Path,
    cwd: Path,
    parameters: dict[str, str],
    children: Children,
) -> NotebookNode:
    """Execute in a child process; the executed notebook, or UserError naming the cell."""
    order = {"cwd": str(cwd.resolve()), "parameters": parameters}
    (folder / "order.json").write_text(json.dumps(order), encoding="utf-8")
    nbformat.write(nb, folder / "source.ipynb")
    status, told = children.run(folder)
    try:
        record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        last = told.strip().splitlines()[-1:] or ["no message"]
        raise UserError(f"{name}: execution stopped (exit {status}): {last[0]}") from None
    if record["status"] != "completed" or status != 0:
        raise UserError(_failure(name, nb, record))
    return nbformat.read(folder / "executed.ipynb", as_version=4)


def _failure(name: str, nb: NotebookNode, record: dict) -> str:
    cell = record.get("cell")
    if cell is None:
        return f"{name}: {record['error']}"
    # the executed notebook has the injected cell besides, after the parameters cell
    first = next(i for i, c in enumerate(nb.cells) if _is(c, PARAMETERS))
    number = cell if cell <= first else cell - 1
    source = nb.cells[number].source if cell != first + 1 else "the injected parameters"
    return f"{name}, cell {number + 1} of {len(nb.cells)} (`{one_line(source)}`): {record['error']}"


def _check_complete(name: str, nb: NotebookNode, executed: NotebookNode) -> None:
    """Every code cell was answered by one and the same kernel, in order, to the last."""
    code = [c for c in executed.cells if c.cell_type == "code" and c.source.strip()]
    for expected, cell in enumerate(code, start=1):
        if cell.execution_count != expected:
            raise UserError(
                f"{name}: stopped before the cell `{one_line(cell.source)}`, which never ran"
            )
    if [c.source for c in code_cells(nb)] != [c.source for c in code_cells(executed)]:
        raise UserError(f"{name}: the executed copy holds other code than the notebook")


def _tell_parameters(executed: NotebookNode, parameters: dict[str, str]) -> None:
    """Keep the injected cell readable, and free of where on this machine the data lies."""
    lines = [f"{k} = {(Path(v).name if os.path.isabs(v) else v)!r}" for k, v in parameters.items()]
    for cell in executed.cells:
        if _is(cell, INJECTED):
            cell.source = "\n".join(["# the parameters of this execution", *lines])
