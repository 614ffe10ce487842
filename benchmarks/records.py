"""Records: what a Recipe reaches on the test set over its seeds, and in how many seconds.

A profile's configurations are trained in full, each seed by a Recipe that was frozen before, and
each Run is scored on the test split once, at its end. Nothing here chooses anything.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from hw3lib import UserError
from hw3lib.models.network import VIEWS, logits
from hw3lib.training.runs import device_of
from hw3lib.training.study import Study, open_study


def measure_profile(profile: str = "records", data: str = "", only: str = "") -> None:
    """Train what is missing and print a table for each configuration.

    Raises
    ------
    UserError
        for a configuration that the profile does not have.
    """
    study = open_study(profile, data)
    known = list(dict.fromkeys(re.sub(r"\.\d+$", "", name) for name in study.recipes))
    chosen = [name for name in only.split(",") if name]
    if unknown := [name for name in chosen if name not in known]:
        raise UserError(f"--only {unknown[0]}: profile {profile} has {', '.join(known)}")
    for name in chosen or known:
        seconds = [run.record["seconds"] for run in study.seeds(name)]
        print(f"{name}: {len(seconds)} seeds, {np.mean(seconds):.1f} s of training each")
        print(measure(study, name).to_string(index=False, float_format="{:.4f}".format), flush=True)


def measure(study: Study, name: str) -> pd.DataFrame:
    """One row by views and way to count: mean and sd of test accuracy over seeds, the ensemble's.

    Accuracies in [0, 1]; ways to count as in Split.test_masks.
    """
    faces, rows = study.folds.take("test"), []
    networks = [run.network(device_of()) for run in study.seeds(name)]
    for views in VIEWS:
        right = [
            logits(members, faces.images, views=views).argmax(1) == faces.labels
            for members in (*networks, networks)
        ]
        for way, counted in study.folds.test_masks.items():
            *scores, ensemble = (r[counted].mean() for r in right)
            rows.append((views, way, np.mean(scores), pd.Series(scores).std(), ensemble))
    return pd.DataFrame(rows, columns=["views", "images", "mean", "sd", "ensemble"])


if __name__ == "__main__":
    import typer

    typer.run(measure_profile)
