"""Optimisers, schedules and averages against torch's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hw3lib.models import build
from hw3lib.training.optimizers import (
    SCHEDULES,
    Average,
    Muon,
    make_optimizer,
    orthogonalize,
    schedule,
    set_rate,
    swapped,
)
from hw3lib.training.recipe import CHOICES, Recipe


def twins(*shapes: tuple[int, ...]) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    torch.manual_seed(0)
    values = [torch.randn(shape) for shape in shapes]
    return [nn.Parameter(v.clone()) for v in values], [nn.Parameter(v.clone()) for v in values]


def step_both(ours, theirs, parameters, oracle_parameters, steps: int = 4) -> None:
    for i in range(steps):
        for p, q in zip(parameters, oracle_parameters, strict=True):
            p.grad = torch.sin(p.detach() * (i + 2))
            q.grad = p.grad.reshape(q.shape).clone()
        ours.step()
        theirs.step()


def test_muon_equals_torchs_on_matrices():
    ours, theirs = twins((12, 40), (40, 12), (7, 7))
    group = {"params": ours, "lr": 0.02, "orthogonal": True, "weight_decay": 0.1}
    # torch's buffer holds (1 - momentum) times ours; what is made orthogonal has no scale
    oracle = torch.optim.Muon(theirs, lr=0.02, momentum=0.9, weight_decay=0.1)
    step_both(Muon([group], 0.02, 0.9), oracle, ours, theirs)
    for p, q in zip(ours, theirs, strict=True):
        assert torch.allclose(p, q, atol=2e-3), (p - q).abs().max()  # bf16 inside both


def test_muon_takes_a_kernel_as_the_matrix_of_its_outputs():
    kernel = nn.Parameter(torch.randn(8, 4, 3, 3))
    kernel.data = kernel.data.contiguous(memory_format=torch.channels_last)
    matrix = nn.Parameter(kernel.detach().reshape(8, 36).clone())
    groups = [{"params": [p], "lr": 0.05, "orthogonal": True} for p in (kernel, matrix)]
    step_both(Muon([groups[0]], 0.05, 0.9), Muon([groups[1]], 0.05, 0.9), [kernel], [matrix])
    assert torch.allclose(kernel.reshape(8, 36), matrix, atol=1e-5)


def test_the_rest_goes_by_nesterov_sgd():
    ours, theirs = twins((5,), (3, 4))
    oracle = torch.optim.SGD(theirs, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)
    groups = [{"params": ours, "lr": 0.1, "weight_decay": 0.01}]
    step_both(Muon(groups, 0.1, 0.9), oracle, ours, theirs)
    assert all(torch.allclose(p, q, atol=1e-6) for p, q in zip(ours, theirs, strict=True))


def test_what_is_made_orthogonal_has_singular_values_near_one():
    torch.manual_seed(1)
    for shape in ((16, 144), (64, 16), (30, 30)):
        values = torch.linalg.svdvals(orthogonalize(torch.randn(3, *shape)))
        assert values.min() > 0.3 and values.max() < 1.3
    assert not orthogonalize(torch.zeros(1, *shape)).any()


def test_muon_leaves_first_and_last_layer_and_vectors_to_sgd():
    model = build("slim_resnet", width=0.25).requires_grad_(True)
    optimizer = make_optimizer(Recipe(model="x", optimizer="muon", lr=0.02), model)
    kernels = {id(p) for g in optimizer.param_groups if g["orthogonal"] for p in g["params"]}
    named = dict(model.named_parameters())
    assert {n for n, p in named.items() if id(p) in kernels} == {
        n for n, p in named.items() if p.ndim == 4 and p.shape[1] > 3
    }
    everything = [id(p) for g in optimizer.param_groups for p in g["params"]]
    assert sorted(everything) == sorted(id(p) for p in named.values())


def test_schedules():
    rates = [schedule("onecycle", p / 1000) for p in range(1000)]
    assert max(rates) == pytest.approx(1, rel=1e-3) and np.argmax(rates) == 200
    assert rates[0] == pytest.approx(0.05) and rates[-1] < 1e-4
    assert schedule("cosine", 0.5) == pytest.approx(0.5) and schedule("cosine", 0) == 1
    assert schedule("linear", 0.6) == pytest.approx(0.5) and schedule("linear", 0.2) == 1
    assert schedule("constant", 0.9) == 1
    assert set(SCHEDULES) == set(CHOICES["schedule"])


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "muon"])
def test_every_group_follows_the_schedule_from_its_own_peak(name):
    model = build("slim_resnet", width=0.25).requires_grad_(True)
    recipe = Recipe(model="x", optimizer=name, lr=0.02, lr_rest=0.3, schedule="cosine")
    optimizer = make_optimizer(recipe, model)
    peaks = [group["lr"] for group in optimizer.param_groups]
    set_rate(optimizer, recipe, 0.5)
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([p / 2 for p in peaks])


def test_averaged_weights_equal_torchs():
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    oracle = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    oracle.update_parameters(model)
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    average = Average(weights, model, 0.9)
    for step in range(1000, 1005):  # late enough for the decay to be the one asked for
        for p in model.parameters():
            p.data.add_(torch.randn_like(p))
        model(torch.randn(8, 3))
        oracle.update_parameters(model)
        average.update(step)
    for name, value in oracle.module.state_dict().items():
        if value.is_floating_point():
            assert torch.allclose(weights[name], value, atol=1e-6), name


def test_the_average_forgets_its_start():
    model = nn.Linear(2, 2)
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    average = Average(weights, model, 0.999)
    with torch.no_grad():
        model.weight.fill_(5)
    for step in range(60):
        average.update(step)
    assert (weights["weight"] - 5).abs().max() < 0.01


def test_swapped_weights_come_back_even_on_failure():
    model = torch.nn.Linear(2, 2)
    own = model.weight.clone()
    zero = {k: torch.zeros_like(v) for k, v in model.state_dict().items()}
    with pytest.raises(ZeroDivisionError), swapped(model, zero):
        assert not model.weight.any()
        raise ZeroDivisionError
    assert torch.equal(model.weight, own)
