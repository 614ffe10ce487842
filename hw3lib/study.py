"""Study: what every notebook starts from, the faces, their folds and the profile's Runs."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hw3lib import UserError
from hw3lib.data.faces import Faces
from hw3lib.data.split import Split, recut, split_faces
from hw3lib.paths import ROOT
from hw3lib.profiles import read_profile, read_recipes
from hw3lib.recipe import Recipe

if TYPE_CHECKING:
    from hw3lib.runs import Run


PROFILES = ROOT / "report" / "profiles"


@dataclass(frozen=True)
class Study:
    """Faces, folds and Recipes of one profile.

    recipes  : name -> Recipe, with data set to the folds' fingerprint
    settings : the profile's table [settings], read by the notebooks (sizes, steps, seeds)
    """

    profile: str
    faces: Faces
    folds: Split
    recipes: dict[str, Recipe]
    settings: dict[str, Any]

    def run(self, name: str, *, progress: bool = True) -> Run:
        """The Run of the profile's Recipe `name`: found on disk, resumed, or trained now."""
        from hw3lib.runs import get_run

        if name not in self.recipes:
            raise UserError(
                f"profile {self.profile}: no recipe {name!r}; it has {', '.join(self.recipes)}"
            )
        recipe = self.recipes[name]
        return get_run(
            recipe, self.folds_of(recipe), name=name, progress=progress,
            every_epoch=self.keeps_epochs(name),
        )  # fmt: skip

    def keeps_epochs(self, name: str) -> bool:
        """Whether the profile's setting `every_epoch` lists the recipe, or the name of its arm."""
        kept = self.settings.get("every_epoch", [])
        return any(name == arm or name.startswith(f"{arm}.") for arm in kept)

    def folds_of(self, recipe: Recipe) -> Split:
        """The folds that a Recipe is trained on: the study's own, or cut anew as it says."""
        return recut(self.folds, recipe.split, recipe.seed)

    def runs(self, *names: str) -> dict[str, Run]:
        return {name: self.run(name) for name in names}

    def arm_runs(self, prefix: str) -> list[Run]:
        """The Runs of one arm, in the order of its seeds."""
        return [self.run(name) for name in self.arm(prefix)]

    def accuracies(self, prefix: str, fold: str = "test") -> np.ndarray:
        """(seeds,) accuracy of each Run of one arm on "validation" or "test"."""
        runs = self.arm_runs(prefix)
        return np.array([(r.logits(fold).argmax(1) == r.labels(fold)).mean() for r in runs])

    def arm(self, prefix: str) -> list[str]:
        """The recipe names `prefix` or `prefix.<seed>`, in order: one arm over its seeds.

        Raises
        ------
        UserError
            if the profile has none.
        """
        seeds = [
            n for n in self.recipes if n.startswith(prefix + ".") and n[len(prefix) + 1 :].isdigit()
        ]
        names = [prefix] if prefix in self.recipes else seeds
        if not names:
            raise UserError(f"profile {self.profile}: no arm {prefix!r}")
        return names

    @cached_property
    def origin(self) -> str:
        return "synthetic" if self.faces.synthetic else "real"


def open_study(profile: str = "demo", data: str = "") -> Study:
    """Read the profile and the data it is to run on.

    profile : a name under report/profiles, or the path of a .toml file
    data    : a path in any layout; "" takes HW3_DATA, else the repository's data/ folder where it
              holds pictures, else the synthetic faces

    Raises
    ------
    UserError
        if the profile or the data are missing or faulty.
    """
    from hw3lib.data import load

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
    return Study(path.stem, faces, folds, recipes, settings)
