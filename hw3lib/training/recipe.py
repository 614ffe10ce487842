"""Recipe: everything that decides a training, and nothing else."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from math import isfinite

from hw3lib import UserError
from hw3lib.data.split import PART
from hw3lib.models.networks import WIDEST

TRAINING_VERSION = 3  # raise it when this room's code trains otherwise; rounding is the machine's

CHOICES = {
    "split": ("default", "stratified", "random", "pictures", "part 1 of 5"),
    "train_on": ("train", "train+validation"),
    "normalize": ("dataset", "none"),
    "in_channels": (1, 3),
    "flip": ("none", "horizontal", "vertical"),
    "class_weight": ("none", "inverse", "share", "count", "effective"),
    "reduction": ("weighted", "mean"),
    "sampler": ("shuffle", "balanced", "sqrt"),
    "optimizer": ("sgd", "adam", "adamw", "muon"),
    "schedule": ("constant", "onecycle", "linear", "cosine"),
    "select": ("best", "last"),
    "precision": ("auto", "fp32", "bf16"),
}
RANGES = (
    ("above 0", lambda x: x > 0,
     ("width", "lr", "lr_rest", "batch_size", "epochs", "cycles", "threads")),
    (f"at most {WIDEST}", lambda x: x <= WIDEST, ("width",)),
    ("0 or more", lambda x: x >= 0,
     ("shift", "rotate", "brightness", "logit_adjustment", "weight_decay",
      "patience", "train_limit", "seed")),
    ("in [0, 1]", lambda x: 0 <= x <= 1, ("distillation",)),
    ("in [0, 1)", lambda x: 0 <= x < 1,
     ("scale", "contrast", "erase", "label_smoothing", "momentum", "ema")),
)  # fmt: skip
CONFLICTS = (
    (lambda r: r.class_weight != "none" and r.sampler != "shuffle",
     "class_weight and sampler correct the same imbalance; set one of them back to its default"),
    (lambda r: r.train_on != "train" and (r.select == "best" or r.patience),
     "trained on the validation split, nothing is left to choose an epoch by; leave select and "
     "patience at their defaults"),
    (lambda r: bool(r.teacher) != (r.distillation > 0),
     "teacher and distillation go together: which networks teach, and their share of the target"),
    (lambda r: r.cycles > 1
     and (r.schedule != "cosine" or r.select == "best" or r.epochs % r.cycles),
     "cycles need schedule='cosine', select='last' and a number of epochs that they divide"),
    (lambda r: r.patience and r.schedule != "constant" and r.select != "best",
     "patience stops a schedule half-way; keep the best epoch with select='best'"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What decides a training. Its hash, with TRAINING_VERSION, names the Run.

    torch, device and machine are recorded in the Run and are no part of its name, so that
    Runs can travel.
    """

    # network
    model: str  # a name in hw3lib.models.MODELS
    width: float = 1.0  # factor on the channel counts
    in_channels: int = 1  # 1 grey, 3 grey repeated
    # data
    data: str = ""  # Split.fingerprint; filled in when the Run is asked for
    split: str = "default"  # of train and validation: the study's, or cut again (recut)
    train_on: str = "train"  # or "train+validation": a frozen recipe fitted again on all there is
    train_limit: int = 0  # images of the training split used, 0 for all
    normalize: str = "dataset"  # mean and deviation of the training split, or "none": [0, 1]
    # augmentation, all off by default
    flip: str = "none"
    shift: float = 0.0  # pixels, uniform in +- shift on both axes
    rotate: float = 0.0  # degrees, uniform in +- rotate
    scale: float = 0.0  # fraction, uniform in 1 +- scale
    erase: float = 0.0  # probability that a rectangle of an image is blanked
    brightness: float = 0.0  # deviations of the grey values, uniform in +- brightness
    contrast: float = 0.0  # fraction, uniform in 1 +- contrast
    # loss and sampling
    label_smoothing: float = 0.0
    teacher: str = ""  # networks that teach: a configuration of the profile, in a Run its Runs
    distillation: float = 0.0  # their share of the target; the label has the rest
    class_weight: str = "none"
    reduction: str = "weighted"  # by the batch's sum of weights, as torch does, or "mean"
    logit_adjustment: float = 0.0  # times the log prior, added to the logits in the loss
    sampler: str = "shuffle"
    # optimisation
    optimizer: str = "sgd"
    lr: float = 0.1  # peak learning rate
    lr_rest: float = 0.1  # with muon: that of Nesterov SGD, for all that is no kernel
    momentum: float = 0.9  # Nesterov momentum of sgd and muon
    weight_decay: float = 0.0
    schedule: str = "onecycle"
    batch_size: int = 128  # images
    epochs: int = 10  # passes over the training split, at most
    cycles: int = 1  # restarts of the cosine schedule; the network at the end of each is kept
    patience: int = 0  # epochs without a lower validation loss before stopping, 0 for never
    select: str = "last"  # "best": the epoch of lowest validation loss; "last": the last epoch
    ema: float = 0.0  # decay a step of the averaged weights that are kept, 0 for off
    # exactness
    precision: str = "auto"  # "bf16" where the device multiplies it in hardware, else "fp32"
    seed: int = 0
    threads: int = 1  # CPU threads; other counts add floating-point sums in another order

    def __post_init__(self) -> None:
        kinds = {"int": int, "float": (int, float), "str": str}
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, kinds[field.type]) or isinstance(value, bool):
                raise self._fault(field.name, f"of type {field.type}")
            if field.type == "float" and not isfinite(value):
                raise self._fault(field.name, "a finite number")
        for name, allowed in CHOICES.items():
            value = getattr(self, name)
            if value not in allowed and not (name == "split" and PART.fullmatch(value)):
                raise self._fault(name, f"one of {', '.join(map(str, allowed))}")
        for rule, fits, names in RANGES:
            for name in names:
                if not fits(getattr(self, name)):
                    raise self._fault(name, rule)
        for holds, line in CONFLICTS:
            if holds(self):
                raise UserError(f"recipe: {line}")

    def _fault(self, name: str, rule: str) -> UserError:
        return UserError(f"recipe: {name}={getattr(self, name)!r} must be {rule}")

    @property
    def hash(self) -> str:
        """12 hex digits of the version of the training code and of every field off its default.

        So a new field whose default changes nothing leaves the names of old Runs alone; a
        default that changes needs a new TRAINING_VERSION.
        """
        values = asdict(self)
        chosen = {f.name: values[f.name] for f in fields(self) if values[f.name] != f.default}
        text = json.dumps({**chosen, "version": TRAINING_VERSION}, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()

    @classmethod
    def from_dict(cls, values: dict, where: str = "recipe") -> Recipe:
        """A Recipe from a TOML table or JSON object; an unknown field is a UserError."""
        if unknown := set(values) - {f.name for f in fields(cls)}:
            raise UserError(
                f"{where}: unknown field {min(unknown)!r}; see hw3lib/training/recipe.py"
            )
        if "model" not in values:
            raise UserError(f"{where}: the field 'model' is missing")
        try:
            return cls(**values)
        except UserError as error:
            raise UserError(f"{where}: {str(error).removeprefix('recipe: ')}") from None
