"""Engines: where trials run. One file, one engine; ``inline`` is the one to debug with.

An engine decides where and when. What a trial is, whether it is done and who works on it is the
store's business, so an engine can be killed at any time and another one can go on.
"""

from __future__ import annotations

import functools
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from pybench import host
from pybench.code import code_id
from pybench.registry import Registry
from pybench.store import Store, StoreError
from pybench.trial import Trial, trial_id

if TYPE_CHECKING:
    from pybench.store import Failure, Record

RETRIED: frozenset[Failure] = frozenset({"crash", "memory", "timeout"})
"""Failures that may be the machine's fault; an error or a NaN would only come again."""
POLL_S = 0.05
"""How often limits and the work of other processes are looked at."""


@dataclass(frozen=True)
class Job:
    """A trial to run and its id."""

    id: str
    trial: Trial

    @functools.cached_property
    def parent(self) -> str | None:
        """Id of the trial whose result the last step starts from, or None."""
        parent = self.trial.parent
        return None if parent is None else trial_id(parent, code_id(parent))


@dataclass(frozen=True)
class Settings:
    """How trials are run; none of it changes a result.

    Fields:
        store: root of the results store.
        data: paths of the user's own data by task name.
        cache: where decoded clips and made data are kept.
        workers: trials at a time.
        wall_limit_s: seconds a trial may take, or None.
        memory_limit_mib: resident memory a trial may take, or None.
        retries: how often a trial is tried again after a crash, lack of memory or a timeout.
    """

    store: Path
    data: Mapping[str, Path] = field(default_factory=dict)
    cache: Path | None = None
    workers: int = 1
    wall_limit_s: float | None = None
    memory_limit_mib: float | None = None
    retries: int = 1

    def __post_init__(self) -> None:
        if self.workers < 1:
            msg = f"workers must be >= 1, got {self.workers}"
            raise ValueError(msg)
        if self.retries < 0:
            msg = f"retries must be >= 0, got {self.retries}"
            raise ValueError(msg)


@dataclass(frozen=True)
class Event:
    """What happened to a trial. The last event of each is ``"done"`` or ``"failed"``.

    Fields:
        id: trial id.
        status: what happened; ``"waiting"`` says, once, that another process works on it: the
            engine runs other trials and comes back to it.
        reason: one sentence, where there is one to say.
        seconds: how long it ran.
        failure: class of a failure.
    """

    id: str
    status: Literal["started", "done", "failed", "retried", "waiting"]
    reason: str = ""
    seconds: float = 0.0
    failure: Failure | None = None


@dataclass(frozen=True, eq=False)
class Engine(ABC):
    """Runs trials. Leaving its ``with`` block stops what still runs."""

    settings: Settings

    @abstractmethod
    def run(self, jobs: Iterable[Job]) -> Iterator[Event]:
        """Run each trial once, in the given order but parents first, and tell what happens."""

    def close(self) -> None:  # noqa: B027  (an engine need not have anything to stop)
        """Stop what still runs."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


engines: Registry[Engine] = Registry("pybench.engines", "run")


def engine_class(name: str) -> type[Engine]:
    """The engine of a name.

    Raises:
        SpecError: an unknown name, with the near one.
    """
    return engines[name]


class Queue:
    """Which trial is next: each id once, in the given order, a step not before its parent."""

    def __init__(self, jobs: Iterable[Job], store: Store, retries: int) -> None:
        self._store = store
        self._waiting = {job.id: job for job in jobs}
        self._unfinished = set(self._waiting)
        self._retries = dict.fromkeys(self._waiting, retries)
        self._look_again: dict[str, float] = {}

    def __bool__(self) -> bool:
        return bool(self._unfinished)

    def take(self) -> Job | None:
        """The next trial that can start now, or None while all wait for others."""
        now = time.monotonic()
        for job in self._waiting.values():
            if job.parent not in self._unfinished and self._look_again.get(job.id, 0) <= now:
                return self._waiting.pop(job.id)
        return None

    def elsewhere(self, job: Job) -> Event | None:
        """How the trial stands when another process has finished it or works on it, or None."""
        if self._store.done([job.id]):
            return Event(job.id, "done", "it was finished before")
        return _taken(self._store, job) if self._store.running([job.id]) else None

    def settle(self, job: Job, event: Event) -> Event | None:
        """Take in how a trial ended or waits; returns what is to be told, if anything."""
        if event.status == "waiting":
            told_before = job.id in self._look_again
            self._look_again[job.id] = time.monotonic() + 4 * POLL_S
            self._waiting[job.id] = job
            return None if told_before else event
        if event.failure in RETRIED and self._retries[job.id]:
            self._retries[job.id] -= 1
            self._waiting = {job.id: job, **self._waiting}
            return Event(job.id, "retried", event.reason, event.seconds, event.failure)
        self._unfinished.discard(job.id)
        return event


def work(job: Job, settings: Settings) -> Event:
    """Run one trial in this process and publish how it ended.

    Raises:
        StoreError: the store cannot be written, so that nothing would be kept.
    """
    from pybench.train import TrainingDivergedError, run_trial

    store, began = Store(settings.store), time.monotonic()
    lease = store.claim(job.id)
    if lease is None:
        return _taken(store, job)
    with lease:
        if store.done([job.id]):
            return Event(job.id, "done", "it was finished before")
        try:
            result = run_trial(
                job.trial, data=settings.data, cache=settings.cache, parent=_parent(store, job)
            )
            store.publish(job.id, result, host.stamp())
        except StoreError:
            raise
        except TrainingDivergedError as error:
            return fail(store, job, "nan", str(error), traceback.format_exc(), began)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".partition("\n")[0]
            failure: Failure = "memory" if _lacks_memory(error) else "error"
            return fail(store, job, failure, reason, traceback.format_exc(), began)
    return Event(job.id, "done", seconds=time.monotonic() - began)


def fail(
    store: Store, job: Job, failure: Failure, reason: str, details: str, began: float
) -> Event:
    """Publish that a trial failed and say so; a trial that was published as done stays done."""
    seconds = time.monotonic() - began
    if store.publish_failure(job.id, job.trial, failure, reason, details, host.stamp()):
        return Event(job.id, "failed", reason, seconds, failure)
    return Event(job.id, "done", seconds=seconds)


def _taken(store: Store, job: Job) -> Event:
    owner = store.owner(job.id)
    where = "of this host" if owner is None or owner.host == host.host_id() else "of another host"
    reason = f"a process {where} works on it; should it not, delete {store.leases / job.id}"
    return Event(job.id, "waiting", reason)


def _parent(store: Store, job: Job) -> Record | None:
    if job.parent is None:
        return None
    record = store.get(job.parent)
    if record is None or record.status != "done":
        state = "none" if record is None else f"one that failed ({record.reason})"
        msg = f"parent of '{job.trial.name}' must be a finished trial, got {state}; run it first"
        raise ValueError(msg)
    return record


def _lacks_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and any(words in str(error) for words in ("out of memory", "allocate memory"))
    )
