"""Park, Park and Hong: class-balanced ranking of bags on UCF-Crime, four betas."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import stats

from pybench.core import class_balanced_weights
from pybench.published import Claim, Paper, PublishedTable

MIL = "mil"
BETAS = (0.9, 0.99, 0.999, 0.9999)
CB_MIL = {beta: f"class_balanced_mil(beta={beta})" for beta in BETAS}
MACRO = 'vad_auc(protocol="abnormal_macro")'

TRAIN_COUNTS = {
    "Abuse": 48,
    "Arrest": 45,
    "Arson": 41,
    "Assault": 47,
    "Burglary": 87,
    "Explosion": 29,
    "Fighting": 45,
    "RoadAccidents": 127,
    "Robbery": 145,
    "Shooting": 27,
    "Shoplifting": 29,
    "Stealing": 95,
    "Vandalism": 45,
}
TEST_COUNTS = (2, 5, 9, 3, 13, 21, 5, 23, 5, 23, 21, 5, 5)

CHANGES = {
    0.999: (-0.9, 0.5, 3.5, 1.3, -0.3, 2.6, 0.3, 0.3, 0.9, -0.7, 0.0, -1.2, 0.2),
    0.9999: (-0.4, 1.4, 3.0, -0.4, 0.6, 2.7, 0.3, 1.0, 0.6, -0.5, 0.2, -1.6, 0.3),
}
"""Table 1: change of AUC against MIL by class, in points, in the order of the counts."""
STATED_CHANGE = {0.999: 0.54, 0.9999: 0.57}
ABNORMAL = (76.22, 76.36, 76.59, 76.79, 76.80)
TOTAL = (84.95, 85.06, 85.25, 85.40, 85.41)

TABLE_2_TOTAL = PublishedTable(
    name="Table 2",
    title="Total AUC, the protocol not stated",
    unit="%",
    step=0.01,
    models=("I3D features, 3 layers",),
    ours=("mil_fc512",),
    columns=("MIL", *(f"CB-MIL, beta {beta:g}" for beta in BETAS)),
    losses=(MIL, *CB_MIL.values()),
    cells=(TOTAL,),
)


def _findings() -> tuple[str, ...]:
    """What follows from the printed cells alone."""
    counts = np.array(list(TRAIN_COUNTS.values()))
    found = [
        f"Table 1, beta {beta:g}: {_average(beta, changes)}" for beta, changes in CHANGES.items()
    ]
    for beta, changes in CHANGES.items():
        wilcoxon = stats.wilcoxon(changes, method="approx").pvalue
        student = stats.ttest_1samp(changes, 0).pvalue
        rank = stats.spearmanr(changes, counts).statistic
        found.append(
            f"Over the {len(changes)} classes the change at beta {beta:g} is not different from 0 "
            f"(t test p = {student:.2f}, Wilcoxon p = {wilcoxon:.2f}), and it does not follow the "
            f"number of training videos that the weights are made of (Spearman {rank:+.2f})."
        )
    gaps = [round(b - a, 2) for a, b in pairwise(ABNORMAL)]
    weights = {b: class_balanced_weights(counts, b) for b in (BETAS[0], *BETAS[2:])}
    spans = ", ".join(f"{b:g}: {w.min():.2f} to {w.max():.2f}" for b, w in weights.items())
    few = [f"{of} {n}" for of, n in zip(TRAIN_COUNTS, TEST_COUNTS, strict=True) if n <= 5]
    return (
        *found,
        f"One run. From row to row of Table 2 the abnormal AUC rises by "
        f"{', '.join(f'{gap:.2f}' for gap in gaps)} points.",
        f"If weights sum to the number of classes they are, by beta, {spans}: beta .9 is almost "
        "MIL, and .999 almost .9999, as in the table.",
        f"A class AUC rests on its test videos: {', '.join(few)}.",
        "Beta is chosen by the test AUC.",
    )


def _average(beta: float, changes: tuple[float, ...]) -> str:
    """Whether the stated averages can be those of the printed, rounded changes."""
    mean, slack = float(np.mean(changes)), 0.05
    stated = STATED_CHANGE[beta]
    rises = round(ABNORMAL[1 + BETAS.index(beta)] - ABNORMAL[0], 2)
    verdicts = [
        f"{value:+.2f} in {where} {'fits' if abs(value - mean) <= slack else 'does not fit'}"
        for where, value in (("the same table", stated), ("Table 2", rises))
    ]
    return (
        f"the printed changes average {mean:+.3f}, within {slack} for their rounding: "
        f"{'; '.join(verdicts)}."
    )


def _beside(change: float) -> str:
    return "above" if change > 0 else "below" if change < 0 else "level with"


paper = Paper(
    name="CB-MIL",
    title=(
        "Analyzing the Importance of Balanced Action Classes in Weakly Supervised Video Anomaly "
        "Detection"
    ),
    authors="Tae Kyeong Park, Hyeon Jeong Park, Je Hyeong Hong",
    tables=(TABLE_2_TOTAL,),
    claims=(
        Claim(
            where="Table 2",
            text="CB-MIL at every beta is above MIL in abnormal AUC",
            printed=" < ".join(f"{value:.2f}" for value in ABNORMAL),
            above=tuple(CB_MIL.values()),
            below=(MIL,),
            metric=MACRO,
        ),
        *(
            Claim(
                where="Table 2",
                text=f"abnormal AUC rises from beta {low:g} to {high:g}",
                printed=f"{ABNORMAL[place]:.2f} < {ABNORMAL[place + 1]:.2f}",
                above=(CB_MIL[high],),
                below=(CB_MIL[low],),
                metric=MACRO,
            )
            for place, (low, high) in enumerate(pairwise(BETAS), 1)
        ),
        *(
            Claim(
                where="Table 1",
                text=f"{name}: beta {beta:g} {_beside(change)} MIL",
                printed=f"{change:+.1f} points",
                above=(CB_MIL[beta],) if change > 0 else (MIL,) if change else (),
                below=(MIL,) if change > 0 else (CB_MIL[beta],) if change else (),
                metric=MACRO,
                label=label,
            )
            for beta, changes in CHANGES.items()
            for label, (name, change) in enumerate(zip(TRAIN_COUNTS, changes, strict=True))
        ),
    ),
    findings=_findings(),
    unstated=(
        "how the weights are scaled",
        "which total AUC",
        "which I3D features",
        "layer widths",
        "batch",
        "optimiser",
        "what an epoch is",
        "validation split",
        "repetitions",
    ),
    difference="other features and another split of the training videos",
)
