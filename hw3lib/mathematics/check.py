"""A claim in LaTeX against what torch computes: it holds, is refuted, or is not decided."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from lark import Tree

from hw3lib import UserError
from hw3lib.mathematics.evaluate import NoMeaningError, Number, Scope, TooLargeError, evaluate
from hw3lib.mathematics.formula import key, parse
from hw3lib.mathematics.settings import SETTINGS, Case, Setting, drawn

SAME, DIFFERENT = 1e-12, 1e-9  # of the numbers' size; between them nothing is decided
ROUNDING = 4e-15  # two sides so near are taken for equal where they must not be
FEWEST = 5  # cases to decide on
ENOUGH, MOST = 30, 400  # cases looked for, and drawn at most, where few meet a condition
LIMITS = 60  # cases of a claim with a limit, each of which is six runs
VARIABLE = ("claim", "tuple", "derivative", "big", "limit")  # beside symbols


@dataclass(frozen=True)
class Checked:
    """What checking a claim gave.

    ok       : True; False for what is refuted or means nothing; None where it is not decided
    cases    : on how many the condition was met
    error    : largest difference of two sides said to be equal, relative to the numbers' size
    counterexample : the values at which it fails, with "left" and "right"; None if there is none
    reason   : in words, where it is not a plain yes; so for a bound that is never attained
    attained : whether each sign of at most or at least is somewhere an equality; None if no such
               sign is there
    """

    ok: bool | None
    cases: int = 0
    error: float = 0.0
    counterexample: dict[str, float] | None = None
    reason: str = ""
    attained: bool | None = None


def check(setting: str, latex: str, *, each: str = "", where: str = "") -> Checked:
    """Check `latex`, a chain of sides with = < \\le > \\ge or \\ne between them.

    each  : indices for each of whose values it is claimed, "i, j"; they run over the batch, the
            classes or the steps
    where : conditions, parted by commas: "i \\ne j", "t > 1"

    What passes is no proof by itself. At one size, an identity of rational functions that fails
    anywhere fails at almost every point, so one case of random values refutes it. Not seen are

    - a difference below 10^-12 of the largest number that a side goes through;
    - a fault that begins beyond the sizes drawn (`settings`; fewer where indices are nested);
    - a bound that is wrong, but wider than the values drawn (L <= 100), or only in a narrow region;
    - what fails only together with a condition, where random values hardly ever meet both.

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
    too_large: bool = False  # was a case, and left out?
    attained: dict[int, bool] = field(default_factory=dict)  # by relation

    def result(self, ok: bool | None, reason: str, counterexample: dict | None = None) -> Checked:
        attained = all(self.attained.values()) if self.attained else None
        return Checked(ok, self.cases, self.error, counterexample, reason, attained)

    def verdict(self) -> Checked:
        """Where no case has refuted it."""
        if not (self.cases or self.doubt or self.too_large):
            return self.result(False, "the condition is never met")
        if self.doubt or self.cases < FEWEST:
            few = f"the condition is met in only {self.cases} cases of not too many terms"
            return self.result(None, f"not decided: {self.doubt or few}")
        loose = not all(self.attained.values())
        return self.result(True, "a bound that is never attained" if loose else "")


def judge(setting: Setting, claim: Tree, each: list[str], conditions: list[Tree]) -> Checked:
    """`check` on trees: `claim` of one chain, `conditions` a list of such."""
    seen = _Seen()
    most = LIMITS if any(claim.find_data("limit")) else MOST
    try:
        seen.doubt = _drowned(drawn(setting, 0), claim)
        for number in range(0 if seen.doubt else MOST):
            if seen.cases >= most or (number >= setting.count and not 0 < seen.cases < ENOUGH):
                break
            if found := _on(drawn(setting, number), claim, each, conditions, seen):
                return seen.result(False, "refuted", found)
    except NoMeaningError as fault:
        return seen.result(False, str(fault))
    return seen.verdict()


