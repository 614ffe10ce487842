"""What makes accuracy fall, done on purpose: our path answers as before, refuses or names it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import make_faces

from hw3lib.data.audit import orientation_problem
from hw3lib.data.split import split_faces
from hw3lib.data.synthetic import synthetic_faces
from hw3lib.evaluation.faults import FAULTS, Case, inject
from hw3lib.models.network import logits
from hw3lib.text import term
from hw3lib.training.recipe import Recipe
from hw3lib.training.runs import get_run

# What must cost accuracy on any network that has learned something. Shuffled batches in training
# mode and one more JPEG are the invisible ones.
COSTLY = {
    "training mode, images sorted by class", "names of weights differ, loose loading",
    "batch norm statistics not saved", "class ids from folder names", "scaled to [0, 1] only",
    "not scaled (0 to 255)", "uint8 overflow", "rows and columns swapped",
    "files renumbered, read by position",
}  # fmt: skip
REFUSED = {
    "names of weights differ, loose loading": "do not fit",
    "batch norm statistics not saved": "running_mean is missing",
    "scaled to [-1, 1]": "uint8",
    "scaled to [0, 1] only": "uint8",
    "not scaled (0 to 255)": "uint8",
    "training and validation split again": "made for data",
}


def test_every_fault_and_guard_has_its_words():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) == 14
    assert all(term(key).zh for fault in FAULTS for key in (fault.name, fault.guard))


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Case:
    """Stripes that run across, so that the mean image is as symmetric as a face's."""
    faces = make_faces(720, test=320, copies=0)
    folds = split_faces(replace(faces, images=faces.images.transpose(0, 2, 1).copy()))
    recipe = Recipe(
        model="slim_resnet", width=0.25, epochs=2, batch_size=16, optimizer="muon", lr=0.02,
        precision="fp32",
    )  # fmt: skip
    run = get_run(recipe, folds, root=tmp_path_factory.mktemp("runs"))
    return Case.of(run, folds)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_what_makes_accuracy_fall_does_not_pass_our_path(case, fault):
    before = logits(case.network, case.faces.images)
    outcome = inject(fault, case)
    assert outcome.sound > 0.5
    if fault.name in COSTLY:
        assert outcome.drop > 5, f"{fault.name} costs {outcome.drop:.1f} points"
    if fault.name in REFUSED:
        assert outcome.ours is None and REFUSED[fault.name] in outcome.words
    elif fault.name == "rows and columns swapped":  # nobody can put it right, but it is named
        assert outcome.ours == outcome.faulty and "look transposed" in outcome.words
    elif fault.name == "encoded as JPEG once more":  # other pixels are other images
        assert outcome.ours == outcome.faulty >= outcome.sound - 0.05
    elif "nearest neighbour" in fault.name:  # that they came smaller is not the resizing's loss
        assert outcome.ours >= outcome.sound - 0.05
    else:
        assert outcome.ours == outcome.sound and not outcome.words
    assert np.array_equal(logits(case.network, case.faces.images), before)


def test_the_mean_face_tells_swapped_rows_and_columns():
    images = synthetic_faces(600).images
    assert orientation_problem(images) == ""
    assert "transposed" in orientation_problem(images.transpose(0, 2, 1))
    assert orientation_problem(images[:50].transpose(0, 2, 1)) == ""  # too few to judge
