"""The Document as Typst source: calls of the functions in report/templates/hw3_pdf/report.typ."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from hw3lib import UserError
from hw3lib.report import references
from hw3lib.report.blocks import Block, pieces
from hw3lib.report.cover import cover_notes
from hw3lib.report.document import Chapter, Document, Question
from hw3lib.report.pandoc import ConversionError, to_typst
from hw3lib.report.show import SYNTHETIC_NOTE
from hw3lib.report.source import Source, as_heading, listed, plain, quote
from hw3lib.report.tabular import table
from hw3lib.text import Text

WORDS = references.WORDS | {
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
LONG_ANSWER = 1500  # characters; a longer answer's box may break over pages
TALL = 240  # points; a taller figure floats
FILE_TYPES = {"image/svg+xml": "svg", "image/webp": "webp", "image/png": "png"}


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
        shown = [b for b in chapter.blocks if b.kind not in ("code", "output")]
        around = zip([None, *shown], shown, [*shown[1:], None], strict=False)
        for before, block, following in around:
            call = _block(block, before, source)
            if block.kind == "markdown" and _is_formula(following):
                call = f"#[#set block(sticky: true)\n{call}]"
            if block.kind == "heading" and following is not None and following.kind == "answer":
                call = f"#place.flush()\n{call}"  # no figure floats past the answer
            source.lines += [f"// {place(block)}", call]
    return source


def markdown_texts(document: Document) -> Iterator[tuple[str, str, str]]:
    """(where, language, Markdown) of every text that pandoc converts."""
    for chapter in document.chapters:
        for code in ("zh", "en"):
            yield chapter.notebook, code, as_heading(getattr(chapter.title, code))
        for block in chapter.blocks:
            if block.text is None or block.kind in ("code", "output", "error"):
                continue
            if block.kind == "heading":
                texts = [Text(*map(as_heading, (block.text.zh, block.text.en)))]
            else:
                texts = dict.fromkeys([block.text, *pieces(block.text)])
            for text in texts:
                yield place(block), "zh", text.zh
                yield place(block), "en", text.en


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
    said = "".join(f"voice({source.text(note)}); " for note in cover_notes(document))
    note = f"block({{ {said}}})" if said else "none"
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
            f"({quote(q.id)}, couple({source.text(q.title)}), {listed(answered(document, q))}, "
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


def answered(document: Document, question: Question) -> list[str]:
    """Numbers of the chapters that answer the question; else of the one that should."""
    found = [
        str(chapter.number)
        for chapter in document.chapters
        if any(b.kind == "answer" and question.id in b.data["questions"] for b in chapter.blocks)
    ]
    return found or [str(question.chapter)]


def _chapter(chapter: Chapter, document: Document, source: Source) -> str:
    here = [q for q in document.questions if q.chapter == chapter.number]
    questions = listed([f"({quote(q.id)}, couple({source.text(q.title)}))" for q in here])
    title = source.text(chapter.title, heading=True)
    return f"#chapter(number: {chapter.number}, {title}, questions: {questions})"


def _block(block: Block, before: Block | None, source: Source) -> str:
    if block.kind == "heading":
        return f"#section(level: {block.level}, {source.text(block.text, heading=True)})"
    if block.kind == "markdown":
        return f"#prose({source.passage(block.text)})"
    if block.kind == "answer":
        return _answer(block, source)
    if block.kind == "figure":
        return _figure(block, source, led=before is not None and before.kind == "markdown")
    if block.kind == "table":
        return f"#data-table({table(block, source)}, {_caption(block, source)})"
    return f"#fault({quote(block.data['text'])})"


def _answer(block: Block, source: Source) -> str:
    titles = [source.titles.get(i, WORDS["answer"]) for i in block.data["questions"]]
    asked = zip(block.data["questions"], map(source.phrase, titles), strict=True)
    questions = listed(f"({quote(i)}, {title})" for i, title in asked)
    long = str(len(block.text.in_language(source.language)) > LONG_ANSWER).lower()
    return f"#answer(questions: {questions}, long: {long}, {source.passage(block.text)})"


def _is_formula(block: Block | None) -> bool:
    """A formula by itself; the words before it must not be left on the page before."""
    return block is not None and block.kind == "markdown" and block.text.zh.startswith("$$")


def _caption(block: Block, source: Source) -> str:
    word = WORDS[block.kind]
    label = quote(f"{word.en if source.language == 'en' else word.zh} {block.number}")
    return (
        f"label: {label}, anchor: {quote(block.anchor)}, {source.text(block.text, markdown=True)}"
    )


def _figure(block: Block, source: Source, *, led: bool) -> str:
    """led : words lead to it, so it may float away from them"""
    variant = block.data["variants"][source.language]
    name = f"picture{len(source.files) + 1}.{FILE_TYPES[variant['mime']]}"
    source.files[name] = base64.b64decode(variant["data"])
    alt = Text(**block.data["alt"]).in_language(source.language)
    floats = str(led and variant["height"] > TALL).lower()
    return (
        f"#picture({quote(name)}, width: {variant['width']:g}pt, floats: {floats}, "
        f"alt: {quote(alt)}, {_caption(block, source)})"
    )
