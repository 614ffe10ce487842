"""What a built network is made of and how it is joined, traced by torch.fx on one black image.

What the tables and the diagram say is therefore what runs. A network whose way depends on its
input cannot be traced (torch.fx.proxy.TraceError). The model itself is left as it was.
"""

from __future__ import annotations

import copy
import operator
from dataclasses import dataclass, replace
from math import prod

import pandas as pd
import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from hw3lib.data.faces import SIZE
from hw3lib.models.networks import count_parameters

JOINS = {operator.add: "+", torch.add: "+", operator.mul: "×", torch.mul: "×"}
WINDOWS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
# A unit opens with one of these; whatever follows it in a plain line belongs to the unit.
OPENERS = (nn.Conv2d, nn.Linear, nn.AdaptiveAvgPool2d, nn.Flatten)


def layer_table(model: nn.Module, in_channels: int = 1) -> pd.DataFrame:
    """One row a layer, in the order in which an image passes them.

    Columns: layer (dotted name), kind (text, e.g. "Conv 3×3 /2"), output shape (text, without the
    batch axis), receptive field (side in pixels, which may exceed the image's), parameters, MACs
    (multiply-accumulates of one image, biases not counted).
    """
    fields: dict[fx.Node, tuple[int, int]] = {}
    rows = []
    for node, module in _nodes(model, in_channels):
        fields[node] = _seen(module, [fields[source] for source in node.all_input_nodes])
        if module is not None:
            rows.append(
                {
                    "layer": node.target,
                    "kind": kind_of(module),
                    "output shape": shape_text(shape_of(node)),
                    "receptive field": fields[node][0],
                    "parameters": count_parameters(module),
                    "MACs": layer_macs(module, shape_of(node)),
                }
            )
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Unit:
    """A convolution (linear layer, pooling, join) and what follows it in a plain line.

    name   : of a layer in it, e.g. "layer2.0.conv1"; "input" for the image
    ops    : kinds in order, e.g. ("Conv 3×3 /2", "BatchNorm", "ReLU"); a join begins with + or ×
    shape  : of the output, without the batch axis
    inputs : numbers of the units it reads, in the tuple that `trace` returns
    """

    name: str
    ops: tuple[str, ...]
    shape: tuple[int, ...]
    inputs: tuple[int, ...]
    parameters: int = 0
    macs: int = 0


def trace(model: nn.Module, in_channels: int = 1) -> tuple[Unit, ...]:
    """The network as Units, in the order in which an image passes them; unit 0 is the image."""
    units: list[Unit] = []
    home: dict[fx.Node, int] = {}  # the unit in which each node of the graph went
    for node, module in _nodes(model, in_channels):
        home[node] = _place(node, module, units, home)
    return tuple(units)


def unit_table(model: nn.Module, in_channels: int = 1) -> pd.DataFrame:
    """One row a Unit: number, reads (numbers), layers, output shape, parameters, MACs."""
    return pd.DataFrame(
        [
            {
                "number": i,
                "reads": ", ".join(map(str, unit.inputs)),
                "layers": " → ".join(unit.ops),
                "output shape": shape_text(unit.shape),
                "parameters": unit.parameters,
                "MACs": unit.macs,
            }
            for i, unit in enumerate(trace(model, in_channels))
        ]
    )


def main_path(units: tuple[Unit, ...]) -> list[int]:
    """The longest way from the image to the logits; what is not on it stands on a shortcut."""
    length, before = [0] * len(units), [-1] * len(units)
    for i, unit in enumerate(units):
        for j in unit.inputs:
            if length[j] + 1 > length[i]:
                length[i], before[i] = length[j] + 1, j
    path = [len(units) - 1]
    while before[path[-1]] >= 0:
        path.append(before[path[-1]])
    return path[::-1]


