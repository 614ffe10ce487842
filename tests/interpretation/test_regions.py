"""Regions part the frame, and a map's densities are what they say."""

import numpy as np
import pytest

from hw3lib.interpretation import regions


def test_regions_part_the_frame_and_an_even_map_has_density_one():
    masks = regions.region_masks()
    assert tuple(masks) == regions.REGIONS
    assert (np.sum(list(masks.values()), axis=0) == 1).all()
    assert regions.region_density(np.ones((2, 48, 48))).to_numpy() == pytest.approx(1)
    density = regions.region_density(masks["mouth"][None].astype(float)).iloc[0]
    assert density["mouth"] == pytest.approx(1 / masks["mouth"].mean()) and density["eyes"] == 0
    assert regions.region_density(np.zeros((1, 48, 48))).isna().all(axis=None)
