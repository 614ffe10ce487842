"""VGG-16 with batch norm, the network whose filters hand-in 1 drew."""

from __future__ import annotations

from torch import Tensor, nn

from hw3lib.models.common import initialise, scaled


class VGG16(nn.Module):
    """VGG-16 (Simonyan & Zisserman 2015, arXiv:1409.1556) with batch norm.

    pool, hidden : side of the map given to the head, and width of its two hidden layers. With
        pool=7 and hidden=4096 the parameters have torchvision's names and shapes. Five poolings
        leave 1x1 of a 48x48 picture, so pool=7 would only copy it 49 times; ours is pool=1.
    """

    STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels, convolutions

    def __init__(
        self,
        width: float = 1.0,
        in_channels: int = 3,
        classes: int = 7,
        *,
        pool: int = 1,
        hidden: int = 512,
        dropout: float = 0.5,
    ):
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for outputs, convolutions in self.STAGES:
            outputs = scaled(outputs, width)
            for _ in range(convolutions):
                layers += [
                    nn.Conv2d(channels, outputs, 3, padding=1),
                    nn.BatchNorm2d(outputs),
                    nn.ReLU(),
                ]
                channels = outputs
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(pool)
        self.flatten = nn.Flatten()
        hidden = scaled(hidden, width)
        self.classifier = nn.Sequential(
            nn.Linear(channels * pool * pool, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:  # (B, in_channels, 48, 48)
        return self.classifier(self.flatten(self.avgpool(self.features(x))))
