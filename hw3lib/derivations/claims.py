"""Claims: the steps of a derivation, and how each is checked.

A Claim is one sympy tree, read three ways: its LaTeX is printed, its algebra is proved in exact
values, and its numbers are compared in float64 with an oracle (torch, finite differences). What
the symbols mean is the World of the Claim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from hw3lib.derivations.terms import (
    Values,
    latex,
    vanishes,
)
from hw3lib.text import Text

EQUAL, AT_MOST = "=", r"\leq"


@dataclass(frozen=True)
class Oracle:
    """Where float64 values come from.

    name   : what the reader is told, e.g. "torch.optim.Adam"
    sample : generator -> Values of one random case
    cases  : random cases by default;  tolerance: largest relative error that passes
    columns: all cases are computed at once; for Claims of scalars, without free indices
    """

    name: Text
    sample: Callable[[np.random.Generator], Values]
    cases: int
    tolerance: float
    columns: bool = False


@dataclass(frozen=True)
class World:
    """What the symbols of a Claim mean.

    exact  : size -> Values in sympy;  sizes: those for which the algebra is proved
    scope  : the sizes in words
    proves : difference of two sides -> whether it is zero
    """

    exact: Callable[[Any], Values]
    sizes: tuple
    scope: Text
    oracles: tuple[Oracle, ...]
    proves: Callable[[sp.Expr], bool] = vanishes


@dataclass(frozen=True)
class Claim:
    r"""One step: sides[0] relation[0] sides[1] relation[1] ...

    name      : e.g. "M2.4";  reason: why the step holds
    relations : "=" or r"\leq" between neighbouring sides; all "=" where empty
    sharp     : for each relation, when equality is reached (a condition on symbols and free
                indices); a bound that is true but looser is refuted there
    over      : free indices (index, first, last);  where: a condition on them
    """

    name: str
    reason: Text
    sides: tuple[sp.Basic, ...]
    world: World
    relations: tuple[str, ...] = ()
    over: tuple[tuple[sp.Symbol, Any, Any], ...] = ()
    where: sp.Basic = sp.true
    sharp: tuple[sp.Basic, ...] = ()

    def steps(self) -> Iterator[tuple[sp.Basic, str, sp.Basic]]:
        relations = self.relations or (EQUAL,) * (len(self.sides) - 1)
        yield from zip(self.sides[:-1], relations, self.sides[1:], strict=True)

    @property
    def statement(self) -> str:
        """LaTeX of the claim, printed from the trees that are checked."""
        first, *rest = self.steps()
        lines = [f"{latex(first[0])} &{first[1]} {latex(first[2])}"]
        lines += [f"&{relation} {latex(right)}" for _, relation, right in rest]
        if self.where != sp.true:
            lines[-1] += rf" \qquad ({latex(self.where)})"
        return _aligned(lines)

    def result(self, last: int = -1) -> str:
        """LaTeX of the first side and a later one, without what stands between."""
        return f"{latex(self.sides[0])} &{EQUAL} {latex(self.sides[last])}"


def _aligned(lines: Iterable[str]) -> str:
    return r"\begin{aligned} " + r" \\ ".join(lines) + r" \end{aligned}"


def displayed(*results: str) -> str:
    """Results (see `Claim.result`) as one displayed equation in Markdown."""
    return f"\n\n$$\n{_aligned(results)}\n$$\n\n"


def step(name: str, zh: str, en: str, world: World, *sides: sp.Basic, **options: Any) -> Claim:
    """A Claim, written in the order in which it is read; options: relations, over, where, sharp."""
    return Claim(name, Text(zh, en), sides, world, **options)


@dataclass(frozen=True)
class Derivation:
    """Claims in the order in which they are read."""

    claims: tuple[Claim, ...]

    def __getitem__(self, name: str) -> Claim:
        return next(claim for claim in self.claims if claim.name == name)


@dataclass(frozen=True)
class Counterexample:
    """Values at which two neighbouring sides disagree, in LaTeX; where: name = value, each."""

    where: tuple[str, ...]
    left: str
    right: str


@dataclass(frozen=True)
class Checked:
    """What checking a Claim gave.

    algebra  : whether the algebra was proved (None: not tried, or nothing to prove)
    compared : (oracle, random cases, largest relative error) of each oracle asked; relative to
               the largest magnitude of the two sides over all indices, or to 1e-3 where
               that is less
    """

    claim: Claim
    algebra: bool | None
    compared: tuple[tuple[Oracle, int, float], ...]
    counterexample: Counterexample | None

    @property
    def cases(self) -> int:
        return sum(cases for _, cases, _ in self.compared)

    @property
    def holds(self) -> bool:
        return self.counterexample is None and self.algebra is not False
