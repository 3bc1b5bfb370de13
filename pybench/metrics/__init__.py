"""Metrics. One file, one metric."""

from pybench.registry import Registry
from pybench.types import Metric

metrics: Registry[Metric] = Registry("pybench.metrics", "__call__")


def metric(spec: str) -> Metric:
    """Build a metric from its spec string.

    Raises:
        SpecError: a name, parameter or type that does not exist, with the near one.
        ValueError: a parameter out of range.
    """
    return metrics.build(spec)
