"""Contracts that every sampler keeps because it exists, and the histograms they claim."""

from __future__ import annotations

import dataclasses
import doctest
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pybench.samplers import samplers
from pybench.types import SampleContext

every_sampler = pytest.mark.parametrize("name", list(samplers))
LABELS = np.repeat([0, 1, 3], [50, 8, 2])  # class 2 is absent
some_labels = st.lists(st.integers(0, 5), min_size=1, max_size=60).map(np.array)


def plan(spec, labels, seed=0, epoch=0, **more):
    context = SampleContext(labels=np.asarray(labels), **more)
    return samplers.build(spec).plan(context, seed, epoch)


@every_sampler
def test_a_draw_indexes_the_training_samples(name):
    draw = plan(name, LABELS, num_classes=4, epochs=3)
    assert draw.indices.dtype == np.int64
    assert draw.copy.dtype == np.uint8
    assert draw.indices.shape == draw.copy.shape
    assert len(draw) > 0
    assert 0 <= draw.indices.min() <= draw.indices.max() < len(LABELS)
    assert set(draw.copy.tolist()) <= {0, 1}


@every_sampler
def test_the_same_seed_and_epoch_give_the_same_draw_and_others_another(name):
    first, again = plan(name, LABELS, 5, 2, epochs=9), plan(name, LABELS, 5, 2, epochs=9)
    assert np.array_equal(first.indices, again.indices)
    assert np.array_equal(first.copy, again.copy)
    for seed, epoch in ((6, 2), (5, 3)):
        other = plan(name, LABELS, seed, epoch, epochs=9)
        assert not np.array_equal(first.indices, other.indices)


@every_sampler
def test_the_original_of_every_copy_is_drawn_at_most_once(name):
    draw = plan(name, LABELS, epochs=3)
    originals = draw.indices[draw.copy == 0]
    assert len(np.unique(originals)) == len(originals)
    assert set(draw.indices[draw.copy == 1]) <= set(originals)


@every_sampler
def test_images_with_several_classes_are_drawn_too(name):
    sets = [np.array(s, dtype=np.int64) for s in ([1], [1, 2], [], [1, 1], [2])]
    draw = samplers.build(name).plan(SampleContext(label_sets=sets), 0, 0)
    assert 0 <= draw.indices.min() <= draw.indices.max() < len(sets)


@every_sampler
def test_a_sampler_documents_itself_with_a_checked_example(name):
    cls = samplers[name]
    text = cls.__doc__ or ""
    for part in ("Returns:", "Source:", "Example:"):
        assert part in text, part
    for field in dataclasses.fields(cls):
        assert f"{field.name}:" in text
    found = doctest.DocTestFinder().find(cls, name, module=sys.modules[cls.__module__])
    assert sum(len(test.examples) for test in found) > 0


@given(some_labels, st.integers(0, 3))
def test_natural_is_a_permutation_without_copies(labels, epoch):
    draw = plan("natural", labels, epoch=epoch)
    assert sorted(draw.indices) == list(range(len(labels)))
    assert not draw.copy.any()


@given(some_labels, st.sampled_from(["'max'", "'median'", "1", "7", "200"]), st.integers(0, 3))
def test_random_over_keeps_every_sample_and_reaches_its_target(labels, target, seed):
    draw = plan(f"random_over(target={target})", labels, seed)
    counts = np.bincount(labels)
    present = counts[counts > 0]
    named = {"'max'": present.max(), "'median'": np.ceil(np.median(present))}
    size = named[target] if target in named else int(target)
    expected = [max(n, int(size)) if n else 0 for n in counts]
    assert np.bincount(labels[draw.indices], minlength=len(counts)).tolist() == expected
    assert sorted(draw.indices[draw.copy == 0]) == list(range(len(labels)))


def test_copies_are_shuffled_among_originals():
    draw = plan("random_over", LABELS)
    half = len(draw) // 2
    first, second = draw.copy[:half].sum(), draw.copy[half:].sum()
    assert 30 < first < 70 and 30 < second < 70  # 90 copies; 30 is 6 standard deviations away


def test_copies_are_drawn_evenly_from_their_class():
    labels = np.repeat([0, 1], [10_000, 10])
    draw = plan("random_over", labels)
    drawn = np.bincount(draw.indices[draw.copy == 1] - 10_000, minlength=10)
    assert stats.chisquare(drawn).pvalue > 1e-6


def test_class_balanced_draws_present_classes_and_their_members_evenly():
    labels = np.repeat([0, 2, 5], [9_000, 900, 100])
    draw = plan("class_balanced", labels)
    assert len(draw) == len(labels)
    by_class = np.bincount(labels[draw.indices], minlength=6)[[0, 2, 5]]
    assert by_class.sum() == len(labels)
    assert stats.chisquare(by_class).pvalue > 1e-6
    members = np.bincount(draw.indices, minlength=len(labels))[labels == 5]
    assert stats.chisquare(members).pvalue > 1e-6


@given(some_labels, st.integers(0, 3))
def test_the_first_draw_of_a_sample_is_the_original_and_the_rest_are_copies(labels, seed):
    draw, seen = plan("class_balanced", labels, seed), set()
    for index, copy in zip(draw.indices.tolist(), draw.copy.tolist(), strict=True):
        assert copy == (index in seen)
        seen.add(index)


def test_balanced_labels_need_no_copies():
    assert not plan("random_over", [0, 1, 2, 0, 1, 2]).copy.any()


def test_images_of_a_rare_class_are_repeated_whole():
    sets = [np.array(s, dtype=np.int64) for s in ([1], [1], [1], [1, 2], [])]
    draw = samplers.build("random_over").plan(SampleContext(label_sets=sets), 0, 0)
    # 4 images show class 1; class 2 and "no object" have one image each and get three copies.
    assert np.bincount(draw.indices, minlength=5).tolist() == [1, 1, 1, 4, 4]


@pytest.mark.parametrize("target", ["0", "-3", "'mean'", "1.5"])
def test_a_target_that_is_no_size_is_refused(target):
    with pytest.raises(ValueError, match="target"):
        samplers.build(f"random_over(target={target})")


@pytest.mark.parametrize("name", ["class_balanced", "random_over"])
def test_no_samples_cannot_be_balanced(name):
    with pytest.raises(ValueError, match="labels must be of at least one sample, got none"):
        plan(name, np.array([], dtype=np.int64))
