"""Contracts that every loss keeps because it exists, then identities and golden values."""

from __future__ import annotations

import dataclasses
import doctest
import json
import math
import re
import sys
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from pybench.checks import NotFiniteError
from pybench.losses import LossContext, loss, losses
from pybench.registry import parse
from pybench.types import BoxOutput, BoxTarget, ClassOutput, ClassTarget
from pybench.views import class_view
from tests.examples import NOT_BY_SAMPLE, context, example, leaves, orders, samples, with_leaves

SPECS = [
    *losses.own_names(),
    "asl_sigmoid(gamma_neg=0.3, gamma_pos=0.5)",
    "asl_sigmoid(gamma_neg=0.5, clip=0)",
    "asl_single_label(gamma_pos=0.5, gamma_neg=0.3)",
    "asl_softmax_ovr(gamma_pos=0.5, gamma_neg=0.3)",
    "bce_ovr(weights=[0.5, 1, 0, 8])",
    "cdt(gamma=5)",
    "class_balanced(base='focal', gamma=0.5)",
    "class_balanced(base='sigmoid', normalise='mean_one')",
    "drw(loss=equalization_v2, at=0)",
    "drw(loss=focal(gamma=0.5), at=0, beta=0.9)",
    "equalization(lam=0.5, threshold=0.2)",
    "equalization_v2(gamma=0, mu=0)",
    "equalized_focal(gamma=0.5, scale=1, alpha=-1)",
    "balanced_l1(alpha=1, gamma=2, beta=3)",
    "class_balanced_mil(pairing='all_pairs', beta=1, normalise='none')",
    "f1_composite(combine='uncertainty', f1_scope='joint', box='huber')",
    "f1_composite(combine='sum', ratio=0.5, gamma=0.5)",
    "f1_composite(mining='epoch')",
    "feature_similarity(exclude_diagonal=True, pair_balance=True)",
    "focal(gamma=0.5)",
    "focal(gamma=5, alpha='balanced')",
    "focal_sigmoid(gamma=0.5, alpha=-1)",
    "focal_sigmoid(gamma=5, alpha=0.7)",
    "gcl(noise=0)",
    "ghm(bins=1)",
    "ghm(bins=4, momentum=0)",
    "influence_balanced(at=0)",
    "lade(alpha=1, penalty=2)",
    "label_aware_smoothing(head=1, tail=0, shape='convex')",
    "ldam(max_margin=2, scale=5)",
    "logit_adjustment(tau=5)",
    "mean_false_error(squared=True)",
    "mgfn(k=1, margin=2, weight=1)",
    "mil(pairing='all_pairs', sparsity='l1')",
    "paco(alpha=1, temperature=0.01)",
    "poly1(epsilon=-0.5)",
    "quality_focal(beta=0)",
    "seesaw(p=0.5, q=0)",
    "seesaw(p=5, q=5)",
    "smooth_l1(form='huber', delta=2)",
    "smooth_l1(form='literal', delta=0.5)",
    "smooth_ap(temperature=0.3)",
    "supcon(temperature=0.01)",
    "ur_dmu(k=2, size=20, memory=1, triplet=1, margin=0.5)",
    "varifocal(gamma=0.5)",
    "vector_scaling(gamma=5, tau=5)",
    "weighted_ce(weights='effective:0.9', mean='weights')",
    "weighted_ce(weights='inverse_sqrt')",
]
SHIFT_INVARIANT = {
    "asl_single_label",
    "asl_softmax_ovr",
    "auc_margin",
    "balanced_softmax",
    "ce",
    "focal",
    "gcl",
    "influence_balanced",
    "label_aware_smoothing",
    "ldam",
    "logit_adjustment",
    "mean_false_error",
    "poly1",
    "seesaw",
    "weighted_ce",
}
# Their noise belongs to a place in the batch, not to a sample.
RANDOM = {"gcl"}
# A factor of theirs is a constant for the gradient: golden gradients take this test's place.
DETACHED = {"seesaw", "seesaw(p=5, q=5)", "influence_balanced(at=0)"}
# To these -1 means something.
MAY_BE_MINUS_ONE = {
    *(("focal_sigmoid", "alpha"), ("equalized_focal", "alpha")),
    ("poly1", "epsilon"),
}
CONSTANTS = {"ciou": {"boxes"}, "quality_focal": {"boxes"}, "varifocal": {"boxes"}}
"""What a loss, or a factor of it, takes as given: the gradient is not that of the terms there."""
GOLDEN = json.loads((Path(__file__).parent / "golden" / "losses.json").read_text())


