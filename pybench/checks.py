"""What components check: hyperparameters once, when they are made; tensors once per step.

The tensor checks of a step are fused into one condition that is read once. On a GPU that is one
synchronisation per loss and step; only when it fails are samples searched for the culprit.
Half-precision tensors come back as float32, so a loss is as exact under autocast as without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pybench.types import BagOutput, BagTarget, BoxOutput, BoxTarget, ClassOutput, ClassTarget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class NotFiniteError(ValueError):
    """A tensor holds NaN or infinity: training has diverged."""


def require(holds: bool, name: str, rule: str, got: object, remedy: str = "") -> None:
    """Raise unless a rule holds.

    Raises:
        ValueError: ``<name> must be <rule>, got <value>; <remedy>``.

    Example:
        >>> require(-1 >= 0, "gamma", ">= 0", -1, "0 gives cross entropy")
        Traceback (most recent call last):
        ValueError: gamma must be >= 0, got -1; 0 gives cross entropy
    """
    if not holds:
        msg = f"{name} must be {rule}, got {got}" + (f"; {remedy}" if remedy else "")
        raise ValueError(msg)


def widened(values: Tensor) -> Tensor:
    """``values``, as float32 when they are of half precision."""
    return values.float() if values.element_size() < 4 else values


def hard_classes(
    loss: str,
    output: ClassOutput,
    target: ClassTarget,
    *,
    weights: Tensor | None = None,
    least: int = 1,
) -> tuple[Tensor, Tensor]:
    """Logits (B, C) and labels (B,) for a loss that is defined on hard labels only.

    Args:
        loss: the loss that asks, for messages.
        output: its logits are (B, C), finite.
        target: its labels are (B,) int64 in [0, C), without probabilities.
        weights: (C,) weights that will be looked up by label.
        least: the fewest classes for which the loss is defined.

    Raises:
        ValueError: shape, dtype or range, naming the value and the sample.
        NotFiniteError: NaN or infinite logits, naming the sample.
    """
    if target.probabilities is not None:
        msg = (
            f"labels must be hard for {loss}, got probabilities; "
            "pybench.loss gives the expectation over them"
        )
        raise ValueError(msg)
    logits, labels = soft_classes(output, target, weights=weights)
    require(
        logits.shape[1] >= least,
        "logits",
        f"of at least {least} classes for {loss}",
        logits.shape[1],
    )
    return logits, labels


def soft_classes(
    output: ClassOutput, target: ClassTarget, *, weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Logits (B, C), and labels (B,) or, where the target has them, probabilities (B, C).

    Raises:
        ValueError: shape, dtype or range, naming the value and the sample.
        NotFiniteError: NaN or infinite logits, naming the sample.
    """
    logits, labels = widened(output.logits), target.labels
    require(
        logits.ndim == 2 and logits.shape[1] > 0 and logits.is_floating_point(),
        "logits",
        "floats of shape (B, C) with C >= 1",
        f"{tuple(logits.shape)} of {logits.dtype}",
    )
    size, classes = logits.shape
    require(
        labels.shape == (size,) and str(labels.dtype) == "torch.int64",
        "labels",
        f"int64 of shape ({size},)",
        f"{tuple(labels.shape)} of {labels.dtype}",
    )
    if weights is not None:
        require(
            len(weights) == classes,
            "class weights",
            f"one per class, {classes}",
            len(weights),
            "the counts or weights are of another set of classes",
        )
    probabilities = target.probabilities
    if probabilities is not None:
        require(
            probabilities.shape == logits.shape,
            "probabilities",
            f"of shape {tuple(logits.shape)}",
            tuple(probabilities.shape),
        )
        probabilities = probabilities.to(logits.dtype)
    if size:
        low, high = labels.aminmax()
        valid = (low >= 0) & (high < classes) & logits.detach().sum().isfinite()
        if probabilities is not None:
            valid = valid & ~_improper(probabilities).any()
        if not valid:
            _explain(logits, labels, probabilities)
    return logits, labels if probabilities is None else probabilities


def labels_in(labels: Tensor, classes: int) -> Tensor:
    """(B,) whether each label is in [0, classes)."""
    return (labels >= 0) & (labels < classes)


def _improper(probabilities: Tensor) -> Tensor:
    # Rows that were mixed in bfloat16 sum to 1 within 2 of its 8 significant bits.
    off = (probabilities.sum(-1) - 1).abs()
    return (probabilities < 0).any(-1) | ~(off < 1e-2)


def _explain(logits: Tensor, labels: Tensor, probabilities: Tensor | None) -> None:
    refuse_not_finite("logits", logits)
    if not (inside := labels_in(labels, logits.shape[1])).all():
        at = int((~inside).int().argmax())
        require(False, "labels", f"in [0, {logits.shape[1]})", f"{int(labels[at])} at sample {at}")
    if probabilities is not None and (bad := _improper(probabilities)).any():
        at = int(bad.int().argmax())
        got = f"{probabilities[at].tolist()} at sample {at}"
        require(False, "probabilities", ">= 0 and sum to 1 in each row", got)


def refuse_not_finite(name: str, values: Tensor, unit: str = "sample") -> None:
    """Raise a :class:`NotFiniteError` that names the first row with a NaN or infinity, if any."""
    bad = ~values.detach().reshape(len(values), -1).isfinite()
    if bad.any():
        at = int(bad.any(1).int().argmax())
        value = values.detach().reshape(len(values), -1)[at][bad[at]][0]
        msg = f"{name} must be finite, got {float(value)} at {unit} {at}"
        raise NotFiniteError(msg)


