"""The networks: those of the two reference reports, two to compare with, and ours.

Every network takes (B, in_channels, 48, 48) float images and gives (B, 7) logits. Every ReLU
is a module of its own, because attribution methods hook them one by one. What nobody states
(widths, dropout rates, the size of a head) is ours; notebook 02 gives the reasons.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from hw3lib import UserError
from hw3lib.data import faces
from hw3lib.data.faces import SIZE

CLASSES = len(faces.CLASSES)
WIDEST = 16  # times the published channel counts; more fits into no machine


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


class BasicBlock(nn.Module):
    """conv, batch norm, ReLU, conv, batch norm; plus the input; ReLU.

    downsample : what brings the input to the output's shape, None where it has it already
    """

    def __init__(self, inputs: int, outputs: int, stride: int, downsample: nn.Module | None):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = downsample
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu2(y + shortcut)


def _stage(
    inputs: int, outputs: int, stride: int, blocks: int, *, average: bool = False
) -> nn.Sequential:
    """BasicBlocks; average : the first one's shortcut averages before its 1x1 convolution."""
    downsample = None
    if stride != 1 or inputs != outputs:
        pool = [nn.AvgPool2d(stride, ceil_mode=True)] if average else []
        step = 1 if average else stride
        conv = nn.Conv2d(inputs, outputs, 1, step, bias=False)
        downsample = nn.Sequential(*pool, conv, nn.BatchNorm2d(outputs))
    first = BasicBlock(inputs, outputs, stride, downsample)
    rest = (BasicBlock(outputs, outputs, 1, None) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)


class ResNet18(nn.Module):
    """Reference report A's ResNet-18 (He et al. 2016, arXiv:1512.03385), torchvision's at width 1.

    The parameters have torchvision's names and shapes, so weights travel both ways.
    """

    def __init__(self, width: float = 1.0, in_channels: int = 3):
        super().__init__()
        c1, c2, c3, c4 = (scaled(c, width) for c in (64, 128, 256, 512))
        self.conv1 = nn.Conv2d(in_channels, c1, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(c1)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = _stage(c1, c1, 1, 2)
        self.layer2 = _stage(c1, c2, 2, 2)
        self.layer3 = _stage(c2, c3, 2, 2)
        self.layer4 = _stage(c3, c4, 2, 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(c4, CLASSES)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:  # (B, in_channels, 48, 48)
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # (B, 64, 12, 12)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (B, 512, 2, 2)
        return self.fc(self.flatten(self.avgpool(x)))


class SlimResNet(nn.Module):
    """Our small residual network for 48x48 images and few CPU cores.

    A strided stem leaves the costly 48x48 maps at once; three stages of BasicBlocks follow.
    `fine` is its larger sister for a GPU: the second convolution keeps 24x24 maps, where the
    first stage sees eyes and mouth at twice the resolution, and the first stage has two blocks.
    Shortcuts that change the shape average before their 1x1 convolution (He et al. 2019,
    arXiv:1812.01187, "ResNet-D"), and the last batch norm of every block starts at zero, so that
    each block starts as the identity (Goyal et al. 2017, arXiv:1706.02677).
    """

    def __init__(self, width: float = 1.0, in_channels: int = 1, *, fine: bool = False):
        super().__init__()
        c0, c1, c2, c3 = (scaled(c, width) for c in (32, 64, 96, 160))
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, c0, 5, 2, 2, bias=False),
            nn.BatchNorm2d(c0),
            nn.ReLU(),
            nn.Conv2d(c0, c1, 3, 1 if fine else 2, 1, bias=False),
            nn.BatchNorm2d(c1),
            nn.ReLU(),
        )
        self.stage1 = _stage(c1, c1, 1, 2 if fine else 1)
        self.stage2 = _stage(c1, c2, 2, 2, average=True)
        self.stage3 = _stage(c2, c3, 2, 2, average=True)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(c3, CLASSES)
        initialise(self)
        for module in self.modules():
            if isinstance(module, BasicBlock):
                nn.init.zeros_(module.bn2.weight)

    def forward(self, x: Tensor) -> Tensor:  # (B, in_channels, 48, 48)
        x = self.stage3(self.stage2(self.stage1(self.stem(x))))
        return self.fc(self.dropout(self.flatten(self.pool(x))))


def _block(
    inputs: int, outputs: int, kernel: int, *, pooled: bool, dropout: float | None
) -> nn.Sequential:
    """conv, ReLU, batch norm(, max pool), dropout; dropout None : neither it nor batch norm."""
    layers = [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.ReLU()]
    if dropout is not None:
        layers.append(nn.BatchNorm2d(outputs))
    if pooled:
        layers.append(nn.MaxPool2d(2))
    if dropout is not None:
        layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


def _head(features: int, hidden: int, dropout: float | None) -> nn.Sequential:
    """One hidden layer; dropout as in `_block`."""
    layers = [nn.Flatten(), nn.Linear(features, hidden), nn.ReLU()]
    if dropout is not None:
        layers += [nn.BatchNorm1d(hidden), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(hidden, CLASSES))


