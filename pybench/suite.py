"""Suites: which trials to run. A suite is a Python module with ``suite = Suite(...)``."""

from __future__ import annotations

import dataclasses
import difflib
import importlib.util
import itertools
import operator
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from pybench.losses import loss, losses
from pybench.metrics import metrics
from pybench.models import models
from pybench.registry import Registry, parameters, parse
from pybench.samplers import samplers
from pybench.steps import steps
from pybench.tasks import TaskMeta, tasks
from pybench.transforms import transforms
from pybench.trial import Budget, Split, Trial
from pybench.types import Counts, Inputs, Kind

EVERY = "*"
"""In place of a list: every component of the registry, as configured by default.

A loss that compares samples with one another stands beside cross entropy.
"""


class SuiteError(ValueError):
    """A suite that cannot be found, read or run as asked."""


@dataclass(frozen=True)
class Grid:
    """A product of components; a suite is a union of grids.

    Fields:
        tasks, losses, samplers, transforms: spec strings, or ``"*"`` for all there are.
        models: model specs; empty = each task's default.
        steps: chains of steps; a chain is a tuple of specs, ``()`` is none.
        counts: what re-weighting losses are told.
    """

    tasks: Sequence[str]
    losses: Sequence[str]
    samplers: Sequence[str] = ("natural",)
    transforms: Sequence[str] = ("none",)
    models: Sequence[str] = ()
    steps: Sequence[tuple[str, ...]] = ((),)
    counts: Sequence[Counts] = ("original",)


@dataclass(frozen=True, init=False)
class Suite:
    """What ``pybench run`` runs.

    Fields:
        title: one line for people.
        grids: their union is the suite; a trial named twice runs once.
        seeds: paired training seeds 0 .. seeds - 1.
        budgets: budget by task name, where it differs from the task's default.
        split: which split of each task.
    """

    title: str
    grids: tuple[Grid, ...]
    seeds: int = 5
    budgets: Mapping[str, Budget] = field(default_factory=dict)
    split: Split = field(default_factory=Split)

    def __init__(
        self,
        title: str,
        *grids: Grid,
        seeds: int = 5,
        budgets: Mapping[str, Budget] | None = None,
        split: Split | None = None,
    ) -> None:
        if not grids:
            msg = "suite must have at least one grid, got none"
            raise SuiteError(msg)
        for name, value in (
            ("title", title),
            ("grids", grids),
            ("seeds", seeds),
            ("budgets", dict(budgets or {})),
            ("split", split or Split()),
        ):
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class Selection:
    """What a command line selects from a suite; None = as the suite says.

    A loss or sampler given as a bare name picks the suite's entries of that name; one that the
    suite does not have is run in their place.
    """

    tasks: tuple[str, ...] | None = None
    losses: tuple[str, ...] | None = None
    samplers: tuple[str, ...] | None = None
    seeds: int | None = None
    device: str | None = None


@dataclass(frozen=True)
class Refusal:
    """A combination that is not run, and why."""

    task: str
    row: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """The trials of a suite, what was refused, and what deserves a warning."""

    trials: tuple[Trial, ...]
    refused: tuple[Refusal, ...]
    warnings: tuple[str, ...]


def find(name: str) -> tuple[str, Suite]:
    """A suite by name or file.

    Returns:
        Its name and the suite.

    Raises:
        SuiteError: unknown name, or a file without ``suite = Suite(...)``.
    """
    if name.endswith(".py"):
        path = Path(name)
        if not path.is_file():
            msg = f"suite file must exist, got {name!r}"
            raise SuiteError(msg)
    else:
        path = folder() / f"{name}.py"
        if name not in names():
            near = difflib.get_close_matches(name, names(), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names())}"
            msg = f"unknown suite {name!r}; {hint}"
            raise SuiteError(msg)
    found = getattr(_load(path), "suite", None)
    if not isinstance(found, Suite):
        msg = f"{path} must define suite = Suite(...), got {type(found).__name__}"
        raise SuiteError(msg)
    return path.stem, found


def names() -> list[str]:
    """Names of the suites that come with pybench."""
    workloads = "kernels"  # those of `pybench kernels`: nothing to train
    return sorted(p.stem for p in folder().glob("[a-z]*.py") if p.stem != workloads)


