"""Label errors: planted ones are found, and what is counted is counted by hand."""

import numpy as np
import pytest

from hw3lib import UserError
from hw3lib.label_errors import copies_apart, out_of_fold, suspects

RNG = np.random.default_rng(0)


def test_planted_wrong_labels_come_first():
    truth = RNG.integers(0, 7, 2000)
    probabilities = RNG.dirichlet(np.ones(7), 2000) * 0.4
    probabilities[np.arange(2000), truth] += 0.6
    labels, planted = truth.copy(), RNG.choice(2000, 100, replace=False)
    labels[planted] = (truth[planted] + RNG.integers(1, 7, 100)) % 7
    found = suspects(probabilities, labels)
    assert np.isin(found["at"][:90], planted).mean() > 0.95
    right = found[np.isin(found["at"], planted)]
    assert (right["instead"].to_numpy() == truth[right["at"]]).all()
    assert (np.diff(found["margin"]) <= 0).all() and (found["label"] != found["instead"]).all()


def test_a_class_counts_from_its_own_typical_confidence():
    """Rarely recognised classes have a low one: by hand, with two classes."""
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.75, 0.25], [0.65, 0.35]])
    labels = np.array([0, 0, 0, 1, 1])  # typical confidence: 0.8 and 0.3
    found = suspects(p, labels)
    assert found["at"].tolist() == [2]  # 0.7 < 0.8 but 0.3 reaches 0.3
    assert found["instead"].tolist() == [1] and found["margin"][0] == pytest.approx(-0.4)


def test_copies_are_compared_pair_by_pair():
    labels = np.array([0, 0, 1, 2, 2, 5])
    group = np.array([7, 7, 7, 3, 3, 1])
    assert copies_apart(labels, group) == (2, 4)
    assert copies_apart(labels[:1], group[:1]) == (0, 0)


def test_every_training_picture_is_judged_once_by_a_network_that_has_not_seen_it(
    tmp_path, monkeypatch
):
    from hw3lib.study import open_study

    recipe = 'model = "dense"\nwidth = 0.25\nepochs = 1\nbatch_size = 16\n'
    parts = "".join(f'[recipes."part.{k}"]\n{recipe}split = "part {k} of 3"\n' for k in (1, 2, 3))
    profile = tmp_path / "parts.toml"
    profile.write_text(f"[settings]\nsynthetic = 150\n{parts}")
    monkeypatch.setenv("HW3_RUNS", str(tmp_path / "runs"))
    study = open_study(str(profile))
    rows, p = out_of_fold(study)
    assert p.shape == (len(rows), 7) and np.allclose(p.sum(1), 1)
    assert len(rows) == len(study.folds.train) + len(study.folds.validation)
    for k in (1, 2, 3):
        cut = study.folds_of(study.recipes[f"part.{k}"])
        assert not np.isin(study.faces.group[cut.validation], study.faces.group[cut.train]).any()
    del study.recipes["part.2"]
    with pytest.raises(UserError, match="judge every training picture once"):
        out_of_fold(study)
