"""Each statistic against a library that has it, or a case worked by hand."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from hw3lib import metrics, people

C = metrics.C


@pytest.fixture(scope="module")
def scored():
    """Logits (600, 7), labels drawn from softmax(logits / 2), groups of one or two pictures."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(600, C)) * 3
    labels = np.array([rng.choice(C, p=row) for row in softmax(logits / 2, axis=1)])
    return logits, labels, np.sort(rng.integers(0, 450, 600))


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


def test_mcnemar_is_the_binomial_test_of_the_disagreements():
    from scipy.stats import binomtest

    labels = np.zeros(30, int)
    first = np.array([0] * 20 + [1] * 10)
    second = np.array([0] * 12 + [1] * 8 + [0] * 3 + [1] * 7)
    test = metrics.mcnemar(first, second, labels)
    assert test[:2] == (8, 3) and test.p == pytest.approx(binomtest(8, 11).pvalue)
    assert metrics.mcnemar(first, first, labels) == (0, 0, 1.0)


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
    assert metrics.macro_f1(logits, labels) == pytest.approx(
        oracle.f1_score(labels, guess, average="macro")
    )
    assert metrics.nll(logits, labels) == pytest.approx(
        oracle.log_loss(labels, softmax(logits, axis=1))
    )
    log_p = log_softmax(logits, axis=1)
    assert metrics.nll(log_p, labels) == pytest.approx(metrics.nll(logits, labels))


def test_classes_without_pictures_are_left_out_of_the_means():
    labels, guess = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2])
    assert metrics.balanced_accuracy(guess, labels) == 0.75
    assert metrics.macro_f1(guess, labels) == pytest.approx((1 + 2 / 3) / 2)
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


def test_first_pair_shares():
    one, other = np.diag([50] * C), np.diag([50] * C)
    one[1, 0], other[5, 2] = 9, 9
    shares = metrics.first_pair_shares(np.array([one, one, one, other]))
    assert shares[0, 1] == 0.75 and shares[2, 5] == 0.25 and shares.sum() == 1


def test_bootstrap_agrees_with_scipy_where_no_picture_has_a_copy(scored):
    from scipy.stats import bootstrap

    logits, labels, _ = scored
    ours = metrics.bootstrap(logits, labels, np.arange(600), resamples=4000)
    right = (logits.argmax(1) == labels).astype(float)
    theirs = bootstrap((right,), np.mean, n_resamples=4000, method="percentile", rng=1)
    assert ours.value == right.mean()
    assert ours[1:] == pytest.approx(tuple(theirs.confidence_interval), abs=0.006)


def test_bootstrap_draws_whole_groups(scored):
    logits, labels, group = scored
    single = metrics.bootstrap(logits, labels, np.arange(600))
    copies = metrics.bootstrap(
        np.repeat(logits, 4, axis=0), np.repeat(labels, 4), np.repeat(np.arange(600), 4)
    )
    assert copies == pytest.approx(single)  # four copies of each picture teach nothing new
    samples = metrics.resampled_confusions(logits, labels, group, resamples=50)
    assert samples.shape == (50, C, C) and len(np.unique(samples.sum((1, 2)))) > 1


def test_bootstrap_of_a_gain_is_paired(scored):
    logits, labels, group = scored
    same = metrics.bootstrap(logits, labels, group, against=logits, statistic="macro F1")
    assert same == (0, 0, 0)
    spoiled = logits.argmax(1).copy()
    spoiled[:120] = (labels[:120] + 1) % C
    gain = metrics.bootstrap(logits, labels, group, against=spoiled)
    assert gain.low > 0
    assert gain.value == pytest.approx(
        metrics.accuracy(logits, labels).value - metrics.accuracy(spoiled, labels).value
    )


def test_rank_correlation_goes_through_every_order():
    from itertools import permutations

    from scipy.stats import spearmanr

    x, y = np.array([0.1, 0.5, 0.2, 0.9, 0.4]), np.array([1, 4, 3, 5, 2])
    rho, p = metrics.rank_correlation(x, y)
    every = [spearmanr(order, y).statistic for order in permutations(x)]
    assert rho == pytest.approx(spearmanr(x, y).statistic)
    assert p == pytest.approx(2 * np.mean(np.array(every) >= rho - 1e-9))


def test_reliability_agrees_with_scikit_learn(scored):
    from sklearn.calibration import calibration_curve

    logits, labels, _ = scored
    p = softmax(logits, axis=1)
    table = metrics.reliability(p, labels, bins=10)
    right, sure = calibration_curve(p.argmax(1) == labels, p.max(1), n_bins=10)
    np.testing.assert_allclose(table["accuracy"], right)
    np.testing.assert_allclose(table["confidence"], sure)
    assert table["n"].sum() == 600


def test_ece_by_hand():
    p = np.zeros((4, C))
    p[:2, 0], p[:2, 1] = 0.9, 0.1  # two pictures, 90 % sure, one right
    p[2:, 2], p[2:, 3] = 0.6, 0.4  # two pictures, 60 % sure, both right
    labels = np.array([0, 1, 2, 2])
    assert metrics.ece(p, labels, bins=10) == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)
    assert metrics.ece(np.eye(C), np.arange(C)) == 0  # certain and right


def test_temperature_is_found_and_is_the_minimum(scored):
    logits, labels, _ = scored
    warmth = metrics.fit_temperature(logits, labels)  # the labels were drawn at T = 2
    assert warmth == pytest.approx(2, abs=0.25)
    best = metrics.nll(logits / warmth, labels)
    assert all(best <= metrics.nll(logits / (warmth * f), labels) for f in (0.5, 0.97, 1.03, 2))
    assert metrics.fit_temperature(logits / 4, labels) == pytest.approx(warmth / 4, rel=1e-3)


def test_people_votes():
    # neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown, not a face
    votes = np.array(
        [
            [0, 0, 0, 7, 0, 0, 3, 0, 0, 0],  # Sad
            [5, 0, 0, 5, 0, 0, 0, 0, 0, 0],  # a tie
            [0, 1, 0, 0, 0, 0, 0, 9, 0, 0],  # contempt
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],  # no votes
            [0, 0, 0, 0, 6, 4, 0, 0, 0, 0],  # Angry
        ]
    )
    assert people.majority(votes).tolist() == [4, -1, -1, -1, 0]
    shares = people.vote_shares(votes)
    assert shares[0, 4] == 0.7 and shares[0, 2] == 0.3 and np.isnan(shares[3]).all()
    matrix = people.confusion(votes, np.array([4, 4, 3, 3, 0]))
    assert matrix[4].tolist() == [0, 0, 0.3, 0, 1.2, 0, 0.5]
    assert matrix[3, 3] == 1 and matrix[0, 1] == 0.4


def test_biased_temperature_undoes_a_scale_and_a_shift_and_matches_the_shares():
    from scipy.special import softmax

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
