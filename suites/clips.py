"""Your own labelled videos: `pybench run clips --data FILE.csv` with the columns path,label."""

from pybench.suite import Grid, Suite

suite = Suite(
    "Your own clips: six losses, and two samplers under plain cross-entropy",
    Grid(
        tasks=["clips"],
        losses=[
            "ce",
            "weighted_ce",
            "focal(gamma=2)",
            'focal(gamma=2, alpha="balanced")',
            "asl_softmax_ovr(gamma_pos=0, gamma_neg=4)",
            "class_balanced(beta=0.999)",
        ],
    ),
    Grid(tasks=["clips"], losses=["ce"], samplers=["class_balanced", "random_over"]),
    Grid(tasks=["clips"], losses=["ce"], steps=[("logit_adjustment",)]),
    seeds=5,
)
