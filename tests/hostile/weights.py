"""Files of weights: sound ones, safetensors that lie, and what torch writes."""

from __future__ import annotations

import io
import json
import struct
import tempfile
from functools import cache
from pathlib import Path

from hostile.case import Place, Trap

META = "__metadata__"
RECIPE = {"model": "slim_resnet", "width": 0.125}


@cache
def whole() -> bytes:
    """The weights of a small network as hw3 writes them."""
    from hw3lib.models import build
    from hw3lib.models.network import Network, save_network

    network = Network(
        build(RECIPE["model"], width=RECIPE["width"]), 0.5, 0.25, metadata={"recipe": RECIPE}
    )
    with tempfile.TemporaryDirectory() as folder:
        save_network(Path(folder) / "w", network)
        return (Path(folder) / "w").read_bytes()


def parts() -> tuple[dict, bytes]:
    """The header and the numbers."""
    (length,) = struct.unpack("<Q", whole()[:8])
    return json.loads(whole()[8 : 8 + length]), whole()[8 + length :]


def joined(header: dict | str | bytes, data: bytes, length: int | None = None) -> bytes:
    text = json.dumps(header) if isinstance(header, dict) else header
    text = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def sealed(meta: dict, state: dict) -> bytes:
    """A file that holds this and the check that fits it: made so on purpose."""
    from safetensors.torch import save

    from hw3lib.models.network import checksum

    meta = {key: value for key, value in meta.items() if key != "check"}
    return save(state, metadata={**meta, "check": checksum(state, meta)})


def with_meta(key: str, value: object) -> bytes:
    """Another entry of the metadata; None leaves it out, what is no text is written as JSON."""
    meta = {k: v for k, v in parts()[0][META].items() if k != key}
    if value is not None:
        meta[key] = value if isinstance(value, str) else json.dumps(value)
    return sealed(meta, tensors())


def recipe(**values: object) -> bytes:
    return with_meta("metadata", {"recipe": {**RECIPE, **values}})


def tensors() -> dict:
    from safetensors.torch import load

    return load(whole())


def torch_file(place: Place, name: str) -> Path:
    """What torch.save writes, holding a trap."""
    import torch

    out = io.BytesIO()
    torch.save({"weights": Trap(place.canary)}, out)
    return place.put(name, out.getvalue())
