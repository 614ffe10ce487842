"""`hw3 rerun A3`: one question computed again, its numbers beside those of the report."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import nbformat

from hw3lib import UserError
from hw3lib.files import ROOT
from hw3lib.report.cover import read_questions
from hw3lib.report.execute import execute_notebooks, parameters_of
from hw3lib.report.notebook import collect, ran_through


def rerun(
    question: str,
    profile: str = "demo",
    data: str = "",
    *,
    root: Path = ROOT,
    progress: Callable[[str], None] = print,
) -> None:
    """Execute the notebook that answers the question, from its first cell, and compare.

    Raises
    ------
    UserError
        for a question that is not there, for whatever the execution raises, for a number that
        is not the report's (report/build/results.json, where that is of the same profile), and
        for a check that fails.
    """
    asked = {q.id: q for q in read_questions(root / "report" / "questions.toml")}
    if question not in asked:
        raise UserError(f"question {question!r}: choose one of {', '.join(asked)}")
    number = asked[question].chapter
    source = next((root / "notebooks").glob(f"{number:02d}_*.ipynb"), None)
    if source is None:
        raise UserError(f"{root / 'notebooks'}: no notebook {number:02d}; restore it with git")
    parameters = parameters_of(profile, data)
    with tempfile.TemporaryDirectory(prefix="hw3-") as folder:
        (done,) = execute_notebooks([source], Path(folder), parameters, progress=progress)
        notebooks = {source.stem: nbformat.read(done, as_version=4)}
    known, wrong = _reported(root, profile), []
    for result in collect(notebooks, "result"):
        value = result["value"]
        before = known.get((result["name"], result["split"]), value)
        said = "  as in the report" if known else ""
        if before != value:
            said = f"  the report has {before}"
            wrong.append(result["name"])
        progress(f"{result['name']} = {value} ({result['split']}){said}")
    for check in [ran_through(notebooks), *collect(notebooks, "check")]:
        progress(f"{'holds' if check['holds'] else 'FAILS'}: {check['en']}")
        wrong += [] if check["holds"] else [check["name"]]
    if wrong:
        raise UserError(f"question {question}: {', '.join(wrong)} not as reported")


def _reported(root: Path, profile: str) -> dict[tuple[str, str], float | None]:
    """(name, split) -> value of the report that was built last; empty for another profile."""
    try:
        summary = json.loads((root / "report" / "build" / "results.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if summary.get("profile") != Path(profile).stem:
        return {}
    return {(r["name"], r["split"]): r["value"] for r in summary["results"]}
