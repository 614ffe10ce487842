"""The command line: hw3 data, train, evaluate, predict, report, rerun, lab, new, check, runs.

A command parses and prints; the work is in a room, imported within the command. README lists them.
"""

from __future__ import annotations

import errno
import json
import signal
import sys
import threading
from math import isnan
from pathlib import Path
from typing import Annotated

import typer
import typer.exceptions

from hw3lib import UserError
from hw3lib.files import ROOT

# What imports torch or the report is imported by the command that needs it: `hw3 --help` then
# takes 0.2 s instead of 4.

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
runs_app = typer.Typer(help="Carry Runs to another machine.")
app.add_typer(runs_app, name="runs")

Profile = Annotated[str, typer.Option(help="demo, cpu, gpu, or the path of a .toml file")]
Data = Annotated[str, typer.Option(help='images in any layout; "" for data/ or synthetic faces')]
Views = Annotated[str, typer.Option(help="one, flip (2 views) or ten (10 views)")]
Weights = Annotated[str, typer.Argument(help="weights file, Run folder, or a published name")]
Root = Annotated[
    Path, typer.Option(help="another folder of notebooks: see hw3 new", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object")]
Jobs = Annotated[int, typer.Option(help="processes side by side; 0: as the cores allow")]

FAULT, INTERRUPTED = 2, 130
STOPPED = "stopped; the same command goes on where it was"
KILLED = (
    "a training was killed from outside, most often for want of memory: train fewer at a time "
    "(--jobs 1); the same command goes on where they were"
)
FULL = "free some space; the same command goes on where it was"
CLOSED = "give yourself the right to it, or name another folder (HW3_RUNS, HW3_CACHE, --out)"
REMEDIES = {
    errno.ENOSPC: FULL, errno.EDQUOT: FULL, errno.EFBIG: FULL,
    errno.EROFS: CLOSED, errno.EACCES: CLOSED, errno.EPERM: CLOSED,
}  # fmt: skip

# remembered, for a library that is being imported can turn Ctrl-C into another error
_interrupted = threading.Event()


def main() -> None:
    """Entry point: a fault the user can fix is one line and a non-zero exit status."""
    watch_interrupts()
    try:
        status = app(standalone_mode=False)
        if status == INTERRUPTED:  # typer keeps a Ctrl-C to itself
            raise KeyboardInterrupt
        sys.stdout.flush()  # a full disk shows here, not at the very end
    except typer.exceptions.TyperException as error:  # a wrong option, a missing argument
        hint = "hw3 --help and hw3 COMMAND --help say what there is"
        status = tell(UserError(f"{error.format_message()} ({hint})"))
    except BaseException as error:
        status = tell(error)
    sys.exit(status or 0)


def watch_interrupts() -> None:
    """Remember a Ctrl-C, whatever becomes of it; `kill`, as queues of jobs send it, is one too."""

    def interrupt(*_) -> None:
        _interrupted.set()
        raise KeyboardInterrupt

    for stop in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(stop) in (signal.default_int_handler, signal.SIG_DFL):
            signal.signal(stop, interrupt)


def tell(error: BaseException) -> int:
    """Print the line of an error and return the exit status; what is no user's fault is raised."""
    if isinstance(error, SystemExit):
        raise error
    if isinstance(error, BrokenPipeError):  # `hw3 … | head`
        sys.stderr.close()
        return 0
    stopped = _interrupted.is_set() or isinstance(error, KeyboardInterrupt)
    line = STOPPED if stopped else fault_of(error)
    if line is None:
        raise error
    if stopped:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one would only spoil the end
    print(f"hw3: {' '.join(line.split())}", file=sys.stderr)
    return INTERRUPTED if stopped else FAULT


def fault_of(error: BaseException) -> str | None:
    """What is wrong and how to fix it; None for a fault of the program itself."""
    if isinstance(error, UserError):
        return str(error)
    if type(error).__name__ in ("TerminatedWorkerError", "BrokenProcessPool"):
        return KILLED
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return f"out of memory ({error}); close other programs or run fewer at a time (--jobs 1)"
    if isinstance(error, OSError):
        remedy = REMEDIES.get(error.errno or 0)
        told = f"{error.filename or 'a file'}: {error.strerror or error}"
        return f"{told}; {remedy}" if remedy else told
    return None


@app.command()
def data(
    path: Annotated[str, typer.Argument(help="file or folder in any layout")] = "",
    as_json: AsJson = False,
) -> None:
    """Say what a data set holds: layout, splits, classes, duplicates, problems."""
    from hw3lib.data import load
    from hw3lib.data.audit import describe, to_text

    faces = load(path)
    warn_of_copies(faces)
    facts = describe(faces)
    print(json.dumps(facts, ensure_ascii=False) if as_json else to_text(facts))


def warn_of_copies(faces) -> None:
    from hw3lib.data.audit import leak

    if line := leak(faces):
        warn(f"warning: {line}")


def tell_problems(faces) -> None:
    for line in faces.problems:
        warn(f"problem: {line}")


def warn(line: str) -> None:
    print(f"hw3: {line}", file=sys.stderr)


@app.command()
def train(
    profile: Profile = "demo",
    data: Data = "",
    only: Annotated[str, typer.Option(help="names of recipes, separated by commas")] = "",
    jobs: Jobs = 0,
    scheduler: Annotated[
        str, typer.Option(help="a dask scheduler whose workers train: tcp://HOST:8786")
    ] = "",
) -> None:
    """Make every Run that the profile's notebooks need; what is there already is kept."""
    from hw3lib.training.study import open_study
    from hw3lib.training.workers import make_runs

    study = open_study(profile, data)
    tell_problems(study.faces)
    warn_of_copies(study.faces)
    names = only.split(",") if only else list(study.recipes)
    if unknown := [n for n in names if n not in study.recipes]:
        raise UserError(f"--only {unknown[0]}: profile {profile} has {', '.join(study.recipes)}")
    runs = make_runs(study, names, jobs=jobs, scheduler=scheduler)
    for name, run in runs.items():
        kept = run.history["validation_accuracy"].iloc[run.record["kept_epoch"] - 1]
        told = "trained on validation" if isnan(kept) else f"validation accuracy {kept:.4f}"
        print(f"{name}  {told}  {run.record['seconds']:.0f} s  {run.path}")


@app.command()
def evaluate(
    weights: Weights,
    data: Data = "",
    split: Annotated[str, typer.Option(help="train, test, private or all")] = "",
    views: Views = "one",
    as_json: AsJson = False,
) -> None:
    """Score weights on labelled images: the test split where the data has one."""
    from hw3lib.data import load
    from hw3lib.models.network import evaluate as evaluate_network
    from hw3lib.models.network import load_network

    network, faces = load_network(weights), load(data)
    tell_problems(faces)
    scores = evaluate_network(network, faces, split=split, views=views)
    facts = {"weights": weights, **scores}
    if as_json:
        print(json.dumps(facts, ensure_ascii=False))
        return
    for name, value in facts.items():
        print(f"{name:32} {value:.4f}" if isinstance(value, float) else f"{name:32} {value}")


@app.command()
def predict(
    weights: Weights,
    path: Annotated[str, typer.Argument(help="an image, or as --data")] = "",
    data: Data = "",
    out: Annotated[str, typer.Option(help="CSV file to write (id,label); none: print")] = "",
    split: Annotated[str, typer.Option(help="only this split: train, test or private")] = "",
    views: Views = "one",
) -> None:
    """Predict the class of every image, by id."""
    from hw3lib.data import load
    from hw3lib.data.faces import CLASSES
    from hw3lib.models.network import load_network, write_predictions
    from hw3lib.models.network import predict as predict_faces

    if bool(path) == bool(data):
        raise UserError("predict: give the images once, as an argument or with --data PATH")
    network, faces = load_network(weights), load(path or data)
    tell_problems(faces)
    ids, probabilities = predict_faces(network, faces, split=split, views=views)
    if out:
        if marked := write_predictions(Path(out), ids, probabilities.argmax(axis=1)):
            warn(f"problem: {marked} ids would be formulas in a spreadsheet; in {out} an "
                 "apostrophe stands before each")  # fmt: skip
        print(f"{len(ids)} predictions written to {out}")
        return
    for name, p in zip(ids, probabilities, strict=True):
        print(f"{name}  {CLASSES[p.argmax()]}  {p.max():.1%}")


@app.command()
def report(
    profile: Profile = "demo",
    data: Data = "",
    lang: Annotated[str, typer.Option(help="zh, en or both")] = "both",
    publish: Annotated[
        bool, typer.Option(help="withhold every photograph; write report/published")
    ] = False,
    jobs: Jobs = 0,
    draft: Annotated[bool, typer.Option(help="go on past a notebook that fails")] = False,
    root: Root = ROOT,
) -> None:
    """Make the Runs, execute the notebooks, write report/build/hw3_report.{html,pdf}."""
    from hw3lib.report.build import build_report

    for file in build_report(
        profile, data, lang=lang, publish=publish, draft=draft, jobs=jobs, root=root.resolve()
    ):
        print(file)


@app.command()
def rerun(
    question: Annotated[str, typer.Argument(help="A1 to A5, B1 to B4, M1 to M4")],
    profile: Profile = "demo",
    data: Data = "",
    root: Root = ROOT,
) -> None:
    """Answer one question again and compare its numbers with those of the report."""
    from hw3lib.report.rerun import rerun as answer_again

    answer_again(question, profile, data, root=root.resolve())


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(context: typer.Context, data: Data = "", root: Root = ROOT) -> None:
    """Open the notebooks in JupyterLab; further options are JupyterLab's, e.g. --no-browser."""
    from hw3lib.report.lab import open_lab

    open_lab(root.resolve(), data, context.args)


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(help="a folder that is not there yet")],
    name: Annotated[str, typer.Option(help="whose hand-in it is")] = "",
) -> None:
    """Start your own hand-in: notebooks to edit, your name, the course's two scripts."""
    from hw3lib.report.handin import new_handin

    files = new_handin(folder, name=name)
    print(f"{len(files)} files in {folder}; its README.md says what to do with them")


