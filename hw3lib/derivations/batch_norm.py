"""M2: batch normalisation backward, from the chain rule to the closed form."""

# ruff: noqa: I001 (the names of a world, as the formulas use them, stay on few lines)
from __future__ import annotations

import sympy as sp

from hw3lib.derivations.claims import Derivation, displayed, step
from hw3lib.derivations.terms import Partial, add, minus, mul, over
from hw3lib.derivations.worlds.batch_norm import (
    BATCH, BETA, ELL, EPS, GAMMA, MU, PAIR, RUNNING, SINGLE, STAGE, VAR, VAR_R, XHAT,
    I, J, M, X, Y,
)  # fmt: skip

EACH = ((I, 1, M),)  # for every i


def _root(variance: sp.Expr = VAR) -> sp.Expr:
    return sp.sqrt(add(variance, EPS), evaluate=False)


def _sum(term: sp.Expr, index: sp.Symbol = J) -> sp.Expr:
    return sp.Sum(term, (index, 1, M))


def _d(variable: sp.Expr, of: sp.Expr = ELL) -> Partial:
    return Partial(of, variable)


_CENTRED = add(X[I], -MU)
_CUBED = sp.Pow(add(VAR, EPS), sp.Rational(3, 2), evaluate=False)
_SLOPE_MU = mul(minus(over(2, M)), _sum(add(X[J], -MU)))  # of sigma^2 by mu, at any mu


def _closed(upstream: sp.IndexedBase, factor: sp.Expr) -> sp.Expr:
    """factor / (m root) (m u_i - sum u - xhat_i sum u xhat), u the derivative by `upstream`."""
    inner = add(
        mul(M, _d(upstream[I])),
        minus(_sum(_d(upstream[J]))),
        mul(-1, XHAT[I], _sum(mul(_d(upstream[J]), XHAT[J]))),
    )
    return mul(over(factor, mul(M, _root())), inner)


