"""How derivations are shown: each step's reason and formula, then what checking them gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hw3lib.derivations.checking import check
from hw3lib.derivations.claims import Checked, Derivation
from hw3lib.derivations.terms import decimal
from hw3lib.report import show as display
from hw3lib.report.show import say
from hw3lib.text import Text, listing

if TYPE_CHECKING:
    import pandas as pd

    from hw3lib.derivations.claims import Claim
    from hw3lib.derivations.errata import Erratum

HEADERS = {
    "setting": Text("設定", "setting"),
    "torch says": Text("PyTorch 的回應", "PyTorch says"),
    "layer": Text("層", "layer"),
    "input": Text("輸入寬度", "input width"),
    "formula": Text("公式", "formula"),
    "torch": Text("PyTorch", "PyTorch"),
    "scale": Text("放大倍數", "scale"),
    "naive": Text("照原式", "as given"),
    "stable": Text("log-sum-exp", "log-sum-exp"),
    "reference": Text("雙精度參考值", "double precision"),
    "gradient": Text("梯度最大誤差", "largest gradient error"),
}


def bilingual(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with column names in both languages."""
    return frame.rename(columns=lambda name: HEADERS.get(name, name))


def show(derivation: Derivation) -> None:
    """Every step with its reason in both languages, the formula once, and the check at the end."""
    for claim in derivation.claims:
        say(
            zh="**{name}**　{reason}",
            en="**{name}** {reason}",
            name=claim.name,
            reason=claim.reason,
        )
        formula(claim)
    say(zh="{line}", en="{line}", line=checked_line([check(c) for c in derivation.claims]))


def formula(claim: Claim) -> None:
    """The claim's formula, displayed; the same in both languages."""
    say(zh="{tex}", en="{tex}", tex=f"$$\n{claim.statement}\n$$")


def checked_line(results: list[Checked]) -> Text:
    """What checking gave, in a sentence; where a step fails, its counter-example."""
    for result in results:
        if not result.holds:
            wrong = Text("**{name} 不成立**：{found}", "**{name} does not hold**: {found}")
            return fill(wrong, name=result.claim.name, found=_found(result))
    line = Text(
        "**已檢查** {steps} 步：{algebra}；{numbers}。",
        "**Checked**, {steps} steps: {algebra}; {numbers}.",
    )
    return fill(line, steps=len(results), algebra=_algebra(results), numbers=_numbers(results))


def _algebra(results: list[Checked]) -> Text:
    scopes = list(dict.fromkeys(r.claim.world.scope for r in results if r.algebra))
    rest = listing(Text(r.claim.name, r.claim.name) for r in results if not r.algebra)
    text = Text("代數 $\\checkmark$（{scope}）", "algebra $\\checkmark$ ({scope})")
    if rest.en:
        text = Text(text.zh + "，{rest} 只比對數值", text.en + ", {rest} by numbers only")
    scope = Text("；".join(s.zh for s in scopes), "; ".join(s.en for s in scopes))
    return fill(text, scope=scope, rest=rest)


def _numbers(results: list[Checked]) -> Text:
    """Cases a step and largest error: of the first oracles, then of the second where there are."""
    parts = []
    for place in range(max(len(r.compared) for r in results)):
        asked = [r.compared[place] for r in results if len(r.compared) > place]
        text = Text(
            "每步 {cases} 個隨機案例對照{names}，最大相對誤差{error}",
            "{cases} random cases a step against {names}, largest relative error {error}",
        )
        names = listing(dict.fromkeys(oracle.name for oracle, *_ in asked))
        part = fill(
            text,
            names=Text(f" {names.zh}" if names.zh[0].isascii() else names.zh, names.en),
            cases=min(cases for _, cases, _ in asked),
            error=_error(max(error for *_, error in asked)),
        )
        parts.append(part)
    return Text("；".join(p.zh for p in parts), "; ".join(p.en for p in parts))


def _error(error: float) -> Text:
    if error == 0:
        return Text("為 0（完全相等）", "0 (exactly equal)")
    return Text(f" ${decimal(error, 1)}$", f"${decimal(error, 1)}$")


