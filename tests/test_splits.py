"""Splits: disjoint, complete, stratified, groups whole, the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybench.data.problems import DataError
from pybench.data.splits import balanced_subset, prior_subset, stratified
from pybench.trial import Split

counts = st.lists(st.integers(5, 40), min_size=2, max_size=5)


@given(counts, st.integers(0, 2**32))
def test_parts_are_disjoint_complete_and_hold_every_class(sizes: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    parts = stratified(labels, Split(split_seed=seed))
    joined = np.concatenate(list(parts.values()))
    assert np.array_equal(np.sort(joined), np.arange(len(labels)))
    for indices in parts.values():
        assert set(labels[indices]) == set(range(len(sizes)))


@given(counts, st.integers(0, 100))
def test_folds_test_every_sample_once(sizes: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    tested = [stratified(labels, Split(fold, 5, seed))["test"] for fold in range(5)]
    assert np.array_equal(np.sort(np.concatenate(tested)), np.arange(len(labels)))


@given(counts, st.integers(0, 100))
def test_a_group_is_never_on_both_sides(sizes: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(sizes)), [4 * size for size in sizes])
    groups = np.arange(len(labels)) // 4
    parts = stratified(labels, Split(split_seed=seed), groups=groups)
    sides = [set(groups[indices]) for indices in parts.values()]
    assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])


def test_the_same_seed_gives_the_same_split_and_another_gives_another() -> None:
    labels = np.repeat([0, 1], 50)
    one, two, other = (stratified(labels, Split(split_seed=s))["test"] for s in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_a_fixed_test_set_is_kept() -> None:
    labels = np.repeat([0, 1], 10)
    fixed = np.arange(20) % 2 == 0
    parts = stratified(labels, Split(), fixed_test=fixed)
    assert np.array_equal(parts["test"], np.flatnonzero(fixed))


def test_a_class_too_small_for_three_parts_is_an_error() -> None:
    with pytest.raises(DataError, match="each class must have samples for training"):
        stratified(np.array([0, 0, 0, 0, 1, 1]), Split())


@given(counts)
def test_balanced_and_natural_parts_have_their_proportions(sizes: list[int]) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    everything = np.arange(len(labels))
    balanced = np.bincount(labels[balanced_subset(labels, everything)])
    assert set(balanced) == {min(sizes)}
    natural = prior_subset(labels, everything, np.array(sizes))
    assert np.array_equal(natural, everything)
