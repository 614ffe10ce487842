"""Builds the report: Runs, executed notebooks, one Document, its pages, and what they measured."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shlex
from collections.abc import Callable, Iterable
from functools import cache, partial
from importlib import metadata
from pathlib import Path

import nbformat

from hw3lib import UserError
from hw3lib.data.audit import leak
from hw3lib.files import ROOT, absolute, write_atomic
from hw3lib.portraits import PUBLISH
from hw3lib.report.appendix import appendix
from hw3lib.report.blocks import notebook_blocks
from hw3lib.report.collect import collect_checks, collect_results
from hw3lib.report.cover import TITLE, facts, newest, read_author, read_questions
from hw3lib.report.document import Chapter, Document, Question, chapter_of
from hw3lib.report.execute import execute_notebooks
from hw3lib.report.likeness import refuse_portraits
from hw3lib.text import LANGUAGES
from hw3lib.training.runs import Run, open_run, run_path
from hw3lib.training.study import Study, open_study
from hw3lib.training.workers import make_runs

LIBRARY = ROOT / "hw3lib"
PACKAGES = (
    "torch", "torchvision", "numpy", "pandas", "matplotlib", "seaborn", "scikit-learn", "scipy",
    "statsmodels", "lark", "captum", "safetensors", "pillow", "ipykernel",
)  # fmt: skip
SUFFIXES = (".py", ".lua", ".typ", ".j2", ".css", ".js", ".otf", ".ttf", ".woff2")
RENDERERS = ("typst", "pikepdf", "pypandoc-binary", "jinja2", "pygments")
STATED = ("author.toml", "questions.toml", "bibliography.bib")
NAME, STAMP = "hw3_report", ".stamp.json"
PDFS = {"zh": f"{NAME}.zh.pdf", "en": f"{NAME}.en.pdf", "both": f"{NAME}.pdf"}


def build_report(
    profile: str = "demo",
    data: str = "",
    *,
    lang: str = "both",
    publish: bool = False,
    jobs: int | None = None,
    root: Path = ROOT,
    out: Path | None = None,
    progress: Callable[[str], None] = print,
) -> list[Path]:
    """Write the report of `root`'s notebooks into `out` (root/report/build); the files written.

    lang : zh or en write that PDF alone and let the page begin in it; both writes all three
    publish : withhold every photograph of a single person (hw3lib.portraits); out is then
        root/report/published
    jobs : processes at a time, by default as the cores allow

    What is there already and still holds is kept: Runs, executed notebooks, rendered files.

    Raises
    ------
    UserError
        for faults in the profile, the data, author.toml, questions.toml or a notebook; and where
        a figure to be published still looks like a picture of the data.
    """
    if lang not in LANGUAGES:
        raise UserError(f"language {lang!r}: choose one of {', '.join(LANGUAGES)}")
    out = out or root / "report" / ("published" if publish else "build")
    stated = [root / "report" / name for name in STATED]
    author, questions = read_author(stated[0]), read_questions(stated[1])
    sources = sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    if not sources:
        raise UserError(f"{root / 'notebooks'}: no notebooks; restore them with git")
    profile = absolute(profile) if profile.endswith(".toml") else profile
    data = absolute(data)
    study = open_study(profile, data)
    if line := leak(study.faces):
        progress(f"warning: {line}")
    runs = _runs(study, jobs)
    executed = execute_notebooks(
        sources,
        out / "notebooks",
        {"PROFILE": profile, "DATA": data, "LANG": "both"},
        depends=dependencies(study, runs),
        environment={PUBLISH: "1" if publish else ""},
        jobs=jobs,
        progress=progress,
    )
    shown, context = facts(study, data, runs), _context(study, runs)
    withheld = publish and not study.faces.synthetic
    rerun = rerun_command(profile, "" if study.faces.synthetic else data, handin=root != ROOT)

    def assemble() -> tuple[Document, dict]:
        notebooks = {path.stem: nbformat.read(path, as_version=4) for path in executed}
        if withheld:
            refuse_portraits(notebooks, study.faces)
        chapters = [chapter_of(notebook_blocks(nb, name), name) for name, nb in notebooks.items()]
        numbers = [chapter.number for chapter in chapters]
        asked = [q for q in questions if q.chapter in numbers]
        for line in unanswered(chapters, asked):
            progress(line)
        chapters.append(appendix(runs, stated[2], max(numbers) + 1))
        synthetic = study.faces.synthetic
        document = Document(
            TITLE, author, chapters, shown, newest(runs), synthetic, asked, withheld, rerun
        )
        summary = {"results": collect_results(notebooks), "checks": collect_checks(notebooks)}
        return document, {**context, **summary}

    inputs = _stated(_digest([*executed, *stated]), list(shown.items()), context, _renderer())
    return _write(cache(assemble), inputs, out, lang, progress)


def rerun_command(profile: str, data: str, *, handin: bool = False) -> str:
    """The command of a question, with {id} in its place; a path is shown as its last part.

    Readers copy it into a shell, so a name with signs that mean something there is not shown.
    """
    profile, data = _shown(profile, "PROFILE"), _shown(data, "PICTURES") if data else ""
    if handin:
        return f"make rerun QUESTION={{id}} PROFILE={profile}" + (f" DATA={data}" if data else "")
    return f".venv/bin/hw3 rerun {{id}} --profile {profile}" + (f" --data {data}" if data else "")


def _shown(path: str, otherwise: str) -> str:
    name = Path(path).name
    return shlex.quote(name) if re.fullmatch(r"[\w.+][\w.+ -]*", name) else otherwise


def unanswered(chapters: list[Chapter], questions: list[Question]) -> list[str]:
    """A line for each question whose chapter holds no answer to it."""
    given = {
        (chapter.number, name)
        for chapter in chapters
        for block in chapter.blocks
        if block.kind == "answer"
        for name in block.data["questions"]
    }
    return [
        f"question {q.id}: chapter {q.chapter} holds no answer({q.id!r}, ...)"
        for q in questions
        if (q.chapter, q.id) not in given
    ]


def dependencies(study: Study, runs: dict[str, Run]) -> str:
    """Digest of what code in a notebook can reach: library, fonts, data, recipes, Runs, versions.

    The report's own modules and the command line are no part of it: no notebook imports them.
    """
    faces, folds = study.faces, study.folds
    library = [p for p in sorted(LIBRARY.rglob("*.py")) if not _is_report(p)]
    fonts = sorted((ROOT / "report" / "fonts").glob("*.otf"))
    stated = {
        "settings": study.settings,
        "recipes": {name: recipe.hash for name, recipe in study.recipes.items()},
        "records": {name: run.record for name, run in runs.items()},
        "folds": [folds.fingerprint, folds.test_source],
        "faces": [faces.fingerprint, faces.layout, faces.problems],
        "versions": [platform.python_version(), *_versions(PACKAGES)],
    }
    digest = hashlib.blake2b(json.dumps(stated, sort_keys=True, default=str).encode())
    digest.update(_digest([*library, *fonts]).encode())
    for array in (faces.ids, faces.split, faces.votes, folds.train, folds.validation, folds.test):
        digest.update(b"" if array is None else array.tobytes())
    return digest.hexdigest()[:32]


def _runs(study: Study, jobs: int | None) -> dict[str, Run]:
    """The profile's Runs; where all are there, without the seconds that importing torch takes."""
    paths = {name: run_path(recipe) for name, recipe in study.recipes.items()}
    if all(path.is_dir() for path in paths.values()):
        return {name: open_run(path, study.recipes[name]) for name, path in paths.items()}
    return make_runs(study, jobs=jobs or 0)


