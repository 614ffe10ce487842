"""What people saw: the FER+ votes of ten people beside the official labels."""

from __future__ import annotations

import numpy as np

from hw3lib.metrics import C, row_shares

VOTE_COLUMNS = [4, 5, 6, 1, 3, 2, 0]  # the column of each class in Faces.votes


def vote_shares(votes: np.ndarray) -> np.ndarray:
    """(n, 10) FER+ votes -> (n, C) shares of the votes that fell on the seven classes.

    Votes for contempt, unknown and "not a face" are left out; a picture with no other vote has
    a row of NaN.
    """
    seven = np.asarray(votes, dtype=float)[:, VOTE_COLUMNS]
    return row_shares(seven)


def majority(votes: np.ndarray) -> np.ndarray:
    """(n, 10) FER+ votes -> (n,) the class with most votes, -1 where there is none.

    None: no votes, most votes for something outside the seven classes, or a tie for the first
    place.
    """
    votes = np.asarray(votes)
    most = votes.max(1)
    single = (votes == most[:, None]).sum(1) == 1
    seven = votes[:, VOTE_COLUMNS]
    return np.where(single & (seven.max(1) == most), seven.argmax(1), -1)


def confusion(votes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(C, C) confusion of one voter: row c adds up the vote shares of pictures labelled c."""
    shares = vote_shares(votes)
    voted = ~np.isnan(shares[:, 0])
    matrix = np.zeros((C, C))
    np.add.at(matrix, np.asarray(labels)[voted], shares[voted])
    return matrix


def entropy(votes: np.ndarray) -> np.ndarray:
    """(n, 10) FER+ votes -> (n,) entropy in bits of the shares on the seven classes.

    0 where all agree, log2 7 = 2.81 where the votes are spread evenly; NaN without votes.
    """
    from scipy.stats import entropy as shannon

    return shannon(vote_shares(votes), base=2, axis=1)


def verdicts(votes: np.ndarray, labels: np.ndarray, predictions: np.ndarray) -> dict[str, int]:
    """How people's majority stands to the network's mistakes: counts of those pictures.

    Keys: "network" (most people see what the network sees: the label may be wrong), "label" (most
    see the label: the network is wrong), "other" (a third class), "none" (no single majority).
    """
    wrong = np.asarray(labels) != np.asarray(predictions)
    seen, y, z = majority(votes)[wrong], labels[wrong], predictions[wrong]
    return {
        "network": int((seen == z).sum()),
        "label": int((seen == y).sum()),
        "other": int(((seen >= 0) & (seen != y) & (seen != z)).sum()),
        "none": int((seen < 0).sum()),
    }
