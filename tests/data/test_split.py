from dataclasses import replace

import numpy as np
import pytest
from conftest import make_faces

from hw3lib.data.faces import DataError
from hw3lib.data.split import recut, split_faces


def test_the_parts_hold_every_image_once_and_no_group_straddles():
    faces = make_faces(400, test=0, copies=60)
    folds = split_faces(faces)
    parts = [folds.train, folds.validation, folds.test]
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(400))
    groups = [set(faces.group[p]) for p in parts]
    assert not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])
    assert folds.test_source == "cut" and not folds.test_is_near_copy.any()
    assert len(folds.validation) == pytest.approx(40, abs=12)


def test_a_given_test_set_is_kept_and_its_copies_are_known():
    faces = make_faces()
    folds = split_faces(faces)
    assert folds.test_source == "given" and set(folds.test) == set(range(180, 240))
    assert folds.test_is_copy.sum() == 12


def test_order_numbering_and_layout_do_not_matter():
    faces = make_faces()
    shuffled = faces.subset(np.random.default_rng(1).permutation(len(faces)))
    a, b = split_faces(faces), split_faces(shuffled)
    assert a.fingerprint == b.fingerprint and faces.fingerprint == shuffled.fingerprint
    for part in ("train", "validation", "test"):
        assert np.array_equal(a.take(part).images, b.take(part).images)
        assert np.array_equal(a.take(part).labels, b.take(part).labels)


def test_another_seed_or_label_is_another_fingerprint():
    faces = make_faces()
    assert split_faces(faces, seed=1).fingerprint != split_faces(faces).fingerprint
    labels = faces.labels.copy()
    labels[0] = (labels[0] + 1) % 7
    assert split_faces(replace(faces, labels=labels)).fingerprint != split_faces(faces).fingerprint


def test_too_few_images_are_refused():
    with pytest.raises(DataError, match="at least 20"):
        split_faces(make_faces(30, test=15, copies=0))


def test_parts_of_k_hold_every_image_once_and_no_group_straddles():
    folds = split_faces(make_faces(400, test=60, copies=60))
    parts = [recut(folds, f"part {k} of 4") for k in range(1, 5)]
    pool = np.sort(np.concatenate([folds.train, folds.validation]))
    assert np.array_equal(np.sort(np.concatenate([p.validation for p in parts])), pool)
    group = folds.faces.group
    for part in parts:
        assert np.array_equal(np.sort(np.concatenate([part.train, part.validation])), pool)
        assert not set(group[part.train]) & set(group[part.validation])
        assert np.array_equal(part.test, folds.test)
    assert len({p.fingerprint for p in parts}) == 4


def test_a_random_split_differs_in_class_shares_and_one_by_image_lets_copies_straddle():
    folds = split_faces(make_faces(600, test=60, copies=150))
    labels, group = folds.faces.labels, folds.faces.group

    def spread(split):  # of the validation split's class counts, and copies that straddle
        cuts = [recut(folds, split, seed) for seed in range(5)]
        counts = [np.bincount(labels[c.validation], minlength=7).std() for c in cuts]
        copies = [np.isin(group[c.validation], group[c.train]).sum() for c in cuts]
        assert len({c.fingerprint for c in cuts}) == 5
        return np.mean(counts), sum(copies)

    (even, none), (uneven, no), (_, some) = map(spread, ("stratified", "random", "pictures"))
    assert even < uneven and none == no == 0 < some
    assert recut(folds, "default") is folds


def test_a_part_that_does_not_exist_is_refused():
    folds = split_faces(make_faces())
    with pytest.raises(DataError, match="part 5 of 4"):
        recut(folds, "part 5 of 4")
