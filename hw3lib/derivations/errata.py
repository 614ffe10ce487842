"""Faults found in two earlier hand-ins' M1-M4: stated, refuted by the checker, mended."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from hw3lib.derivations import adagrad, adam, batch_norm, convolution, softmax
from hw3lib.derivations.claims import AT_MOST, Claim, step
from hw3lib.derivations.terms import Partial, add, minus, mul, over
from hw3lib.derivations.worlds import adam as a
from hw3lib.derivations.worlds import batch_norm as b
from hw3lib.derivations.worlds import convolution as c
from hw3lib.derivations.worlds import softmax as s


@dataclass(frozen=True)
class Erratum:
    """fault: the Claim as it was handed in, its reason saying what is wrong; mended by `right`."""

    fault: Claim
    right: Claim


def _quotient(size: sp.Expr, padding: sp.Expr, kernel: sp.Expr, stride: sp.Expr) -> sp.Expr:
    return add(over(add(size, mul(2, padding), -kernel), stride), 1)


_WIDE = _quotient(c.WIDTH, c.P1, c.K1, c.S1)
_HIGH = _quotient(c.HEIGHT, c.P2, c.K2, c.S2)
_ROOT = sp.sqrt(add(b.VAR, b.EPS), evaluate=False)
_CENTRED = sp.Sum(add(b.X[b.I], -b.MU), (b.I, 1, b.M))
_SQUARES = sp.Sum(sp.Pow(a.G[a.I], 2), (a.I, 1, a.T))
_DIAGONAL = mul(s.YHAT[s.J], add(1, minus(s.YHAT[s.J])))


def _weights(last: sp.Expr) -> sp.Expr:
    weight = sp.Pow(a.BETA2, add(a.T, -a.I), evaluate=False)
    return sp.Sum(mul(weight, sp.Pow(a.G[a.I], 2)), (a.I, 1, last))


SHAPE = (
    Erratum(
        step(
            "E1",
            "沒有向下取整：除不盡時得到的不是整數，更不是視窗的個數。",
            "No floor: where the division leaves a remainder this is no whole number, let "
            "alone a number of windows.",
            c.CONV,
            sp.Tuple(c.WIDTH_, c.HEIGHT_),
            sp.Tuple(_WIDE, _HIGH),
        ),
        convolution.DERIVATION["M1.2"],
    ),
    Erratum(
        step(
            "E2",
            "缺少批次與通道：輸出有四個軸，這裡只有兩個。",
            "Batch and channels are missing: the output has four axes, here are two.",
            c.CONV,
            sp.Tuple(c.BATCH_, c.WIDTH_, c.HEIGHT_, c.CHANNELS_),
            sp.Tuple(c.WIDTH_, c.HEIGHT_),
        ),
        convolution.SHAPE,
    ),
)

NORM = (
    Erratum(
        step(
            "E3",
            "$\\partial\\ell/\\partial\\mu_B$ 開頭缺少對 $i$ 的加總，右邊卻在加總裡又用同一個 "
            "$i$：左邊與 $i$ 無關，右邊隨 $i$ 而變。",
            "$\\partial\\ell/\\partial\\mu_B$ begins without the sum over $i$ and uses $i$ "
            "again inside a sum: the left does not depend on $i$, the right varies with $i$.",
            b.BATCH,
            Partial(b.ELL, b.MU),
            add(
                mul(Partial(b.ELL, b.XHAT[b.I]), minus(over(1, _ROOT))),
                mul(Partial(b.ELL, b.VAR), minus(over(2, b.M)), _CENTRED),
            ),
            over=batch_norm.EACH,
        ),
        batch_norm.CHAIN_RULE["M2.10"],
    ),
    Erratum(
        step(
            "E4",
            "推導停在 $\\partial\\ell/\\partial x_i$ 之前，題目要的式子沒有寫出來。"
            "如果只沿著當時已有的 $\\partial\\ell/\\partial\\hat{x}_i$ 走完最後一步，"
            "會漏掉經過 $\\sigma_B^2$ 與 $\\mu_B$ 的兩條路徑：",
            "The derivation stops before $\\partial\\ell/\\partial x_i$, which the question "
            "asks for. Taking the last step from $\\partial\\ell/\\partial\\hat{x}_i$ alone "
            "would miss the two paths through $\\sigma_B^2$ and $\\mu_B$:",
            b.BATCH,
            Partial(b.ELL, b.X[b.I]),
            mul(Partial(b.ELL, b.XHAT[b.I]), over(1, _ROOT)),
            over=batch_norm.EACH,
        ),
        batch_norm.CHAIN_RULE["M2.13"],
    ),
)

ENTROPY = (
    Erratum(
        step(
            "E5",
            "兩份作業都只證明 $i=j$ 的情形。只留對角項的連鎖律，在 $y_j=0$ 的類別得到 0，"
            "真正的梯度卻是 $\\hat{y}_j$。",
            "Both hand-ins prove the case $i=j$ only. With the diagonal term alone the chain "
            "rule gives 0 for every class with $y_j=0$, where the true gradient is "
            "$\\hat{y}_j$.",
            s.SOFT,
            Partial(s.LOSS, s.Z[s.J]),
            minus(mul(over(s.Y[s.J], s.YHAT[s.J]), _DIAGONAL)),
            over=(softmax.COLUMN,),
        ),
        softmax.GRADIENT["M3.8"],
    ),
    Erratum(
        step(
            "E6",
            "遺失一個負號：左邊展開是 $y_j(\\hat{y}_j-1)$，不是它的相反數。",
            "A sign is lost: the left is $y_j(\\hat{y}_j-1)$ and not its negative.",
            s.SOFT,
            minus(mul(s.Y[s.J], over(1, s.YHAT[s.J]), _DIAGONAL)),
            minus(mul(s.Y[s.J], add(s.YHAT[s.J], -1))),
            over=(softmax.COLUMN,),
        ),
        step(
            "E6'",
            "正確的展開：",
            "Expanded correctly:",
            s.SOFT,
            minus(mul(s.Y[s.J], over(1, s.YHAT[s.J]), _DIAGONAL)),
            mul(s.Y[s.J], add(s.YHAT[s.J], -1)),
            over=(softmax.COLUMN,),
        ),
    ),
)

OPTIMIZER = (
    Erratum(
        step(
            "E7",
            "展開時多了一個加總：$m_0$ 只乘上一次 $\\beta_1^t$。"
            "（$m_0=0$ 時看不出來，但這一步已經錯了。）",
            "One sum too many in the unrolling: $m_0$ carries $\\beta_1^t$, once. (With "
            "$m_0=0$ it does not show, but the step is wrong.)",
            a.START,
            a.MOMENT[a.T],
            add(
                sp.Sum(mul(sp.Pow(a.BETA1, a.I), a.MOMENT[0]), (a.I, 1, a.T)),
                mul(
                    add(1, -a.BETA1),
                    sp.Sum(
                        mul(sp.Pow(a.BETA1, add(a.T, -a.I), evaluate=False), a.G[a.I]),
                        (a.I, 1, a.T),
                    ),
                ),
            ),
        ),
        adam.UNROLLED["M4.2"],
    ),
    Erratum(
        step(
            "E8",
            "加總停在 $t-1$，漏掉最新、權重最大的 $g_t$。",
            "The sum ends at $t-1$ and drops $g_t$, the newest and heaviest.",
            a.ZERO,
            a.SQUARE[a.T],
            mul(add(1, -a.BETA2), _weights(add(a.T, -1))),
        ),
        adam.UNROLLED["M4.5"],
    ),
    Erratum(
        step(
            "E9",
            "遞迴裡寫成第一步的梯度 $g_1^2$，應該是當下的 $g_t^2$。",
            "The recursion has the first step's gradient $g_1^2$ where the present one, "
            "$g_t^2$, belongs.",
            a.ZERO,
            a.SQUARE[a.T],
            add(
                mul(a.BETA2, a.SQUARE[add(a.T, -1)]),
                mul(add(1, -a.BETA2), sp.Pow(a.G[1], 2)),
            ),
        ),
        adam.UNROLLED["M4.3"],
    ),
    Erratum(
        step(
            "E10",
            "不等式方向相反：$0<\\beta_2<1$ 時乘上 $\\beta_2$ 的次方會變小，不會變大。",
            "The inequality is the wrong way round: for $0<\\beta_2<1$ a power of $\\beta_2$ "
            "makes a term smaller, not larger.",
            a.BOUNDED,
            _SQUARES,
            _weights(a.T),
            mul(sp.Pow(a.BETA2, add(a.T, -1), evaluate=False), _SQUARES),
            relations=(AT_MOST, AT_MOST),
            sharp=(sp.Eq(a.T, 1), sp.Eq(a.T, 1)),
        ),
        adagrad.LIMIT["M4.12"],
    ),
)

ERRATA: tuple[Erratum, ...] = (*SHAPE, *NORM, *ENTROPY, *OPTIMIZER)
