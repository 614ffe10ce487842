"""A claim in LaTeX against what torch computes: it holds, is refuted, or is not decided.

What passes is no proof by itself. At one size, an identity of rational functions that fails
anywhere fails at almost every point, so one case of random values refutes it; what is not seen is
a difference below 10^-12 of the numbers' size, and one that begins beyond the sizes drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from lark import Tree

from hw3lib import UserError
from hw3lib.mathematics.evaluate import NoMeaningError, Number, Scope, UndecidedError, evaluate
from hw3lib.mathematics.formula import key, parse
from hw3lib.mathematics.settings import SETTINGS, Case, Setting

SAME, DIFFERENT = 1e-12, 1e-9  # of the numbers' size; between them nothing is decided
ROUNDING = 4e-15  # two sides so near are taken for equal where they must not be
FEWEST, MOST = 5, 1500  # cases to decide on; cases drawn where a condition is met, but rarely
LIMITS = 60  # cases of a claim with a limit, each of which is six runs
CONSTANT = ("number", "power", "multiply", "divide")
VARIABLE = ("symbol", "derivative", "big", "limit")
POINTS = 10**6  # of one case: its size to the power of the indices in use


@dataclass(frozen=True)
class Checked:
    """What checking a claim gave.

    ok       : True; False for what is refuted or means nothing; None where it is not decided
    cases    : on how many the condition was met
    error    : largest difference of two sides said to be equal, relative to the numbers' size
    counterexample : the values at which it fails, with "left" and "right"; None if there is none
    reason   : in words, where it is not a plain yes; so for a bound that is never attained
    attained : for each sign of at most or at least, on how many cases it is an equality
    """

    ok: bool | None
    cases: int = 0
    error: float = 0.0
    counterexample: dict[str, float] | None = None
    reason: str = ""
    attained: tuple[int, ...] = ()


def check(setting: str, latex: str, *, each: str = "", where: str = "") -> Checked:
    """Check `latex`, a chain of sides with = < \\le > \\ge or \\ne between them.

    each  : indices for each of whose values it is claimed, "i, j"; they run over the batch, the
            classes or the steps
    where : conditions, parted by commas: "i \\ne j", "t > 1"

    Raises
    ------
    FormulaError
        for LaTeX that cannot be read.
    UserError
        for an unknown setting.
    """
    if setting not in SETTINGS:
        raise UserError(f"setting {setting!r}: choose one of {', '.join(SETTINGS)}")
    conditions = parse(where, conditions=True).children if where.strip() else []
    return judge(SETTINGS[setting], parse(latex), indices_of(each), conditions)


def indices_of(each: str) -> list[str]:
    return [name.strip() for name in each.split(",") if name.strip()]


@dataclass
class _Seen:
    """What the cases so far have shown."""

    cases: int = 0
    error: float = 0.0
    doubt: str = ""
    attained: dict[int, int] = field(default_factory=dict)
    nearest: dict[int, float] = field(default_factory=dict)

    def result(self, ok: bool | None, reason: str, counterexample: dict | None = None) -> Checked:
        attained = tuple(self.attained.values())
        return Checked(ok, self.cases, self.error, counterexample, reason, attained)


def judge(setting: Setting, claim: Tree, each: list[str], conditions: list[Tree]) -> Checked:
    """`check` on trees: `claim` of one chain, `conditions` a list of such."""
    seen = _Seen()
    try:
        _indices_make_sense(setting, claim, each, conditions)
        _constants_are_moderate(next(setting.cases(1)), claim)
        for case in _cases(setting, claim, each, seen):
            found = _on(case, claim, each, conditions, seen)
            if found:
                return seen.result(False, "refuted", found)
    except NoMeaningError as fault:
        return seen.result(False, str(fault))
    except UndecidedError as why:
        return seen.result(None, f"not decided: {why}")
    if not seen.cases:
        return seen.result(False, "the condition is never met")
    if seen.doubt or seen.cases < FEWEST:
        few = f"not decided: the condition is met in only {seen.cases} cases"
        return seen.result(None, seen.doubt or few)
    loose = [f"{seen.nearest[k]:.2g}" for k, n in seen.attained.items() if not n]
    reason = f"a bound that is never attained: at least {', '.join(loose)} away" if loose else ""
    return seen.result(True, reason)


def _cases(setting: Setting, claim: Tree, each: list[str], seen: _Seen) -> Iterator[Case]:
    """The setting's cases that are not too large for the formula; more where few count."""
    axes = len(each) + _nested(claim)
    limited = any(claim.find_data("limit"))
    for number, case in enumerate(setting.cases(MOST)):
        enough = number >= setting.count and not 0 < seen.cases < FEWEST
        if enough or (limited and seen.cases >= LIMITS):
            return
        if case.size**axes <= POINTS:
            yield case


def _nested(node: Any) -> int:
    """How many sums stand within each other."""
    if not isinstance(node, Tree):
        return 0
    return (node.data == "big") + max(map(_nested, node.children), default=0)


def _indices_make_sense(
    setting: Setting, claim: Tree, each: list[str], conditions: list[Tree]
) -> None:
    case = next(setting.cases(1))
    names = {s.children[0] for t in (claim, *conditions) for s in t.find_data("symbol")}
    for index in each:
        if not setting.size or index in case.values:
            raise NoMeaningError(f"{index} is no index in the setting {setting.name}")
        if index not in names:
            raise NoMeaningError(f"the formula has no index {index}")


