"""Runs made on other machines: joblib's tasks go to the workers of a dask scheduler.

    dask scheduler                                            on one machine
    dask worker tcp://HOST:8786 --nworkers 2 --nthreads 1     on every machine that trains
    hw3 train --profile cpu --scheduler tcp://HOST:8786       on yours

No folder needs to be shared. Pictures and folds go to every worker once; a worker makes the Run
in its own runs folder and sends it back as an archive, which is checked and unpacked here. So a
task that dask gives out again, because its worker was killed or the result was lost with it,
finds the finished Run, or the checkpoint, where it goes to the same machine or to a shared
folder; and a Run that has come back is not asked for again. A worker that is killed costs no
more than its task. A Run has the same bits as one made here, on the same kind of processor.

A scheduler runs whatever its clients send it: use one only in a network that you trust.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import torch
from distributed import CancelledError, Client, KilledWorker, Security, get_worker
from distributed.comm import connect
from joblib import Parallel, delayed
from joblib._dask import DaskDistributedBackend

from hw3lib import UserError
from hw3lib.data.split import Split, recut
from hw3lib.packing import add_file, unpack
from hw3lib.progress import to_stderr
from hw3lib.recipe import TRAINING_VERSION, Recipe
from hw3lib.runs import Run, get_run, run_path, runs_folder

ANSWER = 5  # seconds in which a scheduler has to answer
WORKERS = 60  # seconds in which it has to have a worker
ATTEMPTS = 5  # times that the pictures are sent, should all workers that had them be lost

_one_at_a_time = threading.Lock()  # a training's random numbers are those of the process


class Workers(DaskDistributedBackend):
    """joblib's dask backend, mended in three places.

    One worker with one thread counts as "one job" there, for which joblib would train here. Where
    dask itself ends a task (its workers died, its input is lost), joblib is not told, and waits
    for ever. And it holds on to a result that it has handed on, so that dask makes that one again
    when the worker that made it dies.
    """

    def effective_n_jobs(self, n_jobs: int) -> int:
        return max(2, super().effective_n_jobs(n_jobs))

    async def _collect(self) -> None:
        while self._continue:
            async for future, result in self.waiting_futures:
                if future.status == "error":
                    _, result, _ = result  # type, exception, traceback
                future.release()
                self._results.pop(future).set_result(result)
                self._callbacks.pop(future)(result)  # an exception is raised by joblib, here
            await asyncio.sleep(0.01)


def on_workers(address: str, study, names: list[str]) -> Iterator[str]:
    """The names, as their Runs come back from the workers of the scheduler at `address`.

    Raises
    ------
    UserError
        if no scheduler answers or goes on answering, or none of its workers will do (see
        `connected`), or they die again and again.
    """
    left = list(names)
    with connected(address) as client:
        for _ in range(ATTEMPTS):
            try:
                wait_for_a_worker(client, address)
                for name, archive in _trained(client, study, left):
                    _unpack(archive, run_path(study.recipes[name]))
                    left.remove(name)
                    yield name
                return
            except CancelledError:
                to_stderr("every worker that had the pictures is gone; they are sent again")
            except KilledWorker:
                break
            except OSError as error:
                raise UserError(f"--scheduler {address}: {error}; give the command again") from None
    raise UserError(
        f"--scheduler {address}: workers die again and again; look at their logs, they may need "
        "more memory (dask worker --memory-limit)"
    )


@contextlib.contextmanager
def connected(address: str) -> Iterator[Client]:
    """A client of the scheduler, that prints what its workers tell of their progress.

    Raises
    ------
    UserError
        if no scheduler answers, if it has no worker, or if a worker has another version of the
        training code or of torch, or threads for several tasks at once.
    """
    try:
        asyncio.run(asyncio.wait_for(_knock(address), ANSWER))
    except (OSError, ValueError, MemoryError):  # nobody, no address, a server of another kind
        raise UserError(
            f"--scheduler {address}: no dask scheduler answers; start one with: dask scheduler, "
            "and give the address that it shows, e.g. tcp://HOST:8786"
        ) from None
    with Client(address, timeout=ANSWER, set_as_default=False) as client:
        wait_for_a_worker(client, address)
        for worker, threads in client.nthreads().items():
            if threads > 1:
                raise UserError(
                    f"worker {worker}: {threads} threads; one process trains one network at a "
                    "time: start it with --nthreads 1, and several with --nworkers"
                )
        for worker, told in client.run(versions, on_error="return").items():
            if isinstance(told, Exception):
                raise UserError(f"worker {worker}: {told}; install this version of hw3lib there")
            _check(versions(), told, worker)
        client.subscribe_topic(topic_of(client), lambda event: to_stderr(event[1]))
        yield client


def wait_for_a_worker(client: Client, address: str) -> None:
    how = f"start some with: dask worker {address} --nthreads 1"
    if not client.nthreads():
        to_stderr(f"{address} has no workers yet, waiting {WORKERS} s for one; {how}")
    try:
        client.wait_for_workers(1, timeout=WORKERS)
    except TimeoutError:
        raise UserError(f"--scheduler {address}: it has no workers; {how}") from None


async def _knock(address: str) -> None:
    """A Client itself would wait for ever for a server that is no dask scheduler."""
    comm = await connect(address, timeout=ANSWER, **Security().get_connection_args("client"))
    await comm.close()


def topic_of(client: Client) -> str:
    """Under which workers tell this client's progress; what is under its bare id is dask's own."""
    return f"hw3-{client.id}"


def versions() -> dict[str, str]:
    """What has to be the same here and where a Run is made."""
    return {
        "hw3lib's training code": str(TRAINING_VERSION),
        "torch": torch.__version__.partition("+")[0],  # whichever GPU it was built for
    }


def _check(wanted: dict[str, str], told: dict[str, str], worker: str) -> None:
    for name, version in wanted.items():
        if told[name] != version:
            raise UserError(
                f"worker {worker}: {name} is {told[name]} there and {version} here; "
                "install the same version"
            )


def _trained(client: Client, study, names: list[str]) -> Iterator[tuple[str, bytes]]:
    """Name and archive of each Run, in the order in which they are made."""
    backend = Workers(client=client, scatter=[study.folds])
    made = Parallel(
        backend=backend, batch_size=1, pre_dispatch="all", return_as="generator_unordered"
    )
    return made(
        delayed(_train_there)(
            study.folds,
            study.recipes[name],
            name,
            study.keeps_epochs(name),
            versions(),
            topic_of(client),
        )
        for name in names
    )


def _train_there(
    folds: Split,
    recipe: Recipe,
    name: str,
    every_epoch: bool,
    wanted: dict[str, str],
    topic: str,
) -> tuple[str, bytes]:
    """In a worker: name and archive of the Run, which is found, resumed or trained there."""
    worker = get_worker()
    _check(wanted, versions(), worker.address)  # it may have come after the others were asked

    def tell(line: str) -> None:
        to_stderr(line)
        worker.log_event(topic, line)

    with _one_at_a_time:
        cut = recut(folds, recipe.split, recipe.seed)
        run = get_run(recipe, cut, name=name, progress=tell, every_epoch=every_epoch)
        return name, _pack(run)


def _pack(run: Run) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for file in sorted(run.path.iterdir()):
            add_file(archive, f"{run.path.name}/{file.name}", file.read_bytes())
    return buffer.getvalue()


def _unpack(archive: bytes, path: Path) -> None:
    """Into the runs folder, where a shared one does not hold the Run already."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{path.name}.tar.gz"
        file.write_bytes(archive)
        unpack(file, runs_folder())
    if not path.exists():
        raise UserError(f"{path.name}: a worker sent another Run")
