"""Intervals, similarities, networks with re-drawn layers, and the regions of the face."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from torch import Tensor

from hw3lib.data.faces import SIZE
from hw3lib.evaluation.metrics import Estimate
from hw3lib.probing import redrawn, weighted
from hw3lib.saliency import METHODS, attribute_all, importance
from hw3lib.text import Text

if TYPE_CHECKING:
    import pandas as pd

# Boxes (top, bottom, left, right) in pixels, bottom and right outside, on the frame that FER's
# faces and the synthetic ones share.
BOXES = {
    "brows": (10, 16, 8, 40),
    "eyes": (16, 24, 8, 40),
    "nose": (24, 33, 17, 31),
    "mouth": (33, 43, 13, 35),
}
LIMIT = 0.5  # rank correlation above which a map counts as still the same
REGIONS = (*BOXES, "outline", "rest of the face", "background")


def mean_interval(values: np.ndarray, *, resamples: int = 2000, seed: int = 0) -> Estimate:
    """Mean of (n,) values with its 95 % percentile bootstrap interval over the pictures.

    NaNs are left out; without values it is NaN.
    """
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    if not len(values):
        return Estimate(np.nan, np.nan, np.nan)
    draws = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    low, high = np.quantile(values[draws].mean(1), [0.025, 0.975])
    return Estimate(float(values.mean()), float(low), float(high))


def above(estimate: Estimate, value: float) -> bool | None:
    """True if the whole interval lies above `value`, False if below, None if it holds it."""
    return True if estimate.low > value else False if estimate.high < value else None


def size_word(correlation: float) -> Text:
    """How large a correlation is, in Cohen's words (1988): steps at 0.1, 0.3 and 0.5."""
    words = (("可忽略", "negligible"), ("弱", "weak"), ("中等", "moderate"), ("強", "strong"))
    return Text(*words[int(np.searchsorted((0.1, 0.3, 0.5), abs(correlation), side="right"))])


class Comparison(NamedTuple):
    """A quantity with the trained and with the random weights, and their difference."""

    trained: Estimate
    random: Estimate
    difference: Estimate


def compared(trained: np.ndarray, random: np.ndarray) -> Comparison:
    """(n,) values of the same pictures; the difference is taken picture by picture."""
    return Comparison(*(mean_interval(v) for v in (trained, random, trained - random)))


