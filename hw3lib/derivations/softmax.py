"""M3: softmax with cross entropy, from the full Jacobian to the gradient."""

# ruff: noqa: I001 (the names of a world, as the formulas use them, stay on few lines)
from __future__ import annotations

from typing import TYPE_CHECKING

import sympy as sp

from hw3lib.derivations.claims import Derivation, displayed, step
from hw3lib.derivations.terms import Partial, add, minus, mul, over
from hw3lib.derivations.worlds.softmax import (
    ALPHA, ANY, BATCH, CLASSES, HARD, LOSS, MEAN, SHIFT, SMOOTH, SOFT, YHAT, I, J, K, N, S, T, V,
    Y, Z,
)  # fmt: skip

if TYPE_CHECKING:
    import pandas as pd

ROW, COLUMN = (I, 1, CLASSES), (J, 1, CLASSES)


def _sum(term: sp.Expr, index: sp.Symbol = I) -> sp.Expr:
    return sp.Sum(term, (index, 1, CLASSES))


def _delta(i: sp.Expr, j: sp.Expr) -> sp.Expr:
    return sp.KroneckerDelta(i, j)


_TOTAL = _sum(sp.exp(Z[K]), K)
_QUOTIENT = sp.Pow(_TOTAL, 2, evaluate=False)
_JACOBIAN = mul(YHAT[I], add(_delta(I, J), minus(YHAT[J])))
_MEAN_V = _sum(mul(YHAT[K], V[K]), K)

GIVEN = Derivation(
    (
        step(
            "M3.1",
            "題目給的 softmax：",
            "The softmax as given:",
            SOFT,
            YHAT[I],
            over(sp.exp(Z[I]), _TOTAL),
            over=(ROW,),
        ),
        step(
            "M3.2",
            "題目給的交叉熵（省略樣本的下標 $t$，這個字母底下另有用途）：",
            "The cross entropy as given (without the sample's subscript $t$, which is used "
            "for something else below):",
            SOFT,
            LOSS,
            minus(_sum(mul(Y[I], sp.log(YHAT[I])))),
        ),
    ),
)

JACOBIAN = Derivation(
    (
        step(
            "M3.3",
            "對角項：分子與分母都含 $z_i$，用商的微分法則。",
            "Diagonal terms: numerator and denominator both hold $z_i$; quotient rule.",
            SOFT,
            Partial(YHAT[I], Z[I]),
            over(
                add(
                    mul(sp.exp(Z[I]), _TOTAL),
                    minus(mul(sp.exp(Z[I]), sp.exp(Z[I]))),
                ),
                _QUOTIENT,
            ),
            mul(YHAT[I], add(1, minus(YHAT[I]))),
            over=(ROW,),
        ),
        step(
            "M3.4",
            "非對角項：$i\\neq j$ 時分子不含 $z_j$，分母仍含，所以導數不是零。",
            "Off-diagonal terms: for $i\\neq j$ the numerator is free of $z_j$ but the "
            "denominator is not, so the derivative is not zero.",
            SOFT,
            Partial(YHAT[I], Z[J]),
            minus(over(mul(sp.exp(Z[I]), sp.exp(Z[J])), _QUOTIENT)),
            mul(-1, YHAT[I], YHAT[J]),
            over=(ROW, COLUMN),
            where=sp.Ne(I, J),
        ),
        step(
            "M3.5",
            "合寫成一式（$\\delta_{ij}$ 在 $i=j$ 時為 1，否則為 0）：",
            "Both in one formula ($\\delta_{ij}$ is 1 if $i=j$, else 0):",
            SOFT,
            Partial(YHAT[I], Z[J]),
            _JACOBIAN,
            over=(ROW, COLUMN),
        ),
        step(
            "M3.6",
            "核對：所有 logit 加上同一個數，機率不變，所以每一列的總和是零。",
            "A cross-check: adding one number to all logits changes no probability, so every row "
            "sums to zero.",
            SOFT,
            _sum(Partial(YHAT[I], Z[J]), J),
            sp.Integer(0),
            over=(ROW,),
        ),
    ),
)

