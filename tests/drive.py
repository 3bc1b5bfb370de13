"""A small driver: toy trials run by an engine. The engine tests kill it.

Usage: python -m tests.drive STORE ENGINE WORKERS COUNT [LOSS]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pybench.code import code_id
from pybench.engines import Event, Job, Settings, engine_class
from pybench.tasks import tasks
from pybench.trial import Budget, Trial, trial_id


def job(loss: str = "ce", seed: int = 0, **changes: Any) -> Job:
    fields = {
        "data": "ToyClips-1",
        "model": "toy_net",
        "budget": Budget(epochs=2, batch=8, lr=1e-2),
        **changes,
    }
    trial = Trial("toy_clips", loss=loss, seed=seed, **fields)
    return Job(trial_id(trial, code_id(trial)), trial)


def run(store: Path, engine: str, jobs: list[Job], **settings: Any) -> list[Event]:
    with engine_class(engine)(Settings(store, **settings)) as pool:
        return list(pool.run(jobs))


def main(store: str, engine: str, workers: str, count: str, loss: str = "ce") -> None:
    tasks.build("toy_clips")
    jobs = [job(loss, seed) for seed in range(int(count))]
    with engine_class(engine)(Settings(Path(store), workers=int(workers))) as pool:
        for event in pool.run(jobs):
            print(event.status, event.id, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
