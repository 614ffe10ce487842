"""Each statistic against a library that has it, or a case worked by hand."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from statsmodels.stats.proportion import confint_proportions_2indep

from hw3lib.evaluation import metrics
from hw3lib.evaluation.intervals import Estimate, difference, share_interval

C = metrics.C


def test_the_interval_of_a_share_is_wilsons_by_hand():
    z, n, p = 1.959963984540054, 50, 0.8
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    assert share_interval(40, 50) == pytest.approx((0.8, centre - half, centre + half))
    assert share_interval(0, 10).low == 0 and np.isnan(share_interval(0, 0).value)
    shown = Estimate(0.5, 0.25, 0.75)
    assert f"{shown:.0%}" == "50% [25%, 75%]" and f"{shown.pp:+.0f}" == "+50 [+25, +75]"


def test_expected_errors_are_those_of_a_poisson_model_without_the_diagonal():
    from statsmodels.api import GLM, families

    counts = np.random.default_rng(3).integers(1, 40, (5, 5))
    row, column = np.nonzero(~np.eye(5, dtype=bool))
    design = np.hstack([np.eye(5)[row], np.eye(5)[column][:, 1:]])
    model = GLM(counts[row, column], design, family=families.Poisson()).fit()
    assert metrics.expected_errors(counts)[row, column] == pytest.approx(model.mu, rel=1e-6)
    frame = metrics.confused_pairs(counts)
    assert (frame["excess"] > 0).all() and frame["excess"].min() < 1 < frame["excess"].max()
    perfect = metrics.confused_pairs(np.diag([4, 0, 3]))  # no error, none expected
    assert perfect["excess"].isna().all()


def test_scores_agree_with_scikit_learn(scored):
    from sklearn import metrics as oracle

    logits, labels, _ = scored
    guess, matrix = logits.argmax(1), metrics.confusion(logits, labels)
    assert (matrix == oracle.confusion_matrix(labels, guess)).all()
    for ours, theirs in (
        (metrics.accuracy(logits, labels).value, oracle.accuracy_score(labels, guess)),
        (metrics.balanced_accuracy(guess, labels), oracle.balanced_accuracy_score(labels, guess)),
        (metrics.macro_f1_of(matrix), oracle.f1_score(labels, guess, average="macro")),
        (metrics.nll(logits, labels), oracle.log_loss(labels, softmax(logits, axis=1))),
        (metrics.nll(log_softmax(logits, axis=1), labels), metrics.nll(logits, labels)),
    ):
        assert ours == pytest.approx(theirs)
    table = metrics.per_class(logits, labels)
    precision, recall, f1, n = oracle.precision_recall_fscore_support(labels, guess)
    for name, theirs in zip(
        ("precision", "recall", "f1", "n"), (precision, recall, f1, n), strict=True
    ):
        np.testing.assert_allclose(table[name], theirs)
    assert table["predicted"].sum() == 600
    assert table["recall"].between(table["low"], table["high"]).all()


def test_classes_without_images_are_left_out_of_the_means():
    labels, guess = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2])
    assert metrics.balanced_accuracy(guess, labels) == 0.75
    assert metrics.macro_f1_of(metrics.confusion(guess, labels)) == pytest.approx((1 + 2 / 3) / 2)
    table = metrics.per_class(guess, labels)
    assert np.isnan(table["recall"][3]) and table["precision"][2] == 0
    assert np.isnan(table["precision"][3])
    pairs = metrics.confused_pairs(np.diag([5, 0, 5]))
    assert np.isnan(pairs["share"].iloc[-2:]).all() and pairs["share"].iloc[0] == 0


def test_a_pair_is_ranked_by_the_mean_of_its_two_rates_and_not_by_the_larger_class():
    matrix = np.diag([900] * C)
    matrix[1] = 0
    matrix[1, 1], matrix[1, 0] = 27, 23  # 46 % of the few Disgust are taken for Angry
    matrix[4, 6], matrix[6, 4] = 200, 100
    pairs = metrics.confused_pairs(matrix)
    first, second = pairs.iloc[0], pairs.iloc[1]
    assert (first.a, first.b, first.a_as_b, first.b_as_a) == (0, 1, 0, 23)
    assert first.back == share_interval(23, 50) and first.forth == share_interval(0, 900)
    assert first.share == pytest.approx(0.23)
    assert (second.a, second.b) == (4, 6) and second.forth.value == pytest.approx(200 / 1100)
    assert len(pairs) == 21
    shares = metrics.pair_shares(matrix)
    assert shares[0, 1] == shares[1, 0] == first.share
    assert metrics.pair_shares(np.stack([matrix] * 2)).shape == (2, C, C)


def test_the_interval_of_a_pair_holds_the_truth_as_often_as_it_says():
    rng, held = np.random.default_rng(0), []
    for _ in range(400):
        a, b = rng.binomial(50, 0.4), rng.binomial(400, 0.05)
        pair = metrics.confused_pairs(np.array([[50 - a, a], [b, 400 - b]])).iloc[0]
        held.append(pair.low <= 0.225 <= pair.high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)


def test_reliability_agrees_with_scikit_learn(scored):
    from sklearn.calibration import calibration_curve

    logits, labels, _ = scored
    p = softmax(logits, axis=1)
    table = metrics.reliability(p, labels)
    right, sure = calibration_curve(p.argmax(1) == labels, p.max(1), n_bins=metrics.BINS)
    np.testing.assert_allclose(table["accuracy"], right)
    np.testing.assert_allclose(table["confidence"], sure)
    assert table["n"].sum() == 600
    gap = (table["accuracy"] - table["confidence"]).abs()
    assert metrics.ece(p, labels) == pytest.approx((gap * table["n"]).sum() / 600)


def test_the_ece_of_a_calibrated_network_is_as_large_as_simulated():
    """Labels are drawn from the probabilities: then the ECE lies in the range that is given."""
    rng = np.random.default_rng(1)
    p = softmax(rng.normal(size=(300, C)) * 2, axis=1)
    drawn = [metrics.ece(p, (p.cumsum(1) > rng.random((300, 1))).argmax(1)) for _ in range(300)]
    chance = metrics.calibrated_ece(p)
    assert chance.value == pytest.approx(np.mean(drawn), rel=0.05) and chance.low > 0.01
    assert np.mean([chance.low <= e <= chance.high for e in drawn]) > 0.92
    assert metrics.calibrated_ece(np.repeat(p, 30, axis=0)).value < chance.value / 3


def test_temperature_is_found_and_is_the_minimum(scored):
    logits, labels, _ = scored
    warmth = metrics.fit_temperature(logits, labels)  # the labels were drawn at T = 2
    assert warmth == pytest.approx(2, abs=0.25)
    best = metrics.nll(logits / warmth, labels)
    assert all(best <= metrics.nll(logits / (warmth * f), labels) for f in (0.5, 0.97, 1.03, 2))
    assert metrics.fit_temperature(logits / 4, labels) == pytest.approx(warmth / 4, rel=1e-3)


def test_biased_temperature_undoes_a_scale_and_a_shift_and_matches_the_shares():
    rng = np.random.default_rng(5)
    true = rng.normal(size=(20_000, 4)) * 2
    p = softmax(true, axis=1)
    labels = (p.cumsum(1) > rng.random((len(p), 1))).argmax(1)
    bias = np.array([0.8, -0.3, -0.5, 0.0])
    T, b = metrics.fit_biased_temperature((true - bias) * 1.7, labels)
    assert pytest.approx(1.7, rel=0.05) == T
    assert b == pytest.approx(bias - bias.mean(), abs=0.06)
    fitted = softmax((true - bias) * 1.7 / T + b, axis=1)
    assert fitted.mean(0) == pytest.approx(np.bincount(labels) / len(labels), abs=1e-4)


def test_a_difference_of_shares_has_newcombes_interval():
    theirs = confint_proportions_2indep(48, 80, 30, 90, method="newcomb", compare="diff")
    found = difference(share_interval(48, 80), share_interval(30, 90))
    assert found == pytest.approx((48 / 80 - 30 / 90, *theirs))
