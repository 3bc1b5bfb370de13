"""The results store: one folder per trial, published in one step, never half there.

Layout below the root of a store::

    trials/<id[:2]>/<id>/record.json           trial, status, metrics, facts, stamp
                         predictions.parquet   one row per validation and test sample
                         curves.parquet        one row per epoch
                         weights.safetensors   where the trial has weights
                         error.txt             traceback of a failed trial
    leases/<id>                                who works on it now
    logs/<id>.log                              what a worker printed
    quarantine/                                damaged records
    index.parquet                              view of all records, rebuilt by ``compact``

``record.json`` is one JSON object whose first line is enough to know that a record is whole and how
it ended, so that 10,000 of them are told apart in a fraction of a second.

Work is done in ``tmp-*`` folders, written through to the disk and renamed into place. Readers
ignore every name that begins with ``tmp-`` or ``.``.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import math
import os
import re
import shutil
import statistics
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from pybench import lease
from pybench.trial import SCHEMA, Trial

if TYPE_CHECKING:
    import polars as pl
    from torch import Tensor

    from pybench.result import Result

Failure: TypeAlias = Literal["error", "nan", "timeout", "memory", "crash"]
T = TypeVar("T")

RECORD = "record.json"
PREDICTIONS = "predictions.parquet"
CURVES = "curves.parquet"
WEIGHTS = "weights.safetensors"
ERROR = "error.txt"


class StoreError(OSError):
    """The store cannot be read or written."""


class StoreWarning(UserWarning):
    """A record of the store is damaged and was set aside."""


class _DamagedError(ValueError):
    """A record is torn, or not one of ours."""


@dataclass(frozen=True, eq=False)
class Record:
    """A trial as it was published.

    Fields:
        id: trial id.
        trial: what was run.
        status: ``"done"`` or ``"failed"``.
        failure: class of the failure, or None.
        reason: what went wrong in one sentence; empty when done.
        metrics: rows {split, metric, class, value, unit, higher_is_better, n}.
        facts: what the trial told of itself.
        stamp: machine and library facts.
        path: folder of the record.
    """

    id: str
    trial: Trial
    status: Literal["done", "failed"]
    failure: Failure | None
    reason: str
    metrics: list[dict[str, Any]]
    facts: dict[str, Any]
    stamp: dict[str, Any]
    path: Path = field(repr=False)

    def predictions(self) -> pl.DataFrame:
        """One row per validation and test sample."""
        return self._table(PREDICTIONS)

    def curves(self) -> pl.DataFrame:
        """One row per epoch."""
        return self._table(CURVES)

    def weights(self) -> dict[str, Tensor]:
        """Parameters and buffers by name; empty for a trial without a model."""
        from safetensors.torch import load_file

        path = self.path / WEIGHTS
        return load_file(path) if path.exists() else {}

    def error(self) -> str:
        """Traceback or last output of a failed trial; empty when done."""
        path = self.path / ERROR
        return path.read_text() if path.exists() else ""

    def _table(self, name: str) -> pl.DataFrame:
        import polars as pl

        if self.status != "done":
            msg = f"{name} must belong to a finished trial, got {self.id}, which failed"
            raise StoreError(msg)
        return pl.read_parquet(self.path / name)


class Store:
    """Records below ``root``. Opening a store writes nothing."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self.trials = self.root / "trials"
        self.leases = self.root / "leases"

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r})"

    def get(self, id: str) -> Record | None:
        """The record of a trial, or None; a damaged one is set aside, with a warning."""
        return self._checked(self._folder(id), _record)

    def records(self) -> Iterator[Record]:
        """All records, by id; damaged ones are set aside, each with a warning."""
        for path in self._folders():
            if (record := self._checked(path, _record)) is not None:
                yield record

    def done(self, ids: Iterable[str] | None = None) -> set[str]:
        """Ids of finished trials, of those given or of all."""
        return {head["id"] for head in self._heads(ids) if head["status"] == "done"}

    def failed(self, ids: Iterable[str] | None = None) -> set[str]:
        """Ids of failed trials, of those given or of all."""
        return {head["id"] for head in self._heads(ids) if head["status"] == "failed"}

    def running(self, ids: Iterable[str] | None = None) -> set[str]:
        """Ids of the trials that a living process works on, of those given or of all."""
        names = _visible(self.leases) if ids is None else ids
        owners = ((id, self.owner(id)) for id in names)
        return {id for id, held_by in owners if held_by is not None and not held_by.gone}

    def median_seconds(self, task: str) -> float | None:
        """Median seconds of the finished trials of a task, or None without any."""
        seconds = [
            head["seconds"]
            for head in self._heads(None)
            if head["status"] == "done" and head["task"] == task
        ]
        return statistics.median(seconds) if seconds else None

    def owner(self, id: str) -> lease.Owner | None:
        """The process that holds the lease of a trial, alive or not, or None."""
        return lease.owner(self.leases / id)

    def claim(self, id: str) -> lease.Lease | None:
        """The right to run a trial, or None while another living process has it."""
        with self._writing():
            return lease.claim(self.leases / self._folder(id).name)

    def log(self, id: str) -> Path:
        """Where a worker prints while it runs a trial; its folder exists."""
        with self._writing():
            (self.root / "logs").mkdir(parents=True, exist_ok=True)
        return self.root / "logs" / f"{self._folder(id).name}.log"

    def publish(self, id: str, result: Result, stamp: Mapping[str, Any]) -> bool:
        """Publish a finished trial; False when another process was first.

        Raises:
            ValueError: metrics or facts hold NaN, infinity or something JSON has no form for.
            StoreError: the store cannot be written.
        """
        files = {PREDICTIONS: _parquet(result.predictions), CURVES: _parquet(result.curves)}
        if result.weights:
            from safetensors.torch import save

            files[WEIGHTS] = save(
                {key: value.detach().cpu().contiguous() for key, value in result.weights.items()}
            )
        body = {
            "failure": None,
            "reason": "",
            "trial": result.trial.to_json(),
            "metrics": result.metrics,
            "facts": dict(result.facts),
            "stamp": dict(stamp),
        }
        return self._publish(id, "done", body, files)

    def publish_failure(
        self,
        id: str,
        trial: Trial,
        failure: Failure,
        reason: str,
        traceback: str,
        stamp: Mapping[str, Any],
    ) -> bool:
        """Publish that a trial failed; False when a finished record is there already."""
        body: dict[str, Any] = {
            "failure": failure,
            "reason": reason,
            "trial": trial.to_json(),
            "metrics": [],
            "facts": {},
            "stamp": dict(stamp),
        }
        return self._publish(id, "failed", body, {ERROR: traceback.encode()})

    def clean(self) -> None:
        """Remove what processes of this host that have ended left behind."""
        with self._writing():
            lease.sweep(self.leases)
            for path in self.trials.glob("tmp-*"):
                if (made_by := lease.temporary_owner(path)) is not None and made_by.gone:
                    shutil.rmtree(path, ignore_errors=True)

    def frame(self) -> pl.DataFrame:
        """One row per trial, split, metric and class; one row without a metric per failed trial."""
        import polars as pl

        rows = [row for record in self.records() for row in _rows(record)]
        return pl.DataFrame(rows, schema=_columns())

    def compact(self) -> Path:
        """Write ``index.parquet``, the view of all records for other programs; return its path."""
        target = self.root / "index.parquet"
        data = _parquet(self.frame())
        with self._writing():
            self.root.mkdir(parents=True, exist_ok=True)
            work = lease.temporary(self.root)
            try:
                _write(work, data)
                work.replace(target)
            finally:
                work.unlink(missing_ok=True)
            _sync(self.root)
        return target

    def _folder(self, id: str) -> Path:
        if not re.fullmatch("[0-9a-f]{32}", id):
            msg = f"id must be 32 hexadecimal digits, got {id[:80]!r}"
            raise ValueError(msg)
        return self.trials / id[:2] / id

    def _folders(self) -> Iterator[Path]:
        for prefix in _visible(self.trials):
            for name in _visible(self.trials / prefix):
                yield self.trials / prefix / name

    def _heads(self, ids: Iterable[str] | None) -> Iterator[dict[str, Any]]:
        """First lines of the records of trials, of those given or of all."""
        for path in self._folders() if ids is None else map(self._folder, ids):
            if (head := self._checked(path, _head)) is not None:
                yield head

    def _checked(self, path: Path, read: Callable[[Path], T]) -> T | None:
        """What ``read`` gives; None when there is no record, or a damaged one was set aside."""
        try:
            return read(path)
        except FileNotFoundError:
            return None
        except _DamagedError as first:
            problem = first
        # The folder may have been replaced by a retry between two reads of ours.
        try:
            return read(path)
        except FileNotFoundError:
            return None
        except _DamagedError:
            self._quarantine(path, problem)
            return None

    def _quarantine(self, path: Path, problem: Exception) -> None:
        place = self.root / "quarantine" / f"{path.name}-{os.urandom(3).hex()}"
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            path.rename(place)
            outcome = f"moved to {place}"
        except OSError:
            outcome = f"ignored; move {path} away"
        msg = f"record {path.name} is damaged: {problem}; {outcome}"
        warnings.warn(msg, StoreWarning, stacklevel=4)

    def _publish(
        self, id: str, status: str, body: dict[str, Any], files: Mapping[str, bytes]
    ) -> bool:
        place = self._folder(id)
        rest = _json(body, indent=1).removeprefix(b"{\n")
        head = {
            "schema": SCHEMA,
            "id": id,
            "status": status,
            "task": body["trial"]["task"],
            "seconds": body["facts"].get("total_s", 0.0),
            "files": {name: len(data) for name, data in files.items()},
            "bytes_below": len(rest),
        }
        text = _json(head).removesuffix(b"}") + b",\n" + rest
        work = lease.temporary(self.trials)
        with self._writing():
            try:
                work.mkdir(parents=True)
                for name, data in files.items():
                    _write(work / name, data)
                _write(work / RECORD, text)
                _sync(work)
                place.parent.mkdir(exist_ok=True)
                published = self._place(work, place)
                _sync(place.parent)
                _sync(self.trials)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        return published

    def _place(self, work: Path, place: Path) -> bool:
        """Rename ``work`` to ``place``; a finished record there stays, a failed one gives way."""
        for _ in range(2):
            try:
                work.rename(place)
                return True
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    raise
            there = self._checked(place, _head)
            if there is not None and there["status"] == "done":
                return False
            old = lease.temporary(self.trials)
            with contextlib.suppress(FileNotFoundError):
                place.rename(old)
            shutil.rmtree(old, ignore_errors=True)
        return False

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(_sentence(error, self.root)) from error


