"""Curves, histories, calibration and trade-offs: what is drawn is what was given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from hw3lib import plotting
from hw3lib.text import Text, set_language

from .figures import HISTORIES, estimates, history


@pytest.fixture(autouse=True)
def _english():
    set_language("en")
    yield
    plt.close("all")


def test_curves_draw_values_and_bands_and_their_baseline():
    frame = estimates([0.2, 0.4], width=0.1).set_index(pd.Index([1, 2]))
    ax = plotting.curves({"test": frame, "random": frame["value"]}, baseline="random", x="epoch")
    test, baseline = ax.lines
    assert list(test.get_xdata()) == [1, 2] and list(test.get_ydata()) == [0.2, 0.4]
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((0.1, 0.5)) and len(ax.collections) == 1
    assert baseline.get_linestyle() == "--" and baseline.get_marker() == "None"
    assert ax.get_xlabel() == "epoch"


def test_curves_draw_on_the_axes_that_is_given_and_leave_its_legend_alone():
    fig, ax = plt.subplots()
    assert plotting.curves({"test": pd.Series([1, 2])}, ax=ax) is ax
    assert not fig.legends and ax.get_legend() is None


def test_history_has_both_sets_of_every_run_and_the_epoch_of_lowest_validation_loss():
    axes = np.reshape(plotting.history(HISTORIES).axes, (2, len(HISTORIES)))
    for row, kind in zip(axes, ("accuracy", "loss"), strict=True):
        for ax, frame in zip(row, HISTORIES.values(), strict=True):
            train, validation, lowest = ax.lines
            np.testing.assert_array_equal(train.get_ydata(), frame[f"train_{kind}"])
            np.testing.assert_array_equal(validation.get_ydata(), frame[f"validation_{kind}"])
            assert lowest.get_xdata()[0] == frame["epoch"][frame["validation_loss"].idxmin()]
    assert axes[1, 0].get_yscale() == "linear"


def test_a_loss_that_runs_away_is_drawn_and_hides_nothing():
    frame = history(9, 0)
    frame.loc[3, "validation_loss"] = 60.0
    loss = plotting.history({"best": frame}).axes[1]
    assert loss.get_yscale() == "log" and loss.get_ylim()[1] > 60


def test_a_run_without_validation_has_a_history():
    frame = history(9, 0).assign(validation_accuracy=np.nan, validation_loss=np.nan)
    assert plotting.history({"best": frame}).axes


def test_reliability_counts_empty_bins_as_zero():
    frame = pd.DataFrame({"left": [0.3, 0.9], "right": [0.4, 1.0], "n": [10, 20],
                          "confidence": [0.35, 0.95], "accuracy": [0.3, 0.9],
                          "low": [0.2, 0.8], "high": [0.4, 1.0]})  # fmt: skip
    top, below = plotting.reliability({"test": frame}).axes
    counts = below.patches[0].get_data().values
    assert counts.sum() == 30 and counts[3] == 10 and counts[9] == 20 and counts[5] == 0
    bars = top.collections[0].get_segments()
    np.testing.assert_allclose([b[:, 1] for b in bars], [[0.2, 0.4], [0.8, 1.0]])


def test_rules_at_one_place_stand_around_each_other():
    sweep = pd.DataFrame({"tau": [0.0, 1.0], "accuracy": [0.6, 0.5], "balanced": [0.4, 0.5]})
    rules = {"argmax": (0.6, 0.4), "Bayes": (0.6, 0.4), "costs": (0.5, 0.5)}
    ax = plotting.trade_off(sweep, rules)
    argmax, bayes, costs = (next(x for x in ax.lines if x.get_label() == n) for n in rules)
    assert bayes.get_markersize() > argmax.get_markersize() == costs.get_markersize()
    assert bayes.get_markerfacecolor() == "none" and argmax.get_markerfacecolor() != "none"
    assert bayes.get_zorder() < argmax.get_zorder()
    assert {t.get_text() for t in ax.figure.legends[0].get_texts()} == set(rules)
    assert [t.get_text() for t in ax.texts] == [r"$\tau=0, 0.5$", r"$\tau=1, 2$"]


def test_panels_share_a_legend_and_the_scale():
    panels = {Text("甲", "a"): {"test": pd.Series([0, 1])}, "b": {"test": pd.Series([3, 9])}}
    fig = plotting.side_by_side(plotting.curves, panels, y="loss")
    one, two = fig.axes
    assert [ax.get_title() for ax in fig.axes] == ["a", "b"]
    assert one.get_ylim() == two.get_ylim() and two.get_ylim()[1] > 9
    assert one.get_ylabel() == "loss" and not two.get_ylabel()
    assert [t.get_text() for t in fig.legends[0].get_texts()] == ["test"]
