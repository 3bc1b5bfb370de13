"""Resampled metrics against the metrics of samples that are really drawn again."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from pybench import core

RANKED = ["roc_auc", "average_precision"]
CONFUSED = ["accuracy", "balanced_accuracy", "macro_f1"]


def drawn(groups: Any, strata: Any, resample: int, seed: int) -> list[int]:
    """Samples of a resample: groups are numbered by stratum, then by where they come first."""
    firsts = {group: index for index, group in reversed(list(enumerate(groups)))}
    order = sorted(firsts, key=lambda group: (strata[firsts[group]], firsts[group]))
    key = core.stream_key(seed, "bootstrap")
    words = iter(core.philox(key, [0, resample, 0, 0], size=len(order)).tolist())
    members = []
    for stratum in sorted({strata[first] for first in firsts.values()}):
        own = [group for group in order if strata[firsts[group]] == stratum]
        for _ in own:
            chosen = own[next(words) * len(own) >> 64]
            members += [index for index, group in enumerate(groups) if group == chosen]
    return members


def metric(name: str, truth: Any, scores: Any) -> float:
    match name:
        case "accuracy":
            value = np.mean(truth == scores) if len(truth) else None
        case "balanced_accuracy":
            recalls = [np.mean(scores[truth == c] == c) for c in np.unique(truth)]
            value = np.mean(recalls) if recalls else None
        case "macro_f1":
            value = core.confusion_f1(truth, scores, 3)["macro_f1"]
        case _:
            values = getattr(core, name)(truth, scores)
            some = [v for v in np.ravel(np.array(values, dtype=float)) if not np.isnan(v)]
            value = np.mean(some) if some else None
    return np.nan if value is None else float(value)


@given(
    name=st.sampled_from(RANKED + CONFUSED),
    seed=st.integers(0, 2**32),
    n=st.integers(0, 25),
    columns=st.booleans(),
    grouped=st.booleans(),
    stratified=st.booleans(),
)
def test_values_are_the_metric_of_samples_drawn_again(
    name: str, seed: int, n: int, columns: bool, grouped: bool, stratified: bool
) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.integers(-3, 4, n) if grouped else np.arange(n)
    strata = groups % 2 if stratified else np.zeros(n, int)
    if name in CONFUSED:
        truth, scores = rng.integers(0, 3, (2, n))
        shown = np.eye(3)[scores] if columns else scores
    elif columns:
        truth, scores = rng.integers(0, 3, n), rng.integers(0, 4, (n, 3)) / 4
        shown = scores
    else:
        truth, scores = rng.integers(0, 2, n), rng.integers(0, 4, n).astype(np.float32)
        shown = scores
    found = core.bootstrap(
        name,  # type: ignore[arg-type]
        truth,
        shown,
        groups if grouped else None,
        resamples=18,
        seed=seed,
        strata=strata if stratified else None,
    )
    again = [drawn(groups.tolist(), strata.tolist(), r, seed) for r in range(18)]
    expected = [metric(name, truth[index], scores[index]) for index in again]
    np.testing.assert_allclose(found["values"], expected, rtol=0, atol=1e-12)
    assert found["undefined"] == np.isnan(expected).sum()
    whole = metric(name, truth, scores)
    assert found["estimate"] == (None if np.isnan(whole) else pytest.approx(whole, abs=1e-12))


def test_images_are_drawn_again_with_all_they_hold() -> None:
    rng = np.random.default_rng(0)
    corner = rng.random((40, 3, 2)) * 50
    true = np.concatenate([corner, corner + 10 + 30 * rng.random((40, 3, 2))], 2)
    labels = rng.integers(0, 3, (40, 3))
    sure = rng.permutation(40 * 3).reshape(40, 3) / 120
    truth = list(zip(true, labels, strict=True))
    near = true + rng.uniform(-4, 4, true.shape)
    scores = list(zip(near, labels, sure, strict=True))
    groups = rng.integers(0, 11, 40)
    found = core.bootstrap("mean_average_precision", truth, scores, groups, resamples=20, seed=3)
    for resample in range(20):
        index = drawn(groups.tolist(), [0] * 40, resample, 3)
        expected = core.mean_average_precision(
            [truth[i] for i in index], [scores[i] for i in index], num_classes=3
        )["map"]
        assert found["values"][resample] == pytest.approx(expected, abs=1e-12)
    whole = core.mean_average_precision(truth, scores)["map"]
    assert found["estimate"] == pytest.approx(whole, abs=1e-12)


def test_many_samples_score_as_scikit_learn_says() -> None:
    rng = np.random.default_rng(0)
    n, groups = 20_000, rng.integers(0, 60, 20_000)
    truth = (rng.random(n) < 0.1).astype(int)
    scores = np.round(rng.random(n) + 0.2 * truth, 4)
    found = core.bootstrap("roc_auc", truth, scores, groups, resamples=40)
    index = drawn(groups.tolist(), [0] * n, 39, 0)
    expected = metrics.roc_auc_score(truth[index], scores[index])
    assert found["values"][39] == pytest.approx(expected, abs=1e-12)
    found = core.bootstrap("average_precision", truth, scores, groups, resamples=40)
    expected = metrics.average_precision_score(truth[index], scores[index])
    assert found["values"][39] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_limits_are_quantiles_of_the_values(level: float) -> None:
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 2, (2, 60))
    found = core.bootstrap("accuracy", truth, predicted, resamples=500, level=level)
    low, high = np.quantile(found["values"], [(1 - level) / 2, (1 + level) / 2])
    assert (found["low"], found["high"]) == (pytest.approx(low), pytest.approx(high))
    mirrored = core.bootstrap(
        "accuracy", truth, predicted, resamples=500, level=level, method="basic"
    )
    estimate = found["estimate"]
    assert estimate is not None
    assert mirrored["low"] == pytest.approx(2 * estimate - high)
    assert mirrored["high"] == pytest.approx(2 * estimate - low)


@pytest.mark.parametrize("name", ["accuracy", "roc_auc"])
def test_bca_is_scipys(name: Any) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 30)
    truth[0] = 1 - truth[1]
    scores = rng.integers(0, 2, 30) if name == "accuracy" else rng.random(30) + 0.3 * truth
    found = core.bootstrap(name, truth, scores, resamples=400, method="bca")
    expected = stats.bootstrap(
        (np.arange(30),),
        lambda index: metric(name, truth[index], scores[index]),
        n_resamples=0,
        bootstrap_result=type("", (), {"bootstrap_distribution": found["values"]}),
        method="BCa",
        vectorized=False,
    ).confidence_interval
    assert found["low"] == pytest.approx(expected.low, abs=1e-9)
    assert found["high"] == pytest.approx(expected.high, abs=1e-9)


def test_intervals_hold_what_they_promise() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        truth = (rng.random(200) < 0.3).astype(int)
        found = core.bootstrap("accuracy", np.zeros(200, int), truth, resamples=300, seed=seed)
        assert found["low"] is not None and found["high"] is not None
        held += found["low"] <= 0.7 <= found["high"]
    assert 180 <= held <= 199


def test_a_metric_without_a_value_is_none_and_counted() -> None:
    found = core.bootstrap("roc_auc", [1, 1], [0.1, 0.2], resamples=5)
    assert (found["estimate"], found["low"], found["high"]) == (None, None, None)
    assert found["undefined"] == 5
    assert np.isnan(found["values"]).all()
    rare = core.bootstrap("roc_auc", [1, 0, 0, 0], [0.9, 0.2, 0.3, 0.4], resamples=200)
    assert 0 < rare["undefined"] < 200
    assert (rare["low"], rare["high"]) == (1, 1)
    assert core.bootstrap("accuracy", [1], [1], resamples=0)["low"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"metric": "auc"},
            "metric must be 'roc_auc', 'average_precision', 'accuracy', 'balanced_accuracy', "
            "'macro_f1' or 'mean_average_precision', got 'auc'; resample another metric by "
            "drawing groups with weighted_choice",
        ),
        (
            {"method": "normal"},
            "method must be 'percentile', 'basic' or 'bca', got 'normal'; "
            "'percentile' is the simplest",
        ),
        ({"level": 1.0}, "level must be in (0, 1), got 1; 0.95 is usual"),
        (
            {"groups": [1]},
            "groups must be as long as truth, 3, got 1; give one item for each",
        ),
        (
            {"groups": [1, 2, 2], "strata": [0, 0, 1]},
            "strata must be the same for all samples of a group, got 1 at index 2 after 0 before; "
            "leave strata out or split the group",
        ),
        (
            {"scores": [0.5, np.nan, 1]},
            "scores must be finite, got NaN at index 1; repair or leave out that item",
        ),
        (
            {"metric": "accuracy", "scores": [[0, np.inf], [0, 1], [1, 0]]},
            "scores must be finite, got inf at index 0; repair or leave out that item",
        ),
        (
            {"metric": "accuracy", "scores": [0, 1]},
            "scores must be as long as truth, 3, got 2; give one item for each",
        ),
        (
            {"metric": "accuracy", "scores": [0, 1, 5000]},
            "num_classes must be in 1..=1024, got 5001; merge rare classes",
        ),
        (
            {"metric": "accuracy", "scores": [0, -1, 1]},
            "scores must be in 0..=1, got -1 at index 1; number the classes from 0",
        ),
        (
            {"resamples": 10**9},
            "resamples must be at most 16777216, got 1000000000; 10,000 settle a limit",
        ),
        (
            {"resamples": -1},
            "resamples must be a whole number >= 0, got -1; pass an int",
        ),
    ],
)
def test_what_is_refused_is_named(arguments: Any, message: str) -> None:
    given_arguments = {"metric": "roc_auc", "truth": [0, 1, 1], "scores": [0.5, 0.6, 0.7]}
    with pytest.raises(ValueError) as caught:
        core.bootstrap(**{**given_arguments, **arguments})
    assert str(caught.value) == message
