"""Where hand-in 2 started: two convolutions with pooling, plain or with batch norm and dropout."""

from __future__ import annotations

from torch import Tensor, nn

from hw3lib.models.common import initialise, scaled


class TwoConv(nn.Module):
    """Two of conv, ReLU(, batch norm), max pool(, dropout), then a dense head.

    regularised : with batch norm and dropout, the hand-in's second step. Widths, rates and the
    head's size are ours (CHOICES), and those of FiveBlock where it has them.
    """

    CHANNELS = (64, 128)
    KERNEL = 5
    HIDDEN, DROPOUT = 512, 0.3

    def __init__(
        self,
        width: float = 1.0,
        in_channels: int = 1,
        classes: int = 7,
        *,
        regularised: bool = False,
    ):
        super().__init__()
        first, second = (scaled(c, width) for c in self.CHANNELS)
        hidden = scaled(self.HIDDEN, width)
        self.blocks = nn.Sequential(
            self._block(in_channels, first, regularised), self._block(first, second, regularised)
        )
        head = [nn.Flatten(), nn.Linear(second * 12 * 12, hidden), nn.ReLU()]
        if regularised:
            head += [nn.BatchNorm1d(hidden), nn.Dropout(self.DROPOUT)]
        self.head = nn.Sequential(*head, nn.Linear(hidden, classes))
        initialise(self)

    def _block(self, inputs: int, outputs: int, regularised: bool) -> nn.Sequential:
        layers = [nn.Conv2d(inputs, outputs, self.KERNEL, padding="same"), nn.ReLU()]
        if regularised:
            layers.append(nn.BatchNorm2d(outputs))
        layers.append(nn.MaxPool2d(2))
        if regularised:
            layers.append(nn.Dropout(self.DROPOUT))
        return nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:  # (B, in_channels, 48, 48)
        return self.head(self.blocks(x))  # blocks: (B, 128, 12, 12)
