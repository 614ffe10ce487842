"""Records: what a Recipe reaches on the test set over its seeds, and in how many seconds.

A profile's arms are trained in full, each seed by a Recipe that was frozen before, and each Run
is scored on the test fold once, at its end. Nothing here chooses anything.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from hw3lib import UserError
from hw3lib.files import write_atomic
from hw3lib.models.network import VIEWS, logits
from hw3lib.training.study import Study, open_study


def measure_profile(
    profile: str = "records", data: str = "", only: str = "", out: str = ""
) -> None:
    """Train what is missing, print a line for each arm, and write them all as JSON to `out`.

    Raises
    ------
    UserError
        for an arm that the profile does not have.
    """
    study = open_study(profile, data)
    arms = arms_of(study)
    chosen = [name for name in only.split(",") if name]
    if unknown := [name for name in chosen if name not in arms]:
        raise UserError(f"--only {unknown[0]}: profile {profile} has {', '.join(arms)}")
    rows = []
    for arm in chosen or arms:
        rows.append(measure_arm(study, arm, arms[arm]))
        print(to_line(rows[-1]), flush=True)
    if out:
        told = {"profile": profile, "folds": study.folds.fingerprint, "arms": rows}
        told["date"] = datetime.now(UTC).isoformat(timespec="seconds")
        write_atomic(Path(out), json.dumps(told, indent=1).encode())


def arms_of(study: Study) -> dict[str, list[str]]:
    """Arm -> its recipes: `name.0`, `name.1`, … are the seeds of `name`."""
    arms: dict[str, list[str]] = {}
    for name in study.recipes:
        stem, _, seed = name.rpartition(".")
        arms.setdefault(stem if stem and seed.isdigit() else name, []).append(name)
    return arms


def measure_arm(study: Study, arm: str, names: list[str]) -> dict[str, Any]:
    """Seconds of training and test accuracy by view, each a list over seeds; and the ensemble's.

    Accuracies in [0, 1], those of "fresh" without copies of training pictures.
    """
    from hw3lib.training.runs import device_of

    images, labels = study.faces.images[study.folds.test], study.faces.labels[study.folds.test]
    fresh = ~study.folds.test_is_copy
    runs = [study.run(name) for name in names]
    networks = [run.network(device_of()) for run in runs]
    row: dict[str, Any] = {
        "arm": arm,
        "seeds": len(names),
        "n": len(labels),
        "seconds": [run.record["seconds"] for run in runs],
        "device": sorted({run.record["device"] for run in runs}),
        "arithmetic": sorted({run.record["arithmetic"] for run in runs}),
        "recipe": runs[0].recipe.hash,
    }
    for views in VIEWS:
        members = [logits(network, images, views=views).argmax(axis=1) for network in networks]
        if len(networks) > 1:
            members.append(logits(networks, images, views=views).argmax(axis=1))
        for key, kept in (("accuracy", slice(None)), ("fresh", fresh)):
            scores = [float((p == labels)[kept].mean()) for p in members]
            row[f"{key}.{views}"] = scores[: len(names)]
            if len(networks) > 1:
                row[f"ensemble.{key}.{views}"] = scores[-1]
    return row


def to_line(row: dict[str, Any]) -> str:
    parts = [f"{row['arm']:<12} {spread(row['seconds'], '.1f')} s"]
    for views in VIEWS:
        part = f"{views} {spread(np.multiply(100, row[f'accuracy.{views}']), '.2f')} %"
        if row["seeds"] > 1:
            part += f" (ensemble {row[f'ensemble.accuracy.{views}']:.2%})"
        parts.append(part)
    return "  ".join(parts)


def spread(values, spec: str) -> str:
    """Mean ± sample deviation as text; the bare value where there is one."""
    values = np.asarray(values, dtype=float)
    mean = format(values.mean(), spec)
    return mean if len(values) == 1 else f"{mean} ± {format(values.std(ddof=1), spec)}"


if __name__ == "__main__":
    import typer

    typer.run(measure_profile)
