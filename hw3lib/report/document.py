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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from nbformat import NotebookNode

from hw3lib import UserError
from hw3lib.report.execute import INJECTED, code_cells
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
BOTH = {"zh": str, "en": str}
FORMS: dict[str, dict[str, Any]] = {  # of what hw3lib.report.show leaves: anyone can write one
    "text": BOTH,
    "answer": {**BOTH, "questions": [str], "short": BOTH},
    "figure": {"caption": BOTH, "alt": BOTH, "width": (int, float), "height": (int, float)},
    "table": {"caption": BOTH, "columns": [BOTH], "rows": [[BOTH]], "align": [str]},
    "result": {"name": str, "value": (int, float), "split": str, "rule": str},
    "check": {**BOTH, "name": str, "holds": bool},
}  # fmt: skip
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


@dataclass(frozen=True)
class Picture:
    """An image file; width and height in points."""

    mime: str
    data: bytes
    width: float
    height: float


@dataclass(frozen=True)
class Images:
    """The images that a Markdown cell may name: attachments, and files beside its notebook."""

    folder: Path | None
    attachments: dict[str, dict[str, str]] = field(default_factory=dict)

    def find(self, place: str) -> Picture:
        """The image; LookupError says why it cannot be shown."""
        name = unquote(place)
        if name.startswith("data:"):
            mime, _, data = name[5:].partition(";base64,")
            return picture(mime, data)
        if name.startswith("attachment:"):
            bundle = self.attachments.get(name.removeprefix("attachment:"), {})
            mime = next((m for m in PICTURES if m in bundle), "")
            return picture(mime, bundle.get(mime, ""))
        if re.match(r"[a-z]+:", name):
            raise LookupError("only files beside the notebook are taken in; download it there")
        file = (self.folder or Path()).resolve() / name
        if self.folder is None or self.folder.resolve() not in file.resolve().parents:
            raise LookupError("outside the notebook's folder; copy it there")
        if not file.is_file():
            raise LookupError("no such file")
        if file.suffix.lower() == ".svg":
            return picture("image/svg+xml", file.read_text(encoding="utf-8", errors="replace"))
        return picture("image", file.read_bytes())


@dataclass(frozen=True)
class Block:
    """One thing on the page.

    kind   : "heading" (text, level 1-6), "markdown" (text), "answer" (text, data "questions",
             "short"), "figure" (text is the caption; data "alt", "picture"), "table" (text is the
             caption; data "columns", "rows", "align"), "picture" (data "picture"), "html" (text is
             HTML), "code", "output", "error" (data "text"), "missing" (text: what and why)
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
    images: Images = Images(None)

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
    words = title.text if title else Text(*[(rest or notebook).replace("_", " ")] * 2)
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
        counted = (block.kind in WORDS and block.text) or (block.level == 2 and not block.detail)
        if counted:
            kind = "S" + block.kind if block.detail else block.kind
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
    own = [_places(chapter) for chapter in document.chapters]
    all_places: dict[str, Block | str] = {**(works or {})}
    for places in reversed(own):
        all_places |= places
    chapters = []
    for chapter, places in zip(document.chapters, own, strict=True):
        known = {**all_places, **places}
        blocks = [_resolved(block, known, strict) for block in chapter.blocks]
        chapters.append(replace(chapter, blocks=blocks))
    return replace(document, chapters=chapters)


def _places(chapter: Chapter) -> dict[str, Block]:
    places: dict[str, Block] = {}
    for block in chapter.blocks:
        name = block.data.get("name")
        if name and places.setdefault(name, block) is not block:
            raise UserError(f"{block.where}: a second {name!r}")
    return places


def _resolved(block: Block, known: dict[str, Block | str], strict: bool) -> Block:
    def linked(text: str, code: str) -> str:
        def link(match: re.Match) -> str:
            target = known.get(match[1])
            if target is None and strict:
                names = ", ".join(known) or "none"
                raise UserError(f"{block.where}: [@{match[1]}] names nothing (known: {names})")
            if not isinstance(target, Block):
                return f"[\\[{target}\\]](#work-{target})" if target else f"({match[1]})"
            return f"[{getattr(WORDS[target.kind], code)} {target.number}](#{target.anchor})"

        return REFERENCE.sub(link, text)

    if not block.text:
        return block
    data = block.data
    if block.kind == "answer":
        data = {**data, "short": {code: linked(data["short"][code], code) for code in BOTH}}
    text = Text(linked(block.text.zh, "zh"), linked(block.text.en, "en"))
    return replace(block, text=text, data=data)


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
            _checked(payload, notebook)
            fresh = {k: v for k, v in payload.items() if k != "kind"} | {"notebook": notebook}
            if kind == "result" and not math.isfinite(fresh["value"]):
                fresh["value"] = None
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


def typeset(text: str) -> str:
    """A table's cell: a minus before negative numbers, and intervals that stay on one line."""
    return INTERVAL.sub(lambda m: m[0].replace(" ", "\u00a0"), MINUS.sub("−", text))


