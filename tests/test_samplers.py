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

from pybench.draws import chosen
from pybench.samplers import samplers
from pybench.shards import TorchSampler, shard
from pybench.types import Draw, SampleContext

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


@every_sampler
@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_the_shards_of_all_ranks_together_are_the_draw(name, world):
    draw = plan(name, LABELS, epochs=3)
    group = getattr(samplers.build(name), "group", 1)
    shards = [shard(draw, rank, world, group=group) for rank in range(world)]
    rows = [row for part in shards for row in zip(part.indices, part.copy, strict=True)]
    assert sorted(rows) == sorted(zip(draw.indices, draw.copy, strict=True))
    assert max(map(len, shards)) - min(map(len, shards)) <= group


@every_sampler
def test_ranks_take_the_same_steps_as_one_would_with_their_batches_joined(name):
    context = SampleContext(labels=LABELS, epochs=3, batch_size=4)
    whole = list(TorchSampler(samplers.build(name), context, seed=1))
    ranks = [list(TorchSampler(samplers.build(name), context, 1, r, 2)) for r in range(2)]
    assert len(ranks[0]) == len(ranks[1])
    for step in range(len(whole) // 8):
        together = [i for rank in ranks for i in rank[4 * step : 4 * step + 4]]
        assert sorted(together) == sorted(whole[8 * step : 8 * step + 8])


@every_sampler
def test_an_epoch_goes_on_where_it_was_left(name):
    def fresh():
        sampler = TorchSampler(samplers.build(name), SampleContext(labels=LABELS, epochs=9), 1)
        sampler.set_epoch(4)
        return sampler

    whole, left, resumed = (
        fresh(),
        fresh(),
        TorchSampler(samplers.build(name), SampleContext(labels=LABELS, epochs=9), 1),
    )
    assert len(whole) == len(expected := list(whole))
    first = [index for index, _ in zip(left, range(3), strict=False)]
    resumed.load_state_dict({**left.state_dict(), "given": 3})
    resumed.set_epoch(4)
    assert len(resumed) == len(expected) - 3
    assert first + list(resumed) == expected
    assert list(resumed) == expected  # the next iteration begins at the beginning


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


@given(some_labels, st.integers(0, 3))
def test_the_first_draw_of_a_sample_is_the_original_and_the_rest_are_copies(labels, seed):
    draw, seen = plan("class_balanced", labels, seed), set()
    for index, copy in zip(draw.indices.tolist(), draw.copy.tolist(), strict=True):
        assert copy == (index in seen)
        seen.add(index)


def weights_of(name, counts):
    """What each sampler's documentation says, with t = 1 of T = 5 epochs."""
    n = np.array(counts, dtype=float)
    effective = np.array([sum(0.999**i for i in range(count)) for count in counts])
    return {
        "class_balanced": np.ones_like(n),
        "square_root": np.sqrt(n),
        "reverse": 1 / n,
        "progressive": 0.75 * n / n.sum() + 0.25 / len(n),
        "effective_number": n / effective,
        "dynamic_f1": np.array([0.1, 0.5, 0.4]),
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        "class_balanced",
        "square_root",
        "reverse",
        "progressive",
        "effective_number",
        "dynamic_f1",
    ],
)
def test_classes_and_their_members_come_as_often_as_the_formula_says(name):
    counts = (40_000, 9_000, 1_000)
    labels = np.repeat([0, 2, 5], counts)
    history = [np.zeros(6), np.array([0.9, 0, 0.5, 0, 0, 0.6])]
    draw = plan(name, labels, epoch=1, epochs=5, history=history)
    assert len(draw) == len(labels)
    by_class = np.bincount(labels[draw.indices], minlength=6)[[0, 2, 5]]
    weights = weights_of(name, counts)
    assert stats.chisquare(by_class, len(labels) * weights / weights.sum()).pvalue > 1e-6
    members = np.bincount(draw.indices, minlength=len(labels))[labels == 2]
    assert stats.chisquare(members).pvalue > 1e-6


@pytest.mark.parametrize(
    "weights",
    [
        [1.0],
        [3.0, 1.0],
        [1.0, 1e-6, 0.0, 2e-6, 0.0],
        [0.0, 1e-9, 1.0],
        np.arange(70_000.0).tolist(),
    ],
)
def test_classes_are_chosen_as_often_as_their_weights_say(weights):
    size, shares = 2_000_000, np.array(weights) / np.sum(weights)
    drawn = chosen(np.array(weights), size, np.random.default_rng(1))
    counts = np.bincount(drawn, minlength=len(weights))
    assert counts[shares == 0].sum() == 0
    spread = np.sqrt(size * shares * (1 - shares))
    assert (np.abs(counts - size * shares) <= 6 * spread + 1).all()


