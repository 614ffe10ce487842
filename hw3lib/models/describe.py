"""What a built network is made of: layers, shapes, parameters, multiply-adds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hw3lib.data.faces import SIZE

if TYPE_CHECKING:
    import pandas as pd


def count_parameters(model: nn.Module) -> int:
    """Trainable numbers of the network (running means and deviations not counted)."""
    return sum(p.numel() for p in model.parameters())


def multiply_adds(model: nn.Module, in_channels: int = 1) -> int:
    """Multiply-adds of one picture: convolutions and linear layers, biases not counted."""
    return sum(row["multiply-adds"] for row in _layers(model, in_channels))


def describe(model: nn.Module, in_channels: int = 1) -> pd.DataFrame:
    """One row a layer, in the order in which a picture passes them.

    Columns: layer (dotted name), kind (text, e.g. "Conv 3x3 /2"), output shape (text, without
    the batch axis), parameters, multiply-adds (of one picture). Nothing of the model changes,
    its hooks and modes least of all, even if it fails on the way.
    """
    import pandas as pd

    columns = ["layer", "kind", "output shape", "parameters", "multiply-adds"]
    return pd.DataFrame(_layers(model, in_channels), columns=columns)


def _layers(model: nn.Module, in_channels: int) -> list[dict]:
    rows: list[dict] = []
    leaves = {name: m for name, m in model.named_modules() if not any(m.children())}

    def record(name: str, module: nn.Module, output: Tensor) -> None:
        rows.append(
            {
                "layer": name,
                "kind": kind_of(module),
                "output shape": shape_text(output.shape[1:]),
                "parameters": count_parameters(module),
                "multiply-adds": layer_multiply_adds(module, output.shape[1:]),
            }
        )

    with _hooked(leaves, record), in_eval_mode(model), torch.inference_mode():
        model(picture_for(model, in_channels))
    return rows


def picture_for(model: nn.Module, in_channels: int) -> Tensor:
    """One black picture (1, in_channels, 48, 48) in the type and on the device of the model."""
    weight = next(model.parameters())
    return torch.zeros(1, in_channels, SIZE, SIZE, dtype=weight.dtype, device=weight.device)


@contextmanager
def _hooked(leaves: dict[str, nn.Module], record) -> Iterator[None]:
    handles = []
    try:
        for name, leaf in leaves.items():
            handles.append(
                leaf.register_forward_hook(lambda m, i, o, name=name: record(name, m, o))
            )
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def in_eval_mode(model: nn.Module) -> Iterator[None]:
    """Within the block the model is in eval mode; each module's mode comes back after it."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def kind_of(module: nn.Module) -> str:
    """A short name of a layer with what decides it, e.g. "Conv 5×5 /2" or "MaxPool 2×2 /2"."""
    match module:
        case nn.Conv2d():
            (k1, k2), stride = module.kernel_size, module.stride[0]
            return f"Conv {k1}×{k2}" + (f" /{stride}" if stride > 1 else "")
        case nn.MaxPool2d() | nn.AvgPool2d():
            name = "MaxPool" if isinstance(module, nn.MaxPool2d) else "AvgPool"
            side, stride = _first(module.kernel_size), _first(module.stride)
            return f"{name} {side}×{side} /{stride}"
        case nn.AdaptiveAvgPool2d():
            side = _first(module.output_size)
            return "GlobalAvgPool" if side == 1 else f"AvgPool → {side}×{side}"
        case nn.BatchNorm2d() | nn.BatchNorm1d():
            return "BatchNorm"
        case nn.Dropout():
            return f"Dropout {module.p:g}"
        case _:
            return type(module).__name__


def shape_text(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def _first(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[0]


def layer_multiply_adds(module: nn.Module, shape: tuple[int, ...]) -> int:
    """Multiply-adds of one picture in a convolution or linear layer with output `shape`, else 0."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        return prod(shape) * module.weight[0].numel()  # inputs / groups * k1 * k2 a number
    return 0
