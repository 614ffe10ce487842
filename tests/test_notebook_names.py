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


SCOPES = (ast.FunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Names(ast.NodeVisitor):
    """The names that a cell binds, and those it reads that it has not bound before."""

    def __init__(self, source: str):
        self.bound: set[str] = set()
        self.read: set[str] = set()
        self.visit(ast.parse(source))

    def visit(self, node):
        if isinstance(node, SCOPES):  # what it binds inside is its own
            own = {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
            names = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
            own |= {n.id for n in names if isinstance(n.ctx, ast.Store)}
            self.read |= {n.id for n in names} - own - self.bound
            self.bound |= {node.name} if isinstance(node, ast.FunctionDef) else set()
        elif isinstance(node, (ast.Assign, ast.AugAssign)):
            self.visit(node.value)  # first, as Python does
            for target in getattr(node, "targets", None) or [node.target]:
                if isinstance(node, ast.AugAssign):
                    names = {n.id for n in ast.walk(target) if isinstance(n, ast.Name)}
                    self.read |= names - self.bound
                self.visit(target)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            self.bound.add(node.id)
        elif isinstance(node, ast.Name):
            self.read |= {node.id} - self.bound
        elif isinstance(node, ast.alias):
            self.bound.add((node.asname or node.name).split(".")[0])
        else:
            self.generic_visit(node)


def rebound(cells: list[str]) -> set[str]:
    """Names bound in several cells that another one reads: run again, it may read the wrong one."""
    names = [Names(source) for source in cells]
    found = set()
    for name in set().union(*(cell.bound for cell in names)):
        if sum(name in cell.bound for cell in names) > 1:
            found |= {name} if any(name in cell.read for cell in names) else set()
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_can_be_run_again_in_any_order(path):
    cells = nbformat.read(path, as_version=4).cells
    assert rebound([c.source for c in cells if c.cell_type == "code"]) == set()


def test_a_name_that_a_later_cell_rebinds_is_found():
    assert rebound(["import a", "a = 1", "print(a)"]) == {"a"}
    assert rebound(["rows = [1]", "rows += [2]"]) == {"rows"}
    assert rebound(["x = 1\nprint(x)", "x = 2\nprint([x for x in [3]], x)"]) == set()
    assert rebound(["def f(n):\n    return n", "n = 1", "n = 2", "f(3)"]) == set()


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
