"""Contracts of every metric, and scikit-learn as the witness for each."""

from __future__ import annotations

import dataclasses
import doctest
import math
import sys
import warnings
from functools import partial

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from pybench.metrics import metrics
from pybench.registry import SpecError
from pybench.scoring import score_classes
from pybench.tasks import Dataset

OF_CLASSES = [name for name in metrics if metrics[name].kind == "classes"]
of_classes = pytest.mark.parametrize("name", OF_CLASSES)
every_metric = pytest.mark.parametrize("name", metrics)


def build(name, classes=3):
    """A metric of classes by name, told some training counts when it reads them."""
    metric = metrics.build(name)
    counts = [200, 50, 5, 50, 5][:classes]
    return partial(metric, counts=counts) if hasattr(metric, "reads_counts") else metric


def as_probabilities(scores):
    exponentials = np.exp(scores)
    return exponentials / exponentials.sum(1, keepdims=True)


@st.composite
def problems(draw):
    classes, size = draw(st.integers(2, 5)), draw(st.integers(1, 40))
    truth = draw(st.lists(st.integers(0, classes - 1), min_size=size, max_size=size))
    # Few distinct scores, so that ties are the rule; a permutation per row keeps argmax unique.
    rows = [draw(st.permutations([k / 8 for k in range(classes)])) for _ in range(size)]
    return np.array(truth), as_probabilities(np.array(rows))


def witness(name, truth, scores):
    classes, predicted = scores.shape[1], scores.argmax(1)
    overall_only = {
        "accuracy": sk.accuracy_score,
        "balanced_accuracy": sk.balanced_accuracy_score,
        "micro_f1": partial(sk.f1_score, average="micro"),
        "weighted_f1": partial(sk.f1_score, average="weighted"),
        "mcc": sk.matthews_corrcoef,
        "kappa": sk.cohen_kappa_score,
    }
    if name in overall_only:
        value = overall_only[name](truth, predicted)
        constant = name == "mcc" and len(set(truth)) == 1
        return {"": None if constant or math.isnan(value) else value}
    if name == "g_mean":
        recalls = sk.recall_score(truth, predicted, average=None, labels=np.unique(truth))
        return {"": np.prod(recalls) ** (1 / len(recalls))}
    if name in ("nll", "brier"):

        def mean_loss(rows):
            if not rows.any():
                return None
            if name == "nll":
                return sk.log_loss(truth[rows], scores[rows], labels=range(classes))
            return sum(
                sk.brier_score_loss(truth[rows] == c, scores[rows, c], pos_label=True)
                for c in range(classes)
            )

        return {"": mean_loss(truth >= 0)} | {str(c): mean_loss(truth == c) for c in range(classes)}
    each = {}
    for c in range(classes):
        there, said = truth == c, predicted == c
        ranked = {"average_precision": sk.average_precision_score, "roc_auc": sk.roc_auc_score}
        if name in ranked:
            defined = there.any() and not (name == "roc_auc" and there.all())
            each[str(c)] = ranked[name](there, scores[:, c]) if defined else None
            continue
        precision, recall, f1, _ = sk.precision_recall_fscore_support(
            there, said, average="binary", zero_division=np.nan
        )
        value = {"precision": precision, "recall": recall}.get(name, f1)
        each[str(c)] = None if math.isnan(value) else value
    defined = [v for v in each.values() if v is not None]
    overall = {"": float(np.mean(defined)) if defined else None}
    return overall if name == "macro_f1" else overall | each


WITHOUT_A_WITNESS = {"ece", "adaptive_ece", "classwise_ece", "shot_split"}


