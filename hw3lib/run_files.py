"""The files of a Run's folder, and how they are written."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hw3lib.data.faces import CLASSES, digest_of
from hw3lib.data.split import Split
from hw3lib.files import new_folder, sha256
from hw3lib.reading import parse_json, read_text
from hw3lib.recipe import TRAINING_VERSION, Recipe

if TYPE_CHECKING:
    import pandas as pd

    from hw3lib.models.network import Network
    from hw3lib.runs import Run
    from hw3lib.training import State

RECORD, RECIPE, WEIGHTS = "record.json", "recipe.json", "weights.safetensors"
HISTORY, LOGITS = "history.csv", "logits.safetensors"
EPOCHS = "epochs.safetensors"  # logits of every epoch, where they were asked for
ALWAYS = (RECIPE, HISTORY, LOGITS)  # what no Run is without
WEIGHT_FILE = re.compile(r"weights\.safetensors|snapshot_\d+\.safetensors")
# fields of a record from before records had a check of their own
UNSEALED = {
    "date", "seconds", "seconds_of_this_process", "resumed", "epochs_run", "best_epoch",
    "kept_epoch", "stopped_early", "test_fingerprint", "device", "arithmetic", "machine", "python",
    "torch", "sha256", "packed",
}  # fmt: skip
# what every record states, and what every epoch of a history
STATED = {
    "date": str, "seconds": (int, float), "best_epoch": int, "kept_epoch": int,
    "test_fingerprint": str, "device": str, "machine": str, "torch": str, "sha256": dict,
}  # fmt: skip
FIGURES = {"epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy"}


def weight_files(recipe: Recipe) -> list[str]:
    """The weights of the network, then those at the end of each earlier cycle."""
    return [WEIGHTS, *(f"snapshot_{cycle}.safetensors" for cycle in range(1, recipe.cycles))]


def write_run(
    part: Path, recipe: Recipe, folds: Split, network: Network, state: State, device
) -> None:
    import csv
    from copy import deepcopy
    from dataclasses import replace

    from safetensors.numpy import save

    from hw3lib.models.network import load_network, logits, save_network
    from hw3lib.training import exact

    metadata = {
        "recipe": asdict(recipe),
        "hash": recipe.hash,
        "training_version": TRAINING_VERSION,
        "fingerprint": folds.fingerprint,
    }
    members = [network]
    for weights in state.snapshots:
        model = deepcopy(network.model)
        model.load_state_dict(weights)
        members.append(replace(network, model=model))
    for file, member in zip(weight_files(recipe), members, strict=True):
        save_network(part / file, replace(member, metadata=metadata))
    stored = _fold_logits(members, recipe, folds, device)
    with exact(recipe, device):
        again = logits(
            load_network(part / WEIGHTS, device=device), folds.faces.images[folds.validation]
        )
    if not np.array_equal(again, stored["validation"]):
        raise RuntimeError(
            "the network read back from disk gives other logits than the trained one"
        )
    (part / LOGITS).write_bytes(save(stored))
    if state.logits:
        folds_of_epochs = {
            fold: np.stack([epoch[fold].numpy() for epoch in state.logits])
            for fold in state.logits[0]
        }
        (part / EPOCHS).write_bytes(save(folds_of_epochs))
    (part / RECIPE).write_text(json.dumps(asdict(recipe), indent=1), encoding="utf-8")
    with open(part / HISTORY, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(state.history[0]))
        writer.writeheader()
        writer.writerows(state.history)


def _fold_logits(
    members: list[Network], recipe: Recipe, folds: Split, device
) -> dict[str, np.ndarray]:
    """members : the network, then those of its snapshots"""
    from hw3lib.models.network import logits
    from hw3lib.training import exact

    stored: dict[str, np.ndarray] = {}
    with exact(recipe, device):
        for fold in ("validation", "test"):
            rows = getattr(folds, fold)
            for cycle, member in enumerate(members):
                name = f"{fold}.{cycle}" if cycle else fold
                stored[name] = logits(member, folds.faces.images[rows])
            stored[f"{fold}_labels"] = folds.faces.labels[rows]
    return stored


def score_again(run: Run, folds: Split) -> None:
    """The test set is no part of a Run's name: on another one the stored logits are made anew."""
    import torch
    from safetensors.numpy import save

    members = [run.network(cycle=c) for c in range(run.recipe.cycles)]
    stored = _fold_logits(members, run.recipe, folds, torch.device("cpu"))
    with new_folder(run.path) as part:
        shutil.copytree(run.path, part, dirs_exist_ok=True)
        (part / LOGITS).write_bytes(save(stored))
        record = {**run.record, "test_fingerprint": test_fingerprint(folds)}
        record["sha256"] = {**record["sha256"], LOGITS: sha256(part / LOGITS)}
        (part / EPOCHS).unlink(missing_ok=True)  # of the other test set
        record["sha256"].pop(EPOCHS, None)
        (part / RECORD).write_text(sealed(record), encoding="utf-8")


