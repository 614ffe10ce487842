"""Out of memory: told in one line, with the batch that would fit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hw3lib import UserError
from hw3lib.recipe import Recipe

if TYPE_CHECKING:
    from hw3lib.data.folds import Folds

SCORED = 512  # pictures of the validation fold that a trial scores, a whole batch of training.score


def out_of_memory(error: BaseException) -> bool:
    """Whether Python, torch on a CPU (a RuntimeError like any other) or a GPU ran out of memory."""
    told = "allocate memory" in str(error) or "not enough memory" in str(error)
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and told)
    )


def train_within_memory(name: str, recipe: Recipe, folds: Folds, *, device, **options):
    """`training.train`; where memory does not suffice, an error that says which batch fits.

    Raises
    ------
    UserError
        with the largest half, quarter, ... of the Recipe's batch that was tried and fits now.
    """
    from hw3lib.training import train

    try:
        return train(recipe, folds, device=device, **options)
    except Exception as error:
        if not out_of_memory(error):
            raise
    # outside the handler, for the traceback holds on to the tensors of the step that failed
    if recipe.processes > 1:  # a trial would wait for the others
        raise UserError(
            f"{name}: a batch of {recipe.batch_size} pictures is too much for the memory of "
            f"{recipe.processes} processes ({device.type}); set a smaller batch_size in the recipe"
        )
    if recipe.processes > 1:  # the others wait for this one, which is not going to come
        mend = "set a smaller batch_size in the recipe"
    elif size := batch_that_fits(recipe, folds, device):
        mend = f"batch_size = {size} fits: set it in the recipe"
    else:
        mend = "no smaller one fits"
    raise UserError(
        f"{name}: a batch of {recipe.batch_size} pictures is too much for this machine's memory "
        f"({device.type}); {mend}, or free memory (--jobs 1 trains one network at a time)"
    )


def batch_that_fits(recipe: Recipe, folds: Folds, device) -> int:
    """The largest of batch_size / 2, / 4, ... of which one step can be taken; 0 for none."""
    import torch

    from hw3lib.training import train

    some = replace(folds, validation=folds.validation[:SCORED])
    size = min(recipe.batch_size, len(folds.train)) // 2
    while size:
        if device.type == "cuda":
            torch.cuda.empty_cache()
        try:
            train(_one_step(recipe, size), some, device=device)
            return size
        except Exception as error:
            if not out_of_memory(error):
                raise
        size //= 2
    return 0


def _one_step(recipe: Recipe, size: int) -> Recipe:
    return replace(
        recipe, batch_size=size, train_limit=size, epochs=1, cycles=1, patience=0, select="last"
    )
