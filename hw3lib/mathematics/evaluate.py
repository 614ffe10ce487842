"""A formula's tree in float64, at every value of its indices at once.

Each number carries the size of what went into it, so that rounding can be told from a difference:
an error in the last digit of a sum of thousands is no error in a result of 0.001.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from lark import Tree

from hw3lib.mathematics.formula import key
from hw3lib.mathematics.settings import Case, moved

NEARER = 4.0 ** -np.arange(6)  # the points from which a limit is extrapolated
POINTS = 10**6  # of one case: values of all indices together


class NoMeaningError(Exception):
    """The formula means nothing here: an unknown symbol, an index out of range, an empty sum."""


class TooLargeError(Exception):
    """The case has more than POINTS."""


@dataclass(frozen=True, eq=False)
class Number:
    """value; size : 2^-53 times it bounds the rounding error to first order. Both broadcast.

    NaN is a value that does not exist, or that a float64 cannot hold.
    """

    value: np.ndarray
    size: np.ndarray

    def __add__(self, other: Number) -> Number:
        return Number(self.value + other.value, self.size + other.size)

    def __neg__(self) -> Number:
        return Number(-self.value, self.size)

    def __sub__(self, other: Number) -> Number:
        return self + -other

    def __mul__(self, other: Number) -> Number:
        size = np.abs(self.value) * other.size + self.size * np.abs(other.value)
        return Number(self.value * other.value, size)

    def __truediv__(self, other: Number) -> Number:
        value = self.value / other.value
        return Number(value, (self.size + np.abs(value) * other.size) / np.abs(other.value))

    def __pow__(self, other: Number) -> Number:
        value = _in_range(self.value**other.value, self.value != 0)
        base = np.where(self.value == 0, 1, np.abs(self.value))
        relative = np.abs(other.value) * self.size / base + np.abs(np.log(base)) * other.size
        of_zero = self.size ** np.abs(other.value)
        return Number(value, np.where(self.value == 0, of_zero, np.abs(value) * (1 + relative)))

    def __abs__(self) -> Number:
        return Number(np.abs(self.value), self.size)

    def root(self) -> Number:
        value = np.sqrt(self.value)
        return Number(value, np.where(value == 0, np.sqrt(self.size), value + self.size / value))

    def exp(self) -> Number:
        value = _in_range(np.exp(self.value), np.True_)
        return Number(value, value * (1 + self.size))

    def log(self) -> Number:
        value = np.log(self.value)
        return Number(value, np.abs(value) + self.size / np.abs(self.value))

    def floor(self) -> Number:
        """1e-9: no fraction of whole numbers below 10^9 lies that near to the next one."""
        value = np.floor(self.value + 1e-9)
        return Number(value, np.abs(value))

    def ceil(self) -> Number:
        return -(-self).floor()


def _in_range(value: np.ndarray, nonzero: np.ndarray) -> np.ndarray:
    """K^-400 is not 0, nor 1 / K^400: a power must not leave the range of the machine unseen."""
    return np.where(np.isinf(value) | (nonzero & (value == 0)), np.nan, value)


@dataclass(frozen=True)
class Scope:
    """Where a formula is evaluated.

    indices : each on an axis of its own
    mask    : the points that matter; elsewhere nothing is a fault
    """

    case: Case
    indices: dict[str, np.ndarray]
    mask: np.ndarray

    def over(self, index: str, low: np.ndarray, high: np.ndarray) -> Scope:
        """The scope with one more index, on a new first axis, from low to high."""
        if index in self.case.values or not self.case.size:
            raise NoMeaningError(f"{index} is no index in the setting {self.case.setting.name}")
        if (np.max(high) - np.min(low) + 1) * self.mask.size > POINTS:
            raise TooLargeError
        span = np.arange(np.min(low), np.max(high) + 1).reshape(-1, *(1,) * self.mask.ndim)
        mask = (span >= low) & (span <= high) & self.mask
        return Scope(self.case, self.indices | {index: span}, mask)


def evaluate(node: Tree, scope: Scope) -> Number:
    """The node's value at all points of the scope.

    Raises
    ------
    NoMeaningError, TooLargeError
    """
    if node.data in _OPERATIONS:
        return _OPERATIONS[node.data](*(evaluate(c, scope) for c in node.children))
    return _RULES[node.data](node.children, scope)


def _read(name: str | tuple[str, ...], subscripts: list[Tree], scope: Scope) -> Number:
    """A value of the setting: a symbol's, or, for a tuple of names, a partial derivative's."""
    case, shown = scope.case, name
    if isinstance(name, tuple):
        shown = f"derivative of {name[0]} by {' and '.join(name[1:])}"
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
    rounding = np.broadcast_to(case.rounding.get(name, 0.0), array.shape)[inside]
    value = array[inside].astype(float)
    return Number(value, np.maximum(np.abs(value), rounding))


def _index(node: Tree, scope: Scope) -> np.ndarray:
    for product in node.find_data("multiply"):
        if product.children[0].data != "number":
            raise NoMeaningError("two indices where one is meant")  # x_{ij} is no product
    return _whole(node, scope)


def _whole(node: Tree, scope: Scope) -> np.ndarray:
    value = evaluate(node, scope).value
    nearest = np.rint(value)
    if (scope.mask & ~(np.abs(value - nearest) < 1e-9)).any():
        raise NoMeaningError("an index is not a whole number")
    return np.where(np.isfinite(nearest), nearest, 0).astype(int)


def _exact(value: np.ndarray) -> Number:
    return Number(np.asarray(value, dtype=float), np.abs(value))


def _symbol(children: list, scope: Scope) -> Number:
    name, subscript = children
    if subscript is None and name in scope.indices:
        return _exact(scope.indices[name])
    if subscript is None and name == "e":
        return _exact(np.e)
    return _read(*_named(Tree("symbol", children), scope), scope)


def _named(symbol: Tree, scope: Scope) -> tuple[str, list[Tree]]:
    """Its name in the setting and its indices: the subscript of beta_1 is none."""
    full = key(symbol)
    if symbol.data == "power" or symbol.children[1] is None or full in scope.case.values:
        return full, []
    return symbol.children[0], [symbol.children[1]]


def _derivative(children: list, scope: Scope) -> Number:
    named = [_named(symbol, scope) for symbol in children]
    return _read(tuple(n for n, _ in named), [i for _, indices in named for i in indices], scope)


def _delta(children: list, scope: Scope) -> Number:
    if len(children) != 2:
        raise NoMeaningError("a Kronecker delta takes two indices")
    a, b = (_index(c, scope) for c in children)
    return _exact(a == b)


def _big(children: list, scope: Scope) -> Number:
    kind, index, *bounds, body = children
    whole = (1, scope.case.size)
    low, high = (_whole(b, scope) for b in bounds) if len(bounds) == 2 else whole
    inner = scope.over(index, low, high)
    if len(bounds) == 1:
        inner = replace(inner, mask=inner.mask & (inner.indices[index] != _whole(bounds[0], scope)))
    if (scope.mask & ~inner.mask.any(axis=0)).any():
        raise NoMeaningError(f"the {kind} over {index} is empty for {scope.case.told()}")
    term = evaluate(body, inner)
    value, size, mask = np.broadcast_arrays(term.value, term.size, inner.mask)
    if kind == "sum":
        return Number(np.where(mask, value, 0).sum(0), np.where(mask, size, 0).sum(0))
    product = np.where(mask, value, 1).prod(0)
    return Number(product, np.abs(product) * np.where(mask, size / np.abs(value), 0).sum(0))


def _limit(children: list, scope: Scope) -> Number:
    """By Neville's extrapolation; NaN where it does not settle."""
    name, point, body = children
    case, to = scope.case, evaluate(point, scope).value
    low, high = case.setting.moves.get(name, (np.inf, -np.inf))
    if np.ndim(to) or not low <= to <= high:
        raise NoMeaningError(f"the setting {case.setting.name} knows no limit in {name} there")
    side = -1 if to == high else 1  # from inside
    near = [moved(case, name, float(to + side * h)) for h in 0.3 / (case.size + 1) * NEARER]
    found = [evaluate(body, replace(scope, case=c)) for c in near]
    table = [n.value for n in found]
    for order in range(1, len(NEARER)):
        before, ratio = table[0], 4.0**order
        table = [(ratio * b - a) / (ratio - 1) for a, b in pairwise(table)]
    size, error = np.max([n.size for n in found], axis=0), np.abs(table[0] - before)
    return Number(np.where(error <= 1e-7 * size, table[0], np.nan), 10 * size + 1e13 * error)


_OPERATIONS = {
    "add": operator.add, "subtract": operator.sub, "negative": operator.neg,
    "multiply": operator.mul, "divide": operator.truediv, "power": operator.pow,
    "absolute": abs, "root": Number.root, "exp": Number.exp, "log": Number.log,
    "floor": Number.floor, "ceil": Number.ceil,
}  # fmt: skip
_RULES = {
    "number": lambda children, scope: _exact(float(children[0])),
    "symbol": _symbol, "derivative": _derivative, "delta": _delta, "big": _big, "limit": _limit,
}  # fmt: skip