def _found(result: Checked) -> Text:
    found = result.counterexample
    text = Text(
        "反例 {where}：左邊 ${left}$，右邊 ${right}$",
        "counter-example {where}: left ${left}$, right ${right}$",
    )
    where = listing(Text(f"${fact}$", f"${fact}$") for fact in found.where)
    return fill(text, where=where, left=found.left, right=found.right)


def fill(text: Text, **values) -> Text:
    """Format both languages; a Text among the values gives each its own."""
    zh, en = (
        {k: getattr(v, code) if isinstance(v, Text) else v for k, v in values.items()}
        for code in ("zh", "en")
    )
    return Text(text.zh.format(**zh), text.en.format(**en))


def show_errata(errata: tuple[Erratum, ...]) -> None:
    """Each fault as it was handed in, the counter-example that refutes it, and what is right."""
    for erratum in errata:
        fault, right = erratum.fault, erratum.right
        say(
            zh="**{name}**　{reason}",
            en="**{name}** {reason}",
            name=fault.name,
            reason=fault.reason,
        )
        formula(fault)
        refuted, mended = check(fault), check(right)
        if refuted.holds or not mended.holds:
            say(zh="**檢查結果與勘誤不符。**", en="**The check contradicts this erratum.**")
            continue
        say(
            zh="{found}。更正為 {name}：",
            en="Refuted by a {found}. Corrected as {name}:",
            found=_found(refuted),
            name=right.name,
        )
        formula(right)


def record(question: str, derivations: tuple[Derivation, ...], errata: tuple[Erratum, ...]) -> None:
    """Leave in the notebook, for the grader's panel, what checking a question's steps gave."""
    results = [check(claim) for derivation in derivations for claim in derivation.claims]
    compared = [c for r in results for c in r.compared]
    error, cases = max(r.compared[0][2] for r in results), sum(cases for _, cases, _ in compared)
    rule = "algebra, and random cases against PyTorch or autograd"
    facts = {"steps": len(results), "largest_error": error}
    for name, value in facts.items():
        display.result(f"proof.{question}.{name}", value, split="none", rule=rule, n=cases)
    display.check(
        f"proof.{question}",
        all(r.holds for r in results),
        zh="{q}：{n} 個步驟都通過代數與 {cases:,} 次數值比對，最大相對誤差 {error:.0e}。",
        en="{q}: all {n} steps hold by algebra and in {cases:,} numerical comparisons, largest "
        "relative error {error:.0e}.",
        q=question, n=len(results), cases=cases, error=error,
    )  # fmt: skip
    display.check(
        f"errata.{question}",
        all(check(e.right).holds and not check(e.fault).holds for e in errata),
        zh="{q}：以往作業的 {n} 個錯誤都找到反例，更正後成立。",
        en="{q}: each of {n} faults of earlier hand-ins is refuted by a counter-example and holds "
        "as corrected.",
        q=question, n=len(errata),
    )  # fmt: skip


def overview(derivations: tuple[Derivation, ...]) -> pd.DataFrame:
    """One row a derivation: its steps, how they were proved and compared, the largest error."""
    import pandas as pd

    rows = []
    for derivation in derivations:
        results = [check(claim) for claim in derivation.claims]
        asked = [compared for r in results for compared in r.compared]
        scopes = dict.fromkeys(r.claim.world.scope for r in results if r.algebra)
        names = [claim.name for claim in derivation.claims]
        rows.append(
            (
                names[0] if len(names) == 1 else f"{names[0]}–{names[-1].split('.')[-1]}",
                Text("；".join(s.zh for s in scopes), "; ".join(s.en for s in scopes)),
                listing(dict.fromkeys(oracle.name for oracle, *_ in asked)),
                sum(cases for _, cases, _ in asked),
                f"{max(r.compared[0][2] for r in results):.0e}".replace("0e+00", "0"),
            )
        )
    columns = [
        Text("步驟", "steps"),
        Text("代數證明範圍", "algebra proved for"),
        Text("數值對照", "numbers against"),
        Text("比對次數", "comparisons"),
        Text("最大相對誤差", "largest relative error"),
    ]
    return pd.DataFrame(rows, columns=columns)
