"""What the symbols of M1-M4 mean: values drawn at random, and what torch makes of them.

Derivatives are autograd's, in float64. A size (m, K, t) is 1, 2, 3 (K: 2, 3, 4) every other time,
else each up to 24 in turn, now and then one up to 80.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Values = dict[str | tuple[str, ...], float | np.ndarray]
ELL, XHAT, YHAT, MU, VAR = r"\ell", r"\hat{x}", r"\hat{y}", r"\mu_B", r"\sigma_B^2"
GAMMA, BETA, EPS = r"\gamma", r"\beta", r"\epsilon"
BETA1, BETA2, ETA = r"\beta_1", r"\beta_2", r"\eta_0"


@dataclass(frozen=True)
class Setting:
    """draw : (generator, number of the case) -> inputs;  compute : inputs -> (values, rounding)

    size  : the symbol up to which an index runs; "" where there are no indices
    count : cases that a claim is checked on
    moves : symbols of which a limit may be taken, and where they may lie
    first : of an array, its first index where that is not 1
    """

    name: str
    draw: Callable[[np.random.Generator, int], Values]
    compute: Callable[[Values], tuple[Values, dict]]
    size: str = ""
    count: int = 120
    moves: dict[str, tuple[float, float]] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    drawn: list[Case] = field(default_factory=list, repr=False)

    def cases(self, most: int) -> Iterator[Case]:
        """The first `most` cases, the same ones every time."""
        for number in range(most):
            if number == len(self.drawn):
                inputs = self.draw(np.random.default_rng([4, number]), number)
                self.drawn.append(Case(self, inputs, *self.compute(inputs)))
            yield self.drawn[number]


@dataclass
class Case:
    """values : of each symbol and, under (of, by), of each partial derivative

    rounding : of some of them, the size of the numbers of which torch computed them
    """

    setting: Setting
    inputs: Values
    values: Values
    rounding: dict
    moved_to: dict[tuple[str, float], Case] = field(default_factory=dict, repr=False)

    @property
    def size(self) -> int:
        return int(self.values.get(self.setting.size, 0))

    def moved(self, name: str, value: float) -> Case:
        """The same inputs, but one: what a limit is taken from."""
        if (name, value) not in self.moved_to:
            inputs = self.inputs | {name: value}
            self.moved_to[name, value] = Case(self.setting, inputs, *self.setting.compute(inputs))
        return self.moved_to[name, value]

    def told(self) -> str:
        size = self.setting.size
        names = [size] if size else [n for n in self.values if isinstance(n, str)]
        return ", ".join(f"{n} = {self.values[n]:g}" for n in names)


def _size(rng: np.random.Generator, number: int, smallest: int) -> int:
    if number % 15 == 14:
        return int(rng.integers(25, 81))
    return smallest + (number // 2 % 3 if number % 2 else number // 2 % 24)


def _any(rng: np.random.Generator) -> float:
    """A number of any sign, small or large, so that none looks bounded."""
    return rng.normal() * 10 ** rng.uniform(-1, 1.5)


def _tensor(values: np.ndarray | float, *, track: bool = True) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=track)


def _grad(of: Tensor, *by: Tensor) -> list[np.ndarray]:
    """Gradients of a scalar; of a vector, the Jacobians."""
    ones = None if of.ndim == 0 else torch.eye(len(of), dtype=of.dtype)
    found = torch.autograd.grad(of, by, ones, retain_graph=True, is_grads_batched=of.ndim > 0)
    return [g.numpy() for g in found]


# --- M1 --------------------------------------------------------------------------------------


def _draw_convolution(rng: np.random.Generator, number: int) -> Values:
    """Everything differs between the axes; padding may exceed the kernel."""
    large = number % 15 == 10
    while True:
        W, H = rng.permutation([rng.integers(1, 121 if large else 31), rng.integers(1, 13)])
        k, s, p = (rng.integers(least, 25 if large else 12, 2) for least in (1, 1, 0))
        if number % 2:
            k, s, p = np.minimum(k, 4), np.minimum(s, 3), np.minimum(p, 2)
        if number % 7 == 3:
            k, s = 2 * p + 1, s**0  # the shape stays
        if (k <= np.array([W, H]) + 2 * p).all():
            break
    names = ("B", "C", r"\text{in}", r"\text{out}")
    channels = dict(zip(names, rng.integers(1, 4, 4), strict=True))
    channels["C"] = channels[r"\text{in}"]
    axes = {f"{n}_{a + 1}": v[a] for n, v in (("k", k), ("s", s), ("p", p)) for a in (0, 1)}
    return {n: int(v) for n, v in {"W": W, "H": H, **axes, **channels}.items()}


def _convolution(v: Values) -> tuple[Values, dict]:
    """The shape that torch.nn.functional.conv2d gives."""
    x = torch.zeros(v["B"], v["C"], v["W"], v["H"])
    weight = torch.zeros(v[r"\text{out}"], v["C"], v["k_1"], v["k_2"])
    y = F.conv2d(x, weight, None, (v["s_1"], v["s_2"]), (v["p_1"], v["p_2"]))
    return v | dict(zip(("B'", "C'", "W'", "H'"), y.shape, strict=True)), {}


# --- M2 --------------------------------------------------------------------------------------


def _draw_batch(rng: np.random.Generator, number: int) -> Values:
    m = _size(rng, number, 1)
    scale = 10 ** rng.uniform(-1, 1)
    x = scale * (rng.normal(size=m) + 3 * rng.normal())
    if number % 13 == 6:
        x[rng.integers(m)] += 20 * scale  # one far from the rest
    if number % 19 == 8:
        x[:] = rng.choice([0.0, 2.0])  # all alike
    return {
        "x": x, "a": rng.uniform(-1, 1, m), "b": rng.uniform(-1, 1, m),
        GAMMA: [_any(rng), 1.0, 0.0][number % 7 == 3 or 2 * (number % 29 == 11)],
        BETA: 0.0 if number % 7 == 3 else _any(rng),
        EPS: float(rng.choice([1e-5, 1e-3, 0.1, 1.0, 30.0])),
        MU: x.mean() + scale * rng.normal(),
    }  # fmt: skip


def _loss(v: Values) -> Callable[[Tensor], Tensor]:
    """A smooth loss that ties all outputs together, so that their derivatives are any numbers."""
    a, b = _tensor(v["a"], track=False), _tensor(v["b"], track=False)
    return lambda y: (a * torch.sin(y)).sum() + (b * y).sum() ** 2 / 2


def _stages(v: Values, mu: float) -> tuple[Values, dict]:
    """The question's graph: each partial holds the other arguments of its formula fixed.

    x-hat depends on x, mu and sigma^2; sigma^2 on x and mu; mu on x; y on x-hat, gamma, beta.
    """
    x, mean = _tensor(v["x"]), _tensor(mu)
    gamma, beta, loss = _tensor(v[GAMMA]), _tensor(v[BETA]), _loss(v)
    spread = ((x - mean) ** 2).mean()
    var = _tensor(spread.item())
    root = torch.sqrt(var + v[EPS])
    xhat = (x - mean) / root
    leaf = _tensor(xhat.detach().numpy())
    y = gamma * leaf + beta
    both = loss(gamma * ((x - mean) / torch.sqrt(spread + v[EPS])) + beta)  # paths from mu
    value = loss(y)
    values = {
        "m": len(x), "x": v["x"], XHAT: leaf.detach().numpy(), "y": y.detach().numpy(),
        MU: mu, r"\sigma_B": var.item() ** 0.5, ELL: value.item(),
        GAMMA: v[GAMMA], BETA: v[BETA], EPS: v[EPS],
        (ELL, VAR): _grad(loss(gamma * xhat + beta), var)[0], (ELL, MU): _grad(both, mean)[0],
        (MU, "x"): _grad(x.mean(), x)[0],
    }  # fmt: skip
    for of, whole, by in (
        (ELL, value, {"y": y, XHAT: leaf, GAMMA: gamma, BETA: beta}),
        ("y", y, {XHAT: leaf, GAMMA: gamma, BETA: beta}),
        (XHAT, xhat, {"x": x, MU: mean, VAR: var}),
        (VAR, spread, {"x": x, MU: mean}),
    ):
        values |= {(of, n): g for n, g in zip(by, _grad(whole, *by.values()), strict=True)}
    return values, {(VAR, MU): 2 * np.abs(v["x"] - mu).mean()}


def _free_mean(v: Values) -> tuple[Values, dict]:
    """mu_B is any number: what it does to sigma^2 shows, which at the mean it does not."""
    return _stages(v, v[MU])


def _batch_norm(v: Values) -> tuple[Values, dict]:
    """The whole layer is torch's; of m = 1, which its batch_norm refuses, its layer_norm."""
    values, rounding = _stages(v, v["x"].mean())
    x, gamma, beta, loss = _tensor(v["x"]), _tensor([v[GAMMA]]), _tensor([v[BETA]]), _loss(v)

    def layer(gamma: Tensor, beta: Tensor) -> Tensor:
        if len(x) > 1:
            return F.batch_norm(x[:, None], None, None, gamma, beta, True, eps=v[EPS])[:, 0]
        return F.layer_norm(x, (1,), gamma, beta, v[EPS])

    y = layer(gamma, beta)
    slope_x, slope_gamma, slope_beta = _grad(loss(y), x, gamma, beta)
    values |= {
        "y": y.detach().numpy(), XHAT: layer(gamma * 0 + 1, beta * 0).detach().numpy(),
        (ELL, "x"): slope_x, (ELL, GAMMA): slope_gamma[0], (ELL, BETA): slope_beta[0],
    }  # fmt: skip
    root = (values[r"\sigma_B"] ** 2 + v[EPS]) ** 0.5
    far = 2 * np.abs(v["x"]).max() / root  # of x-hat, whose numerator cancels
    slope = np.abs(values[ELL, "y"])
    return values, rounding | {
        XHAT: far, "y": abs(v[GAMMA]) * far, (ELL, GAMMA): far * slope.sum(),
        (ELL, "x"): abs(v[GAMMA]) / root * slope.max() * (1 + np.abs(values[XHAT]).max() ** 2),
    }  # fmt: skip


