"""M4 (b): Adam's limit as beta_2 tends to 1, and AdaGrad."""

# ruff: noqa: I001 (the names of a world, as the formulas use them, stay on few lines)
from __future__ import annotations

import sympy as sp

from hw3lib.derivations.adam import CORRECTED, VHAT_SUM, raised, rest, total, weighted
from hw3lib.derivations.claims import AT_MOST, Derivation, displayed, step
from hw3lib.derivations.terms import add, minus, mul, over
from hw3lib.derivations.worlds.adam import (
    ADAGRAD, BETA1, BETA2, BOUNDED, EPS, EPSILON, ETA, MOMENT, NO_MOMENT, TO_ADAGRAD, ZERO, G, I,
    K, T,
)  # fmt: skip


def _limit(body: sp.Expr) -> sp.Expr:
    return sp.Limit(body, BETA2, 1, "-")


def _root(value: sp.Expr) -> sp.Expr:
    return sp.sqrt(value, evaluate=False)


EACH = ((I, 1, T),)  # for every i
_SQUARES = total(raised(G[I], 2))
_MEAN = mul(over(1, T), _SQUARES)
_RATE = over(ETA, sp.sqrt(T))
_ANSWER = over(mul(ETA, G[T]), sp.sqrt(_SQUARES))
_HALF = over(add(T, -1), 2)
_COEFFICIENT = add(over(add(T, 1), 2), minus(I))

LIMIT = Derivation(
    (
        step(
            "M4.9",
            "直接的論證：$1-\\beta_2^t$ 含因式 $1-\\beta_2$，約分後在 $\\beta_2=1$ 連續，"
            "$t$ 項各為 1。",
            "Directly: $1-\\beta_2^t$ has the factor $1-\\beta_2$; once it is cancelled, what "
            "is left is continuous at $\\beta_2=1$, where each of its $t$ terms is 1.",
            ZERO,
            _limit(CORRECTED),
            _limit(over(1, sp.Sum(raised(BETA2, K), (K, 0, add(T, -1))))),
            over(1, T),
        ),
        step(
            "M4.10",
            "用 L'Hôpital 法則：0/0 型，分子與分母各自對 $\\beta_2$ 微分，負號約去，結果相同。",
            "By L'Hôpital's rule: of the form 0/0; differentiate numerator and denominator by "
            "$\\beta_2$, the minus signs cancel. The same result.",
            ZERO,
            _limit(CORRECTED),
            _limit(
                over(
                    sp.Derivative(rest(BETA2), BETA2),
                    sp.Derivative(add(1, minus(raised(BETA2, T))), BETA2),
                )
            ),
            _limit(over(1, mul(T, raised(BETA2, add(T, -1))))),
            over(1, T),
        ),
        step(
            "M4.11",
            "接著是加權和。$0<\\beta_2<1$ 時 $\\beta_2$ 的次方隨指數變小，而指數 $t-i$ 介於 0 與 "
            "$t-1$ 之間；左邊在 $i=1$、右邊在 $i=t$ 取等號。",
            "Now the weighted sum. For $0<\\beta_2<1$ a power of $\\beta_2$ falls as its exponent "
            "grows, and the exponent $t-i$ lies between 0 and $t-1$; the left bound is reached at "
            "$i=1$, the right one at $i=t$.",
            BOUNDED,
            raised(BETA2, add(T, -1)),
            raised(BETA2, add(T, -I)),
            sp.Integer(1),
            relations=(AT_MOST, AT_MOST),
            over=EACH,
            sharp=(sp.Eq(I, 1), sp.Eq(I, T)),
        ),
        step(
            "M4.12",
            "各乘上 $g_i^2$ 再加總，就是夾擠。左邊在只有 $g_1$ 不為零時取等號，"
            "右邊在只有 $g_t$ 不為零時取等號。",
            "Times $g_i^2$ and summed up, this is the squeeze. The left bound is reached when "
            "$g_1$ alone is not zero, the right one when $g_t$ alone is not.",
            BOUNDED,
            mul(raised(BETA2, add(T, -1)), _SQUARES),
            weighted(BETA2, 2),
            _SQUARES,
            relations=(AT_MOST, AT_MOST),
            sharp=(sp.Eq(_SQUARES, raised(G[1], 2)), sp.Eq(_SQUARES, raised(G[T], 2))),
        ),
        step(
            "M4.13",
            "$\\beta_2$ 趨近 1 時，左右兩邊都趨近右邊的平方和，由夾擠定理，中間也是；"
            "再乘上 M4.9 的極限：",
            "As $\\beta_2$ tends to 1 both ends tend to the sum of squares on the right, and by "
            "the squeeze so does the middle; times the limit of M4.9:",
            ZERO,
            _limit(VHAT_SUM),
            _MEAN,
        ),
        step(
            "M4.14",
            "收斂多快：$\\hat{v}_t$ 在 $\\beta_2=1$ 的斜率是各個 $g_i^2$ 的組合，",
            "How fast: at $\\beta_2=1$ the slope of $\\hat{v}_t$ is a combination of the $g_i^2$,",
            ZERO,
            _limit(sp.Derivative(VHAT_SUM, BETA2)),
            mul(over(1, T), total(mul(_COEFFICIENT, raised(G[I], 2)))),
        ),
        step(
            "M4.15",
            "其中每個係數的絕對值不超過 $(t-1)/2$。所以只看一階，"
            "$\\hat{v}_t$ 與平均的相對差異不超過這個數乘上 $1-\\beta_2$，開根號後再減半。",
            "of which no coefficient exceeds $(t-1)/2$ in size. So, to first order, "
            "$\\hat{v}_t$ differs from the mean by a relative $1-\\beta_2$ times this number "
            "at most, and the root by half of that.",
            ZERO,
            minus(_HALF),
            _COEFFICIENT,
            _HALF,
            relations=(AT_MOST, AT_MOST),
            over=EACH,
            sharp=(sp.Eq(I, T), sp.Eq(I, 1)),
        ),
    ),
)

