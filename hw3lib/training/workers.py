"""Many Runs side by side: processes of this machine (joblib), or workers of a dask scheduler.

    dask scheduler                                            on one machine
    dask worker tcp://HOST:8786 --nthreads 1 --nworkers 2     on each that trains, one for each GPU
    hw3 train --profile cpu --scheduler tcp://HOST:8786       on yours

The workers need this project, not the images or a shared folder: images go there with the first
task, Runs come back as archives. A scheduler runs whatever its clients send it: use one only in a
network that you trust.
"""

from __future__ import annotations

import io
import os
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import torch
from joblib import Parallel, delayed

from hw3lib import UserError
from hw3lib.data.split import Split, recut
from hw3lib.training.pack import add_run, unpack
from hw3lib.training.recipe import TRAINING_VERSION, Recipe
from hw3lib.training.runs import Run, get_run, run_path, runs_folder
from hw3lib.training.study import Study

GPU_SHARE = 4  # trainings on one GPU; small networks leave most of it idle
GPU_MEMORY = 8 * 2**30  # bytes set aside for each
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
    if scheduler and missing:
        made = _on_workers(scheduler, study, missing)
    else:
        made = _on_this_machine(study, missing, jobs)
    for done, name in enumerate(made, start=1):
        if len(missing) > 1:
            print(f"{done} of {len(missing)} Runs made: {name}", file=sys.stderr, flush=True)
    return {n: study.run(n) for n in names}


def _on_this_machine(study: Study, missing: list[str], jobs: int) -> Iterator[str]:
    """The names, as their Runs are made, in processes of joblib's loky.

    Recipes that take more threads go first, so that the others can fill the cores afterwards.
    """
    for threads in sorted({study.recipes[n].threads for n in missing}, reverse=True):
        alike = [n for n in missing if study.recipes[n].threads == threads]
        side_by_side = min(jobs or _room_for(threads), len(alike))
        if side_by_side > 1:
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
    return max(1, min(GPU_SHARE, cores // 2, free // GPU_MEMORY))


def _on_workers(address: str, study: Study, names: list[str]) -> Iterator[str]:
    """The names, as their Runs come back; what a killed worker was at goes to another one."""
    from distributed import as_completed  # dask takes a second, and only this needs it

    with _connected(address) as client:
        # a task, not scattered data: dask makes it again when the worker that held it dies
        folds = client.submit(_handed_over, study.folds, pure=False)
        tasks = {
            client.submit(
                _train_there, folds, study.recipes[n], n, study.keeps_epochs(n), _versions(),
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
                    "look at the workers' logs (dask worker --memory-limit), give the command again"
                )
            _unpack(task.result(), run_path(study.recipes[name]))
            task.release()  # else dask would make it again when the worker that made it dies
            yield name


def _connected(address: str):
    """A client of the scheduler, once it and its workers are known to do.

    Raises
    ------
    UserError
        if no scheduler answers, if it has no worker, or if a worker has another version of the
        training code or of torch.
    """
    from distributed import Client

    how = f"start some with: dask worker {address} --nthreads 1"
    try:
        client = Client(address, timeout=ANSWER, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise UserError(
            f"--scheduler {address}: no dask scheduler answers ({error}); start one with: dask "
            "scheduler, and give the address that it shows, e.g. tcp://HOST:8786"
        ) from None
    try:
        client.wait_for_workers(1, timeout=WORKERS)
        for worker, told in client.run(_versions, on_error="return").items():
            if isinstance(told, Exception):
                raise UserError(f"worker {worker}: {told}; install this version of hw3lib there")
            _check(_versions(), told, worker)
    except TimeoutError:
        client.close()
        raise UserError(f"--scheduler {address}: it has no workers; {how}") from None
    except UserError:
        client.close()
        raise
    return client


def _versions() -> dict[str, str]:
    """What has to be the same here and where a Run is made."""
    return {
        "hw3lib's training code": str(TRAINING_VERSION),
        "torch": torch.__version__.partition("+")[0],  # whichever GPU it was built for
    }


def _check(wanted: dict[str, str], told: dict[str, str], worker: str) -> None:
    for name, version in wanted.items():
        if told[name] != version:
            raise UserError(
                f"worker {worker}: {name} is {told[name]} there and {version} here; "
                "install the same version"
            )


def _handed_over(folds: Split) -> Split:
    return folds


def _train_there(
    folds: Split, recipe: Recipe, name: str, every_epoch: bool, wanted: dict[str, str]
) -> bytes:
    """In a worker: the archive of the Run, which is found, resumed or trained there."""
    _check(wanted, _versions(), "that came later")
    with _one_at_a_time:
        cut = recut(folds, recipe.split, recipe.seed)
        run = get_run(recipe, cut, name=name, every_epoch=every_epoch)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        add_run(archive, run)
    return buffer.getvalue()


def _unpack(archive: bytes, path: Path) -> None:
    """Into the runs folder, where a shared one does not hold the Run already."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{path.name}.tar.gz"
        file.write_bytes(archive)
        unpack(file, runs_folder())
    if not path.exists():
        raise UserError(f"{path.name}: a worker sent another Run")
