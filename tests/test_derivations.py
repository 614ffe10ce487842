"""The mathematics: every Claim holds, every faulty one is refuted; the checker is checked too."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest
import sympy as sp
from mutation import mutants

from hw3lib.derivations import (
    adagrad,
    adam,
    batch_norm,
    check,
    convolution,
    errata,
    norm_remarks,
    softmax,
)
from hw3lib.derivations.show import checked_line, overview, record, show, show_errata
from hw3lib.derivations.terms import minus, mul
from hw3lib.derivations.worlds.adam import zero_for_every_t
from hw3lib.report import show as display
from hw3lib.text import Text

PARTS = {
    "M1": (convolution,),
    "M2": (batch_norm, norm_remarks),
    "M3": (softmax,),
    "M4": (adam, adagrad),
}
DERIVATIONS = [d for part in PARTS.values() for module in part for d in module.DERIVATIONS]
CLAIMS = [claim for d in DERIVATIONS for claim in d.claims]
CASES = 25  # random cases for each mutant

# Mutants that say the same as the claim, by claim: why they do. Each is also proved equal.
ZERO = "0 is its own negative and its own double"
SQUARE = "the square of -a is that of a"
LIMIT = "as beta_2 tends to 1 every power of it tends to 1, and 1 - beta_2 to 0"
MEAN = "the x-hat of a batch sum to 0, so a constant added to their factor adds nothing"
EQUIVALENT = {
    "M2.2": SQUARE,
    "M2.11": "every side is a multiple of the sum of deviations, which is 0",
    "M2.14": MEAN,
    "M2.17": MEAN,
    "M2.18": MEAN,
    "M2.19": MEAN,
    "M2.21": ZERO,
    "M2.22": SQUARE,
    "M2.23": MEAN + "; the derivatives by x sum to 0 as well",
    "M2.24": SQUARE,
    "M2.26": ZERO,
    "M3.3": SQUARE,
    "M3.4": SQUARE,
    "M3.6": ZERO,
    "M3.8": "every column of the Jacobian sums to 0",
    "M3.14": SQUARE + "; rows and columns of the Hessian sum to 0",
    "M4.1": "i = 1 is the only index, so that the exponent 1 - i is 0 however it is multiplied",
    "M4.3": SQUARE,
    "M4.5": SQUARE,
    "M4.7": SQUARE,
    "M4.9": LIMIT,
    "M4.10": LIMIT + "; a constant has no derivative",
    "M4.12": SQUARE,
    "M4.13": LIMIT + "; " + SQUARE,
    "M4.14": SQUARE,
    "M4.16": "beta_1 is 0 here, and so is every multiple and power of it",
    "M4.17": LIMIT + "; " + SQUARE,
    "M4.18": SQUARE,
    "M4.19": LIMIT + "; " + SQUARE,
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
    names = [f"{part}.{k}" for part in PARTS for k in range(1, 99)]
    assert [c.name for c in CLAIMS] == [n for n in names if n in {c.name for c in CLAIMS}]
    assert {c.name for c in CLAIMS if not c.world.sizes} == {"M1.5", "M4.8", "M4.18"}


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
    squeeze = adagrad.LIMIT["M4.12"]
    loose = replace(squeeze, sides=(*squeeze.sides[:2], mul(2, squeeze.sides[2])))
    result = check(loose)
    assert result.algebra and not result.holds  # the algebra cannot see that it is loose
    never = replace(squeeze, sharp=(sp.false, sp.false))
    with pytest.raises(ValueError, match=r"M4\.12.*sharp"):
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
    return Counter(re.findall(r"\$([^$]+)\$", text))


def test_all_mathematics_becomes_mathml_and_typst(tmp_path):
    import typst

    from hw3lib.report.pandoc import to_html, to_typst

    claims = CLAIMS + [c for e in errata.ERRATA for c in (e.fault, e.right)]
    texts = [f"$$\n{c.statement}\n$$" for c in claims]
    texts += [t for c in claims for t in (c.reason.zh, c.reason.en)]
    texts += [part.ANSWER for part in (convolution, batch_norm, softmax, adam, adagrad)]
    assert all("<math" in html for html in to_html(texts[: len(claims)]))
    assert "<math" in to_html(texts)[-1]
    source = tmp_path / "formulas.typ"
    source.write_text("\n\n".join(to_typst(texts)), encoding="utf-8")
    assert typst.compile(str(source)).startswith(b"%PDF")


@pytest.fixture
def shown(monkeypatch):
    payloads = []
    monkeypatch.setattr(display, "_show", lambda payload, plain, **_: payloads.append(payload))
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
    claim = softmax.GRADIENT["M3.9"]
    faulty = replace(claim, sides=(claim.sides[0], minus(claim.sides[1])))
    line = checked_line([check(claim), check(faulty)])
    assert "M3.9 does not hold" in line.en and "M3.9 不成立" in line.zh
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


def test_what_the_panel_is_told_follows_the_checking(monkeypatch):
    told: dict[str, dict] = {}
    monkeypatch.setattr(
        display, "_show", lambda payload, plain: told.update({payload["name"]: payload})
    )
    record("M3", (softmax.GRADIENT,), errata.ENTROPY)
    assert told["proof.M3"]["holds"] and told["errata.M3"]["holds"]
    assert told["proof.M3.steps"]["value"] == len(softmax.GRADIENT.claims)
    assert told["proof.M3.steps"]["n"] > 100 and told["proof.M3.largest_error"]["value"] < 1e-9
    wrong = errata.ENTROPY[0].fault
    broken = replace(softmax.GRADIENT, claims=(*softmax.GRADIENT.claims, wrong))
    record("M3", (broken,), (errata.Erratum(errata.ENTROPY[0].right, errata.ENTROPY[0].right),))
    assert not told["proof.M3"]["holds"] and not told["errata.M3"]["holds"]
