"""Filters against known answers: ascent finds a linear filter, receptive fields are exact."""

import numpy as np
import pytest
import torch
from test_probing import assert_same, state
from torch import nn

from hw3lib import UserError, activation, ascent, models
from hw3lib.data.synthetic import synthetic_faces
from hw3lib.models.network import Network

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 48, 48), dtype=np.uint8)
PLAIN = {"shift": 0.0, "rotate": 0.0, "scale": 0.0}


def template_network(template: torch.Tensor) -> Network:
    """One unit that sees the whole picture through one linear filter."""
    conv = nn.Conv2d(1, len(template), 48, bias=False)
    conv.weight.data = template[:, None].clone()
    return Network(nn.Sequential(conv), 0.5, 0.25)


def wave(length: float, angle: float, centre: tuple[float, float]) -> torch.Tensor:
    """(48, 48) Gabor patch: a cosine of `length` pixels under a Gaussian window."""
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    y, x = y - centre[0], x - centre[1]
    along = x * np.cos(angle) + y * np.sin(angle)
    return torch.cos(2 * np.pi * along / length) * torch.exp(-(x**2 + y**2) / (2 * 9.0**2))


def cosine(picture: np.ndarray, template: torch.Tensor) -> float:
    a, b = (picture - 0.5).ravel(), template.numpy().ravel()
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def network(name: str, width: float = 0.125) -> Network:
    torch.manual_seed(4)
    plain = Network(models.build(name, width=width), 0.5, 0.25)
    return activation.untrained(plain, IMAGES)


def test_ascent_on_a_linear_filter_finds_the_filter():
    templates = torch.stack(
        [wave(9, 0.3, (20, 26)), wave(16, 1.2, (24, 24)), wave(24, 2.5, (28, 18))]
    )
    net = template_network(templates)
    (layer,) = activation.filter_layers(net)
    assert not layer.rectified
    found = ascent.maximise(net, layer, range(3), steps=64, contrast=0.1, **PLAIN)
    assert min(map(cosine, found.pictures, templates)) > 0.95
    robust = ascent.maximise(net, layer, [1, 2], steps=96, contrast=0.1)
    assert min(map(cosine, robust.pictures, templates[1:])) > 0.95
    start = ascent.maximise(net, layer, range(3), steps=0, contrast=0.1)
    assert max(map(cosine, start.pictures, templates)) < 0.5  # the start does not know it


def test_ascent_keeps_the_best_picture_as_measured_unshifted_and_in_range():
    net = network("slim_resnet", 0.25)
    layer = activation.filter_layers(net)[4]
    before = state(net.model)
    found = ascent.maximise(net, layer, [5, 0, 2], steps=20, every=4)
    assert_same(before, state(net.model))
    assert found.steps.tolist() == [0, 4, 8, 12, 16, 20]
    assert (np.diff(found.best, axis=1) >= 0).all()
    assert found.pictures.min() >= 0 and found.pictures.max() <= 1
    inputs = torch.as_tensor((found.pictures - net.mean) / net.std)[:, None]
    maps = activation.value_at(net, inputs, layer.read, side=layer.side)
    measured = activation.strength(maps, layer)[range(3), [5, 0, 2]]
    assert np.allclose(measured.numpy(), found.reached, rtol=1e-3)
    assert (found.reached > 1.2 * found.best[:, 0]).all()


def test_ascent_is_deterministic_and_follows_its_seed():
    net = network("slim_resnet", 0.25)
    layer = activation.filter_layers(net)[0]
    one, same, other = (
        ascent.maximise(net, layer, [1, 3], steps=8, seed=s).pictures for s in (7, 7, 8)
    )
    assert np.array_equal(one, same)
    assert not np.allclose(one, other, atol=0.05)
    alone = ascent.maximise(net, layer, [3], steps=0, seed=7).pictures
    both = ascent.maximise(net, layer, [1, 3], steps=0, seed=7).pictures
    assert np.allclose(alone[0], both[1], atol=1e-6)  # a start depends on seed and filter alone


