"""From stored trials to a board: rows, tie groups, floors, the papers' verdicts, sentences.

The board is data; :mod:`pybench.report.html` and :mod:`pybench.report.markdown` draw it.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pybench.published import Paper, load
from pybench.report.floors import floors
from pybench.report.groups import (
    Group,
    Stored,
    gather,
    layout,
    mean_fact,
    mean_metrics,
    provenances,
)
from pybench.report.papers import Verdict, verdicts
from pybench.report.selection import sentences
from pybench.report.words import ADJUSTED, repetition_names, summary, varies
from pybench.stats import PairedT, TieGroups, mean_interval, paired_t, tie_groups
from pybench.tasks import TaskMeta
from pybench.trial import Trial


class Refused(Protocol):
    """A combination that was not run; see ``pybench.suite.Refusal``."""

    @property
    def task(self) -> str:
        """Name of the task."""
        ...

    @property
    def row(self) -> str:
        """Name of the row."""
        ...

    @property
    def reason(self) -> str:
        """Why, in one sentence."""
        ...


@dataclass(frozen=True)
class Row:
    """One line of a board: all trials that differ in nothing but seed and split.

    Fields:
        task, loss, sampler, model, transform, counts, steps, name: what was run.
        metric, split, unit, higher_is_better: what is ranked.
        seeds, values: name and headline value of each repetition; None = it failed.
        mean, low, high: over the survivors, with the 95 % t interval; None where unknown.
        n_seeds: survivors.
        rank_low, rank_high, tie: see :class:`pybench.stats.TieGroups`.
        failures, failure_reasons: how many failed, and the distinct reasons with their number.
        data: provenance of the data.
        per_class_recall: mean by class.
        other_metrics: mean by ``"split metric [class]"``.
        train_s, gradient_norm_0: means; None where not recorded.
        command: what to type to run it again.
    """

    task: str
    loss: str
    sampler: str
    model: str
    transform: str
    counts: str
    steps: tuple[str, ...]
    name: str
    metric: str
    split: str
    unit: str
    higher_is_better: bool
    seeds: tuple[str, ...]
    values: tuple[float | None, ...]
    mean: float | None
    low: float | None
    high: float | None
    n_seeds: int
    rank_low: int | None
    rank_high: int | None
    tie: str | None
    failures: int
    failure_reasons: tuple[str, ...]
    data: str
    per_class_recall: Mapping[str, float | None]
    other_metrics: Mapping[str, float | None]
    train_s: float | None
    gradient_norm_0: float | None
    command: str


@dataclass(frozen=True)
class TaskBoard:
    """All that is said of one task.

    Fields:
        name, meta: the task.
        rows: best first, rows without a value last.
        summary: sentences of the first screen.
        varies: which of split, subset and training seed differ between repetitions.
        resolution: smallest difference these seeds can show; None with one seed.
        against_adjusted: the best other row minus CE with logit adjustment, paired, or None.
        floors: reference value by name.
        classes, train_counts, part_sizes, provenance, problems: the data.
        paper, verdicts: printed numbers beside ours, or None.
    """

    name: str
    meta: TaskMeta
    rows: tuple[Row, ...]
    summary: tuple[str, ...]
    varies: str
    resolution: float | None
    against_adjusted: PairedT | None
    floors: Mapping[str, float | None]
    classes: tuple[str, ...]
    train_counts: tuple[int, ...]
    part_sizes: Mapping[str, int]
    provenance: tuple[str, ...]
    problems: tuple[str, ...]
    paper: Paper | None
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True)
class Board:
    """A leaderboard.

    Fields:
        suite, command, created: what was asked, and when; the only thing that is not a result.
        tasks: one board per task.
        refused: what does not apply, as (task, row, reason).
        host: distinct machine and library facts, each with all its values.
        missing: trials of the suite that have not been run.
        paper_selection: whether parameters were chosen on the split that is reported.
    """

    suite: str
    command: str
    created: str
    tasks: tuple[TaskBoard, ...]
    refused: tuple[tuple[str, str, str], ...]
    host: Mapping[str, tuple[str, ...]]
    missing: int
    paper_selection: bool = False

    def to_json(self) -> dict[str, Any]:
        """The content of ``leaderboard.json``."""
        return {
            "suite": self.suite,
            "command": self.command,
            "created": self.created,
            "host": {key: list(values) for key, values in self.host.items()},
            "missing": self.missing,
            "paper_selection": self.paper_selection,
            "rows": [dataclasses.asdict(row) for task in self.tasks for row in task.rows],
            "summaries": {task.name: list(task.summary) for task in self.tasks},
            "floors": {task.name: dict(task.floors) for task in self.tasks},
            "resolution": {task.name: task.resolution for task in self.tasks},
            "papers": [
                {"task": task.name, **dataclasses.asdict(verdict)}
                for task in self.tasks
                for verdict in task.verdicts
            ],
            "na": [{"task": t, "row": row, "reason": reason} for t, row, reason in self.refused],
        }


def build(
    records: Iterable[Stored],
    tasks: Mapping[str, TaskMeta],
    *,
    suite: str,
    command: str,
    created: str,
    refused: Iterable[Refused] = (),
    missing: int = 0,
    paper_selection: bool = False,
) -> Board:
    """Make the board of some trials.

    Args:
        records: finished and failed trials, each trial once.
        tasks: what is known of each task by name; tasks without records are left out.
        suite: name of the suite.
        command: the command line that makes this board.
        created: when, as text.
        refused: combinations that do not apply.
        missing: trials of the suite that have not been run.
        paper_selection: choose parameters on the split that is reported, not on validation.

    Raises:
        ValueError: for a trial given twice, or one of a task that is not in ``tasks``.
    """
    found = sorted(records, key=lambda record: _order(record.trial))
    twice = [trial for trial, n in Counter(record.trial for record in found).items() if n > 1]
    if twice:
        msg = f"records must be of different trials, got {twice[0].name!r} more than once"
        raise ValueError(msg)
    unknown = {record.trial.task for record in found} - set(tasks)
    if unknown:
        msg = f"tasks must have every task of the records, got none for {sorted(unknown)}"
        raise ValueError(msg)
    boards = [
        _task_board(name, meta, [r for r in found if r.trial.task == name], suite, paper_selection)
        for name, meta in tasks.items()
    ]
    return Board(
        suite=suite,
        command=command,
        created=created,
        tasks=tuple(board for board in boards if board.rows),
        refused=tuple((r.task, r.row, r.reason) for r in refused),
        host=_host(found),
        missing=missing,
        paper_selection=paper_selection,
    )


def _order(trial: Trial) -> tuple[str, ...]:
    return (*trial.row, repr(trial))


def _host(records: Sequence[Stored]) -> dict[str, tuple[str, ...]]:
    stamps: dict[str, set[str]] = {}
    for record in records:
        for key, value in record.stamp.items():
            if value is not None:
                stamps.setdefault(key, set()).add(str(value))
    return {key: tuple(sorted(values)) for key, values in sorted(stamps.items())}


def _task_board(
    name: str, meta: TaskMeta, records: list[Stored], suite: str, paper_selection: bool
) -> TaskBoard:
    groups = gather(records)
    repetitions, values = layout(groups, meta.headline, meta.headline_split)
    done = [record for record in records if record.status == "done"]
    facts = done[0].facts if done else {}
    measured = [m for r in done for m in r.metrics if m["metric"] == meta.headline]
    unit = str(measured[0]["unit"]) if measured else ""
    higher = bool(measured[0]["higher_is_better"]) if measured else True
    ties = tie_groups(values, higher_is_better=higher)
    names = repetition_names(repetitions)
    classes = tuple(str(c) for c in facts.get("classes", ()))
    order = sorted(
        range(len(groups)),
        key=lambda i: (
            np.isnan(ties.estimate[i]),
            -ties.estimate[i] if higher else ties.estimate[i],
        ),
    )
    rows = tuple(
        Row(
            **_what(groups[i], suite),
            **_outcome(groups[i], meta, classes),
            **_standing(values[i], ties, i),
            unit=unit,
            higher_is_better=higher,
            seeds=names,
        )
        for i in order
    )
    against = _against_adjusted(rows, values[order])
    chosen = sentences(meta, groups, higher_is_better=higher, paper_selection=paper_selection)
    provenance = provenances(done)
    paper = load(meta.published) if meta.published else None
    problems = dict.fromkeys(str(p) for r in done for p in r.facts.get("problems", ()))
    return TaskBoard(
        name=name,
        meta=meta,
        rows=rows,
        summary=(*summary(meta, rows, ties.floor, against, varies(repetitions)), *chosen),
        varies=varies(repetitions),
        resolution=ties.floor,
        against_adjusted=against,
        floors=floors(meta, done, rows),
        classes=classes,
        train_counts=tuple(int(n) for n in facts.get("train_counts", ())),
        part_sizes=dict(facts.get("part_sizes", {})),
        provenance=provenance,
        problems=tuple(problems),
        paper=paper,
        verdicts=verdicts(meta, paper, groups, classes, provenance) if paper else (),
    )


def _what(group: Group, suite: str) -> dict[str, Any]:
    trial = group.trial
    words = ["pybench", "run", suite, "--tasks", trial.task]
    # Steps and transforms have no option of their own; the suite's grid brings them.
    if not trial.steps and trial.transform == "none" and trial.counts == "original":
        words += ["--losses", trial.loss, "--samplers", trial.sampler]
    fields = ("task", "loss", "sampler", "model", "transform", "counts", "steps", "name")
    return {field: getattr(trial, field) for field in fields} | {"command": shlex.join(words)}


def _outcome(group: Group, meta: TaskMeta, classes: Sequence[str]) -> dict[str, Any]:
    records = group.records
    means = mean_metrics(records)
    recall = {of: means.get((meta.headline_split, "recall", of)) for of in classes}
    reasons = Counter(record.reason for record in records if record.status == "failed")
    return {
        "metric": meta.headline,
        "split": meta.headline_split,
        "failures": sum(reasons.values()),
        "failure_reasons": tuple(f"{n} x {reason}" for reason, n in sorted(reasons.items())),
        "data": ", ".join(provenances(records)),
        "per_class_recall": recall if any(v is not None for v in recall.values()) else {},
        "other_metrics": {" ".join(filter(None, key)): value for key, value in means.items()},
        "train_s": mean_fact(records, "train_s"),
        "gradient_norm_0": mean_fact(records, "gradient_norm_0"),
    }


def _standing(values: NDArray[np.float64], ties: TieGroups, place: int) -> dict[str, Any]:
    interval = mean_interval(values)
    return {
        "values": tuple(None if np.isnan(value) else float(value) for value in values),
        "mean": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "n_seeds": interval.n,
        "rank_low": ties.rank_low[place],
        "rank_high": ties.rank_high[place],
        "tie": ties.letters[place],
    }


def _against_adjusted(rows: Sequence[Row], values: NDArray[np.float64]) -> PairedT | None:
    ranked = [(row.name, cells) for row, cells in zip(rows, values, strict=True) if row.n_seeds]
    baseline = next((cells for name, cells in ranked if name == ADJUSTED), None)
    best = next((cells for name, cells in ranked if name != ADJUSTED), None)
    return None if baseline is None or best is None else paired_t(best, baseline)
