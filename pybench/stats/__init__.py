"""What a handful of seeds can say: intervals, paired tests and tie groups.

Everything is plain numpy and scipy on arrays; nothing here knows what a trial is.
"""

from pybench.stats.intervals import Interval, PairedT, holm, mean_interval, paired_t
from pybench.stats.ties import TieGroups, tie_groups

__all__ = [
    "Interval",
    "PairedT",
    "TieGroups",
    "holm",
    "mean_interval",
    "paired_t",
    "tie_groups",
]