GIVEN = Derivation(
    "M2 given",
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
            mul(over(1, M), _sum(X[J])),
        ),
        step(
            "M2.2",
            "批次變異數：",
            "The variance of the batch:",
            BATCH,
            VAR,
            mul(over(1, M), _sum(sp.Pow(add(X[J], -MU), 2))),
        ),
        step(
            "M2.3",
            "標準化：",
            "Normalise:",
            BATCH,
            XHAT[I],
            over(_CENTRED, _root()),
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
    "M2",
    (
        step(
            "M2.5",
            "$\\hat{x}_i$ 只出現在 $y_i$ 裡，而 $y_i$ 對它的斜率是 $\\gamma$。",
            "$\\hat{x}_i$ stands in $y_i$ only, and $y_i$ has slope $\\gamma$ in it.",
            BATCH,
            _d(XHAT[I]),
            mul(_d(Y[I]), GAMMA),
            over=EACH,
        ),
        step(
            "M2.6",
            "對 $\\sigma_B^2$ 微分 $(\\sigma_B^2+\\epsilon)^{-1/2}$；分子 $x_i-\\mu_B$ 不變。",
            "Differentiate $(\\sigma_B^2+\\epsilon)^{-1/2}$ by $\\sigma_B^2$; the numerator "
            "$x_i-\\mu_B$ stays.",
            STAGE,
            _d(VAR, XHAT[I]),
            minus(over(_CENTRED, mul(2, _CUBED))),
            over=EACH,
        ),
        step(
            "M2.7",
            "每個 $\\hat{x}_i$ 都用到同一個 $\\sigma_B^2$，所以對 $i$ 加總。",
            "Every $\\hat{x}_i$ uses the same $\\sigma_B^2$, hence the sum over $i$.",
            STAGE,
            _d(VAR),
            _sum(mul(_d(XHAT[I]), _d(VAR, XHAT[I])), I),
            mul(minus(over(1, mul(2, _CUBED))), _sum(mul(_d(XHAT[I]), _CENTRED), I)),
        ),
        step(
            "M2.8",
            "$\\mu_B$ 走兩條路：直接進入每個 $\\hat{x}_i$……",
            "$\\mu_B$ takes two ways: straight into every $\\hat{x}_i$ ...",
            STAGE,
            _d(MU, XHAT[I]),
            minus(over(1, _root())),
            over=EACH,
        ),
        step(
            "M2.9",
            "……以及經過 $\\sigma_B^2$。這一步把 $\\mu_B$ 當成任意數。",
            "... and through $\\sigma_B^2$. In this step $\\mu_B$ may be any number.",
            STAGE,
            _d(MU, VAR),
            _SLOPE_MU,
        ),
        step(
            "M2.10",
            "兩條路相加。外層加總用 $i$，內層用 $j$：兩個指標不能共用。",
            "Add both ways. The outer sum runs over $i$, the inner over $j$: they must not "
            "share an index.",
            STAGE,
            _d(MU),
            add(
                _sum(mul(_d(XHAT[I]), _d(MU, XHAT[I])), I),
                mul(_d(VAR), _d(MU, VAR)),
            ),
            add(
                mul(minus(over(1, _root())), _sum(_d(XHAT[I]), I)),
                mul(_d(VAR), mul(_SLOPE_MU)),
            ),
        ),
        step(
            "M2.11",
            "現在代入 $\\mu_B$ 真正的值，也就是平均：離均差的總和為零，所以第二項消失。",
            "Now put in what $\\mu_B$ is, the mean: deviations from it sum to zero, so the "
            "second term vanishes.",
            BATCH,
            _SLOPE_MU,
            mul(-2, add(mul(over(1, M), _sum(X[J])), -MU)),
            sp.Integer(0),
        ),
        step(
            "M2.12",
            "因此只剩第一項：",
            "Only the first term is left:",
            BATCH,
            _d(MU),
            mul(minus(over(1, _root())), _sum(_d(XHAT[I]), I)),
        ),
        step(
            "M2.13",
            "$x_i$ 走三條路：直接進入 $\\hat{x}_i$、經過 $\\sigma_B^2$、經過 $\\mu_B$"
            "（後兩條是每個樣本共用的，所以一個樣本會影響同批次的其他樣本）。",
            "$x_i$ takes three ways: straight into $\\hat{x}_i$, through $\\sigma_B^2$, and "
            "through $\\mu_B$ (the last two are shared, so that one sample acts on the others "
            "of its batch).",
            BATCH,
            _d(X[I]),
            add(
                mul(_d(XHAT[I]), _d(X[I], XHAT[I])),
                mul(_d(VAR), _d(X[I], VAR)),
                mul(_d(MU), _d(X[I], MU)),
            ),
            add(
                mul(_d(XHAT[I]), over(1, _root())),
                mul(_d(VAR), mul(over(2, M), _CENTRED)),
                mul(_d(MU), over(1, M)),
            ),
            over=EACH,
        ),
        step(
            "M2.14",
            "$\\gamma$ 出現在每個 $y_i$ 裡，斜率是 $\\hat{x}_i$。",
            "$\\gamma$ stands in every $y_i$, with slope $\\hat{x}_i$.",
            BATCH,
            _d(GAMMA),
            _sum(mul(_d(Y[I]), XHAT[I]), I),
        ),
        step(
            "M2.15",
            "$\\beta$ 也在每個 $y_i$ 裡，斜率是 1。",
            "$\\beta$ stands in every $y_i$ too, with slope 1.",
            BATCH,
            _d(BETA),
            _sum(_d(Y[I]), I),
        ),
    ),
)

CLOSED_FORM = Derivation(
    "M2 closed form",
    (
        step(
            "M2.16",
            "把 M2.7 代入第二條路，並用 $x_j-\\mu_B=\\hat{x}_j\\sqrt{\\sigma_B^2+\\epsilon}$ "
            "消去離均差（$i$ 與 $j$ 各一次）。",
            "Put M2.7 into the second way and remove the deviations by "
            "$x_j-\\mu_B=\\hat{x}_j\\sqrt{\\sigma_B^2+\\epsilon}$ (for $i$ and for $j$).",
            BATCH,
            mul(_d(VAR), mul(over(2, M), _CENTRED)),
            mul(
                minus(over(XHAT[I], mul(M, _root()))),
                _sum(mul(_d(XHAT[J]), XHAT[J])),
            ),
            over=EACH,
        ),
        step(
            "M2.17",
            "三條路都有因子 $1/(m\\sqrt{\\sigma_B^2+\\epsilon})$，提出來；再用 M2.5 換成 "
            "$y$，最後認出 M2.14 與 M2.15。",
            "All three ways share the factor $1/(m\\sqrt{\\sigma_B^2+\\epsilon})$; take it "
            "out, go over to $y$ by M2.5, and recognise M2.14 and M2.15.",
            BATCH,
            _d(X[I]),
            _closed(XHAT, sp.Integer(1)),
            _closed(Y, GAMMA),
            mul(
                over(GAMMA, mul(M, _root())),
                add(mul(M, _d(Y[I])), minus(_d(BETA)), mul(-1, XHAT[I], _d(GAMMA))),
            ),
            over=EACH,
        ),
    ),
)

