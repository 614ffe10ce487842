"""What a trick does: effects of factors on accuracy and on what accuracy does not show.

Augmentation, early stopping and ensembles are read off the same trainings. At a constant learning
rate a training that stops early is a prefix of the one that does not, to the bit, so the logits
after every epoch tell what any patience would have kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import softmax
from scipy.stats import t
from statsmodels.stats.multitest import multipletests

from hw3lib.evaluation.intervals import LEVEL
from hw3lib.evaluation.metrics import BINS, confidence_bins
from hw3lib.evaluation.statistics import draw_groups

OUTCOMES = ("accuracy", "NLL", "ECE", "epochs")
TESTED = ("accuracy", "NLL")  # the other outcomes are descriptive
LAST = "last epoch"  # no early stopping: all epochs run, the last one kept


class Training(NamedTuple):
    """Validation loss (epochs,) as the training measured it; logits (epochs, n, C) on test."""

    losses: Sequence[float]
    test: np.ndarray


class Cell(NamedTuple):
    """One combination: a configuration, a stopping rule, how many networks answer together."""

    configuration: str
    stopping: str  # LAST or "patience 5"
    members: int


class Stop(NamedTuple):
    """The epoch kept and the epochs run, both from 1, and whether patience fired."""

    kept: int
    run: int
    fired: bool


def stopped_at(losses: Sequence[float], patience: int) -> Stop:
    """Where a training with these validation losses would have stopped.

    Before it stops, a training at a constant rate is the one that does not stop.

    patience : epochs without a lower loss, 0 for never; what never stops keeps the last epoch
    """
    for run in range(1, len(losses) + 1) if patience else ():
        kept = 1 + int(np.nanargmin(losses[:run]))
        if run - kept >= patience:
            return Stop(kept, run, True)
    return Stop(len(losses), len(losses), False)


@dataclass(frozen=True)
class Sampled:
    """The OUTCOMES of a cell, or the difference of two, with all that tells how sure they are.

    value   : (4,)
    without : (seeds, 4), each seed left out once (jackknife)
    redrawn : (resamples, 4), on images drawn anew by group
    fired   : in how many of the trainings patience fired
    """

    value: np.ndarray
    without: np.ndarray
    redrawn: np.ndarray
    fired: int

    def __sub__(self, other: Sampled) -> Sampled:
        return Sampled(
            self.value - other.value,
            self.without - other.without,
            self.redrawn - other.redrawn,
            self.fired,
        )

    def errors(self) -> tuple[np.ndarray, np.ndarray]:
        """Standard errors (4,) by other seeds and by other images."""
        seeds = len(self.without)
        return np.sqrt(seeds - 1) * self.without.std(axis=0), self.redrawn.std(axis=0, ddof=1)

    def table(self) -> pd.DataFrame:
        """A row an outcome: value, low, high, p, fired.

        Interval and p-value speak of new seeds and new images at once: the two variances add up
        (crossed random effects; what seeds and images do together is counted twice, which errs on
        the safe side), with Satterthwaite's degrees of freedom, the images counting as many.
        """
        by_seeds, by_images = self.errors()
        error = np.hypot(by_seeds, by_images)
        with np.errstate(divide="ignore", invalid="ignore"):
            freedom = (len(self.without) - 1) * (error / by_seeds) ** 4
            freedom = np.where(by_seeds > 1e-12, freedom, np.inf)
            p = 2 * t.sf(np.abs(self.value) / error, freedom)
        half = t.ppf((1 + LEVEL) / 2, freedom) * error
        return pd.DataFrame(
            {
                "outcome": OUTCOMES,
                "value": self.value,
                "low": self.value - half,
                "high": self.value + half,
                "p": np.where(error > 0, p, np.isclose(self.value, 0).astype(float)),
                "fired": self.fired,
            }
        )


def read_cells(
    trainings: Mapping[str, Sequence[Training]],
    labels: np.ndarray,
    group: np.ndarray,
    *,
    patience: Sequence[int] = (5, 10),
    members: Sequence[int] = (1, 3, 5),
    resamples: int = 1000,
) -> dict[Cell, Sampled]:
    """Every configuration x stopping rule x ensemble size, measured on the test images.

    trainings : configuration -> one Training a seed, the same seeds in the same order
    labels, group : (n_test,) classes and groups of copies
    members : sizes; of each the mean over all ensembles that the seeds allow, 1 being single
        networks; epochs are those of all members together

    Raises
    ------
    ValueError
        if the configurations do not have the same number of seeds, two at least and as many as
        the largest ensemble has members.
    """
    seeds = {len(each) for each in trainings.values()}
    if len(seeds) != 1 or max(members) > min(seeds) or min(seeds) < 2:
        raise ValueError(f"seeds {sorted(seeds)}: equally many are needed, {max(members)} or more")
    groups, counts = draw_groups(group, resamples)
    weights = np.vstack([np.ones(len(groups)), counts[:, groups]])  # first the images as they are
    cells = {}
    for name, each in trainings.items():
        for wait in (0, *patience):
            ends = [stopped_at(one.losses, wait) for one in each]
            fired = sum(end.fired for end in ends)
            last = [one.test[end.kept - 1] for one, end in zip(each, ends, strict=True)]
            epochs = [end.run for end in ends]
            found = _all_ensembles(last, epochs, labels, weights, members)
            for size in members:
                stopping = f"patience {wait}" if wait else LAST
                cells[Cell(name, stopping, size)] = _sampled(found, len(each), size, fired)
    return cells


def _all_ensembles(
    logits: Sequence[np.ndarray],
    epochs: Sequence[int],
    labels: np.ndarray,
    weights: np.ndarray,
    sizes: Sequence[int],
) -> dict[tuple[int, ...], np.ndarray]:
    """Members chosen -> (1 + resamples, 4) OUTCOMES, also those of the jackknife."""
    parts, seeds = softmax(np.stack(logits).astype(float), axis=2), range(len(logits))
    wanted = {*sizes, *(min(size, len(seeds) - 1) for size in sizes)}
    return {
        chosen: np.column_stack(
            [
                _scores(parts[list(chosen)].mean(axis=0), labels, weights),
                np.full(len(weights), np.mean([epochs[i] for i in chosen])),
            ]
        )
        for size in wanted
        for chosen in combinations(seeds, size)
    }


def _scores(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(k, n) weights of the images -> (k, 3) accuracy, NLL and ECE."""
    sure, right = probabilities.max(1), probabilities.argmax(1) == labels
    surprise = -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-300))
    gaps = (right - sure)[:, None] * np.eye(BINS)[confidence_bins(sure)]
    means = weights @ np.column_stack([right, surprise, gaps]) / weights.sum(1, keepdims=True)
    return np.column_stack([means[:, :2], np.abs(means[:, 2:]).sum(1)])


