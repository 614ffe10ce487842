"""Small faults in a claim, made by operators on its tree."""

from __future__ import annotations

from collections.abc import Iterator

from lark import Tree

NEXT = {"1": "2", "2": "1"}  # of the axes, of Adam's two rates


def number(value: int) -> Tree:
    return Tree("number", [str(value)])


DROPPED = ("divide", "power", "root", "floor", "ceil", "absolute", "negative", "exp", "log")
SQUARE = ("power", 0, "sign", [number(2)])  # that of -a is that of a


def mutants(claim: Tree, each: list[str]) -> Iterator[tuple[str, Tree]]:
    """(operator, faulty claim), for every operator at every place of every side."""
    for place, part in enumerate(claim.children):
        if place % 2:
            turned = {"le": "ge", "ge": "le", "<": ">", ">": "<"}.get(part)
            faults = [("relation turned", turned)] if turned else []
        else:
            faults = _faults(part, set(each))
        for operator, faulty in faults:
            yield operator, _replaced(claim, place, faulty)


def _replaced(node: Tree, place: int, child: object) -> Tree:
    return Tree(node.data, [*node.children[:place], child, *node.children[place + 1 :]])


def _faults(node: Tree, scope: set[str]) -> Iterator[tuple[str, Tree]]:
    """Every fault within a node that stands where a value stands."""
    if node == number(0):  # -0 and 2 * 0 are no faults
        yield "term", number(1)
    elif node.data != "tuple":
        yield "sign", Tree("negative", [node])
        yield "factor", Tree("multiply", [number(2), node])
        yield "term", Tree("add", [node, number(1)])
    if node.data in ("add", "subtract", "multiply"):
        yield from (("dropped", child) for child in node.children)
    if node.data in DROPPED:
        yield "dropped", node.children[0]
    if node.data in ("symbol", "derivative", "delta"):
        yield from _moved(node, scope)
    elif node.data == "big":
        yield from _bounds(node, scope)
    elif node.data != "number":
        for place, child in enumerate(node.children):
            if isinstance(child, Tree):
                for operator, faulty in _faults(child, scope):
                    if (node.data, place, operator, node.children[1:]) != SQUARE:
                        yield operator, _replaced(node, place, faulty)


def _bounds(node: Tree, scope: set[str]) -> Iterator[tuple[str, Tree]]:
    *bounds, body = node.children[2:]
    for place, bound in enumerate(bounds, start=2):
        yield "bound", _replaced(node, place, Tree("add", [bound, number(1)]))
        yield "bound", _replaced(node, place, Tree("subtract", [bound, number(1)]))
    for operator, faulty in _faults(body, scope | {node.children[1]}):
        yield operator, _replaced(node, len(node.children) - 1, faulty)


def _moved(node: Tree, scope: set[str]) -> Iterator[tuple[str, Tree]]:
    """Each index moved by one or replaced by another one in use; beta_1 is beta_2."""
    for place, child in enumerate(node.children):
        if not isinstance(child, Tree):
            continue
        if node.data == "derivative":
            for operator, faulty in _moved(child, scope):
                yield operator, _replaced(node, place, faulty)
        elif child.data == "number" and child.children[0] in NEXT:
            yield "index", _replaced(node, place, number(NEXT[child.children[0]]))
        elif child.data in ("symbol", "add", "subtract") and _is_index(child, scope):
            yield "index", _replaced(node, place, Tree("add", [child, number(1)]))
            yield "index", _replaced(node, place, Tree("subtract", [child, number(1)]))
            for other in sorted(scope - set(child.children)):
                yield "index", _replaced(node, place, Tree("symbol", [other, None]))


def _is_index(node: Tree, scope: set[str]) -> bool:
    return any(s.children[0] in scope | {"t"} for s in node.find_data("symbol"))
