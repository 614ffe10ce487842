"""Calibration: whether a network is right as often as it is sure, and what mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hw3lib.metrics import as_classes, wilson

if TYPE_CHECKING:
    import pandas as pd


def nll(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log-likelihood in nats; logits (n, C), log-probabilities serve as well."""
    from scipy.special import log_softmax

    return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def reliability(probabilities: np.ndarray, labels: np.ndarray, *, bins: int = 15) -> pd.DataFrame:
    """Bins of equal width over the confidence (largest probability), empty ones left out.

    Columns: left, right (edges, right included), n, confidence (mean), accuracy, low, high
    (Wilson).
    """
    import pandas as pd

    edges = np.linspace(0, 1, bins + 1)
    sure, right = probabilities.max(1), as_classes(probabilities) == labels
    where = np.clip(np.searchsorted(edges, sure, side="left") - 1, 0, bins - 1)
    rows = []
    for b in np.unique(where):
        inside = where == b
        estimate = wilson(int(right[inside].sum()), int(inside.sum()))
        mean = float(sure[inside].mean())
        rows.append((edges[b], edges[b + 1], int(inside.sum()), mean, *estimate))
    columns = ["left", "right", "n", "confidence", "accuracy", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def ece(probabilities: np.ndarray, labels: np.ndarray, *, bins: int = 15) -> float:
    """Expected calibration error: mean |accuracy - confidence| over fixed bins, weighted by n.

    Guo et al. 2017, On Calibration of Modern Neural Networks, eq. 3.
    """
    table = reliability(probabilities, labels, bins=bins)
    gap = (table["accuracy"] - table["confidence"]).abs()
    return float((gap * table["n"]).sum() / table["n"].sum())


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The T > 0 that minimises nll(logits / T, labels); fit it on the validation fold.

    Guo et al. 2017, section 4.2; T within [0.05, 20].
    """
    from scipy.optimize import minimize_scalar

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
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    logits, n = np.asarray(logits, dtype=np.float64), len(labels)

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        scaled = log_softmax(logits * np.exp(x[0]) + x[1:], axis=1)
        error = np.exp(scaled)
        error[np.arange(n), labels] -= 1
        slope = (error * logits).sum() * np.exp(x[0])
        return -scaled[np.arange(n), labels].mean(), np.append(slope, error.sum(axis=0)) / n

    found = minimize(loss, np.zeros(1 + logits.shape[1]), jac=True, method="BFGS").x
    return float(np.exp(-found[0])), found[1:] - found[1:].mean()
