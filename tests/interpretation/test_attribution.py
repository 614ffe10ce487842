"""Attributions against known answers: autograd by hand, linear models, finite differences."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hw3lib import UserError
from hw3lib.interpretation import attribution
from hw3lib.interpretation.attribution import METHODS, PLANTED, attribute
from hw3lib.models import MODELS, build
from hw3lib.plotting.saliency import one_scale
from interpretation.networks import assert_same, linear_net, slim, state

INPUTS = torch.randn(3, 1, 48, 48, generator=torch.Generator().manual_seed(5))
TARGET = [0, 3, 6]
CONVOLUTIONAL = sorted(set(MODELS) - {"dense"})


@pytest.fixture(scope="module")
def net() -> nn.Module:
    return slim().model


def small_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True),
        nn.Conv2d(4, 6, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Dropout(0.5), nn.Linear(6, 7),
    )  # fmt: skip


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_every_method_gives_the_inputs_shape_and_leaves_the_model_alone(name):
    model = build(name, width=0.0625, in_channels=1).train()
    before, random_state = state(model), torch.get_rng_state()
    options = {"SmoothGrad": {"samples": 2}, "Integrated Gradients": {"steps": 2}}
    for method in [*METHODS, *PLANTED]:
        out = attribute(method, model, INPUTS, TARGET, **options.get(method, {}))
        assert out.shape == INPUTS.shape and out.dtype == torch.float32
        assert not out.requires_grad and torch.isfinite(out).all()
    assert torch.equal(torch.get_rng_state(), random_state)
    assert_same(before, state(model))


@pytest.mark.parametrize("method", ["gradient", "SmoothGrad", "Integrated Gradients"])
def test_a_linear_model_is_explained_by_its_weights(method):
    weights = torch.randn(7, 48, 48, generator=torch.Generator().manual_seed(1))
    out = attribute(method, linear_net(weights), INPUTS, TARGET)[:, 0]
    wanted = weights[TARGET] * (INPUTS[:, 0] if method == "Integrated Gradients" else 1)
    assert torch.allclose(out, wanted, atol=1e-5)


def test_integrated_gradients_add_up_to_the_rise_of_the_logit(net):
    out = attribute("Integrated Gradients", net, INPUTS, TARGET, steps=200)
    rise = net(INPUTS)[range(3), TARGET] - net(0 * INPUTS)[range(3), TARGET]
    assert torch.allclose(out.sum((1, 2, 3)), rise, rtol=0.02, atol=0.01 * float(rise.abs().max()))
    maps = out[:, 0].numpy()
    assert attribution.completeness_error(net, INPUTS, TARGET, maps).max() < 0.05
    assert attribution.completeness_error(net, INPUTS, TARGET, 2 * maps).min() > 0.5
    spots = attribution.attribute_all(net, INPUTS, TARGET, methods=["gradient"])["gradient"]
    plain = attribution.attribute_all(net, INPUTS, TARGET, methods=["gradient"], smooth=0)
    gradient = attribute("gradient", net, INPUTS, TARGET)[:, 0].numpy()
    assert np.allclose(plain["gradient"], gradient) and not np.allclose(spots, gradient)
    assert np.allclose(spots.sum((1, 2)), gradient.sum((1, 2)), rtol=1e-3)  # they still add up


def test_grad_cam_is_the_papers_formula_by_autograd():
    """ReLU of the maps weighted by the means of their gradients, interpolated."""
    model = small_net().eval()
    maps = model[:5](INPUTS).detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(model[5:](maps)[range(3), TARGET].sum(), maps)
    cam = (slope.mean((2, 3), keepdim=True) * maps).sum(1, keepdim=True).relu().detach()
    expected = F.interpolate(cam, size=(48, 48), mode="bilinear")
    assert torch.allclose(attribute("Grad-CAM", model, INPUTS, TARGET), expected, atol=1e-7)


def test_guided_backprop_drops_negative_parts_at_each_relu():
    """x -> ReLU(x) -> two weights: only the positive one, where x is above 0, comes back."""
    net = nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(2, 1, bias=False)).eval()
    net[2].weight.data = torch.tensor([[1.5, -2.0]])
    inputs = torch.tensor([[1.0, 1.0], [-1.0, 1.0]]).reshape(2, 1, 1, 2)
    out = attribute("guided backprop", net, inputs, 0).reshape(2, 2)
    assert torch.equal(out, torch.tensor([[1.5, 0.0], [0.0, 0.0]]))


def test_batches_give_the_same_maps_and_grey_channels_are_summed(net):
    options = {"Integrated Gradients": {"steps": 4}}
    whole, parts = (
        attribution.attribute_all(net, INPUTS, TARGET, methods=options, options=options, batch=b)
        for b in (64, 2)
    )
    for name in options:
        assert np.allclose(whole[name], parts[name], atol=1e-5)
    colour, three = (
        build("slim_resnet", width=0.125, in_channels=3).eval(),
        INPUTS.expand(-1, 3, -1, -1),
    )
    out = attribute("Grad-CAM", colour, three, TARGET)
    maps = attribution.attribute_all(colour, three, TARGET, methods=["Grad-CAM"], smooth=0)
    assert np.allclose(maps["Grad-CAM"], 3 * out[:, 0].numpy(), atol=1e-6)


def test_unknown_names_are_one_line():
    with pytest.raises(UserError, match="choose one of gradient"):
        attribute("magic", small_net(), INPUTS, 0)


def test_layers_run_in_forward_order_and_features_are_their_values():
    model = small_net().train()
    found, before = attribution.layers(model, torch.zeros(2, 1, 48, 48)), state(model)
    assert [layer.name for layer in found] == [str(i) for i in range(9)]
    assert found[3].shape == (6, 23, 23) and found[4].before == "3"
    values = attribution.features(model, ["1", "3"])(INPUTS)
    assert_same(before, state(model))
    model.eval()
    assert torch.equal(values["1"], model[:2](INPUTS))
    assert torch.equal(values["3"], model[:4](INPUTS))
    joined = attribution.layers(slim(), INPUTS)
    assert {layer.before.rsplit(".", 1)[-1] for layer in joined if "relu2" in layer.name} == {"add"}


def test_grad_cam_reads_the_last_layer_that_is_fine_enough(net):
    shapes = {x.name: x.shape for x in attribution.layers(net, INPUTS)}
    assert min(shapes[attribution.last_map(net, INPUTS)][1:]) == 6
    coarse = nn.Sequential(nn.Conv2d(1, 2, 16, stride=16), nn.ReLU(), nn.Flatten())
    assert attribution.last_map(coarse, INPUTS) == "1"
    with pytest.raises(UserError, match="wider than a pixel"):
        attribution.last_map(nn.Sequential(nn.Conv2d(1, 2, 48), nn.Flatten()), INPUTS)


def test_choice_of_images():
    scores = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]])
    labels = np.array([0, 0, 0, 1])
    assert attribution.examples(scores, labels, right=True) == [0]
    assert attribution.examples(scores, labels, right=False) == [2, 3]
    assert attribution.spread_over_classes(np.array([0, 0, 0, 1, 2]), 4).tolist() == [0, 1, 3, 4]
    means = attribution.class_means(np.array([[[1.0]], [[3.0]]]), np.array([4, 4]))
    assert np.isnan(means[0]).all() and (means[4] == 2).all()


def test_edges_lie_where_the_step_is():
    image = np.zeros((1, 48, 48), np.uint8)
    image[:, :, 24:] = 200
    strength = attribution.edge_strength(image)
    assert strength[0, 24].argmax() in (22, 23, 24)
    assert strength[0, 24, 5] == pytest.approx(0, abs=1e-6)


def test_all_methods_of_an_image_are_drawn_on_one_scale():
    maps = dict(zip("ab", np.random.default_rng(0).normal(size=(2, 3, 48, 48)), strict=True))
    scaled = one_scale({"a": 1e6 * maps["a"], "b": maps["b"]})  # a method's unit does not matter
    assert all(np.allclose(scaled[name], v) for name, v in one_scale(maps).items())
    together = np.abs(np.stack(list(scaled.values())))
    assert np.quantile(together, 0.99, axis=(0, 2, 3)) == pytest.approx(1)
    spot = np.eye(48)[None] * (np.arange(48) == 24)  # a concentrated map stays the stronger one
    both = one_scale({"spot": spot, "even": spot * 0 + 1})
    assert both["spot"].max() == pytest.approx(48**2 * both["even"].max())
