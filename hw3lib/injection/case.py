"""What a fault is measured on, and how: predictions past everything that guards our path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from hw3lib import UserError
from hw3lib.data.faces import Faces
from hw3lib.data.folds import Folds
from hw3lib.inference import Network, logits
from hw3lib.runs import Run
from hw3lib.text import Text

BATCH = 64  # pictures, as in training: batch norm's own statistics are those of a batch


@dataclass(frozen=True)
class Case:
    """A trained Run, its network, and the labelled pictures that the faults are measured on."""

    run: Run
    network: Network
    faces: Faces
    folds: Folds

    @classmethod
    def of(cls, run: Run, folds: Folds, limit: int = 0) -> Case:
        """limit : pictures of the test fold, 0 for all of them"""
        return cls(run, run.network(), folds.faces.subset(folds.test[: limit or None]), folds)


@dataclass(frozen=True)
class Fault:
    """One way to lose accuracy unseen.

    faulty : (N,) bool, which predictions are right on a path that has the fault
    ours   : the same pictures and the same fault given to our path: (N,) bool, or an exception
    check  : the check of ours that meets it
    notice : what our path says of the fault while it answers, "" for nothing
    """

    name: str
    text: Text
    faulty: Callable[[Case], np.ndarray]
    ours: Callable[[Case], np.ndarray]
    check: Text
    notice: Callable[[Case], str] = lambda case: ""


@dataclass(frozen=True)
class Outcome:
    """What a Fault did: accuracies in [0, 1].

    ours  : None where our path refused
    words : of the refusal, or of the notice; "" where our path answered and said nothing
    """

    fault: Fault
    sound: float
    faulty: float
    ours: float | None
    words: str

    @property
    def drop(self) -> float:
        """Points of accuracy lost on the faulty path; negative where accuracy seems to rise."""
        return 100 * (self.sound - self.faulty)


def inject(fault: Fault, case: Case) -> Outcome:
    """Measure one Fault; the Case is left as it was."""
    sound = right(case, predict(case.network, case.faces.images)).mean()
    try:
        ours, words = float(fault.ours(case).mean()), fault.notice(case)
    except (UserError, TypeError) as error:
        ours, words = None, " ".join(str(error).split())
    return Outcome(fault, float(sound), float(fault.faulty(case).mean()), ours, words)


def predict(network: Network, images: np.ndarray) -> np.ndarray:
    return logits(network, images).argmax(axis=1)


def right(case: Case, predicted: np.ndarray) -> np.ndarray:
    return predicted == case.faces.labels


@torch.no_grad()
def raw_predict(case: Case, batch: torch.Tensor, model: nn.Module | None = None) -> np.ndarray:
    """(N,) bool from normalised pictures (N, 1, 48, 48), past everything that guards our path."""
    model = case.network.model if model is None else model
    channels = case.network.in_channels
    parts = [model(part.expand(-1, channels, -1, -1)) for part in batch.split(BATCH)]
    return right(case, torch.cat(parts).argmax(dim=1).numpy())


def grey(case: Case) -> torch.Tensor:
    """(N, 1, 48, 48) float in [0, 1]."""
    return torch.from_numpy(np.array(case.faces.images))[:, None].float() / 255


def normal(case: Case, batch: torch.Tensor) -> torch.Tensor:
    return (batch - case.network.mean) / case.network.std
