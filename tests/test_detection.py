"""Mean average precision against pycocotools and against areas counted by hand."""

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pybench import core

Scene = tuple[list[Any], list[Any]]


def boxes(rng: np.random.Generator, count: int, side: int = 60) -> Any:
    corner = rng.integers(0, side, (count, 2))
    return np.concatenate([corner, corner + rng.integers(1, side, (count, 2))], 1).astype(float)


def scene(seed: int, images: int, classes: int, crowds: bool, ties: bool) -> Scene:
    """Objects, and detections of which many are shifted objects."""
    rng = np.random.default_rng(seed)
    truth, scores = [], []
    for _ in range(images):
        true = boxes(rng, rng.integers(0, 7))
        labels = rng.integers(0, classes, len(true))
        near = true[rng.random(len(true)) < 0.8] if len(true) else true
        found = np.concatenate(
            [near + rng.integers(-4, 5, near.shape), boxes(rng, rng.integers(6))]
        )
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
        said = rng.integers(0, classes, len(found))
        said[: len(near)] = np.where(rng.random(len(near)) < 0.8, labels[: len(near)], 0)
        sure = rng.integers(0, 5, len(found)) / 8 if ties else rng.random(len(found))
        truth.append((true, labels, rng.random(len(true)) < (0.2 if crowds else 0)))
        scores.append((found, said, sure))
    return truth, scores


def coco(scene: Scene, classes: int, bands: Any, max_dets: int) -> Any:
    """What pycocotools makes of it: precision (T, R, K, A, 1) and recall (T, K, A, 1)."""
    truth, found = COCO(), COCO()
    for dataset, entries in ((truth, scene[0]), (found, scene[1])):
        annotations = []
        for image, (corners, labels, more) in enumerate(entries):
            for (x1, y1, x2, y2), label, extra in zip(corners, labels, more, strict=True):
                annotation = {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(label),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": int(extra) if dataset is truth else 0,
                    "score": float(extra),
                }
                annotations.append(annotation)
        dataset.dataset = {
            "images": [{"id": image} for image in range(len(entries))],
            "categories": [{"id": label} for label in range(classes)],
            "annotations": annotations,
        }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        found.createIndex()
        run = COCOeval(truth, found, "bbox")
        run.params.areaRng = [list(band) for band in bands]
        run.params.areaRngLbl = [str(band) for band in bands]
        run.params.maxDets = [max_dets]
        run.evaluate()
        run.accumulate()
    return run.eval


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    images=st.integers(1, 12),
    crowds=st.booleans(),
    ties=st.booleans(),
    max_dets=st.sampled_from([1, 3, 100]),
)
def test_every_class_threshold_and_band_is_pycocotools(
    seed: int, images: int, crowds: bool, ties: bool, max_dets: int
) -> None:
    here, classes = scene(seed, images, 3, crowds, ties), 4
    bands = [(0, 1e10), (0, 400), (400, 1500), (1500, 1e10)]
    expected = coco(here, classes, bands, max_dets)
    names = [("small", bands[1]), ("medium", bands[2]), ("large", bands[3])]
    found = core.mean_average_precision(*here, num_classes=classes, areas=names, max_dets=max_dets)
    for number, band in enumerate([found, *found["areas"].values()]):
        precision = np.where(expected["precision"] < 0, np.nan, expected["precision"])
        precision = precision[:, :, :, number, 0].transpose(0, 2, 1)
        np.testing.assert_allclose(band["curves"], precision, rtol=0, atol=1e-12)
        np.testing.assert_allclose(band["ap"], precision.mean(2), rtol=0, atol=1e-12)
        recall = expected["recall"][:, :, number, 0]
        recall = np.where(recall < 0, np.nan, recall)
        np.testing.assert_allclose(band["recall"], recall, rtol=0, atol=1e-12)
        absent = np.isnan(recall[0])
        assert band["absent"] == absent.sum()
        if absent.all():
            assert band["map"] is None
            assert band["mar"] is None
        else:
            assert band["map"] == pytest.approx(precision[:, ~absent].mean(), abs=1e-12)
            assert band["mar"] == pytest.approx(recall[:, ~absent].mean(), abs=1e-12)


def test_many_images_are_pycocotools() -> None:
    here = scene(0, 400, 5, crowds=True, ties=False)
    expected = coco(here, 5, [(0, 1e10)], 100)["precision"]
    found = core.mean_average_precision(*here)
    np.testing.assert_allclose(
        found["curves"], expected[:, :, :, 0, 0].transpose(0, 2, 1), rtol=0, atol=1e-12
    )


