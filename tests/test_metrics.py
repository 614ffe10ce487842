"""Each statistic against a library that has it, or a case worked by hand."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from hw3lib import calibration, metrics

C = metrics.C


def test_wilson_by_hand():
    z, n, p = 1.959963984540054, 50, 0.8
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    assert metrics.wilson(40, 50) == pytest.approx((0.8, centre - half, centre + half))
    assert metrics.wilson(0, 10).low == 0 and np.isnan(metrics.wilson(0, 0).value)
    assert f"{metrics.Estimate(0.5, 0.25, 0.75):.0%}" == "50% [25%, 75%]"


def test_accuracy_takes_classes_or_scores(scored):
    logits, labels, _ = scored
    assert metrics.accuracy(logits, labels) == metrics.accuracy(logits.argmax(1), labels)
    assert metrics.accuracy(labels, labels).value == 1


def test_a_claim_is_shown_only_where_it_agrees_beyond_chance():
    assert [metrics.shown(*c) for c in ((True, 0.01), (True, 0.2), (False, 0.01))] == [
        True,
        None,
        False,
    ]
    assert metrics.p_text(0.0362) == "p=0.036" and metrics.p_text(1e-9) == "p<0.001"


def test_scores_agree_with_scikit_learn(scored):
    from sklearn import metrics as oracle

    logits, labels, _ = scored
    guess = logits.argmax(1)
    assert metrics.balanced_accuracy(logits, labels) == pytest.approx(
        oracle.balanced_accuracy_score(labels, guess)
    )
    assert metrics.macro_f1_of(metrics.confusion(logits, labels)) == pytest.approx(
        oracle.f1_score(labels, guess, average="macro")
    )
    assert calibration.nll(logits, labels) == pytest.approx(
        oracle.log_loss(labels, softmax(logits, axis=1))
    )
    log_p = log_softmax(logits, axis=1)
    assert calibration.nll(log_p, labels) == pytest.approx(calibration.nll(logits, labels))


def test_classes_without_pictures_are_left_out_of_the_means():
    labels, guess = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2])
    assert metrics.balanced_accuracy(guess, labels) == 0.75
    assert metrics.macro_f1_of(metrics.confusion(guess, labels)) == pytest.approx((1 + 2 / 3) / 2)
    table = metrics.per_class(guess, labels)
    assert np.isnan(table["recall"][3]) and table["precision"][2] == 0


def test_per_class(scored):
    logits, labels, _ = scored
    table = metrics.per_class(logits, labels)
    matrix = metrics.confusion(logits, labels)
    np.testing.assert_allclose(table["recall"], np.diag(matrix) / matrix.sum(1))
    np.testing.assert_allclose(table["precision"], np.diag(matrix) / matrix.sum(0))
    assert table["n"].sum() == table["predicted"].sum() == 600
    assert table["recall"].between(table["low"], table["high"]).all()


def test_confused_pairs_finds_the_pair_and_its_direction():
    matrix = np.diag([100] * C)
    matrix[4, 6], matrix[6, 4] = 60, 20  # Sad as Neutral far more often than the other way
    matrix[0, 2], matrix[2, 0] = 15, 15
    pairs = metrics.confused_pairs(matrix)
    first, second = pairs.iloc[0], pairs.iloc[1]
    assert (first.a, first.b, first.a_as_b, first.b_as_a) == (4, 6, 60, 20)
    assert first.share == pytest.approx(80 / 280) and first.p < 0.01
    assert (second.a, second.b) == (0, 2) and second.p == pytest.approx(1)
    assert len(pairs) == 21
    assert metrics.pair_shares(matrix)[4, 6] == first.share == metrics.pair_shares(matrix)[6, 4]


def test_symmetry_is_bowkers_test(scored):
    from statsmodels.stats.contingency_tables import SquareTable

    logits, labels, _ = scored
    matrix = metrics.confusion(logits, labels)
    oracle = SquareTable(matrix.astype(float), shift_zeros=False).symmetry(method="bowker")
    assert metrics.symmetry(matrix) == pytest.approx((oracle.statistic, oracle.df, oracle.pvalue))
    assert metrics.symmetry(matrix + matrix.T) == (0, 21, 1)
    lone = np.diag([5, 5, 5])
    lone[0, 1] = 9
    assert metrics.symmetry(lone)[:2] == (9, 1)