def picture(mime: str, data: str | bytes) -> Picture:
    """An image from its base64 or its bytes (an SVG: its text); LookupError where it is none."""
    from PIL import Image

    try:
        if mime == "image/svg+xml":
            text = data.decode() if isinstance(data, bytes) else data
            if "<svg" not in text:
                text = base64.b64decode(text, validate=True).decode()
            return Picture(mime, text.encode(), *_svg_size(text))
        raw = base64.b64decode(data, validate=False) if isinstance(data, str) else data
        with Image.open(io.BytesIO(raw), formats=("PNG", "JPEG", "WEBP", "GIF")) as opened:
            if opened.width * opened.height > LARGEST:
                raise ValueError("too large")
            opened.load()
            dpi = float(opened.info.get("dpi", (96, 96))[0]) or 96.0
            size = (opened.width * 72 / dpi, opened.height * 72 / dpi)
            return Picture(Image.MIME[opened.format], raw, *size)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise LookupError(f"no picture that can be read ({error})") from None


def _svg_size(text: str) -> tuple[float, float]:
    """In points; a length without a unit, or none at all, is in pixels."""
    start = text[text.index("<svg") :].partition(">")[0]
    box = re.search(r'viewBox="[\d.e+-]+[ ,]+[\d.e+-]+[ ,]+([\d.e+-]+)[ ,]+([\d.e+-]+)"', start)
    sizes = []
    for i, name in enumerate(("width", "height"), 1):
        said = re.search(rf'\b{name}="([\d.]+)(pt|px|in)?"', start)
        value = float(said[1]) if said else float(box[i]) if box else 400.0 / i
        unit = said[2] if said else None
        sizes.append(value * {"pt": 1.0, "in": 72.0}.get(unit, 0.75))
    return sizes[0], sizes[1]


def _payloads(nb: NotebookNode, kind: str) -> Iterator[dict]:
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            payload = output.get("data", {}).get(MIME)
            if isinstance(payload, dict) and payload.get("kind") == kind:
                yield payload


def _blocks(nb: NotebookNode, notebook: str, folder: Path | None) -> Iterator[Block]:
    waiting, number = None, 0
    for cell in nb.cells:
        tags = set(cell.metadata.get("tags", []))
        number += INJECTED not in tags
        images = Images(folder, cell.get("attachments", {}))
        like = Block("", f"{notebook}, cell {number}", detail="detail" in tags, images=images)
        code = next((c for tag, c in LANGUAGE_TAGS.items() if tag in tags), None)
        if cell.cell_type == "markdown" and code == "zh" and waiting is None:
            waiting = cell.source
            continue
        if (code == "en") != (waiting is not None) or code == "zh":
            raise UserError(f"{like.where}: lang-zh and lang-en cells must stand in adjacent pairs")
        if cell.cell_type == "markdown":
            yield from _prose(Text(cell.source if waiting is None else waiting, cell.source), like)
            waiting = None
        elif cell.cell_type == "code":
            if cell.source.strip() and "prose" not in tags:
                yield replace(like, kind="code", data={"text": cell.source})
            for output in cell.get("outputs", []):
                yield from _output(output, like)
        elif cell.source.strip():
            yield replace(like, kind="output", data={"text": cell.source})
    if waiting is not None:
        raise UserError(f"{notebook}: the last lang-zh cell has no lang-en cell")


