"""Intervals and tests against scipy, simulations, and cases worked by hand."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import binomtest, bootstrap, spearmanr, ttest_1samp, ttest_rel

from hw3lib.evaluation import metrics, statistics
from hw3lib.evaluation.statistics import gain_over_seeds, over_seeds, share_over_seeds

RNG = np.random.default_rng(0)


def test_interval_over_seeds_equals_scipys():
    values = RNG.normal(0.6, 0.02, 5)
    oracle = ttest_1samp(values, 0).confidence_interval(0.95)
    assert over_seeds(values) == pytest.approx((values.mean(), oracle.low, oracle.high))
    assert np.isnan(over_seeds([0.6]).low)
    assert share_over_seeds(values) == over_seeds(values)
    assert share_over_seeds([0.0, 0.4])[1:] == (0, 1) and np.isnan(share_over_seeds([0.6]).low)


def test_a_gain_over_seeds_is_the_paired_t_test():
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


def test_mcnemar_is_the_binomial_test_of_the_disagreements():
    labels = np.zeros(30, int)
    first = np.array([0] * 20 + [1] * 10)
    second = np.array([0] * 12 + [1] * 8 + [0] * 3 + [1] * 7)
    test = statistics.mcnemar(first, second, labels)
    assert test[:2] == (8, 3) and test.p == pytest.approx(binomtest(8, 11).pvalue)
    assert statistics.mcnemar(first, first, labels) == (0, 0, 1.0)


def test_bootstrap_agrees_with_scipy_where_no_image_has_a_copy(scored):
    logits, labels, _ = scored
    ours = statistics.bootstrap(logits, labels, np.arange(600))
    right = (logits.argmax(1) == labels).astype(float)
    theirs = bootstrap((right,), np.mean, n_resamples=2000, method="percentile", rng=1)
    assert ours.value == right.mean()
    assert ours[1:] == pytest.approx(tuple(theirs.confidence_interval), abs=0.006)
    of_five = statistics.bootstrap(logits, labels, np.arange(600), among=5)
    wider = np.quantile(theirs.bootstrap_distribution, [0.005, 0.995])
    assert of_five[1:] == pytest.approx(tuple(wider), abs=0.01)


def test_bootstrap_draws_whole_groups(scored):
    logits, labels, group = scored
    single = statistics.bootstrap(logits, labels, np.arange(600))
    copies = statistics.bootstrap(
        np.repeat(logits, 4, axis=0), np.repeat(labels, 4), np.repeat(np.arange(600), 4)
    )
    assert copies == pytest.approx(single)  # four copies of each image teach nothing new
    samples = statistics.resampled_confusions(logits, labels, group)
    assert samples.shape == (2000, metrics.C, metrics.C) and len(np.unique(samples.sum((1, 2)))) > 1


def test_bootstrap_of_a_gain_is_paired(scored):
    logits, labels, group = scored
    same = statistics.bootstrap(logits, labels, group, against=logits, statistic="macro-F1")
    assert same == (0, 0, 0)
    spoiled = logits.argmax(1).copy()
    spoiled[:120] = (labels[:120] + 1) % metrics.C
    gain = statistics.bootstrap(logits, labels, group, against=spoiled)
    assert gain.low > 0
    assert gain.value == pytest.approx(
        metrics.accuracy(logits, labels).value - metrics.accuracy(spoiled, labels).value
    )


def with_class_effects(rng, c=7):
    """A symmetric matrix whose pairs share the effects of their classes."""
    own = rng.normal(size=c)
    noise = np.triu(rng.normal(size=(c, c)), 1)
    return own[:, None] + own[None, :] + noise + noise.T


def test_correlation_over_pairs_rejects_a_true_hypothesis_as_seldom_as_it_says():
    """Pairs that share a class go together; unrelated matrices must not seem related by that."""
    rng = np.random.default_rng(0)
    p = [
        statistics.pair_correlation(with_class_effects(rng), with_class_effects(rng))[1]
        for _ in range(300)
    ]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.03)


def test_correlation_over_pairs_goes_through_every_order_of_the_classes():
    rng = np.random.default_rng(1)
    x = with_class_effects(rng, 4)
    y = x + 0.3 * with_class_effects(rng, 4)
    pairs = np.triu_indices(4, 1)
    rho, p = statistics.pair_correlation(x, y)
    assert rho == pytest.approx(spearmanr(x[pairs], y[pairs]).statistic)
    orders = [list(order) for order in permutations(range(4))]
    every = [spearmanr(x[np.ix_(o, o)][pairs], y[pairs]).statistic for o in orders]
    assert p == pytest.approx(np.mean(np.abs(every) >= rho - 1e-9))


def test_a_grouped_mean_is_the_plain_bootstrap_of_groups_of_one_and_wider_with_copies():
    values = RNG.normal(size=200)
    ours = statistics.grouped_mean(values, np.arange(200))
    oracle = bootstrap((values,), np.mean, method="percentile", n_resamples=2000, rng=0)
    assert ours.value == values.mean()
    assert ours[1:] == pytest.approx(oracle.confidence_interval, abs=0.02)
    copies = statistics.grouped_mean(np.repeat(values, 4), np.repeat(np.arange(200), 4))
    apart = statistics.grouped_mean(np.repeat(values, 4), np.arange(800))
    assert copies.high - copies.low > 1.7 * (apart.high - apart.low)
    twice = np.where(np.arange(200) < 50, 2.0, 1.0)  # weights are copies that need not be there
    weighted = statistics.grouped_mean(values, np.arange(200), weights=twice)
    rows = np.repeat(np.arange(200), twice.astype(int))
    assert weighted == pytest.approx(statistics.grouped_mean(values[rows], rows))


def test_a_p_value_in_a_sentence_and_in_a_table():
    assert statistics.p_value(0.0362) == "0.036" and statistics.p_value(1e-9) == "<0.001"
    assert statistics.p_text(0.0362) == "p=0.036" and statistics.p_text(1e-9) == "p<0.001"


def test_growth_of_an_ensemble_against_the_sum_by_hand():
    labels = RNG.integers(0, 7, 200)
    members = [np.eye(7)[labels] * 1.5 + RNG.normal(size=(200, 7)) for _ in range(4)]
    growth = statistics.ensemble_growth(members, labels).set_index("size")
    alone = [(m.argmax(1) == labels).mean() for m in members]
    assert growth.loc[1, "mean"] == pytest.approx(np.mean(alone))
    assert (growth.loc[1, "low"], growth.loc[1, "high"]) == (min(alone), max(alone))
    together = sum(softmax(m, axis=1) for m in members).argmax(1)
    assert growth.loc[4, "mean"] == (together == labels).mean() > max(alone)
