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
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from hw3lib import UserError
from hw3lib.files import absolute, sweep, write_atomic

PARAMETERS, INJECTED = "parameters", "injected-parameters"
HOUSE = re.compile(r"0[1-9]_")  # our nine notebooks; any other may lack parameters, tags, Pairs
LINE = 300  # characters of a cell or an error that are shown
STARTED = 120  # seconds a kernel may take to answer first
DIED = "the kernel died (if out of memory, --jobs 1 runs one notebook at a time)"
# most of the time three or four long notebooks are left, which share the cores
THREADS = str(max(1, (os.cpu_count() or 1) // 4))
KERNEL = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), THREADS) | {
    "JPY_SESSION_NAME": ""  # nobody clicks, even where this process is a notebook's
}


def execute_notebooks(
    sources: Sequence[Path],
    out: Path,
    parameters: dict[str, str],
    *,
    depends: str = "",
    environment: dict[str, str] | None = None,
    jobs: int = 0,
    draft: bool = False,
    progress: Callable[[str], None] = print,
) -> list[Path]:
    """Execute the notebooks side by side into `out`, those that need it; their executed copies.

    parameters : name -> value, put into the notebooks that assign them in a cell tagged
                 "parameters"; ours must assign them all
    depends    : digest of all that the code reaches outside the notebook
    environment : variables that the kernels see besides this process's own
    jobs       : notebooks at a time; 0, and at most, one for each core
    draft      : keep what a failing notebook left, its error in place, instead of raising

    Raises
    ------
    UserError
        before anything runs, for a file that is no notebook or lacks a parameter;
        after all have run, naming each notebook that failed and its cell.
    """
    notebooks = {path: read_notebook(path, parameters) for path in sources}
    environment, cores = environment or {}, os.cpu_count() or 1
    depends = f"{depends} {json.dumps(environment)}"
    out.mkdir(parents=True, exist_ok=True)
    sweep(out)
    free, faults = asyncio.Semaphore(max(1, min(jobs or cores, cores))), []

    async def in_turn(path: Path, nb: NotebookNode) -> None:
        async with free:
            given = {k: v for k, v in parameters.items() if k in assigned(nb)}
            key, target = code_key(nb, given, depends), out / path.name
            if _still_holds(target, key, nb):
                progress(f"{path.stem}: unchanged")
                return
            started = time.monotonic()
            executed, fault = await _in_kernel(path, nb, given, environment)
            seconds = round(time.monotonic() - started, 1)
            faults.extend([f"{path.stem}{fault}"] if fault else [])
            if draft or not fault:
                _keep(executed, target, {"fault": fault} if fault else {"key": key})
            progress(f"{path.stem}{fault or f': {seconds} s'}")

    async def all_of_them() -> None:
        # from the last, for later ones take longer, so that no core waits at the end
        await asyncio.gather(*(in_turn(path, nb) for path, nb in reversed(notebooks.items())))

    _run(all_of_them())
    if faults and not draft:
        raise UserError("; ".join(sorted(faults)))
    return [out / path.name for path in sources]


def parameters_of(profile: str, data: str, lang: str = "both") -> dict[str, str]:
    """What our notebooks take; paths as their kernels, which run in another folder, find them."""
    profile = absolute(profile) if profile.endswith(".toml") else profile
    return {"PROFILE": profile, "DATA": absolute(data), "LANG": lang}


def read_notebook(path: Path, parameters: dict[str, str]) -> NotebookNode:
    """The notebook; UserError where it is none, or one of ours that lacks one of the parameters."""
    try:
        nb = nbformat.read(path, as_version=4)
    except Exception as error:
        raise UserError(f"{path}: not a notebook: {one_line(str(error))}") from None
    nb.cells = [c for c in nb.cells if INJECTED not in tags(c)]
    known = assigned(nb)
    missing = ", ".join(name for name in parameters if name not in known)
    if missing and HOUSE.match(path.name):
        raise UserError(f"{path}: a code cell tagged {PARAMETERS!r} must assign {missing}")
    return nb


def assigned(nb: NotebookNode) -> set[str]:
    """The names that the cell tagged "parameters" assigns."""
    source = next((c.source for c in code_cells(nb) if PARAMETERS in tags(c)), "")
    try:
        names = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Name)]
    except SyntaxError:
        return set()
    return {n.id for n in names if isinstance(n.ctx, ast.Store)}


def code_key(nb: NotebookNode, parameters: dict[str, str], depends: str = "") -> str:
    """A digest of everything that decides the notebook's outputs."""
    cells = [[c.source, sorted(tags(c))] for c in code_cells(nb)]
    return digest(cells, parameters, depends)


