"""Runs: ask by Recipe; the Run is found on disk, resumed where it was killed, or trained now."""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hw3lib import UserError
from hw3lib.data.faces import digest_of
from hw3lib.data.folds import Folds
from hw3lib.files import new_folder, sha256
from hw3lib.recipe import TRAINING_VERSION, Recipe

if TYPE_CHECKING:
    import pandas as pd

    from hw3lib.inference import Network
    from hw3lib.training import State

RECORD, RECIPE, WEIGHTS = "record.json", "recipe.json", "weights.safetensors"
HISTORY, LOGITS = "history.csv", "logits.safetensors"


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
        import pandas as pd

        return pd.read_csv(self.path / HISTORY)

    @property
    def best_epoch(self) -> int:
        """1-based epoch of the lowest validation loss."""
        return self.record["best_epoch"]

    @cached_property
    def _stored(self) -> dict[str, np.ndarray]:
        from safetensors.numpy import load_file

        return load_file(self.path / LOGITS)

    def logits(self, fold: str) -> np.ndarray:
        """(n, 7) float32 of "validation" or "test", in the fold's order, one view."""
        return self._stored[fold]

    def labels(self, fold: str) -> np.ndarray:
        """(n,) int64, in the same order."""
        return self._stored[f"{fold}_labels"]

    def network(self, device: str = "cpu") -> Network:
        """The trained network; a packed Run of a comparison's arm has left its weights behind."""
        from hw3lib.inference import load_network

        if not (self.path / WEIGHTS).is_file():
            raise UserError(
                f"{self.path}: packed without weights; train it here with hw3 train, "
                "or pack it again with --weights"
            )
        return load_network(self.path / WEIGHTS, device=device)


def runs_folder() -> Path:
    from hw3lib.paths import ROOT

    return Path(os.environ.get("HW3_RUNS") or ROOT / "runs")


def run_path(recipe: Recipe, root: Path | None = None) -> Path:
    return (root or runs_folder()) / f"{recipe.model}-{recipe.hash}"


def open_run(path: Path) -> Run:
    """The Run in a folder.

    Raises
    ------
    UserError
        if a file is missing or does not have the hash that its record states.
    """
    try:
        record = json.loads((path / RECORD).read_text(encoding="utf-8"))
        recipe = Recipe(**json.loads((path / RECIPE).read_text(encoding="utf-8")))
        for name, digest in record["sha256"].items():
            packed = name == WEIGHTS and record.get("packed") and not (path / name).exists()
            if not packed and sha256(path / name) != digest:
                raise ValueError(f"{name} is not what was written")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: damaged Run ({error}); delete the folder to make it anew"
        ) from None
    return Run(path, recipe, record)


def get_run(
    recipe: Recipe,
    folds: Folds,
    *,
    name: str = "",
    root: Path | None = None,
    progress: bool = True,
    device: str = "",
) -> Run:
    """The Run of this Recipe on these folds: found, resumed or trained.

    name   : shown in progress and error lines
    device : "cpu" or "cuda"; "" takes the GPU where there is one

    Raises
    ------
    UserError
        if the Recipe names other data than `folds`, or the Run on disk is damaged.
    """
    from filelock import FileLock

    if recipe.data and recipe.data != folds.fingerprint:
        raise UserError(
            f"recipe {name or recipe.model}: made for data {recipe.data}, these folds are "
            f"{folds.fingerprint}; open the study with the data it was made for"
        )
    path = run_path(recipe, root)
    if path.exists():
        run = open_run(path)
        if run.record["test_fingerprint"] == _test_fingerprint(folds):
            return run
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.parent / f".{path.name}.lock"):
        if not path.exists():
            _train_into(path, recipe, folds, name or recipe.model, progress, device)
        run = open_run(path)
        if run.record["test_fingerprint"] != _test_fingerprint(folds):
            _score_again(run, folds)
    return open_run(path)


