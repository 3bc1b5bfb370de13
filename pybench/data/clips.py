"""Reader of any labelled videos: a CSV file with the columns ``path,label``.

Paths are relative to the file. Labels are any text; sorted, they are the classes. A third column
``split`` with train or test fixes the test set.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from pybench.data.problems import Clips, DataError, Problem, report
from pybench.data.videos import undecodable

LEAST_PER_CLASS = 3


def read(table: Path) -> Clips:
    """Read the table, without opening the videos.

    Raises:
        DataError: a table that cannot be read, fewer than two classes, or a class with fewer
            videos than the three roles train, validation and test need.
    """
    if table.is_dir():
        msg = f"path must be a CSV file with the columns path,label, got the folder {table}"
        raise DataError(msg)
    problems: list[Problem] = []
    samples: dict[Path, tuple[str, str, str]] = {}
    for line, row in _rows(table):
        name = row["path"].strip().replace("\\", "/")
        path, label = table.parent / name, row["label"].strip()
        if not label:
            wrong = "no label"
        elif not path.is_file():
            wrong = "listed but absent"
        else:
            wrong = "empty file" if path.stat().st_size == 0 else ""
        if path in samples:
            problems.append(Problem(f"line {line}", f"{name} occurs twice", "first kept"))
        elif wrong:
            problems.append(Problem(name or f"line {line}", wrong, "sample dropped"))
        else:
            samples[path] = (name, label, (row.get("split") or "").strip())
    counts = Counter(label for _, label, _ in samples.values())
    _enough(counts, table)
    classes = tuple(sorted(counts))
    roles = {role for _, _, role in samples.values()}
    if roles - {"", "train", "test"}:
        msg = f"split must be train or test, got {sorted(roles - {'', 'train', 'test'})} in {table}"
        raise DataError(msg)
    return Clips(
        paths=tuple(samples),
        files=(*samples, table),
        names=tuple(name for name, _, _ in samples.values()),
        labels=np.array([classes.index(label) for _, label, _ in samples.values()], dtype=np.int64),
        classes=classes,
        test=np.array([r == "test" for _, _, r in samples.values()]) if roles != {""} else None,
        problems=tuple(problems),
    )


def check(table: Path) -> dict[str, Any]:
    """Read everything, every frame of every video included, and name each damage."""
    clips = read(table)
    return report(clips, undecodable(clips))


def _rows(table: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            if not {"path", "label"} <= set(reader.fieldnames or ()):
                msg = f"{table} must have the columns path,label, got {reader.fieldnames}"
                raise DataError(msg)
            rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"{table} must be a UTF-8 CSV file, got: {error}"
        raise DataError(msg) from error
    for line, row in rows:
        if row["path"] is None or row["label"] is None:
            msg = f"{table} line {line} must have a path and a label, got fewer fields"
            raise DataError(msg)
    return rows


def _enough(counts: Counter[str], table: Path) -> None:
    if len(counts) < 2:
        msg = f"{table} must name at least 2 classes with usable videos, got {len(counts)}"
        raise DataError(msg)
    rarest, number = min(counts.items(), key=lambda item: item[1])
    if number < LEAST_PER_CLASS:
        msg = (
            f"each class must have at least {LEAST_PER_CLASS} usable videos (training, validation, "
            f"test), got {number} of {rarest!r}; add some or leave the class out"
        )
        raise DataError(msg)
