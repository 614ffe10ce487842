"""How good a prediction is: scores and their intervals, per class and per pair of classes.

`predictions` is everywhere (n,) integers, or (n, C) scores whose largest counts; `labels` is
(n,) integers in 0..C-1; rows of a confusion matrix are true classes, columns predicted ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hw3lib.data.faces import CLASSES

if TYPE_CHECKING:
    import pandas as pd

C = len(CLASSES)
LEVEL = 0.95  # of every interval that does not say otherwise


class Estimate(NamedTuple):
    """A value with its interval; `format(e, ".1%")` gives "64.2% [62.6%, 65.7%]"."""

    value: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        value, low, high = (format(x, spec) for x in self)
        return f"{value} [{low}, {high}]"


def p_text(p: float) -> str:
    """A p-value as LaTeX: "p=0.036", "p<0.001"."""
    return "p<0.001" if p < 0.001 else f"p={p:.3f}"


def shown(agrees: bool, p: float, *, level: float = LEVEL) -> bool | None:
    """Whether a claim holds: True, False, or None where it agrees but may be chance."""
    return (True if p < 1 - level else None) if agrees else False


def as_classes(predictions: np.ndarray) -> np.ndarray:
    """(n,) classes from (n,) classes or (n, C) scores (logits or probabilities)."""
    predictions = np.asarray(predictions)
    return predictions.argmax(1) if predictions.ndim == 2 else predictions


def wilson(successes: int, n: int, *, level: float = LEVEL) -> Estimate:
    """Share successes / n with Wilson's score interval (statsmodels); n = 0 gives NaNs."""
    from statsmodels.stats.proportion import proportion_confint

    if n == 0:
        return Estimate(np.nan, np.nan, np.nan)
    low, high = proportion_confint(int(successes), int(n), alpha=1 - level, method="wilson")
    return Estimate(int(successes) / int(n), float(low), float(high))


def accuracy(predictions: np.ndarray, labels: np.ndarray, *, level: float = LEVEL) -> Estimate:
    """Share of pictures classified right, with Wilson's interval."""
    return wilson(int((as_classes(predictions) == labels).sum()), len(labels), level=level)


def confusion(predictions: np.ndarray, labels: np.ndarray, *, classes: int = C) -> np.ndarray:
    """(C, C) int64 counts, rows true, columns predicted (scikit-learn)."""
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(labels, as_classes(predictions), labels=np.arange(classes))


def row_shares(matrix: np.ndarray) -> np.ndarray:
    """(..., C, C) counts -> shares of each row; a class without pictures gives NaN."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return matrix / matrix.sum(-1, keepdims=True)


def accuracy_of(matrix: np.ndarray) -> np.ndarray:
    """(..., C, C) confusion -> (...) accuracy."""
    return np.trace(matrix, axis1=-2, axis2=-1) / matrix.sum((-2, -1))


def balanced_accuracy_of(matrix: np.ndarray) -> np.ndarray:
    """(..., C, C) confusion -> (...) mean recall of the classes that have pictures."""
    return np.nanmean(np.diagonal(row_shares(matrix), axis1=-2, axis2=-1), axis=-1)


def macro_f1_of(matrix: np.ndarray) -> np.ndarray:
    """(..., C, C) confusion -> (...) mean F1 of the classes that have pictures."""
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    true, called = matrix.sum(-1), matrix.sum(-2)
    f1 = np.where(true > 0, 2 * hits / np.maximum(true + called, 1), np.nan)
    return np.nanmean(f1, axis=-1)


STATISTICS = {
    "accuracy": accuracy_of,
    "balanced accuracy": balanced_accuracy_of,
    "macro F1": macro_f1_of,
}


def balanced_accuracy(predictions: np.ndarray, labels: np.ndarray) -> float:
    return float(balanced_accuracy_of(confusion(predictions, labels)))


def per_class(predictions: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """One row a class: class, n, predicted, precision, recall (low, high: Wilson), f1.

    A class that was never predicted has precision 0, one without pictures recall NaN.
    """
    import pandas as pd
    from sklearn.metrics import precision_recall_fscore_support

    matrix = confusion(predictions, labels)
    precision, _, f1, n = precision_recall_fscore_support(
        labels, as_classes(predictions), labels=np.arange(C), zero_division=0
    )
    recall = [wilson(matrix[c, c], n[c]) for c in range(C)]
    return pd.DataFrame(
        {
            "class": CLASSES,
            "n": n,
            "predicted": matrix.sum(0),
            "precision": precision,
            "recall": [r.value for r in recall],
            "low": [r.low for r in recall],
            "high": [r.high for r in recall],
            "f1": f1,
        }
    )


def confused_pairs(matrix: np.ndarray) -> pd.DataFrame:
    """Every pair of classes, most confused first.

    Columns: a, b (classes, a < b), a_as_b, b_as_a (counts), n (pictures of both), share =
    (a_as_b + b_as_a) / n with its Wilson interval low, high, and p: Fisher's exact test of
    "a is taken for b as often as b for a", the class sizes allowed for.
    """
    import pandas as pd
    from scipy.stats import fisher_exact

    total, rows = matrix.sum(1), []
    for a in range(len(matrix)):
        for b in range(a + 1, len(matrix)):
            there, back = int(matrix[a, b]), int(matrix[b, a])
            share = wilson(there + back, int(total[a] + total[b]))
            p = fisher_exact([[there, total[a] - there], [back, total[b] - back]]).pvalue
            rows.append((a, b, there, back, int(total[a] + total[b]), *share, float(p)))
    columns = ["a", "b", "a_as_b", "b_as_a", "n", "share", "low", "high", "p"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.sort_values("share", ascending=False, kind="stable", ignore_index=True)


def symmetry(matrix: np.ndarray) -> tuple[float, int, float]:
    """Bowker's test that a is taken for b as often as b for a, for all pairs at once.

    Of the counts, so class sizes are not allowed for. Statistic, degrees of freedom, p-value.
    Pairs that are never confused do not count (statsmodels' SquareTable would divide by 0 there).
    """
    from scipy.stats import chi2

    upper = np.triu_indices(len(matrix), 1)
    there, back = matrix[upper], matrix.T[upper]
    met = there + back > 0
    statistic = float(((there - back)[met] ** 2 / (there + back)[met]).sum())
    return statistic, int(met.sum()), float(chi2.sf(statistic, met.sum()))


def pair_shares(matrix: np.ndarray) -> np.ndarray:
    """(..., C, C) confusion -> (..., C, C) symmetric: share of both classes' pictures confused."""
    total = matrix.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (matrix + matrix.swapaxes(-1, -2)) / (total[..., :, None] + total[..., None, :])