@pytest.mark.parametrize(("epoch", "weights"), [(0, "natural"), (4, "equal"), (9, "equal")])
def test_progressive_begins_natural_and_ends_equal(epoch, weights):
    labels = np.repeat([0, 1], [9_000, 1_000])
    share = labels[plan("progressive", labels, epoch=epoch, epochs=5).indices].mean()
    assert abs(share - {"natural": 0.1, "equal": 0.5}[weights]) < 0.03


def test_dynamic_f1_is_balanced_while_nothing_tells_classes_apart():
    labels = np.repeat([0, 1], [9_000, 1_000])
    for history in ([], [np.ones(2)]):
        share = labels[plan("dynamic_f1", labels, history=history).indices].mean()
        assert abs(share - 0.5) < 0.03


def test_drs_changes_from_natural_to_class_balanced_once():
    labels = np.repeat([0, 1], [90, 10])
    for epoch in range(10):
        draw = plan("drs(at=0.8)", labels, epoch=epoch, epochs=10)
        same = plan("natural" if epoch < 8 else "class_balanced", labels, epoch=epoch)
        assert np.array_equal(draw.indices, same.indices)


@given(some_labels, st.integers(0, 3))
def test_class_aware_goes_round_the_classes_and_round_the_members_of_each(labels, seed):
    draw = plan("class_aware", labels, seed)
    assert len(draw) == len(labels)
    present = np.unique(labels)
    drawn = labels[draw.indices]
    for begin in range(0, len(drawn), len(present)):
        turn = drawn[begin : begin + len(present)]
        assert len(set(turn)) == len(turn)
    for c in set(drawn):
        of_class = draw.indices[drawn == c].tolist()
        size = int((labels == c).sum())
        for begin in range(0, len(of_class), size):
            turn = of_class[begin : begin + size]
            assert len(set(turn)) == len(turn)


@given(some_labels, st.integers(1, 4), st.integers(0, 3))
def test_m_per_class_keeps_groups_whole_and_goes_round_the_classes(labels, m, seed):
    draw = plan(f"m_per_class(m={m})", labels, seed, batch_size=4 * m)
    assert len(labels) <= len(draw) < len(labels) + m
    groups = labels[draw.indices].reshape(-1, m)
    assert (groups == groups[:, :1]).all()
    present = len(np.unique(labels))
    for begin in range(0, len(groups), present):
        turn = groups[begin : begin + present, 0]
        assert len(set(turn)) == len(turn)


def test_groups_that_do_not_fit_a_batch_are_refused():
    with pytest.raises(ValueError, match="batch_size must be a multiple of m = 4, got 6"):
        plan("m_per_class(m=4)", LABELS, batch_size=6)


@given(some_labels, st.sampled_from(["'min'", "'median'", "1", "7", "200"]), st.integers(0, 3))
def test_random_under_thins_out_to_its_target_without_repeats(labels, target, seed):
    draw = plan(f"random_under(target={target})", labels, seed)
    counts = np.bincount(labels)
    present = counts[counts > 0]
    named = {"'min'": present.min(), "'median'": np.ceil(np.median(present))}
    size = int(named[target] if target in named else int(target))
    assert np.bincount(labels[draw.indices]).tolist() == np.minimum(counts, size).tolist()
    assert len(set(draw.indices.tolist())) == len(draw)
    assert not draw.copy.any()


def test_random_under_keeps_an_image_that_any_of_its_classes_chose():
    sets = [np.array(s, dtype=np.int64) for s in ([1], [1, 2], [], [1], [1])]
    draw = samplers.build("random_under").plan(SampleContext(label_sets=sets), 0, 0)
    assert {1, 2} <= set(draw.indices.tolist())
    assert len(draw) == len(set(draw.indices.tolist())) <= 3


@given(
    st.lists(st.sets(st.integers(0, 4)), min_size=1, max_size=40),
    st.sampled_from([0.01, 0.25, 1.0]),
)
def test_repeat_factor_rounds_the_factor_of_the_rarest_class_of_an_image(sets, t):
    factors = []
    for shown in sets:
        shares = [sum(c in other for other in sets) / len(sets) for c in shown]
        factors.append(max([1.0] + [np.sqrt(t / share) for share in shares]))
    context = SampleContext(label_sets=[np.array(sorted(s), dtype=np.int64) for s in sets])
    draw = samplers.build(f"repeat_factor(t={t})").plan(context, 0, 0)
    times = np.bincount(draw.indices, minlength=len(sets))
    assert (np.floor(np.array(factors) + 1e-9) <= times + 1e-9).all()
    assert (times <= np.ceil(np.array(factors) - 1e-9)).all()


