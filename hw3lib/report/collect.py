"""What the executed notebooks measured and checked: results.json and the grader's panel."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nbformat import NotebookNode

from hw3lib import UserError
from hw3lib.report.execute import code_cells
from hw3lib.report.show import MIME


def collect_results(notebooks: dict[str, NotebookNode]) -> list[dict]:
    """Every `result` of the executed notebooks, each name and split once, with its notebook.

    Raises
    ------
    UserError
        if two notebooks state different values under one name.
    """
    found: dict[tuple[str, str], dict] = {}
    for notebook, payload in _payloads(notebooks, "result"):
        value = payload["value"]
        fresh = {k: payload[k] for k in ("name", "value", "split", "rule", "n")}
        fresh |= {"notebook": notebook, "value": value if math.isfinite(value) else None}
        kept = found.setdefault((fresh["name"], fresh["split"]), fresh)
        if kept["value"] != fresh["value"]:
            raise UserError(
                f"{fresh['name']} on {fresh['split']}: {kept['value']} in "
                f"{kept['notebook']}, {fresh['value']} in {notebook}; name them apart"
            )
    return list(found.values())


def collect_checks(notebooks: dict[str, NotebookNode]) -> list[dict]:
    """Every `check` of the executed notebooks, and that each ran from its first cell to its last.

    `execute_notebooks` keeps no copy of a notebook of which a cell failed or never ran.
    """
    cells = sum(len(code_cells(nb)) for nb in notebooks.values())
    ran = {
        "name": "notebooks.complete",
        "holds": True,
        "zh": f"{len(notebooks)} 本筆記本、{cells} 個程式格：每本都在一個核心裡從頭執行到尾，"
        "沒有錯誤。",
        "en": f"{len(notebooks)} notebooks, {cells} code cells: each notebook ran from its first "
        "cell to its last in one kernel, without an error.",
    }
    fields = ("name", "holds", "zh", "en")
    return [ran] + [
        {**{k: payload[k] for k in fields}, "notebook": notebook}
        for notebook, payload in _payloads(notebooks, "check")
    ]


def _payloads(notebooks: dict[str, NotebookNode], kind: str) -> Iterator[tuple[str, dict]]:
    """(notebook, payload) of every output of that kind."""
    for notebook, nb in notebooks.items():
        for cell in nb.cells:
            for output in cell.get("outputs", []):
                payload = output.get("data", {}).get(MIME, {})
                if payload.get("kind") == kind:
                    yield notebook, payload
