"""The process that executes one notebook; `python -m hw3lib.report.child FOLDER` starts it.

In FOLDER it finds order.json and source.ipynb, and leaves executed.ipynb and record.json, which
tells how it ended. It ends, and its kernel with it, when its standard input does: when the
process that started it closes that, or dies.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

import nbformat

STARTED = 120  # seconds a kernel may take to answer first
ENDED = 10  # seconds a kernel may take to end
DIED = "the kernel died (if out of memory, --jobs 1 runs one notebook at a time)"


def _child(folder: Path) -> int:
    """What the child process does: papermill, then the record of how it ended."""
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    orphaned = _stop_with_parent(folder)
    order = json.loads((folder / "order.json").read_text(encoding="utf-8"))
    source, target = (str(folder / n) for n in ("source.ipynb", "executed.ipynb"))
    record: dict = {"status": "completed"}
    try:
        papermill.execute_notebook(
            source.replace("{", "{{").replace("}", "}}"),  # papermill formats its paths
            target.replace("{", "{{").replace("}", "}}"),
            order["parameters"],
            kernel_name="python3",  # this very Python, whatever kernel the notebook was saved with
            language="python",
            cwd=order["cwd"],
            progress_bar=False,
            start_timeout=STARTED,
        )
    except PapermillExecutionError as error:
        record = {"cell": error.cell_index, "error": f"{error.ename}: {one_line(error.evalue)}"}
    except DeadKernelError:
        record = {"cell": _last_started(Path(target)), "error": DIED}
    except Exception as error:
        record = {"error": f"{type(error).__name__}: {one_line(str(error))}"}
    except KeyboardInterrupt:
        record = {"error": "interrupted"}
    record = {"status": "failed", **record}
    (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")
    if orphaned.is_set():
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if record["status"] == "completed" else 1


def _last_started(target: Path) -> int | None:
    """The cell that was running when papermill saved last, where it got that far."""
    try:
        cells = nbformat.read(target, as_version=4).cells
    except Exception:  # the kernel died before the first cell
        return None
    started = [
        i
        for i, c in enumerate(cells)
        if c.cell_type == "code" and c.metadata.get("papermill", {}).get("start_time")
    ]
    return started[-1] if started else None


def _stop_with_parent(folder: Path) -> threading.Event:
    """Interrupt this process when its standard input ends; the Event is set then.

    What it leaves in `folder` nobody will read: that goes too.
    """
    ended = threading.Event()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where started by `hw3 … &`

    def watch() -> None:
        while os.read(0, 1024):  # sys.stdin would be locked when the interpreter ends
            pass
        ended.set()
        if hasattr(signal, "pthread_kill"):  # wakes the main thread, which waits for the kernel
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            threading.Event().wait(ENDED)
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)  # the kernel notices by itself

    threading.Thread(target=watch, daemon=True).start()
    return ended


def one_line(text: str, limit: int = 300) -> str:
    """The first line that says something, cut to `limit` characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = lines[0] if lines else ""
    return first if len(first) <= limit else first[: limit - 1] + "…"


if __name__ == "__main__":
    sys.exit(_child(Path(sys.argv[1])))
