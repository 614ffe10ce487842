"""Every step of notebook 09 holds, and no small fault in it would have passed."""

from __future__ import annotations

import ast
import json
import re
from typing import NamedTuple

import pytest

from hw3lib.files import ROOT
from hw3lib.mathematics import QUESTIONS
from hw3lib.mathematics.check import indices_of, judge
from hw3lib.mathematics.formula import parse
from hw3lib.mathematics.settings import SETTINGS
from mathematics.mutation import mutants

NOTEBOOK = ROOT / "notebooks" / "09_math_derivations.ipynb"


class Step(NamedTuple):
    name: str
    latex: str
    zh: str
    en: str
    setting: str = ""
    each: str = ""
    where: str = ""


def steps() -> list[Step]:
    """What the notebook's calls of `derive` say, read from its code."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    trees = [ast.parse("".join(c["source"])) for c in cells if c["cell_type"] == "code"]
    calls = [n for tree in trees for n in ast.walk(tree) if getattr(n, "func", None)]
    return [
        Step(
            *map(ast.literal_eval, call.args),
            **{k.arg: ast.literal_eval(k.value) for k in call.keywords},
        )
        for call in calls
        if getattr(call.func, "id", "") == "derive" and isinstance(call.args[0], ast.Constant)
    ]


def judged(step: Step, claim):
    conditions = parse(step.where, conditions=True).children if step.where else []
    setting = SETTINGS[step.setting or QUESTIONS[step.name[:2]]]
    return judge(setting, claim, indices_of(step.each), conditions)


STEPS = steps()
each_step = pytest.mark.parametrize("step", STEPS, ids=[s.name for s in STEPS])


def test_steps_are_numbered_in_order():
    names = [f"{q}.{k}" for q in QUESTIONS for k in range(1, 30)]
    assert [s.name for s in STEPS] == [n for n in names if n in {s.name for s in STEPS}]
    assert {n.split(".")[0] for n in names} == {s.name[:2] for s in STEPS}
    assert len(STEPS) >= 36


@each_step
def test_every_step_holds(step):
    found = judged(step, parse(step.latex))
    assert found.ok, found
    assert found.cases >= 10 and found.error < 1e-12 and not found.reason


@each_step
def test_both_languages_state_the_same_formulas(step):
    zh, en = (sorted(re.findall(r"\$([^$]+)\$", text)) for text in (step.zh, step.en))
    assert zh == en
    assert re.search(r"[\u4e00-\u9fff]", step.zh) and not re.search(r"[\u4e00-\u9fff]", step.en)


# Mutants that are true as well, by step: how many, and why.
BATCH = "the x-hat of a batch and the derivatives by x sum to 0: a constant adds nothing"
ZERO = "a multiple of 0"
EQUIVALENT = {
    "M1.1": (1, "2 (s_1 - 1) is a bound too, attained at s_1 = 1"),
    "M2.5": (1, BATCH),
    "M2.7": (1, BATCH),
    "M2.8": (1, BATCH),
    "M2.9": (4, ZERO),
    "M2.10": (4, ZERO),
    "M2.11": (2, BATCH),
    "M3.5": (2, "columns of the Jacobian sum to 0; the labels sum to 1"),
    "M3.9": (2, "rows and columns of the Hessian sum to 0"),
    "M4.1": (7, "the only exponent is 0"),
    "M4.6": (3, "bounds as well, attained at t = 1"),
    "M4.11": (1, "the weights i - (t + 1) / 2 sum to 0"),
}


@each_step
@pytest.mark.parametrize("every", [6, pytest.param(1, marks=pytest.mark.slow)])
def test_mutants_are_refuted(step, every):
    """Or pass with a bound that is not tight; a sixth of them, and slowly all."""
    tried = list(mutants(parse(step.latex), indices_of(step.each)))[::every]
    found = [(operator, faulty, judged(step, faulty)) for operator, faulty in tried]
    survivors = [f"{o}: {faulty}" for o, faulty, r in found if r.ok and not r.reason]
    equivalent = EQUIVALENT.get(step.name, (0, ""))[0]
    assert tried and len(survivors) <= equivalent, survivors
    assert every > 1 or len(survivors) == equivalent, survivors
