"""Formulas as sympy trees, read in three ways: as LaTeX, exactly, and in float64.

The trees are built unevaluated (`add`, `mul`), so that they are printed as they were written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy as sp
from sympy.printing.latex import LatexPrinter

# What the heads of a tree stand for. Keys: a Symbol, an IndexedBase, or a tuple of them for a
# Partial. Exact values: expressions, or functions of the indices. Float values: numbers, or
# arrays whose indices start at 1 (see `Array`).
Values = Mapping[Any, Any]


class Partial(sp.Expr):
    """A partial derivative as a name: Partial(ell, x[i]) prints as ∂ℓ/∂x_i.

    Its value comes from Values under the key (ell, x); sympy does not differentiate it.
    """

    is_commutative = True

    def __new__(cls, of: sp.Expr, *wrt: sp.Expr) -> Partial:
        return sp.Expr.__new__(cls, of, *wrt)

    @property
    def key(self) -> tuple:
        return tuple(_head(a) for a in self.args)

    @property
    def indices(self) -> tuple:
        return tuple(i for a in self.args if isinstance(a, sp.Indexed) for i in a.indices)


def parts(node: sp.Sum) -> tuple[sp.Expr, tuple]:
    """(what is summed, (index, first, last)) of the outermost sum; sympy merges nested ones."""
    *inner, limit = node.limits
    return sp.Sum(node.function, *inner) if inner else node.function, limit


def _head(node: sp.Expr) -> sp.Expr:
    return node.base if isinstance(node, sp.Indexed) else node


def add(*terms: Any) -> sp.Expr:
    return sp.Add(*terms, evaluate=False)


def mul(*factors: Any) -> sp.Expr:
    return sp.Mul(*factors, evaluate=False)


def minus(term: Any) -> sp.Expr:
    return mul(-1, term)


def over(numerator: Any, denominator: Any) -> sp.Expr:
    """A fraction; over(1, x) prints as 1/x and keeps apart from the factors around it."""
    return mul(numerator, sp.Pow(denominator, -1, evaluate=False))


def holds(condition: sp.Basic) -> sp.Expr:
    """Iverson's bracket: 1 where the condition holds, else 0; prints as [condition]."""
    return sp.Piecewise((1, condition), (0, True), evaluate=False)


class _Printer(LatexPrinter):
    """sympy's LaTeX in the order of writing, without needless braces."""

    def __init__(self, inline: bool) -> None:
        super().__init__({"order": "none", "fold_short_frac": inline})

    def _print_Indexed(self, node: sp.Indexed) -> str:  # noqa: N802
        return f"{self._print(node.base)}_{{{','.join(map(self._print, node.indices))}}}"

    def _print_Mul(self, node: sp.Mul) -> str:  # noqa: N802
        if len(node.args) == 2 and node.args[0] == 1:  # over(1, x), not "1 · 1/x"
            return self._print(node.args[1])
        return super()._print_Mul(node)

    def _needs_mul_brackets(self, node: sp.Expr, first: bool = False, last: bool = False) -> bool:
        if isinstance(node, sp.Piecewise):  # brackets of its own
            return False
        inner_minus = not first and self._print(node).startswith("-")
        return inner_minus or super()._needs_mul_brackets(node, first, last)

    def _print_Partial(self, node: Partial) -> str:  # noqa: N802
        of, *wrt = map(self._print, node.args)
        order = "" if len(wrt) == 1 else f"^{{{len(wrt)}}}"
        below = " ".join(r"\partial " + w for w in wrt)
        if self._settings["fold_short_frac"]:
            return rf"\partial{order} {of} / {below}"
        return rf"\frac{{\partial{order} {of}}}{{{below}}}"

    def _print_Sum(self, node: sp.Sum) -> str:  # noqa: N802
        summand, (index, first, last) = parts(node)
        body = self._print(summand)
        if summand.is_Add or body.startswith("-"):
            body = rf"\left({body}\right)"
        return rf"\sum_{{{index}={self._print(first)}}}^{{{self._print(last)}}} {body}"

    def _print_Piecewise(self, node: sp.Piecewise) -> str:  # noqa: N802
        (_, condition), _ = node.args  # see `holds`
        return rf"\left[{self._print(condition)}\right]"

    def _print_Mod(self, node: sp.Mod, exp: str | None = None) -> str:  # noqa: N802
        value, modulus = node.args
        return rf"\left({self._print(value)}\right) \bmod {self._print(modulus)}"

    def _print_Derivative(self, node: sp.Derivative) -> str:  # noqa: N802
        (variable,) = node.variables
        body = self._print(node.expr)
        return rf"\frac{{d}}{{d {self._print(variable)}}} \left({body}\right)"

    def _print_KroneckerDelta(self, node: sp.KroneckerDelta, exp: str | None = None) -> str:  # noqa: N802
        return rf"\delta_{{{''.join(map(self._print, node.args))}}}"


