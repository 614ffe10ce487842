"""Where on a face: seven regions of the frame, and how much of an importance map each holds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hw3lib.data.faces import SIZE
from hw3lib.evaluation.metrics import Estimate
from hw3lib.interpretation.attribution import class_means
from hw3lib.interpretation.checks import mean_interval

# Boxes (top, bottom, left, right) in pixels, bottom and right outside, on the frame that FER's
# faces and the synthetic ones share.
BOXES = {
    "brows": (10, 16, 8, 40),
    "eyes": (16, 24, 8, 40),
    "nose": (24, 33, 17, 31),
    "mouth": (33, 43, 13, 35),
}
REGIONS = (*BOXES, "outline", "rest of the face", "background")


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
        masks[name] = np.zeros_like(free)
        masks[name][top:bottom, left:right] = True
        free &= ~masks[name]
    masks["outline"] = free & (radius > 0.82) & (radius <= 1.08)
    masks["rest of the face"] = free & (radius <= 0.82)
    masks["background"] = free & (radius > 1.08)
    return masks


def region_shares(maps: np.ndarray) -> dict[str, np.ndarray]:
    """(N, 48, 48) importance -> region -> (N,): its share of the map; they add up to 1.

    An empty map gives NaN.
    """
    total = maps.sum((1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return {name: maps[:, mask].sum(1) / total for name, mask in region_masks().items()}


def region_density(maps: np.ndarray) -> dict[str, np.ndarray]:
    """(N, 48, 48) importance -> region -> (N,): its share of the map over its share of the area.

    1 means no more than an even map would give it.
    """
    masks = region_masks()
    return {name: share / masks[name].mean() for name, share in region_shares(maps).items()}


def region_table(densities: dict[str, np.ndarray]) -> pd.DataFrame:
    """region -> (N,) densities -> one row a region: region, value, low, high (95 % interval)."""
    rows = [(name, *mean_interval(values)) for name, values in densities.items()]
    return pd.DataFrame(rows, columns=["region", "value", "low", "high"])


def class_densities(maps: np.ndarray, classes: np.ndarray, *, count: int = 7) -> np.ndarray:
    """(N, 48, 48) importance -> (count, regions) mean density; NaN for a class without images."""
    return class_means(np.stack(list(region_density(maps).values()), axis=1), classes, count=count)


def densest(maps: np.ndarray, classes: np.ndarray) -> dict[int, tuple[str, Estimate]]:
    """class -> its region of highest mean density, and that density with its interval."""
    density = region_density(maps)
    found = {}
    for c in np.unique(classes):
        estimates = {name: mean_interval(v[classes == c]) for name, v in density.items()}
        best = max(estimates, key=lambda name: estimates[name].value)
        found[int(c)] = best, estimates[best]
    return found
