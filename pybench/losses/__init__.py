"""Losses: one file, one loss. A spec such as ``ce + 0.5*feature_similarity`` sums several.

A loss gives *terms*, one per sample, and never reduces them; what the mean divides by is decided
here, once, for all of them.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from pybench import views
from pybench.checks import require
from pybench.registry import Registry, Spec, SpecError, parse
from pybench.types import (
    BagOutput,
    BagTarget,
    BoxOutput,
    BoxTarget,
    ClassOutput,
    ClassTarget,
    Kind,
    Loss,
    LossContext,
    LossFn,
    Need,
    Output,
    Target,
)

if TYPE_CHECKING:
    from torch import Tensor

losses: Registry[Loss] = Registry("pybench.losses", "prepare")

ClassView: TypeAlias = Callable[[Output, Target], "tuple[ClassOutput, ClassTarget, Tensor | None]"]
"""How a task shows its output to a loss of kind ``"classes"``; the third is the normaliser."""


@dataclass(frozen=True)
class WeightedSum:
    """A whole loss spec: weighted terms, possibly of different kinds.

    Fields:
        terms: (weight, configured loss) pairs, in the order of the spec.
        spec: canonical spec string.
    """

    terms: tuple[tuple[float, Loss], ...]
    spec: str

    @property
    def reads(self) -> Kind:
        """The kind of output the sum needs: boxes or bags if any term does, else classes."""
        kinds = {loss.reads for _, loss in self.terms} - {"classes"}
        if len(kinds) > 1:
            msg = f"loss terms must not mix bags and boxes, got '{self.spec}'"
            raise SpecError(msg)
        return next(iter(kinds), "classes")

    @property
    def needs(self) -> frozenset[Need]:
        """Union of what the terms need."""
        return frozenset().union(*(loss.needs for _, loss in self.terms))

    @property
    def logit_scale(self) -> float:
        """What the model's logits are multiplied by to be those of a prediction.

        A loss of cosines scales them itself; softmax, calibration and priors need the scaled ones.
        """
        scales = {logit_scale(part) for _, part in self.terms if "cosine_head" in part.needs}
        if len(scales) > 1:
            msg = f"loss terms with a cosine head must have one scale, got '{self.spec}'"
            raise SpecError(msg)
        return next(iter(scales), 1.0)

    @property
    def uses_counts(self) -> bool:
        """Whether any term re-weights classes by their counts."""
        return any(getattr(loss, "uses_counts", False) for _, loss in self.terms)

    def prepare(
        self, context: LossContext, *, class_context: LossContext | None = None
    ) -> PreparedLoss:
        """Prepare every term for a training set.

        Args:
            context: counts as the task's own kind sees them.
            class_context: counts for terms of kind ``"classes"``, where they differ (bags count
                the normal class there); by default ``context``.
        """
        seen = {"classes": class_context or context}
        return PreparedLoss(
            tuple(
                Part(
                    weight,
                    part.reads,
                    part.prepare(seen.get(part.reads, context)),
                    type(part).__module__.rpartition(".")[2],
                    getattr(part, "takes_probabilities", False),
                    getattr(part, "compares_samples", False),
                )
                for weight, part in self.terms
            )
        )

    def __str__(self) -> str:
        return self.spec


class Part(NamedTuple):
    """One prepared term of a sum.

    Fields:
        weight: its factor.
        reads: the kind of output it reads.
        fn: the prepared loss.
        name: its name, for messages.
        takes_probabilities: whether it is defined on mixed labels itself.
        compares_samples: whether it compares samples with one another: of boxes it is shown the
            cells with an object and hard negatives only.
    """

    weight: float
    reads: Kind
    fn: LossFn
    name: str
    takes_probabilities: bool
    compares_samples: bool

    def view(
        self, output: Output, target: Target, class_view: ClassView
    ) -> tuple[Output, Target, Tensor | None]:
        """What the loss reads of an output, its truth, and what the sum of terms is divided by.

        None stands for their number.
        """
        if self.reads != "classes":
            positives = views.positives(target) if isinstance(target, BoxTarget) else None
            return output, target, positives
        seen, truth, normaliser = class_view(output, target)
        if self.compares_samples and isinstance(target, BoxTarget):
            return *views.with_hard_negatives(seen, truth), None
        return seen, truth, normaliser

    def terms(self, output: Output, target: Target, progress: float) -> Tensor:
        r"""Terms of the loss; on mixed labels those of a loss on hard labels are expectations.

        .. math:: \sum_c t_c\, \ell(z, c) \quad \text{with at most two } t_c \ne 0

        Raises:
            ValueError: more than two classes in a sample, or a loss of the whole batch, which
                has no term per label.
        """
        mixed = target.probabilities if isinstance(target, ClassTarget) else None
        if mixed is None or self.takes_probabilities:
            return self.fn(output, target, progress=progress)
        shares, labels = mixed.topk(min(2, mixed.shape[1]), dim=1)
        two = bool(((shares.sum(1) - 1).abs() < 1e-2).all())
        require(two, f"probabilities for {self.name}", "of one or two classes per sample", "others")
        expected = []
        for share, label in zip(shares.unbind(1), labels.unbind(1), strict=True):
            terms = self.fn(output, ClassTarget(label), progress=progress)
            require(
                terms.ndim > 0,
                "labels",
                f"hard for {self.name}, a loss of the whole batch",
                "probabilities",
                "use a transform that keeps the labels",
            )
            expected.append(share.to(terms.dtype) * terms)
        return sum(expected[1:], expected[0])


class PreparedLoss:
    """A loss ready to be called, on typed outputs or on bare tensors.

    Bare tensors, so that a formula can be tried in a line:

    - classes: ``fn(logits, labels)`` or ``fn(logits, probabilities)``;
    - with features: ``fn((logits, features), labels)``, ``features`` a tensor or one per layer;
    - bags: ``fn((abnormal, normal), classes)`` with scores (B, S) each and the class of each
      abnormal bag;
    - boxes: ``fn((logits, boxes), (labels, boxes))`` per cell.
    """

    def __init__(self, parts: tuple[Part, ...]) -> None:
        self.parts = parts

    def __call__(self, output: Any, target: Any, *, progress: float = 0.0) -> Tensor:
        """Terms (N,), or 0-d when a part is of the whole batch or parts differ in shape."""
        kinds: list[Kind] = [part.reads for part in self.parts if part.reads != "classes"]
        reads: Kind = kinds[0] if kinds else "classes"
        typed_output, typed_target = _typed(output, target, reads)
        values = []
        for part in self.parts:
            seen, truth, _ = part.view(typed_output, typed_target, views.class_view)
            values.append(part.weight * part.terms(seen, truth, progress))
        if len({value.shape for value in values}) > 1:
            values = [value.mean() for value in values]
        return sum(values[1:], values[0])

    def mean(
        self,
        output: Output,
        target: Target,
        *,
        progress: float = 0.0,
        class_view: ClassView = views.class_view,
    ) -> Tensor:
        """The 0-d training loss.

        A part that reads the task's own kind is averaged over its terms, over the positive cells
        for boxes. A part that reads classes on another kind goes through ``class_view``, and its
        sum is divided by the normaliser that the view states.

        Raises:
            ValueError: an empty batch.
        """
        total: Tensor | None = None
        for part in self.parts:
            seen, truth, normaliser = part.view(output, target, class_view)
            terms = part.terms(seen, truth, progress)
            require(terms.numel() > 0, "batch", "at least one sample", "none")
            if terms.ndim and normaliser is not None:
                value = terms.sum() / normaliser
            else:
                value = terms.mean()
            total = part.weight * value if total is None else total + part.weight * value
        if total is None:
            msg = "loss must have at least one term, got none"
            raise ValueError(msg)
        return total

    def modules(self) -> list[Any]:
        """The parts that are ``nn.Module`` (parameters or state), to be trained and saved."""
        from torch import nn

        return [part.fn for part in self.parts if isinstance(part.fn, nn.Module)]


def logit_scale(of: Loss) -> float:
    """What a loss multiplies the logits by that it is given; 1 unless it says otherwise."""
    scale: float = getattr(of, "logit_scale", 1.0)
    return scale


def loss(spec: str | Spec) -> WeightedSum:
    """Build a loss from its spec string.

    Raises:
        SpecError: a name, parameter or type that does not exist, with the near one.
        ValueError: a parameter out of range.
    """
    parsed = parse(spec) if isinstance(spec, str) else spec
    terms = tuple(
        (term.weight, losses.build(dataclasses.replace(term, weight=1.0))) for term in parsed.terms
    )
    return WeightedSum(terms, str(parsed))


@functools.cache
def meaning(spec: str) -> Hashable:
    """What all spellings of a loss have in common; of one that is not there, its spec.

    Example:
        >>> plain = meaning("focal")
        >>> meaning("focal(gamma=2)") == plain, meaning("focal(gamma=3)") == plain
        (True, False)
    """
    try:
        return loss(spec).terms
    except SpecError:
        return spec


def _typed(output: Any, target: Any, reads: Kind) -> tuple[Output, Target]:
    import torch

    if isinstance(output, ClassOutput | BagOutput | BoxOutput):
        return output, target
    if reads == "bags":
        abnormal, normal = output
        classes = torch.as_tensor(target, dtype=torch.int64, device=abnormal.device)
        if abnormal.ndim != 2 or normal.ndim != 2 or not abnormal.shape[1]:
            msg = (
                "scores of bags must have shape (B, S) with S >= 1, "
                f"got {tuple(abnormal.shape)} and {tuple(normal.shape)}"
            )
            raise ValueError(msg)
        scores = torch.cat([abnormal, normal])
        labels = torch.cat([classes, classes.new_full((len(normal),), -1)])
        return BagOutput(scores, scores.unsqueeze(-1)), BagTarget(labels, normal=-1)
    if reads == "boxes":
        return BoxOutput(*output), BoxTarget(*target)
    logits, features = output if isinstance(output, tuple | list) else (output, {})
    if isinstance(features, Mapping):
        named = dict(features)
    elif isinstance(features, tuple | list):
        named = {f"layer{i + 1}": layer for i, layer in enumerate(features)}
    else:
        named = {"features": features}
    target = torch.as_tensor(target, device=logits.device)
    if target.is_floating_point():
        return ClassOutput(logits, named), ClassTarget(target.argmax(-1), target)
    return ClassOutput(logits, named), ClassTarget(target.long())
