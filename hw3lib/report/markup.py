"""The Document as Typst source: calls of the functions in report/templates/hw3_pdf/report.typ."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from hw3lib import UserError
from hw3lib.bilingual import Text
from hw3lib.display import SYNTHETIC_NOTE
from hw3lib.report.blocks import Block
from hw3lib.report.document import Chapter, Document
from hw3lib.report.pandoc import ConversionError, to_typst

WORDS = {
    "figure": Text("圖", "Figure"),
    "table": Text("表", "Table"),
    "answer": Text("答案", "Answer"),
    "contents": Text("目錄", "Contents"),
    "questions": Text("題目與頁碼", "Questions and pages"),
    "question": Text("題號", "No."),
    "title": Text("題目", "Question"),
    "chapter": Text("章", "Chapter"),
    "page": Text("頁", "Page"),
    "marks": Text("配分", "Marks"),
    "total": Text("合計", "Total"),
    "collaborators": Text("合作者", "with"),
}
COVER_NOTE = Text(
    zh="本報告使用程式繪製的合成人臉，非真人資料；其中的數字不代表真實人臉上的表現。",
    en="This report uses faces drawn by the program, not real people; its numbers say nothing "
    "about real faces.",
)
NAME_LENGTH = 16  # letters; a column with longer cells may be broken into lines
LONG_ANSWER = 1500  # characters; a longer answer's box may break over pages
LINE_LENGTH = 28  # letters in both languages; longer ones stand below each other
FILE_TYPES = {"image/svg+xml": "svg", "image/png": "png"}


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
            text = Text(*map(_heading, (text.zh, text.en)))
        wanted = {"zh": text.zh, "en": text.en}
        if self.language != "both":
            wanted = {self.language: wanted[self.language]}
        elif text.zh == text.en:
            wanted.pop("en")
        convert = (lambda t: f"[{self.typst[t]}]") if markdown or heading else quote
        return ", ".join(f"{code}: {convert(t)}" for code, t in wanted.items() if t.strip())

    def phrase(self, text: Text | str | int, **options: str) -> str:
        extra = "".join(f"{k}: {v}, " for k, v in options.items())
        return f"phrase({extra}{self.text(text)})"


def quote(text: str) -> str:
    """A Typst string; control characters other than line ends and tabs are dropped."""
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f]|\x1b\[[0-9;]*m", "", text)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def plain(text: Text | str, language: str) -> str:
    return text.in_language(language) if isinstance(text, Text) else str(text)


def _heading(text: str) -> str:
    return f"# {text}"  # so that "1. Data" is no list


def listed(items: Iterable[str]) -> str:
    """A Typst array of the items."""
    return "(" + "".join(f"{item}, " for item in items) + ")"


def place(block: Block) -> str:
    return f"{block.notebook}, cell {block.cell}"


def build(document: Document, language: str, families: list[str]) -> Source:
    """The whole source; `families` are the fonts in the order they are tried.

    Code stays out, and with it what it printed as plain text.
    """
    source = Source(language, titles={q.id: q.title for q in document.questions})
    source.typst = _convert(document, language)
    source.lines += ['#import "report.typ": *', _settings(document, source, families)]
    if document.facts or document.questions:
        source.lines += ["// the cover", *_cover(document, source), *_front(document, source)]
    for chapter in document.chapters:
        source.lines += [f"// {chapter.notebook}", _chapter(chapter, document, source)]
        numbers = {"figure": 0, "table": 0}
        for block, following in zip(chapter.blocks, [*chapter.blocks[1:], None], strict=True):
            calls = _block(block, chapter, numbers, source)
            if block.kind == "markdown" and _is_formula(following):
                calls = [f"#[#set block(sticky: true)\n{call}]" for call in calls]
            source.lines += [f"// {place(block)}", *calls]
    return source


def markdown_texts(document: Document) -> Iterator[tuple[str, str, str]]:
    """(where, language, Markdown) of every text that pandoc converts."""
    for chapter in document.chapters:
        for code in ("zh", "en"):
            yield chapter.notebook, code, _heading(getattr(chapter.title, code))
        for block in chapter.blocks:
            if block.text is None or block.kind in ("code", "output", "error"):
                continue
            for code in ("zh", "en"):
                text = getattr(block.text, code)
                yield place(block), code, _heading(text) if block.kind == "heading" else text


def _convert(document: Document, language: str) -> dict[str, str]:
    texts = [t for t in markdown_texts(document) if language in (t[1], "both")]
    try:
        done = to_typst([text for _, _, text in texts])
    except ConversionError as error:
        where, code, _ = texts[error.index]
        raise UserError(f"{where} ({code}): {error}") from None
    return {
        text: re.sub(r"^= ", "", typst.strip())
        for (_, _, text), typst in zip(texts, done, strict=True)
    }


def _settings(document: Document, source: Source, families: list[str]) -> str:
    code = "en" if source.language == "en" else "zh"
    name = plain(document.author.get("name", ""), code)
    running = f"{name} {plain(document.author.get('id', ''), code)}".strip()
    note = source.phrase(SYNTHETIC_NOTE, quiet="1em") if document.synthetic else "none"
    title = document.title.in_language(source.language)
    return (
        f"#show: report.with(title: {quote(title)}, author: {quote(name)}, "
        f"running: {quote(running)}, note: {note}, language: {quote(source.language)}, "
        f"families: {listed([quote(f) for f in families])})"
    )


def _cover(document: Document, source: Source) -> list[str]:
    author, rows = document.author, []
    if author.get("name"):
        rows.append(f"strong(text(size: 13pt, {source.phrase(author['name'])}))")
    rows += [source.phrase(author[k]) for k in ("id", "department", "course") if author.get(k)]
    if author.get("collaborators"):
        people = ' + "、" + '.join(f"[#{source.phrase(p)}]" for p in author["collaborators"])
        rows.append(f'{source.phrase(WORDS["collaborators"])} + " " + {people}')
    facts = [
        f"({source.phrase(label)}, {source.phrase(value)})"
        for label, value in document.facts.items()
    ]
    title = f"({source.text(document.title)})"
    note = f"block(voice({source.text(COVER_NOTE)}))" if document.synthetic else "none"
    call = f"cover(title: {title}, author: {listed(rows)}, facts: {listed(facts)}, note: {note})"
    return [f"#{call}", "#pagebreak()"]


def _front(document: Document, source: Source) -> list[str]:
    lines = []
    if document.questions:
        heads = [
            source.phrase(WORDS[w])
            for w in ("question", "title", "chapter", "page", "marks", "total")
        ]
        rows = [
            f"({quote(q.id)}, couple({source.text(q.title)}), {q.chapter}, "
            f"{'none' if q.marks is None else f'[{q.marks:g}]'})"
            for q in document.questions
        ]
        marks = [q.marks for q in document.questions if q.marks is not None]
        total = f"[{sum(marks):g}]" if marks else "none"
        lines.append(f"#front-heading({source.text(WORDS['questions'])})")
        table = f"heads: {listed(heads)}, rows: {listed(rows)}, total: {total}"
        lines.append(f"#question-table({table})")
    lines += [f"#front-heading({source.text(WORDS['contents'])})", "#contents()"]
    return lines


def _chapter(chapter: Chapter, document: Document, source: Source) -> str:
    here = [q for q in document.questions if q.chapter == chapter.number]
    questions = listed([f"({quote(q.id)}, couple({source.text(q.title)}))" for q in here])
    title = source.text(chapter.title, heading=True)
    return f"#chapter(number: {chapter.number}, {title}, questions: {questions})"


def _block(
    block: Block, chapter: Chapter, numbers: dict[str, int], source: Source
) -> Iterator[str]:
    if block.kind == "heading":
        yield f"#section(level: {block.level}, {source.text(block.text, heading=True)})"
    elif block.kind == "markdown":
        yield f"#prose({source.text(block.text, markdown=True)})"
    elif block.kind == "answer":
        titles = [source.titles.get(i, WORDS["answer"]) for i in block.data["questions"]]
        asked = zip(block.data["questions"], map(source.phrase, titles), strict=True)
        questions = listed(f"({quote(i)}, {title})" for i, title in asked)
        long = str(len(block.text.in_language(source.language)) > LONG_ANSWER).lower()
        answer = source.text(block.text, markdown=True)
        yield f"#answer(questions: {questions}, long: {long}, {answer})"
    elif block.kind in ("figure", "table"):
        numbers[block.kind] += 1
        number = f"{chapter.number}.{numbers[block.kind]}"
        word = WORDS[block.kind]
        label = quote(f"{word.en if source.language == 'en' else word.zh} {number}")
        draw = _figure if block.kind == "figure" else _table
        yield draw(block, label, source)
    elif block.kind == "error":
        yield f"#fault({quote(block.data['text'])})"


def _is_formula(block: Block | None) -> bool:
    """A formula by itself; the words before it must not be left on the page before."""
    return block is not None and block.kind == "markdown" and block.text.zh.startswith("$$")


def _figure(block: Block, label: str, source: Source) -> str:
    variant = block.data["variants"][source.language]
    name = f"picture{len(source.files) + 1}.{FILE_TYPES[variant['mime']]}"
    source.files[name] = base64.b64decode(variant["data"])
    alt = Text(**block.data["alt"]).in_language(source.language)
    return (
        f"#picture({quote(name)}, width: {variant['width']:g}pt, alt: {quote(alt)}, "
        f"label: {label}, {source.text(block.text, markdown=True)})"
    )


def _table(block: Block, label: str, source: Source) -> str:
    data = block.data

    def cell(text: dict[str, str], stack: bool) -> str:
        return f"cell-text(stack: {str(stack).lower()}, {source.text(Text(**text))})"

    stacks = [width > LINE_LENGTH for width in _widths(data, lambda zh, en: zh + en)]
    head = listed([cell(c, True) for c in data["columns"]])
    rows = [listed(map(cell, row, stacks)) for row in data["rows"]]
    longest = {"both": max, "zh": lambda zh, en: zh, "en": lambda zh, en: en}[source.language]
    wraps = [str(w > NAME_LENGTH).lower() for w in _widths(data, longest)]
    words = [quote(_longest_word(c, source.language)) for c in data["columns"]]
    return (
        f"#data-table(label: {label}, wraps: {listed(wraps)}, words: {listed(words)}, "
        f"align: {listed(data['align'])}, head: {head}, "
        f"rows: {listed(rows)}, {source.text(block.text, markdown=True)})"
    )


def _widths(data: dict, combine: Callable[[int, int], int]) -> list[int]:
    """Of each column's longest body cell, in Latin letters (a Chinese character counts two)."""

    def letters(text: str) -> int:
        return sum(1 + (c >= "\u2e80") for c in text)

    cells = [[combine(letters(c["zh"]), letters(c["en"])) for c in row] for row in data["rows"]]
    return [max((row[i] for row in cells), default=0) for i in range(len(data["columns"]))]


def _longest_word(text: dict[str, str], language: str) -> str:
    """What of a heading must stay on one line; of Chinese, four characters."""
    words = text["en"].split() if language != "zh" else re.findall(r"[\x21-\u2e7f]+", text["zh"])
    return max([*words, text["zh"][:4] if language != "en" else ""], key=lambda w: len(w.encode()))
