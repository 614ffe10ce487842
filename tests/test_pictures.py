"""Figures of faces and of class shares: the right numbers and pictures stand in them."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from hw3lib.data.faces import CLASSES
from hw3lib.data.synthetic import synthetic_faces
from hw3lib.plotting.data import class_shares
from hw3lib.plotting.pictures import class_samples, face_grid, mean_faces
from hw3lib.text import Text, language, term


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def faces():
    return synthetic_faces(300)


def _pictures(fig):
    return [image.get_array() for ax in fig.axes for image in ax.images]


def test_a_grid_shows_every_picture_in_order_under_its_title(faces):
    with language("en"):
        fig = face_grid(faces.images[:5], [term("Sad"), "", "x"], columns=3)
        fig.draw_without_rendering()
    assert all((a == b).all() for a, b in zip(_pictures(fig), faces.images[:5], strict=True))
    assert [ax.get_title() for ax in fig.axes[:3]] == ["Sad", "", "x"]


def test_titles_follow_the_language(faces):
    shown = {}
    for code in ("zh", "en", "both"):
        with language(code):
            grid = face_grid(faces.images[:1], [term("Sad")], row_labels=[Text("列", "row")])
            shown[code] = grid.axes[0].get_title(), grid.axes[0].get_ylabel()
    assert shown == {"zh": ("難過", "列"), "en": ("Sad", "row"), "both": ("難過\nSad", "列\nrow")}


def test_samples_show_each_class_in_its_row_and_no_picture_twice(faces):
    doubled = faces.subset(np.repeat(np.arange(300), 2))
    (sheet,) = _pictures(class_samples(doubled, columns=4))
    cells = sheet.reshape(7, 51, 4, 51)[:, :48, :, :48].transpose(0, 2, 1, 3)
    for c, row in enumerate(cells):
        own = {image.tobytes() for image in faces.images[faces.labels == c]}
        found = [cell.tobytes() for cell in row if (cell != 255).any()]
        assert set(found) <= own and len(set(found)) == len(found) == min(4, len(own))


def test_mean_faces_are_the_means_and_a_missing_class_stays_empty(faces):
    some = faces.subset(faces.labels != CLASSES.index("Disgust"))
    pictures = _pictures(mean_faces(some))[:12]
    happy = faces.images[faces.labels == 3].mean(0)
    assert any(np.allclose(p, happy) for p in pictures)
    differences = [p for p in pictures if p.min() < 0]
    assert len(differences) == 6
    assert np.allclose(np.sum(differences, axis=0), 0, atol=1e-9)  # from their common mean


def test_bars_show_shares_from_large_to_small():
    counts = np.array([10, 2, 8, 40, 20, 5, 15])
    with language("en"):
        fig = class_shares({Text("一", "ours"): counts, Text("二", "theirs"): counts[::-1]})
    bars = [bar.get_height() for bar in fig.axes[0].containers[0]]
    assert bars == pytest.approx([0.4, 0.2, 0.15, 0.1, 0.08, 0.05, 0.02])
    assert fig.axes[0].get_xticklabels()[0].get_text() == "Happy"
    assert [t.get_text() for t in fig.axes[0].get_legend().get_texts()] == ["ours", "theirs"]
