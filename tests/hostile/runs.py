"""Folders that say they are Runs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from hostile import weights
from hostile.case import Place, add, bad

RECORD, RECIPE, WEIGHTS = "record.json", "recipe.json", "weights.safetensors"
HISTORY, LOGITS = "history.csv", "logits.safetensors"
N = 20
FIGURES = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "seconds")


@cache
def whole() -> dict[str, bytes]:
    """The files of a sound Run of one epoch, its record without the hashes."""
    from dataclasses import asdict

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
    history = f"epoch,lr,{','.join(FIGURES)}\n1,0.1,1.0,0.5,1.0,0.5,1.0\n"
    return {
        RECIPE: json.dumps(asdict(Recipe(**weights.RECIPE, epochs=1))).encode(),
        WEIGHTS: weights.whole(),
        HISTORY: history.encode(),
        LOGITS: save(stored),
        RECORD: json.dumps(record).encode(),
    }


def sealed(files: dict[str, bytes], **record: object) -> dict[str, bytes]:
    """The files with a record that states their hashes, whatever they hold."""
    hashes = {n: hashlib.sha256(d).hexdigest() for n, d in files.items() if n != RECORD}
    about = {**json.loads(files[RECORD]), "sha256": hashes, **record}
    return {**files, RECORD: json.dumps(about).encode()}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def name_of_run() -> str:
    from hw3lib.training.recipe import Recipe

    recipe = Recipe(**json.loads(whole()[RECIPE]))
    return f"{recipe.model}-{recipe.hash}"


def run(place: Place, files: dict[str, bytes]) -> Path:
    return write(place.folder / name_of_run(), files)


def damaged(file: str, change: Callable[[bytes], bytes]) -> Callable[[Place], Path]:
    """A sound Run, one file of which was changed afterwards."""

    def make(place: Place) -> Path:
        files = sealed(whole())
        return run(place, {**files, file: change(files[file])})

    return make


def forged(file: str, change: Callable[[bytes], bytes]) -> Callable[[Place], Path]:
    """A Run whose record states the hash of the changed file: made so on purpose."""
    return lambda place: run(place, sealed({**whole(), file: change(whole()[file])}))


def recorded(**record: object) -> Callable[[Place], Path]:
    return lambda place: run(place, sealed(whole(), **record))


def recipe(**values: object) -> Callable[[bytes], bytes]:
    return lambda data: json.dumps({**json.loads(data), **values}).encode()


def logits(**arrays: np.ndarray | None) -> Callable[[bytes], bytes]:
    from safetensors.numpy import load, save

    def change(data: bytes) -> bytes:
        return save({k: v for k, v in {**load(data), **arrays}.items() if v is not None})

    return change


def flip(data: bytes) -> bytes:
    return data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]


def other_numbers(data: bytes) -> bytes:
    return data.replace(b"0.1", b"=1+1")


for file in (RECIPE, WEIGHTS, HISTORY, LOGITS):
    add("Run", "flipped bit", file, damaged(file, flip), "damaged Run", file)
for file in (WEIGHTS, HISTORY):
    add("Run", "truncated", file, damaged(file, lambda data: data[:-9]), "damaged Run", file)
for kind, what, make, *words in (
    ("truncated", "record", damaged(RECORD, lambda data: data[:-9]), "damaged Run"),
    ("empty", "record", damaged(RECORD, lambda data: b""), "damaged Run"),
    ("other content", "record", damaged(RECORD, lambda data: b"\x89PNG"), "damaged Run"),
    ("wrong encoding", "record", damaged(RECORD, lambda d: d.decode().encode("utf-16")),
     "damaged Run"),
    ("deep", "record", damaged(RECORD, lambda data: b"[" * 100_000), "damaged Run"),
    ("deep", "recipe", forged(RECIPE, lambda data: b"[" * 100_000), "damaged Run"),
    ("huge", "record", damaged(RECORD, lambda data: data + b" " * 50 * 2**20), "damaged Run"),
    ("NUL byte", "record", damaged(RECORD, lambda data: data[:9] + b"\0" + data[9:]),
     "damaged Run"),
    ("wrong setting", "record is a list", damaged(RECORD, lambda data: b"[1]"), "damaged Run"),
    ("wrong setting", "hashes are a list", recorded(sha256=["x"]), "damaged Run"),
    ("wrong setting", "a hash is a number", recorded(sha256={RECIPE: 1}), "damaged Run"),
    ("wrong setting", "best epoch is a word", recorded(best_epoch="x"), "best_epoch"),
    ("wrong setting", "date is a list", recorded(date=[]), "damaged Run", "date"),
    ("wrong setting", "recipe", forged(RECIPE, lambda data: b"7"), "damaged Run"),
    ("impossible setting", "recipe", forged(RECIPE, recipe(width=-1)), "damaged Run", "width"),
    ("impossible setting", "epoch", recorded(kept_epoch=7), "damaged Run", "kept_epoch"),
    ("wrong names", "recipe", forged(RECIPE, recipe(colour=1)), "damaged Run", "colour"),
    ("missing value", "hashes", recorded(sha256={}), "damaged Run"),
    ("missing value", "test set", recorded(test_fingerprint=None), "damaged Run",
     "test_fingerprint"),
    ("escape", "dots", recorded(sha256={"../../secret": "0" * 64}), "damaged Run", "secret"),
    ("escape", "a device without end", recorded(sha256={"/dev/zero": "0" * 64}), "damaged Run"),
    ("wrong columns", "history", forged(HISTORY, lambda d: b"a,b\n1,2\n"), "damaged Run", HISTORY),
    ("formula", "history", forged(HISTORY, other_numbers), "damaged Run", HISTORY),
    ("wrong count", "history", forged(HISTORY, lambda data: data + b"2,0.1\n" * 9),
     "damaged Run", HISTORY),
    ("wrong count", "logits", forged(LOGITS, logits(test=np.zeros((3, 7), np.float32))),
     "damaged Run", LOGITS),
    ("wrong shape", "logits", forged(LOGITS, logits(test=np.zeros((N, 2), np.float32))),
     "damaged Run", LOGITS),
    ("impossible setting", "labels", forged(LOGITS, logits(test_labels=np.full(N, 99))),
     "damaged Run", LOGITS),
    ("wrong names", "logits", forged(LOGITS, logits(test=None)), "damaged Run", LOGITS),
    ("lying size", "logits", forged(LOGITS, lambda data: b"\xff" * 8 + data), "damaged Run",
     LOGITS),
    ("bomb", "weights of another width", forged(WEIGHTS, lambda d: weights.recipe(width=10**6)),
     WEIGHTS),
):  # fmt: skip
    add("Run", kind, what, make, *words)
for file in (RECORD, RECIPE, LOGITS):

    def without(place: Place, file: str = file) -> Path:
        folder = run(place, sealed(whole()))
        (folder / file).unlink()
        return folder

    add("Run", "missing", file, without, "damaged Run", file)


@bad("Run", "pickle", WEIGHTS, "pickle")
def weights_of_torch(place: Place):
    torch_file = weights.torch_file(place, "w.pt").read_bytes()
    return forged(WEIGHTS, lambda data: torch_file)(place)


@bad("Run", "link", "damaged Run", RECIPE)
def to_a_device_without_end(place: Place):
    folder = run(place, sealed(whole()))
    (folder / RECIPE).unlink()
    (folder / RECIPE).symlink_to("/dev/zero")
    return folder


@bad("Run", "special file", "damaged Run", RECORD)
def a_pipe(place: Place):
    folder = run(place, sealed(whole()))
    (folder / RECORD).unlink()
    os.mkfifo(folder / RECORD)
    return folder


@bad("Run", "hostile name", "damaged Run", r"x\n\x1b[2J")
def a_line_end(place: Place):
    made = run(place, {**sealed(whole()), RECORD: b""})
    return Path(shutil.move(made, place.folder / "x\n\x1b[2J"))
