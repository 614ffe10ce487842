"""How a command ends: its exit status, and one line for a fault that the user can mend."""

from __future__ import annotations

import contextlib
import errno
import signal
import sys
import threading

from hw3lib import UserError
from hw3lib.memory import out_of_memory

FAULT, INTERRUPTED = 2, 130
STOPPED = "stopped; the same command goes on where it was"
FULL = "free some space; the same command goes on where it was"
CLOSED = "give yourself the right to it, or name another folder (HW3_RUNS, HW3_CACHE, --out)"
MENDS = {
    errno.ENOSPC: FULL, errno.EDQUOT: FULL, errno.EFBIG: FULL,
    errno.EROFS: CLOSED, errno.EACCES: CLOSED, errno.EPERM: CLOSED,
}  # fmt: skip

_interrupted = threading.Event()


def watch_interrupts() -> None:
    """Remember a Ctrl-C: a library that is being imported can turn it into another error."""

    def interrupt(*_) -> None:
        _interrupted.set()
        raise KeyboardInterrupt

    with contextlib.suppress(ValueError):  # not in the main thread
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, interrupt)


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
    if stopped and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one would only spoil the end
    print(f"hw3: {' '.join(line.split())}", file=sys.stderr)
    return INTERRUPTED if stopped else FAULT


def fault_of(error: BaseException) -> str | None:
    """What is wrong and how to mend it; None for a fault of the program itself."""
    if isinstance(error, UserError):
        return str(error)
    if type(error).__name__ in ("TerminatedWorkerError", "BrokenProcessPool"):
        return (
            "a training was killed from outside, most often for want of memory: train fewer at a "
            "time (--jobs 1); the same command goes on where they were"
        )
    if out_of_memory(error):
        first = (str(error).splitlines() or [""])[0]
        return (
            f"out of memory ({first or type(error).__name__}); close other programs, run fewer at "
            "a time (--jobs 1), or take fewer pictures"
        )
    if isinstance(error, OSError):
        mend = MENDS.get(error.errno or 0)
        told = f"{error.filename or 'a file'}: {error.strerror or error}"
        return f"{told}; {mend}" if mend else told
    return None