def results(store: Path | str = "results") -> pl.DataFrame:
    """All results of a store in long form: one row per trial, split, metric and class."""
    return Store(store).frame()


def _sentence(error: OSError, root: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"store must have free space, got a full disk at {root}; free some and run again"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"store must be writable, got {root} without that right; choose another directory"
    return f"store must be a directory that can be written, got {root}: {error.strerror}"


def _visible(folder: Path) -> list[str]:
    """Sorted names in a folder that readers may see; none when there is no folder."""
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if not e.name.startswith(("tmp-", "."))]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(names)


def _head(path: Path) -> dict[str, Any]:
    """The first line of a record, once it is clear that the record is whole.

    Raises:
        FileNotFoundError: there is no such folder.
        _DamagedError: it is torn, of another schema, or not a record of this id.
    """
    place = os.fspath(path)
    try:
        with open(f"{place}/{RECORD}", "rb") as file:  # noqa: PTH123
            line = file.readline()
            head = json.loads(line.rstrip(b",\n") + b"}")
            sizes = {RECORD: len(line) + head["bytes_below"], **head["files"]}
            schema, of, status = head["schema"], head["id"], head["status"]
        if schema != SCHEMA:
            msg = f"schema must be {SCHEMA}, got {schema!r}"
            raise _DamagedError(msg)
        if of != path.name or status not in ("done", "failed"):
            msg = f"{RECORD} must be of this id, got {of!r} with status {status!r}"
            raise _DamagedError(msg)
        for name, size in sizes.items():
            found = os.stat(f"{place}/{name}").st_size  # noqa: PTH116
            if found != size:
                msg = f"{name} must have {size} bytes, got {found}"
                raise _DamagedError(msg)
    except (FileNotFoundError, NotADirectoryError) as error:
        if not path.exists():
            raise FileNotFoundError(place) from error
        msg = f"{Path(error.filename).name} is missing"
        raise _DamagedError(msg) from error
    except _DamagedError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{RECORD} cannot be read ({error})"
        raise _DamagedError(msg) from error
    return dict(head)


