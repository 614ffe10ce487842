"""Files of weights: safetensors that lie, and what is no safetensors at all."""

from __future__ import annotations

import io
import json
import os
import struct
import tempfile
from functools import cache
from pathlib import Path

from hostile.case import Place, Trap, add, bad

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


for kind, what, data, *words in (
    ("truncated", "in the numbers", lambda: whole()[:-5], "copy it again"),
    ("empty", "no byte", lambda: b"", "copy it again"),
    ("other content", "web page", lambda: b"<html>404</html>", "copy it again"),
    ("flipped bit", "in the numbers", lambda: whole()[:-1] + bytes([whole()[-1] ^ 1]),
     "checksum mismatch"),
    ("lying size", "a length of 90 MB", lambda: joined("{}", b"", 90 * 2**20), "copy it again"),
    ("bomb", "width 16", lambda: with_meta("metadata", {"recipe": {"model": "vgg16", "width": 16}}),
     "do not fit"),
    ("deep", "brackets in the header", lambda: joined("[" * 100_000, b""), "copy it again"),
    ("wrong encoding", "header in Latin-1", lambda: joined(b'{"\xe9": 1}', b""), "copy it again"),
    ("hostile id", "an escape sequence", lambda: recipe(model="\x1b[2J\n"), r"\x1b[2J"),
):  # fmt: skip
    add("weights", kind, what, lambda place, data=data: place.put("w.safetensors", data()),
        "w.safetensors", *words)  # fmt: skip


def torch_file(place: Place, name: str) -> Path:
    """What torch.save writes, holding a trap."""
    import torch

    out = io.BytesIO()
    torch.save({"weights": Trap(place.canary)}, out)
    return place.put(name, out.getvalue())


@bad("weights", "pickle", "w.pt", "safetensors")
def of_torch(place: Place):
    return torch_file(place, "w.pt")


@bad("weights", "pickle", "w.safetensors", "pickle", name="of torch under another name")
def of_torch_under_another_name(place: Place):
    return torch_file(place, "w.safetensors")


@bad("weights", "link", "no such weights file")
def to_nowhere(place: Place):
    place.folder.mkdir(parents=True)
    (place.folder / "w.safetensors").symlink_to(place.root / "nowhere")
    return place.folder / "w.safetensors"


@bad("weights", "special file", "no such weights file")
def a_pipe(place: Place):
    place.folder.mkdir(parents=True)
    os.mkfifo(place.folder / "w.safetensors")
    return place.folder / "w.safetensors"


@bad("weights", "hostile name", r"w\n<b>.safetensors", "copy it again")
def markup(place: Place):
    return place.put("w\n<b>.safetensors", b"")
