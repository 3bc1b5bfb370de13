"""Two memories: snippets of normal bags are known to one, some of abnormal bags to the other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from pybench import checks
from pybench.losses._contrast import directions
from pybench.losses.topk_mil import bag_cross_entropy
from pybench.types import BagOutput, BagTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class UrDmu:
    r"""Beside the scores, two learned memories tell normal snippets from abnormal ones.

    .. math:: \tfrac12 (-\log s^a - \log(1 - s^n)) + \lambda_d \Bigl[
        -\log \mathrm{top}_k A(x^a) - \log \mathrm{top}_k (1 - N(x^a))
        - \overline{\log N(x^n)} - \overline{\log(1 - A(x^n))} \Bigr]
        + \lambda_t \max(0,\, m + \|u - v\| - \|u - w\|)

    with s the mean of the bag's k highest scores, A(x) and N(x) the mean of
    :math:`\sigma(x \cdot r / \sqrt D)` over those units r of the abnormal or normal memory that x
    is most like, one in 16 and one more, and top_k the mean over the k snippets where it is
    highest. u, v and w are mean features at unit length: u of the k snippets of the normal bag
    where N is highest, v and w of those of the abnormal bag where N or A is.

    Fields:
        k: snippets that speak for a bag, >= 1.
        size: units of each memory, >= 1.
        memory: weight lambda_d of the memories' cross entropies, >= 0.
        triplet: weight lambda_t of the last term, >= 0.
        margin: m, >= 0.

    Inputs: scores (B, S) in [0, 1], S >= k; features (B, S, D), the last layer of the model;
        labels (B,).
    Returns: (P,) terms >= 0, one per pair of the i-th abnormal with the i-th normal bag.
    Raises: ValueError if a field is out of range, k is above S, features are missing or of a size
        not known, a score is outside [0, 1], or pairs do not come out even.
    Source: Zhou, Yu, Yang: Dual Memory Units with Uncertainty Regulation for Weakly Supervised
        Video Anomaly Detection, AAAI 2023, section 3.
    Deviations: the memories are parameters of the loss, beside the model: what they would add to
        its features is left out, and with it the uncertainty and the distance of the augmented
        features. k is fixed in the place of S // 16 + 1.

    Example:
        >>> import torch, pybench.losses as pl
        >>> from pybench.types import BagOutput, BagTarget
        >>> even, features = torch.full((2, 1), 0.5), {"x": torch.zeros(2, 1, 3)}
        >>> bags = BagOutput(even, torch.zeros(2, 1, 1), features)
        >>> fn = pl.loss("ur_dmu(k=1, memory=1)").prepare(pl.LossContext(feature_dims=[3]))
        >>> terms = fn(bags, BagTarget(torch.tensor([0, 1]), normal=1)).detach()
        >>> (terms - 0.1).exp().round(decimals=3)  # all is 1/2: 2 (1 + 4 times); the triplet .1
        tensor([32.])
    """

    k: int = 3
    size: int = 60
    memory: float = 0.1
    triplet: float = 0.1
    margin: float = 1.0

    reads: ClassVar[Kind] = "bags"
    needs: ClassVar[frozenset[Need]] = frozenset({"features"})
    source: ClassVar[str] = (
        "Zhou, Yu, Yang: Dual Memory Units with Uncertainty Regulation for Weakly Supervised Video "
        "Anomaly Detection, AAAI 2023, section 3"
    )

    def __post_init__(self) -> None:
        checks.require(self.k >= 1, "k", ">= 1", self.k)
        checks.require(self.size >= 1, "size", ">= 1", self.size)
        for name in ("memory", "triplet", "margin"):
            value = getattr(self, name)
            checks.require(0 <= value < math.inf, name, "finite and >= 0", value)

    def prepare(self, context: LossContext) -> LossFn:
        """Return the loss with fresh memories, drawn from the context's generator."""
        return _Memories(self, context)


class _Memories(nn.Module):
    def __init__(self, config: UrDmu, context: LossContext) -> None:
        super().__init__()
        dims = context.feature_dims
        known = list(dims.values()) if isinstance(dims, Mapping) else list(dims)
        checks.require(bool(known), "feature_dims of ur_dmu", "given", "none")
        self.config = config
        start = torch.rand(
            2, config.size, known[-1], generator=context.generator, device=context.device
        )
        self.units = nn.Parameter((2 * start - 1) / math.sqrt(known[-1]))

    def forward(self, output: BagOutput, target: BagTarget, *, progress: float = 0.0) -> Tensor:
        """Terms (P,)."""
        config, k = self.config, self.config.k
        checks.bags_in_pairs("ur_dmu", *checks.bag_scores("ur_dmu", output, target)[:2])
        scores, features = checks.widened(output.scores), checks.snippet_features("ur_dmu", output)
        size, depth = self.units.shape[2], features.shape[2]
        checks.require(depth == size, "features", f"of size {size}", depth)
        checks.enough_snippets(k, scores)
        is_abnormal = target.labels != target.normal
        entropy = bag_cross_entropy(scores.topk(k, dim=1).values.mean(1), is_abnormal)
        halves = torch.stack([entropy[is_abnormal], entropy[~is_abnormal]]).mean(0)

        abnormal, normal = features[is_abnormal], features[~is_abnormal]
        # Autocast would take the products to half precision.
        with torch.autocast(features.device.type, enabled=False):
            of_abnormal, of_normal = self.units.to(features.dtype)
            strange, _ = _known(abnormal, of_abnormal)
            ordinary, unordinary = _known(abnormal, of_normal)
            _, unstrange = _known(normal, of_abnormal)
            usual, _ = _known(normal, of_normal)
            found = _log_mean(strange.topk(k, dim=1).values)
            found = found + _log_mean(unordinary.topk(k, dim=1).values)
            told = found + usual.mean(1) + unstrange.mean(1)
            anchor = _speaking(normal, usual, k)
            near = (anchor - _speaking(abnormal, ordinary, k)).norm(dim=1)
            far = (anchor - _speaking(abnormal, strange, k)).norm(dim=1)
        triplet: Tensor = (config.margin + near - far).relu()
        return halves - config.memory * told + config.triplet * triplet


def _known(features: Tensor, units: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithm (P, S) of how well a memory (K, D) knows snippets (P, S, D), and of the rest."""
    likeness = features @ units.T / math.sqrt(units.shape[1])
    most = likeness.topk(len(units) // 16 + 1, dim=2).values
    return _log_mean(logsigmoid(most)), _log_mean(logsigmoid(-most))


def _log_mean(logarithms: Tensor) -> Tensor:
    """Logarithm of the mean over the last axis, exact where the values would round to 0 or 1."""
    return logarithms.logsumexp(-1) - math.log(logarithms.shape[-1])


def _speaking(features: Tensor, known: Tensor, k: int) -> Tensor:
    """Mean feature (P, D), at unit length, of the k snippets that a memory knows best."""
    best = known.topk(k, dim=1).indices.unsqueeze(2).expand(-1, -1, features.shape[2])
    return directions(features.gather(1, best).mean(1))
