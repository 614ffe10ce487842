"""What the symbols of M4 mean: Adam and AdaGrad, exactly and as torch.optim computes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import sympy as sp

from hw3lib.derivations.claims import Oracle, World
from hw3lib.derivations.terms import Array, Values
from hw3lib.text import Text

MOMENT, SQUARE, G = (sp.IndexedBase(n) for n in ("m", "v", "g"))
BETA1, BETA2 = sp.symbols(r"\beta_1 \beta_2", positive=True)
ETA, EPS = sp.symbols(r"\eta_0 \epsilon", positive=True)
T, I, K = sp.symbols("t i k", integer=True, positive=True)  # noqa: E741
ADAM = sp.IndexedBase(r"\Delta^{\text{Adam}}")
ADAGRAD = sp.IndexedBase(r"\Delta^{\text{AdaGrad}}")


def unrolled(beta: sp.Expr, start: sp.Expr, power: int, steps: sp.Expr) -> sp.Expr:
    """beta^t start + (1 - beta) sum beta^(t-i) g_i^power, evaluated."""
    return beta**steps * start + (1 - beta) * sp.Sum(
        beta ** (steps - I) * G[I] ** power, (I, 1, steps)
    )


# --- exactly ---------------------------------------------------------------------------------


def _exact(
    steps: int,
    *,
    start: bool = True,
    bounded: bool = False,
    ones: bool = False,
    beta1: sp.Expr = BETA1,
) -> Values:
    """Adam's recursion followed for some steps with any gradients.

    start   : m_0 and v_0 are any numbers, else 0;  ones: every gradient is 1
    bounded : beta_2 is written as 1 / (1 + w) with w >= 0, for inequalities. Gradients are taken
              positive there; only their squares occur.
    """
    g = sp.symbols(f"g1:{steps + 1}", positive=True) if not ones else [sp.Integer(1)] * steps
    beta2 = 1 / (1 + sp.Symbol("w", nonnegative=True)) if bounded else BETA2
    first, second = [MOMENT[0] if start else sp.Integer(0)], [SQUARE[0] if start else sp.Integer(0)]
    for value in g:
        first.append(beta1 * first[-1] + (1 - beta1) * value)
        second.append(beta2 * second[-1] + (1 - beta2) * value**2)
    rate = ETA * g[-1]
    total = sp.sqrt(sp.Add(*(v**2 for v in g)))
    return {
        T: sp.Integer(steps), BETA1: beta1, BETA2: beta2, G: lambda i: g[int(i) - 1],
        MOMENT: lambda i: first[int(i)], SQUARE: lambda i: second[int(i)],
        ADAGRAD: lambda i: rate / total,
    }  # fmt: skip


def _exact_induction(_: Any) -> Values:
    """Any t: m_{t-1} is the induction hypothesis, m_t what the recursion makes of it."""

    def of(beta: sp.Expr, base: sp.IndexedBase, power: int) -> Callable:
        before = unrolled(beta, base[0], power, T - 1)
        now = beta * before + (1 - beta) * G[T] ** power
        return lambda i: {T: now, T - 1: before}.get(i, base[i])

    return {MOMENT: of(BETA1, MOMENT, 1), SQUARE: of(BETA2, SQUARE, 2)}


def zero_for_every_t(difference: sp.Expr) -> bool:
    """Zero, with sums up to t split into the sum up to t - 1 and the last term."""

    def split(node: sp.Sum) -> sp.Expr:
        ((i, first, last),) = node.limits
        if last != T:
            return node
        return sp.Sum(node.function, (i, first, T - 1)) + node.function.subs(i, T)

    parts = difference.replace(lambda e: isinstance(e, sp.Sum), split).expand()
    summand, rest = sp.Integer(0), sp.Integer(0)
    for term in sp.Add.make_args(parts):
        sums = [f for f in sp.Mul.make_args(term) if isinstance(f, sp.Sum)]
        if len(sums) > 1 or (sums and sums[0].limits != ((I, 1, T - 1),)):
            return False
        if sums:
            summand += term / sums[0] * sums[0].function
        else:
            rest += term
    return sp.simplify(summand) == 0 and sp.simplify(rest) == 0


# --- in float64, by torch.optim --------------------------------------------------------------


def follow(optimizer: Any, parameter: Any, gradients: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Steps theta_{t-1} - theta_t that torch takes when it is given these gradients and rates."""
    import torch

    steps = []
    for gradient, rate in zip(gradients, rates, strict=True):
        before = parameter.item()
        parameter.grad = torch.full_like(parameter, gradient)
        optimizer.param_groups[0]["lr"] = float(rate)
        optimizer.step()
        steps.append(before - parameter.item())
    return np.array(steps)


