"""Filters against known answers: receptive fields, surveys, planted preferences, ablation."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import t
from torch import nn

from hw3lib import UserError
from hw3lib.data.faces import CLASSES
from hw3lib.data.synthetic import synthetic_faces
from hw3lib.interpretation import filters
from hw3lib.interpretation.randomisation import randomised
from hw3lib.interpretation.regions import region_masks
from hw3lib.models.network import Network, logits
from hw3lib.plotting import filters as draw
from interpretation.networks import assert_same, images, slim, state

IMAGES = images()


def chain() -> Network:
    torch.manual_seed(4)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 5, stride=2, padding=2), nn.ReLU(), nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3, dilation=2), nn.ReLU(),
    )  # fmt: skip
    return Network(model, 0.5, 0.25)


def test_receptive_fields_of_a_chain_are_the_formulas():
    """r_l = r_(l-1) + dilation (k - 1) j_(l-1), j_l = j_(l-1) s_l, cut at the border."""
    net = chain()
    first, second, third = filters.filter_layers(net)
    for layer, size, step, start in ((first, 5, 2, -2), (second, 9, 2, -4), (third, 27, 4, -4)):
        fields = filters.receptive_fields(net, layer)
        tops = np.arange(layer.shape[1]) * step + start
        assert (fields[:, 0, 0] == tops.clip(0)).all()
        assert (fields[:, 0, 1] == (tops + size).clip(max=48)).all()
        assert (fields[0, :, 2:] == fields[:, 0, :2]).all()
    assert filters.field_size(filters.receptive_fields(net, first)) == (5, 5)


def test_a_response_is_what_the_relu_receives():
    """Read by a hook of the ReLU, in networks of every family."""
    for name in ("slim_resnet", "vgg16", "five_block", "resnet18"):
        net = slim(name, 0.0625)
        for layer in filters.filter_layers(net)[::5]:
            seen = []
            relu = net.model.get_submodule(layer.relu)
            handle = relu.register_forward_pre_hook(lambda m, inputs, to=seen: to.append(inputs[0]))
            with torch.no_grad():
                net.model(net.prepare(IMAGES))
            handle.remove()
            assert np.array_equal(filters.responses(net, IMAGES, layer), seen[0].numpy())
    last = filters.filter_layers(slim())[-1]
    assert last.conv.endswith("conv2") and last.relu.endswith("relu2")  # behind the shortcut
    flat = Network(nn.Sequential(nn.Flatten(), nn.Linear(48 * 48, 7)), 0.5, 0.25)
    with pytest.raises(UserError, match="no convolution"):
        filters.filter_layers(flat)


def test_a_survey_is_what_the_responses_say():
    net = randomised(slim(width=0.125), slim().prepare(IMAGES))
    layers, before = filters.filter_layers(net), state(net.model)
    every = filters.survey(net, IMAGES, layers, batch=5)
    assert_same(before, state(net.model))
    for layer, seen in list(zip(layers, every, strict=True))[::4]:
        maps = filters.responses(net, IMAGES, layer)
        assert np.allclose(seen.mean, maps.clip(min=0).mean((2, 3)), atol=1e-5)
        assert np.allclose(seen.peak, maps.max((2, 3)), atol=1e-5)
        at = np.take_along_axis(maps.reshape(*maps.shape[:2], -1),
                                (seen.where @ [layer.shape[2], 1])[..., None], axis=2)  # fmt: skip
        assert np.allclose(at[..., 0], seen.peak, atol=1e-5)
    sides = filters.stages(layers)
    assert list(sides) == sorted(sides, reverse=True)
    assert [layer.conv for layer in sides.values()][-1] == layers[-1].conv


def test_dead_filters_are_named():
    net = chain()
    net.model[0].bias.data[:] = 0
    net.model[0].weight.data[1] = 0
    (seen,) = filters.survey(net, IMAGES, filters.filter_layers(net)[:1])
    assert seen.dead == [1]


def test_top_patches_hold_the_pixels_that_make_the_response():
    net = chain()
    layer = filters.filter_layers(net)[1]
    copied = np.concatenate([IMAGES, IMAGES[:3]])
    group = np.r_[np.arange(12), np.arange(3)]
    (seen,), fields = filters.survey(net, copied, [layer]), filters.receptive_fields(net, layer)
    options = {"count": 6, "group": group}
    patches = filters.top_patches(copied, seen, fields, 2, by="peak", **options)
    assert len({p.tobytes() for p in patches}) == 6  # no copies
    row = seen.peak[:, 2].argmax()
    top, bottom, left, right = fields[tuple(seen.where[row, 2])]
    alone = np.zeros((1, 48, 48), np.uint8)
    alone[0, top:bottom, left:right] = patches[0]
    inside = filters.responses(net, alone, layer)[0, 2, *seen.where[row, 2]]
    assert inside == pytest.approx(seen.peak[:, 2].max(), rel=1e-4)
    rows = np.arange(len(copied))[:, None, None] + np.zeros((1, 48, 48))
    ranked = filters.top_patches(rows, seen, fields, 2, by="mean", **options)
    assert ranked[0].max() == seen.mean[:, 2].argmax()


def test_kernels_are_told_apart_by_what_a_turn_does_to_them():
    step, spot = np.sign(np.arange(5) - 2.0)[None].repeat(5, 0), np.full((5, 5), -0.04)
    spot[2, 2] = 1
    line = np.zeros((5, 5)) - 0.2
    line[2] = 0.8
    kernels = np.stack([step + 0.1, -step.T, np.ones((5, 5)) + 0.3 * spot, spot, line.T])
    kinds = filters.kernel_kinds(kernels).tolist()
    assert kinds == ["edge", "edge", "brightness", "line or spot", "line or spot"]


def test_a_filter_that_sees_one_region_falls_with_it_alone():
    masks, shown = region_masks(), np.random.default_rng(1).integers(0, 200, (40, 48, 48))
    conv = nn.Conv2d(1, 2, 48, bias=False)
    conv.weight.data[0, 0] = torch.as_tensor(masks["mouth"]).float()
    conv.weight.data[1, 0] = 1.0
    net = Network(nn.Sequential(conv, nn.ReLU()), 0.0, 1.0)
    (layer,), shown = filters.filter_layers(net), shown.astype(np.uint8)
    (seen,) = filters.survey(net, shown, [layer])
    falls = filters.region_falls(net, layer, [0, 1], shown, seen, count=10)
    assert falls.shape == (2, 7, 10)
    mouth = list(masks).index("mouth")
    assert falls[0, mouth].mean() > 0
    assert np.delete(falls[0], mouth, axis=0) == pytest.approx(0, abs=1e-6)
    assert filters.leading_region(falls[0]) == "mouth"
    assert filters.leading_region(np.zeros((7, 10))) is None  # no lead is certain
    close = np.zeros((7, 10))
    close[mouth], close[mouth - 1] = 9 + np.resize([-1.0, 1.0], 10), 7.8  # t of the lead: 3.6
    assert filters.leading_region(close) == "mouth"  # six others: 3.4 is the limit
    assert filters.leading_region(close, among=20) is None
    close[mouth - 1] = 8.2  # t of 2.4 would do if the region had not been chosen among seven
    assert filters.leading_region(close) is None


def test_profiles_selectivity_and_choice_of_filters():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(7), 30)
    mean = rng.normal(size=(210, 9))
    for c in range(7):
        mean[labels == c, 8 - c] += 5  # filter 8 - c responds to class c, 0 and 1 to none
    mean[:, 0] = 3.0  # dead
    profile = filters.class_profile(mean, labels)
    assert profile.shape == (9, len(CLASSES)) and (profile[0] == 0).all()
    assert filters.most_selective(profile) == [8, 7, 6, 5, 4, 3, 2]
    gap = filters.margins(profile)  # by hand: class over the next class
    for c, k in ((0, 8), (3, 8), (6, 2)):
        assert gap[c, k] == pytest.approx(profile[k, c] - np.delete(profile[k], c).max())
    omega = filters.selectivity(mean, labels)
    assert omega[0] == 0 and abs(omega[1]) < 0.05 and (omega[2:] > 0.6).all()
    few = filters.class_profile(mean[labels < 2], labels[labels < 2])
    assert np.isnan(few[:, 2:]).all() and filters.most_selective(few)[:2] == [8, 7]


def decided() -> tuple[Network, np.ndarray, np.ndarray]:
    """A net whose class c depends on its filters c and c + 7 alone, and images of each class.

    Filters 14 to 20 are of no use. Class c lights up columns 6 c to 6 c + 5.
    """
    conv, head = nn.Conv2d(1, 21, (48, 6), stride=6, bias=False), nn.Linear(21 * 8, 7, bias=False)
    conv.weight.data.fill_(1 / 288)
    head.weight.data.zero_()
    for c in range(7):
        for k in (c, c + 7):
            head.weight.data[c, k * 8 + c] = 1.0
    model = nn.Sequential(conv, nn.ReLU(), nn.Flatten(), head)
    labels = np.repeat(np.arange(7), 6)
    shown = np.zeros((42, 48, 48), np.uint8)
    for n, c in enumerate(labels):
        shown[n, :, 6 * c : 6 * c + 6] = 200 + n % 6
    return Network(model, 0.0, 1.0), shown, labels


def test_ablation_costs_a_class_what_its_filters_carry():
    net, shown, labels = decided()
    (layer,) = filters.filter_layers(net)
    profile = np.zeros((21, 7))
    for c in range(7):
        profile[[c, c + 7], c] = 3.0
    before, whole = state(net.model), logits(net, shown)
    without = logits(filters.silenced(net, layer, [2, 9]), shown)
    assert (without[:, 2] == 0).all() and np.array_equal(without[:, 3], whole[:, 3])
    found = filters.ablate(net, shown, labels, layer, profile)
    assert_same(before, state(net.model))
    assert found.count == 2
    change = found.recall_change
    assert (np.diag(change)[1:] == -1).all()  # class 0 wins a tie of zeros
    assert (change[~np.eye(7, dtype=bool)] == 0).all()
    lost = found.losses()
    assert lost["own"].value == pytest.approx(6 / 7) and lost["difference"].low > 0.3
    useless = replace(found, own=np.tile(found.random, (7, 1)))
    assert useless.losses()["difference"].value == pytest.approx(0)
    taken = replace(
        found,
        own=np.where(labels == 1, [1.0, 0.0] * 21, 0.0) + np.zeros((7, 1)),
        random=np.zeros(42),
    )  # half of one class: Student's t of 1, 0, 1, 0, 1, 0
    half = t.ppf(0.975, 5) * np.std([1, 0] * 3, ddof=1) / np.sqrt(6) / 7
    assert taken.losses()["own"] == pytest.approx((0.5 / 7, 0.5 / 7 - half, 0.5 / 7 + half))
    never = replace(found, recall=np.array([0.0, *found.recall[1:]]))  # cannot lose any
    assert never.losses()["own"].value == 1


def test_the_strongest_patches_stand_in_rows_a_column_for_each_filter():
    net, faces = slim(width=0.125), synthetic_faces(70, seed=2)
    layer = filters.filter_layers(net)[-1]
    (seen,) = filters.survey(net, faces.images, [layer])
    fields = filters.receptive_fields(net, layer)
    rows = draw.patch_rows(seen, fields, [0, 1], faces, by="mean", count=3)["top patches"]
    assert [len(row) for row in rows] == [2, 2, 2]
