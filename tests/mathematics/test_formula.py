"""What is read, what is refused because a reader could take it in two ways, and where."""

from __future__ import annotations

import pytest

from hw3lib import UserError
from hw3lib.mathematics.formula import FormulaError, parse


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\dfrac{1}{2} x_i = y_{i}", r"\frac{1}{2}\, x_i = y_i"),
        (r"\left[x\right]^2 \leq 1", r"(x)^{2} \le 1"),
        (r"x^2_i = 1", r"x_i^2 = 1"),
        (r"\beta_{1} = 1", r"\beta_1 = 1"),
        (r"\hat x_i = 1", r"\hat{x}_i = 1"),
        (r"a \\ &= b \\ &\quad + c", "a = b + c"),
        (r"\delta_{ij} = 1", r"\delta_{i, j} = 1"),
        (r"\ln x = 1", r"\log(x) = 1"),
        (r"-x^2 = 1", "-(x^2) = 1"),
        (r"\sum_i x_i y_i + 1 = 1", r"\left(\sum_{i} (x_i \cdot y_i)\right) + 1 = 1"),
        (r"\sum_{i=1}^m x_i / 2 = 1", r"\sum_{i=1}^{m} \frac{x_i}{2} = 1"),
        (r"\log \sum_k e^{z_k} = 1", r"\log\left(\sum_k (e^{z_k})\right) = 1"),
        (r"|a|\,|b| = 1", r"|a| \cdot |b| = 1"),
        (r"a b / c = 1", r"\frac{a b}{c} = 1"),
        (r"\frac{\partial^{2} L}{\partial z_i \partial z_j} = 1",
         r"\frac{\partial^2 L}{\partial z_i \, \partial z_j} = 1"),
    ],
)  # fmt: skip
def test_two_ways_of_writing_one_thing(one, other):
    assert parse(one) == parse(other)


@pytest.mark.parametrize(
    ("text", "refused_from"),
    [
        ("2 3 = x", "3 = x"),  # prints as 23
        ("x 2 = y", "2 = y"),  # prints as x2
        ("x^12 = 1", "12 = 1"),  # prints as x^1, then 2
        (r"\frac12 x = 1", "12 x = 1"),
        (r"\sqrt 12 = 1", "12 = 1"),
        ("{a + b} c = 1", "{a + b} c = 1"),  # the brace does not print
        (r"\log a b = 1", "b = 1"),  # log a times b, or log of a b?
        (r"\log(a)^2 = 1", "^2 = 1"),
        (r"\frac{a}{b}^2 = 1", "^2 = 1"),
        ("a / b c = 1", "c = 1"),
        (r"a \cdot -b = 1", "-b = 1"),
        (r"\sum_{i=1}^m -x_i = 1", "-x_i = 1"),
        (r"a = b \\ c = d", r"\\ c = d"),  # two lines, two claims?
        (r"a = b \quad c = d", r"\quad c = d"),
        ("a = b, c = d", ", c = d"),
        (r"a \approx b", r"\approx b"),
        (r"\max_k z_k = 1", r"\max_k z_k = 1"),
        (r"(a = 1", "= 1"),
    ],
)
def test_what_could_mean_two_things_is_refused_where_it_stands(text, refused_from):
    with pytest.raises(FormulaError) as refused:
        parse(text)
    place = len(text) - len(refused_from) + 1
    assert str(refused.value).startswith(f"character {place}: cannot read “{refused_from[:8]}")
    assert isinstance(refused.value, UserError)


@pytest.mark.parametrize("text", ["a", "a =", r"a = \frac{1}{2", r"\sum_{i=1}^m", "", "  "])
def test_what_breaks_off_is_refused_at_its_end(text):
    with pytest.raises(FormulaError, match="something is missing"):
        parse(text)
