"""Copies and near copies on drawn faces: what is found, and that strangers never are."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import rotate

from hw3lib.data.audit import closest_copies, describe, leak, to_text
from hw3lib.data.copies import near_groups, near_pairs
from hw3lib.data.faces import CLASSES, Faces
from hw3lib.data.split import split_faces
from hw3lib.data.synthetic import draw_images


def drawn(n: int) -> np.ndarray:
    return draw_images(np.arange(n) % len(CLASSES), np.random.default_rng(0))


def shifted(image, by):
    return np.pad(image, by, mode="edge")[2 * by :, : -2 * by]


def jpeg(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=50)
    return np.asarray(Image.open(buffer))


def noisy(image):
    noise = np.random.default_rng(0).normal(0, 8, image.shape)
    return (image + noise).clip(0, 255).astype(np.uint8)


CHANGES = {
    "mirrored and shifted": lambda x: shifted(x[:, ::-1], 2),
    "shifted": lambda x: shifted(x, 2),
    "a quarter brighter": lambda x: (x * 1.25).clip(0, 255).astype(np.uint8),
    "JPEG": jpeg,
    "rotated": lambda x: rotate(x, 3, reshape=False, order=1, mode="nearest"),
    "noise": noisy,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_image_joins_its_original_and_nobody_else(change):
    images = drawn(70)
    group = near_groups(np.concatenate([images, [CHANGES[change](image) for image in images]]))
    assert group.tolist() == [*range(70), *range(70)]


@pytest.mark.parametrize("label", range(len(CLASSES)), ids=CLASSES)
def test_no_false_alarm_among_many_faces_of_one_class(label):
    images = draw_images(np.full(400, label), np.random.default_rng(label))
    assert len(near_pairs(images)) == 0


def test_the_order_does_not_matter():
    images = drawn(60)
    images = np.concatenate([images, [shifted(image, 1) for image in images[:20]], images[:5]])
    order = np.random.default_rng(1).permutation(len(images))
    expected = pd.factorize(near_groups(images)[order])[0]  # numbered by first appearance
    assert near_groups(images[order]).tolist() == expected.tolist()


def test_flat_images_have_copies_but_no_near_copies():
    images = np.stack([np.full((48, 48), level, np.uint8) for level in (0, 0, 1, 200)])
    almost = images.copy()
    almost[:, 20, 20] += 3
    assert near_groups(np.concatenate([images, almost])).tolist() == [0, 0, 1, 2, 3, 3, 4, 5]
    assert near_groups(images[:0]).shape == (0,)
    assert near_groups(images[:1]).tolist() == [0]


@pytest.fixture(scope="module")
def leaky() -> Faces:
    """200 training images; 40 test images, of which 6 are near copies and 4 byte-identical."""
    images, labels = drawn(230), np.arange(230) % 7
    mirrored = images[:2, :, ::-1]
    shifts = [shifted(image, 1) for image in images[2:6]]
    images = np.concatenate([images, mirrored, shifts, images[6:10]])
    labels = np.concatenate([labels, labels[:10]])
    labels[[230, 239]] = (labels[[230, 239]] + 1) % 7  # a near copy and a copy, labelled otherwise
    split = np.array(["train"] * 200 + ["test"] * 40)
    return Faces(images, labels, np.arange(240).astype(str), split, near_groups(images))


def test_near_copies_across_splits_are_reported(leaky):
    facts = describe(leaky)
    counts = {"images": 10, "exact": 4, "mirrored": 2, "conflicting": 2}
    assert facts["near_copies"] == {"train-test": counts}
    assert "10 images (4 byte-identical, 2 mirrored), 2 with another label" in to_text(facts)
    assert facts["copies"]["test"] == {"images": 4, "same_label": 3}
    assert leak(leaky).startswith("10 of 40 test images (25.0%)")
    train = leaky.subset(leaky.split == "train")
    assert leak(train) == "" and describe(train)["near_copies"] == {}


def test_the_closest_copy_is_the_byte_identical_one():
    images = drawn(3)
    images = np.concatenate([[noisy(images[0])], images[:1], images])
    faces = Faces(images, *[np.arange(5)] * 3, near_groups(images))
    first = np.arange(5) < 2
    assert closest_copies(faces, first, ~first).tolist() == [[2, 1, 0]]


def test_folds_know_copies_from_near_copies(leaky):
    folds = split_faces(leaky)
    n = len(folds.test)
    assert (folds.test_is_copy.sum(), folds.test_is_near_copy.sum()) == (4, 10)
    assert [mask.sum() for mask in folds.test_masks.values()] == [n, n - 4, n - 10]


@pytest.mark.parametrize("command", ["data", "train", "report"])
def test_commands_warn_of_copies_before_anyone_trains(command, leaky, monkeypatch):
    from typer.testing import CliRunner

    from hw3lib import cli

    def stop(*_, **__):
        raise SystemExit

    for place in ("hw3lib.data.load", "hw3lib.training.study.load"):
        monkeypatch.setattr(place, lambda *_, **__: leaky)
    monkeypatch.setattr("hw3lib.training.workers.make_runs", stop)
    monkeypatch.setattr("hw3lib.report.build.make_runs", stop)
    done = CliRunner().invoke(cli.app, [command])
    told = done.output + repr(done.exception)
    assert told.count("10 of 40 test images (25.0%) are copies") == 1, told
