"""A report as data: what its notebooks say and show, as Blocks that HTML and PDF render.

Every ordinary output of a notebook has its Block, with or without words of hw3lib.report.show: a
student's own plots, tables and prints appear as nbconvert would show them.
"""

from __future__ import annotations

import base64
import io
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from nbformat import NotebookNode

from hw3lib import UserError
from hw3lib.report.execute import INJECTED, code_cells, tags
from hw3lib.report.show import MIME
from hw3lib.text import LANGUAGES, Text

WORDS = {"figure": Text("圖", "Figure"), "table": Text("表", "Table")}
LANGUAGE_TAGS = {"lang-zh": "zh", "lang-en": "en"}
PICTURES = ("image/svg+xml", "image/png", "image/jpeg", "image/webp", "image/gif")
LARGEST = 50_000_000  # pixels of a picture
HEADING = re.compile(r"(#{1,6}) +(.+?) *#*$")
REFERENCE = re.compile(r"\[@([A-Za-z0-9:_-]+)\]")
MINUS = re.compile(r"(?<![A-Za-z0-9.-])-(?=\.?[0-9])")
INTERVAL = re.compile(r"\[[^\[\],]{1,12}, [^\[\],]{1,12}\]")
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
TAGS = re.compile(r"<(script|style)\b.*?</\1\s*>|<(?!img)[^>]*>", re.IGNORECASE | re.DOTALL)
SCORES = {
    "best.test.accuracy": Text("測試準確率", "test accuracy"),
    "best.test.accuracy_without_exact_copies": Text("不計完全相同的影像", "without exact copies"),
    "best.test.accuracy_without_near_copies": Text("再不計近似的影像", "without near copies"),
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
NOT_RUN = Text(
    zh="**尚未執行**：這本筆記本還沒有結果。請先執行全部儲存格（nbconvert 加 `--execute`）再匯出。",
    en="**Not run**: this notebook has no results yet. Run all its cells (or give nbconvert "
    "`--execute`) and export it again.",
)


class Picture(NamedTuple):
    """An image file."""

    mime: str
    data: bytes


@dataclass(frozen=True)
class Images:
    """The images that a Markdown cell may name: attachments, and files beside its notebook."""

    folder: Path | None = None
    attachments: dict[str, dict[str, str]] = field(default_factory=dict)

    def find(self, place: str) -> Picture:
        """The image; LookupError says why it cannot be shown."""
        name = unquote(place)
        if name.startswith("attachment:"):
            return first_picture(self.attachments.get(name.removeprefix("attachment:"), {}))
        if re.match(r"[a-z]+:", name):
            raise LookupError("only files beside the notebook are taken in; download it there")
        file = (self.folder or Path()).resolve() / name
        if self.folder is None or self.folder.resolve() not in file.resolve().parents:
            raise LookupError("outside the notebook's folder; copy it there")
        if not file.is_file():
            raise LookupError("no such file")
        return picture("image/svg+xml" if file.suffix.lower() == ".svg" else "", file.read_bytes())


@dataclass(frozen=True)
class Block:
    """One thing on the page.

    kind   : "heading" (text, level 1-6), "markdown" (text), "answer" (text, data "questions",
             "short"), "figure" (text is the caption; data "alt", "picture", "width", "height"),
             "table" (text is the caption; data "columns", "rows": Text, "align"), "picture" (data
             "picture"), "html" (text is HTML), "work" (text), "code", "output", "error" (data
             "text"), "missing" (text: what and why)
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
    marks: float | None
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
    def notes(self) -> list[Text]:
        """What the reader must know of the images before anything else."""
        notes = [(self.synthetic, SYNTHETIC_COVER), (self.withheld, WITHHELD_COVER)]
        return [note for said, note in notes if said]

    @property
    def scores(self) -> list[tuple[Text, float]]:
        """Test accuracy of the best network, counted in three ways, as far as it was measured."""
        found = {r["name"]: r["value"] for r in self.results}
        return [(label, found[name]) for name, label in SCORES.items() if found.get(name)]

    @property
    def blocks(self) -> Iterator[Block]:
        return (block for chapter in self.chapters for block in chapter.blocks)

    def answer(self, question: str) -> Block | None:
        """Where it is answered: in its own chapter, else in the first that does."""
        own = {q.chapter for q in self.questions if q.id == question}
        chapters = sorted(self.chapters, key=lambda c: c.number not in own)
        blocks = (b for c in chapters for b in c.blocks if b.kind == "answer")
        return next((b for b in blocks if question in b.data["questions"]), None)


def chapter_of(nb: NotebookNode, notebook: str, folder: Path | None = None) -> Chapter:
    """The Chapter of an executed (or clean) notebook; `folder` is where its images lie.

    Its title is its first level-1 heading; what a report cannot number is set right: a second
    title becomes a section, a level that is skipped is filled.

    Raises
    ------
    UserError
        naming the cell, for halves of a Pair that do not fit or a forged output.
    """
    blocks = list(_blocks(nb, notebook, folder))
    digits, _, rest = notebook.partition("_")
    number = int(digits) if digits.isdigit() else 0
    title = next((b for b in blocks if b.kind == "heading" and b.level == 1), None)
    words = title.text if title else _same((rest or notebook).replace("_", " "))
    return Chapter(notebook, number, words, numbered([b for b in blocks if b is not title], number))


def one_notebook(nb: NotebookNode, notebook: str, folder: Path | None = None) -> Document:
    """The Document of one notebook by itself, for the exporters; one without results says so."""
    chapter = chapter_of(nb, notebook, folder)
    if not has_results(nb):
        chapter.blocks.insert(0, Block("markdown", notebook, NOT_RUN))
    synthetic = any(p.get("synthetic") for p in _payloads(nb, "study"))
    return referenced(Document(chapter.title, {}, [chapter], synthetic=synthetic), strict=False)


def language_of(nb: NotebookNode) -> str:
    """The language a notebook was run in; "both" where it does not say."""
    said = next((p.get("language") for p in _payloads(nb, "study")), "both")
    return said if said in LANGUAGES else "both"


def has_results(nb: NotebookNode) -> bool:
    """Whether any cell was run; a notebook without code has nothing to run."""
    code = [c for c in nb.cells if c.cell_type == "code" and c.source.strip()]
    return not code or any(c.get("execution_count") or c.get("outputs") for c in code)


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


def collect(notebooks: dict[str, NotebookNode], kind: str) -> list[dict]:
    """Every "result" or "check" of the notebooks, each name and split once, with its notebook.

    Raises
    ------
    UserError
        if two notebooks state different values under one name.
    """
    found: dict[tuple, dict] = {}
    for notebook, nb in notebooks.items():
        for payload in _payloads(nb, kind):
            fresh = {k: v for k, v in payload.items() if k != "kind"} | {"notebook": notebook}
            with _made_by_show(notebook):
                if kind == "result":
                    value = float(fresh["value"])
                    fresh["value"] = value if math.isfinite(value) else None
                kept = found.setdefault((fresh["name"], fresh.get("split")), fresh)
            if kept.get("value") != fresh.get("value"):
                raise UserError(
                    f"{fresh['name']} on {fresh['split']}: {kept['value']} in {kept['notebook']}, "
                    f"{fresh['value']} in {notebook}; name them apart"
                )
    return list(found.values())


def ran_through(notebooks: dict[str, NotebookNode]) -> dict:
    """The check that `execute_notebooks` makes of every notebook that it keeps."""
    failed = [name for name, nb in notebooks.items() if "fault" in nb.metadata.get("hw3", {})]
    n, cells = len(notebooks), sum(len(code_cells(nb)) for nb in notebooks.values())
    zh = f"{n} 本筆記本、{cells} 個程式格：每本都在一個核心裡從頭執行到尾，沒有錯誤。"
    en = f"{n} notebooks, {cells} code cells: each ran through in one kernel, without an error."
    if failed:
        zh, en = f"{len(failed)} 本沒有執行完。", f"{len(failed)} notebooks did not run through."
    return {"name": "notebooks.complete", "holds": not failed, "zh": zh, "en": en}


def paragraphs(text: Text) -> list[Text]:
    """Prose cut where both languages begin a new paragraph; an equation that both share is one."""
    zh, en = ([*_paragraphs(t)] for t in (text.zh, text.en))
    return [Text(*pair) for pair in zip(zh, en, strict=True)] if len(zh) == len(en) else [text]


def typeset(text: Text) -> Text:
    """A table's cell: a minus before negative numbers, and intervals that stay on one line."""

    def set_right(said: str) -> str:
        return INTERVAL.sub(lambda m: m[0].replace(" ", "\u00a0"), MINUS.sub("−", said))

    return Text(set_right(text.zh), set_right(text.en))


def picture(mime: str, data: str | bytes) -> Picture:
    """An image from its base64 or its bytes (an SVG: its text); LookupError where it is none."""
    from PIL import Image

    try:
        if mime == "image/svg+xml":
            text = data.decode() if isinstance(data, bytes) else data
            if "<svg" not in text:
                text = base64.b64decode(text, validate=True).decode()
            return Picture(mime, text[text.index("<svg") :].encode())
        raw = base64.b64decode(data) if isinstance(data, str) else data
        with Image.open(io.BytesIO(raw), formats=("PNG", "JPEG", "WEBP", "GIF")) as opened:
            if opened.width * opened.height > LARGEST:
                raise ValueError("too large")
            opened.load()
            return Picture(Image.MIME[opened.format], raw)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise LookupError("no picture that can be read") from None


def first_picture(bundle: dict[str, str]) -> Picture:
    """The best image of an output or an attachment; LookupError where there is none."""
    mime = next((m for m in PICTURES if m in bundle), "")
    return picture(mime, bundle.get(mime, ""))


def _same(text: str) -> Text:
    return Text(text, text)


def _payloads(nb: NotebookNode, kind: str) -> Iterator[dict]:
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            payload = output.get("data", {}).get(MIME)
            if isinstance(payload, dict) and payload.get("kind") == kind:
                yield payload


def _blocks(nb: NotebookNode, notebook: str, folder: Path | None) -> Iterator[Block]:
    waiting, number = None, 0
    for cell in nb.cells:
        number += INJECTED not in tags(cell)
        images, detail = Images(folder, cell.get("attachments", {})), "detail" in tags(cell)
        like = Block("", f"{notebook}, cell {number}", detail=detail, images=images)
        code = next((c for tag, c in LANGUAGE_TAGS.items() if tag in tags(cell)), None)
        if cell.cell_type == "markdown" and code == "zh" and waiting is None:
            waiting = cell.source
            continue
        if (code == "en") != (waiting is not None) or code == "zh":
            raise UserError(f"{like.where}: lang-zh and lang-en cells must stand in adjacent pairs")
        if cell.cell_type == "markdown":
            yield from _prose(Text(cell.source if waiting is None else waiting, cell.source), like)
            waiting = None
        elif cell.cell_type == "code":
            if cell.source.strip() and "prose" not in tags(cell):
                yield replace(like, kind="code", data={"text": cell.source})
            for output in cell.get("outputs", []):
                yield from _output(output, like)
        elif cell.source.strip():
            yield replace(like, kind="output", data={"text": cell.source})
    if waiting is not None:
        raise UserError(f"{notebook}: the last lang-zh cell has no lang-en cell")


def _lines(source: str) -> Iterator[tuple[bool, str]]:
    """(whether it goes on with code or a displayed equation, line)."""
    inside = False
    for line in source.splitlines():
        yield inside, line
        inside ^= line.lstrip().startswith(("```", "~~~")) or line.count("$$") % 2 == 1


def _paragraphs(source: str) -> Iterator[str]:
    """Cut at blank lines, but not within code, a displayed equation or an item of a list."""
    part, blank = [], False
    for inside, line in _lines(source):
        if line.strip() and blank and not inside and not line[0].isspace():
            yield "\n".join(part).strip("\n")
            part = []
        blank = not line.strip()
        part.append(line)
    yield "\n".join(part).strip("\n")


def _sections(source: str) -> list[tuple[int, str, str]]:
    """(level, heading, what follows it), the first without a heading."""
    parts: list[tuple[int, str, list[str]]] = [(0, "", [])]
    for inside, line in _lines(source):
        if not inside and (found := HEADING.match(line)):
            parts.append((len(found[1]), found[2], []))
        else:
            parts[-1][2].append(line)
    return [(level, heading, "\n".join(body).strip("\n")) for level, heading, body in parts]


def _prose(text: Text, like: Block) -> Iterator[Block]:
    zh, en = _sections(text.zh), _sections(text.en)
    if [level for level, *_ in zh] != [level for level, *_ in en]:
        raise UserError(f"{like.where}: the pair's headings differ in number or level")
    for (level, *said), (_, *also) in zip(zh, en, strict=True):
        heading, body = map(Text, said, also)
        if level:
            yield replace(like, kind="heading", text=heading, level=level)
        if body.zh.strip() or body.en.strip():
            yield replace(like, kind="markdown", text=body)


def _output(output: NotebookNode, like: Block) -> list[Block]:
    def plain(kind: str, text: str, **data: Any) -> list[Block]:
        shown = "\n".join(line.split("\r")[-1] for line in ANSI.sub("", text).split("\n")).rstrip()
        return [replace(like, kind=kind, data={"text": shown, **data})] if shown.strip() else []

    def missing(what: str) -> list[Block]:
        said = Text(f"一項輸出無法顯示（{what}）", f"an output that cannot be shown ({what})")
        return [replace(like, kind="missing", text=said)]

    if output.output_type == "error":
        return plain("error", f"{output.ename}: {output.evalue}")
    if output.output_type == "stream":
        return plain("output", output.text, stderr=output.name == "stderr")
    data = output.data
    if MIME in data:
        with _made_by_show(like.where):
            return _shown(data[MIME], data, like)
    if any(mime in data for mime in PICTURES):
        try:
            return [replace(like, kind="picture", data={"picture": first_picture(data)})]
        except LookupError as error:
            return missing(str(error))
    latex = data.get("text/latex", "")
    said = data.get("text/markdown") or (latex if "$" in latex else latex and f"$$\n{latex}\n$$")
    if said:
        return [replace(like, kind="markdown", text=_same(said))]
    if TAGS.sub("", data.get("text/html", "")).strip():
        return [replace(like, kind="html", text=_same(data["text/html"]))]
    rich = [mime for mime in data if mime != "text/plain"]
    return missing(", ".join(rich)) if rich else plain("output", data.get("text/plain", ""))


def _shown(payload: dict, data: dict, like: Block) -> list[Block]:
    """The Blocks of what hw3lib.report.show left; results and checks show nothing here."""
    kind, known = payload["kind"], {k: payload.get(k) for k in ("name", "thumb")}
    like = replace(like, kind=kind, detail=like.detail or bool(payload.get("detail")))
    if kind == "text":
        return [replace(like, kind="markdown", text=_said(payload))]
    if kind == "answer":
        known = {"questions": [str(q) for q in payload["questions"]]}
        known["short"] = _said(payload["short"])
        return [replace(like, text=_said(payload), data=known)]
    if kind == "figure":
        known |= {"alt": _said(payload["alt"]), "picture": first_picture(data)}
        known |= {size: float(payload[size]) for size in ("width", "height")}
    elif kind == "table":
        columns, *rows = ([*map(_said, row)] for row in (payload["columns"], *payload["rows"]))
        known |= {"columns": columns, "rows": rows, "align": payload["align"]}
        if {len(row) for row in (known["align"], *rows)} - {len(columns)}:
            raise ValueError("rows of different lengths")
    else:
        return []
    return [replace(like, text=_said(payload["caption"]), data=known)]


def _said(both: dict[str, str]) -> Text:
    return Text(str(both["zh"]), str(both["en"]))


@contextmanager
def _made_by_show(where: str) -> Iterator[None]:
    """An output that anyone may have written ends in one line where it is none of ours."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError):
        made = "an output that hw3lib.report.show did not make"
        raise UserError(f"{where}: {made}, or whose picture is lost; run the cell again") from None
