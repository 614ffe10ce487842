"""What stands on the first page: whose report, of what data, which questions."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from hw3lib import UserError, __version__, printable
from hw3lib.files import read_toml
from hw3lib.report.document import Question
from hw3lib.text import Text, same
from hw3lib.training.runs import Run
from hw3lib.training.study import Study

TITLE = Text(zh="機器學習作業三：影像情緒分類", en="Homework 3: image sentiment classification")
DEMO = Text(
    "demo（小網路、少影像，判定不作為證據）",
    "demo (small networks, few images; verdicts are no evidence)",
)
RESTORE = "restore it, the report's first page is made of it"
FIELDS = ("name", "id", "department", "course", "collaborators")
LONGEST, MOST_PEOPLE = 500, 50  # letters of a text, collaborators


def read_author(path: Path) -> dict[str, Any]:
    """report/author.toml: field -> Text; collaborators a list of them.

    Raises
    ------
    UserError
        if the file is missing, no TOML, or holds anything else.
    """
    author: dict[str, Any] = {}
    for key, value in read_toml(path, RESTORE).items():
        if key not in FIELDS:
            raise UserError(f"{path}: unknown field {key!r}; known are {', '.join(FIELDS)}")
        if key != "collaborators":
            author[key] = _said(value, f"{path}: {key}")
        elif isinstance(value, list) and len(value) <= MOST_PEOPLE:
            author[key] = [_said(v, f"{path}: {key}") for v in value]
        else:
            wanted = f'must be a list, e.g. ["name"], of {MOST_PEOPLE} at most'
            raise UserError(f"{path}: {key} {wanted}")
    return author


def read_questions(path: Path) -> list[Question]:
    """report/questions.toml: id -> titles, the notebook that answers, key results.

    Raises
    ------
    UserError
        if the file is missing, no TOML, or a question lacks a field or has another.
    """
    questions, needed = [], {"zh", "en", "notebook"}
    for name, entry in read_toml(path, RESTORE).items():
        where = f"{path}: [{name}]"
        if not isinstance(entry, dict) or not needed <= set(entry) <= {*needed, "results"}:
            raise UserError(f"{where} needs zh, en and notebook; it may have results, nothing else")
        number = str(entry["notebook"]).split("_")[0]
        if not number.isdigit():
            raise UserError(f"{where}: notebook must begin with its number, as 05_name does")
        title = _said({"zh": entry["zh"], "en": entry["en"]}, where)
        results = tuple(map(str, entry.get("results", ())))
        questions.append(Question(name, title, int(number), results))
    return questions


def facts(study: Study, data: str, runs: dict[str, Run]) -> dict[Text, Text]:
    """What the numbers rest on; nothing of where files lie."""
    faces, folds = study.faces, study.folds
    name = Path(data or os.environ.get("HW3_DATA", "") or "data").resolve().name
    source = Text(f"{name}（{faces.layout}）", f"{name} ({faces.layout})")
    if name.endswith(f".{faces.layout}"):
        source = same(name)
    if faces.synthetic:
        source = Text("程式繪製的合成人臉", "synthetic faces drawn by the program")
    sizes = {"train": len(folds.train), "held": len(folds.validation), "test": len(folds.test)}
    counts = Text("{n:,}（訓練 {train:,}、驗證 {held:,}、測試 {test:,}）",
                  "{n:,} (training {train:,}, validation {held:,}, test {test:,})")  # fmt: skip
    return {
        Text("資料集", "Data set"): source,
        Text("影像數", "Images"): counts.format(n=len(faces), **sizes),
        Text("設定檔", "Profile"): DEMO if study.profile == "demo" else same(study.profile),
        Text("最近一次訓練", "Last trained"): same(newest(runs)[:10] or "–"),
    }


def machine(runs: dict[str, Run]) -> Text:
    """What the Runs were trained on, each with its torch, and what the report is made with."""
    records = [run.record for run in runs.values()]
    parts = [(r["machine"], r["device"], f"torch {r['torch']}") for r in records]
    trained = "; ".join(dict.fromkeys(", ".join(p for p in x if p != "cpu") for x in parts)) or "–"
    here = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    zh = trained.replace(" cores", " 核心").replace("; ", "；").replace(", ", "，")
    return Text(
        f"訓練：{zh}。報告產生於 {here.replace(', ', '，')}，hw3lib {__version__}。",
        f"Training: {trained}. Report made on {here}, hw3lib {__version__}.",
    )


def newest(runs: dict[str, Run]) -> str:
    """The date and time of the newest Run, ISO 8601; "" where there is none."""
    return max((run.record["date"] for run in runs.values()), default="")


def _said(value: Any, where: str) -> Text:
    """What a TOML value says: one text for both languages, or one in each."""
    both = isinstance(value, dict) and set(value) == {"zh", "en"}
    said = list(value.values()) if both else [value]
    if not all(isinstance(text, str) for text in said):
        raise UserError(f'{where}: must be a text, or {{ zh = "…", en = "…" }}')
    if any(len(text) > LONGEST for text in said):
        raise UserError(f"{where}: more than {LONGEST} letters; shorten it")
    if any(printable(text) != text for text in said):
        raise UserError(f"{where}: holds line ends or control characters; remove them")
    return Text(**value) if both else same(value)
