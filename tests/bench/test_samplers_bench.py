"""What a sampler costs on ten million labels; one that draws more is judged by its draws."""

import time

import numpy as np
import pytest

from pybench import host
from pybench.samplers import samplers
from pybench.types import SampleContext

LABELS, CLASSES, RATIO = 10_000_000, 10, 100


@pytest.fixture(scope="module")
def context():
    shares = np.geomspace(1, 1 / RATIO, CLASSES)
    labels = np.random.default_rng(0).choice(CLASSES, size=LABELS, p=shares / shares.sum())
    history = [np.linspace(0.9, 0.1, CLASSES)]
    return SampleContext(labels=labels, normal=0, batch_size=64, epochs=10, history=history)


@pytest.mark.benchmark(group="samplers, 10,000,000 labels (goal 1 s per 10,000,000 draws)")
@pytest.mark.parametrize("name", list(samplers))
def test_plan(benchmark, context, name):
    sampler, seconds = samplers.build(name), []

    def plan():
        began = time.process_time()
        draw = sampler.plan(context, seed=0, epoch=0)
        seconds.append(time.process_time() - began)
        return draw

    draw = benchmark.pedantic(plan, rounds=2)
    benchmark.extra_info["draws"] = len(draw)
    benchmark.extra_info["core-seconds per 10,000,000 draws"] = min(seconds) * LABELS / len(draw)
    benchmark.extra_info["cpu"] = host.stamp()["cpu"]
