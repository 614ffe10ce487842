"""Runs: ask by Recipe; the Run is found on disk, resumed where it was killed, or trained now."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hw3lib import UserError, distributed
from hw3lib.data.split import Split
from hw3lib.files import locked, new_folder, parts_of, sweep
from hw3lib.reading import parse_json, read_text
from hw3lib.recipe import Recipe
from hw3lib.run_files import (
    EPOCHS,
    LOGITS,
    RECIPE,
    WEIGHT_FILE,
    check_file,
    read_history,
    read_logits,
    read_record,
    score_again,
    test_fingerprint,
    weight_files,
    write_record,
    write_run,
)

if TYPE_CHECKING:
    import pandas as pd

    from hw3lib.models.network import Network
    from hw3lib.training import State


@dataclass(frozen=True)
class Run:
    """The folder that a Recipe leaves, checked against the hashes in its record."""

    path: Path
    recipe: Recipe
    record: dict[str, Any]

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row an epoch: epoch, lr, train_/validation_ loss (nats) and accuracy, seconds.

        Training figures are means over the epoch's own batches, augmented and with dropout on.
        """
        try:
            return read_history(self.path, self.record)
        except ValueError as error:
            raise damaged(self.path, error) from None

    @property
    def best_epoch(self) -> int:
        """1-based epoch of the lowest validation loss."""
        return self.record["best_epoch"]

    @cached_property
    def _stored(self) -> dict[str, np.ndarray]:
        data = (self.path / LOGITS).read_bytes()
        if hashlib.sha256(data).hexdigest() != self.record["sha256"][LOGITS]:
            raise UserError(
                f"{self.path}: changed since it was opened, by a process with another test set or "
                "by damage; give the command again when the other has ended"
            )
        try:
            return read_logits(data, self.recipe)
        except ValueError as error:
            raise damaged(self.path, error) from None

    def logits(self, fold: str) -> np.ndarray:
        """(n, 7) float32 of "validation" or "test", in the fold's order, one view."""
        return self._stored[fold]

    def snapshots(self, fold: str) -> list[np.ndarray]:
        """The logits at the end of every cycle of the schedule, the last one's included."""
        ended = range(1, self.recipe.cycles)
        return [*(self._stored[f"{fold}.{cycle}"] for cycle in ended), self.logits(fold)]

    def labels(self, fold: str) -> np.ndarray:
        """(n,) int64, in the same order."""
        return self._stored[f"{fold}_labels"]

    def epoch_logits(self, fold: str) -> np.ndarray:
        """(epochs, n, 7) float32 of "validation" or "test" after every epoch, in the fold's order.

        Rounded to half precision, as they are kept.

        Raises
        ------
        UserError
            if the Run was made without them: ask `get_run` for it with `every_epoch`.
        """
        from safetensors.numpy import load

        if EPOCHS not in self.record["sha256"]:
            raise UserError(f"{self.path}: holds no logits of every epoch; train it with them")
        check_file(self.path, EPOCHS, self.record["sha256"][EPOCHS])
        return load((self.path / EPOCHS).read_bytes())[fold].astype(np.float32)

    def network(self, device: str = "cpu", *, cycle: int = 0) -> Network:
        """The trained network; a packed Run of a comparison's arm has left its weights behind.

        cycle : the snapshot at the end of this cycle of the schedule (1, 2, ...) instead
        """
        from hw3lib.models.network import load_network

        file = self.path / weight_files(self.recipe)[cycle]
        if not file.is_file():
            raise UserError(
                f"{self.path}: packed without weights; train it here with hw3 train, "
                "or pack it again with --weights"
            )
        return load_network(file, device=device)


def runs_folder() -> Path:
    from hw3lib.paths import ROOT

    return Path(os.environ.get("HW3_RUNS") or ROOT / "runs")


