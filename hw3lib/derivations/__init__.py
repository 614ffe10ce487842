"""The mathematics M1-M4 as Claims that are checked by algebra and by numbers."""

from hw3lib.derivations.checking import check
from hw3lib.derivations.claims import Checked, Claim, Counterexample, Derivation

__all__ = ["Checked", "Claim", "Counterexample", "Derivation", "check"]
