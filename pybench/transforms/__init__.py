"""Transforms: new samples out of drawn ones. One file, one transform."""

from pybench.registry import Registry
from pybench.types import Transform

transforms: Registry[Transform] = Registry("pybench.transforms", "__call__")
