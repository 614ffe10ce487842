"""The network that notebooks 07 and 08 look into: the profile's Run or the published one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hw3lib import UserError
from hw3lib.data.faces import Faces
from hw3lib.study import Study
from hw3lib.text import Text, term

if TYPE_CHECKING:
    from hw3lib.models.network import Network


@dataclass(frozen=True)
class Subject:
    """A trained network, and faces that it was not trained on.

    faces     : of the validation fold, or of the test fold for a network that learned from both
    logits    : (n, 7) float32 of these faces, one view
    fold      : "validation" or "test"
    published : the published network, because the profile's Run is not there
    """

    name: str
    network: Network
    faces: Faces
    logits: np.ndarray
    fold: str
    published: bool

    @property
    def model(self) -> str:
        return self.network.metadata["recipe"]["model"]

    @property
    def width(self) -> float:
        return self.network.metadata["recipe"]["width"]

    @cached_property
    def probabilities(self) -> np.ndarray:
        """(n, 7) softmax of the logits."""
        from scipy.special import softmax

        return softmax(self.logits, axis=1)

    @property
    def predicted(self) -> np.ndarray:
        """(n,) class ids."""
        return self.logits.argmax(1)

    @property
    def labels(self) -> np.ndarray:
        return self.faces.labels

    @property
    def accuracy(self) -> float:
        return float((self.predicted == self.labels).mean())

    @property
    def origin(self) -> Text:
        """Which network this is, for a sentence."""
        if self.published:
            return Text("已公布的網路", "the published network")
        return Text("以本設定檔訓練出的網路", "the network trained by this profile")

    @property
    def pictures(self) -> Text:
        """Whose pictures these are, for a caption: 驗證影像, validation pictures."""
        fold = term(self.fold)
        return Text(f"{fold.zh}影像", f"{fold.en} pictures")


def subject(study: Study, name: str) -> Subject:
    """The Subject called `name` in the profile; nothing is trained.

    Where the profile's Run is not on disk, the published network of that name is taken.

    Raises
    ------
    UserError
        if there is neither.
    """
    from hw3lib.models.network import load_network, logits
    from hw3lib.runs import run_path

    if name in study.recipes and run_path(study.recipes[name]).exists():
        run = study.run(name)
        faces = study.folds_of(run.recipe).take("validation")
        return Subject(name, run.network(), faces, run.logits("validation"), "validation", False)
    try:
        network = load_network(name)
    except UserError:
        raise UserError(
            f"profile {study.profile}: no Run of {name!r} and no published network of that name; "
            f"make the Run with hw3 train --profile {study.profile} --only {name}"
        ) from None
    learned_both = "validation" in network.metadata["recipe"].get("train_on", "")
    fold = "test" if learned_both else "validation"
    faces = study.folds.take(fold)
    return Subject(name, network, faces, logits(network, faces.images), fold, True)
