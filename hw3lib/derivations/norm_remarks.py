"""M2, remarks: feature maps, what epsilon changes, small batches, evaluation mode."""

# ruff: noqa: I001 (the names of a world, as the formulas use them, stay on few lines)
from __future__ import annotations

import sympy as sp

from hw3lib.derivations.batch_norm import CUBED, EACH, root, slope, total
from hw3lib.derivations.claims import Derivation, step
from hw3lib.derivations.terms import add, minus, mul, over
from hw3lib.derivations.worlds.batch_norm import (
    BATCH, BETA, BETA_C, CHANNELS, EPS, GAMMA, GAMMA_C, HEIGHT, MAPS, PAIR, RUNNING, SAMPLES,
    SINGLE, VAR, VAR_C, VAR_R, WIDTH, XHAT, C_, H_, I, J, M, N_, W_, X, Y,
)  # fmt: skip

_PIXEL = (N_, C_, H_, W_)


def _over_maps(term: sp.Expr) -> sp.Expr:
    """Sum over the samples and positions of a channel."""
    return sp.Sum(sp.Sum(sp.Sum(term, (W_, 1, WIDTH)), (H_, 1, HEIGHT)), (N_, 1, SAMPLES))


REMARKS = Derivation(
    (
        step(
            "M2.19",
            "NCHW 排列的卷積特徵圖：每個通道 $c$ 各有自己的 $\\mu_c$、$\\sigma_c^2$、"
            "$\\gamma_c$ 與 $\\beta_c$，加總跑遍樣本 $n$、高 $h$ 與寬 $w$，$m=N H W$。",
            "Feature maps of a convolution in NCHW order: every channel $c$ has its own $\\mu_c$, "
            "$\\sigma_c^2$, $\\gamma_c$ and $\\beta_c$, the sums run over samples $n$, height $h$ "
            "and width $w$, and $m=N H W$.",
            MAPS,
            sp.Tuple(slope(BETA_C[C_]), slope(GAMMA_C[C_])),
            sp.Tuple(_over_maps(slope(Y[_PIXEL])), _over_maps(mul(slope(Y[_PIXEL]), XHAT[_PIXEL]))),
            over=((C_, 1, CHANNELS),),
        ),
        step(
            "M2.20",
            "其餘不變，所以封閉形式在每個位置是",
            "Nothing else changes, so that at every position the closed form is",
            MAPS,
            slope(X[_PIXEL]),
            mul(
                over(GAMMA_C[C_], mul(SAMPLES, HEIGHT, WIDTH, root(VAR_C[C_]))),
                add(
                    mul(SAMPLES, HEIGHT, WIDTH, slope(Y[_PIXEL])),
                    minus(slope(BETA_C[C_])),
                    mul(-1, XHAT[_PIXEL], slope(GAMMA_C[C_])),
                ),
            ),
            over=((N_, 1, SAMPLES), (C_, 1, CHANNELS), (H_, 1, HEIGHT), (W_, 1, WIDTH)),
        ),
        step(
            "M2.21",
            "整批輸入加上同一個數，輸出不變，所以梯度的總和是零：",
            "Adding one number to the whole batch changes nothing, so the gradient sums to 0:",
            BATCH,
            total(slope(X[I]), I),
            sp.Integer(0),
        ),
        step(
            "M2.22",
            "$\\epsilon$ 改變什麼：上面每個式子對任何 $\\epsilon$ 都成立，但 $\\hat{x}$ "
            "的平均平方不再是 1，而是略小：",
            "What $\\epsilon$ changes: each formula above holds for any $\\epsilon$, but the "
            "mean square of $\\hat{x}$ is no longer 1, it is a little less:",
            BATCH,
            mul(over(1, M), total(sp.Pow(XHAT[J], 2))),
            over(VAR, add(VAR, EPS)),
        ),
        step(
            "M2.23",
            "所以梯度與 $\\hat{x}$ 不完全正交；$\\epsilon=0$ 時才正交，"
            "因為那時把所有離均差放大同一倍數，輸出也不變。",
            "So the gradient is not quite orthogonal to $\\hat{x}$; with $\\epsilon=0$ it is, "
            "as stretching all deviations alike then changes nothing either.",
            BATCH,
            total(mul(XHAT[I], slope(X[I])), I),
            mul(over(mul(GAMMA, EPS), CUBED), slope(GAMMA)),
        ),
        step(
            "M2.24",
            "$m=2$：兩個離均差大小相等、方向相反，所以 $\\hat{x}$ 只剩正負號，幾乎不含輸入的資訊；",
            "$m=2$: the two deviations are equal in size and opposite in sign, so that of "
            "$\\hat{x}$ only the sign is left, which says almost nothing about the input;",
            PAIR,
            sp.Pow(XHAT[I], 2),
            over(VAR, add(VAR, EPS)),
            over=EACH,
        ),
        step(
            "M2.25",
            "而留下的梯度與 $\\epsilon$ 成正比。批次太小，網路因此難以學習。",
            "and what is left of the gradient is proportional to $\\epsilon$. That is why a batch "
            "must not be too small.",
            PAIR,
            slope(X[I]),
            mul(
                over(mul(GAMMA, EPS), mul(2, CUBED)),
                add(slope(Y[I]), minus(slope(Y[add(3, -I)]))),
            ),
            over=EACH,
        ),
        step(
            "M2.26",
            "$m=1$：平均就是唯一的輸入，所以輸出恆為 $\\beta$，輸入與 $\\gamma$ "
            "都得不到梯度。PyTorch 訓練時直接拒絕這種批次。",
            "$m=1$: the mean is the only input, so the output is always $\\beta$, and neither the "
            "input nor $\\gamma$ gets a gradient. PyTorch refuses such a batch while training.",
            SINGLE,
            sp.Tuple(XHAT[1], Y[1], slope(X[1]), slope(GAMMA), slope(BETA)),
            sp.Tuple(0, BETA, 0, 0, slope(Y[1])),
        ),
        step(
            "M2.27",
            "評估模式：平均 $\\mu_R$ 與變異數 $\\sigma_R^2$ 是訓練時累積的常數，"
            "後兩條路徑不存在，只剩一個縮放：",
            "Evaluation mode: mean $\\mu_R$ and variance $\\sigma_R^2$ are constants gathered "
            "in training, two of the three paths are gone, and a scaling is left:",
            RUNNING,
            slope(X[I]),
            mul(over(GAMMA, root(VAR_R)), slope(Y[I])),
            over=EACH,
        ),
    ),
)

DERIVATIONS = (REMARKS,)
