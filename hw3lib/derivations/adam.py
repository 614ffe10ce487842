"""M4: Adam unrolled, its bias correction, and AdaGrad as its limit."""

# ruff: noqa: I001 (the names of a world, as the formulas use them, stay on few lines)
from __future__ import annotations

import sympy as sp

from hw3lib.derivations.claims import AT_MOST, Derivation, displayed, step
from hw3lib.derivations.terms import add, latex, minus, mul, over
from hw3lib.derivations.worlds.adam import (
    ADAGRAD, ADAM, BETA1, BETA2, BOUNDED, EPS, EPSILON, ETA, INDUCTION, MOMENT, NO_MOMENT, ONES,
    SQUARE, START, STEP, TO_ADAGRAD, ZERO, G, I, K, T,
)  # fmt: skip


def _sum(term: sp.Expr, last: sp.Expr = T) -> sp.Expr:
    return sp.Sum(term, (I, 1, last))


def _power(base: sp.Expr, exponent: sp.Expr) -> sp.Expr:
    return sp.Pow(base, exponent, evaluate=False)


def _rest(beta: sp.Expr) -> sp.Expr:
    return add(1, minus(beta))


def _recursion(moment: sp.IndexedBase, beta: sp.Expr, power: int) -> sp.Expr:
    gradient = _power(G[T], power) if power > 1 else G[T]
    return add(mul(beta, moment[add(T, -1)]), mul(_rest(beta), gradient))


def _weight(beta: sp.Expr, last: sp.Expr = T) -> sp.Expr:
    return _power(beta, add(T, -I) if last == T else add(T, -1, -I))


def _weighted(beta: sp.Expr, power: int, last: sp.Expr = T) -> sp.Expr:
    """sum of beta^(last - i) g_i^power up to `last`."""
    gradient = _power(G[I], power) if power > 1 else G[I]
    return _sum(mul(_weight(beta, last), gradient), last)


def _unrolled(moment: sp.IndexedBase, beta: sp.Expr, power: int, last: sp.Expr = T) -> sp.Expr:
    weighted = mul(_rest(beta), _weighted(beta, power, last))
    return add(mul(_power(beta, last), moment[0]), weighted)


def _induction(moment: sp.IndexedBase, beta: sp.Expr, power: int) -> tuple[sp.Expr, ...]:
    before = _unrolled(moment, beta, power, add(T, -1))
    gradient = _power(G[T], power) if power > 1 else G[T]
    return (
        moment[T],
        _recursion(moment, beta, power),
        add(mul(beta, before), mul(_rest(beta), gradient)),
        _unrolled(moment, beta, power),
    )


def _limit(body: sp.Expr) -> sp.Expr:
    return sp.Limit(body, BETA2, 1, "-")


_SQUARES = _sum(_power(G[I], 2))
_CORRECTION = over(_rest(BETA2), add(1, minus(_power(BETA2, T))))
_VHAT = over(SQUARE[T], add(1, minus(_power(BETA2, T))))
_VHAT_SUM = mul(_CORRECTION, _weighted(BETA2, 2))
_MEAN = mul(over(1, T), _SQUARES)
_RATE = over(ETA, sp.sqrt(T))
_ANSWER = over(mul(ETA, G[T]), sp.sqrt(_SQUARES))

UNROLLED = Derivation(
    "M4 (a)",
    (
        step(
            "M4.1",
            "歸納起點 $t=1$：加總只有 $i=1$ 一項，權重 $\\beta_1^{0}=1$。"
            "$m_0$ 先保留，最後才代入 0。",
            "Induction starts at $t=1$: the sum has one term, $i=1$, of weight "
            "$\\beta_1^{0}=1$. $m_0$ is kept until the end.",
            START,
            MOMENT[1],
            add(mul(BETA1, MOMENT[0]), mul(_rest(BETA1), G[1])),
            add(
                mul(BETA1, MOMENT[0]),
                mul(
                    _rest(BETA1),
                    sp.Sum(mul(_power(BETA1, add(1, -I)), G[I]), (I, 1, 1)),
                ),
            ),
        ),
        step(
            "M4.2",
            "歸納步驟：把 $t-1$ 的式子代入遞迴。$\\beta_1$ 乘進加總，指數由 $t-1-i$ 變成 "
            "$t-i$；新的一項 $(1-\\beta_1)g_t$ 正是 $i=t$ 的項（$\\beta_1^{0}=1$）。",
            "Induction step: put the formula for $t-1$ into the recursion. $\\beta_1$ goes "
            "into the sum and turns the exponent $t-1-i$ into $t-i$; the new term "
            "$(1-\\beta_1)g_t$ is the one for $i=t$ ($\\beta_1^{0}=1$).",
            INDUCTION,
            *_induction(MOMENT, BETA1, 1),
        ),
        step(
            "M4.3",
            "$v_t$ 是同一個遞迴，把 $\\beta_1$ 換成 $\\beta_2$、$g_i$ 換成 $g_i^2$：",
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
            mul(_rest(BETA1), _weighted(BETA1, 1)),
        ),
        step(
            "M4.5",
            "代入 $v_0=0$：",
            "Put in $v_0=0$:",
            ZERO,
            SQUARE[T],
            mul(_rest(BETA2), _weighted(BETA2, 2)),
        ),
    ),
)