def _write(
    assemble: Callable[[], tuple[Document, dict]],
    inputs: str,
    out: Path,
    lang: str,
    progress: Callable[[str], None],
) -> list[Path]:
    """Render what is asked for and not there yet; remove what was made from other inputs."""

    def page() -> bytes:
        from hw3lib.report.html import render

        document, summary = assemble()
        return render(document, lang, results=summary["results"], checks=summary["checks"]).encode()

    def pdf(code: str) -> bytes:
        from hw3lib.report.pdf import render

        return render(assemble()[0], code)

    def summary() -> bytes:
        return json.dumps(assemble()[1], ensure_ascii=False, indent=1, allow_nan=False).encode()

    wanted: dict[str, Callable[[], bytes]] = {f"{NAME}.html": page}
    for code in LANGUAGES if lang == "both" else (lang,):
        wanted[PDFS[code]] = partial(pdf, code)
    wanted["results.json"] = summary
    keys = {name: _stated(inputs, name) for name in {*wanted, *PDFS.values()}}
    keys[f"{NAME}.html"] = _stated(inputs, lang)  # the page begins in a language
    stamps = _read_stamps(out)
    for name in {*PDFS.values()} - {*wanted}:
        if stamps.get(name, [""])[0] != keys[name]:
            (out / name).unlink(missing_ok=True)
    for name, make in wanted.items():
        target = out / name
        if stamps.get(name) == [keys[name], _digest([target])]:
            progress(f"{name}: unchanged")
            continue
        write_atomic(target, make())
        progress(f"{name}: {target.stat().st_size / 1e6:.1f} MB")
        stamps[name] = [keys[name], _digest([target])]
        write_atomic(out / STAMP, json.dumps(stamps).encode())
    return [out / name for name in wanted]


def _read_stamps(out: Path) -> dict[str, list[str]]:
    try:
        stamps = json.loads((out / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


def _context(study: Study, runs: dict[str, Run]) -> dict:
    """What every number in results.json shares."""
    first = next(iter(runs.values()), None)
    return {
        "profile": study.profile,
        "data": {
            "origin": study.origin,
            "layout": study.faces.layout,
            "pictures": len(study.faces),
            "fingerprint": study.faces.fingerprint,
            "folds": study.folds.fingerprint,
        },
        "date": newest(runs),
        "machine": first.record["machine"] if first else platform.machine(),
        "device": first.record["device"] if first else "cpu",
        "versions": dict(zip(PACKAGES, _versions(PACKAGES), strict=True)),
    }


def _renderer() -> str:
    """Digest of all that turns a Document into files."""
    folders = [LIBRARY / "report", ROOT / "report" / "templates", ROOT / "report" / "fonts"]
    files = [p for f in folders for p in sorted(f.rglob("*")) if p.suffix in SUFFIXES]
    files += [LIBRARY / "text.py"]
    return _stated(_digest(files), _versions(RENDERERS))


def _is_report(path: Path) -> bool:
    parts = path.relative_to(LIBRARY).parts
    return (parts[0] == "report" and parts[-1] != "show.py") or parts in (
        ("cli.py",),
        ("bench.py",),
        ("student.py",),
    )


def _versions(packages: Iterable[str]) -> list[str]:
    def version(name: str) -> str:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return ""

    return [version(name) for name in packages]


def _stated(*values: object) -> str:
    return hashlib.blake2b(repr(values).encode(), digest_size=16).hexdigest()


def _digest(files: Iterable[Path]) -> str:
    """Digest of the files' names and contents; a missing one counts as empty."""
    digest = hashlib.blake2b(digest_size=16)
    for path in files:
        content = path.read_bytes() if path.is_file() else b""
        digest.update(os.fsencode(path.name) + b"\0" + str(len(content)).encode() + b"\0" + content)
    return digest.hexdigest()
