"""M2: batch normalisation backward, from the chain rule to the closed form."""

# ruff: noqa: I001 (the names of a world, as the formulas use them, stay on few lines)
from __future__ import annotations

import sympy as sp

from hw3lib.derivations.claims import Derivation, displayed, step
from hw3lib.derivations.terms import Partial, add, minus, mul, over
from hw3lib.derivations.worlds.batch_norm import (
    BATCH, BETA, ELL, EPS, GAMMA, MU, STAGE, VAR, XHAT, I, J, M, X, Y,
)  # fmt: skip

EACH = ((I, 1, M),)  # for every i


def root(variance: sp.Expr = VAR) -> sp.Expr:
    """sqrt(variance + epsilon)"""
    return sp.sqrt(add(variance, EPS), evaluate=False)


def total(term: sp.Expr, index: sp.Symbol = J) -> sp.Expr:
    """Sum of the term over the batch."""
    return sp.Sum(term, (index, 1, M))


def slope(variable: sp.Expr, of: sp.Expr = ELL) -> Partial:
    """Partial derivative, of the loss where nothing else is said."""
    return Partial(of, variable)


_CENTRED = add(X[I], -MU)
CUBED = sp.Pow(add(VAR, EPS), sp.Rational(3, 2), evaluate=False)
_SLOPE_MU = mul(minus(over(2, M)), total(add(X[J], -MU)))  # of sigma^2 by mu, at any mu


def _closed(upstream: sp.IndexedBase, factor: sp.Expr) -> sp.Expr:
    """factor / (m root) (m u_i - sum u - xhat_i sum u xhat), u the derivative by `upstream`."""
    inner = add(
        mul(M, slope(upstream[I])),
        minus(total(slope(upstream[J]))),
        mul(-1, XHAT[I], total(mul(slope(upstream[J]), XHAT[J]))),
    )
    return mul(over(factor, mul(M, root())), inner)


GIVEN = Derivation(
    (
        step(
            "M2.1",
            "前向計算（題目給的四式）。$m$ 是一個通道參與平均的數值個數：全連接層為批次大小，"
            "卷積層為批次大小乘以高與寬。變異數除以 $m$，不是 $m-1$；PyTorch 訓練時也如此。",
            "Forward (the question's four formulas). $m$ counts the values of one channel that "
            "are averaged: the batch size for a dense layer, batch size times height times "
            "width for a convolution. The variance is divided by $m$, not by $m-1$; so it is "
            "in PyTorch while training.",
            BATCH,
            MU,
            mul(over(1, M), total(X[J])),
        ),
        step(
            "M2.2",
            "批次變異數：",
            "The variance of the batch:",
            BATCH,
            VAR,
            mul(over(1, M), total(sp.Pow(add(X[J], -MU), 2))),
        ),
        step(
            "M2.3",
            "標準化：",
            "Normalise:",
            BATCH,
            XHAT[I],
            over(_CENTRED, root()),
            over=EACH,
        ),
        step(
            "M2.4",
            "縮放與平移；$y_i$ 是 PyTorch 算出的輸出：",
            "Scale and shift; $y_i$ is what PyTorch gives:",
            BATCH,
            Y[I],
            add(mul(GAMMA, XHAT[I]), BETA),
            over=EACH,
        ),
    ),
)

