"""Weakly supervised anomalies in surveillance videos: one label per video, scores per frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pybench.data import crime_snippets, ucf
from pybench.data.bag_dataset import BagDataset, bag_dataset
from pybench.data.manifest import content_id, made
from pybench.metrics import metrics
from pybench.tasks import DataRef, Dataset, Task, TaskMeta
from pybench.trial import Budget, Split

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Anomaly(Task):
    """Thirteen kinds of anomaly and normal videos, bags of 32 segments (paper 002).

    Reads UCF-Crime features in every layout the reader ``ucf`` knows, and any other data set by a
    CSV. Without any, generated features with the real counts, lengths and intervals are written in
    RTFM's layout and read back; every row of a result says so.

    The test videos are scored frame by frame, under each protocol that published numbers use. A
    validation video has one label: it counts as one frame, scored by its strongest segment, so
    that what is chosen on validation needs no more than weak labels.

    Fields:
        width: D of generated features.
        crops: K of generated features.
    """

    width: int = 256
    crops: int = 1

    meta: ClassVar[TaskMeta] = TaskMeta(
        title="Anomalies in surveillance videos",
        kind="bags",
        inputs="features",
        source=(
            "UCF-Crime (Sultani, Chen, Shah, CVPR 2018); by default generated features with its "
            "counts, in RTFM's layout"
        ),
        licence="UCF-Crime: research only, not redistributable; generated features: as pybench",
        revision=1,
        headline="vad_auc",
        headline_split="test",
        models=("mil_64", "mil_fc512", "mil_multiscale"),
        metrics=(
            "vad_auc",
            'vad_auc(frames="ports")',
            'vad_auc(protocol="abnormal_macro")',
            'vad_auc(protocol="abnormal_pooled")',
            'vad_auc(protocol="paired")',
            "vad_ap",
            "false_alarm_rate",
        ),
        budget=Budget(epochs=None, steps=600, batch=60, lr=1e-3),
        trial_s=4.0,
        reader="ucf",
        published="anomaly_cb_mil",
    )

    def locate(self, path: Path | None, cache: Path, *, make: bool = True) -> DataRef:
        """A folder or CSV at ``path``, or the generated folder under ``cache``."""
        if path is not None:
            root = path if path.is_dir() else path.parent
            return DataRef(content_id(ucf.read(path).files, root, cache), path, "real")
        shape = "" if (self.width, self.crops) == (256, 1) else f"-{self.crops}x{self.width}"
        folder = cache / "data" / f"anomaly-v{crime_snippets.VERSION}{shape}"
        if not folder.is_dir() and not make:
            return DataRef("", folder, "generated")
        made(folder, partial(self.make, scale=1.0, seed=0))
        return DataRef(content_id(ucf.read(folder).files, folder, cache), folder, "generated")

    def load(self, ref: DataRef, split: Split, model: str, cache: Path) -> Dataset:
        """Cut the videos into segments and split them."""
        return bag_dataset(ucf.read(ref.path), ref, split, cache=cache)

    def make(self, directory: Path, scale: float, seed: int) -> None:
        """Write generated features in RTFM's layout."""
        crime_snippets.make(directory, scale=scale, seed=seed, crops=self.crops, width=self.width)

    def make_videos(self, directory: Path, scale: float, seed: int) -> None:
        """Write short simulated videos in UCF-Crime's folders, for ``pybench features extract``."""
        from pybench.data import cctv

        cctv.make(directory, scale=scale, seed=seed)

    def score(self, predictions: pl.DataFrame, dataset: Dataset) -> list[dict[str, Any]]:
        """Every metric on the frames of the test videos, and on the validation videos."""
        if not isinstance(dataset, BagDataset):
            msg = f"dataset must have the truth of frames, got {type(dataset).__name__}"
            raise TypeError(msg)
        normal = len(dataset.classes) - 1
        rows: list[dict[str, Any]] = []
        for part in ("val", "test"):
            mine = predictions.filter(predictions["split"] == part)
            labels, scores = mine["label"].to_numpy(), mine["scores"].to_list()
            kinds = np.where(labels == normal, -1, labels)
            if part == "val":
                truth = [kinds[i : i + 1] for i in range(len(kinds))]
                scores = [[max(segments)] for segments in scores]
            else:
                frames = [dataset.truth[sample] for sample in mine["sample"].to_list()]
                truth = [np.where(f, c, -1) for f, c in zip(frames, kinds, strict=True)]
            counts = np.bincount(labels, minlength=len(dataset.classes))
            sizes = dict(zip(dataset.classes, counts.tolist(), strict=True)) | {"": len(mine)}
            for name in self.meta.metrics:
                metric = metrics.build(name)
                values = metric(truth, scores, classes=dataset.classes[:-1])
                rows += [
                    {
                        "split": part,
                        "metric": name,
                        "class": of,
                        "value": value,
                        "unit": metric.unit,
                        "higher_is_better": metric.higher_is_better,
                        "n": sizes[of],
                    }
                    for of, value in values.items()
                ]
        return rows
