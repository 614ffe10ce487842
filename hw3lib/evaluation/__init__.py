"""How good the predictions are, how sure that is, what decides, and what spoils it unseen.

`metrics` scores, `intervals` and `statistics` say how sure (an interval; tests, seeds, groups),
`effects` compares tricks, `rules` turns probabilities into decisions, `labels` doubts the labels,
`faults` injects faults.
"""
