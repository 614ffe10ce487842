"""Many Runs side by side: processes of this machine (joblib), or workers of a dask scheduler.

README.md, "Several machines or GPUs", has the commands. The workers need this project, not the
images or a shared folder: images go there with the first task, Runs come back as their files. A
scheduler runs whatever its clients send it: use one only in a network that you trust.
"""

from __future__ import annotations

import copy
import os
import platform
import threading
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import torch
from joblib import Parallel, delayed

from hw3lib import UserError
from hw3lib.data.split import Split, recut
from hw3lib.files import new_folder
from hw3lib.training.progress import to_stderr
from hw3lib.training.recipe import TRAINING_VERSION, Recipe
from hw3lib.training.runs import Run, get_run, open_run, run_path, runs_folder
from hw3lib.training.study import Study

GPU_SHARE = 12  # trainings on one GPU: alone a small network waits for its kernels to be started
GPU_MEMORY = 3 * 2**30  # bytes set aside for each; 13 of profile gpu took 24 GB
ANSWER, WORKERS = "10s", 60  # until a scheduler answers; seconds until it has a worker

_one_at_a_time = threading.Lock()  # a training's random numbers are those of the process


def make_runs(
    study: Study, names: list[str] | None = None, *, jobs: int = 0, scheduler: str = ""
) -> dict[str, Run]:
    """Every Run of a Study (or those named); those that are missing are trained side by side.

    Parameters
    ----------
    jobs : processes on this machine; 0 lets them share the cores, or a GPU
    scheduler : address of a dask scheduler whose workers train instead, e.g. tcp://HOST:8786

    Raises
    ------
    UserError
        where a training fails for a reason that the user can fix, or the scheduler or its workers
        will not do.
    """
    names = list(study.recipes) if names is None else names
    paths = {run_path(study.recipes[n]): n for n in reversed(names)}  # one name for each Run
    missing = [n for path, n in reversed(paths.items()) if not path.exists()]
    # teachers before all others, those they teach next
    teachers = [t for n in missing for t in study.teachers(n)]
    first = [t for t in dict.fromkeys(teachers) if not run_path(study.recipes[t]).exists()]
    rest = [n for n in missing if n not in first]
    rest.sort(key=lambda n: not study.recipes[n].teacher)
    missing = [*first, *rest]
    waves = [wave for wave in (first, rest) if wave]
    if scheduler:
        made = chain.from_iterable(_on_workers(scheduler, study, wave) for wave in waves)
    else:
        made = chain.from_iterable(_on_this_machine(study, wave, jobs) for wave in waves)
    for done, name in enumerate(made, start=1):
        if len(missing) > 1:
            to_stderr(f"{done} of {len(missing)} Runs made: {name}")
    return {n: study.run(n) for n in names}


def _on_this_machine(study: Study, missing: list[str], jobs: int) -> Iterator[str]:
    """The names, as their Runs are made, in processes of joblib's loky.

    Recipes that take more threads go first, so that the others can fill the cores afterwards.
    """
    for threads in sorted({study.recipes[n].threads for n in missing}, reverse=True):
        alike = [n for n in missing if study.recipes[n].threads == threads]
        side_by_side = min(jobs or _room_for(threads), len(alike))
        if side_by_side > 1:
            # what was lost when a training is killed is told in our line, not also in joblib's
            os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker:UserWarning")
            yield from Parallel(side_by_side, return_as="generator_unordered")(
                delayed(_make)(study.recipes[n], study.folds_of(n), n, study.keeps_epochs(n))
                for n in alike
            )
        else:
            for name in alike:
                study.run(name)
                yield name


def _make(recipe: Recipe, folds: Split, name: str, every_epoch: bool) -> str:
    get_run(recipe, folds, name=name, every_epoch=every_epoch)
    return name


def _room_for(threads: int) -> int:
    """Trainings side by side: as the cores allow, or the memory of the GPU that they share."""
    cores = os.cpu_count() or 1
    if not torch.cuda.is_available():
        return max(1, cores // threads)
    free, _ = torch.cuda.mem_get_info()
    return max(1, min(GPU_SHARE, cores - 1, free // GPU_MEMORY))


def _on_workers(address: str, study: Study, names: list[str]) -> Iterator[str]:
    """The names, as their Runs come back; what a killed worker was at goes to another one."""
    from distributed import as_completed  # dask takes a second, and only this needs it

    with _connected(address) as client:
        # a task, not scattered data: dask makes it again when the worker that held it dies
        folds = client.submit(copy.copy, study.folds, pure=False)
        tasks = {
            client.submit(
                _train_there, folds, study.recipes[n], n, study.keeps_epochs(n), _version(),
                {run_path(study.recipes[t]).name: _files(study.run(t)) for t in study.teachers(n)},
                key=f"{n}-{study.recipes[n].hash}", pure=False, retries=3,
            ): n
            for n in names
        }  # fmt: skip
        for task in as_completed(tasks, loop=client.loop):
            name = tasks[task]
            if task.status != "finished":
                error = task.exception()
                if isinstance(error, UserError):
                    raise error
                raise UserError(
                    f"--scheduler {address}: {name}: {type(error).__name__} there ({error}); "
                    "look at the workers' logs (dask worker --memory-limit; is this version of "
                    "hw3lib installed there?), give the command again"
                )
            _keep(task.result(), run_path(study.recipes[name]), study.recipes[name])
            task.release()  # else dask would make it again when the worker that made it dies
            yield name


def _connected(address: str):
    """A client of the scheduler; UserError if none answers or it has no worker."""
    from distributed import Client

    try:
        client = Client(address, timeout=ANSWER, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise UserError(
            f"--scheduler {address}: no dask scheduler answers ({error}); start one with: dask "
            "scheduler, and give the address that it shows, e.g. tcp://HOST:8786"
        ) from None
    try:
        client.wait_for_workers(1, timeout=WORKERS)
    except TimeoutError:
        client.close()
        raise UserError(
            f"--scheduler {address}: it has no workers; start some with: dask worker {address} "
            "--nthreads 1"
        ) from None
    return client


def _version() -> str:
    """What has to be the same here and where a Run is made; whichever GPU torch was built for."""
    return f"training code {TRAINING_VERSION}, torch {torch.__version__.partition('+')[0]}"


def _train_there(
    folds: Split,
    recipe: Recipe,
    name: str,
    every_epoch: bool,
    version: str,
    teachers: dict[str, dict[str, bytes]],
) -> dict[str, bytes]:
    """In a worker: the files of the Run, which is found, resumed or trained there.

    teachers : the files of the Runs that teach it, by the names of their folders
    """
    if version != _version():
        raise UserError(
            f"worker on {platform.node()}: {_version()} there, {version} here; "
            "install the same versions"
        )
    with _one_at_a_time:
        for folder, files in teachers.items():
            _keep(files, runs_folder() / folder)
        cut = recut(folds, recipe.split, recipe.seed)
        run = get_run(recipe, cut, name=name, every_epoch=every_epoch)
    return _files(run)


def _files(run: Run) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.path.iterdir()}


def _keep(files: dict[str, bytes], path: Path, recipe: Recipe | None = None) -> None:
    """Into the runs folder, checked, where a shared one does not hold the Run already."""
    if path.exists():
        return
    with new_folder(path) as part:
        for name, data in files.items():
            (part / Path(name).name).write_bytes(data)
        open_run(part, recipe)
