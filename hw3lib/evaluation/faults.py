"""Fault injection: what makes accuracy fall without a word, done on purpose, one at a time.

Each Fault is measured twice: on a path that has it, and fed to ours, which answers as if nothing
had happened, refuses, or names the fault. The list is reference report B's two accidents (another
reading path, saving and re-loading) with every cause of them that we could think of.
"""

from __future__ import annotations

import copy
import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from hw3lib import UserError, models
from hw3lib.data import read_faces
from hw3lib.data.faces import CLASSES, SIZE, Faces
from hw3lib.data.images import to_face
from hw3lib.data.split import Split, split_faces
from hw3lib.models.network import Network, load_network, logits, save_network
from hw3lib.models.network import predict as predict_faces
from hw3lib.training.runs import Run, get_run

BATCH = 64  # images, as in training: in training mode batch norm takes the statistics of a batch


@dataclass(frozen=True)
class Case:
    """A trained Run, its network, and the labelled images that the faults are measured on."""

    run: Run
    network: Network
    faces: Faces
    folds: Split

    @classmethod
    def of(cls, run: Run, folds: Split, limit: int = 0) -> Case:
        """limit : test images, 0 for all of them"""
        return cls(run, run.network(), folds.faces.subset(folds.test[: limit or None]), folds)


Way = Callable[[Case], np.ndarray]  # (N,) bool: which predictions are right


@dataclass(frozen=True)
class Fault:
    """One way to lose accuracy unseen; its name and its guard are keys of the glossary.

    faulty : on a path that has the fault
    ours   : the same images and the same fault given to our path, which may raise
    guard  : the check of ours that meets it
    notice : what our path says of the fault while it answers, "" for nothing
    sound  : without the fault, on the images that `faulty` is measured on
    """

    name: str
    faulty: Way
    ours: Way
    guard: str
    notice: Callable[[Case], str] = lambda case: ""
    sound: Way = lambda case: right(case, case.faces.images)


@dataclass(frozen=True)
class Outcome:
    """What a Fault did: accuracies in [0, 1].

    ours  : None where our path refused
    words : of the refusal, or of the notice; "" where our path answered and said nothing
    """

    fault: Fault
    sound: float
    faulty: float
    ours: float | None
    words: str

    @property
    def drop(self) -> float:
        """Percentage points lost on the faulty path; negative where accuracy seems to rise."""
        return 100 * (self.sound - self.faulty)


def inject(fault: Fault, case: Case) -> Outcome:
    """Measure one Fault; the Case is left as it was."""
    sound = fault.sound(case).mean()
    try:
        ours, words = float(fault.ours(case).mean()), fault.notice(case)
    except (UserError, TypeError) as error:
        ours, words = None, " ".join(str(error).split())
    return Outcome(fault, float(sound), float(fault.faulty(case).mean()), ours, words)


def right(case: Case, images: np.ndarray) -> np.ndarray:
    """(N,) bool by our path."""
    return logits(case.network, images).argmax(axis=1) == case.faces.labels


@torch.no_grad()
def raw(case: Case, batch: Tensor, model: nn.Module | None = None) -> np.ndarray:
    """(N,) bool from normalised images (N, 1, 48, 48), past everything that guards our path."""
    model, channels = model or case.network.model, case.network.in_channels
    parts = [model(part.expand(-1, channels, -1, -1)) for part in batch.split(BATCH)]
    return torch.cat(parts).argmax(dim=1).numpy() == case.faces.labels


def grey(case: Case) -> Tensor:
    """(N, 1, 48, 48) float in [0, 1]."""
    return torch.from_numpy(np.array(case.faces.images))[:, None].float() / 255


def normal(case: Case, batch: Tensor) -> Tensor:
    return (batch - case.network.mean) / case.network.std


# Saving and loading: training mode, names that do not match, lost statistics


def in_training_mode(case: Case) -> Case:
    """With a copy that was left in training mode, as after `model.train()` or a fresh load."""
    network = replace(case.network, model=copy.deepcopy(case.network.model))
    network.model.train()  # after, for a Network begins in evaluation mode
    return replace(case, network=network)


