"""Metrics. One file, one metric."""

from pybench.registry import Registry
from pybench.types import Metric

metrics: Registry[Metric] = Registry("pybench.metrics", "__call__")