CHAIN_RULE = Derivation(
    (
        step(
            "M2.5",
            "$\\hat{x}_i$ 只出現在 $y_i$ 裡，而 $y_i$ 對它的斜率是 $\\gamma$。",
            "$\\hat{x}_i$ stands in $y_i$ only, and $y_i$ has slope $\\gamma$ in it.",
            BATCH,
            slope(XHAT[I]),
            mul(slope(Y[I]), GAMMA),
            over=EACH,
        ),
        step(
            "M2.6",
            "$1/\\sqrt{\\sigma_B^2+\\epsilon}$ 對 $\\sigma_B^2$ 微分；分子 $x_i-\\mu_B$ 不變。",
            "Differentiate $1/\\sqrt{\\sigma_B^2+\\epsilon}$ by $\\sigma_B^2$; the numerator "
            "$x_i-\\mu_B$ stays.",
            STAGE,
            slope(VAR, XHAT[I]),
            minus(over(_CENTRED, mul(2, CUBED))),
            over=EACH,
        ),
        step(
            "M2.7",
            "每個 $\\hat{x}_i$ 都用到同一個 $\\sigma_B^2$，所以對 $i$ 加總。",
            "Every $\\hat{x}_i$ uses the same $\\sigma_B^2$, hence the sum over $i$.",
            STAGE,
            slope(VAR),
            total(mul(slope(XHAT[I]), slope(VAR, XHAT[I])), I),
            mul(minus(over(1, mul(2, CUBED))), total(mul(slope(XHAT[I]), _CENTRED), I)),
        ),
        step(
            "M2.8",
            "$\\mu_B$ 經由兩條路徑影響損失：直接進入每個 $\\hat{x}_i$……",
            "$\\mu_B$ acts on the loss along two paths: straight into every $\\hat{x}_i$ ...",
            STAGE,
            slope(MU, XHAT[I]),
            minus(over(1, root())),
            over=EACH,
        ),
        step(
            "M2.9",
            "……以及經過 $\\sigma_B^2$。這一步把 $\\mu_B$ 當成任意數。",
            "... and through $\\sigma_B^2$. In this step $\\mu_B$ may be any number.",
            STAGE,
            slope(MU, VAR),
            _SLOPE_MU,
        ),
        step(
            "M2.10",
            "兩條路徑相加。外層加總用 $i$，內層用 $j$：兩個足標不能共用。",
            "Add both paths. The outer sum runs over $i$, the inner over $j$: they must not "
            "share an index.",
            STAGE,
            slope(MU),
            add(
                total(mul(slope(XHAT[I]), slope(MU, XHAT[I])), I),
                mul(slope(VAR), slope(MU, VAR)),
            ),
            add(
                mul(minus(over(1, root())), total(slope(XHAT[I]), I)),
                mul(slope(VAR), mul(_SLOPE_MU)),
            ),
        ),
        step(
            "M2.11",
            "現在代入 $\\mu_B$ 真正的值，也就是平均：離均差的總和為零，所以 M2.10 的第二項消失。",
            "Now put in what $\\mu_B$ is, the mean: deviations from it sum to zero, so the "
            "second term of M2.10 vanishes.",
            BATCH,
            _SLOPE_MU,
            mul(-2, add(mul(over(1, M), total(X[J])), -MU)),
            sp.Integer(0),
        ),
        step(
            "M2.12",
            "因此只剩第一項：",
            "Only the first term is left:",
            BATCH,
            slope(MU),
            mul(minus(over(1, root())), total(slope(XHAT[I]), I)),
        ),
        step(
            "M2.13",
            "$x_i$ 有三條路徑：直接進入 $\\hat{x}_i$、經過 $\\sigma_B^2$、經過 $\\mu_B$"
            "（後兩條由整批樣本共用，所以一個樣本會影響同批次的其他樣本）。",
            "$x_i$ has three paths: straight into $\\hat{x}_i$, through $\\sigma_B^2$, and "
            "through $\\mu_B$ (the last two are shared, so that one sample acts on the others "
            "of its batch).",
            BATCH,
            slope(X[I]),
            add(
                mul(slope(XHAT[I]), slope(X[I], XHAT[I])),
                mul(slope(VAR), slope(X[I], VAR)),
                mul(slope(MU), slope(X[I], MU)),
            ),
            add(
                mul(slope(XHAT[I]), over(1, root())),
                mul(slope(VAR), mul(over(2, M), _CENTRED)),
                mul(slope(MU), over(1, M)),
            ),
            over=EACH,
        ),
        step(
            "M2.14",
            "$\\gamma$ 出現在每個 $y_i$ 裡，斜率是 $\\hat{x}_i$。",
            "$\\gamma$ stands in every $y_i$, with slope $\\hat{x}_i$.",
            BATCH,
            slope(GAMMA),
            total(mul(slope(Y[I]), XHAT[I]), I),
        ),
        step(
            "M2.15",
            "$\\beta$ 也在每個 $y_i$ 裡，斜率是 1。",
            "$\\beta$ stands in every $y_i$ too, with slope 1.",
            BATCH,
            slope(BETA),
            total(slope(Y[I]), I),
        ),
    ),
)

CLOSED_FORM = Derivation(
    (
        step(
            "M2.16",
            "M2.3 兩邊乘上分母，離均差就能用 $\\hat{x}$ 表示：",
            "Multiply M2.3 by its denominator, and the deviations are expressed by $\\hat{x}$:",
            BATCH,
            _CENTRED,
            mul(XHAT[I], root()),
            over=EACH,
        ),
        step(
            "M2.17",
            "把 M2.7 代入第二條路徑，用 M2.16 消去離均差（$i$ 與 $j$ 各一次）。",
            "Put M2.7 into the second path and remove the deviations by M2.16 (for $i$ and for "
            "$j$).",
            BATCH,
            mul(slope(VAR), mul(over(2, M), _CENTRED)),
            mul(
                minus(over(XHAT[I], mul(M, root()))),
                total(mul(slope(XHAT[J]), XHAT[J])),
            ),
            over=EACH,
        ),
        step(
            "M2.18",
            "三條路徑都有相同的因子，提出來；再用 M2.5 換成 $y$，最後認出 M2.14 與 M2.15。",
            "All three paths share a factor; take it out, go over to $y$ by M2.5, and recognise "
            "M2.14 and M2.15.",
            BATCH,
            slope(X[I]),
            _closed(XHAT, sp.Integer(1)),
            _closed(Y, GAMMA),
            mul(
                over(GAMMA, mul(M, root())),
                add(mul(M, slope(Y[I])), minus(slope(BETA)), mul(-1, XHAT[I], slope(GAMMA))),
            ),
            over=EACH,
        ),
    ),
)

DERIVATIONS = (GIVEN, CHAIN_RULE, CLOSED_FORM)
ANSWER = displayed(
    *(CHAIN_RULE[name].result() for name in ("M2.5", "M2.7", "M2.12")),
    CLOSED_FORM["M2.18"].result(),
    *(CHAIN_RULE[name].result() for name in ("M2.14", "M2.15")),
)
