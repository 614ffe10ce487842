"""Comparing arms of an experiment over their seeds: intervals, effects, ensembles.

A seed is a block: the arms of one seed share what it decides, so effects are taken within seeds
and their spread over the seeds gives the interval. This speaks of recipes; McNemar's test and the
bootstrap in hw3lib.metrics speak of given networks on given pictures. The two are never mixed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from hw3lib.metrics import LEVEL, Estimate, as_classes


def over_seeds(values: Sequence[float], *, level: float = LEVEL) -> Estimate:
    """Mean with Student's t interval over independent seeds; NaN bounds for a single one."""
    from scipy.stats import t

    values = np.asarray(values, dtype=float)
    n, mean = len(values), float(values.mean())
    if n < 2:
        return Estimate(mean, np.nan, np.nan)
    half = float(t.ppf((1 + level) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n))
    return Estimate(mean, mean - half, mean + half)


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
    from scipy.stats import ttest_1samp

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
            p = float(ttest_1samp(effects, 0).pvalue) if len(effects) > 1 else np.nan
            rows.append((tuple(factors[i] for i in chosen), *over_seeds(effects), p))
    return pd.DataFrame(rows, columns=["factors", "value", "low", "high", "p"])


def ensemble_growth(
    members: Sequence[np.ndarray], labels: np.ndarray, *, average: str = "probabilities"
) -> pd.DataFrame:
    """Accuracy of every ensemble that can be made of the members, by its size.

    members : M arrays of (n, C) logits
    average : "probabilities", or "logits" (the geometric mean of the probabilities)

    Returns
    -------
    Rows size, mean, low, high: over all subsets of that size. They share members, so this is a
    range and no interval.
    """
    parts = np.stack([_scores(logits, average) for logits in members])
    rows = []
    for size in range(1, len(parts) + 1):
        right = [
            float((parts[list(chosen)].mean(axis=0).argmax(axis=1) == labels).mean())
            for chosen in combinations(range(len(parts)), size)
        ]
        rows.append((size, float(np.mean(right)), min(right), max(right)))
    return pd.DataFrame(rows, columns=["size", "mean", "low", "high"])


def disagreement(members: Sequence[np.ndarray]) -> float:
    """Share of pictures on which two members differ, averaged over all pairs of them."""
    picks = [as_classes(member) for member in members]
    pairs = list(combinations(picks, 2))
    return float(np.mean([np.mean(a != b) for a, b in pairs])) if pairs else 0.0


def _scores(logits: np.ndarray, average: str) -> np.ndarray:
    from scipy.special import log_softmax, softmax

    if average not in ("probabilities", "logits"):
        raise ValueError(f"average {average!r}: probabilities or logits")
    return (softmax if average == "probabilities" else log_softmax)(logits, axis=1)
