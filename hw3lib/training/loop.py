"""The training loop, to be read in one sitting.

Exactness: every random draw of an epoch comes from generators seeded by (seed, epoch) at its
start, so the state at an epoch's end is weights, optimiser and history alone, and a training
that was killed goes on from its last checkpoint to the same bits.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from hw3lib import models
from hw3lib.data.split import Split
from hw3lib.models.network import Network, normalize
from hw3lib.training.augment import augment, turns
from hw3lib.training.losses import Loss, draw_order
from hw3lib.training.optimizers import Average, copy_of, make_optimizer, set_rate, swapped
from hw3lib.training.recipe import Recipe


@dataclass
class State:
    """All that a training has become by the end of an epoch; what a checkpoint holds."""

    model: dict[str, torch.Tensor]
    optimizer: dict[str, Any]
    average: dict[str, torch.Tensor]  # exponential moving average, {} where ema is off
    best: dict[str, torch.Tensor]  # weights of the epoch of lowest validation loss
    history: list[dict[str, float]] = field(default_factory=list)
    snapshots: list[dict[str, torch.Tensor]] = field(
        default_factory=list
    )  # at the end of every cycle but the last
    logits: list[dict[str, torch.Tensor]] = field(
        default_factory=list
    )  # of every epoch, where they are asked for: fold -> (n, 7) float16

    @property
    def best_epoch(self) -> int:
        """1-based epoch of the lowest validation loss, the first one among equals.

        The last epoch where the validation fold was trained on.
        """
        losses = np.array([row["validation_loss"] for row in self.history])
        return len(losses) if np.isnan(losses).all() else 1 + int(np.nanargmin(losses))


@dataclass(frozen=True)
class Pictures:
    """A fold on the device: images (N, 48, 48) uint8, labels (N,) int64."""

    images: torch.Tensor
    labels: torch.Tensor

    @classmethod
    def of(cls, folds: Split, fold: str, device: torch.device, limit: int = 0) -> Pictures:
        """fold : "train", "validation", "test", "train+validation", or "" for no pictures"""
        parts = [getattr(folds, name) for name in fold.split("+") if name]
        rows = np.concatenate([*parts, np.zeros(0, np.int64)])[: limit or None]
        images = np.ascontiguousarray(folds.faces.images[rows])
        return cls(torch.from_numpy(images).to(device),
                   torch.from_numpy(folds.faces.labels[rows]).to(device))  # fmt: skip

    def __len__(self) -> int:
        return len(self.labels)


def train(
    recipe: Recipe,
    folds: Split,
    *,
    device: torch.device,
    resume: State | None = None,
    after_epoch: Callable[[State], None] = lambda state: None,
    every_epoch: bool = False,
) -> tuple[Network, State]:
    """Train by the Recipe and return the network it selects and the last State.

    Parameters
    ----------
    resume : the State to go on from; the result is bit-identical to an unbroken training on the
        same device, torch version and thread count
    after_epoch : called with the State at each epoch's end (checkpoint, progress)
    every_epoch : keep the logits on validation and test after every epoch (`State.logits`), so
        that every patience can be read off one training at a constant rate
    """
    with exact(recipe, device):
        pictures = Pictures.of(folds, recipe.train_on, device, recipe.train_limit)
        held = Pictures.of(folds, "validation" if recipe.train_on == "train" else "", device)
        network, optimizer, state = start(recipe, pictures, device)
        model = network.model
        watched = {
            fold: Pictures.of(folds, fold, device)
            for fold in (("validation", "test") if every_epoch else ())
        }
        if resume is not None:
            state = resume
            model.load_state_dict(state.model, strict=True)
            optimizer.load_state_dict(state.optimizer)
        while not finished(recipe, state):
            run_epoch(recipe, network, optimizer, pictures, held, state, watched)
            after_epoch(state)
        model.load_state_dict(
            state.best if recipe.select == "best" else (state.average or state.model)
        )
        return Network(model, network.mean, network.std, network.in_channels), state


def start(
    recipe: Recipe, pictures: Pictures, device: torch.device
) -> tuple[Network, torch.optim.Optimizer, State]:
    """Fresh weights from the Recipe's seed, their optimiser, and the State before epoch 1."""
    torch.manual_seed(recipe.seed)
    model = models.build(recipe.model, width=recipe.width, in_channels=recipe.in_channels)
    network = Network(model.to(device), *normalization(recipe, pictures), recipe.in_channels)
    model.requires_grad_(True)
    optimizer = make_optimizer(recipe, model)
    state = State(model.state_dict(), optimizer.state_dict(), {}, {})
    if recipe.ema:
        state.average = copy_of(model.state_dict())
    return network, optimizer, state


def finished(recipe: Recipe, state: State) -> bool:
    """All epochs done, or `patience` epochs without a lower validation loss."""
    done = len(state.history)
    if done >= recipe.epochs:
        return True
    return bool(recipe.patience and done and done - state.best_epoch >= recipe.patience)


