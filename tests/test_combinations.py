"""Every loss meets every sampler, transform and task: a number, or a sentence that says why not."""

from __future__ import annotations

import dataclasses
import itertools
import math
import warnings
from pathlib import Path

import pytest

from pybench.losses import losses
from pybench.samplers import samplers
from pybench.suite import refusal
from pybench.tasks import tasks
from pybench.train import run_trial
from pybench.transforms import transforms
from pybench.trial import Budget, Trial

TASKS = ("toy_images", "toy_clips", "toy_features", "toy_bags", "toy_boxes")


def pairwise(*choices):
    """Rows in which any two choices of any two columns meet, found greedily.

    Where several choices bring as many new pairs, one that can be run is taken.
    """
    columns = list(itertools.combinations(range(len(choices)), 2))
    open_pairs = {
        (i, a, j, b) for i, j in columns for a, b in itertools.product(choices[i], choices[j])
    }
    rows = []
    while open_pairs:
        i, a, j, b = min(open_pairs)
        row = {i: a, j: b}
        for column in range(len(choices)):
            if column not in row:
                row[column] = max(
                    choices[column],
                    key=lambda value, column=column: (
                        sum(
                            sorted_pair(column, value, other, row[other]) in open_pairs
                            for other in row
                        ),
                        runs({**row, column: value}),
                    ),
                )
        rows.append(tuple(row[column] for column in range(len(choices))))
        open_pairs -= {(i, rows[-1][i], j, rows[-1][j]) for i, j in columns}
    return rows


def runs(row):
    """Whether a task, if chosen yet, takes the loss and the transform that are."""
    if 0 not in row:
        return True
    meta = tasks.build(row[0]).meta
    reads = {"classes", meta.kind} if 1 not in row else {losses[row[1]].reads}
    takes = {meta.inputs} if 3 not in row else transforms[row[3]].takes
    return bool(reads & {"classes", meta.kind}) and meta.inputs in takes


def sorted_pair(column, value, other, its_value):
    first, second = sorted([(column, value), (other, its_value)])
    return *first, *second


ROWS = pairwise(TASKS, losses.own_names(), samplers.own_names(), transforms.own_names())


def test_any_two_choices_meet():
    met = {pair for row in ROWS for pair in itertools.combinations(enumerate(row), 2)}
    columns = (TASKS, losses.own_names(), samplers.own_names(), transforms.own_names())
    sizes = [len(column) for column in columns]
    assert len(met) == sum(a * b for a, b in itertools.combinations(sizes, 2))


# The adapter table: what a loss reads decides where it cannot be used, and nothing else does.
OF_BAGS = {"mil", "class_balanced_mil", "topk_mil", "rtfm", "mgfn", "ur_dmu"}
OF_BOXES = {
    *("smooth_l1", "balanced_l1", "giou", "diou", "ciou"),
    *("varifocal", "quality_focal", "f1_composite"),
}


@pytest.mark.parametrize("task", TASKS)
def test_a_loss_is_refused_on_a_task_exactly_where_the_adapter_table_says_so(task):
    meta = tasks.build(task).meta
    change = {"images": "crop", "clips": "crop", "features": "feature_mixup", "cells": "none"}
    row = Trial(task, data="", model="", loss="", transform=change[meta.inputs])
    found = {
        name: refusal(meta, dataclasses.replace(row, loss=name)) for name in losses.own_names()
    }
    refused = {name for name, reason in found.items() if reason}
    known = {"classes": OF_BAGS | OF_BOXES, "bags": OF_BOXES, "boxes": OF_BAGS}
    assert refused == known[meta.kind]
    assert len(refused) == {"classes": 14, "bags": 8, "boxes": 6}[meta.kind]
    assert all(reason.startswith("n/a: ") for reason in found.values() if reason)


@pytest.mark.parametrize(("task", "loss", "sampler", "transform"), ROWS)
def test_a_combination_gives_a_number_or_says_why_not(task, loss, sampler, transform):
    built = tasks.build(task)
    trial = Trial(
        task=task,
        data=built.locate(None, Path()).id,
        model=built.meta.models[0],
        # A loss of features or boxes alone does not train the classifier.
        loss=loss if losses[loss].reads == "classes" else f"ce + {loss}",
        sampler=sampler,
        transform=transform,
        budget=Budget(epochs=None, steps=2, batch=8),
    )
    reason = refusal(built.meta, trial)
    if reason is not None:
        assert reason.startswith(("n/a: ", "the loss needs")), reason
        return
    try:
        with warnings.catch_warnings():
            # A sampler may leave a class out of so short a draw.
            warnings.filterwarnings("ignore", message=".*has no training sample")
            result = run_trial(trial)
    except ValueError as error:
        assert "; " in str(error) or " must be " in str(error), error
        return
    values = [row["value"] for row in result.metrics if row["metric"] == built.meta.headline]
    assert values
    assert all(value is None or math.isfinite(value) for value in values)
    assert math.isfinite(result.curves["train_loss"][-1])
