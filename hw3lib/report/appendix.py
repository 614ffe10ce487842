"""After the last chapter: every Recipe with what its Run became, and the works quoted."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from hw3lib import UserError
from hw3lib.bilingual import Text
from hw3lib.recipe import Recipe
from hw3lib.report.blocks import Block
from hw3lib.report.document import Chapter
from hw3lib.runs import Run

NAME = "appendix"
# what pandoc would wrap around each entry; the report sets plain Markdown only
PLAIN = "markdown-fenced_divs-native_divs-raw_html-bracketed_spans-native_spans-raw_attribute"


def appendix(runs: dict[str, Run], bibliography: Path, number: int) -> Chapter:
    """The last Chapter: what was trained and how, and the references."""
    blocks = [
        *_heading("訓練配方與結果", "Recipes and their Runs"),
        _runs_table(runs),
        *(_recipe_line(name, run) for name, run in runs.items()),
        *_heading("參考文獻", "References"),
        _prose(*[references(bibliography)] * 2),
    ]
    return Chapter(NAME, number, Text("附錄", "Appendix"), blocks)


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


def _runs_table(runs: dict[str, Run]) -> Block:
    columns = [
        Text("配方", "recipe"),
        Text("模型", "model"),
        Text("寬度", "width"),
        Text("訓練張數上限", "picture limit"),
        Text("週期", "epochs"),
        Text("採用週期", "kept epoch"),
        Text("秒", "seconds"),
        Text("雜湊", "hash"),
    ]
    rows = []
    for name, run in runs.items():
        recipe, record = run.recipe, run.record
        cells: list[Any] = [
            name, recipe.model, f"{recipe.width:g}", recipe.train_limit or "–",
            f"{record['epochs_run']}/{recipe.epochs}", record["kept_epoch"],
            f"{record['seconds']:.0f}", recipe.hash,
        ]  # fmt: skip
        rows.append([{"zh": str(c), "en": str(c)} for c in cells])
    caption = Text(
        "每個配方與其執行結果；「–」表示使用全部訓練影像。",
        "Every Recipe and what its Run became; “–”: all training pictures.",
    )
    data = {
        "kind": "table",
        "caption": {"zh": caption.zh, "en": caption.en},
        "columns": [{"zh": c.zh, "en": c.en} for c in columns],
        "rows": rows,
        "align": ["left", "left", *["right"] * 5, "left"],
    }
    return Block("table", NAME, 0, caption, data=data)


def _recipe_line(name: str, run: Run) -> Block:
    """What a Recipe sets apart from the defaults."""
    default = Recipe(model=run.recipe.model)
    shown = {"data", "model", "width", "train_limit"}
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
