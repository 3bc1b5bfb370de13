"""Dash-cam collisions: every loss of the paper and its kin under every sampler."""

from pybench.suite import Grid, Suite

suite = Suite(
    "Dash-cam collision clips: losses x samplers on the small 3-D network",
    Grid(
        tasks=["collision"],
        losses=[
            "ce",
            "weighted_ce",
            "focal(gamma=2)",
            'focal(gamma=2, alpha="balanced")',
            "asl_softmax_ovr(gamma_pos=0, gamma_neg=4)",
            "asl_single_label(gamma_pos=0, gamma_neg=4)",
            "asl_sigmoid(gamma_pos=0, gamma_neg=4)",
            "class_balanced(beta=0.999)",
        ],
        samplers=["natural", "class_balanced", "random_over"],
    ),
    Grid(tasks=["collision"], losses=["ce"], steps=[("logit_adjustment",)]),
    seeds=5,
)
