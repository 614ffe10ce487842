"""The Typst source of a report while it is written: its lines, its pictures, its strings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from hw3lib.report.blocks import pieces
from hw3lib.text import Text


@dataclass
class Source:
    """main.typ, line by line, and the pictures it names."""

    language: str
    lines: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    typst: dict[str, str] = field(default_factory=dict)  # Markdown -> Typst
    titles: dict[str, Text] = field(default_factory=dict)  # of the questions

    def text(self, text: Text | str | int, *, markdown: bool = False, heading: bool = False) -> str:
        """`zh: [...], en: [...]`, as far as the report's language and the text ask for them."""
        if not isinstance(text, Text):
            text = Text(str(text), str(text))
        if heading:
            text = Text(*map(as_heading, (text.zh, text.en)))
        wanted = {"zh": text.zh, "en": text.en}
        if self.language != "both":
            wanted = {self.language: wanted[self.language]}
        elif text.zh == text.en:
            wanted.pop("en")
        convert = (lambda t: f"[{self.typst[t]}]") if markdown or heading else quote
        return ", ".join(f"{code}: {convert(t)}" for code, t in wanted.items() if t.strip())

    def passage(self, text: Text) -> str:
        """Prose as `(zh: [...], en: [...]), ...`; an equation of both languages stands once."""
        parts = pieces(text) if self.language == "both" else [text]
        return ", ".join(f"({self.text(part, markdown=True)})" for part in parts)

    def phrase(self, text: Text | str | int, **options: str) -> str:
        extra = "".join(f"{k}: {v}, " for k, v in options.items())
        return f"phrase({extra}{self.text(text)})"


def quote(text: str) -> str:
    """A Typst string; control characters other than line ends and tabs are dropped."""
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f]|\x1b\[[0-9;]*m", "", text)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def plain(text: Text | str, language: str) -> str:
    return text.in_language(language) if isinstance(text, Text) else str(text)


def as_heading(text: str) -> str:
    return f"# {text}"  # so that "1. Data" is no list


def listed(items: Iterable[str]) -> str:
    """A Typst array of the items."""
    return "(" + "".join(f"{item}, " for item in items) + ")"
