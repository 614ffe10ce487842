"""How a built network is joined: its graph, traced, in units of a few layers each."""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from hw3lib.models.describe import (
    count_parameters,
    in_eval_mode,
    kind_of,
    layer_multiply_adds,
    picture_for,
    shape_text,
)

if TYPE_CHECKING:
    import pandas as pd

JOINS = {operator.add: "+", torch.add: "+", operator.mul: "×", torch.mul: "×"}
# A unit opens with one of these; whatever follows it in a plain line belongs to the unit.
OPENERS = (nn.Conv2d, nn.Linear, nn.AdaptiveAvgPool2d, nn.Flatten)


@dataclass(frozen=True)
class Unit:
    """A convolution (linear layer, pooling, join) and what follows it in a plain line.

    name   : of a layer in it, e.g. "layer2.0.conv1"; "input" for the picture
    ops    : kinds in order, e.g. ("Conv 3×3 /2", "BatchNorm", "ReLU"); a join begins with + or ×
    shape  : of the output, without the batch axis
    inputs : numbers of the units it reads, in the tuple that `trace` returns
    """

    name: str
    ops: tuple[str, ...]
    shape: tuple[int, ...]
    inputs: tuple[int, ...]
    parameters: int = 0
    multiply_adds: int = 0


def trace(model: nn.Module, in_channels: int = 1) -> tuple[Unit, ...]:
    """The network as Units, in the order in which a picture passes them; unit 0 is the picture.

    Traced by torch.fx on one black picture, so what is drawn is what runs. The model is left as
    it was. A network whose way depends on its input cannot be traced (torch.fx.TraceError).
    """
    graph = fx.symbolic_trace(model)
    with in_eval_mode(model), torch.inference_mode():
        ShapeProp(graph).propagate(picture_for(model, in_channels))
    units: list[Unit] = []
    home: dict[fx.Node, int] = {}  # the unit in which each node of the graph went
    for node in graph.graph.nodes:
        if node.op != "output":
            module = model.get_submodule(node.target) if node.op == "call_module" else None
            home[node] = _place(node, module, units, home)
    return tuple(units)


def summarise(model: nn.Module, in_channels: int = 1) -> pd.DataFrame:
    """One row a Unit: number, reads, layers, output shape, parameters, multiply-adds."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "number": i,
                "reads": ", ".join(map(str, unit.inputs)),
                "layers": " → ".join(unit.ops),
                "output shape": shape_text(unit.shape),
                "parameters": unit.parameters,
                "multiply-adds": unit.multiply_adds,
            }
            for i, unit in enumerate(trace(model, in_channels))
        ]
    )


def main_path(units: tuple[Unit, ...]) -> list[int]:
    """The longest way from the picture to the logits; what is not on it stands on a shortcut."""
    length, before = [0] * len(units), [-1] * len(units)
    for i, unit in enumerate(units):
        for j in unit.inputs:
            if length[j] + 1 > length[i]:
                length[i], before[i] = length[j] + 1, j
    path = [len(units) - 1]
    while before[path[-1]] >= 0:
        path.append(before[path[-1]])
    return path[::-1]


def _place(
    node: fx.Node, module: nn.Module | None, units: list[Unit], home: dict[fx.Node, int]
) -> int:
    """Put a node into its producer's unit, or open a new one; the unit's number."""
    sources = node.all_input_nodes
    shape = tuple(node.meta["tensor_meta"].shape[1:])
    if module is None:
        name = "input" if node.op == "placeholder" else node.name
        op = "input" if node.op == "placeholder" else JOINS.get(node.target, node.name)
        return _open(units, Unit(name, (op,), shape, tuple(home[s] for s in sources)))
    unit = units[home[sources[0]]]
    parameters, work = count_parameters(module), layer_multiply_adds(module, shape)
    waiting = len(unit.ops) == 1 and unit.ops[0].startswith(("Flatten", "AvgPool"))
    opens = isinstance(module, OPENERS) and not waiting
    if isinstance(module, nn.Flatten) and "Pool" in unit.ops[-1]:
        opens = False
    if opens or unit.ops == ("input",) or len(sources[0].users) > 1:
        new = Unit(node.target, (kind_of(module),), shape, (home[sources[0]],), parameters, work)
        return _open(units, new)
    units[home[sources[0]]] = replace(
        unit,
        name=node.target if waiting or unit.ops[0] in JOINS.values() else unit.name,
        ops=(*unit.ops, kind_of(module)),
        shape=shape,
        parameters=unit.parameters + parameters,
        multiply_adds=unit.multiply_adds + work,
    )
    return home[sources[0]]


def _open(units: list[Unit], unit: Unit) -> int:
    units.append(unit)
    return len(units) - 1
