"""Ensembles against the sum by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from hw3lib.ensemble import disagreement, ensemble_growth, gain_over_members

RNG = np.random.default_rng(0)


def test_growth_of_an_ensemble_against_the_sum_by_hand():
    labels = RNG.integers(0, 7, 200)
    members = [np.eye(7)[labels] * 1.5 + RNG.normal(size=(200, 7)) for _ in range(4)]
    growth = ensemble_growth(members, labels).set_index("size")
    alone = [(m.argmax(1) == labels).mean() for m in members]
    assert growth.loc[1, "mean"] == pytest.approx(np.mean(alone))
    assert (growth.loc[1, "low"], growth.loc[1, "high"]) == (min(alone), max(alone))
    together = sum(softmax(m, axis=1) for m in members).argmax(1)
    assert growth.loc[4, "mean"] == (together == labels).mean() > max(alone)
    logits = ensemble_growth(members, labels, average="logits").set_index("size")
    by_logits = np.mean(members, axis=0).argmax(1)  # softmax's denominator is equal for all classes
    assert logits.loc[4, "mean"] == (by_logits == labels).mean()
    with pytest.raises(ValueError, match="average"):
        ensemble_growth(members, labels, average="votes")


def test_equal_members_do_not_disagree_and_do_not_gain():
    member = RNG.normal(size=(50, 7))
    assert disagreement([member, member]) == 0 and disagreement([member]) == 0
    assert disagreement([member, -member]) > 0.9
    growth = ensemble_growth([member] * 3, np.zeros(50, int))
    assert growth["mean"].nunique() == 1


def test_the_gain_of_an_ensemble_is_against_the_mean_of_its_members():
    labels = RNG.integers(0, 7, 300)
    members = [np.eye(7)[labels] * 1.5 + RNG.normal(size=(300, 7)) for _ in range(3)]
    gain = gain_over_members(members, labels, np.arange(300))
    growth = ensemble_growth(members, labels).set_index("size")["mean"]
    assert gain.value == pytest.approx(growth[3] - growth[1]) and gain.low < gain.value < gain.high
    assert gain_over_members([members[0]] * 3, labels, np.arange(300)) == (0, 0, 0)
