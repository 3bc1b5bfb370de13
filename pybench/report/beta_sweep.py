"""Does class-balanced ranking beat plain ranking, at which beta? Stored trials as Markdown.

``python -m pybench.report.beta_sweep --store results`` reads what ``pybench run anomaly_table2``
has stored. Differences are paired by seed; beta is chosen on the validation videos, seed by seed.
``--paper-selection`` chooses it on the test videos instead, as the paper does, and says so;
``--videos`` adds how far the mean over seeds would move with other test videos.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from pybench.data.bag_dataset import BagDataset
from pybench.losses import meaning
from pybench.published.anomaly_cb_mil import (
    ABNORMAL,
    BETAS,
    CB_MIL,
    CHANGES,
    MACRO,
    MIL,
    TOTAL,
    TRAIN_COUNTS,
)
from pybench.report.groups import Group, Stored, gather, layout
from pybench.run import cache_folder
from pybench.scoring.videos import drawn_roc_auc, percentile_interval, video_draws, videos
from pybench.stats import PairedT, paired_t
from pybench.store import Store
from pybench.tasks import tasks

HEADLINE = "vad_auc"
POOLED = 'vad_auc(protocol="abnormal_pooled")'
POWER = 0.8
STAMP = "**Paper selection: beta was chosen on the test videos.**"
SCALES = ("sum_to_c", "mean_one", "none")


@dataclass(frozen=True)
class Sweep:
    """Trials of one scale of the weights, and of plain ranking, by seed.

    Fields:
        scale: how the weights are scaled.
        mil: plain ranking.
        rows: beta -> its trials.
    """

    scale: str
    mil: Group
    rows: dict[float, Group]

    def values(self, row: Group, metric: str, split: str = "test", of: str = "") -> Values:
        """(2, seeds) of a row and of plain ranking, paired by seed; NaN where one is missing."""
        return layout([row, self.mil], metric, split, of)[1]


Values = NDArray[np.float64]


def sweeps(records: Sequence[Stored]) -> list[Sweep]:
    """The sweeps that some trials hold.

    Raises:
        LookupError: no trial of plain ranking, or none beside it.
    """
    plain = [r for r in records if r.trial.sampler == "natural" and not r.trial.steps]
    groups = {meaning(group.trial.loss): group for group in gather(plain)}
    got = sorted(group.trial.loss for group in groups.values())
    if meaning(MIL) not in groups:
        msg = f"trials must have plain {MIL!r}, got {got}; run anomaly_table2"
        raise LookupError(msg)
    found = []
    for scale in SCALES:
        names = {
            beta: CB_MIL[beta]
            if scale == SCALES[0]
            else f'class_balanced_mil(beta={beta}, normalise="{scale}")'
            for beta in BETAS
        }
        keys = {beta: meaning(name) for beta, name in names.items()}
        rows = {beta: groups[key] for beta, key in keys.items() if key in groups}
        if rows:
            found.append(Sweep(scale, groups[meaning(MIL)], rows))
    if not found:
        msg = f"trials must have class_balanced_mil, got {got}; run anomaly_table2"
        raise LookupError(msg)
    return found


def seeds_needed(values: Values, difference: float) -> int | None:
    """Paired seeds with which a t test at 5 % finds a difference in 80 % of all cases.

    Args:
        values: (2, S) paired values whose spread is taken for the true one.
        difference: what is to be found, not 0.

    Returns:
        None when it cannot be said: fewer than two pairs, or no difference.
    """
    paired = values[0] - values[1]
    paired = paired[~np.isnan(paired)]
    if len(paired) < 2 or not difference:
        return None
    noise = float(paired.std(ddof=1)) / abs(difference)
    for seeds in range(2, 10_000):
        shift = math.sqrt(seeds) / noise if noise else math.inf
        limit = float(scipy_stats.t.ppf(0.975, seeds - 1))
        if float(scipy_stats.nct.sf(limit, seeds - 1, shift)) >= POWER:
            return seeds
    return None


def chosen_on(sweep: Sweep, split: str) -> tuple[dict[float, int], dict[str, PairedT]]:
    """Choose beta seed by seed by the total AUC of a split.

    Returns:
        How often each beta is chosen, and the difference to plain ranking on the test videos.
    """
    betas, rows = list(sweep.rows), list(sweep.rows.values())
    _, scores = layout([*rows, sweep.mil], HEADLINE, split)
    usable = ~np.isnan(scores).any(axis=0)
    best = scores[:-1][:, usable].argmax(axis=0)
    differences = {}
    for metric in (HEADLINE, MACRO, POOLED):
        _, test = layout([*rows, sweep.mil], metric, "test")
        test = test[:, usable]
        differences[metric] = paired_t(test[best, np.arange(len(best))], test[-1])
    return {beta: int((best == k).sum()) for k, beta in enumerate(betas)}, differences


def markdown(records: Sequence[Stored], *, paper_selection: bool = False) -> str:
    """The answer: Table 2, the beta that is chosen, and Table 1 beside ours."""
    found = sweeps(records)
    parts = [STAMP] if paper_selection else []
    for sweep in found:
        parts += ["\n".join(_table_2(sweep)), "\n".join(_choice(sweep, paper_selection))]
    parts.append("\n".join(_table_1(found[0])) if found[0].scale == SCALES[0] else "")
    return "\n\n".join(filter(None, parts)) + "\n"


def _table_2(sweep: Sweep) -> Iterator[str]:
    yield f"Weights `{sweep.scale}`, points of AUC; difference to MIL with its 95 % interval:"
    yield ""
    yield (
        "| beta | seeds | total AUC | minus MIL | seeds to decide | abnormal AUC (macro) | "
        "minus MIL | seeds to decide | paper: total, abnormal |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    rows: list[tuple[str, Group]] = [("MIL", sweep.mil)]
    rows += [(f"{beta:g}", group) for beta, group in sweep.rows.items()]
    names = ("MIL", *(f"{beta:g}" for beta in BETAS))
    printed = dict(zip(names, zip(TOTAL, ABNORMAL, strict=True), strict=True))
    for name, row in rows:
        cells = []
        for metric in (HEADLINE, MACRO):
            values = sweep.values(row, metric)
            cells.append(f"{100 * np.nanmean(values[0]):.2f}")
            if row is sweep.mil:
                cells += ["", ""]
                continue
            test = paired_t(*values)
            cells += [_difference(test), str(seeds_needed(values, test.estimate or 0.0) or "-")]
        seeds = int((~np.isnan(sweep.values(row, HEADLINE)[0])).sum())
        paper = " / ".join(f"{value:.2f}" for value in printed[name])
        yield f"| {name} | {seeds} | {' | '.join(cells)} | {paper} |"


def _choice(sweep: Sweep, paper_selection: bool) -> Iterator[str]:
    counts, differences = chosen_on(sweep, "test" if paper_selection else "val")
    where = "test" if paper_selection else "validation"
    often = ", ".join(f"{beta:g} {n} times" for beta, n in counts.items() if n)
    yield (
        f"Beta chosen on the {where} videos, seed by seed ({often}), minus MIL on the test videos: "
        f"total {_difference(differences[HEADLINE])}, "
        f"abnormal macro {_difference(differences[MACRO])}, "
        f"abnormal pooled {_difference(differences[POOLED])} points."
    )
    for metric, name, paper in (
        (HEADLINE, "total", TOTAL[-1] - TOTAL[0]),
        (MACRO, "abnormal", ABNORMAL[-1] - ABNORMAL[0]),
    ):
        row = sweep.rows.get(BETAS[-1])
        if row is not None:
            needed = seeds_needed(sweep.values(row, metric), paper / 100)
            yield (
                f"With the spread between our seeds, the paper's {name} gain of {paper:+.2f} "
                f"points at beta {BETAS[-1]:g} would take {needed or 'more than 10,000'} paired "
                "seeds to find."
            )


def over_videos(sweep: Sweep, dataset: BagDataset, resamples: int = 500) -> Iterator[str]:
    """Differences of the mean over seeds, with percentile intervals over test videos."""
    normal = len(dataset.classes) - 1
    yield "Mean over seeds minus that of MIL, with its 95 % interval over test videos drawn again:"
    yield ""
    yield "| beta | total AUC | abnormal AUC (pooled) |"
    yield "|---|---|---|"

    def drawn(group: Group, *, pooled: bool) -> Values:
        each = []
        for record in group.records:
            table = record.predictions()
            table = table.filter(table["split"] == "test").sort("sample")
            kinds = [-1 if label == normal else label for label in table["label"]]
            truth = [
                np.where(dataset.truth[sample], kind, -1)
                for sample, kind in zip(table["sample"], kinds, strict=True)
            ]
            found, _ = videos(truth, table["scores"].to_list(), dataset.classes[:-1])
            chosen = [video for video in found if video.abnormal or not pooled]
            times = np.vstack([np.ones(len(chosen)), video_draws(chosen, resamples)])
            each.append(drawn_roc_auc(chosen, times))
        return np.asarray(np.mean(each, axis=0))

    plain = {pooled: drawn(sweep.mil, pooled=pooled) for pooled in (False, True)}
    for beta, row in sweep.rows.items():
        cells = []
        for pooled, base in plain.items():
            moved = 100 * (drawn(row, pooled=pooled) - base)
            low, high = percentile_interval(moved[1:]) or (math.nan, math.nan)
            cells.append(f"{moved[0]:+.2f} [{low:+.2f}, {high:+.2f}]")
        yield f"| {beta:g} | {' | '.join(cells)} |"


def _table_1(sweep: Sweep) -> Iterator[str]:
    betas = [beta for beta in CHANGES if beta in sweep.rows]
    yield "Change of AUC by class against MIL, points, ours with its 95 % interval over seeds:"
    yield ""
    head = " | ".join(f"beta {beta:g}: ours | paper" for beta in betas)
    yield f"| class | training videos | {head} |"
    yield "|---|---|" + "---|---|" * len(betas)
    for place, (name, count) in enumerate(TRAIN_COUNTS.items()):
        cells = [
            f"{_difference(paired_t(*sweep.values(sweep.rows[beta], MACRO, of=name)))} | "
            f"{CHANGES[beta][place]:+.1f}"
            for beta in betas
        ]
        yield f"| {name} | {count} | {' | '.join(cells)} |"


def _difference(test: PairedT) -> str:
    if test.estimate is None:
        return "-"
    limits = ""
    if test.low is not None and test.high is not None:
        limits = f" [{100 * test.low:+.2f}, {100 * test.high:+.2f}]"
    return f"{100 * test.estimate:+.2f}{limits}"


def main() -> None:
    """Print the tables of what a store holds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--store", type=Path, default=Path("results"))
    parser.add_argument("--model", default="mil_64")
    parser.add_argument("--paper-selection", action="store_true")
    parser.add_argument("--videos", action="store_true")
    arguments = parser.parse_args()
    records = [
        record
        for record in Store(arguments.store).records()
        if record.status == "done"
        and (record.trial.task, record.trial.model) == ("anomaly", arguments.model)
    ]
    print(markdown(records, paper_selection=arguments.paper_selection), end="")
    if arguments.videos:
        task, cache = tasks.build("anomaly"), cache_folder(arguments.store)
        trial = records[0].trial
        dataset = task.load(task.locate(None, cache), trial.split, trial.model, cache)
        if isinstance(dataset, BagDataset):
            print("\n" + "\n".join(over_videos(sweeps(records)[0], dataset)))


if __name__ == "__main__":
    main()
