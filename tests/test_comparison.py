"""Effects over seeds against ordinary least squares, ensembles against the sum by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from hw3lib.comparison import disagreement, ensemble_growth, factorial_effects, over_seeds

RNG = np.random.default_rng(0)


def test_interval_over_seeds_equals_scipys():
    from scipy.stats import ttest_1samp

    values = RNG.normal(0.6, 0.02, 5)
    oracle = ttest_1samp(values, 0).confidence_interval(0.95)
    assert over_seeds(values) == pytest.approx((values.mean(), oracle.low, oracle.high))
    assert np.isnan(over_seeds([0.6]).low)


def test_an_interval_over_seeds_holds_the_truth_as_often_as_it_says():
    held = [(e := over_seeds(RNG.normal(0.5, 0.1, 4))).low <= 0.5 <= e.high for _ in range(1000)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.025)


@pytest.mark.parametrize("k", [2, 3])
def test_factorial_effects_equal_least_squares(k):
    import statsmodels.formula.api as smf

    seeds, names = 4, ["a", "b", "c"][:k]
    cells, rows = {}, []
    for cell in np.ndindex(*(2,) * k):
        scores = RNG.normal(size=seeds) + sum(cell)
        cells[tuple(map(bool, cell))] = scores
        signs = {name: 2 * on - 1 for name, on in zip(names, cell, strict=True)}
        rows += [{**signs, "seed": s, "y": y} for s, y in enumerate(scores)]
    fit = smf.ols("y ~ C(seed) + " + "*".join(names), pd.DataFrame(rows)).fit()
    effects = factorial_effects(cells, names)
    assert len(effects) == 2**k - 1
    for effect in effects.itertuples():
        assert effect.value == pytest.approx(2 * fit.params[":".join(effect.factors)])


def test_a_pure_interaction_is_told_from_main_effects():
    cells = {
        (a, b): [(a != b) + x for x in (0, 0.5, 1)] for a in (False, True) for b in (False, True)
    }
    effects = factorial_effects(cells, ["a", "b"]).set_index("factors")["value"]
    assert effects[("a",)] == effects[("b",)] == 0 and effects[("a", "b")] == -1


def test_an_incomplete_factorial_is_refused():
    with pytest.raises(ValueError, match="every combination"):
        factorial_effects({(True,): [1.0]}, ["a"])
    with pytest.raises(ValueError, match="same seeds"):
        factorial_effects({(True,): [1.0], (False,): [1.0, 2.0]}, ["a"])


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
