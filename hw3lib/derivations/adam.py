"""M4: Adam unrolled, and its bias correction."""

# ruff: noqa: I001 (the names of a world, as the formulas use them, stay on few lines)
from __future__ import annotations

import sympy as sp

from hw3lib.derivations.claims import Derivation, displayed, step
from hw3lib.derivations.terms import add, latex, minus, mul, over
from hw3lib.derivations.worlds.adam import (
    ADAM, BETA1, BETA2, EPS, ETA, INDUCTION, MOMENT, ONES, SQUARE, START, STEP, ZERO, G, I, T,
)  # fmt: skip


def total(term: sp.Expr, last: sp.Expr = T) -> sp.Expr:
    """Sum of the term for i from 1 to `last`."""
    return sp.Sum(term, (I, 1, last))


def raised(base: sp.Expr, exponent: sp.Expr) -> sp.Expr:
    """A power that stays as it is written."""
    return sp.Pow(base, exponent, evaluate=False)


def rest(beta: sp.Expr) -> sp.Expr:
    """1 - beta"""
    return add(1, minus(beta))


def _recursion(moment: sp.IndexedBase, beta: sp.Expr, power: int) -> sp.Expr:
    gradient = raised(G[T], power) if power > 1 else G[T]
    return add(mul(beta, moment[add(T, -1)]), mul(rest(beta), gradient))


def _weight(beta: sp.Expr, last: sp.Expr = T) -> sp.Expr:
    return raised(beta, add(T, -I) if last == T else add(T, -1, -I))


def weighted(beta: sp.Expr, power: int, last: sp.Expr = T) -> sp.Expr:
    """Sum of beta^(last - i) g_i^power up to `last`."""
    gradient = raised(G[I], power) if power > 1 else G[I]
    return total(mul(_weight(beta, last), gradient), last)


def _unrolled(moment: sp.IndexedBase, beta: sp.Expr, power: int, last: sp.Expr = T) -> sp.Expr:
    past = mul(rest(beta), weighted(beta, power, last))
    return add(mul(raised(beta, last), moment[0]), past)


def _induction(moment: sp.IndexedBase, beta: sp.Expr, power: int) -> tuple[sp.Expr, ...]:
    before = _unrolled(moment, beta, power, add(T, -1))
    gradient = raised(G[T], power) if power > 1 else G[T]
    return (
        moment[T],
        _recursion(moment, beta, power),
        add(mul(beta, before), mul(rest(beta), gradient)),
        _unrolled(moment, beta, power),
    )


CORRECTED = over(rest(BETA2), add(1, minus(raised(BETA2, T))))
VHAT = over(SQUARE[T], add(1, minus(raised(BETA2, T))))
VHAT_SUM = mul(CORRECTED, weighted(BETA2, 2))

UNROLLED = Derivation(
    (
        step(
            "M4.1",
            "數學歸納法，先看 $t=1$：加總只有 $i=1$ 一項，指數為 0，權重是 1。"
            "$m_0$ 先保留，最後才代入 0。",
            "Induction starts at $t=1$: the sum has one term, $i=1$, with exponent 0 and so of "
            "weight 1. $m_0$ is kept until the end.",
            START,
            MOMENT[1],
            add(mul(BETA1, MOMENT[0]), mul(rest(BETA1), G[1])),
            add(
                mul(BETA1, MOMENT[0]),
                mul(
                    rest(BETA1),
                    sp.Sum(mul(raised(BETA1, add(1, -I)), G[I]), (I, 1, 1)),
                ),
            ),
        ),
        step(
            "M4.2",
            "歸納步驟：假設 $t-1$ 時成立，代入遞迴式。$\\beta_1$ 乘進加總，指數由 $t-1-i$ 變成 "
            "$t-i$；新的一項 $(1-\\beta_1) g_t$ 正是 $i=t$ 的項，它的指數是 0。",
            "Induction step: suppose it holds for $t-1$ and put that into the recursion. "
            "$\\beta_1$ goes into the sum and turns the exponent $t-1-i$ into $t-i$; the new term "
            "$(1-\\beta_1) g_t$ is the one for $i=t$, whose exponent is 0.",
            INDUCTION,
            *_induction(MOMENT, BETA1, 1),
        ),
        step(
            "M4.3",
            "$v_t$ 的遞迴式形式相同，把 $\\beta_1$ 換成 $\\beta_2$、$g_i$ 換成 $g_i^2$：",
            "$v_t$ follows the same recursion with $\\beta_2$ for $\\beta_1$ and $g_i^2$ for "
            "$g_i$:",
            INDUCTION,
            *_induction(SQUARE, BETA2, 2),
        ),
        step(
            "M4.4",
            "代入 $m_0=0$：",
            "Put in $m_0=0$:",
            ZERO,
            MOMENT[T],
            mul(rest(BETA1), weighted(BETA1, 1)),
        ),
        step(
            "M4.5",
            "代入 $v_0=0$：",
            "Put in $v_0=0$:",
            ZERO,
            SQUARE[T],
            mul(rest(BETA2), weighted(BETA2, 2)),
        ),
    ),
)

CORRECTION = Derivation(
    (
        step(
            "M4.6",
            "權重的總和是等比級數，不是 1。每個 $g_i$ 都等於 1 時，$v_t$ 就是這個總和，"
            "本來應該是 1，卻是：",
            "The weights form a geometric series and do not sum to 1. If every $g_i$ is 1, then "
            "$v_t$ is this sum; it should be 1, but it is:",
            ONES,
            SQUARE[T],
            mul(rest(BETA2), total(raised(BETA2, add(T, -I)))),
            add(1, minus(raised(BETA2, T))),
        ),
        step(
            "M4.7",
            "除以這個總和，$\\hat{v}_t$ 就是 $g_i^2$ 的加權平均，權重總和為 1：",
            "Divided by this sum, $\\hat{v}_t$ is a weighted mean of the $g_i^2$, with weights "
            "that sum to 1:",
            ZERO,
            VHAT,
            VHAT_SUM,
            over(weighted(BETA2, 2), total(raised(BETA2, add(T, -I)))),
        ),
        step(
            "M4.8",
            "$\\Delta_t=\\theta_{t-1}-\\theta_t$ 是參數實際走的一步。"
            "PyTorch 的 Adam 正是這樣走，$\\epsilon$ 加在根號之外：",
            "$\\Delta_t=\\theta_{t-1}-\\theta_t$ is the step that the parameter takes. "
            "PyTorch's Adam steps like this, with $\\epsilon$ outside the root:",
            STEP,
            ADAM[T],
            over(
                mul(ETA, over(MOMENT[T], add(1, minus(raised(BETA1, T))))),
                add(sp.sqrt(VHAT), EPS),
            ),
        ),
    ),
)

DERIVATIONS = (UNROLLED, CORRECTION)
ANSWER = displayed(
    *(UNROLLED[name].result() for name in ("M4.4", "M4.5")),
    rf"A &= {latex(rest(BETA1))}, \quad B_i = {latex(_weight(BETA1))}, \quad "
    rf"C = {latex(rest(BETA2))}, \quad D_i = {latex(_weight(BETA2))}",
)
