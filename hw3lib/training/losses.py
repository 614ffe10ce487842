"""What a training minimises, and how often it sees each class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from hw3lib.data.faces import CLASSES
from hw3lib.models.network import Network
from hw3lib.training.recipe import Recipe

EFFECTIVE = 0.9999  # beta of the effective number of images


class Loss:
    """The Recipe's loss of a batch, with all that it takes from the training labels.

    labels : (N,) int64 of the training images, on the device
    teacher: what turns a batch into the probabilities that its Runs teach, with `distillation`
    """

    def __init__(self, recipe: Recipe, labels: torch.Tensor, teacher: Teacher | None = None):
        counts = class_counts(labels).float()
        self.recipe, self.weight = recipe, class_weights(recipe.class_weight, counts)
        self.teacher = teacher
        self.offset = recipe.logit_adjustment * (counts / counts.sum()).log()

    def __call__(
        self, model: nn.Module, batch: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean loss (nats) and count of right answers.

        With a teacher its share of the target is what it sees in the batch.
        """
        out = model(batch).float()
        loss = self.told(out, labels)
        if self.teacher is not None:
            taught = F.cross_entropy(out, self.teacher(batch))
            loss = torch.lerp(loss, taught, self.recipe.distillation)
        return loss, (out.argmax(1) == labels).sum()

    def told(self, out: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Mean cross entropy with the labels, by the images' weights or over the images.

        With `logit_adjustment` tau it is that of the logits plus tau log prior, Menon et al. 2020
        (arXiv:2007.07314).
        """
        return F.cross_entropy(
            out + self.offset, labels, self.weight, label_smoothing=self.recipe.label_smoothing,
            reduction="none" if self.recipe.reduction == "mean" else "mean",
        ).mean()  # fmt: skip


class Teacher:
    """The mean probabilities of trained networks, of the very batch that the pupil sees.

    Hinton et al. 2015 (arXiv:1503.02531), at temperature 1; that teacher and pupil see the same
    augmented image matters most, Beyer et al. 2021 (arXiv:2106.05237).

    pupil : whose standardised batches it reads; every teacher has a mean and deviation of its own
    """

    def __init__(self, teachers: Sequence[Network], pupil: Network):
        self.members = [
            (t.model, pupil.std / t.std, (pupil.mean - t.mean) / t.std) for t in teachers
        ]

    @torch.no_grad()
    def __call__(self, batch: torch.Tensor) -> torch.Tensor:  # (B, C, 48, 48) -> (B, 7)
        each = [model(batch * a + b).float().softmax(1) for model, a, b in self.members]
        return torch.stack(each).mean(0)


def class_counts(labels: torch.Tensor) -> torch.Tensor:
    """(7,) int64, at least 1 each; unlike torch.bincount it does not wait for the GPU."""
    classes = torch.arange(len(CLASSES), device=labels.device)
    return (labels[:, None] == classes).sum(0).clamp_min(1)


def class_weights(kind: str, counts: torch.Tensor) -> torch.Tensor | None:
    """(7,) float weights of the classes, None for "none".

    "inverse" N / (7 n): one on average over the images; "share" N / n; "count" 1 / n: the same
    16:1 ratio on other scales; "effective" (1 - b) / (1 - b^n), one on average over the
    images, Cui et al. 2019 (arXiv:1901.05555).
    """
    if kind == "none":
        return None
    if kind == "effective":
        weight = (1 - EFFECTIVE) / (1 - EFFECTIVE**counts)
        return weight * counts.sum() / (weight * counts).sum()
    scale = {"inverse": counts.sum() / len(CLASSES), "share": counts.sum(), "count": 1.0}[kind]
    return scale / counts


def draw_order(recipe: Recipe, labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(N,) int64: a permutation, or N draws that make rare classes likelier.

    "balanced": every class equally likely; "sqrt": in proportion to the root of its count.
    """
    if recipe.sampler == "shuffle":
        return torch.randperm(len(labels), device=labels.device, generator=generator)
    counts = class_counts(labels).double()
    chance = 1.0 / counts[labels] ** (1.0 if recipe.sampler == "balanced" else 0.5)
    return torch.multinomial(chance, len(labels), replacement=True, generator=generator)
