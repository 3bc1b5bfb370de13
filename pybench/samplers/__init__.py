"""Samplers: which training samples an epoch sees. One file, one sampler."""

from pybench.registry import Registry
from pybench.types import Sampler

samplers: Registry[Sampler] = Registry("pybench.samplers", "plan")
