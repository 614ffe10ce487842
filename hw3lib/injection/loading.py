"""Faults of saving and re-loading: training mode, names that do not fit, lost statistics."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hw3lib import models
from hw3lib.inference import Network, load_network, save_network
from hw3lib.injection.case import Case, grey, normal, predict, raw_predict, right


def in_training_mode(case: Case) -> Network:
    """A copy that was left in training mode, as after `model.train()` or a fresh load."""
    network = replace(case.network, model=copy.deepcopy(case.network.model))
    network.model.train()
    return network


def though_in_training_mode(case: Case) -> np.ndarray:
    return right(case, predict(in_training_mode(case), case.faces.images))


def training_mode(order: Callable[[Case], np.ndarray]) -> Callable[[Case], np.ndarray]:
    def faulty(case: Case) -> np.ndarray:
        rows = order(case)
        back = np.argsort(rows)
        mixed = replace(case, faces=case.faces.subset(rows))
        with torch.random.fork_rng(devices=[]):  # dropout is on
            torch.manual_seed(0)
            model = in_training_mode(case).model
            return raw_predict(mixed, normal(mixed, grey(mixed)), model)[back]

    return faulty


def by_class(case: Case) -> np.ndarray:
    return np.argsort(case.faces.labels, kind="stable")


def shuffled(case: Case) -> np.ndarray:
    return np.random.default_rng(0).permutation(len(case.faces))


def renamed(state: dict) -> dict:
    """What `DataParallel` saves: every name carries a prefix."""
    return {f"module.{name}": value for name, value in state.items()}


def without_statistics(state: dict) -> dict:
    """What saving `model.parameters()` leaves out: batch norm's running statistics."""
    return {k: v for k, v in state.items() if "running_" not in k and "num_batches" not in k}


def re_loaded(change: Callable[[dict], dict]) -> Callable[[Case], np.ndarray]:
    """Load with strict=False: what does not fit keeps its random start."""

    def faulty(case: Case) -> np.ndarray:
        recipe = case.run.recipe
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            fresh = models.build(recipe.model, width=recipe.width, in_channels=recipe.in_channels)
        fresh.load_state_dict(change(case.network.model.state_dict()), strict=False)
        return raw_predict(case, normal(case, grey(case)), fresh.eval())

    return faulty


def load_changed(change: Callable[[dict], dict]) -> Callable[[Case], np.ndarray]:
    class Changed(nn.Module):
        def __init__(self, model: nn.Module):
            super().__init__()
            self.model = model

        def state_dict(self, **_) -> dict:
            return change(self.model.state_dict())

    def ours(case: Case) -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "weights.safetensors"
            save_network(file, replace(case.network, model=Changed(case.network.model)))
            network = load_network(file)
        return right(case, predict(network, case.faces.images))

    return ours
