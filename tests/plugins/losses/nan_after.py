"""Cross entropy that turns NaN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import cross_entropy

from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class NanAfter:
    """Cross entropy for ``steps`` steps, then NaN.

    Example:
        >>> NanAfter(steps=2)
        NanAfter(steps=2)
    """

    steps: int = 1

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = "made for the tests"

    def prepare(self, context: LossContext) -> LossFn:
        calls = 0

        def terms(output: ClassOutput, target: ClassTarget, *, progress: float = 0.0) -> Tensor:
            nonlocal calls
            calls += 1
            values = cross_entropy(output.logits, target.labels, reduction="none")
            return values if calls <= self.steps else values * float("nan")

        return terms
