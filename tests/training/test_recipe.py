import hashlib
import json
from dataclasses import asdict

import pytest

from hw3lib import UserError
from hw3lib.models import MODELS
from hw3lib.training.recipe import TRAINING_VERSION, Recipe
from hw3lib.training.study import PROFILES, read_profile, read_recipes


def test_the_name_is_of_every_field_off_its_default():
    """By its definition, so that Runs made before are found, also by code with a further lever."""
    chosen = {"model": "dense", "lr": 0.02, "ema": 0.3, "seed": 3}
    text = json.dumps({**chosen, "version": TRAINING_VERSION}, sort_keys=True)
    named = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
    assert Recipe(**chosen).hash == Recipe(**chosen, erase=0.0, precision="auto").hash == named
    assert TRAINING_VERSION == 3 and Recipe(model="dense").hash == "211200b697a2"


@pytest.mark.parametrize(
    "values",
    [
        {"flip": "sideways"}, {"lr": 0}, {"lr": -1}, {"lr": "0.1"}, {"epochs": 2.5}, {"seed": True},
        {"scale": 1.0}, {"epochs": 0},
        {"optimizer": "lion"}, {"in_channels": 2}, {"width": float("nan")},
        {"class_weight": "inverse", "sampler": "balanced"}, {"patience": 3},
        {"teacher": "x"}, {"distillation": 0.5},
        {"split": "part 0 of 3"}, {"cycles": 2}, {"cycles": 3, "schedule": "cosine"},
    ],
)  # fmt: skip
def test_faults_and_conflicts_are_refused_in_one_line(values):
    with pytest.raises(UserError) as caught:
        Recipe(model="dense", **values)
    assert "\n" not in str(caught.value) and next(iter(values)) in str(caught.value)


def test_base_and_seeds():
    table = {
        "recipes": {
            "a": {"model": "dense", "lr": 0.5, "seeds": [1, 2]},
            "b": {"base": "a", "epochs": 3},
            "c": {"base": "a", "seed": 0},
        }
    }
    recipes = read_recipes(table, "x.toml")
    assert list(recipes) == ["a.1", "a.2", "b.1", "b.2", "c"]
    assert recipes["a.2"].seed == 2 and recipes["b.1"].lr == 0.5 and recipes["c"].seed == 0


@pytest.fixture(params=["demo", "cpu", "gpu"])
def recipes(request) -> dict[str, Recipe]:
    return read_recipes(read_profile(PROFILES / f"{request.param}.toml"), request.param)


def test_every_profile_names_the_recipes_that_notebooks_ask_for(recipes):
    for name in (
        "best", "tricks.none.0", "tricks.augmentation.2", "resnet18.overfit",
        "resnet18.augmentation", "resnet18.regularised", "vgg16", "five_block.none",
        "five_block.augmentation", "five_block.vertical_flip", "two_conv", "two_conv_regularised",
        "small.0", "small.dense.0", "small.snapshots.0", "weight.inverse.0", "sgd.count", "part.1",
    ):  # fmt: skip
        assert recipes[name].model in MODELS
    parts = [r.split for name, r in recipes.items() if name.startswith("part.")]
    assert parts == [f"part {k} of {len(parts)}" for k in range(1, len(parts) + 1)]


@pytest.mark.parametrize(
    ("one", "base", "fields"),
    [
        ("tricks.augmentation.0", "tricks.none.0",
         {"flip", "shift", "rotate", "scale", "erase", "contrast", "brightness"}),
        ("five_block.augmentation", "five_block.none", {"flip", "rotate"}),
        ("five_block.vertical_flip", "five_block.augmentation", {"flip"}),
        ("two_conv", "five_block.none", {"model"}),
        ("small.vertical_flip.0", "small.0", {"flip"}),
        ("small.rotate_20.0", "small.0", {"rotate"}),
        ("small.raw_input.0", "small.0", {"normalize"}),
        ("small.dense.0", "small.0", {"model"}),
        ("small.pictures.0", "small.0", {"split"}),
        ("small.snapshots.0", "small.0", {"schedule", "cycles"}),
        ("weight.sqrt.0", "small.0", {"sampler"}),
        ("sgd.share", "sgd.count", {"class_weight"}),
    ],
)  # fmt: skip
def test_configurations_differ_in_what_they_are_named_for_alone(recipes, one, base, fields):
    """A comparison of two configurations is one of what tells them apart."""
    one, other = asdict(recipes[one]), asdict(recipes[base])
    assert {k for k in one if one[k] != other[k]} == fields
