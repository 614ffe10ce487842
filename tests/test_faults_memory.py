"""Out of memory, as a limit on the address space of a child makes it."""

from __future__ import annotations

import re
import resource
from functools import partial
from pathlib import Path

import pytest
import torch
from faulty import folds, hw3, pictures

from hw3lib import UserError
from hw3lib.memory import saved_bytes, train_within_memory
from hw3lib.recipe import Recipe

pytestmark = pytest.mark.faults
MB = 2**20


def room(size: int) -> None:
    """From now on this process can have so many bytes more."""
    text = Path("/proc/self/status").read_text()
    now = int(re.search(r"VmSize:\s+(\d+) kB", text)[1]) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (now + size, resource.getrlimit(resource.RLIMIT_AS)[1]))


RECIPE = Recipe(model="slim_resnet", epochs=1, batch_size=1024, precision="fp32")
CPU = torch.device("cpu")


def train(folder: Path, batch_size: int):
    """With six tenths of what a step of 1024 pictures keeps for its backward pass."""
    toml = folder / f"{batch_size}.toml"
    toml.write_text(
        f'[recipes.best]\nmodel = "slim_resnet"\nepochs = 1\nbatch_size = {batch_size}\n'
        'precision = "fp32"\n'
    )
    arguments = ("train", "--profile", str(toml), "--data", str(folder / "faces.npz"))
    size = int(0.6 * 1024 * saved_bytes(RECIPE, CPU))
    return hw3(folder, *arguments, before=partial(room, size))


@pytest.mark.slow
def test_training(promise, tmp_path):
    promise("a batch too large for the memory", "one line with the batch_size that would fit, and "
            "it does")  # fmt: skip
    pictures(tmp_path, 1600)
    command = train(tmp_path, 1024)
    assert command.ended() == 2
    assert command.fault.startswith("hw3: best: a batch of 1024 pictures is too much for")
    size = int(re.search(r"batch_size = (\d+) fits", command.fault)[1])
    again = train(tmp_path, size)
    assert again.ended() == 0, again.err
    promise.seen(f"1024 refused, {size} named and trained", 1)


ERRORS = [
    MemoryError("Unable to allocate 1.00 GiB for an array"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    RuntimeError("could not create a primitive"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_running_out_in_the_middle(promise, monkeypatch, error):
    promise(f"{type(error).__name__} in a step", "the same line; any other error is left alone")

    def fail(*_, **__):
        raise error

    monkeypatch.setattr("hw3lib.training.train", fail)
    with pytest.raises(UserError, match=r"1024 pictures is too much .* batch_size = 512 fits"):
        train_within_memory("best", RECIPE, folds(), device=CPU)
    error = ValueError("cannot allocate memory of what was")
    with pytest.raises(ValueError):
        train_within_memory("best", RECIPE, folds(), device=CPU)
    promise.seen("told in one line", 1)


def test_reading(promise, tmp_path):
    promise("data too large for the memory", "one line, exit 2, nothing half-written")
    pictures(tmp_path, 12_000)
    command = hw3(tmp_path, "data", str(tmp_path / "faces.npz"), before=partial(room, 16 * MB))
    assert command.ended() == 2
    assert "out of memory (" in command.fault
    assert not list((tmp_path / "cache").glob(".*.part"))
    promise.seen("told in one line", 1)
