"""A network by its name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from hw3lib import UserError
from hw3lib.models.dense import DenseNet, matched_dense
from hw3lib.models.five_block import FiveBlock
from hw3lib.models.resnet import ResNet18, SlimResNet
from hw3lib.models.two_conv import TwoConv
from hw3lib.models.vgg import VGG16


def _dense(width: float, in_channels: int, classes: int) -> DenseNet:
    """As many parameters as slim_resnet at this width and these channels."""
    rival = SlimResNet(width, in_channels, classes)
    return matched_dense(sum(p.numel() for p in rival.parameters()), in_channels, classes)


MODELS: dict[str, Callable[[float, int, int], nn.Module]] = {
    "resnet18": ResNet18,  # hand-in 1
    "two_conv": TwoConv,  # hand-in 2's first step
    "two_conv_regularised": partial(TwoConv, regularised=True),  # its second
    "five_block": FiveBlock,  # hand-in 2
    "vgg16": VGG16,
    "dense": _dense,
    "slim_resnet": SlimResNet,  # ours, for a CPU
    "fine_resnet": partial(SlimResNet, fine=True),  # ours, for a GPU
}


def build(name: str, *, width: float = 1.0, in_channels: int = 1, classes: int = 7) -> nn.Module:
    """The network `name` of MODELS with fresh weights, drawn from torch's current generator.

    width : factor on the channel counts, each rounded to a multiple of 8

    Raises
    ------
    UserError
        if the name is unknown or the width is not above 0.
    """
    if name not in MODELS:
        raise UserError(f"model {name!r}: choose one of {', '.join(MODELS)}")
    if not width > 0:
        raise UserError(f"model {name}: width {width!r} must be above 0")
    return MODELS[name](width, in_channels, classes)
