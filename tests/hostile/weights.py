"""Files of weights: safetensors that lie, and what is no safetensors at all."""

from __future__ import annotations

import io
import json
import os
import struct
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from hostile.case import Place, Trap, add, bad

META = "__metadata__"
RECIPE = {"model": "slim_resnet", "width": 0.125}


@cache
def whole() -> bytes:
    """The weights of a small network as hw3 writes them."""
    from hw3lib.inference import Network, save_network
    from hw3lib.models import build

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


def first(header: dict) -> dict:
    """What the header says of the first tensor."""
    return header[next(name for name in header if name != META)]


def with_header(change: Callable[[dict], object]) -> bytes:
    header, data = parts()
    return joined(change(header) or header, data)


def sealed(meta: dict, state: dict) -> bytes:
    """A file that holds this and the check that fits it: made so on purpose."""
    from safetensors.torch import save

    from hw3lib.inference import _check

    meta = {key: value for key, value in meta.items() if key != "check"}
    return save(state, metadata={**meta, "check": _check(state, meta)})


def with_meta(key: str, value: object) -> bytes:
    """Another entry of the metadata; None leaves it out, what is no text is written as JSON."""
    meta = {k: v for k, v in parts()[0][META].items() if k != key}
    if value is not None:
        meta[key] = value if isinstance(value, str) else json.dumps(value)
    return sealed(meta, tensors())


def preprocessing(**values: object) -> bytes:
    return with_meta("preprocessing", {"mean": 0.5, "std": 0.25, "in_channels": 1, **values})


def recipe(**values: object) -> bytes:
    return with_meta("metadata", {"recipe": {**RECIPE, **values}})


def saved(**changes: object) -> bytes:
    """The weights, some tensors being others; a None leaves one out."""
    state = {k: t for k, t in {**tensors(), **changes}.items() if t is not None}
    return sealed(parts()[0][META], state)


def tensors() -> dict:
    from safetensors.torch import load

    return load(whole())


def other(change: Callable) -> Callable[[], bytes]:
    """The first tensor of real numbers by name (their order in the file is anyone's), changed."""

    def made() -> bytes:
        name, tensor = min((n, t) for n, t in tensors().items() if t.is_floating_point())
        return saved(**{name: change(tensor)})

    return made


def _nan(tensor):
    tensor = tensor.clone()
    tensor.view(-1)[0] = float("nan")
    return tensor


def _flip() -> bytes:
    data = bytearray(whole())
    data[20] ^= 0xFF
    return bytes(data)


