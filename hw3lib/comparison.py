"""Comparing: two networks on the same pictures, two recipes over their seeds.

McNemar's test and the bootstrap speak of given networks on given pictures: another seed is another
network. Over seeds, a seed is a block: the arms of one seed share what it decides, so effects are
taken within seeds, and their spread over the seeds gives the interval. That speaks of recipes. The
two kinds of uncertainty are never mixed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hw3lib.metrics import LEVEL, STATISTICS, C, Estimate, as_classes, confusion, pair_shares

if TYPE_CHECKING:
    import pandas as pd


class McNemar(NamedTuple):
    """Two fixed predictors on the same pictures: who alone was right how often, exact p-value."""

    only_first: int
    only_second: int
    p: float


def mcnemar(first: np.ndarray, second: np.ndarray, labels: np.ndarray) -> McNemar:
    """McNemar's exact test of two fixed predictors on the same pictures (statsmodels).

    It speaks of these two networks, not of their recipes: another seed is another network.
    """
    from statsmodels.stats.contingency_tables import mcnemar as exact_test

    right, other = as_classes(first) == labels, as_classes(second) == labels
    only_first, only_second = int((right & ~other).sum()), int((~right & other).sum())
    table = [[int((right & other).sum()), only_first], [only_second, int((~(right | other)).sum())]]
    return McNemar(only_first, only_second, min(1.0, float(exact_test(table, exact=True).pvalue)))


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


def grouped_mean(
    values: np.ndarray,
    group: np.ndarray,
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = LEVEL,
) -> Estimate:
    """Mean of one value a picture, with a percentile interval that draws whole groups.

    values : (n,) float;  group : (n,) duplicate groups
    """
    groups = np.unique(group, return_inverse=True)[1]
    sums, sizes = np.bincount(groups, weights=values), np.bincount(groups)
    rng, n = np.random.default_rng(seed), len(sizes)
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=resamples)
    low, high = np.quantile((drawn @ sums) / (drawn @ sizes), [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(np.mean(values)), float(low), float(high))


def first_pair_shares(samples: np.ndarray) -> np.ndarray:
    """(resamples, C, C) confusions -> (C, C): in what share of them a pair a < b is the first."""
    n, c, _ = samples.shape
    shares = np.where(np.triu(np.ones((c, c), bool), 1), np.nan_to_num(pair_shares(samples)), -1)
    first = shares.reshape(n, -1).argmax(1)
    return np.bincount(first, minlength=c * c).reshape(c, c) / n


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


def over_seeds(values: Sequence[float], *, level: float = LEVEL) -> Estimate:
    """Mean with Student's t interval over independent seeds; NaN bounds for a single one."""
    from scipy.stats import t

    values = np.asarray(values, dtype=float)
    n, mean = len(values), float(values.mean())
    if n < 2:
        return Estimate(mean, np.nan, np.nan)
    half = float(t.ppf((1 + level) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n))
    return Estimate(mean, mean - half, mean + half)


def share_over_seeds(shares: Sequence[float], *, level: float = LEVEL) -> Estimate:
    """`over_seeds` of accuracies and the like: an interval is cut where no share can be."""
    return Estimate(*np.clip(over_seeds(shares, level=level), 0, 1).tolist())


def gain_over_seeds(
    first: Sequence[float], second: Sequence[float], *, level: float = LEVEL
) -> tuple[Estimate, float]:
    """first - second over equal seeds: mean with its t interval, and p of the paired t test.

    Raises
    ------
    ValueError
        if the arms do not have equally many seeds.
    """
    from scipy.stats import ttest_1samp

    if len(first) != len(second):
        raise ValueError(f"paired seeds: {len(first)} scores against {len(second)}")
    gains = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    if len(gains) < 2:
        p = np.nan
    elif np.allclose(gains, gains[0], rtol=0, atol=1e-12):  # no spread: the statistic is 0 / 0
        p = float(np.isclose(gains[0], 0, rtol=0, atol=1e-12))
    else:
        p = float(ttest_1samp(gains, 0).pvalue)
    return over_seeds(gains, level=level), p


def factorial_effects(
    cells: Mapping[tuple[bool, ...], Sequence[float]], factors: Sequence[str]
) -> pd.DataFrame:
    """Main effects and interactions of a full 2^k factorial with seeds as blocks.

    cells   : (with factor 1?, with factor 2?, ...) -> a score for each seed, in one order
    factors : their names

    Returns
    -------
    One row for each effect: factors (tuple of names), value, low, high (mean over the seeds with
    its t interval) and p of the paired t test against 0 (NaN for one seed). A main effect is the
    mean score with the factor minus that without; an interaction of two is half the difference
    of one's effect with and without the other (Box, Hunter & Hunter 2005, chapter 5).

    Raises
    ------
    ValueError
        if a cell is missing or the cells do not have equally many seeds.
    """
    import pandas as pd

    k = len(factors)
    if len(cells) != 2**k or len({len(scores) for scores in cells.values()}) != 1:
        raise ValueError("a factorial needs every combination of its factors, with the same seeds")
    signs = np.array([[1 if on else -1 for on in cell] for cell in cells])  # (2^k, k)
    scores = np.array([cells[cell] for cell in cells], dtype=float)  # (2^k, seeds)
    rows = []
    for order in range(1, k + 1):
        for chosen in combinations(range(k), order):
            contrast = signs[:, chosen].prod(axis=1)
            effects = contrast @ scores / 2 ** (k - 1)  # one for each seed
            estimate, p = gain_over_seeds(effects, np.zeros(len(effects)))
            rows.append((tuple(factors[i] for i in chosen), *estimate, p))
    return pd.DataFrame(rows, columns=["factors", "value", "low", "high", "p"])
