"""A step as the notebook shows it: reason, formula once, and what checking it gave."""

from __future__ import annotations

import pytest

from hw3lib.report import show
from hw3lib.report.document import paragraphs
from hw3lib.text import Text


@pytest.fixture
def shown(monkeypatch):
    payloads = []
    monkeypatch.setattr(show, "_show", lambda payload, plain: payloads.append((payload, plain)))
    return payloads


def test_both_languages_share_the_formula(shown):
    found = show.derive("M2.1", r"\mu_B = \frac{1}{m} \sum_i x_i", zh="平均", en="the mean")
    assert found.ok
    ((payload, plain),) = shown
    reason, formula = paragraphs(Text(payload["zh"], payload["en"]))
    assert formula.zh == formula.en == "$$\n\\mu_B = \\frac{1}{m} \\sum_i x_i\n$$"
    assert (reason.zh, reason.en) == ("**M2.1**　平均（✓）", "**M2.1** the mean (✓)")
    assert plain["text/markdown"].count("$$") == 2


def test_a_condition_and_a_line_break_are_shown(shown):
    show.derive("M2.2", r"m &= m \\ &> 1", where="m > 1", zh="一", en="one")
    ((payload, _),) = shown
    assert "\\begin{aligned} m &= m \\\\ &> 1 \\qquad (m > 1) \\end{aligned}" in payload["en"]


@pytest.mark.parametrize(
    ("latex", "zh", "en"),
    [
        (r"\hat{y}_i \le 1", "等號不可達", "never attained"),
        (r"\hat{y}_i = y_i", "**不成立**，反例 $K =", "**refuted**: $K ="),
        (r"q_i = 1", "**未通過**：the setting softmax", "**not accepted**: the setting softmax"),
        (r"\frac{y_i}{y_i} = 1", "**無法判定**：a side", "**not decided**: a side"),
    ],
)
def test_what_is_wrong_is_told_and_what_is_loose(shown, latex, zh, en):
    show.derive("M3.1", latex, each="i", zh="一", en="one")
    ((payload, _),) = shown
    assert zh in payload["zh"] and en in payload["en"]
