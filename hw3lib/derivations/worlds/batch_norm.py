"""M2: batch normalisation backward, from the chain rule to the closed form."""

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

Loss = Callable[["Tensor"], "Tensor"]

X, XHAT, Y = (sp.IndexedBase(n) for n in ("x", r"\hat{x}", "y"))
ELL, MU, VAR = sp.Symbol(r"\ell"), sp.Symbol(r"\mu_B"), sp.Symbol(r"\sigma_B^2")
GAMMA, BETA, EPS = sp.symbols(r"\gamma \beta \epsilon")
MU_R, VAR_R = sp.Symbol(r"\mu_R"), sp.Symbol(r"\sigma_R^2")  # running statistics
I, J, M = sp.symbols("i j m", integer=True)  # noqa: E741
# Feature maps (n, c, h, w) of N samples, C channels, height H and width W.
N_, C_, H_, W_, SAMPLES, CHANNELS, HEIGHT, WIDTH = sp.symbols("n c h w N C H W", integer=True)
GAMMA_C, BETA_C, VAR_C = (sp.IndexedBase(n) for n in (r"\gamma", r"\beta", r"\sigma^2"))

# --- what the symbols mean -------------------------------------------------------------------


def _exact(m: int, *, free_mean: bool = False) -> Values:
    """Partial derivatives of sum_i d_i y_i, where d_i = dl/dy_i is any number.

    free_mean : mu is any number and not the mean; sigma^2 is the mean of (x - mu)^2 either way.
    The square root is made rational by writing epsilon as r^2 - sigma^2, with r > 0 any number.
    """
    x, d = sp.symbols(f"x1:{m + 1}"), sp.symbols(f"d1:{m + 1}")
    r, mu, var = sp.Symbol("r", positive=True), sp.Dummy("mu"), sp.Dummy("var")
    mean = sp.Symbol("mu0") if free_mean else sp.Add(*x) / m
    spread = sp.Add(*((v - mu) ** 2 for v in x)) / m
    hats = [(v - mu) / sp.sqrt(var + EPS) for v in x]
    loss = sp.Add(*(d_i * (GAMMA * h + BETA) for d_i, h in zip(d, hats, strict=True)))
    staged = loss.subs(var, spread)  # of x and mu
    total = staged.subs(mu, mean)  # of x alone

    def close(expression: sp.Expr) -> sp.Expr:
        expression = sp.sympify(expression).subs(var, spread).subs(mu, mean)
        return expression.subs(EPS, r**2 - spread.subs(mu, mean))

    values = {
        M: sp.Integer(m), EPS: close(EPS), MU: mean, VAR: close(var),
        (ELL, VAR): close(loss.diff(var)), (ELL, MU): close(staged.diff(mu)),
        (VAR, MU): close(spread.diff(mu)), (ELL, GAMMA): close(loss.diff(GAMMA)),
        (ELL, BETA): close(loss.diff(BETA)), (MU, X): lambda i: sp.Rational(1, m),
    }  # fmt: skip
    lists = {
        X: x, XHAT: [close(h) for h in hats], Y: [close(GAMMA * h + BETA) for h in hats],
        (ELL, Y): d, (ELL, XHAT): [GAMMA * d_i for d_i in d],
        (ELL, X): [close(total.diff(v)) for v in x],
        (XHAT, VAR): [close(h.diff(var)) for h in hats],
        (XHAT, MU): [close(h.diff(mu)) for h in hats],
        (VAR, X): [close(spread.diff(v)) for v in x],
    }  # fmt: skip
    functions = {key: (lambda i, items=items: items[int(i) - 1]) for key, items in lists.items()}
    slopes = [close(h.diff(v)) for h, v in zip(hats, x, strict=True)]
    matrix = {(XHAT, X): lambda i, j: slopes[int(i) - 1] if i == j else sp.Integer(0)}
    return values | functions | matrix


def _exact_maps(shape: tuple[int, int, int, int]) -> Values:
    """Each channel is a batch of its own, with numbers of its own; they share epsilon."""
    N, C, H, W = map(sp.Integer, shape)
    one = _exact(N * H * W)
    own = [
        {s: sp.Symbol(f"{s}_{c}", positive=s.is_positive) for s in one[(ELL, X)](1).free_symbols}
        for c in range(int(C))
    ]

    def of(key: Any) -> Callable:
        return lambda n, c, h, w: one[key](((n - 1) * H + h - 1) * W + w).xreplace(own[c - 1])

    def alone(expression: sp.Expr) -> Callable:
        return lambda c: expression.xreplace(own[c - 1])

    return {
        SAMPLES: N, CHANNELS: C, HEIGHT: H, WIDTH: W,
        (ELL, X): of((ELL, X)), (ELL, Y): of((ELL, Y)), XHAT: of(XHAT), GAMMA_C: alone(GAMMA),
        (ELL, GAMMA_C): alone(one[(ELL, GAMMA)]), (ELL, BETA_C): alone(one[(ELL, BETA)]),
        VAR_C: lambda c: alone(one[VAR] + one[EPS])(c) - EPS,
    }  # fmt: skip


