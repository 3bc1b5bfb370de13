"""Table 1 of paper 002: what class-balanced ranking changes, class by class, at two betas."""

from pybench.published.anomaly_cb_mil import CB_MIL, MIL
from pybench.suite import Grid, Suite

suite = Suite(
    "CB-MIL against MIL by class of anomaly, ten paired seeds",
    Grid(tasks=["anomaly"], losses=[MIL, CB_MIL[0.999], CB_MIL[0.9999]]),
    seeds=10,
)
