"""Checking a Claim: its algebra size by size, its numbers case by case."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import sympy as sp

from hw3lib.derivations.claims import (
    AT_MOST,
    EQUAL,
    Checked,
    Claim,
    Counterexample,
    Oracle,
    World,
)
from hw3lib.derivations.terms import (
    Array,
    Partial,
    Values,
    axis,
    decimal,
    exact,
    is_nonnegative,
    latex,
    number,
)

SMALL = 1e-3  # magnitudes below this count as this one in relative errors


@cache
def check(
    claim: Claim,
    *,
    cases: int | None = None,
    seed: int = 0,
    algebra: bool = True,
    numbers: bool = True,
) -> Checked:
    """Check a Claim by algebra and by numbers.

    cases : random cases of each oracle; None takes the oracle's own count
    """
    compared, found = [], None
    for oracle in claim.world.oracles if numbers else ():
        tried, worst, found = _compare(claim, oracle, cases or oracle.cases, seed)
        compared.append((oracle, tried, worst))
        if found:
            break
    proved = None
    if algebra and claim.world.sizes:
        residual = _prove(claim)
        proved, found = residual is None, found or residual
    return Checked(claim, proved, tuple(compared), found)


@cache
def _exact_values(world: World, size: Any) -> Values:
    return world.exact(size)


def _prove(claim: Claim) -> Counterexample | None:
    """None if every step holds exactly at every size of the World, else what is left over."""
    for size in claim.world.sizes:
        values = _exact_values(claim.world, size)
        spans = [
            range(int(exact(sp.sympify(a), values)), int(exact(sp.sympify(b), values)) + 1)
            for _, a, b in claim.over
        ]
        for point in itertools.product(*spans):
            here = {
                **values,
                **{i: sp.Integer(k) for (i, *_), k in zip(claim.over, point, strict=True)},
            }
            if exact(claim.where, here) != sp.true:
                continue
            for left, relation, right in claim.steps():
                a, b = (exact(side, here) for side in (left, right))
                if not _holds(a, relation, b, claim.world.proves):
                    known = ((i, here[i]) for i, *_ in claim.over)
                    at = tuple(f"{latex(i)} = {k}" for i, k in known)
                    return Counterexample(at, latex(a), latex(b))
    return None


def _holds(a: sp.Basic, relation: str, b: sp.Basic, proves: Callable) -> bool:
    if isinstance(a, sp.Tuple) or isinstance(b, sp.Tuple):
        same = isinstance(a, sp.Tuple) and isinstance(b, sp.Tuple) and len(a) == len(b)
        return same and all(proves(x - y) for x, y in zip(a, b, strict=True))
    return proves(a - b) if relation == EQUAL else is_nonnegative(b - a)


@cache
def _samples(oracle: Oracle, cases: int, seed: int) -> list[Values]:
    """Random cases, the smallest first, so that a counter-example is small."""
    rng = np.random.default_rng(seed)
    drawn = sorted((oracle.sample(rng) for _ in range(cases)), key=_weight)
    if oracle.columns:
        return [{key: np.array([float(v[key]) for v in drawn]) for key in drawn[0]}]
    return drawn


def _weight(values: Values) -> float:
    elements = sum(v.values.size for v in values.values() if isinstance(v, Array))
    scalars = (v for v in values.values() if not isinstance(v, Array))
    return 1000 * elements + sum(abs(float(v)) for v in scalars)


def _compare(
    claim: Claim, oracle: Oracle, cases: int, seed: int
) -> tuple[int, float, Counterexample | None]:
    """(cases tried, largest error, None or the first case in which the claim fails)."""
    worst, reached = 0.0, set()
    for count, case in enumerate(_samples(oracle, cases, seed), 1):
        values, grid = _with_indices(claim, case)
        for place, step in enumerate(claim.steps()):
            errors, holds = _errors(claim, step, values, grid)
            if step[1] == AT_MOST:
                sharp = number(claim.sharp[place], values, len(grid))
                reached |= {place} if sharp.any() else set()
                errors = np.where(holds & ~sharp, 0.0, errors)
            at = np.unravel_index(int(np.argmax(errors)), errors.shape)
            worst = max(worst, float(errors[at]))
            if errors[at] > oracle.tolerance:
                tried = int(at[-1]) + 1 if oracle.columns else count
                if oracle.columns:
                    values, at = {k: v[at[-1]] for k, v in values.items()}, at[:-1]
                return tried, worst, _counterexample(claim, step, values, at)
    missing = {p for p, r in enumerate(claim.relations) if r == AT_MOST} - reached
    if missing:
        raise ValueError(f"{claim.name}: no case in which bound {min(missing)} is sharp")
    return cases, worst, None


def _with_indices(claim: Claim, case: Values) -> tuple[Values, tuple[int, ...]]:
    """The case with every free index as a range along its own axis, and the grid they span."""
    values, grid = dict(case), ()
    for depth, (index, first, last) in enumerate(claim.over):
        bounds = (number(sp.sympify(bound), case) for bound in (first, last))
        values[index] = axis(*bounds, depth)
        grid = (values[index].shape[0], *grid)
    return values, grid


def _errors(
    claim: Claim, step: tuple, values: Values, grid: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """(relative errors, whether left <= right), both over the grid; NaN counts as infinite."""
    left, _, right = step
    if _length(left) != _length(right):
        return np.array([np.inf]), np.array([False])
    with np.errstate(all="ignore"):
        a, b = (number(side, values, len(grid)) for side in (left, right))
        shape = np.broadcast_shapes(a.shape, b.shape, grid)
        size = max(np.abs(a).max(), np.abs(b).max(), SMALL)
        errors = np.broadcast_to(np.abs(a - b) / size, shape)
        if claim.where != sp.true:
            errors = np.where(number(claim.where, values, len(grid)), errors, 0.0)
        return np.nan_to_num(errors, nan=np.inf), np.broadcast_to(a <= b, shape)


def _length(side: sp.Basic) -> int:
    return len(side) if isinstance(side, sp.Tuple) else 0


def _counterexample(claim: Claim, step: tuple, values: Values, at: tuple) -> Counterexample:
    """What is needed to work the case out by hand: indices, sizes, short arrays, both sides."""
    left, _, right = step
    known = {}
    for depth, (index, first, _) in enumerate(claim.over):
        known[index] = int(number(sp.sympify(first), values)) + int(at[-1 - depth])
    here, names, bound = {**values, **known}, set(), set()
    for side in (left, right):
        slopes = side.atoms(Partial)
        bare = side.xreplace({slope: sp.Dummy() for slope in slopes})
        names |= slopes | bare.atoms(sp.Indexed) | {s for s in bare.free_symbols if s in values}
        bound |= {limit[0] for node in side.atoms(sp.Sum) for limit in node.limits}
    for name in sorted(names - {left, right, *known}, key=_reading_order):
        known |= _told(name, here, bound)
    with np.errstate(all="ignore"):
        shown = [_at(side, number(side, values, len(claim.over)), at) for side in (left, right)]
    where = tuple(f"{latex(name, inline=True)} = {_short(value)}" for name, value in known.items())
    return Counterexample(where, *map(_short, shown))


def _reading_order(name: sp.Basic) -> tuple:
    return isinstance(name, Partial), isinstance(name, sp.Indexed), str(name)


def _told(name: sp.Basic, values: Values, bound: set) -> dict[sp.Basic, Any]:
    """The value of a name; of one that is summed over, every element if they are few."""
    if isinstance(name, sp.Symbol):
        return {name: values[name]}
    found = values[name.key if isinstance(name, Partial) else name.base]
    if not isinstance(found, Array):
        return {name: found}
    at = {i: int(number(i, values)) for i in name.indices if not i.free_symbols & bound}
    if len(at) == len(set(name.indices)):
        element = name.xreplace({i: sp.Integer(k) for i, k in at.items()})
        return {element: found[tuple(at[i] for i in name.indices)]}
    if found.values.ndim > 1 or found.values.size > 4:
        return {}
    (index,) = name.indices
    elements = enumerate(found.values, found.first)
    return {name.xreplace({index: sp.Integer(k)}): value for k, value in elements}


def _at(side: sp.Basic, value: np.ndarray, at: tuple) -> np.ndarray:
    """One point of the grid, or the whole Tuple there; a short axis is the same at any index."""
    point = at[len(at) - value.ndim :]
    if isinstance(side, sp.Tuple):
        value, point = np.moveaxis(value, 0, -1), point[1:]
    return value[tuple(min(k, n - 1) for k, n in zip(point, value.shape, strict=False))]


def _short(value: Any) -> str:
    """Three significant digits in LaTeX; arrays in parentheses."""
    if np.ndim(value):
        return rf"\left({', '.join(map(_short, value))}\right)"
    return decimal(value) if np.isfinite(value) else r"\text{undefined}"