def test_repeat_factor_is_kept_in_the_mean_over_epochs():
    labels = np.repeat([0, 1], [900, 100])  # sqrt(.25 / .1) = 1.581
    drawn = [plan("repeat_factor(t=0.25)", labels, epoch=epoch) for epoch in range(200)]
    times = np.mean([labels[draw.indices].sum() for draw in drawn])
    assert abs(times - 158.11) < 6 * np.sqrt(100 * 0.581 * 0.419 / 200)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(0, 3))
def test_paired_bags_keeps_one_normal_bag_behind_each_abnormal_one(abnormal, seed):
    labels = np.array([*abnormal, 4, 4, 4])
    draw = plan("paired_bags", labels, seed, normal=4)
    assert sorted(draw.indices[::2]) == list(range(len(abnormal)))
    normal = np.bincount(draw.indices[1::2], minlength=len(labels))[len(abnormal) :]
    assert normal.sum() == len(abnormal)
    assert normal.max() - normal.min() <= 1


def test_pairs_stay_on_one_rank():
    labels = np.array([0, 0, 1, 1, 2, 2, 2])
    context = SampleContext(labels=labels, normal=2)
    for rank in range(3):
        drawn = labels[list(TorchSampler(samplers.build("paired_bags"), context, 0, rank, 3))]
        assert (drawn[::2] != 2).all() and (drawn[1::2] == 2).all()


@given(st.integers(0, 30), st.integers(1, 5), st.integers(1, 3))
def test_equal_shards_continue_the_draw_from_its_beginning_with_copies(size, world, group):
    draw = Draw(np.arange(100, 100 + size), np.zeros(size, dtype=np.uint8))
    shards = [shard(draw, rank, world, group=group, equal=True) for rank in range(world)]
    assert len({len(part) for part in shards}) == 1
    drawn = np.concatenate([part.indices for part in shards])
    copies = np.concatenate([part.copy for part in shards])
    assert sorted(drawn[copies == 0]) == draw.indices.tolist()
    assert copies.sum() < world * group


def test_a_rank_outside_its_world_and_a_foreign_position_are_refused():
    draw = plan("natural", LABELS)
    with pytest.raises(ValueError, match=r"rank must be in \[0, 2\), got 2"):
        shard(draw, 2, 2)
    sampler = TorchSampler(samplers.build("natural"), SampleContext(labels=LABELS), 0, 0, 2)
    with pytest.raises(ValueError, match=r"given must be in \[0, 30\], got 31"):
        sampler.load_state_dict({"epoch": 0, "given": 31})


def test_balanced_labels_need_no_copies():
    assert not plan("random_over", [0, 1, 2, 0, 1, 2]).copy.any()


def test_images_of_a_rare_class_are_repeated_whole():
    sets = [np.array(s, dtype=np.int64) for s in ([1], [1], [1], [1, 2], [])]
    draw = samplers.build("random_over").plan(SampleContext(label_sets=sets), 0, 0)
    # 4 images show class 1; class 2 and "no object" have one image each and get three copies.
    assert np.bincount(draw.indices, minlength=5).tolist() == [1, 1, 1, 4, 4]


@pytest.mark.parametrize("target", ["0", "-3", "'mean'", "1.5"])
@pytest.mark.parametrize("name", ["random_over", "random_under"])
def test_a_target_that_is_no_size_is_refused(name, target):
    with pytest.raises(ValueError, match="target"):
        samplers.build(f"{name}(target={target})")


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        ("repeat_factor(t=0)", r"t must be in \(0, 1\], got 0"),
        ("effective_number(beta=1.5)", r"beta must be in \[0, 1\], got 1.5"),
        ("drs(at=-0.1)", r"at must be in \[0, 1\], got -0.1"),
        ("m_per_class(m=0)", "m must be >= 1, got 0"),
    ],
)
def test_a_parameter_out_of_range_is_refused(spec, rule):
    with pytest.raises(ValueError, match=rule):
        samplers.build(spec)


UNBALANCED = ("natural", "paired_bags", "drs")


@pytest.mark.parametrize("name", [n for n in samplers if n not in UNBALANCED])
def test_no_samples_cannot_be_balanced(name):
    with pytest.raises(ValueError, match="labels must be of at least one sample, got none"):
        plan(name, np.array([], dtype=np.int64))
