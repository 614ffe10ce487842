"""Gradient ascent finds a linear filter, keeps its best, and follows its seed."""

import numpy as np
import pytest
import torch
from torch import nn

from hw3lib.data.synthetic import synthetic_faces
from hw3lib.interpretation import ascent, filters
from hw3lib.interpretation.attribution import features
from hw3lib.models.network import Network
from interpretation.networks import assert_same, slim, state

PLAIN = {"shift": 0.0, "rotate": 0.0, "scale": 0.0}


def wave(length: float, angle: float, centre: tuple[float, float]) -> torch.Tensor:
    """(48, 48) Gabor patch: a cosine of `length` pixels under a Gaussian window."""
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    y, x = y - centre[0], x - centre[1]
    along = x * np.cos(angle) + y * np.sin(angle)
    return torch.cos(2 * np.pi * along / length) * torch.exp(-(x**2 + y**2) / (2 * 9.0**2))


def cosine(image: np.ndarray, template: torch.Tensor) -> float:
    a, b = (image - 0.5).ravel(), template.numpy().ravel()
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_ascent_on_a_linear_filter_finds_the_filter(monkeypatch):
    monkeypatch.setattr(ascent, "CONTRAST", 0.1)
    templates = torch.stack(
        [wave(9, 0.3, (20, 26)), wave(16, 1.2, (24, 24)), wave(24, 2.5, (28, 18))]
    )
    conv = nn.Conv2d(1, 3, 48, bias=False)
    conv.weight.data = templates[:, None].clone()
    net = Network(nn.Sequential(conv), 0.5, 0.25)
    (layer,) = filters.filter_layers(net)
    assert not layer.relu
    (found,) = ascent.maximise(net, layer, range(3), **PLAIN)
    assert min(map(cosine, found.images, templates)) > 0.95
    (robust,) = ascent.maximise(net, layer, [1, 2], steps=96)
    assert min(map(cosine, robust.images, templates[1:])) > 0.9
    (start,) = ascent.maximise(net, layer, range(3), steps=0)
    assert max(map(cosine, start.images, templates)) < 0.5  # the start does not know it


def test_ascent_climbs_and_measures_the_unshifted_image():
    net = slim()
    layer, before = filters.filter_layers(net)[4], state(net.model)
    (start,), (found,) = (ascent.maximise(net, layer, [5, 0, 2], steps=n) for n in (0, 24))
    assert_same(before, state(net.model))
    assert found.images.min() >= 0 and found.images.max() <= 1
    inputs = torch.as_tensor((found.images - net.mean) / net.std)[:, None]
    maps = features(net, [layer.read])(inputs)[layer.read]
    measured = maps.relu().mean((2, 3))[range(3), [5, 0, 2]]
    assert np.allclose(measured.numpy(), found.reached, rtol=1e-3)
    assert (found.reached > 1.2 * start.reached).all()


def test_a_start_depends_on_seed_and_filter_alone_and_the_best_seed_is_kept():
    net = slim()
    layer = filters.filter_layers(net)[3]
    alone = ascent.maximise(net, layer, [3], steps=0, seeds=[5])[0].images
    start = ascent.maximise(net, layer, [1, 3], steps=0, seeds=(4, 5))[1].images
    assert np.allclose(start[1], alone[0], atol=1e-6)
    assert not np.allclose(start[0], start[1], atol=0.05)
    every = ascent.maximise(net, layer, [1, 3], seeds=(4, 5, 6), steps=12)
    again = ascent.maximise(net, layer, [1, 3], seeds=(4, 5, 6), steps=12)
    assert all(np.array_equal(a.images, b.images) for a, b in zip(every, again, strict=True))
    assert [a.filters for a in every] == [[1, 3]] * 3
    best, reached = ascent.best_of(every), np.stack([a.reached for a in every])
    assert np.array_equal(best.reached, reached.max(0))
    for f, which in enumerate(reached.argmax(0)):
        assert np.array_equal(best.images[f], every[which].images[f])


def test_gain_over_the_best_real_image():
    net, faces = slim(width=0.125), synthetic_faces(7, seed=2)
    layer = filters.filter_layers(net)[0]
    net.model.get_submodule(layer.conv).weight.data[1] = 0  # dead
    (seen,) = filters.survey(net, faces.images, [layer])
    (found,) = ascent.maximise(net, layer, [0, 1], steps=2)
    gain = ascent.gain_over_real(found, seen)
    assert np.isnan(gain[1]) and gain[0] == pytest.approx(found.reached[0] / seen.mean[:, 0].max())
    called = net.model(torch.as_tensor((found.images - 0.5) / 0.25)[:, None]).argmax(1).numpy()
    profile = np.eye(7)[called[[0, 0]]]  # both filters prefer what the first image is called
    profile = np.concatenate([profile, np.zeros((len(layer) - 2, 7))])
    assert ascent.recognised(net, found, profile) == 1 + int(called[1] == called[0])
