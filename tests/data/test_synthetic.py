"""The synthetic faces: the same everywhere, in the course's shares, with copies."""

import numpy as np
import pytest

from hw3lib.data.copies import near_groups
from hw3lib.data.faces import COURSE_COUNTS
from hw3lib.data.synthetic import class_counts, draw_images, synthetic_faces


@pytest.fixture(scope="module")
def faces():
    return synthetic_faces(2000)


def test_shapes_types_and_ids(faces):
    assert faces.images.shape == (2000, 48, 48) and faces.images.dtype == np.uint8
    assert faces.labels.dtype == np.int64 and faces.group.dtype == np.int64
    assert faces.synthetic and faces.votes is None
    assert faces.ids[7] == "00007" and len(set(faces.ids)) == 2000
    assert (faces.split == "test").sum() == 600 and set(faces.split) == {"train", "test"}


def test_the_pictures_are_the_ones_the_published_numbers_were_measured_on():
    first, again, other = synthetic_faces(120), synthetic_faces(120), synthetic_faces(120, seed=1)
    assert first.fingerprint == "51c98a71f3da58b2" != other.fingerprint
    assert (first.split == again.split).all()


def test_faces_are_drawn_one_by_one_as_in_batches(monkeypatch):
    labels = np.arange(7).repeat(5)
    together = draw_images(labels, np.random.default_rng(3))
    monkeypatch.setattr("hw3lib.data.synthetic.BATCH", 1)
    assert (draw_images(labels, np.random.default_rng(3)) == together).all()


@pytest.mark.parametrize("n", [1, 10, 999, 28887])
def test_class_shares_are_the_courses(n):
    counts = class_counts(n)
    assert counts.sum() == n
    assert np.abs(counts - n * np.array(COURSE_COUNTS) / sum(COURSE_COUNTS)).max() < 1
    if n == sum(COURSE_COUNTS):
        assert tuple(counts) == COURSE_COUNTS


def test_some_pictures_are_copies_some_conflict_some_cross_the_splits(faces):
    n_groups, n_exact = faces.group.max() + 1, len(np.unique(faces.exact))
    assert 0.035 < 1 - n_exact / 2000 < 0.045 and 0.07 < 1 - n_groups / 2000 < 0.085
    pairs = {(g, label) for g, label in zip(faces.group, faces.labels, strict=True)}
    assert 1 <= len(pairs) - n_groups <= 15  # groups whose members disagree
    test = faces.split == "test"
    crossing = np.intersect1d(faces.group[test], faces.group[~test])
    assert 30 <= len(crossing) <= 100
    assert (faces.images.reshape(2000, -1).max(1) == 0).sum() == 1  # the blank one


def test_the_groups_are_those_that_a_look_at_the_images_finds():
    faces = synthetic_faces(800)
    planted, found = (np.equal.outer(g, g) for g in (faces.group, near_groups(faces.images)))
    assert not (found & ~planted).any() and found.sum() - 800 > 0.9 * (planted.sum() - 800)
