"""A network without convolution, as large as the one it is compared with."""

from __future__ import annotations

from math import sqrt

from torch import Tensor, nn

from hw3lib.data.faces import SIZE


class DenseNet(nn.Module):
    """Two hidden layers (linear, batch norm, ReLU, dropout) on the flat picture."""

    def __init__(self, hidden: int, in_channels: int = 1, classes: int = 7, dropout: float = 0.2):
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs in (in_channels * SIZE * SIZE, hidden):
            layers += [
                nn.Linear(inputs, hidden, bias=False),
                nn.BatchNorm1d(hidden),
                nn.ReLU(),
                nn.Dropout(dropout),
            ]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden, classes))

    def forward(self, x: Tensor) -> Tensor:  # (B, in_channels, 48, 48)
        return self.layers(x)


def matched_dense(parameters: int, in_channels: int = 1, classes: int = 7) -> DenseNet:
    """The DenseNet whose parameter count is nearest to `parameters`.

    With h hidden units it has h^2 + (p + 4 + classes) h + classes parameters, p pixels.
    """
    half = (in_channels * SIZE * SIZE + 4 + classes) / 2
    hidden = round(sqrt(half * half + max(parameters - classes, 0)) - half)
    return DenseNet(max(hidden, 2), in_channels, classes)
