"""Bad inputs, made when they are asked for: for every reader, many kinds of fault.

A Case makes one input in a Place and states the words that the one line of refusal must hold.
`CASES` is the whole corpus; nothing of it is kept in a file.
"""

from hostile.case import Case, Place, cases_of

__all__ = ["CASES", "Case", "Place"]

CASES: list[Case] = [c for c in cases_of("weights", "archives", "settings") if c.reader != "Run"]
