"""The checks tell a true attribution from a broken one, and give no credit to a bump."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr, ttest_1samp

from hw3lib.data.synthetic import synthetic_faces
from hw3lib.interpretation import attribution, checks
from hw3lib.interpretation.attribution import attribute_all
from hw3lib.plotting.saliency import verdict_table
from interpretation.networks import assert_same, linear_net, looking_at, slim, state

CORNER = looking_at(slice(0, 12), slice(0, 12))
BRIGHT = torch.zeros(4, 1, 48, 48)
BRIGHT[:, :, :12, :12] = 1


def order_checks(net, inputs, target, maps):
    """Deletion and insertion of importance maps, judged."""
    curves = [checks.deletion_curves(net, inputs, target, maps, insert=i) for i in (False, True)]
    judged = checks.judge(
        {"deletion": checks.gains(curves[0], sign=-1), "insertion": checks.gains(curves[1])}
    )
    return curves, judged.set_index(["check", "against", "method"])["passes"]


def test_deletion_and_insertion_tell_a_true_map_from_a_random_and_from_a_wrong_one():
    moving = torch.cat([BRIGHT, BRIGHT])
    true = np.tile(
        attribute_all(CORNER, BRIGHT[:1], 2, methods=["gradient"])["gradient"], (8, 1, 1)
    )
    noise = np.random.default_rng(9).random(true.shape)
    maps = {"true": true, "random": noise, "wrong": true.max() - true}
    (deleted, inserted), passes = order_checks(CORNER, moving, 2, maps)
    whole, empty = deleted[""]["true"][:, 0], deleted[""]["true"][:, -1]
    for name in maps:
        assert np.allclose(deleted[""][name][:, [0, -1]], np.stack([whole, empty], 1))
        assert np.allclose(inserted[""][name][:, [0, -1]], np.stack([empty, whole], 1))
    for check in ("deletion", "insertion"):
        for against in ("random order", "centred Gaussian"):
            assert passes[check, against, "true"] is True
            assert passes[check, against, "wrong"] is False
        assert passes[check, "random order", "random"] is not True


def half_seen(n: int = 8) -> tuple[torch.nn.Module, torch.Tensor, np.ndarray]:
    """A network that counts bright pixels, images that are bright in a place of their own, and
    the maps that mark these places."""
    maps = np.zeros((n, 48, 48), np.float32)
    for i in range(n):
        y, x = divmod(i, 4)
        maps[i, 24 * y : 24 * y + 12, 12 * x : 12 * x + 12] = 1
    return looking_at(slice(None), slice(None)), torch.as_tensor(maps)[:, None], maps


def test_a_map_equal_to_a_baseline_gets_no_credit_and_one_that_follows_the_image_does():
    net, inputs, own = half_seen()
    bump = checks.centred_gaussian(own.shape)
    maps = {"own": own, "bump": bump, "mean": checks.mean_of_others(own)}
    curves, passes = order_checks(net, inputs, 2, maps)
    for check in ("deletion", "insertion"):
        assert all(passes[check, against, "own"] is True for against in checks.BASELINES)
        assert passes[check, "centred Gaussian", "bump"] is False
    assert (checks.gains(curves[0])["centred Gaussian"]["bump"] == 0).all()
    read = {"Grad-CAM": own, "Integrated Gradients": bump, "gradient": bump}  # both ways to read
    explained = checks.gains(checks.faithfulness(net, inputs, 2, read))["centred Gaussian"]
    assert (explained["Integrated Gradients"] == 0).all() and (explained["gradient"] == 0).all()
    assert explained["Grad-CAM"].min() > 0.5


def test_the_mean_of_the_others_leaves_its_own_image_out_and_weighs_images_alike():
    maps = np.random.default_rng(0).random((4, 5, 6)) * np.array([1, 10, 100, 1000])[:, None, None]
    scaled = maps / maps.mean((1, 2), keepdims=True)
    assert checks.mean_of_others(maps)[1] == pytest.approx(scaled[[0, 2, 3]].mean(0))
    assert attribution.relative(np.zeros((1, 3, 3))).max() == 0
    bump = checks.centred_gaussian((2, 48, 48))
    assert (bump[0] == bump[1]).all() and np.allclose(bump[0], bump[0, ::-1].T)


@pytest.mark.parametrize(("change", "verdict"), [
    ({}, "reliable"), ({"deletion": None}, "reliable"), ({"shift": None}, "reliable"),
    ({"deletion": None, "insertion": None}, "inconclusive"),
    ({"weight randomisation": None}, "inconclusive"),
    ({"weight randomisation": None, "noise": False}, "unreliable"),
    *(({check: False}, "unreliable") for check in checks.RULES),
])  # fmt: skip
def test_the_verdict_follows_its_rule(change, verdict):
    """Values far above, far below and around each limit: passes, fails, cannot be told."""
    around = np.array([-1.0, 1.0] * 10)
    measured = {}
    for check, (limit, higher) in checks.RULES.items():
        passes = {**dict.fromkeys(checks.RULES, True), **change}[check]
        side = 0 * around if passes is None else np.full(20, 0.4 if passes is higher else -0.4)
        measured[check] = {"": {"gradient": limit + side + (around if passes is None else 0)}}
    judged = checks.judge(measured)
    assert checks.verdicts(judged) == {"gradient": verdict}
    table = verdict_table(judged, checks.verdicts(judged))
    assert len(table) == len(checks.RULES) + 1 and str(table.iloc[-1, 1]).endswith(verdict)
    signs = {True: "○", False: "×", None: "△"}
    for cell, passes in zip(table.iloc[:, 1], judged["passes"], strict=False):
        assert cell.endswith(signs[passes])


def test_all_checks_of_a_method_hold_at_once():
    """What one check alone would settle is open among twelve: t is 2.6, its limits 2.1 and 3.3."""
    values = 0.5 - 0.1 * (2.6 / np.sqrt(20) + np.resize([-1, 1], 20) * np.sqrt(19 / 20))
    alone = checks.judge({"weight randomisation": {"": {"gradient": values}}})
    twelve = {str(k): {"gradient": values} for k in range(12)}
    among = checks.judge({"weight randomisation": twelve})
    assert alone["passes"].tolist() == [True] and among["passes"].tolist() == [None] * 12
    oracle = ttest_1samp(values, 0).confidence_interval(1 - 0.05 / 12)
    assert among.loc[0, ["low", "high"]].tolist() == pytest.approx([oracle.low, oracle.high])


def test_a_linear_model_is_explained_in_full_and_a_broken_map_is_caught():
    net = linear_net(torch.randn(7, 48, 48, generator=torch.Generator().manual_seed(1)))
    inputs = torch.randn(6, 1, 48, 48, generator=torch.Generator().manual_seed(2))
    maps = attribute_all(net, inputs, 3, methods=["gradient", "Integrated Gradients"], smooth=0)
    maps["Grad-CAM"] = -maps["Integrated Gradients"]  # points the wrong way
    maps["guided backprop"] = maps["gradient"][:, ::-1]  # upside down
    maps["SmoothGrad"] = 0 * maps["gradient"]  # says nothing
    share = checks.faithfulness(net, inputs, 3, maps)[""]
    assert share["gradient"] == pytest.approx(1, abs=1e-4)
    assert share["Integrated Gradients"] == pytest.approx(1, abs=1e-4)
    assert share["Grad-CAM"] == pytest.approx(-1, abs=1e-4)
    assert np.abs(share["guided backprop"]).max() < 0.5
    assert (share["SmoothGrad"] == 0).all()


def noisy(model, inputs, target):
    """A broken attribution: other noise for every image, however little it differs."""
    seeds = (inputs.flatten(1).double().sum(1) * 1e6).long().tolist()
    draws = [torch.Generator().manual_seed(abs(s)) for s in seeds]
    return torch.stack([torch.randn(inputs.shape[1:], generator=g) for g in draws])


def test_stability_catches_a_map_that_does_not_hold_still(monkeypatch):
    monkeypatch.setitem(attribution.PLANTED, "noisy", noisy)
    network, faces = slim(), synthetic_faces(4, seed=1)
    inputs, before = network.prepare(faces.images), state(network.model)
    maps = attribute_all(network, inputs, faces.labels, methods=["noisy", "edges alone"])
    found = checks.stability(network, inputs, faces.labels, maps)
    assert_same(before, state(network.model))
    judged = checks.judge({k: {"": v} for k, v in found.items()})
    passes = judged.set_index(["check", "method"])["passes"]
    for check in ("noise", "shift"):
        assert passes[check, "noisy"] is False and passes[check, "edges alone"] is True
    assert found["shift"]["edges alone"].min() > 0.98


def test_rank_similarity_is_scipys_and_an_even_map_gives_nothing():
    a, b = np.random.default_rng(1).integers(0, 9, (2, 2, 10, 10))
    expected = [spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(a, b, strict=True)]
    assert checks.rank_similarity(a, b) == pytest.approx(expected)
    assert checks.rank_similarity(a, -a) == pytest.approx(-1)
    assert (checks.rank_similarity(a, np.ones_like(a)) == 0).all()


def test_intervals_leave_nan_out():
    estimate = checks.mean_interval(np.array([1.0, 2.0, 3.0, np.nan]))
    theirs = ttest_1samp([1, 2, 3], 0).confidence_interval()
    assert estimate == pytest.approx((2, *theirs))
    assert np.isnan(checks.mean_interval(np.array([np.nan])).value)
    wider = ttest_1samp([1, 2, 3], 0).confidence_interval(0.99)
    assert checks.mean_interval(np.array([1.0, 2.0, 3.0]), among=5) == pytest.approx((2, *wider))
