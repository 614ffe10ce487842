"""The mathematics: every Claim holds, every faulty one is refuted; the checker is checked too."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
import torch
from mutation import mutants
from torch.nn.functional import batch_norm as torch_batch_norm

from hw3lib import display
from hw3lib.bilingual import Text
from hw3lib.derivations import adam, batch_norm, check, convolution, errata, softmax
from hw3lib.derivations.claims import step
from hw3lib.derivations.oracles import autograd, differences
from hw3lib.derivations.show import checked_line, overview, show, show_errata
from hw3lib.derivations.terms import Array, add, exact, latex, minus, mul, number, over
from hw3lib.derivations.worlds import convolution as windows
from hw3lib.derivations.worlds.adam import deviations, zero_for_every_t
from hw3lib.derivations.worlds.softmax import CLASSES, SOFT, YHAT

PARTS = (convolution, batch_norm, softmax, adam)
DERIVATIONS = [d for part in PARTS for d in part.DERIVATIONS]
CLAIMS = [claim for d in DERIVATIONS for claim in d.claims]
CASES = 25  # random cases for each mutant

# Mutants that say the same as the claim, by claim: why they do. Each is also proved equal.
SQUARE = "the square of -a is that of a"
LIMIT = "as beta_2 tends to 1 every power of it tends to 1, and 1 - beta_2 to 0"
MEAN = "the x-hat of a batch sum to 0, so a constant added to their factor adds nothing"
EQUIVALENT = {
    "M2.2": SQUARE,
    "M2.11": "every side is a multiple of the sum of deviations, which is 0",
    "M2.14": MEAN,
    "M2.16": MEAN,
    "M2.17": MEAN,
    "M2.18": "0 is its own negative and its own double",
    "M2.19": SQUARE,
    "M2.20": MEAN + "; the derivatives by x sum to 0 as well",
    "M2.22": "0 is its own negative and its own double",
    "M3.3": SQUARE,
    "M3.4": SQUARE,
    "M3.7": "every column of the Jacobian sums to 0",
    "M3.13": SQUARE + "; rows and columns of the Hessian sum to 0",
    "M4.1": "i = 1 is the only index, so that the exponent 1 - i is 0 however it is multiplied",
    "M4.3": SQUARE,
    "M4.5": SQUARE,
    "M4.7": SQUARE,
    "M4.9": LIMIT,
    "M4.10": LIMIT + "; a constant has no derivative",
    "M4.11": SQUARE,
    "M4.12": LIMIT + "; " + SQUARE,
    "M4.13": SQUARE,
    "M4.14": "beta_1 is 0 here, and so is every multiple and power of it",
    "M4.15": LIMIT + "; " + SQUARE,
    "M4.16": SQUARE,
    "M4.17": LIMIT + "; " + SQUARE,
}


def by_name(claims):
    return pytest.mark.parametrize("claim", claims, ids=[c.name for c in claims])


@by_name(CLAIMS)
def test_every_claim_holds(claim):
    result = check(claim, cases=40)
    assert result.holds, result.counterexample
    assert result.algebra or not claim.world.sizes
    assert result.cases >= 40


def test_claims_are_numbered_in_order_and_mostly_proved():
    for part, letter in zip(PARTS, "1234", strict=True):
        names = [c.name for d in part.DERIVATIONS for c in d.claims]
        assert names == [f"M{letter}.{k}" for k in range(1, len(names) + 1)]
    assert {c.name for c in CLAIMS if not c.world.sizes} == {"M1.5", "M4.8", "M4.16"}


def refute(claim, operator, faulty):
    """The mutant fails with a counter-example, or is a listed equivalent that is proved equal."""
    cases = None if claim.world.oracles[0].columns else CASES
    result = check.__wrapped__(faulty, cases=cases, algebra=False)
    if result.holds:
        assert claim.name in EQUIVALENT, (claim.name, operator, faulty.statement)
        proof = check.__wrapped__(faulty, numbers=False)
        assert proof.algebra is not False, (claim.name, operator, faulty.statement)
        return False
    assert result.counterexample is not None
    assert faulty.statement != claim.statement, "two meanings must not print alike"
    return True


@by_name(CLAIMS)
def test_mutants_are_refuted(claim):
    """Some of them, spread over the formula; the slow test takes all."""
    faults = list(mutants(claim))
    refuted = [refute(claim, *fault) for fault in faults[:: max(1, len(faults) // 12)]]
    assert any(refuted)


@pytest.mark.slow
@by_name(CLAIMS)
def test_all_mutants_are_refuted(claim):
    refuted = [refute(claim, *fault) for fault in mutants(claim)]
    assert sum(refuted) > len(refuted) / 3


@by_name([c for c in CLAIMS if c.world.sizes])
def test_the_algebra_alone_refutes(claim):
    faulty = next(m for operator, m in mutants(claim) if operator == "offset")
    result = check.__wrapped__(faulty, numbers=False)
    assert result.algebra is False
    assert result.counterexample is not None


@pytest.mark.parametrize("erratum", errata.ERRATA, ids=[e.fault.name for e in errata.ERRATA])
def test_errata_are_refuted_and_mended(erratum):
    fault = check(erratum.fault)
    assert fault.counterexample is not None
    assert check(erratum.fault, numbers=False).algebra is False
    assert check(erratum.right).holds


def test_a_bound_that_is_true_but_loose_is_refuted():
    squeeze = adam.LIMIT["M4.11"]
    loose = replace(squeeze, sides=(*squeeze.sides[:2], mul(2, squeeze.sides[2])))
    result = check(loose)
    assert result.algebra and not result.holds  # the algebra cannot see that it is loose
    never = replace(squeeze, sharp=(sp.false, sp.false))
    with pytest.raises(ValueError, match=r"M4\.11.*sharp"):
        check(never)


def test_the_induction_step_is_proved_for_every_t():
    t, i = adam.T, adam.I
    beta, g = adam.BETA1, adam.G
    before = sp.Sum(beta ** (t - 1 - i) * g[i], (i, 1, t - 1))
    whole = sp.Sum(beta ** (t - i) * g[i], (i, 1, t))
    assert zero_for_every_t(beta * before + g[t] - whole)
    assert not zero_for_every_t(beta * before - whole)
    assert not zero_for_every_t(beta * before + g[t] - beta * whole)


# --- what the reader sees --------------------------------------------------------------------


def formulas(text: str) -> Counter:
    return Counter(re.findall(r"\$[^$]+\$", text))


def test_both_languages_state_the_same_formulas():
    for claim in CLAIMS + [e.fault for e in errata.ERRATA]:
        assert formulas(claim.reason.zh) == formulas(claim.reason.en), claim.name
        assert re.search(r"[\u4e00-\u9fff]", claim.reason.zh), claim.name
        assert not re.search(r"[\u4e00-\u9fff]", claim.reason.en), claim.name


def test_all_mathematics_becomes_mathml_and_typst(tmp_path):
    import typst

    from hw3lib.report.pandoc import to_html, to_typst

    claims = CLAIMS + [c for e in errata.ERRATA for c in (e.fault, e.right)]
    texts = [f"$$\n{c.statement}\n$$" for c in claims]
    texts += [t for c in claims for t in (c.reason.zh, c.reason.en)]
    texts += [convolution.ANSWER, batch_norm.ANSWER, softmax.ANSWER, adam.ANSWER_A, adam.ANSWER_B]
    assert all("<math" in html for html in to_html(texts[: len(claims)]))
    assert "<math" in to_html(texts)[-1]
    source = tmp_path / "formulas.typ"
    source.write_text("\n\n".join(to_typst(texts)), encoding="utf-8")
    assert typst.compile(str(source)).startswith(b"%PDF")


@pytest.fixture
def shown(monkeypatch):
    payloads = []
    monkeypatch.setattr(display, "_show", lambda payload, plain: payloads.append(payload))
    return payloads


def test_show_gives_reason_formula_and_check(shown):
    show(adam.CORRECTION)
    texts = [(p["zh"], p["en"]) for p in shown]
    assert len(texts) == 2 * len(adam.CORRECTION.claims) + 1
    for claim, reason, formula in zip(
        adam.CORRECTION.claims, texts[:-1:2], texts[1::2], strict=True
    ):
        assert all(claim.name in text for text in reason)
        assert formula[0] == formula[1] == f"$$\n{claim.statement}\n$$"
    zh, en = texts[-1]
    assert "algebra $\\checkmark$ (t = 1 to 5), M4.8 by numbers only" in en
    assert "100 random cases a step against torch.optim.Adam" in en
    assert "代數 $\\checkmark$" in zh and formulas(zh) == formulas(en)


def test_a_failing_step_is_shown_with_its_counterexample():
    claim = softmax.GRADIENT["M3.8"]
    faulty = replace(claim, sides=(claim.sides[0], minus(claim.sides[1])))
    line = checked_line([check(claim), check(faulty)])
    assert "M3.8 does not hold" in line.en and "M3.8 不成立" in line.zh
    assert formulas(line.zh) == formulas(line.en)
    assert "checkmark" not in line.en


def test_errata_show_fault_counterexample_and_mending(shown):
    show_errata(errata.SHAPE)
    english = [p["en"] for p in shown]
    assert len(english) == 4 * len(errata.SHAPE)
    assert english[1] == f"$$\n{errata.SHAPE[0].fault.statement}\n$$"
    assert "Corrected as M1.2" in english[2] and "1.75" in english[2]


def test_an_erratum_that_is_none_is_not_hidden(shown):
    right = convolution.SHAPE
    show_errata((errata.Erratum(right, right),))
    assert "contradicts" in shown[-1]["en"]


def test_overview_counts_steps():
    frame = overview(convolution.DERIVATIONS)
    assert list(frame.iloc[:, 0]) == ["M1.1–5", "M1.6–9"]
    assert frame.iloc[0, 3] == 4 * 3000 + 1500
    assert all(isinstance(v, Text) for v in frame.iloc[:, 1])


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


def test_large_logits_break_the_formula_as_given_only():
    frame = softmax.large_logits()
    assert not np.isfinite(frame["naive"]).all()
    np.testing.assert_allclose(frame["stable"], frame["reference"], rtol=1e-6)


def test_figures_are_drawn_in_each_language():
    from hw3lib.bilingual import LANGUAGES, language
    from hw3lib.plotting import mathematics
    from hw3lib.plotting.style import house_style

    gaps, steps = [0.1, 0.01], (3, 30)
    for code in LANGUAGES:
        with language(code), house_style():
            row = mathematics.windows(6, 3, 2).axes[0]
            assert len(row.patches) == 6 + 3  # positions, two windows and one that does not fit
            assert mathematics.three_ways().axes
            square = mathematics.softmax_jacobian([1.0, 0.0, -1.0], list("abc")).axes[0]
            np.testing.assert_allclose(square.images[0].get_array().sum(axis=1), 0, atol=1e-12)
            assert len(mathematics.to_adagrad(gaps, steps, np.ones((2, 2))).axes) == 2
