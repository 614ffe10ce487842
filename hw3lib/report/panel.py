"""The grader's panel of the web page: each question's answer, key figures and command; checks."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from hw3lib.report.document import Document, Question
from hw3lib.text import Text

SHOWN = 3  # results of a question that names none


def question_rows(
    document: Document, chapters: list[dict], results: Sequence[dict]
) -> list[dict[str, Any]]:
    """What the panel says of each question; `chapters` as hw3lib.report.html makes them."""
    by_number = {c["number"]: c for c in chapters}
    answers = {a for c in chapters for b in c["blocks"] for a in b.anchors}
    rows = []
    for question in document.questions:
        chapter = by_number.get(question.chapter)
        anchor = f"answer-{question.id.lower()}"
        place = chapter["title"] if chapter else Text("–", "–")
        number = f"{question.chapter}　" if chapter else ""
        rows.append(
            {
                "id": question.id,
                "title": question.title,
                "marks": "–" if question.marks is None else f"{question.marks:g}",
                "target": anchor if anchor in answers else chapter["id"] if chapter else "main",
                "place": Text(number + place.zh, number + place.en),
                "results": [
                    {**r, "shown": _number(r["value"])}
                    for r in _key_results(question, chapter, results)
                ],
                "rerun": document.rerun.replace("{id}", question.id),
            }
        )
    return rows


def check_rows(chapters: list[dict], checks: Sequence[dict]) -> list[dict[str, Any]]:
    """Each check as a Text, whether it holds, and the chapter that made it, where there is one."""
    by_notebook = {c["notebook"]: c for c in chapters}
    return [
        {
            "text": Text(check["zh"], check["en"]),
            "holds": check["holds"],
            "chapter": by_notebook.get(check.get("notebook")),
        }
        for check in checks
    ]


def _key_results(
    question: Question, chapter: dict | None, results: Sequence[dict]
) -> list[dict[str, Any]]:
    if question.results:
        return [r for p in question.results for r in results if fnmatchcase(r["name"], p)]
    own = [r for r in results if chapter and r.get("notebook") == chapter["notebook"]]
    return own[:SHOWN]


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
