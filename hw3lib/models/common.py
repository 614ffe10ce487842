"""What several networks share: channel counts under a width factor, and the initial weights."""

from __future__ import annotations

from torch import nn


def scaled(channels: int, width: float) -> int:
    """`channels` times `width`, to the nearest multiple of 8 and at least 8.

    Eight floats are one vector register of the CPU; other counts cost the same and give less.
    """
    return max(8, 8 * int(channels * width / 8 + 0.5))


def initialise(model: nn.Module) -> None:
    """He's initial weights (He et al. 2015, arXiv:1502.01852, fan-out) for every convolution."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
