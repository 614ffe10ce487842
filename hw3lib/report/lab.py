"""`hw3 lab`: JupyterLab on a folder of notebooks, opened at its start page notebooks/README.md."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hw3lib import UserError
from hw3lib.files import ROOT, absolute

START = "README.md"
SETTINGS = ROOT / "report" / "lab"  # JupyterLab's settings for these notebooks; a user's own win


def open_lab(root: Path, data: str = "", extra: Sequence[str] = ()) -> None:
    """Run JupyterLab on the notebooks of `root` until it is stopped.

    It listens on this machine only and keeps Jupyter's token. Nothing is looked up elsewhere: no
    news, no list of extensions. Its export menu offers what works without LaTeX (report/lab).

    data  : as for `open_study`, for every notebook whose DATA is left ""; a path may be relative
    extra : JupyterLab's own arguments; they come last and win

    Raises
    ------
    UserError
        if `root` has no folder of notebooks.
    """
    notebooks = root / "notebooks"
    if not notebooks.is_dir():
        raise UserError(f"{notebooks}: no folder of notebooks; give --root the folder that has it")
    os.environ.update(lab_environment(data))
    from jupyterlab.labapp import main  # late: it reads the environment

    start = f"/tree/{START}" if (notebooks / START).is_file() else ""
    main([
        f"--ServerApp.root_dir={notebooks}", "--ServerApp.ip=localhost",
        f"--LabApp.default_url=/lab{start}", "--LabApp.extension_manager=readonly", *extra,
    ])  # fmt: skip


def without_version(model: dict[str, Any], **_: Any) -> None:
    """What JupyterLab calls before it saves (report/lab says so).

    On opening a notebook it writes what the kernel tells of its language into the metadata. All of
    that stands in a clean notebook, but for Python's version, which would be a change to commit.
    """
    if model["type"] == "notebook":
        model["content"]["metadata"].get("language_info", {}).pop("version", None)


def lab_environment(data: str = "") -> dict[str, str]:
    """What JupyterLab and its kernels see besides the present environment."""
    paths = [str(SETTINGS), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    environment = {
        "JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, paths)),
        "JUPYTER_PREFER_ENV_PATH": "1",  # the kernel of this Python before one in the home folder
    }
    return environment | ({"HW3_DATA": absolute(data)} if data else {})
