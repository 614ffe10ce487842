"""Study: what every notebook starts from, the faces, their split and the profile's Recipes.

A profile is a TOML file (report/profiles) that says how much to run; its tables are checked before
any data is read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from hw3lib import UserError
from hw3lib.data import load
from hw3lib.data.faces import Faces
from hw3lib.data.split import Split, recut, split_faces
from hw3lib.files import ROOT, read_toml
from hw3lib.training.recipe import Recipe
from hw3lib.training.runs import Run, get_run, run_path

PROFILES = ROOT / "report" / "profiles"
MOST_FACES = 1_000_000  # drawn for a profile
MOST_SEEDS = 1000  # of a configuration
DEEPEST = 20  # recipes that start from one another


@dataclass(frozen=True)
class Study:
    """Faces, split and Recipes of one profile.

    recipes  : name -> Recipe, with data set to the split's fingerprint
    settings : the profile's table [settings], read by the notebooks (sizes, steps, seeds)
    """

    profile: str
    faces: Faces
    folds: Split
    recipes: dict[str, Recipe]
    settings: dict[str, Any]

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(getattr(self.folds, s)):,} {s}"
                          for s in ("train", "validation", "test"))  # fmt: skip
        kind = "drawn faces" if self.faces.synthetic else self.faces.layout
        return (
            f"Study, profile {self.profile}, {kind}: {sizes} images\n"
            f"{len(self.recipes)} recipes, e.g. {', '.join(list(self.recipes)[:4])}; "
            '.run("best") trains or finds one'
        )

    def run(self, name: str) -> Run:
        """The Run of the profile's Recipe `name`: found on disk, resumed, or trained now.

        Raises
        ------
        UserError
            if the profile has no such recipe, or as `get_run`.
        """
        if name not in self.recipes:
            raise UserError(
                f"profile {self.profile}: no recipe {name!r}; it has {', '.join(self.recipes)}"
            )
        if not run_path(self.recipes[name]).exists():
            self.runs(*self.teachers(name))
        every_epoch = self.keeps_epochs(name)
        return get_run(self.recipes[name], self.folds_of(name), name=name, every_epoch=every_epoch)

    def teachers(self, name: str) -> list[str]:
        """The recipes whose networks teach this one."""
        taught_by = self.recipes[name].teacher.split()
        return [n for n, recipe in self.recipes.items() if run_path(recipe).name in taught_by]

    def folds_of(self, name: str) -> Split:
        """The split that a Recipe is trained on: the study's own, or cut again as it says."""
        return recut(self.folds, self.recipes[name].split, self.recipes[name].seed)

    def keeps_epochs(self, name: str) -> bool:
        """Whether the setting `every_epoch` lists the recipe, or what its name begins with."""
        kept = self.settings.get("every_epoch", [])
        return any(name == first or name.startswith(f"{first}.") for first in kept)

    def runs(self, *names: str) -> dict[str, Run]:
        return {name: self.run(name) for name in names}

    def seeds(self, prefix: str) -> list[Run]:
        """The Runs of one configuration, as `names` gives them."""
        return [self.run(name) for name in self.names(prefix)]

    def names(self, prefix: str) -> list[str]:
        """The recipes of one configuration, `prefix` or `prefix.<seed>`, in the order of its seeds.

        Raises
        ------
        UserError
            if the profile has none.
        """
        if prefix in self.recipes:
            return [prefix]
        names = [n for n in self.recipes if n.rpartition(".")[0] == prefix and n[-1].isdigit()]
        if not names:
            raise UserError(f"profile {self.profile}: no configuration {prefix!r}")
        return names

    def accuracies(self, prefix: str, split: str = "test") -> np.ndarray:
        """(seeds,) accuracy of each Run of one configuration on "validation" or "test"."""
        return np.array([run.accuracy(split) for run in self.seeds(prefix)])


