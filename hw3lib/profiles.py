"""A profile: the TOML file that says how much to run. Its tables are checked before any data."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Any

from hw3lib import UserError
from hw3lib.reading import read_toml
from hw3lib.recipe import Recipe

MOST_FACES = 1_000_000  # drawn for a profile
MOST_SEEDS = 1000  # of an arm
DEEPEST = 20  # recipes that start from one another
SHARES = ("validation", "test")


def read_profile(path: Path) -> dict[str, Any]:
    """The tables [settings], [folds] and [recipes.*] of a profile.

    Raises
    ------
    UserError
        naming the file and the field, for anything that cannot be meant.
    """
    table = read_toml(path, "give the name or the path of a profile")
    for name in ("settings", "folds", "recipes"):
        if not isinstance(table.get(name, {}), dict):
            raise UserError(f"{path}: {name} must be a table, [{name}]")
    faces = table.get("settings", {}).get("synthetic", 1)
    if not _whole(faces) or not 1 <= faces <= MOST_FACES:
        raise UserError(f"{path}: settings.synthetic must be 1 to {MOST_FACES:,} faces")
    for name, value in table.get("folds", {}).items():
        if name not in (*SHARES, "seed"):
            raise UserError(f"{path}: folds.{name} is unknown; known are validation, test, seed")
        if name == "seed" and not (_whole(value) and value >= 0):
            raise UserError(f"{path}: folds.seed must be a whole number, 0 or more")
        if name in SHARES and not (_number(value) and 0 < value < 0.5):
            raise UserError(f"{path}: folds.{name} must be a share between 0 and 0.5")
    return table


def read_recipes(table: dict, where: str) -> dict[str, Recipe]:
    """The table [recipes.*]: `base` names a recipe to start from, `seeds` makes one per seed.

    A seed that is given stands for itself: `seed = 0` undoes the seeds of the base.
    """
    tables = table.get("recipes", {})

    def resolve(name: object, seen: tuple[object, ...] = ()) -> dict:
        if not isinstance(name, str) or name not in tables or name in seen:
            raise UserError(
                f"{where}: the base {str(name)[:80]!r} is missing or starts from itself"
            )
        if not isinstance(tables[name], dict) or len(seen) > DEEPEST:
            raise UserError(
                f"{where}: recipes.{name} must be a table, at most {DEEPEST} from its first base"
            )
        values = dict(tables[name])
        base = values.pop("base", None)
        inherited = resolve(base, (*seen, name)) if base else {}
        if "seed" in values:
            inherited.pop("seeds", None)
        return {**inherited, **values}

    recipes: dict[str, Recipe] = {}
    for name in tables:
        values, place = resolve(name), f"{where}: recipes.{name}"
        seeds = values.pop("seeds", None)
        if seeds is None:
            recipes[name] = Recipe.from_dict(values, place)
            continue
        if not isinstance(seeds, list) or not all(map(_whole, seeds)) or len(seeds) > MOST_SEEDS:
            raise UserError(f"{place}: seeds must be a list of at most {MOST_SEEDS} whole numbers")
        for seed in seeds:
            recipes[f"{name}.{seed}"] = Recipe.from_dict({**values, "seed": seed}, place)
    return recipes


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: object) -> bool:
    return _whole(value) or (isinstance(value, float) and isfinite(value))
