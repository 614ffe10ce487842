"""Several networks together: ensembles by their size, and how far the members disagree."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from hw3lib.comparison import grouped_mean
from hw3lib.metrics import Estimate, as_classes


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


def gain_over_members(
    members: Sequence[np.ndarray], labels: np.ndarray, group: np.ndarray
) -> Estimate:
    """Accuracy of the averaged probabilities minus the members' mean accuracy.

    members : M arrays of (n, C) logits;  group : (n,) duplicate groups, redrawn as a whole for the
    interval, which speaks of these members and not of others
    """
    together = np.mean([_scores(logits, "probabilities") for logits in members], axis=0)
    alone = np.mean([as_classes(logits) == labels for logits in members], axis=0)
    return grouped_mean((together.argmax(axis=1) == labels) - alone, group)


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
