"""Printed numbers and claimed orders beside ours, each with a verdict in words."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from pybench.losses import meaning
from pybench.published import Claim, Paper
from pybench.report.groups import Group, layout
from pybench.report.words import number
from pybench.stats import TieGroups, mean_interval, tie_groups
from pybench.tasks import TaskMeta


@dataclass(frozen=True)
class Verdict:
    """A printed number or order beside ours."""

    paper: str
    table: str
    cell: str
    printed: str
    ours: str
    verdict: str


def verdicts(
    meta: TaskMeta,
    paper: Paper,
    groups: Sequence[Group],
    classes: Sequence[str],
    provenance: Sequence[str],
) -> tuple[Verdict, ...]:
    """Every printed cell, every order the cells imply and every claim in words, judged."""
    found: list[Verdict] = []
    for table in paper.tables:
        for row, model in enumerate(table.models):
            plain = _plain(groups, table.ours[row], meta)
            for place, column in enumerate(table.columns):
                group = plain.get(meaning(table.losses[place]))
                found.append(
                    Verdict(
                        paper=paper.name,
                        table=table.name,
                        cell=f"{model}, {column}",
                        printed=f"{table.cells[row][place]:g} {table.unit}",
                        ours=_mean_text(group, meta),
                        verdict=_cell_verdict(paper, table.ours[row], group, provenance),
                    )
                )
        found += [_order_verdict(meta, paper, claim, groups, classes) for claim in table.orders()]
    found += [_order_verdict(meta, paper, claim, groups, classes) for claim in paper.claims]
    return tuple(found)


def _plain(groups: Sequence[Group], model: str, meta: TaskMeta) -> dict[Hashable, Group]:
    """Rows of a loss and nothing else, on the paper's model if it was run, else on the default.

    The key is what the loss means, however it is spelt.
    """
    plain = [
        group
        for group in groups
        if (group.trial.sampler, group.trial.transform, group.trial.counts, group.trial.steps)
        == ("natural", "none", "original", ())
    ]
    same = [group for group in plain if _name(group.trial.model) == model]
    default = [group for group in plain if _name(group.trial.model) == _name(meta.models[0])]
    return {meaning(group.trial.loss): group for group in same or default}


def _name(spec: str) -> str:
    return spec.partition("(")[0]


def _mean_text(group: Group | None, meta: TaskMeta) -> str:
    if group is None:
        return "not run"
    _, values = layout([group], meta.headline, meta.headline_split)
    return number(mean_interval(values[0]).mean)


def _cell_verdict(
    paper: Paper,
    model: str,
    group: Group | None,
    provenance: Sequence[str],
) -> str:
    if group is None:
        return "not run"
    reasons = [f"{kind} data" for kind in provenance if kind != "real"]
    if _name(group.trial.model) != model:
        reasons.append("other model")
    return f"not comparable: {', '.join(reasons) or paper.difference}"


def _order_verdict(
    meta: TaskMeta,
    paper: Paper,
    claim: Claim,
    groups: Sequence[Group],
    classes: Sequence[str],
) -> Verdict:
    """Each claimed pair against the tie groups of the paper's own losses on our data."""
    metric = claim.metric or meta.headline
    of = "" if claim.label is None else classes[claim.label] if claim.label < len(classes) else "?"
    plain = _plain(groups, claim.model, meta)
    printed = [meaning(loss) for table in paper.tables for loss in table.losses]
    family = [loss for loss in dict.fromkeys(printed) if loss in plain]
    _, values = layout([plain[loss] for loss in family], metric, meta.headline_split, of)
    above, below = list(map(meaning, claim.above)), list(map(meaning, claim.below))
    pairs = [(a, b) for a in above for b in below]
    ours, verdict = "-", "cannot tell: the words name no order"
    if pairs:
        named = dict.fromkeys(claim.above + claim.below)
        if missing := [loss for loss in named if meaning(loss) not in family]:
            verdict = f"cannot tell: {', '.join(missing)} not run"
        elif np.isnan(values).all():
            verdict = f"cannot tell: {metric} is not measured"
        else:
            ties = tie_groups(values)
            place = {loss: i for i, loss in enumerate(family)}
            agree = sum(bool(ties.better[place[a], place[b]]) for a, b in pairs)
            against = sum(bool(ties.better[place[b], place[a]]) for a, b in pairs)
            ours = _order_text(
                ties, [place[loss] for loss in above], [place[loss] for loss in below]
            )
            verdict = _order_words(agree, against, len(pairs))
    return Verdict(paper.name, claim.where, claim.text, claim.printed, ours, verdict)


def _order_text(ties: TieGroups, above: Sequence[int], below: Sequence[int]) -> str:
    def side(places: Sequence[int]) -> str:
        means = sorted((float(ties.estimate[place]) for place in places), reverse=True)
        return number(means[0]) if len(means) == 1 else f"{number(means[-1])}..{number(means[0])}"

    return f"{side(above)} vs {side(below)}"


def _order_words(agree: int, against: int, pairs: int) -> str:
    if against:
        return "order contradicts" if pairs == 1 else f"order contradicts in {against} of {pairs}"
    if agree == pairs:
        return "order agrees"
    return "cannot tell" if pairs == 1 else f"cannot tell: {agree} of {pairs} pairs are separated"
