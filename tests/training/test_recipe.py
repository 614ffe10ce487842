from dataclasses import asdict, replace

import pytest

from hw3lib import UserError
from hw3lib.models import MODELS
from hw3lib.training.recipe import Recipe
from hw3lib.training.study import PROFILES, read_profile, read_recipes


def test_every_field_is_part_of_the_name():
    base = Recipe(model="dense")
    other = {
        "model": "vgg16", "data": "x", "normalize": "none", "flip": "vertical", "in_channels": 3,
        "class_weight": "inverse", "sampler": "balanced", "optimizer": "adam",
        "schedule": "cosine", "select": "best", "precision": "bf16",
        "train_on": "train+validation", "reduction": "mean", "split": "random",
    }  # fmt: skip
    names = {base.hash}
    for field, value in asdict(base).items():
        new = other[field] if field in other else value + (1 if isinstance(value, int) else 0.05)
        if field == "patience":
            changed = replace(base, patience=1, select="best")
            assert changed.hash != replace(base, select="best").hash
        elif field == "cycles":
            changed = replace(base, cycles=2, schedule="cosine")
            assert changed.hash != replace(base, schedule="cosine").hash
        else:
            changed = replace(base, **{field: new})
        names.add(changed.hash)
    assert len(names) == len(asdict(base)) + 1


def test_a_field_at_its_default_is_no_part_of_the_name():
    """So that a new lever does not rename the Runs that were made without it."""
    assert Recipe(model="dense").hash == Recipe(model="dense", mixup=0.0, precision="auto").hash


@pytest.mark.parametrize(
    "values",
    [
        {"flip": "sideways"}, {"lr": 0}, {"lr": -1}, {"lr": "0.1"}, {"epochs": 2.5}, {"seed": True},
        {"scale": 1.0}, {"epochs": 0},
        {"optimizer": "lion"}, {"in_channels": 2}, {"width": float("nan")},
        {"class_weight": "inverse", "sampler": "balanced"}, {"patience": 3},
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


@pytest.mark.parametrize(
    "tables, word",
    [
        ({"a": {"base": "a"}}, "a"),
        ({"a": {"base": "z"}}, "z"),
        ({"a": {"model": "dense", "colour": 1}}, "colour"),
        ({"a": {"lr": 1}}, "model"),
    ],
)
def test_faulty_profiles_are_refused(tables, word):
    with pytest.raises(UserError, match=word):
        read_recipes({"recipes": tables}, "x.toml")


@pytest.fixture(params=["demo", "cpu", "gpu"])
def recipes(request) -> dict[str, Recipe]:
    return read_recipes(read_profile(PROFILES / f"{request.param}.toml"), request.param)


def test_every_profile_names_the_recipes_that_notebooks_ask_for(recipes):
    for name in (
        "best", "best_again.1", "tricks.none.0", "tricks.augmentation.2", "resnet18.overfit",
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
