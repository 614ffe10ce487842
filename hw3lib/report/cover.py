"""What stands before the first chapter: whose report, of what, and which question is where."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from hw3lib import UserError, __version__, printable
from hw3lib.files import read_toml
from hw3lib.report.document import Document, Question
from hw3lib.text import Text
from hw3lib.training.runs import Run
from hw3lib.training.study import Study

TITLE = Text(zh="機器學習作業三：影像情緒分類", en="Homework 3: image sentiment classification")
SYNTHETIC_COVER = Text(
    zh="本報告使用程式繪製的合成人臉，非真人資料；其中的數字不代表真實人臉上的表現。",
    en="This report uses faces drawn by the program, not real people; its numbers say nothing "
    "about real faces.",
)
WITHHELD_COVER = Text(
    zh="照片是真實的人，不由本報告散布：每一張個別的照片都不公開，由平均臉、合成人臉或灰色剪影代替，"
    "圖說也如此註明。所有數字都來自真實照片，與未公開的報告相同。",
    en="The photographs are of real people and not this report's to spread: every single one is "
    "withheld, mean faces, synthetic faces or grey silhouettes take its place, and the captions "
    "say so. All numbers come from the photographs and equal those of the report not published.",
)
FIELDS = ("name", "id", "department", "course", "collaborators", "languages")
MADE_OF_IT = "restore it, the report's cover is made of it"
LONGEST, MOST_PEOPLE = 500, 50  # letters of a text, collaborators
ARRANGEMENTS = ("one after the other", "side by side")


def read_author(path: Path) -> dict[str, Any]:
    """report/author.toml: field -> str or Text; collaborators a list of them.

    languages, where it is set, is one of ARRANGEMENTS: how the PDF of both languages sets them.

    Raises
    ------
    UserError
        if the file is missing, no TOML, or holds anything else.
    """
    table = read_toml(path, MADE_OF_IT)
    author: dict[str, Any] = {}
    for key, value in table.items():
        if key not in FIELDS:
            raise UserError(f"{path}: unknown field {key!r}; known are {', '.join(FIELDS)}")
        if key == "collaborators" and not isinstance(value, list):
            raise UserError(f'{path}: collaborators must be a list, e.g. ["name"]')
        if key == "collaborators" and len(value) > MOST_PEOPLE:
            raise UserError(f"{path}: collaborators are more than {MOST_PEOPLE}; name fewer")
        if key == "collaborators":
            author[key] = [_said(v, f"{path}: {key}") for v in value]
        elif key == "languages":
            if value not in ARRANGEMENTS:
                raise UserError(f"{path}: languages must be {' or '.join(map(repr, ARRANGEMENTS))}")
            author[key] = value
        else:
            author[key] = _said(value, f"{path}: {key}")
    return author


def read_questions(path: Path) -> list[Question]:
    """report/questions.toml: id -> titles, the notebook that answers, marks and key results.

    Raises
    ------
    UserError
        if the file is missing, no TOML, or a question lacks a field.
    """
    questions = []
    for name, entry in read_toml(path, MADE_OF_IT).items():
        where = f"{path}: [{name}]"
        if not isinstance(entry, dict) or {"zh", "en", "notebook"} - set(entry):
            raise UserError(f"{where} needs zh, en and notebook")
        if set(entry) - {"zh", "en", "notebook", "marks", "results"}:
            raise UserError(f"{where}: known are zh, en, notebook, marks and results")
        number, marks = str(entry["notebook"]).split("_")[0], entry.get("marks")
        if not number.isdigit():
            raise UserError(f"{where}: notebook must begin with its number, as 05_name does")
        if marks is not None and (not isinstance(marks, (int, float)) or isinstance(marks, bool)):
            raise UserError(f"{where}: marks must be a number, not {marks!r}")
        results = entry.get("results", [])
        if not isinstance(results, list) or not all(isinstance(r, str) for r in results):
            raise UserError(f'{where}: results must be a list of names, e.g. ["best.test.*"]')
        title = _said({"zh": entry["zh"], "en": entry["en"]}, where)
        questions.append(Question(name, title, marks, int(number), tuple(results)))
    return questions


def facts(study: Study, data: str, runs: dict[str, Run]) -> dict[Text, str | Text]:
    """What the numbers rest on, as the cover shows it; nothing of where files lie."""
    faces, folds = study.faces, study.folds
    name = Path(data or os.environ.get("HW3_DATA", "") or "data").name
    source = Text("程式繪製的合成人臉", "synthetic faces drawn by the program")
    sizes = [len(getattr(folds, f)) for f in ("train", "validation", "test")]
    records = [run.record for run in runs.values()]
    machines = _distinct(records, "machine") or [f"{platform.system()} {platform.machine()}"]
    devices = [d for d in _distinct(records, "device") if d != "cpu"]
    torch = _distinct(records, "torch")
    return {
        Text("資料", "Data"): source
        if faces.synthetic
        else Text(f"{name}（{faces.layout}）", f"{name} ({faces.layout})"),
        Text("張數", "Pictures"): Text(
            "{:,}（訓練 {:,}、驗證 {:,}、測試 {:,}）".format(len(faces), *sizes),
            "{:,} (training {:,}, validation {:,}, test {:,})".format(len(faces), *sizes),
        ),
        Text("資料指紋", "Fingerprint"): faces.fingerprint,
        Text("設定檔", "Profile"): study.profile,
        Text("訓練用機器", "Machine"): Text(
            "；".join([m.replace(" cores", " 核心") for m in machines] + devices),
            "; ".join([*machines, *devices]),
        ),
        Text("版本", "Versions"): ", ".join(
            [f"hw3lib {__version__}", f"Python {platform.python_version()}"]
            + [f"torch {t}" for t in torch]
        ),
        Text("最近一次訓練", "Newest Run"): newest(runs)[:10] or "–",
    }


def cover_notes(document: Document) -> list[Text]:
    """What the reader must know of the pictures before anything else."""
    notes = [(document.synthetic, SYNTHETIC_COVER), (document.withheld, WITHHELD_COVER)]
    return [note for said, note in notes if said]


def newest(runs: dict[str, Run]) -> str:
    """The date and time of the newest Run, ISO 8601; "" where there is none."""
    return max((run.record["date"] for run in runs.values()), default="")


def _distinct(records: list[dict], key: str) -> list[str]:
    return list(dict.fromkeys(str(r[key]) for r in records if key in r))


def _said(value: Any, where: str) -> str | Text:
    """A TOML value as what it says: one text, or one in each language."""
    both = isinstance(value, dict) and set(value) == {"zh", "en"}
    said = list(value.values()) if both else [value]
    if all(isinstance(text, str) for text in said):
        if any(len(text) > LONGEST for text in said):
            raise UserError(f"{where}: more than {LONGEST} letters; shorten it")
        if any(printable(text) != text for text in said):
            raise UserError(f"{where}: holds line ends or control characters; remove them")
        return Text(**value) if both else value
    raise UserError(f'{where}: must be a text, or {{ zh = "…", en = "…" }}')