CORRECTION = Derivation(
    "M4 bias correction",
    (
        step(
            "M4.6",
            "權重的總和是等比級數，不是 1。例如每個 $g_i$ 都等於 1 時，$v_t$ 應該是 1，卻是",
            "The weights form a geometric series and do not sum to 1. If, say, every $g_i$ "
            "is 1, then $v_t$ should be 1, but it is",
            ONES,
            SQUARE[T],
            mul(_rest(BETA2), _sum(_power(BETA2, add(T, -I)))),
            add(1, minus(_power(BETA2, T))),
        ),
        step(
            "M4.7",
            "除以這個總和，$\\hat{v}_t$ 就是 $g_i^2$ 的加權平均，權重總和為 1：",
            "Divided by this sum, $\\hat{v}_t$ is a weighted mean of the $g_i^2$, with weights "
            "that sum to 1:",
            ZERO,
            _VHAT,
            _VHAT_SUM,
            over(_weighted(BETA2, 2), _sum(_power(BETA2, add(T, -I)))),
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
                mul(ETA, over(MOMENT[T], add(1, minus(_power(BETA1, T))))),
                add(sp.sqrt(_VHAT), EPS),
            ),
        ),
    ),
)

LIMIT = Derivation(
    "M4 (b)",
    (
        step(
            "M4.9",
            "直接的論證：$1-\\beta_2^t$ 含因式 $1-\\beta_2$，約分後在 $\\beta_2=1$ 連續，"
            "$t$ 項各為 1。",
            "Directly: $1-\\beta_2^t$ has the factor $1-\\beta_2$; once it is cancelled, what "
            "is left is continuous at $\\beta_2=1$, where each of its $t$ terms is 1.",
            ZERO,
            _limit(_CORRECTION),
            _limit(over(1, sp.Sum(_power(BETA2, K), (K, 0, add(T, -1))))),
            over(1, T),
        ),
        step(
            "M4.10",
            "用 L'Hôpital 法則：0/0 型，分子與分母各自對 $\\beta_2$ 微分，"
            "得到 $-1$ 與 $-t\\beta_2^{t-1}$，結果相同。",
            "By L'Hôpital's rule: of the form 0/0; differentiate numerator and denominator by "
            "$\\beta_2$, to $-1$ and $-t\\beta_2^{t-1}$. The same result.",
            ZERO,
            _limit(_CORRECTION),
            _limit(
                over(
                    sp.Derivative(_rest(BETA2), BETA2),
                    sp.Derivative(add(1, minus(_power(BETA2, T))), BETA2),
                )
            ),
            _limit(over(1, mul(T, _power(BETA2, add(T, -1))))),
            over(1, T),
        ),
        step(
            "M4.11",
            "夾擠：$0<\\beta_2<1$ 且 $1\\leq i\\leq t$ 時 "
            "$\\beta_2^{t-1}\\leq\\beta_2^{t-i}\\leq 1$。左邊在只有 $g_1$ 不為零時取等號，"
            "右邊在只有 $g_t$ 不為零時取等號。",
            "Squeeze: for $0<\\beta_2<1$ and $1\\leq i\\leq t$ we have "
            "$\\beta_2^{t-1}\\leq\\beta_2^{t-i}\\leq 1$. The left bound is reached when $g_1$ "
            "alone is not zero, the right one when $g_t$ alone is not.",
            BOUNDED,
            mul(_power(BETA2, add(T, -1)), _SQUARES),
            _weighted(BETA2, 2),
            _SQUARES,
            relations=(AT_MOST, AT_MOST),
            sharp=(sp.Eq(_SQUARES, _power(G[1], 2)), sp.Eq(_SQUARES, _power(G[T], 2))),
        ),
        step(
            "M4.12",
            "$\\beta_2\\to 1$ 時左右兩邊都趨近 $\\sum_i g_i^2$，中間也是；乘上 M4.9 的 $1/t$：",
            "As $\\beta_2\\to 1$ both ends tend to $\\sum_i g_i^2$, and so does the middle; "
            "times the $1/t$ of M4.9:",
            ZERO,
            _limit(_VHAT_SUM),
            _MEAN,
        ),
        step(
            "M4.13",
            "有多快：$\\hat{v}_t$ 在 $\\beta_2=1$ 附近的斜率。每個係數的絕對值不超過 $(t-1)/2$，"
            "所以 $\\hat{v}_t$ 與平均的相對差異大約在 $(t-1)(1-\\beta_2)/2$ 以內，開根號後減半。",
            "How fast: the slope of $\\hat{v}_t$ near $\\beta_2=1$. No coefficient exceeds "
            "$(t-1)/2$ in size, so $\\hat{v}_t$ differs from the mean by a relative "
            "$(t-1)(1-\\beta_2)/2$ or so at most, and the root by half of that.",
            ZERO,
            _limit(sp.Derivative(_VHAT_SUM, BETA2)),
            mul(
                over(1, T),
                _sum(mul(add(over(add(T, 1), 2), minus(I)), _power(G[I], 2))),
            ),
        ),
    ),
)