def device_of() -> str:
    """Where trainings run unless told otherwise."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def run_path(recipe: Recipe, root: Path | None = None) -> Path:
    return (root or runs_folder()) / f"{recipe.model}-{recipe.hash}"


def checkpoint_of(path: Path) -> Path:
    """Where the checkpoint of a Run in the making lies."""
    return path.parent / f".{path.name}.checkpoint"


def open_run(path: Path, recipe: Recipe | None = None) -> Run:
    """The Run in a folder; of this Recipe and version of the training code, where one is given.

    Raises
    ------
    UserError
        if a file is missing or does not have the hash that its record states, if the record is
        not what was written, or if the Run is another Recipe's.
    """
    try:
        record = read_record(path)
        for name in record["sha256"]:
            packed = WEIGHT_FILE.fullmatch(name) and record.get("packed")
            left_out = packed and not (path / name).exists()
            if not left_out:
                check_file(path, name, record["sha256"][name])
        held = Recipe(**parse_json(read_text(path / RECIPE)))
        if recipe and (held, record.get("hash", recipe.hash)) != (recipe, recipe.hash):
            raise ValueError("it is the Run of another recipe or another version of the code")
    except PermissionError as error:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from None
    except (UserError, OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(path, error) from None
    return Run(path, held, record)


def damaged(path: Path, why: object) -> UserError:
    return UserError(f"{path}: damaged Run ({why}); delete the folder to make it anew")


def get_run(
    recipe: Recipe,
    folds: Split,
    *,
    name: str = "",
    root: Path | None = None,
    progress: bool | Callable[[str], None] = True,
    device: str = "",
    every_epoch: bool = False,
) -> Run:
    """The Run of this Recipe on these folds: found, resumed or trained.

    name     : shown in progress and error lines
    progress : shown here; or a function that is given each line of it
    device   : "cpu" or "cuda"; "" takes the GPU where there is one
    every_epoch : with the logits of every epoch; a Run that is there without them is made again

    A Recipe without `data` is that of these folds: a Run belongs to its data.

    Raises
    ------
    UserError
        if the Recipe names other data than `folds`, or the Run on disk is damaged.
    """
    if recipe.data and recipe.data != folds.fingerprint:
        raise UserError(
            f"recipe {name or recipe.model}: made for data {recipe.data}, these folds are "
            f"{folds.fingerprint}; open the study with the data it was made for"
        )
    recipe = replace(recipe, data=folds.fingerprint)
    path = run_path(recipe, root)

    def serves(run: Run) -> bool:
        return not every_epoch or EPOCHS in run.record["sha256"]

    if distributed.first(path.exists()):
        run = open_run(path, recipe)
        with contextlib.suppress(OSError):  # a kill between the Run and its checkpoint's end
            checkpoint_of(path).unlink()
        sweep(path.parent, path.name)
        if run.record["test_fingerprint"] == test_fingerprint(folds) and serves(run):
            return run
    name, leads = name or recipe.model, distributed.rank() == 0
    waiting = f"{name}: another process is making this Run; waiting for it" if progress else ""
    with locked(path, waiting) if leads else contextlib.nullcontext():
        missing = leads and not (
            (path.exists() or _left_whole(path, recipe)) and serves(open_run(path, recipe))
        )
        if distributed.first(missing):
            _train_into(path, recipe, folds, name, progress, device, every_epoch)
        if leads:
            run = open_run(path, recipe)
            if run.record["test_fingerprint"] != test_fingerprint(folds):
                score_again(run, folds)
            sweep(path.parent, path.name)
    distributed.first(None)  # the other processes wait until the Run is there
    return open_run(path, recipe)


def _left_whole(path: Path, recipe: Recipe) -> bool:
    """Whether a process that was killed had written the Run in full; it is taken as it is."""
    for part in parts_of(path.parent, path.name):
        with contextlib.suppress(UserError):
            open_run(part, recipe)
            os.replace(part, path)
            return True
    return False


def _train_into(
    path: Path, recipe: Recipe, folds: Split, name: str, progress, device: str, every_epoch: bool
) -> None:
    import torch

    from hw3lib.checkpoint import read_checkpoint, write_checkpoint
    from hw3lib.memory import train_within_memory
    from hw3lib.progress import reporter

    distributed.check(recipe, name, len(folds.train))
    where, leads = torch.device(device or device_of()), distributed.rank() == 0
    checkpoint = checkpoint_of(path)
    resume = read_checkpoint(checkpoint, recipe, where)
    if resume and every_epoch and len(resume.logits) < len(resume.history):
        resume = None  # of a training that was not asked for them
    began, report = time.perf_counter(), reporter(name, recipe, leads and progress)
    if resume:
        report.resumed(len(resume.history))

    due = 0.0

    def after_epoch(state: State) -> None:
        nonlocal due
        if not leads:
            return
        if (now := time.perf_counter()) >= due:
            write_checkpoint(checkpoint, state, recipe, where)
            wrote = time.perf_counter()
            due = wrote + 20 * (wrote - now)  # checkpoints take at most 5 % of a training
        report.epoch(state.history)

    network, state = train_within_memory(
        name,
        recipe,
        folds,
        device=where,
        resume=resume,
        after_epoch=after_epoch,
        every_epoch=every_epoch,
    )
    report.close()
    if not leads:
        return
    with new_folder(path) as part:
        write_run(part, recipe, folds, network, state, where)
        write_record(part, recipe, folds, state, where, time.perf_counter() - began, bool(resume))
    checkpoint.unlink(missing_ok=True)
