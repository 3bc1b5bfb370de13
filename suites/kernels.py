"""The workloads of the Rust kernels beside their peers: fixed sizes, data by Philox from seed 0."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn import metrics
from torchvision import io, ops
from torchvision.transforms import v2

from pybench import core
from pybench.performance.kernels import GOAL, THREADS, Pair, Workload

workloads: list[Workload] = []


def row(
    kernel: str,
    workload: str,
    peer: str,
    target: float,
    size: int,
    small: bool = False,
    repeats: int = 1,
) -> Callable[[Callable[[int], Pair]], Callable[[int], Pair]]:
    """Register a workload; with ``small`` also at 10 and 1,000 elements, where the target is 1.

    A peer too slow to be timed in full is timed in one part of ``repeats``, and its time scaled.
    """

    def register(make: Callable[[int], Pair]) -> Callable[[int], Pair]:
        workloads.append(Workload(kernel, workload, peer, target, size, make, repeats=repeats))
        for few in (10, 1000) if small else ():
            name = f"{few} elements"
            workloads.append(
                Workload(kernel, name, peer, 1, few, make, fixed=True, repeats=repeats)
            )
        return make

    return register


def bare(kernel: str, call: Callable[[], Any]) -> None:
    """Register what a call costs that has next to nothing to do."""

    def make(_: int) -> Pair:
        return call, CALL_S

    workloads.append(Workload(kernel, "bare call", GOAL, 1, 1, make, fixed=True))


CALL_S = 3e-6
"""Seconds that a bare call may take."""


def draws() -> np.random.Generator:
    return np.random.Generator(np.random.Philox(0))


# Counts and weights


@row("class_counts", "1e8 int64, C=8 uniform", "numpy.bincount", 3, 10**8, small=True)
def bincount(n: int) -> Pair:
    labels = draws().integers(0, 8, n)
    return lambda: core.class_counts(labels, 8), lambda: np.bincount(labels, minlength=8)


@row("class_counts", "1e8 int64, C=8 uniform", "torch.bincount", 3, 10**8, small=True)
def torch_bincount(n: int) -> Pair:
    labels = draws().integers(0, 8, n)
    tensor = torch.from_numpy(labels)
    return lambda: core.class_counts(labels, 8), lambda: torch.bincount(tensor, minlength=8)


@row("class_counts", "1e8 int64, C=1000 long-tailed", "numpy.bincount", 3, 10**8)
def long_tailed(n: int) -> Pair:
    labels = (1000 ** draws().random(n)).astype(np.int64) - 1
    return lambda: core.class_counts(labels, 1000), lambda: np.bincount(labels, minlength=1000)


@row("class_counts", "1e8 int64, C=8 uniform", "numpy.sum (read bandwidth)", 0.6, 10**8)
def bandwidth(n: int) -> Pair:
    labels = draws().integers(0, 8, n)
    slices = np.array_split(labels, THREADS)
    pool = ThreadPoolExecutor(THREADS)
    return lambda: core.class_counts(labels, 8), lambda: list(pool.map(np.sum, slices))


@row("class_balanced_weights", "1e8 int64 labels", "numpy.bincount + formula", 3, 10**8, small=True)
def balanced_weights(n: int) -> Pair:
    labels = draws().integers(0, 8, n)

    def peer() -> Any:
        counts = np.bincount(labels, minlength=8)
        weights = (1 - 0.999) / np.maximum(1 - 0.999**counts, 1e-12) * (counts > 0)
        return weights * (counts > 0).sum() / weights.sum()

    return lambda: core.class_balanced_weights(core.class_counts(labels, 8), 0.999), peer


# Random draws


@row("shuffle", "permutation of 1e7", "numpy.random.Generator.permutation", 1, 10**7, small=True)
def permutation(n: int) -> Pair:
    peer = draws()
    return lambda: core.shuffle(n), lambda: peer.permutation(n)


@row(
    "weighted_choice",
    "1e7 draws from 1e7 weights",
    "numpy.random.Generator.choice",
    3,
    10**7,
    small=True,
)
def choice(n: int) -> Pair:
    peer, weights = draws(), draws().random(n)
    shares = weights / weights.sum()
    return lambda: core.weighted_choice(weights, n), lambda: peer.choice(n, n, p=shares)


# Mining


def masked(*shape: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    stream = draws()
    return stream.random(shape, dtype=np.float32), stream.random(shape) < 0.99


def top_k(share: float) -> Callable[[int], Pair]:
    def make(n: int) -> Pair:
        losses, mask = masked(n)
        k = int(share * n)
        values, where = torch.from_numpy(losses), torch.from_numpy(mask)
        return (
            lambda: core.hard_negatives(losses, mask, k),
            lambda: torch.topk(torch.where(where, values, -torch.inf), k).indices,
        )

    return make


for k in (3_000, 30_000, 300_000):
    name = f"1e6 float32, 99 % negative, k={k}"
    row("hard_negatives", name, "torch.topk", 2, 10**6, small=k == 300_000)(top_k(k / 10**6))


@row("hard_negatives", "1e6 float32, 99 % negative, k=30000", "numpy.argpartition", 4, 10**6)
def argpartition(n: int) -> Pair:
    losses, mask = masked(n)
    k = 3 * n // 100
    return (
        lambda: core.hard_negatives(losses, mask, k),
        lambda: np.argpartition(np.where(mask, -losses, np.inf), k)[:k],
    )


ANCHORS = 8732


@row(
    "hard_negatives", "256 x 8732 float32 rows, ratio 3:1", "torch double argsort", 4, 256 * ANCHORS
)
def double_argsort(n: int) -> Pair:
    losses, mask = masked(max(1, n // ANCHORS), ANCHORS)
    values, where = torch.from_numpy(losses), torch.from_numpy(mask)

    def peer() -> Any:
        ranks = torch.where(where, values, -torch.inf).argsort(1, descending=True).argsort(1)
        return (ranks < 3 * (~where).sum(1, keepdim=True)).nonzero()

    return lambda: core.hard_negatives(losses, mask, ratio=3, per_row=True), peer


@row("hard_negatives", "256 x 8732 float32 rows, ratio 3:1", "torch.topk per row", 2, 256 * ANCHORS)
def padded_top_k(n: int) -> Pair:
    losses, mask = masked(max(1, n // ANCHORS), ANCHORS)
    values, where = torch.from_numpy(losses), torch.from_numpy(mask)

    def peer() -> Any:
        wanted = 3 * (~where).sum(1, keepdim=True)
        most = int(wanted.max())
        found = torch.topk(torch.where(where, values, -torch.inf), most, dim=1).indices
        return found[torch.arange(most) < wanted]

    return lambda: core.hard_negatives(losses, mask, ratio=3, per_row=True), peer


# Boxes


def boxes(*shape: int) -> NDArray[np.float32]:
    stream = draws()
    corner = 600 * stream.random((*shape, 2), dtype=np.float32)
    return np.concatenate([corner, corner + 1 + 60 * stream.random((*shape, 2), np.float32)], -1)


@row("box_iou", "5,000 x 5,000 float32", "torchvision.ops.box_iou", 3, 5000, small=True)
def all_pairs(n: int) -> Pair:
    a, b = boxes(n), boxes(n)[::-1].copy()
    left, right = torch.from_numpy(a), torch.from_numpy(b)
    return lambda: core.box_iou(a, b), lambda: ops.box_iou(left, right)


@row("box_iou", "1,000 pairs of sets 50 x 50", "torchvision.ops.box_iou", 3, 1000)
def sets(n: int) -> Pair:
    a, b = boxes(n, 50), boxes(n, 50)[::-1].copy()
    pairs = list(zip(torch.from_numpy(a), torch.from_numpy(b), strict=True))
    return lambda: core.box_iou(a, b), lambda: [ops.box_iou(*pair) for pair in pairs]


@row("nms", "10,000 boxes", "torchvision.ops.nms", 2, 10**4, small=True)
def suppression(n: int) -> Pair:
    a, scores = boxes(n), draws().random(n, dtype=np.float32)
    tensor, of = torch.from_numpy(a), torch.from_numpy(scores)
    return lambda: core.nms(a, scores, 0.5), lambda: ops.nms(tensor, of, 0.5)


# Detection


def detections(images: int, truths: int = 10, found: int = 30) -> tuple[list[Any], list[Any]]:
    """Objects of five classes; two thirds of them are found a little off, the rest is noise."""
    stream = draws()
    true, labels = boxes(images, truths), stream.integers(0, 5, (images, truths))
    said = boxes(images, found)[:, ::-1].copy()
    said_labels = stream.integers(0, 5, (images, found))
    near = 2 * truths // 3
    said[:, :near] = true[:, :near] + stream.random((images, near, 1), np.float32) * 9
    said_labels[:, :near] = labels[:, :near]
    sure = stream.random((images, found))
    return list(zip(true, labels, strict=True)), list(zip(said, said_labels, sure, strict=True))


def coco_eval(truth: list[Any], scores: list[Any]) -> Callable[[], Any]:
    """The evaluation of faster-coco-eval, its indices made beforehand."""
    from faster_coco_eval import COCO, COCOeval_faster

    def listed(entries: list[Any]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for image, (corners, labels, *sure) in enumerate(entries):
            sides = corners[:, 2:] - corners[:, :2]
            for k, label in enumerate(labels.tolist()):
                rows.append(
                    {
                        "id": len(rows) + 1,
                        "image_id": image,
                        "category_id": label,
                        "bbox": [*corners[k, :2].tolist(), *sides[k].tolist()],
                        "area": float(sides[k].prod()),
                        "iscrowd": 0,
                    }
                )
                if sure:
                    rows[-1]["score"] = float(sure[0][k])
        return rows

    images = [{"id": image, "width": 660, "height": 660} for image in range(len(truth))]
    categories = [{"id": label, "name": str(label)} for label in range(5)]
    known = COCO({"images": images, "categories": categories, "annotations": listed(truth)})
    found = known.loadRes(listed(scores))

    def run() -> Any:
        evaluation = COCOeval_faster(known, found, "bbox", print_function=lambda *_: None)
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
        return evaluation

    return run


@row(
    "mean_average_precision",
    "5,000 images, 10 truths, 30 detections, 5 classes",
    "faster-coco-eval",
    2,
    5000,
    small=True,
)
def detection(images: int) -> Pair:
    truth, scores = detections(images)
    return lambda: core.mean_average_precision(truth, scores), coco_eval(truth, scores)


# Copy-paste of objects


def scattered(images: int, most: int, height: int, width: int) -> list[NDArray[np.float64]]:
    """Up to ``most`` boxes per image, each a tenth to a third of its sides."""
    stream = draws()
    sides = (0.1 + 0.2 * stream.random((images, most, 2))) * (width, height)
    corner = stream.random((images, most, 2)) * ((width, height) - sides)
    every = np.concatenate([corner, corner + sides], -1)
    counts = stream.integers(0, most + 1, images)
    return [every[image, :count] for image, count in enumerate(counts)]


def planning(most: int, height: int, width: int, objects: int) -> Callable[[int], Pair]:
    def make(images: int) -> Pair:
        given = scattered(images, most, height, width)
        donors = [image for image in range(images) if len(given[image])]

        def peer() -> Any:
            stream, pastes = draws(), []
            for image in range(images):
                present = given[image]
                for _ in range(10):
                    if len(present) >= objects or len(donors) < 2:
                        break
                    donor = donors[stream.integers(len(donors))]
                    if donor == image:
                        continue
                    box = given[donor][stream.integers(len(given[donor]))][None]
                    near = ops.box_iou(torch.from_numpy(box), torch.from_numpy(present))
                    if not (near >= 0.1).any():
                        present = np.concatenate([present, box])
                        pastes.append((image, donor, box))
            return pastes

        size = (height, width)
        return lambda: core.plan_cutmix(given, size, max_objects=objects), peer

    return make


LOOP = "torchvision.ops.box_iou in a loop with numpy"
row("plan_cutmix", "10,000 images 32x24, 0..5 boxes, tau .1, M=4", LOOP, 20, 10**4, small=True)(
    planning(5, 24, 32, 4)
)
row("plan_cutmix", "10,000 images 640x480, 0..20 boxes, tau .1, M=8", LOOP, 20, 10**4)(
    planning(20, 480, 640, 8)
)


def pasting(height: int, width: int) -> Callable[[int], Pair]:
    def make(images: int) -> Pair:
        pictures = np.zeros((images, height, width, 3), np.uint8)
        plan = core.plan_cutmix(scattered(images, 5, height, width), (height, width))
        sides = plan["target"][:, 2:] - plan["target"][:, :2]
        source = np.ones(int(sides.prod(axis=1).sum()) * 3, np.uint8)
        target = np.empty_like(source)
        return lambda: core.apply_cutmix(pictures, plan), lambda: np.copyto(target, source)

    return make


COPY = "numpy.copyto of the pasted bytes"
row("apply_cutmix", "1,000 images 640x480x3 uint8 in place", COPY, 0.5, 1000)(pasting(480, 640))
for few in (10, 1000):
    small_images = pasting(24, 32)
    workloads.append(
        Workload("apply_cutmix", f"{few} elements", COPY, 1, few, small_images, fixed=True)
    )


# Ranking


def ranked(n: int, distinct: int | None = None) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    stream = draws()
    scores = stream.random(n, dtype=np.float32)
    if distinct is not None:
        np.floor(scores * np.float32(distinct), out=scores)
    truth = (stream.random(n) < 0.1).astype(np.int64)
    truth[:2] = 0, 1
    return truth, scores


@row("roc_auc", "1e7 float32, no ties", "scikit-learn", 10, 10**7, small=True)
def area(n: int) -> Pair:
    truth, scores = ranked(n)
    return lambda: core.roc_auc(truth, scores), lambda: metrics.roc_auc_score(truth, scores)


@row("roc_auc", "1e7 float32, 1,000 distinct values", "scikit-learn", 10, 10**7)
def area_of_ties(n: int) -> Pair:
    truth, scores = ranked(n, 1000)
    return lambda: core.roc_auc(truth, scores), lambda: metrics.roc_auc_score(truth, scores)


@row("average_precision", "1e7 float32", "scikit-learn", 10, 10**7, small=True)
def precision(n: int) -> Pair:
    truth, scores = ranked(n)
    return (
        lambda: core.average_precision(truth, scores),
        lambda: metrics.average_precision_score(truth, scores),
    )


@row("confusion_f1", "1e7 labels x 8 classes", "scikit-learn", 10, 10**7, small=True)
def confusion(n: int) -> Pair:
    truth, predicted = draws().integers(0, 8, (2, n))
    return (
        lambda: core.confusion_f1(truth, predicted, 8),
        lambda: (
            metrics.confusion_matrix(truth, predicted),
            metrics.f1_score(truth, predicted, average="macro"),
        ),
    )


# Resampling


def resampled(metric: Any, timed: int, truth: Any, predicted: Any, score: Any) -> Pair:
    """Of the peer's 1,000 resamples only some are timed."""
    stream, n = draws(), len(truth)
    groups = stream.integers(0, 290, n) if metric == "roc_auc" else np.arange(n)
    members = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]

    def peer() -> Any:
        for _ in range(timed):
            chosen = stream.integers(0, len(members), len(members))
            score(np.concatenate([members[group] for group in chosen]))

    mine = None if metric == "macro_f1" else groups
    return lambda: core.bootstrap(metric, truth, predicted, mine), peer