def _exact_running(m: int) -> Values:
    """Evaluation mode: mean and variance are constants."""
    d = sp.symbols(f"d1:{m + 1}")
    slope = GAMMA / sp.sqrt(VAR_R + EPS)
    return {
        M: sp.Integer(m),
        (ELL, Y): lambda i: d[int(i) - 1],
        (ELL, X): lambda i: slope * d[int(i) - 1],
    }


def _normalise(x: Tensor, mu: Tensor, var: Tensor, v: Values) -> Tensor:
    return v[GAMMA] * (x - mu) / (var + v[EPS]) ** 0.5 + v[BETA]


def _spread(x: Tensor, mu: Tensor) -> Tensor:
    return ((x - mu) ** 2).mean()


def _loss(rng: np.random.Generator, shape: tuple[int, ...]) -> Loss:
    """A random smooth loss that ties all outputs together."""
    import torch

    a, b = (torch.from_numpy(rng.uniform(-1, 1, shape)) for _ in "ab")
    return lambda y: (a * torch.sin(y)).sum() + (b * y).sum() ** 2 / 2


def _stage(x: Tensor, mu: Tensor, loss: Loss, v: Values, gradient: Gradient) -> Values:
    """Values of one channel by the question's formulas; loss is a function of its outputs."""
    var = _spread(x, mu)
    hat = (x - mu) / (var + v[EPS]) ** 0.5
    y = _normalise(x, mu, var, v)
    through = {
        (ELL, Y): gradient(loss, y),
        (ELL, XHAT): gradient(lambda h: loss(v[GAMMA] * h + v[BETA]), hat),
        (ELL, VAR): gradient(lambda s: loss(_normalise(x, mu, s, v)), var),
        (ELL, MU): gradient(lambda u: loss(_normalise(x, u, _spread(x, u), v)), mu),
        (ELL, GAMMA): gradient(lambda g: loss(g * hat + v[BETA]), mu * 0 + v[GAMMA]),
        (ELL, BETA): gradient(lambda b: loss(v[GAMMA] * hat + b), mu * 0 + v[BETA]),
        (VAR, MU): gradient(lambda u: _spread(x, u), mu),
        (VAR, X): gradient(lambda w: _spread(w, mu), x),
        (MU, X): gradient(lambda w: w.mean(), x),
        (XHAT, X): jacobian(gradient, lambda w: (w - mu) / (var + v[EPS]) ** 0.5, x),
        (XHAT, MU): jacobian(gradient, lambda u: (x - u) / (var + v[EPS]) ** 0.5, mu),
        (XHAT, VAR): jacobian(gradient, lambda s: (x - mu) / (s + v[EPS]) ** 0.5, var),
        X: x, XHAT: hat, Y: y, MU: mu, VAR: var,
    }  # fmt: skip
    arrays = {k: t.detach().numpy() for k, t in through.items()}
    return {k: Array(a) if a.ndim else a for k, a in arrays.items()} | {M: len(x)} | v


def _draw(rng: np.random.Generator) -> Values:
    """gamma, beta and an epsilon from small to as large as the variance."""
    return {
        GAMMA: round(rng.uniform(0.3, 2), 2), BETA: round(rng.uniform(-1, 1), 2),
        EPS: float(rng.choice([1e-3, 1e-2, 0.1, 1.0])),
    }  # fmt: skip


def _numbers(rng: np.random.Generator, shape: tuple[int, ...]) -> Tensor:
    import torch

    return torch.tensor(np.round(rng.normal(0.5, 1.0, shape), 2), dtype=torch.float64)


def _sample_stage(rng: np.random.Generator, gradient: Gradient) -> Values:
    """mu is any number and not the mean."""
    x, mu = _numbers(rng, (int(rng.integers(2, 7)),)), _numbers(rng, ())
    return _stage(x, mu, _loss(rng, x.shape), _draw(rng), gradient)


def _sample_single(rng: np.random.Generator, gradient: Gradient) -> Values:
    """m = 1, where torch refuses to normalise: by the question's formulas alone."""
    x, v = _numbers(rng, (1,)), _draw(rng)
    loss = _loss(rng, x.shape)
    whole = gradient(lambda w: loss(_normalise(w, w.mean(), _spread(w, w.mean()), v)), x)
    return _stage(x, x.mean(), loss, v, gradient) | {(ELL, X): Array(whole)}


