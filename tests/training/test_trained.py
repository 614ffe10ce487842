"""Notebooks 07 and 08 take a Run, or the published network, and train nothing."""

import numpy as np
import pytest

from hw3lib import UserError
from hw3lib.models.network import logits
from hw3lib.training.runs import run_path
from hw3lib.training.study import Study, trained


def test_without_a_run_the_published_network_and_faces_that_it_did_not_learn_from(
    folds, recipe, monkeypatch, tmp_path
):
    monkeypatch.setenv("HW3_RUNS", str(tmp_path / "none"))
    study = Study("tiny", folds.faces, folds, {"best": recipe}, {})
    found = trained(study, "best")
    assert found.published and found.split == "test"  # it was fitted on train and validation
    assert not (tmp_path / "none").exists()
    assert (found.faces.images == folds.take("test").images).all()
    assert np.array_equal(found.logits, logits(found.network, found.faces.images))
    assert found.accuracy == (found.predicted == found.labels).mean()
    with pytest.raises(UserError, match="hw3 train --profile tiny --only nothing"):
        trained(study, "nothing")


def test_a_run_is_taken_with_its_validation_fold(folds, recipe, run, monkeypatch):
    monkeypatch.setenv("HW3_RUNS", str(run.path.parent))
    assert run_path(recipe) == run.path
    found = trained(Study("tiny", folds.faces, folds, {"best": recipe}, {}), "best")
    assert not found.published and found.split == "validation"
    assert np.array_equal(found.logits, run.logits("validation"))
    assert (found.faces.labels == run.labels("validation")).all()
