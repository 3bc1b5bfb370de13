"""Run a suite: find its data, compute what is left to do, hand it to an engine, report."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pybench import host
from pybench import suite as suites
from pybench.code import code_id
from pybench.engines import Job, Settings, engine_class
from pybench.progress import Progress, Reporter, clock
from pybench.store import Store
from pybench.suite import Plan, Selection, Suite, SuiteError
from pybench.tasks import DataRef, tasks
from pybench.trial import Trial, trial_id


@dataclass(frozen=True)
class Planned:
    """A suite with its trials, their ids and its data.

    Fields:
        name, suite: what is run.
        plan: trials, refusals, warnings.
        jobs: (id, trial) in the order they will run, parents before their steps.
        data: where each task's data is.
    """

    name: str
    suite: Suite
    plan: Plan
    jobs: tuple[Job, ...]
    data: Mapping[str, DataRef]


def cache_folder(store: Path) -> Path:
    """Where made data and decoded clips are kept: ``$PYBENCH_CACHE``, else inside the store."""
    return Path(os.environ.get("PYBENCH_CACHE") or store / "cache")


def plan(
    name: str,
    chosen: Selection,
    paths: Mapping[str, Path],
    store: Path,
    *,
    make: bool,
    say: Callable[[str], object] = lambda _: None,
) -> Planned:
    """Find a suite and its data, and list its trials.

    Args:
        name: suite name or file.
        chosen: what the command line selects.
        paths: the user's own data by task.
        store: folder of the results.
        make: make embedded data that is not there yet.
        say: told of what takes long.

    Raises:
        SuiteError: unknown suite, task or path.
    """
    suite_name, suite = suites.find(name)
    wanted = suites.selected_tasks(suite, chosen)
    for task in paths:
        if task not in wanted:
            msg = f"--data must name a task of the suite ({', '.join(wanted)}), got {task!r}"
            raise SuiteError(msg)
    cache = cache_folder(store)
    data = {}
    for task in wanted:
        ref = tasks.build(task).locate(paths.get(task), cache, make=False)
        if make and not ref.id:
            say(f"{task}: making its data in {ref.path}, once; this takes a minute or two")
            ref = tasks.build(task).locate(paths.get(task), cache)
        data[task] = ref
    expanded = suites.plan(suite, chosen, {task: ref.id for task, ref in data.items()})
    jobs = tuple(Job(trial_id(trial, code_id(trial)), trial) for trial in expanded.trials)
    return Planned(suite_name, suite, expanded, jobs, data)


def expected_seconds(store: Store, todo: list[Trial]) -> float:
    """Mean seconds of the trials to do: as stored ones of the same task took, else as stated."""
    typical = {
        task: store.median_seconds(task) or tasks.build(task).meta.trial_s
        for task in {trial.task for trial in todo}
    }
    return statistics.fmean(0.0 if t.steps else typical[t.task] for t in todo) if todo else 0.0


@dataclass(frozen=True)
class Outcome:
    """How a run ended: trials done and failed now, skipped because done before, and left."""

    done: int
    failed: int
    skipped: int
    running: int
    todo: int
    eta_s: float

    def to_json(self) -> dict[str, Any]:
        """The keys of ``pybench run --json`` and ``pybench status --json``."""
        return {**vars(self), "eta_s": round(self.eta_s, 1)}


def status(planned: Planned, store: Store, workers: int) -> Outcome:
    """Where a suite stands in a store."""
    ids = [job.id for job in planned.jobs]
    done, failed, running = store.done(ids), store.failed(ids), store.running(ids)
    left = [job.trial for job in planned.jobs if job.id not in done | failed]
    eta_s = expected_seconds(store, left) * len(left) / workers
    return Outcome(len(done), len(failed), 0, len(running), len(left), eta_s)


def run(
    planned: Planned,
    store: Store,
    *,
    engine: str = "local",
    workers: int | None = None,
    wall_limit_s: float | None = None,
    memory_limit_mib: float | None = None,
    retry_failed: bool = False,
    quiet: bool = False,
) -> Outcome:
    """Run what is left of a suite.

    Args:
        planned: the suite and its trials.
        store: where results go.
        engine: name of the engine.
        workers: trials side by side; by default as many as the cores carry.
        wall_limit_s: seconds a trial may take, or None.
        memory_limit_mib: memory a trial may take; by default its share of 90 % of the machine.
        retry_failed: run failed trials again.
        quiet: say nothing on stderr.

    Returns:
        The outcome; a KeyboardInterrupt passes through after the workers have stopped.
    """
    kind = engine_class(engine)
    ids = [job.id for job in planned.jobs]
    over = store.done(ids) | (set() if retry_failed else store.failed(ids))
    todo = tuple(job for job in planned.jobs if job.id not in over)
    skipped = len(planned.jobs) - len(todo)
    threads = max((job.trial.budget.threads for job in todo), default=1)
    count = workers or max(1, (os.cpu_count() or 1) // threads)
    expected = expected_seconds(store, [job.trial for job in todo])
    progress = Progress(len(todo), min(count, max(len(todo), 1)), expected)
    reporter = Reporter(progress, quiet=quiet)
    for warning in planned.plan.warnings:
        reporter.say(f"note: {warning}")
    cache = cache_folder(store.root)
    if todo:
        for task in dict.fromkeys(job.trial.task for job in todo):
            _decode_first(task, todo, planned, cache, reporter)
        reporter.say(
            f"{planned.name}: {len(todo)} trials to run on {count} workers, "
            f"about {clock(progress.eta_s)}; {skipped} already finished"
        )
    settings = Settings(
        store=store.root,
        data={task: ref.path for task, ref in planned.data.items() if ref.provenance == "real"},
        cache=cache,
        workers=count,
        wall_limit_s=wall_limit_s,
        memory_limit_mib=memory_limit_mib or 0.9 * host.memory_mib() / count,
    )
    names = {job.id: f"{job.trial.task}: {job.trial.name} seed {job.trial.seed}" for job in todo}
    with reporter.live(), kind(settings) as pool:
        for event in pool.run(todo):
            if event.status == "started":
                progress.running.add(event.id)
                reporter.update()
                continue
            progress.running.discard(event.id)
            progress.done += event.status == "done"
            progress.failed += event.status == "failed"
            if event.status != "done":
                reporter.say(f"{event.status}: {names[event.id]}: {event.reason}")
            reporter.update(names[event.id] if event.status in ("done", "failed") else None)
    left = progress.todo - progress.done - progress.failed
    return Outcome(progress.done, progress.failed, skipped, 0, left, 0.0)


def _decode_first(
    task: str, todo: tuple[Job, ...], planned: Planned, cache: Path, reporter: Reporter
) -> None:
    """Read the data once before the workers start, so that they share what is decoded."""
    first = {job.trial.model: job.trial for job in todo if job.trial.task == task}
    said: set[str] = set()
    for model, trial in first.items():
        dataset = tasks.build(task).load(planned.data[task], trial.split, model, cache)
        counts = dataset.counts(dataset.splits["train"])
        sizes = ", ".join(f"{name} {n}" for name, n in zip(dataset.classes, counts, strict=True))
        lines = [f"{task} ({planned.data[task].provenance}): training on {sizes}"]
        lines += [f"{task}: {problem}" for problem in dataset.problems]
        for line in lines:
            if line not in said:  # another model may read the same arrays
                reporter.say(line)
        said |= set(lines)
