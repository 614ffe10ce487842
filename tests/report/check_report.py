"""Check a finished report: python -m tests.report.check_report report/build.

Every PDF is whole and small enough, the HTML asks nobody for anything and has no fault in
Chromium (see browser.py), every question has an answer and every check holds. Exits with status 1
and a line for each fault.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from bs4 import BeautifulSoup
from pypdf import PdfReader

from .browser import chromium
from .browser import faults as faults_in_browser

LARGEST = 6  # MB of a file
PAGES = {"hw3_report.pdf": 34, "hw3_report.zh.pdf": 20, "hw3_report.en.pdf": 20}
# What a grader reads and judges in about 15 seconds; a formula or a Chinese character is a word.
WORDS = {"en": 65, "zh": 95}
TOKEN = re.compile(r"[\u4e00-\u9fff]|[^\s\u3000-\u9fff（）：；，。、]+")
QUESTIONS = ["A1", "A2", "A3", "A4", "A5", "B1", "B2", "B3", "B4", "M1", "M2", "M3", "M4"]


def pdf_faults(file: Path) -> Iterator[str]:
    pages = [page.extract_text() for page in PdfReader(file).pages]
    text = " ".join(pages)
    chinese = len(re.findall(r"[\u4e00-\u9fff]", text))
    print(f"{file.name}: {len(pages)} pages, {chinese} Chinese characters")
    if re.search("題目與答案|question and answer", pages[1], re.IGNORECASE):
        yield "the answers of page 1 go on on page 2"
    if ".en." not in file.name and chinese < 3000:
        yield f"only {chinese} Chinese characters"
    if len(pages) > PAGES[file.name]:
        yield f"{len(pages)} pages, more than {PAGES[file.name]}"
    if f"{len(pages)} / {len(pages)}" not in pages[-1]:
        yield "the layout did not settle: page numbers are not those of the pages"
    if "\ufffd" in text:
        yield "holds replacement characters"


def html_faults(file: Path) -> Iterator[str]:
    text = file.read_text(encoding="utf-8")
    if re.search(r"""(src\s*=\s*["']?|url\(\s*['"]?)(https?:|//)""", text):
        yield "asks the network"
    for question in QUESTIONS:
        if f'id="answer-{question.lower()}"' not in text:
            yield f"no answer to {question}"
    yield from long_answers(text)
    if chromium():
        yield from faults_in_browser(file)
    else:
        print(f"{file.name}: not opened in a browser; apt-get install chromium")


def long_answers(page: str) -> Iterator[str]:
    for answer in BeautifulSoup(page, "html.parser").select("section.answer"):
        for formula in answer.select("math"):
            formula.replace_with(" x ")
        for code, most in WORDS.items():
            said = " ".join(part.get_text(" ") for part in answer.select(f".{code}:not(.label *)"))
            if (found := len(TOKEN.findall(said))) > most:
                yield f"{answer['aria-label']}: {found} words ({code}), more than {most}"


def main(folder: Path) -> int:
    page = folder / "hw3_report.html"
    found = {page: [*html_faults(page)]}
    for name in PAGES:
        found[folder / name] = [*pdf_faults(folder / name)]
    for file, faults in found.items():
        if (size := file.stat().st_size / 1e6) > LARGEST:
            faults.append(f"{size:.1f} MB, more than {LARGEST}")
    summary = folder / "results.json"
    results = json.loads(summary.read_text(encoding="utf-8"))
    found[summary] = [f"check {c['name']} fails" for c in results["checks"] if not c["holds"]]
    found[summary] += [] if results["results"] else ["no results"]
    lines = [f"{file.name}: {fault}" for file, faults in found.items() for fault in faults]
    for line in lines:
        print(f"FAULT {line}", file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
