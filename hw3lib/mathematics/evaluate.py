"""A formula's tree in float64, at every value of its indices at once.

Each number carries the size of what went into it, so that rounding can be told from a difference:
an error in the last digit of a sum of thousands is no error in a result of 0.001.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from lark import Tree

from hw3lib.mathematics.formula import key

if TYPE_CHECKING:
    from hw3lib.mathematics.settings import Case

NEARER = 4.0 ** -np.arange(6)  # the points from which a limit is extrapolated
MOST_TERMS = 1000


class NoMeaningError(Exception):
    """The formula means nothing here: an unknown symbol, an index out of range, an empty sum."""


class UndecidedError(Exception):
    """The formula has no value here that could be compared."""


class Number(NamedTuple):
    """value; size : 2^-53 times it bounds the rounding error to first order. Both broadcast."""

    value: np.ndarray
    size: np.ndarray


@dataclass(frozen=True)
class Scope:
    """Where a formula is evaluated.

    indices : each on an axis of its own, the innermost first
    mask    : the points that matter; elsewhere nothing is a fault
    depth   : axes in use
    """

    case: Case
    indices: dict[str, np.ndarray]
    mask: np.ndarray
    depth: int


def evaluate(node: Tree, scope: Scope) -> Number:
    """The node's value at all points of the scope.

    Raises
    ------
    NoMeaningError, UndecidedError
    """
    return _RULES[node.data](node.children, scope)


def read(name: str | tuple[str, ...], subscripts: Sequence[Tree], scope: Scope) -> Number:
    """A value of the setting: a symbol's, or, for a tuple of names, a partial derivative's."""
    case = scope.case
    shown = (
        name if isinstance(name, str) else f"derivative of {name[0]} by {' and '.join(name[1:])}"
    )
    if name not in case.values:
        hint = "; if it is an index, say so by each" if len(shown) == 1 and not subscripts else ""
        raise NoMeaningError(f"the setting {case.setting.name} knows no {shown}{hint}")
    array, first = np.asarray(case.values[name]), case.setting.first.get(name, 1)
    if array.ndim != len(subscripts):
        raise NoMeaningError(f"{shown} takes {array.ndim} indices, not {len(subscripts)}")
    at = [_index(s, scope) - first for s in subscripts]
    for place, length in zip(at, array.shape, strict=True):
        outside = scope.mask & ((place < 0) | (place >= length))
        if outside.any():
            wrong = np.broadcast_to(place, outside.shape)[outside][0] + first
            raise NoMeaningError(
                f"index {wrong} of {shown} is outside {first} to {length + first - 1}"
            )
    inside = tuple(np.clip(p, 0, n - 1) for p, n in zip(at, array.shape, strict=True))
    value = array[inside].astype(float)
    return Number(value, np.maximum(np.abs(value), case.rounding.get(name, 0.0)))


def _index(node: Tree, scope: Scope) -> np.ndarray:
    for product in node.find_data("multiply"):
        if product.children[0].data != "number":
            raise NoMeaningError("two indices where one is meant")  # x_{ij} is no product
    return whole(node, scope)


def whole(node: Tree, scope: Scope) -> np.ndarray:
    value = evaluate(node, scope).value
    nearest = np.rint(value)
    if (scope.mask & ~(np.abs(value - nearest) < 1e-9)).any():
        raise NoMeaningError("an index is not a whole number")
    return np.where(np.isfinite(nearest), nearest, 0).astype(int)


def _number(children: list, scope: Scope) -> Number:
    value = np.float64(children[0])
    return Number(value, value)


def _symbol(children: list, scope: Scope) -> Number:
    name, subscript = children
    if subscript is None and name in scope.indices:
        value = scope.indices[name].astype(float)
        return Number(value, np.abs(value))
    if subscript is None and name == "e":
        return Number(np.float64(math.e), np.float64(math.e))
    full = key(Tree("symbol", children))
    return (
        read(full, [], scope)
        if full in scope.case.values
        else read(name, subscripts(children), scope)
    )


def subscripts(children: list) -> list[Tree]:
    return [] if children[1] is None else [children[1]]


def _derivative(children: list, scope: Scope) -> Number:
    names, indices = [], []
    for symbol in children:
        full = key(symbol)
        scalar = symbol.data == "power" or symbol.children[1] is None or full in scope.case.values
        names.append(full if scalar else symbol.children[0])
        indices += [] if scalar else subscripts(symbol.children)
    return read(tuple(names), indices, scope)


def _delta(children: list, scope: Scope) -> Number:
    if len(children) != 2:
        raise NoMeaningError("a Kronecker delta takes two indices")
    a, b = (_index(c, scope) for c in children)
    same = (a == b).astype(float)
    return Number(same, same)


def _big(children: list, scope: Scope) -> Number:
    kind, index, *bounds, body = children
    if index in scope.case.values:
        raise NoMeaningError(
            f"{index} is a symbol of the setting {scope.case.setting.name}, not an index"
        )
    low, high = 1, scope.case.size
    if len(bounds) == 2:
        low, high = (whole(b, scope) for b in bounds)
    if np.max(high) - np.min(low) > MOST_TERMS:
        raise UndecidedError(f"the {kind} over {index} has more than {MOST_TERMS} terms")
    span = np.arange(np.min(low), np.max(high) + 1).reshape(-1, *(1,) * scope.depth)
    mask = (span >= low) & (span <= high) & scope.mask
    if len(bounds) == 1:
        mask = mask & (span != whole(bounds[0], scope))
    if (scope.mask & ~mask.any(axis=0)).any():
        raise NoMeaningError(f"the {kind} over {index} is empty for {scope.case.told()}")
    inner = replace(scope, indices=scope.indices | {index: span}, mask=mask, depth=scope.depth + 1)
    value, size, mask = np.broadcast_arrays(*evaluate(body, inner), mask)
    if kind == "sum":
        return Number(np.where(mask, value, 0).sum(0), np.where(mask, size, 0).sum(0))
    product = np.where(mask, value, 1).prod(0)
    return Number(product, np.abs(product) * np.where(mask, size / np.abs(value), 0).sum(0))


def _limit(children: list, scope: Scope) -> Number:
    """By Neville's extrapolation."""
    name, point, body = children
    case, to = scope.case, evaluate(point, scope).value
    low, high = case.setting.moves.get(name, (np.inf, -np.inf))
    if np.ndim(to) or not low <= to <= high:
        raise NoMeaningError(f"the setting {case.setting.name} knows no limit in {name} there")
    side = -1 if to == high else 1  # from inside
    gaps = 0.3 / (case.size + 1) * NEARER
    found = [
        evaluate(body, replace(scope, case=case.moved(name, float(to + side * h)))) for h in gaps
    ]
    table = [n.value for n in found]
    for order in range(1, len(NEARER)):
        before = table[0]
        ratio = 4.0**order
        table = [(ratio * b - a) / (ratio - 1) for a, b in pairwise(table)]
    size, error = np.max([n.size for n in found], axis=0), np.abs(table[0] - before)
    if (scope.mask & ~(error <= 1e-7 * size)).any():
        raise UndecidedError(f"the limit in {name} does not settle for {case.told()}")
    return Number(table[0], 10 * size + 1e13 * error)


