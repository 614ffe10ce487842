"""Checkpoints: the State at an epoch's end, on disk whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from hw3lib import UserError
from hw3lib.files import write_atomic
from hw3lib.recipe import Recipe

if TYPE_CHECKING:
    from hw3lib.training import State


def write_checkpoint(path: Path, state: State, recipe: Recipe, device) -> None:
    import torch

    buffer = io.BytesIO()
    torch.save({"hash": recipe.hash, "device": _where(recipe, device), **vars(state)}, buffer)
    write_atomic(path, buffer.getvalue())


def read_checkpoint(path: Path, recipe: Recipe, device) -> State | None:
    """The State to go on from, None where there is no checkpoint; a damaged one is an error."""
    import torch

    from hw3lib.training import State

    if not path.exists():
        return None
    try:
        saved = torch.load(path, map_location=device, weights_only=True)
        if (saved.pop("hash"), saved.pop("device")) != (recipe.hash, _where(recipe, device)):
            raise ValueError("made by another recipe or on another device")
        return State(**saved)
    except Exception as error:
        line = str(error).splitlines()[0]
        raise UserError(
            f"{path}: checkpoint not usable ({line}); delete it to start anew"
        ) from None


def _where(recipe: Recipe, device) -> str:
    from hw3lib.training import arithmetic

    return f"{device.type}, {arithmetic(recipe, device)}"
