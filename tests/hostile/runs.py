"""The files of a sound Run, and archives of them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import asdict

import numpy as np
from safetensors.numpy import save

from hostile import weights
from hw3lib.training.recipe import Recipe
from hw3lib.training.runs import HISTORY, LOGITS, RECIPE, RECORD, WEIGHTS, run_path

MADE_BY = Recipe(**weights.RECIPE, epochs=1)
NAME = run_path(MADE_BY).name
N = 20
Member = tuple[tarfile.TarInfo, bytes]


def sealed(**changed: bytes) -> dict[str, bytes]:
    """The files and a record that states their hashes; `changed` are other contents, by stem."""
    figures = "train_loss,train_accuracy,validation_loss,validation_accuracy,seconds"
    stored = {}
    for split in ("validation", "test"):
        stored[split] = np.zeros((N, 7), np.float32)
        stored[f"{split}_labels"] = np.zeros(N, np.int64)
    files = {
        RECIPE: json.dumps(asdict(MADE_BY)).encode(),
        WEIGHTS: weights.whole(),
        HISTORY: f"epoch,lr,{figures}\n1,0.1,1.0,0.5,1.0,0.5,1.0\n".encode(),
        LOGITS: save(stored),
    }
    files = {name: changed.get(name.partition(".")[0], data) for name, data in files.items()}
    record = {
        "date": "2026-11-01T00:00:00+00:00", "seconds": 1.0, "resumed": False, "epochs_run": 1,
        "best_epoch": 1, "kept_epoch": 1, "test_fingerprint": "0" * 16, "device": "cpu",
        "arithmetic": "fp32", "machine": "Linux", "python": "3.11", "torch": "2.15.0",
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }  # fmt: skip
    return {**files, RECORD: json.dumps(record).encode()}


def entry(name: str, data: bytes = b"", **values: object) -> Member:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in values.items():
        setattr(info, key, value)
    return info, data


def members(files: dict[str, bytes] | None = None) -> list[Member]:
    """What an archive of one Run holds."""
    return [entry(f"{NAME}/{name}", data) for name, data in (files or sealed()).items()]


def packed(*inside: Member) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for info, data in inside:
            archive.addfile(info, io.BytesIO(data))
    return gzip.compress(out.getvalue(), 1, mtime=0)
