"""Numbers for figures and tables, and references to them: `[@name]` in a notebook's Markdown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from hw3lib.report.blocks import Block
from hw3lib.text import Text

WORDS = {"figure": Text("圖", "Figure"), "table": Text("表", "Table")}
REFERENCE = re.compile(r"\[@([a-z0-9-]+)\]")


def numbered(blocks: Sequence[Block], chapter: int) -> list[Block]:
    """Figures and tables get their numbers, "5.1" on; the others stay as they are."""
    count: Counter[str] = Counter()
    done = []
    for block in blocks:
        if block.kind in WORDS:
            count[block.kind] += 1
            block = replace(block, number=f"{chapter}.{count[block.kind]}")
        done.append(block)
    return done


def referenced(blocks: Sequence[Block]) -> list[Block]:
    """Every `[@name]` becomes a link to the figure or table of the same notebook shown as `name`.

    Raises
    ------
    ValueError
        for a name that no figure or table has, and for one that two have.
    """
    places: dict[str, Block] = {}
    for block in blocks:
        name = block.data.get("name")
        if name and places.setdefault(name, block) is not block:
            raise ValueError(f"{block.notebook}, cell {block.cell}: a second {name!r}")
    return [
        replace(block, text=Text(*(_linked(t, code, block, places) for code, t in said)))
        if block.text and (said := (("zh", block.text.zh), ("en", block.text.en)))
        else block
        for block in blocks
    ]


def _linked(text: str, code: str, block: Block, places: dict[str, Block]) -> str:
    def link(match: re.Match) -> str:
        target = places.get(match[1])
        if target is None:
            known = ", ".join(places) or "none"
            raise ValueError(
                f"{block.notebook}, cell {block.cell}: [@{match[1]}] names no figure or table of "
                f"this notebook (known: {known})"
            )
        return f"[{getattr(WORDS[target.kind], code)} {target.number}](#{target.anchor})"

    return REFERENCE.sub(link, text)
