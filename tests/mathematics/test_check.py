"""The checker under attack: nothing wrong passes, and what is right does."""

from __future__ import annotations

import pytest

from hw3lib import UserError
from hw3lib.mathematics import check
from mathematics.claims import FAULTY, RIGHT, SLY, WRONG


def given(claims):
    return pytest.mark.parametrize(("setting", "latex", "each", "where"), claims)


def test_the_adversary_is_as_strong_as_was_asked():
    assert len(WRONG) + len(SLY) + len(FAULTY) >= 60 and len(SLY) >= 15 and len(RIGHT) >= 30


@given(WRONG + SLY)
def test_wrong_claims_are_refuted_by_a_counterexample(setting, latex, each, where):
    found = check(setting, latex, each=each, where=where)
    assert found.ok is False
    assert {"left", "right"} <= set(found.counterexample or {})


@given(FAULTY)
def test_what_means_nothing_is_a_fault_with_its_reason(setting, latex, each, where):
    found = check(setting, latex, each=each, where=where)
    assert found.ok is False and found.counterexample is None and found.reason


@given(RIGHT)
def test_right_claims_pass(setting, latex, each, where):
    found = check(setting, latex, each=each, where=where)
    assert found.ok is True, found
    assert found.cases >= 5 and found.error < 1e-12


@pytest.mark.parametrize(
    ("setting", "latex", "each", "where", "reason"),
    [
        ("batch_norm", "x_i = x_i", "i", "m < 1", "never met"),
        ("batch_norm", "x_{i+1} = x_{i+1}", "i", "", "index 2 of x is outside 1 to 1"),
        ("batch_norm", r"\sum_{i=1}^{m-1} x_i = 0", "", "", "sum over i is empty for m = 1"),
        ("batch_norm", r"\sum_{j \ne i} x_j = 0", "i", "", "sum over j is empty for m = 1"),
        ("batch_norm", r"\theta = 0", "", "", r"knows no \theta"),
        ("batch_norm", "x_i = x_i", "", "", "index, say so by each"),
        ("batch_norm", "x_i = x_i", "m", "", "m is no index"),
        ("softmax", r"\hat{y} = 1", "", "", r"\hat{y} takes 1 indices, not 0"),
        ("softmax", r"\delta_{i} = 1", "i", "", "delta takes two"),
        ("convolution", r"\sum_i W = 0", "", "", "i is no index"),
        ("adam", r"\sum_{t=1}^{3} t = 6", "", "", "t is no index"),
        ("convolution", r"(B, W) = (B, W, H)", "", "", "2 and of 3|3 and of 2"),
    ],
)  # fmt: skip
def test_reasons_name_the_fault(setting, latex, each, where, reason):
    found = check(setting, latex, each=each, where=where)
    assert found.ok is False
    assert any(part in found.reason for part in reason.split("|")), found.reason


@pytest.mark.parametrize(
    ("setting", "latex", "each", "where"),
    [
        ("softmax", r"y_i \cdot \frac{1}{y_i} = 1", "i", ""),  # y_i = 0
        ("adam", r"\log m_t = \log m_t", "", ""),  # of a negative number
        ("batch_norm", "x_i + 10^{-13} = x_i", "i", ""),  # below rounding
        ("batch_norm", r"x_i + e^{-40} = x_i + \exp(-41)", "i", ""),
        ("softmax", r"\frac{1}{K^{400}} = 0", "", "K > 10"),  # beyond the machine's range
        ("softmax", r"e^{-1000 K} = 0", "", ""),
        ("softmax", r"\exp(-1000 K) = 0", "", ""),
        ("batch_norm", "x_i + 1000000 - 1000000 = x_i + 0.000001", "i", ""),
        ("softmax", r"\sum_{k=1}^{1000} \sum_{l=1}^{1001} k l = 0", "", ""),
        ("adam", r"\lim_{\beta_2 \to 1} \beta_2^{1000} = 1", "", ""),
        ("batch_norm", r"\mu_B = \frac{1}{m} \sum_i x_i", "", "m = 41"),  # hardly ever drawn
        ("batch_norm", r"\gamma < \gamma + 0.00001 \cdot 0.00001 \cdot 0.0001", "", ""),
    ],
)
def test_what_cannot_be_decided_is_told_apart(setting, latex, each, where):
    found = check(setting, latex, each=each, where=where)
    assert found.ok is not True and found.counterexample is None
    assert "not decided" in found.reason or "never met" in found.reason


@pytest.mark.parametrize(
    ("latex", "attained"),
    [
        (r"\hat{y}_i (1 - \hat{y}_i) \le \frac{1}{4}", True),
        (r"\hat{y}_i (1 - \hat{y}_i) \le \frac{1}{3}", False),
        (r"-\sum_j \hat{y}_j \log \hat{y}_j + \hat{y}_i - \hat{y}_i \le \log K", True),
        (r"\hat{y}_i \ge 0", False),
    ],
)
def test_a_bound_says_whether_it_is_attained(latex, attained):
    found = check("softmax", latex, each="i")
    assert found.ok and found.attained == attained
    assert ("never attained" in found.reason) != attained


def test_a_counterexample_names_the_values_it_is_at():
    found = check("adam", r"v_t = \beta_2 v_{t-1}", where="t > 2")
    assert set(found.counterexample) == {"t", r"\beta_2", "left", "right"}
    assert found.counterexample["t"] > 2


def test_unknown_settings_are_named():
    with pytest.raises(UserError, match="batch_norm"):
        check("batchnorm", "x = 1")
