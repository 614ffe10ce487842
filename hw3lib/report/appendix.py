"""After the last chapter: every Recipe with what its Run became, and the works quoted."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from hw3lib import UserError
from hw3lib.report.blocks import Block
from hw3lib.report.document import Chapter
from hw3lib.report.references import numbered
from hw3lib.text import Text
from hw3lib.training.recipe import Recipe
from hw3lib.training.runs import Run

NAME = "appendix"
SEED = re.compile(r"\.\d+$")  # of an arm's Runs: "small.0", "small.1"
# what pandoc would wrap around each entry; the report sets plain Markdown only
PLAIN = "markdown-fenced_divs-native_divs-raw_html-bracketed_spans-native_spans-raw_attribute"


def appendix(runs: dict[str, Run], bibliography: Path, number: int) -> Chapter:
    """The last Chapter: what was trained and how, and the references."""
    arms: dict[str, list[Run]] = {}
    for name, run in runs.items():
        arms.setdefault(SEED.sub("", name), []).append(run)
    blocks = [
        *_heading("訓練配方與結果", "Recipes and their Runs"),
        _runs_table(arms),
        *(_recipe_line(name, seeds[0]) for name, seeds in arms.items()),
        *_heading("參考文獻", "References"),
        _prose(*[references(bibliography)] * 2),
    ]
    return Chapter(NAME, number, Text("附錄", "Appendix"), numbered(blocks, number))


def references(bibliography: Path) -> str:
    """All entries of a BibTeX file as Markdown paragraphs, in the Chicago style of pandoc.

    Raises
    ------
    UserError
        if the file is missing or pandoc cannot read it.
    """
    import pypandoc

    options = ["--citeproc", "--bibliography", str(bibliography), "--wrap=none"]
    try:
        return pypandoc.convert_text(
            '---\nnocite: "@*"\nlang: en\n---\n', PLAIN, format="markdown", extra_args=options
        ).strip()
    except RuntimeError as error:
        line = str(error).strip().splitlines()[-1]
        raise UserError(f"{bibliography}: pandoc cannot read it ({line})") from None


def _runs_table(arms: dict[str, list[Run]]) -> Block:
    columns = [
        Text("配方", "recipe"),
        Text("模型", "model"),
        Text("寬度", "width"),
        Text("訓練張數上限", "picture limit"),
        Text("種子", "seeds"),
        Text("跑完週期", "epochs run"),
        Text("採用週期", "kept epoch"),
        Text("秒", "seconds"),
        Text("雜湊", "hashes"),
    ]
    rows = []
    for name, runs in arms.items():
        recipe, records = runs[0].recipe, [run.record for run in runs]
        cells: list[Any] = [
            name, recipe.model, f"{recipe.width:g}", recipe.train_limit or "–", len(runs),
            _range([r["epochs_run"] for r in records]), _range([r["kept_epoch"] for r in records]),
            f"{sum(r['seconds'] for r in records):.0f}", " ".join(r.recipe.hash for r in runs),
        ]  # fmt: skip
        rows.append([{"zh": str(c), "en": str(c)} for c in cells])
    caption = Text(
        "每個配方與其執行結果，同一配方的種子合為一列，秒數為其總和；「–」表示使用全部訓練影像。",
        "Every Recipe and what its Runs became, the seeds of one in a row and their seconds added "
        "up; “–”: all training pictures.",
    )
    data = {
        "kind": "table",
        "caption": {"zh": caption.zh, "en": caption.en},
        "columns": [{"zh": c.zh, "en": c.en} for c in columns],
        "rows": rows,
        "align": ["left", "left", *["right"] * 6, "left"],
    }
    return Block("table", NAME, 0, caption, data=data)


def _range(values: list[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low}–{high}"


def _recipe_line(name: str, run: Run) -> Block:
    """What a Recipe sets apart from the defaults."""
    default = Recipe(model=run.recipe.model)
    shown = {"data", "model", "width", "train_limit", "seed"}
    said = ", ".join(
        f"{f.name} = {getattr(run.recipe, f.name)}"
        for f in fields(Recipe)
        if f.name not in shown and getattr(run.recipe, f.name) != getattr(default, f.name)
    )
    line = f"`{name}`: {said}"
    return _prose(line, line)


def _heading(zh: str, en: str) -> list[Block]:
    return [Block("heading", NAME, 0, Text(zh, en), level=2)]


def _prose(zh: str, en: str) -> Block:
    return Block("markdown", NAME, 0, Text(zh, en))
