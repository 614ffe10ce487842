"""How good predictions are: accuracy, per class, per pair of classes, and calibration.

`predictions` are (n,) classes, or (n, C) scores whose largest counts; `labels` (n,) integers in
0..C-1; `logits` and `probabilities` (n, C). Rows of a confusion matrix are true classes.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax

from hw3lib.data.faces import CLASSES
from hw3lib.evaluation.intervals import Estimate, percentile, share_interval

C = len(CLASSES)
BINS = 15  # of confidence, as in Guo et al. 2017


def as_classes(predictions: np.ndarray) -> np.ndarray:
    """(n,) classes from (n,) classes or (n, C) scores."""
    predictions = np.asarray(predictions)
    return predictions.argmax(1) if predictions.ndim == 2 else predictions


def accuracy(predictions: np.ndarray, labels: np.ndarray) -> Estimate:
    """Share of images classified right, with its interval."""
    return share_interval((as_classes(predictions) == labels).sum(), len(labels))


def confusion(predictions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(C, C) int64 counts, rows true, columns predicted."""
    cells = np.asarray(labels) * C + as_classes(predictions)
    return np.bincount(cells, minlength=C**2).reshape(C, C)


def row_shares(matrix: np.ndarray) -> np.ndarray:
    """(..., C, C) counts -> shares of each row; a class without images gives NaN."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return matrix / matrix.sum(-1, keepdims=True)


def accuracy_of(matrix: np.ndarray) -> np.ndarray:
    """(..., C, C) confusion -> (...) accuracy."""
    return np.trace(matrix, axis1=-2, axis2=-1) / matrix.sum((-2, -1))


def balanced_accuracy_of(matrix: np.ndarray) -> np.ndarray:
    """(..., C, C) confusion -> (...) mean recall of the classes that have images."""
    return np.nanmean(np.diagonal(row_shares(matrix), axis1=-2, axis2=-1), axis=-1)


def f1_of(matrix: np.ndarray) -> np.ndarray:
    """(..., C, C) confusion -> (..., C) F1; NaN for a class without images."""
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    true, called = matrix.sum(-1), matrix.sum(-2)
    return np.where(true > 0, 2 * hits / np.maximum(true + called, 1), np.nan)


def macro_f1_of(matrix: np.ndarray) -> np.ndarray:
    """(..., C, C) confusion -> (...) mean F1 of the classes that have images."""
    return np.nanmean(f1_of(matrix), axis=-1)


STATISTICS = {
    "accuracy": accuracy_of,
    "balanced accuracy": balanced_accuracy_of,
    "macro-F1": macro_f1_of,
}


def balanced_accuracy(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Mean recall of the classes that have images."""
    return float(balanced_accuracy_of(confusion(predictions, labels)))