# --- M3 --------------------------------------------------------------------------------------


def _draw_softmax(rng: np.random.Generator, number: int) -> Values:
    K = _size(rng, number, 2)
    z = np.clip(rng.normal(0, rng.choice([0.3, 1, 3]), K), -8, 8)
    if number % 9 == 4:
        z[:] = rng.choice([0.0, rng.normal()])  # all alike
    if number % 13 == 7:
        z = 16.0 * np.eye(K)[rng.integers(K)] - 8  # one far above the rest
    y = np.eye(K)[rng.choice([z.argmax(), rng.integers(K)])]
    if number % 17 == 11:
        y = np.exp(z) / np.exp(z).sum()  # nothing left to learn
    elif number % 3:
        y = rng.dirichlet(np.ones(K)) if number % 3 == 1 else 0.9 * y + 0.1 / K
    v = _any(rng) * rng.normal(size=K)
    if number % 11 in (5, 6):
        v = -2 * z if number % 11 == 5 else np.full(K, v[0])
    return {"z": z, "y": y, "v": v}


def _softmax(v: Values) -> tuple[Values, dict]:
    """torch.softmax and cross_entropy; by y-hat, kl_div, which differs by a constant."""
    z, y = _tensor(v["z"]), _tensor(v["y"], track=False)
    p = torch.softmax(z, 0)
    leaf = _tensor(p.detach().numpy())

    def loss(z: Tensor) -> Tensor:
        return F.cross_entropy(z[None], y[None])

    values = v | {
        "K": len(z), YHAT: leaf.detach().numpy(), "L": loss(z).item(),
        ("L", "z"): _grad(loss(z), z)[0], (YHAT, "z"): _grad(p, z)[0],
        ("L", YHAT): _grad(F.kl_div(leaf.log(), y, reduction="sum"), leaf)[0],
        ("L", "z", "z"): torch.autograd.functional.hessian(loss, z, vectorize=True).numpy(),
    }  # fmt: skip
    rounding = dict.fromkeys(((YHAT, "z"), ("L", "z"), ("L", "z", "z")), 1.0)
    return values, rounding | {"L": np.abs(v["z"]).max()}


