"""One training step, run and timed."""

from __future__ import annotations

import time
from typing import NamedTuple

import torch
from torch import nn

from hw3lib.data.faces import CLASSES, SIZE


class Step(NamedTuple):
    """What one training step did: seconds it took, and the batch's loss (nats) before it."""

    seconds: float
    loss: float


def training_step(
    model: nn.Module, *, in_channels: int = 1, batch_size: int = 8, device: str = "cpu"
) -> Step:
    """Forward, backward and one SGD update on a batch of noise; the second of two is timed.

    The first step sets up kernels and memory, which later ones do not pay again. The model
    changes, as in any training.
    """
    model.to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch_size, in_channels, SIZE, SIZE, generator=generator).to(device)
    y = torch.randint(len(CLASSES), (batch_size,), generator=generator).to(device)
    for _ in range(2):
        began = time.perf_counter()
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        value = float(loss.detach())  # reading it waits for the GPU
        if x.is_cuda:
            torch.cuda.synchronize()
        seconds = time.perf_counter() - began
    return Step(seconds, value)