@pytest.mark.parametrize("name", sorted(set(OF_CLASSES) - WITHOUT_A_WITNESS))
@given(problem=problems())
def test_a_metric_agrees_with_scikit_learn(name, problem):
    found = metrics.build(name)(*problem)
    for value in found.values():
        assert value is None or math.isfinite(value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about the absent classes that we leave out
        expected = witness(name, *problem)
    assert found == pytest.approx(expected, abs=1e-12)


@given(problem=problems())
def test_macro_f1_is_that_of_scikit_learn(problem):
    truth, scores = problem
    expected = sk.f1_score(truth, scores.argmax(1), average="macro")
    assert metrics.build("macro_f1")(truth, scores)[""] == pytest.approx(expected, abs=1e-12)


@of_classes
def test_values_are_named_by_class_and_do_not_depend_on_the_order(name):
    rng = np.random.default_rng(0)
    truth, scores = rng.integers(0, 3, 30), as_probabilities(rng.normal(size=(30, 3)))
    metric = build(name)
    found = metric(truth, scores, classes=["a", "b", "c"])
    assert "" in found and set(found) <= {"", "a", "b", "c", "many", "medium", "few"}
    order = rng.permutation(30)
    again = metric(truth[order], scores[order], classes=["a", "b", "c"])
    assert again == pytest.approx(found, rel=1e-12)


@of_classes
def test_no_sample_gives_none_and_never_nan(name):
    found = build(name)(np.array([], dtype=int), np.zeros((0, 3)))
    assert all(value is None for value in found.values())


@of_classes
def test_a_perfect_score_is_the_best_even_when_a_class_is_absent(name):
    truth = np.array([0, 0, 2, 2])
    metric = build(name, classes=4)
    found = metric(truth, np.eye(4)[truth])
    best = 1 if metrics[name].higher_is_better else 0
    assert found[""] == best
    assert all(value in (None, best) for value in found.values())


@of_classes
def test_bad_input_is_named(name):
    metric = build(name, classes=2)
    with pytest.raises(ValueError, match=r"truth must be in \[0, 2\), got 2 at sample 1"):
        metric([0, 2], np.eye(2))
    with pytest.raises(ValueError, match="scores must be finite, got nan at sample 1"):
        metric([0, 1], [[0, 1], [math.nan, 0]])
    with pytest.raises(ValueError, match=r"truth and scores must be of shape \(N,\) and \(N, C\)"):
        metric([0, 1, 1], np.eye(2))
    with pytest.raises(ValueError, match="classes must be 2 names, got 1"):
        metric([0, 1], np.eye(2), classes=["only"])
    with pytest.raises(ValueError, match="truth must be class indices"):
        metric([0.5, 1.0], np.eye(2))


@every_metric
def test_a_metric_says_what_it_is(name):
    cls = metrics[name]
    assert cls.unit and cls.source
    assert isinstance(cls.higher_is_better, bool)
    assert cls.bootstrap in ("sample", "group")
    assert dataclasses.is_dataclass(cls)
    found = doctest.DocTestFinder().find(cls, name, module=sys.modules[cls.__module__])
    assert sum(len(test.examples) for test in found) > 0


# Calibration


@pytest.mark.parametrize("name", ["ece", "adaptive_ece", "classwise_ece", "brier", "nll"])
def test_logits_are_no_probabilities(name):
    with pytest.raises(ValueError, match="scores must be probabilities that sum to 1"):
        metrics.build(name)([0, 1], [[0.5, 0.5], [2.0, -1.0]])


def gap_of_bin(claimed, happened, inside):
    if not inside.any():
        return 0
    return inside.mean() * abs(claimed[inside].mean() - happened[inside].mean())


@given(problem=problems(), bins=st.integers(1, 20))
def test_calibration_is_the_gap_of_each_bin_weighted_by_its_samples(problem, bins):
    truth, scores = problem
    edges = [(b / bins, (b + 1) / bins) for b in range(bins)]

    def expected(claimed, happened):
        within = [(low < claimed) & (claimed <= high) for low, high in edges]
        return sum(gap_of_bin(claimed, happened, inside) for inside in within)

    right = scores.argmax(1) == truth
    found = metrics.build(f"ece(bins={bins})")(truth, scores)
    assert found[""] == pytest.approx(expected(scores.max(1), right), abs=1e-12)
    found = metrics.build(f"classwise_ece(bins={bins})")(truth, scores)
    for c in range(scores.shape[1]):
        assert found[str(c)] == pytest.approx(expected(scores[:, c], truth == c), abs=1e-12)


@given(st.integers(1, 8), st.integers(1, 6), st.integers(0, 100))
def test_adaptive_bins_hold_equally_many_samples(bins, size, seed):
    rng = np.random.default_rng(seed)
    sure = np.sort(0.5 + rng.random(bins * size) / 2)
    truth = rng.integers(0, 2, bins * size)
    groups = np.arange(bins * size) // size
    expected = sum(gap_of_bin(sure, truth == 0, groups == b) for b in range(bins))
    found = metrics.build(f"adaptive_ece(bins={bins})")(truth, np.stack([sure, 1 - sure], 1))
    assert found[""] == pytest.approx(expected, abs=1e-12)


# Shots


def test_classes_are_split_by_their_training_samples():
    metric = metrics.build("shot_split(many=10, few=3)")
    truth = np.array([0, 1, 1, 2, 3, 3])
    guess = np.eye(5)[[0, 1, 0, 0, 3, 3]]
    counts = [11, 10, 3, 2, 0]  # class 1 and 2 are medium, the thresholds belong to them
    found = metric(truth, guess, counts=counts)
    assert found == {"": 0.625, "many": 1, "medium": 0.25, "few": 1}
    with pytest.raises(ValueError, match="counts must be training samples of each of 5 classes"):
        metric(truth, guess)
    with pytest.raises(SpecError, match="few must be in"):
        metrics.build("shot_split(many=2)")


# Videos


@st.composite
def films(draw):
    size = draw(st.integers(1, 6))
    lengths = st.integers(1, 7)
    truth = [
        np.array(draw(st.lists(st.sampled_from([-1, -1, 0, 1]), min_size=n, max_size=n)))
        for n in [draw(lengths) for _ in range(size)]
    ]
    snippets = st.lists(st.integers(0, 4).map(lambda s: s / 4), min_size=1, max_size=4)
    return truth, [np.array(draw(snippets)) for _ in range(size)]


def frame_by_frame(truth, scores):
    """Per video (whether each frame is abnormal, score of each frame), the slow way."""
    return [
        (labels >= 0, np.array([s[f * len(s) // len(labels)] for f in range(len(labels))]))
        for labels, s in zip(truth, scores, strict=True)
    ]


def area(score, parts):
    if not parts:
        return None
    there, said = (np.concatenate(column) for column in zip(*parts, strict=True))
    if not there.any() or (there.all() and score is sk.roc_auc_score):
        return None
    return score(there, said)


@given(films())
def test_frames_are_ranked_as_scikit_learn_ranks_them(film):
    truth, _ = film
    parts = frame_by_frame(*film)
    bad = [k for k, (there, _) in enumerate(parts) if there.any()]
    good = [k for k in range(len(parts)) if k not in bad]
    of = {c: [k for k in bad if (truth[k] == c).any()] for c in (0, 1)}

    def expected(score, groups):
        return {name: area(score, [parts[k] for k in group]) for name, group in groups.items()}

    total = {"": [*bad, *good], "a": [*of[0], *good], "b": [*of[1], *good]}
    pooled = {"": bad, "a": of[0], "b": of[1]}
    for spec, score, groups in [
        ("vad_auc", sk.roc_auc_score, total),
        ("vad_ap", sk.average_precision_score, total),
        ("vad_auc(protocol='abnormal_pooled')", sk.roc_auc_score, pooled),
    ]:
        found = metrics.build(spec)(*film, classes=["a", "b"])
        assert found == pytest.approx(expected(score, groups), abs=1e-12), spec
    macro = metrics.build("vad_auc(protocol='abnormal_macro')")(*film, classes=["a", "b"])
    each = expected(sk.roc_auc_score, {"a": of[0], "b": of[1]})
    defined = [value for value in each.values() if value is not None]
    overall = np.mean(defined) if defined else None
    assert macro == pytest.approx({"": overall, **each}, abs=1e-12)
    alarms = metrics.build("false_alarm_rate")(*film)[""]
    quiet = np.concatenate([parts[k][1] for k in good]) if good else None
    assert alarms == (None if quiet is None else pytest.approx((quiet >= 0.5).mean()))


def test_pairs_of_videos_are_shuffled_by_the_seed_and_use_each_normal_one_alike():
    truth = [np.array([-1, 0])] * 4 + [np.array([-1])] * 2
    scores = [np.array([0.0, 0.5])] * 4 + [np.array([0.25]), np.array([1.0])]
    # An abnormal video wins both pairs beside the first normal video, one of two beside the other.
    for seed in range(5):
        found = metrics.build(f"vad_auc(protocol='paired', seed={seed})")(truth, scores)
        assert found == {"": 0.75, "0": 0.75}
    one = truth[:1] + truth[4:], scores[:1] + scores[4:]
    values = {
        metrics.build(f"vad_auc(protocol='paired', seed={seed})")(*one)[""] for seed in range(20)
    }
    assert values == {0.5, 1.0}
    alone = metrics.build("vad_auc(protocol='paired')")(truth[:1], scores[:1], classes=["a"])
    assert alone == {"": None, "a": None}


@pytest.mark.parametrize(
    ("truth", "scores", "message"),
    [
        ([[0]], [[0.1], [0.2]], "scores must be of 1 videos, got 2"),
        ([[0], []], [[0.1], [0.2]], r"got \(0,\) and \(1,\) in video 1"),
        ([[0.5]], [[0.1]], "truth must be the class of each frame"),
        ([[2]], [[0.1]], r"truth must be in \[-1, 2\), got 2"),
        ([[-2]], [[0.1]], r"truth must be in \[-1, 2\), got -2"),
        ([[0]], [[math.nan]], "scores must be finite"),
    ],
)
@pytest.mark.parametrize("name", [n for n in metrics if metrics[n].kind == "bags"])
def test_bad_videos_are_named(name, truth, scores, message):
    with pytest.raises(ValueError, match=message):
        metrics.build(name)(truth, scores, classes=["a", "b"])


# Boxes


@st.composite
def scenes(draw):
    """Images with few places and sizes, so that overlaps, ties and misses are the rule."""
    corner = st.tuples(st.integers(0, 4), st.integers(0, 4))
    side = st.integers(1, 3)

    def some(most):
        boxes = draw(st.lists(st.tuples(corner, side, side), max_size=most))
        return [[x, y, x + w, y + h] for (x, y), w, h in boxes]

    truth, scores, sureness = [], [], draw(st.permutations([k / 20 for k in range(20)]))
    for _ in range(draw(st.integers(1, 3))):
        true, said = some(4), some(5)
        classes = st.integers(1, 2)
        truth.append((true, [draw(classes) for _ in true]))
        scores.append((said, [draw(classes) for _ in said], [sureness.pop() for _ in said]))
    return truth, scores


def cells(box):
    return {(x, y) for x in range(box[0], box[2]) for y in range(box[1], box[3])}


def shared(box, other):
    return len(cells(box) & cells(other)) / len(cells(box) | cells(other))


def nearness(box, other):
    return -math.dist(
        [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2],
        [(other[0] + other[2]) / 2, (other[1] + other[3]) / 2],
    )


def hits(truth, scores, number, affinity, least):
    """(confidence, hit) of each detection of a class, surest first, and the objects."""
    taken, said, objects = set(), [], 0
    for k, (boxes, labels, sure) in enumerate(scores):
        said += [(s, k, b) for b, c, s in zip(boxes, labels, sure, strict=True) if c == number]
        objects += truth[k][1].count(number)
    result = []
    for sure, k, box in sorted(said, key=lambda row: -row[0]):
        free = [
            (affinity(box, other), -g, g)
            for g, (other, label) in enumerate(zip(*truth[k], strict=True))
            if label == number and (k, g) not in taken
        ]
        best = max(free, default=(-math.inf, 0, 0))
        if best[0] >= least:
            taken.add((k, best[2]))
        result.append((sure, best[0] >= least))
    return result, objects


@given(scenes(), st.sampled_from([0.25, 0.5, 0.75]))
def test_detections_are_scored_as_counted_by_hand(scene, iou):
    classes = ["background", "a", "b"]
    ap, by_overlap, by_distance, precision, recall = [], [], [], [], []
    for number in (1, 2):
        found, objects = hits(*scene, number, shared, iou)
        best = []
        for step in range(101):  # the best precision among those prefixes that recall as much
            good = [sum(hit for _, hit in found[: k + 1]) for k in range(len(found))]
            enough = [g / (k + 1) for k, g in enumerate(good) if 100 * g >= step * objects]
            best.append(max(enough, default=0))
        ap.append(sum(best) / 101 if objects else None)
        for values, affinity, least in (
            (by_overlap, shared, iou),
            (by_distance, nearness, -1.5),
        ):
            found, objects = hits(*scene, number, affinity, least)
            sure = [hit for confidence, hit in found if confidence >= 0.5]
            count = len(sure) + objects
            values.append(2 * sum(sure) / count if count else None)
            if affinity is shared:
                precision.append(sum(sure) / len(sure) if sure else None)
                recall.append(sum(sure) / objects if objects else None)
    for spec, values in [
        (f"box_ap(iou={iou})", ap),
        (f"detection_f1(iou={iou})", by_overlap),
        (f"detection_precision(iou={iou})", precision),
        (f"detection_recall(iou={iou})", recall),
        ("centroid_f1(radius=1.5)", by_distance),
    ]:
        defined = [value for value in values if value is not None]
        overall = np.mean(defined) if defined else None
        expected = {"": overall, **dict(zip("ab", values, strict=True))}
        assert metrics.build(spec)(*scene, classes=classes) == pytest.approx(expected), spec


def test_average_precision_over_several_overlaps_is_their_mean():
    truth = [([[0, 0, 4, 4]], [1])]
    scores = [([[0, 0, 4, 3]], [1], [0.9])]  # overlap 3/4
    assert metrics.build("box_ap(iou=[0.5, 0.75, 0.8])")(truth, scores)[""] == pytest.approx(2 / 3)


def test_objects_outside_a_band_of_area_are_neither_asked_for_nor_wrong_to_find():
    # In an image of 100 square pixels: an object of 4, one of 16; the detections find both, then
    # nothing with a box of 16, then nothing with one of 4.
    truth = [([[0, 0, 2, 2], [4, 4, 8, 8]], [1, 1])]
    found = [[4, 4, 8, 8], [0, 6, 4, 10], [8, 0, 10, 2], [0, 0, 2, 2]]
    scores = [(found, [1, 1, 1, 1], [0.9, 0.8, 0.7, 0.6])]

    def ap(band):
        return metrics.build(f"box_ap(iou=0.5, area={band})")(truth, scores, size=(10, 10))[""]

    assert ap([0, 1]) == metrics.build("box_ap(iou=0.5)")(truth, scores)[""]
    assert ap([0.1, 1]) == 1  # the large object is found by the surest detection
    assert ap([0, 0.1]) == 0.5  # the small one by the second of the two small detections
    assert ap([0.04, 0.16]) == ap([0, 1])  # a band holds its ends
    assert ap([0.5, 1]) is None
    with pytest.raises(ValueError, match="size must be the height and width of the images"):
        metrics.build("box_ap(area=[0, 1])")(truth, scores)


def test_what_finds_an_object_in_the_band_does_not_go_to_a_nearer_one_outside():
    truth = [([[0, 0, 4, 4], [0, 0, 3, 3]], [1, 1])]
    scores = [([[0, 0, 4, 4]], [1], [0.9])]
    small = metrics.build("box_ap(iou=0.5, area=[0, 0.1])")
    assert small(truth, scores, size=(10, 10))[""] == 1


@pytest.mark.parametrize(
    ("truth", "scores", "message"),
    [
        ([], [([], [], [])], "scores must be of 0 images, got 1"),
        ([([[0, 0, 1, 1]], [1, 1])], [([], [], [])], "boxes and classes of truth must be of shape"),
        ([([[0, 0, 1, 1]], [0])], [([], [], [])], "classes of truth must be integers >= 1"),
        ([([[1, 0, 0, 1]], [1])], [([], [], [])], "boxes of truth must be finite xyxy"),
        ([([], [])], [([[0, 0, 1, 1]], [1], [math.nan])], "confidences must be finite"),
        ([([[0, 0, 1, 1]], [3])], [([], [], [])], r"classes of objects must be in \[1, 2\), got 3"),
    ],
)
@pytest.mark.parametrize("name", [n for n in metrics if metrics[n].kind == "boxes"])
def test_bad_boxes_are_named(name, truth, scores, message):
    with pytest.raises(ValueError, match=message):
        metrics.build(name)(truth, scores, classes=["background", "person"])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("ece(bins=0)", "bins must be >= 1"),
        ("box_ap(iou=0)", "iou must be in"),
        ("box_ap(iou=[])", "iou must be in"),
        ("box_ap(area=[1, 0])", "area must be two shares"),
        ("detection_f1(iou=2)", "iou must be in"),
        ("centroid_f1(radius=-1)", "radius must be >= 0"),
    ],
)
def test_a_metric_out_of_range_is_refused(spec, message):
    with pytest.raises(SpecError, match=message):
        metrics.build(spec)


def test_a_metric_that_reads_counts_is_told_those_of_the_training_split():
    logits = np.log([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1]])
    labels = np.array([0, 0, 0, 1, 0, 0, 1])
    splits = {"train": np.arange(4), "val": np.array([], dtype=int), "test": np.arange(4, 7)}
    dataset = Dataset("classes", ("deer", "boar"), labels, labels, splits)
    predictions = pl.DataFrame(
        {"sample": splits["test"], "label": labels[4:], "logits": logits.tolist()}
    )
    rows = score_classes(predictions, dataset, ["shot_split(many=2, few=2)", "recall"])
    values = {(row["metric"], row["class"]): row["value"] for row in rows if row["split"] == "test"}
    shots = [values["shot_split(many=2, few=2)", of] for of in ("many", "medium", "few", "")]
    assert shots == [1, None, 0, 0.5]
    assert values["recall", "boar"] == 0
