"""What the harness itself costs: start-up, resuming, and a trial beyond its own loop."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from pybench import host
from pybench.engines import Job, Settings, engine_class
from pybench.result import Result
from pybench.store import Store
from pybench.tasks import tasks
from pybench.trial import Trial


@pytest.mark.benchmark(group="start-up (goal 0.3 s)")
def test_help(benchmark):
    benchmark.pedantic(
        subprocess.run,
        ([sys.executable, "-m", "pybench", "--help"],),
        {"check": True, "capture_output": True},
        rounds=7,
        warmup_rounds=1,
    )


@pytest.mark.benchmark(group="resume of 10,000 finished trials (goal 2 s)")
def test_resume(benchmark, tmp_path):
    store = Store(tmp_path)
    table = pl.DataFrame({"epoch": [0]})
    ids = [f"{number:032x}" for number in range(10_000)]
    for number, id in enumerate(ids):
        store.publish(id, Result(Trial("t", "d", "m", "ce", seed=number), [], table, table), {})
    assert benchmark.pedantic(store.done, (ids,), rounds=5, warmup_rounds=1) == set(ids)


@pytest.mark.benchmark(group="a trial beyond its own loop (goal 0.3 s)")
def test_overhead_of_a_trial(benchmark, tmp_path):
    task = tasks.build("toy_clips")
    trial = Trial(
        task="toy_clips",
        data=task.locate(None, Path()).id,
        model=task.meta.models[0],
        loss="ce",
        budget=task.meta.budget,
    )
    settings = Settings(store=tmp_path, cache=tmp_path)
    seeds = iter(range(1000))

    def one_trial():
        seed = next(seeds)
        job = Job(f"{seed:032x}", dataclasses.replace(trial, seed=seed))
        with engine_class("local")(settings) as engine:
            return [event.status for event in engine.run([job])]

    assert benchmark.pedantic(one_trial, rounds=9, warmup_rounds=1) == ["started", "done"]
    loops = [record.facts["train_s"] for record in Store(tmp_path).records()]
    benchmark.extra_info["train_s of these trials"] = loops
    benchmark.extra_info["cpu"] = host.stamp()["cpu"]
