"""`hw3 lab`: the server by its interface, then a notebook run to its end in Chromium."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest

from hw3lib import UserError
from hw3lib.files import ROOT
from hw3lib.report.check import clear, faults_of
from hw3lib.report.cover import read_questions
from hw3lib.report.lab import lab_environment, open_lab

from .browser import PATIENCE, browser, chromium

NAME = "01_data_statistics"
START = ROOT / "notebooks" / "README.md"
BROKEN = {"argv": ["no-such-python"], "display_name": "Another", "language": "python"}
DONE = """() => [...document.querySelectorAll('.jp-OutputArea')].some((e) =>
  /Answer to B4|Traceback/.test(e.textContent))"""
MENU = ".lm-Menu-itemLabel"


class Lab(NamedTuple):
    """A JupyterLab that runs: its address, its token, its folder."""

    url: str
    token: str
    root: Path

    def get(self, path: str, token: str | None = None) -> bytes:
        headers = {"Authorization": f"token {self.token if token is None else token}"}
        request = urllib.request.Request(self.url + path, headers=headers)
        with urllib.request.urlopen(request, timeout=PATIENCE / 1000) as answer:
            return answer.read()


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Iterator[Lab]:
    """`hw3 lab` on a copy of one notebook, for a user who has another kernel of that name."""
    home, root = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("lab") / "我的 hw3"
    (root / "notebooks").mkdir(parents=True)
    for file in (START, START.with_name(f"{NAME}.ipynb")):
        shutil.copy(file, root / "notebooks")
    kernel = home / ".local" / "share" / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps(BROKEN))
    hidden = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "XDG_DATA_HOME", "HW3_DATA")
    env = {k: v for k, v in os.environ.items() if k not in hidden}
    env |= {"HOME": str(home), "JUPYTER_RUNTIME_DIR": str(home), "HW3_CACHE": str(home / "cache"),
            "HW3_RUNS": str(home / "runs")}  # fmt: skip
    options = ["--data", "synthetic:210", "--no-browser", "--allow-root", "--ServerApp.port=0"]
    command = [sys.executable, "-m", "hw3lib.cli", "lab", "--root", str(root), *options]
    with (home / "log").open("w") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        try:
            facts = started(server, home)
            assert facts["hostname"] == "localhost"  # of this machine only
            yield Lab(facts["url"], facts["token"], root)
        finally:
            server.terminate()
            server.wait(timeout=60)


def started(server: subprocess.Popen, home: Path) -> dict:
    """What the server tells of itself once it answers."""
    for _ in range(PATIENCE // 100):
        for file in home.glob("jpserver-*.json"):
            with contextlib.suppress(OSError, ValueError):  # not written, or not listening yet
                facts = json.loads(file.read_text())
                urllib.request.urlopen(facts["url"] + "api", timeout=60).close()
                return facts
        assert server.poll() is None, (home / "log").read_text()
        time.sleep(0.1)
    raise AssertionError((home / "log").read_text())


@pytest.mark.slow
def test_the_server_keeps_its_token_and_offers_both_formats_and_this_python(lab):
    assert len(lab.token) >= 32
    with pytest.raises(urllib.error.HTTPError, match="403"):
        lab.get("api/contents", token="")
    offered = json.loads(lab.get("api/nbconvert"))
    assert offered["hw3_html"] == {"output_mimetype": "text/html"}
    assert offered["hw3_pdf"] == {"output_mimetype": "application/pdf"}
    assert not {"pdf", "latex", "webpdf", "qtpdf"} & set(offered)  # they need LaTeX, or Qt
    kernels = json.loads(lab.get("api/kernelspecs"))["kernelspecs"]
    assert kernels["python3"]["spec"]["display_name"] != "Another"


@pytest.mark.slow
@pytest.mark.skipif(not chromium(), reason="needs Chromium: apt-get install chromium")
def test_a_notebook_runs_to_its_answer_is_exported_and_cleared(lab):
    file, outside = lab.root / "notebooks" / f"{NAME}.ipynb", []
    committed = START.with_name(file.name).read_bytes()
    inside = (lab.url, "data:", "blob:")
    with browser() as opened:
        page = opened.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda r: r.url.startswith(inside) or outside.append(r.url))
        page.goto(f"{lab.url}?token={lab.token}")
        start = page.locator(".jp-RenderedMarkdown")  # shown, not its source
        start.get_by_role("link", name="Data statistics").click()
        page.locator(".jp-NotebookPanel .jp-CodeCell").last.wait_for()
        assert exports(page) >= {"Hw3_pdf", "Hw3_html"}
        wait_until_idle(lab)
        save(page)
        assert file.read_bytes() == committed  # opening a notebook changes nothing in it
        choose(page, "Run", "Run All Cells")
        page.wait_for_function(DONE)
        wait_until_idle(lab)
        save(page)
    assert outside == []
    outputs = [o for c in nbformat.read(file, as_version=4).cells for o in c.get("outputs", [])]
    assert not [o.ename for o in outputs if o.output_type == "error"]
    said = [o.get("data", {}).get("text/markdown", "") for o in outputs]
    (answer,) = [text for text in said if "Answer to B4" in text]
    exported = lab.get(f"nbconvert/hw3_html/{NAME}.ipynb?download=true").decode()
    assert re.search(r"From \w+, [\d.]+%, down to \w+, [\d.]+%", answer)[0] in exported
    assert "Not run" not in exported
    assert lab.get(f"nbconvert/hw3_pdf/{NAME}.ipynb").startswith(b"%PDF")
    assert any("a stored output" in line for line in faults_of(file, {}, stored=True))
    clear(file)
    assert file.read_bytes() == committed


def wait_until_idle(lab: Lab) -> None:
    """Until no cell runs or waits: the kernel is idle, and still is a second later."""
    idle = 0
    while idle < 2:
        states = [kernel["execution_state"] for kernel in json.loads(lab.get("api/kernels"))]
        idle = idle + 1 if states == ["idle"] else 0
        time.sleep(1)


def exports(page) -> set[str]:
    """The formats under File > Save and Export Notebook As, once JupyterLab has put them there."""
    found: set[str] = set()
    while "Hw3_pdf" not in found:
        page.locator(".lm-MenuBar-itemLabel").get_by_text("File", exact=True).click()
        page.locator(MENU).get_by_text("Save and Export Notebook As").hover()
        page.wait_for_timeout(1000)  # a submenu opens after a moment
        found = set(page.locator(MENU).all_inner_texts())
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
    return found


def save(page) -> None:
    choose(page, "File", "Save Notebook")
    page.wait_for_function("() => !document.querySelector('.jp-mod-dirty')")


def choose(page, menu: str, item: str) -> None:
    page.locator(".lm-MenuBar-itemLabel").get_by_text(menu, exact=True).click()
    page.locator(MENU).get_by_text(item, exact=True).click()


def test_the_start_page_names_every_notebook_its_titles_and_questions():
    lines = START.read_text(encoding="utf-8").splitlines()
    asked = read_questions(ROOT / "report" / "questions.toml")
    for file in sorted(START.parent.glob("*.ipynb")):
        zh, en = (c.source.splitlines()[0][2:] for c in nbformat.read(file, as_version=4).cells[:2])
        number = file.stem[:2]
        answers = " ".join(q.id for q in asked if q.chapter == int(number)) or "B4"
        assert f"| {number} | [{zh}]({file.name}) | [{en}]({file.name}) | {answers} |" in lines


def test_the_data_of_the_caller_and_a_folder_without_notebooks(tmp_path, monkeypatch):
    (tmp_path / "faces").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/mine")
    given = lab_environment("faces")
    assert given["HW3_DATA"] == str(tmp_path / "faces")
    assert given["JUPYTER_CONFIG_PATH"].endswith(os.pathsep + "/mine")
    assert "HW3_DATA" not in lab_environment()
    with pytest.raises(UserError, match="no folder of notebooks"):
        open_lab(tmp_path)
