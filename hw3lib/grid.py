"""The grid of a profile's recipes: Runs made side by side, on this machine or on others."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from hw3lib import distributed
from hw3lib.data.split import Split
from hw3lib.recipe import Recipe
from hw3lib.runs import Run, get_run, run_path, runs_folder

GPU_SHARE = 4  # trainings on one GPU; small networks leave most of it idle
GPU_MEMORY = 8 * 2**30  # bytes set aside for each


def make_runs(
    study, names: list[str] | None = None, *, jobs: int = 0, scheduler: str = ""
) -> dict[str, Run]:
    """Every Run of a Study (or those named); those that are missing are trained side by side.

    jobs      : processes on this machine; 0 lets them share the cores, or a GPU
    scheduler : address of a dask scheduler whose workers train instead, e.g. tcp://HOST:8786

    Processes that torchrun started train one Run after the other, all of them at each.

    Raises
    ------
    UserError
        before any training, where a missing Run wants another number of processes or the
        scheduler or its workers will not do.
    """
    names = list(study.recipes) if names is None else names
    paths = {run_path(study.recipes[n]): n for n in reversed(names)}  # one name for each Run
    missing = [n for path, n in reversed(paths.items()) if not path.exists()]
    distributed.check_shared(runs_folder())
    missing = distributed.first(missing)
    for name in missing:
        distributed.check(study.recipes[name], name, len(study.folds.train))
    if scheduler and missing:
        from hw3lib.scheduler import on_workers

        made = on_workers(scheduler, study, missing)
    elif distributed.world_size() > 1:
        made = _one_by_one(study, missing)
    else:
        made = _on_this_machine(study, missing, jobs)
    for done, name in enumerate(made, start=1):
        if len(missing) > 1 and distributed.rank() == 0:
            print(f"{done} of {len(missing)} Runs made: {name}", file=sys.stderr, flush=True)
    return {n: study.run(n) for n in names}


def _on_this_machine(study, missing: list[str], jobs: int) -> Iterator[str]:
    """The names, as their Runs are made, in processes of joblib's loky.

    Recipes that take more threads go first, so that the others can fill the cores afterwards.
    """
    from joblib import Parallel, delayed

    for threads in sorted({study.recipes[n].threads for n in missing}, reverse=True):
        alike = [n for n in missing if study.recipes[n].threads == threads]
        side_by_side = min(jobs or _room_for(threads), len(alike))
        if side_by_side > 1:
            yield from Parallel(side_by_side, backend="loky", return_as="generator_unordered")(
                delayed(_make)(
                    study.recipes[n], study.folds_of(study.recipes[n]), n, study.keeps_epochs(n)
                )
                for n in alike
            )
        else:
            yield from _one_by_one(study, alike)


def _one_by_one(study, names: list[str]) -> Iterator[str]:
    for name in names:
        study.run(name)
        yield name


def _make(recipe: Recipe, folds: Split, name: str, every_epoch: bool) -> str:
    get_run(recipe, folds, name=name, every_epoch=every_epoch)
    return name


def _room_for(threads: int) -> int:
    """Trainings side by side: as the cores allow, or the memory of the GPU that they share."""
    import torch

    if not torch.cuda.is_available():
        return max(1, (os.cpu_count() or 1) // threads)
    free, _ = torch.cuda.mem_get_info()
    return max(1, min(GPU_SHARE, (os.cpu_count() or 1) // 2, free // GPU_MEMORY))
