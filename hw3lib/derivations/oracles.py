"""Two independent ways to a gradient in float64: torch autograd and finite differences."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from hw3lib.derivations.claims import Oracle
from hw3lib.text import Text

if TYPE_CHECKING:
    from torch import Tensor

Gradient = Callable[[Callable[["Tensor"], "Tensor"], "Tensor"], "Tensor"]


def autograd(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Gradient of a scalar function at x, of x's shape."""
    import torch

    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(f(x), x)[0]


def differences(f: Callable[[Tensor], Tensor], x: Tensor, step: float = 2e-4) -> Tensor:
    """The same by central differences on five points; error of order step**4."""
    import torch

    x, slopes = x.detach(), torch.zeros_like(x)
    for k in range(x.numel()):
        shift = torch.zeros_like(x)
        shift.view(-1)[k] = step
        near, far = f(x + shift) - f(x - shift), f(x + 2 * shift) - f(x - 2 * shift)
        slopes.view(-1)[k] = ((8 * near - far) / (12 * step)).detach()
    return slopes


def jacobian(gradient: Gradient, f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """df_i / dx_j as a matrix (n, n) for a vector function of a vector, row by row."""
    import torch

    return torch.stack([gradient(lambda v, i=i: f(v)[i], x) for i in range(len(f(x)))])


def gradient_oracles(sample: Callable, *, name: Text, cases: int = 120) -> tuple[Oracle, Oracle]:
    """Both ways for one World; sample(rng, gradient) draws a case."""
    return (
        Oracle(name, partial(sample, gradient=autograd), cases, 1e-9),
        Oracle(
            Text("有限差分", "finite differences"),
            partial(sample, gradient=differences),
            max(cases // 10, 10),
            1e-6,
        ),
    )
