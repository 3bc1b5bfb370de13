"""What metrics of detections share: checked inputs, overlap, and which detection finds what.

Truth is one pair per image: boxes (G, 4) float, xyxy in pixels, and classes (G,) integers.
Scores are one triple per image: boxes (P, 4), classes (P,) and confidences (P,), larger is surer.
Class 0 is the background and is no object; G and P may be 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pybench.checks import require

Floats = NDArray[np.float64]
Truth: TypeAlias = Sequence[tuple[ArrayLike, ArrayLike]]
Scores: TypeAlias = Sequence[tuple[ArrayLike, ArrayLike, ArrayLike]]
Affinity: TypeAlias = Callable[[Floats, Floats], Floats]
"""Boxes (P, 4) and (G, 4) -> (P, G), larger is nearer."""


class Image(NamedTuple):
    """True and detected objects of one image; detections from the surest to the least sure."""

    boxes: Floats
    labels: NDArray[np.int64]
    found: Floats
    found_labels: NDArray[np.int64]
    confidence: Floats


class Detections(NamedTuple):
    """All detections of one class, surest first, and the number of true objects of it."""

    hit: NDArray[np.bool_]
    confidence: Floats
    objects: int


def images(
    truth: Truth, scores: Scores, classes: Sequence[str] | None
) -> tuple[list[Image], tuple[str, ...]]:
    """Check the inputs of a metric; without names, classes are called by their number.

    Returns:
        The images, and the names of all classes, the background first.

    Raises:
        ValueError: shapes, a class that is no object's, or a value that is not finite.
    """
    require(len(truth) == len(scores), "scores", f"of {len(truth)} images", len(scores))
    pictures = []
    for number, (true, said) in enumerate(zip(truth, scores, strict=True)):
        boxes, labels = _objects("truth", number, *true)
        found, found_labels = _objects("scores", number, said[0], said[1])
        sure = np.asarray(said[2], dtype=np.float64)
        require(
            sure.shape == found_labels.shape and bool(np.isfinite(sure).all()),
            "confidences",
            "finite, one per detection",
            f"{sure.tolist()} in image {number}",
        )
        order = np.argsort(-sure, kind="stable")
        pictures.append(Image(boxes, labels, found[order], found_labels[order], sure[order]))
    seen = [labels for image in pictures for labels in (image.labels, image.found_labels)]
    most = max((int(labels.max()) for labels in seen if len(labels)), default=0)
    names = tuple(classes) if classes is not None else tuple(map(str, range(most + 1)))
    require(most < len(names), "classes of objects", f"in [1, {len(names)})", most)
    return pictures, names


def detections(
    pictures: Sequence[Image], number: int, affinity: Affinity, least: float
) -> Detections:
    """Match detections of one class with true objects of it, image by image.

    The surest detection chooses first, and takes the nearest object that is still free and whose
    affinity is at least ``least``; what finds none is a false alarm.
    """
    hits, confidences, objects = [np.zeros(0, dtype=bool)], [np.zeros(0)], 0
    for image in pictures:
        true = image.boxes[image.labels == number]
        mine = image.found_labels == number
        near = affinity(image.found[mine], true)
        hit = np.zeros(len(near), dtype=bool)
        for row in range(len(near) if len(true) else 0):
            best = int(near[row].argmax())
            if near[row, best] >= least:
                hit[row] = True
                near[:, best] = -np.inf
        hits.append(hit)
        confidences.append(image.confidence[mine])
        objects += len(true)
    sure = np.concatenate(confidences)
    order = np.argsort(-sure, kind="stable")
    return Detections(np.concatenate(hits)[order], sure[order], objects)


def f1(
    pictures: Sequence[Image], names: Sequence[str], affinity: Affinity, least: float
) -> tuple[float | None, ...]:
    """F1 of each object class; None for one that is neither present nor detected."""
    values = []
    for number in range(1, len(names)):
        matched = detections(pictures, number, affinity, least)
        count = len(matched.hit) + matched.objects
        values.append(2 * int(matched.hit.sum()) / count if count else None)
    return tuple(values)


def surer_than(pictures: Sequence[Image], threshold: float) -> list[Image]:
    """The images with the detections whose confidence is at least ``threshold``."""
    kept = []
    for image in pictures:
        count = int((image.confidence >= threshold).sum())
        kept.append(
            image._replace(
                found=image.found[:count],
                found_labels=image.found_labels[:count],
                confidence=image.confidence[:count],
            )
        )
    return kept


def overlap(first: Floats, second: Floats) -> Floats:
    """(P, G) intersection over union; 0 where both boxes are empty.

    Example:
        >>> overlap(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2]]))  # 2 of 6
        array([[0.33333333]])
    """
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    area, other = (np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (first, second))
    union = area[:, None] + other[None] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


def closeness(first: Floats, second: Floats) -> Floats:
    """(P, G) negative distance of the centres, pixels."""
    centre, other = ((boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (first, second))
    return np.asarray(-np.linalg.norm(centre[:, None] - other[None], axis=2))


def _objects(
    name: str, number: int, boxes: ArrayLike, labels: ArrayLike
) -> tuple[Floats, NDArray[np.int64]]:
    corners, classes = np.asarray(boxes, dtype=np.float64), np.asarray(labels)
    if not corners.size:
        corners = corners.reshape(0, 4)
    require(
        classes.ndim == 1 and corners.shape == (len(classes), 4),
        f"boxes and classes of {name}",
        "of shape (N, 4) and (N,)",
        f"{corners.shape} and {classes.shape} in image {number}",
    )
    whole = not len(classes) or (classes.dtype.kind in "iu" and int(classes.min()) >= 1)
    require(whole, f"classes of {name}", "integers >= 1", f"{classes.tolist()} in image {number}")
    proper = np.isfinite(corners).all() and (corners[:, 2:] >= corners[:, :2]).all()
    got = f"{corners.tolist()} in image {number}"
    require(bool(proper), f"boxes of {name}", "finite xyxy with x2 >= x1 and y2 >= y1", got)
    return corners, classes.astype(np.int64)