def _sampled(
    found: Mapping[tuple[int, ...], np.ndarray], seeds: int, size: int, fired: int
) -> Sampled:
    """Mean over the ensembles of one size; an ensemble of all seeds is jackknifed by one member."""
    mean = np.mean([v for chosen, v in found.items() if len(chosen) == size], axis=0)
    fewer = min(size, seeds - 1)
    without = [
        np.mean([v[0] for c, v in found.items() if len(c) == fewer and s not in c], axis=0)
        for s in range(seeds)
    ]
    scale = np.array([1, 1, 1, size])  # all members' epochs are what the ensemble costs
    return Sampled(mean[0] * scale, np.array(without) * scale, mean[1:] * scale, fired)


def cell_table(cells: Mapping[Cell, Sampled]) -> pd.DataFrame:
    """One row a cell and outcome: the cell's three names, then the columns of Sampled.table."""
    return _tidy((cell._asdict(), sampled) for cell, sampled in cells.items()).drop(columns="p")


def simple_effects(cells: Mapping[Cell, Sampled]) -> pd.DataFrame:
    """Each factor's effect at every level of the others: no mean over effects of opposite signs.

    The first configuration against the second, each patience against the last epoch, each size of
    ensemble against single networks.

    Returns
    -------
    One row an effect and outcome: factor ("configuration", "stopping" or "members"), the names of
    the cell that is compared with its reference, the columns of Sampled.table, and holm: p
    corrected over every effect on the outcomes TESTED, so that the family is fixed by the cells
    that are given (leave the triples out for a smaller one); NaN for the others. Where patience
    never fired, early stopping did not happen: value, interval and p are NaN and fired is 0, and
    it still counts in the family.
    """
    names, rows = list(dict.fromkeys(cell.configuration for cell in cells)), []
    for cell, sampled in cells.items():
        references = {
            "configuration": cell._replace(configuration=names[-1]),
            "stopping": cell._replace(stopping=LAST),
            "members": cell._replace(members=1),
        }
        rows += [
            ({"factor": factor, **cell._asdict()}, sampled - cells[other])
            for factor, other in references.items()
            if other != cell and other in cells
        ]
    frame = _tidy(rows)
    idle = (frame["factor"] == "stopping") & (frame["fired"] == 0)
    frame.loc[idle, ["value", "low", "high", "p"]] = np.nan
    tested = frame["outcome"].isin(TESTED)
    frame.loc[tested, "holm"] = multipletests(frame.loc[tested, "p"].fillna(1), method="holm")[1]
    return frame


def _tidy(rows) -> pd.DataFrame:
    frames = [pd.DataFrame({**names, **sampled.table()}) for names, sampled in rows]
    return pd.concat(frames, ignore_index=True)