def _constants_are_moderate(case: Case, claim: Tree) -> None:
    """x + 10^-13 = x must not pass, nor (x + 10^13) - 10^13 = x be refuted."""
    for node in claim.iter_subtrees():
        if node.data in CONSTANT and not any(any(node.find_data(d)) for d in VARIABLE):
            value = abs(evaluate(node, Scope(case, {}, np.True_, 0)).value)
            if value and not 1e-6 <= value <= 1e6:
                raise UndecidedError(
                    f"the constant {value:.2g} would drown in rounding, or drown the rest"
                )


def _on(
    case: Case, claim: Tree, each: list[str], conditions: list[Tree], seen: _Seen
) -> dict[str, float] | None:
    """Compare all sides on one case; a counterexample where there is one."""
    axes = len(each)
    indices = {
        name: np.arange(1, case.size + 1).reshape(-1, *(1,) * (axes - 1 - k))
        for k, name in enumerate(each)
    }
    mask = np.ones((case.size,) * axes, dtype=bool)
    with np.errstate(all="ignore"):
        try:
            for condition in conditions:
                for a, relation, b in _pairs(condition, Scope(case, indices, mask, axes)):
                    mask = mask & ~np.logical_or(*_fails(relation, _gap(a, b)))
            if not mask.any():
                return None
            seen.cases += 1
            pairs = _pairs(claim, Scope(case, indices, mask, axes))
        except UndecidedError as why:
            seen.doubt = f"not decided: {why}"
            return None
        for number, (a, relation, b) in enumerate(pairs):
            bad = _compare(number, a, relation, b, mask, case, seen)
            if bad.any():
                return _counterexample(case, claim, indices, bad, a.value, b.value)
    return None


def _pairs(claim: Tree, scope: Scope) -> list[tuple[Number, str, Number]]:
    """The sides of each relation, those of tuples one by one."""
    sides = [
        [evaluate(s, scope) for s in (side.children if side.data == "tuple" else [side])]
        for side in claim.children[::2]
    ]
    if len(counts := {len(s) for s in sides}) > 1:
        raise NoMeaningError(f"sides of {' and of '.join(map(str, counts))} components")
    return [
        (a, relation, b)
        for left, relation, right in zip(sides, claim.children[1::2], sides[1:], strict=False)
        for a, b in zip(left, right, strict=True)
    ]


def _gap(a: Number, b: Number) -> np.ndarray:
    """How far a is above b, relative to the size of the numbers; NaN where either is not finite."""
    size = np.maximum(a.size, b.size)
    gap = (a.value - b.value) / np.where(size > 0, size, 1)
    return np.where(np.isfinite(a.value) & np.isfinite(b.value), gap, np.nan)


def _fails(relation: str, gap: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(where the relation is false, where it is in doubt)"""
    gap = -gap if relation in (r"\ge", ">") else gap
    same = np.abs(gap) <= ROUNDING
    false, doubt = {
        "=": (np.abs(gap) > DIFFERENT, np.abs(gap) > SAME),
        r"\ne": (same, np.abs(gap) <= SAME),
    }.get(relation, (gap > DIFFERENT, gap > SAME))
    if relation in "<>":
        false, doubt = false | same, gap >= -SAME
    return false, (doubt & ~false) | np.isnan(gap)


def _compare(
    number: int, a: Number, relation: str, b: Number, mask: np.ndarray, case: Case, seen: _Seen
) -> np.ndarray:
    """Where relation `number` of the claim is false; the rest is noted in `seen`."""
    gap = np.broadcast_to(_gap(a, b), mask.shape)
    false, doubt = _fails(relation, gap)
    if (mask & np.isnan(gap)).any():
        seen.doubt = f"not decided: a side is not finite for {case.told()}; say where it is meant"
    elif (mask & doubt).any():
        seen.doubt = f"not decided: too near to tell from rounding for {case.told()}"
    if relation == "=":
        seen.error = max(seen.error, float(np.nanmax(np.abs(gap[mask]), initial=0)))
    if relation in (r"\le", r"\ge"):
        apart = np.where(np.abs(gap) <= SAME, 0, np.abs(a.value - b.value))
        empty = np.maximum(a.size, b.size) == 0  # 0 = 0, because nothing is there
        nearest = float(np.min(np.where(empty, np.inf, apart)[mask], initial=np.inf))
        seen.nearest[number] = min(nearest, seen.nearest.get(number, np.inf))
        seen.attained[number] = seen.attained.get(number, 0) + (nearest == 0)
    return mask & false


def _counterexample(
    case: Case, claim: Tree, indices: dict, bad: np.ndarray, *sides: np.ndarray
) -> dict[str, float]:
    """The values of sizes, indices and scalars in the claim at the first point where it fails."""
    at = tuple(np.argwhere(bad)[0])
    names = dict.fromkeys([case.setting.size, *(key(s) for s in claim.find_data("symbol"))])
    scalars = {
        n: case.values[n] for n in names if n in case.values and np.ndim(case.values[n]) == 0
    }
    points = scalars | indices | dict(zip(("left", "right"), sides, strict=True))
    return {n: float(np.broadcast_to(v, bad.shape)[at]) for n, v in points.items()}
