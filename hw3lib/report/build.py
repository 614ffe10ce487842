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
from hw3lib.report.appendix import appendix, read_works
from hw3lib.report.check import readable
from hw3lib.report.cover import TITLE, facts, machine, newest, read_author, read_questions
from hw3lib.report.document import REFERENCE, Document, chapter_of, collect, ran_through, referenced
from hw3lib.report.execute import execute_notebooks
from hw3lib.text import LANGUAGES
from hw3lib.training.runs import Run, open_run, run_path
from hw3lib.training.study import Study, open_study
from hw3lib.training.workers import make_runs

LIBRARY = ROOT / "hw3lib"
PACKAGES = (
    "torch", "torchvision", "numpy", "pandas", "matplotlib", "seaborn", "scikit-learn", "scipy",
    "statsmodels", "lark", "captum", "safetensors", "pillow", "ipykernel",
)  # fmt: skip
RENDERERS = ("typst", "pypandoc-binary", "jinja2", "pygments")
SUFFIXES = (".py", ".lua", ".typ", ".j2", ".css", ".js", ".otf", ".ttf", ".woff2")
STATED = ("author.toml", "questions.toml", "bibliography.bib")
NAME, STAMP = "hw3_report", ".stamp.json"
PDFS = {"zh": f"{NAME}.zh.pdf", "en": f"{NAME}.en.pdf", "both": f"{NAME}.pdf"}


def build_report(
    profile: str = "demo",
    data: str = "",
    *,
    lang: str = "both",
    publish: bool = False,
    draft: bool = False,
    jobs: int | None = None,
    root: Path = ROOT,
    out: Path | None = None,
    progress: Callable[[str], None] = print,
) -> list[Path]:
    """Write the report of `root`'s notebooks into `out` (root/report/build); the files written.

    lang : zh or en execute in it and write its PDF alone; both writes all three
    publish : withhold every photograph of a single person; out is then root/report/published
    draft : go on past a notebook that fails; its page says so
    jobs : processes at a time, by default as the cores allow

    What is there already and still holds is kept: Runs, executed notebooks, rendered files. The
    sources are read first, in seconds, before anything is trained.

    Raises
    ------
    UserError
        for faults in the profile, the data, the stated files or a notebook.
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
    parameters = {"PROFILE": profile, "DATA": data, "LANG": lang}
    faults = [line for path in sources for line in readable(path, parameters)]
    if faults and not draft:
        raise UserError("; ".join(faults))
    study = open_study(profile, data)
    if line := leak(study.faces):
        progress(f"warning: {line}")
    runs = _runs(study, jobs)
    executed = execute_notebooks(
        sources,
        out / "notebooks",
        parameters,
        depends=dependencies(study, runs),
        environment={PUBLISH: "1" if publish else ""},
        jobs=jobs,
        draft=draft,
        progress=progress,
    )
    rerun = rerun_command(profile, "" if study.faces.synthetic else data, handin=root != ROOT)

    def assemble() -> Document:
        notebooks = {path.stem: nbformat.read(path, as_version=4) for path in executed}
        chapters = [chapter_of(nb, name, root / "notebooks") for name, nb in notebooks.items()]
        numbers = [chapter.number for chapter in chapters]
        works = read_works(stated[2])
        said = "\n".join(str((b.text, b.data.get("short"))) for c in chapters for b in c.blocks)
        cited = [key for key in dict.fromkeys(REFERENCE.findall(said)) if key in works]
        keys = cited or [*works]
        listed = [works[key] for key in keys]
        chapters.append(appendix(runs, listed, machine(runs), max(numbers) + 1))
        document = Document(
            TITLE, author, chapters, facts(study, data, runs), newest(runs),
            synthetic=study.faces.synthetic,
            questions=[q for q in questions if q.chapter in numbers],
            withheld=publish and not study.faces.synthetic,
            rerun=rerun,
            results=collect(notebooks, "result"),
            checks=[ran_through(notebooks), *collect(notebooks, "check")],
        )  # fmt: skip
        numbers_of = {key: str(n) for n, key in enumerate(keys, 1)}
        document = referenced(document, numbers_of, strict=not draft)
        for line in [*unanswered(document), *unshown(document)]:
            progress(line)
        return document

    inputs = _stated(_digest([*executed, *stated]), _context(study, runs), _renderer())
    return _write(cache(assemble), _context(study, runs), inputs, out, lang, progress)


def rerun_command(profile: str, data: str, *, handin: bool = False) -> str:
    """The command of a question, with {id} in its place; a path is shown as its last part.

    Readers copy it into a shell, so a name with signs that mean something there is not shown.
    """
    profile, data = _shown(profile, "PROFILE"), _shown(data, "IMAGES") if data else ""
    if handin:
        return f"make rerun QUESTION={{id}} PROFILE={profile}" + (f" DATA={data}" if data else "")
    return f".venv/bin/hw3 rerun {{id}} --profile {profile}" + (f" --data {data}" if data else "")


def _shown(path: str, otherwise: str) -> str:
    name = Path(path).name
    return shlex.quote(name) if re.fullmatch(r"[\w.+][\w.+ -]*", name) else otherwise


def unanswered(document: Document) -> list[str]:
    """A line for each question that no chapter answers."""
    return [
        f"question {q.id}: chapter {q.chapter} holds no answer({q.id!r}, ...)"
        for q in document.questions
        if document.answer(q.id) is None
    ]


def unshown(document: Document) -> list[str]:
    """A line for each output that no page can show."""
    return [f"{b.where}: {b.text.en}" for b in document.blocks if b.kind == "missing"]


def dependencies(study: Study, runs: dict[str, Run]) -> str:
    """Digest of what code in a notebook can reach: library, fonts, data, recipes, Runs, versions.

    The report's own modules and the command line are no part of it: no notebook imports them.
    """
    faces, folds = study.faces, study.folds
    library = [p for p in sorted(LIBRARY.rglob("*.py")) if not _renders(p)]
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
    assemble: Callable[[], Document],
    context: dict,
    inputs: str,
    out: Path,
    lang: str,
    progress: Callable[[str], None],
) -> list[Path]:
    """Render what is asked for and not there yet; remove what was made from other inputs."""
    problems: dict[str, None] = {}

    def page() -> bytes:
        from hw3lib.report.html import render

        return render(assemble(), lang, problems).encode()

    def pdf(code: str) -> bytes:
        from hw3lib.report.pdf import render

        return render(assemble(), code, problems)

    def summary() -> bytes:
        measured = {"results": assemble().results, "checks": assemble().checks}
        return json.dumps({**context, **measured}, ensure_ascii=False, indent=1).encode()

    wanted: dict[str, Callable[[], bytes]] = {f"{NAME}.html": page, "results.json": summary}
    for code in LANGUAGES if lang == "both" else (lang,):
        wanted[PDFS[code]] = partial(pdf, code)
    keys = {name: _stated(inputs, name, lang) for name in wanted}
    stamps = _read_stamps(out)
    for name in {*PDFS.values()} - {*wanted}:  # of other inputs, or executed in another language
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
    for line in problems:
        progress(line)
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
            "images": len(study.faces),
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
    return _stated(_digest([*files, LIBRARY / "text.py"]), _versions(RENDERERS))


def _renders(path: Path) -> bool:
    parts = path.relative_to(LIBRARY).parts
    return (parts[0] == "report" and parts[-1] != "show.py") or parts in (
        ("cli.py",),
        ("bench.py",),
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
