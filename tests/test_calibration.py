"""Calibration against scikit-learn, by hand, and where the truth is known."""

import numpy as np
import pytest
from scipy.special import softmax

from hw3lib import calibration, metrics

C = metrics.C


def test_reliability_agrees_with_scikit_learn(scored):
    from sklearn.calibration import calibration_curve

    logits, labels, _ = scored
    p = softmax(logits, axis=1)
    table = calibration.reliability(p, labels, bins=10)
    right, sure = calibration_curve(p.argmax(1) == labels, p.max(1), n_bins=10)
    np.testing.assert_allclose(table["accuracy"], right)
    np.testing.assert_allclose(table["confidence"], sure)
    assert table["n"].sum() == 600


def test_ece_by_hand():
    p = np.zeros((4, C))
    p[:2, 0], p[:2, 1] = 0.9, 0.1  # two pictures, 90 % sure, one right
    p[2:, 2], p[2:, 3] = 0.6, 0.4  # two pictures, 60 % sure, both right
    labels = np.array([0, 1, 2, 2])
    assert calibration.ece(p, labels, bins=10) == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)
    assert calibration.ece(np.eye(C), np.arange(C)) == 0  # certain and right


def test_temperature_is_found_and_is_the_minimum(scored):
    logits, labels, _ = scored
    warmth = calibration.fit_temperature(logits, labels)  # the labels were drawn at T = 2
    assert warmth == pytest.approx(2, abs=0.25)
    best = calibration.nll(logits / warmth, labels)
    assert all(best <= calibration.nll(logits / (warmth * f), labels) for f in (0.5, 0.97, 1.03, 2))
    assert calibration.fit_temperature(logits / 4, labels) == pytest.approx(warmth / 4, rel=1e-3)


def test_biased_temperature_undoes_a_scale_and_a_shift_and_matches_the_shares():
    from scipy.special import softmax

    rng = np.random.default_rng(5)
    true = rng.normal(size=(20_000, 4)) * 2
    p = softmax(true, axis=1)
    labels = (p.cumsum(1) > rng.random((len(p), 1))).argmax(1)
    bias = np.array([0.8, -0.3, -0.5, 0.0])
    T, b = calibration.fit_biased_temperature((true - bias) * 1.7, labels)
    assert pytest.approx(1.7, rel=0.05) == T
    assert b == pytest.approx(bias - bias.mean(), abs=0.06)
    fitted = softmax((true - bias) * 1.7 / T + b, axis=1)
    assert fitted.mean(0) == pytest.approx(np.bincount(labels) / len(labels), abs=1e-4)