def _add(children: list, scope: Scope, sign: int = 1) -> Number:
    a, b = (evaluate(c, scope) for c in children)
    return Number(a.value + sign * b.value, a.size + b.size)


def _negative(children: list, scope: Scope) -> Number:
    a = evaluate(children[0], scope)
    return Number(-a.value, a.size)


def _multiply(children: list, scope: Scope) -> Number:
    a, b = (evaluate(c, scope) for c in children)
    return Number(a.value * b.value, np.abs(a.value) * b.size + a.size * np.abs(b.value))


def _divide(children: list, scope: Scope) -> Number:
    a, b = (evaluate(c, scope) for c in children)
    value = a.value / b.value
    return Number(value, (a.size + np.abs(value) * b.size) / np.abs(b.value))


def _power(children: list, scope: Scope) -> Number:
    a, n = (evaluate(c, scope) for c in children)
    value = a.value**n.value
    _in_range(value, a.value != 0, scope)
    base = np.where(a.value == 0, 1, np.abs(a.value))
    relative = 1 + np.abs(n.value) * a.size / base + np.abs(np.log(base)) * n.size
    size = np.where(a.value == 0, a.size ** np.abs(n.value), np.abs(value) * relative)
    return Number(value, size)


def _in_range(value: np.ndarray, nonzero: np.ndarray, scope: Scope) -> None:
    """K^-400 is not 0, nor 1 / K^400: a power must not leave the range of the machine unseen."""
    if (scope.mask & (np.isinf(value) | (nonzero & (value == 0)))).any():
        raise UndecidedError("a power is beyond what the machine can hold")


def _root(children: list, scope: Scope) -> Number:
    a = evaluate(children[0], scope)
    value = np.sqrt(a.value)
    return Number(value, np.where(value == 0, np.sqrt(a.size), value + a.size / value))


def _call(children: list, scope: Scope) -> Number:
    function, a = children[0], evaluate(children[1], scope)
    if function == "exp":
        value = np.exp(a.value)
        _in_range(value, np.True_, scope)
        return Number(value, value * (1 + a.size))
    value = np.log(a.value)
    return Number(value, np.abs(value) + a.size / np.abs(a.value))


def _floor(children: list, scope: Scope, sign: int = 1) -> Number:
    """1e-9: no fraction of whole numbers below 10^9 lies that near to the next whole number."""
    value = sign * np.floor(sign * evaluate(children[0], scope).value + 1e-9)
    return Number(value, np.abs(value))


def _absolute(children: list, scope: Scope) -> Number:
    a = evaluate(children[0], scope)
    return Number(np.abs(a.value), a.size)


_RULES = {
    "number": _number, "symbol": _symbol, "derivative": _derivative, "delta": _delta, "big": _big,
    "limit": _limit, "add": _add, "negative": _negative, "multiply": _multiply, "divide": _divide,
    "power": _power, "root": _root, "call": _call, "floor": _floor, "absolute": _absolute,
    "subtract": lambda children, scope: _add(children, scope, -1),
    "ceil": lambda children, scope: _floor(children, scope, -1),
}  # fmt: skip
