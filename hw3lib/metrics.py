"""How good a prediction is: scores, intervals, paired tests, calibration.

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


class McNemar(NamedTuple):
    """Two fixed predictors on the same pictures: who alone was right how often, exact p-value."""

    only_first: int
    only_second: int
    p: float


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


def mcnemar(first: np.ndarray, second: np.ndarray, labels: np.ndarray) -> McNemar:
    """McNemar's exact test of two fixed predictors on the same pictures (statsmodels).

    It speaks of these two networks, not of their recipes: another seed is another network.
    """
    from statsmodels.stats.contingency_tables import mcnemar as exact_test

    right, other = as_classes(first) == labels, as_classes(second) == labels
    only_first, only_second = int((right & ~other).sum()), int((~right & other).sum())
    table = [[int((right & other).sum()), only_first], [only_second, int((~(right | other)).sum())]]
    return McNemar(only_first, only_second, min(1.0, float(exact_test(table, exact=True).pvalue)))


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


def macro_f1(predictions: np.ndarray, labels: np.ndarray) -> float:
    return float(macro_f1_of(confusion(predictions, labels)))


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


def pair_shares(matrix: np.ndarray) -> np.ndarray:
    """(..., C, C) confusion -> (..., C, C) symmetric: share of both classes' pictures confused."""
    total = matrix.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (matrix + matrix.swapaxes(-1, -2)) / (total[..., :, None] + total[..., None, :])


def first_pair_shares(samples: np.ndarray) -> np.ndarray:
    """(resamples, C, C) confusions -> (C, C): in what share of them a pair a < b is the first."""
    n, c, _ = samples.shape
    shares = np.where(np.triu(np.ones((c, c), bool), 1), np.nan_to_num(pair_shares(samples)), -1)
    first = shares.reshape(n, -1).argmax(1)
    return np.bincount(first, minlength=c * c).reshape(c, c) / n


def resampled_confusions(
    predictions: np.ndarray,
    labels: np.ndarray,
    group: np.ndarray,
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> np.ndarray:
    """(resamples, C, C) confusion matrices of bootstrap samples that draw whole groups.

    Copies of a picture stand or fall together, so the group (Faces.group) is what is drawn. Equal
    groups and seed draw the same samples whatever the predictions: differences are paired.
    """
    groups = np.unique(group, return_inverse=True)[1]
    cells = np.zeros((groups.max() + 1, C * C))
    np.add.at(cells, (groups, np.asarray(labels) * C + as_classes(predictions)), 1)
    rng, n = np.random.default_rng(seed), len(cells)
    drawn = [rng.multinomial(n, np.full(n, 1 / n)) @ cells for _ in range(resamples)]
    return np.array(drawn).reshape(resamples, C, C)


def bootstrap(
    predictions: np.ndarray,
    labels: np.ndarray,
    group: np.ndarray,
    *,
    statistic: str = "accuracy",
    against: np.ndarray | None = None,
    resamples: int = 2000,
    seed: int = 0,
    level: float = LEVEL,
) -> Estimate:
    """A statistic, or its gain over the predictions `against`, with a percentile interval.

    statistic : a name in STATISTICS;  group : (n,) duplicate groups, drawn as a whole
    """
    measure = STATISTICS[statistic]
    draw = {"resamples": resamples, "seed": seed}
    value = measure(confusion(predictions, labels))
    samples = measure(resampled_confusions(predictions, labels, group, **draw))
    if against is not None:
        value = value - measure(confusion(against, labels))
        samples = samples - measure(resampled_confusions(against, labels, group, **draw))
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(value), float(low), float(high))


def rank_correlation(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Spearman's rho and its two-sided p-value over all orders (exact up to 8 points)."""
    from scipy.stats import permutation_test, rankdata

    def standard(values: np.ndarray) -> np.ndarray:
        ranks = rankdata(values)
        return (ranks - ranks.mean()) / ranks.std()

    other = standard(y)

    def rho(ranks: np.ndarray, axis: int = -1) -> np.ndarray:
        return (ranks * other).mean(axis)

    options = {"permutation_type": "pairings", "vectorized": True, "axis": -1}
    test = permutation_test((standard(x),), rho, n_resamples=50_000, rng=0, **options)
    return float(test.statistic), float(test.pvalue)


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