def test_several_seeds_in_one_batch_and_the_best_of_them():
    net = network("slim_resnet", 0.25)
    layer = activation.filter_layers(net)[3]
    every = ascent.maximise_seeds(net, layer, [1, 3], seeds=(4, 5, 6), steps=12)
    assert [a.filters for a in every] == [[1, 3]] * 3
    alone = ascent.maximise(net, layer, [1, 3], steps=0, seed=5).pictures
    start = ascent.maximise_seeds(net, layer, [1, 3], seeds=(4, 5), steps=0)[1].pictures
    assert np.allclose(start, alone, atol=1e-6)  # a seed starts alike whatever stands beside it
    best, reached = ascent.best_of(every), np.stack([a.reached for a in every])
    assert np.array_equal(best.reached, reached.max(0))
    for f, which in enumerate(reached.argmax(0)):
        assert np.array_equal(best.pictures[f], every[which].pictures[f])
    assert ascent.agreement(every) == pytest.approx(reached.min(0) / reached.max(0))


def chain() -> Network:
    model = nn.Sequential(
        nn.Conv2d(1, 3, 5, stride=2, padding=2), nn.ReLU(), nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3, dilation=2), nn.ReLU(),
    )  # fmt: skip
    return Network(model, 0.5, 0.25)


def test_receptive_fields_of_a_chain_are_the_formulas():
    """r_l = r_(l-1) + dilation (k - 1) j_(l-1), j_l = j_(l-1) s_l, cut at the border."""
    net = chain()
    first, second, third = activation.filter_layers(net)
    for layer, size, step, start in ((first, 5, 2, -2), (second, 9, 2, -4), (third, 27, 4, -4)):
        fields = activation.receptive_fields(net, layer)
        tops = np.arange(layer.shape[1]) * step + start
        assert (fields[:, 0, 0] == tops.clip(0)).all()
        assert (fields[:, 0, 1] == (tops + size).clip(max=48)).all()
        assert (fields[0, :, 2:] == fields[:, 0, :2]).all()
    assert activation.field_size(activation.receptive_fields(net, first)) == (5, 5)


