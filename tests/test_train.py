"""The one loop carries every kind of task, and gives the same bits twice."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from pybench.bags import paired_plan
from pybench.registry import SpecError
from pybench.samplers import samplers
from pybench.suite import refusal
from pybench.tasks import tasks
from pybench.train import DataChangedError, TrainingDivergedError, run_trial
from pybench.trial import Budget, Trial
from pybench.types import SampleContext

KINDS = {
    "toy_clips": ["ce", "focal(gamma=2)", "ce + 0.1*feature_similarity"],
    "toy_images": ["ce", "class_balanced(beta=0.99)"],
    "toy_features": ["weighted_ce", "feature_similarity + ce"],
    "toy_bags": ["mil", "ce", "mil + 0.5*ce"],
    "toy_boxes": ["ce + smooth_l1", "asl_sigmoid + smooth_l1"],
}


def toy(task: str, loss: str, **changes: object) -> Trial:
    built = tasks.build(task)
    trial = Trial(
        task=task,
        data=built.locate(None, Path()).id,
        model=built.meta.models[0],
        loss=loss,
        budget=built.meta.budget,
    )
    return dataclasses.replace(trial, **changes)


@pytest.mark.parametrize(("task", "loss"), [(t, loss) for t in KINDS for loss in KINDS[t]])
def test_a_loss_of_each_kind_trains_on_each_task_where_it_may(task: str, loss: str) -> None:
    result = run_trial(toy(task, loss))
    headline = tasks.build(task).meta.headline
    values = [m["value"] for m in result.metrics if m["metric"] == headline and not m["class"]]
    assert values
    assert all(0 <= value <= 1 for value in values)
    assert result.curves.height == 3
    assert result.facts["gradient_norm_0"] > 0
    assert any(name.startswith("model.") for name in result.weights)


@pytest.mark.parametrize(
    "loss", ["ldam(scale=20)", "drw(loss=gcl(scale=20))", "ce + ldam(scale=20)"]
)
def test_predictions_of_cosines_are_scaled_as_the_loss_scales_them(loss: str) -> None:
    result = run_trial(toy("toy_clips", loss))
    logits = np.stack(result.predictions["logits"].to_list())
    assert 2 < np.abs(logits).max() <= 20.001


def test_scores_of_bags_come_from_scaled_cosines() -> None:
    one, ten = (
        run_trial(toy("toy_bags", f"ldam(scale={s}, max_margin=0)")).predictions["scores"]
        for s in (1, 100)
    )
    # Cosines within [-1, 1] cannot tell three classes apart beyond e^2 to 1.
    assert np.stack(one.to_list()).max() < 0.95
    assert np.stack(ten.to_list()).max() > 0.99


def test_terms_with_a_cosine_head_share_its_scale() -> None:
    with pytest.raises(SpecError, match="must have one scale, got 'ldam \\+ gcl\\(scale=5\\)'"):
        run_trial(toy("toy_clips", "ldam + gcl(scale=5)"))


@pytest.mark.parametrize("task", ["toy_clips", "toy_bags", "toy_boxes"])
def test_training_learns(task: str) -> None:
    loss = KINDS[task][0]
    long = Budget(epochs=30, batch=8, lr=1e-2)
    first, last = run_trial(toy(task, loss, budget=long)).curves["train_loss"].to_list()[::29]
    assert last < 0.8 * first


@pytest.mark.parametrize("task", sorted(KINDS))
def test_the_same_trial_gives_the_same_bits(task: str) -> None:
    one, two = (run_trial(toy(task, KINDS[task][0], seed=3)) for _ in range(2))
    assert one.predictions.equals(two.predictions)
    assert one.curves.equals(two.curves)
    assert all(torch.equal(one.weights[k], two.weights[k]) for k in one.weights)


def test_another_seed_gives_other_bits() -> None:
    one, two = (run_trial(toy("toy_clips", "ce", seed=seed)) for seed in (0, 1))
    assert not one.predictions.equals(two.predictions)


def test_losses_are_compared_on_the_same_initial_weights_and_order() -> None:
    still = Budget(epochs=None, steps=1, batch=8, lr=1e-30)
    one, two = (run_trial(toy("toy_clips", loss, budget=still)) for loss in ("ce", "focal"))
    assert all(torch.equal(one.weights[k], two.weights[k]) for k in one.weights)


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "adagrad", "sgd"])
def test_every_optimiser_of_a_budget_learns(optimiser: str) -> None:
    long = Budget(epochs=30, batch=8, lr=1e-2, optimiser=optimiser)
    first, last = (
        run_trial(toy("toy_clips", "ce", budget=long)).curves["train_loss"].to_list()[::29]
    )
    assert last < first


def test_weight_decay_adds_a_share_of_each_weight_to_its_gradient() -> None:
    def weights(lr: float, decay: float) -> dict[str, torch.Tensor]:
        one = Budget(
            epochs=None,
            steps=1,
            batch=8,
            lr=lr,
            optimiser="sgd",
            schedule="constant",
            weight_decay=decay,
        )
        return run_trial(toy("toy_clips", "ce", budget=one)).weights

    start, plain, decayed = weights(1e-30, 0.0), weights(0.1, 0.0), weights(0.1, 0.5)
    for name, value in start.items():
        if value.is_floating_point() and "running" not in name:
            torch.testing.assert_close(plain[name] - decayed[name], 0.1 * 0.5 * value)


def test_a_budget_of_steps_is_kept_exactly() -> None:
    result = run_trial(toy("toy_clips", "ce", budget=Budget(epochs=None, steps=7, batch=8)))
    assert result.facts["steps_taken"] == 7


def test_a_mixed_bag_loss_reads_the_abnormal_classes_counts() -> None:
    result = run_trial(toy("toy_bags", "ce + mil"))
    assert "scores" in result.predictions.columns


def test_a_loss_that_turns_nan_says_where(tmp_path: Path) -> None:
    with pytest.raises(TrainingDivergedError, match="loss must stay finite, got nan in epoch 0"):
        run_trial(toy("toy_clips", "nan_after(steps=2)"))


def test_changed_data_is_refused() -> None:
    with pytest.raises(DataChangedError, match="must be other, got ToyClips-1"):
        run_trial(toy("toy_clips", "ce", data="other"))


def test_bags_are_paired_whatever_the_sampler_draws() -> None:
    labels = np.array([0, 0, 0, 1, 2, 2])
    context = SampleContext(labels=labels, normal=2)
    for spec in samplers.own_names():
        draw = paired_plan(samplers.build(spec), context, 0, 0)
        drawn = labels[draw.indices]
        assert (drawn[::2] != 2).all()
        assert (drawn[1::2] == 2).all()
        assert not draw.copy[1::2].any()


@pytest.mark.parametrize(
    ("task", "loss", "transform", "why"),
    [
        ("toy_clips", "mil", "none", "n/a: a bag loss"),
        ("toy_images", "smooth_l1", "none", "n/a: a box loss"),
        ("toy_bags", "smooth_l1", "none", "n/a: a box loss"),
        ("toy_boxes", "mil", "none", "n/a: a bag loss"),
        ("toy_bags", "mil", "none", None),
        ("toy_boxes", "ce", "none", None),
        ("toy_bags", "ce", "none", None),
        ("toy_images", "ce", "crop", None),
        ("toy_clips", "focal", "mixup", None),
        ("toy_features", "ce", "smote", None),
        ("toy_features", "ce", "crop", "n/a: transform 'crop' changes clips or images, and this"),
        ("toy_images", "ce", "smote", "n/a: transform 'smote' changes features, and this task"),
        ("toy_boxes", "ce", "cutmix", "n/a: transform 'cutmix' changes clips or images"),
        ("toy_bags", "ce", "smote", "n/a: transform 'smote' changes single"),
        ("toy_bags", "mil", "feature_mixup", None),
    ],
)
def test_an_impossible_pair_is_refused_with_a_sentence(
    task: str, loss: str, transform: str, why: str | None
) -> None:
    reason = refusal(tasks.build(task).meta, toy(task, loss, transform=transform))
    assert reason is None if why is None else reason is not None and reason.startswith(why)


@pytest.mark.parametrize(
    ("task", "change", "why"),
    [
        (
            "toy_clips",
            {"sampler": "paired_bags"},
            "n/a: sampler 'paired_bags' is for tasks of bags",
        ),
        (
            "toy_bags",
            {"sampler": "dynamic_f1"},
            "n/a: sampler 'dynamic_f1' is for tasks of classes",
        ),
        ("toy_bags", {"sampler": "paired_bags"}, None),
        ("toy_clips", {"sampler": "dynamic_f1"}, None),
    ],
)
def test_a_component_of_another_kind_is_refused_with_a_sentence(
    task: str, change: dict[str, str], why: str | None
) -> None:
    reason = refusal(tasks.build(task).meta, toy(task, "ce", **change))
    assert reason is None if why is None else reason is not None and reason.startswith(why)


@pytest.mark.parametrize("name", samplers.own_names())
def test_every_sampler_trains(name: str) -> None:
    task = "toy_bags" if name == "paired_bags" else "toy_clips"
    result = run_trial(toy(task, "ce", sampler=name))
    assert result.facts["steps_taken"] > 0


def test_a_budget_of_steps_has_epochs_for_schedules() -> None:
    steps = Budget(epochs=None, steps=12, batch=8)  # 32 training samples: 3 epochs
    epochs = Budget(epochs=3, batch=8)
    one, two = (
        run_trial(toy("toy_clips", "ce", sampler="progressive", budget=budget))
        for budget in (steps, epochs)
    )
    assert one.curves.equals(two.curves)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("task", sorted(KINDS))
def test_a_gpu_trains_too(task: str, amp: bool) -> None:
    budget = dataclasses.replace(tasks.build(task).meta.budget, device="cuda", amp=amp)
    result = run_trial(toy(task, KINDS[task][0], budget=budget))
    assert np.isfinite(result.curves["train_loss"].to_numpy()).all()
