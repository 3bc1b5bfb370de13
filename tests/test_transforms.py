"""Contracts that every transform keeps because it exists, then what each one does to a picture."""

from __future__ import annotations

import doctest
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pybench.losses import LossContext, loss, losses
from pybench.registry import SpecError
from pybench.transforms import transforms
from pybench.transforms._mixing import blend, drawn_by_class, paste
from pybench.transforms._pictures import OVERSAMPLING, warp
from pybench.types import BagTarget, Batch, BoxTarget, ClassTarget, Donors
from tests.examples import NOT_BY_SAMPLE

SIZE, CLASSES = 6, 3
SHAPES = {"images": (12, 10, 3), "clips": (4, 12, 10, 3), "features": (7,)}
CASES = [
    (name, taken) for name in transforms for taken in SHAPES if taken in transforms[name].takes
]
MIXING = {"mixup", "feature_mixup", "cutmix", "remix", "balanced_mixup", "cmo"}
every_case = pytest.mark.parametrize(("name", "taken"), CASES)
COPY = np.array([0, 1, 0, 0, 1, 1], dtype=np.uint8)


def samples(taken, size, seed=0):
    rng = np.random.default_rng(seed)
    shape = (size, *SHAPES[taken])
    if taken == "features":
        return torch.from_numpy(rng.normal(size=shape).astype(np.float32))
    return torch.from_numpy(rng.integers(0, 256, shape).astype(np.uint8))


def example(taken, seed=0):
    """A batch, and the training samples it is drawn from: its own first."""
    inputs = samples(taken, 20, seed)
    labels = np.array([0, 1, 0, 2, 0, 1] + [0] * 8 + [1] * 5 + [2])

    def load(indices):
        index = torch.as_tensor(indices)
        return Batch(inputs[index], ClassTarget(torch.from_numpy(labels)[index]))

    donors = Donors(load, labels, np.bincount(labels))
    return load(np.arange(SIZE)), donors


def apply(spec, taken, *, copy=COPY, seed=0):
    batch, donors = example(taken)
    return transforms.build(spec)(batch, copy, donors, np.random.default_rng(seed))


@every_case
def test_shape_and_dtype_are_kept_and_the_batch_given_is_left_alone(name, taken):
    batch, donors = example(taken)
    before = batch.inputs.clone()
    after = transforms.build(name)(batch, COPY, donors, np.random.default_rng(0))
    assert after.inputs.shape == before.shape
    assert after.inputs.dtype == before.dtype
    assert torch.equal(batch.inputs, before)
    assert batch.target.probabilities is None


@every_case
def test_the_same_random_numbers_give_the_same_batch_and_torch_is_left_alone(name, taken):
    torch.manual_seed(1)
    one = apply(name, taken)
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    two = apply(name, taken)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(one.inputs, two.inputs)
    if name in MIXING:
        assert torch.equal(one.target.probabilities, two.target.probabilities)


@every_case
def test_other_random_numbers_give_another_batch(name, taken):
    if name == "none":
        pytest.skip("changes nothing")
    batches = [apply(name, taken, seed=seed).inputs for seed in range(3)]
    assert not all(torch.equal(batches[0], other) for other in batches[1:])


@every_case
def test_originals_stay_as_they_are_when_only_copies_are_changed(name, taken):
    if name == "none":
        pytest.skip("changes nothing")
    batch, _ = example(taken)
    changed = np.zeros(SIZE, dtype=bool)
    for seed in range(5):
        after = apply(f"{name}(on='copies')", taken, seed=seed)
        assert torch.equal(after.inputs[COPY == 0], batch.inputs[COPY == 0])
        changed |= (after.inputs != batch.inputs).flatten(1).any(1).numpy()
        if name in MIXING:
            kept = after.target.probabilities[COPY == 0].max(1)
            assert torch.equal(kept.values, torch.ones(3))
            assert torch.equal(kept.indices, batch.target.labels[COPY == 0])
    assert changed[COPY == 1].any()
    untouched = apply(f"{name}(on='copies')", taken, copy=np.zeros(SIZE, dtype=np.uint8))
    assert torch.equal(untouched.inputs, batch.inputs)


