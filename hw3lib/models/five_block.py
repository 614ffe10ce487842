"""Hand-in 2's network: five convolution blocks and a dense head."""

from __future__ import annotations

from torch import Tensor, nn

from hw3lib.models.common import initialise, scaled


class FiveBlock(nn.Module):
    """Blocks 1-2: 5x5, few channels, little dropout, no pooling; 3-5: 3x3, more of all three.

    Each block is conv, ReLU, batch norm, (max pool,) dropout: the hand-in's order, after the
    batch-norm and dropout papers. Widths, rates and the head's size are ours (CHOICES).
    """

    CHANNELS = (32, 64, 128, 256, 512)
    KERNELS = (5, 5, 3, 3, 3)
    DROPOUT = (0.1, 0.1, 0.3, 0.3, 0.3)
    HIDDEN, HEAD_DROPOUT = 512, 0.3

    def __init__(self, width: float = 1.0, in_channels: int = 1, classes: int = 7):
        super().__init__()
        channels = [in_channels, *(scaled(c, width) for c in self.CHANNELS)]
        self.blocks = nn.Sequential(
            *(
                self._block(channels[i], channels[i + 1], kernel, rate, pooled=i >= 2)
                for i, (kernel, rate) in enumerate(zip(self.KERNELS, self.DROPOUT, strict=True))
            )
        )
        hidden = scaled(self.HIDDEN, width)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels[-1] * 6 * 6, hidden),
            nn.ReLU(),
            nn.BatchNorm1d(hidden),
            nn.Dropout(self.HEAD_DROPOUT),
            nn.Linear(hidden, classes),
        )
        initialise(self)

    @staticmethod
    def _block(
        inputs: int, outputs: int, kernel: int, dropout: float, *, pooled: bool
    ) -> nn.Sequential:
        layers = [
            nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2),
            nn.ReLU(),
            nn.BatchNorm2d(outputs),
        ]
        if pooled:
            layers.append(nn.MaxPool2d(2))
        return nn.Sequential(*layers, nn.Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:  # (B, in_channels, 48, 48)
        return self.head(self.blocks(x))  # blocks: (B, 512, 6, 6)
