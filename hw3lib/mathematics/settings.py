"""What the symbols of M1-M4 mean: values drawn at random, and what torch makes of them.

Derivatives are autograd's, in float64. A size (m, K, t) is 1, 2, 3 (K: 2, 3, 4) every other time,
else each up to 24 in turn, now and then one up to 80; those of a convolution go up to 60 or 1000.
All else is drawn independently, a third or so from small whole numbers and the like: what a
condition such as x_i = 0 lets through is then nothing special besides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.functional import hessian

Values = dict[str | tuple[str, ...], float | np.ndarray]
ELL, XHAT, YHAT, MU, VAR = r"\ell", r"\hat{x}", r"\hat{y}", r"\mu_B", r"\sigma_B^2"
GAMMA, BETA, EPS = r"\gamma", r"\beta", r"\epsilon"
BETA1, BETA2, ETA = r"\beta_1", r"\beta_2", r"\eta_0"
IN, OUT = r"\text{in}", r"\text{out}"


@dataclass(frozen=True, eq=False)
class Setting:
    """draw : (generator, number of the case) -> inputs;  compute : inputs -> (values, rounding)

    size  : the symbol up to which an index runs; "" where there are no indices
    count : cases that a claim is checked on
    moves : symbols of which a limit may be taken, and where they may lie
    first : of an array, its first index where that is not 1
    """

    name: str
    draw: Callable[[np.random.Generator, int], Values]
    compute: Callable[[Values], tuple[Values, Values]]
    size: str = ""
    count: int = 120
    moves: dict[str, tuple[float, float]] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Case:
    """values : of each symbol and, under (of, by), of each partial derivative

    rounding : of some of them, the size of the numbers of which torch computed them
    """

    setting: Setting
    inputs: Values
    values: Values
    rounding: Values

    @property
    def size(self) -> int:
        return int(self.values.get(self.setting.size, 0))

    def told(self) -> str:
        size = self.setting.size
        names = [size] if size else [n for n in self.values if isinstance(n, str)]
        return ", ".join(f"{n} = {self.values[n]:g}" for n in names)


@cache
def drawn(setting: Setting, number: int) -> Case:
    """The same case every time."""
    inputs = setting.draw(np.random.default_rng([4, number]), number)
    return Case(setting, inputs, *setting.compute(inputs))


@cache
def moved(case: Case, name: str, value: float) -> Case:
    """The same inputs, but one: what a limit is taken from."""
    inputs = case.inputs | {name: value}
    return Case(case.setting, inputs, *case.setting.compute(inputs))


def _size(rng: np.random.Generator, number: int, smallest: int) -> int:
    if number % 15 == 14:
        return int(rng.integers(25, 81))
    return smallest + (number // 2 % 3 if number % 2 else number // 2 % 24)


def _scale(rng: np.random.Generator, most: float) -> float:
    return 10 ** rng.uniform(-1, most)


def _scalar(rng: np.random.Generator) -> float:
    """A number of any sign, small or large, so that none looks bounded."""
    if rng.random() < 0.3:
        return float(rng.integers(-1, 3))
    return rng.normal() * _scale(rng, 1.5)


def _vector(rng: np.random.Generator, n: int, scale: float) -> np.ndarray:
    """Of any sort: generic, small whole numbers, all alike, all but one."""
    if rng.random() < 0.25:
        return rng.integers(-2, 3, n).astype(float)
    values = np.clip(rng.normal(size=n), -2.6, 2.6) * rng.choice([0.1, 1, 1], n)
    if rng.random() < 0.2:
        values[:] = 0
        values[rng.integers(n)] = rng.choice([0, 5])
    return scale * (values + rng.choice([0, 3]) * rng.normal())


def _tensor(values: np.ndarray | float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _partials(of: str, function: Callable[..., Tensor], by: dict[str, Tensor]) -> Values:
    inputs = [tensor.clone().requires_grad_() for tensor in by.values()]
    value = function(*inputs)
    ones = torch.eye(len(value), dtype=value.dtype) if value.ndim else None
    slopes = torch.autograd.grad(value, inputs, ones, is_grads_batched=ones is not None)
    return {(of, name): slope.numpy() for name, slope in zip(by, slopes, strict=True)}


# --- M1 --------------------------------------------------------------------------------------


def _draw_convolution(rng: np.random.Generator, number: int) -> Values:
    """Small sizes as often as large ones; padding may exceed the kernel."""
    while True:
        B, W, H, inputs, outputs = 1000 ** rng.random(5) // 1
        k, s, p = 60 ** rng.random((3, 2)) // 1 - np.array([[0], [0], [1]])
        if rng.random() < 0.2:
            k, s = 2 * p + 1, s**0  # the shape stays
        if (k <= np.array([W, H]) + 2 * p).all():
            break
    sizes = {"B": B, "W": W, "H": H, "C": inputs, IN: inputs, OUT: outputs}
    axes = {f"{n}_{a + 1}": v[a] for n, v in (("k", k), ("s", s), ("p", p)) for a in (0, 1)}
    return {name: int(v) for name, v in (sizes | axes).items()}


def _convolution(v: Values) -> tuple[Values, Values]:
    """The shape that torch.nn.functional.conv2d gives; on "meta" it computes nothing else."""
    x = torch.empty(v["B"], v["C"], v["W"], v["H"], device="meta")
    weight = torch.empty(v[OUT], v["C"], v["k_1"], v["k_2"], device="meta")
    y = F.conv2d(x, weight, None, (v["s_1"], v["s_2"]), (v["p_1"], v["p_2"]))
    return v | dict(zip(("B'", "C'", "W'", "H'"), y.shape, strict=True)), {}


# --- M2 --------------------------------------------------------------------------------------


def _draw_batch(rng: np.random.Generator, number: int) -> Values:
    m, scale = _size(rng, number, 1), _scale(rng, 1)
    x = _vector(rng, m, scale)
    return {
        "x": x, "a": rng.uniform(-1, 1, m), "b": rng.uniform(-1, 1, m),
        GAMMA: _scalar(rng), BETA: _scalar(rng), EPS: rng.choice([1.0, 10 ** rng.uniform(-5, 2)]),
        MU: x.mean() + scale * rng.normal(),
    }  # fmt: skip


def _loss(v: Values) -> Callable[[Tensor], Tensor]:
    """A smooth loss that ties all outputs together, so that their derivatives are any numbers."""
    a, b = _tensor(v["a"]), _tensor(v["b"])
    return lambda y: (a * torch.sin(y)).sum() + (b * y).sum() ** 2 / 2


def _stages(v: Values, mu: float) -> Values:
    """The question's graph: each partial holds the other arguments of its formula fixed."""
    x, mean, gamma, beta = map(_tensor, (v["x"], mu, v[GAMMA], v[BETA]))
    loss = _loss(v)

    def variance(x: Tensor, mean: Tensor) -> Tensor:
        return ((x - mean) ** 2).mean()

    def normal(x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        return (x - mean) / torch.sqrt(var + v[EPS])

    def output(xhat: Tensor, gamma: Tensor = gamma, beta: Tensor = beta) -> Tensor:
        return gamma * xhat + beta

    var = variance(x, mean)
    xhat = normal(x, mean, var)
    y = output(xhat)
    values = {
        "m": len(x), "x": v["x"], XHAT: xhat.numpy(), "y": y.numpy(), ELL: loss(y).item(),
        MU: mu, r"\sigma_B": var.item() ** 0.5, GAMMA: v[GAMMA], BETA: v[BETA], EPS: v[EPS],
    }  # fmt: skip
    for of, function, by in (
        (MU, torch.mean, {"x": x}),
        (VAR, variance, {"x": x, MU: mean}),
        (XHAT, normal, {"x": x, MU: mean, VAR: var}),
        ("y", output, {XHAT: xhat, GAMMA: gamma, BETA: beta}),
        (ELL, loss, {"y": y}),
        (ELL, lambda *inputs: loss(output(*inputs)), {XHAT: xhat, GAMMA: gamma, BETA: beta}),
        (ELL, lambda var: loss(output(normal(x, mean, var))), {VAR: var}),
        (ELL, lambda mean: loss(output(normal(x, mean, variance(x, mean)))), {MU: mean}),
    ):
        values |= _partials(of, function, by)
    return values


def _free_mean(v: Values) -> tuple[Values, Values]:
    """mu_B is any number: what it does to sigma^2 shows, which at the mean it does not."""
    return _stages(v, v[MU]), {(VAR, MU): 2 * np.abs(v["x"]).max()}


def _batch_norm(v: Values) -> tuple[Values, Values]:
    """The whole layer is torch's; of m = 1, which its batch_norm refuses, its layer_norm."""
    mean, loss = v["x"].mean(), _loss(v)
    inputs = {name: _tensor(v[name]) for name in ("x", GAMMA, BETA)}

    def layer(x: Tensor, *affine: Tensor) -> Tensor:
        gamma, beta = (scalar[None] for scalar in affine)
        if len(x) > 1:
            return F.batch_norm(x[:, None], None, None, gamma, beta, True, eps=v[EPS])[:, 0]
        return F.layer_norm(x, (1,), gamma, beta, v[EPS])

    values = _stages(v, mean) | _partials(ELL, lambda *inputs: loss(layer(*inputs)), inputs)
    values["y"] = layer(*inputs.values()).numpy()
    values[XHAT] = layer(inputs["x"], _tensor(1.0), _tensor(0.0)).numpy()
    root = (values[r"\sigma_B"] ** 2 + v[EPS]) ** 0.5
    far = 2 * np.abs(v["x"]).max() / root  # of x-hat, whose numerator cancels
    slope = np.abs(values[ELL, "y"])
    return values, {
        XHAT: far, "y": abs(v[GAMMA]) * far, (ELL, GAMMA): far * slope.sum(),
        (ELL, "x"): abs(v[GAMMA]) / root * slope.max() * (1 + np.abs(values[XHAT]).max() ** 2),
        (VAR, MU): 2 * np.abs(v["x"]).max(),
    }  # fmt: skip


# --- M3 --------------------------------------------------------------------------------------


def _draw_softmax(rng: np.random.Generator, number: int) -> Values:
    K = _size(rng, number, 2)
    z = _vector(rng, K, rng.choice([0.3, 1, 3]))
    one = np.eye(K)[rng.choice([z.argmax(), rng.integers(K)])]
    smooth, equal = 0.9 * one + 0.1 / K, np.full(K, 1 / K)
    learned = torch.softmax(_tensor(z), 0).numpy()  # nothing is left to learn
    labels = (one, smooth, rng.dirichlet(np.ones(K)), equal, learned)
    y = rng.choice(labels, p=(0.4, 0.2, 0.2, 0.1, 0.1))
    return {"z": z, "y": y, "v": _vector(rng, K, _scale(rng, 1.5))}


def _softmax(v: Values) -> tuple[Values, Values]:
    """torch.softmax and cross_entropy; by y-hat, kl_div, which differs by a constant."""
    z, y = _tensor(v["z"]), _tensor(v["y"])
    p = torch.softmax(z, 0)

    def loss(z: Tensor) -> Tensor:
        return F.cross_entropy(z[None], y[None])

    values = v | {
        "K": len(z), YHAT: p.numpy(), "L": loss(z).item(),
        ("L", "z", "z"): hessian(loss, z, vectorize=True).numpy(),
    }  # fmt: skip
    values |= _partials("L", loss, {"z": z})
    values |= _partials(YHAT, lambda z: torch.softmax(z, 0), {"z": z})
    values |= _partials("L", lambda p: F.kl_div(p.log(), y, reduction="sum"), {YHAT: p})
    own = np.diag(values[YHAT])  # of a diagonal, y-hat (1 - y-hat), whose bracket cancels
    one = dict.fromkeys((("L", "z"), ("L", "z", "z")), 1.0)
    return values, one | {(YHAT, "z"): own, "L": np.abs(v["z"]).max()}


# --- M4 --------------------------------------------------------------------------------------


def _rate(rng: np.random.Generator) -> float:
    """beta_1 or beta_2: 0 or another plain number, near 1, any."""
    plain = rng.choice([0, 0.25, 0.5, 0.75], p=[0.7, 0.1, 0.1, 0.1])
    near, other = 1 - 10 ** rng.uniform(-5, -1), rng.uniform(0.05, 0.95)
    return rng.choice([plain, near, other], p=[0.35, 0.15, 0.5])


def _draw_adam(rng: np.random.Generator, number: int) -> Values:
    """epsilon = 0 only where no v_i is 0, for torch would divide 0 by 0."""
    g, beta2 = _vector(rng, _size(rng, number, 1), _scale(rng, 1.5)), _rate(rng)
    vanishes = g[0] == 0 or (beta2 == 0 and (g == 0).any())
    return {
        "g": g, BETA1: _rate(rng), BETA2: beta2, ETA: rng.choice([1, 10 ** rng.uniform(-3, 1.5)]),
        EPS: 0.0 if rng.random() < 0.5 and not vanishes else 10 ** rng.uniform(-3, 1.5),
    }  # fmt: skip


def _adam(v: Values) -> tuple[Values, Values]:
    """torch.optim.Adam on one parameter w with the rate eta_t = eta_0 / sqrt(t)."""
    w, t = _tensor(0.0), np.arange(1, len(v["g"]) + 1)
    adam = torch.optim.Adam([w], betas=(v[BETA1], v[BETA2]), eps=v[EPS], foreach=False)
    rows, rates = [(0.0, 0.0, 0.0)], v[ETA] / np.sqrt(t)
    for gradient, rate in zip(v["g"], rates, strict=True):
        w.grad, adam.param_groups[0]["lr"] = _tensor(gradient), float(rate)
        adam.step()
        state = adam.state[w]
        rows.append((state["exp_avg"].item(), state["exp_avg_sq"].item(), w.item()))
    m, square, path = np.array(rows).T
    hats = {r"\hat{m}": m[1:] / (1 - v[BETA1] ** t), r"\hat{v}": square[1:] / (1 - v[BETA2] ** t)}
    values = {"t": len(t), "m": m, "v": square, "w": path, r"\eta": rates}
    largest = np.abs(v["g"]).max()
    return v | values | hats, {
        "m": largest, "w": np.abs(path).max(),
        r"\hat{m}": largest / (1 - v[BETA1]), r"\hat{v}": largest**2 / (1 - v[BETA2]),
    }  # fmt: skip


RATES = {BETA1: (0, 1), BETA2: (0, 1)}
ALL = (
    Setting("convolution", _draw_convolution, _convolution, count=400),
    Setting("batch_norm", _draw_batch, _batch_norm, "m"),
    Setting("free_mean", _draw_batch, _free_mean, "m"),
    Setting("softmax", _draw_softmax, _softmax, "K"),
    Setting("adam", _draw_adam, _adam, "t", moves=RATES, first={"m": 0, "v": 0, "w": 0}),
)
SETTINGS = {setting.name: setting for setting in ALL}
QUESTIONS = {"M1": "convolution", "M2": "batch_norm", "M3": "softmax", "M4": "adam"}
