"""Losses of bags, boxes, F1 and pairs: identities, oracles, edge cases and golden values."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional
from torchvision import ops

from pybench.checks import NotFiniteError
from pybench.losses import LossContext, loss
from pybench.losses.f1_composite import F1Composite
from pybench.losses.focal import label_log_odds
from pybench.losses.soft_f1 import soft_f1_loss
from pybench.suite import refusal
from pybench.tasks import tasks
from pybench.train import run_trial
from pybench.trial import Trial
from pybench.types import BagOutput, BagTarget, BoxOutput, BoxTarget
from pybench.views import class_view
from tests.examples import context, example, leaves

GOLDEN = json.loads((Path(__file__).parent / "golden" / "losses_bags_boxes.json").read_text())
INPUTS = GOLDEN["inputs"]
CLOSE = {"rtol": 1e-11, "atol": 1e-13}
EPSILON = 1e-6


def prepared(spec, **told):
    return loss(spec).prepare(LossContext(**told) if told else context())


def double(values, *, leaf=False):
    return torch.tensor(values, dtype=torch.float64, requires_grad=leaf)


def equals(terms, case, leaf):
    torch.testing.assert_close(terms, double(case["terms"]), **CLOSE)
    if "gradients" in case:
        (found,) = torch.autograd.grad(terms.sum(), leaf)
        torch.testing.assert_close(found, double(case["gradients"]), **CLOSE)


def cells(labels, *, seed=0, classes=2):
    """Random logits and boxes for cells of given labels."""
    rng = torch.Generator().manual_seed(seed)
    logits = torch.randn(len(labels), classes, generator=rng, dtype=torch.float64) * 2
    corner = torch.rand(len(labels), 2, generator=rng, dtype=torch.float64) * 5
    boxes = torch.cat([corner, corner + 1], 1)
    target = BoxTarget(torch.tensor(labels), boxes + 0.25)
    return BoxOutput(logits.requires_grad_(), boxes.requires_grad_()), target


# Golden values


def ids(case):
    return case["spec"]


@pytest.mark.parametrize("case", GOLDEN["bags"], ids=ids)
def test_bag_losses_equal_the_formula(case):
    scores = double(INPUTS["abnormal"] + INPUTS["normal"], leaf=True)
    features = {"snippets": double(INPUTS["long"] + INPUTS["short"])}
    output = BagOutput(scores, scores.unsqueeze(2), features)
    labels = torch.tensor([*INPUTS["bag_classes"], 2, 2, 2])
    fn = prepared(case["spec"], counts=INPUTS["bag_counts"])
    equals(fn(output, BagTarget(labels, normal=2)), case, scores)


@pytest.mark.parametrize("case", GOLDEN["boxes"], ids=ids)
def test_box_losses_equal_the_formula(case):
    boxes = double(INPUTS["predicted"], leaf=True)
    labels = torch.tensor(INPUTS["cell_labels"])
    terms = prepared(case["spec"])(
        (double(INPUTS["cells"]), boxes), (labels, double(INPUTS["true"]))
    )
    equals(terms, case, boxes)


@pytest.mark.parametrize("case", GOLDEN["cells"], ids=ids)
def test_cell_losses_equal_the_formula(case):
    logits = double(INPUTS["cells"], leaf=True)
    target = (torch.tensor(INPUTS["cell_labels"]), double(INPUTS["true"]))
    equals(prepared(case["spec"])((logits, double(INPUTS["predicted"])), target), case, logits)


@pytest.mark.parametrize("how", ["geometric", "sum", "uncertainty"])
def test_the_composite_without_positives_equals_the_formula(how):
    logits = double(INPUTS["cells"], leaf=True)
    target = (torch.zeros(8, dtype=torch.int64), double(INPUTS["true"]))
    fn = prepared(f"f1_composite(combine='{how}')")
    value = fn((logits, double(INPUTS["predicted"])), target)
    equals(value, GOLDEN["background"], logits)


@pytest.mark.parametrize("case", GOLDEN["classes"], ids=ids)
def test_overlaps_of_classes_equal_the_formula(case):
    logits = double(INPUTS["cells"], leaf=True)
    equals(prepared(case["spec"])(logits, INPUTS["cell_labels"]), case, logits)


@pytest.mark.parametrize("case", GOLDEN["contrast"], ids=ids)
def test_contrast_equals_the_formula(case):
    features = double(INPUTS["features"], leaf=True)
    fn = prepared(case["spec"], num_classes=3, feature_dims=[3])
    for module in fn.modules():
        module.load_state_dict({"prototypes": torch.tensor(INPUTS["prototypes"])})
    equals(fn((torch.zeros(6, 3), features), INPUTS["feature_labels"]), case, features)


# Bags


@pytest.mark.parametrize("pairing", ["paired", "all_pairs"])
def test_equal_counts_make_class_balanced_mil_plain(pairing):
    output, target = example("bags")
    fields = f"pairing='{pairing}', lambda_smooth=0.5, lambda_sparse=0.25"
    expected = prepared(f"mil({fields})")(output, target)
    for how in ("sum_to_c", "mean_one"):
        fn = prepared(f"class_balanced_mil({fields}, normalise='{how}')", counts=[7, 7, 7, 7])
        torch.testing.assert_close(fn(output, target), expected)
    fn = prepared(f"class_balanced_mil({fields}, beta=1, normalise='none')", counts=[4, 4, 4, 4])
    scaled = fields.replace("smooth=0.5", "smooth=2").replace("sparse=0.25", "sparse=1")
    torch.testing.assert_close(4 * fn(output, target), prepared(f"mil({scaled})")(output, target))


def test_a_bag_of_a_class_that_was_not_counted_is_refused():
    fn = prepared("class_balanced_mil", counts=[3, 2])
    with pytest.raises(ValueError, match="bags must be counted by class, 2 of them, got class 2"):
        fn(*example("bags"))


@pytest.mark.parametrize("name", ["topk_mil", "rtfm"])
def test_more_snippets_than_a_bag_has_are_refused(name):
    with pytest.raises(ValueError, match="k must be at most 5 snippets, got 6"):
        prepared(f"{name}(k=6)")(*example("bags"))
    with pytest.raises(ValueError, match="k must be >= 1, got 0"):
        loss(f"{name}(k=0)")


def test_top_one_is_the_binary_cross_entropy_of_the_strongest_snippet():
    output, target = example("bags")
    peak, truth = output.scores.amax(1), (target.labels != 4).double()
    expected = functional.binary_cross_entropy(peak, truth, reduction="none")
    torch.testing.assert_close(prepared("topk_mil(k=1)")(output, target), expected)


def test_rtfm_needs_the_features_of_every_snippet():
    output, target = example("bags")
    fn = prepared("rtfm")
    with pytest.raises(ValueError, match="features for rtfm must be given, got none"):
        fn(dataclasses.replace(output, features={}), target)
    with pytest.raises(ValueError, match=r"features for rtfm must be of shape \(6, 5, 'D'\)"):
        fn(dataclasses.replace(output, features={"bag": torch.zeros(6, 7)}), target)
    broken = {"snippets": torch.full((6, 5, 7), math.nan)}
    with pytest.raises(NotFiniteError, match="features must be finite, got nan at bag 0"):
        fn(dataclasses.replace(output, features=broken), target)
    with pytest.raises(ValueError, match="bags for rtfm must be as many abnormal as normal ones"):
        fn(output, BagTarget(torch.tensor([0, 4, 1, 4, 2, 3]), normal=4))


def test_rtfm_without_magnitude_is_the_mean_cross_entropy_of_both_bags():
    output, target = example("bags")
    every = prepared("topk_mil(k=5)")(output, target).view(3, 2).mean(1)
    torch.testing.assert_close(prepared("rtfm(k=5, alpha=0)")(output, target), every)


# Boxes

PEERS = {
    "giou": ops.generalized_box_iou_loss,
    "diou": ops.distance_box_iou_loss,
    "ciou": ops.complete_box_iou_loss,
}
coordinate = st.integers(-200, 200).map(lambda n: n / 8)
side = st.integers(4, 200).map(lambda n: n / 8)


@st.composite
def box(draw):
    x, y = draw(coordinate), draw(coordinate)
    return [x, y, x + draw(side), y + draw(side)]


pairs = st.tuples(box(), box())


def of_boxes(spec, predicted, true):
    target = (torch.ones(len(true), dtype=torch.int64), true)
    return prepared(spec)((torch.zeros(len(true), 2), predicted), target)


@pytest.mark.parametrize("name", PEERS)
@given(pair=pairs)
def test_overlap_losses_and_their_gradients_are_those_of_torchvision(name, pair):
    predicted, true = double([pair[0]], leaf=True), double([pair[1]])
    ours, peer = of_boxes(name, predicted, true), PEERS[name](predicted, true)
    near = {"rtol": 1e-5, "atol": 1e-5}  # the peer adds 1e-7 to what it divides by
    torch.testing.assert_close(ours, peer, **near)
    if name == "giou" or all(a != b for a, b in zip(*pair, strict=True)):
        # Where corners coincide, minimum and maximum split the gradient in more than one way.
        found, expected = (torch.autograd.grad(v.sum(), predicted)[0] for v in (ours, peer))
        torch.testing.assert_close(found, expected, **near)


@pytest.mark.parametrize("spec", [*PEERS, "balanced_l1", "smooth_l1", "balanced_l1(beta=4)"])
@given(pair=pairs, x=coordinate, y=coordinate)
def test_a_shift_of_both_boxes_changes_no_box_loss(spec, pair, x, y):
    predicted, true = (double([b]) for b in pair)
    shift = double([x, y, x, y])
    expected = of_boxes(spec, predicted, true)
    torch.testing.assert_close(of_boxes(spec, predicted + shift, true + shift), expected)


@pytest.mark.parametrize("name", PEERS)
@given(pair=pairs, scale=st.sampled_from([0.5, 2.0, 8.0]))
def test_a_change_of_scale_changes_no_overlap_loss(name, pair, scale):
    predicted, true = (double([b]) for b in pair)
    expected = of_boxes(name, predicted, true)
    torch.testing.assert_close(of_boxes(name, predicted * scale, true * scale), expected)


def test_losses_of_coordinates_are_not_invariant_to_rotation():
    axis, turned = double([[2.0, 0.0, 0.0, 0.0]]), double([[2**0.5, 2**0.5, 0.0, 0.0]])
    for spec, gap in (("smooth_l1", 0.3284), ("balanced_l1", 0.1)):
        one, other = (of_boxes(spec, b, torch.zeros_like(b)).item() for b in (axis, turned))
        assert abs(one - other) > 0.9 * gap


@pytest.mark.parametrize("name", [*PEERS, "balanced_l1"])
@given(boxes=box())
def test_a_box_loses_nothing_against_itself(name, boxes):
    predicted = double([boxes], leaf=True)
    terms = of_boxes(name, predicted, predicted.detach())
    torch.testing.assert_close(terms, torch.zeros(1, dtype=torch.float64))
    assert torch.autograd.grad(terms.sum(), predicted)[0].isfinite().all()


FLAT = [[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 3.0], [3.0, 3.0, 1.0, 1.0], [3.0, 0.0, 1.0, 4.0]]


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("flat", FLAT)
@pytest.mark.parametrize("true", [[0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 1.0, 1.0]])
def test_boxes_without_area_have_finite_terms_and_gradients(name, flat, true):
    predicted = double([flat], leaf=True)
    terms = of_boxes(name, predicted, double([true]))
    assert 0 <= terms.item() < 4
    assert torch.autograd.grad(terms.sum(), predicted)[0].isfinite().all()


@pytest.mark.parametrize("name", [*PEERS, "balanced_l1"])
def test_the_background_loses_no_box_whatever_it_predicts(name):
    boxes = torch.tensor([[math.inf] * 4, [0.0, 0.0, 1.0, 1.0]], requires_grad=True)
    true = torch.tensor([[0.0] * 4, [0.0, 0.0, 1.0, 3.0]])
    target = BoxTarget(torch.tensor([0, 1]), true)
    terms = prepared(name)(BoxOutput(torch.zeros(2, 2), boxes), target)
    assert terms[0] == 0
    assert terms[1] > 0
    (gradient,) = torch.autograd.grad(terms.sum(), boxes)
    assert gradient.isfinite().all()
    assert not gradient[0].any()


@given(st.floats(0, 30), st.floats(0.2, 2), st.floats(0.2, 3), st.floats(0.25, 4))
def test_the_gradient_of_balanced_l1_is_the_promoted_one(distance, alpha, gamma, beta):
    predicted, true = double([[distance, 0.0, 0.0, 0.0]], leaf=True), torch.zeros(1, 4)
    spec = f"balanced_l1(alpha={alpha}, gamma={gamma}, beta={beta})"
    (found,) = torch.autograd.grad(of_boxes(spec, predicted, true).sum(), predicted)
    b = math.exp(gamma / alpha) - 1
    assert found[0, 0].item() == pytest.approx(
        min(alpha * math.log(b * distance / beta + 1), gamma) if distance else 0, abs=1e-9
    )


def test_balanced_l1_refuses_a_curve_too_steep_to_compute():
    with pytest.raises(ValueError, match=r"gamma must be at most 50 alpha, got 1.5"):
        loss("balanced_l1(alpha=0.01)")


# Scores that tell the quality of a box


def test_without_focus_quality_focal_is_the_cross_entropy_towards_the_overlap():
    output, target = cells([1, 0, 1, 0])
    iou = ops.box_iou(output.boxes, target.boxes).diagonal() * (target.labels > 0)
    odds = output.logits[:, 1] - output.logits[:, 0]
    expected = functional.binary_cross_entropy_with_logits(odds, iou, reduction="none")
    torch.testing.assert_close(prepared("quality_focal(beta=0)")(output, target), expected)


def test_varifocal_of_negatives_is_the_focal_loss_and_of_positives_a_weighted_cross_entropy():
    output, target = cells([1, 0, 1, 0])
    iou = ops.box_iou(output.boxes, target.boxes).diagonal()
    odds = output.logits[:, 1] - output.logits[:, 0]
    terms = prepared("varifocal(alpha=0.5, gamma=3)")(output, target)
    negatives = ops.sigmoid_focal_loss(odds, torch.zeros_like(odds), alpha=-1, gamma=3)
    positives = iou * functional.binary_cross_entropy_with_logits(odds, iou, reduction="none")
    expected = torch.where(target.labels > 0, positives, negatives / 2)
    torch.testing.assert_close(terms, expected)


@pytest.mark.parametrize("name", ["varifocal(alpha=0.75, gamma=2)", "quality_focal(beta=2)"])
def test_a_background_at_logit_zero_gives_the_scores_of_the_source(name):
    """There each class has a sigmoid of its own, and the background is none of them."""
    z = torch.tensor([[0.7, -1.2], [2.0, 0.3], [-0.4, 0.1]], dtype=torch.float64)
    boxes = torch.tensor([[0.0, 0.0, 4.0, 2.0]] * 3, dtype=torch.float64)
    true, labels = boxes * torch.tensor([1.0, 1.0, 0.5, 1.0]), torch.tensor([2, 0, 1])
    q = torch.tensor([[0.0, 0.5], [0.0, 0.0], [0.5, 0.0]], dtype=torch.float64)
    towards = functional.binary_cross_entropy_with_logits(z, q, reduction="none")
    p = z.sigmoid()
    if name.startswith("varifocal"):
        expected = torch.where(q > 0, q, 0.75 * p**2) * towards
    else:
        expected = (q - p).abs() ** 2 * towards
    logits = torch.cat([torch.zeros(3, 1, dtype=torch.float64), z], dim=1)
    terms = prepared(name)((logits, boxes), (labels, true))
    torch.testing.assert_close(terms, expected.sum(1))


@pytest.mark.parametrize("name", ["varifocal", "quality_focal"])
def test_scores_of_quality_train_no_boxes(name):
    output, target = cells([1, 0, 1])
    gradients = torch.autograd.grad(
        prepared(name)(output, target).sum(), leaves(output), allow_unused=True
    )
    assert gradients[0] is not None
    assert gradients[1] is None


@pytest.mark.parametrize("name", ["varifocal", "quality_focal", "f1_composite"])
def test_labels_and_logits_of_cells_are_checked(name):
    output, target = cells([1, 0, 1])
    fn = prepared(name)
    with pytest.raises(ValueError, match=r"labels must be in \[0, 2\), got 2 at sample 1"):
        fn(output, dataclasses.replace(target, labels=torch.tensor([1, 2, 1])))
    broken = output.logits.detach().clone()
    broken[2, 0] = math.inf
    with pytest.raises(NotFiniteError, match="logits must be finite, got inf at sample 2"):
        fn(dataclasses.replace(output, logits=broken), target)
    with pytest.raises(ValueError, match=f"logits must be of at least 2 classes for {name}"):
        fn((torch.zeros(1, 1), torch.zeros(1, 4)), (torch.tensor([0]), torch.zeros(1, 4)))


# F1


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=12))
def test_soft_f1_and_dice_of_sure_guesses_are_one_minus_the_f1_of_counts(pairs):
    truth, guess = (list(column) for column in zip(*pairs, strict=True))
    scores = []
    for c in set(truth):
        hits = sum(t == c and g == c for t, g in pairs)
        scores.append(2 * hits / (truth.count(c) + guess.count(c)))
    logits = 1000.0 * functional.one_hot(torch.tensor(guess), 3).double()
    expected = pytest.approx(1 - sum(scores) / len(scores), abs=1e-5)
    assert prepared("soft_f1")(logits, truth).item() == expected
    assert prepared("tversky(alpha=0.5, beta=0.5)")(logits, truth).item() == expected


def test_a_class_that_is_not_in_the_batch_does_not_count():
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logits[:, 2] = -1000
    for name in ("soft_f1", "tversky"):
        fn = prepared(name)
        torch.testing.assert_close(fn(logits, [0, 1, 0, 1]), fn(logits[:, :2], [0, 1, 0, 1]))
        assert 0 <= fn(logits, [2, 2, 2, 2]) <= 1


def test_the_f1_of_negatives_alone_is_one_whatever_the_model_does():
    odds = torch.tensor([-30.0, -1.0, 0.0, 2.0, 30.0], dtype=torch.float64, requires_grad=True)
    value = soft_f1_loss(odds.sigmoid(), torch.zeros(5, dtype=torch.float64), EPSILON)
    assert value.item() == 1
    assert not torch.autograd.grad(value, odds)[0].any()


def test_a_joint_f1_teaches_negatives_what_a_separate_one_cannot():
    output, target = cells([1, 0, 0, 0])
    for scope, teaches in (("separate", False), ("joint", True)):
        spec = f"f1_composite(f1_scope='{scope}', combine='sum', alpha=1, w_box=0)"
        gradient = torch.autograd.grad(prepared(spec)(output, target), output.logits)[0]
        assert bool(gradient[1:].any()) == teaches


# The composite


def reference(output, target, ratio=3.0, k_max=None, scope="separate"):
    """The composite of two classes, cell by cell."""
    p = output.logits.softmax(1)[:, 1]
    y = target.labels > 0
    focal = ops.sigmoid_focal_loss(p.logit(), y.double(), alpha=0.25, gamma=2)
    ranked = sorted((~y).nonzero().flatten().tolist(), key=lambda i: (-focal[i].item(), i))
    hard = ranked[: min(math.floor(ratio * int(y.sum())), len(ranked), k_max or len(ranked))]
    if not y.any():
        return focal[ranked[: min(8, k_max or 8)]].mean()
    classes, f1 = focal[y].mean(), f1_of(p[y], y[y])
    if hard:
        classes = (classes * focal[hard].mean()).clamp(min=EPSILON).sqrt()
        chosen = torch.cat([y.nonzero().flatten(), torch.tensor(hard)])
        f1 = f1_of(p[chosen], y[chosen]) if scope == "joint" else f1.clamp(min=EPSILON).sqrt()
    boxes = functional.smooth_l1_loss(output.boxes[y], target.boxes[y], reduction="none")
    return (classes * f1).clamp(min=EPSILON).sqrt() + boxes.sum(1).mean()


def f1_of(p, y):
    tp, fp, fn = (p * y).sum(), (p * ~y).sum(), ((1 - p) * y).sum()
    precision, recall = tp / (tp + fp + EPSILON), tp / (tp + fn + EPSILON)
    return 1 - 2 * precision * recall / (precision + recall + EPSILON)


@given(
    st.lists(st.integers(0, 1), min_size=1, max_size=12),
    st.sampled_from([0.0, 0.5, 1.0, 3.0]),
    st.sampled_from([None, 1, 3]),
    st.sampled_from(["separate", "joint"]),
    st.integers(0, 100),
)
def test_the_composite_is_that_of_its_definition_for_any_share_of_positives(
    labels, ratio, k_max, scope, seed
):
    output, target = cells(labels, seed=seed)
    spec = f"f1_composite(ratio={ratio}, k_max={k_max}, f1_scope='{scope}')"
    value = prepared(spec)(output, target)
    torch.testing.assert_close(value, reference(output, target, ratio, k_max, scope))
    found = torch.autograd.grad(value, leaves(output), allow_unused=True)
    assert all(g.isfinite().all() for g in found if g is not None)


def test_ties_among_negatives_are_broken_by_position():
    output, target = cells([1, 0, 0, 0])
    logits = output.logits.detach()[[0, 1, 1, 1]].requires_grad_()
    value = prepared("f1_composite(ratio=1)")(dataclasses.replace(output, logits=logits), target)
    gradient = torch.autograd.grad(value, logits)[0]
    assert gradient.any(1).tolist() == [True, True, False, False]


@pytest.mark.parametrize("box", ["repaired", "huber", "literal"])
def test_the_box_term_is_the_mean_smooth_l1_over_the_positives(box):
    output, target = cells([1, 0, 1])
    form = f"delta=0.5, w_cls=0, box='{box}'"
    terms = prepared(f"smooth_l1(delta=0.5, form='{box}')")(output, target)
    torch.testing.assert_close(prepared(f"f1_composite({form})")(output, target), terms.sum() / 2)


def test_focal_losses_scaled_by_four_double_the_combined_one():
    output, target = cells([1, 0, 0, 1])
    composite = F1Composite(w_box=0, epsilon=1e-300)
    found = composite.cells(output, target)
    scaled = found._replace(focal=4 * found.focal)
    torch.testing.assert_close(composite.mined(scaled, 2), 2 * composite.mined(found, 2))


def test_learned_variances_start_at_the_plain_sum_and_have_a_gradient():
    output, target = cells([1, 0, 0, 1])
    fn = prepared("f1_composite(combine='uncertainty')")
    value = fn(output, target)
    torch.testing.assert_close(value, prepared("f1_composite(combine='sum')")(output, target))
    (module,) = fn.modules()
    (gradient,) = torch.autograd.grad(value, list(module.parameters()))
    parts = [
        prepared(f"f1_composite(combine='sum', {weights})")(output, target)
        for weights in ("w_box=0", "w_cls=0")
    ]
    expected = torch.stack([1 - parts[0], 0.5 - parts[1]])
    torch.testing.assert_close(
        torch.stack([gradient[:2].sum(), gradient[2]]), expected.float(), rtol=1e-5, atol=1e-6
    )


def test_mining_an_epoch_begins_with_the_plain_loss():
    output, target = cells([1, 0, 0, 1, 0])
    fn = prepared("f1_composite(mining='epoch', pretrain=0.5)", counts=[3, 2])
    p = output.logits.softmax(1)[:, 1]
    focal = ops.sigmoid_focal_loss(p.logit(), (target.labels > 0).double(), alpha=0.25, gamma=2)
    boxes = prepared("smooth_l1")(output, target)
    expected = (focal.sum() + boxes.sum()) / 2
    torch.testing.assert_close(fn(output, target, progress=0.49), expected)
    mined = prepared("f1_composite(ratio=99)")(output, target)
    torch.testing.assert_close(fn(output, target, progress=0.5), mined)


def test_mining_an_epoch_leaves_an_easy_batch_without_hard_negatives():
    output, target = cells([1, 0, 0, 0])
    easy, hard = output.logits.detach().clone(), output.logits.detach().clone()
    easy[1:], hard[1:] = torch.tensor([9.0, 0.0]), torch.tensor([0.0, 9.0])
    # An epoch is two such batches: 6 negatives, of which the 3 largest losses are hard.
    fn = prepared("f1_composite(mining='epoch', pretrain=0, ratio=1.5)", counts=[6, 2])
    first = fn(dataclasses.replace(output, logits=hard), target)
    logits = easy.requires_grad_()
    second = fn(dataclasses.replace(output, logits=logits), target)
    assert first.isfinite()
    gradient = torch.autograd.grad(second, logits)[0]
    assert gradient.any(1).tolist() == [True, False, False, False]


def test_mining_an_epoch_forgets_what_is_older():
    fn = prepared("f1_composite(mining='epoch', pretrain=0, ratio=1)", counts=[2, 1])
    output, target = cells([1, 0, 0])
    hard = output.logits.detach().clone()
    hard[1:] = torch.tensor([0.0, 50.0])
    fn(dataclasses.replace(output, logits=hard), target)
    logits = output.logits.detach().clone().requires_grad_()
    gradient = torch.autograd.grad(fn(dataclasses.replace(output, logits=logits), target), logits)[
        0
    ]
    assert gradient[1:].any(1).sum() == 1


def test_what_was_mined_is_saved_with_the_loss():
    spec, told = "f1_composite(mining='epoch', pretrain=0, ratio=1)", {"counts": [6, 2]}
    first, second = (prepared(spec, **told) for _ in range(2))
    for seed in range(2):
        first(*cells([1, 0, 0, 0], seed=seed))
    (saved,), (restored,) = first.modules(), second.modules()
    restored.load_state_dict(saved.state_dict())
    batch = cells([1, 0, 0, 0], seed=2)
    assert torch.equal(second(*batch), first(*batch))


def test_mining_an_epoch_needs_the_counts_of_the_training_set():
    with pytest.raises(
        ValueError, match=r"counts must be given for f1_composite\(mining='epoch'\)"
    ):
        prepared("f1_composite(mining='epoch')", num_classes=2)


def test_one_class_of_objects_gives_the_binary_focal_loss():
    logits = torch.tensor([[0.5, -1.0], [2.0, 3.0]], dtype=torch.float64)
    odds = label_log_odds(logits, torch.tensor([1, 0]))
    torch.testing.assert_close(odds, (logits[:, 1] - logits[:, 0]) * double([1, -1]))


# Contrast


@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=7),
    st.sampled_from([0.05, 0.1, 1.0]),
    st.integers(0, 100),
)
def test_supcon_is_that_of_a_double_loop(labels, tau, seed):
    rng = torch.Generator().manual_seed(seed)
    features = torch.randn(len(labels), 4, generator=rng, dtype=torch.float64)
    h, found = functional.normalize(features), []
    for i, y in enumerate(labels):
        total = sum(math.exp(h[i] @ h[a] / tau) for a in range(len(labels)) if a != i)
        alike = [p for p in range(len(labels)) if p != i and labels[p] == y]
        if alike:
            shares = [math.log(math.exp(h[i] @ h[p] / tau) / total) for p in alike]
            found.append(-sum(shares) / len(shares))
    terms = prepared(f"supcon(temperature={tau})")((torch.zeros(len(labels), 3), features), labels)
    expected = sum(found) / len(found) if found else 0.0
    assert terms.mean().item() == pytest.approx(expected, abs=1e-12)
    assert int((terms > 0).sum()) <= len(found)


def test_supcon_without_any_partner_is_zero_with_zero_gradient():
    for size in (1, 3):
        features = torch.randn(size, 2, generator=torch.Generator().manual_seed(0))
        features.requires_grad_()
        terms = prepared("supcon")((torch.zeros(size, 3), features), list(range(size)))
        assert terms.tolist() == [0.0] * size
        assert not torch.autograd.grad(terms.sum(), features)[0].any()


@pytest.mark.parametrize("name", ["supcon", "balanced_contrastive"])
def test_contrast_ignores_the_length_of_a_feature_and_survives_zero(name):
    features = torch.tensor([[1.0, 2.0], [0.0, 0.0], [3.0, -1.0], [2.0, 2.0]], requires_grad=True)
    fn = prepared(name, num_classes=2, feature_dims=[2])
    labels, longer = [0, 0, 1, 1], torch.tensor([[5.0], [1.0], [0.1], [7.0]])
    terms = fn((torch.zeros(4, 2), features), labels)
    torch.testing.assert_close(fn((torch.zeros(4, 2), features.detach() * longer), labels), terms)
    gradient = torch.autograd.grad(terms.sum(), features)[0]
    assert gradient.isfinite().all()
    assert not gradient[1].any()


def test_balanced_contrastive_gives_a_frequent_class_no_more_of_the_denominator():
    fn = prepared("balanced_contrastive(temperature=0.5)", num_classes=2, feature_dims=[2])
    (module,) = fn.modules()
    module.load_state_dict({"prototypes": torch.tensor([[1.0, 0.0], [0.0, 1.0]])})
    few = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    many = torch.cat([few, few[2:].repeat(20, 1)])
    one = fn((torch.zeros(3, 2), few), [0, 0, 1])[0]
    other = fn((torch.zeros(23, 2), many), [0, 0, *[1] * 21])[0]
    torch.testing.assert_close(one, other)


def test_balanced_contrastive_says_what_it_needs_to_know():
    with pytest.raises(ValueError, match="feature_dims of balanced_contrastive must be given"):
        prepared("balanced_contrastive", num_classes=2)
    with pytest.raises(ValueError, match="num_classes of balanced_contrastive must be given"):
        prepared("balanced_contrastive", feature_dims=[2])
    fn = prepared("balanced_contrastive", num_classes=2, feature_dims={"a": 9, "b": 3})
    with pytest.raises(ValueError, match="features must be of size 3, got 2"):
        fn((torch.zeros(2, 2), torch.ones(2, 2)), [0, 1])
    with pytest.raises(ValueError, match="logits must be of 2 classes, got 3"):
        fn((torch.zeros(2, 3), torch.ones(2, 3)), [0, 1])


def test_prototypes_come_from_the_generator_of_the_loss():
    def prototypes(seed):
        told = context()
        told.generator.manual_seed(seed)
        (module,) = loss("balanced_contrastive").prepare(told).modules()
        return module.prototypes

    assert torch.equal(prototypes(1), prototypes(1))
    assert not torch.equal(prototypes(1), prototypes(2))


# In the training loop


def toy(task, spec):
    built = tasks.build(task)
    return Trial(
        task=task,
        data=built.locate(None, Path()).id,
        model=built.meta.models[0],
        loss=spec,
        budget=dataclasses.replace(built.meta.budget, epochs=1),
    )


@pytest.mark.parametrize(
    ("task", "spec", "kept"),
    [
        ("toy_bags", "class_balanced_mil", set()),
        ("toy_bags", "topk_mil + 0.1*rtfm(k=2)", set()),
        ("toy_boxes", "varifocal + giou", set()),
        ("toy_boxes", "f1_composite(combine='uncertainty')", {"loss.log_variance"}),
        ("toy_boxes", "f1_composite(mining='epoch', pretrain=0.3)", {"loss.pool.losses"}),
        ("toy_boxes", "soft_f1 + ce + diou", set()),
        ("toy_images", "ce + soft_f1 + tversky", set()),
        ("toy_images", "ce + supcon + 0.5*balanced_contrastive", {"loss.prototypes"}),
        ("toy_bags", "ce + supcon + balanced_contrastive", {"loss.prototypes"}),
        ("toy_boxes", "ce + supcon + balanced_contrastive + giou", {"loss.prototypes"}),
        ("toy_boxes", "ce + 0.5*feature_similarity + giou", set()),
    ],
)
def test_a_trial_trains_with_it(task, spec, kept):
    result = run_trial(toy(task, spec))
    assert result.facts["gradient_norm_0"] > 0
    assert {name for name in result.weights if name.startswith("loss.")} == kept


def test_two_views_are_asked_for_where_a_sample_has_no_other_like_it_in_the_batch():
    assert "makes none" in refusal(tasks.build("toy_images").meta, toy("toy_images", "ce + supcon"))
    for task in ("toy_bags", "toy_boxes"):
        assert refusal(tasks.build(task).meta, toy(task, "ce + supcon")) is None


# What losses are shown of bags and boxes


def test_contrast_compares_cells_with_an_object_and_the_hardest_of_the_others():
    logits = torch.tensor([[0.0, 9.0], [2.0, 0.0], [0.0, 2.0], [1.0, 0.0], [3.0, 0.0], [5.0, 0.0]])
    features = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    output = BoxOutput(logits, torch.zeros(6, 4), {"cells": features})
    target = BoxTarget(torch.tensor([1, 0, 0, 0, 0, 0]), torch.zeros(6, 4))
    fn = prepared("feature_similarity")
    value = fn.mean(output, target)
    shown = [0, 2, 3, 1]  # the object, then three by how little they look like background
    torch.testing.assert_close(value, fn((logits[shown], features[shown]), [1, 0, 0, 0]))
    torch.testing.assert_close(value, fn(output, target))
    (gradient,) = torch.autograd.grad(value, features)
    assert gradient.any(1).tolist() == [True, True, True, True, False, False]


def test_contrast_of_a_batch_without_objects_compares_the_eight_hardest_cells():
    logits = torch.stack([torch.zeros(12), torch.arange(12.0)], 1)
    features = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
    output = BoxOutput(logits, torch.zeros(12, 4), {"cells": features})
    target = BoxTarget(torch.zeros(12, dtype=torch.int64), torch.zeros(12, 4))
    fn = prepared("feature_similarity")
    hardest = slice(4, 12)
    expected = fn((logits[hardest], features[hardest]), [0] * 8)
    torch.testing.assert_close(fn.mean(output, target), expected)


def test_the_features_of_a_bag_are_those_of_the_strongest_snippets_of_its_own_class():
    logits = torch.tensor([[[5.0, 0.0], [0.0, 1.0], [0.0, 2.0]]]).expand(2, -1, -1)
    features = torch.arange(3.0).reshape(1, 3, 1).expand(2, -1, -1)
    output = BagOutput(torch.zeros(2, 3), logits, {"x": features})
    seen, truth, _ = class_view(output, BagTarget(torch.tensor([0, 1]), normal=1))
    assert seen.features["x"].tolist() == [[0.0], [2.0]]
    assert seen.logits.tolist() == [[5.0, 2.0], [5.0, 2.0]]
    assert truth.labels.tolist() == [0, 1]