# --- M4 --------------------------------------------------------------------------------------


def _draw_adam(rng: np.random.Generator, number: int) -> Values:
    t = _size(rng, number, 1)
    g, kind = rng.normal(size=t) * 10 ** rng.uniform(-1, 1.5), number % 16
    if kind in (5, 12):
        g[np.arange(t) != (0 if kind == 5 else t - 1)] = 0  # a single one
    if kind in (7, 10):
        g[:] = 0 if number % 64 == 7 else _any(rng)  # all alike
    beta1, beta2 = np.where(
        rng.random(2) < 0.2, 1 - 10 ** rng.uniform(-4, -1, 2), rng.uniform(0.05, 0.95, 2)
    )
    beta2 = 0.0 if number % 23 == 9 else float(beta2)
    vanishes = (g[0] == 0) or (beta2 == 0 and (g == 0).any())  # v_i of some i
    return {
        "g": g, BETA1: 0.0 if number % 4 == 1 else float(beta1), BETA2: beta2,
        ETA: 10 ** rng.uniform(-3, 1),
        EPS: 0.0 if rng.random() < 0.5 and not vanishes else 10 ** rng.uniform(-3, 1),
    }  # fmt: skip


def _adam(v: Values) -> tuple[Values, dict]:
    """torch.optim.Adam on one parameter w with the rate eta_t = eta_0 / sqrt(t)."""
    w, t = _tensor(0.0), np.arange(1, len(v["g"]) + 1)
    adam = torch.optim.Adam([w], betas=(v[BETA1], v[BETA2]), eps=v[EPS], foreach=False)
    rows, rates = [(0.0, 0.0, 0.0)], v[ETA] / np.sqrt(t)
    for gradient, rate in zip(v["g"], rates, strict=True):
        w.grad = _tensor(gradient, track=False)
        adam.param_groups[0]["lr"] = float(rate)
        adam.step()
        state = adam.state[w]
        rows.append((state["exp_avg"].item(), state["exp_avg_sq"].item(), w.item()))
    m, square, path = np.array(rows).T
    hats = {r"\hat{m}": m[1:] / (1 - v[BETA1] ** t), r"\hat{v}": square[1:] / (1 - v[BETA2] ** t)}
    arrays = {"m": m, "v": square, "w": path, r"\eta": rates}
    rounding = {
        "m": np.abs(v["g"]).max(),
        r"\hat{m}": np.abs(v["g"]).max(),
        "w": np.abs(path).max(),
    }
    return v | {"t": len(t)} | arrays | hats, rounding


SETTINGS = {
    s.name: s
    for s in (
        Setting("convolution", _draw_convolution, _convolution, count=400),
        Setting("batch_norm", _draw_batch, _batch_norm, "m"),
        Setting("free_mean", _draw_batch, _free_mean, "m"),
        Setting("softmax", _draw_softmax, _softmax, "K"),
        Setting(
            "adam", _draw_adam, _adam, "t",
            moves={BETA1: (0, 1), BETA2: (0, 1)},
            first=dict.fromkeys(("m", "v", "w"), 0),
        ),
    )
}  # fmt: skip
QUESTIONS = {"M1": "convolution", "M2": "batch_norm", "M3": "softmax", "M4": "adam"}
