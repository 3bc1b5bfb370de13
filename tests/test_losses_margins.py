"""Losses that re-weight, shift or hold classes at a margin: identities, state, golden values."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from pybench.losses import LossContext, loss
from pybench.registry import SpecError
from pybench.types import ClassOutput, ClassTarget
from tests.examples import context, example

GOLDEN = json.loads((Path(__file__).parent / "golden" / "losses_margins.json").read_text())

# Logits, a label among the first two, and class counts of which some may be 0.
rows = st.integers(2, 6).flatmap(
    lambda classes: st.tuples(
        st.lists(st.floats(-1000, 1000), min_size=classes, max_size=classes),
        st.integers(0, 1),
        st.lists(st.integers(1, 5000), min_size=classes, max_size=classes),
    )
)


def on(spec, row):
    """Term and gradient of one sample, next to the features (1, -2)."""
    values, label, counts = row
    logits = torch.tensor([values], dtype=torch.float64, requires_grad=True)
    features = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    fn = loss(spec).prepare(LossContext(counts=counts))
    term = fn((logits, features), [label])
    (gradient,) = torch.autograd.grad(term.sum(), logits)
    return term.detach(), gradient


def scaled(row, scale):
    return [v * scale for v in row[0]], *row[1:]


def assert_same(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


# Identities


@given(rows)
@settings(max_examples=30)
@pytest.mark.parametrize(
    "spec",
    [
        "logit_adjustment(tau=0)",
        "vector_scaling(gamma=0, tau=0)",
        "cdt(gamma=0)",
        "poly1(epsilon=0)",
        "seesaw(p=0, q=0)",
        "label_aware_smoothing(head=0, tail=0)",
        "drw(loss=ce, at=0, beta=0)",
        "drw(loss=ce, at=1)",
        "influence_balanced",
    ],
)
def test_without_its_correction_a_loss_is_cross_entropy(spec, row):
    assert_same(on(spec, row), on("ce", row))


@given(rows, st.floats(0, 5))
def test_vector_scaling_without_scales_is_logit_adjustment(row, tau):
    expected = on(f"logit_adjustment(tau={tau!r})", row)
    assert_same(on(f"vector_scaling(gamma=0, tau={tau!r})", row), expected)


@given(rows, st.floats(0, 5))
def test_vector_scaling_without_shifts_is_class_dependent_temperatures(row, gamma):
    expected = on(f"cdt(gamma={gamma!r})", row)
    assert_same(on(f"vector_scaling(gamma={gamma!r}, tau=0)", row), expected)


@given(rows)
def test_balanced_softmax_is_logit_adjustment_of_strength_one(row):
    assert_same(on("balanced_softmax", row), on("logit_adjustment(tau=1)", row))


@given(rows, st.sampled_from(["ldam(max_margin=0, scale=7)", "gcl(noise=0, scale=7)"]))
def test_without_margin_or_noise_cosines_are_only_scaled(row, spec):
    term, gradient = on("ce", scaled(row, 7))
    assert_same(on(spec, row), (term, 7 * gradient))


@given(rows)
def test_equal_counts_leave_the_classes_alike(row):
    even = (*row[:2], [9] * len(row[2]))
    for spec in ("balanced_softmax", "seesaw(q=0)", "cdt(gamma=2)", "drw(loss=ce, at=0)"):
        assert_same(on(spec, even), on("ce", even))
    assert_same(on("equalization", even), on("bce_ovr", even))
    term, gradient = on("ce", scaled(even, 30))
    assert_same(on("gcl", even), (term, 30 * gradient))


@given(rows)
def test_one_versus_rest_losses_without_their_correction_are_binary_cross_entropy(row):
    logits = torch.tensor(row[0], dtype=torch.float64)
    target = functional.one_hot(torch.tensor(row[1]), len(logits)).double()
    expected = functional.binary_cross_entropy_with_logits(logits, target, reduction="sum")
    ones = [1] * len(logits)
    for spec in (
        f"bce_ovr(weights={ones})",
        "equalization(lam=0)",
        "equalization(threshold=0)",
        "equalization_v2",
        "focal_sigmoid(gamma=0, alpha=-1)",
    ):
        assert_same(on(spec, row)[0][0], expected)


@given(rows)
def test_bce_ovr_is_that_of_torch_with_weighted_positives(row):
    logits = torch.tensor(row[0], dtype=torch.float64)
    target = functional.one_hot(torch.tensor(row[1]), len(logits)).double()
    counts = torch.tensor(row[2], dtype=torch.float64)
    reference = torch.nn.BCEWithLogitsLoss(
        pos_weight=counts.sum() / (len(counts) * counts), reduction="sum"
    )
    assert_same(on("bce_ovr", row)[0][0], reference(logits, target))


@given(rows, st.floats(0, 5), st.floats(0, 1) | st.just(-1.0))
def test_focal_sigmoid_is_that_of_torchvision(row, gamma, alpha):
    logits = torch.tensor(row[0], dtype=torch.float64)
    target = functional.one_hot(torch.tensor(row[1]), len(logits)).double()
    expected = sigmoid_focal_loss(logits, target, alpha=alpha, gamma=gamma, reduction="sum")
    assert_same(on(f"focal_sigmoid(gamma={gamma!r}, alpha={alpha!r})", row)[0][0], expected)


@given(rows)
def test_smoothing_that_is_the_same_for_all_classes_is_that_of_cross_entropy(row):
    classes = len(row[0])
    # Cross entropy spreads its smoothing over the label too.
    share = 0.1 * (classes - 1) / classes
    found = on(f"label_aware_smoothing(head={share!r}, tail={share!r})", row)
    assert_same(found, on("ce(smoothing=0.1)", row))


def test_a_false_error_of_equal_classes_is_the_mean_squared_error():
    logits = torch.randn(4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = (logits.softmax(1) - torch.eye(2).repeat(2, 1)).square().sum(1).mean()
    value = loss("mean_false_error").prepare(LossContext())(logits, [0, 1, 0, 1])
    torch.testing.assert_close(value, expected)  # two classes, half of the squares


# Effects


@pytest.mark.parametrize("spec", ["balanced_softmax", "cdt", "ldam", "seesaw", "vector_scaling"])
def test_of_three_labels_with_equal_logits_the_rarer_costs_more(spec):
    fn = loss(spec).prepare(LossContext(counts=[900, 90, 10]))
    terms = fn(torch.ones(3, 3), [0, 1, 2])
    assert terms[0] < terms[1] < terms[2]


def test_a_rare_class_feels_nothing_from_samples_of_other_classes_under_equalization():
    logits = torch.zeros(2, 3, requires_grad=True)
    terms = loss("equalization").prepare(LossContext(counts=[80, 15, 5]))(logits, [0, 2])
    (gradient,) = torch.autograd.grad(terms.sum(), logits)
    assert gradient.tolist() == [[-0.5, 0.0, 0.0], [0.5, 0.0, -0.5]]


def test_deferred_weights_begin_at_their_time_and_take_the_needs_of_the_loss():
    output, target = example("classes")
    plain, deferred = (
        loss(s).prepare(context()) for s in ("ldam", "drw(loss=ldam, at=0.5, beta=0.9)")
    )
    torch.testing.assert_close(deferred(output, target, progress=0.49), plain(output, target))
    weighted = loss("drw(loss=ldam, at=0, beta=0.9)").prepare(context())(output, target)
    torch.testing.assert_close(deferred(output, target, progress=0.5), weighted)
    assert not torch.allclose(weighted, plain(output, target))
    assert loss("drw").needs == {"cosine_head"}
    assert loss("drw(loss=influence_balanced)").needs == {"features"}
    assert loss("drw(loss=ce)").needs == frozenset()


def test_a_schedule_within_a_deferred_loss_sees_the_progress():
    output, target = example("classes")
    fn = loss("drw(loss=influence_balanced(at=0.5), at=1)").prepare(context())
    late = loss("influence_balanced(at=0)").prepare(context())(output, target)
    torch.testing.assert_close(fn(output, target, progress=0.6), late)
    early = loss("ce").prepare(context())(output, target)
    torch.testing.assert_close(fn(output, target, progress=0.4), early)


def test_what_cannot_be_deferred_is_refused():
    with pytest.raises(SpecError, match="loss must be one that reads classes, got one of bags"):
        loss("drw(loss=mil)")
    fn = loss("drw(loss=mean_false_error)").prepare(context())
    with pytest.raises(ValueError, match="loss in drw must be one that gives a term per sample"):
        fn(*example("classes"))


def test_influence_is_a_constant_for_the_gradient_and_falls_with_the_features():
    output, target = example("classes")
    fn = loss("influence_balanced(at=0)").prepare(context())
    near = fn(output, target)
    assert not any(
        g is not None
        for g in torch.autograd.grad(near.sum(), [*output.features.values()], allow_unused=True)
    )
    longer = {**output.features, "stage2": 10 * output.features["stage2"]}
    assert (fn(ClassOutput(output.logits, longer), target) < near).all()
    with pytest.raises(ValueError, match="features for influence_balanced must be given"):
        fn(ClassOutput(output.logits), target)


def test_mixed_labels_weigh_the_terms_of_their_classes():
    logits = torch.randn(1, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for spec in ("balanced_softmax", "logit_adjustment", "vector_scaling", "cdt", "poly1"):
        fn = loss(spec).prepare(LossContext(counts=[30, 9, 1]))
        alone = torch.cat([fn(logits, [c]) for c in range(3)])
        shares = torch.tensor([[0.5, 0.2, 0.3]], dtype=torch.float64)
        torch.testing.assert_close(fn(logits, shares), shares @ alone)


def test_clouds_are_drawn_from_the_given_generator_and_spare_the_most_frequent_class():
    def clouded():
        generator = torch.Generator().manual_seed(3)
        return loss("gcl(scale=2)").prepare(LossContext(counts=[90, 9, 1], generator=generator))

    logits = torch.zeros(5, 3, dtype=torch.float64)
    first, again = clouded(), clouded()
    terms = first(logits, [0] * 5)
    assert torch.equal(terms, again(logits, [0] * 5))
    assert not torch.equal(terms, first(logits, [0] * 5))
    draws = torch.randn(5, 3, generator=torch.Generator().manual_seed(3)).double().abs() / 3
    # Two orders of magnitude from 90 to 1, of which 9 is one half: log 10 / log 90.
    sizes = torch.tensor([0.0, math.log(10) / math.log(90), 1.0], dtype=torch.float64)
    expected = (-2 * sizes * draws.clamp(max=1)).exp().sum(1).log()
    torch.testing.assert_close(terms, expected, rtol=1e-6, atol=1e-6)
    assert (terms <= math.log(3)).all()


@pytest.mark.parametrize(
    "spec",
    [
        "balanced_softmax",
        "cdt",
        "equalization",
        "gcl(noise=0)",
        "label_aware_smoothing",
        "ldam",
        "logit_adjustment",
        "seesaw",
        "vector_scaling",
    ],
)
def test_a_class_without_samples_counts_as_if_it_had_one(spec):
    logits = torch.tensor([[0.5, -1.0, 0.25]], dtype=torch.float64).repeat(3, 1)
    with pytest.warns(UserWarning, match="class 2 has no training sample, counted as 1"):
        fn = loss(spec).prepare(LossContext(counts=[50, 9, 0]))
    expected = loss(spec).prepare(LossContext(counts=[50, 9, 1]))(logits, [0, 1, 2])
    torch.testing.assert_close(fn(logits, [0, 1, 2]), expected)
    with pytest.raises(ValueError, match="counts must be positive for some class"):
        loss(spec).prepare(LossContext(counts=[0, 0, 0]))


@pytest.mark.parametrize("spec", ["drw(loss=ce, at=0)", "influence_balanced(at=0)"])
def test_a_class_without_samples_weighs_nothing_where_counts_are_weights(spec):
    with pytest.warns(UserWarning, match="class 1 has no training sample, weight 0"):
        fn = loss(spec).prepare(LossContext(counts=[4, 0, 4]))
    terms = fn((torch.zeros(3, 3), torch.ones(3, 2)), [0, 1, 2])
    assert terms[1] == 0 and terms[0] == terms[2] > 0


def test_label_aware_smoothing_needs_counts_of_its_classes_and_does_not_rebalance():
    with pytest.raises(ValueError, match="counts must be given for label_aware_smoothing"):
        loss("label_aware_smoothing").prepare(LossContext(num_classes=4))
    fn = loss("label_aware_smoothing").prepare(LossContext(counts=[5, 4, 3]))
    with pytest.raises(ValueError, match="class weights must be one per class, 4, got 3"):
        fn(*example("classes"))
    assert not loss("label_aware_smoothing").uses_counts
    with pytest.raises(SpecError, match=r"tail must be in \[0, head\] = \[0, 0.2\], got 0.3"):
        loss("label_aware_smoothing(head=0.2, tail=0.3)")


def test_an_alpha_above_one_and_an_epsilon_below_minus_one_are_refused():
    with pytest.raises(SpecError, match=r"alpha must be in \[0, 1\], or negative for none, got 2"):
        loss("focal_sigmoid(alpha=2)")
    with pytest.raises(SpecError, match=r"epsilon must be finite and >= -1, got -1.5"):
        loss("poly1(epsilon=-1.5)")


# State


def batches(count):
    rng = torch.Generator().manual_seed(5)
    for _ in range(count):
        logits = torch.randn(6, 4, generator=rng)
        yield ClassOutput(logits), ClassTarget(torch.tensor([0, 0, 0, 1, 1, 2]))


@pytest.mark.parametrize("spec", ["equalization_v2", "drw(loss=equalization_v2, at=0.5)"])
def test_a_stateful_loss_continues_bit_for_bit_from_its_saved_state(spec, tmp_path):
    whole = loss(spec).prepare(context())
    terms = [whole(*batch, progress=0.6) for batch in batches(6)]

    first = loss(spec).prepare(context())
    for batch in batches(3):
        first(*batch, progress=0.6)
    (module,) = first.modules()
    torch.save(module.state_dict(), tmp_path / "state.pt")

    second = loss(spec).prepare(context())
    (module,) = second.modules()
    module.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    fresh = loss(spec).prepare(context())
    for batch, expected in zip(list(batches(6))[3:], terms[3:], strict=True):
        assert torch.equal(second(*batch, progress=0.6), expected)
        assert not torch.equal(fresh(*batch, progress=0.6), expected)


def test_a_stateful_loss_learns_nothing_while_it_is_evaluated():
    fn = loss("equalization_v2").prepare(context())
    (module,) = fn.modules()
    module.eval()
    for batch in batches(2):
        fn(*batch)
    assert not any(value.any() for value in module.state_dict().values())


def test_a_class_that_only_meets_other_samples_is_spared_and_raised():
    fn = loss("equalization_v2").prepare(LossContext(num_classes=2))
    logits = torch.zeros(4, 2, requires_grad=True)
    for _ in range(20):
        fn(logits, [0, 0, 0, 0])
    (starved,) = torch.autograd.grad(fn(logits, [0, 0, 0, 1]).sum(), logits)
    assert starved[0, 1] < 1e-3  # as a negative, 0.5 without weights
    assert starved[3, 1] < -2  # as a positive, -0.5 without weights


def test_the_number_of_classes_must_be_known_to_keep_their_state():
    with pytest.raises(ValueError, match="num_classes must be known for equalization_v2, got None"):
        loss("equalization_v2").prepare(LossContext())


# Golden values


@pytest.mark.parametrize("case", GOLDEN["classes"], ids=lambda case: case["spec"])
def test_terms_and_gradients_equal_the_formula_at_high_precision(case):
    logits = torch.tensor(GOLDEN["logits"], dtype=torch.float64, requires_grad=True)
    features = torch.tensor(GOLDEN["features"], dtype=torch.float64)
    fn = loss(case["spec"]).prepare(LossContext(counts=GOLDEN["counts"]))
    terms = fn((logits, features), GOLDEN["labels"])
    close = {"rtol": 1e-11, "atol": 1e-14}
    expected = torch.tensor(case["terms"], dtype=torch.float64)
    torch.testing.assert_close(terms, expected, **close)
    (found,) = torch.autograd.grad(terms.sum(), logits)
    expected = torch.tensor(case["gradients"], dtype=torch.float64)
    torch.testing.assert_close(found, expected, **close)


@pytest.mark.parametrize("case", GOLDEN["equalization_v2"], ids=lambda case: case["spec"])
def test_gradients_add_up_as_in_the_formula(case):
    logits = torch.tensor(GOLDEN["logits"], dtype=torch.float64)
    fn = loss(case["spec"]).prepare(LossContext(num_classes=3))
    for terms in case["calls"]:
        expected = torch.tensor(terms, dtype=torch.float64)
        torch.testing.assert_close(fn(logits, GOLDEN["labels"]), expected, rtol=1e-11, atol=1e-14)
    (module,) = fn.modules()
    for name in ("positive", "negative"):
        expected = torch.tensor(case[name], dtype=torch.float64)
        torch.testing.assert_close(module.state_dict()[name], expected, rtol=1e-12, atol=0.0)
