"""Transforms: new samples out of drawn ones. One file, one transform."""

from pybench.registry import Registry
from pybench.types import Transform

transforms: Registry[Transform] = Registry("pybench.transforms", "__call__")


def transform(spec: str) -> Transform:
    """Build a transform from its spec string.

    Raises:
        SpecError: a name, parameter or type that does not exist, with the near one.
        ValueError: a parameter out of range.
    """
    return transforms.build(spec)