def per_class(predictions: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """One row a class: class, n, predicted, precision, recall (low, high: Wilson), f1.

    A class that was never predicted has no precision (NaN), one without images no recall and F1.
    """
    matrix = confusion(predictions, labels)
    hits, n, called = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    recall, low, high = np.transpose([share_interval(h, m) for h, m in zip(hits, n, strict=True)])
    return pd.DataFrame({
        "class": CLASSES, "n": n, "predicted": called,
        "precision": hits / np.where(called > 0, called, np.nan), "recall": recall,
        "low": low, "high": high, "f1": f1_of(matrix),
    })  # fmt: skip


def pair_shares(matrix: np.ndarray) -> np.ndarray:
    """(..., C, C) confusion -> (..., C, C) symmetric: mean of "a taken for b" and "b for a".

    Each direction is a share of its own class. Pooling the two counts instead would let the larger
    class rule the pair: Disgust taken for Angry, 46 % of Disgust, vanished among Angry's images.
    """
    shares = row_shares(matrix)
    return (shares + shares.swapaxes(-1, -2)) / 2


def confused_pairs(matrix: np.ndarray) -> pd.DataFrame:
    """Every pair of classes, most confused first.

    Returns
    -------
    Columns a, b (classes); a_as_b, b_as_a (counts); forth, back (Estimates: the share of a taken
    for b, of b for a, with Wilson's intervals); share (their mean, by which the rows are sorted)
    with low, high (Zou & Donner 2008: an interval of a sum from those of its terms); excess (errors
    over those that `expected_errors` gives). A class without images gives NaN and comes last.
    """
    n, rows, expected = matrix.sum(1), [], expected_errors(matrix)
    for a, b in combinations(range(len(matrix)), 2):
        there, here = int(matrix[a, b]), int(matrix[b, a])
        forth, back = share_interval(there, n[a]), share_interval(here, n[b])
        below = np.hypot(forth.value - forth.low, back.value - back.low) / 2
        above = np.hypot(forth.high - forth.value, back.high - back.value) / 2
        share = (forth.value + back.value) / 2
        mean = expected[a, b] + expected[b, a]
        excess = (there + here) / mean if mean else np.nan
        bounds = share - below, share + above
        rows.append((a, b, there, here, forth, back, share, *bounds, excess))
    columns = ["a", "b", "a_as_b", "b_as_a", "forth", "back", "share", "low", "high", "excess"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.sort_values("share", ascending=False, kind="stable", ignore_index=True)


def expected_errors(matrix: np.ndarray) -> np.ndarray:
    """(C, C) errors if they followed from how many each class makes and draws alone.

    Quasi-independence (Goodman 1968): r_i c_j off the diagonal, with the row and column sums of
    the errors, by iterative proportional fitting.
    """
    errors = matrix - np.diag(np.diag(matrix))
    fitted = 1.0 - np.eye(len(matrix))
    for _ in range(200):
        for axis in (1, 0):
            have = fitted.sum(axis, keepdims=True)
            want = errors.sum(axis, keepdims=True)
            fitted = fitted * np.divide(want, have, out=np.zeros_like(have), where=have > 0)
    return fitted


def nll(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log-likelihood in nats; log-probabilities serve as logits."""
    return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def confidence_bins(confidence: np.ndarray) -> np.ndarray:
    """(n,) confidences -> (n,) numbers of BINS of equal width, right edges included."""
    edges = np.linspace(0, 1, BINS + 1)
    return np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, BINS - 1)


def reliability(probabilities: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """BINS of equal width over the confidence (largest probability), empty ones left out.

    Columns: left, right (edges), n, confidence (mean), accuracy, low, high (Wilson).
    """
    sure, right = probabilities.max(1), as_classes(probabilities) == labels
    where, rows = confidence_bins(sure), []
    for b in np.unique(where):
        inside = where == b
        estimate = share_interval(right[inside].sum(), inside.sum())
        rows.append((b / BINS, (b + 1) / BINS, inside.sum(), sure[inside].mean(), *estimate))
    columns = ["left", "right", "n", "confidence", "accuracy", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def ece(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Expected calibration error: mean |accuracy - confidence| over the bins, weighted by n.

    Guo et al. 2017, On Calibration of Modern Neural Networks, eq. 3.
    """
    sure, right = probabilities.max(1), as_classes(probabilities) == labels
    gaps = np.bincount(confidence_bins(sure), weights=right - sure)
    return float(np.abs(gaps).sum() / len(sure))


def calibrated_ece(probabilities: np.ndarray) -> Estimate:
    """The ECE that these probabilities would show were they true: mean and central 95 %.

    An ECE is never 0 on finitely many images, so one is judged beside this, by parametric bootstrap
    (Vaicenavicius et al. 2019, "consistency resampling"): each image is right with the
    probability that its confidence says.
    """
    sure = probabilities.max(1)
    inside = np.eye(BINS)[confidence_bins(sure)]
    right = np.random.default_rng(0).random((1000, len(sure))) < sure
    found = np.abs((right - sure) @ inside).sum(1) / len(sure)
    return percentile(found.mean(), found)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The T in [0.05, 20] that minimises nll(logits / T, labels); fit it on validation.

    Guo et al. 2017, section 4.2.
    """
    logits = np.asarray(logits, dtype=np.float64)
    span = (np.log(0.05), np.log(20.0))
    found = minimize_scalar(
        lambda t: nll(logits / np.exp(t), labels), bounds=span, method="bounded",
        options={"xatol": 1e-6},
    )  # fmt: skip
    return float(np.exp(found.x))


def fit_biased_temperature(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """T > 0 and b (C,), adding up to 0, that minimise nll(logits / T + b, labels).

    Bias-corrected temperature scaling, Alexandari, Kundaje & Shrikumar 2020 (arXiv:1901.06852):
    unlike T alone it makes the mean probability of every class its share of the labels, which
    estimating changed priors depends on.
    """
    logits, n = np.asarray(logits, dtype=np.float64), len(labels)

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        scaled = log_softmax(logits * np.exp(x[0]) + x[1:], axis=1)
        error = np.exp(scaled)
        error[np.arange(n), labels] -= 1
        slope = (error * logits).sum() * np.exp(x[0])
        return -scaled[np.arange(n), labels].mean(), np.append(slope, error.sum(axis=0)) / n

    found = minimize(loss, np.zeros(1 + logits.shape[1]), jac=True, method="BFGS").x
    return float(np.exp(-found[0])), found[1:] - found[1:].mean()
