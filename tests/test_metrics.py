"""Contracts of every metric, and scikit-learn as the witness for each."""

from __future__ import annotations

import dataclasses
import doctest
import math
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from pybench.curves import binary_average_precision, binary_roc_auc, pr_curve
from pybench.metrics import metrics

OF_CLASSES = [name for name in metrics if metrics[name].kind == "classes"]
every_metric = pytest.mark.parametrize("name", OF_CLASSES)


@st.composite
def problems(draw):
    classes, size = draw(st.integers(2, 5)), draw(st.integers(1, 40))
    truth = draw(st.lists(st.integers(0, classes - 1), min_size=size, max_size=size))
    # Few distinct scores, so that ties are the rule; a permutation per row keeps argmax unique.
    rows = [draw(st.permutations([k / 8 for k in range(classes)])) for _ in range(size)]
    return np.array(truth), np.array(rows)


def witness(name, truth, scores):
    classes, predicted = scores.shape[1], scores.argmax(1)
    if name in ("accuracy", "balanced_accuracy"):
        score = sk.accuracy_score if name == "accuracy" else sk.balanced_accuracy_score
        return {"": score(truth, predicted)}
    each = {}
    for c in range(classes):
        there, said = truth == c, predicted == c
        ranked = {"average_precision": sk.average_precision_score, "roc_auc": sk.roc_auc_score}
        if name in ranked:
            defined = there.any() and not (name == "roc_auc" and there.all())
            each[str(c)] = ranked[name](there, scores[:, c]) if defined else None
            continue
        precision, recall, f1, _ = sk.precision_recall_fscore_support(
            there, said, average="binary", zero_division=np.nan
        )
        value = {"precision": precision, "recall": recall}.get(name, f1)
        each[str(c)] = None if math.isnan(value) else value
    defined = [v for v in each.values() if v is not None]
    overall = {"": float(np.mean(defined)) if defined else None}
    return overall if name == "macro_f1" else overall | each


@every_metric
@given(problem=problems())
def test_a_metric_agrees_with_scikit_learn(name, problem):
    found = metrics.build(name)(*problem)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about the absent classes that we leave out
        expected = witness(name, *problem)
    assert found == pytest.approx(expected, abs=1e-12)


@given(problem=problems())
def test_macro_f1_is_that_of_scikit_learn(problem):
    truth, scores = problem
    expected = sk.f1_score(truth, scores.argmax(1), average="macro")
    assert metrics.build("macro_f1")(truth, scores)[""] == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=1, max_size=50))
def test_ranking_curves_agree_with_scikit_learn_under_ties(rows):
    positive, scores = np.array([p for p, _ in rows]), np.array([s / 4 for _, s in rows])
    if positive.any():
        curve = pr_curve(positive, scores)
        for ours, theirs in zip(curve, sk.precision_recall_curve(positive, scores), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-12)
        expected = sk.average_precision_score(positive, scores)
        assert binary_average_precision(positive, scores) == pytest.approx(expected, abs=1e-12)
    else:
        assert binary_average_precision(positive, scores) is None
    if positive.any() and not positive.all():
        expected = sk.roc_auc_score(positive, scores)
        assert binary_roc_auc(positive, scores) == pytest.approx(expected, abs=1e-12)
    else:
        assert binary_roc_auc(positive, scores) is None


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=1, max_size=50))
def test_the_area_of_reversed_scores_is_the_rest(rows):
    positive, scores = np.array([p for p, _ in rows]), np.array([s for _, s in rows])
    area = binary_roc_auc(positive, scores)
    if area is not None:
        assert binary_roc_auc(positive, -scores) == pytest.approx(1 - area, abs=1e-15)


@every_metric
def test_values_are_named_by_class_and_do_not_depend_on_the_order(name):
    rng = np.random.default_rng(0)
    truth, scores = rng.integers(0, 3, 30), rng.normal(size=(30, 3))
    metric = metrics.build(name)
    found = metric(truth, scores, classes=["a", "b", "c"])
    assert "" in found and set(found) <= {"", "a", "b", "c"}
    order = rng.permutation(30)
    assert metric(truth[order], scores[order], classes=["a", "b", "c"]) == found


@every_metric
def test_no_sample_gives_none_and_never_nan(name):
    found = metrics.build(name)(np.array([], dtype=int), np.zeros((0, 3)))
    assert all(value is None for value in found.values())


@every_metric
def test_a_perfect_score_is_one_even_when_a_class_is_absent(name):
    truth = np.array([0, 0, 2, 2])
    found = metrics.build(name)(truth, np.eye(4)[truth])
    assert found[""] == 1
    assert found.get("1") is None


@every_metric
def test_bad_input_is_named(name):
    metric = metrics.build(name)
    with pytest.raises(ValueError, match=r"truth must be in \[0, 2\), got 2 at sample 1"):
        metric([0, 2], np.eye(2))
    with pytest.raises(ValueError, match="scores must be finite, got nan at sample 1"):
        metric([0, 1], [[0, 1], [math.nan, 0]])
    with pytest.raises(ValueError, match=r"truth and scores must be of shape \(N,\) and \(N, C\)"):
        metric([0, 1, 1], np.eye(2))
    with pytest.raises(ValueError, match="classes must be 2 names, got 1"):
        metric([0, 1], np.eye(2), classes=["only"])
    with pytest.raises(ValueError, match="truth must be class indices"):
        metric([0.5, 1.0], np.eye(2))


@every_metric
def test_a_metric_says_what_it_is(name):
    cls = metrics[name]
    assert cls.unit and cls.source
    assert isinstance(cls.higher_is_better, bool)
    assert cls.bootstrap in ("sample", "group")
    assert dataclasses.is_dataclass(cls)
    found = doctest.DocTestFinder().find(cls, name, module=sys.modules[cls.__module__])
    assert sum(len(test.examples) for test in found) > 0


def test_a_curve_without_positives_is_refused():
    with pytest.raises(ValueError, match="truth must be positive somewhere"):
        pr_curve([False, False], [0.1, 0.2])
    with pytest.raises(ValueError, match="scores must be finite"):
        pr_curve([True, False], [math.inf, 0.2])
