"""The suite of `make leaderboard`: the losses of the papers and a sampler, five seeds."""

from pybench.suite import Grid, Suite

LOSSES = [
    "ce",
    "weighted_ce",
    "focal(gamma=2)",
    'focal(gamma=2, alpha="balanced")',
    "asl_softmax_ovr(gamma_pos=0, gamma_neg=4)",
    "class_balanced(beta=0.999)",
]

BAG_LOSSES = [
    "mil",
    "class_balanced_mil(beta=0.9)",
    "class_balanced_mil(beta=0.9999)",
    "topk_mil",
    "rtfm",
    "ce",
]

suite = Suite(
    "A first answer on every task that is ready, in a coffee break",
    Grid(tasks=["collision"], losses=LOSSES),
    Grid(tasks=["collision"], losses=["ce"], samplers=["class_balanced"]),
    Grid(tasks=["collision"], losses=["ce"], steps=[("logit_adjustment",)]),
    Grid(tasks=["anomaly"], losses=BAG_LOSSES),
    Grid(tasks=["anomaly"], losses=["mil"], samplers=["class_balanced"]),
    seeds=5,
)
