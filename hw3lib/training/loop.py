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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from hw3lib import models
from hw3lib.data.audit import pixel_statistics
from hw3lib.data.split import Split
from hw3lib.models.network import Network
from hw3lib.training.augment import augment
from hw3lib.training.losses import Loss, Teacher, draw_order
from hw3lib.training.optimizers import (
    Average,
    copy_of,
    make_optimizer,
    multiplies_bf16,
    set_rate,
    swapped,
)
from hw3lib.training.recipe import Recipe

SCORED = 512  # images at once where nothing is trained


@dataclass
class State:
    """All that a training has become by the end of an epoch; what a checkpoint holds."""

    model: dict[str, torch.Tensor]
    optimizer: dict[str, Any]
    average: dict[str, torch.Tensor]  # exponential moving average, {} where ema is off
    best: dict[str, torch.Tensor]  # weights of the epoch of lowest validation loss
    history: list[dict[str, float]] = field(default_factory=list)
    # weights at the end of every cycle but the last
    snapshots: list[dict[str, torch.Tensor]] = field(default_factory=list)
    # of every epoch, where they are asked for: split -> (n, 7) float16
    logits: list[dict[str, torch.Tensor]] = field(default_factory=list)

    @property
    def best_epoch(self) -> int:
        """1-based epoch of the lowest validation loss, the first one among equals.

        The last epoch where the validation split was trained on.
        """
        losses = np.array([row["validation_loss"] for row in self.history])
        return len(losses) if np.isnan(losses).all() else 1 + int(np.nanargmin(losses))


class Images(NamedTuple):
    """A split on the device: images (N, 48, 48) uint8, labels (N,) int64."""

    images: torch.Tensor
    labels: torch.Tensor


def images_of(folds: Split, split: str, device: torch.device, limit: int = 0) -> Images:
    """split : "train", "validation", "test", "train+validation", or "" for no images"""
    parts = [getattr(folds, name) for name in split.split("+") if name]
    rows = np.concatenate([*parts, np.zeros(0, np.int64)])[: limit or None]
    images = np.ascontiguousarray(folds.faces.images[rows])
    return Images(torch.from_numpy(images).to(device),
                  torch.from_numpy(folds.faces.labels[rows]).to(device))  # fmt: skip


def train(
    recipe: Recipe,
    folds: Split,
    *,
    device: torch.device,
    resume: State | None = None,
    after_epoch: Callable[[State], None] = lambda state: None,
    every_epoch: bool = False,
    teachers: Sequence[Network] = (),
) -> tuple[Network, State]:
    """Train by the Recipe and return the network it selects and the last State.

    Parameters
    ----------
    resume : the State to go on from; the result is bit-identical to an unbroken training on the
        same device, torch version and thread count
    after_epoch : called with the State at each epoch's end (checkpoint, progress)
    every_epoch : keep the logits on validation and test after every epoch (`State.logits`), so
        that every patience can be read off one training at a constant rate
    teachers : the networks of the Runs that the Recipe's `teacher` names, on the device
    """
    with exact(recipe, device):
        now = Training(recipe, folds, device, every_epoch=every_epoch, teachers=teachers)
        if resume is not None:
            now.go_on_from(resume)
        while not finished(recipe, now.state):
            now.run_epoch()
            after_epoch(now.state)
        network, state = now.network, now.state
        selected = state.best if recipe.select == "best" else state.average or state.model
        network.model.load_state_dict(selected)
        return Network(network.model, network.mean, network.std, network.in_channels), state


def finished(recipe: Recipe, state: State) -> bool:
    """All epochs done, or `patience` epochs without a lower validation loss."""
    done = len(state.history)
    return done >= recipe.epochs or 0 < recipe.patience <= done - state.best_epoch


