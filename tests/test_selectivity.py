"""Preferences of filters against planted ones, and what silencing them costs."""

import numpy as np
import pytest
import torch
from test_probing import assert_same, state
from torch import nn

from hw3lib import activation, selectivity
from hw3lib.data.faces import CLASSES
from hw3lib.models.network import Network, logits


def test_profiles_selectivity_and_choice_of_filters():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(7), 30)
    mean = rng.normal(size=(210, 9))
    for c in range(7):
        mean[labels == c, 8 - c] += 5  # filter 8 - c answers to class c, 0 and 1 to none
    mean[:, 0] = 3.0  # dead
    profile = selectivity.class_profile(mean, labels)
    assert profile.shape == (9, len(CLASSES)) and (profile[0] == 0).all()
    assert selectivity.most_selective(profile) == [8, 7, 6, 5, 4, 3, 2]
    omega = selectivity.selectivity(mean, labels)
    assert omega[0] == 0 and abs(omega[1]) < 0.05 and (omega[2:] > 0.6).all()
    assert selectivity.more_selective(omega[2:], rng.normal(0, 0.01, 7)) is True
    assert selectivity.more_selective(rng.normal(0, 0.01, 7), omega[2:]) is False
    assert selectivity.more_selective(omega[2:], omega[2:]) is None
    few = selectivity.class_profile(mean[labels < 2], labels[labels < 2])
    assert np.isnan(few[:, 2:]).all() and selectivity.most_selective(few)[:2] == [8, 7]


def decided() -> tuple[Network, np.ndarray, np.ndarray]:
    """A net whose class c hangs on its filters c and c + 7 alone, and pictures of each class.

    Filters 14 to 20 are of no use. Class c lights up columns 6 c to 6 c + 5.
    """
    conv, head = nn.Conv2d(1, 21, (48, 6), stride=6, bias=False), nn.Linear(21 * 8, 7, bias=False)
    conv.weight.data.fill_(1 / 288)
    head.weight.data.zero_()
    for c in range(7):
        for k in (c, c + 7):
            head.weight.data[c, k * 8 + c] = 1.0
    model = nn.Sequential(conv, nn.ReLU(), nn.Flatten(), head)
    labels = np.repeat(np.arange(7), 6)
    images = np.zeros((42, 48, 48), np.uint8)
    for n, c in enumerate(labels):
        images[n, :, 6 * c : 6 * c + 6] = 200 + n % 6
    return Network(model, 0.0, 1.0), images, labels


def test_silenced_filters_give_nothing_and_come_back_after_a_failure():
    net, images, _ = decided()
    (layer,) = activation.filter_layers(net)
    before, whole = state(net.model), logits(net, images)
    with pytest.raises(ZeroDivisionError), selectivity.silenced(net, layer, [2, 9]):
        without = logits(net, images)
        raise ZeroDivisionError
    assert_same(before, state(net.model))
    assert (without[:, 2] == 0).all() and np.array_equal(without[:, 3], whole[:, 3])
    assert np.array_equal(logits(net, images), whole)


def test_ablation_costs_a_class_what_its_filters_carry():
    net, images, labels = decided()
    (layer,) = activation.filter_layers(net)
    profile = np.zeros((21, 7))
    for c in range(7):
        profile[[c, c + 7], c] = 3.0
    assert selectivity.top_filters(profile, 2).tolist() == [[c, c + 7] for c in range(7)]
    found = selectivity.ablate(net, images, labels, layer, profile, draws=3)
    assert found.count == 2 and found.right.all()
    change = found.recall_change
    assert (np.diag(change)[1:] == -1).all()  # class 0 wins a tie of zeros
    assert (change[~np.eye(7, dtype=bool)] == 0).all()
    lost = found.losses()
    assert lost["own"].value == pytest.approx(6 / 7) and lost["others"].value == 0
    assert lost["difference"].low > 0.5
    useless = selectivity.Ablation(found.right, labels, found.random[[0] * 7], found.random[:1], 2)
    assert useless.losses()["difference"].value == pytest.approx(0)
    torch.manual_seed(0)
    again = selectivity.ablate(net, images, labels, layer, profile, draws=3)
    assert np.array_equal(again.random, found.random)
