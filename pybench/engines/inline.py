"""Trials one after another in this process, where a debugger sees them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from pybench.engines import POLL_S, Engine, Event, Job, Queue, work
from pybench.store import Store


class Inline(Engine):
    """Run trials one after another in this process; limits are not enforced."""

    def run(self, jobs: Iterable[Job]) -> Iterator[Event]:
        """Run each trial once, in the given order but parents first, and tell what happens."""
        store = Store(self.settings.store)
        store.clean()
        queue = Queue(jobs, store, self.settings.retries)
        while queue:
            job = queue.take()
            if job is None:
                time.sleep(POLL_S)
                continue
            event = queue.elsewhere(job)
            if event is None:
                yield Event(job.id, "started")
                event = work(job, self.settings)
            told = queue.settle(job, event)
            if told is not None:
                yield told
