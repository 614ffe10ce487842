"""What the symbols of M3 mean: softmax and cross entropy, exactly and as torch computes them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from hw3lib.derivations.claims import World
from hw3lib.derivations.oracles import Gradient, gradient_oracles, jacobian
from hw3lib.derivations.terms import Array, Values
from hw3lib.text import Text

if TYPE_CHECKING:
    from torch import Tensor

Z, Y, YHAT, V = (sp.IndexedBase(n) for n in ("z", "y", r"\hat{y}", "v"))
LOSS, MEAN = sp.Symbol("L"), sp.Symbol(r"\bar{L}")
ALPHA, SHIFT = sp.symbols(r"\alpha c")
I, J, K, N, S, T, CLASSES = sp.symbols("i j k n N t K", integer=True)  # noqa: E741


def _exact(classes: int, *, labels: str = "soft") -> Values:
    """Logits are logarithms of any positive numbers u, so that every softmax is rational.

    labels : "any" numbers; "soft", which sum to 1; "smooth" by alpha around class t = 1, "hard"
    """
    z, u = sp.symbols(f"z1:{classes + 1}"), sp.symbols(f"u1:{classes + 1}", positive=True)
    y = sp.symbols(f"y1:{classes + 1}")
    if labels == "soft":
        y = (*y[:-1], 1 - sp.Add(*y[:-1]))
    elif labels in ("smooth", "hard"):
        alpha = ALPHA if labels == "smooth" else sp.Integer(0)
        y = [(1 - alpha) * int(k == 0) + alpha / classes for k in range(classes)]
    total = sp.Add(*map(sp.exp, z))
    hats = [sp.exp(v) / total for v in z]
    loss = -sp.Add(*(a * sp.log(h) for a, h in zip(y, hats, strict=True)))
    insert = dict(zip(z, map(sp.log, u), strict=True))

    def close(expression: sp.Expr) -> sp.Expr:
        return sp.sympify(expression).subs(insert)

    def at(items: list) -> Callable:
        return lambda i: items[int(i) - 1]

    return {
        CLASSES: sp.Integer(classes), T: sp.Integer(1), LOSS: close(loss),
        Z: at([close(v) for v in z]), Y: at(list(y)), YHAT: at([close(h) for h in hats]),
        V: at(sp.symbols(f"v1:{classes + 1}")),
        (YHAT, Z): lambda i, j: close(hats[int(i) - 1].diff(z[int(j) - 1])),
        (LOSS, YHAT): lambda i: close(-y[int(i) - 1] / hats[int(i) - 1]),
        (LOSS, Z): lambda j: close(loss.diff(z[int(j) - 1])),
        (LOSS, Z, Z): lambda i, j: close(loss.diff(z[int(i) - 1], z[int(j) - 1])),
    }  # fmt: skip


def _labels(rng: np.random.Generator, classes: int, kind: str) -> tuple[np.ndarray, dict]:
    """A target of the kind (see `_exact`), and the class t and smoothing alpha behind it."""
    target, alpha = int(rng.integers(classes)), round(rng.uniform(0, 0.5), 2)
    if kind == "any":
        return np.round(rng.uniform(0, 2, classes), 2), {}
    if kind == "soft":
        soft = np.round(rng.dirichlet(np.ones(classes)), 2)
        soft[target] += 1 - soft.sum()
        return soft, {}
    alpha = alpha if kind == "smooth" else 0.0
    return (1 - alpha) * np.eye(classes)[target] + alpha / classes, {T: target + 1, ALPHA: alpha}


def _cross_entropy(z: Tensor, y: Tensor, known: dict) -> Tensor:
    """torch's loss: by the target's number where there is one, else by the labels."""
    import torch
    from torch.nn.functional import cross_entropy, log_softmax

    if known:
        target = torch.tensor([known[T] - 1])
        return cross_entropy(z[None], target, label_smoothing=known[ALPHA])
    if abs(float(y.sum()) - 1) < 1e-12:
        return cross_entropy(z[None], y[None])
    return -(y * log_softmax(z, 0)).sum()


def _sample(rng: np.random.Generator, gradient: Gradient, *, labels: str = "soft") -> Values:
    import torch

    classes = int(rng.integers(2, 8))
    y, known = _labels(rng, classes, labels)
    y, z = torch.tensor(y), torch.tensor(np.round(rng.normal(0, 1, classes), 2))

    def loss(z: Tensor) -> Tensor:
        return _cross_entropy(z, y, known)

    def slope(z: Tensor) -> Tensor:  # differentiable, for the second derivatives
        z = z if z.requires_grad else z.clone().requires_grad_()
        return torch.autograd.grad(loss(z), z, create_graph=True)[0]

    hats = torch.softmax(z, 0)
    arrays = {
        Z: z, Y: y, YHAT: hats, V: torch.tensor(np.round(rng.normal(size=classes), 2)),
        (YHAT, Z): jacobian(gradient, lambda w: torch.softmax(w, 0), z),
        (LOSS, YHAT): gradient(lambda p: -(y * torch.log(p)).sum(), hats),
        (LOSS, Z): gradient(loss, z),
        (LOSS, Z, Z): jacobian(gradient, slope, z),
    }  # fmt: skip
    scalars = {CLASSES: classes, LOSS: loss(z).item(), SHIFT: z.max().item()}
    return {k: Array(a) for k, a in arrays.items()} | scalars | known


def _exact_batch(samples: int) -> Values:
    """Two classes: the mean over samples of log(1 + exp(z2 - z1)) and its like."""
    single = [_exact(2) for _ in range(samples)]
    rename = [
        {
            s: sp.Symbol(f"{s}_{n}", positive=s.is_positive)
            for s in sp.symbols("u1:3", positive=True)
        }
        | {sp.Symbol("y1"): sp.Symbol(f"y1_{n}")}
        for n in range(samples)
    ]

    def of(key: Any, scale: sp.Expr) -> Callable:
        return lambda n, j: scale * single[int(n) - 1][key](j).xreplace(rename[int(n) - 1])

    share = sp.Rational(1, samples)
    return {
        S: sp.Integer(samples), CLASSES: sp.Integer(2), YHAT: of(YHAT, 1), Y: of(Y, 1),
        (MEAN, Z): of((LOSS, Z), share),
    }  # fmt: skip


def _sample_batch(rng: np.random.Generator, gradient: Gradient) -> Values:
    import torch
    from torch.nn.functional import cross_entropy

    samples, classes = (int(n) for n in rng.integers(2, 5, 2))
    y = torch.tensor(rng.dirichlet(np.ones(classes), samples))
    z = torch.tensor(np.round(rng.normal(0, 1, (samples, classes)), 2))
    arrays = {
        YHAT: torch.softmax(z, 1), Y: y, (MEAN, Z): gradient(lambda w: cross_entropy(w, y), z),
    }  # fmt: skip
    return {k: Array(a) for k, a in arrays.items()} | {S: samples, CLASSES: classes}


def _world(exact: Callable, sample: Callable, sizes: tuple, torch: str) -> World:
    name = Text(f"torch {torch} 的 autograd", f"autograd through torch {torch}")
    letter = "N" if exact is _exact_batch else "K"
    scope = Text(*(f"{letter} = {mark.join(map(str, sizes))}" for mark in ("、", ", ")))
    return World(exact, sizes, scope, gradient_oracles(sample, name=name, cases=100))


def _labelled(labels: str, torch: str = "cross_entropy") -> World:
    exact, sample = partial(_exact, labels=labels), partial(_sample, labels=labels)
    return _world(exact, sample, (2, 3, 4), torch)


ANY = _labelled("any", "log_softmax")
SOFT, SMOOTH, HARD = map(_labelled, ("soft", "smooth", "hard"))
BATCH = _world(_exact_batch, _sample_batch, (1, 2, 3), "cross_entropy")
