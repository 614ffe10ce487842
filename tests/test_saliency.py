"""Attributions against known answers, and checks that catch what they should catch."""

import numpy as np
import pytest
import torch
from test_probing import assert_same, small_net, state
from torch import nn

from hw3lib import UserError, models, saliency
from hw3lib.models.network import Network
from hw3lib.probing import layers
from hw3lib.saliency import METHODS, attribute

INPUTS = torch.randn(3, 1, 48, 48, generator=torch.Generator().manual_seed(5))
TARGET = [0, 3, 6]


@pytest.fixture(scope="module")
def linear() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(48 * 48, 7)).eval()


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(2)
    return models.build("slim_resnet", width=0.25).eval()


def weights(model: nn.Module) -> torch.Tensor:
    return model[1].weight.detach()[TARGET].reshape(3, 1, 48, 48)


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("name", ["slim_resnet", "vgg16", "five_block", "resnet18"])
def test_every_method_gives_the_inputs_shape_and_leaves_the_model_alone(method, name):
    torch.manual_seed(0)
    model = models.build(name, width=0.125).train()
    before, random_state = state(model), torch.get_rng_state()
    options = {"smoothgrad": {"samples": 2}, "integrated_gradients": {"steps": 2}}
    out = attribute(method, model, INPUTS, TARGET, **options.get(method, {}))
    assert out.shape == INPUTS.shape
    assert out.dtype == torch.float32
    assert not out.requires_grad
    assert torch.isfinite(out).all()
    assert torch.equal(torch.get_rng_state(), random_state)
    assert_same(before, state(model))


@pytest.mark.parametrize("method", sorted(METHODS))
def test_hooks_and_modes_are_undone_when_the_model_fails(method):
    class Broken(nn.Module):
        def forward(self, x):
            raise ZeroDivisionError

    model = small_net().train()
    model[8] = Broken()
    before = state(model)
    with pytest.raises(ZeroDivisionError):
        attribute(method, model, INPUTS, TARGET)
    assert_same(before, state(model))


@pytest.mark.parametrize("method", ["gradient", "smoothgrad", "guided_backprop"])
def test_the_gradient_of_a_linear_model_is_its_weights(linear, method):
    assert torch.allclose(attribute(method, linear, INPUTS, TARGET), weights(linear), atol=1e-6)


def test_integrated_gradients_of_a_linear_model_are_weight_times_picture(linear):
    out = attribute("integrated_gradients", linear, INPUTS, TARGET)
    assert torch.allclose(out, weights(linear) * INPUTS, atol=1e-5)


def test_integrated_gradients_add_up_to_the_rise_of_the_logit(net):
    out = attribute("integrated_gradients", net, INPUTS, TARGET, steps=200)
    with torch.no_grad():
        rise = net(INPUTS)[range(3), TARGET] - net(0 * INPUTS)[range(3), TARGET]
    assert torch.allclose(out.sum((1, 2, 3)), rise, rtol=0.02, atol=0.01 * float(rise.abs().max()))
    maps = saliency.pixel_map(out)
    error = saliency.completeness_error(net, INPUTS, TARGET, maps)
    assert error.max() < 0.05
    assert saliency.completeness_error(net, INPUTS, TARGET, 2 * maps).min() > 0.5
    spots = saliency.smoothed(maps, saliency.SMOOTH)
    assert np.allclose(spots.sum((1, 2)), maps.sum((1, 2)), rtol=1e-3)  # they still add up


def test_grad_cam_of_a_net_with_a_known_answer():
    """Maps A_k = ReLU(a_k x), pooled, logit = sum_k w_k mean(A_k): alpha_k = w_k / (h w)."""
    a, w = torch.tensor([2.0, -1.0]), torch.tensor([1.0, 3.0])
    net = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                        nn.Flatten(), nn.Linear(2, 1, bias=False)).eval()  # fmt: skip
    net[0].weight.data, net[4].weight.data = a.reshape(2, 1, 1, 1), w[None]
    expected = (w[0] * (a[0] * INPUTS).relu() + w[1] * (a[1] * INPUTS).relu()) / 48**2
    assert torch.allclose(attribute("grad_cam", net, INPUTS, 0), expected, atol=1e-6)
    net[4].weight.data = -w[None]
    assert attribute("grad_cam", net, INPUTS, 0).abs().max() == 0
    signed = attribute("grad_cam", net, INPUTS, 0, positive=False)
    assert torch.allclose(signed, -expected, atol=1e-6)


