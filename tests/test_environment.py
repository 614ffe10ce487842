"""One environment in three files: pyproject.toml, requirements.lock, environment.yml."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import yaml
from packaging.requirements import Requirement
from packaging.version import Version
from test_advisories import LOCK, pinned

from hw3lib.files import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WANTED = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]


def test_conda_asks_for_the_same_packages():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = [d["pip"] for d in environment["dependencies"] if isinstance(d, dict)]
    assert sorted(pip) == sorted(WANTED)
    assert f"python{PROJECT['requires-python']}" in environment["dependencies"]


def test_the_lock_fits_pyproject_and_has_hashes():
    pins = pinned(LOCK)
    for text in WANTED:
        wanted = Requirement(text)
        name = wanted.name.lower().replace("_", "-")
        assert name in pins, f"{name} is not in requirements.lock; run make lock"
        assert all(wanted.specifier.contains(Version(v)) for v in pins[name]), text
    blocks = re.split(r"\n(?=\S)", LOCK)
    assert all("--hash=sha256:" in b for b in blocks if re.match(r"[a-z0-9]", b))


def test_the_lock_names_no_host():
    assert not re.search(r"https?://|index-url|find-links|file:", LOCK)


def test_training_needs_torch_numpy_and_pandas_only():
    """A machine that only trains may lack what draws, tests and renders."""
    heavy = {"matplotlib", "seaborn", "sklearn", "statsmodels", "captum", "lark",
             "IPython", "nbconvert", "nbclient", "typst", "pypandoc"}  # fmt: skip
    code = "import sys, hw3lib.cli, hw3lib.training.workers; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not heavy & set(done.stdout.split())
