"""Whether the kernels got slower than at another revision: both are built and timed in one job.

Machines differ by more between two jobs than a regression is large, and two processes of the same
program by a few per cent for how they lie in memory. So each round starts a fresh process of either
side, rows alternate between them, and the rounds are what the interval is over.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median, stdev
from types import TracebackType
from typing import Any, Literal, Self

from pybench.missing import MissingPartError
from pybench.performance import replay
from pybench.performance.kernels import THREADS, select
from pybench.performance.recording import Recording, Row, record

SLOWER = 0.05
"""A slowdown up to this one is none."""

ALPHA = 0.05
"""Chance that any row of a comparison is called a regression when none is one."""

Verdict = Literal["regression", "same", "cannot tell", "new"]

# A size at which one call takes up to this, so that a comparison of all rows takes minutes.
_LIMIT_S = 0.02
# Timings of a row in one round; odd ones begin with the other side.
_TIMINGS = 4


@dataclass(frozen=True)
class Compared:
    """One row of a comparison.

    Fields:
        here_ms, there_ms: median over rounds of one call; there is None without the kernel.
        ratio: of the time here to that there; above 1 is slower here.
        ratio_low, ratio_high: 95 % t interval over rounds, of the logarithm.
        p: adjusted by Holm, of being slower here by more than ``SLOWER``.
    """

    kernel: str
    workload: str
    size: int
    here_ms: float
    there_ms: float | None
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    p: float | None
    verdict: Verdict


@dataclass(frozen=True)
class Comparison:
    """This working tree beside a revision."""

    against: str
    rounds: int
    rows: tuple[Compared, ...]

    def to_json(self) -> dict[str, Any]:
        """The object that ``pybench kernels --against REV --json`` prints."""
        return asdict(self)


def compare(
    revision: str,
    kernels: Collection[str] = (),
    *,
    rounds: int = 7,
    say: Callable[[str], None] = print,
) -> Comparison:
    """Time some kernels, or all, of this checkout as it stands and of a revision of it.

    Args:
        revision: what git calls a commit.
        kernels: names; none stands for all.
        rounds: fresh processes of each side, >= 3.
        say: told what goes on.

    Raises:
        LookupError: no such revision, or a kernel has no workload.
        RuntimeError: no checkout, or a revision does not build.
    """
    if rounds < 3:
        msg = f"rounds must be >= 3, got {rounds}"
        raise ValueError(msg)
    checkout = _checkout()
    commit = _commit(checkout, revision)
    workloads = select(kernels)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pybench-against-")))
        tree = stack.enter_context(_worktree(checkout, commit, folder / "tree"))
        say(f"building {revision} ({commit[:10]})")
        there = build(tree, folder / "there", checkout / "target" / "against" / "there")
        say("building this working tree")
        here = build(checkout, folder / "here", checkout / "target" / "against" / "here")
        say("recording the workloads")
        recordings = list(record(workloads, {}, _LIMIT_S))
        times = measure(recordings, (here, there), folder, rounds, say)
    return Comparison(commit, rounds, judge(recordings, times))


# -- the verdict -----------------------------------------------------------------------------


def judge(
    recordings: Sequence[Recording], times: Mapping[Row, Sequence[tuple[float, float | None]]]
) -> tuple[Compared, ...]:
    """Say of each row whether it got slower.

    ``regression``: the hypothesis that the mean of the logarithmic ratios is at most log(1.05) is
    rejected, by a t test, after Holm over all rows at 5 %. ``same``: the 95 % interval lies below
    1.05. Else ``cannot tell``: more rounds or a quieter machine would.

    Args:
        recordings: the rows.
        times: seconds (here, there) of each round; there is None without the kernel.
    """
    from scipy.stats import t

    from pybench.stats import holm

    logs = {
        recording.row: [
            math.log(here / there) for here, there in times[recording.row] if there is not None
        ]
        for recording in recordings
    }
    p = [
        _p_slower(logs[recording.row]) if logs[recording.row] else math.nan
        for recording in recordings
    ]
    adjusted = holm(p)
    rows = []
    for recording, of in zip(recordings, adjusted, strict=True):
        here_ms = 1e3 * median(here for here, _ in times[recording.row])
        named = recording.kernel, recording.workload, recording.size, here_ms
        if not (ratios := logs[recording.row]):
            rows.append(Compared(*named, None, None, None, None, None, "new"))
            continue
        half = float(t.ppf(0.975, len(ratios) - 1)) * stdev(ratios) / math.sqrt(len(ratios))
        middle, low, high = (math.exp(fmean(ratios) + by) for by in (0, -half, half))
        verdict: Verdict = "cannot tell"
        if of < ALPHA and low > 1 + SLOWER:
            verdict = "regression"
        elif high < 1 + SLOWER:
            verdict = "same"
        there_ms = 1e3 * median(there for _, there in times[recording.row] if there is not None)
        rows.append(Compared(*named, there_ms, middle, low, high, float(of), verdict))
    return tuple(rows)


def _p_slower(logs: Sequence[float]) -> float:
    """One-sided p value of a mean above log(1 + SLOWER)."""
    from scipy.stats import t

    error = stdev(logs) / math.sqrt(len(logs))
    over = fmean(logs) - math.log1p(SLOWER)
    return float(t.sf(over / error, len(logs) - 1)) if error else float(over <= 0)


# -- building and timing ---------------------------------------------------------------------


def build(tree: Path, into: Path, target: Path) -> Path:
    """Build the wheel of a source tree and unpack it; the folder to import it from.

    Raises:
        RuntimeError: it does not build.
        MissingPartError: maturin is not installed.
    """
    beside = sysconfig.get_path("scripts")
    maturin = shutil.which("maturin", path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
    if maturin is None:
        msg = "maturin must be installed to build revisions, got none; type: pip install maturin"
        raise MissingPartError(msg)
    wheels = into / "wheels"
    done = subprocess.run(
        [
            *(maturin, "build", "--release", "--locked"),
            # The wheel stays on this machine, so the libraries it uses need not go into it.
            *("--auditwheel", "skip"),
            *("--target-dir", str(target), "--out", str(wheels)),
            *("--manifest-path", str(tree / "rust" / "py" / "Cargo.toml")),
        ],
        cwd=tree,
        env={k: v for k, v in os.environ.items() if k != "CARGO_TARGET_DIR"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "error" in line.lower()]
        msg = f"revision must build, got {(errors or ['no message'])[0].strip()!r} in {tree.name}"
        raise RuntimeError(msg)
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(into / "package")
    return into / "package"


def measure(
    recordings: Sequence[Recording],
    packages: tuple[Path, Path],
    folder: Path,
    rounds: int,
    say: Callable[[str], None],
) -> dict[Row, list[tuple[float, float | None]]]:
    """Seconds of one call of each recording, here and there, in each round."""
    times: dict[Row, list[tuple[float, float | None]]] = {r.row: [] for r in recordings}
    for turn in range(rounds):
        say(f"round {turn + 1} of {rounds}")
        with Side(packages[0]) as here, Side(packages[1]) as there:
            for number, recording in enumerate(recordings):
                path = folder / f"{number}.calls"
                if not turn:
                    recording.write(path)
                found: dict[Side, list[float | None]] = {here: [], there: []}
                for timing in range(_TIMINGS):
                    order = (here, there) if (turn + timing) % 2 else (there, here)
                    for side in order:
                        found[side].append(side.seconds(path))
                ours, theirs = (_median(found[side]) for side in (here, there))
                if ours is None:
                    msg = f"{recording.kernel} must be in this checkout's build, got none"
                    raise RuntimeError(msg)
                times[recording.row].append((ours, theirs))
    return times


def _median(seconds: Sequence[float | None]) -> float | None:
    known = [value for value in seconds if value is not None]
    return median(known) if known else None


class Side:
    """A process that has loaded one build of the core and times what it is asked to."""

    def __init__(self, package: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-s", "-B", replay.__file__, "time"],
            env={**os.environ, "PYTHONPATH": str(package), "PYBENCH_THREADS": str(THREADS)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def seconds(self, path: Path) -> float | None:
        """Seconds of one call of a recording; None when this build has no such kernel.

        Raises:
            RuntimeError: the process died.
        """
        channel_in, channel_out = self._process.stdin, self._process.stdout
        if channel_in is None or channel_out is None:  # both are pipes
            raise AssertionError
        channel_in.write(f"{path}\n")
        channel_in.flush()
        reply = channel_out.readline()
        if not reply:
            msg = f"a timed process must live, got exit code {self._process.wait()} at {path.name}"
            raise RuntimeError(msg)
        seconds: float | None = json.loads(reply).get("seconds")
        return seconds


# -- git -------------------------------------------------------------------------------------


def _checkout() -> Path:
    root = Path(__file__).parents[2]
    if not (root / ".git").exists() or not (root / "rust" / "py" / "Cargo.toml").exists():
        msg = f"--against must be asked in a git checkout of pybench, got {root}; clone it"
        raise LookupError(msg)
    return root


def _commit(checkout: Path, revision: str) -> str:
    try:
        return _git(
            checkout,
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            f"{revision}^{{commit}}",
        )
    except RuntimeError as error:
        msg = f"--against must name a commit of this checkout, got {revision!r}"
        raise LookupError(msg) from error


@contextlib.contextmanager
def _worktree(checkout: Path, commit: str, path: Path) -> Iterator[Path]:
    _git(checkout, "worktree", "add", "--detach", "--quiet", str(path), commit)
    try:
        yield path
    finally:
        _git(checkout, "worktree", "remove", "--force", str(path))


def _git(checkout: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(checkout), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        msg = f"git {arguments[0]} must succeed, got {done.stderr.strip()!r}"
        raise RuntimeError(msg)
    return done.stdout.strip()
