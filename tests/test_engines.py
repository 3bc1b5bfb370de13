"""Engines: the same results wherever a trial runs, and nothing lost when something dies."""

from __future__ import annotations

import collections
import contextlib
import itertools
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pybench import host
from pybench.engines import Event, Job, Settings, engine_class
from pybench.registry import SpecError
from pybench.store import Record, Store, StoreError, StoreWarning
from pybench.trial import Budget
from tests import drive
from tests.drive import job, run

ENGINES = ("inline", "local")
KILLS = int(os.environ.get("PYBENCH_KILLS", "10"))
PATIENCE_S = 120
"""Bound for what would otherwise hang; far above what anything here takes."""

every_engine = pytest.mark.parametrize("engine", ENGINES)


def ends(events: list[Event]) -> dict[str, str]:
    return {event.id: event.status for event in events if event.status in ("done", "failed")}


def said(events: list[Event]) -> list[str]:
    return [event.status for event in events]


def record(store: Path, job: Job) -> Record:
    found = Store(store).get(job.id)
    assert found is not None
    return found


def assert_same(one: Record, two: Record) -> None:
    assert one.predictions().equals(two.predictions())
    assert one.curves().equals(two.curves())
    assert one.metrics == two.metrics
    first, second = one.weights(), two.weights()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def assert_tidy(store: Path) -> None:
    assert not list(store.rglob("tmp-*"))
    assert not [path for path in (store / "leases").iterdir() if path.name[0] != "."]


