"""Records: seeds of an arm, its views and its ensemble, against the same thing by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from hw3lib import UserError
from hw3lib.models.network import logits
from hw3lib.records import measure_profile, spread
from hw3lib.study import open_study
from hw3lib.training import train

PROFILE = """
[recipes.small]
model = "slim_resnet"
width = 0.25
epochs = 1
batch_size = 16
train_on = "train+validation"
seeds = [0, 1]

[recipes.other]
model = "dense"
width = 0.25
epochs = 1
"""


@pytest.fixture
def profile(tmp_path, monkeypatch):
    monkeypatch.setenv("HW3_RUNS", str(tmp_path / "runs"))
    file = tmp_path / "tiny.toml"
    file.write_text(PROFILE)
    return str(file)


def test_an_arm_is_scored_over_its_seeds_and_as_an_ensemble(profile, tmp_path, capsys):
    measure_profile(profile, "synthetic:300", only=[], out=str(tmp_path / "told.json"))
    small, other = json.loads((tmp_path / "told.json").read_text())["arms"]
    assert (small["arm"], small["seeds"], other["arm"], other["seeds"]) == ("small", 2, "other", 1)
    study = open_study(profile, "synthetic:300")
    networks = [study.run(f"small.{seed}").network() for seed in (0, 1)]
    test = study.folds.take("test")
    for views in ("one", "flip", "ten"):
        by_hand = [
            float((logits(n, test.images, views=views).argmax(1) == test.labels).mean())
            for n in (*networks, networks)
        ]
        assert [*small[f"accuracy.{views}"], small[f"ensemble.accuracy.{views}"]] == by_hand
    fresh = ~study.folds.test_is_copy
    right = logits(networks[0], test.images).argmax(1) == test.labels
    assert small["fresh.one"][0] == float(right[fresh].mean())
    assert "ensemble.accuracy.one" not in other
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_an_arm_that_is_not_there_is_one_line(profile):
    with pytest.raises(UserError, match="small, other"):
        measure_profile(profile, "synthetic:300", only=["big"])


def test_spread_is_mean_and_sample_deviation():
    assert spread([1.0, 3.0], ".2f") == f"2.00 ± {np.sqrt(2):.2f}"
    assert spread([5], ".1f") == "5.0"


@pytest.mark.slow
@pytest.mark.parametrize("profile_name", ["gpu", "records"])
def test_recipes_for_a_gpu_train_here_for_a_few_steps(profile_name):
    """At full width, so that the one command that a GPU needs does not fail there first."""
    study = open_study(profile_name, "synthetic:300")
    seen = set()
    for recipe in study.recipes.values():
        short = replace(recipe, epochs=1, train_limit=48, batch_size=16, seed=0)
        if short not in seen:
            seen.add(short)
            _, state = train(short, study.folds, device=torch.device("cpu"))
            assert np.isfinite(state.history[0]["train_loss"])


def test_a_published_network_gives_the_figures_in_its_file(profile, tmp_path, monkeypatch):
    from hw3lib import packing, paths
    from hw3lib.models.network import evaluate_folds, load_network

    study = open_study(profile, "synthetic:300")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    trained_on = study.recipes["small.0"].train_on
    file = packing.publish(
        study.run("small.0"),
        "tiny",
        lambda n: evaluate_folds(n, study.folds, trained_on=trained_on),
    )
    again = load_network(file)
    told = again.metadata
    assert told["test_accuracy"] == evaluate_folds(again, study.folds)["test_accuracy"]
    assert "validation_accuracy" not in told and told["recipe"]["model"] == "slim_resnet"
    assert [p.name for p in file.parent.iterdir()] == ["tiny.safetensors"]