def make_runs(study, names: list[str] | None = None, *, jobs: int = 0) -> dict[str, Run]:
    """Every Run of a Study (or those named), trained in separate processes side by side.

    jobs : processes; 0 lets them share the cores (one process on a GPU)
    """
    import torch
    from joblib import Parallel, delayed

    names = list(study.recipes) if names is None else names
    paths = {run_path(study.recipes[n]): n for n in reversed(names)}  # one name for each Run
    missing = [n for path, n in reversed(paths.items()) if not path.exists()]
    threads = max([study.recipes[n].threads for n in missing], default=1)
    limit = 1 if torch.cuda.is_available() else max(1, (os.cpu_count() or 1) // threads)
    jobs = min(jobs or limit, len(missing))
    if jobs > 1:
        Parallel(n_jobs=jobs, backend="loky")(
            delayed(get_run)(study.recipes[n], study.folds, name=n) for n in missing
        )
    return {n: study.run(n) for n in names}


def _train_into(
    path: Path, recipe: Recipe, folds: Folds, name: str, progress: bool, device: str
) -> None:
    import torch

    from hw3lib.checkpoint import read_checkpoint, write_checkpoint
    from hw3lib.progress import reporter
    from hw3lib.training import train

    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    checkpoint = path.parent / f".{path.name}.checkpoint"
    for part in path.parent.glob(f".*{path.name}*.part"):  # of a process killed while writing
        shutil.rmtree(part) if part.is_dir() else part.unlink()
    resume = read_checkpoint(checkpoint, recipe, where)
    began, report = time.perf_counter(), reporter(name, recipe, enabled=progress)
    if resume:
        report.resumed(len(resume.history))

    def after_epoch(state: State) -> None:
        write_checkpoint(checkpoint, state, recipe, where)
        report.epoch(state.history)

    network, state = train(recipe, folds, device=where, resume=resume, after_epoch=after_epoch)
    report.close()
    with new_folder(path) as part:
        _write_run(part, recipe, folds, network, state, where)
        _write_record(part, recipe, folds, state, where, time.perf_counter() - began, bool(resume))
    checkpoint.unlink(missing_ok=True)


def _write_run(
    part: Path, recipe: Recipe, folds: Folds, network: Network, state: State, device
) -> None:
    import csv
    from dataclasses import replace

    from safetensors.numpy import save

    from hw3lib.inference import load_network, logits, save_network
    from hw3lib.training import exact

    metadata = {
        "recipe": asdict(recipe),
        "hash": recipe.hash,
        "training_version": TRAINING_VERSION,
        "fingerprint": folds.fingerprint,
    }
    save_network(part / WEIGHTS, replace(network, metadata=metadata))
    stored = _fold_logits(network, recipe, folds, device)
    with exact(recipe, device):
        again = logits(
            load_network(part / WEIGHTS, device=device), folds.faces.images[folds.validation]
        )
    if not np.array_equal(again, stored["validation"]):
        raise RuntimeError(
            "the network read back from disk gives other logits than the trained one"
        )
    (part / LOGITS).write_bytes(save(stored))
    (part / RECIPE).write_text(json.dumps(asdict(recipe), indent=1), encoding="utf-8")
    with open(part / HISTORY, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(state.history[0]))
        writer.writeheader()
        writer.writerows(state.history)


def _fold_logits(network: Network, recipe: Recipe, folds: Folds, device) -> dict[str, np.ndarray]:
    from hw3lib.inference import logits
    from hw3lib.training import exact

    stored: dict[str, np.ndarray] = {}
    with exact(recipe, device):
        for fold in ("validation", "test"):
            stored[fold] = logits(network, folds.faces.images[getattr(folds, fold)])
            stored[f"{fold}_labels"] = folds.faces.labels[getattr(folds, fold)]
    return stored


def _score_again(run: Run, folds: Folds) -> None:
    """The test set is no part of a Run's name: on another one the stored logits are made anew."""
    import torch
    from safetensors.numpy import save

    stored = _fold_logits(run.network(), run.recipe, folds, torch.device("cpu"))
    with new_folder(run.path) as part:
        shutil.copytree(run.path, part, dirs_exist_ok=True)
        (part / LOGITS).write_bytes(save(stored))
        record = {**run.record, "test_fingerprint": _test_fingerprint(folds)}
        record["sha256"] = {**record["sha256"], LOGITS: sha256(part / LOGITS)}
        (part / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")


def _test_fingerprint(folds: Folds) -> str:
    return digest_of(folds.faces.digests[folds.test])


def _write_record(
    part: Path, recipe: Recipe, folds: Folds, state: State, device, seconds: float, resumed: bool
) -> None:
    import torch

    from hw3lib.training import arithmetic

    chosen = state.history[
        (state.best_epoch if recipe.select == "best" else len(state.history)) - 1
    ]
    record = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(sum(row["seconds"] for row in state.history), 1),
        "seconds_of_this_process": round(seconds, 1),
        "resumed": resumed,
        "epochs_run": len(state.history),
        "best_epoch": state.best_epoch,
        "kept_epoch": int(chosen["epoch"]),
        "stopped_early": len(state.history) < recipe.epochs,
        "test_fingerprint": _test_fingerprint(folds),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "arithmetic": arithmetic(recipe, device),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "sha256": {p.name: sha256(p) for p in sorted(part.iterdir())},
    }
    (part / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