def _paragraphs(source: str) -> Iterator[str]:
    """Cut at blank lines, but not within code, a displayed equation or an item of a list."""
    lines, fenced, blank = [], False, False
    for line in source.splitlines():
        if line.strip() and blank and not fenced and not line[0].isspace():
            yield "\n".join(lines).strip("\n")
            lines = []
        fenced ^= line.lstrip().startswith(("```", "~~~")) or line.count("$$") % 2 == 1
        blank = not line.strip()
        lines.append(line)
    yield "\n".join(lines).strip("\n")


def _sections(source: str) -> list[tuple[int, str, str]]:
    """(level, heading, what follows it), the first without a heading."""
    parts: list[tuple[int, str, list[str]]] = [(0, "", [])]
    fenced = False
    for line in source.splitlines():
        fenced ^= line.lstrip().startswith(("```", "~~~"))
        found = None if fenced else HEADING.match(line)
        if found:
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
        return _shown(_checked(data[MIME], like.where), data, like)
    drawn = next((m for m in PICTURES if m in data), None)
    if drawn:
        try:
            return [replace(like, kind="picture", data={"picture": picture(drawn, data[drawn])})]
        except LookupError as error:
            return missing(str(error))
    latex = data.get("text/latex", "")
    said = data.get("text/markdown") or (latex if "$" in latex else latex and f"$$\n{latex}\n$$")
    if said:
        return [replace(like, kind="markdown", text=Text(said, said))]
    if TAGS.sub("", data.get("text/html", "")).strip():
        return [replace(like, kind="html", text=Text(*[data["text/html"]] * 2))]
    rich = [mime for mime in data if mime != "text/plain"]
    return missing(", ".join(rich)) if rich else plain("output", data.get("text/plain", ""))


def _shown(payload: dict, data: dict, like: Block) -> list[Block]:
    """The Blocks of what hw3lib.report.show left; results and checks show nothing here."""
    kind = payload["kind"]
    like = replace(like, detail=like.detail or bool(payload.get("detail")), data=dict(payload))
    if kind in ("text", "answer"):
        kind = "markdown" if kind == "text" else kind
        return [replace(like, kind=kind, text=Text(payload["zh"], payload["en"]))]
    if kind not in WORDS:
        return []
    if kind == "figure":
        mime = next((m for m in PICTURES if m in data), "")
        try:
            drawn = picture(mime, data.get(mime, ""))
        except LookupError as error:
            raise UserError(f"{like.where}: a figure with {error}; run the cell again") from None
        like.data["picture"] = replace(drawn, width=payload["width"], height=payload["height"])
    return [replace(like, kind=kind, text=Text(**payload["caption"]))]


def _checked(payload: object, where: str) -> dict[str, Any]:
    """The payload of an output, with all that its kind has; UserError where it has not."""
    kind = payload.get("kind") if isinstance(payload, dict) else None
    sound = isinstance(kind, str) and _fits(payload, FORMS.get(kind, {}))
    if sound and kind == "table":
        widths = {len(row) for row in (payload["columns"], payload["align"], *payload["rows"])}
        sound = len(widths) == 1 and set(payload["align"]) <= {"left", "right"}
    if not sound:
        raise UserError(f"{where}: an output hw3lib.report.show did not make; run the cell again")
    return payload


def _fits(value: object, form: Any) -> bool:
    if isinstance(form, dict):
        inside = isinstance(value, dict) and set(value) >= set(form)
        return inside and all(_fits(value[key], inner) for key, inner in form.items())
    if isinstance(form, list):
        return isinstance(value, list) and all(_fits(item, form[0]) for item in value)
    return isinstance(value, form)
