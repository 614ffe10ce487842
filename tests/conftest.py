"""Shared fixtures: small faces, folds and a Run that is trained once for the whole session."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from fault_table import observed, pytest_addoption, pytest_terminal_summary  # noqa: F401

from hw3lib.data.faces import Faces, exact_groups
from hw3lib.data.split import Split, split_faces
from hw3lib.text import set_language
from hw3lib.training.recipe import Recipe


def make_faces(n: int = 240, *, seed: int = 0, test: int = 60, copies: int = 12) -> Faces:
    """Striped noise whose stripes tell the class: learnable in a few steps, with copies."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 7
    wave = np.sin(np.arange(48)[None, :] * (1 + labels[:, None]) * 2 * np.pi / 48)
    images = 128 + 60 * wave[:, None, :] + rng.normal(0, 40, (n, 48, 48))
    images = images.clip(0, 255).astype(np.uint8)
    images[n - copies :], labels[n - copies :] = images[:copies], labels[:copies]
    split = np.array(["train"] * (n - test) + ["test"] * test)
    ids = np.array([f"{i:05d}" for i in range(n)])
    return Faces(images, labels.astype(np.int64), ids, split, exact_groups(images))


def same_weights(a, b) -> bool:
    """Whether two Networks hold the same bits."""
    a, b = a.model.state_dict(), b.model.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(autouse=True)
def _both_languages():
    """Each test begins in both languages, whichever the one before it chose."""
    set_language("both")


@pytest.fixture(scope="session")
def faces() -> Faces:
    return make_faces()


@pytest.fixture(scope="session")
def folds(faces: Faces) -> Split:
    return split_faces(faces)


@pytest.fixture(scope="session")
def recipe(folds: Split) -> Recipe:
    """Everything that draws random numbers is on: augmentation, dropout, averaging."""
    return Recipe(
        model="slim_resnet",
        width=0.25,
        epochs=5,
        batch_size=16,
        flip="horizontal",
        shift=2,
        rotate=10,
        scale=0.1,
        erase=0.3,
        ema=0.9,
        lr=0.05,
        weight_decay=5e-4,
        data=folds.fingerprint,
    )


@pytest.fixture(scope="session")
def run(recipe, folds, tmp_path_factory):
    from hw3lib.training.runs import get_run

    return get_run(recipe, folds, root=tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def scored():
    """Logits (600, 7), labels drawn from softmax(logits / 2), groups of one or two images."""
    from scipy.special import softmax

    rng = np.random.default_rng(0)
    logits = rng.normal(size=(600, 7)) * 3
    labels = np.array([rng.choice(7, p=row) for row in softmax(logits / 2, axis=1)])
    return logits, labels, np.sort(rng.integers(0, 450, 600))
