from dataclasses import asdict, replace

import pytest

from hw3lib import UserError
from hw3lib.recipe import Recipe
from hw3lib.study import PROFILES, read_recipes


def test_every_field_is_part_of_the_name():
    base = Recipe(model="dense")
    other = {
        "model": "vgg16", "data": "x", "normalize": "none", "flip": "vertical", "in_channels": 3,
        "class_weight": "inverse", "sampler": "balanced", "optimizer": "adam",
        "schedule": "cosine", "select": "best", "precision": "bf16",
        "train_on": "train+validation", "reduction": "mean",
    }  # fmt: skip
    names = {base.hash}
    for field, value in asdict(base).items():
        new = other[field] if field in other else value + (1 if isinstance(value, int) else 0.05)
        if field == "patience":
            changed = replace(base, patience=1, select="best")
            assert changed.hash != replace(base, select="best").hash
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
        }
    }
    recipes = read_recipes(table, "x.toml")
    assert list(recipes) == ["a.1", "a.2", "b"]
    assert recipes["a.2"].seed == 2 and recipes["b"].lr == 0.5 and recipes["b"].seed == 0


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


@pytest.mark.parametrize("profile", ["demo", "cpu", "gpu"])
def test_every_profile_names_the_recipes_that_notebooks_ask_for(profile):
    import tomllib

    from hw3lib.models import MODELS

    recipes = read_recipes(tomllib.loads((PROFILES / f"{profile}.toml").read_text()), profile)
    for name in (
        "best", "resnet18.overfit", "resnet18.cured", "five_block.neither",
        "five_block.augmentation", "five_block.early_stopping", "five_block.both",
        "five_block.weighted", "ensemble.0", "ensemble.1", "vgg16", "dense",
    ):  # fmt: skip
        assert recipes[name].model in MODELS
