"""What turns gradients into weights: optimisers, learning-rate schedules, averaged weights."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from functools import partial

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from hw3lib.training.recipe import Recipe

WARM_UP = 0.2  # share of all steps in which "onecycle" climbs to the peak rate
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # Jordan's quintic, steep at 0; also torch.optim.Muon's

Weights = dict[str, torch.Tensor]


class Muon(torch.optim.Optimizer):
    """Muon for convolution kernels, Nesterov SGD for the rest, in one optimiser.

    A kernel's (outputs, inputs x height x width) momentum matrix is replaced by a nearly
    orthogonal one, so that every direction of it is learned at the same pace; it is scaled by
    sqrt(max(1, rows / columns)). Jordan 2024, https://kellerjordan.github.io/posts/muon/.
    torch.optim.Muon takes matrices only, and is the oracle of our test.

    A group of parameters with "orthogonal" set goes by Muon, the others by SGD; each has its
    own lr, momentum and weight_decay (decoupled for Muon, added to the gradient for SGD).
    """

    def __init__(self, groups: list[dict], lr: float, momentum: float):
        super().__init__(
            groups, {"lr": lr, "momentum": momentum, "weight_decay": 0.0, "orthogonal": False}
        )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        # over lists (torch's documented foreach operations): tensor by tensor, starting kernels
        # costs a GPU more than they take
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            updates = self._momentum(parameters, group)
            if group["orthogonal"]:
                updates = orthogonal_updates(updates)
                torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(parameters, updates, alpha=-group["lr"])

    def _momentum(self, parameters: list[torch.Tensor], group: dict) -> list[torch.Tensor]:
        """Nesterov's gradients; the plain SGD groups add their weight decay to them first."""
        gradients = [p.grad for p in parameters]
        if not group["orthogonal"] and group["weight_decay"]:
            gradients = torch._foreach_add(gradients, parameters, alpha=group["weight_decay"])
        for p in parameters:
            if not self.state[p]:
                self.state[p]["buffer"] = torch.zeros_like(p)
        buffers = [self.state[p]["buffer"] for p in parameters]
        torch._foreach_mul_(buffers, group["momentum"])
        torch._foreach_add_(buffers, gradients)
        return torch._foreach_add(gradients, buffers, alpha=group["momentum"])


def orthogonal_updates(kernels: list[torch.Tensor]) -> list[torch.Tensor]:
    """Each kernel's update made orthogonal and scaled; those of one shape in one batch."""
    shapes: dict[torch.Size, list[int]] = {}
    for i, kernel in enumerate(kernels):
        shapes.setdefault(kernel.shape, []).append(i)
    out = list(kernels)
    for shape, members in shapes.items():
        matrices = torch.stack([kernels[i].reshape(shape[0], -1) for i in members])
        scale = max(1.0, matrices.shape[1] / matrices.shape[2]) ** 0.5
        for i, matrix in zip(members, orthogonalize(matrices) * scale, strict=True):
            out[i] = matrix.view(shape)
    return out


def orthogonalize(matrices: torch.Tensor) -> torch.Tensor:
    """(k, m, n) -> (k, m, n) of the same dtype: singular values brought near 1 (0.7 to 1.2).

    Five steps of Newton-Schulz iteration, in bf16 where that is fast: the result need not be exact.
    """
    a, b, c = NEWTON_SCHULZ
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.bfloat16() if multiplies_bf16(matrices.device) else matrices
    x = x.mT if tall else x
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)


def multiplies_bf16(device: torch.device) -> bool:
    """In hardware, that is: a GPU from Ampere on, a CPU with AMX or AVX512-BF16.

    There a training step was measured up to twice as fast as in fp32; on a CPU with AVX2 alone
    Newton-Schulz iteration was 5 to 35 times slower.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def make_optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """Weight decay acts on matrices and kernels only, not on biases and batch-norm parameters.

    Every group keeps its peak rate under "peak".
    """
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    matrices = [p for p in model.parameters() if p.ndim > 1]
    decay = {"weight_decay": recipe.weight_decay}
    if recipe.optimizer == "muon":
        # the first convolution has too few inputs to orthogonalise, the last layer is no kernel
        kernels = [p for p in matrices if p.ndim == 4 and p.shape[1] > 3]
        rest = [p for p in matrices if p.ndim != 4 or p.shape[1] <= 3]
        groups = [
            {"params": kernels, "lr": recipe.lr, "orthogonal": True, **decay},
            {"params": rest, "lr": recipe.lr_rest, **decay},
            {"params": vectors, "lr": recipe.lr_rest},
        ]
        make = partial(Muon, momentum=recipe.momentum)
        groups = [group for group in groups if group["params"]]
    else:
        groups = [{"params": matrices, **decay}, {"params": vectors, "weight_decay": 0.0}]
        sgd = partial(torch.optim.SGD, momentum=recipe.momentum, nesterov=recipe.momentum > 0)
        kinds = {"sgd": sgd, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
        make = kinds[recipe.optimizer]
    optimizer = make(groups, lr=recipe.lr)
    for group in optimizer.param_groups:
        group["peak"] = group["lr"]
    return optimizer


def set_rate(optimizer: torch.optim.Optimizer, recipe: Recipe, progress: float) -> None:
    """Give every group the schedule's share of its peak rate at `progress` in [0, 1).

    With several cycles the schedule starts again in each (Loshchilov & Hutter 2016,
    arXiv:1608.03983).
    """
    share = schedule(recipe.schedule, progress * recipe.cycles % 1)
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share


def schedule(name: str, progress: float) -> float:
    """The share of the peak rate at `progress` in [0, 1) of all steps.

    "onecycle" climbs for a fifth of them, then falls as a cosine (after Smith & Topin 2017,
    arXiv:1708.07120); "linear" climbs as long and falls in a straight line; "cosine" falls from
    the start.
    """
    start, fall = SCHEDULES[name]
    if progress < start:
        return 0.05 + 0.95 * progress / start
    return fall((1 - progress) / (1 - start))


def _cosine(left: float) -> float:
    return 0.5 * (1 - math.cos(math.pi * left))


SCHEDULES = {  # name -> share of the steps that climb; how it falls with the share of the rest left
    "constant": (0.0, lambda left: 1.0),
    "cosine": (0.0, _cosine),
    "linear": (WARM_UP, lambda left: left),
    "onecycle": (WARM_UP, _cosine),
}


class Average:
    """Exponential moving average of all floating-point weights and batch-norm statistics.

    weights : what `state_dict` gives, updated in place; {} where the Recipe wants no average
    """

    def __init__(self, weights: Weights, model: nn.Module, decay: float):
        current = model.state_dict()  # the model's own tensors, not copies
        self.decay, floats = decay, [k for k, v in current.items() if v.is_floating_point()]
        self.average = [weights[k] for k in floats if weights]
        self.current = [current[k] for k in floats if weights]

    def update(self, step: int) -> None:
        """After `step` steps; early on the average is short, so that the start is forgotten."""
        decay = min(self.decay, (1 + step) / (10 + step))
        if self.average:
            get_ema_multi_avg_fn(decay)(self.average, self.current, None)


@contextlib.contextmanager
def swapped(model: nn.Module, average: Weights) -> Iterator[None]:
    """Within the block the model holds the averaged weights (its own where there are none)."""
    if not average:
        yield
        return
    own = copy_of(model.state_dict())
    model.load_state_dict(average)
    try:
        yield
    finally:
        model.load_state_dict(own)


def copy_of(state: Weights) -> Weights:
    return {name: value.detach().clone() for name, value in state.items()}
