"""Trials in processes of their own on this machine.

Each trial gets a fresh process, forked from a server that has torch loaded already. A worker that
crashes, hangs or grows takes only its own trial along, and no worker outlives the driver.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TYPE_CHECKING

from pybench import host
from pybench.engines import POLL_S, Engine, Event, Job, Queue, Settings, fail, work
from pybench.processes import end_with_the_parent, main_hidden
from pybench.store import Store, StoreError

if TYPE_CHECKING:
    from pybench.store import Failure

STOP_S = 1.0
"""How long a worker that was asked to stop may take before it is killed."""
LOG_TAIL = 4000
"""Characters of a crashed worker's output that are kept with the failure."""


@dataclass(frozen=True, eq=False)
class Worker:
    """A running process and its trial."""

    job: Job
    process: ForkServerProcess
    inbox: Connection
    log: Path
    began: float = field(default_factory=time.monotonic)

    def stop(self) -> None:
        """Ask the process to end, then make it."""
        self.process.terminate()
        self.process.join(STOP_S)
        self.process.kill()
        self.process.join()

    def result(self) -> Event | StoreError | None:
        """What the ended process sent, or None when it died first."""
        with self.inbox:
            try:
                received: Event | StoreError = self.inbox.recv()
            except EOFError:
                return None
        return received

    def output(self) -> str:
        """The end of what the process printed."""
        return self.log.read_text(errors="replace")[-LOG_TAIL:] if self.log.exists() else ""


@dataclass(frozen=True, eq=False)
class Local(Engine):
    """Run trials in processes of their own, ``settings.workers`` at a time."""

    _workers: list[Worker] = field(default_factory=list, init=False)

    def run(self, jobs: Iterable[Job]) -> Iterator[Event]:
        """Run each trial once, in the given order but parents first, and tell what happens."""
        store = Store(self.settings.store)
        store.clean()
        queue = Queue(jobs, store, self.settings.retries)
        try:
            while queue:
                while len(self._workers) < self.settings.workers and (job := queue.take()):
                    event = queue.elsewhere(job)
                    if event is None:
                        self._workers.append(_start(job, self.settings, store))
                        yield Event(job.id, "started")
                    elif (told := queue.settle(job, event)) is not None:
                        yield told
                self._wait()
                for worker in list(self._workers):
                    event = self._ending(worker, store)
                    if event is not None:
                        self._workers.remove(worker)
                        if (told := queue.settle(worker.job, event)) is not None:
                            yield told
        finally:
            self.close()

    def close(self) -> None:
        """Stop the workers; what they were at is free for others at once."""
        if self._workers:
            for worker in self._workers:
                worker.process.terminate()
            for worker in self._workers:
                worker.stop()
            self._workers.clear()
            Store(self.settings.store).clean()

    def _wait(self) -> None:
        """Sleep until a worker ends or it is time to look at the limits."""
        if self._workers:
            wait([worker.process.sentinel for worker in self._workers], timeout=POLL_S)
        else:
            time.sleep(POLL_S)

    def _ending(self, worker: Worker, store: Store) -> Event | None:
        """How a worker ended, by itself or by going over a limit; None while it runs."""
        over = None
        if worker.process.exitcode is None:
            over = self._over_limit(worker)
            if over is None:
                return None
            worker.process.kill()
        worker.process.join()
        received = worker.result()
        if isinstance(received, StoreError):
            raise received
        details = worker.output()
        if not details:
            worker.log.unlink(missing_ok=True)
        if received is not None:
            return received
        failure, reason = over or ("crash", _cause(worker.process.exitcode or 0))
        lease = store.claim(worker.job.id)
        if lease is None:
            return Event(worker.job.id, "waiting", "another process took it over")
        with lease:
            return fail(store, worker.job, failure, reason, details, worker.began)

    def _over_limit(self, worker: Worker) -> tuple[Failure, str] | None:
        seconds, wall = time.monotonic() - worker.began, self.settings.wall_limit_s
        if wall is not None and seconds > wall:
            return "timeout", f"it ran longer than the limit of {wall:g} s"
        limit = self.settings.memory_limit_mib
        if limit is not None and worker.process.pid is not None:
            used = host.resident_mib(worker.process.pid)
            if used > limit:
                return "memory", f"it used {used:.0f} MiB, more than the limit of {limit:g} MiB"
        return None


def _cause(exit_code: int) -> str:
    if exit_code == -signal.SIGKILL:
        return "its process was killed (SIGKILL), as a machine without free memory does"
    if exit_code < 0:
        return f"its process died of {signal.Signals(-exit_code).name}"
    return f"its process ended with exit code {exit_code} before the trial did"


def _start(job: Job, settings: Settings, store: Store) -> Worker:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pybench.engines._preload"])
    inbox, outbox = context.Pipe(duplex=False)
    log = store.log(job.id)
    process = context.Process(target=_run, args=(job, settings, outbox, log), daemon=True)
    with outbox, main_hidden():
        # The first start waits for the server to load torch, in a read that Ctrl-C does not end
        # (polars has its signals restarted); a thread that is joined again and again does.
        starter = threading.Thread(target=process.start, daemon=True)
        starter.start()
        while starter.is_alive():
            starter.join(POLL_S)
    if process.pid is None:
        msg = f"a worker process must start for '{job.trial.name}', got none; see the output above"
        raise ChildProcessError(msg)
    return Worker(job, process, inbox, log)


def _run(job: Job, settings: Settings, outbox: Connection, log: Path) -> None:
    """A worker's life."""
    # Ctrl-C reaches the whole terminal; the driver alone answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_the_parent()
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    faulthandler.enable()
    threads = str(job.trial.budget.threads)
    for pool in ("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "PYBENCH_THREADS"):
        os.environ[pool] = threads
    try:
        outbox.send(work(job, settings))
    except StoreError as error:
        outbox.send(error)
