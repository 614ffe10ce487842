"""Comparisons against ordinary least squares, scipy, and cases worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hw3lib import comparison, metrics
from hw3lib.comparison import factorial_effects, gain_over_seeds, over_seeds, share_over_seeds

RNG = np.random.default_rng(0)


def test_interval_over_seeds_equals_scipys():
    from scipy.stats import ttest_1samp

    values = RNG.normal(0.6, 0.02, 5)
    oracle = ttest_1samp(values, 0).confidence_interval(0.95)
    assert over_seeds(values) == pytest.approx((values.mean(), oracle.low, oracle.high))
    assert np.isnan(over_seeds([0.6]).low)
    assert share_over_seeds(values) == over_seeds(values)
    assert share_over_seeds([0.0, 0.4])[1:] == (0, 1) and np.isnan(share_over_seeds([0.6]).low)


def test_an_interval_over_seeds_holds_the_truth_as_often_as_it_says():
    held = [(e := over_seeds(RNG.normal(0.5, 0.1, 4))).low <= 0.5 <= e.high for _ in range(1000)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.025)


def test_a_gain_over_seeds_is_the_paired_t_test():
    from scipy.stats import ttest_rel

    first, second = RNG.normal(0.6, 0.02, 5), RNG.normal(0.58, 0.02, 5)
    gain, p = gain_over_seeds(first, second)
    oracle = ttest_rel(first, second)
    interval = oracle.confidence_interval(0.95)
    assert gain == pytest.approx(((first - second).mean(), interval.low, interval.high))
    assert p == pytest.approx(oracle.pvalue)
    assert gain_over_seeds(first, first)[1] == 1 and gain_over_seeds(first + 0.5, first)[1] == 0
    assert np.isnan(gain_over_seeds([0.5], [0.4])[1])
    with pytest.raises(ValueError, match="5 scores against 4"):
        gain_over_seeds(first, second[1:])


@pytest.mark.parametrize("k", [2, 3])
def test_factorial_effects_equal_least_squares(k):
    import statsmodels.formula.api as smf

    seeds, names = 4, ["a", "b", "c"][:k]
    cells, rows = {}, []
    for cell in np.ndindex(*(2,) * k):
        scores = RNG.normal(size=seeds) + sum(cell)
        cells[tuple(map(bool, cell))] = scores
        signs = {name: 2 * on - 1 for name, on in zip(names, cell, strict=True)}
        rows += [{**signs, "block": s, "y": y} for s, y in enumerate(scores)]
    fit = smf.ols("y ~ C(block) + " + "*".join(names), pd.DataFrame(rows)).fit()
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


def test_mcnemar_is_the_binomial_test_of_the_disagreements():
    from scipy.stats import binomtest

    labels = np.zeros(30, int)
    first = np.array([0] * 20 + [1] * 10)
    second = np.array([0] * 12 + [1] * 8 + [0] * 3 + [1] * 7)
    test = comparison.mcnemar(first, second, labels)
    assert test[:2] == (8, 3) and test.p == pytest.approx(binomtest(8, 11).pvalue)
    assert comparison.mcnemar(first, first, labels) == (0, 0, 1.0)


def test_first_pair_shares():
    one, other = np.diag([50] * metrics.C), np.diag([50] * metrics.C)
    one[1, 0], other[5, 2] = 9, 9
    shares = comparison.first_pair_shares(np.array([one, one, one, other]))
    assert shares[0, 1] == 0.75 and shares[2, 5] == 0.25 and shares.sum() == 1


def test_bootstrap_agrees_with_scipy_where_no_picture_has_a_copy(scored):
    from scipy.stats import bootstrap

    logits, labels, _ = scored
    ours = comparison.bootstrap(logits, labels, np.arange(600), resamples=4000)
    right = (logits.argmax(1) == labels).astype(float)
    theirs = bootstrap((right,), np.mean, n_resamples=4000, method="percentile", rng=1)
    assert ours.value == right.mean()
    assert ours[1:] == pytest.approx(tuple(theirs.confidence_interval), abs=0.006)


def test_bootstrap_draws_whole_groups(scored):
    logits, labels, group = scored
    single = comparison.bootstrap(logits, labels, np.arange(600))
    copies = comparison.bootstrap(
        np.repeat(logits, 4, axis=0), np.repeat(labels, 4), np.repeat(np.arange(600), 4)
    )
    assert copies == pytest.approx(single)  # four copies of each picture teach nothing new
    samples = comparison.resampled_confusions(logits, labels, group, resamples=50)
    assert samples.shape == (50, metrics.C, metrics.C) and len(np.unique(samples.sum((1, 2)))) > 1


def test_bootstrap_of_a_gain_is_paired(scored):
    logits, labels, group = scored
    same = comparison.bootstrap(logits, labels, group, against=logits, statistic="macro F1")
    assert same == (0, 0, 0)
    spoiled = logits.argmax(1).copy()
    spoiled[:120] = (labels[:120] + 1) % metrics.C
    gain = comparison.bootstrap(logits, labels, group, against=spoiled)
    assert gain.low > 0
    assert gain.value == pytest.approx(
        metrics.accuracy(logits, labels).value - metrics.accuracy(spoiled, labels).value
    )


def test_rank_correlation_goes_through_every_order():
    from itertools import permutations

    from scipy.stats import spearmanr

    x, y = np.array([0.1, 0.5, 0.2, 0.9, 0.4]), np.array([1, 4, 3, 5, 2])
    rho, p = comparison.rank_correlation(x, y)
    every = [spearmanr(order, y).statistic for order in permutations(x)]
    assert rho == pytest.approx(spearmanr(x, y).statistic)
    assert p == pytest.approx(2 * np.mean(np.array(every) >= rho - 1e-9))


def test_a_grouped_mean_is_the_plain_bootstrap_of_groups_of_one_and_wider_with_copies():
    from scipy.stats import bootstrap

    values = RNG.normal(size=200)
    ours = comparison.grouped_mean(values, np.arange(200), resamples=4000)
    oracle = bootstrap((values,), np.mean, method="percentile", n_resamples=4000, rng=0)
    assert ours.value == values.mean()
    assert ours[1:] == pytest.approx(oracle.confidence_interval, abs=0.02)
    copies = comparison.grouped_mean(np.repeat(values, 4), np.repeat(np.arange(200), 4))
    apart = comparison.grouped_mean(np.repeat(values, 4), np.arange(800))
    assert copies.high - copies.low > 1.7 * (apart.high - apart.low)
