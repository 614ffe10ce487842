"""The votes of ten people, worked by hand."""

import numpy as np
import pytest

from hw3lib import metrics, people

C = metrics.C


def test_people_votes():
    # neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown, not a face
    votes = np.array(
        [
            [0, 0, 0, 7, 0, 0, 3, 0, 0, 0],  # Sad
            [5, 0, 0, 5, 0, 0, 0, 0, 0, 0],  # a tie
            [0, 1, 0, 0, 0, 0, 0, 9, 0, 0],  # contempt
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],  # no votes
            [0, 0, 0, 0, 6, 4, 0, 0, 0, 0],  # Angry
        ]
    )
    assert people.majority(votes).tolist() == [4, -1, -1, -1, 0]
    shares = people.vote_shares(votes)
    assert shares[0, 4] == 0.7 and shares[0, 2] == 0.3 and np.isnan(shares[3]).all()
    matrix = people.confusion(votes, np.array([4, 4, 3, 3, 0]))
    assert matrix[4].tolist() == [0, 0, 0.3, 0, 1.2, 0, 0.5]
    assert matrix[3, 3] == 1 and matrix[0, 1] == 0.4


def test_entropy_of_votes():
    votes = np.zeros((4, 10), int)
    votes[0, 1] = 10  # all happy
    votes[1, [0, 3]] = 5  # neutral and sad
    votes[2, [0, 1, 2, 3, 4, 5, 6]] = 1
    votes[3, 8] = 10  # unknown
    assert people.entropy(votes)[:3] == pytest.approx([0, 1, np.log2(7)])
    assert np.isnan(people.entropy(votes)[3])


def test_verdicts_on_mistakes_by_hand():
    votes = np.zeros((5, 10), int)
    votes[0, 1] = votes[1, 1] = votes[2, 1] = votes[4, 1] = 10  # Happy
    labels = np.array([4, 3, 4, 0, 3])
    predictions = np.array([3, 4, 0, 1, 3])
    assert people.verdicts(votes, labels, predictions) == {
        "network": 1, "label": 1, "other": 1, "none": 1,
    }  # fmt: skip
