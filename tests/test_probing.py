"""The network is left as it was; layers, values and re-draws are what they say."""

import copy

import pytest
import torch
from torch import nn

from hw3lib import UserError, models
from hw3lib.probing import HOOKS, layers, redrawn, untouched, value_at, weighted


def small_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True),
        nn.Conv2d(4, 6, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Dropout(0.5), nn.Linear(6, 7),
    )  # fmt: skip


def state(model: nn.Module) -> list:
    """Everything that looking inside could leave behind."""
    return [
        (m.training, getattr(m, "inplace", None), [sorted(getattr(m, h)) for h in HOOKS])
        for m in model.modules()
    ] + [(p.requires_grad, p.grad is None, p.detach().clone()) for p in model.parameters()]


def assert_same(before: list, after: list) -> None:
    for a, b in zip(before, after, strict=True):
        assert a[:2] == b[:2]
        assert torch.equal(a[2], b[2]) if isinstance(a[2], torch.Tensor) else a[2] == b[2]


def test_untouched_restores_modes_hooks_and_gradients_after_a_failure():
    model = small_net().train()
    model[1].eval()  # a mode of its own must come back, too
    kept = model[0].register_forward_hook(lambda *_: None)
    before = state(model)
    with pytest.raises(ZeroDivisionError), untouched(model) as inside:
        assert not any(m.training for m in inside.modules())
        assert not inside[2].inplace
        inside[3].register_forward_hook(lambda *_: None)
        inside[4].register_full_backward_hook(lambda *_: None)
        inside.requires_grad_(False)
        raise ZeroDivisionError
    assert_same(before, state(model))
    kept.remove()  # the owner's handle still reaches its hook
    assert not model[0]._forward_hooks


def test_layers_run_in_forward_order_with_their_shapes():
    found = layers(small_net(), torch.zeros(2, 1, 48, 48))
    assert [layer.name for layer in found] == [str(i) for i in range(9)]
    assert found[3].shape == (6, 23, 23)
    assert weighted(small_net(), torch.zeros(1, 1, 48, 48)) == ["0", "1", "3", "8"]


def test_value_at_equals_the_forward_pass_and_stops_there():
    model = small_net().eval()
    inputs = torch.randn(2, 1, 48, 48, generator=torch.Generator().manual_seed(1))
    expected = model[2](model[1](model[0](inputs)))
    assert torch.equal(value_at(model, inputs, "3", side="input"), expected)
    assert torch.equal(value_at(model, inputs, "3"), model[3](expected))
    model[8] = nn.Linear(1, 1)  # what lies behind would fail
    assert value_at(model, inputs, "3").shape == (2, 6, 23, 23)


def test_value_at_names_a_layer_that_is_not_there():
    with pytest.raises(UserError, match="'nowhere'"):
        value_at(small_net(), torch.zeros(1, 1, 48, 48), "nowhere")


@pytest.mark.parametrize("name", sorted(models.MODELS))
def test_redrawn_changes_only_the_named_layers_of_a_copy(name):
    torch.manual_seed(0)
    model = models.build(name, width=0.125).train()
    inputs = torch.randn(8, 1, 48, 48)
    before, random_state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    last = weighted(model, inputs)[-1]
    other = redrawn(model, inputs, names=[last], seed=3)
    assert torch.equal(torch.get_rng_state(), random_state)
    for key, value in other.state_dict().items():
        assert torch.equal(model.state_dict()[key], before[key])
        if not key.startswith(f"{last}."):
            assert torch.equal(value, before[key]), key
    assert not torch.equal(other.state_dict()[f"{last}.weight"], before[f"{last}.weight"])
    assert not other.training and model.training


def test_a_layer_is_redrawn_alike_in_every_step_of_a_cascade():
    model, inputs = small_net(), torch.randn(16, 1, 48, 48)
    one, all_ = (redrawn(model, inputs, names=n, seed=1) for n in (["8"], None))
    assert torch.equal(one[8].weight, all_[8].weight)
    assert not torch.equal(one[8].weight, redrawn(model, inputs, names=["8"], seed=2)[8].weight)


def test_batch_norms_of_a_redrawn_copy_fit_the_pictures():
    model = small_net()
    inputs = 5 + 3 * torch.randn(64, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    other = redrawn(model, inputs)
    out = value_at(other, inputs, "1")
    assert out.mean((0, 2, 3)).abs().max() < 1e-3
    assert (out.var((0, 2, 3)) - 1).abs().max() < 1e-2
