"""Looking into a network without changing it: layers as they run, what they give, re-drawing."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hw3lib import UserError

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def module_of(network) -> nn.Module:
    """The nn.Module of a Network, or the nn.Module itself."""
    return network if isinstance(network, nn.Module) else network.model


@contextmanager
def untouched(network) -> Iterator[nn.Module]:
    """Within the block the model is in eval mode and nothing works in place.

    On leaving, also by an exception, every module has its mode, its in-place flag and exactly
    its own hooks back, and every parameter its gradient and requires_grad.
    """
    model = module_of(network)
    modules, parameters = list(model.modules()), list(model.parameters())
    modes = [(m.training, getattr(m, "inplace", None)) for m in modules]
    hooks = [{name: set(getattr(m, name)) for name in HOOKS} for m in modules]
    gradients = [(p.requires_grad, p.grad) for p in parameters]
    try:
        model.eval()
        for module in modules:
            if getattr(module, "inplace", False) is True:
                module.inplace = False
        yield model
    finally:
        for module, (training, inplace), own in zip(modules, modes, hooks, strict=True):
            module.training = training
            if inplace is not None:
                module.inplace = inplace
            for name, keys in own.items():
                table = getattr(module, name)
                for key in [k for k in table if k not in keys]:
                    del table[key]  # in place: the owners of other hooks hold this very table
        for parameter, (requires, gradient) in zip(parameters, gradients, strict=True):
            parameter.requires_grad_(requires)
            parameter.grad = gradient


@dataclass(frozen=True)
class Layer:
    """A module without children, as it ran; shape is that of one picture's output."""

    name: str
    module: nn.Module
    shape: tuple[int, ...]


def layers(network, inputs: Tensor) -> list[Layer]:
    """The layers in the order in which they run on `inputs` (B, C, H, W), each at its first use."""
    found: dict[str, Layer] = {}

    def note(name: str):
        def hook(module, arguments, output):
            found.setdefault(name, Layer(name, module, tuple(output.shape[1:])))

        return hook

    with untouched(network) as model, torch.no_grad():
        for name, module in model.named_modules():
            if next(module.children(), None) is None:
                module.register_forward_hook(note(name))
        model(inputs[:1])
    return list(found.values())


class _ReachedError(Exception):
    """Ends a forward pass at the last layer that was asked for."""


def value_at(network, inputs: Tensor, layer: str, *, side: str = "output") -> Tensor:
    """What `layer` (a name in the model) gives for `inputs`, or with side="input" what it gets.

    What lies behind it is not run. Gradients flow back to `inputs` where they require one. An
    unknown or unused layer is a UserError.
    """
    return values_at(network, inputs, [(layer, side)])[0]


def values_at(network, inputs: Tensor, places: Sequence[tuple[str, str]]) -> list[Tensor]:
    """value_at for several (layer, side) in one forward pass, each at its first use."""
    caught: dict[tuple[str, str], Tensor] = {}

    def note(place: tuple[str, str], value: Tensor) -> None:
        caught.setdefault(place, value)
        if len(caught) == len(set(places)):
            raise _ReachedError

    with untouched(network) as model:
        named = dict(model.named_modules())
        for layer, side in set(places):
            if layer not in named:
                raise UserError(f"layer {layer!r}: the network has none of that name")
            _watch(named[layer], (layer, side), note)
        try:
            model(inputs)
        except _ReachedError:
            return [caught[place] for place in places]
    missed = next(layer for layer, side in places if (layer, side) not in caught)
    raise UserError(f"layer {missed!r}: it did not run in the forward pass")


def _watch(module: nn.Module, place: tuple[str, str], note: Callable) -> None:
    """Call note(place, value) with what the module gets or gives."""
    if place[1] == "input":
        module.register_forward_pre_hook(lambda module, arguments: note(place, arguments[0]))
    else:
        module.register_forward_hook(lambda module, arguments, output: note(place, output))


def weighted(network, inputs: Tensor) -> list[str]:
    """Names of the layers with parameters, in the order in which they run."""
    return [layer.name for layer in layers(network, inputs) if _has_weights(layer.module)]


def _has_weights(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def redrawn(
    network, inputs: Tensor, *, names: Iterable[str] | None = None, seed: int = 0
) -> nn.Module:
    """A copy of the model whose layers `names` (default: all) have weights drawn anew.

    The batch norms are then set to the statistics of `inputs` (B, C, H, W), layer by layer, so
    that activations keep their size and the copy compares fairly. A layer's draw depends on
    `seed` and its name alone: a cascade re-draws it the same way at every step. The given model
    and the global random state stay as they were.
    """
    with untouched(network) as model:
        model = copy.deepcopy(model)
    named = dict(model.named_modules())
    chosen = list(weighted(model, inputs) if names is None else names)
    device = inputs.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for name in chosen:
            torch.manual_seed(zlib.crc32(name.encode()) ^ seed)
            _redraw(named[name])
        if chosen:
            _calibrate(model, inputs, [named[n] for n in chosen])
    return model.requires_grad_(False).eval()


@torch.no_grad()
def _redraw(module: nn.Module) -> None:
    if hasattr(module, "reset_parameters"):
        module.reset_parameters()
        return
    for parameter in module.parameters(recurse=False):
        spread = parameter.std() if parameter.numel() > 1 else parameter.abs().mean()
        parameter.copy_(torch.randn_like(parameter) * spread)


@torch.no_grad()
def _calibrate(model: nn.Module, inputs: Tensor, changed: Sequence[nn.Module]) -> None:
    """Batch norms at or behind the first changed layer take the statistics of `inputs`."""
    order = [layer.module for layer in layers(model, inputs)]
    first = min(order.index(module) for module in changed)
    norms = [m for m in order[first:] if isinstance(m, NORMS) and m.track_running_stats]
    momenta = [m.momentum for m in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # plain average: one batch gives that batch's statistics
        norm.train()
    if len(inputs) > 1:
        model(inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