class Training:
    """A training from epoch to epoch: images on the device, network, optimiser and State.

    It begins with fresh weights, from the Recipe's seed, and the State before epoch 1.
    """

    def __init__(
        self,
        recipe: Recipe,
        folds: Split,
        device: torch.device,
        *,
        every_epoch: bool = False,
        teachers: Sequence[Network] = (),
    ):
        self.recipe, self.device = recipe, device
        self.images, self.labels = images_of(folds, recipe.train_on, device, recipe.train_limit)
        self.held = images_of(folds, "validation" if recipe.train_on == "train" else "", device)
        watched = ("validation", "test") if every_epoch else ()
        self.watched = {split: images_of(folds, split, device).images for split in watched}
        torch.manual_seed(recipe.seed)
        model = models.build(recipe.model, width=recipe.width, in_channels=recipe.in_channels)
        mean, std = normalization(recipe, self.images)
        self.network = Network(model.to(device), mean, std, recipe.in_channels)
        model.requires_grad_(True)
        teacher = Teacher(teachers, self.network) if teachers else None
        self.loss = Loss(recipe, self.labels, teacher)
        self.optimizer = make_optimizer(recipe, model)
        average = copy_of(model.state_dict()) if recipe.ema else {}
        self.state = State(model.state_dict(), self.optimizer.state_dict(), average, {})

    def go_on_from(self, state: State) -> None:
        self.state = state
        self.network.model.load_state_dict(state.model, strict=True)
        self.optimizer.load_state_dict(state.optimizer)

    def run_epoch(self) -> None:
        """One pass over the training images and one over the validation split."""
        recipe, state, model = self.recipe, self.state, self.network.model
        began, epoch = time.perf_counter(), len(state.history) + 1
        loss, right = self.train_epoch(epoch - 1)
        state.model, state.optimizer = model.state_dict(), self.optimizer.state_dict()
        with swapped(model, state.average):
            with autocast(recipe, self.device):
                held_loss, held_accuracy = score(self.network, self.held)
            row = {
                "epoch": epoch,
                "lr": self.optimizer.param_groups[0]["lr"],
                "train_loss": loss.item(),
                "train_accuracy": right.item(),
                "validation_loss": held_loss,
                "validation_accuracy": held_accuracy,
                "seconds": time.perf_counter() - began,
            }
            state.history.append(row)
            if self.watched:
                # half precision keeps an epoch at 0.1 MB and moves a loss by less than 1e-3
                found = {k: torch.cat([*outputs(self.network, x)]) for k, x in self.watched.items()}
                state.logits.append({split: out.half().cpu() for split, out in found.items()})
            if state.best_epoch == epoch:
                state.best = copy_of(model.state_dict())
            if epoch % (recipe.epochs // recipe.cycles) == 0 and epoch < recipe.epochs:
                state.snapshots.append(copy_of(model.state_dict()))

    def train_epoch(self, epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """All steps of an epoch, from 0; mean loss and accuracy as tensors on the device.

        Between the first step and the last nothing is read back from a GPU, which would have to
        wait for it.
        """
        recipe, labels, model = self.recipe, self.labels, self.network.model
        generator = torch.Generator(self.device).manual_seed(recipe.seed * 100_003 + epoch)
        torch.manual_seed(recipe.seed * 100_003 + epoch)  # dropout's generator
        order = draw_order(recipe, labels, generator)
        average = Average(self.state.average, model, recipe.ema)
        steps = max(1, len(order) // recipe.batch_size)
        total_loss, total_right = torch.zeros((2, 1), device=self.device)
        model.train()
        for step in range(steps):
            done = epoch * steps + step
            set_rate(self.optimizer, recipe, done / (recipe.epochs * steps))
            index = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
            batch = augment(self.network.prepare(self.images[index]), recipe, generator)
            with autocast(recipe, self.device):
                loss, right = self.loss(model, batch, labels[index])
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            average.update(done)
            total_loss += loss.detach()
            total_right += right
        seen = steps * min(recipe.batch_size, len(order))
        return total_loss / steps, total_right / seen


@torch.no_grad()
def outputs(network: Network, images: torch.Tensor) -> Iterator[torch.Tensor]:
    """The logits (b, 7) of batch after batch, in evaluation mode."""
    network.model.eval()
    for batch in images.split(SCORED):
        yield network.model(network.prepare(batch))


def score(network: Network, split: Images) -> tuple[float, float]:
    """Mean cross entropy (nats) and accuracy in evaluation mode, NaN of no images."""
    images, labels = split
    if not len(labels):
        return math.nan, math.nan
    loss, right = torch.zeros((2, 1), device=labels.device, dtype=torch.float64)
    for out, truth in zip(outputs(network, images), labels.split(SCORED), strict=True):
        loss += F.cross_entropy(out.float(), truth, reduction="sum")
        right += (out.float().argmax(1) == truth).sum()
    return loss.item() / len(labels), right.item() / len(labels)


def normalization(recipe: Recipe, images: torch.Tensor) -> tuple[float, float]:
    """Mean and deviation of uint8 images in [0, 1]; (0, 1) where the Recipe wants none."""
    if recipe.normalize == "none":
        return 0.0, 1.0
    mean, std = pixel_statistics(images.cpu().numpy())
    return mean, max(std, 1e-3)


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

    Else every batch has its pages mapped and zeroed again, which halved the speed of augmentation.
    Elsewhere than on Linux with glibc it does nothing.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, 32 * 2**20)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, 2**30)  # M_TRIM_THRESHOLD


def arithmetic(recipe: Recipe, device: torch.device) -> str:
    """What convolutions and matrix products of this training are computed in: bf16 or fp32.

    Batch norm's sums and the loss are in fp32 anyway.
    """
    if recipe.precision != "auto":
        return recipe.precision
    return "bf16" if multiplies_bf16(device) else "fp32"


def autocast(recipe: Recipe, device: torch.device) -> torch.autocast:
    enabled = arithmetic(recipe, device) == "bf16"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)
