"""Steps: contracts of every step, on hand-made records and on stored trials, and their oracles."""

from __future__ import annotations

import dataclasses
import doctest
import itertools
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from scipy.optimize import brentq

from pybench.steps import Finished, steps
from pybench.store import Store
from pybench.suite import refusal
from pybench.tasks import tasks
from pybench.train import run_trial
from pybench.trial import Budget, Trial

every_step = pytest.mark.parametrize("name", steps.own_names())
VAL, TEST, TRAIN, WIDTH = 30, 24, 40, 5


def finished(counts=(90, 9, 1), seed=0, drawn=None):
    """Features, a linear classifier on them, and the logits that follow."""
    rng = np.random.default_rng(seed)
    rows, classes = VAL + TEST, len(counts)
    weight, bias = rng.normal(size=(classes, WIDTH)), rng.normal(size=classes)
    features = rng.normal(size=(rows, WIDTH))
    arrays = {
        "train_features": rng.normal(size=(TRAIN, WIDTH)),
        "train_labels": np.arange(TRAIN) % classes,
        "features": features,
        "head_weight": weight,
        "head_bias": bias,
    }
    predictions = pl.DataFrame(
        {
            "split": ["val"] * VAL + ["test"] * TEST,
            "sample": list(range(rows)),
            "label": [k % classes for k in range(rows)],
            "logits": (features @ weight.T + bias).tolist(),
        },
        schema_overrides={"logits": pl.List(pl.Float32)},
    )
    trial = Trial("t", "", "m", "ce")
    names = tuple("abcdefg"[:classes])
    return Finished(trial, names, np.array(counts), predictions, drawn, arrays)


def logits_of(predictions):
    return np.array(predictions["logits"].to_list())


def stepped(spec, before):
    return logits_of(steps.build(spec).apply(before))


def validation(before):
    return logits_of(before.predictions)[:VAL], before.predictions["label"].to_numpy()[:VAL]


@every_step
def test_a_step_keeps_rows_columns_and_types(name):
    before = finished()
    after = steps.build(name).apply(before)
    assert after.schema == before.predictions.schema
    assert after.drop("logits").equals(before.predictions.drop("logits"))
    assert np.isfinite(logits_of(after)).all()


@every_step
def test_a_step_gives_the_same_twice(name):
    assert np.array_equal(stepped(name, finished()), stepped(name, finished()))


@every_step
def test_a_step_never_looks_at_the_test_labels(name):
    before = finished()
    for other in (0, None):
        seen = pl.when(pl.col("split") == "test").then(other).otherwise(pl.col("label"))
        hidden = before.predictions.with_columns(seen.cast(pl.Int64).alias("label"))
        blind = dataclasses.replace(before, predictions=hidden)
        assert np.array_equal(stepped(name, blind), stepped(name, before))


@every_step
def test_a_step_documents_itself_with_a_checked_example(name):
    cls = steps[name]
    for part in ("Inputs:", "Returns:", "Source:", "Deviations:", "Example:"):
        assert part in cls.__doc__, part
    for field in dataclasses.fields(cls):
        assert f"{field.name}:" in cls.__doc__
    found = doctest.DocTestFinder().find(cls, name, module=sys.modules[cls.__module__])
    assert sum(len(test.examples) for test in found) > 0
    assert any(year in cls.source for year in map(str, range(1990, 2027)))


def toy(*chain, **changes):
    task = tasks.build("toy_clips")
    return Trial(
        task="toy_clips",
        data=task.locate(None, Path()).id,
        model="toy_net",
        budget=Budget(epochs=3, batch=8, lr=1e-2),
        **{"loss": "ce", **changes},
        steps=chain,
    )


def stored(result, root, id="0" * 32):
    store = Store(root)
    assert store.publish(id, result, {})
    return store.get(id)


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    return stored(run_trial(toy()), tmp_path_factory.mktemp("store"))


@every_step
def test_a_stored_trial_takes_each_step(name, parent):
    result = run_trial(toy(name), parent=parent)
    before = parent.predictions()
    assert result.predictions.schema == before.schema
    assert result.predictions.drop("logits").equals(before.drop("logits"))
    assert {row["metric"] for row in result.metrics} == {row["metric"] for row in parent.metrics}
    assert result.facts["parent"] == parent.id
    assert result.facts["train_counts"] == parent.facts["train_counts"]


