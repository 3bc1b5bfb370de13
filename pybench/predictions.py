"""What a trained model says of every validation and test sample, as one table."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch

from pybench.types import BagOutput, BoxOutput, Labels, Output

if TYPE_CHECKING:
    from torch import nn

    from pybench.tasks import Dataset

BATCH = 64


def outputs(
    model: nn.Module,
    dataset: Dataset,
    indices: Labels,
    device: torch.device,
    fields: Callable[[Output], dict[str, torch.Tensor]],
) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    """Run the model in evaluation mode: field of the output -> (N, ...) float32.

    Fields are those that ``fields`` takes from an output.
    """
    model.eval()
    parts: dict[str, list[np.ndarray[Any, np.dtype[np.float32]]]] = {}
    with torch.inference_mode():
        for begin in range(0, len(indices), BATCH):
            batch = dataset.batch(indices[begin : begin + BATCH])
            output = model(batch.inputs.to(device))
            for name, value in fields(output).items():
                parts.setdefault(name, []).append(value.float().cpu().numpy())
    return {name: np.concatenate(values) for name, values in parts.items()}


def predict(
    model: nn.Module,
    dataset: Dataset,
    indices: Labels,
    device: torch.device,
    logit_scale: float = 1.0,
) -> pl.DataFrame:
    """The predictions table of a result; the model's logits are stored times ``logit_scale``.

    Columns: ``sample`` (index in the data set), ``name``, ``split`` (val or test), ``subsets``
    (parts of the test set it belongs to), ``label``, then one list column per output field.
    """
    fields = partial(predicted, logit_scale=logit_scale)
    columns = outputs(model, dataset, indices, device, fields)
    rows = range(len(indices))
    validation = np.isin(indices, dataset.splits["val"])
    parts = [name for name in dataset.splits if name.startswith("test/")]
    member = {name: np.isin(indices, dataset.splits[name]) for name in parts}
    names = dataset.names or [str(i) for i in range(len(dataset.labels))]
    return pl.DataFrame(
        {
            "sample": indices,
            "name": [names[i] for i in indices],
            "split": np.where(validation, "val", "test").tolist(),
            "subsets": pl.Series(
                [[p.removeprefix("test/") for p in parts if member[p][k]] for k in rows],
                dtype=pl.List(pl.String),
            ),
            "label": dataset.labels[indices].tolist(),
            **{
                name: pl.Series(values.tolist(), dtype=_lists(values.ndim - 1))
                for name, values in columns.items()
            },
        }
    )


def _lists(depth: int) -> pl.DataType:
    return pl.List(_lists(depth - 1)) if depth else pl.Float32()


def predicted(output: Output, logit_scale: float = 1.0) -> dict[str, torch.Tensor]:
    """What predictions hold of an output, by column, with its logits times ``logit_scale``."""
    if isinstance(output, BagOutput):
        if output.logits.shape[-1] == 1 or logit_scale == 1:
            return {"scores": output.scores}
        return {"scores": 1 - (logit_scale * output.logits).softmax(-1)[..., -1]}
    columns = {"logits": logit_scale * output.logits}
    return columns | ({"boxes": output.boxes} if isinstance(output, BoxOutput) else {})
