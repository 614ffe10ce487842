"""What the notebooks take from the library is there: found without executing them."""

from __future__ import annotations

import ast
import importlib
import importlib.util

import nbformat
import pytest

from hw3lib.files import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def missing(source: str) -> list[str]:
    """Names imported from hw3lib, or read from a module imported from it, that do not exist."""
    nodes = list(ast.walk(ast.parse(source)))
    modules, faults = {}, []
    for node in nodes:
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("hw3lib"):
            continue
        room = importlib.import_module(node.module)
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            if hasattr(room, "__path__") and importlib.util.find_spec(full):
                modules[alias.asname or alias.name] = importlib.import_module(full)
            elif not hasattr(room, alias.name):
                faults.append(full)
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            room = modules.get(node.value.id)
            if room is not None and not hasattr(room, node.attr):
                faults.append(f"{node.value.id}.{node.attr}")
    return faults


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_name_exists(path):
    cells = nbformat.read(path, as_version=4).cells
    assert missing("\n".join(c.source for c in cells if c.cell_type == "code")) == []


def test_a_name_that_moved_is_found():
    assert missing("from hw3lib.evaluation.metrics import accuracy, mcnemar") == [
        "hw3lib.evaluation.metrics.mcnemar"
    ]
    assert missing("from hw3lib.evaluation import metrics\nmetrics.mcnemar(p, y)") == [
        "metrics.mcnemar"
    ]
    assert missing("from hw3lib.evaluation import metrics\nmetrics.accuracy(p, y)") == []