@every_step
def test_a_stored_trial_with_other_test_labels_gives_the_same_logits(name, parent, tmp_path):
    before = parent.predictions()
    test = (before["split"] == "test").to_numpy()
    labels = before["label"].to_numpy().copy()
    labels[test] = np.roll(labels[test], 7)
    permuted = before.with_columns(pl.Series("label", labels))
    weights = parent.weights()
    other = dataclasses.replace(
        run_trial(toy()), predictions=permuted, weights=weights, facts=parent.facts
    )
    one = run_trial(toy(name), parent=parent)
    two = run_trial(toy(name), parent=stored(other, tmp_path))
    assert not one.predictions["label"].equals(two.predictions["label"])
    assert one.predictions["logits"].equals(two.predictions["logits"])


def test_a_step_is_given_the_networks_features_and_classifier_and_no_test_label(parent):
    again = logits_of(run_trial(toy("rebuilt"), parent=parent).predictions)
    np.testing.assert_allclose(again, logits_of(parent.predictions()), atol=1e-5)


def test_a_trial_records_how_often_each_class_was_drawn(parent):
    counts = np.array(parent.facts["train_counts"])
    assert parent.facts["drawn_counts"] == (3 * counts).tolist()


def test_steps_follow_one_another(parent, tmp_path):
    first = stored(run_trial(toy("crt"), parent=parent), tmp_path, "1" * 32)
    second = run_trial(toy("crt", "prior_correction"), parent=first)
    assert second.predictions.equals(first.predictions()) is False
    assert second.facts["drawn_counts"] == parent.facts["drawn_counts"]


def test_a_step_that_reads_the_network_must_come_first(parent, tmp_path):
    first = stored(run_trial(toy("temperature"), parent=parent), tmp_path, "1" * 32)
    chain = ("temperature", "ncm")
    with pytest.raises(ValueError, match="step 'ncm' must come first"):
        run_trial(toy(*chain), parent=first)
    reason = refusal(tasks.build("toy_clips").meta, toy(*chain))
    assert reason == "step 'ncm' reads the trained network, so it must come before other steps"
    assert refusal(tasks.build("toy_clips").meta, toy(*reversed(chain))) is None


def test_steps_for_classes_are_refused_on_bags():
    reason = refusal(tasks.build("toy_bags").meta, toy("crt"))
    assert reason == "n/a: step 'crt' is for tasks of classes, not bags"


def test_logit_adjustment_takes_out_the_log_prior():
    before, tau = finished(), 0.5
    after = stepped(f"logit_adjustment(tau={tau})", before)
    expected = logits_of(before.predictions) - tau * np.log([0.9, 0.09, 0.01])
    np.testing.assert_allclose(after, expected, rtol=1e-5)


def test_logit_adjustment_without_strength_or_with_equal_classes_changes_no_decision():
    before = finished()
    same = steps.build("logit_adjustment(tau=0)").apply(before)
    assert same.equals(before.predictions)
    even = stepped("logit_adjustment", finished((5, 5, 5)))
    assert (even.argmax(1) == logits_of(before.predictions).argmax(1)).all()


def test_a_class_without_training_samples_keeps_its_logit():
    before = finished((99, 1, 0))
    for spec in ("logit_adjustment", "prior_correction"):
        after = stepped(spec, before)
        assert np.isfinite(after).all()
        assert (after[:, 2] == logits_of(before.predictions)[:, 2]).all()


def test_counts_of_other_classes_are_refused():
    before = dataclasses.replace(finished(), counts=np.array([99, 1]))
    with pytest.raises(ValueError, match=r"logits must be 2 per sample, got \[3\]"):
        steps.build("logit_adjustment").apply(before)


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        ("logit_adjustment(tau=-1)", "tau must be finite and >= 0, got -1"),
        ("tau_norm(tau=1.5)", r"tau must be in \[0, 1\], got 1.5"),
        ("crt(epochs=0)", "epochs must be >= 1, got 0"),
        ("lws(lr=0)", "lr must be finite and > 0, got 0"),
    ],
)
def test_a_parameter_out_of_range_is_refused(spec, rule):
    with pytest.raises(ValueError, match=rule):
        steps.build(spec)


@pytest.mark.parametrize("name", ["temperature", "tuned_threshold"])
def test_fitting_needs_validation_samples(name):
    before = finished()
    alone = before.predictions.filter(pl.col("split") == "test")
    with pytest.raises(ValueError, match="predictions must be of some validation samples"):
        steps.build(name).apply(dataclasses.replace(before, predictions=alone))


