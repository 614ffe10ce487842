"""Executes notebooks side by side, each in a kernel of its own, and keeps what still holds.

An executed copy counts only when every code cell was run, in order, by one and the same kernel;
what it was made from stands in its metadata["hw3"]. Editing Markdown executes nothing.
"""

from __future__ import annotations

import ast
import asyncio
import copy
import hashlib
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from hw3lib import UserError
from hw3lib.files import sweep, write_atomic

PARAMETERS, INJECTED = "parameters", "injected-parameters"
HOUSE = re.compile(r"0[1-9]_")  # our nine notebooks; any other may lack parameters, tags, Pairs
STARTED = 120  # seconds a kernel may take to answer first
DIED = "the kernel died (if out of memory, --jobs 1 runs one notebook at a time)"
KERNEL = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1") | {
    "JPY_SESSION_NAME": ""  # nobody clicks, even where this process is a notebook's
}


def execute_notebooks(
    sources: Sequence[Path],
    out: Path,
    parameters: dict[str, str],
    *,
    depends: str = "",
    environment: dict[str, str] | None = None,
    jobs: int | None = None,
    draft: bool = False,
    progress: Callable[[str], None] = print,
) -> list[Path]:
    """Execute the notebooks side by side into `out`, those that need it; their executed copies.

    parameters : name -> value, put into the notebooks that assign them in a cell tagged
                 "parameters"; ours must assign them all
    depends    : digest of all that the code reaches outside the notebook
    environment : variables that the kernels see besides this process's own
    jobs       : notebooks at a time, by default and at most one for each core
    draft      : keep what a failing notebook left, its error in place, instead of raising

    Raises
    ------
    UserError
        before anything runs, for a file that is no notebook or lacks a parameter;
        after all have run, naming each notebook that failed and its cell.
    """
    notebooks = {path: read_notebook(path, parameters) for path in sources}
    environment = environment or {}
    depends = depends + json.dumps(environment) if environment else depends
    out.mkdir(parents=True, exist_ok=True)
    sweep(out)
    cores = os.cpu_count() or 1

    async def work(path: Path, free: asyncio.Semaphore) -> str:
        async with free:
            target, fault = out / path.name, ""
            try:
                told = await _execute(
                    path, notebooks[path], target, parameters, depends, environment, draft
                )
            except UserError as error:
                told = fault = str(error)
            progress(told)
            return fault

    async def all_of_them() -> list[str]:
        free = asyncio.Semaphore(max(1, min(jobs or cores, cores)))
        return await asyncio.gather(*(work(path, free) for path in sources))

    if failures := [line for line in _run(all_of_them()) if line]:
        raise UserError("; ".join(failures))
    return [out / path.name for path in sources]


def read_notebook(path: Path, parameters: dict[str, str]) -> NotebookNode:
    """The notebook; UserError where it is none, or one of ours that lacks a parameter."""
    try:
        nb = nbformat.read(path, as_version=4)
    except Exception as error:
        raise UserError(f"{path}: not a notebook: {one_line(str(error))}") from None
    nb.cells = [c for c in nb.cells if not _is(c, INJECTED)]
    if not HOUSE.match(path.name):
        return nb
    known = assigned(nb)
    if known is None:
        raise UserError(f"{path}: no code cell has the tag {PARAMETERS!r}; give it to one")
    for name in parameters:
        if name not in known:
            raise UserError(
                f"{path}: unknown parameter {name!r}; the cell tagged {PARAMETERS!r} "
                f"sets {', '.join(sorted(known)) or 'nothing'}"
            )
    return nb


def assigned(nb: NotebookNode) -> set[str] | None:
    """The names that the cell tagged "parameters" assigns; None where there is no such cell."""
    cell = next((c for c in code_cells(nb) if _is(c, PARAMETERS)), None)
    if cell is None:
        return None
    try:
        names = [n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.Name)]
    except SyntaxError:
        return set()
    return {n.id for n in names if isinstance(n.ctx, ast.Store)}


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


