"""The files of a sound Run, and archives of them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import asdict
from functools import cache

import numpy as np

from hostile import weights

RECORD, RECIPE, WEIGHTS = "record.json", "recipe.json", "weights.safetensors"
N = 20
Member = tuple[tarfile.TarInfo, bytes]


@cache
def whole() -> dict[str, bytes]:
    """The files of a sound Run of one epoch, its record without the hashes."""
    from safetensors.numpy import save

    from hw3lib.training.recipe import Recipe

    stored = {}
    for fold in ("validation", "test"):
        stored[fold] = np.zeros((N, 7), np.float32)
        stored[f"{fold}_labels"] = np.zeros(N, np.int64)
    record = {
        "date": "2026-11-01T00:00:00+00:00", "seconds": 1.0, "seconds_of_this_process": 1.0,
        "resumed": False, "epochs_run": 1, "best_epoch": 1, "kept_epoch": 1,
        "stopped_early": False, "test_fingerprint": "0" * 16, "device": "cpu",
        "arithmetic": "fp32", "machine": "Linux", "python": "3.11", "torch": "2.15.0",
    }  # fmt: skip
    figures = "train_loss,train_accuracy,validation_loss,validation_accuracy,seconds"
    return {
        RECIPE: json.dumps(asdict(Recipe(**weights.RECIPE, epochs=1))).encode(),
        WEIGHTS: weights.whole(),
        "history.csv": f"epoch,lr,{figures}\n1,0.1,1.0,0.5,1.0,0.5,1.0\n".encode(),
        "logits.safetensors": save(stored),
        RECORD: json.dumps(record).encode(),
    }


def sealed(**changed: bytes) -> dict[str, bytes]:
    """The files with a record that states their hashes; `changed` are other contents, by stem."""
    files = {name: changed.get(name.partition(".")[0], data) for name, data in whole().items()}
    hashes = {n: hashlib.sha256(d).hexdigest() for n, d in files.items() if n != RECORD}
    about = {**json.loads(files[RECORD]), "sha256": hashes}
    return {**files, RECORD: json.dumps(about).encode()}


def name_of_run() -> str:
    from hw3lib.training.recipe import Recipe

    recipe = Recipe(**json.loads(whole()[RECIPE]))
    return f"{recipe.model}-{recipe.hash}"


def entry(name: str, data: bytes = b"", **values: object) -> Member:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in values.items():
        setattr(info, key, value)
    return info, data


def members(files: dict[str, bytes] | None = None) -> list[Member]:
    """What an archive of one Run holds."""
    files = sealed() if files is None else files
    return [entry(f"{name_of_run()}/{name}", data) for name, data in files.items()]


def packed(*inside: Member) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for info, data in inside:
            archive.addfile(info, io.BytesIO(data))
    return gzip.compress(out.getvalue(), 1, mtime=0)
