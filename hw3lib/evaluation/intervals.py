"""A value with its 95 % interval: of a share (Wilson's), of bootstrap samples (percentiles).

Those over seeds (Student's t) and over groups of copies are in `statistics`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from statsmodels.stats.proportion import proportion_confint

LEVEL = 0.95  # of every interval


class Estimate(NamedTuple):
    """A value with its interval; `format(e, ".1%")` gives "64.2% [62.6%, 65.7%]"."""

    value: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        value, low, high = (format(x, spec) for x in self)
        return f"{value} [{low}, {high}]"

    @property
    def pp(self) -> Estimate:
        """A difference of shares in percentage points."""
        return Estimate(*(100 * x for x in self))


def share_interval(successes: int, n: int) -> Estimate:
    """Share successes / n with Wilson's score interval (statsmodels); n = 0 gives NaNs."""
    if n == 0:
        return Estimate(np.nan, np.nan, np.nan)
    low, high = proportion_confint(int(successes), int(n), alpha=1 - LEVEL, method="wilson")
    return Estimate(int(successes) / int(n), float(low), float(high))


def difference(first: Estimate, second: Estimate) -> Estimate:
    """first - second of independent samples (Zou & Donner 2008: from the two intervals)."""
    value = first.value - second.value
    below = np.hypot(first.value - first.low, second.high - second.value)
    above = np.hypot(first.high - first.value, second.value - second.low)
    return Estimate(value, float(value - below), float(value + above))


def percentile(value: float, samples: np.ndarray, *, among: int = 1) -> Estimate:
    """The value with the central 95 % of its bootstrap samples.

    among : of so many intervals 95 % hold all at once (Bonferroni)
    """
    tail = (1 - LEVEL) / 2 / among
    low, high = np.quantile(samples, [tail, 1 - tail])
    return Estimate(float(value), float(low), float(high))
