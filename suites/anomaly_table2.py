"""Table 2 of paper 002: the sweep of beta, and the other two scales of its weights."""

from pybench.published.anomaly_cb_mil import BETAS, CB_MIL, MIL
from pybench.suite import Grid, Suite

suite = Suite(
    "CB-MIL at every beta against MIL, ten paired seeds",
    Grid(tasks=["anomaly"], losses=[MIL, *CB_MIL.values()]),
    Grid(
        tasks=["anomaly"],
        losses=[
            f'class_balanced_mil(beta={beta}, normalise="{how}")'
            for beta in BETAS
            for how in ("mean_one", "none")
        ],
    ),
    seeds=10,
)