def merged(source: NotebookNode, executed: NotebookNode) -> NotebookNode:
    """The cells of `source`, its code with the outputs of `executed`, which has the same code."""
    fresh, cells = copy.deepcopy(source), []
    done = iter(code_cells(executed))
    for cell in fresh.cells:
        cells.append(cell)
        if cell.cell_type == "code":
            ran = next(done)
            cell.outputs, cell.execution_count = ran.outputs, ran.execution_count
        if PARAMETERS in tags(cell):
            cells += [copy.deepcopy(c) for c in executed.cells if INJECTED in tags(c)]
    fresh.cells = cells
    fresh.metadata["hw3"] = executed.metadata.get("hw3", {})
    return fresh


def code_cells(nb: NotebookNode) -> list[NotebookNode]:
    """The notebook's own code cells, without the one that holds what was injected."""
    return [c for c in nb.cells if c.cell_type == "code" and INJECTED not in tags(c)]


def tags(cell: NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


def one_line(text: str) -> str:
    """The first line that says something, cut to LINE characters."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return first if len(first) <= LINE else first[: LINE - 1] + "…"


def _run(work: Coroutine) -> None:
    """Run the coroutine in a thread: in the main one nbclient takes Ctrl-C for itself."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(work)
    try:
        with ThreadPoolExecutor(1) as thread:
            done = thread.submit(loop.run_until_complete, task)
            try:
                done.result()
            except KeyboardInterrupt:
                loop.call_soon_threadsafe(task.cancel)  # the kernels end, too
                raise
    finally:
        loop.close()


async def _in_kernel(
    path: Path, nb: NotebookNode, parameters: dict[str, str], environment: dict[str, str]
) -> tuple[NotebookNode, str]:
    """The executed notebook, and what went wrong: ", cell 3 of 4 (`code`): KeyError: 'x'"."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    ready = copy.deepcopy(nb)
    if parameters:  # in a cell after the one tagged "parameters", as papermill does
        first = next(i for i, c in enumerate(ready.cells) if PARAMETERS in tags(c))
        injected = new_code_cell(_assigning(parameters), metadata={"tags": [INJECTED]})
        ready.cells.insert(first + 1, injected)
    reached = None

    def reach(cell: NotebookNode, cell_index: int) -> None:
        nonlocal reached
        reached = cell

    # this very Python, whatever kernel the notebook was saved with or a home folder has
    this = AsyncKernelManager(kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    client = NotebookClient(
        ready, km=this, timeout=None, startup_timeout=STARTED, shutdown_kernel="immediate",
        resources={"metadata": {"path": str(path.parent.resolve())}}, on_cell_execute=reach,
    )  # fmt: skip
    told = ""
    try:
        env = {**os.environ, **KERNEL, **environment}
        await client.async_execute(cleanup_kc=True, env=env, stderr=subprocess.DEVNULL)
    except CellExecutionError as error:
        told = f"{error.ename}: {one_line(error.evalue)}"
    except RuntimeError:  # also nbclient's DeadKernelError
        told = DIED
    ran = [c for c in ready.cells if c.cell_type == "code" and c.source.strip()]
    if not told and [c.execution_count for c in ran] != [*range(1, len(ran) + 1)]:
        told = "some cells were never run, or not by one kernel in order"
    own = [c for c in ready.cells if INJECTED not in tags(c)]
    number = next((n for n, c in enumerate(own, 1) if c is reached), 0)
    source = one_line(reached.source) if reached else ""
    if parameters:  # without where on this machine the data lies
        shown = {k: Path(v).name if os.path.isabs(v) else v for k, v in parameters.items()}
        injected.source = _assigning(shown)
    return merged(nb, ready), told and f", cell {number} of {len(own)} (`{source}`): {told}"


def _assigning(parameters: dict[str, str]) -> str:
    lines = [f"{name} = {value!r}" for name, value in parameters.items()]
    return "\n".join(["# the parameters of this execution", *lines])


def _still_holds(target: Path, key: str, nb: NotebookNode) -> bool:
    """Is the executed copy whole and of this code? Then Markdown that was edited is put in."""
    kept = _kept(target, key)
    if kept is not None and (fresh := merged(nb, kept)) != kept:
        write_atomic(target, nbformat.writes(fresh).encode())
    return kept is not None


def _keep(executed: NotebookNode, target: Path, made: dict[str, str]) -> None:
    """Write the executed copy with what it was made from and a digest of all of it."""
    executed.metadata["hw3"] = made
    executed.metadata["hw3"]["check"] = _check(executed)
    write_atomic(target, nbformat.writes(executed).encode())


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
    return digest(left, {k: v for k, v in executed.metadata["hw3"].items() if k != "check"})


def digest(*values: object) -> str:
    """32 hex digits of values as JSON holds them."""
    text = json.dumps(values, sort_keys=True, default=str)  # TOML has dates
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
