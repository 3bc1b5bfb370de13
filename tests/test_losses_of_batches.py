"""Losses that look at the whole batch, or at the batches before: identities and golden values."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score
from torch.nn import functional

from pybench.losses import LossContext, loss
from pybench.tasks import tasks
from pybench.train import run_trial
from pybench.trial import Trial
from pybench.types import BagOutput, BagTarget
from tests.examples import context, example

GOLDEN = json.loads((Path(__file__).parent / "golden" / "losses_of_batches.json").read_text())
INPUTS = GOLDEN["inputs"]
CLOSE = {"rtol": 1e-11, "atol": 1e-13}


def prepared(spec, **told):
    return loss(spec).prepare(LossContext(**told) if told else context())


def double(values, *, leaf=False):
    return torch.tensor(values, dtype=torch.float64, requires_grad=leaf)


def ids(case):
    return case["spec"]


def assert_same(found, expected, at):
    torch.testing.assert_close(found, expected, **CLOSE)
    gradients = [torch.autograd.grad(v.sum(), at, retain_graph=True)[0] for v in (found, expected)]
    torch.testing.assert_close(*gradients, **CLOSE)


# Some logits, a label for each row, and class counts.
batches = st.integers(2, 4).flatmap(
    lambda classes: st.integers(1, 6).flatmap(
        lambda size: st.tuples(
            st.lists(
                st.lists(st.floats(-30, 30), min_size=classes, max_size=classes),
                min_size=size,
                max_size=size,
            ),
            st.lists(st.integers(0, classes - 1), min_size=size, max_size=size),
            st.lists(st.integers(1, 5000), min_size=classes, max_size=classes),
        )
    )
)


@pytest.mark.parametrize("case", GOLDEN["classes"], ids=ids)
def test_losses_of_logits_equal_the_formula(case):
    logits = double(INPUTS["logits"], leaf=True)
    terms = prepared(case["spec"], counts=[30, 9, 1])(logits, INPUTS["labels"])
    torch.testing.assert_close(terms, double(case["terms"]), **CLOSE)
    (found,) = torch.autograd.grad(terms.sum(), logits)
    torch.testing.assert_close(found, double(case["gradients"]), **CLOSE)


@pytest.mark.parametrize("case", GOLDEN["contrast"], ids=ids)
def test_losses_of_features_equal_the_formula(case):
    features = double(INPUTS["features"], leaf=True)
    logits = double(INPUTS["logits"][: len(features)])
    terms = prepared(case["spec"], counts=INPUTS["counts"])(
        (logits, features), INPUTS["feature_labels"]
    )
    torch.testing.assert_close(terms, double(case["terms"]), **CLOSE)
    (found,) = torch.autograd.grad(terms.sum(), features)
    torch.testing.assert_close(found, double(case["gradients"]), **CLOSE)


def test_the_centres_of_paco_have_the_gradient_of_the_formula():
    case, features = GOLDEN["centres"], double(INPUTS["features"])
    logits = double(INPUTS["logits"][: len(features)], leaf=True)
    fn = prepared(case["spec"], counts=INPUTS["counts"])
    terms = fn((logits, features), INPUTS["feature_labels"])
    torch.testing.assert_close(terms, double(case["terms"]), **CLOSE)
    (found,) = torch.autograd.grad(terms.sum(), logits)
    torch.testing.assert_close(found, double(case["gradients"]), **CLOSE)


@pytest.mark.parametrize("case", GOLDEN["bags"], ids=ids)
def test_losses_of_bags_equal_the_formula(case):
    scores, features = double(INPUTS["scores"]), double(INPUTS["snippets"], leaf=True)
    fn = prepared(case["spec"], feature_dims=[2])
    for module in fn.modules():
        module.load_state_dict({"units": double(INPUTS["memories"])})
    output = BagOutput(scores, scores.unsqueeze(2), {"x": features})
    terms = fn(output, BagTarget(torch.tensor([0, 1, 0, 2, 2, 2]), normal=2))
    torch.testing.assert_close(terms, double(case["terms"]), **CLOSE)
    (found,) = torch.autograd.grad(terms.sum(), features)
    expected = double(case["gradients"]).reshape(features.shape)
    torch.testing.assert_close(found, expected, **CLOSE)


# Gradient harmonising


@pytest.mark.parametrize("case", GOLDEN["ghm"], ids=ids)
def test_shares_of_bins_are_smoothed_as_in_the_formula(case):
    fn = prepared(case["spec"], num_classes=3)
    for scale, terms in zip((1.0, 0.5), case["calls"], strict=True):
        found = fn(scale * double(INPUTS["logits"]), INPUTS["labels"])
        torch.testing.assert_close(found, double(terms), **CLOSE)


@given(batches)
def test_gradient_harmonising_in_one_bin_is_binary_cross_entropy(batch):
    rows, labels, counts = batch
    logits = double(rows, leaf=True)
    expected = prepared(f"bce_ovr(weights={[1] * len(counts)})", counts=counts)(logits, labels)
    assert_same(prepared("ghm(bins=1)", counts=counts)(logits, labels), expected, logits)


@given(batches, st.integers(1, 12))
def test_every_bin_of_difficulty_that_holds_a_decision_weighs_the_same(batch, bins):
    rows, labels, _ = batch
    logits = double(rows, leaf=True)
    terms = prepared(f"ghm(bins={bins}, momentum=0)")(logits, labels)
    truth = functional.one_hot(torch.tensor(labels), logits.shape[1])
    hardness = (logits.sigmoid() - truth).abs().detach()
    (pull,) = torch.autograd.grad(terms.sum(), logits)
    # What a decision weighs is its gradient by what that would be in binary cross entropy.
    at = (hardness * bins).long().clamp(max=bins - 1)
    for b in at[hardness > 1e-9].unique():
        members = (at == b) & (hardness > 1e-9)
        weight = (pull.abs() / hardness)[members]
        expected = torch.full_like(weight, at.numel() / (bins * int((at == b).sum())))
        torch.testing.assert_close(weight, expected, rtol=1e-6, atol=0.0)


# Focus by gradients


@pytest.mark.parametrize("case", GOLDEN["equalized_focal"], ids=ids)
def test_focus_follows_the_gradients_so_far(case):
    logits = double(INPUTS["logits"])
    fn = prepared(case["spec"], num_classes=3)
    for terms in case["calls"]:
        found = fn(logits, INPUTS["labels"])
        torch.testing.assert_close(found, double(terms), rtol=1e-11, atol=1e-13)
    (module,) = fn.modules()
    for name in ("positive", "negative"):
        found = module.state_dict()[name]
        torch.testing.assert_close(found, double(case[name]), rtol=1e-11, atol=0.0)


@given(batches, st.floats(0.1, 5), st.floats(0, 1) | st.just(-1.0))
def test_equalized_focal_without_scale_stays_the_focal_loss(batch, gamma, alpha):
    rows, labels, counts = batch
    logits = double(rows, leaf=True)
    spec = f"(gamma={gamma!r}, alpha={alpha!r})"
    expected = prepared(f"focal_sigmoid{spec}", counts=counts)(logits, labels)
    fn = prepared(f"equalized_focal{spec[:-1]}, scale=0)", counts=counts)
    for _ in range(2):
        assert_same(fn(logits, labels), expected, logits)


def test_the_gradients_that_equalized_focal_adds_up_are_those_of_its_terms():
    fn = prepared("equalized_focal", num_classes=4)
    (module,) = fn.modules()
    for seed in range(3):
        output, target = example("classes", seed=seed)
        before = {name: value.clone() for name, value in module.state_dict().items()}
        (gradient,) = torch.autograd.grad(fn(output, target).sum(), output.logits)
        is_label = functional.one_hot(target.labels, 4).bool()
        for name, members in (("positive", is_label), ("negative", ~is_label)):
            added = module.state_dict()[name] - before[name]
            torch.testing.assert_close(added, (gradient.abs() * members).sum(0))


def test_a_class_that_only_meets_other_samples_is_focused_further():
    logits = torch.tensor([[2.0, -2.0]] * 4, requires_grad=True)
    fn = prepared("equalized_focal(alpha=-1)", num_classes=2)
    first, later = (torch.autograd.grad(fn(logits, [0] * 4).sum(), logits)[0] for _ in range(2))
    torch.testing.assert_close(first[:, 0], later[:, 0])  # never a negative: balanced
    assert (later[:, 1] < first[:, 1] / 10).all()  # easy negatives: focused away


# Rankings


@pytest.mark.parametrize("seed", range(3))
def test_smooth_ap_becomes_average_precision_as_the_temperature_falls(seed):
    rng = torch.Generator().manual_seed(seed)
    features = torch.randn(12, 5, generator=rng, dtype=torch.float64)
    labels = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4])
    h, expected = functional.normalize(features), []
    for q in range(10):  # the last two are alone in their class
        others = [j for j in range(12) if j != q]
        scores = (h[others] @ h[q]).numpy()
        expected.append(1 - average_precision_score((labels[others] == labels[q]).numpy(), scores))
    terms = prepared("smooth_ap(temperature=1e-7)")((torch.zeros(12, 5), features), labels)
    assert terms[10:].tolist() == [0.0, 0.0]
    torch.testing.assert_close(terms[:10] * 10 / 12, double(expected), rtol=1e-6, atol=1e-9)
    assert terms.mean().item() == pytest.approx(sum(expected) / 10)


def test_smooth_ap_without_any_partner_is_zero_with_zero_gradient():
    for size in (1, 3):
        features = torch.randn(size, 2, generator=torch.Generator().manual_seed(0))
        features.requires_grad_()
        terms = prepared("smooth_ap")((torch.zeros(size, 3), features), list(range(size)))
        assert terms.tolist() == [0.0] * size
        assert not torch.autograd.grad(terms.sum(), features)[0].any()


@given(batches)
def test_an_auc_margin_of_one_is_the_squared_margin_of_all_pairs(batch):
    rows, labels, _ = batch
    logits = double(rows, leaf=True)
    p, y, values = logits.softmax(1), torch.tensor(labels), []
    for c in range(logits.shape[1]):
        own, rest = p[y == c, c], p[y != c, c]
        if len(own) and len(rest):
            values.append((1 - own.unsqueeze(1) + rest).square().mean())
    expected = sum(values) / len(values) if values else 0 * logits.sum()
    assert_same(prepared("auc_margin")(logits, labels), expected, logits)


def test_auc_margin_wants_no_more_than_its_margin():
    logits = torch.tensor([[0.8, 0.2], [0.8, 0.2], [0.2, 0.8]]).log()
    assert prepared("auc_margin(margin=0.5)")(logits, [0, 0, 1]).item() == pytest.approx(0.0)
    assert prepared("auc_margin(margin=0.7)")(logits, [0, 0, 1]).item() == pytest.approx(0.01)


# Priors


@given(batches)
def test_lade_without_its_estimate_is_balanced_softmax(batch):
    rows, labels, counts = batch
    logits = double(rows, leaf=True)
    expected = prepared("balanced_softmax", counts=counts)(logits, labels)
    assert_same(prepared("lade(alpha=0)", counts=counts)(logits, labels), expected, logits)


def test_the_estimate_of_lade_is_best_at_the_logarithm_of_the_ratio_of_densities():
    """Inputs of four kinds, each class with its own shares of them, drawn by an uneven prior."""
    per_class = torch.tensor([[6, 3, 2, 1], [1, 1, 1, 1]])  # (class, kind): 12 and 4 samples
    y, x = torch.tensor(
        [[c, k] for c in range(2) for k in range(4) for _ in range(per_class[c, k])]
    ).T
    density = per_class / per_class.sum(1, keepdim=True)
    best = (density / density.mean(0)).log().T.double()
    fn, plain = (prepared(f"lade(alpha={a}, penalty=0)", counts=[12, 4]) for a in (1, 0))

    def estimate(logits):
        return (fn(logits[x], y) - plain(logits[x], y))[0]

    at = best.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(estimate(at), at)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient))
    rng = torch.Generator().manual_seed(0)
    for _ in range(20):
        away = best + torch.randn(4, 2, generator=rng)
        assert estimate(away) > estimate(best)


def test_a_class_absent_from_the_batch_leaves_its_logit_to_the_softmax():
    logits = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    gradients = [
        torch.autograd.grad(prepared(spec, counts=[5, 3, 2])(logits, [0, 1]).mean(), logits)[0]
        for spec in ("lade(alpha=1)", "balanced_softmax")
    ]
    torch.testing.assert_close(gradients[0][:, 2], gradients[1][:, 2])
    assert not torch.allclose(gradients[0], gradients[1])


# Contrast with centres


def test_paco_of_one_sample_is_balanced_softmax():
    logits = torch.tensor([[0.5, -2.0, 1.0]], dtype=torch.float64, requires_grad=True)
    features = torch.ones(1, 4, dtype=torch.float64)
    expected = prepared("balanced_softmax", counts=[30, 9, 1])(logits, [2])
    assert_same(prepared("paco", counts=[30, 9, 1])((logits, features), [2]), expected, logits)


def test_sure_logits_leave_paco_nothing_but_the_centres():
    logits = torch.tensor([[400.0, 390.0], [380.0, 400.0]], dtype=torch.float64)
    features = torch.eye(2, dtype=torch.float64)
    terms = prepared("paco", counts=[3, 1])((logits, features), [0, 1])
    torch.testing.assert_close(terms, prepared("balanced_softmax", counts=[3, 1])(logits, [0, 1]))


# Bags


@pytest.mark.parametrize("name", ["mgfn", "ur_dmu"])
def test_bags_of_snippets_that_do_not_fit_are_refused(name):
    output, target = example("bags")
    with pytest.raises(ValueError, match="k must be at most 5 snippets, got 6"):
        prepared(f"{name}(k=6)", feature_dims=[6])(output, target)
    with pytest.raises(ValueError, match="k must be >= 1, got 0"):
        loss(f"{name}(k=0)")
    with pytest.raises(ValueError, match=f"features for {name} must be given, got none"):
        prepared(name)(dataclasses.replace(output, features={}), target)


@pytest.mark.parametrize("name", ["mgfn(weight=0, k=5)", "ur_dmu(memory=0, triplet=0, k=5)"])
def test_without_its_features_a_loss_of_bags_is_cross_entropy(name):
    output, target = example("bags")
    expected = prepared("topk_mil(k=5)")(output, target)
    terms = prepared(name, feature_dims=[6])(output, target)
    torch.testing.assert_close(terms, expected if len(terms) == 6 else expected.view(3, 2).mean(1))


def test_memories_say_what_they_need_and_come_from_the_generator_of_the_loss():
    with pytest.raises(ValueError, match="feature_dims of ur_dmu must be given"):
        prepared("ur_dmu", num_classes=2)
    with pytest.raises(ValueError, match="features must be of size 3, got 6"):
        prepared("ur_dmu", feature_dims=[3])(*example("bags"))
    (first,), (again,) = (prepared("ur_dmu").modules() for _ in range(2))
    assert torch.equal(first.units, again.units)
    assert first.units.shape == (2, 60, 6)
    assert 0 < first.units.abs().max() <= 6**-0.5


@pytest.mark.parametrize("seed", range(3))
def test_the_memory_of_what_is_abnormal_learns_which_snippet_that_is(seed):
    """An abnormal bag has one snippet that no normal bag has; the scores tell nothing."""
    usual, strange = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 3.0])
    features = torch.stack([*([usual] * 3), strange, *([usual] * 4)]).view(2, 4, 2)
    even = torch.full((2, 4), 0.5)
    output = BagOutput(even, even.unsqueeze(2), {"x": features})
    generator = torch.Generator().manual_seed(seed)
    fn = prepared("ur_dmu(k=1, size=4)", feature_dims=[2], generator=generator)
    (memories,) = fn.modules()
    optimiser = torch.optim.Adam(memories.parameters(), 0.1)
    for _ in range(50):
        optimiser.zero_grad()
        fn(output, BagTarget(torch.tensor([0, 1]), normal=1)).sum().backward()
        optimiser.step()
    likeness = torch.stack([usual, strange]) @ memories.units[0].T
    assert likeness[0].amax() < -1 < 1 < likeness[1].amax()


# In the training loop


@pytest.mark.parametrize(
    ("task", "spec", "kept"),
    [
        ("toy_images", "ghm", {"loss.shares"}),
        ("toy_bags", "equalized_focal", {"loss.positive", "loss.negative"}),
        ("toy_boxes", "ghm + giou", {"loss.shares"}),
        ("toy_images", "ce + smooth_ap", set()),
        ("toy_boxes", "ce + smooth_ap + giou", set()),
        ("toy_images", "auc_margin", set()),
        ("toy_features", "lade", set()),
        ("toy_images", "paco", set()),
        ("toy_boxes", "paco + giou", set()),
        ("toy_bags", "mgfn(k=2)", set()),
        ("toy_bags", "ur_dmu", {"loss.units"}),
    ],
)
def test_a_trial_trains_with_it(task, spec, kept):
    built = tasks.build(task)
    trial = Trial(
        task=task,
        data=built.locate(None, Path()).id,
        model=built.meta.models[0],
        loss=spec,
        transform="crop" if spec == "paco" and task == "toy_images" else "none",
        budget=dataclasses.replace(built.meta.budget, epochs=1),
    )
    result = run_trial(trial)
    assert result.facts["gradient_norm_0"] > 0
    assert {name for name in result.weights if name.startswith("loss.")} == kept


# State


@pytest.mark.parametrize("spec", ["ghm", "equalized_focal"])
def test_state_is_saved_restored_and_left_alone_in_evaluation(spec):
    output, target = example("classes")
    first = prepared(spec)
    first(output, target)
    second = prepared(spec)
    (module,), (saved,) = second.modules(), first.modules()
    module.load_state_dict(saved.state_dict())
    harder, _ = example("classes", scale=3.0, seed=1)
    expected = first(harder, target)
    module.eval()
    kept = {name: value.clone() for name, value in module.state_dict().items()}
    assert torch.equal(second(harder, target), expected)
    assert all(torch.equal(value, kept[name]) for name, value in module.state_dict().items())
    assert not torch.equal(prepared(spec)(harder, target), expected)