def training_mode(order: Callable[[np.ndarray], np.ndarray]) -> Way:
    """order : labels (N,) -> the rows in the order in which they come"""

    def faulty(case: Case) -> np.ndarray:
        rows = order(case.faces.labels)
        mixed = in_training_mode(replace(case, faces=case.faces.subset(rows)))
        with torch.random.fork_rng(devices=[]):  # dropout is on
            torch.manual_seed(0)
            return raw(mixed, normal(mixed, grey(mixed)))[np.argsort(rows)]

    return faulty


def though_in_training_mode(case: Case) -> np.ndarray:
    return right(in_training_mode(case), case.faces.images)


def by_class(labels: np.ndarray) -> np.ndarray:
    return np.argsort(labels, kind="stable")


def shuffled(labels: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).permutation(len(labels))


def renamed(state: dict) -> dict:
    """What `DataParallel` saves: every name carries a prefix."""
    return {f"module.{name}": value for name, value in state.items()}


def without_statistics(state: dict) -> dict:
    """What saving `model.parameters()` leaves out: batch norm's running statistics."""
    return {k: v for k, v in state.items() if "running_" not in k and "num_batches" not in k}


def loaded_loosely(change: Callable[[dict], dict]) -> Way:
    """Load with strict=False: what does not match keeps its random start."""

    def faulty(case: Case) -> np.ndarray:
        recipe = case.run.recipe
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            fresh = models.build(recipe.model, width=recipe.width, in_channels=recipe.in_channels)
        fresh.load_state_dict(change(case.network.model.state_dict()), strict=False)
        return raw(case, normal(case, grey(case)), fresh.eval())

    return faulty


def loaded_by_us(change: Callable[[dict], dict]) -> Way:
    def ours(case: Case) -> np.ndarray:
        changed = copy.deepcopy(case.network.model)
        changed.state_dict = lambda: change(case.network.model.state_dict())
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "weights.safetensors"
            save_network(file, replace(case.network, model=changed))
            network = load_network(file)
        return right(replace(case, network=network), case.faces.images)

    return ours


# Reading: classes, scaling, orientation, resizing, encoding, ids and the split


def read_back(case: Case, images: np.ndarray) -> Faces:
    """Images (N, 48, 48) with the Case's labels, in class folders, through our reader."""
    with tempfile.TemporaryDirectory() as folder:
        for i, (image, label) in enumerate(zip(images, case.faces.labels, strict=True)):
            file = Path(folder) / "test" / CLASSES[label].lower() / f"{i:05d}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.ascontiguousarray(image)).save(file, compress_level=1)
        return read_faces(Path(folder))  # no copy in the cache


def right_as_read(case: Case, images: np.ndarray) -> np.ndarray:
    read = read_back(case, images)
    return right(replace(case, faces=read), read.images)


def folder_order(case: Case) -> np.ndarray:
    """Labels counted off from folder names in the alphabet's order, as ImageFolder does."""
    rank = np.argsort(np.argsort(CLASSES))[case.faces.labels]
    return right(replace(case, faces=replace(case.faces, labels=rank)), case.faces.images)


def turned(case: Case) -> np.ndarray:
    return case.faces.images.transpose(0, 2, 1)


def overflow(case: Case) -> np.ndarray:
    """The mean subtracted from unsigned bytes: what is darker wraps around to white."""
    wrapped = np.array(case.faces.images) - np.uint8(255 * case.network.mean)
    return raw(case, torch.from_numpy(wrapped)[:, None].float() / 255 / case.network.std)


def bytes_in_floats(case: Case) -> np.ndarray:
    """Our normalisation against float64 arithmetic, then the prediction."""
    images = np.array(case.faces.images)
    exact = (images / 255 - case.network.mean) / case.network.std
    ours = case.network.prepare(images)[:, 0].numpy()
    if not np.allclose(ours, exact, atol=1e-5):
        raise UserError("normalisation differs from float64 arithmetic")
    return right(case, images)


