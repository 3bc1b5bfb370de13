"""What is drawn and said of trials on bags, from what they stored."""

from __future__ import annotations

import re

import numpy as np
import pytest

from pybench.data import crime_snippets
from pybench.published import load
from pybench.published.anomaly_cb_mil import CB_MIL, MACRO, MIL
from pybench.report import beta_sweep, timelines
from pybench.report.beta_sweep import STAMP, chosen_on, seeds_needed, sweeps
from pybench.store import Store
from pybench.tasks import tasks
from pybench.train import run_trial
from pybench.trial import Budget, Split, Trial

TASK = tasks.build("anomaly")
LOSSES = (MIL, CB_MIL[0.9], CB_MIL[0.9999])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Records of three losses with two seeds each, and their data."""
    root = tmp_path_factory.mktemp("bags")
    crime_snippets.make(root / "data", scale=0.01, seed=0, width=64)
    ref = TASK.locate(root / "data", root)
    store = Store(root / "store")
    budget = Budget(epochs=None, steps=20, batch=12)
    for number, spec in enumerate(LOSSES):
        for seed in range(2):
            trial = Trial("anomaly", ref.id, "mil_64", spec, seed=seed, budget=budget)
            result = run_trial(trial, data={"anomaly": root / "data"}, cache=root)
            store.publish(f"{10 * number + seed:032x}", result, {})
    return list(store.records()), TASK.load(ref, Split(), "mil_64", root)


def test_a_page_shows_best_median_and_worst_video_of_each_class(made):
    records, dataset = made
    text = timelines.page(records[0], dataset)
    assert text.count("<h3>") == 13
    assert "<h3>Abuse: 2 test videos" in text
    assert text.count(", ROC<") == text.count(", PR<") == 13
    captions = re.findall(r"<figcaption>(Arson\d+_x264), \d+ frames, AUC ([\d.]+)<", text)
    areas = [float(area) for _, area in captions]
    assert len(areas) == 3
    assert areas == sorted(areas, reverse=True)
    assert "http" not in text
    assert "<script" not in text


def test_the_bars_of_a_timeline_are_the_true_intervals(made):
    records, dataset = made
    text = timelines.page(records[0], dataset)
    name, frames = re.search(r"<figcaption>(Arson\d+_x264), (\d+) frames", text).groups()
    truth = dataset.truth[dataset.names.index(name)]
    assert len(truth) == int(frames)
    figure = next(f for f in text.split("<figure>") if f"<figcaption>{name}," in f)
    bars = re.findall(r'<rect x="([\d.]+)" y="0" width="([\d.]+)"', figure)
    begin = np.flatnonzero(truth)[0] / len(truth) * timelines.WIDTH
    assert float(bars[0][0]) == pytest.approx(begin, abs=0.06)
    assert sum(float(width) for _, width in bars) == pytest.approx(
        truth.mean() * timelines.WIDTH, abs=2.1
    )


def test_the_sweep_pairs_by_seed_and_chooses_beta_on_validation(made):
    records, _ = made
    (sweep,) = sweeps(records)
    assert list(sweep.rows) == [0.9, 0.9999]
    values = sweep.values(sweep.rows[0.9], "vad_auc")
    assert values.shape == (2, 2)
    by_seed = {(r.trial.loss, r.trial.seed): r for r in records}

    def value(loss, seed, split):
        rows = by_seed[loss, seed].metrics
        return next(
            r["value"]
            for r in rows
            if (r["split"], r["metric"], r["class"]) == (split, "vad_auc", "")
        )

    assert values[0].tolist() == [value(CB_MIL[0.9], seed, "test") for seed in range(2)]
    assert values[1].tolist() == [value(MIL, seed, "test") for seed in range(2)]
    for split in ("val", "test"):
        best = [max((0.9, 0.9999), key=lambda b, s=s: value(CB_MIL[b], s, split)) for s in range(2)]
        counts, differences = chosen_on(sweep, split)
        gains = [value(CB_MIL[b], s, "test") - value(MIL, s, "test") for s, b in enumerate(best)]
        assert counts == {b: best.count(b) for b in (0.9, 0.9999)}
        assert differences["vad_auc"].estimate == pytest.approx(np.mean(gains))


def test_the_difference_over_videos_is_that_of_the_stored_scores(made):
    records, dataset = made
    (sweep,) = sweeps(records)
    rows = list(beta_sweep.over_videos(sweep, dataset, resamples=50))[4:]
    assert len(rows) == 2
    for beta, row in zip((0.9, 0.9999), rows, strict=True):
        given, mil = 100 * np.nanmean(sweep.values(sweep.rows[beta], "vad_auc"), axis=1)
        value, low, high = map(float, re.findall(r"[+-][\d.]+", row)[:3])
        assert value == pytest.approx(given - mil, abs=0.006)
        assert low <= high


def test_a_selection_on_the_test_videos_is_stamped(made):
    records, _ = made
    assert STAMP not in beta_sweep.markdown(records)
    assert beta_sweep.markdown(records, paper_selection=True).startswith(STAMP)
    assert "| Vandalism | 45 |" in beta_sweep.markdown(records)


def test_seeds_that_decide_are_those_of_a_t_test_of_power_eight_tenths():
    rng = np.random.default_rng(0)
    values = np.stack([0.1 * rng.normal(size=1000), np.zeros(1000)])
    needed = seeds_needed(values, 0.1)
    assert needed == 10  # Cohen's d of 1, paired, two sides
    assert seeds_needed(values, 0.05) > 3 * needed
    assert seeds_needed(values, 0.0) is None


def test_trials_without_plain_ranking_are_an_error(made):
    records, _ = made
    with pytest.raises(LookupError, match="must have plain 'mil'"):
        sweeps([r for r in records if r.trial.loss != MIL])
    with pytest.raises(LookupError, match="must have class_balanced_mil"):
        sweeps([r for r in records if r.trial.loss == MIL])


def test_the_papers_averages_are_computed_and_one_does_not_fit():
    text = " ".join(load("anomaly_cb_mil").findings)
    assert "average +0.500" in text
    assert "+0.57 in Table 2 does not fit" in text
    assert "+0.54 in the same table fits" in text
    assert "Abuse 2" in text


def test_claims_name_losses_and_metrics_that_exist():
    from pybench.losses import loss
    from pybench.metrics import metrics

    paper = load("anomaly_cb_mil")
    for claim in paper.claims:
        for spec in (*claim.above, *claim.below):
            assert loss(spec).spec == spec
        metrics.build(claim.metric)
    assert MACRO in TASK.meta.metrics
    assert len([c for c in paper.claims if c.where == "Table 1"]) == 26
