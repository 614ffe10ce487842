"""Labels: planted errors are found, and what is counted is counted by hand."""

import numpy as np
import pytest

from hw3lib import UserError
from hw3lib.evaluation import labels as labelling
from hw3lib.evaluation.intervals import share_interval
from hw3lib.evaluation.labels import label_noise, out_of_fold, suspects
from hw3lib.training.study import open_study

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


def test_label_noise_counts_pairs_and_draws_groups():
    labels = np.array([0, 0, 1, 2, 2, 5])
    group = np.array([7, 7, 7, 3, 3, 1])
    share, table = label_noise(labels, group, group)
    assert share.value == 2 / 4 and table["copies"].tolist() == [3, 7]
    assert table["pairs"].tolist() == [1, 3] and table["apart"].tolist() == [0, 2]
    assert share.low == 0 and share.high == pytest.approx(2 / 3)  # one of the groups, twice
    together, _ = label_noise(labels, group, np.zeros(6))  # near copies: one draw holds both
    assert together == (0.5, 0.5, 0.5)
    assert np.isnan(label_noise(labels[:1], group[:1], group[:1])[0].value)


def test_the_interval_of_label_noise_holds_the_truth_though_groups_differ_in_size():
    """Each label is another one with probability e: pairs differ with 1 - (1-e)^2 - e^2 / 6."""
    rng, e, held, narrow = np.random.default_rng(1), 0.05, [], []
    truth = 1 - (1 - e) ** 2 - e**2 / 6
    sizes = np.r_[np.full(150, 2), np.full(15, 6)]
    group = np.repeat(np.arange(165), sizes)
    for _ in range(50):
        wrong = rng.random(len(group)) < e
        labels = np.where(wrong, rng.integers(1, 7, len(group)), 0)
        share, table = label_noise(labels, group, group)
        held.append(share.low <= truth <= share.high)
        pooled = share_interval(table["apart"].sum(), table["pairs"].sum())
        narrow.append(pooled.low <= truth <= pooled.high)
    assert 0.87 <= np.mean(held) <= 0.99
    assert np.mean(narrow) < np.mean(held) - 0.05  # pairs of one group are no independent trials


def test_every_training_image_is_judged_once_by_a_network_that_has_not_seen_it(
    tmp_path, monkeypatch
):
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
        cut = study.folds_of(f"part.{k}")
        assert not np.isin(study.faces.group[cut.validation], study.faces.group[cut.train]).any()
    del study.recipes["part.2"]
    with pytest.raises(UserError, match="judge every training image once"):
        out_of_fold(study)


def test_people_votes():
    # neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown, not a face
    votes = np.zeros((5, 10), int)
    votes[0, [3, 6]] = 7, 3  # Sad
    votes[1, [0, 3]] = 5  # a tie
    votes[2, [1, 7]] = 1, 9  # contempt; the fourth has no votes
    votes[4, [4, 5]] = 6, 4  # Angry
    assert labelling.majority(votes).tolist() == [4, -1, -1, -1, 0]
    shares = labelling.vote_shares(votes)
    assert shares[0, 4] == 0.7 and shares[0, 2] == 0.3 and np.isnan(shares[3]).all()
    matrix = labelling.vote_confusion(votes, np.array([4, 4, 3, 3, 0]))
    assert matrix[4].tolist() == [0, 0, 0.3, 0, 1.2, 0, 0.5]
    assert matrix[3, 3] == 1 and matrix[0, 1] == 0.4


def test_verdicts_on_errors_by_hand():
    votes = np.zeros((5, 10), int)
    votes[0, 1] = votes[1, 1] = votes[2, 1] = votes[4, 1] = 10  # Happy
    labels = np.array([4, 3, 4, 0, 3])
    predictions = np.array([3, 4, 0, 1, 3])
    assert labelling.error_verdicts(votes, labels, predictions) == {
        "network": 1, "label": 1, "other": 1, "none": 1,
    }  # fmt: skip
