"""Parameters of a loss chosen among its rows: on validation, or on test as some papers do."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from pybench.report.groups import Group, layout
from pybench.report.words import number
from pybench.stats import mean_interval
from pybench.tasks import TaskMeta

SWEEP = 3
"""Rows of one loss that make a sweep of its parameters."""
STAMP = "Paper selection: parameters were chosen on the test split, so these values are too high."


def sentences(
    meta: TaskMeta, groups: Sequence[Group], *, higher_is_better: bool, paper_selection: bool
) -> Iterator[str]:
    """What a loss reaches whose parameters are chosen, repetition by repetition, one per sweep.

    Args:
        meta: the task.
        groups: its rows.
        higher_is_better: direction of the headline metric.
        paper_selection: choose on the split that is reported, and say so first.
    """
    found = [family for family in _families(groups) if len(family) >= SWEEP]
    if found and paper_selection:
        yield STAMP
    part = meta.headline_split if paper_selection else "val"
    for family in found:
        chosen_by, reported = (
            layout(family, meta.headline, split)[1] for split in (part, meta.headline_split)
        )
        usable = np.isfinite(chosen_by).all(axis=0) & np.isfinite(reported).all(axis=0)
        if not usable.any():
            continue
        sign = 1 if higher_is_better else -1
        best = (sign * chosen_by[:, usable]).argmax(axis=0)
        reached = mean_interval(reported[:, usable][best, np.arange(len(best))])
        times = ", ".join(f"{family[k].trial.loss} {n}" for k, n in Counter(best).most_common())
        limits = (
            ""
            if reached.low is None
            else f", 95 % interval {number(reached.low)} to {number(reached.high)}"
        )
        yield (
            f"{_unset(family[0].trial.loss)} with parameters chosen on {part} by repetition "
            f"({times}) reaches {number(reached.mean)} on {meta.headline_split}{limits}."
        )


def _families(groups: Sequence[Group]) -> list[list[Group]]:
    """Rows that differ in nothing but the parameters of their loss."""
    families: dict[tuple[object, ...], list[Group]] = {}
    for group in groups:
        trial = group.trial
        same = (trial.sampler, trial.model, trial.transform, trial.counts, trial.steps)
        families.setdefault((_unset(trial.loss), *same, trial.budget), []).append(group)
    return list(families.values())


def _unset(loss: str) -> str:
    """A loss without its parameters.

    Example:
        >>> _unset("ce + drw(loss=ldam(scale=2), at=0.5)")
        'ce + drw'
    """
    while (shorter := re.sub(r"\([^()]*\)", "", loss)) != loss:
        loss = shorter
    return loss
