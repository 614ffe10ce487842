"""The grid on a dask scheduler's workers: a killed one costs its task alone, the bits are ours."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import make_faces, same_weights
from distributed import Client

from hw3lib import UserError
from hw3lib.data.split import split_faces
from hw3lib.training import workers
from hw3lib.training.recipe import Recipe
from hw3lib.training.runs import get_run, run_path
from hw3lib.training.study import Study
from hw3lib.training.workers import make_runs

TINY = Recipe(
    model="slim_resnet", width=0.25, epochs=24, batch_size=16, flip="horizontal", shift=2,
    erase=0.3, ema=0.9, lr=0.05, precision="fp32",
)  # fmt: skip


@pytest.fixture(scope="module")
def study() -> Study:
    """Two configurations over their seeds, one on a split cut again; one seed of each teaches."""
    folds = split_faces(make_faces(150, test=30))
    recipes = {}
    for seed in range(2):
        plain = replace(TINY, seed=seed)
        recipes |= {f"plain.{seed}": plain, f"random.{seed}": replace(plain, split="random")}
    study = Study("grid", folds.faces, folds, recipes, {})
    for name, recipe in recipes.items():
        recipes[name] = replace(recipe, data=study.folds_of(name).fingerprint)
    teachers = " ".join(run_path(recipes[name]).name for name in ("plain.1", "random.0"))
    pupil = replace(recipes["plain.0"], epochs=3, teacher=teachers, distillation=0.7)
    return replace(study, recipes={"pupil": pupil, **recipes})


@contextmanager
def dask(*command: str, **env: str):
    """`dask scheduler ...` or `dask worker ...` as a process of its own."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **env}
    process = subprocess.Popen([sys.executable, "-m", "dask", *command, "--no-dashboard"], env=env)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def scheduler(folder: Path):
    file = folder / "scheduler.json"
    with dask("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file)):
        until(lambda: file.exists() and file.read_text().strip().endswith("}"))
        yield json.loads(file.read_text())["address"]


def worker(address: str, runs: Path, *options: str):
    options = "--no-nanny", "--nthreads", "1", *options
    return dask("worker", address, *options, HW3_RUNS=str(runs))


def until(true, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def runs_in(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("slim_resnet-*")}


@pytest.mark.slow
@pytest.mark.faults
def test_a_killed_worker_costs_its_task_and_the_bits_are_ours(
    observed, study, tmp_path, monkeypatch
):
    """SIGKILL of a dask worker: another one takes its task over; the Runs have the bits of
    trainings here."""
    ours, *theirs = (tmp_path / name for name in ("ours", "first", "second"))
    monkeypatch.setenv("HW3_RUNS", str(ours))
    victims = []

    def kill_one(pool) -> None:
        """The first whose Run has come back and who is in the middle of another."""

        def ripe() -> list:
            return [
                (folder, process)
                for folder, process in zip(theirs, pool, strict=True)
                if (made := runs_in(folder)) and made <= runs_in(ours)
                and list(folder.glob(".*.checkpoint"))
            ]  # fmt: skip

        until(ripe)
        victims.extend(ripe()[:1])
        victims[0][1].send_signal(signal.SIGKILL)

    with ExitStack() as stack:
        address = stack.enter_context(scheduler(tmp_path))
        pool = [stack.enter_context(worker(address, folder)) for folder in theirs]
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(2)
        killer = threading.Thread(target=kill_one, args=(pool,))
        killer.start()
        runs = make_runs(study, scheduler=address)
        killer.join()
        folder, process = victims[0]
        assert process.wait() == -signal.SIGKILL
    assert list(folder.glob(".*.checkpoint"))  # of the task that the kill interrupted
    assert list(runs) == list(study.recipes)
    for name, recipe in study.recipes.items():
        assert runs[name].path.parent == ours
        for teacher in study.teachers(name):
            get_run(study.recipes[teacher], study.folds_of(teacher), root=tmp_path / "local")
        local = get_run(recipe, study.folds_of(name), root=tmp_path / "local")
        assert same_weights(runs[name].network(), local.network())
        for file in ("logits.safetensors", "recipe.json"):
            assert (runs[name].path / file).read_bytes() == (local.path / file).read_bytes()
    observed("5 Runs, the same bits", 1)


@pytest.mark.slow
def test_workers_that_will_not_do_are_named(study, tmp_path, monkeypatch):
    monkeypatch.setenv("HW3_RUNS", str(tmp_path / "ours"))
    other = tmp_path / "other_version.py"
    other.write_text(
        "import hw3lib.training.recipe\nhw3lib.training.recipe.TRAINING_VERSION = 99\n"
    )
    with (
        scheduler(tmp_path) as address,
        worker(address, tmp_path, "--preload", str(other)),
        pytest.raises(UserError, match=r"training code 99, torch .* there, training code"),
    ):
        make_runs(study, scheduler=address)


def test_an_address_where_nobody_answers_is_one_line(study, tmp_path, monkeypatch):
    monkeypatch.setenv("HW3_RUNS", str(tmp_path))
    monkeypatch.setattr(workers, "ANSWER", "0.2s")
    line = r"^--scheduler tcp://127\.0\.0\.1:9: no dask scheduler answers .*start one with: dask"
    with pytest.raises(UserError, match=line) as caught:
        make_runs(study, scheduler="tcp://127.0.0.1:9")
    assert "\n" not in str(caught.value)
