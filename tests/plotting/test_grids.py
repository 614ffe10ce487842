"""Image grids and diagrams: every image in its place, maps in the right colours."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from hw3lib import plotting
from hw3lib.data.faces import CLASSES
from hw3lib.models import build
from hw3lib.models.describe import main_path, trace
from hw3lib.plotting import images, style
from hw3lib.plotting.diagram import block_diagram
from hw3lib.plotting.filters import filter_sheet, kernel_sheet
from hw3lib.plotting.saliency import class_maps
from hw3lib.text import Text, set_language

from .figures import FACES, NOISE


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def cells(ax) -> dict[tuple[int, int], np.ndarray]:
    """(row, column) -> what is shown there, by the places on the page."""
    places = {(i.get_extent()[2], i.get_extent()[0]): i.get_array() for i in ax.images}
    rows, columns = (sorted({round(p[k], 6) for p in places}) for k in (0, 1))
    return {(rows.index(round(y, 6)), columns.index(round(x, 6))): np.asarray(a)
            for (y, x), a in places.items()}  # fmt: skip


def test_a_grid_shows_every_image_in_its_place_under_its_title():
    set_language("en")
    rows, titles = plotting.rows_of(FACES.images[:5], 3), [["Sad", "", "x"], ["", ""]]
    ax = plotting.image_grid(rows, titles=titles)
    shown = cells(ax)
    assert sorted(shown) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    assert all((shown[r, c] == FACES.images[3 * r + c]).all() for r, c in shown)
    assert [t.get_text() for t in ax.texts if t.get_text()] == ["Sad", "x"]


def test_titles_and_labels_follow_the_language():
    shown = {}
    for code in ("zh", "en", "both"):
        set_language(code)
        labels = [Text("列", "row"), ""]
        ax = plotting.image_grid([FACES.images[:1]] * 2, columns=["Sad"], labels=labels)
        shown[code] = [t.get_text() for t in (*ax.get_xticklabels(), *ax.get_yticklabels())]
    assert shown == {"zh": ["難過", "列"], "en": ["Sad", "row"], "both": ["難過\nSad", "列\nrow"]}


def test_a_small_image_keeps_its_shape_in_its_cell():
    ax = plotting.image_grid([[np.zeros((20, 10)), np.zeros((20, 20))]])
    narrow, square = (np.ptp(i.get_extent()[:2]) for i in ax.images)
    assert narrow == pytest.approx(square / 2)


def test_mean_faces_are_the_means_below_samples_of_their_class():
    """No image twice among the samples; a class without images stays empty."""
    some = FACES.subset(FACES.labels != CLASSES.index("Disgust"))
    doubled = some.subset(np.repeat(np.arange(len(some)), 2))
    shown = cells(plotting.mean_faces(some, samples=images.first_of_each_class(doubled, 4)))
    samples = [image for (row, _), image in shown.items() if row < 4]
    assert len({image.tobytes() for image in samples}) == len(samples) == 4 * 6
    for column, label in enumerate((0, 2, 3, 4, 5, 6)):
        own = some.images[some.labels == label]
        assert all((shown[row, column] == own).all((1, 2)).any() for row in range(4))
        np.testing.assert_allclose(shown[4, column], own.mean(0))


def test_class_maps_leave_out_what_nobody_predicted():
    counts = [30, 0, 30, 30, 30, 30, 30]
    ax = class_maps(FACES, {"gradient": np.abs(NOISE)}, counts)
    assert len(ax.images) == 13 and "n = 0" in ax.get_xticklabels()[1].get_text()


def test_signed_and_overlay_colours_tell_the_sign():
    values = np.zeros((48, 48))
    values[:, :24], values[:, 24:30] = 1, -1
    for drawn in (plotting.signed(values), images.overlay(np.full((48, 48), 128), values)):
        yellow, blue, zero = drawn[0, 0], drawn[0, 25], drawn[0, 40]
        assert drawn.dtype == np.uint8 and drawn.shape == (48, 48, 3)
        assert int(yellow[0]) > int(yellow[2]) + 50 and int(blue[2]) > int(blue[0]) + 50
        assert np.ptp(zero.astype(int)) < 6
    printed = [
        images.overlay(np.full((48, 48), shade), values) @ [0.299, 0.587, 0.114]
        for shade in (0, 255)
    ]  # in grey, whatever the face beneath
    assert min(p[0, 0] for p in printed) > max(p[0, 40] for p in printed)
    assert max(p[0, 25] for p in printed) < min(p[0, 40] for p in printed)
    assert (plotting.signed(values, 4)[0, 0] > plotting.signed(values)[0, 0]).any()
    face = FACES.images[0]
    grey = images.overlay(face, np.zeros((48, 48)))[..., 0].astype(float)
    assert np.corrcoef(grey.ravel(), face.ravel())[0, 1] > 0.999


def test_filters_stand_in_columns_and_kernels_in_rows_of_their_kind():
    kinds = {"kernel": [FACES.images[:2]], "top patches": [FACES.images[2:4], FACES.images[4:6]]}
    edge, bright = np.arange(9.0).reshape(3, 3) - 4, np.ones((3, 3))
    set_language("en")
    ax = filter_sheet(kinds, ["1 Sad", "2 Fear"])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["1\nSad", "2\nFear"]
    kernels = kernel_sheet({"VGG-16": np.stack([edge, bright, 2 * edge])})
    shown = cells(ax)
    assert sorted(shown) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
    assert (shown[2, 1] == FACES.images[5]).all()
    assert [t.get_text() for t in ax.get_yticklabels()] == ["kernel", "top patches"]
    assert [t.get_text() for t in kernels.texts if t.get_text()] == ["2", "0", "1"]  # largest first
    rows = [t.get_text() for t in kernels.get_yticklabels()]
    assert rows == ["VGG-16: edge (2)", "VGG-16: brightness (1)"]


@pytest.mark.parametrize("name", ["slim_resnet", "resnet18", "five_block", "dense"])
def test_a_diagram_shows_every_unit_and_its_shape(name):
    model = build(name, width=0.25)
    set_language("en")
    ax = block_diagram(model)
    written = "\n".join(t.get_text() for t in ax.texts).replace("/", " /").replace("  ", " ")
    for unit in trace(model):
        shape = "×".join(map(str, unit.shape))
        assert unit.ops == ("input",) or unit.ops[0] in written
        assert shape in written
    assert ("layer2 (2)" in written) == (name == "resnet18")
    framed = [
        p for p in ax.patches if to_hex(p.get_edgecolor()) == style.RED.lower() and p.get_fill()
    ]
    units = trace(model)
    aside = [u for i, u in enumerate(units) if i not in main_path(units)]
    assert bool(framed) == bool(aside) == (name in ("slim_resnet", "resnet18"))