def latex(node: sp.Basic, *, inline: bool = False) -> str:
    """LaTeX that pandoc turns into MathML and Typst; inline: fractions with a slash."""
    return _Printer(inline).doprint(node)


def decimal(value: float, digits: int = 3) -> str:
    """A number in LaTeX with so many significant digits, e.g. 3.1 \\times 10^{-9}."""
    mantissa, _, exponent = f"{float(value):.{digits}g}".partition("e")
    return rf"{mantissa} \times 10^{{{int(exponent)}}}" if exponent else mantissa


# --- exactly ---------------------------------------------------------------------------------


def exact(node: sp.Basic, values: Values) -> sp.Basic:
    """The tree's value in `values`; what is not in them stays as it is. Finite sums unroll."""

    def read(key: Any, default: sp.Basic, indices: tuple) -> sp.Basic:
        value = values.get(key)
        return default if value is None else value(*indices) if callable(value) else value

    if isinstance(node, sp.Symbol):
        return read(node, node, ())
    if isinstance(node, sp.Indexed):
        indices = tuple(exact(i, values) for i in node.indices)
        return read(node.base, node.base[indices], indices)
    if isinstance(node, Partial):
        return read(node.key, node, tuple(exact(i, values) for i in node.indices))
    if isinstance(node, sp.Sum):
        return _exact_sum(node, values)
    if isinstance(node, sp.Limit):
        body, variable, point, _ = node.args
        return sp.limit(exact(body, values), variable, point, "-")
    if isinstance(node, sp.Derivative):
        return sp.diff(exact(node.expr, values), *node.variables)
    return node.func(*(exact(a, values) for a in node.args)) if node.args else node


def _exact_sum(node: sp.Sum, values: Values) -> sp.Expr:
    summand, (index, first, last) = parts(node)
    first, last = exact(first, values), exact(last, values)
    if first.is_Integer and last.is_Integer:
        terms = (exact(summand, {**values, index: k}) for k in range(first, last + 1))
        return sp.Add(*map(sp.sympify, terms))
    return sp.Sum(exact(summand, {**values, index: index}), (index, first, last))


def vanishes(difference: sp.Expr) -> bool:
    """Whether an expression in free atoms is zero: its numerator, multiplied out, is 0."""
    if sp.numer(sp.together(difference)).expand() == 0:
        return True
    if difference.has(sp.log):
        difference = sp.expand_log(difference, force=True)
        return sp.simplify(difference) == 0 or sp.simplify(sp.exp(difference) - 1) == 0
    return difference.has(sp.Pow) and sp.simplify(difference) == 0


def is_nonnegative(difference: sp.Expr) -> bool:
    """Whether a rational expression in atoms declared nonnegative is nonnegative.

    The certificate is sufficient, not necessary: all coefficients of numerator and denominator,
    multiplied out, are nonnegative.
    """
    if difference.is_number:
        return bool(difference >= 0)
    if not all(s.is_nonnegative for s in difference.free_symbols):
        return False
    parts = sp.fraction(sp.cancel(sp.together(difference)))
    polynomials = [sp.Poly(p, *sorted(difference.free_symbols, key=str)) for p in parts]
    signs = {bool(c >= 0) for p in polynomials for c in p.coeffs()}
    return len(signs) == 1  # both all-nonnegative, or both all-negative


# --- in float64 ------------------------------------------------------------------------------


