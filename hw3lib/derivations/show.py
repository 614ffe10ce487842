"""How a derivation is shown: each step's reason and formula, then what checking it gave."""

from __future__ import annotations
