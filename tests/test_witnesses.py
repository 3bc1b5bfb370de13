"""Other libraries as witnesses, where they do the same; and inputs where they are wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from imblearn.metrics import geometric_mean_score
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from pytorch_metric_learning.losses import CosFaceLoss, SupConLoss
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import roc_auc_score
from timm.loss import (
    AsymmetricLossMultiLabel,
    AsymmetricLossSingleLabel,
    LabelSmoothingCrossEntropy,
    PolyCrossEntropy,
)
from timm.loss.class_weights import compute_class_weights
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from pybench.losses import LossContext, loss
from pybench.metrics import metrics
from pybench.samplers import samplers
from pybench.transforms import transforms
from pybench.types import Batch, ClassOutput, ClassTarget, Donors, SampleContext

COUNTS = (40, 20, 8, 3)


def problem(seed=0, scale=3.0, dtype=torch.float32):
    rng = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(12, 4, generator=rng)
    return logits.to(dtype).requires_grad_(), torch.arange(12) % 4


def ours(spec, logits, labels, **told):
    return loss(spec).prepare(LossContext(**{"counts": COUNTS, **told}))(logits, labels)


def both_agree(found, expected, logits, **close):
    """Values, and gradients with respect to the logits, are those of the witness."""
    torch.testing.assert_close(found, expected, **close)
    gradients = [torch.autograd.grad(v, logits, retain_graph=True)[0] for v in (found, expected)]
    torch.testing.assert_close(*gradients, **close)


# timm


@pytest.mark.parametrize(("pos", "neg", "smoothing"), [(0, 4, 0.1), (1, 4, 0.1), (2, 0, 0.3)])
def test_single_label_asl_is_that_of_timm(pos, neg, smoothing):
    logits, labels = problem()
    spec = f"asl_single_label(gamma_pos={pos}, gamma_neg={neg}, smoothing={smoothing})"
    theirs = AsymmetricLossSingleLabel(pos, neg, smoothing)(logits, labels)
    both_agree(ours(spec, logits, labels).mean(), theirs, logits, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("pos", "neg", "clip"), [(0, 4, 0.05), (1, 4, 0.05), (1, 2, 0.2)])
@pytest.mark.parametrize("detach", [True, False])
def test_asl_of_sigmoids_is_that_of_timm(pos, neg, clip, detach):
    logits, labels = problem()
    spec = f"asl_sigmoid(gamma_pos={pos}, gamma_neg={neg}, clip={clip}, detach_weight={detach})"
    peer = AsymmetricLossMultiLabel(neg, pos, clip, disable_torch_grad_focal_loss=detach)
    theirs = peer(logits, functional.one_hot(labels, 4))
    both_agree(ours(spec, logits, labels).mean(), theirs, logits, rtol=1e-4, atol=1e-6)


def test_smoothing_and_poly_are_those_of_timm():
    logits, labels = problem()
    smoothed = LabelSmoothingCrossEntropy(0.2)(logits, labels)
    both_agree(ours("ce(smoothing=0.2)", logits, labels).mean(), smoothed, logits)
    poly = PolyCrossEntropy(1.5)(logits, labels)
    both_agree(ours("poly1(epsilon=1.5)", logits, labels).mean(), poly, logits)


@pytest.mark.parametrize(
    ("spec", "method"),
    [
        ("weighted_ce(weights='inverse')", {"method": "inv_freq"}),
        ("weighted_ce(weights='inverse_sqrt')", {"method": "inv_freq", "power": 0.5}),
        ("weighted_ce(weights='effective:0.99')", {"method": "effective_num", "beta": 0.99}),
        ("class_balanced(beta=0.9)", {"method": "effective_num", "beta": 0.9}),
    ],
)
def test_class_weights_are_those_of_timm(spec, method):
    _, weights = compute_class_weights(COUNTS, sum(COUNTS), **method)
    logits, labels = problem()
    expected = functional.cross_entropy(logits, labels, weight=weights, reduction="none")
    torch.testing.assert_close(ours(spec, logits, labels), expected)


# pytorch-metric-learning


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_supcon_is_that_of_pytorch_metric_learning(temperature):
    features, labels = problem(scale=1.0)
    theirs = SupConLoss(temperature)(features, labels)
    terms = ours(f"supcon(temperature={temperature})", (torch.zeros(12, 4), features), labels)
    both_agree(terms.mean(), theirs, features, rtol=1e-4, atol=1e-6)


def test_samples_without_a_partner_are_left_out_of_the_mean_as_there():
    features, _ = problem(scale=1.0)
    labels = torch.tensor([0, 0, 1, 2, 2, 2, 3, 4, 4, 5, 6, 7])
    theirs = SupConLoss(0.1)(features, labels)
    terms = ours("supcon", (torch.zeros(12, 8), features), labels, counts=None, num_classes=8)
    both_agree(terms.mean(), theirs, features, rtol=1e-4, atol=1e-6)


def test_ldam_of_equal_classes_is_their_margin_of_cosines():
    features, labels = problem()
    peer = CosFaceLoss(num_classes=4, embedding_size=4, margin=0.3, scale=16)
    cosines = functional.normalize(features) @ functional.normalize(peer.W.detach(), dim=0)
    terms = ours("ldam(max_margin=0.3, scale=16)", cosines, labels, counts=[9] * 4)
    torch.testing.assert_close(terms.mean(), peer(features, labels), rtol=1e-4, atol=1e-5)


# imbalanced-learn


def test_random_over_and_under_reach_the_counts_of_imbalanced_learn():
    labels = np.repeat(np.arange(4), COUNTS)
    rows = np.arange(len(labels)).reshape(-1, 1)
    context = SampleContext(labels=labels)
    for spec, peer in (
        ("random_over(target='max')", RandomOverSampler(random_state=0)),
        ("random_under", RandomUnderSampler(random_state=0)),
    ):
        chosen, theirs = peer.fit_resample(rows, labels)
        drawn = samplers.build(spec).plan(context, 0, 0).indices
        assert np.bincount(labels[drawn]).tolist() == np.bincount(theirs).tolist(), spec
        # Of whole classes every sample is kept once, by them and by us.
        whole = 0 if "over" in spec else 3
        for kept in (chosen.ravel(), drawn):
            mine = np.sort(kept[labels[kept] == whole])
            assert mine.tolist() == np.flatnonzero(labels == whole).tolist()


def test_smote_lies_on_the_segments_of_imbalanced_learn():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [30, 8])
    values = rng.normal(size=(38, 3)).astype(np.float32) + labels[:, None]
    rare = values[30:]
    apart = np.linalg.norm(rare[:, None] - rare, axis=2) + np.diag([np.inf] * 8)
    segments = [(rare[i], rare[j]) for i, j in enumerate(apart.argmin(1))]
    made, _ = SMOTE(k_neighbors=1, random_state=0).fit_resample(values, labels)
    inputs = torch.from_numpy(values)

    def load(indices):
        index = torch.as_tensor(indices)
        return Batch(inputs[index], ClassTarget(torch.from_numpy(labels)[index]))

    donors = Donors(load, labels, np.bincount(labels))
    batch = load(np.arange(30, 38))
    copy = np.ones(8, dtype=np.uint8)
    mine = transforms.build("smote(k=1)")(batch, copy, donors, np.random.default_rng(0)).inputs
    for points in (made[38:], mine.numpy()):
        for point in points:
            off = []
            for start, end in segments:
                along = (point - start) @ (end - start) / ((end - start) @ (end - start))
                off.append(np.linalg.norm(start + np.clip(along, 0, 1) * (end - start) - point))
            assert min(off) < 1e-5


def test_the_geometric_mean_is_that_of_imbalanced_learn():
    rng = np.random.default_rng(0)
    for _ in range(20):
        truth, scores = rng.integers(0, 3, 30), rng.random((30, 3))
        expected = geometric_mean_score(truth, scores.argmax(1), average="multiclass")
        assert metrics.build("g_mean")(truth, scores)[""] == pytest.approx(expected)


# Where a witness is wrong


def test_focal_gradients_are_finite_where_those_of_torchvision_are_not():
    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    theirs = sigmoid_focal_loss(logits, torch.tensor([[1.0, 0.0]]), alpha=-1, gamma=0.5)
    (gradient,) = torch.autograd.grad(theirs.sum(), logits)
    assert not gradient.isfinite().all()
    for spec in (
        "focal_sigmoid(gamma=0.5, alpha=-1)",
        "class_balanced(base='focal', gamma=0.5, beta=0)",
        "asl_sigmoid(gamma_pos=0.5, gamma_neg=0.5, clip=0)",
    ):
        terms = ours(spec, logits, [0], counts=[1, 1])
        (gradient,) = torch.autograd.grad(terms.sum(), logits)
        # e^-300 in the value and in the slope: both are 0 in float32.
        assert terms.item() == 0
        assert gradient.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("gamma", [0.5, 0.1])
def test_softmax_focal_gradients_are_finite_at_a_sure_label(gamma):
    logits = torch.tensor([[100.0, 0.0, -5.0]], requires_grad=True)
    terms = ours(f"focal(gamma={gamma})", logits, [0], counts=[1, 1, 1])
    (gradient,) = torch.autograd.grad(terms.sum(), logits)
    # With q = e^-100 (1 + e^-5): (1 + g) q^(1 + g), of which (1 + g) q^(1 + g) is the slope.
    slope = (1 + gamma) * math.exp(-100 * (1 + gamma)) * (1 + math.exp(-5)) ** (1 + gamma)
    assert gradient[0, 0].item() == pytest.approx(-slope, rel=1e-3, abs=1e-44)
    assert gradient.sum().item() == pytest.approx(0, abs=1e-44)


def test_single_label_asl_is_right_where_that_of_timm_rounds_below_zero():
    logits = torch.tensor([[8.0, -9.0, 0.0], [18.0, 0.0, -1.0]], requires_grad=True)
    labels = torch.tensor([0, 0])
    theirs = AsymmetricLossSingleLabel(0.5, 0.5)(logits, labels)
    (wrong,) = torch.autograd.grad(theirs, logits)
    assert not wrong.isfinite().all()
    spec = "asl_single_label(gamma_pos=0.5, gamma_neg=0.5)"
    terms = ours(spec, logits, labels, counts=[1, 1, 1])
    (gradient,) = torch.autograd.grad(terms.sum(), logits)
    exact = logits.detach().double().requires_grad_()
    expected = ours(spec, exact, labels, counts=[1, 1, 1])
    torch.testing.assert_close(terms.double(), expected)
    torch.testing.assert_close(
        gradient.double(), torch.autograd.grad(expected.sum(), exact)[0], rtol=1e-4, atol=1e-7
    )


def test_class_balanced_focal_is_finite_where_log_of_one_plus_exp_overflows():
    logits = torch.tensor([[-95.0, 0.0]], requires_grad=True)
    overflow = (1 + torch.exp(-logits)).log()
    assert not overflow.isfinite().all()
    terms = ours("class_balanced(base='focal', beta=0)", logits, [0], counts=[1, 1])
    (gradient,) = torch.autograd.grad(terms.sum(), logits)
    assert terms.item() == pytest.approx(95 + math.log(2) / 4)
    assert gradient.tolist()[0] == pytest.approx([-1.0, 0.125 + math.log(2) / 4])


def test_class_balanced_sums_binary_terms_over_classes_and_its_softmax_is_a_softmax():
    logits, labels = problem()
    weights = compute_class_weights(COUNTS, sum(COUNTS), "effective_num", beta=0.99)[1]
    binary = functional.binary_cross_entropy_with_logits(
        logits, functional.one_hot(labels, 4).float(), reduction="none"
    )
    terms = ours("class_balanced(base='sigmoid', beta=0.99)", logits, labels)
    # Some take the mean over classes too: their loss is a quarter of it here.
    torch.testing.assert_close(terms.mean(), (binary.sum(1) * weights[labels]).mean())
    terms = ours("class_balanced(base='ce', beta=0.99)", logits, labels)
    # Some take the binary cross entropy of the softmax instead.
    expected = functional.cross_entropy(logits, labels, weight=weights, reduction="none")
    torch.testing.assert_close(terms, expected)


def test_the_mean_of_focal_terms_divides_by_samples_not_by_samples_and_classes():
    logits, labels = problem()
    target = functional.one_hot(labels, 4).float()
    of_all = sigmoid_focal_loss(logits, target, alpha=0.25, gamma=2, reduction="sum")
    criterion = loss("focal_sigmoid").prepare(LossContext(num_classes=4))
    mean = criterion.mean(ClassOutput(logits), ClassTarget(labels))
    torch.testing.assert_close(mean, of_all / len(labels))


def test_contrast_is_defined_where_no_sample_has_a_partner():
    features, labels = torch.eye(4, requires_grad=True), torch.arange(4)
    # A division by the number of partners, unguarded, gives NaN.
    alike = (labels[:, None] == labels) & ~torch.eye(4, dtype=torch.bool)
    assert (torch.zeros(4) / alike.sum(1)).isnan().all()
    for spec in ("supcon", "balanced_contrastive"):
        told = {"counts": [1] * 4, "feature_dims": [4]}
        terms = ours(spec, (torch.zeros(4, 4), features), labels, **told)
        (gradient,) = torch.autograd.grad(terms.sum(), features)
        assert terms.isfinite().all() and gradient.isfinite().all()


def test_the_area_of_an_absent_class_is_undefined_and_left_out_of_the_mean():
    truth, scores = np.array([0, 0, 1]), np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0, 0.9, 0.1]])
    with pytest.warns(UndefinedMetricWarning):
        assert math.isnan(roc_auc_score(truth == 2, scores[:, 2]))
    found = metrics.build("roc_auc")(truth, scores)
    assert found["2"] is None
    assert found[""] == 1.0


def test_penalties_of_a_bag_do_not_depend_on_the_bags_beside_it():
    # Ports take the norm of the whole batch for sparsity, and let smoothness reach from the last
    # snippet of a bag into the first of the next.
    first, second = torch.tensor([[0.9, 0.5, 0.1]]), torch.tensor([[0.2, 0.8, 0.4]])
    normal = torch.tensor([[0.3, 0.2, 0.1]])
    fn = loss("mil(lambda_smooth=1, lambda_sparse=1)").prepare(LossContext())
    together = fn((torch.cat([first, second]), normal.expand(2, -1)), [0, 0])
    alone = torch.cat([fn((bag, normal), [0]) for bag in (first, second)])
    torch.testing.assert_close(together, alone)


def test_the_strongest_snippet_counts_wherever_it_lies():
    # A port draws 30 of 32 snippets first, and never sees the last two.
    fn = loss("mil(lambda_smooth=0, lambda_sparse=0)").prepare(LossContext())
    for place in range(32):
        abnormal = torch.zeros(1, 32)
        abnormal[0, place] = 1
        assert fn((abnormal, torch.zeros(1, 32)), [0]).item() == 0
