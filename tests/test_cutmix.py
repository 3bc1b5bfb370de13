"""Planning and doing copy-paste of objects, against the rules written out."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pybench import core

SIZE = (24, 32)
SEEDS = st.integers(0, 2**32)


def scenes(seed: int, images: int, most: int = 5, size: tuple[int, int] = SIZE) -> list[Any]:
    """Boxes of some images, some of them reaching over the border."""
    rng = np.random.default_rng(seed)
    height, width = size
    found = []
    for count in rng.integers(0, most + 1, images):
        corner = rng.uniform(-2, (width - 3, height - 3), (count, 2))
        sides = rng.uniform((1, 1), (width / 3, height / 2), (count, 2))
        found.append(np.concatenate([corner, corner + sides], 1))
    return found


def shared(a: Any, b: Any) -> float:
    sides = [min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1)]
    return max(sides[0], 0) * max(sides[1], 0)


def area(box: Any) -> float:
    return shared(box, box)


def iou(a: Any, b: Any) -> float:
    both = shared(a, b)
    return both / (area(a) + area(b) - both) if both else 0.0


def objects(plan: Any, image: int) -> range:
    return range(*plan["offsets"][image : image + 2])


@given(
    seed=SEEDS,
    tau=st.sampled_from([0.0, 0.05, 0.1, 0.5, 1.0]),
    cover=st.sampled_from([0.0, 0.3, 0.6, 1.0]),
    most=st.integers(0, 9),
    placement=st.sampled_from(["donor", "pack"]),
    others=st.sampled_from(["copy", "reject"]),
)
def test_a_plan_keeps_every_rule(
    seed: int, tau: float, cover: float, most: int, placement: Any, others: Any
) -> None:
    boxes = scenes(seed, 8)
    labels = [np.arange(len(of)) + 10 * image for image, of in enumerate(boxes)]
    plan = core.plan_cutmix(
        boxes,
        SIZE,
        labels,
        max_objects=most,
        iou_threshold=tau,
        max_cover=cover,
        placement=placement,
        others=others,
        seed=seed,
    )
    every, names = np.concatenate([*boxes, np.zeros((0, 4))]), np.concatenate(labels)
    image_of = np.repeat(np.arange(8), [len(of) for of in boxes])
    np.testing.assert_array_equal(plan["labels"], names[plan["origin"]])
    assert (plan["image"] != plan["donor"]).all()
    regions = np.concatenate([plan["source"], plan["target"]])
    assert (regions[:, :2] >= 0).all()
    assert (regions[:, 2:] <= SIZE[::-1]).all()
    assert (regions[:, 2:] > regions[:, :2]).all()
    for image in range(8):
        here = objects(plan, image)
        own = [k for k in here if plan["paste"][k] < 0]
        np.testing.assert_array_equal(plan["boxes"][own], boxes[image])
        new = [k for k in here if plan["paste"][k] >= 0]
        assert len(new) <= max(0, most - len(own))
        for k in new:
            paste = plan["paste"][k]
            assert plan["image"][paste] == image
            assert plan["donor"][paste] == image_of[plan["origin"][k]]
            move = np.tile(plan["target"][paste] - plan["source"][paste], 1)
            assert placement == "pack" or not move.any()
            # The box is the donor's, cut at the region and moved with it.
            source = plan["source"][paste]
            cut = np.clip(every[plan["origin"][k]], np.tile(source[:2], 2), np.tile(source[2:], 2))
            np.testing.assert_allclose(plan["boxes"][k], cut + move, atol=1e-12)
            assert all(iou(plan["boxes"][k], plan["boxes"][j]) < tau for j in here if j != k)
        for k in here:
            later = [p for p in np.flatnonzero(plan["image"] == image) if p > plan["paste"][k]]
            covered = sum(shared(plan["boxes"][k], plan["target"][p]) for p in later)
            assert covered <= cover * area(plan["boxes"][k]) + 1e-9
    for paste, donor in enumerate(plan["donor"]):
        came = {plan["origin"][k] for k in np.flatnonzero(plan["paste"] == paste)}
        assert others == "copy" or len(came) == 1
        visible = {
            other: shared(every[other], plan["source"][paste]) / area(every[other])
            for other in np.flatnonzero(image_of == donor)
        }
        assert all(visible[other] <= cover for other in visible.keys() - came)
        # The object that the region is of may itself be cut at the border of its image.
        assert sum(visible[other] < 1 - cover for other in came) <= 1


def test_packing_finds_a_place_whenever_there_is_one() -> None:
    for seed in range(60):
        boxes = scenes(seed, 2, most=4, size=(9, 10))
        plan = core.plan_cutmix(
            boxes, (9, 10), max_tries=1, max_objects=9, placement="pack", others="reject", seed=seed
        )
        for image, donor in ((0, 1), (1, 0)):
            box = np.clip(boxes[donor][0], 0, (10, 9, 10, 9)) if len(boxes[donor]) == 1 else [0] * 4
            if image in plan["image"] or area(box) == 0:
                continue
            x1, y1, x2, y2 = np.concatenate([np.floor(box[:2]), np.ceil(box[2:])]).astype(int)
            for x, y in itertools.product(range(-x1, 11 - x2), range(-y1, 10 - y2)):
                place = np.array([x1 + x, y1 + y, x2 + x, y2 + y])
                # Whole pixels instead of the box: the search is that careful.
                fits = all(
                    shared(place, own) <= 0.3 * area(own)
                    and shared(place, own) * 1.1 < 0.1 * (area(box) + area(own))
                    for own in boxes[image]
                )
                assert not fits


def test_packing_places_a_third_more_where_objects_are_large() -> None:
    rng = np.random.default_rng(0)
    sides = rng.uniform((6, 8), (14, 18), (2000, 5, 2))
    corner = rng.random((2000, 5, 2)) * (np.array(SIZE[::-1]) - sides)
    every = np.concatenate([corner, corner + sides], 2)
    boxes = [of[:count] for of, count in zip(every, rng.integers(0, 6, 2000), strict=True)]
    pastes = [
        len(core.plan_cutmix(boxes, SIZE, placement=placement)["image"])
        for placement in ("donor", "pack")
    ]
    assert pastes[1] >= 1.3 * pastes[0] > 0


def test_an_image_does_not_depend_on_other_images_and_seeds_matter() -> None:
    boxes = scenes(1, 300)
    plan = core.plan_cutmix(boxes, SIZE)
    shorter = core.plan_cutmix([*boxes[:150], *([np.zeros((0, 4))] * 150)], SIZE)
    other = core.plan_cutmix(boxes, SIZE, seed=1)
    assert plan["image"].tolist() != shorter["image"].tolist()
    assert plan["donor"].tolist() != other["donor"].tolist()
    again = core.plan_cutmix(boxes, SIZE, stream="plan_cutmix")
    for name, values in plan.items():
        np.testing.assert_array_equal(values, again[name])  # type: ignore[literal-required]


def test_without_another_donor_nothing_changes() -> None:
    assert core.plan_cutmix([], SIZE)["offsets"].tolist() == [0]
    assert core.plan_cutmix([[], []], SIZE)["image"].tolist() == []
    alone = core.plan_cutmix([[[1, 1, 3, 3]]], SIZE)
    assert (alone["image"].tolist(), alone["boxes"].tolist()) == ([], [[1, 1, 3, 3]])
    outside = core.plan_cutmix([[], [[40, 1, 44, 3]]], SIZE)
    assert outside["image"].tolist() == []


def pasted(images: NDArray[Any], plan: Any) -> NDArray[Any]:
    """Patch after patch, out of an untouched copy."""
    result = images.copy()
    for paste, image in enumerate(plan["image"]):
        x1, y1, x2, y2 = plan["source"][paste]
        left, top, right, bottom = plan["target"][paste]
        result[image, top:bottom, left:right] = images[plan["donor"][paste], y1:y2, x1:x2]
    return result


@given(SEEDS, st.sampled_from([np.uint8, np.float32]), st.sampled_from([(), (1,), (3,)]))
def test_patches_are_pasted_out_of_untouched_images(seed: int, dtype: Any, channels: Any) -> None:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (8, *SIZE, *channels)).astype(dtype)
    plan = core.plan_cutmix(scenes(seed, 8), SIZE, max_objects=8, seed=seed, placement="pack")
    expected = pasted(images, plan)
    core.apply_cutmix(images, plan)
    np.testing.assert_array_equal(images, expected)


def test_many_patches_and_tensors_are_pasted_in_place() -> None:
    images = np.random.default_rng(0).integers(0, 256, (500, *SIZE, 3)).astype(np.uint8)
    plan = core.plan_cutmix(scenes(0, 500), SIZE)
    expected = pasted(images, plan)
    tensor = torch.from_numpy(images.copy())
    core.apply_cutmix(images, plan)
    core.apply_cutmix(tensor, plan)
    np.testing.assert_array_equal(images, expected)
    np.testing.assert_array_equal(tensor, expected)


def test_regions_are_read_as_they_were_however_many_are_pasted_over_before() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 50, 60, 3), dtype=np.uint8)
    n = 1500
    height, width = rng.integers(1, 40, (2, n))
    corners = rng.integers(0, (60 - width, 50 - height), (2, 2, n)).swapaxes(1, 2)
    sides = np.stack([width, height], 1)
    source, target = (np.concatenate([corner, corner + sides], 1) for corner in corners)
    image, donor = rng.integers(0, 60, (2, n))
    plan = {"image": image, "donor": donor, "source": source, "target": target}
    expected = pasted(images, plan)
    core.apply_cutmix(images, plan)
    np.testing.assert_array_equal(images, expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_backgrounds_are_matched_channel_by_channel(dtype: Any) -> None:
    images = np.zeros((2, *SIZE, 2), dtype)
    images[0] += np.array([10, 200], dtype)
    images[1] += np.array([30, 100], dtype)
    images[1, 4:8, 4:8] = [40, 255]
    plan = core.plan_cutmix([[], [[4, 4, 8, 8]]], SIZE)
    core.apply_cutmix(images, plan, match_background=True)
    most = 255 if dtype == np.uint8 else 255 + 200 - 100
    assert images[0, 5, 5].tolist() == [40 + 10 - 30, most]
    assert images[0, 20, 20].tolist() == [10, 200]


def test_what_a_plan_refuses_is_named() -> None:
    def plan(boxes: Any = ((), ((1, 1, 3, 3),)), size: Any = SIZE, **options: Any) -> Any:
        return core.plan_cutmix(boxes, size, **options)

    refused: list[tuple[Any, type[Exception], str]] = [
        (
            lambda: plan([[], [[1, 1, 0, 3]]]),
            ValueError,
            "boxes must be finite corners x1, y1, x2, y2 with x1 <= x2 and y1 <= y2, "
            "got [1.0, 1.0, 0.0, 3.0] at index 0 of image 1; "
            "convert boxes of centre and size, and drop broken ones",
        ),
        (
            lambda: plan([[1, 2, 3, 4]]),
            ValueError,
            "boxes must be of shape (N, 4), got (4,) in image 0; reshape it",
        ),
        (
            lambda: plan([np.zeros((1, 4), dtype=">f8")]),
            TypeError,
            "boxes must be in native byte order, got >f8; "
            "convert it with .astype(dtype.newbyteorder('='))",
        ),
        (
            lambda: plan([[["a"] * 4]]),
            TypeError,
            "boxes must be of a real dtype, got <U1 in image 0; convert it with .astype('float64')",
        ),
        (
            lambda: plan(3),
            TypeError,
            "boxes must be a sequence with one entry for each image, got <class 'int'>; "
            "make a list",
        ),
        (
            lambda: plan(labels=[[]]),
            ValueError,
            "labels must be as long as boxes, 2, got 1; give one item for each",
        ),
        (
            lambda: plan(labels=[[], [1, 2]]),
            ValueError,
            "labels must be of shape (1,), one for each box, got (2,) in image 1; reshape it",
        ),
        (
            lambda: plan(size=(0, 4)),
            ValueError,
            "size must be (rows, columns) of every image, got (0, 4); pass two ints in 1..=65536",
        ),
        (
            lambda: plan(iou_threshold=1.5),
            ValueError,
            "iou_threshold must be in [0, 1], got 1.5; 0.1 keeps objects apart",
        ),
        (
            lambda: plan(max_cover=float("nan")),
            ValueError,
            "max_cover must be in [0, 1], got NaN; 0.3 leaves most of an object visible",
        ),
        (
            lambda: plan(placement="here"),
            ValueError,
            "placement must be 'donor' or 'pack', got 'here'; 'pack' searches a free place",
        ),
        (
            lambda: plan(others="keep"),
            ValueError,
            "others must be 'copy' or 'reject', got 'keep'; 'copy' takes their labels along",
        ),
        (
            lambda: plan(max_tries=10**6),
            ValueError,
            "max_tries must be at most 65536, got 1000000; an image that is full stays so",
        ),
        (
            lambda: plan(max_tries=-1),
            ValueError,
            "max_tries must be a whole number >= 0, got -1; pass an int",
        ),
    ]
    for call, error, message in refused:
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value) == message


def test_what_pasting_refuses_is_named() -> None:
    plan = core.plan_cutmix([[], [[4, 4, 8, 8]]], SIZE)
    images = np.zeros((2, *SIZE), np.uint8)
    locked = images.copy()
    locked.flags.writeable = False
    refused: list[tuple[Any, type[Exception], str]] = [
        (
            lambda: core.apply_cutmix(locked, plan),
            ValueError,
            "images must be a writable C-contiguous array, got a read-only one; copy it first",
        ),
        (
            lambda: core.apply_cutmix(images[:, ::2], plan),
            ValueError,
            "images must be a writable C-contiguous array, got one with gaps; copy it first",
        ),
        (
            lambda: core.apply_cutmix([[[1]]], plan),
            TypeError,
            "images must be an array or a CPU tensor, got <class 'list'>; "
            "they are changed in place",
        ),
        (
            lambda: core.apply_cutmix(images.astype(np.int16), plan),
            TypeError,
            "images must be of dtype uint8 or float32, got int16; "
            "convert them with .astype('float32')",
        ),
        (
            lambda: core.apply_cutmix(images[0], plan),
            ValueError,
            "images must be of shape (N, H, W) or (N, H, W, C), got (24, 32); stack them",
        ),
        (
            lambda: core.apply_cutmix(images, {}),
            TypeError,
            "plan must be what plan_cutmix gives, got nothing for 'image'; make a plan first",
        ),
        (
            lambda: core.apply_cutmix(images[:1], plan),
            ValueError,
            "plan must be of regions inside 1 images of 24 rows and 32 columns, got "
            "Paste { image: 0, donor: 1, source: [4, 4, 8, 8], target: [4, 4, 8, 8] } at index 0; "
            "plan for the images that are changed",
        ),
        (
            lambda: core.apply_cutmix(images, {**plan, "source": plan["source"][:0]}),
            ValueError,
            "plan must be of as many donors and regions as images, 1, got 1 and 0; "
            "leave what plan_cutmix gives together",
        ),
    ]
    for call, error, message in refused:
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value) == message