def rank_similarity(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(N, H, W) twice -> (N,) Spearman correlation of each pair; an even map gives 0."""
    from scipy.stats import rankdata

    ranks = [rankdata(m.reshape(len(m), -1), axis=1) for m in (first, second)]
    ranks = [r - r.mean(1, keepdims=True) for r in ranks]
    norms = [np.sqrt((r**2).sum(1)) for r in ranks]
    product = norms[0] * norms[1]
    return np.divide((ranks[0] * ranks[1]).sum(1), product, out=np.zeros_like(product),
                     where=product > 0)  # fmt: skip


def structural_similarity(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(N, H, W) twice -> (N,) SSIM of the maps, each scaled to a largest value of 1.

    Wang et al. 2004 with a Gaussian window of sigma 1.5, as in Adebayo et al. 2018.
    """
    from scipy.ndimage import gaussian_filter

    def smooth(m: np.ndarray) -> np.ndarray:
        return gaussian_filter(m, sigma=(0, 1.5, 1.5), truncate=3.5)

    x, y = (
        m / np.maximum(np.abs(m).max((1, 2), keepdims=True), 1e-12)
        for m in (first.astype(np.float64), second.astype(np.float64))
    )
    mean_x, mean_y = smooth(x), smooth(y)
    var_x, var_y = smooth(x * x) - mean_x**2, smooth(y * y) - mean_y**2
    shared = smooth(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean_x * mean_y + c1) * (2 * shared + c2)
    return (top / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean((1, 2))


def cascade(network, inputs: Tensor, *, stages: int = 6) -> list[list[str]]:
    """Layers to re-draw at each stage: the last ones first, at the last stage all of them."""
    names = weighted(network, inputs)[::-1]
    cuts = np.unique(np.linspace(1, len(names), min(stages, len(names))).round().astype(int))
    return [names[:cut] for cut in cuts]


def randomisation_check(
    network,
    inputs: Tensor,
    target,
    *,
    methods=tuple(METHODS),
    options: dict[str, dict] | None = None,
    stages: int = 6,
    seed: int = 0,
    calibration: Tensor | None = None,
) -> pd.DataFrame:
    """Re-draw the layers from the last to the first on a copy: does the attribution notice?

    Adebayo et al. 2018, Sanity Checks for Saliency Maps (arXiv:1810.03292), cascading. One row
    for each method, stage and picture: method, stage (from 1), redrawn (share of the layers with
    weights), layer (the deepest re-drawn), picture, spearman, ssim (of `importance`).

    calibration : (B, C, H, W) pictures that set the batch norms of the copies, default `inputs`
    """
    import pandas as pd

    calibration = inputs if calibration is None else calibration
    steps = cascade(network, inputs, stages=stages)
    own = attribute_all(network, inputs, target, methods=methods, options=options)
    rows = []
    for stage, names in enumerate(steps, start=1):
        copy = redrawn(network, calibration, names=names, seed=seed)
        other = attribute_all(copy, inputs, target, methods=methods, options=options)
        for method in methods:
            pair = [importance(method, maps[method]) for maps in (own, other)]
            frame = pd.DataFrame(
                {"spearman": rank_similarity(*pair), "ssim": structural_similarity(*pair)}
            )
            rows.append(
                frame.assign(
                    method=method,
                    stage=stage,
                    redrawn=len(names) / len(steps[-1]),
                    layer=names[-1],
                    picture=np.arange(len(frame)),
                )
            )
    return pd.concat(rows, ignore_index=True)


def cascade_summary(check: pd.DataFrame) -> pd.DataFrame:
    """Means of a randomisation_check over the pictures with intervals.

    Columns: method, stage, redrawn, layer, measure ("spearman" or "ssim"), value, low, high.
    """
    import pandas as pd

    keys = ["method", "stage", "redrawn", "layer"]
    rows = [
        (*key, measure, *mean_interval(part[measure]))
        for key, part in check.groupby(keys, sort=False)
        for measure in ("spearman", "ssim")
    ]
    return pd.DataFrame(rows, columns=[*keys, "measure", "value", "low", "high"])


def notices_redrawing(check: pd.DataFrame, method: str) -> tuple[Estimate, Estimate, bool | None]:
    """Similarity (Spearman) with half of the layers re-drawn, with all, and the verdict.

    The verdict asks whether the map depends on what was learned: False (caught) if with half of
    the layers noise it is still more like itself than not, its whole interval above LIMIT; True
    if the whole interval is below; None between.
    """
    rows = check[check["method"] == method]
    half = rows.loc[rows["redrawn"] >= 0.5, "stage"].min()
    middle = mean_interval(rows.loc[rows["stage"] == half, "spearman"])
    end = mean_interval(rows.loc[rows["stage"] == rows["stage"].max(), "spearman"])
    same = above(middle, LIMIT)
    return middle, end, None if same is None else not same


def region_masks() -> dict[str, np.ndarray]:
    """name -> (48, 48) bool, a partition of the frame.

    The boxes of BOXES, a ring along the face's oval, the rest of its inside, and what lies
    outside.
    """
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    radius = np.hypot((x - 24) / 20, (y - 25) / 24)
    free = np.ones((SIZE, SIZE), bool)
    masks = {}
    for name, (top, bottom, left, right) in BOXES.items():
        box = np.zeros_like(free)
        box[top:bottom, left:right] = True
        masks[name] = box & free
        free &= ~box
    masks["outline"] = free & (radius > 0.82) & (radius <= 1.08)
    masks["rest of the face"] = free & (radius <= 0.82)
    masks["background"] = free & (radius > 1.08)
    return masks


def region_density(maps: np.ndarray) -> dict[str, np.ndarray]:
    """(N, 48, 48) importance -> region -> (N,): its share of the map over its share of the area.

    1 means no more than an even map would give it; an empty map gives NaN.
    """
    masks = region_masks()
    return {name: share / masks[name].mean() for name, share in region_shares(maps).items()}


def region_shares(maps: np.ndarray) -> dict[str, np.ndarray]:
    """(N, 48, 48) importance -> region -> (N,): its share of the map; they add up to 1."""
    total = maps.sum((1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return {name: maps[:, mask].sum(1) / total for name, mask in region_masks().items()}


def region_table(maps: np.ndarray) -> pd.DataFrame:
    """region_density over the pictures: one row a region, columns region, value, low, high."""
    import pandas as pd

    rows = [(name, *mean_interval(values)) for name, values in region_density(maps).items()]
    return pd.DataFrame(rows, columns=["region", "value", "low", "high"])


def class_densities(maps: np.ndarray, classes: np.ndarray, *, count: int = 7) -> np.ndarray:
    """(N, 48, 48) importance -> (count, regions) mean density; NaN for a class without pictures."""
    densities = np.stack(list(region_density(maps).values()), axis=1)
    found = np.full((count, len(REGIONS)), np.nan)
    for c in np.unique(classes):
        found[c] = np.nanmean(densities[classes == c], axis=0)
    return found


def densest(maps: np.ndarray, classes: np.ndarray) -> dict[int, tuple[str, Estimate]]:
    """class -> its region of highest mean density, and that density with its interval."""
    density = region_density(maps)
    found = {}
    for c in np.unique(classes):
        estimates = {name: mean_interval(v[classes == c]) for name, v in density.items()}
        best = max(estimates, key=lambda name: estimates[name].value)
        found[int(c)] = best, estimates[best]
    return found
