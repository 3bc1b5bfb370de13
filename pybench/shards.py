"""One draw, shared out among the ranks of a distributed training or loaded by torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from pybench.checks import require
from pybench.types import Draw, SampleContext, Sampler


def shard(draw: Draw, rank: int, world: int, *, group: int = 1, equal: bool = False) -> Draw:
    """The part of a draw that one rank sees.

    Groups of draws are dealt to the ranks in turn, so that when every rank takes b of them, b a
    multiple of ``group``, all ranks together take the next ``world * b`` of the whole draw.

    Args:
        draw: what the sampler drew, the same on every rank.
        rank: in [0, world).
        world: number of ranks, >= 1.
        group: draws that stay together, such as 2 for pairs of bags.
        equal: False: the shards together are the draw, and their lengths may differ by up to one
            group. True: the draw is first continued, from its beginning and marked as copies, to
            the next multiple of ``world * group``, so that all shards are of one length.

    Raises:
        ValueError: rank, world or group is out of range.

    Example:
        >>> import numpy as np
        >>> draw = Draw(np.array([7, 8, 9]), np.zeros(3, dtype=np.uint8))
        >>> [shard(draw, rank, 2).indices.tolist() for rank in range(2)]
        [[7, 9], [8]]
        >>> [shard(draw, rank, 2, equal=True).indices.tolist() for rank in range(2)]
        [[7, 9], [8, 7]]
    """
    require(world >= 1, "world", ">= 1", world)
    require(0 <= rank < world, "rank", f"in [0, {world})", rank)
    require(group >= 1, "group", ">= 1", group)
    total = len(draw)
    if equal:
        total = -(-total // (world * group)) * world * group
    positions = np.arange(total)
    mine = positions[positions // group % world == rank]
    at = mine % max(len(draw), 1)
    return Draw(draw.indices[at], np.where(mine < len(draw), draw.copy[at], 1).astype(np.uint8))


class TorchSampler(torch.utils.data.Sampler[int]):
    """Any sampler of pybench for torch's ``DataLoader``, on one rank or many.

    All ranks draw the same epoch and keep their shard of it, which is of the same length on each:
    see :func:`shard` with ``equal``. Groups such as pairs of bags stay on one rank.

    Args:
        sampler: what draws.
        context: the training samples; its ``batch_size`` is that of one rank.
        seed: training seed.
        rank: in [0, world).
        world: number of ranks.

    ``len()`` is exact: how many indices the next iteration gives. ``state_dict`` says how many the
    current one has given; a ``DataLoader`` with workers asks for more than it has handed on, so
    with one set ``state["given"]`` to what the training has taken.

    Example:
        >>> import numpy as np
        >>> from pybench.samplers import sampler
        >>> context = SampleContext(labels=np.array([0, 0, 1, 1]))
        >>> whole, resumed = (TorchSampler(sampler("natural"), context, seed=0) for _ in range(2))
        >>> indices = list(whole)
        >>> resumed.load_state_dict({"epoch": 0, "given": 3})
        >>> len(resumed), list(resumed) == indices[3:], len(resumed)
        (1, True, 4)
    """

    def __init__(
        self, sampler: Sampler, context: SampleContext, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        self._sampler, self._context, self._seed = sampler, context, seed
        self._rank, self._world = rank, world
        self._epoch = self._given = self._start = 0
        self._draw = self._plan()

    def set_epoch(self, epoch: int, history: Sequence[NDArray[np.float64]] | None = None) -> None:
        """Draw another epoch, with the validation F1 so far if the sampler follows it.

        In the epoch of a state that was loaded, its position is kept.
        """
        if epoch != self._epoch:
            self._given = self._start = 0
        elif history is None:
            return
        if history is not None:
            self._context = replace(self._context, history=tuple(history))
        self._epoch = epoch
        self._draw = self._plan()

    def __len__(self) -> int:
        return len(self._draw) - self._start

    def __iter__(self) -> Iterator[int]:
        self._given, self._start = self._start, 0
        for index in self._draw.indices[self._given :].tolist():
            self._given += 1
            yield index

    def state_dict(self) -> dict[str, int]:
        """Epoch, and how many of its indices were given."""
        return {"epoch": self._epoch, "given": self._given}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Let the next iteration go on where the saved one stood.

        Raises:
            ValueError: a position outside the epoch's draw.
        """
        self.set_epoch(state["epoch"])
        given, most = state["given"], len(self._draw)
        require(0 <= given <= most, "given", f"in [0, {most}]", given, "load it on its own rank")
        self._given = self._start = given

    def _plan(self) -> Draw:
        whole = self._sampler.plan(self._context, self._seed, self._epoch)
        group = getattr(self._sampler, "group", 1)
        return shard(whole, self._rank, self._world, group=group, equal=True)
