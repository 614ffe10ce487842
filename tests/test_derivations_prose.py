"""Sentences of the mathematics: the same in both languages, tied to the trees checked."""

from __future__ import annotations

import json
import re
from itertools import combinations

import pytest
import sympy as sp
from test_derivations import CLAIMS, formulas

from hw3lib.derivations import errata
from hw3lib.derivations.terms import latex
from hw3lib.files import ROOT

FAULTS = [e.fault for e in errata.ERRATA]
NOTEBOOK = ROOT / "notebooks" / "09_math_derivations.ipynb"
RELATION = re.compile(r"=|\\leq|\\neq|<|\\to(?![a-z])|,|\\times")
# What sentences state without a formula of their own: why it needs none.
DEFINED = {
    "j s_1": "where window j begins, counted from 0",
    "j s_1+k_1": "where it ends",
    "j s_1+k_1-1": "its last position",
    r"\text{in}": "channels of the input; the output's shape does not depend on them",
    "m-1": "what the variance is not divided by",
    r"\mu_c": "a channel's mean; no formula of a gradient reads it",
    r"\mu_R": "the running mean; no formula of a gradient reads it",
    r"\hat{y}-y": "the vector of which M3.9 states an element",
    r"\max_k z_k": "the choice of c in M3.16",
    r"A\sum_i B_i g_i": "the question's form of M4.4",
    r"C\sum_i D_i g_i^2": "the question's form of M4.5",
    r"\hat{v}_t": "the question's name of the left side of M4.7",
    r"\Delta_t": "the step, Adam's or AdaGrad's",
    r"\theta_{t-1}-\theta_t": "what torch's parameter moves by, read from torch",
    r"\eta_t": "the question's name of the rate of M4.17",
}


@pytest.mark.parametrize("claim", CLAIMS + FAULTS, ids=lambda c: c.name)
def test_both_languages_state_the_same_formulas(claim):
    zh, en = claim.reason.zh, claim.reason.en
    assert formulas(zh) == formulas(en)
    assert set(re.findall(r"M\d\.\d+", zh)) == set(re.findall(r"M\d\.\d+", en))
    assert re.search(r"[\u4e00-\u9fff]", zh) and not re.search(r"[\u4e00-\u9fff]", en)


def bare(tex: str) -> str:
    tex = re.sub(r"\\left|\\right|[{}\s]", "", tex)
    tex = re.sub(r"\^2_(\w)", r"_\1^2", tex)  # sympy writes the power first
    return tex[1:-1] if re.fullmatch(r"\([^()]*\)", tex) else tex


@pytest.fixture(scope="module")
def printed() -> set[str]:
    """Every part of every claim, printed; of sums and products every run of neighbours too."""
    found = set()
    for claim in CLAIMS + FAULTS:
        for tree in (*claim.sides, *(bound for span in claim.over for bound in span)):
            for node in sp.preorder_traversal(sp.sympify(tree)):
                nodes = [node]
                if isinstance(node, (sp.Add, sp.Mul)):
                    runs = combinations(range(len(node.args) + 1), 2)
                    nodes += [node.func(*node.args[a:b], evaluate=False) for a, b in runs]
                found |= {bare(latex(n)) for n in nodes} | {bare(slashed(n)) for n in nodes}
    return found


def slashed(node: sp.Basic) -> str:
    """As within a sentence, where a fraction is written with a slash."""
    if isinstance(node, sp.Mul) and node.args[-1].is_Pow and node.args[-1].exp == -1:
        *above, below = node.args
        halves = sp.Mul(*above, evaluate=False), below.base
        return "/".join(f"({latex(h)})" if h.is_Add else latex(h) for h in halves)
    return latex(node, inline=True)


def sentences() -> list[str]:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    cells = [c for c in cells if "lang-en" in c["metadata"].get("tags", [])]
    return [c.reason.en for c in CLAIMS + FAULTS] + ["".join(c["source"]) for c in cells]


@pytest.mark.parametrize("text", [s for s in sentences() if "$" in s])
def test_formulas_within_a_sentence_are_parts_of_what_is_checked(text, printed):
    known = printed | {bare(piece) for piece in DEFINED}
    for formula in formulas(text):
        for piece in filter(None, map(bare, RELATION.split(bare(formula)))):
            assert piece in known or piece.isdigit(), formula
