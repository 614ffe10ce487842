"""What a bad input is, where it is made, and how the modules of the corpus hand theirs in."""

from __future__ import annotations

import importlib
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from layouts import put

Data = bytes | str | Callable[[], bytes]  # of a file; what is large is made when it is wanted

_found: list[Case] = []


def given(data: Data) -> bytes:
    data = data() if callable(data) else data
    return data.encode() if isinstance(data, str) else data


@dataclass(frozen=True)
class Place:
    """Where an input is made. Four folders lie between `root` and `folder`, so that a path that
    climbs out of the input still ends below `root`, where the test looks.

    canary : a file that the pickles of the corpus make when anyone loads them
    """

    root: Path

    @property
    def folder(self) -> Path:
        return self.root / "a" / "b" / "c" / "in"

    @property
    def outside(self) -> Path:
        return self.root / "outside"

    @property
    def canary(self) -> Path:
        return self.root / "canary"

    def put(self, name: str, data: Data) -> Path:
        """A file of the input."""
        return put(self.folder / name, given(data))

    def pickled(self) -> bytes:
        """A pickle that makes the canary."""
        return pickle.dumps(Trap(self.canary))


class Trap:
    """Whoever unpickles it makes a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.canary),)


@dataclass(frozen=True)
class Case:
    """One bad input of one reader; `make` returns the path that is given to the reader."""

    reader: str
    kind: str
    name: str
    make: Callable[[Place], Path]
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.reader}-{self.kind}-{self.name}".replace(" ", "_")


def bad(reader: str, kind: str, *words: str, name: str = "") -> Callable:
    """Hand in the decorated function, Place -> the path to read, as a Case."""

    def handed(make: Callable[[Place], Path]) -> Callable[[Place], Path]:
        _found.append(Case(reader, kind, name or make.__name__, make, words))
        return make

    return handed


def add(reader: str, kind: str, name: str, make: Callable[[Place], Path], *words: str) -> None:
    """As `bad`, for inputs made in a loop."""
    _found.append(Case(reader, kind, name, make, words))


def cases_of(*modules: str) -> list[Case]:
    for module in modules:
        importlib.import_module(f"hostile.{module}")
    names = [str(case) for case in _found]
    assert len(set(names)) == len(names), "two cases of one name"
    return list(_found)