REMARKS = Derivation(
    "M2 remarks",
    (
        step(
            "M2.18",
            "整批輸入加上同一個數，輸出不變，所以梯度的總和是零：",
            "Adding one number to the whole batch changes nothing, so the gradient sums to 0:",
            BATCH,
            _sum(_d(X[I]), I),
            sp.Integer(0),
        ),
        step(
            "M2.19",
            "$\\epsilon$ 改變什麼：上面每個式子對任何 $\\epsilon$ 都成立，但 $\\hat{x}$ "
            "的平均平方不再是 1，而是略小：",
            "What $\\epsilon$ changes: each formula above holds for any $\\epsilon$, but the "
            "mean square of $\\hat{x}$ is no longer 1, it is a little less:",
            BATCH,
            mul(over(1, M), _sum(sp.Pow(XHAT[J], 2))),
            over(VAR, add(VAR, EPS)),
        ),
        step(
            "M2.20",
            "所以梯度與 $\\hat{x}$ 不完全垂直；$\\epsilon=0$ 時才垂直，"
            "因為那時把離均差放大，輸出也不變。",
            "So the gradient is not quite orthogonal to $\\hat{x}$; with $\\epsilon=0$ it is, "
            "as stretching the deviations then changes nothing either.",
            BATCH,
            _sum(mul(XHAT[I], _d(X[I])), I),
            mul(over(mul(GAMMA, EPS), _CUBED), _d(GAMMA)),
        ),
        step(
            "M2.21",
            "$m=2$：兩個 $\\hat{x}$ 永遠是 $\\pm\\sqrt{\\sigma_B^2/(\\sigma_B^2+\\epsilon)}$，"
            "幾乎不含輸入的資訊；留下的梯度與 $\\epsilon$ 成正比。太小的批次因此學不動。",
            "$m=2$: the two $\\hat{x}$ are always "
            "$\\pm\\sqrt{\\sigma_B^2/(\\sigma_B^2+\\epsilon)}$ and say almost nothing about "
            "the input; what is left of the gradient is proportional to $\\epsilon$. That is "
            "why a batch must not be too small.",
            PAIR,
            _d(X[I]),
            mul(
                over(mul(GAMMA, EPS), mul(2, _CUBED)),
                add(_d(Y[I]), minus(_d(Y[add(3, -I)]))),
            ),
            over=EACH,
        ),
        step(
            "M2.22",
            "$m=1$：$x_1=\\mu_B$，所以 $\\hat{x}_1=0$，輸出恆為 $\\beta$，輸入與 $\\gamma$ "
            "都得不到梯度。PyTorch 訓練時直接拒絕這種批次。",
            "$m=1$: $x_1=\\mu_B$, so $\\hat{x}_1=0$, the output is always $\\beta$, and "
            "neither the input nor $\\gamma$ gets a gradient. PyTorch refuses such a batch "
            "while training.",
            SINGLE,
            sp.Tuple(_d(X[1]), _d(GAMMA), _d(BETA)),
            sp.Tuple(0, 0, _d(Y[1])),
        ),
        step(
            "M2.23",
            "評估模式：平均 $\\mu_R$ 與變異數 $\\sigma_R^2$ 是訓練時累積的常數，"
            "後兩條路不存在，只剩一個縮放：",
            "Evaluation mode: mean $\\mu_R$ and variance $\\sigma_R^2$ are constants gathered "
            "in training, two of the three ways are gone, and a scaling is left:",
            RUNNING,
            _d(X[I]),
            mul(over(GAMMA, _root(VAR_R)), _d(Y[I])),
            over=EACH,
        ),
    ),
)

DERIVATIONS = (GIVEN, CHAIN_RULE, CLOSED_FORM, REMARKS)
ANSWER = displayed(
    *(CHAIN_RULE[name].result() for name in ("M2.5", "M2.7", "M2.12")),
    CLOSED_FORM["M2.17"].result(),
    *(CHAIN_RULE[name].result() for name in ("M2.14", "M2.15")),
)