LOOPED = "scikit-learn in a loop"


@row(
    "bootstrap",
    "1,000 resamples, ROC-AUC, n=1e5, 290 groups",
    LOOPED,
    100,
    10**5,
    small=True,
    repeats=100,
)
def areas_again(n: int) -> Pair:
    truth, scores = ranked(n)
    truth[::2] = np.arange(len(truth[::2])) % 2  # so that hardly a resample is of one class
    return resampled(
        "roc_auc",
        10,
        truth,
        scores,
        lambda index: (
            len(set(truth[index])) == 2 and metrics.roc_auc_score(truth[index], scores[index])
        ),
    )


@row("bootstrap", "1,000 resamples, macro-F1, n=1e4 x 8", LOOPED, 100, 10**4, repeats=100)
def f1_again(n: int) -> Pair:
    truth, predicted = draws().integers(0, 8, (2, n))
    return resampled(
        "macro_f1",
        10,
        truth,
        predicted,
        lambda index: metrics.f1_score(truth[index], predicted[index], average="macro"),
    )


@row(
    "bootstrap",
    "1,000 resamples, mAP, 1,000 images",
    "faster-coco-eval in a loop",
    20,
    1000,
    repeats=333,
)
def detection_again(images: int) -> Pair:
    truth, scores = detections(images)
    runs = [coco_eval(truth, scores) for _ in range(3)]
    # Which images it is makes no difference to the time, so the peer's index is made beforehand.
    return (
        lambda: core.bootstrap("mean_average_precision", truth, scores),
        lambda: [run() for run in runs],
    )