def resized(resize: Callable[[Image.Image], np.ndarray]) -> Way:
    """The images as another camera would deliver them, 40 x 40, enlarged again."""

    def way(case: Case) -> np.ndarray:
        images = map(Image.fromarray, np.asarray(case.faces.images))
        small = [image.resize((40, 40), Image.Resampling.BICUBIC) for image in images]
        return right(case, np.stack([np.asarray(resize(image)) for image in small]))

    return way


def nearest(image: Image.Image) -> Image.Image:
    return image.resize((SIZE, SIZE), Image.Resampling.NEAREST)


def encoded_again(case: Case) -> np.ndarray:
    """One more JPEG encoding, of Pillow's default quality, 75."""
    out = []
    for image in np.asarray(case.faces.images):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG")
        out.append(np.asarray(Image.open(buffer)))
    return right(case, np.stack(out))


def by_position(case: Case) -> np.ndarray:
    """The test folder renumbered, its predictions handed in in the old order."""
    return right(case, case.faces.images[shuffled(case.faces.labels)])


def by_id(case: Case) -> np.ndarray:
    mixed = case.faces.subset(shuffled(case.faces.labels))
    ids, probabilities = predict_faces(case.network, mixed)
    label_of = dict(zip(case.faces.ids.tolist(), case.faces.labels.tolist(), strict=True))
    return probabilities.argmax(axis=1) == np.array([label_of[name] for name in ids.tolist()])


def other_split(case: Case) -> Split:
    return split_faces(case.folds.faces, seed=1)


def held_out(case: Case) -> np.ndarray:
    """The Run's own validation images."""
    held = case.folds.take("validation")
    return right(replace(case, faces=held), held.images)


def drawn_again(case: Case) -> np.ndarray:
    """Validation images of another split: most of them were trained on."""
    held = other_split(case).take("validation")
    return right(replace(case, faces=held), held.images)


def refuse_other_split(case: Case) -> np.ndarray:
    get_run(case.run.recipe, other_split(case), root=case.run.path.parent)
    return drawn_again(case)


EVAL = "always evaluation mode"
STRICT = "weights load strictly"
UINT8 = "only uint8; scaling is in the weights file"
SCALES = {
    "scaled to [-1, 1]": lambda x: x * 2 - 1,
    "scaled to [0, 1] only": lambda x: x,
    "not scaled (0 to 255)": lambda x: x * 255,
}

FAULTS = (
    Fault("training mode, images sorted by class", training_mode(by_class),
          though_in_training_mode, EVAL),
    Fault("training mode, images shuffled", training_mode(shuffled),
          though_in_training_mode, EVAL),
    Fault("names of weights differ, loose loading", loaded_loosely(renamed),
          loaded_by_us(renamed), STRICT),
    Fault("batch norm statistics not saved", loaded_loosely(without_statistics),
          loaded_by_us(without_statistics), STRICT),
    Fault("class ids from folder names", folder_order,
          lambda case: right_as_read(case, case.faces.images),
          "class names are in the weights file"),
    *(Fault(name, lambda case, scale=scale: raw(case, scale(grey(case))),
            lambda case, scale=scale: right(case, scale(grey(case))[:, 0].numpy()), UINT8)
      for name, scale in SCALES.items()),
    Fault("uint8 overflow", overflow, bytes_in_floats, "floats before any arithmetic"),
    Fault("rows and columns swapped", lambda case: raw(case, normal(case, grey(case)).mT),
          lambda case: right_as_read(case, turned(case)),
          "mean face must be symmetric",
          lambda case: "; ".join(read_back(case, turned(case)).problems)),
    Fault("40×40 enlarged by nearest neighbour", resized(nearest), resized(to_face),
          "one resizing for all reading paths"),
    Fault("encoded as JPEG once more", encoded_again, encoded_again,
          "none; hashed pixels, scored again"),
    Fault("files renumbered, read by position", by_position, by_id,
          "predictions go by id"),
    Fault("training and validation split again", drawn_again, refuse_other_split,
          "recipe stores the split's hash", sound=held_out),
)  # fmt: skip
