"""Surveillance anomalies: every loss for bags, and every loss for classes through video logits."""

from pybench.suite import Grid, Suite

suite = Suite(
    "Weakly supervised video anomalies: all losses on the small scorer of snippets",
    Grid(tasks=["anomaly"], losses="*"),
    Grid(tasks=["anomaly"], losses=["mil"], samplers=["class_balanced", "square_root"]),
    Grid(tasks=["anomaly"], losses=["mil", "rtfm"], models=["mil_multiscale"]),
    seeds=5,
)
