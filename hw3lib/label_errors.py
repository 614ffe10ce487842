"""Which labels may be wrong: out-of-fold confidence, and copies whose labels disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hw3lib import UserError

if TYPE_CHECKING:
    import pandas as pd

    from hw3lib.study import Study


def out_of_fold(study: Study, arm: str = "part") -> tuple[np.ndarray, np.ndarray]:
    """Rows of `study.faces` and their (n, C) probabilities by a network that has not seen them.

    The arm's Recipes cut train and validation together into parts (`split = "part k of K"`); each
    of their Runs judges its own part.

    Raises
    ------
    UserError
        if the arm's parts leave a picture out or judge one twice.
    """
    from scipy.special import softmax

    rows, parts = [], []
    for name in study.arm(arm):
        rows.append(study.folds_of(study.recipes[name]).validation)
        parts.append(softmax(study.run(name).logits("validation").astype(float), axis=1))
    found = np.concatenate(rows)
    pool = np.concatenate([study.folds.train, study.folds.validation])
    if not np.array_equal(np.sort(found), np.sort(pool)):
        raise UserError(
            f"profile {study.profile}: the recipes {arm}.* do not judge every training picture "
            "once; give one for each part, without train_limit on their validation part"
        )
    return found, np.concatenate(parts)


def suspects(probabilities: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Pictures whose label the network contradicts with confidence, the surest first.

    Confident learning (Northcutt, Jiang & Chuang 2021, arXiv:1911.00068): a class counts for a
    picture if its probability reaches the mean probability that pictures labelled so have of it.
    A picture whose most probable counting class is not its label is a candidate.

    probabilities : (n, C), of networks that have not seen the picture;  labels : (n,)

    Returns
    -------
    Columns at (position in the arrays), label, instead (class), margin (probability of that class
    less that of the label), by falling margin.
    """
    import pandas as pd

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


def copies_apart(labels: np.ndarray, group: np.ndarray) -> tuple[int, int]:
    """(pairs of byte-identical pictures whose labels differ, all such pairs)."""
    import pandas as pd

    groups = pd.Series(labels).groupby(np.asarray(group))
    sizes, alike = groups.size(), groups.value_counts()
    pairs = int((sizes * (sizes - 1) // 2).sum())
    return pairs - int((alike * (alike - 1) // 2).sum()), pairs