@pytest.mark.parametrize("name", ["slim_resnet", "vgg16", "five_block", "resnet18"])
def test_receptive_field_equals_the_gradients_support(name):
    net = network(name)
    for module in net.model.modules():  # max pooling passes the gradient of one pixel alone
        for child, part in module.named_children():
            if isinstance(part, nn.MaxPool2d):
                size = (part.kernel_size, part.stride, part.padding)
                setattr(module, child, nn.AvgPool2d(*size, ceil_mode=part.ceil_mode))
    layer = activation.filter_layers(net)[3]
    fields = activation.receptive_fields(net, layer)
    for module in net.model.modules():  # nothing may cancel out or be switched off
        if isinstance(module, nn.Conv2d):
            module.weight.data = torch.rand_like(module.weight) + 0.1
    unit = (layer.shape[1] // 2, layer.shape[2] - 1)
    inputs = torch.rand(1, 1, 48, 48).requires_grad_(True)
    net.model.double().apply(_let_everything_pass)
    inputs = inputs.detach().double().requires_grad_(True)
    value = activation.value_at(net, inputs, layer.read, side=layer.side)[0, :, *unit].sum()
    (gradient,) = torch.autograd.grad(value, inputs)
    rows, columns = (np.flatnonzero(gradient[0, 0].abs().sum(d).numpy()) for d in (1, 0))
    support = (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1)
    assert tuple(fields[unit]) == support


def _let_everything_pass(module: nn.Module) -> None:
    if isinstance(module, nn.BatchNorm2d):
        module.reset_running_stats()
        module.weight.data.fill_(1.0)
        module.bias.data.fill_(1.0)


def test_where_a_response_is_read():
    found = activation.filter_layers(network("slim_resnet"))
    assert {layer.side for layer in found} == {"input"}
    last = found[-1]
    assert last.conv.endswith("conv2") and last.read.endswith("relu2")  # behind the shortcut
    net = chain()
    maps = activation.responses(net, IMAGES, activation.filter_layers(net)[0])
    assert np.allclose(maps, net.model[0](net.prepare(IMAGES)).detach().numpy(), atol=1e-6)
    flat = Network(nn.Sequential(nn.Flatten(), nn.Linear(48 * 48, 7)), 0.5, 0.25)
    with pytest.raises(UserError, match="no convolution"):
        activation.filter_layers(flat)


def test_survey_finds_strengths_peaks_and_dead_filters():
    net = chain()
    net.model[0].weight.data[1] = 0
    net.model[0].bias.data[1] = -1  # never above 0: dead
    layer = activation.filter_layers(net)[0]
    seen = activation.survey(net, IMAGES, layer, batch=5)
    maps = activation.responses(net, IMAGES, layer)
    assert np.allclose(seen.mean, maps.clip(min=0).mean((2, 3)), atol=1e-6)
    assert np.allclose(seen.peak, maps.max((2, 3)))
    for n, k in ((0, 0), (7, 2)):
        assert maps[n, k, *seen.where[n, k]] == seen.peak[n, k]
    assert seen.dead == [1]
    found = ascent.maximise(net, layer, [0, 1], steps=2)
    gain = ascent.gain_over_real(found, seen)
    assert np.isnan(gain[1]) and gain[0] == pytest.approx(found.reached[0] / seen.mean[:, 0].max())


def test_all_layers_in_one_pass_are_surveyed_as_one_by_one():
    net = network("slim_resnet")
    layers = activation.filter_layers(net)
    before = state(net.model)
    every = activation.survey_all(net, IMAGES, layers, batch=5)
    assert_same(before, state(net.model))
    for layer, seen in list(zip(layers, every, strict=True))[::4]:
        alone = activation.survey(net, IMAGES, layer)
        assert np.allclose(seen.mean, alone.mean, atol=1e-5)
        assert np.array_equal(seen.where, alone.where)
        maps = activation.responses(net, IMAGES, layer).clip(min=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            expected = np.nan_to_num(np.corrcoef(maps.swapaxes(0, 1).reshape(len(layer), -1)))
        assert np.allclose(seen.alike, expected, atol=1e-4)
    sides = activation.stages(layers)
    assert list(sides) == sorted(sides, reverse=True)
    assert [layer.conv for layer in sides.values()][-1] == layers[-1].conv


def test_duplicates_and_dead_filters_are_named():
    net = chain()
    net.model[0].weight.data[2] = 3 * net.model[0].weight.data[0]
    net.model[0].bias.data[:] = 0
    net.model[0].weight.data[1] = 0
    seen = activation.survey(net, IMAGES, activation.filter_layers(net)[0])
    assert seen.duplicates() == [(0, 2)]
    assert seen.dead == [1] and (seen.alike[1] == 0).all()


def test_top_patches_hold_the_pixels_that_make_the_response():
    net = chain()
    layer = activation.filter_layers(net)[1]
    images = np.concatenate([IMAGES, IMAGES[:3]])  # three copies
    group = np.r_[np.arange(12), np.arange(3)]
    seen, fields = activation.survey(net, images, layer), activation.receptive_fields(net, layer)
    patches = activation.top_patches(seen, fields, 2, count=6, group=group)
    assert len({group[p.row] for p in patches}) == 6
    assert [p.response for p in patches] == sorted((p.response for p in patches), reverse=True)
    assert patches[0].response == seen.peak[:, 2].max()
    top, bottom, left, right = patches[0].box
    alone = np.zeros((1, 48, 48), np.uint8)
    alone[0, top:bottom, left:right] = images[patches[0].row, top:bottom, left:right]
    where = seen.where[patches[0].row, 2]
    inside = activation.responses(net, alone, layer)[0, 2, *where]
    assert inside == pytest.approx(patches[0].response, rel=1e-4)
    ranked = activation.top_patches(seen, fields, 2, count=2, by="mean")
    assert ranked[0].row == seen.mean[:, 2].argmax()


def test_kernels_that_weigh_light_against_dark():
    net = template_network(torch.stack([wave(9, 0.3, (24, 24)), torch.ones(48, 48)]))
    (layer,) = activation.filter_layers(net)
    assert activation.weighs_light_against_dark(layer).tolist() == [True, False]


def test_a_published_report_shows_what_patches_share_and_no_patch(monkeypatch):
    from hw3lib import portraits
    from hw3lib.data.faces import Faces
    from hw3lib.plotting import filters as draw

    net, drawn = network("slim_resnet"), synthetic_faces(70, seed=2)
    real = Faces(drawn.images, drawn.labels, drawn.ids, drawn.split, drawn.group, layout="npz")
    layer = activation.filter_layers(net)[-1]
    seen = activation.survey(net, real.images, layer)
    fields = activation.receptive_fields(net, layer)
    (patches,) = draw.patch_rows(seen, fields, [0, 1], real, by="mean", count=3).values()
    assert [len(row) for row in patches] == [2, 2, 2]
    monkeypatch.setenv(portraits.PUBLISH, "1")
    ((kind, (shown,)),) = draw.patch_rows(seen, fields, [0, 1], real, by="mean").items()
    assert kind == "mean difference" and len(shown) == 2
    for picture in shown:
        assert picture.min() >= 0 and picture.max() <= 255
        likeness = [np.corrcoef(picture.ravel(), i.ravel())[0, 1] for i in real.images]
        assert max(likeness) < 0.9
