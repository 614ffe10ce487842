"""Check a finished report: python -m tests.report.check_report report/build.

Every PDF holds all nine parts in its languages and is small enough, the HTML asks nobody for
anything and has no fault in Chromium (see browser.py), every question has an answer and every
check holds. Exits with status 1 and a line for each fault.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from pypdf import PdfReader

from .browser import chromium
from .browser import faults as faults_in_browser

PARTS = {
    "zh": ["資料", "模型", "訓練", "技巧", "混淆", "決策", "顯著", "濾波器", "數學"],
    "en": ["data", "model", "training", "tricks", "confusion", "decision", "saliency", "filter",
           "math"],
}  # fmt: skip
MOST = {".html": 6, ".pdf": 6}  # MB
PAGES = {"hw3_report.pdf": 34, "hw3_report.zh.pdf": 20, "hw3_report.en.pdf": 20}
QUESTIONS = [*(f"A{i}" for i in range(1, 6)), *(f"B{i}" for i in range(1, 5)),
             *(f"M{i}" for i in range(1, 5))]  # fmt: skip


def pdf_faults(file: Path, languages: list[str]) -> list[str]:
    pages = [page.extract_text() for page in PdfReader(file).pages]
    text = re.sub(r"\s+", " ", " ".join(pages)).lower()
    faults = [
        f"{file.name}: no word of {part!r}"
        for code in languages
        for part in PARTS[code]
        if part not in text
    ]
    chinese = len(re.findall(r"[\u4e00-\u9fff]", text))
    if "zh" in languages and chinese < 3000:
        faults.append(f"{file.name}: only {chinese} Chinese characters")
    faults += [f"{file.name}: question {q} is missing" for q in QUESTIONS if q.lower() not in text]
    if len(pages) > PAGES[file.name]:
        faults.append(f"{file.name}: {len(pages)} pages, more than {PAGES[file.name]}")
    if "\ufffd" in text:
        faults.append(f"{file.name}: holds replacement characters")
    print(f"{file.name}: {len(pages)} pages, {chinese} Chinese characters")
    return faults


def html_faults(file: Path) -> list[str]:
    text = file.read_text(encoding="utf-8")
    asked = re.findall(r"""src\s*=\s*["']?(https?:|//)[^"'>\s]*""", text)
    asked += re.findall(r"url\(\s*['\"]?(https?:|//)", text)
    faults = [f"{file.name}: asks the network ({len(asked)} addresses)"] if asked else []
    for word in ("<math", 'lang="zh-Hant', 'lang="en"', "<main"):
        if word not in text:
            faults.append(f"{file.name}: no {word}")
    print(f"{file.name}: {len(text) / 1e6:.1f} MB")
    if not chromium():
        print(f"{file.name}: not opened in a browser; apt-get install chromium")
        return faults
    return faults + [f"{file.name}: {line}" for line in faults_in_browser(file)]


def main(folder: Path) -> int:
    faults = html_faults(folder / "hw3_report.html")
    for name, languages in (("", ["zh", "en"]), (".zh", ["zh"]), (".en", ["en"])):
        faults += pdf_faults(folder / f"hw3_report{name}.pdf", languages)
    for file in folder.glob("hw3_report*.*"):
        if (size := file.stat().st_size / 1e6) > MOST[file.suffix]:
            faults.append(f"{file.name}: {size:.1f} MB, more than {MOST[file.suffix]}")
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    if not results.get("results"):
        faults.append("results.json: no results")
    faults += [f"check {c['name']} fails" for c in results.get("checks", []) if not c["holds"]]
    for line in faults:
        print(f"FAULT {line}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
