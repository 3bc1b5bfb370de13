"""The training loop: one trial from its data to its result, read top to bottom."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils import deterministic

from pybench import seeds
from pybench.bags import paired_plan
from pybench.checks import NotFiniteError
from pybench.losses import PreparedLoss, WeightedSum, loss
from pybench.models import models
from pybench.predictions import outputs, predict, predicted
from pybench.result import Result
from pybench.samplers import samplers
from pybench.steps import Finished, steps
from pybench.tasks import Dataset, Task, tasks
from pybench.transforms import transforms
from pybench.trial import Budget, Trial
from pybench.types import (
    Batch,
    ClassTarget,
    Donors,
    Draw,
    Labels,
    LossContext,
    ModelContext,
    Output,
    SampleContext,
)
from pybench.views import class_view

if TYPE_CHECKING:
    from pybench.store import Record


class TrainingDivergedError(ArithmeticError):
    """The loss stopped being a finite number."""


class DataChangedError(ValueError):
    """The data is not what the trial was planned for."""


def run_trial(
    trial: Trial,
    *,
    data: Mapping[str, Path] | None = None,
    cache: Path | None = None,
    parent: Record | None = None,
) -> Result:
    """Train, predict and score one trial.

    Args:
        trial: what to run.
        data: paths of the user's own data by task name; embedded data otherwise.
        cache: where decoded clips and made data are kept; by default ``results/cache``.
        parent: the stored result that the trial's last step starts from.

    Raises:
        TrainingDivergedError: the loss became NaN or infinite.
        DataChangedError: the content of the data differs from ``trial.data``.
        ValueError: a spec that does not exist, or a combination that is refused.
    """
    began = time.perf_counter()
    cache = cache or Path("results/cache")
    task = tasks.build(trial.task)
    ref = task.locate((data or {}).get(trial.task), cache)
    if ref.id != trial.data:
        msg = f"data of {trial.task} must be {trial.data}, got {ref.id} at {ref.path}; run again"
        raise DataChangedError(msg)
    dataset = task.load(ref, trial.split, trial.model, cache)
    loaded = time.perf_counter()
    with _reproducible(trial.budget):
        if trial.steps:
            result = _after_training(trial, task, dataset, parent)
        else:
            result = _train(trial, task, dataset)
    return result.with_facts(
        {
            "classes": list(dataset.classes),
            "train_counts": dataset.counts(dataset.splits["train"]).tolist(),
            "part_sizes": {name: len(part) for name, part in dataset.parts().items()},
            "provenance": ref.provenance,
            "problems": list(dataset.problems),
            "load_s": round(loaded - began, 4),
            "total_s": round(time.perf_counter() - began, 4),
        }
    )


def _train(trial: Trial, task: Task, dataset: Dataset) -> Result:
    budget, criterion, train = trial.budget, loss(trial.loss), dataset.splits["train"]
    device = torch.device(budget.device)
    sampler, transform = samplers.build(trial.sampler), transforms.build(trial.transform)

    torch.manual_seed(seeds.integer(trial.seed, "init"))
    model = models.build(trial.model).build(_model_context(criterion, dataset))
    pairs = criterion.reads == "bags"
    if pairs and budget.batch % 2:
        msg = f"batch must be even for pairs of bags, got {budget.batch}"
        raise ValueError(msg)
    plan = partial(paired_plan, sampler) if pairs else sampler.plan
    first_draw = plan(_sample_context(dataset, budget, []), trial.seed, 0)
    prepared = _prepare(trial, criterion, dataset, model, first_draw)
    trained = nn.ModuleList([model, *prepared.modules()]).to(device)
    optimiser = _optimiser(trained, budget)
    total_steps = budget.steps or (budget.epochs or 0) * math.ceil(len(first_draw) / budget.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _schedule(budget, total_steps))

    two_views = "two_views" in criterion.needs and dataset.kind == "classes"
    donors = Donors(
        lambda indices: dataset.batch(train[indices]), dataset.labels[train], dataset.counts(train)
    )

    torch.manual_seed(seeds.integer(trial.seed, "dropout"))
    began = time.perf_counter()
    curve: list[dict[str, float | None]] = []
    history: list[NDArray[np.float64]] = []
    drawn_counts = np.zeros(len(dataset.classes), dtype=np.int64)
    step, epoch, first_norm = 0, 0, 0.0
    while step < total_steps:
        draw = plan(_sample_context(dataset, budget, history), trial.seed, epoch)
        trained.train()
        losses: list[Tensor] = []
        taken = min(len(draw), (total_steps - step) * budget.batch)
        drawn_counts += dataset.counts(train[draw.indices[:taken]])
        for begin in range(0, taken, budget.batch):
            drawn = slice(begin, begin + budget.batch)
            views = [
                transform(
                    dataset.batch(train[draw.indices[drawn]]),
                    draw.copy[drawn],
                    donors,
                    seeds.generator(trial.seed, "augment", step, view),
                )
                for view in range(2 if two_views else 1)
            ]
            batch = _on(views[0] if len(views) == 1 else _stack(*views), device)
            with torch.autocast(device.type, torch.bfloat16, enabled=budget.amp):
                output = model(batch.inputs)
                try:
                    value = prepared.mean(
                        output, batch.target, progress=step / total_steps, class_view=class_view
                    )
                except NotFiniteError as error:
                    msg = f"training diverged in epoch {epoch}: {error}"
                    raise TrainingDivergedError(msg) from error
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(value)
            if step == 0:
                first_norm = _gradient_norm(model)
            optimiser.step()
            schedule.step()
            losses.append(value.detach())
            step += 1
        mean_loss = _finite_mean(losses, epoch)
        scores = _validation_f1(model, dataset, device)
        if scores is not None:
            history.append(scores)
        curve.append(
            {
                "epoch": epoch,
                "train_loss": mean_loss,
                "val_macro_f1": None if scores is None else float(scores.mean()),
            }
        )
        epoch += 1
    trained_s = time.perf_counter() - began

    predictions = predict(model, dataset, dataset.evaluated, device, criterion.logit_scale)
    weights = {f"model.{name}": value for name, value in model.state_dict().items()}
    for module in prepared.modules():
        weights |= {f"loss.{name}": value for name, value in module.state_dict().items()}
    return Result(
        trial,
        task.score(predictions, dataset),
        predictions,
        pl.DataFrame(curve),
        {name: value.detach().cpu() for name, value in weights.items()},
        {
            "parameters": sum(p.numel() for p in model.parameters()),
            "gradient_norm_0": first_norm,
            "steps_taken": step,
            "drawn_counts": drawn_counts.tolist(),
            "threads": torch.get_num_threads(),
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "train_s": round(trained_s, 4),
        },
    )


def _after_training(trial: Trial, task: Task, dataset: Dataset, parent: Record | None) -> Result:
    """Apply the last step to the stored result of the trial without it."""
    if parent is None:
        msg = f"parent of '{trial.name}' must be a finished trial, got none; run it first"
        raise ValueError(msg)
    began = time.perf_counter()
    step, before = steps.build(trial.steps[-1]), parent.predictions()
    on_validation = pl.when(pl.col("split") == "val").then(pl.col("label"))
    finished = Finished(
        trial=trial,
        classes=dataset.classes,
        counts=dataset.counts(dataset.splits["train"]),
        predictions=before.with_columns(on_validation),  # the test labels stay here
        drawn=np.array(parent.facts["drawn_counts"]),
        arrays=_inside(trial, dataset, parent, before) if step.needs else {},
    )
    predictions = step.apply(finished).with_columns(before["label"])
    return Result(
        trial,
        task.score(predictions, dataset),
        predictions,
        parent.curves(),
        facts={
            "parent": parent.id,
            "drawn_counts": parent.facts["drawn_counts"],
            "train_s": round(time.perf_counter() - began, 4),
        },
    )


def _inside(
    trial: Trial, dataset: Dataset, parent: Record, predictions: pl.DataFrame
) -> dict[str, NDArray[Any]]:
    """What the classifier of a stored network reads, and the classifier; see ``Finished``."""
    state = {
        name.removeprefix("model."): value
        for name, value in parent.weights().items()
        if name.startswith("model.")
    }
    if not state:
        msg = f"step '{trial.steps[-1]}' must come first, got '{trial.name}'; it reads the network"
        raise ValueError(msg)
    device, train = torch.device(trial.budget.device), dataset.splits["train"]
    model = models.build(trial.model).build(_model_context(loss(trial.loss), dataset))
    model.load_state_dict(state)
    model.to(device)
    classifier = model.get_submodule("classifier").state_dict()
    head = {name: value.cpu().numpy() for name, value in classifier.items()}
    evaluated = predictions["sample"].to_numpy()
    return {
        "train_features": outputs(model, dataset, train, device, _last_layer)["features"],
        "train_labels": dataset.labels[train],
        "features": outputs(model, dataset, evaluated, device, _last_layer)["features"],
        "head_weight": head["weight"],
        "head_bias": head.get("bias", np.zeros(len(dataset.classes), dtype=np.float32)),
    }


def _last_layer(output: Output) -> dict[str, Tensor]:
    return {"features": list(output.features.values())[-1]}


@contextlib.contextmanager
def _reproducible(budget: Budget) -> Iterator[None]:
    """Exactly the budget's threads and deterministic kernels, then as before.

    A GPU kernel without a deterministic form warns; on the CPU it would be an error.
    """
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    fill = deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.set_num_threads(budget.threads)
    # It writes every new tensor full of NaN first, to find readers of what nobody wrote.
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # Not use_deterministic_algorithms(): that imports the compiler, which takes seconds.
    torch.set_deterministic_debug_mode("error" if budget.device == "cpu" else "warn")
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
        torch.set_deterministic_debug_mode(mode)


def _model_context(criterion: WeightedSum, dataset: Dataset) -> ModelContext:
    reads = {part.reads for _, part in criterion.terms}
    return ModelContext(
        num_classes=len(dataset.classes),
        reads="classes" if "classes" in reads else dataset.kind,
        needs=criterion.needs,
        input_shape=tuple(dataset.inputs.shape[1:]),
    )


def _sample_context(
    dataset: Dataset, budget: Budget, history: list[NDArray[np.float64]]
) -> SampleContext:
    train = dataset.splits["train"]
    cells = dataset.kind == "boxes"
    return SampleContext(
        labels=None if cells else dataset.labels[train],
        label_sets=[np.unique(row[row > 0]) for row in dataset.labels[train]] if cells else None,
        groups=None if dataset.groups is None else dataset.groups[train],
        num_classes=len(dataset.classes),
        normal=len(dataset.classes) - 1 if dataset.kind == "bags" else None,
        batch_size=budget.batch,
        epochs=budget.epochs or math.ceil((budget.steps or 0) * budget.batch / len(train)),
        history=tuple(history),
    )


def _prepare(
    trial: Trial, criterion: WeightedSum, dataset: Dataset, model: nn.Module, draw: Draw
) -> PreparedLoss:
    """Tell the loss the class counts: of the training set, or of what the sampler drew."""
    train = dataset.splits["train"]
    counts = dataset.counts(train[draw.indices] if trial.counts == "sampled" else train)
    generator = seeds.torch_generator(trial.seed, "loss", device=trial.budget.device)

    def context(of: Labels) -> LossContext:
        return LossContext(
            counts=of,
            feature_dims=getattr(model, "feature_dims", {}),
            device=trial.budget.device,
            generator=generator,
        )

    own = counts[:-1] if dataset.kind == "bags" else counts
    return criterion.prepare(context(own), class_context=context(counts))


def _optimiser(trained: nn.Module, budget: Budget) -> torch.optim.Optimizer:
    parameters = [p for p in trained.parameters() if p.requires_grad]
    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "adagrad": torch.optim.Adagrad,
        "sgd": partial(torch.optim.SGD, momentum=0.9),
    }
    return kinds[budget.optimiser](parameters, lr=budget.lr, weight_decay=budget.weight_decay)


def _schedule(budget: Budget, total_steps: int) -> Callable[[int], float]:
    if budget.schedule == "constant":
        return lambda _: 1.0
    return lambda step: 0.5 * (1 + math.cos(math.pi * step / total_steps))


def _stack(first: Batch, second: Batch) -> Batch:
    """Two views of the same samples as one batch of twice the size."""
    if not isinstance(first.target, ClassTarget) or not isinstance(second.target, ClassTarget):
        msg = "two views must be of a classes task, got another kind"
        raise TypeError(msg)
    soft = (first.target.probabilities, second.target.probabilities)
    probabilities = None if soft[0] is None or soft[1] is None else torch.cat([soft[0], soft[1]])
    labels = torch.cat([first.target.labels, second.target.labels])
    return Batch(torch.cat([first.inputs, second.inputs]), ClassTarget(labels, probabilities))


def _on(batch: Batch, device: torch.device) -> Batch:
    if device.type == "cpu":
        return batch
    moved = {
        field.name: value.to(device)
        for field in dataclasses.fields(batch.target)
        if isinstance(value := getattr(batch.target, field.name), Tensor)
    }
    target = dataclasses.replace(batch.target, **moved)  # type: ignore[arg-type]
    return Batch(batch.inputs.to(device), target)


def _gradient_norm(model: nn.Module) -> float:
    norms = [p.grad.norm() for p in model.parameters() if p.grad is not None]
    return float(torch.stack(norms).norm()) if norms else 0.0


def _finite_mean(losses: list[Tensor], epoch: int) -> float:
    """Mean loss of an epoch; checked once an epoch so that a GPU is not made to wait."""
    values = torch.stack(losses)
    bad = (~torch.isfinite(values)).nonzero()
    if len(bad):
        at = int(bad[0])
        msg = f"loss must stay finite, got {float(values[at])} in epoch {epoch} at step {at}"
        raise TrainingDivergedError(msg)
    return float(values.mean())


def _validation_f1(
    model: nn.Module, dataset: Dataset, device: torch.device
) -> NDArray[np.float64] | None:
    """(C,) F1 on the validation split, 0 where undefined; None for bags and boxes."""
    if dataset.kind != "classes" or not len(dataset.splits["val"]):
        return None
    indices = dataset.splits["val"]
    guess = outputs(model, dataset, indices, device, predicted)["logits"].argmax(axis=1)
    truth, classes = dataset.labels[indices], len(dataset.classes)
    hits = np.bincount(truth[guess == truth], minlength=classes)
    seen = np.bincount(truth, minlength=classes) + np.bincount(guess, minlength=classes)
    return np.asarray(2 * hits / np.maximum(seen, 1), dtype=np.float64)
