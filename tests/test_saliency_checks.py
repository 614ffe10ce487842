"""The checks tell a true attribution from a broken one, and what they say is what they measured."""

import numpy as np
import pytest
import torch
from test_probing import assert_same, state
from torch import nn

from hw3lib import edges, models, perturbation, saliency, trust
from hw3lib import saliency_checks as checks
from hw3lib.data.synthetic import synthetic_faces
from hw3lib.models.network import Network
from hw3lib.saliency import METHODS


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(2)
    return models.build("slim_resnet", width=0.25).eval()


def planted() -> tuple[nn.Module, torch.Tensor]:
    """A net that looks at the top left corner alone, and pictures that are bright all over."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(48 * 48, 7)).eval()
    mask = torch.zeros(48, 48)
    mask[:12, :12] = 0.02
    net[1].weight.data.zero_()
    net[1].weight.data[2] = mask.flatten()
    net[1].bias.data.zero_()
    checker = torch.zeros(48, 48)
    checker[:12, :12] = 1
    return net, checker.expand(4, 1, 48, 48).clone()


def test_deletion_tells_a_true_map_from_a_random_and_from_a_wrong_one():
    net, inputs = planted()
    true = saliency.attribute_all(net, inputs, 2, methods=["gradient"])["gradient"]
    noise = np.random.default_rng(0).random(true.shape)
    curves = {
        name: perturbation.deletion(net, inputs, 2, values)
        for name, values in {"true": true, "random": noise, "wrong": true.max() - true}.items()
    }
    assert all(np.allclose(c[:, 0], curves["true"][:, 0]) for c in curves.values())
    assert all(np.allclose(c[:, -1], curves["true"][:, -1]) for c in curves.values())
    gain = trust.over_random(curves, curves["random"], sign=-1)
    assert gain["true"].passes is True and gain["wrong"].passes is False
    back = {
        name: perturbation.deletion(net, inputs, 2, values, insert=True)
        for name, values in {"true": true, "random": noise, "wrong": true.max() - true}.items()
    }
    assert np.allclose(back["true"][:, -1], curves["true"][:, 0])
    gain = trust.over_random(back, back["random"])
    assert gain["true"].passes is True and gain["wrong"].passes is False


def test_the_randomisation_check_catches_a_map_that_ignores_the_network(net):
    faces = synthetic_faces(14, seed=1)
    inputs = Network(net, 0.5, 0.25).prepare(faces.images)
    before = state(net)
    check = checks.randomisation_check(
        net, inputs, faces.labels, methods=["gradient", "edges_alone"], stages=4
    )
    assert_same(before, state(net))
    assert set(check["stage"]) == {1, 2, 3, 4}
    assert check["redrawn"].max() == 1
    assert len(check) == 2 * 4 * len(faces)
    assert checks.notices_redrawing(check, "edges_alone")[2] is False
    assert checks.notices_redrawing(check, "gradient")[2] is True
    summary = checks.cascade_summary(check)
    assert (summary["low"] <= summary["value"]).all() and (
        summary["value"] <= summary["high"]
    ).all()


def test_a_linear_model_is_explained_in_full_and_a_broken_map_is_caught():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Flatten(), nn.Linear(48 * 48, 7)).eval()
    inputs = torch.randn(6, 1, 48, 48)
    maps = saliency.attribute_all(
        net, inputs, 3, methods=["gradient", "integrated_gradients"], smooth=0
    )
    maps["grad_cam"] = -maps["integrated_gradients"]  # points the wrong way
    maps["guided_backprop"] = maps["gradient"][:, ::-1]  # upside down
    maps["smoothgrad"] = np.ones_like(maps["gradient"]) * 0  # says nothing
    share = perturbation.explained(net, inputs, 3, maps)
    assert share["gradient"] == pytest.approx(1, abs=1e-4)
    assert share["integrated_gradients"] == pytest.approx(1, abs=1e-4)
    assert share["grad_cam"] == pytest.approx(-1, abs=1e-4)
    assert np.abs(share["guided_backprop"]).max() < 0.5
    assert (share["smoothgrad"] == 0).all()
    found = trust.against_limit(share, below=False, limit=trust.LEAST)
    assert found["gradient"].passes is True and found["grad_cam"].passes is False


def test_without_the_offset_the_gap_is_captums_infidelity(net):
    """The fall of the logit and what a map says of it, squared gap at the best scale alone."""
    from captum.metrics import infidelity, infidelity_perturb_func_decorator

    inputs = torch.randn(1, 1, 48, 48, generator=torch.Generator().manual_seed(3))
    squares = perturbation._squares(12, 12, 48)
    falls = perturbation.greying(net, inputs, 2, squares)[0]
    values = saliency.attribute_all(net, inputs, 2, methods=["gradient"])["gradient"]

    @infidelity_perturb_func_decorator(multiply_by_inputs=False)
    def grey(x):
        return x * (1 - torch.as_tensor(squares)[:, None])

    gap = infidelity(net, grey, inputs, torch.as_tensor(values)[:, None], target=2,
                     n_perturb_samples=len(squares), normalize=True)  # fmt: skip
    said = np.einsum("hw,shw->s", values[0] * inputs[0, 0].numpy(), squares)
    scale = (said @ falls) / (said @ said)
    assert float(gap) == pytest.approx(np.mean((scale * said - falls) ** 2), rel=1e-3)


def noisy(network, inputs, target, *, seed=0):
    """A broken attribution: other noise for every picture, however little it differs."""
    seeds = (inputs.flatten(1).double().sum(1) * 1e6).long().tolist()
    draws = [torch.Generator().manual_seed(abs(s)) for s in seeds]
    return torch.stack([torch.randn(inputs.shape[1:], generator=g) for g in draws])


def test_sensitivity_and_shift_catch_a_map_that_does_not_hold_still(net, monkeypatch):
    monkeypatch.setitem(
        saliency.PLANTED, "noisy", saliency.Method(noisy, METHODS["gradient"].title, False)
    )
    faces = synthetic_faces(8, seed=1)
    inputs = Network(net, 0.5, 0.25).prepare(faces.images)
    maps = saliency.attribute_all(net, inputs, faces.labels, methods=["noisy", "edges_alone"])
    before = state(net)
    small = trust.against_limit(
        perturbation.sensitivity(net, inputs, faces.labels, maps), below=True
    )
    shift = trust.against_limit(
        perturbation.shift_similarity(net, inputs, faces.labels, maps), below=False
    )
    assert_same(before, state(net))
    assert small["noisy"].passes is False and shift["noisy"].passes is False
    assert small["edges_alone"].passes is True and shift["edges_alone"].passes is True
    assert shift["edges_alone"].value.value > 0.99


def test_the_verdict_follows_its_rule():
    from hw3lib.evaluation.metrics import Estimate

    def found(**passes):
        return {n: {"gradient": trust.Finding(Estimate(0, 0, 0), p)} for n, p in passes.items()}

    good = dict.fromkeys(trust.CHECKS, True)
    for change, verdict in (
        ({}, True), ({"deletion": None}, True), ({"deletion": None, "insertion": None}, False),
        ({"redrawn": False}, False), ({"redrawn": None}, None), ({"shift": False}, None),
        ({"shift": None}, True),
    ):  # fmt: skip
        assert trust.trusted(found(**{**good, **change}), "gradient") is verdict, change
    table = trust.table(found(**{**good, "shift": False}), ["gradient"])
    assert len(table) == len(trust.CHECKS) + 1 and table.iloc[-1, 1].en == "with care"
    assert table.iloc[-2, 1].endswith("×") and table.iloc[0, 1].endswith("○")
    assert [t.en for t in trust.failed(found(**{**good, "shift": False}), "gradient")] == [
        trust.CHECKS["shift"].title.en
    ]


def test_similarities_of_equal_opposite_and_even_maps():
    maps = np.random.default_rng(0).random((3, 48, 48))
    assert checks.rank_similarity(maps, maps**3) == pytest.approx(1)
    assert checks.rank_similarity(maps, -maps) == pytest.approx(-1)
    assert (checks.rank_similarity(maps, np.ones_like(maps)) == 0).all()
    assert checks.structural_similarity(maps, 5 * maps) == pytest.approx(1)
    assert np.abs(checks.structural_similarity(maps, maps[::-1])[[0, 2]]).max() < 0.2


def test_rank_similarity_is_scipys():
    from scipy.stats import spearmanr

    a, b = np.random.default_rng(1).integers(0, 9, (2, 2, 10, 10))
    expected = [spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(a, b, strict=True)]
    assert checks.rank_similarity(a, b) == pytest.approx(expected)


def test_regions_part_the_frame_and_an_even_map_has_density_one():
    masks = checks.region_masks()
    assert tuple(masks) == checks.REGIONS
    assert (np.sum(list(masks.values()), axis=0) == 1).all()
    assert np.array([*checks.region_density(np.ones((2, 48, 48))).values()]) == pytest.approx(1)
    inside = masks["mouth"][None].astype(float)
    density = checks.region_density(inside)
    assert density["mouth"][0] == pytest.approx(1 / masks["mouth"].mean())
    assert density["eyes"][0] == 0
    assert np.isnan(checks.region_density(np.zeros((1, 48, 48)))["eyes"][0])


def test_shares_add_up_and_the_densest_region_is_found():
    masks = checks.region_masks()
    maps = np.stack([0.01 + masks["mouth"], 0.01 + masks["eyes"]] * 3).astype(float)
    classes = np.array([3, 5] * 3)
    assert sum(checks.region_shares(maps).values()) == pytest.approx(1)
    assert {c: r for c, (r, _) in checks.densest(maps, classes).items()} == {3: "mouth", 5: "eyes"}
    densities = checks.class_densities(maps, classes)
    assert np.isnan(densities[0]).all()
    assert densities[3].argmax() == list(masks).index("mouth")


def test_a_correlation_is_called_by_its_size():
    words = [checks.size_word(r).en for r in (0.04, -0.2, 0.3, 0.7)]
    assert words == ["negligible", "weak", "moderate", "strong"]


def test_edges_and_contrast_lie_where_the_step_is():
    image = np.zeros((1, 48, 48), np.uint8)
    image[:, :, 24:] = 200
    for strength in (edges.edge_strength(image), edges.local_contrast(image)):
        assert strength[0, 24].argmax() in (22, 23, 24)
        assert strength[0, 24, 5] == pytest.approx(0, abs=1e-6)


def test_intervals_and_verdicts():
    estimate = checks.mean_interval(np.array([1.0, 2.0, 3.0, np.nan]))
    assert estimate.value == 2 and 1 <= estimate.low < 2 < estimate.high <= 3
    assert np.isnan(checks.mean_interval(np.array([np.nan])).value)
    assert checks.above(estimate, 0.5) is True
    assert checks.above(estimate, 2) is None
    assert checks.above(estimate, 4) is False
    paired = checks.compared(np.array([1.0, 2.0]), np.array([0.5, 1.5]))
    assert paired.difference == (0.5, 0.5, 0.5)