def run_epoch(
    recipe: Recipe,
    network: Network,
    optimizer: torch.optim.Optimizer,
    pictures: Pictures,
    held: Pictures,
    state: State,
    watched: dict[str, Pictures],
) -> None:
    """One pass over the training pictures and one over the validation fold; updates `state`."""
    began, epoch, model = time.perf_counter(), len(state.history), network.model
    loss, right = train_epoch(recipe, network, optimizer, pictures, state.average, epoch)
    state.model, state.optimizer = model.state_dict(), optimizer.state_dict()
    with swapped(model, state.average):
        with autocast(recipe, pictures.labels.device):
            held_loss, held_accuracy = score(network, held)
        row = {
            "epoch": epoch + 1,
            "lr": optimizer.param_groups[0]["lr"],
            "train_loss": loss.item(),
            "train_accuracy": right.item(),
            "validation_loss": held_loss,
            "validation_accuracy": held_accuracy,
            "seconds": time.perf_counter() - began,
        }
        state.history.append(row)
        if watched:
            state.logits.append({fold: logits_of(network, p) for fold, p in watched.items()})
        if state.best_epoch == epoch + 1:
            state.best = copy_of(model.state_dict())
        if (epoch + 1) % (recipe.epochs // recipe.cycles) == 0 and epoch + 1 < recipe.epochs:
            state.snapshots.append(copy_of(model.state_dict()))


def train_epoch(
    recipe: Recipe,
    network: Network,
    optimizer: torch.optim.Optimizer,
    pictures: Pictures,
    averaged: dict[str, torch.Tensor],
    epoch: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """All steps of an epoch; mean loss and accuracy as tensors on the device.

    Between the first step and the last nothing is read back from a GPU, which would have to
    wait for it.
    """
    device, model = pictures.labels.device, network.model
    generator = torch.Generator(device).manual_seed(recipe.seed * 100_003 + epoch)
    torch.manual_seed(recipe.seed * 100_003 + epoch)  # dropout's generator
    order = draw_order(recipe, pictures.labels, generator)
    batch_loss = Loss(recipe, pictures.labels, epoch)
    side = turns(recipe, epoch, pictures.labels)
    average = Average(averaged, model, recipe.ema)
    steps = max(1, len(order) // recipe.batch_size)
    total_loss, total_right = torch.zeros((2, 1), device=device)
    model.train()
    for step in range(steps):
        done = epoch * steps + step
        set_rate(optimizer, recipe, done / (recipe.epochs * steps))
        index = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
        mirrored = None if side is None else side[index]
        batch = augment(normalize(pictures.images[index], network), recipe, generator, mirrored)
        with autocast(recipe, device):
            loss, right = batch_loss(model, batch, pictures.labels[index], generator)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        average.update(done)
        total_loss += loss.detach()
        total_right += right
    seen = steps * min(recipe.batch_size, len(order))
    return total_loss / steps, total_right / seen


@torch.no_grad()
def score(network: Network, pictures: Pictures, batch_size: int = 512) -> tuple[float, float]:
    """Mean cross entropy (nats) and accuracy in evaluation mode, NaN of no images."""
    if not len(pictures):
        return math.nan, math.nan
    loss, right = torch.zeros((2, 1), device=pictures.labels.device, dtype=torch.float64)
    with evaluating(network.model) as model:
        for images, labels in zip(
            pictures.images.split(batch_size), pictures.labels.split(batch_size), strict=True
        ):
            out = model(normalize(images, network)).float()
            loss += F.cross_entropy(out, labels, reduction="sum")
            right += (out.argmax(1) == labels).sum()
    return loss.item() / len(pictures), right.item() / len(pictures)


@torch.no_grad()
def logits_of(network: Network, pictures: Pictures, batch_size: int = 512) -> torch.Tensor:
    """(n, 7) float16 on the CPU, in evaluation mode.

    Half precision keeps an epoch of both splits at 0.1 MB and moves a loss by less than 1e-3.
    """
    with evaluating(network.model) as model:
        out = [model(normalize(batch, network)) for batch in pictures.images.split(batch_size)]
    return torch.cat(out).half().cpu()


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """Evaluation mode within the block; the mode is put back."""
    training = model.training
    model.eval()
    try:
        yield model
    finally:
        model.train(training)


def normalization(recipe: Recipe, pictures: Pictures) -> tuple[float, float]:
    """Mean and deviation of the training pictures in [0, 1]; (0, 1) where the Recipe wants none."""
    if recipe.normalize == "none":
        return 0.0, 1.0
    counts = torch.bincount(pictures.images.flatten().int().cpu(), minlength=256).double()
    grey = torch.arange(256, dtype=torch.float64) / 255
    mean = (counts * grey).sum() / counts.sum()
    variance = (counts * (grey - mean) ** 2).sum() / counts.sum()
    return float(mean), max(float(variance.sqrt()), 1e-3)


@contextlib.contextmanager
def exact(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Fixed threads, forked random state and, on a GPU, deterministic kernels; all put back."""
    keep_freed_memory()
    threads, deterministic = torch.get_num_threads(), torch.backends.cudnn.deterministic
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.set_num_threads(recipe.threads)
        torch.backends.cudnn.deterministic = True
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.backends.cudnn.deterministic = deterministic


def keep_freed_memory() -> None:
    """Let glibc keep freed blocks of up to 32 MB instead of handing them back to the kernel.

    Else every batch has its pages mapped and zeroed anew, which halved the speed of augmentation.
    Elsewhere than on Linux with glibc it does nothing.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, 32 * 2**20)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, 2**30)  # M_TRIM_THRESHOLD


def arithmetic(recipe: Recipe, device: torch.device) -> str:
    """What convolutions and matrix products of this training are computed in: bf16 or fp32.

    "auto" takes bf16 where the device multiplies bf16 numbers in hardware (a GPU, a CPU with AMX
    or AVX512-BF16, where a step was measured up to twice as fast); elsewhere bf16 was measured
    slower. Batch norm's sums and the loss are in fp32 anyway.
    """
    if recipe.precision != "auto":
        return recipe.precision
    if device.type == "cpu":
        able = getattr(torch.cpu, "get_capabilities", dict)()
        return "bf16" if able.get("amx_bf16") or able.get("avx512_bf16") else "fp32"
    return "bf16"


def autocast(recipe: Recipe, device: torch.device) -> torch.autocast:
    enabled = arithmetic(recipe, device) == "bf16"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)
