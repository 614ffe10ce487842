"""The shapes of a network's weights, known without the memory that the weights would take."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from hw3lib.models.build import build


def shapes(name: str, *, width: float, in_channels: int) -> dict[str, tuple[int, ...]]:
    """Name -> shape of all that `build` would make; errors as it raises them."""
    with torch.device("meta"), _Unfilled():
        state = build(name, width=width, in_channels=in_channels).state_dict()
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


class _Unfilled(TorchFunctionMode):
    """Draws no initial weights: of tensors without memory, torch would import its compiler."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in ("uniform_", "normal_"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))
