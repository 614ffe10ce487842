"""Decision rules: from a network's probabilities to one class an image.

Every rule is a small estimator: `fit(probabilities, labels, priors)` on validation,
`predict(probabilities)` on anything else; a new one subclasses Rule and has its word in
`hw3lib.text`. Probabilities are (n, C) with rows that add up to 1, labels (n,) integers, priors
(C,) shares of the training images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from hw3lib import UserError
from hw3lib.evaluation import metrics
from hw3lib.evaluation.intervals import Estimate

TINY = 1e-12  # keeps log-probabilities finite


class Rule:
    """What the rules share; a subclass gives `name` and either `scores` or `predict`."""

    name: str  # a key of the glossary
    priors: np.ndarray

    def fit(self, probabilities: np.ndarray, labels: np.ndarray, priors: np.ndarray) -> Self:
        """Learn what the rule needs. Raises UserError on priors that are no distribution."""
        priors = np.asarray(priors, dtype=float)
        if priors.shape != (probabilities.shape[1],) or not np.isclose(priors.sum(), 1):
            raise UserError(f"rule: {probabilities.shape[1]} priors that add up to 1 are needed")
        if (priors <= 0).any():
            raise UserError("rule: a class has no training images, so its prior is 0")
        self.priors = priors
        return self

    def scores(self, probabilities: np.ndarray) -> np.ndarray:
        """(n, C); the largest decides."""
        return np.log(np.maximum(probabilities, TINY))

    def predict(self, probabilities: np.ndarray) -> np.ndarray:
        """(n, C) probabilities -> (n,) classes."""
        return self.scores(probabilities).argmax(1)


class Argmax(Rule):
    """The most probable class."""

    name = "argmax"


class AbovePrior(Rule):
    """Of the classes whose probability exceeds their prior, the most probable.

    Where no class exceeds its prior (then all are equal to it), the most probable of all. Only
    where the most probable class does not exceed its own prior can this differ from argmax.
    """

    name = "largest above its prior"

    def scores(self, probabilities: np.ndarray) -> np.ndarray:
        return np.where(probabilities > self.priors, 1.0, 0.0) + probabilities


class RatioToPrior(Rule):
    """The class whose probability is largest relative to its prior."""

    name = "largest ratio to its prior"

    def scores(self, probabilities: np.ndarray) -> np.ndarray:
        return super().scores(probabilities) - np.log(self.priors)


@dataclass
class LogitAdjustment(Rule):
    """The largest log p - tau log prior; tau is chosen on what `fit` is given.

    tau = 0 is argmax, tau = 1 the ratio to the prior (Menon et al. 2021, Long-tail learning via
    logit adjustment, section 4). tau : None to choose it from `grid` for balanced accuracy; the
    smallest of equally good ones is taken and stands in `chosen`.
    """

    tau: float | None = None
    grid = np.linspace(0, 2, 41)
    name = "logit adjustment"

    def fit(self, probabilities: np.ndarray, labels: np.ndarray, priors: np.ndarray) -> Self:
        super().fit(probabilities, labels, priors)
        self.chosen = self.tau
        if self.tau is None:
            log_p = super().scores(probabilities)
            scores = [log_p - tau * np.log(self.priors) for tau in self.grid]
            values = [metrics.balanced_accuracy(z, labels) for z in scores]
            self.chosen = float(self.grid[int(np.argmax(values))])
        return self

    def scores(self, probabilities: np.ndarray) -> np.ndarray:
        return super().scores(probabilities) - self.chosen * np.log(self.priors)


class Offsets(Rule):
    """The largest log p + offset, one offset a class, tuned for balanced accuracy.

    Coordinate ascent: balanced accuracy is a step function of one class's offset whose steps lie
    where the class overtakes the best other one, so each coordinate is maximised exactly. The
    middle of the widest best interval within +-span is kept.
    """

    rounds, span = 4, 4.0  # nats
    name = "per-class offsets"

    def fit(self, probabilities: np.ndarray, labels: np.ndarray, priors: np.ndarray) -> Self:
        super().fit(probabilities, labels, priors)
        self.offsets = np.zeros(len(self.priors))
        counts = np.maximum(np.bincount(labels, minlength=len(self.priors)), 1)
        worth = 1 / counts[labels]  # of an image classified right, in C x balanced accuracy
        for _ in range(self.rounds):
            before = self.offsets.copy()
            for c in range(len(self.priors)):
                self.offsets[c] = self._best(self.scores(probabilities), labels, worth, c)
            if np.array_equal(before, self.offsets):
                break
        self.offsets -= self.offsets.mean()
        return self

    def _best(self, scores: np.ndarray, labels: np.ndarray, worth: np.ndarray, c: int) -> float:
        """The offset of class c with the highest score, those of the others kept."""
        others = np.delete(scores, c, axis=1)
        rival = np.delete(np.arange(scores.shape[1]), c)[others.argmax(1)]
        needed = others.max(1) - (scores[:, c] - self.offsets[c])  # above it, c is predicted
        order = np.argsort(needed, kind="stable")
        change = np.where(labels == c, worth, np.where(rival == labels, -worth, 0.0))[order]
        value = np.concatenate([[0.0], np.cumsum(change)])
        edges = np.concatenate([[-self.span], needed[order].clip(-self.span, self.span)])
        width = np.append(edges[1:], self.span) - edges
        best = np.isclose(value, value[width > 0].max(), rtol=0, atol=1e-12) & (width > 0)
        at = np.flatnonzero(best)[np.argmax(width[best])]
        return float(edges[at] + width[at] / 2)

    def scores(self, probabilities: np.ndarray) -> np.ndarray:
        return super().scores(probabilities) + self.offsets


@dataclass
class LeastCost(Rule):
    """The class of least expected cost; cost[i, j]: of predicting j where i is true.

    None costs 1 / (C prior_i) for every mistake, so that each class weighs the same.
    """

    cost: np.ndarray | None = None
    name = "least expected cost"

    def fit(self, probabilities: np.ndarray, labels: np.ndarray, priors: np.ndarray) -> Self:
        super().fit(probabilities, labels, priors)
        equal = (1 - np.eye(len(self.priors))) / (len(self.priors) * self.priors[:, None])
        self.costs = equal if self.cost is None else np.asarray(self.cost, dtype=float)
        return self

    def scores(self, probabilities: np.ndarray) -> np.ndarray:
        return -probabilities @ self.costs


@dataclass
class PriorShift(Rule):
    """The most probable class where the classes have other shares than in training.

    new_priors : (C,) shares there; None to estimate them from the unlabelled probabilities that
                 are to be decided, by `estimate_priors`
    """

    new_priors: np.ndarray | None = None
    name = "changed priors"

    def scores(self, probabilities: np.ndarray) -> np.ndarray:
        new = self.new_priors
        if new is None:
            new = estimate_priors(probabilities, self.priors)
        return super().scores(probabilities) + np.log(np.maximum(new, TINY) / self.priors)


def estimate_priors(probabilities: np.ndarray, priors: np.ndarray) -> np.ndarray:
    """(C,) class shares among images without labels, by expectation maximisation.

    Each step re-weights the probabilities to the shares so far and takes their mean; the
    likelihood of the images rises to its one maximum (Saerens, Latinne & Decaestecker 2002,
    "Adjusting the outputs of a classifier to new a priori probabilities"). What it finds is as
    true as the probabilities are calibrated.

    probabilities : (n, C) posteriors under the training shares `priors` (C,)
    """
    shares = np.asarray(priors, dtype=float)
    for _ in range(10_000):
        weighted = probabilities * (shares / priors)
        before, shares = shares, (weighted / weighted.sum(axis=1, keepdims=True)).mean(axis=0)
        if np.abs(shares - before).max() < 1e-8:
            break
    return shares


def class_recall(
    rules: Sequence[Rule], probabilities: np.ndarray, labels: np.ndarray, *, class_id: int
) -> pd.DataFrame:
    """How the recall of one class depends on the decision, the network and its images the same.

    rules : fitted, as Argmax() and RatioToPrior()

    Returns
    -------
    One row a rule: rule (its name), hits (images of the class that it finds), recall, precision,
    accuracy. Division by the smallest prior can only raise the recall of its class: what it tells
    is the precision of what it adds.
    """
    rows = []
    for rule in rules:
        z = rule.predict(probabilities)
        scores = metrics.per_class(z, labels).iloc[class_id]
        recall = Estimate(scores["recall"], scores["low"], scores["high"])
        hits = int(((z == class_id) & (labels == class_id)).sum())
        accuracy = metrics.accuracy(z, labels)
        rows.append((rule.name, hits, recall, scores["precision"], accuracy))
    return pd.DataFrame(rows, columns=["rule", "hits", "recall", "precision", "accuracy"])


def rejection_threshold(probabilities: np.ndarray, coverage: float) -> float:
    """The confidence that the share `coverage` of the images reaches; fit it on validation."""
    if not 0 < coverage <= 1:
        raise UserError(f"rejection: coverage={coverage} must be above 0 and at most 1")
    return float(np.quantile(probabilities.max(1), 1 - coverage))
