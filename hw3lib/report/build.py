"""Builds the report: Runs, executed notebooks, one Document, its pages, and what they measured."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache, partial
from importlib import metadata
from pathlib import Path

import nbformat

from hw3lib import PUBLISH, UserError, __version__
from hw3lib.data.audit import leak
from hw3lib.files import ROOT, sha256, write_atomic
from hw3lib.report.appendix import appendix, read_works
from hw3lib.report.check import faults_of
from hw3lib.report.cover import TITLE, facts, machine, newest, read_author, read_questions
from hw3lib.report.document import REFERENCE, Block, Document, referenced
from hw3lib.report.execute import digest, execute_notebooks, parameters_of
from hw3lib.report.handin import STATED
from hw3lib.report.notebook import chapter_of, collect, ran_through
from hw3lib.text import LANGUAGES, known_language
from hw3lib.training.runs import Run
from hw3lib.training.study import Study, open_study
from hw3lib.training.workers import make_runs

LIBRARY = ROOT / "hw3lib"
SUFFIXES = (".py", ".lua", ".typ", ".j2", ".css", ".js", ".otf", ".ttf", ".woff2")
NAME, STAMP = "hw3_report", ".stamp"
PDFS = {"zh": f"{NAME}.zh.pdf", "en": f"{NAME}.en.pdf", "both": f"{NAME}.pdf"}


def build_report(
    profile: str = "demo",
    data: str = "",
    *,
    lang: str = "both",
    publish: bool = False,
    draft: bool = False,
    jobs: int = 0,
    root: Path = ROOT,
    out: Path | None = None,
    progress: Callable[[str], None] = print,
) -> list[Path]:
    """Write the report of `root`'s notebooks into `out` (root/report/build); the files written.

    lang : zh or en execute in it and write its PDF alone; both writes all three
    publish : withhold every photograph of a single person; out is then root/report/published
    draft : go on past a notebook that fails; its page says so
    jobs : processes at a time; 0: as the cores allow

    What is there already and still holds is kept: Runs, executed notebooks, rendered files. The
    sources are read first, in seconds, before anything is trained.

    Raises
    ------
    UserError
        for faults in the profile, the data, the stated files or a notebook.
    """
    parameters = parameters_of(profile, data, known_language(lang))
    out = out or root / "report" / ("published" if publish else "build")
    stated = [root / "report" / name for name in STATED]
    author, questions = read_author(stated[0]), read_questions(stated[1])
    sources = _sources(root / "notebooks", parameters, strict=not draft)
    study = open_study(profile, data)
    if line := leak(study.faces):
        progress(f"warning: {line}")
    runs = make_runs(study, jobs=jobs)
    executed = execute_notebooks(
        sources, out / "notebooks", parameters, depends=dependencies(study, runs),
        environment={PUBLISH: "1" if publish else ""}, jobs=jobs, draft=draft, progress=progress,
    )  # fmt: skip
    context, synthetic = _context(study, runs), study.faces.synthetic
    frame = Document(
        TITLE, author, [], facts(study, data, runs), context["date"], questions=questions,
        synthetic=synthetic, withheld=publish and not synthetic,
        rerun=rerun_command(profile, data=not synthetic, handin=root != ROOT),
    )  # fmt: skip
    assemble = partial(_filled, frame, executed, runs, root, strict=not draft)
    inputs = digest(_contents([*executed, *stated]), context, _renderer())
    return write_files(assemble, context, inputs, out, lang, progress)


def _sources(folder: Path, parameters: dict[str, str], *, strict: bool) -> list[Path]:
    """The notebooks; where `strict`, UserError for what would stop the report at one of them."""
    sources = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not sources:
        raise UserError(f"{folder}: no notebooks; restore them with git")
    faults = [line for path in sources for line in faults_of(path, parameters)]
    if faults and strict:
        raise UserError("; ".join(faults))
    return sources


def _filled(
    frame: Document, executed: list[Path], runs: dict[str, Run], root: Path, *, strict: bool
) -> Document:
    """The Document with its Chapters, its references and what was measured."""
    notebooks = {path.stem: nbformat.read(path, as_version=4) for path in executed}
    chapters = [chapter_of(nb, name, root / "notebooks") for name, nb in notebooks.items()]
    numbers = [chapter.number for chapter in chapters]
    works = read_works(root / "report" / "bibliography.bib")
    blocks = [block for chapter in chapters for block in chapter.blocks]
    printed = _cited([block for block in blocks if not block.detail], works)
    keys = list(dict.fromkeys(printed + _cited(blocks, works))) or [*works]
    last = appendix(
        runs, {key: works[key] for key in keys}, machine(runs), max(numbers) + 1,
        folded=len(keys) - len(printed) if printed else 0,
    )  # fmt: skip
    document = replace(
        frame,
        chapters=[*chapters, last],
        questions=[q for q in frame.questions if q.chapter in numbers],
        results=collect(notebooks, "result"),
        checks=[ran_through(notebooks), *collect(notebooks, "check")],
    )
    return referenced(document, {key: str(n) for n, key in enumerate(keys, 1)}, strict=strict)


def _cited(blocks: list[Block], works: dict[str, str]) -> list[str]:
    """Keys of the works that the blocks cite, in the order of their first mention."""
    said = "\n".join(str((block.text, block.data.get("short"))) for block in blocks)
    return [key for key in dict.fromkeys(REFERENCE.findall(said)) if key in works]


def rerun_command(profile: str, *, data: bool, handin: bool = False) -> str:
    """The command of a question, with {id} in its place; paths are left to who copies it."""
    profile = profile if profile.isalnum() else "PROFILE"
    if handin:
        return f"make rerun QUESTION={{id}} PROFILE={profile}" + " DATA=IMAGES" * data
    return f".venv/bin/hw3 rerun {{id}} --profile {profile}" + " --data IMAGES" * data


def dependencies(study: Study, runs: dict[str, Run]) -> str:
    """Digest of what code in a notebook can reach: library, fonts, data, recipes, Runs, versions.

    The report's own modules and the command line are no part of it: no notebook imports them.
    """
    faces, folds = study.faces, study.folds
    library = [p for p in sorted(LIBRARY.rglob("*.py")) if not _renders(p.relative_to(LIBRARY))]
    arrays = (faces.ids, faces.split, faces.votes, folds.train, folds.validation, folds.test)
    return digest(
        study.settings,
        {name: recipe.hash for name, recipe in study.recipes.items()},
        {name: run.record for name, run in runs.items()},
        [faces.fingerprint, faces.layout, faces.problems, folds.fingerprint, folds.test_source],
        [hashlib.sha256(b"" if a is None else a.tobytes()).hexdigest() for a in arrays],
        [platform.python_version(), versions()],
        _contents([*library, *sorted((ROOT / "report" / "fonts").glob("*.otf"))]),
    )


def write_files(
    assemble: Callable[[], Document],
    context: dict,
    inputs: str,
    out: Path,
    lang: str,
    progress: Callable[[str], None],
) -> list[Path]:
    """Page, PDFs and results.json, unless all of them are there and made from these inputs."""
    from hw3lib.report import html, pdf  # late, for a report that is there already

    pdfs = {code: PDFS[code] for code in (LANGUAGES if lang == "both" else (lang,))}
    names = [f"{NAME}.html", "results.json", *pdfs.values()]
    files = [out / name for name in names]
    stamp = out / STAMP
    if stamp.is_file() and stamp.read_bytes() == digest(inputs, lang, _contents(files)).encode():
        for name in names:
            progress(f"{name}: unchanged")
        return files
    document, problems = assemble(), {}
    for line in document.gaps:
        progress(line)
    measured = {**context, "results": document.results, "checks": document.checks}
    for file in [stamp, *(out / name for name in PDFS.values())]:
        file.unlink(missing_ok=True)  # of other inputs, or executed in another language

    with ThreadPoolExecutor() as threads:  # Typst and pandoc do most of the work
        page = threads.submit(html.render, document, lang, problems)
        printed = threads.map(partial(pdf.render, document, problems=problems), pdfs)
        numbers = json.dumps(measured, ensure_ascii=False, indent=1)
        contents = [page.result().encode(), numbers.encode(), *printed]
    for file, content in zip(files, contents, strict=True):
        write_atomic(file, content)
        progress(f"{file.name}: {len(content) / 1e6:.1f} MB")
    write_atomic(stamp, digest(inputs, lang, _contents(files)).encode())
    for line in problems:
        progress(line)
    return files


@cache
def versions() -> dict[str, str]:
    """Package -> version, of all that the library requires."""
    required = [r for r in metadata.requires("hw3lib") or () if "extra ==" not in r]
    names = [re.match(r"[\w.-]+", r)[0] for r in required]
    return {name: metadata.version(name) for name in names}


def _context(study: Study, runs: dict[str, Run]) -> dict:
    """What every number in results.json shares."""
    first = next(iter(runs.values()), None)
    return {
        "profile": study.profile,
        "data": {
            "origin": "synthetic" if study.faces.synthetic else "real",
            "layout": study.faces.layout,
            "images": len(study.faces),
            "fingerprint": study.faces.fingerprint,
            "folds": study.folds.fingerprint,
        },
        "date": newest(runs),
        "machine": first.record["machine"] if first else platform.machine(),
        "device": first.record["device"] if first else "cpu",
        "versions": {"hw3lib": __version__, **versions()},
    }


def _renderer() -> list[tuple[str, str]]:
    """All that turns a Document into files."""
    folders = [LIBRARY / "report", ROOT / "report" / "templates", ROOT / "report" / "fonts"]
    files = [p for f in folders for p in sorted(f.rglob("*")) if p.suffix in SUFFIXES]
    return _contents([*files, LIBRARY / "text.py"])


def _renders(path: Path) -> bool:
    return (path.parts[0] == "report" and path.name != "show.py") or path.parts == ("cli.py",)


def _contents(files: Iterable[Path]) -> list[tuple[str, str]]:
    """Name and checksum of each file; a missing one has none."""
    return [(path.name, sha256(path) if path.is_file() else "") for path in files]