def _drowned(case: Case, claim: Tree) -> str:
    """x + 10^-13 = x must not pass, nor (x + 10^13) - 10^13 = x be refuted."""
    for node in claim.iter_subtrees():
        if not any(map(_varies, node.iter_subtrees())):
            value = abs(evaluate(node, Scope(case, {}, np.True_)).value)
            if value and not 1e-4 <= value <= 1e4:
                return f"the constant {value:.2g} would drown in rounding, or drown the rest"
    return ""


def _varies(node: Tree) -> bool:
    return node.data in VARIABLE or (node.data == "symbol" and node.children != ["e", None])


def _on(
    case: Case, claim: Tree, each: list[str], conditions: list[Tree], seen: _Seen
) -> dict[str, float] | None:
    """Compare all sides on one case; a counterexample where there is one."""
    scope = Scope(case, {}, np.True_)
    with np.errstate(all="ignore"):
        try:
            for index in each:
                scope = scope.over(index, 1, case.size)
            for condition in conditions:
                for a, relation, b in _pairs(condition, scope):
                    scope = replace(scope, mask=scope.mask & _truth(a, relation, b)[0])
            if not scope.mask.any():
                return None
            pairs = _pairs(claim, scope)
        except TooLargeError:
            seen.too_large = True
            return None
        seen.cases += 1
        for number, (a, relation, b) in enumerate(pairs):
            bad = _compare(number, a, relation, b, scope, seen)
            if bad.any():
                return _counterexample(claim, scope, bad, a.value, b.value)
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


def _truth(a: Number, relation: str, b: Number) -> tuple[np.ndarray, np.ndarray]:
    """(where it is true, where it is false); neither where that is in doubt, as for NaN."""
    gap = _gap(b, a) if relation in ("ge", ">") else _gap(a, b)
    if relation == "=":
        return np.abs(gap) <= SAME, np.abs(gap) > DIFFERENT
    equal = np.abs(gap) <= ROUNDING
    if relation == "ne":
        return np.abs(gap) > SAME, equal
    if relation in "<>":
        return gap < -SAME, equal | (gap > DIFFERENT)
    return gap <= SAME, gap > DIFFERENT


def _compare(
    number: int, a: Number, relation: str, b: Number, scope: Scope, seen: _Seen
) -> np.ndarray:
    """Where relation `number` of the claim is false; the rest is noted in `seen`."""
    mask, told = scope.mask, scope.case.told()
    gap = np.abs(np.broadcast_to(_gap(a, b), mask.shape))
    true, false = _truth(a, relation, b)
    if (mask & np.isnan(gap)).any():
        seen.doubt = f"a side has no finite value for {told}; say where it is meant"
    elif (mask & ~(true | false)).any():
        seen.doubt = f"too near to tell from rounding for {told}"
    if relation == "=":
        seen.error = max(seen.error, float(np.nanmax(gap[mask], initial=0)))
    if relation in ("le", "ge"):
        filled = np.maximum(a.size, b.size) > 0  # not 0 = 0, because nothing is there
        met = (mask & filled & (gap <= SAME)).any()
        seen.attained[number] = bool(met) or seen.attained.get(number, False)
    return mask & false


def _counterexample(
    claim: Tree, scope: Scope, bad: np.ndarray, *sides: np.ndarray
) -> dict[str, float]:
    """The values of sizes, indices and scalars in the claim at the first point where it fails."""
    values, at = scope.case.values, tuple(np.argwhere(bad)[0])
    names = dict.fromkeys([scope.case.setting.size, *(key(s) for s in claim.find_data("symbol"))])
    scalars = {n: values[n] for n in names if n in values and np.ndim(values[n]) == 0}
    points = scalars | scope.indices | dict(zip(("left", "right"), sides, strict=True))
    return {n: float(np.broadcast_to(v, bad.shape)[at]) for n, v in points.items()}