def one_line(text: str, limit: int = 300) -> str:
    """The first line that says something, cut to `limit` characters."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return first if len(first) <= limit else first[: limit - 1] + "…"


def _tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def _is(cell: NotebookNode, tag: str) -> bool:
    return tag in _tags(cell)


def _run(work) -> list[str]:
    """Run the coroutine in a thread: in the main one nbclient takes Ctrl-C for itself."""
    loop = asyncio.new_event_loop()
    task, results = loop.create_task(work), []

    def main() -> None:
        try:
            results.extend(loop.run_until_complete(task))
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            results.append(error)
        finally:
            loop.close()

    thread = threading.Thread(target=main)
    thread.start()
    try:
        thread.join()
    except KeyboardInterrupt:
        loop.call_soon_threadsafe(task.cancel)  # the kernels end, too
        thread.join()
        raise
    for found in results:
        if isinstance(found, BaseException):
            raise found
    return results


async def _execute(
    path: Path,
    nb: NotebookNode,
    target: Path,
    parameters: dict[str, str],
    depends: str,
    environment: dict[str, str],
    draft: bool,
) -> str:
    """Bring `target` up to date; the line that tells what was done."""
    given = {k: v for k, v in parameters.items() if k in (assigned(nb) or ())}
    key = code_key(nb, given, depends)
    if (kept := _kept(target, key)) is not None:
        fresh = merged(nb, kept)
        if fresh != kept:
            write_atomic(target, nbformat.writes(fresh).encode())
        return f"{path.stem}: unchanged"
    started = time.monotonic()
    executed, fault = await _in_kernel(path, nb, given, environment)
    if fault and not draft:
        raise UserError(f"{path.stem}{fault}")
    seconds = round(time.monotonic() - started, 1)
    finished = datetime.now(UTC).isoformat(timespec="seconds")
    made = {"seconds": seconds, "finished": finished}
    executed.metadata["hw3"] = {**made, **({"fault": fault} if fault else {"key": key})}
    _tell_parameters(executed, given)
    executed = merged(nb, executed)
    executed.metadata["hw3"]["check"] = _check(executed)
    write_atomic(target, nbformat.writes(executed).encode())
    return f"{path.stem}{fault}" if fault else f"{path.stem}: {seconds:.1f} s"


async def _in_kernel(
    path: Path, nb: NotebookNode, parameters: dict[str, str], environment: dict[str, str]
) -> tuple[NotebookNode, str]:
    """The executed notebook, and what went wrong: ", cell 3 of 4 (`code`): KeyError: 'x'"."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    ready = copy.deepcopy(nb)
    own = [id(c) for c in ready.cells]
    if parameters:  # in a cell after the one tagged "parameters", as papermill does
        first = next(i for i, c in enumerate(ready.cells) if _is(c, PARAMETERS))
        lines = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
        ready.cells.insert(first + 1, new_code_cell(lines, metadata={"tags": [INJECTED]}))
    reached = 0

    def reach(cell: NotebookNode, cell_index: int) -> None:
        nonlocal reached
        reached = own.index(id(cell)) + 1 if id(cell) in own else reached

    # this very Python, whatever kernel the notebook was saved with or a home folder has
    this = AsyncKernelManager(kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    client = NotebookClient(
        ready, km=this, timeout=None, startup_timeout=STARTED, shutdown_kernel="immediate",
        resources={"metadata": {"path": str(path.parent.resolve())}}, on_cell_execute=reach,
    )  # fmt: skip
    try:
        env = {**os.environ, **KERNEL, **environment}
        await client.async_execute(cleanup_kc=True, env=env, stderr=subprocess.DEVNULL)
    except CellExecutionError as error:
        told = f"{error.ename}: {one_line(error.evalue)}"
    except (DeadKernelError, RuntimeError):
        told = DIED
    else:
        return ready, _incomplete(ready)
    source = one_line(nb.cells[reached - 1].source) if reached else ""
    return ready, f", cell {reached} of {len(nb.cells)} (`{source}`): {told}"


def _incomplete(executed: NotebookNode) -> str:
    """Was a cell not answered by one and the same kernel, in order?"""
    code = [c for c in executed.cells if c.cell_type == "code" and c.source.strip()]
    for expected, cell in enumerate(code, start=1):
        if cell.execution_count != expected:
            return f": stopped before the cell `{one_line(cell.source)}`, which never ran"
    return ""


def _kept(target: Path, key: str) -> NotebookNode | None:
    try:
        executed = nbformat.read(target, as_version=4)
        made = executed.metadata["hw3"]
        whole = (made["key"], made["check"]) == (key, _check(executed))
    except Exception:  # missing, cut off, a draft or no notebook: execute again
        return None
    return executed if whole else None


def _check(executed: NotebookNode) -> str:
    """Digest of what an execution leaves in a notebook; damage to it executes it again."""
    code = [c for c in executed.cells if c.cell_type == "code"]
    left = [[c.source, c.outputs, c.execution_count] for c in code]
    made = {k: v for k, v in executed.metadata["hw3"].items() if k != "check"}
    text = json.dumps([left, made], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _tell_parameters(executed: NotebookNode, parameters: dict[str, str]) -> None:
    """Keep the injected cell readable, and free of where on this machine the data lies."""
    lines = [f"{k} = {(Path(v).name if os.path.isabs(v) else v)!r}" for k, v in parameters.items()]
    for cell in executed.cells:
        if _is(cell, INJECTED):
            cell.source = "\n".join(["# the parameters of this execution", *lines])