ADAGRAD_LIMIT = Derivation(
    "M4 (c)",
    (
        step(
            "M4.14",
            "$\\beta_1=0$：動量只剩當下的梯度，偏差修正的分母 $1-\\beta_1^t=1$。",
            "$\\beta_1=0$: the first moment is the present gradient, and its correction "
            "$1-\\beta_1^t=1$ does nothing.",
            NO_MOMENT,
            over(MOMENT[T], add(1, minus(_power(BETA1, T)))),
            G[T],
        ),
        step(
            "M4.15",
            "學習率 $\\eta_t=\\eta_0/\\sqrt{t}$、$\\epsilon=0$，代入 M4.12；"
            "$\\sqrt{t}$ 上下約去，就是 AdaGrad（最後一行是 PyTorch 的 Adagrad 走的一步）。",
            "With the rate $\\eta_t=\\eta_0/\\sqrt{t}$ and $\\epsilon=0$, put in M4.12; "
            "$\\sqrt{t}$ cancels, and AdaGrad is left (the last line is the step that "
            "PyTorch's Adagrad takes).",
            TO_ADAGRAD,
            _limit(mul(_RATE, over(G[T], sp.sqrt(_VHAT_SUM)))),
            mul(_RATE, over(G[T], sp.sqrt(_MEAN))),
            _ANSWER,
            ADAGRAD[T],
        ),
        step(
            "M4.16",
            "$\\epsilon$ 的作用：PyTorch 的 Adagrad 同樣加在根號之外……",
            "What $\\epsilon$ does: PyTorch's Adagrad, too, adds it outside the root ...",
            EPSILON,
            ADAGRAD[T],
            over(mul(ETA, G[T]), add(sp.sqrt(_SQUARES), EPS)),
        ),
        step(
            "M4.17",
            "……但 Adam 的 $\\epsilon$ 加在平均的根號上，換成總和的根號時放大 $\\sqrt{t}$ 倍。"
            "要與 AdaGrad 逐步相同，Adam 的 $\\epsilon$ 須為它的 $1/\\sqrt{t}$，或都取 0。",
            "... but Adam's $\\epsilon$ stands beside the root of the mean, and grows by "
            "$\\sqrt{t}$ beside the root of the sum. To take AdaGrad's steps, Adam needs "
            "$1/\\sqrt{t}$ of AdaGrad's $\\epsilon$, or both need 0.",
            TO_ADAGRAD,
            _limit(mul(_RATE, over(G[T], add(sp.sqrt(_VHAT_SUM), EPS)))),
            over(mul(ETA, G[T]), add(sp.sqrt(_SQUARES), mul(sp.sqrt(T), EPS))),
        ),
    ),
)

DERIVATIONS = (UNROLLED, CORRECTION, LIMIT, ADAGRAD_LIMIT)
ANSWER_A = displayed(
    *(UNROLLED[name].result() for name in ("M4.4", "M4.5")),
    rf"A &= {latex(_rest(BETA1))}, \quad B_i = {latex(_weight(BETA1))}, \quad "
    rf"C = {latex(_rest(BETA2))}, \quad D_i = {latex(_weight(BETA2))}",
)
ANSWER_B = displayed(ADAGRAD_LIMIT["M4.15"].result(2))
