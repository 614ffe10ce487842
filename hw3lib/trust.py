"""The verdict on each attribution: methods x checks, decided by rules fixed beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hw3lib.evaluation.metrics import Estimate
from hw3lib.saliency import known
from hw3lib.saliency_checks import LIMIT, above, mean_interval, notices_redrawing
from hw3lib.text import Text, listing

if TYPE_CHECKING:
    import pandas as pd

SIGNS = {True: "○", False: "×", None: "△"}
LEAST = 0.02  # area between curves, share of answers: less is nothing worth the name


@dataclass(frozen=True)
class Finding:
    """A check's figure for one method, and whether it passes; None where that is not certain."""

    value: Estimate
    passes: bool | None

    def __str__(self) -> str:
        return f"{self.value:.2f} {SIGNS[self.passes]}"


@dataclass(frozen=True)
class Check:
    """title : of the table's row;  rule : what it takes to pass;  must : without it, no trust"""

    title: Text
    rule: Text
    must: bool = False


CHECKS = {
    "redrawn": Check(
        Text("重抽權重", "weights redrawn"),
        Text(f"一半的層重抽後，等級相關低於 {LIMIT}",
             f"rank correlation with half of the layers redrawn below {LIMIT}"), True),
    "deletion": Check(
        Text("抹去", "deletion"),
        Text(f"比隨機順序掉得快，面積超過 {LEAST}",
             f"falls faster than a random order, by an area above {LEAST}")),
    "insertion": Check(
        Text("放回", "insertion"),
        Text(f"比隨機順序升得快，面積超過 {LEAST}",
             f"rises faster than a random order, by an area above {LEAST}")),
    "infidelity": Check(
        Text("預測遮擋", "infidelity"),
        Text(f"塗灰一塊時 logit 下降多少，圖預先說中的比例超過 {LEAST}",
             f"foretells how far the logit falls when a square is greyed: a share above {LEAST}")),
    "sensitivity": Check(
        Text("微小雜訊", "sensitivity"),
        Text(f"看不見的雜訊使圖改變不到自身大小的 {LIMIT}",
             f"noise nobody sees changes the map by less than {LIMIT} of its size")),
    "shift": Check(
        Text("平移一像素", "one-pixel shift"),
        Text(f"平移一個像素後，等級相關高於 {LIMIT}",
             f"rank correlation after a shift by one pixel above {LIMIT}")),
}  # fmt: skip


def redrawing(check: pd.DataFrame, methods) -> dict[str, Finding]:
    """From saliency_checks.randomisation_check."""
    found = {m: notices_redrawing(check, m) for m in methods}
    return {m: Finding(half, verdict) for m, (half, _, verdict) in found.items()}


def over_random(
    values: Mapping[str, np.ndarray], random: np.ndarray, *, sign: int = 1
) -> dict[str, Finding]:
    """Means over the steps or, for (N,), the values themselves, less those of random maps.

    values : method -> (N, steps) or (N,);  random : the same shape;  sign : -1 where less is better
    """

    def gain(found: np.ndarray) -> np.ndarray:
        difference = sign * (found - random)
        return difference.mean(1) if difference.ndim == 2 else difference

    estimates = {m: mean_interval(gain(v)) for m, v in values.items()}
    return {m: Finding(e, above(e, LEAST)) for m, e in estimates.items()}


def against_limit(
    values: Mapping[str, np.ndarray], *, below: bool, limit: float = LIMIT
) -> dict[str, Finding]:
    """method -> (N,) values whose mean is to lie below, or above, the limit."""

    def judged(estimate: Estimate) -> bool | None:
        higher = above(estimate, limit)
        return higher if higher is None or not below else not higher

    estimates = {m: mean_interval(v) for m, v in values.items()}
    return {m: Finding(e, judged(e)) for m, e in estimates.items()}


Findings = Mapping[str, Mapping[str, Finding]]  # check -> method -> Finding


def trusted(findings: Findings, method: str) -> bool | None:
    """Whether the method's pictures may be believed.

    False where it misses a check that it must pass, or marks nothing that the decision hangs on
    (neither deletion nor insertion passes); True where it passes those and fails no other; None
    between.
    """
    passed = {name: found[method].passes for name, found in findings.items()}
    useful = [passed[n] for n in ("deletion", "insertion") if n in passed]
    if any(passed[n] is False for n in passed if CHECKS[n].must) or not any(useful):
        return False
    must = all(passed[n] for n in passed if CHECKS[n].must)
    return True if must and False not in passed.values() else None


def failed(findings: Findings, method: str) -> list[Text]:
    """Titles of the checks that the method does not pass for certain."""
    return [CHECKS[n].title for n, found in findings.items() if not found[method].passes]


VERDICTS = {
    True: Text("可信", "believe it"),
    None: Text("保留", "with care"),
    False: Text("不可信", "do not"),
}


def table(findings: Findings, methods) -> pd.DataFrame:
    """A row for each check, a column for each method, the verdict below."""
    import pandas as pd

    methods = list(methods)
    rows = [
        [CHECKS[name].title, *(str(found[m]) for m in methods)] for name, found in findings.items()
    ]
    rows.append([Text("判定", "verdict"), *(VERDICTS[trusted(findings, m)] for m in methods)])
    return pd.DataFrame(rows, columns=[Text("檢驗", "check"), *(known(m).title for m in methods)])


def remarks(findings: Findings, methods, *, say: Callable = listing) -> Text:
    """For each method the verdict and the checks it did not pass for certain, as one sentence."""
    parts = []
    for m in methods:
        verdict, missed, title = VERDICTS[trusted(findings, m)], failed(findings, m), known(m).title
        names = say(missed) if missed else Text("無", "none")
        parts.append(
            Text(
                f"{title.zh}：{verdict.zh}（未確定通過：{names.zh}）",
                f"{title.en}: {verdict.en} (not passed for certain: {names.en})",
            )
        )
    return Text("；".join(p.zh for p in parts), "; ".join(p.en for p in parts))
