"""What `hw3 data` tells: on faces whose answers are known, and on FER2013 where it is here."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import layouts
import numpy as np
import pytest

from hw3lib.data import load
from hw3lib.data.audit import describe, pixel_statistics, to_text
from hw3lib.data.faces import CLASSES, UNLABELLED, exact_groups

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def faces():
    """Six training images (two pairs of copies, one in conflict; one blank), three test ones."""
    images = layouts.small_faces(9).images.copy()
    images[3] = images[2]
    images[5] = 77
    images[6] = images[0]  # images[1] is a copy of images[0] already
    images[7] = images[2]
    return replace(
        layouts.small_faces(9, votes=True),
        images=images,
        labels=np.array([0, 0, 1, 2, 3, 4, 0, 1, UNLABELLED]),
        split=np.array(["train"] * 6 + ["test"] * 3),
        group=exact_groups(images),
        problems=("something odd",),
    )


def test_counts_that_were_made_by_hand(faces):
    d = describe(faces)
    assert d["splits"] == {"train": 6, "test": 3}
    assert list(d["classes"]["train"].values()) == [2, 1, 1, 1, 1, 0, 0, 0]
    assert d["classes"]["test"]["unlabelled"] == 1
    assert d["duplicates"]["train"] == {"groups": 2, "images": 4, "conflicting": 1}
    assert d["duplicates"]["test"] == {"groups": 0, "images": 0, "conflicting": 0}
    assert d["duplicates"]["all"] == {"groups": 2, "images": 6, "conflicting": 1}
    assert d["copies"] == {"test": {"images": 2, "same_label": 1}}
    assert d["blank"] == {"n": 1, "ids": ["5"]}
    assert d["problems"] == ["something odd"]
    assert json.loads(json.dumps(d)) == d


def test_mean_and_deviation_against_numpy(faces):
    mean, std = pixel_statistics(faces.images)
    assert mean == pytest.approx((faces.images / 255).mean(), abs=1e-12)
    assert std == pytest.approx((faces.images / 255).std(), abs=1e-12)
    assert describe(faces)["mean"] == pytest.approx((faces.images[:6] / 255).mean(), abs=1e-6)


def test_text_says_what_the_numbers_say(faces):
    text = to_text(describe(faces))
    said = ("train: 2 groups of 4 images, 1 with", "test: 2 images stand", "1 images of")
    for words in (*said, "something odd", "unlabelled", "Neutral", faces.fingerprint):
        assert words in text


def test_data_without_splits(faces):
    d = describe(replace(faces, split=np.array([""] * 9)))
    assert d["splits"] == {"unsplit": 9}
    assert d["copies"] == {}
    assert "unsplit" in to_text(d)


def fer2013() -> Path | None:
    """FER2013 as Parquet: HW3_FER2013, the data folder, or a data folder beside the repository."""
    named = [Path(os.environ["HW3_FER2013"])] if "HW3_FER2013" in os.environ else []
    beside = [*ROOT.glob("data/fer2013.parquet"), *ROOT.parent.glob("*/data/fer2013.parquet")]
    return next((path for path in (*named, *beside) if path.is_file()), None)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    path = fer2013()
    if path is None:
        pytest.skip("no fer2013.parquet here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HW3_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield load(path)


@pytest.mark.slow
def test_fer2013(real):
    d = describe(real)
    assert d["splits"] == {"train": 28_709, "test": 3_589}
    counts = [d["classes"]["train"][name] for name in CLASSES]
    assert counts == [3995, 436, 4097, 7215, 4830, 3171, 4965]
    assert d["votes"] == 32_137
    assert d["duplicates"]["train"]["groups"] == 1_035
    assert d["duplicates"]["train"]["conflicting"] == 39
    assert d["copies"]["test"] == {"images": 280, "same_label": 267}
    counts = {"images": 668, "exact": 280, "mirrored": 5, "conflicting": 63}
    assert d["near_copies"] == {"train-test": counts}
    assert d["blank"]["n"] in (11, 12)
    assert (d["mean"], d["std"]) == (
        pytest.approx(0.50774, abs=1e-5),
        pytest.approx(0.25501, abs=1e-5),
    )
    assert len(np.unique(real.exact[real.split == "train"])) == 27_473
    assert not d["problems"]