# Pictures


def reading(height: int, width: int, side: int) -> Callable[[int], Pair]:
    def make(n: int) -> Pair:
        from torch.utils.data import DataLoader

        # A recorded call names the files, so they stay where they are.
        folder = Path(tempfile.gettempdir()) / f"pybench-jpegs-{os.getuid()}-{width}x{height}"
        folder.mkdir(exist_ok=True)
        files = [folder / f"{number}.jpg" for number in range(min(n, 100))]
        for number, file in enumerate(files):
            if file.exists():
                continue
            y, x = np.mgrid[:height, :width] / (5 + number)
            waves = np.stack([np.sin(x + y), np.cos(x - 2 * y), np.sin(3 * x)], -1)
            noise = 20 * draws().random((height, width, 3))
            picture = Image.fromarray((117 + 100 * waves + noise).astype(np.uint8))
            picture.save(part := file.with_suffix(f".{os.getpid()}"), "JPEG", quality=90)
            part.rename(file)
        # The pages of a hundred files are as hot as those of ten thousand on a machine with memory.
        paths = [str(files[number % len(files)]) for number in range(n)]
        loader = DataLoader(Jpegs(paths, side), batch_size=64, num_workers=min(2, n))
        return (
            lambda: core.read_images(paths, (side, side)),
            lambda: [len(batch) for batch in loader],
        )

    return make


