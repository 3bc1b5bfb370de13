"""Every loss under every sampler on every task with data of its own; `--dry-run` says hours."""

from pybench.suite import Grid, Suite

suite = Suite(
    "Every loss x sampler x task: for a cluster, or a long weekend",
    Grid(tasks=["collision"], losses="*", samplers="*"),
    Grid(tasks=["collision"], losses=["ce"], transforms="*"),
    Grid(tasks=["anomaly"], losses="*", samplers="*"),
    Grid(tasks=["collision"], losses=["ce"], steps=[("logit_adjustment",)]),
    seeds=5,
)