class Array:
    """Float values behind an indexed name; indices start at `first`, outside is NaN."""

    def __init__(self, values: Any, first: int = 1) -> None:
        self.values, self.first = np.asarray(values, dtype=float), first

    def __getitem__(self, indices: tuple[np.ndarray, ...]) -> np.ndarray:
        at = np.broadcast_arrays(*(np.asarray(i, dtype=float) - self.first for i in indices))
        inside = np.logical_and.reduce(
            [(i >= 0) & (i < n) & (i % 1 == 0) for i, n in zip(at, self.values.shape, strict=True)]
        )
        found = self.values[tuple(np.where(inside, i, 0).astype(int) for i in at)]
        return np.where(inside, found, np.nan)


_FLOAT: dict[type, Callable] = {
    sp.Add: lambda *a: sum(a[1:], start=a[0]),
    sp.Mul: lambda *a: math.prod(a[1:], start=a[0]),
    sp.Pow: np.power,
    sp.exp: np.exp,
    sp.log: np.log,
    sp.floor: np.floor,
    sp.Mod: np.mod,
    sp.KroneckerDelta: lambda a, b: np.equal(a, b).astype(float),
    sp.Tuple: lambda *a: np.stack(np.broadcast_arrays(*a)),
    sp.Le: np.less_equal,
    sp.Lt: np.less,
    sp.Ge: np.greater_equal,
    sp.Gt: np.greater,
    sp.Eq: np.equal,
    sp.Ne: np.not_equal,
}


def number(node: sp.Basic, values: Values, depth: int = 0) -> np.ndarray:
    """The tree's value in float64.

    depth : axes in use. An index is a whole range laid along an axis of its own, so a formula in
    i gives its value for every i, and a sum over j adds an axis in front and sums it up.
    """
    if node.is_Number:
        return np.float64(node)
    if node in (sp.true, sp.false):
        return np.asarray(bool(node))
    if isinstance(node, sp.Symbol):
        return np.asarray(values[node])
    if isinstance(node, sp.Indexed):
        return values[node.base][tuple(number(i, values, depth) for i in node.indices)]
    if isinstance(node, Partial):
        indices = tuple(number(i, values, depth) for i in node.indices)
        return values[node.key][indices] if indices else np.asarray(values[node.key])
    if isinstance(node, sp.Sum):
        summand, (index, first, last) = parts(node)
        span = axis(number(first, values, depth), number(last, values, depth), depth)
        body = number(summand, {**values, index: span}, depth + 1)
        same = (1,) * (depth + 1 - np.ndim(body)) + np.shape(body)  # does not depend on the index
        body = np.broadcast_to(np.reshape(body, same), (span.shape[0], *same[1:]))
        return body.sum(axis=0)
    if isinstance(node, sp.Derivative):  # complex step: exact to rounding for analytic functions
        (variable,) = node.variables
        shifted = number(node.expr, {**values, variable: values[variable] + 1e-30j}, depth)
        return np.imag(shifted) / 1e-30
    if isinstance(node, sp.Limit):
        return _float_limit(node, values, depth)
    if isinstance(node, sp.Piecewise):
        (_, condition), _ = node.args  # see `holds`
        return number(condition, values, depth).astype(float)
    return _FLOAT[node.func](*(number(a, values, depth) for a in node.args))


def axis(first: Any, last: Any, depth: int) -> np.ndarray:
    """The indices first..last along a new leading axis, `depth` axes behind it."""
    return np.arange(int(first), int(last) + 1, dtype=float).reshape(-1, *(1,) * depth)


def _float_limit(node: sp.Limit, values: Values, depth: int) -> np.ndarray:
    """Limit from the left by Neville's extrapolation of values at shrinking distances."""
    body, variable, point, _ = node.args
    steps = 0.4 * 0.55 ** np.arange(9)
    table = [number(body, {**values, variable: float(point) - h}, depth) for h in steps]
    for order in range(1, len(steps)):
        for k in range(len(steps) - order):
            near, far = steps[k + order], steps[k]
            table[k] = (far * table[k + 1] - near * table[k]) / (far - near)
    return table[0]
