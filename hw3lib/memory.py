"""Out of memory: told in one line, with the batch that would fit.

A CPU's memory is not refused but overdrawn, and the system then kills the process without a
word. So what a step must hold at once is worked out before a training begins.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from hw3lib import UserError
from hw3lib.recipe import Recipe

if TYPE_CHECKING:
    from hw3lib.data.split import Split

BESIDES = 1.6  # what a step takes, gradients and work space too, over what it saves for backward
REST = 2**27  # bytes for all but the steps: scoring, checkpoints, code that is loaded late
TOLD = ("allocate memory", "not enough memory", "could not create a primitive")  # by torch, oneDNN


def out_of_memory(error: BaseException) -> bool:
    """Whether Python, torch on a CPU (a RuntimeError like any other) or a GPU ran out of memory."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and any(text in str(error) for text in TOLD))
    )


def train_within_memory(name: str, recipe: Recipe, folds: Split, *, device, **options):
    """`training.train`; where memory does not suffice, an error that says which batch fits.

    Raises
    ------
    UserError
        before the training where it cannot fit, or when it runs out of memory.
    """
    from hw3lib.training import train

    batch = min(recipe.batch_size, len(folds.train)) // recipe.processes
    if device.type == "cpu" and batch * saved_bytes(recipe, device) > free_bytes(device):
        raise UserError(_too_much(name, recipe, device))
    try:
        return train(recipe, folds, device=device, **options)
    except Exception as error:
        if not out_of_memory(error):
            raise
    # outside the handler, for the traceback holds on to the tensors of the step that failed
    raise UserError(_too_much(name, recipe, device))


def _too_much(name: str, recipe: Recipe, device) -> str:
    size = batch_that_fits(recipe, device)
    mend = f"batch_size = {size} fits: set it in the recipe" if size else "no smaller one fits"
    return (
        f"{name}: a batch of {recipe.batch_size} pictures is too much for the free memory "
        f"({device.type}); {mend}, or free memory (--jobs 1 trains one network at a time)"
    )


def batch_that_fits(recipe: Recipe, device) -> int:
    """The largest of batch_size / 2, / 4, ... whose step fits into the free memory; 0 for none."""
    each = BESIDES * saved_bytes(recipe, device) / recipe.processes
    size, free = recipe.batch_size // 2, free_bytes(device) - REST
    while size and size * each > free:
        size //= 2
    return size


def saved_bytes(recipe: Recipe, device, pictures: int = 4) -> float:
    """Bytes that the forward pass keeps for the backward pass, for each picture of a batch.

    device : where it will be trained; here it is tried on the CPU
    """
    import torch

    from hw3lib import models
    from hw3lib.training import arithmetic

    sizes: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.random.fork_rng(devices=[]):
        model = models.build(recipe.model, width=recipe.width, in_channels=recipe.in_channels)
        batch = torch.zeros(pictures, recipe.in_channels, 48, 48)
        half = torch.autocast("cpu", torch.bfloat16, enabled=arithmetic(recipe, device) == "bf16")
        with half, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            out = model.train()(batch)
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    del out
    return sum(size for place, size in sizes.items() if place not in weights) / pictures


def free_bytes(device) -> float:
    """What a process can still have: of a GPU, or as machine, container and limits allow."""
    if device.type == "cuda":
        import torch

        own = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + own
    machine = _numbers("/proc/meminfo")
    free = [1024 * (machine["MemAvailable"] + machine["SwapFree"])] if machine else []
    with contextlib.suppress(OSError, ValueError, KeyError):  # of a container
        group = Path("/sys/fs/cgroup")
        used = int((group / "memory.current").read_text())
        cached = _numbers(str(group / "memory.stat"))["inactive_file"]
        free.append(int((group / "memory.max").read_text()) - used + cached)
    with contextlib.suppress(ImportError, KeyError):
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            free.append(limit - 1024 * _numbers("/proc/self/status")["VmSize"])
    return min(free, default=float("inf"))


def _numbers(file: str) -> dict[str, int]:
    """`name: 12 kB` or `name 12`, a line each; {} where there is no such file."""
    try:
        text = Path(file).read_text(encoding="utf-8")
    except OSError:
        return {}
    return {name: int(n) for name, n in re.findall(r"^(\w+):?\s+(\d+)", text, re.MULTILINE)}
