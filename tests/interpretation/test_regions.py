"""Regions part the frame, and a map's shares and densities are what they say."""

import numpy as np
import pytest

from hw3lib.interpretation import regions


def test_regions_part_the_frame_and_an_even_map_has_density_one():
    masks = regions.region_masks()
    assert tuple(masks) == regions.REGIONS
    assert (np.sum(list(masks.values()), axis=0) == 1).all()
    assert np.array([*regions.region_density(np.ones((2, 48, 48))).values()]) == pytest.approx(1)
    density = regions.region_density(masks["mouth"][None].astype(float))
    assert density["mouth"][0] == pytest.approx(1 / masks["mouth"].mean())
    assert density["eyes"][0] == 0
    assert np.isnan(regions.region_density(np.zeros((1, 48, 48)))["eyes"][0])


def test_shares_add_up_and_the_densest_region_is_found():
    masks = regions.region_masks()
    maps = np.stack([0.01 + masks["mouth"], 0.01 + masks["eyes"]] * 3).astype(float)
    classes = np.array([3, 5] * 3)
    assert sum(regions.region_shares(maps).values()) == pytest.approx(1)
    found = {c: r for c, (r, _) in regions.densest(maps, classes).items()}
    assert found == {3: "mouth", 5: "eyes"}
    densities = regions.class_densities(maps, classes)
    assert np.isnan(densities[0]).all()
    assert densities[3].argmax() == list(masks).index("mouth")
    table = regions.region_table(regions.region_density(maps))
    assert list(table["region"]) == list(regions.REGIONS)
