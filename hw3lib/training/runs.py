"""Runs: ask by Recipe; the Run is found on disk, resumed where it was killed, or trained now.

A Run is a folder: recipe, weights, history, logits on validation and test, and a record that
says when and where it was made and the SHA-256 of each file. It is written whole or not at all,
and what was trained is never changed.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import time
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from hw3lib import UserError
from hw3lib.data.faces import CLASSES
from hw3lib.data.split import Split
from hw3lib.files import ROOT, locked, new_folder, read_text, sha256, sweep
from hw3lib.models.network import WEIGHTS, Network, load_network, logits, save_network
from hw3lib.training.checkpoint import enough_memory, read_checkpoint, write_checkpoint
from hw3lib.training.loop import State, arithmetic, exact, train
from hw3lib.training.progress import reporter
from hw3lib.training.recipe import TRAINING_VERSION, Recipe

RECORD, RECIPE = "record.json", "recipe.json"
HISTORY, LOGITS = "history.csv", "logits.safetensors"
EPOCHS = "epochs.safetensors"  # logits of every epoch, where they were asked for
WEIGHT_FILE = re.compile(r"weights\.safetensors|snapshot_\d+\.safetensors")


@dataclass(frozen=True)
class Run:
    """The folder that a Recipe leaves, checked against the hashes in its record.

    scored : logits and labels of the split that was asked for, where it has another test set
        than the training had; the test set is no part of a Run's name
    """

    path: Path
    recipe: Recipe
    record: dict[str, Any]
    scored: dict[str, np.ndarray] | None = None

    def __repr__(self) -> str:
        n, accuracy = len(self.history), self.accuracy("test")
        return (
            f"Run of {self.recipe.model} ({self.path.name}): {n} epochs, test accuracy "
            f'{accuracy:.1%}\n.history, .logits("validation" or "test"), .labels(…), .network()'
        )

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row an epoch: epoch, lr, train_/validation_ loss (nats) and accuracy, seconds.

        Training figures are means over the epoch's own batches, augmented and with dropout on.
        """
        return pd.read_csv(self.path / HISTORY)

    @cached_property
    def _stored(self) -> dict[str, np.ndarray]:
        return self.scored or load_file(self.path / LOGITS)

    def _of(self, split: str, stored: dict[str, np.ndarray]) -> np.ndarray:
        if split not in stored:
            raise UserError(f"split {split!r}: a Run has validation and test")
        return stored[split]

    def logits(self, split: str) -> np.ndarray:
        """(n, 7) float32 of "validation" or "test", in the split's order, one view."""
        return self._of(split, self._stored)

    def snapshots(self, split: str) -> list[np.ndarray]:
        """The logits at the end of every cycle of the schedule, the last one's included."""
        ended = range(1, self.recipe.cycles)
        return [*(self._stored[f"{split}.{cycle}"] for cycle in ended), self.logits(split)]

    def labels(self, split: str) -> np.ndarray:
        """(n,) int64, in the same order."""
        return self._of(f"{split}_labels", self._stored)

    def accuracy(self, split: str) -> float:
        """Share of right predictions on "validation" or "test", one view."""
        return float((self.logits(split).argmax(1) == self.labels(split)).mean())

    def epoch_logits(self, split: str) -> np.ndarray:
        """(epochs, n, 7) float32 of "validation" or "test" after every epoch.

        Rounded to half precision, as they are kept.

        Raises
        ------
        UserError
            if the Run was made without them: ask `get_run` for it with `every_epoch`.
        """
        if EPOCHS not in self.record["sha256"]:
            raise UserError(f"{self.path}: holds no logits of every epoch; train it with them")
        return self._of(split, load_file(self.path / EPOCHS)).astype(np.float32)

    def network(self, device: str | torch.device = "cpu", *, cycle: int = 0) -> Network:
        """The trained network; `cycle` (1, 2, …): the snapshot at the end of that cycle.

        Raises
        ------
        UserError
            if the Run was packed without its weights.
        """
        file = self.path / weight_files(self.recipe)[cycle]
        if not file.is_file():
            raise UserError(
                f"{self.path}: packed without weights; train it here with hw3 train, "
                "or pack it again with --weights"
            )
        return load_network(file, device=device)


def runs_folder() -> Path:
    """HW3_RUNS, else runs/ of the repository."""
    return Path(os.environ.get("HW3_RUNS") or ROOT / "runs")