def prepared(spec):
    return loss(spec).prepare(context())


def gradients(terms, output):
    found = torch.autograd.grad(terms.sum(), leaves(output), allow_unused=True)
    return [g for g in found if g is not None]


every_spec = pytest.mark.parametrize("spec", SPECS)
every_loss = pytest.mark.parametrize("name", losses.own_names())


@every_spec
@pytest.mark.parametrize("scale", [1.0, 100.0, 1000.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_terms_and_gradients_are_finite_and_keep_the_dtype(spec, scale, dtype):
    output, target = example(loss(spec).reads, scale=scale, dtype=dtype)
    terms = prepared(spec)(output, target)
    assert terms.ndim <= 1
    assert terms.dtype == dtype
    assert terms.isfinite().all()
    found = gradients(terms, output)
    assert found
    assert all(g.isfinite().all() for g in found)


@every_spec
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_under_autocast_gives_the_float32_terms_of_the_same_input(spec, dtype):
    output, target = example(loss(spec).reads, dtype=dtype)
    wide = with_leaves(output, tuple(x.detach().float() for x in leaves(output)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = prepared(spec)(output, target)
    assert terms.dtype == torch.float32
    torch.testing.assert_close(terms, prepared(spec)(wide, target))
    assert all(g.isfinite().all() for g in gradients(terms, output))


@pytest.mark.parametrize("spec", [s for s in SPECS if s not in RANDOM])
def test_terms_follow_their_samples(spec):
    reads = loss(spec).reads
    output, target = example(reads)
    terms = prepared(spec)(output, target)
    order, of_terms = orders(reads, terms)
    torch.testing.assert_close(prepared(spec)(*samples(output, target, order)), terms[of_terms])


@every_spec
def test_the_same_input_gives_the_same_terms_to_the_last_bit(spec):
    first, second = (prepared(spec)(*example(loss(spec).reads)) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("spec", [s for s in SPECS if s not in DETACHED])
def test_the_gradient_is_that_of_the_terms(spec):
    output, target = example(loss(spec).reads)
    # Prepared anew each time, so that random numbers and state start over.
    for name in CONSTANTS.get(parse(spec).terms[0].name, ()):
        getattr(output, name).requires_grad_(False)
    fn = prepared(spec)
    if not fn(output, target).requires_grad:
        pytest.skip("constant but for what is taken as given")
    assert torch.autograd.gradcheck(
        lambda *values: prepared(spec)(with_leaves(output, values), target), leaves(output)
    )


@every_spec
def test_terms_are_not_negative(spec):
    for seed in range(3):
        assert (prepared(spec)(*example(loss(spec).reads, seed=seed)) >= 0).all()


@every_spec
def test_a_spec_survives_its_own_string_and_json(spec):
    text = json.loads(json.dumps(str(loss(spec))))
    assert loss(text) == loss(spec)
    assert str(parse(text)) == text


@pytest.mark.parametrize("spec", [s for s in SPECS if parse(s).terms[0].name in SHIFT_INVARIANT])
def test_a_shift_of_all_logits_changes_nothing_of_a_softmax_loss(spec):
    output, target = example("classes")
    moved = dataclasses.replace(output, logits=output.logits + 37)
    torch.testing.assert_close(prepared(spec)(moved, target), prepared(spec)(output, target))


@every_loss
def test_a_loss_names_authors_title_and_equation(name):
    authors, _, title = losses[name].source.partition(": ")
    assert authors and len(title) > 20
    assert re.search(r"(eq\.|section|algorithm) \(?\d", title)


@every_loss
def test_a_loss_documents_formula_fields_source_deviations_and_a_checked_example(name):
    cls = losses[name]
    text = cls.__doc__ or ""
    for part in (".. math::", "Inputs:", "Returns:", "Source:", "Deviations:", "Example:"):
        assert part in text, part
    for field in dataclasses.fields(cls):
        assert f"{field.name}:" in text, field.name
    found = doctest.DocTestFinder().find(cls, name, module=sys.modules[cls.__module__])
    assert sum(len(test.examples) for test in found) > 0


@every_loss
def test_a_loss_is_frozen_and_hashable(name):
    built = losses.build(name)
    hash(built)
    with pytest.raises(dataclasses.FrozenInstanceError):
        built.anything = 1


@every_loss
def test_a_negative_or_unbounded_number_is_refused_by_name(name):
    cls = losses[name]
    for field in dataclasses.fields(cls):
        if isinstance(field.default, float):
            lowest = -math.inf if (name, field.name) in MAY_BE_MINUS_ONE else -1.0
            for value in (lowest, math.nan, math.inf):
                with pytest.raises(ValueError, match=rf"^{field.name} must be .*, got {value}"):
                    cls(**{field.name: value})


@every_loss
def test_bad_labels_and_logits_are_named_with_value_and_sample(name):
    if losses[name].reads != "classes":
        pytest.skip("reads no classes")
    output, target = example("classes")
    fn = prepared(name)
    wrong = dataclasses.replace(target, labels=torch.tensor([0, 1, 9, 3, 0, 1]))
    with pytest.raises(ValueError, match=r"labels must be in \[0, 4\), got 9 at sample 2"):
        fn(output, wrong)
    wrong = dataclasses.replace(target, labels=torch.tensor([0, 1, 2, 3, -1, 1]))
    with pytest.raises(ValueError, match=r"labels must be in \[0, 4\), got -1 at sample 4"):
        fn(output, wrong)
    for value in (math.nan, math.inf, -math.inf):
        logits = output.logits.detach().clone()
        logits[3, 1] = value
        with pytest.raises(NotFiniteError, match=f"must be finite, got {value} at sample 3"):
            fn(dataclasses.replace(output, logits=logits), target)
    with pytest.raises(ValueError, match=r"logits must be floats of shape \(B, C\)"):
        fn(dataclasses.replace(output, logits=output.logits[0]), target)
    with pytest.raises(ValueError, match=r"labels must be int64 of shape \(6,\)"):
        fn(output, dataclasses.replace(target, labels=target.labels[:5]))


@every_loss
def test_an_empty_batch_has_no_mean(name):
    reads = losses[name].reads
    output, target = example(reads)
    nothing = samples(output, target, torch.tensor([], dtype=torch.int64))
    with pytest.raises(ValueError, match=r"must be"):
        prepared(name).mean(*nothing)


@every_loss
def test_mixed_labels_are_honoured_or_refused(name):
    if losses[name].reads != "classes" or name in NOT_BY_SAMPLE:
        pytest.skip("its terms do not belong to the class of one sample")
    output, target = example("classes")
    one_hot = functional.one_hot(target.labels, 4).double()
    mixed = ClassTarget(target.labels, one_hot)
    try:
        terms = prepared(name)(output, mixed)
    except ValueError as error:
        assert "labels must be hard for" in str(error)
    else:
        torch.testing.assert_close(terms, prepared(name)(output, target))
        swapped = ClassTarget(target.labels, one_hot.roll(1, 0))
        half = ClassTarget(target.labels, (one_hot + one_hot.roll(1, 0)) / 2)
        if name != "weighted_ce":
            both = terms + prepared(name)(output, swapped)
            torch.testing.assert_close(prepared(name)(output, half), both / 2)


@every_loss
def test_weights_of_another_number_of_classes_are_refused(name):
    if not getattr(losses.build(name), "uses_counts", False):
        pytest.skip("weighs no classes")
    with pytest.raises(ValueError, match=f"counts must be given for {name}, got None"):
        loss(name).prepare(LossContext(num_classes=4))
    if losses[name].reads == "classes":
        fn = loss(name).prepare(LossContext(counts=[5, 4, 3]))
        with pytest.raises(ValueError, match="class weights must be one per class, 4, got 3"):
            fn(*example("classes"))


# Identities


logits_and_label = st.tuples(
    st.lists(st.floats(-1000, 1000), min_size=2, max_size=6), st.integers(0, 1)
)


def on(spec, row, counts=None):
    logits, label = row
    fn = loss(spec).prepare(LossContext(counts=counts, num_classes=len(logits)))
    return fn(torch.tensor([logits], dtype=torch.float64), [label])


@given(logits_and_label)
def test_focal_without_focus_is_cross_entropy(row):
    torch.testing.assert_close(on("focal(gamma=0)", row), on("ce", row))


@given(logits_and_label, st.integers(0, 10))
def test_single_label_asl_without_smoothing_is_cross_entropy_whatever_gamma_neg(row, gamma):
    with pytest.warns(UserWarning, match="is cross entropy whatever gamma_neg is"):
        terms = on(f"asl_single_label(gamma_neg={gamma}, smoothing=0)", row)
    torch.testing.assert_close(terms, on("ce", row))


@given(logits_and_label, st.floats(0.1, 5), st.integers(0, 5))
def test_single_label_asl_without_smoothing_is_focal(row, gamma, other):
    spec = f"asl_single_label(gamma_pos={gamma}, gamma_neg={other}, smoothing=0)"
    torch.testing.assert_close(on(spec, row), on(f"focal(gamma={gamma})", row))


@given(logits_and_label)
def test_asl_without_focus_is_binary_cross_entropy(row):
    logits = torch.tensor(row[0], dtype=torch.float64)
    target = functional.one_hot(torch.tensor(row[1]), len(logits)).double()
    expected = functional.binary_cross_entropy_with_logits(logits, target, reduction="sum")
    terms = on("asl_sigmoid(gamma_pos=0, gamma_neg=0, clip=0)", row)
    torch.testing.assert_close(terms[0], expected)


@given(logits_and_label, st.floats(0.0, 5))
def test_equal_sigmoid_focusing_is_the_focal_loss_of_torchvision(row, gamma):
    logits = torch.tensor(row[0], dtype=torch.float64)
    target = functional.one_hot(torch.tensor(row[1]), len(logits)).double()
    expected = sigmoid_focal_loss(logits, target, alpha=-1, gamma=gamma, reduction="sum")
    terms = on(f"asl_sigmoid(gamma_pos={gamma}, gamma_neg={gamma}, clip=0)", row)
    torch.testing.assert_close(terms[0], expected)
    spec = f"class_balanced(base='focal', gamma={gamma}, beta=0)"
    torch.testing.assert_close(on(spec, row, counts=[3] * len(logits))[0], expected)


@pytest.mark.parametrize("normalise", ["sum_to_c", "none", "mean_one"])
def test_class_balanced_at_beta_zero_weighs_nothing(normalise):
    output, target = example("classes")
    terms = prepared(f"class_balanced(beta=0, normalise='{normalise}')")(output, target)
    torch.testing.assert_close(terms, prepared("ce")(output, target))


def test_asl_with_two_classes_and_no_focus_counts_cross_entropy_twice():
    row = ([0.3, -1.1], 0)
    terms = on("asl_softmax_ovr(gamma_pos=0, gamma_neg=0)", row)
    torch.testing.assert_close(terms, 2 * on("ce", row))


def test_detached_asl_has_the_same_terms_and_another_gradient():
    (output, target), fns = example("classes"), []
    for flag in (True, False):
        terms = prepared(f"asl_sigmoid(detach_weight={flag})")(output, target)
        fns.append((terms, *gradients(terms, output)))
    torch.testing.assert_close(fns[0][0], fns[1][0])
    assert not torch.allclose(fns[0][1], fns[1][1])


def test_weighted_mean_is_that_of_torch():
    output, target = example("classes")
    weights = torch.tensor([0.5, 2.0, 1.0, 4.0], dtype=torch.float64)
    fn = prepared("weighted_ce(weights=[0.5, 2, 1, 4], mean='weights')")
    expected = functional.cross_entropy(output.logits, target.labels, weight=weights)
    torch.testing.assert_close(fn(output, target).mean(), expected)


def test_a_batch_without_weight_has_loss_zero():
    fn = prepared("weighted_ce(weights=[0, 1, 1, 1], mean='weights')")
    logits = torch.randn(2, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    terms = fn(logits, [0, 0])
    assert terms.tolist() == [0.0, 0.0]
    (gradient,) = torch.autograd.grad(terms.sum(), logits)
    assert not gradient.any()


@pytest.mark.parametrize("form", ["repaired", "huber", "literal"])
def test_the_forms_of_smooth_l1_agree_at_delta_one(form):
    output, target = example("boxes")
    expected = functional.smooth_l1_loss(output.boxes, target.boxes, reduction="none").sum(-1)
    expected = torch.where(target.labels > 0, expected, 0.0).flatten()
    torch.testing.assert_close(prepared(f"smooth_l1(form='{form}')")(output, target), expected)


def test_the_mean_of_boxes_divides_by_the_positive_cells():
    output, target = example("boxes")
    fn = prepared("ce + smooth_l1")
    cells = prepared("ce")(*class_view(output, target)[:2]).sum()
    boxes = prepared("smooth_l1")(output, target).sum()
    torch.testing.assert_close(fn.mean(output, target, class_view=class_view), (cells + boxes) / 3)


def test_boxes_on_the_background_may_be_infinite():
    boxes = torch.tensor([[math.inf] * 4, [0.0, 0.0, 1.0, 1.0]], requires_grad=True)
    true = torch.tensor([[0.0] * 4, [0.0, 0.0, 1.0, 3.0]])
    output = BoxOutput(torch.zeros(2, 2), boxes)
    terms = prepared("smooth_l1")(output, BoxTarget(torch.tensor([0, 1]), true))
    assert terms.tolist() == [0.0, 1.5]
    assert torch.autograd.grad(terms.sum(), boxes)[0].tolist() == [[0.0] * 4, [0.0, 0.0, 0.0, -1.0]]
    with pytest.raises(NotFiniteError, match="predicted boxes must be finite, got inf at cell 0"):
        prepared("smooth_l1")(output, BoxTarget(torch.tensor([1, 1]), true))


def test_bags_that_cannot_be_ranked_are_refused_with_a_remedy():
    fn = prepared("mil")
    with pytest.raises(ValueError, match=r"got 2 and 1; use the sampler paired_bags"):
        fn((torch.rand(2, 3), torch.rand(1, 3)), [0, 1])
    with pytest.raises(ValueError, match=r"got 2 and 0; use the sampler paired_bags"):
        fn((torch.rand(2, 3), torch.rand(0, 3)), [0, 1])
    with pytest.raises(ValueError, match=r"S >= 1"):
        fn((torch.rand(2, 0), torch.rand(2, 0)), [0, 1])
    with pytest.raises(ValueError, match=r"scores must be in \[0, 1\], got \[1.5\] at bag 0"):
        fn((torch.tensor([[1.5]]), torch.tensor([[0.5]])), [0])
    with pytest.raises(NotFiniteError, match="scores must be finite, got nan at bag 1"):
        fn((torch.tensor([[0.5]]), torch.tensor([[math.nan]])), [0])


def test_feature_similarity_ignores_the_length_of_a_feature_and_survives_zero():
    features = torch.tensor([[1.0, 2.0], [0.0, 0.0], [3.0, -1.0]], requires_grad=True)
    logits, fn = torch.zeros(3, 2), prepared("feature_similarity")
    value = fn((logits, features), [0, 0, 1])
    longer = fn((logits, features.detach() * torch.tensor([[5.0], [1.0], [0.1]])), [0, 0, 1])
    torch.testing.assert_close(value, longer)
    (gradient,) = torch.autograd.grad(value, features)
    assert gradient.isfinite().all()
    assert not gradient[1].any()


def test_feature_similarity_averages_maps_and_sums_named_layers():
    output, target = example("classes")
    parts = [
        prepared(f"feature_similarity(layers=['{n}'])")(output, target) for n in output.features
    ]
    torch.testing.assert_close(prepared("feature_similarity")(output, target), sum(parts))
    pooled = {"stage1": output.features["stage1"].mean((2, 3)), "stage2": output.features["stage2"]}
    same = ClassOutput(output.logits, pooled)
    torch.testing.assert_close(prepared("feature_similarity")(same, target), sum(parts))
    with pytest.raises(ValueError, match="layer must be one of stage1, stage2, got 'stage9'"):
        prepared("feature_similarity(layers=['stage9'])")(output, target)
    with pytest.raises(ValueError, match="features for feature_similarity must be given"):
        prepared("feature_similarity")(ClassOutput(output.logits), target)


def test_one_sample_without_its_diagonal_has_nothing_to_compare():
    fn = prepared("feature_similarity(exclude_diagonal=True)")
    assert fn((torch.zeros(1, 2), torch.ones(1, 3)), [0]).item() == 0


def test_a_class_without_samples_weighs_nothing_and_is_left_out_of_c():
    for spec in ("weighted_ce", "weighted_ce(weights='inverse')", "class_balanced(beta=1)"):
        with pytest.warns(UserWarning, match="class 1 has no training sample"):
            fn = loss(spec).prepare(LossContext(counts=[4, 0, 4]))
        terms = fn(torch.zeros(3, 3), [0, 1, 2]) / math.log(3)
        torch.testing.assert_close(terms, torch.tensor([1.0, 0.0, 1.0]))


@pytest.mark.parametrize("weights", ["[]", "[0, 0]", "[-1, 1]", "'balance'", "'effective:1.5'"])
def test_weights_that_are_no_weights_are_refused(weights):
    with pytest.raises(ValueError, match="weights must be"):
        loss(f"weighted_ce(weights={weights})")


def test_probabilities_that_do_not_sum_to_one_are_named():
    fn = prepared("ce")
    with pytest.raises(ValueError, match=r"sum to 1 in each row, got .* at sample 1"):
        fn(torch.zeros(2, 2), torch.tensor([[0.5, 0.5], [0.5, 0.25]]))


def test_a_sum_of_losses_is_the_weighted_sum_of_their_terms():
    output, target = example("classes")
    expected = prepared("ce")(output, target) + 0.5 * prepared("focal")(output, target)
    torch.testing.assert_close(prepared("ce + 0.5*focal")(output, target), expected)
    mixed = prepared("ce + 2*feature_similarity")(output, target)
    expected = prepared("ce")(output, target).mean()
    expected = expected + 2 * prepared("feature_similarity")(output, target)
    torch.testing.assert_close(mixed, expected)


def test_only_what_reweighs_by_counts_says_so():
    uses = {spec: loss(spec).uses_counts for spec in SPECS}
    assert (
        uses["weighted_ce"] and uses["class_balanced"] and uses["focal(gamma=5, alpha='balanced')"]
    )
    assert not uses["ce"] and not uses["focal"]
    assert not loss("weighted_ce(weights=[1, 2])").uses_counts


# Golden values


@pytest.mark.parametrize("case", GOLDEN["classes"], ids=lambda case: case["spec"])
def test_class_losses_equal_the_formula_at_high_precision(case):
    logits = torch.tensor(GOLDEN["logits"], dtype=torch.float64, requires_grad=True)
    terms = loss(case["spec"]).prepare(LossContext(counts=GOLDEN["counts"]))(
        logits, GOLDEN["labels"]
    )
    close = {"rtol": 1e-11, "atol": 1e-14}
    expected = torch.tensor(case["terms"], dtype=torch.float64)
    torch.testing.assert_close(terms, expected, **close)
    (found,) = torch.autograd.grad(terms.sum(), logits)
    expected = torch.tensor(case["gradients"], dtype=torch.float64)
    torch.testing.assert_close(found, expected, **close)


@pytest.mark.parametrize(
    "case",
    [c for c in GOLDEN["classes"] if c["spec"].startswith(("focal", "asl_softmax"))],
    ids=lambda case: case["spec"],
)
def test_focusing_keeps_its_relative_precision_far_into_the_tail(case):
    logits = torch.tensor(GOLDEN["logits"], dtype=torch.float64)
    terms = loss(case["spec"]).prepare(LossContext(counts=GOLDEN["counts"]))(
        logits, GOLDEN["labels"]
    )
    expected = torch.tensor(case["terms"], dtype=torch.float64)
    torch.testing.assert_close(terms, expected, rtol=1e-11, atol=1e-280)


def test_a_default_configuration_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in losses:
            losses.build(name)
