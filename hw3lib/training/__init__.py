"""From a Recipe to a Run: `open_study` reads a profile and its data, `get_run` trains or finds.

`recipe` says all that decides a training, `loop` is the training itself, `augment`, `losses` and
`optimizers` are its parts; a new option is code in its part, a field with its RANGES or a word of
CHOICES in `recipe`, and its words in `hw3lib.text`. `runs` keeps what it leaves, `workers` makes
many at a time.
"""
