"""Which classes filters prefer, how much they tell them apart, and what is lost without them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from hw3lib.activation import FilterLayer
from hw3lib.data.faces import CLASSES
from hw3lib.evaluation.metrics import Estimate
from hw3lib.models.network import Network, logits
from hw3lib.probing import untouched
from hw3lib.saliency_checks import mean_interval


def class_profile(mean: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N, K) strengths -> (K, 7) mean of each class, in standard deviations from the filter's mean.

    A dead filter has a row of zeros, a class without pictures a column of NaN.
    """
    spread = mean.std(0)
    scores = np.divide(mean - mean.mean(0), spread, out=np.zeros_like(mean), where=spread > 0)
    profile = np.full((mean.shape[1], len(CLASSES)), np.nan)
    for c in np.unique(labels):
        profile[:, c] = scores[labels == c].mean(0)
    return profile


def selectivity(mean: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N, K) -> (K,) share of a filter's variance that lies between the classes, 0 to 1.

    Omega squared: eta squared less what chance alone would give, so 0 means no selectivity
    (slightly negative values are chance) however many pictures there are. A dead filter gives 0.
    """
    total = ((mean - mean.mean(0)) ** 2).sum(0)
    groups = [mean[labels == c] for c in np.unique(labels)]
    within = sum(((g - g.mean(0)) ** 2).sum(0) for g in groups)
    noise = within / max(1, len(mean) - len(groups))
    top = total - within - (len(groups) - 1) * noise
    return np.divide(top, total + noise, out=np.zeros_like(total), where=total > 0)


def most_selective(profile: np.ndarray) -> list[int]:
    """(K, 7) profile -> for each class the filter that sets it off most from all other classes.

    The assignment with the highest sum of margins over the next class; no filter serves twice,
    and with fewer filters than classes only the classes that gain most are served.
    """
    from scipy.optimize import linear_sum_assignment

    classes, filters = linear_sum_assignment(-margins(profile))
    return filters[np.argsort(classes)].tolist()


def more_selective(trained: np.ndarray, untrained: np.ndarray) -> bool | None:
    """Whether filters gained selectivity: a two-sided Mann-Whitney test at 5 % (scipy)."""
    from scipy.stats import mannwhitneyu

    if mannwhitneyu(trained, untrained).pvalue >= 0.05:
        return None
    return bool(np.median(trained) > np.median(untrained))


def margins(profile: np.ndarray) -> np.ndarray:
    """(K, 7) profile -> (7, K): by how much each class lies above the filter's next class."""
    scores = np.nan_to_num(profile, nan=profile[~np.isnan(profile)].min())
    return np.stack(
        [scores[:, c] - np.delete(scores, c, axis=1).max(1) for c in range(scores.shape[1])]
    )


def top_filters(profile: np.ndarray, count: int) -> np.ndarray:
    """(K, 7) profile -> (7, count) filters that set each class off most from all others."""
    return np.argsort(-margins(profile), axis=1, kind="stable")[:, :count]


@contextmanager
def silenced(network: Network, layer: FilterLayer, filters: Sequence[int]) -> Iterator[Network]:
    """Within the block the filters of the layer give 0; undone on leaving, also by an exception."""
    index = list(map(int, filters))

    def hook(module, arguments, output):
        output = output.clone()
        output[:, index] = 0
        return output

    with untouched(network) as model:
        dict(model.named_modules())[layer.read].register_forward_hook(hook)
        yield network


@dataclass(frozen=True)
class Ablation:
    """What a network still gets right without some filters.

    right  : (N,) bool with all filters;  labels : (N,)
    own    : (7, N) bool, without the filters of each class
    random : (draws, N) bool, without as many at random;  count : filters left out at a time
    """

    right: np.ndarray
    labels: np.ndarray
    own: np.ndarray
    random: np.ndarray
    count: int

    @property
    def recall_change(self) -> np.ndarray:
        """(7, 7): without the filters of the row's class, the change in the column's recall."""
        return np.stack([_recall(o, self.labels) - _recall(self.right, self.labels)
                         for o in self.own])  # fmt: skip

    def losses(self) -> dict[str, Estimate]:
        """Share of pictures lost without the filters of their own class, of the other classes, at
        random, and own less random; with intervals over the pictures."""
        lost = self.right[None].astype(float) - self.own  # (7, N)
        at = np.arange(len(self.labels))
        own = lost[self.labels, at]
        others = (lost.sum(0) - own) / (len(lost) - 1)
        random = self.right - self.random.mean(0)
        values = {"own": own, "others": others, "random": random, "difference": own - random}
        return {name: mean_interval(v) for name, v in values.items()}


def _recall(right: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(7,) share of each class that is right; NaN for a class without pictures."""
    recall = np.full(len(CLASSES), np.nan)
    for c in np.unique(labels):
        recall[c] = right[labels == c].mean()
    return recall


def ablate(
    network: Network,
    images: np.ndarray,
    labels: np.ndarray,
    layer: FilterLayer,
    profile: np.ndarray,
    *,
    share: float = 0.1,
    draws: int = 4,
    seed: int = 0,
) -> Ablation:
    """Leave out, class by class, the `share` of the layer's filters that sets it off most.

    images : (N, 48, 48) uint8;  labels : (N,);  profile : (K, 7) of class_profile
    """
    count = max(1, round(share * len(layer)))
    rng = np.random.default_rng(seed)
    chance = [rng.choice(len(layer), count, replace=False) for _ in range(draws)]

    def right_without(filters) -> np.ndarray:
        with silenced(network, layer, filters):
            return logits(network, images).argmax(1) == labels

    right = logits(network, images).argmax(1) == labels
    own = np.stack([right_without(f) for f in top_filters(profile, count)])
    return Ablation(right, labels, own, np.stack([right_without(f) for f in chance]), count)
