"""Figures of arms: what is drawn is what was given, with one seed as with many."""

import numpy as np
import pandas as pd
import pytest

from hw3lib.evaluation.statistics import over_seeds
from hw3lib.plotting import arms
from hw3lib.text import Text, language

A, B = Text("甲", "first"), Text("乙", "second")


def lines(ax, marker):
    return [line for line in ax.lines if line.get_marker() == marker]


def test_every_seed_is_a_dot_and_the_mean_has_its_interval():
    scores = {A: [0.6, 0.62, 0.61], B: [0.5, 0.52, 0.54]}
    with language("en"):
        fig = arms.seed_rows(scores, {A: 0.65}, label=Text("準確率", "accuracy"))
    ax = fig.axes[0]
    assert [list(line.get_xdata()) for line in lines(ax, "o")] == list(scores.values())
    bars = ax.collections[0].get_segments()[0][:, 0]
    assert bars == pytest.approx(over_seeds(scores[A])[1:])
    (diamond,) = lines(ax, "D")
    assert diamond.get_xdata()[0] == 0.65
    assert [t.get_text() for t in ax.get_yticklabels()] == ["first", "second"]
    named = {t.get_text() for t in fig.legends[0].texts}
    assert named == {"one seed", "mean, 95% interval", "ensemble"}


def test_one_seed_has_no_interval():
    ax = arms.seed_rows({A: [0.6]}, label=Text("準確率", "accuracy")).axes[0]
    assert not ax.collections and lines(ax, "s")[0].get_xdata()[0] == 0.6


def test_gains_stand_about_zero_in_points():
    frame = pd.DataFrame({"value": [0.02, -0.01], "low": [0.01, np.nan], "high": [0.03, np.nan]})
    ax = arms.gain_rows([A, B], frame, label=Text("差", "difference")).axes[0]
    assert list(lines(ax, "s")[0].get_xdata()) == [2, -1]
    first, second = (s[:, 0] for s in ax.collections[0].get_segments())
    assert first == pytest.approx([1, 3]) and second == pytest.approx([-1, -1])
    low, high = ax.get_xlim()
    assert low == -high


def test_curves_are_the_means_of_the_seeds_and_bands_their_range():
    seeds = [pd.DataFrame({"epoch": [1, 2], "x": values}) for values in ([0.2, 0.4], [0.4, 0.8])]
    ax = arms.epoch_curves({A: seeds}, column="x", label=Text("量", "quantity")).axes[0]
    assert ax.lines[0].get_ydata() == pytest.approx([0.3, 0.6])
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == 0.2 and band.max() == 0.8
    growth = pd.DataFrame(
        {"size": [1, 2], "mean": [0.5, 0.6], "low": [0.4, 0.6], "high": [0.55, 0.6]}
    )
    ax = arms.growth_curves({A: growth}).axes[0]
    assert list(ax.lines[0].get_ydata()) == [0.5, 0.6]