@app.command(hidden=True)
def train_handin(images: Path, table: Path, handin: Path) -> None:
    """What hw3_train.sh of a hand-in calls."""
    from hw3lib.report.handin import train_handin as train_it

    print(f"trained: {train_it(images, table, handin)}")


@app.command()
def check(
    notebooks: Annotated[list[Path], typer.Argument(help="notebooks, e.g. notebooks/*.ipynb")],
    clear: Annotated[bool, typer.Option("--clear", help="first remove what runs left")] = False,
) -> None:
    """Say what keeps notebooks from being committed: stored outputs, what a report cannot read."""
    from hw3lib.report.check import clear as clear_outputs
    from hw3lib.report.check import faults_of

    for path in notebooks if clear else ():
        clear_outputs(path)
    faults = [line for path in notebooks for line in faults_of(path, {}, stored=True)]
    for line in faults:
        print(line, file=sys.stderr)
    if faults:
        raise UserError(f"{len(faults)} faults; fix them and try again")


@runs_app.command("pack")
def pack_runs(
    file: Annotated[Path, typer.Argument(help="the .tar.gz to write")],
    profile: Profile = "demo",
    data: Data = "",
    weights: Annotated[
        str, typer.Option(help="recipes whose weights go along, by comma; all; none")
    ] = "best,vgg16,resnet18.overfit",
) -> None:
    """Pack the profile's Runs into one file; those of comparisons leave their weights behind."""
    from hw3lib.training.pack import pack
    from hw3lib.training.runs import open_run, run_path
    from hw3lib.training.study import open_study

    paths = {n: run_path(r) for n, r in open_study(profile, data).recipes.items()}
    runs = {n: open_run(path) for n, path in paths.items() if path.exists()}
    pack(runs, file, weights=lambda n: weights == "all" or n in weights.split(","))
    print(f"{len(runs)} Runs packed into {file}")


@runs_app.command("unpack")
def unpack_runs(file: Path) -> None:
    """Unpack Runs into runs/; those that are there already stay as they are."""
    from hw3lib.training.pack import unpack

    made = unpack(file)
    print(f"{len(made)} Runs unpacked")


@runs_app.command("publish")
def publish_run(
    name: Annotated[str, typer.Argument(help="the recipe whose network to publish, e.g. best")],
    profile: Profile = "cpu",
    data: Data = "",
    as_name: Annotated[str, typer.Option("--as", help="published name; none: the recipe's")] = "",
    views: Views = "one",
) -> None:
    """Write a Run's network to data/pretrained, with its measured accuracies inside."""
    from hw3lib.training.pack import publish
    from hw3lib.training.study import open_study

    study = open_study(profile, data)
    print(publish(study.run(name), as_name or name, study.folds, views=views))


if __name__ == "__main__":
    main()
