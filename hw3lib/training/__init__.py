"""From a Recipe to a Run: `open_study` reads a profile and its data, `get_run` trains or finds.

`recipe` says all that decides a training, `loop` is the training itself, `augment`, `losses` and
`optimizers` are its parts, `runs` keeps what it leaves, `workers` makes many side by side.
"""
