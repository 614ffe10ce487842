"""A trained network: the only way from images to logits, from a file to a network and back.

Notebooks, command line and report all come here, so that all of them scale, average and score
alike.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from hw3lib import UserError
from hw3lib.data.faces import CLASSES, SIZE, SPLITS, UNLABELLED, Faces
from hw3lib.data.source import natural
from hw3lib.data.split import Split
from hw3lib.files import ROOT, write_atomic
from hw3lib.models.networks import WIDEST, build_empty

FORMAT = "hw3-network-1"
WEIGHTS = "weights.safetensors"  # in the folder of a Run
PUBLISHED = ROOT / "data" / "pretrained"
VIEWS = ("one", "flip", "ten")
LIMITS = {"mean": (-1, 1), "std": (1e-6, 10), "width": (0, WIDEST)}  # of what a weights file says
# what spreadsheets take for a formula, in half and full width; a signed number is none
FORMULA = re.compile(r"(?![+-][0-9]+(\.[0-9]+)?$)[=+\-@＝＋－＠]")


@dataclass(frozen=True)
class Network:
    """A trained model with all it needs to read an image.

    model    : in evaluation mode, parameters frozen
    mean, std: of pixels in [0, 1], the training split's
    metadata : what the weights file says of itself (recipe, data fingerprint, ...)
    """

    model: nn.Module
    mean: float
    std: float
    in_channels: int = 1
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.model.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def prepare(self, images: np.ndarray | torch.Tensor) -> torch.Tensor:
        """(N, 48, 48) uint8 -> (N, in_channels, 48, 48) float32 on the model's device.

        Grey in [0, 1], standardised.

        Raises
        ------
        TypeError, ValueError
            for another dtype or shape: float images scaled twice are a fault nobody sees.
        """
        images = torch.as_tensor(images, device=self.device)
        if images.dtype != torch.uint8:
            raise TypeError(f"images must be uint8 in 0..255, not {images.dtype}")
        if images.ndim != 3 or images.shape[1:] != (SIZE, SIZE):
            raise ValueError(f"images must be (N, {SIZE}, {SIZE}), not {tuple(images.shape)}")
        batch = images[:, None].float().div_(255).sub_(self.mean).div_(self.std)
        batch = batch.expand(-1, self.in_channels, -1, -1)
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
    """(N, 48, 48) uint8 -> (N, 7) float32 logits in the order of the images.

    Several views, or several networks (an ensemble), are averaged as probabilities; their
    logarithm is returned, so that softmax gives the averaged probabilities back. A model that was
    left in training mode is put into evaluation mode.
    """
    networks = [network] if isinstance(network, Network) else list(network)
    for member in networks:
        member.model.eval()
    out = [np.zeros((0, len(CLASSES)), np.float32)]
    for start in range(0, len(images), batch_size):
        chunk = np.array(images[start : start + batch_size])  # a copy: the cache is read-only
        parts = [
            member.model(view).float()
            for member in networks
            for view in views_of(member.prepare(chunk), views)
        ]
        if len(parts) > 1:
            parts = torch.stack([part.log_softmax(dim=1).cpu() for part in parts])
            parts = [parts.logsumexp(dim=0) - float(np.log(len(parts)))]
        out.append(parts[0].cpu().numpy())
    return np.concatenate(out)


def save_network(path: Path, network: Network, *, half: bool = False) -> None:
    """Write weights, class names, preprocessing and metadata into one safetensors file.

    half : floating-point weights in half precision
    """
    state = {
        name: (t.half() if half and t.is_floating_point() else t).contiguous().cpu()
        for name, t in network.model.state_dict().items()
    }
    header = {
        "format": FORMAT,
        "classes": json.dumps(CLASSES),
        "preprocessing": json.dumps(
            {"mean": network.mean, "std": network.std, "in_channels": network.in_channels}
        ),
        "metadata": json.dumps(network.metadata, sort_keys=True),
    }
    path.write_bytes(save(state, metadata={**header, "check": checksum(state, header)}))


def checksum(state: dict[str, torch.Tensor], header: dict[str, str]) -> str:
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
        if the file is missing, damaged or of another format, if its weights are not the model's
        or not finite, or if its classes stand in another order.
    """
    file = find_weights(path)
    try:
        header, state = _read(file)
        settings, metadata = _settings(header)
        model = _model(state, metadata["recipe"], settings["in_channels"])
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    return Network(model.to(device), **settings, metadata=metadata)