def _record(path: Path) -> Record:
    head = _head(path)
    try:
        value = json.loads((path / RECORD).read_bytes())
        return Record(
            id=path.name,
            trial=Trial.from_json(value["trial"]),
            status=head["status"],
            failure=value["failure"],
            reason=value["reason"],
            metrics=value["metrics"],
            facts=value["facts"],
            stamp=value["stamp"],
            path=path,
        )
    except (KeyError, ValueError) as error:
        msg = f"{RECORD} cannot be read ({error})"
        raise _DamagedError(msg) from error


def _json(value: dict[str, Any], indent: int | None = None) -> bytes:
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, default=_plain, indent=indent)
    except ValueError as error:
        path, number = next(_not_finite(value, ""), ("", math.nan))
        msg = f"{path or 'record'} must be finite or None, got {number}"
        raise ValueError(msg) from error
    return text.encode()


def _plain(value: Any) -> Any:
    """The JSON form of what numpy, torch and pathlib give."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    msg = f"record must hold JSON values, got {type(value).__name__}"
    raise TypeError(msg)


def _not_finite(value: Any, path: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, float) and not math.isfinite(value):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _not_finite(item, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _not_finite(item, f"{path}[{index}]")


def _parquet(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Make renames inside a folder last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_OF_TRIAL = ("task", "data", "model", "loss", "sampler", "transform", "counts", "seed")
_OF_SPLIT = ("fold", "folds", "split_seed", "subset_seed")
_OF_BUDGET = ("lr_policy", "device")
_OF_FACTS = ("provenance", "train_s", "total_s")
_OF_STAMP = ("host_id", "cpu", "torch", "git_sha", "dirty")


def _columns() -> dict[str, Any]:
    import polars as pl

    text = ("steps", *_OF_BUDGET, "status", "failure", "reason", "split", "metric", "class", "unit")
    return {
        "id": pl.String,
        **dict.fromkeys(_OF_TRIAL, pl.String),
        "seed": pl.Int64,
        **dict.fromkeys(_OF_SPLIT, pl.Int64),
        **dict.fromkeys(text, pl.String),
        "value": pl.Float64,
        "higher_is_better": pl.Boolean,
        "n": pl.Int64,
        **dict.fromkeys(_OF_FACTS, pl.Float64),
        "provenance": pl.String,
        **dict.fromkeys(_OF_STAMP, pl.String),
        "dirty": pl.Boolean,
    }


def _rows(record: Record) -> list[dict[str, Any]]:
    trial = record.trial
    shared = {
        "id": record.id,
        **{name: getattr(trial, name) for name in _OF_TRIAL},
        **{name: getattr(trial.split, name) for name in _OF_SPLIT},
        **{name: getattr(trial.budget, name) for name in _OF_BUDGET},
        "steps": " -> ".join(trial.steps),
        "status": record.status,
        "failure": record.failure,
        "reason": record.reason,
        **{name: record.facts.get(name) for name in _OF_FACTS},
        **{name: record.stamp.get(name) for name in _OF_STAMP},
    }
    return [{**shared, **row} for row in record.metrics] or [shared]