@given(st.integers(0, 2**32))
def test_all_points_are_the_area_under_the_envelope(seed: int) -> None:
    here = scene(seed, 6, 1, crowds=False, ties=False)
    found = core.mean_average_precision(*here, iou_thresholds=[0.5], interpolation="all")
    objects = sum(len(truth[0]) for truth in here[0])
    if objects == 0:
        assert found["map"] is None
        return
    # The greedy matching written out, then one rectangle per object found.
    ranked = sorted(
        (-float(sure), image, place)
        for image, said in enumerate(here[1])
        for place, sure in enumerate(said[2])
    )
    taken, hits, precision = set(), 0, []
    for number, (_, image, place) in enumerate(ranked, 1):
        overlaps = core.box_iou(here[1][image][0][[place]], here[0][image][0])[0]
        free = [
            (overlap, true)
            for true, overlap in enumerate(overlaps)
            if overlap >= 0.5 and (image, true) not in taken
        ]
        if free:
            taken.add((image, max(free)[1]))
            hits += 1
            precision.append(hits / number)
    area = sum(max(precision[k:]) / objects for k in range(hits))
    assert found["map"] == pytest.approx(area, abs=1e-12)
    assert found["mar"] == pytest.approx(hits / objects)


def test_bands_may_be_fractions_of_each_image() -> None:
    truth = [([[0, 0, 2, 2]], [0]), ([[0, 0, 2, 2]], [0])]
    found = [([[0, 0, 2, 2]], [0], [0.9]), ([], [], [])]
    sizes = [(4, 4), (40, 40)]
    bands = [("small", (0, 0.1)), ("large", (0.1, 1))]
    scores = core.mean_average_precision(truth, found, areas=bands, image_sizes=sizes)
    assert scores["areas"]["small"]["map"] == 0
    assert scores["areas"]["large"]["map"] == 1
    assert scores["map"] == pytest.approx(51 / 101)


def test_nothing_in_gives_nothing_out() -> None:
    for truth, scores in (([], []), ([([], [])], [([], [], [])])):
        found = core.mean_average_precision(truth, scores)
        assert (found["map"], found["mar"], found["absent"]) == (None, None, 0)
        assert found["curves"].shape == (10, 0, 101)


TRUTH = [([], []), ([[0, 0, 2, 2]], [0])]
FOUND = [([], [], []), ([[0, 0, 2, 2]], [0], [0.5])]


@pytest.mark.parametrize(
    ("truth", "scores", "options", "message"),
    [
        (TRUTH, FOUND[:1], {}, "scores must be as long as truth, 2, got 1; give one item for each"),
        (
            [([],)],
            FOUND[:1],
            {},
            "truth must be of boxes, classes and, if any, ignore flags for each image, "
            "got 1 in image 0; pair them up",
        ),
        (
            TRUTH,
            [FOUND[0], ([[0, 0, 2, 2]], [0], [float("inf")])],
            {},
            "confidences must be finite, got inf at index 0 of image 1; "
            "repair or leave out that item",
        ),
        (
            [([], []), ([[0, 0, 2, 2]], [-1])],
            FOUND,
            {},
            "truth classes must be in 0..=0, got -1 at index 0 of image 1; "
            "number the classes from 0",
        ),
        (
            TRUTH,
            FOUND,
            {"iou_thresholds": [0.0]},
            "iou_thresholds must be in (0, 1], got 0; 0.5 is usual",
        ),
        (
            TRUTH,
            FOUND,
            {"iou_thresholds": []},
            "iou_thresholds must be such that thresholds times areas are in 1..=64, got 0; "
            "ask for fewer at a time",
        ),
        (
            TRUTH,
            FOUND,
            {"areas": [("odd", (2, 1))]},
            "areas must be pairs 0 <= low <= high, got (2, 1); use inf for no limit",
        ),
        (
            TRUTH,
            FOUND,
            {"image_sizes": [(4, 4)]},
            "image_sizes must be as long as truth, 2, got 1; give one item for each",
        ),
        (
            TRUTH,
            FOUND,
            {"image_sizes": [(4, 4), (0, 4)]},
            "image_sizes must be positive, got an area of 0 at index 1; give rows and columns",
        ),
        (
            TRUTH,
            FOUND,
            {"num_classes": 2**40},
            f"num_classes must be at most 16384, got {2**40}; number the classes from 0",
        ),
        (
            TRUTH,
            FOUND,
            {"interpolation": "11"},
            "interpolation must be 'coco' or 'all', got '11'; 'coco' takes 101 recalls",
        ),
    ],
)
def test_what_is_refused_is_named(truth: Any, scores: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        core.mean_average_precision(truth, scores, **options)
    assert str(caught.value) == message