TORCHVISION = "torchvision.io.decode_jpeg + v2.Resize in a DataLoader of 2 workers"
row("read_images", "10,000 JPEGs (400x300) -> 224x224 RGB", TORCHVISION, 1, 10**4)(
    reading(300, 400, 224)
)
for few in (10, 1000):
    thumbs = reading(24, 32, 16)
    workloads.append(
        Workload("read_images", f"{few} elements", TORCHVISION, 1, few, thumbs, fixed=True)
    )


class Jpegs(torch.utils.data.Dataset[torch.Tensor]):
    """What torchvision makes of some files."""

    def __init__(self, paths: list[str], side: int) -> None:
        self.paths = paths
        self.resize = v2.Resize((side, side), antialias=True)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        with warnings.catch_warnings():
            # The peer works, but announces that it moves to another package.
            warnings.simplefilter("ignore", DeprecationWarning)
            picture = io.decode_jpeg(io.read_file(self.paths[index]), mode=io.ImageReadMode.RGB)
        resized: torch.Tensor = self.resize(picture)
        return resized


# What a call costs

ONE, BOX = np.zeros(1, np.int64), np.array([[0.0, 0.0, 1.0, 1.0]])
PIXEL = np.zeros((1, 1, 1), np.uint8)
NO_PLAN = core.plan_cutmix([], (1, 1))

