"""Small faults in a formula, made by operators on its tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import sympy as sp

from hw3lib.derivations.claims import AT_MOST, Claim
from hw3lib.derivations.terms import Partial, add, holds, minus, mul, parts

LEAVES = (sp.Symbol, sp.Indexed, Partial, sp.Number)


def mutants(claim: Claim) -> Iterator[tuple[str, Claim]]:
    """(operator, faulty claim), for every operator at every place of every side."""
    scope = {index for index, *_ in claim.over}
    for place, side in enumerate(claim.sides):
        for operator, faulty in _faults(side, scope):
            if faulty != side:
                sides = (*claim.sides[:place], faulty, *claim.sides[place + 1 :])
                yield operator, replace(claim, sides=sides)
    if claim.where != sp.true:
        yield "dropped condition", replace(claim, where=sp.true)
    for place, relation in enumerate(claim.relations):
        if relation == AT_MOST:
            sides = list(claim.sides)
            sides[place], sides[place + 1] = sides[place + 1], sides[place]
            yield "relation turned round", replace(claim, sides=tuple(sides))


def _faults(node: sp.Basic, scope: set) -> Iterator[tuple[str, sp.Basic]]:
    """Every fault within a node that stands where a value stands."""
    if node == 0:  # -0 and 2 * 0 are no faults
        yield "offset", sp.Integer(1)
    elif not isinstance(node, (sp.Tuple, sp.logic.boolalg.Boolean)):
        yield "sign", minus(node)
        yield "factor", mul(2, node)
        yield "offset", add(node, 1)
    if isinstance(node, (sp.Add, sp.Mul)) and len(node.args) > 1:
        for k in (k for k, arg in enumerate(node.args) if arg != node.identity):
            rest = node.args[:k] + node.args[k + 1 :]
            yield "dropped term", node.func(*rest, evaluate=False) if len(rest) > 1 else rest[0]
    if isinstance(node, sp.Pow):
        yield "dropped power", node.base
    if isinstance(node, (sp.floor, sp.log, sp.exp)):
        yield "dropped function", node.args[0]
    if isinstance(node, sp.Piecewise):  # a bracket; its 1 and 0 are not written
        (_, condition), _ = node.args
        for operator, faulty in _faults(condition, scope):
            yield operator, holds(faulty)
        return
    if isinstance(node, sp.Rel):
        strict = {sp.Le: sp.Lt, sp.Ge: sp.Gt}[node.func]
        yield "relation", strict(*node.args, evaluate=False)
    if isinstance(node, (sp.Indexed, Partial, sp.KroneckerDelta)):
        yield from _index_faults(node, scope)
    elif isinstance(node, sp.Sum):
        yield from _sum_faults(node, scope)
    elif not isinstance(node, LEAVES):
        yield from _inner_faults(node, scope)


def _inner_faults(node: sp.Basic, scope: set) -> Iterator[tuple[str, sp.Basic]]:
    if isinstance(node, sp.Limit):
        body, variable, point, _ = node.args
        yield "limit point", sp.Limit(body, variable, point - 1, "-")
    if isinstance(node, (sp.Limit, sp.Derivative)):
        for operator, faulty in _faults(node.args[0], scope):
            yield operator, node.func(faulty, *node.args[1:])
        return
    for k, child in enumerate(node.args):
        for operator, faulty in _faults(child, scope):
            yield operator, _rebuilt(node, (*node.args[:k], faulty, *node.args[k + 1 :]))


def _rebuilt(node: sp.Basic, args: tuple) -> sp.Basic:
    if isinstance(node, (sp.Add, sp.Mul, sp.Pow, sp.Rel, sp.floor)):
        return node.func(*args, evaluate=False)
    return node.func(*args)


def _sum_faults(node: sp.Sum, scope: set) -> Iterator[tuple[str, sp.Basic]]:
    summand, (index, first, last) = parts(node)
    for shift in (-1, 1):
        yield "lower bound", sp.Sum(summand, (index, first + shift, last))
        yield "upper bound", sp.Sum(summand, (index, first, last + shift))
    for operator, faulty in _faults(summand, scope | {index}):
        yield operator, sp.Sum(faulty, (index, first, last))


def _index_faults(node: sp.Basic, scope: set) -> Iterator[tuple[str, sp.Basic]]:
    """Each index moved by one, or replaced by another that means something here."""
    if isinstance(node, Partial):
        for k, child in enumerate(node.args):
            if isinstance(child, sp.Indexed):
                for operator, faulty in _index_faults(child, scope):
                    yield operator, Partial(*node.args[:k], faulty, *node.args[k + 1 :])
        return
    first = 0 if isinstance(node, sp.KroneckerDelta) else 1
    for k in range(first, len(node.args)):
        index = node.args[k]
        others = [index + 1, index - 1, *sorted(scope - {index}, key=str)]
        for other in others:
            yield "index", node.func(*node.args[:k], other, *node.args[k + 1 :])