JOBS = [job(loss, seed) for loss in ("ce", "focal(gamma=2)") for seed in range(2)]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with JOBS, run inline."""
    store = tmp_path_factory.mktemp("reference")
    run(store, "inline", JOBS)
    return store


@pytest.mark.parametrize(("engine", "workers"), [("inline", 1), ("local", 1), ("local", 2)])
def test_results_are_bit_equal_on_every_engine_in_any_order(
    tmp_path: Path, reference: Path, engine: str, workers: int
) -> None:
    events = run(tmp_path, engine, JOBS[::-1], workers=workers)
    assert ends(events) == {job.id: "done" for job in JOBS}
    for one in JOBS:
        assert_same(record(tmp_path, one), record(reference, one))
    assert_tidy(tmp_path)


@every_engine
def test_trials_start_in_the_given_order(tmp_path: Path, engine: str) -> None:
    jobs = [JOBS[2], JOBS[0], JOBS[3], JOBS[1]]
    events = run(tmp_path, engine, jobs)
    assert [e.id for e in events if e.status == "started"] == [j.id for j in jobs]
    assert said(events) == ["started", "done"] * 4


@every_engine
def test_what_is_finished_is_not_run_again(tmp_path: Path, engine: str) -> None:
    run(tmp_path, engine, JOBS[:2])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("record.json")}
    events = run(tmp_path, engine, JOBS[:3])
    assert ends(events) == {job.id: "done" for job in JOBS[:3]}
    assert [e.id for e in events if e.status == "started"] == [JOBS[2].id]
    assert {path: path.stat().st_mtime_ns for path in before} == before


@every_engine
def test_a_trial_named_twice_runs_once(tmp_path: Path, engine: str) -> None:
    events = run(tmp_path, engine, [JOBS[0], JOBS[1], JOBS[0]], workers=2)
    assert collections.Counter(said(events)) == {"started": 2, "done": 2}


@every_engine
@pytest.mark.parametrize(
    ("loss", "failure", "attempts", "reason"),
    [
        ("nan_after(steps=2)", "nan", 1, "loss must stay finite, got nan in epoch 0 at step 2"),
        ('faulty(how="raise")', "error", 1, "ValueError: the loss is faulty, as asked"),
        ('faulty(how="memory")', "memory", 3, "RuntimeError: "),
    ],
)
def test_a_failure_is_recorded_by_its_class_and_others_go_on(
    tmp_path: Path, engine: str, loss: str, failure: str, attempts: int, reason: str
) -> None:
    bad = job(loss)
    events = run(tmp_path, engine, [bad, JOBS[0]], retries=2)
    assert ends(events) == {bad.id: "failed", JOBS[0].id: "done"}
    assert said([e for e in events if e.id == bad.id]) == [
        *["started", "retried"] * (attempts - 1),
        "started",
        "failed",
    ]
    kept = record(tmp_path, bad)
    assert (kept.status, kept.failure) == ("failed", failure)
    assert kept.reason.startswith(reason)
    assert "Traceback" in kept.error()
    assert "host_id" in kept.stamp
    assert_tidy(tmp_path)


@pytest.mark.parametrize(
    ("how", "limits", "failure", "reason"),
    [
        ("kill", {}, "crash", "its process was killed (SIGKILL), as a machine without"),
        ("exit", {}, "crash", "its process ended with exit code 3 before the trial did"),
        ("hang", {"wall_limit_s": 1.5}, "timeout", "it ran longer than the limit of 1.5 s"),
        ("grow", {"memory_limit_mib": 1500}, "memory", "it used "),
    ],
)
def test_a_worker_that_dies_or_goes_over_a_limit_takes_only_its_trial_along(
    tmp_path: Path, how: str, limits: dict[str, Any], failure: str, reason: str
) -> None:
    bad = job(f'faulty(how="{how}")')
    events = run(tmp_path, "local", [bad, *JOBS[:2]], workers=2, **limits)
    assert ends(events) == {bad.id: "failed", JOBS[0].id: "done", JOBS[1].id: "done"}
    assert said([e for e in events if e.id == bad.id]) == [
        *["started", "retried"],
        "started",
        "failed",
    ]
    kept = record(tmp_path, bad)
    assert kept.failure == failure
    assert kept.reason.startswith(reason)
    if how == "kill":
        assert kept.error() == "last words\n"
    assert_tidy(tmp_path)


def test_a_crash_that_was_the_machines_fault_is_made_good_by_a_retry(tmp_path: Path) -> None:
    flaky = job(f'faulty(how="kill", unless="{tmp_path / "been here"}")')
    events = run(tmp_path, "local", [flaky])
    assert said(events) == ["started", "retried", "started", "done"]
    assert record(tmp_path, flaky).status == "done"


@every_engine
def test_a_failed_trial_is_run_again_when_asked(tmp_path: Path, engine: str) -> None:
    flaky = job(f'faulty(how="raise", unless="{tmp_path / "been here"}")')
    assert ends(run(tmp_path, engine, [flaky])) == {flaky.id: "failed"}
    assert ends(run(tmp_path, engine, [flaky])) == {flaky.id: "done"}


@every_engine
def test_a_step_waits_for_the_trial_it_starts_from(tmp_path: Path, engine: str) -> None:
    child = job("ce", steps=("logit_adjustment",))
    assert child.parent == JOBS[0].id
    events = run(tmp_path, engine, [child, JOBS[0]], workers=2)
    assert [(e.id, e.status) for e in events] == [
        (id, status) for id in (JOBS[0].id, child.id) for status in ("started", "done")
    ]
    later = job("ce", seed=1, steps=("logit_adjustment",))
    run(tmp_path, engine, [JOBS[1]])
    assert ends(run(tmp_path, engine, [later])) == {later.id: "done"}


@every_engine
def test_a_step_whose_parent_is_missing_or_failed_fails_with_a_sentence(
    tmp_path: Path, engine: str
) -> None:
    orphan = job("ce", steps=("logit_adjustment",))
    bad = job('faulty(how="raise")')
    heir = job('faulty(how="raise")', steps=("logit_adjustment",))
    events = run(tmp_path, engine, [orphan, bad, heir])
    assert set(ends(events).values()) == {"failed"}
    assert "must be a finished trial, got none; run it first" in record(tmp_path, orphan).reason
    assert "got one that failed (ValueError: the loss is f" in record(tmp_path, heir).reason


@every_engine
def test_a_damaged_record_is_set_aside_and_made_again(tmp_path: Path, engine: str) -> None:
    run(tmp_path, engine, JOBS[:2])
    path = record(tmp_path, JOBS[0]).path / "record.json"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.warns(StoreWarning, match=JOBS[0].id):
        events = run(tmp_path, engine, JOBS[:2])
    assert [e.id for e in events if e.status == "started"] == [JOBS[0].id]
    assert Store(tmp_path).done() == {JOBS[0].id, JOBS[1].id}


@every_engine
def test_a_trial_that_another_process_works_on_is_waited_for(tmp_path: Path, engine: str) -> None:
    lease = Store(tmp_path).claim(JOBS[0].id)
    assert lease is not None
    with engine_class(engine)(Settings(tmp_path)) as pool:
        events = pool.run(JOBS[:2])
        first = [next(events) for _ in range(3)]
        assert said(first) == ["waiting", "started", "done"]
        assert "a process of this host works on it" in first[0].reason
        lease.release()
        assert said(list(events)) == ["started", "done"]


@every_engine
def test_a_store_that_cannot_be_written_stops_the_run(tmp_path: Path, engine: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="must be a directory that can be written"):
        run(tmp_path / "file", engine, JOBS)


@pytest.mark.parametrize("threads", [1, 2])
@every_engine
def test_a_trial_gets_exactly_its_threads(tmp_path: Path, engine: str, threads: int) -> None:
    one = job(budget=Budget(epochs=1, batch=8, threads=threads))
    run(tmp_path, engine, [one])
    assert record(tmp_path, one).facts["threads"] == threads


def test_an_unknown_engine_suggests_the_near_one() -> None:
    with pytest.raises(SpecError, match="unknown engine 'locl'; did you mean 'local'"):
        engine_class("locl")


@pytest.mark.parametrize(("name", "value"), [("workers", 0), ("retries", -1)])
def test_settings_out_of_range_are_refused(tmp_path: Path, name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{name} must be >= "):
        Settings(tmp_path, **{name: value})


def test_leaving_the_engine_stops_its_workers_and_frees_their_trials(tmp_path: Path) -> None:
    hanging = job('faulty(how="hang")')
    with engine_class("local")(Settings(tmp_path)) as pool:
        events = pool.run([hanging])
        assert next(events).status == "started"
        until(lambda: Store(tmp_path).running() == {hanging.id})
        owner = Store(tmp_path).owner(hanging.id)
    assert owner is not None
    assert owner.gone
    assert Store(tmp_path).get(hanging.id) is None
    assert_tidy(tmp_path)


def until(condition: Any) -> None:
    """Wait for a condition, at most a while."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@contextlib.contextmanager
