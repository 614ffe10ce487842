"""A report as data: Chapters of Blocks, numbered and referring to one another.

hw3lib.report.notebook makes them of notebooks, html and pdf render them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hw3lib import UserError
from hw3lib.report.pictures import Images
from hw3lib.text import Text

WORDS = {"figure": Text("圖", "Figure"), "table": Text("表", "Table")}
REFERENCE = re.compile(r"\[@([A-Za-z0-9:_-]+)\]")
MINUS = re.compile(r"(?<![A-Za-z0-9.-])-(?=\.?[0-9])")
INTERVAL = re.compile(r"\[[^\[\],]{1,12}, [^\[\],]{1,12}\]")
SCORES = {
    "best.test.accuracy": Text("測試準確率", "test accuracy"),
    "best.test.accuracy_without_exact_copies": Text("扣除複本", "without exact copies"),
    "best.test.accuracy_without_near_copies": Text(
        "再扣除近似複本", "without exact or near copies"
    ),
}
SYNTHETIC_COVER = Text(
    zh="本報告使用程式繪製的合成人臉，非真人資料；其中的數字不代表真實人臉上的表現。",
    en="This report uses faces drawn by the program, not real people; its numbers say nothing "
    "about real faces.",
)
WITHHELD_COVER = Text(
    zh="照片涉及真人肖像，公開版不附原圖：每一張個別的照片都由平均臉、合成人臉或灰色剪影代替，圖說也如此註明。"
    "所有數字都來自真實照片，與未公開的報告相同。",
    en="The photographs are of real people: in this published copy every single one is withheld, "
    "and mean faces, synthetic faces or grey silhouettes take its place, as the captions say. All "
    "numbers come from the photographs and equal those of the unpublished report.",
)


@dataclass(frozen=True)
class Block:
    """One thing on the page.

    kind   : "heading" (text, level 1-6), "markdown" (text), "answer" (text, data "questions",
             "short"), "figure" (text is the caption; data "alt", "picture", "by_language":
             the same in each alone, "width", "height"), "table" (text is the caption; data
             "columns", "rows": Text, "align"), "picture" (data "picture"), "html" (text is HTML),
             "work" (text), "code", "output", "error" (data "text"), "missing" (text: what and why)
    where  : "05_confusion_matrix, cell 12", counted from 1
    number : of a figure, a table or a section, e.g. "5.2"; "S5.2" where it is supplementary
    detail : on the web page only, folded
    """

    kind: str
    where: str
    text: Text | None = None
    level: int = 0
    data: dict[str, Any] = field(default_factory=dict)
    number: str = ""
    detail: bool = False
    images: Images = field(default_factory=Images)

    @property
    def anchor(self) -> str:
        """What a link leads to, e.g. "figure-5-2"."""
        return f"{self.kind}-{self.number.replace('.', '-').lower()}"


@dataclass(frozen=True)
class Chapter:
    """One notebook: its number (0 where it has none), its title, all that follows in order."""

    notebook: str
    number: int
    title: Text
    blocks: list[Block]


@dataclass(frozen=True)
class Question:
    """One question of the homework, the Chapter that answers it, the results that matter to it."""

    id: str
    title: Text
    chapter: int
    results: tuple[str, ...] = ()


@dataclass(frozen=True)
class Document:
    """A report of one or more Chapters.

    author  : report/author.toml;  facts : label -> value, what the numbers rest on
    date    : ISO 8601, of the newest Run; it stamps the files, so the same Runs give the same bytes
    synthetic, withheld : faces are drawn by the program; photographs are left out
    rerun   : the command that answers question {id} again, or ""
    results, checks : payloads of hw3lib.report.show with "notebook"
    """

    title: Text
    author: dict[str, Any]
    chapters: list[Chapter]
    facts: dict[Text, Text] = field(default_factory=dict)
    date: str = ""
    synthetic: bool = False
    questions: list[Question] = field(default_factory=list)
    withheld: bool = False
    rerun: str = ""
    results: list[dict] = field(default_factory=list)
    checks: list[dict] = field(default_factory=list)

    @property
    def people(self) -> list[Text]:
        """Whose report it is, as its first page says."""
        said = [self.author.get(key) for key in ("name", "id", "department", "course")]
        return [*filter(None, [*said, *self.author.get("collaborators", [])])]

    @property
    def notes(self) -> list[Text]:
        """What the reader must know of the images before anything else."""
        notes = [(self.synthetic, SYNTHETIC_COVER), (self.withheld, WITHHELD_COVER)]
        return [note for said, note in notes if said]

    @property
    def scores(self) -> list[tuple[Text, float]]:
        """Test accuracy of the best network, counted in three ways, as far as it was measured.

        Each label says half the width of its 95 % interval (Wilson) over images.
        """
        from hw3lib.evaluation.intervals import share_interval  # late: statsmodels takes a second

        found, scores = {r["name"]: r for r in self.results}, []
        for name in (name for name in SCORES if name in found and found[name]["value"]):
            value, n, label = found[name]["value"], found[name].get("n"), SCORES[name]
            if n:
                _, low, high = share_interval(round(value * n), n)
                label = Text("{x}（±{h:.1f} pp）", "{x} (±{h:.1f} pp)").format(
                    x=label, h=50 * (high - low)
                )
            scores.append((label, value))
        return scores

    @property
    def blocks(self) -> Iterator[Block]:
        return (block for chapter in self.chapters for block in chapter.blocks)

    @property
    def gaps(self) -> list[str]:
        """A line for each question without an answer and each output that no page can show."""
        asked = [q for q in self.questions if self.answer(q.id) is None]
        lines = [f"question {q.id}: chapter {q.chapter} has no answer({q.id!r}, …)" for q in asked]
        return lines + [f"{b.where}: {b.text.en}" for b in self.blocks if b.kind == "missing"]

    def answer(self, question: str) -> Block | None:
        """Where it is answered: in its own chapter, else in the first that does."""
        own = {q.chapter for q in self.questions if q.id == question}
        chapters = sorted(self.chapters, key=lambda c: c.number not in own)
        blocks = (b for c in chapters for b in c.blocks if b.kind == "answer")
        return next((b for b in blocks if question in b.data["questions"]), None)


def numbered(blocks: Sequence[Block], chapter: int) -> list[Block]:
    """Sections, figures and tables get their numbers; headings go one level down at a time."""
    count: Counter[str] = Counter()
    start = f"{chapter}." if chapter else ""
    done, level = [], 1
    for block in blocks:
        if block.kind == "heading":
            level = min(max(2, block.level), level + 1)
            block = replace(block, level=level)
        if block.kind in WORDS or (block.level == 2 and not block.detail):
            kind = "S" * block.detail + block.kind
            count[kind] += 1
            block = replace(block, number=f"{'S' * block.detail}{start}{count[kind]}")
        done.append(block)
    return done


def referenced(document: Document, works: dict[str, str] | None = None, *, strict=True) -> Document:
    """Every `[@name]` becomes a link to what is shown as `name`, or to a work that is cited.

    A name is looked for in its own chapter, then in the others.
    works : key -> number in the list of references

    Raises
    ------
    UserError
        for a name that two in a chapter have and, where `strict`, for one that nothing has.
    """
    own = [_named(chapter) for chapter in document.chapters]
    anywhere = {key: f"[\\[{number}\\]](#work-{number})" for key, number in (works or {}).items()}
    targets: dict[str, Block | str] = {**anywhere}
    for named in reversed(own):
        targets |= named
    chapters = []
    for chapter, named in zip(document.chapters, own, strict=True):
        known = {**targets, **named}
        blocks = [_linked(block, known, strict) for block in chapter.blocks]
        chapters.append(replace(chapter, blocks=blocks))
    return replace(document, chapters=chapters)


def _named(chapter: Chapter) -> dict[str, Block]:
    found: dict[str, Block] = {}
    for block in chapter.blocks:
        name = block.data.get("name")
        if name and found.setdefault(name, block) is not block:
            raise UserError(f"{block.where}: a second {name!r}")
    return found


def _linked(block: Block, known: dict[str, Block | str], strict: bool) -> Block:
    def link(name: str, code: str) -> str:
        target = known.get(name)
        if target is None and strict:
            names = ", ".join(known) or "none"
            raise UserError(f"{block.where}: [@{name}] names nothing (known: {names})")
        if not isinstance(target, Block):
            return target or f"({name})"
        return f"[{getattr(WORDS[target.kind], code)} {target.number}](#{target.anchor})"

    def linked(text: Text) -> Text:
        zh = REFERENCE.sub(lambda m: link(m[1], "zh"), text.zh)
        return Text(zh, REFERENCE.sub(lambda m: link(m[1], "en"), text.en))

    data = {k: linked(v) if k == "short" else v for k, v in block.data.items()}
    return replace(block, text=block.text and linked(block.text), data=data)


def paragraphs(text: Text) -> list[Text]:
    """Prose cut where both languages begin a new paragraph; an equation that both share is one."""
    zh, en = ([*_paragraphs(t)] for t in (text.zh, text.en))
    return [Text(*pair) for pair in zip(zh, en, strict=True)] if len(zh) == len(en) else [text]


def typeset(text: Text) -> Text:
    """A table's cell: a minus before negative numbers, and intervals that stay on one line."""

    def set_right(said: str) -> str:
        return INTERVAL.sub(lambda m: m[0].replace(" ", "\u00a0"), MINUS.sub("−", said))

    return Text(set_right(text.zh), set_right(text.en))


def goes_on(source: str) -> Iterator[tuple[bool, str]]:
    """(whether it goes on with code or a displayed equation, line)."""
    inside = False
    for line in source.splitlines():
        yield inside, line
        inside ^= line.lstrip().startswith(("```", "~~~")) or line.count("$$") % 2 == 1


def _paragraphs(source: str) -> Iterator[str]:
    """Cut at blank lines, but not within code, a displayed equation or an item of a list."""
    part, blank = [], False
    for inside, line in goes_on(source):
        if line.strip() and blank and not inside and not line[0].isspace():
            yield "\n".join(part).strip("\n")
            part = []
        blank = not line.strip()
        part.append(line)
    yield "\n".join(part).strip("\n")
