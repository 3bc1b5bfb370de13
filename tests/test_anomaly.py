"""The task of bags: from a folder of features to the rows of a result."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from pybench.data import crime_snippets, rtfm
from pybench.data.bag_dataset import BagDataset
from pybench.data.problems import DataError
from pybench.losses import losses
from pybench.metrics import metrics
from pybench.models import models
from pybench.models._bags import Dropout
from pybench.scoring.videos import roc_auc, roc_auc_interval, videos
from pybench.suite import Selection, find, plan, refusal
from pybench.tasks import tasks
from pybench.train import run_trial
from pybench.trial import Budget, Split, Trial
from pybench.types import ModelContext
from tests.command import pybench
from tests.ucf_layouts import c3d, features
from tests.ucf_layouts import rtfm as rtfm_folder

TASK = tasks.build("anomaly")
NAMES = ("mil_64", "mil_fc512", "mil_multiscale")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("anomaly") / "made"
    crime_snippets.make(made, scale=0.01, seed=0, width=64)
    return made


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def dataset(folder: Path, cache: Path) -> BagDataset:
    return TASK.load(TASK.locate(folder, cache), Split(), "mil_64", cache)


def trial(folder: Path, cache: Path, **given) -> Trial:
    named = {"model": "mil_64", "loss": "mil", "budget": Budget(epochs=None, steps=3, batch=12)}
    return Trial("anomaly", TASK.locate(folder, cache).id, **{**named, **given})


def test_bags_are_segments_with_the_normal_class_last(dataset: BagDataset) -> None:
    assert dataset.inputs.shape == (len(dataset.labels), 32, 1, 64)
    assert dataset.classes[-1] == "Normal"
    assert isinstance(dataset.inputs, np.memmap)
    assert set(dataset.truth) == set(dataset.splits["test"].tolist())


def test_validation_is_taken_from_the_training_videos_of_each_class(dataset: BagDataset) -> None:
    train, val, test = (dataset.splits[role] for role in ("train", "val", "test"))
    assert not set(val) & (set(train) | set(test))
    assert np.bincount(dataset.labels[val], minlength=14).min() == 1
    normal = {dataset.names[i] for i in test if dataset.labels[i] == 13}
    assert all(name.startswith("Normal_Videos_") for name in normal)


def test_another_split_seed_gives_another_validation_and_the_same_test(
    folder: Path, cache: Path, dataset: BagDataset
) -> None:
    other = TASK.load(TASK.locate(folder, cache), Split(split_seed=1), "mil_64", cache)
    assert not np.array_equal(other.splits["val"], dataset.splits["val"])
    assert np.array_equal(other.splits["test"], dataset.splits["test"])


def test_classes_of_few_test_videos_are_named(dataset: BagDataset) -> None:
    assert any("Abuse 2" in problem and "Assault 3" in problem for problem in dataset.problems)


def test_stored_scores_give_the_rows_again_frame_by_frame(folder: Path, cache: Path) -> None:
    result = run_trial(trial(folder, cache), data={"anomaly": folder}, cache=cache)
    data = TASK.load(TASK.locate(folder, cache), Split(), "mil_64", cache)
    assert TASK.score(result.predictions, data) == result.metrics
    rows = {(r["split"], r["metric"], r["class"]): r for r in result.metrics}
    assert {r["metric"] for r in result.metrics} == set(TASK.meta.metrics)
    assert rows["test", "vad_auc", "Abuse"]["n"] == 2
    test = result.predictions.filter(result.predictions["split"] == "test")
    truth, scores = [], []
    for sample, given in zip(test["sample"], test["scores"], strict=True):
        frames = data.truth[sample]
        truth.append(frames)
        scores.append(np.array(given)[np.arange(len(frames)) * 32 // len(frames)])
    truth, scores = np.concatenate(truth), np.concatenate(scores)
    wins = (scores[truth][:, None] > scores[~truth]).mean()
    ties = (scores[truth][:, None] == scores[~truth]).mean()
    assert rows["test", "vad_auc", ""]["value"] == pytest.approx(wins + ties / 2, abs=1e-9)


def test_a_validation_video_counts_as_one_frame_by_its_strongest_segment(
    folder: Path, cache: Path
) -> None:
    result = run_trial(trial(folder, cache), data={"anomaly": folder}, cache=cache)
    val = result.predictions.filter(result.predictions["split"] == "val")
    peak, normal = val["scores"].list.max().to_numpy(), val["label"].to_numpy() == 13
    wins = (peak[~normal][:, None] > peak[normal]).mean()
    rows = {(r["split"], r["metric"], r["class"]): r["value"] for r in result.metrics}
    assert rows["val", "vad_auc", ""] == pytest.approx(wins)
    assert rows["val", 'vad_auc(protocol="abnormal_macro")', ""] is None


@pytest.mark.parametrize("name", losses.own_names())
def test_every_loss_trains_or_says_why_not(name: str, folder: Path, cache: Path) -> None:
    row = trial(folder, cache, loss=name)
    reason = refusal(TASK.meta, row)
    if reason is not None:
        assert reason.startswith(("n/a: ", "the loss needs")), reason
        return
    result = run_trial(row, data={"anomaly": folder}, cache=cache)
    (value,) = (
        r["value"]
        for r in result.metrics
        if (r["split"], r["metric"], r["class"]) == ("test", "vad_auc", "")
    )
    assert value is not None
    assert math.isfinite(value)


@pytest.mark.parametrize("suite", ["anomaly", "anomaly_table1", "anomaly_table2"])
def test_the_suites_plan_ten_or_five_paired_seeds(suite: str) -> None:
    found = find(suite)[1]
    planned = plan(found, Selection(), {"anomaly": "x"})
    seeds = {t.seed for t in planned.trials}
    assert seeds == set(range(found.seeds))
    assert len(planned.trials) % found.seeds == 0
    assert all(refused.reason.startswith("n/a: ") for refused in planned.refused)


def test_a_test_set_that_is_not_whole_is_not_scored(tmp_path: Path) -> None:
    folder = rtfm_folder(tmp_path / "data")
    next(folder.rglob("Abuse028_x264_i3d.npy")).unlink()
    with pytest.raises(DataError, match="test set must be whole, got Abuse028_x264"):
        TASK.load(TASK.locate(folder, tmp_path), Split(), "mil_64", tmp_path)


def test_segments_of_unknown_length_are_not_scored(tmp_path: Path) -> None:
    folder = c3d(tmp_path / "data")
    with pytest.raises(DataError, match="frames of every test video must be known"):
        TASK.load(TASK.locate(folder, tmp_path), Split(), "mil_64", tmp_path)


def test_a_damaged_training_video_is_left_out_and_named(tmp_path: Path) -> None:
    def video(name: str, of: str, test: bool) -> rtfm.Described:
        return rtfm.Described(
            name, of, test, features(40, 1, 8), [(16, 64)] if of != "Normal" else []
        )

    names = [(f"Abuse{i:03}_x264", "Abuse", i > 4) for i in range(1, 7)]
    names += [(f"Normal_Videos{i:03}_x264", "Normal", i > 4) for i in range(1, 7)]
    folder = tmp_path / "made"
    rtfm.write(folder, (video(*described) for described in names))
    (folder / "features" / "Abuse001_x264_i3d.npy").write_bytes(b"torn")
    data = TASK.load(TASK.locate(folder, tmp_path), Split(), "mil_64", tmp_path)
    used = np.concatenate([data.splits[role] for role in ("train", "val", "test")])
    assert len(used) == 11
    assert data.names.index("Abuse001_x264") not in used
    assert any("Abuse001_x264_i3d.npy" in problem for problem in data.problems)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reads", ["bags", "classes"])
def test_a_model_of_bags_scores_every_segment(name: str, reads: str) -> None:
    torch.manual_seed(0)
    context = ModelContext(num_classes=14, reads=reads, input_shape=(32, 3, 16))
    network = models.build(name).build(context).eval()
    with torch.no_grad():
        output = network(torch.rand(2, 32, 3, 16))
    assert output.scores.shape == (2, 32)
    assert ((output.scores >= 0) & (output.scores <= 1)).all()
    assert output.logits.shape == (2, 32, 1 if reads == "bags" else 14)
    (width,) = network.feature_dims.values()
    assert output.features["snippet"].shape == (2, 32, width)


@pytest.mark.parametrize("name", NAMES)
def test_scores_of_crops_are_averaged(name: str) -> None:
    torch.manual_seed(0)
    context = ModelContext(num_classes=14, reads="bags", input_shape=(32, 2, 16))
    network = models.build(name).build(context).eval()
    bags = torch.rand(2, 32, 2, 16)
    with torch.no_grad():
        both = network(bags).scores
        each = [network(bags[:, :, crop]).scores for crop in range(2)]
    torch.testing.assert_close(both, (each[0] + each[1]) / 2)


def test_the_papers_scorer_has_a_relu_after_its_first_layer_only() -> None:
    torch.manual_seed(0)
    context = ModelContext(num_classes=14, reads="bags", input_shape=(32, 8))
    network = models.build("mil_fc512").build(context).eval()
    bags = torch.randn(4, 32, 8)
    with torch.no_grad():
        output = network(bags)
        hidden = network.second(network.first(bags).relu())
        expected = network.classifier(hidden)[..., 0].sigmoid()
    torch.testing.assert_close(output.scores, expected)
    assert (hidden < 0).any()
    spread = float(network.first.weight.detach().std())
    assert spread == pytest.approx((2 / (8 + 512)) ** 0.5, rel=0.1)


def test_the_multiscale_scorer_sees_its_neighbours_and_the_others_do_not() -> None:
    for name in NAMES:
        torch.manual_seed(0)
        context = ModelContext(num_classes=14, reads="bags", input_shape=(32, 8))
        network = models.build(name).build(context).eval()
        bags = torch.rand(1, 32, 8)
        changed = bags.clone()
        changed[0, 20] += 1
        with torch.no_grad():
            moved = (network(bags).scores != network(changed).scores)[0].nonzero().ravel().tolist()
        assert (moved == [20]) == (name != "mil_multiscale")


def test_snippets_of_ports_lie_in_whole_blocks_with_a_silent_tail() -> None:
    # 85 frames are 5 blocks of 16 and a tail of 5; two snippets take blocks 0-1 and 2-4.
    truth = [np.array([-1] * 32 + [0] * 48 + [-1] * 5)]
    spread = {
        "even": np.repeat([0.2, 0.9], [43, 42]),
        "ports": np.repeat([0.2, 0.9, 0], [32, 48, 5]),
    }
    for frames, values in spread.items():
        hit, miss = values[truth[0] >= 0], values[truth[0] < 0]
        wins = (hit[:, None] > miss).mean() + (hit[:, None] == miss).mean() / 2
        metric = metrics.build(f'vad_auc(frames="{frames}")')
        assert metric(truth, [[0.2, 0.9]], classes=["a"])[""] == pytest.approx(wins)


def test_the_interval_of_an_area_is_that_of_videos_drawn_again() -> None:
    rng = np.random.default_rng(1)
    truth = [np.repeat([-1, 0], [60, 40]) for _ in range(12)] + [np.full(100, -1)] * 12
    scores = [rng.random(8) + (0.3 if k < 12 else 0) * (np.arange(8) > 4) for k in range(24)]
    found, _ = videos(truth, scores, ["a"])
    low, high = roc_auc_interval(found, resamples=2000, seed=3)
    slow = []
    for _ in range(500):
        again = [found[k] for part in (range(12), range(12, 24)) for k in rng.choice(part, 12)]
        slow.append(roc_auc(again))
    assert low < roc_auc(found) < high
    assert [low, high] == pytest.approx(np.percentile(slow, [2.5, 97.5]), abs=0.02)


def test_the_size_of_features_is_asked_for_by_flag(tmp_path: Path) -> None:
    asked = ["--scale", "0.02", "--width", "40", "--crops", "2", "--json"]
    make = ("data", "make", "anomaly", "made", *asked)
    found = json.loads(pybench(*make, cwd=tmp_path).stdout)
    assert (found["width"], found["crops"]) == (40, 2)
    assert found["problems"] == []
    other = pybench("data", "make", "collision", "x", "--crops", "2", cwd=tmp_path)
    assert other.returncode == 2
    assert "--crops must go with a task of features, got 'collision'" in other.stderr


@pytest.mark.parametrize("p", [0.1, 0.6])
def test_dropout_keeps_the_mean_and_the_gradient_of_what_it_keeps(p: float) -> None:
    torch.manual_seed(0)
    layer, values = Dropout(p), torch.ones(101, 997, requires_grad=True)
    dropped = layer(values)
    dropped.sum().backward()
    gone = float((dropped == 0).double().mean())
    assert gone == pytest.approx(p, abs=0.01)
    assert float(dropped.detach().mean()) == pytest.approx(1, abs=0.03)
    assert torch.equal(values.grad, dropped)
    assert not torch.equal(layer(values), dropped)
    torch.manual_seed(0)
    assert torch.equal(layer(values), dropped)
    assert layer.eval()(values) is values
