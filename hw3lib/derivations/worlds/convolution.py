"""What the symbols of M1 mean: windows along an axis, exactly, and as torch counts them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import sympy as sp

from hw3lib.derivations.claims import Oracle, World
from hw3lib.derivations.terms import Values
from hw3lib.text import Text

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

_whole = partial(sp.symbols, integer=True)
BATCH, WIDTH, HEIGHT, INPUT, OUTPUT = _whole(r"B W H \text{in} \text{out}")
K1, K2, S1, S2, P1, P2 = _whole("k_1 k_2 s_1 s_2 p_1 p_2")
BATCH_, WIDTH_, HEIGHT_, CHANNELS_ = _whole("B' W' H' C'")
K, S, P, D, EXTRA = _whole("k s p d o")
ACCEPTED = sp.Symbol("a")  # 1 where torch accepts a setting, else 0

_REMAINDERS = tuple((s, r) for s in range(1, 5) for r in range(s))
_SCOPE = Text("步幅 s ≤ 4 的每個餘數，其餘符號任意", "every remainder for s ≤ 4, the rest symbolic")


def _euclid(kernel: sp.Expr, stride: int, padding: sp.Expr, remainder: int) -> tuple:
    """(size, windows) of an axis with size + 2 padding - kernel = quotient * stride + remainder.

    Window j covers j*stride .. j*stride + kernel - 1, so the last that fits is j = quotient.
    """
    quotient = sp.Dummy("q", integer=True, nonnegative=True)
    return quotient * stride + remainder + kernel - 2 * padding, quotient + 1


def _exact_conv(size: tuple[int, int]) -> Values:
    stride, remainder = size
    width, wide = _euclid(K1, stride, P1, remainder)
    height, high = _euclid(K2, 5 - stride, P2, remainder % (5 - stride))
    return {
        WIDTH: width, HEIGHT: height, S1: stride, S2: 5 - stride, BATCH_: BATCH,
        WIDTH_: wide, HEIGHT_: high, CHANNELS_: OUTPUT,
    }  # fmt: skip


def _exact_axis(size: tuple[int, int]) -> Values:
    stride, remainder = size
    width, wide = _euclid(D * (K - 1) + 1, stride, P, remainder)
    return {WIDTH: width, S: stride, WIDTH_: wide}


def _draw(rng: np.random.Generator, *, faulty: bool = False) -> dict:
    """A random layer and input; without `faulty` one in which the kernel fits on both axes."""
    low = {"k": 1, "s": 0, "p": -1} if faulty else {"k": 1, "s": 1, "p": 0}
    while True:
        batch, inputs, outputs = rng.integers(1, (4, 4, 6))
        size = rng.integers(1, 9 if faulty else 40, 2)
        kernel, stride, padding = (
            rng.integers(low[n], high, 2) for n, high in (("k", 8), ("s", 5), ("p", 4))
        )
        if faulty or all(kernel <= size + 2 * padding):
            break
    return {
        BATCH: batch, WIDTH: size[0], HEIGHT: size[1], INPUT: inputs, OUTPUT: outputs,
        K1: kernel[0], K2: kernel[1], S1: stride[0], S2: stride[1], P1: padding[0], P2: padding[1],
    }  # fmt: skip


def convolve(v: Values, *, device: str = "meta") -> tuple[int, ...]:
    """Shape (B', W', H', C') that torch gives an input in the question's order (B, W, H, C).

    torch wants (B, C, H, W) and the kernel as (height, width), and gives (B', C', H', W').
    device : "meta" computes shapes only; "cpu" convolves, and refuses what cannot be convolved.
    """
    import torch
    from torch.nn.functional import conv2d

    v = {key: int(value) for key, value in v.items()}
    x = torch.zeros(v[BATCH], v[WIDTH], v[HEIGHT], v[INPUT], device=device)
    weight = torch.zeros(v[OUTPUT], v[INPUT], v[K2], v[K1], device=device)
    y = conv2d(x.permute(0, 3, 2, 1), weight, stride=(v[S2], v[S1]), padding=(v[P2], v[P1]))
    return tuple(y.permute(0, 3, 2, 1).shape)


def _sample_conv(rng: np.random.Generator) -> Values:
    values = _draw(rng)
    return values | dict(zip((BATCH_, WIDTH_, HEIGHT_, CHANNELS_), convolve(values), strict=True))


def _sample_any(rng: np.random.Generator) -> Values:
    values = _draw(rng, faulty=True)
    try:
        convolve(values, device="cpu")
    except RuntimeError:
        return values | {ACCEPTED: 0}
    return values | {ACCEPTED: 1}


def _sample_axis(rng: np.random.Generator, layer: Callable[[dict], int]) -> Values:
    """One axis with dilation; `layer` says what torch makes of it."""
    while True:
        names = (WIDTH, K, S, P, D, EXTRA)
        drawn = map(int, rng.integers((1, 1, 1, 0, 1, 0), (40, 6, 5, 4, 4, 4)))
        v = dict(zip(names, drawn, strict=True))
        reach = v[D] * (v[K] - 1) + 1
        fits = reach <= v[WIDTH] + 2 * v[P] and 2 * v[P] <= v[K] and 2 * v[P] < reach
        if fits and v[EXTRA] < v[S]:
            return v | {WIDTH_: layer(v)}


def _dilated(v: dict) -> int:
    import torch
    from torch.nn.functional import conv1d

    x, weight = (torch.zeros(1, 1, v[n], device="meta") for n in (WIDTH, K))
    return conv1d(x, weight, stride=v[S], padding=v[P], dilation=v[D]).shape[-1]


def _pooled(v: dict) -> int:
    import torch
    from torch.nn.functional import max_pool2d

    x = torch.zeros(1, 1, v[WIDTH], 1, device="meta")
    settings = {"stride": (v[S], 1), "padding": (v[P], 0), "dilation": (v[D], 1)}
    return max_pool2d(x, (v[K], 1), **settings).shape[-2]


def _transposed(v: dict) -> int:
    import torch
    from torch.nn.functional import conv_transpose1d

    x, weight = (torch.zeros(1, 1, v[n], device="meta") for n in (WIDTH, K))
    settings = {"stride": v[S], "padding": v[P], "dilation": v[D], "output_padding": v[EXTRA]}
    return conv_transpose1d(x, weight, **settings).shape[-1]


def _torch(name: str, sample: Callable, cases: int) -> tuple[Oracle, ...]:
    name = f"torch {name}"
    return (Oracle(Text(name, name), sample, cases, 0.0, columns=True),)


def _exact_transposed(size: tuple[int, int]) -> Values:
    stride, extra = size
    return {S: stride, EXTRA: extra, WIDTH_: (WIDTH - 1) * stride - 2 * P + D * (K - 1) + extra + 1}


CONV = World(_exact_conv, _REMAINDERS, _SCOPE, _torch("conv2d", _sample_conv, 3000))
ANY = World(lambda size: {}, (), Text("", ""), _torch("conv2d", _sample_any, 1500))
DILATED, POOLED = (
    World(_exact_axis, _REMAINDERS, _SCOPE, _torch(name, partial(_sample_axis, layer=layer), 1500))
    for name, layer in (("conv1d", _dilated), ("max_pool2d", _pooled))
)
TRANSPOSED = World(
    _exact_transposed,
    _REMAINDERS,
    _SCOPE,
    _torch("conv_transpose1d", partial(_sample_axis, layer=_transposed), 1500),
)


def refusals() -> pd.DataFrame:
    """A setting of each invalid kind, convolved on the CPU. Columns: setting, torch says."""
    import pandas as pd

    names = (BATCH, WIDTH, HEIGHT, INPUT, OUTPUT, K1, K2, S1, S2, P1, P2)
    good = dict(zip(names, (2, 5, 5, 3, 4, 3, 3, 1, 1, 0, 0), strict=True))
    found = []
    for change in ({K1: 6}, {K1: 8, P1: 1}, {S1: 0}, {P1: -1}, {K2: 6, WIDTH: 9}):
        try:
            told = str(convolve(good | change, device="cpu"))
        except RuntimeError as error:
            told = str(error).split("\n")[0]
        found.append(
            (", ".join(f"{name} = {v}" for name, v in change.items()).replace("_", ""), told)
        )
    return pd.DataFrame(found, columns=["setting", "torch says"])


def network_shapes(model: nn.Module, in_channels: int = 1) -> pd.DataFrame:
    """Each convolution and max pooling layer of a network: settings, and both ways to its width.

    Columns: layer, input, k, s, p (of one axis), formula, torch (output widths).
    """
    import pandas as pd
    import torch

    rows = []

    def one(value: int | tuple[int, int]) -> int:
        return value if isinstance(value, int) else value[0]

    def record(module: nn.Module, inputs: tuple[Tensor], output: Tensor, name: str) -> None:
        settings = (module.kernel_size, module.stride, module.padding)
        wide, (k, s, p) = inputs[0].shape[-2], map(one, settings)
        rows.append((name, wide, k, s, p, (wide + 2 * p - k) // s + 1, output.shape[-2]))

    kinds = (torch.nn.Conv2d, torch.nn.MaxPool2d)
    model = copy.deepcopy(model).eval()
    for name, module in model.named_modules():
        if isinstance(module, kinds):
            module.register_forward_hook(partial(record, name=name))
    with torch.inference_mode():
        model(torch.zeros(1, in_channels, 48, 48))
    return pd.DataFrame(rows, columns=["layer", "input", "k", "s", "p", "formula", "torch"])
