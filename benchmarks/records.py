"""Records: what a Recipe reaches on the test set over its seeds, and in how many seconds.

A profile's configurations are trained in full, each seed by a Recipe that was frozen before, and
each Run is scored on the test split once, at its end. Nothing here chooses anything.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from hw3lib import UserError
from hw3lib.files import write_atomic
from hw3lib.models.network import VIEWS, logits
from hw3lib.training.runs import device_of
from hw3lib.training.study import Study, open_study


def measure_profile(
    profile: str = "records", data: str = "", only: str = "", out: str = ""
) -> None:
    """Train what is missing, print a line for each configuration, write them all as JSON to `out`.

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
    rows = []
    for name in chosen or known:
        rows.append(measure(study, name))
        print(to_line(rows[-1]), flush=True)
    if out:
        told = {"profile": profile, "split": study.folds.fingerprint, "configurations": rows}
        told["date"] = datetime.now(UTC).isoformat(timespec="seconds")
        write_atomic(Path(out), json.dumps(told, indent=1).encode())


def measure(study: Study, name: str) -> dict[str, Any]:
    """Seconds of training and test accuracy by view, each a list over seeds; and the ensemble's.

    Accuracies in [0, 1], those of "without_copies" without exact copies of training images.
    """
    faces, runs = study.folds.take("test"), study.seeds(name)
    networks = [run.network(device_of()) for run in runs]
    row: dict[str, Any] = {
        "configuration": name,
        "seeds": len(runs),
        "n": len(faces),
        "seconds": [run.record["seconds"] for run in runs],
        "device": sorted({run.record["device"] for run in runs}),
        "arithmetic": sorted({run.record["arithmetic"] for run in runs}),
        "recipe": runs[0].recipe.hash,
    }
    members = [*networks, networks] if len(networks) > 1 else networks
    for views in VIEWS:
        right = [logits(m, faces.images, views=views).argmax(1) == faces.labels for m in members]
        for key, kept in (("accuracy", slice(None)), ("without_copies", ~study.folds.test_is_copy)):
            scores = [float(r[kept].mean()) for r in right]
            row[f"{key}.{views}"] = scores[: len(runs)]
            if len(runs) > 1:
                row[f"ensemble.{key}.{views}"] = scores[-1]
    return row


def to_line(row: dict[str, Any]) -> str:
    parts = [f"{row['configuration']:<12} {spread(row['seconds'], '.1f')} s"]
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
