"""One training by several processes, each with a share of every batch: data parallelism.

    torchrun --nproc_per_node 4 -m hw3lib.cli train --profile my.toml --only best

trains a Recipe of `processes = 4`, one process for each GPU (NCCL), or on CPUs (gloo). Every
process draws the same order and augments the whole batch with the same random numbers, then
works on its own rows. A process's loss is its part of the batch's, so that the sum of all
gradients is the batch's gradient also where the shares are unequal or classes are weighted.

The same as by one process: which pictures stand in a batch, their augmentation and mixing, the
loss, the schedule, and, up to the order in which sums are added, the gradient of a network
without batch norm and dropout. Different:

- Batch norm takes mean and variance of a process's own rows, batch_size / processes of them
  (ghost batch norm, Hoffer et al. 2017, arXiv:1705.08741). Its running statistics are averaged
  over the processes after every step. torch's SyncBatchNorm would take the whole batch's, but
  it runs on GPUs alone, so that what trains on GPUs could not be checked on a CPU, and it waits
  for all processes twice in every layer.
- Dropout draws other masks in every process.

So the number of processes is part of the Recipe, as its threads are, and of the Run's name.

The gradients of all layers, and the running statistics, travel together in one sum after the
backward pass. torch's DistributedDataParallel, the oracle of our test, sends gradients during
the pass, but averages over processes whatever their shares, and leaves each process running
statistics of its own. A sum has the same bits on every rank, and so have weights, averages and
the choice of the epoch, as long as all run the same torch on the same kind of device.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hw3lib import UserError

if TYPE_CHECKING:
    import torch

    from hw3lib.recipe import Recipe

T = TypeVar("T")

PATIENCE = timedelta(days=30)  # for rank 0, which may wait for another training of the same Run
SEEDS_APART = 15_485_863  # between the seeds of two ranks

_rank, _world_size = 0, 1  # kept here, so that asking for them does not import torch


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Within the block the processes that torchrun started work together; else nothing happens.

    Raises
    ------
    UserError
        if torchrun started more processes on this machine than it has GPUs.
    """
    global _rank, _world_size
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield
        return
    import torch
    import torch.distributed as dist

    die_with_parent()
    if torch.cuda.is_available():
        local, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local >= gpus:
            raise UserError(
                f"torchrun: process {local + 1} on this machine, which has {gpus} GPUs; "
                f"start it with --nproc_per_node {gpus}"
            )
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
    _rank, _world_size = dist.get_rank(), dist.get_world_size()
    yield  # after an error there is no parting in order: the process ends, and torchrun the others
    dist.barrier()  # who left first would take the connections of the others along
    dist.destroy_process_group()
    _rank, _world_size = 0, 1


def leave(status: int) -> None:
    """End the program with this exit status.

    Under torchrun without Python's own ending: there gloo's threads, if they are still at work,
    abort the process ("terminate called without an active exception", exit status -6) now and
    then, when all is done and written.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        sys.exit(status)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def die_with_parent() -> None:
    """Let the kernel kill this process when torchrun is killed, which else leaves it at work.

    Elsewhere than on Linux it does nothing.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def world_size() -> int:
    """Processes that train together, 1 for one alone."""
    return _world_size


def rank() -> int:
    """This process's number among them, from 0. Rank 0 alone writes files and reports progress."""
    return _rank


def share(n: int) -> slice:
    """The rows of n that are this process's own; those of all are n, each once."""
    return slice(n * rank() // world_size(), n * (rank() + 1) // world_size())


def own_seed(seed: int) -> int:
    """The seed itself on rank 0, another one on every other rank."""
    return seed + SEEDS_APART * rank()


def total(values: torch.Tensor) -> torch.Tensor:
    """Their sums over the processes, in place, the same bits on every rank."""
    if world_size() > 1:
        import torch.distributed as dist

        dist.all_reduce(values)
    return values


def combine(model: torch.nn.Module) -> None:
    """After the backward pass: gradients summed, running statistics averaged over the processes."""
    if world_size() == 1:
        return
    import torch

    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    statistics = [b for b in model.buffers() if b.is_floating_point()]
    tensors = [*gradients, *(s / world_size() for s in statistics)]
    sums = total(torch.cat([t.flatten() for t in tensors]))
    parts = sums.split([t.numel() for t in tensors])
    for tensor, part in zip([*gradients, *statistics], parts, strict=True):
        tensor.copy_(part.view(tensor.shape))


def first(value: T) -> T:
    """What rank 0 has here, on every rank; the others wait for it."""
    if world_size() == 1:
        return value
    import torch.distributed as dist

    box = [value]
    dist.broadcast_object_list(box)
    return box[0]


def check(recipe: Recipe, name: str, pictures: int) -> None:
    """Before a training on so many pictures: are the processes those that the Recipe wants?

    Raises
    ------
    UserError
        if there are more or fewer, if one has another profile or other data, or if the pictures
        do not go round.
    """
    started = world_size()
    if recipe.processes != started:
        how = (
            f"torchrun --nproc_per_node {recipe.processes} -m hw3lib.cli train --only {name}"
            if recipe.processes > 1
            else "hw3 train without torchrun"
        )
        raise UserError(
            f"recipe {name}: processes = {recipe.processes}, here it is {started}; "
            f"train it with {how}, or change the profile"
        )
    if (leading := first(recipe.hash)) != recipe.hash:
        raise UserError(
            f"recipe {name}: rank 0 trains {leading}, rank {rank()} {recipe.hash}; "
            "give all machines the same profile and data"
        )
    if started > 1 and min(recipe.batch_size, recipe.train_limit or pictures) < 2 * started:
        raise UserError(
            f"recipe {name}: {started} processes need batches and a training fold of at least "
            f"{2 * started} pictures"
        )


def check_shared(folder: Path) -> None:
    """Raise a UserError where a process does not see the folder that rank 0 writes to."""
    if world_size() == 1:
        return
    import tempfile

    import torch.distributed as dist

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".shared.") as mark:
        seen = [False] * world_size()
        dist.all_gather_object(seen, (folder / first(Path(mark.name).name)).exists())
    if not all(seen):
        raise UserError(
            f"{folder}: rank {seen.index(False)} sees another folder of this name; let HW3_RUNS "
            "name one that all machines share"
        )