def test_fingerprint(folds: Split) -> str:
    return digest_of(folds.faces.digests[folds.test])


def write_record(
    part: Path, recipe: Recipe, folds: Split, state: State, device, seconds: float, resumed: bool
) -> None:
    import torch

    from hw3lib.training import arithmetic

    chosen = state.history[
        (state.best_epoch if recipe.select == "best" else len(state.history)) - 1
    ]
    record = {
        "hash": recipe.hash,
        "training_version": TRAINING_VERSION,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(sum(row["seconds"] for row in state.history), 1),
        "seconds_of_this_process": round(seconds, 1),
        "resumed": resumed,
        "epochs_run": len(state.history),
        "best_epoch": state.best_epoch,
        "kept_epoch": int(chosen["epoch"]),
        "stopped_early": len(state.history) < recipe.epochs,
        "test_fingerprint": test_fingerprint(folds),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "arithmetic": arithmetic(recipe, device),
        "processes": recipe.processes,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "sha256": {p.name: sha256(p) for p in sorted(part.iterdir())},
    }
    (part / RECORD).write_text(sealed(record), encoding="utf-8")


def sealed(record: dict[str, Any]) -> str:
    """The text of a record; its last field is the SHA-256 of the text without it."""
    check = hashlib.sha256(json.dumps(record, indent=1).encode()).hexdigest()
    return json.dumps({**record, "check": check}, indent=1)


def read_record(folder: Path) -> dict[str, Any]:
    """The record of a Run's folder, without its check.

    Raises
    ------
    OSError, ValueError
        where it is missing or is not, to the byte, what was written.
    """
    text = read_text(folder / RECORD)
    record = parse_json(text)
    if not isinstance(record, dict):
        raise ValueError(f"{RECORD} holds no record")
    old = "check" not in record and set(record) <= UNSEALED
    record.pop("check", None)
    if not old and text != sealed(record):
        raise ValueError(f"{RECORD} is not what was written")
    for name, kind in STATED.items():
        if not isinstance(record.get(name), kind):
            raise ValueError(f"{RECORD}: {name} is missing or of another type")
    for name in record["sha256"]:
        if name not in (*ALWAYS, EPOCHS) and not WEIGHT_FILE.fullmatch(name):
            raise ValueError(f"{name[:80]!r} is no file of a Run")
    if missing := [name for name in ALWAYS if name not in record["sha256"]]:
        raise ValueError(f"{RECORD}: no hash of {missing[0]}")
    return record


def check_file(folder: Path, name: str, digest: object) -> None:
    """ValueError where a file of a Run is no file or does not have this SHA-256."""
    if (folder / name).exists() and not (folder / name).is_file():
        raise ValueError(f"{name} is no regular file")
    if sha256(folder / name) != digest:
        raise ValueError(f"{name} is not what was written")


def read_history(folder: Path, record: dict[str, Any]) -> pd.DataFrame:
    """history.csv; ValueError where it is no table of numbers, a row an epoch."""
    import pandas as pd

    try:
        table = pd.read_csv(folder / HISTORY)
    except (ValueError, pd.errors.ParserError) as error:
        raise ValueError(f"{HISTORY}: {error}") from None
    numeric = all(pd.api.types.is_numeric_dtype(kind) for kind in table.dtypes)
    if not numeric or not set(table.columns) >= FIGURES:
        raise ValueError(f"{HISTORY} is no table of the figures of each epoch")
    if table["epoch"].tolist() != list(range(1, len(table) + 1)):
        raise ValueError(f"{HISTORY} does not count its epochs")
    if not 1 <= record["kept_epoch"] <= len(table):
        raise ValueError(f"{HISTORY} has {len(table)} epochs, kept_epoch is another")
    return table


def read_logits(data: bytes, recipe: Recipe) -> dict[str, np.ndarray]:
    """logits.safetensors; ValueError where an array is missing or of another shape."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        stored = load(data)
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{LOGITS}: {error}") from None
    for fold in ("validation", "test"):
        labels = stored.get(f"{fold}_labels")
        if labels is None or labels.ndim != 1 or not np.isin(labels, range(len(CLASSES))).all():
            raise ValueError(f"{LOGITS}: {fold}_labels are missing or no classes")
        for name in (fold, *(f"{fold}.{cycle}" for cycle in range(1, recipe.cycles))):
            have = getattr(stored.get(name), "shape", "missing")
            if have != (len(labels), len(CLASSES)):
                raise ValueError(f"{LOGITS}: {name} is {have}, not {(len(labels), len(CLASSES))}")
    return stored
