"""The only way from pictures to logits: notebooks, command line and report all come here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hw3lib import UserError
from hw3lib.data.faces import CLASSES, SIZE
from hw3lib.reading import parse_json
from hw3lib.recipe import WIDEST

FORMAT = "hw3-network-1"
VIEWS = ("one", "flip", "ten")


@dataclass(frozen=True)
class Network:
    """A trained model with all it needs to read a picture.

    model    : in evaluation mode, parameters frozen
    mean, std: of pixels in [0, 1], the training fold's
    metadata : what the weights file says of itself (recipe, data fingerprint, ...)
    """

    model: nn.Module
    mean: float
    std: float
    in_channels: int = 1
    classes: tuple[str, ...] = CLASSES
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.model.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def prepare(self, images: np.ndarray | torch.Tensor) -> torch.Tensor:
        """(N, 48, 48) uint8 -> (N, in_channels, 48, 48) float32 on the model's device."""
        return normalize(torch.as_tensor(images, device=self.device), self)


def normalize(images: torch.Tensor, network: Network) -> torch.Tensor:
    """(N, 48, 48) uint8 -> (N, in_channels, 48, 48) float32: grey in [0, 1], mean 0, deviation 1.

    Raises
    ------
    TypeError, ValueError
        for another dtype or shape: float pictures scaled twice are a fault nobody sees.
    """
    if images.dtype != torch.uint8:
        raise TypeError(f"pictures must be uint8 in 0..255, not {images.dtype}")
    if images.ndim != 3 or images.shape[1:] != (SIZE, SIZE):
        raise ValueError(f"pictures must be (N, {SIZE}, {SIZE}), not {tuple(images.shape)}")
    batch = images[:, None].float().div_(255).sub_(network.mean).div_(network.std)
    batch = batch.expand(-1, network.in_channels, -1, -1)
    return batch.contiguous(memory_format=torch.channels_last)


def views_of(batch: torch.Tensor, views: str) -> list[torch.Tensor]:
    """The batch as it is ("one"), mirrored too ("flip"), or five 2-pixel shifts of both ("ten")."""
    if views not in VIEWS:
        raise UserError(f"views {views!r}: choose one of {', '.join(VIEWS)}")
    if views == "one":
        return [batch]
    shifts = [(0, 0)] if views == "flip" else [(0, 0), (2, 2), (2, -2), (-2, 2), (-2, -2)]
    padded = nn.functional.pad(batch, (2, 2, 2, 2), mode="replicate")
    crops = [padded[:, :, 2 + y : 2 + y + SIZE, 2 + x : 2 + x + SIZE] for y, x in shifts]
    return [view for crop in crops for view in (crop, crop.flip(-1))]


@torch.inference_mode()
def logits(
    network: Network | Sequence[Network],
    images: np.ndarray | torch.Tensor,
    *,
    views: str = "one",
    batch_size: int = 256,
) -> np.ndarray:
    """(N, 48, 48) uint8 -> (N, 7) float32 logits in the order of the pictures.

    Several views, or several networks (an ensemble), are averaged as probabilities; their
    logarithm is returned, so that softmax gives the averaged probabilities back. A model that was
    left in training mode is put into evaluation mode.
    """
    networks = [network] if isinstance(network, Network) else list(network)
    for member in networks:
        member.model.eval()
    out = []
    for start in range(0, len(images), batch_size):
        chunk = np.array(images[start : start + batch_size])  # a copy: the cache is read-only
        parts = [
            member.model(view).float()
            for member in networks
            for view in views_of(member.prepare(chunk), views)
        ]
        if len(parts) == 1:
            out.append(parts[0])
        else:
            stacked = torch.stack([part.log_softmax(dim=1).cpu() for part in parts])
            out.append(stacked.logsumexp(dim=0) - float(np.log(len(parts))))
    return torch.cat(out).cpu().numpy() if out else np.zeros((0, len(CLASSES)), np.float32)


def save_network(path: Path, network: Network, *, half: bool = False) -> None:
    """Write weights, class names, preprocessing and metadata into one safetensors file."""
    from safetensors.torch import save

    state = {
        name: (t.half() if half and t.is_floating_point() else t).contiguous().cpu()
        for name, t in network.model.state_dict().items()
    }
    header = {
        "format": FORMAT,
        "classes": json.dumps(network.classes),
        "preprocessing": json.dumps(
            {"mean": network.mean, "std": network.std, "in_channels": network.in_channels}
        ),
        "metadata": json.dumps(network.metadata, sort_keys=True),
    }
    path.write_bytes(save(state, metadata={**header, "check": _check(state, header)}))


