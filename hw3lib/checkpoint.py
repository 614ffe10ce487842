"""Checkpoints: the State at an epoch's end, on disk whole or not at all."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

from hw3lib import UserError
from hw3lib.files import write_atomic
from hw3lib.recipe import Recipe

if TYPE_CHECKING:
    from hw3lib.training import State


# then the SHA-256 of what follows, for torch believes a file of its own whose bytes were changed
_MAGIC = b"hw3state"
_START = len(_MAGIC) + hashlib.sha256().digest_size


def write_checkpoint(path: Path, state: State, recipe: Recipe, device) -> None:
    import torch

    buffer = io.BytesIO()
    buffer.write(bytes(_START))
    torch.save({"hash": recipe.hash, "device": _where(recipe, device), **vars(state)}, buffer)
    data = buffer.getbuffer()
    data[:_START] = _head(data)
    write_atomic(path, data)


def read_checkpoint(path: Path, recipe: Recipe, device) -> State | None:
    """The State to go on from, None where there is no checkpoint; a damaged one is an error."""
    import torch

    from hw3lib.memory import out_of_memory
    from hw3lib.training import State

    if not path.exists():
        return None
    try:
        data = _checked(path.read_bytes())
        saved = torch.load(io.BytesIO(data), map_location=device, weights_only=True)
        if (saved.pop("hash"), saved.pop("device")) != (recipe.hash, _where(recipe, device)):
            raise ValueError("made by another recipe or on another device")
        return State(**saved)
    except Exception as error:
        if out_of_memory(error):
            raise
        line = str(error).splitlines()[0]
        raise UserError(
            f"{path}: checkpoint not usable ({line}); delete it to start anew"
        ) from None


def _checked(data: bytes) -> bytes:
    """What torch wrote, as it was written."""
    if data.startswith(b"PK"):  # bare, as checkpoints were before they had a head
        return data
    if data[:_START] != _head(data):
        raise ValueError("it is not what was written")
    return data[_START:]


def _head(data: bytes | memoryview) -> bytes:
    return _MAGIC + hashlib.sha256(memoryview(data)[_START:]).digest()


def _where(recipe: Recipe, device) -> str:
    from hw3lib.training import arithmetic

    return f"{device.type}, {arithmetic(recipe, device)}"
