"""The values that torch gives, against finite differences.

That sizes, edges and signs of all sorts are drawn shows in the claims that only they refute.
"""

from __future__ import annotations

import numpy as np
import pytest

from hw3lib.mathematics.settings import SETTINGS, drawn


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
    cases = [drawn(world, number) for number in range(60)]
    small = [c for c in cases if 1 < c.size < 6 and c.values.get(r"\epsilon", 1) > 0.01]
    for case in small[:6]:
        exact = np.asarray(case.values[key])
        by = np.shape(case.inputs[key[1]])
        for place in np.ndindex(by):
            found = slope(world, case, key[1], place, key[0])
            np.testing.assert_allclose(found, exact[(..., *place)], rtol=1e-5, atol=1e-6)