@pytest.mark.parametrize("seed", range(5))
def test_temperature_is_where_the_slope_of_the_validation_loss_is_zero(seed):
    before = finished(seed=seed)
    logits, labels = validation(before)
    target = np.eye(3)[labels]

    def slope(scale):
        p = np.exp(scale * logits)
        return ((p / p.sum(1, keepdims=True) - target) * logits).sum()

    below = slope(0.01) < 0  # else hotter is better still, up to the limit
    scale = brentq(slope, 0.01, 100) if below else 0.01
    after = stepped("temperature", before)
    np.testing.assert_allclose(after, scale * logits_of(before.predictions), rtol=1e-4, atol=1e-6)


def test_temperature_undoes_a_scale():
    logits = np.random.default_rng(1).normal(size=(30, 3))
    labels = (logits.argmax(1) + (np.arange(30) % 4 == 0)) % 3  # right in three of four
    fitted, from_hotter = (
        stepped("temperature", of_validation(k * logits, labels)) for k in (1, 7)
    )
    np.testing.assert_allclose(from_hotter, fitted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("target", "prior"), [("uniform", (1, 1, 1)), ("train", (6, 3, 1))])
def test_prior_correction_is_bayes_rule_in_probabilities(target, prior):
    drawn = (2, 4, 4)
    before = finished((60, 30, 10), drawn=np.array(drawn))
    p = np.exp(logits_of(before.predictions).astype(float))
    expected = p * np.array(prior) / np.array(drawn)
    after = np.exp(stepped(f"prior_correction(target='{target}')", before))
    np.testing.assert_allclose(
        after / after.sum(1, keepdims=True), expected / expected.sum(1, keepdims=True), rtol=1e-5
    )


def test_prior_correction_to_the_prior_trained_on_changes_nothing():
    before = finished((60, 30, 10), drawn=np.array([180, 90, 30]))
    after = stepped("prior_correction(target='train')", before)
    np.testing.assert_allclose(after, logits_of(before.predictions), atol=1e-6)


def test_balanced_sampling_is_told_to_prior_correction(tmp_path):
    trial = toy(sampler="random_over")
    record = stored(run_trial(trial), tmp_path)
    drawn = record.facts["drawn_counts"]
    assert len(set(drawn)) == 1
    step = dataclasses.replace(trial, steps=("prior_correction(target='train')",))
    after = run_trial(step, parent=record).predictions
    shift = logits_of(after) - logits_of(record.predictions())
    counts = np.array(record.facts["train_counts"])
    np.testing.assert_allclose(shift, np.tile(np.log(3 * counts / counts.sum()), (64, 1)), 1e-3)


def macro_f1(logits, labels):
    guess, scores = logits.argmax(1), []
    for c in set(labels.tolist()):
        right = ((guess == c) & (labels == c)).sum()
        scores.append(2 * right / ((guess == c).sum() + (labels == c).sum()))
    return sum(scores) / len(scores)


def of_validation(logits, labels):
    predictions = pl.DataFrame(
        {"split": "val", "label": labels, "logits": logits.tolist()},
        schema_overrides={"logits": pl.List(pl.Float32)},
    )
    classes = logits.shape[1]
    return Finished(None, tuple("abc"[:classes]), np.ones(classes, dtype=int), predictions)


@pytest.mark.parametrize("seed", range(10))
def test_tuned_threshold_finds_the_best_of_all_for_two_classes(seed):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(12, 2)).round(2), rng.permutation([0] * 9 + [1] * 3)
    after = stepped("tuned_threshold", of_validation(logits, labels))
    grid = np.arange(-8, 8, 0.01) + 0.005
    best = max(macro_f1(logits + np.array([0, offset]), labels) for offset in grid)
    assert macro_f1(after, labels) == pytest.approx(best)


@pytest.mark.parametrize("seed", range(10))
def test_no_single_offset_improves_tuned_thresholds(seed):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(15, 3)).round(2), rng.integers(3, size=15)
    after = stepped("tuned_threshold", of_validation(logits, labels))
    reached = macro_f1(after, labels)
    assert reached >= macro_f1(logits, labels) - 1e-9
    for c, offset in itertools.product(range(3), np.arange(-6, 6, 0.1)):
        assert macro_f1(after + offset * np.eye(3)[c], labels) <= reached + 1e-9


