"""One network, the same pictures in every layout: the same predictions, id by id."""

from __future__ import annotations

import layouts
import numpy as np
import pytest
from conftest import make_faces

from hw3lib.data import load
from hw3lib.models.network import logits


@pytest.fixture(scope="module")
def many():
    """Train and test pictures with ids that no two share, none of them a copy."""
    return make_faces(420, seed=5, copies=0)


def by_picture(network, faces) -> dict[bytes, int]:
    found = logits(network, faces.images).argmax(1)
    return {image.tobytes(): int(p) for image, p in zip(faces.images, found, strict=True)}


def test_lossless_layouts_give_identical_predictions(run, many, tmp_path, monkeypatch):
    monkeypatch.setenv("HW3_CACHE", str(tmp_path / "cache"))
    network = run.network()
    expected = by_picture(network, many)
    id_of = {image.tobytes(): str(i) for image, i in zip(many.images, many.ids, strict=True)}
    paths = layouts.write_layouts(tmp_path / "data", many)
    assert len(paths) >= 6
    for layout, path in paths.items():
        read = load(path)
        assert by_picture(network, read) == expected, layout
        if layout in ("numpy", "course-pictures"):
            for image, name in zip(read.images, read.ids, strict=True):
                assert int(name) == int(id_of[image.tobytes()]), layout


def test_jpeg_keeps_ids_and_labels_and_nearly_all_predictions(run, many, tmp_path, monkeypatch):
    monkeypatch.setenv("HW3_CACHE", str(tmp_path / "cache"))
    network = run.network()
    path = layouts.write_course_pictures(tmp_path / "jpeg", many, kind="JPEG")
    read = layouts.labelled(load(path or tmp_path / "jpeg"))
    label = dict(zip(many.ids.astype(int), many.labels, strict=True))
    ids = read.ids.astype(int)
    assert [label[i] for i in ids] == read.labels.tolist()
    found = logits(network, many.images).argmax(1)
    prediction = dict(zip(many.ids.astype(int), found, strict=True))
    same = np.mean(
        [
            prediction[i] == p
            for i, p in zip(ids, logits(network, read.images).argmax(1), strict=True)
        ]
    )
    assert len(ids) >= 300 and same >= 0.98
