"""Figures of confusion: the order of classes, and that what is drawn is what was given."""

import numpy as np
import pandas as pd
import pytest

from hw3lib.evaluation import metrics
from hw3lib.plotting import evidence
from hw3lib.text import Text, language, term


@pytest.fixture
def matrix():
    """Angry-Fear and Sad-Neutral confused, Happy recognised best."""
    matrix = np.full((7, 7), 2) + np.diag([60, 60, 60, 95, 60, 70, 60])
    for a, b in ((0, 2), (4, 6)):
        matrix[a, b] = matrix[b, a] = 30
    return matrix


def test_class_order_puts_confused_classes_side_by_side(matrix):
    order = evidence.class_order(matrix).tolist()
    assert sorted(order) == list(range(7))
    assert abs(order.index(0) - order.index(2)) == abs(order.index(4) - order.index(6)) == 1
    assert order.index(3) < 4  # Happy, recognised best, in the first half


def test_class_order_allows_for_a_class_without_pictures(matrix):
    matrix[1] = 0
    assert sorted(evidence.class_order(matrix)) == list(range(7))


def test_heatmap_writes_share_and_count_in_the_asked_order(matrix):
    with language("en"):
        fig = evidence.confusion_heatmap(matrix, order=[3, 0, 1, 2, 4, 5, 6])
    ax = fig.axes[0]
    texts = [t.get_text() for t in ax.texts]
    assert len(texts) == 49 and texts[0] == f"{97 / matrix[3].sum():.0%}\n97"
    assert texts[8] == f"{62 / matrix[0].sum():.0%}\n62"
    assert ax.get_xticklabels()[0].get_text() == "Happy"
    assert "true class" in ax.get_ylabel()


def test_interval_rows_draw_every_value_with_its_interval():
    frame = pd.DataFrame({"share": [0.3, 0.1], "low": [0.2, 0.05], "high": [0.4, 0.2]})
    names = [evidence.pair_name(4, 6), evidence.pair_name(0, 2)]
    with language("zh"):
        series = {term("test"): frame, term("validation"): frame[["share"]]}
        ax = evidence.interval_rows(names, series, label=term("recall")).axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["難過－中立", "生氣－恐懼"]
    drawn = [c for c in ax.containers]
    np.testing.assert_allclose(drawn[0].lines[0].get_xdata(), [0.3, 0.1])
    segments = np.array(drawn[0].lines[2][0].get_segments())[:, :, 0]
    np.testing.assert_allclose(segments, [[0.2, 0.4], [0.05, 0.2]])
    assert not drawn[1].has_xerr


def test_reliability_diagram_counts_empty_bins_as_zero():
    p = np.full((30, 7), 0.05 / 6)
    p[:10] = 0.6 / 6
    p[:10, 0], p[10:, 0] = 0.4, 0.95
    table = metrics.reliability(p, np.zeros(30, int), bins=10)
    stairs = evidence.reliability_diagram({Text("原本", "raw"): table}).axes[1].patches[0]
    counts = stairs.get_data().values
    assert counts.sum() == 30 and counts[3] == 10 and counts[9] == 20 and counts[5] == 0


def test_trade_off_names_every_curve_and_rule():
    curve = pd.DataFrame({"tau": [0.0, 1.0], "accuracy": [0.6, 0.5], "balanced": [0.4, 0.5]})
    points = {term("accuracy"): (0.6, 0.4), term("prior"): (0.5, 0.5)}
    fig = evidence.trade_off({term("test"): curve}, points, ticks=(0, 1))
    assert len(fig.legends[0].get_texts()) == 3
