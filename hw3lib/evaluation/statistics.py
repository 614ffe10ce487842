"""How sure a score is: of given networks on given images, and of recipes over their seeds.

McNemar's test and the bootstrap speak of given networks: another seed is another network. Over
seeds, a seed is a block: the configurations of one seed share what it decides, so differences are
taken within seeds, and their spread gives the interval. That speaks of recipes. The interval of one
accuracy is in `intervals`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, permutations
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import softmax
from scipy.stats import rankdata, t, ttest_1samp, zscore
from statsmodels.stats.contingency_tables import mcnemar as exact_test

from hw3lib.evaluation import metrics
from hw3lib.evaluation.intervals import LEVEL, Estimate, percentile
from hw3lib.evaluation.metrics import C, as_classes


def p_value(p: float) -> str:
    """A p-value as a table's cell: "0.036", "<0.001"."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def p_text(p: float) -> str:
    """A p-value as LaTeX: "p=0.036", "p<0.001"."""
    return f"p={p_value(p)}".replace("=<", "<")


# Given networks on given images


class McNemar(NamedTuple):
    """Two fixed predictors on the same images: who alone was right how often, exact p-value."""

    only_first: int
    only_second: int
    p: float


def mcnemar(first: np.ndarray, second: np.ndarray, labels: np.ndarray) -> McNemar:
    """McNemar's exact test of two fixed predictors, classes or scores, on the same images."""
    right, other = as_classes(first) == labels, as_classes(second) == labels
    only_first, only_second = int((right & ~other).sum()), int((~right & other).sum())
    p = exact_test([[0, only_first], [only_second, 0]], exact=True).pvalue
    return McNemar(only_first, only_second, float(p))


def draw_groups(group: np.ndarray, resamples: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Bootstrap of whole groups: (n,) number of each image's group, (resamples, groups) counts.

    Copies of an image stand or fall together, so the group (Faces.group) is what is drawn. Equal
    groups give the same draws whatever is measured on them: differences are paired.
    """
    groups = np.unique(group, return_inverse=True)[1]
    n = groups.max() + 1
    counts = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=resamples)
    return groups, counts


def resampled_confusions(
    predictions: np.ndarray, labels: np.ndarray, group: np.ndarray
) -> np.ndarray:
    """(resamples, C, C) confusion matrices of bootstrap samples that draw whole groups."""
    groups, counts = draw_groups(group)
    cells = np.zeros((counts.shape[1], C * C))
    np.add.at(cells, (groups, np.asarray(labels) * C + as_classes(predictions)), 1)
    return (counts @ cells).reshape(-1, C, C)


def bootstrap(
    predictions: np.ndarray,
    labels: np.ndarray,
    group: np.ndarray,
    *,
    statistic: str = "accuracy",
    against: np.ndarray | None = None,
    among: int = 1,
) -> Estimate:
    """A statistic, or its gain over the predictions `against`, with a percentile interval.

    statistic : a name in metrics.STATISTICS;  group : (n,) groups of copies, drawn as a whole
    among : as for `percentile`
    """
    measure = metrics.STATISTICS[statistic]
    value = measure(metrics.confusion(predictions, labels))
    samples = measure(resampled_confusions(predictions, labels, group))
    if against is not None:
        value = value - measure(metrics.confusion(against, labels))
        samples = samples - measure(resampled_confusions(against, labels, group))
    return percentile(value, samples, among=among)


def grouped_mean(
    values: np.ndarray, group: np.ndarray, *, weights: np.ndarray | None = None
) -> Estimate:
    """(Weighted) mean of one value an image, with a percentile interval that draws whole groups.

    values, weights : (n,) float;  group : (n,) groups of copies
    """
    weights = np.ones(len(values)) if weights is None else weights
    groups, counts = draw_groups(group)
    sums = np.bincount(groups, weights=values * weights)
    samples = (counts @ sums) / (counts @ np.bincount(groups, weights=weights))
    return percentile(np.average(values, weights=weights), samples)


def pair_correlation(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Spearman's rho between two symmetric (C, C) matrices over their pairs, and its p-value.

    Mantel's test (1967), over all C! orders: classes are permuted, rows with columns, for pairs
    that share a class are not independent. Permuting the 21 pairs instead rejects a true
    hypothesis of no relation in 9 to 20 % of cases.
    """
    c = len(first)
    a, b = pairs = np.triu_indices(c, 1)
    ranks = np.zeros((c, c))
    ranks[pairs] = zscore(rankdata(first[pairs]))
    ranks += ranks.T
    orders = np.array(list(permutations(range(c))))
    found = ranks[orders[:, a], orders[:, b]] @ zscore(rankdata(second[pairs])) / len(a)
    return float(found[0]), float((np.abs(found) >= abs(found[0]) - 1e-9).mean())


# Recipes over their seeds


def over_seeds(values: Sequence[float], *, among: int = 1) -> Estimate:
    """Mean with Student's t interval over independent values; NaN bounds for a single one.

    among : of so many intervals 95 % hold all at once (Bonferroni)
    """
    values = np.asarray(values, dtype=float)
    n, mean = len(values), float(values.mean())
    if n < 2:
        return Estimate(mean, np.nan, np.nan)
    half = float(t.ppf(1 - (1 - LEVEL) / 2 / among, n - 1) * values.std(ddof=1) / np.sqrt(n))
    return Estimate(mean, mean - half, mean + half)


def share_over_seeds(shares: Sequence[float]) -> Estimate:
    """`over_seeds` of accuracies and the like: an interval is cut where no share can be."""
    return Estimate(*np.clip(over_seeds(shares), 0, 1).tolist())


def gain_over_seeds(first: Sequence[float], second: Sequence[float]) -> tuple[Estimate, float]:
    """first - second over equal seeds: mean with its t interval, and p of the paired t test.

    Raises
    ------
    ValueError
        if the configurations do not have equally many seeds.
    """
    if len(first) != len(second):
        raise ValueError(f"paired seeds: {len(first)} scores against {len(second)}")
    gains = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    if len(gains) < 2:
        p = np.nan
    elif np.allclose(gains, gains[0], rtol=0, atol=1e-12):  # no spread: the statistic is 0 / 0
        p = float(np.isclose(gains[0], 0, rtol=0, atol=1e-12))
    else:
        p = float(ttest_1samp(gains, 0).pvalue)
    return over_seeds(gains), p


# Ensembles: the mean of the members' probabilities


def ensemble_growth(members: Sequence[np.ndarray], labels: np.ndarray) -> pd.DataFrame:
    """Accuracy of every ensemble that can be made of the members, by its size.

    members : M arrays of (n, C) logits

    Returns
    -------
    Rows size, mean, low, high: over all subsets of that size. They share members, so this is a
    range and no interval.
    """
    parts, rows = softmax(np.stack(members), axis=2), []
    for size in range(1, len(parts) + 1):
        right = [
            float((parts[list(chosen)].mean(axis=0).argmax(axis=1) == labels).mean())
            for chosen in combinations(range(len(parts)), size)
        ]
        rows.append((size, float(np.mean(right)), min(right), max(right)))
    return pd.DataFrame(rows, columns=["size", "mean", "low", "high"])
