"""What the task of bags costs: a default trial, the paper's scorer, an AUC with its interval."""

import dataclasses
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pybench.models._bags import Dropout
from pybench.scoring.videos import roc_auc, roc_auc_interval, videos
from pybench.tasks import tasks
from pybench.train import run_trial
from pybench.trial import Budget, Trial

TASK = tasks.build("anomaly")
FRAMES, VIDEOS = 1_112_032, 290


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    kept = os.environ.get("PYBENCH_CACHE")
    return Path(kept) if kept else tmp_path_factory.mktemp("cache")


def planned(cache: Path, model: str, budget: Budget) -> Trial:
    data = TASK.locate(None, cache).id
    return Trial(task="anomaly", data=data, model=model, loss="mil", budget=budget)


@pytest.mark.benchmark(group="a default trial of bags, 1,610 videos (goal 4 s)")
def test_default_trial(benchmark, cache):
    trial = planned(cache, TASK.meta.models[0], TASK.meta.budget)
    seconds: list[float] = []
    rounds = {"rounds": 3, "warmup_rounds": 1}
    benchmark.pedantic(on_one_core, (trial, cache, seconds), **rounds)
    benchmark.extra_info["core-seconds"] = seconds[1:]


@pytest.mark.benchmark(group="the scorer of three layers, 2,000 steps (goal 60 s, at most 1.2)")
def test_three_layers(benchmark, cache):
    budget = dataclasses.replace(TASK.meta.budget, steps=2000)
    trial = planned(cache, "mil_fc512", budget)
    seconds: list[float] = []
    run_trial(dataclasses.replace(trial, budget=dataclasses.replace(budget, steps=1)), cache=cache)
    before = products(1000, budget.batch, width=TASK.width)
    benchmark.pedantic(on_one_core, (trial, cache, seconds), rounds=1)
    alone = before + products(1000, budget.batch, width=TASK.width)
    benchmark.extra_info["core-seconds"] = seconds
    benchmark.extra_info["products and dropout alone"] = alone
    benchmark.extra_info["ratio"] = seconds[0] / alone


def on_one_core(trial: Trial, cache: Path, seconds: list[float]) -> None:
    """Run a trial and note its core-seconds, which other work on the machine hardly changes."""
    began = time.process_time()
    run_trial(trial, cache=cache)
    seconds.append(time.process_time() - began)


def products(steps: int, bags: int, width: int) -> float:
    """Core-seconds of the matrix products, the dropout and their gradients, and nothing else."""
    torch.set_num_threads(1)
    inputs = torch.rand(bags * 32, width)
    layers = nn.Sequential(nn.Linear(width, 512), nn.ReLU(), Dropout(0.6), nn.Linear(512, 32))
    back = torch.rand(bags * 32, 32)
    began = time.process_time()
    for _ in range(steps):
        torch.autograd.backward(layers(inputs), back)
    return time.process_time() - began


@pytest.mark.benchmark(group="AUC of 1.1 M frames, 1,000 resamples by video (goal 1 s)")
def test_auc_with_its_interval(benchmark):
    rng = np.random.default_rng(0)
    ends = np.sort(rng.choice(np.arange(16, FRAMES - 16), VIDEOS - 1, replace=False))
    truth = np.split(np.where(np.arange(FRAMES) % 4000 < 300, 0, -1), ends)
    truth = [np.full_like(t, -1) if place % 2 else t for place, t in enumerate(truth)]
    scores = [rng.random(32) for _ in truth]

    def both():
        found, _ = videos(truth, scores, ["event"])
        return roc_auc(found), roc_auc_interval(found, resamples=1000)

    value, interval = benchmark.pedantic(both, rounds=5, warmup_rounds=1)
    assert interval[0] <= value <= interval[1]