def test_guided_backprop_drops_negative_parts_at_each_relu():
    """x -> ReLU(x) -> two weights: only the positive one, where x is above 0, comes back."""
    net = nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(2, 1, bias=False)).eval()
    net[2].weight.data = torch.tensor([[1.5, -2.0]])
    inputs = torch.tensor([[1.0, 1.0], [-1.0, 1.0]]).reshape(2, 1, 1, 2)
    out = attribute("guided_backprop", net, inputs, 0).reshape(2, 2)
    assert torch.equal(out, torch.tensor([[1.5, 0.0], [0.0, 0.0]]))
    plain = attribute("gradient", net, inputs, 0).reshape(2, 2)
    assert torch.equal(plain, torch.tensor([[1.5, -2.0], [0.0, -2.0]]))


def test_smoothgrad_is_the_same_for_a_seed_and_another_for_another(net):
    one, two, three = (
        attribute("smoothgrad", net, INPUTS, TARGET, samples=3, seed=s) for s in (1, 1, 2)
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, three)


def test_three_grey_channels_are_summed_into_one_map(net):
    torch.manual_seed(3)
    colour = models.build("slim_resnet", width=0.25, in_channels=3).eval()
    out = attribute("grad_cam", colour, INPUTS.expand(-1, 3, -1, -1), TARGET)
    assert out.shape == (3, 3, 48, 48)
    assert np.allclose(saliency.pixel_map(out), 3 * out[:, 0].numpy(), atol=1e-6)


def test_batches_and_networks_give_the_same_maps(net):
    network = Network(net, 0.5, 0.25)
    options = {"integrated_gradients": {"steps": 4}}
    methods = ["gradient", "integrated_gradients"]
    whole = saliency.attribute_all(network, INPUTS, TARGET, methods=methods, options=options)
    parts = saliency.attribute_all(net, INPUTS, TARGET, methods=methods, options=options, batch=2)
    for name in methods:
        assert np.allclose(whole[name], parts[name], atol=1e-5)


def test_unknown_names_are_one_line():
    with pytest.raises(UserError, match="choose one of gradient"):
        attribute("magic", small_net(), INPUTS, 0)
    with pytest.raises(UserError, match="'nowhere'"):
        attribute("grad_cam", small_net(), INPUTS, 0, layer="nowhere")


def test_choice_of_pictures():
    scores = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]])
    labels = np.array([0, 0, 0, 1])
    assert saliency.examples(scores, labels, right=True) == [0]
    assert saliency.examples(scores, labels, right=False) == [2, 3]
    assert saliency.spread_over_classes(np.array([0, 0, 0, 1, 2]), 4).tolist() == [0, 1, 3, 4]
    assert saliency.first_by_id(np.array(["10", "x", "2"])) == 2
    assert saliency.first_by_id(np.array(["b.png", "a.png"])) == 1
    means = saliency.class_means(
        np.stack([np.full((2, 2), v) for v in (1.0, 3.0)]), np.array([4, 4])
    )
    assert np.isnan(means[0]).all() and (means[4] == 2).all()


def test_grad_cam_reads_the_last_layer_that_is_fine_enough(net):
    shapes = {x.name: x.shape for x in layers(net, INPUTS)}
    assert min(shapes[saliency.last_map(net, INPUTS)][1:]) == 6
    assert min(shapes[saliency.last_map(net, INPUTS, least=2)][1:]) == 3
    coarse = nn.Sequential(nn.Conv2d(1, 2, 16, stride=16), nn.ReLU(), nn.Flatten())
    assert saliency.last_map(coarse, INPUTS) == "1"
    with pytest.raises(UserError, match="wider than a pixel"):
        saliency.last_map(nn.Sequential(nn.Conv2d(1, 2, 48), nn.Flatten()), INPUTS)
