"""Residual networks: hand-in 1's ResNet-18 and our slim one."""

from __future__ import annotations

from torch import Tensor, nn

from hw3lib.models.common import initialise, scaled


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


class ResNet18(nn.Module):
    """Hand-in 1's ResNet-18 (He et al. 2016, arXiv:1512.03385), torchvision's at width 1.

    The parameters have torchvision's names and shapes, so weights travel both ways.
    """

    def __init__(self, width: float = 1.0, in_channels: int = 3, classes: int = 7):
        super().__init__()
        c1, c2, c3, c4 = (scaled(c, width) for c in (64, 128, 256, 512))
        self.conv1 = nn.Conv2d(in_channels, c1, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(c1)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = self._stage(c1, c1, 1)
        self.layer2 = self._stage(c1, c2, 2)
        self.layer3 = self._stage(c2, c3, 2)
        self.layer4 = self._stage(c3, c4, 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(c4, classes)
        initialise(self)

    @staticmethod
    def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
        downsample = None
        if stride != 1:
            downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        return nn.Sequential(
            BasicBlock(inputs, outputs, stride, downsample),
            BasicBlock(outputs, outputs, 1, None),
        )

    def forward(self, x: Tensor) -> Tensor:  # (B, in_channels, 48, 48)
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # (B, 64, 12, 12)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (B, 512, 2, 2)
        return self.fc(self.flatten(self.avgpool(x)))


class SlimResNet(nn.Module):
    """Our small residual network for 48x48 pictures and few CPU cores.

    A strided stem leaves the costly 48x48 maps at once; three stages of basic blocks follow.
    "fine" is its larger sister for a GPU: the second convolution keeps 24x24 maps, where the
    first stage sees eyes and mouth at twice the resolution, and the first stage has two blocks.
    The shortcuts that change shape average before their 1x1 convolution (He et al. 2019,
    arXiv:1812.01187, "ResNet-D"), and the last batch norm of every block starts at zero, so that
    each block starts as the identity (Goyal et al. 2017, arXiv:1706.02677).
    """

    CHANNELS = (64, 96, 160)
    BLOCKS = (1, 2, 2)

    def __init__(
        self,
        width: float = 1.0,
        in_channels: int = 1,
        classes: int = 7,
        dropout: float = 0.2,
        *,
        fine: bool = False,
    ):
        super().__init__()
        blocks = (2, 2, 2) if fine else self.BLOCKS
        channels = [scaled(c, width) for c in self.CHANNELS]
        stem = scaled(32, width)
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, stem, 5, 2, 2, bias=False),
            nn.BatchNorm2d(stem),
            nn.ReLU(),
            nn.Conv2d(stem, channels[0], 3, 1 if fine else 2, 1, bias=False),
            nn.BatchNorm2d(channels[0]),
            nn.ReLU(),
        )
        self.stage1, self.stage2, self.stage3 = (
            self._stage(channels[max(i - 1, 0)], channels[i], 1 if i == 0 else 2, blocks[i])
            for i in range(3)
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels[2], classes)
        initialise(self)
        for module in self.modules():
            if isinstance(module, BasicBlock):
                nn.init.zeros_(module.bn2.weight)

    @staticmethod
    def _stage(inputs: int, outputs: int, stride: int, blocks: int) -> nn.Sequential:
        downsample = None
        if stride != 1 or inputs != outputs:
            downsample = nn.Sequential(
                nn.AvgPool2d(stride, ceil_mode=True),
                nn.Conv2d(inputs, outputs, 1, bias=False),
                nn.BatchNorm2d(outputs),
            )
        return nn.Sequential(
            BasicBlock(inputs, outputs, stride, downsample),
            *(BasicBlock(outputs, outputs, 1, None) for _ in range(blocks - 1)),
        )

    def forward(self, x: Tensor) -> Tensor:  # (B, in_channels, 48, 48)
        x = self.stage3(self.stage2(self.stage1(self.stem(x))))
        return self.fc(self.dropout(self.flatten(self.pool(x))))
