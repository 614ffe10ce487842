"""The house: few rooms, no way back between them, imports where a reader looks for them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter

import pytest

from hw3lib.files import ROOT

HOUSE = ROOT / "hw3lib"
ORDER = ("hw3lib", "files", "text", "data", "models", "training", "evaluation", "interpretation",
         "mathematics", "plotting", "report", "cli")  # fmt: skip
FILES = {path.relative_to(HOUSE): ast.parse(path.read_text("utf-8"))
         for path in sorted(HOUSE.rglob("*.py"))}  # fmt: skip


def imported(nodes: Iterator[ast.AST]) -> Iterator[tuple[int, str]]:
    """(line, room) of every import of ours: "data" for hw3lib.data.faces, "hw3lib" for itself."""
    for node in nodes:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            inside = node.module == "hw3lib"
            names = [f"hw3lib.{a.name}" if inside else node.module or "" for a in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "hw3lib":
                yield node.lineno, parts[1] if parts[1:] and parts[1] in ORDER else "hw3lib"


def room_of(path) -> str:
    name = path.parts[0].removesuffix(".py")
    return "hw3lib" if name == "__init__" else name


def test_the_house_has_few_entries():
    entries = {p.name.removesuffix(".py") for p in HOUSE.iterdir()} - {"__init__", "__pycache__"}
    assert entries <= set(ORDER) and len(entries) <= 11


def test_imports_point_one_way():
    """Each room imports from those before it; under TYPE_CHECKING nothing is imported."""
    wrong = [
        f"{path}, line {line}: {room} lies further down"
        for path, tree in FILES.items()
        for line, room in imported(ast.iter_child_nodes(tree))
        if ORDER.index(room) > ORDER.index(room_of(path))
    ]
    assert not wrong


def within_a_room(path) -> Iterator[str]:
    """Files of its own room that a file imports at the top."""
    for node in ast.iter_child_nodes(FILES[path]):
        if isinstance(node, ast.ImportFrom) and node.module:
            for name in (node.module, *(f"{node.module}.{a.name}" for a in node.names)):
                yield name.removeprefix("hw3lib.").replace(".", "/") + ".py"


@pytest.mark.parametrize("room", [p.name for p in HOUSE.iterdir() if (p / "__init__.py").exists()])
def test_no_circle_within_a_room(room):
    edges = {str(p): {f for f in within_a_room(p) if f in map(str, FILES)}
             for p in FILES if p.parts[0] == room and p.name != "__init__.py"}  # fmt: skip
    TopologicalSorter(edges).prepare()  # raises CycleError, which names the circle


def test_imports_within_functions_say_why():
    """By a comment beside them; that at the top of cli.py stands for all of its commands."""
    silent = []
    for path, tree in FILES.items():
        lines = (HOUSE / path).read_text("utf-8").splitlines()
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        for line, _ in imported(node for f in functions for node in ast.walk(f)):
            if path.name != "cli.py" and "#" not in "".join(lines[max(0, line - 3) : line]):
                silent.append(f"{path}, line {line}")
    assert not silent
