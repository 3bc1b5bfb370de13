"""What the results store says of a commit; nothing is trained here.

asv knows no "higher is better": every number falls when things get better, and the name of what
gives it begins with what it counts. Only records made at the commit itself are read. A commit that
did not change a trial's code has none, and no point: its value is that of the commit before.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

STORE = Path(os.environ.get("PYBENCH_STORE") or Path(__file__).parents[3] / "results")


def records(store: Path) -> Iterator[dict[str, Any]]:
    """The finished records of a store, whoever made them; torn files are left out."""
    for path in sorted(store.glob("trials/??/*/record.json")):
        try:
            record = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        if record.get("status") == "done":
            yield record


def made_here(store: Path) -> list[dict[str, Any]]:
    """The records of the commit that asv is at; of a checkout with changes there are none."""
    commit = os.environ.get("ASV_COMMIT")
    return [
        record
        for record in records(store)
        if record["stamp"].get("git_sha") == commit and not record["stamp"].get("dirty")
    ]


def overall(record: dict[str, Any]) -> dict[str, float]:
    """The test split's metrics by "TASK METRIC"; one that is best at 1 as what is missing to 1."""
    return {
        f"{record['trial']['task']} {row['metric']}": (
            1 - row["value"] if row["higher_is_better"] else row["value"]
        )
        for row in record["metrics"]
        if row["split"] == "test" and row["class"] == "" and row["value"] is not None
    }


def mean(values: list[float]) -> float:
    return fmean(values) if values else float("nan")


class Errors:
    version = "1"
    unit = "error"
    param_names = ("task and metric",)
    params = (sorted({name for record in records(STORE) for name in overall(record)}),)

    def track_error_on_test(self, name: str) -> float:
        found = [overall(record) for record in made_here(STORE)]
        return mean([values[name] for values in found if name in values])


class Costs:
    version = "1"
    unit = "s"
    param_names = ("task",)
    params = (sorted({record["trial"]["task"] for record in records(STORE)}),)

    def track_seconds_of_training(self, task: str) -> float:
        made = [record for record in made_here(STORE) if record["trial"]["task"] == task]
        return mean([record["facts"]["train_s"] for record in made])