def test_tau_norm_divides_by_a_power_of_the_length_of_the_weights():
    before = finished()
    same = steps.build("tau_norm(tau=0)").apply(before)
    assert same.equals(before.predictions)
    lengths = [sum(w * w for w in row) ** 0.5 for row in before.arrays["head_weight"].tolist()]
    expected = logits_of(before.predictions) / np.array(lengths) ** 0.7
    np.testing.assert_allclose(stepped("tau_norm(tau=0.7)", before), expected, rtol=1e-5)


def test_ncm_is_the_cosine_to_the_mean_direction_of_each_class():
    before = dataclasses.replace(finished(), counts=np.array([1, 1, 1, 0]))
    arrays, expected = before.arrays, np.full((VAL + TEST, 4), -1.0)
    for i, c in itertools.product(range(VAL + TEST), range(3)):
        members = [h for h, y in zip(*list(arrays.values())[:2], strict=True) if y == c]
        mean, h = sum(m / np.linalg.norm(m) for m in members), arrays["features"][i]
        expected[i, c] = h @ mean / np.linalg.norm(h) / np.linalg.norm(mean)
    np.testing.assert_allclose(stepped("ncm", before), expected, rtol=1e-5, atol=1e-6)


def balanced_loss(logits, labels):
    log_p = torch.log_softmax(torch.as_tensor(logits, dtype=torch.float64), 1)
    terms = -log_p[torch.arange(len(labels)), torch.as_tensor(labels)].numpy()
    return np.mean([terms[labels == c].mean() for c in np.unique(labels)])


def on_its_training_samples():
    """A record whose predicted rows are the training samples, imbalanced, and a head too keen."""
    before = finished()
    labels = np.repeat([0, 1, 2], [30, 8, 2])
    features = before.arrays["train_features"] + np.eye(3, WIDTH)[labels]
    weight, bias = before.arrays["head_weight"], np.array([3.0, 0.0, -3.0])
    rows = pl.DataFrame(
        {"split": "test", "label": labels, "logits": (features @ weight.T + bias).tolist()},
        schema_overrides={"logits": pl.List(pl.Float32)},
    )
    arrays = {
        "train_features": features,
        "train_labels": labels,
        "features": features,
        "head_weight": weight,
        "head_bias": bias,
    }
    counts = np.array([30, 8, 2])
    return dataclasses.replace(before, predictions=rows, counts=counts, arrays=arrays), labels


@pytest.mark.parametrize("name", ["crt", "lws"])
def test_balanced_training_of_the_classifier_lowers_its_balanced_loss(name):
    before, labels = on_its_training_samples()
    first = balanced_loss(logits_of(before.predictions), labels)
    after = balanced_loss(stepped(f"{name}(epochs=200, lr=0.02)", before), labels)
    assert after < 0.7 * first


def test_crt_reaches_the_optimum_of_its_convex_problem():
    before, _ = on_its_training_samples()
    noisy = before.arrays["train_labels"].copy()
    noisy[::4] = (noisy[::4] + 1) % 3  # not separable: the optimum is finite
    before = dataclasses.replace(before, arrays={**before.arrays, "train_labels": noisy})
    reached = balanced_loss(stepped("crt(epochs=2000, lr=0.02)", before), noisy)
    inputs = torch.as_tensor(before.arrays["features"])
    head = torch.nn.Linear(WIDTH, 3, dtype=torch.float64)
    each = torch.tensor([1 / (3 * (noisy == c).sum()) for c in noisy])
    solver = torch.optim.LBFGS(head.parameters(), max_iter=500, line_search_fn="strong_wolfe")

    def closure():
        solver.zero_grad()
        terms = torch.nn.functional.cross_entropy(
            head(inputs), torch.as_tensor(noisy), reduction="none"
        )
        (loss := (terms * each).sum()).backward()
        return loss

    solver.step(closure)
    optimum = balanced_loss(head(inputs).detach(), noisy)
    assert optimum <= reached < 1.02 * optimum


def test_lws_keeps_signs_and_ratios_within_a_class():
    before, _ = on_its_training_samples()
    scales = stepped("lws", before) / logits_of(before.predictions)
    np.testing.assert_allclose(scales, np.tile(scales[0], (len(scales), 1)), rtol=1e-4)
