"""Lee and Han: five losses on two video networks, dash-cam collisions in three classes."""

from __future__ import annotations

from pybench.published import Claim, Paper, PublishedTable

CE = "ce"
BCE = "weighted_ce"
FL = "focal(gamma=2)"
BFL = 'focal(gamma=2, alpha="balanced")'
ASL = "asl_softmax_ovr(gamma_pos=0, gamma_neg=4)"
LOSSES = {CE: "CE", BCE: "BCE", FL: "FL", BFL: "BFL", ASL: "ASL"}

TRAIN_COUNTS = (1596, 489, 424)
STATED_TRAIN = 2482

TABLE_1 = PublishedTable(
    name="Table 1",
    title="F1 score, averaging not stated",
    unit="%",
    step=1,
    models=("I3D", "R3D_18"),
    ours=("i3d", "r3d18"),
    columns=tuple(LOSSES.values()),
    losses=tuple(LOSSES),
    cells=((82, 81, 79, 79, 81), (80, 81, 77, 74, 80)),
)


def _ours(model: str) -> str:
    return TABLE_1.ours[TABLE_1.models.index(model)]


def _curves(model: str, label: int, ranking: tuple[str, ...]) -> tuple[Claim, ...]:
    """The n-th named loss is above every loss that is not named before it."""
    return tuple(
        Claim(
            where="PR curves",
            text=f"{model}, class {label}: {LOSSES[loss]} {('best', 'second')[place]}",
            printed="a figure",
            model=_ours(model),
            above=(loss,),
            below=tuple(other for other in LOSSES if other not in ranking[: place + 1]),
            metric="average_precision",
            label=label,
        )
        for place, loss in enumerate(ranking)
    )


def _unquantified(model: str) -> Claim:
    return Claim(
        where="PR curves",
        text=f"{model}, class 0: every loss performs well",
        printed="a figure",
        model=_ours(model),
        metric="average_precision",
        label=0,
    )


def _findings() -> tuple[str, ...]:
    total = sum(TRAIN_COUNTS)
    gaps = {
        (TABLE_1.models[row], TABLE_1.columns[high], TABLE_1.columns[low]): (
            TABLE_1.cells[row][high] - TABLE_1.cells[row][low]
        )
        for row, high, low in TABLE_1.pairs()
    }
    within = [f"{high}/{low} ({model})" for (model, high, low), g in gaps.items() if g == 1]
    by_loss = dict(zip(TABLE_1.columns, zip(*TABLE_1.cells, strict=True), strict=True))
    drop = [
        ce - value
        for name in ("FL", "BFL")
        for ce, value in zip(by_loss["CE"], by_loss[name], strict=True)
    ]
    asl = [a - ce for a, ce in zip(by_loss["ASL"], by_loss["CE"], strict=True)]
    ranked = [sorted(zip(row, TABLE_1.columns, strict=True), reverse=True) for row in TABLE_1.cells]
    best = [
        f"{top[1]} on {model} ({top[0] - second[0]:g} point ahead)"
        for model, (top, second, *_) in zip(TABLE_1.models, ranked, strict=True)
    ]
    return (
        f"The class counts {' + '.join(map(str, TRAIN_COUNTS))} make {total}, but {STATED_TRAIN} "
        f"training clips are stated: {total - STATED_TRAIN} too many. We keep the class counts.",
        f"Class 0 is {TRAIN_COUNTS[0] / total:.1%} of the training clips; "
        f"the imbalance is {max(TRAIN_COUNTS) / min(TRAIN_COUNTS):.2f}.",
        f"One run, rounded to whole points: values one point apart may lie 0 to 2 points apart. "
        f"That leaves {len(within)} of {len(gaps)} unequal pairs open: {', '.join(within)}.",
        f"FL and BFL lie {min(drop):g} to {max(drop):g} points under CE; "
        "no order of CE, BCE and ASL is supported.",
        f"The best loss is {' and '.join(best)}.",
        f"ASL minus CE is {asl[0]:+g} and {asl[1]:+g}. The single-label ASL code with "
        "(gamma_pos, gamma_neg) = (0, 4) and no smoothing is exactly cross-entropy, which would "
        "explain it.",
    )


paper = Paper(
    name="dash-cam collision",
    title=(
        "Comparison of Loss Function for Multi-Class Classification of Collision Events "
        "in Imbalanced Black-Box Video Data"
    ),
    authors="Euisang Lee, Seokmin Han",
    tables=(TABLE_1,),
    claims=(
        _unquantified("I3D"),
        *_curves("I3D", 1, (CE, BFL)),
        *_curves("I3D", 2, (CE, ASL)),
        _unquantified("R3D_18"),
        *_curves("R3D_18", 1, (BCE, ASL)),
        *_curves("R3D_18", 2, (BCE, CE)),
        Claim(
            where="Conclusion",
            text="BCE, ASL and CE are above FL in AUC on both models",
            printed="no value",
            above=(BCE, ASL, CE),
            below=(FL, BFL),
            metric="roc_auc",
        ),
    ),
    findings=_findings(),
    unstated=(
        "frames per clip",
        "sampling rate",
        "optimiser",
        "learning rate",
        "batch size",
        "epochs",
        "pretraining",
        "augmentation",
        "validation split",
        "repetitions",
    ),
    difference="own test split; the labels of the paper's test clips are not public",
)