def plan(suite: Suite, chosen: Selection, data: Mapping[str, str]) -> Plan:
    """Expand a suite into trials.

    Args:
        suite: what to expand.
        chosen: the command line's selection.
        data: content id of each task's data.

    Raises:
        SpecError: a spec that does not exist.
        SuiteError: a selected task that is not in the suite.
    """
    trials: dict[Trial, None] = {}
    refused: dict[Refusal, None] = {}
    warnings: dict[str, None] = {}
    device = device_name(chosen.device)
    for row in _rows(suite, chosen):
        task = tasks.build(row.task)
        reason = refusal(task.meta, row)
        if reason:
            refused[Refusal(row.task, row.name, reason)] = None
            continue
        warnings |= dict.fromkeys(_doubled(row))
        budget = suite.budgets.get(row.task, task.meta.budget)
        budget = replace(budget, device=device)
        for seed in range(chosen.seeds or suite.seeds):
            trial = replace(row, data=data[row.task], seed=seed, budget=budget, split=suite.split)
            for depth in range(len(trial.steps) + 1):
                trials[replace(trial, steps=trial.steps[:depth])] = None
    return Plan(tuple(trials), tuple(refused), tuple(warnings))


def selected_tasks(suite: Suite, chosen: Selection) -> list[str]:
    """Names of the tasks a selection runs, in the suite's order.

    Raises:
        SuiteError: a selected task that the suite does not have.
    """
    known = list(dict.fromkeys(t for g in suite.grids for t in _expand(g.tasks, tasks)))
    for name in chosen.tasks or ():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(known)}"
            msg = f"tasks must be in the suite, got {name!r}; {hint}"
            raise SuiteError(msg)
    return [name for name in known if chosen.tasks is None or name in chosen.tasks]


def refusal(task: TaskMeta, row: Trial) -> str | None:
    """Why a row cannot be run on a task (the adapter table), or None when it can."""
    criterion = loss(row.loss)
    reasons: dict[Kind, str] = {
        "bags": "a bag loss compares bags of snippets, and this task has none",
        "boxes": "a box loss compares boxes, and this task has none",
    }
    if criterion.reads not in ("classes", task.kind):
        return f"n/a: {reasons[criterion.reads]}"
    parts: list[tuple[str, Any]] = [(f"sampler '{row.sampler}'", samplers.build(row.sampler))]
    parts += [(f"step '{step}'", steps.build(step)) for step in row.steps]
    for name, part in parts:
        kinds = getattr(part, "kinds", {task.kind})
        if task.kind not in kinds:
            return f"n/a: {name} is for tasks of {' and '.join(sorted(kinds))}, not {task.kind}"
    for step in row.steps:
        reads = steps.build(step).needs
        if reads and step != row.steps[0]:
            return f"step '{step}' reads the trained network, so it must come before other steps"
        if "weights" in reads and "cosine_head" in criterion.needs:
            return f"n/a: step '{step}' scales a linear classifier, and the loss needs a cosine one"
    transform = transforms.build(row.transform)
    made = transform.takes
    if task.inputs not in made:
        known = " or ".join(sorted(made))
        return f"n/a: transform '{row.transform}' changes {known}, and this task has {task.inputs}"
    if task.kind == "bags" and not getattr(transform, "takes_bags", False):
        return f"n/a: transform '{row.transform}' changes single samples, and this task has bags"
    # In bags and boxes the other bags and cells of a class stand for a second view.
    if "two_views" in criterion.needs and task.kind == "classes" and row.transform == "none":
        return "the loss needs two views of a sample, and transform 'none' makes none"
    return None


MADE_OF: dict[str, tuple[Kind, Inputs]] = {
    "images": ("classes", "images"),
    "clips": ("classes", "clips"),
    "features": ("classes", "features"),
    "bags of snippets": ("bags", "features"),
    "boxes": ("boxes", "cells"),
}
"""What a task may be made of: its kind and its inputs."""


def uses(registry: Registry[Any], name: str) -> dict[str, str | None]:
    """Why a component cannot be used on a task of each sort, None where it can.

    Empty for models and tasks, which fit each other by name.
    """
    found: dict[str, str | None] = {}
    component: Any = registry[name]
    required = dataclasses.MISSING in parameters(component).values()
    for what, (kind, inputs) in MADE_OF.items():
        if registry is metrics:
            fits = component.kind == kind
            found[what] = None if fits else f"n/a: it scores {component.kind}"
        elif registry in (losses, samplers, transforms, steps):
            # A loss of two views is asked with a transform that makes them; flip loads quickly.
            views = {"images": "flip", "clips": "flip", "features": "feature_mixup"}
            change = views.get(inputs, "none") if registry is losses else "none"
            row = Trial(
                what,
                data="",
                model="",
                loss=name if registry is losses else "ce",
                sampler=name if registry is samplers else "natural",
                transform=name if registry is transforms else change,
                steps=(name,) if registry is steps else (),
            )
            meta = replace(tasks.build("clips").meta, kind=kind, inputs=inputs)
            found[what] = "depends on its parameters" if required else refusal(meta, row)
    return found