ADAGRAD_LIMIT = Derivation(
    (
        step(
            "M4.16",
            "$\\beta_1=0$：動量只剩當下的梯度，偏差修正的分母 $1-\\beta_1^t=1$。",
            "$\\beta_1=0$: the first moment is the present gradient, and its correction "
            "$1-\\beta_1^t=1$ does nothing.",
            NO_MOMENT,
            over(MOMENT[T], add(1, minus(raised(BETA1, T)))),
            G[T],
        ),
        step(
            "M4.17",
            "學習率 $\\eta_0/\\sqrt{t}$、$\\epsilon=0$，代入 M4.13（只要有一個 $g_i$ 不為零，"
            "分母的極限就不是零）；$\\sqrt{t}$ 約去，就是 AdaGrad。"
            "最後一行是 PyTorch 的 Adagrad 實際走的一步。",
            "With the rate $\\eta_0/\\sqrt{t}$ and $\\epsilon=0$, put in M4.13 (as soon as one "
            "$g_i$ is not zero, the limit below the line is not zero); $\\sqrt{t}$ cancels, and "
            "AdaGrad is left. The last line is the step that PyTorch's Adagrad takes.",
            TO_ADAGRAD,
            _limit(mul(_RATE, over(G[T], _root(VHAT_SUM)))),
            mul(_RATE, over(G[T], _root(_MEAN))),
            _ANSWER,
            ADAGRAD[T],
        ),
        step(
            "M4.18",
            "$\\epsilon$ 的作用：PyTorch 的 Adagrad 同樣加在根號之外……",
            "What $\\epsilon$ does: PyTorch's Adagrad, too, adds it outside the root ...",
            EPSILON,
            ADAGRAD[T],
            over(mul(ETA, G[T]), add(sp.sqrt(_SQUARES), EPS)),
        ),
        step(
            "M4.19",
            "……但 Adam 的 $\\epsilon$ 加在平均的根號上，換成總和的根號時放大 $\\sqrt{t}$ 倍。"
            "要與 AdaGrad 逐步相同，Adam 的 $\\epsilon$ 須除以 $\\sqrt{t}$，或兩者都取 0。",
            "... but Adam's $\\epsilon$ stands beside the root of the mean, and grows by "
            "$\\sqrt{t}$ beside the root of the sum. To take AdaGrad's steps, Adam's "
            "$\\epsilon$ must be divided by $\\sqrt{t}$, or both must be 0.",
            TO_ADAGRAD,
            _limit(mul(_RATE, over(G[T], add(_root(VHAT_SUM), EPS)))),
            over(mul(ETA, G[T]), add(sp.sqrt(_SQUARES), mul(sp.sqrt(T), EPS))),
        ),
    ),
)

DERIVATIONS = (LIMIT, ADAGRAD_LIMIT)
ANSWER = displayed(ADAGRAD_LIMIT["M4.17"].result(2))
