"""The instruction gate: what each kernel executes, counted by callgrind and held to a baseline.

A count does not depend on who else uses the machine, so it can block a change where a time cannot.
It is counted from the Python call to its return, on one thread, and equal on repeat.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pybench.missing import MissingPartError
from pybench.performance import replay
from pybench.performance.kernels import select
from pybench.performance.recording import Recording, Row, record

SOFT, HARD = 0.01, 0.03
"""A count more than this above the baseline is warned of; one above the second is refused."""

Verdict = Literal["same", "faster", "warning", "regression", "new", "failed"]

# Of a few million instructions valgrind makes a fraction of a second.
LIMIT_S = 0.002

# What is counted: the entry from Python, but not its waiting for the pool, and the pool's work.
_TOGGLES = ("*fastcall_cfunction_with_keywords*", "*enter::waiting*", "*enter::pooled*")

# Of what the CPU has, what valgrind lets programs see; libraries choose their code by it.
_FEATURES = frozenset(
    "sse3 ssse3 sse4_1 sse4_2 cx16 popcnt abm avx avx2 bmi1 bmi2 f16c fma rdrand rdseed rdtscp aes "
    "pclmulqdq".split()
)


@dataclass(frozen=True)
class Counted:
    """One row of the gate.

    Fields:
        instructions: of one call; None when it failed.
        baseline: what the matching baseline says; None when it does not know the row.
    """

    kernel: str
    workload: str
    size: int
    instructions: int | None
    baseline: int | None
    verdict: Verdict


@dataclass(frozen=True)
class Outcome:
    """What the gate found.

    Fields:
        key: toolchain and CPU that the counts belong to.
        matched: whether a baseline of that key exists.
        notices: sentences for people.
        updated: whether these counts are the baseline now.
    """

    key: dict[str, str]
    matched: bool
    rows: tuple[Counted, ...]
    notices: tuple[str, ...]
    updated: bool = False

    @property
    def passed(self) -> bool:
        """Whether no row is slower than allowed, unless that was meant, and none failed."""
        verdicts = {row.verdict for row in self.rows}
        return "failed" not in verdicts and (self.updated or "regression" not in verdicts)

    def to_json(self) -> dict[str, Any]:
        """The object that ``pybench gate --json`` prints."""
        return {**asdict(self), "passed": self.passed}


def run(
    kernels: Collection[str] = (), *, update: bool = False, file: Path | None = None
) -> Outcome:
    """Count the workloads of some kernels, or of all, and compare with the committed baseline.

    Args:
        kernels: names; none stands for all.
        update: write what was counted as the baseline of this toolchain and CPU.
        file: the baselines; by default those beside the workloads.

    Raises:
        MissingPartError: no valgrind, or nothing was counted.
        LookupError: a kernel has no workload.
    """
    path = file or baselines_file()
    baselines, found = read(path), key()
    recordings = list(record(select(kernels), sizes(baselines), LIMIT_S))
    counts = count(recordings)
    outcome = compare(found, baselines, recordings, counts, some=bool(kernels))
    if update:
        write(path, updated(baselines, outcome, some=bool(kernels)))
        outcome = replace(outcome, notices=(f"baseline written to {path}",), updated=True)
    return outcome


def compare(
    found: Mapping[str, str],
    baselines: Sequence[Mapping[str, Any]],
    recordings: Iterable[Recording],
    counts: Mapping[Row, int | None],
    *,
    some: bool = False,
) -> Outcome:
    """What the counts say beside the baseline of the same key; with ``some`` not all were made."""
    baseline = next((b for b in baselines if b["key"] == found), None)
    known = {_row(row): row["instructions"] for row in baseline["rows"]} if baseline else {}
    rows = tuple(
        Counted(
            recording.kernel,
            recording.workload,
            recording.size,
            instructions := counts[recording.row],
            known.get(recording.row),
            judge(instructions, known.get(recording.row)),
        )
        for recording in recordings
    )
    notices = [] if baseline else [_no_baseline(baselines, found)]
    if not some and (gone := sorted(set(known) - set(counts))):
        names = ", ".join(f"{kernel} ({workload})" for kernel, workload in gone)
        notices.append(f"no longer counted: {names}; pybench gate --update forgets them")
    return Outcome(dict(found), baseline is not None, rows, tuple(notices))


def judge(instructions: int | None, baseline: int | None) -> Verdict:
    """What a count says beside its baseline.

    >>> [judge(n, 1000) for n in (980, 1000, 1010, 1020, 1031, None)]
    ['faster', 'same', 'same', 'warning', 'regression', 'failed']
    >>> judge(1000, None)
    'new'
    """
    if instructions is None:
        return "failed"
    if baseline is None:
        return "new"
    more = instructions - baseline
    if abs(more) <= SOFT * baseline:
        return "same"
    if more < 0:
        return "faster"
    return "warning" if more <= HARD * baseline else "regression"


# -- counting --------------------------------------------------------------------------------


def count(recordings: Sequence[Recording]) -> dict[Row, int | None]:
    """Instructions of one warm call of each recording; None for one that failed.

    Raises:
        MissingPartError: no valgrind, or it counted nothing at all.
    """
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        msg = "valgrind must be installed, got none; as root: apt-get install -y valgrind"
        raise MissingPartError(msg)
    with tempfile.TemporaryDirectory(prefix="pybench-gate-") as name:
        folder = Path(name)
        for number, recording in enumerate(recordings):
            recording.write(folder / f"{number}.calls")
        done = subprocess.run(
            [
                valgrind,
                "--tool=callgrind",
                "--collect-atstart=no",
                *(f"--toggle-collect={toggle}" for toggle in _TOGGLES),
                "--callgrind-out-file=%p.out",
                *(sys.executable, "-P", "-s", "-B", replay.__file__, "count", str(len(recordings))),
            ],
            # The name of the folder is another each time, and shows where a program reads it.
            cwd=folder,
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        counts = _counts(folder)
    if not any(counts.values()):
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        msg = f"valgrind must count some instructions, got none ({last}); build with symbols"
        raise MissingPartError(msg)
    return {recording.row: counts.get(number) for number, recording in enumerate(recordings)}


def _environment() -> dict[str, str]:
    """Nothing of the caller's environment, whose size would move the stack, but what is needed."""
    return {
        "PATH": os.defpath,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PYTHONHASHSEED": "0",
        "PYBENCH_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _counts(folder: Path) -> dict[int, int | None]:
    """The difference between replaying a recording twice and once, by its number."""
    totals: dict[int, dict[str, int]] = {}
    for note in folder.glob("*.*.*"):
        number, times, pid = note.name.split(".")
        profile = (folder / f"{pid}.out").read_text()
        totals.setdefault(int(number), {})[times] = instructions(profile)
    return {
        number: of["2"] - of["1"] if len(of) == 2 and of["2"] > of["1"] else None
        for number, of in totals.items()
    }


def instructions(profile: str) -> int:
    r"""The instructions in all of a callgrind file.

    Raises:
        ValueError: It is cut short, or counts something else.

    >>> instructions("events: Ir\nfn=(1) f\n0 7\ntotals: 7\n")
    7
    """
    if not re.search(r"^events: Ir$", profile, re.M):
        msg = f"profile must count the event Ir alone, got {profile[:40]!r}"
        raise ValueError(msg)
    found = re.findall(r"^totals: (\d+)$", profile, re.M)
    if not found:
        msg = f"profile must end with its totals, got {profile[-40:]!r}; was the process killed?"
        raise ValueError(msg)
    return sum(map(int, found))


# -- baselines -------------------------------------------------------------------------------


def key() -> dict[str, str]:
    """What a count depends on besides the kernel: compiler, libraries, valgrind, CPU."""
    return {
        "rustc": _rustc(),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "libc": " ".join(platform.libc_ver()),
        "valgrind": _valgrind_version(),
        "cpu": _cpu(),
    }


def _rustc() -> str:
    """The compiler that built the extension, as it notes in the file."""
    from pybench import _core

    note = re.search(rb"rustc version ([^\x00]+)", Path(str(_core.__file__)).read_bytes())
    return note[1].decode() if note else "unknown"


def _valgrind_version() -> str:
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        return "none"
    done = subprocess.run([valgrind, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.strip().removeprefix("valgrind-")


def _cpu() -> str:
    flags: set[str] = set()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            flags = set(value.split())
            break
    seen = flags & _FEATURES if platform.machine() == "x86_64" else flags
    return " ".join([platform.machine(), *sorted(seen)])


def read(path: Path) -> list[dict[str, Any]]:
    """The baselines of a file; none when it does not exist.

    Raises:
        ValueError: it is damaged.
    """
    if not path.exists():
        return []
    try:
        return [
            {
                "key": dict(baseline["key"]),
                "rows": [
                    {
                        "kernel": str(row["kernel"]),
                        "workload": str(row["workload"]),
                        "size": int(row["size"]),
                        "instructions": int(row["instructions"]),
                    }
                    for row in baseline["rows"]
                ],
            }
            for baseline in json.loads(path.read_text(encoding="utf-8"))["baselines"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{path} must hold baselines, got {error!r}; restore it or write it anew by --update"
        raise ValueError(msg) from error


def write(path: Path, baselines: Sequence[Mapping[str, Any]]) -> None:
    """Write the baselines, whole or not at all, one row a line so that changes read well."""
    parts = []
    for baseline in baselines:
        rows = ",\n".join(f"   {json.dumps(row)}" for row in baseline["rows"])
        head = json.dumps(baseline["key"], indent=1).replace("\n", "\n  ")
        parts.append(f' {{\n  "key": {head},\n  "rows": [\n{rows}\n  ]\n }}')
    text = '{"baselines": [\n' + ",\n".join(parts) + "\n]}\n"
    new = path.with_name(f".{path.name}.new")
    new.write_text(text)
    new.replace(path)


def updated(
    baselines: Sequence[Mapping[str, Any]], outcome: Outcome, *, some: bool
) -> list[dict[str, Any]]:
    """The baselines with what was counted; with ``some`` the rows that were not are kept."""
    counted = {
        (row.kernel, row.workload): {
            "kernel": row.kernel,
            "workload": row.workload,
            "size": row.size,
            "instructions": row.instructions,
        }
        for row in outcome.rows
        if row.instructions is not None
    }
    others = [dict(baseline) for baseline in baselines if baseline["key"] != outcome.key]
    if some and (same := next((b for b in baselines if b["key"] == outcome.key), None)):
        counted = {_row(row): row for row in same["rows"]} | counted
    return [*others, {"key": outcome.key, "rows": list(counted.values())}]


def sizes(baselines: Iterable[Mapping[str, Any]]) -> dict[Row, int]:
    """The size of each row, which stays what it was when the row was first counted."""
    return {_row(row): row["size"] for baseline in baselines for row in baseline["rows"]}


def _row(row: Mapping[str, Any]) -> Row:
    return row["kernel"], row["workload"]


def baselines_file() -> Path:
    """The committed baselines, beside the workloads."""
    from pybench.suite import folder

    return folder() / "instructions.json"


def _no_baseline(baselines: Sequence[Mapping[str, Any]], found: Mapping[str, str]) -> str:
    """Why nothing could be compared: what differs from the nearest baseline."""
    said = "no baseline is of this toolchain and CPU, so nothing was compared"
    if baselines:
        nearest = min(
            ({k: v for k, v in found.items() if b["key"].get(k) != v} for b in baselines), key=len
        )
        said += f" (other: {', '.join(f'{name} {value}' for name, value in nearest.items())})"
    return f"{said}; pybench gate --update writes one"
