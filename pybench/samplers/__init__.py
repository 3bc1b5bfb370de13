"""Samplers: which training samples an epoch sees. One file, one sampler."""

from pybench.registry import Registry
from pybench.types import Sampler

samplers: Registry[Sampler] = Registry("pybench.samplers", "plan")


def sampler(spec: str) -> Sampler:
    """Build a sampler from its spec string.

    Raises:
        SpecError: a name, parameter or type that does not exist, with the near one.
        ValueError: a parameter out of range.
    """
    return samplers.build(spec)
