"""The mathematics: how trees are read, and the oracles against each other and plain code."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch
from torch.nn.functional import batch_norm as torch_batch_norm

from hw3lib.derivations import check, softmax
from hw3lib.derivations.claims import step
from hw3lib.derivations.oracles import autograd, differences
from hw3lib.derivations.terms import Array, add, exact, latex, minus, mul, number, over
from hw3lib.derivations.worlds import convolution as windows
from hw3lib.derivations.worlds.adam import deviations
from hw3lib.derivations.worlds.softmax import CLASSES, SOFT, YHAT

# --- the readings of a tree ------------------------------------------------------------------

x, n, i, j = sp.IndexedBase("x"), sp.Symbol("n", integer=True), *sp.symbols("i j", integer=True)
b = sp.Symbol("b")


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (sp.Sum(x[i], (i, 1, n)), 6.5),
        (sp.Sum(mul(x[i], sp.Sum(x[j], (j, 1, i.subs(i, n)))), (i, 1, n)), 6.5**2),
        (sp.Sum(b**i, (i, 0, 2)), 1 + 0.5 + 0.25),
        (sp.Sum(mul(b, 1), (i, 1, n)), 1.5),  # does not depend on the index
        (sp.Sum(x[i], (i, 1, 0)), 0.0),
        (sp.Sum(sp.KroneckerDelta(i, 2) * x[i], (i, 1, n)), 2.0),
        (sp.Limit(over(add(1, minus(b)), add(1, minus(b**3))), b, 1, "-"), 1 / 3),
        (sp.Derivative(b**3, b), 0.75),
        (sp.Piecewise((1, sp.Le(b, 1)), (0, True)), 1.0),
        (sp.Mod(7, n, evaluate=False), 1.0),
    ],
)
def test_exact_and_float_readings_agree(tree, expected):
    items = [sp.Rational(3, 2), sp.Integer(2), sp.Integer(3)]
    values = {n: sp.Integer(3), x: lambda k: items[int(k) - 1], b: sp.Rational(1, 2)}
    if not tree.has(sp.Limit) and not tree.has(sp.Derivative):
        assert float(exact(tree, values)) == pytest.approx(expected)
    floats = {n: 3, x: Array([1.5, 2.0, 3.0]), b: 0.5}
    assert float(number(tree, floats)) == pytest.approx(expected, rel=1e-10)


def test_an_index_out_of_range_is_never_equal():
    floats = {n: 3, x: Array([1.0, 1.0, 1.0])}
    assert np.isnan(number(x[n + 1], floats)) and np.isnan(number(x[0], floats))
    reads_beyond = step("T", "測", "t", SOFT, YHAT[CLASSES + 1], YHAT[CLASSES + 1])
    assert not check(reads_beyond, algebra=False).holds


def test_free_indices_and_sums_have_axes_of_their_own():
    matrix = sp.IndexedBase("A")
    data = np.arange(6.0).reshape(2, 3)
    product = sp.Sum(matrix[i, j] * x[j], (j, 1, 3))
    floats = {matrix: Array(data), x: Array([1.0, 2.0, 3.0]), i: np.array([1.0, 2.0])}
    np.testing.assert_allclose(number(product, floats, 1), data @ [1, 2, 3])


def test_latex_keeps_the_order_of_writing_and_brackets_minus():
    assert latex(add(n, b, minus(x[i]))) == "n + b - x_{i}"
    assert latex(mul(b, minus(over(2, n)))) == r"b \left(- \frac{2}{n}\right)"
    assert latex(sp.Sum(minus(x[i]), (i, 1, n))) == r"\sum_{i=1}^{n} \left(- x_{i}\right)"


# --- the oracles, against each other and against plain code ----------------------------------


def test_autograd_and_differences_agree():
    x = torch.linspace(-1, 2, 7, dtype=torch.float64)

    def f(v):
        return (torch.sin(v) * v.exp()).sum() + v.prod()

    torch.testing.assert_close(autograd(f, x), differences(f, x), rtol=1e-9, atol=1e-9)


def test_meta_and_cpu_convolutions_have_the_same_shape():
    rng = np.random.default_rng(0)
    for _ in range(60):
        v = windows._draw(rng)
        assert windows.convolve(v) == windows.convolve(v, device="cpu")


def test_the_closed_form_is_torchs_gradient_on_a_big_batch():
    rng = np.random.default_rng(1)
    inputs, upstream = (torch.tensor(rng.normal(size=(8, 3, 6, 5))) for _ in "xd")
    gamma = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    found = autograd(
        lambda v: (torch_batch_norm(v, None, None, gamma, training=True) * upstream).sum(), inputs
    )
    axes, eps = (0, 2, 3), 1e-5
    m = inputs.numel() / 3
    root = (inputs.var(axes, correction=0, keepdim=True) + eps).sqrt()
    hat = (inputs - inputs.mean(axes, keepdim=True)) / root
    beta, scale = upstream.sum(axes, keepdim=True), (upstream * hat).sum(axes, keepdim=True)
    closed = gamma.view(1, 3, 1, 1) / (m * root) * (m * upstream - beta - hat * scale)
    torch.testing.assert_close(found, closed, rtol=1e-10, atol=1e-12)


def test_torch_refuses_every_invalid_setting():
    frame = windows.refusals()
    assert len(frame) == 5
    assert not frame["torch says"].str.startswith("(").any()  # no shape came back


def test_the_formula_gives_the_shapes_of_a_network_and_leaves_no_hooks():
    from hw3lib.models import build

    model = build("five_block", width=0.25).train()
    frame = windows.network_shapes(model)
    assert len(frame) == 8 and (frame["formula"] == frame["torch"]).all()
    assert not any(m._forward_hooks for m in model.modules())
    assert model.training


def test_adam_comes_nearer_to_adagrad_in_proportion():
    apart = deviations([1e-2, 1e-3, 1e-4, 1e-5], [3, 30])
    np.testing.assert_allclose(apart[2] / apart[3], 10, rtol=0.05)
    assert (apart <= np.outer([1e-2, 1e-3, 1e-4, 1e-5], [2 / 4, 29 / 4]) * 1.2).all()


def test_torch_refuses_beta_2_of_1():
    with pytest.raises(ValueError, match="beta"):
        torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], betas=(0.0, 1.0))


def test_torch_refuses_a_batch_of_one():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        torch_batch_norm(torch.zeros(1, 2, 1, 1), None, None, training=True)


def test_large_logits_break_the_formula_as_given_only():
    frame = softmax.large_logits()
    assert not np.isfinite(frame["naive"]).all()
    np.testing.assert_allclose(frame["stable"], frame["reference"], rtol=1e-6)


def test_figures_are_drawn_in_each_language():
    from hw3lib.plotting import mathematics
    from hw3lib.plotting.style import house_style
    from hw3lib.text import LANGUAGES, language

    gaps, steps = [0.1, 0.01], (3, 30)
    for code in LANGUAGES:
        with language(code), house_style():
            row = mathematics.windows(6, 3, 2).axes[0]
            assert len(row.patches) == 6 + 3  # positions, two windows and one that does not fit
            assert mathematics.three_paths().axes
            square = mathematics.softmax_jacobian([1.0, 0.0, -1.0]).axes[0]
            np.testing.assert_allclose(square.images[0].get_array().sum(axis=1), 0, atol=1e-12)
            assert len(mathematics.to_adagrad(gaps, steps, np.ones((2, 2))).axes) == 2