def bag_scores(loss: str, output: BagOutput, target: BagTarget) -> tuple[Tensor, Tensor, Tensor]:
    """Scores of the abnormal bags (P, S) and of the normal ones (Q, S), and the classes (P,).

    Raises:
        ValueError: no snippet, no abnormal or no normal bag, or a score outside [0, 1].
        NotFiniteError: a NaN score.
    """
    scores, labels = widened(output.scores), target.labels
    require(
        scores.ndim == 2 and scores.shape[1] > 0 and labels.shape == scores.shape[:1],
        "scores of bags",
        "of shape (B, S) with S >= 1 and one label per bag",
        f"{tuple(scores.shape)} and {tuple(labels.shape)}",
    )
    abnormal = labels != target.normal
    found = int(abnormal.sum())
    require(
        0 < found < len(labels),
        f"bags for {loss}",
        "abnormal and normal ones in every batch",
        f"{found} and {len(labels) - found}",
        "use the sampler paired_bags",
    )
    low, high = scores.detach().aminmax()
    if not (low >= 0) & (high <= 1):
        refuse_not_finite("scores", scores, "bag")
        outside = ((scores < 0) | (scores > 1)).any(1)
        at = int(outside.int().argmax())
        require(False, "scores", "in [0, 1]", f"{scores[at].tolist()} at bag {at}")
    return scores[abnormal], scores[~abnormal], labels[abnormal]


def bags_in_pairs(loss: str, abnormal: Tensor, normal: Tensor, otherwise: str = "") -> None:
    """Raise a ValueError unless there are as many abnormal bags as normal ones."""
    remedy = "use the sampler paired_bags" + (f", {otherwise}" if otherwise else "")
    rule = "as many abnormal as normal ones"
    got = f"{len(abnormal)} and {len(normal)}"
    require(len(abnormal) == len(normal), f"bags for {loss}", rule, got, remedy)


def enough_snippets(k: int, scores: Tensor) -> None:
    """Raise a ValueError unless bags (B, S) have k snippets."""
    require(k <= scores.shape[1], "k", f"at most {scores.shape[1]} snippets", k)


def snippet_features(loss: str, output: BagOutput) -> Tensor:
    """Features (B, S, D) of the last layer.

    Raises:
        ValueError: no features, or not one for each snippet.
        NotFiniteError: a NaN or infinite feature.
    """
    require(bool(output.features), f"features for {loss}", "given", "none")
    features = widened(tuple(output.features.values())[-1])
    require(
        features.ndim == 3 and features.shape[:2] == output.scores.shape,
        f"features for {loss}",
        f"of shape {(*output.scores.shape, 'D')}",
        tuple(features.shape),
    )
    if not features.detach().sum().isfinite():
        refuse_not_finite("features", features, "bag")
    return features


def cell_boxes(output: BoxOutput, target: BoxTarget) -> tuple[Tensor, Tensor, Tensor]:
    """Predicted and true boxes (N, 4) and labels (N,), both boxes 0 on the background.

    Raises:
        ValueError: shapes that differ.
        NotFiniteError: a NaN or infinite box on a positive cell.
    """
    predicted, true, labels = widened(output.boxes), target.boxes, target.labels
    require(
        predicted.shape == true.shape == (*labels.shape, 4),
        "boxes",
        f"of shape {(*labels.shape, 4)}, predicted and true",
        f"{tuple(predicted.shape)} and {tuple(true.shape)}",
    )
    labels = labels.reshape(-1)
    background = (labels <= 0).unsqueeze(1)
    # Filled before any arithmetic: what a cell without an object predicts may be infinite.
    predicted = predicted.reshape(-1, 4).masked_fill(background, 0)
    true = true.reshape(-1, 4).to(predicted.dtype).masked_fill(background, 0)
    if not (predicted.detach().sum() + true.sum()).isfinite():
        refuse_not_finite("predicted boxes", predicted, "cell")
        refuse_not_finite("true boxes", true, "cell")
    return predicted, true, labels


def feature_layers(
    loss: str, output: ClassOutput, names: Sequence[str] | None = None
) -> list[Tensor]:
    """The named layers, or all, each (B, D): maps are averaged over what follows D.

    Raises:
        ValueError: no features, an unknown layer, or not B rows.
        NotFiniteError: a NaN or infinite feature.
    """
    known = ", ".join(output.features)
    require(bool(output.features), f"features for {loss}", "given", "none", "use a model of images")
    for name in names or ():
        require(name in output.features, "layer", f"one of {known}", repr(name))
    layers = []
    for name in names or output.features:
        layer = widened(output.features[name])
        require(
            layer.ndim >= 2 and len(layer) == len(output.logits),
            f"features {name!r}",
            f"of shape ({len(output.logits)}, D, ...)",
            tuple(layer.shape),
        )
        layers.append(layer.flatten(2).mean(2) if layer.ndim > 2 else layer)
    if not sum((layer.detach().sum() for layer in layers[1:]), layers[0].detach().sum()).isfinite():
        for name, layer in zip(names or output.features, layers, strict=True):
            refuse_not_finite(f"features {name!r}", layer)
    return layers