def _nodes(model: nn.Module, in_channels: int) -> list[tuple[fx.Node, nn.Module | None]]:
    """The graph's nodes in order, each with its layer; `shape_of` knows their outputs."""
    graph = fx.symbolic_trace(copy.deepcopy(model).eval())
    weight = next(graph.parameters())
    image = torch.zeros(1, in_channels, SIZE, SIZE, dtype=weight.dtype, device=weight.device)
    with torch.inference_mode():
        ShapeProp(graph).propagate(image)
    return [
        (node, graph.get_submodule(node.target) if node.op == "call_module" else None)
        for node in graph.graph.nodes
        if node.op != "output"
    ]


def shape_of(node: fx.Node) -> tuple[int, ...]:
    """Shape of a node's output, without the batch axis."""
    return tuple(node.meta["tensor_meta"].shape[1:])


def _seen(module: nn.Module | None, inputs: list[tuple[int, int]]) -> tuple[int, int]:
    """Side of a layer's receptive field and of its steps, in pixels, from those of its inputs.

    module : None for the image or a join, where the widest input counts
    """
    if not inputs:
        return 1, 1
    side, step = max(inputs)
    if isinstance(module, WINDOWS):
        settings = (getattr(module, name, 1) for name in ("kernel_size", "stride", "dilation"))
        kernel, stride, dilation = (max(_pair(value)) for value in settings)
        return side + (kernel - 1) * dilation * step, stride * step
    if isinstance(module, (nn.AdaptiveAvgPool2d, nn.Flatten)):  # what follows sees all of it
        return max(side, SIZE), step
    return side, step


def _place(
    node: fx.Node, module: nn.Module | None, units: list[Unit], home: dict[fx.Node, int]
) -> int:
    """Put a node into its producer's unit, or open a new one; the unit's number."""
    sources, shape = node.all_input_nodes, shape_of(node)
    if module is None:
        name = "input" if node.op == "placeholder" else node.name
        op = "input" if node.op == "placeholder" else JOINS.get(node.target, node.name)
        units.append(Unit(name, (op,), shape, tuple(home[s] for s in sources)))
        return len(units) - 1
    producer = home[sources[0]]
    unit = units[producer]
    new = Unit(node.target, (kind_of(module),), shape, (producer,), count_parameters(module),
               layer_macs(module, shape))  # fmt: skip
    waiting = len(unit.ops) == 1 and unit.ops[0].startswith(("Flatten", "AvgPool"))
    opens = isinstance(module, OPENERS) and not waiting
    if isinstance(module, nn.Flatten) and "Pool" in unit.ops[-1]:
        opens = False
    if opens or unit.ops == ("input",) or len(sources[0].users) > 1:
        units.append(new)
        return len(units) - 1
    units[producer] = replace(
        unit,
        name=new.name if waiting or unit.ops[0] in JOINS.values() else unit.name,
        ops=unit.ops + new.ops,
        shape=shape,
        parameters=unit.parameters + new.parameters,
        macs=unit.macs + new.macs,
    )
    return producer


def kind_of(module: nn.Module) -> str:
    """A short name of a layer with what decides it, e.g. "Conv 5×5 /2" or "MaxPool 2×2 /2"."""
    match module:
        case nn.Conv2d():
            (k1, k2), stride = module.kernel_size, module.stride[0]
            return f"Conv {k1}×{k2}" + (f" /{stride}" if stride > 1 else "")
        case nn.MaxPool2d() | nn.AvgPool2d():
            name = "MaxPool" if isinstance(module, nn.MaxPool2d) else "AvgPool"
            side, stride = _pair(module.kernel_size)[0], _pair(module.stride)[0]
            return f"{name} {side}×{side} /{stride}"
        case nn.AdaptiveAvgPool2d():
            side = _pair(module.output_size)[0]
            return "GlobalAvgPool" if side == 1 else f"AvgPool → {side}×{side}"
        case nn.BatchNorm2d() | nn.BatchNorm1d():
            return "BatchNorm"
        case nn.Dropout():
            return f"Dropout {module.p:g}"
        case _:
            return type(module).__name__


def shape_text(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def layer_macs(module: nn.Module, shape: tuple[int, ...]) -> int:
    """MACs of one image in a convolution or linear layer with output `shape`, else 0."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        return prod(shape) * module.weight[0].numel()  # inputs / groups * k1 * k2 a number
    return 0