CLASSES = ["Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral"]
for kind, what, data, *words in (
    ("truncated", "in the numbers", lambda: whole()[:-5], "copy it again"),
    ("truncated", "in the header", lambda: whole()[:50], "copy it again"),
    ("truncated", "in the length", lambda: whole()[:5], "copy it again"),
    ("empty", "no byte", lambda: b"", "copy it again"),
    ("other content", "web page", lambda: b"<html>404</html>", "copy it again"),
    ("other content", "only numbers", lambda: joined({}, parts()[1]), "w.safetensors"),
    ("flipped bit", "in the header", _flip, "w.safetensors"),
    ("flipped bit", "in the numbers", lambda: whole()[:-1] + bytes([whole()[-1] ^ 1]),
     "its check does not hold"),
    ("flipped bit", "no check", lambda: with_header(lambda h: h[META].update(check="")), "check"),
    ("lying size", "a length of 2^63", lambda: joined("{}", b"", 2**63), "copy it again"),
    ("lying size", "a length of 90 MB", lambda: joined("{}", b"", 90 * 2**20), "copy it again"),
    ("lying size", "a shape of 10^12",
     lambda: with_header(lambda h: first(h).update(shape=[10**12])), "copy it again"),
    ("lying size", "a shape beyond 2^64",
     lambda: with_header(lambda h: first(h).update(shape=[2**40, 2**40])), "copy it again"),
    ("lying size", "offsets behind the end",
     lambda: with_header(lambda h: first(h).update(data_offsets=[0, 10**9])), "copy it again"),
    ("lying size", "offsets the wrong way",
     lambda: with_header(lambda h: first(h).update(data_offsets=[99, 0])), "copy it again"),
    ("wrong setting", "letters",
     lambda: with_header(lambda h: first(h).update(dtype="S8")), "copy it again"),
    ("wrong setting", "classes are a number", lambda: with_meta("classes", 7), "classes"),
    ("wrong setting", "mean is a word", lambda: preprocessing(mean="x"), "mean"),
    ("wrong setting", "width is a word", lambda: recipe(width="x"), "width"),
    ("wrong setting", "width is a list", lambda: recipe(width=[1]), "width"),
    ("wrong setting", "model is a list", lambda: recipe(model=["x"]), "model"),
    ("wrong setting", "recipe is a list", lambda: with_meta("metadata", {"recipe": [1]}), "recipe"),
    ("wrong setting", "metadata is a number", lambda: with_meta("metadata", 7), "metadata"),
    ("impossible setting", "std 0", lambda: preprocessing(std=0), "std"),
    ("impossible setting", "mean not a number", lambda: preprocessing(mean=float("nan")), "mean"),
    ("impossible setting", "two channels", lambda: preprocessing(in_channels=2), "in_channels"),
    ("impossible setting", "no channel", lambda: preprocessing(in_channels=0), "in_channels"),
    ("impossible setting", "width below 0", lambda: recipe(width=-1), "width"),
    ("impossible setting", "weights not a number", other(_nan), "holds what is not a number"),
    ("bomb", "width 10^6", lambda: recipe(width=10**6), "w.safetensors"),
    ("bomb", "width 10^300", lambda: recipe(width=1e300), "w.safetensors"),
    ("bomb", "10^9 channels", lambda: preprocessing(in_channels=10**9), "in_channels"),
    ("wrong count", "a tensor less", other(lambda t: None), "do not fit"),
    ("wrong count", "a tensor more", lambda: saved(more=tensors()[next(iter(tensors()))]),
     "do not fit"),
    ("wrong shape", "turned", other(lambda t: t[None]), "do not fit"),
    ("wrong names", "format", lambda: with_meta("format", "pt"), "hw3-network-1"),
    ("wrong names", "model", lambda: recipe(model="gpt"), "'gpt'"),
    ("wrong order", "classes", lambda: with_meta("classes", CLASSES[::-1]), "classes"),
    ("missing value", "format", lambda: with_meta("format", None), "not written by hw3"),
    ("missing value", "classes", lambda: with_meta("classes", None), "classes"),
    ("missing value", "preprocessing", lambda: with_meta("preprocessing", None), "preprocessing"),
    ("missing value", "recipe", lambda: with_meta("metadata", {}), "recipe"),
    ("wrong quotes", "classes are no JSON", lambda: with_meta("classes", "[x"), "classes"),
    ("deep", "brackets", lambda: with_meta("metadata", "[" * 100_000), "metadata"),
    ("deep", "brackets in the header", lambda: joined("[" * 100_000, b""), "copy it again"),
    ("wrong encoding", "header in Latin-1", lambda: joined(b'{"\xe9": 1}', b""), "copy it again"),
    ("NUL byte", "only those", lambda: bytes(4096), "w.safetensors"),
    ("code", "a model's name", lambda: recipe(model="__import__('os').system('id')"), "model"),
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


@bad("weights", "pickle", "w.safetensors", "pickle")
def a_plain_pickle(place: Place):
    return place.put("w.safetensors", place.pickled())


@bad("weights", "pickle", "w.pth", "safetensors")
def in_a_zip(place: Place):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("archive/data.pkl", place.pickled())
    return place.put("w.pth", out.getvalue())


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


@bad("weights", "missing", "no such weights file", "best")
def an_empty_folder(place: Place):
    place.folder.mkdir(parents=True)
    return place.folder