def open_study(profile: str = "demo", data: str = "") -> Study:
    """Read the profile and the data it is to run on.

    Parameters
    ----------
    profile : a name under report/profiles, or the path of a .toml file
    data : a path in any layout; "" takes HW3_DATA, else the repository's data/ folder where it
        holds images, else the synthetic faces

    Raises
    ------
    UserError
        if the profile or the data are missing or faulty.
    """
    path = Path(profile) if profile.endswith(".toml") else PROFILES / f"{profile}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in PROFILES.glob("*.toml")))
        raise UserError(f"profile {profile!r}: {path} does not exist; choose one of {known}")
    table = read_profile(path)
    recipes, settings = read_recipes(table, str(path)), table.get("settings", {})
    faces = load(data or os.environ.get("HW3_DATA", ""), synthetic=settings.get("synthetic", 4000))
    folds = split_faces(faces, **table.get("folds", {}))
    recipes = {
        name: replace(r, data=recut(folds, r.split, r.seed).fingerprint)
        for name, r in recipes.items()
    }
    study = Study(path.stem, faces, folds, {**recipes}, settings)
    for name, recipe in recipes.items():
        if recipe.teacher:  # by their hashes, which name the Run
            names = study.names(recipe.teacher)
            if any(
                recipes[n].teacher or recipes[n].in_channels != recipe.in_channels for n in names
            ):
                raise UserError(
                    f"{path}: recipes.{name}: its teacher {recipe.teacher!r} must have no teacher "
                    "and read as many channels"
                )
            paths = [run_path(recipes[n]).name for n in names]
            study.recipes[name] = replace(recipe, teacher=" ".join(paths))
    return study


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
    settings, folds = table.get("settings", {}), table.get("folds", {})
    kept = settings.get("every_epoch", [])
    if not _is_number(settings.get("synthetic", 1), int, 1, MOST_FACES):
        raise UserError(f"{path}: settings.synthetic must be 1 to {MOST_FACES:,} faces")
    if not isinstance(kept, list) or not all(isinstance(name, str) for name in kept):
        raise UserError(f"{path}: settings.every_epoch must be a list of recipes' names")
    if unknown := set(folds) - {"validation", "test", "seed"}:
        raise UserError(
            f"{path}: folds.{min(unknown)} is unknown; known are validation, test, seed"
        )
    if not _is_number(folds.get("seed", 0), int, 0, inf):
        raise UserError(f"{path}: folds.seed must be a whole number, 0 or more")
    for name in ("validation", "test"):
        if not _is_number(folds.get(name, 0.1), float, 1e-9, 0.499):
            raise UserError(f"{path}: folds.{name} must be a share between 0 and 0.5")
    return table


def _is_number(value: object, kind: type, low: float, high: float) -> bool:
    """Of the kind (whole numbers are floats too), no truth value, no NaN, within the bounds."""
    fits = isinstance(value, (int, kind)) and not isinstance(value, bool)
    return fits and low <= value <= high


def read_recipes(table: dict, where: str) -> dict[str, Recipe]:
    """The table [recipes.*]: `base` names a recipe to start from, `seeds` makes one per seed.

    A seed that is given stands for itself: `seed = 0` undoes the seeds of the base.
    """
    tables = table.get("recipes", {})
    recipes: dict[str, Recipe] = {}
    for name in tables:
        values, place = _resolve(tables, name, where), f"{where}: recipes.{name}"
        seeds = values.pop("seeds", None)
        if seeds is None:
            recipes[name] = Recipe.from_dict(values, place)
            continue
        if not isinstance(seeds, list) or len(seeds) > MOST_SEEDS:
            raise UserError(f"{place}: seeds must be a list of at most {MOST_SEEDS} whole numbers")
        for seed in seeds:
            recipes[f"{name}.{seed}"] = Recipe.from_dict({**values, "seed": seed}, place)
    return recipes


def _resolve(tables: dict, name: object, where: str, seen: tuple[object, ...] = ()) -> dict:
    """A recipe's fields with those of its bases; UserError for a base that cannot be meant."""
    if not isinstance(name, str) or name not in tables or name in seen:
        raise UserError(f"{where}: the base {str(name)[:80]!r} is missing or starts from itself")
    if not isinstance(tables[name], dict) or len(seen) > DEEPEST:
        raise UserError(
            f"{where}: recipes.{name} must be a table, at most {DEEPEST} from its first base"
        )
    values = dict(tables[name])
    base = values.pop("base", None)
    inherited = _resolve(tables, base, where, (*seen, name)) if base else {}
    if "seed" in values:
        inherited.pop("seeds", None)
    return {**inherited, **values}