def find_weights(path: str | Path) -> Path:
    """The weights file that `path` means: a file, a Run's folder, or a published name."""
    given = Path(path)
    for candidate in (given / WEIGHTS, given, PUBLISHED / f"{path}.safetensors"):
        if candidate.is_file():
            return candidate
    names = ", ".join(sorted(p.stem for p in PUBLISHED.glob("*.safetensors")))
    raise UserError(
        f"{path}: no such weights file, Run folder or published network (published: {names})"
    )


def _read(file: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """Header and weights as they are in the file, whole."""
    try:
        with safe_open(file, framework="pt", device="cpu") as opened:
            header = opened.metadata() or {}
            state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        with file.open("rb") as opened:
            pickled = re.match(rb"PK|\x80[\x02-\x05]", opened.read(2))
        if pickled or file.suffix in (".pt", ".pth", ".ckpt", ".pkl"):
            raise UserError(
                "refused: pickle file of torch, which could run code; save the weights as "
                "safetensors"
            ) from None
        raise UserError(f"not a whole safetensors file ({error}); copy it again") from None
    if header.get("format") != FORMAT:
        raise UserError(f"not written by hw3 (no {FORMAT} header); train it with hw3 train")
    if header.pop("check", "") != checksum(state, header):
        raise UserError("damaged (checksum mismatch); copy it again or train it again")
    return header, state


def _settings(header: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Preprocessing and metadata, checked: a file may say anything."""
    said: dict[str, Any] = {}
    for key in ("classes", "preprocessing", "metadata"):
        try:
            said[key] = json.loads(header[key])
        except (KeyError, ValueError, RecursionError):
            raise UserError(f"{key} missing or no JSON; train it again") from None
    if said["classes"] != list(CLASSES):
        shown = str(said["classes"])[:120]
        raise UserError(f"its classes are {shown}, this project's are {list(CLASSES)}")
    settings, metadata = said["preprocessing"], said["metadata"]
    recipe = metadata.get("recipe") if isinstance(metadata, dict) else None
    if not isinstance(recipe, dict) or not isinstance(recipe.get("model"), str):
        raise UserError("its metadata names no recipe with a model; train it again")
    if not isinstance(settings, dict):
        raise UserError("its preprocessing is no JSON object; train it again")
    numbers = {"width": recipe.get("width")} | {k: settings.get(k) for k in ("mean", "std")}
    for name, value in numbers.items():
        low, high = LIMITS[name]
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            raise UserError(f"{name} is {str(value)[:40]}, not {low} to {high}; train it again")
    channels = settings.get("in_channels")
    if channels not in (1, 3):
        raise UserError(f"in_channels is {str(channels)[:40]}, not 1 or 3; train it again")
    return {k: settings[k] for k in ("mean", "std", "in_channels")}, metadata


def _model(state: dict[str, torch.Tensor], recipe: dict[str, Any], in_channels: int) -> nn.Module:
    """The recipe's model with these weights, once it is known that they fit and are finite.

    It is built without memory, so that a recipe of any size costs no more than the file.
    """
    model = build_empty(recipe["model"], width=recipe["width"], in_channels=in_channels)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    for name in dict.fromkeys([*wanted, *state]):
        have = tuple(state[name].shape) if name in state else "missing"
        want = wanted.get(name, "no part of it")
        if have != want:
            raise UserError(
                f"weights do not fit the model ({name[:80]} is {have}, not {want}); train it again"
            )
        if not torch.isfinite(state[name]).all():
            raise UserError(f"{name[:80]} holds what is not a number; train it again")
    state = {name: t.float() if t.is_floating_point() else t for name, t in state.items()}
    model.load_state_dict(state, assign=True)
    return model


def evaluate(
    network: Network, faces: Faces, *, split: str = "", views: str = "one"
) -> dict[str, Any]:
    """Accuracy on labelled images: all, and without copies and near copies of training images.

    An accuracy is None where every image is a copy.

    split : "train", "test", "private" or "all"; "" takes test where the data has it, else
            private, else all that is labelled

    Raises
    ------
    UserError
        if no labelled image is in the split.
    """
    labelled = faces.labels != UNLABELLED
    split = split or next((s for s in ("test", "private") if (faces.split == s).any()), "all")
    rows = np.flatnonzero(labelled & _in_split(faces, split))
    if not len(rows):
        raise UserError(f"split {split!r}: no labelled image in this data; hw3 data lists them")
    training = labelled & (faces.split == "train") & (split not in ("train", "all"))
    scores = _scores(network, faces, rows, np.flatnonzero(training), views)
    return {"split": split, "views": views, **scores}


def evaluate_test(network: Network, folds: Split, *, views: str = "one") -> dict[str, Any]:
    """Accuracy on the test images of a split, by the names of `evaluate` with test_ before them."""
    learned = np.concatenate([folds.train, folds.validation])
    scores = _scores(network, folds.faces, folds.test, learned, views)
    return {"views": views, **{f"test_{name}": value for name, value in scores.items()}}


def _scores(
    network: Network, faces: Faces, rows: np.ndarray, training: np.ndarray, views: str
) -> dict[str, Any]:
    """Accuracy and n on `rows`: all, and without exact and near copies of the `training` rows."""
    right = logits(network, faces.images[rows], views=views).argmax(1) == faces.labels[rows]
    scores = {"accuracy": float(right.mean()), "n": len(rows)}
    for kind, group in (("exact", faces.exact), ("near", faces.group)) if len(training) else ():
        kept = right[~np.isin(group[rows], group[training])]
        scores[f"accuracy_without_{kind}_copies"] = float(kept.mean()) if len(kept) else None
        scores[f"n_without_{kind}_copies"] = len(kept)
    return scores


def predict(
    network: Network, faces: Faces, *, split: str = "", views: str = "one"
) -> tuple[np.ndarray, np.ndarray]:
    """Ids (N,) str and probabilities (N, 7), sorted by id (by number where all ids are numbers)."""
    rows = np.flatnonzero(_in_split(faces, split or "all"))
    if not len(rows):
        raise UserError(f"split {split!r}: no image in this data; hw3 data lists them")
    ids = faces.ids[rows]
    numbers = all(re.fullmatch("[0-9]+", name) for name in ids)
    order = sorted(range(len(ids)), key=lambda i: natural(ids[i])[0] if numbers else ids[i])
    out = torch.from_numpy(logits(network, faces.images[rows], views=views))
    return ids[order], out.softmax(dim=1).numpy()[order]


def _in_split(faces: Faces, split: str) -> np.ndarray:
    if split == "all":
        return np.ones(len(faces), bool)
    if split not in SPLITS:
        raise UserError(f"split {split!r}: choose one of {', '.join(SPLITS)}, all")
    return faces.split == split


def write_predictions(path: Path, ids: np.ndarray, labels: np.ndarray) -> int:
    """Write `id,label`, whole or not at all; the number of ids written as text.

    An id that a spreadsheet would run as a formula ("=HYPERLINK(…)") gets an apostrophe before it,
    by which spreadsheets know a text; a signed number stays as it is.

    Raises
    ------
    UserError
        for a folder that does not exist, or a name that is a folder's.
    """
    if not path.absolute().parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist; make it first")
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: no regular file, such as p.csv; give --out the name of one")
    texts = [f"'{name}" if FORMULA.match(name) else name for name in ids.tolist()]
    table = pd.DataFrame({"id": texts, "label": labels})
    write_atomic(path, table.to_csv(index=False, lineterminator="\n").encode())
    return sum(text != name for text, name in zip(texts, ids.tolist(), strict=True))
