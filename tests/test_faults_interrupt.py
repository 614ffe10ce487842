"""Ctrl-C at random moments: one line, exit 130, and the same command goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
from faulty import PATIENCE, PROFILE, RNG, below_of, hw3, pictures, profile

from hw3lib.files import ROOT
from hw3lib.training.runs import open_run

pytestmark = [pytest.mark.faults, pytest.mark.slow]
STOPPED = "hw3: stopped; the same command goes on where it was"


def test_training(observed, tmp_path):
    """Ctrl-C while training: one line, exit 130; the same command goes on to the same bits."""
    arguments = "train", "--profile", str(profile(tmp_path)), "--data", str(pictures(tmp_path))
    command = hw3(tmp_path / "whole", *arguments)
    command.begun()
    began = time.perf_counter()
    assert command.ended() == 0, command.err
    seconds, stopped = time.perf_counter() - began, 0
    for _ in range(8):  # each goes on where the one before was stopped
        command = hw3(tmp_path / "broken", *arguments)
        command.begun()
        time.sleep(0.003 + RNG.uniform(0, seconds / 4))
        if command.process.is_alive():
            os.kill(command.process.pid, signal.SIGINT)
        status = command.ended()
        assert status in (0, 130), command.err
        if status == 130:
            assert command.fault == STOPPED
            stopped += 1
    assert hw3(tmp_path / "broken", *arguments).ended() == 0
    broken, whole = (
        open_run(next((tmp_path / name / "runs").glob("slim_resnet-*")))
        for name in ("broken", "whole")
    )
    for split in ("validation", "test"):
        assert np.array_equal(broken.logits(split), whole.logits(split))
    observed(f"{stopped} stopped, the same bits", stopped)


def frozen(library: Path) -> None:
    """The library as it is now, in place of one that is perhaps being edited."""
    from hw3lib.report import build

    build.LIBRARY = library


def test_the_report(observed, tmp_path):
    """Ctrl-C while making the report: one line, exit 130, the kernels end too; finished notebooks
    are not run again."""
    from report.test_build import write_notebook

    for name in ("notebooks", "report"):
        (tmp_path / name).mkdir()
    write_notebook(tmp_path / "notebooks" / "05_confusion_matrix.ipynb", "A3 B3", "Confusion")
    write_notebook(tmp_path / "notebooks" / "06_decision_rules.ipynb", "B4", "Rules",
                   "from hw3lib.report.show import answer\nimport time\ntime.sleep(2)")  # fmt: skip
    for name in ("author.toml", "questions.toml", "bibliography.bib"):
        shutil.copy(ROOT / "report" / name, tmp_path / "report" / name)
    (tmp_path / "empty.toml").write_text("[settings]\n", encoding="utf-8")
    arguments = ("report", "--profile", str(tmp_path / "empty.toml"), "--data", "synthetic:140",
                 "--root", str(tmp_path), "--jobs", "2")  # fmt: skip
    stopped, build = 0, tmp_path / "report" / "build"
    freeze = partial(frozen, shutil.copytree(ROOT / "hw3lib", tmp_path / "hw3lib"))
    for after in (1.0, 3.0, 5.0):
        shutil.rmtree(build, ignore_errors=True)
        command = hw3(tmp_path / "work", *arguments, before=freeze)
        command.begun()
        time.sleep(after)
        if command.process.is_alive():
            below = below_of(command.process)
            os.kill(command.process.pid, signal.SIGINT)
            status = command.ended()
            assert status in (0, 130), command.err
            assert status == 0 or command.fault == STOPPED
            _, alive = psutil.wait_procs(below, timeout=PATIENCE)
            assert not alive
            stopped += status == 130
    done = {p.stem for p in (build / "notebooks").glob("*.ipynb")}
    command = hw3(tmp_path / "work", *arguments, before=freeze)
    assert command.ended() == 0, command.err
    for name in done:
        assert f"{name}: unchanged" in command.out
    assert (build / "hw3_report.pdf").read_bytes().startswith(b"%PDF")
    assert stopped
    observed(f"{stopped} stopped, no process left", stopped)


# pytest's workers ignore Ctrl-C, and what they start would too
AS_IN_A_TERMINAL = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from hw3lib.cli import main
main()
"""


def start_side_by_side(folder: Path) -> subprocess.Popen:
    """`hw3 train --jobs 2` of two recipes, as a terminal starts it, once both have begun."""
    folder.mkdir(exist_ok=True)
    toml = folder / "two.toml"
    toml.write_text(PROFILE.replace("epochs = 16", "epochs = 400") + "seeds = [0, 1]\n")
    process = subprocess.Popen(
        [sys.executable, "-c", AS_IN_A_TERMINAL, "train", "--profile", str(toml), "--data",
         str(pictures(folder)), "--jobs", "2"],
        env={**os.environ, "HW3_RUNS": str(folder / "runs"), "HW3_CACHE": str(folder / "cache")},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + PATIENCE
    while len(list((folder / "runs").glob(".*.checkpoint"))) < 2 and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    return process


def told(text: str) -> list[str]:
    """The lines that are neither progress nor a warning."""
    return [x for x in text.splitlines() if "  epoch " not in x and "hw3: warning" not in x]


@pytest.mark.parametrize("stop", ["Ctrl-C in a terminal", "kill"])
def test_trainings_side_by_side(observed, tmp_path, stop):
    """Two trainings side by side are stopped: one line, exit 130; no process is left."""
    process = start_side_by_side(tmp_path)
    below = psutil.Process(process.pid).children(recursive=True)
    if stop == "kill":
        process.terminate()  # it alone
    else:
        os.killpg(process.pid, signal.SIGINT)
    _, text = process.communicate(timeout=PATIENCE)
    assert (process.returncode, told(text)) == (130, [STOPPED])
    _, alive = psutil.wait_procs(below, timeout=30)
    assert not alive
    observed(f"stopped with {len(below)} processes below it", 1)


def test_a_training_killed_from_outside(observed, tmp_path):
    """SIGKILL of one training of two, as for want of memory: one line that says so and exit 2; the
    checkpoints stay."""
    process = start_side_by_side(tmp_path)
    below = psutil.Process(process.pid).children(recursive=True)
    workers = [p for p in below if "LokyProcess" in " ".join(p.cmdline())]
    workers[0].kill()
    _, text = process.communicate(timeout=PATIENCE)
    (line,) = told(text)
    assert process.returncode == 2 and "killed from outside" in line and "--jobs 1" in line
    assert len(list((tmp_path / "runs").glob(".*.checkpoint"))) == 2
    observed("told in one line", 1)