def _doubled(row: Trial) -> Iterator[str]:
    sampler = samplers.build(row.sampler)
    if row.counts == "original" and getattr(sampler, "balances", False):
        if loss(row.loss).uses_counts:
            yield (
                f"'{row.name}' corrects twice: the sampler balances the classes and the loss "
                "re-weights them by the original counts; counts='sampled' tells the loss"
            )


def _rows(suite: Suite, chosen: Selection) -> list[Trial]:
    """The rows of a suite that are chosen, seeds aside."""
    first = suite.grids[0]
    if chosen.losses and chosen.samplers:
        product = replace(first, losses=chosen.losses, samplers=chosen.samplers)
        return list(_product(product, chosen))
    rows = [row for grid in suite.grids for row in _product(grid, chosen)]
    picked: list[Trial] = []
    for spec in (str(parse(wanted)) for wanted in chosen.losses or chosen.samplers or ()):
        spec_of = operator.attrgetter("loss" if chosen.losses else "sampler")
        alone = replace(first, losses=[spec]) if chosen.losses else replace(first, samplers=[spec])
        have = [row for row in rows if spec in (spec_of(row), spec_of(row).partition("(")[0])]
        picked += have or _product(alone, chosen)
    return picked or rows


def _product(grid: Grid, chosen: Selection) -> Iterator[Trial]:
    for task, criterion, sampler, transform, chain, counts in itertools.product(
        [t for t in _expand(grid.tasks, tasks) if chosen.tasks is None or t in chosen.tasks],
        _expand(grid.losses, losses),
        _expand(grid.samplers, samplers),
        _expand(grid.transforms, transforms),
        grid.steps,
        grid.counts,
    ):
        for model in grid.models or tasks.build(task).meta.models[:1]:
            yield Trial(
                task=task,
                data="",
                model=_canonical(models, model),
                loss=str(loss(criterion)),
                sampler=_canonical(samplers, sampler),
                transform=_canonical(transforms, transform),
                counts=counts,
                steps=tuple(_canonical(steps, step) for step in chain),
            )


def _canonical(registry: Registry[Any], spec: str) -> str:
    registry.build(spec)
    return str(parse(spec))


def _expand(specs: Sequence[str], registry: Registry[Any]) -> list[str]:
    if specs != EVERY:
        return list(specs)
    return [f"ce + {name}" if _trains_no_classifier(registry[name]) else name for name in registry]


def _trains_no_classifier(component: type[Any]) -> bool:
    """Whether a loss only compares samples: on its own it would be ranked by a network untrained.

    One that does more says so with ``trains_classifier``.
    """
    compares: bool = getattr(component, "compares_samples", False)
    return compares and not getattr(component, "trains_classifier", False)


def device_name(wanted: str | None) -> str:
    """``"cpu"`` or ``"cuda"`` for auto, cpu, cuda or None, which is the CPU.

    Raises:
        SuiteError: another name, or a GPU that is not there.
    """
    if wanted in (None, "cpu"):
        return "cpu"
    import torch

    available = torch.cuda.is_available()
    if wanted == "auto":
        return "cuda" if available else "cpu"
    if wanted != "cuda":
        msg = f"device must be auto, cpu or cuda, got {wanted!r}"
        raise SuiteError(msg)
    if not available:
        msg = "device must be available, got 'cuda' without a CUDA GPU; use --device cpu"
        raise SuiteError(msg)
    return "cuda"


def folder() -> Path:
    """Where the suites that come with pybench lie."""
    spec = importlib.util.find_spec("suites")
    if spec is None or not spec.submodule_search_locations:
        msg = "package 'suites' must be installed beside pybench, got none; reinstall pybench"
        raise SuiteError(msg)
    return Path(next(iter(spec.submodule_search_locations)))


def _load(path: Path) -> ModuleType:
    name = f"pybench_suite_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        msg = f"suite file must be Python, got {path}"
        raise SuiteError(msg)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