bare("class_counts", lambda: core.class_counts(ONE))
bare("effective_number", lambda: core.effective_number(ONE, 0.5))
bare("class_balanced_weights", lambda: core.class_balanced_weights(ONE + 1, 0.5))
bare("shuffle", lambda: core.shuffle(1))
bare("philox", lambda: core.philox(1, size=1))
bare("weighted_choice", lambda: core.weighted_choice(BOX[0, 2:], 1))
bare("hard_negatives", lambda: core.hard_negatives(BOX[0], BOX[0] > 0, 1))
bare("box_iou", lambda: core.box_iou(BOX, BOX))
bare("nms", lambda: core.nms(BOX, BOX[0, 2:3], 0.5))
bare("soft_nms", lambda: core.soft_nms(BOX, BOX[0, 2:3]))
bare("mean_average_precision", lambda: core.mean_average_precision([], []))
bare("plan_cutmix", lambda: core.plan_cutmix([], (1, 1)))
bare("apply_cutmix", lambda: core.apply_cutmix(PIXEL, NO_PLAN))
bare("read_images", lambda: core.read_images([], (1, 1)))
bare("roc_auc", lambda: core.roc_auc(ONE, BOX[0, :1]))
bare("average_precision", lambda: core.average_precision(ONE, BOX[0, :1]))
bare("pr_curve", lambda: core.pr_curve(ONE, BOX[0, :1]))
bare("confusion_f1", lambda: core.confusion_f1(ONE, ONE, 1))
bare("bootstrap", lambda: core.bootstrap("accuracy", ONE, ONE, resamples=0))
