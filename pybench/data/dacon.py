"""Reader of the Dacon car-crash competition folder (236064, 2023).

``train.csv`` has the columns ``sample_id,video_path,label`` with paths such as
``./train/TRAIN_0000.mp4`` and one of 13 labels: 0 is no crash, the others are crash x ego car
involved x weather x time of day. The three classes of paper 000 are the first two factors.

Two optional files: corrected labels as competitors published them (lines ``0007 0``: sample number,
new label; -1 drops the sample), in ``relabel.txt`` beside the table or wherever
``PYBENCH_RELABEL`` says (``pybench run --relabel FILE``); and ``split.csv`` (``sample_id,split``
with train or test), a test set fixed by its owner.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pybench.data.problems import Clips, DataError, Problem, report
from pybench.data.videos import undecodable

CLASSES = ("none", "ego", "other")
LABELS = 13
COLUMNS = ("sample_id", "video_path", "label")
DROPPED = "sample dropped"
BACKSLASH = "\\"
RELABEL = "PYBENCH_RELABEL"
"""Environment variable: file of corrected labels, so that every worker reads the same."""


def class_of(label13: int) -> int:
    """Index into :data:`CLASSES` of one of the 13 labels.

    Example:
        >>> [class_of(label) for label in (0, 1, 6, 7, 12)]
        [0, 1, 1, 2, 2]
    """
    return 0 if label13 == 0 else 1 if label13 <= 6 else 2


def read(folder: Path) -> Clips:
    """Read the labelled clips of a competition folder, without opening the videos.

    Args:
        folder: holds ``train.csv`` and the videos.

    Raises:
        FileNotFoundError: no ``train.csv``.
        DataError: a table that cannot be read, or a label that does not exist.
    """
    table = folder / "train.csv"
    if not table.is_file():
        msg = f"folder must hold train.csv, got {folder}; give the competition's own folder"
        raise FileNotFoundError(msg)
    inside = os.path.normpath(folder)
    problems: list[Problem] = []
    samples: dict[str, tuple[Path, int]] = {}
    for line, row in _rows(table, COLUMNS):
        name = row["sample_id"]
        label = _label(row["label"], table, line)
        # Strings, not Paths: a folder has thousands of rows and every trial reads them.
        path = os.path.normpath(f"{inside}/{row['video_path'].replace(BACKSLASH, '/')}")
        wrong = _wrong(path, inside)
        if name in samples:
            problems.append(Problem(f"train.csv line {line}", f"{name} occurs twice", "first kept"))
        elif wrong:
            problems.append(Problem(row["video_path"], wrong, DROPPED))
        else:
            samples[name] = (Path(path), label)
    relabel = Path(os.environ.get(RELABEL) or folder / "relabel.txt")
    split = folder / "split.csv"
    if relabel.is_file():
        problems += _relabelled(samples, relabel)
    if not samples:
        msg = f"train.csv must list at least one usable video, got none in {folder}"
        raise DataError(msg)
    fixed, more = _fixed_test(split, samples)
    paths = tuple(path for path, _ in samples.values())
    return Clips(
        paths=paths,
        files=(*paths, *(f for f in (table, relabel, split) if f.is_file())),
        names=tuple(samples),
        labels=np.array([class_of(label) for _, label in samples.values()], dtype=np.int64),
        classes=CLASSES,
        test=fixed,
        problems=(*problems, *more),
    )


def check(folder: Path) -> dict[str, Any]:
    """Read everything, every frame of every video included, and name each damage."""
    clips = read(folder)
    return report(clips, undecodable(clips))


def _rows(table: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [c for c in columns if c not in (reader.fieldnames or ())]
            if missing:
                msg = f"{table} must have the columns {','.join(columns)}, got {reader.fieldnames}"
                raise DataError(msg)
            for row in reader:
                if any(row[column] is None for column in columns):
                    msg = (
                        f"{table} line {reader.line_num} must have {len(columns)} fields, got fewer"
                    )
                    raise DataError(msg)
                yield reader.line_num, row
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"{table} must be a UTF-8 CSV file, got: {error}"
        raise DataError(msg) from error


def _label(text: str, table: Path, line: int) -> int:
    if text.strip().isdecimal() and int(text) < LABELS:
        return int(text)
    msg = f"label must be in [0, {LABELS}), got {text!r} in {table} line {line}; correct the file"
    raise DataError(msg)


def _wrong(path: str, inside: str) -> str | None:
    if not path.startswith(inside + os.sep):
        return "path leads out of the folder"
    try:
        return None if os.stat(path).st_size else "empty file"  # noqa: PTH116
    except OSError:
        return "listed but absent"


def _relabelled(samples: dict[str, tuple[Path, int]], relabel: Path) -> list[Problem]:
    by_number = {int(name.rpartition("_")[2]): name for name in samples if name[-1:].isdecimal()}
    problems = []
    for line, text in enumerate(relabel.read_text().splitlines(), 1):
        if not text.strip():
            continue
        number, _, label = text.strip().partition(" ")
        known = number.isdecimal() and int(number) in by_number
        if not known:
            problems.append(
                Problem(f"{relabel.name} line {line}", f"no sample {number!r}", "ignored")
            )
            continue
        name = by_number[int(number)]
        if label.strip() == "-1":
            samples.pop(name, None)
        elif name in samples:
            samples[name] = (samples[name][0], _label(label, relabel, line))
    return problems


def _fixed_test(
    table: Path, samples: dict[str, tuple[Path, int]]
) -> tuple[np.ndarray[Any, np.dtype[np.bool_]] | None, list[Problem]]:
    if not table.is_file():
        return None, []
    roles = {}
    for line, row in _rows(table, ("sample_id", "split")):
        if row["split"] not in ("train", "test"):
            msg = f"split must be train or test, got {row['split']!r} in {table} line {line}"
            raise DataError(msg)
        roles[row["sample_id"]] = row["split"]
    unknown = [name for name in samples if name not in roles]
    problems = [Problem(table.name, f"{name} has no role", "used for training") for name in unknown]
    return np.array([roles.get(name) == "test" for name in samples]), problems
