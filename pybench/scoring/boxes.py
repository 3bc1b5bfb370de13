"""What metrics of detections share: checked inputs, overlap, and which detection finds what.

Truth is one pair per image: boxes (G, 4) float, xyxy in pixels, and classes (G,) integers.
Scores are one triple per image: boxes (P, 4), classes (P,) and confidences (P,), larger is surer.
Class 0 is the background and is no object; G and P may be 0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pybench import core
from pybench.checks import require
from pybench.scoring.classes import Score, with_mean
from pybench.types import BootstrapUnit, Kind

Floats = NDArray[np.float64]
Truth: TypeAlias = Sequence[tuple[ArrayLike, ArrayLike]]
Scores: TypeAlias = Sequence[tuple[ArrayLike, ArrayLike, ArrayLike]]
Affinity: TypeAlias = Callable[[Floats, Floats], Floats]
"""Boxes (P, 4) and (G, 4) -> (P, G), larger is nearer."""


class BoxMetric(ABC):
    """What a metric of detections is unless it says otherwise; it only has to score one class."""

    unit: ClassVar[str] = "fraction"
    higher_is_better: ClassVar[bool] = True
    kind: ClassVar[Kind] = "boxes"
    bootstrap: ClassVar[BootstrapUnit] = "sample"

    def __call__(
        self,
        truth: Truth,
        scores: Scores,
        *,
        classes: Sequence[str] | None = None,
        size: tuple[int, int] | None = None,
    ) -> dict[str, Score]:
        """Score one tuple per image, as the module says; ``""`` is the mean over object classes.

        ``size`` is the height and width of the images, for a metric of relative areas.
        """
        pictures, names = images(truth, scores, classes, size)
        return with_mean(names[1:], self.score(pictures, range(1, len(names))))

    @abstractmethod
    def score(self, pictures: Sequence[Image], numbers: range) -> list[Score]:
        """Score the detections of each class of objects in checked images."""


class Image(NamedTuple):
    """True and detected objects of one image; detections from the surest to the least sure.

    ``size`` is the height and width of the image, where they were told.
    """

    boxes: Floats
    labels: NDArray[np.int64]
    found: Floats
    found_labels: NDArray[np.int64]
    confidence: Floats
    size: tuple[int, int] | None


class Detections(NamedTuple):
    """All detections of one class, surest first, and the number of true objects of it."""

    hit: NDArray[np.bool_]
    confidence: Floats
    objects: int


def images(
    truth: Truth,
    scores: Scores,
    classes: Sequence[str] | None,
    size: tuple[int, int] | None = None,
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
        pictures.append(Image(boxes, labels, found[order], found_labels[order], sure[order], size))
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


class Found(NamedTuple):
    """Of one class: right detections, detections that are sure enough, and true objects."""

    hits: int
    said: int
    there: int

    @property
    def f1(self) -> Score:
        """Harmonic mean of precision and recall; None where there is neither."""
        total = self.said + self.there
        return 2 * self.hits / total if total else None


def sure_detections(
    pictures: Sequence[Image], numbers: range, affinity: Affinity, least: float, threshold: float
) -> list[Found]:
    """Count the detections of each class whose confidence is at least ``threshold``."""
    counts = []
    for number in numbers:
        matched = detections(pictures, number, affinity, least)
        # The surest choose first, so what is less sure changes nothing about them.
        said = int((matched.confidence >= threshold).sum())
        counts.append(Found(int(matched.hit[:said].sum()), said, matched.objects))
    return counts


@dataclass(frozen=True)
class OverlapMetric(BoxMetric):
    """A metric of the sure detections of a class and the objects they overlap."""

    iou: float = 0.5
    threshold: float = 0.5

    source: ClassVar[str] = (
        "van Rijsbergen: Information Retrieval, Butterworths 1979, chapter 7; Everingham, "
        "Van Gool, Williams, Winn, Zisserman: The Pascal Visual Object Classes Challenge, IJCV 2010"
    )

    def __post_init__(self) -> None:
        require(0 < self.iou <= 1, "iou", "in (0, 1]", self.iou)

    def score(self, pictures: Sequence[Image], numbers: range) -> list[Score]:
        """Score each class of objects."""
        counts = sure_detections(pictures, numbers, overlap, self.iou, self.threshold)
        return [self.of(found) for found in counts]

    @abstractmethod
    def of(self, counts: Found) -> Score:
        """Score one class of objects."""


def overlap(first: Floats, second: Floats) -> Floats:
    """(P, G) intersection over union; 0 where both boxes are empty.

    Example:
        >>> overlap(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2]]))  # 2 of 6
        array([[0.33333333]])
    """
    return core.box_iou(first, second)


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
