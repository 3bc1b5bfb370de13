"""Named random streams: every random number of pybench is drawn from one.

A stream is a seed and a path such as ``"sampler", "epoch=3"``. Streams of different names are
independent, and none depends on how much is drawn from another, on workers or on threads. The path
is what its parts give when joined by ``/``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pybench import core

if TYPE_CHECKING:
    import torch


def generator(seed: int, *name: str | int) -> np.random.Generator:
    """Return numpy's generator at the beginning of a named stream.

    Args:
        seed: In [0, 2**64).
        *name: Parts of the stream's path, none of them empty.

    Raises:
        ValueError: The seed is out of range, or the path has an empty part.

    >>> generator(0, "sampler", "epoch=3").random() == generator(0, "sampler/epoch=3").random()
    True
    """
    return np.random.Generator(np.random.Philox(key=np.array(_key(seed, name), dtype=np.uint64)))


def permutation(n: int, seed: int, *name: str | int) -> NDArray[np.int64]:
    """Return 0..n-1 in random order, from a named stream of its own.

    Of millions, faster than numpy's: see ``core.shuffle``.

    >>> sorted(permutation(4, 0, "sampler", "order").tolist())
    [0, 1, 2, 3]
    """
    return core.shuffle(n, seed, _path(name))


def integer(seed: int, *name: str | int) -> int:
    """Return the number in [0, 2**63) that a named stream begins with, to seed something foreign.

    >>> 0 <= integer(0, "init") < 2**63
    True
    """
    return int(core.philox(_key(seed, name), size=1)[0]) >> 1


def torch_generator(
    seed: int, *name: str | int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Return a torch generator on ``device``, seeded with ``integer(seed, *name)``.

    Its numbers are torch's own and differ between kinds of devices.
    """
    import torch

    return torch.Generator(device).manual_seed(integer(seed, *name))


def _key(seed: int, name: tuple[str | int, ...]) -> tuple[int, int]:
    return core.stream_key(seed, _path(name))


def _path(name: tuple[str | int, ...]) -> str:
    path = "/".join(map(str, name))
    if "" in path.split("/"):
        msg = f"name must be parts that are not empty, got {path!r}; name what is drawn, as 'init'"
        raise ValueError(msg)
    return path