@every_case
def test_labels_are_kept_or_mixed_into_probabilities_of_at_most_two_classes(name, taken):
    batch, _ = example(taken)
    for seed in range(5):
        target = apply(name, taken, seed=seed).target
        assert torch.equal(target.labels, batch.target.labels)
        if name not in MIXING:
            assert target.probabilities is None
            continue
        assert target.probabilities.shape == (SIZE, CLASSES)
        torch.testing.assert_close(target.probabilities.sum(1), torch.ones(SIZE))
        assert (target.probabilities >= 0).all()
        assert ((target.probabilities > 0).sum(1) <= 2).all()


@every_case
def test_a_clip_is_changed_like_each_of_its_frames(name, taken):
    if taken != "clips" or name in MIXING | {"none"}:
        pytest.skip("no clip is changed on its own")
    still = samples("images", SIZE).unsqueeze(1).expand(-1, 4, -1, -1, -1).contiguous()
    batch = Batch(still, ClassTarget(torch.zeros(SIZE, dtype=torch.int64)))
    _, donors = example("clips")
    after = transforms.build(name)(batch, COPY, donors, np.random.default_rng(0)).inputs
    assert torch.equal(after, after[:, :1].expand_as(after))
    assert not torch.equal(after, still)


@pytest.mark.parametrize("name", transforms)
def test_what_it_does_not_take_is_refused(name):
    if name == "none":
        pytest.skip("takes all")
    picture = "images" in transforms[name].takes
    batch, donors = example("features" if picture else "images")
    if picture and name not in {"mixup", "remix", "balanced_mixup"}:
        with pytest.raises(ValueError, match="inputs must be images"):
            transforms.build(name)(batch, COPY, donors, np.random.default_rng(0))
    assert transforms[name].takes <= {"images", "clips", "features", "cells"}


@pytest.mark.parametrize("name", transforms)
def test_a_transform_says_what_it_is(name):
    cls = transforms[name]
    assert transforms.summary(name).endswith(".")
    found = doctest.DocTestFinder().find(cls, name, module=sys.modules[cls.__module__])
    if name != "none":
        assert cls.source
        assert sum(len(test.examples) for test in found) > 0


# Pictures


def picture(height=9, width=9):
    return torch.from_numpy(
        np.random.default_rng(3).integers(0, 256, (2, 3, height, width)).astype(np.uint8)
    )


def test_a_warp_of_nothing_is_the_picture():
    assert torch.equal(warp(picture(8, 11)), picture(8, 11))


def test_a_turn_is_that_of_the_pixels():
    frames = picture()
    assert torch.equal(warp(frames, turn=np.pi / 2), frames.rot90(1, (2, 3)))
    assert torch.equal(warp(frames, turn=np.pi), frames.flip(2, 3))


def test_a_shift_moves_pixels_down_and_right_and_mirrors_the_border():
    frames = picture(10, 5)
    moved = warp(frames, shift=(0.2, 0.0))
    assert torch.equal(moved[:, :, 2:], frames[:, :, :-2])
    assert torch.equal(moved[:, :, :2], frames[:, :, :2].flip(2))
    moved = warp(frames, shift=(0.0, 0.2))
    assert torch.equal(moved[..., 1:], frames[..., :-1])


def test_enlarging_threefold_shows_the_middle_third():
    frames = picture()
    enlarged = warp(frames, zoom=(3.0, 1.0))
    assert torch.equal(enlarged[:, :, 1::3], frames[:, :, 3:6])
    enlarged = warp(frames, zoom=(1.0, 3.0))
    assert torch.equal(enlarged[:, :, :, 1::3], frames[:, :, :, 3:6])


