"""What is drawn, and torch's derivatives against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hw3lib.mathematics.settings import SETTINGS


def cases(name):
    return list(SETTINGS[name].cases(SETTINGS[name].count))


@pytest.mark.parametrize(("name", "smallest"), [("batch_norm", 1), ("softmax", 2), ("adam", 1)])
def test_sizes_begin_at_the_smallest_and_go_far(name, smallest):
    sizes = [c.size for c in cases(name)]
    assert all(sizes.count(s) >= 5 for s in (smallest, smallest + 1, smallest + 2))
    assert set(range(smallest, smallest + 23)) <= set(sizes) and max(sizes) > 60


def test_edges_are_drawn():
    adam, batch = [c.values for c in cases("adam")], [c.values for c in cases("batch_norm")]
    assert any((v["g"] < 0).any() for v in adam)
    assert any((v["g"] == 0).all() for v in adam)
    assert {0.0} < {v[r"\beta_1"] for v in adam} and any(v[r"\beta_2"] == 0 for v in adam)
    assert any(v[r"\gamma"] < 0 for v in batch) and any(v[r"\gamma"] == 0 for v in batch)
    assert any(v["m"] > 1 and v[r"\sigma_B"] == 0 for v in batch)
    assert any((c.values["y"] == 0).any() for c in cases("softmax"))


def test_convolutions_are_of_all_shapes():
    values = [c.values for c in cases("convolution")]
    for a, b in ("WH", ("k_1", "k_2"), ("s_1", "s_2"), ("p_1", "p_2")):
        assert sum(v[a] != v[b] for v in values) > len(values) / 3
    assert any(v["p_1"] > v["k_1"] for v in values)
    assert any((v["W"] + 2 * v["p_1"] - v["k_1"]) % v["s_1"] for v in values)


def slope(setting, case, name, place, key):
    """Central difference of the value `key` by an input, the other inputs as they are."""
    step, found = 1e-5, []
    for sign in (1, -1):
        moved = np.array(case.inputs[name], dtype=float)
        moved[place] += sign * step
        found.append(
            setting.compute(case.inputs | {name: moved if moved.ndim else moved.item()})[0][key]
        )
    return (found[0] - found[1]) / (2 * step)


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("batch_norm", (r"\ell", "x")), ("batch_norm", (r"\ell", r"\gamma")),
        ("batch_norm", (r"\ell", r"\beta")), ("softmax", ("L", "z")),
        ("softmax", (r"\hat{y}", "z")), ("free_mean", (r"\ell", r"\mu_B")),
    ],
)  # fmt: skip
def test_derivatives_are_those_of_the_whole_function(setting, key):
    world = SETTINGS[setting]
    small = [c for c in cases(setting) if 1 < c.size < 6 and c.values.get(r"\epsilon", 1) > 0.01]
    for case in small[:6]:
        exact = np.asarray(case.values[key])
        by = np.shape(case.inputs[key[1]])
        for place in np.ndindex(by):
            found = slope(world, case, key[1], place, key[0])
            np.testing.assert_allclose(found, exact[(..., *place)], rtol=1e-5, atol=1e-6)


def test_the_stages_end_in_what_torch_computes():
    for case in cases("batch_norm"):
        v = case.values
        staged = v[r"\gamma"] * v[r"\hat{x}"] + v[r"\beta"]
        np.testing.assert_allclose(staged, v["y"], rtol=1e-9, atol=1e-9)
        through = v[r"\hat{x}", "x"].T @ v[r"\ell", r"\hat{x}"]
        through = through + v[r"\ell", r"\sigma_B^2"] * v[r"\sigma_B^2", "x"]
        whole = through + v[r"\ell", r"\mu_B"] * v[r"\mu_B", "x"]
        near = 1e-12 * case.rounding[r"\ell", "x"]
        np.testing.assert_allclose(whole, v[r"\ell", "x"], rtol=1e-9, atol=near)


def test_cases_are_the_same_every_time():
    world = SETTINGS["adam"]
    again = world.draw(np.random.default_rng([4, 7]), 7)
    assert all(np.array_equal(again[k], v) for k, v in cases("adam")[7].inputs.items())


def test_a_limit_moves_one_input_alone():
    case = next(c for c in cases("adam") if c.size == 3)
    moved = case.moved(r"\beta_2", 0.5)
    assert moved.values[r"\beta_2"] == 0.5 and moved is case.moved(r"\beta_2", 0.5)
    assert np.array_equal(moved.values["m"], case.values["m"])


def test_torch_refuses_what_the_settings_leave_out():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        torch.nn.functional.batch_norm(torch.zeros(1, 2, 1, 1), None, None, training=True)
    with pytest.raises(ValueError, match="beta"):
        torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], betas=(0.0, 1.0))