def _sample_batch(rng: np.random.Generator, gradient: Gradient, *, m: int = 0) -> Values:
    """One channel c of torch's batch normalisation of a random (N, C, H, W) input, in training.

    What the whole layer decides (y and the derivatives by x, gamma and beta) is torch's, for the
    other symbols the question's formulas are followed from channel c to the loss.
    """
    import torch
    from torch.nn.functional import batch_norm

    N, H, W = rng.integers(1, 4, 3)
    low, high = (m, m) if m else (2, 12)
    while not low <= N * H * W <= high:
        N, H, W = rng.integers(1, 4, 3)
    C = int(rng.integers(1, 3))
    c, v = int(rng.integers(C)), _draw(rng)
    x, loss = _numbers(rng, (N, C, H, W)), _loss(rng, (N, C, H, W))
    scale, shift = torch.ones(C).double() * v[GAMMA], torch.ones(C).double() * v[BETA]

    def layer(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        return batch_norm(x, None, None, scale, shift, training=True, eps=v[EPS])

    def channel(t: Tensor) -> Tensor:
        return t[:, c].reshape(-1)

    y = layer(x, scale, shift)
    rest = y.clone()
    rest[:, c] = 0
    only = torch.zeros_like(y)
    only[:, c] = 1
    through = _stage(
        channel(x),
        channel(x).mean(),
        lambda u: loss(rest + only * u.reshape(N, 1, H, W)),
        v,
        gradient,
    )
    return through | {
        Y: Array(channel(y)),
        (ELL, X): Array(channel(gradient(lambda w: loss(layer(w, scale, shift)), x))),
        (ELL, GAMMA): gradient(lambda g: loss(layer(x, g, shift)), scale)[c].numpy(),
        (ELL, BETA): gradient(lambda b: loss(layer(x, scale, b)), shift)[c].numpy(),
    }


def _sample_maps(rng: np.random.Generator, gradient: Gradient) -> Values:
    """torch's batch normalisation of a whole random (N, C, H, W) input in training."""
    from torch.nn.functional import batch_norm

    N, C, H, W = shape = (2, *rng.integers(1, 3, 3))
    x, loss, v = _numbers(rng, shape), _loss(rng, shape), _draw(rng)
    scale, shift = _numbers(rng, (2, C))

    def layer(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        return batch_norm(x, None, None, scale, shift, training=True, eps=v[EPS])

    arrays = {
        XHAT: layer(x, scale * 0 + 1, shift * 0), GAMMA_C: scale,
        VAR_C: x.var((0, 2, 3), correction=0), (ELL, Y): gradient(loss, layer(x, scale, shift)),
        (ELL, X): gradient(lambda u: loss(layer(u, scale, shift)), x),
        (ELL, GAMMA_C): gradient(lambda g: loss(layer(x, g, shift)), scale),
        (ELL, BETA_C): gradient(lambda b: loss(layer(x, scale, b)), shift),
    }  # fmt: skip
    sizes = {SAMPLES: N, CHANNELS: C, HEIGHT: H, WIDTH: W}
    return {k: Array(a) for k, a in arrays.items()} | sizes | v


def _sample_running(rng: np.random.Generator, gradient: Gradient) -> Values:
    """torch's batch normalisation of (m, 1) values in evaluation mode."""
    from torch.nn.functional import batch_norm

    x, v = _numbers(rng, (int(rng.integers(1, 8)), 1)), _draw(rng)
    mean, var = _numbers(rng, (1,)), _numbers(rng, (1,)) ** 2 + 0.1
    scale, shift = mean * 0 + v[GAMMA], mean * 0 + v[BETA]
    loss = _loss(rng, x.shape)

    def layer(x: Tensor) -> Tensor:
        return batch_norm(x, mean, var, scale, shift, training=False, eps=v[EPS])

    return v | {
        M: len(x), MU_R: mean.item(), VAR_R: var.item(),
        (ELL, Y): Array(gradient(loss, layer(x))[:, 0]),
        (ELL, X): Array(gradient(lambda w: loss(layer(w)), x)[:, 0]),
    }  # fmt: skip


def _world(
    exact: Callable, sample: Callable, sizes: tuple, name: Text, *, letters: str = "m"
) -> World:
    scope = Text(*(f"{letters} = " + mark.join(map(str, sizes)) for mark in ("、", ", ")))
    return World(exact, sizes, scope, gradient_oracles(sample, name=name))


_FORMULA = Text("題目公式的 autograd", "autograd through the question's formulas")
_TORCH = Text("torch batch_norm 的 autograd", "autograd through torch batch_norm")
STAGE = _world(partial(_exact, free_mean=True), _sample_stage, (2, 3, 4), _FORMULA)
BATCH = _world(_exact, _sample_batch, (2, 3, 4), _TORCH)
PAIR = _world(_exact, partial(_sample_batch, m=2), (2,), _TORCH)
MAPS = _world(
    _exact_maps, _sample_maps, ((1, 2, 1, 2), (3, 1, 1, 1), (1, 1, 2, 2)), _TORCH,
    letters="(N, C, H, W)",
)  # fmt: skip
SINGLE = _world(_exact, _sample_single, (1,), _FORMULA)
RUNNING = _world(_exact_running, _sample_running, (1, 2, 3), _TORCH)
