"""The values that torch gives, against finite differences and against each other.

That sizes, edges and signs of all sorts are drawn shows in the claims that only they refute.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hw3lib.mathematics.settings import SETTINGS, drawn, moved


def cases(name):
    return [drawn(SETTINGS[name], number) for number in range(120)]


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


def test_a_limit_moves_one_input_alone():
    case = next(c for c in cases("adam") if c.size == 3)
    other = moved(case, r"\beta_2", 0.5)
    assert other.values[r"\beta_2"] == 0.5
    assert np.array_equal(other.values["m"], case.values["m"])


def test_torch_refuses_what_the_settings_leave_out():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        torch.nn.functional.batch_norm(torch.zeros(1, 2, 1, 1), None, None, training=True)
    with pytest.raises(ValueError, match="beta"):
        torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], betas=(0.0, 1.0))
