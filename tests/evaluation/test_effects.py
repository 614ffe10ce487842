"""Effects by hand, against the t test, and in simulations whose truth is known."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import ttest_1samp

from hw3lib.evaluation import effects, metrics
from hw3lib.evaluation.effects import LAST, Cell, Sampled, Training, stopped_at

RNG = np.random.default_rng(0)
LABELS = {"validation": RNG.integers(0, 7, 80), "test": RNG.integers(0, 7, 240)}
GROUP = np.arange(240) // 2


def training(skill, rng):
    """Logits whose hold on the labels in each epoch is `skill`; below 0 it is confidently wrong."""
    held, test = (
        np.stack([s * np.eye(7)[y] + rng.normal(size=(len(y), 7)) for s in skill])
        for y in LABELS.values()
    )
    return Training([metrics.nll(z, LABELS["validation"]) for z in held], test)


@pytest.fixture(scope="module")
def cells():
    """With augmentation skill still grows at the end; without it falls after the third epoch."""
    rng = np.random.default_rng(1)
    trainings = {
        "augmentation": [training(np.linspace(0.5, 3, 12), rng) for _ in range(5)],
        "none": [training([1, 1.5, 2, *np.linspace(1, -2, 9)], rng) for _ in range(5)],
    }
    read = effects.read_cells(trainings, LABELS["test"], GROUP, resamples=200)
    return trainings, read


def test_a_patience_is_read_off_the_whole_training():
    assert stopped_at([3, 2, 1], 1) == (3, 3, False) and stopped_at([1, 2, 0], 1) == (1, 2, True)
    assert stopped_at([1, 2, 0, 3, 4, 5], 2) == (3, 5, True)
    assert stopped_at([1, 2, 3], 0) == stopped_at([1, 2, 3], 3) == (3, 3, False)  # never stopped


def test_every_cell_is_what_one_computes_by_hand(cells):
    trainings, read = cells
    assert len(read) == 2 * 3 * 3
    table = effects.cell_table(read).set_index([*Cell._fields, "outcome"])["value"].sort_index()
    last = [softmax(t.test[-1], axis=1) for t in trainings["augmentation"]]
    y = LABELS["test"]
    single = table["augmentation", LAST, 1]
    assert single["accuracy"] == pytest.approx(np.mean([(p.argmax(1) == y).mean() for p in last]))
    assert single["NLL"] == pytest.approx(np.mean([metrics.nll(np.log(p), y) for p in last]))
    assert single["ECE"] == pytest.approx(np.mean([metrics.ece(p, y) for p in last]))
    five = np.mean(last, axis=0)
    assert table["augmentation", LAST, 5, "ECE"] == pytest.approx(metrics.ece(five, y))
    triples = [np.mean([last[i] for i in c], axis=0) for c in combinations(range(5), 3)]
    mean = np.mean([(p.argmax(1) == y).mean() for p in triples])
    assert table["augmentation", LAST, 3, "accuracy"] == pytest.approx(mean)
    assert table["augmentation", LAST, 3, "epochs"] == 36
    stopped = [t.test[2] for t in trainings["none"]]  # patience 5 keeps the third epoch
    kept = np.mean([(z.argmax(1) == y).mean() for z in stopped])
    assert table["none", "patience 5", 1, "accuracy"] == pytest.approx(kept)
    assert table["none", "patience 5", 5, "epochs"] == 5 * 8


def test_effects_are_simple_and_say_where_patience_did_not_fire(cells):
    frame = effects.simple_effects(cells[1])
    index = frame.set_index(["factor", *Cell._fields, "outcome"]).sort_index()
    stop = index.loc["stopping"]
    fired = stop.loc["none", "patience 5", 1]
    assert (fired["fired"] == 5).all() and fired.loc["accuracy", "value"] > 0.3
    assert fired.loc["accuracy", "holm"] < 0.001 and fired.loc["NLL", "value"] < 0
    idle = stop.loc["augmentation", "patience 10", 3]
    assert idle["value"].isna().all() and (idle["fired"] == 0).all()
    assert idle.loc["accuracy", "holm"] == 1  # it stays in the family
    assert index.loc["configuration", "augmentation", LAST, 1]["value"]["accuracy"] > 0.3
    assert frame["holm"].notna().sum() == 2 * len(frame) / 4  # accuracy and NLL are the family
    assert set(frame["members"][frame["factor"] == "members"]) == {3, 5}
    tested = frame.dropna(subset=["holm", "p"])
    assert (tested["holm"] >= tested["p"]).all()


def test_with_one_group_of_images_single_networks_are_the_t_test_over_seeds(cells):
    """One group is drawn whole every time, so only the seeds are left to vary."""
    trainings, _ = cells
    read = effects.read_cells(trainings, LABELS["test"], np.zeros(240), members=(1,), resamples=20)
    a, b = read[Cell("augmentation", LAST, 1)], read[Cell("none", LAST, 1)]
    y = LABELS["test"]
    gains = [
        (t.test[-1].argmax(1) == y).mean() - (u.test[-1].argmax(1) == y).mean()
        for t, u in zip(*trainings.values(), strict=True)
    ]
    oracle = ttest_1samp(gains, 0)
    row = (a - b).table().iloc[0]
    assert (row["value"], row["p"]) == pytest.approx((np.mean(gains), oracle.pvalue))
    assert (row["low"], row["high"]) == pytest.approx(tuple(oracle.confidence_interval(0.95)))


def crossed(rng, seeds=5, images=150):
    """An effect of 0 with a part of the seeds, a part of the images, and noise; as Sampled."""
    x = 0.1 * rng.normal(size=(seeds, 1)) + rng.normal(size=images)
    x += 0.5 * rng.normal(size=(seeds, images))
    means, overall = x.mean(1), x.mean(0)
    without = (means.sum() - means) / (seeds - 1)
    drawn = rng.multinomial(images, np.full(images, 1 / images), size=200) @ overall / images
    return [np.repeat(np.atleast_1d(a)[:, None], 4, 1) for a in (means.mean(), without, drawn)]


def test_an_interval_holds_the_truth_for_new_seeds_and_new_images_at_once():
    rng, both, seeds_alone = np.random.default_rng(3), [], []
    for _ in range(250):
        value, without, drawn = crossed(rng)
        sampled = Sampled(value[0], without, drawn, 0)
        row = sampled.table().iloc[0]
        both.append(row["low"] <= 0 <= row["high"])
        seeds_alone.append(abs(row["value"]) <= 2.78 * sampled.errors()[0][0])
    assert 0.93 <= np.mean(both) <= 0.985
    assert np.mean(seeds_alone) < 0.9  # an interval over seeds alone says nothing of other images


def test_the_jackknife_of_an_ensemble_is_its_spread_over_new_seeds():
    """Variance of the ensemble of five over 40 sets of seeds, against the mean estimate of it."""
    rng, values, guessed = np.random.default_rng(4), [], []
    for _ in range(40):
        skills = rng.normal(1.2, 0.35, size=(5, 1))
        read = effects.read_cells(
            {"a": [training(s, rng) for s in skills]}, LABELS["test"], GROUP,
            patience=(), members=(3, 5), resamples=2,
        )  # fmt: skip
        values.append([read[Cell("a", LAST, k)].value[1] for k in (3, 5)])
        guessed.append([read[Cell("a", LAST, k)].errors()[0][1] ** 2 for k in (3, 5)])
    ratio = np.mean(guessed, axis=0) / np.var(values, axis=0, ddof=1)
    assert ratio == pytest.approx(1.2, abs=0.6)


def test_seeds_that_cannot_be_paired_are_refused():
    one = training([1.0], RNG)
    for trainings, members in (({"a": [one] * 3, "b": [one] * 2}, (1,)), ({"a": [one] * 3}, (5,))):
        with pytest.raises(ValueError, match=f"equally many are needed, {members[0]} or more"):
            effects.read_cells(trainings, LABELS["test"], GROUP, members=members)
