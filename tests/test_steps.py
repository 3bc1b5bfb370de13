"""Steps: contracts of every step, and the prior that logit adjustment takes out."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from pybench.steps import Finished, steps

every_step = pytest.mark.parametrize("name", [n for n in steps if not steps[n].needs])


def finished(counts=(90, 9, 1)):
    rng = np.random.default_rng(0)
    predictions = pl.DataFrame(
        {
            "split": ["val"] * 6 + ["test"] * 6,
            "sample": list(range(12)),
            "label": [0, 1, 2] * 4,
            "logits": rng.normal(size=(12, 3)).tolist(),
        },
        schema_overrides={"logits": pl.List(pl.Float32)},
    )
    classes = tuple("abc")
    return Finished(None, classes, np.array(counts), predictions)


@every_step
def test_a_step_keeps_rows_columns_and_types(name):
    before = finished()
    after = steps.build(name).apply(before)
    assert after.schema == before.predictions.schema
    assert after.drop("logits").equals(before.predictions.drop("logits"))


@every_step
def test_a_step_never_looks_at_the_test_labels(name):
    before = finished()
    other = pl.when(pl.col("split") == "test").then(0).otherwise(pl.col("label"))
    hidden = before.predictions.with_columns(other.cast(pl.Int64).alias("label"))
    blind = Finished(before.trial, before.classes, before.counts, hidden)
    step = steps.build(name)
    assert step.apply(blind)["logits"].equals(step.apply(before)["logits"])


def test_logit_adjustment_takes_out_the_log_prior():
    before, tau = finished(), 0.5
    after = steps.build(f"logit_adjustment(tau={tau})").apply(before)["logits"].to_list()
    expected = np.array(before.predictions["logits"].to_list()) - tau * np.log([0.9, 0.09, 0.01])
    np.testing.assert_allclose(after, expected, rtol=1e-6)


def test_logit_adjustment_without_strength_or_with_equal_classes_changes_no_decision():
    before = finished()
    same = steps.build("logit_adjustment(tau=0)").apply(before)
    assert same.equals(before.predictions)
    even = steps.build("logit_adjustment").apply(finished((5, 5, 5)))["logits"].to_list()
    assert (np.argmax(even, 1) == np.argmax(before.predictions["logits"].to_list(), 1)).all()


def test_a_class_without_training_samples_keeps_its_logit():
    before = finished((99, 1, 0))
    after = np.array(steps.build("logit_adjustment").apply(before)["logits"].to_list())
    assert np.isfinite(after).all()
    assert (after[:, 2] == np.array(before.predictions["logits"].to_list())[:, 2]).all()


def test_counts_of_other_classes_are_refused():
    with pytest.raises(ValueError, match=r"logits must be 2 per sample, got \[3\]"):
        steps.build("logit_adjustment").apply(finished((99, 1)))
    with pytest.raises(ValueError, match="tau must be finite and >= 0, got -1"):
        steps.build("logit_adjustment(tau=-1)")
