"""The mathematics M1-M4: LaTeX that is checked as it stands."""

from hw3lib.mathematics.check import Checked, check
from hw3lib.mathematics.formula import FormulaError
from hw3lib.mathematics.settings import QUESTIONS

__all__ = ["QUESTIONS", "Checked", "FormulaError", "check"]