def driver(store: Path, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """The driver as a process of its own, in a session of its own as a terminal gives it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.drive", str(store), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYBENCH_TEST_STORE": str(store)},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def processes_of(store: Path) -> list[int]:
    """Living processes that the driver of a store started, itself included."""
    mark = f"PYBENCH_TEST_STORE={store}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        pid = int(path.parent.name)
        with contextlib.suppress(OSError):
            if mark in path.read_bytes().split(b"\0") and host.process_start(pid) is not None:
                found.append(pid)
    return found


def next_lines(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().split()[0] for _ in range(count)]


@pytest.mark.parametrize("seed", range(max(1, KILLS // 5)))
def test_a_killed_driver_of_workers_leaves_no_orphan_and_loses_no_trial(
    tmp_path: Path, reference: Path, seed: int
) -> None:
    moment = random.Random(seed)
    with driver(tmp_path, "local", 2, 12) as process:
        next_lines(process, moment.randrange(1, 12))
        time.sleep(moment.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.wait()
    until(lambda: not processes_of(tmp_path))
    assert len(Store(tmp_path).done()) < 12
    with driver(tmp_path, "local", 2, 12) as process:
        output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert collections.Counter(line.split()[0] for line in output.splitlines())["done"] == 12
    until(lambda: not processes_of(tmp_path))
    assert Store(tmp_path).done() == {job(seed=seed).id for seed in range(12)}
    for one in JOBS[:2]:
        assert_same(record(tmp_path, one), record(reference, one))
    assert_tidy(tmp_path)


def test_a_driver_killed_again_and_again_gets_there_with_nothing_torn(
    tmp_path: Path, reference: Path
) -> None:
    jobs = many(KILLS + 2)
    context = multiprocessing.get_context("forkserver")
    arguments = (str(tmp_path), "inline", "1", str(len(jobs)))
    moments, kills = random.Random(0), 0
    for _ in range(KILLS):
        process = context.Process(target=drive.main, args=arguments)
        process.start()
        process.join(moments.uniform(0, 0.4))
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
        assert Store(tmp_path).done() | Store(tmp_path).failed() <= {job.id for job in jobs}
    assert kills
    events = run(tmp_path, "inline", jobs)
    assert ends(events) == {job.id: "done" for job in jobs}
    assert not (tmp_path / "quarantine").exists()
    for one in JOBS[:2]:
        assert_same(record(tmp_path, one), record(reference, one))
    assert_tidy(tmp_path)


def many(count: int) -> list[Job]:
    return [job(seed=seed) for seed in range(count)]


def test_two_drivers_on_one_store_finish_each_trial_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    log = tmp_path / "log"
    log.mkdir()
    both = [
        context.Process(target=logged, args=(log / str(n), tmp_path / "store")) for n in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(PATIENCE_S)
    assert [process.exitcode for process in both] == [0, 0]
    lines = [(log / str(n)).read_text().split() for n in range(2)]
    started = collections.Counter(line[8:] for each in lines for line in each if line[0] == "s")
    assert started == dict.fromkeys((j.id for j in many(12)), 1)
    assert [sum(line[0] == "d" for line in each) for each in lines] == [12, 12]
    assert Store(tmp_path / "store").done() == {j.id for j in many(12)}
    assert_tidy(tmp_path / "store")


def logged(log: Path, store: Path) -> None:
    events = run(store, "inline", many(12))
    # A trial that the other driver took between a look and the claim ends as "waiting".
    began = {
        one.id
        for one, after in itertools.pairwise(events)
        if one.status == "started" and after.status == "done" and after.seconds
    }
    lines = [f"started:{id}" for id in began]
    lines += [f"done:{event.id}" for event in events if event.status == "done"]
    log.write_text("\n".join(lines))


def test_ctrl_c_stops_the_driver_and_its_workers_and_frees_their_trials(tmp_path: Path) -> None:
    with driver(tmp_path, "local", 2, 3, 'faulty(how="hang")') as process:
        assert next_lines(process, 2) == ["started", "started"]
        until(lambda: len(Store(tmp_path).running()) == 2)
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == -signal.SIGINT
    until(lambda: not processes_of(tmp_path))
    assert Store(tmp_path).failed() == set()
    assert_tidy(tmp_path)


def test_a_main_module_without_a_guard_runs_once(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"print('hello', flush=True)\n"
        f"from pathlib import Path\n"
        f"from tests.drive import job, run\n"
        f"events = run(Path({str(tmp_path / 'store')!r}), 'local', [job()])\n"
        f"print(*(event.status for event in events))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert (done.stdout, done.stderr) == ("hello\nstarted done\n", "")
