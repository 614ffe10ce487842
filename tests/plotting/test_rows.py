"""Interval rows, bars and matrices: what is drawn is what was given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from hw3lib import plotting
from hw3lib.text import set_language

from .figures import estimates


@pytest.fixture(autouse=True)
def _chinese():
    set_language("zh")
    yield
    plt.close("all")


def test_interval_rows_draw_every_value_with_its_interval():
    names = [plotting.pair_name(4, 6), plotting.pair_name(0, 2)]
    frame = estimates([0.3, 0.1], names)
    ax = plotting.interval_rows({"test": frame, "validation": frame.assign(low=np.nan)})
    assert [t.get_text() for t in ax.get_yticklabels()] == ["難過－中立", "生氣－恐懼"]
    first, second = ax.containers
    np.testing.assert_allclose(first.lines[0].get_xdata(), [0.3, 0.1])
    segments = np.array(first.lines[2][0].get_segments())[:, :, 0]
    np.testing.assert_allclose(segments, [[0.28, 0.32], [0.08, 0.12]])
    (missing, _) = second.lines[2][0].get_segments()
    assert not len(missing) or np.isnan(missing[:, 0]).any()
    top, below = first.lines[0].get_ydata()
    assert ax.transData.transform((0, top))[1] > ax.transData.transform((0, below))[1]


def test_spread_is_the_median_and_the_middle_of_the_values():
    frame = plotting.spread({"conv1": np.arange(101.0), "conv2": np.array([np.nan, 2.0])})
    assert frame.loc["conv1"].tolist() == pytest.approx([50, 10, 90])
    assert frame.loc["conv2"].tolist() == [2, 2, 2]


@pytest.fixture
def counts():
    """Angry-Fear and Sad-Neutral confused, Happy recognised best."""
    counts = np.full((7, 7), 2) + np.diag([60, 60, 60, 95, 60, 70, 60])
    for a, b in ((0, 2), (4, 6)):
        counts[a, b] = counts[b, a] = 30
    return counts


def test_confused_classes_stand_side_by_side(counts):
    order = plotting.confusion_order(counts).tolist()
    assert sorted(order) == list(range(7))
    assert abs(order.index(0) - order.index(2)) == abs(order.index(4) - order.index(6)) == 1
    assert order.index(3) < 4  # Happy, recognised best, in the first half
    counts[1] = 0  # a class without images
    assert sorted(plotting.confusion_order(counts)) == list(range(7))


def test_confusion_writes_share_and_count_in_the_asked_order(counts):
    order = [3, 0, 1, 2, 4, 5, 6]
    ax = plotting.confusion(counts, order=order)
    texts = [t.get_text() for t in ax.texts]
    assert len(texts) == 49 and texts[0] == f"{97 / counts[3].sum():.0%}\n97"
    assert texts[8] == f"{62 / counts[0].sum():.0%}\n62"
    assert [t.get_text() for t in ax.get_xticklabels()][:2] == ["高興", "生氣"]
    assert ax.get_ylabel() == "真實類別"
    shares = plotting.confusion(counts / counts.sum(1, keepdims=True), beneath=False)
    assert shares.texts[0].get_text() == f"{62 / counts[0].sum():.0%}"


def test_a_matrix_is_white_in_the_middle_and_zero_has_no_sign():
    values = pd.DataFrame([np.linspace(-0.4, 2, 7)], index=["kernel"])
    ax = plotting.matrix(values, texts="+.0f", middle=0)
    assert [t.get_text() for t in ax.texts] == ["0", "0", "0", "+1", "+1", "+2", "+2"]
    assert [t.get_color() for t in ax.texts[-3:]] == ["black", "white", "white"]  # of +1.2 to +2
    mesh = ax.collections[0]
    mesh.update_scalarmappable()
    assert min(mesh.to_rgba(0.0)[:3]) > 0.95
    red, _, blue, _ = mesh.to_rgba(2.0)
    assert red > blue
    assert [t.get_text() for t in ax.get_yticklabels()] == ["卷積核"]
