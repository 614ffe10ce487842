"""What is named by a plain key in the code has its words in both languages, whoever adds one."""

from __future__ import annotations

from dataclasses import fields

import pytest

from hw3lib.data.faces import CLASSES
from hw3lib.evaluation.rules import Rule
from hw3lib.interpretation import checks, filters, regions
from hw3lib.interpretation.attribution import METHODS, PLANTED
from hw3lib.models import MODELS
from hw3lib.text import GLOSSARY, HYPERPARAMETERS, SETTINGS
from hw3lib.training.recipe import CHOICES, Recipe

BARE = {  # fields that only the table of all Recipes shows, by their names
    "in_channels", "data", "split", "normalize", "reduction", "logit_adjustment", "cycles",
    "precision", "threads",
}  # fmt: skip
NAMES = {*MODELS, "sgd", "adam", "adamw", "muon", "fp32", "bf16"}  # the same in both languages


@pytest.mark.parametrize(
    "keys",
    [CLASSES, METHODS, PLANTED, checks.RULES, checks.BASELINES, filters.KINDS, regions.REGIONS,
     [rule.name for rule in Rule.__subclasses__()]],
)  # fmt: skip
def test_every_key_that_a_table_shows_is_in_the_glossary(keys):
    assert keys and not set(keys) - GLOSSARY.keys()


def test_every_setting_of_a_recipe_has_its_word():
    words = {value for allowed in CHOICES.values() for value in allowed if isinstance(value, str)}
    assert not {w for w in words if not w.startswith("part ")} - SETTINGS.keys() - NAMES


def test_every_field_of_a_recipe_has_its_word_or_is_named_here():
    assert {f.name for f in fields(Recipe)} == {*HYPERPARAMETERS, *BARE}