def device_of() -> str:
    """Where trainings run unless told otherwise."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def run_path(recipe: Recipe, root: Path | None = None) -> Path:
    return (root or runs_folder()) / f"{recipe.model}-{recipe.hash}"


def checkpoint_of(path: Path) -> Path:
    """Where the checkpoint of a Run in the making lies."""
    return path.parent / f".{path.name}.checkpoint"


def weight_files(recipe: Recipe) -> list[str]:
    """The weights of the network, then those at the end of each earlier cycle."""
    return [WEIGHTS, *(f"snapshot_{cycle}.safetensors" for cycle in range(1, recipe.cycles))]


def open_run(path: Path, recipe: Recipe | None = None) -> Run:
    """The Run in a folder; of this Recipe and version of the training code, where one is given.

    Raises
    ------
    UserError
        if a file is missing or does not have the hash that its record states, or if the Run is
        another Recipe's.
    """
    try:
        record = json.loads(read_text(path / RECORD))
        for name, digest in _hashes(record).items():
            left_out = WEIGHT_FILE.fullmatch(name) and record.get("packed")
            if not (left_out and not (path / name).exists()) and sha256(path / name) != digest:
                raise ValueError(f"{name}: checksum mismatch")
        values = json.loads(read_text(path / RECIPE))
        run = Run(path, Recipe(**values), record)
        _check_contents(run)
        if recipe and (run.recipe, record.get("hash")) != (recipe, recipe.hash):
            raise ValueError("it is the Run of another recipe or another version of the code")
    except PermissionError as error:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from None
    except (UserError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError,
            SafetensorError) as error:  # fmt: skip
        raise UserError(
            f"{path}: damaged Run ({error}); delete the folder to train it again"
        ) from None
    return run


def belongs(name: str) -> bool:
    """Whether a file of that name is part of a Run."""
    return name in (RECORD, RECIPE, HISTORY, LOGITS, EPOCHS) or bool(WEIGHT_FILE.fullmatch(name))


def _hashes(record: Any) -> dict[str, str]:
    """File -> SHA-256 as the record states them; ValueError for what is no file of a Run."""
    hashes = record["sha256"]
    if strange := [name for name in hashes if not belongs(name)]:
        raise ValueError(f"{strange[0][:80]!r} is no file of a Run")
    if missing := {RECIPE, HISTORY, LOGITS}.difference(hashes):
        raise ValueError(f"{RECORD}: no hash of {min(missing)}")
    return hashes


def _check_contents(run: Run) -> None:
    """ValueError where history and logits are not what a Run of this Recipe holds."""
    wanted = {"epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy"}
    if not wanted <= set(run.history) or not 1 <= run.record["kept_epoch"] <= len(run.history):
        raise ValueError(f"{HISTORY} is no table of the figures of each epoch")
    for split in ("validation", "test"):
        labels = run.labels(split)
        if labels.ndim != 1 or not np.isin(labels, range(len(CLASSES))).all():
            raise ValueError(f"{LOGITS}: {split}_labels are no classes")
        for out in run.snapshots(split):
            if out.shape != (len(labels), len(CLASSES)):
                raise ValueError(f"{LOGITS}: {out.shape} of {split} for {len(labels)} labels")


def get_run(
    recipe: Recipe,
    folds: Split,
    *,
    name: str = "",
    root: Path | None = None,
    every_epoch: bool = False,
) -> Run:
    """The Run of this Recipe on these images: found, resumed or trained.

    A Recipe whose `data` is open is that of these images: a Run belongs to its data.

    Parameters
    ----------
    name : shown in progress and error lines
    every_epoch : with the logits of every epoch; a Run that is there without them is trained again

    Raises
    ------
    UserError
        if the Recipe names other data than `folds`, if the Run on disk is damaged, or if memory
        does not suffice.
    """
    if recipe.data and recipe.data != folds.fingerprint:
        raise UserError(
            f"recipe {name or recipe.model}: made for data {recipe.data}, these are "
            f"{folds.fingerprint}; open the study with the data it was made for"
        )
    recipe, name = replace(recipe, data=folds.fingerprint), name or recipe.model
    path = run_path(recipe, root)
    if not (run := _made(path, recipe, folds, every_epoch)):
        with locked(path, f"{name}: another process is making this Run; waiting for it"):
            sweep(path.parent, path.name, age=0)
            sweep(path.parent, checkpoint_of(path).name, age=0)
            if not (run := _made(path, recipe, folds, every_epoch)):
                _train_into(path, recipe, folds, name, every_epoch)
                run = open_run(path, recipe)
    if run.record["test_fingerprint"] == folds.test_fingerprint:
        return run
    members = [run.network(cycle=c) for c in range(recipe.cycles)]
    return replace(run, scored=_split_logits(members, recipe, folds, torch.device("cpu")))


def _made(path: Path, recipe: Recipe, folds: Split, every_epoch: bool) -> Run | None:
    """The Run, if it is there and holds the logits that are asked for."""
    if not path.exists():
        return None
    run = open_run(path, recipe)
    if every_epoch and (
        EPOCHS not in run.record["sha256"]
        or run.record["test_fingerprint"] != folds.test_fingerprint
    ):
        return None
    with contextlib.suppress(OSError):  # of a kill between the Run and its end
        checkpoint_of(path).unlink()
    return run


def _train_into(path: Path, recipe: Recipe, folds: Split, name: str, every_epoch: bool) -> None:
    device, checkpoint = torch.device(device_of()), checkpoint_of(path)
    resume = read_checkpoint(checkpoint, recipe, device)
    if resume and every_epoch and len(resume.logits) < len(resume.history):
        resume = None  # of a training that was not asked for them
    due, report = 0.0, reporter(name, recipe)
    if resume:
        report.resumed(len(resume.history))

    def after_epoch(state: State) -> None:
        nonlocal due
        if (now := time.perf_counter()) >= due:
            write_checkpoint(checkpoint, state, recipe, device)
            wrote = time.perf_counter()
            due = wrote + 20 * (wrote - now)  # checkpoints take at most 5 % of a training
        report.epoch(state.history)

    with enough_memory(name, recipe):
        teachers = [_teacher(path.parent / folder, device) for folder in recipe.teacher.split()]
        network, state = train(
            recipe, folds, device=device, resume=resume, after_epoch=after_epoch,
            every_epoch=every_epoch, teachers=teachers,
        )  # fmt: skip
    report.close()
    with new_folder(path) as part:
        _write_files(part, recipe, folds, network, state, device)
        epochs, best = len(state.history), recipe.select == "best"
        record = {
            "hash": recipe.hash,
            "training_version": TRAINING_VERSION,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(sum(row["seconds"] for row in state.history), 1),
            "resumed": bool(resume),
            "epochs_run": epochs,
            "best_epoch": state.best_epoch,
            "kept_epoch": state.best_epoch if best else epochs,
            "test_fingerprint": folds.test_fingerprint,
            "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
            "arithmetic": arithmetic(recipe, device),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            "python": platform.python_version(),
            "torch": torch.__version__,
            "sha256": {p.name: sha256(p) for p in sorted(part.iterdir())},
        }
        (part / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
    checkpoint.unlink(missing_ok=True)


def _teacher(path: Path, device: torch.device) -> Network:
    if not path.exists():
        raise UserError(f"{path}: the Run of a teacher is missing; train it first, with hw3 train")
    return open_run(path).network(device)


def _write_files(
    part: Path, recipe: Recipe, folds: Split, network: Network, state: State, device
) -> None:
    """All files of a Run but its record."""
    metadata = {
        "recipe": asdict(recipe),
        "hash": recipe.hash,
        "training_version": TRAINING_VERSION,
        "fingerprint": folds.fingerprint,
    }
    members = []
    for weights in (network.model.state_dict(), *state.snapshots):
        model = deepcopy(network.model)
        model.load_state_dict(weights)
        file = part / weight_files(recipe)[len(members)]
        save_network(file, replace(network, model=model, metadata=metadata))
        # as it will be read, so that what was written is also what was scored
        members.append(load_network(file, device=device))
    (part / LOGITS).write_bytes(save(_split_logits(members, recipe, folds, device)))
    if state.logits:
        each = {s: np.stack([e[s].numpy() for e in state.logits]) for s in state.logits[0]}
        (part / EPOCHS).write_bytes(save(each))
    (part / RECIPE).write_text(json.dumps(asdict(recipe), indent=1), encoding="utf-8")
    pd.DataFrame(state.history).to_csv(part / HISTORY, index=False)


def _split_logits(members: list[Network], recipe: Recipe, folds: Split, device) -> dict:
    """members : the network, then those of its snapshots"""
    stored: dict[str, np.ndarray] = {}
    with exact(recipe, device):
        for split in ("validation", "test"):
            faces = folds.take(split)
            for cycle, member in enumerate(members):
                stored[f"{split}.{cycle}" if cycle else split] = logits(member, faces.images)
            stored[f"{split}_labels"] = faces.labels
    return stored