@pytest.mark.parametrize(
    "spec",
    [
        "blur(least=1, most=1)",
        "crop(share=1)",
        "flip(horizontal=False, vertical=False)",
        "rotation(turn=0)",
        "translation(share=0)",
        "cutout(most=0)",
        "contrast(factor=0)",
        "height(factor=0)",
        "width(factor=0)",
        "zoom(factor=0)",
        "rand_augment(n=0)",
    ],
)
def test_a_magnitude_of_nothing_leaves_pictures_as_they_are(spec):
    for taken in ("images", "clips"):
        assert torch.equal(apply(spec, taken).inputs, example(taken)[0].inputs)


def test_flips_are_among_the_four():
    batch, _ = example("images")
    for seed in range(5):
        for before, after in zip(
            batch.inputs, apply("flip", "images", seed=seed).inputs, strict=True
        ):
            four = [before.flip(axes) for axes in ([], [0], [1], [0, 1])]
            assert sum(torch.equal(after, one) for one in four) == 1


def test_cutout_covers_one_gray_square():
    batch, _ = example("images")
    for before, after in zip(batch.inputs, apply("cutout(most=0.5)", "images").inputs, strict=True):
        rows, columns = torch.nonzero((after != before).any(-1), as_tuple=True)
        if len(rows):
            covered = after[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            assert (covered == 128).all()
            assert max(covered.shape[:2]) <= 5


def test_each_copy_gets_one_of_the_transforms_and_each_is_drawn_alike():
    turned = "one_of(of=flip(vertical=False) + flip(horizontal=False) + rotation(turn=0))"
    fates = [0, 0, 0]
    for seed in range(60):
        batch, _ = example("images")
        after = apply(turned, "images", seed=seed).inputs
        assert torch.equal(after[COPY == 0], batch.inputs[COPY == 0])
        for before, now in zip(batch.inputs[COPY == 1], after[COPY == 1], strict=True):
            # Each flip happens half of the times that it is drawn: 1/6, 1/6 and the rest.
            found = [torch.equal(now, one) for one in (before.flip(1), before.flip(0), before)]
            assert sum(found) == 1
            fates[found.index(True)] += 1
    assert fates[0] == pytest.approx(30, abs=15)
    assert fates[1] == pytest.approx(30, abs=15)


def test_composed_transforms_are_all_applied_once():
    batch, _ = example("images")
    half = "one_of(of=cutout(most=0) + crop(share=1) + flip(vertical=False), compose=3)"
    outcomes = set()
    for seed in range(12):
        after = apply(half, "images", seed=seed).inputs[1]
        outcomes.add([torch.equal(after, batch.inputs[1].flip(k)) for k in ((), (1,))].index(True))
    assert outcomes == {0, 1}


def test_all_ten_of_the_over_sampling_method_are_drawn_by_default():
    drawn = {type(part).__name__.lower() for part in transforms.build("one_of").of}
    of_the_method = {n for n in transforms if getattr(transforms[n], "source", "") == OVERSAMPLING}
    assert drawn == of_the_method
    assert len(drawn) == 10


# Copy-paste


def grids(size, seed=0):
    """Images of 6 cells of 4 x 4 pixels, each object a bright box in its cell."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 50, (size, 8, 12)).astype(np.uint8)
    labels = (rng.random((size, 6)) < 0.3) * rng.integers(1, 3, (size, 6))
    boxes = np.zeros((size, 6, 4), dtype=np.float32)
    for image, cell in np.argwhere(labels > 0).tolist():
        x, y = 4 * (cell % 3), 4 * (cell // 3)
        boxes[image, cell] = x + 1, y + 1, x + 3, y + 3
        images[image, y + 1 : y + 3, x + 1 : x + 3] = 100 + image
    return torch.from_numpy(images), BoxTarget(torch.from_numpy(labels), torch.from_numpy(boxes))


def pasted(spec, copy, seed):
    images, truth = grids(20)
    load = lambda rows: Batch(  # noqa: E731
        images[torch.as_tensor(rows)],
        BoxTarget(truth.labels[torch.as_tensor(rows)], truth.boxes[torch.as_tensor(rows)]),
    )
    donors = Donors(load, truth.labels.numpy(), np.bincount(truth.labels.flatten()))
    batch = load(np.arange(SIZE))
    return batch, transforms.build(spec)(batch, copy, donors, np.random.default_rng(seed))


@pytest.mark.parametrize("spec", ["copy_paste", "copy_paste(placement='pack', max_objects=6)"])
def test_pasted_objects_are_seen_where_their_cells_say_and_the_rest_stays(spec):
    added = 0
    for seed in range(5):
        batch, after = pasted(spec, np.ones(SIZE, dtype=np.uint8), seed)
        assert after.inputs.dtype == batch.inputs.dtype
        old, new = batch.target, after.target
        there = old.labels > 0
        assert torch.equal(new.labels[there], old.labels[there])
        assert torch.equal(new.boxes[there], old.boxes[there])
        for image in range(SIZE):
            changed = torch.zeros(8, 12, dtype=torch.bool)
            for cell in torch.nonzero(new.labels[image] != old.labels[image]).flatten().tolist():
                added += 1
                x1, y1, x2, y2 = new.boxes[image, cell].int().tolist()
                assert cell == (y1 + 1) // 4 * 3 + (x1 + 1) // 4
                # One bright object of one donor, which wears its number.
                seen = after.inputs[image, y1:y2, x1:x2]
                assert seen.min() == seen.max() >= 100
                changed[y1:y2, x1:x2] = True
            assert torch.equal(after.inputs[image][~changed], batch.inputs[image][~changed])
    assert added > 5


def test_only_copies_are_filled_up_when_asked():
    batch, after = pasted("copy_paste(on='copies', max_objects=6)", COPY, 0)
    untouched = torch.from_numpy(COPY == 0)
    assert torch.equal(after.inputs[untouched], batch.inputs[untouched])
    assert torch.equal(after.target.labels[untouched], batch.target.labels[untouched])
    assert not torch.equal(after.target.labels, batch.target.labels)
    full = pasted("copy_paste(max_objects=1)", COPY, 0)[1].target.labels > 0
    had = (batch.target.labels > 0).sum(1)
    assert torch.equal(full.sum(1)[had > 0], had[had > 0])


def test_cells_that_do_not_tile_an_image_are_refused():
    images, truth = grids(2)
    donors = Donors(lambda rows: None, truth.labels.numpy(), np.array([1, 1]))
    build, rng = transforms.build("copy_paste"), np.random.default_rng(0)
    for inputs in (images[:, :7], torch.zeros(2, 6)):
        with pytest.raises(ValueError, match="cells of images must be squares that tile them"):
            build(Batch(inputs, truth), COPY[:2], donors, rng)


# Mixing


@pytest.mark.parametrize("name", sorted(MIXING))
def test_without_mixing_the_batch_is_left_and_labels_are_certain(name):
    taken = "features" if name == "feature_mixup" else "clips"
    batch, _ = example(taken)
    after = apply(f"{name}(alpha=0)", taken)
    assert torch.equal(after.inputs, batch.inputs)
    expected = torch.eye(CLASSES)[batch.target.labels]
    assert torch.equal(after.target.probabilities, expected)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=4), st.integers(0, 50))
def test_a_pasted_box_covers_what_its_share_says_and_nothing_else(kept, seed):
    share = np.array(kept)
    shape = (len(kept), 3, 8, 6, 3)
    own, other = torch.zeros(shape, dtype=torch.uint8), torch.full(shape, 9, dtype=torch.uint8)
    mixed, left = paste(own, other, share, np.random.default_rng(seed))
    assert set(mixed.unique().tolist()) <= {0, 9}
    np.testing.assert_allclose((mixed == 0).float().mean((1, 2, 3, 4)), left, atol=1e-6)
    assert (left >= share - 0.35).all()  # no larger than asked for, but for rounding


def test_pixels_are_blended_to_the_nearest_step():
    own, other = torch.full((1, 2, 2, 3), 10, dtype=torch.uint8), torch.zeros(1, 2, 2, 3).byte()
    assert (blend(own, other, np.array([0.26])) == 3).all()


def test_mixup_mixes_inputs_and_labels_by_one_share():
    batch, donors = example("features")
    # A feature that tells the class one-hot must come out as the mixed label.
    inputs = torch.eye(CLASSES)[batch.target.labels]
    batch = Batch(inputs, batch.target)
    after = transforms.build("feature_mixup")(batch, COPY, donors, np.random.default_rng(0))
    torch.testing.assert_close(after.inputs, after.target.probabilities)
    assert (after.target.probabilities.max(1).values < 1).any()


def test_a_bag_is_mixed_with_bags_of_its_own_class_and_keeps_its_label():
    labels = np.array([0, 1, 2, 2, 0, 0, 1])
    inputs = torch.from_numpy(labels).float().reshape(-1, 1, 1).expand(-1, 3, 2).contiguous()
    inputs[4:] += 0.5
    load = lambda rows: Batch(inputs[torch.as_tensor(rows)], None)  # noqa: E731
    donors = Donors(load, labels, np.bincount(labels))
    bags = Batch(inputs[:4], BagTarget(torch.tensor([0, 1, 2, 2]), normal=2))
    build = transforms.build("feature_mixup")
    moved = set()
    for seed in range(5):
        after = build(bags, COPY[:4], donors, np.random.default_rng(seed))
        assert after.target is bags.target
        moved |= {i for i in range(4) if not torch.equal(after.inputs[i], inputs[i])}
        assert (after.inputs - inputs[:4]).max() <= 0.5 and (after.inputs >= inputs[:4]).all()
    assert moved == {0, 1}  # all normal bags are alike


def test_remix_gives_the_label_to_the_much_rarer_class():
    counts = np.array([90, 9, 1])
    labels = torch.tensor([0, 1, 2] * 20)
    inputs = (torch.eye(CLASSES)[labels] * 200).byte().reshape(-1, 1, 1, 3)
    donors = Donors(lambda indices: Batch(inputs, ClassTarget(labels)), labels.numpy(), counts)
    batch = Batch(inputs, ClassTarget(labels))
    copy = np.zeros(len(labels), dtype=np.uint8)
    after = transforms.build("remix")(batch, copy, donors, np.random.default_rng(0))
    shares = after.inputs.reshape(-1, 3) / 200  # of each class in the picture
    seen = set()
    for share, target in zip(shares.tolist(), after.target.probabilities.tolist(), strict=True):
        mixed = [c for c in range(CLASSES) if share[c] > 0.01]
        if len(mixed) < 2:
            continue
        common, rare = mixed
        if share[common] < 0.49:
            assert target[rare] == 1
            seen.add("rare")
        elif share[common] > 0.51:
            assert target == pytest.approx(share, abs=0.01)
            seen.add("mixed")
    assert seen == {"rare", "mixed"}


@pytest.mark.parametrize(("name", "expected"), [("cmo", (1 / 10, 1 / 6, 1 / 2))])
def test_donors_of_rare_classes_are_drawn_in_proportion_to_their_rarity(name, expected):
    labels = np.repeat([1, 0, 2], [6, 10, 2])
    donors = Donors(lambda indices: None, labels, np.bincount(labels))
    drawn = drawn_by_class(donors, 1 / donors.counts, 20000, np.random.default_rng(0))
    found = np.bincount(labels[drawn]) / 20000
    np.testing.assert_allclose(found, np.array(expected) / sum(expected), atol=0.02)
    within = np.bincount(drawn, minlength=18)[labels == 0] / (20000 * found[0])
    np.testing.assert_allclose(within, 1 / 10, atol=0.03)


def test_a_class_without_samples_is_never_drawn():
    labels = np.array([0, 2, 2])
    donors = Donors(lambda indices: None, labels, np.array([1, 0, 2]))
    drawn = drawn_by_class(donors, np.ones(3), 200, np.random.default_rng(0))
    assert set(labels[drawn]) == {0, 2}


@given(st.integers(1, 4), st.integers(0, 20))
def test_smote_stays_between_a_sample_and_one_of_its_neighbours(k, seed):
    batch, donors = example("features", seed)
    metric = transforms.build(f"smote(k={k})")
    after = metric(batch, COPY, donors, np.random.default_rng(seed))
    every = donors(np.arange(20)).inputs
    for number, label in enumerate(batch.target.labels.tolist()):
        own, new = batch.inputs[number], after.inputs[number]
        peers = [i for i in np.flatnonzero(donors.labels == label) if i != number]
        near = sorted(peers, key=lambda i: float((every[i] - own).norm()))[:k]
        off = [
            float((new - own).norm() + (every[i] - new).norm() - (every[i] - own).norm())
            for i in near
        ]
        assert min(off) < 1e-4


def test_the_only_sample_of_a_class_stays_as_it_is():
    inputs = torch.ones(1, 4)
    alone = Batch(inputs, ClassTarget(torch.tensor([0])))
    donors = Donors(lambda indices: alone, np.array([0]), np.array([1]))
    after = transforms.build("smote")(alone, COPY[:1], donors, np.random.default_rng(0))
    assert torch.equal(after.inputs, inputs)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("blur(least=2)", "least and most must be odd"),
        ("crop(share=0)", "share must be in"),
        ("rotation(turn=2)", "turn must be in"),
        ("translation(share=-1)", "share must be in"),
        ("cutout(most=2)", "most must be in"),
        ("contrast(factor=2)", "factor must be in"),
        ("height(factor=1)", "factor must be in"),
        ("width(factor=1)", "factor must be in"),
        ("zoom(factor=1)", "factor must be in"),
        ("rand_augment(m=31)", "m must be in"),
        ("rand_augment(n=-1)", "n must be >= 0"),
        ("mixup(alpha=-1)", "alpha must be finite and >= 0"),
        ("remix(kappa=0.5)", "kappa must be finite and >= 1"),
        ("remix(tau=2)", "tau must be in"),
        ("cmo(probability=2)", "probability must be in"),
        ("smote(k=0)", "k must be >= 1"),
        ("copy_paste(max_objects=0)", "max_objects must be >= 1, got 0"),
        ("copy_paste(max_cover=2)", r"max_cover must be in \[0, 1\], got 2"),
        ("one_of(compose=11)", r"compose must be in \[1, 10\], the number of transforms, got 11"),
        ("flip(on='some')", "on of flip must be one of 'copies', 'all'"),
    ],
)
def test_a_field_out_of_range_is_refused(spec, message):
    with pytest.raises(SpecError, match=message):
        transforms.build(spec)


# Losses on mixed labels


@pytest.mark.parametrize("name", [n for n in losses.own_names() if losses[n].reads == "classes"])
def test_a_loss_of_mixed_labels_is_the_expectation_over_them(name):
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    one, two = torch.tensor([0, 1, 2, 0]), torch.tensor([1, 1, 0, 2])
    kept = torch.tensor([0.25, 0.5, 1.0, 0.75])
    mixed = kept[:, None] * torch.eye(3)[one] + (1 - kept)[:, None] * torch.eye(3)[two]
    context = LossContext(counts=[20, 6, 2], feature_dims={"features": 3})
    fn = loss(name).prepare(context)
    features = (logits, logits.abs())
    if fn(features, one).ndim == 0:
        with pytest.raises(
            ValueError, match=f"labels must be hard for {name}, a loss of the whole"
        ):
            fn(features, mixed)
        return
    if name in NOT_BY_SAMPLE:
        assert fn(features, mixed).shape == (4,)
        assert fn(features, mixed).isfinite().all()
        return
    expected = kept * fn(features, one) + (1 - kept) * fn(features, two)
    torch.testing.assert_close(fn(features, mixed), expected)


def test_more_than_two_classes_in_a_sample_are_refused():
    fn = loss("focal").prepare(LossContext(counts=[5, 4, 3]))
    with pytest.raises(ValueError, match="probabilities for focal must be of one or two classes"):
        fn(torch.zeros(1, 3), torch.tensor([[0.5, 0.25, 0.25]]))
