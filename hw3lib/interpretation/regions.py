"""Where on a face: seven regions of the frame, and how much of an importance map each holds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hw3lib.data.faces import SIZE

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


def region_density(maps: np.ndarray) -> pd.DataFrame:
    """(N, 48, 48) importance -> (N, 7) share of each region of the map over that of the area.

    1 is what an even map would give. An empty map gives NaN.
    """
    total = maps.sum((1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return pd.DataFrame(
            {name: maps[:, m].sum(1) / total / m.mean() for name, m in region_masks().items()}
        )
