"""Losses and sampling against libraries, closed forms and counts."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hw3lib.training.losses import EFFECTIVE, Loss, Teacher, class_weights, draw_order
from hw3lib.training.recipe import Recipe

LABELS = torch.repeat_interleave(torch.arange(7), torch.tensor([400, 44, 410, 720, 480, 317, 500]))
COUNTS = torch.bincount(LABELS).float()


class Fixed(torch.nn.Module):
    """Gives the logits it was handed, whatever the batch."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, batch):
        return self.logits


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(32, 7, generator=generator)
    labels = torch.randint(7, (32,), generator=generator)
    return logits, labels


def loss_of(batch, **settings) -> torch.Tensor:
    logits, labels = batch
    return Loss(Recipe(model="x", **settings), LABELS)(Fixed(logits), logits, labels)[0]


def test_class_weights_equal_scikit_learns():
    from sklearn.utils.class_weight import compute_class_weight

    oracle = compute_class_weight("balanced", classes=np.arange(7), y=LABELS.numpy())
    assert np.allclose(class_weights("inverse", COUNTS).numpy(), oracle)
    for kind, scale in (("share", 7), ("count", 7 / len(LABELS))):
        assert torch.allclose(class_weights(kind, COUNTS), torch.tensor(oracle).float() * scale)
    assert class_weights("none", COUNTS) is None


def test_effective_number_lies_between_equal_and_inverse_weights():
    weight = class_weights("effective", COUNTS)
    by_hand = (1 - EFFECTIVE) / (1 - EFFECTIVE ** COUNTS.double())
    assert torch.allclose(weight / weight[0], (by_hand / by_hand[0]).float(), rtol=1e-3)
    assert ((weight * COUNTS).sum() / COUNTS.sum()).item() == pytest.approx(1)
    assert 1 < weight[1] / weight[3] < COUNTS[3] / COUNTS[1]


def test_the_scale_of_the_weights_matters_only_without_the_weighted_mean(batch):
    weighted = [loss_of(batch, class_weight=kind) for kind in ("inverse", "share", "count")]
    assert torch.allclose(weighted[0], weighted[1]) and torch.allclose(weighted[0], weighted[2])
    plain = [
        loss_of(batch, class_weight=kind, reduction="mean")
        for kind in ("inverse", "share", "count")
    ]
    assert (plain[1] / plain[0]).item() == pytest.approx(7, rel=1e-4)
    assert (plain[0] / plain[2]).item() == pytest.approx(len(LABELS) / 7, rel=1e-4)
    assert loss_of(batch).item() == pytest.approx(F.cross_entropy(*batch).item())


def test_adjusted_logits_make_the_balanced_classifier_the_best(batch):
    """At tau 1 the loss is the cross entropy of softmax(z + log prior), its definition."""
    logits, labels = batch
    prior = COUNTS.double() / COUNTS.sum()
    p = torch.exp(logits.double()) * prior
    by_hand = -torch.log(p / p.sum(1, keepdim=True))[torch.arange(32), labels].mean()
    assert loss_of(batch, logit_adjustment=1.0).item() == pytest.approx(by_hand.item(), rel=1e-5)


def test_a_teacher_has_its_share_of_the_target_and_its_own_units(batch):
    logits, labels = batch
    pixels = torch.rand(32, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    pupil, head = SimpleNamespace(mean=0.4, std=0.2), torch.nn.Linear(16, 7)
    teachers = [SimpleNamespace(model=lambda x: head(x.flatten(1)), mean=m, std=s)
                for m, s in ((0.5, 0.3), (0.1, 1.0))]  # fmt: skip
    target = sum(head(((pixels - t.mean) / t.std).flatten(1)).softmax(1) for t in teachers) / 2
    recipe = Recipe(model="x", teacher="two", distillation=0.7, label_smoothing=0.1)
    loss = Loss(recipe, LABELS, teacher=Teacher(teachers, pupil))
    total, _ = loss(Fixed(logits), (pixels - pupil.mean) / pupil.std, labels)
    taught = -(target * logits.log_softmax(1)).sum(1).mean()
    told = F.cross_entropy(logits, labels, label_smoothing=0.1)
    assert total.item() == pytest.approx((0.7 * taught + 0.3 * told).item(), rel=1e-5)


@pytest.mark.parametrize(("sampler", "power"), [("balanced", 0.0), ("sqrt", 0.5)])
def test_draws_make_rare_classes_likelier(sampler, power):
    labels = LABELS.repeat(10)
    order = draw_order(Recipe(model="x", sampler=sampler), labels, torch.Generator())
    shares = torch.bincount(labels[order], minlength=7) / len(labels)
    expected = COUNTS**power / (COUNTS**power).sum()
    assert len(order) == len(labels) and torch.allclose(shares, expected, atol=0.01)


def test_a_shuffle_is_a_permutation():
    order = draw_order(Recipe(model="x"), LABELS, torch.Generator())
    assert torch.equal(order.sort().values, torch.arange(len(LABELS)))
