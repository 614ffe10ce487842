"""M1: the shape of a convolution's output."""

# ruff: noqa: I001 (the names of a world, as the formulas use them, stay on few lines)
from __future__ import annotations

import sympy as sp

from hw3lib.derivations.claims import Derivation, displayed, step
from hw3lib.derivations.terms import add, holds, minus, mul, over
from hw3lib.derivations.worlds.convolution import (
    ACCEPTED, ANY, BATCH, BATCH_, CHANNELS_, CONV, DILATED, EXTRA, HEIGHT, HEIGHT_, K1, K2, OUTPUT,
    P1, P2, POOLED, S1, S2, TRANSPOSED, WIDTH, WIDTH_, D, K, P, S,
)  # fmt: skip


def _floor(numerator: sp.Expr, step: sp.Expr) -> sp.Expr:
    return sp.floor(over(numerator, step), evaluate=False)


def windows(size: sp.Expr, stride: sp.Expr, padding: sp.Expr, *reach: sp.Expr) -> sp.Expr:
    """How many windows fit along an axis: the formula of the answer; reach: terms of a width."""
    return add(_floor(add(size, mul(2, padding), *map(minus, reach)), stride), 1)


_W, _H = windows(WIDTH, S1, P1, K1), windows(HEIGHT, S2, P2, K2)
_LAST = _floor(add(WIDTH, mul(2, P1), -K1), S1)  # number of the last window, counted from 0
_REACH = (mul(D, add(K, -1)), sp.Integer(1))

SHAPE = step(
    "M1.3",
    "批次中的每個樣本各自卷積，所以 $B$ 不變；每個輸出通道有自己的一組卷積核，"
    "把所有輸入通道的結果加總，所以通道數變成 $\\text{out}$。依題目的軸序：",
    "Every sample of the batch is convolved by itself, so $B$ stays; every output channel has "
    "kernels of its own that sum over all input channels, so the channels become "
    "$\\text{out}$. In the question's order of axes:",
    CONV,
    sp.Tuple(BATCH_, WIDTH_, HEIGHT_, CHANNELS_),
    sp.Tuple(BATCH, _W, _H, OUTPUT),
)

DERIVATION = Derivation(
    (
        step(
            "M1.1",
            "補零後的寬度是 $W+2p_1$。從 0 編號，第 $j$ 個視窗涵蓋位置 $j s_1$ 到 $j s_1+k_1-1$，"
            "放得下的條件是 $j s_1+k_1\\leq W+2p_1$，所以最後一個的編號是 "
            "$j=\\lfloor (W+2p_1-k_1)/s_1\\rfloor$。它後面剩下的格數是一個餘數：不小於 0，"
            "所以它放得下；小於 $s_1$，所以再下一個放不下。",
            "With the padding the width is $W+2p_1$. Counted from 0, window $j$ covers positions "
            "$j s_1$ to $j s_1+k_1-1$ and fits if $j s_1+k_1\\leq W+2p_1$, so the last one has the "
            "number $j=\\lfloor (W+2p_1-k_1)/s_1\\rfloor$. The positions left behind it are a "
            "remainder: not below 0, so it fits; less than $s_1$, so the next one does not.",
            CONV,
            add(WIDTH, mul(2, P1), minus(add(mul(S1, _LAST), K1))),
            sp.Mod(add(WIDTH, mul(2, P1), -K1), S1, evaluate=False),
        ),
        step(
            "M1.2",
            "視窗的編號是 0 到這個最大的 $j$，個數因此再加一；兩個軸互不影響。",
            "The windows are numbered from 0 to this largest $j$, so there is one more of "
            "them; the two axes do not affect each other.",
            CONV,
            sp.Tuple(WIDTH_, HEIGHT_),
            sp.Tuple(_W, _H),
        ),
        SHAPE,
        step(
            "M1.4",
            "PyTorch 的軸序是（批次、通道、高、寬），數值相同：",
            "PyTorch's order is (batch, channels, height, width); the numbers are the same:",
            CONV,
            sp.Tuple(BATCH_, CHANNELS_, HEIGHT_, WIDTH_),
            sp.Tuple(BATCH, OUTPUT, _H, _W),
        ),
        step(
            "M1.5",
            "公式何時有意義：卷積核放得進補零後的影像、步幅至少為 1、補零不為負。"
            "PyTorch 接受的設定（$a=1$，拒絕則 $a=0$）恰好是這些；這裡抽出的設定有許多不合法。"
            "方括號在條件成立時為 1，否則為 0：",
            "When the formula means something: the kernel fits into the padded picture, the "
            "stride is at least 1, the padding is not negative. PyTorch accepts ($a=1$, refused "
            "$a=0$) exactly these settings; many of those drawn here are invalid. A bracket is "
            "1 where its condition holds, else 0:",
            ANY,
            ACCEPTED,
            mul(
                *(
                    holds(sp.Le(k, add(w, mul(2, p))))
                    for k, w, p in ((K1, WIDTH, P1), (K2, HEIGHT, P2))
                ),
                *(holds(sp.Ge(s, 1)) for s in (S1, S2)),
                *(holds(sp.Ge(p, 0)) for p in (P1, P2)),
            ),
        ),
    ),
)

REMARKS = Derivation(
    (
        step(
            "M1.6",
            "膨脹卷積（dilation $d$）：核的元素相隔 $d$，所以涵蓋 $d(k-1)+1$ 個位置，"
            "取代公式中的 $k$。",
            "Dilation $d$: the kernel's elements stand $d$ apart, so it covers $d(k-1)+1$ "
            "positions, which takes the place of $k$.",
            DILATED,
            WIDTH_,
            windows(WIDTH, S, P, *_REACH),
        ),
        step(
            "M1.7",
            "池化也是滑動視窗，公式相同；每個通道各自池化，通道數不變。"
            "（PyTorch 另外要求 $2 p\\leq k$；ceil_mode 會改為向上取整，預設關閉。）",
            "Pooling slides windows too, so the formula is the same; each channel is pooled by "
            "itself, so their number stays. (PyTorch also demands $2 p\\leq k$; its ceil_mode, "
            "off by default, rounds up instead.)",
            POOLED,
            WIDTH_,
            windows(WIDTH, S, P, *_REACH),
        ),
        step(
            "M1.8",
            "轉置卷積把視窗放回去：$W$ 個視窗從第一個位置到最後一個位置共 "
            "$(W-1)s+d(k-1)+1$ 格，去掉兩側補零，再加上指定的 $o$（output padding，"
            "$0\\leq o<s$）。",
            "A transposed convolution lays the windows back: $W$ windows reach over "
            "$(W-1)s+d(k-1)+1$ positions from the first to the last; take off the padding on "
            "both sides and add the chosen $o$ (output padding, $0\\leq o<s$).",
            TRANSPOSED,
            WIDTH_,
            add(mul(add(WIDTH, -1), S), mul(D, add(K, -1)), 1, minus(mul(2, P)), EXTRA),
        ),
        step(
            "M1.9",
            "$o$ 的用途：因為向下取整，$s$ 種不同的寬度 $W'$ 卷積後都變成同一個 $W$，"
            "$o$ 指出是哪一種。每一種再卷積一次都回到 $W$：",
            "What $o$ is for: because of the floor, $s$ different widths $W'$ are all "
            "convolved to the same $W$, and $o$ says which one is meant. Convolved again, each "
            "gives $W$ back:",
            TRANSPOSED,
            windows(WIDTH_, S, P, *_REACH),
            WIDTH,
        ),
    ),
)

DERIVATIONS = (DERIVATION, REMARKS)
ANSWER = displayed(SHAPE.result())