def _sample(
    rng: np.random.Generator,
    *,
    start: bool = True,
    ones: bool = False,
    beta1: float | None = None,
    decay: bool = False,
    single: bool = False,
) -> Values:
    """A random short run of torch.optim.Adam.

    decay : the rate is eta_0 / sqrt(t);  single: only the first or the last gradient is not 0
    """
    import torch

    steps = int(rng.integers(1, 7))
    g = np.ones(steps) if ones else np.round(rng.normal(size=steps), 2) + 0.005
    if single:
        g[np.arange(steps) != rng.choice([0, steps - 1])] = 0
    v = {
        T: steps, ETA: round(rng.uniform(0.1, 1), 2), EPS: round(rng.uniform(0.01, 0.5), 2),
        BETA1: round(rng.uniform(0.05, 0.95), 2) if beta1 is None else beta1,
        BETA2: round(rng.uniform(0.05, 0.95), 2),
    }  # fmt: skip
    parameter = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))
    adam = torch.optim.Adam([parameter], betas=(v[BETA1], v[BETA2]), eps=v[EPS])
    m0, v0 = (round(rng.uniform(0.5, 2), 2) if start else 0.0 for _ in "mv")
    state = {"step": 0.0, "exp_avg": m0, "exp_avg_sq": v0}
    adam.state[parameter] = {k: torch.tensor(x, dtype=torch.float64) for k, x in state.items()}
    first, second, moves = [m0], [v0], []
    for t in range(1, steps + 1):
        rate = v[ETA] / np.sqrt(t) if decay else v[ETA]
        moves.append(follow(adam, parameter, g[t - 1 : t], [rate])[0])
        first.append(adam.state[parameter]["exp_avg"].item())
        second.append(adam.state[parameter]["exp_avg_sq"].item())
    arrays = {MOMENT: Array(first, first=0), SQUARE: Array(second, first=0)}
    return v | arrays | {G: Array(g), ADAM: Array(moves)}


def _sample_bounded(rng: np.random.Generator) -> Values:
    """Gradients of which, every other time, a single one is not zero."""
    return _sample(rng, start=False, single=bool(rng.integers(2)))


def _sample_adagrad(rng: np.random.Generator, *, epsilon: bool = False) -> Values:
    """A random short run of torch.optim.Adagrad, epsilon 0 unless asked for."""
    import torch

    v = _sample(rng, start=False, beta1=0.0, decay=True)
    parameter = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))
    adagrad = torch.optim.Adagrad([parameter], eps=v[EPS] if epsilon else 0.0)
    g = v[G].values
    return v | {ADAGRAD: Array(follow(adagrad, parameter, g, np.full(len(g), v[ETA])))}


def _oracle(name: str, sample: Callable, tolerance: float = 1e-7) -> tuple[Oracle, ...]:
    return (Oracle(Text(name, name), sample, 100, tolerance),)


_SIZES, _SCOPE = (1, 2, 3, 4, 5), Text("t = 1 至 5", "t = 1 to 5")
_ADAM, _ADAGRAD = "torch.optim.Adam", "torch.optim.Adagrad"
START = World(_exact, _SIZES, _SCOPE, _oracle(_ADAM, _sample))
INDUCTION = World(
    _exact_induction, ("t",), Text("任意 t", "every t"), START.oracles, zero_for_every_t
)
ZERO = World(
    partial(_exact, start=False), _SIZES, _SCOPE, _oracle(_ADAM, partial(_sample, start=False))
)
STEP = World(ZERO.exact, (), Text("", ""), ZERO.oracles)  # what Adam is, by definition
BOUNDED = World(
    partial(_exact, start=False, bounded=True), _SIZES, _SCOPE, _oracle(_ADAM, _sample_bounded)
)
ONES = World(
    partial(_exact, start=False, ones=True),
    _SIZES,
    _SCOPE,
    _oracle(_ADAM, partial(_sample, start=False, ones=True)),
)
NO_MOMENT = World(
    partial(_exact, start=False, beta1=sp.Integer(0)),
    _SIZES,
    _SCOPE,
    _oracle(_ADAM, partial(_sample, start=False, beta1=0.0, decay=True)),
)
TO_ADAGRAD = World(
    partial(_exact, start=False), (1, 2, 3), Text("t = 1 至 3", "t = 1 to 3"),
    _oracle(_ADAGRAD, _sample_adagrad),
)  # fmt: skip
EPSILON = World(
    partial(_exact, start=False), (), Text("", ""),
    _oracle(_ADAGRAD, partial(_sample_adagrad, epsilon=True)),
)  # fmt: skip


def deviations(gaps: Sequence[float], steps: Sequence[int], *, seed: int = 0) -> np.ndarray:
    """How far torch's Adam is from its Adagrad, (gaps, steps) relative deviations of one step.

    gaps  : values of 1 - beta_2;  steps: the t at which the two steps are compared, ascending
    Both follow the same random gradients, Adam with beta_1 = 0 and the rate eta_0 / sqrt(t), both
    with epsilon 0.
    """
    import torch

    last = max(steps)
    gradients = np.random.default_rng(seed).normal(size=last)
    at = np.array(steps) - 1

    def parameter() -> torch.nn.Parameter:
        return torch.nn.Parameter(torch.zeros((), dtype=torch.float64))

    p = parameter()
    goal = follow(torch.optim.Adagrad([p], eps=0), p, gradients, np.ones(last))[at]
    found = []
    for gap in gaps:
        p = parameter()
        adam = torch.optim.Adam([p], betas=(0.0, 1 - gap), eps=0)
        found.append(follow(adam, p, gradients, 1 / np.sqrt(np.arange(1, last + 1)))[at])
    return np.abs(np.array(found) / goal - 1)