class FiveBlock(nn.Module):
    """Reference report B's five convolution blocks and dense head.

    Blocks 1-2: 5x5, few channels, little dropout, no pooling; 3-5: 3x3, more of all three. Each
    is conv, ReLU, batch norm, (max pool,) dropout: the report's order, after the batch-norm and
    dropout papers.
    """

    def __init__(self, width: float = 1.0, in_channels: int = 1):
        super().__init__()
        c1, c2, c3, c4, c5 = (scaled(c, width) for c in (32, 64, 128, 256, 512))
        self.blocks = nn.Sequential(
            _block(in_channels, c1, 5, pooled=False, dropout=0.1),
            _block(c1, c2, 5, pooled=False, dropout=0.1),
            _block(c2, c3, 3, pooled=True, dropout=0.3),
            _block(c3, c4, 3, pooled=True, dropout=0.3),
            _block(c4, c5, 3, pooled=True, dropout=0.3),
        )
        self.head = _head(c5 * 6 * 6, scaled(512, width), dropout=0.3)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:  # (B, in_channels, 48, 48)
        return self.head(self.blocks(x))  # blocks: (B, 512, 6, 6)


class TwoConv(nn.Module):
    """Where reference report B began: two of conv, ReLU, max pool, then a dense head.

    regularised : with batch norm and dropout, the report's second step
    """

    def __init__(self, width: float = 1.0, in_channels: int = 1, *, regularised: bool = False):
        super().__init__()
        c1, c2 = (scaled(c, width) for c in (64, 128))
        dropout = 0.3 if regularised else None
        self.blocks = nn.Sequential(
            _block(in_channels, c1, 5, pooled=True, dropout=dropout),
            _block(c1, c2, 5, pooled=True, dropout=dropout),
        )
        self.head = _head(c2 * 12 * 12, scaled(512, width), dropout)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:  # (B, in_channels, 48, 48)
        return self.head(self.blocks(x))  # blocks: (B, 128, 12, 12)


class VGG16(nn.Module):
    """VGG-16 (Simonyan & Zisserman 2015, arXiv:1409.1556) with batch norm.

    pool, hidden : side of the map given to the head, and width of its two hidden layers. With
        pool=7 and hidden=4096 the parameters have torchvision's names and shapes. Five poolings
        leave 1x1 of a 48x48 image, so pool=7 would only copy it 49 times; ours is pool=1.
    """

    def __init__(self, width: float = 1.0, in_channels: int = 3, pool: int = 1, hidden: int = 512):
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for stage, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            for _ in range(convolutions):
                inputs, channels = channels, scaled(stage, width)
                conv = nn.Conv2d(inputs, channels, 3, padding=1)
                layers += [conv, nn.BatchNorm2d(channels), nn.ReLU()]
            layers.append(nn.MaxPool2d(2))
        hidden = scaled(hidden, width)
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(pool)
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(
            nn.Linear(channels * pool * pool, hidden),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(hidden, CLASSES),
        )
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:  # (B, in_channels, 48, 48)
        return self.classifier(self.flatten(self.avgpool(self.features(x))))


class DenseNet(nn.Module):
    """Two hidden layers (linear, batch norm, ReLU, dropout) on the flat image; no convolution."""

    def __init__(self, hidden: int, in_channels: int = 1):
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs in (in_channels * SIZE * SIZE, hidden):
            linear = nn.Linear(inputs, hidden, bias=False)
            layers += [linear, nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(0.2)]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden, CLASSES))

    def forward(self, x: Tensor) -> Tensor:  # (B, in_channels, 48, 48)
        return self.layers(x)


def _dense(width: float, in_channels: int) -> DenseNet:
    """The DenseNet whose parameter count is nearest to slim_resnet's at this width.

    With h hidden units it has h^2 + (p + 4 + 7) h + 7 parameters, p pixels.
    """
    parameters = count_parameters(SlimResNet(width, in_channels))
    half = (in_channels * SIZE * SIZE + 4 + CLASSES) / 2
    hidden = round(sqrt(half * half + parameters - CLASSES) - half)
    return DenseNet(max(hidden, 2), in_channels)


def count_parameters(model: nn.Module) -> int:
    """Trainable numbers of the network (running means and variances not counted)."""
    return sum(p.numel() for p in model.parameters())


MODELS: dict[str, Callable[[float, int], nn.Module]] = {
    "resnet18": ResNet18,
    "two_conv": TwoConv,
    "two_conv_regularised": partial(TwoConv, regularised=True),
    "five_block": FiveBlock,
    "vgg16": VGG16,
    "dense": _dense,
    "slim_resnet": SlimResNet,
    "fine_resnet": partial(SlimResNet, fine=True),
}


def build(name: str, *, width: float = 1.0, in_channels: int = 1) -> nn.Module:
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
    return MODELS[name](width, in_channels)


def build_empty(name: str, **options: Any) -> nn.Module:
    """`build` on the meta device: all shapes, no memory, nothing drawn from a generator."""
    with torch.device("meta"), _NothingDrawn():
        return build(name, **options)


class _NothingDrawn(TorchFunctionMode):
    """Leaves out initial weights: to draw them on the meta device, torch imports its compiler."""

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in ("uniform_", "normal_"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))