GRADIENT = Derivation(
    (
        step(
            "M3.7",
            "損失對每個機率的偏導數；先不要求 $y$ 的總和為 1。",
            "The loss by each probability; $y$ need not sum to 1 yet.",
            ANY,
            Partial(LOSS, YHAT[I]),
            minus(over(Y[I], YHAT[I])),
            over=(ROW,),
        ),
        step(
            "M3.8",
            "連鎖律：$z_j$ 經過每一個 $\\hat{y}_i$ 影響損失，所以對全部 $i$ 加總，"
            "不能只取 $i=j$。$\\hat{y}_i$ 約掉，$\\delta_{ij}$ 只留下一項。",
            "Chain rule: $z_j$ acts on the loss through every $\\hat{y}_i$, hence the sum over "
            "all $i$, not $i=j$ alone. $\\hat{y}_i$ cancels, and $\\delta_{ij}$ picks out one "
            "term.",
            ANY,
            Partial(LOSS, Z[J]),
            _sum(mul(Partial(LOSS, YHAT[I]), Partial(YHAT[I], Z[J]))),
            minus(_sum(mul(over(Y[I], YHAT[I]), YHAT[I], add(_delta(I, J), minus(YHAT[J]))))),
            minus(_sum(mul(Y[I], add(_delta(I, J), minus(YHAT[J]))))),
            add(mul(YHAT[J], _sum(Y[I])), minus(Y[J])),
            over=(COLUMN,),
        ),
        step(
            "M3.9",
            "標籤是機率分布，總和為 1，所以得到題目要證的結果。"
            "軟標籤、平滑後的標籤與 one-hot 都滿足這個條件。",
            "The labels are a distribution and sum to 1, which gives what was to be proved. Soft, "
            "smoothed and one-hot labels all satisfy it.",
            SOFT,
            Partial(LOSS, Z[J]),
            add(YHAT[J], minus(Y[J])),
            over=(COLUMN,),
        ),
        step(
            "M3.10",
            "one-hot：真實類別是 $t$，只有它的標籤是 1：",
            "One-hot: the true class is $t$, its label alone is 1:",
            HARD,
            Partial(LOSS, Z[J]),
            add(YHAT[J], minus(Y[J])),
            add(YHAT[J], minus(_delta(J, T))),
            over=(COLUMN,),
        ),
        step(
            "M3.11",
            "標籤平滑：one-hot 占 $1-\\alpha$，其餘的 $\\alpha$ 平分給 $K$ 個類別：",
            "Label smoothing: the one-hot label keeps $1-\\alpha$, and $\\alpha$ is shared out "
            "among the $K$ classes:",
            SMOOTH,
            Partial(LOSS, Z[J]),
            add(YHAT[J], minus(Y[J])),
            add(
                YHAT[J],
                minus(add(mul(add(1, minus(ALPHA)), _delta(J, T)), over(ALPHA, CLASSES))),
            ),
            over=(COLUMN,),
        ),
        step(
            "M3.12",
            "程式最小化的是一批 $N$ 個樣本的平均 $\\bar{L}$，每個樣本的梯度因此除以 $N$。",
            "What a program minimises is the mean $\\bar{L}$ over a batch of $N$ samples, so "
            "each sample's gradient is divided by $N$.",
            BATCH,
            Partial(MEAN, Z[N, J]),
            mul(over(1, S), add(YHAT[N, J], minus(Y[N, J]))),
            over=((N, 1, S), COLUMN),
        ),
    ),
)

REMARKS = Derivation(
    (
        step(
            "M3.13",
            "Hessian：M3.9 再微分一次就是 softmax 的 Jacobian，與標籤無關。",
            "The Hessian: M3.9 differentiated once more is the Jacobian of the "
            "softmax, whatever the labels.",
            SOFT,
            Partial(LOSS, Z[I], Z[J]),
            _JACOBIAN,
            over=(ROW, COLUMN),
        ),
        step(
            "M3.14",
            "對任意 $v$，二次型是 $v$ 在機率 $\\hat{y}$ 之下的變異數，不會是負的，"
            "所以損失對 $z$ 是凸函數。",
            "For any $v$ the quadratic form is the variance of $v$ under the probabilities "
            "$\\hat{y}$, never negative, so the loss is convex in $z$.",
            SOFT,
            _sum(mul(V[I], _sum(mul(Partial(LOSS, Z[I], Z[J]), V[J]), J))),
            _sum(mul(YHAT[I], sp.Pow(add(V[I], minus(_MEAN_V)), 2, evaluate=False))),
        ),
        step(
            "M3.15",
            "數值穩定：把 $\\log(\\hat{y}_i)$ 展開，損失不必先算 $\\hat{y}$。",
            "Numerical stability: expand $\\log(\\hat{y}_i)$, and the loss needs no $\\hat{y}$.",
            SOFT,
            LOSS,
            add(sp.log(_TOTAL), minus(_sum(mul(Y[I], Z[I])))),
        ),
        step(
            "M3.16",
            "對任意 $c$ 成立；取 $c=\\max_k z_k$，每個指數都不超過 1，不會溢位，"
            "而且至少有一項等於 1，對數的真數不會變成 0。",
            "True for any $c$; with $c=\\max_k z_k$ no exponential exceeds 1, so nothing "
            "overflows, and one of them is 1, so the logarithm never meets 0.",
            SOFT,
            sp.log(_TOTAL),
            add(SHIFT, sp.log(_sum(sp.exp(add(Z[K], minus(SHIFT))), K))),
        ),
    ),
)

DERIVATIONS = (GIVEN, JACOBIAN, GRADIENT, REMARKS)
ANSWER = displayed(GRADIENT["M3.9"].result())


def large_logits(scales: tuple[float, ...] = (1, 10, 100, 1000)) -> pd.DataFrame:
    """Loss and gradient error of two float32 programs on logits of each size.

    Columns: scale, naive (the formula as given), stable (log-sum-exp), reference (float64, by
    torch.logsumexp), gradient (largest error of y-hat - y in float32).
    """
    import pandas as pd
    import torch

    rows = []
    for scale in scales:
        z = scale * torch.tensor([2.0, -1.0, 0.5, 1.5, -2.0, 0.0, 1.0])
        y = torch.eye(7)[3]
        naive = -torch.log((z.exp() / z.exp().sum())[3])
        stable = z.max() + (z - z.max()).exp().sum().log() - z[3]
        double = z.double()
        exact = torch.logsumexp(double, 0) - double[3]
        gradient = (torch.softmax(z, 0) - y) - (torch.softmax(double, 0) - y)
        rows.append((scale, naive.item(), stable.item(), exact.item(), gradient.abs().max().item()))
    return pd.DataFrame(rows, columns=["scale", "naive", "stable", "reference", "gradient"])
