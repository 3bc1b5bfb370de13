"""The kernels of metrics, mining and boxes against definitions written out."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics
from torchvision import ops

from pybench import core

# Longer than any block that a kernel works on without the thread pool.
LONG = 100_003

# Few distinct scores make ties; both precisions.
SAMPLES = st.integers(0, 25).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.int64, n, elements=st.integers(0, 1)),
        hnp.arrays(
            st.sampled_from([np.float32, np.float64]),
            n,
            elements=st.sampled_from([-2.5, -0.0, 0.0, 0.25, 1.0, 7.0]),
        ),
        st.none() | hnp.arrays(np.float64, n, elements=st.sampled_from([0.0, 0.5, 1.0, 3.0])),
    )
)


def weigh(truth: Any, weights: Any) -> Any:
    return np.ones(len(truth)) if weights is None else weights


# Ranking


@given(SAMPLES)
def test_roc_auc_is_the_share_of_pairs_in_order(samples: tuple[Any, Any, Any]) -> None:
    truth, scores, given_weights = samples
    weights = weigh(truth, given_weights)
    pairs = list(itertools.product(np.flatnonzero(truth == 1), np.flatnonzero(truth == 0)))
    total = sum(weights[p] * weights[n] for p, n in pairs)
    won = sum(
        weights[p] * weights[n] * (0.5 if scores[p] == scores[n] else float(scores[p] > scores[n]))
        for p, n in pairs
    )
    found = core.roc_auc(truth, scores, given_weights)
    assert found == (None if total == 0 else pytest.approx(won / total, abs=1e-12))


@given(SAMPLES)
def test_the_precision_recall_curve_says_what_each_threshold_gives(
    samples: tuple[Any, Any, Any],
) -> None:
    truth, scores, given_weights = samples
    weights = weigh(truth, given_weights)
    positives = weights[truth == 1].sum()
    curve = core.pr_curve(truth, scores, given_weights)
    precision_sum = core.average_precision(truth, scores, given_weights)
    if positives == 0:
        assert curve is None
        assert precision_sum is None
        return
    assert curve is not None
    precision, recall, thresholds = curve
    assert thresholds.tolist() == sorted(set(scores[weights > 0].tolist()))
    for p, r, threshold in zip(precision, recall, thresholds, strict=False):
        called = scores >= threshold
        hits = weights[called & (truth == 1)].sum()
        assert p == pytest.approx(hits / weights[called].sum(), abs=1e-12)
        assert r == pytest.approx(hits / positives, abs=1e-12)
    assert (precision[-1], recall[-1]) == (1, 0)
    assert precision_sum == pytest.approx(-np.diff(recall) @ precision[:-1], abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("distinct", [50, 10**9])
def test_many_samples_score_as_scikit_learn_says(dtype: Any, weighted: bool, distinct: int) -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(LONG) < 0.1
    scores = (rng.integers(0, distinct, LONG) / distinct + 0.1 * truth).astype(dtype)
    weights = rng.random(LONG) if weighted else None
    expected = metrics.roc_auc_score(truth, scores, sample_weight=weights)
    assert core.roc_auc(truth, scores, weights) == pytest.approx(expected, abs=1e-12)
    expected = metrics.average_precision_score(truth, scores, sample_weight=weights)
    assert core.average_precision(truth, scores, weights) == pytest.approx(expected, abs=1e-12)
    curve = core.pr_curve(truth, scores, weights)
    assert curve is not None
    for ours, theirs in zip(
        curve, metrics.precision_recall_curve(truth, scores, sample_weight=weights), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_each_class_is_ranked_against_the_rest() -> None:
    rng = np.random.default_rng(0)
    truth, scores = rng.integers(0, 3, 500), rng.random((500, 4))
    for kernel in (core.roc_auc, core.average_precision):
        alone = [kernel(truth == c, scores[:, c]) for c in range(4)]
        assert kernel(truth, scores) == alone
        assert alone[3] is None
        assert kernel(truth, np.asfortranarray(scores)) == alone
    curves = core.pr_curve(truth, scores)
    assert curves[3] is None
    for c in range(3):
        for ours, theirs in zip(curves[c], core.pr_curve(truth == c, scores[:, c]), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("share", [0.0, 1e-4, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_areas_of_many_samples_do_not_depend_on_how_scores_spread(
    share: float, scale: float, dtype: Any
) -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random(LONG) < share).astype(int)
    scores = (rng.normal(size=LONG) ** 9 * scale).astype(dtype)
    scores[::7] = scores[0]
    ranks = stats.rankdata(scores)
    positives = int(truth.sum())
    found = core.roc_auc(truth, scores)
    if positives in (0, LONG):
        assert found is None
        return
    above = ranks[truth == 1].sum() - positives * (positives + 1) / 2
    assert found == pytest.approx(above / positives / (LONG - positives), abs=1e-12)


# The confusion matrix


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40),
)
def test_confusion_counts_pairs_and_f1_is_the_harmonic_mean(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = [p[0] for p in pairs], [p[1] for p in pairs]
    found = core.confusion_f1(np.array(truth, int), np.array(predicted, int), 4)
    assert found["confusion"].tolist() == [
        [pairs.count((t, p)) for p in range(4)] for t in range(4)
    ]
    f1 = []
    for c in range(4):
        hits = pairs.count((c, c))
        precision = hits / predicted.count(c) if c in predicted else np.nan
        recall = hits / truth.count(c) if c in truth else np.nan
        np.testing.assert_allclose(found["precision"][c], precision)
        np.testing.assert_allclose(found["recall"][c], recall)
        if c in truth or c in predicted:
            f1.append(2 * hits / (truth.count(c) + predicted.count(c)))
            np.testing.assert_allclose(found["f1"][c], f1[-1])
        else:
            assert np.isnan(found["f1"][c])
    assert found["macro_f1"] == (pytest.approx(np.mean(f1)) if f1 else None)


@pytest.mark.parametrize("n", [0, 50, 300_000])
def test_weights_of_predictions_are_summed(n: int) -> None:
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 3, (2, n))
    weights = rng.random(n)
    found = core.confusion_f1(truth, predicted, 4, weights)
    expected = np.zeros((4, 4))
    np.add.at(expected, (truth, predicted), weights)
    np.testing.assert_allclose(found["confusion"], expected, rtol=1e-12)
    assert found["absent"] == (4 if n == 0 else 1)
    if n:
        f1 = metrics.f1_score(truth, predicted, sample_weight=weights, average="macro")
        assert found["macro_f1"] == pytest.approx(f1, abs=1e-12)


def test_many_predictions_score_as_scikit_learn_says() -> None:
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 8, (2, LONG))
    found = core.confusion_f1(truth, predicted, 8)
    np.testing.assert_array_equal(found["confusion"], metrics.confusion_matrix(truth, predicted))
    expected = metrics.precision_recall_fscore_support(truth, predicted)
    for name, values in zip(("precision", "recall", "f1"), expected, strict=False):
        np.testing.assert_allclose(found[name], values, rtol=1e-12)  # type: ignore[literal-required]
    expected = metrics.f1_score(truth, predicted, average="macro")
    assert found["macro_f1"] == pytest.approx(expected, abs=1e-12)


# Hard negatives


def hardest(losses: Any, mask: Any, k: int) -> list[int]:
    """The first k of the negatives by falling loss, then by index."""
    return sorted(np.flatnonzero(mask), key=lambda index: (-losses[index], index))[:k]


LOSSES = st.tuples(st.integers(1, 4), st.integers(0, 12)).flatmap(
    lambda shape: st.tuples(
        hnp.arrays(
            st.sampled_from([np.float32, np.float64]),
            shape,
            elements=st.sampled_from([-1.0, 0.0, 0.5, 2.0, 3.0]),
        ),
        hnp.arrays(np.bool_, shape),
    )
)


@given(LOSSES, st.integers(0, 20), st.none() | st.integers(0, 5))
def test_hard_negatives_are_the_first_of_a_stable_sort(
    data: tuple[Any, Any], k: int, k_max: int | None
) -> None:
    losses, mask = data
    most = k if k_max is None else min(k, k_max)
    found = core.hard_negatives(losses, mask, k, k_max=k_max)
    assert found.tolist() == hardest(losses.ravel(), mask.ravel(), most)


@given(LOSSES, st.sampled_from([0.0, 0.5, 1.0, 3.0]), st.integers(0, 3), st.integers(0, 9))
def test_a_ratio_counts_negatives_for_each_positive_of_the_row(
    data: tuple[Any, Any], ratio: float, k_min: int, k_max: int
) -> None:
    losses, mask = data
    expected = []
    for row, (of_row, mask_of_row) in enumerate(zip(losses, mask, strict=True)):
        k = min(max(int(ratio * (~mask_of_row).sum()), k_min), k_max)
        expected += [row * losses.shape[1] + index for index in hardest(of_row, mask_of_row, k)]
    found = core.hard_negatives(losses, mask, ratio=ratio, per_row=True, k_min=k_min, k_max=k_max)
    assert found.tolist() == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [0, 1, 300, 30_000, LONG])
@pytest.mark.parametrize("distinct", [3, 10**9])
def test_hard_negatives_of_many(dtype: Any, k: int, distinct: int) -> None:
    rng = np.random.default_rng(0)
    losses = (rng.integers(0, distinct, LONG) / distinct).astype(dtype)
    mask = rng.random(LONG) < 0.9
    order = np.argsort(-losses, kind="stable")
    expected = order[mask[order]][:k]
    np.testing.assert_array_equal(core.hard_negatives(losses, mask, k), expected)


def test_losses_that_are_not_finite_matter_only_where_they_are_negatives() -> None:
    losses, mask = [1.0, np.nan, np.inf, 2.0], [True, False, False, True]
    assert core.hard_negatives(losses, mask, 9).tolist() == [3, 0]
    assert core.hard_negatives(losses, [True] * 4, 3, nan="first").tolist() == [1, 2, 3]


# Boxes


def random_boxes(rng: np.random.Generator, *shape: int, dtype: Any = np.float64) -> NDArray[Any]:
    corner, size = rng.integers(0, 12, (*shape, 2)), rng.integers(1, 8, (*shape, 2))
    return np.concatenate([corner, corner + size], -1).astype(dtype)


@given(st.integers(0, 2**32), st.integers(0, 6), st.integers(0, 6))
def test_iou_of_whole_boxes_counts_their_cells(seed: int, rows: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = random_boxes(rng, rows), random_boxes(rng, columns)

    def cells(box: Any) -> set[tuple[int, int]]:
        x1, y1, x2, y2 = map(int, box)
        return set(itertools.product(range(x1, x2), range(y1, y2)))

    expected = [[len(cells(i) & cells(j)) / len(cells(i) | cells(j)) for j in b] for i in a]
    found = core.box_iou(a, b)
    assert found.shape == (rows, columns)
    np.testing.assert_allclose(found, np.reshape(expected, (rows, columns)), rtol=1e-15)


WITNESSES = {
    "iou": ops.box_iou,
    "giou": ops.generalized_box_iou,
    "diou": ops.distance_box_iou,
    "ciou": ops.complete_box_iou,
}


@pytest.mark.parametrize("kind", WITNESSES)
@pytest.mark.parametrize(("dtype", "close"), [(np.float32, 2e-6), (np.float64, 1e-7)])
def test_overlaps_are_torchvisions(kind: Any, dtype: Any, close: float) -> None:
    rng = np.random.default_rng(0)
    a, b = random_boxes(rng, 300, dtype=dtype), random_boxes(rng, 400, dtype=dtype)
    expected = WITNESSES[kind](torch.from_numpy(a), torch.from_numpy(b)).numpy()
    found = core.box_iou(a, b, kind)
    assert found.dtype == dtype
    # torchvision adds 1e-7 to its denominators.
    np.testing.assert_allclose(found, expected, rtol=0, atol=close)
    sets = core.box_iou(a.reshape(3, 100, 4), b[:60].reshape(3, 20, 4), kind)
    for number in range(3):
        block = found[100 * number : 100 * (number + 1), 20 * number : 20 * (number + 1)]
        np.testing.assert_array_equal(sets[number], block)


def test_boxes_without_area_overlap_nothing() -> None:
    point, line, box = [1, 1, 1, 1], [0, 1, 4, 1], [0, 0, 2, 2]
    assert core.box_iou([point, line], [point, line, box]).tolist() == [[0] * 3] * 2
    for kind in ("giou", "diou", "ciou"):
        assert np.isfinite(core.box_iou([point, line, box], [point, line, box], kind)).all()


def suppressed(boxes: Any, scores: Any, threshold: float, labels: Any) -> list[int]:
    """Take the best box left, strike out what overlaps it, and so on."""
    left = sorted(range(len(boxes)), key=lambda index: (-scores[index], index))
    kept = []
    while left:
        best = left.pop(0)
        kept.append(best)
        near = ops.box_iou(torch.tensor(boxes[[best]]), torch.tensor(boxes))[0] > threshold
        left = [i for i in left if labels[i] != labels[best] or not near[i]]
    return kept


@given(st.integers(0, 2**32), st.integers(1, 25), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_suppression_keeps_the_best_of_each_crowd(seed: int, n: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    boxes, scores = random_boxes(rng, n), rng.integers(0, 5, n) / 4
    labels = rng.integers(0, 3, n)
    found = core.nms(boxes, scores, threshold, labels)
    assert found.tolist() == suppressed(boxes, scores, threshold, labels)
    alone = core.nms(boxes, scores, threshold)
    assert alone.tolist() == suppressed(boxes, scores, threshold, np.zeros(n))


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 15), st.sampled_from(["linear", "gaussian"]))
def test_soft_suppression_lowers_what_overlaps_a_better_box(seed: int, n: int, decay: Any) -> None:
    rng = np.random.default_rng(seed)
    boxes, labels = random_boxes(rng, n), rng.integers(0, 2, n)
    scores = rng.integers(1, 9, n) / 8
    overlap = ops.box_iou(torch.tensor(boxes), torch.tensor(boxes)).numpy()
    left = dict(enumerate(scores.tolist()))
    expected = []
    while left:
        best = max(left, key=lambda index: (left[index], -index))
        expected.append((best, left.pop(best)))
        for index in left:
            near = overlap[best, index] * (labels[best] == labels[index])
            soft = np.exp(-(near**2) / 0.5) if decay == "gaussian" else 1 - near * (near > 0.3)
            left[index] *= soft
        left = {index: score for index, score in left.items() if score >= 0.1}
    places, found = core.soft_nms(boxes, scores, labels, decay=decay, min_score=0.1)
    assert places.tolist() == [index for index, _ in expected]
    np.testing.assert_allclose(found, [score for _, score in expected], rtol=1e-12)


def test_suppression_of_many_boxes_is_torchvisions() -> None:
    rng = np.random.default_rng(0)
    corner = rng.random((3000, 2), dtype=np.float32) * 100
    boxes = np.concatenate([corner, corner + 20 * rng.random((3000, 2), dtype=np.float32)], 1)
    scores = rng.permutation(3000).astype(np.float32)
    expected = ops.nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.5)
    np.testing.assert_array_equal(core.nms(boxes, scores, 0.5), expected)


# The way in


def test_nothing_in_gives_nothing_out() -> None:
    nothing: list[float] = []
    none = np.zeros(0, dtype=np.int64)
    assert core.roc_auc(none, nothing) is None
    assert core.average_precision(none, nothing) is None
    assert core.pr_curve(none, nothing) is None
    assert core.confusion_f1(none, none, 2)["macro_f1"] is None
    assert core.hard_negatives(nothing, none.astype(bool), 3).tolist() == []
    assert core.box_iou(np.zeros((0, 4)), np.zeros((3, 4))).shape == (0, 3)
    assert core.box_iou(np.zeros((0, 2, 4)), np.zeros((0, 3, 4))).shape == (0, 2, 3)
    assert core.nms(np.zeros((0, 4)), nothing, 0.5).tolist() == []


def test_arrays_with_gaps_backwards_and_read_only_are_read() -> None:
    rng = np.random.default_rng(0)
    truth, scores = rng.integers(0, 2, 90), rng.random(90).astype(np.float32)
    boxes = random_boxes(rng, 30)
    for array in (truth, scores, boxes):
        array.flags.writeable = False
    for cut in (slice(None, None, 3), slice(None, None, -1)):
        expected = core.roc_auc(truth[cut].copy(), scores[cut].copy())
        assert core.roc_auc(truth[cut], scores[cut]) == expected
        mined = core.hard_negatives(scores[cut].copy(), truth[cut] > 0, 9)
        assert core.hard_negatives(scores[cut], truth[cut] > 0, 9).tolist() == mined.tolist()
        kept = core.nms(boxes[cut].copy(), scores[:30][cut].copy(), 0.3)
        assert core.nms(boxes[cut], scores[:30][cut], 0.3).tolist() == kept.tolist()


BOX = "boxes must be finite corners x1, y1, x2, y2 with x1 <= x2 and y1 <= y2, got"
MEND = "convert boxes of centre and size, and drop broken ones"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: core.roc_auc([0, 2], [0.1, 0.2]),
            "truth must be in 0..=1, got 2 at index 1; number the classes from 0",
        ),
        (
            lambda: core.roc_auc([0, 3], np.zeros((2, 3))),
            "truth must be in 0..=2, got 3 at index 1; number the classes from 0",
        ),
        (
            lambda: core.average_precision([0, 1], [0.1, np.nan]),
            "scores must be finite, got NaN at index 1; repair or leave out that item",
        ),
        (
            lambda: core.roc_auc([0, 1], [[0.1, 1], [-np.inf, 0]]),
            "scores must be finite, got -inf at index 1; repair or leave out that item",
        ),
        (
            lambda: core.pr_curve([0, 1], [0.1]),
            "scores must be as long as truth, 2, got 1; give one item for each",
        ),
        (
            lambda: core.pr_curve([0, 1], [[[0.1], [0.2]]]),
            "scores must be of shape (N,) or (N, C), got (1, 2, 1); reshape it",
        ),
        (
            lambda: core.roc_auc([0, 1], [0.1, 1], [1]),
            "weights must be as long as truth, 2, got 1; give one item for each",
        ),
        (
            lambda: core.roc_auc([0, 1], [0.1, 1], [1, -2]),
            "weights must be finite and >= 0, got -2 at index 1; "
            "give 0 to an item that is never drawn",
        ),
        (
            lambda: core.confusion_f1([0, 1], [0, -1], 2),
            "predicted must be in 0..=1, got -1 at index 1; number the classes from 0",
        ),
        (
            lambda: core.confusion_f1([0], [0, 1], 2),
            "predicted must be as long as truth, 1, got 2; give one item for each",
        ),
        (
            lambda: core.confusion_f1([0, 1], [0, 1], 2, [1]),
            "weights must be as long as truth, 2, got 1; give one item for each",
        ),
        (
            lambda: core.confusion_f1([0, 1], [0, 1], 2, [1, np.nan]),
            "weights must be finite and >= 0, got NaN at index 1; "
            "give 0 to an item that is never drawn",
        ),
        (
            lambda: core.confusion_f1([0], [0], 5000),
            "num_classes must be in 1..=1024, got 5000; merge rare classes",
        ),
        (
            lambda: core.hard_negatives([0.5, np.inf], [True, True], 1),
            "losses must be finite, got inf at index 1; repair or leave out that item",
        ),
        (
            lambda: core.hard_negatives([0.5], [True]),
            "k or ratio must be given, and only one of them, got neither; "
            "ratio counts negatives for each positive",
        ),
        (
            lambda: core.hard_negatives([0.5], [True], ratio=-1),
            "ratio must be finite and >= 0, got -1; 3 negatives for each positive are usual",
        ),
        (
            lambda: core.hard_negatives([0.5], [True, False], 1),
            "negative_mask must be of the shape of losses, [1], got [2]; mark each loss",
        ),
        (
            lambda: core.hard_negatives([0.5], [True], 1, per_row=True),
            "losses must be of shape (R, N) for per_row=True, got one axis; leave per_row out",
        ),
        (
            lambda: core.hard_negatives([0.5], [True], 1, nan="last"),  # type: ignore[arg-type]
            "nan must be 'refuse' or 'first', got 'last'; 'first' takes NaN for the hardest",
        ),
        (
            lambda: core.box_iou([[0, 0, 1]], [[0, 0, 1, 1]]),
            "a must be of shape (N, 4) or (S, N, 4), got (1, 3); reshape it",
        ),
        (
            lambda: core.box_iou([[0, 0, 1, 1]], [[0, 0, 1, 1]], "dice"),  # type: ignore[arg-type]
            "kind must be 'iou', 'giou', 'diou' or 'ciou', got 'dice'; 'iou' is the usual choice",
        ),
        (
            lambda: core.box_iou(np.zeros((2, 1, 4)), np.zeros((3, 1, 4))),
            "b must be of as many sets as a, [2, 1, 4], got [3, 1, 4]; pair the sets",
        ),
        (
            lambda: core.nms([[0, 0, 1, 1], [2, 0, 1, 1]], [1, 2], 0.5),
            f"{BOX} [2.0, 0.0, 1.0, 1.0] at index 1; {MEND}",
        ),
        (
            lambda: core.nms([[0, 0, 1, np.nan]], [1], 0.5),
            f"{BOX} [0.0, 0.0, 1.0, NaN] at index 0; {MEND}",
        ),
        (
            lambda: core.nms([[0, 0, 1, 1]], [1], 1.5),
            "iou_threshold must be in [0, 1], got 1.5; 0.5 is usual",
        ),
        (
            lambda: core.nms([[0, 0, 1, 1]], [np.nan], 0.5),
            "scores must be finite, got NaN at index 0; repair or leave out that item",
        ),
        (
            lambda: core.soft_nms([[0, 0, 1, 1]], [1], decay="hard"),  # type: ignore[arg-type]
            "decay must be 'linear' or 'gaussian', got 'hard'; 'gaussian' has no threshold",
        ),
        (
            lambda: core.soft_nms([[0, 0, 1, 1]], [1], decay="linear", iou_threshold=2),
            "iou_threshold must be in [0, 1], got 2; 0.3 is usual",
        ),
        (
            lambda: core.soft_nms([[0, 0, 1, 1]], [1], sigma=0),
            "sigma must be finite and > 0, got 0; 0.5 is usual",
        ),
        (
            lambda: core.soft_nms([[0, 0, 1, 1]], [1], min_score=np.nan),
            "min_score must be a number, got NaN; 0.001 is usual",
        ),
        (
            lambda: core.nms([[0, 0, 1, 1]], [1], 0.5, [1, 2]),
            "labels must be as long as boxes, 1, got 2; give one item for each",
        ),
    ],
)
def test_what_is_refused_is_named_with_its_rule(call: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == message


def test_a_mask_that_is_no_mask_is_refused() -> None:
    with pytest.raises(TypeError) as caught:
        core.hard_negatives([0.5], [1], 1)
    assert str(caught.value) == (
        "negative_mask must be of dtype bool, got int64; compare or convert it with .astype(bool)"
    )
