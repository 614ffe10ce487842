"""Checkpoints: the State at the end of an epoch, written whole; and memory that runs out."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError

import torch

from hw3lib import UserError
from hw3lib.files import write_atomic
from hw3lib.training.loop import State, arithmetic
from hw3lib.training.recipe import Recipe

MEMORY = ("allocate memory", "not enough memory", "could not create a primitive")  # torch, oneDNN


def write_checkpoint(path: Path, state: State, recipe: Recipe, device) -> None:
    """The State behind its SHA-256: torch believes a file of its own whose bytes were changed."""
    buffer = io.BytesIO()
    torch.save({"hash": recipe.hash, "device": _where(recipe, device), **vars(state)}, buffer)
    data = buffer.getvalue()
    write_atomic(path, hashlib.sha256(data).digest() + data)


def read_checkpoint(path: Path, recipe: Recipe, device) -> State | None:
    """The State to go on from, None where there is no checkpoint; a damaged one is an error."""
    if not path.exists():
        return None
    try:
        stored = path.read_bytes()
        digest, data = stored[:32], stored[32:]
        if hashlib.sha256(data).digest() != digest:
            raise ValueError("checksum mismatch")
        saved = torch.load(io.BytesIO(data), map_location=device, weights_only=True)
        if (saved.pop("hash"), saved.pop("device")) != (recipe.hash, _where(recipe, device)):
            raise ValueError("made by another recipe or on another device")
        return State(**saved)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, UnpicklingError) as error:
        if out_of_memory(error):
            raise
        line = str(error).splitlines()[0]
        raise UserError(
            f"{path}: checkpoint not usable ({line}); delete it to start again"
        ) from None


def _where(recipe: Recipe, device) -> str:
    return f"{device.type}, {arithmetic(recipe, device)}"


@contextlib.contextmanager
def enough_memory(name: str, recipe: Recipe) -> Iterator[None]:
    """Running out of memory within the block is one line with the batch to try."""
    try:
        yield
    except Exception as error:
        if not out_of_memory(error):
            raise
        raise UserError(
            f"{name}: a batch of {recipe.batch_size} images is too much for the free memory; try "
            f"batch_size = {max(1, recipe.batch_size // 2)} in its recipe, or --jobs 1"
        ) from None


def out_of_memory(error: BaseException) -> bool:
    """Whether Python, torch on a CPU (a RuntimeError like any other) or a GPU ran out of memory."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in MEMORY)
    )
