"""The workloads of the Rust kernels beside their peers: fixed sizes, data by Philox from seed 0."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn import metrics
from torchvision import ops

from pybench import core
from pybench.kernels import THREADS, Pair, Workload

workloads: list[Workload] = []


def row(
    kernel: str, workload: str, peer: str, target: float, size: int, small: bool = False
) -> Callable[[Callable[[int], Pair]], Callable[[int], Pair]]:
    """Register a workload; with ``small`` also at 10 and 1,000 elements, where the target is 1."""

    def register(make: Callable[[int], Pair]) -> Callable[[int], Pair]:
        workloads.append(Workload(kernel, workload, peer, target, size, make))
        for few in (10, 1000) if small else ():
            workloads.append(Workload(kernel, f"{few} elements", peer, 1, few, make, fixed=True))
        return make

    return register


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
