"""Files of weights: a sound one, and what it becomes when someone changes it on purpose."""

from __future__ import annotations

import json
import struct
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from safetensors.torch import load, save

from hw3lib.models import build
from hw3lib.models.network import Network, checksum, save_network

RECIPE = {"model": "slim_resnet", "width": 0.125}
Change = Callable[[dict, dict], object]  # of the metadata (name -> text) and weights


@cache
def whole() -> bytes:
    """The weights of a small network as hw3 writes them."""
    model = build(RECIPE["model"], width=RECIPE["width"])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "w"
        save_network(file, Network(model, 0.5, 0.25, metadata={"recipe": RECIPE}))
        return file.read_bytes()


def parts() -> tuple[dict, dict]:
    """Its metadata without the checksum, and its weights."""
    (length,) = struct.unpack("<Q", whole()[:8])
    meta = json.loads(whole()[8 : 8 + length])["__metadata__"]
    del meta["check"]
    return meta, load(whole())


def changed(change: Change) -> bytes:
    """Changed, with the checksum that fits."""
    meta, state = parts()
    change(meta, state)
    return save(state, metadata={**meta, "check": checksum(state, meta)})


def entry(key: str, value: object) -> Change:
    """Another entry of the metadata; None leaves it out, what is no text is written as JSON."""
    text = value if isinstance(value, str) else json.dumps(value)
    return lambda meta, state: meta.pop(key) if value is None else meta.update({key: text})


def recipe(**values: object) -> Change:
    return entry("metadata", {"recipe": {**RECIPE, **values}})
