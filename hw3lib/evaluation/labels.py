"""How good the labels are: copies that disagree, what networks contradict, what people saw."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import softmax

from hw3lib import UserError
from hw3lib.data.labels import majority
from hw3lib.evaluation.intervals import Estimate
from hw3lib.evaluation.metrics import C, row_shares
from hw3lib.evaluation.statistics import grouped_mean
from hw3lib.training.study import Study

VOTE_COLUMNS = [4, 5, 6, 1, 3, 2, 0]  # the column of each class in Faces.votes


def label_noise(
    labels: np.ndarray, copies: np.ndarray, group: np.ndarray
) -> tuple[Estimate, pd.DataFrame]:
    """How often the same image, labelled twice, bears two labels.

    Leave blank images out before: FER2013's eleven make one group whose 55 pairs gave a third of
    all disagreements, 6.2 % instead of 4.1 %, and they show no face.

    copies : (n,) equal for copies of one image, as Faces.exact
    group  : (n,) what the interval draws as a whole, as Faces.group

    Returns
    -------
    The share of pairs of copies whose labels differ, with its interval (the pairs of a group are no
    independent trials); and one row for each image that has copies: copies (its number), n, pairs,
    apart (pairs whose labels differ). Without any the share is NaN.
    """
    by_image = pd.DataFrame({"label": labels, "group": group}).groupby(copies)
    n, alike = by_image.size(), by_image["label"].value_counts()
    alike = (alike * (alike - 1) // 2).groupby(level=0).sum()
    pairs = n * (n - 1) // 2
    frame = pd.DataFrame({"copies": n.index, "n": n, "pairs": pairs, "apart": pairs - alike})
    frame, drawn = frame[n > 1].reset_index(drop=True), by_image["group"].first()[n > 1]
    if frame.empty:
        return Estimate(np.nan, np.nan, np.nan), frame
    weights = frame["pairs"].to_numpy(float)
    return grouped_mean(frame["apart"] / weights, drawn.to_numpy(), weights=weights), frame


def out_of_fold(study: Study) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `study.faces` and their (n, C) probabilities by a network that has not seen them.

    The Recipes `part.*` cut train and validation together into parts (`split = "part k of K"`);
    each of their Runs judges its own part.

    Raises
    ------
    UserError
        if the parts leave an image out or judge one twice.
    """
    rows, parts = [], []
    for name in study.names("part"):
        rows.append(study.folds_of(name).validation)
        parts.append(softmax(study.run(name).logits("validation").astype(float), axis=1))
    found = np.concatenate(rows)
    pool = np.concatenate([study.folds.train, study.folds.validation])
    if not np.array_equal(np.sort(found), np.sort(pool)):
        raise UserError(
            f"profile {study.profile}: the recipes part.* do not judge every training image "
            "once; give one for each part, without train_limit on their validation part"
        )
    return found, np.concatenate(parts)


def suspects(probabilities: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Images whose label the network contradicts with confidence, the most confident first.

    Confident learning (Northcutt, Jiang & Chuang 2021, arXiv:1911.00068): a class counts for an
    image if its probability reaches the mean probability that images labelled so have of it. An
    image whose most probable counting class is not its label is a candidate. The list is as good
    as the network: of one that is right on half the images, most candidates are its own errors.

    probabilities : (n, C), of networks that have not seen the image;  labels : (n,)

    Returns
    -------
    Columns at (position in the arrays), label, instead (class), margin (probability of that class
    less that of the label), by falling margin.
    """
    labels, n = np.asarray(labels), len(labels)
    classes = np.arange(probabilities.shape[1])
    present = np.isin(classes, labels)
    typical = [probabilities[labels == c, c].mean() if present[c] else np.inf for c in classes]
    counting = np.where(probabilities >= np.array(typical), probabilities, -1.0)
    instead = counting.argmax(axis=1)
    margin = probabilities[np.arange(n), instead] - probabilities[np.arange(n), labels]
    at = np.flatnonzero((counting.max(axis=1) >= 0) & (instead != labels))
    at = at[np.argsort(-margin[at], kind="stable")]
    return pd.DataFrame(
        {"at": at, "label": labels[at], "instead": instead[at], "margin": margin[at]}
    )


def vote_shares(votes: np.ndarray) -> np.ndarray:
    """(n, 10) FER+ votes -> (n, C) shares of the votes that fell on the seven classes.

    Votes for contempt, unknown and "not a face" are left out; an image with no other vote has
    a row of NaN.
    """
    return row_shares(np.asarray(votes, dtype=float)[:, VOTE_COLUMNS])


def vote_confusion(votes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(C, C) confusion of one voter: row c adds up the vote shares of images labelled c."""
    shares = vote_shares(votes)
    voted = ~np.isnan(shares[:, 0])
    matrix = np.zeros((C, C))
    np.add.at(matrix, np.asarray(labels)[voted], shares[voted])
    return matrix


def error_verdicts(
    votes: np.ndarray, labels: np.ndarray, predictions: np.ndarray
) -> dict[str, int]:
    """How people's majority stands to the network's errors: counts of those images.

    Keys: "network" (most people see what the network sees: the label may be wrong), "label" (most
    see the label: the network is wrong), "other" (a third class), "none" (no single majority).
    """
    wrong = np.asarray(labels) != np.asarray(predictions)
    seen, y, z = majority(votes)[wrong], labels[wrong], predictions[wrong]
    kinds = np.select([seen < 0, seen == z, seen == y], ["none", "network", "label"], "other")
    return {kind: int((kinds == kind).sum()) for kind in ("network", "label", "other", "none")}