def _check(state: dict[str, torch.Tensor], header: dict[str, str]) -> str:
    """SHA-256 of all that a weights file holds; safetensors itself has none."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def load_network(path: str | Path, *, device: str | torch.device = "cpu") -> Network:
    """The Network in a .safetensors file, a Run's folder, or a published one by name ("best").

    Raises
    ------
    UserError
        if the file is missing, damaged (itself or the Run that it lies in), of another format,
        or its classes stand in another order.
    """
    from safetensors import SafetensorError, safe_open

    from hw3lib.run_files import RECORD
    from hw3lib.runs import open_run

    file = find_weights(path)
    if (file.parent / RECORD).exists():
        open_run(file.parent)
    try:
        with safe_open(file, framework="pt", device="cpu") as opened:
            header = opened.metadata() or {}
            state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{file}: {_what_else(file, error)}") from None
    if header.get("format") != FORMAT:
        raise UserError(f"{file}: not written by hw3 (no {FORMAT} header); train it with hw3 train")
    check = header.pop("check", None)
    old = check is None and set(header) == {"format", "classes", "preprocessing", "metadata"}
    if not old and check != _check(state, header):
        raise UserError(f"{file}: damaged, its check does not hold; copy it again or train anew")
    settings, metadata = _read_header(file, header)
    state = {name: t.float() if t.is_floating_point() else t for name, t in state.items()}
    model = _fitting_model(file, state, metadata["recipe"], settings["in_channels"])
    model.load_state_dict(state, strict=True)
    return Network(model.to(device), settings["mean"], settings["std"], settings["in_channels"],
                   CLASSES, metadata)  # fmt: skip


def _what_else(file: Path, error: Exception) -> str:
    """What a file is that is no safetensors: of torch's pickles, that they could run code."""
    with file.open("rb") as opened:
        pickled = opened.read(2) in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
    if pickled or file.suffix in (".pt", ".pth", ".ckpt", ".pkl"):
        return (
            "a pickle of torch, which could run code, is not read; save the weights as safetensors"
        )
    return f"not a whole safetensors file ({error}); copy it again"


def _read_header(file: Path, header: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Preprocessing and metadata, checked; UserError where any entry cannot be meant."""
    said: dict[str, Any] = {}
    for key in ("classes", "preprocessing", "metadata"):
        try:
            said[key] = parse_json(header[key])
        except (KeyError, ValueError):
            raise UserError(f"{file}: {key} missing or no JSON; train it again") from None
    if said["classes"] != list(CLASSES):
        shown = str(said["classes"])[:120]
        raise UserError(f"{file}: its classes are {shown}, this project's are {list(CLASSES)}")
    settings, metadata = said["preprocessing"], said["metadata"]
    if not isinstance(settings, dict) or not isinstance(metadata, dict):
        raise UserError(f"{file}: preprocessing and metadata must be objects; train it again")
    recipe = metadata.get("recipe")
    if not isinstance(recipe, dict) or not isinstance(recipe.get("model"), str):
        raise UserError(f"{file}: its metadata names no recipe with a model; train it again")
    for name, low, high in (("mean", -1, 1), ("std", 1e-6, 10), ("width", 0, WIDEST)):
        value = (recipe if name == "width" else settings).get(name)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            shown = str(value)[:40]
            raise UserError(f"{file}: {name} is {shown}, not {low} to {high}; train it again")
    if settings.get("in_channels") not in (1, 3):
        shown = str(settings.get("in_channels"))[:40]
        raise UserError(f"{file}: in_channels is {shown}, not 1 or 3; train it again")
    return settings, metadata


def _fitting_model(
    file: Path, state: dict[str, torch.Tensor], recipe: dict[str, Any], in_channels: int
) -> nn.Module:
    """The model of the recipe, once it is known that these weights are its own and numbers."""
    from hw3lib.models import build
    from hw3lib.models.shapes import shapes

    options = {"width": recipe["width"], "in_channels": in_channels}
    try:
        wanted = shapes(recipe["model"], **options)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    for name in dict.fromkeys([*wanted, *state]):
        have = tuple(state[name].shape) if name in state else "missing"
        want = wanted.get(name, "no part of it")
        if have != want:
            raise UserError(
                f"{file}: weights do not fit the model ({name[:80]} is {have}, not {want}); "
                "train it again"
            )
        if not torch.isfinite(state[name]).all():
            raise UserError(f"{file}: {name[:80]} holds what is not a number; train it again")
    return build(recipe["model"], **options)


def find_weights(path: str | Path) -> Path:
    """The weights file that `path` means: a file, a Run's folder, or a published name."""
    from hw3lib.paths import ROOT

    given = Path(path)
    folder = ROOT / "data" / "pretrained"
    published = folder / f"{path}.safetensors"
    for candidate in (given / "weights.safetensors", given, published):
        if candidate.is_file():
            return candidate
    names = sorted(p.stem for p in folder.glob("*.safetensors"))
    known = f"published: {', '.join(names)}" if names else "none is published yet"
    raise UserError(f"{path}: no such weights file, Run folder or published network ({known})")
